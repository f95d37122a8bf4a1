//! The command line as typed values. Flags are defined once here; help texts come from the Fluent bundles.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use jpkise_cap::convert::AppletOption;
use jpkise_cap::exports::Platform;
use jpkise_cap::model::AidLengthError;
use jpkise_cap::{Aid, PackageVersion};

use crate::i18n::Language;

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
    #[arg(long, global = true, value_name = "NAME|INDEX", env = "JPKISE_READER")]
    pub reader: Option<String>,
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
    Readers,
    /// Checks reader, driver, service, card and applet.
    Doctor,
    /// CAP files: build, look into, verify.
    Cap {
        /// The verb.
        #[command(subcommand)]
        verb: CapVerb,
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
    /// What runs the applets.
    #[arg(long, value_enum, default_value_t = Runtime::Jcvm, hide_default_value = true)]
    pub runtime: Runtime,
    /// File in which the card is kept.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Install and personalise the JPKI applet first.
    #[arg(long)]
    pub personalized: bool,
    /// Token profile of the applet.
    #[arg(long, value_enum, default_value_t = Token::Phone, hide_default_value = true)]
    pub token: Token,
}

/// `jpkise cap`.
#[derive(Debug, Subcommand)]
pub enum CapVerb {
    /// Class files to a verified CAP file and its export file.
    Build(CapBuildArgs),
    /// What a CAP or EXP file is and needs.
    Info(CapFileArgs),
    /// Every component in readable form, bytecode disassembled.
    Dump(CapFileArgs),
    /// Structure and types of a CAP file, against the export files of its imports.
    Verify(CapFileArgs),
    /// Installs an applet on the virtual machine alone and sends it commands.
    Run(CapRunArgs),
}

/// `jpkise cap build`.
#[derive(Debug, Args)]
pub struct CapBuildArgs {
    /// Root of the class tree.
    #[arg(long, value_name = "DIR")]
    pub classes: PathBuf,
    /// Package, with dots.
    #[arg(long, value_name = "NAME")]
    pub package: String,
    /// Package AID.
    #[arg(long, value_name = "HEX")]
    pub aid: Aid,
    /// Package version.
    #[arg(long = "version", value_name = "MAJOR.MINOR", default_value = "1.0", hide_default_value = true)]
    pub package_version: PackageVersion,
    /// Applet classes with their AIDs.
    #[arg(long = "applet", value_name = "CLASS[=HEX]", value_parser = applet)]
    pub applets: Vec<AppletOption>,
    /// A package without applets, whatever it extends.
    #[arg(long)]
    pub library: bool,
    /// Folders with export files.
    #[arg(long, value_name = "DIR")]
    pub export_path: Vec<PathBuf>,
    /// Java Card release.
    #[arg(long, value_name = "RELEASE", value_parser = platform, default_value = "3.0.4", hide_default_value = true)]
    pub target: Platform,
    /// Allow int.
    #[arg(long)]
    pub int: bool,
    /// Write the Debug component.
    #[arg(long)]
    pub debug: bool,
    /// Export file of a former version, whose tokens are kept.
    #[arg(long, value_name = "EXP")]
    pub former: Option<PathBuf>,
    /// The CAP file to write; the export file goes beside it.
    #[arg(short, long, value_name = "CAP")]
    pub output: PathBuf,
}

fn applet(text: &str) -> Result<AppletOption, String> {
    let (class, aid) = match text.split_once('=') {
        Some((class, aid)) => (class, Some(aid.parse().map_err(|e: AidLengthError| e.to_string())?)),
        None => (text, None),
    };
    Ok(AppletOption { class: class.to_owned(), aid })
}

fn platform(text: &str) -> Result<Platform, String> {
    let names = || Platform::ALL.map(Platform::name).join(", ");
    Platform::ALL.into_iter().find(|p| p.name() == text).ok_or_else(names)
}

/// A CAP or EXP file to look at.
#[derive(Debug, Args)]
pub struct CapFileArgs {
    /// The file.
    pub cap: PathBuf,
    /// Folders with export files.
    #[arg(long, value_name = "DIR")]
    pub export_path: Vec<PathBuf>,
}

/// `jpkise cap run`.
#[derive(Debug, Args)]
pub struct CapRunArgs {
    /// The CAP file with the applet.
    pub cap: PathBuf,
    /// Instance AID; the module's when not given.
    #[arg(long = "aid", value_name = "HEX")]
    pub instance: Option<Aid>,
    /// Module AID; the package's only one when not given.
    #[arg(long, value_name = "HEX")]
    pub module: Option<Aid>,
    /// Installation parameters, value of C9.
    #[arg(long, value_name = "HEX", value_parser = parameters, default_value = "", hide_default_value = true)]
    pub parameters: Bytes,
    /// CAP files that this one imports.
    #[arg(long = "import", value_name = "CAP")]
    pub imports: Vec<PathBuf>,
    /// Commands in hexadecimal, one a line; standard input when not given.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Over the contactless interface.
    #[arg(long)]
    pub contactless: bool,
    /// Show every instruction.
    #[arg(long)]
    pub trace_bytecode: bool,
}

/// Bytes given in hexadecimal.
// A bare Vec would make clap expect one value per byte.
#[derive(Debug, Clone)]
pub struct Bytes(pub Vec<u8>);

fn parameters(text: &str) -> Result<Bytes, String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).collect();
    hex::decode(digits).map(Bytes).map_err(|e| e.to_string())
}

/// `jpkise trace`.
#[derive(Debug, Subcommand)]
pub enum TraceVerb {
    /// A recorded trace in readable form.
    Show {
        /// The trace.
        file: PathBuf,
    },
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
