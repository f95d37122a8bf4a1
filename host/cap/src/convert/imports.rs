//! Stage "resolve", outward half: which tables serve the packages that the classes refer to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::classfile::{field_type, ClassFile, Constant, JavaType, MethodType};
use crate::exports::{ExportClass, ExportPackage, ExportSet};

/// The tables of all packages that are referred to and known.
#[derive(Debug, Default)]
pub(super) struct Imports<'e> {
    packages: Vec<Cow<'e, ExportPackage>>,
    by_name: HashMap<String, usize>,
}

/// A class of another package.
#[derive(Debug, Clone, Copy)]
pub(super) struct Imported<'a> {
    /// Index in [`Imports`].
    pub(super) package: usize,
    /// Its table entry.
    pub(super) class: &'a ExportClass,
}

/// Package part of a class name with slashes.
pub(super) fn package_of(class: &str) -> &str {
    class.rsplit_once('/').map_or("", |(package, _)| package)
}

impl<'e> Imports<'e> {
    /// Looks up every package the classes refer to. Where a package has several candidate versions, the lowest one
    /// that has everything that is used wins: the CAP then runs on the most cards.
    pub(super) fn collect(classes: &[ClassFile], own: &str, exports: &'e ExportSet) -> Self {
        let mut wanted: BTreeMap<String, Wanted<'_>> = BTreeMap::new();
        for file in classes {
            collect_class(file, own, &mut wanted);
        }
        // Every superclass chain ends there.
        wanted.entry("java/lang".to_owned()).or_default();
        let mut imports = Self::default();
        for (package, wanted) in &wanted {
            let mut candidates = exports.candidates(package);
            let best = candidates.iter().position(|c| wanted.satisfied_by(c));
            let best = best.unwrap_or(candidates.len().saturating_sub(1));
            if best < candidates.len() {
                imports.by_name.insert(package.clone(), imports.packages.len());
                imports.packages.push(candidates.swap_remove(best));
            }
        }
        imports
    }

    /// A table by its index.
    pub(super) fn package(&self, index: usize) -> &ExportPackage {
        &self.packages[index]
    }

    /// The table of java.lang.
    pub(super) fn java_lang(&self) -> Option<usize> {
        self.by_name.get("java/lang").copied()
    }

    /// Whether there is a table for the package of a class.
    pub(super) fn knows_package_of(&self, class: &str) -> bool {
        self.by_name.contains_key(package_of(class))
    }

    /// A class by its name with slashes.
    pub(super) fn class(&self, name: &str) -> Option<Imported<'_>> {
        let package = *self.by_name.get(package_of(name))?;
        Some(Imported { package, class: self.packages[package].class(name)? })
    }
}

/// What is used of a package.
#[derive(Default)]
struct Wanted<'a> {
    classes: BTreeSet<&'a str>,
    members: BTreeSet<(&'a str, &'a str, &'a str)>,
}

impl Wanted<'_> {
    fn satisfied_by(&self, package: &ExportPackage) -> bool {
        let has_member = |(class, name, descriptor): &(&str, &str, &str)| {
            let Some(class) = package.class(class) else { return false };
            let chain = std::iter::once(class).chain(class.supers.iter().filter_map(|s| package.class(s)));
            chain
                .into_iter()
                .any(|c| c.method(name, descriptor).is_some() || c.field(name, descriptor).is_some())
        };
        self.classes.iter().all(|c| package.class(c).is_some()) && self.members.iter().all(has_member)
    }
}

fn collect_class<'a>(file: &'a ClassFile, own: &str, wanted: &mut BTreeMap<String, Wanted<'a>>) {
    let mut class = |name: &'a str| {
        let package = package_of(name);
        if package != own && !name.starts_with('[') {
            wanted.entry(package.to_owned()).or_default().classes.insert(name);
        }
    };
    file.superclass.iter().chain(&file.interfaces).for_each(|name| class(name));
    let mut descriptors: Vec<String> = file.fields.iter().map(|f| f.descriptor.clone()).collect();
    descriptors.extend(file.methods.iter().map(|m| m.descriptor.clone()));
    let mut members = Vec::new();
    for (index, constant) in file.pool.entries().iter().enumerate() {
        match constant {
            Constant::Field { .. } | Constant::Method { .. } | Constant::InterfaceMethod { .. } => {
                if let Ok(member) = file.pool.member(u16::try_from(index).unwrap_or(0)) {
                    descriptors.push(member.descriptor.to_owned());
                    members.push(member);
                }
            }
            Constant::Class(name) => {
                if let Ok(name) = file.pool.utf8(*name) {
                    descriptors.push(if name.starts_with('[') {
                        name.to_owned()
                    } else {
                        format!("L{name};")
                    });
                }
            }
            _ => {}
        }
    }
    for member in members.into_iter().filter(|m| !m.class.starts_with('[') && package_of(m.class) != own) {
        let entry = wanted.entry(package_of(member.class).to_owned()).or_default();
        entry.members.insert((member.class, member.name, member.descriptor));
    }
    for descriptor in descriptors {
        for name in classes_of(&descriptor) {
            // Classes named in descriptors or by InnerClasses only select the package: whether they exist is
            // asked where they are used.
            let package = package_of(&name);
            if package != own {
                wanted.entry(package.to_owned()).or_default();
            }
        }
    }
}

fn classes_of(descriptor: &str) -> Vec<String> {
    fn class_of(ty: JavaType) -> Option<String> {
        match ty {
            JavaType::Class(name) => Some(name),
            JavaType::Array(element) => class_of(*element),
            _ => None,
        }
    }
    let types = match MethodType::parse(descriptor) {
        Some(method) => method.parameters.into_iter().chain([method.result]).collect(),
        None => field_type(descriptor).into_iter().collect::<Vec<_>>(),
    };
    types.into_iter().filter_map(class_of).collect()
}
