//! The SE issuer's TSM: who the card is, the SP's domain, the applet installed and handed over.

use jpkise_card::{Card, Transport};
use jpkise_gp::ara::card::read;
use jpkise_gp::ara::{install_with_rules, AraError, Provision, Reading, Rule};
use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::commands::put_key::{Destination, KeyBlock};
use jpkise_gp::identity::Identity;
use jpkise_gp::registry::Registry;
use jpkise_gp::scp03::{ChallengeCheck, Session, SessionInfo};
use jpkise_gp::workflow::{
    create_domain, extradite, install, open_channel, put_keys, read_identity, read_registry, ChannelOptions,
    DomainRequest, LevelChoice,
};
use jpkise_jpki::edge::install::InstallParameters;
use jpkise_jpki::edge::{TokenProfile, INSTANCE_AID, MODULE_AID, PACKAGE_AID, SP_DOMAIN_AID};
use jpkise_wire::scp03::SecurityLevel;
use rand::rngs::OsRng;

use super::error::ChainError;
use super::{Fact, Options, Run, Step};
use crate::run::identity::told;
use crate::simulator;

/// i parameter asked of the SP's domain: pseudo-random challenge, R-MAC, R-ENCRYPTION.
pub(crate) const DOMAIN_I: u8 = 0x70;
/// Version of the domain's first keys, the public test key: the SP-TSM replaces them.
pub(super) const FIRST_KEY_VERSION: u8 = 0x20;

/// What came of it.
pub(super) struct Provided {
    /// The card's identity.
    pub identity: Vec<Fact>,
    /// Whether the applet has access rules: the card has an ARA-M.
    pub has_rules: bool,
}

/// From the first SELECT to the applet in the SP's domain. With `rules`, the applet gets them where the card has an ARA-M.
pub(super) fn provide<T: Transport>(
    run: &mut Run<'_, T>,
    options: &Options,
    rules: &[Rule],
) -> Result<Provided, ChainError> {
    let identity = run.step(Step::Identity, |run, facts| {
        let mut session = Session::select(run.card, None)?;
        facts.extend(identity_facts(&read_identity(&mut session)?));
        Ok(facts.clone())
    })?;

    run.step(Step::Authenticate, |run, facts| {
        let mut session = open_channel(run.card, &options.issuer_keys, &issuer_channel(), &mut OsRng)?;
        facts.extend(session_facts(session.info(), session.level()));
        // Asked before anything is changed: a card without the package, or with the applet, is told apart from a refusal.
        check_empty(&read_registry(&mut session)?)
    })?;

    run.step(Step::CreateDomain, |run, facts| {
        let mut session = open_channel(run.card, &options.issuer_keys, &issuer_channel(), &mut OsRng)?;
        create_domain(&mut session, &DomainRequest::new(SP_DOMAIN_AID, DOMAIN_I))?;
        facts.push(Fact::new("domain", SP_DOMAIN_AID));
        Ok(())
    })?;

    run.step(Step::DomainKeys, |run, facts| domain_keys(run.card, options, facts))?;

    let has_rules = run.step(Step::InstallApplet, |run, facts| {
        let provision = if rules.is_empty() { None } else { provision(run.card, rules)? };
        let instance = applet(options.profile);
        let mut session = open_channel(run.card, &options.issuer_keys, &issuer_channel(), &mut OsRng)?;
        match &provision {
            Some(provision) => install_with_rules(&mut session, &instance, provision, &mut |_| {})?,
            None => install(&mut session, &instance)?,
        }
        facts.push(Fact::new("instance", INSTANCE_AID));
        facts.push(Fact::new("package", PACKAGE_AID));
        if let Some(provision) = &provision {
            let commands = provision.plan().changes.len();
            facts.push(Fact::new("access-rules", format!("{} ({commands} STORE DATA)", rules.len())));
        } else if !rules.is_empty() {
            facts.push(Fact::new("access-rules", "no ARA-M"));
        }
        Ok(provision.is_some())
    })?;

    run.step(Step::Extradite, |run, facts| {
        let mut session = open_channel(run.card, &options.issuer_keys, &issuer_channel(), &mut OsRng)?;
        extradite(&mut session, INSTANCE_AID, SP_DOMAIN_AID)?;
        facts.push(Fact::new("domain", SP_DOMAIN_AID));
        Ok(())
    })?;
    Ok(Provided { identity, has_rules })
}

/// The plan for the applet's rules; `None` on a card without ARA-M.
fn provision<T: Transport>(card: &mut Card<T>, rules: &[Rule]) -> Result<Option<Provision>, ChainError> {
    match read(card, Reading::Android) {
        Ok(held) => Ok(Some(Provision::new(INSTANCE_AID, &held.rules, rules)?)),
        Err(AraError::NotThere { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How channels with the issuer's keys are opened: the installation hides its parameters.
pub(crate) fn issuer_channel() -> ChannelOptions {
    ChannelOptions { level: LevelChoice::AtLeast(SecurityLevel::L03), ..ChannelOptions::default() }
}

/// The applet's installation with a token profile.
pub(crate) fn applet(profile: TokenProfile) -> ForInstall {
    let parameters = InstallParameters { profile: Some(profile), ..InstallParameters::default() };
    ForInstall::new(PACKAGE_AID, MODULE_AID, INSTANCE_AID).with_parameters(parameters.build())
}

/// PUT KEY through the parent's keys, then a channel with the new ones: a domain whose keys were never used is a promise.
fn domain_keys<T: Transport>(
    card: &mut Card<T>,
    options: &Options,
    facts: &mut Vec<Fact>,
) -> Result<(), ChainError> {
    let keys = simulator::test_keys()?;
    let to_domain = ChannelOptions { aid: Some(SP_DOMAIN_AID), ..issuer_channel() };
    let mut session = open_channel(card, &options.issuer_keys, &to_domain, &mut OsRng)?;
    let report = put_keys(&mut session, &keys, Destination::add(FIRST_KEY_VERSION)?, KeyBlock::default())?;
    drop(session);
    let proven = open_channel(card, &keys, &to_domain.with_kvn(FIRST_KEY_VERSION), &mut OsRng)?;
    let values: Vec<String> = report.check_values.iter().map(ToString::to_string).collect();
    facts.push(Fact::new("key-check-values", values.join(" ")));
    facts.extend(session_facts(proven.info(), proven.level()));
    Ok(())
}

fn check_empty(registry: &Registry) -> Result<(), ChainError> {
    if registry.find(&PACKAGE_AID).is_none() {
        return Err(ChainError::NoPackage(PACKAGE_AID));
    }
    match [INSTANCE_AID, SP_DOMAIN_AID].into_iter().find(|aid| registry.find(aid).is_some()) {
        Some(aid) => Err(ChainError::AlreadyInstalled(aid)),
        None => Ok(()),
    }
}

fn identity_facts(identity: &Identity) -> Vec<Fact> {
    let mut facts = vec![Fact::new("atr", hex::encode_upper(&identity.atr))];
    facts.extend(told(identity).into_iter().map(|(name, value)| Fact::new(name, value)));
    facts.extend(identity.sequence_counter.map(|c| Fact::new("sequence-counter", c.value())));
    facts
}

fn session_facts(info: &SessionInfo, level: SecurityLevel) -> Vec<Fact> {
    let challenge = match info.challenge {
        ChallengeCheck::Random => "random",
        ChallengeCheck::Fits => "pseudo-random, fits",
        ChallengeCheck::Differs => "pseudo-random, differs",
        ChallengeCheck::NotChecked => "pseudo-random, not checked",
    };
    vec![
        Fact::new("keys", format!("KVN {:02X}", info.set.kvn)),
        Fact::new("card-cryptogram", "OK"),
        Fact::new("challenge", challenge),
        Fact::new("security-level", level),
    ]
}
