//! REF-AR-DO, one rule; Response-ALL-REF-AR-DO, a list of them.

use jpkise_wire::tlv::{Tag, Tlv, TlvError};

use super::access::Access;
use super::reference::Reference;
use super::tag;

/// Why bytes or parts make no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Malformed TLV.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// A mandatory object is missing.
    #[error("object {0} is missing")]
    Missing(Tag),
    /// Another object stands where this one was due.
    #[error("object {found} where {expected} was due")]
    Unexpected {
        /// Due here.
        expected: Tag,
        /// Standing here.
        found: Tag,
    },
    /// An object that may stand once stands twice.
    #[error("object {0} stands twice")]
    Twice(Tag),
    /// An AID of a length other than 5 to 16.
    #[error("an AID has 5 to 16 bytes, not {0}")]
    AidLength(usize),
    /// A device application identifier of a length other than 0, 20 and 32.
    #[error("a device application identifier has 0, 20 or 32 bytes, not {0}")]
    HashLength(usize),
    /// Not a package name.
    #[error("a package name has 1 to 127 ASCII letters, digits, underscores and dots")]
    PackageName,
    /// A package name in a rule for an applet.
    #[error("a package name stands in carrier rules only, not beside an AID")]
    PackageWithAid,
    /// An APDU-AR-DO that is neither 00, 01 nor filters of 8 bytes.
    #[error("an APDU rule is 00, 01 or filters of 8 bytes; {length} bytes found")]
    ApduArDo {
        /// Length of its value.
        length: usize,
    },
    /// An NFC-AR-DO that is neither 00 nor 01.
    #[error("an NFC rule is 00 or 01; {length} bytes found")]
    NfcArDo {
        /// Length of its value.
        length: usize,
    },
    /// A PERM-AR-DO of a length other than 8.
    #[error("carrier privileges have 8 bytes, not {length}")]
    PermArDo {
        /// Length of its value.
        length: usize,
    },
    /// An AR-DO without any statement.
    #[error("the rule states no access")]
    EmptyAccess,
    /// Text that is no filter.
    #[error("{0:?} is no filter of the form 00A40000/F0FF0000")]
    FilterText(String),
    /// A refresh tag of a length other than 8.
    #[error("a refresh tag has 8 bytes, not {0}")]
    RefreshTagLength(usize),
}

/// How forgiving a reader is. Readers differ in one point only that a rule can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    /// What this project writes and stores: an empty APDU-AR-DO is refused.
    #[default]
    Strict,
    /// As Android reads: an empty APDU-AR-DO means never.
    Android,
}

/// For objects that may stand once.
pub(super) trait Twice<T> {
    fn set_once(&mut self, value: T, tag: Tag) -> Result<(), RuleError>;
}

impl<T> Twice<T> for Option<T> {
    fn set_once(&mut self, value: T, tag: Tag) -> Result<(), RuleError> {
        if self.replace(value).is_some() {
            return Err(RuleError::Twice(tag));
        }
        Ok(())
    }
}

/// One access rule (REF-AR-DO).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// For whom, to what.
    pub reference: Reference,
    /// What is allowed.
    pub access: Access,
}

impl Rule {
    /// A rule.
    pub fn new(reference: Reference, access: Access) -> Self {
        Self { reference, access }
    }

    /// `E2 { E1 … E3 … }`.
    pub fn to_bytes(&self) -> Vec<u8> {
        jpkise_wire::tlv::constructed(
            tag::REF_AR_DO.0,
            &[&self.reference.to_bytes(), &self.access.to_bytes()],
        )
    }

    /// Reads exactly one `E2 { … }`; unknown objects inside are passed over.
    pub fn from_bytes(bytes: &[u8], reading: Reading) -> Result<Self, RuleError> {
        Self::from_value(Tlv::expect(bytes, tag::REF_AR_DO)?, reading, &mut Vec::new())
    }

    /// Reads the value of a REF-AR-DO: REF-DO first, then AR-DO. Unknown objects are put into `ignored`.
    pub fn from_value(value: &[u8], reading: Reading, ignored: &mut Vec<Tag>) -> Result<Self, RuleError> {
        let mut objects = Tlv::read_all(value)?.into_iter();
        let mut due = |expected: Tag| match objects.next() {
            Some(object) if object.tag == expected => Ok(object.value),
            Some(object) => Err(RuleError::Unexpected { expected, found: object.tag }),
            None => Err(RuleError::Missing(expected)),
        };
        let reference = Reference::from_value(due(tag::REF_DO)?, ignored)?;
        let access = Access::from_value(due(tag::AR_DO)?, reading, ignored)?;
        for object in objects {
            match object.tag {
                tag::REF_DO | tag::AR_DO => return Err(RuleError::Twice(object.tag)),
                unknown => ignored.push(unknown),
            }
        }
        Ok(Self { reference, access })
    }
}

/// The rules of an ARA-M as it gives them out, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleList {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Tags of the unknown objects that were passed over.
    pub ignored: Vec<Tag>,
}

impl RuleList {
    /// Reads the value of a Response-ALL-REF-AR-DO. One malformed rule refuses the whole list, as Android does.
    pub fn from_value(value: &[u8], reading: Reading) -> Result<Self, RuleError> {
        let mut list = Self::default();
        for object in Tlv::read_all(value)? {
            match object.tag {
                tag::REF_AR_DO => {
                    let rule = Rule::from_value(object.value, reading, &mut list.ignored)?;
                    list.rules.push(rule);
                }
                unknown => list.ignored.push(unknown),
            }
        }
        Ok(list)
    }

    /// Reads `FF40 { E2 … }`.
    pub fn from_bytes(bytes: &[u8], reading: Reading) -> Result<Self, RuleError> {
        Self::from_value(Tlv::expect(bytes, tag::RESPONSE_ALL_REF_AR_DO)?, reading)
    }
}
