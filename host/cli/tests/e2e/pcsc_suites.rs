//! The applet's conformance suites through pcscd and a virtual reader: what a real reader would carry.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Duration;

use jpkise_lab::run::bench::TargetKind;
use jpkise_lab::run::reader::{ReaderBench, ReaderOptions};
use jpkise_lab::run::runner::{lock, Item, Options, Target};
use jpkise_lab::run::{identity, run, Bench, Tape, Verdict};
use jpkise_lab::{simulator, suites};
use time::OffsetDateTime;

use crate::support::{jpkise, ok, Reader, Sim};

const SUITES: [&str; 3] = ["jpki-states", "jpki-edge", "jpki-channel"];

/// In a reader every case makes its state anew, so every so-manieth is run; `JPKISE_SUITES=full` runs all.
const EVERY: usize = 16;

fn reader_name() -> String {
    let listed: serde_json::Value =
        serde_json::from_str(&ok(&mut jpkise(&["readers", "--json"]))).expect("JSON");
    let readers = listed["readers"].as_array().expect("a list of readers");
    let with_card = readers.iter().find(|r| r["atr"].is_string()).expect("a reader with a card");
    with_card["name"].as_str().expect("a name").to_owned()
}

fn options(reader: &str, destructive: Option<String>) -> ReaderOptions {
    ReaderOptions {
        reader: reader.to_owned(),
        destructive,
        for_good: false,
        attended: false,
        timeout: Duration::from_secs(30),
        patience: Duration::from_secs(10),
    }
}

fn open(reader: &str, destructive: Option<String>) -> ReaderBench {
    let keys = Rc::new(simulator::test_keys().unwrap());
    let now = OffsetDateTime::now_utc();
    ReaderBench::open(options(reader, destructive), Some(keys), Tape::default(), now).unwrap()
}

#[test]
fn the_applet_conforms_in_a_reader() {
    let Some(reader) = Reader::take() else { return };
    let _sim = Sim::start(&reader, &[]);
    let name = reader_name();
    // The card is changed only because it is the one that was named.
    let card = identity::card_id(&identity::read(&mut open(&name, None)));
    let every = if std::env::var_os("JPKISE_SUITES").is_some_and(|v| v == "full") { 1 } else { EVERY };
    let mut number = 0;
    let mut items: Vec<Item> = SUITES
        .iter()
        .flat_map(|name| suites::find(name).unwrap().unwrap_or_else(|e| panic!("{e}")))
        .collect();
    for item in &mut items {
        let Item::Data(suite) = item else { continue };
        suite.cases.retain(|_| {
            number += 1;
            number % every == 0
        });
    }
    let bench = move || Ok(Box::new(open(&name, Some(card))) as Box<dyn Bench>);
    let target = Target { name: "vpcd".into(), kind: TargetKind::Reader, open: Box::new(bench) };
    let options = Options { only: Vec::new(), seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let under_way = run(vec![target], items, &options);
    while under_way.events.recv().is_ok() {}
    let report = lock(&under_way.reports).remove(0);
    assert_eq!(report.error, None);
    for case in report.cases.iter().filter(|c| !matches!(c.verdict, Verdict::Passed)) {
        println!("vpcd: {}/{}: {:?}", case.suite, case.id, case.verdict);
    }
    let (all, skipped) = (report.cases.len(), report.count("skipped"));
    println!("vpcd: {all} cases, {skipped} skipped, {:.0} s", report.seconds);
    assert!(report.cases.iter().all(|c| c.verdict.is_good()) && skipped < all / 2);
}
