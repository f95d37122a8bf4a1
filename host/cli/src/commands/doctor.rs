//! `jpkise doctor`: a line a check, OK or NG, and what to do next.

use jpkise_lab::doctor::{self, Check, Finding, Verdict};
use serde_json::json;

use crate::app::App;
use crate::connect::Traces;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Checks everything between this program and a card.
pub fn run(app: &App) -> Result<(), CliError> {
    let mut traces = Ok(Traces::default());
    let findings = doctor::examine(app.reader().as_deref(), &mut |card| {
        traces = Traces::watch(app, card, None);
    });
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
