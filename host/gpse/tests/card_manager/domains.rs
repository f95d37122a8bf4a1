//! Security domains: made, given keys and applications, updated.

use jpkise_wire::scp03::StaticKeys;

use crate::common::{case4, lv, send, Host, ISD};
use crate::support::{
    aid_object, card_with_applets, install, install_domain, issuer, keys, listed, put_keys, select,
    test_keys, ONE, PACKAGE, SP, TWO,
};

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
