//! The registry as records: `c` for the card, `a` and an AID for each application, `l` and an AID for each load file.
//!
//! Each record starts with the format's version and its place in the registry's order. Fields are bytes and strings of
//! at most 65,535 bytes behind a two-byte length.

use std::collections::BTreeMap;

use jpkise_wire::scp03::{AesKey, IParameter, SequenceCounter};
use jpkise_wire::Aid;
use zeroize::Zeroizing;

use super::{Records, StoreError};
use crate::registry::{
    Application, Domain, Key, KeyData, KeyVersion, Kind, LoadFile, Privileges, Qualifiers, Registry,
};

const VERSION: u8 = 2;
const CARD: u8 = b'c';
const APPLICATION: u8 = b'a';
const LOAD_FILE: u8 = b'l';
const KIND_APPLET: u8 = 0;
const KIND_DOMAIN: u8 = 1;
const KEY_AES: u8 = 0;
const KEY_RSA_PUBLIC: u8 = 1;
const KEY_EC_PUBLIC: u8 = 2;

/// The registry's records.
pub(crate) fn encode(registry: &Registry) -> Records {
    let mut records = Records::new();
    let mut card = Writer::new(0);
    match &registry.historical_bytes {
        Some(bytes) => card.byte(1).string(bytes),
        None => card.byte(0),
    };
    card.byte(registry.restricted);
    records.insert(vec![CARD], card.out);
    for (place, application) in registry.applications.iter().enumerate() {
        records.insert(name(APPLICATION, &application.aid), encode_application(place, application));
    }
    for (place, file) in registry.load_files.iter().enumerate() {
        let mut out = Writer::new(place);
        out.string(file.domain.as_bytes()).byte(file.version.0).byte(file.version.1);
        out.byte(u8::from(file.in_rom)).aids(&file.modules).aids(&file.imports);
        records.insert(name(LOAD_FILE, &file.aid), out.out);
    }
    records
}

fn encode_application(place: usize, application: &Application) -> Zeroizing<Vec<u8>> {
    let mut out = Writer::new(place);
    out.string(application.domain.as_bytes()).byte(application.life_cycle);
    out.string(&application.privileges.0).string(&application.implicit).byte(application.restricted);
    match &application.origin {
        Some((load_file, module)) => out.byte(1).string(load_file.as_bytes()).string(module.as_bytes()),
        None => out.byte(0),
    };
    let Kind::Domain(domain) = &application.kind else {
        out.byte(KIND_APPLET);
        return out.out;
    };
    out.byte(KIND_DOMAIN).byte(domain.i.value()).count(domain.data.len());
    for (tag, value) in &domain.data {
        out.string(&tag.to_be_bytes()).string(value);
    }
    out.count(domain.key_versions.len());
    for version in &domain.key_versions {
        out.byte(version.kvn).string(&version.counter.to_bytes()).byte(version.failures);
        out.count(version.keys.len());
        for (identifier, key) in &version.keys {
            encode_key(out.byte(*identifier), key);
        }
    }
    out.out
}

fn encode_key(out: &mut Writer, key: &Key) {
    for qualifier in [key.qualifiers.usage, key.qualifiers.access] {
        match qualifier {
            Some(value) => out.byte(1).byte(value),
            None => out.byte(0),
        };
    }
    match &key.data {
        KeyData::Aes(key) => out.byte(KEY_AES).string(key.expose()),
        KeyData::RsaPublic { modulus, exponent } => out.byte(KEY_RSA_PUBLIC).string(modulus).string(exponent),
        KeyData::EcPublic { point, curve } => out.byte(KEY_EC_PUBLIC).byte(*curve).string(point),
    };
}

/// The registry from its records.
pub(crate) fn decode(records: &Records) -> Result<Registry, StoreError> {
    let mut applications = Vec::new();
    let mut load_files = Vec::new();
    let mut historical_bytes = None;
    let mut restricted = 0;
    for (name, value) in records {
        let damaged = || StoreError::Damaged { name: hex::encode(name) };
        let mut reader = Reader::new(value).ok_or_else(damaged)?;
        match name.split_first() {
            Some((&CARD, [])) => {
                historical_bytes = read_card(&mut reader).ok_or_else(damaged)?;
                restricted = reader.byte().ok_or_else(damaged)?;
            }
            Some((&APPLICATION, aid)) => {
                let aid = Aid::new(aid).map_err(|_| damaged())?;
                let application = read_application(aid, &mut reader).ok_or_else(damaged)?;
                applications.push((reader.place, application));
            }
            Some((&LOAD_FILE, aid)) => {
                let aid = Aid::new(aid).map_err(|_| damaged())?;
                load_files.push((reader.place, read_load_file(aid, &mut reader).ok_or_else(damaged)?));
            }
            _ => return Err(damaged()),
        }
        if !reader.rest.is_empty() {
            return Err(damaged());
        }
    }
    applications.sort_by_key(|(place, _)| *place);
    load_files.sort_by_key(|(place, _)| *place);
    let applications: Vec<Application> = applications.into_iter().map(|(_, a)| a).collect();
    // Registry::issuer() relies on it.
    if applications.first().is_none_or(|issuer| issuer.as_domain().is_none()) {
        return Err(StoreError::Damaged { name: "issuer security domain".into() });
    }
    let load_files = load_files.into_iter().map(|(_, l)| l).collect();
    Ok(Registry { applications, load_files, historical_bytes, restricted })
}

/// `None` for a damaged record.
#[allow(clippy::option_option)]
fn read_card(reader: &mut Reader<'_>) -> Option<Option<Vec<u8>>> {
    match reader.byte()? {
        0 => Some(None),
        1 => Some(Some(reader.string()?.to_vec())),
        _ => None,
    }
}

fn read_application(aid: Aid, reader: &mut Reader<'_>) -> Option<Application> {
    let domain = reader.aid()?;
    let life_cycle = reader.byte()?;
    let privileges = Privileges(reader.string()?.try_into().ok()?);
    let (implicit, restricted) = (reader.string()?.to_vec(), reader.byte()?);
    let origin = match reader.byte()? {
        0 => None,
        1 => Some((reader.aid()?, reader.aid()?)),
        _ => return None,
    };
    let kind = match reader.byte()? {
        KIND_APPLET => Kind::Applet,
        KIND_DOMAIN => Kind::Domain(Box::new(read_domain(reader)?)),
        _ => return None,
    };
    Some(Application { aid, origin, domain, life_cycle, privileges, implicit, restricted, kind })
}

fn read_domain(reader: &mut Reader<'_>) -> Option<Domain> {
    let mut domain = Domain::new(IParameter::new(reader.byte()?)?);
    for _ in 0..reader.count()? {
        let tag = u16::from_be_bytes(reader.string()?.try_into().ok()?);
        domain.data.insert(tag, reader.string()?.to_vec());
    }
    for _ in 0..reader.count()? {
        let kvn = reader.byte()?;
        let counter = SequenceCounter::from_bytes(reader.string()?.try_into().ok()?);
        let failures = reader.byte()?;
        let mut keys = BTreeMap::new();
        for _ in 0..reader.count()? {
            let identifier = reader.byte()?;
            keys.insert(identifier, read_key(reader)?);
        }
        domain.key_versions.push(KeyVersion { kvn, keys, counter, failures });
    }
    Some(domain)
}

fn read_key(reader: &mut Reader<'_>) -> Option<Key> {
    let qualifiers = Qualifiers { usage: reader.option()?, access: reader.option()? };
    let data = match reader.byte()? {
        KEY_AES => KeyData::Aes(AesKey::new(reader.string()?).ok()?),
        KEY_RSA_PUBLIC => {
            KeyData::RsaPublic { modulus: reader.string()?.to_vec(), exponent: reader.string()?.to_vec() }
        }
        KEY_EC_PUBLIC => KeyData::EcPublic { curve: reader.byte()?, point: reader.string()?.to_vec() },
        _ => return None,
    };
    Some(Key { data, qualifiers })
}

fn read_load_file(aid: Aid, reader: &mut Reader<'_>) -> Option<LoadFile> {
    let domain = reader.aid()?;
    let version = (reader.byte()?, reader.byte()?);
    let in_rom = reader.byte()? != 0;
    let (modules, imports) = (reader.aids()?, reader.aids()?);
    Some(LoadFile { aid, domain, version, modules, imports, in_rom })
}

fn name(prefix: u8, aid: &Aid) -> Vec<u8> {
    [&[prefix], aid.as_bytes()].concat()
}

struct Writer {
    out: Zeroizing<Vec<u8>>,
}

impl Writer {
    fn new(place: usize) -> Self {
        let mut writer = Self { out: Zeroizing::new(vec![VERSION]) };
        writer.count(place);
        writer
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.out.push(byte);
        self
    }

    /// Counts and lengths come from APDUs and a card's memory, far below 65,536.
    fn count(&mut self, count: usize) -> &mut Self {
        self.out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
        self
    }

    fn string(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.out.extend_from_slice(bytes);
        self
    }

    fn aids(&mut self, aids: &[Aid]) -> &mut Self {
        self.count(aids.len());
        for aid in aids {
            self.string(aid.as_bytes());
        }
        self
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    fn new(record: &'a [u8]) -> Option<Self> {
        let mut reader = Self { rest: record, place: 0 };
        if reader.byte()? != VERSION {
            return None;
        }
        reader.place = reader.count()?;
        Some(reader)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// `None` for a damaged record.
    #[allow(clippy::option_option)]
    fn option(&mut self) -> Option<Option<u8>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.byte()?)),
            _ => None,
        }
    }

    fn count(&mut self) -> Option<usize> {
        let (bytes, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some(usize::from(u16::from_be_bytes(*bytes)))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn aid(&mut self) -> Option<Aid> {
        Aid::new(self.string()?).ok()
    }

    fn aids(&mut self) -> Option<Vec<Aid>> {
        (0..self.count()?).map(|_| self.aid()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::life_cycle;
    use crate::store::{difference, Change};

    fn sample() -> Registry {
        let isd = Aid::literal([0xA0, 0, 0, 1, 0x51, 0, 0, 0]);
        let mut domain = Domain::new(IParameter::new(0x70).unwrap());
        let key = |byte| AesKey::new(&[byte; 24]).unwrap();
        let keys = BTreeMap::from([(1, key(1)), (2, key(2)), (3, key(3))]);
        domain.key_versions.push(KeyVersion::new(0x30, keys));
        let qualifiers = Qualifiers { usage: Some(0x84), access: None };
        let public = [
            KeyData::RsaPublic { modulus: vec![0xC1; 128], exponent: vec![1, 0, 1] },
            KeyData::EcPublic { point: vec![4; 65], curve: 0 },
        ];
        let public = public.into_iter().zip(1..).map(|(data, id)| (id, Key { data, qualifiers })).collect();
        domain.key_versions.push(KeyVersion::with(0x73, public));
        domain.data.insert(0x42, vec![1, 2, 3]);
        Registry {
            applications: vec![
                Application {
                    aid: isd,
                    origin: None,
                    domain: isd,
                    life_cycle: life_cycle::OP_READY,
                    privileges: Privileges::ISSUER,
                    implicit: Vec::new(),
                    restricted: 0,
                    kind: Kind::Domain(Box::new(domain)),
                },
                // Sorts before the issuer by name: the order must come from the record.
                Application {
                    aid: Aid::literal([0x10; 5]),
                    origin: Some((Aid::literal([0x11; 6]), Aid::literal([0x12; 7]))),
                    domain: isd,
                    life_cycle: life_cycle::SELECTABLE,
                    privileges: Privileges([4, 0, 0]),
                    implicit: vec![0x41, 0x80],
                    restricted: 0x21,
                    kind: Kind::Applet,
                },
            ],
            load_files: vec![LoadFile {
                aid: Aid::literal([0x11; 6]),
                domain: isd,
                version: (1, 2),
                modules: vec![Aid::literal([0x12; 7])],
                imports: vec![Aid::literal([0x13; 5]), Aid::literal([0x14; 16])],
                in_rom: true,
            }],
            historical_bytes: Some(vec![0x80]),
            restricted: 0x02,
        }
    }

    #[test]
    fn a_registry_reads_back_in_its_order() {
        let registry = sample();
        let records = encode(&registry);
        let back = decode(&records).unwrap();
        assert_eq!(encode(&back), records);
        assert_eq!(back.issuer().aid, registry.issuer().aid);
        assert_eq!(back.load_files, registry.load_files);
    }

    #[test]
    fn any_cut_record_is_named_as_damaged() {
        let records = encode(&sample());
        for (name, value) in &records {
            for length in 0..value.len() {
                let mut cut = records.clone();
                cut.insert(name.clone(), Zeroizing::new(value[..length].to_vec()));
                assert!(matches!(decode(&cut), Err(StoreError::Damaged { .. })), "{name:02X?} {length}");
            }
        }
        assert!(decode(&Records::new()).is_err());
    }

    #[test]
    fn a_difference_names_only_what_changed() {
        let old = encode(&sample());
        let mut registry = sample();
        registry.applications.pop();
        registry.issuer_mut().life_cycle = life_cycle::SECURED;
        let new = encode(&registry);
        let changes = difference(&old, &new);
        assert_eq!(changes.len(), 2);
        assert!(matches!(changes[0], Change::Remove(_)) && matches!(changes[1], Change::Put(..)));
    }
}
