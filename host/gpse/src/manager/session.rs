//! INITIALIZE UPDATE, EXTERNAL AUTHENTICATE and secure messaging on a security domain's own commands
//! (Amendment D sections 7.1.1, 7.1.2 and 6.2).
//!
//! ```text
//! 80 50 KVN 00  Lc 08|10  host challenge                     Le 00 -> diversification data 10, KVN 03 i, challenge,
//!                                                                     cryptogram [, sequence counter 3]
//! 84 82 level 00  Lc 10|20  host cryptogram, C-MAC                 -> 9000
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::scp03::{card_challenge, Challenge, IParameter, SecurityLevel, SequenceCounter, StaticKeys};
use jpkise_wire::{Aid, StatusWord};

use super::core::SessionKeySet;
use super::{success, Answer, Core, Fault};
use crate::faults;
use crate::profile::AfterTries;
use crate::registry::KeyVersion;
use crate::runtime::Channel;
use crate::secure_channel::{shows_secure_messaging, Opening};

/// The keys of a session to be opened.
struct Chosen {
    key_set: SessionKeySet,
    version: KeyVersion,
    keys: StaticKeys,
    i: IParameter,
}

impl Core {
    /// INITIALIZE UPDATE to whatever is selected on the channel, a domain or an applet through its domain.
    pub fn initialize_update(&mut self, channel: Channel, command: &CommandApdu) -> Answer {
        let state = self.channel_mut(channel);
        state.secure.end();
        state.key_set = None;
        state.chain = None;
        state.storing = super::core::Storing::default();
        let selected = state.selected.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        if command.p2 != 0 || command.p1 & 0x80 != 0 && command.p1 != 0xFF {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let Chosen { key_set, version, keys, i } = self.choose_keys(&selected.aid, command.p1)?;
        let host = Challenge::new(command.data()).filter(|host| host.mode() == i.s_mode());
        let host = host.ok_or(StatusWord::WRONG_LENGTH)?;
        if self.is_blocked(version.failures) {
            return Err(StatusWord::METHOD_BLOCKED.into());
        }
        if let AfterTries::Delay(pause) = self.profile.after_tries {
            if self.tries_are_used_up(version.failures) {
                std::thread::sleep(pause);
            }
        }
        let mut counter = version.counter;
        let replayed = self.replayed_challenge();
        let challenge = if i.is_pseudo_random() {
            counter = counter.next().ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
            if !self.has_fault(faults::Fault::SequenceCounterFrozen) {
                self.set_counter(&key_set, counter)?;
            }
            card_challenge(&keys.enc, counter, &selected.aid, i.s_mode())
        } else {
            let mut bytes = [0; 16];
            self.random_bytes(&mut bytes)?;
            Challenge::new(&bytes[..i.s_mode().bytes()]).ok_or(StatusWord::NO_DIAGNOSIS)?
        };
        let opening = Opening {
            kvn: key_set.kvn,
            keys: &keys,
            i,
            diversification: self.profile.diversification,
            card_challenge: replayed.unwrap_or_else(|| self.perhaps_repeated(challenge)),
            counter,
            least_level: self.profile.minimum_level,
            faults: self.profile.faults,
        };
        let state = self.channel_mut(channel);
        state.key_set = Some(key_set);
        success(state.secure.initialize(&opening, &host))
    }

    /// The key set that INITIALIZE UPDATE to the application names by its version, 00 for the default one.
    fn choose_keys(&self, application: &Aid, kvn: u8) -> Result<Chosen, StatusWord> {
        let unknown = StatusWord::REFERENCED_DATA_NOT_FOUND;
        let associated = self.associated_domain(application).ok_or(unknown)?;
        let owner = self.registry.key_domain(application).ok_or(unknown)?;
        let domain = self.registry.domain(&owner).ok_or(unknown)?;
        let (version, keys) = domain.key_set(kvn).ok_or(unknown)?;
        let key_set = SessionKeySet { associated, owner, kvn: version.kvn };
        Ok(Chosen { key_set, version: version.clone(), keys, i: domain.i })
    }

    fn is_blocked(&self, failures: u8) -> bool {
        self.profile.after_tries == AfterTries::Block && self.tries_are_used_up(failures)
    }

    fn tries_are_used_up(&self, failures: u8) -> bool {
        let never = self.has_fault(faults::Fault::AuthenticationNeverBlocks);
        !never && self.profile.authentication_tries.is_some_and(|limit| failures >= limit)
    }

    /// The domain that serves an application: itself if it is one.
    pub fn associated_domain(&self, application: &Aid) -> Option<Aid> {
        let application = self.registry.application(application)?;
        Some(if application.as_domain().is_some() { application.aid } else { application.domain })
    }

    /// EXTERNAL AUTHENTICATE. A try is counted before it is judged, so that pulling the power does not give it back.
    pub fn external_authenticate(&mut self, channel: Channel, command: &CommandApdu) -> Answer {
        let state = self.channel_mut(channel);
        let key_set = state.key_set.filter(|_| state.secure.is_initialized());
        let Some(key_set) = key_set else {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        };
        let before = self.failures(&key_set);
        // INITIALIZE UPDATE may have been answered on several channels while a try was left.
        if self.is_blocked(before) {
            self.channel_mut(channel).secure.end();
            return Err(StatusWord::METHOD_BLOCKED.into());
        }
        self.set_failures(&key_set, before.saturating_add(1))?;
        let after_success = if self.has_fault(faults::Fault::TriesNotGivenBack) { before } else { 0 };
        let uncounted = self.has_fault(faults::Fault::WrongCryptogramUncounted);
        let result = self.channel_mut(channel).secure.external_authenticate(command);
        match result {
            Ok(()) => match self.set_failures(&key_set, after_success) {
                Ok(()) => Ok(StatusWord::SUCCESS.into()),
                Err(fault) => {
                    self.channel_mut(channel).secure.end();
                    Err(fault)
                }
            },
            Err(error) => {
                self.channel_mut(channel).key_set = None;
                if uncounted || !error.is_attempt() {
                    self.set_failures(&key_set, before)?;
                }
                Err(error.status_word().into())
            }
        }
    }

    fn set_counter(&mut self, key_set: &SessionKeySet, counter: SequenceCounter) -> Result<(), Fault> {
        self.change(|registry| {
            let version = registry.domain_mut(&key_set.owner).and_then(|d| d.version_mut(key_set.kvn));
            version.ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?.counter = counter;
            Ok(())
        })
    }

    fn failures(&self, key_set: &SessionKeySet) -> u8 {
        let versions = self.registry.domain(&key_set.owner).map(|domain| &domain.key_versions);
        versions.and_then(|all| all.iter().find(|v| v.kvn == key_set.kvn)).map_or(0, |v| v.failures)
    }

    fn set_failures(&mut self, key_set: &SessionKeySet, failures: u8) -> Result<(), Fault> {
        self.change(|registry| {
            let version = registry.domain_mut(&key_set.owner).and_then(|d| d.version_mut(key_set.kvn));
            if let Some(version) = version {
                version.failures = failures;
            }
            Ok(())
        })
    }

    /// Secure messaging on a command to a domain. Every command is looked at, whatever its class says: one in clear
    /// inside a session with C-MAC is a security error (section 5.5).
    pub fn unwrap_for_domain(
        &mut self,
        channel: Channel,
        command: CommandApdu,
    ) -> Result<CommandApdu, Fault> {
        let secure = &mut self.channel_mut(channel).secure;
        let has_c_mac = secure.level().is_some_and(SecurityLevel::has_c_mac);
        if !has_c_mac && !secure.is_aborted() && shows_secure_messaging(command.cla) {
            return Err(StatusWord::SECURITY_NOT_SATISFIED.into());
        }
        Ok(secure.unwrap(command)?)
    }
}
