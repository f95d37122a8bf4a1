//! Who a card is: what GET DATA tells without a channel, decoded.

mod capability;
mod card_data;
mod cplc;
mod key_information;

pub use capability::{CapabilityInformation, HashAlgorithm, ScpCapability};
pub use card_data::{CardData, ScpOption};
pub use cplc::{Cplc, CplcDate};
pub use key_information::{KeyComponent, KeyEntry, KeyInformationTemplate, KeyType};

use jpkise_wire::scp03::SequenceCounter;
use jpkise_wire::tlv::{Tag, Tlv};

use crate::commands::select::Fci;

/// A data object as the card sent it, and what it means where it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datum<T> {
    /// The card's bytes, tag and length included where the card gave them.
    pub raw: Vec<u8>,
    /// Decoded; `None` when the bytes are not of the standard's form.
    pub value: Option<T>,
}

impl<T> Datum<T> {
    /// Decodes, keeping the bytes.
    pub fn new<E>(raw: Vec<u8>, decode: impl FnOnce(&[u8]) -> Result<T, E>) -> Self {
        let value = decode(&raw).ok();
        Self { raw, value }
    }
}

/// Everything a card told about itself. What it refused is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Answer to reset.
    pub atr: Vec<u8>,
    /// File control information of the issuer security domain.
    pub fci: Option<Datum<Fci>>,
    /// Card production life cycle data.
    pub cplc: Option<Datum<Cplc>>,
    /// Issuer identification number, value only.
    pub iin: Option<Vec<u8>>,
    /// Card image number, value only.
    pub cin: Option<Vec<u8>>,
    /// Card data with the card recognition data.
    pub card_data: Option<Datum<CardData>>,
    /// Which keys there are.
    pub key_information: Option<Datum<KeyInformationTemplate>>,
    /// What the card can do.
    pub capabilities: Option<Datum<CapabilityInformation>>,
    /// Sequence counter of the default key version.
    pub sequence_counter: Option<SequenceCounter>,
    /// Free memory and number of applications.
    pub resources: Option<ExtendedResources>,
}

/// Extended card resources (ETSI TS 102 226 section 8.2.1.7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedResources {
    /// Installed applications.
    pub applications: u32,
    /// Free non-volatile memory, in bytes.
    pub free_non_volatile: u32,
    /// Free volatile memory, in bytes.
    pub free_volatile: u32,
}

impl ExtendedResources {
    /// Reads FF21 { 81, 82, 83 }, with or without the outer tag.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut objects = Tlv::read_all(bytes).ok()?;
        if let [outer] = objects.as_slice() {
            if outer.tag == Tag(0xFF21) {
                objects = outer.children().ok()?;
            }
        }
        let number = |tag: u32| {
            let object = objects.iter().find(|o| o.tag == Tag(tag))?;
            crate::commands::select::number(object.value)
        };
        Some(Self {
            applications: number(0x81)?,
            free_non_volatile: number(0x82)?,
            free_volatile: number(0x83)?,
        })
    }
}

/// The value of a GET DATA answer that may or may not carry its tag.
pub(crate) fn value_of(bytes: &[u8], tag: u32) -> &[u8] {
    Tlv::expect(bytes, Tag(tag)).unwrap_or(bytes)
}

/// C1: `C1 03 xxxxxx` or the three bytes alone.
pub(crate) fn sequence_counter(bytes: &[u8]) -> Option<SequenceCounter> {
    value_of(bytes, 0xC1).try_into().ok().map(SequenceCounter::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_with_and_without_the_outer_tag() {
        let expected =
            ExtendedResources { applications: 3, free_non_volatile: 0x01_0000, free_volatile: 0x0800 };
        for bytes in ["ff210d81010382040001000083020800", "810103820301000083020800"] {
            let bytes = hex::decode(bytes).unwrap();
            assert_eq!(ExtendedResources::parse(&bytes), Some(expected));
        }
        assert_eq!(ExtendedResources::parse(&[0x81, 1]), None);
    }

    #[test]
    fn a_counter_comes_with_or_without_its_tag() {
        for bytes in [&[0xC1, 3, 0, 4, 0x36][..], &[0, 4, 0x36]] {
            assert_eq!(sequence_counter(bytes).map(SequenceCounter::value), Some(0x436));
        }
        assert_eq!(sequence_counter(&[0xC1, 2, 0, 4]), None);
    }
}
