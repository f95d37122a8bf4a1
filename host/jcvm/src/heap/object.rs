//! What a block holds, and access to it.
//!
//! ```text
//! u2 size in units of 8 bytes, header included   u1 kind   u1 owner      <- one cell: the block exists
//! u2 class index, or that of the elements         u1 package  u1 flags
//! instance          cells of 16 bits
//! array             u2 length  elements
//! transient         u2 length  u4 offset in transient memory
//! ```

use super::{Clear, Heap, Owner};
use crate::store::StoreError;

/// Bytes of a block's header.
pub(super) const HEADER: u32 = 8;

/// Block kinds.
pub(crate) mod kind {
    pub(crate) const FREE: u8 = 0;
    pub(crate) const INSTANCE: u8 = 1;
    // Arrays; the numbers are those of newarray minus 8, references behind them.
    pub(crate) const BOOLEANS: u8 = 2;
    pub(crate) const BYTES: u8 = 3;
    pub(crate) const SHORTS: u8 = 4;
    pub(crate) const INTS: u8 = 5;
    pub(crate) const REFERENCES: u8 = 6;
    /// A load file.
    pub(crate) const PACKAGE: u8 = 16;
    /// Static fields of a package: u2 count of references, image.
    pub(crate) const STATICS: u8 = 17;
    /// An applet instance's record.
    pub(crate) const APPLET: u8 = 18;
    /// References to the runtime's own objects.
    pub(crate) const SYSTEM: u8 = 19;
}

/// Header flags.
pub(super) const CLEAR_ON_RESET: u8 = 0x01;
pub(super) const CLEAR_ON_DESELECT: u8 = 0x02;
/// An entry point of the runtime, permanent unless [`TEMPORARY`] (JCRE 6.2.1).
pub(crate) const ENTRY_POINT: u8 = 0x04;
/// References to it must not be stored: temporary entry points and global arrays.
pub(crate) const TEMPORARY: u8 = 0x08;
/// A global array (JCRE 6.2.2).
pub(crate) const GLOBAL: u8 = 0x10;
/// Elements are arrays of the element class's kind: never, Java Card has none. Instances only: content in RAM.
const TRANSIENT: u8 = CLEAR_ON_RESET | CLEAR_ON_DESELECT;

/// A reference: 0 is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Ref(pub(crate) u16);

impl Ref {
    pub(crate) const NULL: Self = Self(0);

    pub(crate) fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) size: u16,
    pub(crate) kind: u8,
    pub(crate) owner: Owner,
    /// Class index of an instance, of an array's elements; slot or count of other kinds.
    pub(crate) aux: u16,
    pub(crate) package: u8,
    pub(crate) flags: u8,
}

impl Header {
    #[inline]
    pub(super) fn parse(b: [u8; 8]) -> Self {
        Self {
            size: u16::from_be_bytes([b[0], b[1]]),
            kind: b[2],
            owner: b[3],
            aux: u16::from_be_bytes([b[4], b[5]]),
            package: b[6],
            flags: b[7],
        }
    }

    pub(super) fn bytes(self) -> [u8; 8] {
        let ([a, b], [c, d]) = (self.size.to_be_bytes(), self.aux.to_be_bytes());
        [a, b, self.kind, self.owner, c, d, self.package, self.flags]
    }
}

/// Bytes an element takes; instances made of cells count as shorts.
pub(super) fn element_size(kind: u8) -> usize {
    match kind {
        kind::BOOLEANS | kind::BYTES => 1,
        kind::INTS => 4,
        _ => 2,
    }
}

/// [`element_size`] as a distance.
fn width(kind: u8) -> u32 {
    match kind {
        kind::BOOLEANS | kind::BYTES => 1,
        kind::INTS => 4,
        _ => 2,
    }
}

/// A block and its header, as of the moment it was looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) at: Ref,
    pub(super) address: u32,
    pub(crate) header: Header,
}

impl Object {
    pub(crate) fn is_array(&self) -> bool {
        (kind::BOOLEANS..=kind::REFERENCES).contains(&self.header.kind)
    }

    pub(crate) fn is_instance(&self) -> bool {
        self.header.kind == kind::INSTANCE
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.header.flags & TRANSIENT != 0
    }

    pub(crate) fn clears_on_deselect(&self) -> bool {
        self.header.flags & CLEAR_ON_DESELECT != 0
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.header.flags & flag != 0
    }

    /// Address of the first byte behind the header.
    pub(crate) fn body(&self) -> u32 {
        self.address + HEADER
    }

    /// Bytes of the body, with the padding at its end.
    pub(crate) fn body_len(&self) -> usize {
        usize::from(self.header.size) * 8 - HEADER as usize
    }
}

/// Where elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Address in the store.
    Persistent(u32),
    /// Offset in transient memory.
    Transient(u32),
}

/// An array, ready for access to its elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Array {
    pub(crate) object: Object,
    pub(crate) len: u16,
    pub(crate) place: Place,
}

impl Array {
    pub(crate) fn kind(&self) -> u8 {
        self.object.header.kind
    }

    /// Whether `offset..offset + len` lies in it.
    pub(crate) fn holds(&self, offset: i32, len: i32) -> bool {
        offset >= 0 && len >= 0 && offset + len <= i32::from(self.len)
    }
}

impl Heap {
    /// The array behind a looked-up object; `None` when it is none.
    #[inline]
    pub(crate) fn array(&self, object: Object) -> Option<Array> {
        if !object.is_array() {
            return None;
        }
        let body = object.body();
        let len = self.store.u16(body);
        let place = if object.is_transient() {
            Place::Transient(self.store.u32(body + 2))
        } else {
            // A damaged image may state a length beyond the block.
            let fits = usize::from(len) * element_size(object.header.kind) + 2 <= object.body_len();
            if !fits {
                return None;
            }
            Place::Persistent(body + 2)
        };
        Some(Array { object, len, place })
    }

    /// Range in transient memory of an object whose content is there.
    pub(super) fn ram_range(&self, object: &Object) -> Option<(u32, usize)> {
        if !object.is_transient() {
            return None;
        }
        let len = usize::from(self.store.u16(object.body()));
        Some((self.store.u32(object.body() + 2), len * element_size(object.header.kind)))
    }

    /// When an object's content in transient memory is cleared, and how long it is.
    pub(crate) fn transient_size(&self, object: &Object) -> Option<(Clear, u32)> {
        let (_, len) = self.ram_range(object)?;
        let clear = if object.clears_on_deselect() { Clear::Deselect } else { Clear::Reset };
        Some((clear, u32::try_from(len).unwrap_or(u32::MAX)))
    }

    /// Elements as bytes, big-endian; the caller has checked the range (elements, not bytes).
    pub(crate) fn read_elements(&self, array: &Array, from: usize, count: usize) -> Vec<u8> {
        let size = element_size(array.kind());
        let mut out = vec![0; count * size];
        self.read_into(array, from * size, &mut out);
        out
    }

    /// Copies bytes of the elements out.
    pub(crate) fn read_into(&self, array: &Array, byte_offset: usize, out: &mut [u8]) {
        let at = u32::try_from(byte_offset).unwrap_or(u32::MAX);
        match array.place {
            Place::Persistent(address) => self.store.read(address.saturating_add(at), out),
            Place::Transient(offset) => {
                let from = self.ram.slice(offset.saturating_add(at), out.len());
                if from.len() == out.len() {
                    out.copy_from_slice(from);
                }
            }
        }
    }

    /// One element as its bits, not sign-extended; the caller has checked the index.
    #[inline]
    pub(crate) fn load(&self, array: &Array, index: u16) -> u32 {
        let size = element_size(array.kind());
        let at = u32::from(index) * width(array.kind());
        match array.place {
            Place::Persistent(address) => match size {
                1 => self.store.u8(address + at).into(),
                2 => self.store.u16(address + at).into(),
                _ => self.store.u32(address + at),
            },
            Place::Transient(offset) => {
                self.ram.slice(offset + at, size).iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
            }
        }
    }

    /// Sets one element; a persistent one in the open transaction.
    #[inline]
    pub(crate) fn set(&mut self, array: &Array, index: u16, value: u32) -> Result<(), StoreError> {
        let size = element_size(array.kind());
        let at = u32::from(index) * width(array.kind());
        let bytes = value.to_be_bytes();
        let bytes = &bytes[4 - size..];
        match array.place {
            Place::Persistent(address) => self.store.write(address + at, bytes),
            Place::Transient(offset) => {
                let to = self.ram.slice_mut(offset + at, size);
                if to.len() == size {
                    to.copy_from_slice(bytes);
                }
                Ok(())
            }
        }
    }

    /// Writes bytes over elements: all or none after a power cut when `atomic`, else one by one and past any open
    /// transaction.
    pub(crate) fn write_bytes(
        &mut self,
        array: &Array,
        byte_offset: usize,
        bytes: &[u8],
        atomic: bool,
    ) -> Result<(), StoreError> {
        let at = u32::try_from(byte_offset).unwrap_or(u32::MAX);
        match array.place {
            Place::Persistent(address) if atomic => self.store.write_atomic(address + at, bytes),
            Place::Persistent(address) => self.store.put_each(address + at, bytes),
            Place::Transient(offset) => {
                let to = self.ram.slice_mut(offset + at, bytes.len());
                if to.len() == bytes.len() {
                    to.copy_from_slice(bytes);
                }
                Ok(())
            }
        }
    }

    /// [`Self::write_bytes`] with bytes that are all the same.
    pub(crate) fn fill(
        &mut self,
        array: &Array,
        byte_offset: usize,
        count: usize,
        value: u8,
        atomic: bool,
    ) -> Result<(), StoreError> {
        match array.place {
            Place::Persistent(_) => self.write_bytes(array, byte_offset, &vec![value; count], atomic),
            Place::Transient(offset) => {
                let at = u32::try_from(byte_offset).unwrap_or(u32::MAX);
                self.ram.slice_mut(offset.saturating_add(at), count).fill(value);
                Ok(())
            }
        }
    }

    /// Writes bytes at an array's start and zeros behind them; what does not fit is dropped.
    pub(crate) fn overwrite(&mut self, array: &Array, bytes: &[u8]) -> Result<(), StoreError> {
        let size = usize::from(array.len) * element_size(array.kind());
        let bytes = &bytes[..bytes.len().min(size)];
        match array.place {
            Place::Persistent(address) => {
                let zeros = vec![0; size - bytes.len()];
                self.store.put_each(address, &[bytes, &zeros].concat())
            }
            Place::Transient(offset) => {
                let to = self.ram.slice_mut(offset, size);
                if let Some((start, rest)) = to.split_at_mut_checked(bytes.len()) {
                    start.copy_from_slice(bytes);
                    rest.fill(0);
                }
                Ok(())
            }
        }
    }

    /// Writes bytes in cells of four (the runtime's own arrays), as part of the open transaction when `logged`.
    pub(crate) fn write_words(
        &mut self,
        array: &Array,
        byte_offset: usize,
        bytes: &[u8],
        logged: bool,
    ) -> Result<(), StoreError> {
        match array.place {
            Place::Persistent(address) if !logged => {
                self.store.put_all(address + u32::try_from(byte_offset).unwrap_or(u32::MAX), bytes)
            }
            _ => self.write_bytes(array, byte_offset, bytes, logged),
        }
    }

    /// A cell of an instance; the caller has checked the index against the class.
    #[inline]
    pub(crate) fn cell(&self, object: &Object, index: u16) -> u16 {
        match self.cell_place(object, index) {
            Place::Persistent(address) => self.store.u16(address),
            Place::Transient(offset) => match *self.ram.slice(offset, 2) {
                [high, low] => u16::from_be_bytes([high, low]),
                _ => 0,
            },
        }
    }

    /// Sets cells of an instance (one, or two for an int) in the open transaction.
    #[inline]
    pub(crate) fn set_cells(&mut self, object: &Object, index: u16, value: &[u8]) -> Result<(), StoreError> {
        match self.cell_place(object, index) {
            Place::Persistent(address) => self.store.write(address, value),
            Place::Transient(offset) => {
                let to = self.ram.slice_mut(offset, value.len());
                if to.len() == value.len() {
                    to.copy_from_slice(value);
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn cell_place(&self, object: &Object, index: u16) -> Place {
        if object.is_transient() {
            Place::Transient(self.store.u32(object.body() + 2) + 2 * u32::from(index))
        } else {
            Place::Persistent(object.body() + 2 * u32::from(index))
        }
    }

    /// Number of cells an instance's block has room for; what a class says is at most that in an undamaged image.
    pub(crate) fn cells(&self, object: &Object) -> u16 {
        if object.is_transient() {
            self.store.u16(object.body())
        } else {
            u16::try_from(object.body_len() / 2).unwrap_or(u16::MAX)
        }
    }
}
