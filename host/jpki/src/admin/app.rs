//! The user's side of personalisation. The SP-TSM hands a temporary secret over and never learns the one that replaces it.

use crate::channel::Channel;
use crate::client::{ClientError, JpkiClient};
use crate::edge::{Password, Pin, Secret, Temporary};

/// The app on the phone: gets a temporary secret over its own protected line, and replaces it with the user's by CHANGE
/// REFERENCE DATA, in clear on the selection that the SP-TSM's channel is open on.
pub trait UserApp {
    /// Replaces the temporary PIN.
    fn set_pin(&mut self, temporary: Temporary<Pin>, card: &mut dyn Channel) -> Result<(), ClientError>;

    /// Replaces the temporary password.
    fn set_password(
        &mut self,
        temporary: Temporary<Password>,
        card: &mut dyn Channel,
    ) -> Result<(), ClientError>;
}

/// An app that knows both of the user's secrets beforehand: for labs, tests and the command line.
#[derive(Debug)]
pub struct KnownSecrets {
    /// The user's PIN.
    pub pin: Pin,
    /// The user's password.
    pub password: Password,
}

impl UserApp for KnownSecrets {
    fn set_pin(&mut self, temporary: Temporary<Pin>, card: &mut dyn Channel) -> Result<(), ClientError> {
        replace_temporary(card, &temporary, &self.pin)
    }

    fn set_password(
        &mut self,
        temporary: Temporary<Password>,
        card: &mut dyn Channel,
    ) -> Result<(), ClientError> {
        replace_temporary(card, &temporary, &self.password)
    }
}

/// What an app does with a temporary secret: CHANGE REFERENCE DATA with it and the user's own. Short identifiers save the
/// SELECT EF; only this project's applet has temporary secrets, and it takes them.
pub fn replace_temporary<S: Secret>(
    card: &mut dyn Channel,
    temporary: &Temporary<S>,
    own: &S,
) -> Result<(), ClientError> {
    JpkiClient::on_selected(card).with_short_identifiers().change_temporary(temporary, own)
}
