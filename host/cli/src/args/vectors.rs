//! `jpkise lab vectors`.

use std::path::PathBuf;

use clap::Args;

/// `jpkise lab vectors`.
#[derive(Debug, Args)]
pub struct VectorsArgs {
    /// Vector files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}
