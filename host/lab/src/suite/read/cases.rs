//! Cases: tables unrolled, states and preparations looked up.

use toml::de::DeValue;
use toml::Spanned;

use super::{Reader, MAX_CASES, NO_CONDITION};
use crate::suite::model::{CardState, Case, Changes, Need, Stage};
use crate::suite::source;
use crate::suite::source::{entries, Fields, Text};
use crate::suite::table::{self, Row};

impl<'t> Reader<'_, '_, 't> {
    pub(super) fn cases(&mut self, entry: &'t Spanned<DeValue<'t>>) {
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
        if let (true, Some(value)) = (fields.has("table"), fields.value("for")) {
            self.source.error(&value.span(), "a case has for or table, not both");
        }
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
                values.iter().filter_map(|v| source::text(self.source, name.get_ref(), v)).collect();
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
        if id.value.is_empty() || id.value.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.parsed(&id, |_| Err::<(), _>("a case's id has no white space, and is not empty".to_owned()));
        }
        let is_new = !self.suite.cases.iter().any(|c| c.id == id.value);
        if !is_new {
            self.source.error(&place, format!("there are two cases {}", id.value));
        }
        let name = fields.needed(self.source, "name");
        let name = self.fill(name);
        if fields.has("name") && name.value.trim().is_empty() {
            self.parsed(&name, |_| Err::<(), _>("name is empty".to_owned()));
        }
        let name = name.value;
        let name_ja = self.text(&mut fields, "name-ja").map(|t| t.value);
        let reason = self.text(&mut fields, "reason").map(|t| t.value).unwrap_or_default();
        let section = self.text(&mut fields, "section").map_or_else(|| self.section.clone(), |t| t.value);
        if reason.is_empty() && section.is_empty() {
            self.source.error(fields.at(), "a case has a reason or a section");
        }
        let given = self.texts(&mut fields, "given").unwrap_or_else(|| self.given.clone());
        let (state, preparations) = self.given(&given);
        let needs = self.needs(&mut fields);
        let needs = self.with_needs_of(&preparations, needs);
        let changes = self.text(&mut fields, "changes").and_then(|t| self.parsed(&t, changes));
        let default = if state == CardState::Any { Changes::Nothing } else { Changes::Content };
        let repeat = fields.positive(self.source, "repeat").unwrap_or(1);
        let limit = fields.milliseconds(self.source, "timeout-ms").or(self.limit);
        let steps = self.case_steps(&mut fields);
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
            repeat,
            limit,
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

    pub(super) fn needs(&mut self, fields: &mut Fields<'t>) -> Vec<Need> {
        let needs = self.texts(fields, "needs").unwrap_or_default();
        needs.iter().filter_map(|text| self.need(text)).collect()
    }

    /// With what the conditions need, and those before them.
    fn with_needs_of(&self, preparations: &[String], mut needs: Vec<Need>) -> Vec<Need> {
        let mut names = preparations.to_vec();
        let mut seen = 0;
        while let Some(name) = names.get(seen).cloned() {
            seen += 1;
            let Some(preparation) = self.suite.preparations.get(&name) else { continue };
            for need in &preparation.needs {
                if !needs.contains(need) {
                    needs.push(*need);
                }
            }
            for before in &preparation.after {
                if !names.contains(before) {
                    names.push(before.clone());
                }
            }
        }
        needs
    }

    fn need(&mut self, text: &Text) -> Option<Need> {
        self.parsed(text, |name| {
            Need::ALL.into_iter().find(|n| n.name() == name).ok_or_else(|| {
                let names: Vec<&str> = Need::ALL.iter().map(|n| n.name()).collect();
                format!("there is no need {name}; there are {}", names.join(", "))
            })
        })
    }
}

fn changes(text: &str) -> Result<Changes, String> {
    let found = Changes::ALL.into_iter().find(|changes| changes.name() == text);
    found.ok_or_else(|| "a case changes nothing, content, or something for-good".to_owned())
}

/// `fresh`, `installed`, `ara`, `any`, `active(01)`, `active` for both keys, `token(card)`.
pub(super) fn state_of(name: &str) -> Option<CardState> {
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
