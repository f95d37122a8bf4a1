//! Talking to a card: APDUs, transports, the exchange with 61xx and 6Cxx resolved, and the trace.
//!
//! One way through: a workflow builds a [`CommandApdu`], [`Card::send`] puts it on a [`Transport`] and tells the
//! [`Observer`] what went over the wire, with secrets named instead of shown.

pub mod apdu;
pub mod card;
pub mod names;
pub mod pcsc;
pub mod trace;
pub mod transport;
pub mod vpcd;

pub use apdu::{ApduError, CommandApdu, Expected, ResponseApdu, SecretKind};
pub use card::{Card, CardError, Exchange, Observer, PlainCommand, Served};
pub use transport::{Capabilities, Transport, TransportError};
