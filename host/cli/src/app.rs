//! What every command has at hand: language, output, the ways to a card.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;

use crate::args::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::{Language, Messages, Text};

/// The run's surroundings.
pub struct App {
    /// Flags every command takes.
    pub global: Global,
    /// Messages in the chosen language.
    pub messages: Messages,
    /// Whether the one JSON object of the run has been printed.
    object_printed: Cell<bool>,
}

impl App {
    /// From the parsed flags.
    pub fn new(global: Global) -> Self {
        let language = global.lang.unwrap_or_else(Language::from_environment);
        Self { global, messages: Messages::new(language), object_printed: Cell::new(false) }
    }

    /// The reader asked for, by flag or by environment.
    pub fn reader(&self) -> Option<String> {
        self.global
            .reader
            .first()
            .cloned()
            .or_else(|| std::env::var("JPKISE_READER").ok().filter(|name| !name.is_empty()))
    }

    /// A result for people, on standard output; nothing with `--json`.
    pub fn result(&self, line: &str) -> Result<(), CliError> {
        if self.global.json {
            return Ok(());
        }
        write_line(&printable(line))
    }

    /// The one JSON object of a run with `--json`.
    pub fn json<S: Serialize>(&self, value: &S) -> Result<(), CliError> {
        if !self.global.json {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(value).map_err(|e| CliError::internal(e.to_string()))?;
        self.object_printed.set(true);
        write_line(&text)
    }

    /// One of many JSON objects, on a line of its own, of a run with `--json` that goes on until it is stopped.
    pub fn json_line<S: Serialize>(&self, value: &S) -> Result<(), CliError> {
        if !self.global.json {
            return Ok(());
        }
        write_line(&serde_json::to_string(value).map_err(|e| CliError::internal(e.to_string()))?)
    }

    /// Talk, on standard error.
    pub fn talk(&self, text: &Text) {
        talk_line(&self.messages.say(text));
    }

    /// Asks before something that changes a real card. Without a terminal and without `--yes` the answer is no.
    pub fn consent(&self, question: &Text) -> Result<(), CliError> {
        if self.global.yes {
            return Ok(());
        }
        let refused = || CliError::new(Exit::Policy, Text::new("err-consent")).next(Text::new("rec-consent"));
        if !io::stdin().is_terminal() {
            return Err(refused());
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{} {} ", self.messages.say(question), self.messages.get("yes-no"));
        let _ = err.flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(CliError::from)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" | "はい" => Ok(()),
            _ => Err(refused()),
        }
    }

    /// Asks for something that has to be typed out, for what cannot be undone. `--yes` does not answer it.
    pub fn typed(&self, question: &Text, expected: &str) -> Result<(), CliError> {
        let refused = || CliError::new(Exit::Policy, Text::new("err-consent"));
        if !io::stdin().is_terminal() {
            return Err(refused());
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{} ", self.messages.say(question));
        let _ = err.flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(CliError::from)?;
        if answer.trim().eq_ignore_ascii_case(expected) {
            Ok(())
        } else {
            Err(refused())
        }
    }

    /// Says an error and its next steps on standard error; with `--json` it is the run's object too, unless the result
    /// has been printed already (a check that found something: the findings are the object).
    pub fn report(&self, error: &CliError) {
        if error.is_closed_pipe() {
            return;
        }
        if self.global.json && !self.object_printed.get() {
            write_json_error(&self.messages, error);
        }
        talk_error(&self.messages, error);
    }
}

/// The JSON object of a run that failed.
pub fn write_json_error(messages: &Messages, error: &CliError) {
    let object = serde_json::json!({
        "error": error.key(),
        "message": messages.say(&error.what),
        "detail": error.detail,
        "causes": error.causes.iter().map(|cause| serde_json::json!({
            "cause": cause.key(),
            "text": messages.get(cause.key()),
            "next": messages.get(cause.next_key()),
        })).collect::<Vec<_>>(),
        "next": error.next.iter().map(|t| messages.say(t)).collect::<Vec<_>>(),
        "status_word": error.sw.map(|sw| sw.to_string()),
        "tries_left": error.tries_left,
        "exit": error.exit as u8,
    });
    // The run has failed already.
    let _ = writeln!(io::stdout().lock(), "{object:#}");
}

/// What failed and what to do next, on standard error.
pub fn talk_error(messages: &Messages, error: &CliError) {
    talk_line(&format!("{} {}", messages.get("error-prefix"), messages.say(&error.what)));
    if let Some(detail) = &error.detail {
        talk_line(&format!("  {detail}"));
    }
    if !error.causes.is_empty() {
        talk_line(&format!("  {}", messages.get("causes-heading")));
    }
    for (cause, number) in error.causes.iter().zip(1..) {
        talk_line(&format!("  {number}. {}", messages.get(cause.key())));
        talk_line(&format!("     → {}", messages.get(cause.next_key())));
    }
    for step in &error.next {
        talk_line(&format!("  → {}", messages.say(step)));
    }
}

/// A line of talk that is words already, on standard error.
pub fn talk_line(line: &str) {
    // Standard error gone is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{}", printable(line));
}

/// Names and labels come from readers, cards and files: none of them may command the terminal.
fn printable(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(commands) {
        text.replace(commands, "\u{FFFD}").into()
    } else {
        text.into()
    }
}

fn write_line(line: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(CliError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_command_the_terminal() {
        assert_eq!(printable("reader\u{1b}[31m\u{9b}2J\r\0"), "reader\u{FFFD}[31m\u{FFFD}2J\u{FFFD}\u{FFFD}");
        assert_eq!(printable("二行\n\t目"), "二行\n\t目");
    }
}
