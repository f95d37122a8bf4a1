//! Files a run leaves behind, whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jpkise_jpki::provision;

/// A file of the output folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The output folder. Its files are those of the newest run: what an earlier run left under the same names is replaced
/// at the start, so that a run which fails half way leaves no mixture.
#[derive(Debug, Clone)]
pub struct OutDir {
    path: PathBuf,
}

impl OutDir {
    /// Every name a run may write, apart from the trace.
    pub const NAMES: [&'static str; 17] = [
        "sign-cert.der",
        "sign-ca.der",
        "sign-cert.pem",
        "sign-ca.pem",
        "auth-cert.der",
        "auth-ca.der",
        "auth-cert.pem",
        "auth-ca.pem",
        "sign.csr",
        "auth.csr",
        "sign-pub.pem",
        "auth-pub.pem",
        "message.bin",
        "sign.sig",
        "auth.sig",
        "message.p7s",
        "summary.json",
    ];

    /// Makes the folder if it is not there and removes an earlier run's files.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|source| FileError { path: path.clone(), source })?;
        for name in Self::NAMES {
            let file = path.join(name);
            match fs::remove_file(&file) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError { path: file, source });
                }
                _ => {}
            }
        }
        Ok(Self { path })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one file, as [`write_whole`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FileError> {
        write_whole(&self.path.join(name), content)
    }
}

/// Writes one file, whole or not at all: under another name first, renamed when complete.
pub fn write_whole(target: &Path, content: &[u8]) -> Result<(), FileError> {
    provision::write_whole(target, content).map_err(|source| FileError { path: target.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_run_s_files_are_gone_before_the_first_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let out = OutDir::create(directory.path().join("a/b")).unwrap();
        out.write("sign.sig", b"old").unwrap();
        fs::write(out.path().join("notes.txt"), b"the user's own").unwrap();
        let out = OutDir::create(out.path()).unwrap();
        assert!(!out.path().join("sign.sig").exists());
        assert!(out.path().join("notes.txt").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = OutDir::create(file.path()).unwrap_err();
        assert_eq!(error.path, file.path());
    }
}
