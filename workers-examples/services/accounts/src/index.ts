// The worker that the shop calls. It has no routes: only workers of its tenant reach it.

import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const balances = new Map([["ada", 20], ["bob", 1]]);
const prices: Record<string, number> = { tea: 3, cake: 4 };

class Cart extends RpcTarget {
  #items: string[] = [];

  constructor(private readonly customer: string, private readonly tell: (line: string) => void) {
    super();
  }

  add(item: string): void {
    if (!(item in prices)) throw new RangeError(`there is no ${item}`);
    this.#items.push(item);
  }

  get items(): string[] {
    return this.#items;
  }

  async pay(): Promise<number> {
    const sum = this.#items.reduce((sum, item) => sum + (prices[item] ?? 0), 0);
    const balance = balances.get(this.customer) ?? 0;
    if (sum > balance) throw new Error(`${this.customer} has ${balance}, and the cart costs ${sum}`);
    balances.set(this.customer, balance - sum);
    await this.tell(`${this.customer} has paid ${sum}`);
    return sum;
  }
}

export class Accounts extends WorkerEntrypoint<unknown, { currency: string }> {
  balance(customer: string): { customer: string; balance: number; currency: string } {
    return { customer, balance: balances.get(customer) ?? 0, currency: this.ctx.props.currency };
  }

  cart(customer: string, tell: (line: string) => void): Cart {
    // What is passed to a call lives until its end; this one is needed for longer.
    const kept = (tell as typeof tell & { dup(): typeof tell }).dup();
    return new Cart(customer, kept);
  }

  override fetch(request: Request): Response {
    return new Response(`accounts: ${request.method} ${new URL(request.url).pathname}\n`);
  }
}

export default { fetch: () => new Response("accounts is called over bindings only\n", { status: 404 }) };
