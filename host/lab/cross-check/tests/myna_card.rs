//! The `myna-card` crate, a client library written against real My Number Cards, uses the personalised applet unmodified:
//! certificates, every signature scheme with its own verification, PIN change, counters, token information.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jpkise_card::{Card as Connection, Transport};
use jpkise_gpse::GpSe;
use jpkise_jpki::edge::{Password, Pin as OurPin, TokenProfile};
use jpkise_lab::chain::{self, Options};
use jpkise_lab::simulator::{self, RuntimeKind};
use myna_card::ap::jpki::{token_flag, JpkiAp, SignatureScheme};
use myna_card::card::Retries;
use myna_card::{Card, Error, Pin, ShortEfId, StatusWord, TokenType, Transmit};

/// The simulated SE as this library sees a reader.
struct Reader(Connection<GpSe>);

impl Transmit for Reader {
    fn transmit(&mut self, command: &[u8]) -> myna_card::Result<Vec<u8>> {
        Ok(self.0.transport_mut().transmit(command).expect("the simulated card answers"))
    }
}

fn card(profile: TokenProfile) -> Card<Reader> {
    let mut connection = simulator::start(RuntimeKind::Jcvm).unwrap();
    let options = Options {
        profile,
        issuer_keys: simulator::test_keys().unwrap(),
        pin: OurPin::new("1234").unwrap(),
        password: Password::new("ABC123").unwrap(),
        now: time::OffsetDateTime::now_utc(),
    };
    chain::provision(&mut connection, &options, &mut |_| {}).unwrap();
    connection.reset().unwrap();
    Card::new(Reader(connection))
}

fn pin(text: &str) -> Pin {
    Pin::numeric(text).unwrap()
}

fn password(text: &str) -> Pin {
    Pin::new(text).unwrap()
}

fn is_status<T: std::fmt::Debug>(result: myna_card::Result<T>, sw: u16) {
    match result {
        Err(Error::Status(found)) if found == StatusWord::from(sw) => {}
        other => panic!("{other:?} where {sw:04X} was due"),
    }
}

const PROFILES: [(TokenProfile, TokenType); 2] =
    [(TokenProfile::Phone, TokenType::Android), (TokenProfile::Card, TokenType::Card)];

#[test]
fn token_information_and_availability_are_understood() {
    for (profile, seen) in PROFILES {
        let mut card = card(profile);
        let mut jpki = JpkiAp::select(&mut card).unwrap();
        assert_eq!(jpki.read_token_type().unwrap(), seen);
        let info = jpki.read_token_info().unwrap();
        assert_eq!(info.token_type, seen);
        assert!(info.has_flag(token_flag::LOGIN_REQUIRED) && info.has_flag(token_flag::TOKEN_INITIALIZED));
        assert_eq!((info.max_pin_len, info.min_pin_len), (16, 6), "as real cards say");
        let availability = jpki.read_certificate_availability().unwrap();
        assert!(availability.has_auth_certificate() && availability.has_sign_certificate());
    }
}

#[test]
fn certificates_are_read_under_the_conditions_of_the_profile_and_belong_to_their_cas() {
    for (profile, _) in PROFILES {
        let mut card = card(profile);
        let mut jpki = JpkiAp::select(&mut card).unwrap();
        match profile {
            TokenProfile::Phone => is_status(jpki.read_auth_certificate(), 0x6982),
            _ => drop(jpki.read_auth_certificate().unwrap()),
        }
        is_status(jpki.read_sign_certificate(), 0x6982);
        let auth_ca = jpki.read_auth_ca_certificate().unwrap();
        let sign_ca = jpki.read_sign_ca_certificate().unwrap();
        jpki.verify_auth_pin(&pin("1234")).unwrap();
        jpki.verify_sign_pin(&password("ABC123")).unwrap();
        jpki.read_auth_certificate().unwrap().verify_signature(&auth_ca).unwrap();
        jpki.read_sign_certificate().unwrap().verify_signature(&sign_ca).unwrap();
        assert!(jpki.read_auth_certificate().unwrap().verify_signature(&sign_ca).is_err());
    }
}

#[test]
fn every_scheme_signs_with_both_keys_and_verifies() {
    use SignatureScheme::*;
    let long: Vec<u8> = (0..=255).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for (profile, _) in PROFILES {
        let mut card = card(profile);
        let mut jpki = JpkiAp::select(&mut card).unwrap();
        is_status(jpki.sign_with_auth_key(Sha256DigestInfo, b"message"), 0x6982);
        is_status(jpki.sign_with_sign_key(Sha256DigestInfo, b"message"), 0x6982);
        jpki.verify_auth_pin(&pin("1234")).unwrap();
        jpki.verify_sign_pin(&password("ABC123")).unwrap();
        let cases: [(SignatureScheme, &[&[u8]]); 6] = [
            (Verbatim, &[&long[..1], &long[..51], &long[..245]]),
            (Sha256Bare, &[&long[..1], &long[..255]]),
            (PreHashedDigestInfo, &[&long[..32]]),
            (Sha256DigestInfo, &[&long[..1], &long[..255]]),
            (PreHashedPss, &[&long[..32]]),
            (Sha256Pss, &[&long[..1], &long[..255]]),
        ];
        for (scheme, inputs) in cases {
            for input in inputs {
                jpki.sign_with_auth_key_checked(scheme, input).unwrap_or_else(|e| panic!("{scheme:?}: {e}"));
                jpki.sign_with_sign_key_checked(scheme, input).unwrap_or_else(|e| panic!("{scheme:?}: {e}"));
            }
        }
        let first = jpki.sign_with_auth_key(PreHashedPss, &long[..32]).unwrap();
        assert_ne!(first, jpki.sign_with_auth_key(PreHashedPss, &long[..32]).unwrap(), "the salt is random");
        let unknown = myna_card::Command::with_data_le(0x80, 0x2A, 0x06, 0x97, [0; 32], 256);
        is_status(jpki.card().call_ok(&unknown), 0x6A86);
    }
}

#[test]
fn counters_are_reported_a_wrong_secret_costs_one_and_the_last_blocks() {
    let mut card = card(TokenProfile::Phone);
    let mut jpki = JpkiAp::select(&mut card).unwrap();
    assert_eq!(jpki.auth_pin_retries().unwrap(), Retries::Remaining(3));
    assert_eq!(jpki.sign_pin_retries().unwrap(), Retries::Remaining(5));
    assert!(matches!(jpki.verify_auth_pin(&pin("9999")), Err(Error::PinIncorrect { retries: Some(2) })));
    assert_eq!(jpki.auth_pin_retries().unwrap(), Retries::Remaining(2));
    jpki.verify_auth_pin(&pin("1234")).unwrap();
    assert_eq!(jpki.auth_pin_retries().unwrap(), Retries::Remaining(3), "also while verified");
    for _ in 0..2 {
        jpki.verify_auth_pin(&pin("9999")).unwrap_err();
    }
    assert!(matches!(jpki.verify_auth_pin(&pin("9999")), Err(Error::PinBlocked)), "the try that blocks");
    assert!(matches!(jpki.verify_auth_pin(&pin("1234")), Err(Error::PinBlocked)), "and after it");
    assert_eq!(jpki.auth_pin_retries().unwrap(), Retries::Blocked);
    assert_eq!(jpki.sign_pin_retries().unwrap(), Retries::Remaining(5));
}

#[test]
fn pin_and_password_are_changed() {
    let mut card = card(TokenProfile::Phone);
    let mut jpki = JpkiAp::select(&mut card).unwrap();
    assert!(matches!(jpki.change_auth_pin(&pin("9999"), &pin("2468")), Err(Error::PinIncorrect { .. })));
    jpki.change_auth_pin(&pin("1234"), &pin("2468")).unwrap();
    jpki.change_sign_pin(&password("ABC123"), &password("ZYX98765")).unwrap();
    assert!(matches!(jpki.verify_auth_pin(&pin("1234")), Err(Error::PinIncorrect { .. })));
    assert!(matches!(jpki.verify_sign_pin(&password("ABC123")), Err(Error::PinIncorrect { .. })));
    jpki.verify_auth_pin(&pin("2468")).unwrap();
    jpki.verify_sign_pin(&password("ZYX98765")).unwrap();
    jpki.sign_with_auth_key_checked(SignatureScheme::Sha256DigestInfo, b"after").unwrap();
    jpki.sign_with_sign_key_checked(SignatureScheme::Sha256DigestInfo, b"after").unwrap();
    is_status(jpki.change_auth_pin(&pin("2468"), &pin("12345")), 0x6A80);
}

#[test]
fn short_ef_identifiers_and_get_challenge_work() {
    let mut card = card(TokenProfile::Phone);
    JpkiAp::select(&mut card).unwrap();
    let id = |ef| ShortEfId::from_ef_id(ef).unwrap();
    assert_eq!(card.pin_retries_sfi(id(0x18)).unwrap(), Retries::Remaining(3));
    assert_eq!(card.pin_retries_sfi(id(0x1B)).unwrap(), Retries::Remaining(5));
    card.verify_sfi(id(0x18), &pin("1234")).unwrap();
    let head = card.read_binary_chunk_sfi(id(0x0A), 0, 4).unwrap();
    assert_eq!(head[..2], [0x30, 0x82]);
    let mut jpki = JpkiAp::select(&mut card).unwrap();
    is_status(jpki.read_auth_certificate(), 0x6982);
    assert_ne!(card.get_challenge(16).unwrap(), card.get_challenge(16).unwrap());
}
