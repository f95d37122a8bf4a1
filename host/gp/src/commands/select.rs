//! SELECT by name (section 11.9).
//!
//! ```text
//! 00 A4 04 P2 | AID or its first bytes, or nothing for the issuer security domain | 00
//! P2 00 first or only, 02 next occurrence                     9000, 6283 card locked, 6A82 not found
//! 6F { 84 AID, A5 { 73 management data, 9F6E production life cycle, 9F65 longest command data } }
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::Aid;

use super::{AnswerError, CLA_ISO};

/// SELECT.
pub const INS_SELECT: u8 = 0xA4;
/// P1: by name.
pub const P1_BY_NAME: u8 = 0x04;
/// P2: the first or only one of that name.
pub const P2_FIRST: u8 = 0x00;
/// P2: the next one of that name.
pub const P2_NEXT: u8 = 0x02;

const TAG_FCI: Tag = Tag(0x6F);
const TAG_AID: Tag = Tag(0x84);
const TAG_PROPRIETARY: Tag = Tag(0xA5);
const TAG_MANAGEMENT_DATA: Tag = Tag(0x73);
const TAG_PRODUCTION_LIFE_CYCLE: Tag = Tag(0x9F6E);
const TAG_MAX_COMMAND_DATA: Tag = Tag(0x9F65);

/// SELECT of the first application whose AID begins with `name`; empty selects the issuer security domain.
pub fn select(name: &[u8]) -> CommandApdu {
    by_name(name, P2_FIRST)
}

/// SELECT of the next application whose AID begins with `name`.
pub fn select_next(name: &[u8]) -> CommandApdu {
    by_name(name, P2_NEXT)
}

fn by_name(name: &[u8], p2: u8) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_SELECT, P1_BY_NAME, p2).with_data(name).expecting_all()
}

/// File control information of a security domain or applet, as far as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fci {
    /// Full AID of what was selected.
    pub aid: Option<Aid>,
    /// Security domain management data (tag 73): the card recognition data again, on cards that give it here.
    pub management_data: Option<Vec<u8>>,
    /// Application production life cycle data (tag 9F6E).
    pub production_life_cycle: Option<Vec<u8>>,
    /// Longest data field of a command message, in bytes (tag 9F65).
    pub max_command_data: Option<u32>,
}

impl Fci {
    /// Reads `6F { … }`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let mut fci = Self::default();
        for object in Tlv::read_all(Tlv::expect(bytes, TAG_FCI)?)? {
            match object.tag {
                TAG_AID => fci.aid = Aid::new(object.value).ok(),
                TAG_PROPRIETARY => fci.read_proprietary(&object)?,
                _ => {}
            }
        }
        Ok(fci)
    }

    fn read_proprietary(&mut self, template: &Tlv<'_>) -> Result<(), AnswerError> {
        for object in template.children()? {
            match object.tag {
                TAG_MANAGEMENT_DATA => self.management_data = Some(object.value.to_vec()),
                TAG_PRODUCTION_LIFE_CYCLE => self.production_life_cycle = Some(object.value.to_vec()),
                TAG_MAX_COMMAND_DATA => {
                    self.max_command_data = Some(number(object.value).ok_or(AnswerError::Field {
                        field: "maximum command data",
                        length: object.value.len(),
                    })?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A big-endian number of one to four bytes.
pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 4 {
        return None;
    }
    Some(bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sent_as_the_established_clients_send_them() {
        assert_eq!(hex::encode(select(&[]).to_bytes().unwrap()), "00a4040000");
        let aid = hex::decode("a000000151000000").unwrap();
        assert_eq!(hex::encode(select(&aid).to_bytes().unwrap()), "00a4040008a00000015100000000");
        assert_eq!(hex::encode(select_next(&aid[..5]).to_bytes().unwrap()), "00a4040205a00000015100");
    }

    #[test]
    fn a_plain_card_s_file_control_information_is_read() {
        let fci = Fci::parse(&hex::decode("6f108408a000000151000000a5049f6501ff").unwrap()).unwrap();
        assert_eq!(fci.aid.unwrap().to_string(), "A000000151000000");
        assert_eq!((fci.max_command_data, fci.management_data), (Some(255), None));
        assert!(Fci::parse(&[0x6F, 0x02, 0x84]).is_err());
        assert!(Fci::parse(&[]).is_err());
    }
}
