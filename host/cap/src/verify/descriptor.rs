//! Descriptor (JCVM 6.13): classes, methods and types. Fields: see `fields`.

use super::fields;
use super::member::{Flags, PACKAGE_TOKEN};
use super::types::Ty;
use super::world::{class_offset, method_offset, ClassId, Origin, World};
use super::{Findings, Rule};
use crate::model::{access, ClassDescriptor, ClassRef, ComponentTag, CpInfo, MethodDescriptor, NO_TOKEN};

const CLASS_FLAGS: u8 = access::PUBLIC | access::FINAL | access::CLASS_INTERFACE | access::CLASS_ABSTRACT;
const VISIBILITY: u8 = access::PUBLIC | access::PRIVATE | access::PROTECTED;
const METHOD_FLAGS: u8 =
    VISIBILITY | access::STATIC | access::FINAL | access::METHOD_ABSTRACT | access::METHOD_INIT;

/// Offset of a flags byte behind the token.
const FLAGS_AT: usize = 1;

pub(super) fn check(world: &mut World<'_>, findings: &mut Findings) {
    check_types(world, findings);
    check_class_tokens(world, findings);
    let ids: Vec<ClassId> = world.own_classes().collect();
    for id in ids {
        let Some(class) = world.described(id) else { continue };
        check_class(world, id, class, findings);
        fields::check(world, id, class, findings);
        for (index, method) in class.methods.iter().enumerate() {
            check_method(world, id, class, method, index, findings);
        }
        check_method_tokens(world, id, class, findings);
    }
}

/// Every type descriptor, and the list that gives constant pool entries theirs.
fn check_types(world: &mut World<'_>, findings: &mut Findings) {
    let (cap, descriptor) = (world.cap, world.descriptor);
    let start = class_offset(descriptor, descriptor.classes.len());
    let types = &descriptor.types;
    let mut fault = |rule, at, message| findings.add(rule, ComponentTag::Descriptor, at, message);
    for entry in &types.entries {
        // The result of a method alone may be void, and it comes last.
        let ok = world
            .tys(&entry.descriptor)
            .is_some_and(|tys| tys.split_last().is_some_and(|(_, before)| !before.contains(&Ty::Void)));
        if !ok {
            let at = start + usize::from(entry.offset);
            fault(Rule::DescriptorType, at, format!("nibbles {:02x?}", entry.descriptor.bytes));
        }
    }
    let (pool, stated) = (&cap.constant_pool.entries, &types.constant_pool_types);
    if pool.len() != stated.len() {
        let message = format!("{} types for {} constant pool entries", stated.len(), pool.len());
        fault(Rule::DescriptorPoolTypes, start, message);
    }
    for (index, (entry, &offset)) in pool.iter().zip(stated).enumerate() {
        let is_class = matches!(entry, CpInfo::Class { .. });
        let known = types.at(offset).is_some();
        if is_class != (offset == 0xFFFF) || !is_class && !known {
            let message = format!("constant pool entry {index} has type offset {offset:#06x}");
            fault(Rule::DescriptorPoolTypes, start + 2 + 2 * index, message);
        }
    }
}

fn check_class_tokens(world: &World<'_>, findings: &mut Findings) {
    // Which class has which token is free: an upgraded library keeps those it had, wherever new classes come to lie.
    let is_public = |class: &ClassDescriptor| class.access_flags & access::PUBLIC != 0;
    let public = world.descriptor.classes.iter().filter(|c| is_public(c)).count();
    let mut seen = [false; 256];
    for (index, class) in world.descriptor.classes.iter().enumerate() {
        let token = usize::from(class.token);
        let fits = if is_public(class) {
            token < public && !std::mem::replace(&mut seen[token], true)
        } else {
            class.token == NO_TOKEN
        };
        if !fits {
            let at = class_offset(world.descriptor, index);
            let message = format!("token {token} among {public} public classes");
            findings.add(Rule::DescriptorClassToken, ComponentTag::Descriptor, at, message);
        }
    }
}

fn check_class(world: &World<'_>, id: ClassId, class: &ClassDescriptor, findings: &mut Findings) {
    let flags = class.access_flags;
    let index = world.descriptor.classes.iter().position(|c| std::ptr::eq(c, class)).unwrap_or(0);
    let at = class_offset(world.descriptor, index);
    let is_interface = flags & access::CLASS_INTERFACE != 0;
    let is_abstract = flags & access::CLASS_ABSTRACT != 0;
    let is_final = flags & access::FINAL != 0;
    if flags & !CLASS_FLAGS != 0
        || is_interface != world.get(id).is_interface
        || is_interface && !is_abstract
        || is_final && is_abstract
    {
        let message = format!("flags {flags:#04x} of {}", world.name(id));
        findings.add(Rule::DescriptorClassFlags, ComponentTag::Descriptor, at + FLAGS_AT, message);
    }
    // Interfaces list theirs in Class alone.
    let mut listed: Vec<ClassRef> = match world.get(id).origin {
        Origin::Class(info, _) => info.interfaces.iter().map(|i| i.interface).collect(),
        Origin::Interface(..) => Vec::new(),
        Origin::Export(_) | Origin::Unknown => return,
    };
    let mut described = class.interfaces.clone();
    listed.sort_unstable();
    described.sort_unstable();
    if listed != described {
        let message = format!("{described:?}, in Class {listed:?}");
        findings.add(Rule::DescriptorInterfaces, ComponentTag::Descriptor, at + 9, message);
    }
}

fn check_method(
    world: &mut World<'_>,
    id: ClassId,
    class: &ClassDescriptor,
    method: &MethodDescriptor,
    index: usize,
    findings: &mut Findings,
) {
    let at = method_offset(world.descriptor, class, index);
    let site = world.site(id, method);
    let mut fault =
        |rule, at, message| findings.add_in(rule, ComponentTag::Descriptor, at, Some(site.clone()), message);
    let flags = Flags(method.access_flags);
    let is_interface = world.get(id).is_interface;
    let one_visibility = (flags.0 & VISIBILITY).count_ones() <= 1;
    let is_abstract = flags.has(access::METHOD_ABSTRACT);
    let abstract_fits = !is_abstract || !flags.is_static_kind() && !flags.has(access::FINAL);
    let init_fits = !flags.is_constructor() || !flags.is_static() && !flags.has(access::FINAL);
    let interface_fits = !is_interface || flags.0 == access::PUBLIC | access::METHOD_ABSTRACT;
    if flags.0 & !METHOD_FLAGS != 0 || !one_visibility || !abstract_fits || !init_fits || !interface_fits {
        fault(Rule::DescriptorMethodFlags, at + FLAGS_AT, format!("flags {:#04x}", flags.0));
    }
    let signature = world.signature_at(method.type_offset);
    let fits = signature.as_ref().is_some_and(|s| !flags.is_constructor() || s.result == Ty::Void);
    if !fits {
        let message = match signature {
            Some(_) => "a constructor with a result".to_owned(),
            None => format!("no signature at type offset {:#06x}", method.type_offset),
        };
        fault(Rule::DescriptorMethodType, at + 4, message);
    }
}

/// Tokens of one class: static ones, and virtual ones of both tables. That virtual tokens have no holes is for the
/// method tables of Class to show.
fn check_method_tokens(world: &World<'_>, id: ClassId, class: &ClassDescriptor, findings: &mut Findings) {
    let is_interface = world.get(id).is_interface;
    let mut statics = Vec::new();
    let mut virtuals: Vec<u8> = Vec::new();
    for (index, method) in class.methods.iter().enumerate() {
        let flags = Flags(method.access_flags);
        let fits = match (flags.is_static_kind(), flags.is_visible_outside()) {
            (true, true) => {
                statics.push(method.token);
                true
            }
            (true, false) => method.token == NO_TOKEN,
            (false, visible) => {
                let fits = visible == (method.token < PACKAGE_TOKEN) && method.token != NO_TOKEN;
                let fresh = !virtuals.contains(&method.token);
                virtuals.push(method.token);
                fits && fresh
            }
        };
        if !fits {
            let at = method_offset(world.descriptor, class, index);
            let message = format!("token {:#04x}", method.token);
            let site = Some(world.site(id, method));
            findings.add_in(Rule::DescriptorMethodToken, ComponentTag::Descriptor, at, site, message);
        }
    }
    for tokens in [Some(statics), is_interface.then_some(virtuals)].into_iter().flatten() {
        if !are_consecutive(tokens.clone()) {
            let at = method_offset(world.descriptor, class, 0);
            let message = format!("tokens {tokens:?} of {} are not 0, 1, …", world.name(id));
            findings.add(Rule::DescriptorMethodToken, ComponentTag::Descriptor, at, message);
        }
    }
}

/// Whether tokens are 0, 1, … in some order.
pub(super) fn are_consecutive(mut tokens: Vec<u8>) -> bool {
    tokens.sort_unstable();
    tokens.iter().enumerate().all(|(index, &token)| usize::from(token) == index)
}
