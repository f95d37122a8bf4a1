//! Class (JCVM 6.8): method tables, overriding and interface mappings. Superclasses and interface lists were checked
//! when the hierarchy was built.

use super::member::{Flags, Method, PACKAGE_TOKEN};
use super::world::{ClassId, Origin, World};
use super::{Findings, Rule};
use crate::model::{
    access, ClassDescriptor, ClassInfo, ComponentTag, InterfaceInfo, CLASS_ACC_INTERFACE, CLASS_ACC_REMOTE,
    CLASS_ACC_SHAREABLE, TABLE_ENTRY_INHERITED,
};

/// Table entries are u2, behind ten bytes of fixed items.
const TABLES_AT: usize = 10;

pub(super) fn check(world: &mut World<'_>, findings: &mut Findings) {
    let ids: Vec<ClassId> = world.own_classes().collect();
    for id in ids {
        match world.get(id).origin {
            Origin::Interface(info, described) => check_interface(world, id, info, described, findings),
            Origin::Class(info, described) => {
                let before = findings.errors;
                check_flags(world, id, info, findings);
                check_interface_list(world, id, info, findings);
                for table in [Table::public(info), Table::package(info)] {
                    check_table(world, id, info, described, &table, findings);
                }
                if findings.errors == before {
                    check_mappings(world, id, info, findings);
                }
            }
            Origin::Export(_) | Origin::Unknown => {}
        }
    }
}

fn shareable_fits(world: &World<'_>, id: ClassId, flags: u8) -> bool {
    world.is_subtype(id, world.shareable) == (flags & CLASS_ACC_SHAREABLE != 0)
}

fn check_interface(
    world: &mut World<'_>,
    id: ClassId,
    info: &InterfaceInfo,
    described: &ClassDescriptor,
    findings: &mut Findings,
) {
    let at = usize::from(info.offset);
    let mut fault = |rule, message| findings.add(rule, ComponentTag::Class, at, message);
    if info.flags & !(CLASS_ACC_INTERFACE | CLASS_ACC_SHAREABLE | CLASS_ACC_REMOTE) != 0 {
        fault(Rule::ClassFlags, format!("flags {:#x}", info.flags));
    }
    if !shareable_fits(world, id, info.flags) {
        fault(Rule::ClassShareable, format!("flags {:#x} of {}", info.flags, world.name(id)));
    }
    // All superinterfaces are listed, indirect ones too.
    let listed: Vec<ClassId> = info.superinterfaces.iter().filter_map(|&i| world.class(i)).collect();
    if let Some(missing) = world.get(id).interfaces.iter().find(|i| !listed.contains(i)) {
        fault(Rule::ClassSuperinterfaces, format!("{} is not listed", world.name(*missing)));
    }
    // Inherited methods are methods of the interface too, under tokens of its own; without names, the signatures
    // must be among those it has.
    let own: Vec<_> = described.methods.iter().map(|m| world.signature_at(m.type_offset)).collect();
    for superinterface in listed {
        for token in 0..world.public_token_count(superinterface) {
            let token = u8::try_from(token).unwrap_or(u8::MAX);
            let Some(method) = world.virtual_method(superinterface, token) else { continue };
            let wanted = Some(method.signature);
            if !own.contains(&wanted) {
                let message = format!("{} of {} is not inherited", method.name, world.name(superinterface));
                fault(Rule::ClassSuperinterfaces, message);
            }
        }
    }
}

fn check_flags(world: &World<'_>, id: ClassId, info: &ClassInfo, findings: &mut Findings) {
    let at = usize::from(info.offset);
    let mut fault = |rule, message| findings.add(rule, ComponentTag::Class, at, message);
    if info.flags & !(CLASS_ACC_SHAREABLE | CLASS_ACC_REMOTE) != 0 {
        fault(Rule::ClassFlags, format!("flags {:#x}", info.flags));
    }
    // The flag tells of the interfaces in the list; those of a superclass are in the superclass's.
    let listed = |world: &World<'_>, i: &ClassId| world.is_subtype(*i, world.shareable);
    let own = info.interfaces.iter().filter_map(|i| world.known_class(i.interface));
    let direct = own.into_iter().any(|i| listed(world, &i));
    let set = info.flags & CLASS_ACC_SHAREABLE != 0;
    if direct && !set || set && !world.is_subtype(id, world.shareable) {
        fault(Rule::ClassShareable, format!("flags {:#x} of {}", info.flags, world.name(id)));
    }
}

fn check_interface_list(world: &World<'_>, id: ClassId, info: &ClassInfo, findings: &mut Findings) {
    let listed: Vec<ClassId> =
        info.interfaces.iter().filter_map(|i| world.known_class(i.interface)).collect();
    let inherited = world.get(id).supers.iter().flat_map(|s| &world.get(*s).interfaces);
    let known: Vec<ClassId> = listed.iter().chain(inherited).copied().collect();
    if let Some(missing) = world.get(id).interfaces.iter().find(|i| !known.contains(i)) {
        let message = format!("{} of {} is not listed", world.name(*missing), world.name(id));
        findings.add(Rule::ClassInterfaces, ComponentTag::Class, info.offset.into(), message);
    }
}

/// One of the two virtual method tables.
struct Table<'a> {
    rule: Rule,
    /// Added to an index to make a token.
    bit: u8,
    base: usize,
    entries: &'a [u16],
    /// Where its entries stand, counted from the class_info.
    at: usize,
}

impl<'a> Table<'a> {
    fn public(info: &'a ClassInfo) -> Self {
        Self {
            rule: Rule::ClassPublicTable,
            bit: 0,
            base: info.public_method_table_base.into(),
            entries: &info.public_virtual_method_table,
            at: TABLES_AT,
        }
    }

    fn package(info: &'a ClassInfo) -> Self {
        Self {
            rule: Rule::ClassPackageTable,
            bit: PACKAGE_TOKEN,
            base: info.package_method_table_base.into(),
            entries: &info.package_virtual_method_table,
            at: TABLES_AT + 2 * info.public_virtual_method_table.len(),
        }
    }

    fn end(&self) -> usize {
        self.base + self.entries.len()
    }
}

fn check_table(
    world: &mut World<'_>,
    id: ClassId,
    info: &ClassInfo,
    described: &ClassDescriptor,
    table: &Table<'_>,
    findings: &mut Findings,
) {
    let at = usize::from(info.offset);
    let superclass = world.get(id).supers.last().copied().unwrap_or(world.object);
    let imported = !world.is_own(superclass);
    let inherited = match table.bit {
        0 => world.public_token_count(superclass),
        _ => world.package_token_count(superclass),
    };
    let of_table = |m: &&crate::model::MethodDescriptor| {
        !Flags(m.access_flags).is_static_kind() && m.token & PACKAGE_TOKEN == table.bit
    };
    let own = || described.methods.iter().filter(of_table);
    let index_of = |token: u8| usize::from(token & !PACKAGE_TOKEN);
    let own_end = own().map(|m| index_of(m.token) + 1).max().unwrap_or(0);
    let mut end = own_end.max(inherited);
    // Of a superclass that has grown since, only the table itself tells how many methods it had.
    let grown = world.is_later(superclass);
    if grown && table.bit == 0 {
        end = table.end().clamp(own_end, end);
    }
    let lowest = own().map(|m| index_of(m.token)).min().unwrap_or(end);
    let package_base_fits = table.bit == 0 || !imported || table.base == 0;
    if table.end() != end || table.base > lowest || !package_base_fits || end > usize::from(PACKAGE_TOKEN) {
        let message = format!(
            "base {} and {} entries; own tokens {lowest} to {end}, {inherited} inherited",
            table.base,
            table.entries.len()
        );
        findings.add(table.rule, ComponentTag::Class, at + 6, message);
        return;
    }
    for index in 0..end {
        let Ok(token) = u8::try_from(index) else { continue };
        let token = token | table.bit;
        let declared = own().find(|m| m.token == token);
        let method = world.virtual_method(id, token);
        // Below the base everything is inherited, and the superclass's table has it.
        let position = index.checked_sub(table.base);
        let entry_at = at + table.at + 2 * position.unwrap_or(0);
        if let Some(&entry) = position.and_then(|position| table.entries.get(position)) {
            let fits = match (declared, &method) {
                (Some(m), _) => entry_fits(entry, Some(m.method_offset), Flags(m.access_flags)),
                (None, Some(inherited)) => entry_fits(entry, inherited.offset, inherited.flags),
                (None, None) => false,
            };
            if !fits {
                let name = method.as_ref().map_or("no method", |m| &m.name);
                let message = format!("entry {entry:#06x} for token {token:#04x}, which is {name}");
                findings.add(Rule::ClassTableEntry, ComponentTag::Class, entry_at, message);
                continue;
            }
        }
        let Some(method) = method else { continue };
        if method.flags.has(access::METHOD_ABSTRACT) && !world.get(id).is_abstract {
            let message = format!("{} in {}", method.name, world.name(id));
            findings.add(Rule::ClassAbstract, ComponentTag::Class, entry_at, message);
        }
        let overridden = declared.and_then(|_| world.virtual_method(superclass, token));
        // A method the superclass got since is not overridden, whatever token it has.
        if let Some(overridden) = overridden.filter(|o| !grown || o.signature == method.signature) {
            check_override(&method, &overridden, entry_at, findings);
        }
    }
}

/// Whether a table entry is right for a method at an offset of Method, or of another package. Kits write 0 for
/// abstract methods, though those have a header too.
fn entry_fits(entry: u16, offset: Option<u16>, flags: Flags) -> bool {
    match offset {
        Some(offset) => entry == offset || flags.has(access::METHOD_ABSTRACT) && entry == 0,
        None => entry == TABLE_ENTRY_INHERITED,
    }
}

fn check_override(method: &Method, overridden: &Method, at: usize, findings: &mut Findings) {
    let mut fault = |rule| {
        let message = format!("{} overrides {}", method.name, overridden.name);
        findings.add(rule, ComponentTag::Class, at, message);
    };
    if method.signature != overridden.signature {
        fault(Rule::ClassOverrideType);
    }
    if overridden.flags.has(access::FINAL) {
        fault(Rule::ClassOverrideFinal);
    }
    if method.flags.openness() < overridden.flags.openness() {
        fault(Rule::ClassOverrideAccess);
    }
}

fn check_mappings(world: &mut World<'_>, id: ClassId, info: &ClassInfo, findings: &mut Findings) {
    let tables = 2 * (info.public_virtual_method_table.len() + info.package_virtual_method_table.len());
    let mut at = usize::from(info.offset) + TABLES_AT + tables;
    for implemented in &info.interfaces {
        let here = at;
        at += 3 + implemented.tokens.len();
        let mut fault = |rule, message| findings.add(rule, ComponentTag::Class, here, message);
        let Some(interface) = world.class(implemented.interface) else { continue };
        let count = world.public_token_count(interface);
        if implemented.tokens.len() != count {
            let name = world.name(interface);
            let message = format!("{} methods mapped, {name} has {count}", implemented.tokens.len());
            fault(Rule::ClassMapping, message);
            continue;
        }
        for (index, &token) in implemented.tokens.iter().enumerate() {
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            let Some(wanted) = world.virtual_method(interface, index) else { continue };
            let found = world.virtual_method(id, token);
            match found.filter(|m| token < PACKAGE_TOKEN && m.flags.is_public()) {
                None => {
                    let message = format!("{} is mapped to token {token}", wanted.name);
                    fault(Rule::ClassMapping, message);
                }
                Some(found) if found.signature != wanted.signature => {
                    fault(Rule::ClassMappingType, format!("{} for {}", found.name, wanted.name));
                }
                Some(_) => {}
            }
        }
    }
}
