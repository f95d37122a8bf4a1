//! The certificates an APK is signed with, and from them the hashes an access rule may name.
//!
//! Signature schemes v1 (JAR), v2, v3 and v3.1 are read and, unless told otherwise, verified: signature, content digest,
//! the lineage of rotated keys, and the marks by which an older scheme says that a newer one must be there.
//!
//! An APK comes from anywhere, so every length is checked against what holds it, and nothing is unpacked into memory
//! that says itself how long it is.

mod archive;
mod block;
mod certificate;
mod choice;
mod jar;
mod lineage;
mod verify;

use archive::Archive;
use block::{Block, ID_V2, ID_V3, ID_V31};

pub use certificate::Certificate;
pub use choice::{Candidate, Role};

/// A signature scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Signed JAR (`META-INF/*.RSA` and the like).
    V1,
    /// APK Signature Scheme v2.
    V2,
    /// APK Signature Scheme v3, which can carry the lineage of rotated keys.
    V3,
    /// APK Signature Scheme v3.1: rotated keys for Android 13 and later, beside v3 for the others.
    V31,
}

impl Scheme {
    /// `v1`, `v2`, `v3`, `v3.1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V31 => "v3.1",
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why no certificate is taken from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApkError {
    /// No ZIP archive, or one whose parts do not lie as an APK's do.
    #[error("not an APK: {0}")]
    NotAnApk(&'static str),
    /// A length that reaches beyond what holds it, or a field that ends early.
    #[error("{scheme} signature: {field} is truncated or lies about its size")]
    Malformed {
        /// Scheme.
        scheme: Scheme,
        /// What was being read.
        field: &'static str,
    },
    /// The signing block is malformed.
    #[error("signing block: {0}")]
    Block(&'static str),
    /// No signature of any scheme.
    #[error("the APK is not signed")]
    Unsigned,
    /// No signature with an algorithm known here.
    #[error("{scheme} signature: no algorithm known here (the first is {algorithm})")]
    Algorithm {
        /// Scheme.
        scheme: Scheme,
        /// The first algorithm offered.
        algorithm: String,
    },
    /// A certificate or public key that cannot be read.
    #[error("{scheme} signature: unreadable certificate or public key")]
    Certificate {
        /// Scheme.
        scheme: Scheme,
    },
    /// The signature is not by the certificate's key.
    #[error("{scheme} signature: wrong signature")]
    Signature {
        /// Scheme.
        scheme: Scheme,
    },
    /// The content is not what was signed.
    #[error("{scheme} signature: the content has been changed ({what})")]
    Content {
        /// Scheme.
        scheme: Scheme,
        /// Entry or part.
        what: String,
    },
    /// The signer's certificate holds another public key than the signer.
    #[error("{scheme} signature: certificate and public key do not fit")]
    KeyDiffers {
        /// Scheme.
        scheme: Scheme,
    },
    /// The chain of rotated keys is broken.
    #[error("{scheme} signature: the lineage of rotated keys is broken: {reason}")]
    Lineage {
        /// Scheme.
        scheme: Scheme,
        /// How.
        reason: &'static str,
    },
    /// Two schemes name signers that have nothing to do with each other.
    #[error("the signers of {older} and {newer} differ and no lineage joins them")]
    SchemesDisagree {
        /// Older scheme.
        older: Scheme,
        /// Newer scheme.
        newer: Scheme,
    },
    /// An older scheme says that the APK is signed with a newer one, which is not there.
    #[error("the {missing} signature has been removed")]
    Stripped {
        /// What is missing.
        missing: Scheme,
    },
}

/// Whether signatures and content are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// Yes.
    #[default]
    Full,
    /// No: structure only. For a look at a file that is known to be broken; its hashes prove nothing.
    Skip,
}

/// One signer of one scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Its certificate.
    pub certificate: Certificate,
    /// Certificates of the keys it was rotated through, oldest first, its own last; empty without rotation.
    pub lineage: Vec<Certificate>,
    /// Android API levels it is for (v3 and v3.1), from and to.
    pub sdk: Option<(u32, u32)>,
}

impl Signer {
    /// The oldest certificate of the lineage, or the only one.
    pub fn oldest(&self) -> &Certificate {
        self.lineage.first().unwrap_or(&self.certificate)
    }
}

/// The signers of an APK, by scheme, oldest scheme first; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApkSignatures {
    /// Schemes present with their signers.
    pub schemes: Vec<(Scheme, Vec<Signer>)>,
    /// Whether they were verified.
    pub verification: Verification,
}

impl ApkSignatures {
    /// Reads, and unless told otherwise verifies, the signatures of a whole APK.
    pub fn read(apk: &[u8], verification: Verification) -> Result<Self, ApkError> {
        let archive = Archive::read(apk)?;
        let block = Block::read(&archive)?;
        let mut schemes = Vec::new();
        let mut promised: Vec<Scheme> = Vec::new();
        if let Some(jar) = jar::read(&archive, verification)? {
            promised.extend(jar.promised);
            schemes.push((Scheme::V1, jar.signers));
        }
        for (scheme, id) in [(Scheme::V2, ID_V2), (Scheme::V3, ID_V3), (Scheme::V31, ID_V31)] {
            if let Some(value) = block.value(id) {
                let signers = block::signers(scheme, value)?;
                promised.extend(signers.iter().filter_map(|signer| signer.promised));
                if verification == Verification::Full {
                    verify::verify(scheme, &signers, &archive, &block)?;
                }
                let read = signers.iter().map(|signer| signer.read(scheme, verification));
                schemes.push((scheme, read.collect::<Result<_, _>>()?));
            }
        }
        let signatures = Self { schemes, verification };
        if signatures.schemes.is_empty() {
            return Err(ApkError::Unsigned);
        }
        if verification == Verification::Full {
            for scheme in promised {
                if signatures.signers(scheme).is_empty() {
                    return Err(ApkError::Stripped { missing: scheme });
                }
            }
            signatures.agree()?;
        }
        Ok(signatures)
    }

    /// The signers of a scheme, none when it is not there.
    pub fn signers(&self, scheme: Scheme) -> &[Signer] {
        self.schemes.iter().find(|(s, _)| *s == scheme).map_or(&[], |(_, signers)| signers)
    }

    /// The schemes must name the same signers, or signers that a lineage joins.
    fn agree(&self) -> Result<(), ApkError> {
        for pair in self.schemes.windows(2) {
            let [(older, old), (newer, new)] = pair else { continue };
            let joined = |signer: &Signer| {
                new.iter()
                    .any(|n| n.certificate == signer.certificate || n.lineage.contains(&signer.certificate))
            };
            if !old.iter().all(joined) {
                return Err(ApkError::SchemesDisagree { older: *older, newer: *newer });
            }
        }
        Ok(())
    }
}
