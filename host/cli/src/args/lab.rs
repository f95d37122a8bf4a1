//! `jpkise lab`.

use clap::Subcommand;

use super::VectorsArgs;

/// `jpkise lab`.
#[derive(Debug, Subcommand)]
pub enum LabVerb {
    /// Known answers.
    Vectors(VectorsArgs),
}
