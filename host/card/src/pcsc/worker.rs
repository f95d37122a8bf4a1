//! The thread that drives one card.

use std::ffi::CString;
use std::sync::mpsc::{channel, sync_channel, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use pcsc::{Card, Disposition, Error, Protocol, Protocols, ShareMode};
use zeroize::Zeroizing;

use super::{capability, establish, transport_error};
use crate::transport::{Capabilities, TransportError};

/// Longest answer: 65,536 bytes and the status word.
const MAX_ANSWER: usize = 65_538;

/// How long a reset at the end may take.
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(3);

/// What the thread is asked to do.
pub(super) enum Request {
    Transmit(Zeroizing<Vec<u8>>),
    Reset,
    Begin,
    End,
}

type Answer = Result<Vec<u8>, TransportError>;

/// What a new connection is like.
pub(super) struct Opened {
    pub(super) atr: Vec<u8>,
    pub(super) capabilities: Capabilities,
}

/// This side of the thread.
pub(super) struct Worker {
    requests: Option<Sender<Request>>,
    answers: Receiver<Answer>,
    opened: Receiver<Result<Opened, TransportError>>,
}

impl Worker {
    /// Starts the thread, which connects at once.
    pub(super) fn spawn(reader: String, exclusive: bool) -> Self {
        let (requests, inbox) = channel();
        let (outbox, answers) = channel();
        let (ready, opened) = sync_channel(1);
        let thread = thread::Builder::new().name("pcsc".to_owned());
        // Without a thread there is no connection: the closed channels say so.
        let _ = thread.spawn(move || drive(&reader, exclusive, &ready, &inbox, &outbox));
        Self { requests: Some(requests), answers, opened }
    }

    pub(super) fn opened(&mut self, limit: Duration) -> Result<Opened, TransportError> {
        match self.opened.recv_timeout(limit) {
            Ok(result) => result,
            // Whoever holds the card holds it longer than we wait.
            Err(RecvTimeoutError::Timeout) => {
                self.requests = None;
                Err(TransportError::Busy)
            }
            Err(RecvTimeoutError::Disconnected) => Err(TransportError::Removed),
        }
    }

    /// Asks and waits. After a timeout the thread may still be inside the call, so it is given up.
    pub(super) fn call(&mut self, request: Request, limit: Duration) -> Answer {
        let requests = self.requests.as_ref().ok_or(TransportError::Removed)?;
        requests.send(request).map_err(|_| TransportError::Removed)?;
        match self.answers.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.requests = None;
                Err(TransportError::Timeout(limit))
            }
            Err(RecvTimeoutError::Disconnected) => Err(TransportError::Removed),
        }
    }
}

impl Drop for Worker {
    /// Waits until the card is reset and given back: the program may end right after. A thread inside a call that ran
    /// out of time has lost `requests` and is not waited for.
    fn drop(&mut self) {
        if self.requests.take().is_some() {
            while self.answers.recv_timeout(GIVE_BACK_LIMIT).is_ok() {}
        }
    }
}

fn drive(
    reader: &str,
    exclusive: bool,
    ready: &SyncSender<Result<Opened, TransportError>>,
    inbox: &Receiver<Request>,
    outbox: &Sender<Answer>,
) {
    let share = if exclusive { ShareMode::Exclusive } else { ShareMode::Shared };
    let mut card = match connect(reader, share) {
        Ok((card, opened)) => {
            if ready.send(Ok(opened)).is_err() {
                // Given up while another's transaction was waited for: see below.
                let _ = card.disconnect(Disposition::LeaveCard);
                return;
            }
            card
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut device = Device { buffer: Zeroizing::new(vec![0; MAX_ANSWER]), reader, share, used: false };
    serve(&mut card, &mut device, inbox, outbox);
    // Dropping the card resets it, so that no verified PIN stays behind. Who never sent it anything leaves none, and may
    // have been given up while it waited for somebody else's transaction to end: that one's session is not ours to end.
    if !device.used {
        let _ = card.disconnect(Disposition::LeaveCard);
    }
}

/// Both loops end when the other side hangs up.
fn serve(card: &mut Card, device: &mut Device<'_>, inbox: &Receiver<Request>, outbox: &Sender<Answer>) {
    let (reader, share) = (device.reader, device.share);
    while let Ok(request) = inbox.recv() {
        let answer = match request {
            Request::Begin => match card.transaction() {
                Ok(transaction) => {
                    if outbox.send(Ok(Vec::new())).is_err() {
                        return;
                    }
                    let Some(answer) = device.in_transaction(transaction, inbox, outbox) else { return };
                    answer
                }
                Err(error) => Err(transport_error(error, reader)),
            },
            Request::End => Ok(Vec::new()),
            Request::Transmit(command) => {
                let result = device.transmit(card, &command);
                if matches!(result, Err(TransportError::Reset)) {
                    // The handle works again after a reconnection; what was selected is gone, and the caller told so.
                    let _ = card.reconnect(share, Protocols::ANY, Disposition::LeaveCard);
                }
                result
            }
            Request::Reset => device.reset(card),
        };
        if outbox.send(answer).is_err() {
            return;
        }
    }
}

fn connect(reader: &str, share: ShareMode) -> Result<(Card, Opened), TransportError> {
    let context = establish()?;
    let name = CString::new(reader).map_err(|_| TransportError::NoReader(reader.to_owned()))?;
    let card =
        context.connect(&name, share, Protocols::ANY).map_err(|error| transport_error(error, reader))?;
    let status = card.status2_owned().map_err(|error| transport_error(error, reader))?;
    let atr = status.atr().to_vec();
    let t0 = status.protocol2() == Some(Protocol::T0);
    let capabilities = capability::detect(&card, reader, &atr, t0);
    Ok((card, Opened { atr, capabilities }))
}

struct Device<'a> {
    buffer: Zeroizing<Vec<u8>>,
    reader: &'a str,
    share: ShareMode,
    /// Whether the card was sent anything.
    used: bool,
}

impl Device<'_> {
    fn transmit(&mut self, card: &Card, command: &[u8]) -> Answer {
        self.used = true;
        match card.transmit(command, &mut self.buffer) {
            // Some drivers report success without an answer when the card has just gone.
            Ok([]) => Err(TransportError::Removed),
            Ok(answer) => Ok(answer.to_vec()),
            Err(error) => Err(transport_error(error, self.reader)),
        }
    }

    fn reset(&mut self, card: &mut Card) -> Answer {
        // Unpowering is the cold reset; where a driver cannot, the warm one has to do.
        card.reconnect(self.share, Protocols::ANY, Disposition::UnpowerCard)
            .or_else(|error| match error {
                Error::UnsupportedFeature | Error::InvalidValue => {
                    card.reconnect(self.share, Protocols::ANY, Disposition::ResetCard)
                }
                other => Err(other),
            })
            .and_then(|()| card.status2_owned())
            .map(|status| status.atr().to_vec())
            .map_err(|error| transport_error(error, self.reader))
    }

    /// Serves requests until the transaction's end; the answer to that end, or `None` when the other side hung up.
    fn in_transaction(
        &mut self,
        mut transaction: pcsc::Transaction<'_>,
        inbox: &Receiver<Request>,
        outbox: &Sender<Answer>,
    ) -> Option<Answer> {
        loop {
            let answer = match inbox.recv().ok()? {
                Request::End => {
                    let ended = transaction.end(Disposition::LeaveCard);
                    return Some(
                        ended.map(|()| Vec::new()).map_err(|(_, e)| transport_error(e, self.reader)),
                    );
                }
                Request::Begin => Ok(Vec::new()),
                Request::Transmit(command) => self.transmit(&transaction, &command),
                Request::Reset => transaction
                    .reconnect(self.share, Protocols::ANY, Disposition::UnpowerCard)
                    .and_then(|()| transaction.status2_owned())
                    .map(|status| status.atr().to_vec())
                    .map_err(|error| transport_error(error, self.reader)),
            };
            outbox.send(answer).ok()?;
        }
    }
}
