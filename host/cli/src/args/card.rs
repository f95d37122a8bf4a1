//! Which card a command works on, and the keys that open it: flags that every noun with a card shares.

use std::path::PathBuf;

use clap::Args;

use super::{Runtime, Token};

/// The card: a reader's ([`super::Global::reader`]) unless a simulated one is asked for.
#[derive(Debug, Clone, Args)]
pub struct CardArgs {
    /// A simulated GP-SE in this process.
    #[arg(long, global = true, help_heading = "simulated")]
    pub sim: bool,
    /// What it is like.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

impl CardArgs {
    /// Whether the simulated card is meant: one of its own flags says so too.
    pub fn is_simulated(&self) -> bool {
        let simulated = &self.simulated;
        self.sim || simulated.profile.is_some() || simulated.state.is_some() || simulated.personalized
    }
}

/// A simulated GP-SE.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "simulated")]
pub struct SimulatedArgs {
    /// What runs the applets.
    #[arg(long, global = true, value_enum, default_value_t = Runtime::Jcvm, hide_default_value = true)]
    pub runtime: Runtime,
    /// What the card is like, a TOML file.
    #[arg(long, global = true, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// File in which the card is kept.
    #[arg(long, global = true, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Install and personalise the JPKI applet first.
    #[arg(long, global = true)]
    pub personalized: bool,
    /// Token profile of the applet.
    #[arg(long, global = true, value_enum, default_value_t = Token::Phone, hide_default_value = true)]
    pub token: Token,
}

/// Keys of a security domain. Exactly one place names them: these options, a key file, the environment or a question.
#[derive(Clone, Args)]
#[command(next_help_heading = "keys")]
pub struct KeyArgs {
    /// One key for all three.
    #[arg(long, global = true, value_name = "HEX")]
    pub key: Option<String>,
    /// Key-ENC.
    #[arg(long, global = true, value_name = "HEX")]
    pub enc: Option<String>,
    /// Key-MAC.
    #[arg(long, global = true, value_name = "HEX")]
    pub mac: Option<String>,
    /// Key-DEK.
    #[arg(long, global = true, value_name = "HEX")]
    pub dek: Option<String>,
    /// Key version.
    #[arg(long, global = true, value_name = "HEX")]
    pub kvn: Option<String>,
    /// A file that names them.
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Ask for the key on the terminal, without echo.
    #[arg(long, global = true)]
    pub key_prompt: bool,
    /// How the card's keys are derived from these.
    #[arg(long, global = true, value_name = "SCHEME")]
    pub kdf: Option<String>,
    /// Failures per card after which no attempt is made.
    #[arg(long, global = true, value_name = "N", default_value_t = jpkise_gp::keys::DEFAULT_LIMIT, hide_default_value = true)]
    pub max_failures: u32,
}

impl std::fmt::Debug for KeyArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyArgs")
            .field("kvn", &self.kvn)
            .field("key_file", &self.key_file)
            .finish_non_exhaustive()
    }
}
