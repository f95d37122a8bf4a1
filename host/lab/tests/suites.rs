//! The suites pass on the simulated card.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use jpkise_gpse::Profile;
use jpkise_lab::run::bench::TargetKind;
use jpkise_lab::run::runner::{lock, Options, Target};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{run, Tape, TargetReport, Verdict};
use jpkise_lab::{coverage, simulator, suites};
use jpkise_wire::scp03::IParameter;
use time::macros::datetime;

fn target(name: &str, profile: Profile) -> Target {
    let open = move || {
        let keys = Rc::new(simulator::profile_keys(&profile).unwrap());
        let now = datetime!(2026-11-23 00:00 UTC);
        let bench = SimulatedBench::new(profile, keys, Tape::default(), now)?;
        Ok(Box::new(bench) as Box<dyn jpkise_lab::run::Bench>)
    };
    Target { name: name.to_owned(), kind: TargetKind::Simulated, open: Box::new(open) }
}

fn options() -> Options {
    Options { only: Vec::new(), seed: 1, seconds: 2, stop: Arc::new(AtomicBool::new(false)) }
}

fn run_suite(name: &str) -> TargetReport {
    let items = suites::find(name).unwrap().unwrap_or_else(|e| panic!("{e}"));
    let under_way = run(vec![target("sim", Profile::default())], items, &options());
    while under_way.events.recv().is_ok() {}
    let report = lock(&under_way.reports).remove(0);
    assert_eq!(report.error, None);
    report
}

#[test]
fn every_suite_passes_on_the_simulated_card_and_touches_every_command_of_its_table() {
    let mut bad = 0;
    for name in suites::NAMES {
        let report = run_suite(name);
        assert!(!report.cases.is_empty());
        let untouched = coverage::untouched(name, report.cases.iter());
        assert!(untouched.is_empty(), "{name}: no case sends {untouched:?}");
        for case in &report.cases {
            if !matches!(case.verdict, Verdict::Passed | Verdict::Skipped(_)) {
                eprintln!("{}/{}: {:#?}", case.suite, case.id, case.verdict);
            }
        }
        let bad_here = report.cases.iter().filter(|c| !c.verdict.is_good()).count();
        bad += bad_here;
        let (cases, skipped, seconds) = (report.cases.len(), report.count("skipped"), report.seconds);
        eprintln!("{name}: {cases} cases, {bad_here} bad, {skipped} skipped, {seconds:.1} s");
    }
    assert_eq!(bad, 0);
}

/// A secure element as it is delivered: the lab brings the applets along.
#[test]
fn applets_are_loaded_where_the_card_has_none() {
    let bare = Profile { jpki_in_rom: false, ara: false, ..Profile::default() };
    let items: Vec<_> = ["gp", "ara", "jpki-secrets", "jpki-edge"]
        .iter()
        .flat_map(|name| suites::find(name).unwrap().unwrap())
        .collect();
    let under_way = run(vec![target("bare", bare)], items, &options());
    while under_way.events.recv().is_ok() {}
    let report = lock(&under_way.reports).remove(0);
    let bad: Vec<_> = report.cases.iter().filter(|c| !c.verdict.is_good()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// What a card does not offer is left out, and nothing else fails for it.
#[test]
fn management_suites_pass_on_cards_that_offer_less() {
    let mut cards: Vec<(String, Profile)> = [0x00, 0x10, 0x20, 0x30, 0x60]
        .into_iter()
        .map(|i| (format!("i-{i:02X}"), Profile::default().with_i(IParameter::new(i).unwrap())))
        .collect();
    cards.push(("one-channel".to_owned(), Profile { channels: 1, ..Profile::default() }));
    cards.push(("short".to_owned(), Profile { extended_length: false, ..Profile::default() }));
    let items: Vec<_> =
        ["gp", "scp03", "ara"].iter().flat_map(|name| suites::find(name).unwrap().unwrap()).collect();
    let targets = cards.into_iter().map(|(name, profile)| target(&name, profile)).collect();
    let under_way = run(targets, items, &options());
    while under_way.events.recv().is_ok() {}
    for report in lock(&under_way.reports).iter() {
        assert_eq!(report.error, None);
        let bad: Vec<_> = report.cases.iter().filter(|c| !c.verdict.is_good()).collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", report.name);
        assert!(report.count("skipped") < 30 && report.count("passed") > 160, "{}", report.name);
    }
}

/// SECURED, three tries, no level below 03, no R-ENCRYPTION, diversified AES-256 keys; and the same with S16.
#[test]
fn every_suite_passes_on_a_card_as_it_leaves_production() {
    let text = include_str!("../../gpse/profiles/strict.toml");
    let items: Vec<_> = suites::NAMES.iter().flat_map(|name| suites::find(name).unwrap().unwrap()).collect();
    let cards = [("strict", "30"), ("strict-s16", "31")].map(|(name, i)| {
        target(name, Profile::from_toml(&text.replace("i = \"30\"", &format!("i = \"{i}\""))).unwrap())
    });
    let under_way = run(cards.into(), items, &options());
    while under_way.events.recv().is_ok() {}
    for report in lock(&under_way.reports).iter() {
        assert_eq!(report.error, None);
        let bad: Vec<_> = report.cases.iter().filter(|c| !c.verdict.is_good()).collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", report.name);
        assert!(report.count("passed") > 1700, "{}: {} passed", report.name, report.count("passed"));
    }
}
