//! Asymmetric keys in the forms that they are written in. Inside there is one form for each: PKCS #8 for private keys,
//! SubjectPublicKeyInfo for public ones, both as DER.

use deno_core::op2;
use deno_core::v8;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use pkcs8::AlgorithmIdentifierRef;
use pkcs8::ObjectIdentifier;
use pkcs8::PrivateKeyInfo;
use pkcs8::der::AnyRef;
use pkcs8::der::Decode;
use pkcs8::der::Encode;
use pkcs8::der::asn1::BitStringRef;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::asn1::UintRef;
use spki::SubjectPublicKeyInfoRef;

use super::CryptoError;
use crate::seam;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

/// Bytes that a key is written in, at most: many times the largest one there is.
const LARGEST: usize = 64 << 10;
/// Of an RSA modulus. A larger one takes too long to use.
const RSA_BITS: std::ops::RangeInclusive<usize> = 512..=4096;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
    X25519,
}

/// A key, and what is known of it.
pub(super) struct Key<'a> {
    pub(super) kind: Kind,
    /// The innermost part: RSA as PKCS #1, the scalar or point of a curve, or 32 bytes.
    pub(super) inner: Inner<'a>,
}

pub(super) enum Inner<'a> {
    RsaPrivate(pkcs1::RsaPrivateKey<'a>),
    RsaPublic(pkcs1::RsaPublicKey<'a>),
    Scalar(&'a [u8]),
    Point(&'a [u8]),
}

const BAD: CryptoError = CryptoError::Key("it is not well-formed");
const UNKNOWN: CryptoError =
    CryptoError::Key("its algorithm is not supported; RSA, P-256, P-384, P-521, Ed25519 and X25519 are");

// === impl Kind ===

impl Kind {
    fn of(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Self, CryptoError> {
        Ok(match algorithm.oid {
            RSA => Self::Rsa,
            ED25519 => Self::Ed25519,
            X25519 => Self::X25519,
            EC => match algorithm.parameters_oid().map_err(|_| BAD)? {
                P256 => Self::P256,
                P384 => Self::P384,
                P521 => Self::P521,
                _ => return Err(UNKNOWN),
            },
            _ => return Err(UNKNOWN),
        })
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "rsa" => Self::Rsa,
            "prime256v1" | "P-256" => Self::P256,
            "secp384r1" | "P-384" => Self::P384,
            "secp521r1" | "P-521" => Self::P521,
            "ed25519" | "Ed25519" => Self::Ed25519,
            "x25519" | "X25519" => Self::X25519,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "prime256v1",
            Self::P384 => "secp384r1",
            Self::P521 => "secp521r1",
            Self::Ed25519 => "ed25519",
            Self::X25519 => "x25519",
        }
    }

    fn is_curve_of_nist(self) -> bool {
        matches!(self, Self::P256 | Self::P384 | Self::P521)
    }

    /// Bytes of a coordinate or scalar.
    fn field(self) -> usize {
        match self {
            Self::Rsa => 0,
            Self::P384 => 48,
            Self::P521 => 66,
            Self::P256 | Self::Ed25519 | Self::X25519 => 32,
        }
    }

    fn algorithm(self) -> AlgorithmIdentifierRef<'static> {
        let of = |oid, parameters| AlgorithmIdentifierRef { oid, parameters };
        match self {
            Self::Rsa => of(RSA, Some(AnyRef::NULL)),
            Self::P256 => of(EC, Some((&P256).into())),
            Self::P384 => of(EC, Some((&P384).into())),
            Self::P521 => of(EC, Some((&P521).into())),
            Self::Ed25519 => of(ED25519, None),
            Self::X25519 => of(X25519, None),
        }
    }
}

// === impl Key ===

impl<'a> Key<'a> {
    pub(super) fn private(der: &'a [u8]) -> Result<Self, CryptoError> {
        let info = PrivateKeyInfo::from_der(der).map_err(|_| BAD)?;
        let kind = Kind::of(&info.algorithm)?;
        let inner = match kind {
            Kind::Rsa => {
                let key = pkcs1::RsaPrivateKey::from_der(info.private_key).map_err(|_| BAD)?;
                check_modulus(&key.modulus)?;
                Inner::RsaPrivate(key)
            }
            Kind::P256 | Kind::P384 | Kind::P521 => {
                Inner::Scalar(sec1::EcPrivateKey::from_der(info.private_key).map_err(|_| BAD)?.private_key)
            }
            Kind::Ed25519 | Kind::X25519 => {
                Inner::Scalar(OctetStringRef::from_der(info.private_key).map_err(|_| BAD)?.as_bytes())
            }
        };
        Self { kind, inner }.checked()
    }

    pub(super) fn public(der: &'a [u8]) -> Result<Self, CryptoError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| BAD)?;
        let kind = Kind::of(&info.algorithm)?;
        let bytes = info.subject_public_key.as_bytes().ok_or(BAD)?;
        let inner = if kind == Kind::Rsa {
            let key = pkcs1::RsaPublicKey::from_der(bytes).map_err(|_| BAD)?;
            check_modulus(&key.modulus)?;
            Inner::RsaPublic(key)
        } else {
            Inner::Point(bytes)
        };
        Self { kind, inner }.checked()
    }

    fn checked(self) -> Result<Self, CryptoError> {
        let good = match &self.inner {
            Inner::RsaPrivate(_) | Inner::RsaPublic(_) => true,
            Inner::Scalar(scalar) => match self.kind {
                Kind::P256 => p256::SecretKey::from_slice(scalar).is_ok(),
                Kind::P384 => p384::SecretKey::from_slice(scalar).is_ok(),
                Kind::P521 => p521::SecretKey::from_slice(scalar).is_ok(),
                _ => scalar.len() == 32,
            },
            Inner::Point(point) => match self.kind {
                Kind::P256 => p256::PublicKey::from_sec1_bytes(point).is_ok(),
                Kind::P384 => p384::PublicKey::from_sec1_bytes(point).is_ok(),
                Kind::P521 => p521::PublicKey::from_sec1_bytes(point).is_ok(),
                _ => point.len() == 32,
            },
        };
        if good { Ok(self) } else { Err(BAD) }
    }

    /// The public half: PKCS #1 of RSA, an uncompressed point, or 32 bytes.
    pub(super) fn public_bytes(&self) -> Result<Vec<u8>, CryptoError> {
        match &self.inner {
            Inner::RsaPrivate(key) => key.public_key().to_der().map_err(|_| BAD),
            Inner::RsaPublic(key) => key.to_der().map_err(|_| BAD),
            Inner::Scalar(scalar) => point_of(self.kind, scalar),
            Inner::Point(point) => uncompressed(self.kind, point),
        }
    }

    fn modulus_bits(&self) -> usize {
        match &self.inner {
            Inner::RsaPrivate(key) => bits(&key.modulus),
            Inner::RsaPublic(key) => bits(&key.modulus),
            Inner::Scalar(_) | Inner::Point(_) => 0,
        }
    }
}

fn bits(number: &UintRef<'_>) -> usize {
    let bytes = number.as_bytes();
    let first = bytes.first().copied().unwrap_or(0);
    (bytes.len() * 8).saturating_sub(first.leading_zeros() as usize)
}

fn check_modulus(modulus: &UintRef<'_>) -> Result<(), CryptoError> {
    if RSA_BITS.contains(&bits(modulus)) {
        return Ok(());
    }
    Err(CryptoError::Key("an RSA key has 512 to 4096 bits"))
}

fn point_of(kind: Kind, scalar: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(match kind {
        Kind::P256 => p256::SecretKey::from_slice(scalar)
            .map_err(|_| BAD)?
            .public_key()
            .to_encoded_point(false)
            .as_bytes()
            .to_vec(),
        Kind::P384 => p384::SecretKey::from_slice(scalar)
            .map_err(|_| BAD)?
            .public_key()
            .to_encoded_point(false)
            .as_bytes()
            .to_vec(),
        Kind::P521 => p521::SecretKey::from_slice(scalar)
            .map_err(|_| BAD)?
            .public_key()
            .to_encoded_point(false)
            .as_bytes()
            .to_vec(),
        Kind::Ed25519 => {
            use aws_lc_rs::signature::KeyPair as _;
            let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(scalar).map_err(|_| BAD)?;
            pair.public_key().as_ref().to_vec()
        }
        Kind::X25519 => {
            let seed: [u8; 32] = scalar.try_into().map_err(|_| BAD)?;
            x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(seed)).to_bytes().to_vec()
        }
        Kind::Rsa => return Err(BAD),
    })
}

fn uncompressed(kind: Kind, point: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(match kind {
        Kind::P256 => {
            p256::PublicKey::from_sec1_bytes(point).map_err(|_| BAD)?.to_encoded_point(false).as_bytes().to_vec()
        }
        Kind::P384 => {
            p384::PublicKey::from_sec1_bytes(point).map_err(|_| BAD)?.to_encoded_point(false).as_bytes().to_vec()
        }
        Kind::P521 => {
            p521::PublicKey::from_sec1_bytes(point).map_err(|_| BAD)?.to_encoded_point(false).as_bytes().to_vec()
        }
        _ => point.to_vec(),
    })
}

fn spki_of(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let subject_public_key = BitStringRef::from_bytes(bytes).map_err(|_| BAD)?;
    SubjectPublicKeyInfoRef { algorithm: kind.algorithm(), subject_public_key }.to_der().map_err(|_| BAD)
}

fn pkcs8_of(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, CryptoError> {
    PrivateKeyInfo::new(kind.algorithm(), bytes).to_der().map_err(|_| BAD)
}

/// PKCS #8 of a scalar or seed.
fn pkcs8_of_scalar(kind: Kind, scalar: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let inner = if kind.is_curve_of_nist() {
        let public = point_of(kind, scalar)?;
        sec1::EcPrivateKey { private_key: scalar, parameters: None, public_key: Some(&public) }.to_der()
    } else {
        OctetStringRef::new(scalar).and_then(|seed| seed.to_der())
    };
    pkcs8_of(kind, &inner.map_err(|_| BAD)?)
}

/// The SubjectPublicKeyInfo in a certificate: the seventh field of its first part, or the sixth where it has no version.
fn of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = AnyRef::from_der(der).ok()?;
    let tbs = fields(certificate.value())?.into_iter().next()?;
    let fields = fields(AnyRef::from_der(tbs).ok()?.value())?;
    // The version has the context tag 0.
    let index = if fields.first()?.first() == Some(&0xa0) { 6 } else { 5 };
    fields.get(index).map(|field| field.to_vec())
}

/// The elements of a sequence, each with its head.
fn fields(mut content: &[u8]) -> Option<Vec<&[u8]>> {
    use pkcs8::der::Reader as _;
    let mut found = Vec::new();
    while !content.is_empty() {
        let mut reader = pkcs8::der::SliceReader::new(content).ok()?;
        let element = reader.tlv_bytes().ok()?;
        let length = element.len();
        found.push(content.get(..length)?);
        content = content.get(length..)?;
    }
    Some(found)
}

/// `(is private, DER)` of bytes in the form `form`: a label of PEM, in lower case.
fn read(form: &str, bytes: &[u8]) -> Result<(bool, Vec<u8>), CryptoError> {
    Ok(match form {
        "private key" => (true, bytes.to_vec()),
        "public key" => (false, bytes.to_vec()),
        "rsa private key" => (true, pkcs8_of(Kind::Rsa, bytes)?),
        "rsa public key" => (false, spki_of(Kind::Rsa, bytes)?),
        "ec private key" => {
            let key = sec1::EcPrivateKey::from_der(bytes).map_err(|_| BAD)?;
            let curve = key.parameters.and_then(|parameters| parameters.named_curve()).ok_or(BAD)?;
            let kind = match curve {
                P256 => Kind::P256,
                P384 => Kind::P384,
                P521 => Kind::P521,
                _ => return Err(UNKNOWN),
            };
            (true, pkcs8_of_scalar(kind, key.private_key)?)
        }
        "certificate" => (false, of_certificate(bytes).ok_or(BAD)?),
        "encrypted private key" => return Err(CryptoError::Key("it is encrypted, which is not supported")),
        _ => return Err(CryptoError::Key("its PEM label is not that of a key")),
    })
}

fn described<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    is_private: bool,
    der: Vec<u8>,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let key = if is_private { Key::private(&der)? } else { Key::public(&der)? };
    let name = seam::text(scope, key.kind.name());
    let bits = v8::Number::new(scope, key.modulus_bits() as f64).into();
    let is_private = v8::Boolean::new(scope, is_private).into();
    drop(key);
    let der = seam::uint8_array(scope, der.into());
    Ok(seam::inner_list(scope, &[is_private, der, name, bits]))
}

/// Reads a key: PEM where `form` is empty, else DER of that form. Answers `[is private, DER, algorithm or curve, bits of an
/// RSA modulus]`.
#[op2]
pub fn op_node_key_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] bytes: &[u8],
    #[string] form: &str,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    if bytes.len() > LARGEST {
        return Err(CryptoError::Key("it is too large"));
    }
    let (is_private, der) = if form.is_empty() {
        let (label, der) = decode_pem(bytes)?;
        read(&label, &der)?
    } else {
        read(form, bytes)?
    };
    described(scope, is_private, der)
}

/// `(label in lower case, contents)` of the first block, whatever stands before it and however long its lines are.
fn decode_pem(bytes: &[u8]) -> Result<(String, Vec<u8>), CryptoError> {
    use base64::Engine as _;
    const NONE: CryptoError = CryptoError::Key("it is not PEM");
    let text = std::str::from_utf8(bytes).map_err(|_| NONE)?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(NONE)?;
    let (label, rest) = rest.split_once("-----").ok_or(NONE)?;
    let (body, _) = rest.split_once("-----END ").ok_or(NONE)?;
    if body.contains("Proc-Type:") {
        return Err(CryptoError::Key("it is encrypted, which is not supported"));
    }
    let digits: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(digits).map_err(|_| NONE)?;
    Ok((label.to_ascii_lowercase(), der))
}

/// The public key of a private one, as SubjectPublicKeyInfo.
#[op2]
pub fn op_node_key_public<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] der: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let key = Key::private(der)?;
    let spki = spki_of(key.kind, &key.public_bytes()?)?;
    Ok(seam::uint8_array(scope, spki.into()))
}

/// Writes a key in another form: `pkcs1` or `sec1`.
#[op2]
pub fn op_node_key_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] der: &[u8],
    is_private: bool,
    #[string] form: &str,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let key = if is_private { Key::private(der)? } else { Key::public(der)? };
    let written = match (form, &key.inner) {
        ("pkcs1", Inner::RsaPrivate(inner)) => inner.to_der().map_err(|_| BAD)?,
        ("pkcs1", Inner::RsaPublic(inner)) => inner.to_der().map_err(|_| BAD)?,
        ("sec1", Inner::Scalar(scalar)) if key.kind.is_curve_of_nist() => {
            let public = point_of(key.kind, scalar)?;
            let parameters = key.kind.algorithm().parameters_oid().ok().map(sec1::EcParameters::NamedCurve);
            sec1::EcPrivateKey { private_key: scalar, parameters, public_key: Some(&public) }
                .to_der()
                .map_err(|_| BAD)?
        }
        _ => return Err(CryptoError::Operation),
    };
    Ok(seam::uint8_array(scope, written.into()))
}

/// The numbers of a key, in the order of RFC 7518: `n e d p q dp dq qi`, `x y d` or `x d`.
#[op2]
pub fn op_node_key_numbers<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] der: &[u8],
    is_private: bool,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let key = if is_private { Key::private(der)? } else { Key::public(der)? };
    let mut numbers: Vec<Vec<u8>> = Vec::new();
    match &key.inner {
        Inner::RsaPublic(inner) => {
            numbers.extend([inner.modulus, inner.public_exponent].map(|number| number.as_bytes().to_vec()));
        }
        Inner::RsaPrivate(inner) => numbers.extend(
            [
                inner.modulus,
                inner.public_exponent,
                inner.private_exponent,
                inner.prime1,
                inner.prime2,
                inner.exponent1,
                inner.exponent2,
                inner.coefficient,
            ]
            .map(|number| number.as_bytes().to_vec()),
        ),
        Inner::Scalar(_) | Inner::Point(_) => {
            let point = key.public_bytes()?;
            if key.kind.is_curve_of_nist() {
                let field = key.kind.field();
                numbers.push(point.get(1..=field).unwrap_or_default().to_vec());
                numbers.push(point.get(field + 1..).unwrap_or_default().to_vec());
            } else {
                numbers.push(point);
            }
            if let Inner::Scalar(scalar) = &key.inner {
                numbers.push(scalar.to_vec());
            }
        }
    }
    let values: Vec<_> = numbers.into_iter().map(|number| seam::uint8_array(scope, number.into())).collect();
    Ok(seam::inner_list(scope, &values))
}

/// A key of its numbers, each with its length in four bytes before it; answers as [`op_node_key_read`].
#[op2]
pub fn op_node_key_of_numbers<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] name: &str,
    is_private: bool,
    #[anybuffer] numbers: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let kind = Kind::by_name(name).ok_or(UNKNOWN)?;
    if numbers.len() > LARGEST {
        return Err(CryptoError::Key("it is too large"));
    }
    let parts = split(numbers).ok_or(BAD)?;
    let der = match (kind, is_private) {
        (Kind::Rsa, false) => {
            let [modulus, public_exponent] = uints::<2>(&parts)?;
            let key = pkcs1::RsaPublicKey { modulus, public_exponent };
            spki_of(kind, &key.to_der().map_err(|_| BAD)?)?
        }
        (Kind::Rsa, true) => {
            let [modulus, public_exponent, private_exponent, prime1, prime2, exponent1, exponent2, coefficient] =
                uints::<8>(&parts)?;
            let key = pkcs1::RsaPrivateKey {
                modulus,
                public_exponent,
                private_exponent,
                prime1,
                prime2,
                exponent1,
                exponent2,
                coefficient,
                other_prime_infos: None,
            };
            pkcs8_of(kind, &key.to_der().map_err(|_| BAD)?)?
        }
        (_, true) => {
            let scalar = parts.last().ok_or(BAD)?;
            let der = pkcs8_of_scalar(kind, scalar)?;
            let public: Vec<u8> = public_of_parts(kind, parts.get(..parts.len() - 1).unwrap_or_default())?;
            if public != point_of(kind, scalar)? {
                return Err(CryptoError::Key("its public half belongs to another one"));
            }
            der
        }
        (_, false) => spki_of(kind, &public_of_parts(kind, &parts)?)?,
    };
    described(scope, is_private, der)
}

fn public_of_parts(kind: Kind, parts: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
    let field = kind.field();
    if parts.iter().any(|part| part.len() > field) {
        return Err(BAD);
    }
    Ok(match (kind.is_curve_of_nist(), parts) {
        (true, [x, y]) => {
            let mut point = vec![4];
            for part in [x, y] {
                point.extend(std::iter::repeat_n(0, field - part.len()));
                point.extend_from_slice(part);
            }
            point
        }
        (false, [x]) => x.to_vec(),
        _ => return Err(BAD),
    })
}

fn uints<'a, const N: usize>(parts: &[&'a [u8]]) -> Result<[UintRef<'a>; N], CryptoError> {
    let mut numbers = Vec::with_capacity(N);
    for part in parts {
        numbers.push(UintRef::new(part).map_err(|_| BAD)?);
    }
    numbers.try_into().map_err(|_| BAD)
}

fn split(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        parts.push(after.get(..length)?);
        rest = after.get(length..)?;
    }
    Some(parts)
}

/// A key of a curve of its scalar, or of its point in any of its forms; answers as [`op_node_key_read`].
#[op2]
pub fn op_node_key_of_bytes<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] name: &str,
    is_private: bool,
    #[anybuffer] bytes: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let kind = Kind::by_name(name).filter(|kind| *kind != Kind::Rsa).ok_or(UNKNOWN)?;
    let der = if is_private { pkcs8_of_scalar(kind, bytes)? } else { spki_of(kind, &uncompressed(kind, bytes)?)? };
    described(scope, is_private, der)
}

/// A new private key of a curve, as PKCS #8. RSA keys are made by the pool (Web Crypto): they take long.
#[op2]
pub fn op_node_key_generate<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] name: &str,
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let kind = Kind::by_name(name).ok_or(UNKNOWN)?;
    let mut scalar = vec![0; kind.field()];
    let der = loop {
        aws_lc_rs::rand::fill(&mut scalar).map_err(|_| CryptoError::Operation)?;
        if kind == Kind::P521 {
            // 521 bits: one of the first byte.
            if let Some(first) = scalar.first_mut() {
                *first &= 1;
            }
        }
        match kind {
            Kind::Rsa => return Err(CryptoError::Operation),
            // A scalar that is not below the order of the curve is drawn again.
            _ => match pkcs8_of_scalar(kind, &scalar) {
                Ok(der) => break der,
                Err(_) if kind.is_curve_of_nist() => {}
                Err(error) => return Err(error),
            },
        }
    };
    described(scope, true, der)
}

/// The secret that two keys of one curve agree on.
#[op2]
pub fn op_node_key_agree<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[anybuffer] private: &[u8],
    #[anybuffer] public: &[u8],
) -> Result<v8::Local<'s, v8::Value>, CryptoError> {
    let (private, public) = (Key::private(private)?, Key::public(public)?);
    let (Inner::Scalar(scalar), Inner::Point(point)) = (&private.inner, &public.inner) else {
        return Err(CryptoError::Operation);
    };
    if private.kind != public.kind {
        return Err(CryptoError::Operation);
    }
    macro_rules! agree {
        ($curve:ident) => {{
            let secret = $curve::SecretKey::from_slice(scalar).map_err(|_| BAD)?;
            let point = $curve::PublicKey::from_sec1_bytes(point).map_err(|_| BAD)?;
            let shared = p256::elliptic_curve::ecdh::diffie_hellman(secret.to_nonzero_scalar(), point.as_affine());
            shared.raw_secret_bytes().to_vec()
        }};
    }
    let shared = match private.kind {
        Kind::P256 => agree!(p256),
        Kind::P384 => agree!(p384),
        Kind::P521 => agree!(p521),
        Kind::X25519 => {
            let seed: [u8; 32] = (*scalar).try_into().map_err(|_| BAD)?;
            let point: [u8; 32] = (*point).try_into().map_err(|_| BAD)?;
            let secret = x25519_dalek::StaticSecret::from(seed);
            let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(point));
            if !shared.was_contributory() {
                return Err(CryptoError::Operation);
            }
            shared.to_bytes().to_vec()
        }
        Kind::Rsa | Kind::Ed25519 => return Err(CryptoError::Operation),
    };
    Ok(seam::uint8_array(scope, shared.into()))
}
