use std::collections::VecDeque;

use jpkise_card::{CommandApdu, TransportError};

use super::*;
use crate::channel::ChannelError;
use crate::edge::{Password, Pin};

/// Plays fixed answers and asserts each command; `None` is a card that was pulled.
struct Script(VecDeque<(String, Option<String>)>);

impl Script {
    fn new(lines: &[(&str, &str)]) -> Self {
        Self(lines.iter().map(|(c, a)| ((*c).to_owned(), Some((*a).to_owned()))).collect())
    }

    fn pulled_at(mut self, command: &str) -> Self {
        self.0.push_back((command.to_owned(), None));
        self
    }

    fn done(&self) {
        assert!(self.0.is_empty(), "not asked for: {:?}", self.0);
    }
}

impl Channel for Script {
    fn clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ChannelError> {
        let (expected, answer) = self.0.pop_front().expect("a command too many");
        assert_eq!(hex::encode_upper(command.to_bytes().unwrap().as_slice()), expected);
        let Some(answer) = answer else {
            return Err(ChannelError::Card(TransportError::Removed.into()));
        };
        Ok(ResponseApdu::parse(&hex::decode(answer).unwrap()).unwrap())
    }
}

fn der(length: usize) -> Vec<u8> {
    let mut object = vec![0x30, 0x82];
    object.extend(u16::try_from(length - 4).unwrap().to_be_bytes());
    object.resize(length, 0x5A);
    object
}

fn answer(data: &[u8]) -> String {
    format!("{}9000", hex::encode(data))
}

const SELECT_AP: &str = "00A4040C0AD392F000260100000001";

#[test]
fn a_certificate_is_read_with_as_few_commands_as_its_length_allows() {
    let object = der(600);
    let mut script = Script::new(&[
        (SELECT_AP, "9000"),
        ("00A4020C02000A", "9000"),
        ("00B0000000", &answer(&object[..256])),
        ("00B0010000", &answer(&object[256..512])),
        ("00B0020058", &answer(&object[512..])),
    ]);
    assert_eq!(JpkiClient::select(&mut script).unwrap().certificate(KeyRef::Auth).unwrap(), object);
    script.done();

    let mut script = Script::new(&[
        ("00B0810000", &answer(&object[..224])),
        ("00B000E000", &answer(&object[224..448])),
        ("00B001C098", &answer(&object[448..])),
    ]);
    let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
    assert_eq!(client.certificate(KeyRef::Sign).unwrap(), object, "a card that gives 224 bytes at a time");
    script.done();
}

#[test]
fn filler_behind_a_certificate_is_cut_off() {
    let mut file = der(200);
    file.resize(256, 0xFF);
    let mut script = Script::new(&[("00B0820000", &answer(&file))]);
    let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
    assert_eq!(client.ca_certificate(KeyRef::Sign).unwrap(), der(200));
    script.done();
}

#[test]
fn files_that_make_no_sense_are_errors_and_end() {
    for (first, then) in [
        (vec![], None),
        (vec![0x30], None),
        (vec![0x31, 0x00], None),
        (vec![0x30, 0x80, 0, 0], None),
        (vec![0x30, 0x84, 0, 0, 1, 0], None),
        (vec![0x30, 0x82, 0x01], None),
        (der(300)[..256].to_vec(), Some("6B00")),
        (der(300)[..256].to_vec(), Some("9000")),
    ] {
        let mut lines = vec![("00B08B0000".to_owned(), Some(answer(&first)))];
        lines.extend(then.map(|sw| ("00B001002C".to_owned(), Some(sw.to_owned()))));
        let mut script = Script(lines.into());
        let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
        let error = client.ca_certificate(KeyRef::Auth).unwrap_err();
        assert!(matches!(error, ClientError::Malformed(_)), "{first:02X?}: {error}");
        script.done();
    }
}

#[test]
fn a_file_longer_than_any_offset_ends_with_an_error() {
    struct Endless;
    impl Channel for Endless {
        fn clear(&mut self, _: &CommandApdu) -> Result<ResponseApdu, ChannelError> {
            Ok(ResponseApdu::new(
                [[0x30, 0x82, 0xFF, 0xFF].as_slice(), &[0; 252]].concat(),
                StatusWord::SUCCESS,
            ))
        }
    }
    let error = JpkiClient::on_selected(&mut Endless).certificate(KeyRef::Auth).unwrap_err();
    assert!(matches!(error, ClientError::Malformed(EdgeError::Length { .. })));
}

#[test]
fn each_refusal_of_a_secret_is_its_own_error() {
    type Check = fn(&ClientError) -> bool;
    let cases: [(&str, Check); 8] = [
        ("63C2", |e| matches!(e, ClientError::WrongSecret { secret: SecretKind::Pin, tries_left: 2 })),
        ("63C0", |e| matches!(e, ClientError::Blocked { secret: SecretKind::Pin, by_this_try: true })),
        ("6984", |e| matches!(e, ClientError::Blocked { by_this_try: false, .. })),
        ("6983", |e| matches!(e, ClientError::Blocked { by_this_try: false, .. })),
        ("6985", |e| matches!(e, ClientError::NotUsable { key: KeyRef::Auth, .. })),
        ("6982", |e| matches!(e, ClientError::NotVerified { key: KeyRef::Auth })),
        ("6A80", |e| matches!(e, ClientError::SecretForm(SecretKind::Pin))),
        ("6F00", |e| matches!(e, ClientError::Refused(Refusal { sw: StatusWord::UNKNOWN, .. }))),
    ];
    for (sw, is_right) in cases {
        let mut script = Script::new(&[("002000980431323334", sw)]);
        let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
        let error = client.verify(&Pin::new("1234").unwrap()).unwrap_err();
        assert!(is_right(&error), "{sw}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("1234"));
    }
    let mut script = Script::new(&[]).pulled_at("002000980431323334");
    let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
    let error = client.verify(&Pin::new("1234").unwrap()).unwrap_err();
    assert!(matches!(error, ClientError::Channel(_)), "a card that was pulled is no wrong PIN");
}

#[test]
fn the_deployed_way_selects_each_file_once() {
    let signature = answer(&[0x77; 256]);
    let sign = format!("802A008033{}{}00", "3031300D060960864801650304020105000420", "AB".repeat(32));
    let mut script = Script::new(&[
        (SELECT_AP, "9000"),
        ("00A4020C02001B", "9000"),
        ("00200080", "63C5"),
        ("0020008006414243313233", "9000"),
        ("00A4020C02001A", "9000"),
        (&sign, &signature),
        (&sign, &signature),
        ("00A4020C02001B", "9000"),
        ("0024018006585959313233", "9000"),
    ]);
    let mut client = JpkiClient::select(&mut script).unwrap();
    assert_eq!(client.tries_left(KeyRef::Sign).unwrap(), 5);
    client.verify(&Password::new("ABC123").unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(client.sign_digest(KeyRef::Sign, &[0xAB; 32]).unwrap(), [0x77; 256]);
    }
    client.change_verified(&Password::new("XYY123").unwrap()).unwrap();
    script.done();
}

#[test]
fn a_file_whose_selection_failed_is_selected_again() {
    let mut script =
        Script::new(&[("00A4020C020018", "6A82"), ("00A4020C020018", "9000"), ("00200080", "63C0")]);
    let mut client = JpkiClient::on_selected(&mut script);
    assert!(matches!(client.tries_left(KeyRef::Auth), Err(ClientError::NoFile(Ef::AUTH_PIN))));
    assert_eq!(client.tries_left(KeyRef::Auth).unwrap(), 0);
    script.done();
}

#[test]
fn signing_tells_why_it_was_refused_and_checks_input_and_answer() {
    let sign = format!("802A029A20{}00", "01".repeat(32));
    for (sw, expected) in [
        ("6982", "the sign key's secret was not verified"),
        ("6985", "the sign key is in no state for COMPUTE DIGITAL SIGNATURE"),
        ("6A86", "COMPUTE DIGITAL SIGNATURE was refused with 6A86 (incorrect P1 P2)"),
        ("AABB9000", "malformed answer: signature: 2 bytes where 256 were due"),
    ] {
        let mut script = Script::new(&[(&sign, sw)]);
        let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
        let error = client.sign(KeyRef::Sign, Scheme::Pkcs1Digest, &[1; 32]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let mut nothing = Script::new(&[]);
    let mut client = JpkiClient::on_selected(&mut nothing);
    assert!(matches!(client.sign(KeyRef::Sign, Scheme::Pkcs1Digest, &[1; 31]), Err(ClientError::Scheme(_))));
}

#[test]
fn a_chain_stops_at_the_first_refusal() {
    let part = format!("902A0397FF{}", "07".repeat(255));
    let mut script = Script::new(&[(&part, "6985")]);
    let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
    let error = client.sign(KeyRef::Auth, Scheme::Pkcs1Message, &[7; 300]).unwrap_err();
    assert!(matches!(error, ClientError::NotUsable { key: KeyRef::Auth, .. }));
    script.done();
}

#[test]
fn a_card_without_our_objects_has_no_version_and_no_status() {
    let mut script = Script::new(&[
        ("80CADF3000", "6D00"),
        ("80CADF3100", "6E00"),
        ("80CADF3000", "0100000301059000"),
        ("80CADF3100", "03030205000000009000"),
    ]);
    let mut client = JpkiClient::on_selected(&mut script);
    assert!(client.version().unwrap().is_none());
    assert!(client.status().unwrap().is_none());
    assert_eq!(client.version().unwrap().unwrap().apdu_buffer, 261);
    assert_eq!(client.status().unwrap().unwrap().auth.tries_left, 3);
}

#[test]
fn an_application_that_is_not_there_is_named() {
    let mut script = Script::new(&[(SELECT_AP, "6A82")]);
    let error = JpkiClient::select(&mut script).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "no application D392F000260100000001 on the card");
}

#[test]
fn token_information_and_availability_are_one_read_each() {
    let info = TokenInfo::new(crate::edge::TokenProfile::Phone, "1").build().unwrap();
    let mut script = Script::new(&[("00B08600A0", &answer(&info)), ("00B0880003", "8F8F009000")]);
    let mut client = JpkiClient::on_selected(&mut script).with_short_identifiers();
    assert_eq!(client.token_info().unwrap().label, "JPKIAPGPSETOKEN");
    assert!(client.availability().unwrap().auth);
    script.done();
}
