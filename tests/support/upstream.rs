//! The server that workers fetch from: a listener with a thread per connection, and one request per connection.
//!
//! | Path | Answer |
//! |---|---|
//! | `/text` | `hello upstream` and a line break |
//! | `/bytes/N` | N times `x`, in chunks |
//! | `/echo` | `{method, path, headers, body}` of the request |
//! | `/status/N` | status N; a text where the status may have one |
//! | `/redirect/N?to=PATH` | status N and that location |
//! | `/loop` | a redirect to itself |
//! | `/gzip` | `hello gzip` and a line break, compressed |
//! | `/cookies` | two `set-cookie` headers |
//! | `/dies` | ten bytes of a thousand, then the connection is closed |
//! | `/dies-chunked` | one chunk, then the connection is closed |
//! | `/hold` | nothing; waits until the client goes away |
//! | `/hold-body` | one chunk, then waits until the client goes away |
//! | `/count` | how many requests there were before it |

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::output::Output;

const GZIP: [u8; 31] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 203, 72, 205, 201, 201, 87, 72, 175, 202, 44, 224, 2, 0, 57, 124, 99, 86, 11, 0,
    0, 0,
];
const CHUNK: usize = 16 << 10;

/// Ends with the test's process.
pub struct Upstream {
    pub address: SocketAddr,
    /// A line when a request came, and one when the client of `/hold` or `/hold-body` went away.
    pub log: Output,
}

struct Received {
    method: String,
    target: String,
    headers: serde_json::Map<String, serde_json::Value>,
    body: Vec<u8>,
}

// === impl Upstream ===

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let log = Output::default();
        log.follow(reader);
        let count = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, mut log) = (Arc::clone(&count), writer.try_clone().unwrap());
                // A client that breaks the connection is nothing that the upstream minds.
                std::thread::spawn(move || serve(stream, &count, &mut log));
            }
        });
        Self { address, log }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(stream: TcpStream, count: &AtomicUsize, log: &mut impl Write) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(request) = receive(&mut reader)? else { return Ok(()) };
    writeln!(log, "{} {}", request.method, request.target)?;
    let before = count.fetch_add(1, Ordering::Relaxed);
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let (route, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let mut stream = stream;
    match route {
        "text" => whole(&mut stream, 200, "content-type: text/plain\r\n", b"hello upstream\n"),
        "bytes" => bytes(&mut stream, rest.parse().unwrap_or(0)),
        "echo" => {
            let body = String::from_utf8_lossy(&request.body);
            let told =
                json!({ "method": request.method, "path": request.target, "headers": request.headers, "body": body });
            whole(&mut stream, 200, "content-type: application/json\r\n", told.to_string().as_bytes())
        }
        "status" => match rest {
            "204" | "304" => write!(stream, "HTTP/1.1 {rest} Empty\r\nconnection: close\r\n\r\n"),
            _ => whole(&mut stream, rest.parse().unwrap_or(500), "content-type: text/plain\r\n", rest.as_bytes()),
        },
        "redirect" => {
            let location = format!("location: {}\r\n", query.strip_prefix("to=").unwrap_or("/text"));
            whole(&mut stream, rest.parse().unwrap_or(302), &location, b"")
        }
        "loop" => whole(&mut stream, 302, "location: /loop\r\n", b""),
        "gzip" => whole(&mut stream, 200, "content-type: text/plain\r\ncontent-encoding: gzip\r\n", &GZIP),
        "cookies" => whole(&mut stream, 200, "set-cookie: a=1\r\nset-cookie: b=2; Path=/\r\n", b"cookies\n"),
        "dies" => write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n0123456789"),
        "dies-chunked" => write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"),
        "hold" => hold(&mut reader, &request, log),
        "hold-body" => {
            write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
            hold(&mut reader, &request, log)
        }
        "count" => whole(&mut stream, 200, "", before.to_string().as_bytes()),
        _ => whole(&mut stream, 404, "", b"no such path\n"),
    }
}

fn whole(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> Result<()> {
    let head =
        format!("HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())
}

fn bytes(stream: &mut TcpStream, mut left: usize) -> Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )?;
    while left > 0 {
        let size = left.min(CHUNK);
        let chunk = [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
        stream.write_all(&chunk)?;
        left -= size;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Waits until the client goes away.
fn hold(reader: &mut impl Read, request: &Received, log: &mut impl Write) -> Result<()> {
    let _ = reader.read(&mut [0]);
    // In one piece: others may be leaving at the same time.
    log.write_all(format!("{} {} gone\n", request.method, request.target).as_bytes())
}

fn receive(reader: &mut impl BufRead) -> Result<Option<Received>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = serde_json::Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().into());
    }
    let body = match (headers.get("content-length"), headers.get("transfer-encoding")) {
        (Some(length), _) => exactly(reader, length.as_str().and_then(|length| length.parse().ok()).unwrap_or(0))?,
        (None, Some(_)) => chunked(reader)?,
        (None, None) => Vec::new(),
    };
    Ok(Some(Received { method, target, headers, body }))
}

fn exactly(reader: &mut impl Read, length: usize) -> Result<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn chunked(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        body.extend(exactly(reader, size)?);
        exactly(reader, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
