use std::slice::from_ref;

use jpkise_wire::StatusWord;

use super::{rule, JPKI};
use crate::ara::preset::{filters, CommandShape};
use crate::ara::{diff, Change, DeleteTarget, Filter, Plan, Rule, RuleSet, StoreCommand, StoreStatus};

fn carried_out(plan: &Plan, present: &[Rule]) -> Vec<Rule> {
    let mut set = RuleSet::new(present.to_vec());
    for command in plan.commands() {
        let effect = set.apply(&command);
        assert!(StoreStatus::from(effect.sw).is_done(), "{command:?} answers {}", effect.sw);
    }
    let mut left = set.rules().to_vec();
    left.sort();
    left
}

#[test]
fn a_plan_writes_only_what_differs() {
    let (a, b, c) =
        (rule(JPKI, 1, "always", None), rule(JPKI, 2, "always", None), rule("all", 0, "never", None));
    let plan = diff(&[a.clone(), c.clone()], &[b.clone(), a.clone()]).unwrap();
    assert_eq!(plan.changes, [Change::Add(b.clone()), Change::Remove(c)]);
    assert_eq!(plan.kept, from_ref(&a));
    assert!(diff(&[a.clone(), b.clone()], &[b, a.clone()]).unwrap().is_empty());
    assert_eq!(diff(&[a], &[]).unwrap().changes, [Change::RemoveAll]);
    assert!(diff(&[], &[]).unwrap().is_empty());
}

#[test]
fn an_opposite_rule_is_replaced_behind_a_guard() {
    let (old, new) = (rule(JPKI, 1, "never", None), rule(JPKI, 1, "always", None));
    let plan = diff(from_ref(&old), from_ref(&new)).unwrap();
    let [Change::Guard(guard), Change::Remove(removed), Change::Add(added), Change::Unguard(unguarded)] =
        plan.changes.as_slice()
    else {
        panic!("{plan:?}");
    };
    assert_eq!((removed, added, unguarded), (&old, &new, guard));
    assert_eq!(guard.reference.aid(), old.reference.aid());
    assert_eq!(carried_out(&plan, from_ref(&old)), from_ref(&new));
    // Another app's rule for the AID keeps strangers out already.
    let other = rule(JPKI, 2, "always", None);
    let plan = diff(&[old.clone(), other.clone()], &[other, new.clone()]).unwrap();
    assert_eq!(plan.changes, [Change::Remove(old), Change::Add(new)]);
}

#[test]
fn contradictory_wishes_are_refused_before_anything_is_written() {
    let error = diff(&[], &[rule(JPKI, 1, "never", None), rule(JPKI, 1, "always", None)]).unwrap_err();
    assert_eq!(*error.second, rule(JPKI, 1, "always", None));
}

#[test]
fn rules_of_one_reference_add_up_or_are_refused() {
    let mut set = RuleSet::default();
    let mut apply = |command: &StoreCommand| {
        let effect = set.apply(command);
        (effect.sw.0, effect.refreshed)
    };
    let filter = "00A40000/F0FF0000";
    let store = |apdu, nfc| StoreCommand::Store(rule(JPKI, 1, apdu, nfc));
    for (what, command, expected) in [
        ("first", store("always", None), (0x9000, true)),
        ("the same again", store("always", None), (0x6381, false)),
        ("a filter beside it", store(filter, None), (0x6381, true)),
        ("the opposite", store("never", None), (0x6A89, false)),
        ("NFC beside it", store("", Some(true)), (0x6381, true)),
        ("the opposite for NFC", store("always", Some(false)), (0x6A89, false)),
        ("another app", StoreCommand::Store(rule(JPKI, 2, "never", None)), (0x9000, true)),
        (
            "delete a rule that is not there",
            StoreCommand::Delete(DeleteTarget::Rule(rule(JPKI, 9, "never", None))),
            (0x6A88, false),
        ),
        (
            "delete one rule",
            StoreCommand::Delete(DeleteTarget::Rule(rule(JPKI, 1, filter, None))),
            (0x9000, true),
        ),
        (
            "delete a reference",
            StoreCommand::Delete(DeleteTarget::Reference(rule(JPKI, 1, "never", None).reference)),
            (0x9000, true),
        ),
        (
            "for all applets is not every rule",
            StoreCommand::Delete(DeleteTarget::Aid(crate::ara::AidRef::All)),
            (0x6A88, false),
        ),
        (
            "delete the AID",
            StoreCommand::Delete(DeleteTarget::Aid(rule(JPKI, 1, "never", None).reference.aid())),
            (0x9000, true),
        ),
        ("delete all of nothing", StoreCommand::Delete(DeleteTarget::All), (0x9000, false)),
        ("new tag", StoreCommand::UpdateRefreshTag, (0x9000, true)),
    ] {
        assert_eq!(apply(&command), expected, "{what}");
    }
    assert!(set.rules().is_empty());
}

#[test]
fn command_objects_that_are_none_are_refused() {
    for (object, sw) in [
        ("", StatusWord::WRONG_DATA),
        ("f0", StatusWord::WRONG_DATA),
        ("f000", StatusWord::WRONG_DATA),
        ("f20100", StatusWord::WRONG_DATA),
        ("f200f200", StatusWord::WRONG_DATA),
        ("f1024f00f100", StatusWord::WRONG_DATA),
        ("f1044f00c000", StatusWord::WRONG_DATA),
        ("f102c100", StatusWord::WRONG_DATA),
        ("f103c00100", StatusWord::WRONG_DATA),
        ("f106e104c100da00", StatusWord::WRONG_DATA),
        ("f7024f00", StatusWord::WRONG_DATA),
        ("f300", StatusWord::COMMAND_NOT_SUPPORTED_BY_STRUCTURE),
        ("e200", StatusWord::COMMAND_NOT_SUPPORTED_BY_STRUCTURE),
        // Empty APDU-AR-DO, an object twice, REF-DO twice, AR-DO before REF-DO.
        ("f00ce20ae1044f00c100e302d000", StatusWord::WRONG_DATA),
        ("f010e20ee1064f004f00c100e304d00101", StatusWord::WRONG_DATA),
        ("f00de20be303d00101e1044f00c100", StatusWord::WRONG_DATA),
    ] {
        let effect = RuleSet::default().apply_bytes(&hex::decode(object).unwrap());
        assert_eq!((effect.sw, effect.refreshed), (sw, false), "{object}");
    }
    let mut set = RuleSet::default();
    let registered = set.apply_bytes(&hex::decode("f70e4f05a0000000014f05a000000002").unwrap());
    assert_eq!((registered.sw, set.clients().len()), (StatusWord::SUCCESS, 2));
}

#[test]
fn a_long_object_runs_over_blocks() {
    let many: Vec<String> = (0..40).map(|i| format!("00{i:02X}0000/FFFF0000")).collect();
    let store = StoreCommand::Store(rule(JPKI, 1, &many.join(" "), None));
    let commands = store.commands(239).unwrap();
    let headers: Vec<String> = commands.iter().map(|c| hex::encode(c.header())).collect();
    assert_eq!(headers, ["80e21000", "80e29001"]);
    let joined: Vec<u8> = commands.iter().flat_map(|c| c.data().to_vec()).collect();
    assert_eq!(StoreCommand::from_bytes(&joined, &mut Vec::new()).unwrap(), store);
}

#[test]
fn a_preset_passes_exactly_the_table() {
    let table = [
        CommandShape::any_p2(0x00, 0xA4, 0x04),
        CommandShape::any_p2(0x00, 0xA4, 0x02),
        CommandShape::any(0x00, 0xB0),
        CommandShape::any(0x80, 0x2A),
        CommandShape::any(0x90, 0x2A),
        CommandShape::exact(0x80, 0x2A, 0x00, 0x80),
        CommandShape::exact(0x80, 0xCA, 0xDF, 0x30),
        CommandShape::exact(0x80, 0xCA, 0xDF, 0x31),
    ];
    let filters = filters(&table).unwrap();
    let texts: Vec<String> = filters.as_slice().iter().map(Filter::to_string).collect();
    assert_eq!(
        texts,
        [
            "00A40400/FCFFFF00",
            "00A40200/FCFFFF00",
            "00B00000/FCFF0000",
            "802A0000/ECFF0000",
            "80CADF30/FCFFFFFE"
        ]
    );
    let passes = |cla: u8, ins: u8, p1: u8, p2: u8| {
        table.iter().any(|shape| {
            shape.cla == cla & 0xFC
                && shape.ins == ins
                && shape.p1.is_none_or(|v| v == p1)
                && shape.p2.is_none_or(|v| v == p2)
        })
    };
    for cla in [0x00, 0x01, 0x03, 0x04, 0x10, 0x80, 0x82, 0x84, 0x90, 0x93, 0xA0] {
        for ins in [0x2A, 0xA4, 0xB0, 0xCA, 0xE2] {
            for (p1, p2) in [
                (0, 0),
                (0, 0x80),
                (2, 0x0C),
                (4, 0),
                (4, 0x0C),
                (6, 0),
                (0xDF, 0x30),
                (0xDF, 0x31),
                (0xDF, 0x32),
            ] {
                let header = [cla, ins, p1, p2];
                assert_eq!(filters.passing(header).is_some(), passes(cla, ins, p1, p2), "{header:02X?}");
            }
        }
    }
}
