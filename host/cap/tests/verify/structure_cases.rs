//! Wrong structure: each case changes one thing in a good CAP file.

use jpkise_cap::exports::{ExportClass, ExportPackage, ExportSet};
use jpkise_cap::model::*;
use jpkise_cap::opcodes::Opcode;

use crate::asm::{assemble, fill_directory, PACKAGE};
use crate::samples::{APPLET, LIBRARY};
use crate::Case;

/// Classes of the applet sample in file order.
const BASE: usize = 0;
const SQUARE: usize = 1;
const MAIN: usize = 2;

/// A change to the applet sample, after which Directory is right again.
fn applet(rule: &'static str, what: &'static str, change: impl FnOnce(&mut Cap)) -> Case {
    let mut cap = assemble(APPLET);
    change(&mut cap);
    fill_directory(&mut cap);
    Case::new(rule, what, cap)
}

/// A change to the library sample.
fn library(rule: &'static str, what: &'static str, change: impl FnOnce(&mut Cap)) -> Case {
    let mut cap = assemble(LIBRARY);
    change(&mut cap);
    fill_directory(&mut cap);
    Case::new(rule, what, cap)
}

/// A change to Directory, which stays wrong.
fn directory(rule: &'static str, what: &'static str, change: impl FnOnce(&mut Directory)) -> Case {
    let mut cap = assemble(APPLET);
    change(&mut cap.directory);
    Case::new(rule, what, cap)
}

/// A change to the bytes of the first instruction of a kind, found through Descriptor.
fn instruction(rule: &'static str, what: &'static str, opcode: Opcode, change: impl Fn(&mut [u8])) -> Case {
    applet(rule, what, |cap| {
        let (at, len) = find(cap, opcode);
        change(&mut cap.method.methods[at..at + len]);
    })
}

/// Place and length of an instruction in `cap.method.methods`.
fn find(cap: &Cap, opcode: Opcode) -> (usize, usize) {
    let base = cap.method.first_method_offset();
    for method in own_methods(cap) {
        let header = cap.method.header_at(method.method_offset).unwrap();
        let at = usize::from(method.method_offset) - base + header.size();
        let code = &cap.method.methods[at..at + usize::from(method.bytecode_count)];
        for instruction in jpkise_cap::code::decode(code).unwrap() {
            if instruction.opcode == opcode {
                return (at + instruction.offset, instruction.len());
            }
        }
    }
    panic!("no {opcode}");
}

fn own_methods(cap: &Cap) -> Vec<MethodDescriptor> {
    let classes = cap.descriptor.as_ref().unwrap().classes.iter();
    let classes = classes.filter(|c| c.access_flags & access::CLASS_INTERFACE == 0);
    classes.flat_map(|c| c.methods.clone()).filter(|m| m.bytecode_count > 0).collect()
}

/// Descriptor of a class by its index among the classes.
fn described(cap: &mut Cap, class: usize) -> &mut ClassDescriptor {
    let interfaces = cap.class.interfaces.len();
    &mut cap.descriptor.as_mut().unwrap().classes[interfaces + class]
}

fn method(cap: &mut Cap, class: usize, index: usize) -> &mut MethodDescriptor {
    &mut described(cap, class).methods[index]
}

/// First byte of a method's header in `cap.method.methods`.
fn header(cap: &mut Cap, class: usize, index: usize) -> &mut [u8] {
    let at = usize::from(method(cap, class, index).method_offset) - cap.method.first_method_offset();
    &mut cap.method.methods[at..]
}

fn pool(cap: &mut Cap, wanted: impl Fn(&CpInfo) -> bool) -> &mut CpInfo {
    cap.constant_pool.entries.iter_mut().find(|e| wanted(e)).unwrap()
}

fn imported(class: ClassRef) -> bool {
    matches!(class, ClassRef::External { .. })
}

#[rustfmt::skip]
pub fn cases() -> Vec<Case> {
    let mut all = header_to_import();
    all.extend(descriptor());
    all.extend(constant_pool());
    all.extend(class());
    all.extend(method_component());
    all.extend(rest());
    all
}

#[rustfmt::skip]
fn header_to_import() -> Vec<Case> {
    vec![
        applet("header.flags", "an undefined flag", |c| c.header.flags |= 0x40),
        applet("header.applet-flag", "the flag is clear", |c| c.header.flags &= !FLAG_APPLET),
        applet("header.applet-flag", "the component is absent", |c| c.applet = None)
            .and("export.class").and("static.library"),
        applet("header.export-flag", "the flag is clear", |c| c.header.flags &= !FLAG_EXPORT),
        library("header.export-flag", "the component is absent", |c| c.export = None),
        directory("directory.size", "Method one byte shorter", |d| d.sizes[6] -= 1),
        directory("directory.size", "a component that is not there", |d| d.sizes[2] = 0),
        directory("directory.size", "its own size", |d| d.sizes[1] += 1),
        directory("directory.static-field", "image size", |d| d.static_field_size.image_size += 1),
        directory("directory.static-field", "bytes of arrays", |d| d.static_field_size.array_init_size += 1),
        directory("directory.import-count", "one import more", |d| d.import_count += 1),
        directory("directory.applet-count", "no applet", |d| d.applet_count = 0),
        applet("directory.custom", "a custom component that is not listed", |c| {
            c.raw.push(RawComponent { tag: 0x80, name: "Own.cap".into(), info: vec![1] });
        }),
        applet("applet.count", "no applets", |c| c.applet = Some(Applet::default())),
        applet("applet.rid", "another provider", |c| c.applet.as_mut().unwrap().applets[0].aid = "F00000000001".parse().unwrap()),
        applet("applet.aid", "the package's", |c| c.applet.as_mut().unwrap().applets[0].aid = PACKAGE.parse().unwrap()),
        applet("applet.aid", "twice", |c| { let a = c.applet.as_mut().unwrap(); a.applets.push(a.applets[0]); }),
        applet("applet.install-offset", "inside a method", |c| c.applet.as_mut().unwrap().applets[0].install_method_offset += 1),
        applet("applet.install-method", "another method", |c| {
            let offset = method(c, MAIN, 4).method_offset;
            c.applet.as_mut().unwrap().applets[0].install_method_offset = offset;
        }),
        Case::new("applet.class", "install in a class that is no applet", assemble(
            "import java/lang 1.0\nimport javacard/framework 1.5\napplet A\nclass A\nmethod install ([BSB)V public static\nreturn",
        )),
        applet("import.count", "129 packages", |c| {
            let java_lang = c.import.packages[0];
            c.import.packages.resize(129, java_lang);
        }).and("import.duplicate"),
        applet("import.duplicate", "the package itself", |c| c.import.packages[2].aid = PACKAGE.parse().unwrap()),
        applet("import.missing", "a package nobody knows", |c| c.import.packages[2].aid = "F06A706B6973650177".parse().unwrap()),
        applet("import.version", "a minor version to come", |c| c.import.packages[1].version.minor = 99),
        applet("import.version", "another major version", |c| c.import.packages[1].version.major = 2),
        applet("descriptor.missing", "no Descriptor", |c| c.descriptor = None),
    ]
}

#[rustfmt::skip]
fn descriptor() -> Vec<Case> {
    vec![
        applet("descriptor.class", "a class less", |c| { c.descriptor.as_mut().unwrap().classes.pop(); }),
        applet("descriptor.class", "a class twice", |c| { let d = c.descriptor.as_mut().unwrap(); let copy = d.classes[0].clone(); d.classes.push(copy); }),
        applet("descriptor.class", "between two classes", |c| described(c, SQUARE).this_class = ClassRef::Internal(2)),
        applet("descriptor.class", "a class of another package", |c| described(c, SQUARE).this_class = ClassRef::External { package: 0, class: 0 }),
        applet("descriptor.class-token", "a token that skips one", |c| described(c, MAIN).token += 1),
        applet("descriptor.class-token", "a token for a class nobody sees", |c| described(c, BASE).token = 3),
        applet("descriptor.class-flags", "final and abstract", |c| described(c, SQUARE).access_flags |= access::CLASS_ABSTRACT),
        applet("descriptor.class-flags", "a class said to be an interface", |c| described(c, BASE).access_flags |= access::CLASS_INTERFACE),
        applet("descriptor.interfaces", "one more than in Class", |c| { let d = described(c, SQUARE); d.interfaces.push(ClassRef::Internal(0)); }),
        applet("descriptor.interfaces", "superinterfaces of an interface", |c| {
            let interface = c.class.interfaces[2].superinterfaces.clone();
            c.descriptor.as_mut().unwrap().classes[2].interfaces = interface;
        }),
        applet("descriptor.field-ref", "a field of another class", |c| {
            let other = described(c, SQUARE).this_class;
            let FieldRef::Instance { class, .. } = &mut described(c, BASE).fields[0].field_ref else { panic!() };
            *class = other;
        }),
        applet("descriptor.field-ref", "a static field outside the image", |c| described(c, MAIN).fields[4].field_ref = FieldRef::Static(StaticRef::internal(900))),
        applet("descriptor.field-token", "two tokens for one field", |c| described(c, BASE).fields[0].token += 1),
        library("descriptor.field-token", "a static token that skips one", |c| described(c, 0).fields[3].token += 1).and("export.static-field").only_first(),
        applet("descriptor.field-flags", "public and private", |c| described(c, BASE).fields[2].access_flags |= access::PUBLIC),
        applet("descriptor.field-type", "void", |c| described(c, BASE).fields[0].ty = FieldType::Primitive(1)),
        applet("descriptor.field-type", "a signature", |c| {
            let signature = method(c, MAIN, 0).type_offset;
            described(c, BASE).fields[1].ty = FieldType::Reference(signature);
        }),
        applet("descriptor.method-token", "a virtual token for a static method", |c| method(c, MAIN, 7).token = 9),
        applet("descriptor.method-token", "a package token for a public method", |c| method(c, MAIN, 2).token |= 0x80),
        applet("descriptor.method-flags", "public and protected", |c| method(c, BASE, 3).access_flags |= access::PROTECTED),
        applet("descriptor.method-flags", "an undefined flag", |c| method(c, MAIN, 2).access_flags |= 0x20),
        applet("descriptor.method-type", "a signature that is none", |c| method(c, MAIN, 2).type_offset += 1),
        applet("descriptor.method-type", "a constructor with a result", |c| {
            let other = method(c, MAIN, 2).type_offset;
            method(c, MAIN, 0).type_offset = other;
        }),
        applet("descriptor.type", "an undefined nibble", |c| {
            let types = &mut c.descriptor.as_mut().unwrap().types.entries;
            let entry = types.iter_mut().find(|e| e.descriptor.nibble_count == 1).unwrap();
            entry.descriptor.bytes[0] = 0x70;
        }).only_first(),
        applet("descriptor.type", "a class that is not there", |c| {
            let types = &mut c.descriptor.as_mut().unwrap().types.entries;
            let entry = types.iter_mut().find(|e| e.descriptor.bytes[0] == 0x68).unwrap();
            entry.descriptor.bytes[1] |= 0x7F;
        }).only_first(),
        applet("descriptor.pool-types", "none for a field", |c| {
            let types = &mut c.descriptor.as_mut().unwrap().types.constant_pool_types;
            *types.iter_mut().find(|t| **t != 0xFFFF).unwrap() = 0xFFFF;
        }),
        applet("descriptor.pool-types", "one for a class", |c| {
            let types = &mut c.descriptor.as_mut().unwrap().types.constant_pool_types;
            let other = *types.iter().find(|t| **t != 0xFFFF).unwrap();
            *types.iter_mut().find(|t| **t == 0xFFFF).unwrap() = other;
        }),
    ]
}

#[rustfmt::skip]
fn constant_pool() -> Vec<Case> {
    vec![
        applet("pool.padding", "a class reference", |c| {
            let CpInfo::Class { padding, .. } = pool(c, |e| e.tag() == 1) else { panic!() };
            *padding = 1;
        }),
        applet("pool.class", "no class begins there", |c| {
            let CpInfo::Class { class, .. } = pool(c, |e| matches!(e, CpInfo::Class { class: ClassRef::Internal(_), .. })) else { panic!() };
            *class = ClassRef::Internal(1);
        }),
        applet("pool.class", "a class token no import has", |c| {
            let CpInfo::Class { class: ClassRef::External { class, .. }, .. } = pool(c, |e| matches!(e, CpInfo::Class { class, .. } if imported(*class))) else { panic!() };
            *class = 200;
        }),
        applet("pool.class", "a package token too high", |c| {
            let CpInfo::Class { class: ClassRef::External { package, .. }, .. } = pool(c, |e| matches!(e, CpInfo::Class { class, .. } if imported(*class))) else { panic!() };
            *package = 3;
        }),
        applet("pool.instance-field", "a token too high", |c| {
            let CpInfo::InstanceField { token, .. } = pool(c, |e| e.tag() == 2) else { panic!() };
            *token = 60;
        }),
        applet("pool.virtual-method", "a token no method of an import has", |c| {
            let CpInfo::VirtualMethod { token, .. } = pool(c, |e| matches!(e, CpInfo::VirtualMethod { class, .. } if imported(*class))) else { panic!() };
            *token = 99;
        }),
        applet("pool.virtual-method", "an interface", |c| {
            let area = ClassRef::Internal(0);
            let CpInfo::VirtualMethod { class, token } = pool(c, |e| matches!(e, CpInfo::VirtualMethod { class: ClassRef::Internal(_), .. })) else { panic!() };
            (*class, *token) = (area, 0);
        }),
        applet("pool.virtual-method", "a method the class inherits from one of the package", |c| {
            let square = described(c, SQUARE).this_class;
            let base = described(c, BASE).this_class;
            let CpInfo::VirtualMethod { class, .. } = pool(c, |e| matches!(e, CpInfo::VirtualMethod { class, .. } if *class == base)) else { panic!() };
            *class = square;
        }),
        applet("pool.virtual-method", "a method the class inherits from another package", |c| {
            let main = described(c, MAIN).this_class;
            let register = |e: &CpInfo| matches!(e, CpInfo::VirtualMethod { class: ClassRef::External { package: 1, class: 3 }, .. });
            let CpInfo::VirtualMethod { class, .. } = pool(c, register) else { panic!() };
            *class = main;
        }),
        applet("pool.super-method", "a class of another package", |c| {
            let CpInfo::SuperMethod { class, token } = pool(c, |e| e.tag() == 4) else { panic!() };
            (*class, *token) = (ClassRef::External { package: 1, class: 3 }, 4);
        }),
        applet("pool.super-method", "a method the superclass lacks", |c| {
            let CpInfo::SuperMethod { token, .. } = pool(c, |e| e.tag() == 4) else { panic!() };
            *token = 0x85;
        }),
        applet("pool.static-field", "between two fields", |c| {
            let CpInfo::StaticField(reference) = pool(c, |e| e.tag() == 5) else { panic!() };
            *reference = StaticRef::internal(1);
        }),
        applet("pool.static-method", "not where a method begins", |c| {
            let CpInfo::StaticMethod(StaticRef::Internal { offset, .. }) = pool(c, |e| matches!(e, CpInfo::StaticMethod(StaticRef::Internal { .. }))) else { panic!() };
            *offset += 1;
        }),
        applet("pool.static-method", "a virtual method", |c| {
            let offset = method(c, MAIN, 2).method_offset;
            *pool(c, |e| matches!(e, CpInfo::StaticMethod(StaticRef::Internal { .. }))) = CpInfo::StaticMethod(StaticRef::internal(offset));
        }),
        applet("pool.static-method", "a token the class lacks", |c| {
            let CpInfo::StaticMethod(StaticRef::External { token, .. }) = pool(c, |e| matches!(e, CpInfo::StaticMethod(StaticRef::External { .. }))) else { panic!() };
            *token = 77;
        }),
        applet("pool.type", "equals under the type of another method", |c| {
            let CpInfo::VirtualMethod { token, .. } = pool(c, |e| matches!(e, CpInfo::VirtualMethod { class, .. } if imported(*class))) else { panic!() };
            *token = 0;
        }),
        applet("pool.type", "the type of another entry", |c| {
            let types = &mut c.descriptor.as_mut().unwrap().types.constant_pool_types;
            let fields: Vec<usize> = (0..types.len()).filter(|i| c.constant_pool.entries[*i].tag() == 2).collect();
            let other = *fields.iter().find(|i| types[**i] != types[fields[0]]).unwrap();
            types[fields[0]] = types[other];
        }),
    ]
}

#[rustfmt::skip]
fn class() -> Vec<Case> {
    vec![
        applet("class.flags", "an undefined flag", |c| c.class.classes[BASE].flags |= 1),
        applet("class.shareable", "the flag is clear on a class", |c| c.class.classes[MAIN].flags = 0),
        applet("class.shareable", "the flag is set on a class", |c| c.class.classes[BASE].flags = CLASS_ACC_SHAREABLE),
        applet("class.shareable", "the flag is clear on an interface", |c| c.class.interfaces[0].flags = CLASS_ACC_INTERFACE),
        applet("class.superclass", "none", |c| c.class.classes[BASE].superclass = None),
        applet("class.superclass", "itself", |c| c.class.classes[BASE].superclass = Some(ClassRef::Internal(c.class.classes[BASE].offset))),
        applet("class.superclass", "a later class", |c| c.class.classes[BASE].superclass = Some(ClassRef::Internal(c.class.classes[MAIN].offset))),
        applet("class.superclass", "an interface", |c| c.class.classes[BASE].superclass = Some(ClassRef::Internal(0))),
        applet("class.superinterfaces", "one missing", |c| { let i = &mut c.class.interfaces[2].superinterfaces; i[1] = i[0]; }),
        applet("class.superinterfaces", "a class", |c| c.class.interfaces[0].superinterfaces[0] = ClassRef::External { package: 0, class: 0 }).only_first(),
        applet("class.interfaces", "one missing", |c| {
            let main = &mut c.class.classes[MAIN];
            let first = main.interfaces[0].interface;
            main.interfaces[3].interface = first;
            described(c, MAIN).interfaces[3] = first;
        }),
        applet("class.instance-size", "one cell more", |c| c.class.classes[BASE].declared_instance_size += 1),
        applet("class.references", "another first reference", |c| c.class.classes[BASE].first_reference_token += 1),
        applet("class.references", "a reference less", |c| c.class.classes[MAIN].reference_count -= 1),
        applet("class.public-table", "begins too high", |c| c.class.classes[SQUARE].public_method_table_base += 1),
        applet("class.package-table", "begins too high", |c| c.class.classes[SQUARE].package_method_table_base += 1),
        applet("class.package-table", "not at 0 below an imported class", |c| c.class.classes[MAIN].package_method_table_base = 1),
        applet("class.table-entry", "two entries exchanged", |c| c.class.classes[BASE].public_virtual_method_table.swap(0, 2)),
        applet("class.table-entry", "inherited, though it is not", |c| c.class.classes[BASE].public_virtual_method_table[0] = TABLE_ENTRY_INHERITED),
        applet("class.override-type", "other parameters", |c| {
            let index = described(c, MAIN).methods.iter().rposition(|m| m.token == 7).unwrap();
            let other = described(c, MAIN).methods.iter().position(|m| m.access_flags == access::PRIVATE).unwrap();
            let other = method(c, MAIN, other).type_offset;
            method(c, MAIN, index).type_offset = other;
        }),
        applet("class.interface-mapping", "a token nobody has", |c| c.class.classes[SQUARE].interfaces[0].tokens[0] = 100),
        applet("class.interface-mapping", "a package token", |c| c.class.classes[SQUARE].interfaces[0].tokens[0] = 0x80),
        applet("class.interface-method-type", "another method", |c| c.class.classes[SQUARE].interfaces[0].tokens[0] = 0),
    ]
}

#[rustfmt::skip]
fn method_component() -> Vec<Case> {
    vec![
        applet("method.layout", "a byte behind the last method", |c| c.method.methods.push(0)),
        applet("method.layout", "a method one byte shorter", |c| method(c, MAIN, 2).bytecode_count -= 1),
        applet("method.layout", "an interface method with an offset", |c| c.descriptor.as_mut().unwrap().classes[0].methods[0].method_offset = 80),
        applet("method.header", "an undefined flag", |c| header(c, MAIN, 2)[0] |= 0x20),
        applet("method.header", "an abstract flag on code", |c| header(c, MAIN, 2)[0] |= 0x40),
        applet("method.nargs", "one more", |c| header(c, MAIN, 2)[1] += 0x10),
        applet("code.empty", "no code", |c| {
            // The code of the last method goes, and with it what ReferenceLocation has of it.
            let last = described(c, MAIN).methods.len() - 1;
            let count = usize::from(std::mem::take(&mut method(c, MAIN, last).bytecode_count));
            let len = c.method.methods.len() - count;
            c.method.methods.truncate(len);
        }),
        applet("handler.table", "a handler less", |c| method(c, MAIN, 8).exception_handler_count -= 1).only_first(),
        applet("handler.table", "another first handler", |c| method(c, MAIN, 8).exception_handler_index += 1),
        applet("handler.range", "not from an instruction on", |c| c.method.handlers[0].start_offset += 1),
        applet("handler.range", "into an instruction", |c| c.method.handlers[0].active_length += 1),
        applet("handler.range", "nothing", |c| c.method.handlers[0].active_length = 0),
        applet("handler.range", "beyond the method", |c| c.method.handlers[1].active_length += 200),
        applet("handler.target", "inside an instruction", |c| c.method.handlers[0].handler_offset += 1),
        applet("handler.catch-type", "a field", |c| c.method.handlers[0].catch_type_index = c.constant_pool.entries.iter().position(|e| e.tag() == 2).unwrap().max(1) as u16).only_first(),
        applet("handler.order", "descending", |c| {
            let [first, second, ..] = &mut c.method.handlers[..] else { panic!() };
            std::mem::swap(first, second);
            // ReferenceLocation has the catch type of the first: both have one now.
        }).and("location.byte2").and("handler.stop-bit"),
        instruction("code.opcode", "B9", Opcode::Smul, |code| code[0] = 0xB9),
        applet("code.truncated", "a branch at the end", |c| { let last = c.method.methods.len() - 1; c.method.methods[last] = Opcode::Goto as u8; }),
        instruction("code.operand", "an array of longs", Opcode::Instanceof, |code| code[1] = 15).only_first(),
        instruction("code.interface-nargs", "one more", Opcode::Invokeinterface, |code| code[1] += 1),
        instruction("code.interface-method", "a token the interface lacks", Opcode::Invokeinterface, |code| code[4] = 9),
    ]
}

#[rustfmt::skip]
fn rest() -> Vec<Case> {
    vec![
        applet("static.image-size", "one byte more", |c| c.static_field.image_size += 1),
        applet("static.array-init", "half a short", |c| { c.static_field.array_inits[1].values.pop(); }),
        applet("static.array-init", "an array of references", |c| c.static_field.array_inits[0].element_type = 6),
        applet("static.array-init", "shorts for a byte array", |c| c.static_field.array_inits[0].element_type = 4),
        applet("static.array-init", "a boolean of 2", |c| c.static_field.array_inits[0].element_type = 2),
        library("static.library", "a table in a library", |c| {
            c.static_field.array_inits.push(ArrayInit { element_type: 5, values: vec![0; 8] });
        }),
        applet("static.layout", "two fields in one place", |c| {
            let other = described(c, MAIN).fields[1].field_ref;
            described(c, MAIN).fields[2].field_ref = other;
        }).only_first(),
        applet("static.layout", "a reference among the primitives", |c| {
            c.static_field.reference_count -= 1;
            c.static_field.default_value_count += 2;
        }),
        applet("location.byte", "one further", |c| c.reference_location.byte_deltas[1] += 1),
        applet("location.byte2", "one further", |c| c.reference_location.byte2_deltas[2] += 1),
        applet("location.byte2", "one less", |c| { c.reference_location.byte2_deltas.pop(); }),
        applet("location.byte2", "the same with needless bytes", |c| {
            c.reference_location.byte2_deltas.push(255);
        }),
        library("export.class", "in another order", |c| c.export.as_mut().unwrap().classes.swap(0, 1)),
        library("export.class", "one less", |c| { c.export.as_mut().unwrap().classes.pop(); }),
        library("export.class", "no class begins there", |c| c.export.as_mut().unwrap().classes[1].class_offset += 1),
        applet("export.class", "an ordinary class of an applet package", |c| c.export.as_mut().unwrap().classes[0].class_offset = c.class.classes[MAIN].offset),
        library("export.static-field", "in another order", |c| c.export.as_mut().unwrap().classes[1].static_field_offsets.swap(0, 1)),
        library("export.static-method", "one less", |c| { c.export.as_mut().unwrap().classes[1].static_method_offsets.pop(); }),
        library("export.file", "another class", |_| ()).with(own_file(|_| ())),
        library("export.file", "another signature", |_| ()).with(own_file(|file| {
            file.classes = vec![class_of("Counter", 0, "(S)I"), class_of("Long", 1, "(I)I")];
        })),
    ]
}

fn class_of(name: &str, token: u8, signature: &str) -> ExportClass {
    ExportClass {
        name: format!("test/{name}"),
        token,
        access: if name == "Long" { 1 } else { 0x0601 },
        superclass: None,
        supers: Vec::new(),
        interfaces: Vec::new(),
        fields: Vec::new(),
        methods: vec![jpkise_cap::exports::ExportMethod {
            name: "next".into(),
            descriptor: signature.into(),
            access: 1,
            token: u8::from(name == "Long"),
        }],
    }
}

/// The library's own export file, changed.
pub fn own_file(change: impl FnOnce(&mut ExportPackage)) -> ExportSet {
    let mut file = ExportPackage {
        name: "test".into(),
        aid: PACKAGE.parse().unwrap(),
        version: PackageVersion::new(1, 0),
        library: true,
        classes: vec![class_of("Counter", 0, "(I)I")],
    };
    change(&mut file);
    let mut set = ExportSet::any_platform();
    set.add(file);
    set
}

/// The export file that fits the library.
pub fn fitting_file() -> ExportSet {
    own_file(|file| file.classes.push(class_of("Long", 1, "(I)I")))
}
