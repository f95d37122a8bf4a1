//! Bytes from a card, a file or a socket never bring the library down.
#![allow(clippy::unwrap_used)]

mod common;

use common::{certificate, csr, hierarchy, NOW};
use der::{Decode, Encode};
use jpkise_jpki::ca::{BasicAttributes, Subscriber, TestCa};
use jpkise_jpki::crl::RevocationList;
use jpkise_jpki::csr::Csr;
use jpkise_jpki::edge::token::Availability;
use jpkise_jpki::edge::{
    AppletVersion, Attestation, CardPublicKey, CardStatus, KeyRef, TokenInfo, TokenProfile,
};
use jpkise_jpki::verify::verify_chain;
use jpkise_jpki::{cms, Cert, CertificateError};
use proptest::prelude::*;
use x509_cert::Certificate;

/// Everything that reads foreign bytes.
fn read_as_everything(bytes: &[u8]) {
    let _ = CardPublicKey::parse(bytes);
    let _ = TokenInfo::parse(bytes);
    let _ = Availability::parse(bytes);
    let _ = AppletVersion::parse(bytes);
    let _ = CardStatus::parse(bytes);
    let _ = Attestation::parse(bytes);
    let _ = Csr::from_der(bytes);
    if let Ok(list) = RevocationList::from_bytes(bytes) {
        let leaf = certificate(KeyRef::Sign, TokenProfile::Phone);
        let _ = list.status(&leaf, hierarchy().sign.certificate(), NOW);
    }
    let _ = cms::verify(bytes, None);
    let _ = cms::verify(bytes, Some(b"content"));
    let _ = TestCa::from_pem(&String::from_utf8_lossy(bytes));
    if let Ok(certificate) = Cert::from_der(bytes) {
        let ca = hierarchy().sign.certificate();
        let _ = BasicAttributes::from_certificate(&certificate);
        let _ = verify_chain(&certificate, ca, KeyRef::Sign, NOW);
        let _ = verify_chain(ca, &certificate, KeyRef::Auth, NOW);
    }
}

fn good_objects() -> Vec<Vec<u8>> {
    let leaf = certificate(KeyRef::Sign, TokenProfile::Phone);
    let message =
        cms::sign(cms::Content::Attached(b"content"), &leaf, hierarchy().sign.certificate(), NOW, |hash| {
            Ok::<_, std::convert::Infallible>(common::sign_digest(common::card_key(KeyRef::Sign), hash))
        });
    vec![
        leaf.as_der().to_vec(),
        csr(KeyRef::Auth, &Subscriber::sample()).as_der().to_vec(),
        message.unwrap(),
        TokenInfo::new(TokenProfile::Phone, "1").build().unwrap().to_vec(),
        hierarchy().auth.to_pem().unwrap().as_bytes().to_vec(),
    ]
}

proptest! {
    #[test]
    fn random_bytes_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn good_objects_with_bytes_changed_or_cut_are_read_or_refused(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        static OBJECTS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let mut bytes = OBJECTS.get_or_init(good_objects)[which].clone();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        read_as_everything(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        read_as_everything(&bytes);
    }
}

#[test]
fn a_certificate_whose_modulus_is_no_modulus_has_no_key() {
    let whole = certificate(KeyRef::Sign, TokenProfile::Phone);
    for (what, modulus) in [
        ("zero", vec![0]),
        ("small", vec![0x0F]),
        ("even", {
            let mut even = vec![0x7F; 256];
            even[255] = 0x10;
            even
        }),
    ] {
        let mut parsed = Certificate::from_der(whole.as_der()).unwrap();
        let key = pkcs1::RsaPublicKey {
            modulus: der::asn1::UintRef::new(&modulus).unwrap(),
            public_exponent: der::asn1::UintRef::new(&[3]).unwrap(),
        };
        let bits = der::asn1::BitString::from_bytes(&key.to_der().unwrap()).unwrap();
        parsed.tbs_certificate.subject_public_key_info.subject_public_key = bits;
        parsed.signature = der::asn1::BitString::from_bytes(&[]).unwrap();
        let changed = Cert::from_der(&parsed.to_der().unwrap()).unwrap();
        assert_eq!(changed.public_key(), Err(CertificateError::Key), "{what}");
        assert!(verify_chain(&changed, &changed, KeyRef::Sign, NOW).is_err());
    }
}
