//! `jpkise jpki pin`: tries, change by the user, reset by the SP-TSM.

use jpkise_jpki::edge::{KeyRef, KeyState};
use jpkise_jpki::Admin;
use rand::rngs::OsRng;
use serde_json::json;

use super::card::{aid, demand_own_secret, mark_published, open, select, sp_keys, wrong_state};
use super::dry::Dry;
use super::secret::{name, OwnSecrets, Secrets};
use crate::app::App;
use crate::args::{JpkiArgs, ResetArgs};
use crate::connect::with_card;
use crate::error::CliError;
use crate::i18n::Text;

/// Tries left of both.
pub fn status(app: &App, arguments: &JpkiArgs) -> Result<(), CliError> {
    let tries = with_card(app, &arguments.card, |target| {
        let mut client = select(&mut target.card, &aid(arguments))?;
        KeyRef::ALL
            .into_iter()
            .map(|key| Ok((key, client.tries_left(key)?)))
            .collect::<Result<Vec<_>, CliError>>()
    })?;
    for (key, tries) in &tries {
        let text = Text::new("jpki-tries").nested("secret", name(*key)).count("tries", (*tries).into());
        app.result(&app.messages.say(&text))?;
    }
    let list: Vec<_> = tries
        .iter()
        .map(|(key, tries)| json!({ "key": key, "tries_left": tries, "blocked": *tries == 0 }))
        .collect();
    app.json(&json!({ "keys": list }))
}

/// The user's change: the old value verified, the new one set. Both are judged by their form before anything is sent.
pub fn change(app: &App, arguments: &JpkiArgs, key: KeyRef) -> Result<(), CliError> {
    if app.global.dry_run {
        let mut dry = Dry::new(app);
        dry.select(&aid(arguments));
        dry.verify(key);
        dry.clear(&jpkise_card::CommandApdu::new(0x00, 0x24, 0x01, 0x80).hiding(secret_kind(key)));
        return dry.show();
    }
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    let tries = with_card(app, &arguments.card, |target| {
        let mut client = select(&mut target.card, &aid(arguments))?;
        demand_own_secret(&mut client, key)?;
        let new = secrets.change(&mut client, key)?;
        new.replace(&mut client)?;
        secrets.say_tries(&mut client, key)
    })?;
    app.result(&app.messages.say(&Text::new("jpki-changed").nested("secret", name(key))))?;
    app.json(&json!({ "changed": key, "tries_left": tries }))
}

const fn secret_kind(key: KeyRef) -> jpkise_card::SecretKind {
    match key {
        KeyRef::Auth => jpkise_card::SecretKind::Pin,
        KeyRef::Sign => jpkise_card::SecretKind::Password,
    }
}

/// The SP-TSM's reset: a temporary value that nobody sees, replaced at once by the user's own.
pub fn reset(app: &App, arguments: &JpkiArgs, own: &ResetArgs) -> Result<(), CliError> {
    let key: KeyRef = own.of.secret.into();
    let aid = aid(arguments);
    if app.global.dry_run {
        let mut dry = Dry::new(app);
        dry.open_channel(&aid, 0);
        dry.reset(key);
        dry.attest();
        return dry.show();
    }
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    let (state, tries, resets) = with_card(app, &arguments.card, |target| {
        let keys = sp_keys(app, &own.keys, target)?;
        mark_published(app, keys.source.as_ref());
        let mut client = select(&mut target.card, &aid)?;
        if let Some(state) = super::card::state(&mut client, key)? {
            if !matches!(state, KeyState::Certified | KeyState::Active) {
                return Err(wrong_state(key, state));
            }
        }
        secrets.say_tries(&mut client, key)?;
        app.consent(&Text::new("jpki-reset-consent").nested("secret", name(key)))?;
        // Chosen before the old one is given up, so that nobody is left with neither.
        let mut app_side = OwnSecrets::default();
        app_side.choose(&mut secrets, key)?;
        let mut session = open(&mut target.card, &keys, aid)?;
        let mut admin = Admin::new(&mut session)?;
        let attestation = admin.reset(key, &mut app_side, &mut OsRng)?;
        drop(session);
        let mut client = select(&mut target.card, &aid)?;
        let tries = secrets.say_tries(&mut client, key)?;
        Ok((attestation.key(key).state, tries, attestation.key(key).resets))
    })?;
    app.result(&app.messages.say(&Text::new("jpki-reset-done").nested("secret", name(key))))?;
    app.json(
        &json!({ "reset": key, "state": state, "tries_left": tries, "resets": resets, "attested": true }),
    )
}
