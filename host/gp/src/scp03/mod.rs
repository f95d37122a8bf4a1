//! Secure Channel Protocol 03, off-card side (GP Card Specification Amendment D 1.1.2; S16 from 1.2).
//!
//! ```text
//! Session<Selected> --INITIALIZE UPDATE--> Session<Initialized> --EXTERNAL AUTHENTICATE--> Session<Authenticated>
//!     80 50 KVN 00 | host challenge            card cryptogram already checked                 send() from here on
//! ```
//!
//! Each step consumes the session before it; a fault in the channel closes [`SecureMessaging`] for good. Section numbers
//! in this module are those of Amendment D 1.1.2.

mod error;
mod messaging;
mod session;

pub use crate::commands::initialize_update::{InitializeUpdate, KeyInformation};
pub use crate::keys::{KeySet, KeySource, KeySourceError, SoftwareKeys};
pub use error::{CryptogramDiffers, HostRefused, RefusedBeforeKeys, ScpError, SecurityFault};
pub use messaging::{CounterRule, EmptyData, MacClass, Policy, SecureMessaging};
pub(crate) use session::check_challenge;
pub use session::{best_level, Authenticated, ChallengeCheck, Initialized, Selected, Session, SessionInfo};
