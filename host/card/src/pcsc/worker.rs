//! The thread that drives one card.

use std::ffi::CString;
use std::sync::mpsc::{channel, sync_channel, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use pcsc::{
    Card, Context, Disposition, Error, Protocol, Protocols, ReaderState, ShareMode, State, Transaction,
};
use zeroize::Zeroizing;

use super::changes::{changes, Change};
use super::readers::Reader;
use super::watcher::Watch;
use super::{capability, establish, transport_error};
use crate::transport::{Capabilities, TransportError};

/// Longest answer: 65,536 bytes and the status word.
const MAX_ANSWER: usize = 65_538;

/// How long a reset at the end may take.
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(3);

/// How long an answer is waited for before somebody looks whether the card is still there. Most answers are there long
/// before, and pcscd itself looks every 400 ms.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the thread is asked to do.
pub(super) enum Request {
    Transmit(Zeroizing<Vec<u8>>),
    Reset,
    Begin,
    End,
}

type Answer = Result<Vec<u8>, TransportError>;

/// What the asking side hears.
enum Message {
    /// From the thread that drives the card: what came of a request.
    Answer(Answer),
    /// From the one that watches the readers: the card is gone, whatever that thread still waits for.
    Lost(TransportError),
    /// The card's thread has ended.
    Ended,
}

/// What a new connection is like.
pub(super) struct Opened {
    pub(super) atr: Vec<u8>,
    pub(super) capabilities: Capabilities,
    /// The reader at that moment: what is different later has happened since.
    pub(super) seat: Reader,
}

/// Hears what has happened to the readers, and says whether it wants to hear more.
type Listener = Box<dyn FnMut(&Change) -> bool + Send>;

/// Begins to watch the readers for what differs from the one given. What it returns ends the watch when it is dropped.
type StartWatch = Box<dyn Fn(Reader, Listener) -> Box<dyn Send> + Send>;

/// This side of the thread.
pub(super) struct Worker {
    requests: Option<Sender<Request>>,
    messages: Receiver<Message>,
    opened: Receiver<Result<Opened, TransportError>>,
    /// For the watch. The channel never closes because of it; [`Message::Ended`] says what the closing would.
    lost: Sender<Message>,
    seat: Option<Reader>,
    start_watch: StartWatch,
    /// Once it was needed it stays.
    watch: Option<Box<dyn Send>>,
}

/// The thread's way to tell, its end included.
struct Outbox(Sender<Message>);

impl Outbox {
    /// Whether somebody listens.
    fn send(&self, answer: Answer) -> bool {
        self.0.send(Message::Answer(answer)).is_ok()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let _ = self.0.send(Message::Ended);
    }
}

impl Worker {
    /// Starts the thread, which connects at once.
    pub(super) fn spawn(reader: String, exclusive: bool) -> Self {
        let watch = |seat, mut listener: Listener| -> Box<dyn Send> {
            Box::new(Watch::start(Some(vec![seat]), move |event| listener(&event.change)))
        };
        Self::start(Box::new(watch), move |ready, inbox, outbox| {
            drive(&reader, exclusive, ready, inbox, outbox);
        })
    }

    fn start(
        start_watch: StartWatch,
        drive: impl FnOnce(&SyncSender<Result<Opened, TransportError>>, &Receiver<Request>, &Outbox)
            + Send
            + 'static,
    ) -> Self {
        let (requests, inbox) = channel();
        let (lost, messages) = channel();
        let (ready, opened) = sync_channel(1);
        let outbox = Outbox(lost.clone());
        let thread = thread::Builder::new().name("pcsc".to_owned());
        // Without a thread there is no connection: the dropped ends of the channels say so.
        let _ = thread.spawn(move || drive(&ready, &inbox, &outbox));
        Self { requests: Some(requests), messages, opened, lost, seat: None, start_watch, watch: None }
    }

    pub(super) fn opened(&mut self, limit: Duration) -> Result<Opened, TransportError> {
        match self.opened.recv_timeout(limit) {
            Ok(result) => {
                self.seat = result.as_ref().ok().map(|opened| opened.seat.clone());
                result
            }
            // Whoever holds the card holds it longer than we wait.
            Err(RecvTimeoutError::Timeout) => {
                self.requests = None;
                Err(TransportError::Busy)
            }
            Err(RecvTimeoutError::Disconnected) => Err(TransportError::Removed),
        }
    }

    /// Asks and waits: for the answer, for the news that the card is gone, or for the end of the time. After the latter
    /// two the thread may still be inside the call, so it is given up.
    pub(super) fn call(&mut self, request: Request, limit: Duration) -> Answer {
        let requests = self.requests.as_ref().ok_or(TransportError::Removed)?;
        // What is said between two requests is said by the watch or by a thread that ended.
        if let Ok(message) = self.messages.try_recv() {
            return self.take(message);
        }
        requests.send(request).map_err(|_| TransportError::Removed)?;
        let mut answer = self.messages.recv_timeout(limit.min(PATIENCE));
        if answer.is_err() && limit > PATIENCE {
            self.keep_watch();
            answer = self.messages.recv_timeout(limit.saturating_sub(PATIENCE));
        }
        if let Ok(message) = answer {
            return self.take(message);
        }
        self.requests = None;
        Err(TransportError::Timeout(limit))
    }

    fn take(&mut self, message: Message) -> Answer {
        let error = match message {
            Message::Answer(answer) => return answer,
            Message::Lost(error) => error,
            Message::Ended => TransportError::Removed,
        };
        self.requests = None;
        Err(error)
    }

    fn keep_watch(&mut self) {
        let (None, Some(seat)) = (&self.watch, &self.seat) else { return };
        let (name, lost) = (seat.name.clone(), self.lost.clone());
        let tell = move |change: &Change| match change.loss_of(&name) {
            Some(error) => {
                let _ = lost.send(Message::Lost(error));
                false
            }
            None => true,
        };
        self.watch = Some((self.start_watch)(seat.clone(), Box::new(tell)));
    }
}

impl Drop for Worker {
    /// Waits until the card is reset and given back: the program may end right after. A thread inside a call that ran
    /// out of time has lost `requests` and is not waited for.
    fn drop(&mut self) {
        if self.requests.take().is_some() {
            while matches!(self.messages.recv_timeout(GIVE_BACK_LIMIT), Ok(Message::Answer(_))) {}
        }
    }
}

fn drive(
    reader: &str,
    exclusive: bool,
    ready: &SyncSender<Result<Opened, TransportError>>,
    inbox: &Receiver<Request>,
    outbox: &Outbox,
) {
    let share = if exclusive { ShareMode::Exclusive } else { ShareMode::Shared };
    let (mut card, context, seat) = match connect(reader, share) {
        Ok((card, context, opened)) => {
            let seat = opened.seat.clone();
            if ready.send(Ok(opened)).is_err() {
                // Given up while another's transaction was waited for: see below.
                let _ = card.disconnect(Disposition::LeaveCard);
                return;
            }
            (card, context, seat)
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let buffer = Zeroizing::new(vec![0; MAX_ANSWER]);
    let mut device = Device { buffer, reader, share, used: false, context, seat, lost: false };
    serve(&mut card, &mut device, inbox, outbox);
    // Dropping the card resets it, so that no verified PIN stays behind. Who never sent it anything leaves none, and may
    // have been given up while it waited for somebody else's transaction to end: that one's session is not ours to end.
    // Nor is another card's, which came in its place.
    if !device.used || device.lost || device.check_card().is_err() {
        let _ = card.disconnect(Disposition::LeaveCard);
    }
}

/// Both loops end when the other side hangs up.
fn serve(card: &mut Card, device: &mut Device<'_>, inbox: &Receiver<Request>, outbox: &Outbox) {
    let (reader, share) = (device.reader, device.share);
    while let Ok(request) = inbox.recv() {
        let answer = match request {
            _ if device.lost => Err(TransportError::Removed),
            Request::Begin => match card.transaction() {
                Ok(transaction) => {
                    if !outbox.send(Ok(Vec::new())) {
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
                match result {
                    Err(TransportError::Reset) => {
                        // The handle works again after a reconnection; what was selected is gone, and the caller told so.
                        let _ = card.reconnect(share, Protocols::ANY, Disposition::LeaveCard);
                        device.check_card().and(result)
                    }
                    result => result,
                }
            }
            Request::Reset => device.reset(card),
        };
        if !outbox.send(answer) {
            return;
        }
    }
}

fn connect(reader: &str, share: ShareMode) -> Result<(Card, Context, Opened), TransportError> {
    let context = establish()?;
    let name = CString::new(reader).map_err(|_| TransportError::NoReader(reader.to_owned()))?;
    let card =
        context.connect(&name, share, Protocols::ANY).map_err(|error| transport_error(error, reader))?;
    match opened(&card, &context, name, reader) {
        Ok(opened) => Ok((card, context, opened)),
        // The card of whoever reset it meanwhile is not ours to reset.
        Err(error) => {
            let _ = card.disconnect(Disposition::LeaveCard);
            Err(error)
        }
    }
}

fn opened(card: &Card, context: &Context, name: CString, reader: &str) -> Result<Opened, TransportError> {
    let status = card.status2_owned().map_err(|error| transport_error(error, reader))?;
    let atr = status.atr().to_vec();
    let t0 = status.protocol2() == Some(Protocol::T0);
    let capabilities = capability::detect(card, reader, &atr, t0);
    let seat = look_at(context, name, reader)?;
    if seat.has_card() {
        Ok(Opened { atr, capabilities, seat })
    } else {
        Err(TransportError::Removed)
    }
}

/// The reader as it is now.
fn look_at(context: &Context, name: CString, reader: &str) -> Result<Reader, TransportError> {
    let mut states = [ReaderState::new(name, State::UNAWARE)];
    match context.get_status_change(Duration::ZERO, &mut states) {
        Ok(()) | Err(Error::Timeout) => Ok(Reader::from_state(&states[0])),
        Err(error) => Err(transport_error(error, reader)),
    }
}

struct Device<'a> {
    buffer: Zeroizing<Vec<u8>>,
    reader: &'a str,
    share: ShareMode,
    /// Whether the card was sent anything.
    used: bool,
    context: Context,
    /// The reader when the card was connected.
    seat: Reader,
    /// Another card is in its place, or none.
    lost: bool,
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

    /// Says whether the card is still the one that was connected. A reconnection takes whatever card is there now: what was
    /// removed is no error to it, and a reset by another program hides an earlier removal.
    fn check_card(&mut self) -> Result<(), TransportError> {
        let name = self.seat.name.as_str();
        let now = look_at(&self.context, CString::new(name).unwrap_or_default(), name)?;
        let lost = changes(Some(std::slice::from_ref(&self.seat)), Some(&[now]));
        match lost.iter().find_map(|change| change.loss_of(name)) {
            Some(error) => {
                self.lost = true;
                Err(error)
            }
            None => Ok(()),
        }
    }

    fn reset(&mut self, card: &mut Card) -> Answer {
        self.check_card()?;
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
            .and_then(|atr| self.check_card().map(|()| atr))
    }

    fn reset_in(&mut self, transaction: &mut Transaction<'_>) -> Answer {
        self.check_card()?;
        transaction
            .reconnect(self.share, Protocols::ANY, Disposition::UnpowerCard)
            .and_then(|()| transaction.status2_owned())
            .map(|status| status.atr().to_vec())
            .map_err(|error| transport_error(error, self.reader))
            .and_then(|atr| self.check_card().map(|()| atr))
    }

    /// Serves requests until the transaction's end; the answer to that end, or `None` when the other side hung up.
    fn in_transaction(
        &mut self,
        mut transaction: Transaction<'_>,
        inbox: &Receiver<Request>,
        outbox: &Outbox,
    ) -> Option<Answer> {
        loop {
            let answer = match inbox.recv().ok()? {
                Request::End => {
                    let ended = transaction.end(Disposition::LeaveCard);
                    return Some(
                        ended.map(|()| Vec::new()).map_err(|(_, e)| transport_error(e, self.reader)),
                    );
                }
                _ if self.lost => Err(TransportError::Removed),
                Request::Begin => Ok(Vec::new()),
                Request::Transmit(command) => self.transmit(&transaction, &command),
                Request::Reset => self.reset_in(&mut transaction),
            };
            if !outbox.send(answer) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(180);
    const READER: &str = "Reader";

    fn removed(reader: &str) -> Change {
        Change::CardRemoved { reader: reader.to_owned() }
    }

    /// A worker whose card does as `drive` does. What is watched comes from the test, through the listener in the slot.
    fn worker(
        drive: impl FnOnce(&Receiver<Request>, &Outbox) + Send + 'static,
    ) -> (Worker, Arc<Mutex<Option<Listener>>>) {
        let slot = Arc::new(Mutex::new(None));
        let filled = Arc::clone(&slot);
        let watch = move |_, listener: Listener| -> Box<dyn Send> {
            *filled.lock().unwrap() = Some(listener);
            Box::new(())
        };
        let mut worker = Worker::start(Box::new(watch), move |ready, inbox, outbox| {
            let seat = Reader::with_card(READER, Some(&[0x3B, 0]), 1);
            let capabilities = Capabilities::default();
            ready.send(Ok(Opened { atr: vec![0x3B, 0], capabilities, seat })).unwrap();
            drive(inbox, outbox);
        });
        worker.opened(LONG).unwrap();
        (worker, slot)
    }

    fn listener(slot: &Mutex<Option<Listener>>) -> Listener {
        let started = Instant::now();
        loop {
            if let Some(listener) = slot.lock().unwrap().take() {
                return listener;
            }
            assert!(started.elapsed() < LONG, "nobody watches");
            thread::yield_now();
        }
    }

    fn command() -> Request {
        Request::Transmit(vec![0, 0xB0, 0, 0].into())
    }

    #[test]
    fn an_exchange_under_way_ends_as_soon_as_the_card_is_known_to_be_gone() {
        for (change, expected) in [
            (removed(READER), TransportError::Removed),
            (Change::ReaderGone { reader: READER.to_owned() }, TransportError::Removed),
            (Change::ServiceGone, TransportError::NoService),
        ] {
            // The card never answers, and its thread stays in the call for as long as the test runs.
            let (stuck, release) = channel::<()>();
            let (mut worker, slot) = worker(move |inbox, _| {
                inbox.recv().unwrap();
                let _ = release.recv();
            });
            let watched = thread::spawn(move || {
                let mut listener = listener(&slot);
                assert!(listener(&removed("another reader")), "the watch ends with somebody else's card");
                assert!(!listener(&change));
            });
            let started = Instant::now();
            let error = worker.call(command(), LONG).unwrap_err();
            assert_eq!(error.to_string(), expected.to_string());
            assert!(started.elapsed() < LONG / 2);
            watched.join().unwrap();
            // What comes later must not be taken for the answer to another command.
            assert!(matches!(worker.call(command(), LONG), Err(TransportError::Removed)));
            drop(worker);
            drop(stuck);
        }
    }

    #[test]
    fn a_late_answer_is_still_an_answer_and_a_removal_behind_it_ends_the_next_exchange_unsent() {
        let (late, when) = channel::<()>();
        let (sent, commands) = channel();
        let (mut worker, slot) = worker(move |inbox, outbox| {
            while inbox.recv().is_ok() {
                sent.send(()).unwrap();
                when.recv().unwrap();
                outbox.send(Ok(vec![0x90, 0]));
            }
        });
        let watched = thread::spawn(move || {
            let listener = listener(&slot);
            late.send(()).unwrap();
            listener
        });
        assert_eq!(worker.call(command(), LONG).unwrap(), [0x90, 0]);
        let mut listener = watched.join().unwrap();
        assert!(!listener(&removed(READER)));
        assert!(matches!(worker.call(command(), LONG), Err(TransportError::Removed)));
        assert_eq!(commands.try_iter().count(), 1, "a command went to a card that was swapped");
    }

    #[test]
    fn a_thread_that_ends_ends_the_wait() {
        let (mut worker, _slot) = worker(|inbox, outbox| {
            inbox.recv().unwrap();
            outbox.send(Ok(vec![0x90, 0]));
            inbox.recv().unwrap();
        });
        assert_eq!(worker.call(command(), LONG).unwrap(), [0x90, 0]);
        assert!(matches!(worker.call(command(), LONG), Err(TransportError::Removed)));
    }
}
