//! Cards that answer nonsense, or nothing: every suite ends with clear words for every case, and the report is whole.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Duration;

use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::keys::KeySource;
use jpkise_lab::report::{self, junit, RunReport, SuiteTitle, Words};
use jpkise_lab::run::bench::{Bench, BenchError, LabCard, TargetKind, Values};
use jpkise_lab::run::runner::{run_on, Item, Options};
use jpkise_lab::run::state::Maker;
use jpkise_lab::run::{Tape, Verdict};
use jpkise_lab::suite::model::{CardState, Changes, Need};
use jpkise_lab::{simulator, suites};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use time::macros::datetime;

/// What the card does instead of answering.
#[derive(Debug, Clone, Copy)]
enum Nonsense {
    /// Any bytes, any number of them.
    Random,
    /// 9000 whatever is asked, and data of any kind before it.
    YesToAll,
    /// Not even a status word.
    OneByte,
    /// Nothing within the time.
    Mute,
    /// More is waiting, for ever.
    Endless,
    /// Gone with the first exchange.
    Gone,
}

struct Mad(Nonsense, ChaCha20Rng);

impl Transport for Mad {
    fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, TransportError> {
        let mut bytes = |most: usize| -> Vec<u8> {
            let length = self.1.gen_range(0..=most);
            (0..length).map(|_| self.1.gen()).collect()
        };
        match self.0 {
            Nonsense::Random => Ok(bytes(300)),
            Nonsense::YesToAll => Ok([bytes(64), vec![0x90, 0x00]].concat()),
            Nonsense::OneByte => Ok(vec![0x90]),
            Nonsense::Mute => Err(TransportError::Timeout(Duration::from_secs(1))),
            Nonsense::Endless => Ok([&[0; 250][..], &[0x61, 0x00]].concat()),
            Nonsense::Gone => Err(TransportError::Removed),
        }
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        match self.0 {
            Nonsense::Gone => Err(TransportError::Removed),
            _ => Ok(vec![0x3B, 0x00]),
        }
    }
    fn atr(&self) -> &[u8] {
        &[0x3B, 0x00]
    }
    fn name(&self) -> &'static str {
        "mad"
    }
}

/// Makes its states as a reader's bench does.
struct MadBench {
    card: LabCard,
    tape: Tape,
    maker: Maker,
}

impl Bench for MadBench {
    fn kind(&self) -> TargetKind {
        TargetKind::Reader
    }
    fn card(&mut self) -> &mut LabCard {
        &mut self.card
    }
    fn tape(&self) -> Tape {
        self.tape.clone()
    }
    fn bring(&mut self, state: CardState) -> Result<Values, BenchError> {
        let values = self.maker.reach(&mut self.card, state, None, None)?;
        self.card.reset()?;
        Ok(values)
    }
    fn left(&mut self, _: Changes) {}
    fn can(&mut self, need: Need) -> bool {
        !matches!(need, Need::Simulator | Need::InterfaceSwitch)
    }
    fn may(&self, _: Changes) -> bool {
        true
    }
    fn set_contactless(&mut self, _: bool) -> bool {
        false
    }
    fn keys(&self, name: &str) -> Option<Rc<dyn KeySource>> {
        self.maker.keys(name)
    }
    fn recover(&mut self, _: &std::sync::atomic::AtomicBool) -> Result<(), BenchError> {
        self.card.reset().map(drop).map_err(BenchError::from)
    }
}

#[test]
fn every_suite_ends_with_a_whole_report_whatever_a_card_answers() {
    let all: Vec<Item> =
        ["gp", "scp03", "ara", "jpki-edge", "jpki-channel", "jpki-secrets", "omapi", "pcsc", "perf", "fuzz"]
            .iter()
            .flat_map(|name| suites::find(name).unwrap().unwrap())
            .collect();
    let titles: Vec<SuiteTitle> = all
        .iter()
        .map(|item| SuiteTitle { id: item.id().to_owned(), title: String::new(), title_ja: String::new() })
        .collect();
    let options = Options { only: Vec::new(), seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let now = datetime!(2026-11-23 00:00 UTC);
    for nonsense in [
        Nonsense::Random,
        Nonsense::YesToAll,
        Nonsense::OneByte,
        Nonsense::Mute,
        Nonsense::Endless,
        Nonsense::Gone,
    ] {
        let tape = Tape::default();
        let mut card: LabCard = Card::new(Box::new(Mad(nonsense, ChaCha20Rng::seed_from_u64(5))));
        card.observe(tape.observer());
        let maker = Maker::new(Rc::new(simulator::test_keys().unwrap()), now).unwrap();
        let mut bench = MadBench { card, tape, maker };
        let target = run_on("mad", &mut bench, &all, &options);
        let expected: usize = all.iter().map(|item| item.cases().len()).sum();
        assert_eq!(target.cases.len(), expected, "{nonsense:?}");
        let passed = target.count("passed");
        // Random answers hit on what is due now and then, and where no answer is looked at nothing can be wrong.
        assert!(passed * 4 < expected, "{nonsense:?}: {passed} of {expected} passed");
        for case in &target.cases {
            let said = match &case.verdict {
                Verdict::Failed { mismatches, .. } => !mismatches.is_empty(),
                Verdict::Broken { why } => !why.is_empty(),
                _ => true,
            };
            assert!(said, "{nonsense:?}: {}/{} does not say why", case.suite, case.id);
        }
        let folder = tempfile::tempdir().unwrap();
        let report = RunReport::new(now, 1, titles.clone(), vec![target]);
        let say = |key: &str, _: &[(String, String)]| key.to_owned();
        report::write(folder.path(), &report, &Words { language: "en", say: &say }, &[]).unwrap();
        let read: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).unwrap()).unwrap();
        assert_eq!(read["targets"][0]["cases"].as_array().unwrap().len(), expected);
        assert!(junit(&report).ends_with("</testsuites>\n"));
    }
}
