//! The undo log: old values of what an open transaction has changed.
//!
//! ```text
//! u4 end  { u4 address  u2 length  old bytes  padding to a multiple of 4 }…
//! ```
//! `end` counts the bytes behind it that are valid. Growing it is what makes an entry count, writing 0 to it is the
//! commit, so both are one cell write.

use super::pages::Pages;
use super::StoreError;

const ENTRY_HEAD: u32 = 6;

/// Bytes a journal of this capacity takes.
pub(super) fn footprint(capacity: u32) -> u32 {
    capacity.saturating_add(4)
}

/// One logged range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Where the entry stands.
    pub(super) at: u32,
    /// Range whose old value it holds.
    pub(super) address: u32,
    pub(super) len: usize,
    /// Value of `end` once it is in.
    pub(super) new_end: u32,
}

impl Entry {
    pub(super) fn data_address(&self) -> u32 {
        self.at + ENTRY_HEAD
    }

    pub(super) fn record(&self, old: &[u8]) -> Vec<u8> {
        let mut record = Vec::with_capacity(old.len() + 8);
        record.extend(self.address.to_be_bytes());
        record.extend(u16::try_from(self.len).unwrap_or(u16::MAX).to_be_bytes());
        record.extend(old);
        record
    }

    fn covers(&self, address: u32, len: usize) -> bool {
        address >= self.address && address as usize + len <= self.address as usize + self.len
    }
}

/// Where the log is and, while a transaction is open, what it holds.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    base: u32,
    capacity: u32,
    open: bool,
    used: u32,
    entries: Vec<Entry>,
}

impl Journal {
    pub(super) fn new(base: u32, capacity: u32) -> Self {
        Self { base, capacity, open: false, used: 0, entries: Vec::new() }
    }

    pub(super) fn end_address(&self) -> u32 {
        self.base
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }

    pub(super) fn open(&mut self) {
        self.open = true;
    }

    pub(super) fn close(&mut self) {
        self.open = false;
        self.used = 0;
        self.entries.clear();
    }

    /// Where the next entry goes; `None` when the range is logged already.
    pub(super) fn plan(&self, address: u32, len: usize) -> Result<Option<Entry>, StoreError> {
        if self.entries.iter().any(|e| e.covers(address, len)) {
            return Ok(None);
        }
        let size = u32::try_from(len).ok().filter(|len| *len <= 0xFFFF).map(|len| {
            let size = ENTRY_HEAD + len;
            size.div_ceil(4) * 4
        });
        match size.map(|size| self.used + size) {
            Some(new_end) if new_end <= self.capacity => {
                Ok(Some(Entry { at: self.base + 4 + self.used, address, len, new_end }))
            }
            _ => Err(StoreError::CommitBufferFull),
        }
    }

    pub(super) fn accept(&mut self, entry: Entry) {
        self.used = entry.new_end;
        self.entries.push(entry);
    }

    /// The entries of the open transaction.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.clone()
    }

    /// Reads the entries that a power cut left behind. A damaged log is read as far as it makes sense.
    pub(super) fn reload(&mut self, pages: &Pages) -> Vec<Entry> {
        self.close();
        let end = pages.u32(self.base).min(self.capacity);
        let mut out = Vec::new();
        let mut used = 0;
        while used + ENTRY_HEAD <= end {
            let at = self.base + 4 + used;
            let len = pages.u16(at + 4);
            let new_end = used + (ENTRY_HEAD + u32::from(len)).div_ceil(4) * 4;
            if new_end > end {
                break;
            }
            out.push(Entry { at, address: pages.u32(at), len: len.into(), new_end });
            used = new_end;
        }
        out
    }

    /// Where in the log old values of this byte stand.
    pub(super) fn copies_of(&self, address: u32) -> Vec<u32> {
        let entries = self.entries.iter().filter(|e| e.covers(address, 1));
        entries.map(|e| e.data_address() + (address - e.address)).collect()
    }
}
