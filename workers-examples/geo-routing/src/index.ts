// Routing by where a visitor is and by what the visitor's browser asks for.

import { preferredLanguage } from "./language";
import { GREETINGS, siteOf } from "./sites";

interface Env {
  COUNTRY_HEADER: string;
  BLOCKED_COUNTRIES: string[];
}

/** ISO 3166-1 keeps this code free for private use: "unknown". */
const UNKNOWN = "XX";

export default {
  async fetch(request, env): Promise<Response> {
    const country = countryOf(request, env);
    if (env.BLOCKED_COUNTRIES.includes(country)) {
      return new Response("This service is not offered in your country.\n", { status: 451 });
    }
    const site = siteOf(country);
    const language = preferredLanguage(request.headers.get("accept-language"), site.languages);

    return Response.json(
      { country, site: site.name, currency: site.currency, language, greeting: GREETINGS[language] },
      {
        headers: {
          "content-language": language,
          // No header says where a visitor is, so `Vary` cannot tell a shared cache to tell them apart.
          "cache-control": "private",
          vary: "Accept-Language",
        },
      },
    );
  },
} satisfies ExportedHandler<Env>;

function countryOf(request: Request, env: Env): string {
  const override = env.COUNTRY_HEADER === "" ? null : request.headers.get(env.COUNTRY_HEADER);
  const country = override ?? request.cf?.country;
  return typeof country === "string" ? country.toUpperCase() : UNKNOWN;
}
