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
