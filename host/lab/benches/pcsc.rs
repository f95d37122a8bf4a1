//! The simulated card through pcscd and vpcd: `scripts/with-pcscd cargo bench -p jpkise-lab --bench pcsc`.
//!
//! The card is in one virtual reader; in the other is one that has its answer ready, and what that takes is pcscd's and
//! vpcd's own time, the floor of everything through them.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use jpkise_cap::{Cap, LoadOptions};
use jpkise_card::pcsc::{find_reader, list_readers, wait_for_card, ConnectOptions, PcscTransport};
use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::commands::install::ForLoad;
use jpkise_gp::commands::select::select;
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::{Authenticated, Session};
use jpkise_gp::workflow::{delete, load, open_channel, ChannelOptions, LoadRequest};
use jpkise_gpse::vpcd::{serve, Options};
use jpkise_gpse::Profile;
use jpkise_jpki::edge::PACKAGE_AID;
use jpkise_lab::dist::JPKI_CAP;
use jpkise_lab::simulator::{self, SimulatorOptions};
use rand::rngs::OsRng;

/// Card recognition data of the issuer security domain.
const GET_DATA_66: &[u8] = &[0x80, 0xCA, 0x00, 0x66, 0x00];
/// A LOAD with as much data as a short command takes.
const LONG: [u8; 260] = {
    let mut command = [0x5A; 260];
    command[0] = 0x84;
    command[1] = 0xE8;
    command[4] = 0xFF;
    command
};
const LIMIT: Duration = Duration::from_secs(20);

/// A card that takes no time: what it answers to a command with data, and to one without.
struct Ready {
    atr: Vec<u8>,
    long: Vec<u8>,
}

impl Transport for Ready {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        Ok(if command.len() > GET_DATA_66.len() { vec![0x90, 0x00] } else { self.long.clone() })
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(self.atr.clone())
    }
    fn atr(&self) -> &[u8] {
        &self.atr
    }
    fn name(&self) -> &'static str {
        "ready"
    }
}

/// A card to which the JPKI package can be loaded.
fn simulated() -> impl Transport {
    let profile = Profile { jpki_in_rom: false, ..Profile::default() };
    let options = SimulatorOptions { profile: profile.into(), ..SimulatorOptions::default() };
    options.start().unwrap().0.into_transport()
}

fn ready() -> Ready {
    let mut card = simulated();
    let atr = card.reset().unwrap();
    Ready { atr, long: transmit(&mut card, GET_DATA_66) }
}

fn transmit(card: &mut dyn Transport, command: &[u8]) -> Vec<u8> {
    let answer = card.transmit(black_box(command)).unwrap();
    assert!(answer.ends_with(&[0x90, 0x00]), "{command:02X?}: {answer:02X?}");
    answer
}

/// The card in that virtual reader, once it is there.
fn connect(reader: &str) -> Card<PcscTransport> {
    let readers = list_readers().unwrap();
    let name = find_reader(&readers, Some(reader)).unwrap().name.clone();
    wait_for_card(&name, LIMIT).unwrap();
    Card::new(PcscTransport::connect(&name, ConnectOptions::default()).unwrap())
}

fn figure<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    criterion.benchmark_group(format!("through pcscd and vpcd: {name}"))
}

fn channel<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    keys: &'k SoftwareKeys,
) -> Session<'a, T, Authenticated<'k>> {
    open_channel(card, keys, &ChannelOptions::default(), &mut OsRng).unwrap()
}

/// Loads the JPKI package and deletes it again: how long LOAD took, in how many commands.
fn load_once<T: Transport>(card: &mut Card<T>, keys: &SoftwareKeys, block: &[u8]) -> (Duration, u64) {
    let mut session = channel(card, keys);
    let request = LoadRequest {
        announcement: ForLoad::new(PACKAGE_AID, None),
        data_block: block,
        daps: Vec::new(),
        block_size: None,
    };
    let before = session.card().apdus();
    let started = Instant::now();
    load(&mut session, &request, &mut |_| {}).unwrap();
    let took = started.elapsed();
    let apdus = session.card().apdus() - before;
    delete(&mut session, PACKAGE_AID, false).unwrap();
    (took, apdus)
}

fn exchanges(criterion: &mut Criterion) {
    let mut card = connect("Virtual PCD 00 00");
    let mut ready = connect("Second PCD 00 00");
    let floor = ready.transport_mut();

    assert!(card.send(&select(&[])).unwrap().sw.is_success());
    let mut group = figure(criterion, "GET DATA 66");
    group.throughput(Throughput::Elements(1));
    group.bench_function("jpkise", |b| b.iter(|| transmit(card.transport_mut(), GET_DATA_66)));
    group.bench_function("floor: answer ready", |b| b.iter(|| transmit(floor, GET_DATA_66)));
    group.finish();

    let keys = simulator::test_keys().unwrap();
    let mut group = figure(criterion, "SCP03 channel, three commands");
    group.bench_function("jpkise", |b| b.iter(|| channel(&mut card, &keys).level()));
    group.bench_function("floor: 3 commands, answers ready", |b| {
        b.iter(|| (0..3).for_each(|_| drop(transmit(floor, GET_DATA_66))));
    });
    group.finish();

    let block = Cap::read(JPKI_CAP).unwrap().load_file_data_block(LoadOptions::default());
    let (_, apdus) = load_once(&mut card, &keys, &block);
    let mut group = figure(criterion, &format!("load {} bytes, {apdus} APDUs", block.len()));
    group.throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("jpkise", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| load_once(&mut card, &keys, &block).0).sum());
    });
    group.bench_function(format!("floor: {apdus} commands, answers ready"), |b| {
        b.iter(|| (0..apdus).for_each(|_| drop(transmit(floor, &LONG))));
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (Ok(first), Ok(second)) = (std::env::var("JPKISE_TEST_VPCD"), std::env::var("JPKISE_TEST_VPCD_2"))
    else {
        eprintln!("skipped: no virtual readers (scripts/with-pcscd)");
        return;
    };
    let stop = AtomicBool::new(false);
    let at = |address: String| Options { address, ..Options::default() };
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&at(first), &mut simulated(), &stop, &mut |_| {}).unwrap());
        scope.spawn(|| serve(&at(second), &mut ready(), &stop, &mut |_| {}).unwrap());
        // A panic in here must not wait for cards that nobody takes out.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exchanges(&mut criterion)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    criterion.final_summary();
}
