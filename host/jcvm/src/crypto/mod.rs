//! Cryptography behind the API: hashes and block ciphers here, public-key operations behind a trait.

mod block;
mod hash;
#[cfg(feature = "native-crypto")]
mod native;
pub(crate) mod padding;
mod rustcrypto;

pub(crate) use block::{cbc_decrypt, cbc_encrypt, cmac, ecb, Aes, BLOCK, BLOCK_LENGTH};
pub(crate) use hash::{Hash, HashAlgorithm};
#[cfg(feature = "native-crypto")]
pub use native::Native;
pub use rustcrypto::RustCrypto;

use std::sync::Arc;

use rand::rngs::OsRng;
use rand::{CryptoRng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An RSA key, numbers big-endian without a fixed length.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RsaPrivate {
    /// n
    pub modulus: Vec<u8>,
    /// e
    pub public_exponent: Vec<u8>,
    /// d
    pub private_exponent: Vec<u8>,
    /// The CRT form.
    pub crt: RsaCrt,
}

/// An RSA private key as RSAPrivateCrtKey has it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RsaCrt {
    /// p
    pub p: Vec<u8>,
    /// q
    pub q: Vec<u8>,
    /// d mod (p - 1)
    pub dp: Vec<u8>,
    /// d mod (q - 1)
    pub dq: Vec<u8>,
    /// q^-1 mod p
    pub q_inverse: Vec<u8>,
}

/// What a random source must be.
pub trait CardRng: RngCore + CryptoRng {}
impl<T: RngCore + CryptoRng> CardRng for T {}

/// Public-key operations. `None` means that key or input is not usable (number not below the modulus, no such curve
/// point, key size not supported).
pub trait CryptoProvider: std::fmt::Debug + Send + Sync {
    /// Short name: `openssl`, `rustcrypto`.
    fn name(&self) -> &'static str;

    /// `input^exponent mod modulus`, as long as the modulus.
    fn rsa_raw(&self, modulus: &[u8], exponent: &[u8], input: &[u8]) -> Option<Vec<u8>>;

    /// The private operation with the Chinese remainder theorem, `p.len() + q.len()` bytes. The result is checked with
    /// the public exponent: a wrong one would give the primes away. `None` also when the key's parts do not fit each
    /// other.
    fn rsa_crt(&self, key: &RsaCrt, input: &[u8]) -> Option<Vec<u8>>;

    /// A new key pair with exactly that many bits in its modulus.
    fn rsa_generate(&self, bits: usize, exponent: &[u8], rng: &mut dyn CardRng) -> Option<RsaPrivate>;

    /// A new P-256 key pair: private scalar, 32 bytes, and public point, 65 bytes.
    fn p256_generate(&self, rng: &mut dyn CardRng) -> Option<(Vec<u8>, Vec<u8>)>;

    /// ECDSA over P-256 of a hash; DER signature.
    fn p256_sign(&self, private: &[u8], hash: &[u8]) -> Option<Vec<u8>>;

    /// Whether a DER signature is right.
    fn p256_verify(&self, public: &[u8], hash: &[u8], signature: &[u8]) -> bool;
}

/// Every backend of this build, the one that cards take unless told otherwise first.
pub fn crypto_providers() -> Vec<Arc<dyn CryptoProvider>> {
    vec![
        #[cfg(feature = "native-crypto")]
        Arc::new(Native),
        Arc::new(RustCrypto),
    ]
}

/// What cards take unless told otherwise: OpenSSL where it is built in.
pub fn default_crypto() -> Arc<dyn CryptoProvider> {
    #[cfg(feature = "native-crypto")]
    return Arc::new(Native);
    #[cfg(not(feature = "native-crypto"))]
    return Arc::new(RustCrypto);
}

/// Where a card's random numbers come from.
#[derive(Debug, Clone)]
pub enum Random {
    /// The operating system.
    System,
    /// A seed, so that a run can be repeated. For tests only.
    Seeded(Box<ChaCha20Rng>),
}

impl Random {
    /// A repeatable source.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        match self {
            Self::System => OsRng.next_u32(),
            Self::Seeded(rng) => rng.next_u32(),
        }
    }

    fn next_u64(&mut self) -> u64 {
        match self {
            Self::System => OsRng.next_u64(),
            Self::Seeded(rng) => rng.next_u64(),
        }
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        match self {
            Self::System => OsRng.fill_bytes(dest),
            Self::Seeded(rng) => rng.fill_bytes(dest),
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        match self {
            Self::System => OsRng.try_fill_bytes(dest),
            Self::Seeded(rng) => rng.try_fill_bytes(dest),
        }
    }
}

impl CryptoRng for Random {}

/// What a Cipher, Signature or MessageDigest object holds between two calls. It is volatile: after a reset the object
/// is as its `init` left it.
#[derive(Clone)]
pub(crate) enum Engine {
    Hash(Hash),
    /// Input that has not been worked on, and the chaining block.
    Buffer {
        pending: Vec<u8>,
        chain: [u8; BLOCK],
    },
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Self::Buffer { pending, chain } = self {
            pending.zeroize();
            chain.zeroize();
        }
    }
}
