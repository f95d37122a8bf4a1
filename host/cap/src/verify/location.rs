//! ReferenceLocation (JCVM 6.11): exactly the constant pool indices of code and handlers.

use super::code::ScannedMethod;
use super::world::World;
use super::{Findings, Rule};
use crate::code::Instruction;
use crate::model::{ComponentTag, ReferenceLocation};

/// Offset of catch_type_index in an exception_handler_info.
const CATCH_TYPE_AT: usize = 6;

pub(super) fn check(world: &World<'_>, methods: &[ScannedMethod<'_>], findings: &mut Findings) {
    // Without its instructions a method's indices are unknown.
    if methods.iter().any(|method| method.instructions.is_empty()) {
        return;
    }
    let handlers = world.cap.method.handlers.iter().enumerate();
    let catches = handlers.filter(|(_, h)| h.catch_type_index != 0);
    let mut short: Vec<usize> = catches.map(|(index, _)| 1 + 8 * index + CATCH_TYPE_AT).collect();
    let mut byte = Vec::new();
    for method in methods {
        let base = method.body.code_at;
        for (at, one_byte) in method.instructions.iter().filter_map(Instruction::pool_operand) {
            if one_byte { &mut byte } else { &mut short }.push(base + at);
        }
    }
    let stated = &world.cap.reference_location;
    compare(Rule::LocationByte, &byte, &stated.byte_positions(), 2, findings);
    let at = 4 + stated.byte_deltas.len();
    compare(Rule::LocationShort, &short, &stated.byte2_positions(), at, findings);
    if findings.has_errors_in(ComponentTag::ReferenceLocation) {
        return;
    }
    // The same positions can be written with needless 255s; loaders that stop early would then miss some.
    let narrow =
        |positions: &[usize]| positions.iter().filter_map(|&p| u16::try_from(p).ok()).collect::<Vec<_>>();
    let canonical = ReferenceLocation::from_positions(&narrow(&byte), &narrow(&short));
    for (rule, wanted, found) in [
        (Rule::LocationByte, &canonical.byte_deltas, &stated.byte_deltas),
        (Rule::LocationShort, &canonical.byte2_deltas, &stated.byte2_deltas),
    ] {
        if wanted != found {
            let message = format!("{} deltas where {} say the same", found.len(), wanted.len());
            findings.add(rule, ComponentTag::ReferenceLocation, 0, message);
        }
    }
}

/// Names the first position that differs.
fn compare(rule: Rule, wanted: &[usize], stated: &[usize], at: usize, findings: &mut Findings) {
    let differing = (0..wanted.len().max(stated.len())).find(|&i| wanted.get(i) != stated.get(i));
    let Some(index) = differing else { return };
    let show = |position: Option<&usize>| position.map_or("none".to_owned(), |p| format!("{p:#06x}"));
    let message = format!(
        "location {index} of Method is {}, stated as {}",
        show(wanted.get(index)),
        show(stated.get(index))
    );
    findings.add(rule, ComponentTag::ReferenceLocation, at, message);
}
