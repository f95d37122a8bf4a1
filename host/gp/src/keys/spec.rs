//! Keys as a person names them: options, a key file, the environment. Exactly one place is used, and none is assumed.

use std::path::{Path, PathBuf};

use jpkise_wire::scp03::{AesKey, KeyError, StaticKeys};
use zeroize::Zeroizing;

use super::{Diversification, SoftwareKeys};

/// Environment variable with one key for all three.
pub const ENV_KEY: &str = "JPKISE_KEY";
/// Environment variable with Key-ENC.
pub const ENV_KEY_ENC: &str = "JPKISE_KEY_ENC";
/// Environment variable with Key-MAC.
pub const ENV_KEY_MAC: &str = "JPKISE_KEY_MAC";
/// Environment variable with Key-DEK.
pub const ENV_KEY_DEK: &str = "JPKISE_KEY_DEK";
/// Environment variable with the key version, hexadecimal.
pub const ENV_KVN: &str = "JPKISE_KVN";
/// Environment variable with the diversification scheme.
pub const ENV_DIVERSIFICATION: &str = "JPKISE_KEY_DIVERSIFICATION";

/// Where keys were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Options of the command line.
    Options,
    /// A key file.
    File(PathBuf),
    /// Environment variables.
    Environment,
}

/// Why a naming of keys is refused. Never quotes a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySpecError {
    /// No key anywhere.
    #[error("no key given")]
    Missing,
    /// One key for all and single ones together.
    #[error("either one key for all three or ENC, MAC and DEK, not both")]
    Ambiguous,
    /// Some of the three are missing.
    #[error("key {0} is missing")]
    Incomplete(&'static str),
    /// Not hexadecimal.
    #[error("key {0} is not hexadecimal")]
    Hex(&'static str),
    /// Wrong length.
    #[error("key {name}: {error}")]
    Key {
        /// Which key.
        name: &'static str,
        /// What is wrong with it.
        error: KeyError,
    },
    /// The three keys differ in length.
    #[error(transparent)]
    Set(KeyError),
    /// Not a key version.
    #[error("{0:?} is no key version (hexadecimal, 00 to FF)")]
    Kvn(String),
    /// Not a scheme.
    #[error("{0:?} is no diversification scheme")]
    Diversification(String),
    /// A line of a key file is not `name = value`, or its name is unknown or repeated.
    #[error("line {line} of the key file: {problem}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The file cannot be read.
    #[error("key file {}: {error}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
}

/// Keys by name, still as text.
#[derive(Default)]
pub struct KeySpec {
    /// One key for all three, hexadecimal.
    pub key: Option<Zeroizing<String>>,
    /// Key-ENC.
    pub enc: Option<Zeroizing<String>>,
    /// Key-MAC.
    pub mac: Option<Zeroizing<String>>,
    /// Key-DEK.
    pub dek: Option<Zeroizing<String>>,
    /// Key version, hexadecimal.
    pub kvn: Option<String>,
    /// Diversification scheme by name.
    pub diversification: Option<String>,
}

impl std::fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySpec")
            .field("key", &self.key.is_some())
            .field("enc", &self.enc.is_some())
            .field("mac", &self.mac.is_some())
            .field("dek", &self.dek.is_some())
            .field("kvn", &self.kvn)
            .field("diversification", &self.diversification)
            .finish()
    }
}

impl KeySpec {
    /// Whether it names any key.
    pub fn names_a_key(&self) -> bool {
        self.key.is_some() || self.enc.is_some() || self.mac.is_some() || self.dek.is_some()
    }

    /// From environment variables; `variable` reads one.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let secret = |name| variable(name).map(Zeroizing::new);
        Self {
            key: secret(ENV_KEY),
            enc: secret(ENV_KEY_ENC),
            mac: secret(ENV_KEY_MAC),
            dek: secret(ENV_KEY_DEK),
            kvn: variable(ENV_KVN),
            diversification: variable(ENV_DIVERSIFICATION),
        }
    }

    /// From the text of a key file: lines `name = value` with the names key, enc, mac, dek, kvn, diversification; `#`
    /// begins a comment.
    pub fn from_text(text: &str) -> Result<Self, KeySpecError> {
        let mut spec = Self::default();
        for (number, line) in text.lines().enumerate() {
            let error = |problem| KeySpecError::Line { line: number + 1, problem };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or_else(|| error("expected name = value"))?;
            let value = value.trim().trim_matches('"');
            let taken = match name.trim() {
                "key" => spec.key.replace(value.to_owned().into()).is_some(),
                "enc" => spec.enc.replace(value.to_owned().into()).is_some(),
                "mac" => spec.mac.replace(value.to_owned().into()).is_some(),
                "dek" => spec.dek.replace(value.to_owned().into()).is_some(),
                "kvn" => spec.kvn.replace(value.to_owned()).is_some(),
                "diversification" => spec.diversification.replace(value.to_owned()).is_some(),
                _ => return Err(error("unknown name")),
            };
            if taken {
                return Err(error("named twice"));
            }
        }
        Ok(spec)
    }

    /// Reads a key file.
    pub fn from_file(path: &Path) -> Result<Self, KeySpecError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| KeySpecError::File { path: path.to_owned(), error })?;
        Self::from_text(&Zeroizing::new(text))
    }

    /// The one place that names keys: options, else the file, else the environment. A version or scheme named at an
    /// earlier place goes before that of a later one.
    pub fn first_of(
        options: Self,
        file: Option<&Path>,
        environment: Self,
    ) -> Result<(Self, Origin), KeySpecError> {
        let file = file.map(|path| Self::from_file(path).map(|spec| (spec, path.to_owned()))).transpose()?;
        let kvn = options.kvn.clone();
        let diversification = options.diversification.clone();
        let (mut spec, origin) = match (options, file, environment) {
            (options, None, _) if options.names_a_key() => (options, Origin::Options),
            // Two places that both name keys: which one is meant is not for us to guess.
            (options, Some(_), _) if options.names_a_key() => return Err(KeySpecError::Ambiguous),
            (_, Some((spec, path)), _) if spec.names_a_key() => (spec, Origin::File(path)),
            (_, None, environment) if environment.names_a_key() => (environment, Origin::Environment),
            _ => return Err(KeySpecError::Missing),
        };
        spec.kvn = kvn.or(spec.kvn);
        spec.diversification = diversification.or(spec.diversification);
        Ok((spec, origin))
    }

    /// Key version, if named.
    pub fn kvn(&self) -> Result<Option<u8>, KeySpecError> {
        self.kvn.as_deref().map(parse_kvn).transpose()
    }

    /// The keys.
    pub fn keys(&self) -> Result<SoftwareKeys, KeySpecError> {
        let singles = [("ENC", &self.enc), ("MAC", &self.mac), ("DEK", &self.dek)];
        let any_single = singles.iter().any(|(_, key)| key.is_some());
        let keys = match &self.key {
            Some(_) if any_single => return Err(KeySpecError::Ambiguous),
            Some(key) => {
                let key = parse_key("KEY", key)?;
                StaticKeys::new(key.duplicate(), key.duplicate(), key).map_err(KeySpecError::Set)?
            }
            None if any_single => {
                let [enc, mac, dek] = singles.map(|(name, key)| match key {
                    Some(key) => parse_key(name, key),
                    None => Err(KeySpecError::Incomplete(name)),
                });
                StaticKeys::new(enc?, mac?, dek?).map_err(KeySpecError::Set)?
            }
            None => return Err(KeySpecError::Missing),
        };
        let scheme = match &self.diversification {
            None => Diversification::None,
            Some(name) => {
                Diversification::named(name).ok_or_else(|| KeySpecError::Diversification(name.clone()))?
            }
        };
        Ok(SoftwareKeys::diversified(keys, scheme))
    }
}

/// A key version as people write it: hexadecimal, "30" is 0x30.
pub fn parse_kvn(text: &str) -> Result<u8, KeySpecError> {
    let digits = text.trim().trim_start_matches("0x").trim_start_matches("0X");
    // from_str_radix alone would take a sign.
    let digits = Some(digits).filter(|d| d.len() <= 2 && d.bytes().all(|b| b.is_ascii_hexdigit()));
    digits.and_then(|d| u8::from_str_radix(d, 16).ok()).ok_or_else(|| KeySpecError::Kvn(text.to_owned()))
}

fn parse_key(name: &'static str, text: &str) -> Result<AesKey, KeySpecError> {
    let digits: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect());
    let bytes = Zeroizing::new(hex::decode(digits.as_bytes()).map_err(|_| KeySpecError::Hex(name))?);
    AesKey::new(&bytes).map_err(|error| KeySpecError::Key { name, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySource;

    const HEX: &str = "404142434445464748494a4b4c4d4e4f";

    #[test]
    fn a_file_names_keys_version_and_scheme() {
        let text =
            format!("# issuer keys\nkey = {HEX}\nkvn = 30 # hexadecimal\n\ndiversification = \"kdf3\"\n");
        let spec = KeySpec::from_text(&text).unwrap();
        assert_eq!(spec.kvn().unwrap(), Some(0x30));
        assert_eq!(spec.keys().unwrap().diversification(), Diversification::Kdf3);
    }

    #[test]
    fn bad_files_are_refused_with_the_line_and_without_the_key() {
        for (text, line) in [("key", 1), ("\nkey = 00\nkey = 01", 3), ("secret = 00", 1)] {
            let error = KeySpec::from_text(text).unwrap_err();
            assert!(matches!(error, KeySpecError::Line { line: l, .. } if l == line), "{error}");
        }
        for (text, message) in [
            ("key = 00zz", "key KEY is not hexadecimal"),
            ("key = 0011", "key KEY: an AES key has 16, 24 or 32 bytes, not 2"),
            ("enc = 0011", "key ENC: an AES key has 16, 24 or 32 bytes, not 2"),
            ("kvn = 30", "no key given"),
        ] {
            assert_eq!(KeySpec::from_text(text).unwrap().keys().unwrap_err().to_string(), message);
        }
        let both = format!("key = {HEX}\nenc = {HEX}");
        assert!(matches!(KeySpec::from_text(&both).unwrap().keys(), Err(KeySpecError::Ambiguous)));
        let two = format!("enc = {HEX}\nmac = {HEX}");
        assert!(matches!(KeySpec::from_text(&two).unwrap().keys(), Err(KeySpecError::Incomplete("DEK"))));
        let mixed = format!("enc = {HEX}\nmac = {HEX}\ndek = {HEX}{HEX}");
        assert!(matches!(KeySpec::from_text(&mixed).unwrap().keys(), Err(KeySpecError::Set(_))));
    }

    #[test]
    fn exactly_one_place_names_the_keys() {
        let spec = |key: &str| KeySpec { key: Some(key.to_owned().into()), ..KeySpec::default() };
        let environment = || KeySpec::from_environment(|n| (n == ENV_KEY).then(|| HEX.to_owned()));
        let (_, origin) = KeySpec::first_of(spec(HEX), None, environment()).unwrap();
        assert_eq!(origin, Origin::Options);
        let named = KeySpec { kvn: Some("20".into()), ..KeySpec::default() };
        let (chosen, origin) = KeySpec::first_of(named, None, environment()).unwrap();
        assert_eq!((origin, chosen.kvn().unwrap()), (Origin::Environment, Some(0x20)));
        assert!(chosen.keys().unwrap().has_published_key());
        assert!(matches!(
            KeySpec::first_of(KeySpec::default(), None, KeySpec::default()),
            Err(KeySpecError::Missing)
        ));
        assert!(matches!(
            KeySpec::first_of(KeySpec::default(), Some(Path::new("/nonexistent/keys")), environment()),
            Err(KeySpecError::File { .. })
        ));
    }

    #[test]
    fn versions_are_hexadecimal() {
        for (text, kvn) in [("30", 0x30), ("0x30", 0x30), ("ff", 0xFF), ("1", 1)] {
            assert_eq!(parse_kvn(text).unwrap(), kvn);
        }
        for text in ["", "100", "zz", "-1", "+1"] {
            assert!(parse_kvn(text).is_err(), "{text}");
        }
    }
}
