//! PUT KEY (section 11.8; Amendment D section 7.2).
//!
//! ```text
//! 80 D8 P1 P2  Lc  new KVN, then per key: component…, check value length, check value     Le 00
//!   P1 KVN to replace, 00 to add; P2 first key identifier, b8: several keys
//!   components  88 len [clear length] enciphered key | A1 len modulus, A0 len exponent | B0 len point, F0 01 curve
//!   extended    each type behind FF; behind the check value length and usage qualifier, length and access byte
//!   -> new KVN, check values       SW 6A80 data, 6A88 KVN in P1 unknown, 6982 check value wrong
//! ```
//! Keys for the functions this card lacks (tokens, DAP) can be kept, as public ones; DES keys cannot.

use std::collections::BTreeMap;

use jpkise_card::CommandApdu;
use jpkise_wire::lv::LvReader;
use jpkise_wire::scp03::{AesKey, BLOCK};
use jpkise_wire::{Aid, StatusWord};
use subtle::ConstantTimeEq;

use super::{success, Answer, Core, Fault};
use crate::faults;
use crate::registry::{life_cycle, Domain, Key, KeyData, KeyVersion, Qualifiers, Registry};
use crate::runtime::Channel;

/// Key types (table 11-16).
pub(super) mod key_type {
    pub const AES: u8 = 0x88;
    pub const RSA_EXPONENT: u8 = 0xA0;
    pub const RSA_MODULUS: u8 = 0xA1;
    pub const EC_POINT: u8 = 0xB0;
    pub const EC_CURVE: u8 = 0xF0;
    /// In front of a type: the extended format.
    pub const EXTENDED: u8 = 0xFF;
}

const P2_SEVERAL: u8 = 0x80;
/// Key version number of a factory key set, which the first regular one supersedes.
const KVN_FACTORY: u8 = 0xFF;
const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;
/// Bytes of an uncompressed point by curve reference (Amendment E table 4-1): P-256, P-384, P-521.
const POINTS: [usize; 3] = [65, 97, 133];
/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;
/// RSA moduli from 1024 to 4096 bits.
const MODULI: std::ops::RangeInclusive<usize> = 128..=512;

/// An AES key as it comes in, still enciphered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enciphered<'a> {
    pub clear_length: usize,
    pub block: &'a [u8],
}

impl<'a> Enciphered<'a> {
    /// Reads both forms of the AES block, told apart by its length modulo 16.
    fn read(block: &'a [u8]) -> Option<Self> {
        if block.len() % BLOCK == 0 {
            return Self::new(block.len(), block);
        }
        let (&clear_length, enciphered) = block.split_first()?;
        Self::new(usize::from(clear_length), enciphered)
    }

    pub fn new(clear_length: usize, block: &'a [u8]) -> Option<Self> {
        let fits =
            matches!(clear_length, 16 | 24 | 32) && block.len() == clear_length.next_multiple_of(BLOCK);
        fits.then_some(Self { clear_length, block })
    }
}

/// The components of a key.
enum Components<'a> {
    Aes(Enciphered<'a>),
    Public(KeyData),
}

/// One key field of the command.
struct KeyField<'a> {
    components: Components<'a>,
    check_value: &'a [u8],
    qualifiers: Qualifiers,
}

impl<'a> KeyField<'a> {
    fn read(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let extended = input.first() == Some(&key_type::EXTENDED);
        let mut rest = input;
        let mut component = |expected: Option<u8>| {
            if extended {
                rest = rest.strip_prefix(&[key_type::EXTENDED])?;
            }
            let (&key_type, behind) = rest.split_first()?;
            if expected.is_some_and(|expected| expected != key_type) {
                return None;
            }
            let value = string(behind)?;
            rest = &behind[value.1..];
            Some((key_type, value.0))
        };
        let components = match component(None)? {
            (key_type::AES, block) => Components::Aes(Enciphered::read(block)?),
            (key_type::RSA_MODULUS, modulus) => {
                let (_, exponent) = component(Some(key_type::RSA_EXPONENT))?;
                Components::Public(rsa_public(modulus, exponent)?)
            }
            (key_type::EC_POINT, point) => {
                let (_, curve) = component(Some(key_type::EC_CURVE))?;
                Components::Public(ec_public(point, curve)?)
            }
            _ => return None,
        };
        let mut tail = LvReader::new(rest);
        let check_value = tail.field().ok()?;
        // A check value is an enciphered block: a public key has none.
        let known = match components {
            Components::Aes(_) => matches!(check_value.len(), 0 | 3),
            Components::Public(_) => check_value.is_empty(),
        };
        let mut qualifiers = Qualifiers::default();
        if extended {
            qualifiers.usage = at_most_one(tail.field().ok()?)?;
            qualifiers.access = at_most_one(tail.field().ok()?)?;
        }
        known.then_some((Self { components, check_value, qualifiers }, tail.rest()))
    }
}

/// A length as in LV fields and what it measures, with the bytes both take.
fn string(input: &[u8]) -> Option<(&[u8], usize)> {
    let mut reader = LvReader::new(input);
    let value = reader.field().ok()?;
    Some((value, input.len() - reader.rest().len()))
}

/// `None` for more than one byte.
#[allow(clippy::option_option)]
fn at_most_one(bytes: &[u8]) -> Option<Option<u8>> {
    match *bytes {
        [] => Some(None),
        [byte] => Some(Some(byte)),
        _ => None,
    }
}

fn rsa_public(modulus: &[u8], exponent: &[u8]) -> Option<KeyData> {
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let fits = MODULI.contains(&modulus.len())
        && modulus.first().is_some_and(|first| first & 0x80 != 0)
        && is_odd(modulus)
        && is_odd(exponent)
        && exponent.len() <= modulus.len();
    fits.then(|| KeyData::RsaPublic { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
}

fn ec_public(point: &[u8], curve: &[u8]) -> Option<KeyData> {
    let &[curve] = curve else { return None };
    let length = POINTS.get(usize::from(curve))?;
    let fits = point.len() == *length && point.first() == Some(&UNCOMPRESSED);
    fits.then(|| KeyData::EcPublic { point: point.to_vec(), curve })
}

impl Core {
    pub(super) fn put_key(&mut self, channel: Channel, actor: Aid, command: &CommandApdu) -> Answer {
        let several = command.p2 & P2_SEVERAL != 0;
        let (&kvn, mut rest) = command.data().split_first().ok_or(WRONG_DATA)?;
        if !matches!(kvn, 0x01..=0x7F) {
            return Err(WRONG_DATA.into());
        }
        let mut keys = BTreeMap::new();
        let mut answer = vec![kvn];
        let mut identifier = command.p2 & !P2_SEVERAL;
        while !rest.is_empty() {
            let (field, after) = KeyField::read(rest).ok_or(WRONG_DATA)?;
            rest = after;
            let data = match field.components {
                Components::Public(data) => data,
                Components::Aes(enciphered) => {
                    let key = self.decipher(channel, enciphered, field.check_value)?;
                    let [first, rest @ ..] = key.check_value().0;
                    let wrong = self.has_fault(faults::Fault::KeyCheckValueWrong);
                    answer.push(first ^ u8::from(wrong));
                    answer.extend_from_slice(&rest);
                    KeyData::Aes(key)
                }
            };
            keys.insert(identifier, Key { data, qualifiers: field.qualifiers });
            identifier = identifier.checked_add(1).filter(|id| *id <= 0x7F).ok_or(WRONG_DATA)?;
        }
        if keys.is_empty() || !several && keys.len() > 1 {
            return Err(WRONG_DATA.into());
        }
        let ignored = self.has_fault(faults::Fault::PutKeyIgnored);
        self.store_keys(&actor, |domain| {
            if ignored {
                Ok(())
            } else if command.p1 == 0 {
                add(domain, kvn, &keys)
            } else {
                replace(domain, command.p1, kvn, &keys)
            }
        })?;
        success(answer)
    }

    /// The key in clear, its check value compared where there is one.
    pub(super) fn decipher(
        &self,
        channel: Channel,
        enciphered: Enciphered<'_>,
        check_value: &[u8],
    ) -> Result<AesKey, StatusWord> {
        let plain = self.channel(channel).secure.decrypt_data(enciphered.block);
        let plain = plain.ok_or(StatusWord::SECURITY_NOT_SATISFIED)?;
        let key = AesKey::new(&plain[..enciphered.clear_length]).map_err(|_| WRONG_DATA)?;
        let right = check_value.is_empty()
            || self.has_fault(faults::Fault::KeyCheckValueUnchecked)
            || bool::from(key.check_value().0.ct_eq(check_value));
        if right {
            Ok(key)
        } else {
            Err(StatusWord::SECURITY_NOT_SATISFIED)
        }
    }

    /// Changes the keys of a domain, all or none.
    pub(super) fn store_keys(
        &mut self,
        actor: &Aid,
        change: impl FnOnce(&mut Domain) -> Result<(), StatusWord>,
    ) -> Result<(), Fault> {
        self.change(|next| change_keys(next, actor, change))?;
        self.forget_initializations(actor);
        Ok(())
    }

    /// Keys of a domain have changed: a session under way keeps its own, one that INITIALIZE UPDATE has only prepared
    /// must not be opened with keys that are no longer there.
    pub(super) fn forget_initializations(&mut self, owner: &Aid) {
        for channel in (0..=u8::MAX).map_while(Channel::new) {
            let state = self.channel_mut(channel);
            if state.key_set.is_some_and(|key_set| key_set.owner == *owner) {
                state.secure.forget_initialization();
            }
        }
    }
}

/// Changes the keys of a domain in a registry.
pub(super) fn change_keys(
    registry: &mut Registry,
    actor: &Aid,
    change: impl FnOnce(&mut Domain) -> Result<(), StatusWord>,
) -> Result<(), StatusWord> {
    let application = registry.application_mut(actor).ok_or(WRONG_DATA)?;
    let domain = application.as_domain_mut().ok_or(WRONG_DATA)?;
    change(domain)?;
    let complete = domain.key_set(0).is_some();
    // The first complete key set makes a domain PERSONALIZED; the issuer's life cycle is the card's.
    if complete && application.origin.is_some() && application.life_cycle == life_cycle::SELECTABLE {
        application.life_cycle = life_cycle::PERSONALIZED;
    }
    Ok(())
}

/// Adds keys under a version number that may have others already.
fn add(domain: &mut Domain, kvn: u8, keys: &BTreeMap<u8, Key>) -> Result<(), StatusWord> {
    let version = version_or_new(domain, kvn)?;
    for (identifier, key) in keys {
        if version.keys.insert(*identifier, key.clone()).is_some() {
            return Err(WRONG_DATA);
        }
    }
    supersede_factory_keys(domain, kvn);
    Ok(())
}

/// Puts keys in place of those of version `replaced`.
fn replace(domain: &mut Domain, replaced: u8, kvn: u8, keys: &BTreeMap<u8, Key>) -> Result<(), StatusWord> {
    if kvn != replaced && domain.version_mut(kvn).is_some() {
        return Err(WRONG_DATA);
    }
    let version = domain.version_mut(replaced).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
    for (identifier, key) in keys {
        let old = version.keys.get(identifier).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
        if !old.data.is_alike(&key.data) {
            return Err(WRONG_DATA);
        }
    }
    // A new number for some of a version's keys would tear the set apart.
    if kvn != replaced && version.keys.len() != keys.len() {
        return Err(WRONG_DATA);
    }
    version.keys.extend(keys.iter().map(|(identifier, key)| (*identifier, key.clone())));
    // Counter and tries belong to the keys (Amendment D section 6.2.2.1).
    *version = KeyVersion::with(kvn, std::mem::take(&mut version.keys));
    Ok(())
}

/// Adds keys or puts them in place of those with their version number and identifier, as STORE DATA does.
pub(super) fn add_or_replace(
    domain: &mut Domain,
    kvn: u8,
    identifier: u8,
    key: Key,
) -> Result<(), StatusWord> {
    let version = version_or_new(domain, kvn)?;
    let old = version.keys.get(&identifier);
    if old.is_some_and(|old| !old.data.is_alike(&key.data)) {
        return Err(WRONG_DATA);
    }
    let replaces = old.is_some();
    version.keys.insert(identifier, key);
    if replaces {
        *version = KeyVersion::with(kvn, std::mem::take(&mut version.keys));
    }
    supersede_factory_keys(domain, kvn);
    Ok(())
}

fn version_or_new(domain: &mut Domain, kvn: u8) -> Result<&mut KeyVersion, StatusWord> {
    if domain.version_mut(kvn).is_none() {
        domain.key_versions.push(KeyVersion::with(kvn, BTreeMap::new()));
    }
    domain.version_mut(kvn).ok_or(WRONG_DATA)
}

fn supersede_factory_keys(domain: &mut Domain, kvn: u8) {
    if domain.key_set(kvn).is_some() {
        domain.key_versions.retain(|version| version.kvn != KVN_FACTORY);
    }
}
