//! `jpkise gp info` and `jpkise gp status`: reading, with as few commands as it takes.

use jpkise_gp::commands::get_data::TAG_EXTENDED_RESOURCES;
use jpkise_gp::commands::get_status::{get_status, parse, AnswerForm, Subset};
use jpkise_gp::identity::ExtendedResources;
use jpkise_gp::scp03::Session;
use jpkise_gp::workflow::{self, ChannelOptions, Exchange};
use jpkise_gp::{GpError, Stage};
use jpkise_wire::scp03::SequenceCounter;
use jpkise_wire::{Aid, StatusWord};
use serde_json::json;

use super::{identity, words, Gp};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::Keys;

/// Who the card is. Opens no channel, unless the test keys are to be tried.
pub fn run(gp: &Gp<'_>, try_test_keys: bool) -> Result<(), CliError> {
    gp.with_card(|target| {
        let test_keys =
            if try_test_keys { Some(Keys::test(gp.app, &gp.arguments.keys, target)?) } else { None };
        // A domain other than the issuer's may not know the number that failures are counted under.
        if let (Some(keys), Some(_)) = (&test_keys, gp.arguments.channel.sd) {
            keys.counted(&mut target.card)?;
        }
        let mut session = gp.select(target)?;
        let locked = session.status() == StatusWord::CARD_LOCKED;
        let told = workflow::read_identity(&mut session)?;
        let opened = match &test_keys {
            None => None,
            Some(keys) => {
                let options = ChannelOptions::default().with_kvn(keys.kvn);
                match keys.open_selected(session, &options) {
                    Ok(_) => Some(true),
                    // Other keys, and a card that says so, are the answer that was asked for.
                    Err(error) if error.exit == Exit::Authentication => {
                        crate::app::talk_error(&gp.app.messages, &error);
                        Some(false)
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let mut object = identity::object(&told);
        object["locked"] = json!(locked);
        object["test_keys"] = json!(opened);
        gp.app.json(&object)?;
        identity::show(gp, &told)?;
        if locked {
            gp.line(&Text::new("gp-card-is-locked"))?;
        }
        match opened {
            None => Ok(()),
            Some(true) => gp.line(&Text::new("gp-test-keys-open")),
            Some(false) => gp.line(&Text::new("gp-test-keys-do-not-open")),
        }
    })
}

/// Life cycle of the card, or everything about one object.
pub fn status(gp: &Gp<'_>, object: Option<Aid>) -> Result<(), CliError> {
    gp.with_best_channel(|channel, keys| match object {
        Some(aid) => {
            let entry = workflow::read_entry(channel, &aid)?
                .ok_or_else(|| CliError::new(Exit::Refused, Text::new("err-not-on-card").with("aid", aid)))?;
            gp.line(&words::entry(&entry))?;
            super::list::details(gp, &entry)?;
            gp.app.json(&words::object(&entry))
        }
        None => card(gp, channel, keys.source.has_published_key()),
    })
}

fn card(gp: &Gp<'_>, channel: &mut crate::keys::Channel<'_, '_>, test_keys: bool) -> Result<(), CliError> {
    let answer = channel.exchange(&get_status(Subset::IssuerDomain, AnswerForm::Tlv, false, &[], &[]))?;
    let refused = |sw| {
        GpError::Refused(jpkise_gp::Refusal { stage: Stage::GetStatus, sw, subject: None, progress: None })
    };
    if !answer.sw.is_success() {
        return Err(refused(answer.sw).into());
    }
    let entries = parse(Subset::IssuerDomain, AnswerForm::Tlv, &answer.data)
        .map_err(|error| GpError::Answer { stage: Stage::GetStatus, error })?;
    let resources = workflow::get_data(channel, TAG_EXTENDED_RESOURCES)?;
    let resources = resources.and_then(|bytes| ExtendedResources::parse(&bytes));
    let info = *channel.info();
    let entry = entries.first();
    if let Some(entry) = entry {
        gp.line(&words::entry(entry))?;
        super::list::details(gp, entry)?;
    }
    gp.field("gp-field-session", session_words(gp, channel))?;
    if let Some(counter) = info.sequence_counter {
        gp.field("gp-field-counter", counter.value())?;
    }
    if let Some(resources) = resources {
        let text = Text::new("gp-memory")
            .with("persistent", resources.free_non_volatile)
            .with("transient", resources.free_volatile);
        gp.field("gp-field-memory", gp.app.messages.say(&text))?;
    }
    if test_keys {
        gp.line(&Text::new("gp-test-keys-open"))?;
    }
    gp.app.json(&json!({
        "card": entry.map(words::object),
        "session": session(channel),
        "test_keys": test_keys,
        "memory": resources.map(|r| json!({ "free_persistent": r.free_non_volatile, "free_transient": r.free_volatile })),
    }))
}

/// Key version, level and i of the open channel.
pub fn session_words(gp: &Gp<'_>, channel: &crate::keys::Channel<'_, '_>) -> String {
    let info = channel.info();
    let text = Text::new("gp-session")
        .with("kvn", format!("{:02X}", info.set.kvn))
        .with("level", channel.level())
        .with("i", info.key_information.i);
    gp.app.messages.say(&text)
}

/// The same as stable fields.
pub fn session<T: jpkise_card::Transport>(
    channel: &Session<'_, T, jpkise_gp::scp03::Authenticated<'_>>,
) -> serde_json::Value {
    let info = channel.info();
    json!({
        "kvn": format!("{:02X}", info.set.kvn),
        "level": channel.level().to_string(),
        "i": info.key_information.i.to_string(),
        "sequence_counter": info.sequence_counter.map(SequenceCounter::value),
    })
}
