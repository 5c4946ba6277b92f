// A client of Redis, which speaks over `node:net`.
import Redis from "ioredis";

async function withClient(env, work) {
  const client = new Redis({ host: env.REDIS_HOST, port: +env.REDIS_PORT, lazyConnect: true, maxRetriesPerRequest: 1, retryStrategy: () => null });
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

const routes = {
  "/text": (client) => client.set("greeting", "h\u00e9llo").then(() => client.get("greeting")),
  "/pipeline": async (client) => {
    const results = await client.pipeline().set("a", 1).incr("a").incr("a").get("a").get("nothing").exec();
    return results.map(([error, value]) => error ? error.message : value);
  },
  "/binary": async (client) => {
    const bytes = Buffer.alloc(300_000, 7);
    await client.set("bytes", bytes);
    const back = await client.getBuffer("bytes");
    return [back.length, back.equals(bytes)];
  },
  "/error": (client) => client.call("nonsense").catch((error) => `${error.name}: ${error.message}`),
  "/many": async (client) => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => client.set(`key${index}`, index).then(() => client.get(`key${index}`))));
    return answers.every((answer, index) => answer === `${index}`);
  },
};

export default {
  async fetch(request, env) {
    const route = routes[new URL(request.url).pathname];
    return Response.json(await withClient(env, route));
  },
};
