//! Named regions: one byte string each, replaced as a whole or not at all.
//!
//! ```text
//! u1 active half  u3 0  u4 length of half 0  u4 length of half 1  half 0  half 1
//! ```
//! A replacement is written into the half that is not active; turning `active` is the one cell write that counts.
//! Applet transactions have no part in it.

use super::{Store, StoreError, CELL, CELL_STEP, SUPERBLOCK};

const HEAD: u32 = 12;

pub(super) fn footprint(size: u32) -> u32 {
    HEAD.saturating_add(size.div_ceil(4).saturating_mul(8))
}

/// Persistent byte strings by name, each replaced atomically: what a card manager keeps its registry, keys and
/// counters in, so that they share the fate of everything else on the card when power fails.
pub trait NamedRegions {
    /// What was last stored; empty at first.
    fn read_region(&self, name: &str) -> Result<Vec<u8>, StoreError>;

    /// Replaces the content: after a power cut it is the old one or the new one.
    fn replace_region(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
}

#[derive(Clone, Copy)]
struct Place {
    base: u32,
    size: u32,
}

impl Place {
    fn half(self, half: u8) -> u32 {
        self.base + HEAD + u32::from(half) * self.size.div_ceil(4) * 4
    }

    fn length_address(self, half: u8) -> u32 {
        self.base + 4 + 4 * u32::from(half)
    }
}

impl Store {
    fn place(&self, name: &str) -> Result<Place, StoreError> {
        let mut base = SUPERBLOCK;
        for (known, size) in &self.layout.regions {
            if known == name {
                return Ok(Place { base, size: *size });
            }
            base += footprint(*size);
        }
        Err(StoreError::NoSuchRegion)
    }

    /// Writes only the cells that differ: the inactive half mostly holds what was there two versions ago.
    fn put_changes(&mut self, address: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let mut at = address;
        for cell in bytes.chunks(CELL) {
            if self.bytes(at, cell.len()) != cell {
                self.put(at, cell)?;
            }
            at += CELL_STEP;
        }
        Ok(())
    }
}

impl NamedRegions for Store {
    fn read_region(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let place = self.place(name)?;
        let active = self.u8(place.base) & 1;
        let len = self.u32(place.length_address(active)).min(place.size);
        Ok(self.bytes(place.half(active), len as usize))
    }

    fn replace_region(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let place = self.place(name)?;
        let len = u32::try_from(bytes.len()).ok().filter(|len| *len <= place.size);
        let Some(len) = len else {
            return Err(StoreError::RegionFull { capacity: place.size, wanted: bytes.len() });
        };
        let next = 1 - (self.u8(place.base) & 1);
        self.put_changes(place.half(next), bytes)?;
        self.put_changes(place.length_address(next), &len.to_be_bytes())?;
        self.put(place.base, &[next])
    }
}
