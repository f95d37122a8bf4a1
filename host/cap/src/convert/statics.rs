//! Static initialisers and the static field image (JCVM 2.2.4.6, 6.10).
//!
//! The Java Card virtual machine runs no `<clinit>`: what it would do has to be known now. Only straight-line code
//! of constants and arrays of primitives is accepted; everything it stores ends up in the image, everything else is
//! refused. Nothing is ever left out silently.

use std::collections::HashMap;

use super::diagnostics::{ConvertRule, Diagnostic, StaticInitRule};
use super::package::{FieldSlot, Package};
use super::resolve::{CpKey, FieldTarget, MemberKey};
use crate::classfile::{ArrayKind, BinaryOp, Constant, Jvm};
use crate::model::{ArrayInit, StaticField};

/// JCVM 2.2.4.2: array lengths are shorts.
const MAX_ARRAY: usize = 32767;
/// The image's size field has 16 bits.
const MAX_IMAGE: usize = 0xFFFF;

/// A static field by class and field index.
type FieldId = (usize, usize);

/// The image and where each static field lies in it.
#[derive(Debug, Default)]
pub(super) struct Image {
    pub(super) component: StaticField,
    pub(super) offsets: HashMap<FieldId, u16>,
}

/// A value while an initialiser is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Int(i32),
    Null,
    /// Index of an array that was made.
    Array(usize),
}

struct Array {
    /// newarray's atype of the JVM: 4 boolean, 8 byte, 9 short, 10 int.
    atype: u8,
    elements: Vec<i32>,
}

/// Evaluates all initialisers and lays out the image.
pub(super) fn image(package: &Package<'_>, int: bool) -> Result<Image, Vec<Diagnostic>> {
    let (mut values, mut arrays, mut errors) = (HashMap::new(), Vec::new(), Vec::new());
    for class in 0..package.classes.len() {
        if let Err(error) = evaluate(package, class, int, &mut values, &mut arrays) {
            errors.push(error);
        }
    }
    if errors.is_empty() {
        layout(package, &values, &arrays).map_err(|error| vec![error])
    } else {
        Err(errors)
    }
}

fn evaluate(
    package: &Package<'_>,
    class: usize,
    int: bool,
    values: &mut HashMap<FieldId, Value>,
    arrays: &mut Vec<Array>,
) -> Result<(), Diagnostic> {
    let owner = &package.classes[class];
    for (index, field) in owner.file.fields.iter().enumerate() {
        // javac writes ConstantValue for final fields only; a non-final one with it is still an initial value.
        if let (Some(Constant::Integer(value)), FieldSlot::Static(_)) = (&field.constant, owner.fields[index])
        {
            values.insert((class, index), Value::Int(*value));
        }
    }
    let Some(method) = owner.file.methods.iter().find(|m| m.name == "<clinit>") else { return Ok(()) };
    let Some(code) = &method.code else { return Ok(()) };
    let mut run = Run { package, class, int, values, arrays, stack: Vec::new() };
    for (at, instruction) in code.instructions.iter().enumerate() {
        match run.step(&instruction.jvm) {
            Ok(true) => {}
            Ok(false) => break,
            Err(rule) => return Err(owner.method_diagnostic(method, code.line(at), rule)),
        }
    }
    Ok(())
}

struct Run<'a> {
    package: &'a Package<'a>,
    class: usize,
    int: bool,
    values: &'a mut HashMap<FieldId, Value>,
    arrays: &'a mut Vec<Array>,
    stack: Vec<Value>,
}

fn refuse<T>(rule: StaticInitRule) -> Result<T, ConvertRule> {
    Err(ConvertRule::StaticInitializer(rule))
}

fn refuse_instruction<T>(what: impl Into<String>) -> Result<T, ConvertRule> {
    refuse(StaticInitRule::Instruction(what.into()))
}

impl Run<'_> {
    fn pop(&mut self) -> Result<Value, ConvertRule> {
        self.stack.pop().ok_or(ConvertRule::Malformed("operand stack is empty"))
    }

    fn pop_int(&mut self) -> Result<i32, ConvertRule> {
        match self.pop()? {
            Value::Int(value) => Ok(value),
            _ => Err(ConvertRule::Malformed("reference where an int is needed")),
        }
    }

    fn pop_array(&mut self) -> Result<usize, ConvertRule> {
        match self.pop()? {
            Value::Array(index) => Ok(index),
            Value::Null => refuse_instruction("access to a null array"),
            Value::Int(_) => Err(ConvertRule::Malformed("int where a reference is needed")),
        }
    }

    /// The own static field an instruction names.
    fn field(&self, index: u16) -> Result<FieldId, ConvertRule> {
        let pool = &self.package.classes[self.class].file.pool;
        let member = pool.member(index).map_err(|_| ConvertRule::Malformed("constant pool index"))?;
        if member.name == "$assertionsDisabled" {
            return Err(ConvertRule::Assert);
        }
        match self.package.field(member, true)? {
            FieldTarget::Field(CpKey::StaticField(MemberKey::Own { class, member }), _)
                if class == self.class =>
            {
                Ok((class, member))
            }
            _ => refuse(StaticInitRule::OtherClass(format!(
                "{}.{}",
                member.class.replace('/', "."),
                member.name
            ))),
        }
    }

    /// Evaluates one instruction; whether the initialiser goes on.
    fn step(&mut self, jvm: &Jvm) -> Result<bool, ConvertRule> {
        match jvm {
            Jvm::Nop => {}
            Jvm::Null => self.stack.push(Value::Null),
            Jvm::Const(value) => self.stack.push(Value::Int(*value)),
            Jvm::Ldc(_) => {
                let operand = super::translate::constant_operand(self.package, self.class, jvm, self.int)?;
                self.stack.push(Value::Int(operand));
            }
            Jvm::Dup => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }
            Jvm::Pop => {
                self.pop()?;
            }
            Jvm::IntToByte => self.unary(|v| i32::from(i8::from_le_bytes([v.to_le_bytes()[0]])))?,
            Jvm::IntToShort => {
                self.unary(|v| i32::from(i16::from_le_bytes([v.to_le_bytes()[0], v.to_le_bytes()[1]])))?;
            }
            Jvm::Neg => self.unary(i32::wrapping_neg)?,
            Jvm::Binary(op) => self.binary(*op)?,
            Jvm::NewArray(atype) => self.new_array(*atype, jvm)?,
            Jvm::ArrayStore(kind) => self.array_store(*kind)?,
            Jvm::PutStatic(index) => {
                let field = self.field(*index)?;
                let value = self.pop()?;
                if let Value::Array(_) = value {
                    if self.values.iter().any(|(other, v)| *v == value && *other != field) {
                        return refuse(StaticInitRule::SharedArray);
                    }
                }
                self.values.insert(field, value);
            }
            Jvm::GetStatic(index) => {
                let pool = &self.package.classes[self.class].file.pool;
                let member =
                    pool.member(*index).map_err(|_| ConvertRule::Malformed("constant pool index"))?;
                if member.descriptor.starts_with('[') {
                    let field = self.field(*index)?;
                    self.stack.push(self.values.get(&field).copied().unwrap_or(Value::Null));
                } else if let Ok(FieldTarget::Constant(value)) = self.package.field(member, true) {
                    self.stack.push(Value::Int(value));
                } else if member.name == "$assertionsDisabled" {
                    return Err(ConvertRule::Assert);
                } else {
                    return refuse_instruction(format!("reading field {}", member.name));
                }
            }
            Jvm::Return(_) => return Ok(false),
            other => return self.explain(other).map(|()| true),
        }
        Ok(true)
    }

    fn unary(&mut self, f: impl Fn(i32) -> i32) -> Result<(), ConvertRule> {
        let value = self.pop_int()?;
        self.stack.push(Value::Int(f(value)));
        Ok(())
    }

    fn binary(&mut self, op: BinaryOp) -> Result<(), ConvertRule> {
        let b = self.pop_int()?;
        let a = self.pop_int()?;
        let Some(value) = op.apply(a, b) else { return refuse_instruction("division by zero") };
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn new_array(&mut self, atype: u8, jvm: &Jvm) -> Result<(), ConvertRule> {
        // The check that other code gets: char, long, float, double, and int without support.
        super::translate::check_operand(self.package, self.class, jvm, self.int)?;
        let length = self.pop_int()?;
        let Ok(length) = usize::try_from(length) else { return refuse(StaticInitRule::NegativeLength) };
        if length > MAX_ARRAY {
            return refuse(StaticInitRule::ArrayTooLarge(length));
        }
        self.stack.push(Value::Array(self.arrays.len()));
        self.arrays.push(Array { atype, elements: vec![0; length] });
        Ok(())
    }

    fn array_store(&mut self, kind: ArrayKind) -> Result<(), ConvertRule> {
        if kind == ArrayKind::Reference {
            return refuse_instruction("an array of objects");
        }
        let value = self.pop_int()?;
        let index = self.pop_int()?;
        let array = self.pop_array()?;
        let element = usize::try_from(index).ok().and_then(|i| self.arrays[array].elements.get_mut(i));
        match element {
            Some(element) => {
                *element = value;
                Ok(())
            }
            None => refuse(StaticInitRule::Index(index)),
        }
    }

    /// Names what cannot be evaluated.
    fn explain(&self, jvm: &Jvm) -> Result<(), ConvertRule> {
        // A rule of the language subset says more than one of initialisers.
        super::translate::check_operand(self.package, self.class, jvm, self.int)?;
        let pool = &self.package.classes[self.class].file.pool;
        refuse_instruction(match jvm {
            Jvm::New(index) => format!("new {}", pool.class(*index).unwrap_or("object").replace('/', ".")),
            Jvm::NewReferenceArray(_) => "an array of objects".into(),
            Jvm::Invoke(_, index) => match pool.member(*index) {
                Ok(member) => format!("the call of {}.{}", member.class.replace('/', "."), member.name),
                Err(_) => "a call".into(),
            },
            Jvm::Load(..) | Jvm::Store(..) | Jvm::Increment { .. } => "a local variable".to_owned(),
            Jvm::IfZero(..)
            | Jvm::IfInt(..)
            | Jvm::IfReference(..)
            | Jvm::IfNull(..)
            | Jvm::Goto(_)
            | Jvm::Switch { .. } => "a condition or loop".into(),
            Jvm::ArrayLoad(_) | Jvm::ArrayLength => "reading an array".into(),
            Jvm::Throw => "an exception".into(),
            _ => "this instruction".into(),
        })
    }
}

/// The four segments of the image: arrays with values, null references, default primitives, other primitives.
fn layout(
    package: &Package<'_>,
    values: &HashMap<FieldId, Value>,
    arrays: &[Array],
) -> Result<Image, Diagnostic> {
    let mut segments: [Vec<FieldId>; 4] = Default::default();
    for (class, owner) in package.classes.iter().enumerate() {
        for (index, slot) in owner.fields.iter().enumerate() {
            if !matches!(slot, FieldSlot::Static(_)) {
                continue;
            }
            let field = &owner.file.fields[index];
            if owner.file.is_interface() {
                return Err(owner.diagnostic(ConvertRule::InterfaceField(field.name.clone())));
            }
            let reference = field.descriptor.starts_with(['L', '[']);
            let segment = match (values.get(&(class, index)), reference) {
                (Some(Value::Array(_)), _) => 0,
                (_, true) => 1,
                (Some(Value::Int(value)), false) if *value != 0 => 3,
                _ => 2,
            };
            if segment == 0 && !package.has_applets {
                return Err(owner.diagnostic(ConvertRule::LibraryArrayInit(field.name.clone())));
            }
            segments[segment].push((class, index));
        }
    }
    let mut image = Image::default();
    let mut offset = 0usize;
    let descriptor = |(class, index): FieldId| package.classes[class].file.fields[index].descriptor.as_str();
    for (number, segment) in segments.iter().enumerate() {
        for field in segment {
            image.offsets.insert(*field, u16::try_from(offset).unwrap_or(u16::MAX));
            offset += size(descriptor(*field));
            match (number, values.get(field)) {
                (0, Some(Value::Array(array))) => image.component.array_inits.push(init(&arrays[*array])),
                (3, Some(Value::Int(value))) => {
                    let bytes = value.to_be_bytes();
                    let kept = &bytes[4 - size(descriptor(*field))..];
                    image.component.non_default_values.extend_from_slice(kept);
                }
                _ => {}
            }
        }
    }
    let limit = super::diagnostics::Limit::ImageBytes;
    if offset > MAX_IMAGE {
        return Err(Diagnostic::package(ConvertRule::Limit { limit, count: offset, max: MAX_IMAGE }));
    }
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    image.component.image_size = count(offset);
    image.component.reference_count = count(segments[0].len() + segments[1].len());
    image.component.default_value_count = count(segments[2].iter().map(|f| size(descriptor(*f))).sum());
    Ok(image)
}

/// Bytes of a field in the image.
fn size(descriptor: &str) -> usize {
    match descriptor {
        "Z" | "B" => 1,
        "I" => 4,
        _ => 2,
    }
}

fn init(array: &Array) -> ArrayInit {
    let (element_type, size) = match array.atype {
        4 => (2, 1),
        8 => (3, 1),
        9 => (4, 2),
        _ => (5, 4),
    };
    let values = array.elements.iter().flat_map(|e| e.to_be_bytes()[4 - size..].to_vec()).collect();
    ArrayInit { element_type, values }
}
