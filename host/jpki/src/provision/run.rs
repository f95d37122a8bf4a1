//! The run itself.

mod access;

use jpkise_card::{Card, Transport};
use jpkise_gp::ara::provide::Provision;
use jpkise_gp::commands::put_key::{Destination, KeyBlock};
use jpkise_gp::identity::{HashAlgorithm, Identity};
use jpkise_gp::keys::{KeySet, KeySource};
use jpkise_gp::registry::Registry;
use jpkise_gp::scp03::{Authenticated, ScpError, Session};
use jpkise_gp::workflow::{
    create_domain, delete_key, extradite, load, open_channel, put_keys, read_identity, read_registry,
    rotate_keys, ChannelOptions, DomainRequest, LevelChoice, RotateRequest,
};
use jpkise_gp::{GpError, SecureRandom};
use jpkise_wire::scp03::{SecurityLevel, KDD_LENGTH};
use jpkise_wire::Aid;
use rand::{CryptoRng, RngCore};
use time::format_description::well_known::Rfc3339;

use super::error::{Failure, ProvisionError};
use super::journal::{Journal, Remembering};
use super::plan::{Rotation, Secrets};
use super::record::{AppletRecord, CapRecord, DomainRecord, SeIdentity, SeRecord, Status, FORMAT};
use super::{Event, Outcome, Request, Stage};
use crate::admin::{expect_state, Admin, AdminError, UserApp};
use crate::client::{ClientError, JpkiClient};
use crate::edge::data::LEASE_OFF;
use crate::edge::{Attestation, CardPublicKey, KeyRef, KeyState};
use crate::personalize::{personalize, Issuer, KeyRecord, PersonalizeError, Plan, Start};
use crate::probe::probe;

/// Brings one SE to what the plan says. `journal_of` names the journal of a chip; `events` hears stages and steps.
///
/// A failure tells the stage and whether the SE may have been changed; the record then says how far it came, and the same
/// call takes it up.
pub fn provision<T: Transport, R: RngCore + CryptoRng>(
    card: &mut Card<T>,
    request: &Request<'_>,
    journal_of: &mut dyn FnMut(&str) -> Journal,
    issuer: &mut dyn Issuer,
    app: &mut dyn UserApp,
    rng: &mut R,
    events: &mut dyn FnMut(Event),
) -> Result<Outcome, Failure> {
    let apdus = card.apdus();
    events(Event::Stage(Stage::Identify));
    let (journal, record, former) = identify(card, request, journal_of).map_err(|error| Failure {
        stage: Stage::Identify,
        begun: false,
        error,
        record: None,
    })?;
    let was_partial = former.as_ref().is_some_and(|f| f.status != Status::Complete);
    let stage = Stage::Identify;
    let mut run = Run {
        card,
        request,
        rng,
        events,
        journal,
        record,
        former,
        stage,
        begun: false,
        was_partial,
        own_kdd: [0; KDD_LENGTH],
        apdus,
    };
    match run.bring(issuer, app).and_then(|()| run.complete()) {
        Ok(()) => Ok(Outcome { changed: run.begun, record: run.record }),
        Err(error) => Err(run.fail(error)),
    }
}

/// Asks a source about keys before a card has told what they are diversified with.
const UNDIVERSIFIED: KeySet = KeySet { kvn: 0, kdd: [0; KDD_LENGTH] };

/// Who the SE is, its journal, the record to go on with, and the one that was there.
fn identify<T: Transport>(
    card: &mut Card<T>,
    request: &Request<'_>,
    journal_of: &mut dyn FnMut(&str) -> Journal,
) -> Result<(Journal, SeRecord, Option<SeRecord>), ProvisionError> {
    let value = |keys: &dyn KeySource| keys.check_values(&UNDIVERSIFIED).ok();
    if value(request.first_keys).is_some() && value(request.first_keys) == value(request.own_keys) {
        return Err(ProvisionError::SameKeys);
    }
    let identity = match Session::select(card, None) {
        Ok(mut session) => read_identity(&mut session)?,
        // A phone may hide its issuer domain; the applet is reached all the same.
        Err(ScpError::Select { .. }) => Identity::default(),
        Err(error) => return Err(error.into()),
    };
    let se = SeIdentity::new(&identity, card.atr());
    let journal = journal_of(&se.chip);
    let former = journal.record()?;
    let record = match &former {
        Some(former) if former.status != Status::Complete => former.clone(),
        // Keys that stay keep what was known of their certificates, an applet that stays its rules.
        complete => SeRecord {
            keys: complete.as_ref().map(|c| c.keys.clone()).unwrap_or_default(),
            access_rules: complete.as_ref().map(|c| c.access_rules.clone()).unwrap_or_default(),
            ..new_record(request, se)
        },
    };
    Ok((journal, record, former))
}

fn new_record(request: &Request<'_>, se: SeIdentity) -> SeRecord {
    let plan = request.plan;
    let token = plan.token.info(&se.chip);
    SeRecord {
        format: FORMAT.to_owned(),
        status: Status::Partial,
        stopped_at: None,
        started: time_text(request),
        finished: None,
        runs: 0,
        apdus: 0,
        personalization_apdus: None,
        plan_sha256: hex::encode_upper(request.plan_sha256),
        domain: DomainRecord { aid: plan.domain.aid.to_string(), ..DomainRecord::default() },
        applet: AppletRecord {
            instance: plan.applet.instance.to_string(),
            package: plan.applet.package.to_string(),
            version: None,
            parameters: hex::encode_upper(plan.install_parameters().build()),
            label: token.label,
            serial: token.serial,
            cap: request.cap.as_ref().map(|cap| CapRecord {
                sha256: hex::encode_upper(cap.sha256),
                load_file_sha256: hex::encode_upper(cap.load_file.hash(HashAlgorithm::Sha256)),
                loaded: false,
            }),
        },
        access_rules: Vec::new(),
        level: None,
        lease: None,
        keys: Vec::new(),
        se,
    }
}

fn time_text(request: &Request<'_>) -> String {
    let now = (request.clock)();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
}

struct Run<'a, 'r, T, R> {
    card: &'a mut Card<T>,
    request: &'a Request<'r>,
    rng: &'a mut R,
    events: &'a mut dyn FnMut(Event),
    journal: Journal,
    record: SeRecord,
    former: Option<SeRecord>,
    stage: Stage,
    /// Whether this run has begun to change the SE.
    begun: bool,
    /// Whether an earlier run was cut.
    was_partial: bool,
    /// Diversification data with which the own keys were found.
    own_kdd: [u8; KDD_LENGTH],
    /// Commands the card had exchanged before.
    apdus: u64,
}

/// Keys that open the domain now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InUse {
    First,
    Own {
        /// Whether the first set is still beside it.
        first_left: bool,
    },
    /// The domain has none of its own and takes the issuer's.
    Issuer,
}

impl<T: Transport, R: RngCore + CryptoRng> Run<'_, '_, T, R> {
    fn begin(&mut self, stage: Stage) -> Result<(), ProvisionError> {
        self.stage = stage;
        if stage.changes() {
            self.mark_begun()?;
        }
        (self.events)(Event::Stage(stage));
        Ok(())
    }

    /// Before the first change: the record says that the SE is under way, so that a run killed from here on is known of. A
    /// record that cannot be written stops the run while nothing has been changed.
    fn mark_begun(&mut self) -> Result<(), ProvisionError> {
        if self.begun {
            return Ok(());
        }
        self.set_former_aside()?;
        self.record.status = Status::Partial;
        self.record.stopped_at = Some(self.stage.id().to_owned());
        self.record.runs += 1;
        self.journal.save(&self.record)?;
        self.begun = true;
        Ok(())
    }

    fn set_former_aside(&mut self) -> Result<(), ProvisionError> {
        match self.former.take_if(|former| former.status == Status::Complete) {
            Some(former) => Ok(self.journal.set_aside(&former)?),
            None => Ok(()),
        }
    }

    fn complete(&mut self) -> Result<(), ProvisionError> {
        let same = self.former.as_ref().is_some_and(|former| {
            former.status == Status::Complete
                && former.access_rules == self.record.access_rules
                && former.keys.iter().map(|k| &k.modulus_sha256).eq(self
                    .record
                    .keys
                    .iter()
                    .map(|k| &k.modulus_sha256))
        });
        if same && !self.begun {
            if let Some(former) = self.former.take() {
                self.record = former;
            }
            return Ok(());
        }
        // A record of another SE that calls itself the same, or of keys that are gone, is nobody's to overwrite.
        self.set_former_aside()?;
        self.record.status = Status::Complete;
        self.record.stopped_at = None;
        self.record.finished = Some(time_text(self.request));
        self.record.apdus += self.card.apdus() - self.apdus;
        Ok(self.journal.save(&self.record)?)
    }

    fn fail(mut self, error: ProvisionError) -> Failure {
        let begun = self.begun || self.was_partial;
        if begun {
            self.record.status = match &error {
                ProvisionError::Personalize(PersonalizeError::Waiting { .. }) => Status::Waiting,
                _ => Status::Partial,
            };
            self.record.stopped_at = Some(self.stage.id().to_owned());
            self.record.apdus += self.card.apdus() - self.apdus;
            // The first failure is the one to be told; without its record the next run finds out from the card.
            let _ = self.journal.save(&self.record);
        }
        Failure { stage: self.stage, begun, error, record: Some(Box::new(self.record)) }
    }

    fn domain(&self) -> Aid {
        self.request.plan.domain.aid
    }

    fn instance(&self) -> Aid {
        self.request.plan.applet.instance
    }

    fn bring(&mut self, issuer: &mut dyn Issuer, app: &mut dyn UserApp) -> Result<(), ProvisionError> {
        self.begin(Stage::Inspect)?;
        self.keys_can_be_put()?;
        let mut fresh_applet = false;
        if let Some(keys) = self.request.issuer_keys {
            fresh_applet = self.content(keys)?;
        }
        let instance = self.instance();
        let mut client = JpkiClient::select_aid(self.card, &instance).map_err(|error| match error {
            ClientError::NoApplication(aid) => ProvisionError::NoApplet(aid),
            other => other.into(),
        })?;
        self.record.applet.version = client.version()?.map(|v| format!("{}.{}", v.major, v.minor));
        let status = client.status()?;
        let states = |key| status.map_or(KeyState::Empty, |s| s.key(key).state);
        let keys = self.keys_in_use()?;
        let attestation = self.personalize(&states, fresh_applet, keys, issuer, app)?;
        self.rotate(keys)?;
        self.finish(&attestation, keys)?;
        self.record_keys(&attestation)
    }

    /// Keys that a token keeps cannot be put onto a card: told before anything is changed, if some would have to be.
    fn keys_can_be_put(&mut self) -> Result<(), ProvisionError> {
        let kept = |keys: &dyn KeySource| keys.export(&UNDIVERSIFIED).is_err();
        let (first, own) = (kept(self.request.first_keys), kept(self.request.own_keys));
        if !first && !own {
            return Ok(());
        }
        match self.keys_in_use() {
            Ok(InUse::Own { .. }) => Ok(()),
            Ok(InUse::First) if !own => Ok(()),
            Err(error @ ProvisionError::OtherKeys { .. }) => Err(error),
            // A domain that is still to be made, or takes the issuer's keys, gets both sets.
            _ => Err(ProvisionError::KeptKeys(if own { "own" } else { "first" })),
        }
    }

    /// Package, domain, applet and rules, as far as they are missing. Whether the applet was installed now.
    fn content(&mut self, keys: &dyn KeySource) -> Result<bool, ProvisionError> {
        let plan = self.request.plan;
        let access = self.access()?;
        let registry = read_registry(&mut self.issuer_session(keys)?)?;
        if registry.find(&plan.applet.package).is_none() {
            let cap = self.request.cap.as_ref().ok_or(ProvisionError::NoPackage(plan.applet.package))?;
            self.begin(Stage::Load)?;
            let request = cap.load_file.request(None, Some(HashAlgorithm::Sha256));
            let mut session =
                open(self.card, keys, plan.keys.issuer_kvn, None, SecurityLevel::L03, self.rng)?;
            load(&mut session, &request, &mut |progress| (self.events)(Event::Load(progress)))?;
            if let Some(cap) = &mut self.record.applet.cap {
                cap.loaded = true;
            }
        }
        if registry.find(&self.domain()).is_none() {
            self.begin(Stage::CreateDomain)?;
            let request = DomainRequest::new(self.domain(), plan.domain.i);
            create_domain(&mut self.issuer_session(keys)?, &request)?;
        }
        if self.keys_in_use()? == InUse::Issuer {
            self.first_keys(keys)?;
        }
        self.applet(keys, &registry, access.as_ref())
    }

    fn issuer_session<'k>(
        &mut self,
        keys: &'k dyn KeySource,
    ) -> Result<Session<'_, T, Authenticated<'k>>, ProvisionError> {
        let kvn = self.request.plan.keys.issuer_kvn;
        Ok(open(self.card, keys, kvn, None, SecurityLevel::L03, self.rng)?)
    }

    /// PUT KEY through the issuer's keys, then a channel with the new ones.
    fn first_keys(&mut self, issuer: &dyn KeySource) -> Result<(), ProvisionError> {
        self.begin(Stage::FirstKeys)?;
        let keys = &self.request.plan.keys;
        let (domain, first) = (self.domain(), self.request.first_keys);
        let mut session =
            open(self.card, issuer, keys.issuer_kvn, Some(domain), SecurityLevel::L03, self.rng)?;
        put_keys(&mut session, first, Destination::add(keys.first_kvn)?, KeyBlock::default())?;
        drop(session);
        open(self.card, first, keys.first_kvn, Some(domain), SecurityLevel::L03, self.rng)?;
        Ok(())
    }

    fn applet(
        &mut self,
        keys: &dyn KeySource,
        registry: &Registry,
        access: Option<&Provision>,
    ) -> Result<bool, ProvisionError> {
        let (instance, domain) = (self.instance(), self.domain());
        let entry = registry.find(&instance);
        let fresh = entry.is_none();
        match entry {
            Some(entry) => self.settle_applet(keys, entry, access)?,
            None => self.install_applet(keys, access)?,
        }
        let owner = entry.and_then(|entry| entry.domain);
        let issuer_domain = registry.issuer.as_ref().map(|entry| entry.aid);
        match owner {
            Some(owner) if owner == domain => {}
            Some(owner) if Some(owner) != issuer_domain => return Err(ProvisionError::OtherDomain(owner)),
            // A card that does not tell the owner of an applet that was there is taken at its word by the channel.
            None if !fresh => {}
            _ => {
                self.begin(Stage::Extradite)?;
                extradite(&mut self.issuer_session(keys)?, instance, domain)?;
            }
        }
        Ok(fresh)
    }

    /// Which of the plan's keys open the domain, by the card's own cryptograms.
    fn keys_in_use(&mut self) -> Result<InUse, ProvisionError> {
        let keys = &self.request.plan.keys;
        let domain = self.domain();
        let (first, own) = (self.request.first_keys, self.request.own_keys);
        let fits = |run: &mut Self, kvn, source: &dyn KeySource| {
            let probed = probe(run.card, &domain, kvn, &[source], run.rng)?;
            Ok::<_, ProvisionError>(probed.filter(|p| p.set.kvn == kvn && p.fits.is_some()))
        };
        if let Some(found) = fits(self, keys.own_kvn, own)? {
            self.own_kdd = found.set.kdd;
            let first_left = keys.first_kvn != keys.own_kvn && fits(self, keys.first_kvn, first)?.is_some();
            return Ok(InUse::Own { first_left });
        }
        if fits(self, keys.first_kvn, first)?.is_some() {
            return Ok(InUse::First);
        }
        let issuer: Vec<&dyn KeySource> = self.request.issuer_keys.into_iter().collect();
        let probed = probe(self.card, &domain, 0, &issuer, self.rng)?;
        if probed.is_some_and(|p| p.fits.is_some()) {
            return Ok(InUse::Issuer);
        }
        Err(ProvisionError::OtherKeys { domain, kvn: probed.map(|p| p.set.kvn) })
    }

    fn personalize(
        &mut self,
        states: &dyn Fn(KeyRef) -> KeyState,
        fresh_applet: bool,
        keys: InUse,
        issuer: &mut dyn Issuer,
        app: &mut dyn UserApp,
    ) -> Result<Attestation, ProvisionError> {
        if keys == InUse::Issuer {
            return Err(ProvisionError::OtherKeys { domain: self.domain(), kvn: None });
        }
        let plan = self.request.plan;
        let untouched = KeyRef::ALL.into_iter().all(|key| states(key) == KeyState::Empty);
        // An earlier run may have been cut between certificates and token information.
        let stopped_here = self.record.stopped_at.as_deref() == Some(Stage::Personalize.id());
        let mut session_plan = Plan::new(plan.token.info(&self.record.se.chip));
        session_plan.policy = plan.policy().filter(|_| !fresh_applet);
        session_plan.start = if untouched { Start::Fresh } else { Start::Resume };
        session_plan.hand_over = plan.user.secrets != Secrets::Later;
        session_plan.refresh = self.was_partial && stopped_here && !untouched;
        self.stage = Stage::Personalize;
        let steps = session_plan.steps(states)?;
        if session_plan.refresh || steps.iter().any(|step| step.changes()) {
            self.mark_begun()?;
        }
        (self.events)(Event::Stage(Stage::Personalize));
        let before = self.card.apdus();
        let events = &mut *self.events;
        let mut remembering = Remembering { journal: &self.journal, inner: issuer };
        let mut session = applet_session(self.card, self.request, keys, self.rng)?;
        self.record.level = Some(session.level().to_string());
        let done = personalize(&mut session, &session_plan, &mut remembering, app, self.rng, &mut |event| {
            events(Event::Step(event));
        });
        drop(session);
        let done = done?;
        if self.begun {
            self.record.personalization_apdus = Some(self.card.apdus() - before);
        }
        Ok(done.attestation)
    }

    /// The first set gives way to the own one. A set is never removed before its successor has opened a channel.
    fn rotate(&mut self, keys: InUse) -> Result<(), ProvisionError> {
        let plan = &self.request.plan.keys;
        let domain = self.domain();
        match keys {
            InUse::Own { first_left: false } => return Ok(()),
            InUse::Own { first_left: true } => {
                self.begin(Stage::RotateKeys)?;
                let own = self.request.own_keys;
                let mut session =
                    open(self.card, own, plan.own_kvn, Some(domain), SecurityLevel::L13, self.rng)?;
                delete_key(&mut session, plan.first_kvn)?;
            }
            InUse::First | InUse::Issuer => {
                self.begin(Stage::RotateKeys)?;
                let (to, remove) = match plan.rotation {
                    Rotation::Add => (Destination::add(plan.own_kvn)?, Some(plan.first_kvn)),
                    Rotation::Replace => (Destination::replace(plan.first_kvn, plan.own_kvn)?, None),
                };
                let request = RotateRequest {
                    domain: Some(domain),
                    old: self.request.first_keys,
                    old_kvn: plan.first_kvn,
                    new: self.request.own_keys,
                    to,
                    form: KeyBlock::default(),
                    level: LevelChoice::AtLeast(SecurityLevel::L13),
                    remove,
                    counted: None,
                };
                rotate_keys(self.card, &request, self.rng)?;
            }
        }
        Ok(())
    }

    /// The applet opened with the own keys says what it said before. Needless where it was opened with them anyway.
    fn finish(&mut self, attestation: &Attestation, keys: InUse) -> Result<(), ProvisionError> {
        let own = InUse::Own { first_left: false };
        if keys != own {
            self.begin(Stage::Prove)?;
            let mut session = applet_session(self.card, self.request, own, self.rng)?;
            self.own_kdd = session.info().set.kdd;
            let again = Admin::new(&mut session)?.attest(self.rng)?;
            for key in KeyRef::ALL {
                expect_state(&again, key, attestation.key(key).state).map_err(AdminError::from)?;
            }
        }
        let plan = &self.request.plan.keys;
        let set = KeySet { kvn: plan.own_kvn, kdd: self.own_kdd };
        self.record.domain.kvn = Some(format!("{:02X}", plan.own_kvn));
        self.record.domain.replaced_kvn = Some(format!("{:02X}", plan.first_kvn));
        if keys != own || self.record.domain.key_check_values.is_empty() {
            let values = self.request.own_keys.check_values(&set)?;
            self.record.domain.key_check_values = values.iter().map(ToString::to_string).collect();
        }
        self.record.domain.test_keys = self.request.own_keys_published;
        self.record.lease = (attestation.lease != LEASE_OFF).then_some(attestation.lease);
        Ok(())
    }

    /// The keys as attested, with what the journal or the record of before knows of their certificates.
    fn record_keys(&mut self, attestation: &Attestation) -> Result<(), ProvisionError> {
        let mut keys = Vec::new();
        for key in KeyRef::ALL {
            let hash = attestation.key(key).modulus_hash;
            let issued = self.journal.issued(key);
            let public = match &issued {
                Some(issued) => {
                    public_key(&issued.certificate)?.filter(|public| public.modulus_hash() == hash)
                }
                None => None,
            };
            let issued = issued.filter(|_| public.is_some());
            let mut own = KeyRecord::new(key, attestation, public.as_ref(), issued.as_ref())?;
            let before = self.record.keys.iter().find(|k| k.key == key);
            if let Some(before) =
                before.filter(|b| own.certificate.is_none() && b.modulus_sha256 == own.modulus_sha256)
            {
                own.modulus.clone_from(&before.modulus);
                own.certificate.clone_from(&before.certificate);
            }
            keys.push(own);
        }
        self.record.keys = keys;
        Ok(())
    }
}

fn public_key(certificate: &crate::Cert) -> Result<Option<CardPublicKey>, ProvisionError> {
    use rsa::traits::PublicKeyParts;
    let key = certificate.public_key()?;
    Ok(CardPublicKey::new(&key.n().to_bytes_be(), &key.e().to_bytes_be()).ok())
}

fn applet_session<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    request: &Request<'k>,
    keys: InUse,
    rng: &mut dyn SecureRandom,
) -> Result<Session<'a, T, Authenticated<'k>>, ProvisionError> {
    let plan = &request.plan.keys;
    let (source, kvn) = match keys {
        InUse::Own { .. } => (request.own_keys, plan.own_kvn),
        _ => (request.first_keys, plan.first_kvn),
    };
    Ok(open(card, source, kvn, Some(request.plan.applet.instance), SecurityLevel::L13, rng)?)
}

fn open<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    keys: &'k dyn KeySource,
    kvn: u8,
    aid: Option<Aid>,
    level: SecurityLevel,
    rng: &mut dyn SecureRandom,
) -> Result<Session<'a, T, Authenticated<'k>>, GpError> {
    let options =
        ChannelOptions { aid, kvn, level: LevelChoice::AtLeast(level), ..ChannelOptions::default() };
    open_channel(card, keys, &options, rng)
}
