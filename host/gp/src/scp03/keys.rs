//! Where static keys come from. A source answers questions; its keys stay inside it.

use jpkise_wire::scp03::{
    card_challenge, dek_encrypt, Challenge, KeyCheckValue, KeyError, KeyLength, SMode, SequenceCounter,
    SessionKeys, StaticKeys, KDD_LENGTH,
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
}

/// Three keys in memory, the same for every card and version.
#[derive(Debug)]
pub struct SoftwareKeys {
    keys: StaticKeys,
}

impl SoftwareKeys {
    /// From three keys of one length.
    pub fn new(keys: StaticKeys) -> Self {
        Self { keys }
    }

    /// From one key used three times, as development cards have it.
    pub fn same(key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self::new(StaticKeys::same(key)?))
    }
}

impl From<StaticKeys> for SoftwareKeys {
    fn from(keys: StaticKeys) -> Self {
        Self::new(keys)
    }
}

impl KeySource for SoftwareKeys {
    fn session_keys(
        &self,
        _: &KeySet,
        host: &Challenge,
        card: &Challenge,
    ) -> Result<SessionKeys, KeySourceError> {
        Ok(SessionKeys::derive(&self.keys.enc, &self.keys.mac, host, card))
    }

    fn card_challenge(
        &self,
        _: &KeySet,
        counter: SequenceCounter,
        aid: &Aid,
        mode: SMode,
    ) -> Result<Challenge, KeySourceError> {
        Ok(card_challenge(&self.keys.enc, counter, aid, mode))
    }

    fn check_values(&self, _: &KeySet) -> Result<[KeyCheckValue; 3], KeySourceError> {
        let StaticKeys { enc, mac, dek } = &self.keys;
        Ok([enc, mac, dek].map(jpkise_wire::scp03::AesKey::check_value))
    }

    fn encrypt_dek(&self, _: &KeySet, data: &[u8]) -> Result<Vec<u8>, KeySourceError> {
        Ok(dek_encrypt(&self.keys.dek, data)?)
    }

    fn key_length(&self, _: &KeySet) -> Result<KeyLength, KeySourceError> {
        Ok(self.keys.length())
    }

    fn export(&self, _: &KeySet) -> Result<StaticKeys, KeySourceError> {
        Ok(self.keys.duplicate())
    }
}
