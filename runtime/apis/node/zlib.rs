//! `zlib`'s streams: one step over the buffers that Node.js's own JavaScript hands out.
//!
//! What comes out goes into a buffer of the worker's, so that only the coder's own state is charged. A step ends early, with
//! what it has done so far, when the turn is to end.

use std::cell::RefCell;
use std::ffi::CStr;
use std::io::Write;
use std::sync::Arc;

use deno_core::op2;
use deno_core::v8;
use flate2::Compress;
use flate2::Compression;
use flate2::Decompress;
use flate2::FlushCompress;
use flate2::FlushDecompress;
use flate2::Status;
use holm_isolate::Account;
use holm_isolate::Charge;
use holm_isolate::StateError;

use crate::seam;

/// Bytes of input, and of output, between two looks at whether the turn is to end.
const INPUT: usize = 16 << 10;
const OUTPUT: usize = 256 << 10;
/// What zlib's state takes, in bytes.
const ENCODER: usize = 300 << 10;
const DECODER: usize = 50 << 10;
/// The same for Brotli: a window, and hash tables that grow with the quality.
const BROTLI_ENCODER: usize = 8 << 20;
const BROTLI_DECODER: usize = 1 << 20;
/// At the qualities above, a block of input takes so long that a turn could not be ended in time.
const BROTLI_QUALITY: u32 = 9;

const Z_NO_FLUSH: u32 = 0;
const Z_PARTIAL_FLUSH: u32 = 1;
const Z_SYNC_FLUSH: u32 = 2;
const Z_FULL_FLUSH: u32 = 3;
const Z_FINISH: u32 = 4;
const BROTLI_FLUSH: u32 = 1;
const BROTLI_FINISH: u32 = 2;

const Z_OK: i32 = 0;
const Z_STREAM_END: i32 = 1;
const Z_NEED_DICT: i32 = 2;
const Z_STREAM_ERROR: i32 = -2;
const Z_DATA_ERROR: i32 = -3;
const Z_BUF_ERROR: i32 = -5;

/// Why there is no stream.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum ZlibError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(range)]
    #[error("Bad zlib stream mode, level or window size")]
    Options,
    #[class(generic)]
    #[error("zlib binding closed")]
    Closed,
}

/// A stream of the module `zlib`.
pub struct Zlib(RefCell<Option<Stream>>);

struct Stream {
    coder: Coder,
    account: Arc<Account>,
    _state: Charge,
}

enum Coder {
    Deflate(Compress),
    Inflate { inflate: Decompress, format: Format, dictionary: Option<Vec<u8>> },
    BrotliEncode { encoder: Box<brotli::CompressorWriter<Pending>>, finished: bool },
    BrotliDecode { decoder: Box<brotli::DecompressorWriter<Pending>>, finished: bool },
}

/// What a decoder of zlib expects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Zlib {
        bits: u8,
    },
    Raw {
        bits: u8,
    },
    Gzip {
        bits: u8,
    },
    /// Gzip or zlib, by the first byte.
    Either {
        bits: u8,
    },
}

/// What Brotli's coder has made and did not fit the buffer yet.
struct Pending {
    bytes: Vec<u8>,
    taken: usize,
    charge: Charge,
    account: Arc<Account>,
}

/// What one step did.
struct Step {
    read: usize,
    written: usize,
    code: i32,
}

// SAFETY: it holds no handle into the engine.
#[allow(unsafe_code)]
unsafe impl deno_core::GarbageCollected for Zlib {
    fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

    fn get_name(&self) -> &'static CStr {
        c"Zlib"
    }
}

// === impl Pending ===

impl Pending {
    fn new(account: &Arc<Account>) -> Self {
        Self { bytes: Vec::new(), taken: 0, charge: account.charge(0), account: Arc::clone(account) }
    }

    /// Moves what fits.
    fn take(&mut self, output: &mut [u8]) -> usize {
        let waiting = self.bytes.get(self.taken..).unwrap_or_default();
        let count = waiting.len().min(output.len());
        if let (Some(target), Some(source)) = (output.get_mut(..count), waiting.get(..count)) {
            target.copy_from_slice(source);
        }
        self.taken += count;
        if self.taken == self.bytes.len() {
            self.bytes = Vec::new();
            self.taken = 0;
            self.charge = self.account.charge(0);
        }
        count
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.account.is_terminating() || self.charge.try_grow(bytes.len()).is_err() {
            return Err(std::io::Error::other("the output does not fit"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// === impl Stream ===

impl Stream {
    fn new(account: &Arc<Account>, options: Options) -> Result<Self, ZlibError> {
        let Options { mode, bits, level, dictionary } = options;
        let brotli_quality = u32::try_from(level).unwrap_or(BROTLI_QUALITY).min(BROTLI_QUALITY);
        let state = match mode {
            1 | 3 | 5 => ENCODER,
            2 | 4 | 6 | 7 => DECODER,
            8 => BROTLI_DECODER,
            9 => BROTLI_ENCODER,
            _ => return Err(ZlibError::Options),
        };
        let charge = account.try_charge(state).map_err(StateError::from)?;
        let coder = match mode {
            1 | 3 | 5 => {
                // zlib itself makes 9 of a window of 8 bits.
                let bits = bits.max(9);
                let level = Compression::new(u32::try_from(level).unwrap_or(6));
                let mut deflate = match mode {
                    1 => Compress::new_with_window_bits(level, true, bits),
                    3 => Compress::new_gzip(level, bits),
                    _ => Compress::new_with_window_bits(level, false, bits),
                };
                if let Some(dictionary) = &dictionary {
                    deflate.set_dictionary(dictionary).map_err(|_| ZlibError::Options)?;
                }
                Coder::Deflate(deflate)
            }
            8 => Coder::BrotliDecode {
                decoder: Box::new(brotli::DecompressorWriter::new(Pending::new(account), OUTPUT)),
                finished: false,
            },
            9 => Coder::BrotliEncode {
                encoder: Box::new(brotli::CompressorWriter::new(
                    Pending::new(account),
                    INPUT,
                    brotli_quality,
                    u32::from(bits.clamp(10, 24)),
                )),
                finished: false,
            },
            _ => {
                let format = match mode {
                    2 => Format::Zlib { bits },
                    4 => Format::Gzip { bits },
                    6 => Format::Raw { bits },
                    _ => Format::Either { bits },
                };
                let mut inflate = format.decoder();
                if let (Format::Raw { .. }, Some(dictionary)) = (format, &dictionary) {
                    inflate.set_dictionary(dictionary).map_err(|_| ZlibError::Options)?;
                }
                Coder::Inflate { inflate, format, dictionary }
            }
        };
        Ok(Self { coder, account: Arc::clone(account), _state: charge })
    }

    fn step(&mut self, flush: u32, input: &[u8], output: &mut [u8]) -> Step {
        let account = Arc::clone(&self.account);
        match &mut self.coder {
            Coder::Deflate(deflate) => pieces(&account, input, output, |input, output, is_last| {
                let flush = if is_last { flush } else { Z_NO_FLUSH };
                let (read, written) = (deflate.total_in(), deflate.total_out());
                let result = deflate.compress(input, output, compress_flush(flush));
                let code = match result {
                    Ok(Status::Ok) => Z_OK,
                    Ok(Status::BufError) => Z_BUF_ERROR,
                    Ok(Status::StreamEnd) => Z_STREAM_END,
                    Err(_) => Z_STREAM_ERROR,
                };
                Step { read: moved(read, deflate.total_in()), written: moved(written, deflate.total_out()), code }
            }),
            Coder::Inflate { inflate, format, dictionary } => {
                if let (Format::Either { bits }, Some(first)) = (*format, input.first()) {
                    *format = if *first == 0x1f { Format::Gzip { bits } } else { Format::Zlib { bits } };
                    *inflate = format.decoder();
                }
                let format = *format;
                pieces(&account, input, output, |input, output, _| {
                    inflate_piece(inflate, format, dictionary.as_deref(), input, output)
                })
            }
            Coder::BrotliEncode { encoder, finished } => {
                let mut step = Step { read: 0, written: 0, code: Z_OK };
                // Node.js takes input that is left beside room for output for the end of the stream.
                loop {
                    if account.is_terminating() {
                        return step;
                    }
                    step.written += encoder.get_mut().take(output.get_mut(step.written..).unwrap_or_default());
                    let rest = input.get(step.read..).unwrap_or_default();
                    if !encoder.get_mut().is_empty() || *finished {
                        return step;
                    }
                    let piece = rest.get(..INPUT).unwrap_or(rest);
                    let done = if piece.is_empty() {
                        match flush {
                            BROTLI_FLUSH => encoder.flush(),
                            BROTLI_FINISH => {
                                *finished = true;
                                finish(encoder, &account)
                            }
                            _ => return step,
                        }
                    } else {
                        encoder.write_all(piece)
                    };
                    if done.is_err() {
                        step.code = Z_DATA_ERROR;
                        return step;
                    }
                    step.read += piece.len();
                    if piece.is_empty() {
                        step.written += encoder.get_mut().take(output.get_mut(step.written..).unwrap_or_default());
                        return step;
                    }
                }
            }
            Coder::BrotliDecode { decoder, finished } => {
                let mut step = Step { read: 0, written: 0, code: Z_OK };
                loop {
                    if account.is_terminating() {
                        return step;
                    }
                    step.written += decoder.get_mut().take(output.get_mut(step.written..).unwrap_or_default());
                    let rest = input.get(step.read..).unwrap_or_default();
                    if !decoder.get_mut().is_empty() || *finished {
                        return step;
                    }
                    let piece = rest.get(..INPUT).unwrap_or(rest);
                    if piece.is_empty() {
                        if flush == BROTLI_FINISH {
                            *finished = true;
                            if decoder.close().is_err() {
                                step.code = Z_BUF_ERROR;
                            }
                            let rest = output.get_mut(step.written..).unwrap_or_default();
                            step.written += decoder.get_mut().take(rest);
                        }
                        return step;
                    }
                    if decoder.write_all(piece).is_err() {
                        step.code = Z_DATA_ERROR;
                        return step;
                    }
                    step.read += piece.len();
                }
            }
        }
    }
}

/// Ends a Brotli stream, keeping what it made. The encoder starts anew behind it.
fn finish(encoder: &mut brotli::CompressorWriter<Pending>, account: &Arc<Account>) -> std::io::Result<()> {
    let fresh = brotli::CompressorWriter::new(Pending::new(account), INPUT, 1, 10);
    let ended = std::mem::replace(encoder, fresh).into_inner();
    if account.is_terminating() {
        return Err(std::io::Error::other("the turn is to end"));
    }
    *encoder.get_mut() = ended;
    Ok(())
}

fn moved(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

fn compress_flush(flush: u32) -> FlushCompress {
    match flush {
        Z_PARTIAL_FLUSH => FlushCompress::Partial,
        Z_SYNC_FLUSH => FlushCompress::Sync,
        Z_FULL_FLUSH => FlushCompress::Full,
        Z_FINISH => FlushCompress::Finish,
        _ => FlushCompress::None,
    }
}

fn inflate_piece(
    inflate: &mut Decompress,
    format: Format,
    dictionary: Option<&[u8]>,
    input: &[u8],
    output: &mut [u8],
) -> Step {
    let (read, written) = (inflate.total_in(), inflate.total_out());
    let result = inflate.decompress(input, output, FlushDecompress::None);
    let mut step =
        Step { read: moved(read, inflate.total_in()), written: moved(written, inflate.total_out()), code: Z_OK };
    match result {
        Ok(Status::Ok) => {}
        Ok(Status::BufError) => step.code = Z_BUF_ERROR,
        Ok(Status::StreamEnd) => {
            step.code = Z_STREAM_END;
            // Another member of a gzip file follows, unless the rest is padding.
            let more = input.get(step.read).is_some_and(|next| *next != 0);
            if matches!(format, Format::Gzip { .. }) && more {
                *inflate = format.decoder();
                step.code = Z_OK;
            }
        }
        Err(error) if error.needs_dictionary().is_some() => match dictionary {
            Some(dictionary) if inflate.set_dictionary(dictionary).is_ok() => {}
            Some(_) => step.code = Z_DATA_ERROR,
            None => step.code = Z_NEED_DICT,
        },
        Err(_) => step.code = Z_DATA_ERROR,
    }
    step
}

/// Does a step piece by piece, until the input is read, the output full, the stream at its end or in error.
fn pieces(
    account: &Account,
    input: &[u8],
    output: &mut [u8],
    mut piece: impl FnMut(&[u8], &mut [u8], bool) -> Step,
) -> Step {
    let mut done = Step { read: 0, written: 0, code: Z_OK };
    let mut stuck_before = false;
    loop {
        if account.is_terminating() {
            return done;
        }
        let rest = input.get(done.read..).unwrap_or_default();
        let is_last = rest.len() <= INPUT;
        let from = rest.get(..INPUT).unwrap_or(rest);
        let end = done.written.saturating_add(OUTPUT).min(output.len());
        let room = end - done.written;
        let Some(to) = output.get_mut(done.written..end) else { return done };
        let step = piece(from, to, is_last);
        done.read += step.read;
        done.written += step.written;
        let stuck = step.read == 0 && step.written == 0;
        // A piece that neither reads nor writes has nothing to say to a stream that has said something.
        if step.code != Z_BUF_ERROR || (done.read == 0 && done.written == 0) {
            done.code = step.code;
        }
        let ended =
            done.code == Z_STREAM_END || done.code == Z_NEED_DICT || (done.code < 0 && done.code != Z_BUF_ERROR);
        if ended || done.written == output.len() {
            return done;
        }
        let input_is_read = done.read == input.len();
        if input_is_read && (stuck || step.written < room) {
            return done;
        }
        // A dictionary was asked for and given: nothing moved, and the stream goes on.
        if stuck && (stuck_before || step.code != Z_OK) {
            return done;
        }
        stuck_before = stuck;
    }
}

// === impl Format ===

impl Format {
    fn decoder(self) -> Decompress {
        match self {
            Self::Zlib { bits } | Self::Either { bits } => Decompress::new_with_window_bits(true, bits.max(9)),
            Self::Raw { bits } => Decompress::new_with_window_bits(false, bits.max(9)),
            Self::Gzip { bits } => Decompress::new_gzip(bits.max(9)),
        }
    }
}

struct Options {
    mode: u32,
    bits: u8,
    level: i32,
    dictionary: Option<Vec<u8>>,
}

/// `mode` and the other options are those of Node.js's binding; a window of 0 bits is zlib's own choice.
#[op2]
#[cppgc]
pub fn op_node_zlib_new(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] mode: u32,
    #[smi] bits: u32,
    #[smi] level: i32,
    #[anybuffer] dictionary: &[u8],
) -> Result<Zlib, ZlibError> {
    let state = seam::state(scope)?;
    let bits = match bits {
        0 => 15,
        8..=24 => u8::try_from(bits).map_err(|_| ZlibError::Options)?,
        _ => return Err(ZlibError::Options),
    };
    let dictionary = (!dictionary.is_empty()).then(|| dictionary.to_vec());
    let stream = Stream::new(state.memory(), Options { mode, bits, level, dictionary })?;
    Ok(Zlib(RefCell::new(Some(stream))))
}

/// Answers `[code, bytes read, bytes written]`. The two buffers do not overlap: the shim looks.
#[op2]
pub fn op_node_zlib_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] zlib: &Zlib,
    #[smi] flush: u32,
    #[anybuffer] input: &[u8],
    #[anybuffer] output: &mut [u8],
) -> Result<v8::Local<'s, v8::Value>, ZlibError> {
    let step = zlib.0.borrow_mut().as_mut().ok_or(ZlibError::Closed)?.step(flush, input, output);
    let code = v8::Integer::new(scope, step.code).into();
    let read = v8::Number::new(scope, step.read as f64).into();
    let written = v8::Number::new(scope, step.written as f64).into();
    Ok(seam::inner_list(scope, &[code, read, written]))
}

/// The level of what comes from here on.
#[op2(fast)]
#[smi]
pub fn op_node_zlib_level(#[cppgc] zlib: &Zlib, #[smi] level: i32) -> i32 {
    match zlib.0.borrow_mut().as_mut() {
        Some(Stream { coder: Coder::Deflate(deflate), .. }) => {
            let level = Compression::new(u32::try_from(level).unwrap_or(6));
            if deflate.set_level(level).is_ok() { Z_OK } else { Z_STREAM_ERROR }
        }
        _ => Z_OK,
    }
}

/// Lets go of the stream's state, which may be large, before the engine collects it.
#[op2(fast)]
pub fn op_node_zlib_close(#[cppgc] zlib: &Zlib) {
    zlib.0.borrow_mut().take();
}

/// CRC-32, from a value before.
#[op2]
pub fn op_node_crc32(#[anybuffer] bytes: &[u8], before: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(bytes);
    hasher.finalize()
}
