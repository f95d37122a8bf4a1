//! From `--reader` to a connected card, with the trace and `-v` watching.

use std::path::{Path, PathBuf};

use jpkise_card::pcsc::{find_reader, list_readers, ConnectOptions, PcscTransport};
use jpkise_card::trace::{create_file, Recorder, StartRecord, TraceHandle, Watcher};
use jpkise_card::{Card, Transport};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::app::{talk_line, App};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_written;
use crate::i18n::Text;

/// The card in the reader that `--reader` names, or in the only reader there is.
pub fn to_reader(app: &App) -> Result<Card<PcscTransport>, CliError> {
    let readers = list_readers()?;
    let reader = find_reader(&readers, app.global.reader.as_deref())?;
    if reader.mute {
        return Err(CliError::new(Exit::NoCard, Text::new("err-timeout")).next(Text::new("rec-timeout")));
    }
    if !reader.has_card() {
        return Err(CliError::new(Exit::NoCard, Text::new("err-no-card").with("name", &reader.name))
            .next(Text::new("rec-no-card")));
    }
    Ok(Card::new(PcscTransport::connect(&reader.name, ConnectOptions::default())?))
}

/// Traces under way. Closed at the end of a run, so that a full disk is said and not swallowed.
#[derive(Default)]
pub struct Traces {
    open: Vec<(PathBuf, TraceHandle, &'static str)>,
}

impl Traces {
    /// Watches `card` for `-v`, for `--trace`, and for a trace of the command's own.
    pub fn watch<T: Transport>(app: &App, card: &mut Card<T>, own: Option<&Path>) -> Result<Self, CliError> {
        let mut traces = Self::default();
        let own = own.map(|path| (path, "rec-file"));
        let asked = app.global.trace.as_deref().map(|path| (path, "rec-trace-file"));
        for (path, next) in own.into_iter().chain(asked) {
            let file = create_file(path).map_err(|e| file_not_written(path, &e).next(Text::new(next)))?;
            let started = OffsetDateTime::now_utc().format(&Rfc3339).ok();
            let start = StartRecord::new(card.name(), card.atr(), started);
            let (recorder, handle) = Recorder::new(file, start);
            card.observe(Box::new(recorder));
            traces.open.push((path.to_owned(), handle, next));
        }
        if app.global.verbose {
            card.observe(Box::new(Watcher::new(talk_line)));
        }
        Ok(traces)
    }

    /// Ends the traces; the first that is not whole is an error.
    pub fn close(self) -> Result<(), CliError> {
        for (path, handle, next) in self.open {
            handle.close().map_err(|error| {
                let text = Text::new("err-trace-write").with("path", path.display());
                CliError::new(Exit::Internal, text).detail(error.to_string()).next(Text::new(next))
            })?;
        }
        Ok(())
    }
}
