//! What went over the wire, kept per case and written to the trace as it happens.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::Instant;

use jpkise_card::trace::{ExchangeRecord, Record, StartRecord};
use jpkise_card::{Exchange, Observer};

/// Exchanges of one case that go into the report; the trace has all.
const KEPT: usize = 200;
/// Exchanges of one case that go into the trace: a fuzzer sends millions, and a seed gives them again.
const TRACED: u64 = 100_000;

#[derive(Default)]
struct Inner {
    out: Option<Box<dyn Write>>,
    error: Option<std::io::Error>,
    index: u64,
    bytes: u64,
    kept: Vec<ExchangeRecord>,
    left_out: u64,
    /// Of the case under way: written to the trace, and not.
    traced: u64,
    untraced: u64,
    opened: Option<Instant>,
    /// Headers before secure messaging and what they were sent to, for coverage.
    headers: Vec<[u8; 4]>,
    last_us: u64,
    /// Sees everything too.
    beside: Option<Box<dyn Observer>>,
}

/// Watches the cards of one target. Clones are handles of the same tape.
#[derive(Clone, Default)]
pub struct Tape(Rc<RefCell<Inner>>);

impl Tape {
    /// One that writes each exchange as a line of a trace.
    pub fn to(out: impl Write + 'static, start: &StartRecord) -> Self {
        let tape = Self::default();
        {
            let mut inner = tape.0.borrow_mut();
            inner.out = Some(Box::new(out));
            inner.opened = Some(Instant::now());
            let record = Record::Start(start.clone());
            inner.write(&record);
        }
        tape
    }

    /// Shows everything to this observer too.
    pub fn show_to(&self, beside: Box<dyn Observer>) {
        self.0.borrow_mut().beside = Some(beside);
    }

    /// As an observer of a card.
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }

    /// Forgets what was kept; what follows belongs to the next case.
    pub fn begin(&self) {
        let mut inner = self.0.borrow_mut();
        inner.kept.clear();
        inner.left_out = 0;
        inner.traced = 0;
        inner.untraced = 0;
    }

    /// Exchanges since [`Self::begin`] that the trace lacks.
    pub fn untraced(&self) -> u64 {
        self.0.borrow().untraced
    }

    /// What was kept since [`Self::begin`], and how much was not.
    pub fn take(&self) -> (Vec<ExchangeRecord>, u64) {
        let mut inner = self.0.borrow_mut();
        let left_out = std::mem::take(&mut inner.left_out);
        (std::mem::take(&mut inner.kept), left_out)
    }

    /// Exchanges so far.
    pub fn count(&self) -> u64 {
        self.0.borrow().index
    }

    /// Bytes so far, both ways.
    pub fn bytes(&self) -> u64 {
        self.0.borrow().bytes
    }

    /// Time of the last exchange, in microseconds.
    pub fn last_us(&self) -> u64 {
        self.0.borrow().last_us
    }

    /// Headers of all commands so far, before secure messaging.
    pub fn headers(&self) -> Vec<[u8; 4]> {
        self.0.borrow().headers.clone()
    }

    /// A simulated card takes the place of the one before; `state` is the one that it was kept in.
    pub fn put_in(&self, atr: &[u8], state: &str) {
        let mut inner = self.0.borrow_mut();
        let time_us = inner.opened.map_or(0, |o| u64::try_from(o.elapsed().as_micros()).unwrap_or(u64::MAX));
        let record = Record::Reset { time_us, reset: hex::encode_upper(atr), card: Some(state.to_owned()) };
        inner.write(&record);
    }

    /// The first error met while writing.
    pub fn finish(&self) -> std::io::Result<()> {
        let mut inner = self.0.borrow_mut();
        if let Some(error) = inner.error.take() {
            return Err(error);
        }
        inner.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Inner {
    fn write(&mut self, record: &Record) {
        // After the first error a trace would have holes; it ends there.
        let (Some(out), None) = (self.out.as_mut(), &self.error) else { return };
        let result = serde_json::to_string(record)
            .map_err(std::io::Error::from)
            .and_then(|line| writeln!(out, "{line}"));
        self.error = result.err();
    }
}

impl Observer for Tape {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        let mut inner = self.0.borrow_mut();
        if let Some(beside) = &mut inner.beside {
            beside.exchange(exchange);
        }
        inner.index += 1;
        let mut record = ExchangeRecord::new(inner.index, exchange);
        // Cards come and go in a run; the clock of the trace is that of the tape.
        if let Some(opened) = inner.opened {
            let since = opened.elapsed().saturating_sub(exchange.took);
            record.time_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        }
        inner.last_us = record.duration_us;
        let sent = exchange.command.to_bytes().map_or(0, |b| b.len());
        let received = exchange.response.map_or(0, |r| r.data.len() + 2);
        inner.bytes += (sent + received) as u64;
        inner.headers.push(exchange.plain.map_or(exchange.command.header(), |p| p.header));
        if inner.traced < TRACED {
            inner.traced += 1;
            let line = Record::Exchange(record.clone());
            inner.write(&line);
        } else {
            inner.untraced += 1;
        }
        if inner.kept.len() < KEPT {
            inner.kept.push(record);
        } else {
            inner.left_out += 1;
        }
    }

    fn reset(&mut self, atr: &[u8]) {
        let mut inner = self.0.borrow_mut();
        if let Some(beside) = &mut inner.beside {
            beside.reset(atr);
        }
        let time_us = inner.opened.map_or(0, |o| u64::try_from(o.elapsed().as_micros()).unwrap_or(u64::MAX));
        let record = Record::Reset { time_us, reset: hex::encode_upper(atr), card: None };
        inner.write(&record);
    }
}
