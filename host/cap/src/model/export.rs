//! Export component (JCVM 6.12): tag 10.
//!
//! ```text
//! u1 class_count  { u2 class_offset  u1 fields  u1 methods  u2 field_offsets[]  u2 method_offsets[] }[]
//! ```

use super::ComponentTag;
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// Export component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Export {
    /// Exported classes; index = class token.
    pub classes: Vec<ClassExport>,
}

/// class_export_info
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassExport {
    /// Offset in the info of the Class component.
    pub class_offset: u16,
    /// Index = token; offsets in the static field image.
    pub static_field_offsets: Vec<u16>,
    /// Index = token; offsets in the info of the Method component.
    pub static_method_offsets: Vec<u16>,
}

impl Export {
    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Export, info);
        let count = r.u1()?;
        let classes = r.many(count.into(), |r| {
            let class_offset = r.u2()?;
            let (fields, methods) = (r.u1()?, r.u1()?);
            Ok(ClassExport {
                class_offset,
                static_field_offsets: r.many(fields.into(), Reader::u2)?,
                static_method_offsets: r.many(methods.into(), Reader::u2)?,
            })
        })?;
        r.finish()?;
        Ok(Self { classes })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count1(self.classes.len());
        for class in &self.classes {
            w.u2(class.class_offset);
            w.count1(class.static_field_offsets.len());
            w.count1(class.static_method_offsets.len());
            for offset in class.static_field_offsets.iter().chain(&class.static_method_offsets) {
                w.u2(*offset);
            }
        }
        w.0
    }
}
