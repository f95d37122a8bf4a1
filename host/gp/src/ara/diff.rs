//! From the rules present to the rules desired, in an order that never opens more than either of them does.
//!
//! Every command is atomic on the card, and a phone may read the rules between any two. The order makes each state in
//! between allow a device application only what it was allowed before or will be allowed after:
//!
//! * References that are to have rules come first, from the most particular to the widest, and those that are to have
//!   none go last, the other way round: a wider rule counts only where no more particular one stands.
//! * A rule for a reference that had another one is stored before the old one goes; merged, they are no wider than one
//!   of them.
//! * Where that cannot be, because the two say opposite things (6A89) or a reference has several rules whose parts would
//!   allow more than their sum, all rules of the reference are replaced behind a guard: a rule for the same AID that
//!   names a hash no certificate has.

use super::access::{Access, ApduAccess, NfcAccess};
use super::reference::{AidRef, DeviceApp, Reference};
use super::rule::Rule;
use super::set::RuleSet;
use super::store::{DeleteTarget, StoreCommand};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A rule is added.
    Add(Rule),
    /// A rule is removed, with its duplicates.
    Remove(Rule),
    /// All rules of a reference are removed at once.
    RemoveReference(Reference),
    /// Every rule is removed.
    RemoveAll,
    /// A guard is set before the rules of a reference are replaced.
    Guard(Rule),
    /// The guard is taken away.
    Unguard(Rule),
}

impl Change {
    /// The command object.
    pub fn command(&self) -> StoreCommand {
        match self {
            Self::Add(rule) | Self::Guard(rule) => StoreCommand::Store(rule.clone()),
            Self::Remove(rule) | Self::Unguard(rule) => {
                StoreCommand::Delete(DeleteTarget::Rule(rule.clone()))
            }
            Self::RemoveReference(reference) => {
                StoreCommand::Delete(DeleteTarget::Reference(reference.clone()))
            }
            Self::RemoveAll => StoreCommand::Delete(DeleteTarget::All),
        }
    }
}

/// The steps, and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In order.
    pub changes: Vec<Change>,
    /// Rules that are there and stay; those of a reference that is replaced whole are written again.
    pub kept: Vec<Rule>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The command objects in order.
    pub fn commands(&self) -> impl Iterator<Item = StoreCommand> + '_ {
        self.changes.iter().map(Change::command)
    }
}

/// Two desired rules with one reference say opposite things.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two rules for {} and {} contradict each other", .first.reference.aid(), .first.reference.device_app())]
pub struct Contradiction {
    /// One of them.
    pub first: Box<Rule>,
    /// The other.
    pub second: Box<Rule>,
}

/// Two rules of a list that contradict each other.
pub fn contradiction(rules: &[Rule]) -> Option<(usize, usize)> {
    for (first, a) in rules.iter().enumerate() {
        for (second, b) in rules.iter().enumerate().skip(first + 1) {
            if a.reference == b.reference && a.access.conflicts_with(&b.access) {
                return Some((first, second));
            }
        }
    }
    None
}

/// How particular a reference is: 0 for searches A, 1 B, 2 C, 3 D of the enforcer.
fn width(reference: &Reference) -> u8 {
    let all_aids = reference.aid() == AidRef::All;
    let all_apps = *reference.device_app() == DeviceApp::All;
    u8::from(all_aids) * 2 + u8::from(all_apps)
}

/// A hash that no certificate has.
const NOBODY: DeviceApp = DeviceApp::Sha256([0; 32]);

/// The steps from `present` to `desired`.
pub fn diff(present: &[Rule], desired: &[Rule]) -> Result<Plan, Contradiction> {
    if let Some((first, second)) = contradiction(desired) {
        let boxed = |i: usize| Box::new(desired[i].clone());
        return Err(Contradiction { first: boxed(first), second: boxed(second) });
    }
    let mut planner = Planner { plan: Plan::default(), state: RuleSet::new(present.to_vec()) };
    if desired.is_empty() {
        if !present.is_empty() {
            planner.push(Change::RemoveAll);
        }
        return Ok(planner.plan);
    }
    planner.plan.kept = present.iter().filter(|rule| desired.contains(rule)).cloned().collect();
    let mut references: Vec<&Reference> = present.iter().chain(desired).map(|rule| &rule.reference).collect();
    references.sort_by_key(|reference| (width(reference), *reference));
    references.dedup();
    let of = |rules: &[Rule], reference: &Reference| {
        without_duplicates(rules.iter().filter(|rule| rule.reference == *reference))
    };
    for reference in &references {
        match (of(present, reference).as_slice(), of(desired, reference).as_slice()) {
            (_, []) => {}
            (old, new) if same(old, new) => {}
            ([], [new]) => planner.push(Change::Add(new.clone())),
            ([old], [new]) if !old.access.conflicts_with(&new.access) => {
                planner.push(Change::Add(new.clone()));
                planner.push(Change::Remove(old.clone()));
            }
            (old, new) => planner.replace(reference, old, new),
        }
    }
    for reference in references.iter().rev() {
        match (of(present, reference).as_slice(), of(desired, reference).as_slice()) {
            ([], _) | (_, [_, ..]) => {}
            ([old], []) => planner.push(Change::Remove(old.clone())),
            (_, []) => planner.push(Change::RemoveReference((*reference).clone())),
        }
    }
    Ok(planner.plan)
}

struct Planner {
    plan: Plan,
    state: RuleSet,
}

impl Planner {
    fn push(&mut self, change: Change) {
        self.state.apply(&change.command());
        self.plan.changes.push(change);
    }

    /// Replaces all rules of a reference behind a guard. Filters are stored before always, which they outweigh.
    fn replace(&mut self, reference: &Reference, old: &[Rule], new: &[Rule]) {
        let guard = self.guard_for(reference);
        if let Some(guard) = &guard {
            self.push(Change::Guard(guard.clone()));
        }
        match old {
            [] => {}
            [old] => self.push(Change::Remove(old.clone())),
            _ => self.push(Change::RemoveReference(reference.clone())),
        }
        let mut new = new.to_vec();
        new.sort_by_key(|rule| {
            (rule.access.apdu() == Some(&ApduAccess::Always), rule.access.apdu().is_some())
        });
        let quiet = quiet_for(&new);
        if let Some(quiet) = &quiet {
            self.push(Change::Guard(quiet.clone()));
        }
        for rule in new {
            self.push(Change::Add(rule));
        }
        if let Some(quiet) = quiet {
            self.push(Change::Unguard(quiet));
        }
        if let Some(guard) = guard {
            self.push(Change::Unguard(guard));
        }
    }

    /// The guard to set before the rules of `reference` go, unless another rule keeps strangers out already.
    fn guard_for(&self, reference: &Reference) -> Option<Rule> {
        let guarded = self.state.rules().iter().any(|rule| {
            rule.reference.aid() == reference.aid()
                && rule.reference != *reference
                && *rule.reference.device_app() != DeviceApp::All
        });
        if guarded || reference.aid().is_carrier() {
            return None;
        }
        let access = Access::new(Some(ApduAccess::Never), Some(NfcAccess::Never), None).ok()?;
        Some(Rule::new(Reference::new(reference.aid(), NOBODY), access))
    }
}

/// A rule of the same reference that forbids NFC events while the rules that say so are not all there yet.
fn quiet_for(new: &[Rule]) -> Option<Rule> {
    let forbids = |rule: &Rule| rule.access.nfc() == Some(NfcAccess::Never);
    let first = new.first().filter(|first| new.iter().any(forbids) && !forbids(first))?;
    let access = Access::new(None, Some(NfcAccess::Never), None).ok()?;
    let quiet = Rule::new(first.reference.clone(), access);
    (!new.contains(&quiet)).then_some(quiet)
}

fn same(a: &[Rule], b: &[Rule]) -> bool {
    a.len() == b.len() && a.iter().all(|rule| b.contains(rule))
}

fn without_duplicates<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<Rule> {
    let mut found: Vec<Rule> = Vec::new();
    for rule in rules {
        if !found.contains(rule) {
            found.push(rule.clone());
        }
    }
    found
}
