//! What the chain costs on simulated cards: `cargo run --release -p jpkise-lab --features jpkise-jcvm/native-crypto
//! --example chain`, a table in Markdown.
//!
//! From an empty card to both user secrets set, on one card and on four at once; then exchanges on a finished card.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::time::Instant;

use jpkise_card::Transport;
use jpkise_jpki::edge::TokenProfile;
use jpkise_lab::simulator::{self, RuntimeKind};
use jpkise_lab::{chain, secrets};

/// SEs in parallel, and runs of which the median counts.
const PARALLEL: usize = 4;
const RUNS: usize = 9;
const EXCHANGES: u32 = 100_000;
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";
const GET_DATA: &[u8] = &[0x80, 0xCA, 0xDF, 0x30, 0x00];

/// APDUs and bytes of one SE, from nothing.
fn provision() -> (u64, u64) {
    let mut card = simulator::start(RuntimeKind::Jcvm).unwrap();
    let options = secrets::lab_options(TokenProfile::Phone).unwrap();
    chain::provision(&mut card, &options, &mut |_| {}).unwrap();
    (card.apdus(), card.bytes())
}

/// Median milliseconds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn main() {
    let (apdus, bytes) = provision();
    let one = median(|| {
        provision();
    });
    let four = median(|| {
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(provision);
            }
        });
    });
    let mut card = simulator::start(RuntimeKind::Jcvm).unwrap();
    chain::provision(&mut card, &secrets::lab_options(TokenProfile::Phone).unwrap(), &mut |_| {}).unwrap();
    let se = card.transport_mut();
    se.transmit(SELECT).unwrap();
    let started = Instant::now();
    for _ in 0..EXCHANGES {
        se.transmit(GET_DATA).unwrap();
    }
    let rate = f64::from(EXCHANGES) / started.elapsed().as_secs_f64();

    println!("| the chain, in process | |\n|---|---|");
    println!("| one SE, empty to user secrets set | {apdus} APDUs, {bytes} bytes, {one:.0} ms |");
    println!("| {PARALLEL} SEs in parallel | {four:.0} ms, {:.1} SEs/s |", PARALLEL as f64 * 1e3 / four);
    println!("| exchanges (GET DATA DF30) | {rate:.0}/s |");
}
