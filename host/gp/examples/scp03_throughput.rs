//! Time and allocations of securing one command: `cargo run --release -p jpkise-gp --example scp03_throughput`.
//!
//! Prints one line per case: name, median nanoseconds, heap allocations per command.

use std::hint::black_box;
use std::time::Instant;

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_gp::scp03::{Policy, ScpError, SecureMessaging};
use jpkise_wire::scp03::{mac, pad, response_icv, Challenge, SMode, SecurityLevel, SessionKeys, StaticKeys};
use jpkise_wire::StatusWord;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, key_length, level) in [
        ("wrap 223 bytes, level 33, AES-128", 16, SecurityLevel::L33),
        ("wrap 223 bytes, level 33, AES-256", 32, SecurityLevel::L33),
        ("wrap 223 bytes, level 01, AES-128", 16, SecurityLevel::L01),
    ] {
        let mut messaging = messaging(key_length, level)?;
        let command = CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data(vec![0x5A; 223]);
        let mut out = Vec::with_capacity(300);
        measure(name, || messaging.wrap_into(black_box(&command), &mut out))?;
    }
    let mut messaging = messaging(16, SecurityLevel::L33)?;
    let answer = answer(&[0x5A; 223])?;
    let mut out = Vec::with_capacity(300);
    measure("unwrap 223 bytes, level 33, AES-128", || messaging.unwrap_into(black_box(&answer), &mut out))?;
    Ok(())
}

/// A card's answer before the first command: counter and chaining value are zero.
fn answer(data: &[u8]) -> Result<ResponseApdu, Box<dyn std::error::Error>> {
    let keys = session_keys(16)?;
    let mut data = data.to_vec();
    pad(&mut data);
    let enc = keys.enc.cipher();
    enc.cbc_encrypt(&response_icv(&enc, 0), &mut data);
    let full = mac(&keys.rmac.cipher(), &[&[0; 16], &data, &StatusWord::SUCCESS.to_bytes()]);
    data.extend_from_slice(&full[..8]);
    Ok(ResponseApdu::new(data, StatusWord::SUCCESS))
}

fn session_keys(key_length: usize) -> Result<SessionKeys, Box<dyn std::error::Error>> {
    let keys = StaticKeys::same(&vec![0x40; key_length])?;
    let challenge = Challenge::new(&[7; 8]).ok_or("8 bytes")?;
    Ok(SessionKeys::derive(&keys.enc, &keys.mac, &challenge, &challenge))
}

fn messaging(key_length: usize, level: SecurityLevel) -> Result<SecureMessaging, Box<dyn std::error::Error>> {
    Ok(SecureMessaging::new(&session_keys(key_length)?, [0; 16], level, SMode::S8, Policy::default()))
}

fn measure(name: &str, mut once: impl FnMut() -> Result<(), ScpError>) -> Result<(), ScpError> {
    const ROUNDS: usize = 51;
    const COMMANDS: u32 = 2_000;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..COMMANDS {
            once()?;
        }
        times.push(start.elapsed() / COMMANDS);
    }
    times.sort_unstable();
    let mut result = Ok(());
    let allocations = allocation_counter::measure(|| result = once()).count_total;
    result?;
    println!("{name}: {} ns, {allocations} allocations", times[ROUNDS / 2].as_nanos());
    Ok(())
}
