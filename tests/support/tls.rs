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
    within_deadline(exchange(address, name, path, root, protocol))
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

async fn exchange(
    address: SocketAddr,
    name: &str,
    path: &str,
    root: &CertificateDer<'static>,
    protocol: Protocol,
) -> std::io::Result<Answer> {
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
    let stream = TokioIo::new(connector.connect(server, TcpStream::connect(address).await?).await?);
    let request = http::Request::get(format!("https://{name}{path}")).body(Full::new(Bytes::new())).unwrap();
    let response = match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            let mut request = request;
            request.headers_mut().insert(http::header::HOST, name.parse().unwrap());
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
