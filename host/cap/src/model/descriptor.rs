//! Descriptor component (JCVM 6.13): tag 11.
//!
//! ```text
//! u1 class_count  class_descriptor_info[]  u2 cp_count  u2 cp_types[]  type_descriptor[]
//! class   u1 token  u1 flags  class_ref this  u1 interfaces  u2 fields  u2 methods  class_ref[]  field[]  method[]
//! field   u1 token  u1 flags  3-byte field ref  u2 type
//! method  u1 token  u1 flags  u2 offset  u2 type_offset  u2 bytecode_count  u2 handler_count  u2 handler_index
//! ```

use super::{ClassRef, ComponentTag, StaticRef, TypeDescriptor};
use crate::bytes::{Reader, Writer};
use crate::error::{CapError, FormatRule};

/// Token of members and classes that have none.
pub const NO_TOKEN: u8 = 0xFF;

/// Access flags of Descriptor (JCVM tables 6-14 to 6-16).
#[allow(missing_docs)]
pub mod access {
    pub const PUBLIC: u8 = 0x01;
    pub const PRIVATE: u8 = 0x02;
    pub const PROTECTED: u8 = 0x04;
    pub const STATIC: u8 = 0x08;
    pub const FINAL: u8 = 0x10;
    pub const CLASS_INTERFACE: u8 = 0x40;
    pub const CLASS_ABSTRACT: u8 = 0x80;
    pub const METHOD_ABSTRACT: u8 = 0x40;
    pub const METHOD_INIT: u8 = 0x80;
}

/// Descriptor component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Interfaces and classes, as in the Class component.
    pub classes: Vec<ClassDescriptor>,
    /// Types of constant pool entries and of declared members.
    pub types: TypeTable,
}

/// class_descriptor_info
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassDescriptor {
    /// Class token; `NO_TOKEN` for package-visible classes.
    pub token: u8,
    /// PUBLIC, FINAL, CLASS_INTERFACE, CLASS_ABSTRACT of [`access`].
    pub access_flags: u8,
    /// The class itself.
    pub this_class: ClassRef,
    /// Implemented interfaces.
    pub interfaces: Vec<ClassRef>,
    /// Fields, without compile-time constants.
    pub fields: Vec<FieldDescriptor>,
    /// Methods, without static initialisers.
    pub methods: Vec<MethodDescriptor>,
}

/// field_descriptor_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDescriptor {
    /// Field token or `NO_TOKEN`.
    pub token: u8,
    /// Flags of [`access`].
    pub access_flags: u8,
    /// Where the field is.
    pub field_ref: FieldRef,
    /// Its type.
    pub ty: FieldType,
}

/// The field_ref union, told apart by the static flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FieldRef {
    Static(StaticRef),
    Instance { class: ClassRef, token: u8 },
}

/// The type of a field: high bit set for primitives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// 2 boolean, 3 byte, 4 short, 5 int (low 15 bits of the item).
    Primitive(u16),
    /// Offset of a type descriptor in the type table.
    Reference(u16),
}

/// method_descriptor_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodDescriptor {
    /// Method token or `NO_TOKEN`.
    pub token: u8,
    /// Flags of [`access`].
    pub access_flags: u8,
    /// Offset in the info of the Method component; 0 for interface methods.
    pub method_offset: u16,
    /// Offset of the signature in the type table.
    pub type_offset: u16,
    /// Bytes of code, header not counted.
    pub bytecode_count: u16,
    /// Exception handlers of the method.
    pub exception_handler_count: u16,
    /// Index of the first one in the Method component's table.
    pub exception_handler_index: u16,
}

/// type_descriptor_info
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeTable {
    /// One offset per constant pool entry; FFFF for class entries.
    pub constant_pool_types: Vec<u16>,
    /// The descriptors in file order.
    pub entries: Vec<TypeEntry>,
}

/// A type descriptor and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeEntry {
    /// Offset from the start of the type table (its u2 count included). Set by reading; not used by writing.
    pub offset: u16,
    /// The type or signature.
    pub descriptor: TypeDescriptor,
}

impl TypeTable {
    /// The descriptor that begins at this offset.
    pub fn at(&self, offset: u16) -> Option<&TypeDescriptor> {
        let index = self.entries.binary_search_by_key(&offset, |e| e.offset).ok()?;
        Some(&self.entries[index].descriptor)
    }
}

impl Descriptor {
    /// The class descriptor of a class of this package.
    pub fn class(&self, class: ClassRef) -> Option<&ClassDescriptor> {
        self.classes.iter().find(|c| c.this_class == class)
    }

    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Descriptor, info);
        let count = r.u1()?;
        let classes = r.many(count.into(), read_class)?;
        let start = r.position();
        let count = r.u2()?;
        let constant_pool_types = r.many(count.into(), Reader::u2)?;
        let mut entries = Vec::new();
        while r.remaining() > 0 {
            let at = r.position();
            let offset = u16::try_from(at - start).unwrap_or(u16::MAX);
            let descriptor = TypeDescriptor::read(&mut r)?;
            if descriptor.nibble_count == 0 {
                return Err(r.error_at(at, FormatRule::EmptyType));
            }
            entries.push(TypeEntry { offset, descriptor });
        }
        Ok(Self { classes, types: TypeTable { constant_pool_types, entries } })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count1(self.classes.len());
        for class in &self.classes {
            write_class(&mut w, class);
        }
        w.count2(self.types.constant_pool_types.len());
        for offset in &self.types.constant_pool_types {
            w.u2(*offset);
        }
        for entry in &self.types.entries {
            entry.descriptor.write(&mut w);
        }
        w.0
    }
}

fn read_class(r: &mut Reader<'_>) -> Result<ClassDescriptor, CapError> {
    let (token, access_flags, this_class) = (r.u1()?, r.u1()?, ClassRef::from_u16(r.u2()?));
    let (interfaces, fields, methods) = (r.u1()?, r.u2()?, r.u2()?);
    Ok(ClassDescriptor {
        token,
        access_flags,
        this_class,
        interfaces: r.many(interfaces.into(), |r| Ok(ClassRef::from_u16(r.u2()?)))?,
        fields: r.many(fields.into(), read_field)?,
        methods: r.many(methods.into(), |r| {
            Ok(MethodDescriptor {
                token: r.u1()?,
                access_flags: r.u1()?,
                method_offset: r.u2()?,
                type_offset: r.u2()?,
                bytecode_count: r.u2()?,
                exception_handler_count: r.u2()?,
                exception_handler_index: r.u2()?,
            })
        })?,
    })
}

fn read_field(r: &mut Reader<'_>) -> Result<FieldDescriptor, CapError> {
    let (token, access_flags) = (r.u1()?, r.u1()?);
    let b = r.take(3)?;
    let field_ref = if access_flags & access::STATIC != 0 {
        FieldRef::Static(StaticRef::from_bytes([b[0], b[1], b[2]]))
    } else {
        FieldRef::Instance { class: ClassRef::from_u16(u16::from_be_bytes([b[0], b[1]])), token: b[2] }
    };
    let ty = match r.u2()? {
        primitive if primitive & 0x8000 != 0 => FieldType::Primitive(primitive & 0x7FFF),
        offset => FieldType::Reference(offset),
    };
    Ok(FieldDescriptor { token, access_flags, field_ref, ty })
}

fn write_class(w: &mut Writer, class: &ClassDescriptor) {
    w.u1(class.token);
    w.u1(class.access_flags);
    w.u2(class.this_class.to_u16());
    w.count1(class.interfaces.len());
    w.count2(class.fields.len());
    w.count2(class.methods.len());
    for interface in &class.interfaces {
        w.u2(interface.to_u16());
    }
    for field in &class.fields {
        w.u1(field.token);
        w.u1(field.access_flags);
        match field.field_ref {
            FieldRef::Static(reference) => w.bytes(&reference.to_bytes()),
            FieldRef::Instance { class, token } => {
                w.u2(class.to_u16());
                w.u1(token);
            }
        }
        w.u2(match field.ty {
            FieldType::Primitive(ty) => ty | 0x8000,
            FieldType::Reference(offset) => offset,
        });
    }
    for method in &class.methods {
        w.u1(method.token);
        w.u1(method.access_flags);
        w.u2(method.method_offset);
        w.u2(method.type_offset);
        w.u2(method.bytecode_count);
        w.u2(method.exception_handler_count);
        w.u2(method.exception_handler_index);
    }
}
