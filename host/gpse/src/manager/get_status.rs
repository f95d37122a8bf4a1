//! GET STATUS (section 11.4).
//!
//! ```text
//! 80 F2 P1 P2  Lc  4F len AID [5C len tags]  Le 00     P1 80 issuer, 40 applications, 20 load files, 10 with modules
//!   -> E3 { 4F, 9F70, C5, CF…, C4, CE, 84…, CC } …          P2 02 first, 03 next; 00/01 the older format
//!   SW 9000, 6310 more to come, 6A88 nothing, 6A80 data, 6A86 P1 P2, 6985 next without first
//! ```

use std::borrow::Cow;

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::tlv::{object, Tag, Tlv};
use jpkise_wire::{Aid, StatusWord};

use super::core::Listing;
use super::{Answer, Core};
use crate::faults;
use crate::registry::{life_cycle, Application, LoadFile, Privilege, Privileges};
use crate::runtime::Channel;

const P1_ISSUER: u8 = 0x80;
const P1_APPLICATIONS: u8 = 0x40;
const P1_LOAD_FILES: u8 = 0x20;
const P1_MODULES: u8 = 0x10;
const P2_NEXT: u8 = 0x01;
const P2_TLV: u8 = 0x02;

const TAG_ENTRY: u32 = 0xE3;
const TAG_AID: u32 = 0x4F;
const TAG_TAG_LIST: Tag = Tag(0x5C);
const TAG_LIFE_CYCLE: u32 = 0x9F70;
const TAG_PRIVILEGES: u32 = 0xC5;
const TAG_IMPLICIT_SELECTION: u32 = 0xCF;
const TAG_LOAD_FILE: u32 = 0xC4;
const TAG_VERSION: u32 = 0xCE;
const TAG_MODULE: u32 = 0x84;
const TAG_DOMAIN: u32 = 0xCC;

/// Search criteria of the data field.
struct Query<'a> {
    prefix: &'a [u8],
    tags: Option<Vec<u32>>,
}

impl<'a> Query<'a> {
    fn parse(data: &'a [u8]) -> Option<Self> {
        let objects = Tlv::read_all(data).ok()?;
        let (first, rest) = objects.split_first()?;
        if first.tag != Tag(TAG_AID) || first.value.len() > Aid::MAX {
            return None;
        }
        let list = rest.iter().find(|o| o.tag == TAG_TAG_LIST);
        let tags = match list {
            Some(list) => Some(tag_list(list.value)?),
            None => None,
        };
        Some(Self { prefix: first.value, tags })
    }

    fn wants(&self, tag: u32) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.contains(&tag))
    }
}

/// Tags of one or two bytes, one after the other.
fn tag_list(mut bytes: &[u8]) -> Option<Vec<u32>> {
    let mut tags = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        if first & 0x1F == 0x1F {
            let (&second, rest) = rest.split_first()?;
            tags.push(u32::from(u16::from_be_bytes([first, second])));
            bytes = rest;
        } else {
            tags.push(u32::from(first));
            bytes = rest;
        }
    }
    Some(tags)
}

impl Core {
    /// Whether `actor` sees what is associated with `domain` (section 11.4.2.1).
    pub(super) fn sees(&self, actor: &Aid, domain: &Aid) -> bool {
        let global =
            self.registry.application(actor).is_some_and(|a| a.privileges.has(Privilege::GLOBAL_REGISTRY));
        global || self.registry.is_under(domain, actor)
    }

    pub(super) fn get_status(&mut self, channel: Channel, actor: Aid, command: &CommandApdu) -> Answer {
        let known_p1 = matches!(command.p1, P1_ISSUER | P1_APPLICATIONS | P1_LOAD_FILES | P1_MODULES);
        if !known_p1 || command.p2 & !(P2_NEXT | P2_TLV) != 0 {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let query = Query::parse(command.data()).ok_or(StatusWord::WRONG_DATA)?;
        let format = command.p2 & P2_TLV;
        let begun = self.channel_mut(channel).listing.take();
        let rest = if command.p2 & P2_NEXT == 0 {
            let mut entries = self.entries(&actor, command.p1, format, &query);
            if entries.len() > 1 && self.has_fault(faults::Fault::StatusOmitsLast) {
                entries.pop();
            }
            entries
        } else {
            let same =
                begun.filter(|l| l.p1 == command.p1 && l.format == format && l.query == command.data());
            same.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?.rest
        };
        if rest.is_empty() {
            return Err(StatusWord::REFERENCED_DATA_NOT_FOUND.into());
        }
        let expected = command.expected().map_or(256, jpkise_card::Expected::ne);
        let limit = self.channel(channel).secure.plain_answer_limit(expected.max(256));
        let mut data = Vec::new();
        let mut entries = rest.into_iter().peekable();
        while let Some(entry) = entries.next_if(|e| data.is_empty() || data.len() + e.len() <= limit) {
            data.extend_from_slice(&entry);
        }
        let rest: Vec<Vec<u8>> = entries.collect();
        if rest.is_empty() {
            return Ok(ResponseApdu::new(data, StatusWord::SUCCESS));
        }
        let query = command.data().to_vec();
        self.channel_mut(channel).listing = Some(Listing { p1: command.p1, format, query, rest });
        let unsaid = self.has_fault(faults::Fault::StatusMoreUnsaid);
        Ok(ResponseApdu::new(data, if unsaid { StatusWord::SUCCESS } else { StatusWord::MORE_DATA }))
    }

    fn perhaps_wrong<'a>(&self, application: &'a Application) -> Cow<'a, Application> {
        let mut told = Cow::Borrowed(application);
        if self.has_fault(faults::Fault::StatusLifeCycleWrong) {
            told.to_mut().life_cycle = life_cycle::INSTALLED;
        }
        if self.has_fault(faults::Fault::StatusPrivilegesWrong) {
            told.to_mut().privileges = Privileges::default();
        }
        told
    }

    fn entries(&self, actor: &Aid, p1: u8, format: u8, query: &Query<'_>) -> Vec<Vec<u8>> {
        let registry = &self.registry;
        let issuer = registry.issuer();
        match p1 {
            P1_ISSUER => {
                let visible = *actor == issuer.aid || self.sees(actor, &issuer.aid);
                visible.then(|| application_entry(issuer, format, query)).into_iter().collect()
            }
            P1_APPLICATIONS => registry
                .applications
                .iter()
                .skip(1)
                .filter(|a| a.aid.starts_with(query.prefix) && self.sees(actor, &a.domain))
                .map(|a| self.perhaps_wrong(a))
                .map(|a| application_entry(&a, format, query))
                .collect(),
            _ => registry
                .load_files
                .iter()
                .filter(|l| l.aid.starts_with(query.prefix) && self.sees(actor, &l.domain))
                .map(|l| load_file_entry(l, p1 == P1_MODULES, format, query))
                .collect(),
        }
    }
}

fn application_entry(application: &Application, format: u8, query: &Query<'_>) -> Vec<u8> {
    let Application { aid, life_cycle, privileges, implicit, origin, domain, .. } = application;
    if format != P2_TLV {
        return older_entry(aid, *life_cycle, privileges.0[0], &[]);
    }
    let mut parts = vec![
        (TAG_AID, aid.as_bytes().to_vec()),
        (TAG_LIFE_CYCLE, vec![*life_cycle]),
        (TAG_PRIVILEGES, privileges.0.to_vec()),
    ];
    parts.extend(implicit.iter().map(|byte| (TAG_IMPLICIT_SELECTION, vec![*byte])));
    if let Some((load_file, _)) = origin {
        parts.push((TAG_LOAD_FILE, load_file.as_bytes().to_vec()));
    }
    parts.push((TAG_DOMAIN, domain.as_bytes().to_vec()));
    entry(&parts, query)
}

fn load_file_entry(file: &LoadFile, with_modules: bool, format: u8, query: &Query<'_>) -> Vec<u8> {
    let modules: &[Aid] = if with_modules { &file.modules } else { &[] };
    if format != P2_TLV {
        // With modules their number and AIDs follow; without, nothing does.
        let mut tail = Vec::new();
        if with_modules {
            tail.push(u8::try_from(modules.len()).unwrap_or(u8::MAX));
            for module in modules {
                jpkise_wire::lv::write(&mut tail, module.as_bytes());
            }
        }
        return older_entry(&file.aid, life_cycle::LOADED, 0, &tail);
    }
    let mut parts = vec![
        (TAG_AID, file.aid.as_bytes().to_vec()),
        (TAG_LIFE_CYCLE, vec![life_cycle::LOADED]),
        (TAG_VERSION, vec![file.version.0, file.version.1]),
    ];
    parts.extend(modules.iter().map(|module| (TAG_MODULE, module.as_bytes().to_vec())));
    parts.push((TAG_DOMAIN, file.domain.as_bytes().to_vec()));
    entry(&parts, query)
}

fn entry(parts: &[(u32, Vec<u8>)], query: &Query<'_>) -> Vec<u8> {
    let wanted = parts.iter().filter(|(tag, _)| query.wants(*tag));
    let inner: Vec<u8> = wanted.flat_map(|(tag, value)| object(*tag, value)).collect();
    object(TAG_ENTRY, &inner)
}

fn older_entry(aid: &Aid, life_cycle: u8, privileges: u8, tail: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    jpkise_wire::lv::write(&mut out, aid.as_bytes());
    out.extend_from_slice(&[life_cycle, privileges]);
    out.extend_from_slice(tail);
    out
}
