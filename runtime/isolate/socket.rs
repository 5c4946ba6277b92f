//! WebSockets as messages: two ends, each held by a script or coupled with a connection (`wire.rs`).
//!
//! A script sends without waiting, so what it has sent and nobody has taken is bounded by the isolate's account alone: each
//! message holds its charge. What a connection brings waits for the script (`wire.rs`), and the client with it.

mod handshake;
mod held;
mod wire;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::mpsc;

pub use self::handshake::accept_key;
pub use self::handshake::handshake_key;
pub(crate) use self::held::Answered as AnsweredSocket;
pub use self::held::Socket;
pub use self::wire::Coupling;
pub use self::wire::Role;
pub use self::wire::couple;
use crate::Account;
use crate::memory::Charge;
use crate::message::Inbox;
use crate::message::Message;
use crate::state::Owner;

/// Bytes of one message, as on the platform.
pub const MESSAGE_BYTES: usize = 32 << 20;
/// What a message takes beside its bytes.
const MESSAGE_OVERHEAD: usize = 128;
/// The code that says "there was none" (RFC 6455 §7.4.1); never on the wire.
pub const NO_CODE: u16 = 1005;

/// What goes through a WebSocket.
#[derive(Debug)]
pub enum SocketMessage {
    /// UTF-8.
    Text(Bytes),
    Binary(Bytes),
    /// [`NO_CODE`] where the peer gave none.
    Close {
        code: u16,
        reason: String,
    },
    /// The connection is over without a close.
    Broken(&'static str),
}

/// A message on its way, with what it holds.
pub struct Packet {
    pub message: SocketMessage,
    _charge: Charge,
    /// Its place among those that a connection may bring ahead of the script.
    _room: Option<OwnedSemaphorePermit>,
}

/// One end of a WebSocket. Dropping it without a close breaks the other end.
pub struct SocketEnd {
    pub(crate) incoming: mpsc::UnboundedReceiver<Packet>,
    pub(crate) outgoing: mpsc::UnboundedSender<Packet>,
    pub(crate) account: Arc<Account>,
    /// Of an end that an invocation has answered with.
    pub(crate) answers: Option<Answers>,
}

/// Says at its drop that the WebSocket which an invocation has answered with is over.
pub(crate) struct Answers {
    pub(crate) inbox: Inbox,
    pub(crate) owner: Owner,
    /// The isolate has been given up; its thread may never say more.
    pub(crate) given_up: Option<Pin<Box<OwnedNotified>>>,
}

/// The end that a client is to get, in the extensions of an answer of status 101.
#[derive(Clone)]
pub struct AnswerSocket(Arc<Mutex<Option<SocketEnd>>>);

/// Both ends of a new WebSocket, on the account of one isolate.
#[must_use]
pub fn socket_pair(account: &Arc<Account>) -> (SocketEnd, SocketEnd) {
    let (to_left, left) = mpsc::unbounded_channel();
    let (to_right, right) = mpsc::unbounded_channel();
    let end = |incoming, outgoing| SocketEnd { incoming, outgoing, account: Arc::clone(account), answers: None };
    (end(left, to_right), end(right, to_left))
}

// === impl SocketMessage ===

impl SocketMessage {
    fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
            Self::Close { reason, .. } => reason.len(),
            Self::Broken(_) => 0,
        }
    }

    /// What it is charged with while it waits.
    #[must_use]
    pub const fn cost(bytes: usize) -> usize {
        bytes + MESSAGE_OVERHEAD
    }
}

// === impl Packet ===

impl Packet {
    /// `charge` stands for [`SocketMessage::cost`].
    #[must_use]
    pub const fn new(message: SocketMessage, charge: Charge) -> Self {
        Self { message, _charge: charge, _room: None }
    }

    fn from_wire(message: SocketMessage, account: &Arc<Account>, room: Option<OwnedSemaphorePermit>) -> Self {
        let charge = account.charge(SocketMessage::cost(message.len()));
        Self { message, _charge: charge, _room: room }
    }
}

// === impl AnswerSocket ===

impl AnswerSocket {
    pub(crate) fn new(end: SocketEnd) -> Self {
        Self(Arc::new(Mutex::new(Some(end))))
    }

    /// The end, once.
    #[must_use]
    pub fn take(&self) -> Option<SocketEnd> {
        self.0.lock().take()
    }

    /// From now on it breaks when the isolate is given up.
    pub(crate) fn watch(&self, given_up: OwnedNotified) {
        if let Some(answers) = self.0.lock().as_mut().and_then(|end| end.answers.as_mut()) {
            answers.given_up = Some(Box::pin(given_up));
        }
    }
}

impl std::fmt::Debug for AnswerSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerSocket")
    }
}

// === impl Answers ===

impl Drop for Answers {
    fn drop(&mut self) {
        let _ = self.inbox.send(Message::SocketOver(self.owner));
    }
}
