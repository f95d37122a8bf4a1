//! Evidence of a run as it lies on disk: whether it is whole, and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use jpkise_card::trace::ExchangeRecord;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::report::SCHEMA;

const REPORT: &str = "report.json";
const MANIFEST: &str = "manifest.sha256";

/// Why evidence cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The report is none.
    #[error("{}: {source}", path.display())]
    Report {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The report's schema is not the one this program knows.
    #[error("{}: schema {found}, this program understands {SCHEMA}", path.display())]
    Schema {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// The report has no such target, or several that the name fits.
    #[error("{}: {wanted:?} names none, or more than one, of {names:?}", path.display())]
    Target {
        /// Which.
        path: PathBuf,
        /// Named.
        wanted: String,
        /// There.
        names: Vec<String>,
    },
    /// The report has several targets, and none is named.
    #[error("{}: which of {names:?}?", path.display())]
    Unnamed {
        /// Which.
        path: PathBuf,
        /// There.
        names: Vec<String>,
    },
}

/// What the manifest says of the files beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "manifest", content = "files")]
pub enum Integrity {
    /// Every file is there as it was written.
    Whole,
    /// Files that are not as the manifest says: changed, gone, or its line is none.
    Changed(Vec<String>),
    /// A folder without manifest.
    NoManifest,
    /// A report by itself, without a manifest beside it.
    NotChecked,
}

impl Integrity {
    /// Whether something speaks against the evidence.
    pub fn is_doubtful(&self) -> bool {
        matches!(self, Self::Changed(_) | Self::NoManifest)
    }
}

/// A report as it was written.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    /// Version of the program that wrote it.
    pub version: String,
    /// When the run began.
    pub started: String,
    /// Whether somebody stopped it.
    pub stopped: bool,
    /// Its seed.
    pub seed: u64,
    /// The machine.
    pub environment: Vec<(String, String)>,
    /// A column each.
    pub targets: Vec<TargetFile>,
}

/// A target of a report.
#[derive(Debug, Clone, Deserialize)]
pub struct TargetFile {
    /// Name.
    pub name: String,
    /// `simulated` or `reader`.
    pub kind: String,
    /// What the card tells.
    pub identity: Vec<(String, String)>,
    /// Why it could not be opened.
    #[serde(default)]
    pub error: Option<String>,
    /// Its cases.
    pub cases: Vec<CaseFile>,
    /// Its figures.
    pub figures: BTreeMap<String, FigureFile>,
    /// What happened at the reader.
    pub events: Vec<(f64, String)>,
    /// APDUs exchanged.
    pub apdus: u64,
    /// Seconds.
    pub seconds: f64,
}

/// A figure of a report.
#[derive(Debug, Clone, Deserialize)]
pub struct FigureFile {
    /// Unit.
    pub unit: String,
    /// In the order in which they were measured. What JSON has no number for is `null` there.
    pub values: Vec<Option<f64>>,
}

/// A case of a report.
#[derive(Debug, Clone, Deserialize)]
pub struct CaseFile {
    /// Suite.
    pub suite: String,
    /// Case.
    pub id: String,
    /// What is tried.
    pub name: String,
    /// The same in Japanese.
    #[serde(default)]
    pub name_ja: Option<String>,
    /// How it came out.
    #[serde(flatten)]
    pub verdict: VerdictFile,
    /// Its exchanges.
    pub exchanges: Vec<ExchangeRecord>,
    /// Remarks.
    #[serde(default)]
    pub remarks: Vec<String>,
}

impl CaseFile {
    /// `suite/id`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.suite, self.id)
    }
}

/// A verdict of a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum VerdictFile {
    /// As it must.
    Passed,
    /// Otherwise.
    Failed {
        /// The step.
        step: usize,
        /// What was done in it.
        doing: String,
        /// What differs.
        mismatches: Vec<MismatchFile>,
    },
    /// Not judged.
    Broken {
        /// Why.
        why: String,
    },
    /// Not run.
    Skipped {
        /// Kind of reason.
        skip: String,
        /// What belongs to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

impl VerdictFile {
    /// Stable name.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Broken { .. } => "broken",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// A difference between what was due and what came.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct MismatchFile {
    /// The place.
    pub place: String,
    /// What was due.
    pub expected: String,
    /// What came.
    pub found: String,
}

/// Which evidence, and which target of it: `FOLDER`, `FOLDER/report.json`, either with `#TARGET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Folder or report.
    pub path: PathBuf,
    /// Name of the target, a part of it, or its number from 1.
    pub target: Option<String>,
}

impl Source {
    /// From an argument. What exists under the whole name is that, `#` or not.
    pub fn parse(argument: &str) -> Self {
        let whole = Path::new(argument);
        match argument.rsplit_once('#') {
            Some((path, target)) if !whole.exists() && !target.is_empty() => {
                Self { path: path.into(), target: Some(target.to_owned()) }
            }
            _ => Self { path: whole.to_owned(), target: None },
        }
    }
}

/// A report that was read, and whether the folder around it is whole.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The report's file.
    pub path: PathBuf,
    /// What the manifest says.
    pub integrity: Integrity,
    /// The report.
    pub report: Report,
}

impl Evidence {
    /// Reads a folder, or a report by itself.
    pub fn read(path: &Path) -> Result<Self, EvidenceError> {
        let is_folder = path.is_dir();
        let file = if is_folder { path.join(REPORT) } else { path.to_owned() };
        let folder = file.parent().unwrap_or(Path::new(""));
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let integrity = match check(folder, &name)? {
            Some(integrity) => integrity,
            None if is_folder => Integrity::NoManifest,
            None => Integrity::NotChecked,
        };
        let bytes = fs::read(&file).map_err(read_error(&file))?;
        let report = parse(&file, &bytes)?;
        Ok(Self { path: path.to_owned(), integrity, report })
    }

    /// The position of the target of that name: the whole name, else its number from 1, else a part that only one has.
    pub fn target(&self, wanted: Option<&str>) -> Result<usize, EvidenceError> {
        let targets = &self.report.targets;
        let names = || targets.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
        let Some(wanted) = wanted else {
            return match targets.len() {
                1 => Ok(0),
                _ => Err(EvidenceError::Unnamed { path: self.path.clone(), names: names() }),
            };
        };
        let fits = |test: &dyn Fn(&str) -> bool| {
            let mut found = targets.iter().enumerate().filter(|(_, t)| test(&t.name)).map(|(index, _)| index);
            found.next().filter(|_| found.next().is_none())
        };
        let by_number =
            || wanted.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < targets.len());
        fits(&|name| name == wanted)
            .or_else(by_number)
            .or_else(|| fits(&|name| name.contains(wanted)))
            .ok_or_else(|| EvidenceError::Target {
                path: self.path.clone(),
                wanted: wanted.to_owned(),
                names: names(),
            })
    }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> EvidenceError {
    let path = path.to_owned();
    move |source| EvidenceError::Read { path, source }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Report, EvidenceError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let error = |source| EvidenceError::Report { path: path.to_owned(), source };
    // The number first: a report of another schema may lack what this one has.
    let Head { schema } = serde_json::from_slice(bytes).map_err(error)?;
    if schema != u64::from(SCHEMA) {
        return Err(EvidenceError::Schema { path: path.to_owned(), found: schema });
    }
    serde_json::from_slice(bytes).map_err(error)
}

/// Checks a folder against its manifest, which must name `report`. `None` without manifest.
fn check(folder: &Path, report: &str) -> Result<Option<Integrity>, EvidenceError> {
    let path = folder.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Bytes that are no text are no manifest.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Ok(Some(Integrity::Changed(vec![MANIFEST.to_owned()])))
        }
        Err(error) => return Err(read_error(&path)(error)),
    };
    let mut changed = Vec::new();
    let mut named = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        // The form of sha256sum; a name that leads out of the folder was never written by a run.
        let entry = line.split_once("  ").filter(|(_, name)| is_plain(name));
        let Some((due, name)) = entry else {
            changed.push(MANIFEST.to_owned());
            continue;
        };
        named.insert(name);
        match digest(&folder.join(name)) {
            Ok(found) if found.eq_ignore_ascii_case(due) => {}
            Ok(_) => changed.push(name.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => changed.push(name.to_owned()),
            Err(error) => return Err(read_error(&folder.join(name))(error)),
        }
    }
    if !named.contains(report) {
        changed.push(report.to_owned());
    }
    changed.dedup();
    Ok(Some(if changed.is_empty() { Integrity::Whole } else { Integrity::Changed(changed) }))
}

fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

/// In pieces: traces are longer than memory may be large.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = BufReader::new(File::open(path)?);
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&piece[..length]),
        }
    }
}
