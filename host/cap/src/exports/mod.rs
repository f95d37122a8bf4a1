//! Export tables: which class, field and method of a package has which token (JCVM chapter 5).
//!
//! The tables of the Java Card platform and of GlobalPlatform come with the crate; further ones are read from EXP
//! files. Both become [`ExportPackage`].

mod embedded;
mod exp;
mod json;
mod set;

pub use exp::{ExpError, ExpRule};
pub use json::{embedded, embedded_by_aid, embedded_versions, Platform};
pub use set::{ExportSet, ExportSetError};

use crate::model::{Aid, PackageVersion};

/// Java access flags as they appear in export files (JCVM table 5-1).
#[allow(missing_docs)]
pub mod acc {
    pub const PUBLIC: u16 = 0x0001;
    pub const PROTECTED: u16 = 0x0004;
    pub const STATIC: u16 = 0x0008;
    pub const FINAL: u16 = 0x0010;
    pub const INTERFACE: u16 = 0x0200;
    pub const ABSTRACT: u16 = 0x0400;
    pub const SHAREABLE: u16 = 0x0800;
    pub const REMOTE: u16 = 0x1000;
}

/// What a package shows to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPackage {
    /// Name with slashes, for instance `javacard/framework`.
    pub name: String,
    /// Package AID.
    pub aid: Aid,
    /// Package version.
    pub version: PackageVersion,
    /// Whether it is a library (no applets).
    pub library: bool,
    /// Public classes and interfaces.
    pub classes: Vec<ExportClass>,
}

/// A public class or interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportClass {
    /// Name with slashes, package included.
    pub name: String,
    /// Class token.
    pub token: u8,
    /// Flags of [`acc`].
    pub access: u16,
    /// Direct superclass; `None` for `java/lang/Object` and for interfaces.
    pub superclass: Option<String>,
    /// All superclasses, root first.
    pub supers: Vec<String>,
    /// All interfaces implemented or extended, inherited ones too.
    pub interfaces: Vec<String>,
    /// Public and protected fields; compile-time constants have no token.
    pub fields: Vec<ExportField>,
    /// Public and protected methods, inherited virtual ones too.
    pub methods: Vec<ExportMethod>,
}

/// A public or protected field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportField {
    /// Name.
    pub name: String,
    /// Descriptor in the form of class files.
    pub descriptor: String,
    /// Flags of [`acc`].
    pub access: u16,
    /// Token; `None` for compile-time constants.
    pub token: Option<u8>,
    /// Value of a compile-time constant.
    pub constant: Option<i32>,
}

/// A public or protected method or constructor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportMethod {
    /// Name, `<init>` for constructors.
    pub name: String,
    /// Descriptor in the form of class files.
    pub descriptor: String,
    /// Flags of [`acc`].
    pub access: u16,
    /// Token in the numbering of [`ExportMethod::is_static_kind`] or of virtual methods.
    pub token: u8,
}

impl ExportMethod {
    /// Whether its token counts among static methods and constructors (JCVM 4.3.7.3).
    pub fn is_static_kind(&self) -> bool {
        self.access & acc::STATIC != 0 || self.name == "<init>"
    }
}

impl ExportClass {
    /// Whether it is an interface.
    pub fn is_interface(&self) -> bool {
        self.access & acc::INTERFACE != 0
    }

    /// Whether it is `javacard.framework.Shareable` or a subinterface of it, or a class that implements such.
    pub fn is_shareable(&self) -> bool {
        self.access & acc::SHAREABLE != 0
            || self.name == SHAREABLE
            || self.interfaces.iter().any(|i| i == SHAREABLE)
    }

    /// A method by name and descriptor.
    pub fn method(&self, name: &str, descriptor: &str) -> Option<&ExportMethod> {
        self.methods.iter().find(|m| m.name == name && m.descriptor == descriptor)
    }

    /// A field by name and descriptor.
    pub fn field(&self, name: &str, descriptor: &str) -> Option<&ExportField> {
        self.fields.iter().find(|f| f.name == name && f.descriptor == descriptor)
    }

    /// The static method or constructor with this token.
    pub fn static_method(&self, token: u8) -> Option<&ExportMethod> {
        self.methods.iter().find(|m| m.is_static_kind() && m.token == token)
    }

    /// The virtual or interface method with this token.
    pub fn virtual_method(&self, token: u8) -> Option<&ExportMethod> {
        self.methods.iter().find(|m| !m.is_static_kind() && m.token == token)
    }

    /// The static field with this token.
    pub fn static_field(&self, token: u8) -> Option<&ExportField> {
        self.fields.iter().find(|f| f.access & acc::STATIC != 0 && f.token == Some(token))
    }

    /// The instance field with this token.
    pub fn instance_field(&self, token: u8) -> Option<&ExportField> {
        self.fields.iter().find(|f| f.access & acc::STATIC == 0 && f.token == Some(token))
    }

    /// One more than the highest public virtual token; what a subclass continues from.
    pub fn virtual_method_count(&self) -> u8 {
        let tokens = self.methods.iter().filter(|m| !m.is_static_kind()).map(|m| m.token);
        tokens.max().map_or(0, |max| max.saturating_add(1))
    }
}

/// The interface whose subinterfaces cross the firewall.
pub const SHAREABLE: &str = "javacard/framework/Shareable";

impl ExportPackage {
    /// A class by its name with slashes, package included.
    pub fn class(&self, name: &str) -> Option<&ExportClass> {
        self.classes.iter().find(|c| c.name == name)
    }

    /// The class with this token.
    pub fn class_by_token(&self, token: u8) -> Option<&ExportClass> {
        self.classes.iter().find(|c| c.token == token)
    }
}
