//! Expressions that give bytes.
//!
//! ```text
//! 80CA 9F7F            hexadecimal, white space as one likes
//! '1234'               ASCII
//! $name  $name[2..4]   a value: of the suite, of the fixture, captured; or a part of it
//! 00*16                repetition of the item before it
//! lv($aid)             a function of other expressions
//! ```

use std::fmt;

use jpkise_wire::scp03::AesKey;
use sha2::{Digest, Sha256};

/// What an expression may ask for while it is worked out.
pub trait Resolve {
    /// The value of that name.
    fn value(&self, name: &str) -> Option<Vec<u8>>;
    /// Random bytes, repeatable where the run is.
    fn random(&mut self, out: &mut [u8]);
    /// Whole blocks under the Key-DEK of the secure channel in use.
    fn dek(&mut self, clear: &[u8]) -> Option<Vec<u8>>;
}

/// Why an expression has no value now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Nothing has that name.
    #[error("${0} has no value here")]
    NoValue(String),
    /// The part asked for lies outside.
    #[error("${name} has {length} bytes, the part asked for ends at {end}")]
    Part {
        /// The value.
        name: String,
        /// Its length, in bytes.
        length: usize,
        /// Where the part ends.
        end: usize,
    },
    /// A function does not take its arguments.
    #[error("{function}: {reason}")]
    Function {
        /// The function.
        function: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// An expression as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByteExpression(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(Vec<u8>),
    Value { name: String, part: Option<(usize, Option<usize>)> },
    Call { function: Function, arguments: Vec<Argument> },
    Repeated(Box<Item>, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Bytes(ByteExpression),
    Number(usize),
}

/// Longest value of an expression: two extended APDUs.
const MAX_LENGTH: usize = 131_072;

macro_rules! functions {
    ($($variant:ident = $name:literal ($($kind:ident),*);)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Function { $($variant),* }

        impl Function {
            const NAMES: &'static [&'static str] = &[$($name),*];

            fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What each argument is.
            const fn kinds(self) -> &'static [Kind] {
                match self { $(Self::$variant => &[$(Kind::$kind),*]),* }
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    Number,
}

functions! {
    // Length byte and value.
    Lv = "lv" (Bytes);
    // The length alone, one byte.
    Len = "len" (Bytes);
    // BER-TLV: tag, length in as few bytes as can be, value.
    Ber = "ber" (Bytes, Bytes);
    // Data grouping: identifier, length (one byte or FF and two), value.
    Dgi = "dgi" (Bytes, Bytes);
    // Random bytes.
    Random = "random" (Number);
    // Digests.
    Sha1 = "sha1" (Bytes);
    Sha256 = "sha256" (Bytes);
    // DigestInfo of a SHA-256 hash (RFC 8017 section 9.2).
    DigestInfo = "digest-info" (Bytes);
    // Whole blocks under the Key-DEK of the open channel.
    Dek = "dek" (Bytes);
    // AES key check value: three bytes.
    Kcv = "kcv" (Bytes);
    // 8 random, length, secret, random filling: the JPKI applet's block for temporary secrets.
    SecretBlock = "secret-block" (Bytes);
    // Filled with FF on the right.
    PadFf = "pad-ff" (Bytes, Number);
    // A big-endian number and what is to be added; the length stays.
    Plus = "plus" (Bytes, Number);
    // The same with the lowest bit of the last byte turned over.
    Flip = "flip" (Bytes);
    // The first bytes, and all but the first.
    First = "first" (Bytes, Number);
    After = "after" (Bytes, Number);
    Xor = "xor" (Bytes, Bytes);
    // As many bytes as the number says, from 00 up: telling positions apart.
    Count = "count" (Number);
}

impl ByteExpression {
    /// Fixed bytes.
    pub fn literal(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Item::Literal(bytes.into())])
    }

    /// Reads an expression; the error is a sentence without the place, which the caller knows.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scanner = Scanner::new(text);
        let expression = scanner.expression(false)?;
        scanner.end()?;
        Ok(expression)
    }

    /// The bytes.
    pub fn evaluate(&self, scope: &mut dyn Resolve) -> Result<Vec<u8>, EvalError> {
        let mut out = Vec::new();
        for item in &self.0 {
            out.extend(item.evaluate(scope)?);
            if out.len() > MAX_LENGTH {
                return Err(EvalError::Function { function: "bytes", reason: "more than 131,072 bytes" });
            }
        }
        Ok(out)
    }

    /// The bytes, when they are the same always.
    pub fn constant(&self) -> Option<Vec<u8>> {
        struct Nothing;
        impl Resolve for Nothing {
            fn value(&self, _: &str) -> Option<Vec<u8>> {
                None
            }
            fn random(&mut self, _: &mut [u8]) {}
            fn dek(&mut self, _: &[u8]) -> Option<Vec<u8>> {
                None
            }
        }
        if self.asks_for_chance() {
            return None;
        }
        self.evaluate(&mut Nothing).ok()
    }

    fn asks_for_chance(&self) -> bool {
        fn item(i: &Item) -> bool {
            match i {
                Item::Literal(_) | Item::Value { .. } => false,
                Item::Repeated(inner, _) => item(inner),
                Item::Call { function, arguments } => {
                    matches!(function, Function::Random | Function::SecretBlock)
                        || arguments.iter().any(|a| matches!(a, Argument::Bytes(b) if b.asks_for_chance()))
                }
            }
        }
        self.0.iter().any(item)
    }

    /// Names of the values it uses.
    pub fn names(&self) -> Vec<&str> {
        fn collect<'e>(item: &'e Item, out: &mut Vec<&'e str>) {
            match item {
                Item::Literal(_) => {}
                Item::Value { name, .. } => out.push(name),
                Item::Repeated(inner, _) => collect(inner, out),
                Item::Call { arguments, .. } => {
                    for argument in arguments {
                        if let Argument::Bytes(bytes) = argument {
                            bytes.0.iter().for_each(|i| collect(i, out));
                        }
                    }
                }
            }
        }
        let mut out = Vec::new();
        self.0.iter().for_each(|i| collect(i, &mut out));
        out
    }
}

impl Item {
    fn evaluate(&self, scope: &mut dyn Resolve) -> Result<Vec<u8>, EvalError> {
        match self {
            Self::Literal(bytes) => Ok(bytes.clone()),
            Self::Value { name, part } => {
                let value = scope.value(name).ok_or_else(|| EvalError::NoValue(name.clone()))?;
                let Some((from, to)) = *part else { return Ok(value) };
                let end = to.unwrap_or(value.len());
                value.get(from..end).map(<[u8]>::to_vec).ok_or_else(|| EvalError::Part {
                    name: name.clone(),
                    length: value.len(),
                    end: end.max(from),
                })
            }
            Self::Repeated(inner, times) => {
                let one = inner.evaluate(scope)?;
                if one.len().saturating_mul(*times) > MAX_LENGTH {
                    return Err(EvalError::Function { function: "*", reason: "more than 131,072 bytes" });
                }
                Ok(one.repeat(*times))
            }
            Self::Call { function, arguments } => {
                let mut bytes = Vec::new();
                let mut number = 0;
                for argument in arguments {
                    match argument {
                        Argument::Bytes(expression) => bytes.push(expression.evaluate(scope)?),
                        Argument::Number(n) => number = *n,
                    }
                }
                call(*function, &bytes, number, scope)
            }
        }
    }
}

fn call(
    function: Function,
    bytes: &[Vec<u8>],
    number: usize,
    scope: &mut dyn Resolve,
) -> Result<Vec<u8>, EvalError> {
    let fail = |reason| EvalError::Function { function: function.name(), reason };
    // Arguments were counted when the expression was read.
    let empty = Vec::new();
    let (a, b) = (bytes.first().unwrap_or(&empty), bytes.get(1).unwrap_or(&empty));
    let one_byte = |length: usize| u8::try_from(length).map_err(|_| fail("more than 255 bytes"));
    Ok(match function {
        Function::Lv => [&[one_byte(a.len())?], a.as_slice()].concat(),
        Function::Len => vec![one_byte(a.len())?],
        Function::Ber => [a.as_slice(), &ber_length(b.len()), b].concat(),
        Function::Dgi => {
            let length = u16::try_from(b.len()).map_err(|_| fail("more than 65,535 bytes"))?;
            [a.as_slice(), &jpkise_wire::dgi::header_length(length), b].concat()
        }
        Function::Random => random(scope, number),
        Function::Sha1 => sha1::Sha1::digest(a).to_vec(),
        Function::Sha256 => Sha256::digest(a).to_vec(),
        Function::DigestInfo => {
            let hash: [u8; 32] = a.as_slice().try_into().map_err(|_| fail("takes the 32 bytes of a hash"))?;
            jpkise_jpki::edge::signature::digest_info(&hash).to_vec()
        }
        Function::Dek => scope.dek(a).ok_or_else(|| fail("no secure channel is open, or no whole blocks"))?,
        Function::Kcv => AesKey::new(a).map_err(|_| fail("no AES key"))?.check_value().0.to_vec(),
        Function::SecretBlock => secret_block(a, scope).ok_or_else(|| fail("more than 23 bytes"))?,
        Function::PadFf => {
            let mut out = a.clone();
            if out.len() > number {
                return Err(fail("longer than what it is to be filled up to"));
            }
            out.resize(number, 0xFF);
            out
        }
        Function::Plus => plus(a, number).ok_or_else(|| fail("the number does not fit its length"))?,
        Function::Flip => {
            let mut out = a.clone();
            *out.last_mut().ok_or_else(|| fail("nothing to turn over"))? ^= 1;
            out
        }
        Function::First => a.get(..number).ok_or_else(|| fail("too short"))?.to_vec(),
        Function::After => a.get(number..).ok_or_else(|| fail("too short"))?.to_vec(),
        Function::Xor if a.len() == b.len() => a.iter().zip(b).map(|(x, y)| x ^ y).collect(),
        Function::Xor => return Err(fail("two values of one length")),
        // The low byte is what is wanted.
        #[allow(clippy::cast_possible_truncation)]
        Function::Count => (0..number.min(MAX_LENGTH)).map(|n| n as u8).collect(),
    })
}

fn random(scope: &mut dyn Resolve, length: usize) -> Vec<u8> {
    let mut out = vec![0; length.min(MAX_LENGTH)];
    scope.random(&mut out);
    out
}

fn ber_length(length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
    let digits = &bytes[start..];
    if length < 0x80 {
        return digits.to_vec();
    }
    // At most eight digits.
    #[allow(clippy::cast_possible_truncation)]
    let head = 0x80 | digits.len() as u8;
    [&[head], digits].concat()
}

fn secret_block(secret: &[u8], scope: &mut dyn Resolve) -> Option<Vec<u8>> {
    const LENGTH: usize = 32;
    const RANDOM: usize = 8;
    let length = u8::try_from(secret.len()).ok().filter(|_| RANDOM + 1 + secret.len() <= LENGTH)?;
    let mut block = random(scope, LENGTH);
    block[RANDOM] = length;
    block[RANDOM + 1..=RANDOM + secret.len()].copy_from_slice(secret);
    Some(block)
}

fn plus(value: &[u8], number: usize) -> Option<Vec<u8>> {
    let mut out = value.to_vec();
    let mut carry = number;
    for byte in out.iter_mut().rev() {
        let sum = usize::from(*byte) + (carry & 0xFF);
        *byte = u8::try_from(sum & 0xFF).ok()?;
        carry = (carry >> 8) + (sum >> 8);
    }
    (carry == 0).then_some(out)
}

impl fmt::Display for ByteExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(bytes) => f.write_str(&hex::encode_upper(bytes)),
            Self::Value { name, part: None } => write!(f, "${name}"),
            Self::Value { name, part: Some((from, to)) } => {
                write!(f, "${name}[{from}..{}]", to.map(|t| t.to_string()).unwrap_or_default())
            }
            Self::Repeated(inner, times) => write!(f, "{inner}*{times}"),
            Self::Call { function, arguments } => {
                write!(f, "{}(", function.name())?;
                for (index, argument) in arguments.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    match argument {
                        Argument::Bytes(bytes) => write!(f, "{bytes}")?,
                        Argument::Number(number) => write!(f, "{number}")?,
                    }
                }
                f.write_str(")")
            }
        }
    }
}

/// Walks the text of an expression or a pattern.
pub(super) struct Scanner<'t> {
    rest: &'t str,
    /// White space stood before what comes: `00*3` repeats, `00 * 3` does not.
    gap: bool,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text.trim_start(), gap: false }
    }

    fn go_on_at(&mut self, rest: &'t str) {
        self.rest = rest.trim_start();
        self.gap = self.rest.len() != rest.len();
    }

    /// `*` and a number directly behind the item before: how often it stands there.
    pub(super) fn repetition(&mut self) -> Result<Option<usize>, String> {
        let mut signs = self.rest.chars();
        if self.gap || signs.next() != Some('*') || !signs.next().is_some_and(|c| c.is_ascii_digit()) {
            return Ok(None);
        }
        self.skip(1);
        self.number().map(Some)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.go_on_at(self.rest.get(count..).unwrap_or_default());
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.rest.starts_with(wanted);
        if found {
            self.skip(wanted.len_utf8());
        }
        found
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    pub(super) fn end(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(c) => Err(format!("{c:?} stands where bytes were due")),
        }
    }

    /// The text up to where `inside` ends to hold, and the rest without white space in front.
    pub(super) fn span(&mut self, inside: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.go_on_at(rest);
        found
    }

    /// As [`Self::span`], white space kept.
    fn tight_span(&mut self, inside: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.rest = rest;
        found
    }

    fn number(&mut self) -> Result<usize, String> {
        let digits = self.span(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| "a decimal number was due".to_owned())
    }

    /// `'text'`, if that is what comes.
    pub(super) fn quoted(&mut self) -> Result<Option<Vec<u8>>, String> {
        if !self.rest.starts_with('\'') {
            return Ok(None);
        }
        let text = &self.rest[1..];
        let end = text.find('\'').ok_or("the closing ' is missing")?;
        let (inside, rest) = text.split_at(end);
        if !inside.is_ascii() {
            return Err("text between ' must be ASCII".to_owned());
        }
        self.go_on_at(&rest[1..]);
        Ok(Some(inside.as_bytes().to_vec()))
    }

    /// `$name`, `$name[a..b]` or `function(...)`, if one of these comes.
    fn reference(&mut self) -> Result<Option<Item>, String> {
        if self.rest.starts_with('$') {
            self.rest = &self.rest[1..];
            let name = self.tight_span(is_name).to_owned();
            if name.is_empty() {
                return Err("a name was due after $".to_owned());
            }
            let part = self.part()?;
            self.skip(0);
            return Ok(Some(Item::Value { name, part }));
        }
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        if !self.rest[end..].starts_with('(') {
            return Ok(None);
        }
        let name = &self.rest[..end];
        let function = Function::of(name).ok_or_else(|| {
            let near = super::source::nearest(name, Function::NAMES);
            let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            format!("there is no function {name}{hint}")
        })?;
        self.skip(end + 1);
        let mut arguments = Vec::new();
        for (index, kind) in function.kinds().iter().enumerate() {
            if index > 0 && !self.take(',') {
                return Err(format!("{name} takes {} arguments", function.kinds().len()));
            }
            arguments.push(match kind {
                Kind::Bytes => Argument::Bytes(self.expression(true)?),
                Kind::Number => Argument::Number(self.number()?),
            });
        }
        if !self.take(')') {
            return Err(format!("the closing ) of {name} is missing"));
        }
        Ok(Some(Item::Call { function, arguments }))
    }

    fn part(&mut self) -> Result<Option<(usize, Option<usize>)>, String> {
        if !self.rest.starts_with('[') {
            return Ok(None);
        }
        self.skip(1);
        let from = if self.starts_with("..") { 0 } else { self.number()? };
        if !self.starts_with("..") {
            return Err("a part is written [from..to]".to_owned());
        }
        self.skip(2);
        let to = if self.starts_with("]") { None } else { Some(self.number()?) };
        if !self.rest.starts_with(']') {
            return Err("the closing ] is missing".to_owned());
        }
        self.rest = &self.rest[1..];
        if to.is_some_and(|to| to < from) {
            return Err("a part ends behind its beginning".to_owned());
        }
        Ok(Some((from, to)))
    }

    /// Hexadecimal digits, quoted text, a value or a function: anything but a pattern's own signs.
    pub(super) fn item(&mut self) -> Result<Option<ByteExpression>, String> {
        Ok(self.one()?.map(|item| ByteExpression(vec![item])))
    }

    fn one(&mut self) -> Result<Option<Item>, String> {
        let item = if let Some(text) = self.quoted()? {
            Item::Literal(text)
        } else if let Some(item) = self.reference()? {
            item
        } else {
            let Some(byte) = self.byte()? else { return Ok(None) };
            Item::Literal(vec![byte])
        };
        match self.repetition()? {
            Some(times) => Ok(Some(Item::Repeated(Box::new(item), times))),
            None => Ok(Some(item)),
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, String> {
        let Some(first) = self.peek() else { return Ok(None) };
        if !first.is_ascii_hexdigit() {
            return if first.is_alphanumeric() {
                Err(format!("{first:?} is no hexadecimal digit"))
            } else {
                Ok(None)
            };
        }
        let digits = self.rest.get(..2).unwrap_or_default();
        let byte = u8::from_str_radix(digits, 16)
            .map_err(|_| format!("two hexadecimal digits make a byte, {first:?} stands alone"))?;
        self.skip(2);
        Ok(Some(byte))
    }

    /// An argument of a function: up to the next comma or closing parenthesis.
    pub(super) fn argument(&mut self) -> Result<ByteExpression, String> {
        self.expression(true)
    }

    fn expression(&mut self, inside: bool) -> Result<ByteExpression, String> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            if inside && self.peek().is_none_or(|c| c == ',' || c == ')') {
                break;
            }
            let Some(item) = self.one()? else { break };
            match (items.last_mut(), item) {
                (Some(Item::Literal(before)), Item::Literal(more)) => before.extend(more),
                (_, item) => items.push(item),
            }
        }
        Ok(ByteExpression(items))
    }
}

pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Values(BTreeMap<&'static str, Vec<u8>>);

    impl Resolve for Values {
        fn value(&self, name: &str) -> Option<Vec<u8>> {
            self.0.get(name).cloned()
        }
        fn random(&mut self, out: &mut [u8]) {
            out.fill(0xAA);
        }
        fn dek(&mut self, clear: &[u8]) -> Option<Vec<u8>> {
            Some(clear.iter().map(|b| !b).collect())
        }
    }

    fn value(text: &str) -> Result<String, String> {
        let mut scope = Values(BTreeMap::from([("aid", vec![0xA0, 1, 2, 3, 4]), ("n", vec![0, 0xFF])]));
        let bytes = ByteExpression::parse(text)?.evaluate(&mut scope).map_err(|e| e.to_string())?;
        Ok(hex::encode_upper(bytes))
    }

    #[test]
    fn expressions_give_bytes() {
        for (text, bytes) in [
            ("", ""),
            ("80CA 9f7F", "80CA9F7F"),
            ("'1234' 00", "3132333400"),
            ("4F lv($aid)", "4F05A001020304"),
            ("$aid[1..3]$aid[4..]", "010204"),
            ("00*3 $n*2", "00000000FF00FF"),
            ("ber(4F, $aid)", "4F05A001020304"),
            ("ber(7F49, 00*200)", &format!("7F4981C8{}", "00".repeat(200))),
            ("dgi(0001, 00*256)", &format!("0001FF0100{}", "00".repeat(256))),
            ("plus($n, 1) plus(00, 255)", "0100FF"),
            ("flip(00) xor(F0, FF) first($aid, 2) after($aid, 3)", "010FA0010304"),
            ("random(2) dek(00FF) len('abc') count(3)", "AAAAFF0003000102"),
            ("pad-ff('1234', 6)", "31323334FFFF"),
            ("secret-block('1234')", &format!("AAAAAAAAAAAAAAAA0431323334{}", "AA".repeat(19))),
            ("kcv(404142434445464748494A4B4C4D4E4F)", "504A77"),
            ("lv(lv(00) lv())", "03010000"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_says_why() {
        for (text, reason) in [
            ("8", "two hexadecimal digits make a byte, '8' stands alone"),
            ("80 CG", "two hexadecimal digits make a byte, 'C' stands alone"),
            ("xyz", "'x' is no hexadecimal digit"),
            ("'12", "the closing ' is missing"),
            ("'é'", "text between ' must be ASCII"),
            ("$ 00", "a name was due after $"),
            ("lw(00)", "there is no function lw; did you mean lv?"),
            ("ber(4F)", "ber takes 2 arguments"),
            ("lv(00", "the closing ) of lv is missing"),
            ("random(x)", "a decimal number was due"),
            ("$aid[3..1]", "a part ends behind its beginning"),
            ("80??", "'?' stands where bytes were due"),
            ("$nothing", "$nothing has no value here"),
            ("$aid[2..9]", "$aid has 5 bytes, the part asked for ends at 9"),
            ("plus(FF, 1)", "plus: the number does not fit its length"),
            ("00*999999", "*: more than 131,072 bytes"),
        ] {
            assert_eq!(value(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_what_is_always_the_same_is_constant() {
        for (text, constant) in
            [("00 lv('a')", true), ("random(2)", false), ("$aid", false), ("lv(random(1))", false)]
        {
            assert_eq!(ByteExpression::parse(text).unwrap().constant().is_some(), constant, "{text}");
        }
        assert_eq!(ByteExpression::parse("$a lv($b $a)").unwrap().names(), ["a", "b", "a"]);
    }
}
