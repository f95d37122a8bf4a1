//! The archive's three parts as the signature schemes see them: content, central directory, end record.

use super::ApkError;

const END_SIGNATURE: [u8; 4] = [0x50, 0x4B, 0x05, 0x06];
const LOCAL_SIGNATURE: [u8; 4] = [0x50, 0x4B, 0x03, 0x04];
/// End of central directory record without its comment.
const END_SIZE: usize = 22;
/// Where in the end record the number of entries, the directory's size and its offset stand.
const END_ENTRIES: usize = 10;
const END_DIRECTORY_SIZE: usize = 12;
const END_DIRECTORY_OFFSET: usize = 16;
/// A comment has at most 65,535 bytes.
const COMMENT_MAX: usize = 0xFFFF;

/// An APK's parts. The signing block, if there is one, is the end of `before_directory`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive<'a> {
    /// Everything.
    pub whole: &'a [u8],
    /// From the start to the central directory.
    pub before_directory: &'a [u8],
    /// The central directory.
    pub directory: &'a [u8],
    /// The end record with its comment.
    pub end: &'a [u8],
    /// Number of entries that the end record states.
    pub entries: usize,
}

impl<'a> Archive<'a> {
    pub(super) fn read(whole: &'a [u8]) -> Result<Self, ApkError> {
        // Something before the first entry could be a program of another kind that takes the same file.
        if !whole.starts_with(&LOCAL_SIGNATURE) {
            return Err(ApkError::NotAnApk("it does not begin with a ZIP entry"));
        }
        let end_offset = find_end(whole).ok_or(ApkError::NotAnApk("the ZIP end record is missing"))?;
        let (content, end) = whole.split_at(end_offset);
        let number = |at: usize| {
            end.get(at..at + 4)
                .and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok())
                .ok_or(ApkError::NotAnApk("the ZIP end record is truncated"))
        };
        let (size, offset) = (number(END_DIRECTORY_SIZE)?, number(END_DIRECTORY_OFFSET)?);
        // Android wants the directory to reach exactly to the end record; ZIP64 fails here as it does there.
        if offset.checked_add(size) != Some(end_offset) {
            return Err(ApkError::NotAnApk("the ZIP directory does not end where the end record begins"));
        }
        let (before_directory, directory) = content.split_at(offset);
        let entries = usize::from(u16::from_le_bytes([end[END_ENTRIES], end[END_ENTRIES + 1]]));
        Ok(Self { whole, before_directory, directory, end, entries })
    }

    /// The end record as it was signed: pointing to where the signing block begins.
    pub(super) fn end_pointing_to(&self, block_start: usize) -> Option<Vec<u8>> {
        let offset = u32::try_from(block_start).ok()?;
        let mut end = self.end.to_vec();
        end.get_mut(END_DIRECTORY_OFFSET..END_DIRECTORY_OFFSET + 4)?.copy_from_slice(&offset.to_le_bytes());
        Some(end)
    }
}

/// The last end record whose comment reaches exactly to the end of the file.
fn find_end(whole: &[u8]) -> Option<usize> {
    let last = whole.len().checked_sub(END_SIZE)?;
    let first = last.saturating_sub(COMMENT_MAX);
    (first..=last).rev().find(|at| {
        let record = &whole[*at..];
        let comment = usize::from(u16::from_le_bytes([record[END_SIZE - 2], record[END_SIZE - 1]]));
        record.starts_with(&END_SIGNATURE) && record.len() == END_SIZE + comment
    })
}

/// Little-endian fields one after the other, never beyond their end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A field behind its length of four bytes.
    pub(super) fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    /// Fields behind their lengths until the end.
    pub(super) fn all_prefixed(mut self) -> Option<Vec<&'a [u8]>> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(self.prefixed()?);
        }
        Some(all)
    }
}
