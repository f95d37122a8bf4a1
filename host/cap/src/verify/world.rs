//! The classes a package can see: its own and those of the export files, with their place in the type hierarchy.

use std::borrow::Cow;
use std::collections::HashMap;

use super::member::Members;
use super::{Findings, Rule};
use crate::exports::{acc, ExportClass, ExportPackage, ExportSet, SHAREABLE};
use crate::model::{
    access, Cap, ClassDescriptor, ClassInfo, ClassRef, ComponentTag, Descriptor, InterfaceInfo,
};

const OBJECT: &str = "java/lang/Object";
const THROWABLE: &str = "java/lang/Throwable";
const APPLET: &str = "javacard/framework/Applet";

/// Index of a class or interface in [`World::classes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClassId(u32);

/// A class or interface.
pub(super) struct Class<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) name: String,
    pub(super) is_interface: bool,
    pub(super) is_abstract: bool,
    pub(super) is_final: bool,
    /// All superclasses, root first.
    pub(super) supers: Vec<ClassId>,
    /// All interfaces, inherited ones too, sorted.
    pub(super) interfaces: Vec<ClassId>,
}

/// Where a class comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Interface(&'a InterfaceInfo, &'a ClassDescriptor),
    Class(&'a ClassInfo, &'a ClassDescriptor),
    Export(&'a ExportClass),
    /// A class an export file mentions, of a package for which there is none.
    Unknown,
}

/// Everything verification looks up.
pub(super) struct World<'a> {
    pub(super) cap: &'a Cap,
    pub(super) descriptor: &'a Descriptor,
    pub(super) own_export: Option<&'a ExportPackage>,
    exports: &'a ExportSet,
    imports: Vec<&'a ExportPackage>,
    classes: Vec<Class<'a>>,
    own: HashMap<u16, ClassId>,
    own_count: usize,
    by_name: HashMap<String, ClassId>,
    pub(super) members: Members<'a>,
    pub(super) object: ClassId,
    pub(super) throwable: ClassId,
    pub(super) applet: ClassId,
    pub(super) shareable: ClassId,
}

impl<'a> World<'a> {
    /// Matches Class with Descriptor and builds the hierarchy. `None` when they do not describe the same classes.
    pub(super) fn build(
        cap: &'a Cap,
        descriptor: &'a Descriptor,
        exports: &'a ExportSet,
        findings: &mut Findings,
    ) -> Option<Self> {
        let imports = cap.import.packages.iter().map(|p| exports.by_import(p.aid, p.version));
        let package = cap.header.package;
        let none = ClassId(0);
        let mut world = Self {
            cap,
            descriptor,
            own_export: exports.given().iter().find(|p| p.aid == package.aid && p.version == package.version),
            exports,
            imports: imports.collect::<Option<_>>()?,
            classes: Vec::new(),
            own: HashMap::new(),
            own_count: 0,
            by_name: HashMap::new(),
            members: Members::default(),
            object: none,
            throwable: none,
            applet: none,
            shareable: none,
        };
        if !world.pair_own(findings) {
            return None;
        }
        world.object = world.class_by_name(OBJECT);
        world.throwable = world.class_by_name(THROWABLE);
        world.applet = world.class_by_name(APPLET);
        world.shareable = world.class_by_name(SHAREABLE);
        world.place_own(findings);
        world.index_members();
        Some(world)
    }

    /// Gives every class of Class its entry in Descriptor, in the order of Class.
    fn pair_own(&mut self, findings: &mut Findings) -> bool {
        let (cap, descriptor) = (self.cap, self.descriptor);
        let mut described: HashMap<u16, &ClassDescriptor> = HashMap::new();
        let mut ok = true;
        for (index, class) in descriptor.classes.iter().enumerate() {
            let at = class_offset(descriptor, index);
            let fault = match class.this_class {
                ClassRef::External { .. } => Some("this_class is of another package".to_owned()),
                ClassRef::Internal(offset) => described
                    .insert(offset, class)
                    .map(|_| format!("the class at {offset:#06x} is described twice")),
            };
            if let Some(fault) = fault {
                findings.add(Rule::DescriptorClass, ComponentTag::Descriptor, at, fault);
                ok = false;
            }
        }
        let interfaces = cap.class.interfaces.iter().map(|i| (i.offset, Err(i)));
        let classes = cap.class.classes.iter().map(|c| (c.offset, Ok(c)));
        for (offset, info) in interfaces.chain(classes) {
            let Some(described) = described.remove(&offset) else {
                let message = format!("the class at {offset:#06x} of Class is not described");
                findings.add(Rule::DescriptorClass, ComponentTag::Descriptor, 0, message);
                return false;
            };
            let origin = match info {
                Ok(class) => Origin::Class(class, described),
                Err(interface) => Origin::Interface(interface, described),
            };
            let flag = |bit| described.access_flags & bit != 0;
            let name = self.own_name(offset, described.token);
            let id = self.push(Class {
                origin,
                name,
                is_interface: info.is_err(),
                is_abstract: flag(access::CLASS_ABSTRACT) || info.is_err(),
                is_final: flag(access::FINAL),
                supers: Vec::new(),
                interfaces: Vec::new(),
            });
            self.own.insert(offset, id);
            // In the package's own export file, its classes go by name.
            if let Some(exported) = self.own_export.and_then(|p| p.class_by_token(described.token)) {
                self.by_name.insert(exported.name.clone(), id);
            }
        }
        self.own_count = self.classes.len();
        for offset in described.keys() {
            let message = format!("no class begins at {offset:#06x} of Class");
            findings.add(Rule::DescriptorClass, ComponentTag::Descriptor, 0, message);
            ok = false;
        }
        ok
    }

    fn own_name(&self, offset: u16, token: u8) -> String {
        let debug = self.cap.debug.as_ref().and_then(|debug| {
            let class = debug.classes.iter().find(|c| c.location == offset)?;
            debug.string(class.name_index)
        });
        let exported = || self.own_export?.class_by_token(token).map(|c| c.name.clone());
        debug.or_else(exported).unwrap_or_else(|| format!("class@{offset:#06x}"))
    }

    /// Superclasses and interfaces of the own classes, in file order: what a class builds on stands before it.
    fn place_own(&mut self, findings: &mut Findings) {
        for index in 0..self.own_count {
            let id = ClassId(u32::try_from(index).unwrap_or(u32::MAX));
            let mut supers = vec![self.object];
            let mut interfaces = Vec::new();
            let (offset, direct) = match self.get(id).origin {
                Origin::Interface(info, _) => (info.offset, info.superinterfaces.clone()),
                Origin::Class(info, _) => {
                    if let Some(superclass) = self.superclass_of(info, findings) {
                        supers.clone_from(&self.get(superclass).supers);
                        supers.push(superclass);
                        interfaces.clone_from(&self.get(superclass).interfaces);
                    }
                    (info.offset, info.interfaces.iter().map(|i| i.interface).collect())
                }
                _ => continue,
            };
            let rule =
                if self.get(id).is_interface { Rule::ClassSuperinterfaces } else { Rule::ClassInterfaces };
            for (position, reference) in direct.iter().enumerate() {
                let interface = self.class(*reference).filter(|&i| self.get(i).is_interface);
                let known = interface.filter(|_| is_earlier(*reference, offset));
                let Some(interface) = known else {
                    let message = format!("{reference:?} is no interface that stands before");
                    findings.add(rule, ComponentTag::Class, offset.into(), message);
                    continue;
                };
                if direct[..position].contains(reference) {
                    let message = format!("{} is listed twice", self.get(interface).name);
                    findings.add(rule, ComponentTag::Class, offset.into(), message);
                }
                interfaces.push(interface);
                interfaces.extend(&self.get(interface).interfaces);
            }
            interfaces.sort_unstable();
            interfaces.dedup();
            let class = &mut self.classes[index];
            class.supers = supers;
            class.interfaces = interfaces;
        }
    }

    fn superclass_of(&mut self, info: &ClassInfo, findings: &mut Findings) -> Option<ClassId> {
        let mut fault = |rule, message: String| {
            findings.add(rule, ComponentTag::Class, usize::from(info.offset) + 1, message);
        };
        let Some(reference) = info.superclass else {
            fault(Rule::ClassSuper, "only java.lang.Object has no superclass".into());
            return None;
        };
        let superclass = self.class(reference).filter(|_| is_earlier(reference, info.offset));
        let Some(superclass) = superclass.filter(|&id| !self.get(id).is_interface) else {
            fault(Rule::ClassSuper, format!("{reference:?} is no class that stands before"));
            return None;
        };
        if self.get(superclass).is_final {
            fault(Rule::ClassSuperFinal, format!("{} is final", self.get(superclass).name));
        }
        Some(superclass)
    }

    fn push(&mut self, class: Class<'a>) -> ClassId {
        let id = ClassId(u32::try_from(self.classes.len()).unwrap_or(u32::MAX));
        self.classes.push(class);
        id
    }

    pub(super) fn get(&self, id: ClassId) -> &Class<'a> {
        &self.classes[id.0 as usize]
    }

    pub(super) fn name(&self, id: ClassId) -> &str {
        &self.get(id).name
    }

    /// The classes of this package in the order of Class.
    pub(super) fn own_classes(&self) -> impl Iterator<Item = ClassId> {
        (0..u32::try_from(self.own_count).unwrap_or(0)).map(ClassId)
    }

    pub(super) fn is_own(&self, id: ClassId) -> bool {
        (id.0 as usize) < self.own_count
    }

    /// The own class that begins at an offset of Class.
    pub(super) fn own_at(&self, offset: u16) -> Option<ClassId> {
        self.own.get(&offset).copied()
    }

    /// What a class reference names.
    pub(super) fn class(&mut self, reference: ClassRef) -> Option<ClassId> {
        match reference {
            ClassRef::Internal(offset) => self.own_at(offset),
            ClassRef::External { package, class } => {
                let package: &'a ExportPackage = self.imports.get(usize::from(package))?;
                let class = package.class_by_token(class)?;
                Some(self.intern(&class.name, Some(class)))
            }
        }
    }

    /// Like [`Self::class`], for references that were resolved before.
    pub(super) fn known_class(&self, reference: ClassRef) -> Option<ClassId> {
        match reference {
            ClassRef::Internal(offset) => self.own_at(offset),
            ClassRef::External { package, class } => {
                let class = self.imports.get(usize::from(package))?.class_by_token(class)?;
                self.by_name.get(&class.name).copied()
            }
        }
    }

    /// Whether a class of another package is known from an export file of a later version than was imported: its
    /// methods may then be more than the package was built against.
    pub(super) fn is_later(&self, id: ClassId) -> bool {
        let Origin::Export(class) = self.get(id).origin else { return false };
        let package = class.name.rsplit_once('/').map_or("", |(package, _)| package);
        let wanted = self.cap.import.packages.iter().zip(&self.imports);
        wanted.into_iter().any(|(wanted, found)| found.name == package && found.version > wanted.version)
    }

    /// A class of another package by its name with slashes; unknown ones are subtypes of Object alone.
    pub(super) fn class_by_name(&mut self, name: &str) -> ClassId {
        self.intern(name, None)
    }

    fn intern(&mut self, name: &str, found: Option<&'a ExportClass>) -> ClassId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        // Export files may say anything of each other, cycles included, so a queue takes the place of recursion.
        let first = self.add_external(name, found);
        let mut queue = vec![first];
        while let Some(id) = queue.pop() {
            let Origin::Export(class) = self.get(id).origin else { continue };
            let mut ids = |world: &mut Self, names: &[String]| -> Vec<ClassId> {
                let lookup = |name: &String| {
                    world.by_name.get(name).copied().unwrap_or_else(|| {
                        let id = world.add_external(name, None);
                        queue.push(id);
                        id
                    })
                };
                names.iter().map(lookup).collect()
            };
            let supers = ids(self, &class.supers);
            let mut interfaces = ids(self, &class.interfaces);
            interfaces.sort_unstable();
            let entry = &mut self.classes[id.0 as usize];
            entry.supers = supers;
            entry.interfaces = interfaces;
        }
        first
    }

    fn add_external(&mut self, name: &str, found: Option<&'a ExportClass>) -> ClassId {
        let export = found.or_else(|| self.find_exported(name));
        let flag = |bit| export.is_some_and(|class| class.access & bit != 0);
        let id = self.push(Class {
            origin: export.map_or(Origin::Unknown, Origin::Export),
            name: name.to_owned(),
            is_interface: flag(acc::INTERFACE),
            is_abstract: flag(acc::ABSTRACT),
            is_final: flag(acc::FINAL),
            supers: Vec::new(),
            interfaces: Vec::new(),
        });
        self.by_name.insert(name.to_owned(), id);
        id
    }

    fn find_exported(&self, name: &str) -> Option<&'a ExportClass> {
        let (package, _) = name.rsplit_once('/')?;
        if let Some(imported) = self.imports.iter().copied().find(|p| p.name == package) {
            return imported.class(name);
        }
        match self.exports.by_name(package)? {
            Cow::Borrowed(package) => package.class(name),
            Cow::Owned(_) => None,
        }
    }

    /// Whether every instance of `sub` is one of `class`.
    pub(super) fn is_subtype(&self, sub: ClassId, class: ClassId) -> bool {
        sub == class || class == self.object || {
            let sub = self.get(sub);
            sub.supers.contains(&class) || sub.interfaces.binary_search(&class).is_ok()
        }
    }

    /// The closest common superclass of two classes (not interfaces).
    pub(super) fn common_superclass(&self, a: ClassId, b: ClassId) -> ClassId {
        let chain = std::iter::once(a).chain(self.get(a).supers.iter().rev().copied());
        chain
            .into_iter()
            .find(|&class| class == b || self.get(b).supers.contains(&class))
            .unwrap_or(self.object)
    }
}

/// Whether a class reference of a class at `offset` leads to an earlier class or to another package.
fn is_earlier(reference: ClassRef, offset: u16) -> bool {
    match reference {
        ClassRef::Internal(other) => other < offset,
        ClassRef::External { .. } => true,
    }
}

/// Offset of a class_descriptor_info in Descriptor's info (JCVM 6.13.1).
pub(super) fn class_offset(descriptor: &Descriptor, index: usize) -> usize {
    let len = |c: &ClassDescriptor| 9 + 2 * c.interfaces.len() + 7 * c.fields.len() + 12 * c.methods.len();
    1 + descriptor.classes.iter().take(index).map(len).sum::<usize>()
}

/// Offset of a field_descriptor_info.
pub(super) fn field_offset(descriptor: &Descriptor, class: &ClassDescriptor, field: usize) -> usize {
    let index = descriptor.classes.iter().position(|c| std::ptr::eq(c, class)).unwrap_or(0);
    class_offset(descriptor, index) + 9 + 2 * class.interfaces.len() + 7 * field
}

/// Offset of a method_descriptor_info.
pub(super) fn method_offset(descriptor: &Descriptor, class: &ClassDescriptor, method: usize) -> usize {
    field_offset(descriptor, class, class.fields.len()) + 12 * method
}
