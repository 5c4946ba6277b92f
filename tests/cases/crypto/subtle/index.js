const encode = (text) => new TextEncoder().encode(text);
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const answers = {
  "/digest": async () => Response.json(hex(await crypto.subtle.digest("SHA-256", encode("abc")))),
  "/many": async () => {
    const digests = await Promise.all(["SHA-1", "SHA-384", "SHA-512"].map((name) => crypto.subtle.digest(name, encode("abc"))));
    return Response.json(digests.map((digest) => digest.byteLength));
  },
  "/hmac": async () => {
    const key = await crypto.subtle.importKey("raw", encode("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
    const data = encode("The quick brown fox jumps over the lazy dog");
    const signature = await crypto.subtle.sign("HMAC", key, data);
    return Response.json({
      signature: hex(signature),
      right: await crypto.subtle.verify("HMAC", key, signature, data),
      wrong: await crypto.subtle.verify("HMAC", key, signature, encode("another")),
      extractable: key.extractable,
    });
  },
  "/aes": async () => {
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const secret = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, encode("secret"));
    return new Response(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, secret));
  },
  "/ecdsa": async () => {
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const sign = { name: "ECDSA", hash: "SHA-256" };
    const signature = await crypto.subtle.sign(sign, privateKey, encode("signed"));
    return Response.json(await crypto.subtle.verify(sign, publicKey, signature, encode("signed")));
  },
  "/pbkdf2": async () => {
    const key = await crypto.subtle.importKey("raw", encode("password"), "PBKDF2", false, ["deriveBits"]);
    const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: encode("salt"), iterations: 2 }, key, 256);
    return Response.json(hex(bits));
  },
  "/not-extractable": async () => {
    const key = await crypto.subtle.importKey("raw", encode("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    try {
      await crypto.subtle.exportKey("raw", key);
    } catch (error) {
      return Response.json([error.name, JSON.stringify(key)]);
    }
  },
  "/unknown": async () => {
    try {
      await crypto.subtle.digest("MD4", encode("abc"));
    } catch (error) {
      return Response.json(error.name);
    }
  },
  "/timing-safe": () => Response.json([
    crypto.subtle.timingSafeEqual(encode("same"), encode("same")),
    crypto.subtle.timingSafeEqual(encode("same"), encode("sama")),
  ]),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
