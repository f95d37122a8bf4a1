//! Where in a file something stands, and the walk over TOML tables that leaves no key unread.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use toml::Spanned;

/// One thing that is wrong with a suite file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Everything that is wrong with a suite file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaErrors(pub Vec<SchemaError>);

impl fmt::Display for SchemaErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SchemaErrors {}

/// The file being read, and what was found wrong with it so far.
pub(super) struct Source<'s> {
    file: String,
    text: &'s str,
    errors: Vec<SchemaError>,
}

impl<'s> Source<'s> {
    pub(super) fn new(file: &str, text: &'s str) -> Self {
        Self { file: file.to_owned(), text, errors: Vec::new() }
    }

    /// Line and column, from 1, of a byte offset.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        self.position(at.start).0
    }

    /// The offset at which a line of this text begins; for tables inside a multi-line string.
    pub(super) fn slice(&self, at: &Range<usize>) -> &'s str {
        self.text.get(at.clone()).unwrap_or_default()
    }

    /// Notes an error once: a case that is unrolled a hundred times has its fault once.
    pub(super) fn error(&mut self, at: &Range<usize>, message: impl Into<String>) {
        let (line, column) = self.position(at.start);
        let error = SchemaError { file: self.file.clone(), line, column, message: message.into() };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    pub(super) fn finish(mut self) -> Result<(), SchemaErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|e| (e.line, e.column));
        Err(SchemaErrors(self.errors))
    }
}

/// A string and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) at: Range<usize>,
}

/// A table of which every key must be taken.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    at: Range<usize>,
    known: Vec<&'static str>,
    /// Keys that would have been known had they been there: for hints.
    possible: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, at: Range<usize>) -> Self {
        Self { table, at, known: Vec::new(), possible: Vec::new() }
    }

    pub(super) fn at(&self) -> &Range<usize> {
        &self.at
    }

    /// Names keys of which one might have been meant.
    pub(super) fn might_have(&mut self, keys: &[&'static str]) {
        self.possible.extend(keys);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    pub(super) fn text(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        text(source, key, value)
    }

    /// A string that must be there; empty, with an error noted, when it is not.
    pub(super) fn needed(&mut self, source: &mut Source<'_>, key: &'static str) -> Text {
        if !self.has(key) {
            source.error(&self.at, format!("{key} is missing"));
        }
        self.text(source, key).unwrap_or_else(|| Text { value: String::new(), at: self.at.clone() })
    }

    pub(super) fn flag(&mut self, source: &mut Source<'_>, key: &'static str) -> bool {
        let Some(value) = self.value(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            source.error(&value.span(), format!("{key} must be true or false"));
            false
        })
    }

    pub(super) fn number(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<u32> {
        let value = self.value(key)?;
        let number = number(value);
        if number.is_none() {
            source.error(&value.span(), format!("{key} must be a number from 0 on"));
        }
        number
    }

    /// A time in milliseconds; none at all would be too short for anything.
    pub(super) fn milliseconds(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<Duration> {
        self.positive(source, key).map(|ms| Duration::from_millis(ms.into()))
    }

    /// A number that is not 0.
    pub(super) fn positive(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<u32> {
        let value = self.value(key)?;
        let number = number(value).filter(|n| *n > 0);
        if number.is_none() {
            source.error(&value.span(), format!("{key} must be a number from 1 on"));
        }
        number
    }

    /// A string or a list of strings.
    pub(super) fn texts(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<Vec<Text>> {
        let value = self.value(key)?;
        if let Some(one) = value.get_ref().as_str() {
            return Some(vec![Text { value: one.to_owned(), at: value.span() }]);
        }
        let Some(list) = value.get_ref().as_array() else {
            source.error(&value.span(), format!("{key} must be a list of strings"));
            return Some(Vec::new());
        };
        Some(list.iter().filter_map(|entry| text(source, key, entry)).collect())
    }

    /// A table of strings, in the order of its keys.
    pub(super) fn map(&mut self, source: &mut Source<'_>, key: &'static str) -> Vec<(Text, Text)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            source.error(&value.span(), format!("{key} must be a table"));
            return Vec::new();
        };
        entries(source, table)
    }

    /// Tables under a table: `[command.NAME]`.
    pub(super) fn tables(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
    ) -> Vec<(Text, &'t Spanned<DeValue<'t>>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            source.error(&value.span(), format!("{key} must be a table of tables"));
            return Vec::new();
        };
        let mut all: Vec<_> = table
            .iter()
            .map(|(name, value)| {
                (Text { value: name.get_ref().clone().into_owned(), at: name.span() }, value)
            })
            .collect();
        all.sort_by_key(|(name, _)| name.at.start);
        all
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(mut self, source: &mut Source<'_>) {
        self.possible.extend(&self.known);
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let near = nearest(name, &self.possible);
                let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                source.error(&key.span(), format!("unknown key {name}{hint}"));
            }
        }
    }
}

fn number(value: &Spanned<DeValue<'_>>) -> Option<u32> {
    value.get_ref().as_integer().and_then(|i| u32::from_str_radix(i.as_str(), i.radix()).ok())
}

pub(super) fn entries(source: &mut Source<'_>, table: &DeTable<'_>) -> Vec<(Text, Text)> {
    let mut all: Vec<(Text, Text)> = table
        .iter()
        .filter_map(|(name, value)| {
            let value = text(source, name.get_ref(), value)?;
            Some((Text { value: name.get_ref().clone().into_owned(), at: name.span() }, value))
        })
        .collect();
    all.sort_by_key(|(name, _)| name.at.start);
    all
}

pub(super) fn text(source: &mut Source<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Text> {
    if let Some(text) = value.get_ref().as_str() {
        return Some(Text { value: text.to_owned(), at: value.span() });
    }
    source.error(&value.span(), format!("{key} must be a string, not {}", value.get_ref().type_str()));
    None
}

/// The known word that differs least, when it is near enough to be a slip of the finger, or a word begun and not ended.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().map(|k| (distance(word, k), *k)).min();
    let begun = || known.iter().copied().find(|k| k.strip_prefix(word).is_some_and(|k| k.starts_with('-')));
    near.filter(|(d, k)| *d <= 2 && *d < k.len()).map(|(_, k)| k).or_else(begun)
}

/// Letters to change, add or drop.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
