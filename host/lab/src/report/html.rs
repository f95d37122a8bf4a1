//! The page for people: `templates/report.html`, filled in. Everything a card or a file said is escaped by the engine.
//! Other pages of the lab are made by the same [`engine`] and share the style.

mod findings;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{context, AutoEscape, Environment};
use serde::Serialize;

use super::plots::{distribution, percentiles, Labels, Row};
use super::statistics::Summary;
use super::terms::{localized, named, FACTS, FIGURES};
use super::RunReport;
use crate::run::{CaseResult, Verdict};

const TEMPLATE: &str = include_str!("../../templates/report.html");
const STYLE: &str = include_str!("../../templates/style.css");

/// The page could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the page: {0}")]
pub struct HtmlError(#[from] minijinja::Error);

/// Says the message of a key with these values.
pub type Say<'w> = dyn Fn(&str, &[(String, String)]) -> String + Send + Sync + 'w;

/// Words by key, in the reader's language: a function of the program, which alone knows languages.
pub struct Words<'w> {
    /// Language tag: `en`, `ja`.
    pub language: &'w str,
    /// The message of that key with these values.
    pub say: &'w Say<'w>,
}

/// A case, one cell per target.
#[derive(Serialize)]
struct Line<'r> {
    anchor: String,
    id: &'r str,
    name: &'r str,
    reason: &'r str,
    section: &'r str,
    cells: Vec<Option<&'r CaseResult>>,
    bad: bool,
}

#[derive(Serialize)]
struct SuiteTable<'r> {
    id: &'r str,
    title: &'r str,
    lines: Vec<Line<'r>>,
    counts: Vec<[usize; 4]>,
}

#[derive(Serialize)]
struct FigureView {
    name: String,
    unit: String,
    rows: Vec<(String, Summary)>,
    plots: Vec<String>,
}

/// The engine with one template and the style; `dynamic` are the keys of texts that the template puts together.
pub(crate) fn engine(
    words: &Words<'_>,
    name: &'static str,
    template: &'static str,
    dynamic: &[&str],
) -> Result<Environment<'static>, HtmlError> {
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    engine.add_template("style.css", STYLE)?;
    engine.add_template(name, template)?;
    // The engine wants functions that live as long as it may: the words that the template uses are said beforehand.
    let said = said(words, template, dynamic);
    engine.add_function("t", move |key: String, values: Kwargs| -> Result<Value, minijinja::Error> {
        let mut text = said.iter().find(|(k, _)| *k == key).map_or(key, |(_, text)| text.clone());
        for name in values.args() {
            let value: Value = values.get(name)?;
            text = text.replace(&placeholder(name), &value.to_string());
        }
        Ok(Value::from(text))
    });
    engine.add_filter("ms", |ms: f64| format!("{ms:.1}"));
    for (kind, known) in [("fact", &FACTS[..]), ("figure", &FIGURES[..])] {
        let names: BTreeMap<&str, String> =
            known.iter().map(|name| (*name, named(kind, known, name, words.say))).collect();
        engine.add_filter(kind, move |name: String| names.get(name.as_str()).cloned().unwrap_or(name));
    }
    engine.add_filter("rate", |value: f64| {
        if value.abs() >= 100.0 {
            format!("{value:.0}")
        } else {
            format!("{value:.3}")
        }
    });
    Ok(engine)
}

/// Makes the page.
pub fn html(report: &RunReport, words: &Words<'_>) -> Result<String, HtmlError> {
    let mut engine = engine(words, "report.html", TEMPLATE, &DYNAMIC)?;
    let terms = terms(report, words);
    engine.add_filter("term", move |text: String| terms.get(&text).cloned().unwrap_or(text));
    let language = words.language.to_owned();
    let is_japanese = language == "ja";
    let suites = suites(report, is_japanese);
    let totals: Vec<[usize; 4]> = (0..report.targets.len())
        .map(|t| suites.iter().fold([0; 4], |sum, s| std::array::from_fn(|i| sum[i] + s.counts[t][i])))
        .collect();
    let page = engine.get_template("report.html")?.render(context! {
        language,
        report => Value::from(Serde(report)),
        suites => Value::from(Serde(&suites)),
        findings => Value::from(Serde(findings::findings(report, &suites))),
        differences => Value::from(Serde(findings::differences(report, &suites))),
        totals,
        good => report.is_good(),
        figures => Value::from(Serde(figures(report, words))),
    })?;
    Ok(page)
}

/// What stands in the differences of a run, in the reader's language.
fn terms(report: &RunReport, words: &Words<'_>) -> BTreeMap<String, String> {
    let cases = report.targets.iter().flat_map(|target| &target.cases);
    let mismatches = cases.filter_map(|case| match &case.verdict {
        Verdict::Failed { mismatches, .. } => Some(mismatches),
        _ => None,
    });
    let texts = mismatches.flatten().flat_map(|m| [&m.place, &m.expected, &m.found]);
    texts.map(|text| (text.clone(), localized(text, words.say))).collect()
}

/// Where a value goes into a text said beforehand. Not a character that a text may hold.
fn placeholder(name: &str) -> String {
    format!("\u{E000}{name}\u{E001}")
}

/// Keys that the template asks for, with their texts.
fn said(words: &Words<'_>, template: &'static str, dynamic: &[&str]) -> Arc<Vec<(String, String)>> {
    let mut keys: Vec<&str> =
        template.split("t(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    keys.extend(VERDICTS);
    keys.extend(dynamic);
    let values: Vec<(String, String)> =
        VALUES.iter().map(|name| ((*name).to_owned(), placeholder(name))).collect();
    Arc::new(keys.into_iter().map(|key| (key.to_owned(), (words.say)(key, &values))).collect())
}

/// Names of values that texts of the page may carry.
const VALUES: [&str; 4] = ["count", "detail", "line", "number"];

/// Keys that every page's template puts together: how a case came out.
const VERDICTS: [&str; 10] = [
    "lab-verdict-passed",
    "lab-verdict-failed",
    "lab-verdict-broken",
    "lab-verdict-skipped",
    "lab-skip-needs",
    "lab-skip-changes",
    "lab-skip-for-good",
    "lab-skip-state",
    "lab-skip-stopped",
    "lab-skip-card-gone",
];

/// Keys that this page's template puts together.
const DYNAMIC: [&str; 2] = ["lab-kind-simulated", "lab-kind-reader"];

fn suites<'r>(report: &'r RunReport, is_japanese: bool) -> Vec<SuiteTable<'r>> {
    let mut tables: Vec<SuiteTable<'r>> = Vec::new();
    for suite in &report.suites {
        let mut lines: Vec<Line<'r>> = Vec::new();
        for (column, target) in report.targets.iter().enumerate() {
            for case in target.cases.iter().filter(|c| c.suite == suite.id) {
                let at = lines.iter().position(|l| l.id == case.id).unwrap_or_else(|| {
                    lines.push(Line {
                        anchor: format!("{}-{}", suite.id, lines.len() + 1),
                        id: &case.id,
                        name: case.name_ja.as_deref().filter(|_| is_japanese).unwrap_or(&case.name),
                        reason: &case.reason,
                        section: &case.section,
                        cells: vec![None; report.targets.len()],
                        bad: false,
                    });
                    lines.len() - 1
                });
                lines[at].cells[column] = Some(case);
                lines[at].bad |= !case.verdict.is_good();
            }
        }
        let counts = (0..report.targets.len())
            .map(|column| {
                let mut counts = [0; 4];
                for case in lines.iter().filter_map(|l| l.cells[column]) {
                    counts[match case.verdict {
                        Verdict::Passed => 0,
                        Verdict::Failed { .. } => 1,
                        Verdict::Broken { .. } => 2,
                        Verdict::Skipped(_) => 3,
                    }] += 1;
                }
                counts
            })
            .collect();
        let title = if is_japanese { &suite.title_ja } else { &suite.title };
        tables.push(SuiteTable { id: &suite.id, title, lines, counts });
    }
    tables
}

fn figures(report: &RunReport, words: &Words<'_>) -> Vec<FigureView> {
    let mut names: Vec<&String> = report.targets.iter().flat_map(|t| t.figures.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let of_name = || report.targets.iter().filter_map(|t| Some((&t.name, t.figures.get(name)?)));
            let unit = of_name().next()?.1.unit.clone();
            let rows: Vec<Row<'_>> =
                of_name().map(|(target, figure)| Row { target, values: &figure.values }).collect();
            let labels = Labels {
                value: unit.clone(),
                count: (words.say)("lab-axis-count", &[]),
                percentile: (words.say)("lab-axis-percentile", &[]),
            };
            let plots = [distribution(&rows, &labels), percentiles(&rows, &labels)];
            Some(FigureView {
                name: name.clone(),
                unit,
                rows: of_name()
                    .filter_map(|(target, figure)| Some((target.clone(), Summary::of(&figure.values)?)))
                    .collect(),
                plots: plots.into_iter().flatten().collect(),
            })
        })
        .collect()
}
