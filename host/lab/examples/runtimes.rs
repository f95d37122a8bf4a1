//! What a simulated card costs on each runtime: `cargo run --release -p jpkise-lab --example runtimes`.
//!
//! Times are medians in microseconds, process start not included; memory is what this process grew by (a JVM is another).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use jpkise_card::{Card, Transport};
use jpkise_gpse::runtime::jcvm::{Memory, Options};
use jpkise_gpse::runtime::{Caller, Channel, GpServices, InstallRequest, Process, Registered, Runtime};
use jpkise_gpse::{GpSe, Interface, JCardSim, Jcvm, Profile};
use jpkise_jpki::edge::{Password, Pin, TokenProfile};
use jpkise_lab::dist::JPKI_CAP;
use jpkise_lab::{chain, simulator};
use jpkise_wire::{Aid, StatusWord};

const PACKAGE: &str = "D392F000264A504B01";
const MODULE: &str = "D392F000264A504B0101";
const INSTANCE: &str = "D392F000260100000001";
const GET_DATA: &[u8] = &[0x80, 0xCA, 0xDF, 0x30, 0x00];
const VERIFY_WRONG: &[u8] = b"\x00\x20\x00\x98\x040000";
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";

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

fn trivial(name: &str, runtime: &mut dyn Runtime) {
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
    println!("{name}: GET DATA DF30, warm: {:.2}", median(20_000, once));
}

/// The memory of a card that went through the chain up to its user.
fn personalized() -> Memory {
    let runtime = Jcvm::new(&Options::default(), &[JPKI_CAP]).unwrap();
    let memory = runtime.memory();
    let mut card = Card::new(GpSe::on_jcvm(Profile::default(), runtime).unwrap());
    let options = chain::Options {
        profile: TokenProfile::Phone,
        issuer_keys: simulator::test_keys().unwrap(),
        pin: Pin::new("1234").unwrap(),
        password: Password::new("ABC123").unwrap(),
        now: time::OffsetDateTime::now_utc(),
    };
    chain::provision(&mut card, &options, &mut |_| {}).unwrap();
    memory
}

fn main() {
    let new = || Jcvm::new(&Options::default(), &[JPKI_CAP]).unwrap();
    println!("jcvm: new card, CAP linked: {:.0}", median(200, new));
    let fresh = || GpSe::on_jcvm(Profile::default(), new()).unwrap();
    println!("jcvm: new card with its manager: {:.0}", median(200, fresh));
    let mut runtime = new();
    trivial("jcvm", &mut runtime);

    let memory = personalized();
    let another = || GpSe::on_jcvm(Profile::default(), Jcvm::with_card(memory.card())).unwrap();
    println!("jcvm: a further personalised card: {:.0}", median(200, another));
    let before = resident();
    let mut cards: Vec<GpSe> = (0..1000).map(|_| another()).collect();
    println!("jcvm: each of 1,000 cards: {} KiB", (resident() - before) / 1000);
    for card in &mut cards {
        for command in [SELECT, VERIFY_WRONG] {
            card.transmit(command).unwrap();
        }
    }
    println!("jcvm: each after a wrong PIN: {} KiB", (resident() - before) / 1000);

    let path = std::env::temp_dir().join(format!("jpkise-card-{}", std::process::id()));
    println!("jcvm: save: {:.0}", median(20, || memory.save(&path).unwrap()));
    let size = std::fs::metadata(&path).map_or(0, |m| m.len());
    println!("jcvm: restore: {:.0}", median(20, || Jcvm::restore(&Options::default(), &path).unwrap()));
    println!("jcvm: file: {size} bytes");
    std::fs::remove_file(&path).ok();

    match JCardSim::find_and_launch() {
        Err(error) => println!("jcardsim: skipped: {error}"),
        Ok(mut runtime) => {
            println!("jcardsim: start: {:.0}", median(3, || JCardSim::find_and_launch().unwrap()));
            trivial("jcardsim", &mut runtime);
        }
    }
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
