//! `jpkise doctor`: a line a check, OK or NG, and what to do next.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jpkise_card::pcsc::list_readers;
use jpkise_card::trace::{Recorder, StartRecord};
use jpkise_lab::doctor::{self, Check, Finding, Questions, Verdict};
use jpkise_lab::files::write_whole;
use jpkise_lab::report::environment;
use serde_json::json;

use crate::app::App;
use crate::args::DoctorArgs;
use crate::connect::Traces;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Checks everything between this program and a card.
pub fn run(app: &App, arguments: &DoctorArgs) -> Result<(), CliError> {
    let mut traces = Ok(Traces::default());
    let transcript = Transcript::default();
    let reader = app.reader();
    let questions = Questions { reader: reader.as_deref(), test_keys: arguments.test_keys };
    let findings = doctor::examine(&questions, &mut |card| {
        let start = StartRecord::new(card.name(), card.atr(), None);
        card.observe(Box::new(Recorder::new(transcript.clone(), start).0));
        traces = Traces::watch(app, card, None);
    });
    if let Some(path) = &arguments.bundle {
        bundle(path, &findings, &transcript)?;
        app.talk(&Text::new("doctor-bundle").with("path", path.display()));
    }
    app.json(&json!({ "checks": findings.iter().map(object).collect::<Vec<_>>() }))?;
    for finding in &findings {
        app.result(&line(app, finding))?;
        if let (Verdict::Bad, Some(next)) = (finding.verdict, finding.next) {
            app.result(&format!("      → {}", app.messages.get(&format!("doctor-next-{next}"))))?;
        }
    }
    traces?.close()?;
    match findings.iter().find(|f| f.verdict == Verdict::Bad) {
        None => app.result(&app.messages.get("doctor-all-well")),
        Some(finding) => {
            let what = Text::new("doctor-found").nested("check", title(finding.check));
            let exit = if finding.check < Check::Isd { Exit::NoCard } else { Exit::Refused };
            Err(CliError::new(exit, what))
        }
    }
}

/// What went over the wire, kept in memory: secrets are named in it and never written.
#[derive(Clone, Default)]
struct Transcript(Arc<Mutex<Vec<u8>>>);

impl Write for Transcript {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One file fit for a bug report: versions, machine, readers, findings, transcript.
fn bundle(path: &Path, findings: &[Finding], transcript: &Transcript) -> Result<(), CliError> {
    let bytes = transcript.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8_lossy(&bytes);
    let records: Vec<serde_json::Value> =
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let readers: Vec<_> = list_readers()
        .unwrap_or_default()
        .iter()
        .map(|reader| json!({ "name": reader.name, "atr": reader.atr.as_ref().map(hex::encode_upper) }))
        .collect();
    let machine: serde_json::Map<_, _> =
        environment().into_iter().map(|(name, value)| (name, value.into())).collect();
    let bundle = json!({
        "format": "jpkise doctor 1",
        "environment": machine,
        "readers": readers,
        "checks": findings.iter().map(object).collect::<Vec<_>>(),
        "transcript": records,
    });
    let text = serde_json::to_vec_pretty(&bundle).map_err(|e| CliError::internal(e.to_string()))?;
    Ok(write_whole(path, &text)?)
}

fn title(check: Check) -> Text {
    Text::new(format!("doctor-{}", check.id()))
}

fn line(app: &App, finding: &Finding) -> String {
    let mut parts = vec![finding.detail.clone()];
    if let Some(tries) = finding.tries {
        let text = Text::new("doctor-tries").with("pin", tries.pin).with("password", tries.password);
        parts.push(app.messages.say(&text));
    }
    let verdict = match finding.verdict {
        Verdict::Good => app.messages.get("ok"),
        Verdict::Bad => app.messages.get("ng"),
        Verdict::NotChecked => {
            parts.push(app.messages.get("doctor-not-checked"));
            "--".to_owned()
        }
    };
    parts.retain(|part| !part.is_empty());
    let detail = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
    format!("{verdict:4} {}{detail}", app.messages.say(&title(finding.check)))
}

fn object(finding: &Finding) -> serde_json::Value {
    let mut object = json!({
        "check": finding.check.id(),
        "ok": match finding.verdict { Verdict::Good => Some(true), Verdict::Bad => Some(false), Verdict::NotChecked => None },
        "detail": finding.detail,
        "next": finding.next,
    });
    if let Some(tries) = finding.tries {
        object["tries_left"] = json!({ "pin": tries.pin, "password": tries.password });
    }
    object
}
