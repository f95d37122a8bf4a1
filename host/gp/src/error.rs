//! What a workflow reports: at which stage, with which status word, about what.

use jpkise_card::CardError;
use jpkise_wire::scp03::KeyCheckValue;
use jpkise_wire::{Aid, StatusWord};

use crate::commands::{AnswerError, BuildError};
use crate::keys::{KeySourceError, TryError};
use crate::scp03::ScpError;

/// The command a workflow was at. Its name is stable: message keys and JSON fields use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// SELECT.
    Select,
    /// MANAGE CHANNEL.
    ManageChannel,
    /// INITIALIZE UPDATE.
    InitializeUpdate,
    /// EXTERNAL AUTHENTICATE.
    ExternalAuthenticate,
    /// GET DATA.
    GetData,
    /// GET STATUS.
    GetStatus,
    /// INSTALL [for load].
    InstallForLoad,
    /// LOAD.
    Load,
    /// INSTALL [for install], with or without make selectable.
    InstallForInstall,
    /// INSTALL [for make selectable].
    MakeSelectable,
    /// INSTALL [for extradition].
    Extradition,
    /// INSTALL [for personalization].
    Personalization,
    /// INSTALL [for registry update].
    RegistryUpdate,
    /// PUT KEY.
    PutKey,
    /// DELETE of an application or load file.
    Delete,
    /// DELETE of keys.
    DeleteKey,
    /// SET STATUS.
    SetStatus,
    /// STORE DATA.
    StoreData,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 18] = [
        Self::Select,
        Self::ManageChannel,
        Self::InitializeUpdate,
        Self::ExternalAuthenticate,
        Self::GetData,
        Self::GetStatus,
        Self::InstallForLoad,
        Self::Load,
        Self::InstallForInstall,
        Self::MakeSelectable,
        Self::Extradition,
        Self::Personalization,
        Self::RegistryUpdate,
        Self::PutKey,
        Self::Delete,
        Self::DeleteKey,
        Self::SetStatus,
        Self::StoreData,
    ];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::ManageChannel => "manage-channel",
            Self::InitializeUpdate => "initialize-update",
            Self::ExternalAuthenticate => "external-authenticate",
            Self::GetData => "get-data",
            Self::GetStatus => "get-status",
            Self::InstallForLoad => "install-for-load",
            Self::Load => "load",
            Self::InstallForInstall => "install",
            Self::MakeSelectable => "make-selectable",
            Self::Extradition => "extradition",
            Self::Personalization => "personalization",
            Self::RegistryUpdate => "registry-update",
            Self::PutKey => "put-key",
            Self::Delete => "delete",
            Self::DeleteKey => "delete-key",
            Self::SetStatus => "set-status",
            Self::StoreData => "store-data",
        }
    }

    /// The command as the standard writes it.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::ManageChannel => "MANAGE CHANNEL",
            Self::InitializeUpdate => "INITIALIZE UPDATE",
            Self::ExternalAuthenticate => "EXTERNAL AUTHENTICATE",
            Self::GetData => "GET DATA",
            Self::GetStatus => "GET STATUS",
            Self::InstallForLoad => "INSTALL [for load]",
            Self::Load => "LOAD",
            Self::InstallForInstall => "INSTALL [for install]",
            Self::MakeSelectable => "INSTALL [for make selectable]",
            Self::Extradition => "INSTALL [for extradition]",
            Self::Personalization => "INSTALL [for personalization]",
            Self::RegistryUpdate => "INSTALL [for registry update]",
            Self::PutKey => "PUT KEY",
            Self::Delete => "DELETE",
            Self::DeleteKey => "DELETE [key]",
            Self::SetStatus => "SET STATUS",
            Self::StoreData => "STORE DATA",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.command())
    }
}

/// A command the card refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{stage} refused with {sw}")]
pub struct Refusal {
    /// Which command.
    pub stage: Stage,
    /// The card's answer.
    pub sw: StatusWord,
    /// What it was about.
    pub subject: Option<Aid>,
    /// How far a series of blocks had come.
    pub progress: Option<Progress>,
}

/// How far a series of blocks has come; also what a progress bar shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Blocks the card has accepted.
    pub blocks: usize,
    /// Blocks in all.
    pub of_blocks: usize,
    /// Data bytes the card has accepted.
    pub bytes: usize,
    /// Data bytes in all.
    pub of_bytes: usize,
}

/// Why a workflow stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpError {
    /// The channel could not be opened, or broke.
    #[error(transparent)]
    Channel(#[from] ScpError),
    /// The card refused a command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An answer without the form its command prescribes.
    #[error("answer to {stage}: {error}")]
    Answer {
        /// Which command.
        stage: Stage,
        /// What is wrong.
        error: AnswerError,
    },
    /// A request that has no coding; nothing was sent.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The card's check values of new keys differ from ours: it holds other keys than were meant.
    #[error("key version {kvn:02X}: the card computed check values {found:?}, expected {expected:?}")]
    KeyCheck {
        /// New key version.
        kvn: u8,
        /// Check values of the keys sent.
        expected: [KeyCheckValue; 3],
        /// Check values in the answer.
        found: Vec<KeyCheckValue>,
    },
    /// The new keys are on the card but do not open a channel; the old set is still there.
    #[error("new keys under version {kvn:02X} do not open a channel: {error}")]
    NewKeysUnproven {
        /// New key version.
        kvn: u8,
        /// Why the channel did not open.
        error: Box<ScpError>,
    },
    /// Too many failures on this card already, or they cannot be counted; nothing was sent.
    #[error(transparent)]
    Tries(#[from] TryError),
    /// The level reached is below the one demanded; nothing more was sent.
    #[error("the card offers level {offered}, {demanded} is demanded")]
    Level {
        /// Highest level of the card.
        offered: jpkise_wire::scp03::SecurityLevel,
        /// Level demanded.
        demanded: jpkise_wire::scp03::SecurityLevel,
    },
}

impl From<CardError> for GpError {
    fn from(error: CardError) -> Self {
        Self::Channel(error.into())
    }
}

impl From<KeySourceError> for GpError {
    fn from(error: KeySourceError) -> Self {
        Self::Channel(error.into())
    }
}

impl GpError {
    /// Stage and status word, where a refused command is the cause.
    pub fn refusal(&self) -> Option<(Stage, StatusWord)> {
        match self {
            Self::Refused(refusal) => Some((refusal.stage, refusal.sw)),
            Self::Channel(error) => channel_refusal(error),
            Self::NewKeysUnproven { error, .. } => channel_refusal(error),
            _ => None,
        }
    }

    /// Whether the cause is the way to the card, not the card.
    pub fn is_transport(&self) -> bool {
        matches!(self, Self::Channel(ScpError::Card(CardError::Transport(_))))
    }
}

fn channel_refusal(error: &ScpError) -> Option<(Stage, StatusWord)> {
    match error {
        ScpError::Select { sw, .. } => Some((Stage::Select, *sw)),
        ScpError::Refused(refused) => Some((Stage::InitializeUpdate, refused.sw)),
        ScpError::HostRefused(refused) => Some((Stage::ExternalAuthenticate, refused.sw)),
        _ => None,
    }
}
