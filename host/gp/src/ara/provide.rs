//! An applet and its access rules as one plan: the applet is never reachable without its rules, and they never outlive it.
//!
//! ```text
//! install   INSTALL [for install], not selectable yet    rules written          INSTALL [for make selectable]
//! remove    SET STATUS, locked                           rules deleted          DELETE
//! ```
//!
//! Power may go, or the process be killed, between any two commands: an applet that is not selectable, or locked, is
//! reached by nobody. A refusal on the way is undone with the channel still open: the rules as they were, the applet gone
//! or unlocked.

use jpkise_wire::Aid;

use super::card::{write, AraError, Way};
use super::diff::{diff, Contradiction, Plan};
use super::reference::AidRef;
use super::rule::Rule;
use super::set::RuleSet;
use super::store::StoreCommand;
use crate::commands::install::ForInstall;
use crate::commands::set_status::{LOCK, UNLOCK};
use crate::error::{GpError, Refusal, Stage};
use crate::workflow::{self, Exchange};

/// Why an applet and its rules make no plan, or a plan was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvideError {
    /// No rule at all: everybody could reach the applet whom a rule for all applets lets in.
    #[error("no rule names {0}")]
    NoRules(Aid),
    /// A rule about another applet; it would stay when this one goes.
    #[error("a rule names {}, not {expected}", .found.reference.aid())]
    OtherApplet {
        /// The applet at hand.
        expected: Aid,
        /// The rule.
        found: Box<Rule>,
    },
    /// Two of the rules say opposite things.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// The card refused, or the way to it failed. What had been done is undone.
    #[error(transparent)]
    Undone(AraError),
    /// As [`Self::Undone`], and undoing failed as well: the applet is on the card and cannot be selected, or its rules are
    /// not those of before.
    #[error("{cause}; undoing it failed: {undoing}")]
    Left {
        /// What went wrong first.
        cause: AraError,
        /// What went wrong then.
        undoing: AraError,
    },
}

/// Changes of the rules, with the way back from any point.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RuleChange {
    before: Vec<Rule>,
    after: Vec<Rule>,
    plan: Plan,
}

impl RuleChange {
    fn new(before: &[Rule], after: &[Rule]) -> Result<Self, Contradiction> {
        Ok(Self { before: before.to_vec(), after: after.to_vec(), plan: diff(before, after)? })
    }

    fn carry_out(
        &self,
        channel: &mut impl Exchange,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), (usize, AraError)> {
        let commands: Vec<StoreCommand> = self.plan.commands().collect();
        write(channel, Way::Domain, &commands, progress).map_err(|error| match &error {
            AraError::Write { written, .. } => (*written, error),
            _ => (0, error),
        })
    }

    /// Brings back the rules of before, of whose change `written` steps were taken.
    fn undo(&self, channel: &mut impl Exchange, written: usize) -> Result<(), AraError> {
        let mut set = RuleSet::new(self.before.clone());
        for command in self.plan.commands().take(written) {
            set.apply(&command);
        }
        // A card may hold rules that contradict each other, written by others; they cannot be stored again as they were.
        let Ok(back) = diff(set.rules(), &self.before) else { return Ok(()) };
        write(channel, Way::Domain, &back.commands().collect::<Vec<_>>(), &mut |_| {})
    }
}

fn names(rule: &Rule, applets: &[Aid]) -> bool {
    matches!(rule.reference.aid(), AidRef::Aid(aid) if applets.contains(&aid))
}

/// Rules that come with an applet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    applet: Aid,
    change: RuleChange,
}

impl Provision {
    /// The plan for `applet` on a card whose ARA-M holds `present` ([`super::card::read`]): afterwards `rules` are the
    /// applet's rules, and those about others stay. Every rule must name the applet.
    pub fn new(applet: Aid, present: &[Rule], rules: &[Rule]) -> Result<Self, ProvideError> {
        if rules.is_empty() {
            return Err(ProvideError::NoRules(applet));
        }
        if let Some(other) = rules.iter().find(|rule| !names(rule, &[applet])) {
            return Err(ProvideError::OtherApplet { expected: applet, found: Box::new(other.clone()) });
        }
        let others = present.iter().filter(|rule| !names(rule, &[applet]));
        let after: Vec<Rule> = others.chain(rules).cloned().collect();
        Ok(Self { applet, change: RuleChange::new(present, &after)? })
    }

    /// The rules that are new.
    pub fn added(&self) -> Vec<Rule> {
        let added = self.change.after.iter().filter(|rule| !self.change.before.contains(rule));
        added.cloned().collect()
    }

    /// The rules of the applet that go.
    pub fn removed(&self) -> Vec<Rule> {
        let removed = self.change.before.iter().filter(|rule| !self.change.after.contains(rule));
        removed.cloned().collect()
    }

    /// What is written, in order.
    pub fn plan(&self) -> &Plan {
        &self.change.plan
    }
}

/// Installs `instance`, writes its rules, then makes it selectable, all in the session of the domain that holds the ARA-M.
/// `progress` hears how many command objects the ARA-M has taken.
pub fn install_with_rules(
    channel: &mut impl Exchange,
    instance: &ForInstall,
    provision: &Provision,
    progress: &mut dyn FnMut(usize),
) -> Result<(), ProvideError> {
    if instance.application != provision.applet {
        return Err(ProvideError::NoRules(instance.application));
    }
    let command = instance.command();
    let answer = channel.exchange(&command).map_err(|e| ProvideError::Undone(GpError::from(e).into()))?;
    if !answer.sw.is_success() {
        let subject = Some(instance.application);
        let refusal = Refusal { stage: Stage::InstallForInstall, sw: answer.sw, subject, progress: None };
        return Err(ProvideError::Undone(GpError::from(refusal).into()));
    }
    let done = provision.change.carry_out(channel, progress).and_then(|()| {
        workflow::make_selectable(channel, instance.application, instance.privileges)
            .map_err(|error| (provision.plan().changes.len(), error.into()))
    });
    done.map_err(|(written, cause)| {
        // The rules first would leave a selectable applet without them if the card took the command and the answer was lost.
        let undone = workflow::delete(channel, instance.application, false)
            .map_err(AraError::from)
            .and_then(|()| provision.change.undo(channel, written));
        undo_result(cause, undone)
    })
}

fn undo_result(cause: AraError, undone: Result<(), AraError>) -> ProvideError {
    match undone {
        Ok(()) => ProvideError::Undone(cause),
        Err(undoing) => ProvideError::Left { cause, undoing },
    }
}

/// Rules that go with their applets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    applets: Vec<Aid>,
    change: RuleChange,
}

impl Withdrawal {
    /// The plan for `applets`, about to be deleted from a card whose ARA-M holds `present`.
    pub fn new(applets: &[Aid], present: &[Rule]) -> Result<Self, ProvideError> {
        let after: Vec<Rule> = present.iter().filter(|rule| !names(rule, applets)).cloned().collect();
        Ok(Self { applets: applets.to_vec(), change: RuleChange::new(present, &after)? })
    }

    /// The rules that go.
    pub fn removed(&self) -> Vec<Rule> {
        let removed = self.change.before.iter().filter(|rule| !self.change.after.contains(rule));
        removed.cloned().collect()
    }

    /// What is deleted, in order.
    pub fn plan(&self) -> &Plan {
        &self.change.plan
    }
}

/// Locks the applets, deletes their rules, then lets `delete` take them from the card. Applets without rules are just deleted.
pub fn remove_with_rules<X: Exchange>(
    channel: &mut X,
    withdrawal: &Withdrawal,
    delete: impl FnOnce(&mut X) -> Result<(), GpError>,
    progress: &mut dyn FnMut(usize),
) -> Result<(), ProvideError> {
    if withdrawal.plan().is_empty() {
        return delete(channel).map_err(|error| ProvideError::Undone(error.into()));
    }
    let mut locked = Vec::new();
    let mut done = Ok(());
    for applet in &withdrawal.applets {
        match workflow::set_application_status(channel, *applet, LOCK) {
            Ok(()) => locked.push(*applet),
            Err(error) => {
                done = Err((0, AraError::from(error)));
                break;
            }
        }
    }
    let done = done
        .and_then(|()| withdrawal.change.carry_out(channel, progress))
        .and_then(|()| delete(channel).map_err(|error| (withdrawal.plan().changes.len(), error.into())));
    done.map_err(|(written, cause)| {
        let undone = withdrawal.change.undo(channel, written).and_then(|()| {
            locked
                .iter()
                .try_for_each(|applet| workflow::set_application_status(channel, *applet, UNLOCK))
                .map_err(AraError::from)
        });
        undo_result(cause, undone)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ara::tests::{rule, JPKI};
    use crate::workflow::script::Script;

    const PERSONALIZE: &str = "80e62000*";
    const STORE: &str = "80e29000*";
    const INSTALL: &str = "80e60400*";
    const SELECTABLE: &str = "80e60800*";
    const DELETE: &str = "80e40000*";

    fn applet() -> Aid {
        JPKI.parse().unwrap()
    }

    fn instance() -> ForInstall {
        let package = Aid::literal([0xD3, 0x92, 0xF0, 0, 0x26]);
        ForInstall::new(package, package, applet())
    }

    fn provision(present: &[Rule]) -> Provision {
        Provision::new(applet(), present, &[rule(JPKI, 1, "always", None)]).unwrap()
    }

    #[test]
    fn the_applet_becomes_selectable_when_its_rules_are_there_and_not_before() {
        let everybody = rule("all", 0, "always", None);
        let leftover = rule(JPKI, 3, "always", None);
        let provision = provision(&[everybody, leftover]);
        assert_eq!(provision.plan().changes.len(), 2);
        let mut script = Script::new(&[
            (INSTALL, "009000"),
            (PERSONALIZE, "009000"),
            (STORE, "9000"),
            (PERSONALIZE, "009000"),
            (STORE, "9000"),
            (SELECTABLE, "009000"),
        ]);
        install_with_rules(&mut script, &instance(), &provision, &mut |_| {}).unwrap();
    }

    #[test]
    fn a_refusal_on_the_way_leaves_neither_applet_nor_rules() {
        for (steps, stage) in [
            (&[(INSTALL, "6985")][..], Stage::InstallForInstall),
            (&[(INSTALL, "009000"), (PERSONALIZE, "6985"), (DELETE, "009000")], Stage::Personalization),
            (
                &[(INSTALL, "009000"), (PERSONALIZE, "009000"), (STORE, "6a84"), (DELETE, "009000")],
                Stage::StoreData,
            ),
            (
                &[
                    (INSTALL, "009000"),
                    (PERSONALIZE, "009000"),
                    (STORE, "9000"),
                    (SELECTABLE, "6985"),
                    (DELETE, "009000"),
                    (PERSONALIZE, "009000"),
                    ("80e2900002f100", "9000"),
                ],
                Stage::MakeSelectable,
            ),
        ] {
            let error =
                install_with_rules(&mut Script::new(steps), &instance(), &provision(&[]), &mut |_| {});
            let ProvideError::Undone(cause) = error.unwrap_err() else { panic!("{stage}") };
            let (AraError::Gp(error) | AraError::Write { source: error, .. }) = cause else {
                panic!("{stage}")
            };
            assert_eq!(error.refusal().unwrap().0, stage);
        }
        let steps = [(INSTALL, "009000"), (PERSONALIZE, "6985"), (DELETE, "6985")];
        let error = install_with_rules(&mut Script::new(&steps), &instance(), &provision(&[]), &mut |_| {});
        assert!(matches!(error, Err(ProvideError::Left { .. })));
    }

    #[test]
    fn rules_that_are_not_the_applet_s_own_make_no_plan() {
        assert!(matches!(Provision::new(applet(), &[], &[]), Err(ProvideError::NoRules(_))));
        for other in ["all", "default", "A000000001"] {
            let rules = [rule(JPKI, 1, "always", None), rule(other, 1, "always", None)];
            let error = Provision::new(applet(), &[], &rules).unwrap_err();
            assert!(matches!(error, ProvideError::OtherApplet { .. }), "{other}: {error}");
        }
        let opposite = [rule(JPKI, 1, "always", None), rule(JPKI, 1, "never", None)];
        assert!(matches!(Provision::new(applet(), &[], &opposite), Err(ProvideError::Contradiction(_))));
    }

    #[test]
    fn rules_go_while_their_applet_is_locked_and_come_back_when_it_stays() {
        let present = [rule(JPKI, 1, "always", None), rule("all", 0, "never", None)];
        let withdrawal = Withdrawal::new(&[applet()], &present).unwrap();
        assert_eq!(withdrawal.plan().kept, present[1..]);
        let delete = |channel: &mut Script| workflow::delete(channel, applet(), false);
        let steps = [("80f04080*", "9000"), (PERSONALIZE, "009000"), (STORE, "9000"), (DELETE, "009000")];
        remove_with_rules(&mut Script::new(&steps), &withdrawal, delete, &mut |_| {}).unwrap();
        let steps = [
            ("80f04080*", "9000"),
            (PERSONALIZE, "009000"),
            (STORE, "9000"),
            (DELETE, "6985"),
            (PERSONALIZE, "009000"),
            (STORE, "9000"),
            ("80f04000*", "9000"),
        ];
        let error = remove_with_rules(&mut Script::new(&steps), &withdrawal, delete, &mut |_| {});
        assert!(matches!(error, Err(ProvideError::Undone(_))));
        let error =
            remove_with_rules(&mut Script::new(&[("80f04080*", "6985")]), &withdrawal, delete, &mut |_| {});
        assert!(matches!(error, Err(ProvideError::Undone(_))));
    }
}
