//! What a case runs on: a card, and the ways into its states.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use jpkise_card::{Card, CardError, Transport};
use jpkise_gp::keys::KeySource;
use serde::Serialize;

use super::tape::Tape;
use crate::suite::model::{CardState, Changes, Need};

/// A card of any kind.
pub type LabCard = Card<Box<dyn Transport>>;

/// Values that a state brings along, by name.
pub type Values = BTreeMap<String, Vec<u8>>;

/// Kinds of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// The simulated GP-SE in this process.
    Simulated,
    /// A card in a reader, a virtual one perhaps.
    Reader,
}

/// Why a bench cannot do what is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The card went away, or does not answer.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A state cannot be reached on this card.
    #[error("{state}: {reason}")]
    State {
        /// The state.
        state: CardState,
        /// Why.
        reason: String,
    },
    /// The card in the reader is not the one that was named.
    #[error("the card is {found}, not {wanted}")]
    OtherCard {
        /// Named.
        wanted: String,
        /// There.
        found: String,
    },
    /// No card was named, and this would change it.
    #[error("the card's identity {found} must be named before it is changed")]
    NotNamed {
        /// There.
        found: String,
    },
    /// The card could not be opened.
    #[error("{0}")]
    Open(String),
}

impl BenchError {
    /// The state is out of reach, for any reason.
    pub fn state(state: CardState, reason: impl fmt::Display) -> Self {
        Self::State { state, reason: reason.to_string() }
    }

    /// Whether the card or the way to it is gone.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Card(CardError::Transport(_)) | Self::Open(_))
    }
}

/// A place where a card can be put to the test.
pub trait Bench {
    /// Simulated or in a reader.
    fn kind(&self) -> TargetKind;

    /// The card as it is.
    fn card(&mut self) -> &mut LabCard;

    /// What sees every exchange.
    fn tape(&self) -> Tape;

    /// Brings the card into a state, freshly reset; the values that belong to it.
    fn bring(&mut self, state: CardState) -> Result<Values, BenchError>;

    /// Says what a case has left: whether the card is still in the state that it was brought into.
    fn left(&mut self, changes: Changes);

    /// Whether card and way to it can do this.
    fn can(&mut self, need: Need) -> bool;

    /// Whether a case may change the card that far.
    fn may(&self, changes: Changes) -> bool;

    /// From now on commands arrive over this interface; false where that cannot be chosen.
    fn set_contactless(&mut self, contactless: bool) -> bool;

    /// The key set of that name: `issuer`, `sp`.
    fn keys(&self, name: &str) -> Option<Rc<dyn KeySource>>;

    /// After the card went away: once more, if it comes back within a while. `stop` ends the waiting.
    fn recover(&mut self, stop: &AtomicBool) -> Result<(), BenchError>;

    /// A copy of the simulated card that can be torn, and its memory; `None` for real ones.
    fn simulated(&mut self) -> Option<&mut super::simulated::SimulatedBench> {
        None
    }

    /// What happened at the reader since the last call: when (seconds), what.
    fn events(&mut self) -> Vec<(f64, String)> {
        Vec::new()
    }
}
