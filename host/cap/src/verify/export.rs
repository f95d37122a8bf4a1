//! Export (JCVM 6.12), against Descriptor and against the package's own export file when there is one.

use super::member::Flags;
use super::world::{ClassId, World};
use super::{Findings, Rule};
use crate::model::{access, ClassDescriptor, ClassExport, ComponentTag, FieldRef, StaticRef, NO_TOKEN};

pub(super) fn check(world: &mut World<'_>, findings: &mut Findings) {
    let cap = world.cap;
    let has_applets = cap.applet.is_some();
    if let Some(export) = &cap.export {
        let mut at = 1;
        for (token, exported) in export.classes.iter().enumerate() {
            check_class(world, token, exported, at, has_applets, findings);
            at += 4 + 2 * exported.static_field_offsets.len() + 2 * exported.static_method_offsets.len();
        }
        let public = world.descriptor.classes.iter().filter(|c| c.token != NO_TOKEN).count();
        if !has_applets && public != export.classes.len() {
            let message = format!("{} classes, {public} are public", export.classes.len());
            findings.add(Rule::ExportClass, ComponentTag::Export, 0, message);
        }
    }
    check_file(world, findings);
}

fn check_class(
    world: &World<'_>,
    token: usize,
    exported: &ClassExport,
    at: usize,
    has_applets: bool,
    findings: &mut Findings,
) {
    let mut fault = |rule, at, message| findings.add(rule, ComponentTag::Export, at, message);
    let id = world.own_at(exported.class_offset);
    let described = id.and_then(|id| Some((id, world.described(id)?)));
    let Some((id, class)) = described else {
        fault(Rule::ExportClass, at, format!("no class begins at {:#06x}", exported.class_offset));
        return;
    };
    let is_public = class.access_flags & access::PUBLIC != 0;
    let shareable = world.get(id).is_interface && world.is_subtype(id, world.shareable);
    // In an applet package, whose other public classes have tokens too, only the order can be held against them.
    let token_fits = if has_applets { shareable } else { usize::from(class.token) == token };
    if !is_public || !token_fits {
        let message = format!("{} has token {}, entry {token}", world.name(id), class.token);
        fault(Rule::ExportClass, at, message);
        return;
    }
    let (fields, methods) =
        if has_applets { (Vec::new(), Vec::new()) } else { (static_fields(class), static_methods(class)) };
    if exported.static_field_offsets != fields {
        let message = format!("{:x?}, Descriptor has {fields:x?}", exported.static_field_offsets);
        fault(Rule::ExportField, at + 4, message);
    }
    if exported.static_method_offsets != methods {
        let at = at + 4 + 2 * exported.static_field_offsets.len();
        let message = format!("{:x?}, Descriptor has {methods:x?}", exported.static_method_offsets);
        fault(Rule::ExportMethod, at, message);
    }
}

fn static_fields(class: &ClassDescriptor) -> Vec<u16> {
    let mut found: Vec<(u8, u16)> = class
        .fields
        .iter()
        .filter_map(|field| match field.field_ref {
            FieldRef::Static(StaticRef::Internal { offset, .. }) if field.token != NO_TOKEN => {
                Some((field.token, offset))
            }
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, offset)| offset).collect()
}

fn static_methods(class: &ClassDescriptor) -> Vec<u16> {
    let visible = |flags: Flags| flags.is_static_kind() && flags.is_visible_outside();
    let mut found: Vec<(u8, u16)> = class
        .methods
        .iter()
        .filter(|m| visible(Flags(m.access_flags)))
        .map(|m| (m.token, m.method_offset))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, offset)| offset).collect()
}

/// The package's own export file: the same classes with the same members under the same tokens.
fn check_file(world: &mut World<'_>, findings: &mut Findings) {
    let Some(file) = world.own_export else { return };
    let listed: Vec<(usize, ClassId)> = match &world.cap.export {
        Some(export) => export
            .classes
            .iter()
            .enumerate()
            .filter_map(|(token, class)| Some((token, world.own_at(class.class_offset)?)))
            .collect(),
        None => Vec::new(),
    };
    let mut fault = |at, message| findings.add(Rule::ExportFile, ComponentTag::Export, at, message);
    if file.classes.len() != listed.len() {
        let message = format!("{} classes, the export file has {}", listed.len(), file.classes.len());
        fault(0, message);
    }
    for (token, id) in listed {
        let Ok(token) = u8::try_from(token) else { continue };
        let Some(exported) = file.class_by_token(token) else {
            fault(0, format!("the export file has no class with token {token}"));
            continue;
        };
        if exported.is_interface() != world.get(id).is_interface {
            fault(0, format!("{} is an interface in one and a class in the other", exported.name));
            continue;
        }
        let mut agree = true;
        for method in &exported.methods {
            let wanted = world.exported_signature(&method.descriptor);
            let found = if method.is_static_kind() {
                world
                    .described(id)
                    .and_then(|class| {
                        let mut own = class.methods.iter();
                        let found =
                            own.find(|m| m.token == method.token && Flags(m.access_flags).is_static_kind())?;
                        Some(found.type_offset)
                    })
                    .and_then(|offset| world.signature_at(offset))
            } else {
                world.virtual_method(id, method.token).map(|m| m.signature)
            };
            agree &= wanted.is_some() && wanted == found;
        }
        if !agree {
            fault(0, format!("methods of {} differ from the export file", exported.name));
        }
    }
}
