//! The ways to the application: as everybody, and in the SP-TSM's channel.

use jpkise_gp::keys::KeySource;
use jpkise_gp::workflow::{ChannelOptions, LevelChoice};
use jpkise_jpki::edge::{KeyRef, KeyState, INSTANCE_AID};
use jpkise_jpki::{ClientError, JpkiClient};
use jpkise_lab::secrets;
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::Aid;

use crate::app::App;
use crate::args::{JpkiArgs, KeyArgs};
use crate::connect::{AnyCard, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::{Channel, Keys};

/// The application's AID: the deployed one unless another is named.
pub fn aid(arguments: &JpkiArgs) -> Aid {
    arguments.aid.unwrap_or(INSTANCE_AID)
}

/// Selects the application.
pub fn select<'c>(card: &'c mut AnyCard, aid: &Aid) -> Result<JpkiClient<'c, AnyCard>, CliError> {
    JpkiClient::select_aid(card, aid).map_err(|error| match error {
        ClientError::NoApplication(aid) => {
            CliError::new(Exit::Refused, Text::new("err-no-application").with("aid", aid))
                .next(Text::new("rec-no-application"))
        }
        other => other.into(),
    })
}

/// The key's state, where the card tells it: this project's applet does, the deployed card does not.
pub fn state(client: &mut JpkiClient<'_, AnyCard>, key: KeyRef) -> Result<Option<KeyState>, CliError> {
    Ok(client.status()?.map(|status| status.key(key).state))
}

/// Refuses, before a PIN is asked for, what a key in this state would refuse anyway.
pub fn demand_active(client: &mut JpkiClient<'_, AnyCard>, key: KeyRef) -> Result<(), CliError> {
    match state(client, key)? {
        None | Some(KeyState::Active) => Ok(()),
        Some(state) => Err(wrong_state(key, state)),
    }
}

/// As [`demand_active`], for what a key on hold can do too.
pub fn demand_own_secret(client: &mut JpkiClient<'_, AnyCard>, key: KeyRef) -> Result<(), CliError> {
    match state(client, key)? {
        None | Some(KeyState::Active | KeyState::Held) => Ok(()),
        Some(state) => Err(wrong_state(key, state)),
    }
}

/// What the state does not allow, and what to do about it.
pub fn wrong_state(key: KeyRef, state: KeyState) -> CliError {
    let next = match state {
        KeyState::Empty => "rec-state-empty",
        KeyState::Keyed => "rec-state-keyed",
        KeyState::Certified => "rec-state-certified",
        KeyState::Active => "rec-state-active",
        KeyState::Held => "rec-state-held",
        KeyState::Revoked => "rec-state-revoked",
    };
    let text = Text::new("err-key-state")
        .nested("key", key_name(key))
        .with("state", state)
        .nested("meaning", state_name(state));
    CliError::new(Exit::Refused, text).next(Text::new(next).with("key", key))
}

/// A key, as people call it.
pub fn key_name(key: KeyRef) -> Text {
    Text::new(match key {
        KeyRef::Auth => "key-auth",
        KeyRef::Sign => "key-sign",
    })
}

/// A state, in words.
pub fn state_name(state: KeyState) -> Text {
    Text::new(format!("state-{state}").to_lowercase())
}

/// The SP-TSM's keys: those named, or on a simulated card the laboratory's.
pub fn sp_keys(app: &App, arguments: &KeyArgs, target: &Target) -> Result<Keys, CliError> {
    Keys::find_or(app, arguments, target, secrets::sp_keys)
}

/// Opens the applet's own channel at level 13 or above.
pub fn open<'a, 'k>(card: &'a mut AnyCard, keys: &'k Keys, aid: Aid) -> Result<Channel<'a, 'k>, CliError> {
    let options =
        ChannelOptions::to(aid).with_kvn(keys.kvn).with_level(LevelChoice::AtLeast(SecurityLevel::L13));
    keys.open_with(card, &options)
}

/// Says that the keys in use are published ones.
pub fn mark_published(app: &App, keys: &dyn KeySource) {
    if secrets::are_published(keys) {
        app.talk(&Text::new("jpki-test-keys"));
    }
}
