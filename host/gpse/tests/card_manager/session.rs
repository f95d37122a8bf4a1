//! INITIALIZE UPDATE, EXTERNAL AUTHENTICATE and secure messaging.

use jpkise_card::Transport;
use jpkise_gpse::profile::key_version;
use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::{IParameter, SequenceCounter, StaticKeys};

use crate::common::{card, send, status, Host};
use crate::support::{card_with_applets, install, issuer, select, test_keys, ONE};

#[test]
fn initialize_update_checks_version_parameters_and_challenge_length() {
    let mut card = card();
    let challenge = "0102030405060708";
    for (command, sw) in [
        (format!("80500000 08{challenge}00"), "9000"),
        (format!("80503000 08{challenge}00"), "9000"),
        (format!("80503100 08{challenge}00"), "6A88"),
        (format!("80508000 08{challenge}00"), "6A86"),
        (format!("80500001 08{challenge}00"), "6A86"),
        ("80500000 0701020304050607 00".into(), "6700"),
        (format!("80500000 10{challenge}{challenge}00"), "6700"),
        ("80500000".into(), "6700"),
    ] {
        assert_eq!(status(&mut card, &command), sw, "{command}");
    }
    let answer = send(&mut card, &format!("8050000008{challenge}00"));
    assert_eq!(&answer[20..26], "300370");
    // Two sessions were opened above; each takes a number, which C1 shows.
    assert_eq!(&answer[answer.len() - 10..], "0000039000");
    assert_eq!(send(&mut card, "80CA00C100"), "C1030000039000");
}

#[test]
fn an_exhausted_sequence_counter_opens_no_more_sessions() {
    let last = SequenceCounter::from_bytes([0xFF, 0xFF, 0xFF]);
    let profile = Profile::default().with_sequence_counter(last);
    let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
    assert_eq!(send(&mut card, "8050000008010203040506070800"), "6985");
    assert_eq!(send(&mut card, "80CA00C100"), "C103FFFFFF9000");
}

#[test]
fn external_authenticate_refuses_levels_that_i_does_not_offer() {
    for (i, offered) in [
        (0x00u8, &[0x00u8, 0x01, 0x03][..]),
        (0x10, &[0x00, 0x01, 0x03]),
        (0x20, &[0x00, 0x01, 0x03, 0x11, 0x13]),
        (0x30, &[0x00, 0x01, 0x03, 0x11, 0x13]),
        (0x60, &[0x00, 0x01, 0x03, 0x11, 0x13, 0x33]),
        (0x70, &[0x00, 0x01, 0x03, 0x11, 0x13, 0x33]),
        (0x71, &[0x00, 0x01, 0x03, 0x11, 0x13, 0x33]),
    ] {
        for level in
            [0x00u8, 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13, 0x20, 0x23, 0x30, 0x31, 0x33, 0x80, 0xFF]
        {
            let profile = Profile::default().with_i(IParameter::new(i).unwrap());
            let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
            let size = if i & 1 == 0 { 8 } else { 16 };
            let opened = Host::open_on(&mut card, &test_keys(), 0, level, 0, size);
            if offered.contains(&level) {
                let mut host = opened.unwrap_or_else(|sw| panic!("i {i:02X} level {level:02X}: {sw}"));
                let answer = host.send(&mut card, "80F28002024F0000");
                assert!(answer.ends_with("9000"), "i {i:02X} level {level:02X}");
            } else {
                assert_eq!(opened.err().as_deref(), Some("6A86"), "i {i:02X} level {level:02X}");
            }
        }
    }
}

#[test]
fn all_key_lengths_open_all_levels() {
    for length in [16, 24, 32] {
        for i in [0x60, 0x70, 0x61, 0x71] {
            let key: Vec<u8> = (0..length).collect();
            let profile = Profile::default()
                .with_keys(key_version(0x01, &key, &key, &key).unwrap())
                .with_i(IParameter::new(i).unwrap());
            let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
            let size = if i & 1 == 0 { 8 } else { 16 };
            for level in [0x01, 0x03, 0x11, 0x13, 0x33] {
                let keys = StaticKeys::same(&key).unwrap();
                let mut host = Host::open_on(&mut card, &keys, 0, level, 0, size).unwrap();
                for _ in 0..3 {
                    assert!(host.send(&mut card, "80F28002024F0000").ends_with("9000"));
                    assert!(host.send(&mut card, "80CA006600").ends_with("9000"));
                    assert_eq!(
                        host.send(&mut card, "80CA00C300"),
                        "6A88",
                        "an error leaves the session open"
                    );
                }
            }
        }
    }
}

#[test]
fn a_session_ends_with_selection_reset_and_initialize_update() {
    let mut card = card();
    let list = "80F28002024F0000";
    let mut host = issuer(&mut card, 0x01);
    assert!(host.send(&mut card, list).ends_with("9000"));
    send(&mut card, "00A4040000");
    assert_eq!(host.send(&mut card, list), "6982");
    let mut host = Host::default(&mut card, 0x01);
    send(&mut card, "8050000008010203040506070800");
    assert_eq!(host.send(&mut card, list), "6982");
    let mut host = Host::default(&mut card, 0x01);
    card.reset().unwrap();
    assert_eq!(host.send(&mut card, list), "6982");
    // A SELECT that finds nothing changes nothing.
    let mut host = Host::default(&mut card, 0x01);
    assert_eq!(send(&mut card, "00A4040005F000000000"), "6A82");
    assert!(host.send(&mut card, list).ends_with("9000"));
    // EXTERNAL AUTHENTICATE must follow directly.
    send(&mut card, "8050000008010203040506070800");
    send(&mut card, "80CA006600");
    assert_eq!(send(&mut card, "8482010010000102030405060708090A0B0C0D0E0F"), "6985");
}

#[test]
fn sessions_on_different_channels_do_not_disturb_each_other() {
    let mut card = card();
    assert_eq!(send(&mut card, "0070000001"), "019000");
    let mut zero = Host::default(&mut card, 0x33);
    let mut one = Host::open_on(&mut card, &test_keys(), 0, 0x13, 1, 8).unwrap();
    for _ in 0..3 {
        assert!(zero.send(&mut card, "80F28002024F0000").ends_with("9000"));
        assert!(one.send(&mut card, "80F28002024F0000").ends_with("9000"));
    }
    assert_eq!(send(&mut card, "01708001"), "9000");
    assert_eq!(send(&mut card, "00708001"), "6200");
    assert_eq!(send(&mut card, "0170000001"), "6881");
    assert!(zero.send(&mut card, "80F28002024F0000").ends_with("9000"));
}

#[test]
fn an_applet_s_secure_channel_follows_the_card_api() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install(&mut host, &mut card, ONE, "00", "");
    select(&mut card, ONE);
    // Nothing open: level none, wrap and unwrap do nothing, decryptData refuses.
    assert_eq!(send(&mut card, "8034000000"), "009000");
    assert_eq!(send(&mut card, "8030000002ABCD00"), "ABCD9000");
    assert_eq!(send(&mut card, "8438000010000102030405060708090A0B0C0D0E0F"), "6985");
    let mut host = Host::default(&mut card, 0x33);
    assert_eq!(send(&mut card, "8034000000"), "B39000");
    assert_eq!(host.send(&mut card, "8030000002ABCD00"), "ABCD9000");
    // In clear: passed on unchanged, the chain does not move; answered under R-MAC all the same.
    assert!(send(&mut card, "8030000002ABCD00").len() > 8);
    assert_eq!(host.send(&mut card, "8030000002ABCD00"), "ABCD9000");
    // A wrong MAC aborts; unwrap and wrap then refuse with 6985 until the session is ended.
    assert_eq!(send(&mut card, "84300000080000000000000000"), "6982");
    assert_eq!(send(&mut card, "8034000000"), "009000");
    assert_eq!(host.send(&mut card, "8030000002ABCD00"), "6985");
    assert_eq!(send(&mut card, "8030000002ABCD00"), "6985");
    assert_eq!(send(&mut card, "80360000"), "9000");
    assert_eq!(send(&mut card, "8030000002ABCD00"), "ABCD9000");
}
