//! Stage "tokens" (JCVM 4.3.7): numbers by which other packages and the card name classes and members.

use super::diagnostics::{ConvertRule, Diagnostic, Limit};
use super::package::{methods_by_token, Class, FieldSlot, MethodSlot, Package, Role, TypeName, VirtualEntry};
use crate::classfile::{acc, Constant, Method, MethodType};
use crate::exports::{ExportClass, ExportPackage};

/// Bit 7 of a virtual method token: package-visible.
pub(super) const PACKAGE_VISIBLE: u8 = 0x80;
/// JCVM 2.2.4.1: public or protected, and package-visible, virtual methods of a class.
const MAX_VIRTUAL: usize = 128;
const MAX_INTERFACE_METHODS: usize = 128;
/// JCVM 2.2.4.1: tokens 0 to 254.
const MAX_PUBLIC_CLASSES: usize = 255;
const MAX_CLASSES: usize = 255;
const MAX_STATIC: usize = 256;
const MAX_INSTANCE_CELLS: usize = 255;

/// Assigns all tokens. With the export file of a former version, what was exported keeps its token.
pub(super) fn assign(
    package: &mut Package<'_>,
    former: Option<&ExportPackage>,
) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    if let Err(error) = class_tokens(package, former) {
        errors.push(error);
    }
    for class in 0..package.classes.len() {
        let former = former.and_then(|f| f.class(&package.classes[class].file.name));
        if let Err(rule) = members(package, class, former) {
            errors.push(package.classes[class].diagnostic(rule));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn limit(limit: Limit, count: usize, max: usize) -> Result<(), ConvertRule> {
    if count > max {
        return Err(ConvertRule::Limit { limit, count, max });
    }
    Ok(())
}

fn token(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

/// Puts items that had a token before where they were; the rest follows in its order.
fn keep_former<T>(
    items: Vec<T>,
    former: impl Fn(&T) -> Option<u8>,
    describe: impl Fn(&T) -> String,
    first: usize,
) -> Result<Vec<T>, ConvertRule> {
    let mut ordered: Vec<(Option<u8>, T)> = items.into_iter().map(|item| (former(&item), item)).collect();
    ordered.sort_by_key(|(token, _)| token.map_or(usize::MAX, usize::from));
    for (position, (former, item)) in ordered.iter().enumerate() {
        if former.is_some_and(|former| usize::from(former) != first + position) {
            return Err(ConvertRule::FormerMember(format!("a predecessor of {}", describe(item))));
        }
    }
    Ok(ordered.into_iter().map(|(_, item)| item).collect())
}

/// Public classes and interfaces in the order of the Class component; in an applet package the exported (shareable)
/// interfaces first, because the Export component is indexed by token.
fn class_tokens(package: &mut Package<'_>, former: Option<&ExportPackage>) -> Result<(), Diagnostic> {
    let public = (0..package.classes.len()).filter(|c| package.classes[*c].is_public());
    let (mut exported, others): (Vec<_>, Vec<_>) = public.partition(|c| package.is_exported(*c));
    if let Some(former) = former {
        let name = |c: &usize| package.classes[*c].file.name.replace('/', ".");
        let gone =
            former.classes.iter().find(|f| !exported.iter().any(|c| package.classes[*c].file.name == f.name));
        if let Some(gone) = gone {
            return Err(Diagnostic::package(ConvertRule::FormerMember(gone.name.replace('/', "."))));
        }
        exported =
            keep_former(exported, |c| former.class(&package.classes[*c].file.name).map(|f| f.token), name, 0)
                .map_err(Diagnostic::package)?;
    }
    let all: Vec<usize> = exported.into_iter().chain(others).collect();
    limit(Limit::PublicClasses, all.len(), MAX_PUBLIC_CLASSES).map_err(Diagnostic::package)?;
    limit(Limit::Classes, package.classes.len(), MAX_CLASSES).map_err(Diagnostic::package)?;
    for (index, class) in all.into_iter().enumerate() {
        package.classes[class].token = Some(token(index));
    }
    Ok(())
}

fn members(package: &mut Package<'_>, class: usize, former: Option<&ExportClass>) -> Result<(), ConvertRule> {
    fields(package, class, former)?;
    if package.classes[class].file.is_interface() {
        return interface_methods(package, class, former);
    }
    inherit(package, class);
    add_mirandas(package, class)?;
    methods(package, class, former)?;
    match former {
        Some(former) => nothing_gone(package, class, former),
        None => Ok(()),
    }
}

/// Whatever had a token still has it.
fn nothing_gone(package: &Package<'_>, class: usize, former: &ExportClass) -> Result<(), ConvertRule> {
    let class = &package.classes[class];
    let gone = |name: &str, descriptor: &str| Err(ConvertRule::FormerMember(format!("{name}{descriptor}")));
    for field in former.fields.iter().filter(|f| f.token.is_some()) {
        let at =
            class.file.fields.iter().position(|f| f.name == field.name && f.descriptor == field.descriptor);
        let kept = at.is_some_and(|at| match class.fields[at] {
            FieldSlot::Static(token) => token == field.token,
            FieldSlot::Instance(token) => {
                class.file.fields[at].access & (acc::PUBLIC | acc::PROTECTED) != 0
                    && Some(token) == field.token
            }
            FieldSlot::Constant(_) => false,
        });
        if !kept {
            return gone(&field.name, &field.descriptor);
        }
    }
    for method in &former.methods {
        let kept = if method.is_static_kind() {
            let at = class.method(&method.name, &method.descriptor);
            at.is_some_and(|at| class.methods[at].role == Role::Static(Some(method.token)))
        } else {
            let entry = class.public_table.get(usize::from(method.token));
            entry.is_some_and(|e| e.name == method.name && e.descriptor == method.descriptor)
        };
        if !kept {
            return gone(&method.name, &method.descriptor);
        }
    }
    Ok(())
}

fn fields(package: &mut Package<'_>, class: usize, former: Option<&ExportClass>) -> Result<(), ConvertRule> {
    let file = &package.classes[class].file;
    let mut slots = vec![FieldSlot::Static(None); file.fields.len()];
    let mut exported = Vec::new();
    let mut groups: [Vec<usize>; 4] = Default::default();
    for (index, field) in file.fields.iter().enumerate() {
        let visible = field.access & (acc::PUBLIC | acc::PROTECTED) != 0;
        let reference = field.descriptor.starts_with(['L', '[']);
        match &field.constant {
            Some(Constant::Integer(value))
                if field.access & acc::STATIC != 0 && field.access & acc::FINAL != 0 =>
            {
                slots[index] = FieldSlot::Constant(*value);
            }
            _ if field.access & acc::STATIC != 0 => {
                if visible {
                    exported.push(index);
                }
            }
            // Visible primitives, visible references, other references, other primitives: references are contiguous.
            _ => groups[match (visible, reference) {
                (true, false) => 0,
                (true, true) => 1,
                (false, true) => 2,
                (false, false) => 3,
            }]
            .push(index),
        }
    }
    let former_token = |index: &usize| {
        let field = &file.fields[*index];
        former.and_then(|f| f.field(&field.name, &field.descriptor)).and_then(|f| f.token)
    };
    let name = |index: &usize| file.fields[*index].name.clone();
    let exported = keep_former(exported, former_token, name, 0)?;
    limit(Limit::StaticFields, exported.len(), MAX_STATIC)?;
    for (position, index) in exported.into_iter().enumerate() {
        slots[index] = FieldSlot::Static(Some(token(position)));
    }
    let mut cells = 0;
    for index in groups.into_iter().flatten() {
        if former_token(&index).is_some_and(|t| usize::from(t) != cells) {
            return Err(ConvertRule::FormerMember(format!("a predecessor of {}", name(&index))));
        }
        slots[index] = FieldSlot::Instance(token(cells));
        cells += if file.fields[index].descriptor == "I" { 2 } else { 1 };
    }
    package.classes[class].fields = slots;
    // An object holds the fields of all its classes.
    let all = package.own_chain(class).map(|c| instance_cells(&package.classes[c])).sum();
    limit(Limit::InstanceCells, all, MAX_INSTANCE_CELLS)
}

/// Cells of the instance fields declared in a class.
fn instance_cells(class: &Class) -> usize {
    let fields = class.fields.iter().zip(&class.file.fields);
    let cells = fields.map(|(slot, field)| match slot {
        FieldSlot::Instance(_) if field.descriptor == "I" => 2,
        FieldSlot::Instance(_) => 1,
        _ => 0,
    });
    cells.sum()
}

/// All inherited methods first, interface by interface, then those declared here.
fn interface_methods(
    package: &mut Package<'_>,
    class: usize,
    former: Option<&ExportClass>,
) -> Result<(), ConvertRule> {
    let mut table: Vec<(String, String)> = Vec::new();
    for interface in package.classes[class].interfaces.clone() {
        for method in package.interface_methods(&interface) {
            if !table.contains(&method) {
                table.push(method);
            }
        }
    }
    for method in package.classes[class].file.methods.iter().filter(|m| m.name != "<clinit>") {
        let key = (method.name.clone(), method.descriptor.clone());
        if !table.contains(&key) {
            table.push(key);
        }
    }
    if let Some(former) = former {
        let token = |m: &(String, String)| former.method(&m.0, &m.1).map(|f| f.token);
        table = keep_former(table, token, |m| m.0.clone(), 0)?;
        if let Some(gone) =
            former.methods.iter().find(|m| !table.iter().any(|(n, d)| *n == m.name && *d == m.descriptor))
        {
            return Err(ConvertRule::FormerMember(format!("{}{}", gone.name, gone.descriptor)));
        }
    }
    limit(Limit::InterfaceMethods, table.len(), MAX_INTERFACE_METHODS)?;
    let class = &mut package.classes[class];
    let slot = |method: &Method| {
        let at = table.iter().position(|(n, d)| *n == method.name && *d == method.descriptor);
        let role = at.map_or(Role::StaticInitializer, |at| Role::Interface(token(at)));
        MethodSlot { ty: method_type(method), role }
    };
    class.methods = class.file.methods.iter().map(slot).collect();
    class.interface_table = table;
    Ok(())
}

fn method_type(method: &Method) -> MethodType {
    let void = || MethodType { parameters: Vec::new(), result: crate::classfile::JavaType::Void };
    MethodType::parse(&method.descriptor).unwrap_or_else(void)
}

fn inherit(package: &mut Package<'_>, class: usize) {
    let (public, visible) = match package.classes[class].superclass.clone() {
        Some(TypeName::Own(above)) => {
            let above = &package.classes[above];
            (above.public_table.clone(), above.package_table.clone())
        }
        Some(TypeName::Imported(name)) => {
            let methods = package.imports.class(&name).map(|i| methods_by_token(i.class)).unwrap_or_default();
            let entry = |(name, descriptor)| VirtualEntry { name, descriptor, own: None };
            (methods.into_iter().map(entry).collect(), Vec::new())
        }
        None => (Vec::new(), Vec::new()),
    };
    package.classes[class].public_table = public;
    package.classes[class].package_table = visible;
}

/// An abstract class need not declare the methods of its interfaces in Java; in a CAP it needs a token for each.
fn add_mirandas(package: &mut Package<'_>, class: usize) -> Result<(), ConvertRule> {
    let wanted = package.classes[class].interfaces.clone();
    let mut missing: Vec<(String, String)> = Vec::new();
    for interface in &wanted {
        for (name, descriptor) in package.interface_methods(interface) {
            let class = &package.classes[class];
            let inherited = class.public_table.iter().any(|e| e.name == name && e.descriptor == descriptor);
            let declared = class.method(&name, &descriptor).is_some();
            if !inherited && !declared && !missing.contains(&(name.clone(), descriptor.clone())) {
                missing.push((name, descriptor));
            }
        }
    }
    let class = &mut package.classes[class];
    if !missing.is_empty() && class.file.access & acc::ABSTRACT == 0 {
        return Err(ConvertRule::Malformed("an interface method is not implemented"));
    }
    for (name, descriptor) in missing {
        let access = acc::PUBLIC | acc::ABSTRACT | acc::SYNTHETIC;
        class.file.methods.push(Method { access, name, descriptor, code: None });
    }
    Ok(())
}

fn methods(package: &mut Package<'_>, index: usize, former: Option<&ExportClass>) -> Result<(), ConvertRule> {
    let class = &mut package.classes[index];
    let (mut roles, mut statics, mut fresh) =
        (vec![Role::Private; class.file.methods.len()], Vec::new(), Vec::new());
    let find = |table: &[VirtualEntry], m: &Method| {
        table.iter().position(|e| e.name == m.name && e.descriptor == m.descriptor)
    };
    for (at, method) in class.file.methods.iter().enumerate() {
        let visible = method.access & (acc::PUBLIC | acc::PROTECTED) != 0;
        if method.name == "<clinit>" {
            roles[at] = Role::StaticInitializer;
        } else if method.access & acc::STATIC != 0 || method.name == "<init>" {
            roles[at] = Role::Static(None);
            if visible {
                statics.push(at);
            }
        } else if method.access & acc::PRIVATE != 0 {
            roles[at] = Role::Private;
        } else if let Some(token_index) = find(&class.public_table, method) {
            roles[at] = Role::Virtual(token(token_index));
            class.public_table[token_index].own = Some((index, at));
        } else if let Some(token_index) = find(&class.package_table, method) {
            if visible {
                return Err(ConvertRule::WidenedAccess(format!("{}{}", method.name, method.descriptor)));
            }
            roles[at] = Role::Virtual(token(token_index) | PACKAGE_VISIBLE);
            class.package_table[token_index].own = Some((index, at));
        } else {
            fresh.push((at, visible));
        }
    }
    let methods = &class.file.methods;
    let former_token = |at: &usize| {
        former.and_then(|f| f.method(&methods[*at].name, &methods[*at].descriptor)).map(|m| m.token)
    };
    let name = |at: &usize| methods[*at].name.clone();
    let (public, visible): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|(_, public)| *public);
    let public = public.into_iter().map(|(at, _)| at).collect();
    let public = keep_former(public, former_token, name, class.public_table.len())?;
    let statics = keep_former(statics, former_token, name, 0)?;
    let entry = |at: usize| VirtualEntry {
        name: methods[at].name.clone(),
        descriptor: methods[at].descriptor.clone(),
        own: Some((index, at)),
    };
    for at in public {
        roles[at] = Role::Virtual(token(class.public_table.len()));
        class.public_table.push(entry(at));
    }
    for (at, _) in visible {
        roles[at] = Role::Virtual(token(class.package_table.len()) | PACKAGE_VISIBLE);
        class.package_table.push(entry(at));
    }
    limit(Limit::PublicVirtualMethods, class.public_table.len(), MAX_VIRTUAL)?;
    limit(Limit::PackageVirtualMethods, class.package_table.len(), MAX_VIRTUAL)?;
    limit(Limit::StaticMethods, statics.len(), MAX_STATIC)?;
    for (position, at) in statics.into_iter().enumerate() {
        roles[at] = Role::Static(Some(token(position)));
    }
    let slots = class.file.methods.iter().zip(roles);
    class.methods = slots.map(|(method, role)| MethodSlot { ty: method_type(method), role }).collect();
    Ok(())
}
