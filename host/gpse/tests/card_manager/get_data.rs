//! GET DATA, and answers longer than a short one.

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{Tag, Tlv};

use crate::common::{card, exchange, send, unhex};
use crate::support::issuer;

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
