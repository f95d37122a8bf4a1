//! Directory component (JCVM 6.4): tag 2.
//!
//! ```text
//! u2 sizes[11]  { 2.2: u2 debug }  { 2.3: u4 static_resources }
//! u2 image_size  u2 array_init_count  u2 array_init_size
//! u1 import_count  u1 applet_count  u1 custom_count  { u1 tag  u2 size  aid }[custom_count]
//! ```

use super::{Aid, ComponentTag, FormatVersion};
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// Directory component. Sizes are those of the info, without tag and size field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Sizes of the components with tags 1 to 11; 0 when absent.
    pub sizes: [u16; 11],
    /// Size of Debug; present from format 2.2 on.
    pub debug_size: Option<u16>,
    /// Size of StaticResources; present from format 2.3 on.
    pub static_resources_size: Option<u32>,
    /// What the StaticField component says of itself.
    pub static_field_size: StaticFieldSize,
    /// Number of imported packages.
    pub import_count: u8,
    /// Number of applets.
    pub applet_count: u8,
    /// Custom components.
    pub custom: Vec<CustomComponentInfo>,
}

/// static_field_size_info
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StaticFieldSize {
    /// Bytes of the static field image.
    pub image_size: u16,
    /// Arrays with initial values.
    pub array_init_count: u16,
    /// Bytes of all their values.
    pub array_init_size: u16,
}

/// custom_component_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomComponentInfo {
    /// 128 to 255.
    pub tag: u8,
    /// Size of the info.
    pub size: u16,
    /// Who defines it.
    pub aid: Aid,
}

impl Directory {
    /// Reads the info of the component.
    pub fn read(info: &[u8], format: FormatVersion) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Directory, info);
        let mut sizes = [0; 11];
        for size in &mut sizes {
            *size = r.u2()?;
        }
        let debug_size = (format >= FormatVersion::V2_2).then(|| r.u2()).transpose()?;
        let static_resources_size = (format >= FormatVersion::V2_3).then(|| r.u4()).transpose()?;
        let static_field_size =
            StaticFieldSize { image_size: r.u2()?, array_init_count: r.u2()?, array_init_size: r.u2()? };
        let (import_count, applet_count, custom_count) = (r.u1()?, r.u1()?, r.u1()?);
        let custom = r.many(usize::from(custom_count), |r| {
            Ok(CustomComponentInfo { tag: r.u1()?, size: r.u2()?, aid: r.aid()? })
        })?;
        r.finish()?;
        Ok(Self {
            sizes,
            debug_size,
            static_resources_size,
            static_field_size,
            import_count,
            applet_count,
            custom,
        })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        for size in self.sizes {
            w.u2(size);
        }
        if let Some(size) = self.debug_size {
            w.u2(size);
        }
        if let Some(size) = self.static_resources_size {
            w.u4(size);
        }
        w.u2(self.static_field_size.image_size);
        w.u2(self.static_field_size.array_init_count);
        w.u2(self.static_field_size.array_init_size);
        w.u1(self.import_count);
        w.u1(self.applet_count);
        w.count1(self.custom.len());
        for custom in &self.custom {
            w.u1(custom.tag);
            w.u2(custom.size);
            w.aid(&custom.aid);
        }
        w.0
    }

    /// The stated size of a component; 0 when it is absent or the format has no place for it.
    pub fn size_of(&self, tag: ComponentTag) -> u32 {
        match tag {
            ComponentTag::Debug => self.debug_size.unwrap_or(0).into(),
            ComponentTag::StaticResources => self.static_resources_size.unwrap_or(0),
            _ => self.sizes.get(tag as usize - 1).copied().unwrap_or(0).into(),
        }
    }
}
