//! Applets in Java, compiled, converted and run: several channels, transmission protocols, extended length, packages
//! that use one another, cryptography, and the CAP file's own variants. Without a JDK all of it is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arithmetic;
mod bench;
mod channels;
mod crypt;
mod features;
mod formats;
mod packages;
mod public;
mod refused;
/// API stubs and javac, as the CAP crate's own tests have them.
#[path = "../../../cap/tests/support/mod.rs"]
#[allow(dead_code, clippy::all, clippy::pedantic)]
mod support;
mod views;
