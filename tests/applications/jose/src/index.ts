import * as jose from "jose";

const HOLM = "urn:holm";

/** Signs with a fresh key and verifies with its public part, also after a trip through JSON. */
async function asymmetric(alg: string): Promise<unknown> {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const token = await new jose.SignJWT({ alg }).setProtectedHeader({ alg }).setIssuer(HOLM).setExpirationTime("1m").sign(privateKey);
  const jwk = await jose.exportJWK(publicKey);
  const { payload } = await jose.jwtVerify(token, await jose.importJWK({ ...jwk, alg }), { issuer: HOLM });
  const spki = await jose.exportSPKI(publicKey);
  await jose.jwtVerify(token, await jose.importSPKI(spki, alg));
  const set = jose.createLocalJWKSet({ keys: [{ ...jwk, alg, kid: await jose.calculateJwkThumbprint(jwk) }] });
  await jose.jwtVerify(token, set);
  const forged = token.slice(0, -6) + (token.endsWith("A") ? "BBBBBB" : "AAAAAA");
  const refused = await jose.jwtVerify(forged, publicKey).catch((error) => error.code);
  return { alg: payload.alg, refused };
}

async function symmetric(): Promise<unknown> {
  const secret = new TextEncoder().encode("a secret that is long enough for HMAC with SHA-256");
  const token = await new jose.SignJWT({ a: 1 }).setProtectedHeader({ alg: "HS256" }).setIssuedAt().setExpirationTime("-1s").sign(secret);
  const expired = await jose.jwtVerify(token, secret).catch((error) => error.code);
  const encrypted = await new jose.EncryptJWT({ b: 2 })
    .setProtectedHeader({ alg: "A256KW", enc: "A256GCM" })
    .encrypt(crypto.getRandomValues(new Uint8Array(32)));
  const key = crypto.getRandomValues(new Uint8Array(32));
  const jwe = await new jose.CompactEncrypt(new TextEncoder().encode("sealed")).setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(key);
  const { plaintext } = await jose.compactDecrypt(jwe, key);
  return { expired, parts: encrypted.split(".").length, opened: new TextDecoder().decode(plaintext) };
}

export default {
  async fetch(request: Request): Promise<Response> {
    const alg = new URL(request.url).pathname.slice(1);
    return Response.json(alg === "HS256" ? await symmetric() : await asymmetric(alg));
  },
};
