//! The card manager's commands with their status words, in process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::stub::{Log, Stub, MODULE, PACKAGE};
use common::{card, case4, exchange, lv, put_key_data, send, status, unhex, Host, ISD, TEST_KEY};
use jpkise_card::{CommandApdu, Transport};
use jpkise_gpse::profile::key_version;
use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::{IParameter, SequenceCounter, StaticKeys};
use jpkise_wire::tlv::{Tag, Tlv};

const SD_PACKAGE: &str = "A0000001515350";
const SD_MODULE: &str = "A000000151535041";
const SP: &str = "A00000015153504A504B49";
const ONE: &str = "F04A504B4900000001";
const TWO: &str = "F04A504B4900000002";

fn card_with_applets() -> (GpSe, Log) {
    let stub = Stub::default();
    let log = stub.log.clone();
    (GpSe::in_memory(Profile::default().seeded(2), Box::new(stub)).unwrap(), log)
}

fn keys(byte: u8) -> StaticKeys {
    StaticKeys::same(&[byte; 16]).unwrap()
}

fn test_keys() -> StaticKeys {
    StaticKeys::same(&unhex(TEST_KEY)).unwrap()
}

fn select(card: &mut GpSe, aid: &str) -> String {
    send(card, &format!("00A4040C{:02X}{aid}", aid.len() / 2))
}

/// Selects the issuer security domain and opens a channel.
fn issuer(card: &mut GpSe, level: u8) -> Host {
    assert!(matches!(status(card, "00A4040000").as_str(), "9000" | "6283"));
    Host::default(card, level)
}

fn install(host: &mut Host, card: &mut GpSe, instance: &str, privileges: &str, c9: &str) -> String {
    let parameters = format!("C9{:02X}{c9}", c9.len() / 2);
    host.send(card, &case4("80E60C00", &lv(&[PACKAGE, MODULE, instance, privileges, &parameters, ""])))
}

fn install_domain(host: &mut Host, card: &mut GpSe, aid: &str, c9: &str) -> String {
    let parameters = format!("C9{:02X}{c9}", c9.len() / 2);
    let fields = lv(&[SD_PACKAGE, SD_MODULE, aid, "800000", &parameters, ""]);
    host.send(card, &case4("80E60C00", &fields))
}

fn put_keys(host: &mut Host, card: &mut GpSe, session: &StaticKeys, new: &StaticKeys, kvn: u8) -> String {
    let data = hex::encode(put_key_data(session, new, kvn, true));
    host.send(card, &case4("80D80081", &data))
}

fn aid_object(aid: &str) -> String {
    format!("4F{:02X}{aid}", aid.len() / 2)
}

/// AIDs of a GET STATUS answer.
fn listed(answer: &str) -> Vec<String> {
    let bytes = unhex(answer);
    let (data, _) = bytes.split_at(bytes.len() - 2);
    let entries = Tlv::read_all(data).unwrap();
    entries.iter().map(|e| hex::encode_upper(e.child(Tag(0x4F)).unwrap().value)).collect()
}

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
        ("80E8000000", "6D00"),
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
fn get_data_answers_every_object_with_class_80_and_its_value_with_class_00() {
    let mut card = card();
    for (tag, value) in [
        ("0042", "4A504B49"),
        ("0045", "4A504B4953450001"),
        ("00C1", "000000"),
        ("00D3", "00"),
        ("00E0", "C00401308810C00402308810C00403308810"),
        ("2F00", ""),
        ("FF21", "81020000820400060000830400001800"),
    ] {
        let name = tag.strip_prefix("00").unwrap_or(tag);
        assert_eq!(
            send(&mut card, &format!("80CA{tag}00")),
            format!("{name}{:02X}{value}9000", value.len() / 2)
        );
        assert_eq!(send(&mut card, &format!("00CA{tag}00")), format!("{value}9000"));
    }
    let production = send(&mut card, "80CA9F7F00");
    assert_eq!((production.len(), &production[..6]), (2 * (3 + 42 + 2), "9F7F2A"));
    let capability = unhex(&send(&mut card, "80CA006700"));
    let object = Tlv::expect(&capability[..capability.len() - 2], Tag(0x67)).unwrap();
    let protocol = Tlv::read_all(object).unwrap()[0];
    assert_eq!(
        (protocol.child(Tag(0x80)).unwrap().value, protocol.child(Tag(0x81)).unwrap().value),
        (&[3][..], &[0x70][..])
    );
    for tag in ["00CF", "5F50", "00C2", "0000"] {
        assert_eq!(send(&mut card, &format!("80CA{tag}00")), "6A88");
    }
    // With the tag list some hosts send along.
    assert_eq!(send(&mut card, "80CA2F00025C0000"), "2F00009000");
}

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
fn wrong_keys_are_counted_per_version_and_block_it() {
    let mut profile = Profile { authentication_tries: Some(3), ..Profile::default() };
    profile.keys.push(key_version(0x31, &[1; 16], &[1; 16], &[1; 16]).unwrap());
    let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
    let attempt =
        |card: &mut GpSe, byte: u8, kvn: u8| Host::open_on(card, &keys(byte), kvn, 0x01, 0, 8).err();
    for _ in 0..2 {
        assert_eq!(attempt(&mut card, 9, 0x30).as_deref(), Some("6982"));
    }
    // Success clears the count, and a fault of form costs nothing.
    Host::default(&mut card, 0x01);
    send(&mut card, "8050300008010203040506070800");
    assert_eq!(send(&mut card, "84820100080102030405060708"), "6700");
    for _ in 0..3 {
        assert_eq!(attempt(&mut card, 9, 0x30).as_deref(), Some("6982"));
    }
    card.reset().unwrap();
    assert_eq!(attempt(&mut card, 9, 0x30).as_deref(), Some("6983"));
    assert_eq!(Host::open_on(&mut card, &test_keys(), 0x30, 0x01, 0, 8).err().as_deref(), Some("6983"));
    assert!(Host::open_on(&mut card, &keys(1), 0x31, 0x01, 0, 8).is_ok(), "another version is not touched");
}

#[test]
fn channels_give_no_extra_tries_and_no_way_around_a_key_change() {
    let profile = Profile { authentication_tries: Some(2), ..Profile::default() };
    let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
    for channel in ["01", "02", "03"] {
        assert_eq!(send(&mut card, "0070000001"), format!("{channel}9000"));
    }
    // Prepared everywhere while there are tries; the third and fourth find none.
    for channel in 0..4 {
        send(&mut card, &format!("8{channel}50000008010203040506070800"));
    }
    let answers: Vec<String> = (0..4)
        .map(|n| 4 + n)
        .map(|cla| send(&mut card, &format!("8{cla}82010010000102030405060708090A0B0C0D0E0F")))
        .collect();
    assert_eq!(answers, ["6982", "6982", "6983", "6983"]);

    let mut card = common::card();
    let mut host = issuer(&mut card, 0x01);
    send(&mut card, "0070000001");
    send(&mut card, "8150000008010203040506070800");
    put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x31);
    assert_eq!(send(&mut card, "8582010010000102030405060708090A0B0C0D0E0F"), "6985");
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
fn install_checks_fields_names_and_privileges() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x03);
    let cases = [
        (lv(&[PACKAGE, MODULE, ONE, "00", "C900", ""]), "009000"),
        (lv(&[PACKAGE, MODULE, ONE, "00", "C900", ""]), "6985"),
        (lv(&[PACKAGE, MODULE, PACKAGE, "00", "C900", ""]), "6985"),
        (lv(&["F0F0F0F0F0", MODULE, TWO, "00", "C900", ""]), "6A88"),
        (lv(&[PACKAGE, SD_MODULE, TWO, "00", "C900", ""]), "6A88"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C901", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, "F0F0F0F0", "00", "C900", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "", "C900", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "80", "C900", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C900", "0102"]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C900"]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C900", "", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C90101", ""]), "6A84"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "00", "C900", ""]), "6A80"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "A00000", "C900", ""]), "6A80"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "800000", "C90481020215", ""]), "6A80"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "800000", "C904810203FF", ""]), "6A80"),
    ];
    for (data, sw) in cases {
        assert_eq!(host.send(&mut card, &case4("80E60C00", &data)), sw, "{data}");
    }
    for p1 in ["00", "01", "03", "18", "44"] {
        assert_eq!(host.send(&mut card, &format!("80E6{p1}000100")), "6A86", "P1 {p1}");
    }
    assert_eq!(host.send(&mut card, "80E60C010100"), "6A86");
    for p1 in ["02", "0E"] {
        assert_eq!(host.send(&mut card, &format!("80E6{p1}000100")), "6A81", "no loading");
    }
    // What failed left nothing behind, in the registry or in the runtime.
    assert_eq!(listed(&host.send(&mut card, "80F24002024F0000")), [ONE]);
    let log = log.lock().unwrap();
    assert_eq!(log.last().unwrap(), &format!("settled {ONE}"));
    assert!(log.contains(&format!("install {ONE} 000000  in state 03")), "{log:?}");
}

#[test]
fn what_is_only_installed_cannot_be_selected_until_made_selectable() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    let fields = lv(&[PACKAGE, MODULE, ONE, "00", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60400", &fields)), "009000");
    assert_eq!(select(&mut card, ONE), "6A82");
    let mut host = issuer(&mut card, 0x01);
    let make = case4("80E60800", &lv(&["", "", ONE, "00", "", ""]));
    assert_eq!(host.send(&mut card, &make), "009000");
    assert_eq!(host.send(&mut card, &make), "6985");
    assert_eq!(host.send(&mut card, &case4("80E60800", &lv(&["", "", TWO, "00", "", ""]))), "6A88");
    assert_eq!(select(&mut card, ONE), "9000");
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

#[test]
fn get_status_shows_every_subset_in_both_formats() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x33);
    let empty = host.send(&mut card, "80F24002024F0000");
    assert_eq!(empty, "6A88");
    install(&mut host, &mut card, ONE, "00", "");
    let isd = format!("E31D4F08{ISD}9F700101C5039EFE80CC08{ISD}");
    let application = format!("4F09{ONE}9F700107C503000000C408{PACKAGE}CC08{ISD}");
    let file = format!("4F08{PACKAGE}9F700101CE020304");
    let module = format!("8409{MODULE}");
    for (command, expected) in [
        ("80F28002024F0000", format!("{isd}9000")),
        ("80F28002074F05F0F0F0F0F000", format!("{isd}9000")),
        ("80F24002024F0000", format!("E3{:02X}{application}9000", application.len() / 2)),
        ("80F240020B4F09F04A504B490000000200", "6A88".into()),
        ("80F24002074F05F04A504B4900", format!("E3{:02X}{application}9000", application.len() / 2)),
        ("80F220020A4F08F04A504B4953545500", format!("E31C{file}CC08{ISD}9000")),
        ("80F210020A4F08F04A504B4953545500", format!("E327{file}{module}CC08{ISD}9000")),
        ("80F24002054F005C014F00", format!("E30B4F09{ONE}9000")),
        ("80F24002074F005C039F70C500", "E3099F700107C5030000009000".into()),
        ("80F28000024F0000", format!("08{ISD}019E9000")),
        ("80F24000024F0000", format!("09{ONE}07009000")),
        ("80F210000A4F08F04A504B4953545500", format!("08{PACKAGE}01000109{MODULE}9000")),
        ("80F24003024F0000", "6985".into()),
        ("80F28003024F0000", "6985".into()),
        ("80F2400200", "6A80".into()),
        ("80F24002025C0000", "6A80".into()),
        ("80F24002034F010000", "6A88".into()),
        ("80F24002034F059900", "6A80".into()),
        ("80F24102024F0000", "6A86".into()),
        ("80F2C002024F0000", "6A86".into()),
        ("80F24004024F0000", "6A86".into()),
    ] {
        assert_eq!(host.send(&mut card, command), expected, "{command}");
    }
}

#[test]
fn long_lists_come_in_pages() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    let names: Vec<String> = (1..=20).map(|n| format!("F04A504B49000000{n:02X}")).collect();
    for name in &names {
        assert_eq!(install(&mut host, &mut card, name, "00", ""), "009000");
    }
    for level in [0x01, 0x13, 0x33] {
        let mut host = issuer(&mut card, level);
        let mut found = Vec::new();
        let mut command = "80F24002024F0000";
        loop {
            let wrapped = host.wrap(&CommandApdu::parse(&unhex(command)).unwrap());
            let answer = exchange(&mut card, &wrapped);
            assert!(answer.data.len() <= 256);
            let answer = hex::encode_upper(host.unwrap(answer).to_bytes());
            found.extend(listed(&answer));
            if answer.ends_with("9000") {
                break;
            }
            assert!(answer.ends_with("6310"));
            command = "80F24003024F0000";
        }
        assert_eq!(found, names, "level {level:02X}");
        // Another query in between ends the listing.
        host.send(&mut card, "80F24002024F0000");
        assert_eq!(host.send(&mut card, "80F22003024F0000"), "6985");
        host.send(&mut card, "80F24002024F0000");
        host.send(&mut card, "80CA006600");
        assert_eq!(host.send(&mut card, "80F24003024F0000"), "6985");
    }
}

#[test]
fn a_security_domain_is_made_gets_keys_and_serves_its_applet() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x33);
    // As gp and the project's own host do it.
    assert_eq!(install_domain(&mut host, &mut card, SP, "810203708202202087022020"), "009000");
    assert_eq!(install(&mut host, &mut card, ONE, "00", ""), "009000");
    let extradition = case4("80E61000", &lv(&[SP, "", ONE, "", "", ""]));
    assert_eq!(host.send(&mut card, &extradition), "009000");
    // Without keys of its own it authenticates with its parent's; the challenge is made with its own AID.
    assert_eq!(select(&mut card, SP), "9000");
    assert_eq!(send(&mut card, "80CA00E000"), "E0009000");
    let mut host = Host::default(&mut card, 0x33);
    let own = StaticKeys::same(&[0x11; 16]).unwrap();
    let kcv = hex::encode_upper(own.enc.check_value().0);
    assert_eq!(put_keys(&mut host, &mut card, &test_keys(), &own, 0x30), format!("30{kcv}{kcv}{kcv}9000"));
    let state = host.send(&mut card, "80F24002024F0000");
    assert_eq!(listed(&state), [ONE], "only what is associated with it");
    // From now on its own keys count, for its applet too.
    assert_eq!(select(&mut card, SP), "9000");
    assert_eq!(Host::open_on(&mut card, &test_keys(), 0, 0x33, 0, 8).err().as_deref(), Some("6982"));
    assert!(Host::open_on(&mut card, &own, 0, 0x33, 0, 8).is_ok());
    select(&mut card, ONE);
    let mut host = Host::open(&mut card, &own, 0x30, 0x33);
    assert_eq!(host.send(&mut card, "8030000003ABCDEF00"), "ABCDEF9000");
    let mut host = issuer(&mut card, 0x01);
    let states = host.send(&mut card, "80F24002024F0000");
    assert!(states.contains(&format!("{SP}9F70010F")), "PERSONALIZED: {states}");
    assert!(states.contains(&format!("{ONE}9F700107C503000000C408{PACKAGE}CC0B{SP}")), "{states}");
    // The domain holds an applet: it stays.
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(SP))), "6985");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "009000");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(SP))), "009000");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(SP))), "6A88");
}

#[test]
fn extradition_moves_the_secure_channel_of_an_applet() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install_domain(&mut host, &mut card, SP, "");
    install(&mut host, &mut card, ONE, "00", "");
    select(&mut card, SP);
    let mut host = Host::default(&mut card, 0x03);
    put_keys(&mut host, &mut card, &test_keys(), &keys(0x11), 0x30);
    // The applet's session rests on the issuer's keys; extradition on another channel ends it.
    select(&mut card, ONE);
    let mut session = Host::default(&mut card, 0x33);
    assert_eq!(session.send(&mut card, "803000000112"), "129000");
    assert_eq!(send(&mut card, "0070000001"), "019000");
    let mut other = Host::open_on(&mut card, &test_keys(), 0, 0x01, 1, 8).unwrap();
    assert_eq!(other.send(&mut card, &case4("80E61000", &lv(&[SP, "", ONE, "", "", ""]))), "009000");
    assert_eq!(send(&mut card, "8034000000"), "009000");
    assert!(Host::open_on(&mut card, &keys(0x11), 0, 0x33, 0, 8).is_ok());
    // Cycles and domains that are none are refused.
    for (to, what, sw) in
        [(ONE, SP, "6985"), (TWO, ONE, "6A88"), (SP, TWO, "6A88"), (SP, ISD, "6985"), (SP, SP, "009000")]
    {
        let command = case4("80E61000", &lv(&[to, "", what, "", "", ""]));
        assert_eq!(other.send(&mut card, &command), sw, "{what} to {to}");
    }
    // Self-extradition made it the root of its own hierarchy: the issuer no longer manages what is under it.
    assert_eq!(other.send(&mut card, &case4("80E61000", &lv(&[ISD, "", ONE, "", "", ""]))), "6985");
}

#[test]
fn a_domain_without_authorised_management_manages_nothing() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install_domain(&mut host, &mut card, SP, "");
    install(&mut host, &mut card, ONE, "00", "");
    host.send(&mut card, &case4("80E61000", &lv(&[SP, "", ONE, "", "", ""])));
    select(&mut card, SP);
    let mut host = Host::default(&mut card, 0x01);
    assert_eq!(install(&mut host, &mut card, TWO, "00", ""), "6985");
    assert_eq!(host.send(&mut card, &case4("80E61000", &lv(&[ISD, "", ONE, "", "", ""]))), "6985");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "6985");
    assert_eq!(host.send(&mut card, "80F0807F00"), "6985");
    assert_eq!(host.send(&mut card, "80F28002024F0000"), "6A88", "the issuer is not under it");
    // It locks and unlocks what is its own.
    let lock = format!("80F0408009{ONE}");
    assert_eq!(host.send(&mut card, &lock), "9000");
    assert_eq!(host.send(&mut card, &lock), "6985");
    assert_eq!(select(&mut card, ONE), "6A82");
}

#[test]
fn put_key_adds_and_replaces_whole_or_not_at_all() {
    let mut card = card();
    let mut host = issuer(&mut card, 0x33);
    let session = test_keys();
    let before = send_plain_key_information(&mut card);
    let mut host2 = Host::default(&mut card, 0x33);
    std::mem::swap(&mut host, &mut host2);
    // Every byte of the command changed in turn is refused or stores the same keys: never a part of them.
    let good = put_key_data(&session, &keys(0x22), 0x31, true);
    for at in [0, 1, 2, 3, 4, 19, 20, 21, 24, 25, 60] {
        let mut bad = good.clone();
        bad[at] ^= 0x80;
        let answer = host.send(&mut card, &case4("80D80081", &hex::encode(&bad)));
        assert!(matches!(answer.as_str(), "6A80" | "6982"), "byte {at}: {answer}");
    }
    for cut in [1, 5, 22, 23, 45, 66] {
        let data = hex::encode(&good[..cut]);
        assert_eq!(host.send(&mut card, &case4("80D80081", &data)), "6A80", "cut at {cut}");
    }
    assert_eq!(host.send(&mut card, "80CA00E000"), before);
    let kcv = hex::encode_upper(keys(0x22).enc.check_value().0);
    let stored = format!("31{kcv}{kcv}{kcv}9000");
    assert_eq!(host.send(&mut card, &case4("80D80081", &hex::encode(&good))), stored);
    assert_eq!(host.send(&mut card, &case4("80D80081", &hex::encode(&good))), "6A80", "it is there already");
    // The default is still the first one; the new one opens by its number, and replaces the old.
    let mut host = Host::open(&mut card, &keys(0x22), 0x31, 0x33);
    let other_form = hex::encode(put_key_data(&keys(0x22), &keys(0x33), 0x32, false));
    assert_eq!(host.send(&mut card, &case4("80D83381", &other_form)), "6A88");
    assert!(host.send(&mut card, &case4("80D83081", &other_form)).ends_with("9000"));
    assert_eq!(
        host.send(&mut card, "80CA00E000"),
        "E024C00401328810C00402328810C00403328810C00401318810C00402318810C004033188109000"
    );
    let longer = StaticKeys::same(&[0x44; 32]).unwrap();
    let data = hex::encode(put_key_data(&keys(0x22), &longer, 0x32, true));
    assert_eq!(host.send(&mut card, &case4("80D83281", &data)), "6A80", "a replaced key keeps its length");
    let data = hex::encode(put_key_data(&keys(0x22), &longer, 0x33, true));
    assert!(host.send(&mut card, &case4("80D80081", &data)).ends_with("9000"));
    assert!(Host::open_on(&mut card, &longer, 0x33, 0x33, 0, 8).is_ok());
    // A replaced version starts counting anew.
    let answer = send(&mut card, "8050320008010203040506070800");
    assert!(answer.ends_with("0000019000"), "{answer}");
}

fn send_plain_key_information(card: &mut GpSe) -> String {
    send(card, "00A4040000");
    send(card, "80CA00E000")
}

#[test]
fn a_factory_key_set_disappears_with_the_first_own_one() {
    let factory = key_version(0xFF, &unhex(TEST_KEY), &unhex(TEST_KEY), &unhex(TEST_KEY)).unwrap();
    let mut card = GpSe::in_memory(Profile::default().with_keys(factory), Box::new(NoApplets)).unwrap();
    let mut host = Host::open(&mut card, &test_keys(), 0xFF, 0x01);
    assert!(put_keys(&mut host, &mut card, &test_keys(), &keys(0x55), 0x01).ends_with("9000"));
    assert_eq!(host.send(&mut card, "80CA00E000"), "E012C00401018810C00402018810C004030188109000");
    assert_eq!(Host::open_on(&mut card, &test_keys(), 0xFF, 0x01, 0, 8).err().as_deref(), Some("6A88"));
    assert!(Host::open_on(&mut card, &keys(0x55), 0, 0x01, 0, 8).is_ok());
}

#[test]
fn keys_are_deleted_by_version_and_identifier_but_never_the_last_set() {
    let mut card = card();
    let mut host = issuer(&mut card, 0x33);
    put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x31);
    for (data, sw) in [
        ("D2017F", "6A88"),
        ("D00104D20131", "6A88"),
        ("D2020130", "6A80"),
        ("D001", "6A80"),
        ("C70101", "6A80"),
        ("D00101", "6985"),
    ] {
        assert_eq!(host.send(&mut card, &case4("80E40000", data)), sw, "{data}");
    }
    assert_eq!(host.send(&mut card, &case4("80E40000", "D20130")), "009000");
    assert_eq!(host.send(&mut card, &case4("80E40000", "D20131")), "6985");
    assert_eq!(host.send(&mut card, "80CA00E000"), "E012C00401318810C00402318810C004033188109000");
}

#[test]
fn commands_chained_by_p1_are_secured_as_one() {
    for level in [0x01, 0x03, 0x33] {
        let mut card = card();
        let mut host = issuer(&mut card, level);
        let new = StaticKeys::same(&[0x66; 32]).unwrap();
        // Nine AES-256 keys make the command longer than one APDU.
        let set = put_key_data(&test_keys(), &new, 0x35, true);
        let data = [&[0x35], &set[1..], &set[1..], &set[1..]].concat();
        let whole = host.wrap(&CommandApdu::new(0x80, 0xD8, 0x00, 0x81).with_data(data).expecting_all());
        assert!(whole.data().len() > 255);
        let pieces: Vec<&[u8]> = whole.data().chunks(200).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let last = number + 1 == pieces.len();
            let p1 = if last { 0x00 } else { 0x80 };
            let mut segment = CommandApdu::new(0x84, 0xD8, p1, 0x81).with_data(*piece);
            if last {
                segment = segment.expecting_all();
            }
            let answer = exchange(&mut card, &segment);
            if last {
                let answer = host.unwrap(answer);
                assert!(answer.sw.is_success(), "level {level:02X}: {}", answer.sw);
                assert_eq!(answer.data.len(), 1 + 9 * 3);
            } else {
                assert_eq!(answer.to_bytes(), [0x90, 0x00]);
            }
        }
        // The session goes on; the same command arriving whole, extended, is taken as well.
        assert!(host.send(&mut card, "80CA00E000").ends_with("9000"));
        let long = [&[0x36], &set[1..], &set[1..], &set[1..]].concat();
        let command = CommandApdu::new(0x80, 0xD8, 0x00, 0x81).with_data(long).expecting_all();
        assert!(host.exchange(&mut card, &command).sw.is_success(), "level {level:02X}");
    }
}

#[test]
fn a_broken_chain_does_nothing() {
    let mut card = card();
    assert_eq!(send(&mut card, "80D8808101 00"), "6982", "no session");
    let mut host = issuer(&mut card, 0x01);
    let data = put_key_data(&test_keys(), &keys(0x77), 0x37, true);
    let whole = host.wrap(&CommandApdu::new(0x80, 0xD8, 0x00, 0x81).with_data(data));
    let (first, second) = whole.data().split_at(40);
    let segment = |p1: u8, data: &[u8]| CommandApdu::new(0x84, 0xD8, p1, 0x81).with_data(data);
    assert_eq!(exchange(&mut card, &segment(0x80, first)).to_bytes(), [0x90, 0x00]);
    // Another command in between: what was gathered is gone, and the rest alone has no good MAC.
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(
        exchange(&mut card, &CommandApdu::new(0x84, 0xD8, 0x30, 0x81).with_data(second)).sw.to_string(),
        "6982"
    );
    assert!(!send_plain_key_information(&mut card).contains("378810"));
    // Endless chains are cut off.
    issuer(&mut card, 0x01);
    let filling = [0; 255];
    let refused = (0..100).find(|_| !exchange(&mut card, &segment(0x80, &filling)).sw.is_success());
    assert_eq!(refused, Some(8192 / 255));
}

#[test]
fn set_status_moves_the_card_forward_and_locks_it() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x03);
    install(&mut host, &mut card, ONE, "00", "");
    for (state, sw) in [
        ("07", "9000"),
        ("07", "6985"),
        ("01", "6985"),
        ("7F", "6985"),
        ("0F", "9000"),
        ("07", "6985"),
        ("33", "6A80"),
    ] {
        assert_eq!(host.send(&mut card, &format!("80F080{state}")), sw, "{state}");
    }
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(send(&mut card, &format!("01A4040C09{ONE}")), "9000");
    assert_eq!(host.send(&mut card, "80F0807F"), "9000");
    // Locked: only the issuer's domain is there, and no content changes.
    assert_eq!(send(&mut card, "81000102"), "6999");
    assert_eq!(select(&mut card, ONE), "6A82");
    assert_eq!(send(&mut card, "0070000001"), "6A81");
    assert!(send(&mut card, "00A4040000").ends_with("6283"));
    let mut host = Host::default(&mut card, 0x03);
    assert_eq!(install(&mut host, &mut card, TWO, "00", ""), "6985");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "6985");
    assert!(host.send(&mut card, "80F28002024F0000").contains("9F70017F"));
    assert_eq!(host.send(&mut card, "80F0800F"), "9000");
    assert_eq!(select(&mut card, ONE), "9000");
    // Terminated is the end: GET DATA answers, nothing else does, and a reset does not help.
    let mut host = issuer(&mut card, 0x03);
    assert_eq!(host.send(&mut card, "80F080FF"), "9000");
    card.reset().unwrap();
    assert!(send(&mut card, "80CA9F7F00").ends_with("9000"));
    for command in ["00A4040000", "8050000008010203040506070800", "0070000001", "80F28002024F0000"] {
        assert_eq!(send(&mut card, command), "6985", "{command}");
    }
}

#[test]
fn set_status_locks_applications_and_comes_back_to_the_state_before() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install_domain(&mut host, &mut card, SP, "");
    install(&mut host, &mut card, ONE, "00", "");
    host.send(&mut card, &case4("80E61000", &lv(&[SP, "", ONE, "", "", ""])));
    for (command, sw) in [
        (format!("80F0408009{ONE}"), "9000"),
        (format!("80F0400009{ONE}"), "9000"),
        (format!("80F0400009{ONE}"), "6985"),
        (format!("80F0408009{TWO}"), "6A88"),
        ("80F0408004F0F0F0F0".into(), "6A80"),
        (format!("80F0408008{ISD}"), "6985"),
        (format!("80F0608009{ONE}"), "6A80"),
        (format!("80F060800B{SP}"), "9000"),
        (format!("80F0208009{ONE}"), "6A86"),
    ] {
        assert_eq!(host.send(&mut card, &command), sw, "{command}");
    }
    let states = host.send(&mut card, "80F24002024F0000");
    assert!(
        states.contains(&format!("{SP}9F700187")) && states.contains(&format!("{ONE}9F700187")),
        "{states}"
    );
    assert_eq!(host.send(&mut card, &format!("80F060000B{SP}")), "9000");
    assert_eq!(select(&mut card, ONE), "9000");
    // A domain moves itself to PERSONALIZED and to LOCKED, and not back.
    select(&mut card, SP);
    let mut host = Host::default(&mut card, 0x01);
    for (state, sw) in [("0F", "9000"), ("07", "6985"), ("8F", "9000"), ("0F", "6985")] {
        assert_eq!(host.send(&mut card, &format!("80F040{state}0B{SP}")), sw, "{state}");
    }
}

#[test]
fn store_data_writes_the_domain_s_own_objects() {
    let mut card = card();
    let mut host = issuer(&mut card, 0x33);
    for (command, sw) in [
        ("80E29000 06 420412345678", "9000"),
        ("80E28800 09 0070 06 4504AABBCCDD", "9000"),
        ("80E28100 06 420487654321", "9000"),
        ("80E21000 03 420401", "9000"),
        ("80E29001 03 020304", "9000"),
        ("80E29001 06 420412345678", "6985"),
        ("80E29000 06 C10401020304", "6A88"),
        ("80E29000 05 4204123456", "6A80"),
        ("80E29000 00", "6A80"),
        ("80E28800 09 0071 06 4504AABBCCDD", "6A88"),
        ("80E28800 03 007006", "6A80"),
        ("80E2F000 06 420412345678", "6A86"),
        ("80E29800 06 420412345678", "6A86"),
    ] {
        assert_eq!(host.send(&mut card, &command.replace(' ', "")), sw, "{command}");
    }
    assert_eq!(send(&mut card, "00A4040000").len(), 40);
    assert_eq!(send(&mut card, "80CA004200"), "4204010203049000");
    assert_eq!(send(&mut card, "80CA004500"), "4504AABBCCDD9000");
}

#[test]
fn an_answer_longer_than_a_short_one_comes_in_pieces() {
    for level in [0x01, 0x33] {
        let mut card = card();
        let mut host = issuer(&mut card, level);
        let url = "41".repeat(600);
        let object = format!("5F50820258{url}");
        for (number, block) in object.as_bytes().chunks(400).enumerate() {
            let block = String::from_utf8(block.to_vec()).unwrap();
            let p1 = if number == 3 { "90" } else { "10" };
            let command = format!("80E2{p1}{number:02X}{:02X}{block}", block.len() / 2);
            assert_eq!(host.send(&mut card, &command), "9000");
        }
        let wrapped = host.wrap(&CommandApdu::parse(&unhex("80CA5F5000")).unwrap());
        let mut answer = exchange(&mut card, &wrapped);
        let mut pieces = 1;
        while let Some(waiting) = answer.sw.bytes_waiting() {
            let more = exchange(&mut card, &CommandApdu::parse(&[0, 0xC0, 0, 0, waiting]).unwrap());
            answer.data.extend_from_slice(&more.data);
            answer.sw = more.sw;
            pieces += 1;
        }
        assert_eq!(pieces, 3);
        let answer = hex::encode_upper(host.unwrap(answer).to_bytes());
        assert_eq!(answer, format!("{object}9000"), "level {level:02X}");
        // The session has gone on, and nothing is left.
        assert!(host.send(&mut card, "80CA006600").ends_with("9000"));
        assert_eq!(send(&mut card, "00C0000000"), "6982", "an ordinary command in clear again");
    }
}

#[test]
fn the_issuer_can_be_renamed_within_its_session() {
    let mut card = card();
    let mut host = issuer(&mut card, 0x33);
    let new = "A000000003000000";
    assert_eq!(host.send(&mut card, &format!("80E290000A4F08{new}")), "9000");
    assert!(host.send(&mut card, "80F28002024F0000").contains(&format!("4F08{new}")));
    assert_eq!(select(&mut card, ISD), "6A82");
    assert_eq!(select(&mut card, new), "9000");
    Host::default(&mut card, 0x33);
}

#[test]
fn personalisation_goes_through_the_domain_to_its_applet() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x33);
    install(&mut host, &mut card, ONE, "00", "");
    install(&mut host, &mut card, TWO, "00", "03");
    let begin = |aid: &str| case4("80E62000", &lv(&["", "", aid, "", "", ""]));
    assert_eq!(host.send(&mut card, &begin(TWO)), "6985", "takes no data");
    assert_eq!(host.send(&mut card, &begin(SP)), "6A88");
    assert_eq!(host.send(&mut card, &begin(ONE)), "009000");
    assert_eq!(host.send(&mut card, "80E2000001AA"), "9000");
    assert_eq!(host.send(&mut card, "80E2800101BB"), "9000");
    let log = log.lock().unwrap();
    let seen: Vec<&String> = log.iter().filter(|line| line.starts_with("personalize")).collect();
    assert_eq!(
        seen,
        [&format!("personalize {ONE} on 0: 80E2000001AA"), &format!("personalize {ONE} on 0: 80E2800101BB")]
    );
    drop(log);
    // A wrong number ends it.
    host.send(&mut card, &begin(ONE));
    assert_eq!(host.send(&mut card, "80E2000101AA"), "6985");
    assert_eq!(host.send(&mut card, "80E2900001AA"), "6A80", "the domain's own again");
}

#[test]
fn delete_refuses_what_is_in_use_or_in_rom() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install(&mut host, &mut card, ONE, "00", "");
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(send(&mut card, &format!("01A4040C09{ONE}")), "9000");
    for (header, data, sw) in [
        ("80E40000", aid_object(ONE), "6985"),
        ("80E40000", aid_object(ISD), "6985"),
        ("80E40000", aid_object(PACKAGE), "6985"),
        ("80E40080", aid_object(PACKAGE), "6985"),
        ("80E40000", aid_object(TWO), "6A88"),
        ("80E40000", "4F04F0F0F0F0".to_owned(), "6A80"),
        ("80E40000", "4F".to_owned(), "6A80"),
        ("80E40000", format!("{}D20130", aid_object(ONE)), "6A80"),
        ("80E40001", aid_object(ONE), "6A86"),
        ("80E40100", aid_object(ONE), "6A86"),
    ] {
        assert_eq!(host.send(&mut card, &case4(header, &data)), sw, "{header} {data}");
    }
    assert_eq!(send(&mut card, "00708001"), "9000");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "009000");
    let log = log.lock().unwrap();
    assert_eq!(log[log.len() - 2..], [format!("delete {ONE}"), "settled ".to_owned()]);
}

#[test]
fn registry_update_changes_domain_and_privileges_together() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install_domain(&mut host, &mut card, SP, "");
    install(&mut host, &mut card, ONE, "00", "");
    let update = |to: &str, privileges: &str| case4("80E64000", &lv(&[to, "", ONE, privileges, "", ""]));
    assert_eq!(host.send(&mut card, &update(SP, "80")), "6A80");
    assert_eq!(host.send(&mut card, &update(TWO, "04")), "6A88");
    assert_eq!(host.send(&mut card, &update(SP, "04")), "009000");
    let states = host.send(&mut card, "80F24002024F0000");
    assert!(states.contains(&format!("{ONE}9F700107C503040000C408{PACKAGE}CC0B{SP}")), "{states}");
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

#[test]
fn a_command_that_memory_cannot_hold_changes_nothing() {
    use jpkise_gpse::store::{Change, MemoryStore, Records, Store, StoreError};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

    struct Worn(MemoryStore, Arc<AtomicBool>);
    impl Store for Worn {
        fn records(&self) -> Result<Records, StoreError> {
            self.0.records()
        }
        fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
            if self.1.load(Ordering::Relaxed) {
                return Err(StoreError::Write("worn out".into()));
            }
            self.0.commit(changes)
        }
    }
    let worn = Arc::new(AtomicBool::new(false));
    let stub = Stub::default();
    let log = stub.log.clone();
    let store = Worn(MemoryStore::default(), worn.clone());
    let mut card = GpSe::new(Profile::default(), Box::new(store), Box::new(stub)).unwrap();
    let mut host = issuer(&mut card, 0x01);
    worn.store(true, Ordering::Relaxed);
    assert_eq!(install(&mut host, &mut card, ONE, "00", ""), "6581");
    assert_eq!(log.lock().unwrap().last().unwrap(), "settled ", "the runtime forgot it, too");
    assert_eq!(install_domain(&mut host, &mut card, SP, ""), "6581");
    assert_eq!(host.send(&mut card, "80F24002024F0000"), "6A88");
    // Without a number for it no session is opened.
    assert_eq!(send(&mut card, "8050000008010203040506070800"), "6581");
    worn.store(false, Ordering::Relaxed);
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(install(&mut host, &mut card, ONE, "00", ""), "009000");
}

#[test]
fn a_card_reopened_from_its_store_is_the_same_card() {
    use jpkise_gpse::store::{Change, MemoryStore, Records, Store, StoreError};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<MemoryStore>>);
    impl Store for Shared {
        fn records(&self) -> Result<Records, StoreError> {
            self.0.lock().unwrap().records()
        }
        fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
            self.0.lock().unwrap().commit(changes)
        }
    }
    let store = Shared::default();
    let mut card = GpSe::new(Profile::default(), Box::new(store.clone()), Box::new(NoApplets)).unwrap();
    let mut host = issuer(&mut card, 0x33);
    install_domain(&mut host, &mut card, SP, "");
    put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x31);
    host.send(&mut card, "80F08007");
    drop(card);
    let mut card = GpSe::new(Profile::default(), Box::new(store), Box::new(NoApplets)).unwrap();
    let mut host = Host::open(&mut card, &keys(0x22), 0x31, 0x33);
    assert!(host.send(&mut card, "80F28002024F0000").contains("9F700107"));
    assert_eq!(listed(&host.send(&mut card, "80F24002024F0000")), [SP]);
    assert_eq!(host.send(&mut card, "80CA00C100"), "C1030000019000");
}
