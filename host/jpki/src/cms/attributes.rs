//! Signed attributes.

use const_oid::db::rfc5911::{
    ID_AA_SIGNING_CERTIFICATE_V_2, ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNING_TIME,
};
use const_oid::ObjectIdentifier;
use der::asn1::{OctetString, OctetStringRef, SetOfVec};
use der::{Any, Encode, Sequence};
use time::OffsetDateTime;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::serial_number::SerialNumber;

use ::cms::signed_data::SignedAttributes;

use crate::ca::coded_time;
use crate::certificate::Cert;

/// IssuerSerial (RFC 5035 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct IssuerSerial {
    issuer: GeneralNames,
    serial_number: SerialNumber,
}

/// ESSCertIDv2 with its hash algorithm left at the default, SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct EssCertIdV2 {
    cert_hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<IssuerSerial>,
}

/// SigningCertificateV2 without policies.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, der::Error> {
    let mut values = SetOfVec::new();
    values.insert(value)?;
    Ok(Attribute { oid, values })
}

/// The four signed attributes, in the order DER demands of a SET OF.
pub(super) fn signed(
    message_digest: &[u8; 32],
    certificate: &Cert,
    signing_time: OffsetDateTime,
) -> Result<SignedAttributes, der::Error> {
    let tbs = &certificate.parsed().tbs_certificate;
    let signing_certificate = SigningCertificateV2 {
        certs: vec![EssCertIdV2 {
            cert_hash: OctetString::new(certificate.fingerprint().as_slice())?,
            issuer_serial: Some(IssuerSerial {
                issuer: vec![GeneralName::DirectoryName(tbs.issuer.clone())],
                serial_number: tbs.serial_number.clone(),
            }),
        }],
    };
    Attributes::try_from(vec![
        attribute(ID_CONTENT_TYPE, Any::encode_from(&ID_DATA)?)?,
        attribute(ID_MESSAGE_DIGEST, Any::encode_from(&OctetStringRef::new(message_digest)?)?)?,
        attribute(ID_SIGNING_TIME, Any::encode_from(&coded_time(signing_time)?)?)?,
        attribute(ID_AA_SIGNING_CERTIFICATE_V_2, Any::encode_from(&signing_certificate)?)?,
    ])
}

/// The only value of an attribute that must have exactly one; `None` when it is missing or has more.
pub(super) fn single(attributes: &SignedAttributes, oid: ObjectIdentifier) -> Option<&Any> {
    let mut found = attributes.iter().filter(|a| a.oid == oid);
    match (found.next(), found.next()) {
        (Some(attribute), None) => match attribute.values.as_slice() {
            [value] => Some(value),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a signing-certificate-v2 value names this certificate, by SHA-256.
pub(super) fn names_certificate(value: &Any, certificate: &Cert) -> bool {
    let Ok(der) = value.to_der() else { return false };
    match <SigningCertificateV2 as der::Decode>::from_der(&der) {
        Ok(SigningCertificateV2 { certs }) => {
            certs.first().is_some_and(|id| id.cert_hash.as_bytes() == certificate.fingerprint())
        }
        Err(_) => false,
    }
}
