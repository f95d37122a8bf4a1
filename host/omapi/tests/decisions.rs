//! The decision engine against the vectors, against the slow evaluator over every combination, and by its properties.
#![allow(clippy::unwrap_used)]

mod slow;

use std::slice::from_ref;

use jpkise_gp::ara::{
    diff, Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, NfcAccess, Reference, Rule, RuleSet,
};
use jpkise_omapi::ace::{decide, Decision, Query, Step, Target, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use slow::{evaluate, Outcome, SlowRule};

fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    document["vectors"].as_array().unwrap().clone()
}

fn filters_of(value: &Value) -> String {
    let part = |f: &Value, key: &str| f[key].as_str().unwrap().to_owned();
    let texts = value.as_array().unwrap().iter();
    texts.map(|f| format!("{}/{}", part(f, "header"), part(f, "mask"))).collect::<Vec<_>>().join(" ")
}

fn slow_rule(value: &Value) -> SlowRule {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let apdu = if value["apdu"].is_array() { filters_of(&value["apdu"]) } else { text("apdu") };
    SlowRule { aid: text("aid"), app: text("device_app_id"), apdu, nfc: text("nfc") }
}

fn app(hex_text: &str) -> DeviceApp {
    DeviceApp::from_bytes(&hex::decode(hex_text).unwrap()).unwrap()
}

/// The engine's rule for a slow one.
fn rule(slow: &SlowRule) -> Rule {
    let aid = match slow.aid.as_str() {
        "all" => AidRef::All,
        "default" => AidRef::Default,
        hex_text => AidRef::Aid(hex_text.parse().unwrap()),
    };
    let apdu = match slow.apdu.as_str() {
        "" => None,
        "never" => Some(ApduAccess::Never),
        "always" => Some(ApduAccess::Always),
        filters => {
            let filters = filters.split(' ').map(|f| f.parse::<Filter>().unwrap()).collect();
            Filters::new(filters).map(ApduAccess::Filters)
        }
    };
    let nfc = match slow.nfc.as_str() {
        "" => None,
        "never" => Some(NfcAccess::Never),
        _ => Some(NfcAccess::Always),
    };
    Rule::new(Reference::new(aid, app(&slow.app)), Access::new(apdu, nfc, None).unwrap())
}

fn target(aid: &str) -> Target {
    if aid == "default" {
        Target::Default
    } else {
        Target::Aid(aid.parse().unwrap())
    }
}

fn outcome(decision: &Decision) -> Outcome {
    let apdu = match &decision.apdu {
        ApduAccess::Never => "never".to_owned(),
        ApduAccess::Always => "always".to_owned(),
        ApduAccess::Filters(filters) => {
            let mut texts: Vec<String> =
                filters.as_slice().iter().map(|f| f.to_string().to_lowercase()).collect();
            texts.sort();
            texts.join(" ")
        }
    };
    let nfc = if decision.nfc == NfcAccess::Always { "always" } else { "never" };
    (apdu, nfc.to_owned(), decision.step.name().to_owned())
}

/// Decides by both, and checks that the explanation agrees with the result.
fn both(rules: &[SlowRule], aid: &str, hashes: &[String]) -> Outcome {
    let engine_rules: Vec<Rule> = rules.iter().map(rule).collect();
    let engine_hashes: Vec<DeviceApp> = hashes.iter().map(|h| app(h)).collect();
    let decision = decide(&engine_rules, &Query { target: target(aid), hashes: &engine_hashes });
    let found = outcome(&decision);
    assert_eq!(found, evaluate(rules, aid, hashes), "{rules:?} {aid} {hashes:?}");
    check_explanation(&engine_rules, &decision);
    found
}

fn check_explanation(rules: &[Rule], decision: &Decision) {
    let explanation = &decision.explanation;
    assert_eq!(explanation.verdicts.len(), rules.len());
    // Every search but the last one found nothing, and the last one is the one that is named.
    let made = &explanation.searches;
    for search in made {
        assert_eq!(search.decided, search.step == decision.step);
        assert_eq!(search.decided, !search.found.is_empty());
    }
    assert_eq!(made.last().is_some_and(|s| s.decided), decision.step != Step::None);
    let decided = explanation.deciding().count();
    assert_eq!(decided > 0, decision.step != Step::None, "{decision:?}");
    for verdict in &explanation.verdicts {
        match verdict {
            Verdict::Beaten { by, at } => assert!(*by == decision.step && at > by),
            Verdict::ShutOut => assert!(decision.step.is_conflict()),
            Verdict::Decided | Verdict::OutweighedInMerge | Verdict::LaterHash | Verdict::OtherApp => {
                assert!(!decision.step.is_conflict());
            }
            _ => {}
        }
    }
}

#[test]
fn the_vectors_decide_as_they_say_on_both_evaluators() {
    let all = vectors("decisions.json");
    for vector in &all {
        let rules: Vec<SlowRule> = vector["rules"].as_array().unwrap().iter().map(slow_rule).collect();
        let query = &vector["query"];
        let hashes: Vec<String> =
            query["hashes"].as_array().unwrap().iter().map(|h| h.as_str().unwrap().to_owned()).collect();
        let (apdu, nfc, via) = both(&rules, query["aid"].as_str().unwrap(), &hashes);
        let expect = &vector["expect"];
        let expected_apdu =
            expect["apdu"].as_str().map_or_else(|| filters_of(&expect["apdu"]), ToOwned::to_owned);
        assert_eq!(apdu, expected_apdu, "{}", vector["id"]);
        assert_eq!(
            (nfc.as_str(), via.as_str()),
            (expect["nfc"].as_str().unwrap(), expect["via"].as_str().unwrap())
        );
    }
    assert_eq!(all.len(), 12);
}

#[test]
fn the_vectors_filter_as_they_say() {
    let all = vectors("apdu-filters.json");
    for vector in &all {
        let filters = filters_of(&vector["filters"]).split(' ').map(|f| f.parse().unwrap()).collect();
        let access = ApduAccess::Filters(Filters::new(filters).unwrap());
        let command = hex::decode(vector["command"].as_str().unwrap()).unwrap();
        let header = [command[0], command[1], command[2], command[3]];
        assert_eq!(access.allows(header), vector["allowed"].as_bool().unwrap(), "{}", vector["id"]);
    }
    assert_eq!(all.len(), 6);
}

const AID: &str = "d392f000260100000001";
const OTHER_AID: &str = "a00000000101";

fn mine() -> [String; 4] {
    // Two certificates: of each SHA-1, then SHA-256.
    ["11".repeat(20), "22".repeat(32), "33".repeat(20), "44".repeat(32)]
}

fn other() -> String {
    "99".repeat(20)
}

/// Every way to leave a place empty or to put one rule there.
const CONTENTS: [Option<&str>; 4] =
    [None, Some("always"), Some("never"), Some("00a40000/f0ff0000 00200000/f0ff0000")];

/// Runs every combination of contents over the places; returns how many.
fn every_combination(places: &[(&str, String)], aid: &str, hashes: &[String]) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    let combinations = CONTENTS.len().pow(u32::try_from(places.len()).unwrap());
    for number in 0..combinations {
        let mut rest = number;
        let mut rules = Vec::new();
        for (aid, app) in places {
            if let Some(apdu) = CONTENTS[rest % CONTENTS.len()] {
                rules.push(SlowRule {
                    aid: (*aid).to_owned(),
                    app: app.clone(),
                    apdu: apdu.to_owned(),
                    nfc: ["", "never", "always"][(number + rest) % 3].to_owned(),
                });
            }
            rest /= CONTENTS.len();
        }
        seen.insert(both(&rules, aid, hashes).2);
    }
    // No search may be missing, or the table would prove less than it seems to.
    assert_eq!(seen.len(), 7, "{seen:?}");
    combinations
}

#[test]
fn every_combination_of_references_decides_alike_on_both_evaluators() {
    let [sha1, sha256, old_sha1, _] = mine();
    let one_certificate = [sha1.clone(), sha256.clone()];
    let everybody = String::new();
    let mut cases = every_combination(
        &[
            (AID, sha1.clone()),
            (AID, sha256.clone()),
            (AID, other()),
            (AID, everybody.clone()),
            ("all", sha256.clone()),
            ("all", other()),
            ("all", everybody.clone()),
        ],
        AID,
        &one_certificate,
    );
    cases += every_combination(
        &[
            ("default", sha256.clone()),
            ("default", other()),
            ("default", everybody.clone()),
            ("all", sha1.clone()),
            ("all", other()),
            ("all", everybody.clone()),
        ],
        "default",
        &one_certificate,
    );
    // Two signers, and rules that are none of this applet's business.
    cases += every_combination(
        &[
            (AID, old_sha1),
            (AID, other()),
            (AID, everybody.clone()),
            ("all", sha256),
            ("all", other()),
            ("all", everybody.clone()),
            (OTHER_AID, sha1),
        ],
        AID,
        &mine(),
    );
    assert_eq!(cases, 16_384 + 4_096 + 16_384);
}

#[test]
fn every_merge_of_three_rules_with_one_reference_agrees() {
    let mut contents = Vec::new();
    for apdu in ["", "always", "never", "00a40000/f0ff0000", "00b00000/ffff0000"] {
        for nfc in ["", "always", "never"] {
            if !(apdu.is_empty() && nfc.is_empty()) {
                contents.push((apdu, nfc));
            }
        }
    }
    let [sha1, ..] = mine();
    let mut cases = 0;
    for a in &contents {
        for b in &contents {
            for c in &contents {
                let rules: Vec<SlowRule> = [a, b, c]
                    .map(|(apdu, nfc)| SlowRule {
                        aid: AID.to_owned(),
                        app: sha1.clone(),
                        apdu: (*apdu).to_owned(),
                        nfc: (*nfc).to_owned(),
                    })
                    .to_vec();
                both(&rules, AID, from_ref(&sha1));
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 2744);
}

#[test]
fn the_explanation_names_the_rule_that_decided_and_those_it_beat() {
    let [sha1, sha256, ..] = mine();
    let slow = |aid: &str, app: &str, apdu: &str| SlowRule {
        aid: aid.to_owned(),
        app: app.to_owned(),
        apdu: apdu.to_owned(),
        nfc: String::new(),
    };
    let mut rules: Vec<Rule> = [
        slow("all", "", "always"),
        slow(AID, &sha256, "always"),
        slow(AID, &other(), "never"),
        slow(AID, &sha256, "00a40000/f0ff0000"),
        slow(OTHER_AID, &sha1, "always"),
        slow("all", &other(), "always"),
        slow(AID, "", "never"),
    ]
    .iter()
    .map(rule)
    .collect();
    rules.push(Rule::new(Reference::new(AidRef::Absent, app(&sha1)), Access::apdu_only(ApduAccess::Always)));
    let hashes = [app(&sha1), app(&sha256)];
    let query = Query { target: target(AID), hashes: &hashes };
    let decision = decide(&rules, &query);
    assert_eq!(decision.step, Step::A);
    assert_eq!(decision.explanation.hash, Some(app(&sha256)));
    assert_eq!(
        decision.explanation.verdicts,
        [
            Verdict::Beaten { by: Step::A, at: Step::D },
            Verdict::OutweighedInMerge,
            Verdict::OtherApp,
            Verdict::Decided,
            Verdict::OtherApplet,
            Verdict::Beaten { by: Step::A, at: Step::CConflict },
            Verdict::Beaten { by: Step::A, at: Step::B },
            Verdict::Carrier,
        ]
    );
    // Without the app's own rules the other app's rule for the applet shuts it out, and the wider rules are beaten.
    let decision = decide(&[rules[2].clone(), rules[6].clone()], &query);
    assert_eq!(decision.step, Step::AConflict);
    let expected = [Verdict::ShutOut, Verdict::Beaten { by: Step::AConflict, at: Step::B }];
    assert_eq!(decision.explanation.verdicts, expected);
    assert!(!decision.opens());
}

#[test]
fn an_aid_is_compared_whole() {
    let partial =
        SlowRule { aid: "d392f00026".into(), app: String::new(), apdu: "always".into(), nfc: String::new() };
    assert_eq!(both(from_ref(&partial), AID, &mine()).2, "none");
    assert_eq!(both(&[partial], "d392f00026", &mine()).2, "B");
}

#[test]
fn an_app_without_hashes_gets_what_everybody_gets() {
    let everybody =
        SlowRule { aid: AID.into(), app: String::new(), apdu: "always".into(), nfc: String::new() };
    assert_eq!(both(from_ref(&everybody), AID, &[]).0, "always");
    let named = SlowRule { app: other(), ..everybody.clone() };
    assert_eq!(both(&[everybody, named], AID, &[]).2, "A-conflict");
}

fn some_rule() -> impl Strategy<Value = SlowRule> {
    let aid = prop_oneof![Just(AID), Just(OTHER_AID), Just("all"), Just("default")];
    let app =
        prop_oneof![Just(String::new()), Just(mine()[0].clone()), Just(mine()[1].clone()), Just(other())];
    let apdu = prop_oneof![
        Just(""),
        Just("always"),
        Just("never"),
        Just("00a40000/f0ff0000"),
        Just("00b00000/ffff0000")
    ];
    let nfc = prop_oneof![Just(""), Just("always"), Just("never")];
    (aid, app, apdu, nfc)
        .prop_filter("states nothing", |(_, _, apdu, nfc)| !(apdu.is_empty() && nfc.is_empty()))
        .prop_map(|(aid, app, apdu, nfc)| SlowRule {
            aid: aid.into(),
            app,
            apdu: apdu.into(),
            nfc: nfc.into(),
        })
}

/// Headers that tell the filters above apart.
const HEADERS: [[u8; 4]; 3] = [[0, 0xA4, 0, 0], [0, 0xB0, 0, 0], [0, 0x20, 0, 0]];

/// What is allowed to anybody: three headers and NFC, for both applets and the default one, for three apps.
fn allowed(rules: &[Rule]) -> Vec<bool> {
    let mut all = Vec::new();
    for aid in [AID, OTHER_AID, "default"] {
        for hash in [mine()[0].clone(), mine()[1].clone(), other(), "77".repeat(20)] {
            let hashes = [app(&hash)];
            let decision = decide(rules, &Query { target: target(aid), hashes: &hashes });
            all.extend(HEADERS.map(|header| decision.apdu.allows(header)));
            all.push(decision.nfc == NfcAccess::Always);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn rule_order_never_matters(rules in vec(some_rule(), 0..10), seed in any::<u64>()) {
        let mut shuffled = rules.clone();
        for i in (1..shuffled.len()).rev() {
            let j = usize::try_from(seed.rotate_left(u32::try_from(i).unwrap()) % (i as u64 + 1)).unwrap();
            shuffled.swap(i, j);
        }
        let hashes = mine();
        for aid in [AID, "default"] {
            prop_assert_eq!(both(&rules, aid, &hashes), both(&shuffled, aid, &hashes));
        }
    }

    #[test]
    fn a_rule_for_another_applet_changes_nothing(rules in vec(some_rule(), 0..8), app in "[0-9a-f]{40}") {
        let before = both(&rules, AID, &mine());
        let foreign = SlowRule { aid: "b00000000202".into(), app, apdu: "never".into(), nfc: String::new() };
        prop_assert_eq!(both(&[rules, vec![foreign]].concat(), AID, &mine()), before);
    }

    /// The promise of the plan: no state on the way allows anybody what neither its beginning nor its end allows.
    #[test]
    fn no_step_of_a_plan_opens_more_than_before_or_after(
        present in vec(some_rule(), 0..8),
        desired in vec(some_rule(), 0..8),
    ) {
        let present: Vec<Rule> = present.iter().map(rule).collect();
        let desired: Vec<Rule> = desired.iter().map(rule).collect();
        let Ok(plan) = diff(&present, &desired) else { return Ok(()) };
        let (before, after) = (allowed(&present), allowed(&desired));
        let mut set = RuleSet::new(present);
        for change in &plan.changes {
            set.apply(&change.command());
            for (index, now) in allowed(set.rules()).into_iter().enumerate() {
                prop_assert!(!now || before[index] || after[index], "{change:?} opens {index}");
            }
        }
        prop_assert_eq!(allowed(set.rules()), after);
    }
}
