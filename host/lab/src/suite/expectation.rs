//! What must come of a step: status words, lengths, fields, data objects.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use jpkise_wire::StatusWord;

use super::check::Check;
use super::pattern::Pattern;

/// What must come of a step. Data may follow 9000, 62xx and 63xx; behind anything else there must be none, unless the
/// step says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Status word.
    pub sw: SwPattern,
    /// The whole data field.
    pub data: Option<Pattern>,
    /// Its length.
    pub length: Option<Lengths>,
    /// Layout by whose names `fields` goes.
    pub layout: Option<String>,
    /// Fields of that layout.
    pub fields: Vec<(String, Pattern)>,
    /// Data objects by the path of their tags; `None`: must not be there.
    pub objects: Vec<(TagPath, Option<Pattern>)>,
    /// Over what was kept, this step's included.
    pub checks: Vec<Check>,
    /// Longest time to the answer.
    pub within: Option<Duration>,
}

/// Status words: `9000`, `63C?`, `6982/6985`, `!6F??`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwPattern {
    words: Vec<(u16, u16)>,
    negated: bool,
}

impl Default for SwPattern {
    fn default() -> Self {
        Self { words: vec![(0x9000, 0xFFFF)], negated: false }
    }
}

impl SwPattern {
    /// Reads words parted by `/`; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (negated, text) = match text.trim().strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let words = text.split('/').map(|word| Self::word(word.trim())).collect::<Result<_, _>>()?;
        Ok(Self { words, negated })
    }

    fn word(text: &str) -> Result<(u16, u16), String> {
        let error = || format!("{text:?} is no status word: four hexadecimal digits, ? for any");
        if text.chars().count() != 4 {
            return Err(error());
        }
        text.chars().try_fold((0, 0), |(value, mask), c| {
            let (digit, bits) = match c {
                '?' => (0, 0),
                c => (u16::try_from(c.to_digit(16).ok_or_else(error)?).map_err(|_| error())?, 0xF),
            };
            Ok((value << 4 | digit, mask << 4 | bits))
        })
    }

    /// Exactly this word.
    pub fn exactly(sw: StatusWord) -> Self {
        Self { words: vec![(sw.0, 0xFFFF)], negated: false }
    }

    /// Whether `sw` is one of them.
    pub fn matches(&self, sw: StatusWord) -> bool {
        self.words.iter().any(|(value, mask)| sw.0 & mask == *value) != self.negated
    }
}

impl fmt::Display for SwPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("!")?;
        }
        for (index, (value, mask)) in self.words.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            for shift in [12, 8, 4, 0] {
                match mask >> shift & 0xF {
                    0 => f.write_str("?")?,
                    _ => write!(f, "{:X}", value >> shift & 0xF)?,
                }
            }
        }
        Ok(())
    }
}

/// A number of bytes: `256`, `1..224`, `8..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lengths(pub RangeInclusive<usize>);

impl Lengths {
    /// Reads it; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |t: &str| {
            t.trim().parse::<usize>().map_err(|_| format!("{text:?} is no length: 256, 1..224 or 8.."))
        };
        let range = match text.split_once("..") {
            None => {
                let length = number(text)?;
                length..=length
            }
            Some((from, "")) => number(from)?..=usize::MAX,
            Some((from, to)) => number(from)?..=number(to)?,
        };
        if range.is_empty() {
            return Err(format!("{text:?} ends before it begins"));
        }
        Ok(Self(range))
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self.0.start(), *self.0.end()) {
            (from, usize::MAX) => write!(f, "{from}.."),
            (from, to) if from == to => write!(f, "{from}"),
            (from, to) => write!(f, "{from}..{to}"),
        }
    }
}

/// The path to a data object: `6F/A5/9F65`, `E3[1]/4F`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPath(pub Vec<(u32, usize)>);

impl TagPath {
    /// Reads it; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let steps = text.split('/').map(|part| {
            let part = part.trim();
            let (tag, index) = match part.split_once('[') {
                None => (part, 0),
                Some((tag, rest)) => {
                    let index = rest.strip_suffix(']').and_then(|i| i.parse().ok());
                    (tag, index.ok_or_else(|| format!("{part:?}: the number stands as [0]"))?)
                }
            };
            let is_tag = matches!(tag.len(), 2 | 4 | 6);
            let tag = u32::from_str_radix(tag, 16).ok().filter(|_| is_tag);
            tag.map(|tag| (tag, index)).ok_or_else(|| format!("{part:?} is no tag"))
        });
        Ok(Self(steps.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for TagPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (tag, nth)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            write!(f, "{tag:02X}")?;
            if *nth > 0 {
                write!(f, "[{nth}]")?;
            }
        }
        Ok(())
    }
}

/// Where in an answer something to be kept stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The data field, or a part of it.
    Data {
        /// First byte.
        from: usize,
        /// Behind the last byte; the end when `None`.
        to: Option<usize>,
    },
    /// A data object's value.
    Object(TagPath),
    /// A field of the step's layout.
    Field(String),
    /// The two bytes of the status word.
    StatusWord,
    /// The command's bytes as they went over the wire.
    Command,
}

/// Names and lengths of the fields of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// In order; a length of `None` takes what others leave, at the end only.
    pub fields: Vec<(String, Option<usize>)>,
}

impl Layout {
    /// The field's part of an answer: from, to. `None` when there is no such field.
    pub fn part(&self, name: &str, total: usize) -> Option<(usize, usize)> {
        let mut at = 0;
        for (field, length) in &self.fields {
            let end = length.map_or(total.max(at), |length| at + length);
            if field == name {
                return Some((at, end));
            }
            at = end;
        }
        None
    }

    /// The length of an answer of this layout; `None` where the last field is open.
    pub fn length(&self) -> Option<usize> {
        self.fields.iter().map(|(_, length)| *length).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_patterns() {
        for (pattern, sw, fits) in [
            ("9000", 0x9000, true),
            ("9000", 0x9001, false),
            ("63C?", 0x63C2, true),
            ("63C?", 0x63D2, false),
            ("6982/6985", 0x6985, true),
            ("!6F??", 0x6F00, false),
            ("!6F??/6E00", 0x6D00, true),
        ] {
            let read = SwPattern::parse(pattern).unwrap();
            assert_eq!(read.matches(StatusWord(sw)), fits, "{pattern} {sw:04X}");
            assert_eq!(read.to_string(), pattern);
        }
        assert!(SwPattern::parse("90").is_err());
        assert!(SwPattern::parse("90G0").is_err());
    }

    #[test]
    fn lengths_paths_and_layouts_are_read() {
        assert!(Lengths::parse("1..224").unwrap().0.contains(&224));
        assert!(Lengths::parse("8..").unwrap().0.contains(&9999));
        assert!(Lengths::parse("9..1").is_err());
        assert_eq!(TagPath::parse("6F/A5/9F65").unwrap().0, [(0x6F, 0), (0xA5, 0), (0x9F65, 0)]);
        assert_eq!(TagPath::parse("E3[2]/4F").unwrap().to_string(), "E3[2]/4F");
        assert!(TagPath::parse("6F//84").is_err());
        let layout =
            Layout { fields: vec![("a".into(), Some(1)), ("b".into(), Some(2)), ("c".into(), None)] };
        assert_eq!(layout.part("b", 9), Some((1, 3)));
        assert_eq!(layout.part("c", 9), Some((3, 9)));
        assert_eq!(layout.length(), None);
    }
}
