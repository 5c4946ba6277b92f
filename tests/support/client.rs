//! A blocking HTTP/1.1 client over hyper. Each request has a connection of its own, which dropping the answer closes.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use regex::bytes::Regex;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::DEADLINE;

/// Sends requests to one address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: SocketAddr,
}

/// A request; the method is GET unless it is said.
pub type Request = http::Request<Bytes>;

/// An answer in full.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// An answer whose body is still on its way.
pub struct Open {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    received: Vec<u8>,
    // Dropped last: the connection lives on it.
    runtime: Runtime,
}

/// `GET path`.
pub fn get(path: &str) -> http::request::Builder {
    http::Request::get(path)
}

/// `POST path` with a body.
pub fn post(path: &str, body: impl Into<Bytes>) -> Request {
    http::Request::post(path).body(body.into()).unwrap()
}

// === impl Client ===

impl Client {
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The answer to `GET path`.
    pub fn get(&self, path: &str) -> Answer {
        self.send(get(path).body(Bytes::new()).unwrap())
    }

    /// The answer to `GET path` at a host name.
    pub fn get_at(&self, host: &str, path: &str) -> Answer {
        self.send(get(path).header(header::HOST, host).body(Bytes::new()).unwrap())
    }

    /// The answer to `GET path` as a browser asks for a page.
    pub fn browse(&self, path: &str) -> Answer {
        self.send(get(path).header(header::ACCEPT, "text/html,*/*;q=0.8").body(Bytes::new()).unwrap())
    }

    pub fn send(&self, request: Request) -> Answer {
        let about = format!("{} {}", request.method(), request.uri());
        self.try_send(request).unwrap_or_else(|error| panic!("{about}: {error}"))
    }

    /// `Err` when there is no answer, or only a part of one.
    pub fn try_send(&self, request: Request) -> Result<Answer, String> {
        self.try_open(request)?.finish()
    }

    /// The head of the answer; the body can be read in pieces.
    pub fn open(&self, request: Request) -> Open {
        self.try_open(request).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_open(&self, request: Request) -> Result<Open, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let response = runtime.block_on(within_deadline(exchange(self.address, request)))?;
        let (head, body) = response.into_parts();
        Ok(Open { status: head.status.as_u16(), headers: head.headers, body, received: Vec::new(), runtime })
    }
}

async fn exchange(address: SocketAddr, mut request: Request) -> Result<http::Response<Incoming>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    if !request.headers().contains_key(header::HOST) {
        request.headers_mut().insert(header::HOST, address.to_string().parse().unwrap());
    }
    sender.send_request(request.map(Full::new)).await.map_err(|error| error.to_string())
}

async fn within_deadline<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| Err("nothing came within the deadline".to_owned()))
}

// === impl Open ===

impl Open {
    /// The next piece; `None` at the end, `Err` where the connection broke.
    pub fn next(&mut self) -> Option<Result<Bytes, String>> {
        let frame = async { self.body.frame().await.transpose().map_err(|error| error.to_string()) };
        let piece = match self.runtime.block_on(within_deadline(frame)) {
            Ok(frame) => frame?.into_data().unwrap_or_default(),
            Err(error) => return Some(Err(error)),
        };
        self.received.extend_from_slice(&piece);
        Some(Ok(piece))
    }

    /// Reads until all that was received so far matches.
    pub fn read_until(&mut self, pattern: &str) -> String {
        let regex = Regex::new(pattern).unwrap();
        while !regex.is_match(&self.received) {
            match self.next() {
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("{error} before /{pattern}/ came: {}", self.received()),
                None => panic!("the body ended before /{pattern}/ came: {}", self.received()),
            }
        }
        self.received()
    }

    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// The rest of the body.
    pub fn finish(mut self) -> Result<Answer, String> {
        while let Some(piece) = self.next() {
            piece?;
        }
        Ok(Answer { status: self.status, headers: self.headers, body: self.received })
    }
}

// === impl Answer ===

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header's value; "" if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or("(not text)"))
    }

    /// The code of an error that Holm itself answered with; "" for an answer of the worker.
    pub fn error(&self) -> &str {
        self.header("x-holm-error")
    }
}
