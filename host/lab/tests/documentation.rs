//! docs/lab.md says what the reader of suites reads: its example runs, and every word of the format stands in it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use jpkise_gpse::Profile;
use jpkise_lab::run::runner::{run_on, Item, Options};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{Tape, Verdict};
use jpkise_lab::suite::model::{CardState, Changes, Need, Stage};
use jpkise_lab::suite::{read, OpenFault, Via};
use jpkise_lab::{simulator, suites};
use time::macros::datetime;

const LAB: &str = include_str!("../../../docs/lab.md");

#[test]
fn the_example_runs_as_it_stands() {
    let blocks = LAB.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let suites: Vec<&str> = blocks.filter(|block| block.starts_with("suite = ")).collect();
    assert_eq!(suites.len(), 1);
    let suite = read("docs/lab.md", suites[0]).unwrap_or_else(|e| panic!("{e}"));
    let keys = Rc::new(simulator::test_keys().unwrap());
    let now = datetime!(2026-11-23 00:00 UTC);
    let mut bench = SimulatedBench::new(Profile::default(), keys, Tape::default(), now).unwrap();
    let options = Options { only: Vec::new(), seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let report = run_on("sim", &mut bench, &[Item::Data(suite)], &options);
    assert!(report.cases.iter().all(|c| c.verdict == Verdict::Passed), "{:#?}", report.cases);
}

#[test]
fn every_word_of_the_format_is_described() {
    let mut words: Vec<String> = Vec::new();
    words.extend(Need::ALL.iter().map(|need| need.name().to_owned()));
    words.extend(Changes::ALL.iter().map(|changes| changes.name().to_owned()));
    words.extend(Stage::ALL.iter().map(|stage| stage.name().to_owned()));
    words.extend(Via::NAMES.iter().map(|(name, _)| (*name).to_owned()));
    words.extend(OpenFault::NAMES.iter().map(|(name, _)| (*name).to_owned()));
    words.extend(CardState::VALUES.iter().map(|name| format!("${name}")));
    words.extend(suites::NAMES.iter().map(|name| (*name).to_owned()));
    for word in words {
        assert!(LAB.contains(&format!("`{word}`")), "`{word}` is not in docs/lab.md");
    }
}
