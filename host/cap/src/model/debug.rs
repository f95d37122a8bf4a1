//! Debug component (JCVM 6.14): tag 12. Never loaded; names, lines and variables for people.
//!
//! ```text
//! u2 string_count  { u2 length  bytes }[]  u2 package_name_index  u2 class_count  class[]
//! class   u2 name  u2 flags  class_ref location  u2 superclass_name  u2 source_file  u1 interfaces  u2 fields  u2 methods
//!         u2 interface_names[]  field[]  method[]
//! field   u2 name  u2 descriptor  u2 flags  u4 token, image offset or constant
//! method  u2 name  u2 descriptor  u2 flags  u2 location  u1 header_size  u2 body_size  u2 variables  u2 lines
//!         { u1 index  u2 name  u2 descriptor  u2 start_pc  u2 length }[]  { u2 start_pc  u2 end_pc  u2 line }[]
//! ```

use super::ComponentTag;
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// Debug component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Debug {
    /// Every other `…_index` and name here points into this table.
    pub strings: Vec<Vec<u8>>,
    /// Package name, with slashes.
    pub package_name_index: u16,
    /// Interfaces and classes.
    pub classes: Vec<DebugClass>,
}

/// class_debug_info
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DebugClass {
    pub name_index: u16,
    pub access_flags: u16,
    /// Offset in the info of the Class component.
    pub location: u16,
    pub superclass_name_index: u16,
    pub source_file_index: u16,
    pub interface_name_indexes: Vec<u16>,
    pub fields: Vec<DebugField>,
    pub methods: Vec<DebugMethod>,
}

/// field_debug_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DebugField {
    pub name_index: u16,
    pub descriptor_index: u16,
    pub access_flags: u16,
    /// Token of an instance field, image offset of a static field, or the value of a constant.
    pub contents: u32,
}

/// method_debug_info
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DebugMethod {
    pub name_index: u16,
    pub descriptor_index: u16,
    pub access_flags: u16,
    /// Offset in the info of the Method component.
    pub location: u16,
    pub header_size: u8,
    pub body_size: u16,
    pub variables: Vec<DebugVariable>,
    pub lines: Vec<DebugLine>,
}

/// variable_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DebugVariable {
    pub index: u8,
    pub name_index: u16,
    pub descriptor_index: u16,
    pub start_pc: u16,
    pub length: u16,
}

/// line_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DebugLine {
    pub start_pc: u16,
    pub end_pc: u16,
    pub source_line: u16,
}

impl Debug {
    /// A string of the table, lossily decoded.
    pub fn string(&self, index: u16) -> Option<String> {
        self.strings.get(usize::from(index)).map(|s| String::from_utf8_lossy(s).into_owned())
    }

    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Debug, info);
        let count = r.u2()?;
        let strings = r.many(count.into(), |r| {
            let len = r.u2()?;
            Ok(r.take(len.into())?.to_vec())
        })?;
        let (package_name_index, count) = (r.u2()?, r.u2()?);
        let classes = r.many(count.into(), read_class)?;
        r.finish()?;
        Ok(Self { strings, package_name_index, classes })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count2(self.strings.len());
        for string in &self.strings {
            w.count2(string.len());
            w.bytes(string);
        }
        w.u2(self.package_name_index);
        w.count2(self.classes.len());
        for class in &self.classes {
            write_class(&mut w, class);
        }
        w.0
    }
}

fn read_class(r: &mut Reader<'_>) -> Result<DebugClass, CapError> {
    let (name_index, access_flags, location) = (r.u2()?, r.u2()?, r.u2()?);
    let (superclass_name_index, source_file_index) = (r.u2()?, r.u2()?);
    let (interfaces, fields, methods) = (r.u1()?, r.u2()?, r.u2()?);
    Ok(DebugClass {
        name_index,
        access_flags,
        location,
        superclass_name_index,
        source_file_index,
        interface_name_indexes: r.many(interfaces.into(), Reader::u2)?,
        fields: r.many(fields.into(), |r| {
            Ok(DebugField {
                name_index: r.u2()?,
                descriptor_index: r.u2()?,
                access_flags: r.u2()?,
                contents: r.u4()?,
            })
        })?,
        methods: r.many(methods.into(), read_method)?,
    })
}

fn read_method(r: &mut Reader<'_>) -> Result<DebugMethod, CapError> {
    let (name_index, descriptor_index, access_flags) = (r.u2()?, r.u2()?, r.u2()?);
    let (location, header_size, body_size) = (r.u2()?, r.u1()?, r.u2()?);
    let (variables, lines) = (r.u2()?, r.u2()?);
    Ok(DebugMethod {
        name_index,
        descriptor_index,
        access_flags,
        location,
        header_size,
        body_size,
        variables: r.many(variables.into(), |r| {
            Ok(DebugVariable {
                index: r.u1()?,
                name_index: r.u2()?,
                descriptor_index: r.u2()?,
                start_pc: r.u2()?,
                length: r.u2()?,
            })
        })?,
        lines: r.many(lines.into(), |r| {
            Ok(DebugLine { start_pc: r.u2()?, end_pc: r.u2()?, source_line: r.u2()? })
        })?,
    })
}

fn write_class(w: &mut Writer, class: &DebugClass) {
    for value in [
        class.name_index,
        class.access_flags,
        class.location,
        class.superclass_name_index,
        class.source_file_index,
    ] {
        w.u2(value);
    }
    w.count1(class.interface_name_indexes.len());
    w.count2(class.fields.len());
    w.count2(class.methods.len());
    for index in &class.interface_name_indexes {
        w.u2(*index);
    }
    for field in &class.fields {
        w.u2(field.name_index);
        w.u2(field.descriptor_index);
        w.u2(field.access_flags);
        w.u4(field.contents);
    }
    for method in &class.methods {
        w.u2(method.name_index);
        w.u2(method.descriptor_index);
        w.u2(method.access_flags);
        w.u2(method.location);
        w.u1(method.header_size);
        w.u2(method.body_size);
        w.count2(method.variables.len());
        w.count2(method.lines.len());
        for variable in &method.variables {
            w.u1(variable.index);
            for value in [variable.name_index, variable.descriptor_index, variable.start_pc, variable.length]
            {
                w.u2(value);
            }
        }
        for line in &method.lines {
            for value in [line.start_pc, line.end_pc, line.source_line] {
                w.u2(value);
            }
        }
    }
}
