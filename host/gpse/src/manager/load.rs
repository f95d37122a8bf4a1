//! INSTALL \[for load\] and LOAD (sections 11.5.2.3.1 and 11.6).
//!
//! ```text
//! 80 E6 02 00  Lc  LV load file, domain (empty: the one addressed), hash, parameters, token    Le 00 -> 00
//!                  parameters { EF { C6 code, C7 volatile, C8 non-volatile memory, CD, DD } }
//! 80 E8 00|80 nn  Lc  C4 len load file data block, cut anywhere behind the length               Le 00 -> 00
//!                  80: the last block; nn from 00 in order
//! SW 6985 AID taken, not allowed, no loading under way or wrong number; 6A80 data, hash, structure; 6A84 memory;
//!    6438 an imported package is missing or too old; 6A88 domain unknown; 6A86 P1 P2
//! ```
//! Blocks are gathered in volatile memory: nothing is written before the last one. Any refusal, any other command to
//! the domain and the end of the session end the loading. DAP blocks (E2) and ciphered load files (D3, D4) belong to
//! functions this card lacks and are wrong data to it, as tokens are.

use std::borrow::Cow;

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::{Aid, StatusWord};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::install::Fields;
use super::load_file::{self, Structure};
use super::{success, Answer, Fault, GpSe};
use crate::faults;
use crate::registry::LoadFile;
use crate::runtime::{Channel, FreeMemory};

const P1_LAST: u8 = 0x80;
const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;
const REFUSED: StatusWord = StatusWord::CONDITIONS_NOT_SATISFIED;
/// The confirmation's length: there is none.
const NO_CONFIRMATION: [u8; 1] = [0];

/// System specific parameters, and the memory requirements in them (table 11-49).
const TAG_SYSTEM_PARAMETERS: Tag = Tag(0xEF);
const TAG_CODE_MEMORY: Tag = Tag(0xC6);
const TAG_VOLATILE_MEMORY: Tag = Tag(0xC7);
const TAG_NON_VOLATILE_MEMORY: Tag = Tag(0xC8);
/// Format of the load file data block, and parameters for it; this card knows one format and needs no parameters.
const TAG_BLOCK_FORMAT: Tag = Tag(0xCD);
const TAG_BLOCK_PARAMETERS: Tag = Tag(0xDD);

/// A loading under way on a channel.
pub(crate) struct Loading {
    package: Aid,
    domain: Aid,
    hash: Vec<u8>,
    /// Number of the block due next; `None` behind the last that there can be.
    next_block: Option<u8>,
    /// Bytes of the load file with the tag and length in front, once the first block is there.
    expected: usize,
    /// How many of them are tag and length.
    head: usize,
    gathered: Vec<u8>,
}

impl Loading {
    /// Takes one block; whether it was the last.
    fn take(&mut self, command: &CommandApdu, free: FreeMemory) -> Result<bool, StatusWord> {
        if command.p1 & !P1_LAST != 0 {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        let number = self.next_block.filter(|number| *number == command.p2).ok_or(REFUSED)?;
        if command.data().is_empty() {
            return Err(WRONG_DATA);
        }
        if number == 0 {
            let (head, length) = load_file::head(command.data()).ok_or(WRONG_DATA)?;
            // Said at once: what cannot fit need not be sent.
            if u32::try_from(length).map_or(true, |length| length > free.persistent) {
                return Err(StatusWord::NOT_ENOUGH_MEMORY);
            }
            (self.head, self.expected) = (head, head + length);
            self.gathered.reserve_exact(self.expected);
        }
        let is_last = command.p1 == P1_LAST;
        let length = self.gathered.len() + command.data().len();
        if length > self.expected || is_last && length != self.expected {
            return Err(WRONG_DATA);
        }
        self.gathered.extend_from_slice(command.data());
        self.next_block = number.checked_add(1);
        Ok(is_last)
    }

    fn block(&self) -> &[u8] {
        self.gathered.get(self.head..).unwrap_or_default()
    }

    /// Whether the block is the one that was announced; without a hash, any is.
    fn has_right_hash(&self) -> bool {
        let block = self.block();
        let digest = match self.hash.len() {
            0 => return true,
            20 => Sha1::digest(block).to_vec(),
            32 => Sha256::digest(block).to_vec(),
            48 => Sha384::digest(block).to_vec(),
            _ => Sha512::digest(block).to_vec(),
        };
        digest.ct_eq(&self.hash).into()
    }
}

impl GpSe {
    /// Free memory as the runtime or else the profile has it.
    pub(super) fn free_memory(&self) -> FreeMemory {
        self.runtime.free_memory().unwrap_or(FreeMemory {
            persistent: self.core.profile.free_persistent,
            transient: self.core.profile.free_transient,
        })
    }

    /// INSTALL \[for load\].
    pub(super) fn install_for_load(
        &mut self,
        channel: Channel,
        actor: &Aid,
        data: &[u8],
    ) -> Result<(), Fault> {
        let fields = Fields::<5>::parse(data)?;
        self.core.may_manage_content(actor)?;
        let package = fields.aid(0)?;
        let domain = if fields.0[1].is_empty() { *actor } else { fields.aid(1)? };
        let hash = fields.0[2];
        if !matches!(hash.len(), 0 | 20 | 32 | 48 | 64) {
            return Err(WRONG_DATA.into());
        }
        let wanted = memory_requirements(fields.0[3])?;
        if self.core.registry.domain(&domain).is_none() {
            return Err(StatusWord::REFERENCED_DATA_NOT_FOUND.into());
        }
        if self.core.registry.knows(&package) || !self.core.registry.is_under(&domain, actor) {
            return Err(REFUSED.into());
        }
        let free = self.free_memory();
        if wanted.persistent > free.persistent || wanted.transient > free.transient {
            return Err(StatusWord::NOT_ENOUGH_MEMORY.into());
        }
        self.core.channel_mut(channel).loading = Some(Loading {
            package,
            domain,
            hash: hash.to_vec(),
            next_block: Some(0),
            expected: 0,
            head: 0,
            gathered: Vec::new(),
        });
        Ok(())
    }

    /// LOAD. A refusal ends the loading, and nothing is left of it.
    pub(super) fn load(&mut self, channel: Channel, command: &CommandApdu) -> Answer {
        let free = self.free_memory();
        let mut loading = self.core.channel_mut(channel).loading.take().ok_or(REFUSED)?;
        let mut command = Cow::Borrowed(command);
        if let (Some(due), true) =
            (loading.next_block, self.core.has_fault(faults::Fault::LoadBlockOrderIgnored))
        {
            command.to_mut().p2 = due;
        }
        if loading.take(&command, free)? {
            self.enter_load_file(&loading)?;
        } else {
            self.core.channel_mut(channel).loading = Some(loading);
        }
        success(NO_CONFIRMATION)
    }

    fn enter_load_file(&mut self, loading: &Loading) -> Result<(), Fault> {
        if !loading.has_right_hash() {
            tracing::warn!(package = %loading.package, "load file refused: not the one whose hash was announced");
            return Err(WRONG_DATA.into());
        }
        let Structure { imports } = load_file::check(loading.block(), &loading.package).map_err(|error| {
            tracing::warn!(package = %loading.package, %error, "load file refused");
            WRONG_DATA
        })?;
        // Another channel may have been faster.
        if self.core.registry.knows(&loading.package) || self.core.registry.domain(&loading.domain).is_none()
        {
            return Err(REFUSED.into());
        }
        let loaded = self.runtime.load(loading.package, loading.block()).map_err(Fault::from);
        let result = loaded.and_then(|package| {
            let mut next = self.core.registry.clone();
            next.load_files.push(LoadFile {
                aid: loading.package,
                domain: loading.domain,
                version: package.version,
                modules: package.modules,
                imports,
                in_rom: false,
            });
            // Publishing is the commit; whatever fails before it leaves nothing behind.
            self.core.commit(next)
        });
        self.runtime.settle(&self.core.registered())?;
        result
    }
}

/// The memory that load or install parameters ask for; code and data count together.
pub(super) fn memory_requirements(field: &[u8]) -> Result<FreeMemory, StatusWord> {
    let mut wanted = FreeMemory { persistent: 0, transient: 0 };
    for object in Tlv::read_all(field).map_err(|_| WRONG_DATA)? {
        // B6 would name a token, which this card cannot honour.
        if object.tag != TAG_SYSTEM_PARAMETERS {
            return Err(WRONG_DATA);
        }
        for parameter in object.children().map_err(|_| WRONG_DATA)? {
            match parameter.tag {
                TAG_CODE_MEMORY | TAG_NON_VOLATILE_MEMORY => {
                    wanted.persistent = wanted.persistent.saturating_add(memory_size(parameter.value)?);
                }
                TAG_VOLATILE_MEMORY => wanted.transient = memory_size(parameter.value)?,
                TAG_BLOCK_FORMAT | TAG_BLOCK_PARAMETERS => {}
                _ => return Err(WRONG_DATA),
            }
        }
    }
    Ok(wanted)
}

/// Two or four bytes (section 11.5.2.3.7).
pub(super) fn memory_size(value: &[u8]) -> Result<u32, StatusWord> {
    match *value {
        [a, b] => Ok(u32::from(u16::from_be_bytes([a, b]))),
        [a, b, c, d] => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(WRONG_DATA),
    }
}
