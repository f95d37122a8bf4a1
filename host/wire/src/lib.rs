//! Bytes both ends share: AIDs, status words, TLV, LV and DGI coding, and the primitives of SCP03.
//!
//! Nothing here does I/O or keeps state: the off-card side (`jpkise-gp`) and the simulated card (`jpkise-gpse`) each
//! build their own state machine on these functions, so that the two test each other.

pub mod aid;
pub mod dgi;
pub mod lv;
pub mod scp03;
pub mod sw;
pub mod tlv;

pub use aid::{Aid, AidError};
pub use sw::StatusWord;
