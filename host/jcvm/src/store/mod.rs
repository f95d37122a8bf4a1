//! The card's non-volatile memory: cells, power, transactions, named regions.
//!
//! Every persistent change of a card, whoever makes it, is a *cell write* here: at most four bytes that are stored
//! whole or not at all. The store counts them and can cut the power after any of them; what a card is after that cut
//! is decided by these bytes alone.
//!
//! ```text
//! superblock | regions (two halves each) | journal (undo log) | heap
//! ```

mod journal;
mod pages;
mod region;
mod snapshot;

pub use region::NamedRegions;
pub use snapshot::SnapshotError;

use journal::Journal;
use pages::Pages;

/// Largest cell: an int field, which is updated atomically (JCRE 7.1).
pub const CELL: usize = 4;
const CELL_STEP: u32 = 4;

/// First bytes of every store.
const MAGIC: u32 = 0x4A43_564D;
/// Layout version of the bytes in the store.
const VERSION: u32 = 1;
const SUPERBLOCK: u32 = 32;

/// Sizes of the parts, fixed when a card is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLayout {
    /// Bytes of the heap; at most 524280 (references have 16 bits and count in units of 8 bytes).
    pub heap: u32,
    /// Bytes of the undo log, the commit capacity of JCRE 7.7.
    pub journal: u32,
    /// Named regions and the bytes each can hold.
    pub regions: Vec<(String, u32)>,
}

/// Why the store did not do as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The power is gone; nothing can be written until the card is powered up again.
    #[error("power lost")]
    PowerLost,
    /// The undo log cannot take the old value.
    #[error("commit buffer full")]
    CommitBufferFull,
    /// An address outside of the memory. Only a damaged image leads there.
    #[error("address {0:#x} is outside of the memory")]
    Range(u32),
    /// No region of that name.
    #[error("no such region")]
    NoSuchRegion,
    /// More bytes than the region holds.
    #[error("the region holds {capacity} bytes, not {wanted}")]
    RegionFull {
        /// What it holds.
        capacity: u32,
        /// What was to be written.
        wanted: usize,
    },
}

/// Non-volatile memory with its journal. A clone shares all pages until one side writes to them.
#[derive(Debug, Clone)]
pub struct Store {
    pages: Pages,
    layout: StoreLayout,
    journal: Journal,
    writes: u64,
    cut_after: Option<u64>,
    lost: bool,
}

impl Store {
    /// A store of zeros, formatted.
    pub fn new(layout: StoreLayout) -> Self {
        let pages = Pages::zeroed(Self::total(&layout));
        let journal = Journal::new(Self::journal_base(&layout), layout.journal);
        let mut store = Self { pages, layout, journal, writes: 0, cut_after: None, lost: false };
        store.pages.write(0, &MAGIC.to_be_bytes());
        store.pages.write(4, &VERSION.to_be_bytes());
        store
    }

    /// The sizes it was made with.
    pub fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    fn total(layout: &StoreLayout) -> u32 {
        Self::heap_base_of(layout).saturating_add(layout.heap)
    }

    fn journal_base(layout: &StoreLayout) -> u32 {
        layout.regions.iter().fold(SUPERBLOCK, |at, (_, size)| at.saturating_add(region::footprint(*size)))
    }

    fn heap_base_of(layout: &StoreLayout) -> u32 {
        let end = Self::journal_base(layout).saturating_add(journal::footprint(layout.journal));
        end.div_ceil(8) * 8
    }

    /// Address of the first heap byte, a multiple of 8.
    pub fn heap_base(&self) -> u32 {
        Self::heap_base_of(&self.layout)
    }

    /// Cell writes since the store was made.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Cuts the power after `n` more cell writes; `None` takes that back.
    pub fn cut_power_after(&mut self, n: Option<u64>) {
        self.cut_after = n;
    }

    /// Whether the power was cut.
    pub fn power_lost(&self) -> bool {
        self.lost
    }

    /// Power on: rolls back what the journal holds. Returns whether there was anything.
    pub fn power_up(&mut self) -> Result<bool, StoreError> {
        self.lost = false;
        self.cut_after = None;
        let entries = self.journal.reload(&self.pages);
        let rolled_back = !entries.is_empty();
        self.roll_back(&entries)?;
        Ok(rolled_back)
    }

    /// One byte; 0 outside of the memory.
    #[inline]
    pub fn u8(&self, address: u32) -> u8 {
        self.pages.u8(address)
    }

    /// Two bytes, big-endian; 0 outside of the memory.
    #[inline]
    pub fn u16(&self, address: u32) -> u16 {
        self.pages.u16(address)
    }

    /// Four bytes, big-endian; 0 outside of the memory.
    #[inline]
    pub fn u32(&self, address: u32) -> u32 {
        self.pages.u32(address)
    }

    /// Eight bytes at a multiple of 8.
    #[inline]
    pub fn header(&self, address: u32) -> [u8; 8] {
        self.pages.header(address)
    }

    /// Copies bytes out.
    pub fn read(&self, address: u32, out: &mut [u8]) {
        self.pages.read(address, out);
    }

    /// Copies bytes out into a new vector.
    pub fn bytes(&self, address: u32, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.pages.read(address, &mut out);
        out
    }

    /// Writes one cell whatever transaction is open: allocation, PIN tries, non-atomic operations.
    pub fn put(&mut self, address: u32, cell: &[u8]) -> Result<(), StoreError> {
        debug_assert!(cell.len() <= CELL);
        if self.lost {
            return Err(StoreError::PowerLost);
        }
        match &mut self.cut_after {
            Some(0) => {
                self.lost = true;
                return Err(StoreError::PowerLost);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if !self.pages.contains(address, cell.len()) {
            return Err(StoreError::Range(address));
        }
        self.writes += 1;
        self.pages.write(address, cell);
        Ok(())
    }

    /// Writes bytes in cells of four, whatever transaction is open.
    pub fn put_all(&mut self, address: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let mut at = address;
        for cell in bytes.chunks(CELL) {
            self.put(at, cell)?;
            at = at.saturating_add(CELL_STEP);
        }
        Ok(())
    }

    /// Writes bytes one by one, whatever transaction is open: array operations without atomicity.
    pub fn put_each(&mut self, address: u32, bytes: &[u8]) -> Result<(), StoreError> {
        for (at, byte) in (address..).zip(bytes) {
            self.put(at, &[*byte])?;
        }
        Ok(())
    }

    /// Writes one cell; in a transaction its old value is logged first.
    pub fn write(&mut self, address: u32, cell: &[u8]) -> Result<(), StoreError> {
        if self.journal.is_open() {
            self.log(address, cell.len())?;
        }
        self.put(address, cell)
    }

    /// Writes bytes so that either all or none of them are there after a power cut: in the open transaction, or in
    /// one of its own.
    pub fn write_atomic(&mut self, address: u32, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() <= CELL {
            return self.write(address, bytes);
        }
        self.atomically(|store| {
            store.log(address, bytes.len())?;
            store.put_each(address, bytes)
        })
    }

    /// Runs several writes as one: in the open transaction, or in one of its own.
    pub fn atomically<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.journal.is_open() {
            return work(self);
        }
        self.journal.open();
        match work(self) {
            Ok(value) => {
                self.commit()?;
                Ok(value)
            }
            Err(error) => {
                if !self.lost {
                    self.abort()?;
                }
                Err(error)
            }
        }
    }

    /// Opens a transaction. There is one at most; the caller checks [`Self::in_transaction`].
    pub fn begin(&mut self) {
        self.journal.open();
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.journal.is_open()
    }

    /// Makes what was written permanent: one cell write.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let was_used = self.journal.used() > 0;
        self.journal.close();
        if was_used {
            self.put(self.journal.end_address(), &[0; 4])?;
        }
        Ok(())
    }

    /// Puts the old values back.
    pub fn abort(&mut self) -> Result<(), StoreError> {
        let entries = self.journal.entries();
        self.roll_back(&entries)
    }

    /// Bytes of the undo log that are free; an entry takes 6 more than its data, in multiples of 4.
    pub fn unused_commit_capacity(&self) -> u32 {
        self.layout.journal - self.journal.used()
    }

    /// A write that bypassed the transaction changed this byte by `change`: the logged old value follows, so that an
    /// abort cannot give back what was used up.
    pub fn follow_in_journal(&mut self, address: u32, change: impl Fn(u8) -> u8) -> Result<(), StoreError> {
        for at in self.journal.copies_of(address) {
            let old = self.pages.u8(at);
            let new = change(old);
            if new != old {
                self.put(at, &[new])?;
            }
        }
        Ok(())
    }

    /// Logs the old value of a range unless it is logged already.
    fn log(&mut self, address: u32, len: usize) -> Result<(), StoreError> {
        let Some(entry) = self.journal.plan(address, len)? else { return Ok(()) };
        let mut old = vec![0; len];
        self.pages.read(address, &mut old);
        let record = entry.record(&old);
        self.put_all(entry.at, &record)?;
        self.put(self.journal.end_address(), &entry.new_end.to_be_bytes())?;
        self.journal.accept(entry);
        Ok(())
    }

    fn roll_back(&mut self, entries: &[journal::Entry]) -> Result<(), StoreError> {
        for entry in entries.iter().rev() {
            let old = self.bytes(entry.data_address(), entry.len);
            self.put_all(entry.address, &old)?;
        }
        self.journal.close();
        if !entries.is_empty() {
            self.put(self.journal.end_address(), &[0; 4])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
