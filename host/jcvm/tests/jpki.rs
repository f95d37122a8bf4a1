//! The JPKI applet's CAP on the virtual machine: its whole life, no allocation after install, power cuts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::{aid, card, jpki_cap, OpenChannel, Session};
use jpkise_jcvm::{CardError, Process};
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier;
use rsa::{BigUint, RsaPublicKey};
use sha2::{Digest, Sha256};

const INSTANCE: &str = "D392F000260100000001";
const AUTH: u8 = 1;
const SIGN: u8 = 2;

type Card = Session<OpenChannel>;

fn session() -> Option<Card> {
    let cap = jpki_cap()?;
    let mut session = Session::new(card(), OpenChannel, &cap, aid(INSTANCE), &[]);
    select(&mut session);
    Some(session)
}

fn select(s: &mut Card) {
    s.card.select(0, aid(INSTANCE), &mut s.services).unwrap();
    let command = hex::decode("00A4040C0AD392F000260100000001").unwrap();
    assert_eq!(s.send_bytes(&command, true), [0x90, 0x00]);
}

fn admin(s: &mut Card, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
    let mut apdu = vec![0x84, ins, p1, p2, u8::try_from(data.len()).unwrap()];
    apdu.extend(data);
    if data.is_empty() {
        apdu.pop();
    }
    apdu.push(0);
    s.send_bytes(&apdu, false)
}

#[allow(clippy::needless_pass_by_value)]
fn ok(answer: Vec<u8>) -> Vec<u8> {
    let (data, sw) = answer.split_at(answer.len() - 2);
    assert_eq!(sw, [0x90, 0x00], "status {sw:02X?}");
    data.to_vec()
}

/// What GET DATA gives page by page.
fn pages(s: &mut Card, tag: u16, key: u8) -> Vec<u8> {
    let [p1, p2] = tag.to_be_bytes();
    let mut out = Vec::new();
    for page in 0.. {
        let answer = admin(s, 0xCA, p1, p2, &[key, page]);
        if answer == [0x6B, 0x00] {
            break;
        }
        out.extend(ok(answer));
    }
    out
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        n @ 0..0x80 => out.push(n as u8),
        n @ 0x80..0x100 => out.extend([0x81, n as u8]),
        n => out.extend([&[0x82][..], &(n as u16).to_be_bytes()].concat()),
    }
    out.extend(value);
    out
}

/// The outline of a certificate (RFC 5280 4.1) for a key; the signature is nobody's.
fn certificate(modulus: &[u8]) -> Vec<u8> {
    let rsa = tlv(0x30, &hex::decode("06092A864886F70D0101010500").unwrap());
    let modulus = tlv(2, &[&[0], modulus].concat());
    let key = tlv(0x30, &[modulus, tlv(2, &[1, 0, 1])].concat());
    let info = tlv(0x30, &[rsa.clone(), tlv(3, &[&[0], &key[..]].concat())].concat());
    let name = tlv(0x30, &[0; 40]);
    let fields =
        [tlv(0xA0, &tlv(2, &[2])), tlv(2, &[5]), rsa.clone(), name.clone(), tlv(0x30, &[0; 30]), name, info];
    tlv(0x30, &[tlv(0x30, &fields.concat()), rsa, tlv(3, &[0; 257])].concat())
}

fn store_data(s: &mut Card, dgi: u16, value: &[u8]) {
    let mut list = dgi.to_be_bytes().to_vec();
    match u8::try_from(value.len()) {
        Ok(len) if len < 0xFF => list.push(len),
        _ => list.extend([&[0xFF][..], &(value.len() as u16).to_be_bytes()].concat()),
    }
    list.extend(value);
    let blocks: Vec<&[u8]> = list.chunks(200).collect();
    for (number, block) in blocks.iter().enumerate() {
        let p1 = if number + 1 == blocks.len() { 0x88 } else { 0x08 };
        ok(admin(s, 0xE2, p1, number as u8, block));
    }
}

fn secret_block(secret: &[u8]) -> Vec<u8> {
    let mut block = vec![0x55; 8];
    block.push(secret.len() as u8);
    block.extend(secret);
    block.resize(32, 0xAA);
    block
}

fn open_channel(s: &mut Card) {
    ok(s.send_bytes(&hex::decode("80500000080102030405060708 00".replace(' ', "")).unwrap(), false));
    ok(admin(s, 0x82, 0x33, 0, &[0; 16]));
}

/// From EMPTY to ACTIVE; the modulus.
fn personalize(s: &mut Card, key: u8, secret: &str) -> Vec<u8> {
    open_channel(s);
    ok(admin(s, 0x46, key, 0, &[]));
    let public = pages(s, 0x7F49, key);
    let at = public.windows(4).position(|w| w == [0x81, 0x82, 1, 0]).unwrap() + 4;
    let modulus = public[at..at + 256].to_vec();
    let (file, temporary) = if key == AUTH { (0x000A, 0x8201) } else { (0x0001, 0x8202) };
    store_data(s, file, &certificate(&modulus));
    let first: &[u8] = if key == AUTH { b"9876" } else { b"TEMPORARY1" };
    store_data(s, temporary, &secret_block(first));
    let reference = if key == AUTH { 0x98 } else { 0x9B };
    let mut data = first.to_vec();
    if key == SIGN {
        data.resize(16, 0xFF);
    }
    data.extend(secret.as_bytes());
    let mut apdu = vec![0x00, 0x24, 0x00, reference, data.len() as u8];
    apdu.extend(data);
    ok(s.send_bytes(&apdu, false));
    modulus
}

fn verify_pin(s: &mut Card, reference: u8, secret: &[u8]) -> String {
    let mut apdu = vec![0x00, 0x20, 0x00, reference, secret.len() as u8];
    apdu.extend(secret);
    hex::encode_upper(s.send_bytes(&apdu, false))
}

#[test]
fn the_applet_lives_its_whole_life() {
    let Some(mut s) = session() else { return };
    assert_eq!(s.send("80CADF3000"), "0001000301059000");
    let modulus = personalize(&mut s, AUTH, "1234");
    personalize(&mut s, SIGN, "PASSWORD1");
    let before = s.card.free_memory();
    select(&mut s);
    assert_eq!(s.send("00200098"), "63C3");
    assert_eq!(verify_pin(&mut s, 0x98, b"1111"), "63C2");
    assert_eq!(s.send("802A0097 03 414243 00"), "6982");
    assert_eq!(verify_pin(&mut s, 0x98, b"1234"), "9000");

    // DigestInfo of SHA-256, signed verbatim.
    let digest = Sha256::digest(b"message");
    let info = [&hex::decode("3031300D060960864801650304020105000420").unwrap()[..], &digest].concat();
    let mut apdu = vec![0x80, 0x2A, 0x00, 0x97, info.len() as u8];
    apdu.extend(&info);
    apdu.push(0);
    let signature = ok(s.send_bytes(&apdu, false));
    let key = RsaPublicKey::new(BigUint::from_bytes_be(&modulus), BigUint::from(65537u32)).unwrap();
    let verifier = VerifyingKey::<Sha256>::new(key);
    verifier.verify(b"message", &Signature::try_from(&signature[..]).unwrap()).unwrap();

    // The certificate comes back as it was written.
    let mut read = Vec::new();
    assert_eq!(s.send("00A4020C02000A"), "9000");
    while read.len() < certificate(&modulus).len() {
        let [high, low] = (read.len() as u16).to_be_bytes();
        read.extend(ok(s.send_bytes(&[0x00, 0xB0, high, low, 0], false)));
    }
    assert_eq!(read, certificate(&modulus));

    // Three wrong ones block, and a reset gives no try back.
    select(&mut s);
    for expected in ["63C2", "63C1", "63C0", "6984"] {
        s.card.power_up().unwrap();
        select(&mut s);
        assert_eq!(verify_pin(&mut s, 0x98, b"0000"), expected);
    }
    open_channel(&mut s);
    ok(admin(&mut s, 0xE4, 0xFF, 0, &[]));
    assert_eq!(s.card.free_memory(), before, "nothing is allocated after installation");
}

#[test]
fn deletion_and_uninstall_leave_the_memory_as_it_was() {
    let Some(cap) = jpki_cap() else { return };
    let empty = card();
    let mut s = Session::new(empty.clone(), OpenChannel, &cap, aid(INSTANCE), &[]);
    let package = s.card.packages()[0].aid;
    assert!(matches!(s.card.delete(&[aid(INSTANCE)], &mut s.services), Err(CardError::Refused(0x6985))));
    assert!(matches!(s.card.unload(package), Err(CardError::Refused(0x6985))));
    s.card.deselect(0, &mut s.services).unwrap();
    s.card.delete(&[aid(INSTANCE)], &mut s.services).unwrap();
    s.card.settle(&[package], &[]).unwrap();
    assert!(s.card.instances().is_empty());
    s.card.unload(package).unwrap();
    s.card.settle(&[], &[]).unwrap();
    assert_eq!(s.card.free_memory(), empty.free_memory());
}

/// A command on a card whose power is cut after `n` writes; whether it got to its end.
fn cut(s: &mut Card, apdu: &[u8], n: u64) -> bool {
    s.card.cut_power_after(Some(n));
    let command = Process { channel: 0, contactless: false, apdu, selecting: false };
    match s.card.process(&command, &mut s.services) {
        Ok(_) => true,
        Err(CardError::PowerLost) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_wrong_pin_costs_a_try_wherever_the_power_is_cut() {
    let Some(mut s) = session() else { return };
    personalize(&mut s, AUTH, "1234");
    select(&mut s);
    let base = s.card.clone();
    let apdu = hex::decode("002000980430303030").unwrap();
    for n in 0.. {
        s.card = base.clone();
        let done = cut(&mut s, &apdu, n);
        s.card.power_up().unwrap();
        select(&mut s);
        let left = s.send("00200098");
        // Before the first write nothing is known to have happened; the answer never left the card either.
        assert_eq!(left, if n == 0 { "63C3" } else { "63C2" }, "cut after {n}");
        if done {
            break;
        }
    }
}

#[test]
fn a_pin_change_is_done_or_not_done_wherever_the_power_is_cut() {
    let Some(mut s) = session() else { return };
    personalize(&mut s, AUTH, "1234");
    select(&mut s);
    assert_eq!(verify_pin(&mut s, 0x98, b"1234"), "9000");
    let base = s.card.clone();
    let apdu = hex::decode("002401980435363738").unwrap();
    let (mut old, mut new) = (0, 0);
    for n in 0.. {
        s.card = base.clone();
        let done = cut(&mut s, &apdu, n);
        s.card.power_up().unwrap();
        select(&mut s);
        if verify_pin(&mut s, 0x98, b"5678") == "9000" {
            new += 1;
        } else {
            assert_eq!(verify_pin(&mut s, 0x98, b"1234"), "9000", "cut after {n}");
            old += 1;
        }
        if done {
            break;
        }
    }
    assert!(old > 5 && new >= 1, "{old} {new}");
}
