//! BEGIN and END R-MAC SESSION.

use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::IParameter;

use crate::common::{send, Host};
use crate::support::{card_with_applets, install, issuer, select, test_keys, ONE};

const BEGIN: &str = "807A100100";
const BEGIN_WITH_ENC: &str = "807A300100";
const END: &str = "8078000300";
const LIST: &str = "80F28002024F0000";

fn card_with_i(i: u8) -> GpSe {
    let profile = Profile::default().with_i(IParameter::new(i).unwrap());
    GpSe::in_memory(profile, Box::new(NoApplets)).unwrap()
}

#[test]
fn answers_are_protected_from_the_next_command_on_and_until_the_end() {
    for (opened, begin, inside) in
        [(0x01, BEGIN, 0x11), (0x03, BEGIN, 0x13), (0x03, BEGIN_WITH_ENC, 0x33), (0x13, BEGIN_WITH_ENC, 0x33)]
    {
        let mut card = crate::common::card();
        let mut host = issuer(&mut card, opened);
        for _ in 0..2 {
            // Host::unwrap checks the R-MAC of the level it is told, and reads the answer in clear below it.
            assert_eq!(host.send(&mut card, begin), "9000", "{opened:02X}");
            host.set_level(inside);
            for _ in 0..2 {
                assert!(host.send(&mut card, LIST).ends_with("9000"));
                assert_eq!(host.send(&mut card, "80CA00C300"), "6A88", "an error leaves bare");
            }
            assert_eq!(host.send(&mut card, END), "9000", "with the R-MAC that it ends");
            host.set_level(opened);
            let answer = host.send(&mut card, LIST);
            assert!(answer.starts_with("E31D") && answer.ends_with("9000"), "{answer}");
        }
    }
}

#[test]
fn what_is_not_in_this_state_is_refused_and_the_session_goes_on() {
    let cases: [(u8, u8, &[(&str, &str)]); 8] = [
        (0x70, 0x00, &[(BEGIN, "6985"), (BEGIN_WITH_ENC, "6985"), (END, "6985")]),
        (0x70, 0x01, &[(BEGIN_WITH_ENC, "6985"), (END, "6985")]),
        (0x70, 0x11, &[(BEGIN, "6985"), (BEGIN_WITH_ENC, "6985"), (END, "6985")]),
        (0x70, 0x13, &[(BEGIN, "6985"), (END, "6985")]),
        (0x70, 0x33, &[(BEGIN, "6985"), (BEGIN_WITH_ENC, "6985"), (END, "6985")]),
        (0x00, 0x03, &[(BEGIN, "6985"), (BEGIN_WITH_ENC, "6985")]),
        (0x30, 0x03, &[(BEGIN_WITH_ENC, "6985"), (BEGIN, "9000")]),
        (
            0x70,
            0x03,
            &[
                ("807A000100", "6A86"),
                ("807A200100", "6A86"),
                ("807A100000", "6A86"),
                ("8078000100", "6A86"),
                ("8078010300", "6A86"),
                ("80780003010000", "6A80"),
                ("807A100102020000", "6A80"),
                ("807A10010201AA00", "9000"),
            ],
        ),
    ];
    for (i, level, commands) in cases {
        let mut card = card_with_i(i);
        let mut host = issuer(&mut card, level);
        for (command, sw) in commands {
            let answer = host.send(&mut card, command);
            // The last of a list may have begun one.
            assert_eq!(answer, *sw, "i {i:02X} level {level:02X}: {command}");
            if answer == "9000" {
                host.set_level(level | 0x10);
            }
            assert!(host.send(&mut card, LIST).ends_with("9000"), "i {i:02X} level {level:02X}: {command}");
        }
    }
    let mut card = crate::common::card();
    assert_eq!(send(&mut card, BEGIN), "6985", "no session");
    assert_eq!(send(&mut card, "847A100108000000000000000000"), "6982");
}

#[test]
fn a_wrong_mac_on_either_command_aborts_the_session() {
    for ins in ["7A1001", "780003"] {
        let mut card = crate::common::card();
        let mut host = issuer(&mut card, 0x03);
        assert_eq!(host.send(&mut card, BEGIN), "9000");
        host.set_level(0x13);
        assert_eq!(send(&mut card, &format!("84{ins}08010203040506070800")), "6982");
        assert_eq!(host.send(&mut card, LIST), "6982");
        assert_eq!(send(&mut card, &format!("80{ins}00")), "6982", "aborted is not ended");
    }
}

#[test]
fn an_applet_begins_and_ends_it_through_its_secure_channel_on_any_logical_channel() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install(&mut host, &mut card, ONE, "00", "");
    for number in 1..4u8 {
        assert_eq!(send(&mut card, "0070000001"), format!("0{number}9000"));
        assert_eq!(send(&mut card, &format!("0{number}A4040C09{ONE}")), "9000");
        let mut host = Host::open_on(&mut card, &test_keys(), 0, 0x03, number, 8).unwrap();
        assert_eq!(host.send(&mut card, "8030000002ABCD00"), "ABCD9000");
        assert_eq!(host.send(&mut card, BEGIN_WITH_ENC), "9000");
        host.set_level(0x33);
        assert_eq!(host.send(&mut card, "8030000002ABCD00"), "ABCD9000");
        assert_eq!(host.send(&mut card, END), "9000");
        host.set_level(0x03);
        assert_eq!(host.send(&mut card, "8030000002ABCD00"), "ABCD9000");
        assert_eq!(send(&mut card, &format!("0070800{number}")), "9000");
        assert_eq!(send(&mut card, "0070000001"), format!("0{number}9000"));
    }
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "847A100100"), "6985", "nothing open");
}
