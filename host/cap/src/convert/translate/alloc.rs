//! Gives local variables their places.
//!
//! Parameters stay where the call puts them. All others are placed by use count, the most used first, in the lowest
//! cells that no variable alive at the same time holds: cells 0 to 3 have one-byte instructions.

use std::collections::{BTreeSet, HashMap};

use super::ir::{Body, Hold, Item, Label, Op, Web};
use crate::opcodes::Opcode;

/// Places of variables.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// First cell of each web.
    pub(super) cell: HashMap<Web, u16>,
    /// Cells of the parameters.
    pub(super) parameter_cells: u16,
    /// Cells of all variables, parameters included.
    pub(super) cells: u16,
}

/// Names every variable by its cell: from here on equal instructions are equal bytes.
pub(super) fn name_by_cell(body: &mut Body, places: &Places) -> Places {
    let cell = |web: Web| places.cell.get(&web).copied().unwrap_or(0);
    for item in &mut body.items {
        if let Item::Op(Op::Load(_, web) | Op::Store(_, web) | Op::Increment(_, web, _), _) = item {
            *web = cell(*web).into();
        }
    }
    for (web, _) in &mut body.parameters {
        *web = cell(*web).into();
    }
    Places {
        cell: (0..places.cells).map(|cell| (cell.into(), cell)).collect(),
        parameter_cells: places.parameter_cells,
        cells: places.cells,
    }
}

/// Makes the variable before and after `x = x + c` one, where nothing else wants both: the increment instructions work
/// in place. Whether anything was joined.
pub(super) fn join_increments(body: &mut Body) -> bool {
    let mut joined = false;
    loop {
        let conflicts = Liveness::compute(body).conflicts(body);
        let is_parameter = |web: Web| body.parameters.iter().any(|(p, _)| *p == web);
        let found = increments(&body.items).find(|(from, to)| {
            let apart = conflicts.get(from).is_none_or(|c| !c.contains(to));
            from != to && apart && !(is_parameter(*from) && is_parameter(*to))
        });
        let Some((from, to)) = found else { return joined };
        let (kept, gone) = if is_parameter(to) { (to, from) } else { (from, to) };
        for item in &mut body.items {
            if let Item::Op(Op::Load(_, web) | Op::Store(_, web) | Op::Increment(_, web, _), _) = item {
                if *web == gone {
                    *web = kept;
                }
            }
        }
        joined = true;
    }
}

/// Variables that are loaded, changed by a constant, and stored as another one.
fn increments(items: &[Item]) -> impl Iterator<Item = (Web, Web)> + '_ {
    (0..items.len()).filter_map(|at| {
        let op = |i: usize| match items.get(at + i) {
            Some(Item::Op(op, _)) => Some(op),
            _ => None,
        };
        let is_constant = |op: &Op| matches!(op, Op::Short(_) | Op::Int(_));
        let changes =
            |op: &Op| matches!(op, Op::Plain(Opcode::Sadd | Opcode::Ssub | Opcode::Iadd | Opcode::Isub));
        match (op(0)?, op(1)?, op(2)?, op(3)?, op(4)) {
            (Op::Load(_, from), c, add, Op::Store(_, to), _) if is_constant(c) && changes(add) => {
                Some((*from, *to))
            }
            (c, Op::Load(_, from), add, Op::Store(_, to), _) if is_constant(c) && changes(add) => {
                Some((*from, *to))
            }
            (Op::Load(_, from), c, add, Op::Dup { .. }, Some(Op::Store(_, to)))
                if is_constant(c) && changes(add) =>
            {
                Some((*from, *to))
            }
            (Op::Load(_, from), Op::Dup { .. }, c, add, Some(Op::Store(_, to)))
                if is_constant(c) && changes(add) =>
            {
                Some((*from, *to))
            }
            _ => None,
        }
    })
}

/// Where a variable outside cells 0 to 3 is stored and loaded at once, `dup` in front of the store is shorter.
pub(super) fn reuse_stored(body: &mut Body, places: &Places) {
    for index in 1..body.items.len() {
        let (Item::Op(Op::Store(hold, stored), at), Item::Op(Op::Load(_, loaded), _)) =
            (&body.items[index - 1], &body.items[index])
        else {
            continue;
        };
        if stored == loaded && places.cell.get(stored).is_some_and(|cell| *cell > 3) {
            let (store, at) = (Op::Store(*hold, *stored), *at);
            body.items[index - 1] = Item::Op(Op::Dup { m: hold.cells(), n: 0 }, at);
            body.items[index] = Item::Op(store, at);
        }
    }
}

/// Drops stores nobody reads and pairs of store and load of a value used once.
pub(super) fn remove_dead_stores(body: &mut Body) {
    loop {
        let live = Liveness::compute(body);
        let mut changed = false;
        let mut out: Vec<Item> = Vec::with_capacity(body.items.len());
        let mut index = 0;
        while index < body.items.len() {
            let item = &body.items[index];
            if let Item::Op(Op::Increment(_, web, _), _) = item {
                if !live.after(index, *web) {
                    changed = true;
                    index += 1;
                    continue;
                }
            }
            let Item::Op(Op::Store(hold, web), at) = item else {
                out.push(item.clone());
                index += 1;
                continue;
            };
            let read_back = match body.items.get(index + 1) {
                Some(Item::Op(Op::Load(_, loaded), _)) => loaded == web && !live.after(index + 1, *web),
                _ => false,
            };
            if read_back {
                changed = true;
                index += 2;
                continue;
            }
            if live.after(index, *web) {
                out.push(item.clone());
            } else {
                changed = true;
                let pop = if hold.cells() == 2 { Opcode::Pop2 } else { Opcode::Pop };
                out.push(Item::Op(Op::Plain(pop), *at));
            }
            index += 1;
        }
        body.items = out;
        if !changed {
            return;
        }
    }
}

/// Places all variables. The count of cells may exceed what a method can have: the caller checks.
pub(super) fn place(body: &Body) -> Places {
    let live = Liveness::compute(body);
    let mut places = Places::default();
    for (web, hold) in &body.parameters {
        places.cell.entry(*web).or_insert(places.parameter_cells);
        places.parameter_cells += u16::from(hold.cells());
    }
    places.cells = places.parameter_cells;
    let mut holds: HashMap<Web, Hold> = body.parameters.iter().copied().collect();
    let mut uses: HashMap<Web, usize> = HashMap::new();
    for item in &body.items {
        if let Item::Op(Op::Load(hold, web) | Op::Store(hold, web) | Op::Increment(hold, web, _), _) = item {
            holds.entry(*web).or_insert(*hold);
            *uses.entry(*web).or_default() += 1;
        }
    }
    let conflicts = live.conflicts(body);
    let mut order: Vec<(Web, usize)> =
        uses.into_iter().filter(|(web, _)| !places.cell.contains_key(web)).collect();
    order.sort_by_key(|(web, uses)| (std::cmp::Reverse(*uses), *web));
    for (web, _) in order {
        let width = u16::from(holds.get(&web).map_or(1, |h| h.cells()));
        let mut taken: BTreeSet<u16> = BTreeSet::new();
        for other in conflicts.get(&web).into_iter().flatten() {
            if let Some(cell) = places.cell.get(other) {
                taken.insert(*cell);
                if holds.get(other) == Some(&Hold::Int) {
                    taken.insert(cell + 1);
                }
            }
        }
        let mut cell = 0;
        while (cell..cell + width).any(|c| taken.contains(&c)) {
            cell += 1;
        }
        places.cell.insert(web, cell);
        places.cells = places.cells.max(cell + width);
    }
    places
}

/// Live variables in front of each item, as bit sets over the webs that occur.
struct Liveness {
    index: HashMap<Web, usize>,
    words: usize,
    bits: Vec<u64>,
}

impl Liveness {
    fn compute(body: &Body) -> Self {
        let mut index = HashMap::new();
        let mut add = |web: Web| {
            let next = index.len();
            index.entry(web).or_insert(next);
        };
        body.parameters.iter().for_each(|(web, _)| add(*web));
        for item in &body.items {
            if let Item::Op(Op::Load(_, web) | Op::Store(_, web) | Op::Increment(_, web, _), _) = item {
                add(*web);
            }
        }
        let words = index.len().div_ceil(64).max(1);
        let n = body.items.len();
        let mut live = Self { index, words, bits: vec![0; words * (n + 1)] };
        let position: HashMap<Label, usize> = body
            .items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| if let Item::Label(l) = item { Some((*l, i)) } else { None })
            .collect();
        let at = |label: &Label| position.get(label).copied().unwrap_or(n);
        let covers: Vec<(usize, usize, usize)> =
            body.handlers.iter().map(|h| (at(&h.start), at(&h.end), at(&h.handler))).collect();
        let this = body.has_this.then(|| body.parameters.first().map(|(web, _)| *web)).flatten();
        let mut changed = true;
        let mut now = vec![0u64; words];
        while changed {
            changed = false;
            for i in (0..n).rev() {
                now.fill(0);
                let mut merge = |from: usize| {
                    let from = &live.bits[from * words..(from + 1) * words];
                    now.iter_mut().zip(from).for_each(|(a, b)| *a |= b);
                };
                if let Item::Op(op, _) = &body.items[i] {
                    op.targets().iter().for_each(|t| merge(at(t)));
                    if !op.ends_flow() {
                        merge(i + 1);
                    }
                    match op {
                        Op::Store(_, web) => live.set(&mut now, *web, false),
                        Op::Load(_, web) | Op::Increment(_, web, _) => live.set(&mut now, *web, true),
                        Op::Field { this: true, .. } => {
                            if let Some(web) = this {
                                live.set(&mut now, web, true);
                            }
                        }
                        _ => {}
                    }
                } else {
                    merge(i + 1);
                }
                for (_, _, handler) in covers.iter().filter(|(from, to, _)| (*from..*to).contains(&i)) {
                    let from = &live.bits[handler * words..(handler + 1) * words];
                    now.iter_mut().zip(from).for_each(|(a, b)| *a |= b);
                }
                let known = &mut live.bits[i * words..(i + 1) * words];
                if *known != now[..] {
                    known.copy_from_slice(&now);
                    changed = true;
                }
            }
        }
        live
    }

    fn set(&self, bits: &mut [u64], web: Web, on: bool) {
        if let Some(index) = self.index.get(&web) {
            let mask = 1u64 << (index % 64);
            if on {
                bits[index / 64] |= mask;
            } else {
                bits[index / 64] &= !mask;
            }
        }
    }

    /// Whether a variable is read on some path behind an item that falls through.
    fn after(&self, item: usize, web: Web) -> bool {
        let Some(index) = self.index.get(&web) else { return false };
        self.bits[(item + 1) * self.words + index / 64] >> (index % 64) & 1 != 0
    }

    /// Variables that are alive where another one gets a value, and parameters alive at the start.
    fn conflicts(&self, body: &Body) -> HashMap<Web, BTreeSet<Web>> {
        let webs: Vec<Web> = {
            let mut all: Vec<(usize, Web)> = self.index.iter().map(|(web, i)| (*i, *web)).collect();
            all.sort_unstable();
            all.into_iter().map(|(_, web)| web).collect()
        };
        let mut conflicts: HashMap<Web, BTreeSet<Web>> = HashMap::new();
        let mut clash = |a: Web, b: Web| {
            if a != b {
                conflicts.entry(a).or_default().insert(b);
                conflicts.entry(b).or_default().insert(a);
            }
        };
        let alive = |item: usize| {
            let bits = &self.bits[item * self.words..(item + 1) * self.words];
            webs.iter().enumerate().filter(|(i, _)| bits[i / 64] >> (i % 64) & 1 != 0).map(|(_, web)| *web)
        };
        // The receiver stays in its cell for the whole method, as card debuggers and every other converter have it.
        if let (true, Some((this, _))) = (body.has_this, body.parameters.first()) {
            for other in &webs {
                clash(*this, *other);
            }
        }
        for (index, item) in body.items.iter().enumerate() {
            if let Item::Op(Op::Store(_, web) | Op::Increment(_, web, _), _) = item {
                alive(index + 1).for_each(|other| clash(*web, other));
            }
        }
        conflicts
    }
}
