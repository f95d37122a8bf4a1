//! Header, Directory, Import and Applet (JCVM 6.3 to 6.6).

use super::code::ScannedMethod;
use super::world::World;
use super::{Findings, Rule};
use crate::exports::ExportSet;
use crate::model::{
    access, Aid, ArrayElement, Cap, ComponentTag, PackageVersion, Type, TypeDescriptor, FLAG_APPLET,
    FLAG_EXPORT, FLAG_INT,
};

/// Offset of the flags in Header's info.
const FLAGS_AT: usize = 6;
/// Most packages a package imports (JCVM 2.2.4.1).
const MAX_IMPORTS: usize = 128;
/// Bytes of a component's size in Directory.
const SIZE_LEN: usize = 2;

/// What each component says of the file as a whole.
pub(super) fn check(cap: &Cap, findings: &mut Findings) {
    check_header(cap, findings);
    check_directory(cap, findings);
    check_applet_aids(cap, findings);
}

fn check_header(cap: &Cap, findings: &mut Findings) {
    let flags = cap.header.flags;
    let mut fault = |rule, message| findings.add(rule, ComponentTag::Header, FLAGS_AT, message);
    if flags & !(FLAG_INT | FLAG_EXPORT | FLAG_APPLET) != 0 {
        fault(Rule::HeaderFlags, format!("flags {flags:#04x}"));
    }
    for (rule, flag, present) in [
        (Rule::HeaderExport, FLAG_EXPORT, cap.export.is_some()),
        (Rule::HeaderApplet, FLAG_APPLET, cap.applet.is_some()),
    ] {
        let set = flags & flag != 0;
        if set != present {
            let (flag, component) = (word(set, "set", "clear"), word(present, "present", "absent"));
            fault(rule, format!("the flag is {flag}, the component is {component}"));
        }
    }
}

fn word(condition: bool, yes: &'static str, no: &'static str) -> &'static str {
    if condition {
        yes
    } else {
        no
    }
}

fn check_directory(cap: &Cap, findings: &mut Findings) {
    let directory = &cap.directory;
    let mut fault = |rule, at, message| findings.add(rule, ComponentTag::Directory, at, message);
    for tag in ComponentTag::ALL {
        let actual = cap.component_info(tag).map_or(0, |info| info.len());
        // Format 2.1 has no place for the size of Debug, nor 2.2 for that of StaticResources.
        let stated = match tag {
            ComponentTag::Debug if directory.debug_size.is_none() => continue,
            ComponentTag::StaticResources if directory.static_resources_size.is_none() => continue,
            _ => directory.size_of(tag) as usize,
        };
        if stated != actual {
            let at = SIZE_LEN * (tag as usize - 1);
            fault(Rule::DirectorySize, at, format!("{tag} is {actual} bytes long, not {stated}"));
        }
    }
    let fields = &cap.static_field;
    let init_bytes: usize = fields.array_inits.iter().map(|init| init.values.len()).sum();
    let stated = directory.static_field_size;
    let at = SIZE_LEN * directory.sizes.len()
        + if directory.debug_size.is_some() { SIZE_LEN } else { 0 }
        + if directory.static_resources_size.is_some() { 4 } else { 0 };
    if stated.image_size != fields.image_size
        || usize::from(stated.array_init_count) != fields.array_inits.len()
        || usize::from(stated.array_init_size) != init_bytes
    {
        let (image, count) = (fields.image_size, fields.array_inits.len());
        let message =
            format!("{stated:?}; StaticField has {image} bytes of image, {count} arrays, {init_bytes} bytes");
        fault(Rule::DirectoryStatic, at, message);
    }
    let imports = cap.import.packages.len();
    if usize::from(directory.import_count) != imports {
        let message = format!("{} imports stated, {imports} there", directory.import_count);
        fault(Rule::DirectoryImports, at + 6, message);
    }
    let applets = cap.applet.as_ref().map_or(0, |a| a.applets.len());
    if usize::from(directory.applet_count) != applets {
        let message = format!("{} applets stated, {applets} there", directory.applet_count);
        fault(Rule::DirectoryApplets, at + 7, message);
    }
    let mut stated: Vec<(u8, usize)> = directory.custom.iter().map(|c| (c.tag, c.size.into())).collect();
    let customs = cap.raw.iter().filter(|raw| raw.tag != ComponentTag::StaticResources as u8);
    let mut actual: Vec<(u8, usize)> = customs.map(|raw| (raw.tag, raw.info.len())).collect();
    stated.sort_unstable();
    actual.sort_unstable();
    if stated != actual {
        fault(Rule::DirectoryCustom, at + 8, format!("(tag, size) {stated:?} stated, {actual:?} there"));
    }
}

fn check_applet_aids(cap: &Cap, findings: &mut Findings) {
    let Some(applet) = &cap.applet else { return };
    if applet.applets.is_empty() {
        findings.add(Rule::AppletCount, ComponentTag::Applet, 0, "no applets".into());
    }
    let package = cap.header.package.aid;
    for (index, at) in applet_offsets(cap).enumerate() {
        let aid = applet.applets[index].aid;
        let mut fault = |rule, message| findings.add(rule, ComponentTag::Applet, at, message);
        if aid.rid() != package.rid() {
            fault(Rule::AppletRid, format!("{aid} in package {package}"));
        }
        if aid == package {
            fault(Rule::AppletAid, format!("{aid} is the package's"));
        }
        if applet.applets[..index].iter().any(|other| other.aid == aid) {
            fault(Rule::AppletAid, format!("{aid} is that of two applets"));
        }
    }
}

/// Offsets of the entries in Applet's info.
fn applet_offsets(cap: &Cap) -> impl Iterator<Item = usize> + '_ {
    let entries = cap.applet.iter().flat_map(|a| &a.applets);
    entries.scan(1, |at, entry| {
        let this = *at;
        *at += 1 + entry.aid.as_bytes().len() + 2;
        Some(this)
    })
}

/// Imports against the export files there are.
pub(super) fn check_imports(cap: &Cap, exports: &ExportSet, findings: &mut Findings) {
    let packages = &cap.import.packages;
    if packages.len() > MAX_IMPORTS {
        let message = format!("{} packages", packages.len());
        findings.add(Rule::ImportCount, ComponentTag::Import, 0, message);
    }
    let mut at = 1;
    for (index, package) in packages.iter().enumerate() {
        let (aid, version) = (package.aid, package.version);
        let mut fault = |rule, message| findings.add(rule, ComponentTag::Import, at, message);
        if aid == cap.header.package.aid {
            fault(Rule::ImportDuplicate, format!("{aid} is this package"));
        } else if packages[..index].iter().any(|other| other.aid == aid) {
            fault(Rule::ImportDuplicate, format!("{aid} is imported twice"));
        } else if exports.by_import(aid, version).is_none() {
            match known_version(exports, aid) {
                Some(known) => fault(
                    Rule::ImportVersion,
                    format!("{aid} {version} is imported, the export file has {known}"),
                ),
                None => fault(Rule::ImportMissing, format!("no export file of {aid} {version}")),
            }
        }
        at += 3 + aid.as_bytes().len();
    }
}

/// Any version of a package there is a table of.
fn known_version(exports: &ExportSet, aid: Aid) -> Option<PackageVersion> {
    let lowest = (0..=u8::MAX).map(|major| PackageVersion::new(major, 0));
    exports
        .given()
        .iter()
        .find(|p| p.aid == aid)
        .map(|p| p.version)
        .or_else(|| lowest.into_iter().find_map(|v| exports.by_import(aid, v)).map(|p| p.version))
}

/// Install methods.
pub(super) fn check_applets(world: &World<'_>, findings: &mut Findings) {
    let Some(applet) = &world.cap.applet else { return };
    for (entry, at) in applet.applets.iter().zip(applet_offsets(world.cap)) {
        let at = at + 1 + entry.aid.as_bytes().len();
        let offset = entry.install_method_offset;
        let mut fault = |rule, message| findings.add(rule, ComponentTag::Applet, at, message);
        let Some((class, method)) = world.method_at(offset) else {
            fault(Rule::AppletInstallOffset, format!("no method begins at {offset:#06x}"));
            continue;
        };
        let types = world.descriptor.types.at(method.type_offset).and_then(TypeDescriptor::decode);
        let install = [Type::Array(ArrayElement::Byte), Type::Short, Type::Byte, Type::Void];
        let wanted = access::PUBLIC | access::STATIC;
        if types.as_deref() != Some(&install) || method.access_flags & wanted != wanted {
            fault(
                Rule::AppletInstallMethod,
                format!("{} is not install(byte[],short,byte)", world.site(class, method).name),
            );
        }
        if !world.is_subtype(class, world.applet) {
            fault(Rule::AppletClass, format!("{} is no applet class", world.name(class)));
        }
    }
}

/// The int flag against every use of int: types, static arrays, instructions.
pub(super) fn check_int_flag(world: &World<'_>, methods: &[ScannedMethod<'_>], findings: &mut Findings) {
    let cap = world.cap;
    let declared = first_int_type(world).map(|at| (ComponentTag::Descriptor, at));
    let array = cap.static_field.array_inits.iter().any(|init| init.element_type == 5);
    let array = array.then_some((ComponentTag::StaticField, 6));
    let code = methods.iter().find_map(|m| m.first_int).map(|at| (ComponentTag::Method, at));
    let used = declared.or(array).or(code);
    match used {
        Some((component, at)) if !cap.header.uses_int() => {
            findings.add(Rule::HeaderInt, component, at, "int is used, the flag in Header is clear".into());
        }
        None if cap.header.uses_int() => {
            findings.add(Rule::HeaderIntUnused, ComponentTag::Header, FLAGS_AT, "no int is used".into());
        }
        _ => {}
    }
}

/// Where Descriptor first has int: a field, or a type descriptor of a member or constant pool entry.
fn first_int_type(world: &World<'_>) -> Option<usize> {
    let descriptor = world.descriptor;
    let mut at = super::world::class_offset(descriptor, descriptor.classes.len());
    let int_field = descriptor.classes.iter().find_map(|class| {
        let index = class.fields.iter().position(|f| f.ty == crate::model::FieldType::Primitive(5))?;
        Some(super::world::field_offset(descriptor, class, index))
    });
    at += 2 + 2 * descriptor.types.constant_pool_types.len();
    int_field.or_else(|| {
        descriptor.types.entries.iter().find_map(|entry| {
            let this = at;
            at += entry.descriptor.size();
            let types = entry.descriptor.decode()?;
            types.iter().any(|ty| matches!(ty, Type::Int | Type::Array(ArrayElement::Int))).then_some(this)
        })
    })
}
