//! `jpkise omapi`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ara::AppArgs;
use super::CardArgs;

/// `jpkise omapi`.
#[derive(Debug, Args)]
pub struct OmapiArgs {
    /// The verb.
    #[command(subcommand)]
    pub verb: OmapiVerb,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum OmapiVerb {
    /// What an app would see.
    Run(OmapiRunArgs),
}

/// `jpkise omapi run`.
#[derive(Debug, Args)]
pub struct OmapiRunArgs {
    /// Which app.
    #[command(flatten)]
    pub app: AppArgs,
    /// The calls; standard input when not given.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// The app holds the system permission.
    #[arg(long)]
    pub privileged: bool,
    /// Nobody has access without an ARA-M.
    #[arg(long)]
    pub strict: bool,
}
