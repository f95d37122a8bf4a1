//! `jpkise jpki`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jpkise_jpki::edge::{KeyRef, Scheme};
use jpkise_wire::Aid;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::{hexadecimal, Bytes, CardArgs, KeyArgs};

/// `jpkise jpki`.
#[derive(Debug, Args)]
#[command(subcommand_required = true)]
pub struct JpkiArgs {
    /// AID of the application.
    #[arg(long, global = true, value_name = "HEX")]
    pub aid: Option<Aid>,
    /// The card.
    #[command(flatten)]
    pub card: CardArgs,
    /// Where PINs and passwords come from.
    #[command(flatten)]
    pub secrets: SecretArgs,
    /// The verb.
    #[command(subcommand)]
    pub verb: JpkiVerb,
}

/// Where PINs and passwords come from, when not from a question on the terminal or the environment. Never from the
/// command line itself: every user of the machine can read that.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "secrets")]
pub struct SecretArgs {
    /// From standard input, a line each.
    #[arg(long, global = true, conflicts_with = "pin_file")]
    pub pin_stdin: bool,
    /// From a file, a line each.
    #[arg(long, global = true, value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum JpkiVerb {
    /// States, tries, validity, counters.
    Status(StatusArgs),
    /// Reads a certificate.
    Cert(CertArgs),
    /// Signs a file.
    Sign(SignArgs),
    /// Checks a signature.
    Verify(VerifyArgs),
    /// Challenge and response.
    Auth(AuthArgs),
    /// PIN and password.
    Pin {
        /// The verb.
        #[command(subcommand)]
        verb: PinVerb,
    },
    /// Puts keys on hold.
    Hold(LifeArgs),
    /// Releases keys from hold.
    Resume(LifeArgs),
    /// Revokes keys for ever.
    Revoke(LifeArgs),
    /// Deletes keys with their certificates and secrets.
    Wipe(LifeArgs),
    /// Personalises a secure element by a plan.
    Personalize(PersonalizeArgs),
}

/// `jpkise jpki status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Ask for the PIN or password of this key, to read its certificate too.
    #[arg(long, value_name = "KEY")]
    pub unlock: Vec<Key>,
    /// Open the SP-TSM's channel for the counters.
    #[arg(long)]
    pub attest: bool,
    /// Ask the card whether it is on published keys.
    #[arg(long)]
    pub probe_keys: bool,
    /// The SP-TSM's keys.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `jpkise jpki cert`.
#[derive(Debug, Args)]
pub struct CertArgs {
    /// Which one.
    #[arg(value_name = "CERTIFICATE")]
    pub which: Which,
    /// PEM instead of words.
    #[arg(long, conflicts_with = "der")]
    pub pem: bool,
    /// DER, into a file.
    #[arg(long, requires = "output")]
    pub der: bool,
    /// File to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `jpkise jpki sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// What is signed.
    pub input: PathBuf,
    /// With which key.
    #[arg(long, value_name = "KEY", default_value = "sign", hide_default_value = true)]
    pub with: Key,
    /// Form of the signature.
    #[arg(long, value_enum, value_name = "FORM", default_value = "detached", hide_default_value = true)]
    pub form: Form,
    /// Scheme of a raw signature.
    #[arg(long, value_name = "SCHEME")]
    pub scheme: Option<SchemeName>,
    /// File to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// `jpkise jpki verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What was signed.
    pub input: Option<PathBuf>,
    /// A CMS message.
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    pub cms: Option<PathBuf>,
    /// A raw signature.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub signature: Option<PathBuf>,
    /// The signer's certificate.
    #[arg(long, value_name = "FILE", requires = "signature")]
    pub cert: Option<PathBuf>,
    /// Scheme of a raw signature.
    #[arg(long, value_name = "SCHEME", requires = "signature")]
    pub scheme: Option<SchemeName>,
    /// The CA certificates to trust.
    #[arg(long, value_name = "FILE", required = true)]
    pub ca: Vec<PathBuf>,
    /// Revocation lists of the CA.
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// At which time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<OffsetDateTime>,
    /// Where attached content goes.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `jpkise jpki auth`.
#[derive(Debug, Args)]
pub struct AuthArgs {
    /// The challenge; random when not given.
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    pub challenge: Option<Bytes>,
    /// CA certificates to trust; the card's own when not given.
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
}

/// `jpkise jpki pin`.
#[derive(Debug, Subcommand)]
pub enum PinVerb {
    /// Tries left.
    Status,
    /// The user replaces his PIN or password.
    Change(SecretOf),
    /// The SP-TSM sets a temporary one and the user his own.
    Reset(ResetArgs),
}

/// A key's PIN or password.
#[derive(Debug, Args)]
pub struct SecretOf {
    /// Whose.
    #[arg(value_name = "KEY")]
    pub secret: Key,
}

/// `jpkise jpki pin reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Whose.
    #[command(flatten)]
    pub of: SecretOf,
    /// The SP-TSM's keys.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `jpkise jpki hold`, `resume`, `revoke`, `wipe`.
#[derive(Debug, Args)]
pub struct LifeArgs {
    /// Which keys.
    #[arg(value_name = "KEY|all")]
    pub which: Keys,
    /// The SP-TSM's keys.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `jpkise jpki personalize`.
#[derive(Debug, Args)]
pub struct PersonalizeArgs {
    /// The plan.
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// Where the record goes, instead of the plan's folder for it.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Keys that the plan names "options".
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// One of the two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// User authentication, guarded by the PIN.
    Auth,
    /// Signature, guarded by the password.
    Sign,
}

impl From<Key> for KeyRef {
    fn from(key: Key) -> Self {
        match key {
            Key::Auth => Self::Auth,
            Key::Sign => Self::Sign,
        }
    }
}

/// One key or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keys {
    /// User authentication.
    Auth,
    /// Signature.
    Sign,
    /// Both.
    All,
}

impl Keys {
    /// The keys meant.
    pub fn refs(self) -> Vec<KeyRef> {
        match self {
            Self::Auth => vec![KeyRef::Auth],
            Self::Sign => vec![KeyRef::Sign],
            Self::All => KeyRef::ALL.to_vec(),
        }
    }
}

/// One of the four certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Of the authentication key.
    Auth,
    /// Of the signature key.
    Sign,
    /// Of the CA above the first.
    AuthCa,
    /// Of the CA above the second.
    SignCa,
}

impl Which {
    /// The key it belongs to, and whether the CA's is meant.
    pub const fn parts(self) -> (KeyRef, bool) {
        match self {
            Self::Auth => (KeyRef::Auth, false),
            Self::Sign => (KeyRef::Sign, false),
            Self::AuthCa => (KeyRef::Auth, true),
            Self::SignCa => (KeyRef::Sign, true),
        }
    }
}

/// Form of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// CMS without the content.
    Detached,
    /// CMS with the content.
    Attached,
    /// The card's 256 bytes.
    Raw,
}

/// Scheme of a raw signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemeName {
    /// SHA-256 here, DigestInfo here, PKCS#1 v1.5: every card knows it.
    Sha256,
    /// P1 = 00.
    Verbatim,
    /// P1 = 01.
    BareSha256,
    /// P1 = 02.
    Pkcs1Digest,
    /// P1 = 03.
    Pkcs1Message,
    /// P1 = 04.
    PssDigest,
    /// P1 = 05.
    PssMessage,
}

impl SchemeName {
    /// P1 of the command; `None` for [`Self::Sha256`], which is the first with a DigestInfo made here.
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Self::Sha256 => None,
            Self::Verbatim => Some(Scheme::Verbatim),
            Self::BareSha256 => Some(Scheme::BareSha256),
            Self::Pkcs1Digest => Some(Scheme::Pkcs1Digest),
            Self::Pkcs1Message => Some(Scheme::Pkcs1Message),
            Self::PssDigest => Some(Scheme::PssDigest),
            Self::PssMessage => Some(Scheme::PssMessage),
        }
    }
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|e| e.to_string())
}
