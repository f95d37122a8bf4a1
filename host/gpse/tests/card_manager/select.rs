//! SELECT by name, MANAGE CHANNEL, classes and instructions.

use jpkise_card::Transport;

use crate::common::{card, case4, send, status};
use crate::support::{aid_object, card_with_applets, install, issuer, ONE, TWO};

#[test]
fn select_finds_the_issuer_by_full_partial_and_empty_name() {
    let mut card = card();
    let fci = "6F108408A000000151000000A5049F6501FF9000";
    for command in ["00A4040000", "00A404000800A0000001510000", "00A4040008A000000151000000"] {
        let expected = if command.contains("0800A0") { "6A82" } else { fci };
        assert_eq!(send(&mut card, command), expected, "{command}");
    }
    assert_eq!(send(&mut card, "00A40400"), fci, "case 1");
    assert_eq!(send(&mut card, "00A4040007A000000151000000"), fci, "prefix with Le");
    assert_eq!(send(&mut card, "00A4040C05A000000151"), "9000", "no FCI wanted");
    assert_eq!(send(&mut card, "00A4040206A0000001510000"), "6A82", "no next occurrence");
    for (p2, sw) in [("01", "6A86"), ("03", "6A86"), ("04", "6A86"), ("10", "6A86")] {
        assert_eq!(status(&mut card, &format!("00A404{p2}00")), sw);
    }
    assert_eq!(status(&mut card, "04A4040000"), "6882");
    assert_eq!(status(&mut card, "10A4040000"), "6884");
    assert_eq!(status(&mut card, "00A4020C020001"), "6D00", "a domain has no files");
}

#[test]
fn next_occurrence_walks_through_all_names_with_the_prefix() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    for aid in [ONE, TWO, "F04A504B4900000003"] {
        assert_eq!(install(&mut host, &mut card, aid, "00", ""), "009000");
    }
    let prefix = "F04A504B49";
    let names: Vec<String> = ["00", "02", "02", "02"]
        .iter()
        .map(|p2| send(&mut card, &format!("00A404{p2}05{prefix}00")))
        .collect();
    assert_eq!(
        names,
        [format!("{ONE}9000"), format!("{TWO}9000"), "F04A504B49000000039000".into(), "6A82".into()]
    );
    // A full name is not taken for a prefix of a longer one.
    assert_eq!(send(&mut card, &format!("00A4040009{TWO}")), format!("{TWO}9000"));
}

#[test]
fn classes_channels_and_unknown_instructions() {
    let mut card = card();
    for (command, sw) in [
        ("FFCA006600", "6E00"),
        ("20CA006600", "6E00"),
        ("90CA006600", "6E00"),
        ("88CA006600", "6E00"),
        ("81CA006600", "6881"),
        ("C0CA006600", "6881"),
        ("8099000000", "6D00"),
        ("0099000000", "6D00"),
        ("80E8000000", "6982"),
        ("00F28002024F0000", "6E00"),
        ("84F28002024F0000", "6982"),
        ("84CA006600", "6982"),
        ("80F28002024F0000", "6982"),
        ("80E60C0000", "6982"),
        ("80E4000000", "6982"),
        ("80D8008100", "6982"),
        ("80F0800F00", "6982"),
        ("80E2900000", "6982"),
        ("8482330010000102030405060708090A0B0C0D0E0F", "6985"),
        ("8082330010000102030405060708090A0B0C0D0E0F", "6D00"),
        ("", "6700"),
        ("80CA00", "6700"),
        ("80CA0066020000000000", "6700"),
    ] {
        assert_eq!(send(&mut card, command), sw, "{command}");
    }
}

#[test]
fn manage_channel_opens_three_more() {
    let mut card = card();
    for answer in ["019000", "029000", "039000", "6A81"] {
        assert_eq!(send(&mut card, "0070000001"), answer);
    }
    for (command, sw) in [
        ("00708002", "9000"),
        ("00708000", "6881"),
        ("00708004", "6881"),
        ("00704000", "6A86"),
        ("0070000101", "6A86"),
    ] {
        assert_eq!(send(&mut card, command), sw, "{command}");
    }
    assert_eq!(send(&mut card, "0170000001"), "029000");
    assert_eq!(send(&mut card, "02CA004200"), "4A504B499000");
}

#[test]
fn the_default_selected_application_answers_after_reset() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(install(&mut host, &mut card, ONE, "04", ""), "009000");
    assert_eq!(install(&mut host, &mut card, TWO, "04", ""), "6985", "one holder at a time");
    card.reset().unwrap();
    assert_eq!(send(&mut card, "80001234"), "1234");
    assert_eq!(log.lock().unwrap().last().unwrap(), &format!("select {ONE} on 0"));
    let mut host = issuer(&mut card, 0x01);
    let privileges = host.send(&mut card, "80F280020B4F005C074F9F70C5CFC4CC00");
    assert!(privileges.contains("C5039AFE80"), "{privileges}");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "009000");
    // The privilege falls back to the issuer security domain.
    let privileges = host.send(&mut card, "80F28002024F0000");
    assert!(privileges.contains("C5039EFE80"), "{privileges}");
    card.reset().unwrap();
    assert!(send(&mut card, "80CA006600").ends_with("9000"));
}
