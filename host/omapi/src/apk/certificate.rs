//! A signer's certificate.

use std::fmt;

use der::{Decode, Encode};
use jpkise_gp::ara::DeviceApp;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::certificate::{CertificateInner, Raw};

/// A certificate as its DER bytes: what is hashed is the whole of them, as they stand.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certificate {
    der: Vec<u8>,
    subject: String,
    public_key: Vec<u8>,
}

/// Bytes that are no X.509 certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate in DER or PEM")]
pub struct NotACertificate;

impl Certificate {
    /// From DER. The profile is wide: app certificates with serial numbers beyond RFC 5280 exist.
    pub fn from_der(der: &[u8]) -> Result<Self, NotACertificate> {
        let parsed = CertificateInner::<Raw>::from_der(der).map_err(|_| NotACertificate)?;
        let tbs = parsed.tbs_certificate;
        let public_key = tbs.subject_public_key_info.to_der().map_err(|_| NotACertificate)?;
        Ok(Self { der: der.to_vec(), subject: tbs.subject.to_string(), public_key })
    }

    /// From a file: DER, or the first certificate of a PEM text.
    pub fn from_file(bytes: &[u8]) -> Result<Self, NotACertificate> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(BEGIN)) else {
            return Self::from_der(bytes);
        };
        let (_, rest) = text.split_once(BEGIN).ok_or(NotACertificate)?;
        let (body, _) = rest.split_once(END).ok_or(NotACertificate)?;
        let pem = format!("{BEGIN}{body}{END}\n");
        let (_, der) = der::pem::decode_vec(pem.as_bytes()).map_err(|_| NotACertificate)?;
        Self::from_der(&der)
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its subject, for people.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its public key (SubjectPublicKeyInfo).
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// SHA-1 of the certificate, the older form in a rule.
    pub fn sha1(&self) -> DeviceApp {
        DeviceApp::Sha1(Sha1::digest(&self.der).into())
    }

    /// SHA-256 of the certificate.
    pub fn sha256(&self) -> DeviceApp {
        DeviceApp::Sha256(Sha256::digest(&self.der).into())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject, self.sha256())
    }
}
