//! A quiet worker beside tenants that take all the CPU time they can get: its p50 and p99 alone and beside 32 of them, and the
//! ratio of the two. Through the front door of the real binary, with the clients on the same machine.
//!
//! Half of the hogs loop until their budget ends them, the others answer after some 10 ms of CPU time. Rounds alone and rounds
//! beside take turns, so that a machine whose speed drifts is as slow for both.

mod support;

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use support::percentile;

const HOGS: usize = 32;
/// Between two requests of the quiet worker.
const PACE: Duration = Duration::from_millis(10);
/// The hogs' first requests of a round are not measured beside: their isolates start.
const SETTLE: Duration = Duration::from_millis(500);

const QUIET: &str = "export default { fetch(request) {
  const url = new URL(request.url);
  let n = 0;
  for (let i = 0; i < 20_000; i++) n = (n * 31 + i) | 0;
  return Response.json({ path: url.pathname, n });
} };\n";

const HOG: &str = "export default { fetch(request) {
  if (new URL(request.url).pathname === '/loop') for (;;);
  let n = 0;
  for (let i = 0; i < 4_000_000; i++) n = (n * 31 + i) | 0;
  return new Response(String(n));
} };\n";

/// `holm serve` with the quiet worker and the hogs; killed when dropped.
struct Server {
    process: Child,
    directory: PathBuf,
    address: SocketAddr,
}

/// A connection that is kept.
struct Client {
    address: SocketAddr,
    host: String,
    connection: Option<BufReader<TcpStream>>,
}

/// What the rounds of one kind came to.
#[derive(Default)]
struct Measured {
    samples: Vec<Duration>,
    errors: usize,
}

fn main() {
    let seconds = number("SECONDS", 4);
    let rounds = number("ROUNDS", 5);
    let server = Server::start();
    let mut quiet = Client::new(server.address, "quiet.example");
    for _ in 0..100 {
        quiet.get("/warm-up").unwrap();
    }
    let (mut alone, mut beside) = (Measured::default(), Measured::default());
    let (answers, mut hogged) = (AtomicU64::new(0), Duration::ZERO);
    for _ in 0..rounds {
        alone.add(&mut quiet, Duration::from_secs(seconds));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for hog in 0..HOGS {
                let (over, answers, mut client) =
                    (&over, &answers, Client::new(server.address, &format!("hog-{hog}.example")));
                let path = if hog % 2 == 0 { "/loop" } else { "/spin" };
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        assert!(matches!(client.get(path).unwrap(), 200 | 503), "{path}");
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let began = Instant::now();
            std::thread::sleep(SETTLE);
            beside.add(&mut quiet, Duration::from_secs(seconds));
            over.store(true, Ordering::Relaxed);
            hogged += began.elapsed();
        });
    }
    let [alone_p99, beside_p99] = [("alone", &mut alone), ("beside 32 hogs", &mut beside)].map(|(name, measured)| {
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| ms(percentile(&mut measured.samples, share)));
        let (requests, errors) = (measured.samples.len(), measured.errors);
        println!("neighbour, {name}: p50 {p50:.2} ms, p99 {p99:.2} ms, worst {worst:.1} ms ({requests} requests, {errors} errors)");
        p99
    });
    println!(
        "neighbour: p99 beside / alone = {:.2}; the hogs got {:.0} answers/s",
        beside_p99 / alone_p99,
        answers.load(Ordering::Relaxed) as f64 / hogged.as_secs_f64()
    );
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

// === impl Server ===

impl Server {
    fn start() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("neighbour-{}", std::process::id()));
        let address = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut config = format!("[server]\nhttp = \"{address}\"\n");
        let names = (0..HOGS).map(|hog| format!("hog-{hog}")).chain(["quiet".to_owned()]);
        for name in names {
            let project = directory.join(&name);
            std::fs::create_dir_all(&project).unwrap();
            let settings = format!(r#"{{ "name": "{name}", "main": "index.js", "compatibility_date": "2026-08-01" }}"#);
            std::fs::write(project.join("wrangler.json"), settings).unwrap();
            std::fs::write(project.join("index.js"), if name == "quiet" { QUIET } else { HOG }).unwrap();
            config.push_str(&format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n"));
        }
        std::fs::write(directory.join("holm.toml"), config).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_holm"))
            .args(["serve", "--config"])
            .arg(directory.join("holm.toml"))
            .env("HOLM_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, directory, address };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "it does not serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

// === impl Client ===

impl Client {
    fn new(address: SocketAddr, host: &str) -> Self {
        Self { address, host: host.to_owned(), connection: None }
    }

    /// The status of the answer to `GET path`, once all of it has come.
    fn get(&mut self, path: &str) -> std::io::Result<u16> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                none.insert(BufReader::new(stream))
            }
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        connection.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length, mut closes) = (0, 0, false);
        for first in [true].into_iter().chain(std::iter::repeat(false)) {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if first {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            } else if line.is_empty() {
                break;
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            } else if line.starts_with("connection: close") {
                closes = true;
            }
        }
        connection.read_exact(&mut vec![0; length])?;
        if closes {
            self.connection = None;
        }
        Ok(status)
    }
}

// === impl Measured ===

impl Measured {
    /// Asks the quiet worker for so long.
    fn add(&mut self, quiet: &mut Client, time: Duration) {
        let until = Instant::now() + time;
        let mut next = Instant::now();
        while next < until {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let began = Instant::now();
            match quiet.get("/quiet") {
                Ok(200) => self.samples.push(began.elapsed()),
                _ => self.errors += 1,
            }
            next = (next + PACE).max(Instant::now());
        }
    }
}
