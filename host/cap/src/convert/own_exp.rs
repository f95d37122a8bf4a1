//! The export table of the converted package (JCVM chapter 5).

use super::package::{FieldSlot, Package, Role, TypeName};
use crate::classfile::acc;
use crate::exports::{acc as exp_acc, ExportClass, ExportField, ExportMethod, ExportPackage};
use crate::model::PackageInfo;

/// What other packages may link against: public classes of a library, public shareable interfaces of an applet
/// package. `None` when there is nothing.
pub(super) fn table(package: &Package<'_>, info: PackageInfo) -> ExportPackage {
    let mut exported: Vec<usize> = (0..package.classes.len()).filter(|c| package.is_exported(*c)).collect();
    exported.sort_by_key(|c| package.classes[*c].token);
    ExportPackage {
        name: package.name.clone(),
        aid: info.aid,
        version: info.version,
        library: !package.has_applets,
        classes: exported.into_iter().map(|index| class(package, index)).collect(),
    }
}

const VISIBLE: u16 = acc::PUBLIC | acc::PROTECTED;

fn class(package: &Package<'_>, index: usize) -> ExportClass {
    let class = &package.classes[index];
    let name_of = |ty: &TypeName| match ty {
        TypeName::Own(index) => package.classes[*index].file.name.clone(),
        TypeName::Imported(name) => name.clone(),
    };
    let interface = class.file.is_interface();
    let kept = acc::PUBLIC | acc::FINAL | acc::INTERFACE | acc::ABSTRACT;
    let shareable = package.is_shareable_interface(&TypeName::Own(index));
    let access = class.file.access & kept | if shareable { exp_acc::SHAREABLE } else { 0 };
    let mut supers: Vec<String> = if interface {
        vec!["java/lang/Object".to_owned()]
    } else {
        let mut above: Vec<String> =
            package.own_chain(index).skip(1).map(|c| package.classes[c].file.name.clone()).collect();
        if let Some(imported) = package.imported_superclass(index) {
            above.push(imported.class.name.clone());
            above.extend(imported.class.supers.iter().rev().cloned());
        }
        above
    };
    supers.reverse();
    let all_interfaces = if interface { class.interfaces.clone() } else { package.all_interfaces(index) };
    let mut interfaces: Vec<String> = Vec::new();
    for name in all_interfaces.iter().map(name_of) {
        if !interfaces.contains(&name) {
            interfaces.push(name);
        }
    }
    ExportClass {
        name: class.file.name.clone(),
        token: class.token.unwrap_or(u8::MAX),
        access,
        superclass: if interface { None } else { class.superclass.as_ref().map(name_of) },
        supers,
        interfaces,
        fields: fields(package, index),
        methods: methods(package, index),
    }
}

fn fields(package: &Package<'_>, index: usize) -> Vec<ExportField> {
    let class = &package.classes[index];
    let visible =
        class.file.fields.iter().zip(&class.fields).filter(|(field, _)| field.access & VISIBLE != 0);
    visible
        .map(|(field, slot)| {
            let (token, constant) = match slot {
                FieldSlot::Constant(value) => (None, Some(*value)),
                FieldSlot::Static(token) => (*token, None),
                FieldSlot::Instance(token) => (Some(*token), None),
            };
            let access = field.access & (VISIBLE | acc::STATIC | acc::FINAL);
            ExportField {
                name: field.name.clone(),
                descriptor: field.descriptor.clone(),
                access,
                token,
                constant,
            }
        })
        .collect()
}

/// Constructors and static methods declared here, and all virtual methods, inherited ones too.
fn methods(package: &Package<'_>, index: usize) -> Vec<ExportMethod> {
    let class = &package.classes[index];
    let kept = VISIBLE | acc::STATIC | acc::FINAL | acc::ABSTRACT;
    let mut methods = Vec::new();
    if class.file.is_interface() {
        for (token, (name, descriptor)) in (0..).zip(&class.interface_table) {
            let access = acc::PUBLIC | acc::ABSTRACT;
            methods.push(ExportMethod { name: name.clone(), descriptor: descriptor.clone(), access, token });
        }
        return methods;
    }
    for (method, slot) in class.file.methods.iter().zip(&class.methods) {
        if let Role::Static(Some(token)) = slot.role {
            let (name, descriptor) = (method.name.clone(), method.descriptor.clone());
            methods.push(ExportMethod { name, descriptor, access: method.access & kept, token });
        }
    }
    let imported = package.imported_superclass(index);
    for (token, entry) in (0..).zip(&class.public_table) {
        let access = if let Some((owner, method)) = entry.own {
            package.classes[owner].file.methods[method].access & kept
        } else {
            let method = imported.and_then(|i| i.class.method(&entry.name, &entry.descriptor));
            method.map_or(acc::PUBLIC, |m| m.access)
        };
        let (name, descriptor) = (entry.name.clone(), entry.descriptor.clone());
        methods.push(ExportMethod { name, descriptor, access, token });
    }
    methods
}
