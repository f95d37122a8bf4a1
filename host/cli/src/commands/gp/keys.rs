//! `jpkise gp keys`: what is there, what will be there, and never a card without a set that is known to open it.

use std::io::Write;
use std::path::Path;

use jpkise_card::CommandApdu;
use jpkise_gp::commands::get_data::TAG_KEY_INFORMATION;
use jpkise_gp::commands::put_key::{Destination, KeyBlock, INS_PUT_KEY, KID_ENC, P2_SEVERAL};
use jpkise_gp::identity::KeyInformationTemplate;
use jpkise_gp::keys::{Diversification, KeySet, KeySource, KeySpec, SoftwareKeys};
use jpkise_gp::workflow::{self, delete_key, rotate_keys, LevelChoice, RotateRequest};
use jpkise_gp::GpError;
use jpkise_wire::scp03::KDD_LENGTH;
use rand::rngs::OsRng;
use rand::RngCore;
use serde_json::json;
use zeroize::Zeroizing;

use super::work::Plan;
use super::{identity, Gp};
use crate::args::gp::{KeysVerb, NewKeysArgs};
use crate::connect::Target;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_written;
use crate::i18n::Text;

/// Version under which cards leave the factory; PUT KEY cannot name it, and adding a set makes it disappear.
const FACTORY: u8 = 0xFF;

/// Runs the verb.
pub fn run(gp: &Gp<'_>, verb: &KeysVerb) -> Result<(), CliError> {
    match verb {
        KeysVerb::List => list(gp),
        KeysVerb::Put(new) => put(gp, new),
        KeysVerb::Replace { new, old } => replace(gp, new, *old),
        KeysVerb::Delete { version } => delete(gp, *version),
    }
}

fn list(gp: &Gp<'_>) -> Result<(), CliError> {
    gp.with_card(|target| {
        let template = template(gp, target)?;
        gp.app.json(&json!({
            "keys": identity::keys(&template),
            "scp03_sets": template.scp03_sets().iter().map(|(kvn, length)| json!({
                "kvn": format!("{kvn:02X}"), "bits": length * 8,
            })).collect::<Vec<_>>(),
        }))?;
        identity::show_keys(gp, &template)
    })
}

/// Key information of the domain, read without a channel.
fn template(gp: &Gp<'_>, target: &mut Target) -> Result<KeyInformationTemplate, CliError> {
    let mut session = gp.select(target)?;
    let bytes = workflow::get_data(&mut session, TAG_KEY_INFORMATION)?;
    // A domain without keys of its own may not know the object.
    let Some(bytes) = bytes else { return Ok(KeyInformationTemplate::default()) };
    let parsed = KeyInformationTemplate::parse(&bytes);
    Ok(parsed.map_err(|error| GpError::Answer { stage: jpkise_gp::Stage::GetData, error })?)
}

/// What is to happen to the old set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Stays,
    /// Replaced by the same command: it cannot be proven before.
    InPlace(u8),
    /// Deleted once the new one is proven.
    Removed(u8),
    /// The factory set, which cards drop by themselves.
    Dropped,
}

fn put(gp: &Gp<'_>, new: &NewKeysArgs) -> Result<(), CliError> {
    change(gp, new, |template| {
        if has(template, new.new_kvn) {
            let text = Text::new("err-kvn-there").with("kvn", format!("{:02X}", new.new_kvn));
            return Err(CliError::new(Exit::Usage, text).next(Text::new("rec-kvn-there")));
        }
        Ok(if has(template, FACTORY) { Old::Dropped } else { Old::Stays })
    })
}

fn replace(gp: &Gp<'_>, new: &NewKeysArgs, named: Option<u8>) -> Result<(), CliError> {
    change(gp, new, |template| {
        let sets = template.scp03_sets();
        let old = match (named, sets.as_slice()) {
            (Some(named), _) if has(template, named) => named,
            (Some(named), _) => {
                let text = Text::new("err-kvn-not-there").with("kvn", format!("{named:02X}"));
                return Err(CliError::new(Exit::Usage, text).next(Text::new("rec-keys-list")));
            }
            (None, [(only, _)]) => *only,
            (None, []) => {
                return Err(CliError::new(Exit::Usage, Text::new("err-no-set")).next(Text::new("rec-no-set")))
            }
            (None, _) => return Err(CliError::new(Exit::Usage, Text::new("err-which-set"))),
        };
        if old != new.new_kvn && has(template, new.new_kvn) {
            let text = Text::new("err-kvn-there").with("kvn", format!("{:02X}", new.new_kvn));
            return Err(CliError::new(Exit::Usage, text).next(Text::new("rec-kvn-there")));
        }
        Ok(match old {
            FACTORY => Old::Dropped,
            same if same == new.new_kvn => Old::InPlace(same),
            other => Old::Removed(other),
        })
    })
}

fn has(template: &KeyInformationTemplate, kvn: u8) -> bool {
    template.keys.iter().any(|k| k.kvn == kvn)
}

fn change(
    gp: &Gp<'_>,
    new: &NewKeysArgs,
    decide: impl FnOnce(&KeyInformationTemplate) -> Result<Old, CliError>,
) -> Result<(), CliError> {
    gp.with_card(|target| {
        let keys = gp.keys(target)?;
        let template = template(gp, target)?;
        let old = decide(&template)?;
        let to = match old {
            Old::InPlace(kvn) => Destination::replace(kvn, new.new_kvn),
            _ => Destination::add(new.new_kvn),
        }
        .map_err(GpError::from)?;
        let generated = new.generate.as_ref().map(|_| generate(new));
        let source = match &generated {
            Some(text) => KeySpec::from_text(text)?.keys()?,
            None => named_keys(new)?,
        };
        if source.has_published_key() && !target.simulated && !gp.app.global.lab {
            return Err(
                CliError::new(Exit::Policy, Text::new("err-test-key")).next(Text::new("rec-test-key"))
            );
        }
        let mut plan = Plan::new(gp.app);
        describe(gp, &mut plan, new, &source, old)?;
        plan.consent(&Text::new("gp-ask-keys"))?;
        if gp.app.global.dry_run {
            withhold(&plan, new, old);
            return plan.finish(&Text::new("gp-dry-run"), json!({}));
        }
        // On disk before they are on the card: keys that only the card knows lock everybody out.
        if let (Some(text), Some(path)) = (&generated, &new.generate) {
            write_private(path, text)
                .map_err(|error| file_not_written(path, &error).next(Text::new("rec-generate")))?;
            gp.app.talk(&Text::new("gp-keys-written").with("path", path.display()));
        }
        let domain = gp.arguments.channel.sd;
        let (kvn, chosen) =
            (keys.kvn, gp.arguments.channel.level.map_or(LevelChoice::Best, LevelChoice::Exactly));
        let counted = keys.counted(&mut target.card)?.map(|(ledger, chip)| (ledger.clone(), chip.to_owned()));
        let request = RotateRequest {
            domain,
            old: keys.source.as_ref(),
            old_kvn: kvn,
            new: &source,
            to,
            form: if new.bare_blocks { KeyBlock::Bare } else { KeyBlock::WithLength },
            level: chosen,
            remove: match old {
                Old::Removed(kvn) => Some(kvn),
                _ => None,
            },
            counted: counted.as_ref().map(|(ledger, chip)| (ledger, chip.as_str())),
        };
        let report = rotate_keys(&mut target.card, &request, &mut OsRng).map_err(|error| {
            if let Some(path) = &new.generate {
                gp.app.talk(&Text::new("gp-keys-kept").with("path", path.display()));
            }
            CliError::from(error)
        })?;
        if report.put.weaker_dek {
            gp.app.talk(&Text::new("gp-weaker-dek"));
        }
        if !report.put.compared {
            gp.app.talk(&Text::new("gp-kcv-not-compared"));
        }
        let values: Vec<String> = report.put.check_values.iter().map(ToString::to_string).collect();
        let done = Text::new("gp-keys-put")
            .with("kvn", format!("{:02X}", report.put.kvn))
            .with("values", values.join(" "));
        plan.finish(
            &done,
            json!({
                "kvn": format!("{:02X}", report.put.kvn),
                "bits": report.put.length.bytes() * 8,
                "check_values": values,
                "check_values_compared": report.put.compared,
                "proven": true,
                "removed": report.removed.map(|kvn| format!("{kvn:02X}")),
            }),
        )
    })
}

fn describe(
    gp: &Gp<'_>,
    plan: &mut Plan<'_>,
    new: &NewKeysArgs,
    source: &SoftwareKeys,
    old: Old,
) -> Result<(), CliError> {
    let kvn = format!("{:02X}", new.new_kvn);
    // Check values of diversified keys are known once the card has told its diversification data.
    let values = match source.diversification() {
        Diversification::None => {
            let set = KeySet { kvn: new.new_kvn, kdd: [0; KDD_LENGTH] };
            let values = source.check_values(&set).map_err(GpError::from)?;
            values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        scheme => gp.app.messages.say(&Text::new("gp-values-later").with("scheme", scheme.name())),
    };
    let (action, key, replaced) = match old {
        Old::InPlace(old) => ("replace-keys", "gp-plan-keys-in-place", Some(old)),
        _ => ("put-keys", "gp-plan-keys-add", None),
    };
    let text = Text::new(key)
        .with("kvn", &kvn)
        .with("old", replaced.map(|old| format!("{old:02X}")).unwrap_or_default())
        .with("values", &values);
    plan.step(action, &text, json!({ "kvn": kvn, "check_values": values }))?;
    plan.step("prove-keys", &Text::new("gp-plan-keys-prove").with("kvn", &kvn), json!({ "kvn": kvn }))?;
    match old {
        Old::Removed(old) => {
            let text = Text::new("gp-plan-keys-delete").with("kvn", format!("{old:02X}"));
            plan.step("delete-keys", &text, json!({ "kvn": format!("{old:02X}") }))
        }
        Old::Dropped => {
            plan.step("drop-factory-keys", &Text::new("gp-plan-keys-factory"), json!({ "kvn": "FF" }))
        }
        _ => Ok(()),
    }
}

/// The commands of a dry run: PUT KEY without its keys, which are enciphered in the channel only.
fn withhold(plan: &Plan<'_>, new: &NewKeysArgs, old: Old) {
    let replaced = if let Old::InPlace(kvn) = old { kvn } else { 0 };
    let put = CommandApdu::new(jpkise_gp::commands::CLA_GP, INS_PUT_KEY, replaced, KID_ENC | P2_SEVERAL)
        .with_data([new.new_kvn])
        .hiding(jpkise_card::SecretKind::Key);
    plan.withhold(&put);
    if let Old::Removed(kvn) = old {
        if let Ok(command) = jpkise_gp::commands::delete::delete_key(None, Some(kvn)) {
            plan.withhold(&command);
        }
    }
}

fn named_keys(new: &NewKeysArgs) -> Result<SoftwareKeys, CliError> {
    let secret = |text: &Option<String>| text.clone().map(Zeroizing::new);
    let options = KeySpec {
        key: secret(&new.new_key),
        enc: secret(&new.new_enc),
        mac: secret(&new.new_mac),
        dek: secret(&new.new_dek),
        kvn: None,
        diversification: new.new_kdf.clone(),
    };
    let found = KeySpec::first_of(options, new.new_key_file.as_deref(), KeySpec::default());
    let (spec, _) = found.map_err(|error| match error {
        jpkise_gp::keys::KeySpecError::Missing => {
            CliError::new(Exit::Usage, Text::new("err-new-key-missing")).next(Text::new("rec-new-key"))
        }
        other => other.into(),
    })?;
    Ok(spec.keys()?)
}

/// Random keys as the text of a key file.
fn generate(new: &NewKeysArgs) -> Zeroizing<String> {
    let length = match new.bits.as_str() {
        "256" => 32,
        "192" => 24,
        _ => 16,
    };
    let mut text = Zeroizing::new(String::with_capacity(256));
    for name in ["enc", "mac", "dek"] {
        let mut key = Zeroizing::new(vec![0; length]);
        OsRng.fill_bytes(&mut key);
        for part in [name, " = ", Zeroizing::new(hex::encode(&*key)).as_str(), "\n"] {
            text.push_str(part);
        }
    }
    for part in ["kvn = ", &format!("{:02X}", new.new_kvn), "\n"] {
        text.push_str(part);
    }
    text
}

/// A new file that its owner alone can read, on the disk when this returns.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn delete(gp: &Gp<'_>, version: u8) -> Result<(), CliError> {
    gp.with_best_channel(|channel, _| {
        let shown = format!("{version:02X}");
        if channel.info().set.kvn == version {
            let text = Text::new("err-kvn-in-use").with("kvn", &shown);
            return Err(CliError::new(Exit::Policy, text).next(Text::new("rec-kvn-in-use")));
        }
        let bytes = workflow::get_data(channel, TAG_KEY_INFORMATION)?.unwrap_or_default();
        let there = KeyInformationTemplate::parse(&bytes).map_or(true, |template| has(&template, version));
        if !there {
            let text = Text::new("err-kvn-not-there").with("kvn", &shown);
            return Err(CliError::new(Exit::Refused, text).next(Text::new("rec-keys-list")));
        }
        let mut plan = Plan::new(gp.app);
        let text = Text::new("gp-plan-keys-delete").with("kvn", &shown);
        plan.step("delete-keys", &text, json!({ "kvn": shown }))?;
        plan.consent(&Text::new("gp-ask-keys"))?;
        delete_key(&mut plan.over(channel), version)?;
        plan.finish(&Text::new("gp-keys-deleted").with("kvn", &shown), json!({ "removed": shown }))
    })
}
