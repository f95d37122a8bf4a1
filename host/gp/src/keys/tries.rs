//! Failed authentications, counted per card on disk, so that nobody locks a card by trying on.
//!
//! An attempt is counted before it is made and given back when it succeeded or no key was tried: a program killed in
//! between has counted. One small file per card and key version; a card is in one reader at a time, so files need no
//! lock, and a file is replaced as a whole.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Failures after which no further attempt is made: cards lock after ten, some after fewer.
pub const DEFAULT_LIMIT: u32 = 3;

/// The counts of all cards, in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TryLedger {
    directory: PathBuf,
    limit: u32,
}

/// Why no attempt may be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TryError {
    /// Too many failures on this card with this key version.
    #[error(
        "{failures} failed authentications with key version {kvn:02X} of card {card}; the limit is {limit}"
    )]
    Limit {
        /// The card, as the caller names it.
        card: String,
        /// Key version.
        kvn: u8,
        /// Failures counted.
        failures: u32,
        /// The limit.
        limit: u32,
    },
    /// The count cannot be kept, so no attempt is made.
    #[error("the count of failed authentications in {} cannot be kept: {error}", path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// An attempt that is counted already.
#[derive(Debug)]
#[must_use = "an attempt that succeeded has to be told so, or it stays counted"]
pub struct Attempt {
    path: PathBuf,
    before: u32,
}

impl TryLedger {
    /// Counts in `directory`, which is made when it is missing.
    pub fn new(directory: impl Into<PathBuf>, limit: u32) -> Self {
        Self { directory: directory.into(), limit }
    }

    /// Failures counted.
    pub fn failures(&self, card: &str, kvn: u8) -> Result<u32, TryError> {
        read(&self.path(card, kvn))
    }

    /// Counts an attempt, unless the limit is reached.
    pub fn begin(&self, card: &str, kvn: u8) -> Result<Attempt, TryError> {
        let path = self.path(card, kvn);
        let before = read(&path)?;
        if before >= self.limit {
            let card = card.to_owned();
            return Err(TryError::Limit { card, kvn, failures: before, limit: self.limit });
        }
        fs::create_dir_all(&self.directory).map_err(|error| TryError::Io { path: path.clone(), error })?;
        write(&path, before + 1)?;
        Ok(Attempt { path, before })
    }

    /// Forgets the failures of a card, after a person has decided to go on.
    pub fn clear(&self, card: &str, kvn: u8) -> Result<(), TryError> {
        remove(&self.path(card, kvn))
    }

    fn path(&self, card: &str, kvn: u8) -> PathBuf {
        // Names come from cards: only what a file name surely takes stays, the rest as hexadecimal.
        let plain = !card.is_empty() && card.len() <= 64 && card.bytes().all(|b| b.is_ascii_alphanumeric());
        let name = if plain { card.to_owned() } else { format!("x{}", hex::encode(card)) };
        self.directory.join(format!("{name:.120}-{kvn:02X}"))
    }
}

impl Attempt {
    /// The channel is open: all failures are forgotten, as the card forgets them.
    pub fn succeeded(self) -> Result<(), TryError> {
        remove(&self.path)
    }

    /// No key was tried: the attempt does not count.
    pub fn not_made(self) -> Result<(), TryError> {
        if self.before == 0 {
            remove(&self.path)
        } else {
            write(&self.path, self.before)
        }
    }

    /// It failed; failures counted now.
    pub fn failed(self) -> u32 {
        self.before + 1
    }
}

fn read(path: &Path) -> Result<u32, TryError> {
    let io = |error| TryError::Io { path: path.to_owned(), error };
    match fs::read_to_string(path) {
        // What cannot be read as a number must not pass for no failures.
        Ok(text) => text.trim().parse().map_err(|_| io(ErrorKind::InvalidData.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io(error)),
    }
}

fn write(path: &Path, count: u32) -> Result<(), TryError> {
    let io = |error| TryError::Io { path: path.to_owned(), error };
    let new = path.with_extension("new");
    fs::write(&new, format!("{count}\n")).map_err(io)?;
    fs::rename(&new, path).map_err(|error| TryError::Io { path: path.to_owned(), error })
}

fn remove(path: &Path) -> Result<(), TryError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(TryError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(name: &str) -> TryLedger {
        let directory = std::env::temp_dir().join(format!("jpkise-tries-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        TryLedger::new(directory, 2)
    }

    #[test]
    fn failures_add_up_to_the_limit_per_card_and_version() {
        let ledger = ledger("limit");
        assert_eq!(ledger.begin("CARD1", 0x30).unwrap().failed(), 1);
        // A program killed in the middle never says how it ended: it has counted.
        drop(ledger.begin("CARD1", 0x30).unwrap());
        assert!(matches!(ledger.begin("CARD1", 0x30), Err(TryError::Limit { failures: 2, limit: 2, .. })));
        assert_eq!(ledger.failures("CARD1", 0x30).unwrap(), 2);
        for (card, kvn) in [("CARD1", 0x31), ("CARD2", 0x30)] {
            ledger.begin(card, kvn).unwrap().not_made().unwrap();
            assert_eq!(ledger.failures(card, kvn).unwrap(), 0);
        }
        ledger.clear("CARD1", 0x30).unwrap();
        ledger.begin("CARD1", 0x30).unwrap().succeeded().unwrap();
        assert_eq!(ledger.failures("CARD1", 0x30).unwrap(), 0);
        fs::remove_dir_all(&ledger.directory).unwrap();
    }

    #[test]
    fn an_attempt_that_was_not_made_leaves_the_count_as_it_was() {
        let ledger = ledger("restore");
        let _ = ledger.begin("C", 1).unwrap().failed();
        ledger.begin("C", 1).unwrap().not_made().unwrap();
        assert_eq!(ledger.failures("C", 1).unwrap(), 1);
        fs::remove_dir_all(&ledger.directory).unwrap();
    }

    #[test]
    fn a_count_that_cannot_be_read_stops_the_attempt() {
        let ledger = ledger("broken");
        fs::create_dir_all(&ledger.directory).unwrap();
        fs::write(ledger.path("C", 1), "many").unwrap();
        assert!(matches!(ledger.begin("C", 1), Err(TryError::Io { .. })));
        // A name that is a path stays inside the directory.
        assert_eq!(ledger.path("../../etc/passwd", 1).parent(), Some(ledger.directory.as_path()));
        fs::remove_dir_all(&ledger.directory).unwrap();
    }
}
