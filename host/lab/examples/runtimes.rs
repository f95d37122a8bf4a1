//! What a simulated card costs on each runtime: `cargo run --release -p jpkise-lab --features
//! jpkise-jcvm/native-crypto --example runtimes`, a table in Markdown.
//!
//! Times are medians in microseconds, process start not included; memory is what this process grew by (a JVM is
//! another). Commands are those of the JPKI applet on a personalised card, through the card manager, but for the trivial
//! one, which is also given straight on the runtime.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use jpkise_card::{Card, Transport};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::{Authenticated, Session};
use jpkise_gp::workflow::{open_channel, ChannelOptions, LevelChoice};
use jpkise_gpse::runtime::jcvm::Options;
use jpkise_gpse::runtime::{Caller, Channel, GpServices, InstallRequest, Process, Registered, Runtime};
use jpkise_gpse::{GpSe, Interface, JCardSim, Jcvm, Profile};
use jpkise_jcvm::crypto_providers;
use jpkise_jpki::edge::{admin, data, KeyRef, Password, Pin, TokenProfile, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_lab::dist::{ARA_CAP, JPKI_CAP};
use jpkise_lab::simulator::RuntimeKind;
use jpkise_lab::{chain, simulator};
use jpkise_wire::scp03::{AesKey, SecurityLevel, StaticKeys};
use jpkise_wire::{Aid, StatusWord};
use rand::rngs::OsRng;

const PACKAGE: &str = "D392F000264A504B01";
const MODULE: &str = "D392F000264A504B0101";
const INSTANCE: &str = "D392F000260100000001";
const GET_DATA: &[u8] = &[0x80, 0xCA, 0xDF, 0x30, 0x00];
const VERIFY: &[u8] = b"\x00\x20\x00\x98\x041234";
const VERIFY_WRONG: &[u8] = b"\x00\x20\x00\x98\x040000";
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";
/// 224 bytes of the CA certificate of the user-authentication key, readable for everybody.
const READ_BINARY: &[u8] = &[0x00, 0xB0, 0x8B, 0x00, 0xE0];
/// P1 00, the user-authentication key: 51 bytes of DigestInfo follow.
const SIGN: &[u8] =
    b"\x80\x2A\x00\x97\x33\x30\x31\x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

fn aid(text: &str) -> Aid {
    text.parse().unwrap()
}

fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let started = Instant::now();
            let kept = work();
            let took = started.elapsed().as_secs_f64() * 1e6;
            drop(kept);
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Resident memory in KiB; 0 where there is no /proc.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

/// Rows with a figure of each runtime.
#[derive(Default)]
struct Table(Vec<(&'static str, [Option<String>; 2])>);

impl Table {
    fn put(&mut self, name: &'static str, kind: RuntimeKind, figure: String) {
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, [None, None]));
        }
        if let Some((_, figures)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            figures[kind as usize] = Some(figure);
        }
    }

    fn time(&mut self, name: &'static str, kind: RuntimeKind, micros: f64) {
        let figure = if micros < 100.0 { format!("{micros:.2} µs") } else { format!("{micros:.0} µs") };
        self.put(name, kind, figure);
    }

    fn print(&self) {
        println!("| simulated card, in process | jcvm | jCardSim |\n|---|---|---|");
        for (name, figures) in &self.0 {
            let [jcvm, jcardsim] = figures.each_ref().map(|f| f.as_deref().unwrap_or("–"));
            println!("| {name} | {jcvm} | {jcardsim} |");
        }
    }
}

/// The applet straight on the runtime, as if the registry held it.
fn install(runtime: &mut dyn Runtime) {
    let request = InstallRequest {
        package: aid(PACKAGE),
        module: aid(MODULE),
        instance: aid(INSTANCE),
        privileges: [0; 3],
        parameters: &[],
    };
    runtime.install(&request, &mut Nobody).unwrap();
    let registered = Registered { packages: vec![aid(PACKAGE)], instances: vec![aid(INSTANCE)] };
    runtime.settle(&registered).unwrap();
}

fn trivial(table: &mut Table, kind: RuntimeKind, runtime: &mut dyn Runtime) {
    install(runtime);
    let interface = Interface::Contact;
    assert!(runtime.select(Channel::BASIC, aid(INSTANCE), interface, &mut Nobody).unwrap());
    let process = |apdu, selecting| Process { channel: Channel::BASIC, interface, apdu, selecting };
    runtime.process(&process(SELECT, true), &mut Nobody).unwrap();
    let mut once = || {
        let answer = runtime.process(&process(GET_DATA, false), &mut Nobody).unwrap();
        assert!(answer.ends_with(&[0x90, 0x00]));
    };
    (0..20_000).for_each(|_| once());
    table.time("GET DATA DF30 straight on the runtime, warm", kind, median(20_000, once));
}

fn provision(card: &mut Card<GpSe>) {
    let options = chain::Options {
        profile: TokenProfile::Phone,
        issuer_keys: simulator::test_keys().unwrap(),
        pin: Pin::new("1234").unwrap(),
        password: Password::new("ABC123").unwrap(),
        now: time::OffsetDateTime::now_utc(),
    };
    chain::provision(card, &options, &mut |_| {}).unwrap();
}

/// The SP's lab keys, as the chain gives them to its domain.
fn sp_keys() -> SoftwareKeys {
    let key = |first: u8| AesKey::new(&(first..first + 16).collect::<Vec<u8>>()).unwrap();
    SoftwareKeys::new(StaticKeys::new(key(0x50), key(0x60), key(0x70)).unwrap())
}

fn admin_channel<'a, 'k>(
    card: &'a mut Card<GpSe>,
    keys: &'k SoftwareKeys,
) -> Session<'a, GpSe, Authenticated<'k>> {
    let level = LevelChoice::AtLeast(SecurityLevel::L13);
    let channel = ChannelOptions::to(INSTANCE_AID).with_kvn(SP_KEY_VERSION).with_level(level);
    open_channel(card, keys, &channel, &mut OsRng).unwrap()
}

/// What a personalised card takes for the commands of its applet.
fn commands(table: &mut Table, kind: RuntimeKind, card: &mut Card<GpSe>) {
    let ok = |answer: &[u8]| answer.ends_with(&[0x90, 0x00]);
    let mut sign = SIGN.to_vec();
    sign.extend([0x5A; 32]);
    sign.push(0);
    for command in [SELECT, VERIFY] {
        assert!(ok(&card.transport_mut().transmit(command).unwrap()));
    }
    let rows: [(&str, &[u8], usize, usize); 4] = [
        ("GET DATA DF30 through the card manager", GET_DATA, 5000, 20_000),
        ("VERIFY, right PIN", VERIFY, 5000, 20_000),
        ("READ BINARY, 224 bytes", READ_BINARY, 5000, 20_000),
        ("COMPUTE DIGITAL SIGNATURE, RSA-2048", &sign, 5, 50),
    ];
    for (name, command, warm, runs) in rows {
        let mut once = || assert!(ok(&card.transport_mut().transmit(command).unwrap()), "{name}");
        (0..warm).for_each(|_| once());
        table.time(name, kind, median(runs, once));
    }
    let keys = sp_keys();
    let opening = median(50, || drop(admin_channel(card, &keys)));
    table.time("SCP03 channel to the applet, three commands, host side included", kind, opening);
    let mut session = admin_channel(card, &keys);
    let page = data::get_public_key(KeyRef::Auth, 0);
    let mut once = || assert_eq!(session.send(&page).unwrap().sw, StatusWord::SUCCESS);
    (0..2000).for_each(|_| once());
    table.time(
        "GET DATA 7F49, 224 bytes, under SCP03 level 33, host side included",
        kind,
        median(5000, once),
    );
    let mut generate = || {
        session.send(&admin::delete(KeyRef::Auth)).unwrap();
        let started = Instant::now();
        assert_eq!(session.send(&admin::generate_key_pair(KeyRef::Auth)).unwrap().sw, StatusWord::SUCCESS);
        started.elapsed().as_secs_f64() * 1e6
    };
    let mut times: Vec<f64> = (0..50).map(|_| generate()).collect();
    times.sort_by(f64::total_cmp);
    table.time("GENERATE ASYMMETRIC KEY PAIR, RSA-2048", kind, times[times.len() / 2]);
}

fn jcvm(table: &mut Table) {
    let kind = RuntimeKind::Jcvm;
    let first = Instant::now();
    let new = || Jcvm::new(&Options::default(), &[JPKI_CAP, ARA_CAP]).unwrap();
    drop(new());
    table.time(
        "first card of the process: API tables built, CAP linked",
        kind,
        first.elapsed().as_secs_f64() * 1e6,
    );
    table.time("new card, CAP linked", kind, median(200, new));
    trivial(table, kind, &mut new());

    let runtime = new();
    let memory = runtime.memory();
    let mut card = Card::new(GpSe::on_jcvm(Profile::default(), runtime).unwrap());
    provision(&mut card);
    let another = || GpSe::on_jcvm(Profile::default(), Jcvm::with_card(memory.card())).unwrap();
    table.time("a further personalised card", kind, median(200, another));
    let before = resident();
    let mut cards: Vec<GpSe> = (0..1000).map(|_| another()).collect();
    let each = |now: u64| format!("{} KiB", (now - before) / 1000);
    table.put("memory of each of 1,000 personalised cards", kind, each(resident()));
    for card in &mut cards {
        for command in [SELECT, VERIFY_WRONG] {
            card.transmit(command).unwrap();
        }
    }
    table.put("the same after a wrong PIN on each", kind, each(resident()));
    drop(cards);

    let path = std::env::temp_dir().join(format!("jpkise-card-{}", std::process::id()));
    table.time("save to a file", kind, median(20, || memory.save(&path).unwrap()));
    table.time("restore from it", kind, median(20, || Jcvm::restore(&Options::default(), &path).unwrap()));
    table.put("size of the file", kind, format!("{} bytes", std::fs::metadata(&path).map_or(0, |m| m.len())));
    std::fs::remove_file(&path).ok();
    commands(table, kind, &mut card);
}

fn jcardsim(table: &mut Table, mut runtime: JCardSim) {
    let kind = RuntimeKind::JCardSim;
    trivial(table, kind, &mut runtime);
    drop(runtime);
    // A card is a process there.
    let start = || JCardSim::find_and_launch().unwrap();
    table.time("a further personalised card", kind, median(5, start));
    let mut card = Card::new(GpSe::in_memory(Profile::default(), Box::new(start())).unwrap());
    provision(&mut card);
    commands(table, kind, &mut card);
}

fn backends() {
    println!(
        "| RSA-2048 and P-256 by backend | key generation | signature | P-256 signature |\n|---|---|---|---|"
    );
    for crypto in crypto_providers() {
        let mut rng = jpkise_jcvm::Random::System;
        let mut keys = Vec::new();
        let generation = median(50, || keys.extend(crypto.rsa_generate(2048, &[1, 0, 1], &mut rng))) / 1000.0;
        let input = [0x11; 256];
        let sign = median(50, || crypto.rsa_crt(&keys[0].crt, &input).unwrap()) / 1000.0;
        let (private, _) = crypto.p256_generate(&mut rng).unwrap();
        let ecdsa = median(50, || crypto.p256_sign(&private, &[7; 32]).unwrap()) / 1000.0;
        println!("| {} | {generation:.0} ms | {sign:.2} ms | {ecdsa:.3} ms |", crypto.name());
    }
}

fn main() {
    let mut table = Table::default();
    jcvm(&mut table);
    match JCardSim::find_and_launch() {
        Err(error) => println!("jCardSim: skipped: {error}\n"),
        Ok(runtime) => jcardsim(&mut table, runtime),
    }
    table.print();
    println!();
    backends();
}

/// A card manager that knows nothing.
struct Nobody;

impl GpServices for Nobody {
    fn process_security(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, StatusWord> {
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }
    fn unwrap(&mut self, _: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord> {
        Ok(command.to_vec())
    }
    fn wrap(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, StatusWord> {
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }
    fn decrypt_data(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, StatusWord> {
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }
    fn encrypt_data(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, StatusWord> {
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }
    fn security_level(&mut self, _: Caller) -> u8 {
        0
    }
    fn reset_security(&mut self, _: Caller) {}
    fn card_content_state(&mut self, _: Caller) -> u8 {
        7
    }
    fn set_card_content_state(&mut self, _: Caller, _: u8) -> bool {
        false
    }
    fn card_state(&mut self) -> u8 {
        1
    }
    fn set_atr_historical_bytes(&mut self, _: Caller, _: &[u8]) -> bool {
        false
    }
    fn lock_card(&mut self, _: Caller) -> bool {
        false
    }
    fn terminate_card(&mut self, _: Caller) -> bool {
        false
    }
}
