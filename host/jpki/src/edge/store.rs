//! STORE DATA: data groupings (DGIs) packed into as few blocks as the rules allow.
//!
//! | CLA INS P1 P2 | data | answer |
//! |---|---|---|
//! | 84 E2 08 nn | block; nn from 00 | 9000 |
//! | 84 E2 88 nn | last block | 9000 |
//!
//! A block holds several DGIs and a value may run over into the next block, but a DGI's header (identifier 2, length 1 or
//! FF and 2) and the whole of 8201 and 8202 stand in one block.

use jpkise_card::{CommandApdu, SecretKind};
use jpkise_wire::dgi::header_length;
use zeroize::Zeroizing;

use super::file::Ef;
use super::key::KeyRef;
use super::secret::SecretBlock;
use super::token::TokenInfo;
use super::CLA_PROPRIETARY;

const INS_STORE_DATA: u8 = 0xE2;
/// DGI format, more blocks follow (GP Card Specification 2.3.1 section 11.11.2).
const P1_MORE: u8 = 0x08;
/// DGI format, last block.
const P1_LAST: u8 = 0x88;
/// P2 is one byte and does not wrap.
const MAX_BLOCKS: usize = 256;
/// Policy bits.
const DGI_POLICY: u16 = 0x0101;
/// Lease of the signature key.
const DGI_LEASE: u16 = 0x0102;
/// Device key, an uncompressed P-256 point.
const DGI_DEVICE_KEY: u16 = 0x0103;
/// Temporary PIN under Key-DEK.
const DGI_TEMPORARY_PIN: u16 = 0x8201;
/// Temporary password under Key-DEK.
const DGI_TEMPORARY_PASSWORD: u16 = 0x8202;

/// One data grouping.
#[derive(Clone, PartialEq, Eq)]
pub struct Dgi {
    identifier: u16,
    value: Zeroizing<Vec<u8>>,
}

/// Why data groupings cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The value is longer than its EF.
    #[error("DGI {identifier:04X}: {length} bytes, the card keeps {capacity}")]
    TooLong {
        /// Which DGI.
        identifier: u16,
        /// Bytes of the value.
        length: usize,
        /// Bytes the card keeps.
        capacity: usize,
    },
    /// A DGI that must stand in one block is longer than a block.
    #[error("DGI {identifier:04X} does not fit into one block of {block} bytes")]
    Block {
        /// Which DGI.
        identifier: u16,
        /// Bytes of a block.
        block: usize,
    },
    /// More blocks than P2 can number.
    #[error("{0} blocks, P2 numbers 256")]
    TooMany(usize),
}

impl Dgi {
    /// A key's certificate, DER.
    pub fn certificate(key: KeyRef, der: &[u8]) -> Result<Self, PackError> {
        Self::file(key.certificate_ef(), der)
    }

    /// The CA certificate above it, DER.
    pub fn ca_certificate(key: KeyRef, der: &[u8]) -> Result<Self, PackError> {
        Self::file(key.ca_certificate_ef(), der)
    }

    /// Token information.
    pub fn token_info(bytes: &[u8; TokenInfo::LENGTH]) -> Self {
        Self::new(Ef::TOKEN_INFO.id(), bytes)
    }

    /// Policy bits, replacing those of install.
    pub fn policy(bits: u8) -> Self {
        Self::new(DGI_POLICY, &[bits])
    }

    /// Signatures left to the signature key; FFFF for no limit.
    pub fn lease(signatures: u16) -> Self {
        Self::new(DGI_LEASE, &signatures.to_be_bytes())
    }

    /// Device key: an uncompressed P-256 point, 04 ‖ x ‖ y.
    pub fn device_key(point: &[u8; 65]) -> Self {
        Self::new(DGI_DEVICE_KEY, point)
    }

    /// A temporary PIN or password: the secret block under Key-DEK.
    pub fn temporary(key: KeyRef, enciphered: &[u8; SecretBlock::LENGTH]) -> Self {
        let identifier = match key {
            KeyRef::Auth => DGI_TEMPORARY_PIN,
            KeyRef::Sign => DGI_TEMPORARY_PASSWORD,
        };
        Self::new(identifier, enciphered)
    }

    fn file(ef: Ef, value: &[u8]) -> Result<Self, PackError> {
        match ef.capacity() {
            Some(capacity) if value.len() > capacity => {
                Err(PackError::TooLong { identifier: ef.id(), length: value.len(), capacity })
            }
            _ => Ok(Self::new(ef.id(), value)),
        }
    }

    fn new(identifier: u16, value: &[u8]) -> Self {
        Self { identifier, value: Zeroizing::new(value.to_vec()) }
    }

    /// Identifier.
    pub fn identifier(&self) -> u16 {
        self.identifier
    }

    fn header(&self) -> Vec<u8> {
        let mut header = self.identifier.to_be_bytes().to_vec();
        // Constructors bound values to the EFs' sizes, far below 65,535.
        header.extend(header_length(u16::try_from(self.value.len()).unwrap_or(u16::MAX)));
        header
    }

    fn is_secret(&self) -> bool {
        matches!(self.identifier, DGI_TEMPORARY_PIN | DGI_TEMPORARY_PASSWORD)
    }

    /// Whether the card takes `self` only before `other`: a CA certificate while the key has no certificate yet, a
    /// temporary secret when it has one.
    fn precedes(&self, other: &Self) -> bool {
        KeyRef::ALL.into_iter().any(|key| {
            let certificate = key.certificate_ef().id();
            let temporary = Self::temporary(key, &[0; SecretBlock::LENGTH]).identifier;
            (self.identifier == key.ca_certificate_ef().id() && other.identifier == certificate)
                || (self.identifier == certificate && other.identifier == temporary)
        })
    }

    fn weight(&self) -> Weight {
        Weight { header: self.header().len(), value: self.value.len(), whole: self.is_secret() }
    }
}

impl std::fmt::Debug for Dgi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dgi({:04X}, {} bytes)", self.identifier, self.value.len())
    }
}

/// What packing needs to know of a DGI.
#[derive(Clone, Copy)]
struct Weight {
    header: usize,
    value: usize,
    whole: bool,
}

/// Walks DGIs into blocks. The same walk counts blocks for the search and cuts them for sending.
struct Walk {
    block: usize,
    room: usize,
    blocks: usize,
}

impl Walk {
    fn new(block: usize) -> Self {
        Self { block, room: 0, blocks: 0 }
    }

    fn open(&mut self) {
        self.room = self.block;
        self.blocks += 1;
    }

    /// Places one DGI; `cut` sees (starts a new block, bytes of header and value that go into it).
    fn place(&mut self, dgi: Weight, mut cut: impl FnMut(bool, usize)) {
        let together = if dgi.whole { dgi.header + dgi.value } else { dgi.header };
        let mut left = dgi.header + dgi.value;
        let mut fresh = self.room < together;
        if fresh {
            self.open();
        }
        loop {
            let part = left.min(self.room);
            cut(fresh, part);
            self.room -= part;
            left -= part;
            if left == 0 {
                break;
            }
            self.open();
            fresh = true;
        }
    }
}

fn count(weights: impl Iterator<Item = Weight>, block: usize) -> usize {
    let mut walk = Walk::new(block);
    for weight in weights {
        walk.place(weight, |_, _| ());
    }
    walk.blocks
}

/// The STORE DATA commands that carry these DGIs. `block` is what a command of the session has room for (239 at level 33 in
/// S8 mode, 223 in S16); the order is one with the fewest blocks among those the card takes; the order given is kept when it is as good as any.
pub fn pack(dgis: &[Dgi], block: usize) -> Result<Vec<CommandApdu>, PackError> {
    for dgi in dgis {
        let weight = dgi.weight();
        let together = if weight.whole { weight.header + weight.value } else { weight.header };
        if together > block {
            return Err(PackError::Block { identifier: dgi.identifier, block });
        }
    }
    let order = best_order(dgis, block);
    let mut blocks: Vec<(Zeroizing<Vec<u8>>, bool)> = Vec::new();
    let mut walk = Walk::new(block);
    for dgi in order.into_iter().map(|i| &dgis[i]) {
        let mut bytes = Zeroizing::new(dgi.header());
        bytes.extend_from_slice(&dgi.value);
        let mut rest = bytes.as_slice();
        walk.place(dgi.weight(), |fresh, length| {
            if fresh {
                blocks.push((Zeroizing::new(Vec::with_capacity(block)), false));
            }
            let (part, tail) = rest.split_at(length);
            rest = tail;
            if let Some((current, secret)) = blocks.last_mut() {
                current.extend_from_slice(part);
                *secret |= dgi.is_secret();
            }
        });
    }
    if blocks.len() > MAX_BLOCKS {
        return Err(PackError::TooMany(blocks.len()));
    }
    let last = blocks.len().saturating_sub(1);
    Ok(blocks
        .into_iter()
        .zip(0u8..)
        .enumerate()
        .map(|(index, ((data, secret), number))| {
            let p1 = if index == last { P1_LAST } else { P1_MORE };
            let command =
                CommandApdu::new(CLA_PROPRIETARY, INS_STORE_DATA, p1, number).with_data(data.as_slice());
            if secret {
                command.hiding(SecretKind::Temporary)
            } else {
                command
            }
        })
        .collect())
}

/// Orders tried at most; seven DGIs have 630 that the card takes.
const MAX_ORDERS: usize = 5_000;

/// Filling greedily is the best packing of one order; which order leaves the least room unused is found by trying them.
fn best_order(dgis: &[Dgi], block: usize) -> Vec<usize> {
    let weights: Vec<Weight> = dgis.iter().map(Dgi::weight).collect();
    let total: usize = weights.iter().map(|w| w.header + w.value).sum();
    let bound = total.div_ceil(block.max(1));
    let given: Vec<usize> = (0..dgis.len()).collect();
    let mut best = (count(weights.iter().copied(), block), given);
    let mut tried = 0;
    let mut prefix = Vec::with_capacity(dgis.len());
    search(dgis, &weights, block, bound, &mut prefix, &mut best, &mut tried);
    best.1
}

fn search(
    dgis: &[Dgi],
    weights: &[Weight],
    block: usize,
    bound: usize,
    prefix: &mut Vec<usize>,
    best: &mut (usize, Vec<usize>),
    tried: &mut usize,
) {
    if best.0 <= bound || *tried >= MAX_ORDERS {
        return;
    }
    if prefix.len() == dgis.len() {
        *tried += 1;
        let blocks = count(prefix.iter().map(|i| weights[*i]), block);
        if blocks < best.0 {
            *best = (blocks, prefix.clone());
        }
        return;
    }
    for next in 0..dgis.len() {
        let waits =
            (0..dgis.len()).any(|other| !prefix.contains(&other) && dgis[other].precedes(&dgis[next]));
        if prefix.contains(&next) || waits {
            continue;
        }
        prefix.push(next);
        search(dgis, weights, block, bound, prefix, best, tried);
        prefix.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex_of;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_groupings_share_one_last_block() {
        let commands = pack(&[Dgi::policy(0x03), Dgi::lease(0x0100)], 239).unwrap();
        assert_eq!(commands.len(), 1);
        assert_eq!(hex_of(&commands[0]), "80E288000901010103".to_owned() + "0102020100");
    }

    #[test]
    fn long_values_run_over_and_blocks_are_numbered_from_zero() {
        let certificate = Dgi::certificate(KeyRef::Auth, &[0xCE; 300]).unwrap();
        let commands = pack(&[certificate, Dgi::policy(1)], 239).unwrap();
        let bytes: Vec<String> = commands.iter().map(hex_of).collect();
        assert_eq!(bytes[0], format!("80E20800EF000AFF012C{}", "CE".repeat(234)));
        assert_eq!(bytes[1], format!("80E2880146{}01010101", "CE".repeat(66)));
    }

    #[test]
    fn a_secret_never_runs_over_a_block_and_is_marked() {
        let token = Dgi::token_info(&[b'T'; 160]);
        let temporary = Dgi::temporary(KeyRef::Auth, &[0xEE; 32]);
        let pad = Dgi::ca_certificate(KeyRef::Sign, &[1; 60]).unwrap();
        // 163 + 63 leave 13 of 239 bytes: too few for the 35 of the secret.
        let commands = pack(&[token, pad, temporary], 239).unwrap();
        assert_eq!(commands.len(), 2);
        assert_eq!(commands[0].secret(), None);
        assert_eq!(hex_of(&commands[1])[..16], *"80E2880123820120");
        assert_eq!(commands[1].secret(), Some(SecretKind::Temporary));
    }

    #[test]
    fn a_header_never_runs_over_a_block() {
        // 237 of 239 bytes used: the next header of 3 bytes opens a new block.
        let first = Dgi::ca_certificate(KeyRef::Sign, &[1; 234]).unwrap();
        let commands = pack(&[first.clone(), Dgi::policy(1)], 239).unwrap();
        assert_eq!(commands.iter().map(|c| c.data().len()).collect::<Vec<_>>(), [237, 4]);
        let commands = pack(&[first, Dgi::lease(1), Dgi::policy(1)], 239).unwrap();
        assert_eq!(commands.len(), 2);
    }

    #[test]
    fn values_the_card_cannot_keep_and_blocks_too_small_are_refused() {
        assert_eq!(
            Dgi::certificate(KeyRef::Sign, &[0; 2561]).unwrap_err(),
            PackError::TooLong { identifier: 1, length: 2561, capacity: 2560 }
        );
        assert!(Dgi::ca_certificate(KeyRef::Sign, &[0; 1536]).is_ok());
        let temporary = Dgi::temporary(KeyRef::Sign, &[0; 32]);
        let refused = pack(std::slice::from_ref(&temporary), 34).unwrap_err();
        assert_eq!(refused, PackError::Block { identifier: 0x8202, block: 34 });
        let certificate = Dgi::certificate(KeyRef::Sign, &[0; 2560]).unwrap();
        assert!(matches!(pack(&[certificate], 9), Err(PackError::TooMany(_))));
        assert!(pack(&[], 239).unwrap().is_empty());
    }

    /// Puts DGIs together again as the card does, checking every rule of the card edge on the way.
    fn unpack(commands: &[CommandApdu], block: usize) -> Vec<(u16, Vec<u8>)> {
        let mut done: Vec<(u16, Vec<u8>)> = Vec::new();
        let mut open = 0usize;
        for (number, command) in commands.iter().enumerate() {
            let last = number + 1 == commands.len();
            assert_eq!((command.cla, command.ins), (0x80, 0xE2));
            assert_eq!(command.p1, if last { 0x88 } else { 0x08 });
            assert_eq!(usize::from(command.p2), number);
            let mut data = command.data();
            assert!(!data.is_empty() && data.len() <= block);
            while !data.is_empty() {
                if open == 0 {
                    let (length, header) = if data[2] == 0xFF {
                        (usize::from(u16::from_be_bytes([data[3], data[4]])), 5)
                    } else {
                        (usize::from(data[2]), 3)
                    };
                    let identifier = u16::from_be_bytes([data[0], data[1]]);
                    data = &data[header..];
                    if matches!(identifier, 0x8201 | 0x8202) {
                        assert!(data.len() >= length, "{identifier:04X} runs over");
                        assert_eq!(command.secret(), Some(SecretKind::Temporary));
                    }
                    done.push((identifier, Vec::new()));
                    open = length;
                }
                let part = open.min(data.len());
                done.last_mut().unwrap().1.extend_from_slice(&data[..part]);
                open -= part;
                data = &data[part..];
            }
        }
        assert_eq!(open, 0, "the last DGI is not complete");
        done
    }

    proptest! {
        #[test]
        fn whatever_is_packed_comes_out_whole_in_an_order_the_card_takes(
            sizes in prop::array::uniform4(1usize..1537),
            block in 64usize..=255,
            given in Just((0..7).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let all = [
                Dgi::ca_certificate(KeyRef::Auth, &vec![0xB0; sizes[0]]).unwrap(),
                Dgi::ca_certificate(KeyRef::Sign, &vec![0x20; sizes[1]]).unwrap(),
                Dgi::token_info(&[0x60; 160]),
                Dgi::certificate(KeyRef::Auth, &vec![0xA0; sizes[2]]).unwrap(),
                Dgi::certificate(KeyRef::Sign, &vec![0x10; sizes[3]]).unwrap(),
                Dgi::temporary(KeyRef::Auth, &[0x81; 32]),
                Dgi::temporary(KeyRef::Sign, &[0x82; 32]),
            ];
            let commands = pack(&all, block).unwrap();
            let out = unpack(&commands, block);
            prop_assert_eq!(out.len(), all.len());
            for dgi in &all {
                prop_assert!(out.iter().any(|(i, v)| *i == dgi.identifier && *v == *dgi.value));
            }
            let place = |identifier| out.iter().position(|(i, _)| *i == identifier).unwrap();
            for (before, after) in [(0x000B, 0x000A), (0x0002, 0x0001), (0x000A, 0x8201), (0x0001, 0x8202)] {
                prop_assert!(place(before) < place(after));
            }
            // No order the card takes does better, whichever one the caller had thought of.
            let shuffled: Vec<Dgi> = given.iter().map(|i| all[*i].clone()).collect();
            let allowed = (0..7).all(|b| (0..b).all(|a| !shuffled[b].precedes(&shuffled[a])));
            if allowed {
                let blocks = count(shuffled.iter().map(Dgi::weight), block);
                prop_assert!(commands.len() <= blocks);
            }
            let total: usize = all.iter().map(|d| d.header().len() + d.value.len()).sum();
            prop_assert!(commands.len() >= total.div_ceil(block));
            prop_assert!(commands.len() <= total.div_ceil(block) + 2);
        }
    }

    #[test]
    fn the_budget_s_certificates_take_27_blocks() {
        let all = [
            Dgi::ca_certificate(KeyRef::Sign, &[0; 1330]).unwrap(),
            Dgi::ca_certificate(KeyRef::Auth, &[0; 1330]).unwrap(),
            Dgi::token_info(&[0; 160]),
            Dgi::certificate(KeyRef::Sign, &[0; 1758]).unwrap(),
            Dgi::certificate(KeyRef::Auth, &[0; 1590]).unwrap(),
            Dgi::temporary(KeyRef::Auth, &[0; 32]),
            Dgi::temporary(KeyRef::Sign, &[0; 32]),
        ];
        assert_eq!(pack(&all, 239).unwrap().len(), 27);
    }
}
