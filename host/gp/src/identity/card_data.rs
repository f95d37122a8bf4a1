//! Card data, tag 66, with the card recognition data in 73 (GP Card Specification 2.3.1 appendix H.2).
//!
//! ```text
//! 66 { 73 { 06 gp 1, 60 { 06 gp 2 version }, 63 { 06 gp 3 }, 64 { 06 gp 4 scp i … } …, 65, 66, 67, 68 } }
//! gp = 1.2.840.114283 = 2A 86 48 86 FC 6B
//! ```

use jpkise_wire::tlv::{Tag, Tlv, TlvError};

use crate::commands::AnswerError;

/// Object identifier of GlobalPlatform.
const GP_OID: [u8; 6] = [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B];
const TAG_CARD_DATA: Tag = Tag(0x66);
const TAG_RECOGNITION_DATA: Tag = Tag(0x73);
const TAG_OID: Tag = Tag(0x06);
const TAG_VERSION: Tag = Tag(0x60);
const TAG_CARD_IDENTIFICATION: Tag = Tag(0x63);
const TAG_SCP: Tag = Tag(0x64);
const TAG_CONFIGURATION: Tag = Tag(0x65);
const TAG_CHIP: Tag = Tag(0x66);

/// A secure channel protocol with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScpOption {
    /// Protocol: 02, 03, 80, 81.
    pub scp: u8,
    /// Its i parameter.
    pub i: u8,
}

/// What a card says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CardData {
    /// Version of the Card Specification, "2.3.1".
    pub gp_version: Option<String>,
    /// Whether the card is identified uniquely by IIN and CIN.
    pub globally_unique: bool,
    /// Secure channel protocols of the issuer security domain.
    pub protocols: Vec<ScpOption>,
    /// Object identifier of the card configuration, coded.
    pub configuration: Option<Vec<u8>>,
    /// Object identifier or data on the chip, coded.
    pub chip: Option<Vec<u8>>,
}

impl CardData {
    /// Reads `66 { 73 { … } }`, or the recognition data alone, as some cards answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let (outer, rest) = Tlv::read(bytes)?;
        if !rest.is_empty() {
            return Err(TlvError::Truncated { offset: bytes.len() - rest.len() }.into());
        }
        let recognition = match outer.tag {
            TAG_CARD_DATA => outer.child(TAG_RECOGNITION_DATA)?,
            TAG_RECOGNITION_DATA => outer,
            found => return Err(TlvError::Unexpected { expected: TAG_CARD_DATA, found }.into()),
        };
        let mut data = Self::default();
        for object in recognition.children()? {
            match object.tag {
                TAG_VERSION => data.gp_version = oid_in(&object)?.and_then(version),
                TAG_CARD_IDENTIFICATION => {
                    data.globally_unique = oid_in(&object)?.is_some_and(|o| arcs(o) == Some(&[3][..]));
                }
                TAG_SCP => {
                    // One 64 per protocol, or several object identifiers in one 64: both are met.
                    for oid in object.children()?.iter().filter(|o| o.tag == TAG_OID) {
                        if let Some(&[4, scp, i]) = arcs(oid.value) {
                            data.protocols.push(ScpOption { scp, i });
                        }
                    }
                }
                TAG_CONFIGURATION => data.configuration = Some(object.value.to_vec()),
                TAG_CHIP => data.chip = Some(object.value.to_vec()),
                _ => {}
            }
        }
        Ok(data)
    }

    /// Whether the issuer security domain offers SCP03.
    pub fn offers_scp03(&self) -> bool {
        self.protocols.iter().any(|p| p.scp == 0x03)
    }
}

fn oid_in<'a>(object: &Tlv<'a>) -> Result<Option<&'a [u8]>, TlvError> {
    Ok(object.children()?.into_iter().find(|o| o.tag == TAG_OID).map(|o| o.value))
}

/// What follows GlobalPlatform's own object identifier.
fn arcs(oid: &[u8]) -> Option<&[u8]> {
    oid.strip_prefix(&GP_OID)
}

fn version(oid: &[u8]) -> Option<String> {
    let [2, version @ ..] = arcs(oid)? else { return None };
    let parts: Vec<String> = version.iter().map(u8::to_string).collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "6631732f06072a864886fc6b01600c060a2a864886fc6b02020301\
                           630906072a864886fc6b03640b06092a864886fc6b040370";

    #[test]
    fn a_card_of_version_2_3_1_with_scp03_is_read() {
        let bytes = hex::decode(EXAMPLE).unwrap();
        for input in [&bytes[..], &bytes[2..]] {
            let data = CardData::parse(input).unwrap();
            assert_eq!(data.gp_version.as_deref(), Some("2.3.1"));
            assert_eq!(data.protocols, [ScpOption { scp: 3, i: 0x70 }]);
            assert!(data.globally_unique && data.offers_scp03());
        }
    }

    #[test]
    fn several_protocols_come_in_one_object_or_in_several() {
        let one = "730b".to_owned();
        assert!(CardData::parse(&hex::decode(one).unwrap()).is_err());
        let oid = |scp: &str| format!("06092a864886fc6b04{scp}");
        let together = format!("7318 6416{}{}", oid("0255"), oid("0370")).replace(' ', "");
        let apart = format!("731a 640b{}640b{}", oid("0255"), oid("0370")).replace(' ', "");
        for text in [together, apart] {
            let data = CardData::parse(&hex::decode(&text).unwrap()).unwrap();
            assert_eq!(data.protocols, [ScpOption { scp: 2, i: 0x55 }, ScpOption { scp: 3, i: 0x70 }]);
        }
    }

    #[test]
    fn other_objects_are_refused() {
        for text in ["", "6600", "e000", "66017300", "663173"] {
            assert!(CardData::parse(&hex::decode(text).unwrap()).is_err(), "{text}");
        }
    }
}
