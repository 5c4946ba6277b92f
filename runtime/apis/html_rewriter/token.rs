//! What handlers do with their token: element, end tag, text, comment, doctype, end of the document.
//!
//! Each op acts on what the session's parser waits with; a token that is over finds another one, or none, and the shim does
//! not let it come that far.

use std::cell::RefMut;
use std::rc::Rc;

use deno_core::op2;
use deno_core::v8;
use holm_isolate::Charge;
use holm_isolate::StateError;
use lol_html::html_content::ContentType;
use lol_html::html_content::StreamingHandler;

use super::HtmlError;
use super::Session;
use super::memory;
use super::memory::OVERHEAD;
use super::parser::Parser;
use super::parser::TokenMut;
use super::session;
use crate::seam;

// Where a content goes.
const BEFORE: u32 = 0;
const AFTER: u32 = 1;
const PREPEND: u32 = 2;
const APPEND: u32 = 3;
const REPLACE: u32 = 4;
const INNER: u32 = 5;

// What is removed.
const KEEP_CONTENT: u32 = 1;

// === impl Session ===

impl Session {
    fn parser(&self) -> RefMut<'_, Parser> {
        self.parser.borrow_mut()
    }
}

/// For what a handler gives to its token.
fn charge(scope: &mut v8::PinScope<'_, '_>, bytes: usize) -> Result<Charge, StateError> {
    let state = seam::state(scope)?;
    seam::charge(scope, &state, bytes.saturating_add(OVERHEAD))
}

/// Puts a content at a place. Which places there are depends on the token.
fn place(token: TokenMut<'_>, at: u32, content: Box<dyn StreamingHandler + Send>) -> Result<(), HtmlError> {
    match (token, at) {
        (TokenMut::Element(element), BEFORE) => element.streaming_before(content),
        (TokenMut::Element(element), AFTER) => element.streaming_after(content),
        (TokenMut::Element(element), PREPEND) => element.streaming_prepend(content),
        (TokenMut::Element(element), APPEND) => element.streaming_append(content),
        (TokenMut::Element(element), REPLACE) => element.streaming_replace(content),
        (TokenMut::Element(element), INNER) => element.streaming_set_inner_content(content),
        (TokenMut::EndTag(tag), BEFORE) => tag.streaming_before(content),
        (TokenMut::EndTag(tag), AFTER) => tag.streaming_after(content),
        (TokenMut::EndTag(tag), REPLACE) => tag.streaming_replace(content),
        (TokenMut::Text(text), BEFORE) => text.streaming_before(content),
        (TokenMut::Text(text), AFTER) => text.streaming_after(content),
        (TokenMut::Text(text), REPLACE) => text.streaming_replace(content),
        (TokenMut::Comment(comment), BEFORE) => comment.streaming_before(content),
        (TokenMut::Comment(comment), AFTER) => comment.streaming_after(content),
        (TokenMut::Comment(comment), REPLACE) => comment.streaming_replace(content),
        _ => return Err(HtmlError::NoToken),
    }
    Ok(())
}

const fn kind(html: bool) -> ContentType {
    if html { ContentType::Html } else { ContentType::Text }
}

/// Places a text.
#[op2(nofast)]
pub fn op_html_place(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] at: u32,
    #[string] text: &str,
    html: bool,
) -> Result<(), HtmlError> {
    let session = session(scope, owner, id)?;
    if at == APPEND {
        // The end of a document takes text only, and takes it at once.
        let done = session.parser().with_token(|token| match token {
            TokenMut::End(end) => {
                end.append(text, kind(html));
                true
            }
            _ => false,
        })?;
        if done {
            return Ok(());
        }
    }
    let charge = charge(scope, text.len())?;
    let content = memory::content(text, kind(html), charge);
    session.parser().with_token(|token| place(token, at, content))?
}

/// Places a content that JavaScript brings when the parser asks for `stream`.
#[op2(nofast)]
pub fn op_html_place_stream(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] at: u32,
    #[smi] stream: u32,
    html: bool,
) -> Result<(), HtmlError> {
    let session = session(scope, owner, id)?;
    let held = charge(scope, 0)?;
    let mut parser = session.parser();
    let content = parser.streamed(stream, kind(html), held)?;
    parser.with_token(|token| place(token, at, content))?
}

/// 0: the token. 1: an element's tags only.
#[op2(fast)]
pub fn op_html_remove(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] what: u32,
) -> Result<(), HtmlError> {
    session(scope, owner, id)?.parser().with_token(|token| match token {
        TokenMut::Element(element) if what == KEEP_CONTENT => element.remove_and_keep_content(),
        TokenMut::Element(element) => element.remove(),
        TokenMut::EndTag(tag) => tag.remove(),
        TokenMut::Text(text) => text.remove(),
        TokenMut::Comment(comment) => comment.remove(),
        TokenMut::Doctype(_) | TokenMut::End(_) => {}
    })
}

#[op2(fast)]
pub fn op_html_removed(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<bool, HtmlError> {
    session(scope, owner, id)?.parser().with_token(|token| match token {
        TokenMut::Element(element) => element.removed(),
        TokenMut::EndTag(tag) => tag.removed(),
        TokenMut::Text(text) => text.removed(),
        TokenMut::Comment(comment) => comment.removed(),
        TokenMut::Doctype(_) | TokenMut::End(_) => false,
    })
}

/// The name of an element or an end tag, the text of a text or a comment.
#[op2]
pub fn op_html_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, HtmlError> {
    let session = session(scope, owner, id)?;
    session.parser().with_token(|token| match token {
        TokenMut::Element(element) => Ok(seam::text(scope, &element.tag_name())),
        TokenMut::EndTag(tag) => Ok(seam::text(scope, &tag.name())),
        TokenMut::Text(text) => Ok(seam::text(scope, text.as_str())),
        TokenMut::Comment(comment) => Ok(seam::text(scope, &comment.text())),
        TokenMut::Doctype(_) | TokenMut::End(_) => Err(HtmlError::NoToken),
    })?
}

/// Changes what [`op_html_text`] answers.
#[op2(nofast)]
pub fn op_html_set_text(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] text: &str,
) -> Result<(), HtmlError> {
    let session = session(scope, owner, id)?;
    session.hold(charge(scope, text.len())?);
    session.parser().with_token(|token| match token {
        TokenMut::Element(element) => element.set_tag_name(text).map_err(parser_error),
        TokenMut::EndTag(tag) => {
            tag.set_name(text);
            Ok(())
        }
        TokenMut::Comment(comment) => comment.set_text(text).map_err(parser_error),
        TokenMut::Text(_) | TokenMut::Doctype(_) | TokenMut::End(_) => Err(HtmlError::NoToken),
    })?
}

fn parser_error(error: impl std::fmt::Display) -> HtmlError {
    HtmlError::Parser(error.to_string())
}

#[op2(fast)]
pub fn op_html_last_in_text_node(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<bool, HtmlError> {
    session(scope, owner, id)?.parser().with_token(|token| match token {
        TokenMut::Text(text) => text.last_in_text_node(),
        _ => false,
    })
}

/// 0: the name, 1: the public identifier, 2: the system identifier; `null` where the doctype has none.
#[op2]
#[string]
pub fn op_html_doctype(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] part: u32,
) -> Result<Option<String>, HtmlError> {
    session(scope, owner, id)?.parser().with_token(|token| match (token, part) {
        (TokenMut::Doctype(doctype), 0) => doctype.name(),
        (TokenMut::Doctype(doctype), 1) => doctype.public_id(),
        (TokenMut::Doctype(doctype), _) => doctype.system_id(),
        _ => None,
    })
}

fn element<T>(
    session: &Rc<Session>,
    f: impl FnOnce(&mut lol_html::html_content::Element<'static, 'static>) -> T,
) -> Result<T, HtmlError> {
    session.parser().with_token(|token| match token {
        TokenMut::Element(element) => Ok(f(element)),
        _ => Err(HtmlError::NoToken),
    })?
}

#[op2]
#[string]
pub fn op_html_namespace(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<String, HtmlError> {
    element(&session(scope, owner, id)?, |element| element.namespace_uri().to_owned())
}

/// `name, value, name, value`
#[op2]
pub fn op_html_attributes<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, HtmlError> {
    let session = session(scope, owner, id)?;
    element(&session, |element| {
        let mut values = Vec::with_capacity(element.attributes().len() * 2);
        for attribute in element.attributes() {
            values.push(seam::text(scope, &attribute.name()));
            values.push(seam::text(scope, &attribute.value()));
        }
        v8::Array::new_with_elements(scope, &values).into()
    })
}

#[op2]
pub fn op_html_attribute<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] name: &str,
) -> Result<v8::Local<'s, v8::Value>, HtmlError> {
    let session = session(scope, owner, id)?;
    element(&session, |element| match element.get_attribute(name) {
        Some(value) => seam::text(scope, &value),
        None => v8::null(scope).into(),
    })
}

#[op2(fast)]
pub fn op_html_has_attribute(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] name: &str,
) -> Result<bool, HtmlError> {
    element(&session(scope, owner, id)?, |element| element.has_attribute(name))
}

#[op2(nofast)]
pub fn op_html_set_attribute(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] name: &str,
    #[string] value: &str,
) -> Result<(), HtmlError> {
    let session = session(scope, owner, id)?;
    session.hold(charge(scope, name.len().saturating_add(value.len()))?);
    element(&session, |element| element.set_attribute(name, value).map_err(parser_error))?
}

#[op2(fast)]
pub fn op_html_remove_attribute(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] name: &str,
) -> Result<(), HtmlError> {
    element(&session(scope, owner, id)?, |element| element.remove_attribute(name))
}

/// Has `handler` called at the element's end tag.
#[op2(nofast)]
pub fn op_html_on_end_tag(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[smi] handler: u32,
) -> Result<(), HtmlError> {
    let session = session(scope, owner, id)?;
    let held = charge(scope, 0)?;
    session.parser().on_end_tag(handler, held)
}
