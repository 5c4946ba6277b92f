//! What every op starts with: the isolate's state, and JavaScript values made of owned data.

use std::rc::Rc;

use bytes::Bytes;
use deno_core::v8;
use holm_isolate::Charge;
use holm_isolate::Settle;
use holm_isolate::State;
use holm_isolate::StateError;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

/// Separates names and values in a header list that crosses as one string; no name or value can hold it.
const SEPARATOR: u8 = 0;
/// Pairs that one header list may have: the `http` crate's maps hold fewer than 32,768.
const HEADERS: usize = 1_000;

/// A header list that is not one.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(type)]
pub enum HeaderError {
    #[error("Invalid header name.")]
    Name,
    #[error("Invalid header value.")]
    Value,
    #[error("Too many headers: at most {HEADERS} are allowed.")]
    TooMany,
}

/// The state of the isolate that this op runs in.
///
/// # Errors
/// While the snapshot is made there is none.
pub fn state(scope: &v8::PinScope<'_, '_>) -> Result<Rc<State>, StateError> {
    scope.get_slot::<Rc<State>>().map(Rc::clone).ok_or(StateError::GlobalScope)
}

/// Reads a list `name\0value\0name\0value`.
///
/// # Errors
/// When a name or value is not valid in HTTP, or there are too many.
pub fn headers_from(list: &[u8]) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::new();
    if list.is_empty() {
        return Ok(headers);
    }
    let mut parts = list.split(|byte| *byte == SEPARATOR);
    while let Some(name) = parts.next() {
        let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Name)?;
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default()).map_err(|_| HeaderError::Value)?;
        if headers.len() >= HEADERS {
            return Err(HeaderError::TooMany);
        }
        headers.try_append(name, value).map_err(|_| HeaderError::TooMany)?;
    }
    Ok(headers)
}

/// Writes a list `name\0value\0name\0value` as a one-byte string.
pub fn headers_to<'s>(scope: &mut v8::PinScope<'s, '_>, headers: &HeaderMap) -> v8::Local<'s, v8::Value> {
    let mut list = Vec::with_capacity(headers.len() * 40);
    for (name, value) in headers {
        if !list.is_empty() {
            list.push(SEPARATOR);
        }
        list.extend_from_slice(name.as_str().as_bytes());
        list.push(SEPARATOR);
        list.extend_from_slice(value.as_bytes());
    }
    one_byte(scope, &list)
}

/// A string of bytes (Web IDL `ByteString`).
pub fn one_byte<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &[u8]) -> v8::Local<'s, v8::Value> {
    match v8::String::new_from_one_byte(scope, bytes, v8::NewStringType::Normal) {
        Some(string) => string.into(),
        None => v8::undefined(scope).into(),
    }
}

/// A string of UTF-8 text; `undefined` where it is longer than the engine allows.
pub fn text<'s>(scope: &mut v8::PinScope<'s, '_>, text: &str) -> v8::Local<'s, v8::Value> {
    match v8::String::new(scope, text) {
        Some(string) => string.into(),
        None => v8::undefined(scope).into(),
    }
}

/// UTF-8 decode (Encoding standard): the byte order mark is taken off (unless the worker is older than that,
/// `strip_bom_in_read_all_text`), what is malformed is replaced.
pub fn utf8_decode<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &[u8]) -> v8::Local<'s, v8::Value> {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) if flag(scope, "strip_bom_in_read_all_text") => text,
        _ => bytes,
    };
    match v8::String::new_from_utf8(scope, bytes, v8::NewStringType::Normal) {
        Some(string) => string.into(),
        None => v8::undefined(scope).into(),
    }
}

/// Whether a compatibility flag of the worker is on.
fn flag(scope: &v8::PinScope<'_, '_>, name: &str) -> bool {
    let worker = state(scope).ok().and_then(|state| state.worker());
    worker.is_some_and(|worker| worker.compatibility_flags.get(name).copied().unwrap_or(false))
}

/// A `Uint8Array` over bytes of its own.
pub fn uint8_array<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: Bytes) -> v8::Local<'s, v8::Value> {
    let length = bytes.len();
    let buffer = if length == 0 {
        v8::ArrayBuffer::new(scope, 0)
    } else {
        let store = v8::ArrayBuffer::new_backing_store_from_vec(Vec::from(bytes)).make_shared();
        v8::ArrayBuffer::with_backing_store(scope, &store)
    };
    match v8::Uint8Array::new(scope, buffer, 0, length) {
        Some(array) => array.into(),
        None => v8::undefined(scope).into(),
    }
}

/// A list for a shim alone. It has no prototype: a promise that is resolved with it looks for no `then` of a script.
pub fn inner_list<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    values: &[v8::Local<'s, v8::Value>],
) -> v8::Local<'s, v8::Value> {
    let list = v8::Array::new_with_elements(scope, values);
    let null = v8::null(scope).into();
    list.set_prototype(scope, null);
    list.into()
}

/// A `TypeError` with this message.
pub fn type_error<'s>(scope: &mut v8::PinScope<'s, '_>, message: &str) -> v8::Local<'s, v8::Value> {
    match v8::String::new(scope, message) {
        Some(message) => v8::Exception::type_error(scope, message),
        None => v8::undefined(scope).into(),
    }
}

/// Settles with a rejection by a `TypeError`.
pub fn reject(message: impl Into<String>) -> Settle {
    let message = message.into();
    Box::new(move |scope, _state| Err(type_error(scope, &message)))
}

/// Copies the bytes that a view covers now, charged to the isolate for as long as they are held.
///
/// # Errors
/// When the isolate has no room for them.
pub fn kept_bytes_of(
    scope: &mut v8::PinScope<'_, '_>,
    state: &State,
    view: v8::Local<'_, v8::ArrayBufferView>,
) -> Result<Bytes, StateError> {
    let charge = charge(scope, state, view.byte_length())?;
    Ok(charge.keep(bytes_of(view)))
}

/// Charges the isolate for what Rust is about to hold for a script.
///
/// # Errors
/// When the isolate has no room for it, with the garbage collected.
pub fn charge(scope: &mut v8::PinScope<'_, '_>, state: &State, bytes: usize) -> Result<Charge, StateError> {
    match state.memory().try_charge(bytes) {
        Ok(charge) => Ok(charge),
        Err(_) => {
            state.memory().collect(scope);
            Ok(state.memory().try_charge(bytes)?)
        }
    }
}

/// Copies the bytes that a view covers now.
pub fn bytes_of(view: v8::Local<'_, v8::ArrayBufferView>) -> Bytes {
    let mut bytes = vec![0; view.byte_length()];
    let copied = view.copy_contents(&mut bytes);
    bytes.truncate(copied);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_repeated_names_and_empty_values() {
        let headers = headers_from(b"set-cookie\0a=1\0set-cookie\0b=2\0x-empty\0").unwrap();
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(headers["x-empty"], "");
    }

    #[test]
    fn lists_that_are_not_headers_are_refused() {
        assert!(matches!(headers_from(b"bad name\0x"), Err(HeaderError::Name)));
        assert!(matches!(headers_from(b"x\0a\r\nb"), Err(HeaderError::Value)));
        let many: Vec<u8> = (0..=HEADERS).flat_map(|n| format!("x{n}\0v\0").into_bytes()).collect();
        assert!(matches!(headers_from(&many[..many.len() - 1]), Err(HeaderError::TooMany)));
    }
}
