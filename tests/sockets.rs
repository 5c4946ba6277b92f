//! TCP and TLS of workers, by `cloudflare:sockets`, `node:net` and `node:tls`, against a server of another implementation. What
//! the modules do besides is in `cases/web/sockets` and `cases/node/net`.

mod support;

use serde_json::Value;
use serde_json::json;

use support::lines::Lines;
use support::process::Dev;
use support::process::Serve;
use support::project::Project;
use support::tls::certificate;

const WORKER: &str = r#"
import { connect } from "cloudflare:sockets";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";

const kept = {};
const text = (bytes) => new TextDecoder().decode(bytes);
const failure = async (socket) => {
  const [error] = await once(socket, "error");
  return `${error.code}: ${error.message}`;
};
async function said(socket, line) {
  socket.write(`${line}\n`);
  return `${(await once(socket, "data"))[0]}`.trim();
}
async function exchange(socket, line) {
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode(`${line}\n`));
  writer.releaseLock();
  const reader = socket.readable.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return text(value).trim();
}

const routes = {
  async connect({ secure }) {
    const socket = connect(`localhost:${secure}`, { secureTransport: "on" });
    return [await exchange(socket, "hello"), socket.secureTransport];
  },
  async startTls({ plain }) {
    const socket = connect(`localhost:${plain}`, { secureTransport: "starttls" });
    const before = await exchange(socket, "STARTTLS");
    const secure = socket.startTls();
    return [before, await exchange(secure, "hello"), socket.upgraded, secure.secureTransport];
  },
  async expected({ plain }) {
    const socket = connect(`127.0.0.1:${plain}`, { secureTransport: "starttls" });
    await exchange(socket, "STARTTLS");
    return exchange(socket.startTls({ expectedServerHostname: "localhost" }), "hello");
  },
  async fetch({ secure }) {
    // It is no server of HTTP: TLS is what this is about.
    return fetch(`https://localhost:${secure}/`).catch((error) => error.message.includes("TLS") ? "TLS failed" : "connected");
  },
  async net({ plain }) {
    const socket = net.connect(plain, "localhost");
    const answers = [await said(socket, "one"), await said(socket, "two")];
    socket.end();
    await once(socket, "close");
    return answers;
  },
  async tls({ secure }) {
    const socket = tls.connect({ host: "localhost", port: secure, ALPNProtocols: ["lines/1", "lines/3"] });
    const events = [];
    for (const name of ["connect", "secureConnect"]) socket.on(name, () => events.push(name));
    const answer = await said(socket, "hello");
    const { raw, fingerprint256 } = socket.getPeerCertificate();
    const told = [events, answer, socket.authorized, socket.alpnProtocol, socket.servername, socket.getProtocol(), socket.getCipher().version,
      raw[0] === 0x30, fingerprint256.length];
    socket.end();
    return told;
  },
  async upgrade({ plain }) {
    const socket = net.connect(plain, "localhost");
    const before = await said(socket, "STARTTLS");
    const secure = tls.connect({ socket, servername: "localhost" });
    const answer = await said(secure, "hello");
    const closed = once(socket, "close");
    secure.destroy();
    await closed;
    return [before, answer, socket.destroyed];
  },
  async ca({ secure }, env) {
    return said(tls.connect({ host: "localhost", port: secure, ca: [env.CA] }), "hello");
  },
  async refused({ plain, secure }) {
    return [
      await failure(tls.connect({ host: "localhost", port: secure, servername: "other.example" })),
      await failure(tls.connect({ host: "localhost", port: secure, ca: "nothing" })),
      await failure(tls.connect({ host: "localhost", port: secure, maxVersion: "TLSv1.2" })),
      await failure(tls.connect({ host: "localhost", port: plain })),
      await failure(tls.connect({ host: "localhost", port: secure, ALPNProtocols: Array(1000).fill("lines/1") })),
    ];
  },
  async reset({ plain }) {
    const socket = net.connect(plain, "localhost");
    socket.write("reset\nunread\n");
    socket.resume();
    return failure(socket);
  },
  async bytes({ plain }) {
    const socket = net.connect(plain, "localhost");
    socket.write("bytes 3000000\n");
    let size = 0;
    for await (const chunk of socket) size += chunk.length;
    return size;
  },
  async held({ plain }) {
    // Each of them reads when it is closed.
    const one = net.connect(plain, "localhost");
    one.write("hold\n");
    await once(one, "connect");
    one.destroy();
    const two = connect(`localhost:${plain}`);
    await two.opened;
    const reading = two.readable.getReader().read().catch((error) => error.message);
    await two.writable.getWriter().write(new TextEncoder().encode("hold\n"));
    await two.close();
    // A third one is left to the end of the request.
    net.connect(plain, "localhost").write("hold\n");
    const written = net.connect(plain, "localhost");
    await said(written, "written");
    return reading;
  },
  async keep({ plain }) {
    kept.socket = net.connect(plain, "localhost");
    kept.socket.on("error", () => {});
    return said(kept.socket, "mine");
  },
  async use() {
    const failed = failure(kept.socket);
    kept.socket.write("yours\n");
    return (await failed).replace(/\d+/g, "N");
  },
};

export default {
  async fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    try {
      return Response.json(await routes[name]({ plain: env.PLAIN, secure: env.SECURE }, env) ?? null);
    } catch (error) {
      return Response.json(`${error.code ?? error.name}: ${error.message}`);
    }
  },
};
"#;

const UNTRUSTED: &str = "The certificate of the server is not trusted, or not for this name.";

/// A server of lines, and one of workers, with what `[server] egress` says.
fn start(egress: &str) -> (Project, Lines, Serve) {
    let project = Project::with(&[
        ("worker/wrangler.jsonc", r#"{ "name": "worker", "main": "index.js", "compatibility_date": "2026-08-04" }"#),
        ("worker/index.js", WORKER),
    ]);
    certificate(&project, "lines", &["localhost"]);
    let lines = Lines::start(&project, "lines");
    let pem = std::fs::read_to_string(project.file("lines.pem")).unwrap();
    let vars = format!("{{ PLAIN = {}, SECURE = {}, CA = {pem:?} }}", lines.plain.port(), lines.secure.port());
    project.write(
        "holm.toml",
        &format!(
            "[server]\nhttp = \"127.0.0.1:0\"\n{egress}\n[[worker]]\nproject = \"worker\"\nhostnames = [\"127.0.0.1\"]\nvars = {vars}\n"
        ),
    );
    let server = Serve::start(&project.file("holm.toml"));
    (project, lines, server)
}

fn ask(server: &Serve, route: &str) -> Value {
    server.http().get(&format!("/{route}")).json()
}

#[test]
fn authorities_of_the_operator_are_trusted_for_outgoing_tls() {
    let (_project, _lines, server) = start("egress = { reach = \"public-and-loopback\", ca = [\"lines.pem\"] }");
    assert_eq!(ask(&server, "connect"), json!(["- localhost: hello", "on"]));
    assert_eq!(ask(&server, "startTls"), json!(["go", "- localhost: hello", true, "on"]));
    assert_eq!(ask(&server, "expected"), json!("- localhost: hello"));
    assert_eq!(ask(&server, "fetch"), json!("connected"));
    assert_eq!(
        ask(&server, "tls"),
        json!([
            ["connect", "secureConnect"],
            "lines/1 localhost: hello",
            true,
            "lines/1",
            "localhost",
            "TLSv1.3",
            "TLSv1.3",
            true,
            95
        ])
    );
    assert_eq!(ask(&server, "upgrade"), json!(["go", "- localhost: hello", true]));
    assert_eq!(
        ask(&server, "refused"),
        json!([
            format!("CERT_UNTRUSTED: {UNTRUSTED}"),
            "ERR_OSSL_PEM_NO_START_LINE: No certificates could be read from `ca`.",
            "ERR_SSL_UNSUPPORTED_PROTOCOL: The server speaks TLSv1.3, which is not asked for.",
            "EPROTO: The TLS handshake failed.",
            "ERR_OUT_OF_RANGE: The list of ALPNProtocols is too long.",
        ])
    );
}

#[test]
fn without_them_only_the_authorities_of_the_web_are_trusted() {
    let (project, _lines, server) = start("egress = \"public-and-loopback\"");
    let not_trusted = "TypeError: connect failed: the server's certificate is not trusted, or not for this name";
    assert_eq!(ask(&server, "connect"), json!(not_trusted));
    assert_eq!(ask(&server, "startTls"), json!(not_trusted));
    assert_eq!(ask(&server, "tls"), json!(format!("CERT_UNTRUSTED: {UNTRUSTED}")));
    assert_eq!(ask(&server, "fetch"), json!("TLS failed"));
    // A worker may say whom it trusts itself, for a connection, and for that one only.
    assert_eq!(ask(&server, "ca"), json!("- localhost: hello"));
    assert_eq!(ask(&server, "tls"), json!(format!("CERT_UNTRUSTED: {UNTRUSTED}")));
    drop(server);

    project.write("text.pem", "no certificate\n");
    let text = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    for (file, said) in [("text.pem", "holds no certificate"), ("missing.pem", "names no file")] {
        let egress = format!("egress = {{ ca = [{file:?}] }}");
        project.write("holm.toml", &text.replace("egress = \"public-and-loopback\"", &egress));
        let refused = Serve::refused(&project.file("holm.toml"));
        assert_eq!(refused.code, Some(78), "{}", refused.output);
        assert!(refused.output.contains(said) && refused.output.contains(file), "{}", refused.output);
    }
}

#[test]
fn authorities_are_taken_up_with_a_new_configuration() {
    let (project, _lines, server) = start("egress = \"public-and-loopback\"");
    assert_eq!(ask(&server, "fetch"), json!("TLS failed"));
    let text = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    let mark = server.output().mark();
    let egress = "egress = { reach = \"public-and-loopback\", ca = [\"lines.pem\"] }";
    project.write("holm.toml", &text.replace("egress = \"public-and-loopback\"", egress));
    server.output().wait_since(mark, "the replaced process has ended");
    assert_eq!(ask(&server, "fetch"), json!("connected"));
}

#[test]
fn dev_trusts_what_it_is_told_to() {
    let project = Project::with(&[
        ("wrangler.jsonc", r#"{ "name": "worker", "main": "index.js", "compatibility_date": "2026-08-04" }"#),
        ("index.js", WORKER),
    ]);
    certificate(&project, "lines", &["localhost"]);
    let lines = Lines::start(&project, "lines");
    let (plain, secure) = (format!("PLAIN:{}", lines.plain.port()), format!("SECURE:{}", lines.secure.port()));
    let pem = project.file("lines.pem");
    let arguments = ["--var", &plain, "--var", &secure, "--egress-ca", pem.to_str().unwrap()];
    let dev = Dev::start(project.path(), &arguments);
    assert_eq!(dev.client().get("/startTls").json(), json!(["go", "- localhost: hello", true, "on"]));
}

#[test]
fn sockets_of_node_are_connections_of_the_worker() {
    let (_project, lines, server) = start("egress = \"public-and-loopback\"");
    assert_eq!(ask(&server, "net"), json!(["echo: one", "echo: two"]));
    assert_eq!(ask(&server, "bytes"), json!(3_000_000));
    assert_eq!(ask(&server, "reset"), json!("ECONNRESET: read ECONNRESET"));
    // Who closes a socket waits for nobody, and who leaves one open leaves it to the end of the request.
    assert_eq!(ask(&server, "held"), json!("The socket has been closed."));
    lines.wait_for_gone(3);
    assert_eq!(ask(&server, "keep"), json!("echo: mine"));
    let used = ask(&server, "use");
    assert!(used.as_str().unwrap().contains("Cannot perform I/O on behalf of a different request"), "{used}");
}

#[test]
fn egress_rules_apply_to_node_s_sockets() {
    let (project, _lines, server) = start("egress = \"public\"");
    assert_eq!(ask(&server, "net").as_str().unwrap().split(':').next(), Some("EACCES"));
    let text = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    let mark = server.output().mark();
    project.write("holm.toml", &format!("{text}egress = {{ allow = [\"127.0.0.1\"] }}\n"));
    server.output().wait_since(mark, r#""message":"reloaded""#);
    assert_eq!(ask(&server, "net"), json!(["echo: one", "echo: two"]));
}
