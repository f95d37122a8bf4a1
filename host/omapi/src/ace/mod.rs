//! The access control enforcer (GlobalPlatform Secure Element Access Control 1.1, "SEAC" below).
//!
//! [`decide()`] is a pure function from rules, applet and app to a [`Decision`], with the way to it; [`Enforcer`] keeps the
//! rules of one secure element and asks it.

pub mod decide;
pub mod enforcer;
pub mod explain;

pub use decide::{decide, Decision, Merged, Query, Step, Target};
pub use enforcer::{App, Denial, Enforcer, Grant, Reason, SeKind, WithoutAra};
pub use explain::{Explanation, Search, Verdict};
