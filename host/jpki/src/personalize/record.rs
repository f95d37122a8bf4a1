//! What is kept of a personalisation: public facts only.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::issuer::Issued;
use crate::certificate::CertificateError;
use crate::edge::{Attestation, CardPublicKey, KeyRef, KeyState, TokenInfo};

/// Name and version of the record's format.
const FORMAT: &str = "jpkise-personalization/1";

/// The record of one SE. Holds no secret and nothing of the basic four attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `jpkise-personalization/1`.
    pub format: String,
    /// Whether this run changed the SE.
    pub changed: bool,
    /// Token label.
    pub label: String,
    /// Token serial number.
    pub serial: String,
    /// Level of the secure channel, hexadecimal.
    pub level: String,
    /// Secured commands sent in this run.
    pub secured_commands: u32,
    /// Signatures left to the signature key; absent when it signs without limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease: Option<u16>,
    /// One entry per key of the plan.
    pub keys: Vec<KeyRecord>,
}

/// One key's part of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// `auth` or `sign`.
    pub key: KeyRef,
    /// State attested at the end.
    pub state: KeyState,
    /// Key pairs generated so far.
    pub generation: u16,
    /// Temporary secrets set so far.
    pub resets: u16,
    /// Modulus of the public key, hexadecimal; absent when it was not read in this run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modulus: Option<String>,
    /// SHA-256 of the modulus as attested, hexadecimal.
    pub modulus_sha256: String,
    /// The certificate, when it was issued in this run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<CertificateRecord>,
}

/// A certificate's part of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Start of validity, RFC 3339.
    pub not_before: String,
    /// End of validity, RFC 3339.
    pub not_after: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub sha256: String,
    /// SHA-256 of the CA certificate stored with it, hexadecimal.
    pub ca_sha256: String,
    /// Bytes of the certificate.
    pub length: usize,
}

fn text(moment: OffsetDateTime) -> Result<String, CertificateError> {
    moment.format(&Rfc3339).map_err(|_| CertificateError::Time)
}

impl CertificateRecord {
    pub(super) fn new(issued: &Issued) -> Result<Self, CertificateError> {
        let certificate = &issued.certificate;
        Ok(Self {
            serial: hex::encode_upper(certificate.serial()),
            not_before: text(certificate.not_before()?)?,
            not_after: text(certificate.not_after()?)?,
            sha256: hex::encode_upper(certificate.fingerprint()),
            ca_sha256: hex::encode_upper(issued.ca.fingerprint()),
            length: certificate.as_der().len(),
        })
    }
}

impl KeyRecord {
    pub(crate) fn new(
        key: KeyRef,
        attestation: &Attestation,
        public_key: Option<&CardPublicKey>,
        issued: Option<&Issued>,
    ) -> Result<Self, CertificateError> {
        let attested = attestation.key(key);
        Ok(Self {
            key,
            state: attested.state,
            generation: attested.generation,
            resets: attested.resets,
            modulus: public_key.map(|k| hex::encode_upper(k.modulus())),
            modulus_sha256: hex::encode_upper(attested.modulus_hash),
            certificate: issued.map(CertificateRecord::new).transpose()?,
        })
    }
}

impl Record {
    pub(super) fn new(token: &TokenInfo, level: String, changed: bool, secured_commands: u32) -> Self {
        Self {
            format: FORMAT.to_owned(),
            changed,
            label: token.label.clone(),
            serial: token.serial.clone(),
            level,
            secured_commands,
            lease: None,
            keys: Vec::new(),
        }
    }
}
