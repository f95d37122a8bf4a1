//! First pass over a method: resolves what instructions name, and refuses instructions outside the subset.

use crate::classfile::{field_type, ArrayKind, Constant, InvokeKind, JavaType, Jvm, MemberRef, Pool};
use crate::convert::diagnostics::{ConvertRule, Use};
use crate::convert::package::Package;
use crate::convert::resolve::{Call, ClassKey, CpKey, FieldTarget};

/// What an instruction refers to.
#[derive(Debug, Clone)]
pub(in crate::convert) enum Operand {
    None,
    /// The value of `ldc`, or of a constant read through `getstatic`.
    Constant(i32),
    Field(CpKey, JavaType),
    Call(Call),
    /// A class, for `new`, `anewarray`, `checkcast` and `instanceof`.
    Class(ClassKey),
    /// An array type of `checkcast` or `instanceof`: atype 10 to 14, with the class for 14.
    Array(u8, Option<ClassKey>),
    /// atype of `newarray`.
    ArrayType(u8),
    /// A call by which javac only asks whether a reference is null.
    NullCheck,
}

/// Whether javac checks for null by this call (in front of `outer.new Inner()`, or of an inner class's constructor):
/// `Objects.requireNonNull`, or, up to release 8, `getClass` with the result dropped.
pub(super) fn is_null_check(pool: &Pool, jvm: &Jvm, next: Option<&Jvm>) -> bool {
    let Jvm::Invoke(_, index) = jvm else { return false };
    let Ok(member) = pool.member(*index) else { return false };
    match (member.class, member.name, member.descriptor) {
        ("java/util/Objects", "requireNonNull", "(Ljava/lang/Object;)Ljava/lang/Object;") => true,
        (_, "getClass", "()Ljava/lang/Class;") => next == Some(&Jvm::Pop),
        _ => false,
    }
}

/// atype of an array of objects in `checkcast` and `instanceof` (JCVM 7.5.8).
pub(super) const ATYPE_REFERENCE: u8 = 14;

/// Resolves one instruction of a method of an own class.
pub(super) fn operand(
    package: &Package<'_>,
    class: usize,
    jvm: &Jvm,
    int: bool,
) -> Result<Operand, ConvertRule> {
    let pool = &package.classes[class].file.pool;
    let malformed = |_| ConvertRule::Malformed("constant pool index");
    Ok(match jvm {
        Jvm::Ldc(index) => Operand::Constant(constant(pool, *index)?),
        Jvm::GetStatic(index) | Jvm::PutStatic(index) => {
            let member = pool.member(*index).map_err(malformed)?;
            if member.name == "$assertionsDisabled" {
                return Err(ConvertRule::Assert);
            }
            if member.name.starts_with("$SwitchMap$") {
                return Err(ConvertRule::SwitchOn("an enum"));
            }
            field(package, member, true, int)?
        }
        Jvm::GetField(index) | Jvm::PutField(index) => {
            field(package, pool.member(*index).map_err(malformed)?, false, int)?
        }
        Jvm::Invoke(kind, index) => {
            call(package, class, *kind, pool.member(*index).map_err(malformed)?, int)?
        }
        Jvm::InvokeDynamic(index) => return Err(invoke_dynamic(pool, *index)),
        Jvm::New(index) => Operand::Class(package.class_key(pool.class(*index).map_err(malformed)?)?),
        Jvm::NewReferenceArray(index) => {
            let name = pool.class(*index).map_err(malformed)?;
            if name.starts_with('[') {
                return Err(ConvertRule::MultiDimensionalArray { place: Use::Instruction });
            }
            Operand::Class(package.class_key(name)?)
        }
        Jvm::CheckCast(index) | Jvm::InstanceOf(index) => {
            let name = pool.class(*index).map_err(malformed)?;
            if name.starts_with('[') {
                let ty = field_type(name).ok_or(ConvertRule::Malformed("array type"))?;
                array_type(package, &ty, int)?
            } else {
                Operand::Class(package.class_key(name)?)
            }
        }
        Jvm::NewArray(atype) => Operand::ArrayType(match atype {
            4 => 10,
            8 => 11,
            9 => 12,
            10 if int => 13,
            10 => return Err(ConvertRule::Int { place: Use::Instruction }),
            other => {
                let ty = match other {
                    5 => "char[]",
                    6 => "float[]",
                    7 => "double[]",
                    11 => "long[]",
                    _ => return Err(ConvertRule::Malformed("array type")),
                };
                return Err(ConvertRule::Type { ty: ty.into(), place: Use::Instruction });
            }
        }),
        Jvm::ArrayLoad(ArrayKind::Int) | Jvm::ArrayStore(ArrayKind::Int) if !int => {
            return Err(ConvertRule::Int { place: Use::Instruction })
        }
        Jvm::Unsupported(name) => {
            return Err(match *name {
                "synchronized" => ConvertRule::Synchronized,
                "multi-dimensional array" => ConvertRule::MultiDimensionalArray { place: Use::Instruction },
                "jsr" | "ret" => ConvertRule::Instruction(name),
                ty => ConvertRule::Type { ty: ty.to_owned(), place: Use::Instruction },
            })
        }
        _ => Operand::None,
    })
}

fn constant(pool: &Pool, index: u16) -> Result<i32, ConvertRule> {
    let ty = |ty: &str| Err(ConvertRule::Type { ty: ty.to_owned(), place: Use::Instruction });
    match pool.get(index) {
        Ok(Constant::Integer(value)) => Ok(*value),
        Ok(Constant::String(_)) => Err(ConvertRule::Constant("String")),
        Ok(Constant::Class(_)) => Err(ConvertRule::Constant("class")),
        Ok(Constant::Float) => ty("float"),
        Ok(Constant::Long) => ty("long"),
        Ok(Constant::Double) => ty("double"),
        Ok(Constant::Dynamic) => Err(ConvertRule::InvokeDynamic),
        _ => Err(ConvertRule::Malformed("constant")),
    }
}

fn invoke_dynamic(pool: &Pool, index: u16) -> ConvertRule {
    let Ok(Constant::InvokeDynamic { name_and_type }) = pool.get(index) else {
        return ConvertRule::InvokeDynamic;
    };
    match pool.name_and_type(*name_and_type) {
        Ok(("makeConcatWithConstants" | "makeConcat", _)) => ConvertRule::StringConcatenation,
        Ok(("typeSwitch" | "enumSwitch", _)) => ConvertRule::SwitchOn("patterns"),
        // A call site that makes an object of an interface is how lambdas are compiled.
        Ok((_, descriptor)) if descriptor.ends_with(';') => ConvertRule::Lambda,
        _ => ConvertRule::InvokeDynamic,
    }
}

fn field(
    package: &Package<'_>,
    member: MemberRef<'_>,
    is_static: bool,
    int: bool,
) -> Result<Operand, ConvertRule> {
    Ok(match package.field(member, is_static)? {
        FieldTarget::Constant(value) => Operand::Constant(value),
        FieldTarget::Field(key, ty) => {
            check_type(&ty, Use::Field, int)?;
            Operand::Field(key, ty)
        }
    })
}

fn call(
    package: &Package<'_>,
    class: usize,
    kind: InvokeKind,
    member: MemberRef<'_>,
    int: bool,
) -> Result<Operand, ConvertRule> {
    let call = package.call(class, kind, member)?;
    for ty in &call.ty.parameters {
        check_type(ty, Use::Parameter, int)?;
    }
    check_type(&call.ty.result, Use::Result, int)?;
    Ok(Operand::Call(call))
}

fn array_type(package: &Package<'_>, ty: &JavaType, int: bool) -> Result<Operand, ConvertRule> {
    check_type(ty, Use::Cast, int)?;
    let JavaType::Array(element) = ty else { return Err(ConvertRule::Malformed("array type")) };
    Ok(match element.as_ref() {
        JavaType::Boolean => Operand::Array(10, None),
        JavaType::Byte => Operand::Array(11, None),
        JavaType::Short => Operand::Array(12, None),
        JavaType::Int => Operand::Array(13, None),
        JavaType::Class(name) => Operand::Array(ATYPE_REFERENCE, Some(package.class_key(name)?)),
        _ => return Err(ConvertRule::Malformed("array type")),
    })
}

/// Refuses types that Java Card lacks, and int where the card may lack it.
pub(in crate::convert) fn check_type(ty: &JavaType, place: Use, int: bool) -> Result<(), ConvertRule> {
    let name = match ty {
        JavaType::Int if !int => return Err(ConvertRule::Int { place }),
        JavaType::Array(element) if matches!(**element, JavaType::Array(_)) => {
            return Err(ConvertRule::MultiDimensionalArray { place })
        }
        JavaType::Array(element) => return check_type(element, place, int),
        JavaType::Class(name) if name == "java/lang/String" => "java.lang.String",
        JavaType::Char => "char",
        JavaType::Long => "long",
        JavaType::Float => "float",
        JavaType::Double => "double",
        _ => return Ok(()),
    };
    Err(ConvertRule::Type { ty: name.to_owned(), place })
}
