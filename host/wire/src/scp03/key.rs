//! AES keys, their check values, and encipherment under Key-DEK.

use std::fmt;

use aes::cipher::{Block, BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::BLOCK;

/// AES key lengths of SCP03 (section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyLength {
    /// 16 bytes.
    Aes128,
    /// 24 bytes.
    Aes192,
    /// 32 bytes.
    Aes256,
}

impl KeyLength {
    /// Length in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Length in bits, as the derivation's L field wants it.
    pub const fn bits(self) -> u16 {
        match self {
            Self::Aes128 => 128,
            Self::Aes192 => 192,
            Self::Aes256 => 256,
        }
    }
}

/// Why a key or an enciphered field is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 16, 24 or 32 bytes.
    #[error("an AES key has 16, 24 or 32 bytes, not {0}")]
    Length(usize),
    /// The three keys of a set differ in length (section 5).
    #[error("the keys of a set must have one length")]
    MixedLengths,
    /// Data under Key-DEK is not a whole number of blocks.
    #[error("{0} bytes are not whole AES blocks")]
    Blocks(usize),
}

/// An AES key: wiped on drop, neither printable nor clonable by accident.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct AesKey {
    bytes: [u8; 32],
    #[zeroize(skip)]
    length: KeyLength,
}

impl AesKey {
    /// Takes 16, 24 or 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, KeyError> {
        let length = match key.len() {
            16 => KeyLength::Aes128,
            24 => KeyLength::Aes192,
            32 => KeyLength::Aes256,
            other => return Err(KeyError::Length(other)),
        };
        let mut bytes = [0; 32];
        bytes[..key.len()].copy_from_slice(key);
        Ok(Self { bytes, length })
    }

    /// A key just derived; bytes behind `length` are zero.
    pub(super) fn derived(bytes: &[u8; 32], length: KeyLength) -> Self {
        Self { bytes: *bytes, length }
    }

    /// Its length.
    pub const fn length(&self) -> KeyLength {
        self.length
    }

    /// The key itself. For software key sources and PUT KEY only.
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..self.length.bytes()]
    }

    /// A second copy, made knowingly.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { bytes: self.bytes, length: self.length }
    }

    /// The expanded key.
    pub fn cipher(&self) -> AesCipher {
        let key = self.expose();
        match self.length {
            KeyLength::Aes128 => AesCipher::Aes128(Aes128::new(key.into())),
            KeyLength::Aes192 => AesCipher::Aes192(Aes192::new(key.into())),
            KeyLength::Aes256 => AesCipher::Aes256(Aes256::new(key.into())),
        }
    }

    /// Key check value: first three bytes of a block of 01 enciphered (section 7.2.1.1 and GP 2.3.1 B.6).
    pub fn check_value(&self) -> KeyCheckValue {
        let mut block = [0x01; BLOCK];
        self.cipher().encrypt_block(&mut block);
        KeyCheckValue([block[0], block[1], block[2]])
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AesKey({:?}, KCV {})", self.length, self.check_value())
    }
}

impl ConstantTimeEq for AesKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.bytes.ct_eq(&other.bytes) & self.length.bits().ct_eq(&other.length.bits())
    }
}

/// A key check value, the only thing of a key that is ever shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyCheckValue(pub [u8; 3]);

impl fmt::Display for KeyCheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for KeyCheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KCV({self})")
    }
}

/// The three static keys of a security domain's key set.
#[derive(Debug)]
pub struct StaticKeys {
    /// Key-ENC, identifier 01.
    pub enc: AesKey,
    /// Key-MAC, identifier 02.
    pub mac: AesKey,
    /// Key-DEK, identifier 03.
    pub dek: AesKey,
}

impl StaticKeys {
    /// Takes three keys of one length.
    pub fn new(enc: AesKey, mac: AesKey, dek: AesKey) -> Result<Self, KeyError> {
        if enc.length != mac.length || enc.length != dek.length {
            return Err(KeyError::MixedLengths);
        }
        Ok(Self { enc, mac, dek })
    }

    /// A set whose three keys are the same bytes, as development cards have.
    pub fn same(key: &[u8]) -> Result<Self, KeyError> {
        Self::new(AesKey::new(key)?, AesKey::new(key)?, AesKey::new(key)?)
    }

    /// Their common length.
    pub const fn length(&self) -> KeyLength {
        self.enc.length
    }

    /// A second copy, made knowingly.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { enc: self.enc.duplicate(), mac: self.mac.duplicate(), dek: self.dek.duplicate() }
    }
}

/// An expanded AES key. The round keys are wiped on drop (feature `zeroize` of the `aes` crate).
#[derive(Clone)]
pub enum AesCipher {
    /// With a 16-byte key.
    Aes128(Aes128),
    /// With a 24-byte key.
    Aes192(Aes192),
    /// With a 32-byte key.
    Aes256(Aes256),
}

macro_rules! with_cipher {
    ($self:expr, $c:ident => $body:expr) => {
        match $self {
            AesCipher::Aes128($c) => $body,
            AesCipher::Aes192($c) => $body,
            AesCipher::Aes256($c) => $body,
        }
    };
}

impl AesCipher {
    /// One block, in place.
    pub fn encrypt_block(&self, block: &mut [u8; BLOCK]) {
        with_cipher!(self, c => c.encrypt_block(block.into()));
    }

    /// CBC over whole blocks, in place; bytes behind the last whole block stay as they are.
    pub fn cbc_encrypt(&self, icv: &[u8; BLOCK], data: &mut [u8]) {
        with_cipher!(self, c => {
            let mut previous = Block::<Aes128>::from(*icv);
            for chunk in data.chunks_exact_mut(BLOCK) {
                for (p, d) in previous.iter_mut().zip(chunk.iter()) {
                    *p ^= d;
                }
                c.encrypt_block(&mut previous);
                chunk.copy_from_slice(&previous);
            }
        });
    }

    /// The inverse of [`Self::cbc_encrypt`].
    pub fn cbc_decrypt(&self, icv: &[u8; BLOCK], data: &mut [u8]) {
        with_cipher!(self, c => {
            let mut previous = *icv;
            for chunk in data.chunks_exact_mut(BLOCK) {
                let mut block = Block::<Aes128>::clone_from_slice(chunk);
                c.decrypt_block(&mut block);
                for ((d, b), p) in chunk.iter_mut().zip(block.iter()).zip(previous.iter_mut()) {
                    let cipher_byte = *d;
                    *d = b ^ *p;
                    *p = cipher_byte;
                }
            }
        });
    }
}

/// Enciphers sensitive data under Key-DEK: CBC, ICV zero, no padding (section 7.2.1.1). The caller has filled whole blocks.
pub fn dek_encrypt(dek: &AesKey, data: &[u8]) -> Result<Vec<u8>, KeyError> {
    if data.len() % BLOCK != 0 {
        return Err(KeyError::Blocks(data.len()));
    }
    let mut out = data.to_vec();
    dek.cipher().cbc_encrypt(&[0; BLOCK], &mut out);
    Ok(out)
}

/// Deciphers what [`dek_encrypt`] made; the plaintext is wiped on drop.
pub fn dek_decrypt(dek: &AesKey, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if data.len() % BLOCK != 0 {
        return Err(KeyError::Blocks(data.len()));
    }
    let mut out = Zeroizing::new(data.to_vec());
    dek.cipher().cbc_decrypt(&[0; BLOCK], &mut out);
    Ok(out)
}
