//! What can go wrong for a user, each case a type of its own.

use jpkise_card::SecretKind;
use jpkise_wire::Aid;

use crate::channel::{ChannelError, Refusal};
use crate::edge::signature::SchemeError;
use crate::edge::{EdgeError, Ef, KeyRef};

/// Why a user's operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The way to the card failed; nothing is known about PIN or password.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The PIN or password is wrong; tries are left, as many as the card just said.
    #[error("wrong {}, {tries_left} tries left", .secret.name())]
    WrongSecret {
        /// PIN or password.
        secret: SecretKind,
        /// Tries left after this one, at least 1.
        tries_left: u8,
    },
    /// The PIN or password is blocked. Only a reset by the SP-TSM (on a card: the municipal office) helps.
    #[error("the {} is blocked", .secret.name())]
    Blocked {
        /// PIN or password.
        secret: SecretKind,
        /// Whether it was this try that used the counter up.
        by_this_try: bool,
    },
    /// The temporary PIN or password is gone: wrong, used, or set in a secure channel that is not open any more. The SP-TSM
    /// has to set another.
    #[error("the temporary {} does not hold any more", .0.name())]
    TemporaryGone(SecretKind),
    /// The card does not take a new PIN or password of this form.
    #[error("the card refuses the form of the new {}", .0.name())]
    SecretForm(SecretKind),
    /// VERIFY has to come first.
    #[error("the {key} key's secret was not verified")]
    NotVerified {
        /// The key.
        key: KeyRef,
    },
    /// The key is not in a state that allows this: no certificate, no secret of the user's own yet, on hold or revoked,
    /// or its lease is used up. The card's status tells which.
    #[error("the {key} key is in no state for {command}")]
    NotUsable {
        /// The key.
        key: KeyRef,
        /// What was asked.
        command: &'static str,
    },
    /// The application is not on the card.
    #[error("no application {0} on the card")]
    NoApplication(Aid),
    /// The file is not there, or empty.
    #[error("no file {0} on the card")]
    NoFile(Ef),
    /// The input does not fit the signing scheme.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// Any other refusal.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The card answered 9000 with data that make no sense.
    #[error("malformed answer: {0}")]
    Malformed(#[from] EdgeError),
}
