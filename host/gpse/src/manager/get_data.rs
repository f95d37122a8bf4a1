//! GET DATA (section 11.3; appendix H for card and capability data).
//!
//! ```text
//! 80 CA tag(2)  [5C 00]  Le 00 -> the whole object        00 CA: its value only        6A88 unknown
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::scp03::IParameter;
use jpkise_wire::tlv::{constructed, object, Tlv};
use jpkise_wire::{Aid, StatusWord};

use super::keys::key_type;
use super::{success, Answer, Core};
use crate::faults;
use crate::registry::{Domain, Key, KeyData, Kind, Qualifiers};
use crate::runtime::{Channel, FreeMemory};

/// Tags of GET DATA (section 11.3.2).
pub(crate) mod tag {
    pub const ISSUER_IDENTIFICATION: u16 = 0x0042;
    pub const CARD_IMAGE: u16 = 0x0045;
    pub const CARD_DATA: u16 = 0x0066;
    pub const CARD_CAPABILITY: u16 = 0x0067;
    pub const SEQUENCE_COUNTER: u16 = 0x00C1;
    pub const SECURITY_LEVEL: u16 = 0x00D3;
    pub const KEY_INFORMATION: u16 = 0x00E0;
    pub const APPLICATION_LIST: u16 = 0x2F00;
    pub const MANAGER_URL: u16 = 0x5F50;
    pub const PRODUCTION: u16 = 0x9F7F;
    pub const EXTENDED_RESOURCES: u16 = 0xFF21;
}

/// {globalPlatform} = 1.2.840.114283 (appendix H.2).
const GP: [u8; 6] = [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B];
/// Arcs below it: card recognition data 1; management type and version 2 2 3 1 (Card Specification 2.3.1);
/// identification scheme 3; secure channel 4 3 i.
const RECOGNITION: &[u8] = &[1];
const MANAGEMENT: &[u8] = &[2, 2, 3, 1];
const IDENTIFICATION: &[u8] = &[3];

impl Core {
    pub(super) fn get_data(
        &mut self,
        channel: Channel,
        command: &CommandApdu,
        free_memory: FreeMemory,
    ) -> Answer {
        let selected = self.channel(channel).selected.ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
        self.object(channel, &selected.aid, command, free_memory)
    }

    pub(super) fn get_data_of_issuer(
        &mut self,
        channel: Channel,
        command: &CommandApdu,
        free_memory: FreeMemory,
    ) -> Answer {
        let issuer = self.registry.issuer().aid;
        self.object(channel, &issuer, command, free_memory)
    }

    fn object(&self, channel: Channel, aid: &Aid, command: &CommandApdu, free_memory: FreeMemory) -> Answer {
        let unknown = StatusWord::REFERENCED_DATA_NOT_FOUND;
        let tag = u16::from_be_bytes([command.p1, command.p2]);
        let domain = self.registry.domain(aid).ok_or(unknown)?;
        let is_issuer = *aid == self.registry.issuer().aid;
        let whole = match domain.data.get(&tag) {
            // Stored values win over what the card makes up itself (STORE DATA of 66, 67).
            Some(value) => object(u32::from(tag), value),
            None => match tag {
                tag::CARD_DATA => card_data(domain.i),
                tag::KEY_INFORMATION => {
                    key_information(domain, self.has_fault(faults::Fault::KeyInformationWrong))
                }
                tag::SEQUENCE_COUNTER => self.sequence_counter(aid).ok_or(unknown)?,
                tag::SECURITY_LEVEL => {
                    let level = self.channel(channel).secure.level_bits();
                    object(u32::from(tag), &[level])
                }
                tag::CARD_CAPABILITY if is_issuer => card_capability(domain.i),
                tag::PRODUCTION if is_issuer && !self.has_fault(faults::Fault::CplcMissing) => {
                    object(u32::from(tag), &self.profile.production)
                }
                tag::APPLICATION_LIST => self.application_list(aid),
                tag::EXTENDED_RESOURCES if is_issuer => self.extended_resources(free_memory),
                _ => return Err(unknown.into()),
            },
        };
        // Class 00 asks for the value alone (section 11.3.2.1).
        if command.cla & 0x80 == 0 {
            let value = Tlv::read(&whole).map(|(tlv, _)| tlv.value.to_vec()).unwrap_or_default();
            return success(value);
        }
        success(whole)
    }

    /// Of the default key version, where challenges are pseudo-random.
    fn sequence_counter(&self, aid: &Aid) -> Option<Vec<u8>> {
        let domain = self.registry.domain(&self.registry.key_domain(aid)?)?;
        let (version, _) = domain.key_set(0).filter(|_| domain.i.is_pseudo_random())?;
        Some(object(u32::from(tag::SEQUENCE_COUNTER), &version.counter.to_bytes()))
    }

    fn application_list(&self, domain: &Aid) -> Vec<u8> {
        let visible = self.registry.applications.iter().skip(1).filter(|a| self.sees(domain, &a.domain));
        let entries: Vec<u8> =
            visible.flat_map(|a| constructed(0x61, &[&object(0x4F, a.aid.as_bytes())])).collect();
        object(u32::from(tag::APPLICATION_LIST), &entries)
    }

    fn extended_resources(&self, free: FreeMemory) -> Vec<u8> {
        let applets = self.registry.applications.iter().filter(|a| matches!(a.kind, Kind::Applet)).count();
        // ETSI TS 102 226 section 8.2.1.7.2.
        let count = u16::try_from(applets).unwrap_or(u16::MAX);
        constructed(
            u32::from(tag::EXTENDED_RESOURCES),
            &[
                &object(0x81, &count.to_be_bytes()),
                &object(0x82, &free.persistent.to_be_bytes()),
                &object(0x83, &free.transient.to_be_bytes()),
            ],
        )
    }
}

fn identifier(arcs: &[u8]) -> Vec<u8> {
    object(0x06, &[&GP, arcs].concat())
}

/// 66 with card recognition data 73.
fn card_data(i: IParameter) -> Vec<u8> {
    let recognition = constructed(
        0x73,
        &[
            &identifier(RECOGNITION),
            &constructed(0x60, &[&identifier(MANAGEMENT)]),
            &constructed(0x63, &[&identifier(IDENTIFICATION)]),
            &constructed(0x64, &[&identifier(&[4, 3, i.value()])]),
        ],
    );
    constructed(u32::from(tag::CARD_DATA), &[&recognition])
}

/// 67: SCP03 with this i, AES of all lengths; what security domains and applications may hold; load file data block
/// hashes of SHA-1 to SHA-512 (appendix H.4).
fn card_capability(i: IParameter) -> Vec<u8> {
    let protocol = constructed(
        0xA0,
        &[&object(0x80, &[3]), &object(0x81, &[i.value()]), &object(0x82, &[0x01 | 0x02 | 0x04])],
    );
    constructed(
        u32::from(tag::CARD_CAPABILITY),
        &[
            &protocol,
            &object(0x81, &[0x9E, 0xDE, 0x00]),
            &object(0x82, &[0x1E, 0x0E, 0x30]),
            &object(0x83, &[0x01, 0x02, 0x03, 0x04]),
        ],
    )
}

/// E0: one C0 { identifier, version, components } per key (section 11.3.3.1); the extended form where a key has
/// qualifiers or a component of more than 255 bytes.
fn key_information(domain: &Domain, wrong: bool) -> Vec<u8> {
    let mut entries = Vec::new();
    for version in &domain.key_versions {
        for (identifier, key) in &version.keys {
            let mut entry = vec![*identifier, version.kvn];
            key_components(key, &mut entry);
            if let (KeyData::Aes(_), Some(length), true) = (&key.data, entry.last_mut(), wrong) {
                *length = 0x20;
            }
            entries.extend(object(0xC0, &entry));
        }
    }
    object(u32::from(tag::KEY_INFORMATION), &entries)
}

fn key_components(key: &Key, out: &mut Vec<u8>) {
    let components = match &key.data {
        KeyData::Aes(key) => vec![(key_type::AES, key.expose().len())],
        KeyData::RsaPublic { modulus, exponent } => {
            vec![(key_type::RSA_MODULUS, modulus.len()), (key_type::RSA_EXPONENT, exponent.len())]
        }
        KeyData::EcPublic { point, .. } => vec![(key_type::EC_POINT, point.len()), (key_type::EC_CURVE, 1)],
    };
    let short = |(key_type, length): &(u8, usize)| Some([*key_type, u8::try_from(*length).ok()?]);
    let short: Option<Vec<[u8; 2]>> = components.iter().map(short).collect();
    if let Some(short) = short.filter(|_| key.qualifiers == Qualifiers::default()) {
        out.extend(short.concat());
        return;
    }
    for (key_type, length) in components {
        // PUT KEY takes no component of 65,536 bytes.
        let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        out.extend([key_type::EXTENDED, key_type, high, low]);
    }
    for qualifier in [key.qualifiers.usage, key.qualifiers.access] {
        match qualifier {
            Some(value) => out.extend([1, value]),
            None => out.push(0),
        }
    }
}
