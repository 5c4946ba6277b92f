//! WebSockets in the hands of scripts: messages in, messages out (`holm_isolate`'s `socket`).

use bytes::Bytes;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::Body;
use holm_isolate::MESSAGE_BYTES;
use holm_isolate::NO_CODE;
use holm_isolate::Packet;
use holm_isolate::Settle;
use holm_isolate::SocketMessage;
use holm_isolate::StateError;
use http::StatusCode;

use crate::answer::AnswerError;
use crate::answer::response_head;
use crate::seam;

// What a message is, for the shim.
const BROKEN: i32 = 0;
const TEXT: i32 = 1;
const BINARY: i32 = 2;
const CLOSE: i32 = 3;

/// Why a message is not sent.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum SendError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(range)]
    #[error("The message is larger than {} MiB, the most that a WebSocket message may have.", MESSAGE_BYTES >> 20)]
    TooLarge,
    #[class(type)]
    #[error("A WebSocket message is a string or bytes.")]
    Data,
}

/// The numbers of both ends of a new WebSocket.
#[op2]
pub fn op_socket_pair<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let (left, right) = seam::state(scope)?.open_sockets(owner)?;
    let ids = [left, right].map(|id| v8::Integer::new_from_unsigned(scope, id).into());
    Ok(seam::inner_list(scope, &ids))
}

#[op2(fast)]
pub fn op_socket_accept(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<(), StateError> {
    seam::state(scope)?.socket(owner, id)?.accept();
    Ok(())
}

/// A promise of the next message: `[kind, data]`, `[CLOSE, code, reason]` or `[BROKEN, why]`; of `null` once the other end has gone.
#[op2]
pub fn op_socket_receive<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let mut incoming = state.socket(owner, id)?.lend().ok_or(StateError::SocketUsed)?;
    let (_, promise) = state.start(scope, owner, async move {
        let packet = incoming.recv().await;
        let settle: Settle = Box::new(move |scope, state| {
            if let Ok(socket) = state.socket(owner, id) {
                socket.put(incoming);
            }
            let Some(packet) = packet else { return Ok(v8::null(scope).into()) };
            Ok(message_value(scope, packet))
        });
        settle
    })?;
    Ok(promise)
}

fn message_value<'s>(scope: &mut v8::PinScope<'s, '_>, packet: Packet) -> v8::Local<'s, v8::Value> {
    let kind = |scope: &mut v8::PinScope<'s, '_>, kind: i32| v8::Integer::new(scope, kind).into();
    match packet.message {
        SocketMessage::Text(bytes) => {
            let values = [kind(scope, TEXT), seam::text(scope, std::str::from_utf8(&bytes).unwrap_or_default())];
            seam::inner_list(scope, &values)
        }
        SocketMessage::Binary(bytes) => {
            let values = [kind(scope, BINARY), seam::uint8_array(scope, bytes)];
            seam::inner_list(scope, &values)
        }
        SocketMessage::Close { code, reason } => {
            let values =
                [kind(scope, CLOSE), v8::Integer::new(scope, i32::from(code)).into(), seam::text(scope, &reason)];
            seam::inner_list(scope, &values)
        }
        SocketMessage::Broken(why) => {
            let values = [kind(scope, BROKEN), seam::text(scope, why)];
            seam::inner_list(scope, &values)
        }
    }
}

/// Sends a string or a view. What nobody has taken yet counts into the isolate's memory.
#[op2(nofast)]
pub fn op_socket_send<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    data: v8::Local<'s, v8::Value>,
) -> Result<(), SendError> {
    let state = seam::state(scope)?;
    let socket = state.socket(owner, id)?;
    let text = v8::Local::<v8::String>::try_from(data).ok();
    let view = v8::Local::<v8::ArrayBufferView>::try_from(data).ok();
    let length = match (text, view) {
        (Some(text), _) => text.utf8_length(scope),
        (_, Some(view)) => view.byte_length(),
        _ => return Err(SendError::Data),
    };
    if length > MESSAGE_BYTES {
        return Err(SendError::TooLarge);
    }
    let charge = seam::charge(scope, &state, SocketMessage::cost(length))?;
    let message = match (text, view) {
        (Some(text), _) => SocketMessage::Text(Bytes::from(text.to_rust_string_lossy(scope))),
        (_, Some(view)) => SocketMessage::Binary(seam::bytes_of(view)),
        _ => return Err(SendError::Data),
    };
    // Once the other end has gone, nobody misses it.
    let _ = socket.send(Packet::new(message, charge));
    Ok(())
}

/// Sends a close; nothing is sent after it.
#[op2(fast)]
pub fn op_socket_close(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] code: u16,
    #[string] reason: &str,
) -> Result<(), StateError> {
    let state = seam::state(scope)?;
    let socket = state.socket(owner, id)?;
    let reason = if code == NO_CODE { String::new() } else { reason.to_owned() };
    let charge = state.memory().charge(SocketMessage::cost(reason.len()));
    let _ = socket.send(Packet::new(SocketMessage::Close { code, reason }, charge));
    socket.close();
    Ok(())
}

/// The script has been told all that comes from this end.
#[op2(fast)]
pub fn op_socket_over(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<(), StateError> {
    seam::state(scope)?.end_socket(owner, id)
}

/// Answers the invocation with a WebSocket: its client gets this end.
#[op2(nofast)]
pub fn op_respond_socket(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[string(onebyte)] headers: std::borrow::Cow<'_, [u8]>,
    #[smi] id: u32,
) -> Result<(), AnswerError> {
    let state = seam::state(scope)?;
    let headers = response_head(&state, &headers)?;
    let socket = state.take_answer_socket(owner, id)?;
    let mut response = http::Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response.extensions_mut().insert(socket);
    state.answer(owner, response)?;
    Ok(())
}
