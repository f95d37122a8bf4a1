//! STORE DATA to a domain and through it.

use crate::common::{card, case4, lv, send, Host, ISD};
use crate::support::{card_with_applets, install, issuer, select, ONE, SP, TWO};

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
