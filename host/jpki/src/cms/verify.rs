//! Reading a signed message and checking it against its content.

use const_oid::db::rfc5911::{
    ID_AA_SIGNING_CERTIFICATE_V_2, ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_TIME,
};
use const_oid::db::rfc5912::{ID_SHA_256, RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION};
use const_oid::ObjectIdentifier;
use der::asn1::OctetStringRef;
use der::{Decode, Encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use ::cms::cert::CertificateChoices;
use ::cms::content_info::ContentInfo;
use ::cms::signed_data::{SignedData, SignerIdentifier};

use super::attributes::{names_certificate, single};
use crate::certificate::{moment, Cert, CertificateError};
use crate::verify::{verify_digest, SignatureError};

/// Why a message is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a CMS message in DER.
    #[error("no CMS message: {0}")]
    Der(#[from] der::Error),
    /// The message is of another type than signed data.
    #[error("the message is not signed data")]
    NotSigned,
    /// Not exactly one signer.
    #[error("{0} signers where one was expected")]
    Signers(usize),
    /// The content is detached and was not given, or is attached and another one was given.
    #[error("content attached: {attached}, given: {given}")]
    Content {
        /// Whether the message holds it.
        attached: bool,
        /// Whether the caller gave it.
        given: bool,
    },
    /// Something other than SHA-256 with RSA PKCS#1 v1.5.
    #[error("the message is not signed with SHA-256 and RSA")]
    Algorithm,
    /// The signer's certificate does not travel along.
    #[error("the signer's certificate is not in the message")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A signed attribute is missing, doubled, or contradicts the message.
    #[error("signed attribute {0} is missing or wrong")]
    Attribute(ObjectIdentifier),
    /// The content is not the one that was signed.
    #[error("the content is not the one that was signed")]
    Digest,
    /// The signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A message whose signature holds. Whether the signer's certificate is to be trusted is for
/// [`verify_chain`](crate::verify::verify_chain).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// The signer's certificate.
    pub signer: Cert,
    /// The other certificates in the message.
    pub others: Vec<Cert>,
    /// When the signer says it signed; nobody else vouches for it.
    pub signing_time: Option<OffsetDateTime>,
    /// The content, when it is attached.
    pub content: Option<Vec<u8>>,
}

/// Checks a signed message; `content` is what a detached one was made over. Messages without signed attributes are
/// refused: they would let content pass for attributes (RFC 5652 section 11, last paragraph of security considerations).
pub fn verify(message: &[u8], content: Option<&[u8]>) -> Result<SignedMessage, VerifyError> {
    let info = ContentInfo::from_der(message)?;
    if info.content_type != ID_SIGNED_DATA {
        return Err(VerifyError::NotSigned);
    }
    let signed: SignedData = info.content.decode_as()?;
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(VerifyError::Signers(signed.signer_infos.0.len()));
    };
    let attached = match &signed.encap_content_info.econtent {
        Some(any) => Some(any.decode_as::<OctetStringRef<'_>>()?.as_bytes().to_vec()),
        None => None,
    };
    let covered = match (&attached, content) {
        (Some(inside), None) => inside.as_slice(),
        (None, Some(given)) => given,
        (inside, given) => {
            return Err(VerifyError::Content { attached: inside.is_some(), given: given.is_some() })
        }
    };
    let known = [RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION];
    if signer.digest_alg.oid != ID_SHA_256 || !known.contains(&signer.signature_algorithm.oid) {
        return Err(VerifyError::Algorithm);
    }

    let mut certificates = Vec::new();
    for choice in signed.certificates.iter().flat_map(|set| set.0.iter()) {
        if let CertificateChoices::Certificate(certificate) = choice {
            certificates.push(Cert::from_parsed(certificate.clone())?);
        }
    }
    let position =
        certificates.iter().position(|c| is_signer(c, &signer.sid)).ok_or(VerifyError::NoCertificate)?;
    let certificate = certificates.remove(position);

    let attributes = signer.signed_attrs.as_ref().ok_or(VerifyError::Attribute(ID_MESSAGE_DIGEST))?;
    let value = |oid| single(attributes, oid).ok_or(VerifyError::Attribute(oid));
    let content_type: ObjectIdentifier = value(ID_CONTENT_TYPE)?.decode_as()?;
    if content_type != signed.encap_content_info.econtent_type {
        return Err(VerifyError::Attribute(ID_CONTENT_TYPE));
    }
    let digest = value(ID_MESSAGE_DIGEST)?.decode_as::<OctetStringRef<'_>>()?;
    if digest.as_bytes() != Sha256::digest(covered).as_slice() {
        return Err(VerifyError::Digest);
    }
    if attributes.iter().any(|a| a.oid == ID_AA_SIGNING_CERTIFICATE_V_2)
        && !names_certificate(value(ID_AA_SIGNING_CERTIFICATE_V_2)?, &certificate)
    {
        return Err(VerifyError::Attribute(ID_AA_SIGNING_CERTIFICATE_V_2));
    }
    let signing_time = if attributes.iter().any(|a| a.oid == ID_SIGNING_TIME) {
        let der = value(ID_SIGNING_TIME)?.to_der()?;
        Some(moment(&x509_cert::time::Time::from_der(&der)?)?)
    } else {
        None
    };
    let hash = Sha256::digest(attributes.to_der()?).into();
    verify_digest(&certificate.public_key()?, &hash, signer.signature.as_bytes())?;
    Ok(SignedMessage { signer: certificate, others: certificates, signing_time, content: attached })
}

fn is_signer(certificate: &Cert, signer: &SignerIdentifier) -> bool {
    let tbs = &certificate.parsed().tbs_certificate;
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == tbs.issuer && id.serial_number == tbs.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            matches!(certificate.extension::<SubjectKeyIdentifier>(), Ok(Some((_, own))) if own == *id)
        }
    }
}
