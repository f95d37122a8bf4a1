//! The Debug component (JCVM 6.14), for `--debug`.

use std::collections::HashMap;

use super::components::{Bodies, Built};
use super::package::{FieldSlot, Package, Role, TypeName};
use super::statics::Image;
use crate::classfile::acc;
use crate::model::{Debug, DebugClass, DebugField, DebugLine, DebugMethod, DebugVariable};

/// ACC_SHAREABLE in Debug's class flags (JCVM table 6-17).
const DEBUG_ACC_SHAREABLE: u16 = 0x0800;

#[derive(Default)]
struct Strings {
    all: Vec<Vec<u8>>,
    index: HashMap<String, u16>,
}

impl Strings {
    fn index(&mut self, text: &str) -> u16 {
        if let Some(index) = self.index.get(text) {
            return *index;
        }
        let index = u16::try_from(self.all.len()).unwrap_or(u16::MAX);
        self.all.push(text.as_bytes().to_vec());
        self.index.insert(text.to_owned(), index);
        index
    }
}

fn short(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Names, lines and variables of everything in the CAP.
pub(super) fn component(package: &Package<'_>, built: &Built, bodies: &Bodies, image: &Image) -> Debug {
    let mut strings = Strings::default();
    let package_name_index = strings.index(&package.name);
    let offsets = built.cap.class.interfaces.iter().map(|i| i.offset);
    let offsets = offsets.chain(built.cap.class.classes.iter().map(|c| c.offset));
    let classes = (0..package.classes.len())
        .zip(offsets)
        .map(|(c, at)| class(package, c, at, built, bodies, image, &mut strings));
    let classes = classes.collect();
    Debug { strings: strings.all, package_name_index, classes }
}

fn class(
    package: &Package<'_>,
    index: usize,
    location: u16,
    built: &Built,
    bodies: &Bodies,
    image: &Image,
    strings: &mut Strings,
) -> DebugClass {
    let class = &package.classes[index];
    let shareable = package.is_shareable_interface(&TypeName::Own(index));
    let kept = acc::PUBLIC | acc::FINAL | acc::INTERFACE | acc::ABSTRACT;
    let interface_names_indexes = class.interfaces.iter().map(|i| match i {
        TypeName::Own(index) => package.classes[*index].file.name.clone(),
        TypeName::Imported(name) => name.clone(),
    });
    let interface_names: Vec<String> = interface_names_indexes.collect();
    DebugClass {
        name_index: strings.index(&class.file.name),
        access_flags: class.file.access & kept | if shareable { DEBUG_ACC_SHAREABLE } else { 0 },
        location,
        superclass_name_index: strings.index(class.file.superclass.as_deref().unwrap_or("java/lang/Object")),
        source_file_index: strings.index(class.file.source_file.as_deref().unwrap_or("")),
        interface_name_indexes: interface_names.iter().map(|name| strings.index(name)).collect(),
        fields: (0..class.fields.len()).map(|f| field(package, index, f, image, strings)).collect(),
        methods: (0..class.methods.len())
            .filter(|m| class.methods[*m].role != Role::StaticInitializer)
            .map(|m| method(package, index, m, built, bodies, strings))
            .collect(),
    }
}

fn field(
    package: &Package<'_>,
    class: usize,
    index: usize,
    image: &Image,
    strings: &mut Strings,
) -> DebugField {
    let owner = &package.classes[class];
    let field = &owner.file.fields[index];
    let contents = match owner.fields[index] {
        FieldSlot::Constant(value) => u32::from_be_bytes(value.to_be_bytes()),
        FieldSlot::Static(_) => image.offsets.get(&(class, index)).copied().unwrap_or(0).into(),
        FieldSlot::Instance(token) => token.into(),
    };
    let kept = acc::PUBLIC | acc::PRIVATE | acc::PROTECTED | acc::STATIC | acc::FINAL;
    DebugField {
        name_index: strings.index(&field.name),
        descriptor_index: strings.index(&field.descriptor),
        access_flags: field.access & kept,
        contents,
    }
}

fn method(
    package: &Package<'_>,
    class: usize,
    index: usize,
    built: &Built,
    bodies: &Bodies,
    strings: &mut Strings,
) -> DebugMethod {
    let method = &package.classes[class].file.methods[index];
    let (location, header_size) = built.methods.get(&(class, index)).copied().unwrap_or((0, 0));
    let body = bodies.get(&(class, index));
    let kept = acc::PUBLIC | acc::PRIVATE | acc::PROTECTED | acc::STATIC | acc::FINAL | acc::ABSTRACT;
    let mut variables = Vec::new();
    let mut lines: Vec<DebugLine> = Vec::new();
    if let Some(body) = body {
        for v in &body.variables {
            variables.push(DebugVariable {
                index: v.cell,
                name_index: strings.index(&v.name),
                descriptor_index: strings.index(&v.descriptor),
                start_pc: short(v.start),
                length: short(v.len),
            });
        }
        for (instruction, source, _) in &body.code {
            let Some(line) = method.code.as_ref().and_then(|code| code.line(*source)) else { continue };
            let (start, end) = (short(instruction.offset), short(instruction.offset + instruction.len() - 1));
            match lines.last_mut() {
                Some(last) if last.source_line == line => last.end_pc = end,
                _ => lines.push(DebugLine { start_pc: start, end_pc: end, source_line: line }),
            }
        }
    }
    DebugMethod {
        name_index: strings.index(&method.name),
        descriptor_index: strings.index(&method.descriptor),
        access_flags: method.access & kept,
        location,
        header_size: u8::try_from(header_size).unwrap_or(u8::MAX),
        body_size: short(body.map_or(0, |b| b.len)),
        variables,
        lines,
    }
}
