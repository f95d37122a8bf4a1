//! A card as the card manager sees it: packages, instances, channels, commands.

mod channel;
mod content;
mod report;

pub use report::{HeapChange, HeapEntry, HeapKind, HeapOwner, HeapReport};

use std::path::Path;
use std::sync::Arc;

use jpkise_cap::{Aid, CapError, PackageVersion};

use crate::apdu::ApduState;
use crate::bits::UnsignedBits;
use crate::class::{ClassId, Package};
use crate::crypto::{default_crypto, CryptoProvider, Random};
use crate::heap::{AllocError, Owner, Ref};
use crate::link::LinkError;
use crate::profile::Profile;
use crate::services::PlatformServices;
use crate::state::{AppletRecord, OpenError, State, CHANNELS};
use crate::store::{NamedRegions, SnapshotError, Store, StoreError};
use crate::trace::Tracer;
use crate::vm::{Exception, Fault, Outcome, Trap, Vm};

/// Status words the runtime itself gives (ISO7816 of the API).
mod sw {
    pub(super) const OK: u16 = 0x9000;
    pub(super) const UNKNOWN: u16 = 0x6F00;
    pub(super) const WRONG_LENGTH: u16 = 0x6700;
    pub(super) const CONDITIONS: u16 = 0x6985;
    pub(super) const APPLET_SELECT_FAILED: u16 = 0x6999;
    pub(super) const WRONG_DATA: u16 = 0x6A80;
    pub(super) const NOT_ENOUGH_MEMORY: u16 = 0x6A84;
    pub(super) const REFERENCED_DATA_NOT_FOUND: u16 = 0x6A88;
}

/// A package as the card lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSummary {
    /// Package AID.
    pub aid: Aid,
    /// Package version.
    pub version: PackageVersion,
    /// Applet class AIDs.
    pub modules: Vec<Aid>,
}

/// What INSTALL \[for install\] asks for.
#[derive(Debug, Clone, Copy)]
pub struct InstallRequest<'a> {
    /// Load file AID.
    pub package: Aid,
    /// Module AID.
    pub module: Aid,
    /// AID under which the instance must register.
    pub instance: Aid,
    /// Privileges as the applet gets to see them.
    pub privileges: &'a [u8],
    /// Value of C9, perhaps empty.
    pub parameters: &'a [u8],
}

/// One command on its way into the selected applet.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// Logical channel, 0 to 3.
    pub channel: u8,
    /// Whether it came over the contactless interface.
    pub contactless: bool,
    /// The command.
    pub apdu: &'a [u8],
    /// Whether it is the SELECT that has just selected the applet.
    pub selecting: bool,
}

/// Free memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeMemory {
    /// Persistent, headers of future objects included.
    pub persistent: u32,
    /// Transient.
    pub transient: u32,
}

/// Why the card did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The applet or the runtime refuses with a status word; nothing has changed.
    #[error("refused with {0:04X}")]
    Refused(u16),
    /// The load file cannot be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Bytecode did what no verified bytecode does, or ran without end: a real card would stay mute or worse.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The power was cut; nothing works before [`Card::power_up`].
    #[error("power lost")]
    PowerLost,
    /// The memory does not hold a card.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store refuses.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for CardError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PowerLost => Self::PowerLost,
            other => Self::Store(other),
        }
    }
}

impl From<AllocError> for CardError {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::Store(error) => error.into(),
            _ => Self::Refused(sw::NOT_ENOUGH_MEMORY),
        }
    }
}

impl From<CapError> for CardError {
    fn from(error: CapError) -> Self {
        Self::Link(error.into())
    }
}

/// A Java Card: memory, packages, applets. A clone is a card of its own that shares unchanged memory.
#[derive(Clone)]
pub struct Card {
    state: State,
    /// Instances and packages that go with the next [`Card::settle`].
    deleted: Vec<Owner>,
    unloaded: Vec<u8>,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Card").field("packages", &self.packages().len()).finish_non_exhaustive()
    }
}

impl Card {
    /// An empty card with the default cryptography and the system's random numbers.
    pub fn new(profile: Profile) -> Result<Self, CardError> {
        Self::with(profile, default_crypto(), Random::System)
    }

    /// An empty card.
    pub fn with(
        profile: Profile,
        crypto: Arc<dyn CryptoProvider>,
        random: Random,
    ) -> Result<Self, CardError> {
        let state = State::format(profile, crypto, random)?;
        Ok(Self { state, deleted: Vec::new(), unloaded: Vec::new() })
    }

    /// A card from its memory, powered up. What the profile says of sizes is taken from the memory instead.
    pub fn open(
        profile: Profile,
        store: Store,
        crypto: Arc<dyn CryptoProvider>,
        random: Random,
    ) -> Result<Self, CardError> {
        let state = State::open(profile, store, &[], crypto, random)?;
        Ok(Self { state, deleted: Vec::new(), unloaded: Vec::new() })
    }

    /// A card from a snapshot file.
    pub fn load_snapshot(
        path: &Path,
        profile: Profile,
        crypto: Arc<dyn CryptoProvider>,
        random: Random,
    ) -> Result<Self, LoadSnapshotError> {
        Ok(Self::open(profile, Store::load(path)?, crypto, random)?)
    }

    /// Writes the persistent memory to a file; loading it is powering up.
    pub fn save_snapshot(&self, path: &Path) -> Result<(), SnapshotError> {
        self.state.heap.store.save(path)
    }

    /// Shows every instruction to this from now on.
    pub fn set_tracer(&mut self, tracer: Option<Tracer>) {
        self.state.tracer = tracer;
    }

    /// The arithmetic it computes with; another one put in its place is used from the next call on.
    pub fn crypto_mut(&mut self) -> &mut Arc<dyn CryptoProvider> {
        &mut self.state.crypto
    }

    /// The memory: regions, write count, power cut.
    pub fn store(&self) -> &Store {
        &self.state.heap.store
    }

    /// Named persistent regions outside of applet transactions, for the card manager.
    pub fn regions(&mut self) -> &mut dyn NamedRegions {
        &mut self.state.heap.store
    }

    /// Cuts the power after `n` more cell writes; `None` takes that back.
    pub fn cut_power_after(&mut self, n: Option<u64>) {
        self.state.heap.store.cut_power_after(n);
    }

    /// Loaded packages.
    pub fn packages(&self) -> Vec<PackageSummary> {
        let there = self.state.packages.iter().flatten().filter(|p| !self.unloaded.contains(&p.slot));
        there.map(|p| summary(p)).collect()
    }

    /// Applet instances.
    pub fn instances(&self) -> Vec<Aid> {
        self.applets().map(|a| a.aid).collect()
    }

    fn applets(&self) -> impl Iterator<Item = &AppletRecord> {
        self.state.applets.iter().filter(|a| !self.deleted.contains(&a.slot))
    }

    fn applet(&self, instance: Aid) -> Result<AppletRecord, CardError> {
        let found = self.applets().find(|a| a.aid == instance).copied();
        found.ok_or(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND))
    }

    /// Free memory.
    pub fn free_memory(&self) -> FreeMemory {
        FreeMemory {
            persistent: self.state.heap.free_persistent(),
            transient: self.state.heap.free_transient(),
        }
    }

    /// Runs code of an applet with a fresh machine.
    pub(super) fn run<T>(
        &mut self,
        services: &mut dyn PlatformServices,
        work: impl FnOnce(&mut Vm<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut vm = Vm::new(&mut self.state, services);
        let result = work(&mut vm);
        vm.finish();
        result
    }

    /// What follows every call into an applet: an open transaction is rolled back (JCRE 7.6.2), requested deletion is
    /// done (JCRE 8).
    pub(super) fn end_command(&mut self) -> Result<bool, CardError> {
        let open = self.state.heap.store.in_transaction();
        if open {
            self.state.abort()?;
        }
        if std::mem::take(&mut self.state.deletion_requested) {
            self.state.collect()?;
        }
        Ok(open)
    }

    /// The status word of what an applet did not catch.
    pub(super) fn refusal(&self, trap: Trap) -> CardError {
        match trap {
            Trap::Power => CardError::PowerLost,
            Trap::Fault(fault) => CardError::Fault(*fault),
            Trap::Raise(Exception::Iso, reason) => CardError::Refused(reason.unsigned()),
            Trap::Raise(..) => CardError::Refused(sw::UNKNOWN),
            Trap::Throw(at) => CardError::Refused(self.status_of(at)),
        }
    }

    /// ISOException: its reason; anything else: 6F00 (JCRE 3.3).
    pub(super) fn status_of(&self, exception: Ref) -> u16 {
        let iso = self.state.builtins.class_id(Exception::Iso.class());
        let object = self.state.heap.object(exception);
        let reason = object.zip(iso).and_then(|(object, iso)| {
            self.state.class(ClassId::of(&object)).filter(|c| c.is(iso))?;
            Some(self.state.heap.cell(&object, 0))
        });
        reason.unwrap_or(sw::UNKNOWN)
    }

    /// Power off and on: nothing is selected, transient memory is cleared, an open transaction is rolled back. After a
    /// power cut the card is built anew from its memory.
    pub fn power_up(&mut self) -> Result<(), CardError> {
        self.deleted.clear();
        self.unloaded.clear();
        if self.state.heap.store.power_lost() {
            let state = &self.state;
            let tracer = state.tracer.clone();
            let new = State::open(
                (*state.profile).clone(),
                state.heap.store.clone(),
                &state.packages,
                state.crypto.clone(),
                state.random.clone(),
            )?;
            self.state = State { tracer, ..new };
            return Ok(());
        }
        if self.state.heap.store.in_transaction() {
            self.state.abort()?;
        }
        self.state.heap.store.cut_power_after(None);
        self.state.heap.clear_all_transient();
        self.state.engines.clear();
        self.state.selected = [None; CHANNELS];
        self.state.active = None;
        self.state.installing = None;
        self.state.apdu = ApduState::default();
        Ok(())
    }
}

/// A snapshot file does not give a card.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadSnapshotError {
    /// The file.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What is in it.
    #[error(transparent)]
    Card(#[from] CardError),
}

fn summary(package: &Package) -> PackageSummary {
    PackageSummary {
        aid: package.aid,
        version: package.version,
        modules: package.applets.iter().map(|(aid, _)| *aid).collect(),
    }
}
