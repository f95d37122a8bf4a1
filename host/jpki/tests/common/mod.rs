//! What several test files share: the openssl program, a hierarchy and keys made once per process.
// Not every test file uses all of it; and helpers of tests may panic as tests do.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod se;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use jpkise_jpki::ca::{Hierarchy, Issuance, Subscriber};
use jpkise_jpki::csr::{Csr, CsrInfo};
use jpkise_jpki::edge::{KeyRef, TokenProfile};
use jpkise_jpki::Cert;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::Sha256;
use time::macros::datetime;
use time::OffsetDateTime;

pub const NOW: OffsetDateTime = datetime!(2026-11-23 01:02:03 UTC);

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn hierarchy() -> &'static Hierarchy {
    static HIERARCHY: OnceLock<Hierarchy> = OnceLock::new();
    HIERARCHY.get_or_init(|| Hierarchy::generate(NOW, &mut rng(1)).unwrap())
}

/// A key as a card would hold it.
pub fn card_key(key: KeyRef) -> &'static RsaPrivateKey {
    static KEYS: OnceLock<[RsaPrivateKey; 2]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| [2, 3].map(|seed| RsaPrivateKey::new(&mut rng(seed), 2048).unwrap()));
    &keys[usize::from(key.kk()) - 1]
}

pub fn sign_digest(key: &RsaPrivateKey, digest: &[u8; 32]) -> [u8; 256] {
    key.sign(Pkcs1v15Sign::new::<Sha256>(), digest).unwrap().try_into().unwrap()
}

pub fn csr(key: KeyRef, subscriber: &Subscriber) -> Csr {
    let subject = hierarchy().of(key).subject(subscriber, NOW, &mut rng(4)).unwrap();
    let private = card_key(key);
    let info = CsrInfo::new(&private.to_public_key(), subject).unwrap();
    let signature = sign_digest(private, &info.hash());
    info.prove(&signature).unwrap()
}

pub fn certificate(key: KeyRef, profile: TokenProfile) -> Cert {
    let subscriber = Subscriber::sample();
    let issuance = Issuance { subscriber: &subscriber, profile, now: NOW, not_after_limit: None };
    hierarchy().of(key).issue(&csr(key, &subscriber), &issuance, &mut rng(5)).unwrap()
}

/// The openssl program in a folder of its own.
pub struct Openssl {
    folder: tempfile::TempDir,
}

/// `None` when it is not installed, after saying so in one line that the test harness does not swallow.
pub fn openssl(what: &str) -> Option<Openssl> {
    if Command::new("openssl").arg("version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: {what}: the openssl program is not installed");
        return None;
    }
    Some(Openssl { folder: tempfile::tempdir().unwrap() })
}

impl Openssl {
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Runs it in the folder; whether it succeeded, and what it printed.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output =
            Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    pub fn expect(&self, arguments: &[&str]) -> String {
        let (success, text) = self.run(arguments);
        assert!(success, "openssl {arguments:?}: {text}");
        text
    }
}
