//! Method component (JCVM 6.9): tag 7.
//!
//! ```text
//! u1 handler_count  { u2 start  u2 stop_bit(1)|active_length(15)  u2 handler  u2 catch_type_index }[]  method_info[]
//! method_info   u1 flags|max_stack  u1 nargs|max_locals  code[]            (flags 0 or 4)
//!               u1 flags|0  u1 max_stack  u1 nargs  u1 max_locals  code[]  (flag 8, extended)
//! ```
//!
//! The component alone does not say where one method ends and the next begins; Descriptor does. So the methods stay
//! one stretch of bytes, addressed as other components address them: by offset in the info.

use super::ComponentTag;
use crate::bytes::{Reader, Writer};
use crate::error::{CapError, FormatRule};

/// ACC_EXTENDED: four-byte header.
pub const METHOD_ACC_EXTENDED: u8 = 8;
/// ACC_ABSTRACT: no code.
pub const METHOD_ACC_ABSTRACT: u8 = 4;

/// Method component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MethodComponent {
    /// Exception handlers of all methods, by ascending handler offset.
    pub handlers: Vec<ExceptionHandler>,
    /// Everything behind the handler table.
    pub methods: Vec<u8>,
}

/// exception_handler_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExceptionHandler {
    /// First protected byte, as offset in the info.
    pub start_offset: u16,
    /// No later entry's range encloses this one's.
    pub stop: bool,
    /// Protected bytes.
    pub active_length: u16,
    /// Where the handler begins, as offset in the info.
    pub handler_offset: u16,
    /// Constant pool index of the caught class; 0 catches everything.
    pub catch_type_index: u16,
}

/// method_header_info or extended_method_header_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodHeader {
    /// Sum of `METHOD_ACC_…`.
    pub flags: u8,
    /// Greatest operand stack depth in 16-bit cells.
    pub max_stack: u8,
    /// Cells of the parameters, `this` included.
    pub nargs: u8,
    /// Cells of local variables other than parameters.
    pub max_locals: u8,
}

impl MethodHeader {
    /// Bytes of the header: 2, or 4 when extended.
    pub fn size(self) -> usize {
        if self.is_extended() {
            4
        } else {
            2
        }
    }

    /// Whether the four-byte form is used.
    pub fn is_extended(self) -> bool {
        self.flags & METHOD_ACC_EXTENDED != 0
    }

    /// Whether there is no code.
    pub fn is_abstract(self) -> bool {
        self.flags & METHOD_ACC_ABSTRACT != 0
    }

    /// The bytes; the padding nibble of the extended form is 0.
    pub fn write(self) -> Vec<u8> {
        if self.is_extended() {
            vec![self.flags << 4, self.max_stack, self.nargs, self.max_locals]
        } else {
            vec![self.flags << 4 | self.max_stack & 15, self.nargs << 4 | self.max_locals & 15]
        }
    }
}

impl MethodComponent {
    /// Offset in the info at which the first method begins.
    pub fn first_method_offset(&self) -> usize {
        1 + 8 * self.handlers.len()
    }

    /// Length of the info.
    pub fn info_len(&self) -> usize {
        self.first_method_offset() + self.methods.len()
    }

    /// The bytes from this offset in the info on; `None` in the handler table or behind the end.
    pub fn bytes_at(&self, offset: u16) -> Option<&[u8]> {
        let at = usize::from(offset).checked_sub(self.first_method_offset())?;
        self.methods.get(at..)
    }

    /// The method header at this offset.
    pub fn header_at(&self, offset: u16) -> Result<MethodHeader, CapError> {
        let mut r = Reader::new(ComponentTag::Method, self.bytes_at(offset).unwrap_or(&[]));
        let mut read = || {
            let first = r.u1()?;
            let flags = first >> 4;
            if flags & METHOD_ACC_EXTENDED != 0 {
                return Ok(MethodHeader { flags, max_stack: r.u1()?, nargs: r.u1()?, max_locals: r.u1()? });
            }
            let second = r.u1()?;
            Ok(MethodHeader { flags, max_stack: first & 15, nargs: second >> 4, max_locals: second & 15 })
        };
        read().map_err(|_: CapError| CapError::Format {
            component: ComponentTag::Method,
            offset: offset.into(),
            rule: FormatRule::Truncated { needed: 4, left: self.info_len().saturating_sub(offset.into()) },
        })
    }

    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Method, info);
        let count = r.u1()?;
        let handlers = r.many(count.into(), |r| {
            let start_offset = r.u2()?;
            let bitfield = r.u2()?;
            Ok(ExceptionHandler {
                start_offset,
                stop: bitfield & 0x8000 != 0,
                active_length: bitfield & 0x7FFF,
                handler_offset: r.u2()?,
                catch_type_index: r.u2()?,
            })
        })?;
        Ok(Self { handlers, methods: r.rest().to_vec() })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count1(self.handlers.len());
        for h in &self.handlers {
            w.u2(h.start_offset);
            w.u2(h.active_length & 0x7FFF | if h.stop { 0x8000 } else { 0 });
            w.u2(h.handler_offset);
            w.u2(h.catch_type_index);
        }
        w.bytes(&self.methods);
        w.0
    }
}
