//! `createCipheriv` and `createDecipheriv`: AES in the modes CBC, CTR, ECB and GCM, fed in pieces.

use std::cell::RefCell;
use std::ffi::CStr;
use std::sync::Arc;

use aes::Aes128;
use aes::Aes192;
use aes::Aes256;
use aes::cipher::Block;
use aes::cipher::BlockCipher;
use aes::cipher::BlockDecrypt;
use aes::cipher::BlockDecryptMut;
use aes::cipher::BlockEncrypt;
use aes::cipher::BlockEncryptMut;
use aes::cipher::BlockSizeUser;
use aes::cipher::KeyInit;
use aes::cipher::KeyIvInit;
use aes::cipher::StreamCipher;
use aes::cipher::consts::U16;
use deno_core::op2;
use deno_core::v8;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use holm_isolate::Account;

use super::CryptoError;
use crate::seam;

const BLOCK: usize = 16;
/// Bytes between two looks at whether the turn is to end.
const PIECE: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Cbc,
    Ctr,
    Ecb,
    Gcm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// Whole blocks, in place.
trait Blocks {
    fn apply(&mut self, blocks: &mut [u8]);
}

struct CbcEncrypt<A: BlockCipher + BlockEncryptMut>(cbc::Encryptor<A>);
struct CbcDecrypt<A: BlockCipher + BlockDecryptMut>(cbc::Decryptor<A>);
struct EcbEncrypt<A>(A);
struct EcbDecrypt<A>(A);
struct Stream<S>(S);

impl<A> Blocks for CbcEncrypt<A>
where
    A: BlockCipher + BlockEncryptMut + BlockSizeUser<BlockSize = U16>,
{
    fn apply(&mut self, blocks: &mut [u8]) {
        for block in blocks.chunks_exact_mut(BLOCK) {
            self.0.encrypt_block_mut(Block::<A>::from_mut_slice(block));
        }
    }
}

impl<A> Blocks for CbcDecrypt<A>
where
    A: BlockCipher + BlockDecryptMut + BlockSizeUser<BlockSize = U16>,
{
    fn apply(&mut self, blocks: &mut [u8]) {
        for block in blocks.chunks_exact_mut(BLOCK) {
            self.0.decrypt_block_mut(Block::<A>::from_mut_slice(block));
        }
    }
}

impl<A: BlockEncrypt + BlockSizeUser<BlockSize = U16>> Blocks for EcbEncrypt<A> {
    fn apply(&mut self, blocks: &mut [u8]) {
        for block in blocks.chunks_exact_mut(BLOCK) {
            self.0.encrypt_block(Block::<A>::from_mut_slice(block));
        }
    }
}

impl<A: BlockDecrypt + BlockSizeUser<BlockSize = U16>> Blocks for EcbDecrypt<A> {
    fn apply(&mut self, blocks: &mut [u8]) {
        for block in blocks.chunks_exact_mut(BLOCK) {
            self.0.decrypt_block(Block::<A>::from_mut_slice(block));
        }
    }
}

impl<S: StreamCipher> Blocks for Stream<S> {
    fn apply(&mut self, blocks: &mut [u8]) {
        self.0.apply_keystream(blocks);
    }
}

/// NIST SP 800-38D, around the keystream.
struct Gcm {
    ghash: GHash,
    /// What is XORed to the hash for the tag.
    mask: [u8; BLOCK],
    /// Ciphertext that does not fill a block yet.
    partial: Vec<u8>,
    aad_bytes: u64,
    text_bytes: u64,
    expected: Option<Vec<u8>>,
    tag: Option<[u8; BLOCK]>,
}

struct Running {
    mode: Mode,
    direction: Direction,
    blocks: Box<dyn Blocks>,
    gcm: Option<Gcm>,
    /// What does not fill a block yet; a decryptor keeps the last whole block, too, since it may be padding.
    held: Vec<u8>,
    padding: bool,
    finished: bool,
}

/// A cipher with its key.
pub struct Cipher {
    running: RefCell<Running>,
    account: Arc<Account>,
}

// SAFETY: it holds no handle into the engine.
#[allow(unsafe_code)]
unsafe impl deno_core::GarbageCollected for Cipher {
    fn trace(&self, _visitor: &mut v8::cppgc::Visitor) {}

    fn get_name(&self) -> &'static CStr {
        c"Cipher"
    }
}

/// `(key bytes, mode)` of Node.js's name.
fn by_name(name: &str) -> Option<(usize, Mode)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("id-").unwrap_or(&name);
    // `aes128` is in the mode CBC; OpenSSL's own name of GCM is `id-aes128-GCM`.
    let rest = name.strip_prefix("aes")?;
    let (bits, mode) = rest.strip_prefix('-').unwrap_or(rest).split_once('-').unwrap_or((rest, "cbc"));
    let bytes = match bits {
        "128" => 16,
        "192" => 24,
        "256" => 32,
        _ => return None,
    };
    let mode = match mode {
        "cbc" => Mode::Cbc,
        "ctr" => Mode::Ctr,
        "ecb" => Mode::Ecb,
        "gcm" => Mode::Gcm,
        _ => return None,
    };
    Some((bytes, mode))
}

// === impl Gcm ===

impl Gcm {
    /// With the counter block that the keystream begins after.
    fn new<A>(key: &[u8], iv: &[u8]) -> Option<(Self, [u8; BLOCK])>
    where
        A: KeyInit + BlockEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        let cipher = A::new_from_slice(key).ok()?;
        let mut h = Block::<A>::default();
        cipher.encrypt_block(&mut h);
        let ghash = <GHash as ghash::universal_hash::KeyInit>::new_from_slice(&h).ok()?;
        let mut counter = [0; BLOCK];
        if iv.len() == 12 {
            counter.get_mut(..12)?.copy_from_slice(iv);
            counter[15] = 1;
        } else {
            let mut hash = ghash.clone();
            hash.update_padded(iv);
            let mut lengths = [0; BLOCK];
            lengths.get_mut(8..)?.copy_from_slice(&(u64::try_from(iv.len()).ok()? * 8).to_be_bytes());
            hash.update(&[lengths.into()]);
            counter.copy_from_slice(&hash.finalize());
        }
        let mut mask = Block::<A>::clone_from_slice(&counter);
        cipher.encrypt_block(&mut mask);
        let gcm = Self {
            ghash,
            mask: mask.into(),
            partial: Vec::new(),
            aad_bytes: 0,
            text_bytes: 0,
            expected: None,
            tag: None,
        };
        Some((gcm, counter))
    }

    fn add(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if !self.partial.is_empty() {
            let take = (BLOCK - self.partial.len()).min(rest.len());
            let (head, tail) = rest.split_at(take);
            self.partial.extend_from_slice(head);
            rest = tail;
            if self.partial.len() == BLOCK {
                self.ghash.update_padded(&std::mem::take(&mut self.partial));
            }
        }
        let whole = rest.len() - rest.len() % BLOCK;
        let (head, tail) = rest.split_at(whole);
        self.ghash.update_padded(head);
        self.partial.extend_from_slice(tail);
    }

    /// What comes is of another kind: the last block is filled with zeros.
    fn pad(&mut self) {
        if !self.partial.is_empty() {
            self.ghash.update_padded(&std::mem::take(&mut self.partial));
        }
    }

    fn text(&mut self, ciphertext: &[u8]) {
        if self.text_bytes == 0 {
            self.pad();
        }
        self.text_bytes += ciphertext.len() as u64;
        self.add(ciphertext);
    }

    fn finish(&mut self) -> [u8; BLOCK] {
        self.pad();
        let mut lengths = [0; BLOCK];
        let (aad, text) = lengths.split_at_mut(8);
        aad.copy_from_slice(&(self.aad_bytes * 8).to_be_bytes());
        text.copy_from_slice(&(self.text_bytes * 8).to_be_bytes());
        self.ghash.update(&[lengths.into()]);
        let mut tag: [u8; BLOCK] = self.ghash.clone().finalize().into();
        for (tag, mask) in tag.iter_mut().zip(&self.mask) {
            *tag ^= mask;
        }
        tag
    }
}

// === impl Running ===

impl Running {
    fn new<A>(mode: Mode, direction: Direction, key: &[u8], iv: &[u8]) -> Result<Self, CryptoError>
    where
        A: KeyInit
            + BlockCipher
            + BlockEncrypt
            + BlockDecrypt
            + BlockEncryptMut
            + BlockDecryptMut
            + BlockSizeUser<BlockSize = U16>
            + Clone
            + 'static,
    {
        let cipher = A::new_from_slice(key).map_err(|_| CryptoError::KeyLength)?;
        let bad_iv = |_| CryptoError::Iv;
        let mut gcm = None;
        let blocks: Box<dyn Blocks> = match (mode, direction) {
            (Mode::Cbc, Direction::Encrypt) => {
                Box::new(CbcEncrypt(cbc::Encryptor::<A>::new_from_slices(key, iv).map_err(bad_iv)?))
            }
            (Mode::Cbc, Direction::Decrypt) => {
                Box::new(CbcDecrypt(cbc::Decryptor::<A>::new_from_slices(key, iv).map_err(bad_iv)?))
            }
            (Mode::Ctr, _) => Box::new(Stream(ctr::Ctr128BE::<A>::new_from_slices(key, iv).map_err(bad_iv)?)),
            (Mode::Ecb, _) if !iv.is_empty() => return Err(CryptoError::Iv),
            (Mode::Ecb, Direction::Encrypt) => Box::new(EcbEncrypt(cipher)),
            (Mode::Ecb, Direction::Decrypt) => Box::new(EcbDecrypt(cipher)),
            (Mode::Gcm, _) => {
                if iv.is_empty() {
                    return Err(CryptoError::Iv);
                }
                let (state, counter) = Gcm::new::<A>(key, iv).ok_or(CryptoError::Iv)?;
                gcm = Some(state);
                let mut keystream = ctr::Ctr32BE::<A>::new_from_slices(key, &counter).map_err(bad_iv)?;
                // The first block is the tag's mask.
                keystream.apply_keystream(&mut [0; BLOCK]);
                Box::new(Stream(keystream))
            }
        };
        Ok(Self { mode, direction, blocks, gcm, held: Vec::new(), padding: true, finished: false })
    }

    fn is_stream(&self) -> bool {
        matches!(self.mode, Mode::Ctr | Mode::Gcm)
    }

    fn update(&mut self, account: &Account, input: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if self.finished {
            return Err(CryptoError::Order);
        }
        let mut output = if self.is_stream() {
            input.to_vec()
        } else {
            self.held.extend_from_slice(input);
            let keeps = self.direction == Direction::Decrypt && self.padding;
            let spare = if keeps { self.held.len().saturating_sub(1) } else { self.held.len() };
            let rest = self.held.split_off(spare - spare % BLOCK);
            std::mem::replace(&mut self.held, rest)
        };
        for piece in output.chunks_mut(PIECE) {
            if account.is_terminating() {
                break;
            }
            match (&mut self.gcm, self.direction) {
                (Some(gcm), Direction::Encrypt) => {
                    self.blocks.apply(piece);
                    gcm.text(piece);
                }
                (Some(gcm), Direction::Decrypt) => {
                    gcm.text(piece);
                    self.blocks.apply(piece);
                }
                (None, _) => self.blocks.apply(piece),
            }
        }
        Ok(output)
    }

    fn finish(&mut self) -> Result<Vec<u8>, CryptoError> {
        if self.finished {
            return Err(CryptoError::Order);
        }
        self.finished = true;
        if let Some(gcm) = &mut self.gcm {
            let tag = gcm.finish();
            if self.direction == Direction::Decrypt {
                use subtle::ConstantTimeEq as _;
                let expected = gcm.expected.as_deref().ok_or(CryptoError::Tag)?;
                let computed = tag.get(..expected.len()).ok_or(CryptoError::Tag)?;
                if !bool::from(computed.ct_eq(expected)) {
                    return Err(CryptoError::Tag);
                }
            }
            gcm.tag = Some(tag);
            return Ok(Vec::new());
        }
        if self.is_stream() {
            return Ok(Vec::new());
        }
        let mut last = std::mem::take(&mut self.held);
        match (self.direction, self.padding) {
            (_, false) if last.is_empty() => Ok(last),
            (_, false) => Err(CryptoError::FinalBlock),
            (Direction::Encrypt, true) => {
                let count = BLOCK - last.len() % BLOCK;
                last.resize(last.len() + count, u8::try_from(count).unwrap_or(16));
                self.blocks.apply(&mut last);
                Ok(last)
            }
            (Direction::Decrypt, true) => {
                if last.len() != BLOCK {
                    return Err(CryptoError::FinalBlock);
                }
                self.blocks.apply(&mut last);
                let count = last.last().copied().map_or(0, usize::from);
                let padding = BLOCK.checked_sub(count).and_then(|start| last.get(start..));
                let good =
                    count > 0 && padding.is_some_and(|bytes| bytes.iter().all(|byte| usize::from(*byte) == count));
                if !good {
                    return Err(CryptoError::Decrypt);
                }
                last.truncate(BLOCK - count);
                Ok(last)
            }
        }
    }
}

/// `[key bytes, IV bytes, mode]` of a cipher; `undefined` if there is none of this name.
#[op2]
pub fn op_node_cipher_info<'s>(scope: &mut v8::PinScope<'s, '_>, #[string] name: &str) -> v8::Local<'s, v8::Value> {
    let Some((key, mode)) = by_name(name) else { return v8::undefined(scope).into() };
    let (iv, mode) = match mode {
        Mode::Cbc => (BLOCK, "cbc"),
        Mode::Ctr => (BLOCK, "ctr"),
        Mode::Ecb => (0, "ecb"),
        Mode::Gcm => (12, "gcm"),
    };
    let key = v8::Number::new(scope, key as f64).into();
    let iv = v8::Number::new(scope, iv as f64).into();
    let mode = seam::text(scope, mode);
    seam::inner_list(scope, &[key, iv, mode])
}

#[op2]
#[cppgc]
pub fn op_node_cipher(
    scope: &mut v8::PinScope<'_, '_>,
    #[string] name: &str,
    encrypts: bool,
    #[anybuffer] key: &[u8],
    #[anybuffer] iv: &[u8],
) -> Result<Cipher, CryptoError> {
    let (bytes, mode) = by_name(name).ok_or(CryptoError::Cipher)?;
    if key.len() != bytes {
        return Err(CryptoError::KeyLength);
    }
    let direction = if encrypts { Direction::Encrypt } else { Direction::Decrypt };
    let running = match bytes {
        16 => Running::new::<Aes128>(mode, direction, key, iv)?,
        24 => Running::new::<Aes192>(mode, direction, key, iv)?,
        _ => Running::new::<Aes256>(mode, direction, key, iv)?,
    };
    Ok(Cipher { running: RefCell::new(running), account: Arc::clone(seam::state(scope)?.memory()) })
}

#[op2]
pub fn op_node_cipher_update<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] cipher: &Cipher,
    #[anybuffer] input: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    // For as long as it is in two places.
    let _charge = cipher.account.try_charge(input.len()).map_err(holm_isolate::StateError::from)?;
    let output = cipher.running.borrow_mut().update(&cipher.account, input)?;
    Ok(seam::uint8_array(scope, output.into()))
}

#[op2]
pub fn op_node_cipher_finish<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] cipher: &Cipher,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let output = cipher.running.borrow_mut().finish()?;
    Ok(seam::uint8_array(scope, output.into()))
}

/// What is authenticated and not encrypted.
#[op2]
pub fn op_node_cipher_aad(#[cppgc] cipher: &Cipher, #[anybuffer] aad: &[u8]) -> Result<(), CryptoError> {
    let mut running = cipher.running.borrow_mut();
    if running.finished {
        return Err(CryptoError::Order);
    }
    let gcm = running.gcm.as_mut().filter(|gcm| gcm.text_bytes == 0).ok_or(CryptoError::Order)?;
    for piece in aad.chunks(PIECE) {
        if cipher.account.is_terminating() {
            break;
        }
        gcm.aad_bytes += piece.len() as u64;
        gcm.add(piece);
    }
    Ok(())
}

/// The tag that the text has to have; or, without one, the tag of the text that was encrypted.
#[op2]
pub fn op_node_cipher_tag<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[cppgc] cipher: &Cipher,
    #[anybuffer] expected: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let mut running = cipher.running.borrow_mut();
    let (direction, finished) = (running.direction, running.finished);
    let gcm = running.gcm.as_mut().ok_or(CryptoError::Order)?;
    if direction == Direction::Decrypt {
        if finished || gcm.expected.is_some() || expected.is_empty() || expected.len() > BLOCK {
            return Err(CryptoError::Order);
        }
        gcm.expected = Some(expected.to_vec());
        return Ok(v8::undefined(scope).into());
    }
    let tag = gcm.tag.ok_or(CryptoError::Order)?;
    Ok(seam::uint8_array(scope, tag.to_vec().into()))
}

#[op2(fast)]
pub fn op_node_cipher_padding(#[cppgc] cipher: &Cipher, on: bool) {
    cipher.running.borrow_mut().padding = on;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_node() {
        assert_eq!(by_name("aes-256-cbc"), Some((32, Mode::Cbc)));
        assert_eq!(by_name("AES-128-GCM"), Some((16, Mode::Gcm)));
        assert_eq!(by_name("aes192"), Some((24, Mode::Cbc)));
        assert_eq!(by_name("id-aes256-GCM"), Some((32, Mode::Gcm)));
        assert_eq!(by_name("aes-512-cbc"), None);
        assert_eq!(by_name("des-ede3"), None);
    }
}
