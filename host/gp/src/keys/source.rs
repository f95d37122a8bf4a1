//! Where static keys come from. A source answers questions; its keys stay inside it.

use std::borrow::Cow;

use jpkise_wire::scp03::{
    Challenge, KeyCheckValue, KeyError, KeyLength, SMode, SequenceCounter, SessionKeys, StaticKeys,
    KDD_LENGTH,
};
use jpkise_wire::Aid;

/// Which key set of which card: what INITIALIZE UPDATE's answer names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeySet {
    /// Key version number.
    pub kvn: u8,
    /// Key diversification data.
    pub kdd: [u8; KDD_LENGTH],
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet(version {:02X}, diversification data {})", self.kvn, hex::encode_upper(self.kdd))
    }
}

/// Why a key source could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySourceError {
    /// The source has no keys for this version.
    #[error("no keys for key version {0:02X}")]
    NoSuchSet(u8),
    /// A key does not have the form it needs.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The source does not give its keys away.
    #[error("this key source does not give its keys away")]
    NotExportable,
    /// The device or service behind the source failed.
    #[error("the key source failed: {0}")]
    Device(String),
}

/// Keys of a security domain, asked and never shown.
///
/// Software sources hold the bytes; a token or HSM derives and enciphers inside. Only [`KeySource::export`] gives key
/// material away, for PUT KEY of keys that must reach a card from software.
pub trait KeySource {
    /// Session keys for the challenges of one handshake (section 6.2.1).
    fn session_keys(
        &self,
        set: &KeySet,
        host: &Challenge,
        card: &Challenge,
    ) -> Result<SessionKeys, KeySourceError>;

    /// The pseudo-random card challenge this set would give (section 6.2.2.1).
    fn card_challenge(
        &self,
        set: &KeySet,
        counter: SequenceCounter,
        aid: &Aid,
        mode: SMode,
    ) -> Result<Challenge, KeySourceError>;

    /// Check values of Key-ENC, Key-MAC, Key-DEK.
    fn check_values(&self, set: &KeySet) -> Result<[KeyCheckValue; 3], KeySourceError>;

    /// `data`, whole blocks, enciphered under Key-DEK (section 7.2.1.1).
    fn encrypt_dek(&self, set: &KeySet, data: &[u8]) -> Result<Vec<u8>, KeySourceError>;

    /// Length of the set's keys.
    fn key_length(&self, set: &KeySet) -> Result<KeyLength, KeySourceError>;

    /// The keys themselves, where the source can and must give them: to put them onto a card.
    fn export(&self, set: &KeySet) -> Result<StaticKeys, KeySourceError> {
        let _ = set;
        Err(KeySourceError::NotExportable)
    }

    /// What it is, for people; never a key.
    fn describe(&self) -> Cow<'_, str>;

    /// Whether its keys are published ones, which belong into a laboratory only.
    fn has_published_key(&self) -> bool {
        false
    }
}
