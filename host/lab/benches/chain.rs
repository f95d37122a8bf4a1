//! Personalisation end to end on simulated cards: `cargo bench -p jpkise-lab --features jpkise-jcvm/native-crypto --bench
//! chain`.
//!
//! The floor is the public-key operations of the same work by the card's backend alone, on as many threads. Prime search
//! is a lottery, and most of the time is spent on it.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use jpkise_card::Card;
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_jcvm::{default_crypto, Random};
use jpkise_jpki::ca::{Hierarchy, Subscriber};
use jpkise_jpki::channel;
use jpkise_jpki::edge::{Password, Pin, TokenInfo, TokenProfile, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_jpki::personalize::{personalize, Plan, TestIssuer};
use jpkise_jpki::KnownSecrets;
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{Bench, Tape};
use jpkise_lab::simulator::{self, RuntimeKind};
use jpkise_lab::suite::model::{CardState, Stage};
use jpkise_lab::{chain, secrets};
use rand::rngs::OsRng;
use time::OffsetDateTime;

/// SEs at once.
const PARALLEL: usize = 4;

/// An SE from nothing, its certificate authorities too: APDUs and bytes on the wire.
fn provision() -> (u64, u64) {
    let mut card = simulator::start(RuntimeKind::Jcvm).unwrap();
    let options = secrets::lab_options(TokenProfile::Phone).unwrap();
    chain::provision(&mut card, &options, &mut |_| {}).unwrap();
    (card.apdus(), card.bytes())
}

/// A card with the applet installed and handed to the service provider, to be copied.
fn installed() -> jpkise_jcvm::Card {
    let issuer = Rc::new(simulator::test_keys().unwrap());
    let now = OffsetDateTime::now_utc();
    let mut bench = SimulatedBench::new(Profile::default(), issuer, Tape::default(), now).unwrap();
    bench.bring(CardState::Jpki { auth: Stage::Empty, sign: Stage::Empty, plastic: false }).unwrap();
    bench.memory().card()
}

/// What the service provider's TSM does with it, SELECT to attestation: APDUs and bytes on the wire.
fn personalise(installed: &jpkise_jcvm::Card, hierarchy: &Hierarchy) -> (u64, u64) {
    let se = GpSe::on_jcvm(Profile::default(), Jcvm::with_card(installed.clone())).unwrap();
    let mut card = Card::new(se);
    let subscriber = Subscriber::sample();
    let mut issuer = TestIssuer {
        hierarchy,
        subscriber: &subscriber,
        profile: TokenProfile::Phone,
        now: OffsetDateTime::now_utc(),
        not_after_limit: None,
        rng: OsRng,
    };
    let mut app = KnownSecrets {
        pin: Pin::new(secrets::PIN).unwrap(),
        password: Password::new(secrets::PASSWORD).unwrap(),
    };
    let plan = Plan::new(TokenInfo::new(TokenProfile::Phone, "0000000000000001"));
    let keys = secrets::sp_keys().unwrap();
    let mut session = channel::open(&mut card, &INSTANCE_AID, &keys, SP_KEY_VERSION, &mut OsRng).unwrap();
    personalize(&mut session, &plan, &mut issuer, &mut app, &mut OsRng, &mut |_| {}).unwrap();
    (card.apdus(), card.bytes())
}

/// Public-key operations of one SE.
#[derive(Clone, Copy)]
struct Operations {
    generations: usize,
    signatures: usize,
}

/// Two keys, a request signed by each, a certificate signed for each.
const PERSONALISATION: Operations = Operations { generations: 2, signatures: 4 };
/// The same, and two authorities with certificates they sign for themselves.
const PROVISION: Operations = Operations { generations: 4, signatures: 6 };

impl Operations {
    fn run(self) {
        let crypto = default_crypto();
        let keys: Vec<_> = (0..self.generations)
            .map(|_| crypto.rsa_generate(2048, &[1, 0, 1], &mut Random::System).unwrap())
            .collect();
        for key in keys.iter().cycle().take(self.signatures) {
            crypto.rsa_crt(&key.crt, &[0x11; 256]).unwrap();
        }
    }

    fn floor(self) -> String {
        format!("floor: {} key generations, {} signatures", self.generations, self.signatures)
    }
}

fn figure<'a>(criterion: &'a mut Criterion, name: &str, samples: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("end to end: {name}"));
    group.sample_size(samples).measurement_time(Duration::from_secs(1));
    group
}

fn at_once(work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(&work);
        }
    });
}

/// One SE, then several at once.
fn bench(criterion: &mut Criterion, name: &str, work: impl Fn() -> (u64, u64) + Sync, least: Operations) {
    let (apdus, bytes) = work();
    let mut group = figure(criterion, &format!("{name}, {apdus} APDUs, {bytes} bytes"), 24);
    group.throughput(Throughput::Elements(1));
    group.bench_function("jpkise", |b| b.iter(&work));
    group.bench_function(least.floor(), |b| b.iter(|| least.run()));
    group.finish();

    let mut group = figure(criterion, &format!("{name}, {PARALLEL} SEs at once"), 10);
    group.throughput(Throughput::Elements(PARALLEL as u64));
    group.bench_function("jpkise", |b| {
        b.iter(|| {
            at_once(|| {
                work();
            });
        });
    });
    group.bench_function(least.floor() + " each", |b| b.iter(|| at_once(|| least.run())));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let installed = installed();
    let hierarchy = Hierarchy::generate(OffsetDateTime::now_utc(), &mut OsRng).unwrap();
    bench(&mut criterion, "personalise", || personalise(&installed, &hierarchy), PERSONALISATION);
    bench(&mut criterion, "provide and personalise, new CAs", provision, PROVISION);
    criterion.final_summary();
}
