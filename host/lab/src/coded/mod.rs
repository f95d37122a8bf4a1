//! Suites of code: where data cannot say it.

pub mod fuzz;
mod omapi;
mod pcsc;
mod perf;
mod soak;
mod tear;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;

use crate::run::bench::{Bench, Values};
use crate::run::outcome::{Figure, Mismatch, Verdict};
use crate::run::runner::{Ask, Options};
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
    /// Asks the person at the reader.
    pub ask: &'c dyn Fn(Ask),
    /// Remarks for people.
    pub remarks: &'c mut Vec<String>,
}

/// Why a test of code ends before its end.
#[derive(Debug)]
pub enum Stop {
    /// The card did otherwise than it must.
    Differs(Vec<Mismatch>),
    /// It cannot be judged.
    Broken(String),
}

impl Stop {
    /// One difference.
    pub fn differs(place: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Differs(vec![Mismatch::new(place, expected, found)])
    }

    /// Cannot be judged, for this reason.
    pub fn broken(why: impl fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }
}

/// What a step of a test came to; `doing` names the step for people.
pub(crate) fn verdict(result: Result<(), Stop>, doing: &str) -> Verdict {
    match result {
        Ok(()) => Verdict::Passed,
        Err(Stop::Broken(why)) => Verdict::Broken { why },
        Err(Stop::Differs(mismatches)) => {
            Verdict::Failed { step: 0, line: 0, doing: doing.to_owned(), mismatches }
        }
    }
}

impl Context<'_> {
    /// Adds a time to a figure.
    pub fn time(&mut self, name: &str, took: Duration) {
        self.figure(name, "ms", took.as_secs_f64() * 1000.0);
    }

    /// Adds a value to a figure.
    pub fn figure(&mut self, name: &str, unit: &str, value: f64) {
        let figure = self.figures.entry(name.to_owned()).or_default();
        unit.clone_into(&mut figure.unit);
        figure.values.push(value);
    }

    /// A remark for people.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// The key set of that name.
    pub fn keys(&self, name: &str) -> Result<std::rc::Rc<dyn jpkise_gp::keys::KeySource>, Stop> {
        self.bench.keys(name).ok_or_else(|| Stop::broken(format!("no keys {name}")))
    }
}

/// A state of the applet in which both keys can be used.
pub(crate) const ACTIVE: CardState = CardState::Jpki {
    auth: crate::suite::model::Stage::Active,
    sign: crate::suite::model::Stage::Active,
    plastic: false,
};
/// The applet installed, without keys.
pub(crate) const INSTALLED: CardState = CardState::Jpki {
    auth: crate::suite::model::Stage::Empty,
    sign: crate::suite::model::Stage::Empty,
    plastic: false,
};

/// All suites of code.
pub const ALL: &[Coded] = &[omapi::SUITE, pcsc::SUITE, perf::SUITE, tear::SUITE, soak::SUITE, fuzz::SUITE];
