//! A simulated card, command by command: `cargo bench -p jpkise-lab --features jpkise-jcvm/native-crypto --bench
//! simulator`.
//!
//! On the virtual machine, jCardSim beside it where it has been built (`mvn -f jcardsim-tests/pom.xml install`). The floor
//! of a command is a transport that has its answer ready; of one that computes, what it computes, by itself.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use jpkise_cap::Cap;
use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::{Authenticated, Session};
use jpkise_gp::workflow::{open_channel, ChannelOptions, LevelChoice};
use jpkise_gpse::runtime::jcvm::{Memory, Options};
use jpkise_gpse::{GpSe, JCardSim, Jcvm, Profile};
use jpkise_jcvm::{default_crypto, NoServices, Process, Random};
use jpkise_jpki::edge::{admin, data, KeyRef, TokenProfile, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_lab::dist::{ARA_CAP, JPKI_CAP};
use jpkise_lab::{chain, secrets};
use jpkise_wire::scp03::{
    card_challenge, command_icv, cryptogram, mac, response_icv, Challenge, Derivation, SMode, SecurityLevel,
    SequenceCounter, SessionKeys, StaticKeys,
};
use jpkise_wire::StatusWord;
use rand::rngs::OsRng;

const GET_DATA: &[u8] = &[0x80, 0xCA, 0xDF, 0x30, 0x00];
const VERIFY: &[u8] = b"\x00\x20\x00\x98\x041234";
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";
/// 224 bytes of the CA certificate of the user-authentication key, readable for everybody.
const READ_BINARY: &[u8] = &[0x00, 0xB0, 0x8B, 0x00, 0xE0];
/// P1 00, the user-authentication key: 51 bytes of DigestInfo follow.
const SIGN: &[u8] =
    b"\x80\x2A\x00\x97\x33\x30\x31\x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// The cards that are compared: ours, and jCardSim's where there is one.
type Cards = Vec<(&'static str, Card<GpSe>)>;

fn figure<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    criterion.benchmark_group(format!("simulated card: {name}"))
}

fn personalised(card: GpSe) -> Card<GpSe> {
    let mut card = Card::new(card);
    chain::provision(&mut card, &secrets::lab_options(TokenProfile::Phone).unwrap(), &mut |_| {}).unwrap();
    card
}

fn jcardsim() -> GpSe {
    GpSe::in_memory(Profile::default(), Box::new(JCardSim::find_and_launch().unwrap())).unwrap()
}

/// A card that takes no time.
struct Constant(Vec<u8>);

impl Transport for Constant {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        black_box(command);
        Ok(self.0.clone())
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(Vec::new())
    }
    fn atr(&self) -> &[u8] {
        &[]
    }
    fn name(&self) -> &'static str {
        "constant"
    }
}

fn transmit(card: &mut dyn Transport, command: &[u8]) -> Vec<u8> {
    let answer = card.transmit(black_box(command)).unwrap();
    assert!(answer.ends_with(&[0x90, 0x00]), "{command:02X?}: {answer:02X?}");
    answer
}

/// Commands that compute nothing.
fn exchanges(criterion: &mut Criterion, cards: &mut Cards, memory: &Memory) {
    for (name, command) in
        [("GET DATA DF30", GET_DATA), ("VERIFY, right PIN", VERIFY), ("READ BINARY, 224 bytes", READ_BINARY)]
    {
        let mut group = figure(criterion, name);
        group.throughput(Throughput::Elements(1));
        let mut answer = Vec::new();
        for (runtime, card) in &mut *cards {
            let card = card.transport_mut();
            transmit(card, SELECT);
            transmit(card, VERIFY);
            answer = transmit(card, command);
            group.bench_function(*runtime, |b| b.iter(|| transmit(card, command)));
        }
        if command == GET_DATA {
            on_the_machine(&mut group, memory, &answer);
        }
        let mut constant = Constant(answer);
        group.bench_function("floor: answer ready", |b| b.iter(|| transmit(&mut constant, command)));
    }
}

/// The trivial command without a card manager around the virtual machine.
fn on_the_machine(group: &mut BenchmarkGroup<'_, WallTime>, memory: &Memory, expected: &[u8]) {
    let mut card = memory.card();
    card.power_up().unwrap();
    let instance = jpkise_cap::Aid::new(INSTANCE_AID.as_bytes()).unwrap();
    assert!(card.select(0, instance, &mut NoServices).unwrap());
    let process = |apdu, selecting| Process { channel: 0, contactless: false, apdu, selecting };
    card.process(&process(SELECT, true), &mut NoServices).unwrap();
    assert_eq!(card.process(&process(GET_DATA, false), &mut NoServices).unwrap(), expected);
    group.bench_function("virtual machine alone", |b| {
        b.iter(|| card.process(&process(black_box(GET_DATA), false), &mut NoServices).unwrap());
    });
}

fn signature(criterion: &mut Criterion, cards: &mut Cards) {
    let mut group = figure(criterion, "COMPUTE DIGITAL SIGNATURE, RSA-2048");
    let command = [SIGN, &[0x5A; 32], &[0]].concat();
    for (runtime, card) in cards {
        let card = card.transport_mut();
        transmit(card, SELECT);
        transmit(card, VERIFY);
        group.bench_function(*runtime, |b| b.iter(|| transmit(card, &command)));
    }
    let crypto = default_crypto();
    let key = crypto.rsa_generate(2048, &[1, 0, 1], &mut Random::System).unwrap();
    group.bench_function("floor: the private operation alone", |b| {
        b.iter(|| crypto.rsa_crt(&key.crt, black_box(&[0x11; 256])).unwrap());
    });
}

fn channel<'a, 'k>(card: &'a mut Card<GpSe>, keys: &'k SoftwareKeys) -> Session<'a, GpSe, Authenticated<'k>> {
    let level = LevelChoice::Exactly(SecurityLevel::L33);
    let options = ChannelOptions::to(INSTANCE_AID).with_kvn(SP_KEY_VERSION).with_level(level);
    open_channel(card, keys, &options, &mut OsRng).unwrap()
}

/// What a host and a card both compute until a channel is open.
fn handshake_on_one_side(keys: &StaticKeys) -> SessionKeys {
    let host = Challenge::new(&[7; 8]).unwrap();
    let card = card_challenge(&keys.enc, SequenceCounter::default(), &INSTANCE_AID, SMode::S8);
    let session = SessionKeys::derive(&keys.enc, &keys.mac, &host, &card);
    black_box(cryptogram(&session.mac, Derivation::CardCryptogram, &host, &card));
    let proof = cryptogram(&session.mac, Derivation::HostCryptogram, &host, &card);
    black_box(mac(&session.mac.cipher(), &[&[0; 16], &[0x84, 0x82, 0x33, 0, 16], proof.as_bytes()]));
    session
}

fn secure_channel(criterion: &mut Criterion, cards: &mut Cards) {
    let keys = secrets::sp_keys().unwrap();
    let static_keys = StaticKeys::same(&[0x40; 16]).unwrap();

    let mut group = figure(criterion, "SCP03 channel to the applet, three commands, both sides");
    for (runtime, card) in &mut *cards {
        group.bench_function(*runtime, |b| b.iter(|| channel(card, &keys).level()));
    }
    group.bench_function("floor: derivations of both sides", |b| {
        b.iter(|| [handshake_on_one_side(&static_keys), handshake_on_one_side(&static_keys)]);
    });
    group.finish();

    let mut group = figure(criterion, "GET DATA 7F49, 224 bytes, level 33, both sides");
    group.throughput(Throughput::Elements(1));
    let page = data::get_public_key(KeyRef::Auth, 0);
    for (runtime, card) in cards {
        let mut session = channel(card, &keys);
        group.bench_function(*runtime, |b| {
            b.iter(|| assert_eq!(session.send(&page).unwrap().sw, StatusWord::SUCCESS));
        });
    }
    let session = handshake_on_one_side(&static_keys);
    let (enc, s_mac, s_rmac) = (session.enc.cipher(), session.mac.cipher(), session.rmac.cipher());
    let mut command = [0x5A; 16];
    let mut answer = [0x5A; 240];
    group.bench_function("floor: its AES on both sides", |b| {
        b.iter(|| {
            enc.cbc_encrypt(&command_icv(&enc, 1), &mut command);
            enc.cbc_decrypt(&command_icv(&enc, 1), &mut command);
            enc.cbc_encrypt(&response_icv(&enc, 1), &mut answer);
            enc.cbc_decrypt(&response_icv(&enc, 1), &mut answer);
            for _ in 0..2 {
                black_box(mac(&s_mac, &[&[0; 16], &[0x84, 0xCA, 0x7F, 0x49, 24], &command]));
                black_box(mac(&s_rmac, &[&[0; 16], &answer, &[0x90, 0x00]]));
            }
        });
    });
}

fn key_generation(criterion: &mut Criterion, cards: &mut Cards) {
    let keys = secrets::sp_keys().unwrap();
    let mut group = figure(criterion, "GENERATE ASYMMETRIC KEY PAIR, RSA-2048");
    // The search for primes is a lottery: without many draws the median is one, too.
    group.sample_size(50).measurement_time(Duration::from_secs(1));
    for (runtime, card) in cards {
        let mut session = channel(card, &keys);
        group.bench_function(*runtime, |b| {
            b.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    session.send(&admin::delete(KeyRef::Auth)).unwrap();
                    let started = Instant::now();
                    let answer = session.send(&admin::generate_key_pair(KeyRef::Auth)).unwrap();
                    took += started.elapsed();
                    assert_eq!(answer.sw, StatusWord::SUCCESS);
                }
                took
            });
        });
    }
    let crypto = default_crypto();
    group.bench_function("floor: the generation alone", |b| {
        b.iter(|| crypto.rsa_generate(2048, &[1, 0, 1], &mut Random::System).unwrap());
    });
}

/// Cards that begin.
fn beginnings(criterion: &mut Criterion, memory: &Memory, compare: bool) {
    let mut group = figure(criterion, "a new card, CAPs linked");
    group.bench_function("jpkise", |b| {
        b.iter_with_large_drop(|| Jcvm::new(&Options::default(), &[JPKI_CAP, ARA_CAP]).unwrap());
    });
    group.bench_function("floor: reading its CAPs", |b| {
        b.iter_with_large_drop(|| [JPKI_CAP, ARA_CAP].map(|cap| Cap::read(black_box(cap)).unwrap()));
    });
    group.finish();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card");
    memory.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();

    let mut group = figure(criterion, "a further personalised card");
    group.bench_function("jpkise", |b| {
        b.iter_with_large_drop(|| GpSe::on_jcvm(Profile::default(), Jcvm::with_card(memory.card())).unwrap());
    });
    if compare {
        // A card is a process there.
        group.sample_size(10);
        group.bench_function("jCardSim (not personalised)", |b| b.iter_with_large_drop(jcardsim));
        group.sample_size(100);
    }
    group.bench_function("floor: copy of its bytes", |b| {
        b.iter_with_large_drop(|| black_box(&bytes[..]).to_vec());
    });
    group.finish();

    let mut group = figure(criterion, "save to a file");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("jpkise", |b| b.iter(|| memory.save(&path).unwrap()));
    group.bench_function("floor: write, sync, rename", |b| b.iter(|| replace(&path, &bytes)));
    group.finish();

    let mut group = figure(criterion, "restore from it");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("jpkise", |b| {
        b.iter_with_large_drop(|| Jcvm::restore(&Options::default(), &path).unwrap());
    });
    group.bench_function("floor: reading the file", |b| {
        b.iter_batched(|| &path, |path| std::fs::read(path).unwrap(), BatchSize::SmallInput);
    });
}

fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("floor");
    let mut file = std::fs::File::create(&new).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    std::fs::rename(new, path).unwrap();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Jcvm::new(&Options::default(), &[JPKI_CAP, ARA_CAP]).unwrap();
    let memory = runtime.memory();
    let ours = personalised(GpSe::on_jcvm(Profile::default(), runtime).unwrap());
    let mut cards = vec![("jpkise", ours)];
    match JCardSim::find_and_launch() {
        Err(error) => eprintln!("skipped: jCardSim: {error}"),
        Ok(_) => cards.push(("jCardSim", personalised(jcardsim()))),
    }
    let compare = cards.len() > 1;
    beginnings(&mut criterion, &memory, compare);
    exchanges(&mut criterion, &mut cards, &memory);
    signature(&mut criterion, &mut cards);
    secure_channel(&mut criterion, &mut cards);
    key_generation(&mut criterion, &mut cards);
    criterion.final_summary();
}
