//! The memory that card manager and virtual machine share.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use jpkise_jcvm::store::{NamedRegions, SnapshotError, StoreError};
use jpkise_jcvm::Card;
use zeroize::Zeroizing;

/// Where the card manager's records are (design: region `gp`).
pub(crate) const REGION: &str = "gp";

/// A card's memory, from outside: to save it, to clone the card, to cut its power. Clones are handles of the same card.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    card: Mutex<Card>,
    /// Bytes the region can hold; 0 when the card has none.
    capacity: u32,
    /// Versions of the region that were committed while an applet ran and held the card.
    waiting: Mutex<VecDeque<Zeroizing<Vec<u8>>>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    pub(super) fn new(card: Card) -> Self {
        let regions = &card.store().layout().regions;
        let capacity = regions.iter().find(|(name, _)| name == REGION).map_or(0, |(_, size)| *size);
        Self(Arc::new(Shared { card: Mutex::new(card), capacity, waiting: Mutex::default() }))
    }

    /// The card itself; never across a call that may come back here.
    pub(super) fn lock(&self) -> MutexGuard<'_, Card> {
        self.0.card.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A card of its own with the same content, powered on or not as this one; shares memory until one of them writes.
    pub fn card(&self) -> Card {
        self.lock().clone()
    }

    /// Writes the whole card to a file that [`Jcvm::restore`](super::Jcvm::restore) reads: keys included, readable for
    /// its owner only.
    pub fn save(&self, path: &Path) -> Result<(), SnapshotError> {
        self.lock().save_snapshot(path)
    }

    /// Cell writes since the card was made; unchanged: the card is as it was.
    pub fn writes(&self) -> u64 {
        self.lock().store().writes()
    }

    /// Cuts the power after `n` more cell writes; `None` takes that back. The exchange under way then ends in
    /// `TransportError::Removed`, and a reset powers the card up with what was written.
    pub fn cut_power_after(&self, n: Option<u64>) {
        self.lock().cut_power_after(n);
    }

    /// Shows every instruction to this from now on.
    pub fn set_tracer(&self, tracer: Option<jpkise_jcvm::Tracer>) {
        self.lock().set_tracer(tracer);
    }

    pub(crate) fn read_region(&self) -> Result<Vec<u8>, StoreError> {
        self.lock().store().read_region(REGION)
    }

    /// Replaces the region's content: at once, or while an applet runs as soon as its call of a service returns.
    pub(crate) fn replace_region(&self, content: Zeroizing<Vec<u8>>) -> Result<(), StoreError> {
        let mut card = match self.0.card.try_lock() {
            Ok(card) => card,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                // Said now: nobody could take the change back later.
                if content.len() > self.0.capacity as usize {
                    let (capacity, wanted) = (self.0.capacity, content.len());
                    return Err(StoreError::RegionFull { capacity, wanted });
                }
                self.waiting().push_back(content);
                return Ok(());
            }
        };
        card.regions().replace_region(REGION, &content)
    }

    /// Writes what waits, in its order.
    pub(super) fn write_waiting(&self, regions: &mut dyn NamedRegions) -> Result<(), StoreError> {
        let mut waiting = self.waiting();
        while let Some(content) = waiting.pop_front() {
            regions.replace_region(REGION, &content)?;
        }
        Ok(())
    }

    /// What waited when the power went was never written.
    pub(super) fn forget_waiting(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Zeroizing<Vec<u8>>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
