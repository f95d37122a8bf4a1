//! The rule file: the desired state of an ARA-M, in TOML.
//!
//! ```toml
//! format = 1
//!
//! [[rule]]
//! comment = "My app uses JPKI"
//! aid = "D392F000260100000001"          # or "all", "default", "carrier"
//! app = "sha256:4317f604…"              # or "sha1:…", "uuid:…", "all"
//! apdu = "always"                       # or "never", a preset's name, or filters and presets:
//! # apdu = ["00A40000/F0FF0000", "00200000/F0FF0000"]
//! nfc = "never"                         # or "always"; left out: as the APDU rule says
//!
//! [[rule]]
//! aid = "carrier"
//! app = "sha256:…"
//! package = "jp.example.carrier"
//! permissions = "0000000000000001"
//! ```
//!
//! `as_found = true` at the top marks a copy of what a card held: mistakes that a person would be told of (filters that
//! nothing passes, contradictions) are then taken as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jpkise_wire::Aid;
use serde::Deserialize;
use toml::Spanned;

use super::access::{Access, ApduAccess, Filter, Filters, NfcAccess, Permissions};
use super::diff::contradiction;
use super::reference::{AidRef, DeviceApp, PackageName, Reference};
use super::rule::{Rule, RuleError};

/// The one format there is.
const FORMAT: u32 = 1;

/// Named filter lists that a file may use in place of filters.
pub type Presets = BTreeMap<String, Filters>;

/// Why a rule file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFileError {
    /// Not TOML, an unknown key, a missing key or a value of another type.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the TOML reader says.
        message: String,
    },
    /// A format number that is not known.
    #[error("format {0} is not known, this version reads format 1")]
    Format(u32),
    /// A value without meaning.
    #[error("rule in line {line}: {field} = {value:?} has no meaning")]
    Value {
        /// Line of the rule's header, from 1.
        line: usize,
        /// The key.
        field: &'static str,
        /// What stands there.
        value: String,
    },
    /// The parts make no rule.
    #[error("rule in line {line}: {source}")]
    Rule {
        /// Line of the rule's header, from 1.
        line: usize,
        /// Why.
        source: RuleError,
    },
    /// A filter that no command can pass, because a bit of its header lies outside its mask.
    #[error(
        "rule in line {line}: no command can pass the filter {filter}: its header has bits outside its mask"
    )]
    DeadFilter {
        /// Line of the rule's header, from 1.
        line: usize,
        /// The filter.
        filter: Filter,
    },
    /// A rule that stands twice.
    #[error("the rule in line {line} stands in line {first_line} already")]
    Duplicate {
        /// Line of the first one.
        first_line: usize,
        /// Line of the second one.
        line: usize,
    },
    /// No rule at all, where an applet is to come with its rules.
    #[error("the file has no rule for {0}")]
    NoRules(Aid),
    /// A rule about another applet, where all are to be about one.
    #[error("rule in line {line}: it names {found}, not {expected}")]
    OtherApplet {
        /// Line of the rule's header, from 1.
        line: usize,
        /// The applet at hand.
        expected: Aid,
        /// What the rule names.
        found: AidRef,
    },
    /// Two rules for one reference, of which one allows what the other forbids.
    #[error("the rules in lines {first_line} and {line} contradict each other")]
    Contradiction {
        /// Line of the first one.
        first_line: usize,
        /// Line of the second one.
        line: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default)]
    as_found: bool,
    #[serde(default)]
    rule: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    // Read, so that it is an allowed key; kept by nobody, since the card has no place for it.
    #[serde(default, rename = "comment")]
    _comment: Option<String>,
    aid: String,
    app: String,
    package: Option<String>,
    apdu: Option<Apdu>,
    nfc: Option<String>,
    permissions: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Apdu {
    Word(String),
    Filters(Vec<String>),
}

/// A rule file's content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleFile {
    /// The rules in the file's order, none twice.
    pub rules: Vec<Rule>,
    /// Where each of them stands.
    lines: Vec<usize>,
}

impl RuleFile {
    /// Reads a file; `presets` are the names it may use for filters.
    pub fn parse(text: &str, presets: &Presets) -> Result<Self, RuleFileError> {
        let line_at = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let document: Document = toml::from_str(text).map_err(|error| RuleFileError::Syntax {
            line: line_at(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        if document.format != FORMAT {
            return Err(RuleFileError::Format(document.format));
        }
        let mut rules: Vec<Rule> = Vec::new();
        let mut lines = Vec::new();
        for entry in &document.rule {
            let line = line_at(entry.span().start);
            let rule = EntryReader { line, presets, as_found: document.as_found }.rule(entry.get_ref())?;
            if let Some(first) = rules.iter().position(|other| *other == rule) {
                return Err(RuleFileError::Duplicate { first_line: lines[first], line });
            }
            rules.push(rule);
            lines.push(line);
        }
        if let (false, Some((first, second))) = (document.as_found, contradiction(&rules)) {
            return Err(RuleFileError::Contradiction { first_line: lines[first], line: lines[second] });
        }
        Ok(Self { rules, lines })
    }

    /// As [`Self::parse`], for rules that come with `applet`: there are some, and every one names it.
    pub fn parse_for(text: &str, presets: &Presets, applet: Aid) -> Result<Self, RuleFileError> {
        let file = Self::parse(text, presets)?;
        if file.rules.is_empty() {
            return Err(RuleFileError::NoRules(applet));
        }
        for (rule, line) in file.rules.iter().zip(&file.lines) {
            let found = rule.reference.aid();
            if found != AidRef::Aid(applet) {
                return Err(RuleFileError::OtherApplet { line: *line, expected: applet, found });
            }
        }
        Ok(file)
    }

    /// Writes rules as a file that [`Self::parse`] reads back, whatever card they come from (`as_found`): the way back
    /// before rules are changed. `heading` goes first as a comment; duplicates are written once.
    pub fn write(rules: &[Rule], heading: &str) -> String {
        let mut out = String::new();
        for line in heading.lines() {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "format = {FORMAT}\nas_found = true");
        for (index, rule) in rules.iter().enumerate() {
            if !rules[..index].contains(rule) {
                write_rule(&mut out, rule);
            }
        }
        out
    }
}

fn write_rule(out: &mut String, rule: &Rule) {
    // Every value is hexadecimal, a word or an ASCII name: nothing needs escaping.
    let _ = writeln!(out, "\n[[rule]]\naid = \"{}\"", rule.reference.aid());
    let _ = writeln!(out, "app = \"{}\"", rule.reference.device_app());
    if let Some(package) = rule.reference.package() {
        let _ = writeln!(out, "package = \"{}\"", package.as_str());
    }
    match rule.access.apdu() {
        None => {}
        Some(ApduAccess::Never) => out.push_str("apdu = \"never\"\n"),
        Some(ApduAccess::Always) => out.push_str("apdu = \"always\"\n"),
        Some(ApduAccess::Filters(filters)) => {
            out.push_str("apdu = [\n");
            for filter in filters.as_slice() {
                let _ = writeln!(out, "  \"{filter}\",");
            }
            out.push_str("]\n");
        }
    }
    match rule.access.nfc() {
        None => {}
        Some(NfcAccess::Never) => out.push_str("nfc = \"never\"\n"),
        Some(NfcAccess::Always) => out.push_str("nfc = \"always\"\n"),
    }
    if let Some(Permissions(bits)) = rule.access.permissions() {
        let _ = writeln!(out, "permissions = \"{}\"", hex::encode(bits));
    }
}

struct EntryReader<'a> {
    line: usize,
    presets: &'a Presets,
    as_found: bool,
}

impl EntryReader<'_> {
    fn rule(&self, entry: &Entry) -> Result<Rule, RuleFileError> {
        let aid = self.aid(&entry.aid)?;
        let app = self.app(&entry.app)?;
        let package = entry.package.as_deref().map(PackageName::new).transpose();
        let package = package.map_err(|source| self.refused(source))?;
        let reference = Reference::with_package(aid, app, package).map_err(|source| self.refused(source))?;
        let apdu = entry.apdu.as_ref().map(|apdu| self.apdu(apdu)).transpose()?;
        let nfc = match entry.nfc.as_deref() {
            None => None,
            Some("always") => Some(NfcAccess::Always),
            Some("never") => Some(NfcAccess::Never),
            Some(other) => return Err(self.value("nfc", other)),
        };
        let permissions = match &entry.permissions {
            None => None,
            Some(text) => {
                let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
                Some(Permissions(bytes.ok_or_else(|| self.value("permissions", text))?))
            }
        };
        let access = Access::new(apdu, nfc, permissions).map_err(|source| self.refused(source))?;
        Ok(Rule::new(reference, access))
    }

    fn aid(&self, text: &str) -> Result<AidRef, RuleFileError> {
        match text {
            "all" => Ok(AidRef::All),
            "default" => Ok(AidRef::Default),
            "carrier" => Ok(AidRef::Absent),
            _ => text.parse().map(AidRef::Aid).map_err(|_| self.value("aid", text)),
        }
    }

    fn app(&self, text: &str) -> Result<DeviceApp, RuleFileError> {
        parse_app(text).map_err(|error| match error {
            AppText::Length(length) => self.refused(RuleError::HashLength(length)),
            AppText::NoMeaning => self.value("app", text),
        })
    }

    fn apdu(&self, apdu: &Apdu) -> Result<ApduAccess, RuleFileError> {
        let access = match apdu {
            Apdu::Word(word) => parse_apdu(std::slice::from_ref(word), self.presets),
            Apdu::Filters(texts) => filters_of(texts, self.presets),
        };
        let access = access.map_err(|error| match error {
            ApduText::NoMeaning(text) => self.value("apdu", &text),
            ApduText::Filter(source) => self.refused(source),
        })?;
        if let (false, Some(filter)) = (self.as_found, dead_filter(&access)) {
            return Err(RuleFileError::DeadFilter { line: self.line, filter });
        }
        Ok(access)
    }

    fn value(&self, field: &'static str, value: &str) -> RuleFileError {
        RuleFileError::Value { line: self.line, field, value: value.to_owned() }
    }

    fn refused(&self, source: RuleError) -> RuleFileError {
        RuleFileError::Rule { line: self.line, source }
    }
}

/// Why text names no access to APDUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApduText {
    /// Neither a word of the rule file nor a preset's name.
    NoMeaning(String),
    /// Not a filter.
    Filter(RuleError),
}

/// Access to APDUs as people write it: `always`, `never`, or any number of presets and filters.
pub fn parse_apdu<S: AsRef<str>>(words: &[S], presets: &Presets) -> Result<ApduAccess, ApduText> {
    match words {
        [word] => match word.as_ref() {
            "always" => Ok(ApduAccess::Always),
            "never" => Ok(ApduAccess::Never),
            other if other.contains('/') || presets.contains_key(other) => filters_of(words, presets),
            other => Err(ApduText::NoMeaning(other.to_owned())),
        },
        _ => filters_of(words, presets),
    }
}

fn filters_of<S: AsRef<str>>(words: &[S], presets: &Presets) -> Result<ApduAccess, ApduText> {
    let mut filters = Vec::new();
    for word in words {
        match presets.get(word.as_ref()) {
            Some(preset) => filters.extend_from_slice(preset.as_slice()),
            None => filters.push(word.as_ref().parse().map_err(ApduText::Filter)?),
        }
    }
    // An empty list would be an APDU-AR-DO that readers understand differently.
    let none = || ApduText::NoMeaning("[]".to_owned());
    Filters::new(filters).map(ApduAccess::Filters).ok_or_else(none)
}

/// A filter that no command can pass, if there is one: a mistake of whoever wrote it.
pub fn dead_filter(access: &ApduAccess) -> Option<Filter> {
    match access {
        ApduAccess::Filters(filters) => filters.as_slice().iter().find(|f| !f.is_satisfiable()).copied(),
        _ => None,
    }
}

/// Why text names no device application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppText {
    /// Hexadecimal of the wrong number of bytes.
    Length(usize),
    /// Not one of the forms.
    NoMeaning,
}

/// A device application as people write it: `all`, `sha1:…`, `sha256:…`, `uuid:…`, or a hash whose length tells its kind.
/// Spaces and colons between hexadecimal digits are passed over, as other tools print them.
pub fn parse_app(text: &str) -> Result<DeviceApp, AppText> {
    if text == "all" {
        return Ok(DeviceApp::All);
    }
    let (kind, digits) = match text.split_once(':') {
        Some((kind @ ("sha1" | "sha256" | "uuid"), digits)) => (kind, digits),
        _ => ("", text),
    };
    let compact: String = digits.chars().filter(|c| !matches!(c, ' ' | ':' | '-')).collect();
    let bytes = hex::decode(compact).map_err(|_| AppText::NoMeaning)?;
    let length = AppText::Length(bytes.len());
    match (kind, bytes.len()) {
        ("uuid", _) => bytes.try_into().map(DeviceApp::from_uuid).map_err(|_| length),
        ("sha1" | "", 20) | ("sha256" | "", 32) => DeviceApp::from_bytes(&bytes).map_err(|_| length),
        _ => Err(length),
    }
}
