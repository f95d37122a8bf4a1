//! Figures side by side, with a statement on whether they differ by more than chance.

use serde::Serialize;

use super::evidence::TargetFile;
use super::rank::{rank_test, together};
use crate::report::statistics::{percentile, sorted};

/// Differences that chance alone gives no more often than this, over all figures of a comparison together, are said.
pub const SIGNIFICANCE: f64 = 0.05;
/// A row shorter than this has no first and second half worth comparing.
const HALVES_FROM: usize = 8;

/// What can be said of a figure against that of the first column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statement {
    /// It is the first column's.
    Reference,
    /// No more than chance gives.
    NotShown,
    /// Better by more than chance.
    Faster,
    /// Worse by more than chance.
    Slower,
    /// More than chance, but no more than one of the rows changed between its own halves.
    Unsteady,
    /// Rows too short to show any difference.
    TooFew,
    /// The figure is not there, or in another unit.
    NotComparable,
}

/// A row of measurements in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// How many.
    pub n: usize,
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub p95: f64,
    /// How far the median of the second half lies from that of the first, in percent.
    pub drift_percent: Option<f64>,
}

/// One column of a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureColumn {
    /// The measurements, if there are any.
    pub numbers: Option<Numbers>,
    /// Difference of the median against the first column, in percent.
    pub difference_percent: Option<f64>,
    /// Share of pairs in which this column's value is the larger.
    pub larger_share: Option<f64>,
    /// How often chance alone gives ranks so far apart.
    pub p: Option<f64>,
    /// The same, all figures of the comparison judged together.
    pub p_together: Option<f64>,
    /// What can be said.
    pub statement: Statement,
    /// The measurements themselves, for plots.
    #[serde(skip)]
    pub values: Vec<f64>,
}

/// A figure over all columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureComparison {
    /// Name.
    pub name: String,
    /// Unit, of the first column that has it.
    pub unit: String,
    /// A column each.
    pub columns: Vec<FigureColumn>,
}

impl FigureComparison {
    /// Whether less is better.
    pub fn less_is_better(&self) -> bool {
        // Rates are per something; times are not.
        !self.unit.contains('/')
    }

    /// How much worse a column is than the first, in percent; negative where it is better.
    pub fn worse_percent(&self, column: usize) -> Option<f64> {
        let difference = self.columns.get(column)?.difference_percent?;
        Some(if self.less_is_better() { difference } else { -difference })
    }
}

/// Compares all figures; the first column is the reference.
pub fn compare(targets: &[&TargetFile]) -> Vec<FigureComparison> {
    let mut names: Vec<&String> = targets.iter().flat_map(|t| t.figures.keys()).collect();
    names.sort();
    names.dedup();
    let mut figures: Vec<FigureComparison> = names.into_iter().map(|name| figure(name, targets)).collect();
    let mut ps: Vec<f64> = Vec::new();
    for column in figures.iter().flat_map(|f| &f.columns) {
        ps.extend(column.p);
    }
    let mut adjusted = together(&ps).into_iter();
    for figure in &mut figures {
        let less_is_better = figure.less_is_better();
        let reference_drift = figure.columns.first().and_then(|c| c.numbers).and_then(|n| n.drift_percent);
        for column in &mut figure.columns {
            if column.p.is_some() {
                column.p_together = adjusted.next();
                column.statement = state(column, reference_drift, less_is_better);
            }
        }
    }
    figures
}

fn figure(name: &str, targets: &[&TargetFile]) -> FigureComparison {
    let of = |target: &TargetFile| {
        let figure = target.figures.get(name);
        let values = figure.map(|f| f.values.iter().flatten().copied().filter(|v| v.is_finite()).collect());
        (figure.map(|f| f.unit.clone()), values.unwrap_or_default())
    };
    let rows: Vec<(Option<String>, Vec<f64>)> = targets.iter().map(|t| of(t)).collect();
    let unit = rows.iter().find_map(|(unit, _)| unit.clone()).unwrap_or_default();
    let reference = rows.first().cloned().unwrap_or_default();
    let columns = rows
        .into_iter()
        .enumerate()
        .map(|(index, (own_unit, values))| {
            let mut column = FigureColumn {
                numbers: numbers(&values),
                difference_percent: None,
                larger_share: None,
                p: None,
                p_together: None,
                statement: if index == 0 { Statement::Reference } else { Statement::NotComparable },
                values,
            };
            if index > 0 && own_unit == reference.0 {
                against(&mut column, &reference.1);
            }
            column
        })
        .collect();
    FigureComparison { name: name.to_owned(), unit, columns }
}

fn against(column: &mut FigureColumn, reference: &[f64]) {
    let (Some(own), Some(first)) = (column.numbers, numbers(reference)) else { return };
    let Some(test) = rank_test(reference, &column.values) else { return };
    column.difference_percent = percent(first.median, own.median);
    column.larger_share = Some(test.second_larger);
    if test.smallest_p > SIGNIFICANCE {
        column.statement = Statement::TooFew;
    } else {
        column.p = Some(test.p);
    }
}

fn state(column: &FigureColumn, reference_drift: Option<f64>, less_is_better: bool) -> Statement {
    let shown = column.p_together.is_some_and(|p| p <= SIGNIFICANCE);
    let Some(difference) = column.difference_percent.filter(|d| shown && *d != 0.0) else {
        return Statement::NotShown;
    };
    let own_drift = column.numbers.and_then(|n| n.drift_percent);
    let drift = [reference_drift, own_drift].into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
    if difference.abs() <= drift {
        Statement::Unsteady
    } else if (difference > 0.0) == less_is_better {
        Statement::Slower
    } else {
        Statement::Faster
    }
}

fn numbers(values: &[f64]) -> Option<Numbers> {
    let median = |values: &[f64]| {
        let sorted = sorted(values);
        (!sorted.is_empty()).then(|| percentile(&sorted, 50.0))
    };
    let sorted = sorted(values);
    let drift_percent = if sorted.len() >= HALVES_FROM {
        let (first, second) = values.split_at(values.len() / 2);
        median(first).zip(median(second)).and_then(|(first, second)| percent(first, second))
    } else {
        None
    };
    Some(Numbers { n: sorted.len(), median: median(values)?, p95: percentile(&sorted, 95.0), drift_percent })
}

fn percent(from: f64, to: f64) -> Option<f64> {
    let percent = (to / from - 1.0) * 100.0;
    percent.is_finite().then_some(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::evidence::FigureFile;
    use std::collections::BTreeMap;

    fn target(unit: &str, values: &[f64]) -> TargetFile {
        let figure = FigureFile { unit: unit.to_owned(), values: values.iter().copied().map(Some).collect() };
        TargetFile {
            name: "t".to_owned(),
            kind: "simulated".to_owned(),
            identity: Vec::new(),
            error: None,
            cases: Vec::new(),
            figures: BTreeMap::from([("f".to_owned(), figure)]),
            events: Vec::new(),
            apdus: 0,
            seconds: 0.0,
        }
    }

    #[test]
    fn a_difference_is_said_only_where_the_figures_show_it() {
        let spread =
            |base: f64| -> Vec<f64> { (0..30).map(|n| base + f64::from(n * 7 % 30) / 30.0).collect() };
        let rising = |base: f64| -> Vec<f64> { (0..30).map(|n| base + f64::from(n) / 10.0).collect() };
        let cases = [
            ("the same again", "ms", spread(10.0), spread(10.0), Statement::NotShown),
            ("a little more than the noise", "ms", spread(10.0), spread(10.1), Statement::NotShown),
            ("twice the time", "ms", spread(10.0), spread(20.0), Statement::Slower),
            ("half the time", "ms", spread(20.0), spread(10.0), Statement::Faster),
            ("twice the rate", "bytes/s", spread(10.0), spread(20.0), Statement::Faster),
            ("both rise while they run", "ms", rising(10.0), rising(11.0), Statement::Unsteady),
            ("three values", "ms", vec![1.0, 2.0, 3.0], vec![9.0, 9.5, 10.0], Statement::TooFew),
            ("none", "ms", vec![1.0, 2.0, 3.0], vec![], Statement::NotComparable),
        ];
        for (name, unit, a, b, statement) in cases {
            let (a, b) = (target(unit, &a), target(unit, &b));
            let figures = compare(&[&a, &b]);
            assert_eq!(figures[0].columns[1].statement, statement, "{name}: {:?}", figures[0].columns[1]);
            assert_eq!(figures[0].columns[0].statement, Statement::Reference);
        }
        let (a, b) = (target("ms", &[1.0; 20]), target("bytes/s", &[1.0; 20]));
        assert_eq!(compare(&[&a, &b])[0].columns[1].statement, Statement::NotComparable);
    }

    #[test]
    fn many_figures_are_not_each_given_a_chance_to_be_wrong() {
        // Alone this pair is below the limit; beside nine others that say nothing it is not.
        let a: Vec<f64> = (0..6).map(f64::from).collect();
        let b: Vec<f64> = (0..6).map(|n| 3.5 + f64::from(n)).collect();
        let (mut one, mut other) = (target("ms", &a), target("ms", &b));
        let alone = compare(&[&one, &other]).remove(0).columns.remove(1);
        assert!(alone.p_together.unwrap() <= SIGNIFICANCE, "{alone:?}");
        for n in 0..9 {
            let same = target("ms", &a).figures.remove("f").unwrap();
            one.figures.insert(format!("g{n}"), same.clone());
            other.figures.insert(format!("g{n}"), same);
        }
        let among = compare(&[&one, &other]);
        assert_eq!(among[0].columns[1].statement, Statement::NotShown);
    }
}
