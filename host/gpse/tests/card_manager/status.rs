//! GET STATUS and SET STATUS.

use jpkise_card::{CommandApdu, Transport};

use crate::common::{case4, exchange, lv, send, unhex, Host, ISD};
use crate::support::{
    aid_object, card_with_applets, install, install_domain, issuer, listed, select, MODULE, ONE, PACKAGE, SP,
    TWO,
};

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
