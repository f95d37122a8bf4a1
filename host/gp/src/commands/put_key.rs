//! PUT KEY (section 11.8; AES keys: Amendment D 1.1.2 section 7.2), and the same keys by STORE DATA.
//!
//! ```text
//! 80 D8 P1 P2 | new version, then per key: type, block, check value | 00
//! P1 version being replaced, 00 add; P2 first identifier, b8 several keys
//! AES: 88 | 11 | 10 | enciphered key | 03 | check value          9000 with version and check values,
//! EC:  B0 | point | F0 | 01 | curve | 00                         6A80, 6A84, 6A88, 6982 check value wrong (old: 9485)
//! RSA: A1 | modulus | A0 | exponent | 00
//! ```

use jpkise_card::{CommandApdu, SecretKind};
use jpkise_wire::scp03::{AesKey, KeyCheckValue, KeyLength, StaticKeys, BLOCK};
use jpkise_wire::{lv, tlv};
use zeroize::Zeroizing;

use super::store_data::Grouping;
use super::{AnswerError, BuildError, CLA_GP};

/// PUT KEY.
pub const INS_PUT_KEY: u8 = 0xD8;
/// P2: several keys in one command.
pub const P2_SEVERAL: u8 = 0x80;
/// Identifier of Key-ENC; Key-MAC and Key-DEK follow.
pub const KID_ENC: u8 = 0x01;
/// AES key (table 11-16).
pub const TYPE_AES: u8 = 0x88;
/// Elliptic curve public key.
pub const TYPE_EC_PUBLIC: u8 = 0xB0;
/// Elliptic curve parameters by reference.
pub const TYPE_EC_PARAMETERS: u8 = 0xF0;
/// RSA public key, modulus.
pub const TYPE_RSA_MODULUS: u8 = 0xA1;
/// RSA public key, exponent.
pub const TYPE_RSA_EXPONENT: u8 = 0xA0;
/// DGI of key descriptions (section 11.11.2.3.3).
pub const DGI_KEY_DESCRIPTIONS: u16 = 0x00B9;
/// DGI of one enciphered key.
pub const DGI_KEY: u16 = 0x8113;

/// Layout of an AES key block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyBlock {
    /// With the clear key's length in front: `88 11 10 …` (Amendment D).
    #[default]
    WithLength,
    /// The enciphered key alone: `88 10 …`, possible for whole blocks (Card Specification 2.3.1). AES-192 gets a length
    /// all the same.
    Bare,
}

/// Where new keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    kvn: u8,
    replacing: u8,
}

impl Destination {
    /// A new set under version `kvn`, 01 to 7F.
    pub fn add(kvn: u8) -> Result<Self, BuildError> {
        Ok(Self { kvn: checked(kvn)?, replacing: 0 })
    }

    /// Version `kvn` in place of version `old`; both may be the same.
    pub fn replace(old: u8, kvn: u8) -> Result<Self, BuildError> {
        Ok(Self { kvn: checked(kvn)?, replacing: checked(old)? })
    }

    /// The new version.
    pub const fn kvn(self) -> u8 {
        self.kvn
    }
}

fn checked(kvn: u8) -> Result<u8, BuildError> {
    if (0x01..=0x7F).contains(&kvn) {
        Ok(kvn)
    } else {
        Err(BuildError::KeyVersion(kvn))
    }
}

/// A whole set, identifiers 01 to 03. `encrypt` enciphers whole blocks under the Key-DEK in use.
pub fn put_keys<E>(
    to: Destination,
    keys: &StaticKeys,
    form: KeyBlock,
    mut encrypt: impl FnMut(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<CommandApdu, E> {
    let mut data = vec![to.kvn];
    for key in [&keys.enc, &keys.mac, &keys.dek] {
        write_aes(&mut data, key, form, &mut encrypt)?;
    }
    Ok(command(to, KID_ENC | P2_SEVERAL, data))
}

/// A public key for tokens or DAP: an uncompressed point on the curve of that reference (00 is P-256).
pub fn put_ec_public_key(to: Destination, identifier: u8, point: &[u8], curve: u8) -> CommandApdu {
    let mut data = vec![to.kvn, TYPE_EC_PUBLIC];
    lv::write(&mut data, point);
    data.extend_from_slice(&[TYPE_EC_PARAMETERS, 1, curve, 0]);
    CommandApdu::new(CLA_GP, INS_PUT_KEY, to.replacing, identifier & !P2_SEVERAL)
        .with_data(data)
        .expecting_all()
}

/// A public key for tokens or DAP: RSA modulus and exponent.
pub fn put_rsa_public_key(to: Destination, identifier: u8, modulus: &[u8], exponent: &[u8]) -> CommandApdu {
    let mut data = vec![to.kvn, TYPE_RSA_MODULUS];
    lv::write(&mut data, modulus);
    data.push(TYPE_RSA_EXPONENT);
    lv::write(&mut data, exponent);
    data.push(0);
    CommandApdu::new(CLA_GP, INS_PUT_KEY, to.replacing, identifier & !P2_SEVERAL)
        .with_data(data)
        .expecting_all()
}

fn command(to: Destination, p2: u8, data: Vec<u8>) -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_PUT_KEY, to.replacing, p2)
        .with_data(data)
        .expecting_all()
        .hiding(SecretKind::Key)
}

/// The key filled up to whole blocks; the card knows the true length, the filling is arbitrary.
fn whole_blocks(key: &AesKey) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(2 * BLOCK));
    plain.extend_from_slice(key.expose());
    plain.resize(key.expose().len().div_ceil(BLOCK) * BLOCK, 0);
    plain
}

fn write_aes<E>(
    data: &mut Vec<u8>,
    key: &AesKey,
    form: KeyBlock,
    encrypt: &mut impl FnMut(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let enciphered = encrypt(&whole_blocks(key))?;
    let mut block = Vec::with_capacity(1 + enciphered.len());
    if form == KeyBlock::WithLength || key.length() == KeyLength::Aes192 {
        block.push(length_byte(key.length()));
    }
    block.extend_from_slice(&enciphered);
    data.push(TYPE_AES);
    lv::write(data, &block);
    lv::write(data, &key.check_value().0);
    Ok(())
}

const fn length_byte(length: KeyLength) -> u8 {
    match length {
        KeyLength::Aes128 => 16,
        KeyLength::Aes192 => 24,
        KeyLength::Aes256 => 32,
    }
}

/// The answer: the new version and the check values the card computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutKeyAnswer {
    /// New key version.
    pub kvn: u8,
    /// Check values in the order of the command; empty when the card gives none.
    pub check_values: Vec<KeyCheckValue>,
}

impl PutKeyAnswer {
    /// Reads version and three-byte check values.
    pub fn parse(answer: &[u8]) -> Result<Self, AnswerError> {
        let error = AnswerError::Field { field: "answer to PUT KEY", length: answer.len() };
        let (&kvn, rest) = answer.split_first().ok_or(error.clone())?;
        if rest.len() % 3 != 0 {
            return Err(error);
        }
        let check_values = rest.chunks_exact(3).map(|c| KeyCheckValue([c[0], c[1], c[2]])).collect();
        Ok(Self { kvn, check_values })
    }
}

/// Attributes of key descriptions in DGI 00B9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDescriptions {
    /// Everything in each B9 (Card Specification 2.3.1 table 11-92).
    PerKey,
    /// The common ones in a template B7 in front (Amendment A; found in the field). Access and counter as given.
    Common {
        /// Tag 96.
        access: u8,
        /// Tag 97.
        counter: u16,
    },
}

/// A whole set as data groupings for STORE DATA: the descriptions, then each enciphered key.
pub fn store_data_keys<E>(
    to: Destination,
    keys: &StaticKeys,
    layout: KeyDescriptions,
    mut encrypt: impl FnMut(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<Grouping>, E> {
    // Usage qualifiers of table 11-17: ENC, MAC, DEK, each for both directions where it has two.
    const USAGE: [u8; 3] = [0x38, 0x34, 0xC8];
    let length = length_byte(keys.length());
    let mut descriptions = Vec::new();
    if let KeyDescriptions::Common { access, counter } = layout {
        descriptions.extend(tlv::constructed(
            0xB7,
            &[
                &tlv::object(0x80, &[TYPE_AES]),
                &tlv::object(0x81, &[length]),
                &tlv::object(0x83, &[to.kvn]),
                &tlv::object(0x96, &[access]),
                &tlv::object(0x97, &counter.to_be_bytes()),
            ],
        ));
    }
    let mut groupings = Vec::new();
    for ((key, identifier), usage) in [&keys.enc, &keys.mac, &keys.dek].into_iter().zip(KID_ENC..).zip(USAGE)
    {
        let identifier = tlv::object(0x82, &[identifier]);
        let check_value = tlv::object(0x84, &key.check_value().0);
        let description = match layout {
            KeyDescriptions::Common { .. } => tlv::constructed(0xB9, &[&identifier, &check_value]),
            KeyDescriptions::PerKey => tlv::constructed(
                0xB9,
                &[
                    &tlv::object(0x95, &[usage]),
                    &tlv::object(0x96, &[0x00]),
                    &tlv::object(0x80, &[TYPE_AES]),
                    &tlv::object(0x81, &[length]),
                    &identifier,
                    &tlv::object(0x83, &[to.kvn]),
                    &check_value,
                ],
            ),
        };
        descriptions.extend(description);
        groupings.push(Grouping::new(DGI_KEY, encrypt(&whole_blocks(key))?).hiding(SecretKind::Key));
    }
    groupings.insert(0, Grouping::new(DGI_KEY_DESCRIPTIONS, descriptions));
    Ok(groupings)
}

#[cfg(test)]
mod tests {
    use jpkise_wire::scp03::dek_encrypt;

    use super::*;
    use crate::scp03::ScpError;

    fn put(length: usize, form: KeyBlock) -> CommandApdu {
        let keys = StaticKeys::same(&vec![0x40; length]).unwrap();
        let dek = AesKey::new(&[7; 16]).unwrap();
        put_keys(Destination::add(0x31).unwrap(), &keys, form, |plain| {
            dek_encrypt(&dek, plain).map_err(|e| ScpError::Keys(e.into()))
        })
        .unwrap()
    }

    #[test]
    fn a_set_has_the_lengths_of_the_amendment() {
        for (length, form, lc, block, clear) in [
            (16, KeyBlock::WithLength, 0x46, 0x11, 0x10),
            (24, KeyBlock::WithLength, 0x76, 0x21, 0x18),
            (32, KeyBlock::WithLength, 0x76, 0x21, 0x20),
            (24, KeyBlock::Bare, 0x76, 0x21, 0x18),
        ] {
            let command = put(length, form);
            assert_eq!(hex::encode(command.header()), "80d80081");
            assert_eq!(command.data().len(), lc, "{length} bytes");
            assert_eq!(command.data()[..4], [0x31, TYPE_AES, block, clear]);
            assert_eq!(command.secret(), Some(SecretKind::Key));
        }
        let bare = put(16, KeyBlock::Bare);
        assert_eq!((bare.data().len(), &bare.data()[..3]), (0x43, &[0x31, TYPE_AES, 0x10][..]));
    }

    #[test]
    fn versions_outside_01_to_7f_are_refused() {
        for (kvn, good) in [(0x00, false), (0x01, true), (0x7F, true), (0x80, false), (0xFF, false)] {
            assert_eq!(Destination::add(kvn).is_ok(), good, "{kvn:02X}");
            assert_eq!(Destination::replace(kvn, 0x30).is_ok(), good, "{kvn:02X}");
        }
        let same = Destination::replace(0x30, 0x30).unwrap();
        assert_eq!((same.kvn(), same.replacing), (0x30, 0x30));
    }

    #[test]
    fn public_keys_carry_their_components_and_no_check_value() {
        let to = Destination::add(0x73).unwrap();
        let ec = put_ec_public_key(to, 1, &[4; 65], 0);
        assert_eq!(hex::encode(ec.header()), "80d80001");
        assert_eq!(hex::encode(&ec.data()[..3]), "73b041");
        assert_eq!(hex::encode(&ec.data()[68..]), "f0010000");
        let rsa = put_rsa_public_key(to, 1, &[0xC1; 256], &[1, 0, 1]);
        assert_eq!(hex::encode(&rsa.data()[..5]), "73a1820100");
        assert_eq!(hex::encode(&rsa.data()[261..]), "a00301000100");
    }

    #[test]
    fn the_answer_is_a_version_and_check_values() {
        let answer = PutKeyAnswer::parse(&hex::decode("31987c42024cb2b0742f").unwrap()).unwrap();
        assert_eq!((answer.kvn, answer.check_values.len()), (0x31, 3));
        assert_eq!(answer.check_values[2].to_string(), "B0742F");
        assert!(PutKeyAnswer::parse(&[]).is_err());
        assert!(PutKeyAnswer::parse(&[0x31, 1, 2]).is_err());
        assert!(PutKeyAnswer::parse(&[0x31]).unwrap().check_values.is_empty());
    }
}
