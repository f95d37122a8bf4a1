//! Card keys from a master key and the card's ten bytes of key diversification data.
//!
//! None of these schemes is part of SCP03; which one a card uses is its issuer's secret or habit. KDF3 is the public one
//! met on SCP03 cards, the others come from SCP01/02 cards.

use des::cipher::{BlockEncrypt, KeyInit};
use des::TdesEde2;
use zeroize::Zeroizing;

use super::{AesKey, KeyError, MacKey, StaticKeys, BLOCK, KDD_LENGTH};

/// A scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Diversification {
    /// The keys are the card's own.
    #[default]
    None,
    /// AES-CMAC in counter mode with the counter first (NIST SP 800-108): i | 00 00 00 n 00 | d0…d9.
    Kdf3,
    /// EMV CPS 1.1: two-key triple DES over d4…d9 F0 n | d4…d9 0F n.
    Emv,
    /// VISA2: two-key triple DES over d0 d1 d4…d7 F0 n | d0 d1 d4…d7 0F n.
    Visa2,
    /// VISA: two-key triple DES over d0…d3 d8 d9 F0 n | d0…d3 d8 d9 0F n.
    Visa,
}

impl Diversification {
    /// All schemes.
    pub const ALL: [Self; 5] = [Self::None, Self::Kdf3, Self::Emv, Self::Visa2, Self::Visa];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kdf3 => "kdf3",
            Self::Emv => "emv",
            Self::Visa2 => "visa2",
            Self::Visa => "visa",
        }
    }

    /// The scheme of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name().eq_ignore_ascii_case(name))
    }
}

/// Number of a key in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// Key-ENC.
    Enc = 1,
    /// Key-MAC.
    Mac = 2,
    /// Key-DEK.
    Dek = 3,
}

/// The three slots in order.
pub const SLOTS: [Slot; 3] = [Slot::Enc, Slot::Mac, Slot::Dek];

/// The card's key for `slot`. The triple DES schemes need a master of 16 bytes and give 16.
pub fn diversify(
    scheme: Diversification,
    master: &AesKey,
    slot: Slot,
    kdd: &[u8; KDD_LENGTH],
) -> Result<AesKey, KeyError> {
    let n = slot as u8;
    let d = kdd;
    match scheme {
        Diversification::None => Ok(master.duplicate()),
        Diversification::Kdf3 => kdf3(master, n, kdd),
        Diversification::Emv => triple_des(master, n, [d[4], d[5], d[6], d[7], d[8], d[9]]),
        Diversification::Visa2 => triple_des(master, n, [d[0], d[1], d[4], d[5], d[6], d[7]]),
        Diversification::Visa => triple_des(master, n, [d[0], d[1], d[2], d[3], d[8], d[9]]),
    }
}

/// A whole set from a set of masters.
pub fn diversify_set(
    scheme: Diversification,
    masters: &StaticKeys,
    kdd: &[u8; KDD_LENGTH],
) -> Result<StaticKeys, KeyError> {
    StaticKeys::new(
        diversify(scheme, &masters.enc, Slot::Enc, kdd)?,
        diversify(scheme, &masters.mac, Slot::Mac, kdd)?,
        diversify(scheme, &masters.dek, Slot::Dek, kdd)?,
    )
}

fn kdf3(master: &AesKey, n: u8, kdd: &[u8; KDD_LENGTH]) -> Result<AesKey, KeyError> {
    let prf = MacKey::new(master.cipher());
    let mut out = Zeroizing::new([0; 2 * BLOCK]);
    let out = &mut out[..master.length().bytes()];
    kdf3_with(n, kdd, out, |parts| Ok::<_, KeyError>(prf.mac(parts)))?;
    AesKey::new(out)
}

/// KDF3 of key number `n` into `out`, with the PRF wherever the master is: inside a token, for example. `prf` computes the
/// AES-CMAC over the parts, one after the other.
pub fn kdf3_with<E>(
    n: u8,
    kdd: &[u8; KDD_LENGTH],
    out: &mut [u8],
    mut prf: impl FnMut(&[&[u8]]) -> Result<[u8; BLOCK], E>,
) -> Result<(), E> {
    for (chunk, counter) in out.chunks_mut(BLOCK).zip(1u8..) {
        let block = Zeroizing::new(prf(&[&[counter, 0, 0, 0, n, 0], kdd])?);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}

fn triple_des(master: &AesKey, n: u8, d: [u8; 6]) -> Result<AesKey, KeyError> {
    let key = master.expose();
    let cipher = TdesEde2::new_from_slice(key).map_err(|_| KeyError::Length(key.len()))?;
    let mut out = Zeroizing::new([0; 16]);
    for (half, marker) in out.chunks_exact_mut(8).zip([0xF0, 0x0F]) {
        half[..6].copy_from_slice(&d);
        half[6] = marker;
        half[7] = n;
        cipher.encrypt_block(half.into());
    }
    AesKey::new(out.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KDD: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn each_scheme_gives_other_keys_for_each_slot_and_card() {
        let master = AesKey::new(&[0x42; 16]).unwrap();
        let mut other = KDD;
        other[4] ^= 1;
        other[0] ^= 1;
        let mut seen = Vec::new();
        for scheme in &Diversification::ALL[1..] {
            for slot in SLOTS {
                for kdd in [&KDD, &other] {
                    seen.push(diversify(*scheme, &master, slot, kdd).unwrap().check_value().0);
                }
            }
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn triple_des_schemes_refuse_masters_that_are_not_two_des_keys() {
        let master = AesKey::new(&[0x42; 24]).unwrap();
        for scheme in [Diversification::Emv, Diversification::Visa, Diversification::Visa2] {
            assert!(diversify(scheme, &master, Slot::Enc, &KDD).is_err());
        }
        assert_eq!(diversify(Diversification::Kdf3, &master, Slot::Enc, &KDD).unwrap().expose().len(), 24);
    }

    #[test]
    fn schemes_are_found_by_name() {
        for scheme in Diversification::ALL {
            assert_eq!(Diversification::named(scheme.name()), Some(scheme));
        }
        assert_eq!(Diversification::named("KDF3"), Some(Diversification::Kdf3));
        assert_eq!(Diversification::named("secret"), None);
    }
}
