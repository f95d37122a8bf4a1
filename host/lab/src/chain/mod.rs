//! The chain of the report, once: SEI-TSM, SP-TSM, user, verifier, and an intruder.
//!
//! | step | acts as | does |
//! |---|---|---|
//! | [`Step::Identity`], [`Step::Authenticate`] | SEI-TSM | reads who the card is, opens the issuer security domain |
//! | [`Step::CreateDomain`] to [`Step::Extradite`] | SEI-TSM | makes the SP's domain, installs the applet, hands it over |
//! | [`Step::Personalize`] | SP-TSM | keys on the card, requests, certificates, temporary secrets, attestation |
//! | [`Step::RotateKeys`] | SP-TSM | the domain's first keys give way to its own, proven by a channel and an attestation |
//! | [`Step::ReadCertificates`], [`Step::Sign`] | user | with PIN and password |
//! | [`Step::Verify`], [`Step::VerifyOpenssl`] | relying party | twice, by two programs |
//! | [`Step::Access`] | apps on the phone | the listed one gets through, a re-signed and an unlisted one do not |
//! | [`Step::MustFail`] | intruder | everything that must be refused |
//!
//! [`run`] does all of it and leaves files; [`provision`] stops after personalisation.

mod access;
mod error;
mod must_fail;
mod report;
pub(crate) mod sei_tsm;
mod sp_tsm;
mod user;

use std::time::Instant;

use jpkise_card::{Card, Transport};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_jpki::edge::{Password, Pin, TokenProfile};
use time::OffsetDateTime;

use crate::apps;
use crate::files::OutDir;

pub use access::Admitted;
pub use error::ChainError;
pub use must_fail::{Case, Refused};
pub use report::{Fact, StepReport, Summary};

/// A step of the chain, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// ATR, CPLC, card recognition data, key information.
    Identity,
    /// SCP03 with the issuer security domain.
    Authenticate,
    /// The SP's security domain is installed.
    CreateDomain,
    /// It gets a first set of keys, proven by a channel opened with them.
    DomainKeys,
    /// The JPKI applet is installed, together with its access rules where the card has an ARA-M.
    InstallApplet,
    /// It is extradited into the SP's domain.
    Extradite,
    /// The SP-TSM personalises it, the user sets PIN and password.
    Personalize,
    /// The domain's first key set gives way to the SP's own.
    RotateKeys,
    /// Certificates are read back under their conditions.
    ReadCertificates,
    /// A message is signed with each key.
    Sign,
    /// Signatures and chains are checked here.
    Verify,
    /// And again by the `openssl` program.
    VerifyOpenssl,
    /// Apps try to reach the applet through the phone's access control.
    Access,
    /// What must fail fails.
    MustFail,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Identity,
        Self::Authenticate,
        Self::CreateDomain,
        Self::DomainKeys,
        Self::InstallApplet,
        Self::Extradite,
        Self::Personalize,
        Self::RotateKeys,
        Self::ReadCertificates,
        Self::Sign,
        Self::Verify,
        Self::VerifyOpenssl,
        Self::Access,
        Self::MustFail,
    ];

    /// Stable name, as in the summary and in message keys.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Authenticate => "authenticate",
            Self::CreateDomain => "create-domain",
            Self::DomainKeys => "domain-keys",
            Self::InstallApplet => "install-applet",
            Self::Extradite => "extradite",
            Self::Personalize => "personalize",
            Self::RotateKeys => "rotate-keys",
            Self::ReadCertificates => "read-certificates",
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::VerifyOpenssl => "verify-openssl",
            Self::Access => "access",
            Self::MustFail => "must-fail",
        }
    }
}

/// What a run tells while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins.
    Started(Step),
    /// Inside a longer step: what is being done, as a stable name, and how far it is.
    Progress {
        /// Stable name of the part.
        what: &'static str,
        /// Parts done.
        done: usize,
        /// Parts in all.
        total: usize,
    },
    /// A step is done.
    Finished(&'a StepReport),
    /// An app got through to the applet, or did not, as its rules say.
    Admitted(&'a Admitted),
    /// Something that must fail failed, as it must.
    Refused(&'a Refused),
}

/// What a run works with.
pub struct Options {
    /// Token profile of the applet.
    pub profile: TokenProfile,
    /// Keys of the issuer security domain.
    pub issuer_keys: SoftwareKeys,
    /// The user's PIN.
    pub pin: Pin,
    /// The user's password.
    pub password: Password,
    /// Time of issue.
    pub now: OffsetDateTime,
}

/// Everything about a run that its steps share.
struct Run<'e, T> {
    card: &'e mut Card<T>,
    events: &'e mut dyn FnMut(&Event<'_>),
    steps: Vec<StepReport>,
}

impl<T: Transport> Run<'_, T> {
    /// One step: announced, timed, counted.
    fn step<R>(
        &mut self,
        step: Step,
        work: impl FnOnce(&mut Self, &mut Vec<Fact>) -> Result<R, ChainError>,
    ) -> Result<R, ChainError> {
        (self.events)(&Event::Started(step));
        let (clock, apdus, bytes) = (Instant::now(), self.card.apdus(), self.card.bytes());
        let mut facts = Vec::new();
        let result = work(self, &mut facts)?;
        let report = StepReport {
            step: step.id(),
            ms: clock.elapsed().as_secs_f64() * 1000.0,
            apdus: self.card.apdus() - apdus,
            bytes: self.card.bytes() - bytes,
            facts,
        };
        (self.events)(&Event::Finished(&report));
        self.steps.push(report);
        Ok(result)
    }
}

/// Runs the whole chain and writes its files into `out`.
pub fn run<T: Transport>(
    card: &mut Card<T>,
    options: &Options,
    out: &OutDir,
    events: &mut dyn FnMut(&Event<'_>),
) -> Result<Summary, ChainError> {
    let clock = Instant::now();
    let mut run = Run { card, events, steps: Vec::new() };
    let provided = sei_tsm::provide(&mut run, options, &apps::rules()?)?;
    let issued = sp_tsm::personalize(&mut run, options)?;
    sp_tsm::rotate_keys(&mut run)?;
    issued.write(out)?;
    let read = user::read_certificates(&mut run, options, &issued)?;
    let signed = user::sign(&mut run, options, &read, out)?;
    user::verify(&mut run, options, &read, &signed)?;
    let openssl = user::verify_with_openssl(&mut run, &read, out)?;
    // Without an ARA-M there are no rules, and a phone would let everybody through.
    let access = if provided.has_rules { access::attempt(&mut run)? } else { Vec::new() };
    let refused = must_fail::attempt(&mut run, options)?;
    let Run { card, steps, .. } = run;
    let summary = Summary {
        schema: Summary::SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        card: card.name().to_owned(),
        token: options.profile.label().trim_end().to_owned(),
        identity: provided.identity,
        personalization: issued.record,
        steps,
        access,
        must_fail: refused,
        openssl,
        apdus: card.apdus(),
        bytes: card.bytes(),
        ms: clock.elapsed().as_secs_f64() * 1000.0,
    };
    out.write("summary.json", &summary.to_json())?;
    Ok(summary)
}

/// Provides and personalises a card: what `jpkise sim --personalized` offers. Which app may reach the applet is left to its
/// user (`jpkise ara`).
pub fn provision<T: Transport>(
    card: &mut Card<T>,
    options: &Options,
    events: &mut dyn FnMut(&Event<'_>),
) -> Result<(), ChainError> {
    let mut run = Run { card, events, steps: Vec::new() };
    sei_tsm::provide(&mut run, options, &[])?;
    sp_tsm::personalize(&mut run, options)?;
    sp_tsm::rotate_keys(&mut run)
}
