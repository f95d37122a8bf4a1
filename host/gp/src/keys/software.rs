//! Keys in this process's memory.

use std::borrow::Cow;

use jpkise_wire::scp03::{
    card_challenge, dek_encrypt, diversify_set, AesKey, Challenge, Diversification, KeyCheckValue, KeyError,
    KeyLength, SMode, SequenceCounter, SessionKeys, StaticKeys,
};
use jpkise_wire::Aid;

use super::source::{KeySet, KeySource, KeySourceError};

/// Three keys in memory: a card's own, or masters from which each card's are derived.
#[derive(Debug)]
pub struct SoftwareKeys {
    keys: StaticKeys,
    diversification: Diversification,
}

/// The keys themselves, or those derived from them.
enum Held<'a> {
    Own(&'a StaticKeys),
    Derived(StaticKeys),
}

impl Held<'_> {
    fn get(&self) -> &StaticKeys {
        match self {
            Self::Own(keys) => keys,
            Self::Derived(keys) => keys,
        }
    }
}

impl SoftwareKeys {
    /// The key of development cards and of most published examples: 40 to 4F.
    pub const DEVELOPMENT_KEY: [u8; 16] =
        [0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F];

    /// Three keys of one length, the same on every card.
    pub fn new(keys: StaticKeys) -> Self {
        Self { keys, diversification: Diversification::None }
    }

    /// Masters from which each card's keys are derived.
    pub fn diversified(masters: StaticKeys, diversification: Diversification) -> Self {
        Self { keys: masters, diversification }
    }

    /// One key used three times, as development cards have it.
    pub fn same(key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self::new(StaticKeys::same(key)?))
    }

    /// The scheme in use.
    pub fn diversification(&self) -> Diversification {
        self.diversification
    }

    fn held(&self, set: &KeySet) -> Result<Held<'_>, KeySourceError> {
        Ok(match self.diversification {
            Diversification::None => Held::Own(&self.keys),
            scheme => Held::Derived(diversify_set(scheme, &self.keys, &set.kdd)?),
        })
    }
}

/// 40 41 42 … up to the key's length, or 40…4F over and over: what development cards and published examples use.
fn is_published(key: &AesKey) -> bool {
    let published = |step: fn(u8) -> u8| key.expose().iter().zip(0u8..).all(|(b, n)| *b == 0x40 + step(n));
    published(|n| n) || published(|n| n % 16)
}

impl From<StaticKeys> for SoftwareKeys {
    fn from(keys: StaticKeys) -> Self {
        Self::new(keys)
    }
}

impl KeySource for SoftwareKeys {
    fn session_keys(
        &self,
        set: &KeySet,
        host: &Challenge,
        card: &Challenge,
    ) -> Result<SessionKeys, KeySourceError> {
        let held = self.held(set)?;
        Ok(SessionKeys::derive(&held.get().enc, &held.get().mac, host, card))
    }

    fn card_challenge(
        &self,
        set: &KeySet,
        counter: SequenceCounter,
        aid: &Aid,
        mode: SMode,
    ) -> Result<Challenge, KeySourceError> {
        Ok(card_challenge(&self.held(set)?.get().enc, counter, aid, mode))
    }

    fn check_values(&self, set: &KeySet) -> Result<[KeyCheckValue; 3], KeySourceError> {
        let held = self.held(set)?;
        let StaticKeys { enc, mac, dek } = held.get();
        Ok([enc, mac, dek].map(AesKey::check_value))
    }

    fn encrypt_dek(&self, set: &KeySet, data: &[u8]) -> Result<Vec<u8>, KeySourceError> {
        Ok(dek_encrypt(&self.held(set)?.get().dek, data)?)
    }

    fn key_length(&self, set: &KeySet) -> Result<KeyLength, KeySourceError> {
        Ok(self.held(set)?.get().length())
    }

    fn export(&self, set: &KeySet) -> Result<StaticKeys, KeySourceError> {
        Ok(self.held(set)?.get().duplicate())
    }

    fn describe(&self) -> Cow<'_, str> {
        match self.diversification {
            Diversification::None => "software".into(),
            scheme => format!("software, {}", scheme.name()).into(),
        }
    }

    fn has_published_key(&self) -> bool {
        [&self.keys.enc, &self.keys.mac, &self.keys.dek].into_iter().any(is_published)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_keys_are_known_in_every_length() {
        let continued: Vec<u8> = (0x40..0x60).collect();
        let repeated = SoftwareKeys::DEVELOPMENT_KEY.repeat(2);
        for (key, published) in [
            (&SoftwareKeys::DEVELOPMENT_KEY[..], true),
            (&continued[..24], true),
            (&continued, true),
            (&repeated[..24], true),
            (&repeated, true),
            (&[0x40; 16], false),
            (&continued[1..17], false),
        ] {
            assert_eq!(SoftwareKeys::same(key).unwrap().has_published_key(), published, "{key:02X?}");
        }
    }

    #[test]
    fn a_source_answers_for_the_card_named() {
        let masters = StaticKeys::same(&[9; 16]).unwrap();
        let keys = SoftwareKeys::diversified(masters, Diversification::Kdf3);
        let one = KeySet { kvn: 0x30, kdd: [1; 10] };
        let two = KeySet { kvn: 0x30, kdd: [2; 10] };
        assert_ne!(keys.check_values(&one).unwrap(), keys.check_values(&two).unwrap());
        let exported = keys.export(&one).unwrap();
        assert_eq!(exported.enc.check_value(), keys.check_values(&one).unwrap()[0]);
        assert_eq!(keys.describe(), "software, kdf3");
    }
}
