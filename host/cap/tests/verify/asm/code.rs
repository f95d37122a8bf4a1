//! Types, constant pool entries and instructions.

use std::collections::HashMap;

use jpkise_cap::code::{Instruction, Operands};
use jpkise_cap::model::*;
use jpkise_cap::opcodes::{Layout, Opcode, OPCODES};

use super::{Assembler, Method};

impl Assembler {
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
    pub(super) fn types(&self, desc: &str) -> Vec<Type> {
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

    pub(super) fn methods(&mut self) -> MethodComponent {
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
