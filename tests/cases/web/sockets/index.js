import { connect } from "cloudflare:sockets";
import * as module from "cloudflare:sockets";

let atStart;
try {
  connect("127.0.0.1:80");
} catch (error) {
  atStart = error.message;
}

const told = async (work) => {
  try {
    return await work();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const read = async (readable) => {
  let text = "";
  for await (const chunk of readable) text += new TextDecoder().decode(chunk);
  return text;
};

async function request(socket, host, path) {
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`));
  writer.releaseLock();
}

const table = {
  "exchange": async ({ host, hostname, port }) => {
    const socket = connect(host);
    await request(socket, host, "/text");
    const answer = await read(socket.readable);
    const { remoteAddress, localAddress } = await socket.opened;
    return [answer.split("\r\n")[0], answer.split("\r\n\r\n")[1], remoteAddress === host, /^127\.0\.0\.1:\d+$/.test(localAddress), await socket.closed ?? "closed", socket.upgraded, socket.secureTransport];
  },
  "address": async ({ host, hostname, port }) => {
    const socket = connect({ hostname, port: +port }, { allowHalfOpen: true, secureTransport: "off" });
    await request(socket, host, "/bytes/100000");
    return (await read(socket.readable)).length > 100_000;
  },
  "close": async ({ host }) => {
    const socket = connect(host);
    await socket.opened;
    const reading = told(() => socket.readable.getReader().read());
    await socket.close();
    return [await reading, await told(() => socket.writable.getWriter().write(new Uint8Array(1)))];
  },
  "failures": async ({ host, hostname }) => {
    const refused = connect(`${hostname}:1`);
    const unresolved = connect("no-such-name.invalid:80");
    const noTls = connect(host, { secureTransport: "on" });
    return [
      await told(() => refused.opened), await told(() => refused.closed), await told(() => refused.readable.getReader().read()),
      await told(() => unresolved.opened), await told(() => noTls.opened),
    ];
  },
  "start-tls": async ({ host }) => {
    const plain = connect(host, { secureTransport: "starttls" });
    const secure = plain.startTls();
    return [
      plain.upgraded, secure.secureTransport, await told(() => secure.opened), await told(() => plain.startTls()),
      await told(() => connect(host).startTls()), await told(() => connect(host, { secureTransport: "on" }).startTls()),
    ];
  },
  "errors": async ({ host }) => [
    atStart,
    await told(() => connect()), await told(() => connect("nonsense")), await told(() => connect("a:99999")), await told(() => connect("a.example:25")),
    await told(() => connect({ hostname: "a b", port: 80 })), await told(() => connect({ hostname: "a" })), await told(() => connect(host, { secureTransport: "maybe" })),
    await told(async () => { const socket = connect(host); await socket.writable.getWriter().write("text"); }), typeof module.default.connect,
  ],
};

export default {
  async fetch(request, env) {
    const { host, hostname, port } = new URL(env.UPSTREAM);
    return Response.json(await table[new URL(request.url).pathname.slice(1)]({ host, hostname, port }));
  },
};
