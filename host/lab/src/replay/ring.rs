//! Keys for a recording: whichever of those given fits each recorded handshake, and keys that the recording itself puts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jpkise_card::CommandApdu;
use jpkise_gp::commands::put_key::{INS_PUT_KEY, TYPE_AES};
use jpkise_gp::keys::{Handshake, KeySet, KeySource, KeySourceError, SoftwareKeys};
use jpkise_wire::lv::LvReader;
use jpkise_wire::scp03::{
    dek_decrypt, AesKey, Challenge, KeyCheckValue, KeyLength, SMode, SequenceCounter, SessionKeys, StaticKeys,
};
use jpkise_wire::Aid;

/// Several key sources, asked as one: for a recorded handshake the one whose card cryptogram is right.
pub struct Ring {
    sources: Vec<Rc<dyn KeySource>>,
    /// Which source fits a handshake, by its challenges.
    fitting: RefCell<BTreeMap<Vec<u8>, usize>>,
}

impl Ring {
    /// Around these, the likeliest first.
    pub fn new(sources: Vec<Rc<dyn KeySource>>) -> Self {
        Self { sources, fitting: RefCell::default() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Notes which source fits a recorded handshake.
    pub fn see(&self, command: &[u8], answer: &[u8]) {
        let Ok(handshake) = Handshake::parse(command, answer, None) else { return };
        let fits = |keys: &Rc<dyn KeySource>| matches!(handshake.fits(keys.as_ref()), Ok(Some(_)));
        if let Some(index) = self.sources.iter().position(fits) {
            let (host, card) = (command.get(5..).unwrap_or_default(), answer);
            self.fitting.borrow_mut().insert(name(host, card), index);
        }
    }

    /// The source that fits a handshake that is under way now. Nothing is sent to find it.
    pub fn fitting(&self, command: &[u8], answer: &[u8]) -> Option<Rc<dyn KeySource>> {
        let handshake = Handshake::parse(command, answer, None).ok()?;
        let fits = |keys: &&Rc<dyn KeySource>| matches!(handshake.fits(keys.as_ref()), Ok(Some(_)));
        self.sources.iter().find(fits).cloned()
    }

    /// Takes the keys of a recorded PUT KEY, where the Key-DEK of the set in use is at hand; whether they are new.
    pub fn learn(&mut self, command: &CommandApdu, set: &KeySet) -> bool {
        if command.ins != INS_PUT_KEY {
            return false;
        }
        let known = |keys: &SoftwareKeys, sources: &[Rc<dyn KeySource>]| {
            let values = keys.check_values(set).ok();
            sources.iter().any(|source| source.check_values(set).ok() == values)
        };
        let mut exports = self.sources.iter().filter_map(|source| source.export(set).ok());
        let found = exports.find_map(|keys| put_keys(command.data(), &keys.dek));
        match found {
            Some(keys) if !known(&keys, &self.sources) => {
                self.sources.push(Rc::new(keys));
                true
            }
            _ => false,
        }
    }
}

/// The three AES keys of a PUT KEY (Amendment D 1.1.2 section 7.2); `None` for other contents or another Key-DEK, which
/// the check values show.
fn put_keys(data: &[u8], dek: &AesKey) -> Option<SoftwareKeys> {
    let (_, mut rest) = data.split_first()?;
    let mut keys = Vec::new();
    while let Some((TYPE_AES, block)) = rest.split_first().map(|(kind, block)| (*kind, block)) {
        let mut fields = LvReader::new(block);
        let (block, check) = (fields.field().ok()?, fields.field().ok()?);
        // With the clear key's length in front, or bare.
        let (length, enciphered) = match block.split_first() {
            Some((length, enciphered)) if block.len() % 16 == 1 => (usize::from(*length), enciphered),
            _ => (block.len(), block),
        };
        let clear = dek_decrypt(dek, enciphered).ok()?;
        let key = AesKey::new(clear.get(..length)?).ok()?;
        if key.check_value().0.as_slice() != check {
            return None;
        }
        keys.push(key);
        rest = fields.rest();
    }
    let [enc, mac, dek] = <[AesKey; 3]>::try_from(keys).ok()?;
    StaticKeys::new(enc, mac, dek).ok().map(SoftwareKeys::new)
}

/// Challenges as they go over the wire; the card's lies behind thirteen bytes.
fn name(host: &[u8], answer: &[u8]) -> Vec<u8> {
    let size = if answer.len() > 40 { SMode::S16.bytes() } else { SMode::S8.bytes() };
    [host.get(..size).unwrap_or_default(), answer.get(13..13 + size).unwrap_or_default()].concat()
}

impl KeySource for Ring {
    fn session_keys(
        &self,
        set: &KeySet,
        host: &Challenge,
        card: &Challenge,
    ) -> Result<SessionKeys, KeySourceError> {
        let index = self.fitting.borrow().get(&[host.as_bytes(), card.as_bytes()].concat()).copied();
        let source = self.sources.get(index.unwrap_or(0)).ok_or(KeySourceError::NoSuchSet(set.kvn))?;
        source.session_keys(set, host, card)
    }

    fn card_challenge(
        &self,
        set: &KeySet,
        counter: SequenceCounter,
        aid: &Aid,
        mode: SMode,
    ) -> Result<Challenge, KeySourceError> {
        let first = self.sources.first().ok_or(KeySourceError::NoSuchSet(set.kvn))?;
        first.card_challenge(set, counter, aid, mode)
    }

    fn check_values(&self, set: &KeySet) -> Result<[KeyCheckValue; 3], KeySourceError> {
        self.sources.first().ok_or(KeySourceError::NoSuchSet(set.kvn))?.check_values(set)
    }

    fn encrypt_dek(&self, set: &KeySet, data: &[u8]) -> Result<Vec<u8>, KeySourceError> {
        self.sources.first().ok_or(KeySourceError::NoSuchSet(set.kvn))?.encrypt_dek(set, data)
    }

    fn key_length(&self, set: &KeySet) -> Result<KeyLength, KeySourceError> {
        self.sources.first().ok_or(KeySourceError::NoSuchSet(set.kvn))?.key_length(set)
    }

    fn describe(&self) -> std::borrow::Cow<'_, str> {
        "several".into()
    }
}
