//! Where the two runtimes may differ, and why. Everything else is a failure.

use super::Seen;

/// A difference that is none of the applet's or a runtime's faults.
pub struct Accepted {
    /// Whether this is it.
    pub is: fn(&Seen<'_>) -> bool,
    /// Why it is right that the two differ.
    pub reason: &'static str,
}

pub const ACCEPTED: &[Accepted] = &[
    Accepted {
        is: |seen| seen.ins() == 0x84 && seen.same_length(),
        reason: "GET CHALLENGE: each card has random numbers of its own",
    },
    Accepted {
        is: |seen| seen.is_refresh_tag(),
        reason: "GET DATA DF20: the refresh tag is random",
    },
    Accepted {
        is: |seen| seen.own_material(),
        reason: "public keys and certificates: each card makes keys of its own; both answers stand at the same place of \
                 what each card holds",
    },
    Accepted {
        is: |seen| seen.ins() == 0xCA && seen.same_but_for_key_digests(),
        reason: "GET DATA DF32: the same but for the SHA-256 of each card's own modulus",
    },
    Accepted {
        is: |seen| seen.ins() == 0x2A && seen.same_signed_block(),
        reason: "COMPUTE DIGITAL SIGNATURE: each card's own key; the padded block inside is the same",
    },
    Accepted {
        is: |seen| seen.ins() == 0x2A && seen.both_pss(),
        reason: "COMPUTE DIGITAL SIGNATURE with PSS: each card's own key and salt; both blocks inside are well formed",
    },
    Accepted {
        is: |seen| seen.ins() == 0xCA && seen.is_page_of_proof(),
        reason: "GET DATA DF3E: the proof of possession by each card's own key, of the same length",
    },
];
