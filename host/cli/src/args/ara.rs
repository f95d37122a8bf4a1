//! `jpkise ara`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jpkise_gp::ara::AidRef;
use jpkise_omapi::ace::Target;
use jpkise_wire::Aid;

use super::{Bytes, CardArgs, KeyArgs};

/// `jpkise ara`.
#[derive(Debug, Args)]
pub struct AraArgs {
    /// The verb.
    #[command(subcommand)]
    pub verb: AraVerb,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
    /// Keys of the domain that the ARA-M belongs to.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum AraVerb {
    /// The rules, in words.
    List,
    /// Adds rules for an app.
    Add(AddArgs),
    /// Removes rules.
    Remove(RemoveArgs),
    /// Removes every rule.
    Clear(WriteArgs),
    /// What `apply` would change.
    Diff(RuleFileArgs),
    /// Makes the rules those of a file.
    Apply(ApplyArgs),
    /// Makes phones read the rules again.
    Refresh(WriteArgs),
    /// Whether an app gets through to an applet.
    Check(CheckArgs),
    /// The same, with the way to the decision.
    Explain(CheckArgs),
    /// The hashes of an app that a rule may name.
    Hashes(AppArgs),
    /// Filters for JPKI apps, made from the applet's command table.
    Preset(PresetArgs),
}

/// An app, by what it is signed with; at most one of the three.
#[derive(Debug, Args)]
pub struct AppArgs {
    /// The app itself.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cert", "hash"])]
    pub apk: Option<PathBuf>,
    /// Its certificate, DER or PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "hash")]
    pub cert: Option<PathBuf>,
    /// Hashes of its certificate.
    #[arg(long, value_name = "HEX")]
    pub hash: Vec<String>,
    /// Take the APK's certificates without verifying its signatures.
    #[arg(long, requires = "apk")]
    pub unverified: bool,
}

/// How rules are written.
#[derive(Debug, Clone, Args)]
pub struct WriteArgs {
    /// Security domain that the ARA-M belongs to; the issuer's when not given.
    #[arg(long, value_name = "HEX", conflicts_with = "direct")]
    pub domain: Option<Aid>,
    /// In a session with the ARA-M itself.
    #[arg(long)]
    pub direct: bool,
    /// Where the rules of before are kept.
    #[arg(long, value_name = "FILE")]
    pub rollback: Option<PathBuf>,
}

/// `jpkise ara add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Which applet.
    #[arg(long, value_name = "HEX", value_parser = applet)]
    pub aid: AidRef,
    /// Which app.
    #[command(flatten)]
    pub app: AppArgs,
    /// Every app.
    #[arg(long, conflicts_with_all = ["apk", "cert", "hash"])]
    pub every_app: bool,
    /// Which commands.
    #[arg(long, value_name = "ACCESS")]
    pub apdu: Vec<String>,
    /// NFC transaction events.
    #[arg(long, value_name = "ACCESS", value_parser = ["always", "never"])]
    pub nfc: Option<String>,
    /// Name the SHA-1 hash.
    #[arg(long)]
    pub sha1: bool,
    /// How.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// `jpkise ara remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Which applet.
    #[arg(long, value_name = "HEX", value_parser = applet)]
    pub aid: Option<AidRef>,
    /// Which app.
    #[command(flatten)]
    pub app: AppArgs,
    /// Rules for every app.
    #[arg(long, conflicts_with_all = ["apk", "cert", "hash"])]
    pub every_app: bool,
    /// How.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// A rule file.
#[derive(Debug, Args)]
pub struct RuleFileArgs {
    /// The file.
    pub rules: PathBuf,
}

/// `jpkise ara apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The file.
    pub rules: PathBuf,
    /// How.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// `jpkise ara check` and `explain`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which applet.
    #[arg(long, value_name = "HEX", value_parser = target)]
    pub aid: Target,
    /// Which app.
    #[command(flatten)]
    pub app: AppArgs,
    /// A command it sends.
    #[arg(long, value_name = "HEX", value_parser = super::hexadecimal)]
    pub apdu: Option<Bytes>,
}

/// `jpkise ara preset`.
#[derive(Debug, Args)]
pub struct PresetArgs {
    /// Its name; all without.
    pub name: Option<String>,
}

fn applet(text: &str) -> Result<AidRef, String> {
    match text {
        "all" => Ok(AidRef::All),
        "default" => Ok(AidRef::Default),
        "carrier" => Ok(AidRef::Absent),
        _ => text.parse().map(AidRef::Aid).map_err(|e: jpkise_wire::AidError| e.to_string()),
    }
}

fn target(text: &str) -> Result<Target, String> {
    match text {
        "default" => Ok(Target::Default),
        _ => text.parse().map(Target::Aid).map_err(|e: jpkise_wire::AidError| e.to_string()),
    }
}
