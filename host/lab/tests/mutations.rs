//! Every suite can fail: a simulated card with one fault at a time is caught by the case declared for it, and by no case
//! that has nothing to do with it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use jpkise_gpse::faults::Part;
use jpkise_gpse::{Fault, FaultSet, Profile};
use jpkise_lab::run::runner::{run_on, Item, Options};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::Tape;
use jpkise_lab::{simulator, suites};
use jpkise_wire::scp03::IParameter;
use time::macros::datetime;

/// Fault, the cases declared for it, and the beginnings of other cases that the same fault must or may upset.
const DECLARED: &str = include_str!("data/mutations.txt");

struct Row {
    /// All of them must fail.
    cases: Vec<String>,
    related: Vec<String>,
}

fn declared() -> BTreeMap<String, Row> {
    let rows = DECLARED.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    rows.map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let fault = words.next().unwrap();
        let cases = words.next().unwrap_or_else(|| panic!("{fault}: no case"));
        let cases = cases.split(',').map(str::to_owned).collect();
        (fault, Row { cases, related: words.collect() })
    })
    .collect()
}

#[test]
fn each_fault_is_caught_by_its_case_and_by_no_unrelated_one() {
    let declared = declared();
    let of = |names: &[&str]| -> Vec<Item> {
        names.iter().flat_map(|name| suites::find(name).unwrap().unwrap()).collect()
    };
    // The applet's faults do not reach the card manager, and its hundreds of cases take their time.
    let (management, applet) = (of(&["gp", "scp03", "ara"]), of(&["jpki"]));
    let options = Options { only: Vec::new(), seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let keys = Rc::new(simulator::test_keys().unwrap());
    let now = datetime!(2026-11-23 00:00 UTC);
    let mut bench = SimulatedBench::new(Profile::default(), keys, Tape::default(), now).unwrap();
    let mut wrong = Vec::new();
    // The one that needs another card comes last.
    let mut faults = Fault::ALL.to_vec();
    faults.sort_by_key(|fault| *fault == Fault::LevelUnchecked);
    for fault in faults {
        let Some(row) = declared.get(fault.name()) else { continue };
        let mut profile = Profile { faults: FaultSet::NONE.with(fault), ..Profile::default() };
        // What a card must not offer can only be asked of one that does not.
        if fault == Fault::LevelUnchecked {
            profile = profile.with_i(IParameter::new(0x10).unwrap());
            let keys = Rc::new(simulator::test_keys().unwrap());
            bench = SimulatedBench::new(profile.clone(), keys, Tape::default(), now).unwrap();
        }
        bench.set_profile(profile);
        let items = if fault.part() == Part::Jpki { &applet } else { &management };
        let report = run_on("sim", &mut bench, items, &options);
        let failed: Vec<String> = report
            .cases
            .iter()
            .filter(|c| !c.verdict.is_good())
            .map(|c| format!("{}/{}", c.suite, c.id))
            .collect();
        for case in row.cases.iter().filter(|case| !failed.contains(case)) {
            wrong.push(format!("{}: {case} did not fail; failed: {failed:?}", fault.name()));
        }
        let opens_channel = |case: &str| {
            let case = report.cases.iter().find(|c| format!("{}/{}", c.suite, c.id) == case);
            case.is_some_and(|c| c.exchanges.iter().any(|x| x.name == "INITIALIZE UPDATE"))
        };
        let is_related = |case: &str| {
            row.related.iter().any(|r| if r == "channel" { opens_channel(case) } else { case.starts_with(r) })
        };
        let unrelated: Vec<&String> =
            failed.iter().filter(|case| !row.cases.contains(case) && !is_related(case)).collect();
        if !unrelated.is_empty() {
            wrong.push(format!("{}: unrelated: {unrelated:?}", fault.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_has_its_case() {
    let declared = declared();
    let names: Vec<&str> = Fault::ALL.iter().map(|f| f.name()).collect();
    let unknown: Vec<_> = declared.keys().filter(|name| !names.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !declared.contains_key(*name)).collect();
    assert!(missing.is_empty(), "faults without a case that must find them: {missing:?}");
}
