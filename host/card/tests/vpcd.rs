//! The virtual reader against a card played by a thread.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jpkise_card::vpcd::{VpcdListener, VpcdTransport};
use jpkise_card::{Card, CommandApdu, Transport, TransportError};

const LIMIT: Duration = Duration::from_secs(5);
const ATR: [u8; 3] = [0x3B, 0x01, 0x14];

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn write_message(stream: &mut TcpStream, bytes: &[u8]) {
    // Length and body apart, as some cards do.
    stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
}

/// Serves until the reader hangs up; returns the control bytes it heard.
fn card(address: SocketAddr, answer: fn(&[u8], &mut TcpStream) -> bool) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut controls = Vec::new();
        while let Some(message) = read_message(&mut stream) {
            match *message {
                [4] => write_message(&mut stream, &ATR),
                [control] => controls.push(control),
                _ => {
                    if !answer(&message, &mut stream) {
                        break;
                    }
                }
            }
        }
        controls
    })
}

fn connected(
    limit: Duration,
    answer: fn(&[u8], &mut TcpStream) -> bool,
) -> (VpcdTransport, JoinHandle<Vec<u8>>) {
    let listener = VpcdListener::bind("127.0.0.1:0").unwrap();
    let card = card(listener.address().unwrap(), answer);
    (listener.accept(LIMIT, limit).unwrap(), card)
}

fn echo(message: &[u8], stream: &mut TcpStream) -> bool {
    write_message(stream, &[message, &[0x90, 0x00]].concat());
    true
}

#[test]
fn a_card_is_powered_asked_reset_and_powered_off() {
    let (transport, thread) = connected(LIMIT, echo);
    assert_eq!(transport.atr(), ATR);
    let mut card = Card::new(transport);
    let answer = card.send(&CommandApdu::new(0, 0xA4, 4, 0).with_data([1, 2, 3, 4, 5])).unwrap();
    assert_eq!(answer.data, [0, 0xA4, 4, 0, 5, 1, 2, 3, 4, 5]);
    assert_eq!(card.reset().unwrap(), ATR);
    drop(card);
    assert_eq!(thread.join().unwrap(), [1, 0, 1, 2, 0]);
}

#[test]
fn many_commands_do_not_wait_for_delayed_acknowledgements() {
    let (mut transport, thread) = connected(LIMIT, echo);
    let start = Instant::now();
    for _ in 0..200 {
        transport.transmit(&[0, 0xB0, 0, 0]).unwrap();
    }
    // Delayed acknowledgements would take 40 ms each.
    assert!(start.elapsed() < 200 * Duration::from_millis(40), "{:?}", start.elapsed());
    drop(transport);
    thread.join().unwrap();
}

#[test]
fn a_card_that_leaves_is_removed_and_one_that_is_silent_times_out() {
    let (mut transport, thread) = connected(LIMIT, |_, _| false);
    assert!(matches!(transport.transmit(&[0, 0xA4, 4, 0]), Err(TransportError::Removed)));
    thread.join().unwrap();

    let limit = Duration::from_millis(500);
    let (mut transport, thread) = connected(limit, |_, _| true);
    assert!(matches!(transport.transmit(&[0, 0xA4, 4, 0]), Err(TransportError::Timeout(l)) if l == limit));
    // A late answer must not be taken for that to another command.
    assert!(matches!(transport.transmit(&[0, 0xA4, 4, 0]), Err(TransportError::Removed)));
    drop(transport);
    thread.join().unwrap();
}

#[test]
fn malformed_answers_and_commands_are_errors() {
    let (mut transport, thread) = connected(LIMIT, |_, stream| {
        write_message(stream, &[0x90]);
        true
    });
    assert!(matches!(transport.transmit(&[4]), Err(TransportError::Malformed(1))));
    assert!(matches!(transport.transmit(&[0, 0xA4, 4, 0]), Err(TransportError::Malformed(1))));
    drop(transport);
    thread.join().unwrap();
}

#[test]
fn a_reader_without_card_says_so_in_time() {
    let listener = VpcdListener::bind("127.0.0.1:0").unwrap();
    let result = listener.accept(Duration::from_millis(30), LIMIT);
    assert!(matches!(result.err(), Some(TransportError::NoCard(_))));
}
