//! CAP files a card refuses: the refusal names component and offset, and the card is what it was.

use jpkise_cap::{Cap, LoadOptions};
use jpkise_jcvm::{Card, CardError, LinkError, Profile};

use super::bench::{cap, card, convert, options};
use super::support;

/// Where a component's info is in a load file: tag, two bytes of size, info.
fn info(bytes: &[u8], tag: u8) -> usize {
    let mut at = 0;
    while bytes[at] != tag {
        at += 3 + usize::from(u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]));
    }
    at + 3
}

const HEADER: u8 = 1;
const IMPORT: u8 = 4;
const CONSTANT_POOL: u8 = 5;
const METHOD: u8 = 7;

/// Loads bytes that must be refused; how.
fn refusal(bytes: &[u8]) -> String {
    let mut card = card(Profile::default());
    let before = (card.free_memory(), card.store().to_snapshot());
    let error = card.load(bytes).unwrap_err();
    assert_eq!((card.free_memory(), card.store().to_snapshot()), before, "the card has changed: {error}");
    assert!(card.packages().is_empty());
    match error {
        CardError::Link(error @ (LinkError::Refused { .. } | LinkError::Cap(_))) => error.to_string(),
        other => panic!("not a refusal to link: {other:?}"),
    }
}

#[test]
fn what_cannot_be_linked_is_refused_with_component_and_offset() {
    let Some(cap) = cap("views") else { return };
    let good = cap.load_file_data_block(LoadOptions::default());
    card(Profile::default()).load(&good).unwrap();
    let (header, import) = (info(&good, HEADER), info(&good, IMPORT));
    let (pool, method) = (info(&good, CONSTANT_POOL), info(&good, METHOD));
    let install = usize::from(cap.applet.as_ref().unwrap().applets[0].install_method_offset);
    // The last instruction of install is the call of register: 8B and a constant, then return.
    let code = &good[method..];
    let call = (install..code.len() - 3).find(|at| code[*at] == 0x8B && code[*at + 3] == 0x7A).unwrap();
    let api = cap.import.packages.iter().position(|p| p.aid.to_string() == "A0000000620101").unwrap();
    let imported: usize = cap.import.packages[..api].iter().map(|p| 3 + p.aid.as_bytes().len()).sum();
    let entry = import + 1 + imported;
    let statics = cap.constant_pool.entries.iter().position(|e| {
        matches!(e, jpkise_cap::model::CpInfo::StaticMethod(jpkise_cap::model::StaticRef::External { .. }))
    });
    let missing = pool + 2 + 4 * statics.unwrap();
    let rows: [(&str, usize, &[u8], &str); 9] = [
        (
            "wrong magic",
            header,
            &[0xDE, 0xCA, 0xFF, 0xEE],
            "Header component, offset 0x0000: magic is DECAFFEE",
        ),
        (
            "wrong format",
            header + 4,
            &[9],
            "Header component, offset 0x0004: CAP format 2.9 is not supported",
        ),
        (
            "an import the card lacks",
            entry + 3 + 5,
            &[0x7F],
            "Import component, offset 0x0000: imports package A0000000627F01, which is not on the card",
        ),
        (
            "an import in a newer version",
            entry,
            &[0x7F],
            "Import component, offset 0x0000: imports package A0000000620101 in version 1.127, the card has",
        ),
        ("an API class that is not there", missing + 2, &[0x7F], "ConstantPool component, offset"),
        ("an API method that is not there", missing + 3, &[0x7F], "ConstantPool component, offset"),
        ("a method that jumps outside", method + call, &[0xA8, 0x7F, 0xFF], "Method component, offset"),
        ("no instruction", method + call, &[0xFE], "Method component, offset"),
        ("a constant there is not", method + call + 1, &[0x7F, 0xFF], "Method component, offset"),
    ];
    for (name, at, bytes, expected) in rows {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let text = refusal(&bad);
        println!("{name}: {text}");
        assert!(text.starts_with(expected), "{name}: {text}");
        let offset = text.split("offset 0x").nth(1).is_some_and(|rest| rest.contains(':'));
        assert!(offset, "{name} names no offset: {text}");
    }
    for cut in [1, good.len() / 3, good.len() / 2, good.len() - 1] {
        refusal(&good[..cut]);
    }
}

#[test]
fn a_call_of_an_api_method_that_is_not_there_names_it() {
    if !support::has_javac() {
        return;
    }
    // In the tables of 3.0.5, not among what this runtime has.
    let source = "package unknown; import javacard.framework.*; import javacard.security.*;
        public class Unknown extends Applet {
            public static void install(byte[] b, short o, byte l) { new Unknown().register(); }
            public void process(APDU apdu) { JCSystem.makeGlobalArray((byte) 1, (short) 4); } }";
    let classes =
        support::javac("unknown", 8, &[("unknown/Unknown.java".to_owned(), source.to_owned())]).unwrap();
    let cap: Cap = convert(&classes, &[options("unknown")]).remove(0).cap;
    let text = refusal(&cap.load_file_data_block(LoadOptions::default()));
    assert!(text.contains("component, offset 0x") && text.contains("makeGlobalArray"), "{text}");
}

#[test]
fn ints_are_refused_by_a_card_without_them() {
    let Some(classes) = super::bench::classes() else { return };
    let mut with_int = options("views");
    with_int.int = true;
    let mut cap = convert(classes, &[with_int]).remove(0).cap;
    cap.header.flags |= 1;
    let profile = Profile { int_supported: false, ..Profile::default() };
    let mut card: Card = card(profile);
    let error = card.load_cap(&cap).unwrap_err().to_string();
    assert!(error.starts_with("Header component, offset 0x"), "{error}");
    assert!(card.packages().is_empty());
}
