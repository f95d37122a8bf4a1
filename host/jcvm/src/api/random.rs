//! javacard.security.RandomData
//!
//! ```text
//! cell 0 algorithm
//! ```

use rand::RngCore;

use super::Row;
use crate::bits::{Bits, UnsignedBits};
use crate::vm::{check_range, raise, reason, Args, Exception, Outcome, Value, Vm};

const RANDOM: &str = "javacard/security/RandomData";
const IMPL: &str = "javacard/security/RandomDataImpl";

/// getInstance(byte algorithm): ALG_PSEUDO_RANDOM 1 to ALG_KEYGENERATION 6, all from the card's one source.
fn get_instance(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let number = vm.byte_arg(args, 0)?;
    if !(1..=6).contains(&number) {
        return raise(Exception::Crypto, reason::NO_SUCH_ALGORITHM);
    }
    let object = vm.new_api_object(IMPL)?;
    let view = vm.object(object)?;
    vm.set_cell(&view, 0, number.unsigned().into())?;
    Ok(object.into())
}

fn fill(vm: &mut Vm<'_>, args: Args) -> Outcome<i16> {
    vm.this(args, IMPL)?;
    let array = vm.array_arg(args, 1)?;
    let (offset, len) = (vm.short_arg(args, 2)?, vm.short_arg(args, 3)?);
    let (_, count) = check_range(&array, offset, len)?;
    if count == 0 {
        return raise(Exception::Crypto, reason::CRYPTO_ILLEGAL_VALUE);
    }
    let mut bytes = vec![0; count];
    vm.state.random.fill_bytes(&mut bytes);
    vm.put_bytes(&array, offset, &bytes)?;
    Ok(offset.wrapping_add(len))
}

/// generateData(byte[] buffer, short offset, short length)
fn generate_data(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    fill(vm, args)?;
    Ok(Value::Void)
}

/// nextBytes(byte[] buffer, short offset, short length)
fn next_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    fill(vm, args).map(Into::into)
}

/// setSeed(byte[] buffer, short offset, short length): checked, not needed.
fn set_seed(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    vm.this(args, IMPL)?;
    vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    Ok(Value::Void)
}

/// getAlgorithm()
fn get_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, IMPL)?;
    Ok(vm.cell(&this, 0).signed().into())
}

pub(super) const METHODS: &[Row] = &[
    (RANDOM, "getInstance(B)Ljavacard/security/RandomData;", get_instance),
    (RANDOM, "getInstance(BZ)Ljavacard/security/RandomData;", get_instance),
    (RANDOM, "generateData([BSS)V", generate_data),
    (RANDOM, "nextBytes([BSS)S", next_bytes),
    (RANDOM, "setSeed([BSS)V", set_seed),
    (RANDOM, "getAlgorithm()B", get_algorithm),
];
