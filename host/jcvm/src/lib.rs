//! A Java Card virtual machine that executes the bytes of a CAP.
//!
//! [`Card`] is a whole card below its card manager: it links load files, installs and selects applets, runs commands,
//! and keeps everything persistent in one [`store`], where power can be cut after any write.

mod apdu;
mod api;
mod bits;
mod card;
mod class;
mod crypto;
mod heap;
mod link;
mod profile;
mod services;
mod state;
pub mod store;
mod trace;
mod vm;

pub use card::{
    Card, CardError, FreeMemory, HeapChange, HeapEntry, HeapKind, HeapOwner, HeapReport, InstallRequest,
    LoadSnapshotError, PackageSummary, Process,
};
#[cfg(feature = "native-crypto")]
pub use crypto::Native;
pub use crypto::{
    crypto_providers, default_crypto, CardRng, CryptoProvider, Random, RsaCrt, RsaPrivate, RustCrypto,
};
pub use heap::HeapDamaged;
pub use link::{LinkError, LinkRule};
pub use profile::{Profile, Protocol};
pub use services::{Caller, NoServices, PlatformServices};
pub use state::OpenError;
pub use trace::{Step, Tracer};
pub use vm::{Fault, FaultKind};
