//! The answer of an invocation: a response, or why there is none; and what outlives it.

use bytes::Bytes;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::Level;
use holm_isolate::Outcome;
use holm_isolate::State;
use holm_isolate::StateError;
use http::HeaderMap;
use http::StatusCode;

use crate::seam;
use crate::seam::HeaderError;

/// Why an answer cannot be sent.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum AnswerError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(inherit)]
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[class(type)]
    #[error("Responses may only be constructed with status codes in the range 200 to 599, inclusive.")]
    Status,
    #[class(range)]
    #[error("The headers of the response are larger than {0} bytes.")]
    HeadersTooLarge(usize),
    #[class(type)]
    #[error("The body of an answer is a string, bytes or a body.")]
    Body,
}

/// Answers the invocation. `body`: a string, a `Uint8Array`, the number of a body (which moves, untouched), or `null`.
#[op2(nofast)]
pub fn op_respond<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] status: u16,
    #[string] reason: &str,
    #[string(onebyte)] headers: std::borrow::Cow<'_, [u8]>,
    body: v8::Local<'s, v8::Value>,
) -> Result<(), AnswerError> {
    let state = seam::state(scope)?;
    let status = StatusCode::from_u16(status).map_err(|_| AnswerError::Status)?;
    let headers = response_head(&state, &headers)?;
    let body = if body.is_null_or_undefined() {
        Body::Empty
    } else if let Ok(text) = v8::Local::<v8::String>::try_from(body) {
        Body::from(state.memory().keep(Bytes::from(text.to_rust_string_lossy(scope))))
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(body) {
        Body::from(state.memory().keep(seam::bytes_of(view)))
    } else if body.is_uint32() {
        state.take_answer_body(owner, body.uint32_value(scope).unwrap_or(0))?
    } else {
        return Err(AnswerError::Body);
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if !reason.is_empty()
        && status.canonical_reason() != Some(reason)
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    state.answer(owner, response)?;
    Ok(())
}

/// The headers of an answer, if the front would send so many.
pub(crate) fn response_head(state: &State, list: &[u8]) -> Result<HeaderMap, AnswerError> {
    let headers = seam::headers_from(list)?;
    // In the list a header has one separator less than two, and four on the wire.
    let (bytes, most) = (list.len() + 2 * headers.len() + 1, state.answer_header_bytes());
    if bytes > most { Err(AnswerError::HeadersTooLarge(most)) } else { Ok(headers) }
}

/// The invocation failed. 0: it threw. 1: no handler. 2: its answer is no `Response`. 3: a promise of `waitUntil` was rejected.
/// 4: the answer's stream failed.
#[op2(nofast, reentrant)]
pub fn op_fail<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] kind: u32,
    error: v8::Local<'s, v8::Value>,
) -> Result<(), StateError> {
    let state = seam::state(scope)?;
    // A terminated turn has its own verdict.
    let Some((message, stack)) = holm_isolate::describe(scope, error) else { return Ok(()) };
    if kind == 3 {
        log_error(&state, owner, "Uncaught (in waitUntil)", &message, stack.as_deref());
        // Its stack stands in that line.
        state.fail_in_background(owner, Failure::new(Outcome::Exception, format!("waitUntil(): {message}")));
        return Ok(());
    }
    let outcome = if kind == 1 { Outcome::NoHandler } else { Outcome::Exception };
    state.fail(owner, Failure { outcome, message, stack });
    Ok(())
}

/// An error that nobody handled. 0: reported. 1: a rejection.
#[op2(nofast, reentrant)]
pub fn op_report<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] kind: u32,
    error: v8::Local<'s, v8::Value>,
) -> Result<(), StateError> {
    let state = seam::state(scope)?;
    // A terminated turn has its own verdict.
    let Some((message, stack)) = holm_isolate::describe(scope, error) else { return Ok(()) };
    let prefix = if kind == 1 { "Uncaught (in promise)" } else { "Uncaught" };
    log_error(&state, owner, prefix, &message, stack.as_deref());
    Ok(())
}

fn log_error(state: &holm_isolate::State, owner: u32, prefix: &str, message: &str, stack: Option<&str>) {
    let text = match (stack, state.worker()) {
        (Some(stack), Some(worker)) => worker.map_stack(stack),
        _ => message.trim_start_matches("Uncaught ").to_owned(),
    };
    state.log(owner, Level::Error, &format!("{prefix} {text}"));
}

/// The worker's origin shall answer if the invocation fails.
#[op2(fast)]
pub fn op_pass_through(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32) -> Result<(), StateError> {
    seam::state(scope)?.pass_through(owner)
}

#[op2(fast)]
pub fn op_wait_until_begin(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32) -> Result<(), StateError> {
    seam::state(scope)?.wait_begin(owner)
}

#[op2(fast)]
pub fn op_wait_until_end(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32) -> Result<(), StateError> {
    seam::state(scope)?.wait_end(owner);
    Ok(())
}
