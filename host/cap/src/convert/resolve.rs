//! Stage "resolve": from names in class files to what the constant pool of the CAP names (JCVM 6.7).

use std::collections::HashMap;

use super::diagnostics::ConvertRule;
use super::package::{FieldSlot, Found, Package, Role};
use crate::classfile::{acc, field_type, InvokeKind, JavaType, MemberRef, MethodType};
use crate::exports::ExportClass;

/// A class, before offsets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum ClassKey {
    /// Index in the package.
    Own(usize),
    /// Index in the imports, and class token.
    Imported { package: usize, token: u8 },
}

/// A static field or statically called method, before offsets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum MemberKey {
    /// Class and member index in the package.
    Own { class: usize, member: usize },
    /// Index in the imports, class token, member token.
    Imported { package: usize, class: u8, token: u8 },
}

/// A constant pool entry, before offsets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum CpKey {
    Class(ClassKey),
    InstanceField {
        class: ClassKey,
        token: u8,
    },
    VirtualMethod {
        class: ClassKey,
        token: u8,
    },
    /// The class is the one that contains the call.
    SuperMethod {
        class: usize,
        token: u8,
    },
    StaticField(MemberKey),
    StaticMethod(MemberKey),
}

/// Number of an entry in [`CpTable`]; the index in the CAP is given at the end.
pub(super) type CpId = usize;

/// All entries met so far, each once.
#[derive(Debug, Default)]
pub(super) struct CpTable {
    entries: Vec<(CpKey, Option<String>)>,
    ids: HashMap<CpKey, CpId>,
}

impl CpTable {
    /// The number of an entry; the descriptor goes into the types of Descriptor.
    pub(super) fn id(&mut self, key: CpKey, descriptor: Option<&str>) -> CpId {
        *self.ids.entry(key).or_insert_with(|| {
            self.entries.push((key, descriptor.map(str::to_owned)));
            self.entries.len() - 1
        })
    }

    pub(super) fn class(&mut self, class: ClassKey) -> CpId {
        self.id(CpKey::Class(class), None)
    }

    pub(super) fn get(&self, id: CpId) -> &(CpKey, Option<String>) {
        &self.entries[id]
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Where a field access leads.
#[derive(Debug, Clone)]
pub(super) enum FieldTarget {
    /// A compile-time constant that was not inlined.
    Constant(i32),
    /// An entry and the type.
    Field(CpKey, JavaType),
}

/// Where a call leads.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) target: CallTarget,
    pub(super) ty: MethodType,
    /// Whether there is a receiver.
    pub(super) instance: bool,
}

/// How a call is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum CallTarget {
    Virtual(CpKey),
    /// Constructors, private methods, methods of the superclass.
    Special(CpKey),
    Static(CpKey),
    Interface {
        class: ClassKey,
        token: u8,
    },
}

const OBJECT: &str = "java/lang/Object";

impl Package<'_> {
    /// The key of a class by its name with slashes.
    pub(super) fn class_key(&self, name: &str) -> Result<ClassKey, ConvertRule> {
        Ok(match self.find(name)? {
            Found::Own(index) => ClassKey::Own(index),
            Found::Imported(i) => ClassKey::Imported { package: i.package, token: i.class.token },
        })
    }

    /// Resolves a field reference.
    pub(super) fn field(&self, member: MemberRef<'_>, is_static: bool) -> Result<FieldTarget, ConvertRule> {
        let ty = field_type(member.descriptor).ok_or(ConvertRule::Malformed("field descriptor"))?;
        let above = match self.find(member.class)? {
            Found::Own(class) => {
                if let Some(found) = self.own_field(class, member, is_static, &ty) {
                    return Ok(found);
                }
                self.imported_superclass(class)
            }
            Found::Imported(imported) => Some(imported),
        };
        let Some(imported) = above else { return Err(missing(member)) };
        let package = self.imports.package(imported.package);
        let chain = [imported.class.name.as_str()]
            .into_iter()
            .chain(imported.class.supers.iter().chain(&imported.class.interfaces).map(String::as_str));
        for name in chain {
            let Some(owner) = self.imports.class(name) else { continue };
            let Some(field) = owner.class.field(member.name, member.descriptor) else { continue };
            if (field.access & acc::STATIC != 0) != is_static {
                continue;
            }
            return match (field.token, field.constant) {
                (Some(token), _) if is_static => {
                    let key = MemberKey::Imported { package: owner.package, class: owner.class.token, token };
                    Ok(FieldTarget::Field(CpKey::StaticField(key), ty))
                }
                (Some(token), _) => {
                    let class = ClassKey::Imported { package: owner.package, token: owner.class.token };
                    Ok(FieldTarget::Field(CpKey::InstanceField { class, token }, ty))
                }
                (None, Some(value)) => Ok(FieldTarget::Constant(value)),
                (None, None) => continue,
            };
        }
        Err(ConvertRule::NoSuchField {
            class: member.class.replace('/', "."),
            name: member.name.to_owned(),
            package: package.name.replace('/', "."),
            version: package.version,
        })
    }

    fn own_field(
        &self,
        class: usize,
        member: MemberRef<'_>,
        is_static: bool,
        ty: &JavaType,
    ) -> Option<FieldTarget> {
        let interfaces = self.all_interfaces(class).into_iter().filter_map(|i| match i {
            super::package::TypeName::Own(index) => Some(index),
            super::package::TypeName::Imported(_) => None,
        });
        for owner in self.own_chain(class).chain(interfaces) {
            let c = &self.classes[owner];
            let position = c.file.fields.iter().position(|f| {
                f.name == member.name
                    && f.descriptor == member.descriptor
                    && (f.access & acc::STATIC != 0) == is_static
            });
            let Some(position) = position else { continue };
            return Some(match c.fields.get(position)? {
                FieldSlot::Constant(value) => FieldTarget::Constant(*value),
                FieldSlot::Static(_) => {
                    let key = MemberKey::Own { class: owner, member: position };
                    FieldTarget::Field(CpKey::StaticField(key), ty.clone())
                }
                FieldSlot::Instance(token) => {
                    let key = CpKey::InstanceField { class: ClassKey::Own(owner), token: *token };
                    FieldTarget::Field(key, ty.clone())
                }
            });
        }
        None
    }

    /// Resolves a call made in an own class.
    pub(super) fn call(
        &self,
        caller: usize,
        kind: InvokeKind,
        member: MemberRef<'_>,
    ) -> Result<Call, ConvertRule> {
        let ty = MethodType::parse(member.descriptor).ok_or(ConvertRule::Malformed("method descriptor"))?;
        if let Some(rule) = telling_call(member) {
            return Err(rule);
        }
        let target = if member.class.starts_with('[') {
            self.object_method(member)?
        } else {
            match kind {
                InvokeKind::Static => self.static_call(member)?,
                InvokeKind::Special => self.special_call(caller, member)?,
                InvokeKind::Virtual => self.virtual_call(member)?,
                InvokeKind::Interface => self.interface_call(member)?,
            }
        };
        Ok(Call { target, ty, instance: kind != InvokeKind::Static })
    }

    fn static_call(&self, member: MemberRef<'_>) -> Result<CallTarget, ConvertRule> {
        let mut start = None;
        if let Found::Own(class) = self.find(member.class)? {
            for owner in self.own_chain(class) {
                if let Some(method) = self.classes[owner].method(member.name, member.descriptor) {
                    let key = MemberKey::Own { class: owner, member: method };
                    return Ok(CallTarget::Static(CpKey::StaticMethod(key)));
                }
            }
            start = self.imported_superclass(class).map(|i| i.class.name.clone());
        }
        let start = start.unwrap_or_else(|| member.class.to_owned());
        self.imported_static(&start, member).map(CallTarget::Static)
    }

    fn imported_static(&self, class: &str, member: MemberRef<'_>) -> Result<CpKey, ConvertRule> {
        let Found::Imported(imported) = self.find(class)? else { return Err(missing(member)) };
        let chain = std::iter::once(&imported.class.name).chain(&imported.class.supers);
        for name in chain {
            let Some(owner) = self.imports.class(name) else { continue };
            let method = owner.class.method(member.name, member.descriptor).filter(|m| m.is_static_kind());
            if let Some(method) = method {
                let class = owner.class.token;
                let key = MemberKey::Imported { package: owner.package, class, token: method.token };
                return Ok(CpKey::StaticMethod(key));
            }
            if member.name == "<init>" {
                break;
            }
        }
        Err(self.no_such_method(member, imported.package))
    }

    fn special_call(&self, caller: usize, member: MemberRef<'_>) -> Result<CallTarget, ConvertRule> {
        if member.name == "<init>" {
            return match self.find(member.class)? {
                Found::Own(class) => {
                    let method = self.classes[class].method(member.name, member.descriptor);
                    let method = method.ok_or_else(|| missing(member))?;
                    let key = MemberKey::Own { class, member: method };
                    Ok(CallTarget::Special(CpKey::StaticMethod(key)))
                }
                Found::Imported(_) => self.imported_static(member.class, member).map(CallTarget::Special),
            };
        }
        let own = self.own(member.class) == Some(caller);
        match self.virtual_call(member)? {
            // A method of the class itself that was private in the source.
            target @ CallTarget::Virtual(_)
                if own && self.classes[caller].method(member.name, member.descriptor).is_some() =>
            {
                Ok(target)
            }
            CallTarget::Virtual(CpKey::VirtualMethod { token, .. }) => {
                Ok(CallTarget::Special(CpKey::SuperMethod { class: caller, token }))
            }
            other => Ok(other),
        }
    }

    fn virtual_call(&self, member: MemberRef<'_>) -> Result<CallTarget, ConvertRule> {
        let imported = match self.find(member.class)? {
            Found::Own(class) if self.classes[class].file.is_interface() => {
                return self.object_method(member)
            }
            Found::Own(class) => {
                // The topmost own class that declares the method stands for all below it: one pool entry serves
                // every static type of the receiver.
                let mut top = None;
                for owner in self.own_chain(class) {
                    let Some(method) = self.classes[owner].method(member.name, member.descriptor) else {
                        continue;
                    };
                    match self.classes[owner].methods.get(method).map(|m| m.role) {
                        Some(Role::Private) if top.is_none() => {
                            let key = MemberKey::Own { class: owner, member: method };
                            return Ok(CallTarget::Special(CpKey::StaticMethod(key)));
                        }
                        Some(Role::Virtual(token)) => top = Some((owner, token)),
                        _ => {}
                    }
                }
                if let Some((owner, token)) = top {
                    let key = CpKey::VirtualMethod { class: ClassKey::Own(owner), token };
                    return Ok(CallTarget::Virtual(key));
                }
                self.imported_superclass(class).ok_or_else(|| missing(member))?
            }
            Found::Imported(imported) => imported,
        };
        let method = virtual_method(imported.class, member);
        let Some(token) = method else {
            if imported.class.is_interface() {
                return self.object_method(member);
            }
            return Err(self.no_such_method(member, imported.package));
        };
        let class = ClassKey::Imported { package: imported.package, token: imported.class.token };
        Ok(CallTarget::Virtual(CpKey::VirtualMethod { class, token }))
    }

    fn interface_call(&self, member: MemberRef<'_>) -> Result<CallTarget, ConvertRule> {
        let found = match self.find(member.class)? {
            Found::Own(class) => {
                let table = &self.classes[class].interface_table;
                let token = table.iter().position(|(n, d)| n == member.name && d == member.descriptor);
                token.and_then(|t| u8::try_from(t).ok()).map(|token| (ClassKey::Own(class), token))
            }
            Found::Imported(i) => virtual_method(i.class, member)
                .map(|token| (ClassKey::Imported { package: i.package, token: i.class.token }, token)),
        };
        match found {
            Some((class, token)) => Ok(CallTarget::Interface { class, token }),
            None => self.object_method(member),
        }
    }

    /// Calls on interfaces and arrays reach Object's methods as ordinary virtual calls.
    fn object_method(&self, member: MemberRef<'_>) -> Result<CallTarget, ConvertRule> {
        let Found::Imported(object) = self.find(OBJECT)? else { return Err(missing(member)) };
        let Some(token) = virtual_method(object.class, member) else {
            return Err(self.no_such_method(member, object.package));
        };
        let class = ClassKey::Imported { package: object.package, token: object.class.token };
        Ok(CallTarget::Virtual(CpKey::VirtualMethod { class, token }))
    }

    fn no_such_method(&self, member: MemberRef<'_>, package: usize) -> ConvertRule {
        let package = self.imports.package(package);
        ConvertRule::NoSuchMethod {
            class: member.class.replace('/', "."),
            name: member.name.to_owned(),
            descriptor: member.descriptor.to_owned(),
            package: package.name.replace('/', "."),
            version: package.version,
        }
    }
}

fn virtual_method(class: &ExportClass, member: MemberRef<'_>) -> Option<u8> {
    let method = class.method(member.name, member.descriptor)?;
    (!method.is_static_kind()).then_some(method.token)
}

fn missing(member: MemberRef<'_>) -> ConvertRule {
    ConvertRule::MissingMember {
        class: member.class.replace('/', "."),
        name: member.name.to_owned(),
        descriptor: member.descriptor.to_owned(),
    }
}

/// Calls by which javac spells language features the subset lacks: better named by the feature.
fn telling_call(member: MemberRef<'_>) -> Option<ConvertRule> {
    match (member.class, member.name) {
        ("java/lang/StringBuilder" | "java/lang/StringBuffer", _) => Some(ConvertRule::StringConcatenation),
        (
            boxed,
            "valueOf" | "byteValue" | "shortValue" | "intValue" | "booleanValue" | "longValue" | "charValue",
        ) if boxed.starts_with("java/lang/") => Some(ConvertRule::Boxing(boxed.replace('/', "."))),
        ("java/lang/Class", "desiredAssertionStatus") | ("java/lang/AssertionError", _) => {
            Some(ConvertRule::Assert)
        }
        ("java/lang/String", "hashCode") => Some(ConvertRule::SwitchOn("a string")),
        (_, "ordinal") if member.descriptor == "()I" => Some(ConvertRule::SwitchOn("an enum")),
        (_, "finalize") if member.descriptor == "()V" => Some(ConvertRule::Finalize),
        _ => None,
    }
}
