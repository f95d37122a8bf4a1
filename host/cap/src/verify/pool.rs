//! ConstantPool (JCVM 6.7): what each entry names, and that it is there.

use super::member::{Field, Method};
use super::types::Ty;
use super::world::{ClassId, World};
use super::{Findings, Rule};
use crate::model::{ClassRef, ComponentTag, CpInfo, StaticRef};

/// An entry that was found to name something.
pub(super) enum Entry {
    Class(ClassId),
    InstanceField(Field),
    Virtual { class: ClassId, method: Method },
    Super { class: ClassId, method: Method },
    StaticField(Field),
    StaticMethod(Method),
}

impl Entry {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Class(_) => "a class",
            Self::InstanceField(_) => "an instance field",
            Self::Virtual { .. } => "a virtual method",
            Self::Super { .. } => "a super method",
            Self::StaticField(_) => "a static field",
            Self::StaticMethod(_) => "a static method",
        }
    }
}

/// Resolves all entries. Those that name nothing are reported, and `None`.
pub(super) fn resolve(world: &mut World<'_>, findings: &mut Findings) -> Vec<Option<Entry>> {
    let cap = world.cap;
    let mut entries = Vec::with_capacity(cap.constant_pool.entries.len());
    for (index, &info) in cap.constant_pool.entries.iter().enumerate() {
        let at = 2 + 4 * index;
        let mut fault = |rule, message| findings.add(rule, ComponentTag::ConstantPool, at, message);
        if padding(info) != 0 {
            fault(Rule::PoolPadding, format!("entry {index}: {:#04x}", padding(info)));
        }
        let entry = resolve_entry(world, info);
        match &entry {
            Err(rule) => fault(*rule, format!("entry {index}: {info:?} names nothing of the kind")),
            Ok(entry) if !type_agrees(world, index, entry) => {
                fault(Rule::PoolType, format!("entry {index}: Descriptor has another type"));
            }
            Ok(_) => {}
        }
        entries.push(entry.ok());
    }
    entries
}

fn padding(info: CpInfo) -> u8 {
    match info {
        CpInfo::Class { padding, .. }
        | CpInfo::StaticField(StaticRef::Internal { padding, .. })
        | CpInfo::StaticMethod(StaticRef::Internal { padding, .. }) => padding,
        _ => 0,
    }
}

fn resolve_entry(world: &mut World<'_>, info: CpInfo) -> Result<Entry, Rule> {
    match info {
        CpInfo::Class { class, .. } => world.class(class).map(Entry::Class).ok_or(Rule::PoolClass),
        CpInfo::InstanceField { class, token } => {
            let id = world.class(class).ok_or(Rule::PoolClass)?;
            world.instance_field(id, token).map(Entry::InstanceField).ok_or(Rule::PoolField)
        }
        CpInfo::VirtualMethod { class, token } => {
            let id = world.class(class).ok_or(Rule::PoolClass)?;
            let id = Some(id).filter(|&id| !world.get(id).is_interface).ok_or(Rule::PoolVirtual)?;
            let method = world.virtual_method(id, token).ok_or(Rule::PoolVirtual)?;
            // An own class has to declare it; what other packages' classes inherit, their export files list.
            if world.is_own(id) && method.owner != id {
                return Err(Rule::PoolVirtual);
            }
            Ok(Entry::Virtual { class: id, method })
        }
        CpInfo::SuperMethod { class, token } => {
            let id = world.class(class).ok_or(Rule::PoolClass)?;
            let internal = matches!(class, ClassRef::Internal(_)) && !world.get(id).is_interface;
            let superclass = world.get(id).supers.last().copied().filter(|_| internal);
            let superclass = superclass.ok_or(Rule::PoolSuper)?;
            let method = world.virtual_method(superclass, token).ok_or(Rule::PoolSuper)?;
            Ok(Entry::Super { class: id, method })
        }
        CpInfo::StaticField(reference) => {
            world.static_field(reference).map(Entry::StaticField).ok_or(Rule::PoolStaticField)
        }
        CpInfo::StaticMethod(reference) => {
            world.static_method(reference).map(Entry::StaticMethod).ok_or(Rule::PoolStaticMethod)
        }
    }
}

/// Whether Descriptor gives the entry the type of what it names.
fn type_agrees(world: &mut World<'_>, index: usize, entry: &Entry) -> bool {
    let Some(&offset) = world.descriptor.types.constant_pool_types.get(index) else { return false };
    match entry {
        Entry::Class(_) => true,
        Entry::InstanceField(field) | Entry::StaticField(field) => {
            let field: &Field = field;
            let ty: Option<Ty> = world.field_type_at(offset);
            ty == Some(field.ty)
        }
        Entry::Virtual { method, .. } | Entry::Super { method, .. } | Entry::StaticMethod(method) => {
            world.signature_at(offset).as_ref() == Some(&method.signature)
        }
    }
}
