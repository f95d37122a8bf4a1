//! The published vectors: those made for this project stand in `tests/data`, those of other projects beside the checkout.

use std::path::{Path, PathBuf};

use jpkise_card::CommandApdu;
use jpkise_wire::StatusWord;
use serde_json::Value;

use crate::ara::answer::{specific_from_bytes, Pages};
use crate::ara::{
    tag, AidRef, ApduAccess, NfcAccess, Reading, RefreshTag, Rule, RuleList, RuleSet, StoreCommand,
};

fn read(path: &Path) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(path).ok()?;
    let document: Value = serde_json::from_str(&text).unwrap();
    Some(document["vectors"].as_array().unwrap().clone())
}

/// All vectors of a file, with one line when those of other projects are not there.
fn vectors(name: &str) -> Vec<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut all = read(&root.join("tests/data/ara").join(name)).unwrap();
    match read(&root.join("../../../shared/vectors/ara").join(name)) {
        Some(shared) => {
            all.extend(
                shared
                    .into_iter()
                    .filter(|v| !v["source"].as_str().unwrap().starts_with("made for this project")),
            );
        }
        None => println!("skipped: vectors of other projects in {name} are not here"),
    }
    all
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    hex::decode(vector[field].as_str().unwrap()).unwrap()
}

/// A rule in the notation of the vectors.
fn described(rule: &Rule) -> Value {
    let mut out = serde_json::Map::new();
    let aid = match rule.reference.aid() {
        AidRef::Absent => "ffffffffffff".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    out.insert("aid".into(), aid.into());
    out.insert("device_app_id".into(), hex::encode(rule.reference.device_app().as_bytes()).into());
    if let Some(package) = rule.reference.package() {
        out.insert("pkg".into(), package.as_str().into());
    }
    let apdu = rule.access.apdu().map(|apdu| match apdu {
        ApduAccess::Never => Value::from("never"),
        ApduAccess::Always => Value::from("always"),
        ApduAccess::Filters(filters) => filters
            .as_slice()
            .iter()
            .map(|f| serde_json::json!({"header": hex::encode(f.header), "mask": hex::encode(f.mask)}))
            .collect(),
    });
    if let Some(apdu) = apdu {
        out.insert("apdu".into(), apdu);
    }
    if let Some(nfc) = rule.access.nfc() {
        out.insert("nfc".into(), if nfc == NfcAccess::Always { "always" } else { "never" }.into());
    }
    if let Some(permissions) = rule.access.permissions() {
        out.insert("perm".into(), hex::encode(permissions.0).into());
    }
    Value::Object(out)
}

fn stored(object: &[u8]) -> Rule {
    match StoreCommand::from_bytes(object, &mut Vec::new()).unwrap() {
        StoreCommand::Store(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn well_formed_rules_decode_as_described_and_encode_to_the_same_bytes() {
    let mut passed = 0;
    for vector in vectors("rules.json") {
        let (id, input) = (vector["id"].as_str().unwrap(), bytes(&vector, "hex"));
        let decoded: Vec<Value> = match vector["kind"].as_str().unwrap() {
            "response-all" => {
                let list = RuleList::from_bytes(&input, Reading::Strict).unwrap();
                let value: Vec<u8> = list.rules.iter().flat_map(Rule::to_bytes).collect();
                assert_eq!(jpkise_wire::tlv::object(0xFF40, &value), input, "{id}");
                list.rules.iter().map(described).collect()
            }
            "ref-ar-do" => {
                let rule = Rule::from_bytes(&input, Reading::Strict).unwrap();
                assert_eq!(rule.to_bytes(), input, "{id}");
                vec![described(&rule)]
            }
            "store" => {
                let rule = stored(&input);
                assert_eq!(StoreCommand::Store(rule.clone()).to_bytes(), input, "{id}");
                vec![described(&rule)]
            }
            "refresh-tag" => vec![hex::encode(RefreshTag::from_bytes(&input).unwrap().0).into()],
            "response-specific" => {
                let access = specific_from_bytes(&input, Reading::Strict).unwrap();
                vec![hex::encode(access.to_bytes()).into()]
            }
            other => panic!("{id}: kind {other}"),
        };
        assert_eq!(Value::from(decoded), vector["decoded"], "{id}");
        passed += 1;
    }
    assert!(passed >= 7);
    println!("rules.json: {passed}");
}

#[test]
fn malformed_objects_are_refused_by_both_ways_of_reading() {
    let mut passed = 0;
    for vector in vectors("rules-malformed.json") {
        let (id, input) = (vector["id"].as_str().unwrap(), bytes(&vector, "hex"));
        match vector["kind"].as_str().unwrap() {
            "ref-ar-do" => {
                for reading in [Reading::Strict, Reading::Android] {
                    assert!(Rule::from_bytes(&input, reading).is_err(), "{id}");
                }
                // A card must not store what a reader refuses.
                let object = jpkise_wire::tlv::object(0xF0, &input);
                let effect = RuleSet::default().apply_bytes(&object);
                assert_eq!((effect.sw, effect.refreshed), (StatusWord::WRONG_DATA, false), "{id}");
            }
            "refresh-tag" => assert!(RefreshTag::from_bytes(&input).is_err(), "{id}"),
            other => panic!("{id}: kind {other}"),
        }
        passed += 1;
    }
    assert_eq!(passed, 11);
}

#[test]
fn store_data_has_the_status_words_of_the_list() {
    let mut passed = 0;
    for vector in vectors("store-data.json") {
        let id = vector["id"].as_str().unwrap();
        let command = CommandApdu::parse(&bytes(&vector, "command")).unwrap();
        let rebuilt = |object: &StoreCommand| object.commands(255).unwrap().remove(0);
        match vector["type"].as_str().unwrap() {
            "store-data-status" => {
                let effect = RuleSet::default().apply_bytes(command.data());
                let expected = vector["expect_status_words"].as_array().unwrap();
                let found = effect.sw.to_string().to_lowercase();
                assert!(expected.iter().any(|sw| sw.as_str() == Some(&found)), "{id}: {found}");
                if effect.sw.is_success() {
                    let object = StoreCommand::from_bytes(command.data(), &mut Vec::new()).unwrap();
                    assert_eq!(rebuilt(&object), command, "{id}");
                }
            }
            "store-data-apdu" => {
                let rule = stored(command.data());
                assert_eq!(rebuilt(&StoreCommand::Store(rule.clone())), command, "{id}");
                assert_eq!(Value::from(vec![described(&rule)]), vector["decoded"], "{id}");
            }
            other => panic!("{id}: type {other}"),
        }
        passed += 1;
    }
    assert!(passed >= 4);
    println!("store-data.json: {passed}");
}

#[test]
fn pages_join_to_the_whole_answer() {
    for vector in vectors("paging.json") {
        let pages = vector["pages"].as_array().unwrap();
        let whole = bytes(&vector, "whole");
        let mut joined = Pages::first(tag::RESPONSE_ALL_REF_AR_DO, &bytes(&pages[0], "data")).unwrap();
        for page in &pages[1..] {
            assert!(joined.is_incomplete());
            assert_eq!(page["command"], "80caff6000");
            joined = joined.next(&bytes(page, "data")).unwrap();
        }
        assert_eq!(joined.whole().unwrap(), whole);
        assert_eq!(RuleList::from_bytes(&whole, Reading::Strict).unwrap().rules.len(), 12);
    }
}
