//! Every cryptographic backend against known answers, and against each other.
//!
//! `JPKISE_WYCHEPROOF` names a checkout of C2SP/wycheproof: its RSA and ECDSA vectors are then run as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::many_single_char_names)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jpkise_jcvm::{crypto_providers, CryptoProvider, Random, RsaCrt};
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::BigUint;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

fn providers() -> Vec<Arc<dyn CryptoProvider>> {
    let all = crypto_providers();
    if all.len() < 2 {
        println!("skipped: OpenSSL, this build is without the feature native-crypto");
    }
    all
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

struct Row {
    bits: usize,
    e: Vec<u8>,
    key: RsaCrt,
    input: Vec<u8>,
    result: Vec<u8>,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("data/rsa.txt").lines().filter(|l| !l.starts_with('#'));
    let row = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let at = |index: usize| bytes(words[index]);
        let key = RsaCrt { p: at(2), q: at(3), dp: at(4), dq: at(5), q_inverse: at(6) };
        Row { bits: words[0].parse().unwrap(), e: at(1), key, input: at(7), result: at(8) }
    };
    lines.map(row).collect()
}

fn product(key: &RsaCrt) -> Vec<u8> {
    (BigUint::from_bytes_be(&key.p) * BigUint::from_bytes_be(&key.q)).to_bytes_be()
}

#[test]
fn rsa_agrees_with_the_integers_of_another_language() {
    for provider in providers() {
        for (number, row) in rows().iter().enumerate() {
            let what = format!("{}, row {number}", provider.name());
            assert_eq!(provider.rsa_crt(&row.key, &row.input).as_ref(), Some(&row.result), "{what}");
            let n = product(&row.key);
            assert_eq!(n.len() * 8, row.bits);
            assert_eq!(provider.rsa_raw(&n, &row.e, &row.result).as_ref(), Some(&row.input), "{what}");
            // Leading zeros of an operand do not count.
            let long = [&[0, 0][..], &row.input].concat();
            assert_eq!(provider.rsa_crt(&row.key, &long).as_ref(), Some(&row.result), "{what}");
        }
    }
}

/// Makes a key unfit with parts of another.
type Change = fn(&mut RsaCrt, &RsaCrt);

#[test]
fn what_is_no_rsa_operation_gives_nothing() {
    let row = rows().remove(4);
    let n = product(&row.key);
    let mut even = n.clone();
    *even.last_mut().unwrap() &= 0xFE;
    let other = rows().remove(9).key;
    let unfit: [(&str, Change); 8] = [
        ("another dp", |key, other| key.dp.clone_from(&other.dp)),
        ("another dq", |key, other| key.dq.clone_from(&other.dq)),
        ("another q^-1", |key, other| key.q_inverse.clone_from(&other.q_inverse)),
        ("p and q exchanged", |key, _| std::mem::swap(&mut key.p, &mut key.q)),
        ("an even p", |key, _| *key.p.last_mut().unwrap() &= 0xFE),
        ("q is 1", |key, _| key.q = vec![1]),
        ("dp is 0", |key, _| key.dp = vec![0; 128]),
        ("nothing", |key, _| key.p.clear()),
    ];
    for provider in providers() {
        let name = provider.name();
        assert_eq!(provider.rsa_crt(&row.key, &n), None, "{name}: not below the modulus");
        assert_eq!(provider.rsa_raw(&n, &row.e, &n), None, "{name}: not below the modulus");
        assert_eq!(provider.rsa_raw(&even, &row.e, &row.input), None, "{name}: even modulus");
        assert_eq!(provider.rsa_raw(&[], &row.e, &row.input), None, "{name}: no modulus");
        for (what, change) in unfit {
            let mut key = row.key.clone();
            change(&mut key, &other);
            assert_eq!(provider.rsa_crt(&key, &row.input), None, "{name}: {what}");
        }
    }
}

#[test]
fn generated_keys_work_with_every_backend_and_repeat_with_their_seed() {
    for provider in providers() {
        let name = provider.name();
        for (bits, exponent) in [(512, &[3][..]), (1024, &[1, 0, 1]), (2048, &[1, 0, 1]), (1056, &[17])] {
            let generate = |seed| provider.rsa_generate(bits, exponent, &mut Random::seeded(seed)).unwrap();
            let key = generate(7);
            let [n, p, q, d, e] =
                [&key.modulus, &key.crt.p, &key.crt.q, &key.private_exponent, &key.public_exponent]
                    .map(|b| BigUint::from_bytes_be(b));
            assert_eq!(n.bits(), bits, "{name}");
            assert_eq!(n, &p * &q, "{name}");
            assert_eq!(e, BigUint::from_bytes_be(exponent), "{name}");
            let parts = [&key.crt.p, &key.crt.q, &key.crt.dp, &key.crt.dq, &key.crt.q_inverse];
            assert!(parts.iter().all(|part| part.len() == bits / 16), "{name}");
            // The rsa crate's own opinion of the key, primes included.
            rsa::RsaPrivateKey::from_components(n, e, d, vec![p, q]).unwrap().validate().unwrap();
            let input = vec![0x5A; bits / 8];
            for other in crypto_providers() {
                let result = other.rsa_crt(&key.crt, &input).unwrap();
                let raw = other.rsa_raw(&key.modulus, &key.private_exponent, &input);
                assert_eq!(raw.as_ref(), Some(&result), "{name}, {}", other.name());
                assert_eq!(provider.rsa_raw(&key.modulus, exponent, &result).unwrap(), input);
            }
            if bits <= 1024 {
                assert_eq!(generate(7).modulus, key.modulus, "{name}: the same seed");
                assert_ne!(generate(8).modulus, key.modulus, "{name}: another seed");
            }
        }
        for (bits, exponent) in [(1024, &[2][..]), (1024, &[1]), (1024, &[])] {
            let key = provider.rsa_generate(bits, exponent, &mut Random::seeded(7));
            assert!(key.is_none(), "{name}: exponent {exponent:?}");
        }
    }
}

/// DER of the two numbers.
fn der(r: &str, s: &str) -> Vec<u8> {
    let integer = |hex: &str| {
        let mut value = bytes(hex);
        while value.len() > 1 && value[0] == 0 && value[1] < 0x80 {
            value.remove(0);
        }
        if value[0] >= 0x80 {
            value.insert(0, 0);
        }
        [&[2, u8::try_from(value.len()).unwrap()], &value[..]].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// RFC 6979, A.2.5: the key and the signatures of "sample".
const KEY: &str = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
const POINT: &str = "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6\
                     7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";

fn rfc_6979() -> Vec<(Vec<u8>, Vec<u8>)> {
    let message = b"sample";
    vec![
        (
            Sha1::digest(message).to_vec(),
            der(
                "61340C88C3AAEBEB4F6D667F672CA9759A6CCAA9FA8811313039EE4A35471D32",
                "6D7F147DAC089441BB2E2FE8F7A3FA264B9C475098FDCF6E00D7C996E1B8B7EB",
            ),
        ),
        (
            Sha224::digest(message).to_vec(),
            der(
                "53B2FFF5D1752B2C689DF257C04C40A587FABABB3F6FC2702F1343AF7CA9AA3F",
                "B9AFB64FDC03DC1A131C7D2386D11E349F070AA432A4ACC918BEA988BF75C74C",
            ),
        ),
        (
            Sha256::digest(message).to_vec(),
            der(
                "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
                "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
            ),
        ),
        (
            Sha384::digest(message).to_vec(),
            der(
                "0EAFEA039B20E9B42309FB1D89E213057CBF973DC0CFC8F129EDDDC800EF7719",
                "4861F0491E6998B9455193E34E7B0D284DDD7149A74B95B9261F13ABDE940954",
            ),
        ),
        (
            Sha512::digest(message).to_vec(),
            der(
                "8496A60B5E9B47C825488827E0495B0E3FA109EC4568FD3F8D1097678EB97F00",
                "2362AB1ADBE2B8ADF9CB9EDAB740EA6049C028114F2460F96554F61FAE3302FE",
            ),
        ),
    ]
}

#[test]
fn ecdsa_agrees_with_rfc_6979() {
    let (key, point) = (bytes(KEY), bytes(POINT));
    for provider in providers() {
        let name = provider.name();
        for (hash, expected) in rfc_6979() {
            let signature = provider.p256_sign(&key, &hash).unwrap();
            // The p256 crate derives every nonce with SHA-256: equal where that is the hash, valid elsewhere.
            if name != "rustcrypto" || hash.len() == 32 {
                assert_eq!(hex::encode(&signature), hex::encode(&expected), "{name}");
            }
            for signature in [&signature, &expected] {
                for verifier in crypto_providers() {
                    let verify = |point: &[u8], hash: &[u8], signature: &[u8]| {
                        verifier.p256_verify(point, hash, signature)
                    };
                    assert!(verify(&point, &hash, signature), "{name}, {}", verifier.name());
                    let mut other = hash.clone();
                    other[0] ^= 1;
                    assert!(!verify(&point, &other, signature));
                    for at in 0..signature.len() {
                        let mut wrong = signature.clone();
                        wrong[at] ^= 1;
                        assert!(!verify(&point, &hash, &wrong), "byte {at}");
                    }
                    assert!(!verify(&point, &hash, &[signature, &[0][..]].concat()));
                    assert!(!verify(&point[..64], &hash, signature));
                    assert!(!verify(&[0], &hash, signature), "the point at infinity");
                    let mut off_curve = point.clone();
                    off_curve[64] ^= 1;
                    assert!(!verify(&off_curve, &hash, signature));
                }
            }
        }
    }
}

#[test]
fn scalars_are_below_the_order_and_keys_repeat_with_their_seed() {
    let order = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    let hash = [7; 32];
    let mut seen = Vec::new();
    for provider in providers() {
        let name = provider.name();
        for scalar in [order, &"00".repeat(32), &"FF".repeat(32)] {
            assert_eq!(provider.p256_sign(&bytes(scalar), &hash), None, "{name}: {scalar}");
        }
        let (private, public) = provider.p256_generate(&mut Random::seeded(3)).unwrap();
        assert_eq!((private.len(), public.len(), public[0]), (32, 65, 4), "{name}");
        let signature = provider.p256_sign(&private, &hash).unwrap();
        assert!(crypto_providers().iter().all(|p| p.p256_verify(&public, &hash, &signature)), "{name}");
        seen.push((private, public));
    }
    // Both draw the scalar alike.
    seen.dedup();
    assert_eq!(seen.len(), 1);
}

fn wycheproof(file: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("JPKISE_WYCHEPROOF") else {
        println!("skipped: {file}, JPKISE_WYCHEPROOF names no checkout of C2SP/wycheproof");
        return None;
    };
    let path: PathBuf = Path::new(&folder).join("testvectors_v1").join(file);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn hash(name: &str, message: &[u8]) -> Option<Vec<u8>> {
    Some(match name {
        "SHA-1" => Sha1::digest(message).to_vec(),
        "SHA-224" => Sha224::digest(message).to_vec(),
        "SHA-256" => Sha256::digest(message).to_vec(),
        "SHA-384" => Sha384::digest(message).to_vec(),
        "SHA-512" => Sha512::digest(message).to_vec(),
        _ => return None,
    })
}

/// 00 01 FF… 00 and the DigestInfo (RFC 8017, 9.2), apart from the crate's own.
fn emsa(name: &str, digest: &[u8], len: usize) -> Vec<u8> {
    let oid: &[u8] = match name {
        "SHA-1" => &[0x30, 9, 6, 5, 0x2B, 0x0E, 3, 2, 0x1A, 5, 0],
        "SHA-224" => &[0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4, 5, 0],
        "SHA-256" => &[0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0],
        "SHA-384" => &[0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0],
        _ => &[0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0],
    };
    let length = |len: usize| u8::try_from(len).unwrap();
    let info =
        [&[0x30, length(oid.len() + 2 + digest.len())], oid, &[4, length(digest.len())], digest].concat();
    let fill = vec![0xFF; len - 3 - info.len()];
    [&[0, 1][..], &fill, &[0], &info].concat()
}

#[test]
fn wycheproof_rsa_signatures() {
    let files = [1024, 1536, 2048, 3072, 4096].map(|bits| format!("rsa_pkcs1_{bits}_sig_gen_test.json"));
    let mut count = 0;
    for file in files {
        let Some(vectors) = wycheproof(&file) else { return };
        for group in vectors["testGroups"].as_array().unwrap() {
            let key = rsa::RsaPrivateKey::from_pkcs8_der(&bytes(text(group, "privateKeyPkcs8"))).unwrap();
            let [p, q] = key.primes() else { panic!("two primes") };
            let one = BigUint::from(1u8);
            let crt = RsaCrt {
                p: p.to_bytes_be(),
                q: q.to_bytes_be(),
                dp: (key.d() % (p - &one)).to_bytes_be(),
                dq: (key.d() % (q - &one)).to_bytes_be(),
                q_inverse: (q % p).modpow(&(p - 2u8), p).to_bytes_be(),
            };
            for test in group["tests"].as_array().unwrap() {
                let sha = text(group, "sha");
                let Some(digest) = hash(sha, &bytes(text(test, "msg"))) else { continue };
                let block = emsa(sha, &digest, key.size());
                for provider in providers() {
                    let signature = provider.rsa_crt(&crt, &block).unwrap();
                    // Where the primes differ in length there are more leading zeros.
                    let number = |bytes: &[u8]| BigUint::from_bytes_be(bytes);
                    let expected = number(&bytes(text(test, "sig")));
                    assert_eq!(number(&signature), expected, "{file} {}", test["tcId"]);
                }
                count += 1;
            }
        }
    }
    println!("{count} signatures");
    assert!(count > 100);
}

#[test]
fn wycheproof_ecdsa_verification() {
    let mut count = 0;
    for sha in ["sha256", "sha512"] {
        let Some(vectors) = wycheproof(&format!("ecdsa_secp256r1_{sha}_test.json")) else { return };
        for group in vectors["testGroups"].as_array().unwrap() {
            let public = bytes(text(&group["publicKey"], "uncompressed"));
            for test in group["tests"].as_array().unwrap() {
                let digest = hash(text(group, "sha"), &bytes(text(test, "msg"))).unwrap();
                let signature = bytes(text(test, "sig"));
                for provider in providers() {
                    let valid = provider.p256_verify(&public, &digest, &signature);
                    let what = format!("{} {sha} {} {}", provider.name(), test["tcId"], test["comment"]);
                    match text(test, "result") {
                        "valid" => assert!(valid, "{what}"),
                        "invalid" => assert!(!valid, "{what}"),
                        _ => {}
                    }
                }
                count += 1;
            }
        }
    }
    println!("{count} verifications");
    assert!(count > 400);
}
