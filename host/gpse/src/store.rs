//! Non-volatile memory of the card manager: named records, changed together or not at all.
//!
//! The registry lives in region `gp` of the card's memory, outside the transactions of applets. On `jcvm` that memory
//! also holds the applets ([`Jcvm::store`](crate::Jcvm::store)) and shares their fate when power fails; a runtime
//! without memory of its own goes with [`MemoryStore`].

mod record;
pub(crate) mod region;

use std::collections::BTreeMap;

use zeroize::Zeroizing;

pub(crate) use record::{decode, encode};

/// Records by name; values hold key material and are wiped on drop.
pub type Records = BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>;

/// One change of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// The record gets this value.
    Put(&'a [u8], &'a [u8]),
    /// The record goes.
    Remove(&'a [u8]),
}

/// Why memory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Writing failed; nothing has changed. The command answers 6581.
    #[error("memory could not be written: {0}")]
    Write(String),
    /// There is no room for it; nothing has changed. The command answers 6A84.
    #[error("no room in memory")]
    Full,
    /// Power failed; whether the change was made shows after the next reset.
    #[error("power lost")]
    PowerLost,
    /// What is stored is no registry.
    #[error("stored record {name} is damaged")]
    Damaged {
        /// The record's name, as text where it is some.
        name: String,
    },
}

/// Region `gp`.
pub trait Store: Send {
    /// All records; empty on a new card.
    fn records(&self) -> Result<Records, StoreError>;

    /// Makes all changes or none.
    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError>;
}

/// Records that end with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Records,
}

impl Store for MemoryStore {
    fn records(&self) -> Result<Records, StoreError> {
        Ok(self.records.clone())
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        apply(&mut self.records, changes);
        Ok(())
    }
}

fn apply(records: &mut Records, changes: &[Change<'_>]) {
    for change in changes {
        match *change {
            Change::Put(name, value) => {
                records.insert(name.to_vec(), Zeroizing::new(value.to_vec()));
            }
            Change::Remove(name) => {
                records.remove(name);
            }
        }
    }
}

/// What leads from one set of records to another.
pub(crate) fn difference<'a>(old: &'a Records, new: &'a Records) -> Vec<Change<'a>> {
    let removed = old.keys().filter(|name| !new.contains_key(*name)).map(|name| Change::Remove(name));
    let put = new
        .iter()
        .filter(|(name, value)| old.get(*name) != Some(*value))
        .map(|(name, value)| Change::Put(name, value));
    removed.chain(put).collect()
}
