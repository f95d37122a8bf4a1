//! Java class files (JVMS 17 chapter 4), as far as the converter needs them.
//!
//! An own reader rather than a crate: whatever is wrong with an input has to be reported with class and offset, names
//! outside the subset must still be named, and nothing here may panic.

mod code;
mod pool;

use crate::bytes::{FileReader, Truncation};

pub use code::{ArrayKind, BinaryOp, Condition, Instruction, InvokeKind, Jvm, Kind};
pub use pool::{Constant, MemberRef, Pool};

/// Access flags (JVMS tables 4.1-B, 4.5-A, 4.6-A).
#[allow(missing_docs)]
pub mod acc {
    pub const PUBLIC: u16 = 0x0001;
    pub const PRIVATE: u16 = 0x0002;
    pub const PROTECTED: u16 = 0x0004;
    pub const STATIC: u16 = 0x0008;
    pub const FINAL: u16 = 0x0010;
    pub const SYNCHRONIZED: u16 = 0x0020;
    pub const NATIVE: u16 = 0x0100;
    pub const INTERFACE: u16 = 0x0200;
    pub const ABSTRACT: u16 = 0x0400;
    pub const SYNTHETIC: u16 = 0x1000;
    pub const ANNOTATION: u16 = 0x2000;
    pub const ENUM: u16 = 0x4000;
    pub const MODULE: u16 = 0x8000;
}

const MAGIC: u32 = 0xCAFE_BABE;
/// Lowest and highest major version that is looked at: JDK 1.1 to 25.
const VERSIONS: std::ops::RangeInclusive<u16> = 45..=69;

/// A class file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset:#06x}: {rule}")]
pub struct ClassFileError {
    /// Offset in the file.
    pub offset: usize,
    /// What is wrong there.
    pub rule: ClassFileRule,
}

/// A rule on class files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassFileRule {
    /// An item runs past the end.
    #[error("the file ends inside an item")]
    Truncated,
    /// Bytes follow the last item.
    #[error("{0} bytes behind the last item")]
    TrailingBytes(usize),
    /// The file does not begin with CAFEBABE.
    #[error("magic is {0:08X}, not CAFEBABE")]
    Magic(u32),
    /// The file is of a release this converter does not know.
    #[error("class file version {0} is not known (45 to 69 are); compile with --release 8")]
    Version(u16),
    /// A constant pool tag that is not defined.
    #[error("constant pool tag {0} is not defined")]
    ConstantTag(u8),
    /// A constant pool index of the wrong kind, or outside the pool.
    #[error("constant pool entry {index} is not {wanted}")]
    Constant {
        /// Index.
        index: u16,
        /// What was expected there.
        wanted: &'static str,
    },
    /// A byte that is no instruction.
    #[error("{0:#04x} is not an opcode")]
    Opcode(u8),
    /// A jump that does not lead to an instruction.
    #[error("branch from {from} to {to}, where no instruction begins")]
    BranchTarget {
        /// Position of the jump.
        from: usize,
        /// Where it leads.
        to: i64,
    },
    /// A descriptor that is not one.
    #[error("malformed descriptor {0:?}")]
    Descriptor(String),
    /// An exception table entry that does not fit the code.
    #[error("exception table entry {0} does not fit the code")]
    ExceptionTable(usize),
}

/// A class file.
#[derive(Debug, Clone)]
pub struct ClassFile {
    /// Major version: 52 is Java 8.
    pub major_version: u16,
    /// Constant pool.
    pub pool: Pool,
    /// Flags of [`acc`].
    pub access: u16,
    /// Name with slashes.
    pub name: String,
    /// Superclass; `None` for `java/lang/Object` alone.
    pub superclass: Option<String>,
    /// Direct superinterfaces.
    pub interfaces: Vec<String>,
    /// Fields in file order.
    pub fields: Vec<Field>,
    /// Methods in file order.
    pub methods: Vec<Method>,
    /// SourceFile attribute.
    pub source_file: Option<String>,
}

/// field_info
#[derive(Debug, Clone)]
pub struct Field {
    /// Flags of [`acc`].
    pub access: u16,
    /// Name.
    pub name: String,
    /// Descriptor.
    pub descriptor: String,
    /// ConstantValue attribute.
    pub constant: Option<Constant>,
}

/// method_info
#[derive(Debug, Clone)]
pub struct Method {
    /// Flags of [`acc`].
    pub access: u16,
    /// Name.
    pub name: String,
    /// Descriptor.
    pub descriptor: String,
    /// Code attribute; absent in abstract and native methods.
    pub code: Option<Code>,
}

/// Code attribute.
#[derive(Debug, Clone, Default)]
pub struct Code {
    /// Stack depth javac claims.
    pub max_stack: u16,
    /// Local variable slots.
    pub max_locals: u16,
    /// Instructions; jumps name indices in this list.
    pub instructions: Vec<Instruction>,
    /// Exception table in its order.
    pub handlers: Vec<Handler>,
    /// LineNumberTable: first instruction index and line, ascending by index.
    pub lines: Vec<(usize, u16)>,
    /// LocalVariableTable.
    pub variables: Vec<Variable>,
}

/// An exception table entry; positions are instruction indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// First protected instruction.
    pub start: usize,
    /// Behind the last one.
    pub end: usize,
    /// First instruction of the handler.
    pub handler: usize,
    /// Caught class; `None` catches everything.
    pub catch_type: Option<String>,
}

/// A LocalVariableTable entry; positions are instruction indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// First instruction where the variable has a value.
    pub start: usize,
    /// Behind the last one.
    pub end: usize,
    /// Name in the source.
    pub name: String,
    /// Descriptor.
    pub descriptor: String,
    /// Slot.
    pub slot: u16,
}

impl Code {
    /// Source line of an instruction.
    pub fn line(&self, index: usize) -> Option<u16> {
        let after = self.lines.partition_point(|(first, _)| *first <= index);
        self.lines.get(after.checked_sub(1)?).map(|(_, line)| *line)
    }

    /// The source variable in a slot around an instruction. A store comes one instruction before the range.
    pub fn variable(&self, slot: u16, index: usize) -> Option<&Variable> {
        self.variables
            .iter()
            .find(|v| v.slot == slot && (v.start..v.end).contains(&index))
            .or_else(|| self.variables.iter().find(|v| v.slot == slot && v.start == index + 1))
    }
}

impl ClassFile {
    /// Whether it is an interface.
    pub fn is_interface(&self) -> bool {
        self.access & acc::INTERFACE != 0
    }

    /// Package with slashes; empty for the unnamed one.
    pub fn package(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(package, _)| package)
    }

    /// Reads a class file.
    pub fn read(bytes: &[u8]) -> Result<Self, ClassFileError> {
        let mut r = Reader::new(bytes);
        let magic = r.u4()?;
        if magic != MAGIC {
            return Err(ClassFileError { offset: 0, rule: ClassFileRule::Magic(magic) });
        }
        let (_minor, major_version) = (r.u2()?, r.u2()?);
        if !VERSIONS.contains(&major_version) {
            return Err(ClassFileError { offset: 6, rule: ClassFileRule::Version(major_version) });
        }
        let pool = Pool::read(&mut r)?;
        let access = r.u2()?;
        let name = pool.class_at(&mut r)?.to_owned();
        let at = r.at();
        let superclass = match r.u2()? {
            0 => None,
            index => Some(pool.class(index).map_err(|rule| ClassFileError { offset: at, rule })?.to_owned()),
        };
        let count = r.u2()?;
        let interfaces = r.many(count, |r| Ok(pool.class_at(r)?.to_owned()))?;
        let count = r.u2()?;
        let fields = r.many(count, |r| read_field(r, &pool))?;
        let count = r.u2()?;
        let methods = r.many(count, |r| read_method(r, &pool))?;
        let mut source_file = None;
        for_attributes(&mut r, &pool, |attribute, r| {
            if attribute == "SourceFile" {
                source_file = Some(pool.utf8_at(r)?.to_owned());
            }
            Ok(())
        })?;
        if r.left() != 0 {
            return Err(r.error(ClassFileRule::TrailingBytes(r.left())));
        }
        Ok(Self { major_version, pool, access, name, superclass, interfaces, fields, methods, source_file })
    }
}

fn read_field(r: &mut Reader<'_>, pool: &Pool) -> Result<Field, ClassFileError> {
    let access = r.u2()?;
    let name = pool.utf8_at(r)?.to_owned();
    let descriptor = pool.utf8_at(r)?.to_owned();
    if field_type(&descriptor).is_none() {
        return Err(r.error(ClassFileRule::Descriptor(descriptor)));
    }
    let mut constant = None;
    for_attributes(r, pool, |attribute, r| {
        if attribute == "ConstantValue" {
            let index = r.u2()?;
            constant = Some(pool.get(index).map_err(|rule| r.error(rule))?.clone());
        }
        Ok(())
    })?;
    Ok(Field { access, name, descriptor, constant })
}

fn read_method(r: &mut Reader<'_>, pool: &Pool) -> Result<Method, ClassFileError> {
    let access = r.u2()?;
    let name = pool.utf8_at(r)?.to_owned();
    let descriptor = pool.utf8_at(r)?.to_owned();
    if MethodType::parse(&descriptor).is_none() {
        return Err(r.error(ClassFileRule::Descriptor(descriptor)));
    }
    let mut code = None;
    for_attributes(r, pool, |attribute, r| {
        if attribute == "Code" {
            code = Some(code::read(r, pool)?);
        }
        Ok(())
    })?;
    Ok(Method { access, name, descriptor, code })
}

/// Walks an attribute table; each attribute is read within its stated length.
fn for_attributes<'a>(
    r: &mut Reader<'a>,
    pool: &Pool,
    mut each: impl FnMut(&str, &mut Reader<'a>) -> Result<(), ClassFileError>,
) -> Result<(), ClassFileError> {
    for _ in 0..r.u2()? {
        let name = pool.utf8_at(r)?;
        let len = usize::try_from(r.u4()?).unwrap_or(usize::MAX);
        let start = r.at();
        r.take(len)?;
        each(name, &mut r.since(start))?;
    }
    Ok(())
}

/// A cursor over the file.
pub(crate) type Reader<'a> = FileReader<'a, ClassFileError>;

impl Truncation for ClassFileError {
    fn truncated(offset: usize) -> Self {
        Self { offset, rule: ClassFileRule::Truncated }
    }
}

impl Reader<'_> {
    fn error(&self, rule: ClassFileRule) -> ClassFileError {
        ClassFileError { offset: self.at(), rule }
    }
}

/// A Java type from a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum JavaType {
    Void,
    Boolean,
    Byte,
    Short,
    Int,
    Char,
    Long,
    Float,
    Double,
    Class(String),
    Array(Box<JavaType>),
}

impl JavaType {
    /// Local variable slots in the Java virtual machine.
    pub fn slots(&self) -> u16 {
        match self {
            Self::Void => 0,
            Self::Long | Self::Double => 2,
            _ => 1,
        }
    }

    /// Cells of 16 bits in the Java Card virtual machine.
    pub fn cells(&self) -> usize {
        match self {
            Self::Void => 0,
            Self::Int => 2,
            _ => 1,
        }
    }

    /// Whether values are references.
    pub fn is_reference(&self) -> bool {
        matches!(self, Self::Class(_) | Self::Array(_))
    }
}

/// Parses a field descriptor.
pub fn field_type(descriptor: &str) -> Option<JavaType> {
    let (ty, rest) = one_type(descriptor)?;
    (rest.is_empty() && ty != JavaType::Void).then_some(ty)
}

fn one_type(text: &str) -> Option<(JavaType, &str)> {
    /// JVMS 4.3.2: at most 255 dimensions; also keeps the recursion bounded.
    const MAX_DIMENSIONS: usize = 255;
    let dimensions = text.bytes().take_while(|b| *b == b'[').count();
    if dimensions > MAX_DIMENSIONS {
        return None;
    }
    let text = &text[dimensions..];
    let mut rest = text.get(1..)?;
    let mut ty = match text.as_bytes()[0] {
        b'V' if dimensions == 0 => JavaType::Void,
        b'Z' => JavaType::Boolean,
        b'B' => JavaType::Byte,
        b'S' => JavaType::Short,
        b'I' => JavaType::Int,
        b'C' => JavaType::Char,
        b'J' => JavaType::Long,
        b'F' => JavaType::Float,
        b'D' => JavaType::Double,
        b'L' => {
            let (name, after) = rest.split_once(';')?;
            rest = after;
            (!name.is_empty()).then(|| JavaType::Class(name.to_owned()))?
        }
        _ => return None,
    };
    for _ in 0..dimensions {
        ty = JavaType::Array(Box::new(ty));
    }
    Some((ty, rest))
}

/// A parsed method descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodType {
    /// Parameter types.
    pub parameters: Vec<JavaType>,
    /// Result type.
    pub result: JavaType,
}

impl MethodType {
    /// Parses `(…)…`.
    pub fn parse(descriptor: &str) -> Option<Self> {
        let mut rest = descriptor.strip_prefix('(')?;
        let mut parameters = Vec::new();
        let result = loop {
            if let Some(result) = rest.strip_prefix(')') {
                break result;
            }
            let (ty, after) = one_type(rest)?;
            if ty == JavaType::Void {
                return None;
            }
            parameters.push(ty);
            rest = after;
        };
        let (result, rest) = one_type(result)?;
        rest.is_empty().then_some(Self { parameters, result })
    }

    /// Cells of the parameters, without `this`.
    pub fn parameter_cells(&self) -> usize {
        self.parameters.iter().map(JavaType::cells).sum()
    }
}
