//! A Java Card virtual machine that executes the bytes of a CAP.

mod heap;
pub mod store;

pub use heap::HeapDamaged;
