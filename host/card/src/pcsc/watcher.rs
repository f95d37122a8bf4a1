//! Readers under watch, in a thread of their own.

use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::changes::{changes, Change};
use super::lookout::{is_gone, Bell, Lookout, PERIOD, RETRY};
use super::readers::Reader;

/// How long to wait for the thread to end; it looks up every [`PERIOD`].
const END_LIMIT: Duration = Duration::from_secs(2);
/// How soon to cancel again what was not waiting yet.
const CANCEL_PERIOD: Duration = Duration::from_millis(10);

/// Something that happened, and when it was known.
///
/// The service is behind the world: pcscd asks most readers every 400 ms, so a card that is swapped faster goes unseen, and
/// it asks no reader in the middle of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderEvent {
    /// When it was known here.
    pub at: Instant,
    /// Not seen to happen: it was so when the watch began.
    pub initial: bool,
    /// What.
    pub change: Change,
}

/// Watches all readers, those that come later too. Its first events are what is there already. Dropping it ends the watch.
pub struct Watcher {
    events: Receiver<ReaderEvent>,
    // Behind the receiver: the thread may be about to send.
    _watch: Watch,
}

impl Watcher {
    /// Begins to watch. A service that does not run is an event, not an error.
    pub fn start() -> Self {
        let (sender, events) = channel();
        let watch = Watch::start(None, move |event| sender.send(event).is_ok());
        Self { events, _watch: watch }
    }

    /// The next event, if there is one within the limit.
    pub fn next_within(&self, limit: Duration) -> Option<ReaderEvent> {
        self.events.recv_timeout(limit).ok()
    }

    /// The events that are there already.
    pub fn pending(&self) -> impl Iterator<Item = ReaderEvent> + '_ {
        self.events.try_iter()
    }
}

/// A thread that tells of changes until it is dropped.
pub(super) struct Watch {
    bell: Arc<Bell>,
    ended: Receiver<()>,
}

impl Watch {
    /// Tells of everything that differs from `known`, from the first look on; without it the first look is told as what was
    /// there already. Ends when `tell` says that nobody listens.
    pub(super) fn start(
        known: Option<Vec<Reader>>,
        tell: impl FnMut(ReaderEvent) -> bool + Send + 'static,
    ) -> Self {
        let bell = Arc::new(Bell::default());
        let (end, ended) = channel();
        let lookout = Lookout::new(Arc::clone(&bell));
        let inner = Arc::clone(&bell);
        let thread = thread::Builder::new().name("pcsc-watch".to_owned());
        // Without a thread nothing is told, and the exchange still has its own errors and its time limit.
        let _ = thread.spawn(move || {
            let _end = end;
            keep_watch(lookout, &inner, known, tell);
        });
        Self { bell, ended }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let deadline = Instant::now() + END_LIMIT;
        self.bell.ring();
        while self.ended.recv_timeout(CANCEL_PERIOD) == Err(RecvTimeoutError::Timeout)
            && Instant::now() < deadline
        {
            self.bell.ring();
        }
    }
}

fn keep_watch(
    mut lookout: Lookout,
    bell: &Bell,
    known: Option<Vec<Reader>>,
    mut tell: impl FnMut(ReaderEvent) -> bool,
) {
    let mut initial = known.is_none();
    let mut known = Some(known.unwrap_or_default());
    while !bell.is_stopped() {
        let now = match lookout.look(PERIOD) {
            Ok(readers) => Some(readers),
            Err(error) if is_gone(error) => None,
            Err(error) => {
                tracing::debug!(?error, "readers cannot be asked for");
                bell.pause(RETRY);
                continue;
            }
        };
        if bell.is_stopped() {
            return;
        }
        let at = Instant::now();
        for change in changes(known.as_deref(), now.as_deref()) {
            if !tell(ReaderEvent { at, initial, change }) {
                return;
            }
        }
        initial = false;
        if now.is_none() {
            bell.pause(RETRY);
        }
        known = now;
    }
}
