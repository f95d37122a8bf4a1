//! A virtual reader: this program listens, a card connects (the protocol of vsmartcard's vpcd).
//!
//! ```text
//! each message: length (2 bytes, big-endian), then as many bytes
//! to the card, of length 1: 00 power off, 01 power on, 02 reset, 04 send the ATR; anything longer is a command
//! from the card: the ATR after 04, the answer after a command, nothing after the others
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::transport::{Transport, TransportError};

const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const GET_ATR: u8 = 0x04;

/// A reader waiting for its card.
pub struct VpcdListener {
    listener: TcpListener,
}

impl VpcdListener {
    /// Listens; port 0 takes a free one.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self, TransportError> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, TransportError> {
        Ok(self.listener.local_addr()?)
    }

    /// Waits for a card to connect, powers it and reads its ATR. `answer_limit` holds for every later exchange.
    pub fn accept(&self, limit: Duration, answer_limit: Duration) -> Result<VpcdTransport, TransportError> {
        let deadline = Instant::now() + limit;
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        return Err(TransportError::NoCard("vpcd".to_owned()));
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error.into()),
            }
        };
        VpcdTransport::new(stream, answer_limit)
    }
}

/// A card that connected.
pub struct VpcdTransport {
    stream: TcpStream,
    atr: Vec<u8>,
    name: String,
    limit: Duration,
    /// An answer came too late or not whole: what comes next would be taken for the answer to another command.
    lost: bool,
}

impl VpcdTransport {
    /// Over a connection to a card: powers it on and reads its ATR.
    pub fn new(stream: TcpStream, limit: Duration) -> Result<Self, TransportError> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let name = stream.peer_addr().map_or_else(|_| "vpcd".to_owned(), |a| format!("vpcd {a}"));
        let mut transport = Self { stream, atr: Vec::new(), name, limit, lost: false };
        transport.message(&[POWER_ON])?;
        transport.atr = transport.read_atr()?;
        Ok(transport)
    }

    fn read_atr(&mut self) -> Result<Vec<u8>, TransportError> {
        self.message(&[GET_ATR])?;
        self.receive()
    }

    fn message(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        if self.lost {
            return Err(TransportError::Removed);
        }
        let length = u16::try_from(bytes.len())
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "longer than 65,535 bytes"))?;
        // One write, so that the peer is not woken for two bytes.
        let mut message = Zeroizing::new(Vec::with_capacity(2 + bytes.len()));
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(bytes);
        let result = self.stream.write_all(&message);
        self.check(result)
    }

    fn receive(&mut self) -> Result<Vec<u8>, TransportError> {
        let mut length = [0; 2];
        self.read(&mut length)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), TransportError> {
        // The other end sends length and body apart; without this each exchange waits for a delayed acknowledgement.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = socket2::SockRef::from(&self.stream).set_tcp_quickack(true);
        let result = self.stream.read_exact(buffer);
        self.check(result)
    }

    fn check(&mut self, result: io::Result<()>) -> Result<(), TransportError> {
        result.map_err(|error| {
            self.lost = true;
            match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => TransportError::Timeout(self.limit),
                ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe => TransportError::Removed,
                _ => error.into(),
            }
        })
    }
}

impl Transport for VpcdTransport {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        // A message of one byte would be taken for a control byte.
        if command.len() < 4 {
            return Err(TransportError::Malformed(command.len()));
        }
        self.message(command)?;
        let answer = self.receive()?;
        if answer.len() < 2 {
            return Err(TransportError::Malformed(answer.len()));
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        for control in [POWER_OFF, POWER_ON, RESET] {
            self.message(&[control])?;
        }
        self.atr = self.read_atr()?;
        Ok(self.atr.clone())
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for VpcdTransport {
    fn drop(&mut self) {
        // A card that stays powered keeps its sessions and verified PINs.
        if !self.lost {
            let _ = self.message(&[POWER_OFF]);
        }
    }
}
