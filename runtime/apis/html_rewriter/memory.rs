//! What a rewriter holds outside the engine's heap, in the isolate's account.
//!
//! lol_html bounds what it keeps of a document, but says neither how much that is nor counts what handlers give it. A piece of
//! content is charged until lol_html drops it; what is kept of the document is estimated from what the parser was fed and what
//! came out, never too low.

use holm_isolate::Charge;
use holm_isolate::OverLimit;
use lol_html::html_content::ContentType;
use lol_html::html_content::StreamingHandler;
use lol_html::html_content::StreamingHandlerSink;

/// What lol_html may keep of one document: the open elements, and the token that is not complete yet.
pub(super) const DOCUMENT: usize = 3 << 20;
/// What a small thing costs beside its bytes.
pub(super) const OVERHEAD: usize = 256;
/// A parser without a document: itself, and the pages of its stack that it touches.
pub(super) const PARSER: usize = 48 << 10;
/// What lol_html keeps of an open element.
const ELEMENT: usize = 128;

/// What the parser keeps of the document that it reads.
pub(super) struct Kept {
    charge: Charge,
    /// What it stands for.
    charged: usize,
    /// Tags that have begun. Only lol_html knows which of them are still open.
    tags: usize,
    /// The most that an incomplete token may have been put aside.
    pending: usize,
}

// === impl Kept ===

impl Kept {
    /// `charge` stands for [`PARSER`].
    pub(super) const fn new(charge: Charge) -> Self {
        Self { charge, charged: PARSER, tags: 0, pending: 0 }
    }

    /// The parser is about to read this.
    ///
    /// # Errors
    /// When the isolate has no room for what it may keep of it.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), OverLimit> {
        let tags = memchr::memchr_iter(b'<', bytes);
        self.tags =
            self.tags.saturating_add(tags.filter(|at| bytes.get(at + 1).is_none_or(u8::is_ascii_alphabetic)).count());
        self.pending = self.pending.saturating_add(bytes.len());
        let wanted = self.wanted();
        if let Some(more) = wanted.checked_sub(self.charged) {
            self.charge.try_grow(more)?;
            self.charged = wanted;
        }
        Ok(())
    }

    /// The parser has read a piece of this length and written something since: an incomplete token began in this piece.
    pub(super) fn wrote(&mut self, piece: usize) {
        self.pending = self.pending.min(piece);
        self.charged = self.wanted();
        self.charge.set(self.charged);
    }

    fn wanted(&self) -> usize {
        PARSER + self.tags.saturating_mul(ELEMENT).saturating_add(self.pending).min(DOCUMENT)
    }
}

/// Text that is written when its place in the document is reached; `charge` stands for it until then.
pub(super) fn content(text: &str, kind: ContentType, charge: Charge) -> Box<dyn StreamingHandler + Send> {
    let text: Box<str> = text.into();
    let write_all = move |sink: &mut StreamingHandlerSink<'_>| {
        sink.write_str(&text, kind);
        drop(charge);
        Ok(())
    };
    write_all.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holm_isolate::Account;

    use super::*;

    fn kept() -> (Arc<Account>, Kept) {
        let account = Arc::new(Account::default());
        let kept = Kept::new(account.charge(PARSER));
        (account, kept)
    }

    #[test]
    fn a_token_that_does_not_end_is_charged_as_it_grows_up_to_what_lol_html_keeps() {
        let (account, mut kept) = kept();
        kept.feed(&[b'!'; 1_000]).unwrap();
        kept.feed(&[b'!'; 1_000]).unwrap();
        assert_eq!(account.total(), PARSER + 2_000);
        kept.wrote(1_000);
        assert_eq!(account.total(), PARSER + 1_000);
        for _ in 0..5 {
            kept.feed(&vec![b'!'; 1 << 20]).unwrap();
        }
        assert_eq!(account.total(), PARSER + DOCUMENT);
        drop(kept);
        assert_eq!(account.total(), 0);
    }

    #[test]
    fn open_elements_are_charged_and_end_tags_are_not_believed() {
        let (account, mut kept) = kept();
        kept.feed(b"<b></x><b></x>").unwrap();
        kept.wrote(0);
        assert_eq!(account.total(), PARSER + 2 * ELEMENT);
    }
}
