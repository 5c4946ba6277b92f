//! Bodies: read whole, chunk by chunk, or written by JavaScript. A body that nobody reads moves on in Rust alone.

use bytes::Bytes;
use bytes::BytesMut;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::Body;
use holm_isolate::BodyError;
use holm_isolate::BodyWriter;
use holm_isolate::Charge;
use holm_isolate::Owner;
use holm_isolate::Settle;
use holm_isolate::State;
use holm_isolate::StateError;
use http_body_util::BodyExt;
use tokio::sync::mpsc::error::TrySendError;

use crate::seam;

/// Bytes of a written chunk that may lie in the body's channel; what is longer is handed over piece by piece.
const PIECE: usize = 64 << 10;

/// What [`op_body_collect`] makes of the bytes.
#[derive(Clone, Copy)]
enum Collected {
    Bytes,
    Text,
}

/// 0: gone or used, 1: all bytes are here, 2: a stream.
#[op2(fast)]
#[smi]
pub fn op_body_kind(scope: &mut v8::PinScope<'_, '_>, #[smi] body: u32) -> Result<u32, StateError> {
    let kind = seam::state(scope)?.peek_body(body, |body| match body {
        Body::Empty | Body::Bytes(_) => 1,
        Body::Stream(_) => 2,
    });
    Ok(kind.unwrap_or(0))
}

/// The body's length in bytes, or -1.
#[op2(fast)]
pub fn op_body_length(scope: &mut v8::PinScope<'_, '_>, #[smi] body: u32) -> Result<f64, StateError> {
    let length = seam::state(scope)?.peek_body(body, Body::length).flatten();
    Ok(length.map_or(-1.0, |length| length as f64))
}

/// All bytes of a buffered body, now; `undefined` for a stream.
#[op2]
pub fn op_body_take<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] body: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    Ok(match take_buffered(scope, owner, body)? {
        Some(bytes) => seam::uint8_array(scope, bytes),
        None => v8::undefined(scope).into(),
    })
}

/// The text of a buffered body, now; `undefined` for a stream.
#[op2]
pub fn op_body_take_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] body: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    Ok(match take_buffered(scope, owner, body)? {
        Some(bytes) => seam::utf8_decode(scope, &bytes),
        None => v8::undefined(scope).into(),
    })
}

fn take_buffered(scope: &v8::PinScope<'_, '_>, owner: Owner, body: u32) -> Result<Option<Bytes>, StateError> {
    let state = seam::state(scope)?;
    if state.peek_body(body, |body| matches!(body, Body::Stream(_))).unwrap_or(false) {
        return Ok(None);
    }
    Ok(match state.take_body(owner, body)? {
        Body::Bytes(bytes) => Some(bytes),
        Body::Empty | Body::Stream(_) => Some(Bytes::new()),
    })
}

/// Reads the rest of a body and answers a promise of it.
#[op2]
pub fn op_body_collect<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] body: u32,
    as_text: bool,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let wanted = if as_text { Collected::Text } else { Collected::Bytes };
    let charge = state.memory().charge(0);
    let body = state.take_body(owner, body)?;
    let (_, promise) = state.start(scope, owner, collect(body, wanted, charge))?;
    Ok(promise)
}

async fn collect(mut body: Body, wanted: Collected, mut charge: Charge) -> Settle {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    if charge.try_grow(data.len()).is_err() {
                        return seam::reject(
                            "The body does not fit into the worker's memory limit; read it as a stream instead.",
                        );
                    }
                    bytes.extend_from_slice(&data);
                }
            }
            Err(error) => return seam::reject(error.to_string()),
        }
    }
    Box::new(move |scope, _state| {
        // From here on the engine's heap holds them.
        drop(charge);
        Ok(match wanted {
            Collected::Bytes => seam::uint8_array(scope, bytes.freeze()),
            Collected::Text => seam::utf8_decode(scope, &bytes),
        })
    })
}

/// One chunk, in a list of its own, or `null` at the end.
#[op2]
pub fn op_body_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] body: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let (_, promise) = start_read(scope, &state, owner, body)?;
    Ok(promise)
}

/// The operation, and its promise.
pub(crate) fn start_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &State,
    owner: Owner,
    body: u32,
) -> Result<(u32, v8::Local<'s, v8::Value>), StateError> {
    let lent = state.lend_body(owner, body)?;
    let charge = state.memory().charge(0);
    state.start(scope, owner, read(lent, body, charge))
}

async fn read(mut body: Body, id: u32, mut charge: Charge) -> Settle {
    loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                let Ok(chunk) = frame.into_data() else { continue };
                if chunk.is_empty() {
                    continue;
                }
                charge.grow(chunk.len());
                return Box::new(move |scope, state| {
                    drop(charge);
                    state.put_body(id, body);
                    let chunk = seam::uint8_array(scope, chunk);
                    Ok(seam::inner_list(scope, &[chunk]))
                });
            }
            Some(Err(error)) => {
                return Box::new(move |scope, state| {
                    state.drop_body(id);
                    Err(seam::type_error(scope, &error.to_string()))
                });
            }
            None => {
                return Box::new(move |scope, state| {
                    state.drop_body(id);
                    Ok(v8::null(scope).into())
                });
            }
        }
    }
}

/// Drops a body, both ends. `owner` 0: the platform itself does, whoever runs.
#[op2(fast)]
pub fn op_body_cancel(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] body: u32) -> Result<(), StateError> {
    let state = seam::state(scope)?;
    if owner != 0 {
        state.check_body(owner, body)?;
    }
    state.drop_body(body);
    Ok(())
}

/// Throws when the body is another invocation's.
#[op2(fast)]
pub fn op_body_check(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] body: u32) -> Result<(), StateError> {
    seam::state(scope)?.check_body(owner, body)
}

/// A second body over the same bytes; 0 for a stream, which JavaScript has to tee.
#[op2(fast)]
#[smi]
pub fn op_body_clone(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] body: u32) -> Result<u32, StateError> {
    let state = seam::state(scope)?;
    state.check_body(owner, body)?;
    let bytes = state.peek_body(body, |body| match body {
        Body::Bytes(bytes) => Some(bytes.clone()),
        Body::Empty | Body::Stream(_) => None,
    });
    Ok(bytes.flatten().map_or(0, |bytes| state.add_body(owner, Body::Bytes(bytes))))
}

/// Opens a body that JavaScript writes. `length` is its announced length in bytes, or -1.
#[op2(fast)]
#[smi]
pub fn op_body_open(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, length: f64) -> Result<u32, StateError> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a length")]
    let length = (0.0..9e15).contains(&length).then_some(length as u64);
    seam::state(scope)?.open_body(owner, length)
}

/// Writes a chunk. `true`: there is room for more. A promise: wait for it.
#[op2]
pub fn op_body_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] body: u32,
    chunk: v8::Local<'s, v8::ArrayBufferView>,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let chunk = seam::kept_bytes_of(scope, &*seam::state(scope)?, chunk)?;
    write_bytes(scope, owner, body, chunk)
}

/// The same for bytes that have been charged.
pub(crate) fn write_bytes<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    owner: Owner,
    body: u32,
    chunk: Bytes,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let writer = state.body_writer(owner, body)?;
    if chunk.is_empty() {
        return Ok(v8::Boolean::new(scope, true).into());
    }
    let chunk = match chunk.len() {
        0..=PIECE => match writer.try_send(Ok(chunk)) {
            Ok(()) => return Ok(v8::Boolean::new(scope, true).into()),
            Err(TrySendError::Closed(_)) => return Err(StateError::ReaderGone),
            Err(TrySendError::Full(chunk)) => chunk.unwrap_or_default(),
        },
        _ => chunk,
    };
    let (_, promise) = state.start(scope, owner, write(writer, chunk))?;
    Ok(promise)
}

async fn write(writer: BodyWriter, mut chunk: Bytes) -> Settle {
    while !chunk.is_empty() {
        let piece = chunk.split_to(chunk.len().min(PIECE));
        if writer.send(Ok(piece)).await.is_err() {
            return seam::reject(StateError::ReaderGone.to_string());
        }
    }
    settle_undefined()
}

#[op2(fast)]
pub fn op_body_close(scope: &mut v8::PinScope<'_, '_>, #[smi] body: u32) -> Result<(), StateError> {
    seam::state(scope)?.close_body(body);
    Ok(())
}

/// Ends a written body with an error: its reader sees the connection break off.
#[op2(fast)]
pub fn op_body_abort(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] body: u32,
    #[string] message: String,
) -> Result<(), StateError> {
    seam::state(scope)?.abort_body(body, BodyError::new(message));
    Ok(())
}

fn settle_undefined() -> Settle {
    Box::new(|scope, _state| Ok(v8::undefined(scope).into()))
}
