//! What applets ask of the card manager: `org.globalplatform` behind a trait.

use jpkise_cap::Aid;

use crate::store::{NamedRegions, StoreError};

/// An applet as it calls the card manager: the channel it is selected on, and its instance AID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Logical channel of the command under way.
    pub channel: u8,
    /// Instance AID.
    pub instance: Aid,
}

/// `GPSystem` and `SecureChannel` (GlobalPlatform Card API) as seen from below. An `Err` is the status word of the
/// `ISOException` thrown in the applet.
pub trait PlatformServices {
    /// `SecureChannel.processSecurity`: the command as it stands in the APDU buffer; the answer's data.
    fn process_security(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, u16>;

    /// `SecureChannel.unwrap`: header, Lc and data; the command in clear in the same form.
    fn unwrap(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, u16>;

    /// `SecureChannel.wrap`: answer data with its status word appended; the protected answer without it.
    fn wrap(&mut self, caller: Caller, answer: &[u8]) -> Result<Vec<u8>, u16>;

    /// `SecureChannel.decryptData`.
    fn decrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, u16>;

    /// `SecureChannel.encryptData`.
    fn encrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, u16>;

    /// `SecureChannel.getSecurityLevel`.
    fn security_level(&mut self, caller: Caller) -> u8;

    /// `SecureChannel.resetSecurity`.
    fn reset_security(&mut self, caller: Caller);

    /// `GPSystem.getCardContentState`: the caller's own life cycle byte.
    fn card_content_state(&mut self, caller: Caller) -> u8;

    /// `GPSystem.setCardContentState`.
    fn set_card_content_state(&mut self, caller: Caller, state: u8) -> bool;

    /// `GPSystem.getCardState`.
    fn card_state(&mut self) -> u8;

    /// `GPSystem.setATRHistBytes`: at most 15 bytes.
    fn set_atr_historical_bytes(&mut self, caller: Caller, bytes: &[u8]) -> bool;

    /// `GPSystem.lockCard`.
    fn lock_card(&mut self, caller: Caller) -> bool;

    /// `GPSystem.terminateCard`.
    fn terminate_card(&mut self, caller: Caller) -> bool;

    /// Follows every call that may have changed what the card manager remembers, before the applet goes on: the place
    /// to write it into a region of the card's own memory, which is out of the manager's reach while an applet runs.
    fn persist(&mut self, _regions: &mut dyn NamedRegions) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A card without a card manager: no secure channel, every applet selectable. For running CAPs straight on the
/// runtime.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoServices;

/// Conditions of use not satisfied (ISO/IEC 7816-4).
const CONDITIONS: u16 = 0x6985;
/// GPSystem.APPLICATION_SELECTABLE
const SELECTABLE: u8 = 0x07;
/// GPSystem.CARD_OP_READY
const OP_READY: u8 = 0x01;

impl PlatformServices for NoServices {
    fn process_security(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, u16> {
        Err(CONDITIONS)
    }
    fn unwrap(&mut self, _: Caller, command: &[u8]) -> Result<Vec<u8>, u16> {
        Ok(command.to_vec())
    }
    fn wrap(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, u16> {
        Err(CONDITIONS)
    }
    fn decrypt_data(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, u16> {
        Err(CONDITIONS)
    }
    fn encrypt_data(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, u16> {
        Err(CONDITIONS)
    }
    fn security_level(&mut self, _: Caller) -> u8 {
        0
    }
    fn reset_security(&mut self, _: Caller) {}
    fn card_content_state(&mut self, _: Caller) -> u8 {
        SELECTABLE
    }
    fn set_card_content_state(&mut self, _: Caller, _: u8) -> bool {
        false
    }
    fn card_state(&mut self) -> u8 {
        OP_READY
    }
    fn set_atr_historical_bytes(&mut self, _: Caller, _: &[u8]) -> bool {
        false
    }
    fn lock_card(&mut self, _: Caller) -> bool {
        false
    }
    fn terminate_card(&mut self, _: Caller) -> bool {
        false
    }
}
