//! Whether two answers to the same command are alike: field by field, without what differs from run to run by its nature.
//!
//! What differs by its nature is in [`Ignored`] and in the table of the module of the parts. Commands are compared by name, header and length: their data carry challenges, MACs and values made for the run.

use std::collections::BTreeMap;

use jpkise_card::names::command_name;
use jpkise_card::trace::{CommandText, ExchangeRecord};
use jpkise_card::CommandApdu;
use jpkise_wire::tlv::Tlv;
use jpkise_wire::StatusWord;
use serde::Serialize;

use super::parts::Part;
pub use super::parts::{makes_a_key, Allowance, Follower, Ignored};

const INS_GET_RESPONSE: u8 = 0xC0;

/// An exchange, its answer put together where it came in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Position of the command among the exchanges, from 1.
    pub number: usize,
    /// Name of the command.
    pub name: String,
    /// CLA INS P1 P2 before secure messaging.
    pub header: [u8; 4],
    /// Length of the data before secure messaging; `None` when it is hidden.
    pub length: Option<usize>,
    /// Its data in clear, where they are.
    pub data: Option<Vec<u8>>,
    /// Whether secure messaging wrapped it.
    pub secured: bool,
    /// The answer, unless there was none.
    pub answer: Option<(Vec<u8>, StatusWord)>,
}

/// Exchanges without the commands that only fetch the rest of an answer, or ask again with another Le.
pub fn joined(exchanges: &[ExchangeRecord]) -> Vec<Joined> {
    let mut out: Vec<Joined> = Vec::new();
    for (index, record) in exchanges.iter().enumerate() {
        let header = header_of(record.plain.as_ref().map_or(&record.header, |p| &p.header));
        let answer = answer_of(record);
        if let Some(last) = out.last_mut() {
            let waiting = last.answer.as_ref().is_some_and(|(_, sw)| sw.bytes_waiting().is_some());
            if waiting && header[1] == INS_GET_RESPONSE {
                match (&mut last.answer, answer) {
                    // Asked with a wrong Le: it comes again.
                    (_, Some((_, sw))) if sw.right_le().is_some() => {}
                    (Some((data, last_sw)), Some((more, sw))) => {
                        data.extend(more);
                        *last_sw = sw;
                    }
                    (last, none) => *last = none,
                }
                continue;
            }
            let wrong_le = last.answer.as_ref().is_some_and(|(_, sw)| sw.right_le().is_some());
            // A wrapped command has moved the MAC chain, so one with another Le is a command of its own.
            let wrapped = record.plain.is_some() || is_secured(header[0]);
            if wrong_le && last.header == header && !wrapped {
                last.answer = answer;
                continue;
            }
        }
        let command = match &record.command {
            CommandText::Bytes(digits) => hex::decode(digits).ok().and_then(|b| CommandApdu::parse(&b).ok()),
            CommandText::Hidden { .. } => None,
        };
        let in_clear = command.as_ref().filter(|_| record.plain.is_none());
        out.push(Joined {
            number: index + 1,
            name: command_name(header).into_owned(),
            header,
            length: record.plain.as_ref().map(|p| p.length).or(in_clear.map(|c| c.data().len())),
            data: in_clear.map(|c| c.data().to_vec()),
            secured: record.plain.is_some(),
            answer,
        });
    }
    out
}

/// Whether a class byte shows GlobalPlatform secure messaging.
pub(crate) const fn is_secured(class: u8) -> bool {
    if class & 0x40 == 0 {
        class & 0x0C == 0x04
    } else {
        class & 0x20 != 0
    }
}

fn header_of(digits: &str) -> [u8; 4] {
    let mut header = [0; 4];
    // What is no header shows as zeros on both sides.
    let _ = hex::decode_to_slice(digits, &mut header);
    header
}

fn answer_of(record: &ExchangeRecord) -> Option<(Vec<u8>, StatusWord)> {
    let sw = u16::from_str_radix(record.sw.as_ref()?, 16).ok()?;
    let data = hex::decode(record.response.as_deref().unwrap_or_default()).unwrap_or_default();
    Some((data, StatusWord(sw)))
}

/// A field in which two exchanges differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// The field: `command`, `header`, `command length`, `status word`, `answer`, `answer length`, `key information`,
    /// `6F/84` …
    pub field: String,
    /// On the first side; `None`: not there.
    pub a: Option<String>,
    /// On the second.
    pub b: Option<String>,
}

impl FieldDifference {
    fn new(field: &str, a: &impl ToString, b: &impl ToString) -> Self {
        Self { field: field.to_owned(), a: Some(a.to_string()), b: Some(b.to_string()) }
    }

    /// Whether it is more than another value in the same answer: another command, another status word, no answer.
    pub fn is_decisive(&self) -> bool {
        matches!(self.field.as_str(), "command" | "header" | "command length" | "status word" | "answer")
    }
}

/// One side of a comparison: an exchange, and what came before it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The exchange.
    pub exchange: &'a Joined,
    /// What came before it.
    pub before: &'a Follower,
    /// Whether the answer is in clear although the command was secured: unwrapped before.
    pub is_plain: bool,
}

/// What the comparison of two exchanges found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Fields that differ.
    pub fields: Vec<FieldDifference>,
    /// What was not compared although it differs.
    pub ignored: Vec<Ignored>,
}

/// Compares two exchanges.
pub fn differences(a: Side<'_>, b: Side<'_>, allowance: Allowance) -> Findings {
    let mut findings = Findings::default();
    let (first, second) = (a.exchange, b.exchange);
    let fields = &mut findings.fields;
    if first.name != second.name {
        fields.push(FieldDifference::new("command", &first.name, &second.name));
    }
    if first.header != second.header {
        fields.push(FieldDifference::new(
            "header",
            &hex::encode_upper(first.header),
            &hex::encode_upper(second.header),
        ));
    }
    match (first.length, second.length) {
        (Some(a), Some(b)) if a != b => fields.push(FieldDifference::new("command length", &a, &b)),
        _ => {}
    }
    let (Some((data_a, sw_a)), Some((data_b, sw_b))) = (&first.answer, &second.answer) else {
        let text = |side: &Joined| side.answer.as_ref().map(|(_, sw)| sw.to_string());
        if first.answer.is_some() != second.answer.is_some() {
            fields.push(FieldDifference { field: "answer".to_owned(), a: text(first), b: text(second) });
        }
        return findings;
    };
    if sw_a != sw_b {
        fields.push(FieldDifference::new("status word", sw_a, sw_b));
        // An error comes without data: that there are none on one side says nothing more.
        if !(sw_a.is_protected() && sw_b.is_protected()) {
            return findings;
        }
    }
    let parts_a = a.before.parts(first, data_a.len(), allowance, a.is_plain);
    let parts_b = b.before.parts(second, data_b.len(), allowance, b.is_plain);
    compare_data(data_a, &parts_a, data_b, &parts_b, &mut findings);
    findings
}

fn compare_data(a: &[u8], parts_a: &[Part], b: &[u8], parts_b: &[Part], findings: &mut Findings) {
    let same_parts =
        parts_a.len() == parts_b.len() && parts_a.iter().zip(parts_b).all(|(a, b)| a.name == b.name);
    if !same_parts {
        // Of different kinds, as an answer with and without secure messaging: their whole lengths and bytes.
        if a != b {
            findings.fields.push(FieldDifference::new("data", &hex::encode_upper(a), &hex::encode_upper(b)));
        }
        return;
    }
    for (part_a, part_b) in parts_a.iter().zip(parts_b) {
        let bytes = |all: &[u8], part: &Part| all.get(part.range.clone()).unwrap_or_default().to_vec();
        let (value_a, value_b) = (bytes(a, part_a), bytes(b, part_b));
        if value_a == value_b {
            continue;
        }
        match part_a.ignored.filter(|_| part_a.ignored == part_b.ignored) {
            Some(ignored) if part_a.any_length || value_a.len() == value_b.len() => {
                findings.ignored.push(ignored);
            }
            Some(_) => {
                let field = format!("{} length", part_a.name);
                findings.fields.push(FieldDifference::new(&field, &value_a.len(), &value_b.len()));
            }
            None => findings.fields.extend(values(&part_a.name, &value_a, &value_b)),
        }
    }
}

/// Two values: by data object where both are BER-TLV of the same build, else as a whole.
fn values(name: &str, a: &[u8], b: &[u8]) -> Vec<FieldDifference> {
    let (mut flat_a, mut flat_b) = (Vec::new(), Vec::new());
    let both = flatten("", a, 0, &mut flat_a).and(flatten("", b, 0, &mut flat_b));
    if both.is_none() || flat_a.is_empty() || flat_b.is_empty() || flat_a.len() + flat_b.len() > 200 {
        return vec![FieldDifference::new(name, &hex::encode_upper(a), &hex::encode_upper(b))];
    }
    let mut out = Vec::new();
    let find = |all: &[(String, Vec<u8>)], path: &str| {
        all.iter().find(|(p, _)| p == path).map(|(_, value)| hex::encode_upper(value))
    };
    for (path, _) in &flat_a {
        let (a, b) = (find(&flat_a, path), find(&flat_b, path));
        if a != b {
            out.push(FieldDifference { field: path.clone(), a, b });
        }
    }
    for (path, value) in flat_b.iter().filter(|(path, _)| find(&flat_a, path).is_none()) {
        out.push(FieldDifference { field: path.clone(), a: None, b: Some(hex::encode_upper(value)) });
    }
    out
}

/// Leaves of a row of data objects by path, `E3[1]/4F` for the second of its kind; `None` where it is none.
fn flatten(path: &str, data: &[u8], depth: usize, out: &mut Vec<(String, Vec<u8>)>) -> Option<()> {
    const DEEPEST: usize = 8;
    let objects = Tlv::read_all(data).ok().filter(|_| depth < DEEPEST)?;
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for object in objects {
        let count = seen.entry(object.tag.0).or_default();
        let index = if *count == 0 { String::new() } else { format!("[{count}]") };
        *count += 1;
        let slash = if path.is_empty() { "" } else { "/" };
        let here = format!("{path}{slash}{:02X}{index}", object.tag.0);
        if object.tag.is_constructed() && flatten(&here, object.value, depth + 1, out).is_some() {
            continue;
        }
        out.push((here, object.value.to_vec()));
    }
    Some(())
}

/// The first exchange in which two rows differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstDifference {
    /// Name of the command.
    pub name: String,
    /// Its position on the first side, from 1; `None`: there is no such exchange.
    pub number_a: Option<usize>,
    /// On the second.
    pub number_b: Option<usize>,
    /// CLA INS P1 P2 before secure messaging, of the side that has it.
    pub header: String,
    /// What differs; empty when one side has ended.
    pub fields: Vec<FieldDifference>,
}

/// Where two rows of exchanges part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// The first exchange that differs in anything.
    pub first: Option<FirstDifference>,
    /// The first that differs in command, status word or presence, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisive: Option<FirstDifference>,
}

/// Finds where two rows of exchanges part.
pub fn parting(a: &[ExchangeRecord], b: &[ExchangeRecord], allowance: Allowance) -> Parting {
    let (a, b) = (joined(a), joined(b));
    let (mut before_a, mut before_b) = (Follower::default(), Follower::default());
    let mut parting = Parting::default();
    for index in 0..a.len().max(b.len()) {
        let difference = match (a.get(index), b.get(index)) {
            (Some(x), Some(y)) => {
                let found = differences(
                    Side { exchange: x, before: &before_a, is_plain: false },
                    Side { exchange: y, before: &before_b, is_plain: false },
                    allowance,
                );
                before_a.follow(x);
                before_b.follow(y);
                (!found.fields.is_empty()).then(|| FirstDifference {
                    name: x.name.clone(),
                    number_a: Some(x.number),
                    number_b: Some(y.number),
                    header: hex::encode_upper(x.header),
                    fields: found.fields,
                })
            }
            (only_a, only_b) => only_a.or(only_b).map(|there| FirstDifference {
                name: there.name.clone(),
                number_a: only_a.map(|x| x.number),
                number_b: only_b.map(|x| x.number),
                header: hex::encode_upper(there.header),
                fields: Vec::new(),
            }),
        };
        let Some(difference) = difference else { continue };
        let decisive =
            difference.fields.is_empty() || difference.fields.iter().any(FieldDifference::is_decisive);
        if parting.first.is_none() {
            parting.first = Some(difference);
        } else if decisive {
            parting.decisive = Some(difference);
        }
        if decisive {
            break;
        }
    }
    parting
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELECT: &str = "00A4040000";
    const EXTERNAL_11: &str = "848211001000112233445566778899AABBCCDDEEFF";

    fn record(command: &str, answer: &str, plain: Option<&str>) -> ExchangeRecord {
        let (data, sw) = answer.split_at(answer.len() - 4);
        let json = serde_json::json!({
            "index": 1, "time_us": 0, "duration_us": 0, "name": "", "header": &command[..8], "command": command,
            "response": data, "sw": sw, "plain": plain.map(|header| serde_json::json!({ "header": header, "length": 0 })),
        });
        serde_json::from_value(json).unwrap()
    }

    fn update(kdd: &str, challenge: &str) -> String {
        format!("{kdd}300370{challenge}{challenge}0000019000")
    }

    #[test]
    fn what_differs_by_its_nature_is_left_out_and_nothing_else() {
        let kdd = "4A504B49534500000001";
        let clear = |command: &str, a: &str, b: &str| {
            (vec![record(command, a, None)], vec![record(command, b, None)])
        };
        let in_session = |a: &str, b: &str| {
            let before = [record(SELECT, "9000", None), record(EXTERNAL_11, "9000", None)];
            let with = |last: &str| {
                [&before[..], &[record("84CA004508FFFFFFFFFFFFFFFF", last, Some("80CA0045"))]].concat()
            };
            (with(a), with(b))
        };
        let certificate = |file: &str| {
            let with = |answer: &str| {
                let select = format!("00A4020C02{file}");
                vec![record(&select, "9000", None), record("00B0000000", answer, None)]
            };
            (with("30009000"), with("3001FF9000"))
        };
        let rows = [
            (
                "handshake",
                clear("8050000008", &update(kdd, "0011223344556677"), &update(kdd, "8899AABBCCDDEEFF")),
                None,
            ),
            (
                "another chip",
                clear(
                    "8050000008",
                    &update(kdd, "0011223344556677"),
                    &update("4A504B49534500000002", "0011223344556677"),
                ),
                Some("key diversification data"),
            ),
            ("random number", clear("0084000010", "00119000", "22339000"), None),
            (
                "random numbers of other lengths",
                clear("0084000010", "00119000", "2233449000"),
                Some("data length"),
            ),
            ("refresh tag", clear("80CADF2000", "DF2002AAAA9000", "DF2002BBBB9000"), None),
            ("PSS signature", clear("802A0400", "00119000", "22339000"), None),
            ("status word", clear("802A0400", "00119000", "6985"), Some("status word")),
            ("R-MAC", in_session("4502AABB00112233445566779000", "4502AABB8899AABBCCDDEEFF9000"), None),
            (
                "data before the R-MAC",
                in_session("4502AABB00112233445566779000", "4502AABC8899AABBCCDDEEFF9000"),
                Some("45"),
            ),
            ("certificate", certificate("000A"), None),
            ("token information", certificate("0006"), Some("data")),
            (
                "data object",
                clear("80CA006600", "66064F01AA5001019000", "66064F01AA5001029000"),
                Some("66/50"),
            ),
            ("public key", clear("80CA7F4901", "00119000", "22339000"), None),
        ];
        for (name, (a, b), field) in rows {
            let parting = parting(&a, &b, Allowance::RUNS);
            let found = parting.first.map(|first| first.fields[0].field.clone());
            assert_eq!(found.as_deref(), field, "{name}");
        }
        // The same keys, the same answers.
        let strict = Allowance { new_keys: false, other_nonces: false };
        for command in ["80CA7F4901", "802A0000"] {
            let (a, b) = clear(command, "00119000", "22339000");
            assert!(parting(&a, &b, strict).first.is_some(), "{command}");
        }
    }

    #[test]
    fn an_answer_in_pieces_is_one_and_a_row_that_ends_is_said() {
        let whole = [record("80CA006600", "010203049000", None)];
        let pieces = [
            record("80CA006600", "6C04", None),
            record("80CA006604", "01026102", None),
            record("00C0000002", "03049000", None),
        ];
        assert_eq!(parting(&whole, &pieces, Allowance::RUNS), Parting::default());
        let parting = parting(&whole, &[], Allowance::RUNS);
        let first = parting.first.unwrap();
        assert_eq!((first.number_a, first.number_b, first.fields.len()), (Some(1), None, 0));
    }

    #[test]
    fn a_later_status_word_is_shown_beside_an_earlier_value() {
        let row = |cin: &str, sw: &str| {
            [record("80CA004500", &format!("{cin}9000"), None), record("0020008000", sw, None)]
        };
        let parting = parting(&row("4501AA", "63C2"), &row("4501BB", "6984"), Allowance::RUNS);
        assert_eq!(parting.first.unwrap().fields[0].field, "45");
        assert_eq!(parting.decisive.unwrap().fields[0].field, "status word");
    }
}
