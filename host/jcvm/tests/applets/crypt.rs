//! Cryptography called by bytecode, against the standards' own examples and other implementations.

use jpkise_jcvm::{crypto_providers, Card, NoServices, Profile, Random};
use rsa::traits::SignatureScheme;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::bench::{cap, put, select, send};

/// A card for each backend.
fn cards() -> Vec<Card> {
    let Some(cap) = cap("crypt") else { return Vec::new() };
    let with = |crypto| {
        let mut card = Card::with(Profile::default(), crypto, Random::seeded(1)).unwrap();
        let instance = put(&mut card, &cap, 0, "D27600017701");
        assert_eq!(select(&mut card, 0, instance), Ok(true));
        card
    };
    crypto_providers().into_iter().map(with).collect()
}

fn call(card: &mut Card, ins: u8, p1: u8, p2: u8, data: &[u8]) -> String {
    let mut apdu = vec![0, ins, p1, p2];
    if !data.is_empty() {
        apdu.push(u8::try_from(data.len()).unwrap());
        apdu.extend(data);
    }
    send(card, &hex::encode(apdu))
}

/// The answer's data; anything but 9000 fails.
fn ask(card: &mut Card, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
    let answer = call(card, ins, p1, p2, data);
    let data = answer.strip_suffix("9000").unwrap_or_else(|| panic!("{ins:02X} {p1} {p2}: {answer}"));
    hex::decode(data).unwrap()
}

const DIGEST: u8 = 0x30;
const MAC: u8 = 0x32;
const CIPHER: u8 = 0x34;
const ECDSA_SIGN: u8 = 0x36;
const ECDSA_VERIFY: u8 = 0x38;
const GENERATE: u8 = 0x3A;
const SIGN: u8 = 0x3C;
const RSA: u8 = 0x3E;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

#[test]
fn digests_are_those_of_fips_180() {
    // MessageDigest.ALG_… and FIPS 180's "abc".
    let rows = [
        (1, "A9993E364706816ABA3E25717850C26C9CD0D89D"),
        (7, "23097D223405D8228642A477BDA255B32AADBCE4BDA0B3F7E36C9DA7"),
        (4, "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        (
            5,
            "CB00753F45A35E8BB5A03D699AC65007272C32AB0EDED1631A8B605A43FF5BED8086072BA1E7CC2358BAECA134C825A7",
        ),
        (
            6,
            "DDAF35A193617ABACC417349AE20413112E6FA4E89A97EA20A9EEEE64B55D39A2192992A274FC1A836BA3C23A3FEEBBD\
             454D4423643CE80E2A9AC94FA54CA49F",
        ),
    ];
    for mut card in cards() {
        for (algorithm, expected) in rows {
            for bytewise in [0, 1] {
                let digest = ask(&mut card, DIGEST, algorithm, bytewise, b"abc");
                assert_eq!(hex::encode_upper(digest), expected, "{algorithm}");
            }
        }
        assert_eq!(call(&mut card, DIGEST, 2, 0, b"abc"), "6F13", "MD5 is not there: NO_SUCH_ALGORITHM");
    }
}

#[test]
fn what_is_not_there_is_said_to_who_asks() {
    for mut card in cards() {
        for mode in [0, 1] {
            assert_eq!(call(&mut card, 0x40, 1, mode, &[]), "6F13");
        }
    }
}

#[test]
fn macs_are_those_of_rfc_4231_and_rfc_4493() {
    // Signature.ALG_…, key, message, result.
    let rows: [(u8, &str, &str, &str); 8] = [
        // RFC 2202 and RFC 4231, test case 2.
        (24, "4A656665", "7768617420646F2079612077616E7420666F72206E6F7468696E673F", "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"),
        (25, "4A656665", "7768617420646F2079612077616E7420666F72206E6F7468696E673F", "5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843"),
        (26, "4A656665", "7768617420646F2079612077616E7420666F72206E6F7468696E673F", "AF45D2E376484031617F78D2B58A6B1B9C7EF464F5A01B47E42EC3736322445E8E2240CA5E69E2C78B3239ECFAB21649"),
        (27, "4A656665", "7768617420646F2079612077616E7420666F72206E6F7468696E673F", "164B7A7BFCF819E2E395FBE73B56E0A387BD64222E831FD610270CD7EA2505549758BF75C05A994A6D034F65F8F0E6FDCAEAB1A34D4A6B4B636E070A38BCE737"),
        // RFC 4493, examples 2 and 3.
        (49, "2B7E151628AED2A6ABF7158809CF4F3C", "6BC1BEE22E409F96E93D7E117393172A", "070A16B46B4D4144F79BDD9DD04A287C"),
        (49, "2B7E151628AED2A6ABF7158809CF4F3C", "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E5130C81C46A35CE411", "DFA66747DE9AE63030CA32611497C827"),
        // NIST SP 800-38B, D.3: AES-256.
        (49, "603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4", "6BC1BEE22E409F96E93D7E117393172A", "28A7023F452E8F82BD4BF28D8C37C35C"),
        // CBC-MAC is the last block of SP 800-38A, F.2.1 with a chaining block of zeros: AES of the one block.
        (18, "2B7E151628AED2A6ABF7158809CF4F3C", "6BC1BEE22E409F96E93D7E117393172A", "3AD77BB40D7A3660A89ECAF32466EF97"),
    ];
    for mut card in cards() {
        for (algorithm, key, message, expected) in rows {
            let (key, message) = (bytes(key), bytes(message));
            let data = [key.clone(), message].concat();
            let mac = ask(&mut card, MAC, algorithm, u8::try_from(key.len()).unwrap(), &data);
            assert_eq!(hex::encode_upper(mac), expected, "{algorithm}");
        }
    }
}

#[test]
fn aes_is_that_of_sp_800_38a() {
    let key = "2B7E151628AED2A6ABF7158809CF4F3C";
    let iv = "000102030405060708090A0B0C0D0E0F";
    let plain = "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E51";
    // Cipher.ALG_…: CBC and ECB without padding.
    let rows = [
        (13, "7649ABAC8119B246CEE98E9B12E9197D5086CB9B507219EE95DB113A917678B2"),
        (14, "3AD77BB40D7A3660A89ECAF32466EF97F5D3D58503B9699DE785895A96FDBAAF"),
    ];
    for mut card in cards() {
        for (algorithm, cipher) in rows {
            for (mode, from, to) in [(2, plain, cipher), (1, cipher, plain)] {
                let out = ask(&mut card, CIPHER, algorithm, mode, &bytes(&format!("{key}{iv}{from}")));
                assert_eq!(hex::encode_upper(out), to, "{algorithm}, mode {mode}");
            }
        }
        // ISO 9797 method 2 and PKCS #5: what goes in comes out, whatever its length.
        for algorithm in [23, 26, 24, 27] {
            for length in [0, 1, 15, 16, 17, 32, 40] {
                let message: Vec<u8> = (1..=length).collect();
                let chained = if matches!(algorithm, 23) { iv } else { "00000000000000000000000000000000" };
                let head = bytes(&format!("{key}{chained}"));
                let secret = ask(&mut card, CIPHER, algorithm, 2, &[head.clone(), message.clone()].concat());
                assert!(secret.len() % 16 == 0 && secret.len() > message.len());
                let clear = ask(&mut card, CIPHER, algorithm, 1, &[head, secret].concat());
                assert_eq!(clear, message, "{algorithm}, {length} bytes");
            }
        }
        let odd = bytes(&format!("{key}{iv}00"));
        assert_eq!(call(&mut card, CIPHER, 13, 2, &odd), "6F15", "no padding: ILLEGAL_USE");
        assert_eq!(call(&mut card, CIPHER, 13, 3, &odd), "6F11", "no such mode: ILLEGAL_VALUE");
        assert_eq!(call(&mut card, CIPHER, 1, 2, &odd), "6F13", "DES is not there");
    }
}

#[test]
fn ecdsa_is_that_of_rfc_6979_and_verifies() {
    let key = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    let point = "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB67903FE1008B8BC99A41AE9E95628BC64F2\
                 F1B20C2D7E9F5177A3C294D4462299";
    for mut card in cards() {
        // ALG_ECDSA_SHA_256 of "sample".
        let signature = ask(&mut card, ECDSA_SIGN, 33, 0, &[&bytes(key)[..], b"sample"].concat());
        assert_eq!(
            hex::encode_upper(&signature),
            "3046022100EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
             022100F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
        );
        for algorithm in [17, 37, 33, 34, 38] {
            let signature = ask(&mut card, ECDSA_SIGN, algorithm, 0, &[&bytes(key)[..], b"sample"].concat());
            let verify = |message: &[u8]| {
                let length = [u8::try_from(signature.len()).unwrap()];
                [&bytes(point)[..], &length, &signature, message].concat()
            };
            assert_eq!(ask(&mut card, ECDSA_VERIFY, algorithm, 0, &verify(b"sample")), [1], "{algorithm}");
            assert_eq!(ask(&mut card, ECDSA_VERIFY, algorithm, 0, &verify(b"simple")), [0], "{algorithm}");
        }
        // A pair of the card's own: its signature, judged by every backend.
        let public = ask(&mut card, GENERATE, 5, 8, &[]);
        let signature = ask(&mut card, SIGN, 33, 0, b"message");
        for provider in crypto_providers() {
            assert!(provider.p256_verify(&public, &Sha256::digest(b"message"), &signature));
        }
    }
}

#[test]
fn rsa_signatures_are_right_in_the_opinion_of_another_implementation() {
    for mut card in cards() {
        // KeyPair.ALG_RSA, ALG_RSA_CRT; 1024 bits.
        for form in [1, 2] {
            let modulus = ask(&mut card, GENERATE, form, 32, &[]);
            let modulus = BigUint::from_bytes_be(&modulus);
            let key = RsaPublicKey::new(modulus.clone(), BigUint::from(65_537u32)).unwrap();
            // ALG_RSA_SHA_…_PKCS1
            let signed: [(u8, Pkcs1v15Sign, Vec<u8>); 5] = [
                (10, Pkcs1v15Sign::new::<Sha1>(), Sha1::digest(b"m").to_vec()),
                (39, Pkcs1v15Sign::new::<Sha224>(), Sha224::digest(b"m").to_vec()),
                (40, Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(b"m").to_vec()),
                (41, Pkcs1v15Sign::new::<Sha384>(), Sha384::digest(b"m").to_vec()),
                (42, Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(b"m").to_vec()),
            ];
            for (algorithm, scheme, digest) in signed {
                let signature = ask(&mut card, SIGN, algorithm, 0, b"m");
                scheme.verify(&key, &digest, &signature).unwrap();
            }
            let pss = ask(&mut card, SIGN, 44, 0, b"m");
            rsa::Pss::new::<Sha256>().verify(&key, &Sha256::digest(b"m"), &pss).unwrap();
            // Cipher.ALG_RSA_NOPAD with the private key, back by the public exponent.
            let block = [&[0][..], &[0x5A; 127]].concat();
            let raw = ask(&mut card, RSA, 12, 1, &block);
            let back = BigUint::from_bytes_be(&raw).modpow(&BigUint::from(65_537u32), &modulus);
            assert_eq!(back, BigUint::from_bytes_be(&block));
            assert_eq!(call(&mut card, RSA, 12, 1, &[0xFF; 128]), "6F15", "not below the modulus");
            assert_eq!(call(&mut card, RSA, 12, 1, &block[1..]), "6F15", "too short");
            // ALG_RSA_PKCS1 there and back.
            assert_eq!(ask(&mut card, RSA, 10, 2, b"secret"), b"secret");
            assert_eq!(call(&mut card, RSA, 10, 2, &[1; 118]), "6F15", "too long for the padding");
        }
        assert_eq!(call(&mut card, GENERATE, 2, 3, &[]), "6F13", "96 bits");
        assert_eq!(call(&mut card, GENERATE, 5, 6, &[]), "6F13", "192 bits");
        card.deselect(0, &mut NoServices).unwrap();
    }
}
