//! Key information template, tag E0 (GP Card Specification 2.3.1 section 11.3.3.1).
//!
//! ```text
//! E0 { C0 { identifier, version, type, length [, type, length…] } … }
//! extended: C0 { identifier, version, FF type, length 2 …, usage length, usage, access length, access }
//! ```

use jpkise_wire::tlv::{Tag, Tlv};

use crate::commands::AnswerError;

const TAG_TEMPLATE: Tag = Tag(0xE0);
const TAG_KEY: Tag = Tag(0xC0);
/// First byte of a two-byte key type, and mark of the extended format.
const EXTENDED: u8 = 0xFF;

/// A key type (table 11-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyType(pub u8);

impl KeyType {
    /// Name of a type of the table.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x80..=0x84 => "DES",
            0x85 => "TLS PSK",
            0x88 => "AES",
            0x90 => "HMAC-SHA1",
            0x91 => "HMAC-SHA1-160",
            0xA0 => "RSA public exponent",
            0xA1 => "RSA public modulus",
            0xA2 => "RSA private modulus",
            0xA3 => "RSA private exponent",
            0xA4 => "RSA private P",
            0xA5 => "RSA private Q",
            0xA6 => "RSA private PQ",
            0xA7 => "RSA private DP1",
            0xA8 => "RSA private DQ1",
            0xB0 => "ECC public",
            0xB1 => "ECC private",
            0xB2 => "ECC field P",
            0xB3 => "ECC field A",
            0xB4 => "ECC field B",
            0xB5 => "ECC field G",
            0xB6 => "ECC field N",
            0xB7 => "ECC field k",
            0xF0 => "ECC curve reference",
            _ => return None,
        })
    }

    /// Whether SCP03 can use it.
    pub const fn is_aes(self) -> bool {
        self.0 == 0x88
    }
}

/// One component of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyComponent {
    /// Type.
    pub key_type: KeyType,
    /// Length in bytes.
    pub length: u16,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Key identifier.
    pub kid: u8,
    /// Key version number.
    pub kvn: u8,
    /// Components; a symmetric key has one.
    pub components: Vec<KeyComponent>,
    /// Usage qualifier, in the extended format only.
    pub usage: Vec<u8>,
    /// Access byte, in the extended format only.
    pub access: Vec<u8>,
}

/// All keys of a security domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyInformationTemplate {
    /// In the card's order.
    pub keys: Vec<KeyEntry>,
}

impl KeyInformationTemplate {
    /// Reads `E0 { C0 … }`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let mut keys = Vec::new();
        for object in Tlv::read_all(Tlv::expect(bytes, TAG_TEMPLATE)?)? {
            if object.tag == TAG_KEY {
                let error = AnswerError::Field { field: "key information", length: object.value.len() };
                keys.push(KeyEntry::read(object.value).ok_or(error)?);
            }
        }
        Ok(Self { keys })
    }

    /// Versions with three AES keys of identifiers 01 to 03 and one length: the sets SCP03 can use, with that length.
    pub fn scp03_sets(&self) -> Vec<(u8, u16)> {
        let mut versions: Vec<u8> = self.keys.iter().map(|k| k.kvn).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.into_iter().filter_map(|kvn| Some((kvn, self.scp03_set(kvn)?))).collect()
    }

    fn scp03_set(&self, kvn: u8) -> Option<u16> {
        let length = |kid| {
            let key = self.keys.iter().find(|k| k.kvn == kvn && k.kid == kid)?;
            let component = key.components.first().filter(|c| c.key_type.is_aes())?;
            Some(component.length)
        };
        let enc = length(1)?;
        (length(2) == Some(enc) && length(3) == Some(enc)).then_some(enc)
    }
}

impl KeyEntry {
    fn read(value: &[u8]) -> Option<Self> {
        let (&[kid, kvn], rest) = value.split_first_chunk::<2>()?;
        let mut entry = Self { kid, kvn, components: Vec::new(), usage: Vec::new(), access: Vec::new() };
        if rest.first() == Some(&EXTENDED) {
            entry.read_extended(rest)?;
        } else {
            let pairs = rest.chunks_exact(2);
            if !pairs.remainder().is_empty() {
                return None;
            }
            entry.components =
                pairs.map(|p| KeyComponent { key_type: KeyType(p[0]), length: u16::from(p[1]) }).collect();
        }
        (!entry.components.is_empty()).then_some(entry)
    }

    fn read_extended(&mut self, mut rest: &[u8]) -> Option<()> {
        while let [EXTENDED, key_type, hi, lo, ref later @ ..] = *rest {
            let length = u16::from_be_bytes([hi, lo]);
            self.components.push(KeyComponent { key_type: KeyType(key_type), length });
            rest = later;
        }
        for field in [&mut self.usage, &mut self.access] {
            // Cards leave usage and access away.
            let Some((&length, later)) = rest.split_first() else { return Some(()) };
            let (value, later) = later.split_at_checked(usize::from(length))?;
            *field = value.to_vec();
            rest = later;
        }
        rest.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aes_set_is_found_and_an_incomplete_one_is_not() {
        let bytes = hex::decode("e01ec00401308810c00402308810c00403308810c00401208010c00401738820").unwrap();
        let template = KeyInformationTemplate::parse(&bytes).unwrap();
        assert_eq!(template.keys.len(), 5);
        assert_eq!(template.scp03_sets(), [(0x30, 16)]);
        assert_eq!(template.keys[3].components[0].key_type.name(), Some("DES"));
    }

    #[test]
    fn the_extended_format_gives_usage_and_access() {
        let bytes = hex::decode("e00cc00a0130ff88001001380100").unwrap();
        let key = &KeyInformationTemplate::parse(&bytes).unwrap().keys[0];
        assert_eq!(key.components, [KeyComponent { key_type: KeyType(0x88), length: 16 }]);
        assert_eq!((key.usage.as_slice(), key.access.as_slice()), (&[0x38][..], &[0x00][..]));
    }

    #[test]
    fn malformed_templates_are_errors() {
        for text in ["", "e0", "e003c00101", "e004c0020130", "e005c003013088", "e008c0060130ff880010", "c000"]
        {
            let result = KeyInformationTemplate::parse(&hex::decode(text).unwrap());
            // The last but one is complete: usage and access may be missing.
            assert_eq!(result.is_ok(), text == "e008c0060130ff880010", "{text}");
        }
    }
}
