//! Looking into CAP and EXP files: what they are, what they need, what is in them.

mod disassemble;
mod info;
mod names;
mod render;

pub use disassemble::{disassemble, DisassembledInstruction, DisassembledMethod};
pub use info::{cap_info, exp_info, AppletInfo, ComponentSize, ImportInfo, Info, InstallNeeds, Requirements};
pub use names::Names;
pub use render::{dump, dump_exp, info_text};
