//! Keys in a PKCS#11 token (an HSM, a smart card, SoftHSM): the static keys never leave it.
//!
//! Session keys are outputs of CKM_AES_CMAC, so the derivation runs in the token; Key-DEK enciphers by CKM_AES_CBC. Three
//! secret AES keys are looked for under one name: `NAME-enc`, `NAME-mac`, `NAME-dek`, or one `NAME` for all three. With
//! diversification KDF3 they are masters: the card's keys, which CMAC of the masters gives, live in this process for the
//! session; the masters do not.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use jpkise_wire::scp03::{
    derive_with, kdf3_with, AesKey, Challenge, Derivation, Diversification, KeyCheckValue, KeyError,
    KeyLength, SMode, SequenceCounter, SessionKeys, Slot, StaticKeys, BLOCK, SLOTS,
};
use jpkise_wire::Aid;
use zeroize::Zeroizing;

use super::source::{KeySet, KeySource, KeySourceError};
use super::SoftwareKeys;

/// Check value of the key 40…4F.
const DEVELOPMENT_CHECK_VALUE: KeyCheckValue = KeyCheckValue([0x50, 0x4A, 0x77]);

/// A PKCS#11 URI (RFC 7512) as far as it names keys here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pkcs11Uri {
    /// Label of the token.
    pub token: Option<String>,
    /// Serial number of the token.
    pub serial: Option<String>,
    /// Label of the keys.
    pub object: String,
    /// The module.
    pub module: Option<PathBuf>,
    /// A file with the user PIN.
    pub pin_file: Option<PathBuf>,
}

/// Why a token's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// Not a URI, or with an attribute that has no meaning here.
    #[error("{0}")]
    Uri(String),
    /// The PIN is needed.
    #[error("the token asks for its PIN")]
    PinNeeded,
    /// The PIN is wrong or blocked.
    #[error("the token refuses the PIN: {0}")]
    Pin(Error),
    /// No token, or several, fit the URI.
    #[error("{found} tokens fit the URI; these are there: {there}")]
    Token {
        /// How many fit.
        found: usize,
        /// Labels of all tokens.
        there: String,
    },
    /// A key is missing, or there are several of its name.
    #[error("{found} secret AES keys are named {label:?}")]
    Key {
        /// Label looked for.
        label: String,
        /// How many there are.
        found: usize,
    },
    /// A scheme that the token cannot compute.
    #[error("diversification {0} is not computed by the token; kdf3 is")]
    Diversification(&'static str),
    /// The keys have no common length.
    #[error(transparent)]
    Length(#[from] KeyError),
    /// The module or the token.
    #[error(transparent)]
    Device(#[from] Error),
}

impl Pkcs11Uri {
    /// Whether text is meant to be one.
    pub fn is_meant(text: &str) -> bool {
        text.trim_start().starts_with("pkcs11:")
    }

    /// Reads `pkcs11:token=…;object=…?module-path=…&pin-source=file:…`.
    pub fn parse(text: &str) -> Result<Self, Pkcs11Error> {
        let bad = |what: &str| Pkcs11Error::Uri(what.to_owned());
        let rest = text.trim().strip_prefix("pkcs11:").ok_or_else(|| bad("does not begin with pkcs11:"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let attributes = path.split(';').chain(query.split('&')).filter(|part| !part.is_empty());
        for attribute in attributes {
            let (name, value) = attribute.split_once('=').ok_or_else(|| bad("an attribute without ="))?;
            let value = unescape(value).ok_or_else(|| bad("a value that is not UTF-8"))?;
            match name {
                "token" => uri.token = Some(value),
                "serial" => uri.serial = Some(value),
                "object" => uri.object = value,
                "type" if value == "secret-key" => {}
                "module-path" => uri.module = Some(value.into()),
                "pin-source" => {
                    let path =
                        value.strip_prefix("file://").or(value.strip_prefix("file:")).unwrap_or(&value);
                    uri.pin_file = Some(path.into());
                }
                // Everybody on the machine could read it.
                "pin-value" => {
                    return Err(bad("pin-value stands in the process list; use pin-source=file:…"))
                }
                // What would choose another key must not be passed over.
                other => return Err(Pkcs11Error::Uri(format!("{other} has no meaning here"))),
            }
        }
        if uri.object.is_empty() {
            return Err(bad("object= names the keys"));
        }
        Ok(uri)
    }
}

fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, later)) = rest.split_first() {
        if byte == b'%' {
            let digits = later.get(..2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = &later[2..];
        } else {
            bytes.push(byte);
            rest = later;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Keys of a token.
pub struct Pkcs11Keys {
    session: Session,
    keys: [ObjectHandle; 3],
    length: KeyLength,
    diversification: Diversification,
    name: String,
    published: Cell<Option<bool>>,
}

impl Pkcs11Keys {
    /// Opens the token that `uri` names, by `module` where the URI names none, and finds the keys. `pin` is asked once.
    pub fn open(
        uri: &Pkcs11Uri,
        module: &Path,
        diversification: Diversification,
        pin: impl FnOnce() -> Option<Zeroizing<String>>,
    ) -> Result<Self, Pkcs11Error> {
        if !matches!(diversification, Diversification::None | Diversification::Kdf3) {
            return Err(Pkcs11Error::Diversification(diversification.name()));
        }
        let context = Pkcs11::new(uri.module.as_deref().unwrap_or(module))?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Two sources may share a module.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let mut fitting = Vec::new();
        let mut there = Vec::new();
        for slot in context.get_slots_with_initialized_token()? {
            let token = context.get_token_info(slot)?;
            let fits = |wanted: &Option<String>, found: &str| {
                wanted.as_deref().is_none_or(|wanted| wanted == found.trim_end())
            };
            if fits(&uri.token, token.label()) && fits(&uri.serial, token.serial_number()) {
                fitting.push((slot, token.login_required()));
            }
            there.push(token.label().trim_end().to_owned());
        }
        let [(slot, login)] = fitting[..] else {
            return Err(Pkcs11Error::Token { found: fitting.len(), there: there.join(", ") });
        };
        let session = context.open_ro_session(slot)?;
        if login {
            let pin = pin().ok_or(Pkcs11Error::PinNeeded)?;
            match session.login(UserType::User, Some(&AuthPin::from(pin.as_str().to_owned()))) {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                Err(error) => return Err(Pkcs11Error::Pin(error)),
            }
        }
        let keys = find(&session, &uri.object)?;
        let mut lengths = Vec::with_capacity(keys.len());
        for key in keys {
            lengths.push(length_of(&session, key)?);
        }
        let length = lengths[0];
        if lengths.iter().any(|other| *other != length) {
            return Err(KeyError::MixedLengths.into());
        }
        let name = uri.object.clone();
        Ok(Self { session, keys, length, diversification, name, published: Cell::new(None) })
    }

    fn key(&self, slot: Slot) -> ObjectHandle {
        self.keys[slot as usize - 1]
    }

    /// AES-CMAC in the token.
    fn cmac(&self, slot: Slot, parts: &[&[u8]]) -> Result<[u8; BLOCK], KeySourceError> {
        let input = Zeroizing::new(parts.concat());
        let tag =
            self.session.sign(&Mechanism::AesCMac, self.key(slot), &input).map_err(|error| device(&error))?;
        let tag = Zeroizing::new(tag);
        tag.as_slice()
            .try_into()
            .map_err(|_| KeySourceError::Device("an AES-CMAC that is no block".to_owned()))
    }

    fn derived(&self, slot: Slot, constant: Derivation, context: &[u8]) -> Result<AesKey, KeySourceError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let out = &mut bytes[..self.length.bytes()];
        derive_with(constant as u8, context, out, |parts| self.cmac(slot, parts))?;
        Ok(AesKey::new(out)?)
    }

    /// The card's keys, where the token's are masters.
    fn of_card(&self, set: &KeySet) -> Result<Option<SoftwareKeys>, KeySourceError> {
        if self.diversification == Diversification::None {
            return Ok(None);
        }
        let mut keys = Vec::with_capacity(SLOTS.len());
        for slot in SLOTS {
            let mut bytes = Zeroizing::new([0; 2 * BLOCK]);
            let out = &mut bytes[..self.length.bytes()];
            kdf3_with(slot as u8, &set.kdd, out, |parts| self.cmac(slot, parts))?;
            keys.push(AesKey::new(out)?);
        }
        let mut keys = keys.into_iter();
        let (Some(enc), Some(mac), Some(dek)) = (keys.next(), keys.next(), keys.next()) else {
            return Ok(None);
        };
        Ok(Some(SoftwareKeys::new(StaticKeys::new(enc, mac, dek)?)))
    }

    fn encipher(&self, slot: Slot, data: &[u8]) -> Result<Vec<u8>, KeySourceError> {
        if data.len() % BLOCK != 0 {
            return Err(KeyError::Blocks(data.len()).into());
        }
        self.session
            .encrypt(&Mechanism::AesCbc([0; BLOCK]), self.key(slot), data)
            .map_err(|error| device(&error))
    }

    fn own_check_values(&self) -> Result<[KeyCheckValue; 3], KeySourceError> {
        let mut values = [KeyCheckValue([0; 3]); 3];
        for (value, slot) in values.iter_mut().zip(SLOTS) {
            let block = self.encipher(slot, &[0x01; BLOCK])?;
            let three =
                block.first_chunk::<3>().ok_or_else(|| KeySourceError::Device("no block".to_owned()))?;
            *value = KeyCheckValue(*three);
        }
        Ok(values)
    }
}

/// `NAME-enc`, `NAME-mac`, `NAME-dek`, or `NAME` for all three.
fn find(session: &Session, name: &str) -> Result<[ObjectHandle; 3], Pkcs11Error> {
    if let Some(one) = labelled(session, name)? {
        return Ok([one; 3]);
    }
    let mut keys = Vec::with_capacity(SLOTS.len());
    for slot in ["enc", "mac", "dek"] {
        let label = format!("{name}-{slot}");
        let key = labelled(session, &label)?;
        keys.push(key.ok_or(Pkcs11Error::Key { label, found: 0 })?);
    }
    keys.try_into().map_err(|_| Pkcs11Error::Key { label: name.to_owned(), found: 0 })
}

fn labelled(session: &Session, label: &str) -> Result<Option<ObjectHandle>, Pkcs11Error> {
    let found = session.find_objects(&[
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(label.as_bytes().to_vec()),
    ])?;
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Pkcs11Error::Key { label: label.to_owned(), found: found.len() }),
    }
}

fn length_of(session: &Session, key: ObjectHandle) -> Result<KeyLength, Pkcs11Error> {
    let attributes = session.get_attributes(key, &[AttributeType::ValueLen])?;
    let length = attributes.iter().find_map(|a| match a {
        Attribute::ValueLen(length) => usize::try_from(**length).ok(),
        _ => None,
    });
    match length.unwrap_or(0) {
        16 => Ok(KeyLength::Aes128),
        24 => Ok(KeyLength::Aes192),
        32 => Ok(KeyLength::Aes256),
        other => Err(KeyError::Length(other).into()),
    }
}

fn device(error: &Error) -> KeySourceError {
    KeySourceError::Device(error.to_string())
}

impl KeySource for Pkcs11Keys {
    fn session_keys(
        &self,
        set: &KeySet,
        host: &Challenge,
        card: &Challenge,
    ) -> Result<SessionKeys, KeySourceError> {
        if let Some(keys) = self.of_card(set)? {
            return keys.session_keys(set, host, card);
        }
        let context = [host.as_bytes(), card.as_bytes()].concat();
        Ok(SessionKeys {
            enc: self.derived(Slot::Enc, Derivation::SEnc, &context)?,
            mac: self.derived(Slot::Mac, Derivation::SMac, &context)?,
            rmac: self.derived(Slot::Mac, Derivation::SRMac, &context)?,
        })
    }

    fn card_challenge(
        &self,
        set: &KeySet,
        counter: SequenceCounter,
        aid: &Aid,
        mode: SMode,
    ) -> Result<Challenge, KeySourceError> {
        if let Some(keys) = self.of_card(set)? {
            return keys.card_challenge(set, counter, aid, mode);
        }
        let context = [&counter.to_bytes()[..], aid.as_bytes()].concat();
        let mut bytes = [0; BLOCK];
        let out = &mut bytes[..mode.bytes()];
        derive_with(Derivation::CardChallenge as u8, &context, out, |parts| self.cmac(Slot::Enc, parts))?;
        Challenge::new(out).ok_or_else(|| KeySourceError::Device("no challenge".to_owned()))
    }

    fn check_values(&self, set: &KeySet) -> Result<[KeyCheckValue; 3], KeySourceError> {
        match self.of_card(set)? {
            Some(keys) => keys.check_values(set),
            None => self.own_check_values(),
        }
    }

    fn encrypt_dek(&self, set: &KeySet, data: &[u8]) -> Result<Vec<u8>, KeySourceError> {
        match self.of_card(set)? {
            Some(keys) => keys.encrypt_dek(set, data),
            None => self.encipher(Slot::Dek, data),
        }
    }

    fn key_length(&self, _set: &KeySet) -> Result<KeyLength, KeySourceError> {
        Ok(self.length)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("PKCS#11 {}", self.name).into()
    }

    /// By the check value of 40…4F: one key in sixteen million is taken for it, and refused.
    fn has_published_key(&self) -> bool {
        if let Some(known) = self.published.get() {
            return known;
        }
        let published = self.own_check_values().is_ok_and(|values| values.contains(&DEVELOPMENT_CHECK_VALUE));
        self.published.set(Some(published));
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_token_keys_module_and_pin_file() {
        let uri = Pkcs11Uri::parse(
            "pkcs11:token=JP%20KI;object=issuer;type=secret-key?module-path=/m.so&pin-source=file:/run/pin",
        )
        .unwrap();
        assert_eq!(uri.token.as_deref(), Some("JP KI"));
        assert_eq!((uri.object.as_str(), uri.module), ("issuer", Some(PathBuf::from("/m.so"))));
        assert_eq!(uri.pin_file, Some(PathBuf::from("/run/pin")));
        for text in [
            "pkcs11:",
            "pkcs11:token=x",
            "pkcs11:object=x?pin-value=1234",
            "pkcs11:object=x;id=%01",
            "pkcs11:object",
            "pkcs11:object=%F",
            "pkcs11:object=%FF",
            "object=x",
        ] {
            assert!(Pkcs11Uri::parse(text).is_err(), "{text}");
        }
        assert!(Pkcs11Uri::is_meant("pkcs11:object=x") && !Pkcs11Uri::is_meant("404142"));
    }
}
