//! A Java Card virtual machine that executes the bytes of a CAP.

pub mod store;
