//! The rules of an ARA-M, and what a command object does to them.
//!
//! Serves to show what a plan will leave behind before anything is sent, and as the model the applet is tested against.
//! Where SEAC leaves a choice the applet and this module choose alike:
//! a rule that is there already is not stored twice (6381, nothing changes); one that says the opposite of a rule with
//! the same reference is refused (6A89), since the merged result would not be what either of them says; F1 with nothing
//! to delete is 6A88, but `F1 00` (everything) is done also on an empty card.

use jpkise_wire::{Aid, StatusWord};

use super::rule::Rule;
use super::store::{DeleteTarget, StoreCommand};

/// Rules and client AIDs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    clients: Vec<Aid>,
}

/// What a command object did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// Answer of the ARA-M.
    pub sw: StatusWord,
    /// Whether the refresh tag is a new one.
    pub refreshed: bool,
}

impl RuleSet {
    /// With these rules, as read from a card: duplicates and contradictions are kept.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, clients: Vec::new() }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The client AIDs.
    pub fn clients(&self) -> &[Aid] {
        &self.clients
    }

    /// Reads a command object and does what it says; nothing changes when it is refused.
    pub fn apply_bytes(&mut self, object: &[u8]) -> Effect {
        let mut ignored = Vec::new();
        match StoreCommand::from_bytes(object, &mut ignored) {
            Ok(command) => {
                let mut effect = self.apply(&command);
                if effect.refreshed && !ignored.is_empty() {
                    effect.sw = StatusWord::UNKNOWN_OBJECT_DISCARDED;
                }
                effect
            }
            Err(fault) => Effect { sw: fault.status_word(), refreshed: false },
        }
    }

    /// Does what a command object says.
    pub fn apply(&mut self, command: &StoreCommand) -> Effect {
        let (sw, refreshed) = match command {
            StoreCommand::Store(rule) => self.store(rule),
            StoreCommand::Delete(target) => self.delete(target),
            StoreCommand::UpdateRefreshTag => (StatusWord::SUCCESS, true),
            StoreCommand::RegisterClientAids(aids) => {
                self.clients.clone_from(aids);
                (StatusWord::SUCCESS, false)
            }
            StoreCommand::GetClientAids => (StatusWord::SUCCESS, false),
        };
        Effect { sw, refreshed }
    }

    fn store(&mut self, rule: &Rule) -> (StatusWord, bool) {
        let mut same = self.rules.iter().filter(|other| other.reference == rule.reference).peekable();
        let beside = same.peek().is_some();
        for other in same {
            if other.access == rule.access {
                return (StatusWord::DUPLICATE_REFERENCE, false);
            }
            if other.access.conflicts_with(&rule.access) {
                return (StatusWord::CONFLICTING_RULE, false);
            }
        }
        self.rules.push(rule.clone());
        (if beside { StatusWord::DUPLICATE_REFERENCE } else { StatusWord::SUCCESS }, true)
    }

    fn delete(&mut self, target: &DeleteTarget) -> (StatusWord, bool) {
        let before = self.rules.len();
        self.rules.retain(|rule| !target.names(rule));
        let deleted = self.rules.len() != before;
        if deleted || *target == DeleteTarget::All {
            (StatusWord::SUCCESS, deleted)
        } else {
            (StatusWord::REFERENCED_DATA_NOT_FOUND, false)
        }
    }
}
