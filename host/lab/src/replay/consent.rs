//! How far an exchange may change a card, judged by its command: what a card in a reader is asked only with consent.

use jpkise_wire::scp03::INS_EXTERNAL_AUTHENTICATE;

use super::plan::{Unit, Way};
use crate::suite::model::{Changes, OpenFault};

/// Instructions that ask and leave nothing: MANAGE CHANNEL, SELECT, READ BINARY and RECORD, GET RESPONSE, GET DATA, GET CHALLENGE.
const ASKING: [u8; 10] = [0x70, 0xA4, 0xB0, 0xB1, 0xB2, 0xB3, 0xC0, 0xCA, 0xCB, 0x84];
/// Proprietary ones: INITIALIZE UPDATE, EXTERNAL AUTHENTICATE, BEGIN and END R-MAC SESSION, GET STATUS.
const ASKING_PROPRIETARY: [u8; 5] = [0x50, 0x82, 0x7A, 0x78, 0xF2];
const INS_VERIFY: u8 = 0x20;
const INS_PUT_KEY: u8 = 0xD8;
const INS_SET_STATUS: u8 = 0xF0;
const INS_TERMINATE_EF: u8 = 0xE8;
/// P1 of SET STATUS: the card's life cycle.
const P1_CARD: u8 = 0x80;

/// Whether it leaves the card as it was.
pub(super) fn only_asks(unit: &Unit) -> bool {
    harm(unit) == Changes::Nothing
}

/// The most it may change.
pub(super) fn harm(unit: &Unit) -> Changes {
    let [cla, ins, p1, _] = unit.recorded.header;
    let is_proprietary = cla & 0x80 != 0;
    match &unit.way {
        // A failed authentication costs a try, and used up tries do not come back. Recorded bytes fail whenever a
        // handshake is under way.
        Way::Authenticate { fault: Some(OpenFault::Cryptogram | OpenFault::Mac), .. } => {
            return Changes::ForGood
        }
        Way::Bytes(_) if is_proprietary && ins == INS_EXTERNAL_AUTHENTICATE => return Changes::ForGood,
        Way::Secret { .. } => return Changes::Content,
        _ => {}
    }
    match ins {
        _ if ASKING.contains(&ins) => Changes::Nothing,
        _ if is_proprietary && ASKING_PROPRIETARY.contains(&ins) => Changes::Nothing,
        INS_VERIFY if unit.recorded.length == Some(0) => Changes::Nothing,
        INS_PUT_KEY if is_proprietary => Changes::ForGood,
        INS_SET_STATUS if is_proprietary && p1 == P1_CARD => Changes::ForGood,
        INS_TERMINATE_EF if is_proprietary && matches!(p1, 0x01 | 0x02) => Changes::ForGood,
        _ => Changes::Content,
    }
}
