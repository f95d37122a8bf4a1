//! Certificates of a recording for key pairs that the card has made anew.
//!
//! The applet takes a certificate only if it is for the key it holds. So the modulus that the recorded card told is replaced by
//! the one that this card tells, wherever it stands in the blocks. The signature of the CA under it is then wrong, which no
//! card checks, and which is why nobody takes such a certificate for an issued one.

use std::collections::BTreeMap;

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{Tag, Tlv};

use super::plan::{stored, Step};

const TAG_PUBLIC_KEY: Tag = Tag(0x7F49);
const TAG_MODULUS: Tag = Tag(0x81);

/// Public keys by the answers to GET DATA 7F49, recorded and now.
#[derive(Default)]
pub(super) struct PublicKeys {
    pages: BTreeMap<u8, (Vec<u8>, Vec<u8>)>,
    moduli: Vec<(Vec<u8>, Vec<u8>)>,
}

impl PublicKeys {
    /// A page: the command's data are the key and the number of the page.
    pub(super) fn page(&mut self, command: &CommandApdu, recorded: &[u8], now: &[u8]) {
        if [command.p1, command.p2] != [0x7F, 0x49] {
            return;
        }
        let &[key, page] = command.data() else { return };
        let pages = self.pages.entry(key).or_default();
        if page == 0 {
            *pages = Default::default();
        }
        pages.0.extend_from_slice(recorded);
        pages.1.extend_from_slice(now);
        if let (Some(recorded), Some(now)) = (modulus(&pages.0), modulus(&pages.1)) {
            if recorded.len() == now.len() {
                self.moduli.push((recorded, now));
            }
        }
    }

    /// The block at `index` of the steps from `first` to before `end`.
    pub(super) fn block(&self, steps: &[Step], (first, end): (usize, usize), index: usize) -> Block {
        let steps = steps.get(first..end).unwrap_or_default();
        let blocks: Vec<&[u8]> = steps.iter().filter_map(stored).map(|(data, _)| data).collect();
        let mut content = blocks.concat();
        let mut found = false;
        // The newest last: a key may have been made twice.
        for (recorded, now) in &self.moduli {
            let places: Vec<usize> = content
                .windows(recorded.len())
                .enumerate()
                .filter(|(_, w)| w == recorded)
                .map(|(at, _)| at)
                .collect();
            for at in places {
                content[at..at + now.len()].copy_from_slice(now);
                found = true;
            }
        }
        let before: usize = blocks.iter().take(index).map(|b| b.len()).sum();
        let length = blocks.get(index).map_or(0, |b| b.len());
        match content.get(before..before + length) {
            Some(block) if found => Block::Remade(block.to_vec()),
            // A certificate that was taken was for the key that the card had.
            _ if holds_a_key(&content) && was_taken(steps) => Block::Unknown,
            _ => Block::AsRecorded,
        }
    }
}

/// What becomes of a block.
pub(super) enum Block {
    /// With the public key of now.
    Remade(Vec<u8>),
    /// It holds no certificate that fitted the recorded key: none at all, one that breaks off, one that was refused.
    AsRecorded,
    /// It holds one for a key that the recording does not tell.
    Unknown,
}

/// Whether there is the whole modulus of an RSA-2048 key, as an INTEGER of DER.
fn holds_a_key(content: &[u8]) -> bool {
    const HEAD: [u8; 5] = [0x02, 0x82, 0x01, 0x01, 0x00];
    content.windows(HEAD.len() + 256).any(|window| window.starts_with(&HEAD))
}

fn was_taken(steps: &[Step]) -> bool {
    let Some(Step::Unit(last)) = steps.last() else { return false };
    last.recorded.answer.as_ref().is_some_and(|(_, sw)| sw.is_success())
}

fn modulus(pages: &[u8]) -> Option<Vec<u8>> {
    let (object, _) = Tlv::read(pages).ok()?;
    let modulus = object.child(TAG_MODULUS).ok().filter(|_| object.tag == TAG_PUBLIC_KEY)?;
    // A leading zero of the integer's sign is not part of the number.
    let value = modulus.value;
    Some(value.strip_prefix(&[0]).unwrap_or(value).to_vec())
}
