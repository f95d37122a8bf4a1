//! Sessions as a state machine: random orders of good and bad commands on two channels, against a model.
//!
//! The model is the text of Amendment D in one table: what each event answers in each state, and what follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{card, exchange, send, unhex, Host, TEST_KEY};
use jpkise_card::{CommandApdu, Transport};
use jpkise_gpse::GpSe;
use jpkise_wire::scp03::StaticKeys;
use proptest::prelude::*;

/// What may happen on a channel.
#[derive(Debug, Clone, Copy)]
enum Event {
    Select,
    SelectUnknown,
    InitializeUpdate,
    InitializeUpdateOfUnknownKeys,
    /// INITIALIZE UPDATE, then EXTERNAL AUTHENTICATE at this level.
    Open(u8),
    /// The same with another key.
    OpenWrongly,
    /// EXTERNAL AUTHENTICATE of nothing in particular.
    StrayAuthenticate,
    Secured,
    SecuredError,
    BadMac,
    Clear,
    ClearGetData,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    None,
    Initialized,
    Open(u8),
    Aborted,
}

const LEVELS: [u8; 6] = [0x00, 0x01, 0x03, 0x11, 0x13, 0x33];

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Select),
        1 => Just(Event::SelectUnknown),
        1 => Just(Event::InitializeUpdate),
        1 => Just(Event::InitializeUpdateOfUnknownKeys),
        4 => prop::sample::select(LEVELS.to_vec()).prop_map(Event::Open),
        1 => Just(Event::OpenWrongly),
        1 => Just(Event::StrayAuthenticate),
        4 => Just(Event::Secured),
        2 => Just(Event::SecuredError),
        1 => Just(Event::BadMac),
        1 => Just(Event::Clear),
        1 => Just(Event::ClearGetData),
    ]
}

/// What an event must answer, and the state after it.
// A table: one row a rule, also where two rules end alike.
#[allow(clippy::match_same_arms)]
fn model(state: State, event: Event) -> (&'static str, State) {
    use State::{Aborted, Initialized, None, Open};
    // A pending INITIALIZE UPDATE is forgotten by anything but its EXTERNAL AUTHENTICATE.
    let idle = if state == Initialized { None } else { state };
    match (event, state) {
        (Event::Select, _) => ("9000", None),
        (Event::SelectUnknown, _) => ("6A82", state),
        (Event::InitializeUpdate, _) => ("9000", Initialized),
        (Event::InitializeUpdateOfUnknownKeys, _) => ("6A88", None),
        (Event::Open(level), _) => ("9000", Open(level)),
        (Event::OpenWrongly, _) => ("6982", None),
        (Event::StrayAuthenticate, Initialized) => ("6982", None),
        // It ends nothing: aborted stays aborted.
        (Event::StrayAuthenticate, None | Aborted) => ("6985", state),
        // Inside a session it is a command like others: its MAC is wrong, or at level 00 there is none to check.
        (Event::StrayAuthenticate, Open(0)) => ("6982", idle),
        (Event::StrayAuthenticate, Open(_)) => ("6982", Aborted),
        (Event::Secured, Open(_)) => ("9000", state),
        (Event::SecuredError, Open(_)) => ("6A88", state),
        (Event::Secured | Event::SecuredError, _) => ("6982", idle),
        (Event::BadMac, Open(0) | None | Initialized | Aborted) => ("6982", idle),
        (Event::BadMac, Open(_)) => ("6982", Aborted),
        (Event::Clear | Event::ClearGetData, Open(0)) => ("9000", state),
        (Event::Clear | Event::ClearGetData, Open(_)) => ("6982", Aborted),
        (Event::Clear | Event::ClearGetData, Aborted) => ("6982", Aborted),
        (Event::Clear, None | Initialized) => ("6982", None),
        (Event::ClearGetData, None | Initialized) => ("9000", None),
    }
}

fn keys(byte: Option<u8>) -> StaticKeys {
    match byte {
        Some(byte) => StaticKeys::same(&[byte; 16]).unwrap(),
        None => StaticKeys::same(&unhex(TEST_KEY)).unwrap(),
    }
}

/// Makes the event happen; the status word.
fn perform(card: &mut GpSe, host: &mut Option<Host>, channel: u8, event: Event, is_open: bool) -> String {
    let on = |command: &str| {
        let mut bytes = unhex(command);
        bytes[0] |= channel;
        hex::encode(bytes)
    };
    let last_word = |answer: String| answer[answer.len() - 4..].to_owned();
    let list = CommandApdu::parse(&unhex("80F28002024F0000")).unwrap();
    let unknown = CommandApdu::parse(&unhex("80CA00C300")).unwrap();
    match event {
        Event::Select => last_word(send(card, &on("00A4040000"))),
        Event::SelectUnknown => last_word(send(card, &on("00A4040005F000000000"))),
        Event::InitializeUpdate => last_word(send(card, &on("8050000008010203040506070800"))),
        Event::InitializeUpdateOfUnknownKeys => last_word(send(card, &on("8050110008010203040506070800"))),
        Event::Open(level) => match Host::open_on(card, &keys(None), 0, level, channel, 8) {
            Ok(opened) => {
                *host = Some(opened);
                "9000".to_owned()
            }
            Err(sw) => sw,
        },
        Event::OpenWrongly => {
            Host::open_on(card, &keys(Some(1)), 0, 0x01, channel, 8).err().unwrap_or("9000".into())
        }
        Event::StrayAuthenticate => last_word(send(card, &on("8482010010000102030405060708090A0B0C0D0E0F"))),
        Event::Secured | Event::SecuredError => {
            let command = if matches!(event, Event::Secured) { &list } else { &unknown };
            match host {
                // What was opened at level 00 wraps nothing, which would be another event.
                Some(host) if host.level() != 0 || is_open => {
                    let wrapped = host.wrap_if_secured(command);
                    exchange(card, &wrapped).sw.to_string()
                }
                _ => last_word(send(card, &on("84F280020A4F00000102030405060700"))),
            }
        }
        Event::BadMac => last_word(send(card, &on("84F280020A4F00000102030405060700"))),
        Event::Clear => last_word(send(card, &on("80F28002024F0000"))),
        Event::ClearGetData => last_word(send(card, &on("80CA006600"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_events_answers_as_the_model_says(
        script in prop::collection::vec((0u8..2, events()), 1..60),
    ) {
        let mut card = card();
        prop_assert_eq!(send(&mut card, "0070000001"), "019000");
        let mut states = [State::None; 2];
        let mut hosts = [None, None];
        for (step, (channel, event)) in script.iter().enumerate() {
            let place = usize::from(*channel);
            let (expected, next) = model(states[place], *event);
            let is_open = matches!(states[place], State::Open(_));
            let answer = perform(&mut card, &mut hosts[place], *channel, *event, is_open);
            prop_assert_eq!(&answer, expected, "step {} {:?} on {} in {:?}", step, event, channel, states[place]);
            states[place] = next;
        }
        // Whatever happened, a fresh session works.
        card.reset().unwrap();
        let mut host = Host::default(&mut card, 0x33);
        prop_assert!(host.send(&mut card, "80F28002024F0000").ends_with("9000"));
    }
}
