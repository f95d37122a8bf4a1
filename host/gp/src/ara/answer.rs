//! GET DATA to the ARA-M (SEAC section 4.1.4): no secure channel, answers in pages.
//!
//! ```text
//! 80 CA FF40 | - | 00              all: FF40 { E2 … }                   9000; some cards 6A88 without rules
//! 80 CA FF50 | E1 { … } | 00       specific: FF50 { E3 … }              9000, 6A88 nothing
//! 80 CA FF60 | - | 00              next bytes of either                 9000, 6A88 or 6985 nothing left,
//!                                                                       6984 or 6A84 the rules have changed
//! 80 CA DF20 | - | 00              DF20 08 refresh tag                  9000
//! 80 CA DF21 | E4 { E6 … } | 00    DF21 { E5 { E6 major minor patch } } 9000, 6A88 before SEAC 1.1
//! ```
//!
//! The first page begins with the whole template's tag and length; the following ones continue its value.

use std::fmt;

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::tlv::{self, Tag, Tlv};
use jpkise_wire::StatusWord;

use super::access::Access;
use super::reference::Reference;
use super::rule::{Reading, RuleError, RuleList};
use super::tag;
use crate::commands::{get_data::INS_GET_DATA, CLA_GP};

/// Longest list a reader takes: more is a card gone mad.
const MAX_ANSWER: usize = 1 << 20;
/// How often a list is begun anew because the rules changed under the reader.
const RESTARTS: usize = 3;

fn get(what: Tag, data: &[u8]) -> CommandApdu {
    let bytes = what.0.to_be_bytes();
    CommandApdu::new(CLA_GP, INS_GET_DATA, bytes[2], bytes[3]).with_data(data).expecting_all()
}

/// GET DATA \[all\].
pub fn get_all() -> CommandApdu {
    get(tag::RESPONSE_ALL_REF_AR_DO, &[])
}

/// GET DATA \[specific\]: the access the ARA-M itself works out for this reference.
pub fn get_specific(reference: &Reference) -> CommandApdu {
    get(tag::RESPONSE_AR_DO, &reference.to_bytes())
}

/// GET DATA \[next\].
pub fn get_next() -> CommandApdu {
    get(tag::NEXT, &[])
}

/// GET DATA \[refresh tag\].
pub fn get_refresh_tag() -> CommandApdu {
    get(tag::REFRESH_TAG, &[])
}

/// GET DATA \[config\], telling the device's interface version.
pub fn get_config(device: InterfaceVersion) -> CommandApdu {
    let version = tlv::object(tag::INTERFACE_VERSION_DO.0, &device.0);
    get(tag::CONFIG, &tlv::object(tag::DEVICE_CONFIG_DO.0, &version))
}

/// Interface version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceVersion(pub [u8; 3]);

impl InterfaceVersion {
    /// SEAC 1.1.
    pub const V1_1: Self = Self([1, 1, 0]);

    /// Reads `DF21 { E5 { E6 … } }`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RuleError> {
        let config = Tlv::expect(bytes, tag::CONFIG)?;
        let version = Tlv::expect(Tlv::expect(config, tag::ARAM_CONFIG_DO)?, tag::INTERFACE_VERSION_DO)?;
        version.try_into().map(Self).map_err(|_| RuleError::Missing(tag::INTERFACE_VERSION_DO))
    }
}

/// Changes with every change of the rules, so that a reader knows when to read them again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshTag(pub [u8; 8]);

impl RefreshTag {
    /// Reads `DF20 08 …`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RuleError> {
        let value = Tlv::expect(bytes, tag::REFRESH_TAG)?;
        value.try_into().map(Self).map_err(|_| RuleError::RefreshTagLength(value.len()))
    }
}

impl fmt::Display for RefreshTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for RefreshTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshTag({self})")
    }
}

/// Reads `FF50 { E3 … }`.
pub fn specific_from_bytes(bytes: &[u8], reading: Reading) -> Result<Access, RuleError> {
    let value = Tlv::expect(bytes, tag::RESPONSE_AR_DO)?;
    Access::from_value(Tlv::expect(value, tag::AR_DO)?, reading, &mut Vec::new())
}

/// An answer that does not fit what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerFault {
    /// A status word that is none of those above.
    #[error("the ARA-M answered {0}")]
    Status(StatusWord),
    /// The first page does not begin with the template's tag and a definite length.
    #[error("the first page does not begin with {expected} and its length")]
    Template {
        /// The template asked for.
        expected: Tag,
    },
    /// More bytes came than the template's length says.
    #[error("{found} bytes came, the template has {declared}")]
    TooLong {
        /// Length by the first page, tag and length field included.
        declared: usize,
        /// Length of what came.
        found: usize,
    },
    /// The pages ended before the template was whole.
    #[error("the pages end after {found} bytes, the template has {declared}")]
    TooShort {
        /// Length by the first page, tag and length field included.
        declared: usize,
        /// Length of what came.
        found: usize,
    },
    /// The rules changed while they were read, again and again.
    #[error("the rules changed while they were being read")]
    KeepsChanging,
    /// The content is malformed.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// Puts the pages of a long answer together.
#[derive(Debug, Clone)]
pub struct Pages {
    template: Tag,
    declared: usize,
    bytes: Vec<u8>,
}

impl Pages {
    /// Takes the first page of the answer that `template` (FF40 or FF50) names.
    pub fn first(template: Tag, page: &[u8]) -> Result<Self, AnswerFault> {
        let declared = declared_length(template, page).filter(|length| *length <= MAX_ANSWER);
        let declared = declared.ok_or(AnswerFault::Template { expected: template })?;
        let pages = Self { template, declared, bytes: Vec::new() };
        pages.with(page)
    }

    /// Takes a page that GET DATA \[next\] brought.
    pub fn next(self, page: &[u8]) -> Result<Self, AnswerFault> {
        if page.is_empty() {
            return Err(AnswerFault::TooShort { declared: self.declared, found: self.bytes.len() });
        }
        self.with(page)
    }

    fn with(mut self, page: &[u8]) -> Result<Self, AnswerFault> {
        self.bytes.extend_from_slice(page);
        if self.bytes.len() > self.declared {
            return Err(AnswerFault::TooLong { declared: self.declared, found: self.bytes.len() });
        }
        Ok(self)
    }

    /// Whether GET DATA \[next\] is due.
    pub fn is_incomplete(&self) -> bool {
        self.bytes.len() < self.declared
    }

    /// The whole template, tag and length included.
    pub fn whole(&self) -> Result<&[u8], AnswerFault> {
        if self.is_incomplete() {
            return Err(AnswerFault::TooShort { declared: self.declared, found: self.bytes.len() });
        }
        Ok(&self.bytes)
    }

    /// Its value.
    pub fn value(&self) -> Result<&[u8], AnswerFault> {
        Ok(Tlv::expect(self.whole()?, self.template).map_err(RuleError::from)?)
    }
}

/// Length of the template with its tag and length field, by the head of its first page.
fn declared_length(template: Tag, page: &[u8]) -> Option<usize> {
    let mut head = Vec::new();
    template.write(&mut head);
    let rest = page.strip_prefix(head.as_slice())?;
    let (&first, rest) = rest.split_first()?;
    let (length_bytes, length) = match first {
        0..=0x7F => (0, usize::from(first)),
        0x81..=0x83 => {
            let count = usize::from(first & 0x7F);
            let coded = rest.get(..count)?;
            (count, coded.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)))
        }
        _ => return None,
    };
    Some(head.len() + 1 + length_bytes + length)
}

/// Reading failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The way to the card failed.
    #[error(transparent)]
    Exchange(E),
    /// The ARA-M is faulty.
    #[error(transparent)]
    Answer(AnswerFault),
}

impl<E> From<AnswerFault> for ReadError<E> {
    fn from(fault: AnswerFault) -> Self {
        Self::Answer(fault)
    }
}

impl<E> From<RuleError> for ReadError<E> {
    fn from(fault: RuleError) -> Self {
        Self::Answer(fault.into())
    }
}

/// Reads all rules from the selected ARA-M; `send` exchanges one command with it. Begins anew when the rules change in
/// between.
pub fn read_all<E>(
    mut send: impl FnMut(&CommandApdu) -> Result<ResponseApdu, E>,
    reading: Reading,
) -> Result<RuleList, ReadError<E>> {
    for _ in 0..RESTARTS {
        if let Some(list) = read_once(&mut send, reading)? {
            return Ok(list);
        }
    }
    Err(AnswerFault::KeepsChanging.into())
}

/// `None` when the rules changed between two pages.
fn read_once<E>(
    send: &mut impl FnMut(&CommandApdu) -> Result<ResponseApdu, E>,
    reading: Reading,
) -> Result<Option<RuleList>, ReadError<E>> {
    let answer = send(&get_all()).map_err(ReadError::Exchange)?;
    match answer.sw {
        StatusWord::SUCCESS => {}
        StatusWord::REFERENCED_DATA_NOT_FOUND => return Ok(Some(RuleList::default())),
        sw => return Err(AnswerFault::Status(sw).into()),
    }
    let mut pages = Pages::first(tag::RESPONSE_ALL_REF_AR_DO, &answer.data)?;
    while pages.is_incomplete() {
        let answer = send(&get_next()).map_err(ReadError::Exchange)?;
        match answer.sw {
            StatusWord::SUCCESS => pages = pages.next(&answer.data)?,
            StatusWord::REFERENCE_DATA_NOT_USABLE | StatusWord::NOT_ENOUGH_MEMORY => return Ok(None),
            StatusWord::REFERENCED_DATA_NOT_FOUND | StatusWord::CONDITIONS_NOT_SATISFIED => {
                return Err(
                    AnswerFault::TooShort { declared: pages.declared, found: pages.bytes.len() }.into()
                );
            }
            sw => return Err(AnswerFault::Status(sw).into()),
        }
    }
    Ok(Some(RuleList::from_value(pages.value()?, reading)?))
}

/// Reads the refresh tag from the selected ARA-M.
pub fn read_refresh_tag<E>(
    mut send: impl FnMut(&CommandApdu) -> Result<ResponseApdu, E>,
) -> Result<RefreshTag, ReadError<E>> {
    let answer = send(&get_refresh_tag()).map_err(ReadError::Exchange)?;
    if !answer.sw.is_success() {
        return Err(AnswerFault::Status(answer.sw).into());
    }
    Ok(RefreshTag::from_bytes(&answer.data)?)
}
