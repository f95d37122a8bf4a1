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

mod code;
mod components;

use std::collections::HashMap;

pub use components::fill_directory;
use components::{static_part, static_size};
use jpkise_cap::exports::{embedded, ExportClass, ExportPackage};
use jpkise_cap::model::*;

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

    fn is_shareable(names: &[String]) -> bool {
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
}

fn is_reference(desc: &str) -> bool {
    desc.starts_with(['L', '['])
}
