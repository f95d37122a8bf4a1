//! GlobalPlatform off-card: SCP03, keys and key sources, commands, registry, workflows.
//!
//! [`scp03`] opens and runs a secure channel; everything that makes bytes is pure, only sessions and workflows talk to
//! a card.

pub mod ara;
pub mod channel;
pub mod commands;
pub mod decode;
pub mod error;
pub mod explain;
pub mod identity;
pub mod keys;
pub mod random;
pub mod registry;
pub mod scp03;
pub mod vectors;
pub mod workflow;

pub use channel::LogicalChannel;
pub use error::{GpError, Progress, Refusal, Stage};
pub use random::SecureRandom;
