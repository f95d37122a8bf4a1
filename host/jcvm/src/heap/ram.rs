//! Transient memory: plain bytes, first fit.

#[derive(Debug, Clone)]
pub(super) struct Ram {
    bytes: Vec<u8>,
    /// Free ranges by offset.
    free: Vec<(u32, u32)>,
}

impl Ram {
    pub(super) fn new(size: u32) -> Self {
        Self { bytes: vec![0; size as usize], free: vec![(0, size)] }
    }

    pub(super) fn free(&self) -> u32 {
        self.free.iter().map(|(_, len)| len).sum()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.fill(0);
    }

    /// Offset of zeroed bytes.
    pub(super) fn allocate(&mut self, len: usize) -> Option<u32> {
        let len = u32::try_from(len).ok()?;
        if len == 0 {
            return Some(0);
        }
        let place = self.free.iter().position(|(_, size)| *size >= len)?;
        let (offset, _) = self.free[place];
        self.claim(offset, len as usize)?;
        self.slice_mut(offset, len as usize).fill(0);
        Some(offset)
    }

    /// Takes a range that an object found at start says is its own.
    pub(super) fn claim(&mut self, offset: u32, len: usize) -> Option<()> {
        let len = u32::try_from(len).ok()?;
        if len == 0 {
            return Some(());
        }
        let end = offset.checked_add(len)?;
        let place = self.free.iter().position(|(at, size)| *at <= offset && end <= at + size)?;
        let (at, size) = self.free.remove(place);
        if end < at + size {
            self.free.insert(place, (end, at + size - end));
        }
        if at < offset {
            self.free.insert(place, (at, offset - at));
        }
        Some(())
    }

    pub(super) fn release(&mut self, offset: u32, len: usize) {
        let Ok(len) = u32::try_from(len) else { return };
        if len == 0 {
            return;
        }
        let place = self.free.partition_point(|(at, _)| *at < offset);
        self.free.insert(place, (offset, len));
        if let Some((next, more)) = self.free.get(place + 1).copied() {
            if next == offset + len {
                self.free[place].1 += more;
                self.free.remove(place + 1);
            }
        }
        if let Some((before, size)) = place.checked_sub(1).map(|p| self.free[p]) {
            if before + size == offset {
                self.free[place - 1].1 += self.free[place].1;
                self.free.remove(place);
            }
        }
    }

    /// Empty when the range is outside; ranges come from headers that were checked at start.
    pub(super) fn slice(&self, offset: u32, len: usize) -> &[u8] {
        self.bytes.get(offset as usize..offset as usize + len).unwrap_or(&[])
    }

    pub(super) fn slice_mut(&mut self, offset: u32, len: usize) -> &mut [u8] {
        self.bytes.get_mut(offset as usize..offset as usize + len).unwrap_or(&mut [])
    }
}
