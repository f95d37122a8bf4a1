//! Access rules of the secure element (GlobalPlatform Secure Element Access Control 1.1, "SEAC" below).
//!
//! | module | |
//! |---|---|
//! | [`reference`](mod@reference) | REF-DO: which applet, which device application |
//! | [`access`] | AR-DO: which APDUs, which NFC events, which carrier privileges |
//! | [`rule`] | REF-AR-DO, one rule, and lists of them |
//! | [`answer`] | GET DATA: all, next, specific, refresh tag, configuration; paging |
//! | [`store`] | STORE DATA command objects and their status words |
//! | [`set`] | what an ARA-M does with a command object |
//! | [`card`] | the ARA-M of a card read and written |
//! | [`provide`] | an applet and its rules as one plan |
//! | [`diff`](mod@diff) | from the rules present to the rules desired |
//! | [`file`](mod@file) | the rule file (TOML) |
//! | [`preset`] | filters from a table of commands |
//!
//! Nothing here knows an applet, an app or a phone: who may do what is decided in `jpkise-omapi`.

pub mod access;
pub mod answer;
pub mod card;
pub mod diff;
pub mod file;
pub mod preset;
pub mod provide;
pub mod reference;
pub mod rule;
pub mod set;
pub mod store;

#[cfg(test)]
mod tests;

use jpkise_wire::Aid;

pub use access::{Access, ApduAccess, Filter, Filters, NfcAccess, Permissions};
pub use answer::{AnswerFault, ReadError, RefreshTag};
pub use card::{AraError, Held, Way};
pub use diff::{diff, Change, Plan};
pub use file::{RuleFile, RuleFileError};
pub use provide::{install_with_rules, remove_with_rules, ProvideError, Provision, Withdrawal};
pub use reference::{AidRef, DeviceApp, PackageName, Reference};
pub use rule::{Reading, Rule, RuleError, RuleList};
pub use set::RuleSet;
pub use store::{DeleteTarget, StoreCommand, StoreStatus};

/// The ARA-M, one on each secure element (SEAC section 4.1).
pub const ARA_M_AID: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C, 0x00]);
/// Executable load file of this project's ARA-M.
pub const ARA_PACKAGE_AID: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C]);

/// Tags of the data objects (SEAC chapter 4 and annex).
pub mod tag {
    use jpkise_wire::tlv::Tag;

    /// One rule.
    pub const REF_AR_DO: Tag = Tag(0xE2);
    /// Reference: applet and device application.
    pub const REF_DO: Tag = Tag(0xE1);
    /// Applet by AID; empty for all that no other rule names.
    pub const AID_REF_DO: Tag = Tag(0x4F);
    /// The applet selected by default; always empty.
    pub const AID_REF_DO_DEFAULT: Tag = Tag(0xC0);
    /// Device application (once Hash-REF-DO).
    pub const DEVICE_APP_ID_REF_DO: Tag = Tag(0xC1);
    /// Android package name, carrier rules only.
    pub const PKG_REF_DO: Tag = Tag(0xCA);
    /// Access.
    pub const AR_DO: Tag = Tag(0xE3);
    /// Access to APDUs.
    pub const APDU_AR_DO: Tag = Tag(0xD0);
    /// Access to NFC events.
    pub const NFC_AR_DO: Tag = Tag(0xD1);
    /// Android carrier privileges.
    pub const PERM_AR_DO: Tag = Tag(0xDB);
    /// Answer to GET DATA \[all\].
    pub const RESPONSE_ALL_REF_AR_DO: Tag = Tag(0xFF40);
    /// Answer to GET DATA \[specific\].
    pub const RESPONSE_AR_DO: Tag = Tag(0xFF50);
    /// GET DATA \[next\]; a P1 P2 only, never a tag in an answer.
    pub const NEXT: Tag = Tag(0xFF60);
    /// Refresh tag.
    pub const REFRESH_TAG: Tag = Tag(0xDF20);
    /// Configuration.
    pub const CONFIG: Tag = Tag(0xDF21);
    /// What the device supports.
    pub const DEVICE_CONFIG_DO: Tag = Tag(0xE4);
    /// What the ARA-M supports.
    pub const ARAM_CONFIG_DO: Tag = Tag(0xE5);
    /// Interface version: major, minor, patch.
    pub const INTERFACE_VERSION_DO: Tag = Tag(0xE6);
    /// Command object: store.
    pub const COMMAND_STORE: Tag = Tag(0xF0);
    /// Command object: delete.
    pub const COMMAND_DELETE: Tag = Tag(0xF1);
    /// Command object: new refresh tag.
    pub const COMMAND_UPDATE_REFRESH_TAG: Tag = Tag(0xF2);
    /// Command object: client AIDs.
    pub const COMMAND_REGISTER_CLIENT_AIDS: Tag = Tag(0xF7);
    /// Command object: which client AIDs are registered.
    pub const COMMAND_GET_CLIENT_AIDS: Tag = Tag(0xF6);
    /// Answer to [`COMMAND_GET_CLIENT_AIDS`].
    pub const RESPONSE_CLIENT_AIDS: Tag = Tag(0xFF70);
}
