//! `jpkise jpki hold`, `resume`, `revoke`, `wipe`: the SP-TSM's changes of a key's state, each attested by the card.

use jpkise_card::CommandApdu;
use jpkise_jpki::edge::{admin, Attestation, KeyRef, KeyState};
use jpkise_jpki::{Admin, AdminChannel, AdminError};
use rand::rngs::OsRng;
use serde_json::{json, Value};

use super::card::{aid, key_name, mark_published, open, sp_keys, state_name, wrong_state};
use super::dry::Dry;
use crate::app::App;
use crate::args::{JpkiArgs, Keys, LifeArgs};
use crate::connect::with_card;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// 一時保留
    Hold,
    /// 保留解除
    Resume,
    /// 失効
    Revoke,
    /// 削除
    Wipe,
}

impl Change {
    const fn id(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Wipe => "wipe",
        }
    }

    /// The state it leads to.
    const fn target(self) -> KeyState {
        match self {
            Self::Hold => KeyState::Held,
            Self::Resume => KeyState::Active,
            Self::Revoke => KeyState::Revoked,
            Self::Wipe => KeyState::Empty,
        }
    }

    /// Whether the card allows it in this state.
    const fn is_allowed(self, state: KeyState) -> bool {
        match self {
            Self::Hold => matches!(state, KeyState::Active),
            Self::Resume => matches!(state, KeyState::Held),
            Self::Revoke => !matches!(state, KeyState::Empty),
            Self::Wipe => true,
        }
    }

    fn command(self, key: KeyRef) -> CommandApdu {
        match self {
            Self::Hold => admin::hold(key),
            Self::Resume => admin::resume(key),
            Self::Revoke => admin::revoke(key),
            Self::Wipe => admin::delete(key),
        }
    }

    fn carry_out<C: AdminChannel>(
        self,
        admin: &mut Admin<'_, C>,
        key: KeyRef,
    ) -> Result<Attestation, AdminError> {
        match self {
            Self::Hold => admin.hold(key, &mut OsRng),
            Self::Resume => admin.resume(key, &mut OsRng),
            Self::Revoke => admin.revoke(key, &mut OsRng),
            Self::Wipe => admin.delete(key, &mut OsRng),
        }
    }
}

/// Asks the card for the states, the person for consent, then changes key after key.
pub fn run(app: &App, arguments: &JpkiArgs, own: &LifeArgs, change: Change) -> Result<(), CliError> {
    let aid = aid(arguments);
    if app.global.dry_run {
        let mut dry = Dry::new(app);
        dry.open_channel(&aid, 0);
        dry.attest();
        if change == Change::Wipe && own.which == Keys::All {
            dry.secured(&admin::wipe());
            dry.attest();
        } else {
            for key in own.which.refs() {
                dry.secured(&change.command(key));
                dry.attest();
            }
        }
        return dry.show();
    }
    let (before, after) = with_card(app, &arguments.card, |target| {
        let keys = sp_keys(app, &own.keys, target)?;
        mark_published(app, keys.source.as_ref());
        let mut session = open(&mut target.card, &keys, aid)?;
        let mut admin = Admin::new(&mut session)?;
        let before = admin.attest(&mut OsRng)?;
        let todo = to_change(own.which, change, &before)?;
        if todo.is_empty() {
            app.talk(&Text::new("jpki-nothing-to-do"));
            return Ok((before, before));
        }
        ask(app, change, &todo)?;
        Ok((before, carry_out(&mut admin, change, own.which, &todo)?))
    })?;
    let keys: Vec<Value> = own
        .which
        .refs()
        .into_iter()
        .map(|key| {
            json!({
                "key": key,
                "before": before.key(key).state,
                "state": after.key(key).state,
                "generation": after.key(key).generation,
                "resets": after.key(key).resets,
            })
        })
        .collect();
    for key in own.which.refs() {
        let state = after.key(key).state;
        let text = Text::new("jpki-now")
            .nested("key", key_name(key))
            .with("state", state)
            .nested("meaning", state_name(state));
        app.result(&app.messages.say(&text))?;
    }
    app.json(&json!({ "verb": change.id(), "attested": true, "keys": keys }))
}

/// The keys to change: not those that are there already. With `all`, nothing is sent unless every key allows it.
fn to_change(which: Keys, change: Change, found: &Attestation) -> Result<Vec<KeyRef>, CliError> {
    let mut todo = Vec::new();
    for key in which.refs() {
        let state = found.key(key).state;
        if state == change.target() {
            continue;
        }
        if !change.is_allowed(state) {
            return Err(wrong_state(key, state));
        }
        todo.push(key);
    }
    Ok(todo)
}

fn ask(app: &App, change: Change, todo: &[KeyRef]) -> Result<(), CliError> {
    let names: Vec<String> = todo.iter().map(|key| app.messages.say(&key_name(*key))).collect();
    app.consent(&Text::new(format!("jpki-{}-consent", change.id())).with("keys", names.join(", ")))
}

fn carry_out<C: AdminChannel>(
    admin: &mut Admin<'_, C>,
    change: Change,
    which: Keys,
    todo: &[KeyRef],
) -> Result<Attestation, CliError> {
    if change == Change::Wipe && which == Keys::All {
        return Ok(admin.wipe(&mut OsRng)?);
    }
    let mut last = None;
    for key in todo {
        match change.carry_out(admin, *key) {
            Ok(attestation) => last = Some(attestation),
            Err(error) if last.is_some() => {
                let cause = CliError::from(error);
                let text = Text::new("err-partial").nested("cause", cause.what.clone());
                return Err(CliError::new(Exit::Partial, text)
                    .detail(cause.detail.unwrap_or_default())
                    .next(Text::new("rec-partial")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    last.ok_or_else(|| CliError::internal("nothing to change"))
}
