//! The card manager: takes each command, decides whom it is for, and answers (GP Card Specification 2.3.1 section 11).
//!
//! [`GpSe`] joins the manager with a runtime. Everything that needs no applet code is a method of [`Core`], which is
//! also what applets see as [`GpServices`](crate::runtime::GpServices).

mod content;
mod core;
mod factory;
mod get_data;
mod get_status;
mod groupings;
mod install;
mod keys;
mod load;
mod load_file;
mod parameters;
mod pending;
mod select;
mod services;
mod session;
mod set_status;
mod store_data;

use jpkise_card::{CommandApdu, ResponseApdu, Transport, TransportError};
use jpkise_wire::StatusWord;

use crate::faults::{self, runtime::FaultyRuntime};
use crate::profile::{self, Profile};
use crate::registry::{life_cycle, Registry};
use crate::runtime::jcvm::Jcvm;
use crate::runtime::{Channel, FreeMemory, Interface, Process, Runtime, RuntimeError};
use crate::secure_channel::{shows_secure_messaging, INS_BEGIN_R_MAC_SESSION, INS_END_R_MAC_SESSION};
use crate::store::{Store, StoreError};

pub(crate) use self::core::Core;
use self::core::{Chain, SelectedKind};
use self::pending::Pending;

/// Instructions of the card manager (section 11, table 11-1).
pub(crate) mod ins {
    pub const MANAGE_CHANNEL: u8 = 0x70;
    pub const SELECT: u8 = 0xA4;
    pub const GET_RESPONSE: u8 = 0xC0;
    pub const GET_DATA: u8 = 0xCA;
    pub const PUT_KEY: u8 = 0xD8;
    pub const STORE_DATA: u8 = 0xE2;
    pub const DELETE: u8 = 0xE4;
    pub const INSTALL: u8 = 0xE6;
    pub const LOAD: u8 = 0xE8;
    pub const SET_STATUS: u8 = 0xF0;
    pub const GET_STATUS: u8 = 0xF2;
}

/// SELECT by DF name (ISO/IEC 7816-4 section 11.2.2).
const P1_SELECT_BY_NAME: u8 = 0x04;

/// Why a command gets no ordinary answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Refused with this word; nothing has changed.
    Status(StatusWord),
    /// The runtime is gone.
    Failed(TransportError),
}

impl From<StatusWord> for Fault {
    fn from(sw: StatusWord) -> Self {
        Self::Status(sw)
    }
}

impl From<RuntimeError> for Fault {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Refused(sw) => Self::Status(sw),
            RuntimeError::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::PowerLost) {
            return Self::Failed(TransportError::Removed);
        }
        tracing::error!(%error, "card memory");
        if matches!(error, StoreError::Full) {
            return Self::Status(StatusWord::NOT_ENOUGH_MEMORY);
        }
        Self::Status(StatusWord::MEMORY_FAILURE)
    }
}

/// An answer or why there is none.
pub(crate) type Answer = Result<ResponseApdu, Fault>;

/// 9000 with data, as a handler's last word.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn success(data: impl Into<Vec<u8>>) -> Answer {
    Ok(ResponseApdu::new(data, StatusWord::SUCCESS))
}

/// The simulated GP-SE: a card manager over a runtime, reached as a [`Transport`].
pub struct GpSe {
    core: Core,
    runtime: Box<dyn Runtime>,
    atr: Vec<u8>,
    name: String,
}

impl GpSe {
    /// A new card after `profile`, or the one that `store` remembers, powered on.
    ///
    /// The runtime's packages become load files in ROM.
    pub fn new(
        profile: Profile,
        store: Box<dyn Store>,
        runtime: Box<dyn Runtime>,
    ) -> Result<Self, TransportError> {
        let is_new = store.records().map_err(unusable)?.is_empty();
        let runtime = FaultyRuntime::wrap(runtime, profile.faults);
        let core = Core::open(profile, store, &runtime.packages()).map_err(unusable)?;
        let name = format!("simulated GP-SE ({})", runtime.name());
        let mut card = Self { core, runtime, atr: Vec::new(), name };
        card.power_on()?;
        if is_new {
            card.preinstall()?;
            card.power_on()?;
        }
        Ok(card)
    }

    /// A new card whose memory ends with the process.
    pub fn in_memory(profile: Profile, runtime: Box<dyn Runtime>) -> Result<Self, TransportError> {
        Self::new(profile, Box::<crate::store::MemoryStore>::default(), runtime)
    }

    /// A card whose manager and applets live in one memory: a new one, or the one that was restored. The profile's
    /// faults begin now, those of the virtual machine too.
    pub fn on_jcvm(profile: Profile, runtime: Jcvm) -> Result<Self, TransportError> {
        let runtime = runtime.with_faults(profile.faults);
        Self::new(profile, runtime.store(), Box::new(runtime))
    }

    /// From now on commands arrive through this interface.
    pub fn set_interface(&mut self, interface: Interface) {
        self.core.interface = interface;
    }

    /// What the card manager remembers.
    pub fn registry(&self) -> &Registry {
        &self.core.registry
    }

    /// The runtime's short name.
    pub fn runtime_name(&self) -> &'static str {
        self.runtime.name()
    }

    fn power_on(&mut self) -> Result<(), TransportError> {
        let started = self.runtime.reset();
        // What is stored decides, not what was remembered: power may have failed in the middle of a commit.
        self.core.reset().map_err(unusable)?;
        let started = started.and_then(|()| self.runtime.settle(&self.core.registered()));
        match started {
            Err(RuntimeError::Failed(error)) => return Err(error),
            Err(RuntimeError::Refused(sw)) => tracing::error!(%sw, "runtime refused the reset"),
            Ok(()) => {}
        }
        let profile = &self.core.profile;
        self.atr = match self.core.interface {
            Interface::Contactless => profile::contactless_atr(&profile.contactless.historical_bytes),
            Interface::Contact => {
                let changed = self.core.registry.historical_bytes.as_ref();
                profile::atr(changed.unwrap_or(&profile.historical_bytes))
            }
        };
        match self.select_by_default(Channel::BASIC) {
            Err(Fault::Failed(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn answer(&mut self, bytes: &[u8]) -> Result<ResponseApdu, TransportError> {
        match self.dispatch(bytes) {
            Ok(answer) => Ok(answer),
            Err(Fault::Status(sw)) => Ok(sw.into()),
            Err(Fault::Failed(error)) => Err(error),
        }
    }

    fn dispatch(&mut self, bytes: &[u8]) -> Answer {
        let command = CommandApdu::parse(bytes).map_err(|_| StatusWord::WRONG_LENGTH)?;
        if let Some(answer) = self.core.reader_command(&command) {
            return answer;
        }
        if command.is_extended() && !self.core.profile.extended_length {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        // FF is no class (ISO/IEC 7816-4 section 5.4.1); 20 to 3F are reserved.
        if command.cla == 0xFF || command.cla & 0xE0 == 0x20 {
            return Err(StatusWord::CLA_NOT_SUPPORTED.into());
        }
        let channel = channel_of(command.cla).filter(|channel| self.core.channel(*channel).is_open);
        let channel = channel.ok_or(StatusWord::CHANNEL_NOT_SUPPORTED)?;
        if self.core.registry.card_state() == life_cycle::TERMINATED {
            let free_memory = self.free_memory();
            return self.core.terminated_command(channel, &command, free_memory);
        }
        if command.cla & 0xFC == 0 && command.ins == ins::GET_RESPONSE {
            if let Some(answer) = self.core.channel_mut(channel).pending.next_piece(&command) {
                return Ok(answer);
            }
        }
        self.core.channel_mut(channel).pending = Pending::default();
        // Inter-industry classes without and with the bits of secure messaging (0C) and chaining (10).
        if command.cla & 0xE0 == 0 {
            let is_select = command.ins == ins::SELECT && command.p1 == P1_SELECT_BY_NAME;
            match (is_select, command.cla & 0x1C) {
                (true, 0) => return self.select_by_name(channel, &command, bytes),
                (true, 0x10) => return Err(StatusWord::CHAINING_NOT_SUPPORTED.into()),
                (true, _) => return Err(StatusWord::SECURE_MESSAGING_NOT_SUPPORTED.into()),
                (false, 0) if command.ins == ins::MANAGE_CHANNEL => {
                    return self.manage_channel(channel, &command);
                }
                _ => {}
            }
        }
        match self.core.channel(channel).selected.map(|selected| selected.kind) {
            None => Err(StatusWord::APPLET_SELECT_FAILED.into()),
            Some(SelectedKind::Domain) => self.domain_command(channel, command),
            Some(SelectedKind::Applet) => self.applet_command(channel, bytes),
        }
    }

    fn applet_command(&mut self, channel: Channel, bytes: &[u8]) -> Answer {
        if self.core.registry.card_state() == life_cycle::CARD_LOCKED {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        self.process(channel, bytes, false)
    }

    fn process(&mut self, channel: Channel, apdu: &[u8], selecting: bool) -> Answer {
        let process = Process { channel, interface: self.core.interface, apdu, selecting };
        let answer = self.runtime.process(&process, &mut self.core)?;
        ResponseApdu::parse(&answer).map_err(|_| Fault::Failed(TransportError::Malformed(answer.len())))
    }

    /// A command to the security domain selected on the channel.
    fn domain_command(&mut self, channel: Channel, command: CommandApdu) -> Answer {
        use jpkise_wire::scp03::{INS_EXTERNAL_AUTHENTICATE, INS_INITIALIZE_UPDATE};
        // 80 and 00, each in clear or with GlobalPlatform secure messaging (table 11-12).
        if !matches!(command.cla & !0x03, 0x00 | 0x04 | 0x80 | 0x84) {
            return Err(StatusWord::CLA_NOT_SUPPORTED.into());
        }
        let state = self.core.channel_mut(channel);
        if command.ins != ins::GET_STATUS {
            state.listing = None;
        }
        let ends_combined = (command.ins, command.p1 & 0x7F, command.p2)
            == (ins::INSTALL, install::P1_COMBINED, install::P2_END);
        if command.ins != ins::LOAD && !ends_combined {
            state.loading = None;
        }
        match (command.cla & !0x03, command.ins) {
            (0x80, INS_INITIALIZE_UPDATE) => return self.core.initialize_update(channel, &command),
            (0x84, INS_EXTERNAL_AUTHENTICATE) if state.secure.level().is_none() => {
                return self.core.external_authenticate(channel, &command);
            }
            _ => state.secure.forget_initialization(),
        }
        let Some(command) = self.core.reassemble(channel, command)? else {
            return Ok(StatusWord::SUCCESS.into());
        };
        let is_extended = command.is_extended();
        let plain = self.core.unwrap_for_domain(channel, command)?;
        if matches!((plain.cla & !0x03, plain.ins), (0x80, INS_BEGIN_R_MAC_SESSION | INS_END_R_MAC_SESSION)) {
            return Ok(self.core.channel_mut(channel).secure.change_r_mac(&plain)?);
        }
        let answer = match self.route(channel, &plain) {
            Ok(answer) => answer,
            Err(Fault::Status(sw)) => sw.into(),
            Err(failed @ Fault::Failed(_)) => return Err(failed),
        };
        let state = self.core.channel_mut(channel);
        let answer = state.secure.wrap(answer);
        Ok(state.pending.keep_what_is_too_long(answer, is_extended))
    }

    fn route(&mut self, channel: Channel, command: &CommandApdu) -> Answer {
        let is_gp = command.cla & !0x03 == 0x80;
        match command.ins {
            ins::GET_DATA => {
                let free_memory = self.free_memory();
                return self.core.get_data(channel, command, free_memory);
            }
            ins::PUT_KEY
            | ins::STORE_DATA
            | ins::DELETE
            | ins::INSTALL
            | ins::LOAD
            | ins::SET_STATUS
            | ins::GET_STATUS => {
                if !is_gp {
                    return Err(StatusWord::CLA_NOT_SUPPORTED.into());
                }
            }
            _ if self.core.has_fault(faults::Fault::UnknownInstructionAccepted) => return success([]),
            _ => return Err(StatusWord::INS_NOT_SUPPORTED.into()),
        }
        let open_to_all =
            command.ins == ins::GET_STATUS && self.core.has_fault(faults::Fault::StatusWithoutSession);
        let actor = match self.core.channel(channel).selected {
            Some(selected) if open_to_all => selected.aid,
            _ => self.core.authenticated(channel)?,
        };
        if command.ins == ins::GET_STATUS {
            return self.core.get_status(channel, actor, command);
        }
        if command.ins == ins::SET_STATUS {
            return self.set_status(channel, actor, command);
        }
        if self.core.registry.card_state() == life_cycle::CARD_LOCKED {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        match command.ins {
            ins::PUT_KEY => self.core.put_key(channel, actor, command),
            ins::STORE_DATA => self.store_data(channel, actor, command),
            ins::DELETE => self.delete(actor, command),
            ins::LOAD => self.load(channel, &actor, command),
            _ => self.install(channel, actor, command),
        }
    }
}

fn unusable(error: StoreError) -> TransportError {
    TransportError::Io(std::io::Error::other(error))
}

impl Core {
    /// What a contactless reader answers itself (PC/SC part 3 section 3.2.2.1.3): FF CA 00 00 the UID, FF CA 01 00 the
    /// historical bytes of the ATS.
    fn reader_command(&self, command: &CommandApdu) -> Option<Answer> {
        if self.interface != Interface::Contactless || (command.cla, command.ins) != (0xFF, ins::GET_DATA) {
            return None;
        }
        let contactless = &self.profile.contactless;
        Some(match (command.p1, command.p2) {
            (0, 0) => success(contactless.uid.clone()),
            (1, 0) => success(contactless.historical_bytes.clone()),
            _ => Err(StatusWord::FUNCTION_NOT_SUPPORTED.into()),
        })
    }

    /// In TERMINATED the card answers GET DATA and nothing else (section 5.1.1.5).
    fn terminated_command(&mut self, channel: Channel, command: &CommandApdu, free: FreeMemory) -> Answer {
        if command.ins == ins::GET_DATA && command.cla & 0x7C == 0 {
            return self.get_data_of_issuer(channel, command, free);
        }
        Err(StatusWord::CONDITIONS_NOT_SATISFIED.into())
    }

    /// Puts a command chained by P1.b8 together (section 11.1.5): `None` while more segments are to come.
    ///
    /// Security covers the whole command, so segments are gathered before anything is checked.
    fn reassemble(&mut self, channel: Channel, command: CommandApdu) -> Result<Option<CommandApdu>, Fault> {
        let limit = self.profile.chaining_buffer;
        let state = self.channel_mut(channel);
        let begun = state.chain.take();
        if !matches!(command.ins, ins::DELETE | ins::INSTALL | ins::PUT_KEY) || command.cla & 0x80 == 0 {
            return Ok(Some(command));
        }
        let header = [command.cla, command.ins, command.p1 & 0x7F, command.p2];
        let more = command.p1 & 0x80 != 0;
        let gathered = match begun.filter(|chain| chain.header == header) {
            None if !more => return Ok(Some(command)),
            None => Vec::new(),
            Some(mut chain) => std::mem::take(&mut chain.data),
        };
        // Whoever has no session has nothing to say here; refused before memory is used up.
        let allowed = state
            .secure
            .level()
            .is_some_and(|level| !level.has_c_mac() || shows_secure_messaging(command.cla));
        if !allowed {
            state.secure.abort();
            return Err(StatusWord::SECURITY_NOT_SATISFIED.into());
        }
        let mut data = gathered;
        data.extend_from_slice(command.data());
        if data.len() > limit {
            state.secure.abort();
            return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
        }
        if more {
            state.chain = Some(Chain { header, data });
            return Ok(None);
        }
        Ok(Some(command.with_data(data)))
    }
}

impl Transport for GpSe {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.answer(command).map(|answer| answer.to_bytes())
    }

    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        self.power_on()?;
        Ok(self.atr.clone())
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> jpkise_card::Capabilities {
        jpkise_card::Capabilities {
            extended_length: self.core.profile.extended_length,
            t0: false,
            contactless: self.core.interface == Interface::Contactless,
        }
    }
}

/// The logical channel of a class byte; `None` for 4 to 19.
fn channel_of(cla: u8) -> Option<Channel> {
    if cla & 0x40 == 0 {
        Channel::new(cla & 0x03)
    } else {
        None
    }
}
