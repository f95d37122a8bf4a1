//! Recordings done again: on the cards they were made on nothing differs, a fault shows at its exchange, and what cannot be
//! done again is said and not guessed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use jpkise_card::trace::{Record, StartRecord, TraceReader};
use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::keys::{KeySource, SoftwareKeys};
use jpkise_gpse::{Fault, FaultSet, Profile};
use jpkise_jpki::edge::{Password, Pin};
use jpkise_lab::replay::plan::{plan, Reason};
use jpkise_lab::replay::stage::{KeptCards, Stage};
use jpkise_lab::replay::{replay, Given, Item, Outcome, Replayed, Ring, Terms};
use jpkise_lab::run::runner::{run_on, Item as Suite, Options};
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::{LabCard, Tape};
use jpkise_lab::suite::model::Changes;
use jpkise_lab::{secrets, simulator, suites};
use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha20Rng;
use time::macros::datetime;

/// Runs suites on simulated cards and leaves their trace.
fn record(path: &Path, names: &[&str], only: &[&str]) {
    let items: Vec<Suite> = names.iter().flat_map(|name| suites::find(name).unwrap().unwrap()).collect();
    let only = only.iter().map(ToString::to_string).collect();
    let options = Options { only, seed: 1, seconds: 1, stop: Arc::new(AtomicBool::new(false)) };
    let tape = Tape::to(File::create(path).unwrap(), &StartRecord::new("simulated", &[], None));
    let keys = Rc::new(simulator::test_keys().unwrap());
    let mut bench =
        SimulatedBench::new(Profile::default(), keys, tape.clone(), datetime!(2026-11-23 00:00 UTC)).unwrap();
    run_on("sim", &mut bench, &items, &options);
    tape.finish().unwrap();
}

fn read(path: &Path) -> Vec<Record> {
    TraceReader::new(BufReader::new(File::open(path).unwrap())).collect::<Result<_, _>>().unwrap()
}

fn ring() -> Ring {
    let test: Rc<dyn KeySource> = Rc::new(simulator::test_keys().unwrap());
    Ring::new(vec![test, Rc::new(secrets::sp_keys().unwrap())])
}

fn given() -> Given {
    let mut given = Given::default();
    given.pin = Some(Pin::new(secrets::PIN).unwrap());
    given.password = Some(Password::new(secrets::PASSWORD).unwrap());
    given
}

const ALL: Terms = Terms { most: Changes::ForGood, other_keys: false };

fn again(
    records: &[Record],
    stage: &mut dyn Stage,
    ring: &mut Ring,
    given: &mut Given,
    terms: Terms,
) -> Replayed {
    let mut found = Replayed::default();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    replay(records, stage, ring, given, &terms, &mut rng, &mut found).unwrap();
    found
}

fn on_cards(records: &[Record], faults: FaultSet) -> Replayed {
    let profile = Profile { faults, ..Profile::default() };
    let mut cards = KeptCards::new(profile, Tape::default(), None).unwrap();
    again(records, &mut cards, &mut ring(), &mut given(), ALL)
}

#[test]
fn a_run_of_the_lab_replays_on_cards_with_other_keys_and_nothing_differs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    record(file.path(), &["gp", "scp03", "ara", "jpki"], &[]);
    let found = on_cards(&read(file.path()), FaultSet::NONE);
    let differs: Vec<&Item> =
        found.items.iter().filter(|i| matches!(i.outcome, Outcome::Different { .. })).collect();
    assert!(differs.is_empty(), "{differs:#?}");
    assert_eq!(found.exchanges, found.same + found.not_replayed);
    assert!(found.exchanges > 5000 && found.remade > 20, "{} {}", found.exchanges, found.remade);
    // A wrong length is all that the trace tells of some values; no more than one exchange in a hundred is left out.
    assert!(found.not_replayed * 100 < found.exchanges, "{:?}", found.reasons);
    for reason in found.reasons.keys() {
        assert!(["wrong-form", "secret", "no-channel"].contains(reason), "{:?}", found.reasons);
    }
    for ignored in ["challenge", "cryptogram", "new-key", "refresh-tag", "salted"] {
        assert!(found.ignored.contains_key(ignored), "{ignored}: {:?}", found.ignored);
    }
}

#[test]
fn a_new_pin_is_that_of_the_card_that_was_changed_and_of_no_other() {
    let file = tempfile::NamedTempFile::new().unwrap();
    record(file.path(), &["jpki-secrets"], &[]);
    let mut given = given();
    given.new_pin = Some(Pin::new("9753").unwrap());
    given.new_password = Some(Password::new("NEW456").unwrap());
    let mut cards = KeptCards::new(Profile::default(), Tape::default(), None).unwrap();
    let found = again(&read(file.path()), &mut cards, &mut ring(), &mut given, ALL);
    assert_eq!((found.different, found.different_after_gap), (0, 0), "{:?}", found.items);
    assert!(found.same > 100);
}

#[test]
fn a_fault_of_the_card_shows_at_the_exchange_that_meets_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    record(
        file.path(),
        &["scp03", "jpki-secrets"],
        &["jpki-secrets/pin-counts-after", "scp03/level-13", "scp03/messaging/01/wrong-mac"],
    );
    let records = read(file.path());
    for (fault, name, field) in [
        (Fault::PinUncounted, "VERIFY", "status word"),
        (Fault::RMacWithoutStatus, "GET STATUS", "R-MAC"),
        (Fault::MacUnchecked, "GET STATUS", "status word"),
    ] {
        let found = on_cards(&records, FaultSet::NONE.with(fault));
        let first = found.items.iter().find_map(|item| match &item.outcome {
            Outcome::Different { fields, .. } => Some((item.name.clone(), fields[0].field.clone())),
            Outcome::NotReplayed { .. } => None,
        });
        let (found_name, found_field) = first.unwrap_or_else(|| panic!("{fault:?}: {found:?}"));
        assert!(found.different > 0, "{fault:?}");
        assert_eq!((found_name.as_str(), found_field.as_str()), (name, field), "{fault:?}");
    }
    assert_eq!(on_cards(&records, FaultSet::NONE).different, 0);
}

/// Answers one after the other; keeps the commands.
struct Script {
    answers: VecDeque<&'static str>,
    sent: Rc<RefCell<Vec<String>>>,
}

impl Transport for Script {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.sent.borrow_mut().push(hex::encode_upper(command));
        match self.answers.pop_front() {
            Some(answer) => Ok(hex::decode(answer).unwrap()),
            None => Err(TransportError::Timeout(std::time::Duration::ZERO)),
        }
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(vec![0x3B])
    }
    fn atr(&self) -> &[u8] {
        &[0x3B]
    }
    fn name(&self) -> &'static str {
        "script"
    }
}

fn script(answers: &[&'static str]) -> (LabCard, Rc<RefCell<Vec<String>>>) {
    let sent = Rc::default();
    let script = Script { answers: answers.iter().copied().collect(), sent: Rc::clone(&sent) };
    (Card::new(Box::new(script) as Box<dyn Transport>), sent)
}

fn records(lines: &[serde_json::Value]) -> Vec<Record> {
    let mut all = vec![Record::Start(StartRecord::new("r", &[0x3B], None))];
    for (index, line) in lines.iter().enumerate() {
        let mut line = line.clone();
        if line.get("reset").is_none() {
            for (key, value) in [("index", index + 1), ("duration_us", 1)] {
                line[key] = value.into();
            }
        }
        line["time_us"] = 1.into();
        all.push(serde_json::from_value(line).unwrap());
    }
    all
}

fn clear(command: &str, response: &str, sw: &str) -> serde_json::Value {
    serde_json::json!({ "name": "", "header": &command[..8], "command": command, "response": response, "sw": sw })
}

fn hidden(header: &str, kind: &str, sw: &str) -> serde_json::Value {
    serde_json::json!({ "name": "", "header": header, "command": { "secret": kind }, "response": "", "sw": sw })
}

#[test]
fn secrets_are_sent_as_given_wrong_where_they_were_wrong_and_not_at_all_where_none_is_known() {
    let rows = [
        ("right", hidden("00200098", "pin", "9000"), "9000", Some("002000980431323334"), None),
        ("wrong", hidden("00200098", "pin", "63C2"), "63C2", Some("002000980431323330"), None),
        (
            "the file tells what the kind does not",
            hidden("0020009B", "reference-data", "9000"),
            "9000",
            Some("0020009B06414243313233"),
            None,
        ),
        ("on another channel", hidden("01200098", "pin", "9000"), "9000", Some("012000980431323334"), None),
        ("change", hidden("00240098", "pin", "9000"), "9000", Some("00240098083132333431323334"), None),
        ("change after VERIFY", hidden("00240198", "pin", "9000"), "9000", Some("002401980431323334"), None),
        ("a wrong length", hidden("00200098", "pin", "6700"), "6700", None, Some(Reason::WrongForm)),
        ("a key", hidden("80D80081", "key", "9000"), "9000", None, Some(Reason::Secret)),
        ("no command", hidden("00000000", "malformed", "6700"), "6700", None, Some(Reason::Secret)),
    ];
    for (name, line, answer, sent, reason) in rows {
        let (mut card, commands) = script(&[Box::leak(answer.to_owned().into_boxed_str())]);
        let found = again(
            &records(std::slice::from_ref(&line)),
            &mut card,
            &mut Ring::new(Vec::new()),
            &mut given(),
            ALL,
        );
        let commands = commands.borrow();
        assert_eq!(commands.first().map(String::as_str), sent, "{name}");
        match reason {
            None => assert_eq!((found.same, found.items.len()), (1, 0), "{name}: {:?}", found.items),
            Some(reason) => assert_eq!(found.items[0].outcome, Outcome::NotReplayed { reason }, "{name}"),
        }
        // Nothing given: nothing sent.
        let (mut card, commands) = script(&[]);
        let found =
            again(&records(&[line]), &mut card, &mut Ring::new(Vec::new()), &mut Given::default(), ALL);
        assert!(commands.borrow().is_empty() && found.not_replayed == 1, "{name}");
    }
}

#[test]
fn a_card_that_was_not_named_is_only_asked() {
    let lines = [
        clear("00A4040000", "6F00", "9000"),
        clear("80CA9F7F00", "AA", "9000"),
        clear("0020009800", "", "63C3"),
        clear("80F0800700", "", "9000"),
        clear("80E400800003", "", "6A88"),
        hidden("00200098", "pin", "63C2"),
        clear("8046010000", "", "6982"),
        clear("00B0000000", "01", "9000"),
    ];
    let asked = ["00A4040000", "80CA9F7F00", "0020009800", "00B0000000"];
    for (most, sent, changes, for_good) in
        [(Changes::Nothing, 4, 3, 1), (Changes::Content, 7, 0, 1), (Changes::ForGood, 8, 0, 0)]
    {
        let answers = ["6F009000", "AA9000", "63C3", "9000", "6A88", "63C2", "6982", "019000"];
        let (mut card, commands) = script(&answers);
        let terms = Terms { most, other_keys: false };
        let found = again(&records(&lines), &mut card, &mut Ring::new(Vec::new()), &mut given(), terms);
        assert_eq!(commands.borrow().len(), sent, "{most:?}: {:?}", commands.borrow());
        assert!(asked.iter().all(|command| commands.borrow().iter().any(|c| c == command)), "{most:?}");
        let count = |reason: &str| found.reasons.get(reason).copied().unwrap_or(0);
        assert_eq!((count("changes"), count("for-good")), (changes, for_good), "{most:?}");
    }
}

#[test]
fn answers_in_pieces_a_wrong_le_and_silence_are_compared_as_what_they_come_to() {
    let pieces = [clear("80CA006600", "0102", "6102"), clear("00C0000002", "0304", "9000")];
    let (mut card, _) = script(&["010203049000"]);
    let found = again(&records(&pieces), &mut card, &mut Ring::new(Vec::new()), &mut given(), ALL);
    assert_eq!((found.exchanges, found.same), (1, 1));

    let repeated = [clear("80CA006600", "", "6C02"), clear("80CA006602", "0102", "9000")];
    let (mut card, commands) = script(&["6C02", "01029000"]);
    let found = again(&records(&repeated), &mut card, &mut Ring::new(Vec::new()), &mut given(), ALL);
    assert_eq!((found.exchanges, found.same, commands.borrow().len()), (1, 1, 2));

    // Who recorded it did not ask again, so neither do we.
    let (mut card, commands) = script(&["6C02"]);
    let found = again(&records(&repeated[..1]), &mut card, &mut Ring::new(Vec::new()), &mut given(), ALL);
    assert_eq!((found.same, commands.borrow().len()), (1, 1));

    let (mut card, _) = script(&[]);
    let line = [clear("80CA006600", "01", "9000")];
    let found = again(&records(&line), &mut card, &mut Ring::new(Vec::new()), &mut given(), ALL);
    let Outcome::Different { fields, .. } = &found.items[0].outcome else { panic!("{:?}", found.items) };
    assert_eq!((fields[0].field.as_str(), fields[0].b.as_ref()), ("answer", None));
}

#[test]
fn without_fitting_keys_nothing_is_authenticated_and_no_try_is_lost() {
    let file = tempfile::NamedTempFile::new().unwrap();
    record(file.path(), &["scp03"], &["scp03/level-13"]);
    let recorded = read(file.path());
    let other = || -> Rc<dyn KeySource> { Rc::new(SoftwareKeys::same(&[0x42; 16]).unwrap()) };
    let mut cards = KeptCards::new(Profile::default(), Tape::default(), None).unwrap();
    let found = again(&recorded, &mut cards, &mut Ring::new(vec![other()]), &mut given(), ALL);
    assert_eq!(found.reasons.keys().copied().collect::<Vec<_>>(), ["recorded-keys"]);

    // The recording is understood, and the card has other keys: INITIALIZE UPDATE is all that it sees.
    let text = "format = 1\n[[keys]]\nkvn = \"30\"\nkey = \"42424242424242424242424242424242\"\n";
    let profile = Profile::from_toml(text).unwrap();
    let mut cards = KeptCards::new(profile, Tape::default(), None).unwrap();
    let found = again(&recorded, &mut cards, &mut ring(), &mut given(), ALL);
    assert!(found.reasons.contains_key("card-keys"), "{:?}", found.reasons);
    assert!(!found
        .items
        .iter()
        .any(|i| i.name == "EXTERNAL AUTHENTICATE" && matches!(i.outcome, Outcome::Different { .. })));
}

#[test]
fn what_follows_a_gap_is_told_apart() {
    let lines = [
        clear("80CA006600", "01", "9000"),
        hidden("00240098", "temporary", "9000"),
        clear("80CA006600", "02", "9000"),
    ];
    let (mut card, _) = script(&["019000", "039000"]);
    let found = again(&records(&lines), &mut card, &mut Ring::new(Vec::new()), &mut Given::default(), ALL);
    assert_eq!((found.same, found.different, found.different_after_gap, found.not_replayed), (1, 0, 1, 1));
}

proptest! {
    #[test]
    fn no_recording_brings_a_replay_down(
        commands in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..12)
    ) {
        let lines: Vec<serde_json::Value> = commands.iter().map(|(command, answer, odd)| {
            let digits = hex::encode_upper(command);
            let header = digits.get(..8).unwrap_or("zz").to_owned();
            let (data, sw) = answer.split_at(answer.len().saturating_sub(2));
            serde_json::json!({
                "name": "", "header": header, "command": if *odd { format!("{digits}F") } else { digits },
                "response": hex::encode_upper(data), "sw": hex::encode_upper(sw),
                "plain": odd.then(|| serde_json::json!({ "header": "80E20000", "length": 3 })),
            })
        }).collect();
        let records = records(&lines);
        plan(&records, &mut ring()).unwrap();
        let (mut card, _) = script(&["9000", "6985", "010203", "6100", "9000"]);
        again(&records, &mut card, &mut ring(), &mut given(), ALL);
    }
}
