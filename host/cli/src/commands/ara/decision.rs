//! `jpkise ara check` and `explain`: what the enforcer of a phone would decide by the rules on the card, and why.

use jpkise_gp::ara::{AidRef, ApduAccess, DeviceApp, NfcAccess, Rule};
use jpkise_omapi::ace::{decide, Decision, Query, Step, Target, Verdict};
use jpkise_omapi::service::{admissible, IllegalArgument, Security};
use jpkise_omapi::OmapiError;
use serde_json::{json, Value};

use super::{held, words, NamedApp};
use crate::app::App;
use crate::args::{AraArgs, CheckArgs};
use crate::connect::with_card;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// What comes of a command of the app.
enum Passing {
    /// It passes; with the filter that lets it, if there are any.
    Passes(Option<String>),
    /// The service keeps it to itself, whatever the rules say.
    Platform(OmapiError),
    /// No filter lets it pass.
    Filtered,
    /// There is no channel to send it on.
    NoChannel,
}

/// Decides and tells; exit 0 when the app gets through, 5 when not.
pub fn run(app: &App, arguments: &AraArgs, check: &CheckArgs, explain: bool) -> Result<(), CliError> {
    let named = NamedApp::find(&check.app)?;
    let rules = with_card(app, &arguments.card, |target| Ok(held(&mut target.card)?.rules))?;
    let hashes = named.compared();
    let decision = decide(&rules, &Query { target: check.aid, hashes: &hashes });
    let passing = check.apdu.as_ref().map(|apdu| passing(&decision, &apdu.0));
    let refused = refusal(check, &decision, passing.as_ref());
    if explain {
        tell_app(app, &named, &hashes)?;
        tell_rules(app, check, &rules, &decision)?;
        tell_searches(app, &decision)?;
    }
    tell_result(app, &rules, &decision)?;
    if let Some(passing) = &passing {
        tell_passing(app, passing)?;
    }
    app.json(&to_json(check, &named, &hashes, &rules, &decision, passing.as_ref()))?;
    refused.map_or(Ok(()), Err)
}

fn passing(decision: &Decision, command: &[u8]) -> Passing {
    let parsed = match admissible(command) {
        Ok(parsed) => parsed,
        Err(error) => return Passing::Platform(error),
    };
    match &decision.apdu {
        ApduAccess::Never => Passing::NoChannel,
        ApduAccess::Always => Passing::Passes(None),
        ApduAccess::Filters(filters) => match filters.passing(parsed.header()) {
            Some(filter) => Passing::Passes(Some(filter.to_string())),
            None => Passing::Filtered,
        },
    }
}

fn refusal(check: &CheckArgs, decision: &Decision, passing: Option<&Passing>) -> Option<CliError> {
    let error = |key: &str| CliError::new(Exit::Refused, Text::new(key).with("aid", check.aid));
    if !decision.opens() {
        return Some(error("err-ara-denied").next(Text::new(format!("rec-ara-{}", key(decision.step)))));
    }
    match passing {
        Some(Passing::Filtered) => Some(error("err-ara-filtered").next(Text::new("rec-ara-filtered"))),
        Some(Passing::Platform(refused)) => Some(error("err-ara-platform").detail(refused.to_string())),
        _ => None,
    }
}

/// A search as a part of message keys.
fn key(step: Step) -> String {
    step.name().to_lowercase()
}

fn tell_app(app: &App, named: &NamedApp, hashes: &[DeviceApp]) -> Result<(), CliError> {
    if let Some(name) = &named.name {
        app.result(&app.messages.say(&Text::new("ara-app-file").with("name", name)))?;
    }
    app.result(&app.messages.get("ara-tried"))?;
    for hash in hashes {
        app.result(&format!("  {hash}"))?;
    }
    app.result("")
}

fn tell_rules(app: &App, check: &CheckArgs, rules: &[Rule], decision: &Decision) -> Result<(), CliError> {
    let rows: Vec<_> = rules.iter().enumerate().map(|(i, rule)| ((i + 1).to_string(), rule)).collect();
    words::show(app, &rows)?;
    app.result("")?;
    for (index, verdict) in decision.explanation.verdicts.iter().enumerate() {
        let name = if is_partial(check.aid, &rules[index], *verdict) { "partial" } else { verdict.name() };
        let text = Text::new(format!("ara-verdict-{name}")).with("rule", index + 1);
        let text = match verdict {
            Verdict::Beaten { by, at } => text.with("by", by.name()).with("at", at.name()),
            _ => text,
        };
        app.result(&app.messages.say(&text))?;
    }
    Ok(())
}

/// Whether a rule was passed over because one of the two AIDs is only the beginning of the other.
fn is_partial(target: Target, rule: &Rule, verdict: Verdict) -> bool {
    let (Target::Aid(asked), AidRef::Aid(named)) = (target, rule.reference.aid()) else { return false };
    let (asked, named) = (asked.as_bytes(), named.as_bytes());
    verdict == Verdict::OtherApplet && (asked.starts_with(named) || named.starts_with(asked))
}

fn tell_searches(app: &App, decision: &Decision) -> Result<(), CliError> {
    app.result("")?;
    for search in &decision.explanation.searches {
        let name = search.step.name();
        let what = app.messages.get(&format!("ara-search-{}", key(search.step)));
        let found = if search.found.is_empty() {
            app.messages.get("ara-found-nothing")
        } else {
            let numbers: Vec<String> = search.found.iter().map(|index| (index + 1).to_string()).collect();
            app.messages.say(&Text::new("ara-found").with("rules", numbers.join(", ")))
        };
        let mark = if search.decided { " ←" } else { "" };
        app.result(&format!("{name:<10}  {what}: {found}{mark}"))?;
    }
    app.result("")
}

fn tell_result(app: &App, rules: &[Rule], decision: &Decision) -> Result<(), CliError> {
    let access = match &decision.apdu {
        ApduAccess::Never => "ara-result-never",
        ApduAccess::Always => "ara-result-always",
        ApduAccess::Filters(_) => "ara-result-filters",
    };
    let deciding: Vec<String> = decision.explanation.deciding().map(|i| (i + 1).to_string()).collect();
    let why = Text::new(format!("ara-why-{}", key(decision.step))).with("rules", deciding.join(", "));
    let result = Text::new(access).with("step", decision.step.name()).nested("why", why);
    app.result(&app.messages.say(&result))?;
    if decision.explanation.apdu_unstated {
        app.result(&app.messages.get("ara-apdu-unstated"))?;
    }
    let nfc = if decision.nfc == NfcAccess::Always { "ara-result-nfc" } else { "ara-result-no-nfc" };
    app.result(&app.messages.get(nfc))?;
    if rules.is_empty() {
        app.result(&app.messages.get("ara-result-empty"))?;
    }
    Ok(())
}

fn tell_passing(app: &App, passing: &Passing) -> Result<(), CliError> {
    let text = match passing {
        Passing::Passes(None) => Text::new("ara-passes"),
        Passing::Passes(Some(filter)) => Text::new("ara-passes-filter").with("filter", filter),
        Passing::Platform(_) => Text::new("ara-passes-platform"),
        Passing::Filtered => Text::new("ara-passes-not"),
        Passing::NoChannel => Text::new("ara-passes-no-channel"),
    };
    app.result(&app.messages.say(&text))
}

fn to_json(
    check: &CheckArgs,
    named: &NamedApp,
    hashes: &[DeviceApp],
    rules: &[Rule],
    decision: &Decision,
    passing: Option<&Passing>,
) -> Value {
    let explanation = &decision.explanation;
    let verdict = |(index, verdict): (usize, &Verdict)| {
        let mut object = json!({
            "number": index + 1,
            "rule": words::rule_json(&rules[index]),
            "verdict": verdict.name(),
        });
        if is_partial(check.aid, &rules[index], *verdict) {
            object["partial_aid"] = json!(true);
        }
        if let Verdict::Beaten { by, at } = verdict {
            object["by"] = json!(by.name());
            object["at"] = json!(at.name());
        }
        object
    };
    let searches = explanation.searches.iter().map(|search| {
        let found: Vec<usize> = search.found.iter().map(|index| index + 1).collect();
        json!({ "search": search.step.name(), "found": found, "decided": search.decided })
    });
    let mut object = json!({
        "aid": match check.aid {
            Target::Aid(aid) => aid.to_string(),
            Target::Default => "default".to_owned(),
        },
        "app": named.name,
        "hashes": hashes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "opens": decision.opens(),
        "apdu": words::apdu_json(&decision.apdu),
        "nfc": if decision.nfc == NfcAccess::Always { "always" } else { "never" },
        "search": decision.step.name(),
        "hash": explanation.hash.map(|hash| hash.to_string()),
        "deciding": explanation.deciding().map(|index| index + 1).collect::<Vec<_>>(),
        "searches": searches.collect::<Vec<_>>(),
        "rules": explanation.verdicts.iter().enumerate().map(verdict).collect::<Vec<_>>(),
    });
    if let Some(passing) = passing {
        let (passes, reason) = match passing {
            Passing::Passes(filter) => (true, filter.clone()),
            Passing::Platform(error) => (false, Some(platform_reason(error).to_owned())),
            Passing::Filtered => (false, Some("filtered".to_owned())),
            Passing::NoChannel => (false, Some("no-channel".to_owned())),
        };
        object["command"] = json!({ "passes": passes, "reason": reason });
    }
    object
}

/// Stable name of what the service keeps from every app.
fn platform_reason(error: &OmapiError) -> &'static str {
    match error {
        OmapiError::Security(Security::ManageChannel) => "manage-channel",
        OmapiError::Security(Security::SelectByName) => "select-by-name",
        OmapiError::IllegalArgument(IllegalArgument::ClassFf) => "class-ff",
        OmapiError::IllegalArgument(IllegalArgument::Instruction(_)) => "instruction",
        _ => "length",
    }
}
