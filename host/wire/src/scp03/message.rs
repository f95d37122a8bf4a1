//! MACs, initial chaining vectors and padding of secured messages (sections 6.2.4 to 6.2.7).

use aes::{Aes128, Aes192, Aes256};
use cmac::digest::core_api::CoreWrapper;
use cmac::digest::InnerInit;
use cmac::{CmacCore, Mac};

use super::key::AesCipher;
use super::BLOCK;

/// AES-CMAC (NIST SP 800-38B) over the parts, one after the other.
pub fn mac(cipher: &AesCipher, parts: &[&[u8]]) -> [u8; BLOCK] {
    fn run<M: Mac>(mut mac: M, parts: &[&[u8]]) -> [u8; BLOCK] {
        for part in parts {
            mac.update(part);
        }
        let mut out = [0; BLOCK];
        out.copy_from_slice(&mac.finalize().into_bytes());
        out
    }
    match cipher {
        AesCipher::Aes128(c) => run(CoreWrapper::from_core(CmacCore::<Aes128>::inner_init(c.clone())), parts),
        AesCipher::Aes192(c) => run(CoreWrapper::from_core(CmacCore::<Aes192>::inner_init(c.clone())), parts),
        AesCipher::Aes256(c) => run(CoreWrapper::from_core(CmacCore::<Aes256>::inner_init(c.clone())), parts),
    }
}

/// The MAC chaining value: the full MAC of the last command, sixteen 00 before EXTERNAL AUTHENTICATE (section 6.2.3).
pub type MacChain = [u8; BLOCK];

/// ICV of a command's data: the encryption counter as a block, enciphered under S-ENC (section 6.2.6).
pub fn command_icv(s_enc: &AesCipher, counter: u128) -> [u8; BLOCK] {
    let mut block = counter.to_be_bytes();
    s_enc.encrypt_block(&mut block);
    block
}

/// ICV of the answer to the same command: the counter block's first byte is 80 (section 6.2.7).
pub fn response_icv(s_enc: &AesCipher, counter: u128) -> [u8; BLOCK] {
    let mut block = counter.to_be_bytes();
    block[0] = 0x80;
    s_enc.encrypt_block(&mut block);
    block
}

/// Length after padding with 80 and 00: at least one byte more, whole blocks.
pub const fn padded_length(length: usize) -> usize {
    (length / BLOCK + 1) * BLOCK
}

/// Appends 80 and 00s up to whole blocks (section 4.1.4).
pub fn pad(data: &mut Vec<u8>) {
    let length = padded_length(data.len());
    data.push(0x80);
    data.resize(length, 0);
}

/// Length without the padding; trailing 00s are stripped down to the 80, however many (some cards pad by a block more
/// than needed). `None` when there is no 80.
pub fn unpad(data: &[u8]) -> Option<usize> {
    let end = data.iter().rposition(|b| *b != 0)?;
    (data[end] == 0x80).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_always_adds_and_comes_off_again() {
        for length in [0usize, 1, 15, 16, 17, 239] {
            let mut data = vec![0; length];
            pad(&mut data);
            assert_eq!(data.len(), padded_length(length));
            assert_eq!(data.len() % BLOCK, 0);
            assert_eq!(unpad(&data), Some(length));
        }
        assert_eq!(unpad(&[0; 16]), None);
        assert_eq!(unpad(&[]), None);
        assert_eq!(unpad(&[0x80, 1]), None);
    }
}
