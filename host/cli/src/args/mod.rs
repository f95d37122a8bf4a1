//! The command line as typed values. Flags are defined once here; help texts come from the Fluent bundles.

mod ara;
mod cap;
mod card;
mod doctor;
pub mod gp;
mod jpki;
mod lab;
mod omapi;
mod vectors;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::i18n::Language;

pub use ara::{AddArgs, AppArgs, AraArgs, AraVerb, CheckArgs, PresetArgs, RemoveArgs, WriteArgs};
pub use cap::{CapBuildArgs, CapFileArgs, CapRunArgs, CapVerb};
pub use card::{CardArgs, KeyArgs, SimulatedArgs};
pub use doctor::DoctorArgs;
pub use jpki::{
    AuthArgs, CertArgs, Form, JpkiArgs, JpkiVerb, Keys, LifeArgs, PersonalizeArgs, PinVerb, ResetArgs,
    SchemeName, SecretArgs, SignArgs, StatusArgs, VerifyArgs, Which,
};
pub use lab::LabArgs;
pub use lab::{LabCompareArgs, LabReplayArgs, LabVerb};
pub use omapi::{OmapiArgs, OmapiRunArgs, OmapiVerb};
pub use vectors::VectorsArgs;

/// `jpkise`.
#[derive(Debug, Parser)]
#[command(name = "jpkise", version, disable_help_subcommand = true, subcommand_required = true)]
pub struct Cli {
    /// Flags every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The noun.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags every command takes.
// Each is a flag of its own on the command line; there is no state to make an enum of.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Reader by name, part of its name, or index.
    // Several for the lab, which runs on all of them; one for everything else.
    #[arg(long, global = true, value_name = "NAME|INDEX")]
    pub reader: Vec<String>,
    /// Trace file, JSON lines.
    #[arg(long, global = true, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Language of messages.
    #[arg(long, global = true, value_name = "LANG", env = "JPKISE_LANG")]
    pub lang: Option<Language>,
    /// Test keys and test certificates are allowed on a real card.
    #[arg(long, global = true)]
    pub lab: bool,
    /// Answer every question with yes.
    #[arg(long, global = true)]
    pub yes: bool,
    /// Show the plan and the commands, send nothing that changes a card.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Show the exchanged APDUs as they happen, on standard error.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole chain, from an empty secure element to verified signatures.
    Demo(DemoArgs),
    /// The simulated GP-SE as a virtual PC/SC card.
    Sim(SimArgs),
    /// Readers and the cards in them.
    Readers(ReadersArgs),
    /// Checks reader, driver, service, card and applet.
    Doctor(DoctorArgs),
    /// CAP files: build, look into, verify.
    Cap {
        /// The verb.
        #[command(subcommand)]
        verb: CapVerb,
    },
    /// Any GlobalPlatform card: what is on it, loading, domains, keys, life cycle.
    Gp(Box<gp::GpArgs>),
    /// The JPKI application: status, certificates, signatures, PINs, life cycle, personalisation.
    Jpki(Box<JpkiArgs>),
    /// Access rules: which app may talk to which applet.
    // Large beside the others, and made once a run.
    Ara(Box<AraArgs>),
    /// What an app on the phone sees of the secure element.
    Omapi(OmapiArgs),
    /// Suites, fuzzing and reports.
    Lab {
        /// The verb.
        #[command(subcommand)]
        verb: LabVerb,
    },
    /// Recorded exchanges.
    Trace {
        /// The verb.
        #[command(subcommand)]
        verb: TraceVerb,
    },
}

/// `jpkise demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the files go.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Token profile of the applet.
    #[arg(long, value_enum, default_value_t = Token::Phone, hide_default_value = true)]
    pub token: Token,
    /// What runs the applets of the simulated card.
    #[arg(long, value_enum, default_value_t = Runtime::Jcvm, hide_default_value = true)]
    pub runtime: Runtime,
}

/// `jpkise sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// Where vpcd listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:35963", hide_default_value = true)]
    pub vpcd: String,
    /// Commands after which the card leaves the reader.
    #[arg(long, value_name = "N")]
    pub leave_after: Option<std::num::NonZeroU64>,
    /// The card itself.
    #[command(flatten)]
    pub card: SimulatedArgs,
}

/// `jpkise readers`.
#[derive(Debug, Args)]
pub struct ReadersArgs {
    /// What comes and goes, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// Wait until a card is there.
    #[arg(long, conflicts_with = "watch")]
    pub wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "N", requires = "wait")]
    pub timeout: Option<u64>,
}

/// `jpkise trace`.
#[derive(Debug, Subcommand)]
pub enum TraceVerb {
    /// A recorded trace in readable form.
    Show {
        /// The trace.
        file: PathBuf,
    },
    /// Verifies and deciphers a recorded secure channel.
    Decode {
        /// The trace, or hexadecimal lines.
        file: PathBuf,
        /// The static keys.
        #[command(flatten)]
        keys: KeyArgs,
    },
}

/// Bytes given in hexadecimal.
// A bare Vec would make clap expect one value per byte.
#[derive(Debug, Clone)]
pub struct Bytes(pub Vec<u8>);

/// Hexadecimal digits; spaces and colons between them do not count.
pub fn hexadecimal(text: &str) -> Result<Bytes, String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).collect();
    hex::decode(digits).map(Bytes).map_err(|e| e.to_string())
}

/// Token profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Token {
    /// The phone's GP-SE: `JPKIAPGPSETOKEN`, user-authentication certificate behind the PIN.
    Phone,
    /// The plastic card: `JPKIAPICCTOKEN2`, user-authentication certificate free.
    Card,
}

/// What runs the applets of a simulated card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// The Java Card VM in this program.
    Jcvm,
    /// jCardSim in a child JVM.
    #[value(name = "jcardsim")]
    JCardSim,
}
