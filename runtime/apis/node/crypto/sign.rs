//! Signatures, and encryption with RSA keys.

use aws_lc_rs::rsa;
use aws_lc_rs::signature;
use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;
use deno_core::op2;
use deno_core::v8;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

use super::CryptoError;
use super::digest;
use super::key::Inner;
use super::key::Key;
use super::key::Kind;
use crate::seam;

/// How a message is signed.
struct Scheme<'a> {
    hash: &'a str,
    /// RSASSA-PSS, with a salt as long as the hash; else PKCS #1 v1.5.
    pss: bool,
    /// The signature of a curve is `r` and `s` one after the other (IEEE P1363); else DER.
    plain: bool,
}

// === impl Scheme ===

impl Scheme<'_> {
    fn rsa_signing(&self) -> Result<&'static dyn signature::RsaEncoding, CryptoError> {
        Ok(match (self.hash, self.pss) {
            ("sha256", false) => &signature::RSA_PKCS1_SHA256,
            ("sha384", false) => &signature::RSA_PKCS1_SHA384,
            ("sha512", false) => &signature::RSA_PKCS1_SHA512,
            ("sha256", true) => &signature::RSA_PSS_SHA256,
            ("sha384", true) => &signature::RSA_PSS_SHA384,
            ("sha512", true) => &signature::RSA_PSS_SHA512,
            _ => return Err(RSA_HASH),
        })
    }

    fn rsa_verification(&self) -> Result<&'static dyn VerificationAlgorithm, CryptoError> {
        Ok(match (self.hash, self.pss) {
            ("sha1", false) => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            ("sha256", false) => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            ("sha384", false) => &signature::RSA_PKCS1_2048_8192_SHA384,
            ("sha512", false) => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            ("sha256", true) => &signature::RSA_PSS_2048_8192_SHA256,
            ("sha384", true) => &signature::RSA_PSS_2048_8192_SHA384,
            ("sha512", true) => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return Err(RSA_HASH),
        })
    }

    /// The hash of the message, not shorter than a scalar of the curve.
    fn prehash(&self, message: &[u8], field: usize) -> Result<Vec<u8>, CryptoError> {
        let (mut hash, _) = digest::by_name(self.hash).ok_or(CryptoError::Digest)?;
        hash.update(message);
        let hash = hash.finalize().into_vec();
        let mut padded = vec![0; field.saturating_sub(hash.len())];
        padded.extend_from_slice(&hash);
        Ok(padded)
    }
}

const RSA_HASH: CryptoError = CryptoError::Limit(
    "RSA signs with sha256, sha384 and sha512 (and verifies sha1 with PKCS #1), with a salt as long as the hash",
);

fn sign(key: &Key<'_>, scheme: &Scheme<'_>, pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    macro_rules! ecdsa {
        ($curve:ident, $scalar:expr, $field:expr) => {{
            let signer = $curve::ecdsa::SigningKey::from_slice($scalar).map_err(|_| CryptoError::Operation)?;
            let prehash = scheme.prehash(message, $field)?;
            let made: $curve::ecdsa::Signature = signer.sign_prehash(&prehash).map_err(|_| CryptoError::Operation)?;
            if scheme.plain { made.to_bytes().to_vec() } else { made.to_der().as_bytes().to_vec() }
        }};
    }
    Ok(match (key.kind, &key.inner) {
        (Kind::Rsa, _) => {
            let encoding = scheme.rsa_signing()?;
            let pair = signature::RsaKeyPair::from_pkcs8(pkcs8)
                .map_err(|_| CryptoError::Key("RSA signs with keys of 2048 bits and more"))?;
            let mut made = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &aws_lc_rs::rand::SystemRandom::new(), message, &mut made)
                .map_err(|_| CryptoError::Operation)?;
            made
        }
        (Kind::P256, Inner::Scalar(scalar)) => ecdsa!(p256, scalar, 32),
        (Kind::P384, Inner::Scalar(scalar)) => ecdsa!(p384, scalar, 48),
        (Kind::P521, Inner::Scalar(scalar)) => ecdsa!(p521, scalar, 66),
        (Kind::Ed25519, Inner::Scalar(seed)) => {
            let pair = signature::Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::Operation)?;
            pair.sign(message).as_ref().to_vec()
        }
        _ => return Err(CryptoError::Operation),
    })
}

fn verify(key: &Key<'_>, scheme: &Scheme<'_>, message: &[u8], made: &[u8]) -> Result<bool, CryptoError> {
    macro_rules! ecdsa {
        ($curve:ident, $point:expr, $field:expr) => {{
            let verifier = $curve::ecdsa::VerifyingKey::from_sec1_bytes($point).map_err(|_| CryptoError::Operation)?;
            let parsed = if scheme.plain {
                $curve::ecdsa::Signature::from_slice(made)
            } else {
                $curve::ecdsa::Signature::from_der(made)
            };
            let Ok(parsed) = parsed else { return Ok(false) };
            verifier.verify_prehash(&scheme.prehash(message, $field)?, &parsed).is_ok()
        }};
    }
    let public = key.public_bytes()?;
    Ok(match key.kind {
        Kind::Rsa => UnparsedPublicKey::new(scheme.rsa_verification()?, &public).verify(message, made).is_ok(),
        Kind::P256 => ecdsa!(p256, &public, 32),
        Kind::P384 => ecdsa!(p384, &public, 48),
        Kind::P521 => ecdsa!(p521, &public, 66),
        Kind::Ed25519 => UnparsedPublicKey::new(&signature::ED25519, &public).verify(message, made).is_ok(),
        Kind::X25519 => return Err(CryptoError::Operation),
    })
}

#[op2]
pub fn op_node_sign<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] pkcs8: &[u8],
    #[string] hash: &str,
    pss: bool,
    plain: bool,
    #[anybuffer] message: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let key = Key::private(pkcs8)?;
    let made = sign(&key, &Scheme { hash, pss, plain }, pkcs8, message)?;
    Ok(seam::uint8_array(scope, made.into()))
}

/// `der` is that of a private or of a public key.
#[op2]
pub fn op_node_verify(
    #[anybuffer] der: &[u8],
    is_private: bool,
    #[string] hash: &str,
    pss: bool,
    plain: bool,
    #[anybuffer] message: &[u8],
    #[anybuffer] made: &[u8],
) -> Result<bool, CryptoError> {
    let key = if is_private { Key::private(der)? } else { Key::public(der)? };
    verify(&key, &Scheme { hash, pss, plain }, message, made)
}

/// RSAES-OAEP; `hash` is also that of its mask.
#[op2]
pub fn op_node_rsa_oaep<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] der: &[u8],
    encrypts: bool,
    #[string] hash: &str,
    #[anybuffer] label: &[u8],
    #[anybuffer] message: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let algorithm = match hash {
        "sha1" => &rsa::OAEP_SHA1_MGF1SHA1,
        "sha256" => &rsa::OAEP_SHA256_MGF1SHA256,
        "sha384" => &rsa::OAEP_SHA384_MGF1SHA384,
        "sha512" => &rsa::OAEP_SHA512_MGF1SHA512,
        _ => return Err(CryptoError::Digest),
    };
    let label = (!label.is_empty()).then_some(label);
    let small = |_| CryptoError::Key("RSA encrypts with keys of 2048 bits and more");
    let failed = |_| CryptoError::Operation;
    let result = if encrypts {
        let _: Key<'_> = Key::public(der)?;
        let key = rsa::PublicEncryptingKey::from_der(der).map_err(small)?;
        let key = rsa::OaepPublicEncryptingKey::new(key).map_err(failed)?;
        let mut output = vec![0; key.ciphertext_size()];
        key.encrypt(algorithm, message, &mut output, label).map_err(failed)?.to_vec()
    } else {
        let _: Key<'_> = Key::private(der)?;
        let key = rsa::PrivateDecryptingKey::from_pkcs8(der).map_err(small)?;
        let key = rsa::OaepPrivateDecryptingKey::new(key).map_err(failed)?;
        let mut output = vec![0; key.min_output_size()];
        key.decrypt(algorithm, message, &mut output, label).map_err(failed)?.to_vec()
    };
    Ok(seam::uint8_array(scope, result.into()))
}
