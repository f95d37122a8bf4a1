//! What a card is between commands: the store, its index in memory, what is selected.

use std::collections::HashMap;
use std::sync::Arc;

use jpkise_cap::{Aid, Cap};

use crate::apdu::ApduState;
use crate::class::{Class, ClassId, Package, FIRST_BUILT_IN};
use crate::crypto::{CryptoProvider, Engine, Random};
use crate::heap::{
    kind, AllocError, Clear, Context, Header, Heap, HeapDamaged, Object, Owner, Ref, ENTRY_POINT, GLOBAL,
    OWNER_PACKAGE, OWNER_SYSTEM, TEMPORARY,
};
use crate::link::{link, Builtins, Environment, LinkError};
use crate::profile::Profile;
use crate::store::{Store, StoreError};
use crate::vm::{Exception, Scratch};

/// Longest install data: LV of AID, privileges and parameters.
const INSTALL_DATA: u16 = 256;
/// Logical channels of a card.
pub(crate) const CHANNELS: usize = 4;
/// One more than the highest slot of a loaded package.
const PACKAGE_SLOTS: usize = FIRST_BUILT_IN as usize;

/// An applet instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppletRecord {
    pub(crate) slot: Owner,
    pub(crate) package: u8,
    pub(crate) aid: Aid,
    /// The Applet object.
    pub(crate) object: Ref,
    /// Its AID object, an entry point of the runtime.
    pub(crate) aid_object: Ref,
    /// Block of the record.
    pub(crate) block: Ref,
}

/// The applet under installation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Installing {
    pub(crate) slot: Owner,
    pub(crate) package: u8,
    pub(crate) module: Aid,
    pub(crate) registered: Option<Aid>,
}

/// The runtime's own objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct SystemObjects {
    pub(crate) apdu: Ref,
    pub(crate) buffer: Ref,
    pub(crate) install_data: Ref,
    pub(crate) secure_channel: Ref,
    exceptions: Vec<Ref>,
}

impl SystemObjects {
    pub(crate) fn exception(&self, exception: Exception) -> Option<Ref> {
        self.exceptions.get(exception as usize).copied()
    }

    fn all(&self) -> Vec<Ref> {
        let mut all = vec![self.apdu, self.buffer, self.install_data, self.secure_channel];
        all.extend(&self.exceptions);
        all
    }

    fn from_all(all: &[Ref]) -> Option<Self> {
        let [apdu, buffer, install_data, secure_channel, exceptions @ ..] = all else { return None };
        (exceptions.len() == Exception::ALL.len()).then(|| Self {
            apdu: *apdu,
            buffer: *buffer,
            install_data: *install_data,
            secure_channel: *secure_channel,
            exceptions: exceptions.to_vec(),
        })
    }
}

/// The memory does not hold a card.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The heap's blocks do not fit together.
    #[error(transparent)]
    Heap(#[from] HeapDamaged),
    /// A stored load file cannot be linked any more.
    #[error("stored package: {0}")]
    Package(#[from] LinkError),
    /// Something every card has is missing.
    #[error("the memory is not that of a card of this kind")]
    NotACard,
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) struct State {
    pub(crate) profile: Arc<Profile>,
    pub(crate) builtins: Arc<Builtins>,
    pub(crate) heap: Heap,
    /// Loaded packages by slot.
    pub(crate) packages: Vec<Option<Arc<Package>>>,
    /// Address of each loaded package's static image.
    pub(crate) statics: Vec<u32>,
    pub(crate) applets: Vec<AppletRecord>,
    pub(crate) system: SystemObjects,
    /// Instance slot selected on each channel.
    pub(crate) selected: [Option<Owner>; CHANNELS],
    /// Instance slot whose context counts as the selected one during a call.
    pub(crate) active: Option<Owner>,
    pub(crate) channel: u8,
    pub(crate) selecting: bool,
    pub(crate) reselecting: bool,
    pub(crate) installing: Option<Installing>,
    pub(crate) apdu: ApduState,
    /// What cryptographic objects hold while they are in use; gone after a reset.
    pub(crate) engines: HashMap<Ref, Engine>,
    pub(crate) crypto: Arc<dyn CryptoProvider>,
    pub(crate) random: Random,
    pub(crate) deletion_requested: bool,
    pub(crate) tracer: Option<crate::trace::Tracer>,
    /// Stack and activations of the last command, to be used again.
    pub(crate) scratch: Scratch,
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self {
            profile: self.profile.clone(),
            builtins: self.builtins.clone(),
            heap: self.heap.clone(),
            packages: self.packages.clone(),
            statics: self.statics.clone(),
            applets: self.applets.clone(),
            system: self.system.clone(),
            selected: self.selected,
            active: self.active,
            channel: self.channel,
            selecting: self.selecting,
            reselecting: self.reselecting,
            installing: self.installing,
            apdu: self.apdu.clone(),
            engines: self.engines.clone(),
            crypto: self.crypto.clone(),
            random: self.random.clone(),
            deletion_requested: self.deletion_requested,
            tracer: self.tracer.clone(),
            scratch: Scratch::default(),
        }
    }
}

fn system_header(kind: u8, class: ClassId, flags: u8) -> Header {
    Header { size: 0, kind, owner: OWNER_SYSTEM, aux: class.index, package: class.package, flags }
}

impl State {
    /// A new card: empty memory with the runtime's own objects.
    pub(crate) fn format(
        profile: Profile,
        crypto: Arc<dyn CryptoProvider>,
        random: Random,
    ) -> Result<Self, OpenError> {
        let builtins = Builtins::of(profile.platform);
        let store = Store::new(profile.store_layout());
        let exceptions = u32::try_from(Exception::ALL.len()).unwrap_or(0) * 2;
        let own = u32::from(profile.apdu_buffer) + u32::from(INSTALL_DATA) + exceptions;
        let mut heap = Heap::format(store, profile.transient.saturating_add(own))?;
        let system = make_system_objects(&mut heap, &builtins, &profile).map_err(|error| match error {
            AllocError::Store(error) => OpenError::Store(error),
            _ => OpenError::NotACard,
        })?;
        Ok(Self::around(profile, builtins, heap, system, crypto, random))
    }

    fn around(
        profile: Profile,
        builtins: Arc<Builtins>,
        heap: Heap,
        system: SystemObjects,
        crypto: Arc<dyn CryptoProvider>,
        random: Random,
    ) -> Self {
        Self {
            profile: Arc::new(profile),
            builtins,
            heap,
            packages: vec![None; PACKAGE_SLOTS],
            statics: vec![0; PACKAGE_SLOTS],
            applets: Vec::new(),
            system,
            selected: [None; CHANNELS],
            active: None,
            channel: 0,
            selecting: false,
            reselecting: false,
            installing: None,
            apdu: ApduState::default(),
            engines: HashMap::new(),
            crypto,
            random,
            deletion_requested: false,
            tracer: None,
            scratch: Scratch::default(),
        }
    }

    /// A card from what its memory holds. `known` are packages that may be the ones in memory, to save linking.
    pub(crate) fn open(
        profile: Profile,
        mut store: Store,
        known: &[Option<Arc<Package>>],
        crypto: Arc<dyn CryptoProvider>,
        random: Random,
    ) -> Result<Self, OpenError> {
        let builtins = Builtins::of(profile.platform);
        store.power_up()?;
        let heap = Heap::open(store)?;
        let block = heap.objects_of(kind::SYSTEM).next().ok_or(OpenError::NotACard)?;
        let references = (0..u32::from(block.header.aux)).map(|i| Ref(heap.store.u16(block.body() + 2 * i)));
        let system = SystemObjects::from_all(&references.collect::<Vec<_>>()).ok_or(OpenError::NotACard)?;
        if system.all().iter().any(|at| heap.object(*at).is_none()) {
            return Err(OpenError::NotACard);
        }
        let mut state = Self::around(profile, builtins, heap, system, crypto, random);
        state.open_packages(known)?;
        state.open_applets();
        state.drop_orphans()?;
        // The runtime's own objects of an instance (its AID) have no other owner: what a cut left of them is garbage.
        state.collect()?;
        Ok(state)
    }

    fn open_packages(&mut self, known: &[Option<Arc<Package>>]) -> Result<(), OpenError> {
        let mut waiting: Vec<(u8, Vec<u8>)> = Vec::new();
        for block in self.heap.objects_of(kind::PACKAGE) {
            let slot = block.header.package;
            if slot == 0 || slot >= FIRST_BUILT_IN {
                return Err(OpenError::NotACard);
            }
            let len = self.heap.store.u32(block.body()) as usize;
            if len > block.body_len() {
                return Err(OpenError::NotACard);
            }
            waiting.push((slot, self.heap.store.bytes(block.body() + 4, len)));
        }
        // A package may import one in a higher slot: go round until nothing is left or nothing helps.
        let mut last_error = None;
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|(slot, bytes)| {
                let same = known.get(usize::from(*slot)).and_then(Option::as_ref);
                let linked = match same.filter(|p| p.load_file == *bytes) {
                    Some(package) => Ok(package.clone()),
                    None => self.link(bytes, *slot).map(Arc::new),
                };
                match linked {
                    Ok(package) => {
                        self.packages[usize::from(*slot)] = Some(package);
                        false
                    }
                    Err(error) => {
                        last_error = Some(error);
                        true
                    }
                }
            });
            if waiting.len() == before {
                return Err(last_error.map_or(OpenError::NotACard, OpenError::Package));
            }
        }
        for block in self.heap.objects_of(kind::STATICS) {
            if let Some(place) = self.statics.get_mut(usize::from(block.header.package)) {
                *place = block.body() + 2;
            }
        }
        let complete = self.packages.iter().flatten().all(|p| self.statics[usize::from(p.slot)] != 0);
        complete.then_some(()).ok_or(OpenError::NotACard)
    }

    fn open_applets(&mut self) {
        let blocks: Vec<Object> = self.heap.objects_of(kind::APPLET).collect();
        for block in blocks {
            if let Some(record) = self.read_record(&block) {
                self.heap.set_context(record.slot, record.package);
                self.applets.push(record);
            }
        }
    }

    /// ```text
    /// u1 package  u1 AID length  u2 0  AID[16]  u2 applet  u2 AID object
    /// ```
    fn read_record(&self, block: &Object) -> Option<AppletRecord> {
        let body = self.heap.store.bytes(block.body(), 24);
        let aid = Aid::new(body.get(4..4 + usize::from(*body.get(1)?))?).ok()?;
        Some(AppletRecord {
            slot: block.header.owner,
            package: body[0],
            aid,
            object: Ref(u16::from_be_bytes([body[20], body[21]])),
            aid_object: Ref(u16::from_be_bytes([body[22], body[23]])),
            block: block.at,
        })
    }

    /// Enters an applet instance into the memory: from this cell write on it exists.
    pub(crate) fn write_record(
        &mut self,
        slot: Owner,
        package: u8,
        aid: Aid,
        object: Ref,
        aid_object: Ref,
    ) -> Result<(), AllocError> {
        let bytes = aid.as_bytes();
        let mut body = [0; 24];
        body[0] = package;
        body[1] = u8::try_from(bytes.len()).unwrap_or(16);
        body[4..4 + bytes.len()].copy_from_slice(bytes);
        body[20..22].copy_from_slice(&object.0.to_be_bytes());
        body[22..].copy_from_slice(&aid_object.0.to_be_bytes());
        let header = Header { size: 0, kind: kind::APPLET, owner: slot, aux: 0, package, flags: 0 };
        let block = self.heap.allocate(header, body.len(), &body)?;
        self.applets.push(AppletRecord { slot, package, aid, object, aid_object, block });
        Ok(())
    }

    /// What a power cut has left without an owner: objects of unfinished installations and loads.
    fn drop_orphans(&mut self) -> Result<(), StoreError> {
        let applets: Vec<Owner> = self.applets.iter().map(|a| a.slot).collect();
        let packages: Vec<u8> = self.packages.iter().flatten().map(|p| p.slot).collect();
        self.purge(
            |owner| owner != OWNER_SYSTEM && owner != OWNER_PACKAGE && !applets.contains(&owner),
            |package| !packages.contains(&package),
        )
    }

    /// Frees objects by owner or package, see [`Heap::purge`].
    pub(crate) fn purge(
        &mut self,
        owners: impl Fn(Owner) -> bool,
        packages: impl Fn(u8) -> bool,
    ) -> Result<(), StoreError> {
        let (builtins, loaded) = (self.builtins.clone(), self.packages.clone());
        let dead = self.heap.purge(owners, packages, &|p, c| references(&builtins, &loaded, p, c))?;
        self.forget_engines(&dead);
        Ok(())
    }

    /// Frees unreachable objects; how many.
    pub(crate) fn collect(&mut self) -> Result<usize, StoreError> {
        let (builtins, loaded) = (self.builtins.clone(), self.packages.clone());
        let dead = self.heap.collect(&|p, c| references(&builtins, &loaded, p, c))?;
        self.forget_engines(&dead);
        Ok(dead.len())
    }

    pub(crate) fn is_referenced_from_outside(&self, owners: &[Owner]) -> bool {
        self.heap.is_referenced_from_outside(owners, &|p, c| references(&self.builtins, &self.packages, p, c))
    }

    /// Rolls the transaction back; references to objects made in it become null. Returns those objects.
    pub(crate) fn abort(&mut self) -> Result<Vec<Ref>, StoreError> {
        let dead = self.heap.abort()?;
        if !dead.is_empty() {
            let (builtins, loaded) = (self.builtins.clone(), self.packages.clone());
            self.heap.forget_everywhere(&dead, &|p, c| references(&builtins, &loaded, p, c))?;
            self.forget_engines(&dead);
        }
        Ok(dead)
    }

    fn forget_engines(&mut self, dead: &[Ref]) {
        if !self.engines.is_empty() {
            self.engines.retain(|at, _| !dead.contains(at));
        }
    }

    /// Links a load file for a slot.
    pub(crate) fn link(&self, bytes: &[u8], slot: u8) -> Result<Package, LinkError> {
        let cap = Cap::read(bytes)?;
        self.link_cap(&cap, slot)
    }

    pub(crate) fn link_cap(&self, cap: &Cap, slot: u8) -> Result<Package, LinkError> {
        let environment = Environment {
            builtins: &self.builtins,
            loaded: &self.packages,
            int_supported: self.profile.int_supported,
        };
        link(cap, slot, &environment)
    }

    #[inline]
    pub(crate) fn package(&self, slot: u8) -> Option<&Arc<Package>> {
        match slot.checked_sub(FIRST_BUILT_IN) {
            Some(index) => self.builtins.packages.get(usize::from(index)),
            None => self.packages.get(usize::from(slot))?.as_ref(),
        }
    }

    #[inline]
    pub(crate) fn class(&self, id: ClassId) -> Option<&Class> {
        self.package(id.package)?.class(id.index)
    }

    pub(crate) fn package_by_aid(&self, aid: Aid) -> Option<&Arc<Package>> {
        self.packages.iter().flatten().find(|p| p.aid == aid)
    }

    pub(crate) fn applet(&self, slot: Owner) -> Option<&AppletRecord> {
        self.applets.iter().find(|a| a.slot == slot)
    }

    pub(crate) fn applet_by_aid(&self, aid: &[u8]) -> Option<&AppletRecord> {
        self.applets.iter().find(|a| a.aid.as_bytes() == aid)
    }

    /// Context of the applet that is selected on the channel of the command under way.
    pub(crate) fn selected_context(&self) -> Option<Context> {
        self.active.map(|slot| self.heap.context_of_owner(slot))
    }

    /// Whether an applet may be called through a shareable interface: one that is not multiselectable must not be
    /// active on another channel (JCRE 4.2).
    pub(crate) fn may_serve(&self, owner: Owner) -> bool {
        let elsewhere = self
            .selected
            .iter()
            .enumerate()
            .any(|(channel, slot)| channel != usize::from(self.channel) && *slot == Some(owner));
        !elsewhere || self.is_multiselectable(owner)
    }

    /// Whether the applet's class implements MultiSelectable.
    pub(crate) fn is_multiselectable(&self, owner: Owner) -> bool {
        self.implements(owner, "javacard/framework/MultiSelectable")
    }

    /// Whether the applet's class implements an interface of the API.
    pub(crate) fn implements(&self, owner: Owner, interface: &str) -> bool {
        let Some(id) = self.builtins.class_id(interface) else { return false };
        let object = self.applet(owner).and_then(|a| self.heap.object(a.object));
        let class = object.and_then(|o| self.class(ClassId::of(&o)));
        class.is_some_and(|c| c.is(id))
    }
}

/// Reference cells of a class's instances.
fn references(
    builtins: &Builtins,
    loaded: &[Option<Arc<Package>>],
    package: u8,
    class: u16,
) -> Vec<(u16, u16)> {
    let class = match package.checked_sub(FIRST_BUILT_IN) {
        Some(_) => builtins.class(ClassId { package, index: class }),
        None => loaded.get(usize::from(package)).and_then(Option::as_ref).and_then(|p| p.class(class)),
    };
    class.map(|c| c.references.clone()).unwrap_or_default()
}

fn make_system_objects(
    heap: &mut Heap,
    builtins: &Builtins,
    profile: &Profile,
) -> Result<SystemObjects, AllocError> {
    let class = |name: &str| {
        let id = builtins.class_id(name).ok_or(AllocError::Persistent)?;
        let cells = builtins.class(id).map_or(0, |c| c.cells);
        Ok::<_, AllocError>((id, cells))
    };
    let none = ClassId { package: 0, index: 0 };
    let (apdu, cells) = class("javacard/framework/APDU")?;
    let apdu = heap.new_instance(OWNER_SYSTEM, apdu.package, apdu.index, cells, ENTRY_POINT | TEMPORARY)?;
    let bytes = system_header(kind::BYTES, none, GLOBAL);
    let buffer = heap.new_transient(bytes, profile.apdu_buffer, Clear::Reset)?;
    let install_data = heap.new_transient(bytes, INSTALL_DATA, Clear::Reset)?;
    let (channel, cells) = class(crate::api::SECURE_CHANNEL)?;
    let secure_channel =
        heap.new_instance(OWNER_SYSTEM, channel.package, channel.index, cells, ENTRY_POINT)?;
    let mut exceptions = Vec::new();
    for exception in Exception::ALL {
        let (id, cells) = class(exception.class())?;
        let header = system_header(kind::INSTANCE, id, ENTRY_POINT | TEMPORARY);
        exceptions.push(heap.new_transient(header, cells, Clear::Reset)?);
    }
    let system = SystemObjects { apdu, buffer, install_data, secure_channel, exceptions };
    let all = system.all();
    let bytes: Vec<u8> = all.iter().flat_map(|r| r.0.to_be_bytes()).collect();
    let header = Header {
        size: 0,
        kind: kind::SYSTEM,
        owner: OWNER_SYSTEM,
        aux: u16::try_from(all.len()).unwrap_or(0),
        package: 0,
        flags: 0,
    };
    heap.allocate(header, bytes.len(), &bytes)?;
    Ok(system)
}
