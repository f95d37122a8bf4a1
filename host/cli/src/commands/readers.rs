//! `jpkise readers`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jpkise_card::pcsc::{
    find_reader, list_readers, wait_until, Change, FindReaderError, Reader, ReaderEvent, Watcher,
};
use jpkise_card::TransportError;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::app::App;
use crate::args::ReadersArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// How long until Ctrl-C is noticed.
const STOP_PERIOD: Duration = Duration::from_millis(200);

/// Lists readers and the cards in them, waits for a card, or tells what comes and goes.
pub fn run(app: &App, arguments: &ReadersArgs) -> Result<(), CliError> {
    if arguments.watch {
        return watch(app);
    }
    let readers =
        if arguments.wait { wait(app, arguments.timeout.map(Duration::from_secs))? } else { list_readers()? };
    list(app, &readers)
}

fn list(app: &App, readers: &[Reader]) -> Result<(), CliError> {
    let list: Vec<_> = readers
        .iter()
        .enumerate()
        .map(|(index, reader)| {
            let mut object = json!({ "index": index, "name": reader.name, "card": reader.has_card() });
            if let Some(atr) = &reader.atr {
                object["atr"] = json!(hex::encode_upper(atr));
            }
            object
        })
        .collect();
    app.json(&json!({ "readers": list }))?;
    for (index, reader) in readers.iter().enumerate() {
        let line = Text::new("reader-line")
            .with("index", index)
            .with("name", &reader.name)
            .nested("card", card(reader));
        app.result(&app.messages.say(&line))?;
    }
    if readers.is_empty() {
        return Err(no_reader());
    }
    Ok(())
}

fn no_reader() -> CliError {
    CliError::new(Exit::NoCard, Text::new("err-no-reader-at-all")).next(Text::new("doctor-next-reader"))
}

fn card(reader: &Reader) -> Text {
    match &reader.atr {
        Some(atr) => Text::new("card-present").with("atr", hex::encode_upper(atr)),
        None if reader.mute => Text::new("card-mute"),
        None => Text::new("card-none"),
    }
}

/// Waits until a card that answers is in the reader asked for, or in any; the readers as they are then.
fn wait(app: &App, limit: Option<Duration>) -> Result<Vec<Reader>, CliError> {
    let wanted = app.reader();
    let mut last = Vec::new();
    let found = wait_until(limit, |readers| {
        last = readers.to_vec();
        match &wanted {
            None => readers.iter().any(|reader| reader.atr.is_some()).then_some(Ok(())),
            Some(wanted) => match find_reader(readers, Some(wanted)) {
                Ok(reader) => reader.atr.is_some().then_some(Ok(())),
                // More readers make it no clearer.
                Err(error @ FindReaderError::Ambiguous { .. }) => Some(Err(error)),
                Err(_) => None,
            },
        }
    })?;
    match (found, &wanted) {
        (Some(found), _) => found.map(|()| last).map_err(CliError::from),
        (None, _) if last.is_empty() => Err(no_reader()),
        (None, Some(wanted)) => {
            let reader = find_reader(&last, Some(wanted))?;
            Err(TransportError::NoCard(reader.name.clone()).into())
        }
        (None, None) => {
            Err(CliError::new(Exit::NoCard, Text::new("err-no-card-anywhere")).next(Text::new("rec-no-card")))
        }
    }
}

/// A line for each event until Ctrl-C. With `--json` each is an object: there is no end at which one could be printed.
fn watch(app: &App) -> Result<(), CliError> {
    let wanted = Wanted::new(app.reader())?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| CliError::internal(e.to_string()))?;
    app.talk(&Text::new("readers-watching"));
    let started = Instant::now();
    let watcher = Watcher::start();
    while !stop.load(Ordering::Relaxed) {
        match watcher.next_within(STOP_PERIOD) {
            Some(event) if wanted.fits(&event.change) => tell(app, &event, started)?,
            _ => {}
        }
    }
    Ok(())
}

fn tell(app: &App, event: &ReaderEvent, started: Instant) -> Result<(), CliError> {
    let seconds = event.at.saturating_duration_since(started).as_secs_f64();
    let mut object = json!({ "event": event.change.id() });
    let mut what = Text::new(match (event.initial, &event.change) {
        (true, Change::CardInserted { .. }) => "card-present".to_owned(),
        (true, change) => format!("event-initial-{}", change.id()),
        (false, change) => format!("event-{}", change.id()),
    });
    if let Change::CardInserted { atr, .. } = &event.change {
        let atr = hex::encode_upper(atr);
        object["atr"] = json!(atr);
        what = what.with("atr", atr);
    }
    let mut line = Text::new("event-line");
    if let Some(reader) = event.change.reader() {
        object["reader"] = json!(reader);
        line = Text::new("event-line-reader").with("reader", reader);
    }
    if event.initial {
        object["initial"] = json!(true);
    }
    // The wall clock is for other records; it may be set while the watch goes on.
    let time = OffsetDateTime::now_utc() - event.at.elapsed();
    object["time"] = json!(time.format(&Rfc3339).map_err(|e| CliError::internal(e.to_string()))?);
    object["seconds"] = json!(seconds);
    app.json_line(&object)?;
    let line = line.with("seconds", format!("{seconds:7.1}")).nested("what", what);
    app.result(&app.messages.say(&line))
}

/// Whose events are wanted.
enum Wanted {
    All,
    /// In lower case, a name or a part of it: the reader may come later.
    Part(String),
    Name(String),
}

impl Wanted {
    /// An index means the reader that has it now.
    fn new(reader: Option<String>) -> Result<Self, CliError> {
        let Some(reader) = reader else { return Ok(Self::All) };
        let readers = match list_readers() {
            Err(TransportError::NoService) => Vec::new(),
            readers => readers?,
        };
        match find_reader(&readers, Some(&reader)) {
            Ok(found) => Ok(Self::Name(found.name.clone())),
            Err(FindReaderError::Ambiguous { .. }) => Ok(Self::Part(reader.to_lowercase())),
            Err(_) if reader.parse::<usize>().is_err() => Ok(Self::Part(reader.to_lowercase())),
            Err(error) => Err(error.into()),
        }
    }

    fn fits(&self, change: &Change) -> bool {
        match (self, change.reader()) {
            (Self::All, _) | (_, None) => true,
            (Self::Part(part), Some(name)) => name.to_lowercase().contains(part),
            (Self::Name(wanted), Some(name)) => wanted == name,
        }
    }
}
