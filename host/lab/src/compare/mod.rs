//! Evidence of two runs or more side by side: which cases came out otherwise, on what card and machine, how fast, and at
//! which exchange the cards parted.
//!
//! The first column is the reference; each other one is compared with it.

pub mod evidence;
pub mod exchange;
pub mod figures;
mod page;
mod parts;
pub mod rank;

use std::collections::BTreeMap;

use serde::Serialize;

use evidence::{CaseFile, Evidence, Integrity, TargetFile, VerdictFile};
use exchange::{parting, Allowance, Parting};
use figures::{FigureComparison, Statement};

pub use page::page;

/// Version of the object: raised when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;
/// Columns have letters.
pub const MOST_COLUMNS: usize = 26;

/// A column: one target of one report.
#[derive(Debug, Clone, Copy)]
pub struct Column<'e> {
    /// Where it comes from.
    pub evidence: &'e Evidence,
    /// Position of the target in its report.
    pub target: usize,
}

impl<'e> Column<'e> {
    fn target(&self) -> Option<&'e TargetFile> {
        self.evidence.report.targets.get(self.target)
    }
}

/// How a case came out against the first column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// As in the first column.
    Same,
    /// Failed or broken where it passed or was not run.
    Worse,
    /// Judged in the first column and not run in this one.
    NotRun,
    /// In the first column and not in this one.
    Gone,
    /// Not as it must in both, and otherwise: another step, place or status word, or failed here and broken there.
    Otherwise,
    /// Passed where it failed or was broken.
    Better,
    /// Passed where it was not run.
    NowRun,
    /// Not in the first column, and passed or not run in this one.
    New,
}

impl Change {
    /// Every one that is a difference, the gravest first.
    pub const DIFFERENT: [Self; 7] =
        [Self::Worse, Self::NotRun, Self::Gone, Self::Otherwise, Self::Better, Self::NowRun, Self::New];

    /// Stable name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Worse => "worse",
            Self::NotRun => "not-run",
            Self::Gone => "gone",
            Self::Otherwise => "otherwise",
            Self::Better => "better",
            Self::NowRun => "now-run",
            Self::New => "new",
        }
    }

    /// Whether something was lost: a case that is bad now, or is judged no more.
    pub const fn is_worse(self) -> bool {
        matches!(self, Self::Worse | Self::NotRun | Self::Gone)
    }
}

/// What a column is.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnHead {
    /// A, B, C …
    pub label: char,
    /// Folder or report.
    pub path: String,
    /// Name of the target.
    pub target: String,
    /// `simulated` or `reader`.
    pub kind: String,
    /// When its run began.
    pub started: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// Seed of its run.
    pub seed: u64,
    /// Whether its run was stopped.
    pub stopped: bool,
    /// Why the target could not be opened, if so.
    pub error: Option<String>,
    /// Whether the evidence is whole.
    #[serde(flatten)]
    pub integrity: Integrity,
    /// Cases by how they came out.
    pub counts: BTreeMap<&'static str, usize>,
    /// APDUs exchanged.
    pub apdus: u64,
    /// What happened at the reader: when (seconds), what.
    pub events: Vec<(f64, String)>,
}

/// A fact of card or machine that is not the same in all columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactDifference {
    /// Its name.
    pub name: String,
    /// A column each; several values where it has several.
    pub values: Vec<Vec<String>>,
}

/// One column of a case that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseColumn {
    /// How it came out; `None`: the case is not there.
    pub verdict: Option<VerdictFile>,
    /// Against the first column.
    pub change: Change,
    /// Where its exchanges part from the first column's, if both have exchanges.
    pub exchange: Option<Parting>,
}

/// A case that differs in some column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseDifference {
    /// `suite/id`.
    pub case: String,
    /// What is tried.
    pub name: String,
    /// The same in Japanese.
    pub name_ja: Option<String>,
    /// A column each.
    pub columns: Vec<CaseColumn>,
}

/// The whole comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The columns.
    pub columns: Vec<ColumnHead>,
    /// Cases that came out alike in all columns.
    pub same: usize,
    /// Cases that did not, in the order of the first column.
    pub cases: Vec<CaseDifference>,
    /// How many of each change, over all columns.
    pub changes: BTreeMap<&'static str, usize>,
    /// What the cards tell of themselves, where that differs.
    pub identity: Vec<FactDifference>,
    /// The machines, where they differ.
    pub environment: Vec<FactDifference>,
    /// Figures.
    pub figures: Vec<FigureComparison>,
}

impl Comparison {
    /// Columns in which some case differs from the first.
    pub fn differs(&self, only_worse: bool) -> usize {
        let counts = |change: Change| !only_worse || change.is_worse();
        let all = Change::DIFFERENT.into_iter().filter(|change| counts(*change));
        all.filter_map(|change| self.changes.get(change.id())).sum()
    }

    /// Figures that are slower than the first column's by more than chance and more than `percent`: name and column.
    pub fn slower(&self, percent: f64) -> Vec<(&str, char)> {
        let mut out = Vec::new();
        for figure in &self.figures {
            for (index, (column, head)) in figure.columns.iter().zip(&self.columns).enumerate() {
                let is_much = figure.worse_percent(index).is_some_and(|worse| worse > percent);
                if column.statement == Statement::Slower && is_much {
                    out.push((figure.name.as_str(), head.label));
                }
            }
        }
        out
    }
}

/// Compares columns, the first with each other one.
pub fn compare(columns: &[Column<'_>]) -> Comparison {
    let targets: Vec<&TargetFile> = columns.iter().filter_map(Column::target).collect();
    let heads =
        columns.iter().zip(&targets).zip('A'..).map(|((column, target), label)| head(label, column, target));
    let (same, cases) = cases(&targets);
    let mut changes = BTreeMap::new();
    for column in cases.iter().flat_map(|c| &c.columns).filter(|c| c.change != Change::Same) {
        *changes.entry(column.change.id()).or_default() += 1;
    }
    Comparison {
        schema: SCHEMA,
        columns: heads.collect(),
        same,
        cases,
        changes,
        identity: facts(&targets.iter().map(|t| t.identity.as_slice()).collect::<Vec<_>>()),
        environment: facts(
            &columns.iter().map(|c| c.evidence.report.environment.as_slice()).collect::<Vec<_>>(),
        ),
        figures: figures::compare(&targets),
    }
}

fn head(label: char, column: &Column<'_>, target: &TargetFile) -> ColumnHead {
    let report = &column.evidence.report;
    let mut counts = BTreeMap::from([("passed", 0), ("failed", 0), ("broken", 0), ("skipped", 0)]);
    for case in &target.cases {
        *counts.entry(case.verdict.id()).or_default() += 1;
    }
    ColumnHead {
        label,
        path: column.evidence.path.display().to_string(),
        target: target.name.clone(),
        kind: target.kind.clone(),
        started: report.started.clone(),
        version: report.version.clone(),
        seed: report.seed,
        stopped: report.stopped,
        error: target.error.clone(),
        integrity: column.evidence.integrity.clone(),
        counts,
        apdus: target.apdus,
        events: target.events.clone(),
    }
}

fn cases(targets: &[&TargetFile]) -> (usize, Vec<CaseDifference>) {
    let index: Vec<BTreeMap<String, &CaseFile>> =
        targets.iter().map(|t| t.cases.iter().map(|c| (c.key(), c)).collect()).collect();
    let mut order: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for case in targets.iter().flat_map(|t| &t.cases) {
        if seen.insert(case.key()) {
            order.push(case.key());
        }
    }
    let mut out = Vec::new();
    let total = order.len();
    for key in order {
        let row: Vec<Option<&CaseFile>> = index.iter().map(|cases| cases.get(&key).copied()).collect();
        let Some((first, described)) = row.first().copied().zip(row.iter().flatten().next()) else {
            continue;
        };
        let columns: Vec<CaseColumn> = row
            .iter()
            .enumerate()
            .map(|(column, case)| {
                let change = if column == 0 { Change::Same } else { change(first, *case) };
                let exchange = first.zip(*case).filter(|_| change != Change::Same);
                let exchange = exchange.filter(|(a, b)| !a.exchanges.is_empty() && !b.exchanges.is_empty());
                CaseColumn {
                    verdict: case.map(|c| c.verdict.clone()),
                    change,
                    exchange: exchange.map(|(a, b)| parting(&a.exchanges, &b.exchanges, Allowance::RUNS)),
                }
            })
            .collect();
        if columns.iter().any(|c| c.change != Change::Same) {
            let (name, name_ja) = (described.name.clone(), described.name_ja.clone());
            out.push(CaseDifference { case: key, name, name_ja, columns });
        }
    }
    (total - out.len(), out)
}

fn change(first: Option<&CaseFile>, other: Option<&CaseFile>) -> Change {
    use VerdictFile::{Broken, Failed, Passed, Skipped};
    let (first, other) = match (first, other) {
        (Some(first), Some(other)) => (&first.verdict, &other.verdict),
        (Some(_), None) => return Change::Gone,
        (None, Some(other)) => {
            let is_bad = matches!(other.verdict, Failed { .. } | Broken { .. });
            return if is_bad { Change::Worse } else { Change::New };
        }
        (None, None) => return Change::Same,
    };
    match (first, other) {
        (Passed, Passed) | (Skipped { .. }, Skipped { .. }) | (Broken { .. }, Broken { .. }) => Change::Same,
        (
            Failed { step, doing, mismatches },
            Failed { step: other_step, doing: other_doing, mismatches: others },
        ) => {
            // Values found may be random; where, and which status word, are not.
            let places = |all: &[evidence::MismatchFile]| -> Vec<(String, String)> {
                let found = |m: &evidence::MismatchFile| {
                    if m.place == "status word" {
                        m.found.clone()
                    } else {
                        String::new()
                    }
                };
                all.iter().map(|m| (m.place.clone(), found(m))).collect()
            };
            let is_same = step == other_step && doing == other_doing && places(mismatches) == places(others);
            if is_same {
                Change::Same
            } else {
                Change::Otherwise
            }
        }
        (Passed | Skipped { .. }, Failed { .. } | Broken { .. }) => Change::Worse,
        (Failed { .. }, Broken { .. }) | (Broken { .. }, Failed { .. }) => Change::Otherwise,
        (Failed { .. } | Broken { .. }, Passed) => Change::Better,
        (Passed | Failed { .. } | Broken { .. }, Skipped { .. }) => Change::NotRun,
        (Skipped { .. }, Passed) => Change::NowRun,
    }
}

/// Facts that are not the same everywhere, by name; a name may have several values.
fn facts(columns: &[&[(String, String)]]) -> Vec<FactDifference> {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in columns.iter().flat_map(|facts| facts.iter()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let of = |name: &str, facts: &[(String, String)]| -> Vec<String> {
        facts.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
    };
    names
        .into_iter()
        .map(|name| FactDifference {
            name: name.clone(),
            values: columns.iter().map(|f| of(name, f)).collect(),
        })
        .filter(|fact| fact.values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}
