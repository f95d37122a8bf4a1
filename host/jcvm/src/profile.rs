//! The properties of a card that are choices of its maker.

use jpkise_cap::exports::Platform;

use crate::store::StoreLayout;

/// Which transmission protocol the applet sees (`APDU.getProtocol`, and how Le is known).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Protocol {
    /// T=1: every case is told apart, Le is known.
    #[default]
    T1,
    /// T=0: P3 is Lc or Le, so a command with data has no Le and 256 is assumed.
    T0,
}

/// Sizes and limits of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The API on the card; a CAP that imports newer packages is refused.
    pub platform: Platform,
    /// Bytes for packages and objects, at most 524280.
    pub persistent: u32,
    /// Bytes of transient memory for applets.
    pub transient: u32,
    /// Bytes of the commit buffer; an entry takes 6 more than its data.
    pub commit_capacity: u32,
    /// Bytes of the APDU buffer, at least 133 (JCRE 9.4); 261 takes any short command.
    pub apdu_buffer: u16,
    /// Protocol over contacts. Contactless is always ISO/IEC 14443-4, which looks like T=1.
    pub protocol: Protocol,
    /// At most this many data bytes come in at a time, as with a small IFSC; `None`: as many as fit the buffer.
    pub incoming_block: Option<u16>,
    /// Whether CAPs that use int are taken.
    pub int_supported: bool,
    /// Whether an applet may register only under AIDs with its package's RID (Applet.register). Many cards do not mind,
    /// and applets under a standard's AID (NDEF) count on that.
    pub same_rid: bool,
    /// Cells of 16 bits for frames and operands.
    pub stack_cells: usize,
    /// Most activations at a time.
    pub call_depth: usize,
    /// Instructions a command may take before the card counts as mute.
    pub instruction_budget: u64,
    /// Named regions of the store for the card manager, with their sizes in bytes.
    pub regions: Vec<(String, u32)>,
}

impl Default for Profile {
    /// A secure element as in phones of the early 2020s.
    fn default() -> Self {
        Self {
            platform: Platform::V3_2_0,
            persistent: 160 * 1024,
            transient: 8 * 1024,
            commit_capacity: 4096,
            apdu_buffer: 261,
            protocol: Protocol::T1,
            incoming_block: None,
            int_supported: true,
            same_rid: true,
            stack_cells: 2048,
            call_depth: 128,
            instruction_budget: 50_000_000,
            regions: vec![("gp".into(), 16 * 1024)],
        }
    }
}

impl Profile {
    pub(crate) fn store_layout(&self) -> StoreLayout {
        StoreLayout {
            heap: self.persistent.min(crate::heap::MAX_HEAP),
            journal: self.commit_capacity / 4 * 4,
            regions: self.regions.clone(),
        }
    }
}
