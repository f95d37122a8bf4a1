//! The `jpkise` binary: argument parsing and printing only.
//!
//! Arguments become plain values ([`args`]), a command turns them into a workflow of the libraries, and what comes back is
//! said in Japanese or English ([`i18n`]) or as JSON. Exit status: [`exit::Exit`].

mod app;
mod args;
mod commands;
mod connect;
mod error;
mod exit;
mod explain;
mod help;
mod i18n;
mod keys;
mod table;

use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::FromArgMatches;

use crate::app::App;
use crate::args::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::{Language, Messages};

fn main() -> ExitCode {
    let messages = Messages::new(language_before_parsing());
    let parsed =
        help::localized(&messages).try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &messages).into(),
    };
    let app = App::new(cli.global);
    match commands::run(&app, cli.command) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            app.report(&error);
            // A reader of ours that has gone (a pager, head) is no failure.
            if error.is_closed_pipe() { Exit::Done } else { error.exit }.into()
        }
    }
}

/// `--lang` is wanted before the arguments are understood: help and usage errors speak the language too.
fn language_before_parsing() -> Language {
    let from_name = |name: &str| match name {
        "ja" => Some(Language::Ja),
        "en" => Some(Language::En),
        _ => None,
    };
    let mut arguments = arguments();
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--lang") {
            Some("") => arguments.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        if let Some(language) = value.as_deref().and_then(from_name) {
            return language;
        }
    }
    let environment = std::env::var("JPKISE_LANG").ok();
    environment.as_deref().and_then(from_name).unwrap_or_else(Language::from_environment)
}

/// The arguments as text. One that is none (a file name may be any bytes) is no flag that is looked for.
fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned())
}

fn usage(error: &clap::Error, messages: &Messages) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Help that nobody reads is no failure.
        let _ = error.print();
        return Exit::Done;
    }
    let described = describe(error);
    if arguments().any(|a| a == "--json") {
        app::write_json_error(messages, &described);
    }
    if messages.language() == Language::En {
        // clap's own words carry the usage line too.
        let _ = error.print();
    } else {
        app::talk_error(messages, &described);
    }
    Exit::Usage
}

/// clap's error as one of ours.
fn describe(error: &clap::Error) -> CliError {
    let mut described = CliError::new(Exit::Usage, usage_text(error));
    for (kind, key) in [
        (ContextKind::SuggestedArg, "usage-suggested"),
        (ContextKind::SuggestedSubcommand, "usage-suggested"),
        (ContextKind::SuggestedValue, "usage-suggested"),
        (ContextKind::ValidValue, "usage-valid"),
        (ContextKind::ValidSubcommand, "usage-valid"),
    ] {
        let values = error.get(kind).map(ToString::to_string).unwrap_or_default();
        if !values.is_empty() {
            described = described.next(i18n::Text::new(key).with("values", values));
        }
    }
    described.next(i18n::Text::new("usage-help"))
}

/// clap's own kinds in our words.
fn usage_text(error: &clap::Error) -> i18n::Text {
    let value = |kind: ContextKind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let key = match error.kind() {
        ErrorKind::InvalidValue if value(ContextKind::InvalidValue).is_empty() => "usage-missing-value",
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => "usage-invalid-value",
        ErrorKind::UnknownArgument => "usage-unknown-argument",
        ErrorKind::InvalidSubcommand => "usage-unknown-command",
        ErrorKind::MissingRequiredArgument => "usage-missing-argument",
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "usage-missing-command"
        }
        ErrorKind::ArgumentConflict => "usage-conflict",
        _ => "err-usage",
    };
    let argument = match error.kind() {
        ErrorKind::InvalidSubcommand => value(ContextKind::InvalidSubcommand),
        _ => value(ContextKind::InvalidArg),
    };
    i18n::Text::new(key).with("argument", argument).with("value", value(ContextKind::InvalidValue))
}
