//! `jpkise gp`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jpkise_gp::registry::{CardState, Privileges};
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::tlv::{self, Tag};
use jpkise_wire::{Aid, StatusWord};

use super::{Bytes, CardArgs, KeyArgs};

/// `jpkise gp`.
#[derive(Debug, Args)]
pub struct GpArgs {
    /// The card.
    #[command(flatten)]
    pub card: CardArgs,
    /// Its keys.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// The channel.
    #[command(flatten)]
    pub channel: ChannelArgs,
    /// The verb.
    #[command(subcommand)]
    pub verb: GpVerb,
}

/// Whom the channel goes to, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "channel")]
pub struct ChannelArgs {
    /// Security domain; the issuer's when not given.
    #[arg(long, global = true, value_name = "AID")]
    pub sd: Option<Aid>,
    /// Security level.
    #[arg(long, global = true, value_name = "LEVEL", value_parser = level)]
    pub level: Option<SecurityLevel>,
    /// Only this card.
    #[arg(long, global = true, value_name = "ID")]
    pub card_id: Option<String>,
}

/// `jpkise gp`.
#[derive(Debug, Subcommand)]
pub enum GpVerb {
    /// Who the card is and what it can do; needs no key.
    Info {
        /// Try the public test keys.
        #[arg(long)]
        try_test_keys: bool,
    },
    /// What is on the card.
    List,
    /// Life cycle of the card or of one object.
    Status(StatusArgs),
    /// A load file from a CAP.
    Load(LoadArgs),
    /// An instance, with its load file where a CAP is given.
    Install(InstallArgs),
    /// Deletes applications and load files.
    Delete(DeleteArgs),
    /// Security domains.
    Domain {
        /// The verb.
        #[command(subcommand)]
        verb: DomainVerb,
    },
    /// Key sets.
    Keys {
        /// The verb.
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Locks the card or an application.
    Lock(LockArgs),
    /// Unlocks the card or an application.
    Unlock(LockArgs),
    /// Ends the card's life.
    Terminate,
    /// Stores data in a domain or an application.
    StoreData(StoreDataArgs),
    /// Sends commands as they stand.
    Send(SendArgs),
}

/// `jpkise gp status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One object.
    pub object: Option<Aid>,
    /// The verb.
    #[command(subcommand)]
    pub verb: Option<StatusVerb>,
}

/// `jpkise gp status`.
#[derive(Debug, Subcommand)]
pub enum StatusVerb {
    /// Sets a life cycle state.
    Set {
        /// The card, or an object.
        #[arg(value_name = "card|AID", value_parser = holder)]
        holder: Holder,
        /// The state.
        // Not "state": that is the file of a simulated card.
        #[arg(value_name = "STATE", value_parser = state)]
        new_state: State,
        /// A domain with everything in it.
        #[arg(long)]
        with_applications: bool,
    },
}

/// Whose state it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The card's.
    Card,
    /// An application's or a domain's.
    Object(Aid),
}

/// A state as people name it; what its byte is depends on the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// One of the card's.
    Card(CardState),
    /// An application's or a domain's.
    Object(u8),
    /// A byte, for either.
    Byte(u8),
}

/// Which modules are loaded and how.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The CAP file.
    #[arg(value_name = "CAP")]
    pub cap: PathBuf,
    /// How it is loaded.
    #[command(flatten)]
    pub how: LoadOptions,
}

/// How a CAP is loaded.
#[derive(Debug, Args)]
pub struct LoadOptions {
    /// Domain it belongs to.
    #[arg(long, value_name = "AID")]
    pub domain: Option<Aid>,
    /// Delete what is there of it first.
    #[arg(long)]
    pub replace: bool,
    /// Bytes per block.
    #[arg(long, value_name = "BYTES")]
    pub block: Option<usize>,
    /// Announce the hash of the load file.
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    pub hash: Option<Hash>,
    /// Folders with export files.
    #[arg(long, value_name = "DIR")]
    pub export_path: Vec<PathBuf>,
    /// Load what does not verify.
    #[arg(long)]
    pub unverified: bool,
    /// Load although the card lacks something.
    #[arg(long)]
    pub despite_preflight: bool,
}

/// Hash algorithms of load file data blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// `jpkise gp install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The CAP file; without one the package has to be on the card.
    #[arg(value_name = "CAP", required_unless_present = "package", conflicts_with = "package")]
    pub cap: Option<PathBuf>,
    /// Package on the card.
    #[arg(long, value_name = "AID")]
    pub package: Option<Aid>,
    /// Module in it.
    #[arg(long, value_name = "AID")]
    pub module: Option<Aid>,
    /// AID of the instance.
    #[arg(long = "aid", value_name = "AID")]
    pub instance: Option<Aid>,
    /// Parameters: the value of C9.
    #[arg(long = "param", value_name = "HEX|TAG=VALUE", value_parser = parameter)]
    pub parameters: Vec<Bytes>,
    /// Further parameters beside C9.
    #[arg(long = "system-param", value_name = "HEX|TAG=VALUE", value_parser = parameter)]
    pub system_parameters: Vec<Bytes>,
    /// Privileges of the instance.
    #[arg(long, value_name = "NAMES|HEX", value_parser = privileges)]
    pub privileges: Option<Privileges>,
    /// Leave it INSTALLED.
    #[arg(long)]
    pub not_selectable: bool,
    /// Its access rules.
    #[arg(long, value_name = "FILE", conflicts_with = "not_selectable")]
    pub ara_rules: Option<PathBuf>,
    /// How the CAP is loaded.
    #[command(flatten)]
    pub how: LoadOptions,
}

/// `jpkise gp delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// What goes.
    #[arg(value_name = "AID", required = true)]
    pub objects: Vec<Aid>,
    /// With what depends on it.
    #[arg(long)]
    pub related: bool,
    /// With its access rules.
    #[arg(long)]
    pub with_rules: bool,
}

/// `jpkise gp domain`.
#[derive(Debug, Subcommand)]
pub enum DomainVerb {
    /// Creates a supplementary security domain.
    Create(DomainCreateArgs),
    /// Deletes a domain.
    Delete(DeleteArgs),
    /// Gives an application or load file to another domain.
    Extradite {
        /// What goes.
        #[arg(value_name = "AID")]
        object: Aid,
        /// Where it goes.
        #[arg(long, value_name = "AID")]
        to: Aid,
    },
}

/// `jpkise gp domain create`.
#[derive(Debug, Args)]
pub struct DomainCreateArgs {
    /// AID of the domain.
    #[arg(value_name = "AID")]
    pub instance: Aid,
    /// Further privileges.
    #[arg(long, value_name = "NAMES|HEX", value_parser = privileges)]
    pub privileges: Option<Privileges>,
    /// i parameter of its secure channel.
    #[arg(long, value_name = "HEX", value_parser = byte, default_value = "70", hide_default_value = true)]
    pub i: u8,
    /// Load file of the domain code.
    #[arg(long, value_name = "AID")]
    pub package: Option<Aid>,
    /// Module of the domain code.
    #[arg(long, value_name = "AID")]
    pub module: Option<Aid>,
    /// Parameters in place of the usual ones.
    #[arg(long = "param", value_name = "HEX|TAG=VALUE", value_parser = parameter)]
    pub parameters: Vec<Bytes>,
}

/// `jpkise gp keys`.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Which keys the domain has; needs no key.
    List,
    /// Adds a key set and proves it.
    Put(NewKeysArgs),
    /// Adds a key set, proves it, and removes the old one.
    Replace {
        /// The new keys.
        #[command(flatten)]
        new: NewKeysArgs,
        /// Version to be replaced.
        #[arg(long, value_name = "HEX", value_parser = byte)]
        old: Option<u8>,
    },
    /// Deletes a key set.
    Delete {
        /// Its version.
        #[arg(value_name = "KVN", value_parser = byte)]
        version: u8,
    },
}

/// Keys to put onto the card.
#[derive(Clone, Args)]
pub struct NewKeysArgs {
    /// Their version.
    #[arg(long, value_name = "HEX", value_parser = byte)]
    pub new_kvn: u8,
    /// One key for all three.
    #[arg(long, value_name = "HEX")]
    pub new_key: Option<String>,
    /// Key-ENC.
    #[arg(long, value_name = "HEX")]
    pub new_enc: Option<String>,
    /// Key-MAC.
    #[arg(long, value_name = "HEX")]
    pub new_mac: Option<String>,
    /// Key-DEK.
    #[arg(long, value_name = "HEX")]
    pub new_dek: Option<String>,
    /// A file that names them.
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,
    /// Scheme by which the card's keys are made from them.
    #[arg(long, value_name = "SCHEME")]
    pub new_kdf: Option<String>,
    /// Make random keys and write them to this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["new_key", "new_enc", "new_mac", "new_dek", "new_key_file", "new_kdf"])]
    pub generate: Option<PathBuf>,
    /// Length of the random keys in bits.
    #[arg(long, value_name = "BITS", value_parser = clap::builder::PossibleValuesParser::new(["128", "192", "256"]), default_value = "128", hide_default_value = true)]
    pub bits: String,
    /// Leave the length byte out of the key blocks.
    #[arg(long)]
    pub bare_blocks: bool,
}

impl std::fmt::Debug for NewKeysArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKeysArgs").field("new_kvn", &self.new_kvn).finish_non_exhaustive()
    }
}

/// `jpkise gp lock`, `jpkise gp unlock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// An application or domain; the card when not given.
    #[arg(value_name = "AID")]
    pub object: Option<Aid>,
    /// A domain with everything in it.
    #[arg(long, requires = "object")]
    pub with_applications: bool,
}

/// `jpkise gp store-data`.
#[derive(Debug, Args)]
pub struct StoreDataArgs {
    /// The data.
    #[arg(value_name = "HEX|TAG=VALUE", value_parser = parameter, required_unless_present = "file", conflicts_with = "file")]
    pub data: Vec<Bytes>,
    /// A file with the data: bytes, or hexadecimal text.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Application that gets it through its domain.
    #[arg(long = "to", value_name = "AID")]
    pub application: Option<Aid>,
    /// Structure of the data.
    #[arg(long, value_enum, default_value_t = Structure::Tlv, hide_default_value = true)]
    pub format: Structure,
    /// The values are enciphered under Key-DEK already.
    #[arg(long)]
    pub enciphered: bool,
    /// Ask for an answer.
    #[arg(long)]
    pub answer: bool,
    /// Bytes per block.
    #[arg(long, value_name = "BYTES")]
    pub block: Option<usize>,
}

/// Structure of STORE DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Structure {
    /// BER-TLV.
    Tlv,
    /// Data groupings.
    Dgi,
    /// None.
    Plain,
}

/// `jpkise gp send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Commands.
    #[arg(value_name = "APDU[=SW]", value_parser = sending, required_unless_present = "file")]
    pub commands: Vec<Sending>,
    /// A file with commands, one a line.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Inside a secure channel.
    #[arg(long)]
    pub secure: bool,
    /// What is selected first.
    #[arg(long, value_name = "AID", conflicts_with = "secure")]
    pub select: Option<Aid>,
    /// Go on after an unexpected answer.
    #[arg(long)]
    pub keep_going: bool,
}

/// A command to be sent as it stands, and the answer it must have.
#[derive(Debug, Clone)]
pub enum Sending {
    /// A command.
    Command {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Status word, where one is demanded.
        expected: Option<StatusWord>,
    },
    /// Off and on again.
    Reset,
}

/// One command of `gp send`: `APDU`, `APDU=SW`, or `reset`.
pub fn sending(text: &str) -> Result<Sending, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("reset") {
        return Ok(Sending::Reset);
    }
    let (command, expected) = match text.split_once('=') {
        None => (text, None),
        Some((command, sw)) => {
            let word = u16::from_str_radix(sw.trim(), 16).ok().filter(|_| sw.trim().len() == 4);
            (command, Some(StatusWord(word.ok_or_else(|| format!("{sw:?} is no status word"))?)))
        }
    };
    let Bytes(bytes) = super::hexadecimal(command)?;
    jpkise_card::CommandApdu::parse(&bytes).map_err(|e| e.to_string())?;
    Ok(Sending::Command { bytes, expected })
}

fn level(text: &str) -> Result<SecurityLevel, String> {
    SecurityLevel::try_from(byte(text)?).map_err(|e| e.to_string())
}

/// A byte in hexadecimal, as key versions and states are written.
pub fn byte(text: &str) -> Result<u8, String> {
    let digits = text.trim_start_matches("0x");
    let valid = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    valid
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
        .ok_or_else(|| format!("{text:?} is no byte in hexadecimal"))
}

fn holder(text: &str) -> Result<Holder, String> {
    if text == "card" {
        return Ok(Holder::Card);
    }
    text.parse().map(Holder::Object).map_err(|e: jpkise_wire::AidError| format!("\"card\" or an AID: {e}"))
}

fn state(text: &str) -> Result<State, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    if let Some(state) = CardState::ALL.into_iter().find(|s| s.name() == name) {
        return Ok(State::Card(state));
    }
    match name.as_str() {
        "SELECTABLE" => Ok(State::Object(0x07)),
        "PERSONALIZED" => Ok(State::Object(0x0F)),
        "LOCKED" => Ok(State::Object(jpkise_gp::commands::set_status::LOCK)),
        "UNLOCKED" => Ok(State::Object(jpkise_gp::commands::set_status::UNLOCK)),
        _ => byte(text).map(State::Byte),
    }
}

/// Privileges by name, separated by commas, or two or six hexadecimal digits.
fn privileges(text: &str) -> Result<Privileges, String> {
    if let Some(privileges) = hex::decode(text).ok().and_then(|bytes| Privileges::new(&bytes)) {
        return Ok(privileges);
    }
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).try_fold(Privileges::NONE, |all, name| {
        Privileges::named(name).map(|p| all.and(p)).ok_or_else(|| {
            let names: Vec<_> = Privileges::known_names().collect();
            format!("{name:?}; {}", names.join(", "))
        })
    })
}

/// Bytes, or one TLV: `80=text:LABEL`, `81=0305`.
fn parameter(text: &str) -> Result<Bytes, String> {
    let Some((tag, value)) = text.split_once('=') else { return super::hexadecimal(text) };
    let Bytes(tag) = super::hexadecimal(tag)?;
    // A tag of the length its first bytes say (ISO/IEC 8825-1 section 8.1.2).
    let well_formed = match tag.as_slice() {
        [first] => first & 0x1F != 0x1F,
        [first, middle @ .., last] => {
            first & 0x1F == 0x1F && last & 0x80 == 0 && middle.iter().all(|b| b & 0x80 != 0)
        }
        [] => false,
    };
    if !well_formed || tag.len() > 3 {
        return Err(format!("{} is no tag", hex::encode_upper(tag)));
    }
    let tag = Tag(tag.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
    let value = match value.strip_prefix("text:") {
        Some(text) => text.as_bytes().to_vec(),
        None => super::hexadecimal(value)?.0,
    };
    let mut out = Vec::new();
    tlv::write(&mut out, tag, &value);
    Ok(Bytes(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_bytes_or_one_tlv() {
        for (text, bytes) in [
            ("C9 01:02", "c90102"),
            ("", ""),
            ("80=text:JPKI", "80044a504b49"),
            ("81=0305", "81020305"),
            ("9F7F=", "9f7f00"),
            ("DF8101=AA", "df810101aa"),
        ] {
            assert_eq!(hex::encode(parameter(text).unwrap().0), bytes, "{text}");
        }
        let long = format!("80={}", "00".repeat(128));
        assert!(hex::encode(parameter(&long).unwrap().0).starts_with("808180"));
        for text in ["8", "zz=00", "=00", "9F=00", "8001=00", "80=0", "DF818001=00"] {
            assert!(parameter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn privileges_have_names_and_bytes() {
        for (text, bytes) in [
            ("000000", [0, 0, 0]),
            ("04", [4, 0, 0]),
            ("card-reset,global-lock", [4, 8, 0]),
            ("security-domain, authorized-management", [0x80, 0x40, 0]),
        ] {
            assert_eq!(privileges(text).unwrap().to_bytes(), bytes, "{text}");
        }
        assert!(privileges("everything").unwrap_err().contains("card-lock"));
    }

    #[test]
    fn states_levels_and_holders_are_read_as_people_write_them() {
        assert_eq!(state("card-locked"), Ok(State::Card(CardState::CardLocked)));
        assert_eq!(state("SECURED"), Ok(State::Card(CardState::Secured)));
        assert_eq!(state("locked"), Ok(State::Object(0x80)));
        assert_eq!(state("17"), Ok(State::Byte(0x17)));
        assert!(state("sleeping").is_err() && state("117").is_err());
        assert_eq!(level("33"), Ok(SecurityLevel::L33));
        assert!(level("12").is_err());
        assert_eq!(holder("card"), Ok(Holder::Card));
        assert!(holder("crad").is_err());
    }

    #[test]
    fn a_command_may_demand_its_answer() {
        let Sending::Command { bytes, expected } = sending("80 CA 00 66 00 = 6A88").unwrap() else {
            panic!()
        };
        assert_eq!((bytes.len(), expected), (5, Some(StatusWord(0x6A88))));
        assert!(matches!(sending("reset"), Ok(Sending::Reset)));
        for text in ["80CA", "80CA006600=9", "80CA006600=90000", "hello", "80CA006602FF"] {
            assert!(sending(text).is_err(), "{text}");
        }
    }
}
