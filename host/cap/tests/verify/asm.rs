//! An assembler for CAP files: readable text in, a CAP file out that keeps all the rules.
//!
//! It works out tokens, tables, offsets and reference locations by itself and shares no code with verifier or
//! converter. What tests want wrong they write wrong, or change afterwards.
//!
//! ```text
//! import javacard/framework 1.5
//! applet Main                                    the class whose `install` the Applet component names
//! interface Shape [public] [extends A,B]
//! class Main extends X [implements A,B] [public] [final] [abstract]
//!   field x S [private…] [static] [final] [= 5 | = 1,2,3]
//!   method name (S)V [public…] [static] [stack N] [locals N]
//!     label:
//!     mnemonic operands                          members as Owner.name or Owner.name(desc)
//!     catch FROM TO HANDLER any|Class [stop]
//! ```
//! Own classes have names without slashes.

use std::collections::HashMap;

use jpkise_cap::code::{Instruction, Operands};
use jpkise_cap::exports::{embedded, ExportClass, ExportPackage};
use jpkise_cap::model::*;
use jpkise_cap::opcodes::{Layout, Opcode, OPCODES};

pub const PACKAGE: &str = "F06A706B697365";

#[derive(Default, Clone)]
struct Class {
    name: String,
    interface: bool,
    superclass: String,
    interfaces: Vec<String>,
    flags: u8,
    fields: Vec<Field>,
    methods: Vec<Method>,
}

#[derive(Clone)]
struct Field {
    name: String,
    desc: String,
    flags: u8,
    value: Option<Vec<i32>>,
}

#[derive(Clone)]
struct Method {
    name: String,
    desc: String,
    flags: u8,
    stack: u8,
    locals: u8,
    lines: Vec<String>,
}

impl Method {
    fn is_static_kind(&self) -> bool {
        self.flags & (access::STATIC | access::PRIVATE | access::METHOD_INIT) != 0
    }

    fn key(&self) -> (String, String) {
        (self.name.clone(), self.desc.clone())
    }
}

fn flag(word: &str) -> Option<u8> {
    Some(match word {
        "public" => access::PUBLIC,
        "private" => access::PRIVATE,
        "protected" => access::PROTECTED,
        "static" => access::STATIC,
        "final" => access::FINAL,
        _ => return None,
    })
}

/// What an entry of a virtual method table is.
#[derive(Clone)]
enum Slot {
    Own(String, usize),
    Imported,
}

type Slots = Vec<((String, String), Slot)>;

#[derive(Default)]
struct Assembler {
    imports: Vec<&'static ExportPackage>,
    applets: Vec<String>,
    int: bool,
    classes: Vec<Class>,
    class_offsets: HashMap<String, u16>,
    /// By class and method index.
    method_offsets: HashMap<(String, usize), u16>,
    field_places: HashMap<(String, String), u16>,
    pool: Vec<(CpInfo, Option<Vec<Type>>)>,
    pool_keys: HashMap<String, u16>,
    byte: Vec<u16>,
    byte2: Vec<u16>,
}

/// Assembles a CAP file of format 2.1.
pub fn assemble(text: &str) -> Cap {
    let mut asm = Assembler::default();
    asm.parse(text);
    // The first round finds out how long everything is, the second one fills in where it is.
    asm.place_classes();
    asm.place_fields();
    asm.methods();
    asm.pool.clear();
    asm.pool_keys.clear();
    let method = asm.methods();
    asm.finish(method)
}

impl Assembler {
    fn parse(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |key: &str| words.iter().position(|w| *w == key).map(|i| words[i + 1]);
            let list = |key: &str| -> Vec<String> {
                after(key).map(|names| names.split(',').map(String::from).collect()).unwrap_or_default()
            };
            let flags: u8 = words.iter().filter_map(|w| flag(w)).sum();
            let is_abstract = words.contains(&"abstract");
            match words[0] {
                "import" => {
                    let version = words[2].parse().unwrap();
                    self.imports.push(embedded(words[1], version).expect(line));
                }
                "applet" => self.applets.push(words[1].into()),
                "flags" => self.int = words.contains(&"int"),
                "interface" => self.classes.push(Class {
                    name: words[1].into(),
                    interface: true,
                    interfaces: list("extends"),
                    flags: flags | access::CLASS_INTERFACE | access::CLASS_ABSTRACT,
                    ..Class::default()
                }),
                "class" => self.classes.push(Class {
                    name: words[1].into(),
                    superclass: after("extends").unwrap_or("java/lang/Object").into(),
                    interfaces: list("implements"),
                    flags: flags | if is_abstract { access::CLASS_ABSTRACT } else { 0 },
                    ..Class::default()
                }),
                "field" => {
                    let value = after("=").map(|v| v.split(',').map(|n| n.parse().unwrap()).collect());
                    let field = Field { name: words[1].into(), desc: words[2].into(), flags, value };
                    self.classes.last_mut().unwrap().fields.push(field);
                }
                "method" => {
                    let class = self.classes.last_mut().unwrap();
                    let number = |key| after(key).map_or(0, |n| n.parse().unwrap());
                    let mut flags = flags;
                    if is_abstract || class.interface {
                        flags |= access::METHOD_ABSTRACT;
                    }
                    if words[1] == "<init>" {
                        flags |= access::METHOD_INIT;
                    }
                    class.methods.push(Method {
                        name: words[1].into(),
                        desc: words[2].into(),
                        flags,
                        stack: number("stack"),
                        locals: number("locals"),
                        lines: Vec::new(),
                    });
                }
                _ => {
                    let method = self.classes.last_mut().and_then(|c| c.methods.last_mut());
                    method.expect(line).lines.push(line.into());
                }
            }
        }
    }

    fn own(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|c| c.name == name)
    }

    fn exported(&self, name: &str) -> (u8, &'static ExportClass) {
        let find = |(index, p): (usize, &&'static ExportPackage)| Some((index as u8, p.class(name)?));
        self.imports.iter().enumerate().find_map(find).unwrap_or_else(|| panic!("no class {name}"))
    }

    fn class_ref(&self, name: &str) -> ClassRef {
        match self.own(name) {
            Some(_) => ClassRef::Internal(*self.class_offsets.get(name).unwrap_or(&0)),
            None => {
                let (package, class) = self.exported(name);
                ClassRef::External { package, class: class.token }
            }
        }
    }

    /// All superinterfaces of an interface, or all interfaces a class has to list.
    fn interface_closure(&self, direct: &[String]) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for name in direct {
            let more = match self.own(name) {
                Some(class) => self.interface_closure(&class.interfaces),
                None => self.exported(name).1.interfaces.clone(),
            };
            for name in std::iter::once(name.clone()).chain(more) {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        all
    }

    fn is_shareable(&self, names: &[String]) -> bool {
        names.iter().any(|n| n == "javacard/framework/Shareable")
    }

    /// Methods of a class or interface by token; `package` for those of package visibility.
    fn slots(&self, name: &str, package: bool) -> Slots {
        let Some(class) = self.own(name) else {
            let mut methods: Vec<_> = match package {
                true => Vec::new(),
                false => self.exported(name).1.methods.iter().filter(|m| !m.is_static_kind()).collect(),
            };
            methods.sort_by_key(|m| m.token);
            return methods
                .iter()
                .map(|m| ((m.name.clone(), m.descriptor.clone()), Slot::Imported))
                .collect();
        };
        let mut slots = Slots::new();
        if class.interface {
            for base in &class.interfaces {
                for slot in self.slots(base, false) {
                    if !slots.iter().any(|s| s.0 == slot.0) {
                        slots.push(slot);
                    }
                }
            }
        } else {
            slots = self.slots(&class.superclass, package);
        }
        for (index, method) in class.methods.iter().enumerate().filter(|(_, m)| !m.is_static_kind()) {
            let visible = method.flags & (access::PUBLIC | access::PROTECTED) != 0;
            let slot = (method.key(), Slot::Own(class.name.clone(), index));
            match slots.iter_mut().find(|s| s.0 == slot.0) {
                Some(known) => *known = slot,
                None if visible != package => slots.push(slot),
                None => {}
            }
        }
        slots
    }

    fn virtual_token(&self, class: &str, key: &(String, String)) -> u8 {
        let find = |package| self.slots(class, package).iter().position(|s| s.0 == *key);
        match (find(false), find(true)) {
            (Some(token), _) => token as u8,
            (None, Some(token)) => 0x80 | token as u8,
            _ => panic!("{class} has no {key:?}"),
        }
    }

    /// Token of each static method and constructor that has one.
    fn static_tokens(class: &Class) -> HashMap<usize, u8> {
        let visible = |m: &Method| m.flags & (access::PUBLIC | access::PROTECTED) != 0;
        let with = class.methods.iter().enumerate().filter(|(_, m)| m.is_static_kind() && visible(m));
        with.enumerate().map(|(token, (index, _))| (index, token as u8)).collect()
    }

    fn table(&self, class: &Class, package: bool) -> (u8, Slots) {
        let slots = self.slots(&class.name, package);
        let own = |s: &Slot| matches!(s, Slot::Own(owner, _) if *owner == class.name);
        let base = slots.iter().position(|s| own(&s.1)).unwrap_or(slots.len());
        let imported = self.own(&class.superclass).is_none();
        let base = if package && imported { 0 } else { base };
        (base as u8, slots[base..].to_vec())
    }

    fn mapping(&self, class: &Class) -> Vec<(String, Vec<u8>)> {
        let names = self.interface_closure(&class.interfaces);
        let token = |key: &(String, String)| self.virtual_token(&class.name, key);
        names
            .into_iter()
            .map(|name| (name.clone(), self.slots(&name, false).iter().map(|s| token(&s.0)).collect()))
            .collect()
    }

    fn place_classes(&mut self) {
        let mut at = 0;
        for class in self.classes.clone() {
            self.class_offsets.insert(class.name.clone(), at);
            at += if class.interface {
                1 + 2 * self.interface_closure(&class.interfaces).len()
            } else {
                let tables = self.table(&class, false).1.len() + self.table(&class, true).1.len();
                let maps = self.mapping(&class).iter().map(|m| 3 + m.1.len()).sum::<usize>();
                10 + 2 * tables + maps
            } as u16;
        }
    }

    /// Instance fields get tokens: visible primitives, visible references, other references, other primitives.
    /// Static ones get places: arrays with values, references, primitives that are 0, others.
    fn place_fields(&mut self) {
        let mut image = 0;
        let all: Vec<(String, Field)> =
            self.classes.iter().flat_map(|c| c.fields.iter().map(|f| (c.name.clone(), f.clone()))).collect();
        for part in 0..4 {
            for (class, field) in all.iter().filter(|(_, f)| f.flags & access::STATIC != 0) {
                if static_part(field) == part {
                    self.field_places.insert((class.clone(), field.name.clone()), image);
                    image += static_size(&field.desc);
                }
            }
        }
        for class in &self.classes {
            let mut token = 0;
            for part in 0..4 {
                for field in class.fields.iter().filter(|f| f.flags & access::STATIC == 0) {
                    let visible = field.flags & (access::PUBLIC | access::PROTECTED) != 0;
                    if part == [[3, 2], [0, 1]][usize::from(visible)][usize::from(is_reference(&field.desc))]
                    {
                        self.field_places.insert((class.name.clone(), field.name.clone()), token);
                        token += if field.desc == "I" { 2 } else { 1 };
                    }
                }
            }
        }
    }

    fn ty(&self, desc: &str) -> (Type, usize) {
        match desc.as_bytes()[0] {
            b'V' => (Type::Void, 1),
            b'Z' => (Type::Boolean, 1),
            b'B' => (Type::Byte, 1),
            b'S' => (Type::Short, 1),
            b'I' => (Type::Int, 1),
            b'L' => {
                let end = desc.find(';').unwrap();
                (Type::Reference(self.class_ref(&desc[1..end])), end + 1)
            }
            b'[' => {
                let (element, len) = self.ty(&desc[1..]);
                let element = match element {
                    Type::Boolean => ArrayElement::Boolean,
                    Type::Byte => ArrayElement::Byte,
                    Type::Short => ArrayElement::Short,
                    Type::Int => ArrayElement::Int,
                    Type::Reference(class) => ArrayElement::Reference(class),
                    other => panic!("array of {other:?}"),
                };
                (Type::Array(element), len + 1)
            }
            _ => panic!("type {desc}"),
        }
    }

    /// The types of a field or of a signature, result last.
    fn types(&self, desc: &str) -> Vec<Type> {
        let mut left = desc.trim_start_matches(['(', ')']);
        let mut types = Vec::new();
        while !left.is_empty() {
            let (ty, len) = self.ty(left);
            types.push(ty);
            left = left[len..].trim_start_matches(')');
        }
        types
    }

    fn entry(&mut self, key: String, build: impl FnOnce(&Self) -> (CpInfo, Option<Vec<Type>>)) -> u16 {
        if let Some(index) = self.pool_keys.get(&key) {
            return *index;
        }
        let entry = build(self);
        let index = self.pool.len() as u16;
        self.pool.push(entry);
        self.pool_keys.insert(key, index);
        index
    }

    fn class_entry(&mut self, name: &str) -> u16 {
        let class = self.class_ref(name);
        self.entry(format!("class {name}"), |_| (CpInfo::class(class), None))
    }

    fn field_entry(&mut self, text: &str) -> u16 {
        let (owner, name) = text.split_once('.').expect(text);
        self.entry(format!("field {text}"), |asm| match asm.own(owner) {
            Some(class) => {
                let field = class.fields.iter().find(|f| f.name == name).expect(text);
                let place = *asm.field_places.get(&(owner.into(), name.into())).unwrap_or(&0);
                let entry = match field.flags & access::STATIC {
                    0 => CpInfo::InstanceField { class: asm.class_ref(owner), token: place as u8 },
                    _ => CpInfo::StaticField(StaticRef::internal(place)),
                };
                (entry, Some(asm.types(&field.desc)))
            }
            None => {
                let (package, class) = asm.exported(owner);
                let field = class.fields.iter().find(|f| f.name == name).expect(text);
                let token = field.token.expect(text);
                let entry = match field.access & 8 {
                    0 => CpInfo::InstanceField { class: asm.class_ref(owner), token },
                    _ => CpInfo::StaticField(StaticRef::External { package, class: class.token, token }),
                };
                (entry, Some(asm.types(&field.descriptor)))
            }
        })
    }

    /// `Owner.name(desc)`, with `super:` in front for super calls.
    fn method_entry(&mut self, text: &str) -> u16 {
        let (is_super, member) = match text.strip_prefix("super:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let at = member.find('(').expect(text);
        let (owner, name) = member[..at].rsplit_once('.').expect(text);
        let key = (name.to_owned(), member[at..].to_owned());
        self.entry(format!("method {text}"), |asm| {
            let class = asm.class_ref(owner);
            let types = Some(asm.types(&key.1));
            let entry = match asm.own(owner) {
                Some(own) => match own.methods.iter().position(|m| m.key() == key) {
                    Some(index) if own.methods[index].is_static_kind() => {
                        let place = (owner.to_owned(), index);
                        CpInfo::StaticMethod(StaticRef::internal(
                            *asm.method_offsets.get(&place).unwrap_or(&0),
                        ))
                    }
                    _ if is_super => {
                        CpInfo::SuperMethod { class, token: asm.virtual_token(&own.superclass, &key) }
                    }
                    _ => CpInfo::VirtualMethod { class, token: asm.virtual_token(owner, &key) },
                },
                None => {
                    let (package, exported) = asm.exported(owner);
                    let method = exported.method(&key.0, &key.1).unwrap_or_else(|| panic!("no {text}"));
                    match method.is_static_kind() {
                        true => CpInfo::StaticMethod(StaticRef::External {
                            package,
                            class: exported.token,
                            token: method.token,
                        }),
                        false => CpInfo::VirtualMethod { class, token: method.token },
                    }
                }
            };
            (entry, types)
        })
    }

    fn operands(
        &mut self,
        opcode: Opcode,
        words: &[&str],
        labels: &HashMap<String, i64>,
        at: i64,
    ) -> Operands {
        let number = |index: usize| words[index].parse::<i32>().unwrap_or_else(|_| panic!("{words:?}"));
        // A displacement may also be given as a number with its sign.
        let jump = |label: &str| match label.starts_with(['+', '-']) {
            true => label.parse().unwrap(),
            false => (labels.get(label).copied().unwrap_or(at) - at) as i16,
        };
        match opcode.layout() {
            Layout::None => Operands::None,
            Layout::Byte | Layout::Short | Layout::Int => Operands::Value(number(0)),
            Layout::Local => Operands::Local(number(0) as u8),
            Layout::Nibbles => Operands::Nibbles { m: number(0) as u8, n: number(1) as u8 },
            Layout::Increment | Layout::IncrementWide => {
                Operands::Increment { local: number(0) as u8, by: number(1) as i16 }
            }
            Layout::Branch | Layout::BranchWide => Operands::Branch(jump(words[0])),
            Layout::PoolByte | Layout::PoolShort => Operands::Pool(match words[0] {
                word if word.starts_with('@') => word[1..].parse().unwrap(),
                word if word.contains('(') => self.method_entry(word),
                word if word.contains('.') => self.field_entry(word),
                word => self.class_entry(word),
            }),
            Layout::InvokeInterface => {
                let at = words[0].find('(').unwrap();
                let (owner, name) = words[0][..at].rsplit_once('.').unwrap();
                let key = (name.to_owned(), words[0][at..].to_owned());
                let cells: u8 = self.types(&key.1).split_last().unwrap().1.iter().map(|t| t.cells()).sum();
                let token = self.virtual_token(owner, &key);
                Operands::InvokeInterface { nargs: cells + 1, index: self.class_entry(owner), token }
            }
            Layout::ArrayType => Operands::ArrayType(primitive(words[0]).expect(words[0])),
            Layout::TypeCheck => {
                match (primitive(words[0].trim_end_matches("[]")), words[0].strip_suffix("[]")) {
                    (Some(atype), _) => Operands::TypeCheck { atype, index: 0 },
                    (None, Some(class)) => Operands::TypeCheck { atype: 14, index: self.class_entry(class) },
                    (None, None) => Operands::TypeCheck { atype: 0, index: self.class_entry(words[0]) },
                }
            }
            Layout::TableSwitchShort | Layout::TableSwitchInt => Operands::TableSwitch {
                low: number(0),
                high: number(1),
                default: jump(words[2]),
                offsets: words[3..].iter().map(|l| jump(l)).collect(),
            },
            Layout::LookupSwitchShort | Layout::LookupSwitchInt => Operands::LookupSwitch {
                default: jump(words[0]),
                pairs: words[1..]
                    .iter()
                    .map(|pair| {
                        let (key, label) = pair.split_once(':').unwrap();
                        (key.parse().unwrap(), jump(label))
                    })
                    .collect(),
            },
        }
    }

    fn code(&mut self, lines: &[String]) -> (Vec<Instruction>, HashMap<String, i64>) {
        let mut labels = HashMap::new();
        let mut instructions = Vec::new();
        for _ in 0..2 {
            instructions = Vec::new();
            let mut offset = 0;
            for line in lines.iter().filter(|l| !l.starts_with("catch ")) {
                if let Some(label) = line.strip_suffix(':') {
                    labels.insert(label.to_owned(), offset as i64);
                    continue;
                }
                let words: Vec<&str> = line.split_whitespace().collect();
                let info =
                    OPCODES.iter().find(|o| o.mnemonic == words[0]).unwrap_or_else(|| panic!("{line}"));
                let operands = self.operands(info.opcode, &words[1..], &labels, offset as i64);
                let instruction = Instruction { offset, opcode: info.opcode, operands };
                offset += instruction.len();
                instructions.push(instruction);
            }
        }
        (instructions, labels)
    }

    fn methods(&mut self) -> MethodComponent {
        let handler_count = self.classes.iter().flat_map(|c| &c.methods).flat_map(|m| &m.lines);
        let handler_count = handler_count.filter(|l| l.starts_with("catch ")).count();
        let start = 1 + 8 * handler_count;
        let mut out = MethodComponent::default();
        (self.byte, self.byte2) = (Vec::new(), Vec::new());
        for class in self.classes.clone().iter().filter(|c| !c.interface) {
            for (index, method) in class.methods.iter().enumerate() {
                let offset = (start + out.methods.len()) as u16;
                self.method_offsets.insert((class.name.clone(), index), offset);
                let header = self.header(method);
                out.methods.extend(header.write());
                let base = offset + header.size() as u16;
                let (instructions, labels) = self.code(&method.lines);
                for instruction in &instructions {
                    if let Some((at, one)) = instruction.pool_operand() {
                        if one { &mut self.byte } else { &mut self.byte2 }.push(base + at as u16);
                    }
                    instruction.encode(&mut out.methods);
                }
                for line in method.lines.iter().filter(|l| l.starts_with("catch ")) {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let at = |label: &str| base + labels[label] as u16;
                    let catch_type_index = match words[4] {
                        "any" => 0,
                        class => self.class_entry(class),
                    };
                    if catch_type_index != 0 {
                        self.byte2.push((1 + 8 * out.handlers.len() + 6) as u16);
                    }
                    out.handlers.push(ExceptionHandler {
                        start_offset: at(words[1]),
                        stop: words.contains(&"stop"),
                        active_length: at(words[2]) - at(words[1]),
                        handler_offset: at(words[3]),
                        catch_type_index,
                    });
                }
            }
        }
        self.byte.sort_unstable();
        self.byte2.sort_unstable();
        out
    }

    fn header(&self, method: &Method) -> MethodHeader {
        let types = self.types(&method.desc);
        let nargs = types[..types.len() - 1].iter().map(|t| t.cells()).sum::<u8>()
            + u8::from(method.flags & access::STATIC == 0);
        if method.flags & access::METHOD_ABSTRACT != 0 {
            return MethodHeader { flags: METHOD_ACC_ABSTRACT, max_stack: 0, nargs, max_locals: 0 };
        }
        let wide = [method.stack, nargs, method.locals].iter().any(|n| *n > 15);
        let flags = if wide { METHOD_ACC_EXTENDED } else { 0 };
        MethodHeader { flags, max_stack: method.stack, nargs, max_locals: method.locals }
    }

    fn class_component(&self) -> ClassComponent {
        let mut out = ClassComponent::default();
        for class in &self.classes {
            let offset = self.class_offsets[&class.name];
            let closure = self.interface_closure(&class.interfaces);
            let shareable = if self.is_shareable(&closure) { CLASS_ACC_SHAREABLE } else { 0 };
            if class.interface {
                out.interfaces.push(InterfaceInfo {
                    offset,
                    flags: CLASS_ACC_INTERFACE | shareable,
                    superinterfaces: closure.iter().map(|n| self.class_ref(n)).collect(),
                    name: None,
                });
                continue;
            }
            let entry = |(key, slot): &((String, String), Slot)| match slot {
                Slot::Imported => TABLE_ENTRY_INHERITED,
                Slot::Own(owner, index) => {
                    let method = &self.own(owner).unwrap().methods[*index];
                    assert_eq!(method.key(), *key);
                    match method.flags & access::METHOD_ABSTRACT {
                        0 => self.method_offsets[&(owner.clone(), *index)],
                        _ => 0,
                    }
                }
            };
            let (public_base, public) = self.table(class, false);
            let (package_base, package) = self.table(class, true);
            let instance = class.fields.iter().filter(|f| f.flags & access::STATIC == 0);
            let references = instance.clone().filter(|f| is_reference(&f.desc));
            let token = |f: &Field| self.field_places[&(class.name.clone(), f.name.clone())] as u8;
            out.classes.push(ClassInfo {
                offset,
                flags: shareable,
                superclass: Some(self.class_ref(&class.superclass)),
                declared_instance_size: instance.map(|f| if f.desc == "I" { 2 } else { 1 }).sum(),
                first_reference_token: references.clone().map(token).min().unwrap_or(NO_TOKEN),
                reference_count: references.count() as u8,
                public_method_table_base: public_base,
                public_virtual_method_table: public.iter().map(entry).collect(),
                package_method_table_base: package_base,
                package_virtual_method_table: package.iter().map(entry).collect(),
                interfaces: self
                    .mapping(class)
                    .into_iter()
                    .map(|(name, tokens)| ImplementedInterface { interface: self.class_ref(&name), tokens })
                    .collect(),
                remote: None,
                token_mapping: None,
            });
        }
        out
    }

    fn descriptor(&self, method: &MethodComponent, signatures: &mut TypePool) -> Vec<ClassDescriptor> {
        let mut public_classes = 0;
        let mut next_handler = 0;
        let mut out = Vec::new();
        for class in &self.classes {
            let mut token = NO_TOKEN;
            if class.flags & access::PUBLIC != 0 {
                token = public_classes;
                public_classes += 1;
            }
            let mut static_token = 0;
            let fields = class.fields.iter().map(|field| {
                let place = self.field_places[&(class.name.clone(), field.name.clone())];
                let visible = field.flags & (access::PUBLIC | access::PROTECTED) != 0;
                let (token, field_ref) = if field.flags & access::STATIC == 0 {
                    let class = self.class_ref(&class.name);
                    (place as u8, FieldRef::Instance { class, token: place as u8 })
                } else if visible {
                    static_token += 1;
                    (static_token - 1, FieldRef::Static(StaticRef::internal(place)))
                } else {
                    (NO_TOKEN, FieldRef::Static(StaticRef::internal(place)))
                };
                let ty = match field.desc.as_str() {
                    "Z" => FieldType::Primitive(2),
                    "B" => FieldType::Primitive(3),
                    "S" => FieldType::Primitive(4),
                    "I" => FieldType::Primitive(5),
                    desc => FieldType::Reference(signatures.offset(self.types(desc))),
                };
                FieldDescriptor { token, access_flags: field.flags, field_ref, ty }
            });
            let fields = fields.collect();
            let tokens = Self::static_tokens(class);
            let mut methods = Vec::new();
            for (index, m) in class.methods.iter().enumerate() {
                let place = (class.name.clone(), index);
                let offset = self.method_offsets.get(&place).copied().unwrap_or(0);
                let handlers = m.lines.iter().filter(|l| l.starts_with("catch ")).count() as u16;
                let code = m.lines.iter().filter(|l| !l.starts_with("catch ") && !l.ends_with(':'));
                let mut count = 0;
                if code.count() > 0 {
                    count = self.code_len(method, &place);
                }
                methods.push(MethodDescriptor {
                    token: match m.is_static_kind() {
                        true => tokens.get(&index).copied().unwrap_or(NO_TOKEN),
                        false => self.virtual_token(&class.name, &m.key()),
                    },
                    access_flags: m.flags,
                    method_offset: if class.interface { 0 } else { offset },
                    type_offset: signatures.offset(self.types(&m.desc)),
                    bytecode_count: count,
                    exception_handler_count: handlers,
                    exception_handler_index: if handlers > 0 { next_handler } else { 0 },
                });
                next_handler += handlers;
            }
            if class.interface {
                methods = self.interface_methods(class, signatures);
            }
            out.push(ClassDescriptor {
                token,
                access_flags: class.flags,
                this_class: self.class_ref(&class.name),
                interfaces: match class.interface {
                    true => Vec::new(),
                    false => self.mapping(class).iter().map(|m| self.class_ref(&m.0)).collect(),
                },
                fields,
                methods,
            });
        }
        out
    }

    fn interface_methods(&self, class: &Class, signatures: &mut TypePool) -> Vec<MethodDescriptor> {
        let slots = self.slots(&class.name, false);
        let method = |(token, slot): (usize, &((String, String), Slot))| MethodDescriptor {
            token: token as u8,
            access_flags: access::PUBLIC | access::METHOD_ABSTRACT,
            method_offset: 0,
            type_offset: signatures.offset(self.types(&slot.0 .1)),
            bytecode_count: 0,
            exception_handler_count: 0,
            exception_handler_index: 0,
        };
        slots.iter().enumerate().map(method).collect()
    }

    /// Up to the next method, or the end.
    fn code_len(&self, method: &MethodComponent, place: &(String, usize)) -> u16 {
        let offset = self.method_offsets[place];
        let end = self.method_offsets.values().filter(|o| **o > offset).min().copied();
        let end = end.unwrap_or(method.info_len() as u16);
        end - offset - method.header_at(offset).unwrap().size() as u16
    }

    fn static_field(&self) -> StaticField {
        let fields: Vec<&Field> = self.classes.iter().flat_map(|c| &c.fields).collect();
        let part = |part| {
            let wanted = move |f: &&&Field| f.flags & access::STATIC != 0 && static_part(f) == part;
            fields.iter().filter(wanted)
        };
        let bytes = |desc: &str, values: &[i32]| -> Vec<u8> {
            let len = match desc {
                "Z" | "B" => 1,
                "S" => 2,
                _ => 4,
            };
            values.iter().flat_map(|v| v.to_be_bytes()[4 - len..].to_vec()).collect()
        };
        let array_inits: Vec<ArrayInit> = part(0)
            .map(|f| ArrayInit {
                element_type: 2 + "ZBSI".find(&f.desc[1..]).unwrap() as u8,
                values: bytes(&f.desc[1..], f.value.as_ref().unwrap()),
            })
            .collect();
        let non_default_values: Vec<u8> =
            part(3).flat_map(|f| bytes(&f.desc, f.value.as_ref().unwrap())).collect();
        let default_value_count = part(2).map(|f| static_size(&f.desc)).sum();
        let reference_count = (part(0).count() + part(1).count()) as u16;
        StaticField {
            image_size: 2 * reference_count + default_value_count + non_default_values.len() as u16,
            reference_count,
            array_inits,
            default_value_count,
            non_default_values,
        }
    }

    fn export(&self, classes: &[ClassDescriptor]) -> Option<Export> {
        let mut export = Export::default();
        for (class, described) in self.classes.iter().zip(classes) {
            let shareable = class.interface && self.is_shareable(&self.interface_closure(&class.interfaces));
            let wanted = if self.applets.is_empty() { true } else { shareable };
            if !wanted || class.flags & access::PUBLIC == 0 {
                continue;
            }
            let tokens = Self::static_tokens(class);
            let mut methods: Vec<(u8, u16)> =
                tokens.iter().map(|(i, token)| (*token, described.methods[*i].method_offset)).collect();
            methods.sort_unstable();
            let fields = class.fields.iter().zip(&described.fields);
            export.classes.push(ClassExport {
                class_offset: self.class_offsets[&class.name],
                static_field_offsets: fields
                    .filter(|(f, d)| f.flags & access::STATIC != 0 && d.token != NO_TOKEN)
                    .map(|(f, _)| self.field_places[&(class.name.clone(), f.name.clone())])
                    .collect(),
                static_method_offsets: methods.into_iter().map(|m| m.1).collect(),
            });
        }
        (!export.classes.is_empty()).then_some(export)
    }

    fn finish(mut self, method: MethodComponent) -> Cap {
        let mut signatures = TypePool::new(self.pool.len());
        let pool_types: Vec<u16> = std::mem::take(&mut self.pool)
            .into_iter()
            .map(|(entry, types)| {
                signatures.pool.push(entry);
                types.map_or(0xFFFF, |types| signatures.offset(types))
            })
            .collect();
        let classes = self.descriptor(&method, &mut signatures);
        let applets = self.applets.iter().enumerate().map(|(number, name)| {
            let class = self.own(name).unwrap();
            let index = class.methods.iter().position(|m| m.name == "install").unwrap();
            AppletEntry {
                aid: format!("{PACKAGE}{:02X}", number + 1).parse().unwrap(),
                install_method_offset: self.method_offsets[&(name.clone(), index)],
            }
        });
        let applet = (!self.applets.is_empty()).then(|| Applet { applets: applets.collect() });
        let export = self.export(&classes);
        let flags = u8::from(self.int) * FLAG_INT
            | if export.is_some() { FLAG_EXPORT } else { 0 }
            | if applet.is_some() { FLAG_APPLET } else { 0 };
        let package = |p: &&ExportPackage| PackageInfo { aid: p.aid, version: p.version };
        let mut cap = Cap {
            folder: "test/javacard".into(),
            header: Header {
                format: FormatVersion::V2_1,
                flags,
                package: PackageInfo { aid: PACKAGE.parse().unwrap(), version: PackageVersion::new(1, 0) },
                package_name: None,
            },
            directory: Directory::default(),
            applet,
            import: Import { packages: self.imports.iter().map(package).collect() },
            constant_pool: ConstantPool { entries: signatures.pool.clone() },
            class: self.class_component(),
            method,
            static_field: self.static_field(),
            reference_location: ReferenceLocation::from_positions(&self.byte, &self.byte2),
            export,
            descriptor: Some(Descriptor {
                classes,
                types: TypeTable { constant_pool_types: pool_types, entries: signatures.entries },
            }),
            debug: None,
            raw: Vec::new(),
            others: Vec::new(),
        };
        fill_directory(&mut cap);
        cap
    }
}

/// Makes Directory say what the other components are.
pub fn fill_directory(cap: &mut Cap) {
    for tag in ComponentTag::ALL.into_iter().take(11) {
        let len = cap.component_info(tag).map_or(0, |info| info.len());
        cap.directory.sizes[tag as usize - 1] = len as u16;
    }
    cap.directory.static_field_size = StaticFieldSize {
        image_size: cap.static_field.image_size,
        array_init_count: cap.static_field.array_inits.len() as u16,
        array_init_size: cap.static_field.array_inits.iter().map(|i| i.values.len() as u16).sum(),
    };
    cap.directory.import_count = cap.import.packages.len() as u8;
    cap.directory.applet_count = cap.applet.as_ref().map_or(0, |a| a.applets.len() as u8);
}

/// Type descriptors under construction.
struct TypePool {
    entries: Vec<TypeEntry>,
    next: u16,
    pool: Vec<CpInfo>,
}

impl TypePool {
    fn new(pool_len: usize) -> Self {
        Self { entries: Vec::new(), next: 2 + 2 * pool_len as u16, pool: Vec::new() }
    }

    fn offset(&mut self, types: Vec<Type>) -> u16 {
        let descriptor = TypeDescriptor::encode(&types).unwrap();
        if let Some(known) = self.entries.iter().find(|e| e.descriptor == descriptor) {
            return known.offset;
        }
        let offset = self.next;
        self.next += descriptor.size() as u16;
        self.entries.push(TypeEntry { offset, descriptor });
        offset
    }
}

fn is_reference(desc: &str) -> bool {
    desc.starts_with(['L', '['])
}

fn static_size(desc: &str) -> u16 {
    match desc {
        "Z" | "B" => 1,
        "I" => 4,
        _ => 2,
    }
}

/// Which part of the image a static field lies in.
fn static_part(field: &Field) -> usize {
    match (is_reference(&field.desc), &field.value) {
        (true, Some(_)) => 0,
        (true, None) => 1,
        (false, None) => 2,
        (false, Some(_)) => 3,
    }
}

fn primitive(name: &str) -> Option<u8> {
    Some(match name {
        "boolean" => 10,
        "byte" => 11,
        "short" => 12,
        "int" => 13,
        _ => return None,
    })
}
