//! Operands of instructions, the operand stack and local variables.

use super::{type_fault, Cell, FaultKind, Outcome, Value, Vm};
use crate::bits::Bits;
use crate::class::Constant;
use crate::heap::Ref;

impl Vm<'_> {
    // Operands. Behind the end of the code they read as 0: the linker has seen to it that no instruction gets there.

    #[inline]
    pub(super) fn u1(&self, at: usize) -> u8 {
        self.package.code.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn s1(&self, at: usize) -> i8 {
        self.u1(at).signed()
    }

    #[inline]
    pub(super) fn u2(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.u1(at), self.u1(at + 1)])
    }

    #[inline]
    pub(super) fn s2(&self, at: usize) -> i16 {
        self.u2(at).signed()
    }

    pub(super) fn s4(&self, at: usize) -> i32 {
        i32::from_be_bytes([self.u1(at), self.u1(at + 1), self.u1(at + 2), self.u1(at + 3)])
    }

    #[inline]
    pub(super) fn constant(&self, index: u16) -> Outcome<Constant> {
        self.package.constants.get(usize::from(index)).copied().ok_or_else(|| FaultKind::Constant.into())
    }

    // The operand stack.

    #[inline]
    pub(super) fn push(&mut self, cell: Cell) -> Outcome<()> {
        if self.sp >= self.frame.limit {
            return Err(FaultKind::OperandStack.into());
        }
        self.stack[self.sp] = cell;
        self.sp += 1;
        Ok(())
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Outcome<Cell> {
        if self.sp <= self.frame.floor {
            return Err(FaultKind::OperandStack.into());
        }
        self.sp -= 1;
        Ok(self.stack[self.sp])
    }

    #[inline]
    pub(super) fn push_short(&mut self, value: i16) -> Outcome<()> {
        self.push(Cell::short(value))
    }

    #[inline]
    pub(super) fn pop_short(&mut self) -> Outcome<i16> {
        self.pop()?.as_short().ok_or_else(|| type_fault("short expected"))
    }

    pub(super) fn push_int(&mut self, value: i32) -> Outcome<()> {
        let [a, b, c, d] = value.to_be_bytes();
        self.push(Cell::half(u16::from_be_bytes([a, b])))?;
        self.push(Cell::half(u16::from_be_bytes([c, d])))
    }

    pub(super) fn pop_int(&mut self) -> Outcome<i32> {
        let (low, high) = (self.pop()?.as_half(), self.pop()?.as_half());
        match (high, low) {
            (Some(high), Some(low)) => Ok(join(high, low)),
            _ => Err(type_fault("int expected")),
        }
    }

    #[inline]
    pub(super) fn push_ref(&mut self, value: Ref) -> Outcome<()> {
        self.push(Cell::reference(value))
    }

    #[inline]
    pub(super) fn pop_ref(&mut self) -> Outcome<Ref> {
        self.pop()?.as_reference().ok_or_else(|| type_fault("reference expected"))
    }

    pub(super) fn push_value(&mut self, value: Value) -> Outcome<()> {
        match value {
            Value::Void => Ok(()),
            Value::Short(value) => self.push_short(value),
            Value::Int(value) => self.push_int(value),
            Value::Reference(value) => self.push_ref(value),
        }
    }

    // Local variables.

    #[inline]
    pub(super) fn local(&self, index: usize) -> Outcome<Cell> {
        if index >= self.frame.locals {
            return Err(FaultKind::Local.into());
        }
        Ok(self.stack[self.frame.base + index])
    }

    #[inline]
    pub(super) fn set_local(&mut self, index: usize, cell: Cell) -> Outcome<()> {
        if index >= self.frame.locals {
            return Err(FaultKind::Local.into());
        }
        self.stack[self.frame.base + index] = cell;
        Ok(())
    }

    pub(super) fn local_short(&self, index: usize) -> Outcome<i16> {
        self.local(index)?.as_short().ok_or_else(|| type_fault("short variable expected"))
    }

    pub(super) fn local_int(&self, index: usize) -> Outcome<i32> {
        match (self.local(index)?.as_half(), self.local(index + 1)?.as_half()) {
            (Some(high), Some(low)) => Ok(join(high, low)),
            _ => Err(type_fault("int variable expected")),
        }
    }

    pub(super) fn set_local_int(&mut self, index: usize, value: i32) -> Outcome<()> {
        let [a, b, c, d] = value.to_be_bytes();
        self.set_local(index, Cell::half(u16::from_be_bytes([a, b])))?;
        self.set_local(index + 1, Cell::half(u16::from_be_bytes([c, d])))
    }

    pub(super) fn load_reference(&mut self, index: usize) -> Outcome<()> {
        let cell = self.local(index)?;
        cell.as_reference().ok_or_else(|| type_fault("reference variable expected"))?;
        self.push(cell)
    }

    pub(super) fn load_short(&mut self, index: usize) -> Outcome<()> {
        let value = self.local_short(index)?;
        self.push_short(value)
    }

    pub(super) fn load_int(&mut self, index: usize) -> Outcome<()> {
        let value = self.local_int(index)?;
        self.push_int(value)
    }

    /// astore takes what jsr has pushed as well.
    pub(super) fn store_reference(&mut self, index: usize) -> Outcome<()> {
        let cell = self.pop()?;
        if cell.as_half().is_some() {
            return Err(type_fault("reference expected"));
        }
        self.set_local(index, cell)
    }

    pub(super) fn store_short(&mut self, index: usize) -> Outcome<()> {
        let value = self.pop_short()?;
        self.set_local(index, Cell::short(value))
    }

    pub(super) fn store_int(&mut self, index: usize) -> Outcome<()> {
        let value = self.pop_int()?;
        self.set_local_int(index, value)
    }

    /// dup_x: copies the top m cells to n cells below the top.
    pub(super) fn dup_x(&mut self, operand: u8) -> Outcome<()> {
        let (m, n) = (usize::from(operand >> 4), usize::from(operand & 15));
        let below = if n == 0 { m } else { n };
        let held = self.sp - self.frame.floor;
        if m == 0 || below < m || below > held || self.sp + m > self.frame.limit {
            return Err(FaultKind::OperandStack.into());
        }
        let top: Vec<Cell> = self.stack[self.sp - m..self.sp].to_vec();
        let place = self.sp - below;
        self.stack.copy_within(place..self.sp, place + m);
        self.stack[place..place + m].copy_from_slice(&top);
        self.sp += m;
        Ok(())
    }

    /// swap_x: exchanges the top m cells with the n cells below.
    pub(super) fn swap_x(&mut self, operand: u8) -> Outcome<()> {
        let (m, n) = (usize::from(operand >> 4), usize::from(operand & 15));
        let held = self.sp - self.frame.floor;
        if m == 0 || n == 0 || m + n > held {
            return Err(FaultKind::OperandStack.into());
        }
        self.stack[self.sp - m - n..self.sp].rotate_left(n);
        Ok(())
    }

    pub(super) fn dup(&mut self, cells: usize) -> Outcome<()> {
        if self.sp - self.frame.floor < cells {
            return Err(FaultKind::OperandStack.into());
        }
        for _ in 0..cells {
            self.push(self.stack[self.sp - cells])?;
        }
        Ok(())
    }
}

#[inline]
pub(super) fn join(high: u16, low: u16) -> i32 {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    i32::from_be_bytes([a, b, c, d])
}
