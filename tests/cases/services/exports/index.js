import { DurableObject, exports as imported, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

export class Greeter extends WorkerEntrypoint {
  greet(name) {
    return `${this.ctx.props.greeting ?? "Hello"}, ${name}`;
  }

  fetch(request) {
    return Response.json({ props: this.ctx.props, at: new URL(request.url).pathname });
  }
}

export class Room extends DurableObject {}
export class Target extends RpcTarget {}
export const plain = { fetch: () => new Response("plain") };
export const helper = () => "no entrypoint";
export const version = 3;

export default {
  async fetch(request, env, ctx) {
    const forged = await ctx.exports.Greeter({ props: { greeting: "Salve", when: new Date(5), nested: new Map([[1, 2]]) } });
    return Response.json({
      names: Object.keys(ctx.exports),
      greeted: await ctx.exports.Greeter.greet("Ada"),
      withProps: await forged.greet("Ada"),
      fetched: await (await forged.fetch("http://x/path")).json(),
      plain: await (await ctx.exports.plain.fetch("http://x")).text(),
      imported: await imported.Greeter.greet("Bob"),
      frozen: Object.isFrozen(ctx.exports),
      own: ctx.props,
    });
  },
};
