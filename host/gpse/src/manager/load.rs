//! INSTALL \[for load\] and LOAD (sections 11.5.2.3.1 and 11.6).
//!
//! ```text
//! 80 E6 02 00  Lc  LV load file, domain (empty: the one addressed), hash, parameters, token    Le 00 -> 00
//!                  parameters { EF { C6 code, C7 volatile, C8 non-volatile memory, CD, DD } }
//! 80 E6 0E 01  Lc  the same, as the beginning of load, install and make selectable in one     Le 00 -> 00
//! 80 E6 0E 03  Lc  LV load file, module, application, privileges, parameters, token: its end  Le 00 -> 00
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
use jpkise_wire::{Aid, StatusWord};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::install::Fields;
use super::load_file::{self, Structure};
use super::parameters::{restriction, Parameters, Purpose};
use super::{success, Answer, Fault, GpSe};
use crate::faults;
use crate::registry::{life_cycle, LoadFile, Registry};
use crate::runtime::{Channel, FreeMemory};

const P1_LAST: u8 = 0x80;
const WRONG_DATA: StatusWord = StatusWord::WRONG_DATA;
const REFUSED: StatusWord = StatusWord::CONDITIONS_NOT_SATISFIED;
/// The confirmation's length: there is none.
const NO_CONFIRMATION: [u8; 1] = [0];

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
    /// The last block has come.
    is_complete: bool,
    /// An INSTALL follows that makes the load file and an application of it at once.
    then_install: bool,
}

impl Loading {
    /// Takes one block; whether it was the last.
    fn take(&mut self, command: &CommandApdu, free: FreeMemory) -> Result<bool, StatusWord> {
        if command.p1 & !P1_LAST != 0 {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        let due = self.next_block.filter(|number| *number == command.p2 && !self.is_complete);
        let number = due.ok_or(REFUSED)?;
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
        then_install: bool,
    ) -> Result<(), Fault> {
        let fields = Fields::<5>::parse(data)?;
        self.core.may_manage_content(actor)?;
        let package = fields.aid(0)?;
        let domain = if fields.0[1].is_empty() { *actor } else { fields.aid(1)? };
        let hash = fields.0[2];
        if !matches!(hash.len(), 0 | 20 | 32 | 48 | 64) {
            return Err(WRONG_DATA.into());
        }
        let parameters = Parameters::parse(fields.0[3], Purpose::Load)?;
        self.core.check_restriction(None, restriction::LOAD)?;
        if self.core.registry.domain(&domain).is_none() {
            return Err(StatusWord::REFERENCED_DATA_NOT_FOUND.into());
        }
        if self.core.registry.knows(&package) || !self.core.registry.is_under(&domain, actor) {
            return Err(REFUSED.into());
        }
        parameters.check_memory(self.free_memory())?;
        self.core.channel_mut(channel).loading = Some(Loading {
            package,
            domain,
            hash: hash.to_vec(),
            next_block: Some(0),
            expected: 0,
            head: 0,
            gathered: Vec::new(),
            is_complete: false,
            then_install,
        });
        Ok(())
    }

    /// LOAD. A refusal ends the loading, and nothing is left of it.
    pub(super) fn load(&mut self, channel: Channel, actor: &Aid, command: &CommandApdu) -> Answer {
        let free = self.free_memory();
        let mut loading = self.core.channel_mut(channel).loading.take().ok_or(REFUSED)?;
        let mut command = Cow::Borrowed(command);
        if let (Some(due), true) =
            (loading.next_block, self.core.has_fault(faults::Fault::LoadBlockOrderIgnored))
        {
            command.to_mut().p2 = due;
        }
        if loading.take(&command, free)? {
            let linked = self.link(actor, &loading);
            // In the combined process this was to see whether it links; what counts comes with the last INSTALL.
            let result = match linked {
                Ok(next) if !loading.then_install => self.core.commit(next),
                other => other.map(drop),
            };
            self.runtime.settle(&self.core.registered())?;
            result?;
            loading.is_complete = true;
        }
        if !loading.is_complete || loading.then_install {
            self.core.channel_mut(channel).loading = Some(loading);
        }
        success(NO_CONFIRMATION)
    }

    /// The second INSTALL of the combined process: load file and application come into being with one commit.
    pub(super) fn install_loaded(&mut self, channel: Channel, actor: &Aid, data: &[u8]) -> Result<(), Fault> {
        let loading = self.core.channel_mut(channel).loading.take();
        let loading = loading.filter(|l| l.then_install && l.is_complete).ok_or(REFUSED)?;
        let fields = Fields::<6>::parse(data)?;
        if fields.aid(0)? != loading.package {
            return Err(REFUSED.into());
        }
        let linked = self.link(actor, &loading);
        let result = linked.and_then(|next| self.install_from(next, actor, &fields, life_cycle::SELECTABLE));
        self.runtime.settle(&self.core.registered())?;
        result
    }

    /// Checks a load file and links it, tentatively: the registry as it will be.
    fn link(&mut self, actor: &Aid, loading: &Loading) -> Result<Registry, Fault> {
        if !loading.has_right_hash() {
            tracing::warn!(package = %loading.package, "load file refused: not the one whose hash was announced");
            return Err(WRONG_DATA.into());
        }
        let Structure { imports } = load_file::check(loading.block(), &loading.package).map_err(|error| {
            tracing::warn!(package = %loading.package, %error, "load file refused");
            WRONG_DATA
        })?;
        // Other channels may have changed what INSTALL [for load] found.
        self.core.may_manage_content(actor)?;
        self.core.check_restriction(None, restriction::LOAD)?;
        let registry = &self.core.registry;
        if registry.knows(&loading.package) || !registry.is_under(&loading.domain, actor) {
            return Err(REFUSED.into());
        }
        let mut next = registry.clone();
        let package = self.runtime.load(loading.package, loading.block())?;
        next.load_files.push(LoadFile {
            aid: loading.package,
            domain: loading.domain,
            version: package.version,
            modules: package.modules,
            imports,
            in_rom: false,
        });
        Ok(next)
    }
}
