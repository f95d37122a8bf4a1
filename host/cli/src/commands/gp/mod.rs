//! `jpkise gp`: any GlobalPlatform card.

mod content;
mod data;
mod delete;
mod domain;
mod identity;
mod info;
mod keys;
mod list;
mod load;
mod send;
mod state;
mod words;
mod work;

use jpkise_gp::scp03::Session;
use jpkise_gp::workflow::{ChannelOptions, LevelChoice};
use unicode_width::UnicodeWidthStr;

use crate::app::App;
use crate::args::gp::{DomainVerb, GpArgs, GpVerb, StatusVerb};
use crate::connect::{with_card, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::{chip_id, Channel, Keys, Selection};

pub use work::Plan;

/// Columns of a field's name.
const FIELD_NAME: usize = 24;

/// Runs the verb.
pub fn run(app: &App, arguments: &GpArgs) -> Result<(), CliError> {
    let gp = Gp { app, arguments };
    match &arguments.verb {
        GpVerb::Info { try_test_keys } => info::run(&gp, *try_test_keys),
        GpVerb::List => list::run(&gp),
        GpVerb::Status(status) => match &status.verb {
            None => info::status(&gp, status.object),
            Some(_) if status.object.is_some() => Err(CliError::new(Exit::Usage, Text::new("err-usage"))),
            Some(StatusVerb::Set { holder, new_state, with_applications }) => {
                state::set(&gp, *holder, *new_state, *with_applications)
            }
        },
        GpVerb::Load(load) => load::run(&gp, load),
        GpVerb::Install(install) => content::install(&gp, install),
        GpVerb::Delete(objects) => delete::run(&gp, objects),
        GpVerb::Domain { verb: DomainVerb::Create(create) } => domain::create(&gp, create),
        GpVerb::Domain { verb: DomainVerb::Delete(objects) } => domain::delete(&gp, objects),
        GpVerb::Domain { verb: DomainVerb::Extradite { object, to } } => domain::extradite(&gp, *object, *to),
        GpVerb::Keys { verb } => keys::run(&gp, verb),
        GpVerb::Lock(lock) => state::lock(&gp, lock),
        GpVerb::Unlock(lock) => state::unlock(&gp, lock),
        GpVerb::Terminate => state::terminate(&gp),
        GpVerb::StoreData(data) => data::run(&gp, data),
        GpVerb::Send(send) => send::run(&gp, send),
    }
}

/// What every verb works with.
struct Gp<'a> {
    app: &'a App,
    arguments: &'a GpArgs,
}

impl Gp<'_> {
    /// Runs `work` on the card, once it is the one that `--card-id` names.
    fn with_card<R>(&self, work: impl FnOnce(&mut Target) -> Result<R, CliError>) -> Result<R, CliError> {
        with_card(self.app, &self.arguments.card, |target| {
            if let Some(expected) = &self.arguments.channel.card_id {
                let found = chip_id(&mut Session::select(&mut target.card, None)?)?;
                if !found.eq_ignore_ascii_case(expected) {
                    let text = Text::new("err-other-card").with("expected", expected).with("found", found);
                    return Err(CliError::new(Exit::Policy, text).next(Text::new("rec-other-card")));
                }
            }
            work(target)
        })
    }

    /// The keys that may be used on the card.
    fn keys(&self, target: &Target) -> Result<Keys, CliError> {
        let keys = Keys::find(self.app, &self.arguments.keys, target)?;
        if keys.source.has_published_key() && !target.simulated {
            self.app.talk(&Text::new("gp-test-keys-used"));
        }
        Ok(keys)
    }

    /// Selects the domain that `--sd` names, without a channel.
    fn select<'c>(&self, target: &'c mut Target) -> Result<Selection<'c>, CliError> {
        Ok(Session::select(&mut target.card, self.arguments.channel.sd.as_ref())?)
    }

    /// How the channel is opened; `otherwise` where `--level` says nothing.
    fn channel_options(&self, keys: &Keys, otherwise: LevelChoice) -> ChannelOptions {
        let level = self.arguments.channel.level.map_or(otherwise, LevelChoice::Exactly);
        ChannelOptions { aid: self.arguments.channel.sd, level, ..ChannelOptions::default() }
            .with_kvn(keys.kvn)
    }

    /// Runs `work` in a channel to the domain that `--sd` names.
    fn with_channel<R>(
        &self,
        otherwise: LevelChoice,
        work: impl FnOnce(&mut Channel<'_, '_>, &Keys) -> Result<R, CliError>,
    ) -> Result<R, CliError> {
        self.with_card(|target| {
            let keys = self.keys(target)?;
            let options = self.channel_options(&keys, otherwise);
            let mut channel = keys.open_with(&mut target.card, &options)?;
            work(&mut channel, &keys)
        })
    }

    /// As [`Self::with_channel`] at the best level.
    fn with_best_channel<R>(
        &self,
        work: impl FnOnce(&mut Channel<'_, '_>, &Keys) -> Result<R, CliError>,
    ) -> Result<R, CliError> {
        self.with_channel(LevelChoice::Best, work)
    }

    /// A line of result.
    fn line(&self, text: &Text) -> Result<(), CliError> {
        self.app.result(&self.app.messages.say(text))
    }

    /// A line `name  value` of result, indented, values below one another.
    fn field(&self, name: &str, value: impl std::fmt::Display) -> Result<(), CliError> {
        let name = self.app.messages.get(name);
        let padding = " ".repeat(FIELD_NAME.saturating_sub(name.width()));
        self.app.result(&format!("  {name}{padding}  {value}"))
    }
}
