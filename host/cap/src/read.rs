//! Reading a CAP: the JAR form (JCVM 4.1.3) and the concatenated form that is loaded onto cards (`.ijc`).

use std::io::{Cursor, Read};

use crate::error::{CapError, ContainerRule, FormatRule};
use crate::model::{
    Applet, Cap, ClassComponent, ComponentTag, ConstantPool, Debug, Descriptor, Directory, Export, Header,
    Import, Member, MethodComponent, RawComponent, ReferenceLocation, StaticField,
};

/// A component's info is at most 65535 bytes long, so no member of a compact CAP is longer than this.
const MAX_COMPONENT: u64 = 3 + 0xFFFF;
/// Our choice for what is no component (manifest, proxy classes), so that no archive can exhaust memory.
const MAX_OTHER: u64 = 1 << 20;
/// Our choice: the largest JAR seen has some thirty members.
const MAX_MEMBERS: usize = 1024;
/// Our choice, for the sum of all members.
const MAX_TOTAL: u64 = 16 << 20;
/// Lowest tag of a custom component (JCVM 6.1.3).
const FIRST_CUSTOM_TAG: u8 = 128;

impl Cap {
    /// Reads either form, told apart by the first bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, CapError> {
        if bytes.starts_with(b"PK") {
            Self::read_jar(bytes)
        } else if bytes.first() == Some(&(ComponentTag::Header as u8)) {
            Self::read_load_file(bytes)
        } else {
            Err(CapError::Container(ContainerRule::NotCap))
        }
    }

    /// Reads the JAR form.
    pub fn read_jar(bytes: &[u8]) -> Result<Self, CapError> {
        let zip_error = |e: &dyn std::fmt::Display| CapError::Container(ContainerRule::Zip(e.to_string()));
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| zip_error(&e))?;
        if archive.len() > MAX_MEMBERS {
            return Err(CapError::Container(ContainerRule::TooManyMembers(archive.len())));
        }
        let mut parts = Parts::default();
        let mut total = 0;
        for index in 0..archive.len() {
            let file = archive.by_index(index).map_err(|e| zip_error(&e))?;
            if file.is_dir() {
                continue;
            }
            let name = file.name().to_owned();
            let is_component = name.strip_suffix(".cap").is_some();
            let limit = if is_component { MAX_COMPONENT } else { MAX_OTHER };
            let mut content = Vec::new();
            // The stated size may lie, so the limit is put on what is really unpacked.
            file.take(limit + 1).read_to_end(&mut content).map_err(|e| zip_error(&e))?;
            let len = content.len() as u64;
            total += len;
            if len > limit || total > MAX_TOTAL {
                return Err(CapError::Container(ContainerRule::TooLarge { name, limit }));
            }
            if is_component {
                parts.add_member(&name, &content)?;
            } else {
                parts.others.push(Member { name, bytes: content });
            }
        }
        parts.build()
    }

    /// Reads concatenated components, in any order; Descriptor may be absent.
    pub fn read_load_file(bytes: &[u8]) -> Result<Self, CapError> {
        let mut parts = Parts::default();
        let mut at = 0;
        while at < bytes.len() {
            let left = &bytes[at..];
            let &[tag, high, low, ..] = left else {
                return Err(CapError::Container(ContainerRule::Truncated {
                    offset: at,
                    stated: 3,
                    left: left.len(),
                }));
            };
            let stated = usize::from(u16::from_be_bytes([high, low]));
            let Some(info) = left.get(3..3 + stated) else {
                return Err(CapError::Container(ContainerRule::Truncated {
                    offset: at,
                    stated,
                    left: left.len() - 3,
                }));
            };
            parts.add(tag, String::new(), info)?;
            at += 3 + stated;
        }
        parts.build()
    }
}

/// Components as they come in.
#[derive(Default)]
struct Parts {
    folder: Option<String>,
    infos: [Option<Vec<u8>>; 12],
    raw: Vec<RawComponent>,
    others: Vec<Member>,
}

impl Parts {
    fn add_member(&mut self, path: &str, content: &[u8]) -> Result<(), CapError> {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        match &self.folder {
            None => self.folder = Some(folder.to_owned()),
            Some(known) if known != folder => {
                let rule = ContainerRule::TwoPackages(known.clone(), folder.to_owned());
                return Err(CapError::Container(rule));
            }
            Some(_) => {}
        }
        let named =
            ComponentTag::ALL.into_iter().find(|t| file.strip_suffix(".cap") == Some(t.member_name()));
        let component = named.unwrap_or(ComponentTag::Header);
        let error = |offset, rule| Err(CapError::Format { component, offset, rule });
        let &[tag, high, low, ref info @ ..] = content else {
            return error(0, FormatRule::Truncated { needed: 3, left: content.len() });
        };
        if named.is_some_and(|named| named as u8 != tag) {
            return error(0, FormatRule::WrongTag(tag));
        }
        let stated = usize::from(u16::from_be_bytes([high, low]));
        if stated != info.len() {
            return error(0, FormatRule::WrongSize { stated, actual: info.len() });
        }
        self.add(tag, file.to_owned(), info)
    }

    fn add(&mut self, tag: u8, name: String, info: &[u8]) -> Result<(), CapError> {
        match ComponentTag::from_u8(tag) {
            Some(known) if known != ComponentTag::StaticResources => {
                let slot = &mut self.infos[usize::from(tag) - 1];
                if slot.is_some() {
                    return Err(CapError::Container(ContainerRule::Duplicate(known)));
                }
                *slot = Some(info.to_vec());
            }
            None if tag < FIRST_CUSTOM_TAG => {
                return Err(CapError::Container(ContainerRule::UnknownTag(tag)))
            }
            _ => self.raw.push(RawComponent { tag, name, info: info.to_vec() }),
        }
        Ok(())
    }

    fn need(&self, tag: ComponentTag) -> Result<&[u8], CapError> {
        self.optional(tag).ok_or(CapError::Container(ContainerRule::Missing(tag)))
    }

    fn optional(&self, tag: ComponentTag) -> Option<&[u8]> {
        self.infos[tag as usize - 1].as_deref()
    }

    fn build(self) -> Result<Cap, CapError> {
        let header = Header::read(self.need(ComponentTag::Header)?)?;
        let format = header.format;
        Ok(Cap {
            directory: Directory::read(self.need(ComponentTag::Directory)?, format)?,
            applet: self.optional(ComponentTag::Applet).map(Applet::read).transpose()?,
            import: Import::read(self.need(ComponentTag::Import)?)?,
            constant_pool: ConstantPool::read(self.need(ComponentTag::ConstantPool)?)?,
            class: ClassComponent::read(self.need(ComponentTag::Class)?, format)?,
            method: MethodComponent::read(self.need(ComponentTag::Method)?)?,
            static_field: StaticField::read(self.need(ComponentTag::StaticField)?)?,
            reference_location: ReferenceLocation::read(self.need(ComponentTag::ReferenceLocation)?)?,
            export: self.optional(ComponentTag::Export).map(Export::read).transpose()?,
            descriptor: self.optional(ComponentTag::Descriptor).map(Descriptor::read).transpose()?,
            debug: self.optional(ComponentTag::Debug).map(Debug::read).transpose()?,
            header,
            folder: self.folder.unwrap_or_default(),
            raw: self.raw,
            others: self.others,
        })
    }
}
