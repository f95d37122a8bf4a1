//! What is to be done for each exchange of a recording: sent as it stands, made anew, or not at all.

use std::collections::BTreeMap;

use jpkise_card::trace::{CommandText, ExchangeRecord, Record};
use jpkise_card::{CommandApdu, ResponseApdu, SecretKind};
use jpkise_gp::channel::LogicalChannel;
use jpkise_gp::decode::{decode, Check, Decoded, Finding, Recorded};
use jpkise_gp::keys::{KeySet, KeySourceError};
use jpkise_wire::scp03::{SMode, INS_EXTERNAL_AUTHENTICATE, INS_INITIALIZE_UPDATE};
use jpkise_wire::StatusWord;
use serde::Serialize;

use super::ring::Ring;
use crate::compare::exchange::{is_secured, joined, makes_a_key, Joined};
use crate::suite::model::OpenFault;

const INS_STORE_DATA: u8 = 0xE2;
const P1_LAST_BLOCK: u8 = 0x80;
/// EXTERNAL AUTHENTICATE with the device key: the signature covers a challenge of the recording.
const DEVICE_KEY: [u8; 2] = [0x00, INS_EXTERNAL_AUTHENTICATE];
/// DGIs of the user's certificates, which are for the keys of the recording.
const CERTIFICATES: [u16; 2] = [0x0001, 0x000A];

/// Why an exchange is not replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its bytes were left out of the recording, and what they hid was not given or is not known by its kind.
    Secret,
    /// The value sent was of a wrong form, which the recording does not hold.
    WrongForm,
    /// No key that was given fits the recorded session, so nobody knows what was in it.
    RecordedKeys,
    /// The session can no longer be followed: a secured command was left out of the recording.
    Lost,
    /// It is signed with the device key over a challenge of the recording.
    DeviceKey,
    /// It is about the key pair of the recording; the card has made another since.
    NewKey,
    /// The card's own keys are none of those that were given.
    CardKeys,
    /// The secure channel it belongs to is not open on this card.
    NoChannel,
    /// It is about a simulated card that was put in for it and cannot be had again.
    OtherCard,
    /// It would change the card, and the card was not named for that.
    Changes,
    /// It would change the card for good, and that was not allowed.
    ForGood,
}

impl Reason {
    /// Stable name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::WrongForm => "wrong-form",
            Self::RecordedKeys => "recorded-keys",
            Self::Lost => "lost",
            Self::DeviceKey => "device-key",
            Self::NewKey => "new-key",
            Self::CardKeys => "card-keys",
            Self::NoChannel => "no-channel",
            Self::OtherCard => "other-card",
            Self::Changes => "changes",
            Self::ForGood => "for-good",
        }
    }
}

/// How an exchange is done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The same bytes: a command in clear, or one that the card must refuse as it refused it then.
    Bytes(Vec<u8>),
    /// VERIFY or CHANGE REFERENCE DATA with a value given anew.
    Secret {
        /// Kind, as the recording names it.
        kind: String,
    },
    /// INITIALIZE UPDATE with a challenge of its own.
    Update {
        /// Size of the challenge.
        mode: SMode,
    },
    /// EXTERNAL AUTHENTICATE for the handshake under way.
    Authenticate {
        /// P1 as recorded.
        level: u8,
        /// What was wrong in the recording, and is so again.
        fault: Option<OpenFault>,
    },
    /// A segment of a long secured command; the whole is sent with its last one.
    Piece,
    /// A secured command, wrapped anew.
    Wrapped(CommandApdu),
    /// A block of a sequence that stores a certificate for a key that the card has made anew: as [`Self::Wrapped`], with the
    /// new public key in place of the recorded one.
    Stored {
        /// The block as recorded.
        command: CommandApdu,
        /// Steps of the whole sequence: the first, and the one behind the last.
        sequence: (usize, usize),
    },
    /// Not at all.
    Not(Reason),
}

/// What is known of the recorded answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All of it, in clear.
    All,
    /// The status word alone: the rest does not verify or cannot be deciphered.
    StatusWord,
}

/// An exchange to be done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its number in the trace.
    pub number: u64,
    /// As recorded, the answer in clear.
    pub recorded: Joined,
    /// How it is done again.
    pub way: Way,
    /// What is known of the recorded answer.
    pub known: Known,
}

/// A step of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A cold reset.
    Reset {
        /// The ATR that was recorded.
        atr: String,
        /// Of a simulated card that was put in then: the state it was kept in.
        card: Option<String>,
    },
    /// An exchange.
    Unit(Box<Unit>),
}

/// What the recording's side of a logical channel is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Side {
    /// No session.
    #[default]
    Nothing,
    /// One that can be followed.
    Followed,
    /// One that cannot.
    Unknown(Reason),
}

/// Plans the replay of a recording.
pub fn plan(records: &[Record], ring: &mut Ring) -> Result<Vec<Step>, KeySourceError> {
    let mut steps = Vec::new();
    let mut segment: Vec<ExchangeRecord> = Vec::new();
    let mut segments = Vec::new();
    for record in records {
        match record {
            Record::Start(_) => {}
            Record::Exchange(exchange) => segment.push(exchange.clone()),
            Record::Reset { reset, card, .. } => {
                let reset = Step::Reset { atr: reset.clone(), card: card.clone() };
                segments.push((std::mem::take(&mut segment), Some(reset)));
            }
        }
    }
    segments.push((segment, None));
    // A reset ends every session: each segment is decoded by itself.
    let decoded = loop {
        let mut all = Vec::new();
        let mut learned = false;
        for (exchanges, _) in &segments {
            let recording = recording(exchanges);
            for r in &recording {
                if let (Some(command), Some(answer)) = (&r.command, &r.response) {
                    if r.header[1] == INS_INITIALIZE_UPDATE {
                        ring.see(command, answer);
                    }
                }
            }
            let report =
                if ring.is_empty() { undecoded(&recording) } else { decode(recording, ring)?.exchanges };
            learned |= learn(&report, ring);
            all.push(report);
        }
        // Keys that the recording puts open sessions further down.
        if !learned {
            break all;
        }
    };
    for ((exchanges, reset), decoded) in segments.into_iter().zip(decoded) {
        steps.extend(units(&exchanges, &decoded).into_iter().map(|unit| Step::Unit(Box::new(unit))));
        steps.extend(reset);
    }
    new_keys(&mut steps);
    Ok(steps)
}

fn recording(exchanges: &[ExchangeRecord]) -> Vec<Recorded> {
    exchanges
        .iter()
        .enumerate()
        .map(|(line, record)| {
            let mut header = [0; 4];
            // What is no header shows as zeros; the bytes beside it are what counts.
            let _ = hex::decode_to_slice(&record.header, &mut header);
            let response = record.sw.as_ref().map(|sw| {
                hex::decode(format!("{}{sw}", record.response.as_deref().unwrap_or_default()))
                    .unwrap_or_default()
            });
            Recorded { line, header, command: bytes(record), response }
        })
        .collect()
}

/// Without keys a session cannot be followed, and a clear command is still one.
fn undecoded(recording: &[Recorded]) -> Vec<Decoded> {
    let finding = |r: &Recorded| {
        let command = r.command.as_deref().and_then(|bytes| CommandApdu::parse(bytes).ok());
        match (&r.command, command) {
            (None, _) => Finding::Hidden,
            (_, None) => Finding::Malformed,
            (_, Some(command)) if is_secured(command.cla) => {
                Finding::Secured { c_mac: Check::NotVerifiable, command: None, r_mac: None, response: None }
            }
            _ => Finding::Clear,
        }
    };
    let decoded = |r: &Recorded| Decoded { line: r.line, name: String::new(), sw: None, finding: finding(r) };
    recording.iter().map(decoded).collect()
}

fn bytes(record: &ExchangeRecord) -> Option<Vec<u8>> {
    match &record.command {
        CommandText::Bytes(digits) => Some(hex::decode(digits).unwrap_or_default()),
        CommandText::Hidden { .. } => None,
    }
}

/// Takes the keys of recorded PUT KEYs; whether there was one that was not known.
fn learn(report: &[Decoded], ring: &mut Ring) -> bool {
    let mut set: Option<KeySet> = None;
    let mut learned = false;
    for decoded in report {
        match &decoded.finding {
            Finding::Initialized { set: in_use, .. } => set = Some(*in_use),
            Finding::Secured { command: Some(command), .. }
                if decoded.sw.is_some_and(StatusWord::is_success) =>
            {
                learned |= set.is_some_and(|set| ring.learn(command, &set));
            }
            _ => {}
        }
    }
    learned
}

fn units(exchanges: &[ExchangeRecord], decoded: &[Decoded]) -> Vec<Unit> {
    let by_line: BTreeMap<usize, &Decoded> = decoded.iter().map(|d| (d.line, d)).collect();
    let mut sides: BTreeMap<LogicalChannel, Side> = BTreeMap::new();
    let mut out = Vec::new();
    for mut recorded in joined(exchanges) {
        let Some(record) = exchanges.get(recorded.number - 1) else { continue };
        let finding = by_line.get(&(recorded.number - 1)).map(|d| &d.finding);
        let side = sides.entry(LogicalChannel::of(recorded.header[0])).or_default();
        let (way, known) = way(record, &mut recorded, finding, side);
        out.push(Unit { number: record.index, recorded, way, known });
    }
    out
}

fn way(
    record: &ExchangeRecord,
    recorded: &mut Joined,
    finding: Option<&Finding>,
    side: &mut Side,
) -> (Way, Known) {
    let accepted = recorded.answer.as_ref().is_some_and(|(_, sw)| sw.is_success());
    let Some(sent) = bytes(record) else {
        let CommandText::Hidden { secret } = &record.command else {
            return (Way::Not(Reason::Secret), Known::All);
        };
        if !recorded.secured {
            return (Way::Secret { kind: secret.clone() }, Known::All);
        }
        // What follows in the recorded session cannot be verified any more.
        return match std::mem::replace(side, Side::Unknown(Reason::Lost)) {
            Side::Followed => (Way::Secret { kind: secret.clone() }, Known::StatusWord),
            _ => (Way::Not(Reason::Secret), Known::All),
        };
    };
    match finding {
        Some(Finding::Initialized { mode, cryptogram, .. }) => {
            let good = *cryptogram == Check::Good;
            *side = if good { Side::Followed } else { Side::Unknown(Reason::RecordedKeys) };
            (Way::Update { mode: *mode }, Known::All)
        }
        Some(Finding::NotInitialized) => {
            *side = Side::Nothing;
            let mode = recorded.data.as_ref().and_then(|d| SMode::from_bytes(d.len()));
            (mode.map_or(Way::Bytes(sent), |mode| Way::Update { mode }), Known::All)
        }
        Some(Finding::Authenticated { cryptogram, c_mac, .. }) => {
            let before = std::mem::take(side);
            let level = recorded.header[2];
            match (before, cryptogram, c_mac) {
                (Side::Unknown(reason), ..) => {
                    *side = Side::Unknown(reason);
                    (Way::Not(reason), Known::All)
                }
                // Nothing was begun, or by other keys: the card refuses these bytes as it did then.
                (Side::Nothing, ..) | (_, Check::Bad, Check::Bad) => (Way::Bytes(sent), Known::All),
                (Side::Followed, cryptogram, c_mac) => {
                    let fault = match (cryptogram, c_mac) {
                        (Check::Bad, _) => Some(OpenFault::Cryptogram),
                        (_, Check::Bad) => Some(OpenFault::Mac),
                        _ => None,
                    };
                    // A card that takes a wrong one (a simulated fault) has opened what cannot be followed.
                    *side = match (accepted, fault) {
                        (true, None) => Side::Followed,
                        (true, Some(_)) => Side::Unknown(Reason::Lost),
                        (false, _) => Side::Nothing,
                    };
                    (Way::Authenticate { level, fault }, Known::All)
                }
            }
        }
        Some(Finding::Piece) => (Way::Piece, Known::All),
        Some(Finding::Secured { c_mac, command, r_mac, response }) => {
            let hidden = record.plain.as_ref().and_then(|plain| plain.secret.as_deref());
            let kind = hidden.and_then(|name| SecretKind::ALL.into_iter().find(|kind| kind.name() == name));
            let (way, known) =
                secured(recorded, sent, side, (*c_mac, command.as_ref()), (*r_mac, response.as_ref()));
            // What was hidden then is hidden in a trace of the replay.
            match (way, kind) {
                (Way::Wrapped(command), Some(kind)) => (Way::Wrapped(command.hiding(kind)), known),
                (way, _) => (way, known),
            }
        }
        Some(Finding::Malformed)
            if recorded.header[1] == INS_EXTERNAL_AUTHENTICATE && *side == Side::Followed =>
        {
            // A level that is none, in an otherwise right handshake.
            *side = Side::Nothing;
            (Way::Authenticate { level: recorded.header[2], fault: None }, Known::All)
        }
        _ => {
            let [cla, ins, p1, _] = recorded.header;
            if [cla & 0x80, ins] == DEVICE_KEY && accepted {
                return (Way::Not(Reason::DeviceKey), Known::All);
            }
            // Selecting ends the session (Card Specification 2.3.1 section 10.2.3).
            if ins == 0xA4 && p1 == 0x04 && accepted {
                *side = Side::Nothing;
            }
            (Way::Bytes(sent), Known::All)
        }
    }
}

fn secured(
    recorded: &mut Joined,
    sent: Vec<u8>,
    side: &mut Side,
    (c_mac, command): (Check, Option<&CommandApdu>),
    (r_mac, response): (Option<Check>, Option<&ResponseApdu>),
) -> (Way, Known) {
    match (*side, c_mac, command) {
        (Side::Unknown(reason), ..) => (Way::Not(reason), Known::All),
        (Side::Followed, Check::Good, Some(command)) => {
            let channel = LogicalChannel::of(recorded.header[0]);
            let mut command = command.clone();
            command.cla = channel.class(command.cla);
            recorded.header = command.header();
            recorded.length = Some(command.data().len());
            recorded.secured = true;
            let known = match response {
                Some(response) if r_mac != Some(Check::Bad) => {
                    recorded.answer = Some((response.data.clone(), response.sw));
                    Known::All
                }
                _ => Known::StatusWord,
            };
            (Way::Wrapped(command), known)
        }
        (Side::Followed, Check::Good, None) => (Way::Not(Reason::Lost), Known::All),
        // A MAC that was wrong then is wrong now, and one without a session is refused now as it was then.
        (Side::Followed | Side::Nothing, ..) => {
            *side = Side::Nothing;
            (Way::Bytes(sent), Known::All)
        }
    }
}

/// Once the card has made a key pair of its own, certificates of the recording fit it no more: the sequences of STORE DATA that
/// carry one are marked, as a whole, for a certificate runs over several blocks.
fn new_keys(steps: &mut [Step]) {
    let mut is_new = false;
    let mut index = 0;
    while index < steps.len() {
        let Step::Unit(unit) = &steps[index] else {
            index += 1;
            continue;
        };
        let made = makes_a_key(unit.recorded.header)
            && unit.recorded.answer.as_ref().is_some_and(|(_, sw)| sw.is_success());
        is_new |= made;
        if !is_new || stored(&steps[index]).is_none() {
            index += 1;
            continue;
        }
        let mut end = index;
        let mut content = Vec::new();
        while let Some((data, last)) = steps.get(end).and_then(stored) {
            content.extend_from_slice(data);
            end += 1;
            if last {
                break;
            }
        }
        if groupings(&content).iter().any(|id| CERTIFICATES.contains(id)) {
            for step in &mut steps[index..end] {
                let Step::Unit(unit) = step else { continue };
                if let Way::Wrapped(command) = std::mem::replace(&mut unit.way, Way::Not(Reason::NewKey)) {
                    unit.way = Way::Stored { command, sequence: (index, end) };
                }
            }
        }
        index = end;
    }
}

/// Data of a secured STORE DATA, and whether it is the last block.
pub(super) fn stored(step: &Step) -> Option<(&[u8], bool)> {
    let Step::Unit(unit) = step else { return None };
    let (Way::Wrapped(command) | Way::Stored { command, .. }) = &unit.way else { return None };
    (command.ins == INS_STORE_DATA).then(|| (command.data(), command.p1 & P1_LAST_BLOCK != 0))
}

/// Identifiers of the data groupings in a sequence of blocks; what is none ends the list.
fn groupings(mut content: &[u8]) -> Vec<u16> {
    let mut out = Vec::new();
    while let Some((&[hi, lo, length], rest)) = content.split_first_chunk::<3>() {
        let (length, rest) = match (length, rest) {
            (0xFF, [hi, lo, rest @ ..]) => (usize::from(u16::from_be_bytes([*hi, *lo])), rest),
            _ => (usize::from(length), rest),
        };
        out.push(u16::from_be_bytes([hi, lo]));
        content = rest.get(length..).unwrap_or_default();
    }
    out
}
