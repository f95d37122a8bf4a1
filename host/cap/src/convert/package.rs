//! The package under conversion: its classes in the order of the Class component, and their supertypes.

use std::collections::HashMap;

use super::diagnostics::{ConvertRule, Diagnostic};
use super::imports::{package_of, Imported, Imports};
use crate::classfile::{acc, ClassFile, Method, MethodType};
use crate::exports::{ExportClass, SHAREABLE};

/// The package: classes, and the tables of what they use.
#[derive(Debug)]
pub(super) struct Package<'e> {
    /// Name with slashes.
    pub(super) name: String,
    /// Interfaces first, supertypes before subtypes, else by name.
    pub(super) classes: Vec<Class>,
    index: HashMap<String, usize>,
    pub(super) imports: Imports<'e>,
    /// Whether it has applets; else it is a library.
    pub(super) has_applets: bool,
}

/// A class or interface of the package.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) file: ClassFile,
    /// Superclass; `None` for interfaces.
    pub(super) superclass: Option<TypeName>,
    /// Interfaces: those declared here and all above them. For an interface, all its superinterfaces.
    pub(super) interfaces: Vec<TypeName>,
    /// Class token; `None` when package-visible.
    pub(super) token: Option<u8>,
    /// One per field of the file.
    pub(super) fields: Vec<FieldSlot>,
    /// One per method of the file.
    pub(super) methods: Vec<MethodSlot>,
    /// Virtual methods with public or protected access; index = token.
    pub(super) public_table: Vec<VirtualEntry>,
    /// Package-visible virtual methods; index = token without bit 7.
    pub(super) package_table: Vec<VirtualEntry>,
    /// Methods of an interface; index = token.
    pub(super) interface_table: Vec<(String, String)>,
}

/// A type by where it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum TypeName {
    /// Index in [`Package::classes`].
    Own(usize),
    /// Name with slashes.
    Imported(String),
}

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldSlot {
    /// A compile-time constant: inlined, no trace in the CAP.
    Constant(i32),
    /// A static field; the token of a public or protected one.
    Static(Option<u8>),
    /// An instance field and its token.
    Instance(u8),
}

/// What becomes of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MethodSlot {
    pub(super) ty: MethodType,
    pub(super) role: Role,
}

/// How a method is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Static initialiser: evaluated by the converter.
    StaticInitializer,
    /// Static method or constructor; the token of a public or protected one.
    Static(Option<u8>),
    /// Private instance method: called like a static one.
    Private,
    /// Virtual method; bit 7 set when package-visible.
    Virtual(u8),
    /// Method of an interface.
    Interface(u8),
}

/// A virtual method of a class, its own or inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VirtualEntry {
    pub(super) name: String,
    pub(super) descriptor: String,
    /// Class and method index where it is implemented; `None` in an imported class.
    pub(super) own: Option<(usize, usize)>,
}

/// A type that is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    Own(usize),
    Imported(Imported<'a>),
}

impl Class {
    /// The public or protected methods and package-visible ones, each with its access.
    pub(super) fn method(&self, name: &str, descriptor: &str) -> Option<usize> {
        self.file.methods.iter().position(|m| m.name == name && m.descriptor == descriptor)
    }

    pub(super) fn is_public(&self) -> bool {
        self.file.access & acc::PUBLIC != 0
    }

    /// Diagnostic for this class.
    pub(super) fn diagnostic(&self, rule: ConvertRule) -> Diagnostic {
        Diagnostic { source: self.file.source_file.clone(), ..Diagnostic::class(&self.file.name, rule) }
    }

    /// Diagnostic for a method and, where known, a line.
    pub(super) fn method_diagnostic(
        &self,
        method: &Method,
        line: Option<u16>,
        rule: ConvertRule,
    ) -> Diagnostic {
        let line = line.or_else(|| method.code.as_ref().and_then(|code| code.line(0)));
        Diagnostic {
            member: Some(format!("{}{}", method.name, method.descriptor)),
            line,
            ..self.diagnostic(rule)
        }
    }
}

impl<'e> Package<'e> {
    /// Orders the classes and links supertypes. Tokens are assigned later.
    pub(super) fn new(
        name: &str,
        files: Vec<ClassFile>,
        imports: Imports<'e>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let files = in_order(files)?;
        let mut package = Self {
            name: name.to_owned(),
            index: files.iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect(),
            classes: Vec::new(),
            imports,
            has_applets: false,
        };
        let mut errors = Vec::new();
        for file in files {
            match package.link(file) {
                Ok(class) => package.classes.push(class),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(package)
        } else {
            Err(errors)
        }
    }

    fn link(&self, file: ClassFile) -> Result<Class, Diagnostic> {
        let error =
            |rule| Diagnostic { source: file.source_file.clone(), ..Diagnostic::class(&file.name, rule) };
        match file.superclass.as_deref() {
            Some("java/lang/Enum") => return Err(error(ConvertRule::Enum)),
            Some("java/lang/Record") => return Err(error(ConvertRule::Record)),
            _ => {}
        }
        let name_of = |name: &str| match self.find(name).map_err(error)? {
            Found::Own(index) => Ok(TypeName::Own(index)),
            Found::Imported(_) => Ok(TypeName::Imported(name.to_owned())),
        };
        let superclass = match &file.superclass {
            Some(name) if !file.is_interface() => Some(name_of(name)?),
            _ => None,
        };
        let mut interfaces = Vec::new();
        for name in &file.interfaces {
            let direct = name_of(name)?;
            let above = match &direct {
                TypeName::Own(index) => {
                    self.classes.get(*index).map(|c| c.interfaces.clone()).unwrap_or_default()
                }
                TypeName::Imported(name) => {
                    let class = self.imports.class(name);
                    let above = class.map(|c| c.class.interfaces.clone()).unwrap_or_default();
                    above.into_iter().map(TypeName::Imported).collect()
                }
            };
            for interface in above.into_iter().chain([direct]) {
                if !interfaces.contains(&interface) {
                    interfaces.push(interface);
                }
            }
        }
        Ok(Class {
            superclass,
            interfaces,
            token: None,
            fields: Vec::new(),
            methods: Vec::new(),
            public_table: Vec::new(),
            package_table: Vec::new(),
            interface_table: Vec::new(),
            file,
        })
    }

    /// A class by its name with slashes, or why it is not there.
    pub(super) fn find(&self, name: &str) -> Result<Found<'_>, ConvertRule> {
        if let Some(index) = self.index.get(name) {
            return Ok(Found::Own(*index));
        }
        if let Some(imported) = self.imports.class(name) {
            return Ok(Found::Imported(imported));
        }
        let dotted = name.replace('/', ".");
        Err(if package_of(name) == self.name {
            ConvertRule::MissingClass(dotted)
        } else if self.imports.knows_package_of(name) || name.starts_with("java/") {
            ConvertRule::NoSuchClass(dotted)
        } else {
            ConvertRule::MissingPackage(package_of(name).replace('/', "."))
        })
    }

    /// Index of an own class.
    pub(super) fn own(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The first imported class above an own one.
    pub(super) fn imported_superclass(&self, class: usize) -> Option<Imported<'_>> {
        let mut at = class;
        loop {
            match self.classes.get(at)?.superclass.as_ref()? {
                TypeName::Own(index) => at = *index,
                TypeName::Imported(name) => return self.imports.class(name),
            }
        }
    }

    /// An own class and its own superclasses, nearest first.
    pub(super) fn own_chain(&self, class: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(class), |at| match self.classes.get(*at)?.superclass {
            Some(TypeName::Own(index)) => Some(index),
            _ => None,
        })
    }

    /// Whether an own class extends the named class, directly or not.
    pub(super) fn extends(&self, class: usize, name: &str) -> bool {
        self.own_chain(class).skip(1).any(|c| self.classes[c].file.name == name)
            || self
                .imported_superclass(class)
                .is_some_and(|i| i.class.name == name || i.class.supers.iter().any(|s| s == name))
    }

    /// All interfaces a class has, those of its superclasses included.
    pub(super) fn all_interfaces(&self, class: usize) -> Vec<TypeName> {
        let mut all: Vec<TypeName> = Vec::new();
        for at in self.own_chain(class) {
            all.extend(self.classes[at].interfaces.iter().cloned());
        }
        if let Some(imported) = self.imported_superclass(class) {
            all.extend(imported.class.interfaces.iter().cloned().map(TypeName::Imported));
        }
        all.dedup();
        all
    }

    /// Whether a type is an interface below `javacard.framework.Shareable`, or that itself.
    pub(super) fn is_shareable_interface(&self, ty: &TypeName) -> bool {
        match ty {
            TypeName::Imported(name) => {
                name == SHAREABLE || self.imports.class(name).is_some_and(|i| i.class.is_shareable())
            }
            TypeName::Own(index) => {
                let class = &self.classes[*index];
                class.file.is_interface() && class.interfaces.iter().any(|i| self.is_shareable_interface(i))
            }
        }
    }

    /// Whether other packages see the class: all public ones of a library, public shareable interfaces of an applet
    /// package (JCVM 6.12).
    pub(super) fn is_exported(&self, class: usize) -> bool {
        self.classes[class].is_public()
            && (!self.has_applets || self.is_shareable_interface(&TypeName::Own(class)))
    }

    /// Methods of an interface by token.
    pub(super) fn interface_methods(&self, ty: &TypeName) -> Vec<(String, String)> {
        match ty {
            TypeName::Own(index) => self.classes[*index].interface_table.clone(),
            TypeName::Imported(name) => {
                let Some(imported) = self.imports.class(name) else { return Vec::new() };
                methods_by_token(imported.class)
            }
        }
    }
}

/// The virtual or interface methods of an imported class, index = token.
pub(super) fn methods_by_token(class: &ExportClass) -> Vec<(String, String)> {
    let mut methods: Vec<_> = class.methods.iter().filter(|m| !m.is_static_kind()).collect();
    methods.sort_by_key(|m| m.token);
    methods.into_iter().map(|m| (m.name.clone(), m.descriptor.clone())).collect()
}

/// Interfaces first, each type behind its supertypes, else by name.
fn in_order(mut files: Vec<ClassFile>) -> Result<Vec<ClassFile>, Vec<Diagnostic>> {
    files.sort_by(|a, b| (!a.is_interface(), &a.name).cmp(&(!b.is_interface(), &b.name)));
    let index: HashMap<&str, usize> = files.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    let mut order = Vec::new();
    // 0 not seen, 1 being visited, 2 done
    let mut state = vec![0u8; files.len()];
    for first in 0..files.len() {
        let mut stack = vec![(first, 0)];
        while let Some((at, next)) = stack.pop() {
            if next == 0 && state[at] != 0 {
                continue;
            }
            state[at] = 1;
            let file = &files[at];
            let supers = file.superclass.iter().chain(&file.interfaces);
            let own = supers.filter_map(|s| index.get(s.as_str()).copied()).nth(next);
            match own {
                Some(above) if state[above] == 1 => {
                    return Err(vec![Diagnostic::class(&file.name, ConvertRule::CyclicSupertype)]);
                }
                Some(above) => {
                    stack.push((at, next + 1));
                    stack.push((above, 0));
                }
                None => {
                    state[at] = 2;
                    order.push(at);
                }
            }
        }
    }
    let mut files: Vec<Option<ClassFile>> = files.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|i| files[i].take()).collect())
}
