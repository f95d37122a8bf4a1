//! Rules in words, as a table and for machines.

use std::collections::BTreeSet;

use jpkise_gp::ara::{AidRef, ApduAccess, DeviceApp, NfcAccess, Rule};
use jpkise_jpki::edge::INSTANCE_AID;
use serde_json::{json, Value};

use super::preset_of;
use crate::app::App;
use crate::error::CliError;
use crate::i18n::Text;

/// Hexadecimal digits of a hash that a table shows; the whole hash stands below it.
const SHORT: usize = 12;

/// A table of rules, each with what stands in its first column; filters and whole hashes below.
pub fn show(app: &App, rows: &[(String, &Rule)]) -> Result<(), CliError> {
    if rows.is_empty() {
        return app.result(&app.messages.get("ara-none"));
    }
    let say = |key: &str| app.messages.get(key);
    let mut cells = vec![[
        String::new(),
        say("ara-applet"),
        say("ara-app"),
        say("ara-apdu"),
        say("ara-nfc"),
        say("ara-form"),
    ]];
    for (mark, rule) in rows {
        cells.push([
            mark.clone(),
            applet(app, rule.reference.aid()),
            short(app, rule),
            apdu(app, rule),
            nfc(app, rule),
            say(&format!("ara-form-{}", form(rule))),
        ]);
    }
    for line in crate::table::list(&cells) {
        app.result(&line)?;
    }
    for (mark, rule) in rows {
        if let Some(ApduAccess::Filters(filters)) = rule.access.apdu() {
            let texts: Vec<String> = filters.as_slice().iter().map(ToString::to_string).collect();
            app.result(&format!("{mark}: {}", texts.join(" ")))?;
        }
    }
    let hashes: BTreeSet<&DeviceApp> =
        rows.iter().map(|(_, rule)| rule.reference.device_app()).filter(|a| **a != DeviceApp::All).collect();
    for hash in hashes {
        app.result(&hash.to_string())?;
    }
    Ok(())
}

/// The search that finds a rule, for an app it names.
pub fn form(rule: &Rule) -> &'static str {
    let everybody = *rule.reference.device_app() == DeviceApp::All;
    match (rule.reference.aid(), everybody) {
        (aid, _) if aid.is_carrier() => "carrier",
        (AidRef::All, false) => "c",
        (AidRef::All, true) => "d",
        (_, false) => "a",
        (_, true) => "b",
    }
}

fn applet(app: &App, aid: AidRef) -> String {
    match aid {
        AidRef::Aid(aid) if aid == INSTANCE_AID => format!("{aid} JPKI"),
        AidRef::Aid(aid) => aid.to_string(),
        AidRef::All => app.messages.get("ara-applet-all"),
        AidRef::Default => app.messages.get("ara-applet-default"),
        AidRef::Absent => app.messages.get("ara-applet-carrier"),
    }
}

fn short(app: &App, rule: &Rule) -> String {
    let device_app = rule.reference.device_app();
    let mut text = match device_app {
        DeviceApp::All => app.messages.get("ara-app-all"),
        hash => {
            let whole = hash.to_string();
            let digits = whole.find(':').map_or(SHORT, |colon| colon + 1 + SHORT);
            format!("{}…", whole.get(..digits).unwrap_or(&whole))
        }
    };
    if let Some(package) = rule.reference.package() {
        text = format!("{text} {}", package.as_str());
    }
    text
}

fn apdu(app: &App, rule: &Rule) -> String {
    let Some(access) = rule.access.apdu() else {
        return app.messages.get(if rule.reference.aid().is_carrier() {
            "ara-carrier"
        } else {
            "ara-unsaid"
        });
    };
    match access {
        ApduAccess::Always => app.messages.get("ara-always"),
        ApduAccess::Never => app.messages.get("ara-never"),
        ApduAccess::Filters(filters) => match preset_of(access) {
            Some(name) => name,
            None => {
                app.messages.say(&Text::new("ara-filters").count("count", filters.as_slice().len() as u64))
            }
        },
    }
}

fn nfc(app: &App, rule: &Rule) -> String {
    app.messages.get(match rule.access.nfc() {
        Some(NfcAccess::Always) => "ara-always",
        Some(NfcAccess::Never) => "ara-never",
        None if rule.reference.aid().is_carrier() => "ara-unsaid",
        None => "ara-nfc-as-apdu",
    })
}

/// A rule in the words of the rule file.
pub fn rule_json(rule: &Rule) -> Value {
    let mut object = json!({
        "aid": rule.reference.aid().to_string(),
        "app": rule.reference.device_app().to_string(),
    });
    if let Some(package) = rule.reference.package() {
        object["package"] = json!(package.as_str());
    }
    if let Some(access) = rule.access.apdu() {
        object["apdu"] = apdu_json(access);
        if let Some(name) = preset_of(access) {
            object["preset"] = json!(name);
        }
    }
    if let Some(nfc) = rule.access.nfc() {
        object["nfc"] = json!(if nfc == NfcAccess::Always { "always" } else { "never" });
    }
    if let Some(permissions) = rule.access.permissions() {
        object["permissions"] = json!(hex::encode(permissions.0));
    }
    object["form"] = json!(form(rule));
    object
}

/// Access to APDUs in the words of the rule file.
pub fn apdu_json(access: &ApduAccess) -> Value {
    match access {
        ApduAccess::Always => json!("always"),
        ApduAccess::Never => json!("never"),
        ApduAccess::Filters(filters) => {
            json!(filters.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>())
        }
    }
}
