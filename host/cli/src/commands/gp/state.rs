//! Life cycle: `jpkise gp lock`, `unlock`, `terminate`, `status set`.

use jpkise_gp::commands::set_status::{LOCK, UNLOCK};
use jpkise_gp::registry::CardState;
use jpkise_gp::scp03::Session;
use jpkise_gp::workflow;
use jpkise_wire::Aid;
use serde_json::json;

use super::work::Plan;
use super::{words, Gp};
use crate::args::gp::{Holder, LockArgs, State};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::chip_id;

/// Locks the card or an object.
pub fn lock(gp: &Gp<'_>, arguments: &LockArgs) -> Result<(), CliError> {
    match arguments.object {
        None => card(gp, CardState::CardLocked),
        Some(aid) => object(gp, aid, LOCK, arguments.with_applications),
    }
}

/// Unlocks the card or an object.
pub fn unlock(gp: &Gp<'_>, arguments: &LockArgs) -> Result<(), CliError> {
    match arguments.object {
        None => card(gp, CardState::Secured),
        Some(aid) => object(gp, aid, UNLOCK, arguments.with_applications),
    }
}

/// Ends the card's life.
pub fn terminate(gp: &Gp<'_>) -> Result<(), CliError> {
    card(gp, CardState::Terminated)
}

/// Any state, by name or byte.
pub fn set(gp: &Gp<'_>, holder: Holder, state: State, with_applications: bool) -> Result<(), CliError> {
    let unfit =
        || CliError::new(Exit::Usage, Text::new("err-state-of-other")).next(Text::new("rec-state-of-other"));
    match (holder, state) {
        (Holder::Card, State::Card(state)) if !with_applications => card(gp, state),
        (Holder::Card, State::Byte(value)) if !with_applications => {
            card(gp, CardState::new(value).ok_or_else(unfit)?)
        }
        (Holder::Object(aid), State::Object(value) | State::Byte(value)) => {
            object(gp, aid, value, with_applications)
        }
        _ => Err(unfit()),
    }
}

fn card(gp: &Gp<'_>, state: CardState) -> Result<(), CliError> {
    gp.with_card(|target| {
        let keys = gp.keys(target)?;
        let mut plan = Plan::new(gp.app);
        let text = Text::new("gp-plan-card-state").with("state", state.name());
        plan.step("set-card-state", &text, json!({ "state": state.name() }))?;
        match state {
            // --card-id has named the card already, in so many letters.
            CardState::Terminated if gp.arguments.channel.card_id.is_some() && gp.app.global.yes => {}
            CardState::Terminated if gp.app.global.dry_run => {}
            CardState::Terminated => {
                let chip = chip_id(&mut Session::select(&mut target.card, None)?)?;
                gp.app.talk(&Text::new("gp-terminate-warning"));
                gp.app
                    .typed(&Text::new("gp-ask-terminate").with("id", &chip), &chip)
                    .map_err(|error| error.next(Text::new("rec-terminate").with("id", &chip)))?;
            }
            CardState::CardLocked => plan.consent(&Text::new("gp-ask-lock-card"))?,
            // One way, but nothing is lost; the way back from a lock.
            CardState::OpReady | CardState::Initialized | CardState::Secured => {}
        }
        let options = gp.channel_options(&keys, workflow::LevelChoice::Best);
        let mut channel = keys.open_with(&mut target.card, &options)?;
        workflow::set_card_status(&mut plan.over(&mut channel), state)?;
        plan.finish(&Text::new("gp-card-state").with("state", state.name()), json!({ "card": state.name() }))
    })
}

fn object(gp: &Gp<'_>, aid: Aid, state: u8, with_applications: bool) -> Result<(), CliError> {
    gp.with_best_channel(|channel, _| {
        let mut plan = Plan::new(gp.app);
        let key = match (state, with_applications) {
            (LOCK, false) => "gp-plan-lock",
            (LOCK, true) => "gp-plan-lock-all",
            (UNLOCK, false) => "gp-plan-unlock",
            (UNLOCK, true) => "gp-plan-unlock-all",
            _ => "gp-plan-state",
        };
        let shown = format!("{state:02X}");
        let text = Text::new(key).with("aid", words::named(&aid)).with("state", &shown);
        plan.step("set-state", &text, json!({ "object": aid.to_string(), "state": shown }))?;
        {
            let mut guarded = plan.over(channel);
            if with_applications {
                workflow::set_domain_status(&mut guarded, aid, state)?;
            } else {
                workflow::set_application_status(&mut guarded, aid, state)?;
            }
        }
        // What the card made of it is what counts.
        let entry = if gp.app.global.dry_run { None } else { workflow::read_entry(channel, &aid)? };
        let now = entry.as_ref().map_or_else(|| shown.clone(), |e| words::life_cycle(e.life_cycle));
        let done = Text::new("gp-state").with("aid", words::named(&aid)).with("state", now);
        let fields = json!({ "object": aid.to_string(), "entry": entry.as_ref().map(words::object) });
        plan.finish(&done, fields)
    })
}
