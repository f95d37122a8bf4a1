//! Interpretation of a method along all its paths until the types settle.
//!
//! Subroutines (`jsr`, `ret`; what compilers before release 6 made of `finally`) are followed once per call: a state
//! belongs to an instruction *and* to the chain of calls that led there, so a subroutine may be called with different
//! types in the locals it does not touch.

use std::collections::{BTreeSet, HashMap};

use super::code::{Fault, ScannedMethod};
use super::frame::{Cell, Mismatch, RefTypes, State};
use super::member::Flags;
use super::pool::Entry;
use super::step::Machine;
use super::types::Ty;
use super::world::World;
use super::{Findings, Rule};
use crate::code::Operands;
use crate::model::{access, ComponentTag};
use crate::opcodes::Opcode;

/// Our choice, for the whole CAP file: cells looked at. The largest of some hundred public applets needs 75 thousand.
const MAX_WORK: u64 = 10_000_000;
/// Our choice: cells kept for one method.
const MAX_KEPT: usize = 8_000_000;
/// Our choice: subroutine calls followed in one method.
const MAX_CALLS: usize = 4096;

pub(super) fn check(
    world: &mut World<'_>,
    pool: &[Option<Entry>],
    methods: &[ScannedMethod<'_>],
    findings: &mut Findings,
) {
    let mut types = RefTypes::new(world);
    let mut work = MAX_WORK;
    for method in methods.iter().filter(|m| m.sound) {
        let mut run = Run {
            machine: Machine::new(world, pool, &mut types, method),
            method,
            states: HashMap::new(),
            queue: BTreeSet::new(),
            calls: vec![Call { parent: 0, site: 0, target: 0 }],
            call_ids: HashMap::new(),
            handlers: ranges(pool, method),
            leaders: leaders(method),
            work: &mut work,
            kept: 0,
        };
        let outcome = run.all();
        let notes = std::mem::take(&mut run.machine.notes);
        let outcome = outcome.err().map(|(at, fault)| (at, fault.rule, fault.message));
        let notes = notes.into_iter().map(|((at, rule), message)| (at, rule, message));
        for (at, rule, message) in notes.chain(outcome) {
            let offset = method.instructions.get(at).map_or(0, |i| i.offset);
            let (at, site) = (method.body.code_at + offset, Some(method.body.site.clone()));
            findings.add_in(rule, ComponentTag::Method, at, site, message);
        }
    }
}

/// A handler by instruction indices.
struct Range {
    start: usize,
    end: usize,
    handler: usize,
    caught: Option<super::world::ClassId>,
}

fn ranges(pool: &[Option<Entry>], method: &ScannedMethod<'_>) -> Vec<Range> {
    let range = |h: &crate::model::ExceptionHandler| {
        let start = method.relative(h.start_offset)?;
        let caught = match pool.get(usize::from(h.catch_type_index)) {
            Some(Some(Entry::Class(id))) if h.catch_type_index != 0 => Some(*id),
            _ => None,
        };
        Some(Range {
            start: method.at(start)?,
            end: method.at(start + usize::from(h.active_length)).unwrap_or(method.instructions.len()),
            handler: method.at(method.relative(h.handler_offset)?)?,
            caught,
        })
    };
    method.body.handlers.iter().filter_map(range).collect()
}

/// Instructions at which paths may meet.
fn leaders(method: &ScannedMethod<'_>) -> Vec<bool> {
    let mut leaders = vec![false; method.instructions.len()];
    let mut mark = |index: Option<usize>| {
        if let Some(leader) = index.and_then(|i| leaders.get_mut(i)) {
            *leader = true;
        }
    };
    for (index, instruction) in method.instructions.iter().enumerate() {
        instruction.targets().into_iter().for_each(|target| mark(method.target(target)));
        if instruction.opcode == Opcode::Jsr {
            mark(Some(index + 1));
        }
    }
    for handler in method.body.handlers {
        mark(method.relative(handler.handler_offset).and_then(|at| method.at(at)));
    }
    leaders
}

/// A call of a subroutine: from which call, by which instruction, to which.
struct Call {
    parent: usize,
    site: usize,
    target: usize,
}

/// A subroutine call and those it was made within, innermost first.
fn chain(calls: &[Call], call: usize) -> impl Iterator<Item = usize> + '_ {
    let next = |&id: &usize| Some(calls[id].parent).filter(|&parent| parent != 0);
    std::iter::successors(Some(call).filter(|&id| id != 0), next)
}

/// Where a state belongs: a subroutine call (0 is none) and an instruction.
type Place = (usize, usize);

struct Run<'r, 'w, 'a> {
    machine: Machine<'r, 'w, 'a>,
    method: &'r ScannedMethod<'w>,
    states: HashMap<Place, State>,
    queue: BTreeSet<Place>,
    calls: Vec<Call>,
    call_ids: HashMap<(usize, usize), usize>,
    handlers: Vec<Range>,
    leaders: Vec<bool>,
    work: &'r mut u64,
    kept: usize,
}

type Outcome<T> = Result<T, (usize, Fault)>;

impl Run<'_, '_, '_> {
    fn all(&mut self) -> Outcome<()> {
        let start = self.machine.initial();
        self.enter((0, 0), &start, 0)?;
        while let Some(place) = self.queue.pop_first() {
            self.walk(place)?;
        }
        Ok(())
    }

    /// Follows a path from where paths meet to where they meet again.
    fn walk(&mut self, (call, start): Place) -> Outcome<()> {
        let Some(state) = self.states.get(&(call, start)) else { return Ok(()) };
        self.machine.state = state.clone();
        let mut index = start;
        let mut locals_changed = true;
        loop {
            self.spend(1 + self.handlers.len() / 16, index)?;
            self.enter_handlers(call, index, locals_changed)?;
            let method = self.method;
            let Some(instruction) = method.instructions.get(index) else {
                let message = "execution runs past the end of the method";
                return Err((index.saturating_sub(1), Fault::new(Rule::CodeEnd, message)));
            };
            locals_changed = self.machine.step(index).map_err(|fault| (index, fault))?;
            let state = self.machine.state.clone_if(!instruction.targets().is_empty());
            match instruction.opcode {
                Opcode::Jsr => return self.call(call, index),
                Opcode::Ret => return self.ret(call, index),
                _ => {}
            }
            if let Some(state) = state {
                for target in instruction.targets() {
                    if let Some(target) = self.method.target(target) {
                        self.enter((call, target), &state, index)?;
                    }
                }
            }
            if instruction.opcode.ends_flow() {
                return Ok(());
            }
            index += 1;
            if self.leaders.get(index) == Some(&true) {
                let state = self.machine.state.clone();
                return self.enter((call, index), &state, index - 1);
            }
        }
    }

    /// An exception may be thrown before an instruction has any effect; the handler sees the locals as they are.
    fn enter_handlers(&mut self, call: usize, index: usize, locals_changed: bool) -> Outcome<()> {
        for number in 0..self.handlers.len() {
            let range = &self.handlers[number];
            let covered = (range.start..range.end).contains(&index);
            if !covered || !locals_changed && index != range.start {
                continue;
            }
            let caught = range.caught.unwrap_or(self.machine.world.throwable);
            let exception = self.machine.types.class(self.machine.world, caught);
            let handler = range.handler;
            if self.machine.max_stack() == 0 {
                let fault = Fault::new(Rule::CodeStackOverflow, "a handler needs room for the exception");
                return Err((handler, fault));
            }
            let state = State {
                locals: self.machine.state.locals.clone(),
                stack: vec![Cell::Ref(exception)],
                constructed: self.machine.state.constructed,
            };
            self.enter((call, handler), &state, index)?;
        }
        Ok(())
    }

    fn call(&mut self, call: usize, site: usize) -> Outcome<()> {
        let targets = self.method.instructions[site].targets();
        let Some(target) = targets.first().and_then(|t| self.method.target(*t)) else { return Ok(()) };
        if chain(&self.calls, call).any(|outer| self.calls[outer].target == target) {
            return Err((site, Fault::new(Rule::CodeSubroutine, "the subroutine calls itself")));
        }
        let known = self.call_ids.get(&(call, site)).copied();
        let id = known.unwrap_or(self.calls.len());
        let Some(address) = u16::try_from(id).ok().filter(|_| id < MAX_CALLS) else {
            return Err((site, Fault::new(Rule::CodeComplexity, "too many subroutine calls")));
        };
        if known.is_none() {
            self.calls.push(Call { parent: call, site, target });
            self.call_ids.insert((call, site), id);
        }
        self.machine.push(Cell::Return(address)).map_err(|fault| (site, fault))?;
        let state = self.machine.state.clone();
        self.enter((id, target), &state, site)
    }

    fn ret(&mut self, call: usize, index: usize) -> Outcome<()> {
        let Operands::Local(local) = self.method.instructions[index].operands else { return Ok(()) };
        let found = self.machine.state.locals.get(usize::from(local)).copied();
        let Some(Cell::Return(address)) = found else {
            let message = format!("no return address in local {local}");
            return Err((index, Fault::new(Rule::CodeSubroutine, message)));
        };
        let address = usize::from(address);
        if !chain(&self.calls, call).any(|outer| outer == address) {
            let message = "the subroutine has been left already";
            return Err((index, Fault::new(Rule::CodeSubroutine, message)));
        }
        let (parent, site) = (self.calls[address].parent, self.calls[address].site);
        if site + 1 >= self.method.instructions.len() {
            return Err((
                site,
                Fault::new(Rule::CodeEnd, "the subroutine returns past the end of the method"),
            ));
        }
        let state = self.machine.state.clone();
        self.enter((parent, site + 1), &state, index)
    }

    /// A state arrives at a place.
    fn enter(&mut self, place: Place, state: &State, from: usize) -> Outcome<()> {
        self.spend(state.size(), from)?;
        let Some(known) = self.states.get_mut(&place) else {
            self.kept += state.size() + 1;
            if self.kept > MAX_KEPT {
                return Err((from, Fault::new(Rule::CodeComplexity, "too many states to keep")));
            }
            self.states.insert(place, state.clone());
            self.queue.insert(place);
            return Ok(());
        };
        match known.join(self.machine.world, self.machine.types, state) {
            Ok(true) => {
                self.queue.insert(place);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(mismatch) => {
                let at = self.method.body.code_at + self.method.instructions[place.1].offset;
                let what = match mismatch {
                    Mismatch::Depth(a, b) => format!("{a} cells on one path, {b} on another"),
                    Mismatch::Types(cell, a, b) => {
                        let (a, b) = (self.machine.describe(a), self.machine.describe(b));
                        format!("cell {cell} is {a} on one path, {b} on another")
                    }
                };
                Err((place.1, Fault::new(Rule::CodeMerge, format!("stacks meet at {at:#06x}: {what}"))))
            }
        }
    }

    fn spend(&mut self, cells: usize, at: usize) -> Outcome<()> {
        match self.work.checked_sub(cells as u64 + 1) {
            Some(left) => {
                *self.work = left;
                Ok(())
            }
            None => Err((at, Fault::new(Rule::CodeComplexity, "the types do not settle in reasonable time"))),
        }
    }
}

impl State {
    fn clone_if(&self, wanted: bool) -> Option<Self> {
        wanted.then(|| self.clone())
    }
}

impl Machine<'_, '_, '_> {
    /// Arguments in locals, an empty stack.
    fn initial(&mut self) -> State {
        let body = &self.method.body;
        let flags: Flags = body.flags;
        let mut locals = Vec::new();
        let constructor = flags.has(access::METHOD_INIT);
        if !flags.is_static() {
            let this = self.types.class(self.world, body.class);
            locals.push(if constructor { Cell::NewThis } else { Cell::Ref(this) });
        }
        for &ty in &body.signature.params {
            let ty: Ty = ty;
            locals.extend(self.types.cells(self.world, ty));
        }
        let all = usize::from(body.header.nargs) + usize::from(body.header.max_locals);
        locals.resize(all, Cell::Unusable);
        State { locals, stack: Vec::new(), constructed: !constructor }
    }
}
