//! A stranger sends a personalised card whatever comes to mind: it answers everything, gives nothing away, and stays
//! the card it was. On both runtimes, seeded: a failure comes back. jCardSim has to be built for its half.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jpkise_card::{Card, Transport};
use jpkise_gpse::runtime::jcardsim::LaunchError;
use jpkise_gpse::GpSe;
use jpkise_jpki::edge::{Password, Pin, TokenProfile};
use jpkise_lab::chain::{self, Options};
use jpkise_lab::simulator::{self, RuntimeKind, StartError};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use time::OffsetDateTime;

const ROUNDS: usize = 4000;
const PIN: &[u8] = b"1234";
const PASSWORD: &[u8] = b"ABC123";
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";

/// A personalised card on each runtime there is.
fn cards() -> Vec<Card<GpSe>> {
    [RuntimeKind::Jcvm, RuntimeKind::JCardSim].into_iter().filter_map(card).collect()
}

fn card(kind: RuntimeKind) -> Option<Card<GpSe>> {
    let mut card = match simulator::start(kind) {
        Ok(card) => card,
        Err(StartError::JCardSim(LaunchError::NotBuilt { .. })) => {
            println!("SKIP on jCardSim: its runtime is not built");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let options = Options {
        profile: TokenProfile::Phone,
        issuer_keys: simulator::test_keys().unwrap(),
        pin: Pin::new("1234").unwrap(),
        password: Password::new("ABC123").unwrap(),
        now: OffsetDateTime::now_utc(),
    };
    chain::provision(&mut card, &options, &mut |_| {}).unwrap();
    card.reset().unwrap();
    Some(card)
}

fn ask(card: &mut Card<GpSe>, command: &[u8]) -> (Vec<u8>, u16) {
    let mut answer = card.transport_mut().transmit(command).unwrap();
    assert!((2..=258).contains(&answer.len()), "{} -> {} bytes", hex::encode(command), answer.len());
    let sw = answer.split_off(answer.len() - 2);
    (answer, u16::from_be_bytes([sw[0], sw[1]]))
}

fn verify(p2: u8, secret: &[u8]) -> Vec<u8> {
    [&[0x00, 0x20, 0x00, p2, u8::try_from(secret.len()).unwrap()], secret].concat()
}

/// Power off, then the user's own secrets: both are what they were, whatever was sent before.
fn unlock(card: &mut Card<GpSe>) {
    card.reset().unwrap();
    for command in [SELECT, &verify(0x98, PIN), &verify(0x9B, PASSWORD)] {
        assert_eq!(ask(card, command).1, 0x9000, "{}", hex::encode(command));
    }
}

/// All tries there are, nothing verified.
fn lock(card: &mut Card<GpSe>) {
    unlock(card);
    assert_eq!(ask(card, SELECT).1, 0x9000);
}

fn read(card: &mut Card<GpSe>, short_id: u8) -> Vec<u8> {
    let mut file = Vec::new();
    loop {
        let offset = u16::try_from(file.len()).unwrap().to_be_bytes();
        let command = if file.is_empty() {
            [0x00, 0xB0, 0x80 | short_id, 0x00, 0x00]
        } else {
            [0x00, 0xB0, offset[0], offset[1], 0x00]
        };
        match ask(card, &command) {
            (data, 0x9000) => file.extend(data),
            (_, 0x6B00) => return file,
            (_, sw) => panic!("EF {short_id:02X}: {sw:04X}"),
        }
    }
}

/// Near to the card edge: its classes, instructions and references, any data, now and then a length that lies.
fn command(rng: &mut StdRng) -> Vec<u8> {
    let one_of = |rng: &mut StdRng, values: &[u8]| *values.choose(rng).unwrap();
    let cla = one_of(rng, &[0x00, 0x00, 0x80, 0x80, 0x84, 0x04, 0x90, 0x01, 0x0C, 0xFF]);
    let ins = one_of(
        rng,
        &[
            0x04, 0x20, 0x24, 0x2A, 0x2A, 0x2B, 0x2C, 0x44, 0x46, 0x50, 0x70, 0x82, 0x84, 0xA4, 0xB0, 0xB0,
            0xB0, 0xC0, 0xCA, 0xCB, 0xD6, 0xE2, 0xE4, 0xE6, 0xE8, 0xF2,
        ],
    );
    let near = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x7F, 0x80, 0x81, 0x88, 0x8A, 0x97, 0x98, 0x9A, 0x9B, 0xDF,
        0xFF,
    ];
    let mut parameter = || if rng.gen_bool(0.8) { one_of(rng, &near) } else { rng.gen() };
    let mut bytes = vec![cla, ins, parameter(), parameter()];
    let length = match rng.gen_range(0..6) {
        0 => 0,
        1 => 2,
        2 => rng.gen_range(1..=20),
        3 => 32,
        4 => rng.gen_range(1..=64),
        _ => rng.gen_range(1..=255),
    };
    let mut data: Vec<u8> = (0..length).map(|_| rng.gen()).collect();
    if length == 2 {
        data = vec![0x00, rng.gen_range(0..0x20)];
    }
    if !data.is_empty() {
        bytes.push(u8::try_from(data.len()).unwrap());
        bytes.extend(data);
    }
    if rng.gen_bool(0.6) {
        bytes.push(rng.gen());
    }
    if rng.gen_bool(0.05) {
        bytes.truncate(rng.gen_range(0..=bytes.len()));
    }
    bytes
}

#[test]
fn a_stranger_gets_nothing_and_changes_nothing() {
    cards().into_iter().for_each(stranger);
}

fn stranger(mut card: Card<GpSe>) {
    unlock(&mut card);
    let secret_files = [read(&mut card, 0x01), read(&mut card, 0x0A)];
    let public_files = [read(&mut card, 0x02), read(&mut card, 0x0B)];
    let within =
        |files: &[Vec<u8>], data: &[u8]| files.iter().any(|f| f.windows(data.len()).any(|w| w == data));
    let state = |card: &mut Card<GpSe>| ask(card, b"\x80\xCA\xDF\x31\x00");
    lock(&mut card);
    let before = state(&mut card);
    assert_eq!(before.1, 0x9000);
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..ROUNDS {
        let command = command(&mut rng);
        let (data, sw) = ask(&mut card, &command);
        let shown = || format!("round {round}: {} -> {} {sw:04X}", hex::encode(&command), hex::encode(&data));
        assert!(matches!(sw >> 8, 0x61..=0x6F | 0x90) && sw != 0x6F00, "{}", shown());
        let leaked = data.len() >= 16 && within(&secret_files, &data) && !within(&public_files, &data);
        assert!(!leaked, "a protected certificate: {}", shown());
        let signed = command.get(1) == Some(&0x2A) && data.len() == 256;
        assert!(!signed, "a signature: {}", shown());
        // Wrong secrets cost tries; the user gives them back.
        if matches!(command.get(1), Some(0x20 | 0x24)) || round % 100 == 0 {
            lock(&mut card);
            assert_eq!(state(&mut card), before, "{}", shown());
        }
    }
    unlock(&mut card);
    assert_eq!([read(&mut card, 0x01), read(&mut card, 0x0A)], secret_files);
}

#[test]
fn a_user_s_program_gone_mad_meets_a_status_word_each_time() {
    cards().into_iter().for_each(mad_program);
}

fn mad_program(mut card: Card<GpSe>) {
    let mut rng = StdRng::seed_from_u64(4);
    for round in 0..ROUNDS {
        if round % 10 == 0 {
            unlock(&mut card);
        }
        let command = command(&mut rng);
        // A program that has the secrets may change them; then this test could not unlock the card.
        if command.get(1) == Some(&0x24) {
            continue;
        }
        let (data, sw) = ask(&mut card, &command);
        let shown = || format!("round {round}: {} -> {} {sw:04X}", hex::encode(&command), hex::encode(&data));
        assert!(matches!(sw >> 8, 0x61..=0x6F | 0x90) && sw != 0x6F00, "{}", shown());
        if command.get(1) == Some(&0x20) {
            unlock(&mut card);
        }
    }
    unlock(&mut card);
}
