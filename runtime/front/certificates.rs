//! Certificates by server name, reloaded from their files while connections are served.
//!
//! Invariant: a handshake reads one consistent set from memory. A file that cannot be used never takes a working certificate
//! away: the last good one stays in place, and the caller of [`CertStore::reload`] gets the errors.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use crate::expiry;

/// The PEM files of one certificate: the chain, leaf first, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Why a certificate cannot be used. The operator's fault; each text names the file.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    #[error("no certificate is configured: name a certificate and a key file")]
    Nothing,
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: not a PEM file: {reason}", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("{}: holds no certificate (a block \"BEGIN CERTIFICATE\")", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{}: holds no private key (a block \"BEGIN PRIVATE KEY\", not encrypted)", path.display())]
    NoKey { path: PathBuf },
    #[error("{}: cannot be used as a certificate: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("{}: cannot be used as the key of {}: {reason}", key.display(), cert.display())]
    Key { key: PathBuf, cert: PathBuf, reason: String },
}

/// The certificates of the listeners. The first one also answers clients that name no server.
#[derive(Debug)]
pub struct CertStore {
    current: RwLock<Arc<Certificates>>,
}

/// A certificate and the names it covers.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: CertificateFiles,
    key: Arc<CertifiedKey>,
    names: Vec<Box<str>>,
    /// From when until when.
    validity: Option<(SystemTime, SystemTime)>,
}

#[derive(Debug)]
struct Certificates {
    all: Vec<Arc<Certificate>>,
    by_name: HashMap<Box<str>, Arc<Certificate>>,
}

// === impl CertStore ===

impl CertStore {
    /// Reads all `files` and fails if one of them cannot be used. Blocks on the file system.
    pub fn load(files: &[CertificateFiles]) -> Result<Arc<Self>, Vec<CertError>> {
        let (certificates, errors) = Certificates::read(files, None);
        match certificates {
            Some(certificates) if errors.is_empty() => {
                Ok(Arc::new(Self { current: RwLock::new(Arc::new(certificates)) }))
            }
            _ => Err(errors),
        }
    }

    /// Reads the same files again. Blocks on the file system; new handshakes use what was read.
    pub fn reload(&self) -> Result<(), Vec<CertError>> {
        let files: Vec<_> = self.current().all.iter().map(|certificate| certificate.files.clone()).collect();
        self.replace(&files)
    }

    /// Changes to other files, as after a reload of the config. Files that cannot be used keep what was last read of them.
    pub fn replace(&self, files: &[CertificateFiles]) -> Result<(), Vec<CertError>> {
        let (certificates, errors) = Certificates::read(files, Some(&self.current()));
        if let Some(certificates) = certificates {
            *self.current.write() = Arc::new(certificates);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// When each certificate expires, under the first name it has.
    #[must_use]
    pub fn expiries(&self) -> Vec<(String, SystemTime)> {
        let expiry = |certificate: &Arc<Certificate>| Some((certificate.to_string(), certificate.validity?.1));
        self.current().all.iter().filter_map(expiry).collect()
    }

    /// The certificates that clients refuse today, or will within `margin`: each with what is wrong.
    #[must_use]
    pub fn doubts(&self, margin: Duration) -> Vec<String> {
        let now = SystemTime::now();
        let doubt = |certificate: &Arc<Certificate>| {
            let (from, until) = certificate.validity?;
            let what = if until <= now {
                "has expired"
            } else if from > now {
                "is not valid yet"
            } else if until <= now + margin {
                "expires soon"
            } else {
                return None;
            };
            Some(format!("the certificate for {certificate} ({}) {what}", certificate.files.cert.display()))
        };
        self.current().all.iter().filter_map(doubt).collect()
    }

    /// The certificate for a client that asks for `server_name`, or for none.
    pub(crate) fn certificate(&self, server_name: Option<&str>) -> Option<Arc<Certificate>> {
        let current = self.current();
        server_name.map_or_else(|| current.all.first().cloned(), |name| current.covering(name))
    }

    fn current(&self) -> Arc<Certificates> {
        Arc::clone(&self.current.read())
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate(hello.server_name()).map(|certificate| Arc::clone(&certificate.key))
    }
}

// === impl Certificates ===

impl Certificates {
    /// Reads what can be read, and takes the rest from `previous`. `None` if nothing is left.
    fn read(files: &[CertificateFiles], previous: Option<&Self>) -> (Option<Self>, Vec<CertError>) {
        let mut all = Vec::with_capacity(files.len());
        let mut errors = Vec::new();
        for files in files {
            match Certificate::read(files) {
                Ok(certificate) => all.push(Arc::new(certificate)),
                Err(error) => {
                    let last_good = previous.and_then(|previous| previous.all.iter().find(|c| c.files == *files));
                    all.extend(last_good.cloned());
                    errors.push(error);
                }
            }
        }
        if files.is_empty() {
            errors.push(CertError::Nothing);
        }
        let certificates = (!all.is_empty()).then(|| Self::new(all));
        (certificates, errors)
    }

    /// Where two certificates cover a name, the first one wins.
    fn new(all: Vec<Arc<Certificate>>) -> Self {
        let mut by_name = HashMap::new();
        for certificate in &all {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_insert_with(|| Arc::clone(certificate));
            }
        }
        Self { all, by_name }
    }

    fn covering(&self, name: &str) -> Option<Arc<Certificate>> {
        let exact = self.by_name.get(name);
        exact.or_else(|| self.by_name.get(wildcard_of(name)?.as_str())).cloned()
    }
}

// === impl Certificate ===

impl Certificate {
    fn read(files: &CertificateFiles) -> Result<Self, CertError> {
        let chain = read_chain(&files.cert)?;
        let key = read_key(&files.key)?;
        let names = names_of(&files.cert, &chain)?;
        let validity = chain.first().and_then(|leaf| expiry::validity(leaf));
        let provider: CryptoProvider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| CertError::Key {
            key: files.key.clone(),
            cert: files.cert.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { files: files.clone(), key: Arc::new(key), names, validity })
    }

    /// Whether the certificate is good for `host` (lower-case, no port).
    pub(crate) fn covers(&self, host: &str) -> bool {
        let has = |name: &str| self.names.iter().any(|own| **own == *name);
        has(host) || wildcard_of(host).is_some_and(|wildcard| has(&wildcard))
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.first() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.files.cert.display()),
        }
    }
}

/// The wildcard that covers `name`: one label, the leftmost, and never a whole top-level domain.
fn wildcard_of(name: &str) -> Option<String> {
    let (_, parent) = name.split_once('.')?;
    parent.contains('.').then(|| format!("*.{parent}"))
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertError> {
    std::fs::read(path).map_err(|source| CertError::Read { path: path.to_owned(), source })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read_file(path)?).collect();
    let chain = chain.map_err(|error| pem_error(path, &error))?;
    if chain.is_empty() { Err(CertError::NoCertificate { path: path.to_owned() }) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertError> {
    PrivateKeyDer::from_pem_slice(&read_file(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => CertError::NoKey { path: path.to_owned() },
        other => pem_error(path, &other),
    })
}

fn pem_error(path: &Path, error: &dyn fmt::Display) -> CertError {
    CertError::Pem { path: path.to_owned(), reason: error.to_string() }
}

/// The DNS names in the leaf's `subjectAltName`. One without any can still be the default certificate.
fn names_of(path: &Path, chain: &[CertificateDer<'static>]) -> Result<Vec<Box<str>>, CertError> {
    let Some(leaf) = chain.first() else { return Ok(Vec::new()) };
    let leaf = webpki::EndEntityCert::try_from(leaf)
        .map_err(|error| CertError::Unusable { path: path.to_owned(), reason: error.to_string() })?;
    Ok(leaf.valid_dns_names().map(|name| name.to_ascii_lowercase().into_boxed_str()).collect())
}

#[cfg(test)]
mod tests {
    use super::wildcard_of;

    #[test]
    fn a_wildcard_covers_one_label_below_a_registered_name() {
        assert_eq!(wildcard_of("a.hello.example").as_deref(), Some("*.hello.example"));
        assert_eq!(wildcard_of("hello.example"), None);
        assert_eq!(wildcard_of("localhost"), None);
    }
}
