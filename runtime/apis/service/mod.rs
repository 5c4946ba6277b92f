//! Service bindings: one invocation of another worker of the tenant per call, without a network hop.
//!
//! `fetch` and RPC cross alike: as a request with a body, and an answer with one. Bodies stream between the isolates' threads
//! as they do between an isolate and a client; for RPC they carry the messages of a session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use deno_core::op2;
use deno_core::v8;
use holm_isolate::Awaits;
use holm_isolate::Body;
use holm_isolate::CDN_LOOP;
use holm_isolate::CallKind;
use holm_isolate::CallNumber;
use holm_isolate::Called;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::Outcome;
use holm_isolate::Owner;
use holm_isolate::Props;
use holm_isolate::Settle;
use holm_isolate::State;
use holm_isolate::StateError;
use holm_isolate::Ticket;
use http::Method;

use crate::Outside;
use crate::body;
use crate::fetch;
use crate::seam;
use crate::seam::HeaderError;

/// The workers that one worker can call.
pub trait Services: Send + Sync + 'static {
    /// Runs one event of `service` (`None`: of the worker itself) up to the head of its answer. Dropping the future, or the
    /// answer's body before its end, says that the caller has gone.
    fn call(&self, service: Option<&str>, request: FetchRequest) -> Calling;
}

/// A call that is under way.
pub type Calling = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Failure>> + Send>>;

/// A service binding of a worker.
#[derive(Clone, Debug)]
pub struct ServiceBinding {
    /// Its name in `env`.
    pub binding: String,
    pub service: Arc<str>,
    pub entrypoint: Option<Arc<str>>,
    pub props: Props,
}

/// Why a call cannot start.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum CallError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(inherit)]
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[class(type)]
    #[error("Invalid HTTP method.")]
    Method,
    #[class(generic)]
    #[error("There is no such service binding.")]
    NoBinding,
}

/// The names of the worker's service bindings, a JSON array; empty if there are none.
#[op2]
#[string]
pub fn op_service_names(scope: &mut v8::PinScope<'_, '_>) -> Result<String, StateError> {
    let worker = seam::state(scope)?.worker().ok_or(StateError::GlobalScope)?;
    let Some(outside) = worker.outside.downcast_ref::<Outside>() else { return Ok(String::new()) };
    if outside.bindings.is_empty() {
        return Ok(String::new());
    }
    let names: Vec<&str> = outside.bindings.iter().map(|binding| binding.binding.as_str()).collect();
    Ok(deno_core::serde_json::json!(names).to_string())
}

/// Calls a service; answers `[operation, promise]` like `op_fetch`. `binding`: its index, or -1 for the worker itself, whose
/// entrypoint and props are then `entrypoint` and `props` (a structured clone, or `null`). `rpc`: the bodies are a session's.
#[op2]
pub fn op_service_call<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] binding: i32,
    #[string] entrypoint: &str,
    props: v8::Local<'s, v8::Value>,
    rpc: bool,
    #[string] method: &str,
    #[string] url: String,
    #[string(onebyte)] headers: std::borrow::Cow<'_, [u8]>,
    #[string] cf: &str,
    body: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, CallError> {
    let state = seam::state(scope)?;
    // First: in global scope nothing else is of interest.
    let request_id = state.request_id(owner)?;
    let worker = state.worker().ok_or(StateError::GlobalScope)?;
    let outside = worker.outside.downcast_ref::<Outside>().ok_or(StateError::Ended)?;
    let named = |name: &str| (!name.is_empty() && name != "default").then(|| Arc::from(name));
    let (service, entrypoint, props) = match usize::try_from(binding) {
        Ok(index) => {
            let binding = outside.bindings.get(index).ok_or(CallError::NoBinding)?;
            (Some(Arc::clone(&binding.service)), binding.entrypoint.clone(), binding.props.clone())
        }
        Err(_) => {
            let props = match v8::Local::<v8::ArrayBufferView>::try_from(props) {
                Ok(view) => Props::Cloned(seam::kept_bytes_of(scope, &state, view)?),
                Err(_) => Props::None,
            };
            (None, named(entrypoint), props)
        }
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| CallError::Method)?;
    let mut headers = seam::headers_from(&headers)?;
    // How often the request has come back to a server is not for scripts to say.
    headers.remove(CDN_LOOP);
    state.request(owner, |_, _, own, _| {
        for value in own.get_all(CDN_LOOP) {
            let _ = headers.try_append(CDN_LOOP, value.clone());
        }
    })?;
    state.charge_subrequest(owner)?;
    let chain = state.next_in_chain(owner)?;
    let body = fetch::request_body(scope, &state, owner, body)?;
    let call = CallNumber::next();
    let kind = if rpc { CallKind::Rpc } else { CallKind::Fetch };
    let request = FetchRequest {
        method,
        url: url.clone(),
        headers,
        body,
        cf: (!cf.is_empty()).then(|| Arc::from(cf)),
        cpu: None,
        called: Some(Box::new(Called { kind, entrypoint, props, chain, call })),
        scheduled: None,
        ticket: Ticket::new(request_id, None, None),
    };
    let calling = outside.services.call(service.as_deref(), request);
    let (id, promise) = state.start(scope, owner, answered(calling, owner, url))?;
    state.set_awaits(id, Awaits::Callee(call));
    let id = v8::Integer::new_from_unsigned(scope, id).into();
    Ok(v8::Array::new_with_elements(scope, &[id, promise]).into())
}

/// As `op_body_read`, of the body with the messages of a session's caller.
#[op2]
pub fn op_session_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] body: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let (id, promise) = body::start_read(scope, &state, owner, body)?;
    state.set_awaits(id, Awaits::Caller);
    Ok(promise)
}

/// Whether the callee of a session owes an answer that no message of its caller can help it to.
#[op2(fast)]
pub fn op_session_waits(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, waits: bool) -> Result<(), StateError> {
    seam::state(scope)?.set_waits_for_itself(owner, waits)
}

async fn answered(calling: Calling, owner: Owner, url: String) -> Settle {
    match calling.await {
        Ok(response) => Box::new(move |scope, state| Ok(answer(scope, state, owner, &url, response))),
        Err(failure) => Box::new(move |scope, _state| Err(error_of(scope, &failure))),
    }
}

fn answer<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &State,
    owner: Owner,
    url: &str,
    response: http::Response<Body>,
) -> v8::Local<'s, v8::Value> {
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>().cloned();
    let (head, body) = response.into_parts();
    let reason = match &reason {
        Some(reason) => reason.as_bytes(),
        None => head.status.canonical_reason().unwrap_or_default().as_bytes(),
    };
    let body = state.add_body(owner, body);
    let values = [
        v8::Integer::new(scope, i32::from(head.status.as_u16())).into(),
        seam::one_byte(scope, reason),
        seam::text(scope, url),
        v8::Boolean::new(scope, false).into(),
        seam::headers_to(scope, &head.headers),
        v8::Integer::new_from_unsigned(scope, body).into(),
    ];
    seam::inner_list(scope, &values)
}

/// The exception that a failed invocation is in its caller: what the callee threw, or why it was ended.
fn error_of<'s>(scope: &mut v8::PinScope<'s, '_>, failure: &Failure) -> v8::Local<'s, v8::Value> {
    type Make = for<'s> fn(&v8::PinScope<'s, '_>, v8::Local<'_, v8::String>) -> v8::Local<'s, v8::Value>;
    const CLASSES: [(&str, Make); 5] = [
        ("TypeError: ", |scope, text| v8::Exception::type_error(scope, text)),
        ("RangeError: ", |scope, text| v8::Exception::range_error(scope, text)),
        ("SyntaxError: ", |scope, text| v8::Exception::syntax_error(scope, text)),
        ("ReferenceError: ", |scope, text| v8::Exception::reference_error(scope, text)),
        ("Error: ", |scope, text| v8::Exception::error(scope, text)),
    ];
    let message = failure.message.as_str();
    let thrown = matches!(failure.outcome, Outcome::Exception | Outcome::NoHandler);
    let (make, message) = if thrown {
        let class = CLASSES.iter().find_map(|(name, make)| Some((*make, message.strip_prefix(name)?)));
        let (make, message) = class.unwrap_or((CLASSES[4].1, message));
        (make, message.to_owned())
    } else {
        (CLASSES[4].1, failure.to_caller())
    };
    let Some(text) = v8::String::new(scope, &message) else { return v8::undefined(scope).into() };
    let error = make(scope, text);
    if let Ok(object) = v8::Local::<v8::Object>::try_from(error)
        && let Some(key) = v8::String::new(scope, "remote")
    {
        let yes = v8::Boolean::new(scope, true).into();
        object.create_data_property(scope, key.into(), yes);
    }
    error
}

/// The entrypoint that the event of `owner` is for; empty for the default one.
#[op2]
#[string]
pub fn op_called_entrypoint(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32) -> Result<String, StateError> {
    let name = seam::state(scope)?.called(owner, |called| called.entrypoint.as_deref().map(str::to_owned))?;
    Ok(name.flatten().unwrap_or_default())
}

/// `ctx.props` of `owner`: JSON, a `Uint8Array` of a structured clone, or `undefined`.
#[op2]
pub fn op_called_props<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let props = seam::state(scope)?.called(owner, |called| called.props.clone())?.unwrap_or_default();
    Ok(match props {
        Props::None => v8::undefined(scope).into(),
        Props::Json(json) => seam::text(scope, &json),
        Props::Cloned(bytes) => seam::uint8_array(scope, bytes),
    })
}
