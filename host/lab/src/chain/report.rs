//! What a run leaves in `summary.json`. Field names are stable; `schema` changes when their meaning does.

use serde::Serialize;

use super::access::Admitted;
use super::must_fail::Refused;

/// One thing learnt in a step: a stable name and a value for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Stable name.
    pub name: &'static str,
    /// Its value; never a secret.
    pub value: String,
}

impl Fact {
    /// A fact.
    // By value, so that numbers and AIDs need no borrow at every call.
    #[allow(clippy::needless_pass_by_value)]
    pub fn new(name: &'static str, value: impl ToString) -> Self {
        Self { name, value: value.to_string() }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// [`super::Step::id`].
    pub step: &'static str,
    /// Milliseconds.
    pub ms: f64,
    /// APDUs exchanged.
    pub apdus: u64,
    /// Bytes exchanged, both ways.
    pub bytes: u64,
    /// What was learnt.
    pub facts: Vec<Fact>,
}

/// The whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Name and version of this form.
    pub schema: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Reader, or kind of simulation.
    pub card: String,
    /// Token label.
    pub token: String,
    /// The card's identity.
    pub identity: Vec<Fact>,
    /// The SP-TSM's record: public keys, serial numbers, counters; never a secret.
    pub personalization: serde_json::Value,
    /// The steps, in order.
    pub steps: Vec<StepReport>,
    /// What came of the apps' attempts; empty on a card without ARA-M.
    pub access: Vec<Admitted>,
    /// What was refused, as it must be.
    pub must_fail: Vec<Refused>,
    /// `accepted`, or `not-installed` when the second check could not be made.
    pub openssl: &'static str,
    /// APDUs exchanged.
    pub apdus: u64,
    /// Bytes exchanged, both ways.
    pub bytes: u64,
    /// Milliseconds from first to last command.
    pub ms: f64,
}

impl Summary {
    /// The form's name.
    pub const SCHEMA: &'static str = "jpkise-demo 1";

    /// The file's content: JSON with a final line feed.
    pub fn to_json(&self) -> Vec<u8> {
        // Numbers, strings and lists only: serialising cannot fail.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}
