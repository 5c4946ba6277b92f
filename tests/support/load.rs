//! Requests without a pause, from several clients at once, and what became of them.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::DEADLINE;

/// Clients that send until they are told to stop.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered with 200.
    pub good: usize,
    /// Answered with something else.
    pub other: usize,
    /// Connected, and not answered.
    pub broken: usize,
    /// Not even connected.
    pub refused: usize,
}

/// How long a client keeps its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Reconnect,
    KeepAlive,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    good: AtomicUsize,
    other: AtomicUsize,
    broken: AtomicUsize,
    refused: AtomicUsize,
}

enum Answer {
    Status(u16, Connection),
    Broken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Stays,
    Closes,
}

// === impl Load ===

impl Load {
    /// `GET` of a path at a host name, from clients of both habits.
    pub fn start(address: SocketAddr, host: &str, path: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let clients = [Habit::Reconnect, Habit::KeepAlive, Habit::KeepAlive].map(|habit| {
            let close = if habit == Habit::Reconnect { "Connection: close\r\n" } else { "" };
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n");
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.send(address, &request))
        });
        Self { shared, clients: clients.into() }
    }

    /// So far.
    pub fn tally(&self) -> Tally {
        let Shared { good, other, broken, refused, .. } = &*self.shared;
        let [good, other, broken, refused] = [good, other, broken, refused].map(|count| count.load(Ordering::SeqCst));
        Tally { good, other, broken, refused }
    }

    /// Waits for so many more good answers.
    pub fn wait_for_good(&self, more: usize) {
        let until = std::time::Instant::now() + DEADLINE;
        let wanted = self.tally().good + more;
        while self.tally().good < wanted {
            assert!(std::time::Instant::now() < until, "{:?}, and {wanted} good ones were wanted", self.tally());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets every client finish what it has begun.
    pub fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::SeqCst);
        let Self { shared, clients } = self;
        for client in clients {
            client.join().unwrap();
        }
        Self { shared, clients: Vec::new() }.tally()
    }
}

// === impl Shared ===

impl Shared {
    fn send(&self, address: SocketAddr, request: &str) {
        let mut kept: Option<TcpStream> = None;
        while !self.stop.load(Ordering::SeqCst) {
            let Some(mut stream) = kept.take().or_else(|| connect(address)) else {
                self.refused.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let counter = match exchange(&mut stream, request) {
                Answer::Status(200, connection) => {
                    if connection == Connection::Stays {
                        kept = Some(stream);
                    }
                    &self.good
                }
                Answer::Status(..) => &self.other,
                Answer::Broken => &self.broken,
            };
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    Some(stream)
}

/// Sends a request and reads one answer, whose body has an announced length.
fn exchange(stream: &mut TcpStream, request: &str) -> Answer {
    if stream.write_all(request.as_bytes()).is_err() {
        return Answer::Broken;
    }
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => received.extend_from_slice(&piece[..read]),
            _ => return Answer::Broken,
        }
        let text = String::from_utf8_lossy(&received).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length: usize = header("content-length: ").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
            let closes = header("connection: ") == Some("close");
            return Answer::Status(status, if closes { Connection::Closes } else { Connection::Stays });
        }
    }
}
