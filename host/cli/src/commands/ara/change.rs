//! From the rules a card holds to the rules wished for: shown, agreed to, kept for the way back, written, read again.

use std::path::{Path, PathBuf};

use jpkise_gp::ara::card::{write, AraError, Way};
use jpkise_gp::ara::{diff, Change, Plan, Rule, RuleFile, StoreCommand, ARA_M_AID};
use jpkise_gp::commands::install;
use jpkise_lab::files::write_whole;
use serde_json::{json, Value};
use time::macros::format_description;
use time::OffsetDateTime;

use super::{held, words};
use crate::app::App;
use crate::args::{AraArgs, WriteArgs};
use crate::connect::{with_card, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::Keys;

/// Bytes of a block where no session tells how many fit (dry run): what level 33 leaves.
const BLOCK: usize = 223;

/// A change before it is made.
pub struct Planned {
    before: Vec<Rule>,
    after: Vec<Rule>,
    plan: Plan,
}

impl Planned {
    /// The steps from `before` to `after`.
    pub fn new(before: Vec<Rule>, after: Vec<Rule>) -> Result<Self, CliError> {
        let plan = diff(&before, &after)?;
        Ok(Self { before, after, plan })
    }

    /// Each rule once, with `+`, `-` or nothing before it.
    pub fn show(&self, app: &App) -> Result<(), CliError> {
        if self.plan.is_empty() {
            return app.result(&app.messages.get("ara-unchanged"));
        }
        let mark = |rule: &Rule| match (self.before.contains(rule), self.after.contains(rule)) {
            (true, true) => "",
            (true, false) => "-",
            _ => "+",
        };
        let mut rows: Vec<(String, &Rule)> = Vec::new();
        for rule in self.before.iter().chain(&self.after) {
            if !rows.iter().any(|(_, other)| *other == rule) {
                rows.push((mark(rule).to_owned(), rule));
            }
        }
        words::show(app, &rows)?;
        if self.plan.changes.iter().any(|change| matches!(change, Change::Guard(_))) {
            app.result(&app.messages.get("ara-guard"))?;
        }
        Ok(())
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let only = |of: &[Rule], not: &[Rule]| -> Vec<Value> {
            of.iter().filter(|rule| !not.contains(rule)).map(words::rule_json).collect()
        };
        json!({
            "before": self.before.iter().map(words::rule_json).collect::<Vec<_>>(),
            "after": self.after.iter().map(words::rule_json).collect::<Vec<_>>(),
            "added": only(&self.after, &self.before),
            "removed": only(&self.before, &self.after),
            "commands": self.plan.changes.len(),
        })
    }
}

/// Makes the rules what `wish` makes of those present.
pub fn run(
    app: &App,
    arguments: &AraArgs,
    how: &WriteArgs,
    wish: impl Fn(&[Rule]) -> Result<Vec<Rule>, CliError>,
) -> Result<(), CliError> {
    with_card(app, &arguments.card, |target| {
        let held = held(&mut target.card)?;
        let desired = wish(&held.rules)?;
        let planned = Planned::new(held.rules, desired)?;
        planned.show(app)?;
        let mut object = planned.json();
        if planned.plan.is_empty() {
            return app.json(&object);
        }
        let commands: Vec<StoreCommand> = planned.plan.commands().collect();
        if app.global.dry_run {
            object["apdus"] = show_commands(app, how, &commands)?;
            return app.json(&object);
        }
        // Keys are looked for first: nobody should agree to something that then fails for want of a flag.
        let keys = Keys::find(app, &arguments.keys, target)?;
        agree(app, target, "ara-consent")?;
        let rollback = keep_before(app, how, &planned.before)?;
        object["rollback"] = json!(rollback.display().to_string());
        let tag = carry_out(target, &keys, how, &commands)
            .and_then(|()| after(target, &planned.after))
            .map_err(|error| error.next(Text::new("rec-ara-rollback").with("path", rollback.display())))?;
        object["refresh_tag"] = json!(tag);
        app.result(&app.messages.say(&Text::new("ara-written").with("tag", tag)))?;
        app.json(&object)
    })
}

/// Sends command objects that leave the rules as they are.
pub fn send(
    app: &App,
    arguments: &AraArgs,
    how: &WriteArgs,
    commands: &[StoreCommand],
    question: &str,
) -> Result<(), CliError> {
    with_card(app, &arguments.card, |target| {
        let before = held(&mut target.card)?;
        if app.global.dry_run {
            let apdus = show_commands(app, how, commands)?;
            return app.json(&json!({ "apdus": apdus }));
        }
        let keys = Keys::find(app, &arguments.keys, target)?;
        agree(app, target, question)?;
        carry_out(target, &keys, how, commands)?;
        let tag = after(target, &before.rules)?;
        app.result(&app.messages.say(&Text::new("ara-written").with("tag", &tag)))?;
        app.json(&json!({ "refresh_tag_before": before.refresh_tag.to_string(), "refresh_tag": tag }))
    })
}

fn agree(app: &App, target: &Target, question: &str) -> Result<(), CliError> {
    // A simulated card is nobody's loss.
    if target.simulated {
        return Ok(());
    }
    app.consent(&Text::new(question).with("reader", target.card.name()))
}

/// Writes the rules of before to a file that `apply` takes.
fn keep_before(app: &App, how: &WriteArgs, before: &[Rule]) -> Result<PathBuf, CliError> {
    let now = OffsetDateTime::now_utc();
    let stamp = now
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .map_err(|e| CliError::internal(e.to_string()))?;
    let path = match &how.rollback {
        Some(path) => path.clone(),
        None => free_name(&stamp),
    };
    let text = RuleFile::write(before, &format!("Access rules before the change of {stamp}."));
    write_whole(&path, text.as_bytes())?;
    app.talk(&Text::new("ara-rollback").with("path", path.display()));
    Ok(path)
}

/// A name that no file has yet: two changes in a second must not share their way back.
fn free_name(stamp: &str) -> PathBuf {
    let numbered = (1u32..).map(|n| PathBuf::from(format!("ara-rollback-{stamp}-{n}.toml")));
    let mut names = std::iter::once(PathBuf::from(format!("ara-rollback-{stamp}.toml"))).chain(numbered);
    names.find(|path| !path.exists()).unwrap_or_else(|| Path::new("ara-rollback.toml").to_owned())
}

fn carry_out(
    target: &mut Target,
    keys: &Keys,
    how: &WriteArgs,
    commands: &[StoreCommand],
) -> Result<(), CliError> {
    let (domain, way) = if how.direct { (Some(ARA_M_AID), Way::Direct) } else { (how.domain, Way::Domain) };
    let mut channel = keys.open(&mut target.card, domain)?;
    Ok(write(&mut channel, way, commands, &mut |_| {})?)
}

/// Reads the rules again, as a phone will, and compares. Returns the refresh tag.
fn after(target: &mut Target, expected: &[Rule]) -> Result<String, CliError> {
    let held = held(&mut target.card)?;
    let sorted = |rules: &[Rule]| {
        let mut rules = rules.to_vec();
        rules.sort();
        rules.dedup();
        rules
    };
    if sorted(&held.rules) != sorted(expected) {
        return Err(CliError::new(Exit::Refused, Text::new("err-ara-after")));
    }
    Ok(held.refresh_tag.to_string())
}

/// The commands as they would go into the channel, in clear.
fn show_commands(app: &App, how: &WriteArgs, commands: &[StoreCommand]) -> Result<Value, CliError> {
    let mut apdus = Vec::new();
    for command in commands {
        if !how.direct {
            apdus.push(install::personalize(&ARA_M_AID));
        }
        apdus.extend(command.commands(BLOCK).map_err(|e| CliError::from(AraError::Gp(e.into())))?);
    }
    app.result(&app.messages.get("ara-dry-run"))?;
    let mut texts = Vec::new();
    for apdu in apdus {
        let bytes = apdu.to_bytes().map_err(|e| CliError::internal(e.to_string()))?;
        let text = hex::encode_upper(bytes.as_slice());
        app.result(&format!("  {text}"))?;
        texts.push(text);
    }
    Ok(json!(texts))
}
