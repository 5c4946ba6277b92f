//! All cases, by family. The ids are those of the catalogue that the cases come from; each of its ids is here.

use std::sync::OnceLock;

use crate::case::Case;

/// Every case, in the order in which they run.
pub fn all() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let mut cases = Vec::new();
        cases.extend(crate::cpu::cases());
        cases.extend(crate::isolation::cases());
        cases.extend(crate::polluter::cases());
        cases.extend(crate::native::cases());
        cases.extend(crate::timing::cases());
        cases.extend(crate::memory::cases());
        cases.extend(crate::bindings::cases());
        cases.extend(crate::sockets::cases());
        cases.extend(crate::others::cases());
        cases
    })
}
