//! The virtual machine on small packages: instructions, transactions, firewall, hostile bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// The assembler and the samples of the CAP crate's own tests.
#[path = "../../../cap/tests/verify/asm/mod.rs"]
#[allow(dead_code, unused_imports, clippy::all, clippy::pedantic)]
mod asm;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod firewall;
mod hostile;
#[path = "../../../cap/tests/verify/samples.rs"]
#[allow(dead_code, unused_imports, clippy::all, clippy::pedantic)]
mod samples;

/// Constructor and `install` of an applet class `Main`; the line `birth` in a package of these tests.
const BIRTH: &str = r"
  method <init> ()V stack 1
    aload_0
    invokespecial javacard/framework/Applet.<init>()V
    return
  method install ([BSB)V public static stack 5
    new Main
    dup
    invokespecial Main.<init>()V
    aload_0
    sload_1
    sconst_1
    sadd
    aload_0
    sload_1
    baload
    invokevirtual javacard/framework/Applet.register([BSB)V
    return
";

fn assemble(text: &str) -> jpkise_cap::Cap {
    asm::assemble(&text.replace("  birth\n", BIRTH.trim_start_matches('\n')))
}
