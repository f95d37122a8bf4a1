//! What can be wrong with the form of a CAP or EXP file.

use crate::model::ComponentTag;

/// Reading a CAP file failed. The form of a file is judged here; whether its parts agree is the verifier's matter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapError {
    /// A component breaks a rule of its layout.
    #[error("{component} component, offset {offset:#06x}: {rule}")]
    Format {
        /// The component in which the fault lies.
        component: ComponentTag,
        /// Offset in the component's info (behind tag and size).
        offset: usize,
        /// The rule that is broken.
        rule: FormatRule,
    },
    /// The file around the components is not usable.
    #[error("CAP file: {0}")]
    Container(ContainerRule),
}

/// A rule on the layout of one component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatRule {
    /// An item runs past the end of the component.
    #[error("{needed} bytes needed, {left} left")]
    Truncated {
        /// Length of the item.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes follow the last item.
    #[error("{0} bytes behind the last item")]
    TrailingBytes(usize),
    /// The tag byte is not that of the component (JCVM 6.1).
    #[error("tag {0} where this component's was expected")]
    WrongTag(u8),
    /// The component says another size than it has (JCVM 6.1).
    #[error("the size field says {stated}, the component has {actual} bytes")]
    WrongSize {
        /// Size field.
        stated: usize,
        /// Bytes behind the size field.
        actual: usize,
    },
    /// The header does not begin with DECAFFED (JCVM 6.3).
    #[error("magic is {0:08X}, not DECAFFED")]
    Magic(u32),
    /// CAP format versions 2.1, 2.2 and 2.3 (compact) are known (JCVM 6.3).
    #[error("CAP format {major}.{minor} is not supported (2.1, 2.2 and compact 2.3 are)")]
    FormatVersion {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The extended format of Java Card 3.1 is not supported (JCVM 6.3, flag 8).
    #[error("the extended CAP format is not supported")]
    ExtendedFormat,
    /// An AID has 5 to 16 bytes (JCVM 4.2.1).
    #[error("AID of {0} bytes (5 to 16 are allowed)")]
    AidLength(u8),
    /// Constant pool tags are 1 to 6 (JCVM 6.7).
    #[error("constant pool tag {0} (1 to 6 are defined)")]
    ConstantTag(u8),
    /// All interfaces come before all classes (JCVM 6.8).
    #[error("interface behind a class")]
    InterfaceAfterClass,
    /// A type descriptor with no nibbles.
    #[error("empty type descriptor")]
    EmptyType,
}

/// A rule on the JAR or load file that carries the components.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerRule {
    /// Neither a JAR nor concatenated components.
    #[error("neither a JAR nor concatenated components")]
    NotCap,
    /// The ZIP structure is damaged.
    #[error("not a readable JAR: {0}")]
    Zip(String),
    /// A member cannot be as large as it says.
    #[error("{name} is larger than {limit} bytes")]
    TooLarge {
        /// Member name.
        name: String,
        /// What is allowed.
        limit: u64,
    },
    /// Too many members.
    #[error("{0} members; that is no CAP file")]
    TooManyMembers(usize),
    /// The components lie in several packages' folders.
    #[error("components of two packages: {0} and {1}")]
    TwoPackages(String, String),
    /// A component appears twice.
    #[error("{0} component appears twice")]
    Duplicate(ComponentTag),
    /// A component that every CAP has is absent (JCVM 6.1).
    #[error("{0} component is missing")]
    Missing(ComponentTag),
    /// A tag that is none of 1 to 13 nor custom (128 to 255).
    #[error("component tag {0} is not defined")]
    UnknownTag(u8),
    /// The last component of a load file is cut off.
    #[error("the component at {offset} says {stated} bytes, {left} are left")]
    Truncated {
        /// Offset of the component's tag.
        offset: usize,
        /// Size field.
        stated: usize,
        /// Bytes there are.
        left: usize,
    },
}
