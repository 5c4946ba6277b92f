//! Keys from passwords and secrets: PBKDF2 (RFC 8018), HKDF (RFC 5869), scrypt (RFC 7914).

use deno_core::op2;
use deno_core::v8;
use holm_isolate::Account;
use holm_isolate::StateError;

use super::CryptoError;
use super::digest::Hmac;
use crate::seam;

/// The platform's own bound.
const PBKDF2_ITERATIONS: u32 = 100_000;
/// Iterations between two looks at whether the turn is to end.
const PIECE: u32 = 1_000;
/// Bytes that one call may derive.
const LONGEST: usize = 1 << 20;
/// scrypt cannot be ended: N * r * p that takes a fraction of a second.
const SCRYPT_WORK: u64 = 1 << 19;

#[op2]
pub fn op_node_pbkdf2<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] hash: &str,
    #[anybuffer] password: &[u8],
    #[anybuffer] salt: &[u8],
    iterations: u32,
    length: u32,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let state = seam::state(scope)?;
    if iterations > PBKDF2_ITERATIONS {
        return Err(CryptoError::Limit("Pbkdf2 failed: iteration counts above 100000 are not supported"));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(CryptoError::Limit("Pbkdf2 failed: more than 1 MiB cannot be derived in one call"));
    }
    let hmac = Hmac::new(hash, password).ok_or(CryptoError::Digest)?;
    let derived = pbkdf2(state.memory(), &hmac, salt, iterations, length);
    Ok(seam::uint8_array(scope, derived.into()))
}

fn pbkdf2(account: &Account, hmac: &Hmac, salt: &[u8], iterations: u32, length: usize) -> Vec<u8> {
    let mut derived = Vec::with_capacity(length + hmac.length());
    let mut block = 0u32;
    while derived.len() < length {
        block += 1;
        let mut first = hmac.clone();
        first.update(salt);
        first.update(&block.to_be_bytes());
        let mut last = first.finish();
        let mut sum = last.clone();
        for iteration in 1..iterations {
            if iteration % PIECE == 0 && account.is_terminating() {
                return vec![0; length];
            }
            let mut next = hmac.clone();
            next.update(&last);
            last = next.finish();
            for (sum, byte) in sum.iter_mut().zip(&last) {
                *sum ^= byte;
            }
        }
        derived.extend_from_slice(&sum);
    }
    derived.truncate(length);
    derived
}

#[op2]
pub fn op_node_hkdf<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] hash: &str,
    #[anybuffer] key: &[u8],
    #[anybuffer] salt: &[u8],
    #[anybuffer] info: &[u8],
    length: u32,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut extract = Hmac::new(hash, salt).ok_or(CryptoError::Digest)?;
    if length > 255 * extract.length() {
        return Err(CryptoError::Limit("Invalid key length"));
    }
    extract.update(key);
    let expand = Hmac::new(hash, &extract.finish()).ok_or(CryptoError::Digest)?;
    let mut derived = Vec::with_capacity(length + expand.length());
    let mut last = Vec::new();
    for counter in 1..=255u8 {
        if derived.len() >= length {
            break;
        }
        let mut next = expand.clone();
        next.update(&last);
        next.update(info);
        next.update(&[counter]);
        last = next.finish();
        derived.extend_from_slice(&last);
    }
    derived.truncate(length);
    Ok(seam::uint8_array(scope, derived.into()))
}

#[op2]
pub fn op_node_scrypt<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] password: &[u8],
    #[anybuffer] salt: &[u8],
    cost: u32,
    block_size: u32,
    parallelization: u32,
    length: u32,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let state = seam::state(scope)?;
    let work = u64::from(cost).saturating_mul(u64::from(block_size)).saturating_mul(u64::from(parallelization));
    if work > SCRYPT_WORK {
        return Err(CryptoError::Limit("Scrypt failed: N * r * p above 524288 is not supported"));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(CryptoError::Limit("Scrypt failed: more than 1 MiB cannot be derived in one call"));
    }
    let invalid = CryptoError::Limit("Invalid scrypt params");
    if !cost.is_power_of_two() || cost < 2 {
        return Err(invalid);
    }
    let log_cost = u8::try_from(cost.trailing_zeros()).unwrap_or(u8::MAX);
    let Ok(params) = scrypt::Params::new(log_cost, block_size, parallelization, 32) else { return Err(invalid) };
    let memory = 128 * usize::try_from(u64::from(block_size) * u64::from(cost + parallelization)).unwrap_or(usize::MAX);
    let _charge = state.memory().try_charge(memory).map_err(StateError::from)?;
    let mut derived = vec![0; length];
    if length > 0 {
        scrypt::scrypt(password, salt, &params, &mut derived)
            .map_err(|_| CryptoError::Limit("Invalid scrypt params"))?;
    }
    Ok(seam::uint8_array(scope, derived.into()))
}

/// Whether the bytes are equal, in a time that does not depend on where they differ.
#[op2]
pub fn op_node_timing_safe_equal(#[anybuffer] left: &[u8], #[anybuffer] right: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    left.ct_eq(right).into()
}
