//! javacard.framework: exceptions with a reason, AID.

use super::Row;
use crate::bits::{Bits, UnsignedBits};
use crate::heap::Ref;
use crate::vm::{check_range, raise, reason, Args, Exception, Outcome, Trap, Value, Vm};

/// Shortest and longest AID (ISO/IEC 7816-5).
const AID_MIN: i16 = 5;
const AID_MAX: i16 = 16;
const RID: usize = 5;

/// Cell of the reason in exceptions.
const REASON: u16 = 0;

fn set_reason(vm: &mut Vm<'_>, args: Args, class: &str) -> Outcome<Value> {
    let this = vm.this(args, class)?;
    let reason = vm.short_arg(args, 1)?;
    vm.set_cell(&this, REASON, reason.unsigned())?;
    Ok(Value::Void)
}

fn get_reason(vm: &mut Vm<'_>, args: Args, class: &str) -> Outcome<Value> {
    let this = vm.this(args, class)?;
    Ok(vm.cell(&this, REASON).signed().into())
}

const CHECKED: &str = "javacard/framework/CardException";
const UNCHECKED: &str = "javacard/framework/CardRuntimeException";

fn set_checked(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    set_reason(vm, args, CHECKED)
}

fn get_checked(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    get_reason(vm, args, CHECKED)
}

fn set_unchecked(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    set_reason(vm, args, UNCHECKED)
}

fn get_unchecked(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    get_reason(vm, args, UNCHECKED)
}

fn default_user_exception(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, CHECKED)?;
    vm.set_cell(&this, REASON, 0)?;
    Ok(Value::Void)
}

macro_rules! throwers {
    ($($name:ident $exception:ident,)*) => {
        $(
            /// throwIt: the runtime's own instance with this reason.
            fn $name(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
                Err(Trap::Raise(Exception::$exception, vm.short_arg(args, 0)?))
            }
        )*
    };
}

throwers! {
    throw_card Card,
    throw_card_runtime CardRuntime,
    throw_iso Iso,
    throw_pin Pin,
    throw_apdu Apdu,
    throw_system System,
    throw_transaction Transaction,
    throw_user User,
    throw_crypto Crypto,
}

pub(super) const AID: &str = "javacard/framework/AID";

/// The bytes of an AID object.
fn aid_bytes(vm: &Vm<'_>, aid: Ref) -> Outcome<Vec<u8>> {
    let object = vm.object(aid)?;
    let array = vm.own_array(&object, 0)?;
    Ok(vm.own_bytes(&array))
}

fn this_bytes(vm: &Vm<'_>, args: Args) -> Outcome<Vec<u8>> {
    let this = vm.this(args, AID)?;
    let array = vm.own_array(&this, 0)?;
    Ok(vm.own_bytes(&array))
}

/// AID(byte[] bArray, short offset, byte length)
fn aid_init(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, AID)?;
    let (offset, len) = (vm.short_arg(args, 2)?, i16::from(vm.byte_arg(args, 3)?));
    let bytes = vm.bytes_arg(args, 1, offset, len)?;
    if !(AID_MIN..=AID_MAX).contains(&len) {
        return raise(Exception::System, reason::SYSTEM_ILLEGAL_VALUE);
    }
    let array = vm.new_bytes(len.unsigned())?;
    let view = vm.byte_array(array)?;
    vm.put_bytes(&view, 0, &bytes)?;
    vm.set_cell(&this, 0, array.0)?;
    Ok(Value::Void)
}

/// AID.equals(Object)
fn aid_equals(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this_bytes(vm, args)?;
    let other = vm.ref_arg(args, 1)?;
    if other.is_null() {
        return Ok(false.into());
    }
    let object = vm.object(other)?;
    vm.check_access(&object)?;
    let class = vm.api_class(AID)?;
    Ok((vm.is_instance(&object, class) && aid_bytes(vm, other)? == this).into())
}

/// AID.equals(byte[] bArray, short offset, byte length)
fn aid_equals_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this_bytes(vm, args)?;
    if vm.ref_arg(args, 1)?.is_null() {
        return Ok(false.into());
    }
    let (offset, len) = (vm.short_arg(args, 2)?, i16::from(vm.byte_arg(args, 3)?));
    Ok((vm.bytes_arg(args, 1, offset, len)? == this).into())
}

/// AID.partialEquals(byte[] bArray, short offset, byte length)
fn aid_partial_equals(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this_bytes(vm, args)?;
    if vm.ref_arg(args, 1)?.is_null() {
        return Ok(false.into());
    }
    let (offset, len) = (vm.short_arg(args, 2)?, i16::from(vm.byte_arg(args, 3)?));
    let part = vm.bytes_arg(args, 1, offset, len)?;
    Ok(this.starts_with(&part).into())
}

/// AID.RIDEquals(AID)
fn aid_rid_equals(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this_bytes(vm, args)?;
    let other = vm.ref_arg(args, 1)?;
    if other.is_null() {
        return Ok(false.into());
    }
    vm.object_arg(args, 1, AID)?;
    let other = aid_bytes(vm, other)?;
    Ok((other.get(..RID) == this.get(..RID)).into())
}

/// AID.getBytes(byte[] dest, short offset)
fn aid_get_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this_bytes(vm, args)?;
    let dest = vm.array_arg(args, 1)?;
    let offset = vm.short_arg(args, 2)?;
    vm.put_bytes(&dest, offset, &this)?;
    Ok(i16::try_from(this.len()).unwrap_or(0).into())
}

/// AID.getPartialBytes(short aidOffset, byte[] dest, short oOffset, byte oLength); length 0 is the rest.
fn aid_get_partial(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this_bytes(vm, args)?;
    let from = vm.short_arg(args, 1)?;
    let dest = vm.array_arg(args, 2)?;
    let (offset, len) = (vm.short_arg(args, 3)?, i16::from(vm.byte_arg(args, 4)?));
    let Some(rest) = usize::try_from(from).ok().and_then(|from| this.get(from..)) else {
        return raise(Exception::ArrayIndex, 0);
    };
    let part = match len {
        0 => Some(rest),
        len => usize::try_from(len).ok().and_then(|len| rest.get(..len)),
    };
    let Some(part) = part else { return raise(Exception::ArrayIndex, 0) };
    let len = i16::try_from(part.len()).unwrap_or(0);
    check_range(&dest, offset, len)?;
    vm.put_bytes(&dest, offset, part)?;
    Ok(len.into())
}

const INIT: &str = "<init>(S)V";
const THROW: &str = "throwIt(S)V";

pub(super) const METHODS: &[Row] = &[
    (CHECKED, INIT, set_checked),
    (CHECKED, THROW, throw_card),
    (CHECKED, "getReason()S", get_checked),
    (CHECKED, "setReason(S)V", set_checked),
    (UNCHECKED, INIT, set_unchecked),
    (UNCHECKED, THROW, throw_card_runtime),
    (UNCHECKED, "getReason()S", get_unchecked),
    (UNCHECKED, "setReason(S)V", set_unchecked),
    ("javacard/framework/ISOException", INIT, set_unchecked),
    ("javacard/framework/ISOException", THROW, throw_iso),
    ("javacard/framework/PINException", INIT, set_unchecked),
    ("javacard/framework/PINException", THROW, throw_pin),
    ("javacard/framework/APDUException", INIT, set_unchecked),
    ("javacard/framework/APDUException", THROW, throw_apdu),
    ("javacard/framework/SystemException", INIT, set_unchecked),
    ("javacard/framework/SystemException", THROW, throw_system),
    ("javacard/framework/TransactionException", INIT, set_unchecked),
    ("javacard/framework/TransactionException", THROW, throw_transaction),
    ("javacard/framework/UserException", "<init>()V", default_user_exception),
    ("javacard/framework/UserException", INIT, set_checked),
    ("javacard/framework/UserException", THROW, throw_user),
    ("javacard/security/CryptoException", INIT, set_unchecked),
    ("javacard/security/CryptoException", THROW, throw_crypto),
    (AID, "<init>([BSB)V", aid_init),
    (AID, "equals(Ljava/lang/Object;)Z", aid_equals),
    (AID, "equals([BSB)Z", aid_equals_bytes),
    (AID, "partialEquals([BSB)Z", aid_partial_equals),
    (AID, "RIDEquals(Ljavacard/framework/AID;)Z", aid_rid_equals),
    (AID, "getBytes([BS)B", aid_get_bytes),
    (AID, "getPartialBytes(S[BSB)B", aid_get_partial),
];
