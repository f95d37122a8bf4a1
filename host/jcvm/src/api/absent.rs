//! Factories of what this runtime does not have: an applet that asks is told NO_SUCH_ALGORITHM, as by a card, and one
//! that only asks in order to know still loads.

use super::Row;
use crate::vm::{raise, reason, Args, Exception, Outcome, Value, Vm};

fn no_such_algorithm(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    raise(Exception::Crypto, reason::NO_SUCH_ALGORITHM)
}

const BUILDER: &str = "javacard/security/KeyBuilder";

pub(super) const METHODS: &[Row] = &[
    ("javacard/security/Checksum", "getInstance(BZ)Ljavacard/security/Checksum;", no_such_algorithm),
    ("javacard/security/KeyAgreement", "getInstance(BZ)Ljavacard/security/KeyAgreement;", no_such_algorithm),
    (
        "javacard/security/MessageDigest",
        "getInitializedMessageDigestInstance(BZ)Ljavacard/security/InitializedMessageDigest;",
        no_such_algorithm,
    ),
    (
        "javacard/security/InitializedMessageDigest$OneShot",
        "open(B)Ljavacard/security/InitializedMessageDigest$OneShot;",
        no_such_algorithm,
    ),
    (
        "javacard/security/MessageDigest$OneShot",
        "open(B)Ljavacard/security/MessageDigest$OneShot;",
        no_such_algorithm,
    ),
    (
        "javacard/security/RandomData$OneShot",
        "open(B)Ljavacard/security/RandomData$OneShot;",
        no_such_algorithm,
    ),
    (
        "javacard/security/Signature$OneShot",
        "open(BBB)Ljavacard/security/Signature$OneShot;",
        no_such_algorithm,
    ),
    ("javacardx/crypto/Cipher$OneShot", "open(BB)Ljavacardx/crypto/Cipher$OneShot;", no_such_algorithm),
    (BUILDER, "buildKey(BBSZ)Ljavacard/security/Key;", no_such_algorithm),
    (
        BUILDER,
        "buildKeyWithSharedDomain(BBLjavacard/security/Key;Z)Ljavacard/security/Key;",
        no_such_algorithm,
    ),
    (
        BUILDER,
        "buildXECKey(Ljavacard/security/NamedParameterSpec;SZ)Ljavacard/security/Key;",
        no_such_algorithm,
    ),
];
