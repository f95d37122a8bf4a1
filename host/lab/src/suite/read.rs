//! From a file to a suite: names looked up, tables unrolled, nothing left unread.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use jpkise_card::SecretKind;
use jpkise_wire::scp03::SecurityLevel;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

use super::bytes::ByteExpression;
use super::check::Check;
use super::model::{
    Action, CardState, Case, Changes, Command, Expectation, KeySet, Layout, Lengths, LevelWanted, Need, Open,
    OpenFault, Place, Preparation, Stage, Step, Suite, SwPattern, TagPath, Via,
};
use super::pattern::Pattern;
use super::source::{entries, nearest, Fields, SchemaErrors, Source, Text};
use super::table::{self, Row};

/// Longest file; a suite of ten thousand lines is a quarter of it.
const MAX_FILE: usize = 4 << 20;
/// Most cases of one file.
const MAX_CASES: usize = 20_000;
/// Key sets that every target has.
const TARGET_KEYS: [&str; 2] = ["issuer", "sp"];
/// Conditions that need no steps.
const NO_CONDITION: &str = "nothing";

/// Reads a suite. `file` is the name for messages.
pub fn read(file: &str, text: &str) -> Result<Suite, SchemaErrors> {
    let mut source = Source::new(file, text);
    let suite = if text.len() > MAX_FILE {
        source.error(&(0..0), "longer than 4 MiB");
        Suite::default()
    } else {
        match DeTable::parse(text) {
            Ok(table) => {
                let at = table.span();
                Reader::new(&mut source, table.get_ref(), at)
            }
            Err(error) => {
                source.error(&error.span().unwrap_or(0..0), error.message());
                Suite::default()
            }
        }
    };
    source.finish()?;
    Ok(suite)
}

/// The file's definitions, while its cases are read.
struct Reader<'r, 's, 't> {
    source: &'r mut Source<'s>,
    suite: Suite,
    commands: BTreeMap<String, &'t Spanned<DeValue<'t>>>,
    outcomes: BTreeMap<String, &'t Spanned<DeValue<'t>>>,
    preparations: BTreeSet<String>,
    /// Names that have a value somewhere, and names that are used, with places.
    defined: BTreeSet<String>,
    used: Vec<(String, Range<usize>)>,
    given: Vec<Text>,
    section: String,
    row: Option<Row>,
}

impl<'r, 's, 't> Reader<'r, 's, 't> {
    #[allow(clippy::new_ret_no_self)]
    fn new(source: &'r mut Source<'s>, table: &'t DeTable<'t>, at: Range<usize>) -> Suite {
        let mut reader = Self {
            source,
            suite: Suite::default(),
            commands: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            preparations: BTreeSet::new(),
            defined: CardState::VALUES.iter().map(|v| (*v).to_owned()).collect(),
            used: Vec::new(),
            given: Vec::new(),
            section: String::new(),
            row: None,
        };
        reader.file(Fields::new(table, at));
        reader.names_have_values();
        reader.suite
    }

    fn file(&mut self, mut fields: Fields<'t>) {
        let id = fields.needed(self.source, "suite");
        if !id.value.is_empty() && !is_identifier(&id.value) {
            self.source.error(&id.at, "a suite's name is made of a-z, 0-9 and -");
        }
        self.suite.id = id.value;
        self.suite.title = fields.needed(self.source, "title").value;
        self.suite.title_ja = fields.text(self.source, "title-ja").map(|t| t.value);
        self.section = fields.text(self.source, "section").map(|t| t.value).unwrap_or_default();
        self.given = fields.texts(self.source, "given").unwrap_or_default();
        for (name, value) in fields.map(self.source, "values") {
            self.defined.insert(name.value.clone());
            let expression = self.bytes(&value);
            self.suite.values.push((name.value, expression));
        }
        for (name, value) in fields.tables(self.source, "keys") {
            if let Some(keys) = self.key_set(value) {
                self.suite.keys.insert(name.value, keys);
            }
        }
        for (name, value) in fields.map(self.source, "layout-of") {
            let layout = self.layout(&value);
            self.suite.layouts.insert(name.value, layout);
        }
        self.commands =
            fields.tables(self.source, "command").into_iter().map(|(n, v)| (n.value, v)).collect();
        self.outcomes =
            fields.tables(self.source, "outcome").into_iter().map(|(n, v)| (n.value, v)).collect();
        let preparations = fields.tables(self.source, "prepare");
        self.preparations = preparations.iter().map(|(name, _)| name.value.clone()).collect();
        for (name, value) in preparations {
            if let Some(preparation) = self.preparation(&name, value) {
                self.suite.preparations.insert(name.value, preparation);
            }
        }
        // Read once even if no step uses them: a fault in them is a fault.
        for (name, value) in self.commands.clone() {
            if let Some(fields) = self.table(value, &name) {
                self.command(&name, fields, None);
            }
        }
        for (name, value) in self.outcomes.clone() {
            if let Some(mut fields) = self.table(value, &name) {
                self.expectation(&mut fields);
                fields.finish(self.source);
            }
        }
        if let Some(list) = fields.value("case") {
            match list.get_ref().as_array() {
                Some(list) => list.iter().for_each(|entry| self.cases(entry)),
                None => self.source.error(&list.span(), "cases are written [[case]]"),
            }
        }
        let at = fields.at().clone();
        fields.finish(self.source);
        if self.suite.cases.is_empty() {
            self.source.error(&at, "there is no case in it");
        }
        self.no_circles();
    }

    /// Every `$name` must be kept, given or set somewhere in the file; which case it is known in shows when it runs.
    fn names_have_values(&mut self) {
        let known: Vec<&str> = self.defined.iter().map(String::as_str).collect();
        for (name, at) in std::mem::take(&mut self.used) {
            if !self.defined.contains(&name) {
                let near = nearest(&name, &known);
                let hint = near.map(|n| format!("; did you mean ${n}?")).unwrap_or_default();
                self.source.error(&at, format!("${name} is set nowhere{hint}"));
            }
        }
    }

    fn no_circles(&mut self) {
        for name in self.suite.preparations.keys().cloned().collect::<Vec<_>>() {
            let mut open = vec![name.clone()];
            let mut seen = BTreeSet::new();
            while let Some(next) = open.pop() {
                let Some(preparation) = self.suite.preparations.get(&next) else { continue };
                let used = preparation.steps.iter().filter_map(|s| match &s.action {
                    Action::Use(name) => Some(name.clone()),
                    _ => None,
                });
                for before in preparation.after.iter().cloned().chain(used) {
                    if before == name {
                        let at = preparation.steps.first().map_or(1, |s| s.line);
                        let message = format!("preparation {name} comes back to itself (line {at})");
                        self.source.error(&(0..0), message);
                        return;
                    }
                    if seen.insert(before.clone()) {
                        open.push(before);
                    }
                }
            }
        }
    }

    fn table(&mut self, value: &'t Spanned<DeValue<'t>>, what: &str) -> Option<Fields<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.source.error(&value.span(), format!("{what} must be a table"));
        }
        table.map(|table| Fields::new(table, value.span()))
    }

    /// A string with the row's values in place of `{name}`.
    fn fill(&mut self, text: Text) -> Text {
        if !text.value.contains('{') {
            return text;
        }
        let mut out = String::new();
        let mut rest = text.value.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                self.source.error(&text.at, "the closing } is missing");
                return Text { value: out, at: text.at };
            };
            let value = self
                .row
                .as_ref()
                .and_then(|row| row.values.iter().find(|(n, _)| n == name.trim()).map(|(_, v)| v.clone()));
            match value {
                Some(value) => out.push_str(&value),
                None => self.source.error(&text.at, format!("no column {name} in the table of this case")),
            }
            rest = after;
        }
        out.push_str(rest);
        Text { value: out, at: text.at }
    }

    fn text(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<Text> {
        let text = fields.text(self.source, key)?;
        Some(self.fill(text))
    }

    fn texts(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<Vec<Text>> {
        let texts = fields.texts(self.source, key)?;
        Some(texts.into_iter().map(|t| self.fill(t)).collect())
    }

    fn map(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Vec<(Text, Text)> {
        fields.map(self.source, key).into_iter().map(|(n, v)| (self.fill(n), self.fill(v))).collect()
    }

    fn parsed<T>(&mut self, text: &Text, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match read(&text.value) {
            Ok(value) => Some(value),
            Err(message) => {
                // The value of a row stands in the row.
                let at = self.row.as_ref().filter(|_| self.source.slice(&text.at).contains('{'));
                let at = at.map_or_else(|| text.at.clone(), |row| row.at.clone());
                self.source.error(&at, message);
                None
            }
        }
    }

    fn bytes(&mut self, text: &Text) -> ByteExpression {
        let expression = self.parsed(text, ByteExpression::parse).unwrap_or_default();
        self.used.extend(expression.names().into_iter().map(|n| (n.to_owned(), text.at.clone())));
        expression
    }

    fn pattern(&mut self, text: &Text) -> Pattern {
        let pattern = self.parsed(text, Pattern::parse).unwrap_or_default();
        self.used.extend(pattern.names().into_iter().map(|n| (n.to_owned(), text.at.clone())));
        self.defined.extend(pattern.kept().map(str::to_owned));
        pattern
    }

    /// One byte, where its length can be seen already.
    fn byte(&mut self, text: &Text) -> ByteExpression {
        let expression = self.bytes(text);
        if let Some(length) = expression.constant().map(|b| b.len()).filter(|l| *l != 1) {
            self.parsed(text, |_| Err::<(), _>(format!("one byte was due, not {length}")));
        }
        expression
    }

    fn key_set(&mut self, value: &'t Spanned<DeValue<'t>>) -> Option<KeySet> {
        let mut fields = self.table(value, "a key set")?;
        let mut key = |this: &mut Self, name| {
            let text = fields.needed(this.source, name);
            this.bytes(&text)
        };
        let set = KeySet { enc: key(self, "enc"), mac: key(self, "mac"), dek: key(self, "dek") };
        fields.finish(self.source);
        Some(set)
    }

    /// `state:1, tries:1, rest:*`.
    fn layout(&mut self, text: &Text) -> Layout {
        let parts: Vec<&str> = text.value.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
        let mut layout = Layout { fields: Vec::new() };
        for (index, part) in parts.iter().enumerate() {
            let field = part.split_once(':').map(|(name, length)| (name.trim(), length.trim()));
            let length = match field {
                Some((_, "*")) if index + 1 == parts.len() => Some(None),
                Some((_, digits)) => digits.parse().ok().map(Some),
                None => None,
            };
            match (field, length) {
                (Some((name, _)), Some(length)) => layout.fields.push((name.to_owned(), length)),
                _ => self.source.error(
                    &text.at,
                    format!("{part:?}: a field is written name:length, the last one may be name:*"),
                ),
            }
        }
        layout
    }

    fn preparation(&mut self, name: &Text, value: &'t Spanned<DeValue<'t>>) -> Option<Preparation> {
        if !is_identifier(&name.value) || state_of(&name.value).is_some() || name.value == NO_CONDITION {
            self.source.error(&name.at, "a preparation's name is made of a-z, 0-9 and -, and is no state's");
        }
        let mut fields = self.table(value, "a preparation")?;
        let after = self.texts(&mut fields, "after").unwrap_or_default();
        for before in &after {
            self.known_preparation(before);
        }
        let steps = self.steps(&mut fields);
        fields.finish(self.source);
        Some(Preparation { after: after.into_iter().map(|t| t.value).collect(), steps })
    }

    fn known_preparation(&mut self, name: &Text) {
        if !self.preparations.contains(&name.value) {
            let known: Vec<&str> = self.preparations.iter().map(String::as_str).collect();
            let near = nearest(&name.value, &known);
            let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            let message = format!("there is neither a state nor a preparation {}{hint}", name.value);
            self.parsed(name, |_| Err::<(), _>(message));
        }
    }

    fn cases(&mut self, entry: &'t Spanned<DeValue<'t>>) {
        let Some(mut fields) = self.table(entry, "a case") else { return };
        let rows = self.rows(&mut fields);
        match rows {
            None => self.case(entry, None),
            Some(rows) => {
                if rows.is_empty() {
                    self.source.error(fields.at(), "its table has no rows");
                }
                for row in rows {
                    self.case(entry, Some(row));
                }
            }
        }
    }

    /// The rows to unroll: `for` as a list of tables or a table of lists, or `table`.
    fn rows(&mut self, fields: &mut Fields<'t>) -> Option<Vec<Row>> {
        let across = fields.text(self.source, "across").map(|t| t.value);
        if let Some(text) = fields.value("table") {
            if text.get_ref().as_str().is_none() {
                self.source.error(&text.span(), "table must be a string of lines");
                return Some(Vec::new());
            }
            return Some(table::read(self.source, &text.span(), across.as_deref()));
        }
        let list = fields.value("for")?;
        if let Some(rows) = list.get_ref().as_array() {
            return Some(
                rows.iter()
                    .filter_map(|row| {
                        let table = row.get_ref().as_table();
                        if table.is_none() {
                            self.source.error(&row.span(), "a row of for is a table: { name = \"value\" }");
                        }
                        let values = entries(self.source, table?);
                        let values = values.into_iter().map(|(n, v)| (n.value, v.value)).collect();
                        Some(Row { values, at: row.span() })
                    })
                    .collect(),
            );
        }
        let Some(table) = list.get_ref().as_table() else {
            self.source.error(&list.span(), "for is a list of tables or a table of lists");
            return Some(Vec::new());
        };
        let mut rows = vec![Row { values: Vec::new(), at: list.span() }];
        let mut axes: Vec<_> = table.iter().collect();
        axes.sort_by_key(|(name, _)| name.span().start);
        for (name, values) in axes {
            let values =
                values.get_ref().as_array().map(|v| v.iter().collect::<Vec<_>>()).unwrap_or_default();
            if values.is_empty() {
                self.source.error(&name.span(), "an axis of for is a list of strings");
            }
            let texts: Vec<Text> =
                values.iter().filter_map(|v| super::source::text(self.source, name.get_ref(), v)).collect();
            rows = rows
                .iter()
                .flat_map(|row| {
                    texts.iter().map(|text| {
                        let mut row = row.clone();
                        row.values.push((name.get_ref().clone().into_owned(), text.value.clone()));
                        row
                    })
                })
                .collect();
        }
        Some(rows)
    }

    fn case(&mut self, entry: &'t Spanned<DeValue<'t>>, row: Option<Row>) {
        if self.suite.cases.len() >= MAX_CASES {
            self.source.error(&entry.span(), "more than 20,000 cases");
            return;
        }
        let Some(mut fields) = self.table(entry, "a case") else { return };
        // Taken already, for the rows.
        for key in ["for", "table", "across"] {
            fields.value(key);
        }
        let place = row.as_ref().map_or_else(|| entry.span(), |r| r.at.clone());
        self.row = row;
        let id = fields.needed(self.source, "id");
        let id = self.fill(id);
        let is_new = !self.suite.cases.iter().any(|c| c.id == id.value);
        if !is_new {
            self.source.error(&place, format!("there are two cases {}", id.value));
        }
        let name = fields.needed(self.source, "name");
        let name = self.fill(name).value;
        let name_ja = self.text(&mut fields, "name-ja").map(|t| t.value);
        let reason = self.text(&mut fields, "reason").map(|t| t.value).unwrap_or_default();
        let section = self.text(&mut fields, "section").map_or_else(|| self.section.clone(), |t| t.value);
        if reason.is_empty() && section.is_empty() {
            self.source.error(fields.at(), "a case has a reason or a section");
        }
        let given = self.texts(&mut fields, "given").unwrap_or_else(|| self.given.clone());
        let (state, preparations) = self.given(&given);
        let needs = self.texts(&mut fields, "needs").unwrap_or_default();
        let needs = needs.iter().filter_map(|t| self.need(t)).collect();
        let changes = self.text(&mut fields, "changes").and_then(|t| self.parsed(&t, changes));
        let default = if state == CardState::Any { Changes::Nothing } else { Changes::Content };
        let repeat = fields.number(self.source, "repeat").unwrap_or(1);
        let steps = self.steps(&mut fields);
        fields.finish(self.source);
        let line = self.source.line(&place);
        self.row = None;
        self.suite.cases.push(Case {
            id: id.value,
            name,
            name_ja,
            reason,
            section,
            line,
            state,
            preparations,
            steps,
            changes: changes.unwrap_or(default),
            needs,
            repeat: repeat.max(1),
        });
    }

    /// States and preparations by name.
    fn given(&mut self, given: &[Text]) -> (CardState, Vec<String>) {
        let mut state = CardState::Any;
        let mut preparations = Vec::new();
        for name in given {
            match state_of(&name.value) {
                Some(more) => match join(state, more) {
                    Some(joined) => state = joined,
                    None => {
                        self.parsed(name, |_| {
                            Err::<(), _>(format!("{} does not go with {state}", name.value))
                        });
                    }
                },
                None if name.value == NO_CONDITION => {}
                None => {
                    self.known_preparation(name);
                    preparations.push(name.value.clone());
                }
            }
        }
        (state, preparations)
    }

    fn need(&mut self, text: &Text) -> Option<Need> {
        self.parsed(text, |name| {
            Need::ALL.into_iter().find(|n| n.name() == name).ok_or_else(|| {
                let names: Vec<&str> = Need::ALL.iter().map(|n| n.name()).collect();
                format!("there is no need {name}; there are {}", names.join(", "))
            })
        })
    }

    fn steps(&mut self, fields: &mut Fields<'t>) -> Vec<Step> {
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
        let action = self.action(fields)?;
        Some(Step { line, note, action, expect, keep, measure })
    }

    fn action(&mut self, mut fields: Fields<'t>) -> Option<Action> {
        const ACTIONS: [&str; 9] =
            ["send", "select", "apdu", "open", "forget", "reset", "interface", "let", "use"];
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
                fields.flag(self.source, "forget");
                Action::Forget { channel: self.channel(&mut fields) }
            }
            ["reset"] => {
                fields.flag(self.source, "reset");
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

    fn channel(&mut self, fields: &mut Fields<'t>) -> u8 {
        let number = fields.number(self.source, "channel").unwrap_or(0);
        u8::try_from(number).ok().filter(|n| *n < 20).unwrap_or_else(|| {
            self.source.error(fields.at(), "a logical channel is 0 to 19");
            0
        })
    }

    /// A command's fields, those of the step before those of the command it names.
    fn command(&mut self, name: &str, mut fields: Fields<'t>, mut base: Option<Fields<'t>>) -> Command {
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
        let le = le.filter(|t| t.value != "none").map(|t| self.bytes(&t));
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
            Some(text) => Some(self.bytes(&text)),
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
            let byte = u8::from_str_radix(text, 16).map_err(|_| format!("{text:?} is no security level"))?;
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

    fn expectation(&mut self, fields: &mut Fields<'t>) -> Expectation {
        let outcome = self.text(fields, "outcome");
        let mut expect = match outcome {
            Some(name) => match self.outcomes.get(&name.value).copied() {
                Some(value) => {
                    let at = name.at.clone();
                    let table = value.get_ref().as_table().map(|table| Fields::new(table, at));
                    table.map(|mut fields| self.expectation(&mut fields)).unwrap_or_default()
                }
                None => Expectation {
                    sw: self.parsed(&name, SwPattern::parse).unwrap_or_default(),
                    ..Expectation::default()
                },
            },
            None => Expectation::default(),
        };
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
        if let Some(ms) = fields.number(self.source, "within-ms") {
            expect.within = Some(Duration::from_millis(ms.into()));
        }
        expect
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

fn changes(text: &str) -> Result<Changes, String> {
    match text {
        "nothing" => Ok(Changes::Nothing),
        "content" => Ok(Changes::Content),
        "for-good" => Ok(Changes::ForGood),
        _ => Err("a case changes nothing, content, or something for-good".to_owned()),
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

fn named<T: Copy>(names: &[(&'static str, T)], name: &str) -> Result<T, String> {
    names.iter().find(|(n, _)| *n == name).map(|(_, v)| *v).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(n, _)| *n).collect();
        format!("{name:?} is none of {}", names.join(", "))
    })
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// `fresh`, `installed`, `ara`, `any`, `active(01)`, `active` for both keys, `token(card)`.
fn state_of(name: &str) -> Option<CardState> {
    const NONE: CardState = CardState::Jpki { auth: Stage::Empty, sign: Stage::Empty, plastic: false };
    match name {
        "any" => return Some(CardState::Any),
        "fresh" => return Some(CardState::Fresh),
        "ara" => return Some(CardState::Ara),
        "installed" | "token(phone)" => return Some(NONE),
        "token(card)" => {
            return Some(CardState::Jpki { auth: Stage::Empty, sign: Stage::Empty, plastic: true })
        }
        _ => {}
    }
    let (stage, key) = match name.split_once('(') {
        Some((stage, key)) => (stage, Some(key)),
        None => (name, None),
    };
    let stage = Stage::ALL.into_iter().find(|s| s.name() == stage)?;
    match key {
        None => Some(CardState::Jpki { auth: stage, sign: stage, plastic: false }),
        Some("01)") => Some(CardState::Jpki { auth: stage, sign: Stage::Empty, plastic: false }),
        Some("02)") => Some(CardState::Jpki { auth: Stage::Empty, sign: stage, plastic: false }),
        Some(_) => None,
    }
}

/// Both at once; EMPTY is what a key is when nothing is said of it.
fn join(a: CardState, b: CardState) -> Option<CardState> {
    match (a, b) {
        (CardState::Any, other)
        | (other, CardState::Any)
        | (CardState::Fresh, other @ CardState::Jpki { .. })
        | (other @ CardState::Jpki { .. }, CardState::Fresh) => Some(other),
        (
            CardState::Jpki { auth, sign, plastic },
            CardState::Jpki { auth: more_auth, sign: more_sign, plastic: more_plastic },
        ) => Some(CardState::Jpki {
            auth: auth.max(more_auth),
            sign: sign.max(more_sign),
            plastic: plastic || more_plastic,
        }),
        (a, b) => (a == b).then_some(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "suite = \"t\"\ntitle = \"T\"\nsection = \"S\"\n";

    fn suite(text: &str) -> Suite {
        read("t.toml", &format!("{HEAD}{text}")).unwrap_or_else(|e| panic!("{e}"))
    }

    fn errors(text: &str) -> String {
        read("t.toml", &format!("{HEAD}{text}")).unwrap_err().to_string()
    }

    #[test]
    fn a_case_is_read_with_what_it_inherits() {
        let suite = suite(
            r#"
            values = { aid = "A000" }
            layout-of = { df31 = "auth:1, tries:1, rest:*" }
            [command.verify]
            cla = "00"
            ins = "20"
            p1 = "00"
            p2 = "80"
            [prepare.pin]
            steps = [{ send = "verify", p2 = "98", data = "$pin" }]
            [[case]]
            id = "one"
            name = "One"
            given = ["active(01)", "held(02)", "pin"]
            steps = [
              { select = "$aid", p2 = "0C", le = "none", answer = "" },
              { send = "verify", data = "'1'", sw = "63C2", layout = "df31", fields = { tries = "0?" }, keep = { t = "field tries" } },
              { open = "33", keys = "sp", kvn = "30", fault = "mac", sw = "6982" },
              { check = "equal($t, 02)" },
            ]
            "#,
        );
        let case = &suite.cases[0];
        let state = CardState::Jpki { auth: Stage::Active, sign: Stage::Held, plastic: false };
        assert_eq!((case.state, case.preparations.as_slice()), (state, &["pin".to_owned()][..]));
        assert_eq!((case.changes, case.section.as_str(), case.line), (Changes::Content, "S", 14));
        let Action::Send(verify) = &case.steps[1].action else { panic!() };
        assert_eq!(verify.p2.constant(), Some(vec![0x80]));
        assert_eq!(verify.data.constant(), Some(b"1".to_vec()));
        assert_eq!(case.steps[1].expect.sw.to_string(), "63C2");
        let Action::Open(open) = &case.steps[2].action else { panic!() };
        assert_eq!((open.keys.as_str(), open.fault), ("sp", Some(OpenFault::Mac)));
        assert_eq!(case.steps[3].expect.checks.len(), 1);
    }

    #[test]
    fn tables_and_lists_are_unrolled() {
        let suite = suite(
            r#"
            [outcome.signed]
            length = "256"
            [prepare.pin]
            steps = []
            [command.sign]
            cla = "80"
            ins = "2A"
            p1 = "00"
            p2 = "80"
            [[case]]
            id = "{command}/{condition}/{state}"
            name = "{command} in {state}"
            given = ["{state}(01)", "{condition}"]
            across = "state"
            table = """
            command | condition || empty | active
            sign    | nothing   || 6985  | 6982
            sign    | pin       || -     | signed
            """
            steps = [{ send = "{command}", outcome = "{cell}" }]
            [[case]]
            id = "p1-{p1}"
            name = "P1 {p1}"
            for = { p1 = ["02", "03"] }
            steps = [{ send = "sign", p1 = "{p1}", sw = "6A86" }]
            [[case]]
            id = "{n}"
            name = "{n}"
            for = [{ n = "a", v = "00" }, { n = "b", v = "01" }]
            steps = [{ send = "sign", p2 = "{v}" }]
            "#,
        );
        let ids: Vec<&str> = suite.cases.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(
            ids,
            ["sign/nothing/empty", "sign/nothing/active", "sign/pin/active", "p1-02", "p1-03", "a", "b"]
        );
        assert_eq!(suite.cases[0].steps[0].expect.sw.to_string(), "6985");
        assert_eq!(suite.cases[2].steps[0].expect.length, Some(Lengths(256..=256)));
        assert_eq!(suite.cases[1].line, suite.cases[0].line);
    }

    #[test]
    fn errors_name_the_line_and_the_likely_word() {
        let case = |inside: &str| format!("[[case]]\nid = \"a\"\nname = \"A\"\n{inside}");
        for (text, error) in [
            ("[[case]\n", "t.toml:4:"),
            (&case("stepz = []"), "t.toml:7:1: unknown key stepz; did you mean steps?"),
            (&case("steps = [\n{ send = \"x\" }]"), "t.toml:8:10: there is no [command.x]"),
            (&case("steps = [{ apdu = \"8\" }]"), "t.toml:7:19: two hexadecimal digits make a byte, '8' stands alone"),
            (&case("steps = [{ apdu = \"$nix\" }]"), "t.toml:7:19: $nix is set nowhere"),
            (&case("steps = [{ apdu = \"00\", sw = \"90\" }]"), "\"90\" is no status word"),
            (&case("steps = [{ apdu = \"00\", reset = true }]"), "a step does one thing, not apdu and reset"),
            (&case("given = [\"activ\"]\nsteps = []"), "neither a state nor a preparation activ"),
            (&case("given = [\"ara\", \"fresh\"]\nsteps = []"), "fresh does not go with ara"),
            (&case("needs = [\"wings\"]\nsteps = []"), "there is no need wings"),
            (&case("steps = [{ ins = \"20\" }]"), "cla is missing"),
            (&case("steps = [{ reset = true }]\n").repeat(2), "t.toml:8:1: there are two cases a"),
            ("[[case]]\nid = \"{x}\"\nname = \"A\"\nsteps = []", "no column x in the table of this case"),
            ("[prepare.p]\nafter = [\"p\"]\nsteps = []\n[[case]]\nid = \"a\"\nname = \"A\"\nsteps = []", "comes back to itself"),
            ("", "there is no case in it"),
            (
                "[[case]]\nid = \"{c}\"\nname = \"A\"\ntable = \"\"\"\nc | sw\n1 | 9000\n2 | 90x0\n\"\"\"\nsteps = [{ reset = true, sw = \"{sw}\" }]",
                "t.toml:10:1: \"90x0\" is no status word",
            ),
        ] {
            let found = errors(text);
            assert!(found.contains(error), "{found}\n   does not say\n{error}");
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        use proptest::prelude::*;
        proptest!(ProptestConfig::with_cases(300), |(text in "[a-z0-9\\[\\]{}()<>$'\"=,.|*? \n]{0,200}")| {
            let _ = read("t", &text);
            let _ = ByteExpression::parse(&text);
            let _ = Pattern::parse(&text);
            let _ = Check::parse(&text);
        });
    }
}
