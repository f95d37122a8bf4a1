//! What wrong keys cost.

use jpkise_card::Transport;
use jpkise_gpse::profile::key_version;
use jpkise_gpse::{GpSe, NoApplets, Profile};

use crate::common::{case4, put_key_data, send, Host};
use crate::support::{aid_object, install_domain, issuer, keys, put_keys, select, test_keys, SP};

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

    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x01);
    send(&mut card, "0070000001");
    send(&mut card, "8150000008010203040506070800");
    put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x31);
    assert_eq!(send(&mut card, "8582010010000102030405060708090A0B0C0D0E0F"), "6985");
}

#[test]
fn each_domain_counts_for_its_own_keys() {
    let profile = Profile { authentication_tries: Some(2), ..Profile::default() };
    let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(install_domain(&mut host, &mut card, SP, ""), "009000");
    let attempt = |card: &mut GpSe, byte: u8| Host::open_on(card, &keys(byte), 0, 0x01, 0, 8).err();
    // Without keys of its own it rests on the issuer's, and so does the count.
    select(&mut card, SP);
    assert_eq!(attempt(&mut card, 9).as_deref(), Some("6982"));
    let mut host = Host::default(&mut card, 0x01);
    assert!(put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x30).ends_with("9000"));
    select(&mut card, SP);
    for sw in ["6982", "6982", "6983"] {
        assert_eq!(attempt(&mut card, 9).as_deref(), Some(sw));
    }
    assert_eq!(attempt(&mut card, 0x22).as_deref(), Some("6983"), "the right keys come too late");
    // The issuer above it is not blocked, and may take the domain away and make it anew.
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(SP))), "009000");
    assert_eq!(install_domain(&mut host, &mut card, SP, ""), "009000");
    select(&mut card, SP);
    assert!(Host::open_on(&mut card, &test_keys(), 0, 0x01, 0, 8).is_ok());
}

#[test]
fn replaced_keys_start_with_all_their_tries() {
    let profile = Profile { authentication_tries: Some(2), ..Profile::default() };
    let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
    let mut host = issuer(&mut card, 0x01);
    assert!(put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x31).ends_with("9000"));
    for sw in ["6982", "6982", "6983"] {
        let opened = Host::open_on(&mut card, &keys(9), 0x31, 0x01, 0, 8);
        assert_eq!(opened.err().as_deref(), Some(sw));
    }
    let mut host = issuer(&mut card, 0x01);
    let data = hex::encode(put_key_data(&test_keys(), &keys(0x23), 0x31, true));
    assert!(host.send(&mut card, &case4("80D83181", &data)).ends_with("9000"));
    assert!(Host::open_on(&mut card, &keys(0x23), 0x31, 0x01, 0, 8).is_ok());
}
