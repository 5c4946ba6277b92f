//! What the engine's internationalization library allocates, counted for the isolate whose thread asks.
//!
//! The library takes its memory past the engine's own accounts: a script that makes formatters for ever would fill the machine
//! with a nearly empty heap. Each block has a header that names its account and its size.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::ffi::c_void;
use std::sync::Arc;

use crate::memory::Account;

/// In front of each block; a multiple of the alignment that `malloc` promises.
#[repr(C, align(16))]
struct Header {
    /// A counted reference; null for what no isolate asked for.
    account: *const Account,
    /// Of the block with its header, in bytes.
    size: usize,
}

const HEADER: usize = size_of::<Header>();

type Allocate = unsafe extern "C" fn(*const c_void, usize) -> *mut c_void;
type Reallocate = unsafe extern "C" fn(*const c_void, *mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*const c_void, *mut c_void);

unsafe extern "C" {
    #[link_name = "u_setMemoryFunctions_77"]
    fn set_memory_functions(context: *const c_void, a: Allocate, r: Reallocate, f: Free, status: *mut c_int);
}

thread_local! {
    /// The account of the isolate on this thread; null on others.
    static ACCOUNT: Cell<*const Account> = const { Cell::new(std::ptr::null()) };
}

/// Counts what the library allocates from now on. Before the engine starts: the library must not have allocated yet.
///
/// # Panics
/// When it has.
pub fn count_native_memory() {
    let mut status: c_int = 0;
    // SAFETY: the three functions keep the library's contract of malloc, realloc and free.
    unsafe { set_memory_functions(std::ptr::null(), allocate, reallocate, free, &raw mut status) };
    assert!(status <= 0, "the internationalization library has started before the engine: status {status}");
}

/// Charges what this thread allocates to `account`, until the guard is dropped.
pub(crate) fn charge_thread(account: Arc<Account>) -> ThreadCharge {
    ACCOUNT.set(Arc::as_ptr(&account));
    ThreadCharge(account)
}

pub(crate) struct ThreadCharge(
    #[expect(dead_code, reason = "keeps the account while the thread points to it")] Arc<Account>,
);

impl Drop for ThreadCharge {
    fn drop(&mut self) {
        ACCOUNT.set(std::ptr::null());
    }
}

/// Gives memory that is free back to the system. Takes the allocator's locks for some milliseconds.
pub fn give_back_memory() {
    // SAFETY: has no precondition.
    unsafe { libc::malloc_trim(0) };
}

unsafe extern "C" fn allocate(_context: *const c_void, size: usize) -> *mut c_void {
    let Some(size) = size.checked_add(HEADER) else { return std::ptr::null_mut() };
    // SAFETY: any size may be asked for.
    let block = unsafe { libc::malloc(size) }.cast::<Header>();
    if block.is_null() {
        return std::ptr::null_mut();
    }
    let account = ACCOUNT.get();
    if !account.is_null() {
        // SAFETY: the pointer is that of an `Arc` that `ThreadCharge` holds.
        unsafe { Arc::increment_strong_count(account) };
        // SAFETY: as above.
        unsafe { &*account }.hold(size);
    }
    // SAFETY: the block has room for its header, and behind it for what was asked for.
    unsafe {
        block.write(Header { account, size });
        block.add(1).cast()
    }
}

unsafe extern "C" fn free(_context: *const c_void, memory: *mut c_void) {
    if memory.is_null() {
        return;
    }
    // SAFETY: the library gives back what `allocate` or `reallocate` gave it.
    let block = unsafe { memory.cast::<Header>().sub(1) };
    // SAFETY: both wrote the header.
    let Header { account, size } = unsafe { block.read() };
    if !account.is_null() {
        // SAFETY: the reference that `allocate` counted.
        unsafe { Arc::from_raw(account) }.release(size);
    }
    // SAFETY: the block came from `malloc` or `realloc`.
    unsafe { libc::free(block.cast()) };
}

unsafe extern "C" fn reallocate(context: *const c_void, memory: *mut c_void, size: usize) -> *mut c_void {
    if memory.is_null() {
        // SAFETY: the contract is the caller's.
        return unsafe { allocate(context, size) };
    }
    let Some(size) = size.checked_add(HEADER) else { return std::ptr::null_mut() };
    // SAFETY: as in `free`.
    let block = unsafe { libc::realloc(memory.cast::<Header>().sub(1).cast(), size) }.cast::<Header>();
    if block.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: `realloc` keeps the header's bytes; its account is a counted reference.
    unsafe {
        let before = (*block).size;
        if let Some(account) = (*block).account.as_ref() {
            account.release(before);
            account.hold(size);
        }
        (*block).size = size;
        block.add(1).cast()
    }
}
