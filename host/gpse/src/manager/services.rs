//! What applets get from the card manager: `GPSystem` and `SecureChannel` (GP Card API 1.x).

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::scp03::{SecurityLevel, INS_EXTERNAL_AUTHENTICATE, INS_INITIALIZE_UPDATE};
use jpkise_wire::StatusWord;

use super::core::ChannelState;
use super::{Core, Fault};
use crate::registry::{life_cycle, Privilege};
use crate::runtime::{Caller, GpServices};
use crate::secure_channel::{shows_secure_messaging, INS_BEGIN_R_MAC_SESSION, INS_END_R_MAC_SESSION};

/// Most historical bytes of an ATR (ISO/IEC 7816-3 section 8.2.4).
const MAX_HISTORICAL: usize = 15;

impl Core {
    /// The channel of a caller that is selected there, its session ended if it no longer rests on the right domain.
    fn session_of(&mut self, caller: Caller) -> Option<&mut ChannelState> {
        let associated = self.associated_domain(&caller.instance)?;
        let state = self.channel_mut(caller.channel);
        // While the domain hands STORE DATA on, the applet reaches the session that carries it.
        let personalized = state.storing.target == Some(caller.instance);
        state.selected.filter(|s| s.aid == caller.instance || personalized && s.aid == associated)?;
        // Extradition changes the domain; what was opened with the old one's keys is over.
        if state.key_set.is_some_and(|key_set| key_set.associated != associated) {
            state.secure.end();
            state.key_set = None;
        }
        Some(state)
    }

    fn has_privilege(&self, caller: Caller, privilege: Privilege) -> bool {
        self.registry.application(&caller.instance).is_some_and(|a| a.privileges.has(privilege))
    }
}

// Taken by value so that it serves as a function for map_err.
#[allow(clippy::needless_pass_by_value)]
fn to_status(fault: Fault) -> StatusWord {
    match fault {
        Fault::Status(sw) => sw,
        // No service calls a runtime.
        Fault::Failed(_) => StatusWord::UNKNOWN,
    }
}

impl GpServices for Core {
    fn process_security(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let command = CommandApdu::parse(command).map_err(|_| StatusWord::WRONG_LENGTH)?;
        self.session_of(caller).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        let answer = match (command.cla & !0x03, command.ins) {
            (0x80, INS_INITIALIZE_UPDATE) => self.initialize_update(caller.channel, &command),
            (0x84, INS_EXTERNAL_AUTHENTICATE) => self.external_authenticate(caller.channel, &command),
            (0x80 | 0x84, INS_BEGIN_R_MAC_SESSION | INS_END_R_MAC_SESSION) => {
                let secure = &mut self.channel_mut(caller.channel).secure;
                // The applet sends what it gets as it is: an R-MAC, where there is one, is in it.
                secure.unwrap(command).and_then(|plain| secure.change_r_mac(&plain)).map_err(Fault::from)
            }
            (_, INS_INITIALIZE_UPDATE | INS_EXTERNAL_AUTHENTICATE) => {
                Err(StatusWord::CLA_NOT_SUPPORTED.into())
            }
            _ => Err(StatusWord::INS_NOT_SUPPORTED.into()),
        };
        answer.map(|answer| answer.data).map_err(to_status)
    }

    fn unwrap(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let parsed = CommandApdu::parse(command).map_err(|_| StatusWord::WRONG_LENGTH)?;
        let state = self.session_of(caller).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        if state.secure.is_aborted() {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        // EXTERNAL AUTHENTICATE must follow INITIALIZE UPDATE directly.
        state.secure.forget_initialization();
        let has_c_mac = state.secure.level().is_some_and(SecurityLevel::has_c_mac);
        // Before the applet looked at the class; without a session there is nothing to check.
        if !has_c_mac || !shows_secure_messaging(parsed.cla) {
            return Ok(command.to_vec());
        }
        let plain = state.secure.unwrap(parsed)?.expecting_nothing();
        let bytes = plain.to_bytes().map_err(|_| StatusWord::WRONG_LENGTH)?;
        let mut out = bytes.to_vec();
        if out.len() == 4 {
            // The applet's buffer always has Lc at offset 4.
            out.push(0);
        }
        Ok(out)
    }

    fn wrap(&mut self, caller: Caller, answer: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let answer = ResponseApdu::parse(answer).map_err(|_| StatusWord::WRONG_LENGTH)?;
        let state = self.session_of(caller).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        if state.secure.is_aborted() {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        Ok(state.secure.wrap(answer).data)
    }

    fn decrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let state = self.session_of(caller).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        let mut plain = state.secure.decrypt_data(data).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        Ok(std::mem::take(&mut *plain))
    }

    fn encrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let state = self.session_of(caller).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        state.secure.encrypt_data(data).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)
    }

    fn security_level(&mut self, caller: Caller) -> u8 {
        self.session_of(caller).map_or(0, |state| state.secure.level_bits())
    }

    fn reset_security(&mut self, caller: Caller) {
        if let Some(state) = self.session_of(caller) {
            state.secure.end();
            state.key_set = None;
        }
    }

    fn card_content_state(&mut self, caller: Caller) -> u8 {
        // During install() the registry has no record yet; the object is INSTALLED as far as the applet is concerned.
        self.registry.application(&caller.instance).map_or(life_cycle::INSTALLED, |a| a.life_cycle)
    }

    fn set_card_content_state(&mut self, caller: Caller, state: u8) -> bool {
        self.set_own_applet_state(&caller.instance, state)
    }

    fn card_state(&mut self) -> u8 {
        self.registry.card_state()
    }

    fn set_atr_historical_bytes(&mut self, caller: Caller, bytes: &[u8]) -> bool {
        let allowed = bytes.len() <= MAX_HISTORICAL && self.has_privilege(caller, Privilege::CARD_RESET);
        allowed
            && self
                .change(|next| {
                    next.historical_bytes = Some(bytes.to_vec());
                    Ok(())
                })
                .is_ok()
    }

    fn lock_card(&mut self, caller: Caller) -> bool {
        self.has_privilege(caller, Privilege::CARD_LOCK)
            && self.set_card_state(&caller.instance, life_cycle::CARD_LOCKED).is_ok()
    }

    fn terminate_card(&mut self, caller: Caller) -> bool {
        self.has_privilege(caller, Privilege::CARD_TERMINATE)
            && self.set_card_state(&caller.instance, life_cycle::TERMINATED).is_ok()
    }
}
