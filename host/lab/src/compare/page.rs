//! The comparison as a page: `templates/compare.html`, by the engine and in the style of the report.

use std::collections::BTreeMap;

use jpkise_wire::StatusWord;
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::figures::FigureComparison;
use super::Comparison;
use crate::report::plots::{distribution, percentiles, Labels, Row};
use crate::report::{engine, HtmlError, Words};

const TEMPLATE: &str = include_str!("../../templates/compare.html");

/// Keys that the template puts together.
const DYNAMIC: [&str; 19] = [
    "lab-compare-manifest-whole",
    "lab-compare-manifest-changed",
    "lab-compare-manifest-no-manifest",
    "lab-compare-manifest-not-checked",
    "lab-change-same",
    "lab-change-worse",
    "lab-change-not-run",
    "lab-change-gone",
    "lab-change-otherwise",
    "lab-change-better",
    "lab-change-now-run",
    "lab-change-new",
    "lab-statement-reference",
    "lab-statement-not-shown",
    "lab-statement-faster",
    "lab-statement-slower",
    "lab-statement-unsteady",
    "lab-statement-too-few",
    "lab-statement-not-comparable",
];

/// Makes the page: one file, no network, no script. `meaning` says what a status word means.
pub fn page(
    comparison: &Comparison,
    words: &Words<'_>,
    meaning: &dyn Fn(StatusWord) -> String,
) -> Result<String, HtmlError> {
    let plots: Vec<Vec<String>> = comparison.figures.iter().map(|f| plots(f, comparison, words)).collect();
    let partings = comparison.cases.iter().flat_map(|c| &c.columns).filter_map(|c| c.exchange.as_ref());
    let differing = partings.flat_map(|p| [&p.first, &p.decisive]).flatten().flat_map(|d| &d.fields);
    let meanings: BTreeMap<&String, String> = differing
        .flat_map(|field| [&field.a, &field.b])
        .flatten()
        .filter_map(|value| Some((value, meaning(StatusWord(u16::from_str_radix(value, 16).ok()?)))))
        .collect();
    let engine = engine(words, "compare.html", TEMPLATE, &DYNAMIC)?;
    Ok(engine.get_template("compare.html")?.render(context! {
        language => words.language,
        c => Value::from(Serde(comparison)),
        plots,
        meanings => Value::from(Serde(&meanings)),
    })?)
}

fn plots(figure: &FigureComparison, comparison: &Comparison, words: &Words<'_>) -> Vec<String> {
    let names: Vec<String> = comparison.columns.iter().map(|c| format!("{} {}", c.label, c.target)).collect();
    let rows: Vec<Row<'_>> = figure
        .columns
        .iter()
        .zip(&names)
        .map(|(column, target)| Row { target, values: &column.values })
        .collect();
    let labels = Labels {
        value: figure.unit.clone(),
        count: (words.say)("lab-axis-count", &[]),
        percentile: (words.say)("lab-axis-percentile", &[]),
    };
    [distribution(&rows, &labels), percentiles(&rows, &labels)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Change;
    use super::*;

    #[test]
    fn every_change_has_its_words() {
        let missing: Vec<_> = Change::DIFFERENT
            .iter()
            .filter(|change| !DYNAMIC.contains(&format!("lab-change-{}", change.id()).as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
