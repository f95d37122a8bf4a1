//! Why the chain broke, by what a person can do about it.

use std::io;

use jpkise_card::CardError;
use jpkise_gp::ara::{AraError, ProvideError};
use jpkise_gp::commands::BuildError;
use jpkise_gp::scp03::ScpError;
use jpkise_gp::GpError;
use jpkise_jpki::ca::CaError;
use jpkise_jpki::cms;
use jpkise_jpki::edge::signature::SchemeError;
use jpkise_jpki::edge::{KeyRef, SecretError};
use jpkise_jpki::personalize::PersonalizeError;
use jpkise_jpki::{verify, CertificateError, ClientError};
use jpkise_omapi::apk::ApkError;
use jpkise_wire::scp03::KeyError;
use jpkise_wire::{Aid, StatusWord};

use super::must_fail::Case;
use crate::files::FileError;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The SEI-TSM's work.
    #[error(transparent)]
    Gp(#[from] GpError),
    /// The access rules of the card.
    #[error(transparent)]
    Ara(#[from] AraError),
    /// The applet with its access rules.
    #[error(transparent)]
    Provide(#[from] ProvideError),
    /// An app of the demonstration.
    #[error(transparent)]
    Apk(#[from] ApkError),
    /// The SP-TSM's work.
    #[error(transparent)]
    Personalize(#[from] PersonalizeError),
    /// The user's work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The test CA.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The CMS message could not be made.
    #[error(transparent)]
    Cms(#[from] cms::CmsError<ClientError>),
    /// A scheme does not take an input.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// A PIN or password has the wrong form.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A key has the wrong length.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The output folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The `openssl` program could not be run, although it is there.
    #[error("running openssl: {0}")]
    Openssl(#[source] io::Error),
    /// The card does not hold the applet's package.
    #[error("the card does not hold the package {0}")]
    NoPackage(Aid),
    /// The applet or the domain is there already.
    #[error("{0} is on the card already")]
    AlreadyInstalled(Aid),
    /// A check came out wrong.
    #[error(transparent)]
    Check(#[from] FailedCheck),
    /// What must fail did not.
    #[error("{}: expected {}, the card answered {sw}", case.id(), case.expectation())]
    DidNotFail {
        /// What was tried.
        case: Case,
        /// What the card answered.
        sw: StatusWord,
    },
    /// A good VERIFY did not give the tries back.
    #[error("{left} tries left after a good VERIFY, not 3")]
    TriesNotRestored {
        /// Tries left.
        left: u8,
    },
    /// A command that must be accepted was refused.
    #[error("{command} was refused with {sw}")]
    Refused {
        /// Its name.
        command: &'static str,
        /// The card's answer.
        sw: StatusWord,
    },
    /// No secured command was seen, so none could be replayed.
    #[error("no secured command was overheard")]
    NothingOverheard,
}

/// A check that came out wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FailedCheck {
    /// The certificate read back is not the one issued.
    #[error("the {0} certificate read back is not the one issued")]
    CertificateReadBack(KeyRef),
    /// Chain.
    #[error("the {0} certificate's chain: {1}")]
    Chain(KeyRef, #[source] verify::ChainError),
    /// Signature.
    #[error("the {0} signature is wrong")]
    Signature(KeyRef),
    /// CMS.
    #[error("the CMS message: {0}")]
    Cms(#[source] cms::VerifyError),
    /// CMS by somebody else.
    #[error("the CMS message is not signed with the signature certificate")]
    CmsSigner,
    /// Something is not there that the steps before should have made.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An app got through or not, other than its rules say.
    #[error("the {app} app: {found}")]
    Access {
        /// Which app.
        app: &'static str,
        /// What came of its attempt.
        found: String,
    },
    /// openssl disagrees.
    #[error("openssl {arguments}: {words}")]
    Openssl {
        /// Its arguments.
        arguments: String,
        /// What it said.
        words: String,
    },
}

impl From<ScpError> for ChainError {
    fn from(error: ScpError) -> Self {
        Self::Gp(error.into())
    }
}

impl From<CardError> for ChainError {
    fn from(error: CardError) -> Self {
        Self::Gp(error.into())
    }
}

impl From<BuildError> for ChainError {
    fn from(error: BuildError) -> Self {
        Self::Gp(error.into())
    }
}
