//! The applet's conformance suites pass on both runtimes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod jcardsim;

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use jcardsim::JCardSimBench;
use jpkise_gpse::Profile;
use jpkise_lab::run::bench::TargetKind;
use jpkise_lab::run::runner::{lock, Item, Options, Target};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{run, Bench, Tape, Verdict};
use jpkise_lab::suite::Suite;
use jpkise_lab::{card_edge, simulator, suites};
use time::macros::datetime;

const SUITES: [&str; 3] = ["jpki-states", "jpki-edge", "jpki-channel"];

fn read(name: &str) -> Suite {
    let items = suites::find(name).unwrap().unwrap_or_else(|e| panic!("{e}"));
    let suite = items.into_iter().find_map(|item| match item {
        Item::Data(suite) => Some(suite),
        Item::Code(_) => None,
    });
    suite.unwrap()
}

/// A card on jCardSim cannot be cloned: of the state tables and the channel's rules every so-manieth case is run there,
/// unless `JPKISE_SUITES=full` asks for all.
const EVERY: usize = 6;

fn on_jcardsim() -> Target {
    let now = datetime!(2026-11-23 00:00 UTC);
    let open = move || Ok(Box::new(JCardSimBench::launch(now)?) as Box<dyn Bench>);
    Target { name: "jcardsim".to_owned(), kind: TargetKind::Simulated, open: Box::new(open) }
}

fn on_jcvm() -> Target {
    let open = || {
        let keys = Rc::new(simulator::test_keys().unwrap());
        let now = datetime!(2026-11-23 00:00 UTC);
        let bench = SimulatedBench::new(Profile::default(), keys, Tape::default(), now)?;
        Ok(Box::new(bench) as Box<dyn Bench>)
    };
    Target { name: "jcvm".to_owned(), kind: TargetKind::Simulated, open: Box::new(open) }
}

/// Runs all suites; every case must be good, and how many there are is said.
fn passes(target: Target, every: usize) {
    let name = target.name.clone();
    let items: Vec<Item> = SUITES
        .iter()
        .map(|name| {
            let mut suite = read(name);
            let mut number = 0;
            suite.cases.retain(|_| {
                number += 1;
                number % every == 0
            });
            // States one after the other: a card that cannot be cloned stays where it is as long as it can.
            if every > 1 {
                suite.cases.sort_by_key(|case| case.state);
            }
            Item::Data(suite)
        })
        .collect();
    let only = std::env::var("JPKISE_ONLY").map(|only| vec![only]).unwrap_or_default();
    let options = Options { only, seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let under_way = run(vec![target], items, &options);
    while under_way.events.recv().is_ok() {}
    let report = lock(&under_way.reports).remove(0);
    assert_eq!(report.error, None);
    let mut bad = 0;
    for case in report.cases.iter().filter(|c| !matches!(c.verdict, Verdict::Passed)) {
        println!("{name}: {}/{}: {:?}", case.suite, case.id, case.verdict);
        bad += usize::from(!case.verdict.is_good());
    }
    let skipped = report.count("skipped");
    println!("{name}: {} cases, {bad} bad, {skipped} skipped, {:.0} s", report.cases.len(), report.seconds);
    assert_eq!(bad, 0);
}

#[test]
fn the_protocol_page_is_the_one_generated_from_the_suites() {
    let [states, demands, channel] = SUITES.map(read);
    let page = card_edge::page(&states, &demands, &channel);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/card-edge.md");
    if std::env::var_os("JPKISE_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/card-edge.md is not what the suites say: run this with JPKISE_WRITE=1");
}

#[test]
fn the_applet_conforms_on_the_virtual_machine() {
    passes(on_jcvm(), 1);
}

#[test]
fn the_applet_conforms_on_jcardsim() {
    if let Err(error) = jpkise_gpse::JCardSim::find_and_launch() {
        println!("SKIP on jCardSim: {error}");
        return;
    }
    let full = std::env::var_os("JPKISE_SUITES").is_some_and(|value| value == "full");
    passes(on_jcardsim(), if full { 1 } else { EVERY });
}
