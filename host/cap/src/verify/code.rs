//! Code as it stands, path by path comes later (see `flow`): instruction boundaries, operands, branch targets,
//! constant pool kinds, exception handlers.

use super::layout::Body;
use super::pool::Entry;
use super::world::World;
use super::{Findings, Rule};
use crate::code::{decode, CodeError, Instruction, Operands};
use crate::model::{ComponentTag, ExceptionHandler};
use crate::opcodes::{Layout, Opcode};

/// A method whose instructions stand on their own.
pub(super) struct ScannedMethod<'a> {
    pub(super) body: Body<'a>,
    pub(super) instructions: Vec<Instruction>,
    /// Offset in the code to index in `instructions`.
    index: Vec<Option<u16>>,
    /// Where the first use of int stands, as offset in Method's info.
    pub(super) first_int: Option<usize>,
    /// No fault was found: the method may be interpreted.
    pub(super) sound: bool,
}

impl ScannedMethod<'_> {
    /// The instruction that begins at an offset in the code.
    pub(super) fn at(&self, offset: usize) -> Option<usize> {
        self.index.get(offset).copied().flatten().map(usize::from)
    }

    /// The instruction an i64 target leads to.
    pub(super) fn target(&self, target: i64) -> Option<usize> {
        self.at(usize::try_from(target).ok()?)
    }

    /// Offset in the code of what Method's offsets count from the start of the info.
    pub(super) fn relative(&self, offset: u16) -> Option<usize> {
        usize::from(offset).checked_sub(self.body.code_at)
    }
}

/// What is wrong with one instruction.
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(rule: Rule, message: impl Into<String>) -> Self {
        Self { rule, message: message.into() }
    }
}

pub(super) fn scan<'a>(
    world: &World<'_>,
    pool: &[Option<Entry>],
    bodies: Vec<Body<'a>>,
    findings: &mut Findings,
) -> Vec<ScannedMethod<'a>> {
    check_handler_order(world, findings);
    bodies.into_iter().map(|body| scan_method(world, pool, body, findings)).collect()
}

fn scan_method<'a>(
    world: &World<'_>,
    pool: &[Option<Entry>],
    body: Body<'a>,
    findings: &mut Findings,
) -> ScannedMethod<'a> {
    let before = findings.errors;
    let mut fault = |at: usize, fault: Fault| {
        let (at, site) = (body.code_at + at, Some(body.site.clone()));
        findings.add_in(fault.rule, ComponentTag::Method, at, site, fault.message);
    };
    let instructions = decode(body.code).unwrap_or_else(|error| {
        let rule = match error {
            CodeError::UnknownOpcode { .. } => Rule::CodeOpcode,
            CodeError::Truncated { .. } => Rule::CodeTruncated,
            CodeError::SwitchRange { .. } => Rule::CodeSwitch,
        };
        fault(error.offset(), Fault::new(rule, error.to_string()));
        Vec::new()
    });
    let mut index = vec![None; body.code.len()];
    for (number, instruction) in instructions.iter().enumerate() {
        index[instruction.offset] = u16::try_from(number).ok();
    }
    let mut method = ScannedMethod { body, instructions, index, first_int: None, sound: false };
    for instruction in &method.instructions {
        for found in [
            check_operands(instruction),
            check_pool(world, pool, instruction),
            check_locals(&method, instruction),
            check_targets(&method, instruction),
        ] {
            if let Err(error) = found {
                let (at, site) = (method.body.code_at + instruction.offset, Some(method.body.site.clone()));
                findings.add_in(error.rule, ComponentTag::Method, at, site, error.message);
            }
        }
    }
    method.first_int = method
        .instructions
        .iter()
        .find(|i| uses_int(i))
        .map(|instruction| method.body.code_at + instruction.offset);
    check_handlers(world, pool, &method, findings);
    method.sound = findings.errors == before && !method.instructions.is_empty();
    method
}

/// Values that the layout allows and the instruction does not.
fn check_operands(instruction: &Instruction) -> Result<(), Fault> {
    let fault = |rule, what: String| Err(Fault::new(rule, format!("{}: {what}", instruction.opcode)));
    match (&instruction.operands, instruction.opcode) {
        (&Operands::Nibbles { m, n }, opcode) => {
            let fits = match opcode {
                // n counts the cells below the copy, the m copied ones included; 0 leaves it on top.
                Opcode::DupX => (1..=4).contains(&m) && (n == 0 || (m..=m + 4).contains(&n)),
                _ => (1..=2).contains(&m) && (1..=2).contains(&n),
            };
            if !fits {
                return fault(Rule::CodeOperand, format!("m {m}, n {n}"));
            }
        }
        (&Operands::ArrayType(ty), _) if !(10..=13).contains(&ty) => {
            return fault(Rule::CodeOperand, format!("element type {ty}"));
        }
        (&Operands::TypeCheck { atype, index }, _) => {
            let primitive = (10..=13).contains(&atype);
            if !primitive && atype != 0 && atype != 14 || primitive && index != 0 {
                return fault(Rule::CodeOperand, format!("type {atype}, index {index}"));
            }
        }
        (Operands::LookupSwitch { pairs, .. }, _) => {
            if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                return fault(Rule::CodeSwitch, format!("{} before {}", pair[0].0, pair[1].0));
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_pool(world: &World<'_>, pool: &[Option<Entry>], instruction: &Instruction) -> Result<(), Fault> {
    let Some(index) = instruction.pool_index() else { return Ok(()) };
    let Some(entry) = pool.get(usize::from(index)) else {
        let message = format!("{} {index}, there are {} entries", instruction.opcode, pool.len());
        return Err(Fault::new(Rule::CodePoolIndex, message));
    };
    let Some(entry) = entry else { return Ok(()) };
    let fits = match (instruction.opcode, entry) {
        (Opcode::Invokevirtual, Entry::Virtual { .. })
        | (Opcode::Invokespecial, Entry::StaticMethod(_) | Entry::Super { .. })
        | (Opcode::Invokestatic, Entry::StaticMethod(_))
        | (Opcode::New | Opcode::Anewarray | Opcode::Checkcast | Opcode::Instanceof, Entry::Class(_)) => true,
        (Opcode::Invokeinterface, &Entry::Class(id)) => world.get(id).is_interface,
        (opcode, Entry::StaticField(_)) => is_static_access(opcode),
        (opcode, Entry::InstanceField(_)) => {
            !is_static_access(opcode)
                && matches!(opcode.layout(), Layout::PoolByte | Layout::PoolShort)
                && opcode.mnemonic().contains("field")
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let message = format!("{} of entry {index}, {}", instruction.opcode, entry.kind());
    Err(Fault::new(Rule::CodePoolKind, message))
}

fn is_static_access(opcode: Opcode) -> bool {
    (Opcode::GetstaticA..=Opcode::PutstaticI).contains(&opcode)
}

fn check_locals(method: &ScannedMethod<'_>, instruction: &Instruction) -> Result<(), Fault> {
    let Some((local, cells)) = local(instruction) else { return Ok(()) };
    let header = method.body.header;
    let available = usize::from(header.nargs) + usize::from(header.max_locals);
    if local + cells <= available {
        return Ok(());
    }
    let message = format!("{} {local}, there are {available} cells", instruction.opcode);
    Err(Fault::new(Rule::CodeLocal, message))
}

/// The local variable an instruction names, and the cells it takes. The `_this` instructions name 0.
pub(super) fn local(instruction: &Instruction) -> Option<(usize, usize)> {
    use Opcode as O;
    let opcode = instruction.opcode;
    let int = matches!(opcode, O::Iload | O::Istore | O::Iinc | O::IincW)
        || (O::Iload0..=O::Iload3).contains(&opcode)
        || (O::Istore0..=O::Istore3).contains(&opcode);
    let cells = if int { 2 } else { 1 };
    let short_form = [
        (O::Aload0, O::Aload3),
        (O::Sload0, O::Sload3),
        (O::Iload0, O::Iload3),
        (O::Astore0, O::Astore3),
        (O::Sstore0, O::Sstore3),
        (O::Istore0, O::Istore3),
    ];
    if let Some((first, _)) = short_form.into_iter().find(|&(a, b)| (a..=b).contains(&opcode)) {
        return Some((usize::from(opcode as u8 - first as u8), cells));
    }
    if opcode.mnemonic().ends_with("_this") {
        return Some((0, 1));
    }
    match instruction.operands {
        Operands::Local(local) | Operands::Increment { local, .. } => Some((local.into(), cells)),
        _ => None,
    }
}

fn check_targets(method: &ScannedMethod<'_>, instruction: &Instruction) -> Result<(), Fault> {
    let wrong = instruction.targets().into_iter().find(|&target| method.target(target).is_none());
    let Some(target) = wrong else { return Ok(()) };
    let at = i64::try_from(method.body.code_at).unwrap_or(0).saturating_add(target);
    let message = format!("{} to {at:#x}, where no instruction begins", instruction.opcode);
    Err(Fault::new(Rule::CodeBranch, message))
}

/// Whether an instruction handles int values (JCVM table 7-3).
fn uses_int(instruction: &Instruction) -> bool {
    use Opcode as O;
    match instruction.operands {
        Operands::ArrayType(ty) => return ty == 13,
        Operands::TypeCheck { atype, .. } => return atype == 13,
        _ => {}
    }
    let name = instruction.opcode.mnemonic();
    let not_int = ["if", "invoke"].iter().any(|prefix| name.starts_with(prefix));
    name.starts_with('i') && !not_int
        || name.ends_with("_i")
        || name.contains("field_i_")
        || matches!(instruction.opcode, O::Bipush | O::Sipush | O::S2i)
}

/// The whole table: ascending handler offsets.
fn check_handler_order(world: &World<'_>, findings: &mut Findings) {
    let handlers = &world.cap.method.handlers;
    for (index, pair) in handlers.windows(2).enumerate() {
        if pair[1].handler_offset < pair[0].handler_offset {
            let message = format!("{:#06x} before {:#06x}", pair[0].handler_offset, pair[1].handler_offset);
            findings.add(Rule::HandlerOrder, ComponentTag::Method, handler_at(index + 1), message);
        }
    }
}

/// Offset of an exception_handler_info in Method's info.
fn handler_at(index: usize) -> usize {
    1 + 8 * index
}

fn check_handlers(
    world: &World<'_>,
    pool: &[Option<Entry>],
    method: &ScannedMethod<'_>,
    findings: &mut Findings,
) {
    let body = &method.body;
    for (index, handler) in body.handlers.iter().enumerate() {
        let at = handler_at(body.first_handler + index);
        let mut fault = |rule, message| {
            findings.add_in(rule, ComponentTag::Method, at, Some(body.site.clone()), message);
        };
        let start = method.relative(handler.start_offset);
        let end = start.map(|start| start + usize::from(handler.active_length));
        let starts = start.is_some_and(|start| method.at(start).is_some());
        let ends = end.is_some_and(|end| end == body.code.len() || method.at(end).is_some());
        if !starts || !ends || handler.active_length == 0 {
            let (start, len) = (handler.start_offset, handler.active_length);
            fault(Rule::HandlerRange, format!("{len} bytes from {start:#06x}"));
        }
        if method.relative(handler.handler_offset).and_then(|at| method.at(at)).is_none() {
            fault(Rule::HandlerTarget, format!("{:#06x}", handler.handler_offset));
        }
        let caught = handler.catch_type_index;
        let throwable = match pool.get(usize::from(caught)) {
            Some(Some(Entry::Class(id))) => world.is_subtype(*id, world.throwable),
            _ => false,
        };
        if caught != 0 && !throwable {
            fault(Rule::HandlerCatch, format!("constant pool entry {caught}"));
        }
        if let Some(later) = body.handlers[index + 1..].iter().find(|later| encloses(later, handler)) {
            if handler.stop {
                let message = format!("the handler at {:#06x} is not reached", later.handler_offset);
                fault(Rule::HandlerStop, message);
            }
        }
    }
}

/// Whether a handler protects everything another one does.
fn encloses(outer: &ExceptionHandler, inner: &ExceptionHandler) -> bool {
    let end = |h: &ExceptionHandler| u32::from(h.start_offset) + u32::from(h.active_length);
    outer.start_offset <= inner.start_offset && end(inner) <= end(outer)
}
