//! Suites, cases, steps: what a suite file says, checked and unrolled.

use std::collections::BTreeMap;
use std::time::Duration;

use jpkise_card::SecretKind;
use jpkise_wire::scp03::SecurityLevel;

use super::bytes::ByteExpression;
pub use super::expectation::{Expectation, Layout, Lengths, Place, SwPattern, TagPath};
pub use super::needs::{CardState, Changes, Need, Stage};

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
