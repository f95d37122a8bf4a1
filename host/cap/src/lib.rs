//! CAP files of the Java Card platform: model, reader, writer, export tables, converter from class files.
//!
//! * [`model`] holds every component as typed values, [`Cap::read`] and [`Cap::to_jar`] go between bytes and model,
//!   and [`Cap::load_file_data_block`] gives what a card is sent;
//! * [`opcodes`] and [`code`] know the instruction set;
//! * [`exports`] knows the tokens of the platform's packages, built in or from EXP files.

mod bytes;
pub mod code;
mod error;
pub mod exports;
pub mod model;
pub mod opcodes;
mod read;
mod write;

pub use error::{CapError, ContainerRule, FormatRule};
pub use model::{Aid, Cap, ComponentTag, PackageInfo, PackageVersion};
pub use write::LoadOptions;
