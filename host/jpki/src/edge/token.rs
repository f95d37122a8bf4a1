//! EF 0006, the PKCS#11 token information: 160 bytes, integers big-endian.
//!
//! label 32 ‖ manufacturer 32 ‖ model 16 ‖ serial 16 (ASCII, space padded) ‖ flags ‖ max sessions ‖ sessions ‖ max RW
//! sessions ‖ RW sessions ‖ max PIN length ‖ min PIN length ‖ four memory sizes (4 bytes each) ‖ hardware version 2 ‖
//! firmware version 2 ‖ time 16.

use serde::{Deserialize, Serialize};

use super::EdgeError;

/// Which token the application says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenProfile {
    /// The phone's GP-SE.
    #[default]
    Phone,
    /// The My Number Card.
    Card,
}

impl TokenProfile {
    /// The label by which clients know the token.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Phone => "JPKIAPGPSETOKEN",
            Self::Card => "JPKIAPICCTOKEN2",
        }
    }

    /// The profile a label stands for.
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Phone, Self::Card].into_iter().find(|p| p.label() == label)
    }
}

/// Token information.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Label, at most 32 ASCII characters.
    pub label: String,
    /// Manufacturer, at most 32.
    pub manufacturer: String,
    /// Model, at most 16.
    pub model: String,
    /// Serial number, at most 16.
    pub serial: String,
    /// CK_TOKEN_INFO flags.
    pub flags: u32,
    /// Max sessions, sessions, max RW sessions, RW sessions.
    pub sessions: [u32; 4],
    /// Longest secret in characters.
    pub max_pin_length: u32,
    /// Shortest secret in characters.
    pub min_pin_length: u32,
    /// Total and free public, total and free private memory; FFFFFFFF for "not told".
    pub memory: [u32; 4],
    /// Hardware version, two ASCII characters.
    pub hardware: String,
    /// Firmware version, two ASCII characters.
    pub firmware: String,
    /// Time, 16 characters; nines on a token without a clock.
    pub time: String,
}

impl TokenInfo {
    /// Bytes of EF 0006.
    pub const LENGTH: usize = 160;
    /// Characters of label and manufacturer.
    const LONG: usize = 32;
    /// Characters of model, serial number and time.
    const SHORT: usize = 16;
    /// CKF_RNG, LOGIN_REQUIRED, USER_PIN_INITIALIZED, TOKEN_INITIALIZED: as reported of the plastic card.
    const FLAGS: u32 = 0x0000_040D;
    /// CK_UNAVAILABLE_INFORMATION.
    const UNAVAILABLE: u32 = 0xFFFF_FFFF;

    /// The values of the deployed card under the profile's label, with this project's name as manufacturer. `serial`
    /// has at most 16 ASCII characters.
    pub fn new(profile: TokenProfile, serial: &str) -> Self {
        Self {
            label: profile.label().to_owned(),
            manufacturer: "JPKISE-TEST".to_owned(),
            model: "JPKISE".to_owned(),
            serial: serial.to_owned(),
            flags: Self::FLAGS,
            sessions: [1, 0, 1, 0],
            max_pin_length: 16,
            min_pin_length: 6,
            memory: [Self::UNAVAILABLE; 4],
            hardware: "03".to_owned(),
            firmware: "01".to_owned(),
            time: "9".repeat(Self::SHORT),
        }
    }

    /// The 160 bytes. A text that is too long or not printable ASCII is refused.
    pub fn build(&self) -> Result<[u8; Self::LENGTH], EdgeError> {
        let mut out = Vec::with_capacity(Self::LENGTH);
        put_text(&mut out, "label", &self.label, Self::LONG)?;
        put_text(&mut out, "manufacturer", &self.manufacturer, Self::LONG)?;
        put_text(&mut out, "model", &self.model, Self::SHORT)?;
        put_text(&mut out, "serial", &self.serial, Self::SHORT)?;
        let integers = [self.flags]
            .into_iter()
            .chain(self.sessions)
            .chain([self.max_pin_length, self.min_pin_length])
            .chain(self.memory);
        for integer in integers {
            out.extend_from_slice(&integer.to_be_bytes());
        }
        put_text(&mut out, "hardware version", &self.hardware, 2)?;
        put_text(&mut out, "firmware version", &self.firmware, 2)?;
        put_text(&mut out, "time", &self.time, Self::SHORT)?;
        EdgeError::exactly("token information", &out)
    }

    /// Reads the 160 bytes. Texts end at trailing spaces and NULs, both of which tokens in the field use.
    pub fn parse(bytes: &[u8]) -> Result<Self, EdgeError> {
        let bytes: [u8; Self::LENGTH] = EdgeError::exactly("token information", bytes)?;
        let mut rest = bytes.as_slice();
        let mut take = |length: usize| {
            let (head, tail) = rest.split_at(length);
            rest = tail;
            head
        };
        let text = |field: &[u8]| -> Result<String, EdgeError> {
            let end = field.iter().rposition(|b| !matches!(b, 0 | b' ')).map_or(0, |last| last + 1);
            match field[..end].iter().find(|b| !b.is_ascii()) {
                Some(byte) => Err(EdgeError::Value { what: "text of the token information", value: *byte }),
                None => Ok(field[..end].iter().map(|b| char::from(*b)).collect()),
            }
        };
        let label = text(take(Self::LONG))?;
        let manufacturer = text(take(Self::LONG))?;
        let model = text(take(Self::SHORT))?;
        let serial = text(take(Self::SHORT))?;
        let mut integers = [0u32; 11];
        for integer in &mut integers {
            *integer = u32::from_be_bytes(EdgeError::exactly("integer of the token information", take(4))?);
        }
        let [flags, s1, s2, s3, s4, max_pin_length, min_pin_length, m1, m2, m3, m4] = integers;
        Ok(Self {
            label,
            manufacturer,
            model,
            serial,
            flags,
            sessions: [s1, s2, s3, s4],
            max_pin_length,
            min_pin_length,
            memory: [m1, m2, m3, m4],
            hardware: text(take(2))?,
            firmware: text(take(2))?,
            time: text(take(Self::SHORT))?,
        })
    }

    /// The profile its label stands for, if it is a known one.
    pub fn profile(&self) -> Option<TokenProfile> {
        TokenProfile::from_label(&self.label)
    }
}

fn put_text(out: &mut Vec<u8>, what: &'static str, text: &str, length: usize) -> Result<(), EdgeError> {
    if text.len() > length {
        return Err(EdgeError::Length { what, expected: length, found: text.len() });
    }
    if let Some(byte) = text.bytes().find(|b| !matches!(b, 0x20..=0x7E)) {
        return Err(EdgeError::Value { what, value: byte });
    }
    out.extend_from_slice(text.as_bytes());
    out.resize(out.len() + length - text.len(), b' ');
    Ok(())
}

/// EF 0008: which certificates are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// The signature certificate.
    pub sign: bool,
    /// The user-authentication certificate.
    pub auth: bool,
}

impl Availability {
    /// Bytes of EF 0008; the meaning of the third is not known.
    pub const LENGTH: usize = 3;
    const PRESENT: u8 = 0x8F;

    /// Reads the three bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, EdgeError> {
        let [sign, auth, _]: [u8; Self::LENGTH] = EdgeError::exactly("certificate availability", bytes)?;
        Ok(Self { sign: sign == Self::PRESENT, auth: auth == Self::PRESENT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phone_s_token_information_is_160_bytes_laid_out_as_the_reference_says() {
        let info = TokenInfo::new(TokenProfile::Phone, "0000000012345678");
        let bytes = info.build().unwrap();
        assert_eq!(bytes.len(), 160);
        assert_eq!(bytes[..32], *b"JPKIAPGPSETOKEN                 ");
        assert_eq!(bytes[64..80], *b"JPKISE          ");
        assert_eq!(bytes[80..96], *b"0000000012345678");
        let expected = concat!(
            "0000040d", "00000001", "00000000", "00000001", "00000000", "00000010", "00000006", "ffffffff",
            "ffffffff", "ffffffff", "ffffffff",
        );
        assert_eq!(hex::encode(&bytes[96..140]), expected);
        assert_eq!(bytes[140..144], *b"0301");
        assert_eq!(bytes[144..], *b"9999999999999999");
        assert_eq!(TokenInfo::parse(&bytes).unwrap(), info);
        assert_eq!(info.profile(), Some(TokenProfile::Phone));
        assert_eq!(TokenInfo::new(TokenProfile::Card, "").build().unwrap()[..16], *b"JPKIAPICCTOKEN2 ");
    }

    #[test]
    fn texts_that_do_not_fit_or_are_not_ascii_are_refused() {
        assert!(TokenInfo::new(TokenProfile::Phone, "00000000123456789").build().is_err());
        assert!(TokenInfo::new(TokenProfile::Phone, "シリアル").build().is_err());
        assert!(TokenInfo::parse(&[b' '; 159]).is_err());
        assert!(TokenInfo::parse(&[0xFF; 160]).is_err());
    }

    #[test]
    fn labels_filled_with_nul_are_read_too() {
        let mut bytes = TokenInfo::new(TokenProfile::Card, "1").build().unwrap();
        bytes[15..32].fill(0);
        assert_eq!(TokenInfo::parse(&bytes).unwrap().profile(), Some(TokenProfile::Card));
    }

    #[test]
    fn availability_is_8f_for_a_certificate_that_is_there() {
        let availability = Availability::parse(&[0x8F, 0x00, 0x00]).unwrap();
        assert_eq!((availability.sign, availability.auth), (true, false));
        assert!(Availability::parse(&[0x8F, 0x8F]).is_err());
    }
}
