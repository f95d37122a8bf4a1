//! Key sets: put, prove, remove. A set is never removed before its successor has opened a channel.

use jpkise_card::{Card, Transport};
use jpkise_wire::scp03::{KeyCheckValue, KeyLength};
use jpkise_wire::Aid;

use super::open::{open_channel, open_channel_counted, ChannelOptions, LevelChoice};
use super::{demand, Exchange};
use crate::commands::delete as delete_command;
use crate::commands::put_key::{self as command, Destination, KeyBlock, PutKeyAnswer};
use crate::error::{GpError, Stage};
use crate::keys::{KeySet, KeySource, TryLedger};
use crate::random::SecureRandom;
use crate::scp03::{Authenticated, ScpError, Session, SessionInfo};

/// What PUT KEY did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutKeysReport {
    /// New key version.
    pub kvn: u8,
    /// Check values of the new keys.
    pub check_values: [KeyCheckValue; 3],
    /// Whether the card gave check values and they were compared.
    pub compared: bool,
    /// Length of the new keys.
    pub length: KeyLength,
    /// Whether the new keys are stronger than the Key-DEK that protected them on their way.
    pub weaker_dek: bool,
}

/// Puts a whole set from `new` and compares the card's check values. The set in use stays.
pub fn put_keys<T: Transport>(
    session: &mut Session<'_, T, Authenticated<'_>>,
    new: &dyn KeySource,
    to: Destination,
    form: KeyBlock,
) -> Result<PutKeysReport, GpError> {
    let set = KeySet { kvn: to.kvn(), kdd: session.info().set.kdd };
    let keys = new.export(&set)?;
    let command = command::put_keys(to, &keys, form, |plain| session.encrypt_dek(plain))?;
    let answer = demand(session, Stage::PutKey, session.aid().copied(), &command)?;
    let expected = new.check_values(&set)?;
    let compared = compare(to.kvn(), expected, &answer)?;
    Ok(PutKeysReport {
        kvn: to.kvn(),
        check_values: expected,
        compared,
        length: keys.length(),
        weaker_dek: session.key_length()? < keys.length(),
    })
}

/// Whether the card gave check values; those it gave must be ours.
fn compare(kvn: u8, expected: [KeyCheckValue; 3], answer: &[u8]) -> Result<bool, GpError> {
    let found =
        PutKeyAnswer::parse(answer).map_err(|error| GpError::Answer { stage: Stage::PutKey, error })?;
    if found.kvn == kvn && found.check_values.is_empty() {
        return Ok(false);
    }
    if found.kvn != kvn || found.check_values != expected {
        return Err(GpError::KeyCheck { kvn, expected, found: found.check_values });
    }
    Ok(true)
}

/// Deletes all keys of a version.
pub fn delete_key(channel: &mut impl Exchange, kvn: u8) -> Result<(), GpError> {
    demand(channel, Stage::DeleteKey, None, &delete_command::delete_key(None, Some(kvn))?)?;
    Ok(())
}

/// A change of keys.
pub struct RotateRequest<'a> {
    /// Domain, `None` for the issuer's.
    pub domain: Option<Aid>,
    /// Keys in use.
    pub old: &'a dyn KeySource,
    /// Their version, 00 for the default.
    pub old_kvn: u8,
    /// Keys to put.
    pub new: &'a dyn KeySource,
    /// Where they go.
    pub to: Destination,
    /// Layout of key blocks.
    pub form: KeyBlock,
    /// Level for both channels.
    pub level: LevelChoice,
    /// Version to delete once the new set is proven, when it was added beside it.
    pub remove: Option<u8>,
    /// Where failed authentications are counted, and the card's name there.
    pub counted: Option<(&'a TryLedger, &'a str)>,
}

/// What a change of keys did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateReport {
    /// What PUT KEY did.
    pub put: PutKeysReport,
    /// The channel opened with the new set.
    pub proven: SessionInfo,
    /// Version deleted.
    pub removed: Option<u8>,
}

/// PUT KEY in a channel with the old set, then a channel with the new one, then, if asked, DELETE of the old set in it.
pub fn rotate_keys<T: Transport>(
    card: &mut Card<T>,
    request: &RotateRequest<'_>,
    rng: &mut dyn SecureRandom,
) -> Result<RotateReport, GpError> {
    let options = ChannelOptions {
        aid: request.domain,
        kvn: request.old_kvn,
        level: request.level,
        ..ChannelOptions::default()
    };
    let mut session = open(card, request.old, &options, request.counted, rng)?;
    let put = put_keys(&mut session, request.new, request.to, request.form)?;
    drop(session);

    let options = ChannelOptions { kvn: put.kvn, ..options };
    let session = open(card, request.new, &options, request.counted, rng);
    let mut session = session.map_err(|error| match error {
        GpError::Channel(error) if !is_transport(&error) => {
            GpError::NewKeysUnproven { kvn: put.kvn, error: Box::new(error) }
        }
        other => other,
    })?;
    let proven = *session.info();
    if let Some(old) = request.remove {
        delete_key(&mut session, old)?;
    }
    Ok(RotateReport { put, proven, removed: request.remove })
}

fn open<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    keys: &'k dyn KeySource,
    options: &ChannelOptions,
    counted: Option<(&TryLedger, &str)>,
    rng: &mut dyn SecureRandom,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    match counted {
        None => open_channel(card, keys, options, rng),
        Some((ledger, name)) => open_channel_counted(card, keys, options, rng, ledger, name),
    }
}

fn is_transport(error: &ScpError) -> bool {
    matches!(error, ScpError::Card(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SoftwareKeys;

    #[test]
    fn check_values_must_be_ours_where_the_card_gives_them() {
        let keys = SoftwareKeys::same(&[7; 16]).unwrap();
        let expected = keys.check_values(&KeySet { kvn: 0x31, kdd: [0; 10] }).unwrap();
        let mut answer = vec![0x31];
        assert!(!compare(0x31, expected, &answer).unwrap());
        answer.extend(expected.iter().flat_map(|k| k.0));
        assert!(compare(0x31, expected, &answer).unwrap());
        assert!(matches!(compare(0x32, expected, &answer), Err(GpError::KeyCheck { .. })));
        answer[3] ^= 1;
        assert!(matches!(compare(0x31, expected, &answer), Err(GpError::KeyCheck { .. })));
        assert!(matches!(compare(0x31, expected, &answer[..4]), Err(GpError::KeyCheck { .. })));
        assert!(matches!(compare(0x31, expected, &[]), Err(GpError::Answer { .. })));
    }
}
