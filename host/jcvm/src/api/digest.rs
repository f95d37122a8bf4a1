//! javacard.security.MessageDigest
//!
//! ```text
//! cell 0 algorithm
//! ```

use super::Row;
use crate::bits::{Bits, UnsignedBits};
use crate::crypto::{Engine, Hash, HashAlgorithm};
use crate::heap::Object;
use crate::vm::{check_range, raise, reason, type_fault, Args, Exception, Outcome, Value, Vm};

const DIGEST: &str = "javacard/security/MessageDigest";
const IMPL: &str = "javacard/security/MessageDigestImpl";

/// getInstance(byte algorithm, boolean externalAccess)
fn get_instance(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let number = vm.byte_arg(args, 0)?;
    if HashAlgorithm::from_number(number).is_none() {
        return raise(Exception::Crypto, reason::NO_SUCH_ALGORITHM);
    }
    let object = vm.new_api_object(IMPL)?;
    let view = vm.object(object)?;
    vm.set_cell(&view, 0, number.unsigned().into())?;
    Ok(object.into())
}

fn this(vm: &Vm<'_>, args: Args) -> Outcome<(Object, HashAlgorithm)> {
    let object = vm.this(args, IMPL)?;
    let number = vm.cell(&object, 0).to_be_bytes()[1].signed();
    let algorithm = HashAlgorithm::from_number(number).ok_or_else(|| type_fault("not a digest"))?;
    Ok((object, algorithm))
}

/// The digest under way; the object starts anew afterwards unless it is put back.
fn take(vm: &mut Vm<'_>, object: &Object, algorithm: HashAlgorithm) -> Hash {
    match vm.state.engines.get(&object.at) {
        Some(Engine::Hash(hash)) => hash.clone(),
        _ => algorithm.start(),
    }
}

/// update(byte[] inBuff, short inOffset, short inLength)
fn update(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (object, algorithm) = this(vm, args)?;
    let data = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let mut hash = take(vm, &object, algorithm);
    hash.update(&data);
    vm.state.engines.insert(object.at, Engine::Hash(hash));
    Ok(Value::Void)
}

/// doFinal(byte[] inBuff, short inOffset, short inLength, byte[] outBuff, short outOffset)
fn do_final(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (object, algorithm) = this(vm, args)?;
    let data = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let out = vm.array_arg(args, 4)?;
    let offset = vm.short_arg(args, 5)?;
    let len = i16::try_from(algorithm.len()).unwrap_or(0);
    check_range(&out, offset, len)?;
    let mut hash = take(vm, &object, algorithm);
    hash.update(&data);
    vm.state.engines.remove(&object.at);
    vm.put_bytes(&out, offset, &hash.finish())?;
    Ok(len.into())
}

/// reset()
fn reset(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (object, _) = this(vm, args)?;
    vm.state.engines.remove(&object.at);
    Ok(Value::Void)
}

/// getAlgorithm()
fn get_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(this(vm, args)?.1.number().into())
}

/// getLength()
fn get_length(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(i16::try_from(this(vm, args)?.1.len()).unwrap_or(0).into())
}

pub(super) const METHODS: &[Row] = &[
    (DIGEST, "getInstance(BZ)Ljavacard/security/MessageDigest;", get_instance),
    (DIGEST, "update([BSS)V", update),
    (DIGEST, "doFinal([BSS[BS)S", do_final),
    (DIGEST, "reset()V", reset),
    (DIGEST, "getAlgorithm()B", get_algorithm),
    (DIGEST, "getLength()B", get_length),
];
