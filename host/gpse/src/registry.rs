//! What the card manager remembers: applications and security domains with their life cycles, privileges and keys, and
//! executable load files (GP Card Specification 2.3.1 sections 5, 6.6 and 9.6).
//!
//! Values only. A command works on a copy of the [`Registry`]; the card manager commits the copy as a whole or not at
//! all, so no command can leave half of its work behind.

mod key;

use std::collections::BTreeMap;

use jpkise_wire::scp03::{IParameter, StaticKeys};
use jpkise_wire::Aid;

pub use self::key::{Key, KeyData, KeyVersion, Qualifiers, KEY_DEK, KEY_ENC, KEY_MAC};

/// Life cycle bytes (section 11.1.1).
pub mod life_cycle {
    /// Executable load file: loaded.
    pub const LOADED: u8 = 0x01;
    /// Card: OP_READY.
    pub const OP_READY: u8 = 0x01;
    /// Card: INITIALIZED.
    pub const INITIALIZED: u8 = 0x07;
    /// Card: SECURED.
    pub const SECURED: u8 = 0x0F;
    /// Card: CARD_LOCKED.
    pub const CARD_LOCKED: u8 = 0x7F;
    /// Card: TERMINATED.
    pub const TERMINATED: u8 = 0xFF;
    /// Application or security domain: INSTALLED.
    pub const INSTALLED: u8 = 0x03;
    /// Application or security domain: SELECTABLE.
    pub const SELECTABLE: u8 = 0x07;
    /// Security domain: PERSONALIZED.
    pub const PERSONALIZED: u8 = 0x0F;
    /// Bit of a locked application or domain; the other bits keep the state before.
    pub const LOCKED: u8 = 0x80;
}

/// Privileges, three bytes (section 11.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privileges(pub [u8; 3]);

/// One privilege: byte and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privilege(usize, u8);

impl Privilege {
    /// Security domain.
    pub const SECURITY_DOMAIN: Self = Self(0, 0x80);
    /// Card lock.
    pub const CARD_LOCK: Self = Self(0, 0x10);
    /// Card terminate.
    pub const CARD_TERMINATE: Self = Self(0, 0x08);
    /// Card reset: selected by default.
    pub const CARD_RESET: Self = Self(0, 0x04);
    /// Authorised management.
    pub const AUTHORIZED_MANAGEMENT: Self = Self(1, 0x40);
    /// Global delete.
    pub const GLOBAL_DELETE: Self = Self(1, 0x10);
    /// Global lock.
    pub const GLOBAL_LOCK: Self = Self(1, 0x08);
    /// Global registry.
    pub const GLOBAL_REGISTRY: Self = Self(1, 0x04);
    /// Final application.
    pub const FINAL_APPLICATION: Self = Self(1, 0x02);
}

/// Trusted path, which a security domain gets with one-byte privileges (section 6.6.1).
const TRUSTED_PATH: u8 = 0x80;
/// DAP verification, delegated management and mandated DAP in byte 1: this card has none of them.
const UNSUPPORTED_1: u8 = 0x61;
/// Token verification and global service in byte 2.
const UNSUPPORTED_2: u8 = 0x21;
/// Receipt generation, ciphered load file data block and the reserved bits in byte 3.
const UNSUPPORTED_3: u8 = 0xCF;
/// Privileges of byte 2 that only a security domain may hold: trusted path, authorised management, global delete.
const DOMAIN_ONLY_2: u8 = 0xD0;

impl Privileges {
    /// What the issuer security domain holds at OP_READY.
    pub const ISSUER: Self = Self([0x9E, 0xFE, 0x80]);

    /// Reads the privileges field of INSTALL: one or three bytes, a combination this card offers.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let bytes = match *field {
            // Section 6.6.1: bytes 2 and 3 take their defaults.
            [first] if first & 0x80 != 0 => [first, TRUSTED_PATH, 0],
            [first] => [first, 0, 0],
            [a, b, c] => [a, b, c],
            _ => return None,
        };
        let domain = bytes[0] & 0x80 != 0;
        let unsupported = bytes[0] & UNSUPPORTED_1 | bytes[1] & UNSUPPORTED_2 | bytes[2] & UNSUPPORTED_3;
        (unsupported == 0 && (domain || bytes[1] & DOMAIN_ONLY_2 == 0)).then_some(Self(bytes))
    }

    /// Whether this privilege is held.
    pub const fn has(self, privilege: Privilege) -> bool {
        self.0[privilege.0] & privilege.1 != 0
    }

    /// With or without one privilege.
    #[must_use]
    pub const fn with(mut self, privilege: Privilege, held: bool) -> Self {
        if held {
            self.0[privilege.0] |= privilege.1;
        } else {
            self.0[privilege.0] &= !privilege.1;
        }
        self
    }
}

/// What a security domain has besides its registry entry.
#[derive(Debug, Clone)]
pub struct Domain {
    /// i parameter of its secure channels.
    pub i: IParameter,
    /// Key versions, oldest first: the first complete one is the default.
    pub key_versions: Vec<KeyVersion>,
    /// Data objects set at start or by STORE DATA: value by tag.
    pub data: BTreeMap<u16, Vec<u8>>,
}

impl Domain {
    /// With no keys and no data yet.
    pub fn new(i: IParameter) -> Self {
        Self { i, key_versions: Vec::new(), data: BTreeMap::new() }
    }

    /// The version `kvn`, or the default one for 00, with its complete key set.
    pub fn key_set(&self, kvn: u8) -> Option<(&KeyVersion, StaticKeys)> {
        self.key_versions
            .iter()
            .filter(|version| kvn == 0 || version.kvn == kvn)
            .find_map(|version| Some((version, version.scp03_set()?)))
    }

    /// The version `kvn`, to be changed.
    pub fn version_mut(&mut self, kvn: u8) -> Option<&mut KeyVersion> {
        self.key_versions.iter_mut().find(|version| version.kvn == kvn)
    }
}

/// Applet or security domain.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Runs in the runtime.
    Applet,
    /// Is part of the card manager.
    Domain(Box<Domain>),
}

/// One application of the registry; the first is the issuer security domain, whose life cycle is the card's.
#[derive(Debug, Clone)]
pub struct Application {
    /// Instance AID.
    pub aid: Aid,
    /// Load file and module it was made from; the issuer security domain has none.
    pub origin: Option<(Aid, Aid)>,
    /// Security domain it is associated with; its own AID at the root of a hierarchy.
    pub domain: Aid,
    /// Life cycle byte.
    pub life_cycle: u8,
    /// Privileges.
    pub privileges: Privileges,
    /// Implicit selection: interface and channel, a byte each (table 11-49).
    pub implicit: Vec<u8>,
    /// Functions that are no longer to be used on it (table 11-56).
    pub restricted: u8,
    /// What it is.
    pub kind: Kind,
}

impl Application {
    /// Its security domain part.
    pub fn as_domain(&self) -> Option<&Domain> {
        match &self.kind {
            Kind::Domain(domain) => Some(domain),
            Kind::Applet => None,
        }
    }

    /// Its security domain part, to be changed.
    pub fn as_domain_mut(&mut self) -> Option<&mut Domain> {
        match &mut self.kind {
            Kind::Domain(domain) => Some(domain),
            Kind::Applet => None,
        }
    }

    /// Whether its life cycle lets it be selected.
    pub fn is_selectable(&self) -> bool {
        self.life_cycle & life_cycle::LOCKED == 0 && self.life_cycle & 0x07 == 0x07
    }
}

/// An executable load file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFile {
    /// Its AID.
    pub aid: Aid,
    /// Security domain it is associated with.
    pub domain: Aid,
    /// Major and minor version.
    pub version: (u8, u8),
    /// Modules.
    pub modules: Vec<Aid>,
    /// Packages it imports, which stay as long as it does; not kept for one in ROM.
    pub imports: Vec<Aid>,
    /// In immutable memory: cannot be deleted.
    pub in_rom: bool,
}

/// Everything the card manager remembers over a reset.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Applications in the order of their installation; the issuer security domain first.
    pub applications: Vec<Application>,
    /// Load files in the order of their loading.
    pub load_files: Vec<LoadFile>,
    /// Historical bytes set by an applet, in place of the profile's.
    pub historical_bytes: Option<Vec<u8>>,
    /// Functions that the whole card no longer has (table 11-56).
    pub restricted: u8,
}

impl Registry {
    /// The issuer security domain's entry, which every registry has.
    pub fn issuer(&self) -> &Application {
        &self.applications[0]
    }

    /// The issuer security domain's entry, to be changed.
    pub fn issuer_mut(&mut self) -> &mut Application {
        &mut self.applications[0]
    }

    /// The card's life cycle byte.
    pub fn card_state(&self) -> u8 {
        self.issuer().life_cycle
    }

    /// The application with exactly this AID.
    pub fn application(&self, aid: &Aid) -> Option<&Application> {
        self.applications.iter().find(|a| a.aid == *aid)
    }

    /// The application with exactly this AID, to be changed.
    pub fn application_mut(&mut self, aid: &Aid) -> Option<&mut Application> {
        self.applications.iter_mut().find(|a| a.aid == *aid)
    }

    /// The load file with exactly this AID.
    pub fn load_file(&self, aid: &Aid) -> Option<&LoadFile> {
        self.load_files.iter().find(|l| l.aid == *aid)
    }

    /// The security domain with exactly this AID.
    pub fn domain(&self, aid: &Aid) -> Option<&Domain> {
        self.application(aid)?.as_domain()
    }

    /// The security domain with exactly this AID, to be changed.
    pub fn domain_mut(&mut self, aid: &Aid) -> Option<&mut Domain> {
        self.application_mut(aid)?.as_domain_mut()
    }

    /// Whether any application or load file has this AID.
    pub fn knows(&self, aid: &Aid) -> bool {
        self.application(aid).is_some() || self.load_file(aid).is_some()
    }

    /// The domain with `aid`, the one it is associated with, and so on up to a root.
    pub fn domain_path(&self, aid: &Aid) -> Vec<Aid> {
        let mut path = Vec::new();
        let mut next = Some(*aid);
        while let Some(at) = next {
            // Extradition refuses cycles; a damaged store must not hang the card all the same.
            if path.contains(&at) {
                break;
            }
            path.push(at);
            next = self.application(&at).map(|a| a.domain).filter(|up| *up != at);
        }
        path
    }

    /// Whether something associated with `domain` hangs, directly or further down, under `above`.
    pub fn is_under(&self, domain: &Aid, above: &Aid) -> bool {
        self.domain_path(domain).contains(above)
    }

    /// The domain whose keys open a channel to the application `aid`: its own or its domain's, or, as long as that has
    /// none, the next one up (section 7.3: a domain without keys is served by its parent).
    pub fn key_domain(&self, aid: &Aid) -> Option<Aid> {
        let application = self.application(aid)?;
        let start = if application.as_domain().is_some() { application.aid } else { application.domain };
        self.domain_path(&start)
            .into_iter()
            .find(|at| self.domain(at).is_some_and(|domain| domain.key_set(0).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_outside_this_card_s_offer_are_refused() {
        for (field, parsed) in [
            (&[0x80][..], Some([0x80, 0x80, 0x00])),
            (&[0x00], Some([0, 0, 0])),
            (&[0x04], Some([4, 0, 0])),
            (&[0x80, 0x00, 0x00], Some([0x80, 0, 0])),
            (&[0x80, 0x40, 0x00], Some([0x80, 0x40, 0])),
            (&[0xC0, 0x00, 0x00], None),
            (&[0xA0, 0x00, 0x00], None),
            (&[0xC1, 0x00, 0x00], None),
            (&[0x20], None),
            (&[0x80, 0x20, 0x00], None),
            (&[0x00, 0x01, 0x00], None),
            (&[0x80, 0x00, 0x80], None),
            (&[0x00, 0x40, 0x00], None),
            (&[], None),
            (&[0, 0], None),
            (&[0, 0, 0, 0], None),
        ] {
            assert_eq!(Privileges::parse(field), parsed.map(Privileges), "{field:02X?}");
        }
    }
}
