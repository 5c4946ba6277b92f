//! WebSockets through the front door and out of it, with a client and a server of another implementation (tungstenite).

mod support;

use std::net::SocketAddr;

use futures::SinkExt as _;
use futures::StreamExt as _;
use support::DEADLINE;
use support::process::Dev;
use support::process::Serve;
use support::project::Project;
use support::project::config;
use support::raw::Raw;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

const WORKER: &str = r#"
const kept = {};

/** A pair whose server end tells the log what happens to it. */
function pair(onMessage, options) {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept(options);
  server.addEventListener("message", ({ data }) => onMessage(server, data));
  server.addEventListener("close", ({ code, reason, wasClean }) => console.log(`closed ${code} '${reason}' ${wasClean} ${server.readyState}`));
  server.addEventListener("error", ({ error }) => console.log(`broke: ${error.message}`));
  return { client, server };
}

const switched = (client, headers) => new Response(null, { status: 101, webSocket: client, headers });

const answers = {
  "/echo": () => switched(pair((server, data) => server.send(data)).client),
  "/types": () => switched(pair((server, data) => {
    const type = typeof data === "string" ? `text ${data}` : data instanceof Blob ? `blob ${data.size}` : `buffer ${data.byteLength}`;
    server.send(type);
    if (data instanceof Blob) server.binaryType = "arraybuffer";
  }).client),
  "/greet": () => {
    const { client, server } = pair(() => {});
    server.send("sent before the client was there");
    let n = 0;
    setInterval(() => server.send(`tick ${++n}`), 2);
    return switched(client, { "sec-websocket-protocol": "chat", "x-own": "kept" });
  },
  "/bye": () => {
    const { client, server } = pair(() => server.close(4001, "enough"));
    return switched(client);
  },
  "/manual": () => {
    const { client, server } = pair(() => {}, { allowHalfOpen: true });
    server.addEventListener("close", () => {
      server.send("one more");
      server.close(4002, "now");
    });
    return switched(client);
  },
  "/spin": () => switched(pair(() => { for (;;); }).client),
  "/throw": () => switched(pair((server, data) => { if (data === "throw") throw new Error("in the listener"); server.send(data); }).client),
  "/flood": () => switched(pair((server) => {
    const chunk = new Uint8Array(1 << 20);
    try {
      for (;;) server.send(chunk);
    } catch (error) {
      console.log(`refused: ${error.name}: ${error.message}`);
    }
  }).client),
  "/never": () => switched(new WebSocketPair()[0]),
  "/kept": () => {
    const { client, server } = pair(() => {});
    kept.server = server;
    return switched(client);
  },
  "/use": () => {
    try {
      kept.server.send("from another");
    } catch (error) {
      return new Response(error.message);
    }
  },
  "/proxy": (request, env) => fetch(`${env.UPSTREAM}/proxied`, request),
  "/fetch": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/`, { headers: { upgrade: "websocket", "sec-websocket-protocol": "chat" } });
    const socket = response.webSocket;
    socket.accept();
    const messages = [`${response.status} ${socket.protocol} ${response.headers.get("sec-websocket-protocol")}`];
    const over = new Promise((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        messages.push(data);
        if (messages.length === 3) socket.close(1000, "done");
      });
      socket.addEventListener("close", ({ code, reason, wasClean }) => resolve(`${code} ${reason} ${wasClean}`));
    });
    socket.send("one");
    socket.send("two");
    messages.push(await over);
    return Response.json(messages);
  },
  "/new": async (request, env) => {
    const socket = new WebSocket(env.UPSTREAM.replace("http", "ws"), ["chat", "other"]);
    const events = [socket.readyState, socket.url.replace(/\d+/g, "N")];
    await new Promise((resolve) => {
      socket.onopen = () => { events.push(`open ${socket.readyState} ${socket.protocol}`); socket.send("hello"); };
      socket.onmessage = ({ data }) => { events.push(data); socket.close(); };
      socket.onclose = ({ code, wasClean }) => resolve(events.push(`close ${code} ${wasClean} ${socket.readyState}`));
    });
    return Response.json(events);
  },
  "/refused": async (request, env) => {
    const events = [];
    const socket = new WebSocket(`${env.UPSTREAM.replace("http", "ws")}/refuse`);
    await new Promise((resolve) => {
      socket.onerror = ({ error }) => events.push(error.message);
      socket.onclose = ({ code }) => resolve(events.push(code));
    });
    events.push(await fetch(`${env.UPSTREAM}/refuse`, { headers: { upgrade: "websocket" } }).then((r) => `${r.status} ${r.webSocket}`));
    return Response.json(events);
  },
  "/bridge": async (request, env) => {
    const { 0: client, 1: server } = new WebSocketPair();
    const upstream = (await fetch(env.UPSTREAM, { headers: { upgrade: "websocket" } })).webSocket;
    server.accept();
    upstream.accept();
    server.addEventListener("message", ({ data }) => upstream.send(data));
    upstream.addEventListener("message", ({ data }) => server.send(data));
    server.addEventListener("close", ({ code }) => upstream.close(code));
    return switched(client);
  },
  "/both": async () => {
    const { 0: a, 1: b } = new WebSocketPair();
    const events = [];
    a.accept();
    a.send("before b accepts");
    b.addEventListener("message", ({ data }) => { events.push(data); b.send("back"); });
    a.addEventListener("message", ({ data }) => { events.push(data); a.close(4000, "over"); });
    const closed = Promise.all([a, b].map((end) => new Promise((resolve) => end.addEventListener("close", (event) => resolve(`${event.code} ${event.reason} ${end.readyState}`)))));
    b.accept();
    events.push(...await closed);
    return Response.json(events);
  },
};

async function told(work) {
  try {
    return `nothing: ${await work()}`;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

const table = {
  "send before accept": () => new WebSocketPair()[0].send("x"),
  "close before accept": () => new WebSocketPair()[0].close(),
  "send after close": () => { const [a] = Object.values(new WebSocketPair()); a.accept(); a.close(); a.send("x"); },
  "a code that is none": () => { const [a] = Object.values(new WebSocketPair()); a.accept(); a.close(1005); },
  "a reason that is too long": () => { const [a] = Object.values(new WebSocketPair()); a.accept(); a.close(1000, "x".repeat(124)); },
  "a reason without a code": () => { const [a] = Object.values(new WebSocketPair()); a.accept(); a.close(undefined, "x"); },
  "a message that is too large": () => { const [a] = Object.values(new WebSocketPair()); a.accept(); a.send("x".repeat(32 * 1024 * 1024 + 1)); },
  "a url that is none": () => new WebSocket("nonsense"),
  "a scheme that is none": () => new WebSocket("ftp://a.example"),
  "a url with a fragment": () => new WebSocket("ws://a.example/#x"),
  "a protocol that is none": () => new WebSocket("ws://a.example/", ["a b"]),
  "a protocol twice": () => new WebSocket("ws://a.example/", ["a", "a"]),
  "a status without a socket": () => new Response(null, { status: 101 }),
  "a socket without its status": () => new Response(null, { webSocket: new WebSocketPair()[0] }),
  "a socket that is none": () => new Response(null, { status: 101, webSocket: {} }),
  "a clone": () => new Response(null, { status: 101, webSocket: new WebSocketPair()[0] }).clone(),
  "a binary type that is none": () => { new WebSocketPair()[0].binaryType = "text"; },
  "constants": () => [WebSocket.CONNECTING, WebSocket.OPEN, new WebSocketPair()[0].CLOSING, WebSocket.READY_STATE_CLOSED].join(),
};

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/table") {
      const results = {};
      for (const name in table) results[name] = await told(table[name]);
      return Response.json(results);
    }
    if (answers[pathname] === undefined) return new Response("alive");
    return answers[pathname](request, env);
  },
};
"#;

type Socket = WebSocketStream<TcpStream>;
/// With the answer to its handshake.
type Answered = (Socket, Response<Option<Vec<u8>>>);

/// A worker and clients of it.
struct Stage {
    runtime: Runtime,
    dev: Dev,
    _project: Project,
}

impl Stage {
    fn new(arguments: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let project = Project::worker(WORKER);
        let dev = Dev::start(project.path(), arguments);
        Self { runtime, dev, _project: project }
    }

    /// With an upstream that echoes, and refuses at `/refuse`.
    fn with_upstream() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let upstream = format!("UPSTREAM:http://{}", listener.local_addr().unwrap());
        runtime.spawn(echo(listener));
        let project = Project::worker(WORKER);
        let dev = Dev::start(project.path(), &["--var", &upstream]);
        Self { runtime, dev, _project: project }
    }

    fn connect(&self, path: &str) -> Socket {
        self.try_connect(path).unwrap().0
    }

    fn try_connect(&self, path: &str) -> Result<Answered, Error> {
        self.run(connect(self.dev.address, path))
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(DEADLINE, work).await.expect("nothing came") })
    }

    fn send(&self, socket: &mut Socket, message: Message) {
        self.run(socket.send(message)).unwrap();
    }

    fn next(&self, socket: &mut Socket) -> Option<Result<Message, Error>> {
        self.run(socket.next())
    }

    fn message(&self, socket: &mut Socket) -> Message {
        self.next(socket).expect("the connection ended").unwrap()
    }

    fn text(&self, socket: &mut Socket) -> String {
        self.message(socket).into_text().unwrap().to_string()
    }

    /// The code and the reason of the close that comes next.
    fn closed(&self, socket: &mut Socket) -> (u16, String) {
        match self.message(socket) {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("no close, but {other:?}"),
        }
    }
}

async fn connect(address: SocketAddr, path: &str) -> Result<Answered, Error> {
    let mut request = format!("ws://a.localhost{path}").into_client_request()?;
    if path == "/greet" {
        request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
    }
    let config = WebSocketConfig::default().max_message_size(Some(64 << 20)).max_frame_size(Some(64 << 20));
    let stream = TcpStream::connect(address).await?;
    tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await
}

#[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
async fn echo(listener: TcpListener) {
    use tokio_tungstenite::tungstenite::handshake::server::ErrorResponse;
    use tokio_tungstenite::tungstenite::handshake::server::Request;
    use tokio_tungstenite::tungstenite::handshake::server::Response as Accepted;
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let handshake = |request: &Request, mut response: Accepted| {
                if request.uri().path() == "/refuse" {
                    let mut refusal = ErrorResponse::new(Some("no".to_owned()));
                    *refusal.status_mut() = 403.try_into().unwrap();
                    return Err(refusal);
                }
                if let Some(protocols) = request.headers().get("sec-websocket-protocol") {
                    assert!(protocols.to_str().unwrap().starts_with("chat"));
                    response.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
                }
                Ok(response)
            };
            let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, handshake).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[test]
fn messages_go_both_ways_and_keep_their_type() {
    let stage = Stage::new(&[]);
    let mut socket = stage.connect("/echo");
    for message in [
        Message::text("hello"),
        Message::text(""),
        Message::text("\u{e9}\u{1f600}"),
        Message::binary(vec![0, 1, 255]),
        Message::binary(vec![7; 3 << 20]),
        Message::text("x".repeat(1 << 20)),
    ] {
        stage.send(&mut socket, message.clone());
        assert!(stage.message(&mut socket) == message);
    }
    // In pieces, with a ping in between.
    let frame = |payload: &'static str, data, fin| Message::Frame(Frame::message(payload, OpCode::Data(data), fin));
    stage.send(&mut socket, frame("\u{e9}o", Data::Text, false));
    stage.send(&mut socket, Message::Ping("there?".into()));
    stage.send(&mut socket, frame("ne", Data::Continue, false));
    stage.send(&mut socket, frame("", Data::Continue, true));
    assert_eq!(stage.message(&mut socket), Message::Pong("there?".into()));
    assert_eq!(stage.text(&mut socket), "\u{e9}one");

    let mut socket = stage.connect("/types");
    for (message, type_) in [
        (Message::text("a"), "text a"),
        (Message::binary(vec![1, 2]), "blob 2"),
        (Message::binary(vec![1, 2]), "buffer 2"),
    ] {
        stage.send(&mut socket, message);
        assert_eq!(stage.text(&mut socket), type_);
    }
}

#[test]
fn the_server_may_speak_first_and_for_as_long_as_the_client_stays() {
    let stage = Stage::new(&[]);
    let (mut socket, response) = stage.try_connect("/greet").unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(
        (&response.headers()["sec-websocket-protocol"], &response.headers()["x-own"]),
        (&"chat".parse().unwrap(), &"kept".parse().unwrap())
    );
    assert_eq!(stage.text(&mut socket), "sent before the client was there");
    for n in 1..50 {
        assert_eq!(stage.text(&mut socket), format!("tick {n}"));
    }
    stage.run(socket.close(None)).unwrap();
    while let Some(Ok(_)) = stage.next(&mut socket) {}
    stage.dev.output().wait_for("^closed 1005 '' true 3$");
    // The invocation has ended, and its interval with it.
    stage.dev.output().wait_for("^GET /greet 101 ");
}

#[test]
fn closes_have_codes_and_reasons_in_both_directions() {
    let stage = Stage::new(&[]);
    let mut socket = stage.connect("/echo");
    let close = CloseFrame { code: CloseCode::Library(4_000), reason: "going".into() };
    stage.run(socket.close(Some(close))).unwrap();
    assert_eq!(stage.closed(&mut socket).0, 4_000, "answered by the runtime");
    assert!(stage.next(&mut socket).is_none());
    stage.dev.output().wait_for("^closed 4000 'going' true 3$");

    let mut socket = stage.connect("/bye");
    stage.send(&mut socket, Message::text("x"));
    assert_eq!(stage.closed(&mut socket), (4_001, "enough".to_owned()));
    assert!(stage.next(&mut socket).is_none());
    stage.dev.output().wait_for("^closed 4001 'enough' true 3$");
}

#[test]
fn with_half_open_the_script_answers_the_close() {
    let stage = Stage::new(&[]);
    let mut raw = Raw::connect(stage.dev.address);
    handshake(&mut raw, "/manual");
    // A masked close with code 1000, the mask being zero.
    raw.write([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    let received = raw.read_to_end_bytes();
    let frames = received.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(received[frames..], *b"\x81\x08one more\x88\x05\x0f\xa2now");
}

fn handshake(raw: &mut Raw, path: &str) {
    raw.write(format!(
        "GET {path} HTTP/1.1\r\nHost: a.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    let head = raw.read_until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
}

#[test]
fn whoever_breaks_the_protocol_is_told_so() {
    let stage = Stage::new(&[]);
    for (frames, code) in [
        (&b"\x81\x01x"[..], 1002_u16),
        // Reserved bits, an operation that is none, a continuation of nothing, a control frame in pieces.
        (b"\xc1\x81\0\0\0\0x", 1002),
        (b"\x83\x81\0\0\0\0x", 1002),
        (b"\x80\x81\0\0\0\0x", 1002),
        (b"\x09\x81\0\0\0\0x", 1002),
        // A second message within one, a close without room for its code, a code that nobody may send.
        (b"\x01\x81\0\0\0\0x\x81\x81\0\0\0\0x", 1002),
        (b"\x88\x81\0\0\0\0x", 1002),
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
        // No UTF-8, also over two frames.
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0x", 1007),
        // More than 32 MiB, said in the head.
        (b"\x82\xff\0\0\0\0\x02\0\0\x01\0\0\0\0", 1009),
    ] {
        let mut raw = Raw::connect(stage.dev.address);
        handshake(&mut raw, "/echo");
        raw.write(frames);
        let received = raw.read_to_end_bytes();
        let expected = [&[0x88, 2][..], &code.to_be_bytes()].concat();
        assert!(received.ends_with(&expected), "{frames:?}: {:?}", &received[received.len() - 8..]);
    }
    assert_eq!(stage.dev.client().get("/").text(), "alive");
}

#[test]
fn a_message_may_have_32_mib_and_no_more() {
    let stage = Stage::new(&[]);
    let mut socket = stage.connect("/types");
    stage.send(&mut socket, Message::binary(vec![1; 32 << 20]));
    assert_eq!(stage.text(&mut socket), format!("blob {}", 32 << 20));
    let mut socket = stage.connect("/types");
    let _ = stage.run(socket.send(Message::binary(vec![1; (32 << 20) + 1])));
    loop {
        match stage.next(&mut socket) {
            Some(Ok(Message::Close(Some(frame)))) => break assert_eq!(u16::from(frame.code), 1009),
            // The rest of the message was on its way when the server closed.
            Some(Err(_)) | None => break,
            Some(Ok(_)) => {}
        }
    }
    stage.dev.output().wait_for("^broke: WebSocket disconnected prematurely");
}

#[test]
fn a_client_that_vanishes_breaks_the_socket_and_ends_the_invocation() {
    let stage = Stage::new(&[]);
    let mut socket = stage.connect("/echo");
    stage.send(&mut socket, Message::text("x"));
    assert_eq!(stage.text(&mut socket), "x");
    drop(socket);
    stage.dev.output().wait_for("^broke: WebSocket disconnected prematurely without sending a close frame.$");
    stage.dev.output().wait_for("^closed 1006 ");
    stage.dev.output().wait_for("^GET /echo 101 ");
}

#[test]
fn a_limit_ends_one_socket_and_leaves_its_neighbours() {
    let stage = Stage::new(&[]);
    let (mut spinning, mut neighbour) = (stage.connect("/spin"), stage.connect("/echo"));
    stage.send(&mut spinning, Message::text("x"));
    assert_eq!(stage.closed(&mut spinning).0, 1011);
    stage.dev.output().wait_for("^The worker exceeded its CPU budget");
    stage.send(&mut neighbour, Message::text("still here"));
    assert_eq!(stage.text(&mut neighbour), "still here");

    let mut throwing = stage.connect("/throw");
    stage.send(&mut throwing, Message::text("throw"));
    stage.send(&mut throwing, Message::text("after"));
    assert_eq!(stage.text(&mut throwing), "after");
    stage.dev.output().wait_for("Error: in the listener");
}

#[test]
fn what_a_client_does_not_take_counts_into_the_memory_of_the_isolate() {
    let directory = sockets("[limits]\nmemory_mb = 32\ncpu_ms = 5000", "");
    let server = Serve::start(&directory.file("holm.toml"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut socket, _) = connect(server.http().address, "/flood").await.unwrap();
        socket.send(Message::text("go")).await.unwrap();
        server.output().wait_for("refused: RangeError: The worker's memory limit is reached");
    });
    assert_eq!(server.http().get_at("a.example", "/").text(), "alive");
}

/// A server with the worker.
fn sockets(server: &str, worker: &str) -> Project {
    let configuration = format!(
        "[server]\nhttp = \"127.0.0.1:0\"\n{server}\n\
         [[worker]]\nproject = \"sockets\"\nhostnames = [\"a.example\", \"a.localhost\"]\n{worker}\n"
    );
    Project::with(&[
        ("holm.toml", &configuration),
        ("sockets/wrangler.jsonc", &config("sockets", "")),
        ("sockets/index.js", WORKER),
    ])
}

#[test]
fn a_socket_whose_other_end_nobody_accepts_is_closed() {
    let stage = Stage::new(&[]);
    let mut socket = stage.connect("/never");
    assert_eq!(stage.closed(&mut socket).0, 1011);
    stage.dev.output().wait_for("^The worker's code had hung");
}

#[test]
fn a_socket_is_of_no_use_to_another_request() {
    let stage = Stage::new(&[]);
    let mut socket = stage.connect("/kept");
    let told = stage.dev.client().get("/use").text();
    assert!(told.starts_with("Cannot perform I/O on behalf of a different request."), "{told}");
    assert!(told.contains("Created by request 1, used by request 2"), "{told}");
    stage.run(socket.close(None)).unwrap();
}

#[test]
fn a_worker_connects_to_others() {
    let stage = Stage::with_upstream();
    let client = stage.dev.client();
    assert_eq!(client.get("/fetch").json(), serde_json::json!(["101 chat chat", "one", "two", "1000 done true"]));
    assert_eq!(
        client.get("/new").json(),
        serde_json::json!([0, "ws://N.N.N.N:N/", "open 1 chat", "hello", "close 1005 true 3"])
    );
    assert_eq!(
        client.get("/refused").json(),
        serde_json::json!([
            "Failed to establish the WebSocket connection: expected server to reply with HTTP status code 101 (switching protocols), but received 403 instead.",
            1006,
            "403 null"
        ])
    );
    assert_eq!(
        client.get("/both").json(),
        serde_json::json!(["before b accepts", "back", "4000 over 3", "4000 over 3"])
    );
    for path in ["/proxy", "/bridge"] {
        let mut socket = stage.connect(path);
        for n in 0..5 {
            stage.send(&mut socket, Message::text(format!("{n} through {path}")));
            assert_eq!(stage.text(&mut socket), format!("{n} through {path}"));
        }
        let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        stage.run(socket.close(Some(close))).unwrap();
        assert_eq!(stage.closed(&mut socket).0, 1000, "{path}");
        stage.dev.output().wait_for(&format!("^GET {path} 101 "));
    }
}

#[test]
fn misuse_is_told() {
    let stage = Stage::new(&[]);
    let told = stage.dev.client().get("/table").json();
    let table = [
        ("send before accept", "TypeError: You must call accept() on this WebSocket before sending messages."),
        ("close before accept", "TypeError: You must call accept() on this WebSocket before sending messages."),
        ("send after close", "TypeError: Can't call WebSocket send() after close()."),
        ("a code that is none", "InvalidAccessError: Invalid WebSocket close code: 1005."),
        ("a reason that is too long", "SyntaxError: WebSocket close reason must not be longer than 123 bytes."),
        (
            "a reason without a code",
            "TypeError: If you specify a WebSocket close reason, you must also specify a code.",
        ),
        (
            "a message that is too large",
            "RangeError: The message is larger than 32 MiB, the most that a WebSocket message may have.",
        ),
        ("a url that is none", "SyntaxError: WebSocket Constructor: The url is invalid: nonsense"),
        ("a scheme that is none", "SyntaxError: WebSocket Constructor: The url scheme must be ws, wss, http or https."),
        ("a url with a fragment", "SyntaxError: WebSocket Constructor: The url fragment must be empty."),
        (
            "a protocol that is none",
            "SyntaxError: WebSocket Constructor: The protocol a b is no token, or there twice.",
        ),
        ("a protocol twice", "SyntaxError: WebSocket Constructor: The protocol a is no token, or there twice."),
        (
            "a status without a socket",
            "RangeError: Responses may only be constructed with status codes in the range 200 to 599, inclusive.",
        ),
        ("a socket without its status", "RangeError: Responses with a WebSocket must have status code 101."),
        (
            "a socket that is none",
            "TypeError: Failed to construct 'Response': member webSocket is not of type 'WebSocket'.",
        ),
        ("a clone", "TypeError: Cannot clone a response to a WebSocket handshake."),
        (
            "a binary type that is none",
            "SyntaxError: 'text' is not a valid value for binaryType; use \"blob\" or \"arraybuffer\".",
        ),
        ("constants", "nothing: 0,1,2,3"),
    ];
    for (name, message) in table {
        assert_eq!(told[name], message, "{name}");
    }
    assert_eq!(told.as_object().unwrap().len(), table.len());
}

#[test]
fn only_a_client_that_asks_for_a_websocket_gets_one() {
    let stage = Stage::new(&[]);
    let answer = stage.dev.client().get("/echo");
    assert_eq!((answer.status, answer.error()), (500, "exception"));
    assert!(answer.text().contains("the request is no WebSocket handshake"), "{}", answer.text());
    for missing in [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        let mut raw = Raw::connect(stage.dev.address);
        let fields = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        let fields: String =
            fields.iter().filter(|field| **field != missing).map(|field| format!("{field}\r\n")).collect();
        raw.write(format!("GET /echo HTTP/1.1\r\nHost: a.localhost\r\n{fields}\r\n"));
        let head = raw.read_until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 500"), "without {missing}: {head}");
    }
    // Who asks for one need not get it.
    let refused = stage.try_connect("/").map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status() == 200));
}

#[test]
fn a_server_that_stops_says_goodbye() {
    let directory = sockets("", "");
    let server = Serve::start(&directory.file("holm.toml"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut socket, _) = connect(server.http().address, "/echo").await.unwrap();
        socket.send(Message::text("x")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("x"));
        server.process.signal("TERM");
        let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close") };
        assert_eq!(frame.code, CloseCode::Away);
    });
}

#[test]
fn egress_rules_apply_to_websockets_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(echo(listener));
    let worker = format!("egress = {{ deny = [\"127.0.0.0/8\"] }}\nvars = {{ UPSTREAM = \"http://{address}\" }}");
    let directory = sockets("egress = \"any\"", &worker);
    let server = Serve::start(&directory.file("holm.toml"));
    assert_eq!(server.http().get_at("a.example", "/fetch").status, 500);
    let events = server.http().get_at("a.example", "/new").json();
    assert_eq!(events[2], "close 1006 false 3", "{events}");
    drop(runtime);
}
