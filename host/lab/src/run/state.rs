//! The way to each state of the card, one step at a time, by the commands that any card takes.

use std::rc::Rc;

use jpkise_cap::{Cap, LoadOptions};
use jpkise_card::CardError;
use jpkise_gp::ara::{ARA_M_AID, ARA_PACKAGE_AID};
use jpkise_gp::commands::install::{ForInstall, ForLoad};
use jpkise_gp::commands::put_key::{Destination, KeyBlock};
use jpkise_gp::keys::{KeySource, SoftwareKeys};
use jpkise_gp::registry::{CardState as LifeCycle, Registry};
use jpkise_gp::scp03::{ScpError, Session};
use jpkise_gp::workflow::{
    create_domain, delete, delete_key, extradite, install, load, open_channel, put_keys, read_identity,
    read_registry, ChannelOptions, DomainRequest, LevelChoice, LoadRequest,
};
use jpkise_gp::GpError;
use jpkise_jpki::ca::{Hierarchy, Subscriber};
use jpkise_jpki::csr::CsrInfo;
use jpkise_jpki::edge::{
    Dgi, KeyRef, Password, Pin, TokenInfo, TokenProfile, INSTANCE_AID, MODULE_AID, PACKAGE_AID,
    SP_DOMAIN_AID, SP_KEY_VERSION,
};
use jpkise_jpki::personalize::{Issuer, TestIssuer};
use jpkise_jpki::{channel, Admin, KnownSecrets};
use jpkise_wire::scp03::{KeyError, SecurityLevel};
use jpkise_wire::Aid;
use rand::rngs::OsRng;
use time::OffsetDateTime;

pub use crate::secrets::{sp_keys, PASSWORD, PIN};

use super::bench::{BenchError, LabCard, Values};
use crate::chain::sei_tsm::{applet, issuer_channel, DOMAIN_I};
use crate::dist;
use crate::suite::model::{CardState, Stage};

/// Who makes states.
pub struct Maker {
    issuer: Rc<dyn KeySource>,
    sp: Rc<SoftwareKeys>,
    now: OffsetDateTime,
    hierarchy: Option<Hierarchy>,
    /// Applications and key versions that were there before the lab did anything: they stay.
    found: Option<(Vec<Aid>, Vec<u8>)>,
}

/// What of a card's ways only its issuer's keys tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// Security levels at which it opens a channel.
    pub levels: Vec<SecurityLevel>,
    /// Whether it is SECURED, or beyond.
    pub secured: bool,
}

impl Maker {
    /// With the issuer's keys.
    pub fn new(issuer: Rc<dyn KeySource>, now: OffsetDateTime) -> Result<Self, KeyError> {
        Ok(Self { issuer, sp: Rc::new(sp_keys()?), now, hierarchy: None, found: None })
    }

    /// The key set of that name.
    pub fn keys(&self, name: &str) -> Option<Rc<dyn KeySource>> {
        match name {
            "issuer" => Some(self.issuer.clone()),
            "sp" => Some(self.sp.clone()),
            _ => None,
        }
    }

    /// Asks the card; nothing of it is changed, and with the right keys no try is lost.
    pub fn disposition(&self, card: &mut LabCard) -> Disposition {
        let mut opens = |level| {
            let options = ChannelOptions { level: LevelChoice::Exactly(level), ..ChannelOptions::default() };
            open_channel(card, self.issuer.as_ref(), &options, &mut OsRng).is_ok()
        };
        let levels = SecurityLevel::ALL.into_iter().filter(|level| opens(*level)).collect();
        let registry = self.registry(card).ok();
        let issuer = registry.and_then(|registry| registry.issuer);
        let early = issuer.is_some_and(|issuer| issuer.life_cycle.value < LifeCycle::Secured.value());
        Disposition { levels, secured: !early }
    }

    /// The state from which `state` is one step away; `None` for those that are a beginning.
    pub fn before(state: CardState) -> Option<CardState> {
        let earlier = |stage: Stage| match stage {
            Stage::Empty => None,
            Stage::Keyed => Some(Stage::Empty),
            Stage::Certified => Some(Stage::Keyed),
            Stage::Active => Some(Stage::Certified),
            Stage::Held | Stage::Revoked => Some(Stage::Active),
        };
        match state {
            CardState::Any | CardState::Fresh => None,
            CardState::Ara => Some(CardState::Fresh),
            CardState::Jpki { auth, sign, plastic } => Some(match (earlier(sign), earlier(auth)) {
                (Some(sign), _) => CardState::Jpki { auth, sign, plastic },
                (None, Some(auth)) => CardState::Jpki { auth, sign, plastic },
                (None, None) => CardState::Fresh,
            }),
        }
    }

    /// Brings the card to `state`: from the state it is `known` to be in, if that lies on the way, else from the beginning, with
    /// the values that every state has.
    pub fn reach(
        &mut self,
        card: &mut LabCard,
        state: CardState,
        known: Option<(CardState, Values)>,
        isd: Option<Aid>,
    ) -> Result<Values, BenchError> {
        let mut way = vec![state];
        while let Some(before) = way.last().copied().and_then(Self::before) {
            way.push(before);
        }
        let start = known.as_ref().and_then(|(is_in, _)| way.iter().position(|s| s == is_in));
        let mut values = match (start, known) {
            (Some(at), Some((_, values))) => {
                way.truncate(at);
                values
            }
            _ => Self::common_values(isd),
        };
        for next in way.into_iter().rev() {
            self.step(card, next, &mut values)?;
        }
        Ok(values)
    }

    /// Values that every state has.
    pub fn common_values(isd: Option<Aid>) -> Values {
        let aid = |aid: Aid| aid.as_bytes().to_vec();
        let mut values = Values::from([
            ("instance".to_owned(), aid(INSTANCE_AID)),
            ("package".to_owned(), aid(PACKAGE_AID)),
            ("module".to_owned(), aid(MODULE_AID)),
            ("sp-domain".to_owned(), aid(SP_DOMAIN_AID)),
            ("ara".to_owned(), aid(ARA_M_AID)),
            ("pin".to_owned(), PIN.as_bytes().to_vec()),
            ("password".to_owned(), PASSWORD.as_bytes().to_vec()),
        ]);
        values.extend(isd.map(|isd| ("isd".to_owned(), aid(isd))));
        values
    }

    /// The one step from [`Self::before`] to `state`. New values come in.
    pub fn step(
        &mut self,
        card: &mut LabCard,
        state: CardState,
        values: &mut Values,
    ) -> Result<(), BenchError> {
        let failed = |error: GpError| match error {
            GpError::Channel(ScpError::Card(error)) => BenchError::Card(error),
            other => BenchError::state(state, other),
        };
        match state {
            CardState::Any => Ok(()),
            CardState::Fresh => self.clear(card).map_err(failed),
            CardState::Ara => {
                self.load_where_missing(card, state, ARA_PACKAGE_AID, dist::ARA_CAP)?;
                self.install_ara(card).map_err(failed)
            }
            CardState::Jpki { auth: Stage::Empty, sign: Stage::Empty, plastic } => {
                self.load_where_missing(card, state, PACKAGE_AID, dist::JPKI_CAP)?;
                self.install_jpki(card, plastic).map_err(failed)
            }
            CardState::Jpki { auth, sign: Stage::Empty, plastic } => {
                self.advance(card, state, KeyRef::Auth, auth, plastic, values)
            }
            CardState::Jpki { sign, plastic, .. } => {
                self.advance(card, state, KeyRef::Sign, sign, plastic, values)
            }
        }
    }

    fn registry(&self, card: &mut LabCard) -> Result<Registry, GpError> {
        let mut session = open_channel(card, self.issuer.as_ref(), &issuer_channel(), &mut OsRng)?;
        read_registry(&mut session)
    }

    /// Takes off the card what the lab, or a case of it, has put there.
    fn clear(&mut self, card: &mut LabCard) -> Result<(), GpError> {
        let issuer = Rc::clone(&self.issuer);
        let registry = self.registry(card)?;
        let versions = key_versions(card)?;
        let is_ours = |aid: &Aid| [INSTANCE_AID, SP_DOMAIN_AID].contains(aid);
        let (applications, keys) = self.found.get_or_insert_with(|| {
            let all = registry.applications.iter().map(|entry| entry.aid);
            (all.filter(|aid| !is_ours(aid)).collect(), versions.clone())
        });
        // Applets before the domains they are in: the newest first is the way back.
        let added = registry.applications.iter().rev().map(|entry| entry.aid);
        let mut added: Vec<Aid> = added.filter(|aid| !applications.contains(aid)).collect();
        added.sort_by_key(|aid| *aid == SP_DOMAIN_AID);
        for aid in added {
            let mut session = open_channel(card, issuer.as_ref(), &issuer_channel(), &mut OsRng)?;
            delete(&mut session, aid, false)?;
        }
        for kvn in versions.iter().filter(|kvn| !keys.contains(kvn)) {
            let mut session = open_channel(card, issuer.as_ref(), &issuer_channel(), &mut OsRng)?;
            delete_key(&mut session, *kvn)?;
        }
        Ok(())
    }

    /// The package of an applet, which stays on the card from then on: loading it takes long.
    fn load_where_missing(
        &self,
        card: &mut LabCard,
        state: CardState,
        package: Aid,
        cap: &[u8],
    ) -> Result<(), BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError::state(state, error);
        let lost = |error: GpError| match error {
            GpError::Channel(ScpError::Card(error)) => BenchError::Card(error),
            other => failed(&other),
        };
        if self.registry(card).map_err(lost)?.find(&package).is_some() {
            return Ok(());
        }
        let cap = Cap::read(cap).map_err(|e| failed(&e))?;
        let request = LoadRequest {
            announcement: ForLoad::new(package, None),
            data_block: &cap.load_file_data_block(LoadOptions::default()),
            daps: Vec::new(),
            block_size: None,
        };
        let opened = open_channel(card, self.issuer.as_ref(), &issuer_channel(), &mut OsRng);
        load(&mut opened.map_err(lost)?, &request, &mut |_| {}).map(drop).map_err(lost)
    }

    fn install_ara(&self, card: &mut LabCard) -> Result<(), GpError> {
        if self.registry(card)?.find(&ARA_M_AID).is_some() {
            return Ok(());
        }
        let mut session = open_channel(card, self.issuer.as_ref(), &issuer_channel(), &mut OsRng)?;
        // Package, and module and instance under one name.
        install(&mut session, &ForInstall::new(ARA_PACKAGE_AID, ARA_M_AID, ARA_M_AID))
    }

    fn install_jpki(&self, card: &mut LabCard, plastic: bool) -> Result<(), GpError> {
        let issuer = self.issuer.as_ref();
        let mut session = open_channel(card, issuer, &issuer_channel(), &mut OsRng)?;
        create_domain(&mut session, &DomainRequest::new(SP_DOMAIN_AID, DOMAIN_I))?;
        let to_domain = ChannelOptions { aid: Some(SP_DOMAIN_AID), ..issuer_channel() };
        let mut session = open_channel(card, issuer, &to_domain, &mut OsRng)?;
        put_keys(&mut session, self.sp.as_ref(), Destination::add(SP_KEY_VERSION)?, KeyBlock::default())?;
        let mut session = open_channel(card, issuer, &issuer_channel(), &mut OsRng)?;
        install(&mut session, &applet(profile(plastic)))?;
        extradite(&mut session, INSTANCE_AID, SP_DOMAIN_AID)
    }

    /// One key one stage further.
    fn advance(
        &mut self,
        card: &mut LabCard,
        state: CardState,
        key: KeyRef,
        stage: Stage,
        plastic: bool,
        values: &mut Values,
    ) -> Result<(), BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError::state(state, error);
        if self.hierarchy.is_none() {
            let made = Hierarchy::generate(self.now, &mut OsRng);
            self.hierarchy = Some(made.map_err(|e| failed(&e))?);
        }
        let Some(hierarchy) = &self.hierarchy else { return Err(failed(&"no certificate authority")) };
        let opened = channel::open(card, &INSTANCE_AID, self.sp.as_ref(), SP_KEY_VERSION, &mut OsRng);
        let mut session = opened.map_err(|error| match error {
            ScpError::Card(error) => BenchError::Card(error),
            other => failed(&other),
        })?;
        let mut admin = Admin::new(&mut session).map_err(|e| failed(&e))?;
        let profile = profile(plastic);
        match stage {
            Stage::Empty => {}
            Stage::Keyed => {
                admin.generate(key).map_err(|e| failed(&e))?;
                let public = admin.public_key(key).map_err(|e| failed(&e))?;
                values.insert(name(key, "modulus"), public.modulus().to_vec());
            }
            Stage::Certified => {
                let public = admin.public_key(key).map_err(|e| failed(&e))?;
                let subscriber = Subscriber::sample();
                let mut issuer = TestIssuer {
                    hierarchy,
                    subscriber: &subscriber,
                    profile,
                    now: self.now,
                    not_after_limit: None,
                    rng: OsRng,
                };
                let subject = issuer.subject(key).map_err(|e| failed(&e))?;
                let request = CsrInfo::new(public.rsa(), subject).map_err(|e| failed(&e))?;
                let proof = admin.prove(key, &request.hash()).map_err(|e| failed(&e))?;
                let request = request.prove(&proof).map_err(|e| failed(&e))?;
                let issued = issuer.issue(key, &request).map_err(|e| failed(&e))?;
                let issued = issued.ok_or_else(|| failed(&"the test CA issues at once"))?;
                let token = TokenInfo::new(profile, "0000000000000001").build().map_err(|e| failed(&e))?;
                let dgis = [
                    Dgi::token_info(&token),
                    Dgi::ca_certificate(key, issued.ca.as_der()).map_err(|e| failed(&e))?,
                    Dgi::certificate(key, issued.certificate.as_der()).map_err(|e| failed(&e))?,
                ];
                admin.store(&dgis, |_, _| {}).map_err(|e| failed(&e))?;
                values.insert(name(key, "certificate"), issued.certificate.as_der().to_vec());
                values.insert(name(key, "ca"), issued.ca.as_der().to_vec());
            }
            Stage::Active => {
                let mut app = KnownSecrets {
                    pin: Pin::new(PIN).map_err(|e| failed(&e))?,
                    password: Password::new(PASSWORD).map_err(|e| failed(&e))?,
                };
                admin.reset(key, &mut app, &mut OsRng).map_err(|e| failed(&e))?;
            }
            Stage::Held => drop(admin.hold(key, &mut OsRng).map_err(|e| failed(&e))?),
            Stage::Revoked => drop(admin.revoke(key, &mut OsRng).map_err(|e| failed(&e))?),
        }
        Ok(())
    }
}

fn name(key: KeyRef, what: &str) -> String {
    format!("{key}-{what}")
}

const fn profile(plastic: bool) -> TokenProfile {
    if plastic {
        TokenProfile::Card
    } else {
        TokenProfile::Phone
    }
}

/// Key versions of the issuer security domain, as everybody may ask them.
fn key_versions(card: &mut LabCard) -> Result<Vec<u8>, GpError> {
    let mut session = Session::select(card, None)?;
    let identity = read_identity(&mut session)?;
    let keys = identity.key_information.and_then(|datum| datum.value);
    Ok(keys.map(|keys| keys.scp03_sets().iter().map(|(kvn, _)| *kvn).collect()).unwrap_or_default())
}

/// The AID that the issuer security domain names in its FCI.
pub fn issuer_aid(card: &mut LabCard) -> Result<Option<Aid>, CardError> {
    let answer = card.send(&jpkise_gp::commands::select::select(&[]))?;
    Ok(jpkise_gp::commands::select::Fci::parse(&answer.data).ok().and_then(|fci| fci.aid))
}
