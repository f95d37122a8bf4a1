//! What runs applets, and what applets ask of the card manager.
//!
//! The card manager owns SELECT by name, MANAGE CHANNEL, the registry, life cycles, keys and secure channels. A
//! [`Runtime`] owns packages, heap, contexts, the APDU object and transactions. Neither knows how the other works: the
//! manager hands over AIDs and APDU bytes, the applet comes back through [`GpServices`].
//!
//! What a runtime changes stays tentative until [`Runtime::settle`]: the manager first commits its registry, which is
//! the one truth about what exists, then tells the runtime. A power cut between the two is repaired at the next reset,
//! which settles too.

pub mod jcardsim;
pub mod jcvm;

use jpkise_card::TransportError;
use jpkise_wire::{Aid, StatusWord};

/// A logical channel, 0 to 3 (ISO/IEC 7816-4 section 5.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u8);

impl Channel {
    /// The basic channel.
    pub const BASIC: Self = Self(0);
    /// How many channels the card has.
    pub const COUNT: usize = 4;

    /// `None` from 4 on.
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its place in a table of [`Self::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How the terminal reaches the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Interface {
    /// Contacts, T=1.
    #[default]
    Contact,
    /// ISO/IEC 14443 type A.
    Contactless,
}

/// An applet as it calls the card manager: the channel it is selected on, and its instance AID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Channel of the command under way.
    pub channel: Channel,
    /// Instance AID.
    pub instance: Aid,
}

/// A package that the load file imports is not on the card, or not in a version that does. No specification gives it a
/// word of its own; this is the one of NXP's cards, which are the most common.
pub const SW_IMPORT_MISSING: StatusWord = StatusWord(0x6438);

/// A package as the card lists it: an Executable Load File and its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Load file AID.
    pub aid: Aid,
    /// Major and minor version.
    pub version: (u8, u8),
    /// Applet class AIDs.
    pub modules: Vec<Aid>,
}

/// What INSTALL \[for install\] asks for, parsed. The runtime builds the LV array for the applet's `install` from it.
#[derive(Debug, Clone, Copy)]
pub struct InstallRequest<'a> {
    /// Load file AID.
    pub package: Aid,
    /// Module AID.
    pub module: Aid,
    /// AID under which the instance must register.
    pub instance: Aid,
    /// Privileges as the applet gets to see them, three bytes.
    pub privileges: [u8; 3],
    /// Value of C9, perhaps empty.
    pub parameters: &'a [u8],
}

/// One command on its way into the selected applet.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// Channel it arrived on.
    pub channel: Channel,
    /// Interface of the session.
    pub interface: Interface,
    /// The command, checked for its lengths.
    pub apdu: &'a [u8],
    /// Whether it is the SELECT that has just selected the applet.
    pub selecting: bool,
}

/// What the manager's registry holds; everything else in the runtime is garbage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// Load files.
    pub packages: Vec<Aid>,
    /// Applet instances, without security domains.
    pub instances: Vec<Aid>,
}

/// Free memory, as GET DATA FF21 tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeMemory {
    /// Non-volatile bytes.
    pub persistent: u32,
    /// Volatile bytes.
    pub transient: u32,
}

/// Why a runtime did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The applet or the runtime refuses; the word goes to the terminal and nothing has changed.
    #[error("refused with {0}")]
    Refused(StatusWord),
    /// The runtime itself is gone; no APDU can be answered.
    #[error(transparent)]
    Failed(#[from] TransportError),
}

/// What runs applets. See the module text for who owns what.
///
/// Calls that run applet code take the services that code may ask for. All state of a runtime but its packages may be
/// lost when the value is dropped.
pub trait Runtime: Send {
    /// Short name: `jcardsim`, `jcvm`.
    fn name(&self) -> &'static str;

    /// Packages that are there without having been loaded ("in ROM").
    fn packages(&self) -> Vec<Package>;

    /// Links a load file data block (the CAP components in load order); refused with [`SW_IMPORT_MISSING`], 6985 for
    /// a package that is there, 6A84 or 6A80. Tentative until [`Self::settle`].
    fn load(&mut self, package: Aid, load_file: &[u8]) -> Result<Package, RuntimeError>;

    /// Removes a package; refused while another one imports it. Tentative until [`Self::settle`].
    fn unload(&mut self, package: Aid) -> Result<(), RuntimeError>;

    /// Runs the module's `install`, outside any transaction; succeeds only if it registered under the AID asked for.
    /// Tentative until [`Self::settle`].
    fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn GpServices,
    ) -> Result<(), RuntimeError>;

    /// Calls `select()` of the instance. `false` when the applet declines; then nothing is selected on the channel.
    fn select(
        &mut self,
        channel: Channel,
        instance: Aid,
        interface: Interface,
        services: &mut dyn GpServices,
    ) -> Result<bool, RuntimeError>;

    /// Calls `deselect()` of what is selected on the channel and clears its transient memory.
    fn deselect(&mut self, channel: Channel, services: &mut dyn GpServices) -> Result<(), RuntimeError>;

    /// Runs one command in the applet selected on the channel; the answer with its status word.
    fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError>;

    /// Whether the instance takes STORE DATA from its security domain (`org.globalplatform.Application` or
    /// `Personalization`).
    fn takes_personalization(&mut self, instance: Aid) -> Result<bool, RuntimeError>;

    /// Hands a STORE DATA command in clear to the instance's `processData`; its answer data.
    fn personalize(
        &mut self,
        channel: Channel,
        instance: Aid,
        store_data: &[u8],
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError>;

    /// Removes instances, all or none, calling `uninstall()` where an applet has it. Tentative until [`Self::settle`].
    fn delete(&mut self, instances: &[Aid], services: &mut dyn GpServices) -> Result<(), RuntimeError>;

    /// The registry now holds exactly this: the runtime makes it permanent and drops the rest.
    fn settle(&mut self, registered: &Registered) -> Result<(), RuntimeError>;

    /// Power off and on: nothing is selected, transient memory is cleared, open transactions are rolled back. The
    /// manager settles afterwards.
    fn reset(&mut self) -> Result<(), RuntimeError>;

    /// Free memory, if the runtime can tell.
    fn free_memory(&self) -> Option<FreeMemory> {
        None
    }
}

/// `org.globalplatform` as an applet sees it: `GPSystem` and its `SecureChannel`.
///
/// Whoever calls is named by channel and instance, so that an applet reaches only its own life cycle and the secure
/// channel of the security domain it is associated with at that moment. An `Err` is the status word of the
/// `ISOException` that the runtime throws in the applet.
pub trait GpServices {
    /// `SecureChannel.processSecurity`: the command as it stands in the APDU buffer; the answer's data.
    fn process_security(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord>;

    /// `SecureChannel.unwrap`: header, Lc and data; the command in clear in the same form. A command whose class shows
    /// no secure messaging comes back unchanged.
    fn unwrap(&mut self, caller: Caller, command: &[u8]) -> Result<Vec<u8>, StatusWord>;

    /// `SecureChannel.wrap`: answer data with its status word appended; the protected answer without it.
    fn wrap(&mut self, caller: Caller, answer: &[u8]) -> Result<Vec<u8>, StatusWord>;

    /// `SecureChannel.decryptData`: whole blocks under Key-DEK.
    fn decrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, StatusWord>;

    /// `SecureChannel.encryptData`: whole blocks under Key-DEK.
    fn encrypt_data(&mut self, caller: Caller, data: &[u8]) -> Result<Vec<u8>, StatusWord>;

    /// `SecureChannel.getSecurityLevel`: 80 AUTHENTICATED with the bits of the session's level, or 00.
    fn security_level(&mut self, caller: Caller) -> u8;

    /// `SecureChannel.resetSecurity`.
    fn reset_security(&mut self, caller: Caller);

    /// `GPSystem.getCardContentState`: the caller's own life cycle byte.
    fn card_content_state(&mut self, caller: Caller) -> u8;

    /// `GPSystem.setCardContentState`: application specific states from 0F on; 80 (bit 8) locks the caller itself.
    fn set_card_content_state(&mut self, caller: Caller, state: u8) -> bool;

    /// `GPSystem.getCardState`.
    fn card_state(&mut self) -> u8;

    /// `GPSystem.setATRHistBytes`: at most 15 bytes, by the application that is selected by default.
    fn set_atr_historical_bytes(&mut self, caller: Caller, bytes: &[u8]) -> bool;

    /// `GPSystem.lockCard`: needs the Card Lock privilege.
    fn lock_card(&mut self, caller: Caller) -> bool;

    /// `GPSystem.terminateCard`: needs the Card Terminate privilege.
    fn terminate_card(&mut self, caller: Caller) -> bool;

    // GPSystem.getCVM has no service: the card keeps no global PIN, so a runtime returns null.
}

/// A card that runs no applets: security domains only.
#[derive(Debug, Default)]
pub struct NoApplets;

impl Runtime for NoApplets {
    fn name(&self) -> &'static str {
        "none"
    }
    fn packages(&self) -> Vec<Package> {
        Vec::new()
    }
    fn load(&mut self, _: Aid, _: &[u8]) -> Result<Package, RuntimeError> {
        Err(RuntimeError::Refused(StatusWord::FUNCTION_NOT_SUPPORTED))
    }
    fn unload(&mut self, _: Aid) -> Result<(), RuntimeError> {
        Err(RuntimeError::Refused(StatusWord::REFERENCED_DATA_NOT_FOUND))
    }
    fn install(&mut self, _: &InstallRequest<'_>, _: &mut dyn GpServices) -> Result<(), RuntimeError> {
        Err(RuntimeError::Refused(StatusWord::REFERENCED_DATA_NOT_FOUND))
    }
    fn select(
        &mut self,
        _: Channel,
        _: Aid,
        _: Interface,
        _: &mut dyn GpServices,
    ) -> Result<bool, RuntimeError> {
        Ok(false)
    }
    fn deselect(&mut self, _: Channel, _: &mut dyn GpServices) -> Result<(), RuntimeError> {
        Ok(())
    }
    fn process(&mut self, _: &Process<'_>, _: &mut dyn GpServices) -> Result<Vec<u8>, RuntimeError> {
        Err(RuntimeError::Refused(StatusWord::APPLET_SELECT_FAILED))
    }
    fn takes_personalization(&mut self, _: Aid) -> Result<bool, RuntimeError> {
        Ok(false)
    }
    fn personalize(
        &mut self,
        _: Channel,
        _: Aid,
        _: &[u8],
        _: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        Err(RuntimeError::Refused(StatusWord::CONDITIONS_NOT_SATISFIED))
    }
    fn delete(&mut self, _: &[Aid], _: &mut dyn GpServices) -> Result<(), RuntimeError> {
        Ok(())
    }
    fn settle(&mut self, _: &Registered) -> Result<(), RuntimeError> {
        Ok(())
    }
    fn reset(&mut self) -> Result<(), RuntimeError> {
        Ok(())
    }
}
