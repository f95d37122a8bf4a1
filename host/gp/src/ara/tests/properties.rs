use jpkise_wire::{tlv, Aid};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::ara::file::Presets;
use crate::ara::{
    diff, Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, NfcAccess, PackageName, Permissions,
    Reading, Reference, RefreshTag, Rule, RuleFile, RuleList, RuleSet, StoreCommand, StoreStatus,
};

fn aid() -> impl Strategy<Value = AidRef> {
    prop_oneof![
        vec(any::<u8>(), 5..=16).prop_map(|bytes| AidRef::Aid(Aid::new(&bytes).unwrap())),
        Just(AidRef::All),
        Just(AidRef::Default),
        Just(AidRef::Absent),
    ]
}

fn app() -> impl Strategy<Value = DeviceApp> {
    prop_oneof![
        Just(DeviceApp::All),
        any::<[u8; 20]>().prop_map(DeviceApp::Sha1),
        any::<[u8; 32]>().prop_map(DeviceApp::Sha256),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    any::<([u8; 4], [u8; 4])>().prop_map(|(header, mask)| Filter { header, mask })
}

fn apdu() -> impl Strategy<Value = ApduAccess> {
    prop_oneof![
        Just(ApduAccess::Never),
        Just(ApduAccess::Always),
        vec(filter(), 1..40).prop_map(|filters| ApduAccess::Filters(Filters::new(filters).unwrap())),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    let nfc = prop_oneof![Just(NfcAccess::Never), Just(NfcAccess::Always)];
    (option::of(apdu()), option::of(nfc), option::of(any::<[u8; 8]>().prop_map(Permissions)))
        .prop_filter_map("states nothing", |(apdu, nfc, permissions)| {
            Access::new(apdu, nfc, permissions).ok()
        })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (aid(), app(), option::of("[a-z.]{1,127}"), access()).prop_map(|(aid, app, package, access)| {
        let package = package.filter(|_| aid.is_carrier()).map(|name| PackageName::new(&name).unwrap());
        Rule::new(Reference::with_package(aid, app, package).unwrap(), access)
    })
}

/// Rules over few references, so that they meet.
fn crowded_rule() -> impl Strategy<Value = Rule> {
    let aid = prop_oneof![
        Just(AidRef::All),
        Just(AidRef::Default),
        (0u8..2).prop_map(|n| AidRef::Aid(Aid::literal([0xA0, 0, 0, 0, n]))),
    ];
    let app = (0u8..4).prop_map(|n| match n {
        0 => DeviceApp::All,
        3 => DeviceApp::Sha256([3; 32]),
        n => DeviceApp::Sha1([n; 20]),
    });
    let apdu = prop_oneof![
        Just(None),
        Just(Some(ApduAccess::Never)),
        Just(Some(ApduAccess::Always)),
        (0u8..3).prop_map(|n| Some(ApduAccess::Filters(
            Filters::new(vec![Filter { header: [0, n, 0, 0], mask: [0, 0xFF, 0, 0] }]).unwrap()
        ))),
    ];
    let nfc = prop_oneof![Just(None), Just(Some(NfcAccess::Never)), Just(Some(NfcAccess::Always))];
    (aid, app, apdu, nfc).prop_filter_map("states nothing", |(aid, app, apdu, nfc)| {
        Some(Rule::new(Reference::new(aid, app), Access::new(apdu, nfc, None).ok()?))
    })
}

proptest! {
    #[test]
    fn rules_and_commands_read_back(rules in vec(any_rule(), 0..8)) {
        let value: Vec<u8> = rules.iter().flat_map(Rule::to_bytes).collect();
        let list = RuleList::from_bytes(&tlv::object(0xFF40, &value), Reading::Strict).unwrap();
        prop_assert_eq!(&list.rules, &rules);
        for rule in &rules {
            let command = StoreCommand::Store(rule.clone());
            prop_assert_eq!(StoreCommand::from_bytes(&command.to_bytes(), &mut Vec::new()).unwrap(), command);
        }
    }

    #[test]
    fn a_card_s_rules_read_back_from_a_file(rules in vec(any_rule(), 0..8)) {
        let file = RuleFile::parse(&RuleFile::write(&rules, "x"), &Presets::new()).unwrap();
        let mut once: Vec<Rule> = Vec::new();
        for rule in rules {
            if !once.contains(&rule) {
                once.push(rule);
            }
        }
        prop_assert_eq!(file.rules, once);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..80)) {
        for reading in [Reading::Strict, Reading::Android] {
            let _ = Rule::from_bytes(&bytes, reading);
            let _ = RuleList::from_bytes(&bytes, reading);
            let _ = RuleList::from_value(&bytes, reading);
        }
        let _ = RefreshTag::from_bytes(&bytes);
        let _ = StoreCommand::from_bytes(&bytes, &mut Vec::new());
        let _ = RuleSet::default().apply_bytes(&bytes);
    }

    #[test]
    fn no_changed_rule_panics_or_reads_as_the_same(rule in any_rule(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = rule.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(changed) = Rule::from_bytes(&bytes, Reading::Strict) {
            prop_assert_ne!(changed, rule);
        }
    }

    #[test]
    fn a_plan_leads_from_any_state_to_the_desired_one(
        present in vec(crowded_rule(), 0..8),
        desired in vec(crowded_rule(), 0..8),
    ) {
        let Ok(plan) = diff(&present, &desired) else { return Ok(()) };
        let mut set = RuleSet::new(present);
        for command in plan.commands() {
            let effect = set.apply(&command);
            prop_assert!(StoreStatus::from(effect.sw).is_done(), "{:?} {}", command, effect.sw);
        }
        for rule in set.rules() {
            prop_assert!(desired.contains(rule));
        }
        for rule in &desired {
            prop_assert!(set.rules().contains(rule));
        }
    }
}
