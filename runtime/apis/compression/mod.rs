//! `CompressionStream` and `DecompressionStream`: gzip, deflate and deflate-raw, over deno_web's script; and Brotli, for answers
//! that say it (`js-shims/response.js`).
//!
//! The ops stand in for deno_web's of the same names, which make all of a chunk's output before anybody looks. Here what a
//! coder holds and makes is charged to the isolate, and a turn that is to end ends within `PIECE` bytes of input.

use std::cell::RefCell;
use std::ffi::CStr;
use std::io;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use deno_core::op2;
use deno_core::v8;
use flate2::Compression;
use flate2::write::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::write::GzDecoder;
use flate2::write::GzEncoder;
use flate2::write::ZlibDecoder;
use flate2::write::ZlibEncoder;
use holm_isolate::Account;
use holm_isolate::Charge;
use holm_isolate::StateError;

use crate::seam;

/// Bytes of input that are coded at a time. A byte of deflated input is at most 1,032 bytes of output.
const PIECE: usize = 16 << 10;
/// What zlib's state takes, in bytes: window, hash tables and pending output of an encoder, window of a decoder.
const ENCODER: usize = 300 << 10;
const DECODER: usize = 50 << 10;
/// Of Brotli: as fast as gzip, and smaller. A window of 512 KiB.
const BROTLI_QUALITY: u32 = 5;
const BROTLI_WINDOW_BITS: u32 = 19;
/// What its state takes, in bytes: window and hash tables.
const BROTLI_ENCODER: usize = 4 << 20;

/// The format that no script can name.
const BROTLI: &str = "br";

/// Why a stream fails.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum CompressionError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(type)]
    #[error("Unsupported format")]
    Format,
    #[class(type)]
    #[error("The stream has been closed.")]
    Closed,
    #[class(type)]
    #[error("{0}")]
    Data(io::Error),
    #[class(type)]
    #[error(
        "The output is larger than the worker's memory limit allows. Write smaller chunks, and read what they become."
    )]
    TooLarge,
}

/// One stream's coder.
pub struct Coder(RefCell<Option<Coding>>);

enum Coding {
    Deflate(ZlibEncoder<Output>),
    DeflateRaw(DeflateEncoder<Output>),
    Gzip(GzEncoder<Output>),
    Inflate(ZlibDecoder<Output>),
    InflateRaw(DeflateDecoder<Output>),
    Gunzip(GzDecoder<Output>),
    Brotli(Box<brotli::CompressorWriter<Output>>),
}

/// What a coder has made and nobody has taken yet.
struct Output {
    bytes: Vec<u8>,
    account: Arc<Account>,
    /// For `bytes`.
    charge: Charge,
    /// Some of it was lost.
    is_broken: bool,
    /// For the coder.
    _coder: Charge,
}

/// The output does not fit; passes through the coder as an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("the output does not fit")]
struct DoesNotFit;

/// The turn is to end; passes through the coder as an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("the turn is to end")]
struct Terminated;

// SAFETY: it holds no handle into the engine.
#[allow(unsafe_code)]
unsafe impl deno_core::GarbageCollected for Coder {
    fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

    fn get_name(&self) -> &'static CStr {
        c"Coder"
    }
}

// === impl Output ===

impl Output {
    fn take(&mut self) -> Bytes {
        self.charge = self.account.charge(0);
        std::mem::take(&mut self.bytes).into()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.account.is_terminating() {
            return Err(io::Error::other(Terminated));
        }
        if self.charge.try_grow(bytes.len()).is_err() {
            self.is_broken = true;
            return Err(io::Error::other(DoesNotFit));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Coding ===

impl Coding {
    fn new(format: &str, decodes: bool, account: &Arc<Account>) -> Result<Self, CompressionError> {
        let coder = match (format, decodes) {
            (BROTLI, _) => BROTLI_ENCODER,
            (_, true) => DECODER,
            (_, false) => ENCODER,
        };
        let output = Output {
            bytes: Vec::new(),
            account: Arc::clone(account),
            charge: account.charge(0),
            is_broken: false,
            _coder: account.try_charge(coder).map_err(StateError::from)?,
        };
        let level = Compression::default();
        match (format, decodes) {
            ("deflate", false) => Ok(Self::Deflate(ZlibEncoder::new(output, level))),
            ("deflate-raw", false) => Ok(Self::DeflateRaw(DeflateEncoder::new(output, level))),
            ("gzip", false) => Ok(Self::Gzip(GzEncoder::new(output, level))),
            ("deflate", true) => Ok(Self::Inflate(ZlibDecoder::new(output))),
            ("deflate-raw", true) => Ok(Self::InflateRaw(DeflateDecoder::new(output))),
            ("gzip", true) => Ok(Self::Gunzip(GzDecoder::new(output))),
            (BROTLI, false) => {
                let coder = brotli::CompressorWriter::new(output, PIECE, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
                Ok(Self::Brotli(Box::new(coder)))
            }
            _ => Err(CompressionError::Format),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Deflate(coder) => coder,
            Self::DeflateRaw(coder) => coder,
            Self::Gzip(coder) => coder,
            Self::Inflate(coder) => coder,
            Self::InflateRaw(coder) => coder,
            Self::Gunzip(coder) => coder,
            Self::Brotli(coder) => coder,
        }
    }

    fn output(&mut self) -> &mut Output {
        match self {
            Self::Deflate(coder) => coder.get_mut(),
            Self::DeflateRaw(coder) => coder.get_mut(),
            Self::Gzip(coder) => coder.get_mut(),
            Self::Inflate(coder) => coder.get_mut(),
            Self::InflateRaw(coder) => coder.get_mut(),
            Self::Gunzip(coder) => coder.get_mut(),
            Self::Brotli(coder) => coder.get_mut(),
        }
    }

    fn write(&mut self, input: &[u8]) -> io::Result<Bytes> {
        let decodes = matches!(self, Self::Inflate(_) | Self::InflateRaw(_) | Self::Gunzip(_));
        for piece in input.chunks(PIECE) {
            if self.output().account.is_terminating() {
                return Err(io::Error::other(Terminated));
            }
            self.writer().write_all(piece)?;
        }
        // What a decoder knows is given at once; an encoder that were flushed would make more of it.
        if decodes {
            self.writer().flush()?;
        }
        Ok(self.output().take())
    }

    fn finish(self) -> io::Result<Bytes> {
        let mut output = match self {
            Self::Deflate(coder) => coder.finish(),
            Self::DeflateRaw(coder) => coder.finish(),
            Self::Gzip(coder) => coder.finish(),
            Self::Inflate(coder) => coder.finish(),
            Self::InflateRaw(coder) => coder.finish(),
            Self::Gunzip(coder) => coder.finish(),
            Self::Brotli(coder) => finish_brotli(*coder),
        }?;
        Ok(output.take())
    }
}

/// The library tells nobody what goes wrong at the end.
fn finish_brotli(coder: brotli::CompressorWriter<Output>) -> io::Result<Output> {
    let output = coder.into_inner();
    if output.account.is_terminating() {
        return Err(io::Error::other(Terminated));
    }
    if output.is_broken { Err(io::Error::other(DoesNotFit)) } else { Ok(output) }
}

/// What JavaScript gets: the output, or why there is none. Nothing for a turn that ends.
fn settled<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    output: io::Result<Bytes>,
) -> Result<v8::Local<'s, v8::Value>, CompressionError> {
    match output {
        Ok(output) => Ok(seam::uint8_array(scope, output)),
        Err(error) if error.get_ref().is_some_and(|error| error.is::<Terminated>()) => Ok(v8::undefined(scope).into()),
        Err(error) if error.get_ref().is_some_and(|error| error.is::<DoesNotFit>()) => Err(CompressionError::TooLarge),
        Err(error) => Err(CompressionError::Data(error)),
    }
}

#[op2]
#[cppgc]
pub fn op_compression_new(
    scope: &mut v8::PinScope<'_, '_>,
    #[string] format: &str,
    is_decoder: bool,
) -> Result<Coder, CompressionError> {
    let state = seam::state(scope)?;
    let coding = Coding::new(format, is_decoder, state.memory())?;
    Ok(Coder(RefCell::new(Some(coding))))
}

#[op2]
pub fn op_compression_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] coder: &Coder,
    #[anybuffer] input: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CompressionError> {
    let output = coder.0.borrow_mut().as_mut().ok_or(CompressionError::Closed)?.write(input);
    settled(scope, output)
}

#[op2]
pub fn op_compression_finish<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] coder: &Coder,
    report_errors: bool,
) -> Result<v8::Local<'s, v8::Value>, CompressionError> {
    let coding = coder.0.borrow_mut().take().ok_or(CompressionError::Closed)?;
    let output = coding.finish();
    if report_errors { settled(scope, output) } else { Ok(seam::uint8_array(scope, Bytes::new())) }
}
