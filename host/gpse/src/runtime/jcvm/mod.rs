//! Applets as CAP bytes on `jpkise_jcvm`, in this process.
//!
//! Card manager and virtual machine share one memory: what the manager remembers is region `gp` of the store that holds
//! packages and objects. Everything a command changes is durable before its answer leaves, and a power cut anywhere
//! leaves both with what was written ([`Memory::cut_power_after`]).
//!
//! A command that uses up its instruction budget gets no answer, nor does any other before the next reset: a real card
//! in an endless loop is mute. Bytecode that does what no verified bytecode does ends in 6F00 and a line in the log.

mod memory;
mod services;

use std::path::Path;
use std::time::Instant;

use jpkise_card::TransportError;
use jpkise_jcvm::{
    default_crypto, Card, CardError, FaultKind, LinkError, LinkRule, LoadSnapshotError, NoServices,
    PackageSummary,
};
use jpkise_wire::{Aid, StatusWord};

pub use self::memory::Memory;
pub(crate) use self::memory::REGION;
use self::services::Bridge;
use super::{
    Channel, FreeMemory, GpServices, InstallRequest, Interface, Package, Process, Registered, Runtime,
    RuntimeError, SW_IMPORT_MISSING,
};
use crate::faults::crypto::with_wrong_padding;
use crate::faults::{Fault, FaultSet};
use crate::random::Randomness;
use crate::store::region::RegionStore;
use crate::store::Store;

/// PERFORM SECURITY OPERATION of the JPKI applet, which alone faulty padding concerns: proofs of possession stay right.
const INS_COMPUTE_DIGITAL_SIGNATURE: u8 = 0x2A;

/// What a card with this runtime is made of.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Sizes and limits.
    pub profile: jpkise_jcvm::Profile,
    /// Where keys and challenges come from.
    pub randomness: Randomness,
}

impl Options {
    fn random(&self) -> jpkise_jcvm::Random {
        match self.randomness {
            Randomness::System => jpkise_jcvm::Random::System,
            Randomness::Seeded(seed) => jpkise_jcvm::Random::seeded(seed),
        }
    }
}

/// The Java Card VM as a runtime. One card.
#[derive(Debug)]
pub struct Jcvm {
    memory: Memory,
    /// Since when no command is answered: a command used up its budget.
    mute: Option<TransportError>,
    /// Faults of its arithmetic; others are no business of a runtime.
    faults: FaultSet,
}

impl Jcvm {
    /// A new card with these CAPs (concatenated components or JAR) in its ROM, in an order in which imports come first.
    pub fn new(options: &Options, rom: &[&[u8]]) -> Result<Self, CardError> {
        let mut card = Card::with(options.profile.clone(), default_crypto(), options.random())?;
        for cap in rom {
            card.load(cap)?;
        }
        Ok(Self::with_card(card))
    }

    /// The card that [`Memory::save`] has left in a file. Of the profile's sizes only those of volatile memory count.
    pub fn restore(options: &Options, path: &Path) -> Result<Self, LoadSnapshotError> {
        let profile = options.profile.clone();
        let card = Card::load_snapshot(path, profile, default_crypto(), options.random())?;
        Ok(Self::with_card(card))
    }

    /// Around a card that is there already, a clone of [`Memory::card`] for example.
    pub fn with_card(card: Card) -> Self {
        Self { memory: Memory::new(card), mute: None, faults: FaultSet::NONE }
    }

    /// With faults of its arithmetic. They are not the card's: they end with this value.
    #[must_use]
    pub fn with_faults(self, faults: FaultSet) -> Self {
        Self { faults, ..self }
    }

    /// The card's memory, which stays within reach when the runtime has gone into a [`GpSe`](crate::GpSe).
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// Region `gp` of this card, for its card manager.
    pub fn store(&self) -> Box<dyn Store> {
        Box::new(RegionStore::new(self.memory.clone()))
    }

    /// Runs a call on the card; nothing runs on a mute one.
    fn call<T>(&mut self, work: impl FnOnce(&mut Card) -> Result<T, CardError>) -> Result<T, RuntimeError> {
        if let Some(TransportError::Timeout(after)) = self.mute {
            return Err(TransportError::Timeout(after).into());
        }
        let started = Instant::now();
        let result = work(&mut self.memory.lock());
        result.map_err(|error| self.failure(error, started))
    }

    fn call_with<T>(
        &mut self,
        services: &mut dyn GpServices,
        work: impl FnOnce(&mut Card, &mut Bridge<'_>) -> Result<T, CardError>,
    ) -> Result<T, RuntimeError> {
        let memory = self.memory.clone();
        self.call(|card| work(card, &mut Bridge::new(services, &memory)))
    }

    fn failure(&mut self, error: CardError, started: Instant) -> RuntimeError {
        match error {
            CardError::Refused(sw) => RuntimeError::Refused(StatusWord(sw)),
            CardError::Link(error) => {
                tracing::warn!(%error, "load file refused");
                RuntimeError::Refused(match error {
                    LinkError::Refused {
                        rule: LinkRule::ImportMissing { .. } | LinkRule::ImportVersion { .. },
                        ..
                    } => SW_IMPORT_MISSING,
                    _ => StatusWord::WRONG_DATA,
                })
            }
            CardError::Fault(fault) if fault.kind == FaultKind::InstructionBudget => {
                tracing::error!(%fault, "the card is mute");
                let after = started.elapsed();
                self.mute = Some(TransportError::Timeout(after));
                TransportError::Timeout(after).into()
            }
            CardError::Fault(fault) => {
                tracing::error!(%fault, "virtual machine");
                RuntimeError::Refused(StatusWord::UNKNOWN)
            }
            CardError::PowerLost => TransportError::Removed.into(),
            error => TransportError::Io(std::io::Error::other(error)).into(),
        }
    }
}

/// The two crates below keep an AID type each; every AID of one is an AID of the other.
fn inward(aid: &Aid) -> Result<jpkise_cap::Aid, CardError> {
    jpkise_cap::Aid::new(aid.as_bytes()).map_err(|_| CardError::Refused(StatusWord::WRONG_DATA.0))
}

fn inward_all(aids: &[Aid]) -> Result<Vec<jpkise_cap::Aid>, CardError> {
    aids.iter().map(inward).collect()
}

/// See [`inward`]; `None` never happens.
fn outward(aid: &jpkise_cap::Aid) -> Option<Aid> {
    Aid::new(aid.as_bytes()).ok()
}

fn package(summary: &PackageSummary) -> Option<Package> {
    Some(Package {
        aid: outward(&summary.aid)?,
        version: (summary.version.major, summary.version.minor),
        modules: summary.modules.iter().filter_map(outward).collect(),
    })
}

impl Runtime for Jcvm {
    fn name(&self) -> &'static str {
        "jcvm"
    }

    fn packages(&self) -> Vec<Package> {
        // Asked for once, when the registry of a new card is made: what is there then was there from the start.
        self.memory.lock().packages().iter().filter_map(package).collect()
    }

    fn load(&mut self, aid: Aid, load_file: &[u8]) -> Result<Package, RuntimeError> {
        let loaded = self.call(|card| card.load(load_file))?;
        match package(&loaded) {
            Some(package) if package.aid == aid => Ok(package),
            _ => {
                tracing::warn!(announced = %aid, loaded = %loaded.aid, "load file of another package");
                self.call(|card| card.unload(loaded.aid))?;
                Err(RuntimeError::Refused(StatusWord::WRONG_DATA))
            }
        }
    }

    fn unload(&mut self, package: Aid) -> Result<(), RuntimeError> {
        self.call(|card| card.unload(inward(&package)?))
    }

    fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn GpServices,
    ) -> Result<(), RuntimeError> {
        self.call_with(services, |card, bridge| {
            let request = jpkise_jcvm::InstallRequest {
                package: inward(&request.package)?,
                module: inward(&request.module)?,
                instance: inward(&request.instance)?,
                privileges: &request.privileges,
                parameters: request.parameters,
            };
            card.install(&request, bridge)
        })
    }

    fn select(
        &mut self,
        channel: Channel,
        instance: Aid,
        _: Interface,
        services: &mut dyn GpServices,
    ) -> Result<bool, RuntimeError> {
        self.call_with(services, |card, bridge| card.select(channel.number(), inward(&instance)?, bridge))
    }

    fn deselect(&mut self, channel: Channel, services: &mut dyn GpServices) -> Result<(), RuntimeError> {
        match self.call_with(services, |card, bridge| card.deselect(channel.number(), bridge)) {
            // Whatever deselect() does, the applet is deselected (JCRE section 4.6).
            Err(RuntimeError::Refused(_)) => Ok(()),
            result => result,
        }
    }

    fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        let signs = command.apdu.get(1) == Some(&INS_COMPUTE_DIGITAL_SIGNATURE);
        let pads_wrongly = signs && self.faults.has(Fault::PaddingWrong);
        let command = jpkise_jcvm::Process {
            channel: command.channel.number(),
            contactless: command.interface == Interface::Contactless,
            apdu: command.apdu,
            selecting: command.selecting,
        };
        self.call_with(services, |card, bridge| {
            if pads_wrongly {
                return with_wrong_padding(card, |card| card.process(&command, bridge));
            }
            card.process(&command, bridge)
        })
    }

    fn takes_personalization(&mut self, instance: Aid) -> Result<bool, RuntimeError> {
        self.call(|card| card.takes_personalization(inward(&instance)?, &mut NoServices))
    }

    fn personalize(
        &mut self,
        channel: Channel,
        instance: Aid,
        store_data: &[u8],
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        self.call_with(services, |card, bridge| {
            card.personalize(channel.number(), inward(&instance)?, store_data, bridge)
        })
    }

    fn delete(&mut self, instances: &[Aid], services: &mut dyn GpServices) -> Result<(), RuntimeError> {
        self.call_with(services, |card, bridge| card.delete(&inward_all(instances)?, bridge))
    }

    fn settle(&mut self, registered: &Registered) -> Result<(), RuntimeError> {
        self.call(|card| card.settle(&inward_all(&registered.packages)?, &inward_all(&registered.instances)?))
    }

    fn reset(&mut self) -> Result<(), RuntimeError> {
        self.mute = None;
        self.memory.forget_waiting();
        self.call(Card::power_up)
    }

    fn free_memory(&self) -> Option<FreeMemory> {
        let free = self.memory.lock().free_memory();
        Some(FreeMemory { persistent: free.persistent, transient: free.transient })
    }
}
