//! Why an SE did not become what the plan says.

use jpkise_card::CardError;
use jpkise_gp::ara::card::AraError;
use jpkise_gp::ara::provide::ProvideError;
use jpkise_gp::commands::BuildError;
use jpkise_gp::keys::KeySourceError;
use jpkise_gp::scp03::ScpError;
use jpkise_gp::GpError;
use jpkise_wire::Aid;

use super::journal::JournalError;
use super::record::SeRecord;
use super::Stage;
use crate::admin::AdminError;
use crate::certificate::CertificateError;
use crate::client::ClientError;
use crate::personalize::PersonalizeError;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// GlobalPlatform: a command refused, a channel not opened.
    #[error(transparent)]
    Gp(#[from] GpError),
    /// The access rules.
    #[error(transparent)]
    Rules(#[from] ProvideError),
    /// The applet, in clear.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The applet's personalisation.
    #[error(transparent)]
    Personalize(#[from] PersonalizeError),
    /// The final attestation.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A certificate kept from an earlier run.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The applet is not on the card, and the plan names no issuer's keys to install it with.
    #[error("the applet {0} is not on the card, and the plan names no issuer keys to install it")]
    NoApplet(Aid),
    /// The package is not on the card, and the plan names no CAP.
    #[error("the package {0} is not on the card, and the plan names no CAP to load")]
    NoPackage(Aid),
    /// The applet belongs to a domain that is neither the issuer's nor the plan's.
    #[error("the applet belongs to the domain {0}, not to the plan's")]
    OtherDomain(Aid),
    /// The domain's keys are none that the plan names. No try was risked.
    #[error("the domain {domain} holds other keys than the plan names{}", .kvn.map(|k| format!(" (its default version is {k:02X})")).unwrap_or_default())]
    OtherKeys {
        /// The domain.
        domain: Aid,
        /// Its default key version, where it tells.
        kvn: Option<u8>,
    },
    /// First and own keys are the same keys.
    #[error("the service provider's own keys are the first keys: the first set would stay")]
    SameKeys,
    /// Keys that would have to be put onto the card, and that their token does not give.
    #[error("the plan's {0} keys must be put onto the card, and their token does not give them")]
    KeptKeys(&'static str),
}

impl From<ScpError> for ProvisionError {
    fn from(error: ScpError) -> Self {
        Self::Gp(error.into())
    }
}

impl From<CardError> for ProvisionError {
    fn from(error: CardError) -> Self {
        Self::Gp(error.into())
    }
}

impl From<BuildError> for ProvisionError {
    fn from(error: BuildError) -> Self {
        Self::Gp(error.into())
    }
}

impl From<KeySourceError> for ProvisionError {
    fn from(error: KeySourceError) -> Self {
        Self::Gp(error.into())
    }
}

impl From<AraError> for ProvisionError {
    fn from(error: AraError) -> Self {
        Self::Rules(ProvideError::Undone(error))
    }
}

/// A run that stopped, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", .stage.id())]
pub struct Failure {
    /// In which stage.
    pub stage: Stage,
    /// Whether the SE may have been changed by this run or one before: the same plan takes it up.
    pub begun: bool,
    /// Why.
    pub error: ProvisionError,
    /// The record as kept, when the run came so far as to have one.
    pub record: Option<Box<SeRecord>>,
}
