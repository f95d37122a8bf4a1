//! What can go wrong for the SP-TSM.

use jpkise_wire::scp03::SecurityLevel;

use crate::channel::{ChannelError, Refusal};
use crate::client::ClientError;
use crate::edge::{EdgeError, KeyRef, KeyState, PackError};

/// Why an administrative operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The channel lacks C-MAC, C-DECRYPTION or R-MAC. Without R-MAC whoever relays could swap the public key.
    #[error("level {0} of the secure channel is below 13")]
    Level(SecurityLevel),
    /// The way to the card failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The card refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The card answered 9000 with data that make no sense.
    #[error("malformed answer: {0}")]
    Malformed(#[from] EdgeError),
    /// The data cannot be sent.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The user's app could not set the user's own secret.
    #[error("the app could not set the secret of the {key} key: {source}")]
    App {
        /// Whose secret.
        key: KeyRef,
        /// The app's error.
        source: ClientError,
    },
    /// The attestation does not say what was just done.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
}

/// An attestation that contradicts what the host knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Another nonce than the one asked with: an old answer.
    #[error("the attestation is not for the nonce asked with")]
    Nonce,
    /// Another state.
    #[error("the {key} key is {found}, not {expected}")]
    State {
        /// The key.
        key: KeyRef,
        /// State it should be in.
        expected: KeyState,
        /// State attested.
        found: KeyState,
    },
    /// Another key than the one the certificate is for.
    #[error("the card attests another {key} key than the one certified")]
    Key {
        /// The key.
        key: KeyRef,
    },
}
