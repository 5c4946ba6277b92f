//! Who is inside JavaScript, in memory that outlives the process: an abort has an owner without a look at a core.
//!
//! One place per isolate's thread. A thread writes its own place when it enters and leaves a turn (one store each, no system
//! call) and when it has to stop for ever; the parent process reads the table once the child has ended or says that it
//! crashed. The reader trusts nothing in it but its size, which is sealed.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd as _;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd as _;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Bytes of a name. Names of workers and tenants are shorter.
const NAME: usize = 255;

/// Nobody's.
const FREE: u64 = 0;
/// A thread that is not inside JavaScript.
const OUTSIDE: u64 = 1;
/// A thread that is; its invocation is in the upper half.
const INSIDE: u64 = 2;

/// What an isolate did to its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: it was inside JavaScript when the process ended.
    Inside,
    /// A turn that cannot be ended.
    Stuck,
    /// The engine ran out of memory where it cannot throw.
    OutOfMemory,
    /// A check of the engine failed: it stopped before it did harm.
    CheckFailed,
    /// The process was to abort: an op panicked, or the allocator found its heap damaged.
    Aborted,
    /// A memory fault or an illegal instruction.
    Faulted,
}

/// An invocation that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blamed {
    pub worker: String,
    pub tenant: String,
    /// 0 for the worker's global scope.
    pub invocation: u32,
    pub trouble: Trouble,
}

/// The table of one process.
pub struct BlameTable {
    places: NonNull<Place>,
    count: usize,
    file: OwnedFd,
}

/// One isolate's thread.
#[repr(C, align(64))]
pub(crate) struct Place {
    turn: AtomicU64,
    /// A [`Trouble`], or 0.
    trouble: AtomicU32,
    worker: Name,
    tenant: Name,
}

#[repr(C)]
struct Name {
    length: AtomicU8,
    bytes: [AtomicU8; NAME],
}

/// A thread's hold on its place.
pub(crate) struct Claim(Option<&'static Place>);

// SAFETY: the places are atomics in shared memory; nothing else is reached through the pointer.
unsafe impl Send for BlameTable {}
// SAFETY: as above.
unsafe impl Sync for BlameTable {}

// === impl Trouble ===

impl Trouble {
    /// What a thread that stopped has stored; `None` for any other number.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::OutOfMemory, Self::CheckFailed, Self::Aborted, Self::Faulted]
            .into_iter()
            .find(|trouble| *trouble as u32 == code)
    }
}

// === impl BlameTable ===

impl BlameTable {
    /// A new table for so many threads.
    ///
    /// # Errors
    /// When the system refuses the memory.
    pub fn create(places: usize) -> io::Result<Self> {
        let bytes = libc::off_t::try_from(places * size_of::<Place>()).map_err(io::Error::other)?;
        // SAFETY: a name that ends with a zero byte; the descriptor is new and ours. The seals keep whoever maps the file
        // from changing its size, which would make the others' accesses fault.
        let file = unsafe {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            let file = OwnedFd::from_raw_fd(checked(libc::memfd_create(c"holm-blame".as_ptr(), flags))?);
            checked(libc::ftruncate(file.as_raw_fd(), bytes))?;
            let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
            checked(libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals))?;
            file
        };
        Self::open(file)
    }

    /// The table that another process made.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn open(file: OwnedFd) -> io::Result<Self> {
        let size = std::fs::File::from(file.try_clone()?).metadata()?.len();
        let count = usize::try_from(size).unwrap_or(0) / size_of::<Place>();
        // SAFETY: maps the file's own bytes at an address of the kernel's choice, aligned to a page.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * size_of::<Place>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let places = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Self { places, count, file })
    }

    /// Whose threads had to stop, and who was inside JavaScript beside them.
    #[must_use]
    pub fn blamed(&self) -> Vec<Blamed> {
        self.places().iter().filter_map(Place::blamed).collect()
    }

    /// A place for the calling thread, which writes into it as long as it lives; nothing is written if all are taken.
    pub(crate) fn claim(&'static self) -> Claim {
        let claimed =
            |place: &&Place| place.turn.compare_exchange(FREE, OUTSIDE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        Claim(self.places().iter().find(claimed))
    }

    const fn places(&self) -> &[Place] {
        // SAFETY: mapped for as long as `self` lives, and large enough; every bit pattern is a valid place.
        unsafe { std::slice::from_raw_parts(self.places.as_ptr(), self.count) }
    }
}

impl AsFd for BlameTable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for BlameTable {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `open` made; a `Claim` borrows it for ever, so there is none.
        unsafe {
            libc::munmap(self.places.as_ptr().cast(), self.count * size_of::<Place>());
        }
    }
}

// === impl Place ===

impl Place {
    /// Says that the thread stops for ever. Called in signal handlers: it does nothing but store.
    pub(crate) fn stop(&self, trouble: Trouble) {
        self.trouble.store(trouble as u32, Ordering::Release);
    }

    fn blamed(&self) -> Option<Blamed> {
        let trouble = Trouble::from_code(self.trouble.load(Ordering::Acquire)).unwrap_or(Trouble::Inside);
        let turn = self.turn.load(Ordering::Relaxed);
        let inside = turn & u64::from(u32::MAX) == INSIDE;
        if trouble == Trouble::Inside && !inside {
            return None;
        }
        let invocation = u32::try_from(turn >> 32).unwrap_or(0);
        let (worker, tenant) = self.names();
        Some(Blamed { worker, tenant, invocation, trouble })
    }

    fn names(&self) -> (String, String) {
        (self.worker.read(), self.tenant.read())
    }
}

// === impl Name ===

impl Name {
    fn write(&self, text: &str) {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        for (to, from) in self.bytes.iter().zip(text.as_bytes()) {
            to.store(*from, Ordering::Relaxed);
        }
        self.length.store(length, Ordering::Release);
    }

    fn read(&self) -> String {
        let length = usize::from(self.length.load(Ordering::Acquire));
        let bytes: Vec<u8> = self.bytes.iter().take(length).map(|byte| byte.load(Ordering::Relaxed)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

// === impl Claim ===

impl Claim {
    /// Names the worker that the thread runs from now on.
    pub(crate) fn name(&self, worker: &str, tenant: &str) {
        if let Some(place) = self.0 {
            place.worker.write(worker);
            place.tenant.write(tenant);
        }
    }

    /// The worker and the tenant that it was told.
    pub(crate) fn names(&self) -> (String, String) {
        self.0.map_or_else(Default::default, Place::names)
    }

    pub(crate) fn enter(&self, invocation: u32) {
        if let Some(place) = self.0 {
            place.turn.store(u64::from(invocation) << 32 | INSIDE, Ordering::Relaxed);
        }
    }

    pub(crate) fn leave(&self) {
        if let Some(place) = self.0 {
            place.turn.store(OUTSIDE, Ordering::Relaxed);
        }
    }

    pub(crate) const fn place(&self) -> Option<&'static Place> {
        self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.worker.write("");
            place.tenant.write("");
            place.trouble.store(0, Ordering::Relaxed);
            place.turn.store(FREE, Ordering::Release);
        }
    }
}

fn checked(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(places: usize) -> &'static BlameTable {
        Box::leak(Box::new(BlameTable::create(places).unwrap()))
    }

    #[test]
    fn another_mapping_sees_who_is_inside_and_who_had_to_stop() {
        let table = table(4);
        let reader = BlameTable::open(table.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let (one, two, three) = (table.claim(), table.claim(), table.claim());
        one.name("a", "a");
        one.enter(7);
        two.name("b", "t");
        two.enter(8);
        two.place().unwrap().stop(Trouble::OutOfMemory);
        three.name("c", "c");
        three.enter(9);
        three.leave();
        let blamed = |worker: &str, tenant: &str, invocation, trouble| Blamed {
            worker: worker.to_owned(),
            tenant: tenant.to_owned(),
            invocation,
            trouble,
        };
        assert_eq!(reader.blamed(), [blamed("a", "a", 7, Trouble::Inside), blamed("b", "t", 8, Trouble::OutOfMemory)]);
    }

    #[test]
    fn a_place_is_used_again_and_a_full_table_blames_nobody() {
        let table = table(1);
        let first = table.claim();
        let none = table.claim();
        none.name("none", "none");
        none.enter(1);
        assert_eq!(table.blamed(), []);
        drop(first);
        let again = table.claim();
        again.enter(2);
        assert_eq!(table.blamed().len(), 1);
    }
}
