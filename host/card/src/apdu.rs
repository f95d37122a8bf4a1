//! Command and response APDUs (ISO/IEC 7816-3 section 12.1: cases 1 to 4, short and extended).

use std::fmt;

use jpkise_wire::StatusWord;
use zeroize::Zeroizing;

/// What a command's data field hides. The trace writes this name in place of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretKind {
    /// The 4-digit PIN of the user-authentication key (利用者証明用暗証番号).
    Pin,
    /// The signature password (署名用パスワード).
    Password,
    /// A PIN or password where the command alone does not tell which.
    ReferenceData,
    /// A temporary PIN or password under Key-DEK.
    Temporary,
    /// Static key material, enciphered or not.
    Key,
    /// Bytes that are no command APDU: what they hold is not known, so none are shown.
    Malformed,
}

impl SecretKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Pin, Self::Password, Self::ReferenceData, Self::Temporary, Self::Key, Self::Malformed];

    /// Stable name for traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Password => "password",
            Self::ReferenceData => "reference-data",
            Self::Temporary => "temporary",
            Self::Key => "key",
            Self::Malformed => "malformed",
        }
    }
}

/// Ne, the number of answer bytes expected: 1 to 65,536, or as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expected(u32);

impl Expected {
    /// Le 00 of a short APDU: up to 256 bytes.
    pub const ALL_SHORT: Self = Self(256);
    /// Le 0000 of an extended APDU: up to 65,536 bytes.
    pub const ALL_EXTENDED: Self = Self(65_536);

    /// `ne` answer bytes, 1 to 65,536.
    pub const fn new(ne: u32) -> Option<Self> {
        if ne == 0 || ne > 65_536 {
            None
        } else {
            Some(Self(ne))
        }
    }

    /// From a short Le byte; 00 is 256.
    pub const fn from_short(le: u8) -> Self {
        if le == 0 {
            Self::ALL_SHORT
        } else {
            Self(le as u32)
        }
    }

    /// The number of bytes.
    pub const fn ne(self) -> usize {
        self.0 as usize
    }
}

/// Why bytes are no command APDU, or parts make none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApduError {
    /// Fewer than the four header bytes.
    #[error("a command APDU has at least 4 bytes, not {0}")]
    TooShort(usize),
    /// Lc, data and Le do not add up to the length.
    #[error("Lc, data and Le do not fit the length of {0} bytes")]
    Length(usize),
    /// More than 65,535 data bytes.
    #[error("{0} data bytes do not fit an APDU")]
    TooLong(usize),
    /// An answer of fewer than two bytes.
    #[error("an answer has at least the two bytes of the status word, not {0}")]
    NoStatusWord(usize),
}

/// A command APDU. Its data is wiped on drop; `Debug` shows the header and lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandApdu {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    data: Zeroizing<Vec<u8>>,
    expected: Option<Expected>,
    extended: bool,
    secret: Option<SecretKind>,
}

impl CommandApdu {
    /// Most data bytes in a short APDU.
    pub const SHORT_MAX: usize = 255;

    /// A case 1 command: header only.
    pub fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Self {
            cla,
            ins,
            p1,
            p2,
            data: Zeroizing::new(Vec::new()),
            expected: None,
            extended: false,
            secret: None,
        }
    }

    /// With this data field (at most 65,535 bytes; [`Self::to_bytes`] refuses more).
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = Zeroizing::new(data.into());
        self
    }

    /// With this Le.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = Some(expected);
        self
    }

    /// With Le 00, the form in which GlobalPlatform commands ask for their answer.
    #[must_use]
    pub fn expecting_all(self) -> Self {
        self.expecting(Expected::ALL_SHORT)
    }

    /// Without Le.
    #[must_use]
    pub fn expecting_nothing(mut self) -> Self {
        self.expected = None;
        self
    }

    /// In extended length, even where the short form would do; a command without data and Le has no such form.
    #[must_use]
    pub fn in_extended_form(mut self) -> Self {
        self.extended = true;
        self
    }

    /// Marks the data field as a secret of this kind.
    #[must_use]
    pub fn hiding(mut self, secret: SecretKind) -> Self {
        self.secret = Some(secret);
        self
    }

    /// The data field, perhaps empty.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Ne, if an answer is expected.
    pub fn expected(&self) -> Option<Expected> {
        self.expected
    }

    /// What its data hides: as marked, or known from the instruction in clear (VERIFY, CHANGE REFERENCE DATA).
    pub fn secret(&self) -> Option<SecretKind> {
        self.secret.or_else(|| {
            let interindustry_clear = self.cla & 0x80 == 0 && self.cla & 0x0C == 0;
            let carries_secret = matches!(self.ins, 0x20 | 0x24 | 0x2C) && !self.data.is_empty();
            (interindustry_clear && carries_secret).then_some(SecretKind::ReferenceData)
        })
    }

    /// Whether the command needs, or was read in, the extended form.
    pub fn is_extended(&self) -> bool {
        self.extended
            || self.data.len() > Self::SHORT_MAX
            || self.expected.is_some_and(|e| e.ne() > Expected::ALL_SHORT.ne())
    }

    /// CLA INS P1 P2.
    pub fn header(&self) -> [u8; 4] {
        [self.cla, self.ins, self.p1, self.p2]
    }

    /// The bytes on the wire, wiped on drop.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ApduError> {
        let mut out = Zeroizing::new(Vec::with_capacity(4 + 3 + self.data.len() + 2));
        out.extend_from_slice(&self.header());
        if self.is_extended() {
            if self.data.is_empty() && self.expected.is_none() {
                return Ok(out);
            }
            out.push(0);
            if !self.data.is_empty() {
                let lc = u16::try_from(self.data.len()).map_err(|_| ApduError::TooLong(self.data.len()))?;
                out.extend_from_slice(&lc.to_be_bytes());
                out.extend_from_slice(&self.data);
            }
            if let Some(Expected(ne)) = self.expected {
                // 65,536 is coded 0000.
                #[allow(clippy::cast_possible_truncation)]
                out.extend_from_slice(&(ne as u16).to_be_bytes());
            }
        } else {
            if !self.data.is_empty() {
                // is_extended() is false, so there are at most 255 bytes.
                #[allow(clippy::cast_possible_truncation)]
                out.push(self.data.len() as u8);
                out.extend_from_slice(&self.data);
            }
            if let Some(Expected(ne)) = self.expected {
                // 256 is coded 00.
                #[allow(clippy::cast_possible_truncation)]
                out.push(ne as u8);
            }
        }
        Ok(out)
    }

    /// Reads a command in any of the seven forms.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApduError> {
        let error = ApduError::Length(bytes.len());
        let &[cla, ins, p1, p2, ref body @ ..] = bytes else {
            return Err(ApduError::TooShort(bytes.len()));
        };
        let command = Self::new(cla, ins, p1, p2);
        match *body {
            [] => Ok(command),
            [le] => Ok(command.expecting(Expected::from_short(le))),
            [0, hi, lo] => Ok(Self { extended: true, ..command }.expecting(extended_le(hi, lo))),
            [0, hi, lo, ref rest @ ..] => {
                let lc = usize::from(u16::from_be_bytes([hi, lo]));
                let (data, tail) = rest.split_at_checked(lc).ok_or(error)?;
                if lc == 0 {
                    return Err(error);
                }
                let command = Self { extended: true, ..command }.with_data(data);
                match *tail {
                    [] => Ok(command),
                    [hi, lo] => Ok(command.expecting(extended_le(hi, lo))),
                    _ => Err(error),
                }
            }
            [0, ..] => Err(error),
            [lc, ref rest @ ..] => {
                let (data, tail) = rest.split_at_checked(usize::from(lc)).ok_or(error)?;
                let command = command.with_data(data);
                match *tail {
                    [] => Ok(command),
                    [le] => Ok(command.expecting(Expected::from_short(le))),
                    _ => Err(error),
                }
            }
        }
    }
}

const fn extended_le(hi: u8, lo: u8) -> Expected {
    match u16::from_be_bytes([hi, lo]) {
        0 => Expected::ALL_EXTENDED,
        ne => Expected(ne as u32),
    }
}

impl fmt::Debug for CommandApdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Lc {}", hex::encode_upper(self.header()), self.data.len())?;
        if let Some(secret) = self.secret() {
            write!(f, " ({})", secret.name())?;
        }
        match self.expected {
            Some(e) => write!(f, " Ne {}", e.ne()),
            None => Ok(()),
        }
    }
}

/// A response APDU.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseApdu {
    /// Data field, perhaps empty.
    pub data: Vec<u8>,
    /// Status word.
    pub sw: StatusWord,
}

impl ResponseApdu {
    /// From data and status word.
    pub fn new(data: impl Into<Vec<u8>>, sw: StatusWord) -> Self {
        Self { data: data.into(), sw }
    }

    /// Reads an answer; at least two bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApduError> {
        let Some((data, &[sw1, sw2])) = bytes.split_last_chunk::<2>() else {
            return Err(ApduError::NoStatusWord(bytes.len()));
        };
        Ok(Self { data: data.to_vec(), sw: StatusWord::new(sw1, sw2) })
    }

    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.data.clone();
        out.extend_from_slice(&self.sw.to_bytes());
        out
    }
}

impl From<StatusWord> for ResponseApdu {
    fn from(sw: StatusWord) -> Self {
        Self::new(Vec::new(), sw)
    }
}

impl fmt::Debug for ResponseApdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {}", self.data.len(), self.sw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seven_forms_read_and_write() {
        let long = "ab".repeat(256);
        let extended_3 = format!("00d60000000100{long}");
        let extended_4 = format!("{extended_3}0000");
        for (hex_bytes, lc, ne) in [
            ("00a40400", 0, None),
            ("00b0000000", 0, Some(256)),
            ("00b0000004", 0, Some(4)),
            ("00200080043132333400", 4, Some(256)),
            ("002000800431323334", 4, None),
            ("00b00000000100", 0, Some(256)),
            ("00b00000000000", 0, Some(65_536)),
            (&extended_3, 256, None),
            (&extended_4, 256, Some(65_536)),
        ] {
            let bytes = hex::decode(hex_bytes).unwrap();
            let command = CommandApdu::parse(&bytes).unwrap();
            assert_eq!(command.data().len(), lc, "{hex_bytes}");
            assert_eq!(command.expected().map(Expected::ne), ne, "{hex_bytes}");
            assert_eq!(*command.to_bytes().unwrap(), bytes, "{hex_bytes}");
        }
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        for hex_bytes in [
            "",
            "00",
            "00a404",
            "00a404000201",
            "00a4040001020304",
            "00b000000001",
            "00d60000000000aa",
            "00d600000000020a",
            "00d6000000000155aabbcc",
        ] {
            assert!(CommandApdu::parse(&hex::decode(hex_bytes).unwrap()).is_err(), "{hex_bytes}");
        }
        let too_long = CommandApdu::new(0, 0xD6, 0, 0).with_data(vec![0; 65_536]);
        assert_eq!(too_long.to_bytes(), Err(ApduError::TooLong(65_536)));
    }

    #[test]
    fn an_answer_needs_its_status_word() {
        assert_eq!(ResponseApdu::parse(&[0x90]), Err(ApduError::NoStatusWord(1)));
        let answer = ResponseApdu::parse(&[1, 2, 0x63, 0xC1]).unwrap();
        assert_eq!((answer.data.as_slice(), answer.sw.tries_left()), (&[1, 2][..], Some(1)));
    }

    #[test]
    fn debug_output_shows_no_data() {
        let verify = CommandApdu::new(0, 0x20, 0, 0x80).with_data(*b"1234");
        assert_eq!(format!("{verify:?}"), "00200080 Lc 4 (reference-data)");
        assert_eq!(format!("{:?}", verify.hiding(SecretKind::Pin)), "00200080 Lc 4 (pin)");
    }
}
