//! Calls and field accesses: arguments, receivers, access rights.

use super::code::Fault;
use super::frame::Cell;
use super::member::{Field, Flags, Method};
use super::pool::Entry;
use super::step::{Machine, Step};
use super::types::Ty;
use super::world::ClassId;
use super::Rule;
use crate::code::{Instruction, Operands};
use crate::model::access;
use crate::opcodes::Opcode;

impl Machine<'_, '_, '_> {
    fn this_class(&self) -> ClassId {
        self.method.body.class
    }

    pub(super) fn invoke(&mut self, instruction: &Instruction) -> Step<()> {
        let opcode = instruction.opcode;
        let kind =
            |method: &Method| Err(Fault::new(Rule::CodeInvokeKind, format!("{opcode} of {}", method.name)));
        match self.entry(instruction)? {
            Entry::Virtual { class, method } => {
                self.pop_arguments(method)?;
                let receiver = self.pop_receiver(*class, method)?;
                self.check_access(method.owner, method.flags, Some(receiver), &method.name)?;
                self.push_type(method.signature.result)
            }
            Entry::Super { class, method } => {
                if *class != self.this_class() {
                    let message = format!("super of {} in another class", self.world.name(*class));
                    return Err(Fault::new(Rule::CodeInvokeKind, message));
                }
                if method.flags.has(access::METHOD_ABSTRACT) {
                    return Err(Fault::new(Rule::CodeAbstractCall, method.name.clone()));
                }
                self.pop_arguments(method)?;
                self.pop_receiver(*class, method)?;
                self.push_type(method.signature.result)
            }
            Entry::StaticMethod(method) if opcode == Opcode::Invokestatic => {
                if !method.flags.is_static() {
                    return kind(method);
                }
                self.pop_arguments(method)?;
                self.check_access(method.owner, method.flags, None, &method.name)?;
                self.push_type(method.signature.result)
            }
            Entry::StaticMethod(method) if method.flags.is_constructor() => {
                self.pop_arguments(method)?;
                self.construct(method)
            }
            Entry::StaticMethod(method) => {
                if method.flags.is_static() {
                    return kind(method);
                }
                self.pop_arguments(method)?;
                let receiver = self.pop_receiver(method.owner, method)?;
                self.check_access(method.owner, method.flags, Some(receiver), &method.name)?;
                self.push_type(method.signature.result)
            }
            Entry::Class(interface) => self.invoke_interface(instruction, *interface),
            other => Err(Fault::new(Rule::CodePoolKind, other.kind())),
        }
    }

    fn invoke_interface(&mut self, instruction: &Instruction, interface: ClassId) -> Step<()> {
        let Operands::InvokeInterface { nargs, token, .. } = instruction.operands else {
            return Err(Fault::new(Rule::CodeOperand, "operands"));
        };
        let Some(method) = self.world.virtual_method(interface, token) else {
            let message = format!("{} has no method with token {token}", self.world.name(interface));
            return Err(Fault::new(Rule::CodeInterfaceToken, message));
        };
        let cells = method.signature.cells() + 1;
        if usize::from(nargs) != cells {
            let message = format!("{nargs} stated, {} takes {cells}", method.name);
            return Err(Fault::new(Rule::CodeNargs, message));
        }
        self.pop_arguments(&method)?;
        self.pop_receiver(interface, &method)?;
        self.push_type(method.signature.result)
    }

    fn pop_arguments(&mut self, method: &Method) -> Step<()> {
        let mut parameters = method.signature.params.iter().rev();
        parameters
            .try_for_each(|&ty| self.pop_type(ty, Rule::CodeArgument))
            .map_err(|fault| Fault::new(fault.rule, format!("{}: {}", method.name, fault.message)))
    }

    fn pop_receiver(&mut self, class: ClassId, method: &Method) -> Step<Cell> {
        let receiver = self.pop()?;
        match receiver {
            Cell::New(_) | Cell::NewThis => Err(self.expected("an initialised object", receiver)),
            _ if self.types.is_a(self.world, receiver, Ty::Class(class)) => Ok(receiver),
            _ => {
                let found = self.describe(receiver);
                Err(Fault::new(Rule::CodeReceiver, format!("{} on {found}", method.name)))
            }
        }
    }

    /// `<init>`: of the very class of a new object, or on `this` of the own class or its superclass.
    fn construct(&mut self, method: &Method) -> Step<()> {
        let receiver = self.pop()?;
        let this = self.this_class();
        let class = match receiver {
            Cell::New(site) => {
                let made = self.method.instructions.get(usize::from(site)).map(|new| self.entry(new));
                let Some(Ok(Entry::Class(made))) = made else {
                    return Err(self.expected("a new object", receiver));
                };
                let made = *made;
                if made != method.owner {
                    let message = format!("{} on a new {}", method.name, self.world.name(made));
                    return Err(Fault::new(Rule::CodeReceiver, message));
                }
                // A protected constructor of another package is for subclasses to call on this, not to make objects.
                if method.flags.has(access::PROTECTED) && !self.world.is_own(method.owner) {
                    return Err(Fault::new(Rule::AccessProtected, method.name.clone()));
                }
                self.note_private(method.owner, method.flags, &method.name);
                made
            }
            Cell::NewThis => {
                let superclass = self.world.get(this).supers.last().copied();
                if method.owner != this && Some(method.owner) != superclass {
                    let message = format!("{} on this", method.name);
                    return Err(Fault::new(Rule::CodeConstructor, message));
                }
                self.state.constructed = true;
                this
            }
            other => {
                let message = format!("{} on {}", method.name, self.describe(other));
                return Err(Fault::new(Rule::CodeReceiver, message));
            }
        };
        let object = Cell::Ref(self.types.class(self.world, class));
        self.state.replace(receiver, object);
        Ok(())
    }

    /// getfield, putfield, getstatic, putstatic in all their forms.
    pub(super) fn field(&mut self, instruction: &Instruction) -> Step<()> {
        let name = instruction.opcode.mnemonic();
        let (is_put, on_this) = (name.starts_with("put"), name.ends_with("_this"));
        let (field, is_static) = match self.entry(instruction)? {
            Entry::StaticField(field) => (*field, true),
            Entry::InstanceField(field) => (*field, false),
            other => return Err(Fault::new(Rule::CodePoolKind, other.kind())),
        };
        let suffix = name.split('_').nth(1).unwrap_or_default();
        let fits = match suffix {
            "a" => field.ty.is_reference(),
            "b" => matches!(field.ty, Ty::Boolean | Ty::Byte),
            "s" => field.ty == Ty::Short,
            _ => field.ty == Ty::Int,
        };
        if !fits {
            let message = format!("{name} of a field of type {:?}", field.ty);
            return Err(Fault::new(Rule::CodeFieldType, message));
        }
        if is_put {
            self.pop_type(field.ty, Rule::CodeFieldType)?;
            self.check_final(field)?;
        }
        let receiver = match (is_static, on_this) {
            (true, _) => None,
            (false, true) if self.method.body.flags.is_static() => {
                return Err(Fault::new(Rule::CodeReceiver, format!("{name} in a static method")));
            }
            (false, true) => Some(self.state.locals.first().copied().unwrap_or(Cell::Unusable)),
            (false, false) => Some(self.pop()?),
        };
        if let Some(receiver) = receiver {
            self.check_field_receiver(field, receiver, is_put)?;
        }
        let what = format!("a field of {}", self.world.name(field.owner));
        self.check_access(field.owner, field.flags, receiver, &what)?;
        if is_put {
            Ok(())
        } else {
            self.push_type(field.ty)
        }
    }

    fn check_field_receiver(&mut self, field: Field, receiver: Cell, is_put: bool) -> Step<()> {
        match receiver {
            // Compilers store what an inner class captures before they call the superclass's constructor.
            Cell::NewThis if is_put && field.owner == self.this_class() => Ok(()),
            Cell::New(_) | Cell::NewThis => Err(self.expected("an initialised object", receiver)),
            _ if self.types.is_a(self.world, receiver, Ty::Class(field.owner)) => Ok(()),
            _ => {
                let (class, found) = (self.world.name(field.owner), self.describe(receiver));
                Err(Fault::new(Rule::CodeReceiver, format!("a field of {class} on {found}")))
            }
        }
    }

    /// Instance fields: in a constructor of their class. Static ones: never, since nothing initialises a class here.
    fn check_final(&self, field: Field) -> Step<()> {
        let body = &self.method.body;
        let in_constructor =
            body.flags.is_constructor() && field.owner == body.class && !field.flags.is_static();
        if field.flags.has(access::FINAL) && !in_constructor {
            let message = format!("a final field of {}", self.world.name(field.owner));
            return Err(Fault::new(Rule::AccessFinal, message));
        }
        Ok(())
    }

    /// Private and protected members. Package-visible ones of other packages have no tokens and cannot be named.
    fn check_access(&mut self, class: ClassId, flags: Flags, receiver: Option<Cell>, name: &str) -> Step<()> {
        self.note_private(class, flags, name);
        if !flags.has(access::PROTECTED) || self.world.is_own(class) {
            return Ok(());
        }
        let this = self.this_class();
        let on_subclass = match receiver {
            None | Some(Cell::NewThis) => true,
            Some(receiver) => self.types.is_a(self.world, receiver, Ty::Class(this)),
        };
        if !self.world.is_subtype(this, class) || !on_subclass {
            return Err(Fault::new(Rule::AccessProtected, name));
        }
        Ok(())
    }

    fn note_private(&mut self, class: ClassId, flags: Flags, name: &str) {
        if flags.has(access::PRIVATE) && class != self.this_class() {
            let index = self.at;
            self.notes.entry((index, Rule::AccessPrivate)).or_insert_with(|| name.to_owned());
        }
    }
}
