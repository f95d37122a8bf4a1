//! Observers that write a trace.

use std::fs::{File, OpenOptions};
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::record::{ExchangeRecord, Record, StartRecord};
use super::render::render;
use crate::card::{Exchange, Observer};

/// Opens a file for a trace, readable by its owner alone: answers of cards can carry names and addresses.
pub fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

struct Sink {
    out: Box<dyn Write + Send>,
    index: u64,
    error: Option<io::Error>,
}

impl Sink {
    fn write(&mut self, record: &Record) {
        // After the first error a trace would have holes; it ends there.
        if self.error.is_some() {
            return;
        }
        let result = serde_json::to_string(record)
            .map_err(io::Error::from)
            .and_then(|line| writeln!(self.out, "{line}"));
        self.error = result.err();
    }
}

/// Writes each exchange as a line of JSON. What cannot be written is reported by [`TraceHandle::close`].
pub struct Recorder {
    sink: Arc<Mutex<Sink>>,
    opened: Instant,
}

/// The other end of a [`Recorder`], kept by the program.
pub struct TraceHandle {
    sink: Arc<Mutex<Sink>>,
}

/// What a trace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceSummary {
    /// Exchanges written.
    pub exchanges: u64,
}

impl Recorder {
    /// Begins a trace with its first line. Each line is written through, so that a killed program leaves it whole.
    pub fn new(out: impl Write + Send + 'static, start: StartRecord) -> (Self, TraceHandle) {
        let mut sink = Sink { out: Box::new(LineWriter::new(out)), index: 0, error: None };
        sink.write(&Record::Start(start));
        let sink = Arc::new(Mutex::new(sink));
        (Self { sink: Arc::clone(&sink), opened: Instant::now() }, TraceHandle { sink })
    }
}

/// A panic while writing leaves at worst a broken line behind, which is no reason to panic again.
fn lock(sink: &Mutex<Sink>) -> MutexGuard<'_, Sink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer for Recorder {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        let mut sink = lock(&self.sink);
        sink.index += 1;
        let record = ExchangeRecord::new(sink.index, exchange);
        sink.write(&Record::Exchange(record));
    }

    fn reset(&mut self, atr: &[u8]) {
        let time_us = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        lock(&self.sink).write(&Record::Reset { time_us, reset: hex::encode_upper(atr), card: None });
    }
}

impl TraceHandle {
    /// Ends the trace. The first error met while writing comes out here: a full disk must not stop work on a card.
    pub fn close(self) -> io::Result<TraceSummary> {
        let mut sink = lock(&self.sink);
        if let Some(error) = sink.error.take() {
            return Err(error);
        }
        sink.out.flush()?;
        Ok(TraceSummary { exchanges: sink.index })
    }
}

/// Shows each exchange to a function as text for people, as it happens.
pub struct Watcher<F> {
    index: u64,
    opened: Instant,
    show: F,
}

impl<F: FnMut(&str)> Watcher<F> {
    /// `show` gets the text of each exchange.
    pub fn new(show: F) -> Self {
        Self { index: 0, opened: Instant::now(), show }
    }
}

impl<F: FnMut(&str)> Observer for Watcher<F> {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.index += 1;
        (self.show)(&render(&Record::Exchange(ExchangeRecord::new(self.index, exchange))));
    }

    fn reset(&mut self, atr: &[u8]) {
        let time_us = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        (self.show)(&render(&Record::Reset { time_us, reset: hex::encode_upper(atr), card: None }));
    }
}
