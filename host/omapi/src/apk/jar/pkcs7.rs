//! The signature block: PKCS #7 signed data (RFC 5652 section 5), as much of it as a signed JAR uses.
//!
//! Read here and not with a library, because the certificate must come out as the very bytes that stand in the file: a
//! rule names their hash.

use jpkise_wire::tlv::{Tag, Tlv};

use super::super::verify::{Hash, Kind};

const SEQUENCE: Tag = Tag(0x30);
const SET: Tag = Tag(0x31);
const INTEGER: Tag = Tag(0x02);
const OBJECT_IDENTIFIER: Tag = Tag(0x06);
const OCTET_STRING: Tag = Tag(0x04);
/// `[0]`: content, certificates, signed attributes, the version of a certificate.
const CONTEXT_0: Tag = Tag(0xA0);

/// 1.2.840.113549.1.7.2, signedData.
const OID_SIGNED_DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.4, messageDigest.
const OID_MESSAGE_DIGEST: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.1, PKCS #1; 1 rsaEncryption, 5, 11 to 13 with a hash, 10 RSASSA-PSS.
const OID_PKCS1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01];
/// 1.2.840.10045: 2.1 ecPublicKey, 4 ecdsa-with-….
const OID_X962: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D];
/// 1.2.840.10040.4: DSA and dsa-with-sha1.
const OID_X957_DSA: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04];
/// 1.3.14.3.2.26, SHA-1.
const OID_SHA1: &[u8] = &[0x2B, 0x0E, 0x03, 0x02, 0x1A];
/// 2.16.840.1.101.3.4: 2 hashes, 3 signatures with them.
const OID_NIST: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04];

/// The first signer's part of the block.
#[derive(Debug, Clone)]
pub(super) struct Signed<'a> {
    /// Certificate whose issuer and serial number the signer names, DER.
    pub certificate: &'a [u8],
    pub digest_algorithm: &'a [u8],
    pub signature_algorithm: &'a [u8],
    pub signature: &'a [u8],
    pub attributes: Option<Attributes>,
}

/// Signed attributes, under which the signature stands instead of the content.
#[derive(Debug, Clone)]
pub(super) struct Attributes {
    /// As a SET, which is how they are signed.
    pub as_signed: Vec<u8>,
    pub message_digest: Vec<u8>,
}

pub(super) fn hash(oid: &[u8]) -> Option<Hash> {
    match oid.strip_prefix(OID_NIST) {
        Some([0x02, 0x01]) => Some(Hash::Sha256),
        Some([0x02, 0x02]) => Some(Hash::Sha384),
        Some([0x02, 0x03]) => Some(Hash::Sha512),
        _ => (oid == OID_SHA1).then_some(Hash::Sha1),
    }
}

pub(super) fn kind(oid: &[u8]) -> Option<Kind> {
    if let Some([1 | 5 | 11..=13]) = oid.strip_prefix(OID_PKCS1) {
        return Some(Kind::RsaPkcs1);
    }
    if oid.starts_with(OID_X962) {
        return Some(Kind::Ecdsa);
    }
    let dsa_with_sha2 = matches!(oid.strip_prefix(OID_NIST), Some([0x03, 1..=4]));
    (dsa_with_sha2 || oid.starts_with(OID_X957_DSA)).then_some(Kind::Dsa)
}

/// Reads the objects of a constructed value one after the other.
struct Objects<'a>(std::iter::Peekable<std::vec::IntoIter<Tlv<'a>>>);

impl<'a> Objects<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        Some(Self(Tlv::read_all(value).ok()?.into_iter().peekable()))
    }

    fn next(&mut self, tag: Tag) -> Option<Tlv<'a>> {
        self.0.next_if(|object| object.tag == tag)
    }
}

pub(super) fn read(block: &[u8]) -> Option<Signed<'_>> {
    let (info, _) = Tlv::read(block).ok()?;
    let mut info = Objects::of(Some(info).filter(|i| i.tag == SEQUENCE)?.value)?;
    let content_type = info.next(OBJECT_IDENTIFIER)?;
    if content_type.value != OID_SIGNED_DATA {
        return None;
    }
    let signed_data = Tlv::expect(info.next(CONTEXT_0)?.value, SEQUENCE).ok()?;
    let mut fields = Objects::of(signed_data)?;
    fields.next(INTEGER)?;
    fields.next(SET)?;
    fields.next(SEQUENCE)?;
    let certificates = Tlv::read_all(fields.next(CONTEXT_0)?.value).ok()?;
    let signers = fields.0.find(|object| object.tag == SET)?;
    signer(Tlv::read(signers.value).ok()?.0.value, &certificates)
}

fn signer<'a>(value: &'a [u8], certificates: &[Tlv<'a>]) -> Option<Signed<'a>> {
    let mut fields = Objects::of(value)?;
    fields.next(INTEGER)?;
    let mut issued = Objects::of(fields.next(SEQUENCE)?.value)?;
    let (issuer, serial) = (issued.next(SEQUENCE)?.raw, issued.next(INTEGER)?.raw);
    let digest_algorithm = algorithm(fields.next(SEQUENCE)?)?;
    let attributes = match fields.next(CONTEXT_0) {
        Some(attributes) => Some(read_attributes(&attributes)?),
        None => None,
    };
    let signature_algorithm = algorithm(fields.next(SEQUENCE)?)?;
    let signature = fields.next(OCTET_STRING)?.value;
    let is_named = |certificate: &&Tlv<'_>| issuer_and_serial(certificate) == Some((issuer, serial));
    let certificate = certificates.iter().find(is_named)?.raw;
    Some(Signed { certificate, digest_algorithm, signature_algorithm, signature, attributes })
}

fn algorithm(identifier: Tlv<'_>) -> Option<&[u8]> {
    Some(Objects::of(identifier.value)?.next(OBJECT_IDENTIFIER)?.value)
}

/// Issuer and serial number of a certificate, as their objects stand in it.
fn issuer_and_serial<'a>(certificate: &Tlv<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut outer = Objects::of(certificate.value)?;
    let mut tbs = Objects::of(outer.next(SEQUENCE)?.value)?;
    let _version = tbs.next(CONTEXT_0);
    let serial = tbs.next(INTEGER)?;
    let _algorithm = tbs.next(SEQUENCE)?;
    Some((tbs.next(SEQUENCE)?.raw, serial.raw))
}

fn read_attributes(attributes: &Tlv<'_>) -> Option<Attributes> {
    let mut as_signed = attributes.raw.to_vec();
    *as_signed.first_mut()? = 0x31;
    for attribute in attributes.children().ok()? {
        let mut fields = Objects::of(attribute.value)?;
        if fields.next(OBJECT_IDENTIFIER)?.value == OID_MESSAGE_DIGEST {
            let digest = Tlv::expect(fields.next(SET)?.value, OCTET_STRING).ok()?;
            return Some(Attributes { as_signed, message_digest: digest.to_vec() });
        }
    }
    None
}
