//! GlobalPlatform commands as pure builders, one file per command, and decoders of their answers.
//!
//! Every builder gives the command for the basic channel and without secure messaging; the session adds both. Section
//! numbers in this module are those of the GP Card Specification 2.3.1 unless they say otherwise.

pub mod delete;
pub mod external_authenticate;
pub mod get_data;
pub mod get_status;
pub mod initialize_update;
pub mod install;
pub mod load;
pub mod manage_channel;
pub mod put_key;
pub mod r_mac_session;
pub mod select;
pub mod set_status;
pub mod store_data;

use jpkise_wire::lv::LvError;
use jpkise_wire::tlv::TlvError;

/// GlobalPlatform class without secure messaging, basic channel (section 11.1.4).
pub const CLA_GP: u8 = 0x80;
/// Interindustry class, basic channel.
pub const CLA_ISO: u8 = 0x00;

/// An answer that does not have the form its command prescribes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Malformed TLV.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// Malformed LV.
    #[error(transparent)]
    Lv(#[from] LvError),
    /// A field with a value or length the standard does not give it.
    #[error("{field}: {length} bytes")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// Its length.
        length: usize,
    },
}

/// A request that has no coding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More blocks than the block number can count.
    #[error("{blocks} blocks, but a block number has one byte")]
    TooManyBlocks {
        /// Blocks needed.
        blocks: usize,
    },
    /// No room for data in a block.
    #[error("a block of {size} bytes holds no data")]
    BlockSize {
        /// Bytes per block asked for.
        size: usize,
    },
    /// Key versions are 01 to 7F.
    #[error("{0:02X} is no key version (01 to 7F)")]
    KeyVersion(u8),
    /// Nothing to do: no object named.
    #[error("no key identifier and no key version given")]
    NothingNamed,
    /// A value longer than its length field can say.
    #[error("{0} bytes are too long for one field")]
    TooLong(usize),
}
