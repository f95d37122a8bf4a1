//! Which rule applies (SEAC section 4.2.3 and annex; the searches as Android makes them).
//!
//! ```text
//! A    (this applet, one of the app's hashes), in the order of the hashes   -> that rule
//! A'   (this applet, another hash)                                          -> never
//! B    (this applet, all apps)                                              -> that rule
//! C    (all applets, one of the app's hashes)                               -> that rule
//! C'   (all applets, another hash)                                          -> never
//! D    (all applets, all apps)                                              -> that rule
//! -    nothing                                                              -> never
//! ```
//!
//! "That rule" is all rules with the identical reference, merged: for APDUs never before filters (all of them together)
//! before always; for NFC never before always. What is not said after merging is never for APDUs, and for NFC the same
//! as for APDUs, where filters count as always.

use std::fmt;

use jpkise_gp::ara::{AidRef, ApduAccess, DeviceApp, Filters, NfcAccess, Rule};
use jpkise_wire::Aid;

use super::explain::{explain, Explanation};

/// The applet a channel is opened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// By its AID; compared whole, so the first bytes of an AID name another applet than the AID.
    Aid(Aid),
    /// The applet selected by default: a channel opened without an AID.
    Default,
}

impl Target {
    /// Whether a rule's AID-REF-DO names exactly this applet.
    pub fn is_named_by(self, aid: AidRef) -> bool {
        match (self, aid) {
            (Self::Aid(target), AidRef::Aid(named)) => target == named && !aid.is_carrier(),
            (Self::Default, AidRef::Default) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aid(aid) => write!(f, "{aid}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The applet.
    pub target: Target,
    /// Hashes of the app's certificates, in the order they are tried: of each certificate SHA-1, then SHA-256.
    pub hashes: &'a [DeviceApp],
}

/// The search that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A rule for this applet and this app.
    A,
    /// Rules for this applet name other apps only.
    AConflict,
    /// A rule for this applet and all apps.
    B,
    /// A rule for all applets and this app.
    C,
    /// Rules for all applets name other apps only.
    CConflict,
    /// A rule for all applets and all apps.
    D,
    /// No rule at all.
    None,
}

impl Step {
    /// Stable name: `A`, `A-conflict`, `B`, `C`, `C-conflict`, `D`, `none`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::AConflict => "A-conflict",
            Self::B => "B",
            Self::C => "C",
            Self::CConflict => "C-conflict",
            Self::D => "D",
            Self::None => "none",
        }
    }

    /// In the order in which they are made.
    pub const SEARCHES: [Self; 6] = [Self::A, Self::AConflict, Self::B, Self::C, Self::CConflict, Self::D];

    /// Whether a rule found by this search shuts the app out whatever the rule says.
    pub const fn is_conflict(self) -> bool {
        matches!(self, Self::AConflict | Self::CConflict)
    }

    /// Whether this search finds a rule with the reference (`aid`, `app`) for this query.
    pub fn finds(self, query: &Query<'_>, aid: AidRef, app: &DeviceApp) -> bool {
        let applet = match self {
            Self::A | Self::AConflict | Self::B => query.target.is_named_by(aid),
            Self::C | Self::CConflict | Self::D => aid == AidRef::All,
            Self::None => false,
        };
        let everybody = *app == DeviceApp::All;
        let own = !everybody && query.hashes.contains(app);
        applet
            && match self {
                Self::A | Self::C => own,
                Self::AConflict | Self::CConflict => !everybody && !own,
                Self::B | Self::D => everybody,
                Self::None => false,
            }
    }
}

/// The result of merging rules with one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// For APDUs.
    pub apdu: ApduAccess,
    /// For NFC events.
    pub nfc: NfcAccess,
}

impl Merged {
    /// Nothing is allowed.
    pub const NOTHING: Self = Self { apdu: ApduAccess::Never, nfc: NfcAccess::Never };

    /// Merges rules, which the caller has picked by their reference.
    pub fn of<'a>(rules: impl Iterator<Item = &'a Rule> + Clone) -> Self {
        let statements = rules.clone().filter_map(|rule| rule.access.apdu());
        let mut filters = Vec::new();
        let (mut never, mut always) = (false, false);
        for statement in statements {
            match statement {
                ApduAccess::Never => never = true,
                ApduAccess::Always => always = true,
                ApduAccess::Filters(more) => filters.extend_from_slice(more.as_slice()),
            }
        }
        let apdu = match Filters::new(filters) {
            _ if never => ApduAccess::Never,
            Some(filters) => ApduAccess::Filters(filters),
            None if always => ApduAccess::Always,
            None => ApduAccess::Never,
        };
        let nfc = rules.filter_map(|rule| rule.access.nfc()).min();
        let as_apdu = if apdu == ApduAccess::Never { NfcAccess::Never } else { NfcAccess::Always };
        Self { nfc: nfc.unwrap_or(as_apdu), apdu }
    }
}

/// What the app may do with the applet, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// For APDUs; `Never` means that no channel is opened.
    pub apdu: ApduAccess,
    /// For NFC events.
    pub nfc: NfcAccess,
    /// The search that decided.
    pub step: Step,
    /// How it came to that.
    pub explanation: Explanation,
}

impl Decision {
    /// Whether a channel is opened at all.
    pub fn opens(&self) -> bool {
        self.apdu != ApduAccess::Never
    }
}

/// Decides. The order of `rules` makes no difference, except to the order of the filters in the result.
pub fn decide(rules: &[Rule], query: &Query<'_>) -> Decision {
    let (step, deciding) = search(rules, query);
    let merged = if step.is_conflict() {
        Merged::NOTHING
    } else {
        Merged::of(deciding.iter().map(|index| &rules[*index]))
    };
    let explanation = explain(rules, query, step, &deciding, &merged);
    Decision { apdu: merged.apdu, nfc: merged.nfc, step, explanation }
}

/// The first search that finds something, and the indices of the rules it found: those of one reference, or, for a
/// conflict, all that name somebody else.
fn search(rules: &[Rule], query: &Query<'_>) -> (Step, Vec<usize>) {
    for step in Step::SEARCHES {
        let found = |wanted: Option<&DeviceApp>| -> Vec<usize> {
            let fits = |rule: &Rule| {
                let app = rule.reference.device_app();
                step.finds(query, rule.reference.aid(), app) && wanted.is_none_or(|hash| hash == app)
            };
            (0..rules.len()).filter(|index| fits(&rules[*index])).collect()
        };
        let deciding = match step {
            // The first hash that has a rule decides; rules for the app's other hashes are not merged with it.
            Step::A | Step::C => query.hashes.iter().map(|hash| found(Some(hash))).find(|f| !f.is_empty()),
            _ => Some(found(None)),
        };
        if let Some(deciding) = deciding.filter(|found| !found.is_empty()) {
            return (step, deciding);
        }
    }
    (Step::None, Vec::new())
}
