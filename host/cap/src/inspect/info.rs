//! What a CAP or EXP file is and what it needs.

use serde::Serialize;

use super::disassemble::{disassemble, pushed};
use super::names::Names;
use crate::exports::{ExportPackage, ExportSet, Platform};
use crate::model::{Aid, Cap, ComponentTag, PackageVersion};

/// Summary of a file.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// `cap` or `exp`.
    pub kind: &'static str,
    /// CAP format version.
    pub format: Option<String>,
    /// Package name with dots, where the file tells it.
    pub package: Option<String>,
    /// Package AID.
    pub aid: Aid,
    /// Package version.
    pub version: PackageVersion,
    /// Applets; for an EXP file none.
    pub applets: Vec<AppletInfo>,
    /// Imported packages in token order.
    pub imports: Vec<ImportInfo>,
    /// Names of exported classes, where known.
    pub exports: Vec<String>,
    /// Whether there is an Export component, or classes in the EXP file.
    pub is_exporting: bool,
    /// Component sizes, tag and size field included.
    pub components: Vec<ComponentSize>,
    /// Bytes that are loaded: all components but Descriptor and Debug.
    pub load_size: usize,
    /// Bytes of all components.
    pub total_size: usize,
    /// What a card must have.
    pub requirements: Requirements,
    /// What the card has to give, as far as the file tells.
    pub install: InstallNeeds,
}

/// One applet.
#[derive(Debug, Clone, Serialize)]
pub struct AppletInfo {
    /// Applet AID.
    pub aid: Aid,
    /// Class name, from Debug or the manifest.
    pub class: Option<String>,
}

/// One imported package.
#[derive(Debug, Clone, Serialize)]
pub struct ImportInfo {
    /// Package AID.
    pub aid: Aid,
    /// Version asked for.
    pub version: PackageVersion,
    /// Name with dots, where known.
    pub name: Option<String>,
    /// Oldest Java Card release that has it.
    pub java_card: Option<&'static str>,
}

/// One component.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentSize {
    /// Component name.
    pub name: String,
    /// Bytes, tag and size field included.
    pub size: usize,
}

/// What a card must have.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Requirements {
    /// Oldest Java Card release whose packages satisfy all imports.
    pub java_card: Option<&'static str>,
    /// Version of the package org.globalplatform, when imported.
    pub globalplatform_api: Option<PackageVersion>,
    /// Packages of neither: they have to be loaded first.
    pub other_packages: Vec<Aid>,
    /// Whether the card must support int.
    pub int: bool,
}

/// What loading and installing takes, as far as the file tells. What constructors allocate with computed sizes, and
/// what the card spends on objects, does not show in a file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InstallNeeds {
    /// Persistent bytes of the loaded code: all loaded components but Header, Directory, Import and RefLocation,
    /// which a card needs for linking only.
    pub code: usize,
    /// Persistent bytes of the static field image and of arrays with initial values.
    pub static_data: usize,
    /// Transient bytes of arrays that are made with a constant length, if each is made once.
    pub transient_known: usize,
    /// Places that make transient arrays of a length the file does not tell.
    pub transient_unknown: usize,
    /// Persistent bytes of arrays that are made with a constant length, if each is made once.
    pub arrays_known: usize,
    /// Largest frame of a method in bytes: operand stack, locals and parameters.
    pub largest_frame: usize,
}

/// Summary of a CAP file.
pub fn cap_info(cap: &Cap, exports: &ExportSet) -> Info {
    let names = Names::new(cap, exports);
    let components: Vec<ComponentSize> = cap
        .component_sizes()
        .into_iter()
        .map(|(tag, size)| ComponentSize { name: tag.to_string(), size })
        .collect();
    let unloaded = [ComponentTag::Descriptor.to_string(), ComponentTag::Debug.to_string()];
    let total_size = components.iter().map(|c| c.size).sum();
    let load_size = components.iter().filter(|c| !unloaded.contains(&c.name)).map(|c| c.size).sum();
    let imports: Vec<ImportInfo> = cap
        .import
        .packages
        .iter()
        .map(|package| {
            let table = exports.by_import(package.aid, package.version);
            let java_card =
                table.and_then(|t| Platform::oldest_with(&t.name, package.version)).map(Platform::name);
            let name = table.map(|t| t.name.replace('/', "."));
            ImportInfo { aid: package.aid, version: package.version, name, java_card }
        })
        .collect();
    let exported = cap.export.iter().flat_map(|e| &e.classes);
    Info {
        kind: "cap",
        format: Some(cap.format().to_string()),
        package: package_name(cap),
        aid: cap.header.package.aid,
        version: cap.header.package.version,
        applets: applets(cap, &names),
        requirements: requirements(cap, &imports),
        imports,
        exports: exported.map(|c| names.class(crate::model::ClassRef::Internal(c.class_offset))).collect(),
        is_exporting: cap.export.is_some(),
        install: install_needs(cap, &names, &components),
        components,
        load_size,
        total_size,
    }
}

/// Summary of an export file.
pub fn exp_info(package: &ExportPackage) -> Info {
    Info {
        kind: "exp",
        format: None,
        package: Some(package.name.replace('/', ".")),
        aid: package.aid,
        version: package.version,
        applets: Vec::new(),
        imports: Vec::new(),
        exports: package.classes.iter().map(|c| c.name.replace('/', ".")).collect(),
        is_exporting: !package.classes.is_empty(),
        components: Vec::new(),
        load_size: 0,
        total_size: 0,
        requirements: Requirements::default(),
        install: InstallNeeds::default(),
    }
}

fn package_name(cap: &Cap) -> Option<String> {
    let of_debug = cap.debug.as_ref().and_then(|d| d.string(d.package_name_index));
    let of_folder = cap.folder.strip_suffix("/javacard").map(str::to_owned);
    of_debug.or(of_folder).map(|name| name.replace('/', "."))
}

fn applets(cap: &Cap, names: &Names<'_>) -> Vec<AppletInfo> {
    let manifest = cap.others.iter().find(|m| m.name == "META-INF/MANIFEST.MF");
    let manifest = manifest.map(|m| String::from_utf8_lossy(&m.bytes).into_owned()).unwrap_or_default();
    let in_manifest = |number: usize| {
        let key = format!("Java-Card-Applet-{number}-Name: ");
        manifest.lines().find_map(|line| line.strip_prefix(&key)).map(str::to_owned)
    };
    let applets = cap.applet.iter().flat_map(|a| &a.applets);
    (1..)
        .zip(applets)
        .map(|(number, applet)| {
            let install = names.method(applet.install_method_offset);
            let of_debug =
                cap.debug.is_some().then(|| install.split('.').next().unwrap_or_default().to_owned());
            AppletInfo { aid: applet.aid, class: of_debug.or_else(|| in_manifest(number)) }
        })
        .collect()
}

fn requirements(cap: &Cap, imports: &[ImportInfo]) -> Requirements {
    let is_platform = |name: &str| name.starts_with("java.") || name.starts_with("javacard");
    let mut requirements = Requirements { int: cap.header.uses_int(), ..Requirements::default() };
    for import in imports {
        match (&import.name, import.java_card) {
            (_, Some(release)) => {
                requirements.java_card = requirements.java_card.max(Some(release));
            }
            (Some(name), None) if name == "org.globalplatform" => {
                requirements.globalplatform_api = Some(import.version);
            }
            (Some(name), None) if is_platform(name) || name.starts_with("org.globalplatform") => {}
            _ => requirements.other_packages.push(import.aid),
        }
    }
    requirements
}

fn install_needs(cap: &Cap, names: &Names<'_>, components: &[ComponentSize]) -> InstallNeeds {
    let linking = ["Header", "Directory", "Import", "RefLocation", "Descriptor", "Debug"];
    let mut needs = InstallNeeds {
        code: components.iter().filter(|c| !linking.contains(&c.name.as_str())).map(|c| c.size).sum(),
        static_data: usize::from(cap.static_field.image_size)
            + cap.static_field.array_inits.iter().map(|a| a.values.len()).sum::<usize>(),
        ..InstallNeeds::default()
    };
    for method in disassemble(cap, names) {
        let header = method.header;
        let cells =
            [header.max_stack, header.nargs, header.max_locals].into_iter().map(usize::from).sum::<usize>();
        needs.largest_frame = needs.largest_frame.max(2 * cells);
        for (index, instruction) in method.instructions.iter().enumerate() {
            let before = |back: usize| {
                index.checked_sub(back).and_then(|i| pushed(&method.instructions[i].instruction))
            };
            let length = |back: usize| before(back).and_then(|n| usize::try_from(n).ok());
            let mnemonic = instruction.instruction.opcode.mnemonic();
            if let Some(element) = transient_element(&instruction.operands) {
                // Length, then the event that clears it.
                match length(2) {
                    Some(count) => needs.transient_known += count * element,
                    None => needs.transient_unknown += 1,
                }
            } else if mnemonic == "newarray" {
                let element = match instruction.operands.as_str() {
                    "short" => 2,
                    "int" => 4,
                    _ => 1,
                };
                needs.arrays_known += length(1).unwrap_or(0) * element;
            }
        }
    }
    needs
}

/// Bytes of an element of what a call of JCSystem.makeTransient…Array makes.
fn transient_element(operands: &str) -> Option<usize> {
    let method = operands.strip_prefix("JCSystem.makeTransient")?;
    Some(match method.split("Array").next()? {
        "Boolean" | "Byte" => 1,
        _ => 2,
    })
}
