//! Fields and methods, own and imported, behind one face.

use std::collections::HashMap;

use super::types::{Signature, Ty};
use super::world::{ClassId, Origin, World};
use super::MethodSite;
use crate::exports::{acc, ExportField, ExportMethod};
use crate::model::{
    access, ClassDescriptor, ClassRef, FieldDescriptor, FieldRef, FieldType, MethodDescriptor, StaticRef,
};

/// Bit 7 of a virtual method token: package-visible (JCVM 4.3.7.6).
pub(super) const PACKAGE_TOKEN: u8 = 0x80;

/// Access flags in the numbers of Descriptor's [`access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags(pub(super) u8);

impl Flags {
    pub(super) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// From an export file's flags. Only methods may be abstract, only `<init>` a constructor.
    fn exported(flags: u16, constructor: bool) -> Self {
        let pairs = [
            (acc::PUBLIC, access::PUBLIC),
            (acc::PROTECTED, access::PROTECTED),
            (acc::STATIC, access::STATIC),
            (acc::FINAL, access::FINAL),
            (acc::ABSTRACT, access::METHOD_ABSTRACT),
        ];
        let set = pairs.into_iter().filter(|(from, _)| flags & from != 0).map(|(_, to)| to);
        Self(set.sum::<u8>() | if constructor { access::METHOD_INIT } else { 0 })
    }

    pub(super) fn is_public(self) -> bool {
        self.has(access::PUBLIC)
    }

    pub(super) fn is_static(self) -> bool {
        self.has(access::STATIC)
    }

    pub(super) fn is_constructor(self) -> bool {
        self.has(access::METHOD_INIT)
    }

    /// Public or protected: what a token is for.
    pub(super) fn is_visible_outside(self) -> bool {
        self.0 & (access::PUBLIC | access::PROTECTED) != 0
    }

    /// Static, constructor or private: reached by CONSTANT_StaticMethodref.
    pub(super) fn is_static_kind(self) -> bool {
        self.0 & (access::STATIC | access::METHOD_INIT | access::PRIVATE) != 0
    }

    /// 3 public, 2 protected, 1 package, 0 private.
    pub(super) fn openness(self) -> u8 {
        match self {
            _ if self.is_public() => 3,
            _ if self.has(access::PROTECTED) => 2,
            _ if self.has(access::PRIVATE) => 0,
            _ => 1,
        }
    }
}

/// A method of any class.
#[derive(Debug, Clone)]
pub(super) struct Method {
    /// The class it was found in.
    pub(super) owner: ClassId,
    pub(super) flags: Flags,
    pub(super) signature: Signature,
    /// Offset in Method, for methods of this package.
    pub(super) offset: Option<u16>,
    pub(super) name: String,
}

/// A field of any class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) owner: ClassId,
    pub(super) flags: Flags,
    pub(super) ty: Ty,
}

/// Own members by where they are, for references that name a place.
#[derive(Default)]
pub(super) struct Members<'a> {
    /// By offset in Method; interface methods have none.
    methods: HashMap<u16, (ClassId, &'a MethodDescriptor)>,
    /// By offset in the static field image.
    fields: HashMap<u16, (ClassId, &'a FieldDescriptor)>,
    /// String indices of the names Debug gives, by offset in Method.
    debug_names: HashMap<u16, u16>,
}

impl<'a> World<'a> {
    /// Fills [`Members`] once the own classes are known.
    pub(super) fn index_members(&mut self) {
        let mut members = Members::default();
        for id in self.own_classes() {
            let Some(class) = self.described(id) else { continue };
            if !self.get(id).is_interface {
                members.methods.extend(class.methods.iter().map(|m| (m.method_offset, (id, m))));
            }
            members.fields.extend(class.fields.iter().filter_map(|field| match field.field_ref {
                FieldRef::Static(StaticRef::Internal { offset, .. }) => Some((offset, (id, field))),
                _ => None,
            }));
        }
        let debugged = self.cap.debug.iter().flat_map(|debug| &debug.classes).flat_map(|c| &c.methods);
        let with_code = debugged.filter(|m| m.body_size != 0);
        members.debug_names = with_code.map(|m| (m.location, m.name_index)).collect();
        self.members = members;
    }

    /// The entry in Descriptor of an own class.
    pub(super) fn described(&self, class: ClassId) -> Option<&'a ClassDescriptor> {
        match self.get(class).origin {
            Origin::Interface(_, described) | Origin::Class(_, described) => Some(described),
            Origin::Export(_) | Origin::Unknown => None,
        }
    }

    fn own_method(&mut self, owner: ClassId, method: &MethodDescriptor) -> Option<Method> {
        let signature = self.signature_at(method.type_offset)?;
        Some(Method {
            owner,
            flags: Flags(method.access_flags),
            signature,
            offset: Some(method.method_offset),
            name: self.site(owner, method).name,
        })
    }

    fn exported_method(&mut self, owner: ClassId, method: &ExportMethod) -> Option<Method> {
        let signature = self.exported_signature(&method.descriptor)?;
        let constructor = method.name == "<init>";
        let name = format!("{}.{}", self.name(owner), method.name);
        let flags = Flags::exported(method.access, constructor);
        Some(Method { owner, flags, signature, offset: None, name })
    }

    fn exported_field(&mut self, owner: ClassId, field: &ExportField) -> Option<Field> {
        let ty = self.exported_type(&field.descriptor)?;
        Some(Field { owner, flags: Flags::exported(field.access, false), ty })
    }

    /// The virtual or interface method with this token that instances of a class have, inherited or not.
    pub(super) fn virtual_method(&mut self, class: ClassId, token: u8) -> Option<Method> {
        let mut chain = vec![class];
        if !self.get(class).is_interface {
            chain.extend(self.get(class).supers.iter().rev());
        }
        for owner in chain {
            match self.get(owner).origin {
                Origin::Interface(_, described) | Origin::Class(_, described) => {
                    let mut methods = described.methods.iter();
                    let found = methods.find(|m| m.token == token && !Flags(m.access_flags).is_static_kind());
                    if let Some(method) = found {
                        return self.own_method(owner, method);
                    }
                }
                Origin::Export(class) => {
                    let found = class.virtual_method(token).filter(|_| token < PACKAGE_TOKEN);
                    // Export files list inherited methods with every class.
                    return self.exported_method(owner, found?);
                }
                Origin::Unknown => return None,
            }
        }
        None
    }

    /// How many public and protected virtual tokens a class has; those of an interface likewise.
    pub(super) fn public_token_count(&self, class: ClassId) -> usize {
        match self.get(class).origin {
            Origin::Interface(_, described) => described.methods.len(),
            Origin::Class(info, _) => {
                usize::from(info.public_method_table_base) + info.public_virtual_method_table.len()
            }
            Origin::Export(class) => class.virtual_method_count().into(),
            Origin::Unknown => 0,
        }
    }

    /// How many package-visible virtual tokens a class has.
    pub(super) fn package_token_count(&self, class: ClassId) -> usize {
        match self.get(class).origin {
            Origin::Class(info, _) => {
                usize::from(info.package_method_table_base) + info.package_virtual_method_table.len()
            }
            _ => 0,
        }
    }

    /// The static or private method or constructor a reference names.
    pub(super) fn static_method(&mut self, reference: StaticRef) -> Option<Method> {
        match reference {
            StaticRef::Internal { offset, .. } => {
                let (owner, method) = self.method_at(offset)?;
                let found = self.own_method(owner, method)?;
                found.flags.is_static_kind().then_some(found)
            }
            StaticRef::External { package, class, token } => {
                let owner = self.class(ClassRef::External { package, class })?;
                let Origin::Export(class) = self.get(owner).origin else { return None };
                self.exported_method(owner, class.static_method(token)?)
            }
        }
    }

    /// The static field a reference names.
    pub(super) fn static_field(&mut self, reference: StaticRef) -> Option<Field> {
        match reference {
            StaticRef::Internal { offset, .. } => {
                let (owner, field) = *self.members.fields.get(&offset)?;
                self.own_field(owner, field)
            }
            StaticRef::External { package, class, token } => {
                let owner = self.class(ClassRef::External { package, class })?;
                let Origin::Export(class) = self.get(owner).origin else { return None };
                self.exported_field(owner, class.static_field(token)?)
            }
        }
    }

    /// The instance field a class declares under a token.
    pub(super) fn instance_field(&mut self, class: ClassId, token: u8) -> Option<Field> {
        match self.get(class).origin {
            Origin::Interface(_, described) | Origin::Class(_, described) => {
                let wanted = |f: &&FieldDescriptor| matches!(f.field_ref, FieldRef::Instance { token: other, .. } if other == token);
                self.own_field(class, described.fields.iter().find(wanted)?)
            }
            Origin::Export(export) => self.exported_field(class, export.instance_field(token)?),
            Origin::Unknown => None,
        }
    }

    fn own_field(&mut self, owner: ClassId, field: &FieldDescriptor) -> Option<Field> {
        let ty = self.declared_type(field.ty)?;
        Some(Field { owner, flags: Flags(field.access_flags), ty })
    }

    /// The type of a field descriptor.
    pub(super) fn declared_type(&mut self, ty: FieldType) -> Option<Ty> {
        Some(match ty {
            FieldType::Primitive(2) => Ty::Boolean,
            FieldType::Primitive(3) => Ty::Byte,
            FieldType::Primitive(4) => Ty::Short,
            FieldType::Primitive(5) => Ty::Int,
            FieldType::Primitive(_) => return None,
            FieldType::Reference(offset) => self.field_type_at(offset).filter(|ty| ty.is_reference())?,
        })
    }

    /// The own method whose header stands at an offset of Method.
    pub(super) fn method_at(&self, offset: u16) -> Option<(ClassId, &'a MethodDescriptor)> {
        self.members.methods.get(&offset).copied()
    }

    /// What a finding calls a method.
    pub(super) fn site(&self, owner: ClassId, method: &MethodDescriptor) -> MethodSite {
        let class = self.name(owner);
        let name = match self.method_name(owner, method) {
            Some(name) => format!("{class}.{name}"),
            None => format!("{class}.method@{:#06x}", method.method_offset),
        };
        MethodSite { offset: method.method_offset, name }
    }

    /// From Debug, else from the package's own export file, else from what it overrides.
    fn method_name(&self, owner: ClassId, method: &MethodDescriptor) -> Option<String> {
        let flags = Flags(method.access_flags);
        if let (Some(debug), false) = (&self.cap.debug, self.get(owner).is_interface) {
            let name = self.members.debug_names.get(&method.method_offset);
            if let Some(name) = name.and_then(|&name| debug.string(name)) {
                return Some(name);
            }
        }
        if flags.is_constructor() {
            return Some("<init>".into());
        }
        let token = method.token;
        let exported = self.described(owner).and_then(|c| self.own_export?.class_by_token(c.token));
        let named = exported.filter(|_| token < PACKAGE_TOKEN).and_then(|class| {
            let found =
                if flags.is_static_kind() { class.static_method(token) } else { class.virtual_method(token) };
            found.map(|m| m.name.clone())
        });
        named.or_else(|| {
            let overridden = self.get(owner).supers.iter().rev().find_map(|id| match self.get(*id).origin {
                Origin::Export(class) => Some(class),
                _ => None,
            });
            let method = overridden?.virtual_method(token)?;
            (!flags.is_static_kind() && token < PACKAGE_TOKEN).then(|| method.name.clone())
        })
    }
}
