// A shop that knows its customers by the worker `accounts`. Its calls are awaited like local ones.

import type { Accounts } from "../accounts/src/index";

interface Env {
  ACCOUNTS: Service<typeof Accounts>;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const customer = searchParams.get("customer") ?? "";
    switch (pathname) {
      case "/balance":
        return Response.json(await env.ACCOUNTS.balance(customer));
      case "/buy": {
        // An object of the other worker, which lives until the end of this block.
        using cart = await env.ACCOUNTS.cart(customer, (line) => console.log(`accounts says: ${line}`));
        for (const item of searchParams.getAll("item")) await cart.add(item);
        try {
          return Response.json({ items: await cart.items, paid: await cart.pay() });
        } catch (error) {
          return Response.json({ error: (error as Error).message }, { status: 402 });
        }
      }
      default:
        // HTTP works over a binding, too.
        return env.ACCOUNTS.fetch(request);
    }
  },
} satisfies ExportedHandler<Env>;
