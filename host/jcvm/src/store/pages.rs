//! Bytes in pages that clones share until they are written.

use std::sync::Arc;

const PAGE: usize = 1024;

type Page = [u8; PAGE];

#[derive(Clone)]
pub(super) struct Pages {
    pages: Vec<Arc<Page>>,
    len: u32,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

/// Page and offset in it. Addresses have 32 bits, usize at least as many.
#[inline]
fn split(address: u32) -> (usize, usize) {
    (address as usize / PAGE, address as usize % PAGE)
}

impl Pages {
    pub(super) fn zeroed(len: u32) -> Self {
        let zero = Arc::new([0; PAGE]);
        Self { pages: vec![zero; (len as usize).div_ceil(PAGE)], len }
    }

    pub(super) fn contains(&self, address: u32, len: usize) -> bool {
        u64::from(address) + len as u64 <= u64::from(self.len)
    }

    #[inline]
    fn fixed<const N: usize>(&self, address: u32) -> [u8; N] {
        let (page, at) = split(address);
        if let Some(bytes) = self.pages.get(page).and_then(|p| p.get(at..at + N)) {
            let mut out = [0; N];
            out.copy_from_slice(bytes);
            return out;
        }
        let mut out = [0; N];
        self.read(address, &mut out);
        out
    }

    #[inline]
    pub(super) fn u8(&self, address: u32) -> u8 {
        self.fixed::<1>(address)[0]
    }

    #[inline]
    pub(super) fn u16(&self, address: u32) -> u16 {
        u16::from_be_bytes(self.fixed(address))
    }

    #[inline]
    pub(super) fn u32(&self, address: u32) -> u32 {
        u32::from_be_bytes(self.fixed(address))
    }

    #[inline]
    pub(super) fn header(&self, address: u32) -> [u8; 8] {
        self.fixed(address)
    }

    pub(super) fn read(&self, address: u32, out: &mut [u8]) {
        let (mut page, mut at) = split(address);
        let mut rest = out;
        while !rest.is_empty() {
            let n = rest.len().min(PAGE - at);
            let (now, later) = rest.split_at_mut(n);
            match self.pages.get(page) {
                Some(bytes) => now.copy_from_slice(&bytes[at..at + n]),
                None => now.fill(0),
            }
            (page, at, rest) = (page + 1, 0, later);
        }
    }

    /// Bytes outside of the memory are dropped; [`Self::contains`] tells.
    pub(super) fn write(&mut self, address: u32, bytes: &[u8]) {
        let (mut page, mut at) = split(address);
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = rest.len().min(PAGE - at);
            if let Some(shared) = self.pages.get_mut(page) {
                Arc::make_mut(shared)[at..at + n].copy_from_slice(&rest[..n]);
            }
            (page, at, rest) = (page + 1, 0, &rest[n..]);
        }
    }

    /// Pages that hold anything but zeros, by index.
    pub(super) fn used(&self) -> impl Iterator<Item = (usize, &Page)> {
        self.pages.iter().enumerate().map(|(i, p)| (i, &**p)).filter(|(_, p)| p.iter().any(|b| *b != 0))
    }

    pub(super) fn count(&self) -> usize {
        self.pages.len()
    }

    pub(super) const fn page_size() -> usize {
        PAGE
    }

    pub(super) fn set_page(&mut self, index: usize, bytes: &[u8]) -> Option<()> {
        let page = self.pages.get_mut(index)?;
        *page = Arc::new(bytes.try_into().ok()?);
        Some(())
    }
}
