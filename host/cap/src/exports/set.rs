//! The export tables one conversion or verification works with.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::{embedded, embedded_by_aid, embedded_versions, ExpError, ExportPackage, Platform};
use crate::model::{Aid, PackageVersion};

/// Deepest folder below an export path that is searched; package names are no deeper in practice.
const MAX_DEPTH: usize = 16;

/// EXP files given by the user first, then the built-in tables of one platform release.
#[derive(Debug, Clone, Default)]
pub struct ExportSet {
    given: Vec<ExportPackage>,
    platform: Option<Platform>,
}

/// An export path could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportSetError {
    /// Reading failed.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a valid export file.
    #[error("{path}: {source}")]
    Exp {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ExpError,
    },
}

impl ExportSet {
    /// The built-in tables of a release, and of GlobalPlatform.
    pub fn platform(platform: Platform) -> Self {
        Self { given: Vec::new(), platform: Some(platform) }
    }

    /// All built-in tables whatever their release: right for naming and verifying what others made.
    pub fn any_platform() -> Self {
        Self::default()
    }

    /// Adds a package; it hides built-in and earlier ones of the same name.
    pub fn add(&mut self, package: ExportPackage) {
        self.given.insert(0, package);
    }

    /// Adds every `.exp` file below a folder, or one file.
    pub fn add_path(&mut self, path: &Path) -> Result<(), ExportSetError> {
        let mut files = Vec::new();
        collect(path, MAX_DEPTH, &mut files)?;
        files.sort();
        // Of several folders the first one named wins, and within one folder the first file in path order.
        for file in files {
            let bytes =
                std::fs::read(&file).map_err(|source| ExportSetError::Io { path: file.clone(), source })?;
            let package = ExportPackage::read_exp(&bytes)
                .map_err(|source| ExportSetError::Exp { path: file.clone(), source })?;
            self.given.push(package);
        }
        Ok(())
    }

    /// The packages that were added.
    pub fn given(&self) -> &[ExportPackage] {
        &self.given
    }

    /// The table for a package name (with slashes): a given one, else that of the release. GlobalPlatform's packages
    /// belong to no release: all their versions are candidates, see [`ExportSet::candidates`]; here the lowest.
    pub fn by_name(&self, name: &str) -> Option<Cow<'_, ExportPackage>> {
        self.candidates(name).into_iter().next()
    }

    /// All tables that may serve for a package name, best first: one for given packages and those of the release,
    /// else every built-in version from the lowest on, so that the first that has all that is used asks least of a
    /// card.
    pub fn candidates(&self, name: &str) -> Vec<Cow<'_, ExportPackage>> {
        if let Some(package) = self.given.iter().find(|p| p.name == name) {
            return vec![Cow::Borrowed(package)];
        }
        let in_any_release = Platform::ALL.into_iter().any(|p| p.version_of(name).is_some());
        match self.platform {
            Some(platform) if in_any_release => {
                let table = platform.version_of(name).and_then(|version| embedded(name, version));
                table.map(Cow::Borrowed).into_iter().collect()
            }
            _ => embedded_versions(name).filter_map(|v| embedded(name, v)).map(Cow::Borrowed).collect(),
        }
    }

    /// The table that serves an import: given packages of that AID and a sufficient version first, then the built-in
    /// ones of any release.
    pub fn by_import(&self, aid: Aid, wanted: PackageVersion) -> Option<&ExportPackage> {
        let given = self.given.iter().find(|p| p.aid == aid && p.version.satisfies(wanted));
        given.or_else(|| embedded_by_aid(aid, wanted))
    }
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), ExportSetError> {
    let io = |source| ExportSetError::Io { path: path.to_owned(), source };
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?.path();
        if entry.is_dir() {
            collect(&entry, depth - 1, files)?;
        } else if entry.extension().is_some_and(|e| e == "exp") {
            files.push(entry);
        }
    }
    Ok(())
}
