// The sites that visitors are routed to, and the languages that each one speaks.

export type Language = "en" | "de" | "fr" | "ja";

export interface Site {
  name: string;
  currency: string;
  /** The first one is the default. */
  languages: readonly [Language, ...Language[]];
}

const GLOBAL: Site = { name: "global", currency: "USD", languages: ["en"] };
const EUROPE: Site = { name: "europe", currency: "EUR", languages: ["en", "de", "fr"] };
const SWITZERLAND: Site = { name: "switzerland", currency: "CHF", languages: ["de", "fr", "en"] };
const JAPAN: Site = { name: "japan", currency: "JPY", languages: ["ja", "en"] };

const BY_COUNTRY = new Map<string, Site>([
  ["AT", EUROPE],
  ["BE", EUROPE],
  ["DE", EUROPE],
  ["FR", EUROPE],
  ["NL", EUROPE],
  ["CH", SWITZERLAND],
  ["JP", JAPAN],
]);

export const GREETINGS: Record<Language, string> = {
  en: "Welcome",
  de: "Willkommen",
  fr: "Bienvenue",
  ja: "ようこそ",
};

export function siteOf(country: string): Site {
  return BY_COUNTRY.get(country) ?? GLOBAL;
}
