//! A store as bytes and as a file.
//!
//! ```text
//! "JCVMCARD"  u2 version  u4 heap  u4 journal  u1 regions { u1 length  name  u4 size }
//! u4 pages { u4 index  1024 bytes }  SHA-256 of all before
//! ```
//! Pages of zeros are left out.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::journal::Journal;
use super::pages::Pages;
use super::{Store, StoreLayout, MAGIC, VERSION};

const FILE_MAGIC: &[u8; 8] = b"JCVMCARD";
const FILE_VERSION: u16 = 1;
/// Our choice: no card is larger, and a damaged file must not exhaust memory.
const MAX_MEMORY: u64 = 4 << 20;
/// Longest file: all of that memory with an index for each page, the header and the names of 255 regions.
const MAX_FILE: u64 = MAX_MEMORY + MAX_MEMORY / Pages::page_size() as u64 * 4 + (1 << 17);

/// A snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Reading or writing the file failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a snapshot of a card.
    #[error("not a card snapshot")]
    NotASnapshot,
    /// Written by another version of this program.
    #[error("card snapshot of version {0}, this program reads {FILE_VERSION}")]
    Version(u16),
    /// Longer than any snapshot; not read to its end.
    #[error("larger than any card snapshot")]
    TooLarge,
    /// The checksum does not fit the content.
    #[error("the card snapshot is damaged")]
    Damaged,
}

impl Store {
    /// The memory as bytes. What is in the air (an open transaction) goes with it as a power cut would leave it.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(FILE_MAGIC);
        out.extend(FILE_VERSION.to_be_bytes());
        out.extend(self.layout.heap.to_be_bytes());
        out.extend(self.layout.journal.to_be_bytes());
        out.push(u8::try_from(self.layout.regions.len()).unwrap_or(u8::MAX));
        for (name, size) in &self.layout.regions {
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend(name.bytes().take(255));
            out.extend(size.to_be_bytes());
        }
        let count = u32::try_from(self.pages.used().count()).unwrap_or(u32::MAX);
        out.extend(count.to_be_bytes());
        for (index, page) in self.pages.used() {
            out.extend(u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes());
            out.extend(page);
        }
        let sum = Sha256::digest(&out);
        out.extend(sum);
        out
    }

    /// Reads what [`Self::to_snapshot`] wrote. The caller powers the card up.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if !bytes.starts_with(FILE_MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        let mut r = Cursor { rest: &bytes[FILE_MAGIC.len()..] };
        let version = u16::from_be_bytes(r.take()?);
        if version != FILE_VERSION {
            return Err(SnapshotError::Version(version));
        }
        let (content, sum) =
            bytes.split_at_checked(bytes.len().saturating_sub(32)).ok_or(SnapshotError::Damaged)?;
        if Sha256::digest(content).as_slice() != sum {
            return Err(SnapshotError::Damaged);
        }
        let (heap, journal) = (r.u4()?, r.u4()?);
        let [count] = r.take()?;
        let mut regions = Vec::new();
        for _ in 0..count {
            let [len] = r.take()?;
            let name = r.slice(len.into())?;
            let name = String::from_utf8(name.to_vec()).map_err(|_| SnapshotError::Damaged)?;
            regions.push((name, r.u4()?));
        }
        let sizes = regions.iter().map(|(_, size)| u64::from(*size) * 2);
        if sizes.chain([heap.into(), journal.into()]).sum::<u64>() > MAX_MEMORY {
            return Err(SnapshotError::Damaged);
        }
        let layout = StoreLayout { heap, journal, regions };
        let mut pages = Pages::zeroed(Self::total(&layout));
        let count = r.u4()?;
        if count as usize > pages.count() {
            return Err(SnapshotError::Damaged);
        }
        for _ in 0..count {
            let index = r.u4()?;
            let page = r.slice(Pages::page_size())?;
            pages.set_page(index as usize, page).ok_or(SnapshotError::Damaged)?;
        }
        if pages.u32(0) != MAGIC || pages.u32(4) != VERSION || r.rest.len() != 32 {
            return Err(SnapshotError::Damaged);
        }
        let journal = Journal::new(Self::journal_base(&layout), layout.journal);
        Ok(Self { pages, layout, journal, writes: 0, cut_after: None, lost: false })
    }

    /// Writes the snapshot beside the file and renames it, so that a fault leaves the old one.
    pub fn save(&self, path: &Path) -> Result<(), SnapshotError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // A card holds keys: nobody else may read it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(&self.to_snapshot())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        Ok(())
    }

    /// Reads a snapshot file; of one that cannot be a snapshot no more than the longest would have.
    pub fn load(path: &Path) -> Result<Self, SnapshotError> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(SnapshotError::TooLarge);
        }
        Self::from_snapshot(&bytes)
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], SnapshotError> {
        let (now, rest) = self.rest.split_at_checked(len).ok_or(SnapshotError::Damaged)?;
        self.rest = rest;
        Ok(now)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.slice(N)?.try_into().map_err(|_| SnapshotError::Damaged)
    }

    fn u4(&mut self) -> Result<u32, SnapshotError> {
        Ok(u32::from_be_bytes(self.take()?))
    }
}
