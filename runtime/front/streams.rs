//! The streams of HTTP/2: each is a task of its own, which hyper starts through the executor here.
//!
//! A client may hold a stream's window shut for ever while the connection's socket takes bytes, so the write timeout of
//! [`crate::socket`] does not see it. Here each look at a stream's task ends with the question what it waits for: a worker
//! (the dispatch or the answer's body said so), or the client. The client may take the write timeout, then the task is
//! dropped, at which h2 resets the stream.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;

use crate::counters::Counters;
use crate::counters::Pause;
use crate::upload::Pace;

/// What was seen of a stream while its task was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing: it got no further than its window.
    Nothing,
    /// Something moved.
    Progress,
    /// A worker has to go on.
    Worker,
}

thread_local! {
    static SEEN: Cell<Seen> = const { Cell::new(Seen::Nothing) };
}

/// To be told of each poll of a dispatch or of an answer's body.
pub(crate) fn note<T>(polled: &Poll<T>) {
    SEEN.set(if polled.is_pending() { Seen::Worker } else { Seen::Progress });
}

/// A future whose waits are a worker's.
pub(crate) async fn noted<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        note(&polled);
        polled
    })
    .await
}

/// Starts the tasks of streams.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    write_timeout: Duration,
    counters: Arc<Counters>,
}

// === impl Streams ===

impl Streams {
    pub(crate) const fn new(write_timeout: Duration, counters: Arc<Counters>) -> Self {
        Self { write_timeout, counters }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut stream = Box::pin(stream);
        let mut pace = Pace::new(self.write_timeout);
        let counters = Arc::clone(&self.counters);
        tokio::spawn(std::future::poll_fn(move |cx| watch(&mut stream, &mut pace, &counters, cx)));
    }
}

fn watch<F>(stream: &mut Pin<Box<F>>, pace: &mut Pace, counters: &Counters, cx: &mut Context<'_>) -> Poll<()>
where
    F: Future<Output = ()>,
{
    SEEN.set(Seen::Nothing);
    if stream.as_mut().poll(cx).is_ready() {
        return Poll::Ready(());
    }
    match SEEN.get() {
        Seen::Worker => {
            pace.progress();
            return Poll::Pending;
        }
        Seen::Progress => pace.progress(),
        Seen::Nothing => {}
    }
    std::task::ready!(pace.poll_stalled(cx));
    counters.timed_out(Pause::Write);
    tracing::debug!("a stream whose client takes no bytes is reset");
    Poll::Ready(())
}
