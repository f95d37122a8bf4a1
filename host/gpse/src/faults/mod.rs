//! Faults that a simulated card can be given, each breaking one behaviour: what a conformance suite must be able to find.
//!
//! A profile names them in its table `[faults]`; nothing else knows of them. Faults of card manager and secure channel
//! are asked for where the behaviour is ([`FaultSet::has`]). The applets stay as they are: their faults are a
//! decorator around the runtime ([`runtime::FaultyRuntime`]), which changes what reaches the applet and what comes back,
//! and one of the virtual machine's arithmetic ([`crypto::with_wrong_padding`]). All of them begin when a card is put
//! together with its profile, on one that was personalised before too.

mod ara;
pub(crate) mod crypto;
mod jpki;
pub(crate) mod runtime;
mod tap;

use std::fmt;

/// What has the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// SCP03 on the card's side, of security domains and of applets.
    SecureChannel,
    /// Everything else of the card manager.
    CardManager,
    /// The JPKI applet.
    Jpki,
    /// The ARA-M.
    Ara,
}

macro_rules! faults {
    ($([$part:ident] $($variant:ident $key:literal $what:literal;)+)+) => {
        /// One behaviour that is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[doc = $what] $variant,)+)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

            /// The key in a profile's `[faults]`.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $key,)+)+ }
            }

            /// What breaks, in one sentence.
            pub const fn what(self) -> &'static str {
                match self { $($(Self::$variant => $what,)+)+ }
            }

            /// Where.
            pub const fn part(self) -> Part {
                match self { $($(Self::$variant => Part::$part,)+)+ }
            }
        }
    };
}

faults! {
    [SecureChannel]
        MacUnchecked "mac_unchecked" "A command with a wrong C-MAC is carried out.";
        AuthenticationMacUnchecked "authentication_mac_unchecked" "EXTERNAL AUTHENTICATE with a wrong C-MAC opens the session.";
        HostCryptogramUnchecked "host_cryptogram_unchecked" "EXTERNAL AUTHENTICATE with a wrong host cryptogram opens the session.";
        CardCryptogramWrong "card_cryptogram_wrong" "INITIALIZE UPDATE answers a card cryptogram that no key gives.";
        LevelUnchecked "level_unchecked" "EXTERNAL AUTHENTICATE takes a level that the i parameter does not offer.";
        RMacMissing "r_mac_missing" "Answers at a level with R-MAC carry none.";
        RMacWithoutStatus "r_mac_without_status" "The R-MAC does not cover the status word.";
        ResponseInClear "response_in_clear" "Answers at a level with R-ENCRYPTION are not enciphered.";
        ClearCommandAccepted "clear_command_accepted" "A command in clear is carried out inside a session with C-MAC.";
        SessionSurvivesMacError "session_survives_mac_error" "A wrong C-MAC does not end the session.";
        SessionSurvivesSelect "session_survives_select" "SELECT of another application does not end the session.";
        SequenceCounterFrozen "sequence_counter_frozen" "The sequence counter does not move, so that challenges repeat.";
        CardChallengeRepeated "card_challenge_repeated" "Every INITIALIZE UPDATE gets the same card challenge.";
        WrongCryptogramUncounted "wrong_cryptogram_uncounted" "A failed EXTERNAL AUTHENTICATE costs no try.";
        AuthenticationNeverBlocks "authentication_never_blocks" "Used up tries neither block a key version nor slow it down.";
        TriesNotGivenBack "tries_not_given_back" "A successful EXTERNAL AUTHENTICATE leaves the tries as they are.";
    [CardManager]
        KeyCheckValueUnchecked "key_check_value_unchecked" "PUT KEY takes a key whose check value is wrong.";
        KeyCheckValueWrong "key_check_value_wrong" "PUT KEY answers check values of other keys.";
        PutKeyIgnored "put_key_ignored" "PUT KEY is answered as done and changes nothing.";
        StatusWithoutSession "status_without_session" "GET STATUS is answered without a secure channel.";
        StatusOmitsLast "status_omits_last" "GET STATUS leaves out the last entry.";
        StatusMoreUnsaid "status_more_unsaid" "GET STATUS answers 9000 where 6310 would say that more is to come.";
        StatusLifeCycleWrong "status_life_cycle_wrong" "GET STATUS tells INSTALLED for every application.";
        StatusPrivilegesWrong "status_privileges_wrong" "GET STATUS tells no privileges.";
        CardStateIgnored "card_state_ignored" "SET STATUS of the card is answered as done and changes nothing.";
        CardStateBackwards "card_state_backwards" "SET STATUS leads from SECURED back to INITIALIZED.";
        LockIgnored "lock_ignored" "A locked application can be selected.";
        ChannelBeyondLimit "channel_beyond_limit" "MANAGE CHANNEL opens a channel when all are open: the last one once more.";
        ChannelCloseIgnored "channel_close_ignored" "MANAGE CHANNEL close is answered as done; the channel stays open.";
        UnknownInstructionAccepted "unknown_instruction_accepted" "An unknown instruction to a security domain is answered 9000.";
        UnknownAidSelected "unknown_aid_selected" "SELECT of an AID that is not there is answered 9000; the selection stays.";
        PartialAidRefused "partial_aid_refused" "SELECT by a partial name finds nothing.";
        SelectWithoutFci "select_without_fci" "SELECT of a security domain answers no FCI.";
        CplcMissing "cplc_missing" "GET DATA 9F7F is not known.";
        KeyInformationWrong "key_information_wrong" "GET DATA E0 tells AES-256 for keys of every length.";
        DeleteIgnored "delete_ignored" "DELETE is answered as done and deletes nothing.";
        DeleteInUse "delete_in_use" "DELETE takes a domain away that applications are associated with.";
        ExtraditionIgnored "extradition_ignored" "INSTALL for extradition is answered as done and changes nothing.";
        LoadBlockOrderIgnored "load_block_order_ignored" "LOAD takes blocks whatever their numbers.";
        StoreDataOrderIgnored "store_data_order_ignored" "STORE DATA to a domain takes blocks whatever their numbers.";
        StoredDataLost "stored_data_lost" "STORE DATA to a domain is answered as done and stores nothing.";
    [Jpki]
        PinUncounted "pin_uncounted" "A wrong PIN costs no try.";
        PasswordUncounted "password_uncounted" "A wrong password costs no try.";
        AnyPinAccepted "any_pin_accepted" "VERIFY takes any PIN.";
        OldPinUncompared "old_pin_uncompared" "CHANGE REFERENCE DATA takes any old PIN or password.";
        TriesUntold "tries_untold" "A wrong PIN or password is answered 6300 in place of 63Cx.";
        VerifiedSurvivesSelect "verified_survives_select" "A verified PIN or password stays verified when the applet is selected again.";
        SignCertificateFree "sign_certificate_free" "The signature certificate can be read without the password.";
        AuthCertificateFree "auth_certificate_free" "The authentication certificate can be read without the PIN.";
        SignsWithoutPin "signs_without_pin" "COMPUTE DIGITAL SIGNATURE works without the PIN or password.";
        TemporaryPinSigns "temporary_pin_signs" "A temporary PIN serves as the user's own: it can be verified and signs.";
        ContactlessPassword "contactless_password" "The password can be used over the contactless interface.";
        HoldIgnored "hold_ignored" "DEACTIVATE FILE is answered as done; the key stays usable.";
        ReleaseIgnored "release_ignored" "ACTIVATE FILE is answered as done; the key stays on hold.";
        RevokedSigns "revoked_signs" "TERMINATE EF is answered as done; the key goes on signing.";
        WipeIgnored "wipe_ignored" "DELETE FILE is answered as done; the key stays.";
        AdminLevelUnchecked "admin_level_unchecked" "Admin commands are taken at any security level.";
        PaddingWrong "padding_wrong" "Signatures have block type 02 in their padding (virtual machine only).";
        DigestInfoMissing "digest_info_missing" "Schemes 02 and 03 sign the bare hash without its DigestInfo.";
        SignatureWrong "signature_wrong" "One bit of every signature is wrong.";
        ChainedPartLost "chained_part_lost" "Only the last part of a chained message is signed.";
        ReadOffsetIgnored "read_offset_ignored" "READ BINARY reads from the start whatever the offset.";
        ReadBehindEnd "read_behind_end" "READ BINARY behind the end answers 9000 and no data in place of 6B00.";
        WrongLeAccepted "wrong_le_accepted" "COMPUTE DIGITAL SIGNATURE cuts its answer to Le in place of 6C00.";
        NonceIgnored "nonce_ignored" "The state attestation comes with a nonce of zeros.";
        SignaturesUncounted "signatures_uncounted" "The state attestation tells no signatures.";
        HeldShownActive "held_shown_active" "GET DATA DF31 shows a key on hold as active.";
        ChallengeRepeated "challenge_repeated" "GET CHALLENGE repeats its first answer.";
        UnknownCommandAnswered "unknown_command_answered" "The applet answers 9000 to an instruction it does not know.";
    [Ara]
        RuleNotStored "rule_not_stored" "STORE DATA of a rule is answered as done and stores nothing.";
        RuleNotDeleted "rule_not_deleted" "STORE DATA that deletes rules is answered as done and deletes nothing.";
        RulesOpenToAll "rules_open_to_all" "Rules are stored and deleted without a secure channel.";
        RefreshTagFrozen "refresh_tag_frozen" "The refresh tag stays what it was when it was first read.";
        RulesStale "rules_stale" "GET DATA all answers the rules as they were when they were first read.";
        NextPageMissing "next_page_missing" "GET DATA next finds nothing, so that long answers stay incomplete.";
        SpecificAllowsAll "specific_allows_all" "GET DATA specific allows everything to everybody.";
}

impl Fault {
    /// The fault of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    const fn bit(self) -> u128 {
        1 << (self as u8)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The faults a card has; none by default.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultSet(u128);

impl FaultSet {
    /// A card that behaves.
    pub const NONE: Self = Self(0);

    /// With this one too.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | fault.bit())
    }

    /// Whether the card has it.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those there are.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.has(*fault))
    }

    /// Whether any of this part is there.
    pub(crate) fn touches(self, part: Part) -> bool {
        self.iter().any(|fault| fault.part() == part)
    }
}

impl From<Fault> for FaultSet {
    fn from(fault: Fault) -> Self {
        Self::NONE.with(fault)
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        assert!(Fault::ALL.len() >= 30 && Fault::ALL.len() <= 128);
        for (place, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(*fault as usize, place);
            assert_eq!(Fault::named(fault.name()), Some(*fault));
            assert!(fault.what().ends_with('.') && !fault.what().contains('|'), "{fault}");
        }
        let set: FaultSet = [Fault::MacUnchecked, Fault::SpecificAllowsAll].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Fault::MacUnchecked, Fault::SpecificAllowsAll]);
        assert!(!set.has(Fault::PinUncounted));
    }
}
