let instances = 0;

export default class {
  constructor(ctx, env) {
    instances++;
    this.ctx = ctx;
    this.env = env;
  }

  async fetch(request) {
    this.ctx.waitUntil(Promise.resolve());
    return Response.json({ path: new URL(request.url).pathname, greeting: this.env.GREETING, instances });
  }
}
