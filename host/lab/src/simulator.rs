//! The simulated GP-SE as the lab starts it: a profile, a runtime with the applets in its ROM, a new card or a file's.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use jpkise_card::{Card, TransportError};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gpse::profile::{ProfileFileError, JPKI_PACKAGE, TEST_KEY};
use jpkise_gpse::registry::{KeyData, KEY_DEK, KEY_ENC, KEY_MAC};
use jpkise_gpse::runtime::jcardsim::{self, LaunchError};
use jpkise_gpse::runtime::jcvm::Memory;
use jpkise_gpse::{GpSe, JCardSim, Jcvm, Profile};
use jpkise_jcvm::store::SnapshotError;
use jpkise_jcvm::{CardError, LoadSnapshotError};
use jpkise_wire::scp03::{KeyError, StaticKeys};

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
    /// The profile file is wrong.
    #[error("profile {0}")]
    Profile(#[from] ProfileFileError),
    /// jCardSim keeps its objects in a JVM's heap, which nobody can write to a file.
    #[error("a card on jCardSim cannot be kept in a file")]
    NoState,
    /// Another process has the card: two would each write over what the other has done.
    #[error("{}: another process uses this card", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file does not give a card.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LoadSnapshotError,
    },
}

/// Which profile the card is made after.
#[derive(Debug, Clone, Default)]
pub enum ProfileSource {
    /// [`Profile::default`].
    #[default]
    Default,
    /// A TOML file (`docs/profiles.md`).
    File(PathBuf),
    /// This one.
    Value(Box<Profile>),
}

impl ProfileSource {
    /// The profile itself.
    pub fn profile(&self) -> Result<Profile, ProfileFileError> {
        match self {
            Self::Default => Ok(Profile::default()),
            Self::File(path) => Profile::read(path),
            Self::Value(profile) => Ok((**profile).clone()),
        }
    }
}

impl From<Profile> for ProfileSource {
    fn from(profile: Profile) -> Self {
        Self::Value(Box::new(profile))
    }
}

impl From<Option<PathBuf>> for ProfileSource {
    fn from(path: Option<PathBuf>) -> Self {
        path.map_or(Self::Default, Self::File)
    }
}

/// What `--runtime`, `--profile` and `--state` say.
#[derive(Debug, Clone, Default)]
pub struct SimulatorOptions {
    /// What runs the applets.
    pub runtime: RuntimeKind,
    /// What the card is like.
    pub profile: ProfileSource,
    /// File that keeps the card: the one in it goes on, a new one begins it.
    pub state: Option<PathBuf>,
}

impl SimulatorOptions {
    /// Starts the card. With a state file, [`KeptCard::save`] is the caller's to call.
    ///
    /// A card from a file keeps what its memory holds (keys, registry, life cycle, applets); what a card does not
    /// remember (identity data of the profile, limits, buffers) is as the profile says now.
    pub fn start(&self) -> Result<(Card<GpSe>, Option<KeptCard>), StartError> {
        let profile = self.profile.profile()?;
        match (&self.state, self.runtime) {
            (None, RuntimeKind::Jcvm) => {
                let runtime = with_applets(&profile)?;
                Ok((Card::new(GpSe::on_jcvm(profile, runtime)?), None))
            }
            (None, RuntimeKind::JCardSim) => {
                let mut options = jcardsim::Options::find()?;
                if !profile.jpki_in_rom {
                    options.loadable.push(JPKI_PACKAGE);
                }
                let runtime = JCardSim::launch(&options)?;
                Ok((Card::new(GpSe::in_memory(profile, Box::new(runtime))?), None))
            }
            (Some(path), RuntimeKind::Jcvm) => {
                let (card, kept) = start_from_file(profile, path)?;
                Ok((card, Some(kept)))
            }
            (Some(_), RuntimeKind::JCardSim) => Err(StartError::NoState),
        }
    }
}

/// A new card of the default profile, with the applets in its ROM. It ends with the value.
pub fn start(kind: RuntimeKind) -> Result<Card<GpSe>, StartError> {
    let options = SimulatorOptions { runtime: kind, ..SimulatorOptions::default() };
    options.start().map(|(card, _)| card)
}

pub(crate) fn with_applets(profile: &Profile) -> Result<Jcvm, CardError> {
    let rom: &[&[u8]] = if profile.jpki_in_rom { &[dist::JPKI_CAP, dist::ARA_CAP] } else { &[dist::ARA_CAP] };
    Jcvm::new(&profile.jcvm_options(), rom)
}

fn start_from_file(profile: Profile, path: &Path) -> Result<(Card<GpSe>, KeptCard), StartError> {
    // A device or a pipe would be read until memory ends.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(StartError::State { path: path.to_owned(), source: SnapshotError::Io(error).into() });
    }
    let lock = lock(path)?;
    let runtime = match Jcvm::restore(&profile.jcvm_options(), path) {
        Err(LoadSnapshotError::Snapshot(SnapshotError::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            with_applets(&profile)?
        }
        Err(source) => return Err(StartError::State { path: path.to_owned(), source }),
        Ok(runtime) => runtime,
    };
    let mut kept = KeptCard { path: path.to_owned(), memory: runtime.memory(), saved: None, _lock: lock };
    let card = GpSe::on_jcvm(profile, runtime)?;
    // A folder that cannot be written to shows now, not when an hour of work is to be saved.
    kept.save().map_err(|source| StartError::State { path: path.to_owned(), source: source.into() })?;
    Ok((Card::new(card), kept))
}

/// Takes the card for this process, for as long as the file that is returned is open.
///
/// The lock is on a file of its own beside the card's, because saving puts a new file in the card's place; it stays
/// there, empty. It is advisory: what does not ask for it is not kept out.
fn lock(path: &Path) -> Result<File, StartError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let failed = |error: io::Error| StartError::State {
        path: path.to_owned(),
        source: SnapshotError::Io(error).into(),
    };
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    let file = options.open(path.with_file_name(name)).map_err(failed)?;
    match file.try_lock_exclusive() {
        Ok(true) => Ok(file),
        Ok(false) => Err(StartError::InUse { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}

/// The file of a card under way, which is this process's until the value is dropped.
#[derive(Debug)]
pub struct KeptCard {
    path: PathBuf,
    memory: Memory,
    /// Cell writes when it was last saved.
    saved: Option<u64>,
    /// Holds the lock.
    _lock: File,
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

/// The keys that open a card of this profile: those of its first key version.
pub fn profile_keys(profile: &Profile) -> Option<SoftwareKeys> {
    let version = profile.keys.first()?;
    let key = |identifier| match &version.keys.get(&identifier)?.data {
        KeyData::Aes(key) => Some(key.duplicate()),
        _ => None,
    };
    StaticKeys::new(key(KEY_ENC)?, key(KEY_MAC)?, key(KEY_DEK)?).ok().map(SoftwareKeys::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(path: &Path) -> Result<(Card<GpSe>, KeptCard), StartError> {
        let options = SimulatorOptions { state: Some(path.to_owned()), ..SimulatorOptions::default() };
        options.start().map(|(card, kept)| (card, kept.unwrap()))
    }

    #[test]
    fn the_jpki_package_is_in_rom_or_to_be_loaded() {
        for jpki_in_rom in [true, false] {
            let profile = Profile { jpki_in_rom, ..Profile::default() };
            let options = SimulatorOptions { profile: profile.into(), ..SimulatorOptions::default() };
            let (mut card, _) = options.start().unwrap();
            let there = card.transport_mut().registry().load_file(&JPKI_PACKAGE).is_some();
            assert_eq!(there, jpki_in_rom);
        }
    }

    #[test]
    fn a_kept_card_is_one_process_s_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card");
        let (card, mut kept) = keep(&path).unwrap();
        for _ in 0..2 {
            let error = keep(&path).map(|_| ()).unwrap_err();
            assert!(matches!(&error, StartError::InUse { path: named } if *named == path), "{error}");
        }
        kept.save().unwrap();
        drop(card);
        assert!(matches!(keep(&path), Err(StartError::InUse { .. })));
        // Another card is nobody's concern, and this one is free once it is dropped.
        keep(&folder.path().join("other")).unwrap();
        drop(kept);
        keep(&path).unwrap();
    }
}
