//! What the engine calls in the middle of a turn: to measure memory, and when its heap nears its limit.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::v8;

use crate::State;
use crate::cores::Runner;
use crate::handle::Status;
use crate::limits::HEAP_GRACE;

/// Measures the isolate, and ends its turn when it is over its hard limit. Asked for by [`crate::memory::Account::ask`].
pub(crate) unsafe extern "C" fn measure(isolate: v8::UnsafeRawIsolatePtr, _data: *mut c_void) {
    let mut isolate = isolate;
    // SAFETY: the engine calls this on the isolate's own thread with its own pointer, which is valid for the call.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut(&mut isolate) };
    let Some(state) = isolate.get_slot::<Rc<State>>().map(Rc::clone) else { return };
    if !state.heap_exceeded.get() && state.memory.is_over(isolate) {
        state.heap_exceeded.set(true);
        isolate.terminate_execution();
    }
    // Only now may another one be asked for: the engine runs all that it has before it goes back to the script, which a
    // collection that takes longer than the watchdog's tick would keep from ever ending.
    state.memory.answered();
}

/// Waits for a core within a turn that lasts. Asked for by [`crate::cores::Runner::look`].
pub(crate) unsafe extern "C" fn take_turns(isolate: v8::UnsafeRawIsolatePtr, _data: *mut c_void) {
    let mut isolate = isolate;
    // SAFETY: as above.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut(&mut isolate) };
    let Some(runner) = isolate.get_slot::<Arc<Runner>>().map(Arc::clone) else { return };
    if isolate.is_execution_terminating() {
        // Whoever is to leave need not wait first.
        runner.answers();
    } else {
        runner.interrupted();
    }
}

/// The heap's limit, watched. The engine ends the process when an allocation does not fit, so the limit is always raised; a
/// turn that filled the heap is ended, and after one that only asked for too much at once the limit is set back.
pub(crate) struct HeapWatch {
    isolate: Cell<v8::UnsafeRawIsolatePtr>,
    /// Bytes.
    limit: Cell<usize>,
    raised: Cell<bool>,
    exceeded: Rc<Cell<bool>>,
    status: Arc<Status>,
}

// === impl HeapWatch ===

impl HeapWatch {
    /// Watches the heap of `isolate`. What is returned has to live as long as the isolate does.
    pub(crate) fn new(isolate: &mut v8::Isolate, exceeded: Rc<Cell<bool>>, status: Arc<Status>) -> Box<Self> {
        let limit = isolate.get_heap_statistics().heap_size_limit();
        // SAFETY: the pointer is used on the isolate's thread only, from a callback of the isolate itself.
        let pointer = unsafe { isolate.as_raw_isolate_ptr() };
        let watch = Box::new(Self {
            isolate: Cell::new(pointer),
            limit: Cell::new(limit),
            raised: Cell::new(false),
            exceeded,
            status,
        });
        isolate.add_near_heap_limit_callback(near_limit, watch.data());
        watch
    }

    /// Sets the heap's limit to a worker's, which is at most the one that the isolate was made with.
    pub(crate) fn set_limit(&self, isolate: &mut v8::Isolate, bytes: usize) {
        self.limit.set(bytes);
        isolate.remove_near_heap_limit_callback(near_limit, bytes);
        isolate.add_near_heap_limit_callback(near_limit, self.data());
    }

    /// After a turn: the limit is what it was, unless the heap is full.
    pub(crate) fn settle(&self, isolate: &mut v8::Isolate) {
        if self.raised.replace(false) {
            self.status.set_heap_raised(false);
            self.set_limit(isolate, self.limit.get());
        }
    }

    const fn data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

/// Also called when any one allocation fails, however empty the heap is.
unsafe extern "C" fn near_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `data` is a `HeapWatch` that lives as long as its isolate.
    let watch = unsafe { &*data.cast_const().cast::<HeapWatch>() };
    let mut isolate = watch.isolate.get();
    // SAFETY: the isolate calls this, on its own thread.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut(&mut isolate) };
    let (used, limit) = (isolate.get_heap_statistics().used_heap_size(), watch.limit.get());
    if current >= limit.saturating_add(2 * HEAP_GRACE) {
        // It was terminated and goes on, or asks for more at once than a worker may ever have.
        crate::crash::out_of_memory();
    }
    watch.status.set_heap_raised(true);
    if used >= limit / 8 * 7 {
        watch.exceeded.set(true);
        isolate.terminate_execution();
    } else {
        watch.raised.set(true);
    }
    current.saturating_add(HEAP_GRACE)
}
