//! Cards in PC/SC readers.
//!
//! SCardConnect, SCardBeginTransaction and SCardTransmit can block without end: another program holds the card, a driver
//! waits for a card that never answers. So each card is driven by a thread of its own, and every call here has a time
//! limit; a card whose call ran out is given up, its thread ends when the call does.

mod capability;
mod changes;
mod lookout;
mod readers;
mod watcher;
mod worker;

pub use changes::Change;
pub use readers::{find_reader, list_readers, wait_for_card, wait_until, FindReaderError, Reader, Usage};
pub use watcher::{ReaderEvent, Watcher};

use std::time::{Duration, Instant};

use pcsc::{Context, Error, Scope};

use crate::transport::{Capabilities, Transport, TransportError};
use worker::{Opened, Request, Worker};

/// How to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Keeps other programs off the card as long as the connection lasts.
    pub exclusive: bool,
    /// Limit for connecting and for the start of a transaction: how long to wait for another program.
    pub connect_timeout: Duration,
    /// Limit for one command. Key generation takes minutes on slow chips.
    pub transmit_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            exclusive: false,
            connect_timeout: Duration::from_secs(10),
            transmit_timeout: Duration::from_secs(180),
        }
    }
}

/// A card in a reader. Dropping it resets the card, so that no verified PIN stays behind.
pub struct PcscTransport {
    worker: Worker,
    name: String,
    atr: Vec<u8>,
    capabilities: Capabilities,
    options: ConnectOptions,
    deadline: Option<Instant>,
}

impl PcscTransport {
    /// Connects to the card in the reader of exactly that name, in whatever protocol the card has.
    pub fn connect(reader: &str, options: ConnectOptions) -> Result<Self, TransportError> {
        let mut worker = Worker::spawn(reader.to_owned(), options.exclusive);
        let Opened { atr, capabilities, .. } = worker.opened(options.connect_timeout)?;
        Ok(Self { worker, name: reader.to_owned(), atr, capabilities, options, deadline: None })
    }

    /// Begins a transaction: until its end no other program reaches the card. Never hold one while a person types.
    pub fn begin(&mut self) -> Result<(), TransportError> {
        self.worker.call(Request::Begin, self.options.connect_timeout).map(|_| ())
    }

    /// Ends the transaction, if one was begun.
    pub fn end(&mut self) -> Result<(), TransportError> {
        self.worker.call(Request::End, self.options.connect_timeout).map(|_| ())
    }
}

impl Transport for PcscTransport {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let limit = within(self.options.transmit_timeout, self.deadline)?;
        self.worker.call(Request::Transmit(command.to_vec().into()), limit)
    }

    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        let limit = within(self.options.connect_timeout, self.deadline)?;
        self.atr = self.worker.call(Request::Reset, limit)?;
        Ok(self.atr.clone())
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }
}

/// The shorter of a call's own limit and what is left until the deadline. Behind it nothing is begun: the connection
/// stays whole.
fn within(limit: Duration, deadline: Option<Instant>) -> Result<Duration, TransportError> {
    let Some(deadline) = deadline else { return Ok(limit) };
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(TransportError::Timeout(Duration::ZERO)),
        left => Ok(limit.min(left)),
    }
}

fn establish() -> Result<Context, TransportError> {
    Context::establish(Scope::User).map_err(|e| transport_error(e, ""))
}

/// PC/SC's errors by what a person can do about them.
fn transport_error(error: Error, reader: &str) -> TransportError {
    match error {
        Error::NoService | Error::ServiceStopped | Error::CommError => TransportError::NoService,
        Error::NoSmartcard => TransportError::NoCard(reader.to_owned()),
        Error::UnknownReader | Error::NoReadersAvailable => TransportError::NoReader(reader.to_owned()),
        // NotTransacted is what a driver's broken line to the card comes out as.
        Error::RemovedCard | Error::ReaderUnavailable | Error::NotTransacted => TransportError::Removed,
        // ProtoMismatch: another program's reset that fell together with ours left no protocol behind.
        Error::ResetCard | Error::ProtoMismatch => TransportError::Reset,
        Error::SharingViolation => TransportError::Busy,
        other => TransportError::Pcsc(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fall_into_what_a_person_can_act_on() {
        for (error, expected) in [
            (Error::NoService, "the PC/SC service is not running"),
            (Error::NoSmartcard, "no card in reader R"),
            (Error::UnknownReader, "no reader: R"),
            (Error::RemovedCard, "the card was removed or the connection was lost"),
            (Error::ResetCard, "the card was reset by another program"),
            (Error::ProtoMismatch, "the card was reset by another program"),
            (Error::SharingViolation, "the card is held by another program"),
            (Error::UnresponsiveCard, "PC/SC: UnresponsiveCard"),
        ] {
            assert_eq!(transport_error(error, "R").to_string(), expected);
        }
    }

    #[test]
    fn a_deadline_shortens_a_limit_and_never_lengthens_it() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(3600));
        let soon = Some(Instant::now() + Duration::from_secs(600));
        assert_eq!(within(short, None).unwrap(), short);
        assert_eq!(within(short, soon).unwrap(), short);
        assert!(within(long, soon).unwrap() <= Duration::from_secs(600));
        assert!(matches!(within(long, Some(Instant::now())), Err(TransportError::Timeout(Duration::ZERO))));
    }

    #[test]
    fn a_reader_that_is_not_there_is_an_error_and_no_hang() {
        let error = PcscTransport::connect("no such reader", ConnectOptions::default()).err().unwrap();
        // Which one depends on whether a service runs on this machine.
        assert!(matches!(error, TransportError::NoService | TransportError::NoReader(_)), "{error}");
    }
}
