//! `jpkise demo`: the whole chain, shown step by step.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jpkise_card::{Card, Transport};
use jpkise_lab::chain::{self, Event, Options, Step, StepReport, Summary};
use jpkise_lab::files::OutDir;
use jpkise_lab::{secrets, simulator};

use crate::app::{talk_line, App};
use crate::args::DemoArgs;
use crate::connect::{to_reader, Traces};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Where the files go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "demo-out";

/// Runs the chain on the simulator, or on the card in `--reader`.
pub fn run(app: &App, arguments: &DemoArgs) -> Result<(), CliError> {
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_OUT));
    let options =
        secrets::lab_options(arguments.token.into()).map_err(|e| CliError::internal(e.to_string()))?;
    if app.reader().is_none() {
        return on(app, &mut simulator::start(arguments.runtime.into())?, &options, &out);
    }
    if !app.global.lab {
        return Err(CliError::new(Exit::Policy, Text::new("err-lab")).next(Text::new("rec-lab")));
    }
    let mut card = to_reader(app)?;
    app.consent(
        &Text::new("demo-consent").with("reader", card.name()).with("atr", hex::encode_upper(card.atr())),
    )?;
    on(app, &mut card, &options, &out)
}

fn on<T: Transport>(app: &App, card: &mut Card<T>, options: &Options, out: &Path) -> Result<(), CliError> {
    let out = OutDir::create(out)?;
    let traces = Traces::watch(app, card, Some(&out.path().join("trace.jsonl")))?;
    let mut show = Show { app, bar: ProgressBar::hidden() };
    talk_line(&app.messages.get("demo-title"));
    talk_line(&app.messages.say(&Text::new("demo-card").with("name", card.name())));
    let result = chain::run(card, options, &out, &mut |event| show.event(event));
    show.bar.finish_and_clear();
    let closed = traces.close();
    let summary = result?;
    closed?;
    show.table(&summary)?;
    if summary.access.is_empty() {
        app.result(&app.messages.get("demo-no-ara"))?;
    }
    if summary.openssl == "not-installed" {
        app.result(&app.messages.get("demo-openssl-missing"))?;
    }
    let secrets = Text::new("demo-secrets").with("pin", secrets::PIN).with("password", secrets::PASSWORD);
    app.result(&app.messages.say(&secrets))?;
    app.result(&app.messages.say(&Text::new("demo-files").with("dir", out.path().display())))?;
    app.result(&app.messages.get("demo-done"))?;
    app.json(&summary)
}

/// Shows events as they come: a line a step, a spinner while a terminal waits.
struct Show<'a> {
    app: &'a App,
    bar: ProgressBar,
}

impl Show<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started(step) => self.started(*step),
            Event::Progress { what, done, total } => {
                let part = self.app.messages.get(&format!("part-{what}"));
                self.bar.set_message(format!("{part} ({}/{total})", done + 1));
            }
            Event::Finished(report) => self.finished(report),
            Event::Admitted(admitted) => {
                let key = if admitted.opened { "demo-admitted" } else { "demo-not-admitted" };
                let why = format!("demo-why-{}", admitted.search.to_lowercase());
                let text = Text::new(key)
                    .nested("app", Text::new(format!("demo-app-{}", admitted.app)))
                    .nested("why", Text::new(why))
                    .with("search", admitted.search)
                    .with("exception", admitted.exception);
                let line = format!("      {}", self.app.messages.say(&text));
                self.bar.suspend(|| talk_line(&line));
            }
            Event::Refused(refused) => {
                let key = if refused.tries_left.is_some() { "demo-refused-tries" } else { "demo-refused" };
                let text = Text::new(key)
                    .nested("case", Text::new(format!("case-{}", refused.case)))
                    .with("sw", &refused.status_word)
                    .with("tries", refused.tries_left.unwrap_or(0));
                let line = format!("      {}", self.app.messages.say(&text));
                self.bar.suspend(|| talk_line(&line));
            }
        }
    }

    fn started(&mut self, step: Step) {
        let number = Step::ALL.iter().position(|s| *s == step).unwrap_or(0) + 1;
        let text = Text::new("demo-step")
            .with("number", format!("{number:2}"))
            .with("total", Step::ALL.len())
            .nested("step", Text::new(format!("step-{}", step.id())));
        talk_line(&self.app.messages.say(&text));
        // Hidden by the crate itself where standard error is no terminal.
        self.bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("      {spinner} {elapsed} {msg}") {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    fn finished(&mut self, report: &StepReport) {
        self.bar.finish_and_clear();
        for fact in &report.facts {
            let name = self.app.messages.get(&format!("fact-{}", fact.name));
            talk_line(&format!("      {name}: {}", fact.value));
        }
        let text =
            Text::new("demo-step-done").with("ms", format!("{:.1}", report.ms)).with("apdus", report.apdus);
        talk_line(&format!("      {} {}", self.app.messages.get("ok"), self.app.messages.say(&text)));
    }

    fn table(&self, summary: &Summary) -> Result<(), CliError> {
        let say = |key: &str| self.app.messages.get(key);
        let mut rows = vec![[say("table-step"), say("table-time"), say("table-apdus"), say("table-bytes")]];
        for step in &summary.steps {
            rows.push([
                say(&format!("step-{}", step.step)),
                format!("{:.1}", step.ms),
                step.apdus.to_string(),
                step.bytes.to_string(),
            ]);
        }
        let total = [
            say("table-total"),
            format!("{:.1}", summary.ms),
            summary.apdus.to_string(),
            summary.bytes.to_string(),
        ];
        rows.push(total);
        for line in crate::table::render(&rows) {
            self.app.result(&line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::{Language, Messages};
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn the_table_fits_a_terminal_of_80_columns() {
        // Behind the step: milliseconds (7), APDUs and bytes (5 each), two spaces before each.
        let room = 80 - (2 + 7) - 2 * (2 + 5);
        for language in [Language::En, Language::Ja] {
            let messages = Messages::new(language);
            for step in Step::ALL {
                let name = messages.get(&format!("step-{}", step.id()));
                assert!(name.width() <= room, "{} cells: {name}", name.width());
            }
        }
    }
}
