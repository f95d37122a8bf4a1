//! Why a decision is what it is: what became of every rule.

use jpkise_gp::ara::{ApduAccess, DeviceApp, NfcAccess, Rule};

use super::decide::{Merged, Query, Step};

/// One search, in the order they are made, up to the one that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Which.
    pub step: Step,
    /// Indices of the rules it found; in a search by hash those of every hash of the app.
    pub found: Vec<usize>,
    /// Whether it decided.
    pub decided: bool,
}

/// What became of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is among those that decided, and what it says of APDUs is in the result.
    Decided,
    /// It has the deciding reference, but a stricter rule with the same reference outweighs what it says of APDUs.
    OutweighedInMerge,
    /// It names somebody else for the applet (or for all applets) and thereby shuts this app out.
    ShutOut,
    /// It is for another of the app's hashes; the first hash that has a rule decides.
    LaterHash,
    /// It would have been found by a later search, which was not made.
    Beaten {
        /// That search.
        by: Step,
        /// The search that would have found it.
        at: Step,
    },
    /// It names another applet.
    OtherApplet,
    /// It grants carrier privileges and takes no part in access to applets.
    Carrier,
    /// It is for the applet and another app, and stands beside a rule that names this app: no effect on this one.
    OtherApp,
}

impl Verdict {
    /// Stable name for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::OutweighedInMerge => "outweighed-in-merge",
            Self::ShutOut => "shut-out",
            Self::LaterHash => "later-hash",
            Self::Beaten { .. } => "beaten",
            Self::OtherApplet => "other-applet",
            Self::Carrier => "carrier",
            Self::OtherApp => "other-app",
        }
    }
}

/// The way to a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// The searches made, in order.
    pub searches: Vec<Search>,
    /// What became of each rule, by its index.
    pub verdicts: Vec<Verdict>,
    /// The hash under which the app was found, in searches A and C.
    pub hash: Option<DeviceApp>,
    /// Whether the deciding rules say nothing of APDUs, so that it is never.
    pub apdu_unstated: bool,
    /// Whether the deciding rules say nothing of NFC events, so that it is as for APDUs.
    pub nfc_unstated: bool,
}

impl Explanation {
    /// Indices of the rules that decided, or that shut the app out.
    pub fn deciding(&self) -> impl Iterator<Item = usize> + '_ {
        let counts = |verdict: &Verdict| matches!(verdict, Verdict::Decided | Verdict::ShutOut);
        self.verdicts.iter().enumerate().filter(move |(_, v)| counts(v)).map(|(index, _)| index)
    }
}

pub(super) fn explain(
    rules: &[Rule],
    query: &Query<'_>,
    step: Step,
    deciding: &[usize],
    merged: &Merged,
) -> Explanation {
    let finder = |rule: &Rule| {
        let (aid, app) = (rule.reference.aid(), rule.reference.device_app());
        Step::SEARCHES.into_iter().find(|step| step.finds(query, aid, app))
    };
    let searches = Step::SEARCHES
        .into_iter()
        .filter(|made| *made <= step)
        .map(|made| Search {
            step: made,
            found: (0..rules.len()).filter(|index| finder(&rules[*index]) == Some(made)).collect(),
            decided: made == step,
        })
        .collect();
    let verdict = |(index, rule): (usize, &Rule)| match finder(rule) {
        None if rule.reference.aid().is_carrier() => Verdict::Carrier,
        None => Verdict::OtherApplet,
        Some(_) if deciding.contains(&index) && step.is_conflict() => Verdict::ShutOut,
        Some(_) if deciding.contains(&index) => in_merge(rule, merged),
        Some(at) if at == step => Verdict::LaterHash,
        Some(at) if is_beside(at, step) => Verdict::OtherApp,
        Some(at) => Verdict::Beaten { by: step, at },
    };
    let said = |what: fn(&Rule) -> bool| deciding.iter().any(|index| what(&rules[*index]));
    let by_rule = !deciding.is_empty() && !step.is_conflict();
    Explanation {
        searches,
        verdicts: rules.iter().enumerate().map(verdict).collect(),
        hash: deciding
            .first()
            .filter(|_| matches!(step, Step::A | Step::C))
            .map(|index| *rules[*index].reference.device_app()),
        apdu_unstated: by_rule && !said(|rule| rule.access.apdu().is_some()),
        nfc_unstated: by_rule && !said(|rule| rule.access.nfc().is_some()),
    }
}

/// A rule for somebody else at the level at which this app was found.
fn is_beside(at: Step, decided: Step) -> bool {
    matches!((at, decided), (Step::AConflict, Step::A) | (Step::CConflict, Step::C))
}

/// What a rule with the deciding reference contributes: nothing, when both its statements are outweighed.
fn in_merge(rule: &Rule, merged: &Merged) -> Verdict {
    let apdu = match (rule.access.apdu(), &merged.apdu) {
        (Some(ApduAccess::Never), _)
        | (Some(ApduAccess::Always), ApduAccess::Always)
        | (Some(ApduAccess::Filters(_)), ApduAccess::Filters(_)) => true,
        (Some(_), _) => false,
        (None, _) => rule.access.nfc().is_none_or(|nfc| nfc == merged.nfc || nfc == NfcAccess::Never),
    };
    if apdu {
        Verdict::Decided
    } else {
        Verdict::OutweighedInMerge
    }
}
