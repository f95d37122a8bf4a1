use super::{rule, JPKI};
use crate::ara::file::{parse_app, AppText, Presets};
use crate::ara::preset::{filters, CommandShape};
use crate::ara::{ApduAccess, DeviceApp, Rule, RuleFile, RuleFileError};

fn presets() -> Presets {
    let table = [CommandShape::any(0x00, 0xB0)];
    Presets::from([("read".to_owned(), filters(&table).unwrap())])
}

fn parse(text: &str) -> Result<Vec<Rule>, RuleFileError> {
    RuleFile::parse(text, &presets()).map(|file| file.rules)
}

const HASH: &str = "0101010101010101010101010101010101010101";

#[test]
fn a_rule_file_reads_as_the_module_shows_it() {
    let text = format!(
        r#"
format = 1
[[rule]]
comment = "everybody may read"
aid = "{JPKI}"
app = "all"
apdu = "read"
nfc = "never"

[[rule]]
aid = "D3 92 F0 00 26 01 00 00 00 01"
app = "sha1:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
apdu = ["00A40000/F0FF0000", "00200000/F0FF0000"]

[[rule]]
aid = "carrier"
app = "{HASH}"
package = "jp.example.carrier"
permissions = "0000000000000001"
"#
    );
    let rules = parse(&text).unwrap();
    assert_eq!(rules.len(), 3);
    assert_eq!(rules[0], rule(JPKI, 0, "00B00000/FCFF0000", Some(false)));
    assert_eq!(rules[1], rule(JPKI, 1, "00A40000/F0FF0000 00200000/F0FF0000", None));
    assert_eq!(rules[2].reference.package().unwrap().as_str(), "jp.example.carrier");
    assert!(parse("format = 1").unwrap().is_empty());
}

#[test]
fn a_wrong_file_names_the_line_and_what_is_wrong() {
    let with = |aid: &str, app: &str, rest: &str| {
        format!("format = 1\n\n[[rule]]\naid = \"{aid}\"\napp = \"{app}\"\n{rest}\n")
    };
    let twice = format!(
        "{0}[[rule]]\naid = \"all\"\napp = \"all\"\napdu = \"always\"\n",
        with("all", "all", "apdu = \"always\"")
    );
    let opposite = twice.replacen("always", "never", 1);
    for (text, error) in [
        (with("all", "all", "apdu = \"always\"\nhash = \"00\""), "line 7: unknown field"),
        (with("all", "all", "").replace("app = \"all\"", ""), "line 3: missing field `app`"),
        ("rule = 1".to_owned(), "line 1:"),
        ("format = 2".to_owned(), "format 2 is not known"),
        (with("all", "all", ""), "rule in line 3: the rule states no access"),
        (with("D392", "all", "apdu = \"always\""), "rule in line 3: aid = \"D392\""),
        (
            with("all", &HASH[..38], "apdu = \"always\""),
            "rule in line 3: a device application identifier has 0, 20 or 32 bytes, not 19",
        ),
        (with("all", &format!("sha256:{}", "ab".repeat(31)), "apdu = \"always\""), "bytes, not 31"),
        (with("all", "everyone", "apdu = \"always\""), "rule in line 3: app = \"everyone\""),
        (with("all", "all", "apdu = \"sometimes\""), "apdu = \"sometimes\""),
        (with("all", "all", "apdu = []"), "apdu = \"[]\""),
        (with("all", "all", "apdu = [\"00A4\"]"), "is no filter"),
        (
            with("all", "all", "apdu = [\"00A40400/F0FF0000\"]"),
            "no command can pass the filter 00A40400/F0FF0000",
        ),
        (with("all", "all", "nfc = \"yes\""), "nfc = \"yes\""),
        (with("all", "all", "permissions = \"01\""), "permissions = \"01\""),
        (
            with(JPKI, "all", "apdu = \"always\"\npackage = \"jp.example\""),
            "a package name stands in carrier rules only",
        ),
        (twice, "the rule in line 7 stands in line 3 already"),
        (opposite, "the rules in lines 3 and 7 contradict each other"),
    ] {
        let found = parse(&text).unwrap_err().to_string();
        assert!(found.contains(error), "{text}\n-> {found}");
    }
}

#[test]
fn rules_that_come_with_an_applet_all_name_it() {
    let entry = |aid: &str| format!("[[rule]]\naid = \"{aid}\"\napp = \"{HASH}\"\napdu = \"always\"\n");
    let parse =
        |rules: &str| RuleFile::parse_for(&format!("format = 1\n{rules}"), &presets(), JPKI.parse().unwrap());
    assert_eq!(parse(&entry(JPKI)).unwrap().rules.len(), 1);
    assert!(matches!(parse(""), Err(RuleFileError::NoRules(_))));
    for other in ["all", "default", "A000000001", "D392F00026"] {
        let error = parse(&(entry(JPKI) + &entry(other))).unwrap_err();
        assert!(matches!(error, RuleFileError::OtherApplet { line: 6, .. }), "{other}: {error}");
    }
}

#[test]
fn what_a_card_held_is_written_so_that_it_can_be_put_back() {
    let dead = rule(JPKI, 3, "00A40400/F0FF0000", Some(true));
    let rules = [
        rule("default", 1, "always", None),
        dead,
        rule("all", 0, "", Some(false)),
        rule("all", 0, "", Some(true)),
    ];
    let text = RuleFile::write(&[rules.as_slice(), &rules].concat(), "before the change\nof today");
    assert!(text.starts_with("# before the change\n# of today\nformat = 1\n"));
    assert_eq!(parse(&text).unwrap(), rules);
}

#[test]
fn device_applications_are_read_in_every_way_people_write_them() {
    let sha256 = DeviceApp::Sha256([0xAB; 32]);
    for (text, app) in [
        ("all".to_owned(), Ok(DeviceApp::All)),
        (HASH.to_owned(), Ok(DeviceApp::Sha1([1; 20]))),
        (["AB"; 32].join(":"), Ok(sha256)),
        (format!("sha256:{}", "ab".repeat(32)), Ok(sha256)),
        (format!("sha1:{}", "ab".repeat(32)), Err(AppText::Length(32))),
        (
            "uuid:00112233-4455-6677-8899-aabbccddeeff".to_owned(),
            Ok(DeviceApp::from_uuid([
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE,
                0xFF,
            ])),
        ),
        (String::new(), Err(AppText::Length(0))),
        ("sha1:zz".to_owned(), Err(AppText::NoMeaning)),
    ] {
        assert_eq!(parse_app(&text), app, "{text}");
    }
    let DeviceApp::Sha1(uuid) = DeviceApp::from_uuid([1; 16]) else { panic!() };
    assert_eq!(uuid[16..], [0xFF; 4]);
    assert!(
        matches!(presets()["read"].as_slice(), [filter] if ApduAccess::Filters(presets()["read"].clone()).allows(filter.header))
    );
}
