//! The subrequests of one invocation that are open at once, and the way out when they block each other.
//!
//! A subrequest holds a lane from its start to the end of its response's body. One more than there are lanes waits. A worker
//! that waits for a response while it leaves others unread would wait for ever: then the response that was left alone
//! longest is cancelled, as on the Workers platform ("Simultaneous open connections").
//!
//! Invariant: each lane is given back exactly once, by the drop of [`Lane`], and the one given back goes to who has waited
//! longest.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Body;
use crate::BodyError;
use crate::BodyStream;
use crate::Owner;
use crate::State;
use crate::StateError;

/// After this long without a byte read from any open response, a waiting subrequest counts as blocked by them, whatever else
/// the worker does.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// What a worker's log says when a response was cancelled.
pub const STALLED: &str = "A response that was not read has been cancelled, since another fetch() was waiting for its connection. A request may have a limited number of connections open at once (limits.open_connections), and one is open until its response's body has been read. Read the body of every response, or call response.body.cancel() on those you do not need.";
/// What reading a cancelled response says.
const CANCELLED: &str = "This response was cancelled because its body was not read while other fetch() calls were waiting for a connection. Read each body, or cancel it, before you wait for more responses.";

/// The lanes of one invocation.
pub struct Lanes {
    limit: usize,
    table: Mutex<Table>,
    /// Counts up with everything that happens to a response: what orders them by their last use.
    clock: AtomicU64,
    cancelled: AtomicBool,
}

#[derive(Default)]
struct Table {
    open: Vec<Arc<Held>>,
    waiting: VecDeque<oneshot::Sender<Lane>>,
}

/// A place among the open subrequests, given back when it is dropped.
pub struct Lane {
    lanes: Arc<Lanes>,
    held: Arc<Held>,
}

/// A lane, now or later; in the order in which they were asked for.
pub enum Asked {
    Open(Lane),
    Waiting(Arc<Lanes>, oneshot::Receiver<Lane>),
}

/// One open subrequest, shared between its lane and who may cancel it.
struct Held {
    stage: AtomicU8,
    last_use: AtomicU64,
    response: Mutex<Response>,
}

/// The response's body, once it is there.
#[derive(Default)]
enum Response {
    #[default]
    Nothing,
    Stream {
        stream: BodyStream,
        reader: Option<Waker>,
    },
    Cancelled,
}

/// What a subrequest does. Only one that is unread or paused can be in the way.
mod stage {
    /// The request is sent, the head of the response waited for.
    pub(super) const SENDING: u8 = 0;
    /// Nobody has asked for the body yet.
    pub(super) const UNREAD: u8 = 1;
    /// Somebody waits for the next bytes.
    pub(super) const READING: u8 = 2;
    /// The bytes asked for have been given.
    pub(super) const PAUSED: u8 = 3;
}

/// A response's body on its lane.
struct LaneBody {
    lane: Option<Lane>,
}

// === impl Lanes ===

impl Lanes {
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            table: Mutex::default(),
            clock: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
        })
    }

    /// Asks for a lane; the order of the calls is the order of the lanes.
    #[must_use]
    pub fn ask(self: &Arc<Self>) -> Asked {
        let mut table = self.table.lock();
        if table.open.len() < self.limit {
            Asked::Open(self.occupy(&mut table))
        } else {
            let (sender, receiver) = oneshot::channel();
            table.waiting.retain(|sender| !sender.is_closed());
            table.waiting.push_back(sender);
            Asked::Waiting(Arc::clone(self), receiver)
        }
    }

    fn occupy(self: &Arc<Self>, table: &mut Table) -> Lane {
        let held = Arc::new(Held {
            stage: AtomicU8::new(stage::SENDING),
            last_use: AtomicU64::new(self.tick()),
            response: Mutex::default(),
        });
        table.open.push(Arc::clone(&held));
        Lane { lanes: Arc::clone(self), held }
    }

    fn give_back(self: &Arc<Self>, held: &Arc<Held>) {
        self.tick();
        let (sender, lane) = {
            let mut table = self.table.lock();
            table.open.retain(|open| !Arc::ptr_eq(open, held));
            if table.open.len() >= self.limit {
                return;
            }
            let next = std::iter::from_fn(|| table.waiting.pop_front()).find(|sender| !sender.is_closed());
            let Some(sender) = next else { return };
            (sender, self.occupy(&mut table))
        };
        // One that has stopped waiting in this moment gives the lane back in turn.
        let _ = sender.send(lane);
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Subrequests that wait for a lane.
    fn waiting(&self) -> usize {
        self.table.lock().waiting.iter().filter(|sender| !sender.is_closed()).count()
    }

    /// Cancels the response that was left alone longest, if all of them are. One that was never read goes before one that
    /// was read in part, which may be on its way to a slow client; those go only if `partly_read`.
    fn cancel_one(self: &Arc<Self>, partly_read: PartlyRead) {
        let victim = {
            let table = self.table.lock();
            let stage_of = |held: &Arc<Held>| held.stage.load(Ordering::Acquire);
            if !table.open.iter().all(|held| matches!(stage_of(held), stage::UNREAD | stage::PAUSED)) {
                return;
            }
            table
                .open
                .iter()
                .filter(|held| partly_read == PartlyRead::Cancel || stage_of(held) == stage::UNREAD)
                .min_by_key(|held| (stage_of(held) != stage::UNREAD, held.last_use.load(Ordering::Relaxed)))
                .cloned()
        };
        if let Some(victim) = victim {
            self.cancelled.store(true, Ordering::Release);
            victim.cancel();
            self.give_back(&victim);
        }
    }

    /// Whether a response was cancelled since the last call.
    #[must_use]
    pub fn take_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) && self.cancelled.swap(false, Ordering::AcqRel)
    }
}

/// What becomes of responses that were read in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartlyRead {
    Keep,
    Cancel,
}

// === impl Asked ===

impl Asked {
    /// Waits for the lane. `None` cannot be while the invocation lives.
    pub async fn open(self) -> Option<Lane> {
        let (lanes, mut receiver) = match self {
            Self::Open(lane) => return Some(lane),
            Self::Waiting(lanes, receiver) => (lanes, receiver),
        };
        loop {
            let before = lanes.clock.load(Ordering::Relaxed);
            match tokio::time::timeout(STALLED_AFTER, &mut receiver).await {
                Ok(lane) => return lane.ok(),
                Err(_) if lanes.clock.load(Ordering::Relaxed) == before => lanes.cancel_one(PartlyRead::Cancel),
                Err(_) => {}
            }
        }
    }
}

// === impl Lane ===

impl Lane {
    /// Keeps the lane until the end of `body`, which JavaScript gets now.
    #[must_use]
    pub fn carry(self, body: Body) -> Body {
        let Body::Stream(stream) = body else { return body };
        *self.held.response.lock() = Response::Stream { stream, reader: None };
        self.held.last_use.store(self.lanes.tick(), Ordering::Relaxed);
        self.held.stage.store(stage::UNREAD, Ordering::Release);
        Body::Stream(LaneBody { lane: Some(self) }.boxed_unsync())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.give_back(&self.held);
    }
}

// === impl Held ===

impl Held {
    /// Drops the response, so that its connection closes, and tells its reader.
    fn cancel(&self) {
        let before = std::mem::replace(&mut *self.response.lock(), Response::Cancelled);
        if let Response::Stream { reader: Some(reader), .. } = before {
            reader.wake();
        }
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self.response.lock() {
            Response::Nothing => Poll::Ready(None),
            Response::Cancelled => Poll::Ready(Some(Err(BodyError::new(CANCELLED)))),
            Response::Stream { stream, reader } => {
                let polled = Pin::new(stream).poll_frame(cx);
                if polled.is_pending() {
                    match reader {
                        Some(reader) => reader.clone_from(cx.waker()),
                        None => *reader = Some(cx.waker().clone()),
                    }
                    self.stage.store(stage::READING, Ordering::Release);
                } else {
                    self.stage.store(stage::PAUSED, Ordering::Release);
                }
                polled
            }
        }
    }

    fn look<T>(&self, look: impl FnOnce(&BodyStream) -> T) -> Option<T> {
        match &*self.response.lock() {
            Response::Stream { stream, .. } => Some(look(stream)),
            Response::Nothing | Response::Cancelled => None,
        }
    }
}

// === impl LaneBody ===

impl http_body::Body for LaneBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(lane) = &self.lane else { return Poll::Ready(None) };
        let polled = lane.held.poll_frame(cx);
        lane.held.last_use.store(lane.lanes.tick(), Ordering::Relaxed);
        let over = match &polled {
            Poll::Pending => false,
            // The last bytes are the end: nobody has to ask once more for the lane to be free.
            Poll::Ready(Some(Ok(_))) => lane.held.look(BodyStream::is_end_stream).unwrap_or(true),
            Poll::Ready(Some(Err(_)) | None) => true,
        };
        if over {
            self.lane = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.lane {
            Some(lane) => lane.held.look(BodyStream::is_end_stream).unwrap_or(false),
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.lane {
            Some(lane) => lane.held.look(BodyStream::size_hint).unwrap_or_default(),
            None => SizeHint::with_exact(0),
        }
    }
}

// === impl State ===

impl State {
    /// The lanes of `owner`.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn lanes(&self, owner: Owner) -> Result<Arc<Lanes>, StateError> {
        let limit = self.limits.borrow().open_connections;
        self.with(owner, |invocation| {
            Arc::clone(invocation.lanes.get_or_insert_with(|| Lanes::new(usize::try_from(limit).unwrap_or(usize::MAX))))
        })
    }

    /// Called when the isolate has nothing to do. An invocation that waits for lanes and for nothing else can only be
    /// freed by a response that it has not read.
    pub(crate) fn free_blocked_lanes(&self) {
        for invocation in self.invocations.borrow().values() {
            let Some(lanes) = &invocation.lanes else { continue };
            let waiting = lanes.waiting();
            if waiting > 0 && invocation.timers == 0 && usize::try_from(invocation.operations) == Ok(waiting) {
                lanes.cancel_one(PartlyRead::Keep);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::BodyExt;
    use http_body_util::StreamBody;

    use super::*;

    fn response(frames: Vec<&'static str>) -> Body {
        let frames =
            frames.into_iter().map(|text| Ok::<_, BodyError>(Frame::data(Bytes::from_static(text.as_bytes()))));
        Body::Stream(StreamBody::new(futures::stream::iter(frames)).boxed_unsync())
    }

    fn endless() -> Body {
        Body::Stream(StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, BodyError>>()).boxed_unsync())
    }

    fn open(lanes: &Arc<Lanes>) -> Lane {
        match lanes.ask() {
            Asked::Open(lane) => lane,
            Asked::Waiting(..) => panic!("no lane is free"),
        }
    }

    async fn read(body: Body) -> Result<Bytes, String> {
        body.collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_lane_is_free_when_its_body_has_been_read_to_the_end_or_dropped() {
        let lanes = Lanes::new(2);
        let one = open(&lanes).carry(response(vec!["a", "b"]));
        let two = open(&lanes).carry(endless());
        let mut third = Box::pin(lanes.ask().open());
        let mut fourth = Box::pin(lanes.ask().open());
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(read(one).await.unwrap(), "ab");
        let third = third.now_or_never().flatten().expect("the first is over");
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(two);
        assert!(fourth.now_or_never().flatten().is_some());
        drop(third);
        assert_eq!(lanes.table.lock().open.len(), 0);
    }

    #[tokio::test]
    async fn bodies_that_are_here_need_no_lane() {
        let lanes = Lanes::new(1);
        let body = open(&lanes).carry(Body::Bytes("here".into()));
        drop(open(&lanes).carry(Body::Empty));
        assert_eq!(read(body).await.unwrap(), "here");
    }

    #[tokio::test]
    async fn of_responses_that_nobody_reads_the_oldest_is_cancelled() {
        let lanes = Lanes::new(2);
        let oldest = open(&lanes).carry(response(vec!["a"]));
        let newer = open(&lanes).carry(response(vec!["b"]));
        let waiting = lanes.ask();
        lanes.cancel_one(PartlyRead::Keep);
        assert!(waiting.open().now_or_never().flatten().is_some());
        assert!(lanes.take_cancelled() && !lanes.take_cancelled());
        assert_eq!(read(oldest).await, Err(CANCELLED.to_owned()));
        assert_eq!(read(newer).await.unwrap(), "b");
    }

    #[tokio::test]
    async fn while_one_is_sent_or_read_none_is_in_the_way() {
        let lanes = Lanes::new(2);
        let unread = open(&lanes).carry(response(vec!["a"]));
        let sending = open(&lanes);
        lanes.cancel_one(PartlyRead::Cancel);
        assert!(!lanes.take_cancelled());
        let mut reading = sending.carry(endless());
        assert!(reading.frame().now_or_never().is_none());
        lanes.cancel_one(PartlyRead::Cancel);
        assert!(!lanes.take_cancelled());
        assert_eq!(read(unread).await.unwrap(), "a");
    }

    #[tokio::test]
    async fn a_response_read_in_part_goes_last() {
        let lanes = Lanes::new(2);
        let mut partly = open(&lanes).carry(response(vec!["a", "b"]));
        assert_eq!(partly.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        let unread = open(&lanes).carry(response(vec!["c"]));
        lanes.cancel_one(PartlyRead::Cancel);
        assert_eq!(read(unread).await, Err(CANCELLED.to_owned()));
        lanes.cancel_one(PartlyRead::Keep);
        assert_eq!(partly.frame().await.unwrap().unwrap().into_data().unwrap(), "b");
    }

    #[tokio::test]
    async fn who_waits_long_without_any_progress_is_freed_whatever_else_goes_on() {
        let lanes = Lanes::new(1);
        let mut partly = open(&lanes).carry(response(vec!["a", "b"]));
        partly.frame().await.unwrap().unwrap();
        let lane = lanes.ask().open().await;
        assert!(lane.is_some() && lanes.take_cancelled());
        assert!(partly.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn who_has_stopped_waiting_is_passed_over() {
        let lanes = Lanes::new(1);
        let held = open(&lanes);
        let (given_up, next) = (lanes.ask(), lanes.ask());
        assert_eq!(lanes.waiting(), 2);
        drop(given_up);
        assert_eq!(lanes.waiting(), 1);
        drop(held);
        assert!(next.open().now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn a_reader_hears_of_the_end_of_its_response() {
        let lanes = Lanes::new(1);
        let mut body = open(&lanes).carry(endless());
        let (sender, receiver) = oneshot::channel();
        let reading = tokio::spawn(async move {
            let mut frame = body.frame();
            assert!((&mut frame).now_or_never().is_none());
            sender.send(()).unwrap();
            frame.await.unwrap().map_err(|error| error.to_string()).map(|_| ())
        });
        receiver.await.unwrap();
        let held = Arc::clone(&lanes.table.lock().open[0]);
        held.cancel();
        assert_eq!(reading.await.unwrap(), Err(CANCELLED.to_owned()));
    }
}
