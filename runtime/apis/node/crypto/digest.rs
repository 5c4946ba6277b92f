//! Hashes, and HMAC over each of them.

use std::cell::RefCell;
use std::ffi::CStr;
use std::sync::Arc;

use deno_core::op2;
use deno_core::v8;
use digest::DynDigest;
use holm_isolate::Account;

use super::CryptoError;
use crate::seam;

/// Bytes between two looks at whether the turn is to end.
const PIECE: usize = 1 << 20;

/// A hash by Node.js's name for it, with the length of its blocks.
pub(super) fn by_name(name: &str) -> Option<(Box<dyn DynDigest>, usize)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("rsa-").unwrap_or(&name);
    Some(match name {
        "md5" => (Box::<md5::Md5>::default(), 64),
        "sha1" | "sha-1" => (Box::<sha1::Sha1>::default(), 64),
        "sha224" | "sha-224" => (Box::<sha2::Sha224>::default(), 64),
        "sha256" | "sha-256" => (Box::<sha2::Sha256>::default(), 64),
        "sha384" | "sha-384" => (Box::<sha2::Sha384>::default(), 128),
        "sha512" | "sha-512" => (Box::<sha2::Sha512>::default(), 128),
        "sha512-224" => (Box::<sha2::Sha512_224>::default(), 128),
        "sha512-256" => (Box::<sha2::Sha512_256>::default(), 128),
        "sha3-224" => (Box::<sha3::Sha3_224>::default(), 144),
        "sha3-256" => (Box::<sha3::Sha3_256>::default(), 136),
        "sha3-384" => (Box::<sha3::Sha3_384>::default(), 104),
        "sha3-512" => (Box::<sha3::Sha3_512>::default(), 72),
        _ => return None,
    })
}

/// RFC 2104, over any hash.
#[derive(Clone)]
pub(super) struct Hmac {
    inner: Box<dyn DynDigest>,
    outer: Box<dyn DynDigest>,
}

// === impl Hmac ===

impl Hmac {
    pub(super) fn new(hash: &str, key: &[u8]) -> Option<Self> {
        let (mut inner, block) = by_name(hash)?;
        let mut outer = inner.box_clone();
        let mut padded = if key.len() > block {
            let mut digest = inner.box_clone();
            digest.update(key);
            digest.finalize().into_vec()
        } else {
            key.to_vec()
        };
        padded.resize(block, 0);
        let with = |byte: u8| padded.iter().map(|key| key ^ byte).collect::<Vec<u8>>();
        inner.update(&with(0x36));
        outer.update(&with(0x5c));
        Some(Self { inner, outer })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.outer.update(&self.inner.finalize());
        self.outer.finalize().into_vec()
    }

    pub(super) fn length(&self) -> usize {
        self.inner.output_size()
    }
}

#[derive(Clone)]
enum Running {
    Hash(Box<dyn DynDigest>),
    Hmac(Hmac),
}

/// A hash or an HMAC that is fed.
pub struct Digest {
    running: RefCell<Option<Running>>,
    account: Arc<Account>,
}

// SAFETY: it holds no handle into the engine.
#[allow(unsafe_code)]
unsafe impl deno_core::GarbageCollected for Digest {
    fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

    fn get_name(&self) -> &'static CStr {
        c"Digest"
    }
}

fn made(scope: &v8::PinScope<'_, '_>, running: Running) -> Result<Digest, CryptoError> {
    let account = Arc::clone(seam::state(scope)?.memory());
    Ok(Digest { running: RefCell::new(Some(running)), account })
}

#[op2]
#[cppgc]
pub fn op_node_hash(scope: &mut v8::PinScope<'_, '_>, #[string] name: &str) -> Result<Digest, CryptoError> {
    let (hash, _) = by_name(name).ok_or(CryptoError::Digest)?;
    made(scope, Running::Hash(hash))
}

#[op2]
#[cppgc]
pub fn op_node_hmac(
    scope: &mut v8::PinScope<'_, '_>,
    #[string] name: &str,
    #[anybuffer] key: &[u8],
) -> Result<Digest, CryptoError> {
    let hmac = Hmac::new(name, key).ok_or(CryptoError::Digest)?;
    made(scope, Running::Hmac(hmac))
}

#[op2]
#[cppgc]
pub fn op_node_digest_copy(#[cppgc] digest: &Digest) -> Result<Digest, CryptoError> {
    let running = digest.running.borrow().clone().ok_or(CryptoError::Finished)?;
    Ok(Digest { running: RefCell::new(Some(running)), account: Arc::clone(&digest.account) })
}

#[op2]
pub fn op_node_digest_update(#[cppgc] digest: &Digest, #[anybuffer] bytes: &[u8]) -> Result<(), CryptoError> {
    let mut running = digest.running.borrow_mut();
    let running = running.as_mut().ok_or(CryptoError::Finished)?;
    for piece in bytes.chunks(PIECE) {
        if digest.account.is_terminating() {
            break;
        }
        match running {
            Running::Hash(hash) => hash.update(piece),
            Running::Hmac(hmac) => hmac.update(piece),
        }
    }
    Ok(())
}

#[op2]
pub fn op_node_digest_finish<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] digest: &Digest,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let bytes = match digest.running.borrow_mut().take().ok_or(CryptoError::Finished)? {
        Running::Hash(hash) => hash.finalize().into_vec(),
        Running::Hmac(hmac) => hmac.finish(),
    };
    Ok(seam::uint8_array(scope, bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, test cases 1 and 6.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let mut hmac = Hmac::new("sha256", &[0x0b; 20]).unwrap();
        hmac.update(b"Hi There");
        assert_eq!(hex(&hmac.finish()), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let mut hmac = Hmac::new("sha256", &[0xaa; 131]).unwrap();
        hmac.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&hmac.finish()), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn names_are_those_of_node() {
        for name in ["md5", "SHA256", "RSA-SHA512", "sha3-384"] {
            assert!(by_name(name).is_some(), "{name}");
        }
        assert!(by_name("md4").is_none());
    }
}
