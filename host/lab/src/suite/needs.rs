//! What a case asks of a card before it begins, and what it leaves on it.

use std::fmt;

use jpkise_wire::scp03::SecurityLevel;

/// What a case leaves on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Changes {
    /// Nothing: it may run on anybody's card.
    #[default]
    Nothing,
    /// Content: applications, keys, states. Only on a card that is named for it.
    Content,
    /// Something that nobody can take back: a locked key version, a terminated card. Likewise.
    ForGood,
}

impl Changes {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Content, Self::ForGood];

    /// Its name in suite files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Content => "content",
            Self::ForGood => "for-good",
        }
    }
}

/// What a case needs of the card or of the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The simulated card in this process.
    Simulator,
    /// A card in a reader.
    Reader,
    /// Extended length.
    ExtendedLength,
    /// The interface can be changed to contactless.
    InterfaceSwitch,
    /// R-MAC in SCP03.
    RMac,
    /// No R-MAC in SCP03: what a card without it must refuse.
    NoRMac,
    /// R-ENCRYPTION in SCP03.
    REncryption,
    /// Pseudo-random card challenges.
    PseudoRandom,
    /// Challenges, cryptograms and MACs of eight bytes (S8), not of sixteen.
    S8,
    /// Logical channels.
    Channels,
    /// LOAD of packages.
    Load,
    /// Somebody at the reader, who takes the card out when asked to.
    Attended,
    /// The card opens channels at that security level: i offers it, and the card asks for no more, as production cards do.
    Level(SecurityLevel),
    /// The card's life cycle is before SECURED.
    NotSecured,
    /// Ten wrong authentications in a row block a key version, no fewer and no more.
    TenTries,
}

impl Need {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::NoRMac,
        Self::Simulator,
        Self::Reader,
        Self::ExtendedLength,
        Self::InterfaceSwitch,
        Self::RMac,
        Self::REncryption,
        Self::PseudoRandom,
        Self::S8,
        Self::Channels,
        Self::Load,
        Self::Attended,
        Self::Level(SecurityLevel::NONE),
        Self::Level(SecurityLevel::L01),
        Self::Level(SecurityLevel::L03),
        Self::Level(SecurityLevel::L11),
        Self::Level(SecurityLevel::L13),
        Self::Level(SecurityLevel::L33),
        Self::NotSecured,
        Self::TenTries,
    ];

    /// Its name in suite files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Reader => "reader",
            Self::ExtendedLength => "extended-length",
            Self::InterfaceSwitch => "interface-switch",
            Self::RMac => "r-mac",
            Self::NoRMac => "no-r-mac",
            Self::REncryption => "r-encryption",
            Self::PseudoRandom => "pseudo-random",
            Self::S8 => "s8",
            Self::Channels => "channels",
            Self::Load => "load",
            Self::Attended => "attended",
            Self::Level(level) => match level.value() {
                0x33 => "level-33",
                0x13 => "level-13",
                0x11 => "level-11",
                0x03 => "level-03",
                0x01 => "level-01",
                _ => "level-00",
            },
            Self::NotSecured => "not-secured",
            Self::TenTries => "ten-tries",
        }
    }
}

/// How far the JPKI applet's key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Stage {
    /// No key.
    #[default]
    Empty,
    /// Generated.
    Keyed,
    /// With its certificate, the user has set nothing yet.
    Certified,
    /// The user's own secret is set.
    Active,
    /// On hold.
    Held,
    /// Revoked.
    Revoked,
}

impl Stage {
    /// All of them, in the order in which a key comes through them.
    pub const ALL: [Self; 6] =
        [Self::Empty, Self::Keyed, Self::Certified, Self::Active, Self::Held, Self::Revoked];

    /// Its name in suite files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Keyed => "keyed",
            Self::Certified => "certified",
            Self::Active => "active",
            Self::Held => "held",
            Self::Revoked => "revoked",
        }
    }
}

/// The state of the card that a case begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CardState {
    /// Whatever is there; only a reset.
    #[default]
    Any,
    /// Without the JPKI applet's instance and the provider's domain, keys as delivered.
    Fresh,
    /// Fresh, and an instance of the ARA-M.
    Ara,
    /// The JPKI applet installed and handed over, its keys so far.
    Jpki {
        /// The user-authentication key.
        auth: Stage,
        /// The signature key.
        sign: Stage,
        /// The plastic card's token profile in place of the phone's.
        plastic: bool,
    },
}

impl CardState {
    /// Names of values that the state brings along, for expressions.
    pub const VALUES: [&'static str; 14] = [
        "isd",
        "instance",
        "package",
        "module",
        "sp-domain",
        "ara",
        "pin",
        "password",
        "auth-modulus",
        "sign-modulus",
        "auth-certificate",
        "sign-certificate",
        "auth-ca",
        "sign-ca",
    ];
}

impl fmt::Display for CardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Fresh => f.write_str("fresh"),
            Self::Ara => f.write_str("ara"),
            Self::Jpki { auth, sign, plastic } => {
                write!(f, "{}(01) {}(02)", auth.name(), sign.name())?;
                if *plastic {
                    f.write_str(" token(card)")?;
                }
                Ok(())
            }
        }
    }
}
