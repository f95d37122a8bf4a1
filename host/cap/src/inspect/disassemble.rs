//! Bytecode with names.

use super::names::Names;
use crate::code::{self, Instruction, Operands};
use crate::model::{Cap, ClassRef, CpInfo, ExceptionHandler, MethodHeader, StaticRef};
use crate::opcodes::Opcode;

/// A method with its code.
#[derive(Debug, Clone)]
pub struct DisassembledMethod {
    /// Offset of the header in the info of Method.
    pub offset: u16,
    /// Name and signature, as far as they can be told.
    pub name: String,
    /// Header.
    pub header: MethodHeader,
    /// Instructions; empty for abstract methods.
    pub instructions: Vec<DisassembledInstruction>,
    /// What follows the last byte that is an instruction, when not all are.
    pub undecoded: Option<String>,
    /// Handlers whose range begins in the method.
    pub handlers: Vec<ExceptionHandler>,
}

/// An instruction with its operands as text.
#[derive(Debug, Clone)]
pub struct DisassembledInstruction {
    /// The instruction; offsets count from the first byte of code.
    pub instruction: Instruction,
    /// Operands: numbers, targets as offsets, names.
    pub operands: String,
}

impl std::fmt::Display for DisassembledInstruction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mnemonic = self.instruction.opcode.mnemonic();
        if self.operands.is_empty() {
            f.write_str(mnemonic)
        } else {
            write!(f, "{mnemonic} {}", self.operands)
        }
    }
}

/// All methods in the order of their offsets. With Descriptor the lengths are known; without, a method is taken to
/// reach to the next one that anything refers to.
pub fn disassemble(cap: &Cap, names: &Names<'_>) -> Vec<DisassembledMethod> {
    let mut spans = method_spans(cap);
    spans.sort_unstable();
    spans.dedup_by_key(|(offset, _)| *offset);
    let mut out = Vec::new();
    for (index, (offset, len)) in spans.iter().enumerate() {
        let Ok(header) = cap.method.header_at(*offset) else { continue };
        let rest = cap.method.bytes_at(*offset).unwrap_or(&[]);
        let end = match (len, spans.get(index + 1)) {
            (Some(len), _) => header.size() + usize::from(*len),
            (None, Some((next, _))) => usize::from(next - offset),
            (None, None) => rest.len(),
        };
        let body = rest.get(header.size()..end.min(rest.len())).unwrap_or(&[]);
        let body = if header.is_abstract() { &[] } else { body };
        let mut instructions = Vec::new();
        let (mut at, mut undecoded) = (0, None);
        while at < body.len() {
            match Instruction::decode(body, at) {
                Ok(instruction) => {
                    at += instruction.len();
                    let operands = operands(cap, names, &instruction);
                    instructions.push(DisassembledInstruction { instruction, operands });
                }
                Err(error) => {
                    undecoded = Some(code::CodeError::to_string(&error));
                    break;
                }
            }
        }
        let span = usize::from(*offset)..usize::from(*offset) + end;
        let handlers = cap
            .method
            .handlers
            .iter()
            .filter(|h| span.contains(&usize::from(h.start_offset)))
            .copied()
            .collect();
        let name = names.method(*offset);
        out.push(DisassembledMethod { offset: *offset, name, header, instructions, undecoded, handlers });
    }
    out
}

/// Offsets of methods, with the length of their code where Descriptor tells it.
fn method_spans(cap: &Cap) -> Vec<(u16, Option<u16>)> {
    if let Some(descriptor) = &cap.descriptor {
        let methods = descriptor.classes.iter().flat_map(|c| &c.methods).filter(|m| m.method_offset != 0);
        return methods.map(|m| (m.method_offset, Some(m.bytecode_count))).collect();
    }
    let pool = cap.constant_pool.entries.iter().filter_map(|entry| match entry {
        CpInfo::StaticMethod(StaticRef::Internal { offset, .. }) => Some(*offset),
        _ => None,
    });
    let tables =
        cap.class.classes.iter().flat_map(|c| {
            c.public_virtual_method_table.iter().chain(&c.package_virtual_method_table).copied()
        });
    let exported =
        cap.export.iter().flat_map(|e| &e.classes).flat_map(|c| c.static_method_offsets.iter().copied());
    let installs = cap.applet.iter().flat_map(|a| &a.applets).map(|a| a.install_method_offset);
    let all = pool.chain(tables).chain(exported).chain(installs);
    all.filter(|offset| *offset != 0 && *offset != 0xFFFF).map(|offset| (offset, None)).collect()
}

fn operands(cap: &Cap, names: &Names<'_>, instruction: &Instruction) -> String {
    let constant = |index: u16| match cap.constant_pool.get(index) {
        Some(entry) => names.constant(entry),
        None => format!("#{index}?"),
    };
    let target = |displacement: i16| {
        let at = i64::try_from(instruction.offset).unwrap_or(i64::MAX).saturating_add(displacement.into());
        format!("@{at}")
    };
    match &instruction.operands {
        Operands::None => String::new(),
        Operands::Value(value) => value.to_string(),
        Operands::Local(local) => local.to_string(),
        Operands::Nibbles { m, n } => format!("{m} {n}"),
        Operands::Increment { local, by } => format!("{local} {by}"),
        Operands::Branch(displacement) => target(*displacement),
        Operands::Pool(index) => constant(*index),
        Operands::InvokeInterface { nargs, index, token } => {
            let class = match cap.constant_pool.get(*index) {
                Some(CpInfo::Class { class, .. }) => class,
                _ => ClassRef::Internal(0),
            };
            format!("{nargs} {}", names.virtual_method(class, *token))
        }
        Operands::ArrayType(atype) => array_type(*atype),
        Operands::TypeCheck { atype, index } => match atype {
            0 => constant(*index),
            14 => format!("{}[]", constant(*index)),
            other => format!("{}[]", array_type(*other)),
        },
        Operands::TableSwitch { default, low, offsets, .. } => {
            let cases = (i64::from(*low)..).zip(offsets).map(|(key, d)| format!("{key}:{} ", target(*d)));
            format!("{}default:{}", cases.collect::<String>(), target(*default))
        }
        Operands::LookupSwitch { default, pairs } => {
            let cases = pairs.iter().map(|(key, d)| format!("{key}:{} ", target(*d)));
            format!("{}default:{}", cases.collect::<String>(), target(*default))
        }
    }
}

fn array_type(atype: u8) -> String {
    match atype {
        10 => "boolean".into(),
        11 => "byte".into(),
        12 => "short".into(),
        13 => "int".into(),
        other => format!("type{other}"),
    }
}

/// The constant an instruction pushes.
pub(super) fn pushed(instruction: &Instruction) -> Option<i32> {
    let opcode = instruction.opcode as u8;
    match (&instruction.operands, instruction.opcode) {
        (Operands::Value(value), _) => Some(*value),
        (Operands::None, _) if (Opcode::SconstM1 as u8..=Opcode::Sconst5 as u8).contains(&opcode) => {
            Some(i32::from(opcode) - i32::from(Opcode::Sconst0 as u8))
        }
        (Operands::None, _) if (Opcode::IconstM1 as u8..=Opcode::Iconst5 as u8).contains(&opcode) => {
            Some(i32::from(opcode) - i32::from(Opcode::Iconst0 as u8))
        }
        _ => None,
    }
}
