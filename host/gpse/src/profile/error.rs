//! Why a profile file is refused. No variant carries a value of the file: it may be a key.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the TOML reader says.
        message: String,
    },
    /// A key that has no meaning there.
    #[error("line {line}: unknown key {key}; known here: {}", known.join(", "))]
    UnknownKey {
        /// Line, from 1.
        line: usize,
        /// The key with its tables, dotted.
        key: String,
        /// The keys that have one.
        known: Vec<&'static str>,
    },
    /// A key that must be there.
    #[error("line {line}: {key} is missing")]
    Missing {
        /// Line of the table, from 1.
        line: usize,
        /// The key with its tables, dotted.
        key: String,
    },
    /// A value that does not fit.
    #[error("line {line}: {key}: {problem}")]
    Value {
        /// Line, from 1.
        line: usize,
        /// The key with its tables, dotted.
        key: String,
        /// In which way.
        problem: Problem,
    },
}

impl ProfileError {
    /// Line of the file, from 1.
    pub fn line(&self) -> usize {
        match self {
            Self::Syntax { line, .. }
            | Self::UnknownKey { line, .. }
            | Self::Missing { line, .. }
            | Self::Value { line, .. } => *line,
        }
    }

    /// The key with its tables, dotted; none for what is not TOML.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Syntax { .. } => None,
            Self::UnknownKey { key, .. } | Self::Missing { key, .. } | Self::Value { key, .. } => Some(key),
        }
    }
}

/// In which way a value does not fit its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Another type is wanted.
    Type(&'static str),
    /// Outside these limits, both included.
    Range {
        /// Least.
        least: u64,
        /// Most.
        most: u64,
    },
    /// Not pairs of hexadecimal digits.
    Hex,
    /// So many bytes do not fit.
    Length {
        /// Bytes that stand there.
        length: usize,
        /// Lengths that fit.
        allowed: &'static [RangeInclusive<usize>],
    },
    /// None of these words.
    Choice(Vec<&'static str>),
    /// Excludes another key, which is there too.
    Beside(&'static str),
    /// Has a meaning only with another key, or another value of it.
    Only(&'static str),
    /// Stands elsewhere already.
    Repeated,
    /// A format this version does not read.
    Format,
    /// No key version number.
    KeyVersion,
    /// No i parameter of SCP03 (Amendment D table 5-1).
    IParameter,
    /// The three keys of a set differ in length.
    MixedLengths,
    /// The diversification scheme needs a master key of 16 bytes.
    MasterLength,
    /// A security level that i does not offer.
    NotOffered,
    /// A combination of privileges this card does not have.
    Privileges,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(wanted) => write!(f, "must be {wanted}"),
            Self::Range { least, most } => write!(f, "must be a whole number from {least} to {most}"),
            Self::Hex => f.write_str("must be pairs of hexadecimal digits"),
            Self::Length { length, allowed } => {
                let forms: Vec<String> = allowed.iter().map(range).collect();
                write!(f, "must have {} bytes, not {length}", forms.join(" or "))
            }
            Self::Choice(names) => write!(f, "must be one of {}", names.join(", ")),
            Self::Beside(other) => write!(f, "cannot stand beside {other}"),
            Self::Only(other) => write!(f, "has a meaning only with {other}"),
            Self::Repeated => f.write_str("stands here for the second time"),
            Self::Format => f.write_str("this version reads format 1"),
            Self::KeyVersion => f.write_str("must be 01 to 7F, or FF for factory keys"),
            Self::IParameter => f.write_str("no i parameter of SCP03"),
            Self::MixedLengths => f.write_str("the keys of a set must have one length"),
            Self::MasterLength => f.write_str("this scheme needs master keys of 16 bytes"),
            Self::NotOffered => f.write_str("the i parameter does not offer this level"),
            Self::Privileges => f.write_str("no combination of privileges that this card has"),
        }
    }
}

fn range(range: &RangeInclusive<usize>) -> String {
    if range.start() == range.end() {
        return range.start().to_string();
    }
    format!("{} to {}", range.start(), range.end())
}

/// Why a file gives no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// What it says is wrong.
    #[error("{}: {source}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: ProfileError,
    },
}
