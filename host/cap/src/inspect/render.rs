//! Text for people. The structures of this crate are the data; nothing is parsed back from here.

use std::fmt::Write;

use super::disassemble::disassemble;
use super::info::Info;
use super::names::Names;
use crate::exports::{acc, ExportPackage, ExportSet};
use crate::model::{Cap, ClassRef, ComponentTag, FieldRef, FieldType, StaticRef, TypeDescriptor};

/// The summary as text.
pub fn info_text(info: &Info) -> String {
    let mut t = String::new();
    let _ = writeln!(t, "package    {}", info.package.as_deref().unwrap_or("(no name)"));
    let _ = writeln!(t, "AID        {}  version {}", info.aid, info.version);
    if let Some(format) = &info.format {
        let _ =
            writeln!(t, "format     CAP {format}{}", if info.requirements.int { ", uses int" } else { "" });
    }
    for applet in &info.applets {
        let _ = writeln!(t, "applet     {}  {}", applet.aid, applet.class.as_deref().unwrap_or(""));
    }
    for import in &info.imports {
        let name = import.name.as_deref().unwrap_or("(unknown)");
        let release = import.java_card.map(|r| format!("  Java Card {r}")).unwrap_or_default();
        let _ = writeln!(t, "import     {}  {name} {}{release}", import.aid, import.version);
    }
    for class in &info.exports {
        let _ = writeln!(t, "export     {class}");
    }
    for component in &info.components {
        let _ = writeln!(t, "component  {:<15} {:>6}", component.name, component.size);
    }
    if !info.components.is_empty() {
        let n = &info.install;
        let _ = writeln!(t, "load size  {} bytes of {}", info.load_size, info.total_size);
        let _ = writeln!(
            t,
            "persistent code {}, static data {}, arrays {} or more",
            n.code, n.static_data, n.arrays_known
        );
        let unknown = match n.transient_unknown {
            0 => String::new(),
            places => format!(", and {places} arrays of unknown length"),
        };
        let _ = writeln!(
            t,
            "transient  {} or more{unknown}; largest frame {}",
            n.transient_known, n.largest_frame
        );
        let java_card = info.requirements.java_card.unwrap_or("any");
        let api = info.requirements.globalplatform_api;
        let api = api.map(|v| format!(", org.globalplatform {v}")).unwrap_or_default();
        let int = if info.requirements.int { ", int support" } else { "" };
        let _ = writeln!(t, "needs      Java Card {java_card}{api}{int}");
    }
    t
}

/// Every component in readable form.
pub fn dump(cap: &Cap, exports: &ExportSet) -> String {
    let names = Names::new(cap, exports);
    let mut t = String::new();
    header(&mut t, cap);
    import_and_applet(&mut t, cap, &names);
    constant_pool(&mut t, cap, &names);
    classes(&mut t, cap, &names);
    methods(&mut t, cap, &names);
    statics(&mut t, cap);
    title(&mut t, cap, ComponentTag::ReferenceLocation);
    let _ = writeln!(t, "  one-byte indices at {}", numbers(&cap.reference_location.byte_positions()));
    let _ = writeln!(t, "  two-byte indices at {}", numbers(&cap.reference_location.byte2_positions()));
    export(&mut t, cap, &names);
    descriptor(&mut t, cap, &names);
    debug(&mut t, cap);
    for raw in &cap.raw {
        let _ = writeln!(t, "Component {} ({} bytes)\n  {}", raw.tag, raw.info.len(), hex::encode(&raw.info));
    }
    t
}

fn numbers(all: &[usize]) -> String {
    all.iter().map(|n| format!("{n:04x}")).collect::<Vec<_>>().join(" ")
}

fn title(t: &mut String, cap: &Cap, tag: ComponentTag) {
    let size = cap.component_info(tag).map_or(0, |info| info.len());
    let _ = writeln!(t, "{tag} ({size} bytes)");
}

fn header(t: &mut String, cap: &Cap) {
    title(t, cap, ComponentTag::Header);
    let package = &cap.header.package;
    let flags = [(1, "int"), (2, "export"), (4, "applet")];
    let flags: Vec<&str> =
        flags.iter().filter(|(bit, _)| cap.header.flags & bit != 0).map(|(_, n)| *n).collect();
    let _ = writeln!(t, "  CAP format {}, flags {}", cap.format(), flags.join(" "));
    let _ = writeln!(t, "  package {} version {}", package.aid, package.version);
    if let Some(name) = &cap.header.package_name {
        let _ = writeln!(t, "  name {}", String::from_utf8_lossy(name));
    }
    title(t, cap, ComponentTag::Directory);
    for tag in ComponentTag::ALL {
        let size = cap.directory.size_of(tag);
        if size > 0 {
            let _ = writeln!(t, "  {tag} {size}");
        }
    }
    let s = &cap.directory.static_field_size;
    let _ = writeln!(
        t,
        "  static image {}, arrays {} of {} bytes",
        s.image_size, s.array_init_count, s.array_init_size
    );
    let _ = writeln!(t, "  imports {}, applets {}", cap.directory.import_count, cap.directory.applet_count);
}

fn import_and_applet(t: &mut String, cap: &Cap, names: &Names<'_>) {
    if let Some(applet) = &cap.applet {
        title(t, cap, ComponentTag::Applet);
        for a in &applet.applets {
            let at = a.install_method_offset;
            let _ = writeln!(t, "  {} install {at:04x} {}", a.aid, names.method(at));
        }
    }
    title(t, cap, ComponentTag::Import);
    for (token, package) in cap.import.packages.iter().enumerate() {
        let _ = writeln!(t, "  {token} {} {}", package.aid, package.version);
    }
}

/// By constant pool tag, from 1 on.
const KINDS: [&str; 6] = ["class", "field", "virtual", "super", "static field", "static method"];

fn constant_pool(t: &mut String, cap: &Cap, names: &Names<'_>) {
    title(t, cap, ComponentTag::ConstantPool);
    for (index, entry) in cap.constant_pool.entries.iter().enumerate() {
        let kind = KINDS.get(usize::from(entry.tag()) - 1).unwrap_or(&"");
        let _ = writeln!(t, "  {index} {kind} {}", names.constant(*entry));
    }
}

fn classes(t: &mut String, cap: &Cap, names: &Names<'_>) {
    title(t, cap, ComponentTag::Class);
    for interface in &cap.class.interfaces {
        let supers: Vec<String> = interface.superinterfaces.iter().map(|s| names.class(*s)).collect();
        let name = names.class(ClassRef::Internal(interface.offset));
        let _ = writeln!(
            t,
            "  {:04x} interface {name} flags {:x} extends {}",
            interface.offset,
            interface.flags,
            supers.join(", ")
        );
    }
    for class in &cap.class.classes {
        let name = names.class(ClassRef::Internal(class.offset));
        let above = class.superclass.map_or_else(|| "nothing".to_owned(), |s| names.class(s));
        let _ = writeln!(t, "  {:04x} class {name} flags {:x} extends {above}", class.offset, class.flags);
        let (size, first, count) =
            (class.declared_instance_size, class.first_reference_token, class.reference_count);
        let _ = writeln!(t, "    instance cells {size}, references {count} from token {first}");
        let tables = [
            ("public", class.public_method_table_base, &class.public_virtual_method_table),
            ("package", class.package_method_table_base, &class.package_virtual_method_table),
        ];
        for (what, base, table) in tables {
            let _ = writeln!(t, "    {what} methods from token {base}");
            for (token, offset) in (u16::from(base)..).zip(table) {
                let what = match offset {
                    0xFFFF => "inherited".to_owned(),
                    offset => names.method(*offset),
                };
                let _ = writeln!(t, "      {token} {offset:04x} {what}");
            }
        }
        for implemented in &class.interfaces {
            let name = names.class(implemented.interface);
            let _ = writeln!(t, "    implements {name} by tokens {:?}", implemented.tokens);
        }
        if let Some(mapping) = &class.token_mapping {
            let tokens = &mapping.public_virtual_method_tokens;
            let _ =
                writeln!(t, "    token mapping {tokens:?}, inheritable {}", mapping.inheritable_public_count);
        }
    }
}

fn methods(t: &mut String, cap: &Cap, names: &Names<'_>) {
    title(t, cap, ComponentTag::Method);
    for method in disassemble(cap, names) {
        let h = method.header;
        let _ = writeln!(t, "  {:04x} {}", method.offset, method.name);
        let abstract_ = if h.is_abstract() { " abstract" } else { "" };
        let _ =
            writeln!(t, "       stack {}, args {}, locals {}{abstract_}", h.max_stack, h.nargs, h.max_locals);
        for line in &method.instructions {
            let _ = writeln!(t, "    {:>5} {line}", line.instruction.offset);
        }
        if let Some(error) = &method.undecoded {
            let _ = writeln!(t, "          {error}");
        }
        let code = usize::from(method.offset) + h.size();
        for handler in &method.handlers {
            let start = usize::from(handler.start_offset).saturating_sub(code);
            let at = usize::from(handler.handler_offset).saturating_sub(code);
            let end = start + usize::from(handler.active_length);
            let catch = match (handler.catch_type_index, cap.constant_pool.get(handler.catch_type_index)) {
                (0, _) => "any".to_owned(),
                (_, Some(entry)) => names.constant(entry),
                (index, None) => format!("#{index}?"),
            };
            let stop = if handler.stop { " stop" } else { "" };
            let _ = writeln!(t, "          try @{start} to @{end} catch {catch} @{at}{stop}");
        }
    }
}

fn statics(t: &mut String, cap: &Cap) {
    title(t, cap, ComponentTag::StaticField);
    let s = &cap.static_field;
    let _ = writeln!(t, "  image {} bytes, {} references", s.image_size, s.reference_count);
    for (index, array) in s.array_inits.iter().enumerate() {
        let ty = ["boolean", "byte", "short", "int"]
            .get(usize::from(array.element_type).wrapping_sub(2))
            .unwrap_or(&"?");
        let _ = writeln!(t, "  {:04x} {ty}[] {}", 2 * index, hex::encode(&array.values));
    }
    let _ =
        writeln!(t, "  {} bytes of zero, then {}", s.default_value_count, hex::encode(&s.non_default_values));
}

fn export(t: &mut String, cap: &Cap, names: &Names<'_>) {
    let Some(export) = &cap.export else { return };
    title(t, cap, ComponentTag::Export);
    for (token, class) in export.classes.iter().enumerate() {
        let _ = writeln!(t, "  {token} {}", names.class(ClassRef::Internal(class.class_offset)));
        for (token, offset) in class.static_field_offsets.iter().enumerate() {
            let field = crate::model::CpInfo::StaticField(StaticRef::internal(*offset));
            let _ = writeln!(t, "    field {token} {offset:04x} {}", names.constant(field));
        }
        for (token, offset) in class.static_method_offsets.iter().enumerate() {
            let _ = writeln!(t, "    method {token} {offset:04x} {}", names.method(*offset));
        }
    }
}

fn descriptor(t: &mut String, cap: &Cap, names: &Names<'_>) {
    let Some(descriptor) = &cap.descriptor else { return };
    title(t, cap, ComponentTag::Descriptor);
    let signature = |offset: u16| {
        let types = descriptor.types.at(offset).and_then(TypeDescriptor::decode);
        types
            .map_or_else(|| "?".to_owned(), |types| types.into_iter().map(|ty| names.type_name(ty)).collect())
    };
    for class in &descriptor.classes {
        let name = names.class(class.this_class);
        let _ = writeln!(t, "  token {:02x} flags {:02x} {name}", class.token, class.access_flags);
        for field in &class.fields {
            let at = match field.field_ref {
                FieldRef::Static(StaticRef::Internal { offset, .. }) => format!("image {offset:04x}"),
                FieldRef::Static(StaticRef::External { .. }) => "imported".to_owned(),
                FieldRef::Instance { token, .. } => format!("instance {token:02x}"),
            };
            let ty = match field.ty {
                FieldType::Primitive(2) => "Z".to_owned(),
                FieldType::Primitive(3) => "B".to_owned(),
                FieldType::Primitive(4) => "S".to_owned(),
                FieldType::Primitive(5) => "I".to_owned(),
                FieldType::Primitive(other) => format!("type{other}"),
                FieldType::Reference(offset) => signature(offset),
            };
            let _ =
                writeln!(t, "    field token {:02x} flags {:02x} {at} {ty}", field.token, field.access_flags);
        }
        for m in &class.methods {
            let what =
                if m.method_offset == 0 { signature(m.type_offset) } else { names.method(m.method_offset) };
            let _ = writeln!(
                t,
                "    method token {:02x} flags {:02x} at {:04x}, {} bytes, {} handlers from {}: {what}",
                m.token,
                m.access_flags,
                m.method_offset,
                m.bytecode_count,
                m.exception_handler_count,
                m.exception_handler_index
            );
        }
    }
    let _ = writeln!(t, "  types");
    for entry in &descriptor.types.entries {
        let _ = writeln!(t, "    {:04x} {}", entry.offset, signature(entry.offset));
    }
}

fn debug(t: &mut String, cap: &Cap) {
    let Some(debug) = &cap.debug else { return };
    title(t, cap, ComponentTag::Debug);
    let text = |index| debug.string(index).unwrap_or_default();
    for class in &debug.classes {
        let _ = writeln!(t, "  {} ({})", text(class.name_index), text(class.source_file_index));
        for method in &class.methods {
            let _ = writeln!(
                t,
                "    {:04x} {}{}",
                method.location,
                text(method.name_index),
                text(method.descriptor_index)
            );
            for v in &method.variables {
                let end = u32::from(v.start_pc) + u32::from(v.length);
                let _ = writeln!(
                    t,
                    "      local {} {} {} @{} to @{end}",
                    v.index,
                    text(v.name_index),
                    text(v.descriptor_index),
                    v.start_pc
                );
            }
            for line in &method.lines {
                let _ = writeln!(t, "      @{} to @{} line {}", line.start_pc, line.end_pc, line.source_line);
            }
        }
    }
}

/// An export table in readable form.
pub fn dump_exp(package: &ExportPackage) -> String {
    let mut t = String::new();
    let kind = if package.library { "library" } else { "applet package" };
    let _ = writeln!(
        t,
        "{} {} version {} ({kind})",
        package.name.replace('/', "."),
        package.aid,
        package.version
    );
    for class in &package.classes {
        let kind = if class.is_interface() { "interface" } else { "class" };
        let _ = writeln!(t, "  {} {kind} {}", class.token, class.name.replace('/', "."));
        for field in &class.fields {
            let place = match (field.token, field.constant) {
                (_, Some(value)) => format!("= {value}"),
                (Some(token), None) if field.access & acc::STATIC != 0 => format!("static field {token}"),
                (Some(token), None) => format!("field {token}"),
                (None, None) => String::new(),
            };
            let _ = writeln!(t, "    {} {} {place}", field.name, field.descriptor);
        }
        for method in &class.methods {
            let kind = if method.is_static_kind() { "static" } else { "virtual" };
            let _ = writeln!(t, "    {kind} {} {}{}", method.token, method.name, method.descriptor);
        }
    }
    t
}
