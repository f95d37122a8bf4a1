//! ConstantPool component (JCVM 6.7): tag 5. `u2 count  cp_info[count]`, four bytes an entry.

use super::ComponentTag;
use crate::bytes::{Reader, Writer};
use crate::error::{CapError, FormatRule};

/// A reference to a class or interface (JCVM 6.7.1): an offset in the info of the own Class component, or package
/// token and class token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum ClassRef {
    /// Offset in the info of the Class component.
    Internal(u16),
    /// `package` is the index in Import (without the 0x80 bit).
    External { package: u8, class: u8 },
}

impl ClassRef {
    /// Splits by the highest bit.
    pub fn from_u16(value: u16) -> Self {
        let [high, class] = value.to_be_bytes();
        if high & 0x80 == 0 {
            Self::Internal(value)
        } else {
            Self::External { package: high & 0x7F, class }
        }
    }

    /// The two bytes of the file.
    pub fn to_u16(self) -> u16 {
        match self {
            Self::Internal(offset) => offset,
            Self::External { package, class } => u16::from_be_bytes([package | 0x80, class]),
        }
    }
}

/// A reference to a static field, static method, constructor or private method (JCVM 6.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum StaticRef {
    /// Offset in the static field image or in the info of the Method component. `padding` is 0 in valid files.
    Internal { padding: u8, offset: u16 },
    /// `package` is the index in Import (without the 0x80 bit).
    External { package: u8, class: u8, token: u8 },
}

impl StaticRef {
    /// An internal reference.
    pub fn internal(offset: u16) -> Self {
        Self::Internal { padding: 0, offset }
    }

    pub(crate) fn from_bytes(b: [u8; 3]) -> Self {
        if b[0] & 0x80 == 0 {
            Self::Internal { padding: b[0], offset: u16::from_be_bytes([b[1], b[2]]) }
        } else {
            Self::External { package: b[0] & 0x7F, class: b[1], token: b[2] }
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; 3] {
        match self {
            Self::Internal { padding, offset } => {
                let [high, low] = offset.to_be_bytes();
                [padding, high, low]
            }
            Self::External { package, class, token } => [package | 0x80, class, token],
        }
    }
}

/// One entry of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum CpInfo {
    /// CONSTANT_Classref (1); `padding` is 0 in valid files.
    Class { class: ClassRef, padding: u8 },
    /// CONSTANT_InstanceFieldref (2).
    InstanceField { class: ClassRef, token: u8 },
    /// CONSTANT_VirtualMethodref (3); bit 7 of the token marks package visibility.
    VirtualMethod { class: ClassRef, token: u8 },
    /// CONSTANT_SuperMethodref (4); the class is the one that contains the call.
    SuperMethod { class: ClassRef, token: u8 },
    /// CONSTANT_StaticFieldref (5).
    StaticField(StaticRef),
    /// CONSTANT_StaticMethodref (6): static methods, constructors and private methods.
    StaticMethod(StaticRef),
}

impl CpInfo {
    /// A class entry.
    pub fn class(class: ClassRef) -> Self {
        Self::Class { class, padding: 0 }
    }

    /// Tag byte.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Class { .. } => 1,
            Self::InstanceField { .. } => 2,
            Self::VirtualMethod { .. } => 3,
            Self::SuperMethod { .. } => 4,
            Self::StaticField(_) => 5,
            Self::StaticMethod(_) => 6,
        }
    }
}

/// ConstantPool component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConstantPool {
    /// The entries; instructions and handlers name them by index.
    pub entries: Vec<CpInfo>,
}

impl ConstantPool {
    /// The entry at an index.
    pub fn get(&self, index: u16) -> Option<CpInfo> {
        self.entries.get(usize::from(index)).copied()
    }

    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::ConstantPool, info);
        let count = r.u2()?;
        let entries = r.many(usize::from(count), |r| {
            let at = r.position();
            let b = r.take(4)?;
            let class = ClassRef::from_u16(u16::from_be_bytes([b[1], b[2]]));
            let shared = StaticRef::from_bytes([b[1], b[2], b[3]]);
            Ok(match b[0] {
                1 => CpInfo::Class { class, padding: b[3] },
                2 => CpInfo::InstanceField { class, token: b[3] },
                3 => CpInfo::VirtualMethod { class, token: b[3] },
                4 => CpInfo::SuperMethod { class, token: b[3] },
                5 => CpInfo::StaticField(shared),
                6 => CpInfo::StaticMethod(shared),
                tag => return Err(r.error_at(at, FormatRule::ConstantTag(tag))),
            })
        })?;
        r.finish()?;
        Ok(Self { entries })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count2(self.entries.len());
        for entry in &self.entries {
            w.u1(entry.tag());
            match *entry {
                CpInfo::Class { class, padding: last }
                | CpInfo::InstanceField { class, token: last }
                | CpInfo::VirtualMethod { class, token: last }
                | CpInfo::SuperMethod { class, token: last } => {
                    w.u2(class.to_u16());
                    w.u1(last);
                }
                CpInfo::StaticField(shared) | CpInfo::StaticMethod(shared) => w.bytes(&shared.to_bytes()),
            }
        }
        w.0
    }
}
