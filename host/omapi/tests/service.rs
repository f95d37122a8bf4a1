//! The service against the requirements of Android's compatibility test suite, and the enforcer at work.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fake;
mod requirements;

use fake::FakeSe;
use jpkise_gp::ara::{Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, NfcAccess, Reference, Rule};
use jpkise_omapi::ace::{App, Denial, Reason, SeKind, Step, Target, WithoutAra};
use jpkise_omapi::service::{IllegalArgument, Security};
use jpkise_omapi::{OmapiError, Reader, SeService};
use requirements::{app, bytes, LONG_SELECT, MINE, SELECTABLE};

const OTHER: DeviceApp = DeviceApp::Sha256([0x22; 32]);

fn rule(aid: &str, device_app: DeviceApp, apdu: ApduAccess) -> Rule {
    let aid = match aid {
        "all" => AidRef::All,
        "default" => AidRef::Default,
        aid => AidRef::Aid(aid.parse().unwrap()),
    };
    Rule::new(Reference::new(aid, device_app), Access::apdu_only(apdu))
}

fn filters(texts: &[&str]) -> ApduAccess {
    let filters: Vec<Filter> = texts.iter().map(|text| text.parse().unwrap()).collect();
    ApduAccess::Filters(Filters::new(filters).unwrap())
}

fn everybody() -> Rule {
    rule("all", DeviceApp::All, ApduAccess::Always)
}

fn reader_of(se: &FakeSe, kind: SeKind, without_ara: WithoutAra) -> Reader<FakeSe> {
    SeService::new().add_reader(kind, without_ara, jpkise_card::Card::new(se.clone()))
}

fn reader(se: &FakeSe) -> Reader<FakeSe> {
    reader_of(se, SeKind::Embedded, WithoutAra::FullAccess)
}

#[test]
fn readers_are_named_by_kind_and_number() {
    let mut service = SeService::new();
    for (kind, name) in [
        (SeKind::Embedded, "eSE1"),
        (SeKind::Uicc, "SIM1"),
        (SeKind::Uicc, "SIM2"),
        (SeKind::Sd, "SD1"),
        (SeKind::Embedded, "eSE2"),
    ] {
        let card = jpkise_card::Card::new(FakeSe::with_rules(&[]));
        assert_eq!(service.add_reader(kind, WithoutAra::FullAccess, card).name(), name);
    }
    assert_eq!((service.readers().len(), service.reader("SIM2").is_some()), (5, true));
    assert!(service.reader("eSE3").is_none());
}

#[test]
fn the_requirements_of_the_compatibility_suite_are_met_and_no_channel_stays_open() {
    let se = FakeSe::with_rules(&[everybody()]);
    requirements::all(&reader(&se));
    assert_eq!(se.0.borrow().open_channels(), 0);
}

#[test]
fn what_the_service_keeps_to_itself_is_refused_for_every_app() {
    let se = FakeSe::with_rules(&[everybody()]);
    let privileged = App { privileged: true, ..app(OTHER) };
    for app in [app(MINE), privileged] {
        let session = reader(&se).open_session(app);
        let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
        let before = se.0.borrow().log.len();
        for (command, exception) in [
            ("00700000", "java.lang.SecurityException"),
            ("00708000", "java.lang.SecurityException"),
            ("0170000001", "java.lang.SecurityException"),
            ("40700000", "java.lang.SecurityException"),
            ("0c700000", "java.lang.SecurityException"),
            ("00a40404104a535231373754657374657220312e30", "java.lang.SecurityException"),
            ("00a4040005a000000001", "java.lang.SecurityException"),
            ("42a4040005a000000001", "java.lang.SecurityException"),
            ("ff060000", "java.lang.IllegalArgumentException"),
            ("00600000", "java.lang.IllegalArgumentException"),
            ("006f0000", "java.lang.IllegalArgumentException"),
            ("80900000", "java.lang.IllegalArgumentException"),
            ("", "java.lang.IllegalArgumentException"),
            ("000600", "java.lang.IllegalArgumentException"),
            ("000a000002aa", "java.lang.IllegalArgumentException"),
            ("000a000001aa00ff", "java.lang.IllegalArgumentException"),
            ("000a00000000", "java.lang.IllegalArgumentException"),
        ] {
            let error = channel.transmit(&bytes(command)).unwrap_err();
            assert_eq!(error.exception(), exception, "{command}");
        }
        assert_eq!(se.0.borrow().log.len(), before, "nothing of that may reach the card");
        // Not MANAGE CHANNEL and not SELECT by name: another class, another P1.
        for command in ["80060000", "a0060000", "94060000", "00a40200", "80a40400"] {
            assert!(channel.transmit(&bytes(command)).is_ok(), "{command}");
        }
    }
}

#[test]
fn channel_numbers_go_into_the_class_and_there_are_as_many_as_the_card_has() {
    let se = FakeSe::with_rules(&[everybody()]);
    let session = reader(&se).open_session(app(MINE));
    let mut channels = Vec::new();
    for number in 1..=3 {
        let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
        assert_eq!(channel.number().number(), number);
        // Whatever channel bits the app wrote are replaced.
        for class in [0x00, 0x03, 0x80, 0x82] {
            channel.transmit(&[class, 0x06, 0, 0]).unwrap();
            assert_eq!(se.0.borrow().log.last().unwrap()[0], (class & 0xFC) | number);
        }
        channels.push(channel);
        if number == 2 {
            // The third channel is what the enforcer needs to ask for the refresh tag; it gives it back.
            assert_eq!(se.0.borrow().open_channels(), 2);
        }
    }
    assert!(session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().is_none());
    channels.remove(1);
    assert_eq!(se.0.borrow().open_channels(), 2);
    let again = session.open_logical_channel(None, 0).unwrap().unwrap();
    assert_eq!((again.number().number(), again.select_response()), (2, None));
}

#[test]
fn channels_are_closed_with_their_session_and_when_dropped() {
    let se = FakeSe::with_rules(&[everybody()]);
    let reader = reader(&se);
    let first = reader.open_session(app(MINE));
    let second = reader.open_session(app(MINE));
    let mut a = first.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    let b = second.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    first.close();
    assert!(first.is_closed() && !second.is_closed() && !a.is_open() && b.is_open());
    assert_eq!(a.transmit(&bytes("00060000")).unwrap_err().exception(), "java.lang.IllegalStateException");
    assert!(matches!(a.select_next(), Err(OmapiError::Closed)));
    assert!(matches!(first.open_logical_channel(None, 0), Err(OmapiError::Closed)));
    a.close();
    assert_eq!(se.0.borrow().open_channels(), 1);
    drop(second);
    assert_eq!(se.0.borrow().open_channels(), 0);
    assert!(!b.is_open());
}

#[test]
fn the_basic_channel_is_one_and_falls_back_to_the_default_applet() {
    let se = FakeSe::with_rules(&[everybody()]);
    let reader = reader(&se);
    let session = reader.open_session(app(MINE));
    let basic = session.open_basic_channel(None, 0).unwrap().unwrap();
    assert!(basic.is_basic_channel() && basic.select_response().is_none());
    assert!(session.open_basic_channel(Some(&bytes(SELECTABLE)), 0).unwrap().is_none(), "it is in use");
    drop(basic);
    let mut basic = session.open_basic_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    assert_eq!(basic.transmit(&bytes("02060000")).unwrap(), [0x90, 0x00]);
    assert_eq!(se.0.borrow().log.last().unwrap(), &bytes("00060000"));
    basic.close();
    assert_eq!(se.0.borrow().channels[0], Some(Vec::new()));
    assert!(session.open_basic_channel(None, 0).unwrap().is_some());
    // On a SIM only for the system.
    let sim = reader_of(&se, SeKind::Uicc, WithoutAra::FullAccess);
    let session = sim.open_session(app(MINE));
    assert!(session.open_basic_channel(None, 0).unwrap().is_none());
    assert!(session.open_logical_channel(None, 0).unwrap().is_none());
    assert!(session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().is_some());
}

#[test]
fn an_unlisted_app_opens_nothing_and_is_told_why() {
    let se = FakeSe::with_rules(&[rule(SELECTABLE, MINE, ApduAccess::Always), everybody()]);
    let reader = reader(&se);
    let listed = reader.open_session(app(MINE));
    assert!(listed.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().is_some());
    let stranger = reader.open_session(app(OTHER));
    let error = stranger.open_logical_channel(Some(&bytes(SELECTABLE)), 0).err().unwrap();
    let OmapiError::Security(Security::Denied(denial)) = &error else { panic!("{error}") };
    assert!(matches!(&**denial, Denial::Rules(decision) if decision.step == Step::AConflict));
    // Elsewhere everybody may.
    assert!(stranger.open_logical_channel(Some(&bytes(LONG_SELECT)), 0).unwrap().is_some());
    // The system asks no rules.
    let system = reader.open_session(App { privileged: true, ..App::default() });
    let channel = system.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    assert_eq!(channel.grant().reason, Reason::Privileged);
}

#[test]
fn filters_are_asked_for_every_command_with_the_header_the_app_gave() {
    let allowed = filters(&["00060000/F0FFFFFF", "80080000/F0FF0000"]);
    let se = FakeSe::with_rules(&[rule(SELECTABLE, MINE, allowed)]);
    let session = reader(&se).open_session(app(MINE));
    let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    for (command, passes) in [
        ("00060000", true),
        ("02060000", true),
        ("80060000", false),
        ("00060001", false),
        ("8008123400", true),
        ("000a000001aa", false),
    ] {
        match channel.transmit(&bytes(command)) {
            Ok(_) => assert!(passes, "{command}"),
            Err(OmapiError::Security(Security::Filtered { header })) => {
                assert!(!passes && header[..] == bytes(command)[..4], "{command}");
            }
            Err(error) => panic!("{command}: {error}"),
        }
    }
}

#[test]
fn rules_are_read_again_when_and_only_when_the_refresh_tag_changes() {
    let se = FakeSe::with_rules(&[rule(SELECTABLE, MINE, ApduAccess::Always)]);
    let reader = reader(&se);
    let session = reader.open_session(app(MINE));
    for _ in 0..3 {
        assert!(session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().is_some());
    }
    assert_eq!(reader.rule_readings(), 1);
    se.0.borrow_mut().store(&rule(LONG_SELECT, OTHER, ApduAccess::Always));
    assert!(session.open_logical_channel(Some(&bytes(LONG_SELECT)), 0).is_err());
    assert_eq!(reader.rule_readings(), 2);
    // Changed rules under an old tag are what a phone does not see: the reason why the tag must change.
    se.0.borrow_mut().rules = jpkise_gp::ara::RuleSet::default();
    assert!(session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().is_some());
}

#[test]
fn a_channel_keeps_its_decision_when_the_rules_change_under_it() {
    let se = FakeSe::with_rules(&[rule(SELECTABLE, MINE, ApduAccess::Always)]);
    let reader = reader(&se);
    let session = reader.open_session(app(MINE));
    let mut open = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    se.0.borrow_mut().clear();
    assert_eq!(open.transmit(&bytes("00060000")).unwrap(), [0x90, 0x00]);
    let denied = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).err().unwrap();
    assert_eq!(denied.exception(), "java.lang.SecurityException");
    se.0.borrow_mut().store(&rule(SELECTABLE, MINE, filters(&["00080000/FFFF0000"])));
    assert_eq!(open.transmit(&bytes("00060000")).unwrap(), [0x90, 0x00]);
    let mut filtered = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    assert!(filtered.transmit(&bytes("00060000")).is_err());
}

#[test]
fn what_a_missing_or_faulty_ara_means_depends_on_the_element() {
    let open = |se: &FakeSe, kind, without| {
        let session = reader_of(se, kind, without).open_session(app(MINE));
        let result = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0);
        result.map(|channel| channel.unwrap().grant().reason.clone())
    };
    let se = FakeSe::with_rules(&[]);
    se.0.borrow_mut().ara_present = false;
    for (kind, without, opens) in [
        (SeKind::Embedded, WithoutAra::FullAccess, true),
        (SeKind::Sd, WithoutAra::FullAccess, true),
        (SeKind::Embedded, WithoutAra::Deny, false),
        (SeKind::Uicc, WithoutAra::FullAccess, false),
    ] {
        let result = open(&se, kind, without);
        assert_eq!(result.is_ok(), opens, "{kind:?} {without:?}");
        assert!(result.map_or(true, |reason| reason == Reason::NoAra));
    }
    se.0.borrow_mut().ara_present = true;
    for malformed in ["", "ff40", "ff4005e203", "ff4004e202e100", "ff5000", "ff4003e20100"] {
        se.0.borrow_mut().ara_answer = Some(bytes(malformed));
        let error = open(&se, SeKind::Embedded, WithoutAra::FullAccess).unwrap_err();
        let OmapiError::Security(Security::Denied(denial)) = &error else { panic!("{malformed}: {error}") };
        assert!(matches!(**denial, Denial::Faulty(_)), "{malformed}");
    }
    se.0.borrow_mut().ara_answer = None;
    let empty = open(&se, SeKind::Embedded, WithoutAra::FullAccess).unwrap_err();
    assert!(
        matches!(empty, OmapiError::Security(Security::Denied(d)) if matches!(*d, Denial::Rules(ref r) if r.step == Step::None))
    );
    // It heals as soon as the ARA-M does.
    se.0.borrow_mut().store(&everybody());
    assert!(open(&se, SeKind::Embedded, WithoutAra::FullAccess).is_ok());
}

#[test]
fn a_card_that_goes_away_is_an_io_error_and_closes_its_channels() {
    let se = FakeSe::with_rules(&[everybody()]);
    let session = reader(&se).open_session(app(MINE));
    let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    se.0.borrow_mut().removed = true;
    assert_eq!(channel.transmit(&bytes("00060000")).unwrap_err().exception(), "java.io.IOException");
    assert!(!channel.is_open());
    assert_eq!(session.open_logical_channel(None, 0).err().unwrap().exception(), "java.io.IOException");
}

#[test]
fn nfc_events_go_to_those_the_rules_name() {
    let nfc_only = |device_app, nfc| {
        let reference = Reference::new(AidRef::Aid(SELECTABLE.parse().unwrap()), device_app);
        Rule::new(reference, Access::new(None, Some(nfc), None).unwrap())
    };
    let quiet = DeviceApp::Sha1([0x33; 20]);
    let se = FakeSe::with_rules(&[nfc_only(MINE, NfcAccess::Always), nfc_only(quiet, NfcAccess::Never)]);
    let reader = reader(&se);
    let aid = SELECTABLE.parse().unwrap();
    let apps = [app(MINE), app(OTHER), app(quiet)];
    assert_eq!(reader.is_nfc_event_allowed(aid, &apps).unwrap(), [true, false, false]);
    let denied = reader.access(Target::Aid(aid), &apps[0]).unwrap();
    assert!(matches!(denied, Err(Denial::Rules(decision)) if decision.explanation.apdu_unstated));
}

#[test]
fn the_argument_errors_name_what_was_wrong() {
    let error = OmapiError::from(IllegalArgument::Instruction(0x6A));
    assert_eq!(error.to_string(), "instruction 6A is not allowed");
    let error = OmapiError::from(Security::Filtered { header: [0, 0xA4, 2, 0x0C] });
    assert_eq!(error.to_string(), "no filter of the access rules lets 00A4020C pass");
}
