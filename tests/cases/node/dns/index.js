import assert from "node:assert";
import dns from "node:dns";
import { lookup, resolve4, Resolver } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";
import { promisify } from "node:util";

const tests = {
  async local() {
    assert.deepEqual(await lookup("localhost", { family: 4 }), { address: "127.0.0.1", family: 4 });
    assert.deepEqual(await resolve4("localhost"), ["127.0.0.1"]);
    assert.deepEqual(await new Resolver().resolve("localhost", "AAAA"), ["::1"]);
    assert.deepEqual(await lookup("192.0.2.1", { all: true }), [{ address: "192.0.2.1", family: 4 }]);
    const [address, family] = await new Promise((resolve, reject) =>
      dns.lookup("localhost", 4, (error, ...values) => error ? reject(error) : resolve(values)));
    assert.deepEqual([address, family], ["127.0.0.1", 4]);
    assert.deepEqual([isIP("1.2.3.4"), isIP("::1"), isIP("1.2.3"), isIPv6("fe80::1%eth0"), isIP("256.1.1.1")], [4, 6, 0, true, 0]);
  },
  async refused() {
    await assert.rejects(lookup("no-such-name.invalid"), { code: "ENOTFOUND", syscall: "getaddrinfo", hostname: "no-such-name.invalid" });
    await assert.rejects(promisify(dns.resolveMx)("localhost"), { code: "ENOTIMP", syscall: "queryMx" });
    await assert.rejects(lookup("localhost", { family: 5 }), { code: "ERR_INVALID_ARG_VALUE" });
    assert.throws(() => dns.lookup("localhost"), { code: "ERR_INVALID_ARG_TYPE" });
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
