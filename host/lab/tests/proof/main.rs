//! Proof that the applet survives faults and attacks, on the bytes that are loaded: power cuts, memory, hostile input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod hostile;
mod memory;
mod se;
mod tearing;
mod view;
