//! Opening a channel: SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE.

use jpkise_card::{Card, Transport};
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::Aid;

use crate::error::GpError;
use crate::keys::{KeySource, TryLedger};
use crate::random::SecureRandom;
use crate::scp03::{Authenticated, Initialized, Policy, ScpError, Selected, Session};

/// Which security level to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelChoice {
    /// The highest the card offers.
    Best,
    /// The highest the card offers; refused below this one.
    AtLeast(SecurityLevel),
    /// This one.
    Exactly(SecurityLevel),
    /// Integrity alone: C-MAC, with R-MAC where the card offers it. For content that is no secret, in larger blocks.
    Integrity,
}

/// How to open a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelOptions {
    /// What to select: a security domain or applet, `None` for the issuer security domain.
    pub aid: Option<Aid>,
    /// Key version, 00 for the domain's default.
    pub kvn: u8,
    /// Security level.
    pub level: LevelChoice,
    /// Deviations the card is known for.
    pub policy: Policy,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self { aid: None, kvn: 0, level: LevelChoice::Best, policy: Policy::default() }
    }
}

impl ChannelOptions {
    /// To `aid`, with the domain's default keys at the highest level.
    pub fn to(aid: Aid) -> Self {
        Self { aid: Some(aid), ..Self::default() }
    }

    /// With this key version.
    #[must_use]
    pub fn with_kvn(mut self, kvn: u8) -> Self {
        self.kvn = kvn;
        self
    }

    /// With this level.
    #[must_use]
    pub fn with_level(mut self, level: LevelChoice) -> Self {
        self.level = level;
        self
    }
}

/// Opens a channel. Three APDUs (four with a card that knows S16 only); the card cryptogram is checked before the third.
pub fn open_channel<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    keys: &'k dyn KeySource,
    options: &ChannelOptions,
    rng: &mut dyn SecureRandom,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    open_selected(Session::select(card, options.aid.as_ref())?, keys, options, rng)
}

/// As [`open_channel`], to what `session` has selected already.
pub fn open_selected<'a, 'k, T: Transport>(
    session: Session<'a, T, Selected>,
    keys: &'k dyn KeySource,
    options: &ChannelOptions,
    rng: &mut dyn SecureRandom,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    let session = session.with_policy(options.policy);
    authenticate(session.initialize_update(keys, options.kvn, rng)?, options.level)
}

/// As [`open_channel`], with failures counted per card: an attempt is counted before it is made, given back when no key
/// was tried, and forgotten with all before it when the channel opens.
pub fn open_channel_counted<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    keys: &'k dyn KeySource,
    options: &ChannelOptions,
    rng: &mut dyn SecureRandom,
    ledger: &TryLedger,
    card_id: &str,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    counted(ledger, card_id, options.kvn, || open_channel(card, keys, options, rng))
}

/// [`open_selected`] with failures counted as in [`open_channel_counted`].
pub fn open_selected_counted<'a, 'k, T: Transport>(
    session: Session<'a, T, Selected>,
    keys: &'k dyn KeySource,
    options: &ChannelOptions,
    rng: &mut dyn SecureRandom,
    ledger: &TryLedger,
    card_id: &str,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    counted(ledger, card_id, options.kvn, || open_selected(session, keys, options, rng))
}

fn counted<S>(
    ledger: &TryLedger,
    card_id: &str,
    kvn: u8,
    open: impl FnOnce() -> Result<S, GpError>,
) -> Result<S, GpError> {
    let attempt = ledger.begin(card_id, kvn)?;
    match open() {
        Ok(session) => {
            attempt.succeeded()?;
            Ok(session)
        }
        Err(error) => {
            if tried_keys(&error) {
                attempt.failed();
            } else {
                attempt.not_made()?;
            }
            Err(error)
        }
    }
}

/// Whether the card may have counted a failure. A line that broke may have broken behind EXTERNAL AUTHENTICATE.
fn tried_keys(error: &GpError) -> bool {
    matches!(error, GpError::Channel(ScpError::Cryptogram(_) | ScpError::HostRefused(_) | ScpError::Card(_)))
}

/// EXTERNAL AUTHENTICATE at the level chosen.
pub(super) fn authenticate<'a, 'k, T: Transport>(
    session: Session<'a, T, Initialized<'k>>,
    choice: LevelChoice,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    let offered = session.info().best_level();
    let level = match choice {
        LevelChoice::Best => offered,
        LevelChoice::Exactly(level) => level,
        LevelChoice::Integrity if offered.has_r_mac() => SecurityLevel::L11,
        LevelChoice::Integrity => SecurityLevel::L01,
        LevelChoice::AtLeast(demanded) => {
            // Levels are sets of protections: the one used must hold every protection demanded.
            if offered.value() & demanded.value() != demanded.value() {
                return Err(GpError::Level { offered, demanded });
            }
            offered
        }
    };
    Ok(session.external_authenticate(level)?)
}
