//! What Android's compatibility test suite requires of OMAPI, on any secure element that has its applets: the fake one of
//! the service's own tests, and the simulated GP-SE.

use jpkise_card::Transport;
use jpkise_gp::ara::DeviceApp;
use jpkise_omapi::ace::App;
use jpkise_omapi::{OmapiError, Reader};

/// Opens, answers everything.
pub const SELECTABLE: &str = "a000000476416e64726f696443545331";
/// Opens with an answer longer than one APDU.
pub const LONG_SELECT: &str = "a000000476416e64726f696443545332";
/// Is not on the card.
pub const NON_SELECTABLE: &str = "a000000476416e64726f6964435453ff";

/// The app that every rule lets in.
pub const MINE: DeviceApp = DeviceApp::Sha256([0x11; 32]);

pub fn app(hash: DeviceApp) -> App {
    App { package: "jp.example.app".into(), hashes: vec![hash], privileged: false }
}

pub fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text).unwrap()
}

/// All of them.
pub fn all<T: Transport>(reader: &Reader<T>) {
    aids_that_must_and_must_not_open(reader);
    p2_variants(reader);
    what_every_app_is_refused(reader);
    response_lengths(reader);
    warnings(reader);
    select_next(reader);
}

fn aids_that_must_and_must_not_open<T: Transport>(reader: &Reader<T>) {
    let session = reader.open_session(app(MINE));
    let channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    assert!(channel.is_open() && !channel.is_basic_channel());
    assert!(channel.select_response().unwrap().ends_with(&[0x90, 0x00]));
    drop(channel);

    let long = session.open_logical_channel(Some(&bytes(LONG_SELECT)), 0).unwrap().unwrap();
    let response = long.select_response().unwrap();
    let (fci, rest) = jpkise_wire::tlv::Tlv::read(response).unwrap();
    assert_eq!((fci.raw.len() > 600, rest), (true, &[0x90, 0x00][..]));
    drop(long);

    let error = session.open_logical_channel(Some(&bytes(NON_SELECTABLE)), 0).err().unwrap();
    assert_eq!(error.exception(), "java.util.NoSuchElementException");
    for (length, good) in [(4, false), (5, true), (16, true), (17, false)] {
        let result = session.open_logical_channel(Some(&vec![0xA5; length]), 0);
        let error = result.err().unwrap();
        let expected =
            if good { "java.util.NoSuchElementException" } else { "java.lang.IllegalArgumentException" };
        assert_eq!(error.exception(), expected, "{length}");
    }
}

fn p2_variants<T: Transport>(reader: &Reader<T>) {
    let session = reader.open_session(app(MINE));
    for p2 in 0..=u8::MAX {
        let result = session.open_logical_channel(Some(&bytes(SELECTABLE)), p2);
        if [0x00, 0x04, 0x08, 0x0C].contains(&p2) {
            let mut channel = result.unwrap().unwrap();
            assert_eq!(channel.transmit(&bytes("00f4000000")).unwrap(), [p2, 0x90, 0x00]);
        } else {
            assert!(matches!(result, Err(OmapiError::P2(refused)) if refused == p2));
        }
    }
}

fn what_every_app_is_refused<T: Transport>(reader: &Reader<T>) {
    let session = reader.open_session(app(MINE));
    let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    for (command, exception) in [
        ("00700000", "java.lang.SecurityException"),
        ("00708000", "java.lang.SecurityException"),
        ("00a40404104a535231373754657374657220312e30", "java.lang.SecurityException"),
        ("00a4040005a000000001", "java.lang.SecurityException"),
        ("ff060000", "java.lang.IllegalArgumentException"),
        ("00600000", "java.lang.IllegalArgumentException"),
        ("80900000", "java.lang.IllegalArgumentException"),
        ("000600", "java.lang.IllegalArgumentException"),
        ("000a000002aa", "java.lang.IllegalArgumentException"),
    ] {
        let error = channel.transmit(&bytes(command)).unwrap_err();
        assert_eq!(error.exception(), exception, "{command}");
    }
    // Not MANAGE CHANNEL and not SELECT by name: another class, another P1.
    for command in ["80060000", "a0060000", "94060000", "00a40200", "80a40400"] {
        assert_eq!(channel.transmit(&bytes(command)).unwrap(), [0x90, 0x00], "{command}");
    }
}

fn response_lengths<T: Transport>(reader: &Reader<T>) {
    let session = reader.open_session(app(MINE));
    let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    for class in ["00", "80", "a0", "94"] {
        for (command, length) in [("060000", 0), ("0a000001aa", 0), ("08000000", 256), ("0c000001aa00", 256)]
        {
            let answer = channel.transmit(&bytes(&format!("{class}{command}"))).unwrap();
            assert_eq!(
                (answer.len() - 2, &answer[length..]),
                (length, &[0x90, 0x00][..]),
                "{class}{command}"
            );
        }
    }
    // In pieces that the platform puts together: of 255 bytes, of 64, with and without data.
    for (command, length) in [
        ("00c2080000", 0x0800),
        ("00c4080002123400", 0x0800),
        ("00c6080000", 0x0800),
        ("00c2000100", 1),
        ("00c200ff00", 0xFF),
        ("00c2010000", 0x0100),
        ("00c2010100", 0x0101),
        ("00c27fff00", 0x7FFF),
        ("00cf080000", 0x0800),
        ("94c2080000", 0x0800),
    ] {
        let answer = channel.transmit(&bytes(command)).unwrap();
        assert_eq!((answer.len() - 2, &answer[length..]), (length, &[0x90, 0x00][..]), "{command}");
        assert!(answer[..length].iter().all(|byte| *byte == 0x11), "{command}");
    }
}

fn warnings<T: Transport>(reader: &Reader<T>) {
    let session = reader.open_session(app(MINE));
    let mut channel = session.open_logical_channel(Some(&bytes(SELECTABLE)), 0).unwrap().unwrap();
    for (p1, sw) in [(0, 0x6200u16), (1, 0x6281), (2, 0x63F1), (3, 0x63C2)] {
        let answer = channel.transmit(&[0x00, 0xF3, p1, 0x0C, 0x01, 0xAA, 0x00]).unwrap();
        assert_eq!(answer, [&[0xAA][..], &sw.to_be_bytes()].concat());
        let answer = channel.transmit(&[0x00, 0xF3, p1, 0x08, 0x00]).unwrap();
        assert_eq!(answer, [&[0x22; 3][..], &sw.to_be_bytes()].concat());
        assert_eq!(channel.transmit(&[0x00, 0xF3, p1, 0x06]).unwrap(), sw.to_be_bytes());
    }
}

fn select_next<T: Transport>(reader: &Reader<T>) {
    let session = reader.open_session(app(MINE));
    // Ten bytes of the AID: both applets, and nothing else, begin with them.
    let mut channel = session.open_logical_channel(Some(&bytes(&SELECTABLE[..20])), 0).unwrap().unwrap();
    let first = channel.select_response().unwrap().to_vec();
    assert!(channel.select_next().unwrap());
    let second = channel.select_response().unwrap().to_vec();
    assert_ne!(first, second);
    assert!(!channel.select_next().unwrap());
    assert_eq!(channel.select_response().unwrap(), second);
    let mut without = session.open_logical_channel(None, 0).unwrap().unwrap();
    assert!(matches!(without.select_next(), Err(OmapiError::NoAid)));
}
