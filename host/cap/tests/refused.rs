//! What is outside the subset, or could differ in 16 bits, is refused at its line. The expected findings stand in the
//! sources as `//! text`; `//! @place text` names a class or member where no line is known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jpkise_cap::convert::{convert, Diagnostic};

#[derive(Default)]
struct Case {
    release: u32,
    int: bool,
    /// Line, or place, and text.
    expected: Vec<(String, String)>,
}

fn case(text: &str) -> Case {
    let mut case = Case { release: 8, ..Case::default() };
    for (number, line) in (1..).zip(text.lines()) {
        let Some((_, mark)) = line.split_once("//! ") else { continue };
        if let Some(release) = mark.strip_prefix("release ") {
            case.release = release.parse().unwrap();
        } else if mark == "int" {
            case.int = true;
        } else if let Some(placed) = mark.strip_prefix('@') {
            let (place, text) = placed.split_once(' ').unwrap();
            case.expected.push((place.to_owned(), text.to_owned()));
        } else {
            let texts = mark.split(" || ").map(|text| (format!("line {number}"), text.to_owned()));
            case.expected.extend(texts);
        }
    }
    case
}

fn matches(error: &Diagnostic, package: &str, place: &str, text: &str) -> bool {
    let class = error.class.as_deref().unwrap_or_default();
    let class = class.strip_prefix(&format!("{package}.")).unwrap_or(class);
    let member = error.member.as_deref().unwrap_or_default();
    let field = member.split('(').next().unwrap_or_default();
    let at = match error.line {
        Some(line) => format!("line {line}"),
        None => String::new(),
    };
    let here = at == place || class == place || format!("{class}.{member}") == place;
    // Fields have no lines: any line may claim the field it declares.
    let field_line = error.line.is_none() && !field.is_empty() && place.starts_with("line ");
    (here || field_line) && error.rule.to_string().contains(text)
}

#[test]
fn every_rule_is_reported_at_its_line() {
    if !support::has_javac() {
        return;
    }
    let mut by_release: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
    let mut cases = Vec::new();
    for (path, text) in support::sources("refused") {
        let package = format!("refused.{}", path.split('/').next().unwrap());
        let case = case(&text);
        by_release.entry(case.release).or_default().push((format!("refused/{path}"), text));
        cases.push((package, case));
    }
    let classes: BTreeMap<u32, _> = by_release
        .into_iter()
        .map(|(release, sources)| {
            (release, support::javac(&format!("refused-{release}"), release, &sources).unwrap())
        })
        .collect();
    let mut all = String::new();
    for (package, case) in &cases {
        let mut options = support::options(package);
        options.int = case.int;
        let Err(errors) = convert(&classes[&case.release], &options) else { panic!("{package} is accepted") };
        let mut failures = String::new();
        assert!(!case.expected.is_empty(), "{package}");
        for (place, text) in &case.expected {
            let found = errors.iter().any(|e| matches(e, package, place, text));
            // What the subset check finds hides what only the translation would: both kinds are in files of their own.
            if !found {
                let _ = writeln!(failures, "no {text:?} at {place}");
            }
        }
        for error in &errors {
            let wanted = case.expected.iter().any(|(place, text)| matches(error, package, place, text));
            if !wanted {
                let _ = writeln!(failures, "unexpected {error}");
            }
        }
        if !failures.is_empty() {
            let _ = writeln!(all, "{package}\n{failures}{}", support::lines(&errors));
        }
    }
    assert!(all.is_empty(), "{all}");
    println!("{} cases", cases.len());
}
