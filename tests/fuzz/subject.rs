//! The files under test. `tests/fuzzing.rs` has a module of the same shape, made of the crates themselves.

#[path = "../../runtime/front/authority.rs"]
pub mod authority;
#[path = "../../runtime/isolate/cdn_loop.rs"]
pub mod cdn_loop;
#[path = "../../runtime/stores/fetch/coding.rs"]
pub mod coding;
#[path = "../../runtime/apis/fetch/data_url.rs"]
pub mod data_url;
#[path = "../../runtime/stores/fetch/egress/public.rs"]
pub mod public;
#[path = "../../runtime/apis/fetch/target.rs"]
pub mod target;

pub use holm_config as config;
