//! What bytes must look like.
//!
//! ```text
//! 6F ?? 84 lv($aid)     everything an expression may hold
//! ??  9?  ?0            a byte, or a half of one, that may be anything
//! ??*16                 sixteen of them
//! *                     any number of bytes; once in a pattern
//! <nonce:16> <rest:*>   kept under that name
//! ```

use std::fmt;

use super::bytes::{is_name, ByteExpression, EvalError, Resolve, Scanner};

/// A pattern as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(ByteExpression),
    /// A byte of which only the bits of `mask` count.
    Masked {
        value: u8,
        mask: u8,
    },
    /// This many bytes of any value, kept when named; `None`: all that others leave.
    Any {
        length: Option<usize>,
        name: Option<String>,
    },
}

/// Where bytes and pattern part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternMismatch {
    /// Another number of bytes.
    #[error("{found} bytes where {expected} were due")]
    Length {
        /// What was due, `at least n` where the pattern is open.
        expected: String,
        /// What came.
        found: usize,
    },
    /// Other bytes.
    #[error("at byte {offset}: {found} where {expected} was due")]
    Bytes {
        /// Offset of the first byte that differs, from 0.
        offset: usize,
        /// The part of the pattern there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The pattern uses a value that is not known.
    #[error(transparent)]
    Value(#[from] EvalError),
}

/// A part with its values filled in.
enum Ready {
    Exact(Vec<u8>),
    Masked(u8, u8),
    Any(usize, Option<String>),
    Open(Option<String>),
}

impl Ready {
    fn length(&self) -> usize {
        match self {
            Self::Exact(bytes) => bytes.len(),
            Self::Masked(..) => 1,
            Self::Any(length, _) => *length,
            Self::Open(_) => 0,
        }
    }
}

impl Pattern {
    /// Fixed bytes.
    pub fn literal(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Part::Bytes(ByteExpression::literal(bytes))])
    }

    /// Reads a pattern; the error is a sentence without the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scanner = Scanner::new(text);
        let mut parts = Vec::new();
        while let Some(next) = scanner.peek() {
            let part = match next {
                '*' => {
                    scanner.skip(1);
                    Part::Any { length: None, name: None }
                }
                '<' => capture(&mut scanner)?,
                _ if is_masked(&scanner) => masked(&mut scanner)?,
                _ => match scanner.item()? {
                    Some(expression) => Part::Bytes(expression),
                    None => return Err(format!("{next:?} stands where bytes were due")),
                },
            };
            let times = if matches!(part, Part::Masked { .. }) { scanner.repetition()? } else { None };
            match (times, &part) {
                (Some(times), Part::Masked { mask: 0, .. }) => {
                    parts.push(Part::Any { length: Some(times), name: None });
                }
                (Some(times), _) => parts.extend(std::iter::repeat_n(part, times.min(65_536))),
                (None, _) => parts.push(part),
            }
        }
        if parts.iter().filter(|p| matches!(p, Part::Any { length: None, .. })).count() > 1 {
            return Err("a pattern has one open part at most".to_owned());
        }
        Ok(Self(parts))
    }

    /// Holds bytes against the pattern; the named parts come back.
    pub fn matches(
        &self,
        bytes: &[u8],
        scope: &mut dyn Resolve,
    ) -> Result<Vec<(String, Vec<u8>)>, PatternMismatch> {
        let parts = self.ready(scope)?;
        let fixed: usize = parts.iter().map(Ready::length).sum();
        let is_open = parts.iter().any(|p| matches!(p, Ready::Open(_)));
        let mut kept = Vec::new();
        let mut offset = 0;
        // Bytes are compared before lengths: where the first wrong one stands tells more.
        for part in &parts {
            let length = match part {
                Ready::Open(_) => bytes.len().saturating_sub(fixed),
                other => other.length(),
            };
            let end = (offset + length).min(bytes.len());
            let here = bytes.get(offset..end).unwrap_or_default();
            let wrong = |expected: String| PatternMismatch::Bytes {
                offset,
                expected,
                found: hex::encode_upper(here),
            };
            match part {
                Ready::Exact(expected) if !expected.starts_with(here) => {
                    let at = expected.iter().zip(here).position(|(a, b)| a != b).unwrap_or(0);
                    return Err(PatternMismatch::Bytes {
                        offset: offset + at,
                        expected: hex::encode_upper(&expected[at..]),
                        found: hex::encode_upper(here.get(at..).unwrap_or_default()),
                    });
                }
                Ready::Masked(value, mask) if here.iter().any(|b| b & mask != value & mask) => {
                    return Err(wrong(show_masked(*value, *mask)));
                }
                Ready::Any(_, Some(name)) | Ready::Open(Some(name)) => {
                    kept.push((name.clone(), here.to_vec()));
                }
                _ => {}
            }
            offset += length;
        }
        if bytes.len() < fixed || (bytes.len() > fixed && !is_open) {
            let expected = if is_open { format!("at least {fixed}") } else { fixed.to_string() };
            return Err(PatternMismatch::Length { expected, found: bytes.len() });
        }
        Ok(kept)
    }

    fn ready(&self, scope: &mut dyn Resolve) -> Result<Vec<Ready>, EvalError> {
        self.0
            .iter()
            .map(|part| {
                Ok(match part {
                    Part::Bytes(expression) => Ready::Exact(expression.evaluate(scope)?),
                    Part::Masked { value, mask } => Ready::Masked(*value, *mask),
                    Part::Any { length: Some(length), name } => Ready::Any(*length, name.clone()),
                    Part::Any { length: None, name } => Ready::Open(name.clone()),
                })
            })
            .collect()
    }

    /// With its values in place of their names, for people.
    pub fn shown(&self, scope: &mut dyn Resolve) -> Result<String, EvalError> {
        let parts = self.ready(scope)?;
        let shown: Vec<String> = parts
            .iter()
            .map(|part| match part {
                Ready::Exact(bytes) => hex::encode_upper(bytes),
                Ready::Masked(value, mask) => show_masked(*value, *mask),
                Ready::Any(length, _) => format!("{length} bytes"),
                Ready::Open(_) if parts.len() == 1 => "any value".to_owned(),
                Ready::Open(_) => "…".to_owned(),
            })
            .collect();
        Ok(shown.join(" "))
    }

    /// Names under which parts are kept.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|p| match p {
            Part::Any { name, .. } => name.as_deref(),
            _ => None,
        })
    }

    /// Names of the values it uses.
    pub fn names(&self) -> Vec<&str> {
        self.0
            .iter()
            .flat_map(|p| match p {
                Part::Bytes(expression) => expression.names(),
                _ => Vec::new(),
            })
            .collect()
    }
}

fn is_half(c: Option<char>) -> bool {
    c.is_some_and(|c| c == '?' || c.is_ascii_hexdigit())
}

/// Two halves of a byte, at least one of them open.
fn is_masked(scanner: &Scanner<'_>) -> bool {
    scanner.starts_with("?") || (is_half(scanner.peek()) && scanner.second() == Some('?'))
}

fn masked(scanner: &mut Scanner<'_>) -> Result<Part, String> {
    let (high, low) = (scanner.peek(), scanner.second());
    if !is_half(high) || !is_half(low) {
        return Err("a byte has two halves: write ?? for any byte".to_owned());
    }
    let half = |c: Option<char>| c.and_then(|c| c.to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let (high, low) = (half(high), half(low));
    scanner.skip(2);
    Ok(Part::Masked {
        value: high.unwrap_or(0) << 4 | low.unwrap_or(0),
        mask: high.map_or(0, |_| 0xF0) | low.map_or(0, |_| 0x0F),
    })
}

fn capture(scanner: &mut Scanner<'_>) -> Result<Part, String> {
    scanner.skip(1);
    let name = scanner.span(is_name).to_owned();
    if name.is_empty() || !scanner.take(':') {
        return Err("what is to be kept is written <name:length> or <name:*>".to_owned());
    }
    let length = if scanner.take('*') {
        None
    } else {
        let digits = scanner.span(|c| c.is_ascii_digit());
        Some(digits.parse().map_err(|_| format!("<{name}:…> needs a length or *"))?)
    };
    if !scanner.take('>') {
        return Err(format!("the closing > of {name} is missing"));
    }
    Ok(Part::Any { length, name: Some(name) })
}

fn show_masked(value: u8, mask: u8) -> String {
    let half = |mask: u8, digit: u8| if mask == 0 { "?".to_owned() } else { format!("{digit:X}") };
    format!("{}{}", half(mask & 0xF0, value >> 4), half(mask & 0x0F, value & 0x0F))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            match part {
                Part::Bytes(expression) => write!(f, "{expression}")?,
                Part::Masked { value, mask } => f.write_str(&show_masked(*value, *mask))?,
                Part::Any { length, name: None } => match length {
                    Some(length) => write!(f, "??*{length}")?,
                    None => f.write_str("*")?,
                },
                Part::Any { length, name: Some(name) } => match length {
                    Some(length) => write!(f, "<{name}:{length}>")?,
                    None => write!(f, "<{name}:*>")?,
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Aid;

    impl Resolve for Aid {
        fn value(&self, name: &str) -> Option<Vec<u8>> {
            (name == "aid").then(|| vec![0xA0, 0x01])
        }
        fn random(&mut self, _: &mut [u8]) {}
        fn dek(&mut self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }

    fn try_match(pattern: &str, bytes: &str) -> Result<String, String> {
        let kept = Pattern::parse(pattern)?
            .matches(&hex::decode(bytes).unwrap(), &mut Aid)
            .map_err(|e| e.to_string())?;
        Ok(kept.iter().map(|(n, b)| format!("{n}={}", hex::encode_upper(b))).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn patterns_match_and_keep() {
        for (pattern, bytes, kept) in [
            ("", "", ""),
            ("6F ?? 84 lv($aid)", "6F048402A001", ""),
            ("6F * 0?", "6F0102030405", ""),
            ("*", "", ""),
            ("??*3 A?", "010203AF", ""),
            ("<nonce:2> 01 <rest:*>", "AABB01CCDD", "nonce=AABB rest=CCDD"),
            ("<all:*> 90", "90", "all="),
            ("<n:1>*", "0102", "n=01"),
        ] {
            assert_eq!(try_match(pattern, bytes).as_deref(), Ok(kept), "{pattern}");
        }
    }

    #[test]
    fn a_mismatch_names_the_byte() {
        for (pattern, bytes, reason) in [
            ("6F 04", "6E04", "at byte 0: 6E where 6F was due"),
            ("6F 01 02", "6F0103", "at byte 2: 03 where 02 was due"),
            ("84 lv($aid)", "8402A002", "at byte 3: 02 where 01 was due"),
            ("6F 0?", "6F1F", "at byte 1: 1F where 0? was due"),
            ("6F ??", "6F", "1 bytes where 2 were due"),
            ("6F", "6F00", "2 bytes where 1 were due"),
            ("6F * 01", "6F", "1 bytes where at least 2 were due"),
            ("$none", "", "$none has no value here"),
            ("* *", "", "a pattern has one open part at most"),
            ("<a>", "", "what is to be kept is written <name:length> or <name:*>"),
            ("?", "", "a byte has two halves: write ?? for any byte"),
        ] {
            assert_eq!(try_match(pattern, bytes), Err(reason.to_owned()), "{pattern}");
        }
    }
}
