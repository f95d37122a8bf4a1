//! StaticField component (JCVM 6.10): tag 8.
//!
//! ```text
//! u2 image_size  u2 reference_count  u2 array_init_count  { u1 type  u2 count  values[count] }[]
//! u2 default_value_count  u2 non_default_value_count  values[]
//! ```
//! Image: arrays with values, null references (2 bytes each), default primitives, primitives with values.

use super::ComponentTag;
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// StaticField component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StaticField {
    /// Bytes of the image.
    pub image_size: u16,
    /// Reference fields, arrays with values included.
    pub reference_count: u16,
    /// Arrays with initial values, in image order.
    pub array_inits: Vec<ArrayInit>,
    /// Bytes of primitives that start as 0.
    pub default_value_count: u16,
    /// Bytes of primitives that start with another value.
    pub non_default_values: Vec<u8>,
}

/// array_init_info
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayInit {
    /// 2 boolean, 3 byte, 4 short, 5 int.
    pub element_type: u8,
    /// The elements' bytes, big-endian.
    pub values: Vec<u8>,
}

impl StaticField {
    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::StaticField, info);
        let (image_size, reference_count, count) = (r.u2()?, r.u2()?, r.u2()?);
        let array_inits = r.many(count.into(), |r| {
            let (element_type, len) = (r.u1()?, r.u2()?);
            Ok(ArrayInit { element_type, values: r.take(len.into())?.to_vec() })
        })?;
        let (default_value_count, len) = (r.u2()?, r.u2()?);
        let non_default_values = r.take(len.into())?.to_vec();
        r.finish()?;
        Ok(Self { image_size, reference_count, array_inits, default_value_count, non_default_values })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.u2(self.image_size);
        w.u2(self.reference_count);
        w.count2(self.array_inits.len());
        for init in &self.array_inits {
            w.u1(init.element_type);
            w.count2(init.values.len());
            w.bytes(&init.values);
        }
        w.u2(self.default_value_count);
        w.count2(self.non_default_values.len());
        w.bytes(&self.non_default_values);
        w.0
    }
}
