//! From the rules present to the rules desired, in an order that never opens more than either of them does.
//!
//! Every command is atomic on the card, and a phone may read the rules between any two. The order makes each state in
//! between allow a device application only what it was allowed before or will be allowed after: rules are added from the
//! most particular reference to the widest and removed the other way round, since a wider rule counts only where no more
//! particular one stands. Where the old rule must go before the new one may come (they say opposite things, 6A89), a
//! guard stands in meanwhile: a rule for the same AID that names a hash no certificate has.

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
    /// Every rule is removed.
    RemoveAll,
    /// The guard is set before a rule is replaced by its opposite.
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
            Self::RemoveAll => StoreCommand::Delete(DeleteTarget::All),
        }
    }
}

/// The steps, and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In order.
    pub changes: Vec<Change>,
    /// Rules that are there and stay, untouched.
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
fn width(rule: &Rule) -> u8 {
    let all_aids = rule.reference.aid() == AidRef::All;
    let all_apps = *rule.reference.device_app() == DeviceApp::All;
    u8::from(all_aids) * 2 + u8::from(all_apps)
}

/// A hash that no certificate has.
const NOBODY: DeviceApp = DeviceApp::Sha256([0; 32]);

/// The steps from `present` to `desired`. Rules in both are not touched.
pub fn diff(present: &[Rule], desired: &[Rule]) -> Result<Plan, Contradiction> {
    if let Some((first, second)) = contradiction(desired) {
        let boxed = |i: usize| Box::new(desired[i].clone());
        return Err(Contradiction { first: boxed(first), second: boxed(second) });
    }
    let mut plan = Plan::default();
    if desired.is_empty() {
        if !present.is_empty() {
            plan.changes.push(Change::RemoveAll);
        }
        return Ok(plan);
    }
    plan.kept = present.iter().filter(|rule| desired.contains(rule)).cloned().collect();
    let mut add = without_duplicates(desired.iter().filter(|rule| !present.contains(rule)));
    let mut remove = without_duplicates(present.iter().filter(|rule| !desired.contains(rule)));
    add.sort_by_key(width);
    remove.sort_by_key(|rule| std::cmp::Reverse(width(rule)));

    let mut state = RuleSet::new(present.to_vec());
    let mut replaced: Vec<Reference> = Vec::new();
    for rule in &add {
        let opposite =
            |other: &&Rule| other.reference == rule.reference && other.access.conflicts_with(&rule.access);
        if replaced.contains(&rule.reference) || !remove.iter().any(|other| opposite(&other)) {
            push(&mut plan, &mut state, Change::Add(rule.clone()));
            continue;
        }
        replaced.push(rule.reference.clone());
        let guard = guard_for(&rule.reference, &state);
        if let Some(guard) = &guard {
            push(&mut plan, &mut state, Change::Guard(guard.clone()));
        }
        for other in remove.iter().filter(|other| other.reference == rule.reference) {
            push(&mut plan, &mut state, Change::Remove(other.clone()));
        }
        push(&mut plan, &mut state, Change::Add(rule.clone()));
        if let Some(guard) = guard {
            push(&mut plan, &mut state, Change::Unguard(guard));
        }
    }
    for rule in remove.into_iter().filter(|rule| !replaced.contains(&rule.reference)) {
        push(&mut plan, &mut state, Change::Remove(rule));
    }
    Ok(plan)
}

fn push(plan: &mut Plan, state: &mut RuleSet, change: Change) {
    state.apply(&change.command());
    plan.changes.push(change);
}

/// The guard to set before rules of `reference` go, unless another rule keeps strangers out already.
fn guard_for(reference: &Reference, state: &RuleSet) -> Option<Rule> {
    let guarded = state.rules().iter().any(|rule| {
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

fn without_duplicates<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<Rule> {
    let mut found: Vec<Rule> = Vec::new();
    for rule in rules {
        if !found.contains(rule) {
            found.push(rule.clone());
        }
    }
    found
}
