//! What leaves a worker: where it may go, what it says of itself, how much of it there is at once.
//!
//! A trap is a listener on this machine that counts connections: where a test says that a worker cannot reach something,
//! nobody has knocked there.

mod support;

use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use support::DEADLINE;
use support::client::Client;
use support::client::get;
use support::client::post;
use support::output::Mark;
use support::process::Dev;
use support::process::Serve;
use support::project::Project;
use support::project::config;
use support::tls;
use support::upstream::Upstream;

const DENIED: &str = "TypeError: fetch failed: destination not allowed";

/// Fetches what it is told to, one after the other, and answers what came of each.
const MESSENGER: &str = "
export default {
  async fetch(request) {
    const told = [];
    for (const [url, init] of await request.json()) {
      try {
        const response = await fetch(url, init);
        told.push(`${response.status} ${(await response.text())}`);
      } catch (error) {
        told.push(`${error.name}: ${error.message}`);
      }
    }
    return Response.json(told);
  },
};
";

/// Counts who connects.
struct Trap {
    port: u16,
    connections: Arc<AtomicUsize>,
}

// === impl Trap ===

impl Trap {
    /// On every address of this machine.
    fn set() -> Self {
        // IPv6's "any address" takes IPv4 as well, where there is IPv6.
        let listener = TcpListener::bind(("::", 0)).or_else(|_| TcpListener::bind(("0.0.0.0", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The address that this machine would speak to the internet from. No packet is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A server of messengers, each with a name, a host name `NAME.example` and more keys.
fn messengers(server: &str, workers: &[(&str, &str)], environment: &[(&str, &str)]) -> (Project, Serve) {
    let project = Project::empty();
    let mut text = format!("[server]\nhttp = \"127.0.0.1:0\"\n{server}\n[limits]\nsubrequests = 1000\n");
    for (name, more) in workers {
        project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
        project.write(&format!("{name}/index.js"), MESSENGER);
        text += &format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n{more}\n");
    }
    project.write("holm.toml", &text);
    let server = Serve::start_with(&project.file("holm.toml"), environment);
    (project, server)
}

/// What came of fetching each of these, `[url]` or `[url, init]`.
fn tell(client: Client, host: &str, errands: &[Value]) -> Vec<String> {
    let mut request = post("/", serde_json::to_vec(errands).unwrap());
    request.headers_mut().insert("host", host.parse().unwrap());
    let answer = client.send(request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_value(answer.json()).unwrap()
}

fn tell_one(client: Client, host: &str, url: &str) -> String {
    tell(client, host, &[json!([url])]).remove(0)
}

// --- places

/// In all spellings.
fn hosts_of_this_machine_and_its_networks() -> Vec<String> {
    let mut hosts: Vec<String> = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.000.000.001",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "foo.localhost",
        "foo.localhost.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::1]",
        "[::127.0.0.1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "198.18.0.1",
        "192.0.0.192",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "user:pass@127.0.0.1",
        "\u{ff11}27.0.0.1",
        "127\u{3002}0.0.1",
    ]
    .map(str::to_owned)
    .into();
    hosts.extend(own_address().map(|address| address.to_string()));
    hosts
}

#[test]
fn nothing_but_the_public_internet_is_reached_in_any_spelling() {
    let trap = Trap::set();
    let (_project, server) = messengers("", &[("evil", "")], &[]);
    let hosts = hosts_of_this_machine_and_its_networks();
    let errands: Vec<Value> = hosts.iter().map(|host| json!([format!("http://{host}:{}/", trap.port)])).collect();
    for (host, said) in hosts.iter().zip(tell(server.http(), "evil.example", &errands)) {
        assert_eq!(said, DENIED, "{host}");
    }
    let zone = tell_one(server.http(), "evil.example", &format!("http://[fe80::1%25eth0]:{}/", trap.port));
    assert!(zone.starts_with("TypeError: "), "{zone}");
    assert_eq!(trap.connections(), 0);
}

/// Goes to each of these places in each way that there is beside `fetch()`, and answers what came of it.
const TRAVELLER: &str = r#"
import { connect } from "cloudflare:sockets";
const heard = (target) => new Promise((resolve) => {
  target.onopen = target.onmessage = () => resolve("reached");
  target.onerror = () => resolve("refused");
  target.onclose = () => resolve("closed");
});
const ways = {
  upgrade: async (place) => (await fetch(`http://${place}/`, { headers: { upgrade: "websocket" } })).status,
  websocket: (place) => heard(new WebSocket(`ws://${place}/`)),
  events: async (place) => { const source = new EventSource(`http://${place}/`); const told = await heard(source); source.close(); return told; },
  connect: async (place) => { const socket = connect(place); await socket.opened; return "reached"; },
  secure: async (place) => { const socket = connect(place, { secureTransport: "on" }); await socket.opened; return "reached"; },
  parts: async (place) => { const colon = place.lastIndexOf(":"); const socket = connect({ hostname: place.slice(0, colon), port: Number(place.slice(colon + 1)) }); await socket.opened; return "reached"; },
  redirect: (place, { UPSTREAM }) => heard(new EventSource(`${UPSTREAM}/redirect/307?to=http://${place}/`)),
};
export default {
  async fetch(request, env) {
    const { way, places } = await request.json();
    const told = [];
    for (const place of places) try { told.push(`${await ways[way](place, env)}`); } catch (error) { told.push(error.name); }
    return Response.json(told);
  },
};
"#;

/// What came of going to each of these places.
fn travel(client: Client, host: &str, way: &str, places: &[String]) -> Vec<String> {
    let mut request = post("/", serde_json::to_vec(&json!({ "way": way, "places": places })).unwrap());
    request.headers_mut().insert("host", host.parse().unwrap());
    let answer = client.send(request);
    assert_eq!(answer.status, 200, "{way}: {}", answer.text());
    serde_json::from_value(answer.json()).unwrap()
}

#[test]
fn sockets_and_event_sources_go_where_subrequests_go_and_nowhere_else() {
    const WAYS: [&str; 6] = ["upgrade", "websocket", "events", "connect", "secure", "parts"];
    let (trap, upstream) = (Trap::set(), Upstream::start());
    let port = upstream.address.port();
    let project = Project::empty();
    let mut text = "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\nsubrequests = 1000\ncpu_ms = 1000\n".to_owned();
    for (name, egress) in [
        ("evil", String::new()),
        ("opened", "egress = { allow = [\"127.0.0.1\"] }".to_owned()),
        ("ported", format!("egress = {{ allow = [\"127.0.0.1\"], ports = [{port}] }}")),
    ] {
        project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
        project.write(&format!("{name}/index.js"), TRAVELLER);
        let upstream = upstream.url();
        text += &format!(
            "[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\nvars = {{ UPSTREAM = \"{upstream}\" }}\n{egress}\n"
        );
    }
    project.write("holm.toml", &text);
    let server = Serve::start(&project.file("holm.toml"));
    let client = server.http();

    let mut places = hosts_of_this_machine_and_its_networks();
    places.push("[2001:db8::1]".to_owned());
    let places: Vec<String> = places.iter().map(|host| format!("{host}:{}", trap.port)).collect();
    for way in WAYS {
        for (place, said) in places.iter().zip(travel(client, "evil.example", way, &places)) {
            assert!(["refused", "closed", "TypeError", "Error"].contains(&&*said), "{way} {place}: {said}");
        }
        assert_eq!(trap.connections(), 0, "{way}");
    }
    // Where the first hop is allowed and the second is not.
    let there = [format!("127.0.0.1:{}", trap.port)];
    assert_eq!(travel(client, "ported.example", "redirect", &there), ["refused"]);
    assert_eq!(trap.connections(), 0);
    // The same ways lead there when they may.
    for (before, way) in WAYS.iter().enumerate() {
        travel(client, "opened.example", way, &there);
        assert!(trap.connections() > before, "{way}");
    }
    let ports = [25, 110, 3306, 6379].map(|port| format!("127.0.0.1:{port}"));
    for way in ["upgrade", "websocket", "events"] {
        let said = travel(client, "opened.example", way, &ports);
        assert!(
            said.iter().all(|said| ["refused", "closed", "TypeError", "Error"].contains(&&**said)),
            "{way}: {said:?}"
        );
    }
}

#[test]
fn ports_of_other_protocols_and_of_databases_are_not_spoken_to() {
    let (_project, server) = messengers("", &[("evil", "")], &[]);
    let ports = [22, 25, 53, 110, 3306, 5432, 6379, 9200, 11211];
    let errands: Vec<Value> = ports.iter().map(|port| json!([format!("http://example.com:{port}/")])).collect();
    for (port, said) in ports.iter().zip(tell(server.http(), "evil.example", &errands)) {
        assert_eq!(said, DENIED, "{port}");
    }
}

#[test]
fn other_schemes_are_errors_and_data_urls_are_responses() {
    let (_project, server) = messengers("", &[("evil", "")], &[]);
    let urls = ["file:///etc/passwd", "about:blank", "blob:null/1", "ftp://example.com/", "javascript:1", "ws://x/"];
    let errands: Vec<Value> = urls.iter().map(|url| json!([url])).collect();
    for (url, said) in urls.iter().zip(tell(server.http(), "evil.example", &errands)) {
        assert!(said.starts_with("TypeError: "), "{url}: {said}");
    }
    assert_eq!(tell_one(server.http(), "evil.example", "data:text/plain;base64,aGVsbG8#part"), "200 hello");
    assert!(tell_one(server.http(), "evil.example", "data:;base64,*").starts_with("TypeError: "));
}

#[test]
fn a_worker_reaches_what_its_own_lists_say() {
    let upstream = Upstream::start();
    let trap = Trap::set();
    let port = upstream.address.port();
    let (_project, server) = messengers(
        "egress = { deny = [\"127.0.0.3\"] }",
        &[
            ("none", ""),
            ("opened", "egress = { allow = [\"127.0.0.1\", \"127.0.0.3\"] }"),
            ("denied", "egress = { allow = [\"127.0.0.0/8\"], deny = [\"127.0.0.1\"] }"),
            ("named", "egress = { allow = [\"localhost\"] }"),
            ("ported", &format!("egress = {{ allow = [\"127.0.0.1\"], ports = [{port}] }}")),
        ],
        &[],
    );
    let client = server.http();
    let ours = format!("http://127.0.0.1:{port}/text");
    assert_eq!(tell_one(client, "none.example", &ours), DENIED);
    assert_eq!(tell_one(client, "opened.example", &ours), "200 hello upstream\n");
    assert_eq!(tell_one(client, "opened.example", &format!("http://localhost:{port}/text")), "200 hello upstream\n");
    assert_eq!(tell_one(client, "denied.example", &ours), DENIED);
    // A name says nothing about where it leads.
    assert_eq!(tell_one(client, "named.example", &format!("http://localhost:{port}/text")), DENIED);
    assert_eq!(tell_one(client, "ported.example", &ours), "200 hello upstream\n");
    let trapped = trap.port;
    for (worker, url) in [
        ("opened", format!("http://127.0.0.2:{trapped}/")),
        ("opened", format!("http://127.0.0.3:{trapped}/")),
        ("opened", format!("http://[::1]:{trapped}/")),
        ("opened", format!("{}/redirect/302?to=http://127.0.0.2:{trapped}/", upstream.url())),
        ("opened", format!("{}/redirect/307?to=http://2130706434:{trapped}/", upstream.url())),
        ("denied", format!("http://127.0.0.1:{trapped}/")),
        ("ported", format!("http://127.0.0.1:{trapped}/")),
    ] {
        assert_eq!(tell_one(client, &format!("{worker}.example"), &url), DENIED, "{worker} {url}");
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn lists_are_in_force_after_a_reload() {
    let upstream = Upstream::start();
    let (project, server) = messengers("", &[("a", "egress = { allow = [\"127.0.0.1\"] }")], &[]);
    let url = format!("{}/text", upstream.url());
    assert_eq!(tell_one(server.http(), "a.example", &url), "200 hello upstream\n");
    let text = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    let mark = server.output().mark();
    project.write("holm.toml", &text.replace("allow = [", "deny = ["));
    server.output().wait_since(mark, r#""message":"reloaded""#);
    assert_eq!(tell_one(server.http(), "a.example", &url), DENIED);
}

#[test]
fn the_operators_own_listener_is_out_of_reach() {
    let admin = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let server = format!("admin = \"{admin}\"\negress = \"any\"");
    let (_project, server) = messengers(&server, &[("evil", "egress = { allow = [\"127.0.0.0/8\", \"::1\"] }")], &[]);
    let port = admin.port();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"];
    let errands: Vec<Value> = hosts.iter().map(|host| json!([format!("http://{host}:{port}/")])).collect();
    // `localhost` has an address too that is no listener of the operator's: nobody listens there.
    let unreachable = [DENIED, "TypeError: fetch failed: could not connect"];
    for (host, said) in hosts.iter().zip(tell(server.http(), "evil.example", &errands)) {
        assert!(unreachable.contains(&said.as_str()), "{host}: {said}");
    }
}

#[test]
fn proxies_and_certificates_of_the_environment_are_ignored() {
    let trap = Trap::set();
    let upstream = Upstream::start();
    let certificates = Project::empty();
    tls::certificate(&certificates, "server", &["localhost"]);
    let (pem, key) = (certificates.file("server.pem"), certificates.file("server.key"));
    let proxy = format!("http://127.0.0.1:{}", trap.port);
    let settings = format!(
        "https = \"127.0.0.1:0\"\negress = \"public-and-loopback\"\n[[certificate]]\ncert = {pem:?}\nkey = {key:?}\n"
    );
    let mut environment: Vec<(&str, &str)> =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .map(|name| (name, proxy.as_str()))
            .into();
    environment.push(("SSL_CERT_FILE", pem.to_str().unwrap()));
    environment.push(("SSL_CERT_DIR", certificates.path().to_str().unwrap()));
    let (_project, server) = messengers(&settings, &[("a", "")], &environment);
    assert_eq!(tell_one(server.http(), "a.example", &format!("{}/text", upstream.url())), "200 hello upstream\n");
    let unvouched = format!("https://localhost:{}/", server.https().port());
    assert_eq!(tell_one(server.http(), "a.example", &unvouched), "TypeError: fetch failed: TLS handshake failed");
    assert_eq!(trap.connections(), 0);
}

#[test]
fn dev_reaches_this_machine_and_says_so() {
    let upstream = Upstream::start();
    let project = Project::worker(MESSENGER);
    let dev = Dev::start(project.path(), &["--no-watch"]);
    dev.output().wait_for(r"^fetch\(\) may reach this machine \(127\.0\.0\.1 and ::1\) here");
    assert_eq!(tell_one(dev.client(), "any.localhost", &format!("{}/text", upstream.url())), "200 hello upstream\n");
    assert_eq!(tell_one(dev.client(), "any.localhost", "http://169.254.169.254/latest/"), DENIED);
}

// --- what a request says

#[test]
fn what_holm_says_of_a_request_is_not_the_scripts_to_say() {
    let upstream = Upstream::start();
    let (_project, server) = messengers("egress = \"public-and-loopback\"", &[("shop", "")], &[]);
    let forged = json!({
        "headers": {
            "cf-worker": "other",
            "cdn-loop": "holm; subreqs=0",
            "x-holm-tenant": "other",
            "x-holm-loop": "0",
            "host": "victim.example",
            "x-kept": "yes",
        },
    });
    let said = tell(server.http(), "shop.example", &[json!([format!("{}/echo", upstream.url()), forged])]).remove(0);
    let told: Value = serde_json::from_str(said.strip_prefix("200 ").unwrap()).unwrap();
    let headers = told["headers"].as_object().unwrap();
    let mut names: Vec<&str> = headers.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "cdn-loop", "cf-worker", "host", "x-kept"]);
    assert_eq!(headers["cf-worker"], "shop");
    assert_eq!(headers["cdn-loop"], "holm; subreqs=1");
    assert_eq!(headers["host"], upstream.address.to_string());
}

#[test]
fn the_host_header_does_not_choose_another_worker() {
    let (_project, server) = messengers("egress = \"public-and-loopback\"", &[("evil", ""), ("victim", "")], &[]);
    let address = server.http().address;
    let errand = json!([format!("http://{address}/"), { "headers": { "host": "victim.example" } }]);
    let said = tell(server.http(), "evil.example", &[errand]).remove(0);
    assert!(said.starts_with("404 ") && said.contains("unknown_host"), "{said}");
}

#[test]
fn every_url_that_the_url_class_makes_can_be_fetched() {
    let upstream = Upstream::start();
    let project = Project::worker(
        "export default { async fetch(request, env) {
           const url = new URL(env.UPSTREAM + '/echo');
           url.pathname = '/echo/' + env.ODD;
           url.search = env.ODD;
           url.hash = env.ODD;
           const path = (await (await fetch(url)).json()).path;
           return new Response(decodeURIComponent(path));
         } };",
    );
    let odd = "a b|c^d\"e`f{g}h<i>j[k]l'm~n\u{e9}o";
    let variable = format!("UPSTREAM:{}", upstream.url());
    let dev = Dev::start(project.path(), &["--no-watch", "--var", &variable, "--var", &format!("ODD:{odd}")]);
    assert_eq!(dev.client().get("/").text(), format!("/echo/{odd}?{odd}"));
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_origin_and_back() {
    let (home, abroad) = (Upstream::start(), Upstream::start());
    let (_project, server) = messengers("egress = \"public-and-loopback\"", &[("a", "")], &[]);
    let secrets = json!({
        "headers": { "authorization": "s", "cookie": "s=1", "proxy-authorization": "s", "x-api-key": "s" },
    });
    let back = format!("{}/redirect/307?to={}/echo", abroad.url(), home.url());
    let there = format!("{}/redirect/307?to={back}", home.url());
    let stays = format!("{}/redirect/302?to=/echo", home.url());
    let said = tell(server.http(), "a.example", &[json!([there, secrets]), json!([stays, secrets])]);
    let has = |said: &str, name: &str| said.contains(&format!("\"{name}\":"));
    for name in ["authorization", "cookie", "proxy-authorization"] {
        assert!(!has(&said[0], name), "{}", said[0]);
        assert!(has(&said[1], name), "{}", said[1]);
    }
    assert!(has(&said[0], "x-api-key"));
}

// --- how much

#[test]
fn a_request_that_comes_round_sixteen_times_is_refused() {
    let project = Project::empty();
    project.write("a/wrangler.jsonc", &config("a", ""));
    // Each pass forges the header, removes it, or hands the request's own on; and tells how deep it went.
    project.write(
        "a/index.js",
        "export default { async fetch(request) {
           const depth = Number(request.headers.get('x-depth'));
           const headers = new Headers(depth % 3 === 0 ? request.headers : undefined);
           if (depth % 3 === 1) headers.set('cdn-loop', 'holm; subreqs=0');
           headers.set('x-depth', depth + 1);
           headers.set('x-holm-loop', '0');
           const next = await fetch(request.url, { headers });
           if (next.status === 200) return next;
           return new Response(`${next.status} ${next.headers.get('x-holm-error')} after ${depth + 1}`);
         } };",
    );
    project.write(
        "holm.toml",
        "[server]\nhttp = \"127.0.0.1:0\"\negress = \"public-and-loopback\"\n[[worker]]\nproject = \"a\"\nhostnames = [\"127.0.0.1\"]\n",
    );
    let server = Serve::start(&project.file("holm.toml"));
    let answer = server.http().get("/");
    assert_eq!((answer.status, answer.text().as_str()), (200, "508 loop_limit after 16"));
    let forged = get("/").header("cdn-loop", "holm; subreqs=16").body(bytes::Bytes::new()).unwrap();
    let answer = server.http().send(forged);
    assert_eq!((answer.status, answer.error()), (508, "loop_limit"));
}

/// Answers each request when it is told to; `arrived` gets a message for each.
struct Doorman {
    url: String,
    arrived: mpsc::Receiver<()>,
    release: Arc<Mutex<Vec<TcpStream>>>,
}

// === impl Doorman ===

impl Doorman {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, arrived) = mpsc::channel();
        let release: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let waiting = Arc::clone(&release);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // The head of a request comes in one piece here.
                let _ = stream.read(&mut [0; 4096]);
                waiting.lock().unwrap().push(stream);
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        Self { url, arrived, release }
    }

    fn answer_one(&self) {
        let mut stream = self.release.lock().unwrap().remove(0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
    }
}

#[test]
fn the_seventh_subrequest_waits_for_the_head_of_another() {
    let doorman = Doorman::start();
    let project = Project::worker(
        "export default { async fetch(request, env) {
           const read = async () => (await fetch(env.URL)).text();
           return Response.json(await Promise.all(Array.from({ length: 8 }, read)));
         } };",
    );
    let dev = Dev::start(project.path(), &["--no-watch", "--var", &format!("URL:{}", doorman.url)]);
    let client = dev.client();
    let asking = std::thread::spawn(move || client.get("/").json());
    for _ in 0..6 {
        doorman.arrived.recv_timeout(DEADLINE).unwrap();
    }
    assert!(doorman.arrived.recv_timeout(Duration::from_millis(300)).is_err(), "a seventh is open");
    for _ in 0..2 {
        doorman.answer_one();
        doorman.arrived.recv_timeout(DEADLINE).unwrap();
    }
    for _ in 0..6 {
        doorman.answer_one();
    }
    assert_eq!(asking.join().unwrap(), json!(["ok"; 8].map(Value::from)));
}

#[test]
fn a_response_whose_head_is_there_keeps_nobody_waiting() {
    let upstream = Upstream::start();
    let project = Project::worker(
        "export default { async fetch(request, env, ctx) {
           const open = [];
           for (let i = 0; i < 20; i++) open.push(await fetch(env.UPSTREAM + '/hold-body?' + i));
           const first = await Promise.all(open.map(async (response) => (await response.body.getReader().read()).value.length));
           return Response.json(first);
         } };",
    );
    let dev = Dev::start(project.path(), &["--no-watch", "--var", &format!("UPSTREAM:{}", upstream.url())]);
    assert_eq!(dev.client().get("/").json(), json!([5; 20].map(Value::from)));
    // The invocation has ended: so have its connections.
    upstream.log.try_wait(Mark::default(), r"^GET /hold-body\?19 gone$").expect("its connection is closed");
}
