//! `jpkise lab`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

use super::{CardArgs, KeyArgs, SecretArgs, VectorsArgs};

/// `jpkise lab`.
#[derive(Debug, Subcommand)]
pub enum LabVerb {
    /// Runs suites against one card or several.
    Run(LabRunArgs),
    /// Sends structured nonsense for a while, and reports what breaks.
    Fuzz(LabFuzzArgs),
    /// The suites there are.
    Suites,
    /// Evidence of two runs or more side by side.
    Compare(LabCompareArgs),
    /// A recording done again.
    // Large beside the others, and made once a run.
    Replay(Box<LabReplayArgs>),
    /// Known answers.
    Vectors(VectorsArgs),
}

/// `jpkise lab run`.
#[derive(Debug, Args)]
pub struct LabRunArgs {
    /// Suites by name, or files.
    #[arg(value_name = "SUITE")]
    pub suites: Vec<String>,
    /// Only cases whose name begins so.
    #[arg(long, value_name = "SUITE/CASE")]
    pub only: Vec<String>,
    /// What the runs on all verbs share.
    #[command(flatten)]
    pub lab: LabArgs,
}

impl LabArgs {
    /// How many simulated cards are asked for.
    pub fn simulated(&self) -> usize {
        self.profile.len().max(self.sim.into())
    }
}

/// `jpkise lab fuzz`.
#[derive(Debug, Args)]
pub struct LabFuzzArgs {
    /// What the runs on all verbs share.
    #[command(flatten)]
    pub lab: LabArgs,
}

/// `jpkise lab compare`.
#[derive(Debug, Args)]
pub struct LabCompareArgs {
    /// Evidence folders or reports, the reference first.
    #[arg(value_name = "FOLDER[#TARGET]", required = true)]
    pub evidence: Vec<String>,
    /// Where the page goes.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Compare evidence that was changed.
    #[arg(long)]
    pub despite_changes: bool,
    /// Only what is worse counts.
    #[arg(long)]
    pub worse_only: bool,
    /// Slower figures count too.
    #[arg(long, value_name = "PERCENT")]
    pub slower: Option<f64>,
}

/// `jpkise lab replay`.
#[derive(Debug, Args)]
pub struct LabReplayArgs {
    /// Recorded traces.
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,
    /// The card has other key pairs than the recorded one.
    #[arg(long)]
    pub other_keys: bool,
    /// The card that may be changed.
    #[arg(long, value_name = "CARD")]
    pub destructive: Option<String>,
    /// Even for good.
    #[arg(long, requires = "destructive")]
    pub for_good: bool,
    /// The card.
    #[command(flatten)]
    pub card: CardArgs,
    /// Keys of the recorded sessions, and of the card's.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// PIN and password.
    #[command(flatten)]
    pub secrets: SecretArgs,
}

/// What `run` and `fuzz` share.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// Where the report goes.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// How long the fuzzer and the soak test go on.
    #[arg(long, value_name = "N", default_value_t = 10, hide_default_value = true)]
    pub seconds: u64,
    /// The card that may be changed.
    #[arg(long, value_name = "CARD")]
    pub destructive: Option<String>,
    /// Even for good.
    #[arg(long, requires = "destructive")]
    pub for_good: bool,
    /// Somebody is at the readers.
    #[arg(long)]
    pub attended: bool,
    /// Limit of one exchange, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60, hide_default_value = true)]
    pub timeout: u64,
    /// A simulated card; once for each.
    #[arg(long, action = ArgAction::Count, help_heading = "simulated")]
    pub sim: u8,
    /// What simulated cards are like, a file for each.
    #[arg(long, value_name = "FILE", help_heading = "simulated")]
    pub profile: Vec<PathBuf>,
    /// Keys of the issuer security domain.
    #[command(flatten)]
    pub keys: KeyArgs,
}
