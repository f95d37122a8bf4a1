//! Vector files of access control (format `gp-se vectors 1`), run against rule coding, decisions, filters and APKs.
//!
//! | type | is run against |
//! |---|---|
//! | `rule`, `rule-malformed`, `paging` | what a reader makes of an ARA-M's answers, both ways |
//! | `store-data-status`, `store-data-apdu` | command objects and what an ARA-M does with them |
//! | `decision`, `apdu-filter` | the enforcer |
//! | `apk` | the reader of APK signatures; the file lies beside the vector file |

mod decisions;
mod files;
mod rules;

use std::path::Path;

use jpkise_gp::vectors::{Mismatch, VectorFileOf};
use serde::Deserialize;
use serde_json::Value;

use decisions::{ApduFilter, DecisionVector};
use files::Apk;
use rules::{Malformed, Paging, RuleVector, StoreDataApdu, StoreDataStatus};

/// A file of known answers of access control.
pub type VectorFile = VectorFileOf<Vector>;

/// One known answer.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// Its name, unique over all files.
    pub id: String,
    #[serde(flatten)]
    check: Check,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Check {
    Rule(RuleVector),
    RuleMalformed(Malformed),
    StoreDataStatus(StoreDataStatus),
    StoreDataApdu(StoreDataApdu),
    Decision(DecisionVector),
    ApduFilter(ApduFilter),
    Paging(Paging),
    Apk(Apk),
}

impl Vector {
    /// The types such a file holds.
    pub const TYPES: [&'static str; 8] = [
        "rule",
        "rule-malformed",
        "store-data-status",
        "store-data-apdu",
        "decision",
        "apdu-filter",
        "paging",
        "apk",
    ];

    /// Runs it. `folder` is where the vector file lies: APKs are named from there.
    pub fn run(&self, folder: &Path) -> Result<(), Mismatch> {
        match &self.check {
            Check::Rule(v) => v.run(),
            Check::RuleMalformed(v) => v.run(),
            Check::StoreDataStatus(v) => v.run(),
            Check::StoreDataApdu(v) => v.run(),
            Check::Decision(v) => v.run(),
            Check::ApduFilter(v) => v.run(),
            Check::Paging(v) => v.run(),
            Check::Apk(v) => v.run(folder),
        }
    }
}

/// An error where a value was expected.
fn wrong(item: &str, error: &impl ToString) -> Mismatch {
    Mismatch::new(item, "success", error.to_string())
}

fn same_bytes(item: &str, expected: &[u8], found: &[u8]) -> Result<(), Mismatch> {
    if expected == found {
        Ok(())
    } else {
        Err(Mismatch::new(item, hex::encode(expected), hex::encode(found)))
    }
}

fn same(item: &str, expected: &Value, found: &Value) -> Result<(), Mismatch> {
    if expected == found {
        Ok(())
    } else {
        Err(Mismatch::new(item, expected, found))
    }
}

/// A byte string, written in hexadecimal.
#[derive(Debug, Clone, Deserialize)]
struct Bytes(#[serde(with = "hex::serde")] Vec<u8>);
