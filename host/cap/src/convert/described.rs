//! The Descriptor component: what the verifier reads (JCVM 6.13).

use std::collections::HashMap;

use super::components::{limit, short, Builder};
use super::diagnostics::{ConvertRule, Diagnostic, Limit, Use};
use super::package::{FieldSlot, Role};
use super::translate::type_descriptor;
use crate::classfile::{acc, field_type, JavaType, MethodType};
use crate::model::{
    access, ArrayElement, ClassDescriptor, ClassRef, Descriptor, FieldDescriptor, FieldRef, FieldType,
    MethodDescriptor, StaticRef, Type, TypeDescriptor, TypeEntry, TypeTable, NO_TOKEN,
};

const MAX_COMPONENT: usize = 0xFFFF;

impl Builder<'_> {
    /// The Descriptor component.
    pub(super) fn descriptor(&mut self) -> Result<Descriptor, Diagnostic> {
        let mut types = Types { offsets: HashMap::new(), entries: Vec::new(), end: 2 + 2 * self.pool.len() };
        let mut constant_pool_types = Vec::new();
        for id in self.pool.clone() {
            constant_pool_types.push(match self.input.cp.get(id).1.as_deref() {
                Some(descriptor) => types.offset(self.nibbles(descriptor)?),
                None => 0xFFFF,
            });
        }
        let handler_index = self.handler_indices();
        let mut classes = Vec::new();
        for index in 0..self.classes().len() {
            classes.push(self.class_descriptor(index, &handler_index, &mut types)?);
        }
        limit(Limit::ComponentBytes, types.end, MAX_COMPONENT)?;
        Ok(Descriptor { classes, types: TypeTable { constant_pool_types, entries: types.entries } })
    }

    fn handler_indices(&self) -> HashMap<(usize, usize), usize> {
        let mut next = 0;
        let mut all = HashMap::new();
        for method in self.methods() {
            all.insert(method, next);
            next += self.input.bodies.get(&method).map_or(0, |b| b.handlers.len());
        }
        all
    }

    fn class_descriptor(
        &mut self,
        index: usize,
        handler_index: &HashMap<(usize, usize), usize>,
        types: &mut Types,
    ) -> Result<ClassDescriptor, Diagnostic> {
        let class = &self.classes()[index];
        let flag = |mask: u16, flag: u8| if class.file.access & mask != 0 { flag } else { 0 };
        let interface = class.file.is_interface();
        let access_flags = flag(acc::PUBLIC, access::PUBLIC)
            | flag(acc::FINAL, access::FINAL)
            | flag(acc::INTERFACE, access::CLASS_INTERFACE)
            | flag(acc::ABSTRACT, access::CLASS_ABSTRACT);
        let mut fields = Vec::new();
        for (at, slot) in class.fields.iter().enumerate() {
            let field = &class.file.fields[at];
            let (token, field_ref) = match slot {
                FieldSlot::Constant(_) => continue,
                FieldSlot::Static(token) => {
                    let reference = StaticRef::internal(self.field_at((index, at)));
                    (token.unwrap_or(NO_TOKEN), FieldRef::Static(reference))
                }
                FieldSlot::Instance(token) => {
                    (*token, FieldRef::Instance { class: self.own_ref(index), token: *token })
                }
            };
            let ty = match field.descriptor.as_str() {
                "Z" => FieldType::Primitive(2),
                "B" => FieldType::Primitive(3),
                "S" => FieldType::Primitive(4),
                "I" => FieldType::Primitive(5),
                descriptor => FieldType::Reference(types.offset(self.nibbles(descriptor)?)),
            };
            fields.push(FieldDescriptor { token, access_flags: member_flags(field.access), field_ref, ty });
        }
        let mut methods = Vec::new();
        // Inherited methods are included for an interface, and not for a class (JCVM 6.13.1).
        for (token, (_, descriptor)) in (0..).zip(&class.interface_table) {
            methods.push(MethodDescriptor {
                token,
                access_flags: access::PUBLIC | access::METHOD_ABSTRACT,
                method_offset: 0,
                type_offset: types.offset(self.nibbles(descriptor)?),
                bytecode_count: 0,
                exception_handler_count: 0,
                exception_handler_index: 0,
            });
        }
        let declared = class.methods.iter().enumerate().filter(|_| !interface);
        for (at, slot) in declared {
            if slot.role == Role::StaticInitializer {
                continue;
            }
            let method = &class.file.methods[at];
            let init = if method.name == "<init>" { access::METHOD_INIT } else { 0 };
            let is_abstract = if method.access & acc::ABSTRACT != 0 { access::METHOD_ABSTRACT } else { 0 };
            let body = self.input.bodies.get(&(index, at));
            let handlers = body.map_or(0, |b| b.handlers.len());
            methods.push(MethodDescriptor {
                token: match slot.role {
                    Role::Static(Some(token)) | Role::Virtual(token) | Role::Interface(token) => token,
                    _ => NO_TOKEN,
                },
                access_flags: member_flags(method.access) | init | is_abstract,
                method_offset: if interface { 0 } else { self.method_at((index, at)) },
                type_offset: types.offset(self.nibbles(&method.descriptor)?),
                bytecode_count: short(body.map_or(0, |b| b.len)),
                exception_handler_count: short(handlers),
                exception_handler_index: if handlers == 0 {
                    0
                } else {
                    short(handler_index.get(&(index, at)).copied().unwrap_or(0))
                },
            });
        }
        let interfaces = if interface { Vec::new() } else { class.interfaces.clone() };
        Ok(ClassDescriptor {
            token: class.token.unwrap_or(NO_TOKEN),
            access_flags,
            this_class: self.own_ref(index),
            interfaces: interfaces.iter().map(|i| self.type_ref(i)).collect(),
            fields,
            methods,
        })
    }

    /// A field or method descriptor in nibbles.
    fn nibbles(&mut self, descriptor: &str) -> Result<TypeDescriptor, Diagnostic> {
        let types: Vec<JavaType> = match MethodType::parse(descriptor) {
            Some(ty) => ty.parameters.into_iter().chain([ty.result]).collect(),
            None => field_type(descriptor).into_iter().collect(),
        };
        let mut out = Vec::new();
        for ty in &types {
            out.push(self.descriptor_type(ty)?);
        }
        TypeDescriptor::encode(&out)
            .ok_or_else(|| Diagnostic::package(ConvertRule::Malformed("signature of more than 255 nibbles")))
    }

    fn descriptor_type(&mut self, ty: &JavaType) -> Result<Type, Diagnostic> {
        Ok(match ty {
            JavaType::Void => Type::Void,
            JavaType::Boolean => Type::Boolean,
            JavaType::Byte => Type::Byte,
            JavaType::Short => Type::Short,
            JavaType::Int => Type::Int,
            JavaType::Class(name) => Type::Reference(self.existing_ref(name)?),
            JavaType::Array(element) => Type::Array(match element.as_ref() {
                JavaType::Boolean => ArrayElement::Boolean,
                JavaType::Byte => ArrayElement::Byte,
                JavaType::Short => ArrayElement::Short,
                JavaType::Int => ArrayElement::Int,
                JavaType::Class(name) => ArrayElement::Reference(self.existing_ref(name)?),
                _ => return Err(unsupported(ty)),
            }),
            _ => return Err(unsupported(ty)),
        })
    }

    /// Classes that only signatures name are looked up here for the first time.
    fn existing_ref(&mut self, name: &str) -> Result<ClassRef, Diagnostic> {
        self.package().find(name).map_err(Diagnostic::package)?;
        Ok(self.named_ref(name))
    }
}

fn unsupported(ty: &JavaType) -> Diagnostic {
    let place = Use::Parameter;
    Diagnostic::package(ConvertRule::Type { ty: type_descriptor(ty), place })
}

/// Type descriptors, each once.
struct Types {
    offsets: HashMap<TypeDescriptor, u16>,
    entries: Vec<TypeEntry>,
    end: usize,
}

impl Types {
    fn offset(&mut self, descriptor: TypeDescriptor) -> u16 {
        if let Some(offset) = self.offsets.get(&descriptor) {
            return *offset;
        }
        let offset = short(self.end);
        self.end += descriptor.size();
        self.offsets.insert(descriptor.clone(), offset);
        self.entries.push(TypeEntry { offset, descriptor });
        offset
    }
}

fn member_flags(from: u16) -> u8 {
    let flag = |mask: u16, flag: u8| if from & mask != 0 { flag } else { 0 };
    flag(acc::PUBLIC, access::PUBLIC)
        | flag(acc::PRIVATE, access::PRIVATE)
        | flag(acc::PROTECTED, access::PROTECTED)
        | flag(acc::STATIC, access::STATIC)
        | flag(acc::FINAL, access::FINAL)
}
