//! Clients that attack the door: framing, names, floods, and every way to be slow. Each beside a victim that must not notice.

mod support;

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use regex::Regex;
use support::DEADLINE;
use support::client::Client;
use support::client::get;
use support::frames;
use support::frames::Frames;
use support::process::Serve;
use support::project::Project;
use support::project::config;
use support::raw::Raw;
use support::tls;

/// What the attacked worker does is in the path; `/` tells the request as it came.
const EVIL: &str = "export default { async fetch(request) {
  const url = new URL(request.url);
  const set = (name, value) => { const response = new Response('kept'); response.headers.set(name, value); return response; };
  const text = decodeURIComponent(url.search.slice(1));
  switch (url.pathname) {
    case '/spin': for (;;);
    case '/bytes': return new Response(new Uint8Array(Number(text)));
    case '/endless': return new Response(new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(65536)); } }));
    case '/set': return set('x-set', text);
    case '/cookie': return set('set-cookie', text);
    case '/reason': return new Response('kept', { statusText: text });
    case '/redirect': return Response.redirect(text);
    case '/status': return new Response(text === '204' || text === '304' ? null : 'body', { status: Number(text) });
    case '/body204': return new Response('body', { status: 204 });
    case '/many': return new Response('kept', { headers: Array.from({ length: 40000 }, (_, i) => ['x-' + i, 'v']) });
    case '/large': return set('x-large', 'v'.repeat(200000));
    case '/length': return new Response('four', { headers: { 'content-length': text } });
    case '/throw': throw new Error('CANARY of evil, at /home/somebody');
  }
  const headers = [...request.headers].map(([name, value]) => `${name}: ${value}`);
  return Response.json({ method: request.method, url: request.url, headers, body: (await request.text()).length });
} };\n";

const VICTIM: &str = "export default { fetch: (request) => new Response('victim ' + request.url) };\n";

/// Short waits, so that the tests are short too.
const LIMITS: &str = "[limits]\nrequest_head_seconds = 1\nfirst_byte_seconds = 1\ntls_handshake_seconds = 1\n\
    request_body_idle_seconds = 1\nresponse_write_idle_seconds = 1\nrequest_header_bytes = 32768\n\
    request_body_bytes = 1048576\n";

/// A timeout of one second fires, on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(10);

struct Attacked {
    serve: Serve,
    _project: Project,
}

fn start() -> Attacked {
    start_with("", "")
}

/// With more keys of `[server]`, and more of `[limits]`.
fn start_with(server: &str, limits: &str) -> Attacked {
    let project = Project::empty();
    start_in(project, server, limits)
}

fn start_in(project: Project, server: &str, limits: &str) -> Attacked {
    let mut text = format!("[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{server}\n{LIMITS}{limits}\n");
    for (name, source) in [("evil", EVIL), ("victim", VICTIM)] {
        project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
        project.write(&format!("{name}/index.js"), source);
        text.push_str(&format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n"));
    }
    if server.contains("https") {
        text.push_str("[[certificate]]\ncert = \"both.pem\"\nkey = \"both.key\"\n");
    }
    project.write("holm.toml", &text);
    let attacked = Attacked { serve: Serve::start(&project.file("holm.toml")), _project: project };
    attacked.victim_is_well();
    attacked
}

// === impl Attacked ===

impl Attacked {
    fn client(&self) -> Client {
        self.serve.http()
    }

    fn raw(&self) -> Raw {
        Raw::connect(self.client().address)
    }

    fn frames(&self, settings: &[(u16, u32)]) -> Frames {
        Frames::connect(self.client().address, settings)
    }

    /// Sends bytes on a connection of their own, and answers all that comes until the server closes.
    fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut raw = self.raw();
        raw.write(bytes);
        raw.read_to_end()
    }

    /// Sends a request that must be refused with one of `statuses`, once, and end its connection.
    fn refused(&self, statuses: &[u16], bytes: impl AsRef<[u8]>) {
        let shown = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(200)]).into_owned();
        let answer = self.exchange(bytes);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{shown:?} got {answer:?}");
        assert!(statuses.contains(&status(&answer)), "{shown:?} got {answer:?}");
    }

    fn victim_is_well(&self) {
        let answer = self.client().get_at("victim.example", "/well");
        assert_eq!((answer.status, answer.text().as_str()), (200, "victim http://victim.example/well"));
    }

    /// Nobody was asked for this path.
    fn nobody_ran(&self, path: &str) {
        self.victim_is_well();
        self.serve.invocation("/well");
        assert!(!self.serve.output().text().contains(path), "{}", self.serve.output().text());
    }

    fn metric(&self, sample: &str) -> f64 {
        self.serve.metric(sample)
    }

    fn wait_for_metric(&self, sample: &str, least: f64) {
        let until = Instant::now() + DEADLINE;
        while self.metric(sample) < least {
            assert!(Instant::now() < until, "{sample} is {}", self.metric(sample));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resident memory of the server, all its processes together, in bytes.
    fn resident(&self) -> u64 {
        self.serve.process.resident()
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn get_text(host: &str, target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n")
}

fn post_head(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: evil.example\r\n{lines}\r\n")
}

// --- framing

#[test]
fn http_01_a_body_with_two_lengths_hides_no_request() {
    let attacked = start();
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: victim.example\r\n\r\n";
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
    ] {
        let answer = attacked.exchange(format!("{}{smuggled}", post_head(lines)));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?} got {answer:?}");
        assert!(matches!(status(&answer), 200 | 400), "{answer}");
    }
    attacked.refused(&[400], format!("{}{smuggled}", post_head("Content-Length: 5\r\nContent-Length: 6\r\n")));
    attacked.refused(&[400], format!("{}{smuggled}", post_head("Content-Length: +5\r\n")));
    attacked.nobody_ran("/smuggled");
}

#[test]
fn http_02_a_transfer_coding_is_chunked_or_nothing() {
    let attacked = start();
    for lines in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chun\tked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        attacked.refused(
            &[400],
            format!("{}0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: victim.example\r\n\r\n", post_head(lines)),
        );
    }
    let old = "POST / HTTP/1.0\r\nHost: evil.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = attacked.exchange(old);
    assert_eq!(status(&answer), 400, "{answer}");
    attacked.nobody_ran("/smuggled");
}

#[test]
fn http_04_a_head_is_what_the_grammar_says() {
    let attacked = start();
    for line in [
        &b"X-A: a\r\n folded\r\n"[..],
        b"X-A : a\r\n",
        b" X-A: a\r\n",
        b": a\r\n",
        b"X-A: a\0b\r\n",
        b"X-A: a\rb\r\n",
        b"X(A: a\r\n",
        b"X-A\r\n",
        b"X-\xc3\xa4: a\r\n",
    ] {
        let request = [&b"GET / HTTP/1.1\r\nHost: evil.example\r\n"[..], line, b"\r\n"].concat();
        attacked.refused(&[400], request);
    }
    attacked.wait_for_metric("holm_connections_broken_total", 9.0);
    for start in
        ["GET  / HTTP/1.1", "GET / HTTP/1.2", "GET / HTTP/9", "G(T / HTTP/1.1", "GET /a b HTTP/1.1", "/", "GET"]
    {
        attacked.refused(&[400, 505], format!("{start}\r\nHost: evil.example\r\n\r\n"));
    }
    // Bare line feeds mean to everyone behind the door what they mean to it: the request is written anew.
    let bare = attacked.exchange("GET /bare HTTP/1.1\nHost: evil.example\nConnection: close\n\n");
    assert!(matches!(status(&bare), 200 | 400), "{bare}");
    attacked.victim_is_well();
}

#[test]
fn http_05_a_chunk_is_as_long_as_it_says_and_trailers_are_no_headers() {
    let attacked = start();
    let head = post_head("Transfer-Encoding: chunked\r\nConnection: close\r\n");
    for body in [
        "FFFFFFFFFFFFFFFFF\r\nx",
        "-1\r\nx",
        "5\r\nfiveXX0\r\n\r\n",
        "g\r\n\r\n",
        "\r\n\r\n",
        "5 5\r\nfive5\r\n0\r\n\r\n",
    ] {
        let answer = attacked.exchange(format!("{head}{body}"));
        assert!(!answer.starts_with("HTTP/1.1 200"), "{body:?} got {answer:?}");
    }
    let extension = format!("{head}5;{}\r\nfive5\r\n0\r\n\r\n", "x".repeat(1 << 20));
    assert_ne!(status(&attacked.exchange(extension)), 200);
    let trailers =
        format!("{head}0\r\nHost: victim.example\r\nAuthorization: x\r\nContent-Length: 9\r\nX-Trailer: y\r\n\r\n");
    let answer = attacked.exchange(trailers);
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(!answer.contains("uthorization") && !answer.contains("railer") && answer.contains("http://evil.example/"));
    let many = format!("{head}0\r\nX-Trailer: {}\r\n\r\n", "y".repeat(64 << 10));
    assert_ne!(status(&attacked.exchange(many)), 200);
    attacked.victim_is_well();
}

// --- names

#[test]
fn http_07_a_target_and_a_host_that_differ_go_nowhere() {
    let attacked = start();
    attacked.refused(&[400], get_text("evil.example", "http://victim.example/", ""));
    attacked.refused(&[400], get_text("evil.example", "http://evil.example@victim.example/", ""));
    attacked.refused(&[400], get_text("evil.example", "*", ""));
    attacked.refused(&[400], get_text("evil.example", "victim.example:80", ""));
    attacked
        .refused(&[400], "CONNECT victim.example:80 HTTP/1.1\r\nHost: victim.example:80\r\nConnection: close\r\n\r\n");
    attacked.refused(&[400], "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    attacked.refused(&[400], get_text("evil.example", "/", "Host: victim.example\r\n"));
    let absolute = attacked.exchange(get_text("victim.example", "http://victim.example/path", ""));
    assert!(absolute.ends_with("victim http://victim.example/path"), "{absolute}");
    let slashes = attacked.exchange(get_text("evil.example", "//victim.example/", ""));
    assert!(slashes.contains("http://evil.example//victim.example/"), "{slashes}");
}

#[test]
fn http_08_a_host_has_one_meaning() {
    let attacked = start();
    for (host, expected) in [
        ("VICTIM.example.", 200),
        ("victim.example:80", 200),
        ("victim.example:443", 200),
        ("victim.example%00", 400),
        ("victim.example\u{e4}", 400),
        ("victim.example..", 400),
        ("victim.example:", 400),
        ("victim.example:99999", 400),
        ("victim.example/evil", 400),
        ("victim.example.evil.com", 404),
        ("xn--victim-9ua.example", 404),
        ("127.0.0.1", 404),
        ("[::1]", 404),
        ("0x7f.0.0.1", 400),
    ] {
        let answer = attacked.exchange(get_text(host, "/", ""));
        assert_eq!(status(&answer), expected, "{host:?} got {answer:?}");
    }
}

#[test]
fn http_10_http_2_has_one_authority_and_no_header_of_http_1() {
    let attacked = start();
    let with = |more: &[(&str, &str)]| {
        let fields = frames::get("evil.example", "/smuggled");
        let all = fields.iter().chain(more);
        all.map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>()
    };
    let replaced = |name: &str, value: &str| {
        let mut fields = with(&[]);
        for field in &mut fields {
            if field.0 == name {
                field.1 = value.to_owned();
            }
        }
        fields
    };
    let mut late = with(&[("x-a", "b")]);
    late.push((":path".to_owned(), "/late".to_owned()));
    let cases = [
        with(&[("host", "victim.example")]),
        with(&[(":path", "/second")]),
        late,
        with(&[(":unknown", "x")]),
        with(&[("X-Upper", "x")]),
        with(&[("connection", "close")]),
        with(&[("te", "gzip")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "h2c")]),
        with(&[("x-a", "a\r\nx-b: c")]),
        with(&[("x-a", "a\nb")]),
        with(&[("x-a", "a\0b")]),
        replaced(":path", ""),
        replaced(":path", "smuggled"),
        replaced(":path", "*"),
        replaced(":method", "CONNECT"),
        replaced(":authority", "evil.example@victim.example"),
    ];
    for fields in cases {
        let mut connection = attacked.frames(&[]);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        connection.request(1, frames::END_STREAM, &fields);
        let answer =
            connection.read_until(|frame| matches!(frame.kind, frames::HEADERS | frames::RST_STREAM | frames::GOAWAY));
        match answer.kind {
            frames::HEADERS => assert_eq!(answer.status(), 400, "{fields:?}"),
            _ => assert_eq!(answer.error(), 1, "{fields:?}: PROTOCOL_ERROR"),
        }
    }
    attacked.nobody_ran("/smuggled");
}

#[test]
fn http_11_a_connection_is_good_for_the_hosts_of_its_certificate() {
    let project = Project::empty();
    let root = tls::certificate(&project, "both", &["evil.example"]);
    tls::certificate(&project, "victim", &["victim.example"]);
    let attacked = start_in(project, "https = \"127.0.0.1:0\"", "");
    let address = attacked.serve.https();
    for protocol in [tls::Protocol::Http1, tls::Protocol::Http2] {
        assert_eq!(tls::get(address, "evil.example", "/", &root, protocol).unwrap().status, 200);
        let other = tls::get_at(address, "evil.example", "victim.example", "/", &root, protocol).unwrap();
        assert_eq!((other.status, other.error()), (421, "misdirected"), "{protocol:?}");
    }
}

#[test]
fn http_13_a_client_cannot_speak_for_another() {
    let attacked = start();
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: victim.example\r\nX-Forwarded-Proto: https\r\n\
        Forwarded: for=6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\n\
        X-Holm-Tenant: victim\r\nX-Holm-Cpu-Us: 1\r\nX-Holm-Error: ok\r\nTE: trailers\r\nKeep-Alive: 9\r\n\
        Proxy-Connection: keep-alive\r\nX-Kept: yes\r\n";
    let request = format!(
        "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close, x-holm-tenant, cf-connecting-ip, x-kept\r\n{lines}\r\n"
    );
    let answer = attacked.exchange(request);
    assert!(!answer.contains("6.6.6.6") && !answer.contains("victim") && !answer.contains("holm"), "{answer}");
    for name in ["te", "keep-alive", "proxy-connection", "connection", "forwarded"] {
        assert!(!answer.contains(&format!("\"{name}: ")), "{name} in {answer}");
    }
    for line in ["cf-connecting-ip: 127.0.0.1", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-kept: yes"]
    {
        assert!(answer.contains(line), "no {line} in {answer}");
    }
}

// --- sizes

#[test]
fn http_14_a_head_has_its_size() {
    let attacked = start();
    let line = |name: &str, bytes: usize| format!("{name}: {}\r\n", "x".repeat(bytes));
    let many = |count: usize, bytes: usize| (0..count).map(|n| line(&format!("X-{n}"), bytes)).collect::<String>();
    assert_eq!(status(&attacked.exchange(get_text("evil.example", "/", &many(98, 1)))), 200);
    attacked.refused(&[431], get_text("evil.example", "/", &many(101, 1)));
    attacked.refused(&[431], get_text("evil.example", "/", &many(33, 1 << 10)));
    attacked.refused(&[431], get_text("evil.example", "/", &many(1, 17 << 10)));
    attacked.refused(&[431], get_text("evil.example", "/", &many(1, 200 << 10)));
    attacked.refused(&[414], get_text("evil.example", &format!("/{}", "x".repeat(17 << 10)), ""));
    attacked.refused(&[414, 431], get_text("evil.example", &format!("/{}", "x".repeat(200 << 10)), ""));
    attacked.refused(&[413], post_head("Content-Length: 1048577\r\nConnection: close\r\n"));

    let values: Vec<String> = (0..8_000).map(|n| format!("x-{n}")).collect();
    let mut crumbs = frames::get("evil.example", "/").to_vec();
    crumbs.extend(values.iter().map(|value| ("cookie", value.as_str())));
    let mut headers = frames::get("evil.example", "/").to_vec();
    headers.extend(values.iter().take(101).map(|name| (name.as_str(), "v")));
    let large = "x".repeat(16 << 10);
    let largest = [&frames::get("evil.example", "/")[..], &[("x-a", large.as_str())]].concat();
    for fields in [crumbs, headers, largest] {
        let mut connection = attacked.frames(&[]);
        let block = frames::block(&fields);
        let mut pieces = block.chunks(16_000).peekable();
        let first = pieces.next().unwrap();
        let flag = |last: bool| if last { frames::END_HEADERS } else { 0 };
        connection.send(frames::HEADERS, frames::END_STREAM | flag(pieces.peek().is_none()), 1, first);
        while let Some(piece) = pieces.next() {
            connection.send(frames::CONTINUATION, flag(pieces.peek().is_none()), 1, piece);
        }
        let answer =
            connection.read_until(|frame| matches!(frame.kind, frames::HEADERS | frames::RST_STREAM | frames::GOAWAY));
        if answer.kind == frames::HEADERS {
            assert_eq!(answer.status(), 431);
        }
    }
    attacked.victim_is_well();
}

// --- pace

/// Reads until the server closes, and answers how long that took.
fn closed(raw: &mut Raw) -> Duration {
    let start = Instant::now();
    raw.read_to_end();
    start.elapsed()
}

#[test]
fn http_16_heads_that_trickle_in_are_cut_off_while_others_are_served() {
    let attacked = start();
    let address = attacked.client().address;
    let mut slow: Vec<Raw> = (0..200).map(|_| Raw::connect(address)).collect();
    for raw in &mut slow {
        raw.write("GET / HTTP/1.1\r\nHost: evil.ex");
    }
    let start = Instant::now();
    for _ in 0..20 {
        attacked.victim_is_well();
        for raw in &mut slow {
            let _ = raw.try_write("a");
        }
    }
    for raw in &mut slow {
        closed(raw);
    }
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    attacked.wait_for_metric("holm_client_timeouts_total{wait=\"head\"}", 200.0);
}

#[test]
fn http_17_connections_that_say_nothing_are_closed() {
    let project = Project::empty();
    let root = tls::certificate(&project, "both", &["evil.example", "victim.example"]);
    let attacked = start_in(project, "https = \"127.0.0.1:0\"", "");
    let (http, https) = (attacked.client().address, attacked.serve.https());
    let start = Instant::now();
    let mut silent: Vec<Raw> = (0..100).flat_map(|_| [Raw::connect(http), Raw::connect(https)]).collect();
    let idle = tls::Idle::connect(https, "evil.example", &root);
    attacked.victim_is_well();
    for raw in &mut silent {
        closed(raw);
    }
    idle.wait_until_closed();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    attacked.wait_for_metric("holm_client_timeouts_total{wait=\"tls_handshake\"}", 100.0);
    attacked.wait_for_metric("holm_client_timeouts_total{wait=\"first_byte\"}", 101.0);
}

#[test]
fn http_19_an_answer_that_nobody_reads_is_dropped() {
    let attacked = start();
    let before = attacked.resident();
    let mut held: Vec<Raw> = (0..20).map(|_| attacked.raw()).collect();
    for raw in &mut held {
        raw.write(get_text("evil.example", "/endless", ""));
    }
    attacked.wait_for_metric("holm_client_timeouts_total{wait=\"write\"}", 20.0);
    let grown = attacked.resident().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes for 20 connections");
    attacked.victim_is_well();
}

#[test]
fn http_19_a_stream_whose_window_stays_shut_is_reset() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let attacked = start();
    // A window of nothing, for a stream, for a buffered answer, and one of a byte.
    for (window, path) in [(0, "/endless"), (0, "/bytes?1000000"), (1, "/endless"), (1, "/bytes?1000000"), (0, "/")] {
        let mut connection = attacked.frames(&[(INITIAL_WINDOW_SIZE, window)]);
        connection.get(1, "evil.example", path);
        let reset = connection.read_until(|frame| frame.kind == frames::RST_STREAM && frame.stream == 1);
        assert_eq!(reset.error(), 8, "CANCEL");
        // The connection is as good as before.
        connection.send(frames::WINDOW_UPDATE, 0, 0, &1_000u32.to_be_bytes());
        connection.send(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]);
        connection.get(3, "victim.example", "/again");
        connection.read_until(|frame| frame.kind == frames::DATA && frame.stream == 3);
    }
    assert!(attacked.metric("holm_client_timeouts_total{wait=\"write\"}") >= 5.0);
}

#[test]
fn http_19_a_worker_that_writes_seldom_is_no_slow_client() {
    let attacked = start();
    let project = &attacked._project;
    project.write(
        "victim/index.js",
        "export default { fetch: () => { const { readable, writable } = new TransformStream(); const writer = writable.getWriter();
          (async () => { for (let i = 0; i < 3; i++) { await scheduler.wait(1200); await writer.write(new TextEncoder().encode('piece' + i)); } await writer.close(); })();
          return new Response(readable); } };\n",
    );
    attacked.serve.output().wait_for("\"reloaded\"");
    let answer = tls::get_plain_http2(attacked.client().address, "victim.example", "/").unwrap();
    assert_eq!(answer.text(), "piece0piece1piece2");
}

#[test]
fn http_20_an_address_has_its_share_of_connections() {
    let attacked = start_with("", "connections_per_address = 20");
    let address = attacked.client().address;
    let mut held: Vec<Raw> = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(address);
        raw.write("GET /held HTTP/1.1\r\nHost: victim.example\r\n\r\n");
        raw.read_until("victim http");
        held.push(raw);
    }
    for _ in 0..5 {
        let mut refused = Raw::connect(address);
        let _ = refused.try_write("GET /held HTTP/1.1\r\nHost: victim.example\r\n\r\n");
        assert_eq!(refused.read_to_end(), "");
    }
    attacked.wait_for_metric("holm_connections_refused_total{bound=\"address\"}", 5.0);
    assert_eq!(attacked.metric("holm_connections_open"), 20.0);
    drop(held.pop());
    let until = Instant::now() + DEADLINE;
    while attacked.metric("holm_connections_open") >= 20.0 {
        assert!(Instant::now() < until);
    }
    attacked.victim_is_well();
}

#[test]
fn flt_14_a_server_without_descriptors_waits_for_one_and_does_not_spin() {
    let project = Project::empty();
    project.write("victim/wrangler.jsonc", &config("victim", ""));
    project.write("victim/index.js", VICTIM);
    let listen =
        "[server]\nhttp = \"127.0.0.1:0\"\nthreads = 2\n[limits]\nfirst_byte_seconds = 2\nspare_isolates = 0\n";
    project
        .write("holm.toml", &format!("{listen}[[worker]]\nproject = \"victim\"\nhostnames = [\"victim.example\"]\n"));
    let serve = Serve::start_with_files(&project.file("holm.toml"), 120);
    let client = serve.http();
    // A connection that is there already, and an isolate that runs.
    let mut kept = Raw::connect(client.address);
    let hello = "GET /well HTTP/1.1\r\nHost: victim.example\r\n\r\n";
    kept.write(hello);
    kept.read_until("/well");
    let held: Vec<Raw> = (0..200).map(|_| Raw::connect(client.address)).collect();
    serve.output().wait_for("cannot accept connections");
    let cpu = serve.process.cpu();
    kept.write(hello.replace("well", "still"));
    kept.read_until("/still");
    // The first of those that say nothing are let go, and others come in.
    let request = || get("/").header("host", "victim.example").body(Bytes::new()).unwrap();
    assert_eq!(client.send(request()).status, 200);
    let used = serve.process.cpu() - cpu;
    assert!(used < Duration::from_secs(1), "{used:?} of CPU time in the two seconds");
    assert!(serve.output().text().matches("cannot accept connections").count() < 5);
    drop(held);
}

// --- HTTP/2 floods

/// Sends until the server closes, or `bytes` were sent; answers how many it took.
fn flood(connection: &mut Frames, piece: &[u8], bytes: usize) -> usize {
    let mut reader = connection.shared();
    let drain = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let mut sent = 0;
    let together = piece.repeat((16 << 10) / piece.len() + 1);
    while sent < bytes && connection.bytes(&together) {
        sent += together.len();
    }
    let _ = connection.shared().shutdown(std::net::Shutdown::Both);
    let _ = drain.join();
    sent
}

#[test]
fn http_22_a_head_without_an_end_is_cut_off() {
    let attacked = start();
    let before = attacked.resident();
    let mut connection = attacked.frames(&[]);
    connection.send(frames::HEADERS, frames::END_STREAM, 1, &frames::block(&frames::get("evil.example", "/")));
    let more = frames::frame(frames::CONTINUATION, 0, 1, &frames::block(&[("x-a", &"x".repeat(8_000))]));
    let sent = flood(&mut connection, &more, 100 << 20);
    assert!(sent < 20 << 20, "{sent} bytes of one head were taken");
    assert!(attacked.resident().saturating_sub(before) < 16 << 20);
    attacked.victim_is_well();
}

#[test]
fn http_23_frames_without_a_purpose_end_their_connection() {
    let attacked = start();
    let settings = frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]);
    let ping = frames::frame(frames::PING, 0, 0, &[0; 8]);
    let window = frames::frame(frames::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
    let priority = frames::frame(frames::PRIORITY, 0, 1, &[0, 0, 0, 0, 1]);
    let empty = frames::frame(frames::DATA, 0, 1, &[]);
    let padding = frames::frame(frames::DATA, frames::PADDED, 1, &[[255].as_slice(), &[0; 255]].concat());
    for (name, piece) in [
        ("SETTINGS", settings),
        ("PING", ping),
        ("WINDOW_UPDATE", window),
        ("PRIORITY", priority),
        ("empty DATA", empty),
        ("padding", padding),
    ] {
        let mut connection = attacked.frames(&[]);
        // A request whose body is to come, so that the connection is no idle one.
        connection.request(
            1,
            0,
            &[(":method", "POST"), (":scheme", "http"), (":authority", "evil.example"), (":path", "/")],
        );
        let sent = flood(&mut connection, &piece, 64 << 20);
        assert!(sent < 32 << 20, "{sent} bytes of {name} were taken");
    }
    attacked.victim_is_well();
}

#[test]
fn http_23_streams_that_are_reset_at_once_end_their_connection() {
    let attacked = start();
    let mut connection = attacked.frames(&[]);
    let mut reader = connection.shared();
    let drain = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let mut stream = 1;
    while stream < 40_000 {
        let open = frames::frame(
            frames::HEADERS,
            frames::END_STREAM | frames::END_HEADERS,
            stream,
            &frames::block(&frames::get("evil.example", "/reset")),
        );
        let reset = frames::frame(frames::RST_STREAM, 0, stream, &8u32.to_be_bytes());
        if !connection.bytes(&[open, reset].concat()) {
            break;
        }
        stream += 2;
    }
    assert!(stream < 40_000, "20 000 streams were opened and reset");
    let _ = connection.shared().shutdown(std::net::Shutdown::Both);
    let _ = drain.join();
    attacked.victim_is_well();
}

#[test]
fn http_25_a_connection_has_a_hundred_streams() {
    let attacked = start();
    let mut connection = attacked.frames(&[]);
    for n in 0..150 {
        let fields = [(":method", "POST"), (":scheme", "http"), (":authority", "evil.example"), (":path", "/")];
        connection.request(n * 2 + 1, 0, &fields);
    }
    connection.send(frames::PING, 0, 0, b"allthere");
    let mut refused = 0;
    loop {
        let frame = connection.read().expect("the connection goes on");
        match frame.kind {
            frames::RST_STREAM => {
                assert_eq!(frame.error(), 7, "REFUSED_STREAM");
                refused += 1;
            }
            frames::PING if frame.payload == b"allthere" => break,
            frames::GOAWAY => panic!("the connection ends: {frame:?}"),
            _ => {}
        }
    }
    assert_eq!(refused, 50);
    attacked.victim_is_well();
}

#[test]
fn http_26_no_upgrade_makes_a_tunnel() {
    let attacked = start();
    let second = "GET /second HTTP/1.1\r\nHost: victim.example\r\nConnection: close\r\n\r\n";
    for upgrade in ["websocket", "h2c"] {
        let lines = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        );
        let request = format!("GET / HTTP/1.1\r\nHost: evil.example\r\n{lines}\r\n{second}");
        let answer = attacked.exchange(request);
        assert!(!answer.contains("101 Switching"), "{answer}");
        // What came behind it is a request of its own, or nothing.
        let answers = answer.matches("HTTP/1.1 200").count();
        assert!(answers == 1 || answer.contains("victim http://victim.example/second"), "{answer}");
    }
}

// --- what a worker answers

#[test]
fn http_29_an_answer_cannot_be_split() {
    let attacked = start();
    let split = "a%0D%0Ax-split%3A%20yes%0D%0A%0D%0Asplit";
    for path in ["/set", "/cookie", "/reason"] {
        for text in [split, "a%0Ax-split%3A%20yes", "a%00b", "a%0Db"] {
            let answer = attacked.exchange(get_text("evil.example", &format!("{path}?{text}"), ""));
            assert!(!answer.contains("x-split"), "{path} {text}: {answer}");
            assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{path} {text}: {answer}");
            assert_eq!(status(&answer), 500, "{path} {text}: {answer}");
        }
    }
    let redirect =
        attacked.exchange(get_text("evil.example", "/redirect?https%3A%2F%2Fa.example%2F%0D%0Ax-split%3A1", ""));
    assert!(!redirect.contains("\r\nx-split"), "{redirect}");
    // More headers than the table of the HTTP library can hold, and larger than is allowed.
    for path in ["/many", "/large"] {
        let answer = attacked.exchange(get_text("evil.example", path, ""));
        assert!([500, 503].contains(&status(&answer)), "{path}: {}", &answer[..answer.len().min(300)]);
        attacked.victim_is_well();
    }
}

#[test]
fn http_31_a_status_is_one_that_ends_a_request() {
    let attacked = start();
    for text in ["101", "100", "99", "600", "1000", "NaN"] {
        let answer = attacked.client().get_at("evil.example", &format!("/status?{text}"));
        assert_eq!((answer.status, answer.error()), (500, "exception"), "{text}");
    }
    assert_eq!(attacked.client().get_at("evil.example", "/body204").status, 500);
    for code in [204, 304] {
        let answer = attacked.exchange(get_text("evil.example", &format!("/status?{code}"), ""));
        assert_eq!(status(&answer), code);
        assert!(answer.ends_with("\r\n\r\n") && !answer.to_lowercase().contains("transfer-encoding"), "{answer}");
    }
}

#[test]
fn http_32_an_answer_is_as_long_as_it_says() {
    let attacked = start();
    let answer = attacked.exchange("HEAD /bytes?1000 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\n") && answer.to_lowercase().contains("content-length: 1000"), "{answer}");
    for length in ["0", "1", "4", "99", "x"] {
        let answer = attacked.exchange(get_text("evil.example", &format!("/length?{length}"), ""));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "four", "{length}: {answer}");
        assert!(head.to_lowercase().contains("content-length: 4"), "{length}: {answer}");
    }
}

#[test]
fn http_32_a_request_that_fails_takes_none_of_a_hundred_with_it() {
    let attacked = start();
    let request = |n: usize| {
        let path = if n == 50 { "/spin".to_owned() } else { format!("/number/{n}") };
        let close = if n == 99 { "Connection: close\r\n" } else { "" };
        let host = if n.is_multiple_of(2) { "evil.example" } else { "victim.example" };
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n")
    };
    let answer = attacked.exchange((0..100).map(request).collect::<String>());
    let statuses: Vec<&str> =
        Regex::new("HTTP/1.1 (...)").unwrap().captures_iter(&answer).map(|found| found.extract::<1>().1[0]).collect();
    assert_eq!(statuses.len(), 100);
    for (n, status) in statuses.iter().enumerate() {
        assert_eq!(*status, if n == 50 { "503" } else { "200" }, "number {n}");
    }
    let places: Vec<usize> = (0..100)
        .filter(|n| *n != 50)
        .map(|n| {
            answer.find(&format!("/number/{n}\"")).or_else(|| answer.find(&format!("example/number/{n}"))).unwrap()
        })
        .collect();
    assert!(places.is_sorted(), "the answers are in order");
}

#[test]
fn http_34_a_body_is_asked_for_when_it_is_wanted() {
    let attacked = start();
    let mut raw = attacked.raw();
    raw.write(post_head("Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n"));
    raw.read_until("100 Continue");
    // The body does not come.
    let answer = raw.read_to_end();
    assert!(answer.contains("HTTP/1.1 408"), "{answer}");
    attacked.refused(&[417], post_head("Content-Length: 4\r\nExpect: x\r\nConnection: close\r\n"));
    let unknown = attacked.exchange(
        "POST / HTTP/1.1\r\nHost: nobody.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status(&unknown), 404, "{unknown}");
}

#[test]
fn an_answer_that_comes_before_the_end_of_a_body_reaches_a_client_that_still_sends() {
    let attacked = start();
    // More than the buffers of both ends hold.
    let body = vec![b'x'; 32 << 20];
    for (host, expected) in [("nobody.example", 404), ("victim.example", 413)] {
        let mut raw = attacked.raw();
        raw.write(format!(
            "POST /early HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        ));
        assert_eq!(status(&raw.read_until("\r\n\r\n")), expected);
        raw.write(&body);
        raw.finish();
        raw.read_to_end();
    }
    attacked.victim_is_well();
}

#[test]
fn http_37_only_what_is_safe_today_is_negotiated() {
    let project = Project::empty();
    tls::certificate(&project, "both", &["evil.example", "victim.example"]);
    let attacked = start_in(project, "https = \"127.0.0.1:0\"", "");
    // TLS 1.1 with a block cipher, TLS 1.2 with RC4 and with RSA key exchange.
    for (version, ciphers) in [(0x0302u16, [0xc0, 0x13]), (0x0303, [0x00, 0x05]), (0x0303, [0x00, 0x2f])] {
        let body = [&version.to_be_bytes()[..], &[7; 32], &[0], &[0, 2], &ciphers, &[1, 0], &[0, 0]].concat();
        let hello = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let record = [&[0x16, 3, 1, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
        let mut raw = Raw::connect(attacked.serve.https());
        raw.write(record);
        let answer = raw.read_to_end_bytes();
        assert_eq!(answer.first(), Some(&0x15), "an alert, not {answer:?}");
    }
    attacked.victim_is_well();
}

#[test]
fn http_38_each_request_is_routed_by_its_own_host() {
    let attacked = start();
    let mut raw = attacked.raw();
    for n in 0..10 {
        raw.write(format!("GET /a{n} HTTP/1.1\r\nHost: victim.example\r\n\r\n"));
        raw.read_until(&format!("victim http://victim.example/a{n}"));
        raw.write(format!("GET /b{n} HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
        raw.read_until(&format!("\"http://evil.example/b{n}\""));
        raw.write(format!("GET /c{n} HTTP/1.1\r\nHost: nobody.example\r\n\r\n"));
        raw.read_until(&format!("(?s)(unknown_host.*){{{}}}", n + 1));
    }
}

#[test]
fn ops_08_nothing_makes_an_error_tell_more() {
    let attacked = start();
    for (path, name, value) in [
        ("/throw?debug", "x-debug", "1"),
        ("/throw?debug=true", "accept", "text/plain"),
        ("/throw", "accept", "text/html"),
        ("/throw", "x-holm-error-detail", "full"),
        ("/throw", "cf-worker-dev", "1"),
    ] {
        let request = get(path).header("host", "evil.example").header(name, value).body(Bytes::new()).unwrap();
        let answer = attacked.client().send(request);
        assert_eq!((answer.status, answer.error()), (500, "exception"));
        let text = format!("{}{:?}", answer.text(), answer.headers);
        for secret in ["CANARY", "/home", "index.js", " at ", "hyper", env!("CARGO_PKG_VERSION")] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(answer.header("server"), "");
    }
}
