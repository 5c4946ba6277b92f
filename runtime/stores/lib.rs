//! What isolates ask of the world, answered: implementations of the traits in `holm-apis`.
//!
//! Nothing here knows V8. Every call arrives as owned data, runs on the front runtime and answers with owned data.

pub mod cache;
pub mod fetch;
