//! The body of an answer on its way out. It holds its request's place among the requests in flight, so that a connection is
//! idle only when the last byte of the last answer has been handed over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use holm_isolate::Body;
use holm_isolate::BodyError;
use holm_isolate::Ticket;
use http::Version;
use http_body::Frame;
use http_body::SizeHint;

use crate::connection::InFlight;
use crate::streams;

/// The largest piece that is handed to a stream of HTTP/2 at once. A stream that takes no window is noticed between two
/// pieces, so this over the write timeout is also the slowest that its client may read.
const PIECE: usize = 16 << 10;

pub(crate) struct Reply<B = Sent> {
    body: B,
    _in_flight: InFlight,
}

// === impl Reply ===

impl<B> Reply<B> {
    pub(crate) const fn new(body: B, in_flight: InFlight) -> Self {
        Self { body, _in_flight: in_flight }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Reply<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        streams::note(&frame);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A worker's body, counted on its way.
pub(crate) struct Sent {
    body: Body,
    largest: usize,
    /// What is left of a frame that was larger than a piece.
    rest: Bytes,
    /// The end of a body that broke off, held back for one look: so the head, and what came before, goes out first.
    broke: Option<BodyError>,
    ticket: Option<Arc<Ticket>>,
}

// === impl Sent ===

impl Sent {
    pub(crate) fn new(body: Body, version: Version, ticket: Option<Arc<Ticket>>) -> Self {
        let largest = if version == Version::HTTP_2 { PIECE } else { usize::MAX };
        Self { body, largest, rest: Bytes::new(), broke: None, ticket }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(error) = this.broke.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let data = if this.rest.is_empty() {
            let frame = match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    this.broke = Some(error);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            };
            match frame.into_data() {
                Ok(data) => data,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        } else {
            std::mem::take(&mut this.rest)
        };
        let mut data = data;
        this.rest = if data.len() > this.largest { data.split_off(this.largest) } else { Bytes::new() };
        if let Some(ticket) = &this.ticket {
            ticket.went_out(data.len());
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_large_body_goes_out_in_pieces_and_is_counted() {
        let ticket = Ticket::detached();
        let mut body =
            Sent::new(Body::Bytes(vec![7; 2 * PIECE + 1].into()), Version::HTTP_2, Some(Arc::clone(&ticket)));
        let mut sizes = Vec::new();
        let mut hints = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.unwrap().into_data().unwrap().len());
            hints.push(http_body::Body::size_hint(&body).exact().unwrap());
        }
        assert_eq!(sizes, [PIECE, PIECE, 1]);
        assert_eq!(hints, [PIECE as u64 + 1, 1, 0]);
        assert_eq!(ticket.bytes_out(), 2 * PIECE as u64 + 1);
    }
}
