//! From class files to a CAP file.
//!
//! The stages hand typed values on: class files are read, linked into a [`package`](self), given [tokens](tokens),
//! checked against the [subset](subset), [resolved](resolve), [translated](translate) method by method, and built into
//! [components](components). Each is a pure function; only [`convert`] reads files.

mod components;
mod debug_info;
mod described;
mod diagnostics;
mod imports;
mod input;
mod manifest;
mod nest;
mod own_exp;
mod package;
mod resolve;
mod statics;
mod subset;
mod tokens;
mod translate;

use crate::classfile::{acc, ClassFile, ClassFileError};
use crate::exports::{ExportPackage, ExportSet, Platform};
use crate::model::{Aid, Cap, ComponentTag, FormatVersion, PackageInfo, PackageVersion};
use components::{build, set_sizes, Bodies, Input};
use imports::Imports;
use package::{Package, Role, TypeName};

pub use diagnostics::{ConvertRule, Diagnostic, Limit, StaticInitRule, Use};
pub use input::{read_class_files, ClassBytes};
pub use translate::Range;

/// What to convert, and how.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// Package name with dots, for instance `com.example`.
    pub package: String,
    /// Package AID.
    pub aid: Aid,
    /// Package version.
    pub version: PackageVersion,
    /// Applet classes with their AIDs; a name without dots is in the package. Empty: all classes that extend
    /// `javacard.framework.Applet` are found, and get the package AID with a counter.
    pub applets: Vec<AppletOption>,
    /// Build as a library even though there are applet classes.
    pub library: bool,
    /// Java Card release whose packages are imported.
    pub target: Platform,
    /// Allow int.
    pub int: bool,
    /// Write the Debug component (CAP format 2.2).
    pub debug: bool,
    /// The export file of a former version: what it exports keeps its tokens.
    pub former: Option<ExportPackage>,
    /// Export tables beside the built-in ones.
    pub exports: Vec<ExportPackage>,
}

/// An applet to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppletOption {
    /// Class, with or without the package name.
    pub class: String,
    /// Applet AID; from the package AID when absent.
    pub aid: Option<Aid>,
}

impl ConvertOptions {
    /// The usual: applets found by themselves, Java Card 3.0.4, no int, no debug.
    pub fn new(package: &str, aid: Aid, version: PackageVersion) -> Self {
        Self {
            package: package.to_owned(),
            aid,
            version,
            applets: Vec::new(),
            library: false,
            target: Platform::V3_0_4,
            int: false,
            debug: false,
            former: None,
            exports: Vec::new(),
        }
    }
}

/// The outcome.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The CAP; [`Cap::to_jar`] gives the file.
    pub cap: Cap,
    /// The export table; [`ExportPackage::write_exp`] gives the file. With no classes when nothing is exported.
    pub exp: ExportPackage,
    /// The applets: class with dots, and AID.
    pub applets: Vec<(String, Aid)>,
    /// Findings that did not stop the conversion.
    pub warnings: Vec<Diagnostic>,
    /// Bytes of each component, tag and size field included.
    pub sizes: Vec<(ComponentTag, usize)>,
}

impl Converted {
    /// Bytes that are loaded onto a card: all components but Descriptor and Debug.
    pub fn load_size(&self) -> usize {
        let left_out = [ComponentTag::Descriptor, ComponentTag::Debug];
        self.sizes.iter().filter(|(tag, _)| !left_out.contains(tag)).map(|(_, size)| size).sum()
    }
}

/// Converts the class files of one package below `classes`.
pub fn convert(classes: &std::path::Path, options: &ConvertOptions) -> Result<Converted, Vec<Diagnostic>> {
    let files = read_class_files(classes, &options.package)?;
    convert_classes(&files, options)
}

/// Converts several packages of one class tree, each with the others' export tables at hand. The results come in
/// dependency order.
pub fn convert_all(
    classes: &std::path::Path,
    packages: &[ConvertOptions],
) -> Result<Vec<Converted>, Vec<Diagnostic>> {
    let mut sets = Vec::new();
    for options in packages {
        sets.push(read_class_files(classes, &options.package)?);
    }
    convert_set(&sets, packages)
}

/// Converts several packages whose class files are already read; the two slices go together.
pub fn convert_set(
    sets: &[Vec<ClassBytes>],
    packages: &[ConvertOptions],
) -> Result<Vec<Converted>, Vec<Diagnostic>> {
    let names: Vec<String> = packages.iter().map(|p| p.package.replace('.', "/")).collect();
    let mut wants = Vec::new();
    for (files, options) in sets.iter().zip(packages) {
        let parsed = parse(files, options)?;
        let referred = |name: &String| parsed.iter().any(|file| refers_to(file, name));
        wants.push(
            names.iter().map(|name| *name != options.package.replace('.', "/") && referred(name)).collect(),
        );
    }
    let order = dependency_order(&wants, packages)?;
    let mut exports: Vec<ExportPackage> = Vec::new();
    let mut all = Vec::new();
    for index in order {
        let mut options = packages[index].clone();
        options.exports.extend(exports.iter().cloned());
        let converted = convert_classes(&sets[index], &options)?;
        exports.push(converted.exp.clone());
        all.push(converted);
    }
    Ok(all)
}

fn refers_to(file: &ClassFile, package: &str) -> bool {
    let is_in = |name: &str| imports::package_of(name) == package;
    let named = |constant: &crate::classfile::Constant| match constant {
        crate::classfile::Constant::Class(name) => {
            file.pool.utf8(*name).is_ok_and(|n| is_in(n.trim_start_matches(['[', 'L']).trim_end_matches(';')))
        }
        crate::classfile::Constant::Utf8(text) if text.contains('L') && text.ends_with([';', ')', 'V']) => {
            text.split(['L', ';']).any(is_in)
        }
        _ => false,
    };
    file.pool.entries().iter().any(named)
}

/// Packages behind those they refer to.
fn dependency_order(wants: &[Vec<bool>], packages: &[ConvertOptions]) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < packages.len() {
        let ready = (0..packages.len()).find(|i| {
            !order.contains(i) && wants[*i].iter().enumerate().all(|(j, w)| !w || order.contains(&j))
        });
        let Some(ready) = ready else {
            let left = (0..packages.len()).filter(|i| !order.contains(i));
            let names: Vec<&str> = left.map(|i| packages[i].package.as_str()).collect();
            return Err(vec![Diagnostic::package(ConvertRule::CyclicImport(names.join(", ")))]);
        };
        order.push(ready);
    }
    Ok(order)
}

/// Parses the files and checks that they are the package's.
fn parse(files: &[ClassBytes], options: &ConvertOptions) -> Result<Vec<ClassFile>, Vec<Diagnostic>> {
    let name = options.package.replace('.', "/");
    let (mut classes, mut errors): (Vec<ClassFile>, _) = (Vec::new(), Vec::new());
    for file in files {
        match ClassFile::read(&file.bytes) {
            Ok(class) if class.access & acc::MODULE != 0 || class.name.ends_with("package-info") => {}
            Ok(class) if class.package() != name => {
                errors.push(Diagnostic::class(
                    &class.name,
                    ConvertRule::WrongPackage { expected: options.package.clone() },
                ));
            }
            Ok(class) if classes.iter().any(|c| c.name == class.name) => {
                errors.push(Diagnostic::class(&class.name, ConvertRule::DuplicateClass));
            }
            // Annotation types leave no trace in code.
            Ok(class) if class.access & acc::ANNOTATION != 0 => {}
            Ok(class) => classes.push(class),
            Err(ClassFileError { offset, rule }) => {
                let rule = ConvertRule::ClassFile { offset, rule };
                errors.push(Diagnostic { class: Some(file.name.clone()), ..Diagnostic::package(rule) });
            }
        }
    }
    if errors.is_empty() && classes.is_empty() {
        errors.push(Diagnostic::package(ConvertRule::NoClasses(options.package.clone())));
    }
    if errors.is_empty() {
        Ok(classes)
    } else {
        Err(errors)
    }
}

/// Converts class files that are already read.
pub fn convert_classes(files: &[ClassBytes], options: &ConvertOptions) -> Result<Converted, Vec<Diagnostic>> {
    let mut classes = parse(files, options)?;
    nest::open_members(&mut classes);
    let name = options.package.replace('.', "/");
    let mut exports = ExportSet::platform(options.target);
    options.exports.iter().rev().cloned().for_each(|package| exports.add(package));
    if let Some(former) = options.former.as_ref().filter(|f| f.name != name) {
        let rule = ConvertRule::FormerExport {
            found: former.name.replace('/', "."),
            expected: options.package.clone(),
        };
        return Err(vec![Diagnostic::package(rule)]);
    }
    let imports = Imports::collect(&classes, &name, &exports);
    let mut package = Package::new(&name, classes, imports)?;
    let applets = find_applets(&package, options)?;
    package.has_applets = !applets.is_empty();
    tokens::assign(&mut package, options.former.as_ref())?;
    let mut errors = subset::check(&package, options.int);
    let operands = match translate::resolve_all(&package, options.int) {
        Ok(operands) => operands,
        Err(more) => {
            errors.extend(more);
            return Err(diagnostics::without_consequences(errors));
        }
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let image = statics::image(&package, options.int)?;
    let mut cp = resolve::CpTable::default();
    let short_fields = translate::number_fields(&operands, &mut cp);
    let (mut bodies, mut warnings) = (Bodies::new(), Vec::new());
    for (class, owner) in package.classes.iter().enumerate() {
        for (method, slot) in owner.methods.iter().enumerate() {
            if slot.role == Role::StaticInitializer || owner.file.methods[method].code.is_none() {
                continue;
            }
            let operands = &operands[class][method];
            match translate::translate(&package, class, method, operands, &short_fields, &mut cp, options.int)
            {
                Ok(mut body) => {
                    warnings.append(&mut body.warnings);
                    bodies.insert((class, method), body);
                }
                Err(more) => errors.extend(more),
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let info = PackageInfo { aid: options.aid, version: options.version };
    let installs: Vec<(Aid, usize, usize)> = applets.iter().map(|a| (a.aid, a.class, a.install)).collect();
    let uses_int = uses_int(&package, &bodies, &image);
    if options.int && !uses_int {
        warnings.push(Diagnostic::package(ConvertRule::IntUnused));
    }
    let input = Input {
        package: &package,
        cp: &cp,
        bodies: &bodies,
        image: &image,
        aid: info,
        applets: &installs,
        int: uses_int,
        format: if options.debug { FormatVersion::V2_2 } else { FormatVersion::V2_1 },
    };
    let mut built = build(&input).map_err(|error| vec![error])?;
    if options.debug {
        built.cap.debug = Some(debug_info::component(&package, &built, &bodies, &image));
        set_sizes(&mut built.cap).map_err(|error| vec![error])?;
    }
    let exp = own_exp::table(&package, info);
    let applets: Vec<(String, Aid)> =
        applets.iter().map(|a| (package.classes[a.class].file.name.replace('/', "."), a.aid)).collect();
    built.cap.others.push(manifest::member(&built.cap, options, &applets));
    let sizes = built.cap.component_sizes();
    Ok(Converted { cap: built.cap, exp, applets, warnings, sizes })
}

/// Whether anything in the package has type int or works in 32 bits.
fn uses_int(package: &Package<'_>, bodies: &Bodies, image: &statics::Image) -> bool {
    use crate::classfile::JavaType;
    let is_int = |ty: &JavaType| match ty {
        JavaType::Int => true,
        JavaType::Array(element) => **element == JavaType::Int,
        _ => false,
    };
    let in_code = bodies.values().flat_map(|b| &b.code).any(|(instruction, ..)| {
        let mnemonic = instruction.opcode.mnemonic();
        let by_array = matches!(instruction.operands, crate::code::Operands::ArrayType(13))
            || matches!(instruction.operands, crate::code::Operands::TypeCheck { atype: 13, .. });
        by_array || is_int_mnemonic(mnemonic)
    });
    let in_heads = package.classes.iter().any(|class| {
        let constant = |slot: &package::FieldSlot| matches!(slot, package::FieldSlot::Constant(_));
        let fields = class.file.fields.iter().zip(&class.fields).filter(|(_, slot)| !constant(slot));
        let mut fields = fields.filter_map(|(f, _)| crate::classfile::field_type(&f.descriptor));
        let mut methods = class.methods.iter().filter(|m| m.role != Role::StaticInitializer);
        fields.any(|ty| is_int(&ty))
            || methods.any(|m| m.ty.parameters.iter().chain([&m.ty.result]).any(is_int))
    });
    in_code || in_heads || image.component.array_inits.iter().any(|a| a.element_type == 5)
}

/// Instructions that work on int: named with an i in front, and those of int fields.
fn is_int_mnemonic(mnemonic: &str) -> bool {
    const BITS: [&str; 34] = [
        "bipush",
        "sipush",
        "iipush",
        "iload",
        "iaload",
        "istore",
        "iastore",
        "iadd",
        "isub",
        "imul",
        "idiv",
        "irem",
        "ineg",
        "ishl",
        "ishr",
        "iushr",
        "iand",
        "ior",
        "ixor",
        "iinc",
        "iinc_w",
        "s2i",
        "i2b",
        "i2s",
        "icmp",
        "itableswitch",
        "ilookupswitch",
        "ireturn",
        "getstatic_i",
        "putstatic_i",
        "getfield_i",
        "putfield_i",
        "getfield_i_w",
        "putfield_i_w",
    ];
    BITS.contains(&mnemonic)
        || mnemonic.starts_with("iconst_")
        || mnemonic.starts_with("iload_")
        || mnemonic.starts_with("istore_")
        || mnemonic.ends_with("field_i_this")
}

const APPLET: &str = "javacard/framework/Applet";
const MULTI_SELECTABLE: &str = "javacard/framework/MultiSelectable";
const INSTALL: (&str, &str) = ("install", "([BSB)V");

struct FoundApplet {
    class: usize,
    install: usize,
    aid: Aid,
}

/// The applets that were named, or all there are.
fn find_applets(
    package: &Package<'_>,
    options: &ConvertOptions,
) -> Result<Vec<FoundApplet>, Vec<Diagnostic>> {
    if options.library {
        return Ok(Vec::new());
    }
    let named = !options.applets.is_empty();
    let mut candidates: Vec<(usize, Option<Aid>)> = Vec::new();
    for applet in &options.applets {
        let path = applet.class.replace('.', "/");
        let full = if path.contains('/') { path } else { format!("{}/{path}", package.name) };
        match package.own(&full) {
            Some(class) => candidates.push((class, applet.aid)),
            None => return Err(vec![Diagnostic::package(ConvertRule::NoSuchApplet(applet.class.clone()))]),
        }
    }
    if !named {
        let applets = (0..package.classes.len()).filter(|c| {
            let class = &package.classes[*c];
            package.extends(*c, APPLET)
                && class.file.access & acc::ABSTRACT == 0
                && install(package, *c).is_some()
        });
        candidates = applets.map(|class| (class, None)).collect();
    }
    let (mut found, mut errors): (Vec<FoundApplet>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    for (number, (class, aid)) in candidates.into_iter().enumerate() {
        match check_applet(package, options, class, aid, number, &found) {
            Ok(applet) => found.push(applet),
            Err(rule) => errors.push(package.classes[class].diagnostic(rule)),
        }
    }
    let multi = |applet: &FoundApplet| {
        package.all_interfaces(applet.class).contains(&TypeName::Imported(MULTI_SELECTABLE.to_owned()))
    };
    if found.iter().any(multi) && !found.iter().all(multi) {
        errors.push(Diagnostic::package(ConvertRule::MultiSelectable));
    }
    if found.len() > 255 {
        let rule = ConvertRule::Limit { limit: Limit::Applets, count: found.len(), max: 255 };
        errors.push(Diagnostic::package(rule));
    }
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(errors)
    }
}

fn install(package: &Package<'_>, class: usize) -> Option<usize> {
    let file = &package.classes[class].file;
    file.methods.iter().position(|m| {
        (m.name.as_str(), m.descriptor.as_str()) == INSTALL
            && m.access & (acc::PUBLIC | acc::STATIC) == acc::PUBLIC | acc::STATIC
    })
}

fn check_applet(
    package: &Package<'_>,
    options: &ConvertOptions,
    class: usize,
    aid: Option<Aid>,
    number: usize,
    others: &[FoundApplet],
) -> Result<FoundApplet, ConvertRule> {
    if !package.extends(class, APPLET) {
        return Err(ConvertRule::NotAnApplet);
    }
    if package.classes[class].file.access & acc::ABSTRACT != 0 {
        return Err(ConvertRule::AbstractApplet);
    }
    let install = install(package, class).ok_or(ConvertRule::NoInstall)?;
    let counted = || {
        let mut bytes = options.aid.as_bytes().to_vec();
        bytes.push(u8::try_from(number + 1).map_err(|_| ConvertRule::NoAppletAid(options.aid))?);
        Aid::new(&bytes).map_err(|_| ConvertRule::NoAppletAid(options.aid))
    };
    let aid = aid.map_or_else(counted, Ok)?;
    if aid.rid() != options.aid.rid() {
        return Err(ConvertRule::Rid { applet: aid, package: options.aid });
    }
    if aid == options.aid || others.iter().any(|other| other.aid == aid) {
        return Err(ConvertRule::SameAid(aid));
    }
    Ok(FoundApplet { class, install, aid })
}
