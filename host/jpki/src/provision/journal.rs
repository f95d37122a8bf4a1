//! What a run keeps on disk so that the next one can go on: the record, and until the SE is complete the requests and
//! certificates of its keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use x509_cert::name::Name;

use super::record::{SeRecord, Status};
use crate::certificate::Cert;
use crate::csr::Csr;
use crate::edge::KeyRef;
use crate::personalize::{Issued, Issuer, IssuerError};

/// A file of the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct JournalError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// One SE's files: `NAME.json`, and `NAME.work/` while it is not complete.
#[derive(Debug, Clone)]
pub struct Journal {
    record: PathBuf,
    work: PathBuf,
}

impl Journal {
    /// Of the SE whose chip calls itself `chip`, in a folder.
    pub fn in_folder(folder: &Path, chip: &str) -> Self {
        // Names come from cards: only what a file name surely takes stays.
        let name: String = chip.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        Self::at(folder.join(format!("{name}.json")))
    }

    /// With the record in this file.
    pub fn at(record: PathBuf) -> Self {
        let work = record.with_extension("work");
        Self { record, work }
    }

    /// Where the record is.
    pub fn path(&self) -> &Path {
        &self.record
    }

    /// The record, when there is one. A file that is none is an error: overwriting it would lose somebody's data.
    pub fn record(&self) -> Result<Option<SeRecord>, JournalError> {
        let error = |source| JournalError { path: self.record.clone(), source };
        match fs::read(&self.record) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| error(e.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(error(e)),
        }
    }

    /// Writes the record, whole or not at all.
    pub fn save(&self, record: &SeRecord) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec_pretty(record).unwrap_or_default();
        text.push(b'\n');
        self.write(&self.record, &text)?;
        if record.status == Status::Complete {
            self.clear()?;
        }
        Ok(())
    }

    /// Puts a complete record aside before its SE is personalised anew, under the time at which it was completed.
    pub fn set_aside(&self, record: &SeRecord) -> Result<(), JournalError> {
        let time: String =
            record.finished.iter().flat_map(|t| t.chars()).filter(char::is_ascii_alphanumeric).collect();
        let stem = self.record.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let aside = self.record.with_file_name(format!("{stem}-{time}.json"));
        fs::rename(&self.record, &aside).map_err(|source| JournalError { path: aside, source })
    }

    /// The request kept of a key.
    pub fn request(&self, key: KeyRef) -> Option<Csr> {
        Csr::from_der(&fs::read(self.work.join(format!("{key}.csr"))).ok()?).ok()
    }

    fn save_request(&self, key: KeyRef, request: &Csr) -> Result<(), JournalError> {
        self.write(&self.work.join(format!("{key}.csr")), request.as_der())
    }

    /// The certificates kept of a key.
    pub fn issued(&self, key: KeyRef) -> Option<Issued> {
        let read = |name: String| Cert::from_der(&fs::read(self.work.join(name)).ok()?).ok();
        Some(Issued { certificate: read(format!("{key}-cert.der"))?, ca: read(format!("{key}-ca.der"))? })
    }

    fn save_issued(&self, key: KeyRef, issued: &Issued) -> Result<(), JournalError> {
        self.write(&self.work.join(format!("{key}-ca.der")), issued.ca.as_der())?;
        self.write(&self.work.join(format!("{key}-cert.der")), issued.certificate.as_der())
    }

    /// Removes what only an unfinished SE needs; the signature certificate among it is personal.
    pub fn clear(&self) -> Result<(), JournalError> {
        match fs::remove_dir_all(&self.work) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(JournalError { path: self.work.clone(), source })
            }
            _ => Ok(()),
        }
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<(), JournalError> {
        let error = |source| JournalError { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            create_private(folder, folder == self.work).map_err(error)?;
        }
        write_whole(path, content).map_err(error)
    }
}

fn create_private(folder: &Path, private: bool) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    let _ = private;
    builder.create(folder)
}

/// Writes one file, whole or not at all: under another name first, renamed when complete.
pub fn write_whole(target: &Path, content: &[u8]) -> io::Result<()> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let partial = target.with_file_name(format!(".{}.part", name.to_string_lossy()));
    fs::write(&partial, content).and_then(|()| fs::rename(&partial, target)).inspect_err(|_| {
        // The half-written file is of no use to anybody; that it may stay behind is no second error.
        let _ = fs::remove_file(&partial);
    })
}

/// An issuer whose requests and certificates outlive the run: what was asked or issued once is not asked or issued twice.
pub(super) struct Remembering<'a> {
    pub(super) journal: &'a Journal,
    pub(super) inner: &'a mut dyn Issuer,
}

impl Issuer for Remembering<'_> {
    fn subject(&mut self, key: KeyRef) -> Result<Name, IssuerError> {
        self.inner.subject(key)
    }

    fn issue(&mut self, key: KeyRef, request: &Csr) -> Result<Option<Issued>, IssuerError> {
        let kept = |error: JournalError| IssuerError(Box::new(error));
        if let Some(issued) = self.journal.issued(key) {
            if issued.certificate.public_key().is_ok_and(|public| public == *request.key()) {
                return Ok(Some(issued));
            }
        }
        self.journal.save_request(key, request).map_err(kept)?;
        let issued = self.inner.issue(key, request)?;
        if let Some(issued) = &issued {
            self.journal.save_issued(key, issued).map_err(kept)?;
        }
        Ok(issued)
    }

    fn earlier(&mut self, key: KeyRef) -> Option<Csr> {
        self.journal.request(key)
    }
}
