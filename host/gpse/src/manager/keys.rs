//! PUT KEY (section 11.8; Amendment D section 7.2).
//!
//! ```text
//! 80 D8 P1 P2  Lc  new KVN, then per key: 88, len, [clear length,] enciphered key, 03, check value   Le 00
//!   P1 KVN to replace, 00 to add; P2 first key identifier, b8: several keys
//!   -> new KVN, check values       SW 6A80 data, 6A88 KVN in P1 unknown, 6982 check value wrong
//! ```

use std::collections::BTreeMap;

use jpkise_card::CommandApdu;
use jpkise_wire::scp03::{AesKey, BLOCK};
use jpkise_wire::{Aid, StatusWord};
use subtle::ConstantTimeEq;

use super::get_data::KEY_TYPE_AES;
use super::{success, Answer, Core, Fault};
use crate::registry::{life_cycle, Domain, KeyVersion};
use crate::runtime::Channel;

const P2_SEVERAL: u8 = 0x80;
/// Key version number of a factory key set, which the first regular one supersedes.
const KVN_FACTORY: u8 = 0xFF;
const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;

/// One key field of the command, still enciphered.
struct KeyField<'a> {
    clear_length: usize,
    enciphered: &'a [u8],
    check_value: &'a [u8],
}

impl<'a> KeyField<'a> {
    /// Reads one field; both forms of the AES block, told apart by its length modulo 16.
    fn read(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[key_type, block_length], rest) = input.split_first_chunk::<2>()?;
        if key_type != KEY_TYPE_AES || block_length > 0x7F {
            return None;
        }
        let (block, rest) = rest.split_at_checked(usize::from(block_length))?;
        let (clear_length, enciphered) = if block.len() % BLOCK == 0 {
            (block.len(), block)
        } else {
            let (&clear_length, enciphered) = block.split_first()?;
            (usize::from(clear_length), enciphered)
        };
        if !matches!(clear_length, 16 | 24 | 32) || enciphered.len() != clear_length.next_multiple_of(BLOCK) {
            return None;
        }
        let (&check_length, rest) = rest.split_first()?;
        if !matches!(check_length, 0 | 3) {
            return None;
        }
        let (check_value, rest) = rest.split_at_checked(usize::from(check_length))?;
        Some((Self { clear_length, enciphered, check_value }, rest))
    }
}

impl Core {
    pub(super) fn put_key(&mut self, channel: Channel, actor: Aid, command: &CommandApdu) -> Answer {
        let several = command.p2 & P2_SEVERAL != 0;
        let first_identifier = command.p2 & !P2_SEVERAL;
        let (&kvn, mut rest) = command.data().split_first().ok_or(WRONG_DATA)?;
        if !matches!(kvn, 0x01..=0x7F) {
            return Err(WRONG_DATA.into());
        }
        let mut keys = BTreeMap::new();
        let mut answer = vec![kvn];
        let mut identifier = first_identifier;
        while !rest.is_empty() {
            let (field, after) = KeyField::read(rest).ok_or(WRONG_DATA)?;
            rest = after;
            let key = self.decipher(channel, &field)?;
            answer.extend_from_slice(&key.check_value().0);
            keys.insert(identifier, key);
            identifier = identifier.checked_add(1).filter(|id| *id <= 0x7F).ok_or(WRONG_DATA)?;
        }
        if keys.is_empty() || !several && keys.len() > 1 {
            return Err(WRONG_DATA.into());
        }
        self.store_keys(&actor, command.p1, kvn, &keys)?;
        success(answer)
    }

    /// The key in clear, its check value compared.
    fn decipher(&self, channel: Channel, field: &KeyField<'_>) -> Result<AesKey, StatusWord> {
        let plain = self.channel(channel).secure.decrypt_data(field.enciphered);
        let plain = plain.ok_or(StatusWord::SECURITY_NOT_SATISFIED)?;
        let key = AesKey::new(&plain[..field.clear_length]).map_err(|_| WRONG_DATA)?;
        let right = field.check_value.is_empty() || bool::from(key.check_value().0.ct_eq(field.check_value));
        if right {
            Ok(key)
        } else {
            Err(StatusWord::SECURITY_NOT_SATISFIED)
        }
    }

    /// Adds keys under a new version number (`replaced` 00), or puts them in place of those of version `replaced`.
    pub(super) fn store_keys(
        &mut self,
        actor: &Aid,
        replaced: u8,
        kvn: u8,
        keys: &BTreeMap<u8, AesKey>,
    ) -> Result<(), Fault> {
        self.change(|next| {
            let application = next.application_mut(actor).ok_or(WRONG_DATA)?;
            let domain = application.as_domain_mut().ok_or(WRONG_DATA)?;
            if replaced == 0 {
                add(domain, kvn, keys)?;
            } else {
                replace(domain, replaced, kvn, keys)?;
            }
            let complete = domain.key_set(0).is_some();
            // The first complete key set makes a domain PERSONALIZED; the issuer's life cycle is the card's.
            if complete && application.origin.is_some() && application.life_cycle == life_cycle::SELECTABLE {
                application.life_cycle = life_cycle::PERSONALIZED;
            }
            Ok(())
        })?;
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

fn add(domain: &mut Domain, kvn: u8, keys: &BTreeMap<u8, AesKey>) -> Result<(), StatusWord> {
    if domain.version_mut(kvn).is_none() {
        domain.key_versions.push(KeyVersion::new(kvn, BTreeMap::new()));
    }
    let version = domain.version_mut(kvn).ok_or(WRONG_DATA)?;
    for (identifier, key) in keys {
        if version.keys.insert(*identifier, key.duplicate()).is_some() {
            return Err(WRONG_DATA);
        }
    }
    if version.scp03_set().is_some() {
        domain.key_versions.retain(|version| version.kvn != KVN_FACTORY);
    }
    Ok(())
}

fn replace(
    domain: &mut Domain,
    replaced: u8,
    kvn: u8,
    keys: &BTreeMap<u8, AesKey>,
) -> Result<(), StatusWord> {
    if kvn != replaced && domain.version_mut(kvn).is_some() {
        return Err(WRONG_DATA);
    }
    let version = domain.version_mut(replaced).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
    for (identifier, key) in keys {
        let old = version.keys.get(identifier).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
        if old.length() != key.length() {
            return Err(WRONG_DATA);
        }
    }
    // A new number for some of a version's keys would tear the set apart.
    if kvn != replaced && version.keys.len() != keys.len() {
        return Err(WRONG_DATA);
    }
    version.keys.extend(keys.iter().map(|(identifier, key)| (*identifier, key.duplicate())));
    // Counter and tries belong to the keys (Amendment D section 6.2.2.1).
    *version = KeyVersion::new(kvn, std::mem::take(&mut version.keys));
    Ok(())
}
