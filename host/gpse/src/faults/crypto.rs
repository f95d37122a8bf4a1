//! Public-key arithmetic with a fault: what the applet pads is not what is signed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use jpkise_jcvm::{CardRng, CryptoProvider, RsaCrt, RsaPrivate};

/// A provider whose RSA private operation changes a block of type 01 into one of type 02 (RFC 8017 section 9.2).
#[derive(Debug)]
pub(crate) struct FaultyCrypto {
    pub inner: Arc<dyn CryptoProvider>,
    /// Only while this is set; proofs of possession stay right.
    pub signing: Arc<AtomicBool>,
}

impl FaultyCrypto {
    fn with_wrong_type(&self, input: &[u8]) -> Vec<u8> {
        let mut block = input.to_vec();
        if let ([0, kind @ 1, ..], true) = (block.as_mut_slice(), self.signing.load(Ordering::Relaxed)) {
            *kind = 2;
        }
        block
    }
}

impl CryptoProvider for FaultyCrypto {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn rsa_raw(&self, modulus: &[u8], exponent: &[u8], input: &[u8]) -> Option<Vec<u8>> {
        self.inner.rsa_raw(modulus, exponent, &self.with_wrong_type(input))
    }

    fn rsa_crt(&self, key: &RsaCrt, input: &[u8]) -> Option<Vec<u8>> {
        self.inner.rsa_crt(key, &self.with_wrong_type(input))
    }

    fn rsa_generate(&self, bits: usize, exponent: &[u8], rng: &mut dyn CardRng) -> Option<RsaPrivate> {
        self.inner.rsa_generate(bits, exponent, rng)
    }

    fn p256_generate(&self, rng: &mut dyn CardRng) -> Option<(Vec<u8>, Vec<u8>)> {
        self.inner.p256_generate(rng)
    }

    fn p256_sign(&self, private: &[u8], hash: &[u8]) -> Option<Vec<u8>> {
        self.inner.p256_sign(private, hash)
    }

    fn p256_verify(&self, public: &[u8], hash: &[u8], signature: &[u8]) -> bool {
        self.inner.p256_verify(public, hash, signature)
    }
}
