//! `fetch()`: one call over the seam per exchange.

pub mod data_url;
pub mod outbound;
pub mod target;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::Account;
use holm_isolate::Body;
use holm_isolate::Coupling;
use holm_isolate::Owner;
use holm_isolate::Role;
use holm_isolate::Settle;
use holm_isolate::Settled;
use holm_isolate::SocketEnd;
use holm_isolate::State;
use holm_isolate::StateError;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header;
use tokio::sync::Semaphore;

use crate::Outside;
use crate::fetch::outbound::Decoding;
use crate::fetch::outbound::Exchange;
use crate::fetch::outbound::FetchError;
use crate::fetch::outbound::Outbound;
use crate::fetch::outbound::OutboundRequest;
use crate::fetch::outbound::OutboundResponse;
use crate::fetch::outbound::Redirect;
use crate::fetch::outbound::Wire;
use crate::seam;
use crate::seam::HeaderError;

/// Bit of `flags`: hand the bytes on as they came.
const MANUAL_DECODING: u32 = 1;

/// Why `fetch()` cannot start.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum StartError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(inherit)]
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[class(type)]
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[class(type)]
    #[error("Invalid HTTP method.")]
    Method,
}

/// Starts an exchange; answers `[operation, promise]`. The promise's value is
/// `[status, statusText, url, redirected, headers, body, socket]`; 0 for no body and no WebSocket.
#[op2]
pub fn op_fetch<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] method: &str,
    #[string] url: &str,
    #[string(onebyte)] headers: std::borrow::Cow<'_, [u8]>,
    body: v8::Local<'s, v8::Value>,
    #[smi] redirect: u32,
    #[smi] flags: u32,
) -> Result<v8::Local<'s, v8::Value>, StartError> {
    let state = seam::state(scope)?;
    let outbound = outbound(&state)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| StartError::Method)?;
    let url = target::of(url).ok_or(FetchError::InvalidUrl)?;
    let headers = seam::headers_from(&headers)?;
    let max_hops = state.charge_subrequest(owner)?;
    let body = request_body(scope, &state, owner, body)?;
    let redirect = match redirect {
        1 => Redirect::Manual,
        2 => Redirect::Error,
        _ => Redirect::Follow,
    };
    let decoding = if flags & MANUAL_DECODING == 0 { Decoding::Automatic } else { Decoding::Manual };
    let cdn_loop = Some(state.request(owner, |_, _, headers, _| holm_isolate::next_loop(headers))?);
    let request = OutboundRequest { method, url, headers, body, redirect, max_hops, decoding, cdn_loop };
    let connecting = state.connecting(owner)?;
    let memory = Arc::clone(state.memory());
    let (id, promise) = state.start(scope, owner, exchanged(outbound.fetch(request), connecting, owner, memory))?;
    let id = v8::Integer::new_from_unsigned(scope, id).into();
    Ok(v8::Array::new_with_elements(scope, &[id, promise]).into())
}

pub(crate) fn outbound(state: &State) -> Result<Arc<dyn Outbound>, StateError> {
    let worker = state.worker().ok_or(StateError::GlobalScope)?;
    let outside = worker.outside.downcast_ref::<Outside>().ok_or(StateError::Ended)?;
    Ok(Arc::clone(&outside.outbound))
}

pub(crate) fn request_body(
    scope: &mut v8::PinScope<'_, '_>,
    state: &Rc<State>,
    owner: u32,
    body: v8::Local<'_, v8::Value>,
) -> Result<Body, StateError> {
    if let Ok(text) = v8::Local::<v8::String>::try_from(body) {
        Ok(Body::from(state.memory().keep(Bytes::from(text.to_rust_string_lossy(scope)))))
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(body) {
        Ok(Body::from(seam::kept_bytes_of(scope, state, view)?))
    } else if body.is_uint32() {
        state.take_body(owner, body.uint32_value(scope).unwrap_or(0))
    } else {
        Ok(Body::Empty)
    }
}

/// The exchange, once few enough others of the invocation wait for the head of their response.
async fn exchanged(exchange: Exchange, connecting: Arc<Semaphore>, owner: Owner, memory: Arc<Account>) -> Settle {
    let result = match connecting.acquire().await {
        Ok(_permit) => exchange.await,
        Err(_) => Err(FetchError::ConnectionLost),
    };
    match result {
        Ok(mut response) => {
            let socket = response.upgraded.take().map(|wire| coupled(wire, &memory));
            Box::new(move |scope, state| exchanged_value(scope, state, owner, response, socket))
        }
        Err(error) => seam::reject(error.to_string()),
    }
}

/// A WebSocket over an upgraded connection: the end that is the script's. Dropping it ends the connection.
fn coupled(wire: Wire, memory: &Arc<Account>) -> SocketEnd {
    let (script, end) = holm_isolate::socket_pair(memory);
    let coupling = Coupling { role: Role::Client, ticket: None };
    tokio::spawn(holm_isolate::couple(wire, end, coupling, std::future::pending()));
    script
}

fn exchanged_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &State,
    owner: Owner,
    response: OutboundResponse,
    socket: Option<SocketEnd>,
) -> Settled<'s> {
    state.charge_redirects(owner, response.hops.saturating_sub(1));
    let url = response.url.to_string();
    let socket = match socket.map(|end| state.add_socket(owner, end)) {
        Some(Ok(socket)) => socket,
        Some(Err(error)) => return Err(seam::type_error(scope, &error.to_string())),
        None => 0,
    };
    Ok(response_value(scope, state, owner, &url, response, socket))
}

fn response_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &State,
    owner: Owner,
    url: &str,
    response: OutboundResponse,
    socket: u32,
) -> v8::Local<'s, v8::Value> {
    let OutboundResponse { status, headers, body, hops, .. } = response;
    let body = state.add_body(owner, body);
    let values = [
        v8::Integer::new(scope, i32::from(status.as_u16())).into(),
        seam::one_byte(scope, status.canonical_reason().unwrap_or_default().as_bytes()),
        seam::text(scope, url),
        v8::Boolean::new(scope, hops > 1).into(),
        seam::headers_to(scope, &headers),
        v8::Integer::new_from_unsigned(scope, body).into(),
        v8::Integer::new_from_unsigned(scope, socket).into(),
    ];
    seam::inner_list(scope, &values)
}

/// The response that a `data:` URL is: a value like that of [`op_fetch`]'s promise.
#[op2]
pub fn op_fetch_data<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] url: &str,
) -> Result<v8::Local<'s, v8::Value>, StartError> {
    let state = seam::state(scope)?;
    // Answers whether the owner lives.
    state.connecting(owner)?;
    let url = url.split('#').next().unwrap_or(url);
    let data = data_url::parse(url).ok_or(FetchError::InvalidUrl)?;
    let mut headers = HeaderMap::new();
    if let Ok(content_type) = HeaderValue::from_str(&data.content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    let response = OutboundResponse {
        status: StatusCode::OK,
        headers,
        body: Body::from(Bytes::from(data.bytes)),
        url: http::Uri::default(),
        hops: 1,
        upgraded: None,
    };
    Ok(response_value(scope, &state, owner, url, response, 0))
}

#[op2(fast)]
pub fn op_operation_cancel(scope: &mut v8::PinScope<'_, '_>, #[smi] operation: u32) -> Result<(), StateError> {
    seam::state(scope)?.cancel_operation(operation);
    Ok(())
}
