//! What came of a run, as it goes into reports.

use std::collections::BTreeMap;
use std::fmt;

use jpkise_card::trace::ExchangeRecord;
use serde::Serialize;

use super::bench::TargetKind;

/// A difference between what was due and what came: where, what was due, what came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The place: `status word`, `field auth-tries`, `6F/84, at byte 2`.
    pub place: String,
    /// What was due.
    pub expected: String,
    /// What came.
    pub found: String,
}

impl Mismatch {
    /// A difference.
    pub fn new(place: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { place: place.to_string(), expected: expected.to_string(), found: found.to_string() }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} where {} was due", self.place, self.found, self.expected)
    }
}

/// Why a case was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "skip", content = "detail")]
#[non_exhaustive]
pub enum Skip {
    /// The target cannot do what it needs.
    Needs(&'static str),
    /// It would change the card, and the card was not named for that.
    Changes,
    /// It would do something to the card that nobody can take back, and the card was not named for that.
    ForGood,
    /// The target has not the keys or applications for the state it begins with.
    State(String),
    /// The run was stopped before it.
    Stopped,
    /// The card went away before it and did not come back.
    CardGone,
}

impl Skip {
    /// Stable name, as in message keys.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Needs(_) => "needs",
            Self::Changes => "changes",
            Self::ForGood => "for-good",
            Self::State(_) => "state",
            Self::Stopped => "stopped",
            Self::CardGone => "card-gone",
        }
    }

    /// What belongs to it: the need, the state.
    pub fn detail(&self) -> &str {
        match self {
            Self::Needs(need) => need,
            Self::State(state) => state,
            _ => "",
        }
    }
}

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
#[non_exhaustive]
pub enum Verdict {
    /// As it must.
    Passed,
    /// The card did otherwise than it must.
    Failed {
        /// The step, from 1; 0 for what belongs to none.
        step: usize,
        /// Line of the suite file; 0 for coded cases.
        line: usize,
        /// What was done in it, for people.
        doing: String,
        /// What differs.
        mismatches: Vec<Mismatch>,
    },
    /// It could not be judged: no answer, the state not reached, a value missing.
    Broken {
        /// Why.
        why: String,
    },
    /// Not run.
    Skipped(Skip),
}

impl Verdict {
    /// Stable name.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Broken { .. } => "broken",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Whether the card did as it must.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Skipped(_))
    }
}

/// One case on one target.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// Suite.
    pub suite: String,
    /// Case.
    pub id: String,
    /// What is tried, in English.
    pub name: String,
    /// The same in Japanese, where there is such a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_ja: Option<String>,
    /// Why it must be so.
    pub reason: String,
    /// Document and section.
    pub section: String,
    /// How it came out.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Time, state included, in milliseconds.
    pub ms: f64,
    /// Numbers of its exchanges in the trace: the first, and how many.
    pub trace: (u64, u64),
    /// Its exchanges, without those that brought the card into the state.
    pub exchanges: Vec<ExchangeRecord>,
    /// Exchanges that were not kept because there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub exchanges_left_out: u64,
    /// Remarks of the case, for people: `power cuts: 214`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Times or rates under one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figure {
    /// Unit: `ms`, `bytes/s`.
    pub unit: String,
    /// In the order in which they were measured.
    pub values: Vec<f64>,
}

/// Everything that is known of a target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// Name, unique in the run.
    pub name: String,
    /// Simulated or in a reader.
    pub kind: TargetKind,
    /// ATR, CPLC, card data: name and value.
    pub identity: Vec<(String, String)>,
    /// Why it could not be opened, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why its trace is not whole, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_error: Option<String>,
    /// Its cases, in the order in which they ran.
    pub cases: Vec<CaseResult>,
    /// Its figures.
    pub figures: BTreeMap<String, Figure>,
    /// Events of the reader: when (seconds from the start), what.
    pub events: Vec<(f64, String)>,
    /// APDUs exchanged.
    pub apdus: u64,
    /// Bytes exchanged.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
}

impl TargetReport {
    /// Before anything has happened.
    pub fn new(name: &str, kind: TargetKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            identity: Vec::new(),
            error: None,
            trace_error: None,
            cases: Vec::new(),
            figures: BTreeMap::new(),
            events: Vec::new(),
            apdus: 0,
            bytes: 0,
            seconds: 0.0,
        }
    }

    /// How many cases came out as `id`.
    pub fn count(&self, id: &str) -> usize {
        self.cases.iter().filter(|c| c.verdict.id() == id).count()
    }
}
