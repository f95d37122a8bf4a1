//! What a reader wants to know first: what did not come out, and where the targets differ.

use serde::Serialize;

use super::{RunReport, SuiteTable};
use crate::run::{Mismatch, Verdict};

/// A case that did not come out on a target.
#[derive(Serialize)]
pub(super) struct Finding<'r> {
    anchor: &'r str,
    suite: &'r str,
    id: &'r str,
    name: &'r str,
    target: &'r str,
    verdict: &'static str,
    /// The first difference of a failed case, and how many more there are.
    first: Option<&'r Mismatch>,
    more: usize,
    /// Why a broken one could not be judged.
    why: Option<&'r str>,
}

/// A case that came out otherwise on one target than on another.
#[derive(Serialize)]
struct CaseDifference<'r> {
    anchor: &'r str,
    suite: &'r str,
    id: &'r str,
    name: &'r str,
    /// A verdict for each target.
    verdicts: Vec<Option<&'static str>>,
}

/// Where the targets of a run differ.
#[derive(Serialize)]
pub(super) struct Differences<'r> {
    cases: Vec<CaseDifference<'r>>,
    /// Facts of the cards that are not the same: name, and a value for each target.
    facts: Vec<(&'r str, Vec<Option<&'r str>>)>,
    /// Cases that some targets ran and others did not.
    partly_run: usize,
    /// Cases that two targets at least ran, and came out alike.
    alike: usize,
}

/// Everything that is not good, in the order of the page.
pub(super) fn findings<'r>(report: &'r RunReport, suites: &'r [SuiteTable<'r>]) -> Vec<Finding<'r>> {
    let mut all = Vec::new();
    for suite in suites {
        for line in suite.lines.iter().filter(|line| line.bad) {
            for (case, target) in line.cells.iter().zip(&report.targets) {
                let Some(case) = case.filter(|case| !case.verdict.is_good()) else { continue };
                let (mismatches, why) = match &case.verdict {
                    Verdict::Failed { mismatches, .. } => (mismatches.as_slice(), None),
                    Verdict::Broken { why } => (&[][..], Some(why.as_str())),
                    _ => (&[][..], None),
                };
                all.push(Finding {
                    anchor: &line.anchor,
                    suite: suite.id,
                    id: line.id,
                    name: line.name,
                    target: &target.name,
                    verdict: case.verdict.id(),
                    first: mismatches.first(),
                    more: mismatches.len().saturating_sub(1),
                    why,
                });
            }
        }
    }
    all
}

/// `None` for one target alone.
pub(super) fn differences<'r>(
    report: &'r RunReport,
    suites: &'r [SuiteTable<'r>],
) -> Option<Differences<'r>> {
    if report.targets.len() < 2 {
        return None;
    }
    let mut found = Differences { cases: Vec::new(), facts: facts(report), partly_run: 0, alike: 0 };
    for suite in suites {
        for line in &suite.lines {
            let verdicts: Vec<Option<&'static str>> =
                line.cells.iter().map(|case| case.map(|case| case.verdict.id())).collect();
            // A case that one target did not run says nothing about the card.
            let mut ran = verdicts.iter().flatten().filter(|verdict| **verdict != "skipped");
            let count = ran.clone().count();
            let first = ran.next();
            if ran.any(|verdict| Some(verdict) != first) {
                let (anchor, suite) = (line.anchor.as_str(), suite.id);
                found.cases.push(CaseDifference { anchor, suite, id: line.id, name: line.name, verdicts });
            } else if count > 1 {
                found.alike += 1;
            }
            found.partly_run += usize::from(count > 0 && count < line.cells.len());
        }
    }
    Some(found)
}

fn facts(report: &RunReport) -> Vec<(&str, Vec<Option<&str>>)> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in report.targets.iter().flat_map(|target| &target.identity) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let rows = names.into_iter().map(|name| {
        let value = |facts: &'_ [(String, String)]| facts.iter().position(|(n, _)| n == name);
        let values = report.targets.iter().map(|target| {
            value(&target.identity).and_then(|at| target.identity.get(at)).map(|(_, value)| value.as_str())
        });
        (name, values.collect::<Vec<_>>())
    });
    rows.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}
