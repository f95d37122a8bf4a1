//! `jpkise lab`: suites on one card or several, and the folder of evidence they leave.

mod compare;
mod replay;
mod show;
mod targets;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use jpkise_lab::report::{self, ReportError, RunReport, SuiteTitle, Words};
use jpkise_lab::run::runner::{self, is_wanted, Item, Options, Planned};
use jpkise_lab::suite::model::Changes;
use jpkise_lab::{suite, suites};
use serde_json::json;
use time::OffsetDateTime;

use crate::app::App;
use crate::args::{LabArgs, LabVerb};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_written;
use crate::i18n::{Language, Messages, Text};

/// Where the report goes unless `--out` says otherwise.
const DEFAULT_OUT: &str = "lab-out";
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
        LabVerb::Replay(arguments) => replay::run(app, arguments),
        LabVerb::Compare(arguments) => compare::run(app, arguments),
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
    let (targets, traces) = targets::targets(app, arguments, &out, now)?;
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
    show::watch(app, &names, &under_way.events);
    let finished = std::mem::take(&mut *runner::lock(&under_way.reports));
    let mut report = RunReport::new(now, seed, titles, finished);
    report.stopped = stop.load(Ordering::Relaxed);
    let language = app.messages.language();
    let say = speaker(language);
    let words = Words { language: language.tag(), say: &say };
    let written = report::write(&out, &report, &words, &traces);
    show::conclude(app, &report, &out)?;
    written.map_err(not_written)?;
    if let Some(error) = report.targets.iter().find_map(|t| t.trace_error.as_ref()) {
        let text = Text::new("err-trace-write").with("path", out.join("trace.jsonl").display());
        return Err(CliError::new(Exit::Internal, text).detail(error).next(Text::new("lab-rec-out")));
    }
    show::verdict(&report)
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
