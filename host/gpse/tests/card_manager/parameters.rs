//! Parameters of INSTALL: memory, implicit selection, restriction; a domain personalised through the one above it.

use jpkise_card::Transport;
use jpkise_gpse::{GpSe, Interface};

use crate::common::bench::JPKI_PACKAGE;
use crate::common::load::announce;
use crate::common::{case4, lv, put_key_data, send, Host};
use crate::support::{
    aid_object, card_with_applets, install, install_domain, issuer, keys, select, test_keys, MODULE, ONE,
    PACKAGE, SP, TWO,
};

fn install_with(host: &mut Host, card: &mut GpSe, aid: &str, parameters: &str) -> String {
    host.send(card, &case4("80E60C00", &lv(&[PACKAGE, MODULE, aid, "00", parameters, ""])))
}

fn update(host: &mut Host, card: &mut GpSe, aid: &str, parameters: &str) -> String {
    host.send(card, &case4("80E64000", &lv(&["", "", aid, "", parameters, ""])))
}

#[test]
fn install_parameters_are_read_and_what_cannot_be_is_refused() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x03);
    for (parameters, sw) in [
        ("C900EF04C8020100", "009000"),
        ("EF08C7020100C8020100C9020A0B", "009000"),
        ("C900EF0CD70400000100D80400000100", "009000"),
        ("C900EA0480020000", "009000"),
        ("C900EF06C80400060001", "6A84"),
        ("C900EF04C7021801", "6A84"),
        ("C900EF0CC80400040000D80400040000", "6A84"),
        ("C900EF05C803000100", "6A80"),
        ("C900EF04C6020100", "6A80"),
        ("C900EF03D90101", "6A80"),
        ("C900EF03CB0101", "6A80"),
        ("C900EF03CF0101", "6A80"),
        ("C900EF03CF0144", "6A80"),
        ("C900EF03CF01E0", "6A80"),
        ("C900B60342010A", "6A80"),
        ("EF04C8020100", "6A80"),
    ] {
        assert_eq!(install_with(&mut host, &mut card, ONE, parameters), sw, "{parameters}");
        if sw == "009000" {
            assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "009000");
        }
    }
    // What is meant for the applet reaches it from wherever it stands.
    assert!(log.lock().unwrap().contains(&format!("install {ONE} 000000 0A0B in state 03")));
    // A privilege for services that this card does not register.
    let fields = lv(&[PACKAGE, MODULE, ONE, "000100", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60C00", &fields)), "6A80");
}

#[test]
fn implicit_selection_opens_a_channel_with_its_application() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(install_with(&mut host, &mut card, ONE, "C900EF04CF0241C2"), "009000");
    let shown = host.send(&mut card, "80F24002024F0000");
    assert!(shown.contains("C503000000CF0141CF01C2C408"), "{shown}");
    assert_eq!(install_with(&mut host, &mut card, TWO, "C900EF03CF01C1"), "6985", "contact, channel 1");
    assert_eq!(install_with(&mut host, &mut card, TWO, "C900EF03CF0181"), "009000");
    send(&mut card, "00A4040000");
    // The applet answers P1 P2, the issuer's domain 6D00.
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(send(&mut card, "81001234"), "1234");
    assert_eq!(send(&mut card, "0070000001"), "029000");
    assert_eq!(send(&mut card, "82001234"), "1234");
    assert_eq!(send(&mut card, "0070000001"), "039000");
    assert_eq!(send(&mut card, "83001234"), "6D00");
    assert_eq!(send(&mut card, "80001234"), "6D00", "the basic channel is meant for none");
    // After a reset with the basic channel meant for it, without any SELECT.
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(update(&mut host, &mut card, ONE, "EF03CF0140"), "009000");
    card.reset().unwrap();
    assert_eq!(send(&mut card, "80005678"), "5678");
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(send(&mut card, "81001234"), "6D00", "no longer meant for it");
    card.set_interface(Interface::Contactless);
    card.reset().unwrap();
    assert_eq!(send(&mut card, "80005678"), "6D00", "meant for contacts");
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(send(&mut card, "81001234"), "1234", "TWO is meant for this one");
    // What is locked is not there; an empty list takes it away.
    card.set_interface(Interface::Contact);
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(host.send(&mut card, &format!("80F0408009{ONE}")), "9000");
    card.reset().unwrap();
    assert_eq!(send(&mut card, "80005678"), "6D00");
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(update(&mut host, &mut card, TWO, "EF02CF00"), "009000");
    let shown = host.send(&mut card, "80F24002064F005C024FCF00");
    assert!(!shown.contains("CF0181"), "{shown}");
}

#[test]
fn what_is_restricted_is_gone_for_good() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install(&mut host, &mut card, ONE, "00", "");
    install_domain(&mut host, &mut card, SP, "");
    // One application: personalisation, extradition, deletion, and at last registry update itself.
    assert_eq!(update(&mut host, &mut card, ONE, "EF03D90131"), "009000");
    let personalize = |aid: &str| case4("80E62000", &lv(&["", "", aid, "", "", ""]));
    let extradite = |aid: &str| case4("80E61000", &lv(&[SP, "", aid, "", "", ""]));
    assert_eq!(host.send(&mut card, &personalize(ONE)), "6985");
    assert_eq!(host.send(&mut card, &extradite(ONE)), "6985");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "6985");
    assert_eq!(update(&mut host, &mut card, ONE, "EF03D90140"), "009000");
    assert_eq!(update(&mut host, &mut card, ONE, "EF03D90100"), "6985", "nothing gives it back");
    // The card: loading, then installing.
    assert_eq!(host.send(&mut card, &announce(JPKI_PACKAGE, "", "")), "009000");
    assert_eq!(update(&mut host, &mut card, "", "EF03D90102"), "009000");
    card.reset().unwrap();
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(host.send(&mut card, &announce(JPKI_PACKAGE, "", "")), "6985");
    assert_eq!(install(&mut host, &mut card, TWO, "00", ""), "009000");
    assert_eq!(update(&mut host, &mut card, "", "EF03D9010C"), "009000");
    assert_eq!(install(&mut host, &mut card, "F04A504B4900000003", "00", ""), "6985");
    for (aid, parameters, sw) in [
        ("", "EF03D90180", "6A80"),
        ("", "EF03CF0140", "6A80"),
        ("", "", "6A80"),
        (TWO, "EF04D9020101", "6A80"),
    ] {
        assert_eq!(update(&mut host, &mut card, aid, parameters), sw, "{aid} {parameters}");
    }
    // Only the issuer's domain restricts the card.
    select(&mut card, SP);
    let mut domain = Host::default(&mut card, 0x01);
    assert_eq!(update(&mut domain, &mut card, "", "EF03D90101"), "6985");
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(TWO))), "009000", "not restricted");
}

#[test]
fn a_domain_gets_its_first_keys_and_objects_through_the_one_above_it() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x33);
    install_domain(&mut host, &mut card, SP, "");
    let new = keys(0x5A);
    let kcv = hex::encode(new.enc.check_value().0);
    let described: String =
        (1..=3).map(|id| format!("B911800188810110820{}0{id}8301308403{kcv}", 1)).collect();
    let block = hex::encode(Host::encipher(&test_keys(), new.enc.expose()));
    let groupings = format!(
        "00B9{:02X}{described}{}0070064504AABBCCDD",
        described.len() / 2,
        format!("811310{block}").repeat(3)
    );
    assert_eq!(host.send(&mut card, &case4("80E62000", &lv(&["", "", SP, "", "", ""]))), "009000");
    let store = format!("80E28800{:02X}{groupings}", groupings.len() / 2);
    assert_eq!(host.send(&mut card, &store), "9000");
    let states = host.send(&mut card, "80F24002024F0000");
    assert!(states.contains(&format!("{SP}9F70010F")), "PERSONALIZED: {states}");
    assert_eq!(host.send(&mut card, "80CA004500"), "45084A504B49534500019000", "not the issuer's own");
    select(&mut card, SP);
    assert_eq!(send(&mut card, "80CA004500"), "4504AABBCCDD9000");
    let mut own = Host::open(&mut card, &new, 0x30, 0x33);
    // It may now change them by itself, and nobody personalises it for itself.
    let rotated = hex::encode(put_key_data(&new, &keys(0x5B), 0x30, true));
    assert!(own.send(&mut card, &case4("80D83081", &rotated)).ends_with("9000"));
    assert_eq!(own.send(&mut card, &case4("80E62000", &lv(&["", "", SP, "", "", ""]))), "6985");
}
