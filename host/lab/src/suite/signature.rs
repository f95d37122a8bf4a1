//! What is wrong with a signature: opened with the public key and read field by field, as RFC 8017 builds it.

use rsa::BigUint;
use sha2::{Digest, Sha256};

use super::check::{abridged, Difference};

/// Public exponent of every key of the applet.
const EXPONENT: u32 = 65_537;
/// Moduli that are reckoned with.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 1024..=4096;
/// PKCS#1 v1.5: 00 01, at least eight FF, 00 (RFC 8017 section 9.2).
const BLOCK_TYPE: u8 = 0x01;
const LEAST_PADDING: usize = 8;
/// DigestInfo of SHA-256 before the hash (RFC 8017 section 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
/// PSS: the last byte, and the length of hash and salt with SHA-256 (RFC 8017 section 9.1).
const TRAILER: u8 = 0xBC;
const HASH: usize = 32;

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        "nothing".to_owned()
    } else {
        abridged(bytes)
    }
}

/// The block that was signed, as long as the modulus; or what keeps it closed.
fn opened(modulus: &[u8], signature: &[u8]) -> Result<Vec<u8>, Difference> {
    let n = BigUint::from_bytes_be(modulus);
    if !MODULUS_BITS.contains(&n.bits()) {
        return Err(Difference::new("modulus", "1024 to 4096 bits", format!("{} bits", n.bits())));
    }
    let length = n.bits().div_ceil(8);
    if signature.len() != length {
        let (due, found) = (format!("{length} bytes"), format!("{} bytes", signature.len()));
        return Err(Difference::new("length of the signature", due, found));
    }
    let s = BigUint::from_bytes_be(signature);
    if s >= n {
        return Err(Difference::new("signature", "less than the modulus", "not less"));
    }
    let bytes = s.modpow(&BigUint::from(EXPONENT), &n).to_bytes_be();
    let mut block = vec![0; length.saturating_sub(bytes.len())];
    block.extend(bytes);
    Ok(block)
}

/// How a PKCS#1 v1.5 signature over exactly these bytes differs.
pub(super) fn verbatim(modulus: &[u8], signed: &[u8], signature: &[u8]) -> Vec<Difference> {
    pkcs1(modulus, signature, |content, out| {
        if content != signed {
            out.push(part("what is signed", signed, content));
        }
    })
}

/// How a PKCS#1 v1.5 signature with SHA-256 over a message differs.
pub(super) fn sha256(modulus: &[u8], message: &[u8], signature: &[u8]) -> Vec<Difference> {
    let hash = Sha256::digest(message);
    pkcs1(modulus, signature, |content, out| match content.split_at_checked(SHA256_INFO.len()) {
        Some((info, signed)) if info == SHA256_INFO => {
            if signed != hash.as_slice() {
                out.push(part("hash in the DigestInfo", &hash, signed));
            }
        }
        _ if content == hash.as_slice() => {
            out.push(Difference::new("DigestInfo", "SHA-256 and the hash", "the bare hash"));
        }
        _ => out.push(part("DigestInfo", &[&SHA256_INFO[..], &hash].concat(), content)),
    })
}

fn pkcs1(
    modulus: &[u8],
    signature: &[u8],
    content: impl FnOnce(&[u8], &mut Vec<Difference>),
) -> Vec<Difference> {
    let block = match opened(modulus, signature) {
        Ok(block) => block,
        Err(difference) => return vec![difference],
    };
    let [first, kind, rest @ ..] = block.as_slice() else { return Vec::new() };
    let padding = rest.iter().take_while(|b| **b != 0).count();
    // Without the form of any padding the fields have no meaning.
    if *first != 0 || *kind > 2 || padding == rest.len() || padding < LEAST_PADDING {
        let found = format!("{}: another key, or damage", hex(&block));
        return vec![Difference::new("padded block", "00 01 FF…FF 00", found)];
    }
    let mut out = Vec::new();
    if *kind != BLOCK_TYPE {
        out.push(Difference::new("block type of the padding", "01", format!("{kind:02X}")));
    }
    let (padding, rest) = rest.split_at(padding);
    if let Some(odd) = padding.iter().find(|b| **b != 0xFF) {
        out.push(Difference::new(
            "padding",
            format!("{} times FF", padding.len()),
            format!("{odd:02X} in it"),
        ));
    }
    content(rest.get(1..).unwrap_or_default(), &mut out);
    out
}

/// How a PSS signature with SHA-256 and 32 bytes of salt differs.
pub(super) fn pss(modulus: &[u8], hash: &[u8], signature: &[u8]) -> Vec<Difference> {
    let block = match opened(modulus, signature) {
        Ok(block) => block,
        Err(difference) => return vec![difference],
    };
    let Some((trailer, rest)) = block.split_last() else { return Vec::new() };
    if *trailer != TRAILER {
        let found = if block.starts_with(&[0, 1, 0xFF]) {
            format!("{trailer:02X}: PKCS#1 v1.5 padding, not PSS")
        } else {
            format!("{trailer:02X}")
        };
        return vec![Difference::new("last byte of the PSS block", "BC", found)];
    }
    let Some((masked, signed)) = rest.len().checked_sub(HASH).map(|at| rest.split_at(at)) else {
        return Vec::new();
    };
    let mut data: Vec<u8> = masked.iter().zip(mask(signed, masked.len())).map(|(a, b)| a ^ b).collect();
    // The bits above those of the modulus less one count as zeros.
    let bits = BigUint::from_bytes_be(modulus).bits().saturating_sub(1) % 8;
    if let (Some(first), 1..) = (data.first_mut(), bits) {
        *first &= (1 << bits) - 1;
    }
    let zeros = data.iter().take_while(|b| **b == 0).count();
    let salt = data.get(zeros + 1..).unwrap_or_default();
    if data.get(zeros) != Some(&1) {
        return vec![Difference::new("PSS padding", "00…00 01", hex(data.get(zeros..).unwrap_or_default()))];
    }
    let mut out = Vec::new();
    if salt.len() != HASH {
        out.push(Difference::new("length of the PSS salt", "32 bytes", format!("{} bytes", salt.len())));
    }
    let due = Sha256::new().chain_update([0; 8]).chain_update(hash).chain_update(salt).finalize();
    if due.as_slice() != signed {
        out.push(part("hash in the PSS block", &due, signed));
    }
    out
}

/// MGF1 with SHA-256 (RFC 8017 appendix B.2.1).
fn mask(seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0u32..).map(|n| Sha256::new().chain_update(seed).chain_update(n.to_be_bytes()).finalize());
    blocks.flatten().take(length).collect()
}

fn part(place: &str, due: &[u8], found: &[u8]) -> Difference {
    Difference::new(place, hex(due), hex(found))
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1v15::Pkcs1v15Sign;
    use rsa::pss::Pss;
    use rsa::traits::{PrivateKeyParts, PublicKeyParts};
    use rsa::RsaPrivateKey;

    use super::*;

    struct Key(RsaPrivateKey, Vec<u8>);

    impl Key {
        fn new() -> Self {
            let key = RsaPrivateKey::new(&mut rand::rngs::OsRng, 1024).unwrap();
            let modulus = key.n().to_bytes_be();
            Self(key, modulus)
        }

        /// Any block at all, signed.
        fn sign(&self, block: &[u8]) -> Vec<u8> {
            let signed = BigUint::from_bytes_be(block).modpow(self.0.d(), self.0.n()).to_bytes_be();
            [vec![0; 128 - signed.len()], signed].concat()
        }

        fn padded(&self, kind: u8, filling: u8, content: &[u8]) -> Vec<u8> {
            let padding = vec![filling; 128 - 3 - content.len()];
            self.sign(&[&[0, kind], padding.as_slice(), &[0], content].concat())
        }
    }

    fn said(differences: &[Difference]) -> Vec<String> {
        differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_field_of_a_padded_block_is_told_by_its_name() {
        let key = Key::new();
        let hash = Sha256::digest(b"abc");
        let info = [&SHA256_INFO[..], &hash].concat();
        let good = key.padded(1, 0xFF, &info);
        key.0.to_public_key().verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &good).unwrap();
        assert_eq!(said(&sha256(&key.1, b"abc", &good)), [""; 0]);
        assert_eq!(said(&verbatim(&key.1, &info, &good)), [""; 0]);
        let wrong_type = key.padded(2, 0xFF, &info);
        let sha1 = [&[0x30, 0x21, 0x30, 0x09], &[0; 31][..]].concat();
        for (signature, expected) in [
            (wrong_type, "block type of the padding: 02 where 01 was due"),
            (key.padded(1, 0xFE, &info), "padding: FE in it where 74 times FF was due"),
            (key.padded(1, 0xFF, &hash), "DigestInfo: the bare hash where SHA-256 and the hash was due"),
            (key.padded(1, 0xFF, &sha1), "DigestInfo: 30213009"),
            (key.padded(1, 0xFF, &[&SHA256_INFO[..], &[7; 32]].concat()), "hash in the DigestInfo: 0707"),
            (good[1..].to_vec(), "length of the signature: 127 bytes where 128 bytes was due"),
            (vec![0xFF; 128], "signature: not less where less than the modulus was due"),
            (key.sign(&[0x55; 127]), "another key, or damage where 00 01 FF…FF 00 was due"),
        ] {
            let found = said(&sha256(&key.1, b"abc", &signature)).join("; ");
            assert!(found.contains(expected), "{found}\n   does not say\n{expected}");
        }
        let other = said(&verbatim(&key.1, b"abd", &key.padded(1, 0xFF, b"abc")));
        assert_eq!(other, ["what is signed: 616263 where 616264 was due"]);
    }

    #[test]
    fn each_field_of_a_pss_block_is_told_by_its_name() {
        let key = Key::new();
        let hash = Sha256::digest(b"abc");
        let mut rng = rand::rngs::OsRng;
        let good = key.0.sign_with_rng(&mut rng, Pss::new::<Sha256>(), &hash).unwrap();
        assert_eq!(said(&pss(&key.1, &hash, &good)), [""; 0]);
        let of_another = said(&pss(&key.1, &Sha256::digest(b"abd"), &good));
        assert!(
            of_another.len() == 1 && of_another[0].starts_with("hash in the PSS block: "),
            "{of_another:?}"
        );
        let salted = key.0.sign_with_rng(&mut rng, Pss::new_with_salt::<Sha256>(20), &hash).unwrap();
        assert_eq!(
            said(&pss(&key.1, &hash, &salted)),
            ["length of the PSS salt: 20 bytes where 32 bytes was due"]
        );
        let pkcs1 = said(&pss(&key.1, &hash, &key.padded(1, 0xFF, &hash)));
        assert!(pkcs1[0].ends_with("PKCS#1 v1.5 padding, not PSS where BC was due"), "{pkcs1:?}");
    }
}
