//! The certificates' extensions, in the order of the deployed certificates.

use const_oid::db::rfc5280::{ID_AD_OCSP, ID_KP_CLIENT_AUTH, ID_QT_CPS};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Ia5String, Ia5StringRef, OctetString};
use der::{Any, Encode};
use sha1::{Digest, Sha1};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::certificate::Certificate;
use x509_cert::ext::pkix::certpolicy::{PolicyInformation, PolicyQualifierInfo};
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, IssuerAltName, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::Extension;
use x509_cert::name::Name;

use super::name;
use super::subscriber::Subscriber;
use crate::edge::{KeyRef, TokenProfile};
use crate::oid::{POLICY_AUTH_PHONE, POLICY_AUTH_TEST_CARD, POLICY_SIGN_PHONE, POLICY_SIGN_TEST_CARD};

/// Certification practice statement that the deployed certificates point to.
const CPS_URI: &str = "http://www.jpki.go.jp/cps.html";
/// OCSP responder. The name cannot exist (RFC 6761), so that no test ever asks the deployed one.
pub const OCSP_URI: &str = "http://ocspauthnorm.jpkise.invalid";

/// The policy of a test certificate: the phone's, or for the card's profile that of the deployed test cards.
pub const fn policy(key: KeyRef, profile: TokenProfile) -> ObjectIdentifier {
    match (key, profile) {
        (KeyRef::Auth, TokenProfile::Phone) => POLICY_AUTH_PHONE,
        (KeyRef::Sign, TokenProfile::Phone) => POLICY_SIGN_PHONE,
        (KeyRef::Auth, TokenProfile::Card) => POLICY_AUTH_TEST_CARD,
        (KeyRef::Sign, TokenProfile::Card) => POLICY_SIGN_TEST_CARD,
    }
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension, der::Error> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// SHA-1 of the public key's bits (RFC 5280 section 4.2.1.2, method 1).
pub(crate) fn key_identifier(key: &SubjectPublicKeyInfoOwned) -> Result<OctetString, der::Error> {
    OctetString::new(Sha1::digest(key.subject_public_key.raw_bytes()).as_slice())
}

fn distribution_points(name: Name) -> CrlDistributionPoints {
    CrlDistributionPoints(vec![DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![GeneralName::DirectoryName(name)])),
        reasons: None,
        crl_issuer: None,
    }])
}

/// Extensions of a subscriber's certificate.
pub(super) fn end_entity(
    key: KeyRef,
    profile: TokenProfile,
    subscriber: &Subscriber,
    public_key: &SubjectPublicKeyInfoOwned,
    issuer: &Certificate,
) -> Result<Vec<Extension>, der::Error> {
    let mut extensions = Vec::new();
    extensions.push(extension(
        true,
        &KeyUsage(match key {
            KeyRef::Auth => KeyUsages::DigitalSignature.into(),
            KeyRef::Sign => KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
        }),
    )?);
    if key == KeyRef::Auth {
        extensions.push(extension(false, &ExtendedKeyUsage(vec![ID_KP_CLIENT_AUTH]))?);
    }
    let cps = PolicyQualifierInfo {
        policy_qualifier_id: ID_QT_CPS,
        qualifier: Some(Any::encode_from(&Ia5StringRef::new(CPS_URI)?)?),
    };
    let information =
        PolicyInformation { policy_identifier: policy(key, profile), policy_qualifiers: Some(vec![cps]) };
    extensions.push(extension(true, &CertificatePolicies(vec![information]))?);
    if key == KeyRef::Sign {
        extensions.push(extension(false, &SubjectAltName(subscriber.attributes.general_names()?))?);
    }
    let issuer_alt = vec![GeneralName::DirectoryName(name::ca_japanese(key)?)];
    extensions.push(extension(false, &IssuerAltName(issuer_alt))?);
    extensions.push(extension(false, &distribution_points(name::distribution_point(key, subscriber)?))?);
    if key == KeyRef::Auth {
        let ocsp = AccessDescription {
            access_method: ID_AD_OCSP,
            access_location: GeneralName::UniformResourceIdentifier(Ia5String::new(OCSP_URI)?),
        };
        extensions.push(extension(false, &AuthorityInfoAccessSyntax(vec![ocsp]))?);
    }
    let ca = &issuer.tbs_certificate;
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(key_identifier(&ca.subject_public_key_info)?),
        authority_cert_issuer: Some(vec![GeneralName::DirectoryName(ca.issuer.clone())]),
        authority_cert_serial_number: Some(ca.serial_number.clone()),
    };
    extensions.push(extension(false, &authority)?);
    extensions.push(extension(false, &SubjectKeyIdentifier(key_identifier(public_key)?))?);
    Ok(extensions)
}

/// Extensions of a CA's own certificate.
pub(super) fn authority(
    key: KeyRef,
    public_key: &SubjectPublicKeyInfoOwned,
) -> Result<Vec<Extension>, der::Error> {
    let japanese = vec![GeneralName::DirectoryName(name::ca_japanese(key)?)];
    Ok(vec![
        extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?,
        extension(true, &BasicConstraints { ca: true, path_len_constraint: None })?,
        extension(false, &SubjectAltName(japanese))?,
        extension(false, &distribution_points(name::ca_distribution_point(key)?))?,
        extension(false, &SubjectKeyIdentifier(key_identifier(public_key)?))?,
    ])
}
