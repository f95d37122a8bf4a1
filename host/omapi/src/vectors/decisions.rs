//! Decisions of the enforcer, and filters.

use jpkise_gp::ara::{Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, NfcAccess, Reference, Rule};
use jpkise_gp::vectors::Mismatch;
use serde::Deserialize;
use serde_json::{json, Value};

use super::rules::{described_apdu, described_nfc};
use super::{same, wrong, Bytes};
use crate::ace::{decide, Query, Target};

/// A rule in the words of the vectors.
#[derive(Debug, Deserialize)]
struct RuleText {
    aid: String,
    device_app_id: Bytes,
    apdu: Option<ApduText>,
    nfc: Option<NfcText>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ApduText {
    Word(NfcText),
    Filters(Vec<FilterText>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NfcText {
    Always,
    Never,
}

#[derive(Debug, Deserialize)]
struct FilterText {
    header: Bytes,
    mask: Bytes,
}

impl FilterText {
    fn filter(&self) -> Result<Filter, Mismatch> {
        let part = |bytes: &Bytes| -> Result<[u8; 4], Mismatch> {
            bytes.0.as_slice().try_into().map_err(|_| Mismatch::new("filter", "4 bytes", bytes.0.len()))
        };
        Ok(Filter { header: part(&self.header)?, mask: part(&self.mask)? })
    }
}

fn filters(texts: &[FilterText]) -> Result<ApduAccess, Mismatch> {
    let list = texts.iter().map(FilterText::filter).collect::<Result<_, _>>()?;
    Filters::new(list).map(ApduAccess::Filters).ok_or_else(|| Mismatch::new("filters", "one or more", "none"))
}

impl RuleText {
    fn rule(&self) -> Result<Rule, Mismatch> {
        let aid = match self.aid.as_str() {
            "all" => AidRef::All,
            "default" => AidRef::Default,
            text => AidRef::Aid(text.parse().map_err(|e: jpkise_wire::AidError| wrong("aid", &e))?),
        };
        let app = DeviceApp::from_bytes(&self.device_app_id.0).map_err(|e| wrong("device_app_id", &e))?;
        let apdu = match &self.apdu {
            None => None,
            Some(ApduText::Word(NfcText::Always)) => Some(ApduAccess::Always),
            Some(ApduText::Word(NfcText::Never)) => Some(ApduAccess::Never),
            Some(ApduText::Filters(texts)) => Some(filters(texts)?),
        };
        let nfc = self.nfc.map(|word| match word {
            NfcText::Always => NfcAccess::Always,
            NfcText::Never => NfcAccess::Never,
        });
        let access = Access::new(apdu, nfc, None).map_err(|e| wrong("rule", &e))?;
        Ok(Rule::new(Reference::new(aid, app), access))
    }
}

/// Which rule applies, in any order of the rules.
#[derive(Debug, Deserialize)]
pub(super) struct DecisionVector {
    rules: Vec<RuleText>,
    query: QueryText,
    expect: Value,
}

#[derive(Debug, Deserialize)]
struct QueryText {
    aid: String,
    hashes: Vec<Bytes>,
}

impl DecisionVector {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let mut rules: Vec<Rule> = self.rules.iter().map(RuleText::rule).collect::<Result<_, _>>()?;
        let target = match self.query.aid.as_str() {
            "default" => Target::Default,
            text => Target::Aid(text.parse().map_err(|e: jpkise_wire::AidError| wrong("query", &e))?),
        };
        let hash = |bytes: &Bytes| DeviceApp::from_bytes(&bytes.0).map_err(|e| wrong("query", &e));
        let hashes: Vec<DeviceApp> = self.query.hashes.iter().map(hash).collect::<Result<_, _>>()?;
        let query = Query { target, hashes: &hashes };
        let told = |rules: &[Rule]| {
            let decision = decide(rules, &query);
            json!({
                "apdu": described_apdu(&decision.apdu),
                "nfc": described_nfc(decision.nfc),
                "via": decision.step.name(),
            })
        };
        same("decision", &self.expect, &told(&rules))?;
        rules.reverse();
        // Filters come in the order of the rules; everything else must not change with it.
        let without_order = |mut decision: Value| {
            if let Some(filters) = decision["apdu"].as_array_mut() {
                filters.sort_by_key(ToString::to_string);
            }
            decision
        };
        same(
            "decision, rules the other way round",
            &without_order(self.expect.clone()),
            &without_order(told(&rules)),
        )
    }
}

/// Whether filters let a command pass.
#[derive(Debug, Deserialize)]
pub(super) struct ApduFilter {
    filters: Vec<FilterText>,
    command: Bytes,
    allowed: bool,
}

impl ApduFilter {
    pub(super) fn run(&self) -> Result<(), Mismatch> {
        let header = self.command.0.first_chunk::<4>();
        let header =
            *header.ok_or_else(|| Mismatch::new("command", "4 bytes or more", self.command.0.len()))?;
        let allowed = filters(&self.filters)?.allows(header);
        if allowed == self.allowed {
            Ok(())
        } else {
            Err(Mismatch::new("allowed", self.allowed, allowed))
        }
    }
}
