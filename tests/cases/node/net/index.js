import { once } from "node:events";
import net, { BlockList, isIP, Socket, SocketAddress } from "node:net";
import { finished } from "node:stream/promises";
import tls from "node:tls";

const told = async (work) => {
  try {
    return await work();
  } catch (error) {
    return `${error.code}: ${error.message}`;
  }
};

/** What becomes of a socket, in the order of its events. */
const fate = (socket) =>
  new Promise((resolve) => {
    const events = [];
    socket.on("error", (error) => events.push(`${error.code}: ${error.message}`, error.cause?.message));
    socket.on("close", (had) => resolve([...events, `close ${had}`]));
  });

const ask = (path, host) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;

const table = {
  exchange: async ({ host, hostname, port }) => {
    const socket = net.connect(port, hostname);
    const events = [];
    for (const event of ["lookup", "connect", "ready", "end", "finish", "close"]) socket.on(event, () => events.push(event));
    const before = [socket.connecting, socket.pending, socket.readyState];
    socket.write(ask("/text", host));
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += chunk;
    if (!socket.closed) await once(socket, "close");
    return [before, text.split("\r\n\r\n")[1], events, socket.bytesRead === text.length, socket.bytesWritten, socket.destroyed, socket.readyState];
  },
  addresses: async ({ hostname, port }) => {
    const socket = net.createConnection({ host: hostname, port });
    await once(socket, "connect");
    const { remoteAddress, remoteFamily, remotePort, localAddress, localPort } = socket;
    const { address, family } = socket.address();
    socket.setNoDelay().setKeepAlive(true, 1000).ref().unref();
    socket.destroy();
    return [remoteAddress, remoteFamily, remotePort === port, localAddress, localPort > 0, address, family];
  },
  name: async ({ port }) => {
    const socket = net.connect({ host: "localhost", port });
    const [looked] = await Promise.all([once(socket, "lookup"), once(socket, "connect")]);
    socket.destroy();
    // With a lookup of its own it connects to what that answers.
    const own = net.connect({ host: "a.example", port, lookup: (host, options, callback) => callback(null, "127.0.0.1", 4) });
    await once(own, "connect");
    const { remoteAddress } = own;
    own.destroy();
    return [looked[0], looked[2], looked[3], remoteAddress];
  },
  large: async ({ host, hostname, port }) => {
    const socket = net.connect(port, hostname);
    const text = "x".repeat(1 << 20);
    socket.cork();
    socket.write(`POST /echo HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\ncontent-length: ${text.length}\r\n\r\n`);
    socket.write(Buffer.from(text));
    socket.uncork();
    let size = 0;
    // A reader that is slow.
    for await (const chunk of socket) {
      size += chunk.length;
      await scheduler.wait(0);
    }
    return size > text.length;
  },
  buffer: async ({ host, hostname, port }) => {
    let text = "";
    const socket = net.connect({
      port, host: hostname,
      onread: { buffer: Buffer.alloc(64), callback: (count, buffer) => { text += buffer.latin1Slice(0, count); return true; } },
    });
    socket.write(ask("/text", host));
    await once(socket, "end");
    return text.split("\r\n\r\n")[1];
  },
  failures: async ({ hostname, port }) => [
    await fate(net.connect(1, hostname)),
    await fate(net.connect(80, "no-such-name.invalid")),
    await fate(net.connect(25, hostname)),
    await fate(net.connect(443, "10.0.0.1")),
    await fate(tls.connect(port, hostname)),
  ],
  timeout: async ({ hostname, port }) => {
    const socket = new Socket();
    socket.setTimeout(20);
    socket.connect(port, hostname);
    await once(socket, "timeout");
    socket.destroy(new Error("too slow"));
    return told(() => finished(socket));
  },
  aborted: async ({ hostname, port }) => {
    const controller = new AbortController();
    const socket = net.connect({ port, host: hostname, signal: controller.signal });
    await once(socket, "connect");
    controller.abort();
    return fate(socket);
  },
  thrown: async ({ host, hostname, port }) => {
    const socket = net.connect(port, hostname);
    socket.on("data", () => {
      throw new Error("from a listener");
    });
    socket.write(ask("/text", host));
    await once(socket, "close");
    return "went on";
  },
  misuse: async ({ port }) => [
    await told(() => net.connect("/tmp/socket")),
    await told(() => net.connect({})),
    await told(() => net.connect(70000)),
    await told(() => net.createServer().listen(port)),
    await told(() => tls.createServer()),
    await told(() => tls.connect({ port, rejectUnauthorized: false })),
    await told(() => tls.connect({ port, cert: "a" })),
    await told(() => tls.connect({ port, checkServerIdentity: () => undefined })),
    await told(() => tls.createSecureContext({ pfx: "a" })),
  ],
  values: () => {
    const list = new BlockList();
    list.addSubnet("10.0.0.0", 8);
    list.addAddress("::1", "ipv6");
    list.addRange("192.0.2.1", "192.0.2.9");
    const checks = [["10.9.8.7"], ["11.0.0.1"], ["::ffff:10.1.1.1", "ipv6"], ["0:0::1", "ipv6"], ["192.0.2.9"], ["192.0.2.10"]];
    return [
      ["1.2.3.4", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "01.2.3.4", "1.2.3", "x", ""].map(isIP),
      checks.map((check) => list.check(...check)), list.rules,
      new SocketAddress({ address: "2001:DB8::0:1", family: "ipv6", port: 80 }).address, SocketAddress.parse("[::1]:443").port,
      tls.checkServerIdentity("a.example", { subjectaltname: "DNS:*.example.com" })?.code, tls.checkServerIdentity("b.example.com", { subjectaltname: "DNS:*.example.com" }) ?? "fits",
      net.Stream === Socket, new tls.TLSSocket() instanceof Socket,
    ];
  },
};

export default {
  async fetch(request, env) {
    const { host, hostname, port } = new URL(env.UPSTREAM);
    return Response.json(await table[new URL(request.url).pathname.slice(1)]({ host, hostname, port: +port }));
  },
};
