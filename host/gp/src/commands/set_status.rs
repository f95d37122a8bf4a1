//! SET STATUS (section 11.10).
//!
//! ```text
//! 80 F0 80 state                card (issuer security domain)
//! 80 F0 40 state | AID          application or security domain: 80 lock, 00 unlock, or its own state
//! 80 F0 60 state | AID          security domain and its applications      9000, 6A80, 6A88, 6985
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::Aid;

use super::CLA_GP;
use crate::registry::CardState;

/// SET STATUS.
pub const INS_SET_STATUS: u8 = 0xF0;
/// P1: the card.
pub const P1_CARD: u8 = 0x80;
/// P1: an application or supplementary security domain.
pub const P1_APPLICATION: u8 = 0x40;
/// P1: a security domain with its applications.
pub const P1_DOMAIN_AND_APPLICATIONS: u8 = 0x60;
/// State byte that locks.
pub const LOCK: u8 = 0x80;
/// State byte that unlocks to the state before.
pub const UNLOCK: u8 = 0x00;

/// Moves the card to `state`. CARD_LOCKED goes back to SECURED; TERMINATED is final.
pub fn set_card(state: CardState) -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_SET_STATUS, P1_CARD, state.value())
}

/// Gives an application or security domain a state byte: [`LOCK`], [`UNLOCK`], or one of its own.
pub fn set_application(aid: &Aid, state: u8) -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_SET_STATUS, P1_APPLICATION, state).with_data(aid.as_bytes())
}

/// As [`set_application`], for a security domain with everything in it.
pub fn set_domain_and_applications(aid: &Aid, state: u8) -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_SET_STATUS, P1_DOMAIN_AND_APPLICATIONS, state).with_data(aid.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_set_as_the_established_clients_set_them() {
        let aid = Aid::literal([0xA0, 0, 0, 1, 0x51]);
        for (command, bytes) in [
            (set_card(CardState::Initialized), "80f08007"),
            (set_card(CardState::Secured), "80f0800f"),
            (set_card(CardState::CardLocked), "80f0807f"),
            (set_card(CardState::Terminated), "80f080ff"),
            (set_application(&aid, LOCK), "80f0408005a000000151"),
            (set_application(&aid, UNLOCK), "80f0400005a000000151"),
            (set_domain_and_applications(&aid, LOCK), "80f0608005a000000151"),
        ] {
            assert_eq!(hex::encode(command.to_bytes().unwrap()), bytes);
        }
    }
}
