//! Prints what the virtual machine takes, for the table of budgets: `cargo run --release --example figures CAP`.
//! A number behind the CAP: only that many rounds of the trivial command, for a profiler.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jpkise_cap::{Aid, Cap};
use jpkise_jcvm::{crypto_providers, Card, InstallRequest, NoServices, Process, Profile, Random, Tracer};

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn time(count: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    median(&mut times)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: figures CAP")?;
    let start = Instant::now();
    let cap = Cap::read(&std::fs::read(path)?)?;
    let mut card = Card::new(Profile::default())?;
    let made = start.elapsed();
    let before = card.free_memory();
    let package = card.load_cap(&cap)?;
    let loaded = start.elapsed();
    let after_load = card.free_memory();
    let instance: Aid = "D392F000260100000001".parse()?;
    let request = InstallRequest {
        package: package.aid,
        module: package.modules[0],
        instance,
        privileges: &[0],
        parameters: &[],
    };
    card.install(&request, &mut NoServices)?;
    card.settle(&[package.aid], &[instance])?;
    card.select(0, instance, &mut NoServices)?;
    let apdu = [0x80, 0xCA, 0xDF, 0x30, 0x00];
    let command = Process { channel: 0, contactless: false, apdu: &apdu, selecting: false };
    card.process(&command, &mut NoServices)?;
    println!("empty card {made:?}, with package {loaded:?}, first command {:?}", start.elapsed());
    let after = card.free_memory();
    println!("package {} bytes", before.persistent - after_load.persistent);
    println!(
        "instance {} bytes persistent, {} transient",
        after_load.persistent - after.persistent,
        after_load.transient - after.transient
    );

    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    card.set_tracer(Some(Tracer::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    })));
    card.process(&command, &mut NoServices)?;
    card.set_tracer(None);
    println!("GET DATA DF30 takes {} instructions", count.load(Ordering::Relaxed));
    let many = 10_000u32;
    let mut trivial = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..many {
            card.process(&command, &mut NoServices)?;
        }
        trivial.push(start.elapsed() / many);
    }
    println!("GET DATA DF30 {:?}", median(&mut trivial));
    if let Some(rounds) = std::env::args().nth(2) {
        for _ in 0..rounds.parse::<u64>()? {
            card.process(&command, &mut NoServices)?;
        }
        return Ok(());
    }
    let empty = [0x00, 0x84, 0x00, 0x00, 0x08];
    let command = Process { apdu: &empty, ..command };
    println!("GET CHALLENGE {:?}", time(2000, || drop(card.process(&command, &mut NoServices))));
    println!("clone {:?}", time(1000, || drop(std::hint::black_box(card.clone()))));
    println!("new card {:?}", time(200, || drop(std::hint::black_box(Card::new(Profile::default())))));
    let cards: Vec<Card> = (0..1000).map(|_| card.clone()).collect();
    println!("{} clones, {} KiB resident", cards.len(), resident()?);

    for crypto in crypto_providers() {
        let mut rng = Random::seeded(7);
        let mut keys = Vec::new();
        let generation = time(50, || keys.extend(crypto.rsa_generate(2048, &[1, 0, 1], &mut rng)));
        println!("{}: RSA-2048 key generation {generation:?}", crypto.name());
        let input = vec![0x11; 256];
        let signature = time(50, || drop(crypto.rsa_crt(&keys[0].crt, &input)));
        println!("{}: RSA-2048 signature {signature:?}", crypto.name());
        let (private, public) = crypto.p256_generate(&mut rng).ok_or("no key")?;
        let signature = crypto.p256_sign(&private, &[7; 32]).ok_or("no signature")?;
        let sign = time(50, || drop(crypto.p256_sign(&private, &[7; 32])));
        let verify = time(50, || assert!(crypto.p256_verify(&public, &[7; 32], &signature)));
        println!("{}: P-256 signature {sign:?}, verification {verify:?}", crypto.name());
    }
    Ok(())
}

/// Resident memory in KiB, from the system's own account.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmRSS")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse()?)
}
