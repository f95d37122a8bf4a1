//! Joins equal ends: where two paths end with the same instructions and go on at the same place, one of them jumps
//! into the other. Works on code whose variables have places, so that equal instructions are the same bytes.

use std::collections::HashMap;

use super::ir::{Body, Item, Label, Op};
use super::layout;
use crate::opcodes::Opcode;

/// Where a path goes after its last instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Continuation {
    Label(Label),
    Return(Opcode),
}

/// The end of a path: the position of its last instruction, and whether that is the jump itself.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Position behind the instructions that are compared.
    behind: usize,
    /// The jump at `behind`, or `None` where the path falls through.
    exit: Option<usize>,
    continuation: Continuation,
}

/// Two ends that can be one.
struct Found {
    removed: std::ops::Range<usize>,
    kept_from: usize,
}

/// Joins as long as it makes the method shorter; `size` tells how long an instruction is.
pub(super) fn join_ends(body: &mut Body, size: impl Fn(&Op) -> usize) {
    // Each joining removes instructions, so this ends; the bound only guards the compiler's time.
    for _ in 0..body.items.len() {
        let Some(found) = find(body, &size) else { return };
        apply(body, &found);
    }
}

fn find(body: &Body, size: &impl Fn(&Op) -> usize) -> Option<Found> {
    let items = &body.items;
    let depths = layout::depths(body).ok()?;
    let cover = coverage(body);
    let mut groups: HashMap<Continuation, Vec<End>> = HashMap::new();
    let mut order = Vec::new();
    for end in ends(items) {
        let group = groups.entry(end.continuation).or_insert_with(|| {
            order.push(end.continuation);
            Vec::new()
        });
        group.push(end);
    }
    let mut best: Option<(usize, Found)> = None;
    for continuation in order {
        let group = groups.get(&continuation).map_or(&[][..], Vec::as_slice);
        for removed in group.iter().filter(|e| e.exit.is_some()) {
            for kept in group.iter().filter(|e| e.behind != removed.behind) {
                let exit =
                    removed.exit.map_or(0, |at| if let Item::Op(op, _) = &items[at] { size(op) } else { 0 });
                if let Some((gain, found)) = compare(items, &depths, &cover, removed, kept, exit, size) {
                    if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                        best = Some((gain, found));
                    }
                }
            }
        }
    }
    best.map(|(_, found)| found)
}

/// How much is saved by jumping from `removed` into `kept`.
fn compare(
    items: &[Item],
    depths: &[Option<usize>],
    cover: &[Vec<usize>],
    removed: &End,
    kept: &End,
    exit: usize,
    size: &impl Fn(&Op) -> usize,
) -> Option<(usize, Found)> {
    let (mut a, mut b) = (removed.behind, kept.behind);
    let (mut bytes, mut best) = (0, None);
    loop {
        // Labels in the part that stays are passed over; in the part that goes they would lead nowhere.
        while b > 0 && matches!(items[b - 1], Item::Label(_)) {
            b -= 1;
        }
        let (Some(x), Some(y)) = (a.checked_sub(1), b.checked_sub(1)) else { break };
        let (Item::Op(left, _), Item::Op(right, _)) = (&items[x], &items[y]) else { break };
        if left != right || left.ends_flow() || cover[x] != cover[y] || x == y {
            break;
        }
        // The two parts must not overlap.
        if x < kept.behind && kept.behind <= removed.behind
            || y < removed.behind && removed.behind <= kept.behind
        {
            break;
        }
        (a, b) = (x, y);
        bytes += size(left);
        if depths[a] == Some(0) && depths[b] == Some(0) {
            let goto = 2;
            if let Some(gain) = (bytes + exit).checked_sub(goto).filter(|gain| *gain > 0) {
                let end = removed.exit.map_or(removed.behind, |at| at + 1);
                best = Some((gain, Found { removed: a..end, kept_from: b }));
            }
        }
    }
    best
}

fn ends(items: &[Item]) -> Vec<End> {
    let mut ends = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Item::Op(op, _) = item else { continue };
        let continuation = match op {
            Op::Branch(Opcode::Goto, label) => Continuation::Label(*label),
            Op::Plain(
                r @ (Opcode::Return | Opcode::Sreturn | Opcode::Areturn | Opcode::Ireturn | Opcode::Athrow),
            ) => Continuation::Return(*r),
            op if !op.ends_flow() => {
                // Falls into labels: those name the same place.
                for following in
                    items[at + 1..].iter().map_while(|i| if let Item::Label(l) = i { Some(*l) } else { None })
                {
                    ends.push(End {
                        behind: at + 1,
                        exit: None,
                        continuation: Continuation::Label(following),
                    });
                }
                continue;
            }
            _ => continue,
        };
        ends.push(End { behind: at, exit: Some(at), continuation });
    }
    ends
}

/// Handlers that cover each item.
fn coverage(body: &Body) -> Vec<Vec<usize>> {
    let mut cover = vec![Vec::new(); body.items.len()];
    let at = |label: Label| body.items.iter().position(|i| *i == Item::Label(label));
    for (number, handler) in body.handlers.iter().enumerate() {
        if let (Some(from), Some(to)) = (at(handler.start), at(handler.end)) {
            for covered in cover.iter_mut().take(to).skip(from) {
                covered.push(number);
            }
        }
    }
    cover
}

fn apply(body: &mut Body, found: &Found) {
    let label = body.labels;
    body.labels += 1;
    let source = body.items[found.removed.clone()].iter().find_map(|i| {
        if let Item::Op(_, at) = i {
            Some(*at)
        } else {
            None
        }
    });
    let jump = Item::Op(Op::Branch(Opcode::Goto, label), source.unwrap_or(0));
    if found.kept_from >= found.removed.end {
        body.items.insert(found.kept_from, Item::Label(label));
        body.items.splice(found.removed.clone(), [jump]);
    } else {
        body.items.splice(found.removed.clone(), [jump]);
        body.items.insert(found.kept_from, Item::Label(label));
    }
}
