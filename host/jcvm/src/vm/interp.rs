//! The instructions (JCVM 7.5).

use jpkise_cap::opcodes::Opcode;

use super::memory::Kind;
use super::{raise, type_fault, Cell, Exception, FaultKind, Outcome, Trap, Value, Vm};
use crate::bits::{Bits, UnsignedBits};
use crate::class::{ClassId, Constant};
use crate::heap::{kind, Ref};
use crate::trace::Step;

/// What comes after an instruction.
pub(super) enum Flow {
    Next,
    Done(Value),
}

impl Vm<'_> {
    /// Runs until the method that was entered last returns or throws.
    pub(super) fn run(&mut self) -> Outcome<Value> {
        loop {
            let at = self.pc;
            if self.budget == 0 {
                self.unwind(FaultKind::InstructionBudget.into(), at)?;
            }
            self.budget -= 1;
            if self.tracing {
                self.show(at);
            }
            match self.step(at) {
                Ok(Flow::Next) => {}
                Ok(Flow::Done(value)) => return Ok(value),
                Err(trap) => self.unwind(trap, at)?,
            }
        }
    }

    #[cold]
    fn show(&self, at: usize) {
        if let Some(tracer) = &self.state.tracer {
            tracer.step(&Step {
                package: self.package.aid,
                offset: u16::try_from(at).unwrap_or(u16::MAX),
                opcode: self.u1(at),
                depth: self.frames.len(),
                applet: self.frame.owner,
            });
        }
    }

    // Arithmetic.

    fn short_op(&mut self, op: impl FnOnce(i16, i16) -> i16) -> Outcome<()> {
        let (right, left) = (self.pop_short()?, self.pop_short()?);
        self.push_short(op(left, right))
    }

    fn int_op(&mut self, op: impl FnOnce(i32, i32) -> i32) -> Outcome<()> {
        let (right, left) = (self.pop_int()?, self.pop_int()?);
        self.push_int(op(left, right))
    }

    fn short_division(&mut self, op: impl FnOnce(i16, i16) -> i16) -> Outcome<()> {
        let (right, left) = (self.pop_short()?, self.pop_short()?);
        if right == 0 {
            return raise(Exception::Arithmetic, 0);
        }
        self.push_short(op(left, right))
    }

    fn int_division(&mut self, op: impl FnOnce(i32, i32) -> i32) -> Outcome<()> {
        let (right, left) = (self.pop_int()?, self.pop_int()?);
        if right == 0 {
            return raise(Exception::Arithmetic, 0);
        }
        self.push_int(op(left, right))
    }

    // Branches.

    /// Goes to a displacement from the instruction. Outside of the code the next fetch finds no instruction.
    #[inline]
    fn branch(&mut self, at: usize, displacement: i16) {
        self.pc = at.wrapping_add_signed(displacement.into());
    }

    #[inline]
    fn branch_if(&mut self, at: usize, wide: bool, condition: bool) {
        if condition {
            let displacement = if wide { self.s2(at + 1) } else { self.s1(at + 1).into() };
            self.branch(at, displacement);
        } else {
            self.pc = at + if wide { 3 } else { 2 };
        }
    }

    #[inline]
    fn if_short(&mut self, at: usize, wide: bool, test: impl FnOnce(i16) -> bool) -> Outcome<()> {
        let value = self.pop_short()?;
        self.branch_if(at, wide, test(value));
        Ok(())
    }

    #[inline]
    fn if_shorts(&mut self, at: usize, wide: bool, test: impl FnOnce(i16, i16) -> bool) -> Outcome<()> {
        let (right, left) = (self.pop_short()?, self.pop_short()?);
        self.branch_if(at, wide, test(left, right));
        Ok(())
    }

    fn if_reference(&mut self, at: usize, wide: bool, null: bool) -> Outcome<()> {
        let value = self.pop_ref()?;
        self.branch_if(at, wide, value.is_null() == null);
        Ok(())
    }

    fn if_references(&mut self, at: usize, wide: bool, equal: bool) -> Outcome<()> {
        let (right, left) = (self.pop_ref()?, self.pop_ref()?);
        self.branch_if(at, wide, (left == right) == equal);
        Ok(())
    }

    fn table_switch(&mut self, at: usize, wide: bool) -> Outcome<()> {
        let (key, low, high, table) = if wide {
            (self.pop_int()?, self.s4(at + 3), self.s4(at + 7), at + 11)
        } else {
            (self.pop_short()?.into(), self.s2(at + 3).into(), self.s2(at + 5).into(), at + 7)
        };
        let displacement = if (low..=high).contains(&key) {
            // Not negative, and below 2^32.
            let index = usize::try_from(i64::from(key) - i64::from(low)).unwrap_or(usize::MAX / 4);
            self.s2(table + 2 * index)
        } else {
            self.s2(at + 1)
        };
        self.branch(at, displacement);
        Ok(())
    }

    fn lookup_switch(&mut self, at: usize, wide: bool) -> Outcome<()> {
        let key = if wide { self.pop_int()? } else { self.pop_short()?.into() };
        let pairs = usize::from(self.u2(at + 3));
        let size = if wide { 6 } else { 4 };
        let mut displacement = self.s2(at + 1);
        for pair in (0..pairs).map(|i| at + 5 + i * size) {
            let candidate = if wide { self.s4(pair) } else { self.s2(pair).into() };
            if candidate == key {
                displacement = self.s2(pair + size - 2);
                break;
            }
        }
        self.branch(at, displacement);
        Ok(())
    }

    /// Runs one instruction.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn step(&mut self, at: usize) -> Outcome<Flow> {
        use Opcode as O;
        let byte = self.package.code.get(at).copied().unwrap_or(0xFF);
        let opcode = Opcode::from_u8(byte).ok_or_else(|| Trap::from(FaultKind::Instruction))?;
        // Most instructions have a fixed length; branches, calls and returns set the pc themselves.
        let mut next = at + 1;
        match opcode {
            O::Nop => {}
            O::AconstNull => self.push_ref(Ref::NULL)?,
            O::SconstM1 | O::Sconst0 | O::Sconst1 | O::Sconst2 | O::Sconst3 | O::Sconst4 | O::Sconst5 => {
                self.push_short(i16::from(byte) - i16::from(O::Sconst0 as u8))?;
            }
            O::IconstM1 | O::Iconst0 | O::Iconst1 | O::Iconst2 | O::Iconst3 | O::Iconst4 | O::Iconst5 => {
                self.push_int(i32::from(byte) - i32::from(O::Iconst0 as u8))?;
            }
            O::Bspush => {
                self.push_short(self.s1(at + 1).into())?;
                next = at + 2;
            }
            O::Sspush => {
                self.push_short(self.s2(at + 1))?;
                next = at + 3;
            }
            O::Bipush => {
                self.push_int(self.s1(at + 1).into())?;
                next = at + 2;
            }
            O::Sipush => {
                self.push_int(self.s2(at + 1).into())?;
                next = at + 3;
            }
            O::Iipush => {
                self.push_int(self.s4(at + 1))?;
                next = at + 5;
            }
            O::Aload => {
                self.load_reference(self.u1(at + 1).into())?;
                next = at + 2;
            }
            O::Sload => {
                self.load_short(self.u1(at + 1).into())?;
                next = at + 2;
            }
            O::Iload => {
                self.load_int(self.u1(at + 1).into())?;
                next = at + 2;
            }
            O::Aload0 | O::Aload1 | O::Aload2 | O::Aload3 => {
                self.load_reference((byte - O::Aload0 as u8).into())?;
            }
            O::Sload0 | O::Sload1 | O::Sload2 | O::Sload3 => {
                self.load_short((byte - O::Sload0 as u8).into())?;
            }
            O::Iload0 | O::Iload1 | O::Iload2 | O::Iload3 => {
                self.load_int((byte - O::Iload0 as u8).into())?;
            }
            O::Aaload => self.load_reference_element()?,
            O::Baload => self.load_byte_element()?,
            O::Saload => self.load_short_element()?,
            O::Iaload => self.load_int_element()?,
            O::Astore => {
                self.store_reference(self.u1(at + 1).into())?;
                next = at + 2;
            }
            O::Sstore => {
                self.store_short(self.u1(at + 1).into())?;
                next = at + 2;
            }
            O::Istore => {
                self.store_int(self.u1(at + 1).into())?;
                next = at + 2;
            }
            O::Astore0 | O::Astore1 | O::Astore2 | O::Astore3 => {
                self.store_reference((byte - O::Astore0 as u8).into())?;
            }
            O::Sstore0 | O::Sstore1 | O::Sstore2 | O::Sstore3 => {
                self.store_short((byte - O::Sstore0 as u8).into())?;
            }
            O::Istore0 | O::Istore1 | O::Istore2 | O::Istore3 => {
                self.store_int((byte - O::Istore0 as u8).into())?;
            }
            O::Aastore => self.array_store(&[kind::REFERENCES])?,
            O::Bastore => self.array_store(&[kind::BYTES, kind::BOOLEANS])?,
            O::Sastore => self.array_store(&[kind::SHORTS])?,
            O::Iastore => self.array_store(&[kind::INTS])?,
            O::Pop => {
                self.pop()?;
            }
            O::Pop2 => {
                self.pop()?;
                self.pop()?;
            }
            O::Dup => self.dup(1)?,
            O::Dup2 => self.dup(2)?,
            O::DupX => {
                self.dup_x(self.u1(at + 1))?;
                next = at + 2;
            }
            O::SwapX => {
                self.swap_x(self.u1(at + 1))?;
                next = at + 2;
            }
            O::Sadd => self.short_op(i16::wrapping_add)?,
            O::Iadd => self.int_op(i32::wrapping_add)?,
            O::Ssub => self.short_op(i16::wrapping_sub)?,
            O::Isub => self.int_op(i32::wrapping_sub)?,
            O::Smul => self.short_op(i16::wrapping_mul)?,
            O::Imul => self.int_op(i32::wrapping_mul)?,
            O::Sdiv => self.short_division(i16::wrapping_div)?,
            O::Idiv => self.int_division(i32::wrapping_div)?,
            O::Srem => self.short_division(i16::wrapping_rem)?,
            O::Irem => self.int_division(i32::wrapping_rem)?,
            O::Sneg => {
                let value = self.pop_short()?;
                self.push_short(value.wrapping_neg())?;
            }
            O::Ineg => {
                let value = self.pop_int()?;
                self.push_int(value.wrapping_neg())?;
            }
            // Shifts of shorts use five bits of the distance and work on the sign-extended value (JCVM 7.5.103).
            O::Sshl => self.short_op(|a, b| (i32::from(a) << (b & 31)) as i16)?,
            O::Sshr => self.short_op(|a, b| (i32::from(a) >> (b & 31)) as i16)?,
            O::Sushr => self.short_op(|a, b| (i32::from(a).unsigned() >> (b & 31)) as i16)?,
            O::Ishl => self.int_op(|a, b| a << (b & 31))?,
            O::Ishr => self.int_op(|a, b| a >> (b & 31))?,
            O::Iushr => self.int_op(|a, b| (a.unsigned() >> (b & 31)).signed())?,
            O::Sand => self.short_op(|a, b| a & b)?,
            O::Iand => self.int_op(|a, b| a & b)?,
            O::Sor => self.short_op(|a, b| a | b)?,
            O::Ior => self.int_op(|a, b| a | b)?,
            O::Sxor => self.short_op(|a, b| a ^ b)?,
            O::Ixor => self.int_op(|a, b| a ^ b)?,
            O::Sinc | O::SincW => {
                let wide = opcode == O::SincW;
                let index = usize::from(self.u1(at + 1));
                let by = if wide { self.s2(at + 2) } else { self.s1(at + 2).into() };
                let value = self.local_short(index)?.wrapping_add(by);
                self.set_local(index, Cell::short(value))?;
                next = at + if wide { 4 } else { 3 };
            }
            O::Iinc | O::IincW => {
                let wide = opcode == O::IincW;
                let index = usize::from(self.u1(at + 1));
                let by = if wide { self.s2(at + 2) } else { self.s1(at + 2).into() };
                let value = self.local_int(index)?.wrapping_add(by.into());
                self.set_local_int(index, value)?;
                next = at + if wide { 4 } else { 3 };
            }
            O::S2b => {
                let value = self.pop_short()?;
                self.push_short((value as i8).into())?;
            }
            O::S2i => {
                let value = self.pop_short()?;
                self.push_int(value.into())?;
            }
            O::I2b => {
                let value = self.pop_int()?;
                self.push_short((value as i8).into())?;
            }
            O::I2s => {
                let value = self.pop_int()?;
                self.push_short(value as i16)?;
            }
            O::Icmp => {
                let (right, left) = (self.pop_int()?, self.pop_int()?);
                self.push_short(left.cmp(&right) as i16)?;
            }
            O::Ifeq | O::IfeqW => return self.go(|vm| vm.if_short(at, byte >= 0x98, |a| a == 0)),
            O::Ifne | O::IfneW => return self.go(|vm| vm.if_short(at, byte >= 0x98, |a| a != 0)),
            O::Iflt | O::IfltW => return self.go(|vm| vm.if_short(at, byte >= 0x98, |a| a < 0)),
            O::Ifge | O::IfgeW => return self.go(|vm| vm.if_short(at, byte >= 0x98, |a| a >= 0)),
            O::Ifgt | O::IfgtW => return self.go(|vm| vm.if_short(at, byte >= 0x98, |a| a > 0)),
            O::Ifle | O::IfleW => return self.go(|vm| vm.if_short(at, byte >= 0x98, |a| a <= 0)),
            O::Ifnull | O::IfnullW => return self.go(|vm| vm.if_reference(at, byte >= 0x98, true)),
            O::Ifnonnull | O::IfnonnullW => return self.go(|vm| vm.if_reference(at, byte >= 0x98, false)),
            O::IfAcmpeq | O::IfAcmpeqW => return self.go(|vm| vm.if_references(at, byte >= 0x98, true)),
            O::IfAcmpne | O::IfAcmpneW => return self.go(|vm| vm.if_references(at, byte >= 0x98, false)),
            O::IfScmpeq | O::IfScmpeqW => return self.go(|vm| vm.if_shorts(at, byte >= 0x98, |a, b| a == b)),
            O::IfScmpne | O::IfScmpneW => return self.go(|vm| vm.if_shorts(at, byte >= 0x98, |a, b| a != b)),
            O::IfScmplt | O::IfScmpltW => return self.go(|vm| vm.if_shorts(at, byte >= 0x98, |a, b| a < b)),
            O::IfScmpge | O::IfScmpgeW => return self.go(|vm| vm.if_shorts(at, byte >= 0x98, |a, b| a >= b)),
            O::IfScmpgt | O::IfScmpgtW => return self.go(|vm| vm.if_shorts(at, byte >= 0x98, |a, b| a > b)),
            O::IfScmple | O::IfScmpleW => return self.go(|vm| vm.if_shorts(at, byte >= 0x98, |a, b| a <= b)),
            O::Goto | O::GotoW => {
                self.branch_if(at, opcode == O::GotoW, true);
                return Ok(Flow::Next);
            }
            O::Jsr => {
                let back = u16::try_from(at + 3).map_err(|_| Trap::from(FaultKind::Instruction))?;
                self.push(Cell::address(back))?;
                self.branch(at, self.s2(at + 1));
                return Ok(Flow::Next);
            }
            O::Ret => {
                let cell = self.local(self.u1(at + 1).into())?;
                let back = cell.as_address().ok_or_else(|| type_fault("ret without a return address"))?;
                self.pc = back.into();
                return Ok(Flow::Next);
            }
            O::Stableswitch => return self.go(|vm| vm.table_switch(at, false)),
            O::Itableswitch => return self.go(|vm| vm.table_switch(at, true)),
            O::Slookupswitch => return self.go(|vm| vm.lookup_switch(at, false)),
            O::Ilookupswitch => return self.go(|vm| vm.lookup_switch(at, true)),
            O::Areturn => {
                let value = self.pop_ref()?;
                return self.leave(Value::Reference(value));
            }
            O::Sreturn => {
                let value = self.pop_short()?;
                return self.leave(Value::Short(value));
            }
            O::Ireturn => {
                let value = self.pop_int()?;
                return self.leave(Value::Int(value));
            }
            O::Return => return self.leave(Value::Void),
            O::GetstaticA | O::GetstaticB | O::GetstaticS | O::GetstaticI => {
                return self.go(|vm| vm.get_static(at, opcode));
            }
            O::PutstaticA | O::PutstaticB | O::PutstaticS | O::PutstaticI => {
                return self.go(|vm| vm.put_static(at, opcode));
            }
            O::GetfieldA | O::GetfieldB | O::GetfieldS | O::GetfieldI => {
                self.get_field_popped(self.u1(at + 1).into(), Kind::from_offset(byte - O::GetfieldA as u8))?;
                next = at + 2;
            }
            O::PutfieldA | O::PutfieldB | O::PutfieldS | O::PutfieldI => {
                self.put_field(false, self.u1(at + 1).into(), Kind::from_offset(byte - O::PutfieldA as u8))?;
                next = at + 2;
            }
            O::GetfieldAW | O::GetfieldBW | O::GetfieldSW | O::GetfieldIW => {
                self.get_field_popped(self.u2(at + 1), Kind::from_offset(byte - O::GetfieldAW as u8))?;
                next = at + 3;
            }
            O::PutfieldAW | O::PutfieldBW | O::PutfieldSW | O::PutfieldIW => {
                self.put_field(false, self.u2(at + 1), Kind::from_offset(byte - O::PutfieldAW as u8))?;
                next = at + 3;
            }
            O::GetfieldAThis | O::GetfieldBThis | O::GetfieldSThis | O::GetfieldIThis => {
                self.get_field_this(
                    self.u1(at + 1).into(),
                    Kind::from_offset(byte - O::GetfieldAThis as u8),
                )?;
                next = at + 2;
            }
            O::PutfieldAThis | O::PutfieldBThis | O::PutfieldSThis | O::PutfieldIThis => {
                self.put_field(
                    true,
                    self.u1(at + 1).into(),
                    Kind::from_offset(byte - O::PutfieldAThis as u8),
                )?;
                next = at + 2;
            }
            O::Invokevirtual => {
                let constant = self.constant(self.u2(at + 1))?;
                self.pc = at + 3;
                self.invoke_virtual(constant)?;
                return Ok(Flow::Next);
            }
            O::Invokespecial => {
                let constant = self.constant(self.u2(at + 1))?;
                self.pc = at + 3;
                self.invoke_special(constant)?;
                return Ok(Flow::Next);
            }
            O::Invokestatic => {
                let Constant::Method(target) = self.constant(self.u2(at + 1))? else {
                    return Err(FaultKind::Constant.into());
                };
                self.pc = at + 3;
                self.invoke(target, None)?;
                return Ok(Flow::Next);
            }
            O::Invokeinterface => {
                let constant = self.constant(self.u2(at + 2))?;
                self.pc = at + 5;
                self.invoke_interface(self.u1(at + 1), constant, self.u1(at + 4))?;
                return Ok(Flow::Next);
            }
            O::New => {
                self.new_instance(self.u2(at + 1))?;
                next = at + 3;
            }
            O::Newarray => {
                self.new_array(self.u1(at + 1))?;
                next = at + 2;
            }
            O::Anewarray => {
                self.new_reference_array(self.u2(at + 1))?;
                next = at + 3;
            }
            O::Arraylength => {
                let value = self.pop_ref()?;
                let len = self.array(value)?.len;
                self.push_short(len.signed())?;
            }
            O::Athrow => {
                let value = self.pop_ref()?;
                let object = self.object(value)?;
                self.check_throw(&object)?;
                let throwable = ClassId { package: crate::class::FIRST_BUILT_IN, index: 1 };
                if !object.is_instance() || !self.is_instance(&object, throwable) {
                    return Err(type_fault("throw of what is no Throwable"));
                }
                return Err(Trap::Throw(value));
            }
            O::Checkcast => {
                let value = self.stack_ref()?;
                if !value.is_null() && !self.cast(at, value)? {
                    return raise(Exception::ClassCast, 0);
                }
                next = at + 4;
            }
            O::Instanceof => {
                let value = self.pop_ref()?;
                let is = !value.is_null() && self.cast(at, value)?;
                self.push_short(is.into())?;
                next = at + 4;
            }
        }
        self.pc = next;
        Ok(Flow::Next)
    }

    /// An instruction that sets the pc itself.
    #[inline]
    fn go(&mut self, work: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<Flow> {
        work(self)?;
        Ok(Flow::Next)
    }
}
