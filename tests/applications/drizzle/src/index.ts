import { and, desc, eq, like, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import { integer, QueryBuilder, sqliteTable, text } from "drizzle-orm/sqlite-core";

const users = sqliteTable("users", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  name: text("name").notNull(),
  created: integer("created", { mode: "timestamp" }).notNull(),
});

export default {
  async fetch(): Promise<Response> {
    const asked: unknown[] = [];
    const db = drizzle(async (query, parameters, method) => {
      asked.push([query, parameters, method]);
      return { rows: method === "run" ? [] : [[1, "Ada", 0]] };
    });
    const found = await db.select().from(users).where(and(eq(users.id, 1), like(users.name, "A%"))).orderBy(desc(users.created)).limit(5);
    await db.insert(users).values({ name: "Grace", created: new Date(1000) });
    const counted = new QueryBuilder().select({ count: sql<number>`count(*)` }).from(users).toSQL();
    return Response.json({ found, asked, counted: counted.sql });
  },
};
