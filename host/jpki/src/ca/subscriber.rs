//! The person a certificate is for: the basic four attributes (基本4情報) and where they live, romanised.

use std::fmt;

use const_oid::ObjectIdentifier;
use der::asn1::Utf8StringRef;
use der::Any;
use serde::{Deserialize, Serialize};
use time::{Date, Month};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames, OtherName};
use x509_cert::ext::pkix::SubjectAltName;

use crate::certificate::{Cert, CertificateError};
use crate::oid::attribute;

const NAME: ObjectIdentifier = attribute(1);
const NAME_SUBSTITUTES: ObjectIdentifier = attribute(2);
const SEX: ObjectIdentifier = attribute(3);
const BIRTH: ObjectIdentifier = attribute(4);
const ADDRESS: ObjectIdentifier = attribute(5);
const ADDRESS_SUBSTITUTES: ObjectIdentifier = attribute(6);

/// Sex, as the certificate codes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// 1
    Male,
    /// 2
    Female,
    /// 3
    Unknown,
}

impl Sex {
    const fn digit(self) -> &'static str {
        match self {
            Self::Male => "1",
            Self::Female => "2",
            Self::Unknown => "3",
        }
    }
}

/// Name, birth date, sex and address, as the signature certificate's subjectAltName carries them. Not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAttributes {
    /// Family and given name, parted by a full-width space.
    pub name: String,
    /// Birth date.
    pub birth: Date,
    /// Sex.
    pub sex: Sex,
    /// Address.
    pub address: String,
    /// One digit a character of the name: not 0 where a substitute stands for a character outside the set. Empty for
    /// "none", which is coded as zeros.
    pub name_substitutes: String,
    /// The same of the address.
    pub address_substitutes: String,
}

impl fmt::Debug for BasicAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicAttributes(hidden)")
    }
}

/// First day of each era of the calendar, latest first, and its digit in the certificate.
const ERAS: [((i32, Month, u8), char); 5] = [
    ((2019, Month::May, 1), '5'),
    ((1989, Month::January, 8), '4'),
    ((1926, Month::December, 25), '3'),
    ((1912, Month::July, 30), '2'),
    ((1868, Month::January, 25), '1'),
];

/// Era digit and Gregorian date: `419900402`.
fn birth_text(birth: Date) -> String {
    let era = ERAS
        .into_iter()
        .find(|((year, month, day), _)| {
            (birth.year(), birth.month() as u8, birth.day()) >= (*year, *month as u8, *day)
        })
        .map_or('0', |(_, digit)| digit);
    format!("{era}{:04}{:02}{:02}", birth.year(), u8::from(birth.month()), birth.day())
}

fn parse_birth(text: &str) -> Option<Date> {
    let digits = text.get(1..)?;
    if text.len() != 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let month: u8 = digits.get(4..6)?.parse().ok()?;
    let month = Month::try_from(month).ok()?;
    Date::from_calendar_date(digits.get(..4)?.parse().ok()?, month, digits.get(6..)?.parse().ok()?).ok()
}

impl BasicAttributes {
    /// The six otherName entries in the order in which they stand in the certificate: .1 .4 .3 .5 .2 .6.
    pub(super) fn general_names(&self) -> Result<GeneralNames, der::Error> {
        let substitutes = |given: &str, of: &str| {
            if given.is_empty() {
                "0".repeat(of.chars().count())
            } else {
                given.to_owned()
            }
        };
        [
            (NAME, self.name.clone()),
            (BIRTH, birth_text(self.birth)),
            (SEX, self.sex.digit().to_owned()),
            (ADDRESS, self.address.clone()),
            (NAME_SUBSTITUTES, substitutes(&self.name_substitutes, &self.name)),
            (ADDRESS_SUBSTITUTES, substitutes(&self.address_substitutes, &self.address)),
        ]
        .into_iter()
        .map(|(type_id, text)| {
            let value = Any::encode_from(&Utf8StringRef::new(&text)?)?;
            Ok(GeneralName::OtherName(OtherName { type_id, value }))
        })
        .collect()
    }

    /// Reads them from a signature certificate; `None` when it carries none or one of them makes no sense.
    pub fn from_certificate(certificate: &Cert) -> Result<Option<Self>, CertificateError> {
        let Some((_, SubjectAltName(names))) = certificate.extension::<SubjectAltName>()? else {
            return Ok(None);
        };
        let text = |oid: ObjectIdentifier| {
            names.iter().find_map(|name| match name {
                GeneralName::OtherName(other) if other.type_id == oid => {
                    other.value.decode_as::<Utf8StringRef<'_>>().ok().map(|t| t.as_str().to_owned())
                }
                _ => None,
            })
        };
        let sex = match text(SEX).as_deref() {
            Some("1") => Sex::Male,
            Some("2") => Sex::Female,
            _ => Sex::Unknown,
        };
        let (Some(name), Some(birth), Some(address)) = (text(NAME), text(BIRTH), text(ADDRESS)) else {
            return Ok(None);
        };
        Ok(parse_birth(&birth).map(|birth| Self {
            name,
            birth,
            sex,
            address,
            name_substitutes: text(NAME_SUBSTITUTES).unwrap_or_default(),
            address_substitutes: text(ADDRESS_SUBSTITUTES).unwrap_or_default(),
        }))
    }
}

/// Whom a certificate is issued to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The basic four attributes.
    pub attributes: BasicAttributes,
    /// Prefecture, romanised: first L of the subject, OU of the CRL distribution point.
    pub prefecture: String,
    /// Municipality, romanised: second L, and CN of the CRL distribution point.
    pub municipality: String,
}

impl Subscriber {
    /// A person who does not exist, for demonstrations and tests.
    pub fn sample() -> Self {
        Self {
            attributes: BasicAttributes {
                name: "試験\u{3000}花子".to_owned(),
                // 2 April 1990 exists.
                birth: Date::from_calendar_date(1990, Month::April, 2).unwrap_or(Date::MIN),
                sex: Sex::Female,
                address: "東京都千代田区霞が関二丁目１番２号２階".to_owned(),
                name_substitutes: String::new(),
                address_substitutes: String::new(),
            },
            prefecture: "Tokyo-to".to_owned(),
            municipality: "Chiyoda-ku".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_era_digit_changes_on_the_era_s_first_day() {
        for (year, month, day, text) in [
            (2019, 5, 1, "520190501"),
            (2019, 4, 30, "420190430"),
            (1989, 1, 8, "419890108"),
            (1989, 1, 7, "319890107"),
            (1926, 12, 25, "319261225"),
            (1926, 12, 24, "219261224"),
            (1912, 7, 30, "219120730"),
            (1912, 7, 29, "119120729"),
            (1850, 1, 1, "018500101"),
        ] {
            let date = Date::from_calendar_date(year, Month::try_from(month).unwrap(), day).unwrap();
            assert_eq!(birth_text(date), text);
            assert_eq!(parse_birth(text), Some(date));
        }
        for text in ["", "4", "41990", "419901301", "419900230", "4199004020", "4１９9"] {
            assert_eq!(parse_birth(text), None, "{text}");
        }
    }

    #[test]
    fn a_person_is_not_printed() {
        assert!(!format!("{:?}", Subscriber::sample()).contains("花子"));
    }
}
