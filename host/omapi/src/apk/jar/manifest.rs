//! Manifest and signature file: a main section and one for each entry.

use std::collections::BTreeMap;
use std::io::Read;

use der::pem::Base64Decoder;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

use super::super::verify::Hash;

/// Digests by name, strongest first.
const DIGESTS: [(&str, Hash); 5] = [
    ("SHA-512", Hash::Sha512),
    ("SHA-384", Hash::Sha384),
    ("SHA-256", Hash::Sha256),
    ("SHA1", Hash::Sha1),
    ("SHA-1", Hash::Sha1),
];
/// Longest digest coded in a header: SHA-512 in base64, with room.
const DIGEST_TEXT_MAX: usize = 128;

/// One section: its bytes as they stand, the blank line behind it included, and its headers.
#[derive(Debug, Clone, Default)]
pub(super) struct Section<'a> {
    pub raw: &'a [u8],
    headers: Vec<(String, String)>,
}

impl Section<'_> {
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let named = |(header, _): &&(String, String)| header.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }
}

/// A whole file.
#[derive(Debug, Clone, Default)]
pub(super) struct Sections<'a> {
    pub whole: &'a [u8],
    pub main: Section<'a>,
    pub entries: BTreeMap<String, Section<'a>>,
}

impl<'a> Sections<'a> {
    /// `None` for text that is no manifest, or names an entry twice.
    pub(super) fn read(whole: &'a [u8]) -> Option<Self> {
        let mut sections = Self { whole, ..Self::default() };
        let mut rest = whole;
        let mut first = true;
        while !rest.is_empty() {
            let (section, behind) = section(rest)?;
            rest = behind;
            if first {
                sections.main = section;
                first = false;
            } else if !section.headers.is_empty() {
                let name = section.value("Name")?.to_owned();
                if sections.entries.insert(name, section).is_some() {
                    return None;
                }
            }
        }
        Some(sections)
    }
}

fn section(text: &[u8]) -> Option<(Section<'_>, &[u8])> {
    // A line is cut after 72 bytes wherever that falls, so characters are put together again before they are read.
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (line, next) = line(text, at);
        at = next;
        match line {
            [] => break,
            [b' ', continued @ ..] => lines.last_mut()?.extend_from_slice(continued),
            _ => lines.push(line.to_vec()),
        }
    }
    let header = |line: Vec<u8>| {
        let line = String::from_utf8(line).ok()?;
        line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let headers = lines.into_iter().map(header).collect::<Option<_>>()?;
    Some((Section { raw: &text[..at], headers }, &text[at..]))
}

/// The line at `at` without its end (CR LF, LF or CR), and where the next one begins.
fn line(text: &[u8], at: usize) -> (&[u8], usize) {
    let rest = &text[at..];
    let length = rest.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(rest.len());
    let end = match &rest[length..] {
        [b'\r', b'\n', ..] => 2,
        [_, ..] => 1,
        [] => 0,
    };
    (&rest[..length], at + length + end)
}

/// The strongest digest among the headers whose names end in `suffix`, decoded.
pub(super) fn digest_of(section: &Section<'_>, suffix: &str) -> Option<(Hash, Vec<u8>)> {
    DIGESTS.iter().find_map(|(name, hash)| {
        let text = section.value(&format!("{name}{suffix}"))?;
        if text.len() > DIGEST_TEXT_MAX {
            return None;
        }
        let mut decoder = Base64Decoder::new(text.as_bytes()).ok()?;
        let mut digest = Vec::new();
        decoder.decode_to_end(&mut digest).ok()?;
        Some((*hash, digest))
    })
}

/// Digest of an entry, unpacked piece by piece; `None` when it does not unpack.
pub(super) fn stream_digest(hash: Hash, mut entry: impl Read) -> Option<Vec<u8>> {
    fn run<D: Digest>(entry: &mut impl Read) -> Option<Vec<u8>> {
        let mut digest = D::new();
        let mut piece = [0; 8192];
        loop {
            match entry.read(&mut piece).ok()? {
                0 => return Some(digest.finalize().to_vec()),
                length => digest.update(&piece[..length]),
            }
        }
    }
    match hash {
        Hash::Sha1 => run::<Sha1>(&mut entry),
        Hash::Sha256 => run::<Sha256>(&mut entry),
        Hash::Sha384 => run::<Sha384>(&mut entry),
        Hash::Sha512 => run::<Sha512>(&mut entry),
    }
}
