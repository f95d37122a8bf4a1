//! What is on a card: life cycles, privileges, and the entries GET STATUS lists.

use std::fmt;

use jpkise_wire::Aid;

/// Life cycle of the card, kept by its issuer security domain (section 5.1 of the GP Card Specification 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardState {
    /// 01.
    OpReady,
    /// 07.
    Initialized,
    /// 0F.
    Secured,
    /// 7F.
    CardLocked,
    /// FF.
    Terminated,
}

impl CardState {
    /// All states in the order of life.
    pub const ALL: [Self; 5] =
        [Self::OpReady, Self::Initialized, Self::Secured, Self::CardLocked, Self::Terminated];

    /// The state byte.
    pub const fn value(self) -> u8 {
        match self {
            Self::OpReady => 0x01,
            Self::Initialized => 0x07,
            Self::Secured => 0x0F,
            Self::CardLocked => 0x7F,
            Self::Terminated => 0xFF,
        }
    }

    /// From the state byte.
    pub fn new(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.value() == value)
    }

    /// The standard's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpReady => "OP_READY",
            Self::Initialized => "INITIALIZED",
            Self::Secured => "SECURED",
            Self::CardLocked => "CARD_LOCKED",
            Self::Terminated => "TERMINATED",
        }
    }
}

/// What an entry is; it decides how its state byte is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The issuer security domain.
    IssuerDomain,
    /// A supplementary security domain.
    Domain,
    /// An application.
    Application,
    /// An executable load file.
    LoadFile,
}

/// A life cycle byte together with what it belongs to (tables 11-3 to 11-6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LifeCycle {
    /// Whose state it is.
    pub kind: Kind,
    /// The byte.
    pub value: u8,
}

impl LifeCycle {
    /// An application that is installed and not selectable yet (GP Card Specification 2.3.1 table 11-4).
    pub const INSTALLED: u8 = 0x03;
    /// Bit of a locked application or domain.
    pub const LOCKED: u8 = 0x80;

    /// Whether it is locked.
    pub const fn is_locked(self) -> bool {
        match self.kind {
            Kind::IssuerDomain => self.value == 0x7F,
            Kind::Domain | Kind::Application => self.value & Self::LOCKED != 0,
            Kind::LoadFile => false,
        }
    }

    /// The standard's word; `None` for a state of the application's own or an unknown byte.
    pub fn name(self) -> Option<&'static str> {
        match self.kind {
            Kind::IssuerDomain => CardState::new(self.value).map(CardState::name),
            Kind::LoadFile => (self.value == 0x01).then_some("LOADED"),
            Kind::Domain | Kind::Application if self.is_locked() => Some("LOCKED"),
            Kind::Domain => match self.value {
                0x03 => Some("INSTALLED"),
                0x07 => Some("SELECTABLE"),
                0x0F => Some("PERSONALIZED"),
                _ => None,
            },
            Kind::Application => match self.value {
                0x03 => Some("INSTALLED"),
                0x07 => Some("SELECTABLE"),
                _ => None,
            },
        }
    }
}

impl fmt::Display for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:02X}", self.value),
        }
    }
}

impl fmt::Debug for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {self} ({:02X})", self.kind, self.value)
    }
}

/// Privileges of an application: three bytes (tables 11-7 to 11-9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Privileges(u32);

/// One privilege: its bits, those that must be off, and its name.
struct Privilege {
    mask: u32,
    value: u32,
    name: &'static str,
}

const fn privilege(mask: u32, value: u32, name: &'static str) -> Privilege {
    Privilege { mask, value, name }
}

/// In the order of the tables. DAP verification and mandated DAP share bits: b1 tells them apart.
const PRIVILEGES: [Privilege; 20] = [
    privilege(0x80_0000, 0x80_0000, "security-domain"),
    privilege(0xC1_0000, 0xC0_0000, "dap-verification"),
    privilege(0xA0_0000, 0xA0_0000, "delegated-management"),
    privilege(0x10_0000, 0x10_0000, "card-lock"),
    privilege(0x08_0000, 0x08_0000, "card-terminate"),
    privilege(0x04_0000, 0x04_0000, "card-reset"),
    privilege(0x02_0000, 0x02_0000, "cvm-management"),
    privilege(0xC1_0000, 0xC1_0000, "mandated-dap-verification"),
    privilege(0x00_8000, 0x00_8000, "trusted-path"),
    privilege(0x00_4000, 0x00_4000, "authorized-management"),
    privilege(0x00_2000, 0x00_2000, "token-verification"),
    privilege(0x00_1000, 0x00_1000, "global-delete"),
    privilege(0x00_0800, 0x00_0800, "global-lock"),
    privilege(0x00_0400, 0x00_0400, "global-registry"),
    privilege(0x00_0200, 0x00_0200, "final-application"),
    privilege(0x00_0100, 0x00_0100, "global-service"),
    privilege(0x00_0080, 0x00_0080, "receipt-generation"),
    privilege(0x00_0040, 0x00_0040, "ciphered-load-file-data-block"),
    privilege(0x00_0020, 0x00_0020, "contactless-activation"),
    privilege(0x00_0010, 0x00_0010, "contactless-self-activation"),
];

impl Privileges {
    /// None.
    pub const NONE: Self = Self(0);
    /// A supplementary security domain.
    pub const SECURITY_DOMAIN: Self = Self(0x80_0000);
    /// Card reset, once called "default selected".
    pub const CARD_RESET: Self = Self(0x04_0000);
    /// A security domain with authorised management.
    pub const AUTHORIZED_DOMAIN: Self = Self(0x80_4000);

    /// From one byte (the other two 00) or three.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [a] => Some(Self(u32::from_be_bytes([0, a, 0, 0]))),
            [a, b, c] => Some(Self(u32::from_be_bytes([0, a, b, c]))),
            _ => None,
        }
    }

    /// The three bytes.
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// Whether it is a security domain.
    pub const fn is_security_domain(self) -> bool {
        self.0 & 0x80_0000 != 0
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The privilege of that stable name.
    pub fn named(name: &str) -> Option<Self> {
        PRIVILEGES.iter().find(|p| p.name == name).map(|p| Self(p.value))
    }

    /// Stable names of all privileges, in the tables' order.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        PRIVILEGES.iter().map(|p| p.name)
    }

    /// Stable names of the privileges held, in the tables' order; message keys and JSON values.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        PRIVILEGES.iter().filter(move |p| self.0 & p.mask == p.value).map(|p| p.name)
    }
}

impl fmt::Display for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.to_bytes()))
    }
}

impl fmt::Debug for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Privileges({self})")
    }
}

/// One line of GET STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// AID.
    pub aid: Aid,
    /// Life cycle.
    pub life_cycle: LifeCycle,
    /// Contactless activation: second byte of 9F70 (Amendment C): 00 deactivated, 01 activated, 80 not activatable.
    pub contactless: Option<u8>,
    /// Privileges; load files have none.
    pub privileges: Option<Privileges>,
    /// Load file of an application.
    pub load_file: Option<Aid>,
    /// Major and minor version of a load file.
    pub version: Option<(u8, u8)>,
    /// Modules of a load file.
    pub modules: Vec<Aid>,
    /// Associated security domain.
    pub domain: Option<Aid>,
    /// Implicit selection parameters, one byte per interface and channel.
    pub implicit_selection: Vec<u8>,
}

/// The whole registry as far as the domain asked shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// The issuer security domain.
    pub issuer: Option<Entry>,
    /// Applications and supplementary security domains.
    pub applications: Vec<Entry>,
    /// Load files with their modules.
    pub load_files: Vec<Entry>,
    /// Whether a list broke off; what is here is true, but more may be on the card.
    pub partial: bool,
}

impl Registry {
    /// The entry of that AID, wherever it stands.
    pub fn find(&self, aid: &Aid) -> Option<&Entry> {
        self.issuer.iter().chain(&self.applications).chain(&self.load_files).find(|e| e.aid == *aid)
    }

    /// Instances made from a load file.
    pub fn instances_of<'a>(&'a self, load_file: &'a Aid) -> impl Iterator<Item = &'a Entry> {
        self.applications.iter().filter(move |e| e.load_file.as_ref() == Some(load_file))
    }

    /// Applications, domains and load files directly in a domain.
    pub fn members_of<'a>(&'a self, domain: &'a Aid) -> impl Iterator<Item = &'a Entry> {
        self.applications
            .iter()
            .chain(&self.load_files)
            .filter(move |e| e.domain.as_ref() == Some(domain) && e.aid != *domain)
    }

    /// Supplementary security domains.
    pub fn domains(&self) -> impl Iterator<Item = &Entry> {
        self.applications.iter().filter(|e| e.life_cycle.kind == Kind::Domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_have_the_names_of_the_tables() {
        for (bytes, names) in [
            ("000000", vec![]),
            ("800000", vec!["security-domain"]),
            ("c00000", vec!["security-domain", "dap-verification"]),
            ("c10000", vec!["security-domain", "mandated-dap-verification"]),
            ("a00000", vec!["security-domain", "delegated-management"]),
            ("040000", vec!["card-reset"]),
            (
                "9efe80",
                vec![
                    "security-domain",
                    "card-lock",
                    "card-terminate",
                    "card-reset",
                    "cvm-management",
                    "trusted-path",
                    "authorized-management",
                    "token-verification",
                    "global-delete",
                    "global-lock",
                    "global-registry",
                    "final-application",
                    "receipt-generation",
                ],
            ),
        ] {
            let privileges = Privileges::new(&hex::decode(bytes).unwrap()).unwrap();
            assert_eq!(privileges.names().collect::<Vec<_>>(), names, "{bytes}");
            assert_eq!(hex::encode(privileges.to_bytes()), bytes);
        }
        assert_eq!(Privileges::new(&[0x80]), Some(Privileges::SECURITY_DOMAIN));
        assert_eq!(Privileges::new(&[1, 2]), None);
        for p in &PRIVILEGES {
            assert_eq!(Privileges::named(p.name).map(|v| v.0), Some(p.value));
        }
    }

    #[test]
    fn a_state_byte_is_read_by_what_it_belongs_to() {
        for (kind, value, word) in [
            (Kind::IssuerDomain, 0x0F, "SECURED"),
            (Kind::IssuerDomain, 0x7F, "CARD_LOCKED"),
            (Kind::Domain, 0x0F, "PERSONALIZED"),
            (Kind::Domain, 0x8F, "LOCKED"),
            (Kind::Application, 0x07, "SELECTABLE"),
            (Kind::Application, 0x0F, "0F"),
            (Kind::Application, 0x87, "LOCKED"),
            (Kind::LoadFile, 0x01, "LOADED"),
        ] {
            assert_eq!(LifeCycle { kind, value }.to_string(), word, "{kind:?} {value:02X}");
        }
        for state in CardState::ALL {
            assert_eq!(CardState::new(state.value()), Some(state));
        }
    }
}
