//! Objects of one isolate that map address space of their own, counted while they live.

use deno_core::v8;

use crate::State;
use crate::StateError;
use crate::limits::RESERVATIONS;

/// Grows at most to twice what is alive, then is gone through.
#[derive(Default)]
pub(crate) struct Reservations {
    objects: Vec<v8::Weak<v8::Object>>,
    /// Go through them at so many.
    purge_at: usize,
}

// === impl Reservations ===

impl Reservations {
    fn is_full(&mut self) -> bool {
        if self.objects.len() >= self.purge_at.min(RESERVATIONS) {
            self.objects.retain(|object| !object.is_empty());
            self.purge_at = (2 * self.objects.len()).max(64);
        }
        self.objects.len() >= RESERVATIONS
    }
}

// === impl State ===

impl State {
    /// Counts `object` until it is collected.
    ///
    /// # Errors
    /// When there are too many that are alive.
    pub fn reserve(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        object: v8::Local<'_, v8::Object>,
    ) -> Result<(), StateError> {
        if self.reservations.borrow_mut().is_full() {
            // The dead ones are only known after a collection.
            self.memory.collect(scope);
            if self.reservations.borrow_mut().is_full() {
                return Err(StateError::TooManyReservations);
            }
        }
        let object = v8::Weak::new(scope, object);
        self.reservations.borrow_mut().objects.push(object);
        Ok(())
    }
}
