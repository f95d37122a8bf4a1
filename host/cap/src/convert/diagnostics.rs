//! What the converter has to say about its input.

use std::fmt;

use crate::classfile::ClassFileRule;
use crate::model::{Aid, PackageVersion};

/// One finding, with the place in the source it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Class in source form (`com.example.Wallet`), or the file when it could not be read.
    pub class: Option<String>,
    /// Source file, when the class names one.
    pub source: Option<String>,
    /// Method with its descriptor, for instance `process(Ljavacard/framework/APDU;)V`; or a field's name.
    pub member: Option<String>,
    /// Source line.
    pub line: Option<u16>,
    /// What is wrong.
    pub rule: Box<ConvertRule>,
}

impl Diagnostic {
    /// A finding about the package as a whole.
    pub fn package(rule: ConvertRule) -> Self {
        Self { class: None, source: None, member: None, line: None, rule: Box::new(rule) }
    }

    /// A finding about a class given by its name with slashes.
    pub fn class(name: &str, rule: ConvertRule) -> Self {
        Self { class: Some(name.replace('/', ".")), ..Self::package(rule) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = &self.class {
            f.write_str(class)?;
            if let Some(member) = &self.member {
                write!(f, ".{member}")?;
            }
            match (&self.source, self.line) {
                (Some(source), Some(line)) => write!(f, " ({source}:{line})")?,
                (None, Some(line)) => write!(f, " (line {line})")?,
                _ => {}
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.rule)?;
        match self.rule.section() {
            Some(section) => write!(f, " [{section}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Leaves out what only follows from a language feature named at the same line: a string concatenation is also a use of
/// StringBuilder and of string constants.
pub(super) fn without_consequences(mut errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let features: Vec<Diagnostic> = errors.iter().filter(|e| e.rule.is_language_feature()).cloned().collect();
    errors.retain(|error| {
        if error.rule.is_language_feature() {
            // The class javac makes for a switch on an enum has no lines; the switch has.
            return error.line.is_some()
                || !features.iter().any(|f| f.line.is_some() && f.rule == error.rule);
        }
        let same_line = |f: &Diagnostic| f.line.is_some() && (&f.class, f.line) == (&error.class, error.line);
        !features.iter().any(same_line)
    });
    errors
}

/// Where a type that the subset lacks was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Use {
    Field,
    Parameter,
    Result,
    Instruction,
    Cast,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Field => "field",
            Self::Parameter => "parameter",
            Self::Result => "result",
            Self::Instruction => "expression",
            Self::Cast => "cast",
        })
    }
}

/// A limit of JCVM 2.2.4, or of the width of a field in the CAP file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Limit {
    PublicClasses,
    Classes,
    Imports,
    Interfaces,
    Superinterfaces,
    PublicVirtualMethods,
    PackageVirtualMethods,
    InterfaceMethods,
    InstanceCells,
    StaticFields,
    StaticMethods,
    LocalCells,
    ArgumentCells,
    StackCells,
    MethodBytes,
    MethodComponentBytes,
    ComponentBytes,
    ConstantPoolEntries,
    ExceptionHandlers,
    ImageBytes,
    Applets,
    BranchDistance,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicClasses => "public classes and interfaces of a package",
            Self::Classes => "classes and interfaces of a package",
            Self::Imports => "imported packages",
            Self::Interfaces => "interfaces of a class, superinterfaces included",
            Self::Superinterfaces => "superinterfaces of an interface",
            Self::PublicVirtualMethods => "public and protected virtual methods of a class",
            Self::PackageVirtualMethods => "package-visible virtual methods of a class",
            Self::InterfaceMethods => "methods of an interface",
            Self::InstanceCells => "cells of instance fields of a class",
            Self::StaticFields => "exported static fields of a class",
            Self::StaticMethods => "exported static methods and constructors of a class",
            Self::LocalCells => "cells of local variables and parameters of a method",
            Self::ArgumentCells => "cells of parameters of a method",
            Self::StackCells => "cells of the operand stack of a method",
            Self::MethodBytes => "bytes of a method",
            Self::MethodComponentBytes => "bytes of all methods of a package",
            Self::ComponentBytes => "bytes of a component",
            Self::ConstantPoolEntries => "constant pool entries",
            Self::ExceptionHandlers => "exception handlers of a package",
            Self::ImageBytes => "bytes of the static field image",
            Self::Applets => "applets of a package",
            Self::BranchDistance => "bytes a branch can span",
        })
    }
}

/// What the converter refuses, or warns of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertRule {
    /// The class file is damaged.
    #[error("class file not readable: {rule} (offset {offset:#06x})")]
    ClassFile {
        /// Offset in the file.
        offset: usize,
        /// What is wrong.
        rule: ClassFileRule,
    },
    /// Reading a file failed.
    #[error("{0}")]
    Io(String),
    /// The folder has no class files of the package.
    #[error("package {0} has no classes there")]
    NoClasses(String),
    /// A file in the package's folder holds a class of another package.
    #[error("the file lies in the folder of package {expected}")]
    WrongPackage {
        /// Package that is converted.
        expected: String,
    },
    /// Two files hold the same class.
    #[error("the class appears twice")]
    DuplicateClass,
    /// A class is among its own superclasses or superinterfaces.
    #[error("the class is its own supertype")]
    CyclicSupertype,
    /// Packages of a build set import each other.
    #[error("packages import each other: {0}")]
    CyclicImport(String),

    /// long, float, double, char.
    #[error("type {ty} ({place}) is not part of Java Card")]
    Type {
        /// The type.
        ty: String,
        /// Where.
        place: Use,
    },
    /// int where it can be seen from outside the method, without `--int`.
    #[error("type int ({place}) needs int support (--int), which not every card has")]
    Int {
        /// Where.
        place: Use,
    },
    /// An operand may need more than 16 bits.
    #[error("{operand} of {operation} may be {low} to {high}, which 16 bits do not hold: cast the intermediate value to short")]
    Overflow {
        /// What the value is used for.
        operation: &'static str,
        /// Which operand.
        operand: &'static str,
        /// Lowest possible value.
        low: i32,
        /// Highest possible value.
        high: i32,
    },
    /// An int value where a 16-bit one has to be on the stack.
    #[error("int value as {0}: cast it to short")]
    IntOperand(&'static str),
    /// Arrays of arrays.
    #[error("arrays have one dimension in Java Card ({place})")]
    MultiDimensionalArray {
        /// Where.
        place: Use,
    },
    /// String constants and class literals.
    #[error("{0} constants are not part of Java Card")]
    Constant(&'static str),
    /// String concatenation.
    #[error("string concatenation is not part of Java Card")]
    StringConcatenation,
    /// Lambdas and method references.
    #[error("lambda expressions and method references are not part of Java Card")]
    Lambda,
    /// Other invokedynamic and dynamic constants.
    #[error("invokedynamic is not part of Java Card")]
    InvokeDynamic,
    /// enum
    #[error("enum types are not part of Java Card")]
    Enum,
    /// record
    #[error("records are not part of Java Card")]
    Record,
    /// Annotation declarations are interfaces with no code: harmless but of no use.
    #[error("module descriptors are not part of Java Card")]
    Module,
    /// assert
    #[error("assert is not part of Java Card")]
    Assert,
    /// switch on a string or an enum.
    #[error("switch on {0} is not part of Java Card")]
    SwitchOn(&'static str),
    /// Boxing.
    #[error("boxing ({0}) is not part of Java Card")]
    Boxing(String),
    /// synchronized methods and blocks.
    #[error("synchronized is not part of Java Card")]
    Synchronized,
    /// native methods.
    #[error("native methods are not part of Java Card")]
    Native,
    /// finalize()
    #[error("finalize is not called in Java Card")]
    Finalize,
    /// An instruction with no counterpart.
    #[error("instruction {0} is not part of Java Card")]
    Instruction(&'static str),
    /// default, static or private interface methods.
    #[error("interface methods with a body are not part of Java Card")]
    InterfaceMethodBody,
    /// Interface field that is not a compile-time constant of primitive type.
    #[error("field {0} of an interface is no compile-time constant of a primitive type")]
    InterfaceField(String),
    /// A class uses what it cannot see: constants of a package-visible interface.
    #[error("public class implements package-visible interface {0}, which has constants")]
    PackageInterfaceConstants(String),
    /// A public or protected method overrides a package-visible one.
    #[error("{0} is package-visible in a superclass and cannot become public or protected")]
    WidenedAccess(String),
    /// Bytecode no Java compiler writes.
    #[error("malformed bytecode: {0}")]
    Malformed(&'static str),
    /// An exception table that the ordering rules of the CAP file cannot express.
    #[error("exception handlers overlap in a way the CAP file cannot express")]
    HandlerOrder,

    /// An instruction a static initialiser may not have.
    #[error("static initialiser: {0}")]
    StaticInitializer(StaticInitRule),
    /// Arrays with initial values in a library.
    #[error("a package without applets cannot have arrays with initial values ({0})")]
    LibraryArrayInit(String),

    /// There is no export file or built-in table for a package.
    #[error("package {0} is not known: no export file on the export path")]
    MissingPackage(String),
    /// The Java class library beyond java.lang's exceptions.
    #[error("class {0} does not exist in Java Card")]
    NoSuchClass(String),
    /// A method that the export table does not have.
    #[error("method {class}.{name}{descriptor} does not exist in {package} {version}")]
    NoSuchMethod {
        /// Class named in the call.
        class: String,
        /// Method.
        name: String,
        /// Descriptor.
        descriptor: String,
        /// Package of the imported class.
        package: String,
        /// Its version.
        version: PackageVersion,
    },
    /// A field that the export table does not have.
    #[error("field {class}.{name} does not exist in {package} {version}")]
    NoSuchField {
        /// Class named in the access.
        class: String,
        /// Field.
        name: String,
        /// Package of the imported class.
        package: String,
        /// Its version.
        version: PackageVersion,
    },
    /// A class of this package is referred to but not there.
    #[error("class {0} of this package is missing")]
    MissingClass(String),
    /// A member of a class of this package is referred to but not there.
    #[error("{class} has no {name}{descriptor}; compile all classes again")]
    MissingMember {
        /// Class named.
        class: String,
        /// Member.
        name: String,
        /// Descriptor.
        descriptor: String,
    },
    /// The former export file belongs to another package.
    #[error("the former export file is of {found}, not of {expected}")]
    FormerExport {
        /// Its package.
        found: String,
        /// This package.
        expected: String,
    },
    /// Something that was exported is gone.
    #[error("{0} was exported before and is gone: raise the major version")]
    FormerMember(String),

    /// A class named as applet does not exist.
    #[error("applet class {0} is not in the package")]
    NoSuchApplet(String),
    /// A class named as applet is none.
    #[error("applet class does not extend javacard.framework.Applet")]
    NotAnApplet,
    /// An applet without install.
    #[error("applet class has no public static void install(byte[], short, byte)")]
    NoInstall,
    /// An applet class that cannot be instantiated is named.
    #[error("applet class is abstract")]
    AbstractApplet,
    /// Applet AIDs begin with the RID of the package.
    #[error("applet AID {applet} and package AID {package} have different RIDs (first five bytes)")]
    Rid {
        /// Applet AID.
        applet: Aid,
        /// Package AID.
        package: Aid,
    },
    /// Applet and package AIDs differ, and applet AIDs among each other.
    #[error("AID {0} is used twice")]
    SameAid(Aid),
    /// There is no room for a counter behind the package AID.
    #[error("name the applet's AID: package AID {0} leaves no room for a counter")]
    NoAppletAid(Aid),
    /// All or none of a package's applets are MultiSelectable.
    #[error("all applets of a package implement MultiSelectable, or none does")]
    MultiSelectable,

    /// Too much of something.
    #[error("{count} {limit} ({max} are allowed)")]
    Limit {
        /// What.
        limit: Limit,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },

    /// Warning: int support asked for and not used.
    #[error("int support was asked for and nothing needs it")]
    IntUnused,
    /// Warning: a variable declared int lives in 16 bits.
    #[error("variable {0} is declared int; its values fit 16 bits, so it is converted as short")]
    IntVariable(String),
}

/// What static initialisers may not do: the Java Card virtual machine runs none (JCVM 2.2.4.6), so the converter
/// has to know the values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum StaticInitRule {
    #[error("{0} cannot be done before the card runs")]
    Instruction(String),
    #[error("array length is negative")]
    NegativeLength,
    #[error("array index {0} is outside the array")]
    Index(i32),
    #[error("field {0} belongs to another class")]
    OtherClass(String),
    #[error("two fields hold the same array")]
    SharedArray,
    #[error("an array of {0} elements")]
    ArrayTooLarge(usize),
}

impl ConvertRule {
    /// Features that javac spells with classes and constants which Java Card lacks as well.
    fn is_language_feature(&self) -> bool {
        matches!(
            self,
            Self::StringConcatenation | Self::Lambda | Self::Assert | Self::SwitchOn(_) | Self::Boxing(_)
        )
    }

    /// Section of the specification the rule comes from (Java Card VM specification 3.0.4 where no other is named).
    pub fn section(&self) -> Option<&'static str> {
        Some(match self {
            Self::Type { .. } | Self::MultiDimensionalArray { .. } | Self::Constant(_) | Self::Boxing(_) => {
                "JCVM 2.2.1"
            }
            Self::Int { .. } => "JCVM 2.2.3.1",
            Self::Overflow { .. } | Self::IntOperand(_) => "JCVM 2.2.3.1, 3.1",
            Self::StringConcatenation | Self::Lambda | Self::InvokeDynamic | Self::Instruction(_) => {
                "JCVM 2.3.1.2"
            }
            Self::Enum | Self::Record | Self::Assert | Self::SwitchOn(_) | Self::Module => "JCVM 2.2.1.1",
            Self::Synchronized | Self::Native | Self::Finalize => "JCVM 2.2.1.2",
            Self::InterfaceMethodBody | Self::InterfaceField(_) | Self::PackageInterfaceConstants(_) => {
                "JCVM 2.2.4.4"
            }
            Self::WidenedAccess(_) => "JCVM 4.3.7.6",
            Self::HandlerOrder => "JCVM 6.9.1",
            Self::StaticInitializer(_) => "JCVM 2.2.4.6",
            Self::LibraryArrayInit(_) => "JCVM 6.10",
            Self::NoSuchClass(_) | Self::NoSuchMethod { .. } | Self::NoSuchField { .. } => "JCVM 2.2.3",
            Self::FormerMember(_) => "JCVM 4.5",
            Self::NotAnApplet | Self::NoInstall | Self::AbstractApplet => "JCVM 6.5",
            Self::Rid { .. } | Self::SameAid(_) => "JCVM 4.2.1",
            Self::MultiSelectable => "JCRE 4.3",
            Self::Limit { .. } => "JCVM 2.2.4",
            _ => return None,
        })
    }
}
