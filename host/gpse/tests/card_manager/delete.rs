//! DELETE [card content].

use crate::common::{case4, send, ISD};
use crate::support::{aid_object, card_with_applets, install, issuer, ONE, PACKAGE, TWO};

#[test]
fn delete_refuses_what_is_in_use_or_in_rom() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    install(&mut host, &mut card, ONE, "00", "");
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(send(&mut card, &format!("01A4040C09{ONE}")), "9000");
    for (header, data, sw) in [
        ("80E40000", aid_object(ONE), "6985"),
        ("80E40000", aid_object(ISD), "6985"),
        ("80E40000", aid_object(PACKAGE), "6985"),
        ("80E40080", aid_object(PACKAGE), "6985"),
        ("80E40000", aid_object(TWO), "6A88"),
        ("80E40000", "4F04F0F0F0F0".to_owned(), "6A80"),
        ("80E40000", "4F".to_owned(), "6A80"),
        ("80E40000", format!("{}D20130", aid_object(ONE)), "6A80"),
        ("80E40001", aid_object(ONE), "6A86"),
        ("80E40100", aid_object(ONE), "6A86"),
    ] {
        assert_eq!(host.send(&mut card, &case4(header, &data)), sw, "{header} {data}");
    }
    assert_eq!(send(&mut card, "00708001"), "9000");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(ONE))), "009000");
    let log = log.lock().unwrap();
    assert_eq!(log[log.len() - 2..], [format!("delete {ONE}"), "settled ".to_owned()]);
}
