//! Randomness is injected: the caller decides between the system's and a fixed one in a test.

use rand::{CryptoRng, RngCore};

/// A cryptographic random number generator behind a reference: `&mut rand::rngs::OsRng` fits.
pub trait SecureRandom: RngCore + CryptoRng {}

impl<R: RngCore + CryptoRng + ?Sized> SecureRandom for R {}
