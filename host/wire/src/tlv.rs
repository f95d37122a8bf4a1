//! BER-TLV (ISO/IEC 8825-1, as far as ISO/IEC 7816-4 section 5.2.2 uses it): definite lengths of one to four bytes.

use std::fmt;

/// A tag of one to three bytes, as its bytes read big-endian: `Tag(0x66)`, `Tag(0x9F7F)`, `Tag(0x5F50)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl Tag {
    /// Whether the first byte's bit 6 shows a constructed object.
    pub fn is_constructed(self) -> bool {
        let first = self.0.to_be_bytes().into_iter().find(|b| *b != 0).unwrap_or(0);
        first & 0x20 != 0
    }

    /// The tag's bytes without leading zeros.
    pub fn write(self, out: &mut Vec<u8>) {
        let bytes = self.0.to_be_bytes();
        let start = bytes.iter().position(|b| *b != 0).unwrap_or(3);
        out.extend_from_slice(&bytes[start..]);
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(4);
        self.write(&mut bytes);
        f.write_str(&hex::encode_upper(bytes))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// Why bytes are no TLV.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlvError {
    /// The bytes end inside a tag, a length or a value.
    #[error("truncated at offset {offset}")]
    Truncated {
        /// Byte offset in the input at which more was expected.
        offset: usize,
    },
    /// A length coded with an indefinite or reserved first byte, or with more than four bytes.
    #[error("bad length byte {byte:02X} at offset {offset}")]
    Length {
        /// Byte offset of the length.
        offset: usize,
        /// The byte found.
        byte: u8,
    },
    /// A tag of more than three bytes.
    #[error("tag longer than three bytes at offset {offset}")]
    Tag {
        /// Byte offset of the tag.
        offset: usize,
    },
    /// A mandatory object is missing.
    #[error("object {0} is missing")]
    Missing(Tag),
    /// Another object stands where this one was due.
    #[error("object {found} where {expected} was expected")]
    Unexpected {
        /// Due here.
        expected: Tag,
        /// Standing here.
        found: Tag,
    },
}

/// One object: its tag and value, borrowed from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Tag.
    pub tag: Tag,
    /// Value field.
    pub value: &'a [u8],
    /// The whole object as it stands in the input, tag and length included.
    pub raw: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Reads one object from the start of `input`; returns it and what follows it.
    pub fn read(input: &'a [u8]) -> Result<(Self, &'a [u8]), TlvError> {
        let mut reader = Reader { input, offset: 0 };
        let tlv = reader.read()?;
        Ok((tlv, &input[reader.offset..]))
    }

    /// Reads a series of objects that fills `input`.
    pub fn read_all(input: &'a [u8]) -> Result<Vec<Self>, TlvError> {
        let mut reader = Reader { input, offset: 0 };
        let mut all = Vec::new();
        while reader.offset < input.len() {
            all.push(reader.read()?);
        }
        Ok(all)
    }

    /// Reads exactly one object with this tag that fills `input`, and returns its value.
    pub fn expect(input: &'a [u8], tag: Tag) -> Result<&'a [u8], TlvError> {
        let (tlv, rest) = Self::read(input)?;
        if tlv.tag != tag {
            return Err(TlvError::Unexpected { expected: tag, found: tlv.tag });
        }
        if !rest.is_empty() {
            return Err(TlvError::Truncated { offset: input.len() - rest.len() });
        }
        Ok(tlv.value)
    }

    /// The objects inside this one.
    pub fn children(&self) -> Result<Vec<Tlv<'a>>, TlvError> {
        Self::read_all(self.value)
    }

    /// The first object inside this one with `tag`.
    pub fn child(&self, tag: Tag) -> Result<Tlv<'a>, TlvError> {
        self.children()?.into_iter().find(|t| t.tag == tag).ok_or(TlvError::Missing(tag))
    }
}

struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, TlvError> {
        let byte = *self.input.get(self.offset).ok_or(TlvError::Truncated { offset: self.offset })?;
        self.offset += 1;
        Ok(byte)
    }

    fn read(&mut self) -> Result<Tlv<'a>, TlvError> {
        let start = self.offset;
        let first = self.byte()?;
        let mut tag = u32::from(first);
        if first & 0x1F == 0x1F {
            loop {
                let next = self.byte()?;
                if tag > 0xFFFF {
                    return Err(TlvError::Tag { offset: start });
                }
                tag = tag << 8 | u32::from(next);
                if next & 0x80 == 0 {
                    break;
                }
            }
        }
        let at = self.offset;
        let first = self.byte()?;
        let length = match first {
            0..=0x7F => usize::from(first),
            0x81..=0x84 => {
                let mut length = 0usize;
                for _ in 0..first & 0x7F {
                    length = length << 8 | usize::from(self.byte()?);
                }
                length
            }
            byte => return Err(TlvError::Length { offset: at, byte }),
        };
        let end = self.offset.checked_add(length).filter(|end| *end <= self.input.len());
        let end = end.ok_or(TlvError::Truncated { offset: self.input.len() })?;
        let value = &self.input[self.offset..end];
        self.offset = end;
        Ok(Tlv { tag: Tag(tag), value, raw: &self.input[start..end] })
    }
}

/// Appends a BER length in its shortest form.
pub fn write_length(out: &mut Vec<u8>, length: usize) {
    let bytes = length.to_be_bytes();
    if length < 0x80 {
        out.push(bytes[bytes.len() - 1]);
        return;
    }
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
    // A usize has at most eight bytes.
    #[allow(clippy::cast_possible_truncation)]
    out.push(0x80 | (bytes.len() - start) as u8);
    out.extend_from_slice(&bytes[start..]);
}

/// Appends one object.
pub fn write(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    tag.write(out);
    write_length(out, value.len());
    out.extend_from_slice(value);
}

/// One object as bytes: `object(0x4F, aid)`.
#[must_use]
pub fn object(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 6);
    write(&mut out, Tag(tag), value);
    out
}

/// A constructed object of the given parts, which are objects already.
#[must_use]
pub fn constructed(tag: u32, parts: &[&[u8]]) -> Vec<u8> {
    object(tag, &parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_shortest_form_and_read_back() {
        for (length, coded) in [
            (0usize, "00"),
            (127, "7f"),
            (128, "8180"),
            (255, "81ff"),
            (256, "820100"),
            (65535, "82ffff"),
            (65536, "83010000"),
        ] {
            let mut out = Vec::new();
            write_length(&mut out, length);
            assert_eq!(hex::encode(&out), coded);
            let built = object(0x9F7F, &vec![0xA5; length]);
            let (tlv, rest) = Tlv::read(&built).unwrap();
            assert_eq!((tlv.tag, tlv.value.len(), rest.len()), (Tag(0x9F7F), length, 0));
            assert_eq!(tlv.raw, built);
        }
    }

    #[test]
    fn malformed_objects_are_refused_with_their_offset() {
        for (input, error) in [
            ("", TlvError::Truncated { offset: 0 }),
            ("66", TlvError::Truncated { offset: 1 }),
            ("6601", TlvError::Truncated { offset: 2 }),
            ("6680", TlvError::Length { offset: 1, byte: 0x80 }),
            ("6685", TlvError::Length { offset: 1, byte: 0x85 }),
            ("6684ffffffff", TlvError::Truncated { offset: 6 }),
            ("1f8181818101", TlvError::Tag { offset: 0 }),
            ("9f", TlvError::Truncated { offset: 1 }),
        ] {
            let bytes = hex::decode(input).unwrap();
            assert_eq!(Tlv::read(&bytes).unwrap_err(), error, "{input}");
        }
    }

    #[test]
    fn a_tree_is_walked_by_tag() {
        let tree =
            constructed(0x66, &[&constructed(0x73, &[&object(0x06, &[1, 2]), &object(0x9F65, &[0xFF])])]);
        let (outer, _) = Tlv::read(&tree).unwrap();
        let inner = outer.child(Tag(0x73)).unwrap();
        assert_eq!(inner.child(Tag(0x9F65)).unwrap().value, [0xFF]);
        assert_eq!(inner.child(Tag(0x64)), Err(TlvError::Missing(Tag(0x64))));
        assert!(outer.tag.is_constructed() && !Tag(0x9F65).is_constructed());
    }
}
