//! Parameters of INSTALL (section 11.5.2.3.7, tables 11-48 to 11-56).
//!
//! ```text
//! C9 application parameters
//! EF { C6 code, C7 volatile, C8 non-volatile memory, D7 D8 the same reserved, CF implicit selection, D9 restriction,
//!      CD DD format of the load file data block }
//! B6 reference of a token, which this card cannot honour
//! ```

use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::StatusWord;

use crate::runtime::{Channel, FreeMemory};

const TAG_APPLICATION: Tag = Tag(0xC9);
const TAG_SYSTEM: Tag = Tag(0xEF);
const TAG_TOKEN_REFERENCE: Tag = Tag(0xB6);
const TAG_CODE_MEMORY: u32 = 0xC6;
const TAG_VOLATILE_MEMORY: u32 = 0xC7;
const TAG_NON_VOLATILE_MEMORY: u32 = 0xC8;
const TAG_RESERVED_VOLATILE_MEMORY: u32 = 0xD7;
const TAG_RESERVED_NON_VOLATILE_MEMORY: u32 = 0xD8;
const TAG_BLOCK_FORMAT: u32 = 0xCD;
const TAG_BLOCK_PARAMETERS: u32 = 0xDD;
const TAG_IMPLICIT_SELECTION: u32 = 0xCF;
const TAG_RESTRICTION: u32 = 0xD9;

const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;

/// Functions that can be restricted, D9 (table 11-56).
pub(super) mod restriction {
    pub const DELETE: u8 = 0x01;
    pub const LOAD: u8 = 0x02;
    pub const INSTALL: u8 = 0x04;
    pub const MAKE_SELECTABLE: u8 = 0x08;
    pub const EXTRADITION: u8 = 0x10;
    pub const PERSONALIZATION: u8 = 0x20;
    pub const REGISTRY_UPDATE: u8 = 0x40;
    pub const ALL: u8 = 0x7F;
}

/// Parts of an implicit selection byte (table 11-49).
pub(super) mod implicit_selection {
    pub const CONTACTLESS: u8 = 0x80;
    pub const CONTACT: u8 = 0x40;
    pub const CHANNEL: u8 = 0x1F;
}

/// For which INSTALL they are: what is unknown there is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Load,
    Install,
    RegistryUpdate,
    /// Make selectable and extradition, which take none.
    Other,
}

impl Purpose {
    fn takes(self, tag: u32) -> bool {
        match self {
            Self::Load => matches!(
                tag,
                TAG_CODE_MEMORY
                    | TAG_VOLATILE_MEMORY
                    | TAG_NON_VOLATILE_MEMORY
                    | TAG_BLOCK_FORMAT
                    | TAG_BLOCK_PARAMETERS
            ),
            Self::Install => matches!(
                tag,
                TAG_VOLATILE_MEMORY
                    | TAG_NON_VOLATILE_MEMORY
                    | TAG_RESERVED_VOLATILE_MEMORY
                    | TAG_RESERVED_NON_VOLATILE_MEMORY
                    | TAG_IMPLICIT_SELECTION
            ),
            Self::RegistryUpdate => matches!(tag, TAG_IMPLICIT_SELECTION | TAG_RESTRICTION),
            Self::Other => false,
        }
    }
}

/// What the parameters say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a> {
    /// Value of C9, where it is there.
    pub application: Option<&'a [u8]>,
    /// Memory that must be free; code and data count together.
    pub memory: FreeMemory,
    /// Implicit selection bytes, where there are any.
    pub implicit: Option<Vec<u8>>,
    /// Functions to be restricted.
    pub restriction: u8,
}

impl<'a> Parameters<'a> {
    pub fn parse(field: &'a [u8], purpose: Purpose) -> Result<Self, StatusWord> {
        let memory = FreeMemory { persistent: 0, transient: 0 };
        let mut parameters = Self { application: None, memory, implicit: None, restriction: 0 };
        for object in Tlv::read_all(field).map_err(|_| WRONG_DATA)? {
            match object.tag {
                // Some hosts send it along where it says nothing.
                TAG_APPLICATION if matches!(purpose, Purpose::Install | Purpose::Other) => {
                    parameters.application = Some(object.value);
                }
                TAG_SYSTEM => parameters.read_system(&object, purpose)?,
                // Templates of other specifications (EA of the UICC) are for whom they concern.
                tag if tag != TAG_TOKEN_REFERENCE && purpose == Purpose::Install => {}
                _ => return Err(WRONG_DATA),
            }
        }
        Ok(parameters)
    }

    fn read_system(&mut self, system: &Tlv<'_>, purpose: Purpose) -> Result<(), StatusWord> {
        for parameter in system.children().map_err(|_| WRONG_DATA)? {
            let tag = parameter.tag.0;
            if !purpose.takes(tag) {
                return Err(WRONG_DATA);
            }
            match tag {
                TAG_CODE_MEMORY | TAG_NON_VOLATILE_MEMORY | TAG_RESERVED_NON_VOLATILE_MEMORY => {
                    let size = memory_size(parameter.value)?;
                    self.memory.persistent = self.memory.persistent.saturating_add(size);
                }
                TAG_VOLATILE_MEMORY | TAG_RESERVED_VOLATILE_MEMORY => {
                    let size = memory_size(parameter.value)?;
                    self.memory.transient = self.memory.transient.saturating_add(size);
                }
                TAG_IMPLICIT_SELECTION => {
                    check_implicit(parameter.value)?;
                    self.implicit.get_or_insert_default().extend_from_slice(parameter.value);
                }
                TAG_RESTRICTION => match *parameter.value {
                    [functions] if functions & !restriction::ALL == 0 => self.restriction |= functions,
                    _ => return Err(WRONG_DATA),
                },
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the card has the memory asked for.
    pub fn check_memory(&self, free: FreeMemory) -> Result<(), StatusWord> {
        if self.memory.persistent > free.persistent || self.memory.transient > free.transient {
            return Err(StatusWord::NOT_ENOUGH_MEMORY);
        }
        Ok(())
    }
}

/// Each byte names an interface and a channel that there is; no bytes at all take implicit selection away.
fn check_implicit(bytes: &[u8]) -> Result<(), StatusWord> {
    let interfaces = implicit_selection::CONTACT | implicit_selection::CONTACTLESS;
    let known = |byte: &u8| {
        byte & interfaces != 0
            && byte & !(interfaces | implicit_selection::CHANNEL) == 0
            && usize::from(byte & implicit_selection::CHANNEL) < Channel::COUNT
    };
    if bytes.iter().all(known) {
        Ok(())
    } else {
        Err(WRONG_DATA)
    }
}

/// Two or four bytes.
fn memory_size(value: &[u8]) -> Result<u32, StatusWord> {
    match *value {
        [a, b] => Ok(u32::from(u16::from_be_bytes([a, b]))),
        [a, b, c, d] => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(WRONG_DATA),
    }
}
