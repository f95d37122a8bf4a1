//! Objects in the store: allocation, transient memory, the tables that are rebuilt from the bytes at every start.
//!
//! The heap is a sequence of blocks. A block's first cell (size, kind, owner) is one cell write, so a block exists or
//! it does not; everything the card manager of the runtime needs (packages, static images, applet instances) lies in
//! blocks too, and what is in memory here is only an index of them.

mod collect;
mod object;
mod ram;

pub(crate) use object::{kind, Array, Header, Object, Place, Ref, ENTRY_POINT, GLOBAL, TEMPORARY};

use crate::store::{Store, StoreError};
use object::HEADER;
use ram::Ram;

/// Units in which references count.
const UNIT: u32 = 8;
/// Longest heap: 16 bits of units.
pub(crate) const MAX_HEAP: u32 = 0xFFFF * UNIT;

/// Where in the superblock the size of the transient memory stands.
const TRANSIENT_SIZE: u32 = 8;
/// Our choice, so that a damaged image cannot exhaust memory.
const MAX_TRANSIENT: u32 = 1 << 20;

/// What owns an object: the runtime itself, an applet instance, or a package (its initialised static arrays).
pub(crate) type Owner = u8;
/// The Java Card runtime environment.
pub(crate) const OWNER_SYSTEM: Owner = 0;
/// The package named in the header.
pub(crate) const OWNER_PACKAGE: Owner = 255;

/// A firewall context: the slot of a package, all whose applets share it (JCRE 6.1.2).
pub(crate) type Context = u8;
/// The runtime environment's context.
pub(crate) const SYSTEM_CONTEXT: Context = 0;

/// Why there is no new object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllocError {
    /// No persistent block is large enough.
    Persistent,
    /// No transient memory is left.
    Transient,
    /// The store refuses.
    Store(StoreError),
}

impl From<StoreError> for AllocError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The image is not that of a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the heap is damaged at {0:#x}")]
pub struct HeapDamaged(pub u32);

/// When the contents of a transient array are cleared (JCRE 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Clear {
    /// CLEAR_ON_RESET
    Reset,
    /// CLEAR_ON_DESELECT
    Deselect,
}

#[derive(Debug, Clone)]
pub(crate) struct Heap {
    pub(crate) store: Store,
    base: u32,
    end: u32,
    /// One bit for each unit at which an allocated block starts.
    live: Vec<u64>,
    /// Free blocks by address: first unit and length.
    free: Vec<(u32, u32)>,
    ram: Ram,
    /// Blocks allocated since the transaction began.
    fresh: Vec<Ref>,
    /// Context of each applet instance slot.
    contexts: [Context; 256],
}

impl Heap {
    /// Formats the heap part of a store.
    pub(crate) fn format(mut store: Store, ram: u32) -> Result<Self, StoreError> {
        store.put(TRANSIENT_SIZE, &ram.to_be_bytes())?;
        let units = store.layout().heap / UNIT;
        let size = u16::try_from(units.saturating_sub(1)).unwrap_or(u16::MAX);
        let first = store.heap_base() + UNIT;
        let [high, low] = size.to_be_bytes();
        store.put(first, &[high, low, kind::FREE, 0])?;
        let mut heap = Self::around(store, ram);
        heap.free.push((1, size.into()));
        Ok(heap)
    }

    fn around(store: Store, ram: u32) -> Self {
        let base = store.heap_base();
        let end = (store.layout().heap / UNIT).min(0xFFFF);
        Self {
            base,
            end,
            live: vec![0; (end as usize + 1).div_ceil(64)],
            free: Vec::new(),
            ram: Ram::new(ram),
            fresh: Vec::new(),
            contexts: [SYSTEM_CONTEXT; 256],
            store,
        }
    }

    /// Builds the index of a store's blocks; transient memory is zero.
    pub(crate) fn open(store: Store) -> Result<Self, HeapDamaged> {
        let ram = store.u32(TRANSIENT_SIZE);
        if ram > MAX_TRANSIENT {
            return Err(HeapDamaged(TRANSIENT_SIZE));
        }
        let mut heap = Self::around(store, ram);
        let mut at = 1;
        while at < heap.end {
            let header = Header::parse(heap.store.header(heap.base + at * UNIT));
            let size = u32::from(header.size);
            if size == 0 || at + size > heap.end {
                return Err(HeapDamaged(at * UNIT));
            }
            if header.kind == kind::FREE {
                heap.add_free(at, size);
            } else {
                heap.set_live(at, true);
                let object = heap.at_unit(at, header);
                if let Some((offset, len)) = heap.ram_range(&object) {
                    heap.ram.claim(offset, len).ok_or(HeapDamaged(at * UNIT))?;
                }
            }
            at += size;
        }
        Ok(heap)
    }

    fn at_unit(&self, unit: u32, header: Header) -> Object {
        // Units are below 0x10000 everywhere in this file.
        let at = Ref(u16::try_from(unit).unwrap_or(0));
        Object { at, address: self.base + unit * UNIT, header }
    }

    fn set_live(&mut self, unit: u32, live: bool) {
        if let Some(word) = self.live.get_mut(unit as usize / 64) {
            let bit = 1 << (unit % 64);
            *word = if live { *word | bit } else { *word & !bit };
        }
    }

    #[inline]
    fn is_live(&self, unit: u32) -> bool {
        self.live.get(unit as usize / 64).is_some_and(|word| word & (1 << (unit % 64)) != 0)
    }

    /// The object behind a reference; `None` for null and for what is no object.
    #[inline]
    pub(crate) fn object(&self, at: Ref) -> Option<Object> {
        let unit = u32::from(at.0);
        if !self.is_live(unit) {
            return None;
        }
        let address = self.base + unit * UNIT;
        Some(Object { at, address, header: Header::parse(self.store.header(address)) })
    }

    /// All allocated blocks, by address.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        let units = self.live.iter().enumerate().flat_map(|(index, word)| {
            let base = u32::try_from(index).unwrap_or(0) * 64;
            let word = *word;
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| base + bit)
        });
        units.map(|unit| self.at_unit(unit, Header::parse(self.store.header(self.base + unit * UNIT))))
    }

    /// All blocks of one kind.
    pub(crate) fn objects_of(&self, kind: u8) -> impl Iterator<Item = Object> + '_ {
        self.objects().filter(move |o| o.header.kind == kind)
    }

    /// The context an owner acts in.
    pub(crate) fn set_context(&mut self, owner: Owner, context: Context) {
        self.contexts[usize::from(owner)] = context;
    }

    /// The context an applet instance slot belongs to.
    pub(crate) fn context_of_owner(&self, owner: Owner) -> Context {
        self.contexts[usize::from(owner)]
    }

    /// The context that owns an object (JCRE 6.1.3).
    #[inline]
    pub(crate) fn context_of(&self, object: &Object) -> Context {
        match object.header.owner {
            OWNER_PACKAGE => object.header.package,
            owner => self.contexts[usize::from(owner)],
        }
    }

    /// Allocates a block of `body` bytes that begins with `content` and is zero behind it. `size` in the header is
    /// set here.
    pub(crate) fn allocate(
        &mut self,
        mut header: Header,
        body: usize,
        content: &[u8],
    ) -> Result<Ref, AllocError> {
        let bytes = u32::try_from(body.max(content.len())).map_err(|_| AllocError::Persistent)?;
        let units = bytes.saturating_add(HEADER).div_ceil(UNIT);
        let place = self.free.iter().position(|(_, len)| *len >= units).ok_or(AllocError::Persistent)?;
        let (start, len) = self.free[place];
        let address = self.base + start * UNIT;
        if len > units {
            let rest = u16::try_from(len - units).unwrap_or(u16::MAX).to_be_bytes();
            self.store.put(address + units * UNIT, &[rest[0], rest[1], kind::FREE, 0])?;
        }
        self.store.put_all(address + HEADER, content)?;
        self.clear(address + HEADER + bytes_of(content), address + units * UNIT)?;
        header.size = u16::try_from(units).unwrap_or(u16::MAX);
        let [first @ .., _, _, _, _] = header.bytes();
        let [_, _, _, _, second @ ..] = header.bytes();
        self.store.put(address + 4, &second)?;
        self.store.put(address, &first)?;
        if len > units {
            self.free[place] = (start + units, len - units);
        } else {
            self.free.remove(place);
        }
        self.set_live(start, true);
        let at = Ref(u16::try_from(start).unwrap_or(0));
        if self.store.in_transaction() {
            self.fresh.push(at);
        }
        Ok(at)
    }

    /// Writes zeros where there are none.
    fn clear(&mut self, from: u32, to: u32) -> Result<(), StoreError> {
        let mut at = from;
        while at < to {
            let next = (at / 4 * 4 + 4).min(to);
            let len = (next - at) as usize;
            if self.store.bytes(at, len).iter().any(|b| *b != 0) {
                self.store.put(at, &[0; 4][..len])?;
            }
            at = next;
        }
        Ok(())
    }

    /// Allocates an instance of a class with this many cells.
    pub(crate) fn new_instance(
        &mut self,
        owner: Owner,
        package: u8,
        class: u16,
        cells: u16,
        flags: u8,
    ) -> Result<Ref, AllocError> {
        let header = Header { size: 0, kind: kind::INSTANCE, owner, aux: class, package, flags };
        self.allocate(header, usize::from(cells) * 2, &[])
    }

    /// Allocates a persistent array. `class` and `package` name the element class of reference arrays.
    pub(crate) fn new_array(
        &mut self,
        owner: Owner,
        kind: u8,
        len: u16,
        element: (u8, u16),
    ) -> Result<Ref, AllocError> {
        let (package, aux) = element;
        let header = Header { size: 0, kind, owner, aux, package, flags: 0 };
        let body = 2 + usize::from(len) * object::element_size(kind);
        self.allocate(header, body, &len.to_be_bytes())
    }

    /// Allocates an object whose content lies in transient memory: an array (`len` elements), or an instance of the
    /// runtime's own (`len` cells).
    pub(crate) fn new_transient(
        &mut self,
        mut header: Header,
        len: u16,
        clear: Clear,
    ) -> Result<Ref, AllocError> {
        header.flags |= match clear {
            Clear::Reset => object::CLEAR_ON_RESET,
            Clear::Deselect => object::CLEAR_ON_DESELECT,
        };
        let size = usize::from(len) * object::element_size(header.kind);
        let offset = self.ram.allocate(size).ok_or(AllocError::Transient)?;
        let content = [&len.to_be_bytes()[..], &offset.to_be_bytes()].concat();
        let result = self.allocate(header, content.len(), &content);
        if result.is_err() {
            self.ram.release(offset, size);
        }
        result
    }

    /// Frees a block: one cell write.
    pub(crate) fn release(&mut self, at: Ref) -> Result<(), StoreError> {
        let Some(object) = self.object(at) else { return Ok(()) };
        let [high, low] = object.header.size.to_be_bytes();
        self.store.put(object.address, &[high, low, kind::FREE, 0])?;
        if let Some((offset, len)) = self.ram_range(&object) {
            self.ram.release(offset, len);
        }
        let unit = u32::from(at.0);
        self.set_live(unit, false);
        self.add_free(unit, object.header.size.into());
        Ok(())
    }

    /// Adjacent free blocks are joined here only: the bytes say the same either way.
    fn add_free(&mut self, start: u32, len: u32) {
        let place = self.free.partition_point(|(at, _)| *at < start);
        self.free.insert(place, (start, len));
        if let Some((next, more)) = self.free.get(place + 1).copied() {
            if next == start + len {
                self.free[place].1 += more;
                self.free.remove(place + 1);
            }
        }
        if let Some((before, size)) = place.checked_sub(1).map(|p| self.free[p]) {
            if before + size == start {
                self.free[place - 1].1 += self.free[place].1;
                self.free.remove(place);
            }
        }
    }

    /// Free persistent bytes, headers of future objects included.
    pub(crate) fn free_persistent(&self) -> u32 {
        self.free.iter().map(|(_, len)| len * UNIT).sum()
    }

    /// Free transient bytes.
    pub(crate) fn free_transient(&self) -> u32 {
        self.ram.free()
    }

    /// Starts remembering what is allocated.
    pub(crate) fn begin(&mut self) {
        self.fresh.clear();
        self.store.begin();
    }

    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.store.commit()?;
        self.fresh.clear();
        Ok(())
    }

    /// Rolls back and frees what was allocated since; returns those references, which nobody may use any more.
    pub(crate) fn abort(&mut self) -> Result<Vec<Ref>, StoreError> {
        self.store.abort()?;
        let fresh = std::mem::take(&mut self.fresh);
        for at in &fresh {
            self.release(*at)?;
        }
        Ok(fresh)
    }

    /// Clears the transient memory of one kind, of all contexts or of one.
    pub(crate) fn clear_transient(&mut self, clear: Clear, context: Option<Context>) {
        let flag = match clear {
            Clear::Reset => object::CLEAR_ON_RESET,
            Clear::Deselect => object::CLEAR_ON_DESELECT,
        };
        let ranges: Vec<_> = self
            .objects()
            .filter(|o| o.header.flags & flag != 0 && context.is_none_or(|c| self.context_of(o) == c))
            .filter_map(|o| self.ram_range(&o))
            .collect();
        for (offset, len) in ranges {
            self.ram.slice_mut(offset, len).fill(0);
        }
    }

    /// Power off: all transient memory is gone.
    pub(crate) fn clear_all_transient(&mut self) {
        self.ram.clear();
    }
}

fn bytes_of(content: &[u8]) -> u32 {
    u32::try_from(content.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
