//! CMS signed messages (RFC 5652) made with a key that only the card has.
//!
//! The signed attributes are built here, their SHA-256 goes to the card, the card's 256 bytes come back. Signed
//! attributes: contentType, messageDigest, signingTime, signing-certificate-v2 (RFC 5035), as CAdES-BES wants them.

mod attributes;
mod verify;

use const_oid::db::rfc5911::{ID_DATA, ID_SIGNED_DATA};
use const_oid::db::rfc5912::RSA_ENCRYPTION;
use der::asn1::{OctetString, OctetStringRef, SetOfVec};
use der::{Any, Encode};
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use time::OffsetDateTime;

use ::cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use ::cms::content_info::{CmsVersion, ContentInfo};
use ::cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};

use crate::certificate::{Cert, CertificateError};
use crate::edge::SIGNATURE_LENGTH;
use crate::oid::sha256;
use crate::verify::{verify_digest, SignatureError};

pub use verify::{verify, SignedMessage, VerifyError};

/// Why a message was not signed. `E` is the signer's own error: the card's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CmsError<E: std::error::Error + 'static> {
    /// The signer failed.
    #[error("signing: {0}")]
    Signer(#[source] E),
    /// Coding failed.
    #[error("coding the message: {0}")]
    Der(#[from] der::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What the signer gave is not a signature of the certificate's key: another card, or a fault.
    #[error("the signature does not fit the certificate")]
    Signature(#[from] SignatureError),
}

/// Whether the content travels in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// The message refers to content kept elsewhere, by its SHA-256.
    Detached(&'a [u8; 32]),
    /// The message holds the content.
    Attached(&'a [u8]),
}

impl Content<'_> {
    fn digest(&self) -> [u8; 32] {
        match self {
            Self::Detached(digest) => **digest,
            Self::Attached(content) => Sha256::digest(content).into(),
        }
    }
}

/// Makes a signed message, DER. `sign` gets the SHA-256 of the signed attributes and returns the raw PKCS#1 v1.5
/// signature over it. The signer's and the CA's certificate travel along.
pub fn sign<E: std::error::Error + 'static>(
    content: Content<'_>,
    certificate: &Cert,
    ca: &Cert,
    signing_time: OffsetDateTime,
    sign: impl FnOnce(&[u8; 32]) -> Result<[u8; SIGNATURE_LENGTH], E>,
) -> Result<Vec<u8>, CmsError<E>> {
    let signed_attributes = attributes::signed(&content.digest(), certificate, signing_time)?;
    // Signed is the SET OF with its own tag, not the [0] under which it travels (RFC 5652 section 5.4).
    let digest = Sha256::digest(signed_attributes.to_der()?).into();
    let signature = sign(&digest).map_err(CmsError::Signer)?;
    verify_digest(&certificate.public_key()?, &digest, &signature)?;

    let tbs = &certificate.parsed().tbs_certificate;
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: tbs.issuer.clone(),
            serial_number: tbs.serial_number.clone(),
        }),
        digest_alg: sha256(),
        signed_attrs: Some(signed_attributes),
        // rsaEncryption, which RFC 3370 section 3.2 demands every receiver to know.
        signature_algorithm: AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(Any::null()) },
        signature: OctetString::new(signature.as_slice())?,
        unsigned_attrs: None,
    };
    let econtent = match content {
        Content::Detached(_) => None,
        Content::Attached(bytes) => Some(Any::encode_from(&OctetStringRef::new(bytes)?)?),
    };
    let mut digest_algorithms = SetOfVec::new();
    digest_algorithms.insert(sha256())?;
    let mut certificates = vec![CertificateChoices::Certificate(certificate.parsed().clone())];
    if ca != certificate {
        certificates.push(CertificateChoices::Certificate(ca.parsed().clone()));
    }
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms,
        encap_content_info: EncapsulatedContentInfo { econtent_type: ID_DATA, econtent },
        certificates: Some(CertificateSet::try_from(certificates)?),
        crls: None,
        signer_infos: SignerInfos::try_from(vec![signer])?,
    };
    let message = ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&signed)? };
    Ok(message.to_der()?)
}
