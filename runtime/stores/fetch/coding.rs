//! Content codings (RFC 9110 §8.4.1): which ones are undone, and how, as a stream of bytes.
//!
//! Decoding holds one chunk of input, one of output and the window of its coding (16 MiB at most, for brotli), so a body that
//! grows a thousandfold waits for its reader like any other. It costs time of a shared thread, though: `Growth` ends it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use async_compression::tokio::bufread::BrotliDecoder;
use async_compression::tokio::bufread::DeflateDecoder;
use async_compression::tokio::bufread::GzipDecoder;
use async_compression::tokio::bufread::ZlibDecoder;
use bytes::Bytes;
use futures::Stream;
use futures::StreamExt;
use futures::TryFutureExt;
use futures::TryStreamExt;
use http::HeaderMap;
use http::StatusCode;
use http::header;
use tokio::io::AsyncBufRead;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;
use tokio_util::io::StreamReader;

/// Bytes of decoded output made at a time.
const CHUNK: usize = 16 * 1024;

/// Bytes of output up to which any growth is taken for honest.
const HONEST_OUTPUT: u64 = 16 << 20;
/// Bytes of output for each byte of input, beyond that. Text grows tenfold, a log of equal lines a hundredfold.
const HONEST_GROWTH: u64 = 256;
/// The first seven bits of a brotli stream whose window may be a gigabyte ("large window"): no `br` of RFC 7932 has them.
const LARGE_WINDOW: u8 = 0x11;

type Decoder = Box<dyn AsyncRead + Send + Unpin>;

/// A content coding that is undone (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

// === impl Coding ===

impl Coding {
    /// The coding of a response, where it has exactly one and it can be undone.
    ///
    /// Part of a body (206) is left as it is: it begins or ends in the middle of its coding.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
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

    /// Whether a body that begins with `first` asks for more memory than its coding may have.
    const fn is_oversized(self, first: Option<u8>) -> bool {
        matches!((self, first), (Self::Brotli, Some(byte)) if byte & 0x7f == LARGE_WINDOW)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

/// The upstream went away in the middle of a body.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("Network connection lost.")]
pub struct Lost;

/// Why a body cannot be decoded. The texts are what JavaScript sees.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The coded bytes stopped coming.
    #[error(transparent)]
    Lost(Lost),
    #[error("The response body is not valid {0}.")]
    Invalid(&'static str),
    #[error("The decoded response body is larger than {0} bytes.")]
    TooLarge(u64),
    #[error("The response body grows more than {HONEST_GROWTH} times when it is decoded; it was cut off.")]
    Bomb,
}

// === impl Broken ===

impl Broken {
    /// Tells an upstream that went away from one that sent nonsense.
    fn of(error: &io::Error, coding: Coding) -> Self {
        match error.get_ref().and_then(|cause| cause.downcast_ref::<Lost>()) {
            Some(lost) => Self::Lost(*lost),
            None => Self::Invalid(coding.name()),
        }
    }
}

/// How much a body has grown so far.
#[derive(Debug)]
struct Growth {
    coded: Arc<AtomicU64>,
    decoded: u64,
    limit: u64,
}

// === impl Growth ===

impl Growth {
    /// Counts a piece of output; an error once there is too much of it.
    fn count(&mut self, bytes: &Bytes) -> Result<(), Broken> {
        self.decoded = self.decoded.saturating_add(bytes.len() as u64);
        if self.decoded > self.limit {
            return Err(Broken::TooLarge(self.limit));
        }
        let honest = self.coded.load(Ordering::Relaxed).saturating_mul(HONEST_GROWTH).max(HONEST_OUTPUT);
        if self.decoded > honest {
            return Err(Broken::Bomb);
        }
        Ok(())
    }
}

/// The bytes of `coded` with `coding` undone. Ends after its first error.
pub fn decoded(
    coded: impl Stream<Item = Result<Bytes, Lost>> + Send + Unpin + 'static,
    coding: Coding,
    limit: u64,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    let mut growth = Growth { coded: Arc::default(), decoded: 0, limit };
    let count = Arc::clone(&growth.coded);
    let counted = coded.map_err(io::Error::other).inspect_ok(move |bytes| {
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    });
    let mut coded = StreamReader::new(counted);
    let chunks = async move {
        let first = coded.fill_buf().await?.first().copied();
        if coding.is_oversized(first) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(ReaderStream::with_capacity(coding.decoder(first, coded), CHUNK))
    };
    chunks.try_flatten_stream().map(move |chunk| {
        let bytes = chunk.map_err(|error| Broken::of(&error, coding))?;
        growth.count(&bytes)?;
        Ok(bytes)
    })
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
