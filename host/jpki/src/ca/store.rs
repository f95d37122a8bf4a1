//! A CA as a text that a lab can keep: certificate and PKCS#8 key in PEM, under a note that says what it is.

use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::RsaPrivateKey;
use zeroize::Zeroizing;

use super::{name, CaError, TestCa};
use crate::certificate::{Cert, CertificateError};
use crate::edge::KeyRef;
use crate::verify::verify_signed_by;

const NOTE: &str = "\
TEST certification authority of jpkise (O=JPKISE-TEST). Not a certification authority of anybody.
The private key below is not protected: whoever has this file can issue in its name.";
const LABEL_CERTIFICATE: &str = "CERTIFICATE";
const LABEL_KEY: &str = "PRIVATE KEY";

/// Why a saved CA could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A PEM block is missing.
    #[error("no PEM block {0}")]
    Missing(&'static str),
    /// The private key cannot be read.
    #[error("the private key is not PKCS#8 RSA")]
    Key,
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate is not one of this project's CAs: this code issues as a test authority only.
    #[error("the certificate is not one of a jpkise test CA")]
    NotOurs,
    /// The key is not the certificate's, or the certificate is not signed by it.
    #[error("certificate and private key do not belong together")]
    Mismatch,
}

impl TestCa {
    /// The whole CA as text, marked as a test CA. Wiped on drop, since the private key is in it.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, CaError> {
        let key = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| CaError::Rsa(rsa::Error::Internal))?;
        let certificate = self.certificate.to_pem()?;
        let mut text = Zeroizing::new(String::with_capacity(NOTE.len() + certificate.len() + key.len() + 64));
        for part in [NOTE, "\nType: ", self.key_ref.id(), "\n", &certificate, &key] {
            text.push_str(part);
        }
        Ok(text)
    }

    /// Reads what [`Self::to_pem`] wrote. Only CAs of this project are taken.
    pub fn from_pem(text: &str) -> Result<Self, LoadError> {
        let certificate = Cert::from_pem(block(text, LABEL_CERTIFICATE)?)?;
        let key = RsaPrivateKey::from_pkcs8_pem(block(text, LABEL_KEY)?).map_err(|_| LoadError::Key)?;
        let subject = &certificate.parsed().tbs_certificate.subject;
        let key_ref = KeyRef::ALL
            .into_iter()
            .find(|key| name::ca(*key).as_ref() == Ok(subject))
            .ok_or(LoadError::NotOurs)?;
        let public = certificate.public_key()?;
        if public != key.to_public_key() || verify_signed_by(&certificate, &public).is_err() {
            return Err(LoadError::Mismatch);
        }
        Ok(Self { key_ref, key, certificate })
    }
}

/// One PEM block out of a text that may hold others and notes (RFC 7468 section 2 allows both).
fn block<'a>(text: &'a str, label: &'static str) -> Result<&'a str, LoadError> {
    let missing = LoadError::Missing(label);
    let start = text.find(&format!("-----BEGIN {label}-----")).ok_or(missing.clone())?;
    let rest = &text[start..];
    let end_line = format!("-----END {label}-----");
    let end = rest.find(&end_line).ok_or(missing)? + end_line.len();
    Ok(&rest[..end])
}
