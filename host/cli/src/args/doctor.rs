//! `jpkise doctor`.

use std::path::PathBuf;

use clap::Args;

/// `jpkise doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Everything in one file, for a bug report.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Try whether the published test keys open the card.
    #[arg(long)]
    pub test_keys: bool,
}
