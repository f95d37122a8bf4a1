//! `jpkise doctor`: a line a check, OK or NG, and what to do next.

use jpkise_lab::doctor::{self, Check, Finding, Verdict};
use serde_json::json;

use crate::app::App;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Checks everything between this program and a card.
pub fn run(app: &App) -> Result<(), CliError> {
    let findings = doctor::examine(app.global.reader.as_deref());
    app.json(&json!({ "checks": findings.iter().map(object).collect::<Vec<_>>() }))?;
    for finding in &findings {
        app.result(&line(app, finding))?;
        if let (Verdict::Bad, Some(next)) = (finding.verdict, finding.next) {
            app.result(&format!("      → {}", app.messages.get(&format!("doctor-next-{next}"))))?;
        }
    }
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
    let verdict = match finding.verdict {
        Verdict::Good => "ok",
        Verdict::Bad => "ng",
        Verdict::NotChecked => "doctor-not-checked",
    };
    let detail = if finding.detail.is_empty() { String::new() } else { format!(": {}", finding.detail) };
    format!("{:4} {}{detail}", app.messages.get(verdict), app.messages.say(&title(finding.check)))
}

fn object(finding: &Finding) -> serde_json::Value {
    json!({
        "check": finding.check.id(),
        "ok": match finding.verdict { Verdict::Good => Some(true), Verdict::Bad => Some(false), Verdict::NotChecked => None },
        "detail": finding.detail,
        "next": finding.next,
    })
}
