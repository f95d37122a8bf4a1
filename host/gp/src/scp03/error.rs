//! What can go wrong with a secure channel, by what the caller can do about it.

use jpkise_card::{ApduError, CardError};
use jpkise_wire::scp03::{IParameter, SecurityLevel};
use jpkise_wire::{Aid, StatusWord};

use crate::keys::{KeySet, KeySourceError};

/// INITIALIZE UPDATE was refused: no key was tried, other keys would not help, no try was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("INITIALIZE UPDATE for key version {kvn:02X} refused with {sw}, before any key was tried")]
pub struct RefusedBeforeKeys {
    /// Key version asked for, 00 for the domain's default.
    pub kvn: u8,
    /// The card's answer.
    pub sw: StatusWord,
}

/// The card cryptogram does not fit: card and host hold different keys. EXTERNAL AUTHENTICATE was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the card cryptogram of key version {:02X} differs: other keys, or another diversification", set.kvn)]
pub struct CryptogramDiffers {
    /// The key set the card answered for.
    pub set: KeySet,
}

/// EXTERNAL AUTHENTICATE was refused although the card cryptogram fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("EXTERNAL AUTHENTICATE at level {level} with key version {:02X} refused with {sw}", set.kvn)]
pub struct HostRefused {
    /// The key set.
    pub set: KeySet,
    /// Level asked for.
    pub level: SecurityLevel,
    /// The card's answer.
    pub sw: StatusWord,
}

/// An answer that secure messaging refuses (section 6.2.5). The session is over; the answer must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityFault {
    /// R-MAC wrong.
    #[error("the answer's R-MAC is wrong")]
    RMac,
    /// A protected status word without R-MAC.
    #[error("the answer has no R-MAC")]
    RMacMissing,
    /// An error status word came with data.
    #[error("data came with an error status word")]
    DataWithErrorStatus,
    /// Deciphered data without the padding's 80, or not whole blocks.
    #[error("the answer's padding is wrong")]
    Padding,
}

/// Why a channel could not be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScpError {
    /// Reader, card or coding.
    #[error(transparent)]
    Card(#[from] CardError),
    /// SELECT was refused.
    #[error("SELECT {} refused with {sw}", aid.map_or_else(|| "(issuer security domain)".to_owned(), |a| a.to_string()))]
    Select {
        /// AID asked for, `None` for the issuer security domain.
        aid: Option<Aid>,
        /// The card's answer.
        sw: StatusWord,
    },
    /// Refused before keys were tried.
    #[error(transparent)]
    Refused(#[from] RefusedBeforeKeys),
    /// The answer to INITIALIZE UPDATE has a length the protocol does not know.
    #[error("the answer to INITIALIZE UPDATE has {length} bytes")]
    MalformedInitializeUpdate {
        /// Its length without status word.
        length: usize,
    },
    /// The card answered with another secure channel protocol.
    #[error("the card offers SCP{scp:02X} for key version {kvn:02X}; only SCP03 is supported")]
    OtherProtocol {
        /// Protocol identifier.
        scp: u8,
        /// Key version.
        kvn: u8,
    },
    /// Wrong keys.
    #[error(transparent)]
    Cryptogram(#[from] CryptogramDiffers),
    /// The level asks for more than the card's i parameter offers.
    #[error("level {level} is not offered by a card with i = {i}")]
    LevelNotOffered {
        /// Level asked for.
        level: SecurityLevel,
        /// The card's parameter.
        i: IParameter,
    },
    /// The card refused the host.
    #[error(transparent)]
    HostRefused(#[from] HostRefused),
    /// Secure messaging refused an answer.
    #[error(transparent)]
    Fault(#[from] SecurityFault),
    /// A segment of a long command was not answered by a bare 9000.
    #[error("segment {index} of a long command was answered {sw}")]
    Segment {
        /// Number of the segment, from 0.
        index: usize,
        /// The card's answer.
        sw: StatusWord,
    },
    /// The session ended by an earlier fault.
    #[error("the secure channel was closed by an earlier fault")]
    Closed,
    /// The command does not fit an APDU with its MAC and padding, or not one this connection can carry.
    #[error("{length} data bytes do not fit: this channel takes {max}")]
    TooLong {
        /// Plain data bytes.
        length: usize,
        /// Most plain data bytes.
        max: usize,
    },
    /// The key source failed.
    #[error(transparent)]
    Keys(#[from] KeySourceError),
}

impl From<ApduError> for ScpError {
    fn from(error: ApduError) -> Self {
        Self::Card(error.into())
    }
}
