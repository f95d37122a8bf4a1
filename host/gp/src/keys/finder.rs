//! Which keys and which scheme fit a recorded handshake, found without any further exchange.
//!
//! A card cryptogram proves Key-MAC. Key-ENC shows only in a pseudo-random card challenge, Key-DEK nowhere.

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::scp03::{cryptogram, Challenge, Derivation, StaticKeys};
use jpkise_wire::Aid;

use super::{Diversification, KeySet, KeySource, KeySourceError, SoftwareKeys};
use crate::commands::initialize_update::InitializeUpdate;
use crate::scp03::{check_challenge, ChallengeCheck, ScpError};

/// A recorded INITIALIZE UPDATE with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    host: Challenge,
    answer: InitializeUpdate,
    aid: Option<Aid>,
}

impl Handshake {
    /// From command and answer as recorded; `aid` of the selected application, where it is known.
    pub fn parse(command: &[u8], answer: &[u8], aid: Option<Aid>) -> Result<Self, ScpError> {
        let command = CommandApdu::parse(command)?;
        let answer = ResponseApdu::parse(answer)?;
        let malformed = || ScpError::MalformedInitializeUpdate { length: answer.data.len() };
        let host = Challenge::new(command.data()).ok_or_else(malformed)?;
        let parsed = InitializeUpdate::parse(&answer.data)?;
        if parsed.card_challenge.mode() != host.mode() {
            return Err(malformed());
        }
        Ok(Self { host, answer: parsed, aid })
    }

    /// The key set the card answered for.
    pub fn set(&self) -> KeySet {
        KeySet { kvn: self.answer.key_information.kvn, kdd: self.answer.kdd }
    }

    /// Whether these keys give the card cryptogram, and if so what the card challenge says about Key-ENC.
    pub fn fits(&self, keys: &dyn KeySource) -> Result<Option<ChallengeCheck>, KeySourceError> {
        let set = self.set();
        let session = keys.session_keys(&set, &self.host, &self.answer.card_challenge)?;
        let expected =
            cryptogram(&session.mac, Derivation::CardCryptogram, &self.host, &self.answer.card_challenge);
        let fits = expected == self.answer.card_cryptogram;
        Ok(fits.then(|| check_challenge(keys, &set, &self.answer, self.aid.as_ref())))
    }

    /// The schemes by which these masters give the card cryptogram. A scheme the masters cannot be used in (triple DES
    /// with a long key) does not fit.
    pub fn find(&self, masters: &StaticKeys) -> Vec<(Diversification, ChallengeCheck)> {
        Diversification::ALL
            .into_iter()
            .filter_map(|scheme| {
                let keys = SoftwareKeys::diversified(masters.duplicate(), scheme);
                Some((scheme, self.fits(&keys).ok()??))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use jpkise_wire::scp03::{card_challenge, SMode, SequenceCounter, SessionKeys};

    use super::*;

    const KDD: [u8; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const ISD: Aid = Aid::literal([0xA0, 0, 0, 1, 0x51, 0, 0, 0]);

    /// A card's handshake with keys made from `masters` by `scheme`.
    fn handshake(masters: &StaticKeys, scheme: Diversification) -> Handshake {
        let keys = SoftwareKeys::diversified(masters.duplicate(), scheme);
        let keys = keys.export(&KeySet { kvn: 0x30, kdd: KDD }).unwrap();
        let host = Challenge::new(&[7; 8]).unwrap();
        let counter = SequenceCounter::from_bytes([0, 0, 9]);
        let card = card_challenge(&keys.enc, counter, &ISD, SMode::S8);
        let session = SessionKeys::derive(&keys.enc, &keys.mac, &host, &card);
        let proof = cryptogram(&session.mac, Derivation::CardCryptogram, &host, &card);
        let answer =
            [&KDD[..], &[0x30, 3, 0x70], card.as_bytes(), proof.as_bytes(), &[0, 0, 9, 0x90, 0]].concat();
        let command = [&[0x80, 0x50, 0, 0, 8][..], host.as_bytes(), &[0]].concat();
        Handshake::parse(&command, &answer, Some(ISD)).unwrap()
    }

    #[test]
    fn the_scheme_is_found_and_no_other() {
        let masters = StaticKeys::same(&[0x42; 16]).unwrap();
        for scheme in Diversification::ALL {
            assert_eq!(handshake(&masters, scheme).find(&masters), [(scheme, ChallengeCheck::Fits)]);
        }
        let others = StaticKeys::same(&[0x43; 16]).unwrap();
        assert!(handshake(&masters, Diversification::Kdf3).find(&others).is_empty());
    }

    #[test]
    fn a_wrong_key_enc_shows_in_the_challenge_only() {
        let masters = StaticKeys::same(&[0x42; 16]).unwrap();
        let recorded = handshake(&masters, Diversification::None);
        let mut half = masters.duplicate();
        half.enc = StaticKeys::same(&[0x43; 16]).unwrap().enc;
        assert_eq!(recorded.find(&half), [(Diversification::None, ChallengeCheck::Differs)]);
    }

    #[test]
    fn recordings_that_are_no_handshake_are_refused() {
        let command = [0x80, 0x50, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        for answer in [&[0x6A, 0x88][..], &[0x90, 0x00], &[0x90]] {
            assert!(Handshake::parse(&command, answer, None).is_err());
        }
        assert!(Handshake::parse(&[0x80], &[0x90, 0], None).is_err());
    }
}
