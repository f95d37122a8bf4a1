//! Readers and cards under watch, through a real service: a pcscd of this test's own, with a reader that a file controls
//! (`driver/ifd.c`), so that readers can be unplugged and the service stopped without disturbing anybody.
//!
//! Runs where `scripts/with-pcscd` does as root (or where no other pcscd of a test runs); skipped with a line elsewhere.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jpkise_card::pcsc::{
    list_readers, wait_for_card, Change, ConnectOptions, PcscTransport, ReaderEvent, Watcher,
};
use jpkise_card::{Transport, TransportError};

const NAME: &str = "Test Reader 00 00";
/// An event that has not come by then does not come.
const LIMIT: Duration = Duration::from_secs(30);
/// What nothing here may take: the time limit of an exchange.
const EXCHANGE: Duration = Duration::from_secs(180);

/// The directory of this test: the driver, the reader's state, the link to the socket.
struct Bench {
    directory: PathBuf,
    service: Option<Service>,
}

struct Service {
    child: Child,
    // Its end ends the service.
    _stdin: ChildStdin,
}

/// There is one reader for all tests, and pcscd's client library looks for its socket once a process.
fn bench() -> Option<MutexGuard<'static, Bench>> {
    static BENCH: OnceLock<Option<Mutex<Bench>>> = OnceLock::new();
    let bench = BENCH.get_or_init(|| Bench::new().map(Mutex::new)).as_ref()?;
    let mut bench = bench.lock().unwrap_or_else(PoisonError::into_inner);
    // A service that starts takes no reader that does not work, and looks for none later.
    bench.stop();
    bench.card("0");
    bench.start();
    assert!(list_readers().unwrap().iter().any(|reader| reader.name == NAME));
    Some(bench)
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LIMIT, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Bench {
    fn new() -> Option<Self> {
        let outer = std::env::var("PCSCLITE_CSOCK_NAME").unwrap_or_default();
        if !outer.starts_with("/proc/") {
            eprintln!("skipped: readers under watch need scripts/with-pcscd, as root");
            return None;
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watcher");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver/ifd.c");
        let driver = directory.join("ifd.so");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&driver).arg(source).status().unwrap();
        assert!(built.success());
        let state = directory.join("state");
        let entry = format!(
            "FRIENDLYNAME \"Test Reader\"\nDEVICENAME {}\nLIBPATH {}\nCHANNELID 1\n",
            state.display(),
            driver.display()
        );
        fs::write(directory.join("reader.conf"), entry).unwrap();
        std::env::set_var("PCSCLITE_CSOCK_NAME", directory.join("socket"));
        Some(Self { directory, service: None })
    }

    /// What the reader is like from now on; see the driver.
    fn card(&self, state: &str) {
        let next = self.directory.join("next");
        fs::write(&next, state).unwrap();
        fs::rename(next, self.directory.join("state")).unwrap();
    }

    fn start(&mut self) {
        if self.service.is_some() {
            return;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/with-pcscd");
        let mut child = Command::new(script)
            .args(["sh", "-c", "echo \"$PCSCLITE_CSOCK_NAME\"; cat"])
            .env("JPKISE_TEST_READERS", self.directory.join("reader.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut socket = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut socket).unwrap();
        assert!(socket.starts_with("/proc/"), "no service: {socket}");
        let (link, next) = (self.directory.join("socket"), self.directory.join("next"));
        symlink(socket.trim(), &next).unwrap();
        fs::rename(next, link).unwrap();
        let stdin = child.stdin.take().unwrap();
        self.service = Some(Service { child, _stdin: stdin });
    }

    fn stop(&mut self) {
        let Some(Service { mut child, _stdin: stdin }) = self.service.take() else { return };
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

/// The watcher's next event about this reader or the service.
fn next(watcher: &Watcher) -> ReaderEvent {
    let started = Instant::now();
    while let Some(event) = watcher.next_within(LIMIT.saturating_sub(started.elapsed())) {
        if event.change.reader().is_none_or(|reader| reader == NAME) {
            return event;
        }
    }
    panic!("nothing happened within {LIMIT:?}");
}

/// As it is told: what has happened, and the card.
fn told(event: &ReaderEvent) -> String {
    let card = match &event.change {
        Change::CardInserted { atr, .. } => format!(" {}", char::from(*atr.last().unwrap())),
        _ => String::new(),
    };
    format!("{}{}{card}", if event.initial { "initial " } else { "" }, event.change.id())
}

#[test]
fn cards_and_readers_that_come_and_go_are_told_in_their_order() {
    let Some(bench) = bench() else { return };
    bench.card("A");
    wait_for_card(NAME, LIMIT).unwrap();
    let watcher = Watcher::start();
    assert_eq!(told(&next(&watcher)), "initial reader-attached");
    assert_eq!(told(&next(&watcher)), "initial card-inserted A");
    for (state, events) in [
        ("0", &["card-removed"][..]),
        ("B", &["card-inserted B"]),
        ("0", &["card-removed"]),
        ("m", &["card-mute"]),
        ("0", &["card-removed"]),
        ("A", &["card-inserted A"]),
        ("x", &["reader-gone"]),
        ("B", &["reader-attached", "card-inserted B"]),
        ("x", &["reader-gone"]),
        ("0", &["reader-attached"]),
    ] {
        bench.card(state);
        let clock = Instant::now();
        for event in events {
            assert_eq!(told(&next(&watcher)), *event, "state {state}");
            eprintln!("{event} after {:?}", clock.elapsed());
        }
    }
    assert_eq!(watcher.pending().count(), 0);
}

#[test]
fn a_service_that_ends_and_comes_back_is_told_with_what_is_there_then() {
    let Some(mut bench) = bench() else { return };
    bench.card("A");
    wait_for_card(NAME, LIMIT).unwrap();
    let watcher = Watcher::start();
    assert_eq!(told(&next(&watcher)), "initial reader-attached");
    assert_eq!(told(&next(&watcher)), "initial card-inserted A");
    bench.stop();
    assert_eq!(told(&next(&watcher)), "service-gone");
    // A watch may begin while there is no service.
    let second = Watcher::start();
    assert_eq!(told(&next(&second)), "initial service-gone");
    assert!(matches!(wait_for_card(NAME, Duration::ZERO), Err(TransportError::NoService)));
    bench.start();
    for watcher in [&watcher, &second] {
        for event in ["service-back", "reader-attached", "card-inserted A"] {
            assert_eq!(told(&next(watcher)), event);
        }
    }
}

#[test]
fn a_card_is_waited_for_through_readers_and_services_that_are_not_there() {
    let Some(mut bench) = bench() else { return };
    bench.stop();
    let waiting = thread::spawn(|| wait_for_card(NAME, LIMIT));
    let missing = || wait_for_card(NAME, Duration::ZERO).unwrap_err();
    assert!(matches!(missing(), TransportError::NoService));
    bench.start();
    assert!(matches!(missing(), TransportError::NoCard(_)));
    bench.card("x");
    wait("the reader is there", || matches!(missing(), TransportError::NoReader(_)));
    bench.card("0");
    wait("the reader is gone", || matches!(missing(), TransportError::NoCard(_)));
    assert!(!waiting.is_finished());
    bench.card("B");
    assert_eq!(waiting.join().unwrap().unwrap().last(), Some(&b'B'));
}

#[test]
fn a_card_swapped_between_two_commands_is_neither_sent_to_nor_reset() {
    let Some(bench) = bench() else { return };
    for second in ["A", "B"] {
        bench.card("A");
        wait_for_card(NAME, LIMIT).unwrap();
        let watcher = Watcher::start();
        assert_eq!(told(&next(&watcher)), "initial reader-attached");
        assert_eq!(told(&next(&watcher)), "initial card-inserted A");
        let mut card = PcscTransport::connect(NAME, ConnectOptions::default()).unwrap();
        let mut other = PcscTransport::connect(NAME, ConnectOptions::default()).unwrap();
        assert_eq!(card.transmit(&[0, 0xB0, 0, 0]).unwrap(), [0x90, 0]);
        assert_eq!(card.reset().unwrap().last(), Some(&b'A'));
        assert_eq!(card.transmit(&[0, 0xB0, 0, 0]).unwrap(), [0x90, 0]);
        for (state, event) in [("0", "card-removed".to_owned()), (second, format!("card-inserted {second}"))]
        {
            bench.card(state);
            assert_eq!(told(&next(&watcher)), event);
        }
        // A reset by the program that has the new card hides the removal from the others.
        let mut new = PcscTransport::connect(NAME, ConnectOptions::default()).unwrap();
        assert!(matches!(other.transmit(&[0, 0xB0, 0, 0]), Err(TransportError::Removed)));
        new.reset().unwrap();
        for _ in 0..2 {
            assert!(matches!(card.transmit(&[0, 0xB0, 0, 0]), Err(TransportError::Removed)));
            assert!(matches!(card.reset(), Err(TransportError::Removed)));
        }
        assert!(matches!(other.reset(), Err(TransportError::Removed)));
        assert_eq!(new.transmit(&[0, 0xB0, 0, 0]).unwrap(), [0x90, 0]);
        drop((card, other, new));
        bench.card("0");
        assert_eq!(told(&next(&watcher)), "card-removed");
    }
}

#[test]
fn an_exchange_that_waits_for_another_program_ends_when_card_or_reader_is_pulled() {
    let Some(bench) = bench() else { return };
    for pulled in ["0", "x"] {
        bench.card("A");
        wait_for_card(NAME, LIMIT).unwrap();
        let mut holder = PcscTransport::connect(NAME, ConnectOptions::default()).unwrap();
        let options = ConnectOptions { transmit_timeout: EXCHANGE, ..ConnectOptions::default() };
        let mut waiting = PcscTransport::connect(NAME, options).unwrap();
        holder.begin().unwrap();
        let (started, under_way) = std::sync::mpsc::channel();
        let exchange = thread::spawn(move || {
            started.send(()).unwrap();
            let clock = Instant::now();
            (waiting.transmit(&[0, 0xB0, 0, 0]), clock.elapsed())
        });
        under_way.recv().unwrap();
        bench.card(pulled);
        let (answer, took) = exchange.join().unwrap();
        assert!(matches!(answer, Err(TransportError::Removed)), "{pulled}: {answer:?}");
        assert!(took < EXCHANGE / 2, "{pulled}: {took:?}");
        eprintln!("{pulled}: an exchange that waited ended after {took:?}");
        assert!(matches!(holder.transmit(&[0, 0xB0, 0, 0]), Err(TransportError::Removed)));
        drop(holder);
        bench.card("0");
        wait("the reader does not come back", || wait_for_card(NAME, Duration::ZERO).is_err());
    }
}

#[test]
fn a_watch_ends_when_it_is_dropped() {
    let Some(mut bench) = bench() else { return };
    for with_service in [true, false] {
        if !with_service {
            bench.stop();
        }
        for _ in 0..5 {
            let watcher = Watcher::start();
            next(&watcher);
            let clock = Instant::now();
            drop(watcher);
            eprintln!("service {with_service}: the watch ended after {:?}", clock.elapsed());
        }
        let threads = || {
            let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
            tasks
                .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|n| n == "pcsc-watch\n"))
                .count()
        };
        wait("a watch goes on", || threads() == 0);
    }
}
