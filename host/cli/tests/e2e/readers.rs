//! Cards that come and go, as `jpkise readers` shows them and as a run of the lab sees them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jpkise_card::pcsc;
use serde_json::Value;

use crate::support::{finish, jpkise, ok, run, text, Reader, Sim};

const NAME: &str = "Virtual PCD 00 00";
/// What has not happened by then does not happen.
const LIMIT: Duration = Duration::from_secs(60);

/// What a card does after a command.
enum Reply {
    Answer(&'static [u8]),
    AnswerAndLeave(&'static [u8]),
    /// Nothing, ever.
    Silence,
}

/// A card made for one test, in vpcd's slot until it is pulled or leaves.
struct FakeCard {
    stream: TcpStream,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

/// The ATR of a card that is told from others by one byte.
fn atr(which: u8) -> [u8; 6] {
    [0x3B, 0x81, 0x80, 0x01, which, which]
}

fn identity(which: u8) -> String {
    hex::encode_upper(atr(which))
}

impl FakeCard {
    /// Puts it in.
    fn insert(reader: &Reader, which: u8, mut reply: impl FnMut(&[u8]) -> Reply + Send + 'static) -> Self {
        let mut stream = TcpStream::connect(reader.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        let kept = stream.try_clone().unwrap();
        let thread = thread::spawn(move || {
            let mut commands = Vec::new();
            let mut silent = false;
            while let Some(message) = receive(&mut stream) {
                if message.len() == 1 {
                    if message == [4] && !silent {
                        send(&mut stream, &atr(which));
                    }
                    continue;
                }
                let answer = reply(&message);
                commands.push(message);
                match answer {
                    Reply::Answer(answer) => send(&mut stream, answer),
                    Reply::Silence => silent = true,
                    Reply::AnswerAndLeave(answer) => {
                        send(&mut stream, answer);
                        break;
                    }
                }
            }
            let _ = stream.shutdown(Shutdown::Both);
            commands
        });
        Self { stream: kept, thread }
    }

    /// Takes it out, if it has not left by itself; the commands it got.
    fn pull(self) -> Vec<Vec<u8>> {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.thread.join().unwrap()
    }
}

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let mut message = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    message.extend(bytes);
    // A card that was pulled meanwhile answers nobody.
    let _ = stream.write_all(&message);
}

/// A command of the tests' own; nothing but them sends it.
fn is_marker(command: &[u8]) -> bool {
    command.starts_with(&[0x80, 0xEE])
}

/// Waits until the card is there; what the service has counted by then.
fn wait_for_card() -> u32 {
    ok(&mut jpkise(&["readers", "--wait", "--timeout", "30", "--reader", NAME]));
    seat().card_events
}

fn seat() -> pcsc::Reader {
    let readers = pcsc::list_readers().unwrap();
    readers.into_iter().find(|reader| reader.name == NAME).expect("the reader")
}

/// Waits until the service has seen a card leave. That none is shown does not say so: pcscd shows none as soon as a
/// program could not reset it, and takes a card that comes before its own next look for the one that left.
fn wait_until_left(counted: u32) {
    let started = Instant::now();
    while seat().card_events == counted || seat().has_card() {
        assert!(started.elapsed() < LIMIT, "the service does not see the card leave");
        thread::sleep(Duration::from_millis(20));
    }
}

/// `jpkise readers --watch`, its lines as they come.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(arguments: &[&str]) -> Self {
        let mut child = jpkise(&[&["readers", "--watch"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("no further event")
    }

    fn event(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    fn interrupt(mut self) -> ExitStatus {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let status = end(&mut self.child);
        assert_eq!(self.lines.try_iter().count(), 0, "something happened behind the last event");
        status
    }
}

fn end(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("readers --watch does not end");
}

#[test]
fn a_watch_shows_cards_put_in_and_taken_out_in_their_order() {
    let Some(reader) = Reader::take() else { return };
    let watch = Watch::start(&["--json", "--reader", NAME]);
    let there = watch.event();
    assert_eq!((&there["event"], &there["reader"]), (&"reader-attached".into(), &NAME.into()));
    assert_eq!(there["initial"], true);
    let mut before = 0.0;
    for _ in 0..2 {
        let sim = Sim::spawn(reader.address(), &[]);
        let inserted = watch.event();
        assert_eq!(inserted["event"], "card-inserted", "{inserted}");
        assert!(inserted["atr"].as_str().unwrap().starts_with("3B"), "{inserted}");
        assert_eq!((&inserted["reader"], &inserted["initial"]), (&NAME.into(), &Value::Null));
        sim.interrupt();
        let removed = watch.event();
        assert_eq!(removed["event"], "card-removed", "{removed}");
        for event in [inserted, removed] {
            let seconds = event["seconds"].as_f64().unwrap();
            assert!(seconds >= before && event["time"].as_str().unwrap().ends_with('Z'), "{event}");
            before = seconds;
        }
    }
    assert!(watch.interrupt().success());
}

#[test]
fn a_watch_speaks_to_people_and_begins_with_what_is_there() {
    let Some(reader) = Reader::take() else { return };
    let card = FakeCard::insert(&reader, b'A', |_| Reply::Answer(&[0x6D, 0]));
    wait_for_card();
    let english = Watch::start(&["--reader", "virtual pcd 00 00"]);
    let japanese = Watch::start(&["--lang", "ja", "--reader", NAME]);
    let there = format!("{NAME}  card, ATR {}", identity(b'A'));
    assert!(english.line().ends_with(&format!("{NAME}  reader")) && english.line().ends_with(&there));
    assert!(japanese.line().contains("リーダー") && japanese.line().contains("カードあり"));
    card.pull();
    assert!(english.line().ends_with(&format!("{NAME}  card removed")));
    assert!(japanese.line().ends_with("カードが抜かれました"));
    assert!(english.interrupt().success() && japanese.interrupt().success());
    // Who reads no further is no failure, as everywhere.
    let mut child =
        jpkise(&["readers", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("PCD"), "{first}");
    let card = FakeCard::insert(&reader, b'A', |_| Reply::Answer(&[0x6D, 0]));
    assert!(end(&mut child).success());
    card.pull();
    Reader::wait_until_empty();
}

#[test]
fn a_card_is_waited_for_and_what_is_missing_is_said() {
    let Some(reader) = Reader::take() else { return };
    for (arguments, missing) in [
        (&["--reader", NAME][..], "no card in"),
        (&[], "no card in any reader"),
        (&["--reader", "no such reader"], "no such reader"),
    ] {
        let output = run(&mut jpkise(&[&["readers", "--wait", "--timeout", "0"], arguments].concat()));
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains(missing), "{}", text(&output));
    }
    let mut stopped = jpkise(&["readers", "--wait", "--timeout", "0"]);
    let stopped = run(stopped.env("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm"));
    assert_eq!(stopped.status.code(), Some(3), "{}", text(&stopped));
    for wrong in [&["readers", "--timeout", "1"][..], &["readers", "--watch", "--wait"]] {
        assert_eq!(run(&mut jpkise(wrong)).status.code(), Some(2), "{wrong:?}");
    }
    let waiting = jpkise(&["readers", "--wait", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let card = FakeCard::insert(&reader, b'A', |_| Reply::Answer(&[0x6D, 0]));
    let found = finish(waiting, "readers --wait");
    assert!(found.status.success(), "{}", text(&found));
    let listed: Value = serde_json::from_slice(&found.stdout).unwrap();
    let with_card: Vec<_> =
        listed["readers"].as_array().unwrap().iter().filter(|r| r["card"] == true).collect();
    assert!(with_card.len() == 1 && with_card[0]["atr"] == identity(b'A').as_str(), "{listed}");
    card.pull();
    Reader::wait_until_empty();
}

/// Three cases that send the marker, which changes the card or not.
fn suite(directory: &Path, changes: &str) -> String {
    let case = |id: &str| {
        format!(
            "[[case]]\nid = \"{id}\"\nname = \"{id}\"\nreason = \"made for this test\"\n\
             changes = \"{changes}\"\nsteps = [{{ apdu = \"80EE0000\" }}]\n"
        )
    };
    let text = format!(
        "suite = \"pulled\"\ntitle = \"A card that is pulled\"\n{}",
        ["one", "two", "three"].map(case).concat()
    );
    let path = directory.join("pulled.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// An exchange that waits for its time limit is a hang.
fn lab(directory: &Path, suite: &str, more: &[&str]) -> Child {
    let mut command = jpkise(&["lab", "run", suite, "--reader", NAME, "--timeout", "3600", "--out"]);
    let command = command.arg(directory).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The only target of the run's report.
fn target(directory: &Path) -> Value {
    let report = fs::read(directory.join("report.json")).unwrap();
    let mut report: Value = serde_json::from_slice(&report).unwrap();
    report["targets"][0].take()
}

/// The first of these events from there on, and its time.
fn position(events: &[Value], what: &str) -> usize {
    let found = events.iter().position(|event| event[1].as_str().is_some_and(|text| text.starts_with(what)));
    found.unwrap_or_else(|| panic!("no {what:?} in {events:?}"))
}

#[test]
fn a_card_pulled_in_the_middle_of_an_exchange_ends_it_at_once_and_the_report_says_so() {
    let Some(reader) = Reader::take() else { return };
    let directory = tempfile::tempdir().unwrap();
    let suite = suite(directory.path(), "nothing");
    let (silent, fell_silent): (Sender<()>, _) = channel();
    let mut markers = 0;
    let card = FakeCard::insert(&reader, b'A', move |command| {
        if !is_marker(command) {
            return Reply::Answer(&[0x6A, 0x82]);
        }
        markers += 1;
        if markers == 1 {
            return Reply::Answer(&[0x90, 0x00]);
        }
        silent.send(()).unwrap();
        Reply::Silence
    });
    let counted = wait_for_card();
    let started = Instant::now();
    let child = lab(directory.path(), &suite, &[]);
    fell_silent.recv_timeout(LIMIT).expect("the second case does not begin");
    let first = card.pull();
    assert_eq!(first.iter().filter(|command| is_marker(command)).count(), 2);
    wait_until_left(counted);
    let card = FakeCard::insert(&reader, b'A', |command| {
        Reply::Answer(if is_marker(command) { &[0x90, 0x00] } else { &[0x6A, 0x82] })
    });
    let output = finish(child, "lab run with the card pulled");
    eprintln!("a run with a card pulled and put back: {:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));

    let target = target(directory.path());
    let verdicts: Vec<_> = target["cases"].as_array().unwrap().iter().map(|c| c["verdict"].clone()).collect();
    assert_eq!(verdicts[0], "passed", "{target:#}");
    assert!(verdicts[1] == "broken" || verdicts[1] == "failed", "{target:#}");
    assert_eq!(verdicts[2], "passed", "the run goes on with the card that came back: {target:#}");
    assert!(target["cases"][1].to_string().contains("removed"), "{}", target["cases"][1]);
    let events = target["events"].as_array().unwrap();
    assert!(position(events, "card lost") < position(events, "card back"), "{events:?}");
    assert!(position(events, "card removed") < position(events, "card inserted"), "{events:?}");
    card.pull();
    Reader::wait_until_empty();
}

/// A run whose card leaves behind the first of three cases that change it, and `second` comes in its place: exit status,
/// the target's report, what the second card was sent.
fn swapped(reader: &Reader, second: u8) -> (Option<i32>, Value, Vec<Vec<u8>>) {
    let directory = tempfile::tempdir().unwrap();
    let suite = suite(directory.path(), "content");
    let card = FakeCard::insert(reader, b'A', |command| {
        if is_marker(command) {
            Reply::AnswerAndLeave(&[0x90, 0x00])
        } else {
            Reply::Answer(&[0x6A, 0x82])
        }
    });
    let counted = wait_for_card();
    let child = lab(directory.path(), &suite, &["--destructive", &identity(b'A')]);
    let first = card.thread.join().unwrap();
    assert_eq!(first.iter().filter(|command| is_marker(command)).count(), 1);
    wait_until_left(counted);
    let next = FakeCard::insert(reader, second, |command| {
        Reply::Answer(if is_marker(command) { &[0x90, 0x00] } else { &[0x6A, 0x82] })
    });
    let output = finish(child, "lab run with the card swapped");
    let seen = next.pull();
    Reader::wait_until_empty();
    let target = target(directory.path());
    assert_eq!(target["cases"][0]["verdict"], "passed", "{}\n{target:#}", text(&output));
    let events = target["events"].as_array().unwrap();
    assert!(position(events, "card removed") < position(events, "card inserted"), "{events:?}");
    assert!(position(events, "card lost") < position(events, "card back"), "{events:?}");
    (output.status.code(), target, seen)
}

#[test]
fn another_card_in_the_place_of_the_named_one_is_sent_nothing_that_changes_it() {
    let Some(reader) = Reader::take() else { return };
    let (status, target, seen) = swapped(&reader, b'B');
    assert!(!seen.is_empty() && !seen.iter().any(|command| is_marker(command)), "{seen:02X?}");
    assert_eq!(status, Some(5));
    let cases = target["cases"].as_array().unwrap();
    assert_eq!(cases[1]["verdict"], "broken", "{target:#}");
    let why = cases[1]["why"].as_str().unwrap();
    assert!(why.contains(&identity(b'A')) && why.contains(&identity(b'B')), "{why}");
    assert_eq!(cases[2]["skip"], "card-gone", "{target:#}");
}

#[test]
fn a_card_taken_out_and_put_back_between_two_cases_is_the_fault_of_neither() {
    let Some(reader) = Reader::take() else { return };
    let (status, target, seen) = swapped(&reader, b'A');
    assert_eq!(status, Some(0), "{target:#}");
    assert!(target["cases"].as_array().unwrap().iter().all(|case| case["verdict"] == "passed"), "{target:#}");
    assert_eq!(seen.iter().filter(|command| is_marker(command)).count(), 2);
}
