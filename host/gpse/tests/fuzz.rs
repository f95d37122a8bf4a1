//! Whatever bytes arrive, the card answers a status word, does not panic, and is still there afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::stub::Stub;
use common::{case4, lv, send, unhex, Host};
use jpkise_card::{CommandApdu, Transport};
use jpkise_gpse::store::{MemoryStore, Records, Store, StoreError};
use jpkise_gpse::{GpSe, NoApplets, Profile};
use proptest::prelude::*;

const ONE: &str = "F04A504B4900000001";

fn card_with_an_applet() -> GpSe {
    let mut profile = Profile::default().seeded(3);
    // Guessed cryptograms must not end the run.
    profile.authentication_tries = None;
    let mut card = GpSe::in_memory(profile, Box::new(Stub::default())).unwrap();
    let mut host = Host::default(&mut card, 0x01);
    let fields = lv(&[common::stub::PACKAGE, common::stub::MODULE, ONE, "00", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60C00", &fields)), "009000");
    card
}

/// Bytes near to commands: known classes and instructions, any parameters, data that is often TLV or LV.
fn near_commands() -> impl Strategy<Value = Vec<u8>> {
    let classes = prop::sample::select(vec![
        0x00u8, 0x01, 0x04, 0x0C, 0x10, 0x80, 0x81, 0x83, 0x84, 0x85, 0x90, 0xC0, 0xE0, 0xFF,
    ]);
    let instructions = prop::sample::select(vec![
        0x50u8, 0x82, 0xA4, 0xCA, 0xD8, 0xE2, 0xE4, 0xE6, 0xE8, 0xF0, 0xF2, 0x70, 0xC0, 0x78, 0x7A, 0x30,
        0x34, 0x36, 0x38,
    ]);
    let parameters = prop_oneof![
        prop::sample::select(vec![
            0x00u8, 0x01, 0x02, 0x04, 0x08, 0x0C, 0x10, 0x20, 0x40, 0x80, 0x81, 0x88, 0x90
        ]),
        any::<u8>()
    ];
    let tlv = (
        prop::sample::select(vec![0x4Fu8, 0x5C, 0xC9, 0xD0, 0xD2, 0x88, 0x42, 0x45, 0x66, 0x00, 0x09]),
        prop::collection::vec(any::<u8>(), 0..20),
    )
        .prop_map(|(tag, value)| [&[tag, u8::try_from(value.len()).unwrap()], &value[..]].concat());
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(tlv, 0..6).prop_map(|objects| objects.concat()),
        Just(unhex(&lv(&["", "", ONE, "", "", ""]))),
        Just(unhex(ONE)),
    ];
    (classes, instructions, parameters.clone(), parameters, data, any::<bool>()).prop_map(
        |(cla, ins, p1, p2, data, with_le)| {
            let command = CommandApdu::new(cla, ins, p1, p2).with_data(data);
            let command = if with_le { command.expecting_all() } else { command };
            command.to_bytes().unwrap().to_vec()
        },
    )
}

/// Answers two bytes at least, and the last are a status word a card may give.
fn check(answer: &[u8], command: &[u8]) {
    assert!(answer.len() >= 2, "{}", hex::encode(command));
    let sw1 = answer[answer.len() - 2];
    // The stub throws P1 P2, whatever they are.
    let thrown = command.get(2..4) == Some(answer);
    assert!(
        thrown || matches!(sw1, 0x61..=0x6F | 0x90..=0x9F),
        "{} -> {}",
        hex::encode(command),
        hex::encode(answer)
    );
}

/// The issuer's domain can still be reached and opened, whatever was sent before.
fn is_alive(card: &mut GpSe) {
    card.reset().unwrap();
    let answer = send(card, "00A4040000");
    if answer == "6985" {
        return; // terminated: someone held a session and sent 80 F0 80 FF
    }
    assert!(answer.ends_with("9000") || answer.ends_with("6283"), "{answer}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_a_status_word(commands in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20)) {
        let mut card = card_with_an_applet();
        for command in &commands {
            check(&card.transmit(command).unwrap(), command);
        }
        is_alive(&mut card);
    }

    #[test]
    fn strangers_change_nothing(commands in prop::collection::vec(near_commands(), 1..40)) {
        let mut card = card_with_an_applet();
        let before = snapshot(&mut card);
        for command in &commands {
            check(&card.transmit(command).unwrap(), command);
        }
        card.reset().unwrap();
        prop_assert_eq!(snapshot(&mut card), before);
    }

    #[test]
    fn even_who_holds_the_keys_cannot_break_the_card(
        level in prop::sample::select(vec![0x00u8, 0x01, 0x03, 0x13, 0x33]),
        commands in prop::collection::vec(near_commands(), 1..40),
    ) {
        let mut card = card_with_an_applet();
        send(&mut card, "00A4040000");
        let mut host = Host::default(&mut card, level);
        for command in &commands {
            let Ok(plain) = CommandApdu::parse(command) else { continue };
            // Channel, class and selection are the business of the other tests: here the session stays open.
            if matches!(plain.ins, 0x50 | 0xA4 | 0x70) || plain.p1 & 0x80 != 0 && plain.ins == 0xF0 && plain.p2 == 0xFF {
                continue;
            }
            let plain = with_class(&plain, 0x80);
            let wrapped = if level == 0 { plain } else { host.wrap(&plain) };
            let bytes = wrapped.to_bytes().unwrap();
            check(&card.transmit(&bytes).unwrap(), &bytes);
        }
        is_alive(&mut card);
    }

    #[test]
    fn a_damaged_memory_is_an_error_and_no_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut records = stored();
        let names: Vec<Vec<u8>> = records.keys().cloned().collect();
        let name = &names[at.index(names.len())];
        let value = records.get_mut(name).unwrap();
        let place = at.index(value.len());
        if cut { value.truncate(place) } else { value[place] = byte }
        if let Ok(mut card) = GpSe::new(Profile::default(), Box::new(Fixed(records)), Box::new(NoApplets)) {
            send(&mut card, "00A4040000");
            send(&mut card, "80CA00E000");
            send(&mut card, "8050000008010203040506070800");
        }
    }
}

fn with_class(command: &CommandApdu, cla: u8) -> CommandApdu {
    let mut changed =
        CommandApdu::new(cla, command.ins, command.p1, command.p2).with_data(command.data().to_vec());
    if let Some(expected) = command.expected() {
        changed = changed.expecting(expected);
    }
    changed
}

/// Registry and keys as a host sees them.
fn snapshot(card: &mut GpSe) -> Vec<String> {
    send(card, "00A4040000");
    let keys = send(card, "80CA00E000");
    let mut host = Host::default(card, 0x01);
    let mut lists: Vec<String> = ["80F28002024F0000", "80F24002024F0000", "80F21002024F0000"]
        .iter()
        .map(|command| host.send(card, command))
        .collect();
    lists.push(keys);
    lists.push(send(card, "00A4040000"));
    card.reset().unwrap();
    lists
}

/// A memory that is what it is.
struct Fixed(Records);

impl Store for Fixed {
    fn records(&self) -> Result<Records, StoreError> {
        Ok(self.0.clone())
    }
    fn commit(&mut self, _: &[jpkise_gpse::store::Change<'_>]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn stored() -> Records {
    use std::sync::{Arc, Mutex};
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<MemoryStore>>);
    impl Store for Shared {
        fn records(&self) -> Result<Records, StoreError> {
            self.0.lock().unwrap().records()
        }
        fn commit(&mut self, changes: &[jpkise_gpse::store::Change<'_>]) -> Result<(), StoreError> {
            self.0.lock().unwrap().commit(changes)
        }
    }
    let store = Shared::default();
    GpSe::new(Profile::default(), Box::new(store.clone()), Box::new(Stub::default())).unwrap();
    store.records().unwrap()
}
