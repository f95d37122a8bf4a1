//! The card's life cycle: who moves it, whence, and what is left where it ends.

use jpkise_card::Transport;
use jpkise_gpse::profile::Profile;
use jpkise_gpse::registry::life_cycle::{CARD_LOCKED, INITIALIZED, OP_READY, SECURED, TERMINATED};
use jpkise_gpse::{GpSe, NoApplets};

use crate::common::load::announce;
use crate::common::{case4, lv, send, status, Host};
use crate::support::{issuer, select, SD_MODULE, SD_PACKAGE, SP};

const STATES: [u8; 5] = [OP_READY, INITIALIZED, SECURED, CARD_LOCKED, TERMINATED];

fn card_in(state: u8) -> GpSe {
    GpSe::in_memory(Profile { card_state: state, ..Profile::default() }, Box::new(NoApplets)).unwrap()
}

#[test]
fn every_transition_is_allowed_or_refused_as_the_specification_draws_it() {
    let allowed = [
        (OP_READY, INITIALIZED),
        (OP_READY, SECURED),
        (INITIALIZED, SECURED),
        (SECURED, CARD_LOCKED),
        (CARD_LOCKED, SECURED),
        (OP_READY, TERMINATED),
        (INITIALIZED, TERMINATED),
        (SECURED, TERMINATED),
        (CARD_LOCKED, TERMINATED),
    ];
    for from in &STATES[..4] {
        for to in STATES {
            let mut card = card_in(*from);
            let mut host = issuer(&mut card, 0x03);
            let expected = if allowed.contains(&(*from, to)) { "9000" } else { "6985" };
            let answer = host.send(&mut card, &format!("80F080{to:02X}"));
            assert_eq!(answer, expected, "{from:02X} to {to:02X}");
            let is = if answer == "9000" { to } else { *from };
            assert_eq!(card.registry().card_state(), is);
            card.reset().unwrap();
            assert_eq!(card.registry().card_state(), is, "after a reset");
        }
    }
}

#[test]
fn a_domain_moves_the_card_as_far_as_its_privileges_go() {
    for (privileges, lock, unlock, terminate) in [
        ("800000", "6985", "6985", "6985"),
        ("900000", "9000", "9000", "6985"),
        ("880000", "6985", "6985", "9000"),
        ("980000", "9000", "9000", "9000"),
        ("804000", "6985", "6985", "6985"),
    ] {
        let mut card = card_in(SECURED);
        let mut host = issuer(&mut card, 0x01);
        let fields = lv(&[SD_PACKAGE, SD_MODULE, SP, privileges, "C900", ""]);
        assert_eq!(host.send(&mut card, &case4("80E60C00", &fields)), "009000");
        select(&mut card, SP);
        let mut domain = Host::default(&mut card, 0x01);
        assert_eq!(domain.send(&mut card, "80F0800F"), "6985", "it is SECURED");
        assert_eq!(domain.send(&mut card, "80F0807F"), lock, "{privileges}");
        assert_eq!(domain.send(&mut card, "80F0800F"), unlock, "{privileges}");
        assert_eq!(domain.send(&mut card, "80F080FF"), terminate, "{privileges}");
        let dead = terminate == "9000";
        assert_eq!(status(&mut card, "00A4040000"), if dead { "6985" } else { "9000" });
    }
}

#[test]
fn a_terminated_card_tells_who_it_was_and_does_nothing() {
    let mut card = card_in(SECURED);
    let mut host = issuer(&mut card, 0x33);
    assert_eq!(send(&mut card, "0070000001"), "019000");
    assert_eq!(host.send(&mut card, "80F080FF"), "9000", "its answer still has its R-MAC");
    for again in [false, true] {
        if again {
            card.reset().unwrap();
        }
        // In clear: the session is nobody's any more.
        for tag in ["9F7F", "0042", "0045", "0066", "00E0"] {
            assert!(send(&mut card, &format!("80CA{tag}00")).ends_with("9000"), "{tag}");
        }
        for command in [
            "00A4040000",
            "00A4040008A000000151000000",
            "8050000008010203040506070800",
            "0070000001",
            "00708001",
            "80F28002024F0000",
            "80F0800F",
            "80E60200",
            "80E8000001C4",
            "00C0000000",
            "84CA006608010203040506070800",
        ] {
            assert_eq!(status(&mut card, command), "6985", "{command}");
        }
    }
    // A card whose memory says so is born dead.
    assert_eq!(status(&mut card_in(TERMINATED), "00A4040000"), "6985");
}

#[test]
fn a_locked_card_answers_its_issuer_and_changes_no_content() {
    let mut card = card_in(SECURED);
    let mut host = issuer(&mut card, 0x03);
    let fields = lv(&[SD_PACKAGE, SD_MODULE, SP, "800000", "C900", ""]);
    host.send(&mut card, &case4("80E60C00", &fields));
    assert_eq!(host.send(&mut card, "80F0807F"), "9000");
    for (command, sw) in [
        (case4("80E60C00", &fields), "6985"),
        (announce("0102030405", "", ""), "6985"),
        ("80E800000101".to_owned(), "6985"),
        (case4("80E40000", &format!("4F0B{SP}")), "6985"),
        (case4("80E40000", "D20130"), "6985"),
        (case4("80D80081", "31"), "6985"),
        ("80E2900006420401020304".to_owned(), "6985"),
        (format!("80F040800B{SP}"), "6985"),
        (case4("80E62000", &lv(&["", "", SP, "", "", ""])), "6985"),
    ] {
        assert_eq!(host.send(&mut card, &command), sw, "{command}");
    }
    for command in ["80F24002024F0000", "80F22002024F0000", "80F28002024F0000", "80CA006600", "80CA00E000"] {
        assert!(host.send(&mut card, command).ends_with("9000"), "{command}");
    }
    assert_eq!(select(&mut card, SP), "6A82");
    assert_eq!(send(&mut card, "0070000001"), "6A81");
}
