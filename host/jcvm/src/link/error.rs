//! Why a package cannot be linked.

use jpkise_cap::{Aid, CapError, ComponentTag, PackageVersion};

/// A CAP file is refused; the card stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The file cannot be read.
    #[error(transparent)]
    Cap(#[from] CapError),
    /// A component says something that cannot be.
    #[error("{component} component, offset {offset:#06x}: {rule}")]
    Refused {
        /// The component.
        component: ComponentTag,
        /// Offset in its info, or the index where it has numbered entries.
        offset: usize,
        /// What is wrong.
        rule: LinkRule,
    },
}

/// What a card refuses at link time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkRule {
    /// No package with this AID is on the card.
    #[error("imports package {aid}, which is not on the card")]
    ImportMissing {
        /// Imported package.
        aid: Aid,
    },
    /// The package is there in a version that does not do (JCVM 4.5.2).
    #[error("imports package {aid} in version {wanted}, the card has {present}")]
    ImportVersion {
        /// Imported package.
        aid: Aid,
        /// Version asked for.
        wanted: PackageVersion,
        /// Version on the card.
        present: PackageVersion,
    },
    /// The package uses int and the card does not have it.
    #[error("uses int, which this card does not support")]
    IntNotSupported,
    /// A package token beyond the imports.
    #[error("package token {0} is not among the imports")]
    PackageToken(u8),
    /// A class offset or token that leads to no class.
    #[error("no class at {0}")]
    NoClass(String),
    /// A superclass behind its subclass, or an interface in its place.
    #[error("the superclass is none")]
    Superclass,
    /// An interface reference that leads to a class.
    #[error("the implemented interface is none")]
    NotAnInterface,
    /// Instance fields beyond what references can be.
    #[error("{0}")]
    Fields(&'static str),
    /// Method tables with holes or tokens out of range (JCVM 6.8.2).
    #[error("{0}")]
    MethodTable(&'static str),
    /// A method offset outside of the methods, or a header cut off.
    #[error("no method at {0:#06x}")]
    NoMethod(u16),
    /// A static field outside of the image.
    #[error("no static field at {0:#06x}")]
    NoStaticField(u16),
    /// A token the exporting package does not have.
    #[error("{package} has no {what}")]
    NoToken {
        /// Exporting package.
        package: Aid,
        /// Which token is asked for.
        what: String,
    },
    /// An API method that this runtime does not have.
    #[error("{0} is not supported by this runtime")]
    NotSupported(String),
    /// The parts of the static image do not add up (JCVM 6.10).
    #[error("{0}")]
    StaticImage(&'static str),
    /// An instruction that cannot be.
    #[error("{0}")]
    Instruction(String),
    /// An operand that the loader would not link.
    #[error("the operand at {0:#06x} is missing here")]
    UnlistedOperand(usize),
    /// An instruction and the constant pool entry it names do not fit.
    #[error("{mnemonic} names constant {index}, which is {what}")]
    Constant {
        /// Instruction.
        mnemonic: &'static str,
        /// Constant pool index.
        index: u16,
        /// What stands there.
        what: &'static str,
    },
    /// A branch leaves the methods.
    #[error("branch to {0:#x}, outside of the methods")]
    BranchOutside(i64),
    /// A local variable beyond the method's.
    #[error("local variable {0} of {1}")]
    Local(u16, u16),
    /// The applet component names no method of an applet.
    #[error("the install method is none")]
    Install,
}

pub(crate) fn refuse<T>(component: ComponentTag, offset: usize, rule: LinkRule) -> Result<T, LinkError> {
    Err(LinkError::Refused { component, offset, rule })
}
