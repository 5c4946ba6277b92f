//! `fetch()` over real sockets: HTTP/1.1 and HTTP/2, pooled, and refused where the egress policy says so.
//!
//! ```text
//! exchange   one call: sends, follows redirects           redirect   what the next request of a chain is
//! headers    what goes on the wire, what comes off it     decode     what JavaScript reads
//! connect    name lookup, TCP, TLS: every new socket      egress     which places may be reached
//! resolve    from a name to addresses                     coding     how a content coding is undone
//! websocket  the handshake of an outgoing WebSocket     tcp        `connect()`
//! ```
//!
//! Invariant: a socket exists only to an address that [`EgressPolicy`] permitted, whatever the name, literal or redirect
//! that led there. No environment variable (proxies, certificate files) has a say.

pub mod coding;
mod connect;
mod decode;
mod egress;
mod exchange;
mod headers;
mod redirect;
mod resolve;
mod tcp;
mod websocket;

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use holm_apis::fetch::outbound::Exchange;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::Lookup;
use holm_apis::fetch::outbound::Outbound;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_isolate::Body;
use http::HeaderValue;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject as _;

use self::connect::ConnectFailure;
use self::connect::Connector;
pub use self::egress::Destinations;
pub use self::egress::Egress;
pub use self::egress::EgressPolicy;
pub use self::egress::OwnListeners;
pub use self::egress::WorkerEgress;
pub use self::egress::is_public;
pub use self::egress::public;
pub use self::resolve::NameServers;
pub use self::resolve::Resolve;
pub use self::resolve::Resolving;

/// Bytes an HTTP/2 upstream may send ahead of the reader of one body.
const H2_STREAM_WINDOW: u32 = 256 * 1024;
/// The same for one connection. Many times the window of a stream, so that unread bodies do not stall the others.
const H2_CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of a response head over HTTP/2.
const H2_HEAD: u32 = 64 * 1024;
/// The same over HTTP/1.1, where it is the size of the connection's buffer too.
const H1_HEAD: usize = 128 * 1024;
/// Headers of one response.
const H1_HEADERS: usize = 256;
/// An HTTP/2 connection with open streams that is silent this long is asked for a sign of life.
const H2_PING_AFTER: Duration = Duration::from_secs(30);
/// How long it may take to give one.
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How far and how much a [`HttpOutbound`] may reach.
#[derive(Clone, Debug)]
pub struct OutboundOptions {
    pub policy: EgressPolicy,
    /// Looks up names that are not addresses. Shared by all workers.
    pub resolver: Arc<dyn Resolve>,
    /// The value of the `cf-worker` header, which tells an upstream whom to complain about. `None`: no such header.
    pub worker_id: Option<HeaderValue>,
    /// Certificates (DER) trusted beside the roots of the web.
    pub extra_roots: Vec<Root>,
    /// For name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the end of a request to the head of its response. A body that is being sent extends it.
    pub head_timeout: Duration,
    /// Bytes that a body whose coding is undone may grow to.
    pub decoded_bytes: u64,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Unused connections kept for each scheme, host and port.
    pub idle_per_host: usize,
    /// Open connections, used and unused. A call that needs one more waits for up to `connect_timeout`.
    pub connections: usize,
    /// Name lookups at the same time. One more waits.
    pub lookups: usize,
}

/// Sends what `fetch()` asks for.
///
/// A clone shares connections with its original. Tenants do not share any: [`HttpOutbound::separate`].
#[derive(Clone)]
pub struct HttpOutbound {
    client: Arc<Client<Connector, Body>>,
    /// Makes connections that may switch protocols; there is none before the first of them.
    switching: Arc<OnceLock<Client<Connector, Body>>>,
    connector: Connector,
    /// Without ALPN names, which the connector adds.
    tls: ClientConfig,
    options: Arc<OutboundOptions>,
}

/// The certificate of an authority (DER).
pub type Root = CertificateDer<'static>;

/// Why a text holds no certificates of authorities.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error("not a PEM file: {0}")]
    Syntax(#[source] pem::Error),
    #[error("holds no certificate (a block \"BEGIN CERTIFICATE\")")]
    Empty,
    #[error("certificate {0} of it cannot be trusted: {1}")]
    Unusable(usize, #[source] rustls::Error),
}

/// Why no [`HttpOutbound`] could be made. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(
        "extra root certificate {index} is not usable ({source}); give one X.509 certificate in DER form per entry"
    )]
    Root { index: usize, source: rustls::Error },
    #[error("TLS could not be set up: {0}")]
    Tls(#[source] rustls::Error),
}

/// Reads the certificates of a PEM file, all of which have to be ones that can be trusted.
pub fn roots_of_pem(pem: &[u8]) -> Result<Vec<Root>, PemError> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(PemError::Syntax)?;
    let mut store = RootCertStore::empty();
    for (index, root) in roots.iter().enumerate() {
        store.add(root.clone()).map_err(|error| PemError::Unusable(index + 1, error))?;
    }
    if roots.is_empty() { Err(PemError::Empty) } else { Ok(roots) }
}

// === impl OutboundOptions ===

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            policy: EgressPolicy::default(),
            resolver: Arc::new(NameServers::default()),
            worker_id: None,
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(100),
            decoded_bytes: 512 << 20,
            idle_timeout: Duration::from_secs(30),
            idle_per_host: 256,
            connections: 1024,
            lookups: 8,
        }
    }
}

// === impl HttpOutbound ===

impl HttpOutbound {
    pub fn new(options: OutboundOptions) -> Result<Self, SetupError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for (index, root) in options.extra_roots.iter().enumerate() {
            roots.add(root.clone()).map_err(|source| SetupError::Root { index, source })?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetupError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with_tls(tls, Arc::new(options)))
    }

    /// The same options with connections, TLS sessions and limits of its own: what one more tenant gets, since a shared
    /// connection would let one tenant's upstream answer another tenant's request.
    #[must_use]
    pub fn separate(&self) -> Self {
        self.separate_with(|_| {})
    }

    /// As [`HttpOutbound::separate`], with other options. `extra_roots` stay what they are.
    #[must_use]
    pub fn separate_with(&self, change: impl FnOnce(&mut OutboundOptions)) -> Self {
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::default();
        let mut options = OutboundOptions::clone(&self.options);
        change(&mut options);
        Self::with_tls(tls, Arc::new(options))
    }

    /// Where the server listens itself: known to this outbound and all that are separated from it.
    #[must_use]
    pub fn own_listeners(&self) -> &OwnListeners {
        &self.options.policy.own
    }

    fn with_tls(tls: ClientConfig, options: Arc<OutboundOptions>) -> Self {
        let connector = Connector::new(tls.clone(), &options);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.idle_per_host)
            .http1_max_buf_size(H1_HEAD)
            .http1_max_headers(H1_HEADERS)
            .http2_initial_stream_window_size(H2_STREAM_WINDOW)
            .http2_initial_connection_window_size(H2_CONNECTION_WINDOW)
            .http2_max_header_list_size(H2_HEAD)
            .http2_keep_alive_interval(H2_PING_AFTER)
            .http2_keep_alive_timeout(H2_PING_TIMEOUT)
            .build(connector.clone());
        Self { client: Arc::new(client), switching: Arc::default(), connector, tls, options }
    }

    /// The client for what may switch to another protocol: HTTP/1.1, a new connection each.
    fn switching(&self) -> &Client<Connector, Body> {
        self.switching.get_or_init(|| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_max_idle_per_host(0)
                .http1_max_buf_size(H1_HEAD)
                .http1_max_headers(H1_HEADERS)
                .build(self.connector.http1_only(self.tls.clone()))
        })
    }
}

impl Outbound for HttpOutbound {
    fn fetch(&self, request: OutboundRequest) -> Exchange {
        if websocket::is_asked_for(&request.headers) {
            return Box::pin(exchange::run(self.switching().clone().into(), self.options.clone(), request));
        }
        Box::pin(exchange::run(self.client.clone(), self.options.clone(), request))
    }

    fn lookup(&self, name: String) -> Lookup {
        let gate = self.connector.gate();
        Box::pin(async move {
            gate.addresses(&name).await.map_err(|failure| match failure {
                ConnectFailure::Denied => FetchError::DestinationNotAllowed,
                ConnectFailure::Resolve | ConnectFailure::Connect | ConnectFailure::Tls => FetchError::Resolve,
            })
        })
    }
}
