//! MANAGE CHANNEL (section 11.7).
//!
//! ```text
//! 00 70 00 00 | 01         open, answers the number     9000, 6A81 or 6881 none free
//! 00 70 80 nn              close                        9000, 6200 closed already
//! ```

use jpkise_card::{CommandApdu, Expected};

use super::{AnswerError, CLA_ISO};
use crate::channel::LogicalChannel;

/// MANAGE CHANNEL.
pub const INS_MANAGE_CHANNEL: u8 = 0x70;
/// P1: open.
pub const P1_OPEN: u8 = 0x00;
/// P1: close the channel in P2.
pub const P1_CLOSE: u8 = 0x80;

/// Asks for the next free channel.
pub fn open() -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_MANAGE_CHANNEL, P1_OPEN, 0).expecting(Expected::from_short(1))
}

/// Closes a channel, sent on the basic one.
pub fn close(channel: LogicalChannel) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_MANAGE_CHANNEL, P1_CLOSE, channel.number())
}

/// The channel an answer to [`open`] names.
pub fn opened(answer: &[u8]) -> Result<LogicalChannel, AnswerError> {
    match *answer {
        [number @ 1..=19] => LogicalChannel::new(number),
        _ => None,
    }
    .ok_or(AnswerError::Field { field: "logical channel", length: answer.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_open_and_close() {
        assert_eq!(hex::encode(open().to_bytes().unwrap()), "0070000001");
        let one = opened(&[1]).unwrap();
        assert_eq!(hex::encode(close(one).to_bytes().unwrap()), "00708001");
        for malformed in [&[][..], &[0], &[20], &[1, 1]] {
            assert!(opened(malformed).is_err(), "{malformed:?}");
        }
    }
}
