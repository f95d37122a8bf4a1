//! Records in region `gp` of the memory that also holds the runtime's heap.
//!
//! ```text
//! { u2 length  name  u2 length  value }, in the order of names; empty on a new card
//! ```
//! The region is replaced as a whole: after a power cut it holds all changes of a commit or none.

use std::sync::{Mutex, PoisonError};

use jpkise_jcvm::store::StoreError as MemoryError;
use zeroize::Zeroizing;

use super::{apply, Change, Records, Store, StoreError};
use crate::runtime::jcvm::Memory;

/// The records of a card on `jcvm`.
#[derive(Debug)]
pub(crate) struct RegionStore {
    memory: Memory,
    /// As last read or committed: the region is out of reach while an applet runs.
    records: Mutex<Records>,
}

impl RegionStore {
    pub(crate) fn new(memory: Memory) -> Self {
        Self { memory, records: Mutex::default() }
    }
}

impl From<MemoryError> for StoreError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::PowerLost => Self::PowerLost,
            MemoryError::RegionFull { .. } => Self::Full,
            other => Self::Write(other.to_string()),
        }
    }
}

impl Store for RegionStore {
    fn records(&self) -> Result<Records, StoreError> {
        let content = Zeroizing::new(self.memory.read_region()?);
        let records = decode(&content).ok_or_else(|| StoreError::Damaged { name: "region gp".into() })?;
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&records);
        Ok(records)
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let records = self.records.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut next = records.clone();
        apply(&mut next, changes);
        self.memory.replace_region(encode(&next)?)?;
        *records = next;
        Ok(())
    }
}

fn encode(records: &Records) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let strings = || records.iter().flat_map(|(name, value)| [&name[..], &value[..]]);
    // One allocation, so that no copy of a key is left behind by a vector that grew.
    let mut out = Zeroizing::new(Vec::with_capacity(strings().map(|s| 2 + s.len()).sum()));
    for string in strings() {
        let length =
            u16::try_from(string.len()).map_err(|_| StoreError::Write("a record is too long".into()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(string);
    }
    Ok(out)
}

/// `None` when a length does not fit.
fn decode(mut rest: &[u8]) -> Option<Records> {
    let mut records = Records::new();
    while !rest.is_empty() {
        let name = string(&mut rest)?.to_vec();
        records.insert(name, Zeroizing::new(string(&mut rest)?.to_vec()));
    }
    Some(records)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<2>()?;
    let (string, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = behind;
    Some(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_a_cut_region_is_damaged() {
        let records: Records = [(&b"a"[..], &[1, 2, 3][..]), (b"bc", &[]), (b"d", &[0xFF; 300])]
            .map(|(name, value)| (name.to_vec(), Zeroizing::new(value.to_vec())))
            .into();
        let content = encode(&records).unwrap();
        assert_eq!(decode(&content).unwrap(), records);
        assert_eq!(decode(&[]).unwrap(), Records::new());
        let whole = [0, 8, 14];
        for length in 0..content.len() {
            let back = decode(&content[..length]);
            assert_eq!(back.is_some(), whole.contains(&length), "{length}");
        }
    }
}
