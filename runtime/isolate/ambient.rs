//! The waker that the engine's own event loop gets: it notes that the loop wants a poll, and wakes the isolate's thread.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;

use futures::task::AtomicWaker;

/// Set by the engine (from any thread) or by an op that started one of its promises.
#[derive(Default)]
pub struct AmbientWaker {
    wanted: AtomicBool,
    isolate: AtomicWaker,
}

// === impl AmbientWaker ===

impl AmbientWaker {
    /// Asks for a poll of the engine's event loop.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Release);
        self.isolate.wake();
    }

    /// Answers and clears the wish; otherwise the thread is woken when it comes up.
    pub(crate) fn take(&self, cx: &Context<'_>) -> bool {
        self.isolate.register(cx.waker());
        self.wanted.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for AmbientWaker {
    fn wake(self: Arc<Self>) {
        self.want();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.want();
    }
}
