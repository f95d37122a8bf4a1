//! COMPUTE DIGITAL SIGNATURE, GET CHALLENGE and the device key's EXTERNAL AUTHENTICATE.
//!
//! | command | CLA INS P1 P2 | data | Le | answer |
//! |---|---|---|---|---|
//! | COMPUTE DIGITAL SIGNATURE | 80 2A ss tt | input | 00 | 256 bytes; 6982 before VERIFY; 6985 |
//! | | 90 2A ss tt | part of a message (ss 01, 03, 05) | – | 9000, more follows |
//! | GET CHALLENGE | 00 84 00 00 | – | n | n random bytes; n = 16 arms EXTERNAL AUTHENTICATE |
//! | EXTERNAL AUTHENTICATE | 00 82 00 00 | SHA-256(input) ‖ DER ECDSA signature | – | 9000; 6300 |
//!
//! ss is the scheme, tt is 80 for the current EF or 80 + short EF identifier of the key.

use jpkise_card::{CommandApdu, Expected};
use jpkise_wire::Aid;
use serde::{Deserialize, Serialize};

use super::reference::Target;
use super::{CLA_CHAINING, CLA_ISO, CLA_PROPRIETARY};

const INS_COMPUTE_DIGITAL_SIGNATURE: u8 = 0x2A;
const INS_GET_CHALLENGE: u8 = 0x84;
const INS_EXTERNAL_AUTHENTICATE: u8 = 0x82;
/// Bytes of an RSA-2048 signature.
pub const SIGNATURE_LENGTH: usize = 256;
/// Most bytes PKCS#1 v1.5 leaves beside its 11 bytes of padding.
const VERBATIM_MAX: usize = SIGNATURE_LENGTH - 11;
/// Length of a challenge that arms EXTERNAL AUTHENTICATE.
pub const DEVICE_CHALLENGE_LENGTH: usize = 16;
/// What every statement of a device key starts with.
const DEVICE_STATEMENT: &[u8] = b"JPKISE-AUTH1";

/// DigestInfo of SHA-256 up to its digest (RFC 8017 section 9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// P1 of COMPUTE DIGITAL SIGNATURE: what is sent and what the card makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// 00: 1 to 245 bytes, padded PKCS#1 v1.5 as they are. All that most clients know.
    Verbatim,
    /// 01: a message; its bare SHA-256 padded PKCS#1 v1.5.
    BareSha256,
    /// 02: a SHA-256 digest; the card makes the DigestInfo.
    Pkcs1Digest,
    /// 03: a message; hashed on the card, with DigestInfo.
    Pkcs1Message,
    /// 04: a SHA-256 digest; PSS with SHA-256 and random salt.
    PssDigest,
    /// 05: a message; hashed on the card, PSS.
    PssMessage,
}

/// Input that a scheme does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scheme {scheme:?} does not take {length} bytes")]
pub struct SchemeError {
    /// The scheme.
    pub scheme: Scheme,
    /// Bytes given.
    pub length: usize,
}

impl Scheme {
    /// All six, by number.
    pub const ALL: [Self; 6] = [
        Self::Verbatim,
        Self::BareSha256,
        Self::Pkcs1Digest,
        Self::Pkcs1Message,
        Self::PssDigest,
        Self::PssMessage,
    ];

    /// P1.
    pub const fn p1(self) -> u8 {
        match self {
            Self::Verbatim => 0x00,
            Self::BareSha256 => 0x01,
            Self::Pkcs1Digest => 0x02,
            Self::Pkcs1Message => 0x03,
            Self::PssDigest => 0x04,
            Self::PssMessage => 0x05,
        }
    }

    /// Whether the card hashes, so that a message longer than one APDU is chained.
    pub const fn takes_message(self) -> bool {
        matches!(self, Self::BareSha256 | Self::Pkcs1Message | Self::PssMessage)
    }

    const fn accepts(self, length: usize) -> bool {
        match self {
            Self::Verbatim => length >= 1 && length <= VERBATIM_MAX,
            Self::Pkcs1Digest | Self::PssDigest => length == 32,
            Self::BareSha256 | Self::Pkcs1Message | Self::PssMessage => length >= 1,
        }
    }
}

/// The DER DigestInfo of a SHA-256 digest, what [`Scheme::Verbatim`] wants.
pub fn digest_info(digest: &[u8; 32]) -> [u8; 51] {
    let mut out = [0; 51];
    out[..19].copy_from_slice(&SHA256_DIGEST_INFO);
    out[19..].copy_from_slice(digest);
    out
}

/// The command, or for a message longer than 255 bytes the chain of commands; the last one asks for the signature.
pub fn compute(scheme: Scheme, target: Target, input: &[u8]) -> Result<Vec<CommandApdu>, SchemeError> {
    if !scheme.accepts(input.len()) {
        return Err(SchemeError { scheme, length: input.len() });
    }
    let parts: Vec<&[u8]> = input.chunks(CommandApdu::SHORT_MAX).collect();
    let last = parts.len() - 1;
    Ok(parts
        .into_iter()
        .enumerate()
        .map(|(index, part)| {
            let class = if index == last { CLA_PROPRIETARY } else { CLA_CHAINING };
            let command = CommandApdu::new(class, INS_COMPUTE_DIGITAL_SIGNATURE, scheme.p1(), target.p2())
                .with_data(part);
            if index == last {
                command.expecting_all()
            } else {
                command
            }
        })
        .collect())
}

/// GET CHALLENGE of `expected` bytes.
pub fn get_challenge(expected: Expected) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_GET_CHALLENGE, 0, 0).expecting(expected)
}

/// What a device key signs (ECDSA P-256 with SHA-256): `"JPKISE-AUTH1"` ‖ challenge ‖ instance AID ‖ counter ‖
/// SHA-256(input). `counter` is the device counter of DF31, 4 bytes big-endian.
pub fn device_statement(
    challenge: &[u8; DEVICE_CHALLENGE_LENGTH],
    instance: &Aid,
    counter: u32,
    input_digest: &[u8; 32],
) -> Vec<u8> {
    [DEVICE_STATEMENT, challenge, instance.as_bytes(), &counter.to_be_bytes(), input_digest].concat()
}

/// EXTERNAL AUTHENTICATE with a device key's signature over [`device_statement`].
pub fn external_authenticate(input_digest: &[u8; 32], der_signature: &[u8]) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_EXTERNAL_AUTHENTICATE, 0, 0)
        .with_data([input_digest.as_slice(), der_signature].concat())
}

#[cfg(test)]
mod tests {
    use super::super::file::Ef;
    use super::super::{hex_of, INSTANCE_AID};
    use super::*;

    #[test]
    fn a_digest_info_signature_is_one_command() {
        let commands = compute(Scheme::Verbatim, Target::Current, &digest_info(&[0xAB; 32])).unwrap();
        assert_eq!(commands.len(), 1);
        let expected = format!("802A008033{}{}00", "3031300D060960864801650304020105000420", "AB".repeat(32));
        assert_eq!(hex_of(&commands[0]), expected);
        let by_short_id = compute(Scheme::PssDigest, Target::Short(Ef::SIGN_KEY), &[1; 32]).unwrap();
        assert_eq!(hex_of(&by_short_id[0])[..10], *"802A049A20");
        let auth = compute(Scheme::Pkcs1Digest, Target::Short(Ef::AUTH_KEY), &[1; 32]).unwrap();
        assert_eq!(hex_of(&auth[0])[..10], *"802A029720");
    }

    #[test]
    fn long_messages_are_chained_and_only_the_last_command_asks_for_the_signature() {
        for (length, parts) in [(1, 1), (255, 1), (256, 2), (510, 2), (511, 3)] {
            let commands = compute(Scheme::Pkcs1Message, Target::Current, &vec![7; length]).unwrap();
            assert_eq!(commands.len(), parts, "{length}");
            for (index, command) in commands.iter().enumerate() {
                let last = index + 1 == parts;
                assert_eq!(command.cla, if last { 0x80 } else { 0x90 });
                assert_eq!(command.expected().is_some(), last);
                assert!(!command.is_extended());
            }
            assert_eq!(commands.iter().map(|c| c.data().len()).sum::<usize>(), length);
        }
    }

    #[test]
    fn input_of_the_wrong_length_is_refused_before_the_card_sees_it() {
        for (scheme, length) in [
            (Scheme::Verbatim, 0),
            (Scheme::Verbatim, 246),
            (Scheme::Pkcs1Digest, 31),
            (Scheme::Pkcs1Digest, 33),
            (Scheme::PssDigest, 20),
            (Scheme::Pkcs1Message, 0),
        ] {
            assert_eq!(
                compute(scheme, Target::Current, &vec![1; length]).unwrap_err(),
                SchemeError { scheme, length }
            );
        }
        assert!(compute(Scheme::Verbatim, Target::Current, &[1; 245]).is_ok());
    }

    #[test]
    fn a_device_statement_holds_everything_in_order() {
        let statement = device_statement(&[0xCC; 16], &INSTANCE_AID, 0x0102_0304, &[0xDD; 32]);
        let expected = format!(
            "4A504B4953452D4155544831{}D392F00026010000000101020304{}",
            "CC".repeat(16),
            "DD".repeat(32)
        );
        assert_eq!(hex::encode_upper(statement), expected);
        assert_eq!(hex_of(&get_challenge(Expected::new(16).unwrap())), "0084000010");
        assert_eq!(hex_of(&external_authenticate(&[0xDD; 32], &[0x30, 0]))[..12], *"0082000022DD");
    }
}
