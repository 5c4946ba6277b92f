//! From a name to its addresses, asked of the name servers of this machine. Which addresses may be connected is decided by
//! `connect`, from the same answer.
//!
//! A resolver of its own, since the system's takes a thread for each lookup, for as long as a tenant's name server likes,
//! and puts the machine's search domains behind a tenant's names. Invariant: a lookup holds two sockets and no thread, and
//! is over after [`TOTAL`]. Nothing is remembered: what one tenant looks up cannot be timed by another.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;

pub mod message;
mod settings;

use self::message::Answer;
use self::message::Kind;
use self::settings::Settings;

/// For a name with all its servers and both families of addresses.
const TOTAL: Duration = Duration::from_secs(5);
/// For one server to answer.
const ONE_SERVER: Duration = Duration::from_millis(1_500);
/// Each server is asked this often.
const ROUNDS: usize = 2;
/// `resolv.conf` and `hosts` are read again after this long.
const SETTINGS_KEPT: Duration = Duration::from_secs(10);

/// The addresses of a name, in the order in which they should be tried; empty where it has none.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub trait Resolve: Debug + Send + Sync + 'static {
    fn resolve(&self, name: &str) -> Resolving;
}

/// Asks the name servers of `/etc/resolv.conf`; names of `/etc/hosts` are known without.
#[derive(Clone, Debug, Default)]
pub struct NameServers {
    known: Arc<Mutex<Option<Known>>>,
}

/// What the machine's files said, and until when that is believed.
#[derive(Debug)]
struct Known {
    until: Instant,
    settings: Arc<Settings>,
}

// === impl NameServers ===

impl NameServers {
    /// Name servers that are given, for tests of what asks them.
    #[must_use]
    pub fn given(servers: Vec<SocketAddr>) -> Self {
        let settings = Arc::new(Settings { servers, ..Settings::default() });
        let until = Instant::now() + Duration::from_secs(365 * 24 * 3600);
        Self { known: Arc::new(Mutex::new(Some(Known { until, settings }))) }
    }

    async fn settings(&self) -> Arc<Settings> {
        let mut known = self.known.lock().await;
        if let Some(known) = &*known
            && Instant::now() < known.until
        {
            return Arc::clone(&known.settings);
        }
        let settings = Arc::new(tokio::task::spawn_blocking(Settings::read).await.unwrap_or_default());
        *known = Some(Known { until: Instant::now() + SETTINGS_KEPT, settings: Arc::clone(&settings) });
        settings
    }
}

impl Resolve for NameServers {
    fn resolve(&self, name: &str) -> Resolving {
        let (servers, name) = (self.clone(), name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
        Box::pin(async move {
            let settings = servers.settings().await;
            if let Some(addresses) = settings.hosts.get(&name) {
                return Ok(addresses.clone());
            }
            // Names that are promised never to exist (RFC 6761 §6.4).
            if name == "invalid" || name.ends_with(".invalid") {
                return Ok(Vec::new());
            }
            tokio::time::timeout(TOTAL, lookup(&settings.servers, &name))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}

/// IPv4 comes first: it works where IPv6 has no route.
async fn lookup(servers: &[SocketAddr], name: &str) -> io::Result<Vec<IpAddr>> {
    let (v4, v6) = tokio::join!(ask(servers, name, Kind::A), ask(servers, name, Kind::Aaaa));
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => Ok(v4.into_iter().chain(v6).collect()),
        (Ok(some), Err(error)) | (Err(error), Ok(some)) if some.is_empty() => Err(error),
        (Ok(some), Err(_)) | (Err(_), Ok(some)) => Ok(some),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Asks one server after the other, until one knows.
async fn ask(servers: &[SocketAddr], name: &str, kind: Kind) -> io::Result<Vec<IpAddr>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no name server is configured");
    for server in servers.iter().cycle().take(servers.len().saturating_mul(ROUNDS)) {
        match tokio::time::timeout(ONE_SERVER, ask_one(*server, name, kind)).await {
            Ok(Ok(addresses)) => return Ok(addresses),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn ask_one(server: SocketAddr, name: &str, kind: Kind) -> io::Result<Vec<IpAddr>> {
    let id = random_id();
    let query = message::query(id, name, kind).ok_or(io::ErrorKind::InvalidInput)?;
    let local: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own for each question; connected, so that only the server's packets arrive.
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut buffer = [0; message::LARGEST_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match message::answer(buffer.get(..length).unwrap_or_default(), id, name, kind) {
            Answer::Addresses(addresses) => return Ok(addresses),
            Answer::Failed => return Err(io::Error::other("the name server failed")),
            Answer::Truncated => break,
            // Somebody may be guessing; the answer may still come.
            Answer::Foreign => {}
        }
    }
    ask_by_tcp(server, &query, id, name, kind).await
}

async fn ask_by_tcp(server: SocketAddr, query: &[u8], id: u16, name: &str, kind: Kind) -> io::Result<Vec<IpAddr>> {
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    match message::answer(&buffer, id, name, kind) {
        Answer::Addresses(addresses) => Ok(addresses),
        Answer::Failed | Answer::Truncated | Answer::Foreign => Err(io::Error::other("the name server failed")),
    }
}

/// Not to be guessed by whoever would like to answer in the server's place.
fn random_id() -> u16 {
    use std::hash::BuildHasher;
    let mut bytes = [0; 2];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match provider.secure_random.fill(&mut bytes) {
        Ok(()) => u16::from_be_bytes(bytes),
        // Keyed by the operating system's random numbers.
        Err(_) => std::hash::RandomState::new().hash_one(Instant::now()) as u16,
    }
}
