//! What the API throws, by reason; the exception an app sees is named by [`OmapiError::exception`].

use jpkise_card::CardError;
use jpkise_wire::StatusWord;

use crate::ace::Denial;

/// A call with an argument the API refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IllegalArgument {
    /// An AID of a length other than 5 to 16.
    #[error("an AID has 5 to 16 bytes, not {0}")]
    AidLength(usize),
    /// A command whose length does not fit its Lc and Le, or below four bytes.
    #[error("Lc, data and Le do not fit a command of {0} bytes")]
    CommandLength(usize),
    /// Class FF.
    #[error("class FF is not allowed")]
    ClassFf,
    /// An instruction 6x or 9x.
    #[error("instruction {0:02X} is not allowed")]
    Instruction(u8),
}

/// Why the API refuses for security.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Security {
    /// The enforcer lets the app open no channel to the applet.
    #[error(transparent)]
    Denied(Box<Denial>),
    /// MANAGE CHANNEL belongs to the service.
    #[error("MANAGE CHANNEL is not allowed")]
    ManageChannel,
    /// SELECT by name belongs to the service.
    #[error("SELECT by name is not allowed")]
    SelectByName,
    /// No filter of the app's rules lets this header pass.
    #[error("no filter of the access rules lets {} pass", hex::encode_upper(.header))]
    Filtered {
        /// CLA INS P1 P2 as the app gave them.
        header: [u8; 4],
    },
}

/// An error of the API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmapiError {
    /// The way to the secure element failed.
    #[error(transparent)]
    Io(#[from] CardError),
    /// The secure element refused SELECT with a word that has no meaning of its own here.
    #[error("SELECT answered {0}")]
    SelectFailed(StatusWord),
    /// The answer to MANAGE CHANNEL names no channel.
    #[error("MANAGE CHANNEL answered no channel number")]
    NoChannelNumber,
    /// No applet of that AID.
    #[error("no such applet ({0})")]
    NoSuchElement(StatusWord),
    /// Refused for security.
    #[error(transparent)]
    Security(#[from] Security),
    /// Wrong argument.
    #[error(transparent)]
    IllegalArgument(#[from] IllegalArgument),
    /// The channel or session is closed.
    #[error("the channel or session is closed")]
    Closed,
    /// A P2 the secure element or the API does not have.
    #[error("P2 {0:02X} is not supported")]
    P2(u8),
    /// The basic channel without AID, while something other than the default applet is selected on it.
    #[error("the default applet is not selected on the basic channel")]
    NotDefault,
    /// `selectNext` on a channel opened without AID.
    #[error("the channel was opened without an AID")]
    NoAid,
    /// `selectNext` is not supported.
    #[error("SELECT next answered {0}")]
    SelectNext(StatusWord),
}

impl OmapiError {
    /// The exception an app would see.
    pub const fn exception(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::SelectFailed(_) | Self::NoChannelNumber => "java.io.IOException",
            Self::NoSuchElement(_) => "java.util.NoSuchElementException",
            Self::Security(_) => "java.lang.SecurityException",
            Self::IllegalArgument(_) => "java.lang.IllegalArgumentException",
            Self::Closed => "java.lang.IllegalStateException",
            Self::P2(_) | Self::NotDefault | Self::NoAid | Self::SelectNext(_) => {
                "java.lang.UnsupportedOperationException"
            }
        }
    }
}
