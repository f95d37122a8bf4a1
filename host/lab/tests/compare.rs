//! Two runs side by side: nothing differs between runs of one card but what is made for the run, a fault shows in its own
//! case at the exchange that tells, and evidence that was touched is noticed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use jpkise_gpse::{Fault, FaultSet, Profile};
use jpkise_lab::compare::evidence::{Evidence, EvidenceError, Integrity, Source};
use jpkise_lab::compare::exchange::{parting, Allowance};
use jpkise_lab::compare::{compare, page, Change, Column};
use jpkise_lab::report::{self, RunReport, SuiteTitle, Words};
use jpkise_lab::run::runner::{run_on, Item, Options};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{CaseResult, Figure, Mismatch, Skip, Tape, TargetReport, Verdict};
use jpkise_lab::{simulator, suites};
use time::macros::datetime;

fn run(names: &[&str], only: &[&str], seed: u64, faults: FaultSet) -> TargetReport {
    let items: Vec<Item> = names.iter().flat_map(|name| suites::find(name).unwrap().unwrap()).collect();
    let only = only.iter().map(ToString::to_string).collect();
    let options = Options { only, seed, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let keys = Rc::new(simulator::test_keys().unwrap());
    let profile = Profile { faults, ..Profile::default() };
    let mut bench =
        SimulatedBench::new(profile, keys, Tape::default(), datetime!(2026-11-23 00:00 UTC)).unwrap();
    run_on("sim", &mut bench, &items, &options)
}

fn written(folder: &Path, targets: Vec<TargetReport>) {
    let suites = ["gp", "scp03", "ara", "jpki", "made"];
    let title =
        |id: &&str| SuiteTitle { id: (*id).to_owned(), title: String::new(), title_ja: String::new() };
    let suites = suites.iter().map(title).collect();
    let run = RunReport::new(datetime!(2026-11-23 00:00 UTC), 7, suites, targets);
    fs::create_dir_all(folder).unwrap();
    let say = |key: &str, _: &[(String, String)]| key.to_owned();
    report::write(folder, &run, &Words { language: "en", say: &say }, &[]).unwrap();
}

#[test]
fn two_runs_with_other_seeds_and_other_keys_are_alike_exchange_by_exchange() {
    let names = ["gp", "scp03", "ara", "jpki"];
    let (a, b) = (run(&names, &[], 1, FaultSet::NONE), run(&names, &[], 2, FaultSet::NONE));
    assert!(a.cases.len() > 300 && a.cases.len() == b.cases.len(), "{}", a.cases.len());
    let mut apart = Vec::new();
    for (a, b) in a.cases.iter().zip(&b.cases) {
        let parting = parting(&a.exchanges, &b.exchanges, Allowance::RUNS);
        if let Some(first) = parting.first {
            apart.push(format!("{}/{}: {first:?}", a.suite, a.id));
        }
    }
    assert!(apart.is_empty(), "{} cases:\n{}", apart.len(), apart.join("\n"));
}

#[test]
fn a_fault_shows_in_its_case_at_the_exchange_that_tells() {
    let only = ["jpki-secrets/p", "scp03/level-", "scp03/messaging/01"];
    let names = ["scp03", "jpki-secrets"];
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("a");
    written(&whole, vec![run(&names, &only, 1, FaultSet::NONE)]);
    let a = Evidence::read(&whole).unwrap();
    for (fault, case, name, fields) in [
        (Fault::PinUncounted, "jpki-secrets/pin-counts-after-success", "VERIFY", ("63C2", "63C3")),
        (Fault::PasswordUncounted, "jpki-secrets/password-counts-after-success", "VERIFY", ("63C4", "63C5")),
    ] {
        let folder = folder.path().join(fault.name());
        written(&folder, vec![run(&names, &only, 2, FaultSet::NONE.with(fault))]);
        let b = Evidence::read(&folder).unwrap();
        let comparison = compare(&[Column { evidence: &a, target: 0 }, Column { evidence: &b, target: 0 }]);
        let cases: Vec<&str> = comparison.cases.iter().map(|c| c.case.as_str()).collect();
        assert_eq!(cases, [case]);
        let column = &comparison.cases[0].columns[1];
        assert_eq!(column.change, Change::Worse);
        let first = column.exchange.as_ref().unwrap().first.as_ref().unwrap();
        assert_eq!((first.name.as_str(), first.fields.len()), (name, 1));
        let field = &first.fields[0];
        assert_eq!(field.field, "status word");
        assert_eq!((field.a.as_deref().unwrap(), field.b.as_deref().unwrap()), fields);
    }
}

fn case(id: &str, verdict: Verdict) -> CaseResult {
    CaseResult {
        suite: "made".to_owned(),
        id: id.to_owned(),
        name: id.to_owned(),
        name_ja: None,
        reason: String::new(),
        section: String::new(),
        verdict,
        ms: 1.0,
        trace: (1, 0),
        exchanges: Vec::new(),
        exchanges_left_out: 0,
        remarks: Vec::new(),
    }
}

fn failed(place: &str, found: &str) -> Verdict {
    let mismatches = vec![Mismatch::new(place, "9000", found)];
    Verdict::Failed { step: 1, line: 3, doing: "VERIFY".to_owned(), mismatches }
}

/// Something done to a folder.
type Harm<'h> = &'h dyn Fn(&Path);

fn made(cases: Vec<CaseResult>) -> TargetReport {
    let mut target = TargetReport::new("sim", jpkise_lab::run::TargetKind::Simulated);
    target.cases = cases;
    target
}

#[test]
fn every_pair_of_verdicts_has_its_change() {
    let broken = || Verdict::Broken { why: "mute".to_owned() };
    let skipped = || Verdict::Skipped(Skip::Needs("reader"));
    let rows: [(Option<Verdict>, Option<Verdict>, Change); 18] = [
        (Some(Verdict::Passed), Some(Verdict::Passed), Change::Same),
        (Some(Verdict::Passed), Some(failed("status word", "6985")), Change::Worse),
        (Some(Verdict::Passed), Some(broken()), Change::Worse),
        (Some(Verdict::Passed), Some(skipped()), Change::NotRun),
        (Some(Verdict::Passed), None, Change::Gone),
        (Some(failed("status word", "6985")), Some(Verdict::Passed), Change::Better),
        (Some(failed("status word", "6985")), Some(failed("status word", "6985")), Change::Same),
        (Some(failed("status word", "6985")), Some(failed("status word", "6982")), Change::Otherwise),
        (Some(failed("6F/84", "A0")), Some(failed("6F/84", "A1")), Change::Same),
        (Some(failed("6F/84", "A0")), Some(failed("6F/A5", "A0")), Change::Otherwise),
        (Some(failed("status word", "6985")), Some(broken()), Change::Otherwise),
        (Some(broken()), Some(broken()), Change::Same),
        (Some(broken()), Some(skipped()), Change::NotRun),
        (Some(skipped()), Some(Verdict::Skipped(Skip::Stopped)), Change::Same),
        (Some(skipped()), Some(Verdict::Passed), Change::NowRun),
        (Some(skipped()), Some(failed("status word", "6985")), Change::Worse),
        (None, Some(Verdict::Passed), Change::New),
        (None, Some(broken()), Change::Worse),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (index, (a, b, change)) in rows.into_iter().enumerate() {
        let about = format!("{a:?} and {b:?}");
        let of = |verdict: Option<Verdict>| made(verdict.map(|v| case("x", v)).into_iter().collect());
        let folders = [folder.path().join(format!("{index}a")), folder.path().join(format!("{index}b"))];
        written(&folders[0], vec![of(a)]);
        written(&folders[1], vec![of(b)]);
        let read = folders.map(|f| Evidence::read(&f).unwrap());
        let comparison =
            compare(&[Column { evidence: &read[0], target: 0 }, Column { evidence: &read[1], target: 0 }]);
        let due = if change == Change::Same { BTreeMap::new() } else { BTreeMap::from([(change.id(), 1)]) };
        assert_eq!(comparison.changes, due, "{about}");
        assert_eq!(comparison.differs(true), usize::from(change.is_worse()), "{about}");
        assert_eq!(comparison.same, usize::from(change == Change::Same), "{about}");
    }
}

#[test]
fn evidence_that_was_touched_is_noticed() {
    let whole = |folder: &Path| written(folder, vec![made(vec![case("x", Verdict::Passed)])]);
    let append = |path: &Path, text: &str| {
        let before = fs::read_to_string(path).unwrap();
        fs::write(path, before + text).unwrap();
    };
    let rows: [(&str, Harm<'_>, Integrity); 7] = [
        ("nothing", &|_| {}, Integrity::Whole),
        (
            "a space in the report",
            &|f| append(&f.join("report.json"), " "),
            Integrity::Changed(vec!["report.json".into()]),
        ),
        (
            "the page is gone",
            &|f| fs::remove_file(f.join("report.html")).unwrap(),
            Integrity::Changed(vec!["report.html".into()]),
        ),
        ("no manifest", &|f| fs::remove_file(f.join("manifest.sha256")).unwrap(), Integrity::NoManifest),
        (
            "the report's line is gone",
            &|f| {
                let text = fs::read_to_string(f.join("manifest.sha256")).unwrap();
                let rest: Vec<&str> = text.lines().filter(|l| !l.contains("report.json")).collect();
                fs::write(f.join("manifest.sha256"), rest.join("\n")).unwrap();
            },
            Integrity::Changed(vec!["report.json".into()]),
        ),
        (
            "a line that leads elsewhere",
            &|f| append(&f.join("manifest.sha256"), "00  ../a\n"),
            Integrity::Changed(vec!["manifest.sha256".into()]),
        ),
        (
            "a manifest that is no text",
            &|f| fs::write(f.join("manifest.sha256"), [0xFF, 0xFE]).unwrap(),
            Integrity::Changed(vec!["manifest.sha256".into()]),
        ),
    ];
    for (name, harm, due) in rows {
        let folder = tempfile::tempdir().unwrap();
        whole(folder.path());
        harm(folder.path());
        assert_eq!(Evidence::read(folder.path()).unwrap().integrity, due, "{name}");
    }
    // A report by itself is read without its folder; with a manifest beside it, it is checked.
    let folder = tempfile::tempdir().unwrap();
    whole(folder.path());
    let report = folder.path().join("report.json");
    assert_eq!(Evidence::read(&report).unwrap().integrity, Integrity::Whole);
    fs::remove_file(folder.path().join("manifest.sha256")).unwrap();
    assert_eq!(Evidence::read(&report).unwrap().integrity, Integrity::NotChecked);
}

#[test]
fn what_is_no_report_of_this_schema_is_refused_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    assert!(matches!(Evidence::read(&path), Err(EvidenceError::Read { .. })));
    for text in ["", "{}", "[]", "{\"schema\":1}", "{\"schema\":\"1\"}", "\u{0}"] {
        fs::write(&path, text).unwrap();
        assert!(matches!(Evidence::read(&path), Err(EvidenceError::Report { .. })), "{text:?}");
    }
    for schema in [0, 2, 99] {
        fs::write(&path, format!("{{\"schema\":{schema},\"columns\":[]}}")).unwrap();
        let error = Evidence::read(&path).unwrap_err();
        assert!(matches!(error, EvidenceError::Schema { found, .. } if found == schema), "{error}");
    }
}

#[test]
fn targets_are_named_by_name_number_or_part() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| TargetReport::new(name, jpkise_lab::run::TargetKind::Reader);
    written(folder.path(), vec![named("Reader A 00 00"), named("Reader B 00 00"), named("2")]);
    let evidence = Evidence::read(folder.path()).unwrap();
    for (wanted, due) in [
        (Some("Reader B 00 00"), Some(1)),
        (Some("A 00"), Some(0)),
        (Some("1"), Some(0)),
        (Some("2"), Some(2)),
        (Some("Reader"), None),
        (Some("4"), None),
        (Some("0"), None),
        (None, None),
    ] {
        assert_eq!(evidence.target(wanted).ok(), due, "{wanted:?}");
    }
    let odd = folder.path().join("a#b");
    fs::create_dir(&odd).unwrap();
    let text = odd.to_str().unwrap();
    assert_eq!(Source::parse(text), Source { path: odd.clone(), target: None });
    assert_eq!(
        Source::parse(&format!("{text}#sim")),
        Source { path: odd.clone(), target: Some("sim".into()) }
    );
    assert_eq!(Source::parse("x#y"), Source { path: "x".into(), target: Some("y".into()) });
}

#[test]
fn the_page_holds_every_column_and_escapes_what_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let figure = |base: f64| Figure {
        unit: "ms".into(),
        values: (0..20).map(|n| base + f64::from(n) / 20.0).collect(),
    };
    let target = |verdict: Verdict, base: f64, atr: &str| {
        let mut target = made(vec![case("<x>", verdict)]);
        target.figures.insert("verify".to_owned(), figure(base));
        target.identity.push(("atr".to_owned(), atr.to_owned()));
        target.events.push((1.5, "card lost".to_owned()));
        target
    };
    let mut evidence = Vec::new();
    for (name, verdict, base, atr) in [
        ("a", Verdict::Passed, 1.0, "3B"),
        ("b", failed("status word", "<6985>"), 9.0, "<3C>"),
        ("c", Verdict::Passed, 1.0, "3B"),
    ] {
        written(&folder.path().join(name), vec![target(verdict, base, atr)]);
        evidence.push(Evidence::read(&folder.path().join(name)).unwrap());
    }
    let columns: Vec<Column<'_>> = evidence.iter().map(|evidence| Column { evidence, target: 0 }).collect();
    let comparison = compare(&columns);
    assert_eq!(comparison.slower(10.0), [("verify", 'B')]);
    assert!(comparison.slower(1000.0).is_empty());
    let say = |key: &str, _: &[(String, String)]| format!("[{key}]");
    let page =
        page(&comparison, &Words { language: "ja", say: &say }, &|sw| format!("meaning of {sw}")).unwrap();
    for part in [
        "<html lang=\"ja\">",
        "&lt;6985&gt;",
        "&lt;3C&gt;",
        "made&#x2f;&lt;x&gt;",
        "[lab-change-worse]",
        "[lab-statement-slower]",
        "<svg",
        "--good",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<6985>") && !page.contains("<script") && !page.contains("lab-change-]"));
}
