//! SELECT and READ BINARY.
//!
//! | command | CLA INS P1 P2 | data | Le | answer |
//! |---|---|---|---|---|
//! | SELECT AP | 00 A4 04 0C | AID | – | 9000; 6A82 |
//! | | 00 A4 04 00 | AID | 00 | 6F { 84 AID } |
//! | SELECT EF | 00 A4 02 0C | id (2) | – | 9000; 6A82 |
//! | | 00 A4 02 00 | id (2) | 00 | 6F { 83 id } |
//! | READ BINARY | 00 B0 offset (15 bits) | – | n | data, at the end fewer bytes with 9000; 6B00 behind it; 6982 |
//! | | 00 B0 80+short id, offset (8 bits) | – | n | the same; the EF becomes the current one |

use std::fmt;

use jpkise_card::{CommandApdu, Expected};
use jpkise_wire::Aid;

use super::CLA_ISO;

const INS_SELECT: u8 = 0xA4;
const INS_READ_BINARY: u8 = 0xB0;
/// Select by DF name (ISO/IEC 7816-4 table 39).
const P1_BY_NAME: u8 = 0x04;
/// Select an EF under the current DF.
const P1_EF: u8 = 0x02;
/// No answer data.
const P2_NO_DATA: u8 = 0x0C;
/// File control information.
const P2_FCI: u8 = 0x00;
/// Bit 8 of P1 of READ BINARY: short EF identifier in bits 1 to 5.
const P1_SHORT_EF: u8 = 0x80;

/// An elementary file of the JPKI application: identifiers 0001 to 001E, each also the short EF identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ef(u8);

impl Ef {
    /// Signature certificate (署名用電子証明書), after the password.
    pub const SIGN_CERTIFICATE: Self = Self(0x01);
    /// CA certificate above it, free.
    pub const SIGN_CA_CERTIFICATE: Self = Self(0x02);
    /// Token information, 160 bytes, free.
    pub const TOKEN_INFO: Self = Self(0x06);
    /// Which certificates are there, 3 bytes, free.
    pub const AVAILABILITY: Self = Self(0x08);
    /// User-authentication certificate (利用者証明用電子証明書): after the PIN on the phone, free on the card.
    pub const AUTH_CERTIFICATE: Self = Self(0x0A);
    /// CA certificate above it, free.
    pub const AUTH_CA_CERTIFICATE: Self = Self(0x0B);
    /// User-authentication private key.
    pub const AUTH_KEY: Self = Self(0x17);
    /// PIN.
    pub const AUTH_PIN: Self = Self(0x18);
    /// Signature private key.
    pub const SIGN_KEY: Self = Self(0x1A);
    /// Signature password.
    pub const SIGN_PASSWORD: Self = Self(0x1B);

    /// From an identifier; `None` outside 0001 to 001E.
    pub const fn new(id: u16) -> Option<Self> {
        if id == 0 || id > 0x1E {
            None
        } else {
            Some(Self(id.to_be_bytes()[1]))
        }
    }

    /// File identifier.
    pub const fn id(self) -> u16 {
        self.0 as u16
    }

    /// Short EF identifier, 1 to 30.
    pub const fn short_id(self) -> u8 {
        self.0
    }

    /// Most bytes the phone's applet keeps in this EF, where it can be written.
    pub const fn capacity(self) -> Option<usize> {
        match self {
            Self::SIGN_CERTIFICATE => Some(2560),
            Self::AUTH_CERTIFICATE => Some(2048),
            Self::SIGN_CA_CERTIFICATE | Self::AUTH_CA_CERTIFICATE => Some(1536),
            Self::TOKEN_INFO => Some(160),
            _ => None,
        }
    }
}

impl fmt::Display for Ef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for Ef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ef({self})")
    }
}

/// Offset of READ BINARY in bytes, 0 to 32,767.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u16);

impl Offset {
    /// Start of the file.
    pub const ZERO: Self = Self(0);

    /// `None` beyond 15 bits.
    pub fn new(offset: usize) -> Option<Self> {
        u16::try_from(offset).ok().filter(|o| *o <= 0x7FFF).map(Self)
    }
}

/// SELECT of an application by its whole AID, without answer data, as every client sends it.
pub fn select_application(aid: &Aid) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_SELECT, P1_BY_NAME, P2_NO_DATA).with_data(aid.as_bytes())
}

/// SELECT of an application that asks for its file control information.
pub fn select_application_fci(aid: &Aid) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_SELECT, P1_BY_NAME, P2_FCI).with_data(aid.as_bytes()).expecting_all()
}

/// SELECT of an EF, without answer data.
pub fn select_ef(ef: Ef) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_SELECT, P1_EF, P2_NO_DATA).with_data(ef.id().to_be_bytes())
}

/// SELECT of an EF that asks for its file control information.
pub fn select_ef_fci(ef: Ef) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_SELECT, P1_EF, P2_FCI).with_data(ef.id().to_be_bytes()).expecting_all()
}

/// READ BINARY of the current EF.
pub fn read_binary(offset: Offset, expected: Expected) -> CommandApdu {
    let [hi, lo] = offset.0.to_be_bytes();
    CommandApdu::new(CLA_ISO, INS_READ_BINARY, hi, lo).expecting(expected)
}

/// READ BINARY by short EF identifier, from an offset in the first 256 bytes; the EF becomes the current one.
pub fn read_binary_short(ef: Ef, offset: u8, expected: Expected) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_READ_BINARY, P1_SHORT_EF | ef.short_id(), offset).expecting(expected)
}

#[cfg(test)]
mod tests {
    use super::super::{hex_of, INSTANCE_AID};
    use super::*;

    #[test]
    fn commands_are_those_of_the_deployed_clients() {
        let four = Expected::new(4).unwrap();
        for (command, bytes) in [
            (select_application(&INSTANCE_AID), "00A4040C0AD392F000260100000001"),
            (select_application_fci(&INSTANCE_AID), "00A404000AD392F00026010000000100"),
            (select_ef(Ef::SIGN_PASSWORD), "00A4020C02001B"),
            (select_ef_fci(Ef::TOKEN_INFO), "00A4020002000600"),
            (read_binary(Offset::ZERO, four), "00B0000004"),
            (read_binary(Offset::new(0x0700).unwrap(), Expected::ALL_SHORT), "00B0070000"),
            (read_binary(Offset::new(0x7FFF).unwrap(), four), "00B07FFF04"),
            (read_binary_short(Ef::AUTH_CERTIFICATE, 0, Expected::ALL_SHORT), "00B08A0000"),
        ] {
            assert_eq!(hex_of(&command), bytes);
        }
        assert!(Offset::new(0x8000).is_none());
    }

    #[test]
    fn only_identifiers_with_a_short_form_are_files() {
        assert_eq!([0x0000, 0x001F, 0x0100, 0xFFFF].map(Ef::new), [None; 4]);
        assert_eq!(Ef::new(0x000B), Some(Ef::AUTH_CA_CERTIFICATE));
    }
}
