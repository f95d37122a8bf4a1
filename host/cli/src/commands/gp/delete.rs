//! `jpkise gp delete`: the plan from the registry, the question, then DELETE.

use jpkise_gp::registry::Registry;
use jpkise_gp::workflow::{plan_deletion, read_registry, Deletion, DeletionError, Exchange};
use serde_json::json;

use super::load::{delete, plan_removal};
use super::work::Plan;
use super::Gp;
use crate::args::gp::DeleteArgs;
use crate::commands::ara::{delete_with_rules, AppletRules};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::Channel;

/// Deletes objects, each with what depends on it where that is asked for.
pub fn run(gp: &Gp<'_>, arguments: &DeleteArgs) -> Result<(), CliError> {
    gp.with_best_channel(|channel, _| {
        let registry = read_registry(channel)?;
        from(gp, channel, &registry, arguments)
    })
}

/// Deletes from a registry that has been read.
pub fn from(
    gp: &Gp<'_>,
    channel: &mut Channel<'_, '_>,
    registry: &Registry,
    arguments: &DeleteArgs,
) -> Result<(), CliError> {
    let deletion = planned(registry, arguments)?;
    let rules =
        if arguments.with_rules { Some(AppletRules::leaving(channel, registry, &deletion)?) } else { None };
    carry_out(gp, channel, &deletion, rules.as_ref())
}

fn planned(registry: &Registry, arguments: &DeleteArgs) -> Result<Deletion, CliError> {
    let mut deletion = Deletion::default();
    for object in &arguments.objects {
        let plan = plan_deletion(registry, *object, arguments.related).map_err(refused)?;
        // Named twice, or gone with another already.
        for step in plan.steps {
            if !deletion.objects().any(|aid| aid == step.object) {
                deletion.steps.push(step);
            }
        }
    }
    Ok(deletion)
}

fn carry_out(
    gp: &Gp<'_>,
    channel: &mut impl Exchange,
    deletion: &Deletion,
    rules: Option<&AppletRules>,
) -> Result<(), CliError> {
    let mut plan = Plan::new(gp.app);
    if let Some(rules) = rules {
        rules.plan_leaving(&mut plan)?;
    }
    plan_removal(&mut plan, deletion)?;
    plan.consent(&Text::new("gp-ask-delete").count("count", deletion.objects().count() as u64))?;
    let deleted = remove(&mut plan.over(channel), deletion, rules)?;
    let done = Text::new("gp-deleted").count("count", deleted.len() as u64).with("aids", deleted.join(", "));
    plan.finish(&done, json!({ "deleted": deleted }))
}

/// Deletes, and the access rules with it where they are to go too; what is gone.
pub fn remove(
    channel: &mut impl Exchange,
    deletion: &Deletion,
    rules: Option<&AppletRules>,
) -> Result<Vec<String>, CliError> {
    match rules {
        Some(rules) => delete_with_rules(channel, rules, deletion),
        None => delete(channel, deletion),
    }
}

/// Why the registry forbids a deletion.
pub fn refused(error: DeletionError) -> CliError {
    match error {
        DeletionError::NotOnCard(aid) => {
            CliError::new(Exit::Refused, Text::new("err-not-on-card").with("aid", aid))
                .next(Text::new("rec-not-on-card"))
        }
        DeletionError::Issuer(aid) => {
            CliError::new(Exit::Refused, Text::new("err-issuer-stays").with("aid", aid))
        }
        DeletionError::Needed { object, dependents } => {
            let list: Vec<String> = dependents.iter().map(ToString::to_string).collect();
            let text = Text::new("err-still-needed")
                .with("aid", object)
                .with("dependents", list.join(", "))
                .count("count", dependents.len() as u64);
            CliError::new(Exit::Refused, text).next(Text::new("rec-still-needed"))
        }
        other => CliError::internal(other.to_string()),
    }
}
