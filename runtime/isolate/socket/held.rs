//! The ends that scripts hold: resources of their invocations.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::mpsc;

use super::AnswerSocket;
use super::Answers;
use super::Packet;
use super::SocketEnd;
use super::socket_pair;
use crate::State;
use crate::StateError;
use crate::state::Owner;

/// One end, in the hands of a script.
pub struct Socket {
    /// Lent out while an operation waits for a message.
    incoming: RefCell<Option<mpsc::UnboundedReceiver<Packet>>>,
    /// Gone once it was closed, or has moved.
    outgoing: RefCell<Option<mpsc::UnboundedSender<Packet>>>,
    /// The other end, if the script made both; 0 otherwise.
    partner: Cell<u32>,
    accepted: Cell<bool>,
    over: Cell<bool>,
}

/// What an invocation has answered with.
pub(crate) struct Answered {
    /// The end that the script has kept; 0 for none.
    partner: u32,
    /// The client has gone.
    wire_over: bool,
}

// === impl Socket ===

impl Socket {
    fn new(end: SocketEnd) -> Self {
        Self {
            incoming: RefCell::new(Some(end.incoming)),
            outgoing: RefCell::new(Some(end.outgoing)),
            partner: Cell::default(),
            accepted: Cell::default(),
            over: Cell::default(),
        }
    }

    /// The script takes messages from now on.
    pub fn accept(&self) {
        self.accepted.set(true);
    }

    /// `false`: the end was closed, or the other one has gone.
    pub fn send(&self, packet: Packet) -> bool {
        self.outgoing.borrow().as_ref().is_some_and(|outgoing| outgoing.send(packet).is_ok())
    }

    /// Nothing is sent after this.
    pub fn close(&self) {
        *self.outgoing.borrow_mut() = None;
    }

    /// Takes the receiving side for one message; [`Socket::put`] gives it back.
    pub fn lend(&self) -> Option<mpsc::UnboundedReceiver<Packet>> {
        self.incoming.borrow_mut().take()
    }

    pub fn put(&self, incoming: mpsc::UnboundedReceiver<Packet>) {
        *self.incoming.borrow_mut() = Some(incoming);
    }
}

// === impl State ===

impl State {
    /// A new WebSocket whose ends both belong to `owner`.
    ///
    /// # Errors
    /// Without an owner, and over the limit of resources.
    pub fn open_sockets(&self, owner: Owner) -> Result<(u32, u32), StateError> {
        let (left, right) = socket_pair(&self.memory);
        let left = self.add_socket(owner, left)?;
        let right = self.add_socket(owner, right)?;
        self.socket(owner, left)?.partner.set(right);
        self.socket(owner, right)?.partner.set(left);
        Ok((left, right))
    }

    /// # Errors
    /// Without an owner, and over the limit of resources.
    pub fn add_socket(&self, owner: Owner, end: SocketEnd) -> Result<u32, StateError> {
        self.add_resource(owner, Socket::new(end))
    }

    /// # Errors
    /// When it is another invocation's.
    pub fn socket(&self, owner: Owner, id: u32) -> Result<Rc<Socket>, StateError> {
        self.resource(owner, id)
    }

    /// Takes an end for the answer of `owner`, which lasts as long as its client stays.
    ///
    /// # Errors
    /// When it is another invocation's, was accepted, or has moved.
    pub fn take_answer_socket(&self, owner: Owner, id: u32) -> Result<AnswerSocket, StateError> {
        let socket = self.socket(owner, id)?;
        if socket.accepted.get() {
            return Err(StateError::SocketUsed);
        }
        let incoming = socket.incoming.borrow_mut().take().ok_or(StateError::SocketUsed)?;
        let outgoing = socket.outgoing.borrow_mut().take().ok_or(StateError::SocketUsed)?;
        let answers = Answers { inbox: self.inbox.clone(), owner, given_up: None };
        let partner = socket.partner.get();
        self.with(owner, |invocation| {
            invocation.writing += 1;
            invocation.socket = Some(Answered { partner, wire_over: false });
        })?;
        self.drop_resource(owner, id);
        let account = std::sync::Arc::clone(&self.memory);
        Ok(AnswerSocket::new(SocketEnd { incoming, outgoing, account, answers: Some(answers) }))
    }

    /// The script has been told everything that comes from this end.
    ///
    /// # Errors
    /// When it is another invocation's.
    pub fn end_socket(&self, owner: Owner, id: u32) -> Result<(), StateError> {
        self.socket(owner, id)?.over.set(true);
        self.settle_socket(owner);
        Ok(())
    }

    /// The client of the WebSocket that `owner` has answered with is gone.
    pub(crate) fn wire_over(&self, owner: Owner) {
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner)
            && let Some(answered) = &mut invocation.socket
        {
            answered.wire_over = true;
        }
        self.settle_socket(owner);
    }

    /// Lets the invocation end once the client has gone and the script has been told.
    fn settle_socket(&self, owner: Owner) {
        let partner = match self.invocations.borrow().get(&owner).and_then(|invocation| invocation.socket.as_ref()) {
            Some(answered) if answered.wire_over => answered.partner,
            _ => return,
        };
        let listens = self.socket(owner, partner).is_ok_and(|socket| socket.accepted.get() && !socket.over.get());
        if listens {
            return;
        }
        let wait = self.limits.borrow().wait_until;
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.socket = None;
            invocation.written(wait);
        }
    }
}
