//! Which values are computed in 16 bits and which in 32 (JCVM 2.2.3.1, 3.1).
//!
//! javac keeps byte, short and boolean as int. Here every value is kept in 16 bits as long as no use of it can tell
//! the difference: additions, logic and left shifts have right low bits whatever their operands' upper bits are;
//! division, right shifts, comparisons and indices need operands whose interval fits 16 bits. Where one does not, the
//! value is computed in 32 bits if the package may use int, and refused otherwise.

use super::flow::{Flow, Step, Value};
use super::operands::Operand;
use super::range::Range;
use crate::classfile::{ArrayKind, BinaryOp, Condition, JavaType, Jvm, Kind, MethodType};
use crate::convert::diagnostics::ConvertRule;

/// Decisions for one method.
#[derive(Debug)]
pub(super) struct Widths {
    /// By node representative: the value lies on the stack as 32 bits.
    node: Vec<bool>,
    /// By instruction: the operation is done in 32 bits.
    pub(super) wide: Vec<bool>,
    /// By web representative: the variable has 32 bits.
    web: Vec<bool>,
    /// By instruction: the value it makes is cut to 16 bits at once, although it comes as 32.
    pub(super) cut: Vec<bool>,
}

impl Widths {
    /// Whether a stack value has 32 bits.
    pub(super) fn is_int(&self, flow: &Flow, value: Value) -> bool {
        match value {
            Value::Int { node, .. } => self.node[flow.nodes.find(node) as usize],
            Value::Ref { .. } => false,
        }
    }

    /// Whether a variable has 32 bits.
    pub(super) fn web_is_int(&self, flow: &Flow, web: u32) -> bool {
        self.web[flow.webs.find(web) as usize]
    }
}

/// What a use demands of an operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// 16 bits; `what` names the use. The flag: it is the topmost operand and can be cut at the use.
    Short(&'static str, bool),
    /// 32 bits.
    Int,
    /// Follows the operation.
    Any,
}

fn range(value: Value) -> Range {
    match value {
        Value::Int { range, .. } => range,
        Value::Ref { .. } => Range::constant(0),
    }
}

/// The operand whose exact value decides although it may not fit 16 bits.
fn overflow(jvm: &Jvm, step: &Step) -> Option<ConvertRule> {
    let refuse = |operation, operand, value: Value| {
        let Range { lo, hi } = range(value);
        Some(ConvertRule::Overflow { operation, operand, low: lo, high: hi })
    };
    let exact = |operation, names: &[&'static str]| {
        let pairs = names.iter().zip(&step.operands);
        let bad =
            pairs.into_iter().find(|(name, value)| !name.is_empty() && !range(**value).within(Range::SHORT));
        bad.and_then(|(name, value)| refuse(operation, name, *value))
    };
    match jvm {
        Jvm::Binary(BinaryOp::Div) => exact("division", &["left operand", "right operand"]),
        Jvm::Binary(BinaryOp::Rem) => exact("remainder", &["left operand", "right operand"]),
        Jvm::Binary(BinaryOp::Shr | BinaryOp::Ushr) => exact("right shift", &["left operand", ""]),
        Jvm::IfZero(Condition::Eq | Condition::Ne, _) => {
            let value = step.operands[0];
            let survives = Range::equality_survives_16_bits(range(value), Range::constant(0));
            (!survives).then(|| refuse("comparison", "operand", value)).flatten()
        }
        Jvm::IfInt(Condition::Eq | Condition::Ne, _) => {
            let (a, b) = (step.operands[0], step.operands[1]);
            if Range::equality_survives_16_bits(range(a), range(b)) {
                return None;
            }
            let (name, value) =
                if range(a).within(Range::SHORT) { ("right operand", b) } else { ("left operand", a) };
            refuse("comparison", name, value)
        }
        Jvm::IfZero(..) => exact("comparison", &["operand"]),
        Jvm::IfInt(..) => exact("comparison", &["left operand", "right operand"]),
        Jvm::Switch { .. } => exact("switch", &["selector"]),
        Jvm::ArrayLoad(_) | Jvm::ArrayStore(_) => exact("array access", &["", "index"]),
        Jvm::NewArray(_) | Jvm::NewReferenceArray(_) => exact("array creation", &["length"]),
        _ => None,
    }
}

/// Array index and length have 16 bits even where int is allowed.
fn is_always_short(jvm: &Jvm) -> bool {
    matches!(jvm, Jvm::ArrayLoad(_) | Jvm::ArrayStore(_) | Jvm::NewArray(_) | Jvm::NewReferenceArray(_))
}

/// What an instruction asks of each operand.
fn demands(
    jvm: &Jvm,
    operand: &Operand,
    step: &Step,
    result: &JavaType,
    widths: &Widths,
    flow: &Flow,
) -> Vec<Demand> {
    let typed = |ty: &JavaType, what, top| match ty {
        JavaType::Int => Demand::Int,
        ty if ty.is_reference() => Demand::Any,
        _ => Demand::Short(what, top),
    };
    match (jvm, operand) {
        (Jvm::ArrayLoad(_), _) => vec![Demand::Any, Demand::Short("array index", true)],
        (Jvm::ArrayStore(kind), _) => {
            let value = match kind {
                ArrayKind::Reference => Demand::Any,
                ArrayKind::Int => Demand::Int,
                _ => Demand::Short("array element", true),
            };
            vec![Demand::Any, Demand::Short("array index", false), value]
        }
        (Jvm::NewArray(_) | Jvm::NewReferenceArray(_), _) => vec![Demand::Short("array length", true)],
        (Jvm::PutStatic(_), Operand::Field(_, ty)) => vec![typed(ty, "value", true)],
        (Jvm::PutField(_), Operand::Field(_, ty)) => vec![Demand::Any, typed(ty, "value", true)],
        (Jvm::Return(Some(Kind::Int)), _) => vec![typed(result, "result", true)],
        (Jvm::Invoke(..), Operand::Call(call)) => {
            let mut all = vec![Demand::Any; usize::from(call.instance)];
            let last = call.ty.parameters.len();
            all.extend(
                call.ty.parameters.iter().enumerate().map(|(i, ty)| typed(ty, "argument", i + 1 == last)),
            );
            all
        }
        (Jvm::Store(Kind::Int, _), _) => {
            let int = step.web.is_some_and(|web| widths.web_is_int(flow, web));
            vec![if int { Demand::Int } else { Demand::Short("variable", true) }]
        }
        _ => vec![Demand::Any; step.operands.len()],
    }
}

/// Decides for a method; every expression that cannot be converted is reported.
pub(super) fn decide(
    code: &[crate::classfile::Instruction],
    operands: &[Operand],
    flow: &Flow,
    ty: &MethodType,
    parameters: &[(u32, JavaType)],
    int: bool,
) -> std::result::Result<Widths, Vec<(usize, ConvertRule)>> {
    let n = code.len();
    let webs = flow.steps.iter().flatten().filter_map(|s| s.web).max().map_or(0, |w| w as usize + 1);
    let webs = parameters.iter().map(|(web, _)| *web as usize + 1).max().unwrap_or(0).max(webs);
    let mut widths = Widths {
        node: vec![false; 2 * n],
        wide: vec![false; n],
        web: vec![false; webs],
        cut: vec![false; n],
    };
    let steps = || code.iter().zip(operands).zip(&flow.steps).enumerate();
    let mut errors = Vec::new();
    for (at, ((instruction, _), step)) in steps() {
        let Some(step) = step else { continue };
        if let Some(rule) = overflow(&instruction.jvm, step) {
            if !int || is_always_short(&instruction.jvm) {
                errors.push((at, rule));
            }
        }
    }
    if int {
        widths.seed(&steps, flow, parameters);
        while widths.propagate(&steps, flow, ty) {}
    }
    for (at, ((instruction, operand), step)) in steps() {
        let Some(step) = step else { continue };
        let demands = demands(&instruction.jvm, operand, step, &ty.result, &widths, flow);
        for (value, demand) in step.operands.iter().zip(demands) {
            if let (Demand::Short(what, top), Value::Int { .. }) = (demand, *value) {
                if let Err(rule) = widths.settle(flow, at, *value, what, top) {
                    errors.push((at, rule));
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(widths)
    } else {
        Err(errors)
    }
}

type Item<'a> = (usize, ((&'a crate::classfile::Instruction, &'a Operand), &'a Option<Step>));

impl Widths {
    /// What comes as 32 bits by its type, and variables whose values need them.
    fn seed<'a, I: Iterator<Item = Item<'a>>>(
        &mut self,
        steps: &impl Fn() -> I,
        flow: &Flow,
        parameters: &[(u32, JavaType)],
    ) {
        for (web, ty) in parameters {
            if *ty == JavaType::Int {
                self.web[flow.webs.find(*web) as usize] = true;
            }
        }
        for (_, ((instruction, operand), step)) in steps() {
            let Some(step) = step else { continue };
            let needs = match instruction.jvm {
                Jvm::Store(Kind::Int, _) => step.operands.first().map(|v| range(*v)),
                Jvm::Increment { .. } => step.incremented,
                _ => None,
            };
            if let (Some(range), Some(web)) = (needs, step.web) {
                if !range.within(Range::SHORT) {
                    self.web[flow.webs.find(web) as usize] = true;
                }
            }
            let by_type = match (&instruction.jvm, operand) {
                (Jvm::ArrayLoad(ArrayKind::Int), _) => true,
                (Jvm::GetField(_) | Jvm::GetStatic(_), Operand::Field(_, ty)) => *ty == JavaType::Int,
                (Jvm::Invoke(..), Operand::Call(call)) => call.ty.result == JavaType::Int,
                _ => false,
            };
            if by_type {
                self.make_int(flow, step.result);
            }
        }
    }

    fn make_int(&mut self, flow: &Flow, value: Option<Value>) -> bool {
        let Some(Value::Int { node, .. }) = value else { return false };
        let slot = &mut self.node[flow.nodes.find(node) as usize];
        !std::mem::replace(slot, true)
    }

    /// One round; whether anything changed.
    fn propagate<'a, I: Iterator<Item = Item<'a>>>(
        &mut self,
        steps: &impl Fn() -> I,
        flow: &Flow,
        ty: &MethodType,
    ) -> bool {
        let mut changed = false;
        for (at, ((instruction, operand), step)) in steps() {
            let Some(step) = step else { continue };
            match &instruction.jvm {
                Jvm::Load(Kind::Int, _) if step.web.is_some_and(|w| self.web_is_int(flow, w)) => {
                    changed |= self.make_int(flow, step.result);
                }
                jvm @ (Jvm::Binary(_) | Jvm::Neg | Jvm::IfZero(..) | Jvm::IfInt(..) | Jvm::Switch { .. }) => {
                    let wide = self.wide[at]
                        || overflow(jvm, step).is_some()
                        || step.operands.iter().any(|v| self.is_int(flow, *v))
                        || step
                            .result
                            .is_some_and(|r| self.is_int(flow, r) && !range(r).within(Range::SHORT));
                    if wide {
                        changed |= !std::mem::replace(&mut self.wide[at], true);
                        for value in &step.operands {
                            changed |= self.make_int(flow, Some(*value));
                        }
                        changed |= self.make_int(flow, step.result);
                    }
                }
                jvm => {
                    let demands = demands(jvm, operand, step, &ty.result, self, flow);
                    for (value, demand) in step.operands.iter().zip(demands) {
                        if demand == Demand::Int {
                            changed |= self.make_int(flow, Some(*value));
                        }
                    }
                }
            }
        }
        changed
    }

    /// Sees to it that an operand which must have 16 bits can be brought there.
    fn settle(
        &mut self,
        flow: &Flow,
        at: usize,
        value: Value,
        what: &'static str,
        top: bool,
    ) -> std::result::Result<(), ConvertRule> {
        let Value::Int { node, .. } = value else { return Ok(()) };
        if !self.is_int(flow, value) || top {
            return Ok(());
        }
        // Below the top of the stack: only possible where the value is made, and if nobody else wants all of it.
        let root = flow.nodes.find(node);
        let steps = flow.steps.iter().enumerate().filter_map(|(i, s)| Some((i, s.as_ref()?)));
        let is_it = |v: &Value| matches!(v, Value::Int { node, .. } if flow.nodes.find(*node) == root);
        let uses = steps.clone().filter(|(_, s)| s.operands.iter().any(is_it)).count();
        let makers: Vec<usize> =
            steps.filter(|(_, s)| s.result.as_ref().is_some_and(is_it)).map(|(i, _)| i).collect();
        if uses != 1 || makers.len() != 1 {
            return Err(ConvertRule::IntOperand(what));
        }
        debug_assert!(makers[0] != at);
        self.cut[makers[0]] = true;
        self.node[root as usize] = false;
        Ok(())
    }
}

/// Whether a value stored where 8 bits are kept has to be cut to them first.
pub(super) fn needs_byte_cut(ty: &JavaType, value: Value) -> bool {
    *ty == JavaType::Byte && !range(value).within(Range::BYTE)
}

/// The interval of a value.
pub(super) fn range_of_value(value: Value) -> Range {
    range(value)
}
