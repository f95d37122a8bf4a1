//! The access control enforcer (GlobalPlatform Secure Element Access Control 1.1, "SEAC" below).
//!
//! [`decide`] is a pure function from rules, applet and app to a [`Decision`], with the way to it.

pub mod decide;
pub mod explain;

pub use decide::{decide, Decision, Merged, Query, Step, Target};
pub use explain::{Explanation, Search, Verdict};
