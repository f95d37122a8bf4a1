//! Where a recording is done again: a card, or simulated ones that take each other's place as they did in a run of the lab.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jpkise_card::{Card, Observer, Transport};
use jpkise_gpse::runtime::jcvm::{Jcvm, Memory};
use jpkise_gpse::{GpSe, Profile};

use crate::run::simulated::{Switched, UNNAMED};
use crate::run::{LabCard, Tape};
use crate::simulator::{with_applets, StartError};
use crate::suite::model::CardState;

/// A place with a card in it.
pub trait Stage {
    /// The card as it is.
    fn card(&mut self) -> &mut LabCard;

    /// Puts a simulated card of that state in its place, freshly powered on; false where that cannot be done.
    fn put_in(&mut self, state: &str) -> Result<bool, StartError>;

    /// From the next reset on, commands arrive over the other interface, contact or contactless; false where that cannot
    /// be chosen.
    fn turn_over(&mut self) -> bool {
        false
    }
}

impl Stage for LabCard {
    fn card(&mut self) -> &mut LabCard {
        self
    }

    fn put_in(&mut self, _: &str) -> Result<bool, StartError> {
        Ok(false)
    }
}

/// Makes an observer for each card that is put in.
pub type Watch = fn() -> Box<dyn Observer>;

/// Simulated cards by their states. A state that is asked for the first time is that of the card as the commands before
/// have left it, for so a run of the lab makes them.
pub struct KeptCards {
    profile: Profile,
    tape: Tape,
    also: Option<Watch>,
    card: LabCard,
    memory: Memory,
    contactless: Rc<Cell<bool>>,
    kept: BTreeMap<String, jpkise_jcvm::Card>,
}

impl KeptCards {
    /// Begins with a card as delivered. `tape` sees every exchange, and so does what `also` makes.
    pub fn new(profile: Profile, tape: Tape, also: Option<Watch>) -> Result<Self, StartError> {
        let runtime = with_applets(&profile)?;
        let contactless = Rc::default();
        let (card, memory) = powered(profile.clone(), runtime, &tape, also, &contactless)?;
        let kept = BTreeMap::from([(CardState::Fresh.to_string(), memory.card())]);
        Ok(Self { profile, tape, also, card, memory, contactless, kept })
    }
}

fn powered(
    profile: Profile,
    runtime: Jcvm,
    tape: &Tape,
    also: Option<Watch>,
    contactless: &Rc<Cell<bool>>,
) -> Result<(LabCard, Memory), StartError> {
    let memory = runtime.memory();
    let card = GpSe::on_jcvm(profile, runtime)?;
    let card = Switched { card, contactless: Rc::clone(contactless) };
    let mut card: LabCard = Card::new(Box::new(card) as Box<dyn Transport>);
    card.observe(tape.observer());
    if let Some(watch) = also {
        card.observe(watch());
    }
    Ok((card, memory))
}

impl Stage for KeptCards {
    fn card(&mut self) -> &mut LabCard {
        &mut self.card
    }

    fn put_in(&mut self, state: &str) -> Result<bool, StartError> {
        if state == UNNAMED {
            return Ok(false);
        }
        self.contactless.set(false);
        let kept = self.kept.entry(state.to_owned()).or_insert_with(|| self.memory.card()).clone();
        let (card, memory) =
            powered(self.profile.clone(), Jcvm::with_card(kept), &self.tape, self.also, &self.contactless)?;
        self.tape.put_in(card.atr(), state);
        self.card = card;
        self.memory = memory;
        Ok(true)
    }

    fn turn_over(&mut self) -> bool {
        self.contactless.set(!self.contactless.get());
        true
    }
}
