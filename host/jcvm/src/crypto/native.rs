//! Public-key operations with OpenSSL, which is built from source into the program.
//!
//! RSA private operations are blinded and use OpenSSL's constant-time exponentiation; numbers that are secret carry its
//! constant-time flag. Random numbers come from the card's own source, so that a seeded run can be repeated: prime
//! candidates and scalars are drawn there, ECDSA derives its nonces (RFC 6979). Only blinding factors and the bases of
//! primality tests, which no result depends on, are OpenSSL's own.

// The names of RFC 8017.
#![allow(clippy::many_single_char_names)]

use std::cmp::Ordering;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcGroupRef, EcKey, EcPoint, PointConversionForm};
use openssl::md::{Md, MdRef};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::{NonceType, PkeyCtx};
use openssl::rsa::{Padding, Rsa, RsaPrivateKeyBuilder};
use zeroize::Zeroizing;

use super::{CardRng, CryptoProvider, RsaCrt, RsaPrivate};

/// OpenSSL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Native;

/// A number that is wiped when it goes, and that OpenSSL does not tell by its timing.
struct Secret(BigNum);

impl Secret {
    fn new() -> Option<Self> {
        let mut number = BigNum::new().ok()?;
        number.set_const_time();
        Some(Self(number))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut number = Self::new()?;
        number.0.copy_from_slice(bytes).ok()?;
        Some(number)
    }

    /// One less.
    fn minus_one(&self) -> Option<Self> {
        let mut number = Self::read(&Zeroizing::new(self.to_vec()))?;
        number.sub_word(1).ok()?;
        Some(number)
    }

    /// A copy for OpenSSL to own and to wipe.
    fn give(&self) -> Option<BigNum> {
        let mut number = self.0.to_owned().ok()?;
        number.set_const_time();
        Some(number)
    }
}

impl Deref for Secret {
    type Target = BigNumRef;
    fn deref(&self) -> &BigNumRef {
        &self.0
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut BigNumRef {
        &mut self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// A number with leading zeros, or `None` when it is longer.
fn fixed(number: &BigNumRef, len: usize) -> Option<Vec<u8>> {
    number.to_vec_padded(i32::try_from(len).ok()?).ok()
}

/// `a * b mod modulus`
fn product(a: &BigNumRef, b: &BigNumRef, modulus: &BigNumRef, ctx: &mut BigNumContext) -> Option<Secret> {
    let mut out = Secret::new()?;
    out.mod_mul(a, b, modulus, ctx).ok()?;
    Some(out)
}

fn inverse(of: &BigNumRef, modulus: &BigNumRef, ctx: &mut BigNumContext) -> Option<Secret> {
    let mut out = Secret::new()?;
    out.mod_inverse(of, modulus, ctx).ok()?;
    Some(out)
}

fn is_one(number: &BigNumRef) -> bool {
    number.num_bits() == 1
}

/// The key as OpenSSL wants it. The card does not have its public exponent, which blinding and the check of the result
/// need: it is the inverse of both CRT exponents. `None` when they do not agree on it, which includes exponents longer
/// than a prime.
fn prepare(key: &RsaCrt, ctx: &mut BigNumContext) -> Option<Rsa<Private>> {
    let [p, q, dp, dq, q_inverse] =
        [&key.p, &key.q, &key.dp, &key.dq, &key.q_inverse].map(|bytes| Secret::read(bytes));
    let (p, q, dp, dq, q_inverse) = (p?, q?, dp?, dq?, q_inverse?);
    if p.is_even() || q.is_even() || is_one(&p) || is_one(&q) {
        return None;
    }
    let mut n = BigNum::new().ok()?;
    n.checked_mul(&p, &q, ctx).ok()?;
    let e = inverse(&dp, &*p.minus_one()?, ctx)?;
    if !is_one(&*product(&e, &dq, &*q.minus_one()?, ctx)?) {
        return None;
    }
    // d is not there either. OpenSSL takes it only when the CRT has given a wrong result: with 1 that stays wrong.
    let d = BigNum::from_u32(1).ok()?;
    let builder = RsaPrivateKeyBuilder::new(n, e.0.to_owned().ok()?, d).ok()?;
    let builder = builder.set_factors(p.give()?, q.give()?).ok()?;
    Some(builder.set_crt_params(dp.give()?, dq.give()?, q_inverse.give()?).ok()?.build())
}

/// Odd primes for the sieve. With more of them a candidate costs less and the sieve more; the optimum is flat.
static SMALL_PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    const LIMIT: u32 = 1 << 14;
    let mut primes: Vec<u32> = Vec::new();
    for n in (3..LIMIT).step_by(2) {
        if primes.iter().take_while(|p| **p * **p <= n).all(|p| n % p != 0) {
            primes.push(n);
        }
    }
    primes
});

/// Odd numbers from a random one on among which a prime is looked for; one in 355 is, at 1024 bits.
const WINDOW: u32 = 4096;

/// A prime of that many bits, the two highest of them ones, that RSA can use with this exponent.
fn prime(bits: usize, e: &BigNumRef, rng: &mut dyn CardRng, ctx: &mut BigNumContext) -> Option<Secret> {
    let mut bytes = Zeroizing::new(vec![0; bits / 8]);
    loop {
        rng.fill_bytes(&mut bytes);
        *bytes.first_mut()? |= 0xC0;
        *bytes.last_mut()? |= 1;
        let start = Secret::read(&bytes)?;
        let mut composite = Zeroizing::new(vec![false; WINDOW as usize]);
        for small in SMALL_PRIMES.iter().copied() {
            let rest = u32::try_from(start.mod_word(small).ok()?).ok()?;
            // start + 2k = 0 (mod small)
            let missing = (small - rest) % small;
            let first = if missing % 2 == 0 { missing / 2 } else { u32::midpoint(missing, small) };
            for k in (first..WINDOW).step_by(small as usize) {
                composite[k as usize] = true;
            }
        }
        for k in (0..WINDOW).filter(|k| !composite[*k as usize]) {
            let mut candidate = Secret::read(&bytes)?;
            candidate.add_word(2 * k).ok()?;
            if usize::try_from(candidate.num_bits()).ok()? != bits {
                break;
            }
            // OpenSSL raises the number of rounds to what the size asks for.
            if candidate.is_prime_fasttest(0, ctx, false).ok()? {
                let mut divisor = Secret::new()?;
                divisor.gcd(e, &*candidate.minus_one()?, ctx).ok()?;
                if is_one(&divisor) {
                    return Some(candidate);
                }
            }
        }
    }
}

/// Whether two primes are far enough apart (FIPS 186-5, A.1.3).
fn far_apart(p: &Secret, q: &Secret, half: usize) -> Option<bool> {
    const MARGIN: usize = 100;
    let mut difference = Secret::new()?;
    difference.checked_sub(p, q).ok()?;
    Some(usize::try_from(difference.num_bits()).ok()? + MARGIN > half)
}

static P256: LazyLock<Option<EcGroup>> =
    LazyLock::new(|| EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).ok());

fn p256() -> Option<&'static EcGroupRef> {
    P256.as_ref().map(|group| &**group)
}

/// So often is a scalar drawn before the random source counts as broken.
const MOST_DRAWS: usize = 64;

/// A private key: a number from 1 to the order less 1.
fn p256_scalar(bytes: &[u8], ctx: &mut BigNumContext) -> Option<Secret> {
    let scalar = Secret::read(bytes)?;
    let mut order = BigNum::new().ok()?;
    p256()?.order(&mut order, ctx).ok()?;
    (scalar.num_bits() > 0 && scalar.ucmp(&order) == Ordering::Less).then_some(scalar)
}

fn p256_pair(scalar: &Secret, ctx: &mut BigNumContext) -> Option<EcKey<Private>> {
    let group = p256()?;
    let mut point = EcPoint::new(group).ok()?;
    point.mul_generator2(group, scalar, ctx).ok()?;
    EcKey::from_private_components(group, scalar, &point).ok()
}

/// The hash function of this length, for the derivation of the nonce.
fn digest(len: usize) -> Option<&'static MdRef> {
    Some(match len {
        20 => Md::sha1(),
        28 => Md::sha224(),
        32 => Md::sha256(),
        48 => Md::sha384(),
        64 => Md::sha512(),
        _ => return None,
    })
}

impl CryptoProvider for Native {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn rsa_raw(&self, modulus: &[u8], exponent: &[u8], input: &[u8]) -> Option<Vec<u8>> {
        let mut ctx = BigNumContext::new().ok()?;
        let n = BigNum::from_slice(modulus).ok()?;
        let (exponent, input) = (Secret::read(exponent)?, Secret::read(input)?);
        if n.is_even() || input.ucmp(&n) != Ordering::Less {
            return None;
        }
        let mut out = Secret::new()?;
        out.mod_exp(&input, &exponent, &n, &mut ctx).ok()?;
        fixed(&out, modulus.len())
    }

    fn rsa_crt(&self, key: &RsaCrt, input: &[u8]) -> Option<Vec<u8>> {
        let mut ctx = BigNumContext::new().ok()?;
        let rsa = prepare(key, &mut ctx)?;
        let number = Secret::read(input)?;
        if number.ucmp(rsa.n()) != Ordering::Less {
            return None;
        }
        let size = usize::try_from(rsa.size()).ok()?;
        let mut out = Zeroizing::new(vec![0; size]);
        let input = Zeroizing::new(fixed(&number, size)?);
        rsa.private_encrypt(&input, &mut out, Padding::NONE).ok()?;
        let result = Secret::read(&out)?;
        let mut back = Secret::new()?;
        back.mod_exp(&result, rsa.e(), rsa.n(), &mut ctx).ok()?;
        if back.ucmp(&number) != Ordering::Equal {
            return None;
        }
        fixed(&result, key.p.len() + key.q.len())
    }

    fn rsa_generate(&self, bits: usize, exponent: &[u8], rng: &mut dyn CardRng) -> Option<RsaPrivate> {
        let mut ctx = BigNumContext::new().ok()?;
        let e = BigNum::from_slice(exponent).ok()?;
        if bits < 512 || bits % 16 != 0 || e.is_even() || e.num_bits() < 2 {
            return None;
        }
        let half = bits / 2;
        let (p, q) = loop {
            let (p, q) = (prime(half, &e, rng, &mut ctx)?, prime(half, &e, rng, &mut ctx)?);
            if far_apart(&p, &q, half)? {
                break if p.ucmp(&q) == Ordering::Greater { (p, q) } else { (q, p) };
            }
        };
        let (p1, q1) = (p.minus_one()?, q.minus_one()?);
        let (mut n, mut phi, mut divisor, mut lambda) =
            (BigNum::new().ok()?, Secret::new()?, Secret::new()?, Secret::new()?);
        n.checked_mul(&p, &q, &mut ctx).ok()?;
        phi.checked_mul(&p1, &q1, &mut ctx).ok()?;
        divisor.gcd(&p1, &q1, &mut ctx).ok()?;
        lambda.checked_div(&phi, &divisor, &mut ctx).ok()?;
        let d = inverse(&e, &lambda, &mut ctx)?;
        let one = BigNum::from_u32(1).ok()?;
        let dp = product(&d, &one, &p1, &mut ctx)?;
        let dq = product(&d, &one, &q1, &mut ctx)?;
        let q_inverse = inverse(&q, &p, &mut ctx)?;
        Some(RsaPrivate {
            modulus: fixed(&n, bits / 8)?,
            public_exponent: exponent.to_vec(),
            private_exponent: fixed(&d, bits / 8)?,
            crt: RsaCrt {
                p: fixed(&p, half / 8)?,
                q: fixed(&q, half / 8)?,
                dp: fixed(&dp, half / 8)?,
                dq: fixed(&dq, half / 8)?,
                q_inverse: fixed(&q_inverse, half / 8)?,
            },
        })
    }

    fn p256_generate(&self, rng: &mut dyn CardRng) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut ctx = BigNumContext::new().ok()?;
        let mut bytes = Zeroizing::new(vec![0; 32]);
        // What is zero or not below the order is drawn again: one in 2^32.
        let scalar = (0..MOST_DRAWS).find_map(|_| {
            rng.fill_bytes(&mut bytes);
            p256_scalar(&bytes, &mut ctx)
        })?;
        let pair = p256_pair(&scalar, &mut ctx)?;
        let point = pair.public_key().to_bytes(p256()?, PointConversionForm::UNCOMPRESSED, &mut ctx).ok()?;
        Some((bytes.to_vec(), point))
    }

    fn p256_sign(&self, private: &[u8], hash: &[u8]) -> Option<Vec<u8>> {
        let mut ctx = BigNumContext::new().ok()?;
        let scalar = p256_scalar(private, &mut ctx)?;
        let key = PKey::from_ec_key(p256_pair(&scalar, &mut ctx)?).ok()?;
        let mut signer = PkeyCtx::new(&key).ok()?;
        signer.sign_init().ok()?;
        signer.set_signature_md(digest(hash.len())?).ok()?;
        signer.set_nonce_type(NonceType::DETERMINISTIC_K).ok()?;
        let mut signature = Vec::new();
        signer.sign_to_vec(hash, &mut signature).ok()?;
        Some(signature)
    }

    fn p256_verify(&self, public: &[u8], hash: &[u8], signature: &[u8]) -> bool {
        let verify = || {
            let group = p256()?;
            let point = EcPoint::from_bytes(group, public, &mut *BigNumContext::new().ok()?).ok()?;
            let key = EcKey::from_public_key(group, &point).ok()?;
            key.check_key().ok()?;
            let key = PKey::from_ec_key(key).ok()?;
            let mut verifier = PkeyCtx::new(&key).ok()?;
            verifier.verify_init().ok()?;
            verifier.verify(hash, signature).ok()
        };
        verify().unwrap_or(false)
    }
}
