//! A TOML table read key by key: every value with the line and the dotted key it stands at, and no key unread.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use jpkise_wire::Aid;
use toml::de::{DeTable, DeValue};
use toml::Spanned;
use zeroize::Zeroizing;

use super::error::{Problem, ProfileError};

/// Line of a byte offset, from 1.
pub(super) struct Lines<'a>(pub &'a str);

impl Lines<'_> {
    pub fn at(&self, offset: usize) -> usize {
        self.0.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// One table; what is asked for counts as known.
pub(super) struct Section<'a> {
    lines: &'a Lines<'a>,
    /// Dotted, with a dot at its end; empty at the top.
    path: String,
    table: Option<&'a DeTable<'a>>,
    line: usize,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub fn new(lines: &'a Lines<'a>, path: String, table: Option<&'a DeTable<'a>>, line: usize) -> Self {
        Self { lines, path, table, line, known: RefCell::default() }
    }

    pub fn get(&self, key: &'static str) -> Option<Entry<'a>> {
        self.known.borrow_mut().push(key);
        let (name, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        let line = self.lines.at(name.span().start);
        Some(Entry { key: format!("{}{key}", self.path), line, value: value.get_ref() })
    }

    pub fn need(&self, key: &'static str) -> Result<Entry<'a>, ProfileError> {
        self.get(key).ok_or_else(|| self.missing(key))
    }

    pub fn missing(&self, key: &'static str) -> ProfileError {
        ProfileError::Missing { line: self.line, key: format!("{}{key}", self.path) }
    }

    /// The table under `key`, an empty one when it is not there.
    pub fn section(&self, key: &'static str) -> Result<Section<'a>, ProfileError> {
        let path = format!("{}{key}.", self.path);
        let Some(entry) = self.get(key) else { return Ok(Section::new(self.lines, path, None, self.line)) };
        let table = entry.value.as_table().ok_or_else(|| entry.wrong(Problem::Type("a table")))?;
        Ok(Section::new(self.lines, path, Some(table), entry.line))
    }

    /// The tables of the array under `key`; `None` when it is not there.
    pub fn sections(&self, key: &'static str) -> Result<Option<Vec<Section<'a>>>, ProfileError> {
        let Some(entry) = self.get(key) else { return Ok(None) };
        let wrong = || entry.wrong(Problem::Type("an array of tables"));
        let array = entry.value.as_array().ok_or_else(wrong)?;
        let section = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let table = value.get_ref().as_table().ok_or_else(wrong)?;
            let line = self.lines.at(value.span().start);
            Ok(Section::new(self.lines, format!("{}{key}[{index}].", self.path), Some(table), line))
        };
        array.iter().enumerate().map(section).collect::<Result<_, _>>().map(Some)
    }

    /// Refuses what nobody asked for.
    pub fn finish(self) -> Result<(), ProfileError> {
        let known = self.known.into_inner();
        let unknown = self
            .table
            .and_then(|table| table.iter().find(|(name, _)| !known.iter().any(|key| name.get_ref() == key)));
        match unknown {
            None => Ok(()),
            Some((name, _)) => Err(ProfileError::UnknownKey {
                line: self.lines.at(name.span().start),
                key: format!("{}{}", self.path, name.get_ref()),
                known,
            }),
        }
    }
}

/// One value.
pub(super) struct Entry<'a> {
    key: String,
    line: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Entry<'a> {
    pub fn wrong(&self, problem: Problem) -> ProfileError {
        ProfileError::Value { line: self.line, key: self.key.clone(), problem }
    }

    /// Whether this is the value of `key`, dotted.
    pub fn is(&self, key: &str) -> bool {
        self.key == key
    }

    pub fn bool(&self) -> Result<bool, ProfileError> {
        self.value.as_bool().ok_or_else(|| self.wrong(Problem::Type("true or false")))
    }

    pub fn text(&self) -> Result<&'a str, ProfileError> {
        self.value.as_str().ok_or_else(|| self.wrong(Problem::Type("a string")))
    }

    pub fn int(&self, range: RangeInclusive<u64>) -> Result<u64, ProfileError> {
        let integer = self.value.as_integer().ok_or_else(|| self.wrong(Problem::Type("an integer")))?;
        let value = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let (least, most) = (*range.start(), *range.end());
        value.filter(|value| range.contains(value)).ok_or_else(|| self.wrong(Problem::Range { least, most }))
    }

    /// An integer of a narrower type, whose own limits hold too.
    pub fn number<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<T, ProfileError> {
        let (least, most) = (*range.start(), *range.end());
        T::try_from(self.int(range)?).map_err(|_| self.wrong(Problem::Range { least, most }))
    }

    /// Bytes, as many as one of `lengths` says. What stands there never gets into an error: it may be a key.
    pub fn hex(&self, lengths: &'static [RangeInclusive<usize>]) -> Result<Zeroizing<Vec<u8>>, ProfileError> {
        let text = self.text()?;
        let mut bytes = Zeroizing::new(vec![0; text.len() / 2]);
        hex::decode_to_slice(text, &mut bytes).map_err(|_| self.wrong(Problem::Hex))?;
        if lengths.iter().any(|range| range.contains(&bytes.len())) {
            Ok(bytes)
        } else {
            Err(self.wrong(Problem::Length { length: bytes.len(), allowed: lengths }))
        }
    }

    pub fn byte(&self) -> Result<u8, ProfileError> {
        Ok(self.hex(&[1..=1])?[0])
    }

    pub fn aid(&self) -> Result<Aid, ProfileError> {
        let bytes = self.hex(&[Aid::MIN..=Aid::MAX])?;
        Aid::new(&bytes).map_err(|_| self.wrong(Problem::Hex))
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Result<T, ProfileError> {
        let text = self.text()?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        let names = || Problem::Choice(choices.iter().map(|(name, _)| *name).collect());
        found.ok_or_else(|| self.wrong(names()))
    }
}
