//! `jpkise lab replay`: a recording done again.

use std::fs::File;
use std::io::{BufReader, LineWriter};
use std::path::Path;
use std::rc::Rc;

use jpkise_card::trace::{create_file, Record, StartRecord, TraceReader, Watcher};
use jpkise_gp::keys::KeySource;
use jpkise_lab::replay::plan::{plan, Step, Way};
use jpkise_lab::replay::stage::{KeptCards, Stage, Watch};
use jpkise_lab::replay::{
    needs_cards, needs_keys, replay, Given, Item, Outcome, ReplayError, Replayed, Ring, Terms, SCHEMA,
};
use jpkise_lab::run::identity::card_id_of;
use jpkise_lab::run::Tape;
use jpkise_lab::simulator::{ProfileSource, StartError};
use jpkise_lab::suite::model::Changes;
use jpkise_lab::{secrets, simulator};
use rand::rngs::OsRng;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::super::jpki::secret::{Given as One, Secrets};
use super::compare::both;
use crate::app::{talk_line, App};
use crate::args::{LabReplayArgs, Runtime};
use crate::connect::{with_card, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::{file_not_read, file_not_written, trace_not_read};
use crate::i18n::Text;
use crate::keys::{offline, Keys};

/// Name of a simulated card in traces.
const SIMULATED: &str = "simulated GP-SE (jcvm)";

/// Does each trace again, one after the other on the same card.
pub fn run(app: &App, arguments: &LabReplayArgs) -> Result<(), CliError> {
    let mut traces = Vec::new();
    for path in &arguments.traces {
        traces.push((path.as_path(), read(path)?));
    }
    if app.global.dry_run {
        return show_plan(app, arguments, &traces);
    }
    let simulated = &arguments.card.simulated;
    let alone = simulated.state.is_none() && !simulated.personalized && simulated.runtime == Runtime::Jcvm;
    if arguments.card.is_simulated() && alone && traces.iter().any(|(_, records)| needs_cards(records)) {
        return on_kept_cards(app, arguments, &traces);
    }
    with_card(app, &arguments.card, |target| {
        let terms = Terms { most: most(arguments, target)?, other_keys: arguments.other_keys };
        let mut given = given(app, arguments, target.simulated)?;
        let mut ring = ring(app, arguments, target, &traces)?;
        let (all, gone) = all(app, &traces, &mut target.card, (&mut ring, &mut given), terms)?;
        hint(app, target, &all, terms);
        conclude(app, target.card.name(), target.simulated, &all, gone)
    })
}

/// Traces of the lab's simulated cards, which take each other's place.
fn on_kept_cards(
    app: &App,
    arguments: &LabReplayArgs,
    traces: &[(&Path, Vec<Record>)],
) -> Result<(), CliError> {
    let tape = match &app.global.trace {
        Some(path) => {
            let next = || Text::new("rec-trace-file");
            let file = create_file(path).map_err(|e| file_not_written(path, &e).next(next()))?;
            let started = OffsetDateTime::now_utc().format(&Rfc3339).ok();
            Tape::to(LineWriter::new(file), &StartRecord::new(SIMULATED, &[], started))
        }
        None => Tape::default(),
    };
    let watch: Watch = || Box::new(Watcher::new(talk_line));
    let profile = ProfileSource::from(arguments.card.simulated.profile.clone()).profile();
    let profile = profile.map_err(StartError::from)?;
    let terms = Terms { most: Changes::ForGood, other_keys: arguments.other_keys };
    let mut given = given(app, arguments, true)?;
    let mut ring = Ring::new(recorded_keys(app, arguments)?);
    let mut outcome = (Vec::new(), None);
    for trace in traces {
        // Each trace begins with a card as delivered.
        let mut cards = KeptCards::new(profile.clone(), tape.clone(), app.global.verbose.then_some(watch))?;
        let one = std::slice::from_ref(trace);
        let (mut found, gone) = all(app, one, &mut cards, (&mut ring, &mut given), terms)?;
        outcome.0.append(&mut found);
        outcome.1 = gone;
        if outcome.1.is_some() {
            break;
        }
    }
    let written = tape.finish();
    conclude(app, SIMULATED, true, &outcome.0, outcome.1)?;
    written.map_err(|error| {
        let path = app.global.trace.as_deref().unwrap_or(Path::new("")).display();
        CliError::new(Exit::Internal, Text::new("err-trace-write").with("path", path))
            .detail(error.to_string())
    })
}

/// What came of the traces, and the error that ended the last one.
type Outcomes<'t> = (Vec<(&'t Path, Replayed)>, Option<ReplayError>);

fn all<'t>(
    app: &App,
    traces: &'t [(&Path, Vec<Record>)],
    stage: &mut dyn Stage,
    (ring, given): (&mut Ring, &mut Given),
    terms: Terms,
) -> Result<Outcomes<'t>, CliError> {
    let mut all = Vec::new();
    for (path, records) in traces {
        let mut found = Replayed::default();
        let result = replay(records, stage, ring, given, &terms, &mut OsRng, &mut found);
        show(app, path, &found)?;
        all.push((*path, found));
        if let Err(error) = result {
            return Ok((all, Some(error)));
        }
    }
    Ok((all, None))
}

fn conclude(
    app: &App,
    card: &str,
    simulated: bool,
    all: &[(&Path, Replayed)],
    gone: Option<ReplayError>,
) -> Result<(), CliError> {
    app.json(&json!({
        "schema": SCHEMA,
        "card": card,
        "simulated": simulated,
        "traces": all.iter().map(|(path, found)| object(path, found)).collect::<Result<Vec<_>, _>>()?,
    }))?;
    gone.map_or(Ok(()), |error| Err(CliError::from(error)))?;
    verdict(all)
}

fn read(path: &Path) -> Result<Vec<Record>, CliError> {
    let file = File::open(path).map_err(|e| file_not_read(path, &e))?;
    let records: Result<Vec<Record>, _> = TraceReader::new(BufReader::new(file)).collect();
    let records = records.map_err(|e| trace_not_read(path, &e))?;
    if !records.iter().any(|r| matches!(r, Record::Exchange(_))) {
        return Err(CliError::new(Exit::Usage, Text::new("lab-replay-empty").with("path", path.display())));
    }
    Ok(records)
}

/// A simulated card may be changed; one in a reader only if it is the one that was named.
fn most(arguments: &LabReplayArgs, target: &mut Target) -> Result<Changes, CliError> {
    if target.simulated {
        return Ok(Changes::ForGood);
    }
    let Some(wanted) = &arguments.destructive else { return Ok(Changes::Nothing) };
    let found = card_id_of(&mut target.card);
    if *wanted != found {
        let text = Text::new("lab-replay-other-card").with("found", found).with("wanted", wanted);
        return Err(CliError::new(Exit::Policy, text));
    }
    Ok(if arguments.for_good { Changes::ForGood } else { Changes::Content })
}

/// Values of the options or the environment; on a simulated card, where there are none, the laboratory's own.
fn given(app: &App, arguments: &LabReplayArgs, simulated: bool) -> Result<Given, CliError> {
    let mut given = Given::default();
    for (index, one) in Secrets::new(app, &arguments.secrets)?.all_given()?.into_iter().enumerate() {
        match (index, one) {
            (0, Some(One::Pin(pin))) => given.pin = Some(pin),
            (1, Some(One::Password(password))) => given.password = Some(password),
            (2, Some(One::Pin(pin))) => given.new_pin = Some(pin),
            (3, Some(One::Password(password))) => given.new_password = Some(password),
            _ => {}
        }
    }
    if simulated && given.pin.is_none() && given.password.is_none() {
        let internal = |e: jpkise_jpki::edge::SecretError| CliError::internal(e.to_string());
        given.pin = Some(jpkise_jpki::edge::Pin::new(secrets::PIN).map_err(internal)?);
        given.password = Some(jpkise_jpki::edge::Password::new(secrets::PASSWORD).map_err(internal)?);
    }
    Ok(given)
}

/// The keys named, and the public ones where those may be used. None for traces without a handshake.
fn ring(
    app: &App,
    arguments: &LabReplayArgs,
    target: &Target,
    traces: &[(&Path, Vec<Record>)],
) -> Result<Ring, CliError> {
    let mut sources: Vec<Rc<dyn KeySource>> = Vec::new();
    if traces.iter().any(|(_, records)| needs_keys(records)) {
        sources.push(Rc::from(Keys::find(app, &arguments.keys, target)?.source));
        if target.simulated || app.global.lab {
            sources.extend(public()?);
        }
    }
    Ok(Ring::new(sources))
}

/// Keys for what is recorded: those named, if any are, and the public ones where those may be used.
fn recorded_keys(app: &App, arguments: &LabReplayArgs) -> Result<Vec<Rc<dyn KeySource>>, CliError> {
    let public_too = arguments.card.is_simulated() || app.global.lab;
    let mut sources: Vec<Rc<dyn KeySource>> = Vec::new();
    match offline(app, &arguments.keys) {
        Ok(keys) => sources.push(Rc::from(keys)),
        Err(error) if public_too && error.key() == "err-key-missing" => {}
        Err(error) => return Err(error),
    }
    if public_too {
        sources.extend(public()?);
    }
    Ok(sources)
}

fn public() -> Result<[Rc<dyn KeySource>; 2], CliError> {
    let internal = |e: jpkise_wire::scp03::KeyError| CliError::internal(e.to_string());
    Ok([Rc::new(simulator::test_keys().map_err(internal)?), Rc::new(secrets::sp_keys().map_err(internal)?)])
}

/// What would be sent, exchange by exchange; no card is opened.
fn show_plan(app: &App, arguments: &LabReplayArgs, traces: &[(&Path, Vec<Record>)]) -> Result<(), CliError> {
    let needed = traces.iter().any(|(_, records)| needs_keys(records));
    let sources = if needed { recorded_keys(app, arguments)? } else { Vec::new() };
    let mut ring = Ring::new(sources);
    let mut all = Vec::new();
    for (path, records) in traces {
        let steps = plan(records, &mut ring).map_err(|e| CliError::from(ReplayError::from(e)))?;
        let mut exchanges = Vec::new();
        for step in &steps {
            let Step::Unit(unit) = step else { continue };
            let key = match &unit.way {
                Way::Bytes(_) => "lab-replay-plan-bytes".to_owned(),
                Way::Secret { .. } => "lab-replay-plan-secret".to_owned(),
                Way::Update { .. } => "lab-replay-plan-update".to_owned(),
                Way::Authenticate { .. } => "lab-replay-plan-authenticate".to_owned(),
                Way::Piece => "lab-replay-plan-piece".to_owned(),
                Way::Wrapped(_) => "lab-replay-plan-wrapped".to_owned(),
                Way::Stored { .. } => "lab-replay-plan-stored".to_owned(),
                Way::Not(reason) => format!("lab-replay-reason-{}", reason.id()),
            };
            let header = hex::encode_upper(unit.recorded.header);
            let words = app.messages.get(&key);
            app.result(&format!("#{:<5} {header}  {}: {words}", unit.number, unit.recorded.name))?;
            let way = key.trim_start_matches("lab-replay-").to_owned();
            exchanges.push(
                json!({ "number": unit.number, "name": unit.recorded.name, "header": header, "way": way }),
            );
        }
        all.push(json!({ "path": path.display().to_string(), "plan": exchanges }));
    }
    app.json(&json!({ "schema": SCHEMA, "traces": all }))
}

fn object(path: &Path, found: &Replayed) -> Result<serde_json::Value, CliError> {
    let mut object = serde_json::to_value(found).map_err(|e| CliError::internal(e.to_string()))?;
    object["path"] = path.display().to_string().into();
    Ok(object)
}

fn show(app: &App, path: &Path, found: &Replayed) -> Result<(), CliError> {
    let line = |text: &Text| app.result(&app.messages.say(text));
    for item in &found.items {
        show_item(app, item)?;
    }
    for (recorded, now) in &found.atrs {
        line(&Text::new("lab-replay-atr").with("recorded", recorded).with("now", now))?;
    }
    let counted = |prefix: &str, counts: &std::collections::BTreeMap<&'static str, usize>| {
        let one = |(id, count): (&&str, &usize)| {
            format!("{} ({count})", app.messages.get(&format!("{prefix}{id}")))
        };
        counts.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if !found.reasons.is_empty() {
        line(
            &Text::new("lab-replay-reasons").with("reasons", counted("lab-replay-reason-", &found.reasons)),
        )?;
    }
    if !found.ignored.is_empty() {
        line(
            &Text::new("lab-replay-ignored").with("ignored", counted("lab-replay-ignored-", &found.ignored)),
        )?;
    }
    if found.remade > 0 {
        line(&Text::new("lab-replay-remade").with("count", found.remade))?;
    }
    let text =
        Text::new("lab-replay-summary").with("path", path.display()).with("exchanges", found.exchanges);
    let text = text.with("same", found.same).with("different", found.different);
    line(&text.with("after", found.different_after_gap).with("not", found.not_replayed))
}

fn show_item(app: &App, item: &Item) -> Result<(), CliError> {
    let about = |key: &'static str| {
        Text::new(key).with("number", item.number).with("name", &item.name).with("header", &item.header)
    };
    match &item.outcome {
        Outcome::Different { fields, after_gap } => {
            let key = if *after_gap { "lab-replay-after-gap" } else { "lab-replay-different" };
            app.result(&app.messages.say(&about(key)))?;
            for field in fields {
                let text = Text::new("lab-replay-field").with("field", &field.field);
                let (a, b) = both(app, field);
                let text = text.with("a", a).with("b", b);
                app.result(&format!("    {}", app.messages.say(&text)))?;
            }
            Ok(())
        }
        Outcome::NotReplayed { reason } => {
            let text = about("lab-replay-not");
            let reason = Text::new(format!("lab-replay-reason-{}", reason.id()));
            app.result(&app.messages.say(&text.nested("reason", reason)))
        }
    }
}

/// What was held back because the card was not named, and how to name it.
fn hint(app: &App, target: &mut Target, all: &[(&Path, Replayed)], terms: Terms) {
    let held = |id: &str| all.iter().filter_map(|(_, found)| found.reasons.get(id)).sum::<usize>();
    let count = held("changes") + held("for-good");
    if count > 0 && terms.most == Changes::Nothing {
        let card = card_id_of(&mut target.card);
        app.talk(&Text::new("lab-replay-held-back").with("count", count).with("card", card));
    }
}

fn verdict(all: &[(&Path, Replayed)]) -> Result<(), CliError> {
    let sum = |of: fn(&Replayed) -> usize| all.iter().map(|(_, found)| of(found)).sum::<usize>();
    let different = sum(|found| found.different);
    if different > 0 {
        let text = Text::new("lab-replay-differ").count("count", different as u64);
        return Err(CliError::new(Exit::Refused, text));
    }
    let (not, after) = (sum(|found| found.not_replayed), sum(|found| found.different_after_gap));
    if not + after > 0 {
        let text = Text::new("lab-replay-part").with("not", not).with("after", after);
        return Err(CliError::new(Exit::Partial, text));
    }
    Ok(())
}

impl From<ReplayError> for CliError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Card(error) => error.into(),
            ReplayError::Start(error) => error.into(),
            other => Self::new(Exit::Usage, Text::new("err-keys")).detail(other.to_string()),
        }
    }
}
