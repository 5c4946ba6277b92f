//! The body of an answer on its way out. It holds its request's place among the requests in flight, so that a connection is
//! idle only when the last byte of the last answer has been handed over.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use holm_isolate::Body;
use http_body::Frame;
use http_body::SizeHint;

use crate::connection::InFlight;

pub(crate) struct Reply<B = Body> {
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
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
