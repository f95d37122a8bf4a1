//! Writing a CAP: component bytes, the load file, and a JAR whose bytes depend on the CAP alone.

use std::io::{Cursor, Write};

use crate::error::{CapError, ContainerRule};
use crate::model::{Cap, ComponentTag};

/// What goes into a load file beside the components every card needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Send Descriptor; cards that verify on board want it, others waste memory.
    pub descriptor: bool,
    /// Send Debug; hardly any card takes it.
    pub debug: bool,
}

impl Cap {
    /// The info of a component; `None` when absent. Custom components: see [`Cap::raw`].
    pub fn component_info(&self, tag: ComponentTag) -> Option<Vec<u8>> {
        match tag {
            ComponentTag::Header => Some(self.header.write()),
            ComponentTag::Directory => Some(self.directory.write()),
            ComponentTag::Applet => self.applet.as_ref().map(crate::model::Applet::write),
            ComponentTag::Import => Some(self.import.write()),
            ComponentTag::ConstantPool => Some(self.constant_pool.write()),
            ComponentTag::Class => Some(self.class.write()),
            ComponentTag::Method => Some(self.method.write()),
            ComponentTag::StaticField => Some(self.static_field.write()),
            ComponentTag::ReferenceLocation => Some(self.reference_location.write()),
            ComponentTag::Export => self.export.as_ref().map(crate::model::Export::write),
            ComponentTag::Descriptor => self.descriptor.as_ref().map(crate::model::Descriptor::write),
            ComponentTag::Debug => self.debug.as_ref().map(crate::model::Debug::write),
            ComponentTag::StaticResources => {
                self.raw.iter().find(|raw| raw.tag == tag as u8).map(|raw| raw.info.clone())
            }
        }
    }

    /// The whole component: tag, size, info.
    pub fn component_bytes(&self, tag: ComponentTag) -> Option<Vec<u8>> {
        self.component_info(tag).map(|info| with_header(tag as u8, &info))
    }

    /// Components with their sizes in bytes, tag and size field included, in tag order.
    pub fn component_sizes(&self) -> Vec<(ComponentTag, usize)> {
        let sizes = ComponentTag::ALL.into_iter().map(|tag| (tag, self.component_bytes(tag)));
        sizes.filter_map(|(tag, bytes)| Some((tag, bytes?.len()))).collect()
    }

    /// The Load File Data Block: components in the order of JCVM 6.2 (GlobalPlatform Card Specification 2.3.1, 11.6.2
    /// wraps it into tag C4 and cuts it into LOAD blocks).
    pub fn load_file_data_block(&self, options: LoadOptions) -> Vec<u8> {
        let mut out = Vec::new();
        for tag in ComponentTag::LOAD_ORDER {
            let wanted = match tag {
                ComponentTag::Descriptor => options.descriptor,
                ComponentTag::Debug => options.debug,
                _ => true,
            };
            if let Some(bytes) = wanted.then(|| self.component_bytes(tag)).flatten() {
                out.extend(bytes);
            }
            if tag == ComponentTag::StaticResources {
                for raw in self.custom_components() {
                    out.extend(with_header(raw.tag, &raw.info));
                }
            }
        }
        out
    }

    /// The JAR form. Members lie in tag order behind the manifest, uncompressed and with the earliest ZIP time, so
    /// that equal CAPs give equal files whatever library version packs them.
    pub fn to_jar(&self) -> Result<Vec<u8>, CapError> {
        let path = |name: &str| match self.folder.as_str() {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        let mut members: Vec<(String, Vec<u8>)> = Vec::new();
        members.extend(self.others.iter().map(|m| (m.name.clone(), m.bytes.clone())));
        for tag in ComponentTag::ALL {
            if tag == ComponentTag::StaticResources {
                continue;
            }
            if let Some(bytes) = self.component_bytes(tag) {
                members.push((path(&format!("{}.cap", tag.member_name())), bytes));
            }
        }
        for raw in &self.raw {
            let name = if raw.name.is_empty() { format!("Custom{}.cap", raw.tag) } else { raw.name.clone() };
            members.push((path(&name), with_header(raw.tag, &raw.info)));
        }
        store(&members).map_err(|e| CapError::Container(ContainerRule::Zip(e.to_string())))
    }

    fn custom_components(&self) -> impl Iterator<Item = &crate::model::RawComponent> {
        self.raw.iter().filter(|raw| raw.tag != ComponentTag::StaticResources as u8)
    }
}

fn with_header(tag: u8, info: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + info.len());
    out.push(tag);
    out.extend(u16::try_from(info.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(info);
    out
}

fn store(members: &[(String, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(name.as_str(), options)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}
