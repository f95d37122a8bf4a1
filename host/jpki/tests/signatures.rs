//! The six signing schemes, checked against signatures that the openssl program made.
#![allow(clippy::unwrap_used)]

mod common;

use common::{card_key, openssl};
use jpkise_jpki::edge::signature::digest_info;
use jpkise_jpki::edge::{KeyRef, Scheme};
use jpkise_jpki::verify::verify_scheme;
use rsa::pkcs8::EncodePrivateKey;
use sha2::{Digest, Sha256};

#[test]
fn each_scheme_is_verified_as_openssl_pads_it_and_as_no_other() {
    let Some(openssl) = openssl("pkeyutl -sign of each scheme") else { return };
    let message = b"a message".as_slice();
    let digest = Sha256::digest(message).to_vec();
    let info = digest_info(digest.as_slice().try_into().unwrap());
    let pem = card_key(KeyRef::Sign).to_pkcs8_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    openssl.file("key.pem", pem.as_str());
    openssl.file("digest.bin", &digest);
    openssl.file("info.bin", info);
    let sign = |input: &str, options: &[&str]| {
        let mut arguments = vec!["pkeyutl", "-sign", "-inkey", "key.pem", "-in", input, "-out", "s.bin"];
        arguments.extend(options.iter().flat_map(|o| ["-pkeyopt", o]));
        openssl.expect(&arguments);
        openssl.read("s.bin")
    };
    let pss = ["digest:sha256", "rsa_padding_mode:pss", "rsa_pss_saltlen:32"];
    let signatures = [
        (Scheme::Verbatim, info.to_vec(), sign("info.bin", &[])),
        (Scheme::BareSha256, message.to_vec(), sign("digest.bin", &[])),
        (Scheme::Pkcs1Digest, digest.clone(), sign("digest.bin", &["digest:sha256"])),
        (Scheme::Pkcs1Message, message.to_vec(), sign("digest.bin", &["digest:sha256"])),
        (Scheme::PssDigest, digest.clone(), sign("digest.bin", &pss)),
        (Scheme::PssMessage, message.to_vec(), sign("digest.bin", &pss)),
    ];
    let key = card_key(KeyRef::Sign).to_public_key();
    let other = card_key(KeyRef::Auth).to_public_key();
    for (scheme, input, signature) in &signatures {
        verify_scheme(&key, *scheme, input, signature).unwrap_or_else(|e| panic!("{scheme:?}: {e}"));
        assert!(verify_scheme(&other, *scheme, input, signature).is_err());
        let mut changed = signature.clone();
        changed[100] ^= 1;
        assert!(verify_scheme(&key, *scheme, input, &changed).is_err());
        for (wrong, _, theirs) in &signatures {
            if theirs != signature {
                assert!(
                    verify_scheme(&key, *wrong, input, signature).is_err(),
                    "{scheme:?} passed as {wrong:?}"
                );
            }
        }
    }
}
