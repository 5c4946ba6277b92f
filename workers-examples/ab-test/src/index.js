// An A/B test: a visitor gets a variant by weight once, and keeps it by cookie.

import { parseVariants, pick } from "./variants.js";

/** @typedef {{ EXPERIMENT: string, VARIANTS: string }} Env */

const THIRTY_DAYS = 30 * 24 * 60 * 60;

/** @type {Record<string, string>} */
const HEADLINES = {
  control: "Welcome to our shop.",
  bold: "EVERYTHING MUST GO!",
};

/** @type {ExportedHandler<Env>} */
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const variants = parseVariants(env.VARIANTS);
    const cookie = `ab-${env.EXPERIMENT}`;

    // For those who review a variant; a name that is no variant is as good as none.
    const forced = known(url.searchParams.get("variant"), variants);
    const kept = known(readCookie(request, cookie), variants);
    const variant = forced ?? kept ?? pick(variants, Math.random());

    const headers = new Headers({
      // The answer is one visitor's: a shared cache that kept it would hand its variant to everybody.
      "cache-control": "private, no-store",
      "x-variant": variant,
    });
    if (variant !== kept) {
      const secure = url.protocol === "https:" ? "; Secure" : "";
      headers.set(
        "set-cookie",
        `${cookie}=${variant}; Max-Age=${THIRTY_DAYS}; Path=/; HttpOnly; SameSite=Lax${secure}`,
      );
    }
    return new Response(`${HEADLINES[variant] ?? variant}\n`, { headers });
  },
};

/**
 * @param {string | null} name
 * @param {Map<string, number>} variants
 */
function known(name, variants) {
  return name !== null && variants.has(name) ? name : null;
}

/**
 * @param {Request} request
 * @param {string} name
 */
function readCookie(request, name) {
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return null;
}
