const encode = (text) => new TextEncoder().encode(text);

/** The name of the error that `attempt` ends with, or what it gives. */
async function outcome(attempt) {
  try {
    const value = await attempt();
    return value?.byteLength ?? value?.algorithm?.name ?? "ok";
  } catch (error) {
    return error.name;
  }
}

const password = () => crypto.subtle.importKey("raw", encode("password"), "PBKDF2", false, ["deriveBits", "deriveKey"]);
const derive = async (iterations, bits = 256) =>
  crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: encode("salt"), iterations }, await password(), bits);
const rsa = (modulusLength) =>
  crypto.subtle.generateKey(
    { name: "RSA-OAEP", modulusLength, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
    true,
    ["encrypt", "decrypt"],
  );

/** An object whose member is small when it is read first. */
function changes(member, first, then, rest) {
  let reads = 0;
  return { ...rest, get [member]() { return reads++ === 0 ? first : then; } };
}

const answers = {
  "/iterations": async () => [
    await outcome(() => derive(1_000)),
    await outcome(() => derive(100_001)),
    await outcome(() => derive(4_294_967_295)),
    await outcome(() => derive(0)),
  ],
  "/message": async () => derive(100_001).catch((error) => error.message),
  "/length": async () => [await outcome(() => derive(100_000, 2 ** 31 - 8)), await outcome(() => derive(10, 8_000))],
  "/derive-key": async () =>
    outcome(async () =>
      crypto.subtle.deriveKey(
        { name: "PBKDF2", hash: "SHA-256", salt: encode("salt"), iterations: 100_000 },
        await password(),
        { name: "HMAC", hash: "SHA-256", length: 2 ** 31 },
        true,
        ["sign"],
      )
    ),
  "/modulus": async () => {
    const outcomes = [];
    for (const bits of [2 ** 31, 8192, 4104, 0, 7, 8, 255, 1025, NaN, "x", -1]) outcomes.push(await outcome(() => rsa(bits)));
    return outcomes;
  },
  "/changing": async () => [
    await outcome(async () =>
      crypto.subtle.deriveBits(
        changes("iterations", 10, 4_000_000_000, { name: "PBKDF2", hash: "SHA-256", salt: encode("salt") }),
        await password(),
        256,
      )
    ),
    await outcome(() => crypto.subtle.digest(changes("name", "SHA-256", "SHA3-512", {}), encode("x"))),
  ],
  "/algorithms": async () => {
    const outcomes = {};
    for (const name of ["Argon2id", "SLH-DSA-SHA2-256s", "ML-KEM-768", "ML-DSA-44", "X448", "ChaCha20-Poly1305"]) {
      outcomes[name] = await outcome(() => crypto.subtle.generateKey({ name, memory: 4e6, passes: 10, parallelism: 1 }, true, ["sign"]));
    }
    outcomes.import = await outcome(() => crypto.subtle.importKey("raw", encode("p"), { name: "Argon2id" }, false, ["deriveBits"]));
    return outcomes;
  },
  "/key-sizes": async () => {
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const n = (bytes) => btoa(String.fromCharCode(...new Array(bytes).fill(255))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const jwk = (bytes) => ({ kty: "RSA", n: n(bytes), e: "AQAB" });
    return [
      await outcome(() => crypto.subtle.importKey("jwk", jwk(256), algorithm, true, ["verify"])),
      await outcome(() => crypto.subtle.importKey("jwk", jwk(1024), algorithm, true, ["verify"])),
      await outcome(() => crypto.subtle.importKey("jwk", { kty: "RSA", n: "A".repeat(1e6), e: "AQAB" }, algorithm, true, ["verify"])),
      await outcome(() => crypto.subtle.importKey("pkcs8", new Uint8Array(1e6), algorithm, true, ["sign"])),
      await outcome(() => crypto.subtle.importKey("raw", new Uint8Array(1e5), { name: "HMAC", hash: "SHA-256" }, true, ["sign"])),
    ];
  },
  "/arguments": async () => [
    await outcome(() => crypto.subtle.digest()),
    await outcome(() => crypto.subtle.digest(null, encode("x"))),
    await outcome(() => crypto.subtle.digest({}, encode("x"))),
    await outcome(() => crypto.subtle.digest(Symbol(), encode("x"))),
    await outcome(() => crypto.subtle.digest("sha-256", encode("x"))),
    await outcome(() => crypto.subtle.digest({ name: "SHA-256" }, "x")),
    await outcome(() => crypto.subtle.deriveBits()),
    await outcome(() => crypto.subtle.importKey("raw")),
  ],
};

export default {
  async fetch(request) {
    return Response.json(await answers[new URL(request.url).pathname]());
  },
};
