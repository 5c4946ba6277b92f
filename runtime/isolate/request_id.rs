//! The id of a request, as clients, logs and error pages name it.

use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// An id that no other request of this process has, and hardly one of another. Made by counting; its sixteen hexadecimal
/// digits are only written where someone reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// Where this process begins to count.
static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
static COUNT: AtomicU64 = AtomicU64::new(0);

// === impl RequestId ===

impl RequestId {
    /// The next id of this process.
    #[must_use]
    pub fn next() -> Self {
        Self(scatter(START.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))))
    }

    /// For another process that goes on with the request.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Of a request that another process has taken in.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// SplitMix64's finisher: one to one, so that ids stay unique, and neighbours look nothing alike.
const fn scatter(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn ids_differ_and_have_sixteen_digits() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| RequestId::next().to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 16));
    }
}
