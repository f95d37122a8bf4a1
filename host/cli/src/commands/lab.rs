//! `jpkise lab`: suites on one card or several, and the folder of evidence they leave.

use std::fs::File;
use std::io::{LineWriter, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jpkise_card::pcsc::{find_reader, list_readers, Reader};
use jpkise_card::trace::{create_file, StartRecord, Watcher};
use jpkise_gp::keys::{KeySource, KeySpec, KeySpecError, SoftwareKeys};
use jpkise_gpse::Profile;
use jpkise_lab::report::{self, ReportError, RunReport, SuiteTitle, Words};
use jpkise_lab::run::bench::{Bench, BenchError, TargetKind};
use jpkise_lab::run::identity::card_id;
use jpkise_lab::run::reader::{ReaderBench, ReaderOptions};
use jpkise_lab::run::runner::{self, is_wanted, Event, Item, Options, Planned, Target};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{Mismatch, Skip, Tape, TargetReport, Verdict};
use jpkise_lab::simulator::{self, ProfileSource, StartError};
use jpkise_lab::suite::model::Changes;
use jpkise_lab::{suite, suites};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app::{talk_line, App};
use crate::args::{LabArgs, LabVerb};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_written;
use crate::i18n::{Language, Messages, Text};

/// Where the report goes unless `--out` says otherwise.
const DEFAULT_OUT: &str = "lab-out";
/// How long a card that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Everything a run may write, apart from the traces behind the first.
const NAMES: [&str; 5] = ["report.html", "report.json", "junit.xml", "manifest.sha256", "trace.jsonl"];

/// Runs a verb.
pub fn run(app: &App, verb: &LabVerb) -> Result<(), CliError> {
    match verb {
        LabVerb::Run(arguments) => {
            let names: Vec<&str> = if arguments.suites.is_empty() {
                suites::DEFAULT.to_vec()
            } else {
                arguments.suites.iter().map(String::as_str).collect()
            };
            let items = chosen(items(&names)?, &arguments.only)?;
            go(app, items, arguments.only.clone(), &arguments.lab)
        }
        LabVerb::Fuzz(arguments) => go(app, items(&["fuzz"])?, Vec::new(), &arguments.lab),
        LabVerb::Suites => list(app),
        LabVerb::Replay(arguments) => super::lab_replay::run(app, arguments),
        LabVerb::Compare(arguments) => super::lab_compare::run(app, arguments),
        LabVerb::Vectors(arguments) => super::vectors::run(app, arguments),
    }
}

fn list(app: &App) -> Result<(), CliError> {
    let mut all = Vec::new();
    for name in suites::NAMES {
        let items = items(&[name])?;
        let title = titles(&items).remove(0);
        let cases: usize = items.iter().map(|item| item.cases().len()).sum();
        let words = match app.messages.language() {
            Language::Ja => &title.title_ja,
            Language::En => &title.title,
        };
        let line = Text::new("lab-suite")
            .with("name", format!("{name:8}"))
            .with("cases", cases)
            .with("title", words);
        app.result(&app.messages.say(&line))?;
        all.push(json!({ "suite": name, "title": title.title, "cases": cases }));
    }
    app.json(&json!({ "suites": all }))
}

/// Suites of which a case is to be run. A beginning that is none of any case is a slip: nothing would be run, and
/// nothing fail.
fn chosen(mut items: Vec<Item>, only: &[String]) -> Result<Vec<Item>, CliError> {
    let cases: Vec<String> = items.iter().flat_map(Item::cases).map(|planned| planned.case).collect();
    for name in only {
        if !cases.iter().any(|case| case.starts_with(name)) {
            let alike = |case: &String| case.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
            // The first of those that have most in common.
            let near = cases.iter().rev().max_by_key(|case| alike(case));
            let mut error = CliError::new(Exit::Usage, Text::new("lab-err-only").with("name", name));
            if let Some(near) = near {
                error = error.next(Text::new("lab-rec-only").with("near", near));
            }
            return Err(error);
        }
    }
    items.retain(|item| item.cases().iter().any(|planned| is_wanted(only, &planned.case)));
    Ok(items)
}

/// Suites by name, or by file where the name is that of one; each once.
fn items(names: &[&str]) -> Result<Vec<Item>, CliError> {
    let mut all: Vec<Item> = Vec::new();
    let mut sources: Vec<(String, &str)> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        if names[..place].contains(name) {
            continue;
        }
        let found = match suites::find(name) {
            Some(found) => found,
            None if Path::new(name).extension().is_some_and(|e| e == "toml") || Path::new(name).exists() => {
                let text = read_text(Path::new(name)).map_err(|error| {
                    CliError::new(Exit::Usage, Text::new("lab-err-file").with("path", name))
                        .detail(error.to_string())
                })?;
                suite::read(name, &text).map(|suite| vec![Item::Data(suite)])
            }
            None => {
                let text = Text::new("lab-err-suite").with("name", name);
                let known = Text::new("lab-rec-suite").with("names", suites::NAMES.join(", "));
                return Err(CliError::new(Exit::Usage, text).next(known));
            }
        };
        let mut found = found.map_err(|errors| {
            let text = Text::new("lab-err-schema").with("path", name).count("count", errors.0.len() as u64);
            CliError::new(Exit::Usage, text).detail(errors.to_string()).next(Text::new("lab-rec-schema"))
        })?;
        // A part of a suite that travels with the program may be named beside the whole.
        if suites::find(name).is_some() {
            found.retain(|item| sources.iter().all(|(id, _)| id != item.id()));
        }
        for item in &found {
            if let Some((id, other)) = sources.iter().find(|(id, other)| id == item.id() && other != name) {
                let text =
                    Text::new("lab-err-same-name").with("suite", id).with("one", other).with("two", name);
                return Err(CliError::new(Exit::Usage, text));
            }
        }
        sources.extend(found.iter().map(|item| (item.id().to_owned(), *name)));
        all.extend(found);
    }
    Ok(all)
}

/// A file as text, as far as the reader of suites takes it: a device would be read until memory ends.
fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let limit = suite::read::MAX_FILE as u64 + 1;
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

fn titles(items: &[Item]) -> Vec<SuiteTitle> {
    let mut titles: Vec<SuiteTitle> = Vec::new();
    for item in items {
        let (title, title_ja) = match item {
            Item::Data(suite) => (suite.title.clone(), suite.title_ja.clone()),
            Item::Code(coded) => (coded.title.to_owned(), Some(coded.title_ja.to_owned())),
        };
        if titles.iter().all(|t| t.id != item.id()) {
            let title_ja = title_ja.unwrap_or_else(|| title.clone());
            titles.push(SuiteTitle { id: item.id().to_owned(), title, title_ja });
        }
    }
    titles
}

fn go(app: &App, items: Vec<Item>, only: Vec<String>, arguments: &LabArgs) -> Result<(), CliError> {
    if app.global.trace.is_some() {
        return Err(CliError::new(Exit::Usage, Text::new("lab-err-trace")).next(Text::new("lab-rec-trace")));
    }
    if app.global.dry_run {
        return plan(app, &items, &only);
    }
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_OUT));
    prepare(&out)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| CliError::internal(e.to_string()))?;
    let now = OffsetDateTime::now_utc();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let (targets, traces) = targets(app, arguments, &out, now)?;
    let options = Options { only, seed, seconds: arguments.seconds, stop: Arc::clone(&stop) };
    let titles = titles(&items);
    app.talk(
        &Text::new("lab-start")
            .with("suites", titles.iter().map(|t| t.id.as_str()).collect::<Vec<_>>().join(", "))
            .with("targets", targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", "))
            .with("seed", seed),
    );
    let names: Vec<String> = targets.iter().map(|t| t.name.clone()).collect();
    let under_way = runner::run(targets, items, &options);
    watch(app, &names, &under_way.events);
    let finished = std::mem::take(&mut *runner::lock(&under_way.reports));
    let mut report = RunReport::new(now, seed, titles, finished);
    report.stopped = stop.load(Ordering::Relaxed);
    let language = app.messages.language();
    let say = speaker(language);
    let words = Words { language: language.tag(), say: &say };
    let written = report::write(&out, &report, &words, &traces);
    conclude(app, &report, &out)?;
    written.map_err(not_written)?;
    if let Some(error) = report.targets.iter().find_map(|t| t.trace_error.as_ref()) {
        let text = Text::new("err-trace-write").with("path", out.join("trace.jsonl").display());
        return Err(CliError::new(Exit::Internal, text).detail(error).next(Text::new("lab-rec-out")));
    }
    verdict(&report)
}

/// Words of a page: they are asked for from another place than this thread's messages.
pub fn speaker(language: Language) -> impl Fn(&str, &[(String, String)]) -> String + Send + Sync {
    let messages = Messages::new(language);
    move |key, values| {
        let mut text = Text::new(key);
        for (name, value) in values {
            text = text.with_named(name, value);
        }
        messages.say(&text)
    }
}

/// What would be run, in the order of the suites. Nothing is opened, nothing written.
fn plan(app: &App, items: &[Item], only: &[String]) -> Result<(), CliError> {
    let mut cases: Vec<Planned<'_>> = items.iter().flat_map(Item::cases).collect();
    cases.retain(|planned| is_wanted(only, &planned.case));
    let width = cases.iter().map(|c| c.case.chars().count()).max().unwrap_or_default();
    let is_japanese = app.messages.language() == Language::Ja;
    for planned in &cases {
        let name = planned.name_ja.filter(|_| is_japanese).unwrap_or(planned.name);
        let change = match planned.changes {
            Changes::Nothing => String::new(),
            Changes::Content => format!(" [{}]", app.messages.get("lab-plan-content")),
            Changes::ForGood => format!(" [{}]", app.messages.get("lab-plan-for-good")),
        };
        app.result(&format!("{:width$}  {name}{change}", planned.case))?;
    }
    app.result(&app.messages.say(&Text::new("lab-plan").count("count", cases.len() as u64)))?;
    let object = |planned: &Planned<'_>| {
        let needs: Vec<&str> = planned.needs.iter().map(|need| need.name()).collect();
        json!({
            "case": planned.case, "name": planned.name, "state": planned.state.to_string(),
            "changes": planned.changes.name(), "needs": needs,
        })
    };
    app.json(&json!({ "dry_run": true, "cases": cases.iter().map(object).collect::<Vec<_>>() }))
}

/// Makes the folder and takes away what an earlier run left, so that no mixture of two runs is taken for one.
fn prepare(out: &Path) -> Result<(), CliError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| file_not_written(&path, &error).next(Text::new("lab-rec-out"))
    };
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let later = (2..100).map(|n| format!("trace-{n}.jsonl"));
    for name in NAMES.iter().map(ToString::to_string).chain(later) {
        let path = out.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn not_written(error: ReportError) -> CliError {
    match error {
        ReportError::File(error) => {
            file_not_written(&error.path, &error.source).next(Text::new("lab-rec-out"))
        }
        other => CliError::internal(other.to_string()),
    }
}

/// One target for each reader, and the simulated card where it is asked for or nothing else is.
fn targets(
    app: &App,
    arguments: &LabArgs,
    out: &Path,
    now: OffsetDateTime,
) -> Result<(Vec<Target>, Vec<PathBuf>), CliError> {
    let mut wanted = app.global.reader.clone();
    if wanted.is_empty() && arguments.simulated() == 0 {
        wanted.extend(app.reader());
    }
    let mut targets = Vec::new();
    let mut traces = Vec::new();
    if !wanted.is_empty() {
        let readers = list_readers()?;
        for name in &wanted {
            let reader = find_reader(&readers, Some(name))?.clone();
            if targets.iter().any(|t: &Target| t.name == reader.name) {
                let text = Text::new("lab-err-twice").with("name", &reader.name);
                return Err(CliError::new(Exit::Usage, text));
            }
            let keys = issuer_keys(app, arguments, None)?;
            let (file, path) = trace_file(out, traces.len())?;
            traces.push(path);
            targets.push(real(app, arguments, reader, keys, file, now));
        }
    }
    let simulated_cards = arguments.simulated().max(usize::from(targets.is_empty()));
    for index in 0..simulated_cards {
        let path = arguments.profile.get(index).cloned();
        // One card is "sim"; several go by their profiles.
        let stem = path.as_ref().and_then(|p| p.file_stem()).filter(|_| simulated_cards > 1);
        let stem = stem.map_or("sim".into(), |stem| stem.to_string_lossy());
        let taken = |name: &str| targets.iter().any(|t: &Target| t.name == name);
        let names = std::iter::once(stem.to_string()).chain((2..).map(|n| format!("{stem}-{n}")));
        let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let profile = ProfileSource::from(path).profile().map_err(StartError::from)?;
        let keys = issuer_keys(app, arguments, Some(&profile))?;
        let (file, path) = trace_file(out, traces.len())?;
        traces.push(path);
        targets.push(simulated(app, name, profile, keys, file, now));
    }
    Ok((targets, traces))
}

fn trace_file(out: &Path, index: usize) -> Result<(File, PathBuf), CliError> {
    let name = if index == 0 { "trace.jsonl".to_owned() } else { format!("trace-{}.jsonl", index + 1) };
    let path = out.join(name);
    let file = create_file(&path).map_err(|e| file_not_written(&path, &e).next(Text::new("lab-rec-out")))?;
    Ok((file, path))
}

fn started(now: OffsetDateTime) -> Option<String> {
    now.format(&Rfc3339).ok()
}

/// Writes the trace, and shows the exchanges to who asked for it.
fn tape(file: File, start: &StartRecord, verbose: bool) -> Tape {
    let tape = Tape::to(LineWriter::new(file), start);
    if verbose {
        tape.show_to(Box::new(Watcher::new(talk_line)));
    }
    tape
}

fn real(
    app: &App,
    arguments: &LabArgs,
    reader: Reader,
    keys: Option<SoftwareKeys>,
    file: File,
    now: OffsetDateTime,
) -> Target {
    let options = ReaderOptions {
        reader: reader.name.clone(),
        destructive: arguments.destructive.clone(),
        for_good: arguments.for_good,
        attended: arguments.attended,
        timeout: Duration::from_secs(arguments.timeout.max(1)),
        patience: PATIENCE,
    };
    let name = reader.name.clone();
    let verbose = app.global.verbose;
    let open = move || {
        let start = StartRecord::new(&reader.name, reader.atr.as_deref().unwrap_or_default(), started(now));
        let tape = tape(file, &start, verbose);
        let keys = keys.map(|keys| Rc::new(keys) as Rc<dyn KeySource>);
        Ok(Box::new(ReaderBench::open(options, keys, tape, now)?) as Box<dyn Bench>)
    };
    Target { name, kind: TargetKind::Reader, open: Box::new(open) }
}

fn simulated(
    app: &App,
    name: String,
    profile: Profile,
    keys: Option<SoftwareKeys>,
    file: File,
    now: OffsetDateTime,
) -> Target {
    let verbose = app.global.verbose;
    let open = move || {
        let start = StartRecord::new("simulated GP-SE (jcvm)", &[], started(now));
        let tape = tape(file, &start, verbose);
        let keys = match keys {
            Some(keys) => keys,
            None => simulator::test_keys().map_err(|e| BenchError::Open(e.to_string()))?,
        };
        Ok(Box::new(SimulatedBench::new(profile, Rc::new(keys), tape, now)?) as Box<dyn Bench>)
    };
    Target { name, kind: TargetKind::Simulated, open: Box::new(open) }
}

/// Keys of the issuer security domain as named, else those of the simulated card's profile. On a real card the published
/// ones only with `--lab`, and none at all where none are named: then cases that need a channel are not run.
fn issuer_keys(
    app: &App,
    arguments: &LabArgs,
    simulated: Option<&Profile>,
) -> Result<Option<SoftwareKeys>, CliError> {
    let named = &arguments.keys;
    let options = KeySpec {
        key: named.key.clone().map(Zeroizing::new),
        enc: named.enc.clone().map(Zeroizing::new),
        mac: named.mac.clone().map(Zeroizing::new),
        dek: named.dek.clone().map(Zeroizing::new),
        kvn: named.kvn.clone(),
        diversification: named.kdf.clone(),
    };
    let environment = KeySpec::from_environment(|name| std::env::var(name).ok());
    let keys = match KeySpec::first_of(options, named.key_file.as_deref(), environment) {
        Ok((spec, _)) => spec.keys()?,
        Err(KeySpecError::Missing) if simulated.is_some() => {
            return Ok(simulated.and_then(simulator::profile_keys));
        }
        Err(KeySpecError::Missing) if app.global.lab => {
            simulator::test_keys().map_err(|e| CliError::internal(e.to_string()))?
        }
        Err(KeySpecError::Missing) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if keys.has_published_key() && simulated.is_none() && !app.global.lab {
        return Err(CliError::new(Exit::Policy, Text::new("err-test-key")).next(Text::new("rec-test-key")));
    }
    Ok(Some(keys))
}

/// A bar for each target on a terminal; a line for each case that did not come out well, always.
fn watch(app: &App, names: &[String], events: &std::sync::mpsc::Receiver<Event>) {
    let all = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:24!} [{bar:24}] {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bars: Vec<ProgressBar> = names
        .iter()
        .map(|name| all.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(name.clone())))
        .collect();
    let Some(first) = bars.first() else { return };
    let (mut stopping, mut ended) = (false, 0);
    while ended < names.len() {
        let Ok(event) = events.recv() else { break };
        match event {
            Event::Opened { target, cases } => bars[target].set_length(cases as u64),
            Event::Started { target, case } => bars[target].set_message(case),
            Event::Finished { target, case, verdict } => {
                bars[target].inc(1);
                if let Some(line) = bad_line(app, &names[target], &case, &verdict) {
                    first.suspend(|| talk_line(&line));
                }
                if matches!(verdict, Verdict::Skipped(Skip::Stopped)) && !stopping {
                    stopping = true;
                    first.suspend(|| app.talk(&Text::new("lab-stopping")));
                }
            }
            Event::Asked { target, ask } => {
                let text = Text::new(ask.id()).with("reader", &names[target]);
                first.suspend(|| app.talk(&text));
            }
            Event::Done { target } => {
                ended += 1;
                bars[target].finish_and_clear();
            }
            _ => {}
        }
    }
}

fn bad_line(app: &App, target: &str, case: &str, verdict: &Verdict) -> Option<String> {
    let what = match verdict {
        Verdict::Failed { step, line, doing, mismatches } => {
            let step = match line {
                0 => doing.clone(),
                _ => app
                    .messages
                    .say(&Text::new("lab-step").with("number", step).with("line", line).with("doing", doing)),
            };
            let first = mismatches.first().map(|m| difference(app, m)).unwrap_or_default();
            app.messages.say(&Text::new("lab-failed-step").with("step", step).with("difference", first))
        }
        Verdict::Broken { why } => why.clone(),
        _ => return None,
    };
    let verdict = app.messages.get(&format!("lab-verdict-{}", verdict.id()));
    Some(format!("{verdict}: {target}: {case}: {what}"))
}

fn difference(app: &App, mismatch: &Mismatch) -> String {
    let say = |key: &str, values: &[(String, String)]| {
        let text = Text::new(key);
        app.messages.say(&values.iter().fold(text, |text, (name, value)| text.with_named(name, value)))
    };
    let word = |text: &str| report::terms::localized(text, &say);
    let text = Text::new("lab-difference").with("place", word(&mismatch.place));
    app.messages.say(&text.with("expected", word(&mismatch.expected)).with("found", word(&mismatch.found)))
}

/// The table of suites and targets, and where the report is.
fn conclude(app: &App, report: &RunReport, out: &Path) -> Result<(), CliError> {
    let say = |key: &str| app.messages.get(key);
    for target in &report.targets {
        if let Some(error) = &target.error {
            let text = Text::new("lab-not-opened").with("name", &target.name).with("error", error);
            app.talk(&text);
        }
        hint(app, target);
    }
    let mut rows = vec![[
        say("lab-report-suite"),
        say("lab-report-target"),
        say("lab-verdict-passed"),
        say("lab-verdict-failed"),
        say("lab-verdict-broken"),
        say("lab-verdict-skipped"),
    ]];
    for suite in &report.suites {
        for target in &report.targets {
            let count = |id: &str| {
                let cases = target.cases.iter().filter(|c| c.suite == suite.id);
                cases.filter(|c| c.verdict.id() == id).count().to_string()
            };
            let name = shortened(&target.name);
            rows.push([
                suite.id.clone(),
                name,
                count("passed"),
                count("failed"),
                count("broken"),
                count("skipped"),
            ]);
        }
    }
    let total = |id: &str| {
        let cases = report.targets.iter().flat_map(|target| &target.cases);
        cases.filter(|c| c.verdict.id() == id).count().to_string()
    };
    rows.push([
        say("table-total"),
        String::new(),
        total("passed"),
        total("failed"),
        total("broken"),
        total("skipped"),
    ]);
    for line in crate::table::render(&rows) {
        app.result(&line)?;
    }
    app.result(&app.messages.say(&Text::new("lab-written").with("path", out.join("report.html").display())))?;
    let bad: Vec<_> = report
        .targets
        .iter()
        .flat_map(|t| t.cases.iter().filter(|c| !c.verdict.is_good()).map(move |c| (t, c)))
        .map(|(t, c)| json!({ "target": t.name, "case": format!("{}/{}", c.suite, c.id), "verdict": c.verdict }))
        .collect();
    app.json(&json!({
        "out": out.display().to_string(),
        "seed": report.seed,
        "stopped": report.stopped,
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "broken": report.count("broken"),
        "skipped": report.count("skipped"),
        "bad": bad,
        "targets": report.targets.iter().map(|t| json!({
            "name": t.name, "error": t.error, "card": card_id(&t.identity), "apdus": t.apdus, "seconds": t.seconds,
        })).collect::<Vec<_>>(),
    }))
}

/// What was not run because the card was not named, and how to name it.
fn hint(app: &App, target: &TargetReport) {
    let held_back = target
        .cases
        .iter()
        .filter(|c| matches!(c.verdict, Verdict::Skipped(Skip::Changes | Skip::ForGood)))
        .count();
    if held_back > 0 {
        let text = Text::new("lab-held-back")
            .count("count", held_back as u64)
            .with("name", &target.name)
            .with("card", card_id(&target.identity));
        app.talk(&text);
    }
}

fn shortened(name: &str) -> String {
    const ROOM: usize = 28;
    if name.chars().count() <= ROOM {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(ROOM - 1).collect();
    short.push('…');
    short
}

fn verdict(report: &RunReport) -> Result<(), CliError> {
    if let Some(target) = report.targets.iter().find(|t| t.error.is_some()) {
        let text = Text::new("lab-not-opened")
            .with("name", &target.name)
            .with("error", target.error.as_deref().unwrap_or_default());
        return Err(CliError::new(Exit::NoCard, text));
    }
    if !report.is_good() {
        let bad = report.count("failed") + report.count("broken");
        return Err(CliError::new(Exit::Refused, Text::new("lab-bad").count("count", bad as u64)));
    }
    if report.stopped {
        return Err(CliError::new(Exit::Partial, Text::new("lab-stopped")));
    }
    Ok(())
}
