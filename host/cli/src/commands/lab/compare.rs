//! `jpkise lab compare`: evidence of several runs side by side.

use std::path::Path;

use jpkise_lab::compare::evidence::{Evidence, EvidenceError, Integrity, Source, VerdictFile};
use jpkise_lab::compare::exchange::{FieldDifference, FirstDifference};
use jpkise_lab::compare::figures::{FigureColumn, FigureComparison};
use jpkise_lab::compare::{compare, page, CaseDifference, Change, Column, Comparison, MOST_COLUMNS};
use jpkise_lab::files::write_whole;
use jpkise_lab::report::{Words, SCHEMA};
use jpkise_wire::StatusWord;

use crate::app::App;
use crate::args::LabCompareArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::{file_not_read, file_not_written, meaning};
use crate::i18n::Text;
use crate::table::{list, listing};

use super::speaker;

/// Longest value shown on a line; the page and the JSON object have all of it.
const SHOWN: usize = 72;

/// Compares, shows, writes the page; exit 5 where cases came out otherwise.
pub fn run(app: &App, arguments: &LabCompareArgs) -> Result<(), CliError> {
    let sources: Vec<Source> = arguments.evidence.iter().map(|argument| Source::parse(argument)).collect();
    let mut evidence = Vec::new();
    for source in &sources {
        let read = Evidence::read(&source.path)?;
        if read.integrity.is_doubtful() {
            doubt(app, &read, arguments.despite_changes)?;
        }
        if read.integrity == Integrity::NotChecked {
            app.talk(&Text::new("lab-compare-not-checked").with("path", read.path.display()));
        }
        evidence.push(read);
    }
    let columns = columns(&sources, &evidence)?;
    if !(2..=MOST_COLUMNS).contains(&columns.len()) {
        let text =
            Text::new("lab-compare-err-columns").with("count", columns.len()).with("most", MOST_COLUMNS);
        return Err(CliError::new(Exit::Usage, text).next(Text::new("usage-help")));
    }
    let comparison = compare(&columns);
    show(app, &comparison)?;
    app.json(&comparison)?;
    if let Some(out) = &arguments.out {
        write(app, &comparison, out)?;
    }
    verdict(&comparison, arguments)
}

/// A target of each; all targets of a report that stands alone.
fn columns<'e>(sources: &[Source], evidence: &'e [Evidence]) -> Result<Vec<Column<'e>>, CliError> {
    if let ([Source { target: None, .. }], [one]) = (sources, evidence) {
        return Ok((0..one.report.targets.len()).map(|target| Column { evidence: one, target }).collect());
    }
    let all = sources.iter().zip(evidence);
    all.map(|(source, evidence)| Ok(Column { evidence, target: evidence.target(source.target.as_deref())? }))
        .collect()
}

/// Says what is not as it was written; ends the run unless that is wanted.
fn doubt(app: &App, evidence: &Evidence, go_on: bool) -> Result<(), CliError> {
    let path = evidence.path.display();
    let text = match &evidence.integrity {
        Integrity::Changed(files) => {
            Text::new("lab-compare-changed").with("path", path).with("files", files.join(", "))
        }
        _ => Text::new("lab-compare-no-manifest").with("path", path),
    };
    if go_on {
        app.talk(&text);
        return Ok(());
    }
    Err(CliError::new(Exit::Refused, text).next(Text::new("lab-compare-rec-changed")))
}

fn write(app: &App, comparison: &Comparison, out: &Path) -> Result<(), CliError> {
    let next = || Text::new("lab-rec-out");
    std::fs::create_dir_all(out).map_err(|e| file_not_written(out, &e).next(next()))?;
    let language = app.messages.language();
    let say = speaker(language);
    let words = Words { language: language.tag(), say: &say };
    let explain =
        |sw: StatusWord| if sw.is_success() { String::new() } else { app.messages.say(&meaning(sw)) };
    let html = page(comparison, &words, &explain).map_err(|e| CliError::internal(e.to_string()))?;
    let json = serde_json::to_vec_pretty(comparison).map_err(|e| CliError::internal(e.to_string()))?;
    let path = out.join("compare.html");
    for (path, content) in [(&path, html.into_bytes()), (&out.join("compare.json"), json)] {
        write_whole(path, &content).map_err(|e| file_not_written(&e.path, &e.source).next(next()))?;
    }
    app.result(&app.messages.say(&Text::new("lab-compare-written").with("path", path.display())))
}

fn verdict(comparison: &Comparison, arguments: &LabCompareArgs) -> Result<(), CliError> {
    let differ = comparison.differs(arguments.worse_only);
    if differ > 0 {
        return Err(CliError::new(
            Exit::Refused,
            Text::new("lab-compare-differ").count("count", differ as u64),
        ));
    }
    let Some(percent) = arguments.slower else { return Ok(()) };
    let slower = comparison.slower(percent);
    if slower.is_empty() {
        return Ok(());
    }
    let figures: Vec<String> = slower.iter().map(|(name, label)| format!("{name} ({label})")).collect();
    let text = Text::new("lab-compare-slow").with("percent", percent).with("figures", figures.join(", "));
    Err(CliError::new(Exit::Refused, text))
}

fn show(app: &App, comparison: &Comparison) -> Result<(), CliError> {
    let say = |key: &str| app.messages.get(key);
    let line = |text: &Text| app.result(&app.messages.say(text));
    let mut rows = vec![[
        String::new(),
        say("lab-report-target"),
        say("lab-compare-folder"),
        say("lab-compare-started"),
        say("lab-verdict-passed"),
        say("lab-verdict-failed"),
        say("lab-verdict-broken"),
        say("lab-verdict-skipped"),
    ]];
    for head in &comparison.columns {
        let count = |id: &str| head.counts.get(id).copied().unwrap_or_default().to_string();
        rows.push([
            head.label.to_string(),
            head.target.clone(),
            head.path.clone(),
            head.started.get(..19).unwrap_or(&head.started).to_owned(),
            count("passed"),
            count("failed"),
            count("broken"),
            count("skipped"),
        ]);
    }
    for text in list(&rows) {
        app.result(&text)?;
    }
    for head in &comparison.columns {
        if let Some(error) = &head.error {
            line(&Text::new("lab-not-opened").with("name", head.label).with("error", error))?;
        }
        if head.stopped {
            line(&Text::new("lab-compare-stopped-line").with("label", head.label))?;
        }
        for (seconds, what) in &head.events {
            let seconds = format!("{seconds:.1}");
            let text = Text::new("lab-compare-event").with("label", head.label).with("seconds", seconds);
            line(&text.with("what", what))?;
        }
    }
    app.result("")?;
    line(&Text::new("lab-compare-same").with("count", comparison.same))?;
    for column in 1..comparison.columns.len() {
        pair(app, comparison, column)?;
    }
    for (title, facts) in
        [("lab-compare-identity", &comparison.identity), ("lab-report-environment", &comparison.environment)]
    {
        app.result("")?;
        if facts.is_empty() {
            app.result(&format!("{}: {}", say(title), say("lab-compare-no-difference")))?;
            continue;
        }
        app.result(&say(title))?;
        for fact in facts {
            for (head, values) in comparison.columns.iter().zip(&fact.values) {
                let values = if values.is_empty() { say("lab-compare-absent") } else { values.join("; ") };
                app.result(&format!("  {}  {}  {values}", fact.name, head.label))?;
            }
        }
    }
    Ok(())
}

/// One column against the first: cases, where they part, figures.
fn pair(app: &App, comparison: &Comparison, column: usize) -> Result<(), CliError> {
    let say = |key: &str| app.messages.get(key);
    let (Some(first), Some(other)) = (comparison.columns.first(), comparison.columns.get(column)) else {
        return Ok(());
    };
    let differing: Vec<&CaseDifference> =
        comparison.cases.iter().filter(|case| case.columns[column].change != Change::Same).collect();
    if !differing.is_empty() {
        let word = |verdict: &Option<VerdictFile>| {
            verdict.as_ref().map_or("–".to_owned(), |v| say(&format!("lab-verdict-{}", v.id())))
        };
        let mut rows =
            vec![[say("lab-report-case"), first.label.into(), other.label.into(), say("lab-compare-change")]];
        for case in &differing {
            rows.push([
                case.case.clone(),
                word(&case.columns[0].verdict),
                word(&case.columns[column].verdict),
                say(&format!("lab-change-{}", case.columns[column].change.id())),
            ]);
        }
        app.result("")?;
        for text in list(&rows) {
            app.result(&text)?;
        }
        app.result("")?;
        for case in differing {
            detail(app, case, column, (first.label, other.label))?;
        }
    }
    if comparison.figures.is_empty() {
        return Ok(());
    }
    app.result("")?;
    let median = |label: char| format!("{label} {}", say("lab-report-median"));
    let mut rows = vec![[
        say("lab-compare-figure"),
        format!("{} n", first.label),
        median(first.label),
        format!("{} p95", first.label),
        format!("{} n", other.label),
        median(other.label),
        format!("{} p95", other.label),
        say("lab-compare-difference"),
        say("lab-compare-statement"),
    ]];
    rows.extend(comparison.figures.iter().map(|figure| figure_row(app, figure, column)));
    for text in listing(&rows) {
        app.result(&text)?;
    }
    app.result(&say("lab-compare-figures-how"))
}

fn figure_row(app: &App, figure: &FigureComparison, column: usize) -> [String; 9] {
    let (first, other) = (&figure.columns[0], &figure.columns[column]);
    let numbers = |column: &FigureColumn| match &column.numbers {
        Some(numbers) => [numbers.n.to_string(), number(numbers.median), number(numbers.p95)],
        None => ["0".to_owned(), "–".to_owned(), "–".to_owned()],
    };
    let ([n_a, median_a, p95_a], [n_b, median_b, p95_b]) = (numbers(first), numbers(other));
    let difference = other.difference_percent.map_or("–".to_owned(), |percent| format!("{percent:+.1} %"));
    let statement = serde_json::to_value(other.statement).ok();
    let statement = statement.as_ref().and_then(|s| s.as_str()).unwrap_or_default();
    let mut words = app.messages.get(&format!("lab-statement-{statement}"));
    if let Some(p) = other.p_together {
        words = format!("{words} (p = {p:.4})");
    }
    [
        format!("{} ({})", figure.name, figure.unit),
        n_a,
        median_a,
        p95_a,
        n_b,
        median_b,
        p95_b,
        difference,
        words,
    ]
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// Why a case is bad on either side, and the exchange at which the sides part.
fn detail(app: &App, case: &CaseDifference, column: usize, labels: (char, char)) -> Result<(), CliError> {
    let line = |text: &Text| app.result(&app.messages.say(text));
    for (index, label) in [(0, labels.0), (column, labels.1)] {
        match &case.columns[index].verdict {
            Some(VerdictFile::Failed { mismatches, .. }) => {
                let Some(first) = mismatches.first() else { continue };
                let text = Text::new("lab-compare-due").with("case", &case.case).with("label", label);
                let text = text.with("place", &first.place).with("expected", short(&first.expected));
                line(&text.with("found", short(&first.found)))?;
            }
            Some(VerdictFile::Broken { why }) => {
                let text = Text::new("lab-compare-broken").with("case", &case.case).with("label", label);
                line(&text.with("why", why))?;
            }
            _ => {}
        }
    }
    let Some(parting) = &case.columns[column].exchange else { return Ok(()) };
    let Some(first) = &parting.first else {
        return line(&Text::new("lab-compare-alike-line").with("case", &case.case));
    };
    exchange(app, "lab-compare-exchange", &case.case, first, labels)?;
    match &parting.decisive {
        Some(decisive) => exchange(app, "lab-compare-decisive", &case.case, decisive, labels),
        None => Ok(()),
    }
}

fn exchange(
    app: &App,
    key: &'static str,
    case: &str,
    difference: &FirstDifference,
    labels: (char, char),
) -> Result<(), CliError> {
    let line = |text: &Text| app.result(&app.messages.say(text));
    let about = |key: &'static str| {
        Text::new(key).with("case", case).with("name", &difference.name).with("header", &difference.header)
    };
    let (Some(number_a), Some(number_b)) = (difference.number_a, difference.number_b) else {
        let number = difference.number_a.or(difference.number_b).unwrap_or_default();
        let label = if difference.number_a.is_some() { labels.0 } else { labels.1 };
        return line(&about("lab-compare-ended").with("number", number).with("label", label));
    };
    let text = about(key).with("label-a", labels.0).with("label-b", labels.1);
    line(&text.with("number-a", number_a).with("number-b", number_b))?;
    for field in &difference.fields {
        let text = Text::new("lab-compare-field").with("field", &field.field);
        let text = text.with("label-a", labels.0).with("label-b", labels.1);
        let (a, b) = both(app, field);
        let text = text.with("a", a).with("b", b);
        app.result(&format!("    {}", app.messages.say(&text)))?;
    }
    Ok(())
}

/// Both values as people read them: status words with their meaning, long values from where they part.
pub fn both(app: &App, field: &FieldDifference) -> (String, String) {
    let (a, b) = (field.a.as_deref(), field.b.as_deref());
    let apart = match (a, b) {
        (Some(a), Some(b)) if a.len() > SHOWN || b.len() > SHOWN => {
            let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
            // Whole bytes, and a few in front to find the place by.
            same.saturating_sub(8) & !1
        }
        _ => 0,
    };
    let one = |value: Option<&str>| {
        let Some(value) = value else { return app.messages.get("lab-compare-absent") };
        let is_sw = matches!(field.field.as_str(), "status word" | "answer");
        match u16::from_str_radix(value, 16).ok().filter(|_| is_sw) {
            Some(sw) if !StatusWord(sw).is_success() => {
                format!("{value} {}", app.messages.say(&meaning(StatusWord(sw))))
            }
            Some(_) => value.to_owned(),
            None if apart > 0 => {
                format!("[{}…] {}", apart / 2, short(value.get(apart..).unwrap_or_default()))
            }
            None => short(value),
        }
    };
    (one(a), one(b))
}

fn short(value: &str) -> String {
    let length = value.chars().count();
    if length <= SHOWN {
        return value.to_owned();
    }
    let start: String = value.chars().take(SHOWN - 1).collect();
    format!("{start}… ({length})")
}

impl From<EvidenceError> for CliError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Read { path, source } => file_not_read(&path, &source),
            EvidenceError::Report { path, source } => {
                let text = Text::new("lab-compare-err-report").with("path", path.display());
                Self::new(Exit::Usage, text).detail(source.to_string())
            }
            EvidenceError::Schema { path, found } => {
                let text = Text::new("lab-compare-err-schema").with("path", path.display());
                Self::new(Exit::Usage, text.with("found", found).with("known", SCHEMA))
                    .next(Text::new("lab-compare-rec-schema"))
            }
            EvidenceError::Target { path, wanted, names } => {
                let text =
                    Text::new("lab-compare-err-target").with("path", path.display()).with("name", wanted);
                Self::new(Exit::Usage, text).next(numbered(&path, &names))
            }
            EvidenceError::Unnamed { path, names } => {
                let text = Text::new("lab-compare-err-unnamed").with("path", path.display());
                Self::new(Exit::Usage, text).next(numbered(&path, &names))
            }
            other => Self::internal(other.to_string()),
        }
    }
}

fn numbered(path: &Path, names: &[String]) -> Text {
    let names: Vec<String> = names.iter().zip(1..).map(|(name, number)| format!("{number} {name}")).collect();
    Text::new("lab-compare-rec-target").with("path", path.display()).with("names", names.join("; "))
}
