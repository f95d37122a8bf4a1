//! What a person reads when something fails: what, why, and what to do next. Fields first, words from the bundles.

use std::io;

use jpkise_gp::explain::Cause;
use jpkise_wire::StatusWord;

use crate::exit::Exit;
use crate::i18n::Text;

/// A failed run.
#[derive(Debug)]
pub struct CliError {
    /// How the run ends.
    pub exit: Exit,
    /// What failed.
    pub what: Text,
    /// The technical line behind it, in English.
    pub detail: Option<String>,
    /// Likely causes of a card's refusal, the likeliest first; each has a next step of its own.
    pub causes: &'static [Cause],
    /// What to do next, most likely first.
    pub next: Vec<Text>,
    /// The card's answer, if it was one.
    pub sw: Option<StatusWord>,
    /// Tries left of the secret or key in question, where the card tells.
    pub tries_left: Option<u8>,
    closed_pipe: bool,
    key: String,
}

impl CliError {
    /// `what` happened, the run ends with `exit`.
    pub fn new(exit: Exit, what: Text) -> Self {
        let key = what.key().to_owned();
        Self {
            exit,
            what,
            detail: None,
            causes: &[],
            next: Vec::new(),
            sw: None,
            tries_left: None,
            closed_pipe: false,
            key,
        }
    }

    /// Something in the program itself.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Exit::Internal, Text::new("err-internal")).detail(detail).next(Text::new("rec-internal"))
    }

    /// With the technical line.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the likely causes of a refusal.
    #[must_use]
    pub fn because(mut self, causes: &'static [Cause]) -> Self {
        self.causes = causes;
        self
    }

    /// With one more next step.
    #[must_use]
    pub fn next(mut self, step: Text) -> Self {
        self.next.push(step);
        self
    }

    /// With the card's answer.
    #[must_use]
    pub fn status(mut self, sw: StatusWord) -> Self {
        self.sw = Some(sw);
        self.tries_left = self.tries_left.or(sw.tries_left());
        self
    }

    /// Stable name for JSON: the message key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whoever read our output has gone; that is not an error worth words.
    pub fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let what = match error.kind() {
            io::ErrorKind::StorageFull => Text::new("err-disk-full"),
            io::ErrorKind::PermissionDenied => Text::new("err-permission"),
            io::ErrorKind::NotFound => Text::new("err-file-not-found"),
            _ => Text::new("err-io"),
        };
        Self { closed_pipe, ..Self::new(Exit::Internal, what).detail(error.to_string()) }
    }
}
