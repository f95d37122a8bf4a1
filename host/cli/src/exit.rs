//! Exit status: one enum, the same numbers as in the manual's EXIT STATUS section.

use std::process::ExitCode;

/// What a run ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Internal error or input/output error.
    Internal = 1,
    /// Usage, or a bad input file.
    Usage = 2,
    /// No reader, no card, or the connection was lost.
    NoCard = 3,
    /// Authentication failed.
    Authentication = 4,
    /// The card refused, or a check failed.
    Refused = 5,
    /// Done in part; the same command resumes.
    Partial = 6,
    /// Refused by policy: test keys outside `--lab`, or consent missing.
    Policy = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
