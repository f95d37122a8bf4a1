//! Java Card instructions before variables have places, branches distances and pool entries indices.

// One row per instruction or pattern: rows that happen to agree stay apart.
#![allow(clippy::match_same_arms)]

use crate::convert::resolve::CpId;
use crate::opcodes::Opcode;

/// A branch target.
pub(super) type Label = usize;

/// A local variable before it has a place: the representative of its web.
pub(super) type Web = u32;

/// What a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Hold {
    Reference,
    Short,
    Int,
}

impl Hold {
    /// Cells of 16 bits.
    pub(super) fn cells(self) -> u8 {
        if self == Self::Int {
            2
        } else {
            1
        }
    }
}

/// The four kinds of field instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Reference,
    Byte,
    Short,
    Int,
}

impl FieldKind {
    fn cells(self) -> u8 {
        if self == Self::Int {
            2
        } else {
            1
        }
    }
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// One without operands; dup and dup2 are `Dup`.
    Plain(Opcode),
    /// A constant of 16 bits.
    Short(i16),
    /// A constant of 32 bits.
    Int(i32),
    Load(Hold, Web),
    Store(Hold, Web),
    Increment(Hold, Web, i16),
    /// dup, dup2 and dup_x: m cells are copied below n cells (0: on top).
    Dup {
        m: u8,
        n: u8,
    },
    /// swap_x
    Swap {
        m: u8,
        n: u8,
    },
    /// `this`: the short form that takes the receiver from local variable 0.
    Field {
        get: bool,
        kind: FieldKind,
        this: bool,
        cp: CpId,
    },
    Static {
        get: bool,
        kind: FieldKind,
        cp: CpId,
    },
    Invoke {
        opcode: Opcode,
        cp: CpId,
        pops: u8,
        pushes: u8,
    },
    InvokeInterface {
        nargs: u8,
        cp: CpId,
        token: u8,
        pushes: u8,
    },
    /// new, anewarray
    Class {
        opcode: Opcode,
        cp: CpId,
    },
    NewArray(u8),
    /// checkcast, instanceof; no pool entry for arrays of primitives.
    TypeCheck {
        opcode: Opcode,
        atype: u8,
        cp: Option<CpId>,
    },
    /// The narrow form of the opcode.
    Branch(Opcode, Label),
    Switch {
        int: bool,
        default: Label,
        cases: Vec<(i32, Label)>,
    },
}

/// An element of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Label(Label),
    /// With the index of the JVM instruction it stems from.
    Op(Op, usize),
}

/// An exception handler by labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IrHandler {
    pub(super) start: Label,
    pub(super) end: Label,
    pub(super) handler: Label,
    pub(super) catch: Option<CpId>,
}

/// A method's code.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) items: Vec<Item>,
    pub(super) handlers: Vec<IrHandler>,
    pub(super) labels: usize,
    /// Parameters with their places: web and what it holds. The first is `this` in instance methods.
    pub(super) parameters: Vec<(Web, Hold)>,
    /// Whether local variable 0 is the receiver.
    pub(super) has_this: bool,
}

impl Op {
    /// Cells taken from and put on the operand stack.
    pub(super) fn effect(&self) -> (u8, u8) {
        match self {
            Self::Plain(opcode) => plain_effect(*opcode),
            Self::Short(_) => (0, 1),
            Self::Int(_) => (0, 2),
            Self::Load(hold, _) => (0, hold.cells()),
            Self::Store(hold, _) => (hold.cells(), 0),
            Self::Increment(..) => (0, 0),
            Self::Dup { m, n } => {
                let touched = (*m).max(*n);
                (touched, touched + m)
            }
            Self::Swap { m, n } => (m + n, m + n),
            Self::Field { get, kind, this, .. } => {
                let receiver = u8::from(!this);
                if *get {
                    (receiver, kind.cells())
                } else {
                    (receiver + kind.cells(), 0)
                }
            }
            Self::Static { get, kind, .. } => {
                if *get {
                    (0, kind.cells())
                } else {
                    (kind.cells(), 0)
                }
            }
            Self::Invoke { pops, pushes, .. } => (*pops, *pushes),
            Self::InvokeInterface { nargs, pushes, .. } => (*nargs, *pushes),
            Self::Class { opcode: Opcode::New, .. } => (0, 1),
            Self::Class { .. } | Self::NewArray(_) | Self::TypeCheck { .. } => (1, 1),
            Self::Branch(opcode, _) => (branch_pops(*opcode), 0),
            Self::Switch { int, .. } => (if *int { 2 } else { 1 }, 0),
        }
    }

    /// Whether execution never goes on behind it.
    pub(super) fn ends_flow(&self) -> bool {
        match self {
            Self::Plain(opcode) | Self::Branch(opcode, _) => opcode.ends_flow(),
            Self::Switch { .. } => true,
            _ => false,
        }
    }

    /// The labels it may jump to.
    pub(super) fn targets_mut(&mut self) -> Vec<&mut Label> {
        match self {
            Self::Branch(_, label) => vec![label],
            Self::Switch { default, cases, .. } => {
                std::iter::once(default).chain(cases.iter_mut().map(|(_, label)| label)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The labels it may jump to.
    pub(super) fn targets(&self) -> Vec<Label> {
        match self {
            Self::Branch(_, label) => vec![*label],
            Self::Switch { default, cases, .. } => {
                std::iter::once(*default).chain(cases.iter().map(|(_, label)| *label)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The pool entry it names.
    pub(super) fn pool_entry(&self) -> Option<CpId> {
        match self {
            Self::Field { cp, .. }
            | Self::Static { cp, .. }
            | Self::Invoke { cp, .. }
            | Self::InvokeInterface { cp, .. }
            | Self::Class { cp, .. } => Some(*cp),
            Self::TypeCheck { cp, .. } => *cp,
            _ => None,
        }
    }
}

fn branch_pops(opcode: Opcode) -> u8 {
    match opcode {
        Opcode::Goto | Opcode::GotoW => 0,
        Opcode::Ifeq
        | Opcode::Ifne
        | Opcode::Iflt
        | Opcode::Ifge
        | Opcode::Ifgt
        | Opcode::Ifle
        | Opcode::Ifnull
        | Opcode::Ifnonnull => 1,
        _ => 2,
    }
}

fn plain_effect(opcode: Opcode) -> (u8, u8) {
    use Opcode as O;
    match opcode {
        O::AconstNull => (0, 1),
        O::Aaload | O::Baload | O::Saload => (2, 1),
        O::Iaload => (2, 2),
        O::Aastore | O::Bastore | O::Sastore => (3, 0),
        O::Iastore => (4, 0),
        O::Pop | O::Areturn | O::Sreturn | O::Athrow => (1, 0),
        O::Pop2 | O::Ireturn => (2, 0),
        O::Sadd
        | O::Ssub
        | O::Smul
        | O::Sdiv
        | O::Srem
        | O::Sshl
        | O::Sshr
        | O::Sushr
        | O::Sand
        | O::Sor
        | O::Sxor => (2, 1),
        O::Iadd
        | O::Isub
        | O::Imul
        | O::Idiv
        | O::Irem
        | O::Ishl
        | O::Ishr
        | O::Iushr
        | O::Iand
        | O::Ior
        | O::Ixor => (4, 2),
        O::Sneg | O::S2b | O::Arraylength => (1, 1),
        O::Ineg => (2, 2),
        O::S2i => (1, 2),
        O::I2b | O::I2s => (2, 1),
        O::Icmp => (4, 1),
        _ => (0, 0),
    }
}
