//! State of the card manager and what every command needs of it.

use jpkise_wire::scp03::Challenge;
use jpkise_wire::{Aid, StatusWord};
use zeroize::Zeroize;

use super::load::Loading;
use super::pending::Pending;
use super::Fault;
use crate::faults;
use crate::profile::{Profile, SECURITY_DOMAIN_MODULE, SECURITY_DOMAIN_PACKAGE};
use crate::random::Random;
use crate::registry::{Application, Domain, Kind, LoadFile, Privileges, Registry};
use crate::runtime::{Channel, Interface, Package, Registered};
use crate::secure_channel::SecureChannel;
use crate::store::{decode, difference, encode, Records, Store, StoreError};

/// What is selected on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selected {
    pub aid: Aid,
    pub kind: SelectedKind,
}

/// Who processes the commands of a selected application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelectedKind {
    Domain,
    Applet,
}

/// Segments of a command chained by P1.b8, gathered so far.
pub(crate) struct Chain {
    /// Header with P1.b8 cleared.
    pub header: [u8; 4],
    pub data: Vec<u8>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.data.zeroize();
    }
}

/// GET STATUS in pages: what was asked, and what is still to be told.
pub(crate) struct Listing {
    pub p1: u8,
    pub format: u8,
    pub query: Vec<u8>,
    pub rest: Vec<Vec<u8>>,
}

/// STORE DATA in blocks.
#[derive(Default)]
pub(crate) struct Storing {
    /// Number of the block due next.
    pub next_block: u8,
    /// Blocks for the domain itself, gathered until the last.
    pub gathered: Vec<u8>,
    /// The applet that INSTALL \[for personalization\] named.
    pub target: Option<Aid>,
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.gathered.zeroize();
    }
}

/// On whose keys a session rests; a session ends when these no longer hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionKeySet {
    /// Domain the application was associated with when the session began.
    pub associated: Aid,
    /// Domain that owns the keys: that one or one above it.
    pub owner: Aid,
    /// Key version number.
    pub kvn: u8,
}

/// One logical channel.
#[derive(Default)]
pub(crate) struct ChannelState {
    pub is_open: bool,
    pub selected: Option<Selected>,
    pub secure: SecureChannel,
    pub key_set: Option<SessionKeySet>,
    pub chain: Option<Chain>,
    pub listing: Option<Listing>,
    pub storing: Storing,
    pub loading: Option<Loading>,
    pub pending: Pending,
}

impl ChannelState {
    /// Ends everything that belongs to the application session, the selection aside.
    pub fn end_session(&mut self) {
        self.secure.end();
        self.key_set = None;
        self.chain = None;
        self.listing = None;
        self.storing = Storing::default();
        self.loading = None;
        self.pending = Pending::default();
    }
}

/// The card manager without its runtime.
pub(crate) struct Core {
    pub profile: Profile,
    pub registry: Registry,
    pub interface: Interface,
    channels: [ChannelState; Channel::COUNT],
    /// What a card that repeats its challenge repeats.
    first_challenge: Option<Challenge>,
    random: Random,
    store: Box<dyn Store>,
    /// What the store holds.
    records: Records,
}

impl Core {
    /// Opens what the store holds, or writes a new card of this profile into it.
    pub fn open(profile: Profile, store: Box<dyn Store>, packages: &[Package]) -> Result<Self, StoreError> {
        let records = store.records()?;
        let random = Random::new(profile.randomness);
        let registry = if records.is_empty() { new_registry(&profile, packages) } else { decode(&records)? };
        let mut core = Self {
            interface: profile.interface,
            profile,
            registry: registry.clone(),
            channels: Default::default(),
            first_challenge: None,
            random,
            store,
            records,
        };
        core.write(registry)?;
        Ok(core)
    }

    fn write(&mut self, next: Registry) -> Result<(), StoreError> {
        let records = encode(&next);
        let changes = difference(&self.records, &records);
        if !changes.is_empty() {
            self.store.commit(&changes)?;
        }
        self.records = records;
        self.registry = next;
        Ok(())
    }

    /// Makes `next` the registry, as a whole or not at all.
    pub fn commit(&mut self, next: Registry) -> Result<(), Fault> {
        Ok(self.write(next)?)
    }

    /// Changes a copy of the registry, then commits it.
    pub fn change(
        &mut self,
        change: impl FnOnce(&mut Registry) -> Result<(), StatusWord>,
    ) -> Result<(), Fault> {
        let mut next = self.registry.clone();
        change(&mut next)?;
        self.commit(next)
    }

    /// Power off and on.
    pub fn reset(&mut self) -> Result<(), StoreError> {
        self.channels = Default::default();
        self.channel_mut(Channel::BASIC).is_open = true;
        self.records = self.store.records()?;
        self.registry = decode(&self.records)?;
        Ok(())
    }

    pub fn channel(&self, channel: Channel) -> &ChannelState {
        &self.channels[channel.index()]
    }

    pub fn channel_mut(&mut self, channel: Channel) -> &mut ChannelState {
        &mut self.channels[channel.index()]
    }

    /// Channels on which this application is selected.
    pub fn selections_of(&self, aid: &Aid) -> impl Iterator<Item = Channel> + '_ {
        let aid = *aid;
        (0..=u8::MAX).map_while(Channel::new).filter(move |channel| {
            self.channel(*channel).selected.is_some_and(|selected| selected.aid == aid)
        })
    }

    /// The first channel that is not open.
    pub fn free_channel(&self) -> Option<Channel> {
        let mut offered = (0..self.profile.channels).map_while(Channel::new);
        offered.find(|channel| !self.channel(*channel).is_open)
    }

    /// What the runtime should hold.
    pub fn registered(&self) -> Registered {
        let is_applet = |a: &&Application| matches!(a.kind, Kind::Applet);
        Registered {
            packages: self.registry.load_files.iter().map(|l| l.aid).collect(),
            instances: self.registry.applications.iter().filter(is_applet).map(|a| a.aid).collect(),
        }
    }

    /// Whether the card is to do this wrong.
    pub fn has_fault(&self, fault: faults::Fault) -> bool {
        self.profile.faults.has(fault)
    }

    /// The challenge, or the first one again.
    pub fn perhaps_repeated(&mut self, challenge: Challenge) -> Challenge {
        if self.has_fault(faults::Fault::CardChallengeRepeated) {
            *self.first_challenge.get_or_insert(challenge)
        } else {
            challenge
        }
    }

    /// The next card challenge to be replayed, if the profile names any.
    pub fn replayed_challenge(&mut self) -> Option<Challenge> {
        let challenges = &mut self.profile.replayed_challenges;
        (!challenges.is_empty()).then(|| challenges.remove(0))
    }

    pub fn random_bytes(&mut self, out: &mut [u8]) -> Result<(), StatusWord> {
        if self.random.fill(out) {
            Ok(())
        } else {
            Err(StatusWord::NO_DIAGNOSIS)
        }
    }

    /// The domain selected on the channel, if its session is open: management needs that (table 11-2).
    pub fn authenticated(&self, channel: Channel) -> Result<Aid, StatusWord> {
        let state = self.channel(channel);
        match (state.selected, state.secure.level()) {
            (Some(selected), Some(_)) => Ok(selected.aid),
            _ => Err(StatusWord::SECURITY_NOT_SATISFIED),
        }
    }
}

fn new_registry(profile: &Profile, packages: &[Package]) -> Registry {
    let mut domain = Domain::new(profile.i);
    domain.key_versions.clone_from(&profile.keys);
    for (tag, value) in [(0x42, &profile.issuer_identification), (0x45, &profile.card_image)] {
        if !value.is_empty() {
            domain.data.insert(tag, value.clone());
        }
    }
    let issuer = Application {
        aid: profile.issuer,
        origin: None,
        domain: profile.issuer,
        life_cycle: profile.card_state,
        privileges: Privileges::ISSUER,
        implicit: Vec::new(),
        restricted: 0,
        kind: Kind::Domain(Box::new(domain)),
    };
    let in_rom = |aid, version, modules| {
        // What a package in ROM imports is in ROM too, and nothing there can be deleted.
        let imports = Vec::new();
        LoadFile { aid, domain: profile.issuer, version, modules, imports, in_rom: true }
    };
    let mut load_files = vec![in_rom(SECURITY_DOMAIN_PACKAGE, (1, 0), vec![SECURITY_DOMAIN_MODULE])];
    load_files.extend(packages.iter().map(|p| in_rom(p.aid, p.version, p.modules.clone())));
    Registry { applications: vec![issuer], load_files, historical_bytes: None, restricted: 0 }
}
