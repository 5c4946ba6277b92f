//! The reading end of a body that JavaScript writes.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::BodyError;
use crate::BodyStream;

struct Written {
    chunks: mpsc::Receiver<Result<Bytes, BodyError>>,
    /// Bytes still to come, where the worker announced a length.
    left: Option<u64>,
}

/// A body that ends when all senders are gone. With a `length`, ending before it is an error.
pub(crate) fn body(chunks: mpsc::Receiver<Result<Bytes, BodyError>>, length: Option<u64>) -> BodyStream {
    Written { chunks, left: length }.boxed_unsync()
}

// === impl Written ===

impl http_body::Body for Written {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        Poll::Ready(match (chunk, self.left) {
            (Some(Ok(bytes)), None) => Some(Ok(Frame::data(bytes))),
            (Some(Ok(bytes)), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    self.left = Some(left);
                    Some(Ok(Frame::data(bytes)))
                }
                None => Some(Err(BodyError::new("the body is longer than its content-length"))),
            },
            (Some(Err(error)), _) => Some(Err(error)),
            (None, None | Some(0)) => None,
            (None, Some(_)) => {
                self.left = None;
                Some(Err(BodyError::new("the body is shorter than its content-length")))
            }
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
