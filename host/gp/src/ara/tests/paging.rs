use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::{tlv, StatusWord};

use super::{rule, JPKI};
use crate::ara::answer::{get_config, read_all, read_refresh_tag, InterfaceVersion, Pages};
use crate::ara::{tag, AnswerFault, ReadError, Reading, Rule};

fn hex_of(command: &CommandApdu) -> String {
    hex::encode(command.to_bytes().unwrap())
}

/// Plays answers in order and asserts each command.
fn script(
    mut lines: Vec<(&'static str, Vec<u8>, u16)>,
) -> impl FnMut(&CommandApdu) -> Result<ResponseApdu, std::convert::Infallible> {
    move |command| {
        let (expected, data, sw) = lines.remove(0);
        assert_eq!(hex_of(command), expected);
        Ok(ResponseApdu::new(data, StatusWord(sw)))
    }
}

fn twelve() -> (Vec<Rule>, Vec<u8>) {
    let rules: Vec<Rule> = (1..=12).map(|app| rule(JPKI, app, "always", None)).collect();
    let value: Vec<u8> = rules.iter().flat_map(Rule::to_bytes).collect();
    (rules, tlv::object(0xFF40, &value))
}

const ALL: &str = "80caff4000";
const NEXT: &str = "80caff6000";

#[test]
fn a_list_is_read_to_its_declared_end() {
    let (rules, bytes) = twelve();
    let pages: Vec<Vec<u8>> = bytes.chunks(255).map(<[u8]>::to_vec).collect();
    let list = read_all(
        script(vec![
            (ALL, pages[0].clone(), 0x9000),
            (NEXT, pages[1].clone(), 0x9000),
            (NEXT, pages[2].clone(), 0x9000),
        ]),
        Reading::Strict,
    );
    assert_eq!(list.unwrap().rules, rules);
    for empty in [(ALL, vec![0xFF, 0x40, 0x00], 0x9000), (ALL, vec![], 0x6A88)] {
        assert!(read_all(script(vec![empty]), Reading::Strict).unwrap().rules.is_empty());
    }
}

#[test]
fn a_change_between_pages_starts_the_list_anew() {
    let (rules, bytes) = twelve();
    for sw in [0x6984, 0x6A84] {
        let lines = vec![
            (ALL, bytes[..255].to_vec(), 0x9000),
            (NEXT, vec![], sw),
            (ALL, bytes[..400].to_vec(), 0x9000),
            (NEXT, bytes[400..].to_vec(), 0x9000),
        ];
        assert_eq!(read_all(script(lines), Reading::Strict).unwrap().rules, rules);
    }
    let restless = (0..3).flat_map(|_| [(ALL, bytes[..255].to_vec(), 0x9000), (NEXT, vec![], 0x6984)]);
    let error = read_all(script(restless.collect()), Reading::Strict).unwrap_err();
    assert!(matches!(error, ReadError::Answer(AnswerFault::KeepsChanging)));
}

#[test]
fn pages_that_do_not_fit_are_refused() {
    let (_, bytes) = twelve();
    let declared = bytes.len();
    let first = |page: &[u8]| Pages::first(tag::RESPONSE_ALL_REF_AR_DO, page);
    for head in ["", "ff", "ff40", "ff50", "ff5000", "ff4080", "ff4084", "ff4081", "ff408200", "ff4083ffffff"]
    {
        let fault = first(&hex::decode(head).unwrap()).unwrap_err();
        assert!(matches!(fault, AnswerFault::Template { .. }), "{head}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(first(&longer).unwrap_err(), AnswerFault::TooLong { declared, found: declared + 1 });
    let begun = first(&bytes[..255]).unwrap();
    assert_eq!(begun.clone().next(&[]).unwrap_err(), AnswerFault::TooShort { declared, found: 255 });
    assert!(begun.clone().next(&bytes).is_err());
    assert!(begun.whole().is_err());
    let short = vec![(ALL, bytes[..255].to_vec(), 0x9000), (NEXT, vec![], 0x6A88)];
    let error = read_all(script(short), Reading::Strict).unwrap_err();
    assert!(matches!(error, ReadError::Answer(AnswerFault::TooShort { .. })));
    let error = read_all(script(vec![(ALL, vec![], 0x6F00)]), Reading::Strict).unwrap_err();
    assert!(matches!(error, ReadError::Answer(AnswerFault::Status(StatusWord::UNKNOWN))));
}

#[test]
fn refresh_tag_and_configuration_are_read() {
    let answer = hex::decode("df2008a1b2c3d4e5f60718").unwrap();
    let tag = read_refresh_tag(script(vec![("80cadf2000", answer, 0x9000)])).unwrap();
    assert_eq!(tag.to_string(), "A1B2C3D4E5F60718");
    assert_eq!(hex_of(&get_config(InterfaceVersion::V1_1)), "80cadf2107e405e60301010000");
    let config = hex::decode("df2107e505e603010100").unwrap();
    assert_eq!(InterfaceVersion::from_bytes(&config).unwrap(), InterfaceVersion::V1_1);
    assert!(InterfaceVersion::from_bytes(&config[..8]).is_err());
}
