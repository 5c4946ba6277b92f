//! `connect()`: a TCP connection through the same gate as every subrequest, and TLS over it.

use std::sync::Arc;

use holm_apis::fetch::outbound::Wire;
use holm_apis::tcp::interface::ConnectError;
use holm_apis::tcp::interface::Connected;
use holm_apis::tcp::interface::Connecting;
use holm_apis::tcp::interface::Security;
use holm_apis::tcp::interface::Tcp;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
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
                    let handshake = handshake(wire, tls, host);
                    tokio::time::timeout(deadline, handshake).await.map_err(|_| ConnectError::Tls)??
                }
            };
            Ok(Connected { wire, remote, local })
        })
    }

    fn start_tls(&self, wire: Wire, name: String) -> Connecting<Wire> {
        let (tls, deadline) = (self.tls.clone(), self.options.connect_timeout);
        Box::pin(async move {
            tokio::time::timeout(deadline, handshake(wire, tls, name)).await.map_err(|_| ConnectError::Tls)?
        })
    }
}

async fn handshake(wire: Wire, tls: ClientConfig, name: String) -> Result<Wire, ConnectError> {
    let name = ServerName::try_from(name).map_err(|_| ConnectError::Tls)?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, wire).await.map_err(|_| ConnectError::Tls)?;
    Ok(Wire::new(stream))
}

const fn reason(failure: ConnectFailure) -> ConnectError {
    match failure {
        ConnectFailure::Denied => ConnectError::DestinationNotAllowed,
        ConnectFailure::Resolve => ConnectError::Resolve,
        ConnectFailure::Connect => ConnectError::Connect,
        ConnectFailure::Tls => ConnectError::Tls,
    }
}
