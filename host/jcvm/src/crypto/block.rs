//! AES in the modes of the API.

use aes::cipher::{generic_array::GenericArray, BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;
/// The same as an array length of the API.
pub(crate) const BLOCK_LENGTH: u16 = 16;

/// AES with a key of 16, 24 or 32 bytes.
pub(crate) enum Aes {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl Aes {
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Some(match key.len() {
            16 => Self::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            24 => Self::Aes192(Box::new(Aes192::new_from_slice(key).ok()?)),
            32 => Self::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        })
    }

    pub(crate) fn encrypt(&self, block: &mut [u8; BLOCK]) {
        let block = GenericArray::from_mut_slice(block);
        match self {
            Self::Aes128(aes) => aes.encrypt_block(block),
            Self::Aes192(aes) => aes.encrypt_block(block),
            Self::Aes256(aes) => aes.encrypt_block(block),
        }
    }

    pub(crate) fn decrypt(&self, block: &mut [u8; BLOCK]) {
        let block = GenericArray::from_mut_slice(block);
        match self {
            Self::Aes128(aes) => aes.decrypt_block(block),
            Self::Aes192(aes) => aes.decrypt_block(block),
            Self::Aes256(aes) => aes.decrypt_block(block),
        }
    }
}

fn blocks(data: &[u8]) -> impl Iterator<Item = [u8; BLOCK]> + '_ {
    data.chunks_exact(BLOCK).map(|chunk| {
        let mut block = [0; BLOCK];
        block.copy_from_slice(chunk);
        block
    })
}

fn xor(into: &mut [u8; BLOCK], with: &[u8; BLOCK]) {
    into.iter_mut().zip(with).for_each(|(a, b)| *a ^= b);
}

/// Whole blocks, each for itself.
pub(crate) fn ecb(aes: &Aes, data: &[u8], encrypt: bool) -> Vec<u8> {
    let work = |mut block: [u8; BLOCK]| {
        if encrypt {
            aes.encrypt(&mut block);
        } else {
            aes.decrypt(&mut block);
        }
        block
    };
    blocks(data).flat_map(work).collect()
}

/// Whole blocks, chained; `chain` is left at the last cipher block.
pub(crate) fn cbc_encrypt(aes: &Aes, chain: &mut [u8; BLOCK], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for block in blocks(data) {
        xor(chain, &block);
        aes.encrypt(chain);
        out.extend(*chain);
    }
    out
}

/// Whole blocks, chained; `chain` is left at the last cipher block.
pub(crate) fn cbc_decrypt(aes: &Aes, chain: &mut [u8; BLOCK], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for cipher_block in blocks(data) {
        let mut block = cipher_block;
        aes.decrypt(&mut block);
        xor(&mut block, chain);
        out.extend(block);
        *chain = cipher_block;
    }
    out
}

/// CMAC of a whole message (NIST SP 800-38B).
pub(crate) fn cmac(aes: &Aes, message: &[u8]) -> [u8; BLOCK] {
    let mut k1 = [0; BLOCK];
    aes.encrypt(&mut k1);
    double(&mut k1);
    let full = message.len().saturating_sub(1) / BLOCK * BLOCK;
    let (head, tail) = message.split_at(full);
    let mut last = [0; BLOCK];
    last[..tail.len()].copy_from_slice(tail);
    if tail.len() < BLOCK {
        last[tail.len()] = 0x80;
        double(&mut k1);
    }
    let mut chain = [0; BLOCK];
    cbc_encrypt(aes, &mut chain, head);
    xor(&mut chain, &last);
    xor(&mut chain, &k1);
    aes.encrypt(&mut chain);
    chain
}

/// Multiplication by x in GF(2^128).
fn double(block: &mut [u8; BLOCK]) {
    const RB: u128 = 0x87;
    let value = u128::from_be_bytes(*block);
    let doubled = (value << 1) ^ if value >> 127 == 1 { RB } else { 0 };
    *block = doubled.to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4493 section 4 and NIST SP 800-38B appendix D.
    #[test]
    fn cmac_agrees_with_rfc_4493() {
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        let message = hex::decode(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef\
             f69f2445df4f9b17ad2b417be66c3710",
        )
        .unwrap();
        let rows = [
            (0, "bb1d6929e95937287fa37d129b756746"),
            (16, "070a16b46b4d4144f79bdd9dd04a287c"),
            (40, "dfa66747de9ae63030ca32611497c827"),
            (64, "51f0bebf7e3b9d92fc49741779363cfe"),
        ];
        let aes = Aes::new(&key).unwrap();
        for (len, expected) in rows {
            assert_eq!(hex::encode(cmac(&aes, &message[..len])), expected);
        }
    }

    /// NIST SP 800-38A, F.2.1, F.2.5 (CBC) and F.1.1 (ECB).
    #[test]
    fn modes_agree_with_sp_800_38a() {
        let plain = hex::decode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51").unwrap();
        let iv: [u8; 16] = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap().try_into().unwrap();
        let rows = [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
            ),
            (
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
            ),
        ];
        for (key, expected) in rows {
            let aes = Aes::new(&hex::decode(key).unwrap()).unwrap();
            let cipher = cbc_encrypt(&aes, &mut iv.clone(), &plain);
            assert_eq!(hex::encode(&cipher), expected);
            assert_eq!(cbc_decrypt(&aes, &mut iv.clone(), &cipher), plain);
        }
        let aes = Aes::new(&hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap()).unwrap();
        let cipher = ecb(&aes, &plain, true);
        assert_eq!(hex::encode(&cipher), "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf");
        assert_eq!(ecb(&aes, &cipher, false), plain);
    }
}
