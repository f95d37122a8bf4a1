//! A walk over all code that can be reached: instructions that are none, operands that lead nowhere, branches that
//! leave. Values and types are the interpreter's matter.

use std::collections::HashSet;

use jpkise_cap::code::{CodeError, Instruction, Operands};
use jpkise_cap::model::CpInfo;
use jpkise_cap::opcodes::Opcode;
use jpkise_cap::{Cap, ComponentTag};

use super::error::{refuse, LinkError, LinkRule};
use super::Environment;
use crate::class::{Class, ClassId, Constant, Method, Package, Target};

const HERE: ComponentTag = ComponentTag::Method;

pub(super) fn scan(cap: &Cap, package: &Package, environment: &Environment<'_>) -> Result<(), LinkError> {
    let first = cap.method.first_method_offset();
    let locations = &cap.reference_location;
    let scanner = Scanner {
        cap,
        package,
        environment,
        first,
        byte_operands: locations.byte_positions().into_iter().collect(),
        short_operands: locations.byte2_positions().into_iter().collect(),
    };
    for (index, handler) in cap.method.handlers.iter().enumerate() {
        let at = 1 + 8 * index + 6;
        if handler.catch_type_index != 0 && !scanner.short_operands.contains(&at) {
            return refuse(ComponentTag::ReferenceLocation, 0, LinkRule::UnlistedOperand(at));
        }
    }
    package.methods.iter().filter(|m| !m.is_abstract).try_for_each(|method| scanner.method(*method))
}

struct Scanner<'a> {
    cap: &'a Cap,
    package: &'a Package,
    environment: &'a Environment<'a>,
    first: usize,
    byte_operands: HashSet<usize>,
    short_operands: HashSet<usize>,
}

impl Scanner<'_> {
    fn method(&self, method: Method) -> Result<(), LinkError> {
        let mut seen = HashSet::new();
        let mut work = vec![i64::from(method.code)];
        let mut covered = vec![false; self.package.handlers.len()];
        while let Some(target) = work.pop() {
            let inside = usize::try_from(target).ok();
            let at = inside.filter(|at| *at >= self.first && *at < self.package.code.len());
            let Some(at) = at else {
                return refuse(HERE, method.offset.into(), LinkRule::BranchOutside(target));
            };
            if !seen.insert(at) {
                continue;
            }
            let instruction = match Instruction::decode(&self.package.code, at) {
                Ok(instruction) => instruction,
                Err(error) => return refuse(HERE, at, LinkRule::Instruction(CodeError::to_string(&error))),
            };
            self.instruction(method, &instruction)?;
            work.extend(instruction.targets());
            if !instruction.opcode.ends_flow() {
                work.push(target + i64::try_from(instruction.len()).unwrap_or(i64::MAX));
            }
            for (handler, covered) in self.package.handlers.iter().zip(&mut covered) {
                if !*covered && (i64::from(handler.start)..i64::from(handler.end)).contains(&target) {
                    *covered = true;
                    work.push(handler.target.into());
                }
            }
        }
        Ok(())
    }

    fn instruction(&self, method: Method, instruction: &Instruction) -> Result<(), LinkError> {
        let at = instruction.offset;
        if let Some(local) = highest_local(instruction) {
            let locals = u16::from(method.nargs) + u16::from(method.locals);
            if local >= locals {
                return refuse(HERE, at, LinkRule::Local(local, locals));
            }
        }
        match instruction.operands {
            Operands::ArrayType(atype) if !(10..=13).contains(&atype) => {
                return refuse(HERE, at, LinkRule::Instruction(format!("newarray of type {atype}")));
            }
            Operands::TypeCheck { atype, .. } if !matches!(atype, 0 | 10..=14) => {
                let text = format!("{} of type {atype}", instruction.opcode);
                return refuse(HERE, at, LinkRule::Instruction(text));
            }
            Operands::InvokeInterface { nargs: 0, .. } => {
                return refuse(HERE, at, LinkRule::Instruction("invokeinterface without an object".into()));
            }
            _ => {}
        }
        if let Some((operand, one_byte)) = instruction.pool_operand() {
            let listed = if one_byte { &self.byte_operands } else { &self.short_operands };
            if !listed.contains(&operand) {
                return refuse(ComponentTag::ReferenceLocation, 0, LinkRule::UnlistedOperand(operand));
            }
        }
        match instruction.pool_index() {
            Some(index) => self.constant(instruction, index),
            None => Ok(()),
        }
    }

    fn constant(&self, instruction: &Instruction, index: u16) -> Result<(), LinkError> {
        let at = instruction.offset;
        let opcode = instruction.opcode;
        let wrong = |what| {
            let rule = LinkRule::Constant { mnemonic: opcode.mnemonic(), index, what };
            refuse(HERE, at, rule)
        };
        let Some(constant) = self.package.constants.get(usize::from(index)) else {
            return wrong("beyond the constant pool");
        };
        match (Use::of(opcode), *constant) {
            (_, Constant::Unusable) => refuse(HERE, at, LinkRule::NotSupported(self.name_of(index))),
            (Use::Field(kind), Constant::Field { class, cell }) => {
                let Some(class) = self.class(class) else { return wrong("of no class") };
                let fits = match kind {
                    Kind::Reference => class.is_reference_cell(cell),
                    Kind::Short => !class.is_reference_cell(cell),
                    Kind::Int => {
                        cell + 1 < class.cells
                            && !class.is_reference_cell(cell)
                            && !class.is_reference_cell(cell + 1)
                    }
                };
                if fits {
                    Ok(())
                } else {
                    wrong("a field of another type")
                }
            }
            (Use::Static(kind), Constant::Static { package, offset }) => {
                let image = if package == self.package.slot {
                    Some(&self.package.statics)
                } else {
                    self.environment.package(package).map(|p| &p.statics)
                };
                let Some(image) = image else { return wrong("of no package") };
                let references = u32::from(image.references) * 2;
                let (offset, size) = (u32::from(offset), u32::from(image.size));
                let fits = match kind {
                    StaticKind::Reference => offset < references && offset % 2 == 0,
                    StaticKind::Bytes(len) => offset >= references && offset + len <= size,
                };
                if fits {
                    Ok(())
                } else {
                    wrong("a field of another type")
                }
            }
            (Use::InvokeVirtual, Constant::Virtual { .. })
            | (Use::InvokeSpecial, Constant::Super(_))
            | (Use::InvokeStatic, Constant::Method(_))
            | (Use::Type, Constant::Class(_)) => Ok(()),
            (Use::InvokeSpecial, Constant::Method(target)) => match self.nargs(target) {
                0 => wrong("a method without an object"),
                _ => Ok(()),
            },
            (Use::InvokeInterface, Constant::Class(id)) => {
                if self.class(id).is_some_and(|c| c.is_interface) {
                    Ok(())
                } else {
                    wrong("not an interface")
                }
            }
            (Use::New, Constant::Class(id)) => {
                if self.class(id).is_some_and(|c| !c.is_interface && !c.is_abstract) {
                    Ok(())
                } else {
                    wrong("not a class that has instances")
                }
            }
            _ => wrong("of another kind"),
        }
    }

    fn nargs(&self, target: Target) -> u8 {
        match target {
            Target::Code { package, method } if package == self.package.slot => {
                self.package.method(method).map_or(0, |m| m.nargs)
            }
            Target::Code { package, method } => {
                self.environment.package(package).and_then(|p| p.method(method)).map_or(0, |m| m.nargs)
            }
            Target::Native { nargs, .. } | Target::Abstract { nargs } => nargs,
            Target::Missing => 0,
        }
    }

    fn class(&self, id: ClassId) -> Option<&Class> {
        if id.package == self.package.slot {
            self.package.class(id.index)
        } else {
            self.environment.package(id.package)?.class(id.index)
        }
    }

    /// What the API calls a method that is missing here.
    fn name_of(&self, index: u16) -> String {
        use jpkise_cap::exports::embedded_by_aid;
        use jpkise_cap::model::{ClassRef, StaticRef};
        let entry = self.cap.constant_pool.get(index);
        let found = match entry {
            Some(CpInfo::StaticMethod(StaticRef::External { package, class, token })) => {
                Some((package, class, token, true))
            }
            Some(
                CpInfo::VirtualMethod { class: ClassRef::External { package, class }, token }
                | CpInfo::SuperMethod { class: ClassRef::External { package, class }, token },
            ) => Some((package, class, token & 0x7F, false)),
            _ => None,
        };
        let named = found.and_then(|(package, class, token, fixed)| {
            let wanted = self.cap.imported(package)?;
            let present = self.environment.by_aid(wanted.aid)?;
            let class = embedded_by_aid(present.aid, present.version)?.class_by_token(class)?;
            let method = if fixed { class.static_method(token) } else { class.virtual_method(token) }?;
            Some(format!("{}.{}{}", class.name, method.name, method.descriptor))
        });
        named.unwrap_or_else(|| format!("constant {index}, an inherited API method,"))
    }
}

/// Highest local variable an instruction touches.
fn highest_local(instruction: &Instruction) -> Option<u16> {
    use Opcode as O;
    let opcode = instruction.opcode;
    let implicit = |first: Opcode| u16::from(opcode as u8 - first as u8);
    Some(match opcode {
        O::Aload0 | O::Aload1 | O::Aload2 | O::Aload3 => implicit(O::Aload0),
        O::Sload0 | O::Sload1 | O::Sload2 | O::Sload3 => implicit(O::Sload0),
        O::Iload0 | O::Iload1 | O::Iload2 | O::Iload3 => implicit(O::Iload0) + 1,
        O::Astore0 | O::Astore1 | O::Astore2 | O::Astore3 => implicit(O::Astore0),
        O::Sstore0 | O::Sstore1 | O::Sstore2 | O::Sstore3 => implicit(O::Sstore0),
        O::Istore0 | O::Istore1 | O::Istore2 | O::Istore3 => implicit(O::Istore0) + 1,
        O::GetfieldAThis
        | O::GetfieldBThis
        | O::GetfieldSThis
        | O::GetfieldIThis
        | O::PutfieldAThis
        | O::PutfieldBThis
        | O::PutfieldSThis
        | O::PutfieldIThis => 0,
        _ => match instruction.operands {
            Operands::Local(local) | Operands::Increment { local, .. } => {
                let wide = matches!(opcode, O::Iload | O::Istore | O::Iinc | O::IincW);
                u16::from(local) + u16::from(wide)
            }
            _ => return None,
        },
    })
}

enum Kind {
    Reference,
    Short,
    Int,
}

enum StaticKind {
    Reference,
    Bytes(u32),
}

/// What an instruction wants of its constant.
enum Use {
    Field(Kind),
    Static(StaticKind),
    InvokeVirtual,
    InvokeSpecial,
    InvokeStatic,
    InvokeInterface,
    New,
    Type,
}

impl Use {
    fn of(opcode: Opcode) -> Self {
        use Opcode as O;
        match opcode {
            O::GetfieldA
            | O::GetfieldAW
            | O::GetfieldAThis
            | O::PutfieldA
            | O::PutfieldAW
            | O::PutfieldAThis => Self::Field(Kind::Reference),
            O::GetfieldI
            | O::GetfieldIW
            | O::GetfieldIThis
            | O::PutfieldI
            | O::PutfieldIW
            | O::PutfieldIThis => Self::Field(Kind::Int),
            O::GetfieldB
            | O::GetfieldBW
            | O::GetfieldBThis
            | O::PutfieldB
            | O::PutfieldBW
            | O::PutfieldBThis
            | O::GetfieldS
            | O::GetfieldSW
            | O::GetfieldSThis
            | O::PutfieldS
            | O::PutfieldSW
            | O::PutfieldSThis => Self::Field(Kind::Short),
            O::GetstaticA | O::PutstaticA => Self::Static(StaticKind::Reference),
            O::GetstaticB | O::PutstaticB => Self::Static(StaticKind::Bytes(1)),
            O::GetstaticS | O::PutstaticS => Self::Static(StaticKind::Bytes(2)),
            O::GetstaticI | O::PutstaticI => Self::Static(StaticKind::Bytes(4)),
            O::Invokevirtual => Self::InvokeVirtual,
            O::Invokespecial => Self::InvokeSpecial,
            O::Invokestatic => Self::InvokeStatic,
            O::Invokeinterface => Self::InvokeInterface,
            O::New => Self::New,
            _ => Self::Type,
        }
    }
}
