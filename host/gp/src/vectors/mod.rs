//! Vector files of the format `gp-se vectors 1`, run against the off-card side and the primitives.
//!
//! A vector file holds known answers of SCP03: primitives, whole sessions, and sessions with one fault. Everything in a
//! vector that the off-card side computes is compared; nothing passes by being skipped: a fault that only the card can
//! find gives [`Verdict::OtherEnd`].

mod primitives;
mod transcript;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use primitives::{
    ChainedMac, Cmac, Cryptogram, DekBlock, Diversified, Kcv, Kdf, PseudoChallenge, PutKey,
    SessionKeysVector, StoreDataKeys,
};
use transcript::{Negative, Transcript};

/// The only format known.
pub const FORMAT: &str = "gp-se vectors 1";

/// A file of known answers of SCP03.
pub type VectorFile = VectorFileOf<Vector>;

/// A file of vectors of one kind.
#[derive(Debug, Deserialize)]
pub struct VectorFileOf<V> {
    format: String,
    /// What it is about.
    #[serde(default)]
    pub description: String,
    /// The vectors.
    pub vectors: Vec<V>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorFileError {
    /// Not JSON of this shape.
    #[error("not a vector file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("format {0:?} is not known")]
    Format(String),
}

impl<V: DeserializeOwned> VectorFileOf<V> {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, VectorFileError> {
        let file: Self = serde_json::from_str(text)?;
        if file.format != FORMAT {
            return Err(VectorFileError::Format(file.format));
        }
        Ok(file)
    }
}

/// One known answer.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// Its name, unique over all files.
    pub id: String,
    #[serde(flatten)]
    check: Check,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Check {
    Cmac(Cmac),
    Kdf(Kdf),
    SessionKeys(SessionKeysVector),
    Cryptogram(Cryptogram),
    PseudoChallenge(PseudoChallenge),
    ChainedMac(ChainedMac),
    Kcv(Kcv),
    DekBlock(DekBlock),
    PutKey(PutKey),
    StoreDataKeys(StoreDataKeys),
    Diversification(Diversified),
    Transcript(Box<Transcript>),
    Negative(Box<Negative>),
}

/// How a vector came out, when nothing differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it was computed and is as expected.
    Passed,
    /// What the off-card side can see is as expected; the fault itself is for the card to find.
    OtherEnd,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item}: expected {expected}, found {found}")]
pub struct Mismatch {
    /// Which field, or which step and field.
    pub item: String,
    /// Expected value.
    pub expected: String,
    /// Value found.
    pub found: String,
}

impl Mismatch {
    /// `found` where `expected` was due.
    pub fn new(
        item: impl Into<String>,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Self {
        Self { item: item.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

impl Vector {
    /// Runs it.
    pub fn run(&self) -> Result<Verdict, Mismatch> {
        match &self.check {
            Check::Cmac(v) => v.run(),
            Check::Kdf(v) => v.run(),
            Check::SessionKeys(v) => v.run(),
            Check::Cryptogram(v) => v.run(),
            Check::PseudoChallenge(v) => v.run(),
            Check::ChainedMac(v) => v.run(),
            Check::Kcv(v) => v.run(),
            Check::DekBlock(v) => v.run(),
            Check::PutKey(v) => v.run(),
            Check::StoreDataKeys(v) => v.run(),
            Check::Diversification(v) => v.run(),
            Check::Transcript(v) => v.run(),
            Check::Negative(v) => v.run(),
        }
    }
}

/// A byte string, written in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Compares bytes.
fn same(item: &str, expected: &[u8], found: &[u8]) -> Result<(), Mismatch> {
    if expected == found {
        Ok(())
    } else {
        Err(Mismatch::new(item, hex::encode(expected), hex::encode(found)))
    }
}

/// A byte string of fixed length.
fn array<const N: usize>(item: &str, bytes: &[u8]) -> Result<[u8; N], Mismatch> {
    bytes.try_into().map_err(|_| Mismatch::new(item, format!("{N} bytes"), bytes.len()))
}

/// A single byte.
fn byte(item: &str, bytes: &[u8]) -> Result<u8, Mismatch> {
    Ok(array::<1>(item, bytes)?[0])
}

/// An error where a value was expected.
fn wrong(item: &str, error: &dyn std::fmt::Display) -> Mismatch {
    Mismatch::new(item, "success", error)
}
