//! Decoding and encoding of bytecode.

use crate::opcodes::{Layout, Opcode};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins in the code that was decoded (0 is the first byte of code behind the method header).
    pub offset: usize,
    /// Opcode.
    pub opcode: Opcode,
    /// Operands.
    pub operands: Operands,
}

/// Operands by kind. Displacements count from the opcode.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operands {
    None,
    /// bspush, sspush, bipush, sipush, iipush.
    Value(i32),
    Local(u8),
    /// dup_x, swap_x.
    Nibbles {
        m: u8,
        n: u8,
    },
    /// sinc, iinc and their wide forms.
    Increment {
        local: u8,
        by: i16,
    },
    /// The opcode says whether one or two bytes.
    Branch(i16),
    /// The opcode says whether one or two bytes.
    Pool(u16),
    InvokeInterface {
        nargs: u8,
        index: u16,
        token: u8,
    },
    ArrayType(u8),
    TypeCheck {
        atype: u8,
        index: u16,
    },
    TableSwitch {
        default: i16,
        low: i32,
        high: i32,
        offsets: Vec<i16>,
    },
    LookupSwitch {
        default: i16,
        pairs: Vec<(i32, i16)>,
    },
}

/// Why bytes are not an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// No such opcode.
    #[error("{opcode:#04x} is not an opcode")]
    UnknownOpcode {
        /// Where.
        offset: usize,
        /// The byte.
        opcode: u8,
    },
    /// The operands run past the end of the code.
    #[error("{opcode} is cut off by the end of the code")]
    Truncated {
        /// Where the instruction begins.
        offset: usize,
        /// Which.
        opcode: Opcode,
    },
    /// A table switch whose high is below its low.
    #[error("{opcode} from {low} to {high}")]
    SwitchRange {
        /// Where the instruction begins.
        offset: usize,
        /// Which.
        opcode: Opcode,
        /// First key.
        low: i32,
        /// Last key.
        high: i32,
    },
}

impl CodeError {
    /// Offset of the instruction in the code.
    pub fn offset(&self) -> usize {
        match *self {
            Self::UnknownOpcode { offset, .. }
            | Self::Truncated { offset, .. }
            | Self::SwitchRange { offset, .. } => offset,
        }
    }
}

impl Instruction {
    /// Decodes the instruction at an offset.
    pub fn decode(code: &[u8], offset: usize) -> Result<Self, CodeError> {
        let byte = code.get(offset).copied().unwrap_or(0xFF);
        let opcode = Opcode::from_u8(byte).ok_or(CodeError::UnknownOpcode { offset, opcode: byte })?;
        let mut bytes = Bytes {
            left: code.get(offset + 1..).unwrap_or(&[]),
            error: CodeError::Truncated { offset, opcode },
        };
        let operands = bytes.operands(offset, opcode)?;
        Ok(Self { offset, opcode, operands })
    }

    /// Bytes it takes, opcode included.
    pub fn len(&self) -> usize {
        1 + self.opcode.layout().fixed_len().unwrap_or_else(|| {
            let wide = matches!(self.opcode, Opcode::Itableswitch | Opcode::Ilookupswitch);
            match &self.operands {
                Operands::TableSwitch { offsets, .. } => (if wide { 10 } else { 6 }) + 2 * offsets.len(),
                Operands::LookupSwitch { pairs, .. } => 4 + (if wide { 6 } else { 4 }) * pairs.len(),
                _ => 0,
            }
        })
    }

    /// Never: an instruction has at least its opcode.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Offsets of the instructions it may jump to, as signed positions in the code (a hostile displacement may lead
    /// outside).
    pub fn targets(&self) -> Vec<i64> {
        let at = |displacement: i16| {
            i64::try_from(self.offset).unwrap_or(i64::MAX).saturating_add(displacement.into())
        };
        match &self.operands {
            Operands::Branch(d) => vec![at(*d)],
            Operands::TableSwitch { default, offsets, .. } => {
                std::iter::once(*default).chain(offsets.iter().copied()).map(at).collect()
            }
            Operands::LookupSwitch { default, pairs } => {
                std::iter::once(*default).chain(pairs.iter().map(|(_, d)| *d)).map(at).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The constant pool index among the operands. `checkcast` and `instanceof` of primitive arrays have none.
    pub fn pool_index(&self) -> Option<u16> {
        match self.operands {
            Operands::Pool(index) | Operands::InvokeInterface { index, .. } => Some(index),
            Operands::TypeCheck { atype, index } if atype == 0 || atype == 14 => Some(index),
            _ => None,
        }
    }

    /// Offset in the code of the operand that [`Self::pool_index`] gives, and whether it has one byte only.
    pub fn pool_operand(&self) -> Option<(usize, bool)> {
        self.pool_index()?;
        Some(match self.opcode.layout() {
            Layout::PoolByte => (self.offset + 1, true),
            Layout::InvokeInterface | Layout::TypeCheck => (self.offset + 2, false),
            _ => (self.offset + 1, false),
        })
    }

    /// Appends opcode and operands. Operands that do not fit the opcode's layout are cut; who builds instructions
    /// sees to it that they do.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.opcode as u8);
        let layout = self.opcode.layout();
        match &self.operands {
            Operands::None => {}
            Operands::Value(v) => match layout {
                Layout::Byte => out.push(*v as u8),
                Layout::Short => out.extend((*v as i16).to_be_bytes()),
                _ => out.extend(v.to_be_bytes()),
            },
            Operands::Local(byte) | Operands::ArrayType(byte) => out.push(*byte),
            Operands::Nibbles { m, n } => out.push(m << 4 | n & 15),
            Operands::Increment { local, by } => {
                out.push(*local);
                match layout {
                    Layout::Increment => out.push(*by as u8),
                    _ => out.extend(by.to_be_bytes()),
                }
            }
            Operands::Branch(d) => match layout {
                Layout::Branch => out.push(*d as u8),
                _ => out.extend(d.to_be_bytes()),
            },
            Operands::Pool(index) => match layout {
                Layout::PoolByte => out.push(*index as u8),
                _ => out.extend(index.to_be_bytes()),
            },
            Operands::InvokeInterface { nargs, index, token } => {
                out.push(*nargs);
                out.extend(index.to_be_bytes());
                out.push(*token);
            }
            Operands::TypeCheck { atype, index } => {
                out.push(*atype);
                out.extend(index.to_be_bytes());
            }
            Operands::TableSwitch { default, low, high, offsets } => {
                out.extend(default.to_be_bytes());
                for key in [low, high] {
                    encode_key(out, layout, *key);
                }
                out.extend(offsets.iter().flat_map(|d| d.to_be_bytes()));
            }
            Operands::LookupSwitch { default, pairs } => {
                out.extend(default.to_be_bytes());
                out.extend(u16::try_from(pairs.len()).unwrap_or(u16::MAX).to_be_bytes());
                for (key, displacement) in pairs {
                    encode_key(out, layout, *key);
                    out.extend(displacement.to_be_bytes());
                }
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn encode_key(out: &mut Vec<u8>, layout: Layout, key: i32) {
    match layout {
        Layout::TableSwitchShort | Layout::LookupSwitchShort => out.extend((key as i16).to_be_bytes()),
        _ => out.extend(key.to_be_bytes()),
    }
}

/// Decodes a whole method body; stops at the first byte that is no instruction.
pub fn decode(code: &[u8]) -> Result<Vec<Instruction>, CodeError> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let instruction = Instruction::decode(code, at)?;
        at += instruction.len();
        out.push(instruction);
    }
    Ok(out)
}

/// Encodes instructions one behind the other.
pub fn encode(instructions: &[Instruction]) -> Vec<u8> {
    let mut out = Vec::new();
    for instruction in instructions {
        instruction.encode(&mut out);
    }
    out
}

struct Bytes<'a> {
    left: &'a [u8],
    error: CodeError,
}

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodeError> {
        let (first, rest) = self.left.split_first_chunk::<N>().ok_or(self.error)?;
        self.left = rest;
        Ok(*first)
    }

    fn u1(&mut self) -> Result<u8, CodeError> {
        Ok(self.take::<1>()?[0])
    }

    fn s1(&mut self) -> Result<i8, CodeError> {
        Ok(i8::from_be_bytes(self.take()?))
    }

    fn u2(&mut self) -> Result<u16, CodeError> {
        Ok(u16::from_be_bytes(self.take()?))
    }

    fn s2(&mut self) -> Result<i16, CodeError> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    fn s4(&mut self) -> Result<i32, CodeError> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    fn key(&mut self, wide: bool) -> Result<i32, CodeError> {
        if wide {
            self.s4()
        } else {
            Ok(self.s2()?.into())
        }
    }

    fn operands(&mut self, offset: usize, opcode: Opcode) -> Result<Operands, CodeError> {
        let layout = opcode.layout();
        Ok(match layout {
            Layout::None => Operands::None,
            Layout::Byte => Operands::Value(self.s1()?.into()),
            Layout::Short => Operands::Value(self.s2()?.into()),
            Layout::Int => Operands::Value(self.s4()?),
            Layout::Local => Operands::Local(self.u1()?),
            Layout::Nibbles => {
                let byte = self.u1()?;
                Operands::Nibbles { m: byte >> 4, n: byte & 15 }
            }
            Layout::Increment => Operands::Increment { local: self.u1()?, by: self.s1()?.into() },
            Layout::IncrementWide => Operands::Increment { local: self.u1()?, by: self.s2()? },
            Layout::Branch => Operands::Branch(self.s1()?.into()),
            Layout::BranchWide => Operands::Branch(self.s2()?),
            Layout::PoolByte => Operands::Pool(self.u1()?.into()),
            Layout::PoolShort => Operands::Pool(self.u2()?),
            Layout::InvokeInterface => {
                Operands::InvokeInterface { nargs: self.u1()?, index: self.u2()?, token: self.u1()? }
            }
            Layout::ArrayType => Operands::ArrayType(self.u1()?),
            Layout::TypeCheck => Operands::TypeCheck { atype: self.u1()?, index: self.u2()? },
            Layout::TableSwitchShort | Layout::TableSwitchInt => {
                let wide = layout == Layout::TableSwitchInt;
                let default = self.s2()?;
                let (low, high) = (self.key(wide)?, self.key(wide)?);
                let count = i64::from(high) - i64::from(low) + 1;
                if count <= 0 {
                    return Err(CodeError::SwitchRange { offset, opcode, low, high });
                }
                let count =
                    usize::try_from(count).ok().filter(|n| *n <= self.left.len() / 2).ok_or(self.error)?;
                let offsets = (0..count).map(|_| self.s2()).collect::<Result<_, _>>()?;
                Operands::TableSwitch { default, low, high, offsets }
            }
            Layout::LookupSwitchShort | Layout::LookupSwitchInt => {
                let wide = layout == Layout::LookupSwitchInt;
                let (default, count) = (self.s2()?, self.u2()?);
                if usize::from(count) > self.left.len() / 4 {
                    return Err(self.error);
                }
                let pairs =
                    (0..count).map(|_| Ok((self.key(wide)?, self.s2()?))).collect::<Result<_, _>>()?;
                Operands::LookupSwitch { default, pairs }
            }
        })
    }
}
