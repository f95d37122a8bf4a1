//! Field descriptors (JCVM 6.13.2) and what Class says of the fields of an instance.

use super::descriptor::are_consecutive;
use super::member::Flags;
use super::types::Ty;
use super::world::{field_offset, ClassId, Origin, World};
use super::{Findings, Rule};
use crate::model::{
    access, ClassDescriptor, ClassInfo, ComponentTag, FieldDescriptor, FieldRef, StaticRef, NO_TOKEN,
};

const VISIBILITY: u8 = access::PUBLIC | access::PRIVATE | access::PROTECTED;
const FIELD_FLAGS: u8 = VISIBILITY | access::STATIC | access::FINAL;
/// Most cells of an object (JCVM 2.2.4.3).
const MAX_INSTANCE: usize = 255;

pub(super) fn check(world: &mut World<'_>, id: ClassId, class: &ClassDescriptor, findings: &mut Findings) {
    let mut statics = Vec::new();
    let mut instance: Vec<(u8, Ty)> = Vec::new();
    for (index, field) in class.fields.iter().enumerate() {
        let at = field_offset(world.descriptor, class, index);
        let mut fault = |rule, at, message| findings.add(rule, ComponentTag::Descriptor, at, message);
        let flags = Flags(field.access_flags);
        // Fields of interfaces are compile-time constants, which appear nowhere.
        if flags.0 & !FIELD_FLAGS != 0
            || (flags.0 & VISIBILITY).count_ones() > 1
            || world.get(id).is_interface
        {
            fault(Rule::DescriptorFieldFlags, at + 1, format!("flags {:#04x}", flags.0));
        }
        if !names_itself(world, class, field) {
            fault(Rule::DescriptorFieldRef, at + 2, format!("{:?}", field.field_ref));
        }
        let Some(ty) = world.declared_type(field.ty) else {
            fault(Rule::DescriptorFieldType, at + 5, format!("{:?}", field.ty));
            return;
        };
        match field.field_ref {
            FieldRef::Instance { token, .. } => {
                instance.push((token, ty));
                if token != field.token {
                    let message = format!("token {}, {token} in its reference", field.token);
                    fault(Rule::DescriptorFieldToken, at, message);
                }
            }
            FieldRef::Static(_) if flags.is_visible_outside() => statics.push(field.token),
            FieldRef::Static(_) if field.token != NO_TOKEN => {
                let message = format!("token {} of a field no other package sees", field.token);
                fault(Rule::DescriptorFieldToken, at, message);
            }
            FieldRef::Static(_) => {}
        }
    }
    let at = field_offset(world.descriptor, class, 0);
    let cells: Option<Vec<u8>> = instance
        .iter()
        .flat_map(|&(token, ty)| (0..=u8::from(ty == Ty::Int)).map(move |i| token.checked_add(i)))
        .collect();
    let message = format!("tokens of {} are not 0, 1, …", world.name(id));
    if !are_consecutive(statics) || !cells.is_some_and(are_consecutive) {
        findings.add(Rule::DescriptorFieldToken, ComponentTag::Descriptor, at, message);
    } else if let Origin::Class(info, _) = world.get(id).origin {
        check_instance(world, id, info, &instance, findings);
    }
}

fn names_itself(world: &World<'_>, class: &ClassDescriptor, field: &FieldDescriptor) -> bool {
    match field.field_ref {
        FieldRef::Instance { class: reference, .. } => reference == class.this_class,
        FieldRef::Static(StaticRef::Internal { padding, offset }) => {
            padding == 0 && offset < world.cap.static_field.image_size
        }
        FieldRef::Static(StaticRef::External { .. }) => false,
    }
}

fn check_instance(
    world: &World<'_>,
    id: ClassId,
    info: &ClassInfo,
    fields: &[(u8, Ty)],
    findings: &mut Findings,
) {
    let at = usize::from(info.offset);
    let mut fault = |rule, at, message| findings.add(rule, ComponentTag::Class, at, message);
    let size: usize = fields.iter().map(|(_, ty)| ty.cells()).sum();
    if size != usize::from(info.declared_instance_size) {
        let message = format!("{} cells stated, the fields take {size}", info.declared_instance_size);
        fault(Rule::ClassInstanceSize, at + 3, message);
    }
    let mut references: Vec<u8> = fields.iter().filter(|(_, ty)| ty.is_reference()).map(|f| f.0).collect();
    references.sort_unstable();
    let first = references.first().copied().unwrap_or(NO_TOKEN);
    let count = usize::from(info.reference_count);
    let contiguous = references.iter().zip(usize::from(first)..).all(|(&token, n)| usize::from(token) == n);
    if first != info.first_reference_token || references.len() != count || !contiguous {
        let message = format!(
            "{count} references from token {:#04x} stated, they are {references:?}",
            info.first_reference_token
        );
        fault(Rule::ClassReferences, at + 4, message);
    }
    let inherited: usize = world
        .get(id)
        .supers
        .iter()
        .map(|&superclass| match world.get(superclass).origin {
            Origin::Class(info, _) => info.declared_instance_size.into(),
            _ => 0,
        })
        .sum();
    if inherited + size > MAX_INSTANCE {
        fault(Rule::LimitInstance, at + 3, format!("{} cells", inherited + size));
    }
}
