//! `jpkise cap`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jpkise_cap::convert::AppletOption;
use jpkise_cap::exports::Platform;
use jpkise_cap::model::AidLengthError;
use jpkise_cap::{Aid, PackageVersion};

use super::Bytes;

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
    #[arg(long, value_name = "HEX", value_parser = super::hexadecimal, default_value = "", hide_default_value = true)]
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
    /// Report the objects in memory.
    #[arg(long)]
    pub heap: bool,
}
