//! Small types that several components share.

use std::fmt;

/// The tags of JCVM table 6-1 (StaticResources: JCVM 3.1 table 6-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ComponentTag {
    Header = 1,
    Directory = 2,
    Applet = 3,
    Import = 4,
    ConstantPool = 5,
    Class = 6,
    Method = 7,
    StaticField = 8,
    ReferenceLocation = 9,
    Export = 10,
    Descriptor = 11,
    Debug = 12,
    StaticResources = 13,
}

impl ComponentTag {
    /// All tags in ascending order.
    pub const ALL: [Self; 13] = [
        Self::Header,
        Self::Directory,
        Self::Applet,
        Self::Import,
        Self::ConstantPool,
        Self::Class,
        Self::Method,
        Self::StaticField,
        Self::ReferenceLocation,
        Self::Export,
        Self::Descriptor,
        Self::Debug,
        Self::StaticResources,
    ];

    /// The order in which a loader sends the components (JCVM 6.2), Descriptor and Debug last because they are
    /// optional there.
    pub const LOAD_ORDER: [Self; 13] = [
        Self::Header,
        Self::Directory,
        Self::Import,
        Self::Applet,
        Self::Class,
        Self::Method,
        Self::StaticField,
        Self::Export,
        Self::ConstantPool,
        Self::ReferenceLocation,
        Self::StaticResources,
        Self::Descriptor,
        Self::Debug,
    ];

    /// The component with this tag byte.
    pub fn from_u8(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| *t as u8 == tag)
    }

    /// Name of the JAR member without folder and `.cap` (JCVM 4.1.3).
    pub fn member_name(self) -> &'static str {
        match self {
            Self::ReferenceLocation => "RefLocation",
            Self::Header => "Header",
            Self::Directory => "Directory",
            Self::Applet => "Applet",
            Self::Import => "Import",
            Self::ConstantPool => "ConstantPool",
            Self::Class => "Class",
            Self::Method => "Method",
            Self::StaticField => "StaticField",
            Self::Export => "Export",
            Self::Descriptor => "Descriptor",
            Self::Debug => "Debug",
            Self::StaticResources => "StaticResources",
        }
    }
}

impl fmt::Display for ComponentTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.member_name())
    }
}

/// An application identifier: 5 to 16 bytes, the first five of which are the RID (ISO/IEC 7816-5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aid {
    len: u8,
    bytes: [u8; 16],
}

/// The byte string has not 5 to 16 bytes, or is not hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an AID has 5 to 16 bytes, written as hexadecimal digits")]
pub struct AidLengthError;

impl Aid {
    /// Checks the length.
    pub fn new(bytes: &[u8]) -> Result<Self, AidLengthError> {
        if !(5..=16).contains(&bytes.len()) {
            return Err(AidLengthError);
        }
        let mut all = [0; 16];
        all[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { len: u8::try_from(bytes.len()).map_err(|_| AidLengthError)?, bytes: all })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Registered application provider identifier: the first five bytes.
    pub fn rid(&self) -> &[u8] {
        &self.bytes[..5]
    }
}

impl std::str::FromStr for Aid {
    type Err = AidLengthError;

    /// Reads hexadecimal digits; spaces and colons between bytes are allowed.
    fn from_str(text: &str) -> Result<Self, AidLengthError> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).collect();
        Self::new(&hex::decode(digits).map_err(|_| AidLengthError)?)
    }
}

impl fmt::Display for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.as_bytes()))
    }
}

impl fmt::Debug for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Aid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Aid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Version of a package: major and minor (JCVM 4.5.2). Ordered by major, then minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageVersion {
    /// Changes when binary compatibility breaks.
    pub major: u8,
    /// Grows with compatible additions.
    pub minor: u8,
}

impl PackageVersion {
    /// `major.minor`
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Whether a package of this version may be linked where `wanted` was imported (JCVM 4.5.2).
    pub fn satisfies(self, wanted: Self) -> bool {
        self.major == wanted.major && self.minor >= wanted.minor
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for PackageVersion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { major: major.parse()?, minor: minor.parse()? })
    }
}

impl serde::Serialize for PackageVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PackageVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// AID and version of a package (package_info, JCVM 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct PackageInfo {
    /// Package AID.
    pub aid: Aid,
    /// Package version.
    pub version: PackageVersion,
}

/// CAP format version (JCVM 6.3). The layouts of Header, Directory and Class depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FormatVersion {
    /// 2.1, what kits up to 3.0.5 write without debug information.
    V2_1,
    /// 2.2: package name in Header, Debug size in Directory, signature pool in Class.
    V2_2,
    /// 2.3, compact: additionally StaticResources size and public token mappings.
    V2_3,
}

impl FormatVersion {
    /// `(major, minor)`
    pub fn numbers(self) -> (u8, u8) {
        match self {
            Self::V2_1 => (2, 1),
            Self::V2_2 => (2, 2),
            Self::V2_3 => (2, 3),
        }
    }

    /// The known version with these numbers.
    pub fn from_numbers(major: u8, minor: u8) -> Option<Self> {
        match (major, minor) {
            (2, 1) => Some(Self::V2_1),
            (2, 2) => Some(Self::V2_2),
            (2, 3) => Some(Self::V2_3),
            _ => None,
        }
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.numbers();
        write!(f, "{major}.{minor}")
    }
}

/// A type descriptor as it stands in the file (JCVM 6.8.1 / table 6-9): nibble count and packed nibbles.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TypeDescriptor {
    /// Number of nibbles.
    pub nibble_count: u8,
    /// Two nibbles a byte, high one first; the low nibble of the last byte is padding when the count is odd.
    pub bytes: Vec<u8>,
}

/// A field, parameter or result type decoded from nibbles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Type {
    Void,
    Boolean,
    Byte,
    Short,
    Int,
    /// An object of this class or interface.
    Reference(super::ClassRef),
    /// An array of elements of this type.
    Array(ArrayElement),
}

/// What an array holds. Java Card has no arrays of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ArrayElement {
    Boolean,
    Byte,
    Short,
    Int,
    Reference(super::ClassRef),
}

impl Type {
    /// Cells of 16 bits a value takes on the stack or in locals.
    pub fn cells(self) -> u8 {
        match self {
            Self::Void => 0,
            Self::Int => 2,
            _ => 1,
        }
    }

    /// Whether values are references.
    pub fn is_reference(self) -> bool {
        matches!(self, Self::Reference(_) | Self::Array(_))
    }
}

impl TypeDescriptor {
    /// Packs types into nibbles (table 6-9). At most 255 nibbles fit; more is `None`.
    pub fn encode(types: &[Type]) -> Option<Self> {
        let mut nibbles = Vec::new();
        for ty in types {
            let (first, class) = match *ty {
                Type::Void => (1, None),
                Type::Boolean => (2, None),
                Type::Byte => (3, None),
                Type::Short => (4, None),
                Type::Int => (5, None),
                Type::Reference(class) => (6, Some(class)),
                Type::Array(ArrayElement::Boolean) => (0xA, None),
                Type::Array(ArrayElement::Byte) => (0xB, None),
                Type::Array(ArrayElement::Short) => (0xC, None),
                Type::Array(ArrayElement::Int) => (0xD, None),
                Type::Array(ArrayElement::Reference(class)) => (0xE, Some(class)),
            };
            nibbles.push(first);
            if let Some(class) = class {
                for byte in class.to_u16().to_be_bytes() {
                    nibbles.extend([byte >> 4, byte & 15]);
                }
            }
        }
        let nibble_count = u8::try_from(nibbles.len()).ok()?;
        let bytes = nibbles.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect();
        Some(Self { nibble_count, bytes })
    }

    /// The nibbles one by one.
    pub fn nibbles(&self) -> impl Iterator<Item = u8> + '_ {
        let pairs = self.bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        pairs.take(usize::from(self.nibble_count))
    }

    /// The types: one for a field; parameters and then the result for a method. `None` when a nibble is undefined or
    /// a class reference is cut off.
    pub fn decode(&self) -> Option<Vec<Type>> {
        let mut nibbles = self.nibbles();
        let mut types = Vec::new();
        while let Some(first) = nibbles.next() {
            let mut class = || {
                let mut value = 0u16;
                for _ in 0..4 {
                    value = value << 4 | u16::from(nibbles.next()?);
                }
                Some(super::ClassRef::from_u16(value))
            };
            types.push(match first {
                1 => Type::Void,
                2 => Type::Boolean,
                3 => Type::Byte,
                4 => Type::Short,
                5 => Type::Int,
                6 => Type::Reference(class()?),
                0xA => Type::Array(ArrayElement::Boolean),
                0xB => Type::Array(ArrayElement::Byte),
                0xC => Type::Array(ArrayElement::Short),
                0xD => Type::Array(ArrayElement::Int),
                0xE => Type::Array(ArrayElement::Reference(class()?)),
                _ => return None,
            });
        }
        Some(types)
    }

    /// Bytes it takes in the file.
    pub fn size(&self) -> usize {
        1 + self.bytes.len()
    }

    pub(crate) fn read(r: &mut crate::bytes::Reader<'_>) -> Result<Self, crate::CapError> {
        let nibble_count = r.u1()?;
        let bytes = r.take(usize::from(nibble_count).div_ceil(2))?.to_vec();
        Ok(Self { nibble_count, bytes })
    }

    pub(crate) fn write(&self, w: &mut crate::bytes::Writer) {
        w.u1(self.nibble_count);
        w.bytes(&self.bytes);
    }
}
