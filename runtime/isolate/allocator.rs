//! The memory of ArrayBuffers, counted for the isolate that asks for it.
//!
//! A buffer of some size is refused once the account is full; the engine then collects garbage, asks again, and throws a
//! `RangeError`. A small one must not be refused: where the engine moves a small typed array's bytes out of its heap, it ends
//! the process when it gets no memory. Small ones pass the limit, and the account ends the turn.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::Arc;

use deno_core::v8;

use crate::memory::Account;

/// Buffers of at least so many bytes can be refused.
const REFUSABLE: usize = 64 << 10;

static VTABLE: v8::RustAllocatorVtable<Account> =
    v8::RustAllocatorVtable { allocate, allocate_uninitialized, free, drop: release };

/// An allocator that counts in `account`, for one isolate.
pub fn array_buffer_allocator(account: Arc<Account>) -> v8::UniqueRef<v8::Allocator> {
    // SAFETY: the handle is a counted reference of the type that the table's functions take; `release` gives it back.
    unsafe { v8::new_rust_allocator(Arc::into_raw(account), &VTABLE) }
}

fn admits(account: &Account, length: usize) -> bool {
    let admitted = if length >= REFUSABLE { account.fits(length) } else { !account.is_hopeless(length) };
    if admitted {
        account.add_buffer(length);
    }
    admitted
}

fn counted(account: &Account, length: usize, memory: *mut c_void) -> *mut c_void {
    if memory.is_null() {
        account.remove_buffer(length);
    }
    memory
}

unsafe extern "C" fn allocate(account: &Account, length: usize) -> *mut c_void {
    if !admits(account, length) {
        return std::ptr::null_mut();
    }
    // SAFETY: any size may be asked for.
    counted(account, length, unsafe { libc::calloc(length.max(1), 1) })
}

unsafe extern "C" fn allocate_uninitialized(account: &Account, length: usize) -> *mut c_void {
    if !admits(account, length) {
        return std::ptr::null_mut();
    }
    // SAFETY: any size may be asked for.
    counted(account, length, unsafe { libc::malloc(length.max(1)) })
}

/// On the isolate's thread, or on one of the engine's that collects garbage.
unsafe extern "C" fn free(account: &Account, data: *mut c_void, length: usize) {
    // SAFETY: `data` came from one of the two functions above, and is freed once.
    unsafe { libc::free(data) };
    account.remove_buffer(length);
}

unsafe extern "C" fn release(account: *const Account) {
    // SAFETY: this is the reference that `array_buffer_allocator` turned into a pointer, given back once.
    drop(unsafe { Arc::from_raw(account) });
}
