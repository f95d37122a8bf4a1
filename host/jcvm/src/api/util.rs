//! javacard.framework.Util

use super::Row;
use crate::bits::{Bits, UnsignedBits};
use crate::vm::{check_range, Args, Outcome, Value, Vm};

const UTIL: &str = "javacard/framework/Util";

fn copy(vm: &mut Vm<'_>, args: Args, atomic: bool) -> Outcome<Value> {
    let source = vm.array_arg(args, 0)?;
    let from = vm.short_arg(args, 1)?;
    let dest = vm.array_arg(args, 2)?;
    let (to, len) = (vm.short_arg(args, 3)?, vm.short_arg(args, 4)?);
    let bytes = vm.range(&source, from, len)?;
    let (offset, _) = check_range(&dest, to, len)?;
    vm.state.heap.write_bytes(&dest, offset, &bytes, atomic)?;
    Ok(to.wrapping_add(len).into())
}

/// arrayCopy(byte[] src, short srcOff, byte[] dest, short destOff, short length)
fn array_copy(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    copy(vm, args, true)
}

/// arrayCopyNonAtomic, which takes no part in a transaction.
fn array_copy_non_atomic(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    copy(vm, args, false)
}

fn fill(vm: &mut Vm<'_>, args: Args, atomic: bool) -> Outcome<Value> {
    let array = vm.array_arg(args, 0)?;
    let (offset, len) = (vm.short_arg(args, 1)?, vm.short_arg(args, 2)?);
    let value = vm.byte_arg(args, 3)?;
    let (from, count) = check_range(&array, offset, len)?;
    vm.state.heap.fill(&array, from, count, value.unsigned(), atomic)?;
    Ok(offset.wrapping_add(len).into())
}

/// arrayFill(byte[] bArray, short bOff, short bLen, byte bValue)
fn array_fill(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    fill(vm, args, true)
}

/// arrayFillNonAtomic
fn array_fill_non_atomic(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    fill(vm, args, false)
}

/// arrayCompare(byte[] src, short srcOff, byte[] dest, short destOff, short length): bytes compare signed.
fn array_compare(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let left = vm.array_arg(args, 0)?;
    let right = vm.array_arg(args, 2)?;
    let len = vm.short_arg(args, 4)?;
    let left = vm.range(&left, vm.short_arg(args, 1)?, len)?;
    let right = vm.range(&right, vm.short_arg(args, 3)?, len)?;
    let signed = |bytes: Vec<u8>| bytes.into_iter().map(Bits::signed).collect::<Vec<i8>>();
    Ok((signed(left).cmp(&signed(right)) as i16).into())
}

/// makeShort(byte b1, byte b2)
fn make_short(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (high, low) = (vm.byte_arg(args, 0)?, vm.byte_arg(args, 1)?);
    Ok(i16::from_be_bytes([high.unsigned(), low.unsigned()]).into())
}

/// getShort(byte[] bArray, short bOff)
fn get_short(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let bytes = vm.bytes_arg(args, 0, vm.short_arg(args, 1)?, 2)?;
    Ok(i16::from_be_bytes([bytes[0], bytes[1]]).into())
}

/// setShort(byte[] bArray, short bOff, short sValue): atomic on a persistent array.
fn set_short(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let array = vm.array_arg(args, 0)?;
    let (offset, value) = (vm.short_arg(args, 1)?, vm.short_arg(args, 2)?);
    let (from, _) = check_range(&array, offset, 2)?;
    vm.state.heap.write_bytes(&array, from, &value.to_be_bytes(), true)?;
    Ok(offset.wrapping_add(2).into())
}

pub(super) const METHODS: &[Row] = &[
    (UTIL, "arrayCopy([BS[BSS)S", array_copy),
    (UTIL, "arrayCopyNonAtomic([BS[BSS)S", array_copy_non_atomic),
    (UTIL, "arrayFill([BSSB)S", array_fill),
    (UTIL, "arrayFillNonAtomic([BSSB)S", array_fill_non_atomic),
    (UTIL, "arrayCompare([BS[BSS)B", array_compare),
    (UTIL, "makeShort(BB)S", make_short),
    (UTIL, "getShort([BS)S", get_short),
    (UTIL, "setShort([BSS)S", set_short),
];
