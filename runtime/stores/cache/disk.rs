//! The half of the cache that is kept in files: one for each response, named by its key.
//!
//! A file is written under another name and then renamed, so whoever reads it sees all of it or none, also from another
//! process. It begins with a head that repeats the key: a name alone proves nothing, and what is no plain file is never opened
//! for one. Called on threads that may block.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use holm_apis::cache::interface::CacheKey;
use holm_apis::cache::interface::CachedResponse;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;
use sha1::Digest;
use sha1::Sha1;
use tokio::sync::Semaphore;

use super::DiskOptions;

/// Of the format.
const MAGIC: &[u8; 8] = b"holmcch1";
/// Bytes of a head; a longer one is none of ours.
const HEAD: u32 = 1 << 20;
/// Files that are read or written at once. A response that comes while more are written is not kept on disk.
const AT_ONCE: usize = 8;
/// Beyond its bound the directory is brought down to this share of it, in percent.
const SWEPT_TO: u64 = 90;
/// How often what other processes did to the directory is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// A file that was begun this long ago will not be finished.
const ABANDONED: Duration = Duration::from_secs(600);
const UNFINISHED: &str = "tmp";

pub(super) struct Disk {
    directory: PathBuf,
    most: u64,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    known: Arc<Mutex<Known>>,
    next: AtomicU64,
}

/// The files of the directory, as far as this process knows.
struct Known {
    files: HashMap<String, Kept>,
    bytes: u64,
    looked: Instant,
}

#[derive(Clone, Copy)]
struct Kept {
    bytes: u64,
    used: SystemTime,
}

/// In front of a body.
#[derive(Serialize, Deserialize)]
struct Head {
    tenant: String,
    cache: String,
    url: String,
    status: u16,
    /// Values as Latin-1.
    headers: Vec<(String, String)>,
    vary: Vec<(String, String)>,
    stored_ms: u64,
    fresh_until_ms: u64,
    age_ms: u64,
    body_bytes: u64,
}

// === impl Disk ===

impl Disk {
    pub(super) fn open(options: DiskOptions) -> io::Result<Self> {
        let DiskOptions { directory, bytes } = options;
        std::fs::create_dir_all(&directory)?;
        let known = Known::look(&directory)?;
        Ok(Self {
            directory,
            most: bytes,
            reads: Arc::new(Semaphore::new(AT_ONCE)),
            writes: Arc::new(Semaphore::new(AT_ONCE)),
            known: Arc::new(Mutex::new(known)),
            next: AtomicU64::new(0),
        })
    }

    pub(super) async fn read(&self, tenant: Arc<str>, key: CacheKey) -> Option<CachedResponse> {
        let name = name(&tenant, &key);
        let path = self.directory.join(&name);
        let _permit = self.reads.acquire().await.ok()?;
        let response = tokio::task::spawn_blocking(move || read(&path, &tenant, &key)).await.ok()?;
        if response.is_some()
            && let Some(kept) = self.known.lock().files.get_mut(&name)
        {
            kept.used = SystemTime::now();
        }
        response
    }

    /// Keeps a response, unless too many are being written.
    pub(super) async fn write(&self, tenant: Arc<str>, key: CacheKey, response: Arc<CachedResponse>) {
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        let name = name(&tenant, &key);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.directory.join(format!("{}-{number}.{UNFINISHED}", std::process::id()));
        let (directory, known, most) = (self.directory.clone(), Arc::clone(&self.known), self.most);
        let written = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let bytes = write(&unfinished, &tenant, &key, &response)
                .and_then(|bytes| std::fs::rename(&unfinished, directory.join(&name)).map(|()| bytes));
            match bytes {
                Ok(bytes) => known.lock().add(name, bytes),
                Err(error) => {
                    tracing::warn!(%error, directory = %directory.display(), "a response could not be cached on disk");
                    let _ = std::fs::remove_file(&unfinished);
                }
            }
            let mut known = known.lock();
            if known.looked.elapsed() > LOOK
                && let Ok(looked) = Known::look(&directory)
            {
                *known = looked;
            }
            for name in known.beyond(most) {
                let _ = std::fs::remove_file(directory.join(name));
            }
        });
        let _ = written.await;
    }

    pub(super) async fn delete(&self, tenant: Arc<str>, key: CacheKey) -> bool {
        let name = name(&tenant, &key);
        let path = self.directory.join(&name);
        self.known.lock().forget(&name);
        tokio::task::spawn_blocking(move || std::fs::remove_file(path).is_ok()).await.unwrap_or(false)
    }
}

/// The tenant's part comes first, so that a tenant's files are known by their names.
fn name(tenant: &str, key: &CacheKey) -> String {
    let tenant_part = Sha1::digest(tenant.as_bytes());
    let key_part =
        Sha1::new_with_prefix(key.cache.as_bytes()).chain_update([0]).chain_update(key.url.as_bytes()).finalize();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}-{}", hex(&tenant_part), hex(&key_part))
}

fn tenant_of(name: &str) -> &str {
    name.split('-').next().unwrap_or_default()
}

// === impl Known ===

impl Known {
    fn look(directory: &std::path::Path) -> io::Result<Self> {
        let mut known = Self { files: HashMap::new(), bytes: 0, looked: Instant::now() };
        for entry in std::fs::read_dir(directory)? {
            let Ok(entry) = entry else { continue };
            let (Ok(metadata), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else { continue };
            let used = metadata.modified().unwrap_or(UNIX_EPOCH);
            if name.ends_with(UNFINISHED) {
                if used.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = std::fs::remove_file(entry.path());
                }
            } else if name.len() == 81 && metadata.is_file() {
                known.bytes += metadata.len();
                known.files.insert(name, Kept { bytes: metadata.len(), used });
            }
        }
        Ok(known)
    }

    fn add(&mut self, name: String, bytes: u64) {
        self.forget(&name);
        self.bytes += bytes;
        self.files.insert(name, Kept { bytes, used: SystemTime::now() });
    }

    fn forget(&mut self, name: &str) {
        if let Some(kept) = self.files.remove(name) {
            self.bytes -= kept.bytes;
        }
    }

    /// Forgets what is too much, and answers which files that are: those of the tenant that holds most, the least recently used
    /// first.
    fn beyond(&mut self, most: u64) -> Vec<String> {
        if self.bytes <= most {
            return Vec::new();
        }
        let mut tenants: HashMap<String, (u64, Vec<(SystemTime, String)>)> = HashMap::new();
        for (name, kept) in &self.files {
            let (bytes, files) = tenants.entry(tenant_of(name).to_owned()).or_default();
            *bytes += kept.bytes;
            files.push((kept.used, name.clone()));
        }
        for (_, files) in tenants.values_mut() {
            files.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        }
        let mut gone = Vec::new();
        while self.bytes > most / 100 * SWEPT_TO {
            let Some((bytes, files)) = tenants.values_mut().max_by_key(|(bytes, _)| *bytes) else { break };
            let Some((_, name)) = files.pop() else { break };
            *bytes -= self.files.get(&name).map_or(0, |kept| kept.bytes);
            self.forget(&name);
            gone.push(name);
        }
        gone
    }
}

// === files

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn from_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

fn write(path: &std::path::Path, tenant: &str, key: &CacheKey, response: &CachedResponse) -> io::Result<u64> {
    let fields = |(name, value): (&HeaderName, &[u8])| (name.as_str().to_owned(), latin1(value));
    let head = Head {
        tenant: tenant.to_owned(),
        cache: key.cache.clone(),
        url: key.url.clone(),
        status: response.status.as_u16(),
        headers: response.headers.iter().map(|(name, value)| fields((name, value.as_bytes()))).collect(),
        vary: response.vary.iter().map(|(name, value)| fields((name, value))).collect(),
        stored_ms: milliseconds(response.stored),
        fresh_until_ms: milliseconds(response.fresh_until),
        age_ms: u64::try_from(response.age.as_millis()).unwrap_or(u64::MAX),
        body_bytes: response.body.len() as u64,
    };
    let head = serde_json::to_vec(&head)?;
    let length = u32::try_from(head.len()).ok().filter(|length| *length <= HEAD);
    let length = length.ok_or_else(|| io::Error::other("the headers are too large"))?;
    let mut file = File::create_new(path)?;
    file.write_all(&[MAGIC.as_slice(), &length.to_le_bytes(), &head].concat())?;
    file.write_all(&response.body)?;
    Ok((MAGIC.len() + 4 + head.len() + response.body.len()) as u64)
}

/// Follows no link, and waits for nobody at the other end of a pipe.
fn open(path: &std::path::Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    Ok(file)
}

/// `None`: there is none, it is another key's, or no such file.
fn read(path: &std::path::Path, tenant: &str, key: &CacheKey) -> Option<CachedResponse> {
    let mut file = open(path).ok()?;
    let mut start = [0; 12];
    file.read_exact(&mut start).ok()?;
    let (magic, length) = start.split_at(MAGIC.len());
    let length = u32::from_le_bytes(length.try_into().ok()?);
    if magic != MAGIC || length > HEAD {
        return None;
    }
    let mut head = vec![0; usize::try_from(length).ok()?];
    file.read_exact(&mut head).ok()?;
    let head: Head = serde_json::from_slice(&head).ok()?;
    if head.tenant != tenant || head.cache != key.cache || head.url != key.url {
        return None;
    }
    let fresh_until = UNIX_EPOCH + Duration::from_millis(head.fresh_until_ms);
    if fresh_until <= SystemTime::now() {
        return None;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &head.headers {
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&from_latin1(value)?).ok()?);
    }
    let vary = head.vary.iter().map(|(name, value)| Some((name.parse().ok()?, from_latin1(value)?)));
    let vary = vary.collect::<Option<Vec<_>>>()?;
    let whole = start.len() as u64 + u64::from(length) + head.body_bytes;
    if file.metadata().ok()?.len() != whole {
        return None;
    }
    let mut body = vec![0; usize::try_from(head.body_bytes).ok()?];
    file.read_exact(&mut body).ok()?;
    Some(CachedResponse {
        status: StatusCode::from_u16(head.status).ok()?,
        headers,
        body: Bytes::from(body),
        stored: UNIX_EPOCH + Duration::from_millis(head.stored_ms),
        age: Duration::from_millis(head.age_ms),
        fresh_until,
        vary,
    })
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::key;
    use super::super::memory::tests::response;
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("holm-cache-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }

        fn open(&self, bytes: u64) -> Disk {
            Disk::open(DiskOptions { directory: self.0.clone(), bytes }).unwrap()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn what_is_written_is_read_again_by_its_tenant_alone() {
        let directory = Directory::new("read");
        let tenant: Arc<str> = Arc::from("a");
        let mut kept = CachedResponse::clone(&response(1_000));
        kept.headers.insert("x-bytes", HeaderValue::from_bytes(b"\xe9").unwrap());
        kept.vary = vec![(http::header::ACCEPT, b"text/html".to_vec())];
        directory.open(1 << 20).write(Arc::clone(&tenant), key(1), Arc::new(kept.clone())).await;
        // As after a restart.
        let disk = directory.open(1 << 20);
        assert_eq!(disk.read(Arc::clone(&tenant), key(1)).await, Some(kept));
        assert_eq!(disk.read(Arc::from("b"), key(1)).await, None);
        assert!(disk.delete(Arc::clone(&tenant), key(1)).await);
        assert_eq!(disk.read(tenant, key(1)).await, None);
        assert_eq!(disk.known.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_file_that_is_not_whole_or_not_its_own_is_nothing() {
        let directory = Directory::new("broken");
        let (disk, tenant) = (directory.open(1 << 20), Arc::<str>::from("a"));
        disk.write(Arc::clone(&tenant), key(1), response(10)).await;
        let path = directory.0.join(name("a", &key(1)));
        std::fs::copy(&path, directory.0.join(name("b", &key(1)))).unwrap();
        assert_eq!(disk.read(Arc::from("b"), key(1)).await, None);
        for garbage in [&b""[..], b"holmcch1", b"holmcch1\xff\xff\xff\xff{", b"holmcch1\x02\0\0\0{}"] {
            std::fs::write(&path, garbage).unwrap();
            assert_eq!(disk.read(Arc::clone(&tenant), key(1)).await, None);
        }
    }

    #[tokio::test]
    async fn what_is_planted_under_the_name_of_a_response_is_neither_followed_nor_waited_for() {
        let (directory, elsewhere) = (Directory::new("planted"), Directory::new("planted-elsewhere"));
        let (disk, tenant) = (directory.open(1 << 20), Arc::<str>::from("a"));
        std::fs::create_dir_all(&elsewhere.0).unwrap();
        disk.write(Arc::clone(&tenant), key(1), response(10)).await;
        let path = directory.0.join(name("a", &key(1)));
        // What would be good under its own name.
        let moved = elsewhere.0.join("response");
        std::fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        assert_eq!(disk.read(Arc::clone(&tenant), key(1)).await, None);
        // Keeping a response replaces the link, not what it leads to.
        std::fs::write(&moved, "another's").unwrap();
        disk.write(Arc::clone(&tenant), key(1), response(10)).await;
        assert!(disk.read(Arc::clone(&tenant), key(1)).await.is_some());
        assert_eq!(std::fs::read(&moved).unwrap(), b"another's");
        for plant in [&plant_pipe as &dyn Fn(&std::path::Path), &|path| std::fs::create_dir(path).unwrap()] {
            std::fs::remove_file(&path).unwrap();
            plant(&path);
            assert_eq!(disk.read(Arc::clone(&tenant), key(1)).await, None);
            assert!(std::fs::remove_file(&path).is_ok() || std::fs::remove_dir(&path).is_ok());
            disk.write(Arc::clone(&tenant), key(1), response(10)).await;
        }
    }

    fn plant_pipe(path: &std::path::Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[tokio::test]
    async fn the_directory_stays_within_its_bound() {
        let directory = Directory::new("bound");
        let (disk, greedy, little) = (directory.open(40_000), Arc::<str>::from("greedy"), Arc::<str>::from("little"));
        disk.write(Arc::clone(&little), key(0), response(1_000)).await;
        for number in 0..60 {
            disk.write(Arc::clone(&greedy), key(number), response(1_000)).await;
        }
        let size: u64 =
            std::fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(size <= 40_000, "{size}");
        assert!(disk.read(little, key(0)).await.is_some());
        assert!(disk.read(Arc::clone(&greedy), key(59)).await.is_some());
        assert!(disk.read(greedy, key(0)).await.is_none());
    }
}
