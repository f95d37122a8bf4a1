//! Data groupings of STORE DATA to a domain (section 11.11.2.3, tables 11-90 to 11-92).
//!
//! ```text
//! 0070 len { objects in BER-TLV }
//! 00B9 len { B9 { 95 usage, 96 access, 80 type, 81 length, 82 identifier, 83 KVN, 84 check value } … }
//!          { B7 { what all have in common } B9 { the rest } … }            as older hosts write it
//! 8113 len enciphered key      once for each B9, in their order and right behind them
//! ```
//! An AES key comes under Key-DEK whatever P1 says of the other values.

use std::collections::VecDeque;

use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::StatusWord;

use super::keys::{key_type, Enciphered};
use super::Core;
use crate::registry::{Key, KeyData, Qualifiers};
use crate::runtime::Channel;

/// The domain's BER-TLV objects.
const DGI_OBJECTS: u16 = 0x0070;
/// Descriptions of the keys that follow.
const DGI_KEY_DESCRIPTIONS: u16 = 0x00B9;
/// One symmetric key.
const DGI_KEY: u16 = 0x8113;

const TAG_COMMON: Tag = Tag(0xB7);
const TAG_DESCRIPTION: Tag = Tag(0xB9);
const TAG_USAGE: Tag = Tag(0x95);
const TAG_ACCESS: Tag = Tag(0x96);
const TAG_TYPE: Tag = Tag(0x80);
const TAG_LENGTH: Tag = Tag(0x81);
const TAG_IDENTIFIER: Tag = Tag(0x82);
const TAG_VERSION: Tag = Tag(0x83);
const TAG_CHECK_VALUE: Tag = Tag(0x84);
/// Met in descriptions in B7; this card counts no uses of a key.
const TAG_COUNTER: Tag = Tag(0x97);

const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;

/// What all groupings of a STORE DATA add up to.
#[derive(Default)]
pub(super) struct Contents {
    /// BER-TLV objects, one after the other.
    pub objects: Vec<u8>,
    /// Keys by version number and identifier.
    pub keys: Vec<(u8, u8, Key)>,
}

/// A key that is announced.
#[derive(Clone)]
struct Description {
    kvn: u8,
    identifier: u8,
    clear_length: usize,
    check_value: Vec<u8>,
    qualifiers: Qualifiers,
}

impl Description {
    /// From B9 and, where there is one, the B7 in front.
    fn read(own: &Tlv<'_>, common: Option<&Tlv<'_>>) -> Option<Self> {
        let mut objects = own.children().ok()?;
        if let Some(common) = common {
            objects.extend(common.children().ok()?);
        }
        let known = [
            TAG_USAGE,
            TAG_ACCESS,
            TAG_TYPE,
            TAG_LENGTH,
            TAG_IDENTIFIER,
            TAG_VERSION,
            TAG_CHECK_VALUE,
            TAG_COUNTER,
        ];
        if objects.iter().any(|o| !known.contains(&o.tag)) {
            return None;
        }
        // The key's own description stands in front of what is common.
        let value = |tag| objects.iter().find(|o| o.tag == tag).map(|o| o.value);
        let one = |tag| match value(tag)? {
            [byte] => Some(*byte),
            _ => None,
        };
        let clear_length = value(TAG_LENGTH)?.iter().try_fold(0usize, |length, byte| {
            length.checked_mul(0x100).map(|length| length + usize::from(*byte))
        })?;
        let check_value = value(TAG_CHECK_VALUE).unwrap_or_default();
        let (kvn, identifier) = (one(TAG_VERSION)?, one(TAG_IDENTIFIER)?);
        let fits = one(TAG_TYPE)? == key_type::AES
            && matches!(kvn, 0x01..=0x7F)
            && identifier <= 0x7F
            && matches!(check_value.len(), 0 | 3);
        let optional = |tag| match value(tag) {
            None => Some(None),
            Some([byte]) => Some(Some(*byte)),
            Some(_) => None,
        };
        let qualifiers = Qualifiers { usage: optional(TAG_USAGE)?, access: optional(TAG_ACCESS)? };
        fits.then(|| Self { kvn, identifier, clear_length, check_value: check_value.to_vec(), qualifiers })
    }

    fn read_all(value: &[u8]) -> Option<VecDeque<Self>> {
        let objects = Tlv::read_all(value).ok()?;
        let (common, rest) = match objects.split_first() {
            Some((first, rest)) if first.tag == TAG_COMMON => (Some(first), rest),
            _ => (None, &objects[..]),
        };
        let described = rest.iter().map(|o| (o.tag == TAG_DESCRIPTION).then(|| Self::read(o, common))?);
        let described: VecDeque<Self> = described.collect::<Option<_>>()?;
        (!described.is_empty()).then_some(described)
    }
}

impl Core {
    /// Reads groupings and deciphers the keys among them.
    pub(super) fn read_groupings(&self, channel: Channel, mut data: &[u8]) -> Result<Contents, StatusWord> {
        let mut contents = Contents::default();
        let mut due: VecDeque<Description> = VecDeque::new();
        while !data.is_empty() {
            let (identifier, value, rest) = grouping(data).ok_or(WRONG_DATA)?;
            data = rest;
            match identifier {
                DGI_KEY => {
                    let description = due.pop_front().ok_or(WRONG_DATA)?;
                    let enciphered = Enciphered::new(description.clear_length, value).ok_or(WRONG_DATA)?;
                    let key = self.decipher(channel, enciphered, &description.check_value)?;
                    let key = Key { data: KeyData::Aes(key), qualifiers: description.qualifiers };
                    contents.keys.push((description.kvn, description.identifier, key));
                }
                _ if !due.is_empty() => return Err(WRONG_DATA),
                DGI_OBJECTS => contents.objects.extend_from_slice(value),
                DGI_KEY_DESCRIPTIONS => due = Description::read_all(value).ok_or(WRONG_DATA)?,
                _ => return Err(StatusWord::REFERENCED_DATA_NOT_FOUND),
            }
        }
        // A description without its key promises what never came.
        if due.is_empty() {
            Ok(contents)
        } else {
            Err(WRONG_DATA)
        }
    }
}

/// Identifier, value and what follows.
fn grouping(data: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (identifier, rest) = data.split_first_chunk::<2>()?;
    let (length, rest) = match rest {
        [0xFF, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] if *length != 0xFF => (usize::from(*length), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes(*identifier), value, rest))
}
