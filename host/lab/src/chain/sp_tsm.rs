//! The service provider's TSM: personalisation in the applet's own secure channel, and what it issued.

use jpkise_card::Transport;
use jpkise_gp::commands::put_key::{Destination, KeyBlock};
use jpkise_gp::workflow::{self, open_channel, ChannelOptions, LevelChoice, RotateRequest};
use jpkise_jpki::ca::{Hierarchy, Subscriber};
use jpkise_jpki::edge::{Attestation, KeyRef, TokenInfo, INSTANCE_AID, SP_DOMAIN_AID, SP_KEY_VERSION};
use jpkise_jpki::personalize::{self, Certified, PersonalizeError, Plan, Step as Part, TestIssuer};
use jpkise_jpki::{Admin, Cert, KnownSecrets};
use jpkise_wire::scp03::SecurityLevel;
use rand::rngs::OsRng;
use rand::Rng;

use super::error::ChainError;
use super::sei_tsm::FIRST_KEY_VERSION;
use super::{Event, Fact, Options, Run, Step};
use crate::files::OutDir;
use crate::{secrets, simulator};

/// What came of a personalisation.
pub(super) struct Issued {
    certified: Vec<Certified>,
    /// The record, ready for the summary.
    pub(super) record: serde_json::Value,
}

impl Issued {
    /// Whether these are the certificates issued for `key`.
    pub(super) fn is(&self, key: KeyRef, certificate: &Cert, ca: &Cert) -> bool {
        let issued = self.certified.iter().find(|c| c.key == key);
        issued.is_some_and(|c| c.issued.certificate == *certificate && c.issued.ca == *ca)
    }

    /// Writes requests and certificates.
    pub(super) fn write(&self, out: &OutDir) -> Result<(), ChainError> {
        for certified in &self.certified {
            let name = certified.key;
            out.write(&format!("{name}.csr"), certified.request.as_der())?;
            out.write(&format!("{name}-cert.der"), certified.issued.certificate.as_der())?;
            out.write(&format!("{name}-ca.der"), certified.issued.ca.as_der())?;
        }
        Ok(())
    }
}

/// Keys on the chip, requests it proves, certificates, the user's own PIN and password, attestation.
pub(super) fn personalize<T: Transport>(
    run: &mut Run<'_, T>,
    options: &Options,
) -> Result<Issued, ChainError> {
    run.step(Step::Personalize, |run, facts| {
        let hierarchy = Hierarchy::generate(options.now, &mut OsRng)?;
        let subscriber = Subscriber::sample();
        let mut issuer = TestIssuer {
            hierarchy: &hierarchy,
            subscriber: &subscriber,
            profile: options.profile,
            now: options.now,
            not_after_limit: None,
            rng: OsRng,
        };
        // The app's side of the protected line: it alone has the user's own values.
        let mut app = KnownSecrets { pin: options.pin.duplicate(), password: options.password.duplicate() };
        let serial = format!("{:016}", OsRng.gen_range(0..10_u64.pow(16)));
        let plan = Plan::new(TokenInfo::new(options.profile, &serial));
        let keys = simulator::test_keys()?;
        let channel = ChannelOptions::to(INSTANCE_AID)
            .with_kvn(FIRST_KEY_VERSION)
            .with_level(LevelChoice::AtLeast(SecurityLevel::L13));
        let mut session = open_channel(run.card, &keys, &channel, &mut OsRng)?;
        facts.push(Fact::new("security-level", session.level()));
        let events = &mut *run.events;
        let mut progress = |event: personalize::Event| {
            if let personalize::Event::Step { step, number, of } = event {
                (*events)(&Event::Progress { what: part_id(step), done: number - 1, total: of });
            }
        };
        let done =
            personalize::personalize(&mut session, &plan, &mut issuer, &mut app, &mut OsRng, &mut progress)?;
        for certified in &done.certified {
            let name = match certified.key {
                KeyRef::Auth => "auth-serial",
                KeyRef::Sign => "sign-serial",
            };
            facts.push(Fact::new(name, hex::encode_upper(certified.issued.certificate.serial())));
        }
        facts.push(Fact::new("attestation", states(&done.attestation)));
        // A record is plain data: it always serialises.
        let record = serde_json::to_value(&done.record).unwrap_or_default();
        Ok(Issued { certified: done.certified, record })
    })
}

/// The domain's first keys give way to the SP's own: added, proven, the first deleted; then the applet attests in a channel
/// with the own ones.
pub(super) fn rotate_keys<T: Transport>(run: &mut Run<'_, T>) -> Result<(), ChainError> {
    run.step(Step::RotateKeys, |run, facts| {
        let (first, own) = (simulator::test_keys()?, secrets::sp_keys()?);
        let level = LevelChoice::AtLeast(SecurityLevel::L13);
        let request = RotateRequest {
            domain: Some(SP_DOMAIN_AID),
            old: &first,
            old_kvn: FIRST_KEY_VERSION,
            new: &own,
            to: Destination::add(SP_KEY_VERSION)?,
            form: KeyBlock::default(),
            level,
            remove: Some(FIRST_KEY_VERSION),
            counted: None,
        };
        let report = workflow::rotate_keys(run.card, &request, &mut OsRng)?;
        let values: Vec<String> = report.put.check_values.iter().map(ToString::to_string).collect();
        facts.push(Fact::new("keys", format!("KVN {:02X}", report.put.kvn)));
        facts.push(Fact::new("key-check-values", values.join(" ")));
        let channel = ChannelOptions::to(INSTANCE_AID).with_kvn(SP_KEY_VERSION).with_level(level);
        let mut session = open_channel(run.card, &own, &channel, &mut OsRng)?;
        let attestation = Admin::new(&mut session)
            .and_then(|mut admin| admin.attest(&mut OsRng))
            .map_err(PersonalizeError::Channel)?;
        facts.push(Fact::new("attestation", states(&attestation)));
        Ok(())
    })
}

fn states(attestation: &Attestation) -> String {
    let states: Vec<String> =
        KeyRef::ALL.into_iter().map(|key| format!("{key} {}", attestation.key(key).state)).collect();
    states.join(", ")
}

/// Stable name of a part of personalisation, as in message keys.
const fn part_id(step: Part) -> &'static str {
    match step {
        Part::Generate(KeyRef::Auth) => "generate-auth",
        Part::Generate(KeyRef::Sign) => "generate-sign",
        Part::ReadKey(_) => "read-key",
        Part::Prove(_) => "prove",
        Part::Issue(_) => "issue",
        Part::Store => "store",
        Part::SetSecret(KeyRef::Auth) => "set-pin",
        Part::SetSecret(KeyRef::Sign) => "set-password",
        Part::Attest => "attest",
        _ => "personalize",
    }
}
