//! PUT KEY, DELETE [key], commands chained by P1.

use jpkise_card::CommandApdu;
use jpkise_gpse::profile::key_version;
use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::StaticKeys;

use crate::common::{card, case4, exchange, put_key_data, send, unhex, Host, TEST_KEY};
use crate::support::{issuer, keys, put_keys, test_keys};

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
