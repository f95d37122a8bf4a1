//! The simulated GP-SE as the lab starts it: a profile, a runtime with the applets in its ROM, a new card or a file's.

use std::io;
use std::path::{Path, PathBuf};

use jpkise_card::{Card, TransportError};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gpse::profile::TEST_KEY;
use jpkise_gpse::runtime::jcardsim::LaunchError;
use jpkise_gpse::runtime::jcvm::{self, Memory};
use jpkise_gpse::{GpSe, JCardSim, Jcvm, Profile};
use jpkise_jcvm::store::SnapshotError;
use jpkise_jcvm::{CardError, LoadSnapshotError};
use jpkise_wire::scp03::KeyError;

use crate::dist;

/// What runs the applets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeKind {
    /// The Java Card VM of this project, which executes the CAPs.
    #[default]
    Jcvm,
    /// jCardSim in a child JVM, which executes the class files.
    JCardSim,
}

/// Why no simulated card could be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// jCardSim.
    #[error(transparent)]
    JCardSim(#[from] LaunchError),
    /// The virtual machine does not take its own CAPs.
    #[error(transparent)]
    Jcvm(#[from] CardError),
    /// The card does not come up.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// jCardSim keeps its objects in a JVM's heap, which nobody can write to a file.
    #[error("a card on jCardSim cannot be kept in a file")]
    NoState,
    /// The file does not give a card.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LoadSnapshotError,
    },
}

/// A new card of the default profile, with the applets in its ROM. It ends with the value.
pub fn start(kind: RuntimeKind) -> Result<Card<GpSe>, StartError> {
    let card = match kind {
        RuntimeKind::Jcvm => GpSe::on_jcvm(Profile::default(), with_applets()?)?,
        RuntimeKind::JCardSim => {
            let runtime = JCardSim::find_and_launch()?;
            GpSe::in_memory(Profile::default(), Box::new(runtime))?
        }
    };
    Ok(Card::new(card))
}

pub(crate) fn with_applets() -> Result<Jcvm, CardError> {
    Jcvm::new(&jcvm::Options::default(), &[dist::JPKI_CAP, dist::ARA_CAP])
}

/// The card that a file keeps, or a new one to be kept there.
pub fn start_kept(kind: RuntimeKind, path: &Path) -> Result<(Card<GpSe>, KeptCard), StartError> {
    if kind != RuntimeKind::Jcvm {
        return Err(StartError::NoState);
    }
    // A device or a pipe would be read until memory ends.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(StartError::State { path: path.to_owned(), source: SnapshotError::Io(error).into() });
    }
    let options = jcvm::Options::default();
    let runtime = match Jcvm::restore(&options, path) {
        Err(LoadSnapshotError::Snapshot(SnapshotError::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            with_applets()?
        }
        Err(source) => return Err(StartError::State { path: path.to_owned(), source }),
        Ok(runtime) => runtime,
    };
    let mut kept = KeptCard { path: path.to_owned(), memory: runtime.memory(), saved: None };
    let card = GpSe::on_jcvm(Profile::default(), runtime)?;
    // A folder that cannot be written to shows now, not when an hour of work is to be saved.
    kept.save().map_err(|source| StartError::State { path: path.to_owned(), source: source.into() })?;
    Ok((Card::new(card), kept))
}

/// The file of a card under way.
#[derive(Debug)]
pub struct KeptCard {
    path: PathBuf,
    memory: Memory,
    /// Cell writes when it was last saved.
    saved: Option<u64>,
}

impl KeptCard {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the card to its file, whole or not at all, unless nothing has changed since.
    pub fn save(&mut self) -> Result<(), SnapshotError> {
        let writes = self.memory.writes();
        if self.saved != Some(writes) {
            self.memory.save(&self.path)?;
            self.saved = Some(writes);
        }
        Ok(())
    }
}

/// The keys that open it: the public test key, which no real card may keep.
pub fn test_keys() -> Result<SoftwareKeys, KeyError> {
    SoftwareKeys::same(&TEST_KEY)
}
