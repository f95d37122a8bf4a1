//! Suites of code: where data cannot say it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;

use crate::run::bench::{Bench, Values};
use crate::run::outcome::{Figure, Verdict};
use crate::run::runner::Options;
use crate::suite::model::{CardState, Changes, Need};

/// A suite of code.
#[derive(Clone, Copy)]
pub struct Coded {
    /// Stable name.
    pub id: &'static str,
    /// What it is about, in English.
    pub title: &'static str,
    /// The same in Japanese.
    pub title_ja: &'static str,
    /// Its tests.
    pub tests: &'static [Test],
}

/// One test of code.
pub struct Test {
    /// Stable name.
    pub id: &'static str,
    /// What is tried, in English.
    pub name: &'static str,
    /// The same in Japanese.
    pub name_ja: &'static str,
    /// Why it must be so.
    pub reason: &'static str,
    /// The state it begins with.
    pub state: CardState,
    /// What it leaves.
    pub changes: Changes,
    /// What it needs.
    pub needs: &'static [Need],
    /// Does it.
    pub run: fn(&mut Context<'_>) -> Verdict,
}

/// What a test of code works with.
pub struct Context<'c> {
    /// The card.
    pub bench: &'c mut dyn Bench,
    /// Values of the state.
    pub values: Values,
    /// Figures measured.
    pub figures: &'c mut BTreeMap<String, Figure>,
    /// Chance, repeatable.
    pub rng: ChaCha20Rng,
    /// How the run goes.
    pub options: &'c Options,
    /// Remarks for people.
    pub remarks: &'c mut Vec<String>,
}

/// All suites of code.
pub const ALL: &[Coded] = &[];
