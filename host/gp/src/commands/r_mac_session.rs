//! BEGIN R-MAC SESSION and END R-MAC SESSION (Amendment D 1.1.2 sections 7.1.3 and 7.1.4).
//!
//! ```text
//! 80 7A P1 01 | 00        P1 10 R-MAC, 30 R-MAC and R-ENCRYPTION; data: one LV, not interpreted
//! 80 78 00 03 | 00        9000, 6985 level does not allow it
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::scp03::{SecurityLevel, INS_BEGIN_R_MAC_SESSION, INS_END_R_MAC_SESSION};

use super::CLA_GP;

/// P2 of BEGIN R-MAC SESSION.
pub const P2_BEGIN: u8 = 0x01;
/// P2 of END R-MAC SESSION: end, and answer with an R-MAC.
pub const P2_END: u8 = 0x03;

/// Switches R-MAC on, and R-ENCRYPTION with it when asked.
pub fn begin(r_encryption: bool) -> CommandApdu {
    let p1 = SecurityLevel::R_MAC | if r_encryption { SecurityLevel::R_ENCRYPTION } else { 0 };
    CommandApdu::new(CLA_GP, INS_BEGIN_R_MAC_SESSION, p1, P2_BEGIN).with_data([0x00])
}

/// Switches both off again.
pub fn end() -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_END_R_MAC_SESSION, 0, P2_END).expecting_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_says_what_is_switched_on() {
        for (command, bytes) in
            [(begin(false), "807a10010100"), (begin(true), "807a30010100"), (end(), "8078000300")]
        {
            assert_eq!(hex::encode(command.to_bytes().unwrap()), bytes);
        }
    }
}
