//! A card as the card manager sees it: packages, instances, channels, commands.

use std::path::Path;
use std::sync::Arc;

use jpkise_cap::{Aid, Cap, CapError, PackageVersion};

use crate::apdu::ApduState;
use crate::api::applet as tokens;
use crate::bits::{Bits, UnsignedBits};
use crate::class::{ClassId, Package, FIRST_BUILT_IN};
use crate::crypto::{CryptoProvider, Random, RustCrypto};
use crate::heap::{
    kind, AllocError, Clear, Header, Object, Owner, Ref, OWNER_PACKAGE, OWNER_SYSTEM, SYSTEM_CONTEXT,
};
use crate::link::LinkError;
use crate::profile::Profile;
use crate::services::PlatformServices;
use crate::state::{AppletRecord, Installing, OpenError, State, CHANNELS};
use crate::store::{NamedRegions, SnapshotError, Store, StoreError};
use crate::trace::Tracer;
use crate::vm::{Cell, Exception, Fault, Outcome, Trap, Value, Vm};

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
    /// An empty card with RustCrypto and the system's random numbers.
    pub fn new(profile: Profile) -> Result<Self, CardError> {
        Self::with(profile, Arc::new(RustCrypto), Random::System)
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

    /// Packages on the card without having been loaded.
    pub fn built_in(&self) -> Vec<PackageSummary> {
        self.state.builtins.packages.iter().map(|p| summary(p)).collect()
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

    /// Links a load file (concatenated components, or a CAP in JAR form). Tentative until [`Self::settle`].
    pub fn load(&mut self, load_file: &[u8]) -> Result<PackageSummary, CardError> {
        let cap = Cap::read(load_file)?;
        self.load_cap(&cap)
    }

    /// Links a CAP. Tentative until [`Self::settle`].
    pub fn load_cap(&mut self, cap: &Cap) -> Result<PackageSummary, CardError> {
        let aid = cap.header.package.aid;
        let taken = self.state.packages.iter().chain([&None]).flatten().any(|p| p.aid == aid)
            || self.state.builtins.packages.iter().any(|p| p.aid == aid);
        if taken {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        let free = (1..FIRST_BUILT_IN).find(|slot| self.state.packages[usize::from(*slot)].is_none());
        let Some(slot) = free else { return Err(CardError::Refused(sw::NOT_ENOUGH_MEMORY)) };
        let package = self.state.link_cap(cap, slot)?;
        match self.enter_package(&package) {
            Ok(statics) => {
                let summary = summary(&package);
                self.state.packages[usize::from(slot)] = Some(Arc::new(package));
                self.state.statics[usize::from(slot)] = statics;
                Ok(summary)
            }
            Err(CardError::PowerLost) => Err(CardError::PowerLost),
            Err(error) => {
                self.state.purge(|_| false, |package| package == slot)?;
                Err(error)
            }
        }
    }

    /// Static image first, then the load file, whose block makes the package exist.
    fn enter_package(&mut self, package: &Package) -> Result<u32, CardError> {
        let slot = package.slot;
        let statics = &package.statics;
        let heap = &mut self.state.heap;
        let mut image = statics.references.to_be_bytes().to_vec();
        for (element, values) in &statics.arrays {
            let size = match *element {
                kind::SHORTS => 2,
                kind::INTS => 4,
                _ => 1,
            };
            let len = u16::try_from(values.len() / size).unwrap_or(0);
            let array = heap.new_array(OWNER_PACKAGE, *element, len, (slot, 0))?;
            if let Some(view) = heap.object(array).and_then(|o| heap.array(o)) {
                heap.write_words(&view, 0, values, false)?;
            }
            image.extend(array.0.to_be_bytes());
        }
        image.resize(2 + 2 * usize::from(statics.references), 0);
        image.extend(&statics.primitives);
        let header =
            Header { size: 0, kind: kind::STATICS, owner: OWNER_SYSTEM, aux: 0, package: slot, flags: 0 };
        let block = heap.allocate(header, image.len(), &image)?;
        let address = heap.object(block).map_or(0, |o| o.body()) + 2;
        let len = u32::try_from(package.load_file.len()).unwrap_or(u32::MAX);
        let content = [&len.to_be_bytes()[..], &package.load_file].concat();
        heap.allocate(Header { kind: kind::PACKAGE, ..header }, content.len(), &content)?;
        Ok(address)
    }

    /// Removes a package with the next [`Self::settle`]; refused while another package or an instance needs it.
    pub fn unload(&mut self, package: Aid) -> Result<(), CardError> {
        let found = self.state.package_by_aid(package).filter(|p| !self.unloaded.contains(&p.slot));
        let Some(slot) = found.map(|p| p.slot) else {
            return Err(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND));
        };
        let others = self.state.packages.iter().flatten();
        let imported = others.filter(|p| !self.unloaded.contains(&p.slot)).any(|p| p.imports.contains(&slot));
        let used = self.applets().any(|a| a.package == slot) || self.has_instances_elsewhere(slot);
        if imported || used {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        self.unloaded.push(slot);
        Ok(())
    }

    /// Whether an object of another package's applets is of a class of this package (JCRE 11.3.4.1).
    fn has_instances_elsewhere(&self, slot: u8) -> bool {
        let heap = &self.state.heap;
        heap.objects().any(|o| {
            let typed = matches!(o.header.kind, kind::INSTANCE | kind::REFERENCES);
            let gone = self.deleted.contains(&o.header.owner);
            typed && !gone && o.header.package == slot && heap.context_of(&o) != slot
        })
    }

    /// Runs the module's `install`; succeeds only if it registered under the AID asked for. Tentative until
    /// [`Self::settle`].
    pub fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn PlatformServices,
    ) -> Result<(), CardError> {
        let package = self.state.package_by_aid(request.package).cloned();
        let package = package.filter(|p| !self.unloaded.contains(&p.slot));
        let Some(package) = package else { return Err(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND)) };
        let module = package.applets.iter().find(|(aid, _)| *aid == request.module);
        let Some((_, method)) = module else { return Err(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND)) };
        if self.state.applet_by_aid(request.instance.as_bytes()).is_some() {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        let mut data = Vec::new();
        for part in [request.instance.as_bytes(), request.privileges, request.parameters] {
            let len = u8::try_from(part.len()).map_err(|_| CardError::Refused(sw::WRONG_DATA))?;
            data.push(len);
            data.extend(part);
        }
        let Ok(len) = u8::try_from(data.len()) else { return Err(CardError::Refused(sw::WRONG_DATA)) };
        let slot = (1..OWNER_PACKAGE).find(|slot| self.state.applet(*slot).is_none());
        let Some(slot) = slot else { return Err(CardError::Refused(sw::NOT_ENOUGH_MEMORY)) };

        let context = package.slot;
        self.state.heap.set_context(slot, context);
        self.state.installing =
            Some(Installing { slot, package: context, module: request.module, registered: None });
        self.state.active = Some(slot);
        let array = self.state.system.install_data;
        self.fill(array, &data)?;
        let target = crate::class::Target::Code { package: context, method: *method };
        let arguments = [Cell::reference(array), Cell::short(0), Cell::short(len.signed().into())];
        let result = self.run(services, |vm| vm.call(target, &arguments, context, slot));
        let installed = self.state.installing.take().and_then(|i| i.registered);
        self.state.active = None;
        let outcome = match result {
            Ok(_) if installed == Some(request.instance) => return self.end_command().map(drop),
            Ok(_) => CardError::Refused(sw::UNKNOWN),
            Err(Trap::Power) => return Err(CardError::PowerLost),
            Err(trap) => self.refusal(trap),
        };
        self.roll_back_install(slot)?;
        Err(outcome)
    }

    /// An installation failed: its objects go, references to them become null (JCRE 11.2).
    fn roll_back_install(&mut self, slot: Owner) -> Result<(), CardError> {
        self.end_command()?;
        self.drop_instances(&[slot])?;
        Ok(())
    }

    fn drop_instances(&mut self, slots: &[Owner]) -> Result<(), StoreError> {
        let gone: Vec<AppletRecord> =
            self.state.applets.iter().filter(|a| slots.contains(&a.slot)).copied().collect();
        for applet in &gone {
            self.state.heap.release(applet.block)?;
        }
        self.state.applets.retain(|a| !slots.contains(&a.slot));
        self.state.purge(|owner| slots.contains(&owner), |_| false)?;
        for slot in slots {
            self.state.heap.set_context(*slot, SYSTEM_CONTEXT);
        }
        Ok(())
    }

    fn fill(&mut self, array: Ref, data: &[u8]) -> Result<(), CardError> {
        let heap = &mut self.state.heap;
        if let Some(view) = heap.object(array).and_then(|o| heap.array(o)) {
            let mut bytes = data.to_vec();
            bytes.resize(usize::from(view.len).max(data.len()), 0);
            bytes.truncate(view.len.into());
            heap.write_bytes(&view, 0, &bytes, false)?;
        }
        Ok(())
    }

    /// Runs code of an applet with a fresh machine.
    fn run<T>(
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
    fn end_command(&mut self) -> Result<bool, CardError> {
        let open = self.state.heap.store.in_transaction();
        if open {
            self.state.abort()?;
        }
        let data = self.state.system.install_data;
        self.fill(data, &[])?;
        if std::mem::take(&mut self.state.deletion_requested) {
            self.state.collect()?;
        }
        Ok(open)
    }

    /// The status word of what an applet did not catch.
    fn refusal(&self, trap: Trap) -> CardError {
        match trap {
            Trap::Power => CardError::PowerLost,
            Trap::Fault(fault) => CardError::Fault(fault),
            Trap::Raise(Exception::Iso, reason) => CardError::Refused(reason.unsigned()),
            Trap::Raise(..) => CardError::Refused(sw::UNKNOWN),
            Trap::Throw(at) => CardError::Refused(self.status_of(at)),
        }
    }

    /// ISOException: its reason; anything else: 6F00 (JCRE 3.3).
    fn status_of(&self, exception: Ref) -> u16 {
        let iso = self.state.builtins.class_id(Exception::Iso.class());
        let object = self.state.heap.object(exception);
        let reason = object.zip(iso).and_then(|(object, iso)| {
            self.state.class(ClassId::of(&object)).filter(|c| c.is(iso))?;
            Some(self.state.heap.cell(&object, 0))
        });
        reason.unwrap_or(sw::UNKNOWN)
    }

    fn channel(channel: u8) -> Result<usize, CardError> {
        let index = usize::from(channel);
        if index < CHANNELS {
            Ok(index)
        } else {
            Err(CardError::Refused(sw::APPLET_SELECT_FAILED))
        }
    }

    /// Calls `select()` of the instance, or `MultiSelectable.select` when its package is active on another channel.
    /// `false` when the applet declines; then nothing is selected on the channel.
    pub fn select(
        &mut self,
        channel: u8,
        instance: Aid,
        services: &mut dyn PlatformServices,
    ) -> Result<bool, CardError> {
        let index = Self::channel(channel)?;
        let applet = self.applet(instance)?;
        if self.state.selected[index].is_some() {
            self.deselect(channel, services)?;
        }
        let active = self.state.selected.contains(&Some(applet.slot));
        let together = self.is_package_active(applet.package);
        if together && !self.state.is_multiselectable(applet.slot) {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        self.state.channel = channel;
        self.state.active = Some(applet.slot);
        self.clear_buffer()?;
        let result = self.run(services, |vm| {
            if together {
                call_multiselectable(vm, &applet, 0, active)
            } else {
                call_applet(vm, &applet, tokens::SELECT, &[])
            }
        });
        self.state.active = None;
        let accepted = match result {
            Ok(value) => value == Value::Short(1),
            Err(Trap::Power) => return Err(CardError::PowerLost),
            Err(Trap::Fault(fault)) => {
                self.end_command()?;
                return Err(CardError::Fault(fault));
            }
            Err(_) => false,
        };
        self.end_command()?;
        self.state.selected[index] = accepted.then_some(applet.slot);
        if !accepted {
            self.clear_on_deselect(applet.package);
        }
        Ok(accepted)
    }

    fn is_package_active(&self, package: u8) -> bool {
        let slots = self.state.selected.iter().flatten();
        slots.filter_map(|slot| self.state.applet(*slot)).any(|a| a.package == package)
    }

    /// CLEAR_ON_DESELECT memory goes when no applet of the package is active any more (JCRE 5.1).
    fn clear_on_deselect(&mut self, package: u8) {
        if !self.is_package_active(package) {
            self.state.heap.clear_transient(Clear::Deselect, Some(package));
        }
    }

    /// Calls `deselect()` of what is selected on the channel and clears its transient memory. Whatever the applet does
    /// in it, it is deselected.
    pub fn deselect(&mut self, channel: u8, services: &mut dyn PlatformServices) -> Result<(), CardError> {
        let index = Self::channel(channel)?;
        let Some(applet) = self.state.selected[index].and_then(|slot| self.state.applet(slot).copied())
        else {
            return Ok(());
        };
        self.state.channel = channel;
        self.state.active = Some(applet.slot);
        self.state.selected[index] = None;
        let together = self.is_package_active(applet.package);
        let active = self.state.selected.contains(&Some(applet.slot));
        let result = self.run(services, |vm| {
            if together {
                call_multiselectable(vm, &applet, 1, active)
            } else {
                call_applet(vm, &applet, tokens::DESELECT, &[])
            }
        });
        self.state.active = None;
        if result == Err(Trap::Power) {
            return Err(CardError::PowerLost);
        }
        self.end_command()?;
        self.clear_on_deselect(applet.package);
        match result {
            Err(Trap::Fault(fault)) => Err(CardError::Fault(fault)),
            _ => Ok(()),
        }
    }

    fn clear_buffer(&mut self) -> Result<(), CardError> {
        let buffer = self.state.system.buffer;
        self.fill(buffer, &[])
    }

    /// Runs one command in the applet selected on the channel: answer data and status word.
    pub fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn PlatformServices,
    ) -> Result<Vec<u8>, CardError> {
        let index = Self::channel(command.channel)?;
        let slot = self.state.selected[index];
        let Some(applet) = slot.and_then(|slot| self.state.applet(slot).copied()) else {
            return Err(CardError::Refused(sw::APPLET_SELECT_FAILED));
        };
        let protocol = self.state.profile.protocol;
        let Ok(apdu) = ApduState::parse(command.apdu, protocol, command.contactless) else {
            return Ok(sw::WRONG_LENGTH.to_be_bytes().to_vec());
        };
        if apdu.extended && !self.state.implements(applet.slot, "javacardx/apdu/ExtendedLength") {
            return Ok(sw::WRONG_LENGTH.to_be_bytes().to_vec());
        }
        let header = apdu.header.clone();
        self.state.apdu = apdu;
        self.state.channel = command.channel;
        self.state.active = Some(applet.slot);
        self.state.selecting = command.selecting;
        let buffer = self.state.system.buffer;
        self.fill(buffer, &header)?;
        let apdu = Cell::reference(self.state.system.apdu);
        let result = self.run(services, |vm| call_applet(vm, &applet, tokens::PROCESS, &[apdu]));
        self.state.active = None;
        self.state.selecting = false;
        self.state.reselecting = false;
        let mut apdu = std::mem::take(&mut self.state.apdu);
        let status = match result {
            Ok(_) => sw::OK,
            Err(trap) => match self.refusal(trap) {
                CardError::Refused(status) => status,
                CardError::PowerLost => return Err(CardError::PowerLost),
                other => {
                    self.end_command()?;
                    return Err(other);
                }
            },
        };
        self.end_command()?;
        let mut answer = std::mem::take(&mut apdu.answer);
        // ISO/IEC 7816-4 5.6: data goes with 9xyz, 61xx, 62xx and 63xx only.
        if !matches!(status >> 8, 0x61..=0x63 | 0x90..=0x9F) {
            answer.clear();
        }
        answer.extend(status.to_be_bytes());
        Ok(answer)
    }

    /// Whether the instance takes STORE DATA from its security domain.
    pub fn takes_personalization(
        &mut self,
        instance: Aid,
        services: &mut dyn PlatformServices,
    ) -> Result<bool, CardError> {
        let applet = self.applet(instance)?;
        let found = self.run(services, |vm| personalization(vm, &applet));
        self.end_command()?;
        match found {
            Ok(found) => Ok(found.is_some()),
            Err(Trap::Power) => Err(CardError::PowerLost),
            Err(Trap::Fault(fault)) => Err(CardError::Fault(fault)),
            Err(_) => Ok(false),
        }
    }

    /// Hands a STORE DATA command in clear to the instance's `processData`; its answer data.
    pub fn personalize(
        &mut self,
        channel: u8,
        instance: Aid,
        store_data: &[u8],
        services: &mut dyn PlatformServices,
    ) -> Result<Vec<u8>, CardError> {
        let applet = self.applet(instance)?;
        let Ok(len) = i16::try_from(store_data.len()) else {
            return Err(CardError::Refused(sw::WRONG_LENGTH));
        };
        self.state.channel = channel;
        self.state.active = Some(applet.slot);
        let buffer = self.state.system.buffer;
        let room = self.state.heap.object(buffer).and_then(|o| self.state.heap.array(o)).map_or(0, |a| a.len);
        if store_data.len() > usize::from(room) {
            self.state.active = None;
            return Err(CardError::Refused(sw::WRONG_LENGTH));
        }
        self.fill(buffer, store_data)?;
        let result = self.run(services, |vm| {
            let Some((object, interface)) = personalization(vm, &applet)? else {
                return crate::vm::raise(Exception::Iso, sw::CONDITIONS.signed());
            };
            let target = vm.interface_target(&object, interface.id, 0)?;
            let data = [Cell::reference(buffer), Cell::short(0), Cell::short(len)];
            let mut arguments = vec![Cell::reference(object.at)];
            arguments.extend(data);
            if interface.answers {
                arguments.extend([Cell::reference(buffer), Cell::short(0)]);
            }
            let value = vm.call(target, &arguments, applet.package, applet.slot)?;
            let Value::Short(len) = value else { return Ok(Vec::new()) };
            let array = vm.byte_array(buffer)?;
            vm.range(&array, 0, len)
        });
        self.state.active = None;
        self.end_command()?;
        result.map_err(|trap| self.refusal(trap))
    }

    /// Removes instances, all or none, calling `uninstall()` where an applet has it. Tentative until
    /// [`Self::settle`].
    pub fn delete(
        &mut self,
        instances: &[Aid],
        services: &mut dyn PlatformServices,
    ) -> Result<(), CardError> {
        let mut applets = Vec::new();
        for instance in instances {
            applets.push(self.applet(*instance)?);
        }
        let slots: Vec<Owner> = applets.iter().map(|a| a.slot).collect();
        if self.state.selected.iter().flatten().any(|slot| slots.contains(slot)) {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        for applet in &applets {
            if !self.state.implements(applet.slot, "javacard/framework/AppletEvent") {
                continue;
            }
            self.state.active = Some(applet.slot);
            let result = self.run(services, |vm| {
                let object = vm.object(applet.object)?;
                let event = vm.api_class("javacard/framework/AppletEvent")?;
                let target = vm.interface_target(&object, event, 0)?;
                vm.call(target, &[Cell::reference(applet.object)], applet.package, applet.slot)
            });
            self.state.active = None;
            match result {
                Err(Trap::Power) => return Err(CardError::PowerLost),
                Err(Trap::Fault(fault)) => {
                    self.end_command()?;
                    return Err(CardError::Fault(fault));
                }
                // What uninstall throws does not stop the deletion (JCRE 11.3.4.2).
                _ => self.end_command()?,
            };
        }
        if self.state.is_referenced_from_outside(&slots) {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        self.deleted.extend(slots);
        Ok(())
    }

    /// The registry now holds exactly these packages and instances: what else is there goes, what was to go and is
    /// listed stays.
    pub fn settle(&mut self, packages: &[Aid], instances: &[Aid]) -> Result<(), CardError> {
        self.deleted.clear();
        self.unloaded.clear();
        let gone: Vec<Owner> =
            self.state.applets.iter().filter(|a| !instances.contains(&a.aid)).map(|a| a.slot).collect();
        if !gone.is_empty() {
            for selected in &mut self.state.selected {
                if selected.is_some_and(|slot| gone.contains(&slot)) {
                    *selected = None;
                }
            }
            self.drop_instances(&gone)?;
        }
        let stale: Vec<u8> = self
            .state
            .packages
            .iter()
            .flatten()
            .filter(|p| !packages.contains(&p.aid))
            .map(|p| p.slot)
            .collect();
        if !stale.is_empty() {
            self.drop_packages(&stale)?;
        }
        if !gone.is_empty() || !stale.is_empty() {
            self.state.collect()?;
        }
        Ok(())
    }

    fn drop_packages(&mut self, slots: &[u8]) -> Result<(), StoreError> {
        // The load file's block first: without it the rest is nobody's, and the next start clears it away.
        let blocks: Vec<Object> = self.state.heap.objects_of(kind::PACKAGE).collect();
        for block in blocks.iter().filter(|b| slots.contains(&b.header.package)) {
            self.state.heap.release(block.at)?;
        }
        self.state.purge(|_| false, |package| slots.contains(&package))?;
        for slot in slots {
            self.state.packages[usize::from(*slot)] = None;
            self.state.statics[usize::from(*slot)] = 0;
        }
        Ok(())
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

/// Calls a virtual method of the applet in its own context.
fn call_applet(vm: &mut Vm<'_>, applet: &AppletRecord, token: u8, arguments: &[Cell]) -> Outcome<Value> {
    let object = vm.object(applet.object)?;
    let target = tokens::method(vm, &object, token)?;
    let mut all = vec![Cell::reference(applet.object)];
    all.extend(arguments);
    vm.call(target, &all, applet.package, applet.slot)
}

/// Calls `MultiSelectable.select` or `deselect`.
fn call_multiselectable(vm: &mut Vm<'_>, applet: &AppletRecord, token: u8, active: bool) -> Outcome<Value> {
    let object = vm.object(applet.object)?;
    let interface = vm.api_class("javacard/framework/MultiSelectable")?;
    let target = vm.interface_target(&object, interface, token)?;
    let arguments = [Cell::reference(applet.object), Cell::short(active.into())];
    vm.call(target, &arguments, applet.package, applet.slot)
}

/// The interface through which an applet takes personalisation data.
struct Personalization {
    id: crate::class::ClassId,
    /// Whether `processData` has an answer.
    answers: bool,
}

/// The object that takes STORE DATA: the applet itself, or what it offers the runtime.
fn personalization(vm: &mut Vm<'_>, applet: &AppletRecord) -> Outcome<Option<(Object, Personalization)>> {
    const INTERFACES: [(&str, bool); 2] =
        [("org/globalplatform/Personalization", true), ("org/globalplatform/Application", false)];
    let mut candidates = vec![applet.object];
    let offered = call_applet(
        vm,
        applet,
        tokens::GET_SHAREABLE_INTERFACE_OBJECT,
        &[Cell::reference(Ref::NULL), Cell::short(0)],
    );
    match offered {
        Ok(Value::Reference(offered)) if !offered.is_null() => candidates.push(offered),
        Err(trap @ (Trap::Power | Trap::Fault(_))) => return Err(trap),
        _ => {}
    }
    for candidate in candidates {
        let object = vm.object(candidate)?;
        for (name, answers) in INTERFACES {
            if let Ok(id) = vm.api_class(name) {
                if object.is_instance() && vm.is_instance(&object, id) {
                    return Ok(Some((object, Personalization { id, answers })));
                }
            }
        }
    }
    Ok(None)
}
