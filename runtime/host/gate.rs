//! A bounded number of places, and a bounded queue before them.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Instant;

use holm_isolate::CHAIN_DEPTH;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

pub(crate) struct Gate {
    places: Semaphore,
    most: usize,
    queue: usize,
    waiting: AtomicUsize,
}

/// The gates of invocations by how deep they are in a chain of workers that call each other.
///
/// A caller keeps its place while it waits for what it calls. Would both take places of one gate, then callers could hold all of
/// them and wait for each other for ever, also those of a worker that calls itself. So each depth has places of its own: who
/// waits, waits for deeper ones only, and the deepest wait for none.
pub(crate) struct Gates {
    first: Gate,
    deeper: OnceLock<Box<[Gate]>>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    QueueFull,
    WaitedTooLong,
}

// === impl Gates ===

impl Gates {
    /// `places` and `queue` are those of each depth.
    pub(crate) fn new(places: usize, queue: usize) -> Self {
        Self { first: Gate::new(places, queue), deeper: OnceLock::new() }
    }

    /// The gate of this depth; 0 is a client's request.
    pub(crate) fn at(&self, depth: u32) -> &Gate {
        let Some(index) = depth.checked_sub(1) else { return &self.first };
        let deeper = self.deeper.get_or_init(|| {
            let gate = |_| Gate::new(self.first.most, self.first.queue);
            (0..CHAIN_DEPTH).map(gate).collect()
        });
        deeper.get(index as usize).or(deeper.last()).unwrap_or(&self.first)
    }

    /// How many wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        let deeper = self.deeper.get().map_or(0, |gates| gates.iter().map(Gate::waiting).sum());
        self.first.waiting() + deeper
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(places: usize, queue: usize) -> Self {
        let most = places.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Semaphore::new(most), most, queue, waiting: AtomicUsize::new(0) }
    }

    /// A place, held until it is dropped; first come, first served.
    ///
    /// # Errors
    /// At once when the queue is full, or when no place became free until then.
    pub(crate) async fn enter(&self, until: Instant) -> Result<SemaphorePermit<'_>, Refused> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::enter(&self.waiting, self.queue).ok_or(Refused::QueueFull)?;
        let place = tokio::time::timeout_at(until.into(), self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or(Refused::WaitedTooLong)
    }

    /// How many wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One place in a queue; given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, bound: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::AcqRel) >= bound {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn places_then_queue_then_nothing() {
        let gate = Arc::new(Gate::new(1, 1));
        let first = gate.enter(in_a_minute()).await.unwrap();
        let queued = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter(in_a_minute()).await.is_ok() }
        });
        while gate.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.enter(in_a_minute()).await.err(), Some(Refused::QueueFull));
        drop(first);
        assert!(queued.await.unwrap());
        assert_eq!(gate.waiting(), 0);
        assert!(gate.enter(in_a_minute()).await.is_ok());
    }

    #[tokio::test]
    async fn a_depth_has_places_of_its_own() {
        let gates = Gates::new(1, 0);
        let mut held = Vec::new();
        for depth in 0..=CHAIN_DEPTH {
            held.push(gates.at(depth).enter(in_a_minute()).await.unwrap());
            assert_eq!(gates.at(depth).enter(in_a_minute()).await.err(), Some(Refused::QueueFull));
        }
    }

    #[tokio::test]
    async fn who_waits_too_long_leaves_the_queue() {
        let gate = Gate::new(1, 8);
        let _first = gate.enter(in_a_minute()).await.unwrap();
        assert_eq!(gate.enter(Instant::now()).await.err(), Some(Refused::WaitedTooLong));
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let gate = Gate::new(1, 8);
        let first = gate.enter(in_a_minute()).await.unwrap();
        {
            let mut queued = std::pin::pin!(gate.enter(in_a_minute()));
            std::future::poll_fn(|cx| {
                assert!(queued.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(gate.waiting(), 1);
        }
        assert_eq!(gate.waiting(), 0);
        drop(first);
        assert!(gate.enter(in_a_minute()).await.is_ok());
    }
}
