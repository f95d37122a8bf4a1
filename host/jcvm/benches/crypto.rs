//! Public-key operations of the card's backends: `cargo bench -p jpkise-jcvm --features native-crypto`.
//!
//! The floor is libcrypto by itself, the one that is built into the program: a key it has made ready once, its own
//! random numbers. The card's operations begin with the parts of a key as bytes, which is how a card keeps them.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use jpkise_jcvm::{crypto_providers, Random};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::rsa::{Padding, Rsa};

const BITS: u32 = 2048;
/// Key generation looks for primes until it has found some: its time is spread over an order of magnitude, and only many
/// samples have a median that comes again.
const GENERATIONS: usize = 50;

fn figure<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    criterion.benchmark_group(format!("public-key operations: {name}"))
}

fn generation(criterion: &mut Criterion) {
    let mut group = figure(criterion, "RSA-2048 key generation");
    group.sample_size(GENERATIONS).measurement_time(Duration::from_secs(1));
    for crypto in crypto_providers() {
        group.bench_function(crypto.name(), |b| {
            b.iter(|| crypto.rsa_generate(2048, &[1, 0, 1], &mut Random::System).unwrap());
        });
    }
    group.bench_function("floor: libcrypto alone", |b| b.iter(|| Rsa::generate(BITS).unwrap()));
}

fn signature(criterion: &mut Criterion) {
    let mut group = figure(criterion, "RSA-2048 signature");
    let input = [0x11; 256];
    for crypto in crypto_providers() {
        let key = crypto.rsa_generate(2048, &[1, 0, 1], &mut Random::System).unwrap();
        group.bench_function(crypto.name(), |b| {
            b.iter(|| crypto.rsa_crt(&key.crt, black_box(&input)).unwrap());
        });
    }
    let key = Rsa::generate(BITS).unwrap();
    group.bench_function("floor: libcrypto alone", |b| {
        b.iter_batched(
            || [0; 256],
            |mut out| key.private_encrypt(black_box(&input), &mut out, Padding::NONE).unwrap(),
            BatchSize::SmallInput,
        );
    });
}

fn ecdsa(criterion: &mut Criterion) {
    let hash = [7; 32];
    let group_p256 = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group_p256).unwrap();

    let mut group = figure(criterion, "P-256 signature");
    for crypto in crypto_providers() {
        let (private, _) = crypto.p256_generate(&mut Random::System).unwrap();
        group.bench_function(crypto.name(), |b| {
            b.iter(|| crypto.p256_sign(&private, black_box(&hash)).unwrap());
        });
    }
    group.bench_function("floor: libcrypto alone", |b| {
        b.iter(|| EcdsaSig::sign(black_box(&hash), &key).unwrap());
    });
    group.finish();

    let mut group = figure(criterion, "P-256 verification");
    for crypto in crypto_providers() {
        let (private, public) = crypto.p256_generate(&mut Random::System).unwrap();
        let signature = crypto.p256_sign(&private, &hash).unwrap();
        group.bench_function(crypto.name(), |b| {
            b.iter(|| assert!(crypto.p256_verify(&public, black_box(&hash), &signature)));
        });
    }
    let signature = EcdsaSig::sign(&hash, &key).unwrap();
    group.bench_function("floor: libcrypto alone", |b| {
        b.iter(|| assert!(signature.verify(black_box(&hash), &key).unwrap()));
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    generation(&mut criterion);
    signature(&mut criterion);
    ecdsa(&mut criterion);
    criterion.final_summary();
}
