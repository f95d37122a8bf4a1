//! Offline decoding of recorded sessions: our own, and those of other projects.

use std::fmt::Write as _;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::card::TestCard;
use jpkise_card::trace::{Recorder, StartRecord};
use jpkise_card::{Card, CommandApdu, SecretKind};
use jpkise_gp::decode::{decode, hex_lines, trace_lines, Check, Finding, Report};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::ChallengeCheck;
use jpkise_gp::workflow::{open_channel, ChannelOptions, LevelChoice};
use jpkise_wire::scp03::{AesKey, SecurityLevel, StaticKeys};
use rand::rngs::OsRng;
use serde_json::Value;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn keys() -> SoftwareKeys {
    SoftwareKeys::same(&[0x11; 16]).unwrap()
}

fn commands() -> Vec<CommandApdu> {
    vec![
        CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data(*b"plain text").expecting_all(),
        CommandApdu::new(0x80, 0xCA, 0, 0x66).expecting_all(),
        CommandApdu::new(0x80, 0xF2, 0x40, 2).with_data([0x4F, 0]).expecting_all(),
        CommandApdu::new(0x80, 0xE6, 0x0C, 0).with_data([7; 600]).expecting_all(),
        CommandApdu::new(0x80, 0xF0, 0x40, 0x80),
    ]
}

/// A session as our trace has it.
fn trace(level: SecurityLevel, t0: bool, commands: &[CommandApdu]) -> String {
    let memory = Memory::default();
    let (recorder, handle) = Recorder::new(memory.clone(), StartRecord::new("test", &[], None));
    let mut test_card = TestCard::new(0x30, StaticKeys::same(&[0x11; 16]).unwrap());
    test_card.t0 = t0;
    let mut card = Card::new(test_card);
    card.observe(Box::new(recorder));
    let keys = keys();
    let options = ChannelOptions::default().with_level(LevelChoice::Exactly(level));
    let mut session = open_channel(&mut card, &keys, &options, &mut OsRng).unwrap();
    for command in commands {
        session.send(command).unwrap();
    }
    drop(session);
    handle.close().unwrap();
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn decoded(trace: &str, keys: &SoftwareKeys) -> Report {
    decode(trace_lines(Cursor::new(trace)).unwrap(), keys).unwrap()
}

#[test]
fn a_session_of_our_own_is_verified_and_read_at_every_level() {
    for t0 in [false, true] {
        for level in &SecurityLevel::ALL[1..] {
            // T=0 carries no long answers of one piece in the test card.
            let sent: Vec<CommandApdu> =
                commands().into_iter().filter(|c| !t0 || c.data().len() < 200).collect();
            let report = decoded(&trace(*level, t0, &sent), &keys());
            assert_eq!((report.first_fault(), report.sessions()), (None, 1), "level {level}, T=0 {t0}");
            let plain: Vec<&CommandApdu> = report
                .exchanges
                .iter()
                .filter_map(|d| match &d.finding {
                    Finding::Secured { command, .. } => command.as_ref(),
                    _ => None,
                })
                .collect();
            assert_eq!(plain.len(), sent.len());
            for (found, expected) in plain.iter().zip(&sent) {
                assert_eq!((found.header(), found.data()), (expected.header(), expected.data()));
            }
            let authenticated = report.exchanges.iter().find_map(|d| match d.finding {
                Finding::Authenticated { level, c_mac, cryptogram, accepted } => {
                    Some((level, c_mac, cryptogram, accepted))
                }
                _ => None,
            });
            assert_eq!(authenticated, Some((*level, Check::Good, Check::Good, true)));
            assert!(report.exchanges.iter().all(|d| !d.finding.is_open()));
        }
    }
}

#[test]
fn protection_switched_on_inside_a_session_is_followed() {
    let command = CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data(*b"data").expecting_all();
    let memory = Memory::default();
    let (recorder, handle) = Recorder::new(memory.clone(), StartRecord::new("test", &[], None));
    let mut card = Card::new(TestCard::new(0x30, StaticKeys::same(&[0x11; 16]).unwrap()));
    card.observe(Box::new(recorder));
    let keys = keys();
    let options = ChannelOptions::default().with_level(LevelChoice::Exactly(SecurityLevel::L03));
    let mut session = open_channel(&mut card, &keys, &options, &mut OsRng).unwrap();
    session.send(&command).unwrap();
    session.begin_r_mac(true).unwrap();
    session.send(&command).unwrap();
    session.end_r_mac().unwrap();
    session.send(&command).unwrap();
    drop(session);
    handle.close().unwrap();
    let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    let report = decoded(&text, &keys);
    assert_eq!(report.first_fault(), None);
    let macs: Vec<_> = report
        .exchanges
        .iter()
        .filter_map(|d| match d.finding {
            Finding::Secured { r_mac, .. } => Some(r_mac),
            _ => None,
        })
        .collect();
    assert_eq!(macs, [None, None, Some(Check::Good), Some(Check::Good), None]);
}

#[test]
fn other_keys_are_found_at_initialize_update_and_nothing_after_it_is_called_good() {
    let wrong = SoftwareKeys::same(&[0x12; 16]).unwrap();
    let report = decoded(&trace(SecurityLevel::L33, false, &commands()), &wrong);
    let fault = report.first_fault().unwrap();
    assert_eq!(fault.name, "INITIALIZE UPDATE");
    assert_eq!(report.sessions(), 0);
    let later: Vec<_> = report.exchanges.iter().filter(|d| d.line > fault.line).collect();
    assert!(later.iter().any(|d| d.finding.is_open()));
    assert!(!later.iter().any(|d| matches!(d.finding, Finding::Secured { c_mac: Check::Good, .. })));
}

#[test]
fn the_first_changed_digit_is_named() {
    let text = trace(SecurityLevel::L33, false, &commands());
    let whole = decoded(&text, &keys()).exchanges;
    let lines: Vec<&str> = text.lines().collect();
    for exchange in whole.iter().filter(|d| matches!(d.finding, Finding::Secured { .. })) {
        for field in ["\"command\":\"", "\"response\":\""] {
            let line = lines[exchange.line - 1];
            let at = line.find(field).unwrap() + field.len();
            let end = at + line[at..].find('"').unwrap();
            if end == at {
                continue;
            }
            // The last digit of the data: Le, where there is one, is nobody's to protect.
            let at = if field.contains("command") { end - 6 } else { end - 1 };
            let digit = if &line[at..=at] == "0" { "1" } else { "0" };
            let changed = format!("{}{digit}{}", &line[..at], &line[at + 1..]);
            let mut copy = lines.clone();
            copy[exchange.line - 1] = &changed;
            let report = decoded(&copy.join("\n"), &keys());
            let found = report.first_fault().map(|d| d.line);
            assert_eq!(found, Some(exchange.line), "{field} in {}", exchange.name);
        }
    }
}

#[test]
fn a_hidden_command_ends_what_can_be_told() {
    let mut sent = commands();
    sent.insert(1, CommandApdu::new(0x80, 0xE2, 0, 0).with_data(*b"1234").hiding(SecretKind::Pin));
    // At level 11 the data would stand in the trace in clear, so it is left out of it.
    let report = decoded(&trace(SecurityLevel::L11, false, &sent), &keys());
    assert_eq!(report.first_fault(), None);
    let hidden = report.exchanges.iter().position(|d| d.finding == Finding::Hidden).unwrap();
    assert!(report.exchanges[hidden + 1].finding.is_open());
    assert!(!report.exchanges[hidden - 1].finding.is_open());
}

#[test]
fn noise_is_no_reason_to_panic() {
    use proptest::prelude::*;
    proptest!(ProptestConfig::with_cases(64), |(
        lines in prop::collection::vec(
            (prop::sample::select(vec![0x50u8, 0x82, 0xA4, 0xC0, 0xE2, 0xE6]), any::<Vec<u8>>(), any::<Vec<u8>>()),
            0..12,
        ),
    )| {
        let mut text = String::new();
        for (ins, body, answer) in lines {
            writeln!(text, "> 84{ins:02X}{}", hex::encode(&body)).unwrap();
            writeln!(text, "< {}9000", hex::encode(&answer)).unwrap();
        }
        if let Ok(recording) = hex_lines(&text) {
            decode(recording, &keys()).unwrap();
        }
    });
}

#[test]
fn recorded_sessions_of_other_projects_are_verified_and_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/scp03");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scp03.json");
    let mut files = vec![own];
    match std::fs::read_dir(&folder) {
        Ok(entries) => files.extend(
            entries
                .map(|e| e.unwrap().path())
                .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("transcripts-")),
        ),
        Err(_) => eprintln!("skipped: no vectors of other projects in {}", folder.display()),
    }
    let mut checked = 0;
    for file in files {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for vector in json["vectors"].as_array().unwrap().iter().filter(|v| v["type"] == "transcript") {
            check_transcript(vector);
            checked += 1;
        }
    }
    assert!(checked >= 11, "{checked}");
}

fn check_transcript(vector: &Value) {
    let id = vector["id"].as_str().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut lines = String::new();
    if let Some(aid) = vector["pseudo_random_aid"].as_str() {
        let length = aid.len() / 2;
        let class = &text(&vector["initialize_update"]["command"])[..2];
        let class = if class == "81" { "01" } else { "00" };
        writeln!(lines, "> {class}a4040000\n< 6f{:02x}84{length:02x}{aid}9000", length + 2).unwrap();
    }
    let steps = vector["steps"].as_array().unwrap();
    for exchange in [&vector["initialize_update"], &vector["external_authenticate"]].into_iter().chain(steps)
    {
        writeln!(lines, "> {}", text(&exchange["command"])).unwrap();
        if let Some(response) = exchange["response"].as_str() {
            writeln!(lines, "< {response}").unwrap();
        }
    }
    let key = |name: &str| AesKey::new(&hex::decode(text(&vector["keys"][name])).unwrap()).unwrap();
    let keys = SoftwareKeys::new(StaticKeys::new(key("enc"), key("mac"), key("dek")).unwrap());
    let report = decode(hex_lines(&lines).unwrap(), &keys).unwrap();
    assert_eq!((report.first_fault(), report.sessions()), (None, 1), "{id}");

    let challenge = report.exchanges.iter().find_map(|d| match d.finding {
        Finding::Initialized { challenge, .. } => Some(challenge),
        _ => None,
    });
    if vector["pseudo_random_aid"].is_string() {
        assert_eq!(challenge, Some(ChallengeCheck::Fits), "{id}");
    }
    let mut secured = report.exchanges.iter().filter_map(|d| match &d.finding {
        Finding::Secured { command, response, .. } => Some((command.as_ref(), response.as_ref())),
        _ => None,
    });
    for step in steps.iter().filter(|s| s["command"] != s["plain_command"]) {
        let (command, response) = secured.next().unwrap();
        let expected = CommandApdu::parse(&hex::decode(text(&step["plain_command"])).unwrap()).unwrap();
        let command = command.unwrap_or_else(|| panic!("{id}: {}", step["name"]));
        assert_eq!(
            (command.header()[1..].to_vec(), command.data()),
            (expected.header()[1..].to_vec(), expected.data())
        );
        if let (Some(_), Some(plain)) = (step["response"].as_str(), step["plain_response"].as_str()) {
            assert_eq!(hex::encode(response.unwrap().to_bytes()), plain, "{id}: {}", step["name"]);
        }
    }
    assert!(secured.next().is_none(), "{id}");
}
