//! Keys beside an SCP03 set by PUT KEY: public ones, single ones, with qualifiers; keys by STORE DATA.

use jpkise_gpse::profile::key_version;
use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::{AesKey, StaticKeys};

use crate::common::{case4, send, unhex, Host, TEST_KEY};
use crate::support::{install_domain, issuer, keys, select, test_keys, SP};

const OWN: &str = "C00401308810C00402308810C00403308810";

fn information(host: &mut Host, card: &mut GpSe) -> String {
    host.send(card, "80CA00E000")
}

/// E0 with these entries behind the issuer's own keys, and 9000.
fn template(entries: &str) -> String {
    let content = format!("{OWN}{entries}");
    format!("E0{:02X}{content}9000", content.len() / 2)
}

fn put(host: &mut Host, card: &mut GpSe, p1p2: &str, data: &str) -> String {
    let bytes = unhex(data);
    let length = match u8::try_from(bytes.len()) {
        Ok(short) => format!("{short:02X}"),
        Err(_) => format!("00{:04X}", bytes.len()),
    };
    let le = if bytes.len() > 255 { "0000" } else { "00" };
    host.send(card, &format!("80D8{p1p2}{length}{data}{le}"))
}

#[test]
fn public_keys_are_kept_shown_replaced_and_deleted() {
    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x33);
    let rsa = |byte: &str, len: usize| {
        let length = if len > 255 { format!("82{len:04X}") } else { format!("81{len:02X}") };
        format!("A1{length}{}C1A003010001", byte.repeat(len - 1).replacen(byte, "C5", 1))
    };
    let point = |byte: &str| format!("B04104{}F00100", byte.repeat(64));
    // As GlobalPlatformPro sends them: token key 70, DAP key 73.
    assert_eq!(put(&mut host, &mut card, "0001", &format!("70{}00", rsa("AB", 256))), "709000");
    assert_eq!(put(&mut host, &mut card, "0001", &format!("73{}00", point("11"))), "739000");
    // A modulus of 128 bytes, its length in the one byte of LV fields.
    let short = rsa("AB", 128).replacen("8180", "80", 1);
    assert_eq!(put(&mut host, &mut card, "0001", &format!("71{short}00")), "719000");
    assert_eq!(put(&mut host, &mut card, "0001", &format!("73{}00", point("11"))), "6A80", "there already");
    assert_eq!(put(&mut host, &mut card, "7301", &format!("73{}00", point("22"))), "739000", "replaced");
    assert_eq!(put(&mut host, &mut card, "7301", &format!("73{}00", rsa("AB", 128))), "6A80", "another type");
    assert_eq!(
        put(&mut host, &mut card, "7001", &format!("70{}00", rsa("AB", 128))),
        "6A80",
        "another length"
    );
    assert_eq!(put(&mut host, &mut card, "7001", &format!("70{}00", rsa("BC", 256))), "709000");
    let shown = information(&mut host, &mut card);
    assert_eq!(shown, template("C00C0170FFA10100FFA000030000C0060173B041F001C0060171A180A003"));
    // They serve no session, and the set that does is untouched.
    assert_eq!(send(&mut card, "8050700008010203040506070800"), "6A88");
    let mut host = issuer(&mut card, 0x33);
    for (data, sw) in
        [("D20173", "009000"), ("D20173", "6A88"), ("D00101D20170", "009000"), ("D20171", "009000")]
    {
        assert_eq!(host.send(&mut card, &case4("80E40000", data)), sw, "{data}");
    }
    assert_eq!(information(&mut host, &mut card), template(""));
}

#[test]
fn a_key_that_is_none_is_refused() {
    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x03);
    let modulus = format!("C1{}", "AB".repeat(127));
    let point = "11".repeat(64);
    for (what, data) in [
        ("short modulus", format!("71A17F{}A00301000100", &modulus[2..])),
        ("even modulus", format!("71A18180{}ACA00301000100", &modulus[..254])),
        ("no leading bit", format!("71A1818041{}A00301000100", &modulus[2..])),
        ("no exponent", format!("71A18180{modulus}00")),
        ("even exponent", format!("71A18180{modulus}A00301000000")),
        ("exponent first", format!("71A003010001A18180{modulus}00")),
        ("check value of a public key", format!("71A18180{modulus}A00301000103AABBCC")),
        ("no check value length", format!("71A18180{modulus}A003010001")),
        ("compressed point", format!("73B02102{}F0010000", &point[..64])),
        ("curve unknown", format!("73B04104{point}F0010300")),
        ("point of another curve", format!("73B04104{point}F0010100")),
        ("no curve", format!("73B04104{point}00")),
        ("DES", "7080100011223344556677889900AABBCCDDEEFF00".to_owned()),
        ("PSK", "7085100011223344556677889900AABBCCDDEEFF00".to_owned()),
        ("extended with a plain part", format!("71FFA18180{modulus}A003010001000000")),
        ("extended without qualifiers", format!("71FFA18180{modulus}FFA00301000100")),
        ("access of two bytes", format!("71FFA18180{modulus}FFA0030100010001840200FF")),
        ("no key", "71".to_owned()),
        ("version 00", format!("00A18180{modulus}A00301000100")),
        ("version 80", format!("80A18180{modulus}A00301000100")),
    ] {
        assert_eq!(put(&mut host, &mut card, "0001", &data), "6A80", "{what}");
    }
    assert_eq!(information(&mut host, &mut card), template(""));
}

#[test]
fn qualifiers_come_and_are_shown_in_the_extended_format() {
    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x33);
    let key = AesKey::new(&[0x42; 16]).unwrap();
    let block = hex::encode_upper(Host::encipher(&test_keys(), key.expose()));
    let kcv = hex::encode_upper(key.check_value().0);
    let data = format!("75FF881110{block}03{kcv}01840101");
    assert_eq!(put(&mut host, &mut card, "0001", &data), format!("75{kcv}9000"));
    let other_form = format!("76FF8810{block}03{kcv}000100");
    assert_eq!(put(&mut host, &mut card, "0005", &other_form), format!("76{kcv}9000"));
    let shown = information(&mut host, &mut card);
    assert_eq!(shown, template("C00A0175FF88001001840101C0090576FF880010000100"));
    // One key by itself, then more to the same version, then a third that makes it a set.
    let single = format!("77881110{block}03{kcv}");
    for id in 1..=3u8 {
        let mut host = issuer(&mut card, 0x33);
        assert_eq!(put(&mut host, &mut card, &format!("00{id:02X}"), &single), format!("77{kcv}9000"));
        let opened = Host::open_on(&mut card, &StaticKeys::same(&[0x42; 16]).unwrap(), 0x77, 0x33, 0, 8);
        assert_eq!(opened.is_ok(), id == 3);
    }
}

#[test]
fn a_check_value_is_compared_wherever_there_is_one() {
    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x33);
    let key = AesKey::new(&[0x42; 32]).unwrap();
    let block = hex::encode_upper(Host::encipher(&test_keys(), key.expose()));
    let kcv = hex::encode_upper(key.check_value().0);
    let wrong = "000000";
    assert_eq!(put(&mut host, &mut card, "0001", &format!("75882120{block}03{wrong}")), "6982");
    assert_eq!(put(&mut host, &mut card, "0001", &format!("75882120{block}02{}", &wrong[..4])), "6A80");
    // A refusal is the command's, not the channel's.
    assert_eq!(put(&mut host, &mut card, "0001", &format!("75882120{block}00")), format!("75{kcv}9000"));
}

/// DGI 00B9 and 8113 for three keys of their own description each.
fn groupings(dek: &StaticKeys, new: &StaticKeys, kvn: u8) -> String {
    let parts = [(1, &new.enc, 0x38), (2, &new.mac, 0x34), (3, &new.dek, 0xC8)];
    let described: String = parts
        .iter()
        .map(|(id, key, usage)| {
            let kcv = hex::encode(key.check_value().0);
            let length = key.expose().len();
            let inner =
                format!("9501{usage:02X}9601008001888101{length:02X}8201{id:02X}8301{kvn:02X}8403{kcv}");
            format!("B9{:02X}{inner}", inner.len() / 2)
        })
        .collect();
    let ciphered: String = parts
        .iter()
        .map(|(_, key, _)| {
            let mut padded = key.expose().to_vec();
            padded.resize(padded.len().next_multiple_of(16), 0x5A);
            let block = Host::encipher(dek, &padded);
            format!("8113{:02X}{}", block.len(), hex::encode(block))
        })
        .collect();
    format!("00B9{:02X}{described}{ciphered}", described.len() / 2)
}

fn store(host: &mut Host, card: &mut GpSe, data: &str) -> String {
    let pieces: Vec<&str> = data.as_bytes().chunks(400).map(|c| std::str::from_utf8(c).unwrap()).collect();
    let mut answer = String::new();
    for (number, piece) in pieces.iter().enumerate() {
        let p1 = if number + 1 == pieces.len() { 0x88 } else { 0x08 };
        answer = host.send(card, &format!("80E2{p1:02X}{number:02X}{:02X}{piece}", piece.len() / 2));
        if answer != "9000" {
            break;
        }
    }
    answer
}

#[test]
fn store_data_gives_a_domain_its_keys_and_makes_it_personalized() {
    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x33);
    assert_eq!(install_domain(&mut host, &mut card, SP, ""), "009000");
    for (length, kvn) in [(16, 0x30), (24, 0x31), (32, 0x32)] {
        select(&mut card, SP);
        let session = if kvn == 0x30 { test_keys() } else { keys(0x10) };
        let mut host = Host::open(&mut card, &session, 0, 0x33);
        let new = StaticKeys::same(&vec![if length == 16 { 0x10 } else { 0x99 }; length]).unwrap();
        assert_eq!(store(&mut host, &mut card, &groupings(&session, &new, kvn)), "9000", "{length}");
        assert!(Host::open_on(&mut card, &new, kvn, 0x33, 0, 8).is_ok(), "{length}");
    }
    let shown = send(&mut card, "00A4040000");
    assert!(shown.ends_with("9000"));
    let mut host = issuer(&mut card, 0x01);
    let states = host.send(&mut card, "80F24002024F0000");
    assert!(states.contains(&format!("{SP}9F70010F")), "PERSONALIZED: {states}");
    // The same version again replaces the keys and starts its counter anew.
    select(&mut card, SP);
    let mut host = Host::open(&mut card, &keys(0x10), 0x30, 0x33);
    assert_eq!(store(&mut host, &mut card, &groupings(&keys(0x10), &keys(0x11), 0x30)), "9000");
    assert!(send(&mut card, "8050300008010203040506070800").ends_with("0000019000"));
    assert!(Host::open_on(&mut card, &keys(0x11), 0x30, 0x33, 0, 8).is_ok());
}

#[test]
fn groupings_of_keys_are_stored_whole_or_not_at_all() {
    let mut card = crate::common::card();
    let mut host = issuer(&mut card, 0x33);
    let good = groupings(&test_keys(), &keys(0x21), 0x31);
    let key = &good[good.len() - 38..];
    let without_keys = &good[..good.len() - 3 * 38];
    let wrong_value = good.replacen(&hex::encode(keys(0x21).enc.check_value().0), "000000", 1);
    for (what, data, sw) in [
        ("a key missing", good[..good.len() - 38].to_owned(), "6A80"),
        ("a key too many", format!("{good}{key}"), "6A80"),
        ("descriptions alone", without_keys.to_owned(), "6A80"),
        ("a key alone", key.to_owned(), "6A80"),
        ("something in between", format!("{without_keys}00700442020102"), "6A80"),
        ("check value", wrong_value, "6982"),
        ("type", good.replacen("800188", "800180", 1), "6A80"),
        ("length", good.replacen("810110", "810118", 1), "6A80"),
        ("identifier of two bytes", good.replacen("820101", "82020101", 1), "6A80"),
        ("another grouping", format!("{good}00720100"), "6A88"),
        ("an object that cannot be stored", format!("{good}007005C103000001"), "6A88"),
        ("cut", good[..good.len() - 2].to_owned(), "6A80"),
    ] {
        assert_eq!(store(&mut host, &mut card, &data), sw, "{what}");
        assert_eq!(information(&mut host, &mut card), template(""), "{what}");
    }
    // Another type or length in the place of a key that is there.
    assert_eq!(store(&mut host, &mut card, &good), "9000");
    let longer = StaticKeys::same(&[0x21; 32]).unwrap();
    assert_eq!(store(&mut host, &mut card, &groupings(&test_keys(), &longer, 0x31)), "6A80");
    // With objects in one command, all of it.
    let both = format!("{}0070064204AABBCCDD", groupings(&test_keys(), &keys(0x22), 0x31));
    assert_eq!(store(&mut host, &mut card, &both), "9000");
    assert_eq!(host.send(&mut card, "80CA004200"), "4204AABBCCDD9000");
    assert!(Host::open_on(&mut card, &keys(0x22), 0x31, 0x33, 0, 8).is_ok());
}

#[test]
fn keys_as_another_library_writes_them_are_taken() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/scp03/store-data-keys.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    for vector in file["vectors"].as_array().unwrap() {
        let hex = |value: &serde_json::Value| unhex(value.as_str().unwrap());
        let test_key = unhex(TEST_KEY);
        let profile = Profile::default()
            .with_keys(key_version(0x30, &test_key, &test_key, &hex(&vector["dek"])).unwrap());
        let mut card = GpSe::in_memory(profile, Box::new(NoApplets)).unwrap();
        let mut host = issuer(&mut card, 0x03);
        assert_eq!(store(&mut host, &mut card, vector["data"].as_str().unwrap()), "9000");
        let given: Vec<AesKey> =
            vector["keys"].as_array().unwrap().iter().map(|k| AesKey::new(&hex(k)).unwrap()).collect();
        let [enc, mac, dek] = <[AesKey; 3]>::try_from(given).unwrap();
        let keys = StaticKeys::new(enc, mac, dek).unwrap();
        let mut host = Host::open(&mut card, &keys, 0x01, 0x33);
        assert!(information(&mut host, &mut card).contains("01FF88001000"), "access, no usage");
    }
}
