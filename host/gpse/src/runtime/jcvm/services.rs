//! The virtual machine's calls of the card manager, on their way up.

use jpkise_jcvm::store::{NamedRegions, StoreError};
use jpkise_jcvm::PlatformServices;
use jpkise_wire::StatusWord;

use super::{outward, Memory};
use crate::runtime::{Caller, Channel, GpServices};

pub(super) struct Bridge<'a> {
    services: &'a mut dyn GpServices,
    memory: &'a Memory,
}

impl<'a> Bridge<'a> {
    pub(super) fn new(services: &'a mut dyn GpServices, memory: &'a Memory) -> Self {
        Self { services, memory }
    }

    fn bytes(
        &mut self,
        caller: jpkise_jcvm::Caller,
        service: impl FnOnce(&mut dyn GpServices, Caller) -> Result<Vec<u8>, StatusWord>,
    ) -> Result<Vec<u8>, u16> {
        let caller = known(caller).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED.0)?;
        service(self.services, caller).map_err(|sw| sw.0)
    }
}

/// `None` for a channel or AID that no caller has.
fn known(caller: jpkise_jcvm::Caller) -> Option<Caller> {
    Some(Caller { channel: Channel::new(caller.channel)?, instance: outward(&caller.instance)? })
}

impl PlatformServices for Bridge<'_> {
    fn process_security(&mut self, caller: jpkise_jcvm::Caller, command: &[u8]) -> Result<Vec<u8>, u16> {
        self.bytes(caller, |services, caller| services.process_security(caller, command))
    }

    fn unwrap(&mut self, caller: jpkise_jcvm::Caller, command: &[u8]) -> Result<Vec<u8>, u16> {
        self.bytes(caller, |services, caller| services.unwrap(caller, command))
    }

    fn wrap(&mut self, caller: jpkise_jcvm::Caller, answer: &[u8]) -> Result<Vec<u8>, u16> {
        self.bytes(caller, |services, caller| services.wrap(caller, answer))
    }

    fn decrypt_data(&mut self, caller: jpkise_jcvm::Caller, data: &[u8]) -> Result<Vec<u8>, u16> {
        self.bytes(caller, |services, caller| services.decrypt_data(caller, data))
    }

    fn encrypt_data(&mut self, caller: jpkise_jcvm::Caller, data: &[u8]) -> Result<Vec<u8>, u16> {
        self.bytes(caller, |services, caller| services.encrypt_data(caller, data))
    }

    fn security_level(&mut self, caller: jpkise_jcvm::Caller) -> u8 {
        known(caller).map_or(0, |caller| self.services.security_level(caller))
    }

    fn reset_security(&mut self, caller: jpkise_jcvm::Caller) {
        if let Some(caller) = known(caller) {
            self.services.reset_security(caller);
        }
    }

    fn card_content_state(&mut self, caller: jpkise_jcvm::Caller) -> u8 {
        known(caller).map_or(0, |caller| self.services.card_content_state(caller))
    }

    fn set_card_content_state(&mut self, caller: jpkise_jcvm::Caller, state: u8) -> bool {
        known(caller).is_some_and(|caller| self.services.set_card_content_state(caller, state))
    }

    fn card_state(&mut self) -> u8 {
        self.services.card_state()
    }

    fn set_atr_historical_bytes(&mut self, caller: jpkise_jcvm::Caller, bytes: &[u8]) -> bool {
        known(caller).is_some_and(|caller| self.services.set_atr_historical_bytes(caller, bytes))
    }

    fn lock_card(&mut self, caller: jpkise_jcvm::Caller) -> bool {
        known(caller).is_some_and(|caller| self.services.lock_card(caller))
    }

    fn terminate_card(&mut self, caller: jpkise_jcvm::Caller) -> bool {
        known(caller).is_some_and(|caller| self.services.terminate_card(caller))
    }

    fn persist(&mut self, regions: &mut dyn NamedRegions) -> Result<(), StoreError> {
        self.memory.write_waiting(regions)
    }
}
