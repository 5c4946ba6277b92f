//! Digests in steps, for `crypto.DigestStream`, and MD5, which Web Crypto has not.

use std::cell::RefCell;

use bytes::Bytes;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;
use md5::Md5;
use sha1::Digest as _;
use sha1::Sha1;
use sha2::Sha256;
use sha2::Sha384;
use sha2::Sha512;

use crate::seam;

/// Why there is no digest.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum DigestError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class("DOMExceptionNotSupportedError")]
    #[error("Unrecognized name of a digest algorithm: {0}")]
    Unknown(String),
}

enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

// === impl Hasher ===

impl Hasher {
    fn new(name: &str) -> Result<Self, DigestError> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5(Md5::new()),
            "SHA-1" => Self::Sha1(Sha1::new()),
            "SHA-256" => Self::Sha256(Sha256::new()),
            "SHA-384" => Self::Sha384(Sha384::new()),
            "SHA-512" => Self::Sha512(Sha512::new()),
            _ => return Err(DigestError::Unknown(name.to_owned())),
        })
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::Md5(hasher) => Bytes::copy_from_slice(&hasher.finalize()),
            Self::Sha1(hasher) => Bytes::copy_from_slice(&hasher.finalize()),
            Self::Sha256(hasher) => Bytes::copy_from_slice(&hasher.finalize()),
            Self::Sha384(hasher) => Bytes::copy_from_slice(&hasher.finalize()),
            Self::Sha512(hasher) => Bytes::copy_from_slice(&hasher.finalize()),
        }
    }
}

/// The digest of a view, at once.
#[op2]
pub fn op_digest<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] name: &str,
    data: v8::Local<'s, v8::ArrayBufferView>,
) -> Result<v8::Local<'s, v8::Value>, DigestError> {
    let mut hasher = Hasher::new(name)?;
    let charge = seam::kept_bytes_of(scope, &*seam::state(scope)?, data)?;
    hasher.update(&charge);
    Ok(seam::uint8_array(scope, hasher.finish()))
}

/// Begins a digest.
#[op2(fast)]
#[smi]
pub fn op_digest_new(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[string] name: &str,
) -> Result<u32, DigestError> {
    let hasher = Hasher::new(name)?;
    Ok(seam::state(scope)?.add_resource(owner, RefCell::new(Some(hasher)))?)
}

#[op2(nofast)]
pub fn op_digest_update<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    data: v8::Local<'s, v8::ArrayBufferView>,
) -> Result<(), StateError> {
    let state = seam::state(scope)?;
    let hasher = state.resource::<RefCell<Option<Hasher>>>(owner, id)?;
    let bytes = seam::kept_bytes_of(scope, &state, data)?;
    if let Some(hasher) = hasher.borrow_mut().as_mut() {
        hasher.update(&bytes);
    }
    Ok(())
}

/// The digest of what it was given.
#[op2]
pub fn op_digest_finish<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let hasher = state.resource::<RefCell<Option<Hasher>>>(owner, id)?.borrow_mut().take();
    state.drop_resource(owner, id);
    let digest = hasher.map(Hasher::finish).unwrap_or_default();
    Ok(seam::uint8_array(scope, digest))
}
