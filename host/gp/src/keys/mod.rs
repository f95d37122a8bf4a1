//! Key sources: who holds the keys, how they differ from card to card, and how they are named on the command line.

mod finder;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod software;
mod source;
mod spec;
mod tries;

pub use finder::Handshake;
pub use jpkise_wire::scp03::{diversify, Diversification, Slot, SLOTS};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11Error, Pkcs11Keys, Pkcs11Uri};
pub use software::SoftwareKeys;
pub use source::{KeySet, KeySource, KeySourceError};
pub use spec::{parse_kvn, KeySpec, KeySpecError, Origin};
pub use tries::{Attempt, TryError, TryLedger, DEFAULT_LIMIT};
