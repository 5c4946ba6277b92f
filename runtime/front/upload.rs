//! Request bodies: empty, collected before the dispatch, or streamed as the worker reads, three paths.
//!
//! A streamed body ends with an error when it outgrows its limit or stalls. By then the worker is running; what it makes of
//! the error is its own matter, but if it fails by it, the client hears the cause: [`Fate`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use holm_isolate::Body;
use holm_isolate::BodyError;
use holm_isolate::Ticket;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tokio::time::Sleep;

use crate::connection::Connection;
use crate::counters::Pause;
use crate::options::Limits;
use crate::options::Timeouts;
use crate::status::Refusal;

/// Any body as it comes off a connection.
pub(crate) trait Received:
    http_body::Body<Data = Bytes, Error: std::fmt::Display> + Send + Unpin + 'static
{
}

impl<B> Received for B where B: http_body::Body<Data = Bytes, Error: std::fmt::Display> + Send + Unpin + 'static {}

/// What became of a streamed body, for whoever answers the client. Cheap where nothing is streamed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Option<Arc<AtomicU8>>);

const FINE: u8 = 0;
const TOO_LARGE: u8 = 1;
const STALLED: u8 = 2;

/// Takes the body of a request in, by whichever path is its own.
pub(crate) async fn receive<B: Received>(
    mut body: B,
    limits: &Limits,
    timeouts: &Timeouts,
    ticket: &Arc<Ticket>,
    connection: &Arc<Connection>,
) -> Result<(Body, Fate), Refusal> {
    if body.is_end_stream() {
        return Ok((Body::Empty, Fate::default()));
    }
    match body.size_hint().exact() {
        Some(length) if length > limits.body_bytes => Err(Refusal::BodyTooLarge),
        Some(length) if length <= limits.buffered_body_bytes => {
            let collected = tokio::time::timeout(timeouts.body, collect(&mut body, length)).await;
            let bytes = collected.map_err(|_| {
                connection.counters.timed_out(Pause::Body);
                Refusal::Timeout
            })??;
            ticket.came_in(bytes.len());
            connection.note_body(bytes.len());
            connection.note_body_end();
            Ok((Body::from(bytes), Fate::default()))
        }
        Some(_) | None => {
            let fate = Fate(Some(Arc::new(AtomicU8::new(FINE))));
            let upload = Upload {
                body,
                remaining: limits.body_bytes,
                pace: Pace::new(timeouts.body),
                fate: fate.clone(),
                ticket: Arc::clone(ticket),
                connection: Arc::clone(connection),
            };
            Ok((Body::Stream(upload.boxed_unsync()), fate))
        }
    }
}

/// The whole body. One that arrives in one piece, as small ones do, is not copied.
async fn collect<B: Received>(body: &mut B, length: u64) -> Result<Bytes, Refusal> {
    let cut = |error: B::Error| Refusal::BadRequest(format!("the body of the request broke off: {error}").into());
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        match &mut all {
            Some(all) => all.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut joined = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                all = Some(joined);
            }
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

// === impl Fate ===

impl Fate {
    /// What the front would have refused the request for, had it known.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.0.as_ref()?.load(Ordering::Relaxed) {
            TOO_LARGE => Some(Refusal::BodyTooLarge),
            STALLED => Some(Refusal::Timeout),
            _ => None,
        }
    }

    fn seal(&self, end: u8) {
        if let Some(fate) = &self.0 {
            fate.store(end, Ordering::Relaxed);
        }
    }
}

/// A streamed body, counted and timed. Trailers end here: no worker has a use for them.
struct Upload<B> {
    body: B,
    remaining: u64,
    pace: Pace,
    fate: Fate,
    ticket: Arc<Ticket>,
    connection: Arc<Connection>,
}

impl<B: Received> http_body::Body for Upload<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.pace.poll_stalled(cx));
                self.fate.seal(STALLED);
                self.connection.counters.timed_out(Pause::Body);
                return Poll::Ready(Some(Err(BodyError::new("the client stopped sending the request body"))));
            };
            self.pace.progress();
            let data = match frame.transpose() {
                Ok(frame) => frame.map(Frame::into_data),
                Err(error) => return Poll::Ready(Some(Err(BodyError::new(error.to_string())))),
            };
            let data = match data {
                Some(Ok(data)) => data,
                Some(Err(_trailers)) => continue,
                None => {
                    self.connection.note_body_end();
                    return Poll::Ready(None);
                }
            };
            let Some(remaining) = self.remaining.checked_sub(data.len() as u64) else {
                self.fate.seal(TOO_LARGE);
                return Poll::Ready(Some(Err(BodyError::new("the request body is too large"))));
            };
            self.remaining = remaining;
            self.ticket.came_in(data.len());
            self.connection.note_body(data.len());
            if self.body.is_end_stream() {
                self.connection.note_body_end();
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long one wait may take. The timer is made at the first wait and used again at each that follows.
pub(crate) struct Pace {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

// === impl Pace ===

impl Pace {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, timer: None, waiting: false }
    }

    /// The wait is over.
    pub(crate) const fn progress(&mut self) {
        self.waiting = false;
    }

    /// To be polled while waiting: ready when the wait has been too long.
    pub(crate) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        timer.as_mut().poll(cx)
    }
}
