//! Classes, methods and packages as the interpreter needs them: every token and offset resolved.

use std::collections::HashMap;

use jpkise_cap::{Aid, PackageVersion};

use crate::heap::Object;
use crate::vm::NativeFn;

/// Slot of the first built-in package; loaded packages have 1 to 127, 0 is the runtime itself.
pub(crate) const FIRST_BUILT_IN: u8 = 128;
/// Class index of the first class of a built-in package that applets cannot name.
pub(crate) const FIRST_HIDDEN: u16 = 256;

/// A class or interface: package slot and index in the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassId {
    pub(crate) package: u8,
    pub(crate) index: u16,
}

impl ClassId {
    /// The class of an instance, or of an array's elements.
    #[inline]
    pub(crate) fn of(object: &Object) -> Self {
        Self { package: object.header.package, index: object.header.aux }
    }
}

/// What an invocation runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// No body. `nargs` is 0 when the CAP does not say (its tables have no entry for abstract methods).
    Abstract { nargs: u8 },
    /// Bytecode: a method of a loaded package.
    Code { package: u8, method: u16 },
    /// A method of the API.
    Native { function: NativeFn, nargs: u8 },
    /// A method of the API that this runtime does not have.
    Missing,
}

/// A class or interface.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) id: ClassId,
    /// Name with slashes, where known.
    pub(crate) name: Option<String>,
    pub(crate) is_interface: bool,
    /// Instances cannot be made (known of API classes only).
    pub(crate) is_abstract: bool,
    /// The shareable flag: an interface that extends Shareable, or a class that implements one.
    pub(crate) shareable: bool,
    pub(crate) superclass: Option<ClassId>,
    /// Superclasses from the root on, and the class itself.
    pub(crate) ancestors: Vec<ClassId>,
    /// Cells of the superclasses' fields.
    pub(crate) first_cell: u16,
    /// Cells of an instance.
    pub(crate) cells: u16,
    /// Reference cells of an instance: first, count.
    pub(crate) references: Vec<(u16, u16)>,
    /// Public and protected virtual methods by token.
    pub(crate) methods: Vec<Target>,
    /// Package-visible virtual methods by token (without bit 7).
    pub(crate) package_methods: Vec<Target>,
    /// Interfaces with the virtual method token of each of their methods.
    pub(crate) interfaces: Vec<(ClassId, Vec<u8>)>,
    /// Every interface: own, inherited, and their superinterfaces.
    pub(crate) all_interfaces: Vec<ClassId>,
}

impl Class {
    /// Whether instances are assignable to a class or interface.
    #[inline]
    pub(crate) fn is(&self, other: ClassId) -> bool {
        self.id == other || self.ancestors.contains(&other) || self.all_interfaces.contains(&other)
    }

    /// Whether the two-cell range is free of references, or the one cell is (not) one.
    pub(crate) fn is_reference_cell(&self, cell: u16) -> bool {
        self.references.iter().any(|(first, count)| (*first..first + count).contains(&cell))
    }
}

/// A bytecode method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    /// Offset of its header in Method's info.
    pub(crate) offset: u16,
    /// Offset of its first instruction.
    pub(crate) code: u16,
    pub(crate) nargs: u8,
    pub(crate) locals: u8,
    pub(crate) stack: u8,
    pub(crate) is_abstract: bool,
}

/// A resolved constant pool entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Constant {
    Class(ClassId),
    /// Cell of an instance of the class or its subclasses.
    Field {
        class: ClassId,
        cell: u16,
    },
    /// Virtual method; `nargs` 0 as in [`Target::Abstract`].
    Virtual {
        class: ClassId,
        token: u8,
        package_visible: bool,
        nargs: u8,
    },
    /// Method of the superclass of the class that contains the call.
    Super(Target),
    /// Offset in a package's static image.
    Static {
        package: u8,
        offset: u16,
    },
    /// Static method, constructor or private method.
    Method(Target),
    /// Something the API has in its tables and this runtime does not have; no reachable instruction uses it.
    Unusable,
}

/// An entry of the exception handler table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handler {
    pub(crate) start: u16,
    pub(crate) end: u32,
    pub(crate) target: u16,
    /// `None` catches everything.
    pub(crate) catches: Option<ClassId>,
}

/// What a package shows to others by token.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    pub(crate) class: u16,
    pub(crate) fields: Vec<u16>,
    pub(crate) methods: Vec<Target>,
}

/// The static fields of a package.
#[derive(Debug, Clone, Default)]
pub(crate) struct StaticImage {
    pub(crate) references: u16,
    pub(crate) size: u16,
    /// Element kind and bytes of the arrays at the image's start.
    pub(crate) arrays: Vec<(u8, Vec<u8>)>,
    /// Bytes behind the references.
    pub(crate) primitives: Vec<u8>,
}

/// A package ready to run.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) slot: u8,
    pub(crate) aid: Aid,
    pub(crate) version: PackageVersion,
    /// By index.
    pub(crate) classes: Vec<Option<Box<Class>>>,
    /// Index = class token.
    pub(crate) exports: Vec<Exported>,
    /// Method's info: code and handler table, addressed by the offsets other components use.
    pub(crate) code: Vec<u8>,
    pub(crate) methods: Vec<Method>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) handlers: Vec<Handler>,
    /// Applet AIDs with their `install` methods.
    pub(crate) applets: Vec<(Aid, u16)>,
    pub(crate) statics: StaticImage,
    /// Slots of the loaded packages it imports.
    pub(crate) imports: Vec<u8>,
    /// Static methods and constructors of a built-in package: class token, method token.
    pub(crate) natives: HashMap<(u8, u8), Target>,
    /// The components as stored, without Descriptor and Debug. Empty for built-in packages.
    pub(crate) load_file: Vec<u8>,
}

impl Package {
    #[inline]
    pub(crate) fn class(&self, index: u16) -> Option<&Class> {
        self.classes.get(usize::from(index))?.as_deref()
    }

    pub(crate) fn method(&self, index: u16) -> Option<&Method> {
        self.methods.get(usize::from(index))
    }
}
