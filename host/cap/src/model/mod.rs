//! The components of a CAP file as typed values (JCVM 3.0.4 chapter 6, and compact format 2.3 of JCVM 3.1).
//!
//! Every value here can be written back to the very bytes it was read from. Whether offsets, tokens and counts fit
//! together is not judged here: see the verifier.

mod applet;
mod class;
mod constant_pool;
mod debug;
mod descriptor;
mod directory;
mod export;
mod header;
mod import;
mod method;
mod reference_location;
mod static_field;
mod types;

pub use applet::{Applet, AppletEntry};
pub use class::{
    ClassComponent, ClassInfo, ImplementedInterface, InterfaceInfo, RemoteInfo, RemoteMethod, TokenMapping,
    CLASS_ACC_INTERFACE, CLASS_ACC_REMOTE, CLASS_ACC_SHAREABLE, TABLE_ENTRY_INHERITED,
};
pub use constant_pool::{ClassRef, ConstantPool, CpInfo, StaticRef};
pub use debug::{Debug, DebugClass, DebugField, DebugLine, DebugMethod, DebugVariable};
pub use descriptor::{
    access, ClassDescriptor, Descriptor, FieldDescriptor, FieldRef, FieldType, MethodDescriptor, TypeEntry,
    TypeTable, NO_TOKEN,
};
pub use directory::{CustomComponentInfo, Directory, StaticFieldSize};
pub use export::{ClassExport, Export};
pub use header::{Header, FLAG_APPLET, FLAG_EXPORT, FLAG_EXTENDED, FLAG_INT, MAGIC};
pub use import::Import;
pub use method::{ExceptionHandler, MethodComponent, MethodHeader, METHOD_ACC_ABSTRACT, METHOD_ACC_EXTENDED};
pub use reference_location::ReferenceLocation;
pub use static_field::{ArrayInit, StaticField};
pub use types::{
    Aid, AidLengthError, ArrayElement, ComponentTag, FormatVersion, PackageInfo, PackageVersion, Type,
    TypeDescriptor,
};

/// A component this crate does not look into: StaticResources (tag 13) or a custom one (tag 128 to 255).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawComponent {
    /// Tag byte.
    pub tag: u8,
    /// Member name in the JAR without folders, for instance `StaticResources.cap`; empty when read from a load file.
    pub name: String,
    /// Bytes behind the tag and size fields.
    pub info: Vec<u8>,
}

/// A member of the JAR that is no component (manifest, `APPLET-INF` tree).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Path in the JAR.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A whole CAP file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// Folder of the components in the JAR, for instance `com/example/javacard`; empty when read from a load file.
    pub folder: String,
    /// Header component.
    pub header: Header,
    /// Directory component.
    pub directory: Directory,
    /// Applet component; absent when the package has no applets.
    pub applet: Option<Applet>,
    /// Import component.
    pub import: Import,
    /// ConstantPool component.
    pub constant_pool: ConstantPool,
    /// Class component.
    pub class: ClassComponent,
    /// Method component.
    pub method: MethodComponent,
    /// StaticField component.
    pub static_field: StaticField,
    /// ReferenceLocation component.
    pub reference_location: ReferenceLocation,
    /// Export component; absent when nothing is exported.
    pub export: Option<Export>,
    /// Descriptor component; absent in what was loaded onto a card.
    pub descriptor: Option<Descriptor>,
    /// Debug component.
    pub debug: Option<Debug>,
    /// StaticResources and custom components.
    pub raw: Vec<RawComponent>,
    /// Everything else in the JAR, in its order.
    pub others: Vec<Member>,
}

impl Cap {
    /// CAP format version, from the header.
    pub fn format(&self) -> FormatVersion {
        self.header.format
    }

    /// The imported package behind a package token (0x80 bit already removed).
    pub fn imported(&self, package: u8) -> Option<&PackageInfo> {
        self.import.packages.get(usize::from(package))
    }
}
