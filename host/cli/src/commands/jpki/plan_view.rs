//! A plan in words and commands, for `--dry-run`: what would be sent to an SE in the states found.

use jpkise_card::CommandApdu;
use jpkise_gp::ara::{Provision, Rule, ARA_M_AID};
use jpkise_gp::commands::install::{extradite, make_selectable, personalize, ForInstall};
use jpkise_gp::GpError;
use jpkise_jpki::edge::data::{get_proof, get_public_key};
use jpkise_jpki::edge::{admin, KeyRef, KeyState};
use jpkise_jpki::personalize::{Plan, Start, Step};
use jpkise_jpki::provision::{CapToLoad, PlanFile, Rotation, Secrets};
use serde_json::json;

use super::card::key_name;
use super::dry::Dry;
use crate::app::App;
use crate::commands::ara::{rule_json, show_rules};
use crate::error::CliError;
use crate::i18n::Text;

/// Data of one command in the issuer's channel: C-MAC and C-DECRYPTION, a MAC of 8 bytes.
const BLOCK: usize = 239;

/// A step, in words.
pub fn step_name(step: Step) -> Text {
    let (name, key) = match step {
        Step::Inspect => ("step-inspect", None),
        Step::Delete(key) => ("step-delete", Some(key)),
        Step::Generate(key) => ("step-generate", Some(key)),
        Step::ReadKey(key) => ("step-read-key", Some(key)),
        Step::Prove(key) => ("step-prove", Some(key)),
        Step::Issue(key) => ("step-issue", Some(key)),
        Step::Store => ("step-store", None),
        Step::SetSecret(key) => ("step-set-secret", Some(key)),
        _ => ("step-attest", None),
    };
    match key {
        Some(key) => Text::new(name).nested("key", key_name(key)),
        None => Text::new(name),
    }
}

/// Shows stages, steps and commands; nothing is sent.
pub fn show(
    app: &App,
    plan: &PlanFile,
    cap: Option<&CapToLoad>,
    access: Option<&Provision>,
    states: [KeyState; 2],
) -> Result<(), CliError> {
    app.talk(&Text::new("jpki-dry-run-plan"));
    let mut dry = Dry::new(app);
    let untouched = states == [KeyState::Empty; 2];
    if plan.keys.issuer.is_some() {
        content(plan, cap, access, &mut dry)?;
    }
    let mut session = Plan::new(plan.token.info("CHIP"));
    session.start = if untouched { Start::Fresh } else { Start::Resume };
    session.hand_over = plan.user.secrets != Secrets::Later;
    let state = |key| if key == KeyRef::Auth { states[0] } else { states[1] };
    let steps = session.steps(state)?;
    dry.open_channel(&plan.applet.instance, plan.keys.first_kvn);
    for step in &steps {
        match *step {
            Step::Delete(key) => dry.secured(&admin::delete(key)),
            Step::Generate(key) => dry.secured(&admin::generate_key_pair(key)),
            Step::ReadKey(key) => dry.secured(&get_public_key(key, 0)),
            Step::Prove(key) => {
                dry.secured(&admin::prove_possession(key, &[0; 32]));
                dry.secured(&get_proof(key, 0));
            }
            Step::Store => dry.secured(&CommandApdu::new(0x80, 0xE2, 0x08, 0x00)),
            Step::SetSecret(key) => dry.replace_temporary(key),
            Step::Inspect | Step::Attest => dry.attest(),
            _ => {}
        }
    }
    rotation(plan, &mut dry);
    let stages: Vec<String> = steps.iter().map(ToString::to_string).collect();
    for step in &steps {
        app.result(&format!("  - {}", app.messages.say(&step_name(*step))))?;
    }
    app.result(&format!("  - {}", app.messages.get("stage-rotate-keys")))?;
    if let Some(provision) = access {
        show_access(app, provision)?;
    }
    dry.list()?;
    let mut object = dry.to_json();
    if let Some(provision) = access {
        let json = |rules: Vec<Rule>| rules.iter().map(rule_json).collect::<Vec<_>>();
        object["access_rules"] =
            json!({ "added": json(provision.added()), "removed": json(provision.removed()) });
    }
    object["steps"] = json!(stages);
    app.json(&object)
}

/// What an issuer's domain is asked for, each only where it is missing.
fn content(
    plan: &PlanFile,
    cap: Option<&CapToLoad>,
    access: Option<&Provision>,
    dry: &mut Dry<'_>,
) -> Result<(), CliError> {
    if let Some(cap) = cap {
        let request = cap.load_file.request(None, None);
        dry.secured(&request.announcement.command());
        dry.secured(&CommandApdu::new(0x80, 0xE8, 0x00, 0x00));
    }
    let domain = jpkise_gp::workflow::DomainRequest::new(plan.domain.aid, plan.domain.i);
    let install = ForInstall::new(domain.load_file, domain.module, domain.instance)
        .with_privileges(domain.privileges)
        .with_parameters(domain.parameters);
    dry.secured(&install.command_selectable());
    dry.secured(&put_key(0));
    let applet = ForInstall::new(plan.applet.package, plan.applet.module, plan.applet.instance)
        .with_parameters(plan.install_parameters().build());
    match access {
        Some(provision) => {
            dry.secured(&applet.command());
            rules(provision, dry)?;
            dry.secured(&make_selectable(&applet.application, applet.privileges));
        }
        None => dry.secured(&applet.command_selectable()),
    }
    dry.secured(&extradite(&plan.applet.instance, &plan.domain.aid));
    Ok(())
}

/// What the ARA-M of this card would be sent.
fn rules(provision: &Provision, dry: &mut Dry<'_>) -> Result<(), CliError> {
    for object in provision.plan().commands() {
        dry.secured(&personalize(&ARA_M_AID));
        for block in object.commands(BLOCK).map_err(GpError::from)? {
            dry.secured(&block);
        }
    }
    Ok(())
}

/// The rules that come and go, in words.
fn show_access(app: &App, provision: &Provision) -> Result<(), CliError> {
    let (added, removed) = (provision.added(), provision.removed());
    let text = Text::new("jpki-rules").with("added", added.len()).with("removed", removed.len());
    app.result(&app.messages.say(&text))?;
    let come = added.iter().map(|rule| ("+".to_owned(), rule));
    let go = removed.iter().map(|rule| ("-".to_owned(), rule));
    let rows: Vec<(String, &Rule)> = come.chain(go).collect();
    if rows.is_empty() {
        return Ok(());
    }
    show_rules(app, &rows)
}

fn put_key(replacing: u8) -> CommandApdu {
    CommandApdu::new(0x80, 0xD8, replacing, 0x81).hiding(jpkise_card::SecretKind::Key)
}

fn rotation(plan: &PlanFile, dry: &mut Dry<'_>) {
    dry.open_channel(&plan.domain.aid, plan.keys.first_kvn);
    match plan.keys.rotation {
        Rotation::Add => dry.secured(&put_key(0)),
        Rotation::Replace => dry.secured(&put_key(plan.keys.first_kvn)),
    }
    dry.open_channel(&plan.domain.aid, plan.keys.own_kvn);
    if plan.keys.rotation == Rotation::Add {
        dry.secured(&CommandApdu::new(0x80, 0xE4, 0x00, 0x00).with_data([0xD2, 0x01, plan.keys.first_kvn]));
    }
    dry.open_channel(&plan.applet.instance, plan.keys.own_kvn);
    dry.attest();
}
