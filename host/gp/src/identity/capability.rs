//! Card capability information, tag 67 (GP Card Specification 2.3.1 appendix H.4).
//!
//! ```text
//! 67 { A0 { 80 SCP, 81 i values, 82 key sizes }…, 81 SSD privileges, 82 application privileges,
//!      83 load hash algorithms, 84…87 cipher suites, 88 curves }
//! ```

use jpkise_wire::tlv::{Tag, Tlv};

use crate::commands::AnswerError;
use crate::registry::Privileges;

/// A hash algorithm for load file data blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    fn new(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Sha1,
            2 => Self::Sha256,
            3 => Self::Sha384,
            4 => Self::Sha512,
            _ => return None,
        })
    }

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }
}

/// A secure channel protocol the card supports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScpCapability {
    /// Protocol.
    pub scp: u8,
    /// Values of i.
    pub i: Vec<u8>,
    /// SCP03 key sizes in bits, from the bit map.
    pub key_bits: Vec<u16>,
}

/// What a card can do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CapabilityInformation {
    /// Secure channel protocols.
    pub protocols: Vec<ScpCapability>,
    /// Privileges a supplementary security domain can get.
    pub domain_privileges: Option<Privileges>,
    /// Privileges an application can get.
    pub application_privileges: Option<Privileges>,
    /// Hash algorithms for load file data blocks.
    pub hashes: Vec<HashAlgorithm>,
}

impl CapabilityInformation {
    /// Reads `67 { … }`; a second 67 inside, as some cards send, is opened too.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let mut value = Tlv::expect(bytes, Tag(0x67))?;
        if let Ok(inner) = Tlv::expect(value, Tag(0x67)) {
            value = inner;
        }
        let mut information = Self::default();
        for object in Tlv::read_all(value)? {
            match object.tag {
                Tag(0xA0) => information.protocols.push(protocol(&object)?),
                Tag(0x81) => information.domain_privileges = Some(privileges(&object)?),
                Tag(0x82) => information.application_privileges = Some(privileges(&object)?),
                Tag(0x83) => {
                    information.hashes = object.value.iter().filter_map(|v| HashAlgorithm::new(*v)).collect();
                }
                _ => {}
            }
        }
        Ok(information)
    }
}

fn privileges(object: &Tlv<'_>) -> Result<Privileges, AnswerError> {
    Privileges::new(object.value)
        .ok_or(AnswerError::Field { field: "privileges", length: object.value.len() })
}

fn protocol(template: &Tlv<'_>) -> Result<ScpCapability, AnswerError> {
    let mut capability = ScpCapability::default();
    for object in template.children()? {
        match (object.tag, object.value) {
            (Tag(0x80), &[scp]) => capability.scp = scp,
            (Tag(0x81), values) => capability.i = values.to_vec(),
            (Tag(0x82), &[map]) => {
                let sizes = [(0x01, 128), (0x02, 192), (0x04, 256)];
                capability.key_bits =
                    sizes.into_iter().filter(|(bit, _)| map & bit != 0).map(|(_, bits)| bits).collect();
            }
            _ => {}
        }
    }
    Ok(capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_privileges_and_hashes_are_read() {
        let text = "671ca00c8001038104001060708201078103fffe8082031e000083020102";
        let bytes = hex::decode(text).unwrap();
        let information = CapabilityInformation::parse(&bytes).unwrap();
        assert_eq!(
            information.protocols,
            [ScpCapability { scp: 3, i: vec![0x00, 0x10, 0x60, 0x70], key_bits: vec![128, 192, 256] }]
        );
        assert_eq!(information.domain_privileges.unwrap().to_string(), "FFFE80");
        assert_eq!(information.hashes, [HashAlgorithm::Sha1, HashAlgorithm::Sha256]);
        let mut doubled = vec![0x67, u8::try_from(bytes.len()).unwrap()];
        doubled.extend(&bytes);
        assert_eq!(CapabilityInformation::parse(&doubled).unwrap(), information);
    }

    #[test]
    fn malformed_information_is_an_error() {
        for text in ["", "6701", "67048102ffff", "6600"] {
            assert!(CapabilityInformation::parse(&hex::decode(text).unwrap()).is_err(), "{text}");
        }
    }
}
