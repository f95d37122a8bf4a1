//! From instructions with labels to bytes: branch widths, operand stack depth, handler table.

// One row per instruction or pattern: rows that happen to agree stay apart.
#![allow(clippy::match_same_arms)]

use std::collections::HashMap;

use super::alloc::Places;
use super::ir::{Body, FieldKind, Hold, Item, Label, Op};
use crate::code::{Instruction, Operands};
use crate::convert::diagnostics::{ConvertRule, Limit};
use crate::convert::resolve::CpId;
use crate::opcodes::Opcode;

/// JCVM 2.2.4.3: the code of a method.
const MAX_METHOD: usize = 32767;
const MAX_STACK: usize = 255;

/// A method with its bytes settled, except for pool indices, which keep their size.
#[derive(Debug)]
pub(super) struct Placed {
    /// Instructions with the source instruction each stems from; pool indices are 0 still.
    pub(super) code: Vec<(Instruction, usize, Option<CpId>)>,
    pub(super) len: usize,
    pub(super) max_stack: u8,
    pub(super) handlers: Vec<PlacedHandler>,
}

/// A handler by offsets in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::convert) struct PlacedHandler {
    pub(in crate::convert) start: usize,
    pub(in crate::convert) end: usize,
    pub(in crate::convert) handler: usize,
    pub(in crate::convert) catch: Option<CpId>,
}

type Result<T> = std::result::Result<T, (usize, ConvertRule)>;

/// Settles a method.
pub(super) fn layout(body: &Body, places: &Places, short_fields: usize) -> Result<Placed> {
    let max_stack = stack_depth(body)?;
    let mut wide = vec![false; body.items.len()];
    let (mut labels, mut len);
    loop {
        (labels, len) = measure(body, places, short_fields, &wide);
        if !widen(body, &labels, places, short_fields, &mut wide)? {
            break;
        }
    }
    if len > MAX_METHOD {
        return Err((0, ConvertRule::Limit { limit: Limit::MethodBytes, count: len, max: MAX_METHOD }));
    }
    let mut code = Vec::new();
    let mut offset = 0;
    for (index, item) in body.items.iter().enumerate() {
        let Item::Op(op, source) = item else { continue };
        let (opcode, operands) = select(op, offset, &labels, places, short_fields, wide[index], *source)?;
        let instruction = Instruction { offset, opcode, operands };
        offset += instruction.len();
        code.push((instruction, *source, op.pool_entry()));
    }
    let at = |label: &Label| labels.get(label).copied().unwrap_or(len);
    let handlers = body
        .handlers
        .iter()
        .map(|h| PlacedHandler {
            start: at(&h.start),
            end: at(&h.end),
            handler: at(&h.handler),
            catch: h.catch,
        })
        .filter(|h| h.start < h.end)
        .collect();
    Ok(Placed { code, len, max_stack, handlers })
}

/// Offsets of labels and length of the code under the current choice of branch forms.
fn measure(
    body: &Body,
    places: &Places,
    short_fields: usize,
    wide: &[bool],
) -> (HashMap<Label, usize>, usize) {
    let (mut labels, mut offset) = (HashMap::new(), 0);
    for (item, wide) in body.items.iter().zip(wide) {
        match item {
            Item::Label(label) => {
                labels.insert(*label, offset);
            }
            Item::Op(op, _) => offset += size(op, places, short_fields, *wide),
        }
    }
    (labels, offset)
}

/// Makes branches wide that do not reach; whether any was.
fn widen(
    body: &Body,
    labels: &HashMap<Label, usize>,
    places: &Places,
    short_fields: usize,
    wide: &mut [bool],
) -> Result<bool> {
    let (mut changed, mut offset) = (false, 0);
    for (index, item) in body.items.iter().enumerate() {
        let Item::Op(op, source) = item else { continue };
        if let Op::Branch(_, label) = op {
            let distance = displacement(offset, labels, *label, *source)?;
            if !wide[index] && i8::try_from(distance).is_err() {
                wide[index] = true;
                changed = true;
            }
        }
        offset += size(op, places, short_fields, wide[index]);
    }
    // Offsets behind a branch just widened are stale, but the next round sees to those.
    Ok(changed)
}

fn displacement(offset: usize, labels: &HashMap<Label, usize>, label: Label, source: usize) -> Result<i16> {
    let Some(target) = labels.get(&label) else {
        return Err((source, ConvertRule::Malformed("branch without a target")));
    };
    let distance = i64::try_from(*target).unwrap_or(i64::MAX) - i64::try_from(offset).unwrap_or(0);
    i16::try_from(distance).map_err(|_| {
        let count = usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX);
        (source, ConvertRule::Limit { limit: Limit::BranchDistance, count, max: MAX_METHOD })
    })
}

pub(super) fn size(op: &Op, places: &Places, short_fields: usize, wide: bool) -> usize {
    match op {
        Op::Plain(_) => 1,
        Op::Short(-1..=5) | Op::Int(-1..=5) => 1,
        Op::Short(-128..=127) | Op::Int(-128..=127) => 2,
        Op::Short(_) | Op::Int(-32768..=32767) => 3,
        Op::Int(_) => 5,
        Op::Load(_, web) | Op::Store(_, web) => {
            if cell(places, *web) < 4 {
                1
            } else {
                2
            }
        }
        Op::Increment(_, _, by) => {
            if i8::try_from(*by).is_ok() {
                3
            } else {
                4
            }
        }
        Op::Dup { m: 1 | 2, n: 0 } | Op::Class { .. } | Op::Static { .. } | Op::Invoke { .. } => {
            if matches!(op, Op::Dup { .. }) {
                1
            } else {
                3
            }
        }
        Op::Dup { .. } | Op::Swap { .. } | Op::NewArray(_) => 2,
        Op::Field { cp, this, .. } => {
            if *this || is_short_field(short_fields, *cp) {
                2
            } else {
                3
            }
        }
        Op::InvokeInterface { .. } => 5,
        Op::TypeCheck { .. } => 4,
        Op::Branch(..) => {
            if wide {
                3
            } else {
                2
            }
        }
        Op::Switch { int, cases, .. } => {
            let key = if *int { 4 } else { 2 };
            match table_span(cases, *int) {
                Some(span) => 3 + 2 * key + 2 * span,
                None => 5 + cases.len() * (key + 2),
            }
        }
    }
}

/// Instance fields come first in the pool; the first of them have one-byte indices.
fn is_short_field(short_fields: usize, cp: CpId) -> bool {
    cp < short_fields
}

fn cell(places: &Places, web: u32) -> u16 {
    places.cell.get(&web).copied().unwrap_or(0)
}

/// Entries of a table switch, where that is no longer than a lookup switch.
fn table_span(cases: &[(i32, Label)], int: bool) -> Option<usize> {
    let (low, high) = (cases.first()?.0, cases.last()?.0);
    let span = usize::try_from(i64::from(high) - i64::from(low) + 1).ok()?;
    let key: usize = if int { 4 } else { 2 };
    let table = (2 * key).checked_add(span.checked_mul(2)?)?;
    (table <= 2 + cases.len() * (key + 2)).then_some(span)
}

fn select(
    op: &Op,
    offset: usize,
    labels: &HashMap<Label, usize>,
    places: &Places,
    short_fields: usize,
    wide: bool,
    source: usize,
) -> Result<(Opcode, Operands)> {
    let pool = Operands::Pool(0);
    Ok(match op {
        Op::Plain(opcode) => (*opcode, Operands::None),
        Op::Short(value) => constant(i32::from(*value), Opcode::Sconst0, Opcode::Bspush, Opcode::Sspush),
        Op::Int(value) => constant(*value, Opcode::Iconst0, Opcode::Bipush, Opcode::Sipush),
        Op::Load(hold, web) => variable(
            match hold {
                Hold::Reference => (Opcode::Aload0, Opcode::Aload),
                Hold::Short => (Opcode::Sload0, Opcode::Sload),
                Hold::Int => (Opcode::Iload0, Opcode::Iload),
            },
            cell(places, *web),
        ),
        Op::Store(hold, web) => variable(
            match hold {
                Hold::Reference => (Opcode::Astore0, Opcode::Astore),
                Hold::Short => (Opcode::Sstore0, Opcode::Sstore),
                Hold::Int => (Opcode::Istore0, Opcode::Istore),
            },
            cell(places, *web),
        ),
        Op::Increment(hold, web, by) => {
            let narrow = i8::try_from(*by).is_ok();
            let opcode = match (hold, narrow) {
                (Hold::Int, true) => Opcode::Iinc,
                (Hold::Int, false) => Opcode::IincW,
                (_, true) => Opcode::Sinc,
                (_, false) => Opcode::SincW,
            };
            let local = u8::try_from(cell(places, *web)).unwrap_or(u8::MAX);
            (opcode, Operands::Increment { local, by: *by })
        }
        Op::Dup { m: 1, n: 0 } => (Opcode::Dup, Operands::None),
        Op::Dup { m: 2, n: 0 } => (Opcode::Dup2, Operands::None),
        Op::Dup { m, n } => (Opcode::DupX, Operands::Nibbles { m: *m, n: *n }),
        Op::Swap { m, n } => (Opcode::SwapX, Operands::Nibbles { m: *m, n: *n }),
        Op::Field { get, kind, this, cp } => {
            let base = match (get, this, is_short_field(short_fields, *cp)) {
                (true, true, _) => Opcode::GetfieldAThis,
                (false, true, _) => Opcode::PutfieldAThis,
                (true, false, true) => Opcode::GetfieldA,
                (false, false, true) => Opcode::PutfieldA,
                (true, false, false) => Opcode::GetfieldAW,
                (false, false, false) => Opcode::PutfieldAW,
            };
            (of_kind(base, *kind), pool)
        }
        Op::Static { get, kind, .. } => {
            (of_kind(if *get { Opcode::GetstaticA } else { Opcode::PutstaticA }, *kind), pool)
        }
        Op::Invoke { opcode, .. } | Op::Class { opcode, .. } => (*opcode, pool),
        Op::InvokeInterface { nargs, token, .. } => {
            (Opcode::Invokeinterface, Operands::InvokeInterface { nargs: *nargs, index: 0, token: *token })
        }
        Op::NewArray(atype) => (Opcode::Newarray, Operands::ArrayType(*atype)),
        Op::TypeCheck { opcode, atype, .. } => (*opcode, Operands::TypeCheck { atype: *atype, index: 0 }),
        Op::Branch(opcode, label) => {
            let distance = displacement(offset, labels, *label, source)?;
            (if wide { wide_form(*opcode) } else { *opcode }, Operands::Branch(distance))
        }
        Op::Switch { int, default, cases } => {
            let to = |label: &Label| displacement(offset, labels, *label, source);
            let default = to(default)?;
            if let (Some(_), Some((low, _)), Some((high, _))) =
                (table_span(cases, *int), cases.first(), cases.last())
            {
                let mut offsets = Vec::new();
                let mut next = cases.iter().peekable();
                for key in *low..=*high {
                    offsets.push(match next.next_if(|(k, _)| *k == key) {
                        Some((_, label)) => to(label)?,
                        None => default,
                    });
                }
                let opcode = if *int { Opcode::Itableswitch } else { Opcode::Stableswitch };
                (opcode, Operands::TableSwitch { default, low: *low, high: *high, offsets })
            } else {
                let pairs = cases.iter().map(|(key, label)| Ok((*key, to(label)?))).collect::<Result<_>>()?;
                let opcode = if *int { Opcode::Ilookupswitch } else { Opcode::Slookupswitch };
                (opcode, Operands::LookupSwitch { default, pairs })
            }
        }
    })
}

/// The opcode some places behind another one in the table.
fn nth(base: Opcode, offset: u8) -> Opcode {
    Opcode::from_u8(base as u8 + offset).unwrap_or(base)
}

/// `zero` is the one-byte form of 0; those of -1 to 5 lie around it.
fn constant(value: i32, zero: Opcode, byte: Opcode, short: Opcode) -> (Opcode, Operands) {
    match value {
        -1 => (Opcode::from_u8(zero as u8 - 1).unwrap_or(zero), Operands::None),
        0..=5 => (nth(zero, u8::try_from(value).unwrap_or(0)), Operands::None),
        -128..=127 => (byte, Operands::Value(value)),
        -32768..=32767 => (short, Operands::Value(value)),
        _ => (Opcode::Iipush, Operands::Value(value)),
    }
}

fn variable((short, long): (Opcode, Opcode), cell: u16) -> (Opcode, Operands) {
    match u8::try_from(cell).unwrap_or(u8::MAX) {
        cell @ 0..=3 => (nth(short, cell), Operands::None),
        cell => (long, Operands::Local(cell)),
    }
}

/// Field instructions come in the order reference, byte, short, int.
fn of_kind(reference: Opcode, kind: FieldKind) -> Opcode {
    let offset = match kind {
        FieldKind::Reference => 0,
        FieldKind::Byte => 1,
        FieldKind::Short => 2,
        FieldKind::Int => 3,
    };
    nth(reference, offset)
}

/// The wide forms lie in the same order as the narrow ones.
fn wide_form(narrow: Opcode) -> Opcode {
    nth(Opcode::IfeqW, narrow as u8 - Opcode::Ifeq as u8)
}

/// Greatest depth of the operand stack over all paths.
fn stack_depth(body: &Body) -> Result<u8> {
    let (_, most) = walk(body)?;
    u8::try_from(most)
        .map_err(|_| (0, ConvertRule::Limit { limit: Limit::StackCells, count: most, max: MAX_STACK }))
}

/// Depth of the operand stack in front of each item; `None` where control never comes.
pub(super) fn depths(body: &Body) -> Result<Vec<Option<usize>>> {
    walk(body).map(|(depths, _)| depths)
}

fn walk(body: &Body) -> Result<(Vec<Option<usize>>, usize)> {
    let n = body.items.len();
    let positions: HashMap<Label, usize> = body
        .items
        .iter()
        .enumerate()
        .filter_map(|(i, item)| if let Item::Label(l) = item { Some((*l, i)) } else { None })
        .collect();
    let mut depth: Vec<Option<usize>> = vec![None; n];
    let mut work = vec![(0, 0)];
    for handler in &body.handlers {
        work.extend(positions.get(&handler.handler).map(|at| (*at, 1)));
    }
    let mut most = usize::from(!body.handlers.is_empty());
    while let Some((mut at, mut cells)) = work.pop() {
        while at < n {
            match depth[at] {
                Some(known) if known == cells => break,
                Some(_) => return Err((0, ConvertRule::Malformed("stacks of different depth meet"))),
                None => depth[at] = Some(cells),
            }
            if let Item::Op(op, source) = &body.items[at] {
                let (pops, pushes) = op.effect();
                let Some(left) = cells.checked_sub(pops.into()) else {
                    return Err((*source, ConvertRule::Malformed("operand stack is empty")));
                };
                cells = left + usize::from(pushes);
                most = most.max(cells);
                for target in op.targets() {
                    work.extend(positions.get(&target).map(|at| (*at, cells)));
                }
                if op.ends_flow() {
                    break;
                }
            }
            at += 1;
        }
    }
    Ok((depth, most))
}
