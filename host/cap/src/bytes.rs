//! Bounded big-endian reading and writing of component bytes.

use std::marker::PhantomData;

use crate::error::{CapError, FormatRule};
use crate::model::{Aid, ComponentTag};

/// A cursor over the info bytes of one component; every error names the component and the offset in its info.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    component: ComponentTag,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(component: ComponentTag, bytes: &'a [u8]) -> Self {
        Self { component, bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Position as the 16-bit offset other components refer to (components are at most 65535 bytes long).
    pub(crate) fn offset(&self) -> u16 {
        u16::try_from(self.at).unwrap_or(u16::MAX)
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn error(&self, rule: FormatRule) -> CapError {
        self.error_at(self.at, rule)
    }

    pub(crate) fn error_at(&self, offset: usize, rule: FormatRule) -> CapError {
        CapError::Format { component: self.component, offset, rule }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], CapError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.error(FormatRule::Truncated { needed: len, left: self.remaining() }));
        };
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let slice = &self.bytes[self.at..];
        self.at = self.bytes.len();
        slice
    }

    pub(crate) fn u1(&mut self) -> Result<u8, CapError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u2(&mut self) -> Result<u16, CapError> {
        let b = self.take(2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    pub(crate) fn u4(&mut self) -> Result<u32, CapError> {
        let b = self.take(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// `n` items, refused early when even one byte each would not fit.
    pub(crate) fn many<T>(
        &mut self,
        n: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, CapError>,
    ) -> Result<Vec<T>, CapError> {
        if n > self.remaining() {
            return Err(self.error(FormatRule::Truncated { needed: n, left: self.remaining() }));
        }
        (0..n).map(|_| item(self)).collect()
    }

    /// u1 length and that many AID bytes.
    pub(crate) fn aid(&mut self) -> Result<Aid, CapError> {
        let at = self.at;
        let len = self.u1()?;
        let bytes = self.take(usize::from(len))?;
        Aid::new(bytes).map_err(|_| self.error_at(at, FormatRule::AidLength(len)))
    }

    pub(crate) fn finish(self) -> Result<(), CapError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(self.error(FormatRule::TrailingBytes(count))),
        }
    }
}

/// What a kind of file calls an item that runs past its end.
pub(crate) trait Truncation {
    fn truncated(offset: usize) -> Self;
}

/// A cursor over a whole file: class files and export files. Offsets are those in the file.
pub(crate) struct FileReader<'a, E> {
    bytes: &'a [u8],
    at: usize,
    error: PhantomData<E>,
}

impl<'a, E: Truncation> FileReader<'a, E> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, error: PhantomData }
    }

    /// Over what was read since an offset, and nothing behind it.
    pub(crate) fn since(&self, start: usize) -> Self {
        Self { bytes: &self.bytes[..self.at], at: start, error: PhantomData }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], E> {
        let slice = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        let slice = slice.ok_or_else(|| E::truncated(self.at))?;
        self.at += len;
        Ok(slice)
    }

    pub(crate) fn u1(&mut self) -> Result<u8, E> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u2(&mut self) -> Result<u16, E> {
        let b = self.take(2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    pub(crate) fn u4(&mut self) -> Result<u32, E> {
        let b = self.take(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub(crate) fn many<T>(
        &mut self,
        n: u16,
        mut item: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        (0..n).map(|_| item(self)).collect()
    }
}

/// Collects component bytes. Counts that do not fit their field are reported by the caller's limits check; here
/// they saturate so that no write can panic.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u1(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u2(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u4(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn count1(&mut self, value: usize) {
        self.u1(u8::try_from(value).unwrap_or(u8::MAX));
    }

    pub(crate) fn count2(&mut self, value: usize) {
        self.u2(u16::try_from(value).unwrap_or(u16::MAX));
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(crate) fn aid(&mut self, aid: &Aid) {
        self.count1(aid.as_bytes().len());
        self.bytes(aid.as_bytes());
    }
}
