//! Keys of a security domain, by version number and identifier (section 7.5; types of table 11-16).

use std::collections::BTreeMap;

use jpkise_wire::scp03::{AesKey, SequenceCounter, StaticKeys};

/// Key identifiers of an SCP03 key set (Amendment D section 5, table 4-2).
pub const KEY_ENC: u8 = 1;
/// Key-MAC.
pub const KEY_MAC: u8 = 2;
/// Key-DEK.
pub const KEY_DEK: u8 = 3;

/// What a key is made of.
#[derive(Debug)]
pub enum KeyData {
    /// AES, for SCP03.
    Aes(AesKey),
    /// RSA public key.
    RsaPublic {
        /// Modulus, big endian.
        modulus: Vec<u8>,
        /// Public exponent, big endian.
        exponent: Vec<u8>,
    },
    /// Point of an elliptic curve.
    EcPublic {
        /// The point, uncompressed.
        point: Vec<u8>,
        /// Reference of the curve (00 P-256, 01 P-384, 02 P-521; Amendment E table 4-1).
        curve: u8,
    },
}

impl KeyData {
    /// Whether a key may take this one's place: same type, same lengths.
    pub fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Aes(a), Self::Aes(b)) => a.length() == b.length(),
            (Self::RsaPublic { modulus: a, .. }, Self::RsaPublic { modulus: b, .. }) => a.len() == b.len(),
            (Self::EcPublic { curve: a, .. }, Self::EcPublic { curve: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Clone for KeyData {
    fn clone(&self) -> Self {
        match self {
            Self::Aes(key) => Self::Aes(key.duplicate()),
            Self::RsaPublic { modulus, exponent } => {
                Self::RsaPublic { modulus: modulus.clone(), exponent: exponent.clone() }
            }
            Self::EcPublic { point, curve } => Self::EcPublic { point: point.clone(), curve: *curve },
        }
    }
}

/// Usage qualifier and access byte (tables 11-17 and 11-18), where the command told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Qualifiers {
    /// 14 C-MAC, 18 C-ENC, 48 C-DEK and so on.
    pub usage: Option<u8>,
    /// 00 the domain and its applications, 01 the domain, 02 its applications.
    pub access: Option<u8>,
}

/// A key with its qualifiers.
#[derive(Debug, Clone)]
pub struct Key {
    /// What it is made of.
    pub data: KeyData,
    /// What it is for.
    pub qualifiers: Qualifiers,
}

impl From<AesKey> for Key {
    fn from(key: AesKey) -> Self {
        Self { data: KeyData::Aes(key), qualifiers: Qualifiers::default() }
    }
}

/// The keys under one version number, with what belongs to the version.
#[derive(Debug, Clone)]
pub struct KeyVersion {
    /// Key version number, 01 to 7F, or FF for a factory set.
    pub kvn: u8,
    /// Keys by identifier.
    pub keys: BTreeMap<u8, Key>,
    /// Sessions opened so far with a pseudo-random challenge.
    pub counter: SequenceCounter,
    /// EXTERNAL AUTHENTICATE failures in a row.
    pub failures: u8,
}

impl KeyVersion {
    /// A new version of AES keys with no session opened yet.
    pub fn new(kvn: u8, keys: BTreeMap<u8, AesKey>) -> Self {
        Self::with(kvn, keys.into_iter().map(|(identifier, key)| (identifier, key.into())).collect())
    }

    /// A new version with these three keys.
    pub fn of(kvn: u8, set: StaticKeys) -> Self {
        let keys = [(KEY_ENC, set.enc), (KEY_MAC, set.mac), (KEY_DEK, set.dek)];
        Self::new(kvn, keys.into())
    }

    /// A new version with no session opened yet.
    pub fn with(kvn: u8, keys: BTreeMap<u8, Key>) -> Self {
        Self { kvn, keys, counter: SequenceCounter::default(), failures: 0 }
    }

    /// The SCP03 key set, if all three keys are there with one length.
    pub fn scp03_set(&self) -> Option<StaticKeys> {
        let key = |identifier| match &self.keys.get(&identifier)?.data {
            KeyData::Aes(key) => Some(key.duplicate()),
            _ => None,
        };
        StaticKeys::new(key(KEY_ENC)?, key(KEY_MAC)?, key(KEY_DEK)?).ok()
    }
}
