//! Fields, arrays, and the types of objects.

use super::operands::join;
use super::{raise, type_fault, Exception, FaultKind, Outcome, Trap, Vm};
use crate::bits::{Bits, UnsignedBits};
use crate::class::{ClassId, Constant};
use crate::heap::{kind, Array, Object, Ref};
use jpkise_cap::opcodes::Opcode;

impl Vm<'_> {
    // Fields.

    /// The image byte address of a static field.
    pub(super) fn static_address(&self, index: u16) -> Outcome<u32> {
        let Constant::Static { package, offset } = self.constant(index)? else {
            return Err(FaultKind::Constant.into());
        };
        let base = self.state.statics.get(usize::from(package)).copied().unwrap_or(0);
        if base == 0 {
            return Err(FaultKind::Damaged.into());
        }
        Ok(base + u32::from(offset))
    }

    pub(super) fn get_static(&mut self, at: usize, opcode: Opcode) -> Outcome<()> {
        let address = self.static_address(self.u2(at + 1))?;
        let store = &self.state.heap.store;
        match opcode {
            Opcode::GetstaticA => self.push_ref(Ref(store.u16(address)))?,
            Opcode::GetstaticB => self.push_short(store.u8(address).signed().into())?,
            Opcode::GetstaticS => self.push_short(store.u16(address).signed())?,
            _ => self.push_int(store.u32(address).signed())?,
        }
        self.pc = at + 3;
        Ok(())
    }

    pub(super) fn put_static(&mut self, at: usize, opcode: Opcode) -> Outcome<()> {
        let address = self.static_address(self.u2(at + 1))?;
        let bytes = match opcode {
            Opcode::PutstaticA => {
                let value = self.pop_ref()?;
                self.check_storable(self.state.heap.object(value).as_ref())?;
                value.0.to_be_bytes().to_vec()
            }
            Opcode::PutstaticB => vec![self.pop_short()?.to_be_bytes()[1]],
            Opcode::PutstaticS => self.pop_short()?.to_be_bytes().to_vec(),
            _ => self.pop_int()?.to_be_bytes().to_vec(),
        };
        self.state.heap.store.write(address, &bytes)?;
        self.pc = at + 3;
        Ok(())
    }

    /// The object and cell that a field instruction means.
    #[inline]
    pub(super) fn field(&self, object: Ref, index: u16) -> Outcome<(Object, u16)> {
        let Constant::Field { class, cell } = self.constant(index)? else {
            return Err(FaultKind::Constant.into());
        };
        let object = self.object(object)?;
        self.check_field_access(&object)?;
        if !object.is_instance() || (ClassId::of(&object) != class && !self.is_instance(&object, class)) {
            return Err(type_fault("field of an object of another class"));
        }
        Ok((object, cell))
    }

    #[inline]
    pub(super) fn get_field(&mut self, object: Ref, index: u16, kind: Kind) -> Outcome<()> {
        let (object, cell) = self.field(object, index)?;
        let value = self.state.heap.cell(&object, cell);
        match kind {
            Kind::Reference => self.push_ref(Ref(value)),
            Kind::Byte => self.push_short(value.to_be_bytes()[1].signed().into()),
            Kind::Short => self.push_short(value.signed()),
            Kind::Int => {
                let low = self.state.heap.cell(&object, cell + 1);
                self.push_int(join(value, low))
            }
        }
    }

    #[inline]
    pub(super) fn put_field(&mut self, this: bool, index: u16, kind: Kind) -> Outcome<()> {
        let value: [u8; 4] = match kind {
            Kind::Reference => {
                let value = self.pop_ref()?;
                self.check_storable(self.state.heap.object(value).as_ref())?;
                u32::from(value.0).to_be_bytes()
            }
            Kind::Byte => i32::from(self.pop_short()?.to_be_bytes()[1].signed()).to_be_bytes(),
            Kind::Short => i32::from(self.pop_short()?).to_be_bytes(),
            Kind::Int => self.pop_int()?.to_be_bytes(),
        };
        let object = if this { self.this_ref()? } else { self.pop_ref()? };
        let (object, cell) = self.field(object, index)?;
        let bytes = if kind == Kind::Int { &value[..] } else { &value[2..] };
        Ok(self.state.heap.set_cells(&object, cell, bytes)?)
    }

    #[inline]
    pub(super) fn this_ref(&self) -> Outcome<Ref> {
        self.local(0)?.as_reference().ok_or_else(|| type_fault("this expected"))
    }

    pub(super) fn get_field_popped(&mut self, index: u16, kind: Kind) -> Outcome<()> {
        let object = self.pop_ref()?;
        self.get_field(object, index, kind)
    }

    pub(super) fn get_field_this(&mut self, index: u16, kind: Kind) -> Outcome<()> {
        let object = self.this_ref()?;
        self.get_field(object, index, kind)
    }

    // Arrays.

    #[inline]
    pub(super) fn array(&self, at: Ref) -> Outcome<Array> {
        let object = self.object(at)?;
        self.check_array_access(&object)?;
        self.state.heap.array(object).ok_or_else(|| type_fault("array expected"))
    }

    #[inline]
    pub(super) fn element(&mut self) -> Outcome<(Array, u16)> {
        let index = self.pop_short()?;
        let array = self.array(self.stack_ref()?)?;
        self.sp -= 1;
        match u16::try_from(index) {
            Ok(index) if index < array.len => Ok((array, index)),
            _ => raise(Exception::ArrayIndex, 0),
        }
    }

    /// The reference on top, not popped.
    #[inline]
    pub(super) fn stack_ref(&self) -> Outcome<Ref> {
        if self.sp <= self.frame.floor {
            return Err(FaultKind::OperandStack.into());
        }
        self.stack[self.sp - 1].as_reference().ok_or_else(|| type_fault("reference expected"))
    }

    /// The element that a load instruction means; `takes` says of which kinds of array.
    #[inline]
    fn loaded(&mut self, takes: impl FnOnce(u8) -> bool) -> Outcome<u32> {
        let (array, index) = self.element()?;
        if !takes(array.kind()) {
            return Err(type_fault("array of another type"));
        }
        Ok(self.state.heap.load(&array, index))
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn load_byte_element(&mut self) -> Outcome<()> {
        let bits = self.loaded(|kind| matches!(kind, kind::BYTES | kind::BOOLEANS))?;
        self.push_short((bits as u8).signed().into())
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn load_short_element(&mut self) -> Outcome<()> {
        let bits = self.loaded(|kind| kind == kind::SHORTS)?;
        self.push_short((bits as u16).signed())
    }

    pub(super) fn load_int_element(&mut self) -> Outcome<()> {
        let bits = self.loaded(|kind| kind == kind::INTS)?;
        self.push_int(bits.signed())
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn load_reference_element(&mut self) -> Outcome<()> {
        let bits = self.loaded(|kind| kind == kind::REFERENCES)?;
        self.push_ref(Ref(bits as u16))
    }

    pub(super) fn array_store(&mut self, kinds: &[u8]) -> Outcome<()> {
        let bits = match kinds[0] {
            kind::REFERENCES => self.pop_ref()?.0.into(),
            kind::INTS => self.pop_int()?.unsigned(),
            _ => i32::from(self.pop_short()?).unsigned(),
        };
        let (array, index) = self.element()?;
        if !kinds.contains(&array.kind()) {
            return Err(type_fault("array of another type"));
        }
        if array.kind() == kind::REFERENCES {
            self.check_element(&array, Ref(u16::try_from(bits).unwrap_or(0)))?;
        }
        Ok(self.state.heap.set(&array, index, bits)?)
    }

    /// What aastore checks of the value (JCVM 7.5.2, JCRE 6.2.8.2).
    pub(super) fn check_element(&self, array: &Array, value: Ref) -> Outcome<()> {
        let Some(object) = self.state.heap.object(value) else { return Ok(()) };
        self.check_storable(Some(&object))?;
        let element = ClassId::of(&array.object);
        if self.is_instance(&object, element) {
            Ok(())
        } else {
            raise(Exception::ArrayStore, 0)
        }
    }

    pub(super) fn length_arg(&mut self) -> Outcome<u16> {
        u16::try_from(self.pop_short()?).map_err(|_| Trap::Raise(Exception::NegativeArraySize, 0))
    }

    pub(super) fn new_array(&mut self, atype: u8) -> Outcome<()> {
        let len = self.length_arg()?;
        let kind = match atype {
            10..=13 => atype - 8,
            _ => return Err(FaultKind::Instruction.into()),
        };
        let owner = self.owner();
        let array = self.state.heap.new_array(owner, kind, len, (0, 0))?;
        self.push_ref(array)
    }

    pub(super) fn new_reference_array(&mut self, index: u16) -> Outcome<()> {
        let len = self.length_arg()?;
        let Constant::Class(class) = self.constant(index)? else { return Err(FaultKind::Constant.into()) };
        let owner = self.owner();
        let element = (class.package, class.index);
        let array = self.state.heap.new_array(owner, kind::REFERENCES, len, element)?;
        self.push_ref(array)
    }

    pub(super) fn new_instance(&mut self, index: u16) -> Outcome<()> {
        let Constant::Class(id) = self.constant(index)? else { return Err(FaultKind::Constant.into()) };
        let class = self.class(id)?;
        if class.is_interface || class.is_abstract {
            return Err(FaultKind::Constant.into());
        }
        let cells = class.cells;
        let owner = self.owner();
        let object = self.state.heap.new_instance(owner, id.package, id.index, cells, 0)?;
        self.push_ref(object)
    }

    /// Whether the object is of the type that checkcast and instanceof name (JCVM 7.5.15).
    pub(super) fn has_type(&self, object: &Object, atype: u8, class: Option<ClassId>) -> bool {
        match (atype, class) {
            (10..=13, _) => object.header.kind == atype - 8,
            (14, Some(element)) => {
                object.header.kind == kind::REFERENCES
                    && self
                        .state
                        .class(ClassId::of(object))
                        .is_some_and(|c| c.is(element) || is_object(element))
            }
            (_, Some(class)) => self.is_instance(object, class),
            _ => false,
        }
    }

    pub(super) fn cast(&mut self, at: usize, value: Ref) -> Outcome<bool> {
        let atype = self.u1(at + 1);
        let class = match atype {
            0 | 14 => match self.constant(self.u2(at + 2))? {
                Constant::Class(class) => Some(class),
                _ => return Err(FaultKind::Constant.into()),
            },
            _ => None,
        };
        let object = self.object(value)?;
        self.check_cast(&object, if atype == 0 { class } else { None })?;
        Ok(self.has_type(&object, atype, class))
    }
}

/// The four field types, in the order of the instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reference,
    Byte,
    Short,
    Int,
}

impl Kind {
    #[inline]
    pub(super) fn from_offset(offset: u8) -> Self {
        match offset {
            0 => Self::Reference,
            1 => Self::Byte,
            2 => Self::Short,
            _ => Self::Int,
        }
    }
}

fn is_object(id: ClassId) -> bool {
    id.package == crate::class::FIRST_BUILT_IN && id.index == 0
}
