//! Signed messages, against the openssl program in both directions.
#![allow(clippy::unwrap_used, clippy::unnecessary_wraps)]

mod common;

use std::convert::Infallible;

use common::{card_key, certificate, hierarchy, openssl, sign_digest, NOW};
use jpkise_jpki::cms::{sign, verify, CmsError, Content, VerifyError};
use jpkise_jpki::edge::{KeyRef, TokenProfile};
use jpkise_jpki::verify::verify_chain;
use jpkise_jpki::Cert;
use rsa::pkcs8::EncodePrivateKey;
use sha2::{Digest, Sha256};

const MESSAGE: &[u8] = "申請書\r\nline two\n\x00\x1A".as_bytes();

fn signer() -> Cert {
    certificate(KeyRef::Sign, TokenProfile::Phone)
}

fn by_card(hash: &[u8; 32]) -> Result<[u8; 256], Infallible> {
    Ok(sign_digest(card_key(KeyRef::Sign), hash))
}

fn detached() -> Vec<u8> {
    let digest = Sha256::digest(MESSAGE).into();
    sign(Content::Detached(&digest), &signer(), hierarchy().sign.certificate(), NOW, by_card).unwrap()
}

fn attached() -> Vec<u8> {
    sign(Content::Attached(MESSAGE), &signer(), hierarchy().sign.certificate(), NOW, by_card).unwrap()
}

#[test]
fn openssl_verifies_a_detached_message_and_refuses_another_content() {
    let Some(openssl) = openssl("cms -verify of a detached message") else { return };
    openssl.file("message.p7s", detached());
    openssl.file("message.bin", MESSAGE);
    openssl.file("other.bin", b"something else");
    openssl.file("sign-ca.pem", hierarchy().sign.certificate().to_pem().unwrap());
    let at = NOW.unix_timestamp().to_string();
    let arguments = |content| {
        [
            "cms",
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "message.p7s",
            "-content",
            content,
            "-CAfile",
            "sign-ca.pem",
            "-purpose",
            "any",
            "-attime",
            &at,
        ]
        .map(str::to_owned)
    };
    let run = |content| {
        let owned = arguments(content);
        openssl.run(&owned.each_ref().map(String::as_str))
    };
    let (good, text) = run("message.bin");
    assert!(good, "{text}");
    assert!(!run("other.bin").0);
}

#[test]
fn openssl_verifies_an_attached_message_as_cades_and_gives_the_content_back() {
    let Some(openssl) = openssl("cms -verify -cades of an attached message") else { return };
    openssl.file("message.p7m", attached());
    openssl.file("sign-ca.pem", hierarchy().sign.certificate().to_pem().unwrap());
    let at = NOW.unix_timestamp().to_string();
    // -cades checks that signing-certificate-v2 names the signer's certificate.
    openssl.expect(&[
        "cms",
        "-verify",
        "-cades",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "message.p7m",
        "-CAfile",
        "sign-ca.pem",
        "-purpose",
        "any",
        "-attime",
        &at,
        "-out",
        "content.bin",
    ]);
    let printed = openssl.expect(&["dgst", "-sha256", "-r", "content.bin"]);
    assert!(printed.starts_with(&hex::encode(Sha256::digest(MESSAGE))), "{printed}");
    let outline = openssl.expect(&["cms", "-cmsout", "-print", "-inform", "DER", "-in", "message.p7m"]);
    for expected in [
        "contentType",
        "messageDigest",
        "signingTime",
        "id-smime-aa-signingCertificateV2",
        "UTCTIME:Nov 23 01:02:03 2026 GMT",
    ] {
        assert!(outline.contains(expected), "{expected} is missing in\n{outline}");
    }
}

#[test]
fn we_verify_what_openssl_signs() {
    let Some(openssl) = openssl("cms -sign") else { return };
    let key = card_key(KeyRef::Sign).to_pkcs8_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    openssl.file("key.pem", key.as_str());
    openssl.file("cert.pem", signer().to_pem().unwrap());
    openssl.file("message.bin", MESSAGE);
    for (more, content) in
        [(vec![], Some(MESSAGE)), (vec!["-nodetach"], None), (vec!["-cades", "-keyid"], Some(MESSAGE))]
    {
        let mut arguments = vec![
            "cms",
            "-sign",
            "-binary",
            "-md",
            "sha256",
            "-signer",
            "cert.pem",
            "-inkey",
            "key.pem",
            "-in",
            "message.bin",
            "-outform",
            "DER",
            "-out",
            "out.p7s",
        ];
        arguments.extend(&more);
        openssl.expect(&arguments);
        let message = openssl.read("out.p7s");
        let verified = verify(&message, content).unwrap_or_else(|e| panic!("{more:?}: {e}"));
        assert_eq!(verified.signer, signer());
        assert_eq!(verified.content.is_some(), content.is_none());
    }
}

#[test]
fn our_own_messages_verify_and_carry_both_certificates() {
    let ca = hierarchy().sign.certificate();
    let verified = verify(&detached(), Some(MESSAGE)).unwrap();
    assert_eq!(verified.others, std::slice::from_ref(ca));
    assert_eq!(verified.signing_time, Some(NOW));
    verify_chain(&verified.signer, ca, KeyRef::Sign, NOW).unwrap();
    assert_eq!(verify(&attached(), None).unwrap().content.unwrap(), MESSAGE);
}

#[test]
fn content_that_is_missing_doubled_or_changed_is_refused() {
    assert_eq!(verify(&detached(), None), Err(VerifyError::Content { attached: false, given: false }));
    assert_eq!(verify(&attached(), Some(MESSAGE)), Err(VerifyError::Content { attached: true, given: true }));
    assert_eq!(verify(&detached(), Some(b"another")), Err(VerifyError::Digest));
}

#[test]
fn no_flipped_bit_of_a_message_survives() {
    let good = attached();
    let reference = verify(&good, None).unwrap();
    for at in (0..good.len()).step_by(5) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x04;
        // A change that still verifies may only touch what nothing signs: certificates that merely travel along,
        // or how the message names its algorithms.
        if let Ok(verified) = verify(&bytes, None) {
            assert_eq!(verified.signer, reference.signer, "byte {at}");
            assert_eq!(verified.content, reference.content, "byte {at}");
            assert_eq!(verified.signing_time, reference.signing_time, "byte {at}");
        }
    }
    for length in 0..good.len() {
        assert!(verify(&good[..length], None).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn a_card_with_another_key_is_found_out_before_a_message_is_made() {
    let digest = [7; 32];
    let by_other = |hash: &[u8; 32]| Ok::<_, Infallible>(sign_digest(card_key(KeyRef::Auth), hash));
    let ca = hierarchy().sign.certificate();
    let error = sign(Content::Detached(&digest), &signer(), ca, NOW, by_other).unwrap_err();
    assert!(matches!(error, CmsError::Signature(_)));
    let refused = |_: &[u8; 32]| Err(std::io::Error::other("pulled"));
    let error = sign(Content::Detached(&digest), &signer(), ca, NOW, refused).unwrap_err();
    assert_eq!(error.to_string(), "signing: pulled");
}
