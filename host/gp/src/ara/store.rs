//! STORE DATA to the ARA-M (SEAC section 4.1.5): one command object, over as many blocks as it needs.
//!
//! ```text
//! 80 E2 10 nn | part of the object; more follows       in the session of the ARA-M's security domain, after
//! 80 E2 90 nn | the last part                          INSTALL [for personalization], or in the ARA-M's own session
//!   F0 { E2 }                  store                   9000, 6381, 6382, 6A80, 6A84, 6A89
//!   F1 { } | { 4F } | { C0 } | { E1 } | { E2 }  delete 9000, 6A80, 6A88
//!   F2 { }                     new refresh tag         9000
//!   F6 { }, F7 { 4F … }        client AIDs             9000
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{self, Tag, Tlv};
use jpkise_wire::{Aid, StatusWord};

use super::reference::{AidRef, Reference};
use super::rule::{Reading, Rule, RuleError};
use super::tag;
use crate::commands::store_data::{blocks, Format};
use crate::commands::BuildError;

/// What a delete command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteTarget {
    /// Every rule.
    All,
    /// The rules of one AID-REF-DO; `All` here means those written for all applets, nothing more.
    Aid(AidRef),
    /// The rules of one reference.
    Reference(Reference),
    /// One rule.
    Rule(Rule),
}

/// A command object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreCommand {
    /// Stores a rule.
    Store(Rule),
    /// Deletes rules.
    Delete(DeleteTarget),
    /// Makes readers read the rules again.
    UpdateRefreshTag,
    /// Sets the AIDs of the ARA-Cs whose rules the ARA-M collects.
    RegisterClientAids(Vec<Aid>),
    /// Asks for them.
    GetClientAids,
}

/// Why a command object is refused, with the status word the ARA-M gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// A command object that does not exist or is not supported.
    #[error("command object {0} is not supported")]
    NotSupported(Tag),
    /// Anything but exactly one command object.
    #[error("{0} bytes stand behind the command object")]
    Trailing(usize),
    /// Its content is malformed.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// An object inside a delete command is unknown.
    #[error("object {0} means nothing in a delete command")]
    Unknown(Tag),
}

impl StoreFault {
    /// The word for this fault (SEAC section 4.1.5).
    pub fn status_word(&self) -> StatusWord {
        match self {
            Self::NotSupported(_) => StatusWord::COMMAND_NOT_SUPPORTED_BY_STRUCTURE,
            Self::Trailing(_) | Self::Rule(_) | Self::Unknown(_) => StatusWord::WRONG_DATA,
        }
    }
}

impl StoreCommand {
    /// The object's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (command, value) = match self {
            Self::Store(rule) => (tag::COMMAND_STORE, rule.to_bytes()),
            Self::Delete(target) => (tag::COMMAND_DELETE, target.to_bytes()),
            Self::UpdateRefreshTag => (tag::COMMAND_UPDATE_REFRESH_TAG, Vec::new()),
            Self::RegisterClientAids(aids) => {
                let aids = aids.iter().flat_map(|aid| tlv::object(tag::AID_REF_DO.0, aid.as_bytes()));
                (tag::COMMAND_REGISTER_CLIENT_AIDS, aids.collect())
            }
            Self::GetClientAids => (tag::COMMAND_GET_CLIENT_AIDS, Vec::new()),
        };
        tlv::object(command.0, &value)
    }

    /// STORE DATA commands in clear, for the session to wrap, each with at most `block_size` bytes of data.
    pub fn commands(&self, block_size: usize) -> Result<Vec<CommandApdu>, BuildError> {
        let format = Format { answer: matches!(self, Self::GetClientAids), ..Format::BER_TLV };
        blocks(format, &self.to_bytes(), block_size)
    }

    /// Reads a command object as an ARA-M does. Unknown objects inside a rule are passed over and put into `ignored`.
    pub fn from_bytes(bytes: &[u8], ignored: &mut Vec<Tag>) -> Result<Self, StoreFault> {
        let (object, rest) = Tlv::read(bytes).map_err(RuleError::from)?;
        if !rest.is_empty() {
            return Err(StoreFault::Trailing(rest.len()));
        }
        match object.tag {
            tag::COMMAND_STORE => {
                let value = Tlv::expect(object.value, tag::REF_AR_DO).map_err(RuleError::from)?;
                Ok(Self::Store(Rule::from_value(value, Reading::Strict, ignored)?))
            }
            tag::COMMAND_DELETE => DeleteTarget::from_value(object.value).map(Self::Delete),
            tag::COMMAND_UPDATE_REFRESH_TAG => empty(&object).map(|()| Self::UpdateRefreshTag),
            tag::COMMAND_GET_CLIENT_AIDS => empty(&object).map(|()| Self::GetClientAids),
            tag::COMMAND_REGISTER_CLIENT_AIDS => {
                let objects = object.children().map_err(RuleError::from)?;
                let aids = objects.iter().map(|object| match AidRef::read(object)? {
                    AidRef::Aid(aid) => Ok(aid),
                    _ => Err(RuleError::AidLength(object.value.len())),
                });
                Ok(Self::RegisterClientAids(aids.collect::<Result<_, RuleError>>()?))
            }
            other => Err(StoreFault::NotSupported(other)),
        }
    }
}

fn empty(object: &Tlv<'_>) -> Result<(), StoreFault> {
    match object.value {
        [] => Ok(()),
        value => Err(StoreFault::Trailing(value.len())),
    }
}

impl DeleteTarget {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::All => Vec::new(),
            Self::Aid(aid) => {
                let mut out = Vec::new();
                aid.write(&mut out);
                out
            }
            Self::Reference(reference) => reference.to_bytes(),
            Self::Rule(rule) => rule.to_bytes(),
        }
    }

    fn from_value(value: &[u8]) -> Result<Self, StoreFault> {
        if value.is_empty() {
            return Ok(Self::All);
        }
        let (object, rest) = Tlv::read(value).map_err(RuleError::from)?;
        if !rest.is_empty() {
            return Err(StoreFault::Trailing(rest.len()));
        }
        let mut ignored = Vec::new();
        let target = match object.tag {
            tag::REF_DO => Self::Reference(Reference::from_value(object.value, &mut ignored)?),
            tag::REF_AR_DO => Self::Rule(Rule::from_value(object.value, Reading::Strict, &mut ignored)?),
            _ => Self::Aid(AidRef::read(&object)?),
        };
        match ignored.first() {
            Some(unknown) => Err(StoreFault::Unknown(*unknown)),
            None => Ok(target),
        }
    }

    /// Whether the command deletes this rule.
    pub fn names(&self, rule: &Rule) -> bool {
        match self {
            Self::All => true,
            Self::Aid(aid) => rule.reference.aid() == *aid,
            Self::Reference(reference) => rule.reference == *reference,
            Self::Rule(named) => rule == named,
        }
    }
}

/// What a status word means after STORE DATA to an ARA-M.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreStatus {
    /// Done.
    Done,
    /// The rule is there, and a rule of the same reference was there before; both count (6381).
    DoneBesideAnother,
    /// Stored without an unknown object (6382).
    DoneWithoutUnknown,
    /// No memory left (6A84).
    NoMemory,
    /// Nothing to delete (6A88).
    NothingToDelete,
    /// A rule of the same reference says the opposite; not stored (6A89).
    Conflict,
    /// The object or its content is not what the ARA-M takes (6A80, 6981, 6700, 6A86).
    Malformed(StatusWord),
    /// Not in a secure channel of the right domain (6982).
    Security,
    /// The sequence was interrupted, or the card is not in a state for it (6984, 6985).
    Conditions(StatusWord),
    /// Anything else; 6581 is a memory fault.
    Other(StatusWord),
}

impl StoreStatus {
    /// Whether the card now is as the command asked.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::DoneBesideAnother | Self::DoneWithoutUnknown)
    }
}

impl From<StatusWord> for StoreStatus {
    fn from(sw: StatusWord) -> Self {
        match sw {
            StatusWord::SUCCESS => Self::Done,
            StatusWord::DUPLICATE_REFERENCE => Self::DoneBesideAnother,
            StatusWord::UNKNOWN_OBJECT_DISCARDED => Self::DoneWithoutUnknown,
            StatusWord::NOT_ENOUGH_MEMORY => Self::NoMemory,
            StatusWord::REFERENCED_DATA_NOT_FOUND => Self::NothingToDelete,
            StatusWord::CONFLICTING_RULE => Self::Conflict,
            StatusWord::WRONG_DATA
            | StatusWord::COMMAND_NOT_SUPPORTED_BY_STRUCTURE
            | StatusWord::WRONG_LENGTH
            | StatusWord::INCORRECT_P1_P2 => Self::Malformed(sw),
            StatusWord::SECURITY_NOT_SATISFIED => Self::Security,
            StatusWord::REFERENCE_DATA_NOT_USABLE | StatusWord::CONDITIONS_NOT_SATISFIED => {
                Self::Conditions(sw)
            }
            other => Self::Other(other),
        }
    }
}
