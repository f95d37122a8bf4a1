//! CAP files of the Java Card platform: model, reader, writer, export tables, converter from class files.
//!
//! * [`model`] holds every component as typed values, [`Cap::read`] and [`Cap::to_jar`] go between bytes and model,
//!   and [`Cap::load_file_data_block`] gives what a card is sent;
//! * [`opcodes`] and [`code`] know the instruction set;
//! * [`exports`] knows the tokens of the platform's packages, built in or from EXP files;
//! * [`convert`] makes CAP and EXP files from class files;
//! * [`inspect`] describes, names and disassembles.

mod bytes;
pub mod classfile;
pub mod code;
pub mod convert;
mod error;
pub mod exports;
pub mod inspect;
pub mod model;
pub mod opcodes;
mod read;
pub mod verify;
mod write;

pub use error::{CapError, ContainerRule, FormatRule};
pub use model::{Aid, Cap, ComponentTag, PackageInfo, PackageVersion};
pub use write::LoadOptions;
