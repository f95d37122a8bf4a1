//! java.lang: Object and the exceptions.

use super::Row;
use crate::vm::{Args, Outcome, Value, Vm};

/// Constructors that do nothing.
fn nothing(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    vm.object(vm.ref_arg(args, 0)?)?;
    Ok(Value::Void)
}

/// Object.equals: the same object.
fn equals(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok((vm.ref_arg(args, 0)? == vm.ref_arg(args, 1)?).into())
}

const INIT: &str = "<init>()V";

pub(super) const METHODS: &[Row] = &[
    ("java/lang/Object", INIT, nothing),
    ("java/lang/Object", "equals(Ljava/lang/Object;)Z", equals),
    ("java/lang/Throwable", INIT, nothing),
    ("java/lang/Exception", INIT, nothing),
    ("java/lang/RuntimeException", INIT, nothing),
    ("java/lang/IndexOutOfBoundsException", INIT, nothing),
    ("java/lang/ArrayIndexOutOfBoundsException", INIT, nothing),
    ("java/lang/NegativeArraySizeException", INIT, nothing),
    ("java/lang/NullPointerException", INIT, nothing),
    ("java/lang/ClassCastException", INIT, nothing),
    ("java/lang/ArithmeticException", INIT, nothing),
    ("java/lang/SecurityException", INIT, nothing),
    ("java/lang/ArrayStoreException", INIT, nothing),
    ("java/io/IOException", INIT, nothing),
    ("java/rmi/RemoteException", INIT, nothing),
    // Abstract API classes that applets may extend.
    ("javacard/framework/Applet", INIT, nothing),
    ("javacardx/crypto/Cipher", INIT, nothing),
    ("javacard/security/Signature", INIT, nothing),
    ("javacard/security/MessageDigest", INIT, nothing),
    ("javacard/security/RandomData", INIT, nothing),
    ("javacard/security/KeyAgreement", INIT, nothing),
    ("javacard/security/Checksum", INIT, nothing),
    ("org/globalplatform/GPSystem", INIT, nothing),
];
