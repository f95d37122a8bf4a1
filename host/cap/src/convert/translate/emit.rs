//! Instruction selection: from analysed JVM instructions to Java Card instructions.

use std::collections::HashSet;

use super::flow::{Flow, Step, Value};
use super::ir::{Body, FieldKind, Hold, IrHandler, Item, Op, Web};
use super::operands::{Operand, ATYPE_REFERENCE};
use super::range::Range;
use super::uses::{byte_only, erasable};
use super::width::{needs_byte_cut, range_of_value, Widths};
use crate::classfile::{ArrayKind, BinaryOp, Code, Condition, InvokeKind, JavaType, Jvm, Kind, MethodType};
use crate::convert::diagnostics::ConvertRule;
use crate::convert::resolve::{CallTarget, ClassKey, CpKey, CpTable};
use crate::opcodes::Opcode;

/// What selection needs to know of a method.
pub(super) struct Source<'a> {
    pub(super) code: &'a Code,
    pub(super) ty: &'a MethodType,
    pub(super) is_static: bool,
    pub(super) operands: &'a [Operand],
    pub(super) flow: &'a Flow,
    pub(super) widths: &'a Widths,
    /// Instance fields whose pool index fits one byte.
    pub(super) short_fields: &'a HashSet<CpKey>,
    /// Resolved catch types, one per handler.
    pub(super) catch_types: &'a [Option<ClassKey>],
}

struct Emitter<'a> {
    s: &'a Source<'a>,
    cp: &'a mut CpTable,
    items: Vec<Item>,
    at: usize,
    /// Node representatives that are `this` and never pushed, because all their uses have a `_this` form.
    erased: HashSet<u32>,
    /// Node representatives whose low eight bits are all that is used.
    byte_only: HashSet<u32>,
}

type Result<T> = std::result::Result<T, (usize, ConvertRule)>;

/// Selects instructions for a method. Labels are the indices of JVM instructions.
pub(super) fn emit(source: &Source<'_>, cp: &mut CpTable) -> Result<Body> {
    let n = source.code.instructions.len();
    let mut labelled = vec![false; n + 1];
    for (instruction, step) in source.code.instructions.iter().zip(&source.flow.steps) {
        if step.is_some() {
            instruction.jvm.targets().into_iter().for_each(|t| labelled[t] = true);
        }
    }
    for handler in &source.code.handlers {
        for at in [handler.start, handler.end, handler.handler] {
            labelled[at] = true;
        }
    }
    let erased = erasable(source);
    let byte_only = byte_only(source);
    let mut emitter = Emitter { s: source, cp, items: Vec::new(), at: 0, erased, byte_only };
    for (at, labelled) in labelled.iter().take(n).enumerate() {
        if *labelled {
            emitter.items.push(Item::Label(at));
        }
        if let Some(step) = &source.flow.steps[at] {
            emitter.at = at;
            emitter.instruction(step)?;
        }
    }
    emitter.items.push(Item::Label(n));
    let Emitter { items, cp, .. } = emitter;
    let mut handlers = Vec::new();
    for (handler, class) in source.code.handlers.iter().zip(source.catch_types) {
        if source.flow.steps[handler.handler].is_some() {
            let catch = class.map(|class| cp.class(class));
            handlers.push(IrHandler {
                start: handler.start,
                end: handler.end,
                handler: handler.handler,
                catch,
            });
        }
    }
    Ok(Body { items, handlers, labels: n + 1, parameters: parameters(source), has_this: !source.is_static })
}

/// The parameters by web, `this` first.
fn parameters(source: &Source<'_>) -> Vec<(Web, Hold)> {
    let this = (!source.is_static).then_some(Hold::Reference);
    let others = source.ty.parameters.iter().map(|ty| match ty {
        JavaType::Int => Hold::Int,
        ty if ty.is_reference() => Hold::Reference,
        _ => Hold::Short,
    });
    (0..)
        .zip(this.into_iter().chain(others))
        .map(|(slot, hold)| (source.flow.webs.find(slot), hold))
        .collect()
}

impl Emitter<'_> {
    fn op(&mut self, op: Op) {
        self.items.push(Item::Op(op, self.at));
    }

    fn plain(&mut self, opcode: Opcode) {
        self.op(Op::Plain(opcode));
    }

    fn is_int(&self, value: Value) -> bool {
        self.s.widths.is_int(self.s.flow, value)
    }

    fn cells(&self, value: Value) -> u8 {
        match value {
            Value::Ref { node, .. } if self.erased.contains(&self.s.flow.nodes.find(node)) => 0,
            value if self.is_int(value) => 2,
            _ => 1,
        }
    }

    fn is_erased(&self, value: Value) -> bool {
        self.cells(value) == 0
    }

    /// Brings the value on top to the width its uses want.
    fn deliver(&mut self, step: &Step, native_int: bool) {
        let Some(value @ Value::Int { .. }) = step.result else { return };
        match (native_int, self.is_int(value)) {
            (false, true) => self.plain(Opcode::S2i),
            (true, false) => self.plain(Opcode::I2s),
            _ => {}
        }
    }

    /// Cuts the value on top to 16 bits where it has 32.
    fn cut(&mut self, value: Value) {
        if self.is_int(value) {
            self.plain(Opcode::I2s);
        }
    }

    fn constant(&mut self, value: i32, step: &Step) {
        if step.result.is_some_and(|r| self.is_int(r)) {
            self.op(Op::Int(value));
        } else {
            self.op(Op::Short(low_16_bits(value)));
        }
    }

    fn wide(&self) -> bool {
        self.s.widths.wide[self.at]
    }

    fn hold(&self, kind: Kind, web: u32) -> (Hold, Web) {
        let hold = match kind {
            Kind::Reference => Hold::Reference,
            Kind::Int if self.s.widths.web_is_int(self.s.flow, web) => Hold::Int,
            Kind::Int => Hold::Short,
        };
        (hold, self.s.flow.webs.find(web))
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T> {
        Err((self.at, ConvertRule::Malformed(what)))
    }

    fn instruction(&mut self, step: &Step) -> Result<()> {
        let s = self.s;
        let at = self.at;
        match (&s.code.instructions[at].jvm, &s.operands[at]) {
            (Jvm::Nop, _) => {}
            (Jvm::Null, _) => self.plain(Opcode::AconstNull),
            (Jvm::Const(value), _) | (Jvm::Ldc(_) | Jvm::GetStatic(_), Operand::Constant(value)) => {
                self.constant(*value, step);
            }
            (Jvm::Load(kind, _), _) => {
                let (Some(web), Some(result)) = (step.web, step.result) else {
                    return self.malformed("local variable");
                };
                if !self.is_erased(result) {
                    let (hold, web) = self.hold(*kind, web);
                    self.op(Op::Load(hold, web));
                    self.deliver(step, hold == Hold::Int);
                }
            }
            (Jvm::Store(kind, _), _) => {
                let Some(web) = step.web else { return self.malformed("local variable") };
                let (hold, web) = self.hold(*kind, web);
                if hold == Hold::Short {
                    self.cut(step.operands[0]);
                }
                self.op(Op::Store(hold, web));
            }
            (Jvm::Increment { by, .. }, _) => {
                let Some(web) = step.web else { return self.malformed("local variable") };
                let (hold, web) = self.hold(Kind::Int, web);
                self.op(Op::Increment(hold, web, *by));
            }
            (Jvm::ArrayLoad(kind), _) => {
                self.cut(step.operands[1]);
                self.plain(match kind {
                    ArrayKind::Reference => Opcode::Aaload,
                    ArrayKind::Byte => Opcode::Baload,
                    ArrayKind::Short => Opcode::Saload,
                    ArrayKind::Int => Opcode::Iaload,
                });
                self.deliver(step, *kind == ArrayKind::Int);
            }
            (Jvm::ArrayStore(kind), _) => {
                self.plain_array_store(*kind, step);
            }
            (Jvm::Pop, _) => self.pop(self.cells(step.operands[0])),
            (Jvm::Pop2, _) => self.pop(self.cells(step.operands[0]) + self.cells(step.operands[1])),
            (Jvm::Dup, _) => self.dup(step, 1, 0)?,
            (Jvm::DupX1, _) => self.dup(step, 1, 1)?,
            (Jvm::DupX2, _) => self.dup(step, 1, 2)?,
            (Jvm::Dup2, _) => self.dup(step, 2, 0)?,
            (Jvm::Dup2X1, _) => self.dup(step, 2, 1)?,
            (Jvm::Dup2X2, _) => self.dup(step, 2, 2)?,
            (Jvm::Swap, _) => {
                let (n, m) = (self.cells(step.operands[0]), self.cells(step.operands[1]));
                if m > 0 && n > 0 {
                    self.op(Op::Swap { m, n });
                }
            }
            (Jvm::Binary(op), _) => {
                let wide = self.wide();
                self.plain(binary(*op, wide));
                self.deliver(step, wide);
            }
            (Jvm::Neg, _) => {
                let wide = self.wide();
                self.plain(if wide { Opcode::Ineg } else { Opcode::Sneg });
                self.deliver(step, wide);
            }
            (Jvm::IntToByte, _) => self.int_to_byte(step),
            (Jvm::IntToShort, _) => {
                self.cut(step.operands[0]);
                self.deliver(step, false);
            }
            (Jvm::IfZero(condition, target), _) => {
                if self.wide() {
                    self.op(Op::Int(0));
                    self.plain(Opcode::Icmp);
                }
                self.op(Op::Branch(if_zero(*condition), *target));
            }
            (Jvm::IfInt(condition, target), _) => {
                if self.wide() {
                    self.plain(Opcode::Icmp);
                    self.op(Op::Branch(if_zero(*condition), *target));
                } else {
                    self.op(Op::Branch(if_short(*condition), *target));
                }
            }
            (Jvm::IfReference(condition, target), _) => {
                let equal = *condition == Condition::Eq;
                self.op(Op::Branch(if equal { Opcode::IfAcmpeq } else { Opcode::IfAcmpne }, *target));
            }
            (Jvm::IfNull(condition, target), _) => {
                let null = *condition == Condition::Eq;
                self.op(Op::Branch(if null { Opcode::Ifnull } else { Opcode::Ifnonnull }, *target));
            }
            (Jvm::Goto(target), _) => self.op(Op::Branch(Opcode::Goto, *target)),
            (Jvm::Switch { default, cases }, _) => self.switch(*default, cases),
            (Jvm::Return(kind), _) => self.result(*kind, step),
            (Jvm::Throw, _) => self.plain(Opcode::Athrow),
            (Jvm::GetStatic(_), Operand::Field(key, ty)) => {
                let cp = self.field_entry(*key, ty);
                self.op(Op::Static { get: true, kind: field_kind(ty), cp });
                self.deliver(step, *ty == JavaType::Int);
            }
            (Jvm::PutStatic(_), Operand::Field(key, ty)) => {
                self.fit(ty, step.operands[0]);
                let cp = self.field_entry(*key, ty);
                self.op(Op::Static { get: false, kind: field_kind(ty), cp });
            }
            (Jvm::GetField(_), Operand::Field(key, ty)) => {
                let this = self.is_erased(step.operands[0]);
                let cp = self.field_entry(*key, ty);
                self.op(Op::Field { get: true, kind: field_kind(ty), this, cp });
                self.deliver(step, *ty == JavaType::Int);
            }
            (Jvm::PutField(_), Operand::Field(key, ty)) => {
                self.fit(ty, step.operands[1]);
                let this = self.is_erased(step.operands[0]);
                let cp = self.field_entry(*key, ty);
                self.op(Op::Field { get: false, kind: field_kind(ty), this, cp });
            }
            (Jvm::Invoke(kind, index), Operand::Call(call)) => {
                let class = &call.ty;
                self.arguments(class, call.instance, step)?;
                let receiver = usize::from(*kind != InvokeKind::Static);
                let (pops, pushes) = (receiver + class.parameter_cells(), class.result.cells());
                let limit = ConvertRule::Limit {
                    limit: crate::convert::diagnostics::Limit::ArgumentCells,
                    count: pops,
                    max: 255,
                };
                let pops = u8::try_from(pops).map_err(|_| (at, limit))?;
                let pushes = u8::try_from(pushes).unwrap_or(2);
                let _ = index;
                let descriptor = descriptor_of(class);
                self.call(call.target, &descriptor, pops, pushes);
                self.deliver(step, class.result == JavaType::Int);
            }
            (Jvm::New(_), Operand::Class(class)) => {
                let cp = self.cp.class(*class);
                self.op(Op::Class { opcode: Opcode::New, cp });
            }
            (Jvm::NewReferenceArray(_), Operand::Class(class)) => {
                self.cut(step.operands[0]);
                let cp = self.cp.class(*class);
                self.op(Op::Class { opcode: Opcode::Anewarray, cp });
            }
            (Jvm::NewArray(_), Operand::ArrayType(atype)) => {
                self.cut(step.operands[0]);
                self.op(Op::NewArray(*atype));
            }
            (Jvm::ArrayLength, _) => {
                self.plain(Opcode::Arraylength);
                self.deliver(step, false);
            }
            (Jvm::CheckCast(_), operand) => self.type_check(Opcode::Checkcast, operand)?,
            (Jvm::InstanceOf(_), operand) => {
                self.type_check(Opcode::Instanceof, operand)?;
                self.deliver(step, false);
            }
            _ => return self.malformed("instruction"),
        }
        Ok(())
    }

    fn plain_array_store(&mut self, kind: ArrayKind, step: &Step) {
        let (opcode, cut) = match kind {
            ArrayKind::Reference => (Opcode::Aastore, false),
            ArrayKind::Byte => (Opcode::Bastore, true),
            ArrayKind::Short => (Opcode::Sastore, true),
            ArrayKind::Int => (Opcode::Iastore, false),
        };
        if cut {
            self.cut(step.operands[2]);
        }
        self.plain(opcode);
    }

    fn pop(&mut self, mut cells: u8) {
        while cells >= 2 {
            self.plain(Opcode::Pop2);
            cells -= 2;
        }
        if cells == 1 {
            self.plain(Opcode::Pop);
        }
    }

    /// Copies the upper `copied` values below `below` further ones.
    fn dup(&mut self, step: &Step, copied: usize, below: usize) -> Result<()> {
        let count = step.operands.len();
        let cells = |values: &[Value]| values.iter().map(|v| self.cells(*v)).sum::<u8>();
        let m = cells(&step.operands[count - copied..]);
        let under = cells(&step.operands[count - copied - below..count - copied]);
        // JCVM 7.5.18: m is 1 to 4, n is 0 or m to m + 4.
        if m > 4 || under > 4 {
            return self.malformed("operand stack rearrangement");
        }
        if m > 0 {
            self.op(Op::Dup { m, n: if under == 0 { 0 } else { m + under } });
        }
        Ok(())
    }

    fn int_to_byte(&mut self, step: &Step) {
        let Some(result) = step.result else { return };
        let operand = step.operands[0];
        let needless = range_of_value(operand).within(Range::BYTE) || self.is_byte_only(result);
        if self.is_int(operand) {
            self.plain(if needless { Opcode::I2s } else { Opcode::I2b });
        } else if !needless {
            self.plain(Opcode::S2b);
        }
        self.deliver(step, false);
    }

    fn is_byte_only(&self, value: Value) -> bool {
        matches!(value, Value::Int { node, .. } if self.byte_only.contains(&self.s.flow.nodes.find(node)))
    }

    /// Fits the topmost value to a field or result type.
    fn fit(&mut self, ty: &JavaType, value: Value) {
        if *ty == JavaType::Int || ty.is_reference() {
            return;
        }
        self.cut(value);
        if needs_byte_cut(ty, value) {
            self.plain(Opcode::S2b);
        }
    }

    fn result(&mut self, kind: Option<Kind>, step: &Step) {
        let opcode = match kind {
            None => Opcode::Return,
            Some(Kind::Reference) => Opcode::Areturn,
            Some(Kind::Int) if self.s.ty.result == JavaType::Int => Opcode::Ireturn,
            Some(Kind::Int) => {
                self.fit(&self.s.ty.result, step.operands[0]);
                Opcode::Sreturn
            }
        };
        self.plain(opcode);
    }

    /// Arguments below the top were cut where they were made.
    fn arguments(&mut self, ty: &MethodType, instance: bool, step: &Step) -> Result<()> {
        let values = &step.operands[usize::from(instance)..];
        for (position, (ty, value)) in ty.parameters.iter().zip(values).enumerate() {
            if position + 1 == values.len() {
                self.fit(ty, *value);
            } else if needs_byte_cut(ty, *value) {
                return self.malformed("argument is no byte");
            }
        }
        Ok(())
    }

    fn field_entry(&mut self, key: CpKey, ty: &JavaType) -> usize {
        self.cp.id(key, Some(&type_descriptor(ty)))
    }

    fn call(&mut self, target: CallTarget, descriptor: &str, pops: u8, pushes: u8) {
        let (opcode, key) = match target {
            CallTarget::Virtual(key) => (Opcode::Invokevirtual, key),
            CallTarget::Special(key) => (Opcode::Invokespecial, key),
            CallTarget::Static(key) => (Opcode::Invokestatic, key),
            CallTarget::Interface { class, token } => {
                let cp = self.cp.class(class);
                return self.op(Op::InvokeInterface { nargs: pops, cp, token, pushes });
            }
        };
        let cp = self.cp.id(key, Some(descriptor));
        self.op(Op::Invoke { opcode, cp, pops, pushes });
    }

    fn type_check(&mut self, opcode: Opcode, operand: &Operand) -> Result<()> {
        let (atype, class) = match operand {
            Operand::Class(class) => (0, Some(*class)),
            Operand::Array(atype, class) => (*atype, *class),
            _ => return self.malformed("type"),
        };
        debug_assert!(class.is_none() || atype == 0 || atype == ATYPE_REFERENCE);
        let cp = class.map(|class| self.cp.class(class));
        self.op(Op::TypeCheck { opcode, atype, cp });
        Ok(())
    }

    /// Keys that a 16-bit selector cannot have are left out.
    fn switch(&mut self, default: usize, cases: &[(i32, usize)]) {
        let int = self.wide();
        let fits = |key: i32| int || Range::constant(key).within(Range::SHORT);
        let mut cases: Vec<(i32, usize)> =
            cases.iter().copied().filter(|(key, t)| fits(*key) && *t != default).collect();
        cases.sort_unstable();
        self.op(Op::Switch { int, default, cases });
    }
}

fn low_16_bits(value: i32) -> i16 {
    let [.., high, low] = value.to_be_bytes();
    i16::from_be_bytes([high, low])
}

fn binary(op: BinaryOp, wide: bool) -> Opcode {
    use Opcode as O;
    let (short, int) = match op {
        BinaryOp::Add => (O::Sadd, O::Iadd),
        BinaryOp::Sub => (O::Ssub, O::Isub),
        BinaryOp::Mul => (O::Smul, O::Imul),
        BinaryOp::Div => (O::Sdiv, O::Idiv),
        BinaryOp::Rem => (O::Srem, O::Irem),
        BinaryOp::Shl => (O::Sshl, O::Ishl),
        BinaryOp::Shr => (O::Sshr, O::Ishr),
        BinaryOp::Ushr => (O::Sushr, O::Iushr),
        BinaryOp::And => (O::Sand, O::Iand),
        BinaryOp::Or => (O::Sor, O::Ior),
        BinaryOp::Xor => (O::Sxor, O::Ixor),
    };
    if wide {
        int
    } else {
        short
    }
}

fn if_zero(condition: Condition) -> Opcode {
    match condition {
        Condition::Eq => Opcode::Ifeq,
        Condition::Ne => Opcode::Ifne,
        Condition::Lt => Opcode::Iflt,
        Condition::Ge => Opcode::Ifge,
        Condition::Gt => Opcode::Ifgt,
        Condition::Le => Opcode::Ifle,
    }
}

fn if_short(condition: Condition) -> Opcode {
    match condition {
        Condition::Eq => Opcode::IfScmpeq,
        Condition::Ne => Opcode::IfScmpne,
        Condition::Lt => Opcode::IfScmplt,
        Condition::Ge => Opcode::IfScmpge,
        Condition::Gt => Opcode::IfScmpgt,
        Condition::Le => Opcode::IfScmple,
    }
}

fn field_kind(ty: &JavaType) -> FieldKind {
    match ty {
        JavaType::Boolean | JavaType::Byte => FieldKind::Byte,
        JavaType::Short => FieldKind::Short,
        JavaType::Int => FieldKind::Int,
        _ => FieldKind::Reference,
    }
}

/// The descriptor of a type, as in class files.
pub(in crate::convert) fn type_descriptor(ty: &JavaType) -> String {
    match ty {
        JavaType::Void => "V".into(),
        JavaType::Boolean => "Z".into(),
        JavaType::Byte => "B".into(),
        JavaType::Short => "S".into(),
        JavaType::Int => "I".into(),
        JavaType::Char => "C".into(),
        JavaType::Long => "J".into(),
        JavaType::Float => "F".into(),
        JavaType::Double => "D".into(),
        JavaType::Class(name) => format!("L{name};"),
        JavaType::Array(element) => format!("[{}", type_descriptor(element)),
    }
}

fn descriptor_of(ty: &MethodType) -> String {
    let parameters: String = ty.parameters.iter().map(type_descriptor).collect();
    format!("({parameters}){}", type_descriptor(&ty.result))
}

/// Webs with the type of the parameter they begin as.
pub(super) fn parameter_webs(ty: &MethodType, is_static: bool) -> Vec<(u32, JavaType)> {
    let first = u32::from(!is_static);
    (first..).zip(ty.parameters.iter().cloned()).collect()
}
