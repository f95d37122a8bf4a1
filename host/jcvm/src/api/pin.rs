//! javacard.framework.OwnerPIN
//!
//! ```text
//! cell 0 value (byte[])  1 validated flag (transient boolean[1])  2 limit, size  3 tries left, length
//! ```
//! Tries, validated flag and blocking take no part in transactions; `update` does (API of OwnerPIN). The counter goes
//! down before the comparison, so that no cut gives a try back.

use super::Row;
use crate::bits::UnsignedBits;
use crate::heap::{kind, Clear, Object};
use crate::vm::{raise, reason, Args, Exception, Outcome, Value, Vm};

pub(super) const CELLS: u16 = 4;
pub(super) const REFERENCES: u16 = 2;

const OWNER_PIN: &str = "javacard/framework/OwnerPIN";
const VALUE: u16 = 0;
const VALIDATED: u16 = 1;
const LIMITS: u16 = 2;
const STATE: u16 = 3;

struct Pin {
    object: Object,
    limit: u8,
    size: u8,
    tries: u8,
    len: u8,
}

fn this(vm: &Vm<'_>, args: Args) -> Outcome<Pin> {
    let object = vm.this(args, OWNER_PIN)?;
    let [limit, size] = vm.cell(&object, LIMITS).to_be_bytes();
    let [tries, len] = vm.cell(&object, STATE).to_be_bytes();
    Ok(Pin { object, limit, size, tries, len })
}

fn set_validated_flag(vm: &mut Vm<'_>, pin: &Pin, value: bool) -> Outcome<()> {
    let flags = vm.own_array(&pin.object, VALIDATED)?;
    Ok(vm.state.heap.set(&flags, 0, value.into())?)
}

fn validated_flag(vm: &Vm<'_>, pin: &Pin) -> Outcome<bool> {
    let flags = vm.own_array(&pin.object, VALIDATED)?;
    Ok(vm.state.heap.load(&flags, 0) != 0)
}

/// Sets the tries whatever transaction is open. Going down, an abort cannot bring them back either.
fn set_tries(vm: &mut Vm<'_>, pin: &Pin, tries: u8) -> Outcome<()> {
    let address = pin.object.body() + 2 * u32::from(STATE);
    let used = pin.tries.saturating_sub(tries);
    if used > 0 {
        vm.state.heap.store.follow_in_journal(address, |old| old.saturating_sub(used))?;
    }
    Ok(vm.state.heap.store.put(address, &[tries])?)
}

/// OwnerPIN(byte tryLimit, byte maxPINSize)
fn init(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let object = vm.this(args, OWNER_PIN)?;
    let (limit, size) = (vm.byte_arg(args, 1)?, vm.byte_arg(args, 2)?);
    if limit < 1 || size < 1 {
        return raise(Exception::Pin, reason::PIN_ILLEGAL_VALUE);
    }
    let (limit, size) = (limit.unsigned(), size.unsigned());
    let value = vm.new_bytes(size.into())?;
    let flag = super::jcsystem::new_transient(vm, kind::BOOLEANS, 1, Clear::Reset)?;
    vm.set_cell(&object, VALUE, value.0)?;
    vm.set_cell(&object, VALIDATED, flag.0)?;
    vm.set_cell(&object, LIMITS, u16::from_be_bytes([limit, size]))?;
    vm.set_cell(&object, STATE, u16::from_be_bytes([limit, 0]))?;
    Ok(Value::Void)
}

/// check(byte[] pin, short offset, byte length)
fn check(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let pin = this(vm, args)?;
    set_validated_flag(vm, &pin, false)?;
    if pin.tries == 0 {
        return Ok(false.into());
    }
    // The try is used up before anything can go wrong, a bad array included (OwnerPIN.check).
    let left = pin.tries - 1;
    set_tries(vm, &pin, left)?;
    let (offset, len) = (vm.short_arg(args, 2)?, i16::from(vm.byte_arg(args, 3)?));
    let presented = vm.bytes_arg(args, 1, offset, len)?;
    let value = vm.own_array(&pin.object, VALUE)?;
    let value = vm.state.heap.read_elements(&value, 0, pin.len.into());
    if !same(&presented, &value) {
        return Ok(false.into());
    }
    let limit = pin.limit;
    set_tries(vm, &Pin { tries: left, ..pin }, limit)?;
    set_validated_flag(vm, &this(vm, args)?, true)?;
    Ok(true.into())
}

/// Compares without an early exit.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// update(byte[] pin, short offset, byte length)
fn update(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let pin = this(vm, args)?;
    let (offset, len) = (vm.short_arg(args, 2)?, i16::from(vm.byte_arg(args, 3)?));
    let new = vm.bytes_arg(args, 1, offset, len)?;
    if len > i16::from(pin.size) {
        return raise(Exception::Pin, reason::PIN_ILLEGAL_VALUE);
    }
    let value = vm.own_array(&pin.object, VALUE)?;
    let state = [pin.limit, u8::try_from(new.len()).unwrap_or(0)];
    let mut padded = new;
    padded.resize(pin.size.into(), 0);
    vm.atomically(|vm| {
        vm.state.heap.write_bytes(&value, 0, &padded, true)?;
        vm.set_cell(&pin.object, STATE, u16::from_be_bytes(state))
    })?;
    set_validated_flag(vm, &pin, false)?;
    Ok(Value::Void)
}

/// resetAndUnblock()
fn reset_and_unblock(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let pin = this(vm, args)?;
    set_validated_flag(vm, &pin, false)?;
    set_tries(vm, &pin, pin.limit)?;
    Ok(Value::Void)
}

/// reset(): if validated, tries and flag go back; else nothing (OwnerPIN.reset).
fn reset(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let pin = this(vm, args)?;
    if validated_flag(vm, &pin)? {
        set_validated_flag(vm, &pin, false)?;
        if pin.tries != pin.limit {
            set_tries(vm, &pin, pin.limit)?;
        }
    }
    Ok(Value::Void)
}

/// getTriesRemaining()
fn get_tries_remaining(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(i16::from(this(vm, args)?.tries).into())
}

/// isValidated(), getValidatedFlag()
fn is_validated(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let pin = this(vm, args)?;
    Ok(validated_flag(vm, &pin)?.into())
}

/// setValidatedFlag(boolean value)
fn set_validated(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let pin = this(vm, args)?;
    let value = vm.byte_arg(args, 1)? != 0;
    set_validated_flag(vm, &pin, value)?;
    Ok(Value::Void)
}

pub(super) const METHODS: &[Row] = &[
    (OWNER_PIN, "<init>(BB)V", init),
    (OWNER_PIN, "check([BSB)Z", check),
    (OWNER_PIN, "update([BSB)V", update),
    (OWNER_PIN, "resetAndUnblock()V", reset_and_unblock),
    (OWNER_PIN, "reset()V", reset),
    (OWNER_PIN, "getTriesRemaining()B", get_tries_remaining),
    (OWNER_PIN, "isValidated()Z", is_validated),
    (OWNER_PIN, "getValidatedFlag()Z", is_validated),
    (OWNER_PIN, "setValidatedFlag(Z)V", set_validated),
];
