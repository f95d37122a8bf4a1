//! Card production life cycle data, tag 9F7F, 42 bytes (a practice of card makers, not of the Card Specification).

use crate::commands::AnswerError;
use crate::identity::value_of;

/// A date of CPLC: last digit of the year and day of the year, in BCD.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CplcDate {
    /// The two bytes as they stand.
    pub raw: [u8; 2],
}

impl CplcDate {
    /// Last digit of the year and day of the year (1 to 366); `None` when the bytes are no date.
    pub fn year_digit_and_day(self) -> Option<(u8, u16)> {
        let [a, b] = self.raw;
        let digits = [a >> 4, a & 0x0F, b >> 4, b & 0x0F];
        if digits.iter().any(|d| *d > 9) {
            return None;
        }
        let day = digits[1..].iter().fold(0u16, |n, d| n * 10 + u16::from(*d));
        (1..=366).contains(&day).then_some((digits[0], day))
    }
}

impl std::fmt::Display for CplcDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode_upper(self.raw))
    }
}

impl std::fmt::Debug for CplcDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CplcDate({self})")
    }
}

macro_rules! cplc {
    ($($name:ident: $kind:ty = $length:literal, $text:literal;)*) => {
        /// The fields in their order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Cplc {
            $(#[doc = $text] pub $name: $kind,)*
        }

        impl Cplc {
            /// Stable name, and the field in hexadecimal, in order.
            pub fn fields(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), CplcField::text(&self.$name)),)*]
            }

            fn read(mut rest: &[u8]) -> Option<Self> {
                let cplc = Self {
                    $($name: {
                        let (now, later) = rest.split_at_checked($length)?;
                        rest = later;
                        <$kind as CplcField>::from_bytes(now)?
                    },)*
                };
                rest.is_empty().then_some(cplc)
            }
        }
    };
}

trait CplcField: Sized {
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
    fn text(&self) -> String;
}

impl<const N: usize> CplcField for [u8; N] {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
    fn text(&self) -> String {
        hex::encode_upper(self)
    }
}

impl CplcField for CplcDate {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self { raw: bytes.try_into().ok()? })
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

cplc! {
    ic_fabricator: [u8; 2] = 2, "IC fabricator.";
    ic_type: [u8; 2] = 2, "IC type.";
    operating_system: [u8; 2] = 2, "Operating system identifier.";
    operating_system_date: CplcDate = 2, "Operating system release date.";
    operating_system_level: [u8; 2] = 2, "Operating system release level.";
    ic_fabrication_date: CplcDate = 2, "IC fabrication date.";
    ic_serial: [u8; 4] = 4, "IC serial number.";
    ic_batch: [u8; 2] = 2, "IC batch.";
    module_fabricator: [u8; 2] = 2, "Module fabricator.";
    module_date: CplcDate = 2, "Module packaging date.";
    icc_manufacturer: [u8; 2] = 2, "Card manufacturer.";
    embedding_date: CplcDate = 2, "Embedding date.";
    pre_personalizer: [u8; 2] = 2, "Pre-personaliser.";
    pre_personalization_date: CplcDate = 2, "Pre-personalisation date.";
    pre_personalization_equipment: [u8; 4] = 4, "Pre-personalisation equipment.";
    personalizer: [u8; 2] = 2, "Personaliser.";
    personalization_date: CplcDate = 2, "Personalisation date.";
    personalization_equipment: [u8; 4] = 4, "Personalisation equipment.";
}

impl Cplc {
    /// Length in bytes.
    pub const LENGTH: usize = 42;

    /// Reads 42 bytes, with or without tag 9F7F in front.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        let value = value_of(bytes, 0x9F7F);
        Self::read(value).ok_or(AnswerError::Field { field: "CPLC", length: value.len() })
    }

    /// What tells this chip from every other of its maker: fabricator, type, batch and serial number. Used to count
    /// failed authentications per card.
    pub fn chip_id(&self) -> String {
        hex::encode_upper([&self.ic_fabricator[..], &self.ic_type, &self.ic_batch, &self.ic_serial].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_two_bytes_fall_into_their_fields() {
        let bytes: Vec<u8> = (0..42).collect();
        let mut tagged = vec![0x9F, 0x7F, 0x2A];
        tagged.extend(&bytes);
        for input in [&bytes, &tagged] {
            let cplc = Cplc::parse(input).unwrap();
            assert_eq!(cplc.ic_fabricator, [0, 1]);
            assert_eq!(cplc.ic_serial, [12, 13, 14, 15]);
            assert_eq!(cplc.personalization_equipment, [38, 39, 40, 41]);
            assert_eq!(cplc.fields().len(), 18);
            assert_eq!(cplc.fields()[6], ("ic_serial", "0C0D0E0F".to_owned()));
            assert_eq!(cplc.chip_id(), "0001020310110C0D0E0F");
        }
        for length in [0, 41, 43] {
            assert!(Cplc::parse(&vec![0; length]).is_err());
        }
    }

    #[test]
    fn dates_are_year_digit_and_day() {
        for (raw, date) in [
            ([0x41, 0x23], Some((4, 123))),
            ([0x00, 0x01], Some((0, 1))),
            ([0x93, 0x66], Some((9, 366))),
            ([0x00, 0x00], None),
            ([0x93, 0x67], None),
            ([0x4A, 0x11], None),
        ] {
            assert_eq!(CplcDate { raw }.year_digit_and_day(), date, "{raw:02X?}");
        }
    }
}
