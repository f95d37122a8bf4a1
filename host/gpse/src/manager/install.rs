//! INSTALL (section 11.5).
//!
//! ```text
//! 80 E6 P1 00  Lc  LV fields  Le 00 -> 00
//! P1 02 load        see load.rs
//!    0E load, install and make selectable: see load.rs
//!    04 install     load file, module, application, privileges, parameters { C9 … }, token
//!    0C             the same, and make selectable
//!    08 selectable  empty, empty, application, privileges, parameters, token
//!    10 extradite   new domain, empty, application or load file, empty, parameters, token
//!    20 personalise empty, empty, application, empty, empty, empty
//!    40 registry    new domain, empty, application, privileges, parameters, token
//! SW 6A80 data, 6A88 load file, module or application unknown, 6985 AID taken or not allowed,
//!    6A86 P1 P2
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::lv::LvReader;
use jpkise_wire::scp03::IParameter;
use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::{Aid, StatusWord};

use super::core::Storing;
use super::parameters::{implicit_selection, restriction, Parameters, Purpose};
use super::{success, Answer, Core, Fault, GpSe};
use crate::faults;
use crate::profile::{SECURITY_DOMAIN_MODULE, SECURITY_DOMAIN_PACKAGE};
use crate::registry::{life_cycle, Application, Domain, Kind, Privilege, Privileges, Registry};
use crate::runtime::{Channel, InstallRequest};

const P1_INSTALL: u8 = 0x04;
const P1_MAKE_SELECTABLE: u8 = 0x08;
const P1_INSTALL_AND_MAKE_SELECTABLE: u8 = 0x0C;
const P1_EXTRADITION: u8 = 0x10;
const P1_PERSONALIZATION: u8 = 0x20;
const P1_REGISTRY_UPDATE: u8 = 0x40;
const P1_LOAD: u8 = 0x02;
/// Load, install and make selectable in one process, whose two INSTALL commands P2 tells apart.
pub(super) const P1_COMBINED: u8 = 0x0E;
const P2_BEGINNING: u8 = 0x01;
pub(super) const P2_END: u8 = 0x03;

/// In C9 of a security domain: secure channel protocol and its i.
const TAG_PROTOCOL: Tag = Tag(0x81);
/// The confirmation's length: there is none.
const NO_CONFIRMATION: [u8; 1] = [0];
const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;

/// The LV fields: five for load, else six. The last is the token.
pub(super) struct Fields<'a, const N: usize = 6>(pub [&'a [u8]; N]);

impl<'a, const N: usize> Fields<'a, N> {
    pub fn parse(data: &'a [u8]) -> Result<Self, StatusWord> {
        let mut reader = LvReader::new(data);
        let mut fields = [&[][..]; N];
        for field in &mut fields {
            *field = reader.field().map_err(|_| WRONG_DATA)?;
        }
        // Tokens belong to delegated management, which this card lacks: it cannot honour one.
        if !reader.is_at_end() || fields.last().is_some_and(|token| !token.is_empty()) {
            return Err(WRONG_DATA);
        }
        Ok(Self(fields))
    }

    pub fn aid(&self, index: usize) -> Result<Aid, StatusWord> {
        Aid::new(self.0[index]).map_err(|_| WRONG_DATA)
    }

    fn require_empty(&self, indices: &[usize]) -> Result<(), StatusWord> {
        if indices.iter().all(|i| self.0[*i].is_empty()) {
            Ok(())
        } else {
            Err(WRONG_DATA)
        }
    }
}

impl GpSe {
    pub(super) fn install(&mut self, channel: Channel, actor: Aid, command: &CommandApdu) -> Answer {
        match (command.p1, command.p2) {
            (P1_COMBINED, P2_BEGINNING) => {
                self.install_for_load(channel, &actor, command.data(), true)?;
                return success(NO_CONFIRMATION);
            }
            (P1_COMBINED, P2_END) => {
                self.install_loaded(channel, &actor, command.data())?;
                return success(NO_CONFIRMATION);
            }
            _ => {}
        }
        if command.p2 != 0 {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let p1 = command.p1;
        if p1 == P1_LOAD {
            self.install_for_load(channel, &actor, command.data(), false)?;
            return success(NO_CONFIRMATION);
        }
        let known = [
            P1_INSTALL,
            P1_MAKE_SELECTABLE,
            P1_INSTALL_AND_MAKE_SELECTABLE,
            P1_EXTRADITION,
            P1_PERSONALIZATION,
            P1_REGISTRY_UPDATE,
        ];
        if !known.contains(&p1) {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let fields = Fields::parse(command.data())?;
        match p1 {
            P1_INSTALL => self.install_application(&actor, &fields, life_cycle::INSTALLED)?,
            P1_INSTALL_AND_MAKE_SELECTABLE => {
                self.install_application(&actor, &fields, life_cycle::SELECTABLE)?;
            }
            P1_MAKE_SELECTABLE => self.core.make_selectable(&actor, &fields)?,
            P1_EXTRADITION if self.core.has_fault(faults::Fault::ExtraditionIgnored) => {}
            P1_EXTRADITION => self.core.extradite(&actor, &fields)?,
            P1_REGISTRY_UPDATE => self.core.update_registry(&actor, &fields)?,
            _ => self.begin_personalization(channel, &actor, &fields)?,
        }
        success(NO_CONFIRMATION)
    }

    fn install_application(&mut self, actor: &Aid, fields: &Fields<'_>, life_cycle: u8) -> Result<(), Fault> {
        let result = self.install_from(self.core.registry.clone(), actor, fields, life_cycle);
        self.runtime.settle(&self.core.registered())?;
        result
    }

    /// Installs an application into a registry and makes that the card's. The caller settles, whatever comes of it.
    pub(super) fn install_from(
        &mut self,
        mut next: Registry,
        actor: &Aid,
        fields: &Fields<'_>,
        life_cycle: u8,
    ) -> Result<(), Fault> {
        self.core.may_manage_content(actor)?;
        let (package, module, instance) = (fields.aid(0)?, fields.aid(1)?, fields.aid(2)?);
        let privileges = Privileges::parse(fields.0[3]).ok_or(WRONG_DATA)?;
        let read = Parameters::parse(fields.0[4], Purpose::Install)?;
        // C9 must be there even when it is empty.
        let parameters = read.application.ok_or(WRONG_DATA)?;
        self.core.check_restriction(None, restriction::INSTALL)?;
        let unknown = StatusWord::REFERENCED_DATA_NOT_FOUND;
        let file = next.load_file(&package).ok_or(unknown)?;
        if !file.modules.contains(&module) {
            return Err(unknown.into());
        }
        if next.knows(&instance) {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        let is_domain = package == SECURITY_DOMAIN_PACKAGE && module == SECURITY_DOMAIN_MODULE;
        if is_domain != privileges.has(Privilege::SECURITY_DOMAIN) {
            return Err(WRONG_DATA.into());
        }
        read.check_memory(self.free_memory())?;
        let kind = if is_domain {
            let i = domain_protocol(parameters, next.issuer().as_domain().map_or(0, |d| d.i.value()))?;
            Kind::Domain(Box::new(Domain::new(i)))
        } else {
            Kind::Applet
        };
        next.applications.push(Application {
            aid: instance,
            origin: Some((package, module)),
            domain: *actor,
            life_cycle,
            privileges: Privileges([0; 3]),
            implicit: Vec::new(),
            restricted: 0,
            kind,
        });
        grant(&mut next, &instance, privileges)?;
        select_implicitly(&mut next, &instance, read.implicit)?;
        if is_domain {
            return self.core.commit(next);
        }
        let request = InstallRequest { package, module, instance, privileges: privileges.0, parameters };
        self.runtime.install(&request, &mut self.core)?;
        // Publishing is the commit; whatever fails before it leaves nothing behind.
        self.core.commit(next)
    }

    fn begin_personalization(
        &mut self,
        channel: Channel,
        actor: &Aid,
        fields: &Fields<'_>,
    ) -> Result<(), Fault> {
        fields.require_empty(&[0, 1, 3, 4])?;
        let aid = fields.aid(2)?;
        self.core.channel_mut(channel).storing = Storing::default();
        let application =
            self.core.registry.application(&aid).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
        // A domain takes objects and its first keys this way (section 9.6).
        let takes_it = application.domain == *actor
            && aid != *actor
            && application.life_cycle & life_cycle::LOCKED == 0
            && match application.kind {
                Kind::Applet => self.runtime.takes_personalization(aid)?,
                Kind::Domain(_) => true,
            };
        self.core.check_restriction(Some(&aid), restriction::PERSONALIZATION)?;
        if !takes_it {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        self.core.channel_mut(channel).storing.target = Some(aid);
        Ok(())
    }
}

impl Core {
    /// Content management needs Authorised Management (section 9.1.3); delegated management is not offered.
    pub(super) fn may_manage_content(&self, actor: &Aid) -> Result<(), StatusWord> {
        let held = self
            .registry
            .application(actor)
            .is_some_and(|a| a.privileges.has(Privilege::AUTHORIZED_MANAGEMENT));
        if held {
            Ok(())
        } else {
            Err(StatusWord::CONDITIONS_NOT_SATISFIED)
        }
    }

    fn make_selectable(&mut self, actor: &Aid, fields: &Fields<'_>) -> Result<(), Fault> {
        fields.require_empty(&[0, 1])?;
        self.may_manage_content(actor)?;
        let aid = fields.aid(2)?;
        Parameters::parse(fields.0[4], Purpose::Other)?;
        let application = managed(&self.registry, actor, &aid)?;
        self.check_restriction(Some(&aid), restriction::MAKE_SELECTABLE)?;
        let is_new = application.life_cycle == life_cycle::INSTALLED;
        // Of the privileges only Card Reset counts (section 11.5.2.3.3); it may also be given later.
        let requested = match fields.0[3] {
            [] => Privileges::default(),
            field => Privileges::parse(field).ok_or(WRONG_DATA)?,
        };
        let card_reset = requested.has(Privilege::CARD_RESET);
        if !is_new && !card_reset {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        let privileges = application.privileges.with(Privilege::CARD_RESET, card_reset);
        self.change(|next| {
            if is_new {
                if let Some(application) = next.application_mut(&aid) {
                    application.life_cycle = life_cycle::SELECTABLE;
                }
            }
            grant(next, &aid, privileges)
        })
    }

    fn extradite(&mut self, actor: &Aid, fields: &Fields<'_>) -> Result<(), Fault> {
        fields.require_empty(&[1, 3])?;
        self.may_manage_content(actor)?;
        let (to, aid) = (fields.aid(0)?, fields.aid(2)?);
        Parameters::parse(fields.0[4], Purpose::Other)?;
        self.check_restriction(Some(&aid), restriction::EXTRADITION)?;
        self.change(|next| change_domain(next, actor, &aid, &to))
    }

    fn update_registry(&mut self, actor: &Aid, fields: &Fields<'_>) -> Result<(), Fault> {
        fields.require_empty(&[1])?;
        self.may_manage_content(actor)?;
        let parameters = Parameters::parse(fields.0[4], Purpose::RegistryUpdate)?;
        if fields.0[2].is_empty() {
            return self.restrict_card(actor, fields, &parameters);
        }
        let aid = fields.aid(2)?;
        self.check_restriction(Some(&aid), restriction::REGISTRY_UPDATE)?;
        let current = managed(&self.registry, actor, &aid)?.privileges;
        let privileges = match fields.0[3] {
            [] => current,
            field => Privileges::parse(field).ok_or(WRONG_DATA)?,
        };
        if current.has(Privilege::SECURITY_DOMAIN) != privileges.has(Privilege::SECURITY_DOMAIN) {
            return Err(WRONG_DATA.into());
        }
        let to = if fields.0[0].is_empty() { None } else { Some(fields.aid(0)?) };
        self.change(|next| {
            if let Some(to) = to {
                change_domain(next, actor, &aid, &to)?;
            }
            grant(next, &aid, privileges)?;
            select_implicitly(next, &aid, parameters.implicit)?;
            if let Some(application) = next.application_mut(&aid) {
                application.restricted |= parameters.restriction;
            }
            Ok(())
        })
    }

    /// Registry update of the OPEN itself: what is restricted there, the card never does again. The issuer's to say.
    fn restrict_card(
        &mut self,
        actor: &Aid,
        fields: &Fields<'_>,
        parameters: &Parameters<'_>,
    ) -> Result<(), Fault> {
        fields.require_empty(&[0, 3])?;
        if parameters.implicit.is_some() || parameters.restriction == 0 {
            return Err(WRONG_DATA.into());
        }
        self.check_restriction(None, restriction::REGISTRY_UPDATE)?;
        if *actor != self.registry.issuer().aid {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        self.change(|next| {
            next.restricted |= parameters.restriction;
            Ok(())
        })
    }

    /// Whether the card, or this application, still has a function.
    pub(super) fn check_restriction(&self, aid: Option<&Aid>, function: u8) -> Result<(), StatusWord> {
        let of_application = aid.and_then(|aid| self.registry.application(aid)).map_or(0, |a| a.restricted);
        if (self.registry.restricted | of_application) & function != 0 {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
        Ok(())
    }
}

/// The application, if it is associated with `actor` or with a domain under it.
fn managed<'a>(registry: &'a Registry, actor: &Aid, aid: &Aid) -> Result<&'a Application, StatusWord> {
    let application = registry.application(aid).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
    if registry.is_under(&application.domain, actor) {
        Ok(application)
    } else {
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    }
}

/// Associates an application or load file with another domain (section 9.4.1).
fn change_domain(registry: &mut Registry, actor: &Aid, aid: &Aid, to: &Aid) -> Result<(), StatusWord> {
    let refused = StatusWord::CONDITIONS_NOT_SATISFIED;
    let target = registry.application(to).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
    let is_locked = target.origin.is_some() && target.life_cycle & life_cycle::LOCKED != 0;
    if target.as_domain().is_none() || is_locked {
        return Err(refused);
    }
    if let Some(file) = registry.load_file(aid) {
        if !registry.is_under(&file.domain, actor) {
            return Err(refused);
        }
        let file = registry.load_files.iter_mut().find(|l| l.aid == *aid);
        file.ok_or(refused)?.domain = *to;
        return Ok(());
    }
    let application = managed(registry, actor, aid)?;
    let is_issuer = *aid == registry.issuer().aid;
    // A domain may become the root of a hierarchy of its own, but not hang below itself.
    let cycle = application.as_domain().is_some() && to != aid && registry.is_under(to, aid);
    if is_issuer || cycle {
        return Err(refused);
    }
    registry.application_mut(aid).ok_or(refused)?.domain = *to;
    Ok(())
}

/// Gives an application its privileges. Card Reset and Final Application have one holder besides the issuer security
/// domain, to which they fall back (section 6.6.2).
pub(super) fn grant(registry: &mut Registry, aid: &Aid, privileges: Privileges) -> Result<(), StatusWord> {
    for exclusive in [Privilege::CARD_RESET, Privilege::FINAL_APPLICATION] {
        let taken = |a: &&Application| a.aid != *aid && a.privileges.has(exclusive);
        if privileges.has(exclusive) && registry.applications.iter().skip(1).find(taken).is_some() {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
        }
    }
    let application = registry.application_mut(aid).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
    application.privileges = privileges;
    let issuer = registry.issuer().aid;
    for exclusive in [Privilege::CARD_RESET, Privilege::FINAL_APPLICATION] {
        let elsewhere = registry.applications.iter().any(|a| a.aid != issuer && a.privileges.has(exclusive));
        let privileges = registry.issuer().privileges.with(exclusive, !elsewhere);
        registry.issuer_mut().privileges = privileges;
    }
    Ok(())
}

/// Gives an application its implicit selection: a channel of an interface is meant for one application.
fn select_implicitly(
    registry: &mut Registry,
    aid: &Aid,
    implicit: Option<Vec<u8>>,
) -> Result<(), StatusWord> {
    let Some(implicit) = implicit else { return Ok(()) };
    let collide = |a: &u8, b: &u8| {
        (a ^ b) & implicit_selection::CHANNEL == 0 && a & b & !implicit_selection::CHANNEL != 0
    };
    let others = registry.applications.iter().filter(|a| a.aid != *aid).flat_map(|a| &a.implicit);
    if others.into_iter().any(|other| implicit.iter().any(|own| collide(own, other))) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    registry.application_mut(aid).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?.implicit = implicit;
    Ok(())
}

/// The i of a new domain's SCP03: from 81 in C9, else the issuer's. A protocol or option the card lacks is refused.
fn domain_protocol(parameters: &[u8], issuer: u8) -> Result<IParameter, StatusWord> {
    let objects = Tlv::read_all(parameters).map_err(|_| WRONG_DATA)?;
    let mut protocols = objects.iter().filter(|o| o.tag == TAG_PROTOCOL).peekable();
    if protocols.peek().is_none() {
        return IParameter::new(issuer).ok_or(WRONG_DATA);
    }
    protocols
        .find_map(|o| match *o.value {
            [3, i] => IParameter::new(i),
            _ => None,
        })
        .ok_or(WRONG_DATA)
}
