//! The record of one SE: public facts, one JSON object, kept as long as the SE lives. Never a secret, nothing of the basic
//! four attributes.

use jpkise_gp::ara::{ApduAccess, NfcAccess, Rule};
use jpkise_gp::identity::Identity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::personalize::KeyRecord;

/// Name and version of the record's format.
pub const FORMAT: &str = "jpkise-se/1";

/// How far an SE is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Cut or refused on the way.
    Partial,
    /// The CA has the requests.
    Waiting,
    /// As the plan says.
    Complete,
}

/// Everything kept of one SE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeRecord {
    /// `jpkise-se/1`.
    pub format: String,
    /// How far it is.
    pub status: Status,
    /// Stage in which the last run stopped, unless complete.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped_at: Option<String>,
    /// Start of the first run, RFC 3339.
    pub started: String,
    /// End of the run that completed it, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finished: Option<String>,
    /// Runs that changed the SE.
    pub runs: u32,
    /// APDUs of all those runs.
    pub apdus: u64,
    /// APDUs of the last personalisation, from SELECT of the applet to its attestation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub personalization_apdus: Option<u64>,
    /// SHA-256 of the plan file, hexadecimal.
    pub plan_sha256: String,
    /// Who the SE is.
    pub se: SeIdentity,
    /// The service provider's domain.
    pub domain: DomainRecord,
    /// The applet.
    pub applet: AppletRecord,
    /// Access rules of the applet, as last written or found as the plan has them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub access_rules: Vec<RuleRecord>,
    /// Level of the last secure channel with the applet, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<String>,
    /// Signatures left to the signature key; absent when it signs without limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease: Option<u16>,
    /// The keys, as last attested.
    pub keys: Vec<KeyRecord>,
}

/// Who the SE is; hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeIdentity {
    /// What tells this chip from others: from CPLC, else from IIN and CIN, else from the ATR.
    pub chip: String,
    /// Answer to reset.
    pub atr: String,
    /// Card production life cycle data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cplc: Option<String>,
    /// Issuer identification number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iin: Option<String>,
    /// Card image number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cin: Option<String>,
}

/// The service provider's domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DomainRecord {
    /// AID.
    pub aid: String,
    /// Key version in use, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kvn: Option<String>,
    /// Check values of Key-ENC, Key-MAC, Key-DEK.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub key_check_values: Vec<String>,
    /// Version of the first set, once it is gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaced_kvn: Option<String>,
    /// Whether the keys in use are published ones: such an SE is for laboratories only.
    pub test_keys: bool,
}

/// The applet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppletRecord {
    /// Instance AID.
    pub instance: String,
    /// Package AID.
    pub package: String,
    /// Version it tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Install parameters (C9), hexadecimal.
    pub parameters: String,
    /// Token label.
    pub label: String,
    /// Token serial number.
    pub serial: String,
    /// The CAP the plan names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<CapRecord>,
}

/// A CAP file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapRecord {
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// SHA-256 of the load file data block, hexadecimal.
    pub load_file_sha256: String,
    /// Whether it was loaded here; otherwise a package of its AID was on the SE before.
    pub loaded: bool,
}

/// An access rule, in the words of the rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// The applet.
    pub aid: String,
    /// The app: the hash of its certificate, or `all`.
    pub app: String,
    /// `always`, `never`, or the filters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub apdu: Option<ApduRecord>,
    /// NFC transaction events: `always` or `never`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nfc: Option<String>,
}

/// Which commands a rule lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ApduRecord {
    /// `always` or `never`.
    Word(String),
    /// Header and mask of each filter.
    Filters(Vec<String>),
}

impl RuleRecord {
    /// Of a rule.
    pub fn new(rule: &Rule) -> Self {
        let word = |word: &str| ApduRecord::Word(word.to_owned());
        let apdu = rule.access.apdu().map(|access| match access {
            ApduAccess::Always => word("always"),
            ApduAccess::Never => word("never"),
            ApduAccess::Filters(filters) => {
                ApduRecord::Filters(filters.as_slice().iter().map(ToString::to_string).collect())
            }
        });
        let nfc = rule.access.nfc().map(|access| match access {
            NfcAccess::Always => "always".to_owned(),
            NfcAccess::Never => "never".to_owned(),
        });
        let reference = &rule.reference;
        Self { aid: reference.aid().to_string(), app: reference.device_app().to_string(), apdu, nfc }
    }
}

impl SeIdentity {
    /// From what the card told.
    pub fn new(identity: &Identity, atr: &[u8]) -> Self {
        let cplc = identity.cplc.as_ref();
        let chip = cplc
            .and_then(|c| c.value.as_ref())
            .map(jpkise_gp::identity::Cplc::chip_id)
            .or_else(|| {
                Some(hex::encode_upper([identity.iin.as_ref()?.as_slice(), identity.cin.as_ref()?].concat()))
            })
            .unwrap_or_else(|| format!("ATR{}", hex::encode_upper(&Sha256::digest(atr)[..8])));
        Self {
            chip,
            atr: hex::encode_upper(atr),
            cplc: cplc.map(|c| hex::encode_upper(&c.raw)),
            iin: identity.iin.as_ref().map(hex::encode_upper),
            cin: identity.cin.as_ref().map(hex::encode_upper),
        }
    }
}
