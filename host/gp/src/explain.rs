//! Why a card refuses: for a command and a status word, the likely causes in order, each with what to do next.
//!
//! A status word means something else in each command: 6985 in DELETE says that something still depends on the object, in
//! SET STATUS that the state is there already. Causes have stable keys, under which the words for people live; the
//! English here is for developers.

use jpkise_wire::StatusWord;

use crate::error::Stage;

macro_rules! causes {
    ($($name:ident = $key:literal, $text:literal, $next:literal;)*) => {
        /// A cause of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause {
            $(#[doc = $text] $name,)*
        }

        impl Cause {
            /// All causes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Stable key: `cause-…`. The next step's key is the same with `next-` in place of `cause-`.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => concat!("cause-", $key),)* }
            }

            /// Stable key of the next step: `next-…`.
            pub const fn next_key(self) -> &'static str {
                match self { $(Self::$name => concat!("next-", $key),)* }
            }

            /// What it is.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What to do next.
            pub const fn next_step(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

causes! {
    ImportMissing = "import-missing",
        "The load file imports a package, or a version of one, that the card does not have.",
        "Compare the load file's imports with the packages on the card; build against an older API.";
    CapIncompatible = "cap-incompatible",
        "The load file's format is newer than the card, or it was built for another platform.",
        "Build for the Java Card version of the card.";
    LoadFileExists = "load-file-exists",
        "A load file with this AID is on the card already.",
        "List the card; delete the old load file or replace it in one step.";
    AidInUse = "aid-in-use",
        "Something on the card has this AID already.",
        "List the card; choose another instance AID or delete the old one.";
    LoadFileMissing = "load-file-missing",
        "The load file named is not on the card.",
        "List the load files; load it first or correct the AID.";
    ModuleMissing = "module-missing",
        "The load file has no module with this AID.",
        "List the modules of the load file and correct the AID.";
    AppletThrew = "applet-threw",
        "The applet's install method failed: an algorithm or feature the card lacks, or parameters it refuses.",
        "Check the algorithms the applet asks for against the card, and the install parameters.";
    AppletFailed = "applet-failed",
        "The applet ended in an exception it did not catch.",
        "Look at the command's data and at the applet's requirements on the card.";
    ParametersRefused = "parameters-refused",
        "The parameters are malformed or not allowed.",
        "Check tags and lengths of the parameters; try without them.";
    PrivilegesRefused = "privileges-refused",
        "The privileges are not allowed here, or not together.",
        "Ask for fewer privileges; see which the card grants (card capability information).";
    MemoryFull = "memory-full",
        "The card has not enough free memory.",
        "Delete what is not needed; compare the sizes the load needs with the free memory.";
    MemoryFault = "memory-fault",
        "The card could not write its memory.",
        "Try again; if it stays, the card is worn or broken.";
    NoManagementRight = "no-management-right",
        "The security domain may not manage content: it lacks authorised management, or a token is missing.",
        "Open the channel to the issuer security domain, or give the domain the privilege.";
    NotAssociated = "not-associated",
        "The object belongs to another security domain.",
        "Open the channel to the domain it belongs to.";
    StillReferenced = "still-referenced",
        "Something still depends on it: instances of the load file, a package that imports it, or content of the domain.",
        "Delete what depends on it first, or delete with related objects.";
    DeletionUnsupported = "deletion-unsupported",
        "The card does not delete objects of this kind.",
        "Nothing can be done on this card; use a new AID.";
    NotOnCard = "not-on-card",
        "There is no such object, or the domain addressed does not see it.",
        "List the card and correct the AID.";
    CardLocked = "card-locked",
        "The card is locked.",
        "Unlock it with the issuer's keys.";
    CardTerminated = "card-terminated",
        "The card is terminated; this is final.",
        "Take another card.";
    ApplicationLocked = "application-locked",
        "The application or its security domain is locked.",
        "Unlock it from its security domain.";
    NotSelectable = "not-selectable",
        "The instance exists but is not selectable yet.",
        "Make it selectable.";
    AppletRefusedSelect = "applet-refused-select",
        "The applet itself refused to be selected.",
        "See the applet's conditions, for example the interface it may be used on.";
    SameState = "same-state",
        "The object is in this state already, or cannot go there from where it is.",
        "List the card and look at the life cycle.";
    StateForbids = "state-forbids",
        "The life cycle of the card, domain or application does not allow this now.",
        "List the card and look at the life cycles.";
    NoSuchKeySet = "no-such-key-set",
        "The domain has no key set of this version, or an incomplete one.",
        "Read the key information and name a version that is there; 00 takes the default.";
    KeysBlocked = "keys-blocked",
        "The card has blocked authentication after failures; other keys do not help.",
        "Stop trying; ask the issuer how this card is unblocked.";
    CounterExhausted = "counter-exhausted",
        "The key set's sequence counter has reached its end.",
        "Put new keys, through another key set.";
    OtherScp = "other-scp",
        "The domain does not use SCP03.",
        "Read the card data; SCP02 is not supported.";
    NotADomain = "not-a-domain",
        "The selected application is no security domain, or has no secure channel.",
        "Select the security domain.";
    HostKeysDiffer = "host-keys-differ",
        "The card does not accept the host cryptogram although its own fitted.",
        "Do not repeat: tries are counted. Check that all three keys belong together.";
    ChannelAltered = "channel-altered",
        "The command's MAC did not arrive as it was sent.",
        "Check reader and relay; open a new channel.";
    LevelNotOffered = "level-not-offered",
        "The card does not offer this security level.",
        "Ask for a lower level, at least 13 for issuance.";
    ChannelLost = "channel-lost",
        "The secure channel is gone: another application was selected, the card was reset, or a MAC was wrong.",
        "Open a new channel and repeat the step.";
    LevelTooLow = "level-too-low",
        "The session's security level is below what this command needs.",
        "Open the channel at level 13 or 33.";
    KeyDataRefused = "key-data-refused",
        "The key data is refused: wrong type or length, or a version that is not allowed.",
        "Read the key information: a replaced set keeps its type and length; new sets are added, not replaced.";
    CheckValueDiffers = "check-value-differs",
        "The card computed another key check value: it deciphered the key with another Key-DEK.",
        "Check Key-DEK; the old keys are untouched.";
    NoSuchKeyVersion = "no-such-key-version",
        "The version to replace is not there.",
        "Read the key information; add the set instead of replacing it.";
    LastKeySet = "last-key-set",
        "The key set is in use, or the last one.",
        "Open the channel with another set first.";
    TargetMissing = "target-missing",
        "The application is not on the card, or not in this security domain.",
        "List the card; extradite the application or open the channel to its domain.";
    NotPersonalizable = "not-personalizable",
        "The application does not take data through its security domain.",
        "Personalise it in its own secure channel.";
    DataRefused = "data-refused",
        "The receiver refuses the data: an unknown tag, a wrong length, or a value it cannot use.",
        "Compare the data with the receiver's documentation.";
    BlockOrder = "block-order",
        "A block came out of order, or no load or personalisation was open.",
        "Begin again; if it repeats, try smaller blocks.";
    BlockTooLong = "block-too-long",
        "The card or reader does not take a command of this length.",
        "Use smaller blocks.";
    HashDiffers = "hash-differs",
        "Hash, token or signature of the load file does not fit.",
        "Compute the hash over the load file data block without its tag and length.";
    NotSupported = "not-supported",
        "The card does not know this command or this form of it.",
        "Use the form the card's capabilities name.";
    UnknownData = "unknown-data",
        "The card does not have this data object.",
        "Nothing is wrong: the object is optional.";
    NoChannelFree = "no-channel-free",
        "No further logical channel is free, or the card has only one.",
        "Close a channel, or work on the basic one.";
    PlatformFault = "platform-fault",
        "The card's platform failed without saying why.",
        "Reset the card and try again; record a trace if it repeats.";
    ContactlessForbidden = "contactless-forbidden",
        "This is not allowed over the contactless interface.",
        "Use the contact interface.";
}

/// Likely causes, the likeliest first. Never empty for a word that is no success: what a command does not define falls
/// back to what the word means everywhere.
pub fn causes(stage: Stage, sw: StatusWord) -> &'static [Cause] {
    let special = of_command(stage, sw);
    if special.is_empty() {
        everywhere(sw)
    } else {
        special
    }
}

/// [`causes`] of a refused SELECT of the issuer security domain, which is never missing and refuses for itself alone.
pub fn causes_at_issuer(sw: StatusWord) -> &'static [Cause] {
    match sw.0 {
        0x6985 | 0x6999 | 0x6A82 | 0x6D00 => &[Cause::CardTerminated, Cause::ContactlessForbidden],
        _ => causes(Stage::Select, sw),
    }
}

/// What a word means for one command alone.
#[allow(clippy::match_same_arms)] // one table per command, readable on its own
fn of_command(stage: Stage, sw: StatusWord) -> &'static [Cause] {
    use Cause as C;
    match (stage, sw.0) {
        (Stage::Select, 0x6A82) => &[C::NotOnCard, C::NotSelectable, C::ApplicationLocked],
        (Stage::Select, 0x6A81 | 0x6283) => &[C::CardLocked, C::NotSupported],
        (Stage::Select, 0x6999 | 0x6985) => {
            &[C::AppletRefusedSelect, C::ContactlessForbidden, C::CardTerminated]
        }
        (Stage::ManageChannel, 0x6A81 | 0x6881 | 0x6882) => &[C::NoChannelFree, C::NotSupported],

        (Stage::InitializeUpdate, 0x6A88) => &[C::NoSuchKeySet, C::OtherScp],
        (Stage::InitializeUpdate, 0x6982 | 0x6983) => &[C::KeysBlocked, C::CardLocked, C::CardTerminated],
        (Stage::InitializeUpdate, 0x6985) => &[C::CounterExhausted, C::StateForbids, C::ContactlessForbidden],
        (Stage::InitializeUpdate, 0x6D00 | 0x6E00) => &[C::NotADomain],
        (Stage::InitializeUpdate, 0x6A86) => &[C::NoSuchKeySet, C::OtherScp],
        (Stage::ExternalAuthenticate, 0x6300) => &[C::HostKeysDiffer],
        (Stage::ExternalAuthenticate, 0x6982) => &[C::ChannelAltered, C::HostKeysDiffer],
        (Stage::ExternalAuthenticate, 0x6A86) => &[C::LevelNotOffered],
        (Stage::ExternalAuthenticate, 0x6985) => &[C::LevelNotOffered, C::ChannelAltered],
        (Stage::ExternalAuthenticate, 0x6983) => &[C::KeysBlocked],

        (Stage::GetData, 0x6A88 | 0x6A80 | 0x6A82) => &[C::UnknownData],
        (Stage::GetStatus, 0x6A88) => &[C::NotOnCard],

        (Stage::InstallForLoad, 0x6985) => {
            &[C::LoadFileExists, C::NoManagementRight, C::CardLocked, C::StateForbids]
        }
        (Stage::InstallForLoad, 0x6A80) => {
            &[C::LoadFileExists, C::ParametersRefused, C::HashDiffers, C::NotOnCard]
        }
        (Stage::InstallForLoad, 0x6A88) => &[C::TargetMissing],
        (Stage::InstallForLoad, 0x6A84) => &[C::MemoryFull],
        (Stage::Load, 0x6985) => {
            &[C::ImportMissing, C::BlockOrder, C::CapIncompatible, C::HashDiffers, C::NoManagementRight]
        }
        (Stage::Load, 0x6A80 | 0x6438 | 0x6424 | 0x6A88) => {
            &[C::ImportMissing, C::CapIncompatible, C::HashDiffers]
        }
        (Stage::Load, 0x6A86) => &[C::BlockOrder],
        (Stage::Load, 0x6A84) => &[C::MemoryFull],
        (Stage::Load, 0x6700) => &[C::BlockTooLong],
        (Stage::Load, 0x6F00) => &[C::CapIncompatible, C::ImportMissing, C::MemoryFull, C::PlatformFault],

        (Stage::InstallForInstall, 0x6A80) => {
            &[C::AidInUse, C::ParametersRefused, C::PrivilegesRefused, C::AppletThrew]
        }
        (Stage::InstallForInstall, 0x6985) => {
            &[C::AidInUse, C::NoManagementRight, C::PrivilegesRefused, C::AppletThrew, C::StateForbids]
        }
        (Stage::InstallForInstall, 0x6A88 | 0x6A82) => &[C::LoadFileMissing, C::ModuleMissing],
        (Stage::InstallForInstall, 0x6A84) => &[C::MemoryFull],
        (Stage::InstallForInstall, 0x6F00) => &[C::AppletThrew, C::MemoryFull, C::PlatformFault],
        (Stage::MakeSelectable, 0x6A88) => &[C::NotOnCard],
        (Stage::MakeSelectable, 0x6985) => &[C::SameState, C::NoManagementRight],
        (Stage::Extradition, 0x6A88) => &[C::NotOnCard, C::TargetMissing],
        (Stage::Extradition, 0x6985 | 0x6A80) => {
            &[C::NoManagementRight, C::NotAssociated, C::ParametersRefused, C::StateForbids]
        }
        (Stage::Personalization, 0x6A88) => &[C::TargetMissing],
        (Stage::Personalization, 0x6985 | 0x6A80) => {
            &[C::NotPersonalizable, C::TargetMissing, C::ApplicationLocked]
        }
        (Stage::RegistryUpdate, 0x6A80 | 0x6985) => {
            &[C::PrivilegesRefused, C::ParametersRefused, C::NoManagementRight]
        }
        (Stage::RegistryUpdate, 0x6A88) => &[C::NotOnCard],

        (Stage::PutKey, 0x6A80) => &[C::KeyDataRefused],
        (Stage::PutKey, 0x6A88) => &[C::NoSuchKeyVersion],
        (Stage::PutKey, 0x6982 | 0x9485) => &[C::CheckValueDiffers, C::ChannelLost],
        (Stage::PutKey, 0x9484) => &[C::KeyDataRefused, C::NotSupported],
        (Stage::PutKey, 0x6985) => &[C::StateForbids, C::KeyDataRefused],
        (Stage::PutKey, 0x6A84) => &[C::MemoryFull, C::KeyDataRefused],
        (Stage::PutKey, 0x6A86) => &[C::NoSuchKeyVersion, C::KeyDataRefused],

        (Stage::Delete, 0x6A88 | 0x6A82) => &[C::NotOnCard],
        (Stage::Delete, 0x6985) => &[C::StillReferenced, C::NotAssociated, C::DeletionUnsupported],
        (Stage::Delete, 0x6A80) => &[C::NotOnCard, C::StillReferenced],
        (Stage::DeleteKey, 0x6A88 | 0x6A82) => &[C::NoSuchKeyVersion],
        (Stage::DeleteKey, 0x6985 | 0x6A80) => &[C::LastKeySet, C::DeletionUnsupported],

        (Stage::SetStatus, 0x6985 | 0x6A80) => &[C::SameState, C::NoManagementRight, C::StateForbids],
        (Stage::SetStatus, 0x6A88) => &[C::NotOnCard],

        (Stage::StoreData, 0x6A88) => &[C::TargetMissing, C::DataRefused],
        (Stage::StoreData, 0x6A80 | 0x6981) => &[C::DataRefused, C::NotADomain],
        (Stage::StoreData, 0x6985) => &[C::BlockOrder, C::StateForbids],
        (Stage::StoreData, 0x6A86) => &[C::BlockOrder, C::NotSupported],
        (Stage::StoreData, 0x6A84) => &[C::MemoryFull],
        (Stage::StoreData, 0x6700) => &[C::BlockTooLong],
        (Stage::StoreData, 0x6F00) => &[C::AppletFailed],
        _ => &[],
    }
}

/// What a word means whatever the command.
fn everywhere(sw: StatusWord) -> &'static [Cause] {
    use Cause as C;
    match (sw.0, sw.sw1()) {
        (0x9000, _) => &[],
        (0x6283, _) => &[C::CardLocked],
        (0x6581, _) => &[C::MemoryFault],
        (0x6700, _) => &[C::BlockTooLong, C::NotSupported],
        (0x6881, _) => &[C::NoChannelFree],
        (0x6882, _) => &[C::NotADomain, C::NotSupported],
        (0x6982, _) => &[C::ChannelLost, C::LevelTooLow],
        (0x6983 | 0x6984, _) => &[C::KeysBlocked],
        (0x6985, _) => &[C::StateForbids, C::ContactlessForbidden],
        (0x6A80, _) => &[C::DataRefused, C::ParametersRefused],
        (0x6A81, _) => &[C::CardLocked, C::NotSupported],
        (0x6A82 | 0x6A88, _) => &[C::NotOnCard],
        (0x6A84, _) => &[C::MemoryFull],
        (0x6A86 | 0x6B00, _) | (_, 0x6D | 0x6E | 0x68) => &[C::NotSupported, C::NotADomain],
        _ => &[C::PlatformFault],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_of_every_command_has_a_cause() {
        for stage in Stage::ALL {
            for value in 0..=u16::MAX {
                let causes = causes(stage, StatusWord(value));
                assert_eq!(causes.is_empty(), value == 0x9000, "{stage} {value:04X}");
                let unique: BTreeSet<_> = causes.iter().collect();
                assert_eq!(unique.len(), causes.len(), "{stage} {value:04X}");
            }
        }
    }

    #[test]
    fn every_cause_is_met_and_has_keys_of_its_own() {
        let met: BTreeSet<Cause> = Stage::ALL
            .iter()
            .flat_map(|stage| (0..=u16::MAX).flat_map(|v| causes(*stage, StatusWord(v)).iter().copied()))
            .collect();
        let all: BTreeSet<Cause> = Cause::ALL.iter().copied().collect();
        assert_eq!(met, all);
        let keys: BTreeSet<&str> = Cause::ALL.iter().map(|c| c.key()).collect();
        assert_eq!(keys.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert_eq!(cause.key().strip_prefix("cause-"), cause.next_key().strip_prefix("next-"));
            assert!(cause.text().ends_with('.') && cause.next_step().ends_with('.'));
        }
    }

    #[test]
    fn one_word_means_different_things_in_different_commands() {
        for (stage, sw, first) in [
            (Stage::Delete, 0x6985, Cause::StillReferenced),
            (Stage::SetStatus, 0x6985, Cause::SameState),
            (Stage::Load, 0x6985, Cause::ImportMissing),
            (Stage::Load, 0x6438, Cause::ImportMissing),
            (Stage::Load, 0x6A86, Cause::BlockOrder),
            (Stage::Load, 0x6A84, Cause::MemoryFull),
            (Stage::InitializeUpdate, 0x6982, Cause::KeysBlocked),
            (Stage::StoreData, 0x6982, Cause::ChannelLost),
            (Stage::PutKey, 0x9485, Cause::CheckValueDiffers),
            (Stage::GetStatus, 0x6F12, Cause::PlatformFault),
        ] {
            assert_eq!(causes(stage, StatusWord(sw))[0], first, "{stage} {sw:04X}");
        }
    }
}
