//! The off-card verifier: what it accepts, and for every rule a CAP file that breaks it.
// Numbers here are those of files of a few hundred bytes; a wrong one shows as a failing test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
// Tables and text read better as they are than as these lints want them.
#![allow(clippy::match_bool, clippy::single_match_else, clippy::needless_pass_by_value, clippy::precedence)]
#![allow(clippy::format_collect, clippy::format_push_string)]

mod asm;
mod code_cases;
mod converted;
mod decisions;
mod foreign;
mod good;
mod robust;
mod samples;
mod structure_cases;
#[path = "../support/mod.rs"]
mod support;
mod walk;

use std::collections::BTreeSet;

use jpkise_cap::exports::ExportSet;
use jpkise_cap::model::Cap;
use jpkise_cap::verify::{is_accepted, verify, Finding, Rule, Severity};

/// A CAP file that breaks one rule.
struct Case {
    rule: &'static str,
    what: String,
    cap: Cap,
    exports: ExportSet,
    /// Rules that cannot but break with it.
    also: Vec<&'static str>,
    /// Further findings, whichever, follow from the first.
    only_first: bool,
}

impl Case {
    fn new(rule: &'static str, what: &str, cap: Cap) -> Self {
        let exports = ExportSet::any_platform();
        Self { rule, what: what.into(), cap, exports, also: Vec::new(), only_first: false }
    }

    fn and(mut self, rule: &'static str) -> Self {
        self.also.push(rule);
        self
    }

    fn only_first(mut self) -> Self {
        self.only_first = true;
        self
    }

    fn with(mut self, exports: ExportSet) -> Self {
        self.exports = exports;
        self
    }
}

fn cases() -> Vec<Case> {
    let mut all = structure_cases::cases();
    all.extend(code_cases::cases());
    all
}

fn findings(cap: &Cap) -> Vec<Finding> {
    verify(cap, &ExportSet::any_platform())
}

#[test]
fn good_files_are_accepted_without_a_word() {
    for text in [samples::APPLET, samples::LIBRARY] {
        let cap = asm::assemble(text);
        let found = findings(&cap);
        assert!(found.is_empty(), "{found:#?}");
        assert!(is_accepted(&cap, &ExportSet::any_platform()));
    }
    let library = asm::assemble(samples::LIBRARY);
    let found = verify(&library, &structure_cases::fitting_file());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_wrong_file_is_refused_naming_exactly_the_rule_it_breaks() {
    let mut wrong = Vec::new();
    let cases = cases();
    println!("{} wrong files, {} rules", cases.len(), Rule::ALL.len());
    for case in cases {
        // Through bytes: a file that cannot be written and read back proves nothing about the verifier.
        let cap = Cap::read(&case.cap.to_jar().unwrap()).unwrap_or_else(|e| panic!("{}: {e}", case.what));
        let found = verify(&cap, &case.exports);
        let rules: BTreeSet<&str> = found.iter().map(|f| f.rule.id()).collect();
        let rule = Rule::ALL.iter().find(|r| r.id() == case.rule).unwrap_or_else(|| panic!("{}", case.rule));
        let wanted: BTreeSet<&str> = case.also.iter().copied().chain([case.rule]).collect();
        let fits = if case.only_first { rules.contains(case.rule) } else { rules == wanted };
        let refused = !is_accepted(&cap, &case.exports);
        if !fits || refused != (rule.severity() == Severity::Error) {
            wrong.push(format!("{} ({}): {found:#?}", case.rule, case.what));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_has_a_file_that_breaks_it() {
    let broken: BTreeSet<&str> = cases().iter().map(|case| case.rule).collect();
    let left: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).filter(|id| !broken.contains(id)).collect();
    assert!(left.is_empty(), "no case for {left:?}");
}

#[test]
fn rule_ids_are_unique() {
    let ids: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
}
