//! Code attributes: JVM instructions grouped by what the converter does with them.

// One row per instruction or pattern: rows that happen to agree stay apart.
#![allow(clippy::match_same_arms)]

use super::{for_attributes, ClassFileError, ClassFileRule, Code, Handler, Pool, Reader, Variable};

/// An instruction and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Offset in the class file's code, for messages.
    pub pc: usize,
    /// What it does.
    pub jvm: Jvm,
}

/// Two kinds of values are left once long, float and double are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Int,
    Reference,
}

/// Element kinds of array loads and stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ArrayKind {
    Reference,
    /// byte and boolean share their instructions.
    Byte,
    Short,
    Int,
}

/// Integer operations with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Shl,
    Shr,
    Ushr,
    And,
    Or,
    Xor,
}

impl BinaryOp {
    /// What Java computes on int (JVMS section 6.5); `None` where it throws: division by zero.
    pub fn apply(self, a: i32, b: i32) -> Option<i32> {
        let count = u32::from_ne_bytes(b.to_ne_bytes());
        Some(match self {
            Self::Add => a.wrapping_add(b),
            Self::Sub => a.wrapping_sub(b),
            Self::Mul => a.wrapping_mul(b),
            Self::Div | Self::Rem if b == 0 => return None,
            Self::Div => a.wrapping_div(b),
            Self::Rem => a.wrapping_rem(b),
            Self::Shl => a.wrapping_shl(count),
            Self::Shr => a.wrapping_shr(count),
            Self::Ushr => {
                i32::from_ne_bytes(u32::from_ne_bytes(a.to_ne_bytes()).wrapping_shr(count).to_ne_bytes())
            }
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
        })
    }
}

/// How a conditional branch compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Condition {
    Eq,
    Ne,
    Lt,
    Ge,
    Gt,
    Le,
}

/// The four calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InvokeKind {
    Virtual,
    Special,
    Static,
    Interface,
}

/// An instruction; jump targets are indices in the instruction list, other numbers constant pool indices.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Jvm {
    Nop,
    Null,
    Const(i32),
    Ldc(u16),
    Load(Kind, u16),
    Store(Kind, u16),
    ArrayLoad(ArrayKind),
    ArrayStore(ArrayKind),
    Pop,
    Pop2,
    Dup,
    DupX1,
    DupX2,
    Dup2,
    Dup2X1,
    Dup2X2,
    Swap,
    Binary(BinaryOp),
    Neg,
    Increment {
        slot: u16,
        by: i16,
    },
    IntToByte,
    IntToShort,
    /// Compares an int with 0.
    IfZero(Condition, usize),
    IfInt(Condition, usize),
    /// `Eq` or `Ne` of two references.
    IfReference(Condition, usize),
    /// `Eq`: jumps when null.
    IfNull(Condition, usize),
    Goto(usize),
    Switch {
        default: usize,
        cases: Vec<(i32, usize)>,
    },
    Return(Option<Kind>),
    GetStatic(u16),
    PutStatic(u16),
    GetField(u16),
    PutField(u16),
    Invoke(InvokeKind, u16),
    InvokeDynamic(u16),
    New(u16),
    /// JVMS table 6.5.newarray-A.
    NewArray(u8),
    NewReferenceArray(u16),
    ArrayLength,
    Throw,
    CheckCast(u16),
    InstanceOf(u16),
    /// Outside the subset; the opcode's name.
    Unsupported(&'static str),
}

impl Jvm {
    /// Indices of the instructions it may jump to.
    pub fn targets(&self) -> Vec<usize> {
        match self {
            Self::IfZero(_, t)
            | Self::IfInt(_, t)
            | Self::IfReference(_, t)
            | Self::IfNull(_, t)
            | Self::Goto(t) => {
                vec![*t]
            }
            Self::Switch { default, cases } => {
                std::iter::once(*default).chain(cases.iter().map(|(_, t)| *t)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether execution can go on with the next instruction.
    pub fn falls_through(&self) -> bool {
        !matches!(self, Self::Goto(_) | Self::Switch { .. } | Self::Return(_) | Self::Throw)
    }
}

pub(super) fn read(r: &mut Reader<'_>, pool: &Pool) -> Result<Code, ClassFileError> {
    let (max_stack, max_locals) = (r.u2()?, r.u2()?);
    let len = usize::try_from(r.u4()?).unwrap_or(usize::MAX);
    let start = r.at();
    let bytes = r.take(len)?;
    let (instructions, index_of) = decode(bytes, start)?;
    let mut code = Code { max_stack, max_locals, instructions, ..Code::default() };
    let position =
        |pc: u16| if usize::from(pc) == len { Some(code.instructions.len()) } else { index(&index_of, pc) };
    for number in 0..usize::from(r.u2()?) {
        let at = r.at();
        let error = ClassFileError { offset: at, rule: ClassFileRule::ExceptionTable(number) };
        let (from, to, handler) = (r.u2()?, r.u2()?, r.u2()?);
        let catch_type = match r.u2()? {
            0 => None,
            class => Some(pool.class(class).map_err(|rule| ClassFileError { offset: at, rule })?.to_owned()),
        };
        let (Some(start), Some(end), Some(handler)) =
            (position(from), position(to), index(&index_of, handler))
        else {
            return Err(error);
        };
        if start >= end {
            return Err(error);
        }
        code.handlers.push(Handler { start, end, handler, catch_type });
    }
    let (mut lines, mut variables) = (Vec::new(), Vec::new());
    for_attributes(r, pool, |name, r| {
        match name {
            "LineNumberTable" => {
                for _ in 0..r.u2()? {
                    let (pc, line) = (r.u2()?, r.u2()?);
                    lines.extend(index(&index_of, pc).map(|first| (first, line)));
                }
            }
            "LocalVariableTable" => {
                for _ in 0..r.u2()? {
                    let (from, length) = (r.u2()?, r.u2()?);
                    let name = pool.utf8_at(r)?.to_owned();
                    let descriptor = pool.utf8_at(r)?.to_owned();
                    let slot = r.u2()?;
                    // Wrong debug information only costs a name in a message.
                    if let (Some(start), Some(end)) = (position(from), position(from.saturating_add(length)))
                    {
                        variables.push(Variable { start, end, name, descriptor, slot });
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    lines.sort_unstable();
    code.lines = lines;
    code.variables = variables;
    Ok(code)
}

/// Index of the instruction that begins at a position.
fn index(index_of: &[usize], pc: u16) -> Option<usize> {
    index_of.get(usize::from(pc)).copied().filter(|i| *i != usize::MAX)
}

/// Decodes; also gives, for each position, the index of the instruction that begins there (or `usize::MAX`).
fn decode(bytes: &[u8], start: usize) -> Result<(Vec<Instruction>, Vec<usize>), ClassFileError> {
    let mut r = Reader::new(bytes);
    let mut raw = Vec::new();
    let mut index_of = vec![usize::MAX; bytes.len()];
    while r.at() < bytes.len() {
        let pc = r.at();
        index_of[pc] = raw.len();
        let jvm = one(&mut r, pc).map_err(|e| ClassFileError { offset: start + e.offset, rule: e.rule })?;
        raw.push(Instruction { pc, jvm });
    }
    for instruction in &mut raw {
        let from = instruction.pc;
        let resolve = |target: &mut usize| {
            // `one` leaves the displacement, two's complement, in the target.
            let displacement = i64::from(signed(u32::try_from(*target).unwrap_or(u32::MAX)));
            let to = i64::try_from(from).unwrap_or(i64::MAX).saturating_add(displacement);
            let found =
                usize::try_from(to).ok().and_then(|to| index_of.get(to)).filter(|i| **i != usize::MAX);
            match found {
                Some(index) => {
                    *target = *index;
                    Ok(())
                }
                None => Err(ClassFileError {
                    offset: start + from,
                    rule: ClassFileRule::BranchTarget { from, to },
                }),
            }
        };
        match &mut instruction.jvm {
            Jvm::IfZero(_, t)
            | Jvm::IfInt(_, t)
            | Jvm::IfReference(_, t)
            | Jvm::IfNull(_, t)
            | Jvm::Goto(t) => {
                resolve(t)?;
            }
            Jvm::Switch { default, cases } => {
                resolve(default)?;
                cases.iter_mut().try_for_each(|(_, t)| resolve(t))?;
            }
            _ => {}
        }
    }
    Ok((raw, index_of))
}

impl Reader<'_> {
    fn s1(&mut self) -> Result<i8, ClassFileError> {
        Ok(i8::from_be_bytes([self.u1()?]))
    }

    fn s2(&mut self) -> Result<i16, ClassFileError> {
        Ok(i16::from_be_bytes(self.u2()?.to_be_bytes()))
    }

    fn s4(&mut self) -> Result<i32, ClassFileError> {
        Ok(signed(self.u4()?))
    }

    /// A two-byte displacement, kept as the bits of an i32.
    fn branch(&mut self) -> Result<usize, ClassFileError> {
        Ok(displacement(self.s2()?.into()))
    }
}

fn displacement(value: i32) -> usize {
    usize::try_from(u32::from_be_bytes(value.to_be_bytes())).unwrap_or(usize::MAX)
}

fn signed(bits: u32) -> i32 {
    i32::from_be_bytes(bits.to_be_bytes())
}

const CONDITIONS: [Condition; 6] =
    [Condition::Eq, Condition::Ne, Condition::Lt, Condition::Ge, Condition::Gt, Condition::Le];

fn one(r: &mut Reader<'_>, pc: usize) -> Result<Jvm, ClassFileError> {
    let opcode = r.u1()?;
    Ok(match opcode {
        0x00 => Jvm::Nop,
        0x01 => Jvm::Null,
        0x02..=0x08 => Jvm::Const(i32::from(opcode) - 3),
        0x09 | 0x0A | 0x16 | 0x1E..=0x21 | 0x2F | 0x37 | 0x3F..=0x42 | 0x50 => {
            skip_operands(r, opcode)?;
            Jvm::Unsupported("long")
        }
        0x0B..=0x0D | 0x17 | 0x22..=0x25 | 0x30 | 0x38 | 0x43..=0x46 | 0x51 => {
            skip_operands(r, opcode)?;
            Jvm::Unsupported("float")
        }
        0x0E | 0x0F | 0x18 | 0x26..=0x29 | 0x31 | 0x39 | 0x47..=0x4A | 0x52 => {
            skip_operands(r, opcode)?;
            Jvm::Unsupported("double")
        }
        0x10 => Jvm::Const(r.s1()?.into()),
        0x11 => Jvm::Const(r.s2()?.into()),
        0x12 => Jvm::Ldc(r.u1()?.into()),
        // ldc2_w only loads long and double, which its entry tells apart.
        0x13 | 0x14 => Jvm::Ldc(r.u2()?),
        0x15 => Jvm::Load(Kind::Int, r.u1()?.into()),
        0x19 => Jvm::Load(Kind::Reference, r.u1()?.into()),
        0x1A..=0x1D => Jvm::Load(Kind::Int, u16::from(opcode - 0x1A)),
        0x2A..=0x2D => Jvm::Load(Kind::Reference, u16::from(opcode - 0x2A)),
        0x2E => Jvm::ArrayLoad(ArrayKind::Int),
        0x32 => Jvm::ArrayLoad(ArrayKind::Reference),
        0x33 => Jvm::ArrayLoad(ArrayKind::Byte),
        0x34 | 0x55 | 0x92 => Jvm::Unsupported("char"),
        0x35 => Jvm::ArrayLoad(ArrayKind::Short),
        0x36 => Jvm::Store(Kind::Int, r.u1()?.into()),
        0x3A => Jvm::Store(Kind::Reference, r.u1()?.into()),
        0x3B..=0x3E => Jvm::Store(Kind::Int, u16::from(opcode - 0x3B)),
        0x4B..=0x4E => Jvm::Store(Kind::Reference, u16::from(opcode - 0x4B)),
        0x4F => Jvm::ArrayStore(ArrayKind::Int),
        0x53 => Jvm::ArrayStore(ArrayKind::Reference),
        0x54 => Jvm::ArrayStore(ArrayKind::Byte),
        0x56 => Jvm::ArrayStore(ArrayKind::Short),
        0x57 => Jvm::Pop,
        0x58 => Jvm::Pop2,
        0x59 => Jvm::Dup,
        0x5A => Jvm::DupX1,
        0x5B => Jvm::DupX2,
        0x5C => Jvm::Dup2,
        0x5D => Jvm::Dup2X1,
        0x5E => Jvm::Dup2X2,
        0x5F => Jvm::Swap,
        0x60..=0x83 => arithmetic(opcode),
        0x84 => Jvm::Increment { slot: r.u1()?.into(), by: r.s1()?.into() },
        0x85 | 0x88..=0x8A | 0x8C | 0x8F | 0x94 => Jvm::Unsupported("long"),
        0x86 | 0x8B | 0x8D | 0x90 | 0x95 | 0x96 => Jvm::Unsupported("float"),
        0x87 | 0x8E | 0x97 | 0x98 => Jvm::Unsupported("double"),
        0x91 => Jvm::IntToByte,
        0x93 => Jvm::IntToShort,
        0x99..=0x9E => Jvm::IfZero(CONDITIONS[usize::from(opcode - 0x99)], r.branch()?),
        0x9F..=0xA4 => Jvm::IfInt(CONDITIONS[usize::from(opcode - 0x9F)], r.branch()?),
        0xA5 | 0xA6 => Jvm::IfReference(CONDITIONS[usize::from(opcode - 0xA5)], r.branch()?),
        0xA7 => Jvm::Goto(r.branch()?),
        0xA8 | 0xC9 => {
            skip_operands(r, opcode)?;
            Jvm::Unsupported("jsr")
        }
        0xA9 => {
            r.u1()?;
            Jvm::Unsupported("ret")
        }
        0xAA | 0xAB => switch(r, pc, opcode)?,
        0xAC => Jvm::Return(Some(Kind::Int)),
        0xAD => Jvm::Unsupported("long"),
        0xAE => Jvm::Unsupported("float"),
        0xAF => Jvm::Unsupported("double"),
        0xB0 => Jvm::Return(Some(Kind::Reference)),
        0xB1 => Jvm::Return(None),
        0xB2 => Jvm::GetStatic(r.u2()?),
        0xB3 => Jvm::PutStatic(r.u2()?),
        0xB4 => Jvm::GetField(r.u2()?),
        0xB5 => Jvm::PutField(r.u2()?),
        0xB6 => Jvm::Invoke(InvokeKind::Virtual, r.u2()?),
        0xB7 => Jvm::Invoke(InvokeKind::Special, r.u2()?),
        0xB8 => Jvm::Invoke(InvokeKind::Static, r.u2()?),
        0xB9 => {
            let index = r.u2()?;
            r.u2()?;
            Jvm::Invoke(InvokeKind::Interface, index)
        }
        0xBA => {
            let index = r.u2()?;
            r.u2()?;
            Jvm::InvokeDynamic(index)
        }
        0xBB => Jvm::New(r.u2()?),
        0xBC => Jvm::NewArray(r.u1()?),
        0xBD => Jvm::NewReferenceArray(r.u2()?),
        0xBE => Jvm::ArrayLength,
        0xBF => Jvm::Throw,
        0xC0 => Jvm::CheckCast(r.u2()?),
        0xC1 => Jvm::InstanceOf(r.u2()?),
        0xC2 | 0xC3 => Jvm::Unsupported("synchronized"),
        0xC4 => wide(r)?,
        0xC5 => {
            r.take(3)?;
            Jvm::Unsupported("multi-dimensional array")
        }
        0xC6 | 0xC7 => Jvm::IfNull(CONDITIONS[usize::from(opcode - 0xC6)], r.branch()?),
        0xC8 => Jvm::Goto(displacement(r.s4()?)),
        _ => return Err(ClassFileError { offset: pc, rule: ClassFileRule::Opcode(opcode) }),
    })
}

/// 0x60 to 0x83: the operation by fours, the type within (int, long, float, double; shifts and logic int, long).
fn arithmetic(opcode: u8) -> Jvm {
    const INT: [BinaryOp; 5] = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Rem];
    const BITS: [BinaryOp; 6] =
        [BinaryOp::Shl, BinaryOp::Shr, BinaryOp::Ushr, BinaryOp::And, BinaryOp::Or, BinaryOp::Xor];
    let (operation, kind) = if opcode < 0x78 {
        ((opcode - 0x60) / 4, (opcode - 0x60) % 4)
    } else {
        ((opcode - 0x78) / 2, (opcode - 0x78) % 2)
    };
    match (kind, opcode) {
        (0, 0x74) => Jvm::Neg,
        (0, 0..0x78) => Jvm::Binary(INT[usize::from(operation)]),
        (0, _) => Jvm::Binary(BITS[usize::from(operation)]),
        (1, _) => Jvm::Unsupported("long"),
        (2, _) => Jvm::Unsupported("float"),
        _ => Jvm::Unsupported("double"),
    }
}

/// Operands of instructions that are refused by type, so that decoding can go on behind them.
fn skip_operands(r: &mut Reader<'_>, opcode: u8) -> Result<(), ClassFileError> {
    let len = match opcode {
        0x16..=0x18 | 0x37..=0x39 => 1,
        0xA8 => 2,
        0xC9 => 4,
        _ => 0,
    };
    r.take(len).map(|_| ())
}

fn switch(r: &mut Reader<'_>, pc: usize, opcode: u8) -> Result<Jvm, ClassFileError> {
    let padding = (4 - (pc + 1) % 4) % 4;
    r.take(padding)?;
    let default = displacement(r.s4()?);
    let left = r.left();
    let too_long = ClassFileError { offset: pc, rule: ClassFileRule::Truncated };
    if opcode == 0xAA {
        let (low, high) = (r.s4()?, r.s4()?);
        let count = usize::try_from(i64::from(high) - i64::from(low) + 1).ok().filter(|n| *n <= left / 4);
        let count = count.ok_or(too_long)?;
        let keys = (0i32..).take(count).map(|i| low.wrapping_add(i));
        let cases = keys.map(|key| Ok((key, displacement(r.s4()?)))).collect::<Result<_, _>>()?;
        return Ok(Jvm::Switch { default, cases });
    }
    let count = usize::try_from(r.s4()?).ok().filter(|n| *n <= left / 8).ok_or(too_long)?;
    let cases = (0..count).map(|_| Ok((r.s4()?, displacement(r.s4()?)))).collect::<Result<_, _>>()?;
    Ok(Jvm::Switch { default, cases })
}

fn wide(r: &mut Reader<'_>) -> Result<Jvm, ClassFileError> {
    let opcode = r.u1()?;
    let slot = r.u2()?;
    Ok(match opcode {
        0x15 => Jvm::Load(Kind::Int, slot),
        0x19 => Jvm::Load(Kind::Reference, slot),
        0x36 => Jvm::Store(Kind::Int, slot),
        0x3A => Jvm::Store(Kind::Reference, slot),
        0x84 => Jvm::Increment { slot, by: r.s2()? },
        0x16 | 0x37 => Jvm::Unsupported("long"),
        0x17 | 0x38 => Jvm::Unsupported("float"),
        0x18 | 0x39 => Jvm::Unsupported("double"),
        0xA9 => Jvm::Unsupported("ret"),
        _ => return Err(r.error(ClassFileRule::Opcode(opcode))),
    })
}
