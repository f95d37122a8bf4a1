//! The card side of vpcd, against a reader played by the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{card, unhex};
use jpkise_card::{Transport, TransportError};
use jpkise_gpse::vpcd::{serve, End, Event, Options, VpcdError};

/// Writes length and body apart, as vpcd does.
fn write(stream: &mut TcpStream, body: &[u8]) {
    stream.write_all(&u16::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut body).unwrap();
    body
}

fn exchange(stream: &mut TcpStream, body: &str) -> String {
    write(stream, &unhex(body));
    hex::encode_upper(read(stream))
}

fn reader() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, Options { address, patience: Duration::from_secs(5), reconnect: false, leave_after: None })
}

#[test]
fn a_reader_gets_atr_and_answers() {
    let (listener, options) = reader();
    let mut card = card();
    let atr = hex::encode_upper(card.atr());
    thread::scope(|scope| {
        let served = scope.spawn(move || {
            let (mut events, stop) = (Vec::new(), AtomicBool::new(false));
            let end = serve(&options, &mut card, &stop, &mut |event| events.push(format!("{event:?}")));
            (end, events)
        });
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(exchange(&mut stream, "04"), atr);
        write(&mut stream, &[1]);
        assert_eq!(exchange(&mut stream, "04"), atr);
        assert_eq!(exchange(&mut stream, "00A4040000"), "6F108408A000000151000000A5049F6501FF9000");
        // Two bytes are a command, and no good one.
        assert_eq!(exchange(&mut stream, "00A4"), "6700");
        write(&mut stream, &[2]);
        write(&mut stream, &[9]);
        write(&mut stream, &[0]);
        assert_eq!(exchange(&mut stream, "80CA006600"), "6631732F06072A864886FC6B01600C060A2A864886FC6B02020301630906072A864886FC6B03640B06092A864886FC6B0403709000");
        drop(stream);
        let (end, events) = served.join().unwrap();
        assert_eq!(end.unwrap(), End::ReaderClosed);
        let kinds: Vec<&str> = events.iter().map(|e| e.split([' ', '{']).next().unwrap()).collect();
        let expected =
            ["Connected", "Reset", "Exchange", "Exchange", "Reset", "PoweredOff", "Exchange", "Disconnected"];
        assert_eq!(kinds, expected);
    });
}

#[test]
fn a_card_leaves_behind_the_answer_it_was_told_to_leave_after_and_counts_over_connections() {
    let (listener, mut options) = reader();
    options.reconnect = true;
    options.leave_after = std::num::NonZeroU64::new(3);
    let mut card = card();
    thread::scope(|scope| {
        let served =
            scope.spawn(|| serve(&options, &mut card, &AtomicBool::new(false), &mut |_: Event<'_>| {}));
        let (mut stream, _) = listener.accept().unwrap();
        assert!(exchange(&mut stream, "04").starts_with("3B"), "what is no command does not count");
        assert!(exchange(&mut stream, "00A4040000").ends_with("9000"));
        drop(stream);
        let (mut stream, _) = listener.accept().unwrap();
        assert!(exchange(&mut stream, "80CA006600").ends_with("9000"));
        assert!(exchange(&mut stream, "80CA006600").ends_with("9000"), "the last answer arrives");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and then nobody is there");
        assert_eq!(served.join().unwrap().unwrap(), End::Left);
    });
}

#[test]
fn a_card_that_is_taken_for_the_one_before_goes_out_and_comes_in_again_once() {
    let (listener, options) = reader();
    let mut card = card();
    thread::scope(|scope| {
        let served = scope.spawn(|| {
            let mut overlooked = 0;
            let end = serve(&options, &mut card, &AtomicBool::new(false), &mut |event| {
                overlooked += usize::from(event == Event::Overlooked);
            });
            (end, overlooked)
        });
        let asked = |stream: &mut TcpStream, times: usize| {
            (0..times)
                .take_while(|_| {
                    thread::sleep(Duration::from_millis(50));
                    let mut length = [0; 2];
                    let asked =
                        stream.write_all(&[0, 1, 4]).is_ok() && stream.read_exact(&mut length).is_ok();
                    asked && stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))]).is_ok()
                })
                .count()
        };
        // pcscd that believes the card before still there asks for the ATR and no more.
        let (mut stream, _) = listener.accept().unwrap();
        let left = asked(&mut stream, 1000);
        assert!(left < 1000, "the card stays where nobody sees it");
        drop(stream);
        // A service that never powers a card before it is used sees it twice, and no more.
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(asked(&mut stream, left * 2), left * 2);
        drop(stream);
        let (end, overlooked) = served.join().unwrap();
        assert_eq!((end.unwrap(), overlooked), (End::ReaderClosed, 1));
    });
}

#[test]
fn the_stop_flag_ends_it_while_a_program_keeps_sending() {
    let (listener, options) = reader();
    let stop = AtomicBool::new(false);
    let mut card = card();
    thread::scope(|scope| {
        let served = scope.spawn(|| serve(&options, &mut card, &stop, &mut |_: Event<'_>| {}));
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..10 {
            exchange(&mut stream, "00A4040000");
        }
        stop.store(true, Ordering::Relaxed);
        // The command under way is answered; the reader's next one is not waited for.
        let sent = (0..1000)
            .take_while(|_| stream.write_all(&[0, 1, 4]).is_ok() && stream.read_exact(&mut [0; 22]).is_ok());
        assert!(sent.count() < 1000);
        assert_eq!(served.join().unwrap().unwrap(), End::Stopped);
    });
}

#[test]
fn the_stop_flag_ends_it_and_a_lost_reader_is_waited_for() {
    let (listener, mut options) = reader();
    options.reconnect = true;
    let stop = AtomicBool::new(false);
    let mut card = card();
    thread::scope(|scope| {
        let served = scope.spawn(|| serve(&options, &mut card, &stop, &mut |_: Event<'_>| {}));
        let (mut stream, _) = listener.accept().unwrap();
        assert!(exchange(&mut stream, "04").starts_with("3B"));
        drop(stream);
        let (mut stream, _) = listener.accept().unwrap();
        assert!(exchange(&mut stream, "04").starts_with("3B"));
        // In the middle of a message, too.
        stream.write_all(&[0]).unwrap();
        stop.store(true, Ordering::Relaxed);
        let started = Instant::now();
        assert_eq!(served.join().unwrap().unwrap(), End::Stopped);
        assert!(started.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn no_reader_is_an_error_that_names_the_address() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let options = Options { address: address.clone(), patience: Duration::ZERO, ..Options::default() };
    let error = serve(&options, &mut card(), &AtomicBool::new(false), &mut |_: Event<'_>| {}).unwrap_err();
    assert!(matches!(error, VpcdError::Unreachable { .. }));
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn a_card_that_fails_ends_the_service() {
    struct Dead;
    impl Transport for Dead {
        fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, TransportError> {
            Err(TransportError::ProcessEnded("killed".into()))
        }
        fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
            Ok(vec![0x3B])
        }
        fn atr(&self) -> &[u8] {
            &[0x3B]
        }
        fn name(&self) -> &'static str {
            "dead"
        }
    }
    let (listener, options) = reader();
    let served =
        thread::spawn(move || serve(&options, &mut Dead, &AtomicBool::new(false), &mut |_: Event<'_>| {}));
    let (mut stream, _) = listener.accept().unwrap();
    write(&mut stream, &unhex("00A4040000"));
    assert!(matches!(served.join().unwrap(), Err(VpcdError::Card(TransportError::ProcessEnded(_)))));
}

#[test]
fn a_reader_that_takes_the_connection_and_says_nothing_is_told() {
    let (listener, options) = reader();
    let stop = AtomicBool::new(false);
    let mut card = card();
    let mut events = Vec::new();
    thread::scope(|scope| {
        let served = scope.spawn(|| {
            serve(&options, &mut card, &stop, &mut |event| {
                events.push(format!("{event:?}"));
                stop.store(event == Event::Ignored, Ordering::Relaxed);
            })
        });
        let (_stream, _) = listener.accept().unwrap();
        assert_eq!(served.join().unwrap().unwrap(), End::Stopped);
    });
    assert_eq!(events, ["Connected", "Ignored", "Disconnected"]);
}
