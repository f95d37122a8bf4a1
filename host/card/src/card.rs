//! One card behind a transport: answers in pieces put together, every exchange shown to the observer.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use jpkise_wire::StatusWord;
use zeroize::Zeroizing;

use crate::apdu::{ApduError, CommandApdu, Expected, ResponseApdu, SecretKind};
use crate::transport::{Capabilities, Transport, TransportError};

/// GET RESPONSE (ISO/IEC 7816-4 section 11.7).
const INS_GET_RESPONSE: u8 = 0xC0;
/// A chain of 61xx answers longer than this is a card gone mad, not data.
const MAX_ANSWER: usize = 65_536;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// Reader, card or connection.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The command cannot be coded, or the answer is none.
    #[error(transparent)]
    Apdu(#[from] ApduError),
    /// An extended command for a card in T=0, which carries none.
    #[error("a command of {length} data bytes needs extended length, which T=0 does not carry")]
    NeedsExtendedLength {
        /// Its data bytes.
        length: usize,
    },
    /// The answer does not end.
    #[error("the card answered more than 65,536 bytes in pieces")]
    Endless,
}

/// What went over the wire, for the trace. Borrowed, so that nothing secret outlives the call.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The command as sent.
    pub command: &'a CommandApdu,
    /// The answer as received, or `None` when the transport failed.
    pub response: Option<&'a ResponseApdu>,
    /// What the data field hides, if anything; a recorder must not write it then.
    pub secret: Option<SecretKind>,
    /// Header of the command before secure messaging and what its plaintext hides.
    pub plain: Option<PlainCommand>,
    /// Since the card was opened.
    pub started: Duration,
    /// From the first byte out to the last byte in.
    pub took: Duration,
}

/// What a secured command was before it was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainCommand {
    /// CLA INS P1 P2 before wrapping.
    pub header: [u8; 4],
    /// Length of the data before wrapping, in bytes.
    pub data_length: usize,
    /// What the data hides.
    pub secret: Option<SecretKind>,
}

/// Sees every exchange. Must not fail: a trace that cannot be written reports that when it is closed.
pub trait Observer {
    /// One command and its answer.
    fn exchange(&mut self, exchange: &Exchange<'_>);
    /// A reset, with the new ATR.
    fn reset(&mut self, atr: &[u8]);
}

/// A card: transport, counters, observers.
pub struct Card<T> {
    transport: T,
    observers: Vec<Box<dyn Observer>>,
    opened: Instant,
    apdus: u64,
    bytes: u64,
}

impl<T: Transport> Card<T> {
    /// Around a connected transport.
    pub fn new(transport: T) -> Self {
        Self { transport, observers: Vec::new(), opened: Instant::now(), apdus: 0, bytes: 0 }
    }

    /// The transport, without observers and counters.
    pub fn into_transport(self) -> T {
        self.transport
    }

    /// Adds an observer.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }

    /// Sends a command; 61xx is followed by GET RESPONSE, 6Cxx repeated once with the Le the card named.
    pub fn send(&mut self, command: &CommandApdu) -> Result<ResponseApdu, CardError> {
        self.send_secured(command, None)
    }

    /// As [`Self::send`], for a command that secure messaging has wrapped; `plain` goes to the trace. 6Cxx comes back
    /// to the caller.
    pub fn send_secured(
        &mut self,
        command: &CommandApdu,
        plain: Option<PlainCommand>,
    ) -> Result<ResponseApdu, CardError> {
        let mut answer = self.exchange(command, plain)?;
        // A wrapped command has moved the MAC chain: its session must wrap it anew, the same bytes would be refused.
        if let (Some(le), None) = (answer.sw.right_le(), plain) {
            let again = command.clone().expecting(Expected::from_short(le));
            answer = self.exchange(&again, plain)?;
        }
        // GET RESPONSE goes to the channel of the command, outside secure messaging (GP Amendment D section 6.2.5).
        let class = if command.cla & 0x40 == 0 { command.cla & 0x03 } else { 0x40 | command.cla & 0x0F };
        while let Some(waiting) = answer.sw.bytes_waiting() {
            let get =
                CommandApdu::new(class, INS_GET_RESPONSE, 0, 0).expecting(Expected::from_short(waiting));
            let mut more = self.exchange(&get, None)?;
            if let Some(le) = more.sw.right_le() {
                more = self.exchange(&get.expecting(Expected::from_short(le)), None)?;
            }
            answer.data.extend_from_slice(&more.data);
            answer.sw = more.sw;
            if answer.data.len() > MAX_ANSWER || (more.data.is_empty() && more.sw.bytes_waiting().is_some()) {
                return Err(CardError::Endless);
            }
        }
        Ok(answer)
    }

    /// T=0 has no case 4: the command goes without Le, the card answers 61xx (ISO/IEC 7816-3 section 12.2.1).
    fn on_the_wire<'a>(&self, command: &'a CommandApdu) -> Result<Cow<'a, CommandApdu>, CardError> {
        if !self.transport.capabilities().t0 {
            return Ok(Cow::Borrowed(command));
        }
        if command.is_extended() {
            return Err(CardError::NeedsExtendedLength { length: command.data().len() });
        }
        Ok(if command.data().is_empty() || command.expected().is_none() {
            Cow::Borrowed(command)
        } else {
            Cow::Owned(command.clone().expecting_nothing())
        })
    }

    fn exchange(
        &mut self,
        command: &CommandApdu,
        plain: Option<PlainCommand>,
    ) -> Result<ResponseApdu, CardError> {
        let bytes: Zeroizing<Vec<u8>> = self.on_the_wire(command)?.to_bytes()?;
        let started = self.opened.elapsed();
        let clock = Instant::now();
        let result = self.transport.transmit(&bytes);
        let took = clock.elapsed();
        self.apdus += 1;
        self.bytes += (bytes.len() + result.as_ref().map_or(0, Vec::len)) as u64;
        let result = result.map_err(CardError::from).and_then(|answer| {
            ResponseApdu::parse(&answer).map_err(|_| TransportError::Malformed(answer.len()).into())
        });
        let exchange = Exchange {
            command,
            response: result.as_ref().ok(),
            secret: command.secret(),
            plain,
            started,
            took,
        };
        for observer in &mut self.observers {
            observer.exchange(&exchange);
        }
        result
    }

    /// Cold reset; returns the ATR.
    pub fn reset(&mut self) -> Result<Vec<u8>, CardError> {
        let atr = self.transport.reset()?;
        for observer in &mut self.observers {
            observer.reset(&atr);
        }
        Ok(atr)
    }

    /// The card for a program that sends commands of its own: a [`Transport`] that shows them to the observers.
    pub fn served(&mut self) -> Served<'_, T> {
        Served(self)
    }

    /// The ATR of the last reset.
    pub fn atr(&self) -> &[u8] {
        self.transport.atr()
    }

    /// Reader name or kind of simulation.
    pub fn name(&self) -> &str {
        self.transport.name()
    }

    /// What the transport can carry.
    pub fn capabilities(&self) -> Capabilities {
        self.transport.capabilities()
    }

    /// APDUs exchanged so far, GET RESPONSE and repetitions included.
    pub fn apdus(&self) -> u64 {
        self.apdus
    }

    /// Bytes exchanged so far, both ways, status words included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The transport itself.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }
}

/// A card somebody else commands: bytes pass as they are, observers see them. From [`Card::served`].
pub struct Served<'c, T>(&'c mut Card<T>);

impl<T: Transport> Transport for Served<'_, T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let card = &mut *self.0;
        let started = card.opened.elapsed();
        let clock = Instant::now();
        let result = card.transport.transmit(command);
        let took = clock.elapsed();
        card.apdus += 1;
        card.bytes += (command.len() + result.as_ref().map_or(0, Vec::len)) as u64;
        if card.observers.is_empty() {
            return result;
        }
        let command = foreign(command);
        let response = result.as_ref().ok().and_then(|answer| ResponseApdu::parse(answer).ok());
        let exchange = Exchange {
            command: &command,
            response: response.as_ref(),
            secret: command.secret(),
            plain: None,
            started,
            took,
        };
        for observer in &mut card.observers {
            observer.exchange(&exchange);
        }
        result
    }

    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        let atr = self.0.transport.reset()?;
        for observer in &mut self.0.observers {
            observer.reset(&atr);
        }
        Ok(atr)
    }

    fn atr(&self) -> &[u8] {
        self.0.atr()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.0.transport.set_deadline(deadline);
    }
}

/// A command we did not make, marked for what it may hide. Nobody told us whether secure messaging enciphers it, so a
/// secret is taken to be in clear in every class.
fn foreign(bytes: &[u8]) -> CommandApdu {
    match CommandApdu::parse(bytes) {
        Ok(command) if command.data().is_empty() => command,
        Ok(command) if matches!(command.ins, 0x20 | 0x24 | 0x2C) => command.hiding(SecretKind::ReferenceData),
        Ok(command) => command,
        Err(_) => {
            let byte = |index| bytes.get(index).copied().unwrap_or_default();
            CommandApdu::new(byte(0), byte(1), byte(2), byte(3)).hiding(SecretKind::Malformed)
        }
    }
}

/// Refuses anything but 9000; the answer's data otherwise.
pub fn data_of(answer: ResponseApdu) -> Result<Vec<u8>, StatusWord> {
    if answer.sw.is_success() {
        Ok(answer.data)
    } else {
        Err(answer.sw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays fixed answers and asserts each command.
    struct Script(Vec<(&'static str, &'static str)>, Capabilities);

    impl Transport for Script {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
            let (expected, answer) = self.0.remove(0);
            assert_eq!(hex::encode(command), expected);
            Ok(hex::decode(answer).unwrap())
        }
        fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
            Ok(vec![0x3B])
        }
        fn atr(&self) -> &[u8] {
            &[0x3B]
        }
        fn name(&self) -> &'static str {
            "script"
        }
        fn capabilities(&self) -> Capabilities {
            self.1
        }
    }

    fn card(steps: &[(&'static str, &'static str)], t0: bool) -> Card<Script> {
        Card::new(Script(steps.to_vec(), Capabilities { t0, ..Capabilities::default() }))
    }

    #[test]
    fn pieces_are_fetched_on_the_command_s_channel_and_6cxx_is_repeated_once() {
        let mut card = card(
            &[
                ("81ca006600", "6c04"),
                ("81ca006604", "01026102"),
                ("01c0000002", "03046101"),
                ("01c0000001", "6c02"),
                ("01c0000002", "05069000"),
            ],
            false,
        );
        let answer = card.send(&CommandApdu::new(0x81, 0xCA, 0, 0x66).expecting_all()).unwrap();
        assert_eq!((answer.data.as_slice(), answer.sw), (&[1, 2, 3, 4, 5, 6][..], StatusWord::SUCCESS));
        assert_eq!(card.apdus(), 5);
        assert!(card.transport_mut().0.is_empty());
    }

    #[test]
    fn t0_carries_no_le_beside_data_and_nothing_extended() {
        let case_4 = CommandApdu::new(0x80, 0xF2, 0x40, 0x02).with_data([0x4F, 0]).expecting_all();
        let mut t0 = card(&[("80f24002024f00", "6102"), ("00c0000002", "e3009000")], true);
        assert_eq!(t0.send(&case_4).unwrap().data, [0xE3, 0]);
        assert_eq!(t0.apdus(), 2);
        let long = CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data([0; 256]);
        assert!(matches!(t0.send(&long), Err(CardError::NeedsExtendedLength { length: 256 })));
        let mut t1 = card(&[("80f24002024f0000", "9000")], false);
        assert!(t1.send(&case_4).unwrap().sw.is_success());
    }

    #[test]
    fn a_card_that_never_ends_or_answers_one_byte_is_an_error() {
        let mut endless = card(&[("00ca0000", "6100"), ("00c0000000", "6100")], false);
        assert!(matches!(endless.send(&CommandApdu::new(0, 0xCA, 0, 0)), Err(CardError::Endless)));
        let mut short = card(&[("00ca0000", "90")], false);
        let error = short.send(&CommandApdu::new(0, 0xCA, 0, 0)).unwrap_err();
        assert!(matches!(error, CardError::Transport(TransportError::Malformed(1))));
    }
}
