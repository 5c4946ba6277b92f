//! The half of the cache that is read without waiting.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use holm_apis::cache::interface::CacheKey;
use holm_apis::cache::interface::CachedResponse;
use parking_lot::Mutex;

/// What an entry takes beside its response.
const OVERHEAD: usize = 256;

pub(super) struct Memory {
    most: usize,
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    bytes: usize,
    of_tenants: HashMap<Arc<str>, Shelf>,
}

/// The responses of one tenant.
#[derive(Default)]
struct Shelf {
    bytes: usize,
    entries: HashMap<CacheKey, Entry>,
    /// In the order in which they go, unless they were used meanwhile. A key may stand here that is no entry any more, or
    /// is a newer one: its number says which.
    queue: VecDeque<(u64, CacheKey)>,
    next: u64,
}

struct Entry {
    response: Arc<CachedResponse>,
    size: usize,
    number: u64,
    used: bool,
}

// === impl Memory ===

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { most, shelves: Mutex::default() }
    }

    pub(super) fn get(&self, tenant: &str, key: &CacheKey) -> Option<Arc<CachedResponse>> {
        let mut shelves = self.shelves.lock();
        let entry = shelves.of_tenants.get_mut(tenant)?.entries.get_mut(key)?;
        entry.used = true;
        Some(Arc::clone(&entry.response))
    }

    pub(super) fn put(&self, tenant: &Arc<str>, key: CacheKey, response: Arc<CachedResponse>) {
        let size = response.size() + key.url.len() * 2 + key.cache.len() * 2 + OVERHEAD;
        let mut shelves = self.shelves.lock();
        shelves.remove(tenant, &key);
        if size > self.most {
            return;
        }
        let shelf = shelves.of_tenants.entry(Arc::clone(tenant)).or_default();
        shelf.next += 1;
        shelf.bytes += size;
        shelf.queue.push_back((shelf.next, key.clone()));
        shelf.entries.insert(key, Entry { response, size, number: shelf.next, used: false });
        shelf.tidy();
        shelves.bytes += size;
        while shelves.bytes > self.most && shelves.evict() {}
    }

    pub(super) fn delete(&self, tenant: &str, key: &CacheKey) -> bool {
        self.shelves.lock().remove(tenant, key)
    }
}

// === impl Shelves ===

impl Shelves {
    fn remove(&mut self, tenant: &str, key: &CacheKey) -> bool {
        let Some(shelf) = self.of_tenants.get_mut(tenant) else { return false };
        let Some(entry) = shelf.entries.remove(key) else { return false };
        shelf.bytes -= entry.size;
        self.bytes -= entry.size;
        if shelf.entries.is_empty() {
            self.of_tenants.remove(tenant);
        }
        true
    }

    /// Makes room, at the cost of the tenant that holds most. Answers `false` when there is nothing to let go.
    fn evict(&mut self) -> bool {
        let largest = self.of_tenants.iter().max_by_key(|(_, shelf)| shelf.bytes);
        let Some(tenant) = largest.map(|(tenant, _)| Arc::clone(tenant)) else { return false };
        let key = self.of_tenants.get_mut(&tenant).and_then(Shelf::least_used);
        key.is_some_and(|key| self.remove(&tenant, &key))
    }
}

// === impl Shelf ===

impl Shelf {
    /// The first in the queue that was not used since it came there.
    fn least_used(&mut self) -> Option<CacheKey> {
        loop {
            let (number, key) = self.queue.pop_front()?;
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.number == number) else { continue };
            if !std::mem::take(&mut entry.used) {
                return Some(key);
            }
            self.queue.push_back((number, key));
        }
    }

    /// Forgets keys that are no entries any more, once they are most of the queue.
    fn tidy(&mut self) {
        if self.queue.len() > 64 + 2 * self.entries.len() {
            let entries = &self.entries;
            self.queue.retain(|(number, key)| entries.get(key).is_some_and(|entry| entry.number == *number));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;
    use std::time::SystemTime;

    use bytes::Bytes;
    use http::HeaderMap;
    use http::StatusCode;

    use super::*;

    pub(crate) fn response(length: usize) -> Arc<CachedResponse> {
        Arc::new(CachedResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'x'; length]),
            stored: SystemTime::UNIX_EPOCH,
            age: Duration::ZERO,
            fresh_until: SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40),
            vary: Vec::new(),
        })
    }

    pub(crate) fn key(number: usize) -> CacheKey {
        CacheKey { cache: String::new(), url: format!("http://a.example/{number}") }
    }

    #[test]
    fn the_least_used_goes_first() {
        let (memory, tenant) = (Memory::new(10_000), Arc::from("a"));
        for number in 0..8 {
            memory.put(&tenant, key(number), response(1_000));
            memory.get("a", &key(0));
        }
        assert!(memory.get("a", &key(0)).is_some(), "it was used all the time");
        assert!(memory.get("a", &key(1)).is_none());
        assert!(memory.get("a", &key(7)).is_some());
        assert!(memory.shelves.lock().bytes <= 10_000);
    }

    #[test]
    fn a_tenant_that_holds_little_is_left_alone() {
        let (memory, little, greedy) = (Memory::new(10_000), Arc::from("little"), Arc::from("greedy"));
        memory.put(&little, key(0), response(1_000));
        for number in 0..100 {
            memory.put(&greedy, key(number), response(1_000));
        }
        assert!(memory.get("little", &key(0)).is_some());
        assert!(memory.get("greedy", &key(0)).is_none(), "and is no way to the other's");
    }

    #[test]
    fn what_is_deleted_or_too_large_is_gone_with_its_bytes() {
        let (memory, tenant) = (Memory::new(10_000), Arc::from("a"));
        memory.put(&tenant, key(0), response(1_000));
        memory.put(&tenant, key(0), response(20_000));
        assert!(memory.get("a", &key(0)).is_none(), "the one before is not what was put");
        memory.put(&tenant, key(1), response(1_000));
        assert!(memory.delete("a", &key(1)) && !memory.delete("a", &key(1)));
        for _ in 0..1_000 {
            memory.put(&tenant, key(2), response(10));
        }
        let shelves = memory.shelves.lock();
        assert!(shelves.of_tenants["a"].queue.len() < 200);
        assert_eq!(shelves.bytes, shelves.of_tenants["a"].bytes);
    }
}
