//! Public-key arithmetic with a fault: what the applet pads is not what is signed.

use std::sync::Arc;

use jpkise_jcvm::{Card, CardRng, CryptoProvider, RsaCrt, RsaPrivate};

/// One call on a card whose padding is wrong. The card itself computes as before, and so does every clone of it.
pub(crate) fn with_wrong_padding<T>(card: &mut Card, call: impl FnOnce(&mut Card) -> T) -> T {
    let sound = card.crypto_mut().clone();
    *card.crypto_mut() = Arc::new(FaultyCrypto { inner: sound.clone() });
    let result = call(card);
    *card.crypto_mut() = sound;
    result
}

/// A provider whose RSA private operation changes a block of type 01 into one of type 02 (RFC 8017 section 9.2).
#[derive(Debug)]
struct FaultyCrypto {
    inner: Arc<dyn CryptoProvider>,
}

fn with_wrong_type(input: &[u8]) -> Vec<u8> {
    let mut block = input.to_vec();
    if let [0, kind @ 1, ..] = block.as_mut_slice() {
        *kind = 2;
    }
    block
}

impl CryptoProvider for FaultyCrypto {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn rsa_raw(&self, modulus: &[u8], exponent: &[u8], input: &[u8]) -> Option<Vec<u8>> {
        self.inner.rsa_raw(modulus, exponent, &with_wrong_type(input))
    }

    fn rsa_crt(&self, key: &RsaCrt, input: &[u8]) -> Option<Vec<u8>> {
        self.inner.rsa_crt(key, &with_wrong_type(input))
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
