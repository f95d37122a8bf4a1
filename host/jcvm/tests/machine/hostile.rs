//! Bytes from nobody we trust: mutated CAPs and random commands must not crash the machine or leave it.
//!
//! Seeded and bounded; `JPKISE_FUZZ_ROUNDS` makes it longer.

use std::sync::Arc;

use super::common::{self, aid, jpki_cap, OpenChannel};
use super::{asm, samples};
use jpkise_cap::{Aid, LoadOptions};
use jpkise_jcvm::store::Store;
use jpkise_jcvm::{Card, CardError, InstallRequest, Process, Profile, Random, RustCrypto};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

fn rounds(default: u32) -> u32 {
    std::env::var("JPKISE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn small_profile() -> Profile {
    Profile { instruction_budget: 20_000, persistent: 64 * 1024, ..Profile::default() }
}

fn new_card() -> Card {
    Card::with(small_profile(), Arc::new(RustCrypto), Random::seeded(3)).unwrap()
}

fn caps() -> Vec<(Vec<u8>, Aid)> {
    let applet = asm::assemble(&samples::unindent(samples::APPLET));
    let mut caps = vec![(applet.load_file_data_block(LoadOptions::default()), aid("F06A706B69736501"))];
    if let Some(cap) = jpki_cap() {
        caps.push((cap.load_file_data_block(LoadOptions::default()), aid("D392F000260100000001")));
    }
    caps
}

fn random_command(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let ins = [0xA4, 0xB0, 0x20, 0x24, 0x2A, 0xCA, 0xE2, 0x46, 0x84, 0x04, 0x44, 0xE8, 0xE4, 0x50, 0x82];
    let mut apdu = vec![
        *[0x00, 0x80, 0x84, 0x90, rng.gen()].get(rng.gen_range(0..5)).unwrap(),
        if rng.gen_bool(0.9) { ins[rng.gen_range(0..ins.len())] } else { rng.gen() },
        rng.gen::<u8>() & if rng.gen_bool(0.5) { 3 } else { 0xFF },
        rng.gen(),
    ];
    let len = rng.gen_range(0..40);
    if len > 0 {
        apdu.push(len);
        apdu.extend((0..len).map(|_| rng.gen::<u8>()));
    }
    if rng.gen_bool(0.5) {
        apdu.push(rng.gen());
    }
    apdu
}

/// Loads, installs, selects and sends commands, whatever comes of it; how far it got.
fn drive(load_file: &[u8], instance: Aid, rng: &mut ChaCha8Rng) -> usize {
    let mut card = new_card();
    let services = &mut OpenChannel;
    let Ok(package) = card.load(load_file) else { return 0 };
    let Some(module) = package.modules.first() else { return 1 };
    let request =
        InstallRequest { package: package.aid, module: *module, instance, privileges: &[0], parameters: &[] };
    if card.install(&request, services).is_err() {
        return 2;
    }
    let _ = card.settle(&[package.aid], &[instance]);
    if !card.select(0, instance, services).unwrap_or(false) {
        return 3;
    }
    for _ in 0..6 {
        let apdu = random_command(rng);
        let command = Process { channel: 0, contactless: rng.gen(), apdu: &apdu, selecting: rng.gen() };
        let _ = card.process(&command, services);
    }
    let _ = card.deselect(0, services);
    let _ = card.delete(&[instance], services);
    let _ = card.settle(&[], &[]);
    card.power_up().unwrap();
    4
}

#[test]
fn mutated_load_files_never_crash_the_machine() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_123);
    let mut reached = [0; 5];
    for (load_file, instance) in caps() {
        for _ in 0..rounds(1500) {
            let mut bytes = load_file.clone();
            for _ in 0..rng.gen_range(1..4) {
                let at = rng.gen_range(0..bytes.len());
                bytes[at] = match rng.gen_range(0..3) {
                    0 => rng.gen(),
                    1 => bytes[at] ^ (1 << rng.gen_range(0..8)),
                    _ => bytes[rng.gen_range(0..bytes.len())],
                };
            }
            reached[drive(&bytes, instance, &mut rng)] += 1;
        }
    }
    println!("not loaded, no module, not installed, not selected, run: {reached:?}");
    assert!(reached[0] > 0 && reached[4] > 0);
}

#[test]
fn random_commands_never_fault_a_sound_applet() {
    let Some(cap) = jpki_cap() else { return };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let profile = Profile { instruction_budget: 5_000_000, ..Profile::default() };
    let card = Card::with(profile, Arc::new(RustCrypto), Random::seeded(3)).unwrap();
    let instance = aid("D392F000260100000001");
    let mut s = common::Session::new(card, OpenChannel, &cap, instance, &[]);
    for _ in 0..rounds(3000) {
        let apdu = random_command(&mut rng);
        if apdu[1] == 0x46 {
            continue; // key generation takes its time
        }
        let command = Process { channel: 0, contactless: rng.gen(), apdu: &apdu, selecting: false };
        match s.card.process(&command, &mut s.services) {
            Ok(answer) => assert!(answer.len() >= 2 && !answer.ends_with(&[0x6F, 0x00]), "{apdu:02X?}"),
            Err(error) => panic!("{apdu:02X?}: {error}"),
        }
    }
}

#[test]
fn damaged_memory_is_refused_or_runs_but_never_crashes() {
    let (load_file, instance) = caps().remove(0);
    let mut card = new_card();
    let services = &mut OpenChannel;
    let package = card.load(&load_file).unwrap();
    let request = InstallRequest {
        package: package.aid,
        module: package.modules[0],
        instance,
        privileges: &[0],
        parameters: &[],
    };
    card.install(&request, services).unwrap();
    let image = card.store().to_snapshot();
    let mut rng = ChaCha8Rng::seed_from_u64(77);
    let mut opened = 0;
    for _ in 0..rounds(2000) {
        let mut bytes = image.clone();
        let content = bytes.len() - 32;
        let at = rng.gen_range(20..content);
        bytes[at] = rng.gen();
        let sum = Sha256::digest(&bytes[..content]);
        bytes[content..].copy_from_slice(&sum);
        let Ok(store) = Store::from_snapshot(&bytes) else { continue };
        let Ok(mut card) = Card::open(small_profile(), store, Arc::new(RustCrypto), Random::seeded(1)) else {
            continue;
        };
        opened += 1;
        if card.select(0, instance, services).unwrap_or(false) {
            let apdu = random_command(&mut rng);
            let command = Process { channel: 0, contactless: false, apdu: &apdu, selecting: false };
            match card.process(&command, services) {
                Ok(_) | Err(CardError::Fault(_) | CardError::Refused(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        let _ = card.settle(&[], &[]);
    }
    assert!(opened > 0);
}
