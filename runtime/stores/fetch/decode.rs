//! Response bodies as JavaScript gets them: untouched, or with their content coding undone on the way.
//!
//! Decoding holds one chunk of input and one of output, so a body that grows a thousandfold waits for its reader like
//! any other.

use std::io;

use async_compression::tokio::bufread::BrotliDecoder;
use async_compression::tokio::bufread::DeflateDecoder;
use async_compression::tokio::bufread::GzipDecoder;
use async_compression::tokio::bufread::ZlibDecoder;
use bytes::Bytes;
use futures::TryFutureExt;
use futures::TryStreamExt;
use holm_isolate::Body;
use holm_isolate::BodyError;
use http::HeaderMap;
use http::StatusCode;
use http::header;
use http_body::Body as _;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use tokio::io::AsyncBufRead;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;
use tokio_util::io::StreamReader;

/// What JavaScript sees when the upstream goes away in the middle of a body.
const LOST: &str = "Network connection lost.";
/// Bytes of decoded output made at a time.
const CHUNK: usize = 16 * 1024;

type Decoder = Box<dyn AsyncRead + Send + Unpin>;

/// A content coding that is undone (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

// === impl Coding ===

impl Coding {
    /// The coding of a response, where it has exactly one and it can be undone.
    ///
    /// Part of a body (206) is left as it is: it begins or ends in the middle of its coding.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        if status == StatusCode::PARTIAL_CONTENT {
            return None;
        }
        let coding = value.as_bytes().trim_ascii();
        if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
            Some(Self::Gzip)
        } else if coding.eq_ignore_ascii_case(b"br") {
            Some(Self::Brotli)
        } else if coding.eq_ignore_ascii_case(b"deflate") {
            Some(Self::Deflate)
        } else {
            None
        }
    }

    /// What undoes this coding in a body that begins with `first`.
    fn decoder(self, first: Option<u8>, coded: impl AsyncBufRead + Send + Unpin + 'static) -> Decoder {
        match (self, first) {
            // No bytes at all are an empty body in any coding.
            (_, None) => Box::new(tokio::io::empty()),
            (Self::Gzip, _) => {
                let mut decoder = GzipDecoder::new(coded);
                // A gzip file is a series of members (RFC 1952 §2.2).
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            // Some servers leave out the zlib header, whose lower half of the first byte is always 8.
            (Self::Deflate, Some(byte)) if byte & 0x0f != 8 => Box::new(DeflateDecoder::new(coded)),
            (Self::Deflate, _) => Box::new(ZlibDecoder::new(coded)),
            (Self::Brotli, _) => Box::new(BrotliDecoder::new(coded)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

/// The body as it came. Its length stays known where the upstream said it.
pub(super) fn untouched(body: Incoming) -> Body {
    if body.is_end_stream() {
        return Body::Empty;
    }
    Body::Stream(body.map_err(|_| BodyError::new(LOST)).boxed_unsync())
}

/// The body with `coding` undone.
pub(super) fn decoded(body: Incoming, coding: Coding) -> Body {
    let lost = |_| io::Error::other(BodyError::new(LOST));
    let mut coded = StreamReader::new(body.into_data_stream().map_err(lost));
    let chunks = async move {
        let decoder = coding.decoder(coded.fill_buf().await?.first().copied(), coded);
        Ok(ReaderStream::with_capacity(decoder, CHUNK))
    };
    let frames =
        chunks.try_flatten_stream().map_ok(Frame::<Bytes>::data).map_err(move |error| cause_of(&error, coding));
    Body::Stream(StreamBody::new(frames).boxed_unsync())
}

/// Tells an upstream that went away from one that sent nonsense.
fn cause_of(error: &io::Error, coding: Coding) -> BodyError {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<BodyError>()) {
        Some(lost) => lost.clone(),
        None => BodyError::new(format!("The response body is not valid {}.", coding.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn coding(status: u16, values: &[&'static str]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::of(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_single_known_coding_of_a_whole_body_is_undone() {
        assert_eq!(coding(200, &["gzip"]), Some(Coding::Gzip));
        assert_eq!(coding(404, &[" X-GZIP"]), Some(Coding::Gzip));
        assert_eq!(coding(200, &["br"]), Some(Coding::Brotli));
        assert_eq!(coding(200, &["deflate"]), Some(Coding::Deflate));
        assert_eq!(coding(200, &[]), None);
        assert_eq!(coding(200, &["identity"]), None);
        assert_eq!(coding(200, &["zstd"]), None);
        assert_eq!(coding(200, &["gzip, br"]), None);
        assert_eq!(coding(200, &["gzip", "br"]), None);
        assert_eq!(coding(206, &["gzip"]), None);
    }
}
