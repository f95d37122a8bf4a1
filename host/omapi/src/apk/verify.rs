//! Verification of schemes v2, v3 and v3.1: signature over the signed data, digests over the content.

use der::Decode;
use ecdsa::signature::hazmat::PrehashVerifier;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};
use signature::Verifier;
use spki::{DecodePublicKey, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::archive::Archive;
use super::block::{Block, BlockSigner};
use super::{ApkError, Scheme};

/// Content is hashed in pieces of this size.
const CHUNK: usize = 1 << 20;
/// Largest RSA modulus taken, in bits; the time for one signature grows with its square.
const RSA_MAX_BITS: usize = 16_384;

/// Hash functions that occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        fn run<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut hash = D::new();
            for part in parts {
                hash.update(part);
            }
            hash.finalize().to_vec()
        }
        match self {
            Self::Sha1 => run::<Sha1>(parts),
            Self::Sha256 => run::<Sha256>(parts),
            Self::Sha384 => run::<Sha384>(parts),
            Self::Sha512 => run::<Sha512>(parts),
        }
    }
}

/// How a key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RsaPss,
    RsaPkcs1,
    Ecdsa,
    Dsa,
}

/// Signature algorithm identifiers of the schemes. The fs-verity ones (0421 to 0425) digest the content in another way
/// and stand beside one of these in every APK that installs on a phone.
fn algorithm(id: u32) -> Option<(Kind, Hash)> {
    match id {
        0x0101 => Some((Kind::RsaPss, Hash::Sha256)),
        0x0102 => Some((Kind::RsaPss, Hash::Sha512)),
        0x0103 => Some((Kind::RsaPkcs1, Hash::Sha256)),
        0x0104 => Some((Kind::RsaPkcs1, Hash::Sha512)),
        0x0201 => Some((Kind::Ecdsa, Hash::Sha256)),
        0x0202 => Some((Kind::Ecdsa, Hash::Sha512)),
        0x0301 => Some((Kind::Dsa, Hash::Sha256)),
        _ => None,
    }
}

/// Verifies all signers of a scheme.
pub(super) fn verify(
    scheme: Scheme,
    signers: &[BlockSigner<'_>],
    archive: &Archive<'_>,
    block: &Block<'_>,
) -> Result<(), ApkError> {
    let mut known: Vec<(Hash, Vec<u8>)> = Vec::new();
    for signer in signers {
        if signer.certificate.public_key() != signer.public_key {
            return Err(ApkError::KeyDiffers { scheme });
        }
        let ids = |list: &[(u32, &[u8])]| list.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        // A digest without its signature, or the other way round, is a signature taken away.
        if ids(&signer.digests) != ids(&signer.signatures) {
            return Err(ApkError::Malformed { scheme, field: "the list of algorithms" });
        }
        let mut verified = 0;
        for ((id, signature), (_, digest)) in signer.signatures.iter().zip(&signer.digests) {
            let Some((_, hash)) = algorithm(*id) else { continue };
            verify_signature(scheme, *id, signer.public_key, signer.signed_data, signature)?;
            let content = if let Some((_, content)) = known.iter().find(|(other, _)| *other == hash) {
                content.clone()
            } else {
                let content = content_digest(hash, archive, block)
                    .ok_or(ApkError::NotAnApk("it is larger than 4 GiB"))?;
                known.push((hash, content.clone()));
                content
            };
            if content != *digest {
                return Err(ApkError::Content { scheme, what: "whole file".to_owned() });
            }
            verified += 1;
        }
        if verified == 0 {
            let first = signer.signatures.first().map_or(0, |(id, _)| *id);
            return Err(ApkError::Algorithm { scheme, algorithm: format!("{first:04X}") });
        }
    }
    Ok(())
}

/// The digest over everything but the signing block: pieces of 1 MiB, then the pieces' digests.
fn content_digest(hash: Hash, archive: &Archive<'_>, block: &Block<'_>) -> Option<Vec<u8>> {
    let content = archive.before_directory.get(..block.start)?;
    let end = archive.end_pointing_to(block.start)?;
    let mut digests = Vec::new();
    let mut count = 0u32;
    for part in [content, archive.directory, &end] {
        for chunk in part.chunks(CHUNK) {
            let length = u32::try_from(chunk.len()).ok()?;
            digests.extend(hash.digest(&[&[0xA5], &length.to_le_bytes(), chunk]));
            count += 1;
        }
    }
    Some(hash.digest(&[&[0x5A], &count.to_le_bytes(), &digests]))
}

/// Verifies one signature with an algorithm of the schemes.
pub(super) fn verify_signature(
    scheme: Scheme,
    id: u32,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), ApkError> {
    let (kind, hash) =
        algorithm(id).ok_or_else(|| ApkError::Algorithm { scheme, algorithm: format!("{id:04X}") })?;
    verify_with(scheme, kind, hash, public_key, message, signature)
}

/// Verifies one signature.
pub(super) fn verify_with(
    scheme: Scheme,
    kind: Kind,
    hash: Hash,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), ApkError> {
    let good = match kind {
        Kind::RsaPss | Kind::RsaPkcs1 => rsa_good(kind, hash, public_key, message, signature),
        Kind::Ecdsa => ecdsa_good(hash, public_key, message, signature),
        Kind::Dsa => dsa_good(hash, public_key, message, signature),
    };
    match good {
        Some(true) => Ok(()),
        Some(false) => Err(ApkError::Signature { scheme }),
        None => Err(ApkError::Certificate { scheme }),
    }
}

/// `None` for a key that cannot be read.
fn rsa_good(kind: Kind, hash: Hash, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let spki = SubjectPublicKeyInfoRef::try_from(public_key).ok()?;
    let numbers = rsa::pkcs1::RsaPublicKey::from_der(spki.subject_public_key.as_bytes()?).ok()?;
    let number = |bytes: &[u8]| rsa::BigUint::from_bytes_be(bytes);
    let modulus = number(numbers.modulus.as_bytes());
    let exponent = number(numbers.public_exponent.as_bytes());
    let key = rsa::RsaPublicKey::new_with_max_size(modulus, exponent, RSA_MAX_BITS).ok()?;
    if signature.len() != key.size() {
        return Some(false);
    }
    macro_rules! check {
        ($digest:ty) => {
            if kind == Kind::RsaPss {
                let signature = rsa::pss::Signature::try_from(signature).ok();
                let key = rsa::pss::VerifyingKey::<$digest>::new(key);
                signature.is_some_and(|s| key.verify(message, &s).is_ok())
            } else {
                let signature = rsa::pkcs1v15::Signature::try_from(signature).ok();
                let key = rsa::pkcs1v15::VerifyingKey::<$digest>::new(key);
                signature.is_some_and(|s| key.verify(message, &s).is_ok())
            }
        };
    }
    Some(match hash {
        Hash::Sha1 => check!(Sha1),
        Hash::Sha256 => check!(Sha256),
        Hash::Sha384 => check!(Sha384),
        Hash::Sha512 => check!(Sha512),
    })
}

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

fn ecdsa_good(hash: Hash, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let spki = SubjectPublicKeyInfoRef::try_from(public_key).ok()?;
    let curve = spki.algorithm.parameters_oid().ok()?;
    let point = spki.subject_public_key.as_bytes()?;
    let prehash = hash.digest(&[message]);
    macro_rules! check {
        ($curve:ident, $field:literal) => {{
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            // A hash shorter than the field is the same number with zeros before it, which the library asks for.
            let padded = [vec![0; usize::saturating_sub($field, prehash.len())], prehash].concat();
            let signature = $curve::ecdsa::Signature::from_der(signature).ok();
            signature.is_some_and(|s| key.verify_prehash(&padded, &s).is_ok())
        }};
    }
    Some(match curve {
        P256 => check!(p256, 32),
        P384 => check!(p384, 48),
        P521 => check!(p521, 66),
        _ => return None,
    })
}

fn dsa_good(hash: Hash, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = dsa::VerifyingKey::from_public_key_der(public_key).ok()?;
    let signature = dsa::Signature::try_from(signature).ok();
    Some(signature.is_some_and(|s| key.verify_prehash(&hash.digest(&[message]), &s).is_ok()))
}
