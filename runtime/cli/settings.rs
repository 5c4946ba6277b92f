//! What a server's configuration means for the parts of its process.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holm_config::limits::Limits;
use holm_config::server::Certificate;
use holm_config::server::Listen;
use holm_config::server::Seeing;
use holm_config::server::ServerConfig;
use holm_config::server::Usage;
use holm_front::CertStore;
use holm_front::CertificateFiles;
use holm_front::CpuHeader;
use holm_front::Options;
use holm_host::Isolation;
use holm_stores::cache::CacheOptions;
use holm_stores::cache::DiskOptions;
use holm_stores::fetch::Egress;
use holm_stores::fetch::Root;

/// What a process takes from its configuration once, when it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lasting<'a> {
    listen: Listen,
    threads: Option<usize>,
    drain: Duration,
    expose_cpu: bool,
    usage: Option<&'a Usage>,
    cache_directory: Option<&'a Path>,
    trusted: &'a [PathBuf],
    cron_state: Option<&'a Path>,
    largest_memory_mb: u64,
}

// === impl Lasting ===

impl<'a> Lasting<'a> {
    pub(super) fn of(config: &'a ServerConfig) -> Self {
        let Seeing { expose_cpu, log_clients: _ } = config.seeing;
        Self {
            listen: config.listen,
            threads: config.threads,
            drain: config.drain,
            expose_cpu,
            usage: config.usage.as_ref(),
            cache_directory: config.cache_directory.as_deref(),
            trusted: &config.trusted,
            cron_state: config.cron.state.as_deref(),
            largest_memory_mb: largest_memory_mb(config),
        }
    }
}

/// The engine's heap limit is one for all isolates, since a spare knows no worker.
pub(super) fn largest_memory_mb(config: &ServerConfig) -> u64 {
    config.workers.iter().map(|worker| worker.limits.memory_mb).max().unwrap_or(config.limits.memory_mb)
}

pub(super) fn isolation(config: &ServerConfig) -> Isolation {
    let limits = &config.limits;
    Isolation {
        isolates: usize::try_from(limits.isolates).unwrap_or(usize::MAX),
        memory_bytes: limits.isolates_memory_mb << 20,
        idle: Duration::from_secs(limits.isolate_idle_seconds),
        spares: usize::try_from(limits.spare_isolates).unwrap_or(0),
    }
}

/// The bounds of the caches.
pub(super) fn cache(limits: &Limits, directory: Option<&Path>) -> CacheOptions {
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    CacheOptions {
        memory: size(limits.cache_memory_mb << 20),
        body: size(limits.cache_body_bytes),
        disk: directory
            .map(|directory| DiskOptions { directory: directory.to_owned(), bytes: limits.cache_disk_mb << 20 }),
    }
}

/// The authorities that subrequests trust beside the web's.
pub(super) fn trusted(files: &[PathBuf]) -> Result<Vec<Root>, String> {
    let mut trusted = Vec::new();
    for file in files {
        let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", file.display());
        let pem = std::fs::read(file).map_err(|error| told(&format_args!("cannot be read: {error}")))?;
        trusted.extend(holm_stores::fetch::roots_of_pem(&pem).map_err(|error| told(&error))?);
    }
    Ok(trusted)
}

pub(super) const fn egress(configured: holm_config::server::Egress) -> Egress {
    match configured {
        holm_config::server::Egress::Public => Egress::Public,
        holm_config::server::Egress::PublicAndLoopback => Egress::PublicAndLoopback,
        holm_config::server::Egress::Any => Egress::Any,
    }
}

pub(super) fn front_options(config: &ServerConfig) -> Options {
    let limits = &config.limits;
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let mut options = Options::default();
    options.limits.url_bytes = size(limits.url_bytes);
    options.limits.header_bytes = size(limits.request_header_bytes);
    options.limits.one_header_bytes = size(limits.request_one_header_bytes);
    options.limits.header_count = size(limits.request_headers);
    options.limits.answer_header_bytes = size(limits.response_header_bytes);
    options.limits.streams = u32::try_from(limits.streams).unwrap_or(u32::MAX);
    options.limits.body_bytes = limits.request_body_bytes;
    options.timeouts.headers = Duration::from_secs(limits.request_head_seconds);
    options.timeouts.first_byte = Duration::from_secs(limits.first_byte_seconds);
    options.timeouts.tls_handshake = Duration::from_secs(limits.tls_handshake_seconds);
    options.timeouts.body = Duration::from_secs(limits.request_body_idle_seconds);
    options.timeouts.write = Duration::from_secs(limits.response_write_idle_seconds);
    options.timeouts.keep_alive = Duration::from_secs(limits.connection_idle_seconds);
    options.connections.total = size(limits.connections);
    options.connections.per_address = size(limits.connections_per_address);
    options.cpu_header = if config.seeing.expose_cpu { CpuHeader::Told } else { CpuHeader::Absent };
    options
}

pub(super) fn certificate_files(certificates: &[Certificate]) -> Vec<CertificateFiles> {
    certificates.iter().map(|files| CertificateFiles { cert: files.cert.clone(), key: files.key.clone() }).collect()
}

pub(super) fn load_certificates(config: &ServerConfig) -> Result<Option<Arc<CertStore>>, String> {
    if config.listen.https.is_none() {
        return Ok(None);
    }
    let errors = |errors: Vec<holm_front::CertError>| {
        errors.iter().map(|error| format!("error: {error}")).collect::<Vec<_>>().join("\n")
    };
    CertStore::load(&certificate_files(&config.certificates)).map(Some).map_err(errors)
}

/// Certificates that clients will not take: worth a line, since everything seems to go well here.
pub(super) fn warn_of_certificates(certificates: &CertStore) {
    const MARGIN: Duration = Duration::from_secs(14 * 86_400);
    for doubt in certificates.doubts(MARGIN) {
        tracing::warn!("{doubt}; renew it, the new files are used at once");
    }
}
