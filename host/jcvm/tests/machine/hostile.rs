//! Bytes from nobody we trust: mutated CAPs and random commands must not crash the machine or leave it.
//!
//! Seeded and bounded; `JPKISE_FUZZ_ROUNDS` makes it longer.

use super::common::{self, aid, OpenChannel};
use super::{asm, samples};
use jpkise_cap::exports::ExportSet;
use jpkise_cap::verify::{is_accepted, verify};
use jpkise_cap::{Aid, Cap, LoadOptions};
use jpkise_jcvm::store::Store;
use jpkise_jcvm::{
    default_crypto, Card, CardError, FaultKind, InstallRequest, Process, Profile, Protocol, Random,
};
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
    Card::with(small_profile(), default_crypto(), Random::seeded(3)).unwrap()
}

/// The applets that travel with the program.
const JPKI: &[u8] = include_bytes!("../../../../applet/dist/jpki.cap");
const ARA: &[u8] = include_bytes!("../../../../applet/dist/ara.cap");

/// Packages with the instance each is installed under.
fn caps() -> Vec<(Cap, Aid)> {
    vec![
        (asm::assemble(&samples::unindent(samples::APPLET)), aid("F06A706B69736501")),
        (Cap::read(JPKI).unwrap(), aid("D392F000260100000001")),
        (Cap::read(ARA).unwrap(), aid("A00000015141434C00")),
    ]
}

/// One to three bytes are others.
fn mutate(bytes: &mut [u8], rng: &mut ChaCha8Rng) {
    for _ in 0..rng.gen_range(1..4) {
        let at = rng.gen_range(0..bytes.len());
        bytes[at] = match rng.gen_range(0..3) {
            0 => rng.gen(),
            1 => bytes[at] ^ (1 << rng.gen_range(0..8)),
            _ => bytes[rng.gen_range(0..bytes.len())],
        };
    }
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
    for (cap, instance) in caps() {
        let load_file = cap.load_file_data_block(LoadOptions::default());
        for _ in 0..rounds(1500) {
            let mut bytes = load_file.clone();
            mutate(&mut bytes, &mut rng);
            reached[drive(&bytes, instance, &mut rng)] += 1;
        }
    }
    println!("not loaded, no module, not installed, not selected, run: {reached:?}");
    assert!(reached[0] > 0 && reached[4] > 0);
}

/// What may become of verified bytecode: it runs too long, too deep, or asks for what is not there.
fn may_happen_to_verified_code(error: &CardError) -> bool {
    match error {
        CardError::Fault(fault) => matches!(
            fault.kind,
            FaultKind::InstructionBudget | FaultKind::StackOverflow | FaultKind::NotSupported(_)
        ),
        CardError::Refused(_) | CardError::Link(_) => true,
        _ => false,
    }
}

#[test]
fn what_the_verifier_accepts_never_leaves_the_sandbox() {
    const WITH_DESCRIPTOR: LoadOptions = LoadOptions { descriptor: true, debug: false };
    const METHOD: u8 = 7;
    let exports = ExportSet::any_platform();
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_125);
    let (mut accepted, mut run, mut escaped) = (0, 0, Vec::new());
    // The verifier looks at all of a package: the small one gets most of the rounds.
    for ((cap, instance), rounds) in caps().into_iter().zip([rounds(6000), rounds(300), rounds(600)]) {
        assert!(verify(&cap, &exports).is_empty());
        let file = cap.load_file_data_block(WITH_DESCRIPTOR);
        // Where the bytecode is: there a change has a chance of being accepted.
        let mut code = 0;
        while file[code] != METHOD {
            code += 3 + usize::from(u16::from_be_bytes([file[code + 1], file[code + 2]]));
        }
        let end = code + 3 + usize::from(u16::from_be_bytes([file[code + 1], file[code + 2]]));
        for _ in 0..rounds {
            let mut bytes = file.clone();
            if rng.gen_bool(0.8) {
                mutate(&mut bytes[code + 3..end], &mut rng);
            } else {
                mutate(&mut bytes, &mut rng);
            }
            let Ok(mutated) = Cap::read(&bytes) else { continue };
            if !is_accepted(&mutated, &exports) {
                continue;
            }
            accepted += 1;
            match drive_watched(&bytes, instance, &mut rng) {
                Ok(commands) => run += commands,
                Err(error) => escaped.push(format!("{}: {error}", hex::encode(&bytes))),
            }
        }
    }
    println!("{accepted} accepted, {run} commands run");
    assert!(accepted > 100 && run > 100, "{accepted} accepted, {run} commands");
    assert!(escaped.is_empty(), "{} escaped, the first: {}", escaped.len(), escaped[0]);
}

/// As [`drive`]; how many commands ran, or what must not have happened.
fn drive_watched(load_file: &[u8], instance: Aid, rng: &mut ChaCha8Rng) -> Result<usize, CardError> {
    let mut card = new_card();
    let services = &mut OpenChannel;
    let judge = |error: CardError| if may_happen_to_verified_code(&error) { Ok(()) } else { Err(error) };
    let package = match card.load(load_file) {
        Ok(package) => package,
        Err(error) => return judge(error).map(|()| 0),
    };
    let Some(module) = package.modules.first() else { return Ok(0) };
    let request =
        InstallRequest { package: package.aid, module: *module, instance, privileges: &[0], parameters: &[] };
    if let Err(error) = card.install(&request, services) {
        return judge(error).map(|()| 0);
    }
    card.settle(&[package.aid], &[instance])?;
    match card.select(0, instance, services) {
        Ok(true) => {}
        Ok(false) => return Ok(0),
        Err(error) => return judge(error).map(|()| 0),
    }
    for _ in 0..6 {
        let apdu = random_command(rng);
        let command = Process { channel: 0, contactless: rng.gen(), apdu: &apdu, selecting: rng.gen() };
        if let Err(error) = card.process(&command, services) {
            judge(error)?;
        }
    }
    card.power_up()?;
    Ok(6)
}

#[test]
fn random_commands_never_fault_a_sound_applet() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (cap, instance) in caps().into_iter().skip(1) {
        for protocol in [Protocol::T1, Protocol::T0] {
            let profile = Profile { instruction_budget: 5_000_000, protocol, ..Profile::default() };
            let card = Card::with(profile, default_crypto(), Random::seeded(3)).unwrap();
            let mut s = common::Session::new(card, OpenChannel, &cap, instance, &[]);
            for _ in 0..rounds(5000) {
                let apdu = random_command(&mut rng);
                if apdu[1] == 0x46 && rng.gen_bool(0.99) {
                    continue; // key generation takes its time
                }
                let command = Process { channel: 0, contactless: rng.gen(), apdu: &apdu, selecting: false };
                match s.card.process(&command, &mut s.services) {
                    Ok(answer) => {
                        assert!(answer.len() >= 2 && !answer.ends_with(&[0x6F, 0x00]), "{apdu:02X?}");
                    }
                    Err(error) => panic!("{apdu:02X?}: {error}"),
                }
            }
        }
    }
}

#[test]
fn damaged_memory_is_refused_or_runs_but_never_crashes() {
    let (cap, instance) = caps().remove(0);
    let load_file = cap.load_file_data_block(LoadOptions::default());
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
        let Ok(mut card) = Card::open(small_profile(), store, default_crypto(), Random::seeded(1)) else {
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
