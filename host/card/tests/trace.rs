//! The trace holds everything but secrets, and survives what happens to files.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use jpkise_card::trace::{
    render, CommandText, Record, Recorder, StartRecord, TraceReadError, TraceReader, Watcher,
};
use jpkise_card::{Card, CommandApdu, PlainCommand, SecretKind, Transport, TransportError};

struct Echo;

impl Transport for Echo {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        match command[1] {
            0xFF => Err(TransportError::Removed),
            0x20 => Ok(vec![0x63, 0xC2]),
            _ => Ok(vec![0xCA, 0xFE, 0x90, 0x00]),
        }
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(vec![0x3B, 0x00])
    }
    fn atr(&self) -> &[u8] {
        &[0x3B, 0x00]
    }
    fn name(&self) -> &'static str {
        "echo"
    }
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn session(card: &mut Card<Echo>) {
    card.send(&CommandApdu::new(0, 0xA4, 4, 0).with_data([0xA0, 0, 0, 1, 0x51]).expecting_all()).unwrap();
    card.send(&CommandApdu::new(0, 0x20, 0, 0x80).with_data(*b"1234").hiding(SecretKind::Pin)).unwrap();
    // Nobody marked this one: the instruction alone gives it away.
    card.send(&CommandApdu::new(0, 0x24, 1, 0x80).with_data(*b"5678")).unwrap();
    let plain =
        PlainCommand { header: [0x80, 0xD8, 0, 0x81], data_length: 70, secret: Some(SecretKind::Key) };
    card.send_secured(&CommandApdu::new(0x84, 0xD8, 0, 0x81).with_data([0x11; 88]), Some(plain)).unwrap();
    card.reset().unwrap();
    card.send(&CommandApdu::new(0, 0xFF, 0, 0)).unwrap_err();
}

fn record() -> String {
    let memory = Memory::default();
    let (recorder, handle) = Recorder::new(memory.clone(), StartRecord::new("echo", &[0x3B, 0x00], None));
    let mut card = Card::new(Echo);
    card.observe(Box::new(recorder));
    session(&mut card);
    assert_eq!(handle.close().unwrap().exchanges, 5);
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn lines_read_back_and_name_what_they_hide() {
    let text = record();
    let records: Vec<Record> = TraceReader::new(Cursor::new(&text)).map(Result::unwrap).collect();
    assert_eq!(records.len(), 7);
    let exchanges: Vec<_> = records
        .iter()
        .filter_map(|r| match r {
            Record::Exchange(e) => Some(e),
            _ => None,
        })
        .collect();
    let hidden = |secret: &str| CommandText::Hidden { secret: secret.to_owned() };
    assert_eq!(exchanges[0].command, CommandText::Bytes("00A4040005A00000015100".to_owned()));
    assert_eq!((exchanges[0].name.as_str(), exchanges[0].sw.as_deref()), ("SELECT", Some("9000")));
    assert_eq!((&exchanges[1].command, exchanges[1].sw.as_deref()), (&hidden("pin"), Some("63C2")));
    assert_eq!(exchanges[2].command, hidden("reference-data"));
    // The wire bytes of a secured command stay, under the name of the command they secure.
    assert_eq!(exchanges[3].name, "PUT KEY");
    assert!(matches!(&exchanges[3].command, CommandText::Bytes(b) if b.starts_with("84D8008158")));
    let plain = exchanges[3].plain.as_ref().unwrap();
    assert_eq!((plain.header.as_str(), plain.length, plain.secret.as_deref()), ("80D80081", 70, Some("key")));
    assert_eq!((&exchanges[4].response, &exchanges[4].sw), (&None, &None));
    assert!(matches!(&records[5], Record::Reset { reset, .. } if reset == "3B00"));
}

#[test]
fn no_secret_is_written_in_any_form() {
    let text = record();
    let readable: String = TraceReader::new(Cursor::new(&text)).map(|r| render(&r.unwrap())).collect();
    let watched = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&watched);
    let mut card = Card::new(Echo);
    card.observe(Box::new(Watcher::new(move |text: &str| seen.lock().unwrap().push_str(text))));
    session(&mut card);
    for output in [text, readable, watched.lock().unwrap().clone()] {
        for pin in ["1234", "5678"] {
            assert!(!output.contains(pin) && !output.contains(&hex::encode(pin)), "{output}");
        }
        assert!(output.contains("VERIFY"));
    }
}

#[test]
fn the_readable_form_says_what_a_status_word_means() {
    let text = record();
    let readable: Vec<String> = TraceReader::new(Cursor::new(&text)).map(|r| render(&r.unwrap())).collect();
    assert!(readable[0].contains("ATR 3B00"));
    assert!(readable[1].contains("> 00A40400 05A00000015100"), "{}", readable[1]);
    assert!(readable[1].contains("< CAFE 9000 success"), "{}", readable[1]);
    assert!(readable[2].contains("> 00200080 <pin>"));
    assert!(readable[4].contains("[secured, before 80D80081 with 70 bytes: key]"));
    assert!(readable[6].contains("no answer"));
}

#[test]
fn a_full_disk_is_reported_at_the_end_and_stops_nothing() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (recorder, handle) = Recorder::new(Full(300), StartRecord::new("echo", &[], None));
    let mut card = Card::new(Echo);
    card.observe(Box::new(recorder));
    session(&mut card);
    assert_eq!(handle.close().unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    let read = |text: &str| TraceReader::new(Cursor::new(text.to_owned())).last().unwrap();
    assert!(matches!(read("{}"), Err(TraceReadError::Line { line: 1, .. })));
    assert!(matches!(read("\n\nnonsense"), Err(TraceReadError::Line { line: 3, .. })));
    let other = r#"{"format":"another","reader":"","atr":""}"#;
    assert!(matches!(read(other), Err(TraceReadError::Format)));
}

#[cfg(unix)]
#[test]
fn a_trace_file_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("jpkise-trace-{}", std::process::id()));
    let file = jpkise_card::trace::create_file(&path).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn commands_of_another_program_are_recorded_without_what_they_hide() {
    let memory = Memory::default();
    let mut card = Card::new(Echo);
    let (recorder, handle) = Recorder::new(memory.clone(), StartRecord::new("echo", &[0x3B], None));
    card.observe(Box::new(recorder));
    let cases: [(&[u8], Option<&str>); 7] = [
        (b"\x00\xB0\x00\x00\x00", None),
        (b"\x00\x20\x00\x80", None),
        (b"\x00\x20\x00\x80\x041234", Some("reference-data")),
        (b"\x00\x20\x00\x80\x041234\x00", Some("reference-data")),
        // C-MAC alone enciphers nothing.
        (b"\x84\x24\x01\x80\x0C1234MMMMMMMM", Some("reference-data")),
        (b"\x00\x20\x00\x80\x081234", Some("malformed")),
        (b"\x00\x20", Some("malformed")),
    ];
    for (bytes, _) in cases {
        // What the card answers passes as it is.
        assert!(card.served().transmit(bytes).unwrap().len() >= 2);
    }
    card.served().reset().unwrap();
    assert_eq!(card.apdus(), 7);
    assert_eq!(handle.close().unwrap().exchanges, 7);
    let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    assert!(!written.contains("31323334"), "{written}");
    let records: Vec<_> = TraceReader::new(Cursor::new(written)).map(Result::unwrap).collect();
    for (record, (bytes, secret)) in records[1..].iter().zip(cases) {
        let Record::Exchange(exchange) = record else { panic!("{record:?}") };
        let expected = match secret {
            Some(secret) => CommandText::Hidden { secret: secret.to_owned() },
            None => CommandText::Bytes(hex::encode_upper(bytes)),
        };
        assert_eq!(exchange.command, expected);
    }
    assert!(matches!(records[8], Record::Reset { .. }));
}

#[test]
fn a_file_that_is_no_trace_is_refused_at_its_first_line_however_long() {
    /// A line that does not end; the reader would run out of memory before it did.
    struct Endless(usize);
    impl io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += buffer.len();
            assert!(self.0 < 1 << 24, "read on and on");
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    let mut reader = TraceReader::new(io::BufReader::new(Endless(0)));
    assert!(matches!(reader.next(), Some(Err(TraceReadError::Line { line: 1, .. }))));
    let mut reader = TraceReader::new(Cursor::new([0xFF, 0xFE, b'\n']));
    assert!(matches!(reader.next(), Some(Err(TraceReadError::Line { line: 1, .. }))));
}
