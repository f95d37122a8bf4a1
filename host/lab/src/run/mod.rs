//! Running suites against cards.
//!
//! ```text
//! Target (one thread each) -> Bench (a card, and the ways into its states) -> Test (data or code) -> CaseResult
//! ```
//!
//! | module | part |
//! |---|---|
//! | [`bench`](mod@bench) | what a case runs on: a card, and how it gets into a state |
//! | [`simulated`], [`reader`] | the two kinds of bench |
//! | [`state`](mod@state) | the way to each state, by commands |
//! | [`line`](mod@line) | SCP03 with faults on purpose |
//! | [`steps`] | the steps of a case |
//! | [`outcome`] | what came of it |
//! | [`runner`] | several targets at once |

pub mod bench;
pub mod identity;
mod limit;
pub mod line;
pub mod outcome;
pub mod reader;
pub mod runner;
pub mod simulated;
pub mod state;
pub mod steps;
mod tape;

pub use bench::{Bench, BenchError, LabCard, TargetKind, Values};
pub use outcome::{CaseResult, Figure, Mismatch, Skip, TargetReport, Verdict};
pub use runner::{run, Event, Options, Run, Target};
pub use tape::Tape;
