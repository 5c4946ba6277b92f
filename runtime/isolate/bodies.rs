//! The bodies of one isolate's invocations: what a shim knows as a number.
//!
//! A body has a reading end, which is read or moved away once, and a writing end where JavaScript produces it. A body of bytes
//! is charged to the isolate until its last reference has gone, also after it has moved away.

use bytes::Bytes;

use crate::Body;
use crate::BodyError;
use crate::State;
use crate::StateError;
use crate::memory::Charge;
use crate::state::Creator;
use crate::state::Owner;

pub(crate) struct OwnedBody {
    owner: Owner,
    /// For the entry itself, so that their number is bounded too.
    _charge: Charge,
    readable: Readable,
    /// Some of it may have been read.
    begun: bool,
    /// The writing end, where JavaScript produces the body.
    writer: Option<BodyWriter>,
    /// The invocation lasts until the writing end is closed.
    answer: bool,
}

impl OwnedBody {
    /// # Errors
    /// When it is another invocation's.
    fn check(&self, user: Owner) -> Result<(), StateError> {
        if self.owner == user {
            return Ok(());
        }
        Err(StateError::DifferentRequest { created: Creator::Request(self.owner), used: user })
    }
}

/// The writing end of a body that JavaScript produces.
pub type BodyWriter = tokio::sync::mpsc::Sender<Result<Bytes, BodyError>>;

enum Readable {
    /// To be read, or moved into an answer or a subrequest.
    Whole(Body),
    /// An operation is reading it.
    Busy,
    /// Read, or moved away.
    Used,
}

// === impl State ===

impl State {
    /// Registers a body of `owner`; 0 for an empty one.
    pub fn add_body(&self, owner: Owner, body: Body) -> u32 {
        if matches!(body, Body::Empty) {
            return 0;
        }
        let body = match body {
            Body::Bytes(bytes) => Body::Bytes(self.memory.keep(bytes)),
            body => body,
        };
        self.insert_body(owner, Readable::Whole(body), None)
    }

    /// Opens a body that JavaScript writes, and reads or moves under the same id.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn open_body(&self, owner: Owner, length: Option<u64>) -> Result<u32, StateError> {
        self.with(owner, |_| ())?;
        let (sender, receiver) = tokio::sync::mpsc::channel(crate::limits::BODY_CHUNKS);
        let readable = Readable::Whole(Body::Stream(crate::written::body(receiver, length)));
        Ok(self.insert_body(owner, readable, Some(sender)))
    }

    fn insert_body(&self, owner: Owner, readable: Readable, writer: Option<BodyWriter>) -> u32 {
        let id = self.next_id();
        let charge = self.memory.charge(crate::limits::BODY_BYTES);
        let entry = OwnedBody { owner, _charge: charge, readable, begun: false, writer, answer: false };
        self.bodies.borrow_mut().insert(id, entry);
        id
    }

    /// Takes a body to read it or to move it into a subrequest.
    ///
    /// # Errors
    /// When it is another invocation's, or was used.
    pub fn take_body(&self, owner: Owner, id: u32) -> Result<Body, StateError> {
        self.take_readable(owner, id, Readable::Used)
    }

    /// Takes a body for the answer. If JavaScript writes it, the invocation lasts until it has done so.
    ///
    /// # Errors
    /// When it is another invocation's, or was used.
    pub fn take_answer_body(&self, owner: Owner, id: u32) -> Result<Body, StateError> {
        let body = self.take_body(owner, id)?;
        if let Some(entry) = self.bodies.borrow_mut().get_mut(&id)
            && entry.writer.is_some()
        {
            entry.answer = true;
            if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
                invocation.writing += 1;
                invocation.hooked = true;
            }
        }
        Ok(body)
    }

    /// Takes a body for one read; [`State::put_body`] gives the rest back under the same id.
    ///
    /// # Errors
    /// When it is another invocation's, or was used.
    pub fn lend_body(&self, owner: Owner, id: u32) -> Result<Body, StateError> {
        self.take_readable(owner, id, Readable::Busy)
    }

    fn take_readable(&self, owner: Owner, id: u32, leave: Readable) -> Result<Body, StateError> {
        let mut bodies = self.bodies.borrow_mut();
        // The shim knows which bodies it has used: one that is gone went with the invocation that owned it.
        let gone_with_its_owner = StateError::DifferentRequest { created: Creator::Ended, used: owner };
        let entry = bodies.get_mut(&id).ok_or(gone_with_its_owner)?;
        entry.check(owner)?;
        entry.begun = true;
        let gone = matches!(leave, Readable::Used) && entry.writer.is_none();
        match std::mem::replace(&mut entry.readable, leave) {
            Readable::Whole(body) => {
                if gone {
                    bodies.remove(&id);
                }
                Ok(body)
            }
            before => {
                entry.readable = before;
                Err(StateError::BodyUsed)
            }
        }
    }

    /// Takes a body of which nothing was read, for whoever takes the request over. `None` if some of it was, or may have been.
    pub(crate) fn take_unread_body(&self, id: u32) -> Option<Body> {
        if id == 0 {
            return Some(Body::Empty);
        }
        let mut bodies = self.bodies.borrow_mut();
        let entry = bodies.get_mut(&id).filter(|entry| !entry.begun)?;
        entry.begun = true;
        match std::mem::replace(&mut entry.readable, Readable::Used) {
            Readable::Whole(body) => Some(body),
            Readable::Busy | Readable::Used => None,
        }
    }

    /// Gives back what [`State::lend_body`] lent. Dropped if it was cancelled meanwhile.
    pub fn put_body(&self, id: u32, body: Body) {
        if let Some(entry) = self.bodies.borrow_mut().get_mut(&id)
            && matches!(entry.readable, Readable::Busy)
        {
            entry.readable = Readable::Whole(body);
        }
    }

    /// # Errors
    /// When it is another invocation's. One that is gone belongs to nobody.
    pub fn check_body(&self, owner: Owner, id: u32) -> Result<(), StateError> {
        self.bodies.borrow().get(&id).map_or(Ok(()), |entry| entry.check(owner))
    }

    /// Looks at a body without using it.
    pub fn peek_body<T>(&self, id: u32, f: impl FnOnce(&Body) -> T) -> Option<T> {
        match &self.bodies.borrow().get(&id)?.readable {
            Readable::Whole(body) => Some(f(body)),
            Readable::Busy | Readable::Used => None,
        }
    }

    /// Drops a body, both ends.
    pub fn drop_body(&self, id: u32) {
        let dropped = self.bodies.borrow_mut().remove(&id);
        if let Some(entry) = dropped
            && entry.answer
            && let Some(invocation) = self.invocations.borrow_mut().get_mut(&entry.owner)
        {
            invocation.written(self.limits.borrow().wait_until);
        }
    }

    /// Closes the writing end; what was written can still be read.
    pub fn close_body(&self, id: u32) {
        let mut bodies = self.bodies.borrow_mut();
        let Some(entry) = bodies.get_mut(&id) else { return };
        entry.writer = None;
        let (owner, answer) = (entry.owner, std::mem::take(&mut entry.answer));
        if matches!(entry.readable, Readable::Used) {
            bodies.remove(&id);
        }
        if answer && let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.written(self.limits.borrow().wait_until);
        }
    }

    /// Whether the answer is read from this body, which JavaScript writes.
    pub fn is_answer(&self, id: u32) -> bool {
        self.bodies.borrow().get(&id).is_some_and(|entry| entry.answer)
    }

    /// Closes the writing end with an error, after what was written.
    pub fn abort_body(&self, id: u32, error: BodyError) {
        let writer = self.bodies.borrow().get(&id).and_then(|entry| entry.writer.clone());
        if let Some(writer) = writer
            && let Err(tokio::sync::mpsc::error::TrySendError::Full(error)) = writer.try_send(Err(error))
        {
            self.front.spawn(async move {
                let _ = writer.send(error).await;
            });
        }
        self.close_body(id);
    }

    /// The writing end of a body that JavaScript writes.
    ///
    /// # Errors
    /// When it is another invocation's, or was closed.
    pub fn body_writer(&self, owner: Owner, id: u32) -> Result<BodyWriter, StateError> {
        let bodies = self.bodies.borrow();
        let entry = bodies.get(&id).ok_or(StateError::ReaderGone)?;
        entry.check(owner)?;
        entry.writer.clone().ok_or(StateError::ReaderGone)
    }

    /// Drops the bodies of `owner`; who reads one that is still written is told `why`.
    pub(crate) fn release_bodies(&self, owner: Owner, why: &str) {
        if self.bodies.borrow().is_empty() {
            return;
        }
        // A body that is dropped while it is written would look complete to its reader.
        let written: Vec<u32> = self
            .bodies
            .borrow()
            .iter()
            .filter(|(_, entry)| entry.owner == owner && entry.writer.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in written {
            self.abort_body(id, BodyError::new(why));
        }
        self.bodies.borrow_mut().retain(|_, entry| entry.owner != owner);
    }
}
