//! lol_html on a stack of its own, so that it can wait for a handler.
//!
//! lol_html calls its handlers from deep inside a parse and knows no way to suspend one. Here the parser runs in a coroutine
//! on the isolate's thread, and a handler does nothing but suspend it: JavaScript runs on the thread's own stack, in this
//! turn or in a later one, and resumes the parser when it is done. Invariant: no V8 handle is ever on the coroutine's stack,
//! and what a handler was given is only touched while the coroutine is suspended in that handler.
#![allow(
    unsafe_code,
    reason = "pointers to what a suspended handler was given, and to the way back out of its coroutine"
)]

use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::ptr::NonNull;
use std::rc::Rc;

use bytes::Bytes;
use corosensei::Coroutine;
use corosensei::CoroutineResult;
use corosensei::Yielder;
use corosensei::stack::DefaultStack;
use lol_html::AsciiCompatibleEncoding;
use lol_html::DocumentContentHandlers;
use lol_html::ElementContentHandlers;
use lol_html::HandlerResult;
use lol_html::HtmlRewriter;
use lol_html::MemorySettings;
use lol_html::Selector;
use lol_html::Settings;
use lol_html::html_content::Comment;
use lol_html::html_content::ContentType;
use lol_html::html_content::Doctype;
use lol_html::html_content::DocumentEnd;
use lol_html::html_content::Element;
use lol_html::html_content::EndTag;
use lol_html::html_content::StreamingHandler;
use lol_html::html_content::StreamingHandlerSink;
use lol_html::html_content::TextChunk;

use holm_isolate::Charge;

use super::HtmlError;
use super::memory::DOCUMENT;

/// Only pages that are touched are real. The parser needs a few KiB; selectors are bounded to keep it so.
const STACK: usize = 256 << 10;

/// What one call of `on()` or `onDocument()` registered; the handlers are JavaScript's numbers for them.
pub(super) enum Registration {
    Element { selector: Selector, element: Option<u32>, comments: Option<u32>, text: Option<u32> },
    Document { doctype: Option<u32>, comments: Option<u32>, text: Option<u32>, end: Option<u32> },
}

pub(super) struct Options {
    pub(super) encoding: AsciiCompatibleEncoding,
    pub(super) esi_tags: bool,
}

/// What goes into the coroutine.
pub(super) enum Resume {
    Feed(Bytes),
    End,
    /// The handler is done.
    Continue,
    /// More of a content that is a stream; `None`: its end.
    Content(Option<Bytes>),
    /// Unwind: nobody wants the result.
    Stop,
}

/// What comes out of it.
enum Event {
    Fed,
    Call { handler: u32, token: Token },
    Content { stream: u32 },
}

/// Where the parser stands.
pub(super) enum Step {
    /// All that it was fed is parsed.
    Fed,
    /// It waits in this handler.
    Call(u32),
    /// It waits for the next chunk of this content.
    Content(u32),
    /// The document is over.
    Done,
}

/// What a handler was given. Valid as long as the coroutine stays suspended in that handler.
#[derive(Clone, Copy)]
pub(super) enum Token {
    Element(NonNull<Element<'static, 'static>>),
    EndTag(NonNull<EndTag<'static>>),
    Text(NonNull<TextChunk<'static>>),
    Comment(NonNull<Comment<'static>>),
    Doctype(NonNull<Doctype<'static>>),
    End(NonNull<DocumentEnd<'static>>),
}

type Body = Coroutine<Resume, Event, Result<(), String>>;

pub(super) struct Parser {
    /// `None` once it has returned or failed.
    coroutine: Option<Body>,
    waits: Waits,
    way: Rc<Cell<Option<Way>>>,
    output: Rc<RefCell<Vec<u8>>>,
}

/// What the parser has to be resumed with.
enum Waits {
    Input,
    Handler(Token),
    Content,
}

/// The way out of the coroutine: its yielder, which lives as long as the coroutine's first frame.
#[derive(Clone, Copy)]
struct Way(NonNull<Yielder<Resume, Event>>);

// SAFETY: lol_html wants its streaming handlers to be `Send`. They are made and called on the isolate's thread: a `Parser`
// is not `Send`, and nothing of it leaves it.
unsafe impl Send for Way {}

/// Ends a parse that nobody waits for.
#[derive(Debug, thiserror::Error)]
#[error("The rewriter has been stopped.")]
struct Stopped;

// === impl Parser ===

impl Parser {
    pub(super) fn new(registrations: Vec<Registration>, options: Options) -> Result<Self, HtmlError> {
        let way = Rc::new(Cell::new(None));
        let output = Rc::new(RefCell::new(Vec::new()));
        let stack = DefaultStack::new(STACK).map_err(|_| HtmlError::NoStack)?;
        let (own_way, own_output) = (Rc::clone(&way), Rc::clone(&output));
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<Resume, Event>, first| {
            let way = Way(NonNull::from(yielder));
            own_way.set(Some(way));
            let settings = settings(way, registrations, options);
            let rewriter = HtmlRewriter::new(settings, |chunk: &[u8]| own_output.borrow_mut().extend_from_slice(chunk));
            parse(way, rewriter, first)
        });
        Ok(Self { coroutine: Some(coroutine), waits: Waits::Input, way, output })
    }

    /// Lets the parser go on until it waits again.
    pub(super) fn resume(&mut self, with: Resume) -> Result<Step, HtmlError> {
        let Some(mut coroutine) = self.coroutine.take() else { return Ok(Step::Done) };
        self.waits = Waits::Input;
        // A parser that fails badly fails one document, not the process.
        let result = catch_unwind(AssertUnwindSafe(|| coroutine.resume(with)));
        match result {
            Ok(CoroutineResult::Yield(event)) => {
                self.coroutine = Some(coroutine);
                Ok(match event {
                    Event::Fed => Step::Fed,
                    Event::Call { handler, token } => {
                        self.waits = Waits::Handler(token);
                        Step::Call(handler)
                    }
                    Event::Content { stream } => {
                        self.waits = Waits::Content;
                        Step::Content(stream)
                    }
                })
            }
            Ok(CoroutineResult::Return(Ok(()))) => Ok(Step::Done),
            Ok(CoroutineResult::Return(Err(message))) => Err(HtmlError::Parser(message)),
            Err(_) => Err(HtmlError::Parser("The parser failed.".to_owned())),
        }
    }

    pub(super) fn waits_for_input(&self) -> bool {
        matches!(self.waits, Waits::Input)
    }

    pub(super) fn waits_in_handler(&self) -> bool {
        matches!(self.waits, Waits::Handler(_))
    }

    /// The result so far, which is taken.
    pub(super) fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut *self.output.borrow_mut())
    }

    pub(super) fn output_len(&self) -> usize {
        self.output.borrow().len()
    }

    fn token(&self) -> Result<Token, HtmlError> {
        match self.waits {
            Waits::Handler(token) => Ok(token),
            Waits::Input | Waits::Content => Err(HtmlError::NoToken),
        }
    }

    /// Lets `f` have what the handler was given.
    pub(super) fn with_token<T>(&mut self, f: impl FnOnce(TokenMut<'_>) -> T) -> Result<T, HtmlError> {
        let token = self.token()?;
        // SAFETY: the coroutine is suspended in the handler that holds the only reference, and does not touch it before
        // `resume`, which needs `&mut self` as this does. `f` cannot keep the reference, whose lifetimes it does not know.
        let token = unsafe {
            match token {
                Token::Element(mut element) => TokenMut::Element(element.as_mut()),
                Token::EndTag(mut tag) => TokenMut::EndTag(tag.as_mut()),
                Token::Text(mut text) => TokenMut::Text(text.as_mut()),
                Token::Comment(mut comment) => TokenMut::Comment(comment.as_mut()),
                Token::Doctype(mut doctype) => TokenMut::Doctype(doctype.as_mut()),
                Token::End(mut end) => TokenMut::End(end.as_mut()),
            }
        };
        Ok(f(token))
    }

    /// Has `handler` called at the end tag of the element whose handler is running. It replaces an earlier one.
    pub(super) fn on_end_tag(&mut self, handler: u32, held: Charge) -> Result<(), HtmlError> {
        let way = self.way.get().ok_or(HtmlError::NoToken)?;
        self.with_token(|token| {
            let TokenMut::Element(element) = token else { return Err(HtmlError::NoToken) };
            let handlers = element.end_tag_handlers().ok_or_else(|| HtmlError::Parser("No end tag.".to_owned()))?;
            handlers.clear();
            handlers.push(Box::new(move |tag: &mut EndTag<'_>| {
                drop(held);
                way.call(handler, Token::EndTag(NonNull::from(tag).cast()))
            }));
            Ok(())
        })?
    }

    /// A content that JavaScript brings chunk by chunk, when its place in the document is reached.
    pub(super) fn streamed(
        &self,
        stream: u32,
        kind: ContentType,
        held: Charge,
    ) -> Result<Box<dyn StreamingHandler + Send>, HtmlError> {
        let way = self.way.get().ok_or(HtmlError::NoToken)?;
        let write_all = move |sink: &mut StreamingHandlerSink<'_>| -> HandlerResult {
            let _held = held;
            loop {
                match way.suspend(Event::Content { stream }) {
                    Resume::Content(Some(chunk)) => sink.write_utf8_chunk(&chunk, kind)?,
                    Resume::Content(None) => return Ok(()),
                    _ => return Err(Stopped.into()),
                }
            }
        };
        Ok(write_all.into())
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // It unwinds by returning errors: each wait that is answered with `Stop` is the last one.
        for _ in 0..64 {
            let Some(coroutine) = &self.coroutine else { return };
            if !coroutine.started() || self.resume(Resume::Stop).is_err() {
                return;
            }
        }
    }
}

/// What a handler was given, for as long as an op needs it.
pub(super) enum TokenMut<'a> {
    Element(&'a mut Element<'static, 'static>),
    EndTag(&'a mut EndTag<'static>),
    Text(&'a mut TextChunk<'static>),
    Comment(&'a mut Comment<'static>),
    Doctype(&'a mut Doctype<'static>),
    End(&'a mut DocumentEnd<'static>),
}

// === impl Way ===

impl Way {
    /// Only called on the coroutine's stack, by handlers that its rewriter holds.
    fn suspend(self, event: Event) -> Resume {
        // SAFETY: the yielder outlives the rewriter, which is dropped before the coroutine's first frame is left, and so
        // every handler.
        unsafe { self.0.as_ref() }.suspend(event)
    }

    fn call(self, handler: u32, token: Token) -> HandlerResult {
        match self.suspend(Event::Call { handler, token }) {
            Resume::Continue => Ok(()),
            _ => Err(Stopped.into()),
        }
    }
}

// === the coroutine ===

fn parse<'h, O: lol_html::OutputSink>(
    way: Way,
    mut rewriter: HtmlRewriter<'h, O>,
    mut resume: Resume,
) -> Result<(), String> {
    loop {
        match resume {
            Resume::Feed(bytes) => rewriter.write(&bytes).map_err(|error| error.to_string())?,
            Resume::End => return rewriter.end().map_err(|error| error.to_string()),
            Resume::Continue | Resume::Content(_) | Resume::Stop => return Err(Stopped.to_string()),
        }
        resume = way.suspend(Event::Fed);
    }
}

fn settings(way: Way, registrations: Vec<Registration>, options: Options) -> Settings<'static, 'static> {
    let memory =
        MemorySettings::new().with_preallocated_parsing_buffer_size(1024).with_max_allowed_memory_usage(DOCUMENT);
    let mut settings = Settings::new()
        .with_encoding(options.encoding)
        .with_memory_settings(memory)
        .with_strict(true)
        .with_enable_esi_tags(options.esi_tags);
    for registration in registrations {
        settings = match registration {
            Registration::Element { selector, element, comments, text } => {
                let mut handlers = ElementContentHandlers::default();
                if let Some(handler) = element {
                    handlers = handlers.element(move |element: &mut Element<'_, '_>| {
                        way.call(handler, Token::Element(NonNull::from(element).cast()))
                    });
                }
                if let Some(handler) = comments {
                    handlers =
                        handlers.comments(move |comment: &mut Comment<'_>| comment_handler(way, handler, comment));
                }
                if let Some(handler) = text {
                    handlers = handlers.text(move |text: &mut TextChunk<'_>| text_handler(way, handler, text));
                }
                settings.append_element_content_handler((std::borrow::Cow::Owned(selector), handlers))
            }
            Registration::Document { doctype, comments, text, end } => {
                let mut handlers = DocumentContentHandlers::default();
                if let Some(handler) = doctype {
                    handlers = handlers.doctype(move |doctype: &mut Doctype<'_>| {
                        way.call(handler, Token::Doctype(NonNull::from(doctype).cast()))
                    });
                }
                if let Some(handler) = comments {
                    handlers =
                        handlers.comments(move |comment: &mut Comment<'_>| comment_handler(way, handler, comment));
                }
                if let Some(handler) = text {
                    handlers = handlers.text(move |text: &mut TextChunk<'_>| text_handler(way, handler, text));
                }
                if let Some(handler) = end {
                    handlers = handlers
                        .end(move |end: &mut DocumentEnd<'_>| way.call(handler, Token::End(NonNull::from(end).cast())));
                }
                settings.append_document_content_handler(handlers)
            }
        };
    }
    settings
}

fn comment_handler(way: Way, handler: u32, comment: &mut Comment<'_>) -> HandlerResult {
    way.call(handler, Token::Comment(NonNull::from(comment).cast()))
}

fn text_handler(way: Way, handler: u32, text: &mut TextChunk<'_>) -> HandlerResult {
    way.call(handler, Token::Text(NonNull::from(text).cast()))
}
