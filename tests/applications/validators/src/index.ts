import { z } from "zod";
import { Marked, marked } from "marked";

const User = z.object({
  name: z.string().trim().min(1),
  email: z.email(),
  role: z.enum(["admin", "user"]).default("user"),
  tags: z.array(z.string()).max(3).optional(),
  born: z.coerce.date().transform((date) => date.getUTCFullYear()),
});

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/zod") {
      const result = User.safeParse(await request.json());
      return result.success
        ? Response.json(result.data)
        : Response.json(z.flattenError(result.error), { status: 422 });
    }
    if (pathname === "/schema") return Response.json(z.toJSONSchema(z.object({ a: z.number().int() })));
    const page = new Marked({ gfm: true }).parse(await request.text());
    return new Response(await page, { headers: { "content-type": "text/html; charset=utf-8", "x-inline": await marked.parseInline("*a*") } });
  },
};
