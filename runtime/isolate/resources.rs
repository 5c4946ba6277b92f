//! Native things that scripts hold by number: a parser, a digest. Each belongs to an invocation and goes with it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::Creator;
use crate::State;
use crate::StateError;
use crate::state::Owner;

/// Resources that one invocation may hold at once.
const PER_INVOCATION: usize = 64;

/// What one invocation holds, by number.
type Held = HashMap<u32, Rc<dyn Any>>;

/// By owner, then by number: who asks for another invocation's finds nothing.
#[derive(Default)]
pub(crate) struct Resources {
    owned: RefCell<HashMap<Owner, Held>>,
}

// === impl Resources ===

impl Resources {
    /// Drops what `owner` holds.
    pub(crate) fn release(&self, owner: Owner) {
        // Dropped after the borrow has ended: a resource may do anything in its `Drop`.
        let released = self.owned.borrow_mut().remove(&owner);
        drop(released);
    }

    pub(crate) fn clear(&self) {
        let released = std::mem::take(&mut *self.owned.borrow_mut());
        drop(released);
    }
}

// === impl State ===

impl State {
    /// Keeps `resource` for `owner`, until it is dropped or the invocation ends.
    ///
    /// # Errors
    /// Without an owner, and over the limit of resources.
    pub fn add_resource<T: 'static>(&self, owner: Owner, resource: T) -> Result<u32, StateError> {
        self.with(owner, |_| ())?;
        let mut owned = self.resources.owned.borrow_mut();
        let of_owner = owned.entry(owner).or_default();
        if of_owner.len() >= PER_INVOCATION {
            return Err(StateError::TooManyPending("native objects"));
        }
        let id = self.next_id();
        of_owner.insert(id, Rc::new(resource));
        Ok(id)
    }

    /// The resource `id` of `owner`.
    ///
    /// # Errors
    /// When it is another invocation's, or is gone.
    pub fn resource<T: 'static>(&self, owner: Owner, id: u32) -> Result<Rc<T>, StateError> {
        let owned = self.resources.owned.borrow();
        let Some(resource) = owned.get(&owner).and_then(|of_owner| of_owner.get(&id)) else {
            let another = owned.iter().find(|(_, of_owner)| of_owner.contains_key(&id)).map(|(owner, _)| *owner);
            let created = another.map_or(Creator::Ended, Creator::Request);
            return Err(StateError::DifferentRequest { created, used: owner });
        };
        Rc::clone(resource).downcast::<T>().map_err(|_| StateError::Ended)
    }

    /// Drops the resource `id` of `owner`.
    pub fn drop_resource(&self, owner: Owner, id: u32) {
        let dropped = self.resources.owned.borrow_mut().get_mut(&owner).and_then(|of_owner| of_owner.remove(&id));
        drop(dropped);
    }
}
