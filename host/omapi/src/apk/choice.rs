//! Which hash a rule should name.
//!
//! Android's enforcer asks the package manager in the old way: it is given all current signers, and for an app whose key
//! was rotated the *oldest* certificate of the lineage. Of each it tries SHA-1, then SHA-256.

use jpkise_gp::ara::DeviceApp;

use super::certificate::Certificate;
use super::{ApkSignatures, Scheme};

/// What a certificate is to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The signer; Android hands out this certificate.
    Signer,
    /// One of several signers; Android hands out each of them.
    OneOfSigners,
    /// The first key of a rotated app; Android hands out this one, whichever key signed last.
    OldestOfLineage,
    /// A key of the lineage between the first and the last.
    MiddleOfLineage,
    /// The key that signs now, rotated to from an older one; Android does not hand it out to the enforcer.
    NewestOfLineage,
    /// The signer of an older scheme that a newer one outranks.
    OlderScheme,
}

impl Role {
    /// Whether the enforcer compares rules with this certificate.
    pub const fn is_used(self) -> bool {
        matches!(self, Self::Signer | Self::OneOfSigners | Self::OldestOfLineage)
    }

    /// Stable name for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signer => "signer",
            Self::OneOfSigners => "one-of-signers",
            Self::OldestOfLineage => "oldest-of-lineage",
            Self::MiddleOfLineage => "middle-of-lineage",
            Self::NewestOfLineage => "newest-of-lineage",
            Self::OlderScheme => "older-scheme",
        }
    }
}

/// A certificate that could be meant, and why it is used or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The certificate.
    pub certificate: Certificate,
    /// The newest scheme it was found in.
    pub scheme: Scheme,
    /// What it is to the app.
    pub role: Role,
}

impl ApkSignatures {
    /// Every certificate of the APK once, those first that the enforcer compares with.
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut add = |certificate: &Certificate, scheme, role| {
            if !found.iter().any(|other| other.certificate == *certificate) {
                found.push(Candidate { certificate: certificate.clone(), scheme, role });
            }
        };
        // v3 decides where it is: v3.1 only carries what newer systems show as the signer of today.
        let deciding = [Scheme::V3, Scheme::V31, Scheme::V2, Scheme::V1]
            .into_iter()
            .find(|scheme| !self.signers(*scheme).is_empty());
        let lineages = [Scheme::V31, Scheme::V3];
        if let Some(scheme) = deciding {
            let signers = self.signers(scheme);
            let several = signers.len() > 1 && !matches!(scheme, Scheme::V3 | Scheme::V31);
            for signer in signers {
                let role = match (signer.lineage.len() > 1, several) {
                    (true, _) => Role::OldestOfLineage,
                    (false, true) => Role::OneOfSigners,
                    (false, false) => Role::Signer,
                };
                add(signer.oldest(), scheme, role);
            }
        }
        for scheme in lineages {
            for signer in self.signers(scheme) {
                for certificate in &signer.lineage {
                    let newest = *certificate == signer.certificate;
                    add(
                        certificate,
                        scheme,
                        if newest { Role::NewestOfLineage } else { Role::MiddleOfLineage },
                    );
                }
                add(&signer.certificate, scheme, Role::NewestOfLineage);
            }
        }
        for (scheme, signers) in self.schemes.iter().rev() {
            for signer in signers {
                add(&signer.certificate, *scheme, Role::OlderScheme);
            }
        }
        found.sort_by_key(|candidate| !candidate.role.is_used());
        found
    }

    /// The app's hashes in the order in which the enforcer tries them.
    pub fn hashes(&self) -> Vec<DeviceApp> {
        let used = self.candidates().into_iter().filter(|candidate| candidate.role.is_used());
        used.flat_map(|candidate| [candidate.certificate.sha1(), candidate.certificate.sha256()]).collect()
    }

    /// The values a rule for this app should name: SHA-256 of each certificate that is compared with.
    pub fn rule_apps(&self) -> Vec<DeviceApp> {
        let used = self.candidates().into_iter().filter(|candidate| candidate.role.is_used());
        used.map(|candidate| candidate.certificate.sha256()).collect()
    }
}
