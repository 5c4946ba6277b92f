import assert from "node:assert";
import crypto, {
  createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, createSecretKey, createSign,
  createVerify, KeyObject, randomBytes, timingSafeEqual, webcrypto,
} from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { CERTIFICATE, EC_SEC1, RSA_PKCS1, RSA_PKCS8 } from "./keys.js";

const hex = (text) => Buffer.from(text, "hex");

const tests = {
  async hash() {
    const known = {
      md5: "900150983cd24fb0d6963f7d28e17f72",
      sha1: "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "sha512-256": "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
      "sha3-256": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
      "RSA-SHA384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    };
    for (const [name, digest] of Object.entries(known)) {
      assert.equal(createHash(name).update("a").update(Buffer.from("bc")).digest("hex"), digest, name);
    }
    const hash = createHash("sha256").update("a");
    const copy = hash.copy();
    assert.equal(hash.update("bc").digest("hex"), known.sha256);
    assert.equal(copy.update("bc").digest("base64url"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    assert.throws(() => hash.update("x"), { code: "ERR_CRYPTO_HASH_FINALIZED" });
    assert.throws(() => createHash("md4.5"), { message: "Digest method not supported" });
    const stream = createHash("sha1");
    await pipeline(Readable.from(["a", "b", "c"]), stream);
    assert.equal(stream.read().toString("hex"), known.sha1);
    assert.equal(crypto.hash("md5", "abc"), known.md5);
    assert(crypto.getHashes().includes("sha256"));
  },
  hmac() {
    assert.equal(createHmac("sha256", "key").update("data").digest("hex"), "5031fe3d989c6d1537a013fa6e739da23463fdaec3b70137d828e36ace221bd0");
    assert.equal(createHmac("sha512", createSecretKey("key", "utf8")).update("data").digest("base64").slice(0, 16), "PFlToY9zA+xlO6Fw");
    assert.throws(() => createHmac("none", "k"), { code: "ERR_CRYPTO_INVALID_DIGEST" });
    assert(timingSafeEqual(Buffer.from("abc"), new Uint8Array([97, 98, 99])));
    assert(!timingSafeEqual(Buffer.from("abc"), Buffer.from("abd")));
    assert.throws(() => timingSafeEqual(Buffer.from("a"), Buffer.from("ab")), { code: "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH" });
  },
  async random() {
    assert.equal(randomBytes(70_000).length, 70_000);
    assert.notDeepEqual(randomBytes(16), randomBytes(16));
    assert.equal((await promisify(crypto.randomBytes)(5)).length, 5);
    for (let i = 0; i < 100; i++) {
      const drawn = crypto.randomInt(3, 6);
      assert(drawn >= 3 && drawn < 6);
    }
    assert.match(crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const filled = crypto.randomFillSync(Buffer.alloc(10), 5);
    assert.equal(filled.subarray(0, 5).toString("hex"), "0000000000");
    assert.throws(() => crypto.randomInt(5, 5), { code: "ERR_OUT_OF_RANGE" });
    assert.equal(webcrypto, globalThis.crypto);
    assert.equal(crypto.subtle, globalThis.crypto.subtle);
  },
  async derive() {
    assert.equal(crypto.pbkdf2Sync("password", "salt", 2, 20, "sha1").toString("hex"), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
    assert.equal((await promisify(crypto.pbkdf2)("password", "salt", 1, 32, "sha256")).toString("hex"), "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b");
    assert.equal(Buffer.from(crypto.hkdfSync("sha256", hex("0b".repeat(22)), hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42)).toString("hex"), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    assert.equal(crypto.scryptSync("password", "NaCl", 64, { N: 1024, r: 8, p: 1 }).toString("hex").slice(0, 32), "27b418c674c769d12501fbb1f53bac32");
    assert.equal((await promisify(crypto.scrypt)("", "", 64, { N: 16, r: 1, p: 1 })).toString("hex").slice(0, 32), "77d6576238657b203b19ca42c18a0497");
    assert.throws(() => crypto.pbkdf2Sync("p", "s", 100_001, 1, "sha256"), /100000/);
    assert.throws(() => crypto.scryptSync("p", "s", 1, { N: 2 ** 20, maxmem: 2 ** 40 }), /524288/);
    assert.throws(() => crypto.scryptSync("p", "s", 1, { N: 2 ** 20 }), { code: "ERR_CRYPTO_INVALID_SCRYPT_PARAMS" });
  },
  async cipher() {
    const text = "text of more than one block, not a whole number of them";
    for (const name of ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-ctr", "aes-256-ctr", "aes-128-ecb", "aes-256-ecb"]) {
      const { keyLength, ivLength } = crypto.getCipherInfo(name);
      const key = randomBytes(keyLength);
      const iv = ivLength === undefined ? null : randomBytes(ivLength);
      const cipher = createCipheriv(name, key, iv);
      const sealed = Buffer.concat([cipher.update(text.slice(0, 5)), cipher.update(text.slice(5)), cipher.final()]);
      const decipher = createDecipheriv(name, key, iv);
      const opened = decipher.update(sealed.subarray(0, 20), undefined, "utf8") + decipher.update(sealed.subarray(20), undefined, "utf8") + decipher.final("utf8");
      assert.equal(opened, text, name);
    }
    const fixed = createCipheriv("aes-128-cbc", hex("000102030405060708090a0b0c0d0e0f"), Buffer.alloc(16));
    assert.equal(fixed.update("hello", "utf8", "hex") + fixed.final("hex"), "5d8749e2af7531b2bf6661e9e5daf012");
    const wrong = createDecipheriv("aes-128-cbc", Buffer.alloc(16), Buffer.alloc(16));
    wrong.update(Buffer.alloc(16, 1));
    assert.throws(() => wrong.final(), { code: "ERR_OSSL_BAD_DECRYPT" });
    assert.throws(() => createCipheriv("aes-128-cbc", Buffer.alloc(15), Buffer.alloc(16)), { code: "ERR_CRYPTO_INVALID_KEYLEN" });
    assert.throws(() => createCipheriv("aes-128-cbc", Buffer.alloc(16), Buffer.alloc(15)), { code: "ERR_CRYPTO_INVALID_IV" });
    assert.throws(() => createCipheriv("rot13", Buffer.alloc(16), null), { code: "ERR_CRYPTO_UNKNOWN_CIPHER" });
    const bare = createCipheriv("aes-128-cbc", Buffer.alloc(16), Buffer.alloc(16)).setAutoPadding(false);
    bare.update("short");
    assert.throws(() => bare.final(), /wrong final block length/);
  },
  async gcm() {
    // NIST's test case 4 of AES-128-GCM.
    const key = hex("feffe9928665731c6d6a8f9467308308");
    const aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const text = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    const cipher = createCipheriv("aes-128-gcm", key, hex("cafebabefacedbaddecaf888")).setAAD(aad);
    const sealed = Buffer.concat([cipher.update(text.subarray(0, 7)), cipher.update(text.subarray(7)), cipher.final()]);
    assert.equal(sealed.toString("hex"), "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091");
    assert.equal(cipher.getAuthTag().toString("hex"), "5bc94fbc3221a5db94fae95ae7121a47");
    const decipher = createDecipheriv("aes-128-gcm", key, hex("cafebabefacedbaddecaf888")).setAAD(aad);
    decipher.setAuthTag(cipher.getAuthTag());
    assert.deepEqual(Buffer.concat([decipher.update(sealed), decipher.final()]), text);
    const forged = createDecipheriv("aes-128-gcm", key, hex("cafebabefacedbaddecaf888"));
    forged.setAuthTag(Buffer.alloc(16));
    forged.update(sealed);
    assert.throws(() => forged.final(), /unable to authenticate/);
    const long = createCipheriv("aes-256-gcm", Buffer.alloc(32), Buffer.alloc(20, 7));
    // An IV that is not of 12 bytes is hashed.
    assert.equal(Buffer.concat([long.update("x"), long.final()]).toString("hex"), "d3");
    assert.equal(long.getAuthTag().toString("hex"), "c52e4fe29072604aebcecd12755449b9");
  },
  async keys() {
    const rsa = createPrivateKey(RSA_PKCS8);
    assert.equal(rsa.type, "private");
    assert.equal(rsa.asymmetricKeyType, "rsa");
    assert.deepEqual(rsa.asymmetricKeyDetails, { modulusLength: 2048, publicExponent: 65537n });
    assert(rsa.equals(createPrivateKey(RSA_PKCS1)));
    assert.equal(rsa.export({ type: "pkcs8", format: "pem" }), RSA_PKCS8);
    assert.equal(rsa.export({ type: "pkcs1", format: "pem" }), RSA_PKCS1);
    const fromJwk = createPrivateKey({ key: rsa.export({ format: "jwk" }), format: "jwk" });
    assert(fromJwk.equals(rsa));
    const publicKey = createPublicKey(rsa);
    assert.equal(publicKey.export({ type: "spki", format: "pem" }), createPublicKey(CERTIFICATE).export({ type: "spki", format: "pem" }));
    assert(createPublicKey({ key: publicKey.export({ type: "pkcs1", format: "der" }), format: "der", type: "pkcs1" }).equals(publicKey));
    const ec = createPrivateKey(EC_SEC1);
    assert.deepEqual([ec.asymmetricKeyType, ec.asymmetricKeyDetails], ["ec", { namedCurve: "prime256v1" }]);
    assert.equal(ec.export({ type: "sec1", format: "pem" }), EC_SEC1);
    const jwk = ec.export({ format: "jwk" });
    assert.deepEqual([jwk.kty, jwk.crv, Buffer.from(jwk.x, "base64url").length], ["EC", "P-256", 32]);
    const secret = createSecretKey(Buffer.from("secret"));
    assert.deepEqual([secret.type, secret.symmetricKeySize, secret.export().toString(), secret.export({ format: "jwk" })], ["secret", 6, "secret", { kty: "oct", k: "c2VjcmV0" }]);
    assert(secret instanceof KeyObject);
    assert.throws(() => createPrivateKey("no key"), { code: "ERR_OSSL_UNSUPPORTED" });
    assert.throws(() => createPrivateKey(CERTIFICATE), { code: "ERR_INVALID_ARG_VALUE" });
    const pair = crypto.generateKeyPairSync("ed25519", { publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } });
    assert.match(pair.publicKey, /^-----BEGIN PUBLIC KEY-----/);
    const x = crypto.generateKeyPairSync("x25519");
    const y = await promisify(crypto.generateKeyPair)("x25519");
    assert.deepEqual(crypto.diffieHellman({ privateKey: x.privateKey, publicKey: y.publicKey }), crypto.diffieHellman({ privateKey: y.privateKey, publicKey: x.publicKey }));
    const [alice, bob] = ["prime256v1", "prime256v1"].map((curve) => crypto.createECDH(curve));
    alice.generateKeys();
    bob.generateKeys("hex", "compressed");
    assert.equal(alice.computeSecret(bob.getPublicKey("hex", "compressed"), "hex", "hex"), bob.computeSecret(alice.getPublicKey(), null, "hex"));
    assert.equal(crypto.generateKeySync("aes", { length: 256 }).symmetricKeySize, 32);
  },
  async signatures() {
    const message = Buffer.from("a message");
    const rsa = createPrivateKey(RSA_PKCS8);
    for (const algorithm of ["RSA-SHA256", "sha384", "SHA512"]) {
      const made = createSign(algorithm).update("a ").update("message").sign(rsa);
      assert(createVerify(algorithm).update(message).verify(CERTIFICATE, made), algorithm);
      assert(!createVerify(algorithm).update("another").verify(createPublicKey(rsa), made), algorithm);
    }
    const pss = { key: rsa, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST };
    const salted = crypto.sign("sha256", message, pss);
    assert(crypto.verify("sha256", message, { ...pss, key: CERTIFICATE }, salted));
    for (const namedCurve of ["P-256", "P-384", "P-521"]) {
      const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve });
      for (const hash of ["sha256", "sha512"]) {
        const der = crypto.sign(hash, message, privateKey);
        assert(crypto.verify(hash, message, publicKey, der), `${namedCurve} ${hash}`);
        const plain = crypto.sign(hash, message, { key: privateKey, dsaEncoding: "ieee-p1363" });
        assert.equal(plain.length, { "P-256": 64, "P-384": 96, "P-521": 132 }[namedCurve]);
        assert(crypto.verify(hash, message, { key: publicKey, dsaEncoding: "ieee-p1363" }, plain));
        assert(!crypto.verify(hash, Buffer.from("other"), publicKey, der));
      }
    }
    // What Node.js signs is what Web Crypto verifies.
    const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
    const imported = await webcrypto.subtle.importKey("spki", publicKey.export({ type: "spki", format: "der" }), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
    const plain = crypto.sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    assert(await webcrypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, plain, message));
    const ed = crypto.generateKeyPairSync("ed25519");
    const signature = crypto.sign(null, message, ed.privateKey);
    assert(crypto.verify(null, message, ed.publicKey, signature));
    assert(!crypto.verify(undefined, Buffer.from("other"), ed.publicKey, signature));
    const sealed = crypto.publicEncrypt(CERTIFICATE, Buffer.from("for you"));
    assert.equal(crypto.privateDecrypt(RSA_PKCS8, sealed).toString(), "for you");
    const labelled = crypto.publicEncrypt({ key: CERTIFICATE, oaepHash: "sha256", oaepLabel: Buffer.from("l") }, Buffer.from("x"));
    assert.throws(() => crypto.privateDecrypt({ key: rsa, oaepHash: "sha256" }, labelled));
    assert.throws(() => crypto.sign("sha1", message, rsa), /sha256, sha384 and sha512/);
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
