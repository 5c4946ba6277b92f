//! `connect()` and `node:net`: a TCP connection through the same gate as every subrequest, and TLS over it.

use std::io;
use std::sync::Arc;

use holm_apis::fetch::outbound::Wire;
use holm_apis::tcp::interface::ConnectError;
use holm_apis::tcp::interface::Connected;
use holm_apis::tcp::interface::Connecting;
use holm_apis::tcp::interface::Secured;
use holm_apis::tcp::interface::Security;
use holm_apis::tcp::interface::Tcp;
use holm_apis::tcp::interface::TlsClient;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::ProtocolVersion;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio_rustls::TlsConnector;

use super::HttpOutbound;
use super::connect::ConnectFailure;

impl Tcp for HttpOutbound {
    fn connect(&self, host: String, port: u16, security: Security) -> Connecting<Connected> {
        let (connector, tls, deadline) = (self.connector.clone(), self.tls.clone(), self.options.connect_timeout);
        Box::pin(async move {
            let stream = connector.tcp(&host, port).await.map_err(reason)?;
            let (remote, local) = stream.addresses().map_err(|_| ConnectError::Connect)?;
            let wire = Wire::new(TokioIo::new(stream));
            let wire = match security {
                Security::Plain => wire,
                Security::Tls => {
                    let client = TlsClient { name: host, ..TlsClient::default() };
                    let handshake = tokio::time::timeout(deadline, handshake(wire, tls, client));
                    handshake.await.map_err(|_| ConnectError::Tls)??.wire
                }
            };
            Ok(Connected { wire, remote, local })
        })
    }

    fn start_tls(&self, wire: Wire, client: TlsClient) -> Connecting<Secured> {
        let (tls, deadline) = (self.tls.clone(), self.options.connect_timeout);
        Box::pin(async move {
            tokio::time::timeout(deadline, handshake(wire, tls, client)).await.map_err(|_| ConnectError::Tls)?
        })
    }
}

async fn handshake(wire: Wire, mut tls: ClientConfig, client: TlsClient) -> Result<Secured, ConnectError> {
    let TlsClient { name, alpn, roots } = client;
    let name = ServerName::try_from(name).map_err(|_| ConnectError::Tls)?;
    if let Some(roots) = roots {
        tls = trusting(&roots, &tls)?;
    }
    tls.alpn_protocols = alpn;
    let connecting = TlsConnector::from(Arc::new(tls)).connect(name, wire).await;
    let stream = connecting.map_err(|error| failure(&error))?;
    let (_, session) = stream.get_ref();
    let cipher = session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let secured = Secured {
        alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        // The library puts the version into the names of its newer suites.
        cipher: cipher.unwrap_or_default().replacen("TLS13_", "TLS_", 1),
        certificate: certificate.map(|certificate| certificate.to_vec()).unwrap_or_default(),
        wire: Wire::new(stream),
    };
    Ok(secured)
}

/// Trusts what a worker says in place of what the server does. Sessions are not kept: one must not be resumed by a
/// handshake that trusts others.
fn trusting(pem: &str, tls: &ClientConfig) -> Result<ClientConfig, ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| ConnectError::Roots)?;
        roots.add(certificate).map_err(|_| ConnectError::Roots)?;
    }
    if roots.is_empty() {
        return Err(ConnectError::Roots);
    }
    let builder = ClientConfig::builder_with_provider(Arc::clone(tls.crypto_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| ConnectError::Tls)?;
    let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
    tls.resumption = Resumption::disabled();
    Ok(tls)
}

fn failure(error: &io::Error) -> ConnectError {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => ConnectError::Certificate,
        _ => ConnectError::Tls,
    }
}

const fn reason(failure: ConnectFailure) -> ConnectError {
    match failure {
        ConnectFailure::Denied => ConnectError::DestinationNotAllowed,
        ConnectFailure::Resolve => ConnectError::Resolve,
        ConnectFailure::Connect => ConnectError::Connect,
        ConnectFailure::Tls => ConnectError::Tls,
    }
}
