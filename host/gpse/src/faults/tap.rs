//! Between an applet and its secure channel: sees commands and answers in clear, and may change them.

use jpkise_wire::StatusWord;

use crate::runtime::{Caller, GpServices};
use crate::secure_channel::AUTHENTICATED;

/// Changes bytes in clear.
type Change<'p> = &'p mut dyn FnMut(&mut Vec<u8>);
/// Looks at bytes in clear.
type Look<'p> = &'p mut dyn FnMut(&[u8]);

/// What to do with the secured command under way.
#[derive(Default)]
pub(super) struct Plan<'p> {
    /// The command as the terminal sent it, without Le, when another one was handed to the applet in its place.
    pub original: Option<Vec<u8>>,
    /// Changes the command in clear: header, Lc, data.
    pub command: Option<Change<'p>>,
    /// Changes the answer in clear: data, status word.
    pub answer: Option<Change<'p>>,
    /// Sees what `decryptData` gives out.
    pub secret: Option<Look<'p>>,
    /// Level bits told in addition while a session is open.
    pub level: u8,
    /// Tells that a session is open when none is.
    pub always_open: bool,
}

/// The services with a plan between.
pub(super) struct Tap<'a, 'p> {
    pub inner: &'a mut dyn GpServices,
    pub plan: Plan<'p>,
}

impl GpServices for Tap<'_, '_> {
    fn process_security(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord> {
        self.inner.process_security(caller, command)
    }

    fn unwrap(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let original = self.plan.original.take();
        let mut plain = self.inner.unwrap(caller, original.as_deref().unwrap_or(command))?;
        if let Some(change) = &mut self.plan.command {
            change(&mut plain);
        }
        Ok(plain)
    }

    fn wrap(&mut self, caller: Caller, answer: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let mut answer = answer.to_vec();
        if let Some(change) = &mut self.plan.answer {
            change(&mut answer);
        }
        self.inner.wrap(caller, &answer)
    }

    fn decrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let plain = self.inner.decrypt_data(caller, data)?;
        if let Some(see) = &mut self.plan.secret {
            see(&plain);
        }
        Ok(plain)
    }

    fn encrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        self.inner.encrypt_data(caller, data)
    }

    fn security_level(&mut self, caller: Caller) -> u8 {
        match self.inner.security_level(caller) {
            level if level & AUTHENTICATED != 0 => level | self.plan.level,
            _ if self.plan.always_open => AUTHENTICATED | self.plan.level,
            level => level,
        }
    }

    fn reset_security(&mut self, caller: Caller) {
        self.inner.reset_security(caller);
    }

    fn card_content_state(&mut self, caller: Caller) -> u8 {
        self.inner.card_content_state(caller)
    }

    fn set_card_content_state(&mut self, caller: Caller, state: u8) -> bool {
        self.inner.set_card_content_state(caller, state)
    }

    fn card_state(&mut self) -> u8 {
        self.inner.card_state()
    }

    fn set_atr_historical_bytes(&mut self, caller: Caller, bytes: &[u8]) -> bool {
        self.inner.set_atr_historical_bytes(caller, bytes)
    }

    fn lock_card(&mut self, caller: Caller) -> bool {
        self.inner.lock_card(caller)
    }

    fn terminate_card(&mut self, caller: Caller) -> bool {
        self.inner.terminate_card(caller)
    }
}
