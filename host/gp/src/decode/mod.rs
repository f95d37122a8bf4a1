//! Verifies and deciphers a recorded SCP03 session offline, with the static keys at hand.
//!
//! The recording is either our own trace or lines of hexadecimal, command and answer in turn. Sessions are followed on
//! every logical channel. Once a command's MAC is wrong the chaining value is unknown, so what follows on that channel
//! is not verifiable until the next INITIALIZE UPDATE; it is shown as such, never as good.

mod lines;
mod session;

pub use lines::{hex_lines, trace_lines, HexLineError, Recorded};

use std::collections::BTreeMap;

use jpkise_card::names::command_name;
use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::scp03::{SMode, SecurityLevel, INS_EXTERNAL_AUTHENTICATE, INS_INITIALIZE_UPDATE};
use jpkise_wire::StatusWord;

use crate::channel::LogicalChannel;
use crate::keys::{KeySet, KeySource, KeySourceError};
use crate::scp03::ChallengeCheck;
use session::Channel;

/// Outcome of one verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
    /// What it would take to tell is missing: an earlier fault, a hidden command, no answer.
    NotVerifiable,
}

/// What one exchange is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Not part of a secure channel.
    Clear,
    /// The command's bytes are not in the recording.
    Hidden,
    /// Neither a command nor an answer can be read.
    Malformed,
    /// INITIALIZE UPDATE.
    Initialized {
        /// Key set the card answered for.
        set: KeySet,
        /// i parameter as sent.
        i: u8,
        /// Size of challenges and MACs.
        mode: SMode,
        /// Card cryptogram.
        cryptogram: Check,
        /// Pseudo-random card challenge.
        challenge: ChallengeCheck,
    },
    /// INITIALIZE UPDATE was refused, or its answer is not SCP03's.
    NotInitialized,
    /// EXTERNAL AUTHENTICATE.
    Authenticated {
        /// Security level asked for.
        level: SecurityLevel,
        /// Host cryptogram.
        cryptogram: Check,
        /// Its C-MAC.
        c_mac: Check,
        /// Whether the card accepted it.
        accepted: bool,
    },
    /// A segment of a long command; the whole is shown with its last one.
    Piece,
    /// A secured command.
    Secured {
        /// C-MAC.
        c_mac: Check,
        /// The command in clear, class without secure messaging; `None` when it cannot be deciphered.
        command: Option<CommandApdu>,
        /// R-MAC, where the level has one and the status word is protected.
        r_mac: Option<Check>,
        /// The answer in clear; `None` when it cannot be deciphered.
        response: Option<ResponseApdu>,
    },
}

impl Finding {
    /// Whether something in it does not verify.
    pub fn is_bad(&self) -> bool {
        match self {
            Self::Malformed => true,
            Self::Initialized { cryptogram, .. } => *cryptogram == Check::Bad,
            Self::Authenticated { cryptogram, c_mac, .. } => {
                *cryptogram == Check::Bad || *c_mac == Check::Bad
            }
            Self::Secured { c_mac, command, r_mac, response } => {
                *c_mac == Check::Bad
                    || *r_mac == Some(Check::Bad)
                    || (*c_mac == Check::Good && command.is_none())
                    || (*r_mac == Some(Check::Good) && response.is_none())
            }
            Self::Clear | Self::Hidden | Self::NotInitialized | Self::Piece => false,
        }
    }

    /// Whether something in it could not be told.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Hidden => true,
            Self::Initialized { cryptogram, .. } => *cryptogram == Check::NotVerifiable,
            Self::Authenticated { cryptogram, c_mac, .. } => {
                [cryptogram, c_mac].contains(&&Check::NotVerifiable)
            }
            Self::Secured { c_mac, r_mac, .. } => {
                *c_mac == Check::NotVerifiable || *r_mac == Some(Check::NotVerifiable)
            }
            _ => false,
        }
    }
}

/// One exchange, verified and deciphered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Line of the recording, from 1.
    pub line: usize,
    /// Name of the command.
    pub name: String,
    /// Status word, if there was an answer.
    pub sw: Option<StatusWord>,
    /// What it is.
    pub finding: Finding,
}

/// A whole recording, verified and deciphered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Each exchange.
    pub exchanges: Vec<Decoded>,
}

impl Report {
    /// The first exchange in which something does not verify.
    pub fn first_fault(&self) -> Option<&Decoded> {
        self.exchanges.iter().find(|d| d.finding.is_bad())
    }

    /// Sessions opened: INITIALIZE UPDATEs whose cryptogram is right.
    pub fn sessions(&self) -> usize {
        let good = |d: &&Decoded| matches!(d.finding, Finding::Initialized { cryptogram: Check::Good, .. });
        self.exchanges.iter().filter(good).count()
    }
}

/// Decodes a recording.
pub fn decode(
    recording: impl IntoIterator<Item = Recorded>,
    keys: &dyn KeySource,
) -> Result<Report, KeySourceError> {
    let mut channels: BTreeMap<LogicalChannel, Channel> = BTreeMap::new();
    let mut report = Report::default();
    for recorded in joined(recording) {
        report.exchanges.push(one(&mut channels, &recorded, keys)?);
    }
    Ok(report)
}

/// Answers that came in pieces by 61xx, put together; the GET RESPONSEs that fetched them disappear.
fn joined(recording: impl IntoIterator<Item = Recorded>) -> Vec<Recorded> {
    const INS_GET_RESPONSE: u8 = 0xC0;
    let mut out: Vec<Recorded> = Vec::new();
    let mut waiting: BTreeMap<LogicalChannel, usize> = BTreeMap::new();
    for recorded in recording {
        let channel = LogicalChannel::of(recorded.header[0]);
        if let (INS_GET_RESPONSE, Some(at)) = (recorded.header[1], waiting.get(&channel).copied()) {
            let piece = recorded.response.as_deref().and_then(|bytes| ResponseApdu::parse(bytes).ok());
            match piece {
                // Asked with a wrong Le: it comes again.
                Some(piece) if piece.sw.right_le().is_some() => {}
                Some(piece) => {
                    let whole = out[at].response.get_or_insert_default();
                    whole.truncate(whole.len().saturating_sub(2));
                    whole.extend(piece.to_bytes());
                    if piece.sw.bytes_waiting().is_none() {
                        waiting.remove(&channel);
                    }
                }
                None => {
                    waiting.remove(&channel);
                }
            }
            continue;
        }
        waiting.remove(&channel);
        if matches!(recorded.response.as_deref(), Some([.., 0x61, _])) {
            waiting.insert(channel, out.len());
        }
        out.push(recorded);
    }
    out
}

fn one(
    channels: &mut BTreeMap<LogicalChannel, Channel>,
    recorded: &Recorded,
    keys: &dyn KeySource,
) -> Result<Decoded, KeySourceError> {
    const INS_SELECT: u8 = 0xA4;
    let answer = recorded.response.as_deref().and_then(|bytes| ResponseApdu::parse(bytes).ok());
    let sw = answer.as_ref().map(|a| a.sw);
    let decoded = |name: String, finding| Decoded { line: recorded.line, name, sw, finding };

    let Some(bytes) = &recorded.command else {
        let header = recorded.header;
        // A command under secure messaging moves the chaining value, and this one is not here to be followed.
        if is_secured(header[0]) {
            channels.entry(LogicalChannel::of(header[0])).or_default().lose();
        }
        return Ok(decoded(command_name(header).into_owned(), Finding::Hidden));
    };
    let Ok(command) = CommandApdu::parse(bytes) else {
        return Ok(decoded(String::new(), Finding::Malformed));
    };
    let channel = channels.entry(LogicalChannel::of(command.cla)).or_default();
    let name = command_name(command.header()).into_owned();
    let finding = match command.ins {
        INS_INITIALIZE_UPDATE if command.cla & 0x80 != 0 => {
            channel.initialize_update(&command, answer.as_ref(), keys)?
        }
        INS_EXTERNAL_AUTHENTICATE if is_secured(command.cla) && command.cla & 0x80 != 0 => {
            channel.external_authenticate(&command, answer.as_ref())
        }
        _ if is_secured(command.cla) => channel.secured(&command, answer.as_ref()),
        INS_SELECT if command.p1 == 0x04 => {
            channel.select(answer.as_ref());
            Finding::Clear
        }
        _ => Finding::Clear,
    };
    Ok(decoded(name, finding))
}

/// Whether a class byte shows GlobalPlatform secure messaging.
const fn is_secured(class: u8) -> bool {
    if class & 0x40 == 0 {
        class & 0x0C == 0x04
    } else {
        class & 0x20 != 0
    }
}
