//! `HTMLRewriter`: one [`Session`] per document that is transformed.
//!
//! The shim drives it: it brings input, has the parser run until it waits for a handler, calls the handler, and has it run
//! on. Nothing here calls JavaScript. The result goes to a body that JavaScript "writes", in the parser's own chunks.

mod memory;
mod parser;
mod selector;
mod token;

use std::cell::Cell;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;
use deno_core::op2;
use deno_core::v8;
use encoding_rs::Encoding;
use holm_isolate::Account;
use holm_isolate::Body;
use holm_isolate::BodyError;
use holm_isolate::Charge;
use holm_isolate::Settle;
use holm_isolate::StateError;
use http_body::Body as _;
use lol_html::AsciiCompatibleEncoding;

use crate::body;
use crate::html_rewriter::memory::Kept;
use crate::html_rewriter::memory::PARSER;
use crate::html_rewriter::parser::Options;
use crate::html_rewriter::parser::Parser;
use crate::html_rewriter::parser::Registration;
use crate::html_rewriter::parser::Resume;
use crate::html_rewriter::parser::Step;
pub use crate::html_rewriter::token::*;
use crate::seam;

/// Calls of `on()` and `onDocument()` of one rewriter: the cost of a tag grows with them.
const REGISTRATIONS: u32 = 1_000;
/// The most input that is parsed in one go: between two, JavaScript can be ended.
const SLICE: usize = 32 << 10;
const SMALLEST_SLICE: usize = 256;
/// A slice that takes longer is followed by smaller ones.
const SLICE_TIME: Duration = Duration::from_millis(2);
/// Input that is read at once, where it is already here.
const READ: usize = 256 << 10;
/// Output beyond this goes out before the parser runs on.
const OUTPUT: usize = 128 << 10;

// What `op_html_run` answers: one of these, `FLUSH`, and the number of a handler or stream above them.
const WANTS_INPUT: u32 = 0;
const RUNS: u32 = 1;
const DONE: u32 = 2;
const CALL: u32 = 3;
const CONTENT: u32 = 4;
const FLUSH: u32 = 8;
const NUMBER: u32 = 4;

/// Why an op of the rewriter refuses. The texts are what JavaScript sees.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum HtmlError {
    #[class(type)]
    #[error("Parser error: {0}")]
    Parser(String),
    #[class(type)]
    #[error(
        "This content token is no longer valid. Content tokens are only valid during the execution of the relevant content handler."
    )]
    NoToken,
    #[class(generic)]
    #[error("There is no memory for another HTML rewriter.")]
    NoStack,
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
}

/// The transformation of one document.
pub struct Session {
    parser: RefCell<Parser>,
    input: RefCell<Bytes>,
    ended: Cell<bool>,
    slice: Cell<usize>,
    kept: RefCell<Kept>,
    /// For what the running handler has given to its token.
    given: RefCell<Vec<Charge>>,
    /// The next chunk of a streamed content, once JavaScript has brought it.
    content: RefCell<Option<Option<Bytes>>>,
}

/// Throws what makes a selector unusable.
#[op2(fast)]
pub fn op_html_check_selector(#[string] text: &str) -> Result<(), HtmlError> {
    selector::parse(text).map(|_| ())
}

/// Begins a transformation. `registrations` holds five values for each: a selector or `null`, and handlers by number or -1:
/// element, comments, text; or doctype, comments, text, end.
#[op2(nofast)]
#[smi]
pub fn op_html_open<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] charset: &str,
    registrations: v8::Local<'s, v8::Array>,
) -> Result<u32, HtmlError> {
    let state = seam::state(scope)?;
    let worker = state.worker().ok_or(StateError::GlobalScope)?;
    let unknown = || HtmlError::Parser("Unknown character encoding has been provided.".to_owned());
    let encoding = Encoding::for_label_no_replacement(charset.as_bytes()).ok_or_else(unknown)?;
    let encoding = AsciiCompatibleEncoding::new(encoding)
        .ok_or_else(|| HtmlError::Parser("Expected ASCII-compatible encoding.".to_owned()))?;
    let esi_tags =
        worker.compatibility_flags.get("html_rewriter_treats_esi_include_as_void_tag").copied().unwrap_or(false);
    let registrations = registered(scope, registrations)?;
    let charge = seam::charge(scope, &state, PARSER)?;
    let parser = Parser::new(registrations, Options { encoding, esi_tags })?;
    let session = Session {
        parser: RefCell::new(parser),
        input: RefCell::default(),
        ended: Cell::new(false),
        slice: Cell::new(SLICE),
        kept: RefCell::new(Kept::new(charge)),
        given: RefCell::default(),
        content: RefCell::default(),
    };
    Ok(state.add_resource(owner, session)?)
}

fn registered(
    scope: &mut v8::PinScope<'_, '_>,
    list: v8::Local<'_, v8::Array>,
) -> Result<Vec<Registration>, HtmlError> {
    let count = list.length() / 5;
    if count > REGISTRATIONS {
        return Err(HtmlError::Parser(format!("Too many handlers: at most {REGISTRATIONS} are allowed.")));
    }
    let mut registrations = Vec::with_capacity(count as usize);
    for at in (0..count).map(|index| index * 5) {
        let handlers: [Option<u32>; 4] = std::array::from_fn(|offset| {
            let index = at + 1 + u32::try_from(offset).unwrap_or(0);
            let value = list.get_index(scope, index)?;
            value.is_uint32().then(|| value.uint32_value(scope)).flatten()
        });
        let selector = list.get_index(scope, at).and_then(|value| v8::Local::<v8::String>::try_from(value).ok());
        registrations.push(match (selector, handlers) {
            (Some(text), [element, comments, text_handler, _]) => {
                let selector = selector::parse(&text.to_rust_string_lossy(scope))?;
                Registration::Element { selector, element, comments, text: text_handler }
            }
            (None, [doctype, comments, text, end]) => Registration::Document { doctype, comments, text, end },
        });
    }
    Ok(registrations)
}

fn session(scope: &v8::PinScope<'_, '_>, owner: u32, session: u32) -> Result<Rc<Session>, StateError> {
    seam::state(scope)?.resource(owner, session)
}

/// Has the parser run until it waits for something, or for a bounded time.
#[op2(nofast)]
#[smi]
pub fn op_html_run(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<u32, HtmlError> {
    let state = seam::state(scope)?;
    session(scope, owner, id)?.run(scope, state.memory())
}

// === impl Session ===

impl Session {
    fn run(&self, scope: &mut v8::PinScope<'_, '_>, memory: &Account) -> Result<u32, HtmlError> {
        self.given.borrow_mut().clear();
        let mut parser = self.parser.borrow_mut();
        let resume = if parser.waits_in_handler() {
            Resume::Continue
        } else if parser.waits_for_input() {
            match self.next_slice() {
                Some(bytes) => Resume::Feed(bytes),
                None if self.ended.get() => Resume::End,
                None => return Ok(WANTS_INPUT),
            }
        } else {
            match self.content.borrow_mut().take() {
                Some(chunk) => Resume::Content(chunk),
                None => return Err(HtmlError::NoToken),
            }
        };
        let (before, piece) = (parser.output_len(), if let Resume::Feed(bytes) = &resume { bytes.len() } else { 0 });
        if let Resume::Feed(bytes) = &resume
            && self.kept.borrow_mut().feed(bytes).is_err()
        {
            memory.collect(scope);
            self.kept.borrow_mut().feed(b"").map_err(StateError::from)?;
        }
        let began = Instant::now();
        let step = parser.resume(resume)?;
        self.adapt(began.elapsed());
        if matches!(step, Step::Fed) && parser.output_len() > before {
            self.kept.borrow_mut().wrote(piece);
        }
        let step = match step {
            Step::Fed => RUNS,
            Step::Done => DONE,
            Step::Call(handler) => CALL | handler << NUMBER,
            Step::Content(stream) => CONTENT | stream << NUMBER,
        };
        Ok(if parser.output_len() >= OUTPUT { step | FLUSH } else { step })
    }

    fn next_slice(&self) -> Option<Bytes> {
        let mut input = self.input.borrow_mut();
        if input.is_empty() {
            return None;
        }
        let length = input.len().min(self.slice.get());
        Some(input.split_to(length))
    }

    /// Documents and selectors can be made to cost any time per byte; the engine cannot end a parse that runs.
    fn adapt(&self, took: Duration) {
        let slice = self.slice.get();
        if took > SLICE_TIME {
            self.slice.set((slice / 4).max(SMALLEST_SLICE));
        } else if slice < SLICE {
            self.slice.set((slice * 2).min(SLICE));
        }
    }

    fn give(&self, bytes: Bytes) {
        let mut input = self.input.borrow_mut();
        *input = joined(std::mem::take(&mut *input), bytes);
    }

    /// Charges what a handler gives to its token; it is written, or held by the parser, once the handler is done.
    fn hold(&self, charge: Charge) {
        self.given.borrow_mut().push(charge);
    }
}

// === input

/// Gives the parser text or bytes; `null` ends the input.
#[op2(nofast)]
pub fn op_html_give<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    data: v8::Local<'s, v8::Value>,
) -> Result<(), HtmlError> {
    let session = session(scope, owner, id)?;
    match bytes_of(scope, data)? {
        Some(bytes) => session.give(bytes),
        None => session.ended.set(true),
    }
    Ok(())
}

/// The next chunk of a streamed content; `null` ends it.
#[op2(nofast)]
pub fn op_html_give_content<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    data: v8::Local<'s, v8::Value>,
) -> Result<(), HtmlError> {
    let chunk = bytes_of(scope, data)?;
    *session(scope, owner, id)?.content.borrow_mut() = Some(chunk);
    Ok(())
}

fn bytes_of(scope: &mut v8::PinScope<'_, '_>, data: v8::Local<'_, v8::Value>) -> Result<Option<Bytes>, StateError> {
    let state = seam::state(scope)?;
    if let Ok(text) = v8::Local::<v8::String>::try_from(data) {
        let charge = seam::charge(scope, &state, text.utf8_length(scope))?;
        Ok(Some(charge.keep(text.to_rust_string_lossy(scope).into())))
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(data) {
        Ok(Some(seam::kept_bytes_of(scope, &state, view)?))
    } else {
        Ok(None)
    }
}

/// Reads what is there of a body into the parser. Answers a promise.
#[op2]
pub fn op_html_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] body: u32,
) -> Result<v8::Local<'s, v8::Value>, HtmlError> {
    let state = seam::state(scope)?;
    let lent = state.lend_body(owner, body)?;
    let memory = std::sync::Arc::clone(state.memory());
    let (_, promise) = state.start(scope, owner, async move {
        let (rest, read) = read(lent).await;
        let read = read.map(|(bytes, over)| (memory.keep(bytes), over));
        let settle: Settle = Box::new(move |scope, state| {
            let (bytes, over) = match read {
                Ok(read) => read,
                Err(error) => {
                    state.drop_body(body);
                    return Err(seam::type_error(scope, &error.to_string()));
                }
            };
            if over {
                state.drop_body(body);
            } else {
                state.put_body(body, rest);
            }
            if let Ok(session) = state.resource::<Session>(owner, id) {
                session.give(bytes);
                session.ended.set(over);
            }
            Ok(v8::undefined(scope).into())
        });
        settle
    })?;
    Ok(promise)
}

/// The next bytes of a body, with what more is here without waiting, and whether they are the last.
async fn read(mut body: Body) -> (Body, Result<(Bytes, bool), BodyError>) {
    let mut bytes = Bytes::new();
    let result = std::future::poll_fn(|cx| {
        loop {
            let frame = match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending if bytes.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(false)),
            };
            match frame {
                None => return Poll::Ready(Ok(true)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    bytes = joined(std::mem::take(&mut bytes), data);
                    if bytes.len() >= READ {
                        return Poll::Ready(Ok(false));
                    }
                }
            }
        }
    })
    .await;
    (body, result.map(|over| (bytes, over)))
}

fn joined(head: Bytes, tail: Bytes) -> Bytes {
    if head.is_empty() {
        return tail;
    }
    let mut all = BytesMut::from(head);
    all.extend_from_slice(&tail);
    all.freeze()
}

// === output

/// Sends what the parser has made to the body that it writes. `true`, or a promise to wait for.
#[op2]
pub fn op_html_flush<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] out: u32,
) -> Result<v8::Local<'s, v8::Value>, HtmlError> {
    let output = session(scope, owner, id)?.parser.borrow().take_output();
    let output = seam::state(scope)?.memory().keep(Bytes::from(output));
    Ok(body::write_bytes(scope, owner, out, output)?)
}

/// Whether the answer is read from this body.
#[op2(fast)]
pub fn op_html_answers(scope: &mut v8::PinScope<'_, '_>, #[smi] out: u32) -> Result<bool, StateError> {
    Ok(seam::state(scope)?.is_answer(out))
}

#[op2(fast)]
pub fn op_html_close(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<(), StateError> {
    seam::state(scope)?.drop_resource(owner, id);
    Ok(())
}
