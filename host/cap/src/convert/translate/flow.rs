//! Abstract interpretation of a method (JVMS 4.10 without the parts a compiler guarantees): what is on the stack at
//! each instruction, in which interval each int lies, and which definitions of a local variable belong together.

// One row per instruction or pattern: rows that happen to agree stay apart.
#![allow(clippy::match_same_arms)]

use super::live::Live;
use super::machine::Machine;
use super::operands::Operand;
use super::range::Range;
use super::unify::UnionFind;
use crate::classfile::{acc, ArrayKind, Code, Condition, JavaType, Jvm, Kind, Method, MethodType};
use crate::convert::diagnostics::ConvertRule;

/// A value on the stack. `node` numbers the instruction that made it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// `local` names the slot it is a copy of, as long as that is not stored to.
    Int { node: u32, range: Range, local: Option<u16> },
    /// `this`: it is the receiver of the method.
    Ref { node: u32, this: bool },
}

/// A local variable. `web` numbers the variable in the source's sense: definitions that reach a common use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Local {
    Dead,
    Int { web: u32, range: Range },
    Ref { web: u32, this: bool },
}

/// What is known at an instruction.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    /// Values it takes, in the order in which they were pushed. For the dup family: those it touches.
    pub(super) operands: Vec<Value>,
    /// Value it makes.
    pub(super) result: Option<Value>,
    /// Variable it loads, stores or increments.
    pub(super) web: Option<u32>,
    /// Interval of an incremented variable behind the increment.
    pub(super) incremented: Option<Range>,
}

/// The outcome.
#[derive(Debug)]
pub(super) struct Flow {
    /// One per instruction; `None` where control never comes.
    pub(super) steps: Vec<Option<Step>>,
    /// Stack values that meet where branches join.
    pub(super) nodes: UnionFind,
    /// Definitions of variables.
    pub(super) webs: UnionFind,
    /// Slot of `this` is stored to somewhere.
    pub(super) this_overwritten: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) stack: Vec<Value>,
    pub(super) locals: Vec<Local>,
}

/// After so many visits of a block its intervals are widened.
const PATIENCE: u8 = 3;

pub(super) type Result<T> = std::result::Result<T, (usize, ConvertRule)>;

/// Number of the web of a parameter slot: the slot; of a store: `max_locals` plus the instruction.
fn web_of_store(code: &Code, at: usize) -> u32 {
    number(usize::from(code.max_locals) + at)
}

pub(super) fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Interval of values of a type.
pub(super) fn range_of(ty: &JavaType) -> Range {
    match ty {
        JavaType::Boolean => Range::BOOLEAN,
        JavaType::Byte => Range::BYTE,
        JavaType::Short => Range::SHORT,
        _ => Range::INT,
    }
}

struct Interpreter<'a> {
    code: &'a Code,
    operands: &'a [Operand],
    /// Live slots in front of each instruction.
    live: Live,
    /// Handlers that cover each instruction.
    covering: Vec<Vec<usize>>,
    /// Where other handlers cover than one instruction before.
    cover_changes: Vec<bool>,
    /// State in front of each block.
    entry: Vec<Option<State>>,
    visits: Vec<u8>,
    leader: Vec<bool>,
    flow: Flow,
    work: Vec<usize>,
}

/// Runs to the fixpoint, then records every reachable instruction.
pub(super) fn analyse(method: &Method, ty: &MethodType, code: &Code, operands: &[Operand]) -> Result<Flow> {
    let n = code.instructions.len();
    if n == 0 {
        return Err((0, ConvertRule::Malformed("empty code")));
    }
    let mut covering = vec![Vec::new(); n];
    for (index, handler) in code.handlers.iter().enumerate() {
        for covered in &mut covering[handler.start..handler.end] {
            covered.push(index);
        }
    }
    let cover_changes = (0..n).map(|at| at == 0 || covering[at] != covering[at - 1]).collect();
    let mut leader = vec![false; n];
    leader[0] = true;
    for (at, instruction) in code.instructions.iter().enumerate() {
        for target in instruction.jvm.targets() {
            leader[target] = true;
        }
        if at + 1 < n && (!instruction.jvm.targets().is_empty() || !instruction.jvm.falls_through()) {
            leader[at + 1] = true;
        }
    }
    code.handlers.iter().for_each(|h| leader[h.handler] = true);
    let webs = UnionFind::new(usize::from(code.max_locals) + n);
    let flow = Flow { steps: vec![None; n], nodes: UnionFind::new(2 * n), webs, this_overwritten: false };
    let live = Live::compute(code);
    let mut interpreter = Interpreter {
        code,
        operands,
        live,
        covering,
        cover_changes,
        entry: vec![None; n],
        visits: vec![0; n],
        leader,
        flow,
        work: Vec::new(),
    };
    let first = interpreter.first_state(method, ty)?;
    interpreter.arrive(0, first, 0)?;
    while let Some(block) = interpreter.work.pop() {
        interpreter.block(block, false)?;
    }
    for block in 0..n {
        if interpreter.leader[block] && interpreter.entry[block].is_some() {
            interpreter.block(block, true)?;
        }
    }
    Ok(interpreter.flow)
}

impl Interpreter<'_> {
    fn first_state(&self, method: &Method, ty: &MethodType) -> Result<State> {
        let mut locals = Vec::new();
        if method.access & acc::STATIC == 0 {
            locals.push(Local::Ref { web: 0, this: true });
        }
        for parameter in &ty.parameters {
            let web = number(locals.len());
            locals.push(if parameter.is_reference() {
                Local::Ref { web, this: false }
            } else {
                Local::Int { web, range: range_of(parameter) }
            });
        }
        let max = usize::from(self.code.max_locals);
        if locals.len() > max {
            return Err((0, ConvertRule::Malformed("more parameters than local variables")));
        }
        locals.resize(max, Local::Dead);
        Ok(State { stack: Vec::new(), locals })
    }

    /// Merges a state into the one in front of a block.
    fn arrive(&mut self, block: usize, mut state: State, from: usize) -> Result<()> {
        for (slot, local) in state.locals.iter_mut().enumerate() {
            if !self.live.at(block, slot) {
                *local = Local::Dead;
            }
        }
        let Some(known) = &mut self.entry[block] else {
            // Copies of a variable are only tracked within a block.
            self.entry[block] = Some(state);
            self.work.push(block);
            return Ok(());
        };
        if known.stack.len() != state.stack.len() {
            return Err((from, ConvertRule::Malformed("stacks of different depth meet")));
        }
        // Every loop has a jump back; widening elsewhere would undo what conditions have told.
        let widen = from >= block && self.visits[block] >= PATIENCE;
        let merge = |old: Range, new: Range| if widen { old.widen(old.hull(new)) } else { old.hull(new) };
        let before = known.clone();
        for (old, new) in known.stack.iter_mut().zip(&state.stack) {
            match (old, new) {
                (
                    Value::Int { node, range, local },
                    Value::Int { node: other, range: new, local: source },
                ) => {
                    self.flow.nodes.union(*node, *other);
                    *range = merge(*range, *new);
                    if local != source {
                        *local = None;
                    }
                }
                (Value::Ref { node, this }, Value::Ref { node: other, this: also }) => {
                    self.flow.nodes.union(*node, *other);
                    *this &= also;
                }
                _ => {
                    return Err((from, ConvertRule::Malformed("different kinds of values meet on the stack")))
                }
            }
        }
        for (old, new) in known.locals.iter_mut().zip(&state.locals) {
            *old = match (*old, *new) {
                (Local::Int { web, range }, Local::Int { web: other, range: new }) => {
                    self.flow.webs.union(web, other);
                    Local::Int { web, range: merge(range, new) }
                }
                (Local::Ref { web, this }, Local::Ref { web: other, this: also }) => {
                    self.flow.webs.union(web, other);
                    Local::Ref { web, this: this && also }
                }
                _ => Local::Dead,
            };
        }
        if *known != before {
            self.visits[block] = self.visits[block].saturating_add(1);
            self.work.push(block);
        }
        Ok(())
    }

    /// Interprets a block; records steps instead of passing states on when `record` is set.
    fn block(&mut self, block: usize, record: bool) -> Result<()> {
        let Some(mut state) = self.entry[block].clone() else { return Ok(()) };
        let mut at = block;
        let mut changed = true;
        loop {
            if !record && (changed || self.cover_changes[at]) {
                self.reach_handlers(at, &state)?;
            }
            let jvm = &self.code.instructions[at].jvm;
            changed = matches!(jvm, Jvm::Store(..) | Jvm::Increment { .. });
            let mut step = Step::default();
            let assumed = self.execute(at, &mut state, &mut step)?;
            if record {
                self.flow.steps[at] = Some(step);
            } else {
                self.leave(at, &state, assumed.as_ref())?;
            }
            let jvm = &self.code.instructions[at].jvm;
            if !jvm.falls_through() {
                return Ok(());
            }
            at += 1;
            if at >= self.code.instructions.len() {
                return Err((at - 1, ConvertRule::Malformed("control runs off the end of the code")));
            }
            if self.leader[at] {
                return Ok(());
            }
        }
    }

    fn reach_handlers(&mut self, at: usize, state: &State) -> Result<()> {
        for index in 0..self.covering[at].len() {
            let handler = self.code.handlers[self.covering[at][index]].handler;
            let exception = Value::Ref { node: number(self.code.instructions.len() + handler), this: false };
            let state = State { stack: vec![exception], locals: state.locals.clone() };
            self.arrive(handler, state, at)?;
        }
        Ok(())
    }

    /// Passes the state on to jump targets and, where a new block begins, to the next instruction.
    fn leave(&mut self, at: usize, state: &State, assumed: Option<&Assumed>) -> Result<()> {
        let code = self.code;
        let jvm = &code.instructions[at].jvm;
        for target in jvm.targets() {
            let mut state = state.clone();
            if let Some(assumed) = assumed {
                assumed.apply(true, &mut state);
            }
            self.arrive(target, state, at)?;
        }
        if jvm.falls_through() && self.leader.get(at + 1) == Some(&true) {
            let mut state = state.clone();
            if let Some(assumed) = assumed {
                assumed.apply(false, &mut state);
            }
            self.arrive(at + 1, state, at)?;
        }
        Ok(())
    }

    fn execute(&mut self, at: usize, state: &mut State, step: &mut Step) -> Result<Option<Assumed>> {
        let code = self.code;
        let operand = &self.operands[at];
        let mut m = Machine { at, state, step, max_stack: usize::from(code.max_stack) };
        match &code.instructions[at].jvm {
            Jvm::Nop | Jvm::Goto(_) => {}
            Jvm::Null | Jvm::New(_) => m.push_ref()?,
            Jvm::Const(value) => m.push_int(Range::constant(*value))?,
            Jvm::Ldc(_) => match operand {
                Operand::Constant(value) => m.push_int(Range::constant(*value))?,
                _ => return Err((at, ConvertRule::Malformed("constant"))),
            },
            Jvm::Load(kind, slot) => match (kind, m.local(*slot)?) {
                (Kind::Int, Local::Int { web, range }) => {
                    m.step.web = Some(web);
                    m.push(Value::Int { node: number(at), range, local: Some(*slot) })?;
                }
                (Kind::Reference, Local::Ref { web, this }) => {
                    m.step.web = Some(web);
                    m.push(Value::Ref { node: number(at), this })?;
                }
                _ => return Err((at, ConvertRule::Malformed("local variable without a value"))),
            },
            Jvm::Store(kind, slot) => {
                let web = web_of_store(code, at);
                let local = match (kind, m.pop()?) {
                    (Kind::Int, Value::Int { range, .. }) => Local::Int { web, range },
                    (Kind::Reference, Value::Ref { this, .. }) => Local::Ref { web, this },
                    _ => return Err((at, ConvertRule::Malformed("value of the wrong kind is stored"))),
                };
                m.step.web = Some(web);
                m.set_local(*slot, local)?;
                self.flow.this_overwritten |= *slot == 0;
            }
            Jvm::Increment { slot, by } => {
                let Local::Int { web, range } = m.local(*slot)? else {
                    return Err((at, ConvertRule::Malformed("local variable without a value")));
                };
                let range =
                    Range::binary(crate::classfile::BinaryOp::Add, range, Range::constant((*by).into()));
                m.step.web = Some(web);
                m.step.incremented = Some(range);
                m.set_local(*slot, Local::Int { web, range })?;
            }
            Jvm::ArrayLoad(kind) => {
                m.pop_int()?;
                m.pop_ref()?;
                match kind {
                    ArrayKind::Reference => m.push_ref()?,
                    ArrayKind::Byte => m.push_int(Range::BYTE)?,
                    ArrayKind::Short => m.push_int(Range::SHORT)?,
                    ArrayKind::Int => m.push_int(Range::INT)?,
                }
            }
            Jvm::ArrayStore(kind) => {
                if *kind == ArrayKind::Reference {
                    m.pop_ref()?;
                } else {
                    m.pop_int()?;
                }
                m.pop_int()?;
                m.pop_ref()?;
            }
            Jvm::Pop => {
                m.pop()?;
            }
            Jvm::Pop2 => {
                m.pop()?;
                m.pop()?;
            }
            Jvm::Dup => m.rearrange(1, &[0, 0])?,
            Jvm::DupX1 => m.rearrange(2, &[1, 0, 1])?,
            Jvm::DupX2 => m.rearrange(3, &[2, 0, 1, 2])?,
            Jvm::Dup2 => m.rearrange(2, &[0, 1, 0, 1])?,
            Jvm::Dup2X1 => m.rearrange(3, &[1, 2, 0, 1, 2])?,
            Jvm::Dup2X2 => m.rearrange(4, &[2, 3, 0, 1, 2, 3])?,
            Jvm::Swap => m.rearrange(2, &[1, 0])?,
            Jvm::Binary(op) => {
                let b = m.pop_int()?;
                let a = m.pop_int()?;
                m.push_int(Range::binary(*op, a, b))?;
            }
            Jvm::Neg => {
                let a = m.pop_int()?;
                m.push_int(a.negate())?;
            }
            Jvm::IntToByte => {
                let a = m.pop_int()?;
                m.push_int(a.narrow(Range::BYTE))?;
            }
            Jvm::IntToShort => {
                let a = m.pop_int()?;
                m.push_int(a.narrow(Range::SHORT))?;
            }
            Jvm::IfZero(condition, _) => {
                let a = m.pop_value_int()?;
                return Ok(Some(Assumed { condition: *condition, a, b: (Range::constant(0), None) }));
            }
            Jvm::IfInt(condition, _) => {
                let b = m.pop_value_int()?;
                let a = m.pop_value_int()?;
                return Ok(Some(Assumed { condition: *condition, a, b }));
            }
            Jvm::IfReference(..) => {
                m.pop_ref()?;
                m.pop_ref()?;
            }
            Jvm::IfNull(..) | Jvm::Throw | Jvm::Return(Some(Kind::Reference)) => m.pop_ref()?,
            Jvm::Switch { .. } | Jvm::Return(Some(Kind::Int)) => {
                m.pop_int()?;
            }
            Jvm::Return(None) => {}
            Jvm::GetStatic(_) => m.push_field(operand)?,
            Jvm::PutStatic(_) => m.pop_field(operand)?,
            Jvm::GetField(_) => {
                m.pop_ref()?;
                m.push_field(operand)?;
            }
            Jvm::PutField(_) => {
                m.pop_field(operand)?;
                m.pop_ref()?;
            }
            Jvm::Invoke(..) => {
                let Operand::Call(call) = operand else { return Err((at, ConvertRule::Malformed("call"))) };
                for parameter in call.ty.parameters.iter().rev() {
                    m.pop_type(parameter)?;
                }
                if call.instance {
                    m.pop_ref()?;
                }
                if call.ty.result != JavaType::Void {
                    m.push_type(&call.ty.result)?;
                }
            }
            Jvm::NewArray(_) | Jvm::NewReferenceArray(_) => {
                m.pop_int()?;
                m.push_ref()?;
            }
            Jvm::ArrayLength => {
                m.pop_ref()?;
                m.push_int(Range::LENGTH)?;
            }
            Jvm::CheckCast(_) => {
                m.pop_ref()?;
                m.push_ref()?;
            }
            Jvm::InstanceOf(_) => {
                m.pop_ref()?;
                m.push_int(Range::BOOLEAN)?;
            }
            Jvm::InvokeDynamic(_) | Jvm::Unsupported(_) => {
                return Err((at, ConvertRule::Malformed("instruction")))
            }
        }
        Ok(None)
    }
}

/// A comparison whose outcome narrows the intervals of the variables compared.
struct Assumed {
    condition: Condition,
    a: (Range, Option<u16>),
    b: (Range, Option<u16>),
}

impl Assumed {
    fn apply(&self, taken: bool, state: &mut State) {
        let condition = if taken { self.condition } else { self.condition.negate() };
        // An impossible outcome is left as it is: code is never dropped because of intervals.
        let Some((a, b)) = Range::assume(condition, self.a.0, self.b.0) else { return };
        for (range, slot) in [(a, self.a.1), (b, self.b.1)] {
            let Some(local) = slot.and_then(|slot| state.locals.get_mut(usize::from(slot))) else { continue };
            if let Local::Int { range: known, .. } = local {
                *known = range;
            }
        }
    }
}
