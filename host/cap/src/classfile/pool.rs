//! The constant pool of a class file (JVMS 4.4).

use super::{ClassFileError, ClassFileRule, Reader};

/// One entry. Kinds the converter refuses are kept so that it can say what it refuses.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Constant {
    /// Index 0 and the second half of long and double.
    Unusable,
    Utf8(String),
    Integer(i32),
    Float,
    Long,
    Double,
    Class(u16),
    String(u16),
    Field {
        class: u16,
        name_and_type: u16,
    },
    Method {
        class: u16,
        name_and_type: u16,
    },
    InterfaceMethod {
        class: u16,
        name_and_type: u16,
    },
    NameAndType {
        name: u16,
        descriptor: u16,
    },
    MethodHandle,
    MethodType,
    Dynamic,
    InvokeDynamic {
        name_and_type: u16,
    },
    Module,
    Package,
}

/// Class, name and descriptor of a field or method reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberRef<'a> {
    /// Class the reference names (the receiver's static type, or an array type).
    pub class: &'a str,
    /// Member name.
    pub name: &'a str,
    /// Descriptor.
    pub descriptor: &'a str,
    /// Whether the class is an interface.
    pub interface: bool,
}

/// The constant pool; index 0 is unusable.
#[derive(Debug, Clone)]
pub struct Pool(Vec<Constant>);

impl Pool {
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, ClassFileError> {
        let count = usize::from(r.u2()?);
        let mut entries = vec![Constant::Unusable];
        while entries.len() < count {
            let at = r.at();
            let constant = match r.u1()? {
                1 => {
                    let len = r.u2()?;
                    Constant::Utf8(decode_modified_utf8(r.take(len.into())?))
                }
                3 => Constant::Integer(i32::from_be_bytes(r.u4()?.to_be_bytes())),
                4 => {
                    r.u4()?;
                    Constant::Float
                }
                tag @ (5 | 6) => {
                    r.take(8)?;
                    entries.push(if tag == 5 { Constant::Long } else { Constant::Double });
                    Constant::Unusable
                }
                7 => Constant::Class(r.u2()?),
                8 => Constant::String(r.u2()?),
                9 => Constant::Field { class: r.u2()?, name_and_type: r.u2()? },
                10 => Constant::Method { class: r.u2()?, name_and_type: r.u2()? },
                11 => Constant::InterfaceMethod { class: r.u2()?, name_and_type: r.u2()? },
                12 => Constant::NameAndType { name: r.u2()?, descriptor: r.u2()? },
                15 => {
                    r.take(3)?;
                    Constant::MethodHandle
                }
                16 => {
                    r.u2()?;
                    Constant::MethodType
                }
                17 => {
                    r.u4()?;
                    Constant::Dynamic
                }
                18 => {
                    r.u2()?;
                    Constant::InvokeDynamic { name_and_type: r.u2()? }
                }
                19 => {
                    r.u2()?;
                    Constant::Module
                }
                20 => {
                    r.u2()?;
                    Constant::Package
                }
                tag => return Err(ClassFileError { offset: at, rule: ClassFileRule::ConstantTag(tag) }),
            };
            entries.push(constant);
        }
        Ok(Self(entries))
    }

    /// The entry at an index.
    pub fn get(&self, index: u16) -> Result<&Constant, ClassFileRule> {
        let entry = self.0.get(usize::from(index)).filter(|e| **e != Constant::Unusable);
        entry.ok_or(ClassFileRule::Constant { index, wanted: "usable" })
    }

    /// All entries.
    pub fn entries(&self) -> &[Constant] {
        &self.0
    }

    /// A string entry.
    pub fn utf8(&self, index: u16) -> Result<&str, ClassFileRule> {
        match self.0.get(usize::from(index)) {
            Some(Constant::Utf8(text)) => Ok(text),
            _ => Err(ClassFileRule::Constant { index, wanted: "a string" }),
        }
    }

    /// The name of a class entry (arrays: the descriptor).
    pub fn class(&self, index: u16) -> Result<&str, ClassFileRule> {
        match self.0.get(usize::from(index)) {
            Some(Constant::Class(name)) => self.utf8(*name),
            _ => Err(ClassFileRule::Constant { index, wanted: "a class" }),
        }
    }

    /// Name and descriptor of a NameAndType entry.
    pub fn name_and_type(&self, index: u16) -> Result<(&str, &str), ClassFileRule> {
        match self.0.get(usize::from(index)) {
            Some(Constant::NameAndType { name, descriptor }) => {
                Ok((self.utf8(*name)?, self.utf8(*descriptor)?))
            }
            _ => Err(ClassFileRule::Constant { index, wanted: "a name and type" }),
        }
    }

    /// A field, method or interface method reference.
    pub fn member(&self, index: u16) -> Result<MemberRef<'_>, ClassFileRule> {
        let (class, name_and_type, interface) = match self.0.get(usize::from(index)) {
            Some(Constant::Field { class, name_and_type } | Constant::Method { class, name_and_type }) => {
                (*class, *name_and_type, false)
            }
            Some(Constant::InterfaceMethod { class, name_and_type }) => (*class, *name_and_type, true),
            _ => return Err(ClassFileRule::Constant { index, wanted: "a field or method" }),
        };
        let (name, descriptor) = self.name_and_type(name_and_type)?;
        Ok(MemberRef { class: self.class(class)?, name, descriptor, interface })
    }

    pub(super) fn utf8_at(&self, r: &mut Reader<'_>) -> Result<&str, ClassFileError> {
        let offset = r.at();
        let index = r.u2()?;
        self.utf8(index).map_err(|rule| ClassFileError { offset, rule })
    }

    pub(super) fn class_at(&self, r: &mut Reader<'_>) -> Result<&str, ClassFileError> {
        let offset = r.at();
        let index = r.u2()?;
        self.class(index).map_err(|rule| ClassFileError { offset, rule })
    }
}

/// Names outside ASCII only appear in messages: surrogate pairs, which modified UTF-8 writes as three bytes each, may
/// be shown as replacement characters.
fn decode_modified_utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
