//! Vector files, each given to the part that it is about: SCP03 to `gp` and, for the card's side, to the simulated card;
//! access control to `omapi`.

use std::path::{Path, PathBuf};

use jpkise_gp::vectors::{self as scp03, Mismatch, VectorFileError, Verdict};
use jpkise_omapi::vectors as access;
use serde::Deserialize;

use crate::card_vectors::CardVector;

/// What came of a file's vectors, by their names.
#[derive(Debug, Default)]
pub struct FileReport {
    /// What the file is about, in its own words.
    pub description: String,
    /// As expected.
    pub passed: Vec<String>,
    /// As far as the off-card side sees it, as expected; the fault itself is for a card to find.
    pub other_end: Vec<String>,
    /// Something differs.
    pub failed: Vec<(String, Mismatch)>,
}

/// A file that gives no vectors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no vector file, or one with vectors of a type that nothing here runs.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VectorFileError,
    },
}

/// Just enough of a file to tell whom it is for.
#[derive(Deserialize)]
struct Types {
    #[serde(default)]
    vectors: Vec<Type>,
}

#[derive(Deserialize)]
struct Type {
    #[serde(rename = "type")]
    name: String,
}

#[derive(Deserialize)]
struct CardFile {
    vectors: Vec<CardVector>,
}

/// Runs a file.
pub fn run_file(path: &Path) -> Result<FileReport, VectorsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| VectorsError::Io { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    run_text(&text, folder).map_err(|source| VectorsError::File { path: path.to_owned(), source })
}

fn run_text(text: &str, folder: &Path) -> Result<FileReport, VectorFileError> {
    let types: Types = serde_json::from_str(text)?;
    let of_access = types.vectors.iter().any(|v| access::Vector::TYPES.contains(&v.name.as_str()));
    let mut report = FileReport::default();
    if of_access {
        let file = access::VectorFile::parse(text)?;
        report.description = file.description;
        for vector in file.vectors {
            report.take(vector.run(folder).map(|()| Verdict::Passed), vector.id);
        }
    } else {
        let file = scp03::VectorFile::parse(text)?;
        let cards: CardFile = serde_json::from_str(text)?;
        report.description = file.description;
        for (vector, card) in file.vectors.into_iter().zip(cards.vectors) {
            // A session has two ends: both must come out as recorded.
            let outcome = vector.run().and_then(|host| match card.run() {
                None => Ok(host),
                Some(card) => card.map(|()| Verdict::Passed),
            });
            report.take(outcome, vector.id);
        }
    }
    Ok(report)
}

impl FileReport {
    fn take(&mut self, outcome: Result<Verdict, Mismatch>, id: String) {
        match outcome {
            Ok(Verdict::Passed) => self.passed.push(id),
            Ok(Verdict::OtherEnd) => self.other_end.push(id),
            Err(mismatch) => self.failed.push((id, mismatch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    #[test]
    fn each_file_goes_to_the_part_it_is_about() {
        for (file, at_least) in [
            ("gp/tests/data/scp03.json", 14),
            ("omapi/tests/data/rules.json", 5),
            ("omapi/tests/data/decisions.json", 12),
            ("omapi/tests/data/apk.json", 4),
        ] {
            let report = run_file(&host(file)).unwrap();
            let passed = report.passed.len() + report.other_end.len();
            assert!(report.failed.is_empty() && passed >= at_least, "{file}: {report:?}");
        }
    }

    #[test]
    fn what_differs_is_named_and_what_is_no_vector_file_is_refused() {
        let filter = r#"{"format":"gp-se vectors 1","vectors":[{"id":"f","type":"apdu-filter",
            "filters":[{"header":"00000000","mask":"00000000"}],"command":"00a40000","allowed":false}]}"#;
        let report = run_text(filter, Path::new("")).unwrap();
        assert_eq!((report.passed.len(), report.failed.len()), (0, 1));
        assert_eq!(report.failed[0].1.to_string(), "allowed: expected false, found true");
        for text in ["", "[]", r#"{"format":"gp-se vectors 1","vectors":[{"id":"x","type":"none"}]}"#] {
            assert!(run_text(text, Path::new("")).is_err(), "{text}");
        }
        assert!(matches!(run_file(Path::new("no-such-file")), Err(VectorsError::Io { .. })));
    }
}
