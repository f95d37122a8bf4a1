//! Steps: what is sent, what is expected of the answer, what is kept of it.

use jpkise_card::SecretKind;
use jpkise_wire::scp03::SecurityLevel;
use toml::de::DeValue;
use toml::Spanned;

use super::{named, Reader, TARGET_KEYS};
use crate::suite::bytes::ByteExpression;
use crate::suite::check::Check;
use crate::suite::model::{
    Action, Command, Expectation, Lengths, LevelWanted, Open, OpenFault, Place, Step, SwPattern, TagPath, Via,
};
use crate::suite::source::{nearest, Fields, Text};

/// What a step can do.
const ACTIONS: [&str; 9] = ["send", "select", "apdu", "open", "forget", "reset", "interface", "let", "use"];
/// Keys that say something of an answer.
const OF_AN_ANSWER: [&str; 10] =
    ["sw", "answer", "length", "layout", "fields", "objects", "within-ms", "outcome", "keep", "measure"];

impl<'t> Reader<'_, '_, 't> {
    pub(super) fn steps(&mut self, fields: &mut Fields<'t>) -> Vec<Step> {
        let Some(value) = fields.value("steps") else {
            self.source.error(fields.at(), "steps is missing");
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.source.error(&value.span(), "steps is a list of tables");
            return Vec::new();
        };
        list.iter().filter_map(|entry| self.step(entry)).collect()
    }

    /// Steps of a case: one at least.
    pub(super) fn case_steps(&mut self, fields: &mut Fields<'t>) -> Vec<Step> {
        let empty = fields.value("steps").filter(|v| v.get_ref().as_array().is_some_and(|l| l.is_empty()));
        if let Some(steps) = empty {
            self.source.error(&steps.span(), "a case without steps tries nothing");
        }
        self.steps(fields)
    }

    fn step(&mut self, entry: &'t Spanned<DeValue<'t>>) -> Option<Step> {
        let mut fields = self.table(entry, "a step")?;
        let line = self.source.line(&entry.span());
        let note = self.text(&mut fields, "note").map(|t| t.value);
        let measure = self.text(&mut fields, "measure").map(|t| t.value);
        let keep = self.keep(&mut fields);
        let expect = self.expectation(&mut fields);
        if let Some(name) = keep.iter().find_map(|(_, place)| match place {
            Place::Field(name) => Some(name),
            _ => None,
        }) {
            if expect.layout.is_none() {
                self.source.error(fields.at(), format!("field {name} needs a layout"));
            }
        }
        let of_answer: Vec<&str> = OF_AN_ANSWER.into_iter().filter(|key| fields.has(key)).collect();
        let (at, checks) = (fields.at().clone(), fields.has("check"));
        let action = self.action(fields)?;
        let what = match &action {
            Action::Send(_) | Action::Raw(_) | Action::Open(_) => None,
            Action::Forget { .. } => Some("forget"),
            Action::Reset => Some("reset"),
            Action::Interface { .. } => Some("interface"),
            Action::Let(values) if values.is_empty() && !checks => {
                self.source.error(&at, format!("a step does something: {} or check", ACTIONS.join(", ")));
                None
            }
            Action::Let(_) => Some("let"),
            Action::Use(_) => Some("use"),
        };
        // The time of the last exchange is there after use as well.
        let said = of_answer.iter().find(|key| **key != "measure" || what != Some("use"));
        if let (Some(what), Some(key)) = (what, said) {
            let message = format!("there is no answer to {what} of which {key} could say something");
            self.source.error(&at, message);
        }
        Some(Step { line, note, action, expect, keep, measure })
    }

    fn action(&mut self, mut fields: Fields<'t>) -> Option<Action> {
        fields.might_have(&ACTIONS);
        let said: Vec<&str> = ACTIONS.into_iter().filter(|a| fields.has(a)).collect();
        let action = match said.as_slice() {
            // A command without a name.
            [] if fields.has("ins") => return Some(Action::Send(self.command("", fields, None))),
            ["send"] => {
                let name = self.text(&mut fields, "send")?;
                let Some(base) = self.commands.get(&name.value).copied() else {
                    let known: Vec<&str> = self.commands.keys().map(String::as_str).collect();
                    let near = nearest(&name.value, &known);
                    let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                    let message = format!("there is no [command.{}]{hint}", name.value);
                    self.parsed(&name, |_| Err::<(), _>(message));
                    return None;
                };
                let base = base.get_ref().as_table().map(|table| Fields::new(table, fields.at().clone()));
                return Some(Action::Send(self.command(&name.value, fields, base)));
            }
            ["select"] => {
                let aid = self.text(&mut fields, "select")?;
                let data = self.bytes(&aid);
                return Some(Action::Send(self.select(data, fields)));
            }
            ["apdu"] => {
                let apdu = self.text(&mut fields, "apdu")?;
                Action::Raw(self.bytes(&apdu))
            }
            ["open"] => return self.open(fields).map(Action::Open),
            ["forget"] => {
                self.is_done(&mut fields, "forget");
                Action::Forget { channel: self.channel(&mut fields) }
            }
            ["reset"] => {
                self.is_done(&mut fields, "reset");
                Action::Reset
            }
            ["interface"] => {
                let name = self.text(&mut fields, "interface")?;
                let contactless = self.parsed(&name, |name| match name {
                    "contact" => Ok(false),
                    "contactless" => Ok(true),
                    _ => Err("an interface is contact or contactless".to_owned()),
                })?;
                Action::Interface { contactless }
            }
            ["let"] => {
                let values = self.map(&mut fields, "let");
                self.defined.extend(values.iter().map(|(n, _)| n.value.clone()));
                Action::Let(values.iter().map(|(n, v)| (n.value.clone(), self.bytes(v))).collect())
            }
            ["use"] => {
                let name = self.text(&mut fields, "use")?;
                self.known_preparation(&name);
                Action::Use(name.value)
            }
            [] => {
                // Only checks over what was kept.
                Action::Let(Vec::new())
            }
            several => {
                let message = format!("a step does one thing, not {}", several.join(" and "));
                self.source.error(fields.at(), message);
                return None;
            }
        };
        fields.finish(self.source);
        Some(action)
    }

    /// A step that is switched off would be one that does nothing.
    fn is_done(&mut self, fields: &mut Fields<'t>, key: &'static str) {
        if let Some(value) = fields.value(key).filter(|v| v.get_ref().as_bool() != Some(true)) {
            self.source.error(&value.span(), format!("{key} is true, or the step does something else"));
        }
    }

    fn le(&mut self, text: &Text) -> ByteExpression {
        let expression = self.bytes(text);
        let length = expression.constant().map(|bytes| bytes.len());
        if let Some(length) = length.filter(|length| !matches!(length, 1 | 2)) {
            self.parsed(text, |_| Err::<(), _>(format!("le has one byte or two, not {length}")));
        }
        expression
    }

    fn channel(&mut self, fields: &mut Fields<'t>) -> u8 {
        let number = fields.number(self.source, "channel").unwrap_or(0);
        u8::try_from(number).ok().filter(|n| *n < 20).unwrap_or_else(|| {
            self.source.error(fields.at(), "a logical channel is 0 to 19");
            0
        })
    }

    /// A command's fields, those of the step before those of the command it names.
    pub(super) fn command(
        &mut self,
        name: &str,
        mut fields: Fields<'t>,
        mut base: Option<Fields<'t>>,
    ) -> Command {
        // Whether this is the definition, in which parts may be left to the steps.
        let is_step = base.is_some() || name.is_empty();
        fields.value("send");
        let mut field = |this: &mut Self, key: &'static str| {
            let own = this.text(&mut fields, key);
            let inherited = base.as_mut().and_then(|b| this.text(b, key));
            own.or(inherited)
        };
        let header = [field(self, "cla"), field(self, "ins"), field(self, "p1"), field(self, "p2")];
        let data = field(self, "data");
        let le = field(self, "le");
        let secret = field(self, "secret");
        let via = field(self, "via");
        if is_step {
            for (part, what) in header.iter().zip(["cla", "ins", "p1", "p2"]) {
                if part.is_none() {
                    self.source.error(fields.at(), format!("{what} is missing"));
                }
            }
        }
        let [cla, ins, p1, p2] = header.map(|part| part.map(|text| self.byte(&text)).unwrap_or_default());
        let data = data.map(|t| self.bytes(&t)).unwrap_or_default();
        let le = le.filter(|t| t.value != "none").map(|t| self.le(&t));
        let secret = secret.and_then(|t| self.parsed(&t, secret_kind));
        let via = via.and_then(|t| self.parsed(&t, |name| named(&Via::NAMES, name))).unwrap_or_default();
        let extended = fields.flag(self.source, "extended")
            || base.as_mut().is_some_and(|b| b.flag(self.source, "extended"));
        let channel = self.channel(&mut fields);
        fields.finish(self.source);
        let name = name.to_owned();
        Command { name, cla, ins, p1, p2, data, le, extended, secret, channel, via }
    }

    /// SELECT by name; P2 and Le may be given.
    fn select(&mut self, data: ByteExpression, mut fields: Fields<'t>) -> Command {
        let literal = |byte: u8| ByteExpression::literal([byte]);
        let p2 = self.text(&mut fields, "p2").map_or_else(|| literal(0), |t| self.byte(&t));
        let le = self.text(&mut fields, "le");
        let le = match le {
            Some(text) if text.value == "none" => None,
            Some(text) => Some(self.le(&text)),
            None => Some(literal(0)),
        };
        let channel = self.channel(&mut fields);
        fields.finish(self.source);
        Command {
            name: "SELECT".to_owned(),
            cla: literal(0x00),
            ins: literal(0xA4),
            p1: literal(0x04),
            p2,
            data,
            le,
            extended: false,
            secret: None,
            channel,
            via: Via::Clear,
        }
    }

    fn open(&mut self, mut fields: Fields<'t>) -> Option<Open> {
        let level = self.text(&mut fields, "open")?;
        let level = self.parsed(&level, |text| {
            if text == "best" {
                return Ok(LevelWanted::Best);
            }
            let error = || format!("{text:?} is no security level: two hexadecimal digits, or best");
            let byte = u8::from_str_radix(text, 16).ok().filter(|_| text.len() == 2).ok_or_else(error)?;
            Ok(SecurityLevel::try_from(byte).map_or(LevelWanted::Byte(byte), LevelWanted::Exactly))
        })?;
        let keys = self.text(&mut fields, "keys");
        let keys = match keys {
            None => TARGET_KEYS[0].to_owned(),
            Some(name) => {
                if !TARGET_KEYS.contains(&name.value.as_str()) && !self.suite.keys.contains_key(&name.value) {
                    let message = format!("there is no [keys.{}], nor is it issuer or sp", name.value);
                    self.parsed(&name, |_| Err::<(), _>(message));
                }
                name.value
            }
        };
        let kvn = self.text(&mut fields, "kvn");
        let kvn = kvn.map_or_else(|| ByteExpression::literal([0]), |t| self.byte(&t));
        let challenge = self.text(&mut fields, "challenge").map(|t| self.bytes(&t));
        let fault = self.text(&mut fields, "fault");
        let fault = fault.and_then(|t| self.parsed(&t, |name| named(&OpenFault::NAMES, name)));
        let channel = self.channel(&mut fields);
        fields.finish(self.source);
        Some(Open { level, keys, kvn, challenge, channel, fault })
    }

    pub(super) fn expectation(&mut self, fields: &mut Fields<'t>) -> Expectation {
        let outcome = self.text(fields, "outcome");
        let mut expect = outcome.map(|name| self.outcome(&name)).unwrap_or_default();
        if let Some(text) = self.text(fields, "sw") {
            expect.sw = self.parsed(&text, SwPattern::parse).unwrap_or_default();
        }
        if let Some(text) = self.text(fields, "answer") {
            expect.data = Some(self.pattern(&text));
        }
        if let Some(text) = self.text(fields, "length") {
            expect.length = self.parsed(&text, Lengths::parse);
        }
        if let Some(name) = self.text(fields, "layout") {
            if !self.suite.layouts.contains_key(&name.value) {
                let message = format!("there is no layout {} under [layout-of]", name.value);
                self.parsed(&name, |_| Err::<(), _>(message));
            }
            expect.layout = Some(name.value);
        }
        for (name, text) in self.map(fields, "fields") {
            let layout = expect.layout.as_ref().and_then(|l| self.suite.layouts.get(l));
            if layout.is_none_or(|l| l.part(&name.value, 0).is_none()) {
                self.source.error(&name.at, format!("no field {} in the step's layout", name.value));
            }
            let pattern = self.pattern(&text);
            expect.fields.push((name.value, pattern));
        }
        for (path, text) in self.map(fields, "objects") {
            let path = self.parsed(&path, TagPath::parse);
            let pattern = (text.value != "absent").then(|| self.pattern(&text));
            expect.objects.extend(path.map(|path| (path, pattern)));
        }
        for text in self.texts(fields, "check").unwrap_or_default() {
            if let Some(check) = self.parsed(&text, Check::parse) {
                self.used.extend(check.names().into_iter().map(|n| (n.to_owned(), text.at.clone())));
                expect.checks.push(check);
            }
        }
        if let Some(within) = fields.milliseconds(self.source, "within-ms") {
            expect.within = Some(within);
        }
        expect
    }

    /// A named outcome, or a status word.
    fn outcome(&mut self, name: &Text) -> Expectation {
        if let Some(value) = self.outcomes.get(&name.value).copied() {
            let table = value.get_ref().as_table().map(|table| Fields::new(table, name.at.clone()));
            return table.map(|mut fields| self.expectation(&mut fields)).unwrap_or_default();
        }
        let known: Vec<&str> = self.outcomes.keys().map(String::as_str).collect();
        let near = nearest(&name.value, &known);
        let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
        let no_outcome = |wrong| format!("there is no [outcome.{}]{hint}; {wrong}", name.value);
        let sw = self.parsed(name, |text| SwPattern::parse(text).map_err(no_outcome));
        Expectation { sw: sw.unwrap_or_default(), ..Expectation::default() }
    }

    fn keep(&mut self, fields: &mut Fields<'t>) -> Vec<(String, Place)> {
        let entries = self.map(fields, "keep");
        entries
            .into_iter()
            .filter_map(|(name, text)| {
                self.defined.insert(name.value.clone());
                Some((name.value, self.parsed(&text, place)?))
            })
            .collect()
    }
}

/// `data`, `data[2..4]`, `object 7F49/81`, `field nonce`, `sw`, `command`.
fn place(text: &str) -> Result<Place, String> {
    let error =
        || format!("{text:?} is no place: data, data[0..4], object 7F49/81, field name, sw or command");
    match text.split_once(' ') {
        Some(("object", path)) => Ok(Place::Object(TagPath::parse(path)?)),
        Some(("field", name)) => Ok(Place::Field(name.trim().to_owned())),
        Some(_) => Err(error()),
        None if text == "sw" => Ok(Place::StatusWord),
        None if text == "command" => Ok(Place::Command),
        None if text == "data" => Ok(Place::Data { from: 0, to: None }),
        None => {
            let part = text.strip_prefix("data[").and_then(|t| t.strip_suffix(']')).ok_or_else(error)?;
            let (from, to) = part.split_once("..").ok_or_else(error)?;
            let number = |digits: &str| digits.trim().parse::<usize>().map_err(|_| error());
            let to = if to.trim().is_empty() { None } else { Some(number(to)?) };
            let from = if from.trim().is_empty() { 0 } else { number(from)? };
            Ok(Place::Data { from, to })
        }
    }
}

fn secret_kind(text: &str) -> Result<SecretKind, String> {
    const KINDS: [SecretKind; 5] = [
        SecretKind::Pin,
        SecretKind::Password,
        SecretKind::ReferenceData,
        SecretKind::Temporary,
        SecretKind::Key,
    ];
    KINDS.into_iter().find(|k| k.name() == text).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|k| k.name()).collect();
        format!("a secret is one of {}", names.join(", "))
    })
}
