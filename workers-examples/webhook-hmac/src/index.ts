// Receives webhooks: believes nothing in a delivery before its signature is verified.

import { readUpTo } from "./body";
import { isSignedBy } from "./signature";

interface Env {
  WEBHOOK_SECRET?: string;
  TOLERANCE_SECONDS: string;
}

interface Delivery {
  /** When it was sent, ISO 8601. Inside the signed body, where nobody but the sender can change it. */
  sent_at: string;
  event: string;
}

const BODY_MAX = 256 * 1024;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    if (new URL(request.url).pathname !== "/webhook") return new Response("Not found.\n", { status: 404 });
    if (request.method !== "POST") {
      return new Response("Send a delivery with POST.\n", { status: 405, headers: { allow: "POST" } });
    }
    if (!env.WEBHOOK_SECRET) {
      console.error("WEBHOOK_SECRET is not set: copy .dev.vars.example to .dev.vars");
      return new Response("Not configured.\n", { status: 500 });
    }

    const body = await readUpTo(BODY_MAX, request);
    if (body === undefined) return new Response("The delivery is too large.\n", { status: 413 });

    // Over the bytes as they came: JSON that is parsed and written again may be other bytes.
    const signature = request.headers.get("x-hub-signature-256");
    if (!(await isSignedBy(env.WEBHOOK_SECRET, body, signature))) {
      return new Response("The signature is wrong.\n", { status: 401 });
    }

    const delivery = parseDelivery(body);
    if (delivery === undefined) return new Response("This is not a delivery.\n", { status: 400 });
    if (!isRecent(delivery, Number(env.TOLERANCE_SECONDS))) {
      return new Response("The delivery is too old.\n", { status: 400 });
    }

    // The sender waits for the answer only, not for the work.
    ctx.waitUntil(handle(delivery));
    return Response.json({ accepted: delivery.event }, { status: 202 });
  },
} satisfies ExportedHandler<Env>;

async function handle(delivery: Delivery): Promise<void> {
  console.log(`event ${delivery.event}, sent at ${delivery.sent_at}`);
}

function parseDelivery(body: Uint8Array): Delivery | undefined {
  try {
    const { sent_at, event } = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
    return typeof sent_at === "string" && typeof event === "string" ? { sent_at, event } : undefined;
  } catch {
    return undefined;
  }
}

/** A delivery that somebody recorded and sends again is refused once it is older than the tolerance. */
function isRecent(delivery: Delivery, toleranceSeconds: number): boolean {
  // Not a date gives NaN, and NaN is not within any tolerance.
  return Math.abs(Date.now() - Date.parse(delivery.sent_at)) <= toleranceSeconds * 1000;
}
