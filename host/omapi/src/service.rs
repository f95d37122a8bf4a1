//! Open Mobile API (GlobalPlatform OMAPI 3.x, as Android's `android.se.omapi` has it).
//!
//! [`SeService`] → [`Reader`] → [`Session`] → [`Channel`]. Everything belonging to one reader shares its card; a channel
//! that is dropped is closed on the card.

mod channel;
mod error;
mod terminal;

use std::sync::{Arc, Mutex, MutexGuard};

use jpkise_card::{Card, CardError, Transport};
use jpkise_wire::Aid;

use crate::ace::{App, Denial, Grant, SeKind, Target, WithoutAra};
use terminal::Terminal;

pub use channel::{admissible, Channel};
pub use error::{IllegalArgument, OmapiError, Security};

type Shared<T> = Arc<Mutex<Terminal<T>>>;

/// A thread that panicked inside leaves the card usable: nothing in a terminal is half-changed across an exchange.
fn lock<T>(terminal: &Shared<T>) -> MutexGuard<'_, Terminal<T>> {
    terminal.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The service: the readers of a device.
pub struct SeService<T> {
    readers: Vec<Reader<T>>,
}

impl<T: Transport> SeService<T> {
    /// A device without readers.
    pub fn new() -> Self {
        Self { readers: Vec::new() }
    }

    /// Adds a reader; named as Android does, by kind and number: `eSE1`, `SIM1`, `SD1`.
    pub fn add_reader(&mut self, kind: SeKind, without_ara: WithoutAra, card: Card<T>) -> Reader<T> {
        let prefix = match kind {
            SeKind::Embedded => "eSE",
            SeKind::Sd => "SD",
            SeKind::Uicc => "SIM",
        };
        let number = self.readers.iter().filter(|reader| reader.name.starts_with(prefix)).count() + 1;
        let reader = Reader {
            name: format!("{prefix}{number}"),
            terminal: Arc::new(Mutex::new(Terminal::new(card, kind, without_ara))),
        };
        self.readers.push(reader.clone());
        reader
    }

    /// All readers.
    pub fn readers(&self) -> &[Reader<T>] {
        &self.readers
    }

    /// The reader of that name.
    pub fn reader(&self, name: &str) -> Option<&Reader<T>> {
        self.readers.iter().find(|reader| reader.name == name)
    }

    /// Closes every session of every reader.
    pub fn shutdown(&self) {
        for reader in &self.readers {
            reader.close_sessions();
        }
    }
}

impl<T: Transport> Default for SeService<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A secure element of the device.
pub struct Reader<T> {
    name: String,
    terminal: Shared<T>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), terminal: Arc::clone(&self.terminal) }
    }
}

impl<T: Transport> Reader<T> {
    /// `eSE1` and the like.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a session for an app.
    pub fn open_session(&self, app: App) -> Session<T> {
        let id = lock(&self.terminal).open_session();
        Session { terminal: Arc::clone(&self.terminal), id, app }
    }

    /// Closes all sessions with their channels.
    pub fn close_sessions(&self) {
        lock(&self.terminal).close_sessions(None);
    }

    /// What an app would be granted now, without opening anything for it. The rules are read if they have changed.
    pub fn access(&self, target: Target, app: &App) -> Result<Result<Grant, Denial>, OmapiError> {
        let mut terminal = lock(&self.terminal);
        terminal.refresh()?;
        Ok(terminal.enforcer.decide(target, app))
    }

    /// Which of the apps learn of an NFC transaction with the applet.
    pub fn is_nfc_event_allowed(&self, aid: Aid, apps: &[App]) -> Result<Vec<bool>, OmapiError> {
        let mut terminal = lock(&self.terminal);
        terminal.refresh()?;
        Ok(apps.iter().map(|app| terminal.enforcer.nfc_allowed(Target::Aid(aid), app)).collect())
    }

    /// How often the rules have been read in full.
    pub fn rule_readings(&self) -> u64 {
        lock(&self.terminal).enforcer.readings()
    }

    /// Runs something with the card itself, past the service: what a TSM's agent does.
    pub fn with_card<R>(&self, run: impl FnOnce(&mut Card<T>) -> R) -> R {
        run(&mut lock(&self.terminal).card)
    }
}

/// A session of one app with one secure element; closed when dropped.
pub struct Session<T: Transport> {
    terminal: Shared<T>,
    id: u64,
    app: App,
}

impl<T: Transport> Session<T> {
    /// The app.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The ATR of the secure element.
    pub fn atr(&self) -> Vec<u8> {
        lock(&self.terminal).card.atr().to_vec()
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        !lock(&self.terminal).has_session(self.id)
    }

    /// Closes it with its channels.
    pub fn close(&self) {
        lock(&self.terminal).close_sessions(Some(self.id));
    }

    /// Closes its channels.
    pub fn close_channels(&self) {
        lock(&self.terminal).close_channels(Some(self.id));
    }

    /// Opens a logical channel and selects `aid` on it; without an AID the applet selected by default stays.
    ///
    /// `None` when the secure element has no channel left.
    pub fn open_logical_channel(&self, aid: Option<&[u8]>, p2: u8) -> Result<Option<Channel<T>>, OmapiError> {
        let opened = lock(&self.terminal).open_logical(self.id, &self.app, aid, p2)?;
        Ok(opened.map(|opened| Channel::new(Arc::clone(&self.terminal), opened)))
    }

    /// Opens the basic channel. `None` when somebody has it, and on a SIM for every app without the system permission.
    pub fn open_basic_channel(&self, aid: Option<&[u8]>, p2: u8) -> Result<Option<Channel<T>>, OmapiError> {
        let opened = lock(&self.terminal).open_basic(self.id, &self.app, aid, p2)?;
        Ok(opened.map(|opened| Channel::new(Arc::clone(&self.terminal), opened)))
    }
}

impl<T: Transport> Drop for Session<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether an exchange failed so that the card has forgotten its channels.
fn is_lost(error: &CardError) -> bool {
    use jpkise_card::TransportError::{ProcessEnded, Removed, Reset};
    matches!(error, CardError::Transport(Removed | Reset | ProcessEnded(_)))
}
