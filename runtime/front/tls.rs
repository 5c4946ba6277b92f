//! TLS for a listener: its settings, the handshake, and what a session may be used for.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::CertStore;
use crate::certificates::Certificate;
use crate::options::Coalescing;

/// What a connection's handshake settled.
#[derive(Debug)]
pub(crate) struct TlsSession {
    /// Lower-case, as the client asked for it.
    server_name: Option<Box<str>>,
    certificate: Option<Arc<Certificate>>,
}

/// Session tickets are sealed with a key that changes every few hours and lives in memory only. rustls resumes a session
/// only for the server name it was made for; there is no early data, which could be replayed.
pub(crate) fn server_config(certificates: Arc<CertStore>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// The handshake; the caller has a deadline for it.
pub(crate) async fn accept<S>(
    config: Arc<ServerConfig>,
    certificates: &CertStore,
    stream: S,
) -> io::Result<(TlsStream<S>, TlsSession)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let server_name = stream.get_ref().1.server_name().map(|name| name.to_ascii_lowercase().into_boxed_str());
    let certificate = certificates.certificate(server_name.as_deref());
    Ok((stream, TlsSession { server_name, certificate }))
}

// === impl TlsSession ===

impl TlsSession {
    /// Whether a request for `host` (lower-case, no port) may come over this session.
    pub(crate) fn may_serve(&self, host: &str, coalescing: Coalescing) -> bool {
        match &self.server_name {
            Some(name) if **name == *host => true,
            Some(_) => coalescing == Coalescing::SameCertificate && self.certificate_covers(host),
            // A client has no way to ask for an address, so it asked for nothing.
            None => is_address(host) || self.certificate_covers(host),
        }
    }

    fn certificate_covers(&self, host: &str) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.covers(host))
    }
}

fn is_address(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().is_ok()
}
