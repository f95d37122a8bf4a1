//! What a run shows: progress, what did not come out, the end.

use std::path::Path;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jpkise_lab::report::{self, RunReport};
use jpkise_lab::run::identity::card_id;
use jpkise_lab::run::runner::Event;
use jpkise_lab::run::{Mismatch, Skip, TargetReport, Verdict};
use serde_json::json;

use crate::app::{talk_line, App};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// A bar for each target on a terminal; a line for each case that did not come out well, always.
pub(super) fn watch(app: &App, names: &[String], events: &std::sync::mpsc::Receiver<Event>) {
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
pub(super) fn conclude(app: &App, report: &RunReport, out: &Path) -> Result<(), CliError> {
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

pub(super) fn verdict(report: &RunReport) -> Result<(), CliError> {
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
