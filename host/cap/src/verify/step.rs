//! What one instruction does to locals and stack (JCVM 7.5). Calls and fields: see `invoke`.

use std::collections::BTreeMap;

use super::code::{local, Fault, ScannedMethod};
use super::frame::{Cell, RefType, RefTypes, State};
use super::pool::Entry;
use super::types::{Elem, Ty};
use super::world::{ClassId, World};
use super::Rule;
use crate::code::{Instruction, Operands};
use crate::opcodes::Opcode;

/// The interpreter of one method.
pub(super) struct Machine<'r, 'w, 'a> {
    pub(super) world: &'r mut World<'a>,
    pub(super) pool: &'r [Option<Entry>],
    pub(super) types: &'r mut RefTypes,
    pub(super) method: &'r ScannedMethod<'w>,
    pub(super) state: State,
    /// Index of the instruction at hand.
    pub(super) at: usize,
    /// Warnings by instruction, each once however often it is visited.
    pub(super) notes: BTreeMap<(usize, Rule), String>,
}

pub(super) type Step<T> = Result<T, Fault>;

impl<'r, 'w, 'a> Machine<'r, 'w, 'a> {
    pub(super) fn new(
        world: &'r mut World<'a>,
        pool: &'r [Option<Entry>],
        types: &'r mut RefTypes,
        method: &'r ScannedMethod<'w>,
    ) -> Self {
        let state = State { locals: Vec::new(), stack: Vec::new(), constructed: true };
        Self { world, pool, types, method, state, at: 0, notes: BTreeMap::new() }
    }

    pub(super) fn max_stack(&self) -> usize {
        self.method.body.header.max_stack.into()
    }

    pub(super) fn describe(&self, cell: Cell) -> String {
        self.types.describe(self.world, cell)
    }

    pub(super) fn push(&mut self, cell: Cell) -> Step<()> {
        let max = self.max_stack();
        if self.state.stack.len() >= max {
            return Err(Fault::new(Rule::CodeStackOverflow, format!("max_stack is {max}")));
        }
        self.state.stack.push(cell);
        Ok(())
    }

    pub(super) fn push_type(&mut self, ty: Ty) -> Step<()> {
        self.types.cells(self.world, ty).into_iter().try_for_each(|cell| self.push(cell))
    }

    fn push_int(&mut self) -> Step<()> {
        self.push_type(Ty::Int)
    }

    pub(super) fn pop(&mut self) -> Step<Cell> {
        let empty = || Fault::new(Rule::CodeStackUnderflow, "the stack is empty");
        self.state.stack.pop().ok_or_else(empty)
    }

    pub(super) fn expected(&self, what: &str, found: Cell) -> Fault {
        let rule = match found {
            Cell::New(_) | Cell::NewThis => Rule::CodeUninitialized,
            _ => Rule::CodeType,
        };
        Fault::new(rule, format!("{what} expected, found {}", self.describe(found)))
    }

    fn pop_short(&mut self) -> Step<()> {
        match self.pop()? {
            Cell::Short => Ok(()),
            other => Err(self.expected("short", other)),
        }
    }

    fn pop_int(&mut self) -> Step<()> {
        match self.pop()? {
            Cell::IntLow => self.pop().map(|_| ()),
            other => Err(self.expected("int", other)),
        }
    }

    /// An object or array that may be used, or null.
    pub(super) fn pop_reference(&mut self) -> Step<Cell> {
        match self.pop()? {
            cell @ (Cell::Null | Cell::Ref(_)) => Ok(cell),
            other => Err(self.expected("a reference", other)),
        }
    }

    /// A reference that is only looked at.
    fn pop_any_reference(&mut self) -> Step<Cell> {
        match self.pop()? {
            cell @ (Cell::Null | Cell::Ref(_) | Cell::New(_) | Cell::NewThis) => Ok(cell),
            other => Err(self.expected("a reference", other)),
        }
    }

    /// A value of a type; `rule` when it is another.
    pub(super) fn pop_type(&mut self, ty: Ty, rule: Rule) -> Step<()> {
        if ty == Ty::Int {
            return match self.pop()? {
                Cell::IntLow => self.pop().map(|_| ()),
                other => Err(Fault::new(rule, format!("int expected, found {}", self.describe(other)))),
            };
        }
        let found = self.pop()?;
        if matches!(found, Cell::New(_) | Cell::NewThis) {
            return Err(self.expected("a value", found));
        }
        if !self.types.is_a(self.world, found, ty) {
            let wanted = self.types.cells(self.world, ty).first().map(|&cell| self.describe(cell));
            let message = format!("{} expected, found {}", wanted.unwrap_or_default(), self.describe(found));
            return Err(Fault::new(rule, message));
        }
        Ok(())
    }

    /// What the constant pool has for an instruction; kinds were checked before.
    pub(super) fn entry(&self, instruction: &Instruction) -> Step<&'r Entry> {
        let index = instruction.pool_index().map(usize::from);
        let entry = index.and_then(|index| self.pool.get(index)?.as_ref());
        entry.ok_or_else(|| Fault::new(Rule::CodePoolIndex, "the entry names nothing"))
    }

    fn class_entry(&self, instruction: &Instruction) -> Step<ClassId> {
        match self.entry(instruction)? {
            Entry::Class(id) => Ok(*id),
            other => Err(Fault::new(Rule::CodePoolKind, other.kind())),
        }
    }

    /// Does the instruction; true when locals may have changed.
    pub(super) fn step(&mut self, index: usize) -> Step<bool> {
        use Opcode as O;
        let method = self.method;
        let instruction = &method.instructions[index];
        self.at = index;
        match instruction.opcode {
            O::Nop | O::Goto | O::GotoW | O::Jsr | O::Ret => {}
            O::AconstNull => self.push(Cell::Null)?,
            o if (O::SconstM1..=O::Sconst5).contains(&o) => self.push(Cell::Short)?,
            O::Bspush | O::Sspush => self.push(Cell::Short)?,
            o if (O::IconstM1..=O::Iconst5).contains(&o) => self.push_int()?,
            O::Bipush | O::Sipush | O::Iipush => self.push_int()?,
            o if o == O::Aload || (O::Aload0..=O::Aload3).contains(&o) => self.load_reference(instruction)?,
            o if o == O::Sload || (O::Sload0..=O::Sload3).contains(&o) => self.load_short(instruction)?,
            o if o == O::Iload || (O::Iload0..=O::Iload3).contains(&o) => self.load_int(instruction)?,
            o if (O::Astore..=O::Istore3).contains(&o) => {
                self.store(instruction)?;
                return Ok(true);
            }
            O::Sinc | O::SincW => self.check_local_short(instruction)?,
            O::Iinc | O::IincW => self.check_local_int(instruction)?,
            O::Aaload | O::Baload | O::Saload | O::Iaload => self.load_element(instruction.opcode)?,
            O::Aastore | O::Bastore | O::Sastore | O::Iastore => self.store_element(instruction.opcode)?,
            O::Pop | O::Pop2 | O::Dup | O::Dup2 | O::DupX | O::SwapX => self.shuffle(instruction)?,
            o if (O::Sadd..=O::Ixor).contains(&o) => self.arithmetic(o)?,
            O::S2b => {
                self.pop_short()?;
                self.push(Cell::Short)?;
            }
            O::S2i => {
                self.pop_short()?;
                self.push_int()?;
            }
            O::I2b | O::I2s => {
                self.pop_int()?;
                self.push(Cell::Short)?;
            }
            O::Icmp => {
                self.pop_int()?;
                self.pop_int()?;
                self.push(Cell::Short)?;
            }
            O::Ifnull | O::Ifnonnull | O::IfnullW | O::IfnonnullW => {
                self.pop_any_reference()?;
            }
            O::IfAcmpeq | O::IfAcmpne | O::IfAcmpeqW | O::IfAcmpneW => {
                self.pop_any_reference()?;
                self.pop_any_reference()?;
            }
            o if (O::Ifeq..=O::Ifle).contains(&o) || (O::IfeqW..=O::IfleW).contains(&o) => {
                self.pop_short()?;
            }
            o if (O::IfScmpeq..=O::IfScmple).contains(&o) || (O::IfScmpeqW..=O::IfScmpleW).contains(&o) => {
                self.pop_short()?;
                self.pop_short()?;
            }
            O::Stableswitch | O::Slookupswitch => self.pop_short()?,
            O::Itableswitch | O::Ilookupswitch => self.pop_int()?,
            O::Areturn | O::Sreturn | O::Ireturn | O::Return => self.leave(instruction.opcode)?,
            O::New => {
                self.make(index, instruction)?;
                return Ok(true);
            }
            O::Newarray => {
                self.pop_short()?;
                let element = match instruction.operands {
                    Operands::ArrayType(ty) => primitive(ty),
                    _ => None,
                };
                let element = element.ok_or_else(|| Fault::new(Rule::CodeOperand, "element type"))?;
                self.push_type(Ty::Array(element))?;
            }
            O::Anewarray => {
                let class = self.class_entry(instruction)?;
                self.pop_short()?;
                self.push_type(Ty::Array(Elem::Class(class)))?;
            }
            O::Arraylength => {
                match self.pop_reference()? {
                    Cell::Ref(id) if matches!(self.types.get(id), RefType::Object { .. }) => {
                        return Err(self.expected("an array", Cell::Ref(id)));
                    }
                    _ => {}
                }
                self.push(Cell::Short)?;
            }
            O::Athrow => {
                let thrown = self.pop_reference()?;
                if !self.types.is_a(self.world, thrown, Ty::Class(self.world.throwable)) {
                    return Err(Fault::new(Rule::CodeThrow, self.describe(thrown)));
                }
            }
            O::Checkcast => {
                self.pop_reference()?;
                let ty = self.checked_type(instruction)?;
                self.push_type(ty)?;
            }
            O::Instanceof => {
                self.pop_reference()?;
                self.push(Cell::Short)?;
            }
            O::Invokevirtual | O::Invokespecial | O::Invokestatic | O::Invokeinterface => {
                self.invoke(instruction)?;
                // Constructors change what is known of the locals that hold the object.
                return Ok(true);
            }
            _ => self.field(instruction)?,
        }
        Ok(false)
    }

    fn checked_type(&self, instruction: &Instruction) -> Step<Ty> {
        let Operands::TypeCheck { atype, .. } = instruction.operands else {
            return Err(Fault::new(Rule::CodeOperand, "type"));
        };
        Ok(match primitive(atype) {
            Some(element) => Ty::Array(element),
            None if atype == 14 => Ty::Array(Elem::Class(self.class_entry(instruction)?)),
            None => Ty::Class(self.class_entry(instruction)?),
        })
    }

    fn local_cell(&self, index: usize) -> Cell {
        self.state.locals.get(index).copied().unwrap_or(Cell::Unusable)
    }

    fn local_index(instruction: &Instruction) -> usize {
        local(instruction).map_or(0, |(index, _)| index)
    }

    fn load_reference(&mut self, instruction: &Instruction) -> Step<()> {
        let index = Self::local_index(instruction);
        match self.local_cell(index) {
            cell @ (Cell::Null | Cell::Ref(_) | Cell::New(_) | Cell::NewThis) => self.push(cell),
            other => Err(self.wrong_local(index, "a reference", other)),
        }
    }

    fn check_local_short(&self, instruction: &Instruction) -> Step<()> {
        let index = Self::local_index(instruction);
        match self.local_cell(index) {
            Cell::Short => Ok(()),
            other => Err(self.wrong_local(index, "short", other)),
        }
    }

    fn load_short(&mut self, instruction: &Instruction) -> Step<()> {
        self.check_local_short(instruction)?;
        self.push(Cell::Short)
    }

    fn check_local_int(&self, instruction: &Instruction) -> Step<()> {
        let index = Self::local_index(instruction);
        match (self.local_cell(index), self.local_cell(index + 1)) {
            (Cell::IntHigh, Cell::IntLow) => Ok(()),
            (other, _) => Err(self.wrong_local(index, "int", other)),
        }
    }

    fn load_int(&mut self, instruction: &Instruction) -> Step<()> {
        self.check_local_int(instruction)?;
        self.push_int()
    }

    fn wrong_local(&self, index: usize, what: &str, found: Cell) -> Fault {
        let found = self.describe(found);
        Fault::new(Rule::CodeType, format!("{what} expected in local {index}, found {found}"))
    }

    fn store(&mut self, instruction: &Instruction) -> Step<()> {
        use Opcode as O;
        let index = Self::local_index(instruction);
        let value = self.pop()?;
        let opcode = instruction.opcode;
        if opcode == O::Istore || (O::Istore0..=O::Istore3).contains(&opcode) {
            if value != Cell::IntLow {
                return Err(self.expected("int", value));
            }
            self.pop()?;
            self.set_local(index + 1, Cell::IntLow);
            self.set_local(index, Cell::IntHigh);
            return Ok(());
        }
        let short = opcode == O::Sstore || (O::Sstore0..=O::Sstore3).contains(&opcode);
        match value {
            Cell::Short if short => {}
            Cell::Null | Cell::Ref(_) | Cell::New(_) | Cell::NewThis | Cell::Return(_) if !short => {}
            other => return Err(self.expected(if short { "short" } else { "a reference" }, other)),
        }
        self.set_local(index, value);
        Ok(())
    }

    /// Sets one cell; an int of which it was half is gone.
    fn set_local(&mut self, index: usize, value: Cell) {
        let other_half = match self.local_cell(index) {
            Cell::IntHigh => Some(index + 1),
            Cell::IntLow => index.checked_sub(1),
            _ => None,
        };
        for (at, cell) in [(other_half, Cell::Unusable), (Some(index), value)] {
            if let Some(local) = at.and_then(|at| self.state.locals.get_mut(at)) {
                *local = cell;
            }
        }
    }

    fn pop_array(&mut self, what: &str, fits: impl Fn(&RefType) -> bool) -> Step<Cell> {
        let array = self.pop_reference()?;
        match array {
            Cell::Ref(id) if !fits(self.types.get(id)) => Err(self.expected(what, array)),
            _ => Ok(array),
        }
    }

    fn load_element(&mut self, opcode: Opcode) -> Step<()> {
        self.pop_short()?;
        let (what, fits) = array_of(opcode);
        let array = self.pop_array(what, fits)?;
        match (opcode, array) {
            (Opcode::Aaload, Cell::Ref(id)) => match self.types.get(id) {
                RefType::ArrayOf(element) => self.push(Cell::Ref(*element)),
                _ => Err(self.expected(what, array)),
            },
            (Opcode::Aaload, _) => self.push(Cell::Null),
            (Opcode::Iaload, _) => self.push_int(),
            _ => self.push(Cell::Short),
        }
    }

    /// Whether an object fits into an array of objects is for the card to check when it runs.
    fn store_element(&mut self, opcode: Opcode) -> Step<()> {
        match opcode {
            Opcode::Aastore => self.pop_reference().map(|_| ())?,
            Opcode::Iastore => self.pop_int()?,
            _ => self.pop_short()?,
        }
        self.pop_short()?;
        let (what, fits) = array_of(opcode);
        self.pop_array(what, fits).map(|_| ())
    }

    fn arithmetic(&mut self, opcode: Opcode) -> Step<()> {
        let int = opcode.mnemonic().starts_with('i');
        let operands = if matches!(opcode, Opcode::Sneg | Opcode::Ineg) { 1 } else { 2 };
        for _ in 0..operands {
            if int {
                self.pop_int()?;
            } else {
                self.pop_short()?;
            }
        }
        if int {
            self.push_int()
        } else {
            self.push(Cell::Short)
        }
    }

    /// pop, dup and swap, in cells. None of them may take an int apart.
    fn shuffle(&mut self, instruction: &Instruction) -> Step<()> {
        let (m, n) = match (instruction.opcode, &instruction.operands) {
            (Opcode::Pop | Opcode::Dup, _) => (1, 0),
            (Opcode::Pop2 | Opcode::Dup2, _) => (2, 0),
            (_, &Operands::Nibbles { m, n }) => (usize::from(m), usize::from(n)),
            _ => (0, 0),
        };
        match instruction.opcode {
            Opcode::Pop | Opcode::Pop2 => {
                let at = self.split(m)?;
                self.state.stack.truncate(at);
            }
            Opcode::SwapX => {
                let middle = self.split(m)?;
                let bottom = self.split(m + n)?;
                self.state.stack[bottom..].rotate_left(middle - bottom);
            }
            _ => {
                let from = self.split(m)?;
                let to = if n == 0 { from } else { self.split(n)? };
                let copied = self.state.stack[from..].to_vec();
                let above = self.state.stack.split_off(to);
                copied.into_iter().chain(above).try_for_each(|cell| self.push(cell))?;
            }
        }
        Ok(())
    }

    /// Index of the cell `depth` below the top, where no int may be split.
    fn split(&self, depth: usize) -> Step<usize> {
        let stack = &self.state.stack;
        let short = || Fault::new(Rule::CodeStackUnderflow, format!("{depth} cells needed"));
        let at = stack.len().checked_sub(depth).ok_or_else(short)?;
        if stack.get(at) == Some(&Cell::IntLow) {
            return Err(Fault::new(Rule::CodeType, "half of an int"));
        }
        Ok(at)
    }

    fn leave(&mut self, opcode: Opcode) -> Step<()> {
        let result = self.method.body.signature.result;
        let fits = match opcode {
            Opcode::Areturn => result.is_reference(),
            Opcode::Sreturn => matches!(result, Ty::Boolean | Ty::Byte | Ty::Short),
            Opcode::Ireturn => result == Ty::Int,
            _ => result == Ty::Void,
        };
        if !fits {
            return Err(Fault::new(Rule::CodeReturn, format!("{opcode} in a method of another result")));
        }
        if result != Ty::Void {
            self.pop_type(result, Rule::CodeReturn)?;
        }
        if !self.state.constructed {
            return Err(Fault::new(Rule::CodeConstructor, "return before this is initialised"));
        }
        Ok(())
    }

    fn make(&mut self, index: usize, instruction: &Instruction) -> Step<()> {
        let class = self.class_entry(instruction)?;
        let found = self.world.get(class);
        if found.is_abstract || found.is_interface {
            return Err(Fault::new(Rule::CodeNew, format!("{} is abstract", found.name)));
        }
        let object = Cell::New(u16::try_from(index).unwrap_or(u16::MAX));
        // One that an earlier turn of a loop left there must not be mistaken for the new one.
        if self.state.stack.contains(&object) {
            return Err(self.expected("an initialised object from the turn before", object));
        }
        self.state.replace(object, Cell::Unusable);
        self.push(object)
    }
}

/// Element type by the numbers of newarray (JCVM 7.5.70).
fn primitive(atype: u8) -> Option<Elem> {
    Some(match atype {
        10 => Elem::Boolean,
        11 => Elem::Byte,
        12 => Elem::Short,
        13 => Elem::Int,
        _ => return None,
    })
}

/// The arrays an instruction takes; those of bytes and of booleans share theirs.
fn array_of(opcode: Opcode) -> (&'static str, fn(&RefType) -> bool) {
    match opcode {
        Opcode::Aaload | Opcode::Aastore => {
            ("an array of references", |ty| matches!(ty, RefType::ArrayOf(_)))
        }
        Opcode::Baload | Opcode::Bastore => {
            ("byte[] or boolean[]", |ty| matches!(ty, RefType::Array(Elem::Byte | Elem::Boolean)))
        }
        Opcode::Saload | Opcode::Sastore => ("short[]", |ty| matches!(ty, RefType::Array(Elem::Short))),
        _ => ("int[]", |ty| matches!(ty, RefType::Array(Elem::Int))),
    }
}
