//! The card's source of random bytes: the operating system's, or a seeded one for repeatable tests.

use rand::rngs::OsRng;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Where random bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Randomness {
    /// The operating system.
    #[default]
    System,
    /// ChaCha20 from this seed: every run gives the same card. For tests and recordings only.
    Seeded(u64),
}

/// The source itself.
#[derive(Debug)]
pub(crate) struct Random(Option<Box<ChaCha20Rng>>);

impl Random {
    pub(crate) fn new(randomness: Randomness) -> Self {
        match randomness {
            Randomness::System => Self(None),
            Randomness::Seeded(seed) => Self(Some(Box::new(ChaCha20Rng::seed_from_u64(seed)))),
        }
    }

    /// Fills `out`; `false` when the operating system has no randomness to give.
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> bool {
        match &mut self.0 {
            Some(seeded) => {
                seeded.fill_bytes(out);
                true
            }
            None => OsRng.try_fill_bytes(out).is_ok(),
        }
    }
}
