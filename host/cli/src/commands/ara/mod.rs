//! `jpkise ara`: who may talk to which applet.

mod app;
mod change;
mod decision;
mod error;
mod with_applet;
mod words;

use std::path::Path;

use jpkise_gp::ara::card::read;
use jpkise_gp::ara::{file, Access, NfcAccess};
use jpkise_gp::ara::{AidRef, ApduAccess, DeviceApp, Held, Reading, Reference, Rule, RuleFile, StoreCommand};
use jpkise_omapi::preset::presets;
use serde_json::json;

use crate::app::App;
use crate::args::{AddArgs, AraArgs, AraVerb, PresetArgs, RemoveArgs};
use crate::connect::{with_card, AnyCard};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

pub use app::NamedApp;
pub use with_applet::{delete_with_rules, install_with_rules, AppletRules};
pub use words::{rule_json, show as show_rules};

/// Runs the verb.
pub fn run(app: &App, arguments: &AraArgs) -> Result<(), CliError> {
    match &arguments.verb {
        AraVerb::List => with_card(app, &arguments.card, |target| list(app, &held(&mut target.card)?)),
        AraVerb::Add(add) => {
            let rules = rules_to_add(app, add)?;
            change::run(app, arguments, &add.write, |present| {
                Ok(present.iter().chain(rules.iter().filter(|r| !present.contains(r))).cloned().collect())
            })
        }
        AraVerb::Remove(remove) => {
            let goes = rules_to_remove(remove)?;
            change::run(app, arguments, &remove.write, |present| {
                let kept: Vec<Rule> = present.iter().filter(|rule| !goes(rule)).cloned().collect();
                if kept.len() == present.len() {
                    return Err(CliError::new(Exit::Refused, Text::new("err-ara-no-such-rule"))
                        .next(Text::new("rec-ara-no-such-rule")));
                }
                Ok(kept)
            })
        }
        AraVerb::Clear(write) => change::run(app, arguments, write, |_| Ok(Vec::new())),
        AraVerb::Diff(diff) => {
            let desired = rule_file(&diff.rules)?;
            with_card(app, &arguments.card, |target| {
                let held = held(&mut target.card)?;
                let planned = change::Planned::new(held.rules, desired)?;
                planned.show(app)?;
                app.json(&planned.json())
            })
        }
        AraVerb::Apply(apply) => {
            let desired = rule_file(&apply.rules)?;
            change::run(app, arguments, &apply.write, |_| Ok(desired.clone()))
        }
        AraVerb::Refresh(write) => {
            change::send(app, arguments, write, &[StoreCommand::UpdateRefreshTag], "ara-refresh-consent")
        }
        AraVerb::Check(check) => decision::run(app, arguments, check, false),
        AraVerb::Explain(check) => decision::run(app, arguments, check, true),
        AraVerb::Hashes(named) => {
            let named = NamedApp::find(named)?;
            for line in named.lines(app) {
                app.result(&line)?;
            }
            app.json(&named.json())
        }
        AraVerb::Preset(preset) => show_presets(app, preset),
    }
}

/// What the ARA-M gives out, as a phone reads it.
fn held(card: &mut AnyCard) -> Result<Held, CliError> {
    Ok(read(card, Reading::Android)?)
}

fn list(app: &App, held: &Held) -> Result<(), CliError> {
    let head = Text::new("ara-rules").count("count", held.rules.len() as u64).with("tag", held.refresh_tag);
    app.result(&app.messages.say(&head))?;
    let rows: Vec<_> = held.rules.iter().enumerate().map(|(i, rule)| ((i + 1).to_string(), rule)).collect();
    words::show(app, &rows)?;
    if !held.ignored.is_empty() {
        let tags: Vec<String> = held.ignored.iter().map(ToString::to_string).collect();
        app.result(&app.messages.say(&Text::new("ara-ignored").with("tags", tags.join(" "))))?;
    }
    app.json(&json!({
        "refresh_tag": held.refresh_tag.to_string(),
        "rules": held.rules.iter().map(words::rule_json).collect::<Vec<_>>(),
    }))
}

fn rules_to_add(app: &App, arguments: &AddArgs) -> Result<Vec<Rule>, CliError> {
    if arguments.aid.is_carrier() {
        return Err(
            CliError::new(Exit::Usage, Text::new("err-ara-carrier")).next(Text::new("rec-ara-carrier"))
        );
    }
    let presets = presets();
    let apdu = if arguments.apdu.is_empty() {
        None
    } else {
        Some(file::parse_apdu(&arguments.apdu, &presets).map_err(error::apdu_text)?)
    };
    if let Some(filter) = apdu.as_ref().and_then(file::dead_filter) {
        return Err(CliError::new(Exit::Usage, Text::new("err-ara-dead-filter").with("filter", filter))
            .next(Text::new("rec-ara-dead-filter")));
    }
    let nfc = arguments.nfc.as_deref().map(|word| match word {
        "always" => NfcAccess::Always,
        _ => NfcAccess::Never,
    });
    let access = Access::new(apdu, nfc, None).map_err(|_| {
        CliError::new(Exit::Usage, Text::new("err-ara-no-access")).next(Text::new("rec-ara-no-access"))
    })?;
    let apps = if arguments.every_app {
        vec![DeviceApp::All]
    } else {
        let named = NamedApp::find(&arguments.app)?;
        for line in named.lines(app) {
            crate::app::talk_line(&line);
        }
        named.rule_apps(arguments.sha1)?
    };
    Ok(apps
        .into_iter()
        .map(|device_app| Rule::new(Reference::new(arguments.aid, device_app), access.clone()))
        .collect())
}

/// Which rules go: those of the applet, of the app, or of both together.
fn rules_to_remove(arguments: &RemoveArgs) -> Result<impl Fn(&Rule) -> bool, CliError> {
    let apps = match (arguments.every_app, arguments.app.is_empty()) {
        (true, _) => Some(vec![DeviceApp::All]),
        (false, false) => Some(NamedApp::find(&arguments.app)?.all_hashes()),
        (false, true) => None,
    };
    let aid: Option<AidRef> = arguments.aid;
    if aid.is_none() && apps.is_none() {
        return Err(CliError::new(Exit::Usage, Text::new("err-ara-which-rules"))
            .next(Text::new("rec-ara-which-rules")));
    }
    Ok(move |rule: &Rule| {
        let reference = &rule.reference;
        aid.is_none_or(|aid| reference.aid() == aid)
            && apps.as_ref().is_none_or(|apps| apps.contains(reference.device_app()))
    })
}

/// A rule file, with the presets for JPKI apps.
pub fn rule_file(path: &Path) -> Result<Vec<Rule>, CliError> {
    let text = std::fs::read_to_string(path).map_err(|e| file_not_read(path, &e))?;
    let file = RuleFile::parse(&text, &presets()).map_err(|error| {
        CliError::new(Exit::Usage, Text::new("err-rule-file").with("path", path.display()))
            .detail(error.to_string())
            .next(Text::new("rec-rule-file"))
    })?;
    Ok(file.rules)
}

fn show_presets(app: &App, arguments: &PresetArgs) -> Result<(), CliError> {
    let presets = presets();
    let wanted = arguments.name.as_deref();
    if let Some(name) = wanted.filter(|name| !presets.contains_key(*name)) {
        let names: Vec<&str> = presets.keys().map(String::as_str).collect();
        return Err(CliError::new(Exit::Usage, Text::new("err-ara-preset").with("name", name))
            .next(Text::new("usage-valid").with("values", names.join(", "))));
    }
    let mut objects = serde_json::Map::new();
    for (name, filters) in presets.iter().filter(|(name, _)| wanted.is_none_or(|w| w == name.as_str())) {
        app.result(&app.messages.say(&Text::new(format!("ara-preset-{name}"))))?;
        app.result(&format!("# apdu = \"{name}\"\napdu = ["))?;
        let mut texts = Vec::new();
        for filter in filters.as_slice() {
            app.result(&format!("  \"{filter}\","))?;
            texts.push(filter.to_string());
        }
        app.result("]")?;
        objects.insert(name.clone(), json!(texts));
    }
    app.json(&objects)
}

/// The name of the preset with exactly these filters.
fn preset_of(access: &ApduAccess) -> Option<String> {
    let ApduAccess::Filters(filters) = access else { return None };
    presets().into_iter().find(|(_, preset)| preset == filters).map(|(name, _)| name)
}
