// The signature of a delivery: HMAC-SHA256 over the raw body, as GitHub sends it.

const SIGNATURE = /^sha256=([0-9a-f]{64})$/i;

/** Whether `header` (`sha256=` and 64 hexadecimal digits) signs exactly these bytes. */
export async function isSignedBy(secret: string, body: BufferSource, header: string | null): Promise<boolean> {
  const hex = SIGNATURE.exec(header ?? "")?.[1];
  if (hex === undefined) return false;
  const key = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  // `verify` takes the same time for every wrong signature; comparing two strings with `===` does not.
  return crypto.subtle.verify("HMAC", key, bytesOf(hex), body);
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
