//! The API packages: hierarchy and tokens from the export tables, bodies from the native table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jpkise_cap::exports::{acc, embedded, embedded_versions, ExportClass, ExportPackage, Platform};

use crate::api::{self, HiddenClass};
use crate::class::{Class, ClassId, Package, StaticImage, Target, FIRST_BUILT_IN, FIRST_HIDDEN};

/// Packages an applet can import. The order is part of the store's format: class references in it name these slots.
const PACKAGES: [&str; 31] = [
    "java/lang",
    "java/io",
    "java/rmi",
    "javacard/framework",
    "javacard/framework/service",
    "javacard/security",
    "javacardx/crypto",
    "javacardx/apdu",
    "org/globalplatform",
    "javacardx/apdu/util",
    "javacardx/biometry",
    "javacardx/biometry1toN",
    "javacardx/external",
    "javacardx/framework/event",
    "javacardx/framework/math",
    "javacardx/framework/nio",
    "javacardx/framework/string",
    "javacardx/framework/time",
    "javacardx/framework/tlv",
    "javacardx/framework/util",
    "javacardx/framework/util/intx",
    "javacardx/security",
    "javacardx/security/cert",
    "javacardx/security/derivation",
    "javacardx/security/util",
    "org/globalplatform/contactless",
    "org/globalplatform/filesystem",
    "org/globalplatform/privacy",
    "org/globalplatform/securechannel",
    "org/globalplatform/securechannel/provider",
    "org/globalplatform/upgrade",
];

/// Those that are there: the packages some class of which has a body, and pure interfaces and exceptions.
const PRESENT: usize = 9;

/// All API packages of one release, by slot from [`FIRST_BUILT_IN`] on.
#[derive(Debug)]
pub(crate) struct Builtins {
    pub(crate) packages: Vec<Arc<Package>>,
    names: HashMap<String, ClassId>,
}

impl Builtins {
    /// The packages of a release; built once per process.
    pub(crate) fn of(platform: Platform) -> Arc<Self> {
        type Built = Mutex<Vec<(Platform, Arc<Builtins>)>>;
        static BUILT: OnceLock<Built> = OnceLock::new();
        let built = BUILT.get_or_init(Mutex::default);
        let mut built = built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, there)) = built.iter().find(|(p, _)| *p == platform) {
            return there.clone();
        }
        let new = Arc::new(Self::build(platform));
        built.push((platform, new.clone()));
        new
    }

    /// A class of the API, hidden ones included, by its name with slashes.
    pub(crate) fn class_id(&self, name: &str) -> Option<ClassId> {
        self.names.get(name).copied()
    }

    pub(crate) fn class(&self, id: ClassId) -> Option<&Class> {
        self.packages.get(usize::from(id.package.checked_sub(FIRST_BUILT_IN)?))?.class(id.index)
    }

    fn build(platform: Platform) -> Self {
        let mut all = Self { packages: Vec::new(), names: HashMap::new() };
        let natives = api::natives();
        let tables = PACKAGES[..PRESENT].iter().zip(FIRST_BUILT_IN..).filter_map(|(name, slot)| {
            let version = match platform.version_of(name) {
                Some(version) => Some(version),
                // GlobalPlatform's packages belong to no Java Card release: the newest.
                None if name.starts_with("org/") => embedded_versions(name).last(),
                None => None,
            };
            Some((slot, embedded(name, version?)?))
        });
        for (slot, table) in tables {
            let package = Builder { all: &all, natives: &natives, slot, table }.package();
            for class in package.classes.iter().flatten() {
                if let Some(name) = &class.name {
                    all.names.insert(name.clone(), class.id);
                }
            }
            all.packages.push(Arc::new(package));
        }
        all
    }
}

struct Builder<'a> {
    all: &'a Builtins,
    natives: &'a api::Natives,
    slot: u8,
    table: &'static ExportPackage,
}

impl Builder<'_> {
    fn package(&self) -> Package {
        let mut classes: Vec<Option<Box<Class>>> = Vec::new();
        let mut natives = HashMap::new();
        // Superclasses before subclasses, interfaces first.
        let mut order: Vec<&ExportClass> = self.table.classes.iter().collect();
        order.sort_by_key(|c| {
            (!c.is_interface(), c.interfaces.len() * usize::from(c.is_interface()) + c.supers.len())
        });
        for export in order {
            let class = self.class(&classes, export);
            for method in export.methods.iter().filter(|m| m.is_static_kind()) {
                let signature = format!("{}{}", method.name, method.descriptor);
                let nargs = api::cells(&method.descriptor) + u8::from(method.access & acc::STATIC == 0);
                let target = match self.natives.get(&(export.name.as_str(), signature.as_str())) {
                    Some(function) => Target::Native { function: *function, nargs },
                    None => Target::Missing,
                };
                natives.insert((export.token, method.token), target);
            }
            put(&mut classes, class);
        }
        let hidden = api::HIDDEN.iter().filter(|h| h.package == self.table.name);
        for (hidden, index) in hidden.zip(FIRST_HIDDEN..) {
            if let Some(class) = self.hidden(&classes, hidden, index) {
                put(&mut classes, class);
            }
        }
        Package {
            slot: self.slot,
            aid: self.table.aid,
            version: self.table.version,
            classes,
            exports: Vec::new(),
            code: Vec::new(),
            methods: Vec::new(),
            constants: Vec::new(),
            handlers: Vec::new(),
            applets: Vec::new(),
            statics: StaticImage::default(),
            imports: Vec::new(),
            natives,
            load_file: Vec::new(),
        }
    }

    fn id(&self, name: &str) -> Option<ClassId> {
        let here = self.table.class(name);
        here.map(|c| ClassId { package: self.slot, index: c.token.into() })
            .or_else(|| self.all.class_id(name))
    }

    fn find<'c>(&'c self, classes: &'c [Option<Box<Class>>], name: &str) -> Option<&'c Class> {
        let id = self.id(name)?;
        if id.package == self.slot {
            classes.get(usize::from(id.index))?.as_deref()
        } else {
            self.all.class(id)
        }
    }

    fn export(&self, name: &str) -> Option<&'static ExportClass> {
        let (package, _) = name.rsplit_once('/')?;
        if package == self.table.name {
            return self.table.class(name);
        }
        // Types of other packages that a class here implements or extends: any version does, tokens stay.
        embedded_versions(package).filter_map(|v| embedded(package, v)).last()?.class(name)
    }

    fn native(&self, class: &str, signature: &str, nargs: u8) -> Option<Target> {
        let function = *self.natives.get(&(class, signature))?;
        Some(Target::Native { function, nargs })
    }

    fn class(&self, classes: &[Option<Box<Class>>], export: &ExportClass) -> Class {
        let id = ClassId { package: self.slot, index: export.token.into() };
        let parent = export.superclass.as_deref().and_then(|name| self.find(classes, name));
        let mut methods = parent.map(|p| p.methods.clone()).unwrap_or_default();
        if !export.is_interface() {
            for method in export.methods.iter().filter(|m| !m.is_static_kind()) {
                let signature = format!("{}{}", method.name, method.descriptor);
                let nargs = 1 + api::cells(&method.descriptor);
                let hidden = api::HIDDEN.iter().any(|h| h.superclass == export.name);
                let native = self.native(&export.name, &signature, nargs);
                let target = match native {
                    // What only this runtime implements, and does not, cannot be called.
                    None if hidden => Some(Target::Missing),
                    _ if method.access & acc::ABSTRACT != 0 => Some(Target::Abstract { nargs }),
                    native => native,
                };
                let token = usize::from(method.token);
                if methods.len() <= token {
                    methods.resize(token + 1, Target::Missing);
                }
                if let Some(target) = target {
                    methods[token] = target;
                }
            }
        }
        let (cells, references) = api::fields_of(&export.name);
        let first_cell = parent.map_or(0, |p| p.cells);
        let mut all_references = parent.map(|p| p.references.clone()).unwrap_or_default();
        if references > 0 {
            all_references.push((first_cell, references));
        }
        let mut ancestors = parent.map(|p| p.ancestors.clone()).unwrap_or_default();
        ancestors.push(id);
        Class {
            id,
            name: Some(export.name.clone()),
            is_interface: export.is_interface(),
            is_abstract: export.access & acc::ABSTRACT != 0,
            shareable: export.is_shareable(),
            superclass: parent.map(|p| p.id),
            ancestors,
            first_cell,
            cells: first_cell + cells,
            references: all_references,
            interfaces: self.interfaces(export, &mut methods),
            methods,
            package_methods: Vec::new(),
            all_interfaces: export.interfaces.iter().filter_map(|name| self.id(name)).collect(),
        }
    }

    /// Interface tables of a public class, by name and descriptor.
    fn interfaces(&self, export: &ExportClass, methods: &mut [Target]) -> Vec<(ClassId, Vec<u8>)> {
        if export.is_interface() {
            return Vec::new();
        }
        let _ = &methods;
        let table = |name: &String| {
            let interface = self.export(name)?;
            let mut methods: Vec<_> = interface.methods.iter().collect();
            methods.sort_by_key(|m| m.token);
            let token = |m: &&jpkise_cap::exports::ExportMethod| {
                export.method(&m.name, &m.descriptor).map_or(u8::MAX, |own| own.token)
            };
            Some((self.id(name)?, methods.iter().map(token).collect()))
        };
        export.interfaces.iter().filter_map(table).collect()
    }

    /// A class behind the API's abstract classes and interfaces.
    fn hidden(&self, classes: &[Option<Box<Class>>], hidden: &HiddenClass, index: u16) -> Option<Class> {
        let id = ClassId { package: self.slot, index };
        let parent = self.find(classes, hidden.superclass)?;
        let mut methods = parent.methods.clone();
        if let Some(export) = self.export(hidden.superclass) {
            for method in export.methods.iter().filter(|m| !m.is_static_kind()) {
                let signature = format!("{}{}", method.name, method.descriptor);
                let nargs = 1 + api::cells(&method.descriptor);
                if let Some(slot) = methods.get_mut(usize::from(method.token)) {
                    if matches!(slot, Target::Abstract { .. } | Target::Missing) {
                        *slot = self.native(&export.name, &signature, nargs).unwrap_or(Target::Missing);
                    }
                }
            }
        }
        let mut interfaces = Vec::new();
        let mut known: HashMap<String, u8> = HashMap::new();
        let direct = hidden.interfaces.iter().filter_map(|name| self.export(name));
        let mut names: Vec<&str> = Vec::new();
        for export in direct {
            names.push(&export.name);
            names.extend(export.interfaces.iter().map(String::as_str));
        }
        names.dedup();
        for name in names {
            let (Some(export), Some(interface)) = (self.export(name), self.id(name)) else { continue };
            if interfaces.iter().any(|(id, _)| *id == interface) {
                continue;
            }
            let mut tokens =
                vec![u8::MAX; export.methods.iter().map(|m| usize::from(m.token) + 1).max().unwrap_or(0)];
            for method in &export.methods {
                let signature = format!("{}{}", method.name, method.descriptor);
                let token = if let Some(token) = known.get(&signature) {
                    *token
                } else {
                    let nargs = 1 + api::cells(&method.descriptor);
                    let mut owners =
                        std::iter::once(name).chain(export.interfaces.iter().map(String::as_str));
                    let target = owners.find_map(|owner| self.native(owner, &signature, nargs));
                    methods.push(target.unwrap_or(Target::Missing));
                    let token = u8::try_from(methods.len() - 1).ok()?;
                    known.insert(signature, token);
                    token
                };
                tokens[usize::from(method.token)] = token;
            }
            interfaces.push((interface, tokens));
        }
        let mut all_interfaces = parent.all_interfaces.clone();
        all_interfaces.extend(interfaces.iter().map(|(id, _)| *id));
        let mut ancestors = parent.ancestors.clone();
        ancestors.push(id);
        let mut references = parent.references.clone();
        references.push((parent.cells, hidden.references));
        Some(Class {
            id,
            name: Some(format!("{}/{}", hidden.package, hidden.name)),
            is_interface: false,
            is_abstract: false,
            shareable: hidden.shareable,
            superclass: Some(parent.id),
            ancestors,
            first_cell: parent.cells,
            cells: parent.cells + hidden.cells,
            references,
            methods,
            package_methods: Vec::new(),
            interfaces,
            all_interfaces,
        })
    }
}

fn put(classes: &mut Vec<Option<Box<Class>>>, class: Class) {
    let index = usize::from(class.id.index);
    if classes.len() <= index {
        classes.resize_with(index + 1, || None);
    }
    classes[index] = Some(Box::new(class));
}
