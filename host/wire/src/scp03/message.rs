//! MACs, initial chaining vectors and padding of secured messages (sections 6.2.4 to 6.2.7).

use zeroize::Zeroizing;

use super::key::AesCipher;
use super::BLOCK;

/// An AES-CMAC key (NIST SP 800-38B) with its subkeys, made once per session.
pub struct MacKey {
    cipher: AesCipher,
    whole: Zeroizing<[u8; BLOCK]>,
    padded: Zeroizing<[u8; BLOCK]>,
}

impl MacKey {
    /// Makes the two subkeys K1 and K2 (section 6.1 of SP 800-38B).
    #[must_use]
    pub fn new(cipher: AesCipher) -> Self {
        let mut zero = Zeroizing::new([0; BLOCK]);
        cipher.encrypt_block(&mut zero);
        let whole = doubled(&zero);
        let padded = doubled(&whole);
        Self { cipher, whole, padded }
    }

    /// The full MAC over the parts, one after the other.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; BLOCK] {
        let mut state = [0; BLOCK];
        let mut filled = 0;
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                // A full block is enciphered only when more follows: the last one gets a subkey first.
                if filled == BLOCK {
                    self.cipher.encrypt_block(&mut state);
                    filled = 0;
                }
                let (now, later) = rest.split_at(rest.len().min(BLOCK - filled));
                for (s, b) in state[filled..].iter_mut().zip(now) {
                    *s ^= b;
                }
                filled += now.len();
                rest = later;
            }
        }
        let subkey = if filled == BLOCK {
            &self.whole
        } else {
            state[filled] ^= 0x80;
            &self.padded
        };
        for (s, k) in state.iter_mut().zip(subkey.iter()) {
            *s ^= k;
        }
        self.cipher.encrypt_block(&mut state);
        state
    }
}

/// Multiplication by x in GF(2^128), without a branch on the secret.
fn doubled(block: &[u8; BLOCK]) -> Zeroizing<[u8; BLOCK]> {
    let value = u128::from_be_bytes(*block);
    let reduction = 0x87 & (value >> 127).wrapping_neg();
    Zeroizing::new(((value << 1) ^ reduction).to_be_bytes())
}

/// AES-CMAC over the parts, one after the other.
pub fn mac(cipher: &AesCipher, parts: &[&[u8]]) -> [u8; BLOCK] {
    MacKey::new(cipher.clone()).mac(parts)
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
    use crate::scp03::AesKey;

    #[test]
    fn a_mac_does_not_depend_on_how_its_input_is_cut() {
        use cmac::digest::KeyInit;
        use cmac::{Cmac, Mac};
        fn tag<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
            let mut mac = <M as Mac>::new_from_slice(key).unwrap();
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }
        let input: Vec<u8> = (0..=255).collect();
        for (key, foreign) in [
            (vec![0x2B; 16], tag::<Cmac<aes::Aes128>> as fn(&[u8], &[u8]) -> Vec<u8>),
            (vec![0x2B; 24], tag::<Cmac<aes::Aes192>>),
            (vec![0x2B; 32], tag::<Cmac<aes::Aes256>>),
        ] {
            let ours = MacKey::new(AesKey::new(&key).unwrap().cipher());
            for length in [0, 1, 15, 16, 17, 31, 32, 33, 255] {
                let message = &input[..length];
                let expected = foreign(&key, message);
                assert_eq!(ours.mac(&[message]).to_vec(), expected, "{length} bytes");
                for cut in [0, 1, 16, 30] {
                    let (a, b) = message.split_at(cut.min(length));
                    assert_eq!(ours.mac(&[a, &[], b]).to_vec(), expected, "{length} bytes cut at {cut}");
                }
            }
        }
    }

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
