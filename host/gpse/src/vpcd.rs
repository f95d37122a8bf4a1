//! The card side of vpcd, the virtual PC/SC reader of the vsmartcard project: any PC/SC program then sees this card.
//!
//! vpcd listens inside pcscd, the card connects. Messages both ways are a two-byte length and that many bytes.
//!
//! ```text
//! reader to card   one byte: 00 power off, 01 power on, 02 reset, 04 ATR wanted; two or more: a command APDU
//! card to reader   the ATR, or the answer to the command; nothing for the other three
//! ```

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jpkise_card::{Transport, TransportError};
use jpkise_wire::StatusWord;
use zeroize::Zeroizing;

/// Where vpcd's first slot listens unless configured otherwise; the second is the next port.
pub const DEFAULT_ADDRESS: &str = "localhost:35963";

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const GET_ATR: u8 = 4;
/// How often the stop flag is looked at while the reader is silent.
const POLL: Duration = Duration::from_millis(100);
/// Pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);
/// A reader that has no card yet asks a new one for its ATR within this time: pcscd looks every 400 ms.
const NOTICE: Duration = Duration::from_secs(3);
/// A reader that asks for the ATR this long without ever switching the power on takes the card for the one before it:
/// pcscd looks every 400 ms, and a card that was exchanged in between stays dead to it.
const OVERLOOKED: Duration = Duration::from_millis(1500);
/// How long such a card stays away, so that its absence is seen.
const ABSENCE: Duration = Duration::from_millis(1200);

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// Host and port of vpcd.
    pub address: String,
    /// How long the first connection may take, so that pcscd can be started a moment later than the card.
    pub patience: Duration,
    /// Whether to wait for the reader to come back when it went away (pcscd ends itself when nobody uses it).
    pub reconnect: bool,
    /// Leaves the reader right behind the answer to the command of that number, as a card that is pulled out: what a
    /// program does then is part of what it must be tested for. Counted over all connections.
    pub leave_after: Option<NonZeroU64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: DEFAULT_ADDRESS.to_owned(),
            patience: Duration::from_secs(5),
            reconnect: true,
            leave_after: None,
        }
    }
}

/// What happens on the line, for whoever watches.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The reader is there.
    Connected,
    /// The reader has taken the connection and says nothing: another card is in it.
    Ignored,
    /// The reader asks and never switches the power on: it missed that the card before this one left. This one goes out
    /// and comes in again, once.
    Overlooked,
    /// The reader went away; `reconnect` says what comes next.
    Disconnected,
    /// Power on or reset, with the ATR.
    Reset {
        /// Answer to reset.
        atr: &'a [u8],
    },
    /// Power off.
    PoweredOff,
    /// A command was answered. The bytes are those on the wire and may be secret: they are nothing for a log.
    Exchange {
        /// Command APDU.
        command: &'a [u8],
        /// Response APDU.
        response: &'a [u8],
        /// Time the card took.
        took: Duration,
    },
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("Connected"),
            Self::Ignored => f.write_str("Ignored"),
            Self::Overlooked => f.write_str("Overlooked"),
            Self::Disconnected => f.write_str("Disconnected"),
            Self::Reset { atr } => write!(f, "Reset {{ atr: {} }}", hex::encode_upper(atr)),
            Self::PoweredOff => f.write_str("PoweredOff"),
            // A VERIFY in clear holds a PIN: lengths only.
            Self::Exchange { command, response, took } => {
                write!(f, "Exchange {{ {} bytes, {} bytes, {took:?} }}", command.len(), response.len())
            }
        }
    }
}

/// Why serving ended without having been asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VpcdError {
    /// Nobody listens: pcscd is not running, or runs without vpcd's driver.
    #[error("no virtual reader at {address}: {source} (is pcscd running, with vsmartcard-vpcd installed?)")]
    Unreachable {
        /// Host and port tried.
        address: String,
        /// Reason of the last attempt.
        source: io::Error,
    },
    /// The connection broke.
    #[error("connection to the virtual reader: {0}")]
    Io(#[from] io::Error),
    /// The card itself failed.
    #[error(transparent)]
    Card(#[from] TransportError),
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The stop flag was set.
    Stopped,
    /// The reader closed the connection, and `reconnect` is off.
    ReaderClosed,
    /// The card has answered as many commands as `leave_after` says.
    Left,
}

/// Serves the card until `stop` is set.
///
/// The card loses its power whenever the reader goes away; the caller has it back, powered off, when this returns.
pub fn serve(
    options: &Options,
    card: &mut dyn Transport,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<End, VpcdError> {
    let mut patience = Some(options.patience);
    let mut ahead = options.leave_after.map(NonZeroU64::get);
    let mut may_return = true;
    loop {
        let Some(stream) = connect(options, patience, stop)? else { return Ok(End::Stopped) };
        // A reader that was there once may be gone for as long as it likes.
        patience = None;
        on_event(Event::Connected);
        let mut line = Line {
            stream,
            stop,
            since: Instant::now(),
            unnoticed: true,
            may_return: &mut may_return,
            ahead: &mut ahead,
        };
        let end = line.serve(card, on_event);
        drop(line);
        if matches!(end, Ok(LineEnd::Overlooked)) {
            on_event(Event::Overlooked);
            pause(ABSENCE, stop);
            continue;
        }
        on_event(Event::Disconnected);
        match end {
            Ok(LineEnd::Stopped) => return Ok(End::Stopped),
            Ok(LineEnd::Left) => return Ok(End::Left),
            Ok(LineEnd::Closed) if !options.reconnect => return Ok(End::ReaderClosed),
            Ok(_) => {}
            Err(VpcdError::Io(error)) if options.reconnect => {
                tracing::warn!(%error, "connection to the virtual reader");
            }
            Err(error) => return Err(error),
        }
    }
}

/// Ends early when stopped.
fn pause(duration: Duration, stop: &AtomicBool) {
    let started = Instant::now();
    while started.elapsed() < duration && !stop.load(Ordering::Relaxed) {
        thread::sleep(POLL.min(duration));
    }
}

/// `None` when stopped.
fn connect(
    options: &Options,
    patience: Option<Duration>,
    stop: &AtomicBool,
) -> Result<Option<TcpStream>, VpcdError> {
    let started = Instant::now();
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match TcpStream::connect(&options.address) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(POLL))?;
                stream.set_write_timeout(Some(Duration::from_secs(10)))?;
                return Ok(Some(stream));
            }
            Err(source) => {
                let hopeless = options.address.to_socket_addrs().is_err();
                if hopeless || patience.is_some_and(|patience| started.elapsed() >= patience) {
                    return Err(VpcdError::Unreachable { address: options.address.clone(), source });
                }
            }
        }
        thread::sleep(RETRY);
    }
}

/// One connection.
struct Line<'a> {
    stream: TcpStream,
    stop: &'a AtomicBool,
    /// When the connection was made.
    since: Instant,
    /// Until the reader's first message, or until its absence was told.
    unnoticed: bool,
    /// Until the first power-on, or until the card has gone out and come in for want of it.
    may_return: &'a mut bool,
    /// Commands to answer before the card leaves.
    ahead: &'a mut Option<u64>,
}

/// How a connection ended.
enum LineEnd {
    Stopped,
    Closed,
    Left,
    Overlooked,
}

/// What a read came to.
enum Received {
    Message(Zeroizing<Vec<u8>>),
    Closed,
    Stopped,
}

impl Line<'_> {
    fn serve(
        &mut self,
        card: &mut dyn Transport,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<LineEnd, VpcdError> {
        loop {
            // A program that sends without a pause leaves no silence in which to look.
            if self.stop.load(Ordering::Relaxed) {
                return Ok(LineEnd::Stopped);
            }
            let message = match self.receive(on_event)? {
                Received::Message(message) => message,
                Received::Closed => return Ok(LineEnd::Closed),
                Received::Stopped => return Ok(LineEnd::Stopped),
            };
            self.unnoticed = false;
            match message[..] {
                [POWER_OFF] => on_event(Event::PoweredOff),
                [POWER_ON | RESET] => {
                    *self.may_return = false;
                    let atr = card.reset()?;
                    on_event(Event::Reset { atr: &atr });
                }
                [GET_ATR] => {
                    self.send(card.atr())?;
                    if *self.may_return && self.since.elapsed() >= OVERLOOKED {
                        *self.may_return = false;
                        return Ok(LineEnd::Overlooked);
                    }
                }
                // Nothing is known of other control bytes, and an empty message wants nothing.
                [] | [_] => {}
                ref command => {
                    let started = Instant::now();
                    let response = card.transmit(command)?;
                    on_event(Event::Exchange { command, response: &response, took: started.elapsed() });
                    self.send_answer(&response)?;
                    if let Some(ahead) = self.ahead.as_mut() {
                        *ahead -= 1;
                        if *ahead == 0 {
                            return Ok(LineEnd::Left);
                        }
                    }
                }
            }
        }
    }

    fn send_answer(&mut self, response: &[u8]) -> Result<(), VpcdError> {
        if response.len() > usize::from(u16::MAX) {
            // Two bytes cannot say so much; no short or extended APDU of ours comes near.
            return self.send(&StatusWord::NO_DIAGNOSIS.to_bytes());
        }
        self.send(response)
    }

    /// Length and body in one write: two would wait for one another's acknowledgement.
    fn send(&mut self, body: &[u8]) -> Result<(), VpcdError> {
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
        let mut message = Zeroizing::new(Vec::with_capacity(2 + body.len()));
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        Ok(self.stream.write_all(&message)?)
    }

    fn receive(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Received, VpcdError> {
        let mut length = [0; 2];
        match self.fill(&mut length, on_event)? {
            Fill::Full => {}
            Fill::Closed => return Ok(Received::Closed),
            Fill::Stopped => return Ok(Received::Stopped),
        }
        let mut body = Zeroizing::new(vec![0; usize::from(u16::from_be_bytes(length))]);
        Ok(match self.fill(&mut body, on_event)? {
            Fill::Full => Received::Message(body),
            Fill::Closed => Received::Closed,
            Fill::Stopped => Received::Stopped,
        })
    }

    fn fill(&mut self, buffer: &mut [u8], on_event: &mut dyn FnMut(Event<'_>)) -> io::Result<Fill> {
        let mut filled = 0;
        while filled < buffer.len() {
            acknowledge_at_once(&self.stream);
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Ok(Fill::Closed),
                Ok(count) => filled += count,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        if self.stop.load(Ordering::Relaxed) {
                            return Ok(Fill::Stopped);
                        }
                        if self.unnoticed && self.since.elapsed() >= NOTICE {
                            self.unnoticed = false;
                            on_event(Event::Ignored);
                        }
                    }
                    ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => return Ok(Fill::Closed),
                    _ => return Err(error),
                },
            }
        }
        Ok(Fill::Full)
    }
}

enum Fill {
    Full,
    Closed,
    Stopped,
}

/// vpcd sends length and body in two writes, the second only after the first was acknowledged: a delayed
/// acknowledgement costs 40 ms an APDU. The option lasts for a while only, so it is set before each read.
fn acknowledge_at_once(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_quickack(true) {
        tracing::debug!(%error, "TCP_QUICKACK");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
}
