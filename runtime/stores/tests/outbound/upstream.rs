//! Servers on 127.0.0.1 that a test talks to, and short ways to write a request.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use holm_apis::fetch::outbound::Decoding;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::Outbound;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_apis::fetch::outbound::OutboundResponse;
use holm_apis::fetch::outbound::Redirect;
use holm_isolate::Body;
use holm_isolate::BodyError;
use holm_stores::fetch::Egress;
use holm_stores::fetch::EgressPolicy;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::OutboundOptions;
use http::HeaderMap;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A server that lives as long as the test's runtime.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// Connections accepted so far.
    accepted: Arc<AtomicUsize>,
    scheme: &'static str,
}

/// A certificate for 127.0.0.1 and the configuration of a server that shows it.
pub(crate) struct Certified {
    pub(crate) root: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

pub(crate) type Answer = Response<Body>;

// === impl Upstream ===

impl Upstream {
    /// Answers HTTP/1.1 with `handler`.
    pub(crate) async fn http<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::accept("http", move |stream| serve(stream, handler.clone())).await
    }

    /// Answers HTTP/2, or HTTP/1.1 where the client does not offer it, with `handler`.
    pub(crate) async fn https<H, F>(certified: &Certified, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::tls(certified.acceptor.clone(), handler).await
    }

    /// The same with any TLS settings.
    pub(crate) async fn tls<H, F>(acceptor: TlsAcceptor, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::accept("https", move |stream| {
            let (acceptor, handler) = (acceptor.clone(), handler.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, handler).await;
                }
            }
        })
        .await
    }

    /// Hands each connection to `handler` as it is.
    pub(crate) async fn raw<H, F>(handler: H) -> Self
    where
        H: Fn(TcpStream) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::accept("http", handler).await
    }

    async fn accept<H, F>(scheme: &'static str, handler: H) -> Self
    where
        H: Fn(TcpStream) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handler(stream));
            }
        });
        Self { address, accepted, scheme }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn serve<S, H, F>(stream: S, handler: H)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    // A connection that the client cuts ends in an error: that is what many of the tests do.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

// === impl Certified ===

impl Certified {
    pub(crate) fn new() -> Self {
        let generated = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let root = generated.cert.der().clone();
        let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der()).unwrap();
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![root.clone()], key)
                .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { root, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

// === requests and answers ===

/// Reaches this machine.
pub(crate) fn outbound() -> HttpOutbound {
    HttpOutbound::new(local()).unwrap()
}

pub(crate) fn local() -> OutboundOptions {
    OutboundOptions { policy: EgressPolicy::new(Egress::PublicAndLoopback), ..OutboundOptions::default() }
}

pub(crate) fn get(url: impl AsRef<str>) -> OutboundRequest {
    OutboundRequest {
        method: Method::GET,
        url: url.as_ref().parse().unwrap(),
        headers: HeaderMap::new(),
        body: Body::Empty,
        redirect: Redirect::Follow,
        max_hops: 50,
        decoding: Decoding::Automatic,
        cdn_loop: None,
    }
}

pub(crate) fn post(url: impl AsRef<str>, body: Body) -> OutboundRequest {
    OutboundRequest { method: Method::POST, body, ..get(url) }
}

/// A body of the frames that `frames` gives, one at a time, as they are asked for.
pub(crate) fn streamed<S>(frames: S) -> Body
where
    S: futures::Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    use futures::StreamExt;
    let frames = frames.map(|frame| frame.map(http_body::Frame::data));
    Body::Stream(http_body_util::StreamBody::new(frames).boxed_unsync())
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    response
}

pub(crate) async fn fetch(outbound: &HttpOutbound, request: OutboundRequest) -> OutboundResponse {
    outbound.fetch(request).await.unwrap()
}

pub(crate) async fn refused(outbound: &HttpOutbound, request: OutboundRequest) -> FetchError {
    outbound.fetch(request).await.unwrap_err()
}

pub(crate) async fn text(body: Body) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The next bytes of a body that has some.
pub(crate) async fn chunk(body: &mut Body) -> Bytes {
    Pin::new(body).frame().await.unwrap().unwrap().into_data().unwrap()
}

/// The head of the request on a connection, up to and with its empty line.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

pub(crate) async fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.unwrap();
}
