//! Directory names in the manner of JPKI: country in PrintableString, the rest in UTF8String, one attribute per RDN.

use const_oid::db::rfc4519;
use const_oid::ObjectIdentifier;
use der::asn1::{PrintableStringRef, SetOfVec, Utf8StringRef};
use der::Any;
use rand::{CryptoRng, Rng, RngCore};
use time::OffsetDateTime;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RelativeDistinguishedName};

use super::subscriber::Subscriber;
use super::validity::JST;
use crate::edge::KeyRef;

/// Organisation of everything that this project issues. It stands wherever the deployed certificates say JPKI or
/// 公的個人認証サービス as the organisation, so that no directory name of ours equals one of theirs.
pub const ORGANIZATION: &str = "JPKISE-TEST";

/// Characters of the CN: signature certificate 28, user-authentication certificate 23.
const SIGN_CN: usize = 28;
const AUTH_CN: usize = 23;

/// One attribute per RDN, in order.
fn name(attributes: &[(ObjectIdentifier, &str)]) -> Result<Name, der::Error> {
    let rdns = attributes.iter().map(|(oid, text)| {
        let value = if *oid == rfc4519::C {
            Any::encode_from(&PrintableStringRef::new(text)?)?
        } else {
            Any::encode_from(&Utf8StringRef::new(text)?)?
        };
        let mut set = SetOfVec::new();
        set.insert(AttributeTypeAndValue { oid: *oid, value })?;
        Ok(RelativeDistinguishedName(set))
    });
    rdns.collect::<Result<Vec<_>, der::Error>>().map(Name::from)
}

/// The service's name in English.
pub(super) const fn service(key: KeyRef) -> &'static str {
    match key {
        KeyRef::Auth => "JPKI for user authentication",
        KeyRef::Sign => "JPKI for digital signature",
    }
}

/// Issuer of end-entity certificates, and subject of the CA.
pub(super) fn ca(key: KeyRef) -> Result<Name, der::Error> {
    name(&[
        (rfc4519::C, "JP"),
        (rfc4519::O, ORGANIZATION),
        (rfc4519::OU, service(key)),
        (rfc4519::OU, "Japan Agency for Local Authority Information Systems"),
    ])
}

/// The same in Japanese, for issuerAltName and the CA's subjectAltName.
pub(super) fn ca_japanese(key: KeyRef) -> Result<Name, der::Error> {
    let service = match key {
        KeyRef::Auth => "公的個人認証サービス利用者証明用",
        KeyRef::Sign => "公的個人認証サービス署名用",
    };
    name(&[
        (rfc4519::C, "JP"),
        (rfc4519::O, ORGANIZATION),
        (rfc4519::OU, service),
        (rfc4519::OU, "地方公共団体情報システム機構"),
    ])
}

/// Where the revocation list of a municipality is published.
pub(super) fn distribution_point(key: KeyRef, subscriber: &Subscriber) -> Result<Name, der::Error> {
    name(&[
        (rfc4519::C, "JP"),
        (rfc4519::O, ORGANIZATION),
        (rfc4519::OU, service(key)),
        (rfc4519::OU, "CRL Distribution Points"),
        (rfc4519::OU, &subscriber.prefecture),
        (rfc4519::CN, &format!("{} CRLDP", subscriber.municipality)),
    ])
}

/// Where the CA's own revocation list is published.
pub(super) fn ca_distribution_point(key: KeyRef) -> Result<Name, der::Error> {
    name(&[
        (rfc4519::C, "JP"),
        (rfc4519::O, ORGANIZATION),
        (rfc4519::OU, service(key)),
        (rfc4519::OU, "CRL Distribution Points"),
        (rfc4519::CN, "CA CRLDP"),
    ])
}

/// A subscriber's subject: the CN starts with the time of application in Japan, goes on with digits and ends with a letter.
pub(super) fn subject(
    key: KeyRef,
    subscriber: &Subscriber,
    now: OffsetDateTime,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Name, der::Error> {
    let now = now.to_offset(JST);
    let length = match key {
        KeyRef::Auth => AUTH_CN,
        KeyRef::Sign => SIGN_CN,
    };
    let mut cn = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    );
    while cn.len() < length - 1 {
        cn.push(char::from(rng.gen_range(b'0'..=b'9')));
    }
    cn.push(char::from(rng.gen_range(b'A'..=b'Z')));
    match key {
        KeyRef::Auth => name(&[(rfc4519::C, "JP"), (rfc4519::CN, &cn)]),
        KeyRef::Sign => name(&[
            (rfc4519::C, "JP"),
            (rfc4519::L, &subscriber.prefecture),
            (rfc4519::L, &subscriber.municipality),
            (rfc4519::CN, &cn),
        ]),
    }
}
