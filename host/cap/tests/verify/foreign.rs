//! CAP files other converters made. `JPKISE_CAP_CORPUS` names folders (separated by `:`) to search.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jpkise_cap::exports::{acc, ExportClass, ExportField, ExportMethod, ExportPackage, ExportSet};
use jpkise_cap::model::*;
use jpkise_cap::verify::{verify, Severity};

fn corpus() -> Vec<PathBuf> {
    fn walk(path: &Path, out: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), out);
            }
        } else if path.extension().is_some_and(|e| e == "cap") {
            out.push(path.to_owned());
        }
    }
    let mut out = Vec::new();
    match std::env::var("JPKISE_CAP_CORPUS") {
        Ok(folders) => folders.split(':').for_each(|folder| walk(Path::new(folder), &mut out)),
        Err(_) => eprintln!("skipped: JPKISE_CAP_CORPUS names no folder with foreign .cap files"),
    }
    out.sort();
    out
}

#[test]
fn files_of_other_converters_are_accepted() {
    let caps: Vec<(PathBuf, Cap)> = corpus()
        .into_iter()
        .filter_map(|path| {
            let read = Cap::read(&std::fs::read(&path).unwrap());
            read.map_err(|e| eprintln!("not read: {}: {e}", path.display())).ok().map(|cap| (path, cap))
        })
        .collect();
    // Of the libraries among them there are no export files; they are made from what the CAP files say.
    let mut exports = ExportSet::any_platform();
    for (_, cap) in &caps {
        if let Some(package) = described_package(cap, &exports) {
            exports.add(package);
        }
    }
    let mut refused = BTreeMap::new();
    for (path, cap) in &caps {
        let found = verify(cap, &exports);
        let errors: Vec<String> =
            found.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string).collect();
        if !errors.is_empty() {
            refused.insert(path.display().to_string(), errors);
        }
    }
    eprintln!("{} foreign CAP files", caps.len());
    assert!(refused.is_empty(), "{refused:#?}");
}

/// An export table with made-up names for a library whose own export file is not at hand.
fn described_package(cap: &Cap, exports: &ExportSet) -> Option<ExportPackage> {
    let package = cap.header.package;
    let (export, descriptor) = (cap.export.as_ref()?, cap.descriptor.as_ref()?);
    let known = exports.by_import(package.aid, package.version).is_some();
    let name = format!("made/up/{}", package.aid);
    let mut names = Names { cap, exports, package: &name };
    let mut classes = Vec::new();
    for (token, exported) in (0..).zip(&export.classes) {
        let this = ClassRef::Internal(exported.class_offset);
        let described = descriptor.class(this)?;
        let mut class = ExportClass {
            name: names.of(this)?,
            token,
            access: u16::from(described.access_flags & (access::PUBLIC | access::FINAL)),
            superclass: None,
            supers: vec!["java/lang/Object".into()],
            interfaces: Vec::new(),
            fields: Vec::new(),
            methods: Vec::new(),
        };
        if let Some(interface) = cap.class.interface_at(exported.class_offset) {
            class.access |= acc::INTERFACE | acc::ABSTRACT;
            class.interfaces =
                interface.superinterfaces.iter().map(|i| names.of(*i)).collect::<Option<_>>()?;
        } else {
            let info = cap.class.class_at(exported.class_offset)?;
            if described.access_flags & access::CLASS_ABSTRACT != 0 {
                class.access |= acc::ABSTRACT;
            }
            let superclass = info.superclass?;
            class.superclass = names.of(superclass);
            let above = names.exported(superclass);
            class.supers = above.map_or_else(Vec::new, |c| c.supers.clone());
            class.supers.extend(names.of(superclass));
            class.interfaces =
                info.interfaces.iter().map(|i| names.of(i.interface)).collect::<Option<_>>()?;
            class.interfaces.extend(above.into_iter().flat_map(|c| c.interfaces.clone()));
            let inherited = above.into_iter().flat_map(|c| &c.methods).filter(|m| !m.is_static_kind());
            class.methods.extend(inherited.cloned());
        }
        for method in described.methods.iter().filter(|m| m.token < 0x80) {
            let is_static_kind = method.access_flags & (access::STATIC | access::METHOD_INIT) != 0;
            let mut flags = u16::from(method.access_flags & (1 | 4 | access::STATIC | access::FINAL));
            if method.access_flags & access::METHOD_ABSTRACT != 0 {
                flags |= acc::ABSTRACT;
            }
            let init = method.access_flags & access::METHOD_INIT != 0;
            class.methods.retain(|m| m.is_static_kind() != is_static_kind || m.token != method.token);
            class.methods.push(ExportMethod {
                name: if init { "<init>".into() } else { format!("m{}", method.token) },
                descriptor: names.signature(descriptor.types.at(method.type_offset)?)?,
                access: flags,
                token: method.token,
            });
        }
        for field in described.fields.iter().filter(|f| f.token != NO_TOKEN && f.access_flags & 5 != 0) {
            let descriptor = match field.ty {
                FieldType::Primitive(ty) => ["Z", "B", "S", "I"][usize::from(ty - 2)].to_owned(),
                FieldType::Reference(at) => names.types(descriptor.types.at(at)?)?.pop()?,
            };
            class.fields.push(ExportField {
                name: format!("f{}", field.token),
                descriptor,
                access: u16::from(field.access_flags),
                token: Some(field.token),
                constant: None,
            });
        }
        classes.push(class);
    }
    let table = ExportPackage {
        name: name.clone(),
        aid: package.aid,
        version: package.version,
        library: cap.applet.is_none(),
        classes,
    };
    (!known).then_some(table)
}

struct Names<'a> {
    cap: &'a Cap,
    exports: &'a ExportSet,
    package: &'a str,
}

impl<'a> Names<'a> {
    fn exported(&self, class: ClassRef) -> Option<&'a ExportClass> {
        let ClassRef::External { package, class } = class else { return None };
        let import = self.cap.imported(package)?;
        self.exports.by_import(import.aid, import.version)?.class_by_token(class)
    }

    fn of(&mut self, class: ClassRef) -> Option<String> {
        match class {
            ClassRef::Internal(offset) => Some(format!("{}/C{offset}", self.package)),
            ClassRef::External { .. } => self.exported(class).map(|c| c.name.clone()),
        }
    }

    fn types(&mut self, descriptor: &TypeDescriptor) -> Option<Vec<String>> {
        let one = |ty: Type, names: &mut Self| {
            Some(match ty {
                Type::Void => "V".to_owned(),
                Type::Boolean => "Z".into(),
                Type::Byte => "B".into(),
                Type::Short => "S".into(),
                Type::Int => "I".into(),
                Type::Reference(class) => format!("L{};", names.of(class)?),
                Type::Array(ArrayElement::Boolean) => "[Z".into(),
                Type::Array(ArrayElement::Byte) => "[B".into(),
                Type::Array(ArrayElement::Short) => "[S".into(),
                Type::Array(ArrayElement::Int) => "[I".into(),
                Type::Array(ArrayElement::Reference(class)) => format!("[L{};", names.of(class)?),
            })
        };
        descriptor.decode()?.into_iter().map(|ty| one(ty, self)).collect()
    }

    fn signature(&mut self, descriptor: &TypeDescriptor) -> Option<String> {
        let mut types = self.types(descriptor)?;
        let result = types.pop()?;
        Some(format!("({}){result}", types.concat()))
    }
}
