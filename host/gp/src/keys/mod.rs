//! Key sources: who holds the keys, how they differ from card to card, and how they are named on the command line.

mod finder;
mod software;
mod source;
mod spec;
mod tries;

pub use finder::Handshake;
pub use jpkise_wire::scp03::{diversify, Diversification, Slot, SLOTS};
pub use software::SoftwareKeys;
pub use source::{KeySet, KeySource, KeySourceError};
pub use spec::{parse_kvn, KeySpec, KeySpecError, Origin};
pub use tries::{Attempt, TryError, TryLedger, DEFAULT_LIMIT};
