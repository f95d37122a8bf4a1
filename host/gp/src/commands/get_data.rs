//! GET DATA (section 11.3).
//!
//! ```text
//! 80 CA tag | 00        the object with tag and length          9000, 6A88 unknown
//! 00 CA tag | 00        its value alone
//! ```

use jpkise_card::CommandApdu;

use super::{CLA_GP, CLA_ISO};

/// GET DATA.
pub const INS_GET_DATA: u8 = 0xCA;
/// Issuer identification number.
pub const TAG_IIN: u16 = 0x0042;
/// Card image number.
pub const TAG_CIN: u16 = 0x0045;
/// Card data, with the card recognition data.
pub const TAG_CARD_DATA: u16 = 0x0066;
/// Card capability information.
pub const TAG_CAPABILITIES: u16 = 0x0067;
/// Sequence counter of the default key version.
pub const TAG_SEQUENCE_COUNTER: u16 = 0x00C1;
/// Key information template.
pub const TAG_KEY_INFORMATION: u16 = 0x00E0;
/// Application list.
pub const TAG_APPLICATIONS: u16 = 0x2F00;
/// Card production life cycle data (practice).
pub const TAG_CPLC: u16 = 0x9F7F;
/// Extended card resources (ETSI TS 102 226 section 8.2.1.7.2).
pub const TAG_EXTENDED_RESOURCES: u16 = 0xFF21;

/// GET DATA with the GlobalPlatform class: the whole object.
pub fn get_data(tag: u16) -> CommandApdu {
    with_class(CLA_GP, tag)
}

/// GET DATA with the interindustry class: the value alone on most cards, and the only form some know for CPLC.
pub fn get_data_iso(tag: u16) -> CommandApdu {
    with_class(CLA_ISO, tag)
}

/// GET DATA of the application list, whose command has data (section 11.3.2.3).
pub fn get_applications() -> CommandApdu {
    get_data(TAG_APPLICATIONS).with_data([0x5C, 0x00])
}

fn with_class(class: u8, tag: u16) -> CommandApdu {
    let [p1, p2] = tag.to_be_bytes();
    CommandApdu::new(class, INS_GET_DATA, p1, p2).expecting_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_into_p1_p2_as_the_established_clients_send_them() {
        for (command, bytes) in [
            (get_data(TAG_CPLC), "80ca9f7f00"),
            (get_data_iso(TAG_CPLC), "00ca9f7f00"),
            (get_data(TAG_CARD_DATA), "80ca006600"),
            (get_data(TAG_KEY_INFORMATION), "80ca00e000"),
            (get_data(TAG_EXTENDED_RESOURCES), "80caff2100"),
            (get_applications(), "80ca2f00025c0000"),
        ] {
            assert_eq!(hex::encode(command.to_bytes().unwrap()), bytes);
        }
    }
}
