//! Simulated cards. Every state is made once and cloned from then on, so that each case starts from the very same card.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use jpkise_card::{Card, Transport};
use jpkise_gp::keys::KeySource;
use jpkise_gpse::profile::AfterTries;
use jpkise_gpse::registry::life_cycle;
use jpkise_gpse::runtime::jcvm::{Jcvm, Memory};
use jpkise_gpse::runtime::Interface;
use jpkise_gpse::{GpSe, Profile};
use jpkise_wire::scp03::IParameter;
use time::OffsetDateTime;

use super::bench::{Bench, BenchError, LabCard, TargetKind, Values};
use super::state::{issuer_aid, Maker};
use super::tape::Tape;
use crate::suite::model::{CardState, Changes, Need};

/// In a trace: a card kept by a suite of code, in no state that has a name.
pub const UNNAMED: &str = "unnamed";

/// A simulated card in a process, on the Java Card VM.
pub struct SimulatedBench {
    /// What the card is like while a case runs.
    profile: Profile,
    /// What it is like while it is brought into a state: without the faults that cases are to find.
    faultless: Profile,
    maker: Maker,
    tape: Tape,
    card: LabCard,
    memory: Memory,
    contactless: Rc<Cell<bool>>,
    made: BTreeMap<CardState, (jpkise_jcvm::Card, Values)>,
}

/// A card whose interface can be changed while a suite holds it.
pub(crate) struct Switched {
    pub(crate) card: GpSe,
    pub(crate) contactless: Rc<Cell<bool>>,
}

impl Switched {
    fn switch(&mut self) {
        let interface = if self.contactless.get() { Interface::Contactless } else { Interface::Contact };
        self.card.set_interface(interface);
    }
}

impl Transport for Switched {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, jpkise_card::TransportError> {
        self.switch();
        self.card.transmit(command)
    }
    fn reset(&mut self) -> Result<Vec<u8>, jpkise_card::TransportError> {
        // The ATR is that of the interface.
        self.switch();
        self.card.reset()
    }
    fn atr(&self) -> &[u8] {
        self.card.atr()
    }
    fn name(&self) -> &str {
        self.card.name()
    }
    fn capabilities(&self) -> jpkise_card::Capabilities {
        self.card.capabilities()
    }
    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.card.set_deadline(deadline);
    }
}

impl SimulatedBench {
    /// A new card of that profile with the applets in its ROM.
    pub fn new(
        profile: Profile,
        issuer: Rc<dyn KeySource>,
        tape: Tape,
        now: OffsetDateTime,
    ) -> Result<Self, BenchError> {
        let open = |error: &dyn std::fmt::Display| BenchError::Open(error.to_string());
        let faultless = without_faults(&profile);
        let runtime = crate::simulator::with_applets(&faultless).map_err(|e| open(&e))?;
        let maker = Maker::new(issuer, now).map_err(|e| open(&e))?;
        let contactless = Rc::default();
        let (mut card, memory) = put_in(faultless.clone(), runtime, &tape, &contactless)?;
        let isd = issuer_aid(&mut card)?;
        let first = (memory.card(), Maker::common_values(isd));
        let made = BTreeMap::from([(CardState::Fresh, first)]);
        Ok(Self { profile, faultless, maker, tape, card, memory, contactless, made })
    }

    /// Starts a clone of a card that was kept.
    pub fn restore(&mut self, kept: jpkise_jcvm::Card) -> Result<(), BenchError> {
        self.restore_as(self.profile.clone(), kept, None)
    }

    /// From now on cases run on a card of this profile; states that are made already stay as they are.
    pub fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    fn restore_as(
        &mut self,
        profile: Profile,
        kept: jpkise_jcvm::Card,
        state: Option<CardState>,
    ) -> Result<(), BenchError> {
        self.contactless.set(false);
        let runtime = Jcvm::with_card(kept);
        let (card, memory) = put_in(profile, runtime, &self.tape, &self.contactless)?;
        self.tape.put_in(card.atr(), &state.map_or(UNNAMED.to_owned(), |state| state.to_string()));
        self.card = card;
        self.memory = memory;
        Ok(())
    }

    /// The card's memory: to count writes, to cut its power, to keep it.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    fn make(&mut self, state: CardState) -> Result<(), BenchError> {
        if self.made.contains_key(&state) {
            return Ok(());
        }
        let before = Maker::before(state).unwrap_or(CardState::Fresh);
        self.make(before)?;
        let Some((kept, mut values)) = self.made.get(&before).cloned() else {
            return Err(BenchError::state(state, "the state before it is missing"));
        };
        self.restore_as(self.faultless.clone(), kept, Some(before))?;
        self.maker.step(&mut self.card, state, &mut values)?;
        self.made.insert(state, (self.memory.card(), values));
        Ok(())
    }
}

fn without_faults(profile: &Profile) -> Profile {
    Profile { faults: jpkise_gpse::FaultSet::default(), ..profile.clone() }
}

fn put_in(
    profile: Profile,
    runtime: Jcvm,
    tape: &Tape,
    contactless: &Rc<Cell<bool>>,
) -> Result<(LabCard, Memory), BenchError> {
    let memory = runtime.memory();
    let card = GpSe::on_jcvm(profile, runtime).map_err(|e| BenchError::Open(e.to_string()))?;
    let switched = Switched { card, contactless: contactless.clone() };
    let mut card: LabCard = Card::new(Box::new(switched));
    card.observe(tape.observer());
    Ok((card, memory))
}

impl Bench for SimulatedBench {
    fn kind(&self) -> TargetKind {
        TargetKind::Simulated
    }

    fn card(&mut self) -> &mut LabCard {
        &mut self.card
    }

    fn tape(&self) -> Tape {
        self.tape.clone()
    }

    fn bring(&mut self, state: CardState) -> Result<Values, BenchError> {
        // "Any" is the card as delivered: what another case left would make results depend on their order.
        let state = if state == CardState::Any { CardState::Fresh } else { state };
        self.make(state)?;
        let Some((kept, values)) = self.made.get(&state).cloned() else {
            return Err(BenchError::state(state, "it was not kept"));
        };
        self.restore_as(self.profile.clone(), kept, Some(state))?;
        Ok(values)
    }

    fn left(&mut self, _: Changes) {}

    fn can(&mut self, need: Need) -> bool {
        match need {
            Need::Reader | Need::Attended => false,
            Need::RMac => self.i() & 0x20 != 0,
            Need::NoRMac => self.i() & 0x20 == 0,
            Need::REncryption => self.i() & 0x40 != 0,
            Need::PseudoRandom => self.i() & 0x10 != 0,
            Need::S8 => self.i() & IParameter::S16 == 0,
            Need::ExtendedLength => self.profile.extended_length,
            Need::Channels => self.profile.channels > 1,
            Need::Level(level) => {
                let least = self.profile.minimum_level.value();
                self.profile.i.offers(level) && level.value() & least == least
            }
            Need::NotSecured => self.profile.card_state < life_cycle::SECURED,
            Need::TenTries => {
                self.profile.authentication_tries == Some(10) && self.profile.after_tries == AfterTries::Block
            }
            Need::Simulator | Need::InterfaceSwitch | Need::Load => true,
        }
    }

    fn may(&self, _: Changes) -> bool {
        true
    }

    fn set_contactless(&mut self, contactless: bool) -> bool {
        self.contactless.set(contactless);
        true
    }

    fn keys(&self, name: &str) -> Option<Rc<dyn KeySource>> {
        self.maker.keys(name)
    }

    fn recover(&mut self, _: &AtomicBool) -> Result<(), BenchError> {
        self.bring(CardState::Fresh).map(drop)
    }

    fn simulated(&mut self) -> Option<&mut SimulatedBench> {
        Some(self)
    }
}

impl SimulatedBench {
    fn i(&self) -> u8 {
        self.profile.i.value()
    }
}
