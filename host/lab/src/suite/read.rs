//! From a file to a suite: names looked up, tables unrolled, nothing left unread.

mod cases;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use toml::Spanned;

use self::cases::state_of;
use super::bytes::ByteExpression;
use super::model::{Action, CardState, KeySet, Layout, Preparation, Stage, Suite};
use super::pattern::Pattern;
use super::source::{nearest, Fields, SchemaErrors, Source, Text};
use super::table::Row;

/// Longest file; a suite of ten thousand lines is a quarter of it.
pub const MAX_FILE: usize = 4 << 20;
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
    limit: Option<Duration>,
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
            limit: None,
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
        self.limit = fields.milliseconds(self.source, "timeout-ms");
        for (name, value) in fields.map(self.source, "values") {
            let expression = self.bytes(&value);
            // They are worked out in their order.
            for used in expression.names() {
                if !self.defined.contains(used) {
                    let message = format!("${used} has no value before {}", name.value);
                    self.source.error(&value.at, message);
                }
            }
            self.defined.insert(name.value.clone());
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
        let Some(expression) = self.parsed(text, ByteExpression::parse) else {
            return ByteExpression::default();
        };
        self.used.extend(expression.names().into_iter().map(|n| (n.to_owned(), text.at.clone())));
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
                (Some((name, _)), Some(_)) if layout.fields.iter().any(|(n, _)| n == name) => {
                    self.source.error(&text.at, format!("two fields are named {name}"));
                }
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
        let needs = self.needs(&mut fields);
        let steps = self.steps(&mut fields);
        fields.finish(self.source);
        Some(Preparation { after: after.into_iter().map(|t| t.value).collect(), needs, steps })
    }

    fn known_preparation(&mut self, name: &Text) {
        if !self.preparations.contains(&name.value) {
            let (stage, key) = name.value.split_once('(').unwrap_or((&name.value, ""));
            let mut states = vec!["any", "fresh", "ara", "installed", "token"];
            states.extend(Stage::ALL.into_iter().map(Stage::name));
            let known: Vec<&str> =
                self.preparations.iter().map(String::as_str).chain(states.iter().copied()).collect();
            let hint = match nearest(stage, &known) {
                Some(near) if near == stage && states.contains(&near) => {
                    "; the keys are (01) and (02)".to_owned()
                }
                Some(near) if key.is_empty() => format!("; did you mean {near}?"),
                Some(near) => format!("; did you mean {near}({key}?"),
                None => String::new(),
            };
            let message = format!("there is neither a state nor a preparation {}{hint}", name.value);
            self.parsed(name, |_| Err::<(), _>(message));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::check::Check;
    use crate::suite::model::{Changes, Lengths, Need, OpenFault};
    use jpkise_wire::scp03::SecurityLevel;

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
            [prepare.line]
            needs = ["level-01"]
            steps = [{ reset = true }]
            [prepare.pin]
            after = ["line"]
            needs = ["s8"]
            steps = [{ send = "verify", p2 = "98", data = "$pin" }]
            [[case]]
            id = "one"
            name = "One"
            needs = ["s8", "load"]
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
        assert_eq!(case.needs, [Need::S8, Need::Load, Need::Level(SecurityLevel::L01)]);
        assert_eq!((case.changes, case.section.as_str(), case.line), (Changes::Content, "S", 19));
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
                "[[case]]\nid = \"{c}\"\nname = \"A\"\ntable = \"\"\"\nc | sw\n1 | 9000\n2 | 90x0\n\"\"\"\nsteps = [{ apdu = \"00\", sw = \"{sw}\" }]",
                "t.toml:10:1: \"90x0\" is no status word",
            ),
        ] {
            let found = errors(text);
            assert!(found.contains(error), "{found}\n   does not say\n{error}");
        }
    }

    /// What would be passed over in silence, and come out well whatever the card does.
    #[test]
    fn what_could_not_fail_is_refused() {
        let case = |inside: &str| format!("[[case]]\nid = \"a\"\nname = \"A\"\n{inside}");
        let steps = |steps: &str| case(&format!("steps = [{steps}]"));
        let row = |inside: &str| {
            format!("[[case]]\nid = \"{{x}}\"\nname = \"A\"\n{inside}\nsteps = [{{ reset = true }}]")
        };
        for (text, error) in [
            (steps(""), "t.toml:7:9: a case without steps tries nothing"),
            (steps("{}"), "t.toml:7:10: a step does something: send, select, apdu, open, forget, reset, interface, let, use or check"),
            (steps("{ sw = \"6985\" }"), "t.toml:7:10: a step does something"),
            (steps("{ reset = true, sw = \"6985\" }"), "t.toml:7:10: there is no answer to reset of which sw could say something"),
            (steps("{ let = { a = \"00\" }, answer = \"00\" }"), "no answer to let of which answer could"),
            (steps("{ reset = true, keep = { a = \"data\" } }"), "no answer to reset of which keep could"),
            (steps("{ interface = \"contact\", outcome = \"6985\" }"), "no answer to interface of which outcome could"),
            (steps("{ forget = true, within-ms = 5 }"), "no answer to forget of which within-ms could"),
            (steps("{ reset = false }"), "t.toml:7:20: reset is true, or the step does something else"),
            (steps("{ forget = false }"), "t.toml:7:21: forget is true, or the step does something else"),
            (steps("{ open = \"3\" }"), "t.toml:7:19: \"3\" is no security level: two hexadecimal digits, or best"),
            (steps("{ select = \"\", le = \"000000\" }"), "t.toml:7:30: le has one byte or two, not 3"),
            (steps("{ cla = \"00\", ins = \"A4\", p1 = \"04\", p2 = \"00\", le = \"\" }"), "le has one byte or two, not 0"),
            (case("repeat = 0\nsteps = [{ reset = true }]"), "t.toml:7:10: repeat must be a number from 1 on"),
            (case("given = [\"actve(01)\"]\nsteps = [{ reset = true }]"), "nor a preparation actve(01); did you mean active(01)?"),
            (case("given = [\"active(03)\"]\nsteps = [{ reset = true }]"), "nor a preparation active(03); the keys are (01) and (02)"),
            (steps("{ select = \"\", outcome = \"god\" }") + "\n[outcome.good]\nsw = \"6A82\"", "there is no [outcome.god]; did you mean good?"),
            (row("for = [{ x = \"1\" }]\ntable = \"\"\"\nx\n1\n\"\"\""), "t.toml:7:7: a case has for or table, not both"),
            (row("table = \"\"\"\nx | x\n1 | 2\n\"\"\""), "t.toml:8:1: two columns are named x"),
            ("[[case]]\nid = \"\"\nname = \"A\"\nsteps = [{ reset = true }]".to_owned(), "t.toml:5:6: a case's id has no white space, and is not empty"),
            ("[[case]]\nid = \"a b\"\nname = \"A\"\nsteps = [{ reset = true }]".to_owned(), "t.toml:5:6: a case's id has no white space"),
            ("[[case]]\nid = \"a\"\nname = \" \"\nsteps = [{ reset = true }]".to_owned(), "t.toml:6:8: name is empty"),
            (format!("layout-of = {{ a = \"x:1, x:2\" }}\n{}", steps("{ reset = true }")), "t.toml:4:19: two fields are named x"),
            (format!("values = {{ a = \"$b\", b = \"00\" }}\n{}", steps("{ apdu = \"$a\" }")), "t.toml:4:16: $b has no value before a"),
            (format!("values = {{ a = \"$a\" }}\n{}", steps("{ apdu = \"$a\" }")), "t.toml:4:16: $a has no value before a"),
        ] {
            let found = errors(&text);
            assert!(found.contains(error), "{found}\n   does not say\n{error}");
        }
        let half = errors("[command.c]\ncla = \"00\"\nins = \"2\"\n[[case]]\nid = \"a\"\nname = \"A\"\nsteps = [{ reset = true }]");
        assert_eq!(half.lines().count(), 1, "one slip, one error: {half}");
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
