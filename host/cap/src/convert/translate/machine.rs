//! The operand stack and the local variables while a method is interpreted.

use super::flow::{number, range_of, Local, Result, State, Step, Value};
use super::operands::Operand;
use super::range::Range;
use crate::classfile::JavaType;
use crate::convert::diagnostics::ConvertRule;

/// One instruction's view of the state.
pub(super) struct Machine<'a> {
    pub(super) at: usize,
    pub(super) state: &'a mut State,
    pub(super) step: &'a mut Step,
    pub(super) max_stack: usize,
}

impl Machine<'_> {
    pub(super) fn malformed<T>(&self, what: &'static str) -> Result<T> {
        Err((self.at, ConvertRule::Malformed(what)))
    }

    pub(super) fn push(&mut self, value: Value) -> Result<()> {
        if self.state.stack.len() >= self.max_stack {
            return self.malformed("operand stack overflows");
        }
        self.step.result = Some(value);
        self.state.stack.push(value);
        Ok(())
    }

    pub(super) fn push_int(&mut self, range: Range) -> Result<()> {
        self.push(Value::Int { node: number(self.at), range, local: None })
    }

    pub(super) fn push_ref(&mut self) -> Result<()> {
        self.push(Value::Ref { node: number(self.at), this: false })
    }

    pub(super) fn push_type(&mut self, ty: &JavaType) -> Result<()> {
        if ty.is_reference() {
            self.push_ref()
        } else {
            self.push_int(range_of(ty))
        }
    }

    pub(super) fn push_field(&mut self, operand: &Operand) -> Result<()> {
        match operand {
            Operand::Constant(value) => self.push_int(Range::constant(*value)),
            Operand::Field(_, ty) => self.push_type(ty),
            _ => self.malformed("field"),
        }
    }

    /// Pops; operands are recorded in the order in which they were pushed.
    pub(super) fn pop(&mut self) -> Result<Value> {
        let Some(value) = self.state.stack.pop() else { return self.malformed("operand stack is empty") };
        self.step.operands.insert(0, value);
        Ok(value)
    }

    pub(super) fn pop_value_int(&mut self) -> Result<(Range, Option<u16>)> {
        match self.pop()? {
            Value::Int { range, local, .. } => Ok((range, local)),
            Value::Ref { .. } => self.malformed("reference where an int is needed"),
        }
    }

    pub(super) fn pop_int(&mut self) -> Result<Range> {
        self.pop_value_int().map(|(range, _)| range)
    }

    pub(super) fn pop_ref(&mut self) -> Result<()> {
        match self.pop()? {
            Value::Ref { .. } => Ok(()),
            Value::Int { .. } => self.malformed("int where a reference is needed"),
        }
    }

    pub(super) fn pop_type(&mut self, ty: &JavaType) -> Result<()> {
        if ty.is_reference() {
            self.pop_ref()
        } else {
            self.pop_int().map(|_| ())
        }
    }

    pub(super) fn pop_field(&mut self, operand: &Operand) -> Result<()> {
        match operand {
            Operand::Field(_, ty) => self.pop_type(ty),
            _ => self.malformed("field"),
        }
    }

    /// Pops `count` values and pushes those at `order` (0 is the deepest).
    pub(super) fn rearrange(&mut self, count: usize, order: &[usize]) -> Result<()> {
        for _ in 0..count {
            self.pop()?;
        }
        for &index in order {
            let value = self.step.operands[index];
            self.push(value)?;
        }
        self.step.result = None;
        Ok(())
    }

    pub(super) fn local(&self, slot: u16) -> Result<Local> {
        match self.state.locals.get(usize::from(slot)) {
            Some(local) => Ok(*local),
            None => self.malformed("local variable number"),
        }
    }

    pub(super) fn set_local(&mut self, slot: u16, local: Local) -> Result<()> {
        match self.state.locals.get_mut(usize::from(slot)) {
            Some(known) => *known = local,
            None => return self.malformed("local variable number"),
        }
        for value in &mut self.state.stack {
            if let Value::Int { local, .. } = value {
                if *local == Some(slot) {
                    *local = None;
                }
            }
        }
        Ok(())
    }
}
