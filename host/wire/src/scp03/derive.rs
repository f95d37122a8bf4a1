//! Data derivation (section 4.1.5), session keys, cryptograms, card challenge (sections 6.2.1 to 6.2.3).

use std::convert::Infallible;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::key::{AesKey, KeyLength};
use super::level::SMode;
use super::message::mac;
use super::BLOCK;
use crate::Aid;

/// Derivation constants (table 4-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Derivation {
    /// Card cryptogram.
    CardCryptogram = 0x00,
    /// Host cryptogram.
    HostCryptogram = 0x01,
    /// Pseudo-random card challenge.
    CardChallenge = 0x02,
    /// S-ENC.
    SEnc = 0x04,
    /// S-MAC.
    SMac = 0x06,
    /// S-RMAC.
    SRMac = 0x07,
}

/// Fills `out` (at most 32 bytes) by NIST SP 800-108 counter mode with AES-CMAC.
///
/// Block i: label (eleven 00, constant), separator 00, L in bits (2 bytes), i, context.
pub fn derive(key: &AesKey, constant: u8, context: &[u8], out: &mut [u8]) {
    let cipher = key.cipher();
    let done: Result<(), Infallible> = derive_with(constant, context, out, |parts| Ok(mac(&cipher, parts)));
    match done {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

/// As [`derive`], with the PRF wherever the key is: inside a token, for example. `prf` computes the AES-CMAC over the
/// parts, one after the other.
pub fn derive_with<E>(
    constant: u8,
    context: &[u8],
    out: &mut [u8],
    mut prf: impl FnMut(&[&[u8]]) -> Result<[u8; BLOCK], E>,
) -> Result<(), E> {
    // `out` never exceeds 32 bytes in any use of the specification.
    #[allow(clippy::cast_possible_truncation)]
    let bits = (out.len() * 8) as u16;
    let [hi, lo] = bits.to_be_bytes();
    let mut counter = 0u8;
    for chunk in out.chunks_mut(BLOCK) {
        counter = counter.wrapping_add(1);
        let head = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant, 0, hi, lo, counter];
        let block = Zeroizing::new(prf(&[&head, context])?);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}

/// 8 or 16 bytes whose length is the S mode.
#[derive(Clone, Copy)]
pub struct Challenge {
    bytes: [u8; 16],
    mode: SMode,
}

impl Challenge {
    /// Takes 8 or 16 bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mode = SMode::from_bytes(bytes.len())?;
        let mut padded = [0; 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        Some(Self { bytes: padded, mode })
    }

    /// Its S mode.
    pub const fn mode(&self) -> SMode {
        self.mode
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.mode.bytes()]
    }
}

impl PartialEq for Challenge {
    fn eq(&self, other: &Self) -> bool {
        self.mode == other.mode && self.bytes.ct_eq(&other.bytes).into()
    }
}

impl Eq for Challenge {}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

/// A card or host cryptogram; comparison takes the same time wherever it differs.
pub type Cryptogram = Challenge;

/// The three-byte sequence counter of pseudo-random mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SequenceCounter(u32);

impl SequenceCounter {
    /// Largest value; a key set that has reached it opens no more sessions.
    pub const MAX: u32 = 0x00FF_FFFF;

    /// From its bytes on the wire.
    pub fn from_bytes([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// The bytes on the wire.
    pub fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// The next value, or `None` when exhausted (INITIALIZE UPDATE answers 6985).
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self.0 < Self::MAX).then(|| Self(self.0 + 1))
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }
}

/// Pseudo-random card challenge (section 6.2.2.1): under Key-ENC, over the counter and the selected application's AID.
pub fn card_challenge(key_enc: &AesKey, counter: SequenceCounter, aid: &Aid, mode: SMode) -> Challenge {
    let mut context = Vec::with_capacity(3 + Aid::MAX);
    context.extend_from_slice(&counter.to_bytes());
    context.extend_from_slice(aid.as_bytes());
    let mut bytes = [0; 16];
    derive(key_enc, Derivation::CardChallenge as u8, &context, &mut bytes[..mode.bytes()]);
    Challenge { bytes, mode }
}

/// Card or host cryptogram (section 6.2.2.2, 6.2.2.3) under S-MAC. The host challenge's length gives the S mode.
pub fn cryptogram(s_mac: &AesKey, which: Derivation, host: &Challenge, card: &Challenge) -> Cryptogram {
    let context = [host.as_bytes(), card.as_bytes()].concat();
    let mut bytes = [0; 16];
    derive(s_mac, which as u8, &context, &mut bytes[..host.mode.bytes()]);
    Challenge { bytes, mode: host.mode }
}

/// S-ENC, S-MAC and S-RMAC of a session.
#[derive(Debug)]
pub struct SessionKeys {
    /// S-ENC.
    pub enc: AesKey,
    /// S-MAC.
    pub mac: AesKey,
    /// S-RMAC.
    pub rmac: AesKey,
}

impl SessionKeys {
    /// Derives the three keys (section 6.2.1) from Key-ENC and Key-MAC, which have one length.
    pub fn derive(key_enc: &AesKey, key_mac: &AesKey, host: &Challenge, card: &Challenge) -> Self {
        let context = [host.as_bytes(), card.as_bytes()].concat();
        let one = |base: &AesKey, constant: Derivation| {
            let mut bytes = Zeroizing::new([0u8; 32]);
            let length: KeyLength = base.length();
            derive(base, constant as u8, &context, &mut bytes[..length.bytes()]);
            AesKey::derived(&bytes, length)
        };
        Self {
            enc: one(key_enc, Derivation::SEnc),
            mac: one(key_mac, Derivation::SMac),
            rmac: one(key_mac, Derivation::SRMac),
        }
    }
}
