//! What an applet sees of a command at T=1, T=0 and contactless, short and extended (JCRE chapter 9, class APDU).

use jpkise_jcvm::{Card, NoServices, Process, Profile, Protocol};

use super::bench::{cap, card, put, select};

fn prepared(profile: &Profile) -> Option<[Card; 2]> {
    let cap = cap("views")?;
    // Module 0 is View, 1 is Wide.
    Some([0, 1].map(|module| {
        let mut card = card(profile.clone());
        let instance = put(&mut card, &cap, module, "D27600017701");
        assert_eq!(select(&mut card, 0, instance), Ok(true));
        card
    }))
}

fn send(card: &mut Card, contactless: bool, apdu: &[u8]) -> String {
    let process = Process { channel: 0, contactless, apdu, selecting: false };
    hex::encode_upper(card.process(&process, &mut NoServices).unwrap())
}

const T0: Protocol = Protocol::T0;
const T1: Protocol = Protocol::T1;

#[test]
fn protocol_blocks_and_le_are_those_of_the_interface() {
    // Protocol, block in, block out, state before, Le, state after setOutgoing, interindustry, channel of the class byte.
    let rows = [
        (T1, false, "0020000000", "0100FE00FE00010003010090 00"),
        (T1, false, "002000000A", "0100FE00FE00000A03010090 00"),
        (T1, false, "80200000", "0100FE00FE00000003000090 00"),
        (T1, true, "0220000010", "8100FE00FE00001003010290 00"),
        (T0, false, "0020000000", "0000010102000100030100 9000"),
        // Case 1 at T=0 is P3 = 0, which cannot be told from Le = 256.
        (T0, false, "00200000", "0000010102000100030100 9000"),
        (T0, true, "4320000000", "8100FE00FE000100030107 9000"),
    ];
    for (protocol, contactless, apdu, expected) in rows {
        let Some([mut view, _]) = prepared(&Profile { protocol, ..Profile::default() }) else { return };
        let answer = send(&mut view, contactless, &hex::decode(apdu).unwrap());
        assert_eq!(answer, expected.replace(' ', ""), "{protocol:?} {contactless} {apdu}");
    }
}

/// Header, Lc, so many bytes, and Le.
fn with_data(count: usize, le: &[u8]) -> Vec<u8> {
    let mut apdu = vec![0x00, 0x22, 0x00, 0x00];
    match u8::try_from(count) {
        Ok(lc) => apdu.push(lc),
        Err(_) => apdu.extend([&[0][..], &u16::try_from(count).unwrap().to_be_bytes()].concat()),
    }
    apdu.extend((0..count).map(|i| u8::try_from(i % 251).unwrap()));
    apdu.extend(le);
    apdu
}

/// What the applet answers for `with_data`.
fn seen(first: usize, count: usize, offset: u16, le: u16) -> String {
    let sum = (0..count).fold(0u16, |sum, i| sum.wrapping_add(u16::try_from(i % 251).unwrap()));
    let (first, count) = (u16::try_from(first).unwrap(), u16::try_from(count).unwrap());
    format!("{first:04X}{count:04X}{offset:04X}{sum:04X}{le:04X}9000")
}

#[test]
fn data_arrives_in_as_many_pieces_as_the_card_has_room_for() {
    let profile = |protocol, incoming_block, apdu_buffer| Profile {
        protocol,
        incoming_block,
        apdu_buffer,
        ..Profile::default()
    };
    // Buffer and block of the card, bytes sent, bytes in the first piece.
    let rows = [
        (profile(T1, None, 261), 1, 1),
        (profile(T1, None, 261), 255, 255),
        (profile(T1, None, 133), 255, 128),
        (profile(T1, Some(32), 261), 255, 32),
        (profile(T0, None, 261), 200, 200),
        (profile(T0, Some(1), 261), 5, 1),
    ];
    for (profile, count, first) in rows {
        let Some([mut view, _]) = prepared(&profile) else { return };
        // Case 3, then case 4: at T=0 the data takes the place of Le, and 256 is assumed.
        let t0 = profile.protocol == T0;
        let answer = send(&mut view, false, &with_data(count, &[]));
        assert_eq!(answer, seen(first, count, 5, if t0 { 256 } else { 0 }), "{count} bytes");
        let answer = send(&mut view, false, &with_data(count, &[0x20]));
        assert_eq!(answer, seen(first, count, 5, if t0 { 256 } else { 32 }), "{count} bytes and Le");
    }
}

#[test]
fn extended_length_is_for_applets_that_say_so() {
    let Some([mut view, mut wide]) = prepared(&Profile::default()) else { return };
    let long = with_data(1000, &[0x00, 0x00]);
    assert_eq!(send(&mut view, false, &long), "6700");
    assert_eq!(send(&mut wide, false, &long), seen(254, 1000, 7, 32767));
    assert_eq!(send(&mut wide, false, &with_data(256, &[])), seen(254, 256, 7, 0));
    assert_eq!(send(&mut wide, false, &with_data(300, &[0x01, 0x00])), seen(254, 300, 7, 256));
    // A short command stays one.
    assert_eq!(send(&mut wide, false, &with_data(200, &[])), seen(200, 200, 5, 0));
    let answer = send(&mut wide, false, &hex::decode("00241388000000").unwrap());
    assert_eq!(answer.len(), 2 * 5002, "5,000 bytes in one answer");
    assert!(answer.ends_with("C89000"));
    assert_eq!(send(&mut view, false, &hex::decode("0024010000").unwrap()).len(), 2 * 258);
    // APDUException is no ISOException.
    assert_eq!(send(&mut view, false, &hex::decode("0024010100").unwrap()), "6F00", "257 bytes");
}
