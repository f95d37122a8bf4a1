//! An applet and its access rules as one plan: for `gp install --ara-rules` and `gp delete --with-rules`.

use std::path::Path;

use jpkise_gp::ara::card::read_beside;
use jpkise_gp::ara::{self, Provision, Reading, Rule, Withdrawal};
use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::registry::{Kind, Registry};
use jpkise_gp::workflow::{Deletion, Exchange};
use jpkise_wire::Aid;
use serde_json::json;

use super::{rule_file, words};
use crate::commands::gp::Plan;
use crate::error::CliError;
use crate::i18n::Text;
use crate::keys::Channel;

/// Rules before and after, for what is about to be installed or deleted.
pub struct AppletRules {
    /// Rules that come with the new applet.
    provision: Option<Provision>,
    /// Rules that go with the old ones.
    withdrawal: Withdrawal,
}

impl AppletRules {
    /// What goes with a deletion: the rules of every application in it. The card's rules are read beside the open channel.
    pub fn leaving(
        channel: &mut Channel<'_, '_>,
        registry: &Registry,
        deletion: &Deletion,
    ) -> Result<Self, CliError> {
        let present = read_beside(channel.card(), Reading::Android)?.rules;
        Ok(Self { provision: None, withdrawal: withdrawal(&present, registry, deletion)? })
    }

    /// The rules of `file` for `applet`, which may take the place of something else.
    pub fn coming(
        channel: &mut Channel<'_, '_>,
        registry: &Registry,
        deletion: &Deletion,
        applet: Aid,
        file: &Path,
    ) -> Result<Self, CliError> {
        let rules = rule_file(file)?;
        let present = read_beside(channel.card(), Reading::Android)?.rules;
        let withdrawal = withdrawal(&present, registry, deletion)?;
        let left = if withdrawal.plan().is_empty() { present } else { withdrawal.plan().kept.clone() };
        let provision = Some(Provision::new(applet, &left, &rules)?);
        Ok(Self { provision, withdrawal })
    }

    /// Adds the rules that go to a plan.
    pub fn plan_leaving(&self, plan: &mut Plan<'_>) -> Result<(), CliError> {
        step(plan, "delete-rules", "gp-plan-rules-go", &self.withdrawal.removed())
    }

    /// Adds the rules that come to a plan.
    pub fn plan_coming(&self, plan: &mut Plan<'_>) -> Result<(), CliError> {
        let added = self.provision.as_ref().map(Provision::added).unwrap_or_default();
        step(plan, "write-rules", "gp-plan-rules-come", &added)
    }
}

fn withdrawal(present: &[Rule], registry: &Registry, deletion: &Deletion) -> Result<Withdrawal, CliError> {
    let is_applet =
        |aid: &Aid| registry.find(aid).is_some_and(|entry| entry.life_cycle.kind == Kind::Application);
    let applets: Vec<Aid> = deletion.objects().filter(is_applet).collect();
    Ok(Withdrawal::new(&applets, present)?)
}

fn step(plan: &mut Plan<'_>, action: &str, key: &str, rules: &[Rule]) -> Result<(), CliError> {
    if rules.is_empty() {
        return Ok(());
    }
    let text = Text::new(key).count("count", rules.len() as u64);
    plan.step(action, &text, json!({ "rules": rules.iter().map(words::rule_json).collect::<Vec<_>>() }))
}

/// Deletes applets with their rules; returns what is gone.
pub fn delete_with_rules<X: Exchange>(
    channel: &mut X,
    rules: &AppletRules,
    deletion: &Deletion,
) -> Result<Vec<String>, CliError> {
    let mut gone = Vec::new();
    let delete = |channel: &mut X| deletion.run(channel, &mut |aid| gone.push(aid.to_string()));
    ara::remove_with_rules(channel, &rules.withdrawal, delete, &mut |_| {})?;
    Ok(gone)
}

/// Installs an applet with its rules.
pub fn install_with_rules(
    channel: &mut impl Exchange,
    rules: &AppletRules,
    new: &ForInstall,
) -> Result<(), CliError> {
    match &rules.provision {
        Some(provision) => Ok(ara::install_with_rules(channel, new, provision, &mut |_| {})?),
        None => Ok(jpkise_gp::workflow::install(channel, new)?),
    }
}
