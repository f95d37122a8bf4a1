//! What a run leaves: a page for people, JSON and JUnit for programs, and a manifest over all of it.
//!
//! | file | content |
//! |---|---|
//! | `report.html` | one file, no network, no script |
//! | `report.json` | [`RunReport`], with the number of its schema |
//! | `junit.xml` | a test suite per suite and target |
//! | `trace.jsonl`, `trace-2.jsonl` … | every exchange of each target |
//! | `manifest.sha256` | digests of all of them; `sha256sum -c` checks it |

mod environment;
mod html;
mod junit;
pub mod plots;
pub mod statistics;
pub mod terms;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::files::{write_whole, FileError};
use crate::run::TargetReport;

pub use environment::environment;
pub(crate) use html::engine;
pub use html::{html, HtmlError, Words};
pub use junit::junit;
pub use statistics::Summary;

/// Version of `report.json`: raised when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// The title of a suite in both languages.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteTitle {
    /// Stable name.
    pub id: String,
    /// In English.
    pub title: String,
    /// In Japanese.
    pub title_ja: String,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program.
    pub version: &'static str,
    /// When it began (RFC 3339, UTC).
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// Whether somebody stopped it.
    pub stopped: bool,
    /// Seed of everything random in it.
    pub seed: u64,
    /// The machine: name and value.
    pub environment: Vec<(String, String)>,
    /// Suites that ran.
    pub suites: Vec<SuiteTitle>,
    /// A column each.
    pub targets: Vec<TargetReport>,
}

impl RunReport {
    /// Around what came of the targets.
    pub fn new(
        started: OffsetDateTime,
        seed: u64,
        suites: Vec<SuiteTitle>,
        targets: Vec<TargetReport>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            started: started.format(&Rfc3339).unwrap_or_default(),
            seconds: (OffsetDateTime::now_utc() - started).as_seconds_f64(),
            stopped: false,
            seed,
            environment: environment(),
            suites,
            targets,
        }
    }

    /// How many cases came out as `verdict`, over all targets.
    pub fn count(&self, verdict: &str) -> usize {
        self.targets.iter().map(|t| t.count(verdict)).sum()
    }

    /// Whether every card did as it must, as far as it was asked, and every target could be opened.
    pub fn is_good(&self) -> bool {
        self.targets.iter().all(|t| t.error.is_none() && t.cases.iter().all(|c| c.verdict.is_good()))
    }
}

/// Why a report is not whole. What could be written was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The page.
    #[error(transparent)]
    Html(#[from] HtmlError),
    /// JSON.
    #[error("report.json: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes the report into `folder`. A file that cannot be written does not keep the others from being so; the first
/// error comes back. `traces` are those that lie there already.
pub fn write(
    folder: &Path,
    report: &RunReport,
    words: &Words<'_>,
    traces: &[PathBuf],
) -> Result<(), ReportError> {
    let mut first = None;
    let mut note = |result: Result<(), ReportError>| {
        if let Err(error) = result {
            first.get_or_insert(error);
        }
    };
    let file = |name: &str, content: Result<Vec<u8>, ReportError>| -> Result<(), ReportError> {
        Ok(write_whole(&folder.join(name), &content?)?)
    };
    note(file("report.json", serde_json::to_vec_pretty(report).map_err(ReportError::from)));
    note(file("junit.xml", Ok(junit(report).into_bytes())));
    note(file("report.html", html(report, words).map(String::into_bytes).map_err(ReportError::from)));
    let names = ["report.html", "report.json", "junit.xml"].into_iter().map(|n| folder.join(n));
    let manifest = manifest(&names.chain(traces.iter().cloned()).collect::<Vec<_>>());
    note(file("manifest.sha256", Ok(manifest.into_bytes())));
    first.map_or(Ok(()), Err)
}

/// Digests of the files that are there, in the form of `sha256sum`.
fn manifest(files: &[PathBuf]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for path in files {
        let (Ok(bytes), Some(name)) = (std::fs::read(path), path.file_name()) else { continue };
        // Writing to a String does not fail.
        let _ = writeln!(out, "{}  {}", hex::encode(Sha256::digest(&bytes)), name.to_string_lossy());
    }
    out
}
