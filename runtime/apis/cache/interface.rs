//! What the Cache API needs from the world: a place for responses, of one tenant.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::StatusCode;

/// A future that the front runtime drives.
pub type Caching<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The caches of one tenant. What it keeps may be gone at any time.
pub trait CacheStore: Send + Sync + 'static {
    /// Looks where no waiting is needed.
    fn peek(&self, key: &CacheKey) -> Peek;

    /// Looks everywhere.
    fn find(&self, key: CacheKey) -> Caching<Option<Arc<CachedResponse>>>;

    /// Keeps a response, in the place of the one that is there.
    fn put(&self, key: CacheKey, response: CachedResponse) -> Caching<()>;

    /// Answers whether there was one.
    fn delete(&self, key: CacheKey) -> Caching<bool>;

    /// Bytes that the body of a response may have.
    fn largest_body(&self) -> usize;
}

/// What [`CacheStore::peek`] has found.
#[derive(Debug)]
pub enum Peek {
    Found(Arc<CachedResponse>),
    /// [`CacheStore::find`] may know more.
    Unknown,
    Nothing,
}

/// One response of one cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The name that the cache was opened by; empty for the default one.
    pub cache: String,
    /// As the script wrote it, with its fragment.
    pub url: String,
}

/// A response as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub stored: SystemTime,
    /// How old it was then (RFC 9111 §4.2.3).
    pub age: Duration,
    /// It is fresh until then.
    pub fresh_until: SystemTime,
    /// The headers of the request that it was stored for, as far as its `vary` names them.
    pub vary: Vec<(HeaderName, Vec<u8>)>,
}

/// Keeps nothing.
#[derive(Debug)]
pub struct NoCache;

// === impl CachedResponse ===

impl CachedResponse {
    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let fields = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        self.body.len() + fields + size_of::<Self>()
    }
}

// === impl NoCache ===

impl CacheStore for NoCache {
    fn peek(&self, _key: &CacheKey) -> Peek {
        Peek::Nothing
    }

    fn find(&self, _key: CacheKey) -> Caching<Option<Arc<CachedResponse>>> {
        Box::pin(std::future::ready(None))
    }

    fn put(&self, _key: CacheKey, _response: CachedResponse) -> Caching<()> {
        Box::pin(std::future::ready(()))
    }

    fn delete(&self, _key: CacheKey) -> Caching<bool> {
        Box::pin(std::future::ready(false))
    }

    fn largest_body(&self) -> usize {
        1 << 20
    }
}
