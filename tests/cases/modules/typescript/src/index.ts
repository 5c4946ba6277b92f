import { Tone, type Greeting } from "@/greeting";
import { shout } from "./lib/shout.js";

interface Env {
  NAME?: string;
}

abstract class Greeter<T extends Greeting> {
  constructor(private readonly greeting: T, protected name: string) {}

  abstract say(): string;

  protected text(): string {
    return `${this.greeting.text}, ${this.name}` satisfies string;
  }
}

class Loud extends Greeter<Greeting> {
  override say(): string {
    return shout(this.text());
  }
}

namespace Numbers {
  export const answer = 42 as const;
}

export default {
  async fetch(_request: Request, env: Env): Promise<Response> {
    const greeter = new Loud({ text: "hello", tone: Tone.Loud }, env.NAME ?? "world");
    return Response.json({ said: greeter.say(), tone: Tone[Tone.Loud], answer: Numbers.answer });
  },
} satisfies { fetch(request: Request, env: Env): Promise<Response> };
