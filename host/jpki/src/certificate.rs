//! A certificate: the bytes as they came, and what they say.

use std::fmt;

use const_oid::AssociatedOid;
use der::{Decode, Encode};
use jpkise_wire::tlv::Tlv;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use rsa::RsaPublicKey;
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoOwned;
use time::OffsetDateTime;
use x509_cert::ext::pkix::{CertificatePolicies, ExtendedKeyUsage, KeyUsage};
use x509_cert::Certificate;

use crate::edge::KeyRef;

/// Why bytes are no certificate that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not an X.509 certificate in DER.
    #[error("no X.509 certificate: {0}")]
    Der(#[from] der::Error),
    /// The public key is not RSA, or not a sound one.
    #[error("the certificate's key is not an RSA key")]
    Key,
    /// A time that does not exist.
    #[error("the certificate's validity is no time")]
    Time,
}

/// An X.509 certificate. The signed bytes are kept as they came: what a signature covers is never coded anew.
#[derive(Clone, PartialEq, Eq)]
pub struct Cert {
    der: Vec<u8>,
    parsed: Certificate,
}

impl Cert {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self { der: der.to_vec(), parsed: Certificate::from_der(der)? })
    }

    /// Reads the first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let (_, document) = der::Document::from_pem(text)?;
        Self::from_der(document.as_bytes())
    }

    pub(crate) fn from_parsed(parsed: Certificate) -> Result<Self, CertificateError> {
        Ok(Self { der: parsed.to_der()?, parsed })
    }

    /// The bytes.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// PEM, label CERTIFICATE.
    pub fn to_pem(&self) -> Result<String, CertificateError> {
        let encoded = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &self.der)
            .map_err(der::Error::from)?;
        Ok(encoded)
    }

    /// What they say.
    pub fn parsed(&self) -> &Certificate {
        &self.parsed
    }

    /// The bytes that the issuer signed.
    pub fn signed_bytes(&self) -> &[u8] {
        signed_part(&self.der)
    }

    /// The issuer's signature.
    pub fn signature(&self) -> &[u8] {
        self.parsed.signature.as_bytes().unwrap_or(&[])
    }

    /// The RSA public key.
    pub fn public_key(&self) -> Result<RsaPublicKey, CertificateError> {
        rsa_key(&self.parsed.tbs_certificate.subject_public_key_info).ok_or(CertificateError::Key)
    }

    /// The public key as PEM, label PUBLIC KEY, whatever its algorithm.
    pub fn public_key_pem(&self) -> Result<String, CertificateError> {
        let info = self.parsed.tbs_certificate.subject_public_key_info.to_der()?;
        let encoded = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, &info)
            .map_err(der::Error::from)?;
        Ok(encoded)
    }

    /// SHA-256 of the whole certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// Serial number, big-endian.
    pub fn serial(&self) -> &[u8] {
        self.parsed.tbs_certificate.serial_number.as_bytes()
    }

    /// First second of validity.
    pub fn not_before(&self) -> Result<OffsetDateTime, CertificateError> {
        moment(&self.parsed.tbs_certificate.validity.not_before)
    }

    /// Last second of validity.
    pub fn not_after(&self) -> Result<OffsetDateTime, CertificateError> {
        moment(&self.parsed.tbs_certificate.validity.not_after)
    }

    /// Names of the keyUsage bits that are set (RFC 5280 section 4.2.1.3); empty without the extension.
    pub fn key_usage_names(&self) -> Vec<&'static str> {
        let Ok(Some((_, usage))) = self.extension::<KeyUsage>() else { return Vec::new() };
        [
            (usage.digital_signature(), "digitalSignature"),
            (usage.non_repudiation(), "nonRepudiation"),
            (usage.key_encipherment(), "keyEncipherment"),
            (usage.data_encipherment(), "dataEncipherment"),
            (usage.key_agreement(), "keyAgreement"),
            (usage.key_cert_sign(), "keyCertSign"),
            (usage.crl_sign(), "cRLSign"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect()
    }

    /// Object identifiers of the certificate policies.
    pub fn policies(&self) -> Vec<String> {
        match self.extension::<CertificatePolicies>() {
            Ok(Some((_, policies))) => policies.0.iter().map(|p| p.policy_identifier.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// Which of the two certificate types this is: the one for user authentication has extKeyUsage.
    pub fn key_ref(&self) -> KeyRef {
        match self.extension::<ExtendedKeyUsage>() {
            Ok(Some(_)) => KeyRef::Auth,
            _ => KeyRef::Sign,
        }
    }

    /// Whether this project's test CA issued it: worth nothing outside a laboratory.
    pub fn is_test(&self) -> bool {
        let issuer = self.parsed.tbs_certificate.issuer.to_string();
        issuer.contains(&format!("O={}", crate::ca::ORGANIZATION))
    }

    /// An extension by its type: its criticality and value. `None` when it is not there.
    pub fn extension<'a, T: AssociatedOid + Decode<'a>>(
        &'a self,
    ) -> Result<Option<(bool, T)>, CertificateError> {
        let extensions = self.parsed.tbs_certificate.extensions.as_deref().unwrap_or(&[]);
        match extensions.iter().find(|e| e.extn_id == T::OID) {
            Some(extension) => Ok(Some((extension.critical, T::from_der(extension.extn_value.as_bytes())?))),
            None => Ok(None),
        }
    }
}

/// What the signature over a certificate or revocation list covers: the first object in it. The whole was parsed before, so
/// neither object can be missing.
pub(crate) fn signed_part(der: &[u8]) -> &[u8] {
    Tlv::read(der).and_then(|(outer, _)| Tlv::read(outer.value)).map_or(&[], |(part, _)| part.raw)
}

/// The RSA key of a SubjectPublicKeyInfo that someone else wrote. Moduli outside 1024 to 4096 bits and even ones are no RSA
/// keys; computing with them could take for ever or divide by zero.
pub(crate) fn rsa_key(info: &SubjectPublicKeyInfoOwned) -> Option<RsaPublicKey> {
    let key = RsaPublicKey::from_public_key_der(&info.to_der().ok()?).ok()?;
    let is_sound = (1024..=4096).contains(&key.n().bits()) && key.n().to_bytes_le().first()? & 1 == 1;
    is_sound.then_some(key)
}

impl fmt::Debug for Cert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cert({} bytes, serial {})", self.der.len(), hex::encode_upper(self.serial()))
    }
}

pub(crate) fn moment(time: &x509_cert::time::Time) -> Result<OffsetDateTime, CertificateError> {
    i64::try_from(time.to_unix_duration().as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(CertificateError::Time)
}
