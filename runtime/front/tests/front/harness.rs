//! A front on an ephemeral port, the workers behind it, and clients that can be as rude as a test needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holm_front::Front;
use holm_front::Incoming;
use holm_front::Options;
use holm_front::Shutdown;
use holm_front::Transport;
use holm_front::Unrouted;
use holm_front::Workers;
use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::Outcome;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Hosts that have a worker.
const HOSTS: [&str; 5] = ["hello.example", "other.example", "a.wild.example", "b.wild.example", "127.0.0.1"];

/// One worker for each host; what it does is in the path.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    /// Told when `/gate` and `/never` are reached.
    pub(crate) reached: Arc<Notify>,
    /// Lets `/gate` answer.
    pub(crate) release: Arc<Notify>,
    /// Told when the dispatch of `/never`, or the body of `/endless`, is dropped.
    pub(crate) dropped: Arc<Notify>,
}

struct TellsDrop(Arc<Notify>);

impl Drop for TellsDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Workers for Fake {
    type Worker = String;

    fn route(&self, https: bool, host: &str, path: &str) -> Result<String, Unrouted> {
        let known = HOSTS.contains(&host) && !path.starts_with("/unrouted");
        known.then(|| format!("{host} {}", if https { "https" } else { "http" })).ok_or(Unrouted::Unknown)
    }

    async fn dispatch(&self, worker: &String, event: Incoming) -> Result<Response<Body>, Failure> {
        let url = event.url.clone();
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        match path.split('?').next().unwrap_or_default() {
            "headers" => Ok(text(format!("{:?}", event.headers))),
            "echo" => echo(event.body).await,
            "ignore" => Ok(text(format!("{:?}", event.body))),
            "gate" => {
                self.reached.notify_one();
                self.release.notified().await;
                Ok(text("released"))
            }
            "never" => {
                let _guard = TellsDrop(Arc::clone(&self.dropped));
                self.reached.notify_one();
                std::future::pending().await
            }
            "endless" => Ok(Response::new(self.endless())),
            "stream" => Ok(Response::new(Body::stream(chunks(3)))),
            "dishonest" => Ok(dishonest()),
            "status" => {
                let status = path.rsplit('?').next().unwrap_or_default().parse::<u16>().unwrap();
                let mut response = text("a body");
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok(response)
            }
            "throws" => {
                let mut failure = Failure::new(Outcome::Exception, "<secret> message");
                failure.stack = Some("at secret.js:1:2".into());
                Err(failure)
            }
            "overloaded" => Err(Failure::new(Outcome::Overloaded, "queue is full")),
            _ => Ok(text(format!("{worker} {url}"))),
        }
    }
}

impl Fake {
    fn endless(&self) -> Body {
        let guard = TellsDrop(Arc::clone(&self.dropped));
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        Body::stream(Pieces(move || {
            let _held = &guard;
            Some(piece.clone())
        }))
    }
}

struct Pieces<F>(F);

impl<F: FnMut() -> Option<Bytes> + Unpin> http_body::Body for Pieces<F> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready((self.0)().map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

/// A body of `count` pieces, whose length is not known before.
pub(crate) fn chunks(
    count: usize,
) -> impl http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin {
    let mut left = count;
    Pieces(move || {
        left = left.checked_sub(1)?;
        Some(Bytes::from_static(b"piece "))
    })
}

fn text(text: impl Into<String>) -> Response<Body> {
    Response::new(Body::Bytes(Bytes::from(text.into())))
}

/// By which path the body came, and what it held.
async fn echo(body: Body) -> Result<Response<Body>, Failure> {
    let kind = match &body {
        Body::Empty => "empty",
        Body::Bytes(_) => "bytes",
        Body::Stream(_) => "stream",
    };
    let read = body.collect().await.map_err(|error| Failure::new(Outcome::Exception, error.to_string()))?;
    let mut response = Response::new(Body::from(read.to_bytes()));
    response.headers_mut().insert("body-kind", HeaderValue::from_static(kind));
    Ok(response)
}

/// An answer whose headers say things that are not so.
fn dishonest() -> Response<Body> {
    let mut response = text("four");
    for (name, value) in [
        ("content-length", "99"),
        ("connection", "upgrade"),
        ("keep-alive", "timeout=99"),
        ("transfer-encoding", "gzip"),
        ("upgrade", "x"),
        ("proxy-authenticate", "x"),
        ("x-holm-error", "forged"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A running front.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) workers: Fake,
    pub(crate) shutdown: Shutdown,
    pub(crate) served: JoinHandle<()>,
}

pub(crate) async fn start(options: Options) -> Running {
    start_with(options, Transport::Plain).await
}

pub(crate) async fn start_with(options: Options, transport: Transport) -> Running {
    let workers = Fake::default();
    let front = Front::new(workers.clone(), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, signal) = Shutdown::new();
    let served = tokio::spawn(async move { front.serve(listener, transport, signal).await.unwrap() });
    Running { address, workers, shutdown, served }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes as they are and returns all that comes back until the server closes.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // A server that refuses early may close before it has read all.
        let _ = stream.write_all(request.as_ref()).await;
        read_to_end(&mut stream).await
    }

    /// One GET on a connection of its own, with some more header lines.
    pub(crate) async fn get(&self, host: &str, path: &str, lines: &str) -> String {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n")).await
    }

    pub(crate) async fn http2(&self) -> Http2 {
        http2(TokioIo::new(self.connect().await)).await
    }
}

pub(crate) type Http2 =
    hyper::client::conn::http2::SendRequest<http_body_util::combinators::BoxBody<Bytes, hyper::Error>>;

pub(crate) async fn http2<T>(io: T) -> Http2
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A request with a body of known length, perhaps none.
pub(crate) fn request(
    method: &str,
    url: &str,
    body: impl Into<Bytes>,
) -> Request<http_body_util::combinators::BoxBody<Bytes, hyper::Error>> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    Request::builder().method(method).uri(url).body(body).unwrap()
}

pub(crate) async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset after the answer is a close too.
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer off a connection that stays open; its body must have a length.
pub(crate) async fn read_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    while !complete(&answer) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        answer.push(byte.expect("an answer in time").expect("an open connection"));
    }
    String::from_utf8(answer).unwrap()
}

fn complete(answer: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(answer) else { return false };
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    body.len() >= length
}

/// The status code of an answer as it stands on the wire.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {answer:?}")).parse().unwrap()
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(": ")?;
        own.eq_ignore_ascii_case(name).then_some(value)
    })
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

pub(crate) async fn told(notify: &Notify) {
    tokio::time::timeout(PATIENCE, notify.notified()).await.expect("it happens in time");
}
