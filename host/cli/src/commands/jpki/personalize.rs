//! `jpkise jpki personalize`: a plan file carried out over one SE.

use std::fs;
use std::path::{Path, PathBuf};

use jpkise_gp::ara::file::RuleFile;
use jpkise_gp::ara::{Provision, Reading, Rule};
use jpkise_gp::keys::{KeySource, KeySpec, KeySpecError, Pkcs11Uri};
use jpkise_gp::workflow::LoadFile;
use jpkise_jpki::edge::{KeyRef, KeyState};
use jpkise_jpki::personalize::{self, PersonalizeError};
use jpkise_jpki::provision::{
    provision, CapToLoad, Event, Failure, Journal, KeyReference, Outcome, PlanFile, ProvisionError, Request,
    SeRecord, Secrets as Policy,
};
use jpkise_jpki::{ClientError, JpkiClient};
use jpkise_lab::{secrets as lab, simulator};
use rand::rngs::OsRng;
use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::authority::Authority;
use super::card::{key_name, wrong_state};
use super::plan_view;
use super::secret::{OwnSecrets, Secrets};
use crate::app::App;
use crate::args::{JpkiArgs, PersonalizeArgs};
use crate::connect::{with_card, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;
use crate::keys::{source_of, Keys};

/// A plan with the folder that its paths are seen from.
pub struct LoadedPlan {
    /// The plan.
    pub plan: PlanFile,
    folder: PathBuf,
    sha256: [u8; 32],
}

impl LoadedPlan {
    fn read(path: &Path) -> Result<Self, CliError> {
        let text = fs::read_to_string(path).map_err(|e| file_not_read(path, &e))?;
        let plan = PlanFile::parse(&text).map_err(|error| {
            CliError::new(Exit::Usage, Text::new("err-plan").with("path", path.display()))
                .detail(error.to_string())
                .next(Text::new("rec-plan"))
        })?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { plan, folder, sha256: Sha256::digest(text).into() })
    }

    /// A path of the plan, seen from the plan's own folder.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.folder.join(relative)
    }
}

/// Reads the plan and everything it names, then brings the SE to it.
pub fn run(app: &App, arguments: &JpkiArgs, own: &PersonalizeArgs) -> Result<(), CliError> {
    let loaded = LoadedPlan::read(&own.plan)?;
    let cap = cap(&loaded)?;
    let rules = rules(&loaded)?;
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    with_card(app, &arguments.card, |target| {
        allow(app, &loaded.plan, target)?;
        let keys = PlanKeys::find(app, &loaded, own, target)?;
        let states = states(target, &loaded)?;
        if app.global.dry_run {
            let provision = rules.as_deref().map(|rules| provision_of(target, &loaded, rules)).transpose()?;
            return plan_view::show(app, &loaded.plan, cap.as_ref(), provision.as_ref(), states);
        }
        let mut user = user(&loaded.plan, states, &mut secrets)?;
        ask(app, target, &loaded.plan)?;
        let chip = chip_of(target);
        let mut authority = Authority::open(&loaded, &chip)?;
        let request = Request {
            plan: &loaded.plan,
            plan_sha256: loaded.sha256,
            issuer_keys: keys.issuer.as_deref(),
            first_keys: keys.first.as_ref(),
            own_keys: keys.own.as_ref(),
            own_keys_published: lab::are_published(keys.own.as_ref()),
            cap,
            rules,
            clock: &OffsetDateTime::now_utc,
        };
        let mut path = PathBuf::new();
        let mut journal_of = |chip: &str| {
            let journal = match &own.record {
                Some(file) => Journal::at(file.clone()),
                None => Journal::in_folder(&loaded.path(&loaded.plan.records), chip),
            };
            journal.path().clone_into(&mut path);
            journal
        };
        let mut issuer = authority.issuer(&loaded.plan);
        let outcome = provision(
            &mut target.card,
            &request,
            &mut journal_of,
            issuer.as_mut(),
            &mut user,
            &mut OsRng,
            &mut |event| say(app, event),
        );
        drop(issuer);
        match outcome {
            Ok(outcome) => finish(app, &outcome, &path),
            Err(failure) => Err(explain(app, failure, &authority)),
        }
    })
}

/// Published keys, the test CA and the lab's secrets are for simulated cards, and for real ones only with `--lab`.
fn allow(app: &App, plan: &PlanFile, target: &Target) -> Result<(), CliError> {
    let is_test = matches!(plan.ca, jpkise_jpki::provision::CaPart::Test { .. })
        || plan.user.secrets == Policy::Lab
        || [Some(&plan.keys.first), Some(&plan.keys.own), plan.keys.issuer.as_ref()]
            .into_iter()
            .flatten()
            .any(|key| matches!(key, KeyReference::Test | KeyReference::Lab));
    if is_test && !target.simulated && !app.global.lab {
        return Err(CliError::new(Exit::Policy, Text::new("err-plan-lab")).next(Text::new("rec-lab")));
    }
    Ok(())
}

/// The plan's keys.
struct PlanKeys {
    issuer: Option<Box<dyn KeySource>>,
    first: Box<dyn KeySource>,
    own: Box<dyn KeySource>,
}

impl PlanKeys {
    fn find(
        app: &App,
        loaded: &LoadedPlan,
        own: &PersonalizeArgs,
        target: &Target,
    ) -> Result<Self, CliError> {
        let find = |reference: &KeyReference| -> Result<Box<dyn KeySource>, CliError> {
            let internal = |e: jpkise_wire::scp03::KeyError| CliError::internal(e.to_string());
            let source: Box<dyn KeySource> = match reference {
                KeyReference::Options => Keys::find(app, &own.keys, target)?.source,
                KeyReference::Test => Box::new(simulator::test_keys().map_err(internal)?),
                KeyReference::Lab => Box::new(lab::sp_keys().map_err(internal)?),
                KeyReference::File(path) => {
                    let path = loaded.path(path);
                    let spec = KeySpec::first_of(KeySpec::default(), Some(&path), KeySpec::default());
                    said(app, reference, spec.map(|(spec, _)| spec))?
                }
                KeyReference::Environment(prefix) => {
                    let variable = |name: &str| std::env::var(name.replacen("JPKISE_KEY", prefix, 1)).ok();
                    said(app, reference, Ok(KeySpec::from_environment(variable)))?
                }
                KeyReference::Token(uri) => {
                    let key = Some(uri.clone().into());
                    said(app, reference, Ok(KeySpec { key, ..KeySpec::default() }))?
                }
            };
            if lab::are_published(source.as_ref()) && !target.simulated && !app.global.lab {
                return Err(
                    CliError::new(Exit::Policy, Text::new("err-test-key")).next(Text::new("rec-test-key"))
                );
            }
            Ok(source)
        };
        let keys = &loaded.plan.keys;
        Ok(Self {
            issuer: keys.issuer.as_ref().map(find).transpose()?,
            first: find(&keys.first)?,
            own: find(&keys.own)?,
        })
    }
}

/// The keys of a file, of variables or of a token; an error says which of the plan's references it is about.
fn said(
    app: &App,
    reference: &KeyReference,
    spec: Result<KeySpec, KeySpecError>,
) -> Result<Box<dyn KeySource>, CliError> {
    let name = match reference {
        KeyReference::File(path) => format!("file:{}", path.display()),
        KeyReference::Environment(prefix) => format!("env:{prefix}"),
        _ => String::new(),
    };
    let unusable = |error: KeySpecError| {
        CliError::new(Exit::Usage, Text::new("err-plan-key").with("name", name)).detail(error.to_string())
    };
    match spec {
        // A token's troubles have words of their own.
        Ok(spec) if spec.key.as_ref().is_some_and(|key| Pkcs11Uri::is_meant(key)) => source_of(app, &spec),
        Ok(spec) => spec.keys().map(|keys| Box::new(keys) as Box<dyn KeySource>).map_err(unusable),
        Err(error) => Err(unusable(error)),
    }
}

fn cap(loaded: &LoadedPlan) -> Result<Option<CapToLoad>, CliError> {
    let Some(path) = &loaded.plan.applet.cap else { return Ok(None) };
    let path = loaded.path(path);
    let cap = super::super::cap::read_cap(&path)?;
    let load_file = LoadFile::from_cap(&cap, jpkise_cap::LoadOptions::default())
        .map_err(|e| CliError::internal(e.to_string()))?;
    let bytes = fs::read(&path).map_err(|e| file_not_read(&path, &e))?;
    if load_file.aid() != loaded.plan.applet.package {
        return Err(CliError::new(Exit::Usage, Text::new("err-plan-cap").with("path", path.display()))
            .detail(load_file.aid().to_string()));
    }
    Ok(Some(CapToLoad { load_file, sha256: Sha256::digest(bytes).into() }))
}

fn rules(loaded: &LoadedPlan) -> Result<Option<Vec<Rule>>, CliError> {
    let Some(part) = &loaded.plan.access_rules else { return Ok(None) };
    let path = loaded.path(&part.file);
    let text = fs::read_to_string(&path).map_err(|e| file_not_read(&path, &e))?;
    let presets = jpkise_omapi::preset::presets();
    let file = RuleFile::parse_for(&text, &presets, loaded.plan.applet.instance).map_err(|error| {
        CliError::new(Exit::Usage, Text::new("err-plan-rules").with("path", path.display()))
            .detail(error.to_string())
    })?;
    Ok(Some(file.rules))
}

/// What the plan's rules would change on this card; it has an ARA-M, or there is no plan.
fn provision_of(target: &mut Target, loaded: &LoadedPlan, rules: &[Rule]) -> Result<Provision, CliError> {
    let held = jpkise_gp::ara::card::read(&mut target.card, Reading::Android)?;
    Ok(Provision::new(loaded.plan.applet.instance, &held.rules, rules)?)
}

/// The keys' states, as the applet tells everybody; all EMPTY where it is not there yet.
fn states(target: &mut Target, loaded: &LoadedPlan) -> Result<[KeyState; 2], CliError> {
    let mut client = match JpkiClient::select_aid(&mut target.card, &loaded.plan.applet.instance) {
        Err(ClientError::NoApplication(_)) => return Ok([KeyState::Empty; 2]),
        other => other?,
    };
    let status = client.status()?;
    Ok(KeyRef::ALL.map(|key| status.map_or(KeyState::Empty, |s| s.key(key).state)))
}

/// The user's own secrets, asked for before anything is changed, and only for keys that need one.
fn user(plan: &PlanFile, states: [KeyState; 2], secrets: &mut Secrets<'_>) -> Result<OwnSecrets, CliError> {
    let mut user = OwnSecrets::default();
    for (key, state) in KeyRef::ALL.into_iter().zip(states) {
        let needed = matches!(state, KeyState::Empty | KeyState::Keyed | KeyState::Certified);
        match plan.user.secrets {
            Policy::Ask if needed => user.choose(secrets, key)?,
            Policy::Lab => user.choose_lab()?,
            _ => {}
        }
    }
    Ok(user)
}

/// A real card is not changed without a yes.
fn ask(app: &App, target: &Target, plan: &PlanFile) -> Result<(), CliError> {
    if target.simulated {
        return Ok(());
    }
    app.consent(
        &Text::new("jpki-personalize-consent")
            .with("reader", target.card.name())
            .with("domain", plan.domain.aid)
            .with("instance", plan.applet.instance),
    )
}

/// What the SE's files are named after: the same as in its record.
fn chip_of(target: &mut Target) -> String {
    use jpkise_gp::scp03::Session;
    let identity = Session::select(&mut target.card, None)
        .ok()
        .and_then(|mut session| jpkise_gp::workflow::read_identity(&mut session).ok())
        .unwrap_or_default();
    jpkise_jpki::provision::SeIdentity::new(&identity, target.card.atr()).chip
}

fn say(app: &App, event: Event) {
    match event {
        Event::Stage(stage) => app.talk(&Text::new(format!("stage-{}", stage.id()))),
        Event::Load(progress) if progress.blocks == progress.of_blocks => {
            app.talk(&Text::new("jpki-loaded").with("blocks", progress.blocks));
        }
        Event::Rules { added, removed } => {
            app.talk(&Text::new("jpki-rules").with("added", added).with("removed", removed));
        }
        Event::Step(personalize::Event::Step { step, number, of }) => {
            let text = Text::new("jpki-step")
                .with("number", number)
                .with("of", of)
                .nested("step", plan_view::step_name(step));
            app.talk(&text);
        }
        _ => {}
    }
}

fn finish(app: &App, outcome: &Outcome, path: &Path) -> Result<(), CliError> {
    let record = &outcome.record;
    let text = if outcome.changed { "jpki-personalized" } else { "jpki-unchanged" };
    app.result(&app.messages.say(&Text::new(text).with("chip", &record.se.chip)))?;
    for key in &record.keys {
        let serial = key.certificate.as_ref().map_or("-", |c| c.serial.as_str());
        let text = Text::new("jpki-record-key")
            .nested("key", key_name(key.key))
            .with("state", key.state)
            .with("serial", serial);
        app.result(&app.messages.say(&text))?;
    }
    if !record.access_rules.is_empty() {
        let text = Text::new("jpki-record-rules").count("count", record.access_rules.len() as u64);
        app.result(&app.messages.say(&text))?;
        for rule in &record.access_rules {
            app.result(&format!("  {} {}", rule.aid, rule.app))?;
        }
    }
    show_domain(app, record)?;
    app.result(&app.messages.say(&Text::new("jpki-record").with("path", path.display())))?;
    app.json(
        &json!({ "changed": outcome.changed, "record_file": path.display().to_string(), "record": record }),
    )
}

fn show_domain(app: &App, record: &SeRecord) -> Result<(), CliError> {
    let text = Text::new("jpki-record-domain")
        .with("kvn", record.domain.kvn.as_deref().unwrap_or("-"))
        .with("values", record.domain.key_check_values.join(" "));
    app.result(&app.messages.say(&text))?;
    if record.domain.test_keys {
        app.result(&app.messages.get("jpki-record-test"))?;
    }
    Ok(())
}

/// A run that stopped: what, where, and whether the same command takes it up.
fn explain(app: &App, failure: Failure, authority: &Authority) -> CliError {
    let stage = app.messages.get(&format!("stage-{}", failure.stage.id()));
    if let ProvisionError::Personalize(PersonalizeError::Waiting { .. }) = &failure.error {
        let mut error = CliError::new(Exit::Partial, Text::new("err-waiting"));
        for (request, certificate) in authority.exchange() {
            error = error.next(
                Text::new("rec-waiting")
                    .with("request", request.display())
                    .with("certificate", certificate.display()),
            );
        }
        return error;
    }
    let mut error = CliError::from(failure.error);
    if failure.begun {
        error.exit = Exit::Partial;
        error.what =
            Text::new("err-personalize-partial").with("stage", stage).nested("cause", error.what.clone());
        error.next.push(Text::new("rec-personalize-partial"));
    }
    error
}

impl From<ProvisionError> for CliError {
    fn from(error: ProvisionError) -> Self {
        let detail = error.to_string();
        match error {
            ProvisionError::Gp(error) => error.into(),
            ProvisionError::Client(error) => error.into(),
            ProvisionError::Admin(error) => error.into(),
            ProvisionError::Certificate(error) => error.into(),
            ProvisionError::Personalize(PersonalizeError::State { key, state }) => wrong_state(key, state),
            ProvisionError::Personalize(error) => error.into(),
            ProvisionError::Journal(error) => {
                crate::explain::file_not_written(&error.path, &error.source).next(Text::new("rec-record"))
            }
            ProvisionError::NoApplet(aid) => {
                Self::new(Exit::Refused, Text::new("err-no-application").with("aid", aid))
                    .next(Text::new("rec-plan-issuer"))
            }
            ProvisionError::NoPackage(aid) => {
                Self::new(Exit::Refused, Text::new("err-no-package").with("aid", aid))
                    .next(Text::new("rec-plan-cap"))
            }
            ProvisionError::OtherKeys { domain, .. } => {
                Self::new(Exit::Authentication, Text::new("err-other-keys").with("domain", domain))
                    .detail(detail)
                    .next(Text::new("rec-other-keys"))
            }
            ProvisionError::SameKeys => Self::new(Exit::Usage, Text::new("err-same-keys")),
            ProvisionError::KeptKeys(which) => {
                Self::new(Exit::Usage, Text::new("err-kept-keys").with("which", which))
                    .next(Text::new("rec-kept-keys"))
            }
            ProvisionError::Rules(error) => error.into(),
            _ => Self::new(Exit::Refused, Text::new("err-check").with("check", detail)),
        }
    }
}
