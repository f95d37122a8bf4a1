//! SCP03 on the host's side: securing a command, opening an answer, the handshake: `cargo bench -p jpkise-gp`.
//!
//! The floor of each is the AES blocks it cannot do without, run bare by the same crate: blocks of CBC encryption and
//! CMAC each the input of the next, blocks of CBC decryption side by side. That nothing is allocated on the way is a
//! test (`tests/allocation.rs`).
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use aes::cipher::{Block, BlockDecrypt, BlockEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use jpkise_card::{Card, CommandApdu, ResponseApdu, Transport, TransportError};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::{Policy, SecureMessaging, Session};
use jpkise_wire::scp03::{
    card_challenge, cryptogram, mac, pad, response_icv, Challenge, Derivation, IParameter, SMode,
    SecurityLevel, SequenceCounter, SessionKeys, StaticKeys, BLOCK,
};
use jpkise_wire::{Aid, StatusWord};
use rand::{CryptoRng, RngCore};

/// The longest command data under C-DECRYPTION and S8: a block of LOAD.
const DATA: usize = 223;
const KEY_LENGTHS: [(usize, &str); 3] = [(16, "AES-128"), (24, "AES-192"), (32, "AES-256")];

/// What is done bare: key schedules, blocks one after the other, blocks decrypted side by side.
#[derive(Clone, Copy, Default)]
struct Blocks {
    schedules: usize,
    chained: usize,
    decrypted: usize,
}

impl Blocks {
    /// CMAC over a message: its blocks, at least one; the subkeys are made once for each key.
    const fn cmac(length: usize) -> usize {
        if length == 0 {
            1
        } else {
            length.div_ceil(BLOCK)
        }
    }

    fn bench(self, group: &mut BenchmarkGroup<'_, WallTime>, key_length: usize) {
        match key_length {
            16 => self.bench_with::<Aes128>(group),
            24 => self.bench_with::<Aes192>(group),
            _ => self.bench_with::<Aes256>(group),
        }
    }

    fn bench_with<C>(self, group: &mut BenchmarkGroup<'_, WallTime>)
    where
        C: KeyInit + BlockEncrypt + BlockDecrypt + BlockSizeUser,
    {
        let key = aes::cipher::Key::<C>::default();
        let cipher = C::new(&key);
        let schedules = match self.schedules {
            0 => String::new(),
            n => format!("{n} key schedules and "),
        };
        let name = format!("floor: {schedules}{} AES blocks", self.chained + self.decrypted);
        let mut side_by_side = vec![Block::<C>::default(); self.decrypted];
        group.bench_function(name, |b| {
            b.iter(|| {
                for _ in 0..self.schedules {
                    black_box(C::new(black_box(&key)));
                }
                let mut block = Block::<C>::default();
                for _ in 0..self.chained {
                    cipher.encrypt_block(&mut block);
                }
                cipher.decrypt_blocks(black_box(&mut side_by_side));
                block
            });
        });
    }
}

fn session_keys(key_length: usize) -> SessionKeys {
    let keys = StaticKeys::same(&vec![0x40; key_length]).unwrap();
    let challenge = Challenge::new(&[7; 8]).unwrap();
    SessionKeys::derive(&keys.enc, &keys.mac, &challenge, &challenge)
}

fn messaging(key_length: usize, level: SecurityLevel) -> SecureMessaging {
    SecureMessaging::new(&session_keys(key_length), [0; BLOCK], level, SMode::S8, Policy::default())
}

fn wrap(criterion: &mut Criterion) {
    for level in [SecurityLevel::L01, SecurityLevel::L33] {
        // ICV and data, then chaining value, header and data under the MAC.
        let enciphered = if level.has_c_enc() { DATA + 1 } else { 0 };
        let icv = usize::from(level.has_c_enc());
        let under_mac = BLOCK + 5 + enciphered.max(DATA);
        let chained = icv + enciphered / BLOCK + Blocks::cmac(under_mac);
        for (key_length, aes) in KEY_LENGTHS {
            let name = format!("SCP03: wrap {DATA} bytes, level {:02X}, {aes}", level.value());
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Bytes(DATA as u64));
            let mut messaging = messaging(key_length, level);
            let command = CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data(vec![0x5A; DATA]);
            let mut out = Vec::with_capacity(300);
            group.bench_function("jpkise", |b| {
                b.iter(|| messaging.wrap_into(black_box(&command), &mut out).unwrap());
            });
            Blocks { chained, ..Blocks::default() }.bench(&mut group, key_length);
        }
    }
}

/// A card's answer before the first command: counter and chaining value are zero.
fn answer(key_length: usize, level: SecurityLevel) -> ResponseApdu {
    let keys = session_keys(key_length);
    let mut data = vec![0x5A; DATA];
    if level.has_r_enc() {
        pad(&mut data);
        let enc = keys.enc.cipher();
        enc.cbc_encrypt(&response_icv(&enc, 0), &mut data);
    }
    let full = mac(&keys.rmac.cipher(), &[&[0; BLOCK], &data, &StatusWord::SUCCESS.to_bytes()]);
    data.extend_from_slice(&full[..8]);
    ResponseApdu::new(data, StatusWord::SUCCESS)
}

fn unwrap(criterion: &mut Criterion) {
    for level in [SecurityLevel::L13, SecurityLevel::L33] {
        let enciphered = if level.has_r_enc() { DATA + 1 } else { 0 };
        let under_mac = BLOCK + enciphered.max(DATA) + 2;
        let chained = usize::from(level.has_r_enc()) + Blocks::cmac(under_mac);
        let blocks = Blocks { chained, decrypted: enciphered / BLOCK, ..Blocks::default() };
        for (key_length, aes) in KEY_LENGTHS {
            let name = format!("SCP03: unwrap {DATA} bytes, level {:02X}, {aes}", level.value());
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Bytes(DATA as u64));
            let mut messaging = messaging(key_length, level);
            let answer = answer(key_length, level);
            let mut out = Vec::with_capacity(300);
            group.bench_function("jpkise", |b| {
                b.iter(|| messaging.unwrap_into(black_box(&answer), &mut out).unwrap());
            });
            blocks.bench(&mut group, key_length);
        }
    }
}

/// The host's challenge is always the same, so that one answer of the card is right every time.
struct Always;

impl RngCore for Always {
    fn next_u32(&mut self) -> u32 {
        7
    }
    fn next_u64(&mut self) -> u64 {
        7
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(7);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        dest.fill(7);
        Ok(())
    }
}

impl CryptoRng for Always {}

/// A card that takes no time: its three answers are ready.
struct Ready {
    initialize_update: Vec<u8>,
}

const DOMAIN: Aid = Aid::literal([0xA0, 0, 0, 1, 0x51, 0, 0, 0]);
const SELECTED: &[u8] = b"\x6F\x10\x84\x08\xA0\x00\x00\x01\x51\x00\x00\x00\xA5\x04\x9F\x65\x01\xFF\x90\x00";

impl Ready {
    fn new(keys: &StaticKeys) -> Self {
        let counter = SequenceCounter::from_bytes([0, 0, 1]);
        let host = Challenge::new(&[7; 8]).unwrap();
        let card = card_challenge(&keys.enc, counter, &DOMAIN, SMode::S8);
        let session = SessionKeys::derive(&keys.enc, &keys.mac, &host, &card);
        let proof = cryptogram(&session.mac, Derivation::CardCryptogram, &host, &card);
        let i = IParameter::PSEUDO_RANDOM | IParameter::R_MAC | IParameter::R_ENC;
        let head = [&[0; 10][..], &[0x30, 0x03, i]].concat();
        let tail = [card.as_bytes(), proof.as_bytes(), &counter.to_bytes(), &[0x90, 0x00]].concat();
        Self { initialize_update: [head, tail].concat() }
    }
}

impl Transport for Ready {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        Ok(match command[1] {
            0xA4 => SELECTED.to_vec(),
            0x50 => self.initialize_update.clone(),
            _ => vec![0x90, 0x00],
        })
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(Vec::new())
    }
    fn atr(&self) -> &[u8] {
        &[]
    }
    fn name(&self) -> &'static str {
        "ready"
    }
}

fn handshake(criterion: &mut Criterion) {
    for (key_length, aes) in KEY_LENGTHS {
        // A session key longer than a block takes two blocks of the derivation (section 4.1.5), each a CMAC over the
        // 16 bytes before the context and two challenges.
        let derivation = key_length.div_ceil(BLOCK) * Blocks::cmac(16 + 8 + 8);
        // Three session keys; the two base keys' subkeys.
        let derived = Blocks { schedules: 2, chained: 3 * derivation + 2, decrypted: 0 };

        let mut group = criterion.benchmark_group(format!("SCP03: session keys, {aes}"));
        let keys = StaticKeys::same(&vec![0x40; key_length]).unwrap();
        let challenge = Challenge::new(&[7; 8]).unwrap();
        group.bench_function("jpkise", |b| {
            b.iter(|| SessionKeys::derive(black_box(&keys.enc), &keys.mac, &challenge, &challenge));
        });
        derived.bench(&mut group, key_length);
        group.finish();

        let mut group = criterion.benchmark_group(format!("SCP03: SELECT to channel, host's part, {aes}"));
        let mut card = Card::new(Ready::new(&keys));
        let source = SoftwareKeys::new(keys);
        group.bench_function("jpkise", |b| {
            b.iter(|| {
                let session = Session::select(&mut card, None).unwrap();
                let session = session.initialize_update(&source, 0x30, &mut Always).unwrap();
                session.external_authenticate(SecurityLevel::L33).unwrap().level()
            });
        });
        // Card challenge over counter and AID, both cryptograms, C-MAC of EXTERNAL AUTHENTICATE; schedules of the three
        // session keys, subkeys of two.
        let chained = Blocks::cmac(16 + 3 + 8) + 2 * Blocks::cmac(16 + 8 + 8) + Blocks::cmac(16 + 5 + 8) + 2;
        let blocks =
            Blocks { schedules: derived.schedules + 3, chained: derived.chained + chained, decrypted: 0 };
        blocks.bench(&mut group, key_length);
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    wrap(&mut criterion);
    unwrap(&mut criterion);
    handshake(&mut criterion);
    criterion.final_summary();
}
