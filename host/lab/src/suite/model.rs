//! Suites, cases, steps: what a suite file says, checked and unrolled.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use jpkise_card::SecretKind;
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::StatusWord;

use super::bytes::ByteExpression;
use super::check::Check;
use super::pattern::Pattern;

/// A suite.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// Stable name, as on the command line.
    pub id: String,
    /// What it is about, in English.
    pub title: String,
    /// The same in Japanese.
    pub title_ja: Option<String>,
    /// Values by name, in the order of the file.
    pub values: Vec<(String, ByteExpression)>,
    /// Key sets of its own.
    pub keys: BTreeMap<String, KeySet>,
    /// Layouts of answers, by name.
    pub layouts: BTreeMap<String, Layout>,
    /// Conditions that steps establish, by name.
    pub preparations: BTreeMap<String, Preparation>,
    /// Its cases, tables unrolled.
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name within the suite; unique, stable.
    pub id: String,
    /// What is tried, in English.
    pub name: String,
    /// The same in Japanese.
    pub name_ja: Option<String>,
    /// Why it must be so.
    pub reason: String,
    /// Document and section.
    pub section: String,
    /// Line of the file, from 1.
    pub line: usize,
    /// State of the card it begins with.
    pub state: CardState,
    /// Conditions established after that, by name, in order.
    pub preparations: Vec<String>,
    /// What is done and what must come of it.
    pub steps: Vec<Step>,
    /// What it leaves on a card.
    pub changes: Changes,
    /// What card and way to it must be able to do.
    pub needs: Vec<Need>,
    /// How often the steps are done, for figures.
    pub repeat: u32,
    /// Longest time that the steps may take altogether, each time they are done.
    pub limit: Option<Duration>,
}

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

/// Steps that establish a condition.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// Conditions before it.
    pub after: Vec<String>,
    /// What the card must be capable of: a case under this condition needs it too.
    pub needs: Vec<Need>,
    /// What is done.
    pub steps: Vec<Step>,
}

/// One thing done, and what must come of it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Line of the file, from 1.
    pub line: usize,
    /// For people, where the command does not say it.
    pub note: Option<String>,
    /// What is done.
    pub action: Action,
    /// What must come of it.
    pub expect: Expectation,
    /// What is kept of the answer: name and where it stands.
    pub keep: Vec<(String, Place)>,
    /// The figure to which its time counts.
    pub measure: Option<String>,
}

/// What is done.
#[derive(Debug, Clone)]
pub enum Action {
    /// A command.
    Send(Command),
    /// Bytes as they are, well-formed or not.
    Raw(ByteExpression),
    /// SCP03 is opened with the selected application.
    Open(Open),
    /// The secure channel is forgotten on this side; the card is not told.
    Forget {
        /// Logical channel.
        channel: u8,
    },
    /// Cold reset.
    Reset,
    /// Commands arrive over this interface from now on (simulator only).
    Interface {
        /// Contactless, or contact.
        contactless: bool,
    },
    /// Values are worked out, in order.
    Let(Vec<(String, ByteExpression)>),
    /// The steps of a preparation.
    Use(String),
}

/// A command in named fields.
#[derive(Debug, Clone)]
pub struct Command {
    /// The name under which the suite knows it, or the standard's.
    pub name: String,
    /// Class, for the basic channel and without secure messaging.
    pub cla: ByteExpression,
    /// Instruction.
    pub ins: ByteExpression,
    /// First parameter.
    pub p1: ByteExpression,
    /// Second parameter.
    pub p2: ByteExpression,
    /// Data field.
    pub data: ByteExpression,
    /// Le as coded: one byte, or two in extended length.
    pub le: Option<ByteExpression>,
    /// Extended form even where the short one would do.
    pub extended: bool,
    /// What its data hides from traces.
    pub secret: Option<SecretKind>,
    /// Logical channel.
    pub channel: u8,
    /// How it goes.
    pub via: Via,
}

/// How a command goes to the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Via {
    /// Secured where a secure channel is open on its logical channel.
    #[default]
    Auto,
    /// As it is.
    Clear,
    /// Secured; without an open channel the case is broken.
    Secured,
    /// The class shows secure messaging, and nothing else does.
    ClassOnly,
    /// Secured, the last byte of the MAC turned over.
    WrongMac,
    /// Secured, the last byte of the data turned over under a MAC that was made before.
    WrongData,
    /// Secured as the command before was: the same bytes again.
    Replay,
    /// Secured with a MAC of half its length.
    ShortMac,
}

impl Via {
    /// Names in suite files.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("auto", Self::Auto),
        ("clear", Self::Clear),
        ("secured", Self::Secured),
        ("class-only", Self::ClassOnly),
        ("wrong-mac", Self::WrongMac),
        ("wrong-data", Self::WrongData),
        ("replay", Self::Replay),
        ("short-mac", Self::ShortMac),
    ];
}

/// SCP03, from INITIALIZE UPDATE to EXTERNAL AUTHENTICATE.
#[derive(Debug, Clone)]
pub struct Open {
    /// Security level.
    pub level: LevelWanted,
    /// Name of the key set: `issuer`, `sp`, or one of the suite's.
    pub keys: String,
    /// Key version asked for.
    pub kvn: ByteExpression,
    /// Host challenge; random when not given.
    pub challenge: Option<ByteExpression>,
    /// Logical channel.
    pub channel: u8,
    /// What is done wrongly on purpose.
    pub fault: Option<OpenFault>,
}

/// The security level to open at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelWanted {
    /// Exactly this one.
    Exactly(SecurityLevel),
    /// The highest that the card offers.
    Best,
    /// A byte that is no level, or one that the card does not offer: sent all the same.
    Byte(u8),
}

/// A fault made on purpose while a channel is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFault {
    /// The host cryptogram is wrong, the MAC over it right.
    Cryptogram,
    /// The MAC of EXTERNAL AUTHENTICATE is wrong.
    Mac,
    /// EXTERNAL AUTHENTICATE is not sent.
    NoAuthenticate,
    /// EXTERNAL AUTHENTICATE goes in clear, class 80.
    ClearClass,
}

impl OpenFault {
    /// Names in suite files.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("cryptogram", Self::Cryptogram),
        ("mac", Self::Mac),
        ("no-authenticate", Self::NoAuthenticate),
        ("clear-class", Self::ClearClass),
    ];
}

/// Three keys of a suite's own.
#[derive(Debug, Clone)]
pub struct KeySet {
    /// Key-ENC.
    pub enc: ByteExpression,
    /// Key-MAC.
    pub mac: ByteExpression,
    /// Key-DEK.
    pub dek: ByteExpression,
}

/// What must come of a step. Data may follow 9000, 62xx and 63xx; behind anything else there must be none, unless the
/// step says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Status word.
    pub sw: SwPattern,
    /// The whole data field.
    pub data: Option<Pattern>,
    /// Its length.
    pub length: Option<Lengths>,
    /// Layout by whose names `fields` goes.
    pub layout: Option<String>,
    /// Fields of that layout.
    pub fields: Vec<(String, Pattern)>,
    /// Data objects by the path of their tags; `None`: must not be there.
    pub objects: Vec<(TagPath, Option<Pattern>)>,
    /// Over what was kept, this step's included.
    pub checks: Vec<Check>,
    /// Longest time to the answer.
    pub within: Option<Duration>,
}

/// Status words: `9000`, `63C?`, `6982/6985`, `!6F??`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwPattern {
    words: Vec<(u16, u16)>,
    negated: bool,
}

impl Default for SwPattern {
    fn default() -> Self {
        Self { words: vec![(0x9000, 0xFFFF)], negated: false }
    }
}

impl SwPattern {
    /// Reads words parted by `/`; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (negated, text) = match text.trim().strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let words = text.split('/').map(|word| Self::word(word.trim())).collect::<Result<_, _>>()?;
        Ok(Self { words, negated })
    }

    fn word(text: &str) -> Result<(u16, u16), String> {
        let error = || format!("{text:?} is no status word: four hexadecimal digits, ? for any");
        if text.chars().count() != 4 {
            return Err(error());
        }
        text.chars().try_fold((0, 0), |(value, mask), c| {
            let (digit, bits) = match c {
                '?' => (0, 0),
                c => (u16::try_from(c.to_digit(16).ok_or_else(error)?).map_err(|_| error())?, 0xF),
            };
            Ok((value << 4 | digit, mask << 4 | bits))
        })
    }

    /// Exactly this word.
    pub fn exactly(sw: StatusWord) -> Self {
        Self { words: vec![(sw.0, 0xFFFF)], negated: false }
    }

    /// Whether `sw` is one of them.
    pub fn matches(&self, sw: StatusWord) -> bool {
        self.words.iter().any(|(value, mask)| sw.0 & mask == *value) != self.negated
    }
}

impl fmt::Display for SwPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("!")?;
        }
        for (index, (value, mask)) in self.words.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            for shift in [12, 8, 4, 0] {
                match mask >> shift & 0xF {
                    0 => f.write_str("?")?,
                    _ => write!(f, "{:X}", value >> shift & 0xF)?,
                }
            }
        }
        Ok(())
    }
}

/// A number of bytes: `256`, `1..224`, `8..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lengths(pub RangeInclusive<usize>);

impl Lengths {
    /// Reads it; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |t: &str| {
            t.trim().parse::<usize>().map_err(|_| format!("{text:?} is no length: 256, 1..224 or 8.."))
        };
        let range = match text.split_once("..") {
            None => {
                let length = number(text)?;
                length..=length
            }
            Some((from, "")) => number(from)?..=usize::MAX,
            Some((from, to)) => number(from)?..=number(to)?,
        };
        if range.is_empty() {
            return Err(format!("{text:?} ends before it begins"));
        }
        Ok(Self(range))
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self.0.start(), *self.0.end()) {
            (from, usize::MAX) => write!(f, "{from}.."),
            (from, to) if from == to => write!(f, "{from}"),
            (from, to) => write!(f, "{from}..{to}"),
        }
    }
}

/// The path to a data object: `6F/A5/9F65`, `E3[1]/4F`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPath(pub Vec<(u32, usize)>);

impl TagPath {
    /// Reads it; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let steps = text.split('/').map(|part| {
            let part = part.trim();
            let (tag, index) = match part.split_once('[') {
                None => (part, 0),
                Some((tag, rest)) => {
                    let index = rest.strip_suffix(']').and_then(|i| i.parse().ok());
                    (tag, index.ok_or_else(|| format!("{part:?}: the number stands as [0]"))?)
                }
            };
            let is_tag = matches!(tag.len(), 2 | 4 | 6);
            let tag = u32::from_str_radix(tag, 16).ok().filter(|_| is_tag);
            tag.map(|tag| (tag, index)).ok_or_else(|| format!("{part:?} is no tag"))
        });
        Ok(Self(steps.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for TagPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (tag, nth)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            write!(f, "{tag:02X}")?;
            if *nth > 0 {
                write!(f, "[{nth}]")?;
            }
        }
        Ok(())
    }
}

/// Where in an answer something to be kept stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The data field, or a part of it.
    Data {
        /// First byte.
        from: usize,
        /// Behind the last byte; the end when `None`.
        to: Option<usize>,
    },
    /// A data object's value.
    Object(TagPath),
    /// A field of the step's layout.
    Field(String),
    /// The two bytes of the status word.
    StatusWord,
    /// The command's bytes as they went over the wire.
    Command,
}

/// Names and lengths of the fields of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// In order; a length of `None` takes what others leave, at the end only.
    pub fields: Vec<(String, Option<usize>)>,
}

impl Layout {
    /// The field's part of an answer: from, to. `None` when there is no such field.
    pub fn part(&self, name: &str, total: usize) -> Option<(usize, usize)> {
        let mut at = 0;
        for (field, length) in &self.fields {
            let end = length.map_or(total.max(at), |length| at + length);
            if field == name {
                return Some((at, end));
            }
            at = end;
        }
        None
    }

    /// The length of an answer of this layout; `None` where the last field is open.
    pub fn length(&self) -> Option<usize> {
        self.fields.iter().map(|(_, length)| *length).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_patterns() {
        for (pattern, sw, fits) in [
            ("9000", 0x9000, true),
            ("9000", 0x9001, false),
            ("63C?", 0x63C2, true),
            ("63C?", 0x63D2, false),
            ("6982/6985", 0x6985, true),
            ("!6F??", 0x6F00, false),
            ("!6F??/6E00", 0x6D00, true),
        ] {
            let read = SwPattern::parse(pattern).unwrap();
            assert_eq!(read.matches(StatusWord(sw)), fits, "{pattern} {sw:04X}");
            assert_eq!(read.to_string(), pattern);
        }
        assert!(SwPattern::parse("90").is_err());
        assert!(SwPattern::parse("90G0").is_err());
    }

    #[test]
    fn lengths_paths_and_layouts_are_read() {
        assert!(Lengths::parse("1..224").unwrap().0.contains(&224));
        assert!(Lengths::parse("8..").unwrap().0.contains(&9999));
        assert!(Lengths::parse("9..1").is_err());
        assert_eq!(TagPath::parse("6F/A5/9F65").unwrap().0, [(0x6F, 0), (0xA5, 0), (0x9F65, 0)]);
        assert_eq!(TagPath::parse("E3[2]/4F").unwrap().to_string(), "E3[2]/4F");
        assert!(TagPath::parse("6F//84").is_err());
        let layout =
            Layout { fields: vec![("a".into(), Some(1)), ("b".into(), Some(2)), ("c".into(), None)] };
        assert_eq!(layout.part("b", 9), Some((1, 3)));
        assert_eq!(layout.part("c", 9), Some((3, 9)));
        assert_eq!(layout.length(), None);
    }
}
