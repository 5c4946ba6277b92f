//! From a name to its addresses, asked of the name servers of this machine. Which addresses may be connected is decided by
//! `connect`, from the same answer.
//!
//! Not by the system's own resolver, since that takes a thread for each lookup, for as long as a tenant's name server likes,
//! and puts the machine's search domains behind a tenant's names. Invariant: a lookup holds a few sockets and no thread, and
//! is over after [`TOTAL`]. No answer is remembered: what one tenant looks up cannot be timed by another.

use std::fmt;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::config::NameServerConfig;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::config::ServerOrderingStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::Mutex;

/// For a name with all its servers and both families of addresses.
const TOTAL: Duration = Duration::from_secs(5);
/// For all servers to answer once.
const ONE_ROUND: Duration = Duration::from_millis(2_400);
/// All servers are asked again this often.
const RETRIES: usize = 1;
/// As many servers as resolvers use (`resolv.conf(5)`).
const SERVERS: usize = 3;
/// `resolv.conf` and `hosts` are read again after this long.
const SETTINGS_KEPT: Duration = Duration::from_secs(10);

/// The addresses of a name, in the order in which they should be tried; empty where it has none.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub trait Resolve: Debug + Send + Sync + 'static {
    fn resolve(&self, name: &str) -> Resolving;
}

/// Asks the name servers of `/etc/resolv.conf`; names of `/etc/hosts` are known without.
#[derive(Clone, Default)]
pub struct NameServers {
    known: Arc<Mutex<Option<Known>>>,
}

/// A resolver by what the machine's files said, and until when that is believed.
struct Known {
    until: Instant,
    resolver: TokioResolver,
}

// === impl NameServers ===

impl NameServers {
    /// Name servers that are given, for tests of what asks them.
    ///
    /// # Errors
    ///
    /// When no resolver can be made for them.
    pub fn given(servers: &[SocketAddr]) -> io::Result<Self> {
        let servers = servers.iter().map(|server| {
            let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            (udp.port, tcp.port) = (server.port(), server.port());
            NameServerConfig::new(server.ip(), true, vec![udp, tcp])
        });
        let resolver = resolver(servers.collect(), ResolveHosts::Never)?;
        let until = Instant::now() + Duration::from_secs(365 * 24 * 3600);
        Ok(Self { known: Arc::new(Mutex::new(Some(Known { until, resolver }))) })
    }

    async fn resolver(&self) -> io::Result<TokioResolver> {
        let mut known = self.known.lock().await;
        if let Some(known) = &*known
            && Instant::now() < known.until
        {
            return Ok(known.resolver.clone());
        }
        let resolver = tokio::task::spawn_blocking(from_system).await.map_err(io::Error::other)??;
        *known = Some(Known { until: Instant::now() + SETTINGS_KEPT, resolver: resolver.clone() });
        Ok(resolver)
    }

    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut name = Name::from_ascii(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        // No search domains.
        name.set_fqdn(true);
        match self.resolver().await?.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(NetError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Debug for NameServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameServers")
    }
}

impl Resolve for NameServers {
    fn resolve(&self, name: &str) -> Resolving {
        let (servers, name) = (self.clone(), name.to_owned());
        Box::pin(async move {
            tokio::time::timeout(TOTAL, servers.lookup(&name))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}

/// Reads the machine's files. Only the servers and the hosts count: search domains and options are left out on purpose.
fn from_system() -> io::Result<TokioResolver> {
    let servers = match read_system_conf() {
        Ok((config, _)) => config.name_servers().iter().take(SERVERS).cloned().collect(),
        // What a resolver asks where nothing is said.
        Err(_) => vec![NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into())],
    };
    resolver(servers, ResolveHosts::Always)
}

fn resolver(servers: Vec<NameServerConfig>, hosts: ResolveHosts) -> io::Result<TokioResolver> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = ONE_ROUND;
    options.attempts = RETRIES;
    options.num_concurrent_reqs = SERVERS;
    options.cache_size = 0;
    options.use_hosts_file = hosts;
    // IPv4 comes first: it works where IPv6 has no route.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    builder.build().map_err(io::Error::other)
}
