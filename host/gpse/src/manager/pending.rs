//! Answers longer than their command could ask for: 61xx, then GET RESPONSE (ISO/IEC 7816-4 section 5.3.4).
//!
//! Secure messaging covers the whole answer; the pieces are fetched outside it and leave the session as it is
//! (Amendment D section 6.2.5).
//!
//! ```text
//! 00 C0 00 00  Le -> next bytes, 61xx while there are more
//! ```

use jpkise_card::{CommandApdu, Expected, ResponseApdu};
use jpkise_wire::StatusWord;
use zeroize::Zeroize;

/// SW1 of "so many bytes still available".
const SW1_BYTES_WAITING: u8 = 0x61;

/// The rest of an answer.
#[derive(Default)]
pub(crate) struct Pending {
    rest: Vec<u8>,
    sw: Option<StatusWord>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.rest.zeroize();
    }
}

impl Pending {
    /// Passes an answer that fits; of a longer one the first piece.
    ///
    /// Le below 256 is not enforced: an R-MAC comes on top of what the host asked for, and hosts leave Le alone.
    pub fn keep_what_is_too_long(&mut self, answer: ResponseApdu, is_extended: bool) -> ResponseApdu {
        let limit = if is_extended { Expected::ALL_EXTENDED } else { Expected::ALL_SHORT };
        if answer.data.len() <= limit.ne() {
            return answer;
        }
        self.rest = answer.data;
        self.sw = Some(answer.sw);
        self.piece(limit.ne())
    }

    /// Answers GET RESPONSE, if there is anything to answer.
    pub fn next_piece(&mut self, command: &CommandApdu) -> Option<ResponseApdu> {
        self.sw?;
        if command.p1 != 0 || command.p2 != 0 {
            return Some(StatusWord::INCORRECT_P1_P2.into());
        }
        Some(self.piece(command.expected().unwrap_or(Expected::ALL_SHORT).ne()))
    }

    fn piece(&mut self, length: usize) -> ResponseApdu {
        let rest = self.rest.split_off(length.min(self.rest.len()));
        let data = std::mem::replace(&mut self.rest, rest);
        let sw = match u8::try_from(self.rest.len()) {
            Ok(0) => self.sw.take().unwrap_or(StatusWord::SUCCESS),
            // 00 stands for 256 or more.
            waiting => StatusWord::new(SW1_BYTES_WAITING, waiting.unwrap_or(0)),
        };
        ResponseApdu::new(data, sw)
    }
}
