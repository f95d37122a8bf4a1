//! PC/SC through a real service and vsmartcard's virtual reader.
//!
//! Runs where `JPKISE_TEST_VPCD=HOST:PORT` names the port of a vpcd reader with nothing in it (`scripts/with-pcscd`);
//! skipped with a line elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jpkise_card::pcsc::{find_reader, list_readers, wait_for_card, ConnectOptions, PcscTransport};
use jpkise_card::{Transport, TransportError};

/// There is one reader for all tests.
static READER: Mutex<()> = Mutex::new(());
const ATR: [u8; 14] = [0x3B, 0x89, 0x80, 0x01, 0x4A, 0x50, 0x4B, 0x49, 0x2D, 0x54, 0x45, 0x53, 0x54, 0x41];
const LIMIT: Duration = Duration::from_secs(30);
/// A card that hangs leaves after that time; who gave it up has been told before.
const HANG: Duration = Duration::from_secs(3);

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&*stream).set_tcp_quickack(true).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&*stream).set_tcp_quickack(true).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn write_message(stream: &mut TcpStream, bytes: &[u8]) {
    let mut message = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    message.extend(bytes);
    let _ = stream.write_all(&message);
}

/// A card in the virtual reader: 00 FE hangs and leaves, 00 FF leaves at once, the rest is echoed.
fn insert(address: &str) -> JoinHandle<()> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut atr = ATR.to_vec();
    let last = atr.len() - 1;
    atr[last] = atr[1..last].iter().fold(0, |a, b| a ^ b);
    thread::spawn(move || {
        while let Some(message) = read_message(&mut stream) {
            match *message {
                [4] => write_message(&mut stream, &atr),
                [_] => {}
                [_, 0xFE, ..] => {
                    thread::sleep(HANG);
                    return;
                }
                [_, 0xFF, ..] => return,
                _ => write_message(&mut stream, &[&message[..], &[0x90, 0x00]].concat()),
            }
        }
    })
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn with_card(test: impl FnOnce(&str)) {
    let Ok(address) = std::env::var("JPKISE_TEST_VPCD") else {
        eprintln!("skipped: JPKISE_TEST_VPCD does not name a virtual reader");
        return;
    };
    let guard = READER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let readers = list_readers().unwrap();
    let name = find_reader(&readers, Some("Virtual PCD 00 00")).unwrap().name.clone();
    let card = insert(&address);
    wait_for_card(&name, LIMIT).unwrap();
    let seat = || list_readers().unwrap().into_iter().find(|r| r.name == name).unwrap();
    let inserted = seat().card_events;
    test(&name);
    // A card that was never told to leave would be waited for without end.
    until("the card was not told to leave", || card.is_finished());
    card.join().unwrap();
    // A reset that fails makes the service say at once that there is no card, but only when it looks, every 400 ms, does it
    // count: a card that takes its place before that would be taken for this one.
    until("the service does not see the card leave", || {
        let seat = seat();
        seat.card_events != inserted && !seat.has_card()
    });
    drop(guard);
}

/// Tells the card to leave. Another program's reset, heard first, comes in place of the command, which then never went out.
fn send_away(card: &mut PcscTransport) {
    let error = loop {
        match card.transmit(&[0, 0xFF, 0, 0]) {
            Err(TransportError::Reset) => {}
            Err(error) => break error,
            Ok(answer) => panic!("a card that left answers {answer:02X?}"),
        }
    };
    assert!(!matches!(error, TransportError::Timeout(_)), "{error}");
}

#[test]
fn commands_resets_and_transactions_go_through() {
    with_card(|name| {
        let mut card = PcscTransport::connect(name, ConnectOptions::default()).unwrap();
        assert_eq!(card.atr()[..ATR.len() - 1], ATR[..ATR.len() - 1]);
        assert_eq!(card.transmit(&[0, 0xB0, 0, 0]).unwrap(), [0, 0xB0, 0, 0, 0x90, 0]);
        card.begin().unwrap();
        // While one holds the transaction, another does not get in, and does not hang.
        let options =
            ConnectOptions { connect_timeout: Duration::from_millis(300), ..ConnectOptions::default() };
        let start = Instant::now();
        let other = PcscTransport::connect(name, options).and_then(|mut other| other.begin());
        assert!(other.is_err() && start.elapsed() < LIMIT, "{other:?}");
        assert_eq!(card.transmit(&[0, 0xB0, 0, 1]).unwrap().len(), 6);
        card.end().unwrap();
        assert!(card.reset().unwrap().starts_with(&[0x3B]));
        card.end().unwrap();
        send_away(&mut card);
    });
}

#[test]
fn who_is_given_up_while_waiting_does_not_reset_the_card_of_the_one_it_waited_for() {
    with_card(|name| {
        let mut card = PcscTransport::connect(name, ConnectOptions::default()).unwrap();
        card.begin().unwrap();
        let options =
            ConnectOptions { connect_timeout: Duration::from_millis(300), ..ConnectOptions::default() };
        PcscTransport::connect(name, options).and_then(|mut other| other.begin()).unwrap_err();
        card.end().unwrap();
        // The one given up gets its turn now, finds nobody who still wants it, and leaves.
        for _ in 0..20 {
            card.transmit(&[0, 0xB0, 0, 0]).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
        send_away(&mut card);
    });
}

#[test]
fn exchanges_are_quick() {
    with_card(|name| {
        let mut card = PcscTransport::connect(name, ConnectOptions::default()).unwrap();
        card.begin().unwrap();
        let start = Instant::now();
        for _ in 0..500 {
            card.transmit(&[0, 0xB0, 0, 0]).unwrap();
        }
        eprintln!("{:?} per exchange", start.elapsed() / 500);
        card.end().unwrap();
        send_away(&mut card);
    });
}

#[test]
fn a_card_that_leaves_is_an_error_and_one_that_hangs_a_timeout() {
    with_card(|name| {
        let mut card = PcscTransport::connect(name, ConnectOptions::default()).unwrap();
        let error = card.transmit(&[0, 0xFF, 0, 0]).unwrap_err();
        eprintln!("a card that left: {error}");
        assert!(!matches!(error, TransportError::Timeout(_)));
    });
    with_card(|name| {
        let limit = Duration::from_millis(200);
        let options = ConnectOptions { transmit_timeout: limit, ..ConnectOptions::default() };
        let mut card = PcscTransport::connect(name, options).unwrap();
        let start = Instant::now();
        let error = card.transmit(&[0, 0xFE, 0, 0]).unwrap_err();
        assert!(matches!(error, TransportError::Timeout(_)), "{error}");
        assert!(start.elapsed() < HANG);
        assert!(matches!(card.transmit(&[0, 0xB0, 0, 0]), Err(TransportError::Removed)));
    });
}
