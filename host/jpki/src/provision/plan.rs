//! The plan file: what an SE is to become. TOML, version 1; unknown keys are refused with their line.
//!
//! It names keys, CA files and people's secrets and never holds any: a plan may be read by everybody who runs it.

use std::path::PathBuf;

use jpkise_wire::Aid;
use serde::{Deserialize, Deserializer};
use time::Date;

use crate::ca::{BasicAttributes, Sex, Subscriber};
use crate::edge::install::{media, policy, InstallParameters};
use crate::edge::{KeyRef, TokenInfo, TokenProfile, INSTANCE_AID, MODULE_AID, PACKAGE_AID, SP_DOMAIN_AID};

/// Name and version of the format.
pub const FORMAT: &str = "jpkise-plan/1";

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Not TOML, an unknown key, a missing one, or a value of the wrong form.
    #[error("line {line}: {message}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// Another format, or a newer version of this one.
    #[error("the format is {0:?}, not \"jpkise-plan/1\"")]
    Format(String),
    /// The parts contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// A plan as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanFile {
    format: String,
    /// Folder of the records, seen from the plan's own.
    #[serde(default = "records")]
    pub records: PathBuf,
    /// The service provider's security domain.
    #[serde(default)]
    pub domain: DomainPart,
    /// The applet.
    #[serde(default)]
    pub applet: AppletPart,
    /// Token information.
    #[serde(default)]
    pub token: TokenPart,
    /// Where keys are.
    pub keys: KeysPart,
    /// Who certifies.
    pub ca: CaPart,
    /// Whom for; for the test CA.
    #[serde(default)]
    pub subscriber: Option<SubscriberPart>,
    /// The user's own secrets.
    #[serde(default)]
    pub user: UserPart,
    /// Access rules of the applet.
    #[serde(default)]
    pub access_rules: Option<RulesPart>,
}

fn records() -> PathBuf {
    PathBuf::from("records")
}

/// `[domain]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DomainPart {
    /// AID of the domain.
    #[serde(deserialize_with = "aid")]
    pub aid: Aid,
    /// i parameter of a domain that is created.
    #[serde(deserialize_with = "byte")]
    pub i: u8,
}

impl Default for DomainPart {
    fn default() -> Self {
        // Pseudo-random challenge, R-MAC, R-ENCRYPTION.
        Self { aid: SP_DOMAIN_AID, i: 0x70 }
    }
}

/// `[applet]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AppletPart {
    /// Package AID.
    #[serde(deserialize_with = "aid")]
    pub package: Aid,
    /// Module AID.
    #[serde(deserialize_with = "aid")]
    pub module: Aid,
    /// Instance AID.
    #[serde(deserialize_with = "aid")]
    pub instance: Aid,
    /// CAP file, loaded when the package is not on the card.
    pub cap: Option<PathBuf>,
    /// Tries of PIN and password (tag 81).
    pub tries: Option<[u8; 2]>,
    /// Policy (tag 82 and DGI 0101).
    pub policy: Option<Vec<PolicyName>>,
    /// Media refused for the SP-TSM (tag 83).
    pub admin_media_refused: Option<Vec<Medium>>,
    /// Media allowed for the authentication key (tag 84).
    pub auth_media: Option<Vec<Medium>>,
    /// Media allowed for the signature key (tag 84).
    pub sign_media: Option<Vec<Medium>>,
    /// Media codes of the runtime that count as contactless (tag 85).
    pub contactless_codes: Option<u16>,
}

impl Default for AppletPart {
    fn default() -> Self {
        Self {
            package: PACKAGE_AID,
            module: MODULE_AID,
            instance: INSTANCE_AID,
            cap: None,
            tries: None,
            policy: None,
            admin_media_refused: None,
            auth_media: None,
            sign_media: None,
            contactless_codes: None,
        }
    }
}

/// A policy bit by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// 01
    FreeAuthCertificate,
    /// 02
    #[serde(rename = "blocked-is-6983")]
    BlockedIs6983,
    /// 04
    DigestInfoOnly,
    /// 08
    PinFreeAuthentication,
}

impl PolicyName {
    const fn bit(self) -> u8 {
        match self {
            Self::FreeAuthCertificate => policy::FREE_AUTH_CERTIFICATE,
            Self::BlockedIs6983 => policy::BLOCKED_IS_6983,
            Self::DigestInfoOnly => policy::DIGEST_INFO_ONLY,
            Self::PinFreeAuthentication => policy::PIN_FREE_AUTHENTICATION,
        }
    }
}

/// A medium by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// Contact.
    Contact,
    /// Contactless.
    Contactless,
}

fn media_bits(media: &[Medium]) -> u8 {
    media.iter().fold(0, |bits, medium| {
        bits | match medium {
            Medium::Contact => media::CONTACT,
            Medium::Contactless => media::CONTACTLESS,
        }
    })
}

/// `[token]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TokenPart {
    /// `phone` or `card`.
    pub profile: TokenProfile,
    /// Serial number, or `chip` for the end of the chip's own.
    pub serial: String,
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
}

/// Serial number that stands for the chip's.
const SERIAL_OF_CHIP: &str = "chip";

impl Default for TokenPart {
    fn default() -> Self {
        Self {
            profile: TokenProfile::Phone,
            serial: SERIAL_OF_CHIP.to_owned(),
            manufacturer: None,
            model: None,
        }
    }
}

impl TokenPart {
    /// Token information for an SE whose chip calls itself `chip`.
    pub fn info(&self, chip: &str) -> TokenInfo {
        let serial = if self.serial == SERIAL_OF_CHIP {
            // The end differs from chip to chip; the start is the maker's.
            let skip = chip.chars().count().saturating_sub(16);
            chip.chars().skip(skip).collect()
        } else {
            self.serial.clone()
        };
        let mut info = TokenInfo::new(self.profile, &serial);
        if let Some(manufacturer) = &self.manufacturer {
            manufacturer.clone_into(&mut info.manufacturer);
        }
        if let Some(model) = &self.model {
            model.clone_into(&mut info.model);
        }
        info
    }
}

/// Where a key set is; never the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyReference {
    /// The command line's own key options.
    Options,
    /// A key file.
    File(PathBuf),
    /// Environment variables with this prefix: `PREFIX`, `PREFIX_ENC`, ….
    Environment(String),
    /// Keys that stay in a token: a PKCS#11 URI (RFC 7512), which holds no key and no PIN.
    Token(String),
    /// The public test key of development cards.
    Test,
    /// The laboratory's public keys of a service provider.
    Lab,
}

impl<'de> Deserialize<'de> for KeyReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            None if text == "options" => Ok(Self::Options),
            None if text == "test" => Ok(Self::Test),
            None if text == "lab" => Ok(Self::Lab),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", prefix)) if !prefix.is_empty() => Ok(Self::Environment(prefix.to_owned())),
            Some(("pkcs11", _)) => Ok(Self::Token(text)),
            // Not quoted: it may be the key itself.
            _ => Err(serde::de::Error::custom(
                "a key is named as \"file:PATH\", \"env:PREFIX\", \"pkcs11:…\", \"options\", \"test\" or \"lab\"; keys \
                 themselves do not belong into a plan",
            )),
        }
    }
}

/// How the first key set gives way to the service provider's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Added beside the first, proven, then the first deleted: never without keys that open.
    #[default]
    Add,
    /// Put in the first's place, then proven: for cards that hold one set.
    Replace,
}

/// `[keys]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeysPart {
    /// The issuer security domain's, when domain or applet may have to be made.
    #[serde(default)]
    pub issuer: Option<KeyReference>,
    /// Their version; 00 for the default.
    #[serde(default, deserialize_with = "byte")]
    pub issuer_kvn: u8,
    /// The domain's first set.
    pub first: KeyReference,
    /// Its version.
    #[serde(default = "first_kvn", deserialize_with = "byte")]
    pub first_kvn: u8,
    /// The service provider's own set, which the domain ends with.
    pub own: KeyReference,
    /// Its version.
    #[serde(default = "own_kvn", deserialize_with = "byte")]
    pub own_kvn: u8,
    /// How the one gives way to the other.
    #[serde(default)]
    pub rotation: Rotation,
}

const fn first_kvn() -> u8 {
    0x20
}

const fn own_kvn() -> u8 {
    crate::edge::SP_KEY_VERSION
}

/// `[ca]`
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum CaPart {
    /// The test CA, kept in a folder; made there when it is not.
    Test {
        /// The folder.
        folder: PathBuf,
    },
    /// Another CA, asked by files: requests go out, certificates come in.
    Files {
        /// Where requests are written and certificates looked for.
        folder: PathBuf,
        /// CA certificate above the authentication certificate.
        auth_ca: PathBuf,
        /// CA certificate above the signature certificate.
        sign_ca: PathBuf,
        /// Subject of the authentication request (RFC 4514).
        #[serde(default)]
        auth_subject: Option<String>,
        /// Subject of the signature request.
        #[serde(default)]
        sign_subject: Option<String>,
    },
}

/// `[subscriber]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubscriberPart {
    name: String,
    birth: toml::value::Datetime,
    sex: Sex,
    address: String,
    prefecture: String,
    municipality: String,
}

/// Who sets the user's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secrets {
    /// The user, during the run: asked, or by file, standard input or environment.
    #[default]
    Ask,
    /// Nobody yet: keys end CERTIFIED, and `pin reset` finishes them.
    Later,
    /// The laboratory's public ones.
    Lab,
}

/// `[user]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct UserPart {
    /// Who sets them.
    pub secrets: Secrets,
}

/// `[access-rules]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RulesPart {
    /// Rule file.
    pub file: PathBuf,
}

fn aid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Aid, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// A byte in hexadecimal, as key versions and i are written everywhere.
fn byte<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let text = String::deserialize(deserializer)?;
    jpkise_gp::keys::parse_kvn(&text)
        .map_err(|_| serde::de::Error::custom("a byte in hexadecimal, quoted: \"30\" is 0x30"))
}

impl PlanFile {
    /// Reads and judges a plan.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let line_of = |offset: usize| text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1;
        let plan: Self = toml::from_str(text).map_err(|error| PlanError::Line {
            line: line_of(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanError> {
        let wrong = |what| Err(PlanError::Contradiction(what));
        if self.format != FORMAT {
            return Err(PlanError::Format(self.format.clone()));
        }
        let keys = &self.keys;
        if keys.first == keys.own && keys.first_kvn == keys.own_kvn {
            return wrong("keys.own is keys.first: the first key set must give way to another");
        }
        if keys.rotation == Rotation::Add && keys.first_kvn == keys.own_kvn {
            return wrong("keys.own-kvn is keys.first-kvn: a set beside the first needs another version, or rotation = \"replace\"");
        }
        if !(0x01..=0x7F).contains(&keys.own_kvn) || !(0x01..=0x7F).contains(&keys.first_kvn) {
            return wrong("key versions are 01 to 7F");
        }
        if self.token.info("0").build().is_err() {
            return wrong("a text of [token] is too long or not ASCII");
        }
        if self.applet.auth_media.is_some() != self.applet.sign_media.is_some() {
            return wrong("applet.auth-media and applet.sign-media come together (tag 84 holds both)");
        }
        if self.access_rules.is_some() && keys.issuer.is_none() {
            return wrong("[access-rules] are written through the issuer's domain: name keys.issuer");
        }
        if matches!(self.ca, CaPart::Files { .. }) && self.subscriber.is_some() {
            return wrong("[subscriber] is for the test CA; another CA knows whom it certifies");
        }
        if self.subscriber.as_ref().is_some_and(|s| s.birth().is_none()) {
            return wrong("subscriber.birth is a date, as 1990-04-02");
        }
        Ok(())
    }

    /// Install parameters of the applet, the value of C9.
    pub fn install_parameters(&self) -> InstallParameters {
        let applet = &self.applet;
        InstallParameters {
            profile: Some(self.token.profile),
            tries: applet.tries.map(|[auth, sign]| (auth, sign)),
            policy: self.policy(),
            admin_media_refused: applet.admin_media_refused.as_deref().map(media_bits),
            user_media: applet
                .auth_media
                .as_deref()
                .zip(applet.sign_media.as_deref())
                .map(|(auth, sign)| (media_bits(auth), media_bits(sign))),
            contactless: applet.contactless_codes,
        }
    }

    /// Policy bits, when named.
    pub fn policy(&self) -> Option<u8> {
        self.applet.policy.as_ref().map(|names| names.iter().fold(0, |bits, name| bits | name.bit()))
    }

    /// Whom the test CA certifies: the plan's subscriber, or the person who does not exist.
    pub fn subscriber(&self) -> Subscriber {
        self.subscriber.as_ref().and_then(SubscriberPart::subscriber).unwrap_or_else(Subscriber::sample)
    }

    /// Subject of a request to another CA, where the plan names one.
    pub fn subject(&self, key: KeyRef) -> Option<&str> {
        match (&self.ca, key) {
            (CaPart::Files { auth_subject, .. }, KeyRef::Auth) => auth_subject.as_deref(),
            (CaPart::Files { sign_subject, .. }, KeyRef::Sign) => sign_subject.as_deref(),
            _ => None,
        }
    }
}

impl SubscriberPart {
    fn birth(&self) -> Option<Date> {
        let date = self.birth.date?;
        let month = time::Month::try_from(date.month).ok()?;
        Date::from_calendar_date(i32::from(date.year), month, date.day).ok()
    }

    fn subscriber(&self) -> Option<Subscriber> {
        Some(Subscriber {
            attributes: BasicAttributes {
                name: self.name.clone(),
                birth: self.birth()?,
                sex: self.sex,
                address: self.address.clone(),
                name_substitutes: String::new(),
                address_substitutes: String::new(),
            },
            prefecture: self.prefecture.clone(),
            municipality: self.municipality.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "format = \"jpkise-plan/1\"\n[keys]\nfirst = \"file:first\"\nown = \"env:OWN\"\n[ca]\nkind = \"test\"\nfolder = \"ca\"\n";

    #[test]
    fn the_smallest_plan_has_the_defaults_of_the_design() {
        let plan = PlanFile::parse(SMALLEST).unwrap();
        assert_eq!((plan.keys.first_kvn, plan.keys.own_kvn), (0x20, 0x30));
        assert_eq!(plan.keys.own, KeyReference::Environment("OWN".into()));
        assert_eq!(plan.domain.aid, SP_DOMAIN_AID);
        assert_eq!(
            hex::encode(plan.install_parameters().build()),
            format!("800f{}", hex::encode("JPKIAPGPSETOKEN"))
        );
        assert_eq!(plan.token.info("0123456789ABCDEF0123").serial, "456789ABCDEF0123");
        assert_eq!(plan.records, PathBuf::from("records"));
    }

    #[test]
    fn everything_can_be_said() {
        let text = format!(
            "records = \"r\"\n{SMALLEST}[domain]\naid = \"A000000151535001\"\ni = \"60\"\n[applet]\ntries = [3, 5]\npolicy = \
             [\"free-auth-certificate\", \"blocked-is-6983\"]\nadmin-media-refused = [\"contactless\"]\nauth-media = \
             [\"contact\", \"contactless\"]\nsign-media = [\"contact\"]\n[token]\nprofile = \"card\"\nserial = \
             \"77\"\n[subscriber]\nname = \"試験\"\nbirth = 1990-04-02\nsex = \"female\"\naddress = \"x\"\nprefecture = \
             \"Tokyo-to\"\nmunicipality = \"Chiyoda-ku\"\n[user]\nsecrets = \"later\"\n"
        );
        let plan = PlanFile::parse(&text).unwrap();
        let label = hex::encode("JPKIAPICCTOKEN2");
        assert_eq!(
            hex::encode(plan.install_parameters().build()),
            format!("800f{label}8102030582010383010284020301")
        );
        assert_eq!(plan.subscriber().attributes.birth.year(), 1990);
        assert_eq!((plan.user.secrets, plan.domain.i), (Secrets::Later, 0x60));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, says) in [
            (SMALLEST.replace("own = ", "onw = "), 4, "onw"),
            (format!("{SMALLEST}[applet]\ncolour = 1\n"), 9, "colour"),
            (format!("{SMALLEST}[aplet]\n"), 8, "aplet"),
            (SMALLEST.replace("folder", "directory"), 5, "directory"),
            (SMALLEST.replace("env:OWN", "404142434445464748494a4b4c4d4e4f"), 4, "do not belong into a plan"),
            (format!("{SMALLEST}[domain]\ni = 70\n"), 9, "string"),
            (format!("{SMALLEST}[domain]\naid = \"A0\"\n"), 9, "AID"),
            (format!("{SMALLEST}[applet]\npolicy = [\"free\"]\n"), 9, "free"),
            (format!("{SMALLEST}[access-rules]\n"), 8, "file"),
            (format!("{SMALLEST}[access-rules]\nfile = 1\n"), 9, "string"),
            (format!("{SMALLEST}[access-rules]\nfile = \"r\"\nrules = []\n"), 10, "rules"),
            ("format = ".to_owned(), 1, ""),
        ] {
            match PlanFile::parse(&text).unwrap_err() {
                PlanError::Line { line: found, message } => {
                    assert_eq!(found, line, "{text}: {message}");
                    assert!(message.contains(says), "{message}");
                    assert!(!message.contains("404142"), "a key is quoted: {message}");
                }
                other => panic!("{text}: {other}"),
            }
        }
    }

    #[test]
    fn parts_that_contradict_each_other_are_refused() {
        for (from, to, says) in [
            ("jpkise-plan/1", "jpkise-plan/2", "jpkise-plan/2"),
            ("env:OWN", "file:first\"\nown-kvn = \"20", "first key set"),
            ("env:OWN", "env:OWN\"\nown-kvn = \"20", "another version"),
            ("env:OWN", "env:OWN\"\nown-kvn = \"80", "01 to 7F"),
            ("[keys]", "[token]\nserial = \"12345678901234567\"\n[keys]", "too long"),
            ("[keys]", "[access-rules]\nfile = \"r\"\n[keys]", "keys.issuer"),
            ("[keys]", "[applet]\nauth-media = [\"contact\"]\n[keys]", "come together"),
        ] {
            let error = PlanFile::parse(&SMALLEST.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{from} -> {to}: {error}");
        }
    }
}
