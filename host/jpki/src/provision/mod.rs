//! One SE from whatever state it is in to what a plan says: domain, applet, access rules, keys and certificates, the
//! user's secrets, and at the end the service provider's own keys in the domain, proven.
//!
//! Every stage first asks the card what is there and does only what is missing, so that a run that was cut anywhere is
//! taken up by the next one, and a run over a finished SE changes nothing. What a card cannot tell (requests, certificates
//! behind a PIN) is kept in the [`Journal`] until the SE is complete.

mod error;
mod journal;
mod plan;
mod record;
mod run;

use jpkise_gp::ara::rule::Rule;
use jpkise_gp::keys::KeySource;
use jpkise_gp::workflow::LoadFile;
use jpkise_gp::Progress;
use time::OffsetDateTime;

use crate::personalize;

pub use error::{Failure, ProvisionError};
pub use journal::{write_whole, Journal, JournalError};
pub use plan::{
    AppletPart, CaPart, DomainPart, KeyReference, KeysPart, Medium, PlanError, PlanFile, PolicyName,
    Rotation, RulesPart, Secrets, SubscriberPart, TokenPart, UserPart, FORMAT as PLAN_FORMAT,
};
pub use record::{
    ApduRecord, AppletRecord, CapRecord, DomainRecord, RuleRecord, SeIdentity, SeRecord, Status,
    FORMAT as RECORD_FORMAT,
};
pub use run::provision;

/// A stage of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Who the SE is.
    Identify,
    /// What is on it: registry, keys, states.
    Inspect,
    /// LOAD of the applet's package.
    Load,
    /// The service provider's domain is made.
    CreateDomain,
    /// Its first key set is put, and proven.
    FirstKeys,
    /// The applet is installed, with its access rules where the plan has any.
    Install,
    /// The access rules of an applet that was there are brought to the plan's.
    AccessRules,
    /// It is extradited into the domain.
    Extradite,
    /// Keys, certificates, secrets; in steps of their own.
    Personalize,
    /// The first key set gives way to the service provider's own.
    RotateKeys,
    /// A channel with the own keys, and the attestation in it.
    Prove,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Identify,
        Self::Inspect,
        Self::Load,
        Self::CreateDomain,
        Self::FirstKeys,
        Self::Install,
        Self::AccessRules,
        Self::Extradite,
        Self::Personalize,
        Self::RotateKeys,
        Self::Prove,
    ];

    /// Stable name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Inspect => "inspect",
            Self::Load => "load",
            Self::CreateDomain => "create-domain",
            Self::FirstKeys => "first-keys",
            Self::Install => "install",
            Self::Extradite => "extradite",
            Self::AccessRules => "access-rules",
            Self::Personalize => "personalize",
            Self::RotateKeys => "rotate-keys",
            Self::Prove => "prove",
        }
    }

    /// Whether it changes the SE.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Identify | Self::Inspect | Self::Prove)
    }
}

/// The CAP a plan names.
#[derive(Debug, Clone)]
pub struct CapToLoad {
    /// What LOAD sends.
    pub load_file: LoadFile,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// Everything a run needs besides the card.
pub struct Request<'a> {
    /// The plan.
    pub plan: &'a PlanFile,
    /// SHA-256 of its file.
    pub plan_sha256: [u8; 32],
    /// The issuer's keys, when the plan names some.
    pub issuer_keys: Option<&'a dyn KeySource>,
    /// The domain's first set.
    pub first_keys: &'a dyn KeySource,
    /// The service provider's own.
    pub own_keys: &'a dyn KeySource,
    /// Whether the own keys are published ones.
    pub own_keys_published: bool,
    /// The CAP, when the plan names one.
    pub cap: Option<CapToLoad>,
    /// The access rules, when the plan names some.
    pub rules: Option<Vec<Rule>>,
    /// What time it is.
    pub clock: &'a dyn Fn() -> OffsetDateTime,
}

/// What happens, for a progress bar or a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A stage begins.
    Stage(Stage),
    /// Blocks of a load.
    Load(Progress),
    /// Access rules are about to be written and deleted, so many.
    Rules {
        /// Written.
        added: usize,
        /// Deleted.
        removed: usize,
    },
    /// Inside [`Stage::Personalize`].
    Step(personalize::Event),
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The record as kept.
    pub record: SeRecord,
    /// Whether the SE was changed.
    pub changed: bool,
}
