//! Rules: what readers make of an ARA-M's answers, what an ARA-M makes of command objects.

use jpkise_card::CommandApdu;
use jpkise_gp::ara::answer::{get_all, get_next, specific_from_bytes, Pages};
use jpkise_gp::ara::{
    tag, AidRef, ApduAccess, NfcAccess, Reading, RefreshTag, Rule, RuleList, RuleSet, StoreCommand,
};
use jpkise_gp::vectors::Mismatch;
use jpkise_wire::tlv;
use jpkise_wire::StatusWord;
use serde::Deserialize;
use serde_json::{json, Map, Value};

use super::{same, same_bytes, wrong, Bytes};

/// What the bytes of a vector are.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    ResponseAll,
    ResponseSpecific,
    RefArDo,
    Store,
    RefreshTag,
}

/// Longest data field of a command.
const BLOCK: usize = 255;

/// Well-formed bytes: read, told in the words of the vectors, and written to the same bytes again.
#[derive(Debug, Deserialize)]
pub(super) struct RuleVector {
    kind: Kind,
    hex: Bytes,
    decoded: Value,
}

impl RuleVector {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let input = self.hex.0.as_slice();
        let read = |error: &dyn std::fmt::Display| wrong("reading", &error.to_string());
        let (again, decoded) = match self.kind {
            Kind::ResponseAll => {
                let list = RuleList::from_bytes(input, Reading::Strict).map_err(|e| read(&e))?;
                let value: Vec<u8> = list.rules.iter().flat_map(Rule::to_bytes).collect();
                let rules = list.rules.iter().map(described).collect();
                (tlv::object(tag::RESPONSE_ALL_REF_AR_DO.0, &value), Value::Array(rules))
            }
            Kind::ResponseSpecific => {
                let access = specific_from_bytes(input, Reading::Strict).map_err(|e| read(&e))?;
                let bytes = access.to_bytes();
                (tlv::object(tag::RESPONSE_AR_DO.0, &bytes), json!([hex::encode(&bytes)]))
            }
            Kind::RefArDo => {
                let rule = Rule::from_bytes(input, Reading::Strict).map_err(|e| read(&e))?;
                (rule.to_bytes(), json!([described(&rule)]))
            }
            Kind::Store => {
                let rule = stored(input)?;
                (StoreCommand::Store(rule.clone()).to_bytes(), json!([described(&rule)]))
            }
            Kind::RefreshTag => {
                let tag = RefreshTag::from_bytes(input).map_err(|e| read(&e))?;
                (tlv::object(tag::REFRESH_TAG.0, &tag.0), json!([hex::encode(tag.0)]))
            }
        };
        same("decoded", &self.decoded, &decoded)?;
        same_bytes("written again", input, &again)
    }
}

/// Bytes that every reader refuses, and that an ARA-M therefore must not store.
#[derive(Debug, Deserialize)]
pub(super) struct Malformed {
    kind: Kind,
    hex: Bytes,
    fault: String,
}

impl Malformed {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let input = self.hex.0.as_slice();
        let accepted = |reading| match self.kind {
            Kind::ResponseAll => RuleList::from_bytes(input, reading).is_ok(),
            Kind::ResponseSpecific => specific_from_bytes(input, reading).is_ok(),
            Kind::RefArDo => Rule::from_bytes(input, reading).is_ok(),
            Kind::Store => stored(input).is_ok(),
            Kind::RefreshTag => RefreshTag::from_bytes(input).is_ok(),
        };
        for reading in [Reading::Strict, Reading::Android] {
            if accepted(reading) {
                return Err(Mismatch::new(format!("reading ({reading:?})"), &self.fault, "accepted"));
            }
        }
        let object = match self.kind {
            Kind::RefArDo => tlv::object(tag::COMMAND_STORE.0, input),
            Kind::Store => input.to_vec(),
            _ => return Ok(()),
        };
        let effect = RuleSet::default().apply_bytes(&object);
        if effect.sw == StatusWord::WRONG_DATA && !effect.refreshed {
            Ok(())
        } else {
            Err(Mismatch::new("storing", StatusWord::WRONG_DATA, effect.sw))
        }
    }
}

/// A STORE DATA command and the status words an ARA-M may give, here those of the model the applet is held to.
#[derive(Debug, Deserialize)]
pub(super) struct StoreDataStatus {
    command: Bytes,
    expect_status_words: Vec<String>,
}

impl StoreDataStatus {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let command = command(&self.command)?;
        let effect = RuleSet::default().apply_bytes(command.data());
        let found = effect.sw.to_string();
        if !self.expect_status_words.iter().any(|sw| sw.eq_ignore_ascii_case(&found)) {
            return Err(Mismatch::new("status word", self.expect_status_words.join(" or "), found));
        }
        if !effect.sw.is_success() {
            return Ok(());
        }
        let object = StoreCommand::from_bytes(command.data(), &mut Vec::new())
            .map_err(|e| wrong("command object", &e))?;
        rebuilt(&object, &self.command.0)
    }
}

/// A STORE DATA command as this project builds it.
#[derive(Debug, Deserialize)]
pub(super) struct StoreDataApdu {
    command: Bytes,
    decoded: Value,
}

impl StoreDataApdu {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let rule = stored(command(&self.command)?.data())?;
        same("decoded", &self.decoded, &json!([described(&rule)]))?;
        rebuilt(&StoreCommand::Store(rule), &self.command.0)
    }
}

/// GET DATA \[all\] in pages.
#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    pages: Vec<Page>,
    whole: Bytes,
}

#[derive(Debug, Deserialize)]
struct Page {
    command: Bytes,
    data: Bytes,
}

impl Paging {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let asked = |page: &Page, with: &CommandApdu| {
            let bytes = with.to_bytes().map_err(|e| wrong("command", &e))?;
            same_bytes("command", &page.command.0, &bytes)
        };
        let [first, rest @ ..] = self.pages.as_slice() else {
            return Err(Mismatch::new("pages", "one or more", "none"));
        };
        asked(first, &get_all())?;
        let mut joined =
            Pages::first(tag::RESPONSE_ALL_REF_AR_DO, &first.data.0).map_err(|e| wrong("first page", &e))?;
        for (index, page) in rest.iter().enumerate() {
            if !joined.is_incomplete() {
                return Err(Mismatch::new("pages", self.pages.len(), index + 1));
            }
            asked(page, &get_next())?;
            joined = joined.next(&page.data.0).map_err(|e| wrong(&format!("page {}", index + 2), &e))?;
        }
        let whole = joined.whole().map_err(|e| wrong("whole", &e))?;
        same_bytes("whole", &self.whole.0, whole)?;
        RuleList::from_bytes(whole, Reading::Strict).map(drop).map_err(|e| wrong("rules", &e))
    }
}

fn command(bytes: &Bytes) -> Result<CommandApdu, Mismatch> {
    CommandApdu::parse(&bytes.0).map_err(|e| wrong("command", &e))
}

fn stored(object: &[u8]) -> Result<Rule, Mismatch> {
    match StoreCommand::from_bytes(object, &mut Vec::new()) {
        Ok(StoreCommand::Store(rule)) => Ok(rule),
        Ok(other) => Err(Mismatch::new("command object", "store", format!("{other:?}"))),
        Err(error) => Err(wrong("command object", &error)),
    }
}

fn rebuilt(object: &StoreCommand, expected: &[u8]) -> Result<(), Mismatch> {
    let commands = object.commands(BLOCK).map_err(|e| wrong("building", &e))?;
    let [command] = commands.as_slice() else {
        return Err(Mismatch::new("blocks", 1, commands.len()));
    };
    let bytes = command.to_bytes().map_err(|e| wrong("building", &e))?;
    same_bytes("built again", expected, &bytes)
}

/// A rule in the words of the vectors.
fn described(rule: &Rule) -> Value {
    let mut out = Map::new();
    let aid = match rule.reference.aid() {
        AidRef::Absent => "ffffffffffff".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    out.insert("aid".into(), aid.into());
    out.insert("device_app_id".into(), hex::encode(rule.reference.device_app().as_bytes()).into());
    if let Some(package) = rule.reference.package() {
        out.insert("pkg".into(), package.as_str().into());
    }
    if let Some(apdu) = rule.access.apdu() {
        out.insert("apdu".into(), described_apdu(apdu));
    }
    if let Some(nfc) = rule.access.nfc() {
        out.insert("nfc".into(), described_nfc(nfc));
    }
    if let Some(permissions) = rule.access.permissions() {
        out.insert("perm".into(), hex::encode(permissions.0).into());
    }
    Value::Object(out)
}

/// Access to APDUs in the words of the vectors.
pub(super) fn described_apdu(access: &ApduAccess) -> Value {
    match access {
        ApduAccess::Never => json!("never"),
        ApduAccess::Always => json!("always"),
        ApduAccess::Filters(filters) => filters
            .as_slice()
            .iter()
            .map(|f| json!({ "header": hex::encode(f.header), "mask": hex::encode(f.mask) }))
            .collect(),
    }
}

/// Access to NFC events in the words of the vectors.
pub(super) fn described_nfc(access: NfcAccess) -> Value {
    json!(if access == NfcAccess::Always { "always" } else { "never" })
}
