//! The off-card end against a card's end written for these tests.

use crate::card::{Misdeed, TestCard};
use jpkise_card::{Card, CommandApdu, SecretKind};
use jpkise_gp::commands::put_key::{Destination, KeyBlock};
use jpkise_gp::keys::{KeySource, SoftwareKeys, TryLedger};
use jpkise_gp::scp03::{Authenticated, ScpError, SecurityFault, Session};
use jpkise_gp::workflow::{
    open_channel, open_channel_counted, rotate_keys, ChannelOptions, LevelChoice, RotateRequest,
};
use jpkise_gp::{GpError, LogicalChannel};
use jpkise_wire::scp03::{SecurityLevel, StaticKeys};
use proptest::prelude::*;
use rand::rngs::OsRng;

fn keys(length: usize) -> StaticKeys {
    let key: Vec<u8> = (0x10u8..).take(length).collect();
    StaticKeys::same(&key).unwrap()
}

fn card(length: usize, s16: bool) -> Card<TestCard> {
    let mut card = TestCard::new(0x30, keys(length));
    card.only_s16 = s16;
    Card::new(card)
}

fn open<'a, 'k>(
    card: &'a mut Card<TestCard>,
    keys: &'k SoftwareKeys,
    level: SecurityLevel,
) -> Session<'a, TestCard, Authenticated<'k>> {
    let options = ChannelOptions::default().with_kvn(0x30).with_level(LevelChoice::Exactly(level));
    open_channel(card, keys, &options, &mut OsRng).unwrap()
}

/// A command the test card echoes: header with class 80 or 00, then data.
fn echo(data: &[u8]) -> CommandApdu {
    CommandApdu::new(0x80, 0xE2, 0x11, 0x22).with_data(data).expecting_all()
}

fn levels() -> impl Strategy<Value = SecurityLevel> {
    prop::sample::select(&SecurityLevel::ALL[1..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_wrapped_arrives_and_what_comes_back_is_read(
        level in levels(),
        length in prop::sample::select(vec![16usize, 24, 32]),
        s16: bool,
        t0: bool,
        commands in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=200), 1..6),
    ) {
        let keys = SoftwareKeys::new(keys(length));
        let mut card = card(length, s16);
        card.transport_mut().t0 = t0;
        let mut session = open(&mut card, &keys, level);
        for data in &commands {
            let answer = session.send(&echo(data)).unwrap();
            prop_assert!(answer.sw.is_success());
            prop_assert_eq!(&answer.data, &[&[0x80, 0xE2, 0x11, 0x22], data.as_slice()].concat());
            // Errors come bare and warnings protected; both leave the session open.
            prop_assert_eq!(session.send(&CommandApdu::new(0x80, 0xCA, 0, 0x66)).unwrap().sw.0, 0x6A88);
            prop_assert_eq!(session.send(&CommandApdu::new(0x80, 0xF2, 0x40, 2)).unwrap().sw.0, 0x6310);
        }
    }

    #[test]
    fn any_changed_bit_of_an_answer_ends_the_session(
        level in prop::sample::select(vec![SecurityLevel::L11, SecurityLevel::L13, SecurityLevel::L33]),
        s16: bool,
        data in prop::collection::vec(any::<u8>(), 0..100),
        bit: u16,
    ) {
        let keys = SoftwareKeys::new(keys(16));
        let mut card = card(16, s16);
        let mut session = open(&mut card, &keys, level);
        session.card().transport_mut().misdeed = Some(Misdeed::FlipAnswerBit(bit.into()));
        let error = session.send(&echo(&data)).unwrap_err();
        prop_assert!(matches!(error, ScpError::Fault(_)), "{}", error);
        prop_assert!(session.is_closed());
        let sent = session.card().apdus();
        prop_assert!(matches!(session.send(&echo(&data)), Err(ScpError::Closed)));
        prop_assert_eq!(session.card().apdus(), sent);
    }

    #[test]
    fn no_answer_to_initialize_update_panics(answer in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = jpkise_gp::scp03::InitializeUpdate::parse(&answer);
    }

    #[test]
    fn no_answer_of_a_card_panics(answer in prop::collection::vec(any::<u8>(), 0..120)) {
        use jpkise_gp::commands::get_status::{parse, AnswerForm, Subset};
        use jpkise_gp::identity::{CapabilityInformation, CardData, Cplc, ExtendedResources, KeyInformationTemplate};
        for subset in [Subset::IssuerDomain, Subset::Applications, Subset::LoadFilesAndModules] {
            for form in [AnswerForm::Tlv, AnswerForm::Deprecated] {
                let _ = parse(subset, form, &answer);
            }
        }
        for tag in [0x6F, 0x66, 0x67, 0xE0, 0xE3] {
            // The right tag and length in front lets the inside be reached.
            let object = jpkise_wire::tlv::object(tag, &answer);
            let _ = jpkise_gp::commands::select::Fci::parse(&object);
            let _ = CardData::parse(&object);
            let _ = CapabilityInformation::parse(&object);
            let _ = KeyInformationTemplate::parse(&object);
            let _ = parse(Subset::LoadFilesAndModules, AnswerForm::Tlv, &object);
        }
        let _ = Cplc::parse(&answer);
        let _ = ExtendedResources::parse(&answer);
        let _ = jpkise_gp::commands::put_key::PutKeyAnswer::parse(&answer);
    }
}

#[test]
fn a_card_that_knows_s16_only_is_asked_a_second_time() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, true);
    let session = open(&mut card, &keys, SecurityLevel::L33);
    assert_eq!(session.info().mode.bytes(), 16);
    drop(session);
    assert_eq!(card.transport_mut().instructions, [0xA4, 0x50, 0x50, 0x82]);
}

#[test]
fn wrong_keys_are_noticed_before_external_authenticate() {
    let wrong = SoftwareKeys::same(&[9; 16]).unwrap();
    let mut card = card(16, false);
    let error = open_channel(&mut card, &wrong, &ChannelOptions::default(), &mut OsRng).err().unwrap();
    assert!(matches!(error, GpError::Channel(ScpError::Cryptogram(_))), "{error}");
    assert_eq!(card.transport_mut().instructions, [0xA4, 0x50]);
}

#[test]
fn a_refusal_before_keys_were_tried_is_another_error() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, false);
    let options = ChannelOptions::default().with_kvn(0x20);
    let error = open_channel(&mut card, &keys, &options, &mut OsRng).err().unwrap();
    let GpError::Channel(ScpError::Refused(refused)) = error else { panic!("{error}") };
    assert_eq!((refused.kvn, refused.sw.0), (0x20, 0x6A88));
}

#[test]
fn a_level_the_card_does_not_offer_is_not_asked_for() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, false);
    card.transport_mut().i = 0x00;
    let demanded = SecurityLevel::L13;
    for (choice, refused) in [
        (LevelChoice::AtLeast(demanded), true),
        (LevelChoice::Exactly(demanded), true),
        (LevelChoice::AtLeast(SecurityLevel::L01), false),
        (LevelChoice::Best, false),
    ] {
        let options = ChannelOptions::default().with_level(choice);
        let result = open_channel(&mut card, &keys, &options, &mut OsRng);
        assert_eq!(result.is_err(), refused, "{choice:?}");
        if let Ok(session) = result {
            assert_eq!(session.level(), SecurityLevel::L03);
        }
    }
    // Two of four attempts came to EXTERNAL AUTHENTICATE.
    let attempts =
        [[0xA4, 0x50].as_slice(), &[0xA4, 0x50], &[0xA4, 0x50, 0x82], &[0xA4, 0x50, 0x82]].concat();
    assert_eq!(card.transport_mut().instructions, attempts);
}

#[test]
fn a_card_that_leaves_closes_the_session() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, false);
    let mut session = open(&mut card, &keys, SecurityLevel::L33);
    session.card().transport_mut().misdeed = Some(Misdeed::Leave);
    assert!(matches!(session.send(&echo(&[1])), Err(ScpError::Card(_))));
    assert!(matches!(session.send(&echo(&[1])), Err(ScpError::Closed)));
}

#[test]
fn a_wrong_le_is_corrected_once_under_a_new_mac_and_only_for_reading() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, false);
    let mut session = open(&mut card, &keys, SecurityLevel::L03);
    let reading = CommandApdu::new(0x80, 0xB0, 0, 0).expecting_all();
    session.card().transport_mut().misdeed = Some(Misdeed::AskForLe(4));
    assert!(session.send(&reading).unwrap().sw.is_success());
    // A command with data may have done something: it is not repeated on the word of an unprotected status.
    session.card().transport_mut().misdeed = Some(Misdeed::AskForLe(4));
    assert_eq!(session.send(&echo(&[1])).unwrap().sw.0, 0x6C04);
    assert!(session.send(&reading).unwrap().sw.is_success());
}

#[test]
fn commands_in_clear_beside_the_channel_leave_it_alone() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, false);
    let mut session = open(&mut card, &keys, SecurityLevel::L33);
    let (chain, counter) = (*session.messaging().chain(), session.messaging().counter());
    // The test card refuses them, as a domain does; the host's state is what counts here.
    let _ = session.send_clear(&CommandApdu::new(0x00, 0xB0, 0, 0));
    assert_eq!((*session.messaging().chain(), session.messaging().counter()), (chain, counter));
}

#[test]
fn long_commands_go_in_segments_in_extended_form_or_not_at_all() {
    let keys = SoftwareKeys::new(keys(16));
    for extended in [false, true] {
        let mut card = card(16, false);
        card.transport_mut().extended = extended;
        let mut session = open(&mut card, &keys, SecurityLevel::L33);
        // INSTALL chains by P1.b8; its answer comes under one R-MAC.
        let install = CommandApdu::new(0x80, 0xE6, 0x0C, 0).with_data([7; 600]).expecting_all();
        let answer = session.send(&install).unwrap();
        assert_eq!(answer.data.len(), 604, "extended: {extended}");
        // STORE DATA does not: its blocks are the caller's.
        let store = CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data([7; 240]).expecting_all();
        match session.send(&store) {
            Ok(answer) => assert!(extended && answer.data.len() == 244),
            Err(error) => {
                assert!(!extended && matches!(error, ScpError::TooLong { length: 240, max: 239 }), "{error}");
            }
        }
        // Refused before it was wrapped, so the session goes on.
        assert!(session.send(&echo(&[1])).unwrap().sw.is_success());
    }
}

#[test]
fn every_logical_channel_carries_a_session() {
    let keys = SoftwareKeys::new(keys(16));
    for number in [0, 1, 3, 4, 19] {
        let mut card = card(16, false);
        let channel = LogicalChannel::new(number).unwrap();
        let session = Session::select_on(&mut card, channel, None).unwrap();
        let session = session.initialize_update(&keys, 0x30, &mut OsRng).unwrap();
        let mut session = session.external_authenticate(SecurityLevel::L33).unwrap();
        let answer = session.send(&echo(&[1, 2, 3])).unwrap();
        assert_eq!(answer.data[4..], [1, 2, 3], "channel {number}");
    }
}

#[test]
fn what_a_command_hides_is_known_to_the_trace_at_every_level() {
    use std::sync::{Arc, Mutex};
    type Seen = Arc<Mutex<Vec<(Option<SecretKind>, Option<SecretKind>)>>>;
    struct Spy(Seen);
    impl jpkise_card::Observer for Spy {
        fn exchange(&mut self, exchange: &jpkise_card::Exchange<'_>) {
            if let Some(plain) = exchange.plain {
                self.0.lock().unwrap().push((exchange.secret, plain.secret));
            }
        }
        fn reset(&mut self, _: &[u8]) {}
    }
    let keys = SoftwareKeys::new(keys(16));
    for (level, on_the_wire) in [(SecurityLevel::L11, Some(SecretKind::Key)), (SecurityLevel::L33, None)] {
        let mut card = card(16, false);
        let seen = Seen::default();
        card.observe(Box::new(Spy(Arc::clone(&seen))));
        let mut session = open(&mut card, &keys, level);
        session.send(&echo(&[1, 2, 3]).hiding(SecretKind::Key)).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(on_the_wire, Some(SecretKind::Key))], "{level}");
    }
}

#[test]
fn keys_are_changed_proven_and_the_old_ones_removed() {
    let old = SoftwareKeys::new(keys(16));
    for length in [16, 24, 32] {
        let new = SoftwareKeys::new(StaticKeys::same(&vec![0x77; length]).unwrap());
        let mut card = card(16, false);
        let request = RotateRequest {
            domain: None,
            old: &old,
            old_kvn: 0x30,
            new: &new,
            to: Destination::add(0x31).unwrap(),
            form: KeyBlock::WithLength,
            level: LevelChoice::AtLeast(SecurityLevel::L13),
            remove: Some(0x30),
            counted: None,
        };
        let report = rotate_keys(&mut card, &request, &mut OsRng).unwrap();
        assert_eq!((report.put.kvn, report.proven.set.kvn, report.removed), (0x31, 0x31, Some(0x30)));
        assert!(report.put.compared);
        assert_eq!(report.put.weaker_dek, length > 16);
        assert_eq!(report.put.check_values, new.check_values(&report.proven.set).unwrap());
        let left: Vec<u8> = card.transport_mut().sets.iter().map(|(kvn, _)| *kvn).collect();
        assert_eq!(left, [0x31]);
    }
}

#[test]
fn keys_that_do_not_open_a_channel_leave_the_old_ones_in_place() {
    let old = SoftwareKeys::new(keys(16));
    let new = SoftwareKeys::same(&[0x77; 16]).unwrap();
    let mut card = card(16, false);
    card.transport_mut().misdeed = Some(Misdeed::StoreOtherKeys);
    let request = RotateRequest {
        domain: None,
        old: &old,
        old_kvn: 0x30,
        new: &new,
        to: Destination::add(0x31).unwrap(),
        form: KeyBlock::WithLength,
        level: LevelChoice::Best,
        remove: Some(0x30),
        counted: None,
    };
    let error = rotate_keys(&mut card, &request, &mut OsRng).unwrap_err();
    let GpError::NewKeysUnproven { kvn: 0x31, error } = error else { panic!("{error}") };
    assert!(matches!(*error, ScpError::Cryptogram(_)));
    assert_eq!(card.transport_mut().sets.len(), 2);
    assert!(!card.transport_mut().instructions.contains(&0xE4));
}

#[test]
fn faults_are_told_apart() {
    let keys = SoftwareKeys::new(keys(16));
    // With no data the answer is R-MAC and status word: bit 0 lies in the R-MAC, bit 64 in SW1.
    let set_status = CommandApdu::new(0x80, 0xF0, 0x40, 0x80);
    for (bit, fault) in [
        (0, SecurityFault::RMac),
        // 9000 becomes 9100 by bit 0 of SW1: an error status, beside which there must be no data.
        (64, SecurityFault::DataWithErrorStatus),
    ] {
        let mut card = card(16, false);
        let mut session = open(&mut card, &keys, SecurityLevel::L33);
        session.card().transport_mut().misdeed = Some(Misdeed::FlipAnswerBit(bit));
        let error = session.send(&set_status).unwrap_err();
        assert!(matches!(error, ScpError::Fault(found) if found == fault), "{error}");
    }
}

#[test]
fn failures_are_counted_on_disk_and_stopped_before_the_card_locks() {
    let directory = std::env::temp_dir().join(format!("jpkise-session-tries-{}", std::process::id()));
    let ledger = TryLedger::new(&directory, 2);
    let (right, wrong) = (SoftwareKeys::new(keys(16)), SoftwareKeys::same(&[9; 16]).unwrap());
    let mut card = card(16, false);
    let mut open = |keys: &SoftwareKeys, kvn: u8| {
        let options = ChannelOptions::default().with_kvn(kvn);
        open_channel_counted(&mut card, keys, &options, &mut OsRng, &ledger, "CARD").map(|_| ()).err()
    };
    // Refused before keys were tried: not counted.
    for _ in 0..5 {
        assert!(matches!(open(&right, 0x20), Some(GpError::Channel(ScpError::Refused(_)))));
    }
    assert!(matches!(open(&wrong, 0x30), Some(GpError::Channel(ScpError::Cryptogram(_)))));
    assert!(open(&right, 0x30).is_none());
    // Success has wiped the first failure.
    for _ in 0..2 {
        assert!(matches!(open(&wrong, 0x30), Some(GpError::Channel(ScpError::Cryptogram(_)))));
    }
    assert!(matches!(open(&right, 0x30), Some(GpError::Tries(_))));
    let sent = card.apdus();
    let options = ChannelOptions::default().with_kvn(0x30);
    open_channel_counted(&mut card, &right, &options, &mut OsRng, &ledger, "CARD").err().unwrap();
    assert_eq!(card.apdus(), sent, "nothing is sent at the limit");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn r_mac_is_switched_on_and_off_inside_a_session() {
    let keys = SoftwareKeys::new(keys(16));
    for (base, r_encryption, raised, protects) in [
        (SecurityLevel::L01, false, SecurityLevel::L11, false),
        (SecurityLevel::L03, false, SecurityLevel::L13, true),
        (SecurityLevel::L03, true, SecurityLevel::L33, false),
        (SecurityLevel::L03, true, SecurityLevel::L33, true),
    ] {
        let mut card = card(16, false);
        let mut session = open(&mut card, &keys, base);
        if protects {
            session.card().transport_mut().misdeed = Some(Misdeed::ProtectSwitching);
        }
        assert!(session.begin_r_mac(r_encryption).unwrap().sw.is_success());
        assert_eq!(session.level(), raised);
        assert_eq!(session.send(&echo(&[1, 2])).unwrap().data[4..], [1, 2]);
        assert!(session.end_r_mac().unwrap().sw.is_success());
        assert_eq!(session.level(), base);
        assert_eq!(session.send(&echo(&[3])).unwrap().data[4..], [3]);
    }
    // Levels that do not exist, or are on already, are not asked for.
    for (base, r_encryption) in
        [(SecurityLevel::L01, true), (SecurityLevel::L13, false), (SecurityLevel::L33, true)]
    {
        let mut card = card(16, false);
        let mut session = open(&mut card, &keys, base);
        assert!(session.begin_r_mac(r_encryption).is_err());
        assert!(!session.card().transport_mut().instructions.contains(&0x7A));
        assert!(session.send(&echo(&[1])).unwrap().sw.is_success());
    }
}

#[test]
fn protection_once_switched_on_cannot_be_stripped() {
    let keys = SoftwareKeys::new(keys(16));
    let mut card = card(16, false);
    let mut session = open(&mut card, &keys, SecurityLevel::L03);
    session.begin_r_mac(true).unwrap();
    session.card().transport_mut().misdeed = Some(Misdeed::FlipAnswerBit(3));
    assert!(matches!(session.send(&echo(&[1])), Err(ScpError::Fault(_))));
    assert!(session.is_closed());
}
