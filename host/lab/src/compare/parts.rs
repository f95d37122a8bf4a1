//! What the answers to commands consist of, and which parts differ from run to run by their nature.
//!
//! | answer | what is not compared |
//! |---|---|
//! | INITIALIZE UPDATE | challenge, cryptogram, sequence counter |
//! | secured | R-MAC; an enciphered answer as a whole |
//! | GET CHALLENGE | the random number |
//! | COMPUTE DIGITAL SIGNATURE | RSASSA-PSS, which has a random salt; every signature where the key was made anew |
//! | GET DATA 7F49, DF3E, hashes in DF32, READ BINARY of certificates | where the keys were made anew |
//! | GET DATA DF20 (refresh tag), 00C1 (sequence counter) | the value |

use std::collections::BTreeMap;
use std::ops::Range;

use jpkise_gp::channel::LogicalChannel;
use jpkise_jpki::edge::Ef;
use jpkise_wire::scp03::{
    SMode, SecurityLevel, INS_BEGIN_R_MAC_SESSION, INS_END_R_MAC_SESSION, INS_EXTERNAL_AUTHENTICATE,
    INS_INITIALIZE_UPDATE, KDD_LENGTH,
};
use serde::Serialize;

use super::exchange::Joined;

const INS_GENERATE: u8 = 0x46;
const INS_SIGN: u8 = 0x2A;
const INS_GET_CHALLENGE: u8 = 0x84;
const INS_SELECT: u8 = 0xA4;
const INS_READ_BINARY: u8 = 0xB0;
const INS_GET_DATA: u8 = 0xCA;
const P1_SELECT_EF: u8 = 0x02;
const P1_SHORT_EF: u8 = 0x80;

/// What is not compared, by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// Challenge of card or host, random number.
    Challenge,
    /// Cryptogram of a handshake.
    Cryptogram,
    /// Sequence counter.
    SequenceCounter,
    /// MAC of an answer.
    Mac,
    /// Answer enciphered under session keys that are not known here.
    Enciphered,
    /// Signature with a random salt.
    Salted,
    /// Public key, its hash, its certificate, a signature by it: the key was made anew.
    NewKey,
    /// Refresh tag of the access rules.
    RefreshTag,
    /// A random number of the command, which the answer repeats.
    Nonce,
}

impl Ignored {
    /// Stable name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::Cryptogram => "cryptogram",
            Self::SequenceCounter => "sequence-counter",
            Self::Mac => "mac",
            Self::Enciphered => "enciphered",
            Self::Salted => "salted",
            Self::NewKey => "new-key",
            Self::RefreshTag => "refresh-tag",
            Self::Nonce => "nonce",
        }
    }
}

/// What is taken to differ anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The keys of the JPKI applet were made anew between the two.
    pub new_keys: bool,
    /// The commands carried other random numbers.
    pub other_nonces: bool,
}

impl Allowance {
    /// Two runs of a suite: each makes keys of its own and draws its own random numbers.
    pub const RUNS: Self = Self { new_keys: true, other_nonces: true };
}

/// Follows one side of a recording: which level its channels have, which file is selected.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    channels: BTreeMap<LogicalChannel, Followed>,
}

#[derive(Debug, Clone, Default)]
struct Followed {
    level: Option<SecurityLevel>,
    mac: usize,
    file: Option<u16>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) range: Range<usize>,
    pub(super) ignored: Option<Ignored>,
    pub(super) any_length: bool,
}

impl Follower {
    /// What a command changes, seen with its answer. To be called after the comparison.
    pub fn follow(&mut self, exchange: &Joined) {
        let Some((_, sw)) = &exchange.answer else { return };
        let followed = self.channels.entry(LogicalChannel::of(exchange.header[0])).or_default();
        let [cla, ins, p1, _] = exchange.header;
        if !sw.is_success() {
            return;
        }
        match (ins, p1) {
            (INS_EXTERNAL_AUTHENTICATE, _) if cla & 0x80 != 0 => {
                followed.level = SecurityLevel::try_from(p1).ok();
                followed.mac = match exchange.data.as_ref().map(Vec::len) {
                    Some(32) => SMode::S16.bytes(),
                    _ => SMode::S8.bytes(),
                };
            }
            (INS_INITIALIZE_UPDATE, _) if cla & 0x80 != 0 => followed.level = None,
            (INS_BEGIN_R_MAC_SESSION | INS_END_R_MAC_SESSION, _) if cla & 0x80 != 0 => {
                followed.level = followed.level.map(|level| {
                    let c_mac = level.value() & SecurityLevel::L03.value();
                    let value = if ins == INS_BEGIN_R_MAC_SESSION { c_mac | p1 } else { c_mac };
                    SecurityLevel::try_from(value).unwrap_or(level)
                });
            }
            (INS_SELECT, P1_SELECT_EF) => {
                followed.file =
                    exchange.data.as_deref().and_then(|d| Some(u16::from_be_bytes(d.try_into().ok()?)));
            }
            (INS_SELECT, _) => *followed = Followed::default(),
            (INS_READ_BINARY, _) if p1 & P1_SHORT_EF != 0 => followed.file = Some(u16::from(p1 & 0x1F)),
            _ => {}
        }
    }

    /// The file that is selected on the logical channel of a class byte.
    pub fn file(&self, class: u8) -> Option<u16> {
        self.channels.get(&LogicalChannel::of(class))?.file
    }

    /// The parts of an answer of this length; `is_plain`: secure messaging was taken off before.
    pub(super) fn parts(
        &self,
        exchange: &Joined,
        length: usize,
        allowance: Allowance,
        is_plain: bool,
    ) -> Vec<Part> {
        let followed = self.channels.get(&LogicalChannel::of(exchange.header[0]));
        let level = followed.and_then(|f| f.level).filter(|_| exchange.secured && !is_plain);
        let protected = exchange.answer.as_ref().is_some_and(|(_, sw)| sw.is_protected());
        match level {
            Some(level) if protected && level.has_r_enc() => {
                vec![whole(length, Some(Ignored::Enciphered))]
            }
            Some(level) if protected && level.has_r_mac() => {
                let mac = followed.map_or(0, |f| f.mac).min(length);
                let mut parts = plain_parts(exchange, followed, length - mac, allowance);
                parts.push(part("R-MAC", length - mac..length, Some(Ignored::Mac)));
                parts
            }
            _ => plain_parts(exchange, followed, length, allowance),
        }
    }
}

fn part(name: &str, range: Range<usize>, ignored: Option<Ignored>) -> Part {
    Part { name: name.to_owned(), range, ignored, any_length: false }
}

fn whole(length: usize, ignored: Option<Ignored>) -> Part {
    part("data", 0..length, ignored)
}

/// Parts of an answer without secure messaging.
fn plain_parts(
    exchange: &Joined,
    followed: Option<&Followed>,
    length: usize,
    allowance: Allowance,
) -> Vec<Part> {
    let [cla, ins, p1, p2] = exchange.header;
    let is_proprietary = cla & 0x80 != 0;
    let new_key = allowance.new_keys.then_some(Ignored::NewKey);
    match ins {
        INS_INITIALIZE_UPDATE if is_proprietary => handshake(length),
        INS_GET_CHALLENGE if !is_proprietary => vec![whole(length, Some(Ignored::Challenge))],
        INS_SIGN if is_proprietary => {
            let salted = matches!(p1, 0x04 | 0x05).then_some(Ignored::Salted);
            vec![whole(length, salted.or(new_key))]
        }
        INS_GET_DATA => match (p1, p2) {
            (0x7F, 0x49) | (0xDF, 0x3E) => vec![whole(length, new_key)],
            (0xDF, 0x32) => attestation(length, allowance),
            (0xDF, 0x20) => vec![whole(length, Some(Ignored::RefreshTag))],
            (0x00, 0xC1) => vec![whole(length, Some(Ignored::SequenceCounter))],
            _ => vec![whole(length, None)],
        },
        INS_READ_BINARY => {
            let file = if p1 & P1_SHORT_EF != 0 {
                Some(u16::from(p1 & 0x1F))
            } else {
                followed.and_then(|f| f.file)
            };
            let certificates = [
                Ef::SIGN_CERTIFICATE,
                Ef::SIGN_CA_CERTIFICATE,
                Ef::AUTH_CERTIFICATE,
                Ef::AUTH_CA_CERTIFICATE,
            ];
            let is_certificate = file.is_some_and(|id| certificates.iter().any(|ef| ef.id() == id));
            let mut part = whole(length, new_key.filter(|_| is_certificate));
            // A serial number with a leading zero makes a certificate a byte shorter.
            part.any_length = part.ignored.is_some();
            vec![part]
        }
        _ => vec![whole(length, None)],
    }
}

/// INITIALIZE UPDATE (Amendment D 1.1.2 section 7.1.1).
fn handshake(length: usize) -> Vec<Part> {
    const HEAD: usize = KDD_LENGTH + 3;
    let size = match length.checked_sub(HEAD) {
        Some(16 | 19) => SMode::S8.bytes(),
        Some(32 | 35) => SMode::S16.bytes(),
        _ => return vec![whole(length, None)],
    };
    let challenge = HEAD + size;
    let cryptogram = challenge + size;
    vec![
        part("key diversification data", 0..KDD_LENGTH, None),
        part("key information", KDD_LENGTH..HEAD, None),
        part("card challenge", HEAD..challenge, Some(Ignored::Challenge)),
        part("card cryptogram", challenge..cryptogram, Some(Ignored::Cryptogram)),
        part("sequence counter", cryptogram..length, Some(Ignored::SequenceCounter)),
    ]
}

/// DF32, the state attestation of the JPKI applet.
fn attestation(length: usize, allowance: Allowance) -> Vec<Part> {
    const FIELDS: [(&str, usize); 5] =
        [("state", 1), ("key hash", 32), ("generation", 2), ("signatures", 4), ("resets", 2)];
    if length != 16 + 2 * 41 + 2 {
        return vec![whole(length, None)];
    }
    let mut parts = vec![part("nonce", 0..16, allowance.other_nonces.then_some(Ignored::Nonce))];
    let mut at = 16;
    for key in ["01", "02"] {
        for (name, size) in FIELDS {
            let ignored = (name == "key hash" && allowance.new_keys).then_some(Ignored::NewKey);
            parts.push(part(&format!("{name} of key {key}"), at..at + size, ignored));
            at += size;
        }
    }
    parts.push(part("lease", at..length, None));
    parts
}

/// Whether a command makes a key pair of the JPKI applet.
pub fn makes_a_key(header: [u8; 4]) -> bool {
    header[0] & 0x80 != 0 && header[1] == INS_GENERATE
}
