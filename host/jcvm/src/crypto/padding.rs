//! Paddings of messages, of PKCS #1 (RFC 8017) and ISO/IEC 9797-1.

use rand::RngCore;

use super::HashAlgorithm;

/// Least padding of PKCS #1 v1.5: 00 BT, eight bytes, 00.
const PKCS1_OVERHEAD: usize = 11;

/// 00 01 FF… 00 data (RFC 8017, 9.2)
pub(crate) fn pkcs1_type1(data: &[u8], len: usize) -> Option<Vec<u8>> {
    let fill = len.checked_sub(data.len() + 3).filter(|_| data.len() + PKCS1_OVERHEAD <= len)?;
    let mut block = vec![0, 1];
    block.resize(2 + fill, 0xFF);
    block.push(0);
    block.extend(data);
    Some(block)
}

/// 00 02 random… 00 data (RFC 8017, 7.2.1)
pub(crate) fn pkcs1_type2(data: &[u8], len: usize, rng: &mut impl RngCore) -> Option<Vec<u8>> {
    let fill = len.checked_sub(data.len() + 3).filter(|_| data.len() + PKCS1_OVERHEAD <= len)?;
    let mut block = vec![0, 2];
    while block.len() < 2 + fill {
        let byte = u8::try_from(rng.next_u32() & 0xFF).unwrap_or(0);
        if byte != 0 {
            block.push(byte);
        }
    }
    block.push(0);
    block.extend(data);
    Some(block)
}

/// The data behind either padding.
pub(crate) fn pkcs1_remove(block: &[u8], kind: u8) -> Option<Vec<u8>> {
    let rest = block.strip_prefix(&[0, kind])?;
    let end = rest.iter().position(|b| *b == 0)?;
    let padding_is_right = end >= 8 && (kind == 2 || rest[..end].iter().all(|b| *b == 0xFF));
    padding_is_right.then(|| rest[end + 1..].to_vec())
}

/// DigestInfo with the digest.
pub(crate) fn digest_info(algorithm: HashAlgorithm, digest: &[u8]) -> Vec<u8> {
    [algorithm.digest_info(), digest].concat()
}

fn mgf1(algorithm: HashAlgorithm, seed: &[u8], len: usize) -> Vec<u8> {
    let blocks = (0u32..).flat_map(|counter| {
        let mut hash = algorithm.start();
        hash.update(seed);
        hash.update(&counter.to_be_bytes());
        hash.finish()
    });
    blocks.take(len).collect()
}

/// H of EMSA-PSS: the hash of eight zeros, digest and salt.
fn pss_hash(algorithm: HashAlgorithm, digest: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut hash = algorithm.start();
    hash.update(&[0; 8]);
    hash.update(digest);
    hash.update(salt);
    hash.finish()
}

/// EMSA-PSS with MGF1 and a salt as long as the digest (RFC 8017, 9.1.1), for a modulus of a multiple of 8 bits.
pub(crate) fn pss_encode(
    algorithm: HashAlgorithm,
    digest: &[u8],
    len: usize,
    rng: &mut impl RngCore,
) -> Option<Vec<u8>> {
    let hash_len = algorithm.len();
    let mut salt = vec![0; hash_len];
    rng.fill_bytes(&mut salt);
    let h = pss_hash(algorithm, digest, &salt);
    let zeros = len.checked_sub(2 * hash_len + 2)?;
    let mut block = vec![0; zeros];
    block.push(1);
    block.extend(salt);
    let mask = mgf1(algorithm, &h, block.len());
    block.iter_mut().zip(mask).for_each(|(b, m)| *b ^= m);
    block[0] &= 0x7F;
    block.extend(h);
    block.push(0xBC);
    Some(block)
}

/// EMSA-PSS-VERIFY (RFC 8017, 9.1.2) with a salt as long as the digest.
pub(crate) fn pss_verify(algorithm: HashAlgorithm, digest: &[u8], block: &[u8]) -> bool {
    let hash_len = algorithm.len();
    let Some(zeros) = block.len().checked_sub(2 * hash_len + 2) else { return false };
    let (masked, rest) = block.split_at(zeros + 1 + hash_len);
    let (h, trailer) = rest.split_at(hash_len);
    if trailer != [0xBC] || masked[0] & 0x80 != 0 {
        return false;
    }
    let mask = mgf1(algorithm, h, masked.len());
    let mut db: Vec<u8> = masked.iter().zip(mask).map(|(b, m)| b ^ m).collect();
    db[0] &= 0x7F;
    let (padding, salt) = db.split_at(zeros + 1);
    padding[..zeros].iter().all(|b| *b == 0) && padding[zeros] == 1 && pss_hash(algorithm, digest, salt) == h
}

/// Padding of a block cipher's message (`Cipher.PAD_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockPadding {
    None,
    /// ISO/IEC 9797-1 method 1: zeros, none when it fits. Taking it off is not possible.
    Zeros,
    /// ISO/IEC 9797-1 method 2: 80 and zeros.
    Bit,
    /// PKCS #5.
    Count,
}

impl BlockPadding {
    /// Pads to whole blocks; `None` when the message has to fit and does not.
    pub(crate) fn add(self, mut message: Vec<u8>, block: usize) -> Option<Vec<u8>> {
        let over = message.len() % block;
        let missing = block - over;
        match self {
            Self::None if over != 0 => return None,
            Self::None => {}
            Self::Zeros if over == 0 => {}
            Self::Zeros => message.resize(message.len() + missing, 0),
            Self::Bit => {
                message.push(0x80);
                message.resize(message.len() + missing - 1, 0);
            }
            Self::Count => {
                let count = u8::try_from(missing).ok()?;
                message.resize(message.len() + missing, count);
            }
        }
        Some(message)
    }

    /// Takes the padding off; `None` when it is not there.
    pub(crate) fn remove(self, mut message: Vec<u8>, block: usize) -> Option<Vec<u8>> {
        let keep = match self {
            Self::None | Self::Zeros => message.len(),
            Self::Bit => {
                let last = message.iter().rposition(|b| *b != 0)?;
                (message[last] == 0x80).then_some(last)?
            }
            Self::Count => {
                let count = usize::from(*message.last()?);
                let keep = message.len().checked_sub(count)?;
                let right =
                    (1..=block).contains(&count) && message[keep..].iter().all(|b| usize::from(*b) == count);
                right.then_some(keep)?
            }
        };
        message.truncate(keep);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Random;

    #[test]
    fn paddings_come_off_as_they_went_on() {
        let mut rng = Random::seeded(1);
        for data in [&b""[..], b"x", &[0x5A; 53]] {
            assert_eq!(pkcs1_remove(&pkcs1_type1(data, 64).unwrap(), 1).unwrap(), data);
            assert_eq!(pkcs1_remove(&pkcs1_type2(data, 64, &mut rng).unwrap(), 2).unwrap(), data);
            for padding in [BlockPadding::Bit, BlockPadding::Count] {
                let padded = padding.add(data.to_vec(), 16).unwrap();
                assert_eq!(padded.len() % 16, 0);
                assert!(padded.len() > data.len());
                assert_eq!(padding.remove(padded, 16).unwrap(), data);
            }
        }
        assert!(pkcs1_type1(&[0; 54], 64).is_none());
        assert!(BlockPadding::None.add(vec![0; 15], 16).is_none());
        assert!(BlockPadding::Count.remove(vec![17; 32], 16).is_none());
        assert!(BlockPadding::Bit.remove(vec![0; 16], 16).is_none());
    }

    #[test]
    fn pss_verifies_what_it_encodes_and_nothing_else() {
        let mut rng = Random::seeded(2);
        for algorithm in [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
            let digest = algorithm.digest(b"message");
            let block = pss_encode(algorithm, &digest, 256, &mut rng).unwrap();
            assert!(pss_verify(algorithm, &digest, &block));
            for at in [0, 100, 200, 255] {
                let mut wrong = block.clone();
                wrong[at] ^= 1;
                assert!(!pss_verify(algorithm, &digest, &wrong));
            }
        }
        assert!(pss_encode(HashAlgorithm::Sha512, &[0; 64], 128, &mut rng).is_none());
    }
}
