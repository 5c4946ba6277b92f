//! Response bodies as JavaScript gets them: untouched, or with their content coding undone on the way.

use bytes::Bytes;
use futures::TryStreamExt;
use holm_isolate::Body;
use holm_isolate::BodyError;
use http_body::Body as _;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use hyper::body::Incoming;

use super::coding;
use super::coding::Coding;
use super::coding::Lost;

/// The body as it came. Its length stays known where the upstream said it.
pub(super) fn untouched(body: Incoming) -> Body {
    if body.is_end_stream() {
        return Body::Empty;
    }
    Body::Stream(body.map_err(|_| BodyError::new(Lost.to_string())).boxed_unsync())
}

/// The body with `coding` undone, up to `limit` bytes.
pub(super) fn decoded(body: Incoming, coding: Coding, limit: u64) -> Body {
    let received = body.into_data_stream().map_err(|_| Lost);
    let frames = coding::decoded(received, coding, limit).map_ok(Frame::<Bytes>::data);
    let frames = frames.map_err(|broken| BodyError::new(broken.to_string()));
    Body::Stream(StreamBody::new(frames).boxed_unsync())
}
