//! The Cache API: `caches.default` and named caches, of a tenant.

pub mod interface;
mod rules;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use bytes::BytesMut;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::Body;
use holm_isolate::Charge;
use holm_isolate::Owner;
use holm_isolate::Settle;
use holm_isolate::State;
use holm_isolate::StateError;
use http::HeaderMap;
use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::Outside;
use crate::cache::interface::CacheKey;
use crate::cache::interface::CacheStore;
use crate::cache::interface::CachedResponse;
use crate::cache::interface::Peek;
use crate::cache::rules::Served;
use crate::cache::rules::Unkeepable;
use crate::seam;
use crate::seam::HeaderError;

/// Why a call fails.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum CacheError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(inherit)]
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[class(inherit)]
    #[error(transparent)]
    Unkeepable(#[from] Unkeepable),
    #[class(type)]
    #[error("The status of the response is not valid.")]
    Status,
}

fn store(state: &State) -> Result<Arc<dyn CacheStore>, StateError> {
    let worker = state.worker().ok_or(StateError::GlobalScope)?;
    let outside = worker.outside.downcast_ref::<Outside>().ok_or(StateError::Ended)?;
    Ok(Arc::clone(&outside.cache))
}

/// Looks for a response: one as `op_fetch`'s promise has it, `null`, or a promise of either.
#[op2]
pub fn op_cache_match<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] cache: String,
    #[string] url: String,
    #[string(onebyte)] headers: std::borrow::Cow<'_, [u8]>,
) -> Result<v8::Local<'s, v8::Value>, CacheError> {
    let state = seam::state(scope)?;
    let store = store(&state)?;
    let request = seam::headers_from(&headers)?;
    state.charge_subrequest(owner)?;
    let key = CacheKey { cache, url };
    match store.peek(&key) {
        Peek::Found(kept) => {
            let served = rules::serve(&kept, &request, SystemTime::now());
            Ok(served_value(scope, &state, owner, &key.url, served))
        }
        Peek::Nothing => Ok(v8::null(scope).into()),
        Peek::Unknown => {
            let (_, promise) = state.start(scope, owner, async move {
                let kept = store.find(key.clone()).await;
                let settle: Settle = Box::new(move |scope, state| {
                    let served = kept.and_then(|kept| rules::serve(&kept, &request, SystemTime::now()));
                    Ok(served_value(scope, state, owner, &key.url, served))
                });
                settle
            })?;
            Ok(promise)
        }
    }
}

fn served_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &State,
    owner: Owner,
    url: &str,
    served: Option<Served>,
) -> v8::Local<'s, v8::Value> {
    let Some(Served { status, headers, body }) = served else { return v8::null(scope).into() };
    let body = state.add_body(owner, Body::from(body));
    let values = [
        v8::Integer::new(scope, i32::from(status.as_u16())).into(),
        seam::one_byte(scope, status.canonical_reason().unwrap_or_default().as_bytes()),
        seam::text(scope, url),
        v8::Boolean::new(scope, false).into(),
        seam::headers_to(scope, &headers),
        v8::Integer::new_from_unsigned(scope, body).into(),
        v8::Integer::new(scope, 0).into(),
    ];
    seam::inner_list(scope, &values)
}

/// Keeps a response, if it may be kept. Answers a promise. `body`: a string, a `Uint8Array`, the number of a body, or `null`.
#[op2]
pub fn op_cache_put<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] cache: String,
    #[string] url: String,
    #[string(onebyte)] request: std::borrow::Cow<'_, [u8]>,
    #[smi] status: u16,
    #[string(onebyte)] headers: std::borrow::Cow<'_, [u8]>,
    body: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, CacheError> {
    let state = seam::state(scope)?;
    let store = store(&state)?;
    let status = StatusCode::from_u16(status).map_err(|_| CacheError::Status)?;
    let (request, headers): (HeaderMap, HeaderMap) = (seam::headers_from(&request)?, seam::headers_from(&headers)?);
    state.charge_subrequest(owner)?;
    let body = if let Ok(text) = v8::Local::<v8::String>::try_from(body) {
        Body::from(state.memory().keep(Bytes::from(text.to_rust_string_lossy(scope))))
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(body) {
        Body::from(seam::kept_bytes_of(scope, &state, view)?)
    } else if body.is_uint32() {
        state.take_body(owner, body.uint32_value(scope).unwrap_or(0))?
    } else {
        Body::Empty
    };
    let kept = rules::admit(status, headers, &request, SystemTime::now())?;
    let charge = state.memory().charge(0);
    let key = CacheKey { cache, url };
    let (_, promise) = state.start(scope, owner, async move {
        let kept = match collect(body, store.largest_body(), charge).await {
            Ok(bytes) => kept.map(|kept| CachedResponse { body: bytes, ..kept }),
            Err(why) => return seam::reject(why),
        };
        if let Some(kept) = kept {
            store.put(key, kept).await;
        }
        let settle: Settle = Box::new(|scope, _state| Ok(v8::undefined(scope).into()));
        settle
    })?;
    Ok(promise)
}

/// The whole body, in memory that is the cache's from then on.
async fn collect(mut body: Body, most: usize, mut charge: Charge) -> Result<Bytes, String> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(format!("Unable to put into the cache: the body is larger than {most} bytes."));
        }
        charge.try_grow(data.len()).map_err(|_| StateError::OutOfMemory.to_string())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// A promise of whether there was such a response.
#[op2]
pub fn op_cache_delete<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] cache: String,
    #[string] url: String,
) -> Result<v8::Local<'s, v8::Value>, CacheError> {
    let state = seam::state(scope)?;
    let store = store(&state)?;
    state.charge_subrequest(owner)?;
    let (_, promise) = state.start(scope, owner, async move {
        let was_there = store.delete(CacheKey { cache, url }).await;
        let settle: Settle = Box::new(move |scope, _state| Ok(v8::Boolean::new(scope, was_there).into()));
        settle
    })?;
    Ok(promise)
}
