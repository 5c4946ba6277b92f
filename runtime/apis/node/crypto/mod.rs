//! The algorithms of the module `crypto`. Keys and values cross as bytes; what a key is, the shim knows.
//!
//! All of it runs within the turn that asks for it and is charged there. What takes long looks at whether the turn is to end;
//! what cannot look is bounded before it starts.

pub mod cipher;
pub mod derive;
pub mod digest;
pub mod key;
pub mod sign;

/// Why there is no result. The shim gives Node.js's codes to them.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum CryptoError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] holm_isolate::StateError),
    #[class(generic)]
    #[error("Digest method not supported")]
    Digest,
    #[class(generic)]
    #[error("Digest already called")]
    Finished,
    #[class(generic)]
    #[error("Unknown cipher")]
    Cipher,
    #[class(range)]
    #[error("Invalid key length")]
    KeyLength,
    #[class(type)]
    #[error("Invalid initialization vector")]
    Iv,
    #[class(generic)]
    #[error("wrong final block length")]
    FinalBlock,
    #[class(generic)]
    #[error("bad decrypt")]
    Decrypt,
    #[class(generic)]
    #[error("Unsupported state or unable to authenticate data")]
    Tag,
    #[class(generic)]
    #[error("Unsupported state")]
    Order,
    #[class(generic)]
    #[error("The key cannot be read: {0}")]
    Key(&'static str),
    #[class(generic)]
    #[error("The operation is not supported for this key")]
    Operation,
    #[class(generic)]
    #[error("{0}")]
    Limit(&'static str),
}
