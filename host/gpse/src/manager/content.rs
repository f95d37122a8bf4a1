//! DELETE (section 11.2).
//!
//! ```text
//! 80 E4 00 00|80  Lc  4F len AID          Le 00 -> 00        80: a load file with its instances
//! 80 E4 00 00     Lc  D0 01 id  D2 01 KVN Le 00 -> 00        keys; one missing: all that match the other
//! SW 6A88 not found, 6985 still in use or not allowed, 6A80 data, 6A86 P1 P2
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::{Aid, StatusWord};

use super::parameters::restriction;
use super::{success, Answer, Core, Fault, GpSe};
use crate::faults;
use crate::registry::{Kind, Privilege, Registry};

const TAG_AID: Tag = Tag(0x4F);
const TAG_KEY_IDENTIFIER: Tag = Tag(0xD0);
const TAG_KEY_VERSION: Tag = Tag(0xD2);
/// Control reference template for a digital signature, which only goes with a token.
const TAG_TOKEN_REFERENCE: Tag = Tag(0xB6);
const P2_WITH_RELATED: u8 = 0x80;
const REFUSED: StatusWord = StatusWord::CONDITIONS_NOT_SATISFIED;

impl GpSe {
    pub(super) fn delete(&mut self, actor: Aid, command: &CommandApdu) -> Answer {
        if command.p1 != 0 || command.p2 & !P2_WITH_RELATED != 0 {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let objects = Tlv::read_all(command.data()).map_err(|_| StatusWord::WRONG_DATA)?;
        let value = |tag| objects.iter().find(|o| o.tag == tag).map(|o| o.value);
        let known = [TAG_AID, TAG_KEY_IDENTIFIER, TAG_KEY_VERSION, TAG_TOKEN_REFERENCE];
        if objects.iter().any(|o| !known.contains(&o.tag)) {
            return Err(StatusWord::WRONG_DATA.into());
        }
        match (value(TAG_AID), value(TAG_KEY_IDENTIFIER), value(TAG_KEY_VERSION)) {
            (Some(aid), None, None) => {
                let aid = Aid::new(aid).map_err(|_| StatusWord::WRONG_DATA)?;
                self.delete_content(&actor, &aid, command.p2 == P2_WITH_RELATED)?;
            }
            (None, None, None) | (Some(_), ..) => return Err(StatusWord::WRONG_DATA.into()),
            (None, identifier, version) => {
                self.core.delete_keys(&actor, one_byte(identifier)?, one_byte(version)?)?;
            }
        }
        success([0])
    }

    fn delete_content(&mut self, actor: &Aid, aid: &Aid, with_related: bool) -> Result<(), Fault> {
        self.core.may_delete(actor, aid)?;
        if self.core.has_fault(faults::Fault::DeleteIgnored) {
            return Ok(());
        }
        let with_related = with_related || self.core.has_fault(faults::Fault::DeleteInUse);
        let registry = &self.core.registry;
        let mut next = registry.clone();
        let mut instances = Vec::new();
        let mut unloaded = None;
        if registry.load_file(aid).is_some_and(|l| l.in_rom) {
            return Err(REFUSED.into());
        }
        if registry.load_file(aid).is_some() {
            // Not even with its instances does a package go that another one needs.
            if registry.load_files.iter().any(|l| l.aid != *aid && l.imports.contains(aid)) {
                return Err(REFUSED.into());
            }
            let from_here = registry
                .applications
                .iter()
                .filter(|a| a.origin.is_some_and(|(load_file, _)| load_file == *aid));
            for application in from_here {
                if !with_related {
                    return Err(REFUSED.into());
                }
                self.core.check_unused(&application.aid)?;
                instances.push(application.aid);
            }
            next.load_files.retain(|l| l.aid != *aid);
            unloaded = Some(*aid);
        } else {
            self.core.check_unused(aid)?;
            if registry.application(aid).is_some_and(|a| matches!(a.kind, Kind::Applet)) {
                instances.push(*aid);
            }
        }
        remove(&mut next, aid);
        for instance in &instances {
            remove(&mut next, instance);
        }
        if !instances.is_empty() {
            self.runtime.delete(&instances, &mut self.core)?;
        }
        let result = match unloaded {
            Some(package) => self.runtime.unload(package).map_err(Fault::from),
            None => Ok(()),
        };
        let result = result.and_then(|()| self.core.commit(next));
        self.runtime.settle(&self.core.registered())?;
        result
    }
}

/// Takes an application away; what it held alone falls back to the issuer security domain.
fn remove(registry: &mut Registry, aid: &Aid) {
    let held = registry.application(aid).map(|a| a.privileges).unwrap_or_default();
    registry.applications.retain(|a| a.aid != *aid);
    for exclusive in [Privilege::CARD_RESET, Privilege::FINAL_APPLICATION] {
        if held.has(exclusive) {
            let privileges = registry.issuer().privileges.with(exclusive, true);
            registry.issuer_mut().privileges = privileges;
        }
    }
}

fn one_byte(value: Option<&[u8]>) -> Result<Option<u8>, StatusWord> {
    match value {
        None => Ok(None),
        Some([byte]) => Ok(Some(*byte)),
        Some(_) => Err(StatusWord::WRONG_DATA),
    }
}

impl Core {
    fn may_delete(&self, actor: &Aid, aid: &Aid) -> Result<(), StatusWord> {
        let application = self.registry.application(aid).map(|a| a.domain);
        let domain = application.or_else(|| self.registry.load_file(aid).map(|l| l.domain));
        let domain = domain.ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
        let privileges = self.registry.application(actor).map(|a| a.privileges).unwrap_or_default();
        let own = privileges.has(Privilege::AUTHORIZED_MANAGEMENT) && self.registry.is_under(&domain, actor);
        let is_issuer = *aid == self.registry.issuer().aid;
        if is_issuer || !(own || privileges.has(Privilege::GLOBAL_DELETE)) {
            return Err(REFUSED);
        }
        self.check_restriction(Some(aid), restriction::DELETE)
    }

    /// An application that is selected, or a domain that something is associated with, stays (section 9.5).
    fn check_unused(&self, aid: &Aid) -> Result<(), StatusWord> {
        let selected = self.selections_of(aid).next().is_some();
        let is_theirs = |domain: &Aid, own: &Aid| domain == aid && own != aid;
        let holds = self.registry.applications.iter().any(|a| is_theirs(&a.domain, &a.aid))
            || self.registry.load_files.iter().any(|l| is_theirs(&l.domain, &l.aid));
        if selected || holds && !self.has_fault(faults::Fault::DeleteInUse) {
            return Err(REFUSED);
        }
        Ok(())
    }

    fn delete_keys(&mut self, actor: &Aid, identifier: Option<u8>, kvn: Option<u8>) -> Result<(), Fault> {
        let is_issuer = *actor == self.registry.issuer().aid;
        self.change(|next| {
            let domain = next.domain_mut(actor).ok_or(REFUSED)?;
            let mut deleted = 0;
            for version in domain.key_versions.iter_mut().filter(|v| kvn.is_none_or(|kvn| v.kvn == kvn)) {
                let before = version.keys.len();
                version.keys.retain(|id, _| identifier.is_some_and(|wanted| wanted != *id));
                deleted += before - version.keys.len();
            }
            domain.key_versions.retain(|version| !version.keys.is_empty());
            if deleted == 0 {
                return Err(StatusWord::REFERENCED_DATA_NOT_FOUND);
            }
            // Nobody could ever manage the card again.
            if is_issuer && domain.key_set(0).is_none() {
                return Err(REFUSED);
            }
            Ok(())
        })?;
        self.forget_initializations(actor);
        Ok(())
    }
}
