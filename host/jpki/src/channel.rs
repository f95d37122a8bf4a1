//! The ways to the applet: in clear, and through its own secure channel.

use std::error::Error;

use jpkise_card::{Card, CardError, CommandApdu, ResponseApdu, Transport};
use jpkise_gp::keys::KeySource;
use jpkise_gp::scp03::{Authenticated, ScpError, Session};
use jpkise_gp::SecureRandom;
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::{Aid, StatusWord};

/// The way to the card failed. The card's own refusals are status words, never this: a PIN that could not be sent is
/// not a wrong PIN.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Reader, card or connection.
    #[error(transparent)]
    Card(#[from] CardError),
    /// Secure messaging failed: a MAC is wrong or missing. The channel is gone.
    #[error("the secure channel broke: {0}")]
    Secure(#[source] Box<dyn Error + Send + Sync>),
    /// Whatever stands between refused to pass the command on (an access control enforcer, a relay).
    #[error("the command was not passed on: {0}")]
    Denied(#[source] Box<dyn Error + Send + Sync>),
}

/// Commands in clear on the current selection.
pub trait Channel {
    /// Sends one command; 61xx and 6Cxx are dealt with below.
    fn clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ChannelError>;
}

impl<T: Transport> Channel for Card<T> {
    fn clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ChannelError> {
        Ok(self.send(command)?)
    }
}

/// The applet's own secure channel, open: the SP-TSM's side. Clear commands reach the same selection beside it, without
/// moving its counters.
pub trait AdminChannel: Channel {
    /// Wraps, sends, checks and unwraps. The command is given as it is before wrapping (class 80).
    fn secured(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ChannelError>;

    /// Enciphers whole blocks under the channel's Key-DEK.
    fn encrypt_dek(&mut self, clear: &[u8]) -> Result<Vec<u8>, ChannelError>;

    /// Level of the channel.
    fn level(&self) -> SecurityLevel;

    /// Most plain data bytes of one short command.
    fn max_data(&self) -> usize;
}

impl From<ScpError> for ChannelError {
    fn from(error: ScpError) -> Self {
        match error {
            ScpError::Card(error) => Self::Card(error),
            other => Self::Secure(Box::new(other)),
        }
    }
}

impl<'a, T: Transport> Channel for Session<'a, T, Authenticated<'a>> {
    fn clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ChannelError> {
        Ok(self.send_clear(command)?)
    }
}

impl<'a, T: Transport> AdminChannel for Session<'a, T, Authenticated<'a>> {
    fn secured(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ChannelError> {
        Ok(self.send(command)?)
    }

    fn encrypt_dek(&mut self, clear: &[u8]) -> Result<Vec<u8>, ChannelError> {
        Ok(Session::encrypt_dek(self, clear)?)
    }

    fn level(&self) -> SecurityLevel {
        Session::level(self)
    }

    fn max_data(&self) -> usize {
        Session::max_data(self)
    }
}

/// Selects the applet and opens its own secure channel at the highest level that it offers.
pub fn open<'a, T: Transport>(
    card: &'a mut Card<T>,
    aid: &Aid,
    keys: &'a dyn KeySource,
    key_version: u8,
    rng: &mut dyn SecureRandom,
) -> Result<Session<'a, T, Authenticated<'a>>, ScpError> {
    let session = Session::select(card, Some(aid))?.initialize_update(keys, key_version, rng)?;
    let level = session.info().best_level();
    session.external_authenticate(level)
}

/// A status word where 9000 was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{command} was refused with {sw}{}", meaning(*.sw))]
pub struct Refusal {
    /// The command's name in the standard.
    pub command: &'static str,
    /// What the card answered.
    pub sw: StatusWord,
}

fn meaning(sw: StatusWord) -> String {
    sw.standard_text().map(|text| format!(" ({text})")).unwrap_or_default()
}

/// The data of an answer with 9000, otherwise the refusal.
pub(crate) fn accept(command: &'static str, answer: ResponseApdu) -> Result<Vec<u8>, Refusal> {
    jpkise_card::card::data_of(answer).map_err(|sw| Refusal { command, sw })
}
