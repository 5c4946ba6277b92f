//! Certificates made on the spot, and a client that speaks HTTP/1.1 or HTTP/2 over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::Answer;
use super::project::Project;

/// Which protocol the client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// Writes a self-signed certificate for `names` as `FILE.pem` and `FILE.key`, and answers it.
pub fn certificate(project: &Project, file: &str, names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    project.write(&format!("{file}.key"), &made.signing_key.serialize_pem());
    project.write(&format!("{file}.pem"), &made.cert.pem());
    made.cert.der().clone()
}

/// Writes a certificate that was valid until 2021.
pub fn expired_certificate(project: &Project, file: &str, name: &str) {
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = parameters.self_signed(&key).unwrap();
    project.write(&format!("{file}.key"), &key.serialize_pem());
    project.write(&format!("{file}.pem"), &made.pem());
}

/// `GET path` by HTTP/2 on a connection without TLS, by prior knowledge.
pub fn get_plain_http2(address: SocketAddr, name: &str, path: &str) -> std::io::Result<Answer> {
    within_deadline(async {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
        let (mut sender, connection) = handshake.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        let request = http::Request::get(format!("http://{name}{path}")).body(Full::new(Bytes::new())).unwrap();
        collected(sender.send_request(request).await).await
    })
}

/// `GET path` at `name`; `Err` when the certificate that comes is not `root`'s.
pub fn get(
    address: SocketAddr,
    name: &str,
    path: &str,
    root: &CertificateDer<'static>,
    protocol: Protocol,
) -> std::io::Result<Answer> {
    get_at(address, name, name, path, root, protocol)
}

/// As [`get`], where the request names another host than the handshake did.
pub fn get_at(
    address: SocketAddr,
    name: &str,
    host: &str,
    path: &str,
    root: &CertificateDer<'static>,
    protocol: Protocol,
) -> std::io::Result<Answer> {
    within_deadline(exchange(address, name, host, path, root, protocol))
}

/// A connection whose handshake is done, and on which no request comes.
pub struct Idle {
    runtime: tokio::runtime::Runtime,
    stream: tokio_rustls::client::TlsStream<TcpStream>,
}

// === impl Idle ===

impl Idle {
    pub fn connect(address: SocketAddr, name: &str, root: &CertificateDer<'static>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(connect(address, name, root, Protocol::Http1)).unwrap();
        Self { runtime, stream }
    }

    pub fn wait_until_closed(mut self) {
        use tokio::io::AsyncReadExt;
        let read = async { tokio::time::timeout(super::DEADLINE, self.stream.read_to_end(&mut Vec::new())).await };
        let _ = self.runtime.block_on(read).expect("the server closes the connection");
    }
}

fn within_deadline(work: impl Future<Output = std::io::Result<Answer>>) -> std::io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(super::DEADLINE, work).await })
        .expect("an answer within the deadline")
}

async fn collected(response: hyper::Result<http::Response<hyper::body::Incoming>>) -> std::io::Result<Answer> {
    let (head, body) = response.map_err(std::io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

async fn connect(
    address: SocketAddr,
    name: &str,
    root: &CertificateDer<'static>,
    protocol: Protocol,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }];
    let connector = TlsConnector::from(Arc::new(config));
    let server = ServerName::try_from(name.to_owned()).unwrap();
    connector.connect(server, TcpStream::connect(address).await?).await
}

async fn exchange(
    address: SocketAddr,
    name: &str,
    host: &str,
    path: &str,
    root: &CertificateDer<'static>,
    protocol: Protocol,
) -> std::io::Result<Answer> {
    let stream = TokioIo::new(connect(address, name, root, protocol).await?);
    let request = http::Request::get(format!("https://{host}{path}")).body(Full::new(Bytes::new())).unwrap();
    let response = match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            let mut request = request;
            request.headers_mut().insert(http::header::HOST, host.parse().unwrap());
            *request.uri_mut() = path.parse().unwrap();
            sender.send_request(request).await
        }
        Protocol::Http2 => {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
            let (mut sender, connection) = handshake.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    collected(response).await
}
