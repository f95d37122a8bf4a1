//! Public-key operations with the RustCrypto crates.
//!
//! The `rsa` crate has an open timing advisory (RUSTSEC-2023-0071). Here it generates keys and lends its big numbers;
//! the private operation is our own CRT, no better in that respect. A simulated card's timing is nobody's secret.

// The names of RFC 8017.
#![allow(clippy::many_single_char_names)]

use num_bigint_dig::ModInverse;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};

use super::{CardRng, CryptoProvider, RsaCrt, RsaPrivate};

/// RustCrypto.
#[derive(Debug, Clone, Copy, Default)]
pub struct RustCrypto;

/// A number with leading zeros, or `None` when it is longer.
fn fixed(number: &BigUint, len: usize) -> Option<Vec<u8>> {
    let bytes = number.to_bytes_be();
    let mut out = vec![0; len.checked_sub(bytes.len())?];
    out.extend(bytes);
    Some(out)
}

impl CryptoProvider for RustCrypto {
    fn name(&self) -> &'static str {
        "rustcrypto"
    }

    fn rsa_raw(&self, modulus: &[u8], exponent: &[u8], input: &[u8]) -> Option<Vec<u8>> {
        let n = BigUint::from_bytes_be(modulus);
        let input = BigUint::from_bytes_be(input);
        // An even modulus is no RSA modulus, and not what modpow's Montgomery form is for.
        if input >= n || modulus.last()? & 1 == 0 {
            return None;
        }
        fixed(&input.modpow(&BigUint::from_bytes_be(exponent), &n), modulus.len())
    }

    fn rsa_crt(&self, key: &RsaCrt, input: &[u8]) -> Option<Vec<u8>> {
        let [p, q, dp, dq, q_inverse] =
            [&key.p, &key.q, &key.dp, &key.dq, &key.q_inverse].map(|bytes| BigUint::from_bytes_be(bytes));
        let is_one = |number: &BigUint| number.bits() == 1;
        if key.p.last()? & 1 == 0 || key.q.last()? & 1 == 0 || is_one(&p) || is_one(&q) {
            return None;
        }
        let input = BigUint::from_bytes_be(input);
        let n = &p * &q;
        if input >= n {
            return None;
        }
        let m1 = (&input % &p).modpow(&dp, &p);
        let m2 = (&input % &q).modpow(&dq, &q);
        // h = (m1 - m2) / q mod p; m2 may be above p.
        let difference = (&m1 + &p - (&m2 % &p)) % &p;
        let h = difference * q_inverse % &p;
        let result = m2 + h * &q;
        // The card does not have the public exponent: it is the inverse of both CRT exponents.
        let one = BigUint::from(1u8);
        let e = (&dp).mod_inverse(&p - &one)?.to_biguint()?;
        let fits = &e * &dq % (&q - &one) == one && result.modpow(&e, &n) == input;
        fits.then(|| fixed(&result, key.p.len() + key.q.len()))?
    }

    fn rsa_generate(&self, bits: usize, exponent: &[u8], rng: &mut dyn CardRng) -> Option<RsaPrivate> {
        let e = BigUint::from_bytes_be(exponent);
        // With these the rsa crate would look for primes for ever.
        if exponent.last()? & 1 == 0 || e.bits() < 2 {
            return None;
        }
        let mut rng = rng;
        let key = RsaPrivateKey::new_with_exp(&mut rng, bits, &e).ok()?;
        let [p, q] = key.primes() else { return None };
        let one = BigUint::from(1u8);
        let half = bits / 16;
        // q^-1 mod p by Fermat: p is prime.
        let q_inverse = (q % p).modpow(&(p - 2u8), p);
        Some(RsaPrivate {
            modulus: fixed(key.n(), bits / 8)?,
            public_exponent: exponent.to_vec(),
            private_exponent: fixed(key.d(), bits / 8)?,
            crt: RsaCrt {
                p: fixed(p, half)?,
                q: fixed(q, half)?,
                dp: fixed(&(key.d() % (p - &one)), half)?,
                dq: fixed(&(key.d() % (q - &one)), half)?,
                q_inverse: fixed(&q_inverse, half)?,
            },
        })
    }

    fn p256_generate(&self, rng: &mut dyn CardRng) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut rng = rng;
        let key = SigningKey::random(&mut rng);
        let point = key.verifying_key().to_encoded_point(false);
        Some((key.to_bytes().to_vec(), point.as_bytes().to_vec()))
    }

    fn p256_sign(&self, private: &[u8], hash: &[u8]) -> Option<Vec<u8>> {
        let key = SigningKey::from_slice(private).ok()?;
        let signature: Signature = key.sign_prehash(hash).ok()?;
        Some(signature.to_der().as_bytes().to_vec())
    }

    fn p256_verify(&self, public: &[u8], hash: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_sec1_bytes(public) else { return false };
        let Ok(signature) = Signature::from_der(signature) else { return false };
        key.verify_prehash(hash, &signature).is_ok()
    }
}
