//! The simulated GP-SE: card manager, security domains, SCP03 card side, over a runtime that runs the applets.
//!
//! ```
//! use jpkise_card::Transport;
//! use jpkise_gpse::{GpSe, NoApplets, Profile};
//!
//! let mut card = GpSe::in_memory(Profile::default(), Box::new(NoApplets))?;
//! let answer = card.transmit(&[0x00, 0xA4, 0x04, 0x00, 0x00])?;
//! assert_eq!(answer[answer.len() - 2..], [0x90, 0x00]);
//! # Ok::<(), jpkise_card::TransportError>(())
//! ```

pub mod faults;
mod manager;
pub mod profile;
mod random;
pub mod registry;
pub mod runtime;
pub mod secure_channel;
pub mod store;
pub mod vpcd;

pub use faults::{Fault, FaultSet};
pub use manager::GpSe;
pub use profile::Profile;
pub use random::Randomness;
pub use runtime::jcardsim::JCardSim;
pub use runtime::jcvm::Jcvm;
pub use runtime::{GpServices, Interface, NoApplets, Runtime, RuntimeError};
