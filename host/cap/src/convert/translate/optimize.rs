//! Peephole and control flow clean-up on Java Card instructions. Each rewriting keeps what the code does.

// One row per instruction or pattern: rows that happen to agree stay apart.
#![allow(clippy::match_same_arms)]

use std::collections::HashMap;

use super::ir::{Body, Hold, Item, Label, Op};
use crate::opcodes::Opcode;

/// Rewrites until nothing changes.
pub(super) fn optimize(body: &mut Body) {
    body.items = peephole(std::mem::take(&mut body.items));
    loop {
        let before = body.items.clone();
        thread_jumps(body);
        remove_unreachable(body);
        invert_over_goto(body);
        body.items = peephole(std::mem::take(&mut body.items));
        if body.items == before {
            break;
        }
    }
    body.handlers.retain(|h| has_code_between(&body.items, h.start, h.end));
}

/// Control flow clean-up alone, for code whose variables have places.
pub(super) fn clean_up(body: &mut Body) {
    loop {
        let before = body.items.clone();
        thread_jumps(body);
        remove_unreachable(body);
        invert_over_goto(body);
        if body.items == before {
            break;
        }
    }
}

/// Replaces short sequences without labels inside.
fn peephole(items: Vec<Item>) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::with_capacity(items.len());
    for item in items {
        let is_op = matches!(item, Item::Op(..));
        out.push(item);
        while is_op && rewrite_tail(&mut out) {}
    }
    out
}

/// The last operations of a list, as far as no label stands between.
fn tail(out: &[Item], count: usize) -> Option<Vec<&Op>> {
    let items = out.get(out.len().checked_sub(count)?..)?;
    items.iter().map(|item| if let Item::Op(op, _) = item { Some(op) } else { None }).collect()
}

fn replace_tail(out: &mut Vec<Item>, count: usize, with: impl IntoIterator<Item = Op>) {
    let at =
        out.iter().rev().take(count).find_map(|i| if let Item::Op(_, at) = i { Some(*at) } else { None });
    out.truncate(out.len() - count);
    out.extend(with.into_iter().map(|op| Item::Op(op, at.unwrap_or(0))));
}

const DUP: Op = Op::Dup { m: 1, n: 0 };
const DUP2: Op = Op::Dup { m: 2, n: 0 };

fn rewrite_tail(out: &mut Vec<Item>) -> bool {
    use Op::{Increment, Load, Plain, Store};
    if let Some([first, second, third, fourth, fifth]) = tail(out, 5).as_deref() {
        // x++ used as a value: the old value, then the increment.
        if let (Load(hold, web), dup, Store(_, stored)) = (first, second, fifth) {
            if web == stored && is_dup(dup, *hold) {
                if let Some(by) = increment_of(third, fourth, *hold) {
                    let new = [Load(*hold, *web), Increment(*hold, *web, by)];
                    replace_tail(out, 5, new);
                    return true;
                }
            }
        }
        // ++x used as a value.
        if let (Load(hold, web), dup, Store(_, stored)) = (first, fourth, fifth) {
            if web == stored && is_dup(dup, *hold) {
                if let Some(by) = increment_of(second, third, *hold) {
                    let new = [Increment(*hold, *web, by), Load(*hold, *web)];
                    replace_tail(out, 5, new);
                    return true;
                }
            }
        }
    }
    if let Some([first, second, third, Store(hold, stored)]) = tail(out, 4).as_deref() {
        let found = match (first, second) {
            (Load(_, web), constant) if web == stored => increment_of(constant, third, *hold),
            (constant, Load(_, web)) if web == stored && is_add(third) => {
                increment_of(constant, third, *hold)
            }
            _ => None,
        };
        if let Some(by) = found {
            let new = [Increment(*hold, *stored, by)];
            replace_tail(out, 4, new);
            return true;
        }
    }
    if let Some([Op::Int(0), Plain(Opcode::Icmp), Op::Branch(..)]) = tail(out, 3).as_deref() {
        return false;
    }
    let Some(pair) = tail(out, 2) else { return false };
    let new: Vec<Op> = match (pair[0], pair[1]) {
        (Op::Short(0), Op::Branch(opcode, label)) => match against_zero(*opcode) {
            Some(opcode) => vec![Op::Branch(opcode, *label)],
            None => return false,
        },
        (Plain(Opcode::AconstNull), Op::Branch(Opcode::IfAcmpeq, label)) => {
            vec![Op::Branch(Opcode::Ifnull, *label)]
        }
        (Plain(Opcode::AconstNull), Op::Branch(Opcode::IfAcmpne, label)) => {
            vec![Op::Branch(Opcode::Ifnonnull, *label)]
        }
        // Shorter the other way round: x + (-2..-5) with sconst, x + 128 with bspush.
        (Op::Short(c @ (-5..=-2 | 128)), Plain(Opcode::Sadd)) => {
            vec![Op::Short(c.wrapping_neg()), Plain(Opcode::Ssub)]
        }
        (Op::Short(c @ (-5..=-2 | 128)), Plain(Opcode::Ssub)) => {
            vec![Op::Short(c.wrapping_neg()), Plain(Opcode::Sadd)]
        }
        (Op::Short(c), Plain(Opcode::S2i)) => vec![Op::Int((*c).into())],
        (Plain(Opcode::S2i), Plain(Opcode::I2s)) => vec![],
        (Plain(Opcode::S2i), Plain(Opcode::I2b)) | (Plain(Opcode::S2b), Plain(Opcode::S2b)) => {
            vec![Plain(Opcode::S2b)]
        }
        (Op::Int(c), Plain(Opcode::I2s)) => match i16::try_from(*c) {
            Ok(c) => vec![Op::Short(c)],
            Err(_) => return false,
        },
        (Load(hold, _), Plain(Opcode::Pop)) if hold.cells() == 1 => vec![],
        (Load(Hold::Int, _), Plain(Opcode::Pop2)) => vec![],
        (Op::Short(-1), Plain(Opcode::Sand))
        | (Op::Short(0), Plain(Opcode::Sadd | Opcode::Ssub | Opcode::Sor | Opcode::Sxor)) => vec![],
        (_, Op::Switch { int, default, cases }) if cases.is_empty() => {
            let pop = if *int { Opcode::Pop2 } else { Opcode::Pop };
            let (first, default) = (pair[0].clone(), *default);
            vec![first, Plain(pop), Op::Branch(Opcode::Goto, default)]
        }
        (_, Op::Switch { int, default, cases }) if cases.len() == 1 => {
            let (first, default, (key, target)) = (pair[0].clone(), *default, cases[0]);
            let mut new = vec![first];
            match (int, i16::try_from(key)) {
                (false, Ok(key)) => new.extend([Op::Short(key), Op::Branch(Opcode::IfScmpeq, target)]),
                _ => new.extend([Op::Int(key), Plain(Opcode::Icmp), Op::Branch(Opcode::Ifeq, target)]),
            }
            new.push(Op::Branch(Opcode::Goto, default));
            new
        }
        _ => return false,
    };
    replace_tail(out, 2, new);
    true
}

fn is_dup(op: &Op, hold: Hold) -> bool {
    match hold {
        Hold::Int => *op == DUP2,
        _ => *op == DUP,
    }
}

fn is_add(op: &Op) -> bool {
    matches!(op, Op::Plain(Opcode::Sadd | Opcode::Iadd))
}

/// What `constant; operation` adds, when an increment instruction can do that.
fn increment_of(constant: &Op, operation: &Op, hold: Hold) -> Option<i16> {
    match (constant, operation, hold) {
        (Op::Short(c), Op::Plain(Opcode::Sadd), Hold::Short) => Some(*c),
        (Op::Short(c), Op::Plain(Opcode::Ssub), Hold::Short) => c.checked_neg(),
        (Op::Int(c), Op::Plain(Opcode::Iadd), Hold::Int) => i16::try_from(*c).ok(),
        (Op::Int(c), Op::Plain(Opcode::Isub), Hold::Int) => i16::try_from(c.checked_neg()?).ok(),
        _ => None,
    }
}

fn against_zero(opcode: Opcode) -> Option<Opcode> {
    Some(match opcode {
        Opcode::IfScmpeq => Opcode::Ifeq,
        Opcode::IfScmpne => Opcode::Ifne,
        Opcode::IfScmplt => Opcode::Iflt,
        Opcode::IfScmpge => Opcode::Ifge,
        Opcode::IfScmpgt => Opcode::Ifgt,
        Opcode::IfScmple => Opcode::Ifle,
        _ => return None,
    })
}

fn inverse(opcode: Opcode) -> Option<Opcode> {
    use Opcode as O;
    const PAIRS: [(Opcode, Opcode); 8] = [
        (O::Ifeq, O::Ifne),
        (O::Iflt, O::Ifge),
        (O::Ifgt, O::Ifle),
        (O::Ifnull, O::Ifnonnull),
        (O::IfAcmpeq, O::IfAcmpne),
        (O::IfScmpeq, O::IfScmpne),
        (O::IfScmplt, O::IfScmpge),
        (O::IfScmpgt, O::IfScmple),
    ];
    PAIRS.into_iter().find_map(|(a, b)| (a == opcode).then_some(b).or((b == opcode).then_some(a)))
}

/// The operation that a label stands before, with its position.
fn first_op_at(items: &[Item], positions: &HashMap<Label, usize>, label: Label) -> Option<(usize, Op)> {
    let start = *positions.get(&label)?;
    let found = items.iter().enumerate().skip(start).find_map(|(i, item)| match item {
        Item::Op(op, _) => Some((i, op)),
        Item::Label(_) => None,
    });
    found.map(|(i, op)| (i, op.clone()))
}

fn positions(items: &[Item]) -> HashMap<Label, usize> {
    let labels = items.iter().enumerate();
    labels
        .filter_map(|(i, item)| if let Item::Label(label) = item { Some((*label, i)) } else { None })
        .collect()
}

/// Jumps to a jump go to its target; jumps to a return become the return; jumps to the next instruction vanish.
fn thread_jumps(body: &mut Body) {
    let positions = positions(&body.items);
    let resolve = |label: Label| {
        let mut at = label;
        // A chain longer than the number of items is a loop of gotos.
        for _ in 0..body.items.len() {
            match first_op_at(&body.items, &positions, at) {
                Some((_, Op::Branch(Opcode::Goto, next))) if next != at => at = next,
                _ => return at,
            }
        }
        label
    };
    let mut items = body.items.clone();
    for (index, item) in items.iter_mut().enumerate() {
        let Item::Op(op, _) = item else { continue };
        for target in op.targets_mut() {
            *target = resolve(*target);
        }
        let Op::Branch(Opcode::Goto, target) = op else { continue };
        match first_op_at(&body.items, &positions, *target) {
            Some((
                _,
                Op::Plain(r @ (Opcode::Return | Opcode::Sreturn | Opcode::Areturn | Opcode::Ireturn)),
            )) => {
                *op = Op::Plain(r);
            }
            Some((to, _)) => {
                let next =
                    body.items.iter().enumerate().skip(index + 1).find(|(_, i)| matches!(i, Item::Op(..)));
                if next.is_some_and(|(next, _)| next == to) {
                    // Marked for removal: a goto to itself is no valid program here.
                    *op = Op::Plain(Opcode::Nop);
                }
            }
            None => {}
        }
    }
    items.retain(|item| !matches!(item, Item::Op(Op::Plain(Opcode::Nop), _)));
    body.items = items;
}

/// Drops what no path reaches, and labels nobody names.
fn remove_unreachable(body: &mut Body) {
    let mut items = std::mem::take(&mut body.items);
    loop {
        let mut entered: Vec<bool> = vec![false; body.labels];
        for item in &items {
            if let Item::Op(op, _) = item {
                op.targets().into_iter().for_each(|t| entered[t] = true);
            }
        }
        let mut marks = entered.clone();
        for handler in &body.handlers {
            entered[handler.handler] = true;
            for label in [handler.start, handler.end, handler.handler] {
                marks[label] = true;
            }
        }
        let before = items.len();
        let mut reachable = true;
        items.retain(|item| match item {
            Item::Label(label) => {
                reachable |= entered[*label];
                marks[*label]
            }
            Item::Op(op, _) => {
                let keep = reachable;
                if op.ends_flow() {
                    reachable = false;
                }
                keep
            }
        });
        body.handlers.retain(|h| has_code_between(&items, h.start, h.end));
        if items.len() == before {
            break;
        }
    }
    body.items = items;
}

fn has_code_between(items: &[Item], start: Label, end: Label) -> bool {
    let from = items.iter().position(|i| *i == Item::Label(start));
    let to = items.iter().position(|i| *i == Item::Label(end));
    match (from, to) {
        (Some(from), Some(to)) if from < to => items[from..to].iter().any(|i| matches!(i, Item::Op(..))),
        _ => false,
    }
}

/// `if c goto A; goto B; A:` becomes `if not c goto B; A:`.
fn invert_over_goto(body: &mut Body) {
    let items = &mut body.items;
    let mut index = 0;
    while index + 2 < items.len() {
        let found = match (&items[index], &items[index + 1]) {
            (Item::Op(Op::Branch(condition, over), _), Item::Op(Op::Branch(Opcode::Goto, far), _)) => {
                let labels = items[index + 2..].iter().take_while(|i| matches!(i, Item::Label(_)));
                let lands = labels.into_iter().any(|i| *i == Item::Label(*over));
                inverse(*condition).filter(|_| lands).map(|condition| (condition, *far))
            }
            _ => None,
        };
        if let Some((condition, far)) = found {
            if let Item::Op(op, _) = &mut items[index] {
                *op = Op::Branch(condition, far);
            }
            items.remove(index + 1);
        }
        index += 1;
    }
}
