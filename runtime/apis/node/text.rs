//! `Buffer`'s encodings: text to bytes and back, without copies in between where the engine allows it.
//!
//! The shim has checked ranges; here they are cut to what is there. Searches are linear, since no turn can be ended within one.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::Charge;
use holm_isolate::StateError;
use memchr::memmem;

use crate::seam;

/// Why there is no text.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum TextError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(range)]
    #[error("Cannot create a string longer than 0x1fffffe8 characters")]
    TooLong,
    #[class(type)]
    #[error("Unknown encoding")]
    Encoding,
}

/// Encodings by the numbers that the shim knows them by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    Hex,
    Base64,
    Base64Url,
    Utf16,
}

// === impl Encoding ===

impl TryFrom<u32> for Encoding {
    type Error = TextError;

    fn try_from(number: u32) -> Result<Self, TextError> {
        Ok(match number {
            0 => Self::Utf8,
            1 => Self::Latin1,
            2 => Self::Ascii,
            3 => Self::Hex,
            4 => Self::Base64,
            5 => Self::Base64Url,
            6 => Self::Utf16,
            _ => return Err(TextError::Encoding),
        })
    }
}

/// The bytes from `start` to `end` as text.
#[op2]
pub fn op_node_decode<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] bytes: &[u8],
    #[smi] encoding: u32,
    #[number] start: usize,
    #[number] end: usize,
) -> Result<v8::Local<'s, v8::Value>, TextError> {
    let encoding = Encoding::try_from(encoding)?;
    let end = end.min(bytes.len());
    let bytes = bytes.get(start.min(end)..end).unwrap_or_default();
    // Nothing is made that the engine could not take.
    let longest = v8::String::MAX_LENGTH;
    let length = match encoding {
        Encoding::Hex => bytes.len().saturating_mul(2),
        Encoding::Base64 | Encoding::Base64Url => bytes.len().div_ceil(3).saturating_mul(4),
        Encoding::Utf8 | Encoding::Latin1 | Encoding::Ascii => bytes.len(),
        Encoding::Utf16 => bytes.len() / 2,
    };
    if length > longest {
        return Err(TextError::TooLong);
    }
    let normal = v8::NewStringType::Normal;
    let _charge = match encoding {
        Encoding::Utf8 | Encoding::Latin1 => None,
        Encoding::Ascii | Encoding::Hex | Encoding::Base64 | Encoding::Base64Url => Some(room(scope, length)?),
        Encoding::Utf16 => Some(room(scope, bytes.len())?),
    };
    let text = match encoding {
        Encoding::Utf8 => v8::String::new_from_utf8(scope, bytes, normal),
        Encoding::Latin1 => v8::String::new_from_one_byte(scope, bytes, normal),
        Encoding::Ascii => {
            let ascii: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
            v8::String::new_from_one_byte(scope, &ascii, normal)
        }
        Encoding::Hex => v8::String::new_from_one_byte(scope, &to_hex(bytes), normal),
        Encoding::Base64 => v8::String::new_from_one_byte(scope, &to_base64(bytes, BASE64, Padding::Yes), normal),
        Encoding::Base64Url => v8::String::new_from_one_byte(scope, &to_base64(bytes, BASE64_URL, Padding::No), normal),
        Encoding::Utf16 => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            v8::String::new_from_two_byte(scope, &units, normal)
        }
    };
    text.map(Into::into).ok_or(TextError::TooLong)
}

/// Writes the text into `bytes` from `offset` on, at most `length` bytes and no part of a character. Answers how many.
#[op2]
#[number]
pub fn op_node_encode_into(
    scope: &mut v8::PinScope<'_, '_>,
    text: v8::Local<'_, v8::String>,
    #[anybuffer] bytes: &mut [u8],
    #[smi] encoding: u32,
    #[number] offset: usize,
    #[number] length: usize,
) -> Result<usize, TextError> {
    let encoding = Encoding::try_from(encoding)?;
    let available = bytes.len();
    let offset = offset.min(available);
    let end = offset.saturating_add(length).min(available);
    let Some(target) = bytes.get_mut(offset..end) else { return Ok(0) };
    // Copies are made of units that are not bytes, or have to be looked at.
    let _charge = match encoding {
        Encoding::Utf8 => None,
        Encoding::Latin1 | Encoding::Ascii if text.is_onebyte() => None,
        _ => Some(room(scope, text.length().saturating_mul(3))?),
    };
    Ok(match encoding {
        Encoding::Utf8 => text.write_utf8_v2(scope, target, v8::WriteFlags::kReplaceInvalidUtf8, None),
        Encoding::Latin1 | Encoding::Ascii => {
            let count = target.len().min(text.length());
            let target = target.get_mut(..count).unwrap_or_default();
            write_one_byte(scope, text, target);
            count
        }
        Encoding::Utf16 => {
            let count = (target.len() / 2).min(text.length());
            let mut units = vec![0; count];
            text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
            for (pair, unit) in target.chunks_exact_mut(2).zip(&units) {
                pair.copy_from_slice(&unit.to_le_bytes());
            }
            count * 2
        }
        Encoding::Hex => from_hex(&units_of(scope, text), target),
        Encoding::Base64 | Encoding::Base64Url => from_base64(&units_of(scope, text), target),
    })
}

/// Counts what an op holds while it runs.
fn room(scope: &v8::PinScope<'_, '_>, bytes: usize) -> Result<Charge, StateError> {
    Ok(seam::state(scope)?.memory().try_charge(bytes)?)
}

/// The low bytes of the text's units, as Node.js writes `latin1`.
fn write_one_byte(scope: &mut v8::PinScope<'_, '_>, text: v8::Local<'_, v8::String>, target: &mut [u8]) {
    if text.is_onebyte() {
        text.write_one_byte_v2(scope, 0, target, v8::WriteFlags::empty());
        return;
    }
    let mut units = vec![0; target.len()];
    text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
    for (byte, unit) in target.iter_mut().zip(&units) {
        *byte = unit.to_le_bytes()[0];
    }
}

/// The text's units as bytes; what is no byte becomes one that no alphabet has.
fn units_of(scope: &mut v8::PinScope<'_, '_>, text: v8::Local<'_, v8::String>) -> Vec<u8> {
    let mut bytes = vec![0; text.length()];
    if text.is_onebyte() {
        text.write_one_byte_v2(scope, 0, &mut bytes, v8::WriteFlags::empty());
        return bytes;
    }
    let mut units = vec![0; text.length()];
    text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
    for (byte, unit) in bytes.iter_mut().zip(&units) {
        *byte = u8::try_from(*unit).unwrap_or(0xff);
    }
    bytes
}

/// How many bytes the text takes in UTF-8.
#[op2(fast)]
#[number]
pub fn op_node_utf8_length(scope: &mut v8::PinScope<'_, '_>, text: v8::Local<'_, v8::String>) -> usize {
    text.utf8_length(scope)
}

/// Where `needle` is in `bytes`: the first place from `from` on, or the last one that begins at `from` or before; -1 without.
#[op2]
#[number]
pub fn op_node_index_of(
    #[anybuffer] bytes: &[u8],
    #[anybuffer] needle: &[u8],
    #[number] from: usize,
    forward: bool,
) -> i64 {
    let found = if forward {
        bytes.get(from..).and_then(|rest| memmem::find(rest, needle)).map(|at| at + from)
    } else {
        let end = from.saturating_add(needle.len()).min(bytes.len());
        bytes.get(..end).and_then(|head| memmem::rfind(head, needle))
    };
    found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}

/// -1, 0 or 1, byte by byte.
#[op2]
#[smi]
pub fn op_node_compare(#[anybuffer] left: &[u8], #[anybuffer] right: &[u8]) -> i32 {
    left.cmp(right) as i32
}

/// Whether the bytes are well-formed UTF-8, or all of ASCII.
#[op2]
pub fn op_node_is_valid(#[anybuffer] bytes: &[u8], ascii: bool) -> bool {
    if ascii { bytes.is_ascii() } else { std::str::from_utf8(bytes).is_ok() }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(HEX[usize::from(byte >> 4)]);
        text.push(HEX[usize::from(byte & 15)]);
    }
    text
}

/// Pairs of digits, up to the first that is none.
fn from_hex(text: &[u8], target: &mut [u8]) -> usize {
    let digit = |unit: u8| char::from(unit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut written = 0;
    for (byte, pair) in target.iter_mut().zip(text.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { break };
        *byte = high << 4 | low;
        written += 1;
    }
    written
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Yes,
    No,
}

fn to_base64(bytes: &[u8], alphabet: &[u8; 64], padding: Padding) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            if position <= group.len() {
                text.push(alphabet[(bits >> (18 - 6 * position) & 63) as usize]);
            } else if padding == Padding::Yes {
                text.push(b'=');
            }
        }
    }
    text
}

/// Both alphabets, up to the padding; what belongs to none is passed over, as in Node.js.
fn from_base64(text: &[u8], target: &mut [u8]) -> usize {
    let mut written = 0;
    let mut bits = 0u32;
    let mut held = 0;
    for unit in text {
        let value = match unit {
            b'A'..=b'Z' => unit - b'A',
            b'a'..=b'z' => unit - b'a' + 26,
            b'0'..=b'9' => unit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let Some(byte) = target.get_mut(written) else { break };
            *byte = (bits >> held & 0xff) as u8;
            written += 1;
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_there_and_back() {
        for length in 0..10u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37) ^ 0xa5).collect();
            for (alphabet, padding) in [(BASE64, Padding::Yes), (BASE64_URL, Padding::No)] {
                let text = to_base64(&bytes, alphabet, padding);
                let mut back = vec![0; bytes.len() + 2];
                assert_eq!(from_base64(&text, &mut back), bytes.len());
                assert_eq!(&back[..bytes.len()], bytes);
            }
        }
        assert_eq!(to_base64(b"a", BASE64, Padding::Yes), b"YQ==");
        assert_eq!(to_base64(b"a", BASE64_URL, Padding::No), b"YQ");
    }

    #[test]
    fn hex_ends_at_what_is_no_digit() {
        let mut target = [0; 4];
        assert_eq!(from_hex(b"0aFFzz11", &mut target), 2);
        assert_eq!(target, [0x0a, 0xff, 0, 0]);
        assert_eq!(to_hex(&[0x0a, 0xff]), b"0aff");
    }
}
