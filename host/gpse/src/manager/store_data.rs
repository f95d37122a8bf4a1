//! STORE DATA (section 11.11): to the domain itself, or through it to the application being personalised.
//!
//! ```text
//! 80 E2 P1 nn  Lc  data       groupings: see groupings.rs
//!                             P1 b8 last block; b7 b6 00 or 01 in clear, 11 enciphered; b5 b4 01 DGI, 10 BER-TLV;
//!                             b1 answer data possible.  P2 block number from 00
//! SW 6985 wrong block number, 6A80 data, 6A88 object or grouping unknown, 6A84 too much, 6A86 P1,
//!    6982 check value of a key wrong
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::Tlv;
use jpkise_wire::{Aid, StatusWord};

use super::core::Storing;
use super::get_data::tag;
use super::groupings::Contents;
use super::keys::{add_or_replace, change_keys};
use super::{success, Answer, Core, Fault, GpSe};
use crate::faults;
use crate::registry::Registry;
use crate::runtime::Channel;

const P1_LAST: u8 = 0x80;
const P1_ENCRYPTION: u8 = 0x60;
const P1_ENCRYPTED: u8 = 0x60;
const P1_STRUCTURE: u8 = 0x18;
const P1_DGI: u8 = 0x08;
/// New AID of the issuer security domain.
const TAG_AID: u16 = 0x004F;
/// Most bytes of one object sequence to a domain.
const MAX_GATHERED: usize = 4096;

impl GpSe {
    pub(super) fn store_data(&mut self, channel: Channel, actor: Aid, command: &CommandApdu) -> Answer {
        let any_order = self.core.has_fault(faults::Fault::StoreDataOrderIgnored);
        let storing = &mut self.core.channel_mut(channel).storing;
        if command.p2 != storing.next_block && !(any_order && storing.target.is_none()) {
            *storing = Storing::default();
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        let is_last = command.p1 & P1_LAST != 0;
        let result = match storing.target {
            Some(target) => self.store_to_target(channel, &actor, target, command),
            None => self.core.store_to_domain(channel, &actor, command),
        };
        let storing = &mut self.core.channel_mut(channel).storing;
        match storing.next_block.checked_add(1) {
            Some(next) if !is_last && result.is_ok() => storing.next_block = next,
            _ => *storing = Storing::default(),
        }
        result
    }

    fn store_to_target(
        &mut self,
        channel: Channel,
        actor: &Aid,
        target: Aid,
        command: &CommandApdu,
    ) -> Answer {
        // It may have been extradited or deleted since INSTALL [for personalization].
        let application = self.core.registry.application(&target).filter(|a| a.domain == *actor);
        let application = application.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        if application.as_domain().is_some() {
            return self.core.store_to_domain(channel, &target, command);
        }
        let clear = command.to_bytes().map_err(|_| StatusWord::WRONG_LENGTH)?;
        let data = self.runtime.personalize(channel, target, &clear, &mut self.core)?;
        if !data.is_empty() && command.p1 & 0x01 == 0 {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        success(data)
    }
}

impl Core {
    fn store_to_domain(&mut self, channel: Channel, actor: &Aid, command: &CommandApdu) -> Answer {
        let structure = command.p1 & P1_STRUCTURE;
        if structure == P1_STRUCTURE || command.p1 & P1_ENCRYPTION == P1_ENCRYPTED {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let storing = &mut self.channel_mut(channel).storing;
        if storing.gathered.len() + command.data().len() > MAX_GATHERED {
            return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
        }
        storing.gathered.extend_from_slice(command.data());
        if command.p1 & P1_LAST == 0 {
            return Ok(StatusWord::SUCCESS.into());
        }
        let data = std::mem::take(&mut storing.gathered);
        let contents = match structure {
            P1_DGI => self.read_groupings(channel, &data)?,
            // BER-TLV; 00 leaves the structure to the domain, which takes nothing else.
            _ => Contents { objects: data, keys: Vec::new() },
        };
        if !self.has_fault(faults::Fault::StoredDataLost) {
            self.store(actor, contents)?;
        }
        Ok(StatusWord::SUCCESS.into())
    }

    /// Stores objects and keys, all or none.
    fn store(&mut self, actor: &Aid, contents: Contents) -> Result<(), Fault> {
        let objects = Tlv::read_all(&contents.objects).map_err(|_| StatusWord::WRONG_DATA)?;
        let has_keys = !contents.keys.is_empty();
        if objects.is_empty() && !has_keys {
            return Err(StatusWord::WRONG_DATA.into());
        }
        let mut renamed = None;
        self.change(|next| {
            if has_keys {
                // Before an object that renames the domain.
                change_keys(next, actor, |domain| {
                    let mut keys = contents.keys.into_iter();
                    keys.try_for_each(|(kvn, identifier, key)| add_or_replace(domain, kvn, identifier, key))
                })?;
            }
            for object in &objects {
                let tag = u16::try_from(object.tag.0).map_err(|_| StatusWord::REFERENCED_DATA_NOT_FOUND)?;
                match tag {
                    tag::ISSUER_IDENTIFICATION
                    | tag::CARD_IMAGE
                    | tag::CARD_DATA
                    | tag::CARD_CAPABILITY
                    | tag::MANAGER_URL => {
                        let domain = next.domain_mut(actor).ok_or(StatusWord::WRONG_DATA)?;
                        domain.data.insert(tag, object.value.to_vec());
                    }
                    TAG_AID if *actor == next.issuer().aid => {
                        let aid = Aid::new(object.value).map_err(|_| StatusWord::WRONG_DATA)?;
                        rename_issuer(next, aid)?;
                        renamed = Some(aid);
                    }
                    _ => return Err(StatusWord::REFERENCED_DATA_NOT_FOUND),
                }
            }
            Ok(())
        })?;
        if has_keys {
            self.forget_initializations(actor);
        }
        if let Some(aid) = renamed {
            self.follow_renaming(actor, aid);
        }
        Ok(())
    }

    /// Selections and sessions of the issuer security domain go on under its new AID.
    fn follow_renaming(&mut self, old: &Aid, new: Aid) {
        for channel in (0..=u8::MAX).map_while(Channel::new) {
            let state = self.channel_mut(channel);
            if let Some(selected) = state.selected.as_mut().filter(|selected| selected.aid == *old) {
                selected.aid = new;
            }
            if let Some(key_set) = state.key_set.as_mut() {
                for aid in [&mut key_set.associated, &mut key_set.owner] {
                    if *aid == *old {
                        *aid = new;
                    }
                }
            }
        }
    }
}

fn rename_issuer(registry: &mut Registry, new: Aid) -> Result<(), StatusWord> {
    let old = registry.issuer().aid;
    if new != old && registry.knows(&new) {
        return Err(StatusWord::WRONG_DATA);
    }
    registry.issuer_mut().aid = new;
    for application in registry.applications.iter_mut().filter(|a| a.domain == old) {
        application.domain = new;
    }
    for file in registry.load_files.iter_mut().filter(|l| l.domain == old) {
        file.domain = new;
    }
    Ok(())
}
