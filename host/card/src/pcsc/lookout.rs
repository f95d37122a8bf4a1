//! Asking the service for its readers, and waiting until something about them is another than before.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use pcsc::{Context, Error, ReaderState, Scope, State, PNP_NOTIFICATION};

use super::readers::Reader;

/// pcscd refuses to be asked for more at once (`PCSCLITE_MAX_READERS_CONTEXTS`).
const MOST_READERS: usize = 16;

/// Longest wait for one answer of the service; then it is asked anew. What happens between two questions is missed in
/// two cases: pcscd before 2.3 counts the readers at the beginning of a question and so tells of no reader that came
/// before it; and its client library keeps the state of all readers in one place for all threads.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// How long to leave alone a service that does not run.
pub(super) const RETRY: Duration = Duration::from_millis(200);

/// Readers can be unplugged between being listed and being asked for; not again and again.
const ATTEMPTS: usize = 5;

/// Whether the error says that no service is there (any more). A context of a service that ended is no handle of the one
/// after it.
pub(super) fn is_gone(error: Error) -> bool {
    matches!(error, Error::NoService | Error::ServiceStopped | Error::CommError | Error::InvalidHandle)
}

/// The readers as one caller knows them.
pub(super) struct Lookout {
    bell: Arc<Bell>,
    context: Option<Context>,
    states: Vec<ReaderState>,
    /// Readers of the last list; `None` before there was one.
    names: Option<BTreeSet<CString>>,
    /// Whether the service knows the pseudo reader that tells of readers that come.
    has_pnp: bool,
}

impl Lookout {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { bell, context: None, states: Vec::new(), names: None, has_pnp: true }
    }

    /// The readers: the first time at once, then when something has changed, the limit or [`PERIOD`] has passed, or the
    /// bell was rung. After an error everything is asked anew.
    pub(super) fn look(&mut self, limit: Duration) -> Result<Vec<Reader>, Error> {
        let readers = self.ask(limit.min(PERIOD));
        if readers.is_err() {
            self.bell.set_context(None);
            self.context = None;
            self.names = None;
            self.states.clear();
        }
        readers
    }

    fn ask(&mut self, mut wait: Duration) -> Result<Vec<Reader>, Error> {
        let context = self.context()?;
        for _ in 0..ATTEMPTS {
            // Who is new is looked at without waiting for its next change.
            if self.list(&context)? {
                wait = Duration::ZERO;
            }
            match self.wait(&context, wait) {
                Ok(()) | Err(Error::Timeout | Error::Cancelled) => {}
                // One was unplugged just now, or (macOS) there is no such thing as the pseudo reader.
                Err(Error::UnknownReader) => {
                    self.has_pnp &= self.list(&context)?;
                    self.names = None;
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.states.iter_mut().for_each(ReaderState::sync_current_state);
            if wait.is_zero() || !self.list(&context)? {
                return Ok(self.readers());
            }
            wait = Duration::ZERO;
        }
        Err(Error::UnknownReader)
    }

    fn context(&mut self) -> Result<Context, Error> {
        if let Some(context) = &self.context {
            return Ok(context.clone());
        }
        let context = Context::establish(Scope::User)?;
        self.bell.set_context(Some(context.clone()));
        self.context = Some(context.clone());
        Ok(context)
    }

    /// Lists the readers, and keeps what is known of those that were there before. Whether the list is another one.
    fn list(&mut self, context: &Context) -> Result<bool, Error> {
        let names = match context.list_readers_owned() {
            Ok(names) => names,
            Err(Error::NoReadersAvailable) => Vec::new(),
            Err(error) => return Err(error),
        };
        let sorted: BTreeSet<CString> = names.iter().cloned().collect();
        if self.names.as_ref() == Some(&sorted) {
            return Ok(false);
        }
        let mut known = std::mem::take(&mut self.states);
        let is_pnp = self.has_pnp && names.len() < MOST_READERS;
        let pnp = is_pnp.then(|| PNP_NOTIFICATION().to_owned());
        self.states = names
            .into_iter()
            .take(MOST_READERS)
            .chain(pnp)
            .map(|name| match known.iter().position(|state| state.name() == name.as_c_str()) {
                Some(at) => known.swap_remove(at),
                None => ReaderState::new(name, State::UNAWARE),
            })
            .collect();
        self.names = Some(sorted);
        Ok(true)
    }

    fn wait(&mut self, context: &Context, limit: Duration) -> Result<(), Error> {
        if limit.is_zero() && self.names.as_ref().is_none_or(BTreeSet::is_empty) {
            return Ok(());
        }
        if self.states.is_empty() {
            // A question for nothing is answered at once.
            thread::sleep(limit.min(RETRY));
            return Ok(());
        }
        context.get_status_change(limit, &mut self.states)
    }

    fn readers(&self) -> Vec<Reader> {
        let real = self.states.iter().filter(|state| state.name() != PNP_NOTIFICATION());
        real.map(Reader::from_state).collect()
    }
}

/// What wakes a lookout in another thread.
#[derive(Default)]
pub(super) struct Bell {
    inner: Mutex<Inner>,
    rung: Condvar,
}

#[derive(Default)]
struct Inner {
    stopped: bool,
    context: Option<Context>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_context(&self, context: Option<Context>) {
        self.lock().context = context;
    }

    /// Asks to stop. SCardCancel is lost on a thread that is not waiting yet: whoever wants to see an end, rings again.
    pub(super) fn ring(&self) {
        let context = {
            let mut inner = self.lock();
            inner.stopped = true;
            inner.context.clone()
        };
        self.rung.notify_all();
        if let Some(context) = context {
            let _ = context.cancel();
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Does nothing for a while, or until it is rung.
    pub(super) fn pause(&self, limit: Duration) {
        let inner = self.lock();
        // Who is woken asks whether to stop.
        let _ = self.rung.wait_timeout_while(inner, limit, |inner| !inner.stopped);
    }
}
