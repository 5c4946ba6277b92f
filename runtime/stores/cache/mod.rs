//! The Cache API's store: in memory, and on disk where the operator names a directory. One for a process.
//!
//! ```text
//! memory   what is read without waiting; the least used of the tenant that holds most goes first
//! disk     what survives memory and restarts: a file for each response
//! ```
//!
//! Invariant: a response is reachable by its tenant's keys alone. Both halves are bounded in bytes.

mod disk;
mod memory;

use std::path::PathBuf;
use std::sync::Arc;

use holm_apis::cache::interface::CacheKey;
use holm_apis::cache::interface::CacheStore;
use holm_apis::cache::interface::CachedResponse;
use holm_apis::cache::interface::Caching;
use holm_apis::cache::interface::Peek;

use self::disk::Disk;
use self::memory::Memory;

/// Bounds of a [`SharedCache`].
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Bytes in memory.
    pub memory: usize,
    /// Bytes of one body.
    pub body: usize,
    pub disk: Option<DiskOptions>,
}

#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Made if it is not there. Several processes may use it at once.
    pub directory: PathBuf,
    /// Bytes of all files.
    pub bytes: u64,
}

/// All cached responses of a process.
#[derive(Clone)]
pub struct SharedCache {
    memory: Arc<Memory>,
    disk: Option<Arc<Disk>>,
    body: usize,
}

/// Why there is no cache. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[error("the directory of the cache, {path}, is not usable: {source}; name one that the server may write to, or none")]
pub struct CacheSetupError {
    path: PathBuf,
    source: std::io::Error,
}

/// One tenant's view.
struct OfTenant {
    tenant: Arc<str>,
    cache: SharedCache,
}

// === impl SharedCache ===

impl SharedCache {
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(options: CacheOptions) -> Result<Self, CacheSetupError> {
        let CacheOptions { memory, body, disk } = options;
        let disk = disk.map(|disk| {
            let path = disk.directory.clone();
            Disk::open(disk).map(Arc::new).map_err(|source| CacheSetupError { path, source })
        });
        Ok(Self { memory: Arc::new(Memory::new(memory)), disk: disk.transpose()?, body })
    }

    /// The caches of one tenant.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Arc<dyn CacheStore> {
        Arc::new(OfTenant { tenant: Arc::from(tenant), cache: self.clone() })
    }
}

// === impl OfTenant ===

impl CacheStore for OfTenant {
    fn peek(&self, key: &CacheKey) -> Peek {
        match self.cache.memory.get(&self.tenant, key) {
            Some(response) => Peek::Found(response),
            None if self.cache.disk.is_some() => Peek::Unknown,
            None => Peek::Nothing,
        }
    }

    fn find(&self, key: CacheKey) -> Caching<Option<Arc<CachedResponse>>> {
        let (tenant, cache) = (Arc::clone(&self.tenant), self.cache.clone());
        Box::pin(async move {
            if let Some(response) = cache.memory.get(&tenant, &key) {
                return Some(response);
            }
            let response = Arc::new(cache.disk?.read(Arc::clone(&tenant), key.clone()).await?);
            cache.memory.put(&tenant, key, Arc::clone(&response));
            Some(response)
        })
    }

    fn put(&self, key: CacheKey, response: CachedResponse) -> Caching<()> {
        let (tenant, cache) = (Arc::clone(&self.tenant), self.cache.clone());
        Box::pin(async move {
            let response = Arc::new(response);
            cache.memory.put(&tenant, key.clone(), Arc::clone(&response));
            if let Some(disk) = cache.disk {
                disk.write(tenant, key, response).await;
            }
        })
    }

    fn delete(&self, key: CacheKey) -> Caching<bool> {
        let (tenant, cache) = (Arc::clone(&self.tenant), self.cache.clone());
        Box::pin(async move {
            let in_memory = cache.memory.delete(&tenant, &key);
            let on_disk = match cache.disk {
                Some(disk) => disk.delete(tenant, key).await,
                None => false,
            };
            in_memory || on_disk
        })
    }

    fn largest_body(&self) -> usize {
        self.cache.body
    }
}
