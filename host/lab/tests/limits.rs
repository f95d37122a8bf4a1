//! A case that takes longer than it may: `timeout-ms`, on a card that is slow, and on one that does not answer at all.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::keys::KeySource;
use jpkise_lab::run::bench::{Bench, BenchError, LabCard, TargetKind, Values};
use jpkise_lab::run::runner::{run_on, Item, Options};
use jpkise_lab::run::{Mismatch, Tape, TargetReport, Verdict};
use jpkise_lab::suite::model::{CardState, Changes, Need};
use jpkise_lab::suite::read;

/// Longer than any test may take: what runs into it hangs.
const NEVER: Duration = Duration::from_secs(600);

/// Answers 9000 after as many hundredths of a second as P2 says; P1 = 01 is not answered before the exchange's limit.
#[derive(Default)]
struct Slow {
    deadline: Option<Instant>,
    /// Everything that was asked of it.
    log: Rc<RefCell<Vec<String>>>,
}

impl Transport for Slow {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.log.borrow_mut().push(hex::encode(&command[..4]));
        if command[2] == 1 {
            let left = self.deadline.map_or(NEVER, |at| at.saturating_duration_since(Instant::now()));
            sleep(left);
            return Err(TransportError::Timeout(left));
        }
        sleep(Duration::from_millis(10 * u64::from(command[3])));
        Ok(vec![0x90, 0x00])
    }
    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.log.borrow_mut().push(if deadline.is_some() { "limit" } else { "no limit" }.to_owned());
        self.deadline = deadline;
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(vec![0x3B, 0x00])
    }
    fn atr(&self) -> &[u8] {
        &[0x3B, 0x00]
    }
    fn name(&self) -> &'static str {
        "slow"
    }
}

struct SlowBench {
    card: LabCard,
    tape: Tape,
}

impl Bench for SlowBench {
    fn kind(&self) -> TargetKind {
        TargetKind::Reader
    }
    fn card(&mut self) -> &mut LabCard {
        &mut self.card
    }
    fn tape(&self) -> Tape {
        self.tape.clone()
    }
    fn bring(&mut self, _: CardState) -> Result<Values, BenchError> {
        // The way to a state is not the case's time.
        sleep(Duration::from_millis(50));
        Ok(Values::new())
    }
    fn left(&mut self, _: Changes) {}
    fn can(&mut self, _: Need) -> bool {
        true
    }
    fn may(&self, _: Changes) -> bool {
        true
    }
    fn set_contactless(&mut self, _: bool) -> bool {
        false
    }
    fn keys(&self, _: &str) -> Option<Rc<dyn KeySource>> {
        None
    }
    fn recover(&mut self) -> Result<(), BenchError> {
        Ok(())
    }
}

const HEAD: &str = r#"
suite = "t"
title = "T"
section = "S"
timeout-ms = 600000
[command.wait]
cla = "80"
ins = "10"
p1 = "00"
p2 = "00"
[prepare.slowly]
steps = [{ send = "wait", p2 = "78" }]
"#;

/// The report, and what the card was asked.
fn played(cases: &str) -> (TargetReport, Vec<String>) {
    let suite = read("t.toml", &format!("{HEAD}{cases}")).unwrap_or_else(|e| panic!("{e}"));
    let slow = Slow::default();
    let log = slow.log.clone();
    let tape = Tape::default();
    let mut card: LabCard = Card::new(Box::new(slow));
    card.observe(tape.observer());
    let mut bench = SlowBench { card, tape };
    let options = Options { only: Vec::new(), seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let report = run_on("slow", &mut bench, &[Item::Data(suite)], &options);
    let log = log.borrow().clone();
    (report, log)
}

fn failed(report: &TargetReport) -> (usize, usize, &[Mismatch]) {
    match &report.cases[0].verdict {
        Verdict::Failed { step, line, mismatches, .. } => (*step, *line, mismatches),
        other => panic!("{other:?}"),
    }
}

/// What the mismatch says it took.
fn took(found: &str) -> f64 {
    found.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_case_fails_at_the_step_in_which_its_time_ran_out() {
    let (report, log) = played(
        r#"
[[case]]
id = "late"
name = "Late"
timeout-ms = 1000
steps = [
  { send = "wait" },
  { send = "wait", p2 = "78" },
  { send = "wait" },
]
"#,
    );
    let (step, line, mismatches) = failed(&report);
    assert_eq!((step, line), (2, 20));
    let [Mismatch { place, expected, found }] = mismatches else { panic!("{mismatches:?}") };
    assert_eq!((place.as_str(), expected.as_str()), ("time of the case", "at most 1000 ms"));
    assert!(took(found) >= 1200.0 && found.ends_with(" ms by step 2 (line 20)"), "{found}");
    assert_eq!(log, ["limit", "80100000", "80100078", "no limit"], "the third step is not begun");
}

#[test]
fn an_exchange_under_way_ends_with_the_case_s_time() {
    let (report, log) = played(
        r#"
[[case]]
id = "mute"
name = "Mute"
timeout-ms = 40
steps = [{ send = "wait", p1 = "01" }, { send = "wait" }]
"#,
    );
    let (step, line, mismatches) = failed(&report);
    assert_eq!((step, line), (1, 18));
    let [Mismatch { place, expected, found }] = mismatches else { panic!("{mismatches:?}") };
    assert_eq!((place.as_str(), expected.as_str()), ("time of the case", "at most 40 ms"));
    assert!(took(found) >= 40.0 && found.ends_with(" ms by step 1 (line 18), no answer"), "{found}");
    assert_eq!(log, ["limit", "80100100", "no limit"]);
}

#[test]
fn what_else_differs_is_told_beside_the_time() {
    let (report, _) = played(
        r#"
[[case]]
id = "both"
name = "Both"
timeout-ms = 5
steps = [{ send = "wait", p2 = "02", sw = "6985" }]
"#,
    );
    let places: Vec<&str> = failed(&report).2.iter().map(|m| m.place.as_str()).collect();
    assert_eq!(places, ["status word", "time of the case"]);
}

#[test]
fn states_and_conditions_are_not_the_case_s_time_and_each_repetition_has_its_own() {
    let (report, _) = played(
        r#"
[[case]]
id = "in-time"
name = "In time"
given = ["slowly"]
timeout-ms = 1200
repeat = 3
steps = [{ send = "wait", p2 = "32" }]

[[case]]
id = "default"
name = "The suite's limit"
steps = [{ send = "wait", p2 = "0A" }]
"#,
    );
    assert!(report.cases.iter().all(|c| c.verdict == Verdict::Passed), "{:?}", report.cases);
}

#[test]
fn a_condition_alone_may_take_longer_than_the_case() {
    let (report, log) = played(
        r#"
[[case]]
id = "condition"
name = "Condition"
given = ["slowly"]
timeout-ms = 1000
steps = [{ let = { a = "00" } }]
"#,
    );
    // The condition alone takes 1200 ms; the step sends nothing.
    assert_eq!(log, ["80100078", "limit", "no limit"]);
    assert_eq!(report.cases[0].verdict, Verdict::Passed);
}

#[test]
fn a_limit_is_a_number_from_1_on() {
    for (line, wrong) in [
        ("timeout-ms = 0", "t.toml:16:14: timeout-ms must be a number from 1 on"),
        ("timeout-ms = \"9\"", "t.toml:16:14: timeout-ms must be a number from 1 on"),
        ("timeout-ms = -1", "t.toml:16:14: timeout-ms must be a number from 1 on"),
        ("timeout = 9", "t.toml:16:1: unknown key timeout; did you mean timeout-ms?"),
        ("timeout-sm = 9", "t.toml:16:1: unknown key timeout-sm; did you mean timeout-ms?"),
    ] {
        let case = format!("[[case]]\nid = \"a\"\nname = \"A\"\n{line}\nsteps = [{{ reset = true }}]\n");
        let errors = read("t.toml", &format!("{HEAD}{case}")).unwrap_err().to_string();
        assert_eq!(errors, wrong);
    }
    let head = HEAD.replace("timeout-ms = 600000", "timeout-ms = 0");
    let errors =
        read("t.toml", &format!("{head}[[case]]\nid = \"a\"\nname = \"A\"\nsteps = [{{ reset = true }}]\n"));
    assert_eq!(errors.unwrap_err().to_string(), "t.toml:5:14: timeout-ms must be a number from 1 on");
}
