//! Checking signatures, certificates and chains.

use const_oid::db::rfc5280::ID_KP_CLIENT_AUTH;
use const_oid::{AssociatedOid, ObjectIdentifier};
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use time::OffsetDateTime;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage,
    SubjectKeyIdentifier,
};

use crate::ca::key_identifier;
use crate::certificate::Cert;
use crate::edge::{KeyRef, Scheme};
use crate::oid::{
    sha256_with_rsa, POLICY_AUTH_CARD, POLICY_AUTH_PHONE, POLICY_AUTH_TEST_CARD, POLICY_SIGN_CARD,
    POLICY_SIGN_PHONE, POLICY_SIGN_TEST_CARD,
};

/// A signature that is not this key's over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is wrong")]
pub struct SignatureError;

/// A PKCS#1 v1.5 signature over a SHA-256 digest.
pub fn verify_digest(key: &RsaPublicKey, digest: &[u8; 32], signature: &[u8]) -> Result<(), SignatureError> {
    key.verify(Pkcs1v15Sign::new::<Sha256>(), digest, signature).map_err(|_| SignatureError)
}

/// A PKCS#1 v1.5 signature with SHA-256 over a message.
pub fn verify_message(key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    verify_digest(key, &Sha256::digest(message).into(), signature)
}

/// A signature made by one of the card's schemes over the input that the card was given.
pub fn verify_scheme(
    key: &RsaPublicKey,
    scheme: Scheme,
    input: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let digest = if scheme.takes_message() { Sha256::digest(input).to_vec() } else { input.to_vec() };
    match scheme {
        Scheme::Verbatim | Scheme::BareSha256 => {
            key.verify(Pkcs1v15Sign::new_unprefixed(), &digest, signature)
        }
        Scheme::Pkcs1Digest | Scheme::Pkcs1Message => {
            key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature)
        }
        Scheme::PssDigest | Scheme::PssMessage => key.verify(Pss::new::<Sha256>(), &digest, signature),
    }
    .map_err(|_| SignatureError)
}

/// Whether `certificate` was signed with `key`, sha256WithRSAEncryption.
pub fn verify_signed_by(certificate: &Cert, key: &RsaPublicKey) -> Result<(), SignatureError> {
    let parsed = certificate.parsed();
    let algorithms = [&parsed.signature_algorithm, &parsed.tbs_certificate.signature];
    verify_signed_part(key, algorithms, certificate.signed_bytes(), certificate.signature())
}

/// Whether a signed object of X.509 is `key`'s: both places that name the algorithm say sha256WithRSAEncryption.
pub(crate) fn verify_signed_part(
    key: &RsaPublicKey,
    algorithms: [&AlgorithmIdentifierOwned; 2],
    signed: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    if algorithms.iter().any(|algorithm| algorithm.oid != sha256_with_rsa().oid) {
        return Err(SignatureError);
    }
    verify_message(key, signed, signature)
}

/// One thing that is checked of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Check {
    /// The certificate is signed by the CA's key.
    Signature,
    /// The CA's certificate is signed by itself.
    CaSignature,
    /// The issuer's name is the CA's.
    IssuerName,
    /// The certificate is valid at the time in question.
    Validity,
    /// The CA's certificate is valid at the time in question.
    CaValidity,
    /// The CA is one: basicConstraints CA, critical.
    CaBasicConstraints,
    /// The CA may sign certificates.
    CaKeyUsage,
    /// The certificate is no CA's.
    EndEntity,
    /// keyUsage, critical, is the one of the certificate's type, exactly.
    KeyUsage,
    /// extKeyUsage is clientAuth for user authentication, absent for signatures.
    ExtendedKeyUsage,
    /// certificatePolicies, critical, names a policy of the certificate's type.
    Policy,
    /// authorityKeyIdentifier is the CA's: key identifier, issuer and serial number.
    AuthorityKeyIdentifier,
    /// Both subjectKeyIdentifiers are the SHA-1 of their keys.
    SubjectKeyIdentifier,
    /// The key is RSA-2048 with exponent 65537.
    Key,
    /// No critical extension that is unknown here, none twice.
    Extensions,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Signature,
        Self::CaSignature,
        Self::IssuerName,
        Self::Validity,
        Self::CaValidity,
        Self::CaBasicConstraints,
        Self::CaKeyUsage,
        Self::EndEntity,
        Self::KeyUsage,
        Self::ExtendedKeyUsage,
        Self::Policy,
        Self::AuthorityKeyIdentifier,
        Self::SubjectKeyIdentifier,
        Self::Key,
        Self::Extensions,
    ];
}

/// A chain that is not to be trusted, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate fails: {failed:?}")]
pub struct ChainError {
    /// The checks that failed, at least one.
    pub failed: Vec<Check>,
}

/// The policies a certificate of this type may carry: card, test card, phone.
const fn policies(key: KeyRef) -> [ObjectIdentifier; 3] {
    match key {
        KeyRef::Auth => [POLICY_AUTH_CARD, POLICY_AUTH_TEST_CARD, POLICY_AUTH_PHONE],
        KeyRef::Sign => [POLICY_SIGN_CARD, POLICY_SIGN_TEST_CARD, POLICY_SIGN_PHONE],
    }
}

/// Checks a certificate of this type and the self-signed CA certificate above it at a time. That the CA is one to be
/// trusted is the caller's decision: it chose `ca`.
pub fn verify_chain(
    certificate: &Cert,
    ca: &Cert,
    key: KeyRef,
    at: OffsetDateTime,
) -> Result<(), ChainError> {
    let failed: Vec<Check> =
        Check::ALL.into_iter().filter(|check| !passes(*check, certificate, ca, key, at)).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(ChainError { failed })
    }
}

fn passes(check: Check, certificate: &Cert, ca: &Cert, key: KeyRef, at: OffsetDateTime) -> bool {
    match check {
        Check::Signature => signed(certificate, ca),
        Check::CaSignature => signed(ca, ca),
        Check::IssuerName => {
            let subject = &ca.parsed().tbs_certificate.subject;
            certificate.parsed().tbs_certificate.issuer == *subject && !subject.is_empty()
        }
        Check::Validity => valid(certificate, at),
        Check::CaValidity => valid(ca, at),
        Check::CaBasicConstraints => {
            matches!(ca.extension::<BasicConstraints>(), Ok(Some((true, constraints))) if constraints.ca)
        }
        Check::CaKeyUsage => {
            matches!(ca.extension::<KeyUsage>(), Ok(Some((true, usage))) if usage.key_cert_sign())
        }
        Check::EndEntity => match certificate.extension::<BasicConstraints>() {
            Ok(constraints) => constraints.is_none_or(|(_, c)| !c.ca),
            Err(_) => false,
        },
        Check::KeyUsage => {
            use x509_cert::ext::pkix::KeyUsages::{DigitalSignature, NonRepudiation};
            let due = match key {
                KeyRef::Auth => DigitalSignature.into(),
                KeyRef::Sign => DigitalSignature | NonRepudiation,
            };
            matches!(certificate.extension::<KeyUsage>(), Ok(Some((true, usage))) if usage.0 == due)
        }
        Check::ExtendedKeyUsage => match (key, certificate.extension::<ExtendedKeyUsage>()) {
            (KeyRef::Auth, Ok(Some((_, usage)))) => usage.0.contains(&ID_KP_CLIENT_AUTH),
            (KeyRef::Sign, Ok(None)) => true,
            _ => false,
        },
        Check::Policy => match certificate.extension::<CertificatePolicies>() {
            Ok(Some((true, named))) => {
                named.0.iter().any(|policy| policies(key).contains(&policy.policy_identifier))
            }
            _ => false,
        },
        Check::AuthorityKeyIdentifier => authority_matches(certificate, ca),
        Check::SubjectKeyIdentifier => identified(certificate) && identified(ca),
        Check::Key => certificate
            .public_key()
            .is_ok_and(|key| key.n().bits() == 2048 && *key.e() == rsa::BigUint::from(65_537_u32)),
        Check::Extensions => extensions_are_known(certificate) && extensions_are_known(ca),
    }
}

fn signed(certificate: &Cert, ca: &Cert) -> bool {
    ca.public_key().is_ok_and(|key| verify_signed_by(certificate, &key).is_ok())
}

fn valid(certificate: &Cert, at: OffsetDateTime) -> bool {
    matches!((certificate.not_before(), certificate.not_after()), (Ok(from), Ok(to)) if from <= at && at <= to)
}

fn identified(certificate: &Cert) -> bool {
    let computed = key_identifier(&certificate.parsed().tbs_certificate.subject_public_key_info);
    match (certificate.extension::<SubjectKeyIdentifier>(), computed) {
        (Ok(Some((_, found))), Ok(computed)) => found.0 == computed,
        _ => false,
    }
}

fn authority_matches(certificate: &Cert, ca: &Cert) -> bool {
    use x509_cert::ext::pkix::name::GeneralName;
    let tbs = &ca.parsed().tbs_certificate;
    let Ok(Some((_, authority))) = certificate.extension::<AuthorityKeyIdentifier>() else {
        return false;
    };
    let (Some(identifier), Ok(Some((_, subject)))) =
        (authority.key_identifier, ca.extension::<SubjectKeyIdentifier>())
    else {
        return false;
    };
    let names_it = authority.authority_cert_issuer.is_none_or(|names| {
        names.iter().any(|name| matches!(name, GeneralName::DirectoryName(name) if *name == tbs.issuer))
    });
    let numbers_it = authority.authority_cert_serial_number.is_none_or(|serial| serial == tbs.serial_number);
    identifier == subject.0 && names_it && numbers_it
}

fn extensions_are_known(certificate: &Cert) -> bool {
    const UNDERSTOOD: [ObjectIdentifier; 4] =
        [KeyUsage::OID, ExtendedKeyUsage::OID, CertificatePolicies::OID, BasicConstraints::OID];
    let extensions = certificate.parsed().tbs_certificate.extensions.as_deref().unwrap_or(&[]);
    extensions.iter().enumerate().all(|(index, extension)| {
        let known = !extension.critical || UNDERSTOOD.contains(&extension.extn_id);
        known && extensions[..index].iter().all(|earlier| earlier.extn_id != extension.extn_id)
    })
}
