//! Events that another worker sends over a service binding: which entrypoint they are for, and how they hang together.
//!
//! Each is an invocation like any other, with a budget, limits and a record of its own. What bounds them together is the
//! chain: how deep workers have called each other, and how many invocations came of one request.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::State;
use crate::StateError;
use crate::state::Owner;

/// How deep workers may call each other.
pub const CHAIN_DEPTH: u32 = 16;
/// Invocations that one request may lead to, itself among them.
pub const CHAIN_INVOCATIONS: u32 = 32;

/// What an event has that came over a service binding.
#[derive(Debug)]
pub struct Called {
    pub kind: CallKind,
    /// The export of the main module that is asked for; the default one, if it has no name.
    pub entrypoint: Option<Arc<str>>,
    pub props: Props,
    pub chain: Chain,
    /// Which call it is, of all of this process.
    pub call: CallNumber,
}

/// The number of a call, by which its caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallNumber(u64);

/// What is asked of the entrypoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Its `fetch()`.
    Fetch,
    /// An RPC session: messages to it are the request's body, messages from it the answer's (`js-shims/rpc_session.js`).
    Rpc,
}

/// `ctx.props`: whoever made the binding says it, and the caller cannot change it.
#[derive(Clone, Debug, Default)]
pub enum Props {
    #[default]
    None,
    /// From the configuration.
    Json(Arc<str>),
    /// Made by the worker itself, as a structured clone.
    Cloned(Bytes),
}

/// The invocations that one request has led to.
#[derive(Clone, Debug)]
pub struct Chain {
    depth: u32,
    invocations: Arc<AtomicU32>,
}

// === impl CallNumber ===

impl CallNumber {
    /// One that no other call has.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

// === impl CallKind ===

impl CallKind {
    /// What the shim's hook gets; 0 is a request that came from a client.
    pub(crate) const fn code(called: Option<&Called>) -> u32 {
        match called {
            None => 0,
            Some(Called { kind: Self::Fetch, .. }) => 1,
            Some(Called { kind: Self::Rpc, .. }) => 2,
        }
    }
}

// === impl Chain ===

impl Chain {
    fn begin() -> Self {
        Self { depth: 0, invocations: Arc::new(AtomicU32::new(1)) }
    }

    /// 0 for what a client asked for.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    fn next(&self) -> Result<Self, StateError> {
        if self.depth >= CHAIN_DEPTH {
            return Err(StateError::ChainTooDeep);
        }
        if self.invocations.fetch_add(1, Ordering::Relaxed) >= CHAIN_INVOCATIONS {
            return Err(StateError::TooManyInvocations);
        }
        Ok(Self { depth: self.depth + 1, invocations: Arc::clone(&self.invocations) })
    }
}

// === impl State ===

impl State {
    /// A link more in the chain that `owner` is part of.
    ///
    /// # Errors
    /// When the chain is too deep or too long, and as for every op that needs an owner.
    pub fn next_in_chain(&self, owner: Owner) -> Result<Chain, StateError> {
        self.with(owner, |invocation| {
            let called = invocation.called.as_ref().map(|called| called.chain.clone());
            let chain = called.or_else(|| invocation.chain.clone()).unwrap_or_else(Chain::begin);
            let next = chain.next();
            invocation.chain = Some(chain);
            next
        })?
    }

    /// Reads what came over the binding with `owner`'s event; `None` if it came from a client.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn called<T>(&self, owner: Owner, f: impl FnOnce(&Called) -> T) -> Result<Option<T>, StateError> {
        self.with(owner, |invocation| invocation.called.as_deref().map(f))
    }

    /// The id of the request that `owner` works for.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn request_id(&self, owner: Owner) -> Result<crate::RequestId, StateError> {
        self.with(owner, |invocation| invocation.ticket.request_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_so_deep_and_no_deeper() {
        let mut chain = Chain::begin();
        for depth in 1..=CHAIN_DEPTH {
            chain = chain.next().unwrap();
            assert_eq!(chain.depth(), depth);
        }
        assert!(matches!(chain.next(), Err(StateError::ChainTooDeep)));
    }

    #[test]
    fn a_request_leads_to_so_many_invocations_wherever_in_the_chain() {
        let first = Chain::begin();
        let other = first.next().unwrap();
        for _ in 2..CHAIN_INVOCATIONS {
            other.next().unwrap();
        }
        assert!(matches!(first.next(), Err(StateError::TooManyInvocations)));
        assert!(matches!(other.next(), Err(StateError::TooManyInvocations)));
    }
}
