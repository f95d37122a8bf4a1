//! The seam to a card: bytes out, bytes back.

use std::io;
use std::time::{Duration, Instant};

/// What a transport and the card behind it can carry. Data, not behaviour: the exchange chooses by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Extended length APDUs arrive whole.
    pub extended_length: bool,
    /// The T=0 protocol, in which a case 4 command is sent without Le and answered 61xx.
    pub t0: bool,
    /// Contactless interface.
    pub contactless: bool,
}

/// The card or the way to it failed; the card's own refusals are status words, never this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No such reader, or none at all.
    #[error("no reader: {0}")]
    NoReader(String),
    /// The reader is there, a card is not.
    #[error("no card in reader {0}")]
    NoCard(String),
    /// The card or the reader went away during the exchange; whether the command was carried out is not known.
    #[error("the card was removed or the connection was lost")]
    Removed,
    /// Another program reset the card: selections and sessions are gone.
    #[error("the card was reset by another program")]
    Reset,
    /// Another program holds the card exclusively.
    #[error("the card is held by another program")]
    Busy,
    /// The service behind the reader is not running.
    #[error("the PC/SC service is not running")]
    NoService,
    /// The process that simulates the card ended.
    #[error("the simulated card's process ended: {0}")]
    ProcessEnded(String),
    /// No answer within the time allowed.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// An answer that is no response APDU.
    #[error("malformed answer of {0} bytes")]
    Malformed(usize),
    /// The operating system's error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// PC/SC's own error, by its name.
    #[error("PC/SC: {0}")]
    Pcsc(String),
}

/// A way to one card: PC/SC, a virtual reader, the simulated GP-SE in this process, a recording.
pub trait Transport {
    /// Sends one command APDU and returns the answer, status word included.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError>;

    /// Cold reset; returns the ATR.
    fn reset(&mut self) -> Result<Vec<u8>, TransportError>;

    /// The ATR of the last reset.
    fn atr(&self) -> &[u8];

    /// For people: reader name or kind of simulation.
    fn name(&self) -> &str;

    /// What it can carry.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// From now on every call ends at this moment at the latest, with [`TransportError::Timeout`]; `None` leaves the
    /// transport's own limits alone. One that bounds its calls by other means may ignore it, as this default does:
    /// whoever sets a deadline looks at the clock after each call.
    fn set_deadline(&mut self, deadline: Option<Instant>) {
        let _ = deadline;
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        (**self).transmit(command)
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        (**self).reset()
    }
    fn atr(&self) -> &[u8] {
        (**self).atr()
    }
    fn name(&self) -> &str {
        (**self).name()
    }
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn set_deadline(&mut self, deadline: Option<Instant>) {
        (**self).set_deadline(deadline);
    }
}
