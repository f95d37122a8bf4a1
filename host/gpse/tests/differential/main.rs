//! The same commands to our applets on both runtimes, behind the same card manager: the answers must be the same.
//!
//! `JPKISE_DIFFERENTIAL=100000` sends more than the 4,000 commands of every run,
//! `JPKISE_SEED` others. Needs the built jCardSim runtime, else skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepted;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod rules;

use std::collections::BTreeMap;

use common::bench::{Bench, ARA, ARA_MODULE, JPKI, JPKI_MODULE};
use common::Host;
use jpkise_card::{CommandApdu, ResponseApdu, Transport};
use jpkise_gpse::GpSe;
use jpkise_wire::scp03::StaticKeys;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rsa::BigUint;
use sha2::{Digest, Sha256};

use accepted::ACCEPTED;
use commands::{certificate, secret_block, Command, Key};

/// One of the two cards, and what only it holds.
struct Side {
    card: GpSe,
    host: Option<Host>,
    /// Public key objects and certificates it was given, in the same order on both sides.
    material: Vec<Vec<u8>>,
    moduli: Vec<Vec<u8>>,
}

impl Side {
    fn new(bench: &Bench) -> Self {
        Self { card: bench.card(), host: None, material: Vec::new(), moduli: Vec::new() }
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.card.transmit(bytes).unwrap()
    }
}

/// Two answers to the same command.
pub struct Seen<'a> {
    command: &'a [u8],
    /// In clear.
    answers: [&'a ResponseApdu; 2],
    sides: &'a [Side; 2],
}

impl Seen<'_> {
    fn ins(&self) -> u8 {
        self.command.get(1).copied().unwrap_or_default()
    }

    fn data(&self) -> [&[u8]; 2] {
        self.answers.map(|a| a.data.as_slice())
    }

    fn same_length(&self) -> bool {
        let [one, other] = self.data();
        self.answers[0].sw == self.answers[1].sw && one.len() == other.len()
    }

    fn own_material(&self) -> bool {
        let ([one, other], [mine, yours]) = (self.data(), self.sides);
        self.same_length()
            && !one.is_empty()
            && mine.material.iter().zip(&yours.material).any(|(a, b)| {
                a.windows(one.len()).zip(b.windows(other.len())).any(|(a, b)| a == one && b == other)
            })
    }

    fn same_but_for_key_digests(&self) -> bool {
        let blanked = |index: usize| {
            let mut data = self.data()[index].to_vec();
            for modulus in &self.sides[index].moduli {
                let digest = Sha256::digest(modulus);
                while let Some(at) = data.windows(32).position(|w| w == digest.as_slice()) {
                    data[at..at + 32].fill(b'#');
                }
            }
            data
        };
        self.same_length() && blanked(0) == blanked(1)
    }

    /// What each is the signature of, taken by each key that the card has had.
    fn opened(&self) -> Vec<[Vec<u8>; 2]> {
        let open = |index: usize, key: usize| {
            let signature = BigUint::from_bytes_be(self.data()[index]);
            let modulus = BigUint::from_bytes_be(&self.sides[index].moduli[key]);
            signature.modpow(&BigUint::from(65537u32), &modulus).to_bytes_be()
        };
        (0..self.sides[0].moduli.len()).map(|key| [open(0, key), open(1, key)]).collect()
    }

    /// Both are signatures, by whichever key, of one and the same block.
    fn same_signed_block(&self) -> bool {
        self.same_length()
            && self.data()[0].len() == 256
            && self.opened().iter().any(|[a, b]| a.len() == 255 && a[0] == 1 && a == b)
    }

    /// Both are PSS signatures with a salt of their own; where the command brings the hash, both are of that hash.
    fn both_pss(&self) -> bool {
        let hash = (self.command.get(2) == Some(&4)).then(|| self.command.get(5..37)).flatten();
        self.same_length() && self.opened().iter().any(|pair| pair.iter().all(|block| is_pss(block, hash)))
    }

    fn is_refresh_tag(&self) -> bool {
        self.same_length() && self.data().iter().all(|data| data.starts_with(&[0xDF, 0x20, 8]))
    }

    fn is_page_of_proof(&self) -> bool {
        self.command.get(2..4) == Some(&[0xDF, 0x3E]) && self.same_length()
    }
}

/// EMSA-PSS with SHA-256, MGF1 of the same and 32 bytes of salt (RFC 8017 section 9.1.2), for a modulus of 2048 bits.
fn is_pss(block: &[u8], hash: Option<&[u8]>) -> bool {
    let mut encoded = vec![0; 256 - block.len().min(256)];
    encoded.extend_from_slice(block);
    let (masked, rest) = encoded.split_at(223);
    let (h, trailer) = rest.split_at(32);
    let mask = (0u32..7).flat_map(|counter| Sha256::digest([h, &counter.to_be_bytes()].concat()));
    let mut block: Vec<u8> = masked.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    block[0] &= 0x7F;
    let (padding, salt) = block.split_at(191);
    let fits = |hash: &[u8]| Sha256::digest([&[0; 8], hash, salt].concat()).as_slice() == h;
    trailer == [0xBC]
        && padding.split_last().is_some_and(|(one, zeros)| *one == 1 && zeros.iter().all(|b| *b == 0))
        && hash.is_none_or(fits)
}

struct Pair {
    /// The applet under test, as instance AID.
    applet: &'static str,
    sides: [Side; 2],
    random: ChaCha8Rng,
    log: Vec<String>,
    statuses: BTreeMap<(u8, u16), u32>,
    accepted: BTreeMap<&'static str, u32>,
    sent: u32,
}

impl Pair {
    /// Compares, after taking the protection off where there is some; the first card's answer in clear.
    fn compare(&mut self, command: &[u8], raw: [Vec<u8>; 2], protected: bool) -> ResponseApdu {
        self.sent += 1;
        let [one, other] = raw.map(|bytes| ResponseApdu::parse(&bytes).unwrap());
        self.log.push(format!("{} -> {one:?} / {other:?}", hex::encode_upper(command)));
        let ins = command.get(1).copied().unwrap_or_default();
        *self.statuses.entry((ins, one.sw.0)).or_default() += 1;
        assert!(one.sw == other.sw, "status words differ\n{}", self.last());
        let clear = |side: &Side, answer: ResponseApdu| match &side.host {
            // An error leaves bare, and so does an answer from behind a channel that this command has closed.
            Some(host) if protected && answer.sw.is_protected() => host.unwrap(answer),
            _ => answer,
        };
        let [one, other] = [clear(&self.sides[0], one), clear(&self.sides[1], other)];
        // In clear: the cards' own certificates have made the MAC chains differ.
        if one != other {
            let seen = Seen { command, answers: [&one, &other], sides: &self.sides };
            let found = ACCEPTED.iter().find(|a| (a.is)(&seen));
            let Some(found) = found else {
                let data = seen.data().map(hex::encode_upper);
                let opened: Vec<_> = if seen.ins() == 0x2A { seen.opened() } else { Vec::new() };
                panic!("a difference that is not accepted\n{}\n{data:#?}\n{opened:02X?}", self.last());
            };
            *self.accepted.entry(found.reason).or_default() += 1;
        }
        one
    }

    /// The last commands, for a failure.
    fn last(&self) -> String {
        self.log[self.log.len().saturating_sub(12)..].join("\n")
    }

    fn clear(&mut self, command: &[u8]) -> ResponseApdu {
        let raw = [0, 1].map(|i| self.sides[i].send(command));
        self.compare(command, raw, false)
    }

    /// In the session that is open, or in clear.
    fn secured(&mut self, command: &CommandApdu) -> ResponseApdu {
        let raw = [0, 1].map(|i| {
            let side = &mut self.sides[i];
            let wrapped = match &mut side.host {
                Some(host) => host.wrap(command),
                None => command.clone(),
            };
            side.send(&wrapped.to_bytes().unwrap())
        });
        let bytes = command.to_bytes().unwrap().to_vec();
        let answer = self.compare(&bytes, raw, true);
        if bytes[1] == 0x46 && answer.sw.is_success() {
            self.read_public_key(Key::of(bytes[2]));
        }
        answer
    }

    fn select(&mut self) {
        self.end_session();
        let command = common::unhex(&format!("00A4040C{:02X}{}", self.applet.len() / 2, self.applet));
        self.clear(&command);
    }

    fn end_session(&mut self) {
        self.sides.iter_mut().for_each(|side| side.host = None);
    }

    fn open_session(&mut self, level: u8) {
        self.end_session();
        let keys = StaticKeys::same(&common::unhex(common::TEST_KEY)).unwrap();
        let opened = [0, 1].map(|i| Host::open_on(&mut self.sides[i].card, &keys, 0, level, 0, 8));
        let results = [0, 1].map(|i| opened[i].as_ref().map(|_| ()).map_err(Clone::clone));
        assert_eq!(results[0], results[1], "opening a session\n{}", self.last());
        for (side, host) in self.sides.iter_mut().zip(opened) {
            side.host = host.ok();
        }
        self.log.push(format!("session {level:02X}: {:?}", results[0]));
    }

    /// A new key is on both cards: from here on it is known what each may answer.
    fn read_public_key(&mut self, key: Key) {
        for side in &mut self.sides {
            let Some(host) = &mut side.host else { return };
            let mut object = Vec::new();
            for page in 0.. {
                let command = CommandApdu::new(0x80, 0xCA, 0x7F, 0x49).with_data([key.number(), page]);
                let answer = host.exchange(&mut side.card, &command.expecting_all());
                if !answer.sw.is_success() {
                    break;
                }
                object.extend(answer.data);
            }
            let at = object.windows(4).position(|w| w == [0x81, 0x82, 1, 0]).unwrap() + 4;
            side.moduli.push(object[at..at + 256].to_vec());
            side.material.push(object);
        }
    }

    /// STORE DATA of one DGI with each card's own value.
    fn store(&mut self, dgi: u16, values: [Vec<u8>; 2]) {
        let blocks = values.map(|value| commands::store_data(dgi, &value));
        assert_eq!(blocks[0].len(), blocks[1].len());
        for number in 0..blocks[0].len() {
            let p1 = if number + 1 == blocks[0].len() { 0x88 } else { 0x08 };
            let raw = [0, 1].map(|i| {
                let side = &mut self.sides[i];
                let command = CommandApdu::new(0x80, 0xE2, p1, u8::try_from(number).unwrap())
                    .with_data(blocks[i][number].clone());
                match &mut side.host {
                    Some(host) => {
                        let wrapped = host.wrap(&command.expecting_all());
                        side.send(&wrapped.to_bytes().unwrap())
                    }
                    None => vec![0x69, 0x82],
                }
            });
            self.compare(&[0x84, 0xE2, p1, 0], raw, true);
        }
    }

    /// Everything that makes a key usable, whatever state it is in: what is out of order is refused on both cards.
    fn personalize(&mut self, key: Key) {
        self.select();
        self.open_session(0x33);
        if self.sides[0].host.is_none() {
            return;
        }
        self.secured(&CommandApdu::new(0x80, 0x46, key.number(), 0).expecting_all());
        if self.sides[0].moduli.is_empty() {
            return;
        }
        let certificates = [0, 1].map(|i| certificate(self.sides[i].moduli.last().unwrap()));
        for (side, certificate) in self.sides.iter_mut().zip(&certificates) {
            side.material.push(certificate.clone());
        }
        self.store(key.certificate_file(), certificates);
        let keys = StaticKeys::same(&common::unhex(common::TEST_KEY)).unwrap();
        let block = Host::encipher(&keys, &secret_block(key.temporary()));
        self.store(key.secret_dgi(), [block.clone(), block]);
        self.clear(&key.change_reference_data());
    }

    /// As the phone's app does it: select, verify, sign.
    fn sign(&mut self) {
        let key = if self.random.gen_bool(0.5) { Key::Auth } else { Key::Sign };
        self.select();
        self.clear(&key.verify(key.secret()));
        for _ in 0..3 {
            let commands = commands::sign(&mut self.random, key);
            for command in commands {
                self.clear(&command);
            }
        }
    }

    /// As a thief does it: one secret after the other.
    fn guess(&mut self) {
        let key = if self.random.gen_bool(0.5) { Key::Auth } else { Key::Sign };
        self.select();
        for _ in 0..6 {
            self.clear(&key.verify(b"000000"));
        }
    }

    fn step(&mut self) {
        match self.random.gen_range(0..1000) {
            0..50 => self.select(),
            50..56 => {
                self.end_session();
                let answers = [0, 1].map(|i| self.sides[i].card.reset().unwrap());
                assert_eq!(answers[0], answers[1]);
                if self.random.gen_bool(0.9) {
                    self.select();
                }
            }
            56..72 => {
                let level = [0x33, 0x33, 0x33, 0x13, 0x03, 0x01, 0x11, 0x00][self.random.gen_range(0..8)];
                if self.random.gen_bool(0.8) {
                    self.select();
                }
                self.open_session(level);
            }
            72..84 => {
                let key = if self.random.gen_bool(0.6) { Key::Auth } else { Key::Sign };
                self.personalize(key);
            }
            84..86 => self.reinstall(),
            86..130 => self.sign(),
            130..136 => self.guess(),
            _ => match commands::any(&mut self.random) {
                Command::Clear(bytes) => {
                    // A SELECT, or a command to the channel, ends the session on both cards.
                    let ends = bytes.get(1).is_some_and(|ins| matches!(ins, 0xA4 | 0x50 | 0x82 | 0x70));
                    self.clear(&bytes);
                    if ends && bytes.get(2) != Some(&0x02) {
                        self.end_session();
                    }
                }
                Command::Admin(command) => {
                    self.secured(&command);
                }
            },
        }
    }

    /// DELETE and INSTALL with parameters of all kinds.
    fn reinstall(&mut self) {
        let parameters = [
            "",
            "8002414281020305",
            "810203058201018402FFFF",
            "8402030383010285020000",
            "82010F",
            "8301018303",
            "86",
            "80",
        ];
        let parameters = parameters[self.random.gen_range(0..parameters.len())];
        let mut both = |what: &str, call: &dyn Fn(&mut GpSe) -> String| {
            let results = [0, 1].map(|i| call(&mut self.sides[i].card));
            assert_eq!(results[0], results[1], "{what} {parameters}\n{}", self.log.join("\n"));
            self.log.push(format!("{what} {parameters}: {}", results[0]));
            results[0] == "009000"
        };
        both("delete", &|card| common::bench::delete(card, JPKI));
        let install =
            |card: &mut GpSe, parameters| common::bench::install(card, JPKI_MODULE, JPKI, parameters);
        if !both("install", &|card| install(card, parameters)) {
            both("install after", &|card| install(card, ""));
        }
        for side in &mut self.sides {
            side.material.clear();
            side.moduli.clear();
        }
        self.select();
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().expect(variable))
}

impl Pair {
    /// Two new cards with the applet, selected; `None`, after one clear line, where a runtime is not built.
    fn start(applet: &'static str, module: &str) -> Option<Self> {
        let mut sides = [Side::new(&Bench::jcvm()?), Side::new(&Bench::jcardsim()?)];
        // The ARA-M is there from the start.
        for side in sides.iter_mut().filter(|_| applet != ARA) {
            assert_eq!(common::bench::install(&mut side.card, module, applet, ""), "009000");
        }
        let mut pair = Self {
            applet,
            sides,
            random: ChaCha8Rng::seed_from_u64(number("JPKISE_SEED", 1)),
            log: Vec::new(),
            statuses: BTreeMap::new(),
            accepted: BTreeMap::new(),
            sent: 0,
        };
        pair.select();
        Some(pair)
    }

    fn run(&mut self, mut step: impl FnMut(&mut Self), reached: &[(u8, u16)]) {
        let count = u32::try_from(number("JPKISE_DIFFERENTIAL", 4_000)).unwrap();
        while self.sent < count {
            step(self);
        }
        for (reason, times) in &self.accepted {
            println!("accepted {times} times: {reason}");
        }
        println!("{} commands, {} pairs of instruction and status word", self.sent, self.statuses.len());
        // What was never reached was not compared.
        for (ins, sw) in reached {
            let seen = self.statuses.contains_key(&(*ins, *sw));
            assert!(seen, "{ins:02X} never answered {sw:04X}: {:X?}", self.statuses);
        }
    }
}

#[test]
fn the_jpki_applet_answers_alike() {
    let Some(mut pair) = Pair::start(JPKI, JPKI_MODULE) else { return };
    let reached = [
        (0x20, 0x9000),
        (0x20, 0x63C0),
        (0x20, 0x6984),
        (0x24, 0x9000),
        (0x2A, 0x9000),
        (0x46, 0x9000),
        (0xB0, 0x9000),
        (0xCA, 0x9000),
        (0xE2, 0x9000),
        (0xE4, 0x9000),
    ];
    pair.run(Pair::step, &reached);
}

#[test]
fn the_ara_m_answers_alike() {
    let Some(mut pair) = Pair::start(ARA, ARA_MODULE) else { return };
    let reached =
        [(0xCA, 0x9000), (0xCA, 0x6A88), (0xE2, 0x9000), (0xE2, 0x6381), (0xE2, 0x6A89), (0xE2, 0x6A80)];
    pair.run(Pair::access_rules, &reached);
}
