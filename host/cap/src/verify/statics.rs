//! StaticField (JCVM 6.10): the image, its parts, and the fields that lie in it.

use super::types::{Elem, Ty};
use super::world::World;
use super::{Findings, Rule};
use crate::model::{ComponentTag, FieldRef, StaticRef};

const REFERENCE_LEN: usize = 2;

pub(super) fn check(world: &mut World<'_>, findings: &mut Findings) {
    let fields = &world.cap.static_field;
    let references = REFERENCE_LEN * usize::from(fields.reference_count);
    let values = usize::from(fields.default_value_count) + fields.non_default_values.len();
    let mut fault = |rule, at, message| findings.add(rule, ComponentTag::StaticField, at, message);
    if usize::from(fields.image_size) != references + values {
        let message = format!("{} bytes stated, {references} + {values} there", fields.image_size);
        fault(Rule::StaticImage, 0, message);
        return;
    }
    if fields.array_inits.len() > usize::from(fields.reference_count) {
        let message = format!("{} arrays, {} references", fields.array_inits.len(), fields.reference_count);
        fault(Rule::StaticArrays, 2, message);
    }
    if world.cap.applet.is_none() && !fields.array_inits.is_empty() {
        fault(Rule::StaticLibrary, 4, format!("{} arrays", fields.array_inits.len()));
    }
    let mut at = 6;
    let mut arrays = Vec::new();
    for init in &fields.array_inits {
        let element = match init.element_type {
            2 => Some((Elem::Boolean, 1)),
            3 => Some((Elem::Byte, 1)),
            4 => Some((Elem::Short, 2)),
            5 => Some((Elem::Int, 4)),
            _ => None,
        };
        let booleans_fit = init.element_type != 2 || init.values.iter().all(|&value| value <= 1);
        match element {
            Some((_, len)) if init.values.len() % len == 0 && booleans_fit => {}
            _ => {
                let message = format!("{} bytes of type {}", init.values.len(), init.element_type);
                fault(Rule::StaticArrays, at, message);
            }
        }
        arrays.push(element.map(|(element, _)| element));
        at += 3 + init.values.len();
    }
    check_slots(world, references, &arrays, findings);
}

/// Where each field of Descriptor lies.
fn check_slots(world: &mut World<'_>, references: usize, arrays: &[Option<Elem>], findings: &mut Findings) {
    let size = usize::from(world.cap.static_field.image_size);
    let mut taken = vec![false; size];
    let descriptor = world.descriptor;
    let all = descriptor.classes.iter().flat_map(|c| &c.fields);
    for field in all {
        let FieldRef::Static(StaticRef::Internal { offset, .. }) = field.field_ref else { continue };
        let Some(ty) = world.declared_type(field.ty) else { continue };
        let at = usize::from(offset);
        let mut fault = |rule, message| findings.add(rule, ComponentTag::StaticField, 0, message);
        let len = match ty {
            Ty::Void => 0,
            Ty::Boolean | Ty::Byte => 1,
            Ty::Int => 4,
            Ty::Short | Ty::Class(_) | Ty::Array(_) => REFERENCE_LEN,
        };
        let aligned = !ty.is_reference() || at % REFERENCE_LEN == 0;
        let in_part = if ty.is_reference() { at + len <= references } else { at >= references };
        let free = taken.get(at..at + len).is_some_and(|cells| !cells.contains(&true));
        if !aligned || !in_part || !free {
            fault(Rule::StaticLayout, format!("{ty:?} at {at:#06x} of the image"));
            continue;
        }
        taken[at..at + len].fill(true);
        let array = arrays.get(at / REFERENCE_LEN).copied().flatten().filter(|_| ty.is_reference());
        if array.is_some_and(|element| ty != Ty::Array(element)) {
            fault(Rule::StaticArrays, format!("{ty:?} at {at:#06x} starts as another array"));
        }
    }
    // A reference nobody declares would still be followed by a garbage collector.
    if let Some(at) = taken.iter().take(references).position(|taken| !taken) {
        let message = format!("no field lies at {at:#06x} of the image, which is a reference");
        findings.add(Rule::StaticLayout, ComponentTag::StaticField, 0, message);
    }
}
