//! What a simulated card takes besides time: `cargo run --release -p jpkise-lab --example memory`.
//!
//! One line a figure: name, tab, figure, tab, what it is to be held against. Memory of the process is resident memory, from
//! the system's own account.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use jpkise_cap::{Aid, Cap};
use jpkise_card::{Card, Transport};
use jpkise_gpse::runtime::jcvm::{Memory, Options};
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_jcvm::{InstallRequest, NoServices, Tracer};
use jpkise_jpki::edge::{TokenProfile, INSTANCE_AID};
use jpkise_lab::dist::{ARA_CAP, JPKI_CAP};
use jpkise_lab::{chain, secrets};

const CARDS: u64 = 1000;
const GET_DATA: &[u8] = &[0x80, 0xCA, 0xDF, 0x30, 0x00];
const VERIFY_WRONG: &[u8] = b"\x00\x20\x00\x98\x040000";
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";

/// Resident memory in KiB; 0 where there is no /proc.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

/// The applet's package and instance on a card that has nothing else.
fn applet() {
    let cap = Cap::read(JPKI_CAP).unwrap();
    let instance = Aid::new(INSTANCE_AID.as_bytes()).unwrap();
    let mut card = jpkise_jcvm::Card::new(jpkise_jcvm::Profile::default()).unwrap();
    let empty = card.free_memory();
    let package = card.load_cap(&cap).unwrap();
    let loaded = card.free_memory();
    let request = InstallRequest {
        package: package.aid,
        module: package.modules[0],
        instance,
        privileges: &[0],
        parameters: &[],
    };
    card.install(&request, &mut NoServices).unwrap();
    card.settle(&[package.aid], &[instance]).unwrap();
    card.select(0, instance, &mut NoServices).unwrap();
    let installed = card.free_memory();
    println!("JPKI package on the card\t{} bytes\t14336 bytes", empty.persistent - loaded.persistent);
    println!("its instance, persistent\t{} bytes\t13312 bytes", loaded.persistent - installed.persistent);
    println!("its instance, transient\t{} bytes\t600 bytes", loaded.transient - installed.transient);
}

fn instructions(memory: &Memory, card: &mut GpSe) {
    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    card.transmit(SELECT).unwrap();
    memory.set_tracer(Some(Tracer::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    })));
    card.transmit(GET_DATA).unwrap();
    memory.set_tracer(None);
    println!("bytecodes of GET DATA DF30\t{}\t", count.load(Ordering::Relaxed));
}

fn main() {
    let started = Instant::now();
    let runtime = Jcvm::new(&Options::default(), &[JPKI_CAP, ARA_CAP]).unwrap();
    let first = started.elapsed().as_secs_f64() * 1e3;
    println!("first card of the process, API tables and CAPs linked\t{first:.1} ms\t");
    applet();

    let memory = runtime.memory();
    let mut card = Card::new(GpSe::on_jcvm(Profile::default(), runtime).unwrap());
    chain::provision(&mut card, &secrets::lab_options(TokenProfile::Phone).unwrap(), &mut |_| {}).unwrap();
    instructions(&memory, card.transport_mut());

    let another = || GpSe::on_jcvm(Profile::default(), Jcvm::with_card(memory.card())).unwrap();
    let before = resident();
    let mut cards: Vec<GpSe> = (0..CARDS).map(|_| another()).collect();
    let each = || (resident() - before) / CARDS;
    println!("memory of each of {CARDS} personalised cards\t{} KiB\t256 KiB; jCardSim 80 KiB", each());
    for card in &mut cards {
        for command in [SELECT, VERIFY_WRONG] {
            card.transmit(command).unwrap();
        }
    }
    println!("the same after a wrong PIN on each\t{} KiB\t256 KiB", each());
}
