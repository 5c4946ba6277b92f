import { env } from "cloudflare:workers";

export const atStart = `${env.GREETING} at the start`;
export const greeting = () => env.GREETING;
