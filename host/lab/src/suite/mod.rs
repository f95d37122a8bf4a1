//! Suites: test cases as data, read from TOML with errors that name the line.
//!
//! ```toml
//! suite = "mine"
//! title = "What our card must do"
//!
//! [command.verify]
//! cla = "00"
//! ins = "20"
//! p1 = "00"
//! p2 = "80"
//!
//! [[case]]
//! id = "wrong-pin"
//! name = "A wrong PIN costs a try"
//! reason = "ISO/IEC 7816-4 11.6.6"
//! given = ["active"]
//! steps = [
//!   { select = "D392F000260100000001" },
//!   { send = "verify", p2 = "98", data = "'0000'", sw = "63C2" },
//! ]
//! ```
//!
//! | module | part |
//! |---|---|
//! | [`bytes`] | expressions that give bytes |
//! | [`pattern`] | what bytes must look like, and what to keep of them |
//! | [`model`] | suites, cases, steps; what a case needs and leaves (`needs`), what must come of a step (`expectation`) |
//! | [`read`] | from TOML to the model: tables and loops unrolled, everything checked |
//!
//! `docs/lab.md` describes the format for those who write suites.

pub mod bytes;
mod check;
mod expectation;
pub mod model;
mod needs;
pub mod pattern;
pub mod read;
mod signature;
mod source;
mod table;

pub use bytes::{ByteExpression, EvalError, Resolve};
pub use check::{Check, CheckFailed, Difference};
pub use model::{
    Action, Case, Changes, Command, Expectation, KeySet, Layout, Lengths, Need, Open, OpenFault, Step, Suite,
    SwPattern, Via,
};
pub use pattern::{Pattern, PatternMismatch};
pub use read::read;
pub use source::{SchemaError, SchemaErrors};
