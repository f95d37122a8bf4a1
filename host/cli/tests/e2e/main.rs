//! End to end: the binary as a user runs it, in one process and through pcscd, judged by programs we did not write.

// Tests panic; that is how they fail. The lint's exemption does not reach helpers outside #[test] functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ara;
mod cap;
mod gp;
mod gp_script;
mod in_process;
mod jpki;
mod jpki_plan;
mod lab;
mod lab_cases;
mod lab_compare;
mod pcsc;
mod pcsc_opensc;
mod pcsc_suites;
mod pkcs11;
mod readers;
mod support;
