//! What both sides of a handshake compute (RFC 6455 §1.3).

use std::hash::BuildHasher;
use std::hash::RandomState;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;
use sha1::Sha1;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a server proves with that it has read `key`.
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new_with_prefix(key).chain_update(GUID).finalize())
}

/// A key that no other handshake has. It is no secret: it keeps a cache from answering in the place of the server.
#[must_use]
pub fn handshake_key() -> String {
    let random: Vec<u8> = [0, 1].iter().flat_map(|half| RandomState::new().hash_one(half).to_ne_bytes()).collect();
    STANDARD.encode(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_accepted_as_there() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes_and_new_each_time() {
        let key = handshake_key();
        assert_eq!(STANDARD.decode(&key).unwrap().len(), 16);
        assert_ne!(key, handshake_key());
    }
}
