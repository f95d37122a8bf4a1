//! Real applets behind the card manager, on both runtimes. Needs the built class files, else skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::bench::{
    delete, install, install_with, select, Bench, JPKI, JPKI_MODULE, JPKI_PACKAGE, MANY, ONE, PROBE, TWO,
};
use common::{case4, lv, send, unhex, Host};
use jpkise_card::Transport;
use jpkise_gpse::Interface;
use jpkise_wire::scp03::StaticKeys;

macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_jcvm {
            $(#[test] fn $test() { if let Some(bench) = super::Bench::jcvm() { super::$test(&bench) } })*
        }
        mod on_jcardsim {
            $(#[test] fn $test() { if let Some(bench) = super::Bench::jcardsim() { super::$test(&bench) } })*
        }
    };
}

on_both! {
    an_applet_is_installed_selected_and_answers,
    malformed_commands_answer_6700_and_leave_the_applet_alone,
    a_failed_installation_leaves_nothing_behind,
    an_applet_may_decline_to_be_selected,
    deleted_instances_can_be_installed_again,
    transient_memory_follows_selection_and_reset,
    the_interface_shows_in_the_protocol_byte,
    the_secure_channel_of_an_applet_works_at_every_level,
    a_wrong_mac_aborts_the_session_of_an_applet,
    gpsystem_reaches_the_registry,
    store_data_reaches_the_applet_through_its_domain,
    one_applet_at_a_time_but_a_multiselectable_one_on_several_channels,
    every_card_makes_keys_of_its_own,
    the_jpki_applet_in_rom_makes_keys_in_its_own_secure_channel,
}

fn an_applet_is_installed_selected_and_answers(bench: &Bench) {
    let mut card = bench.card();
    assert_eq!(install(&mut card, PROBE, ONE, ""), "009000");
    assert_eq!(select(&mut card, ONE), "9000");
    // Protocol T=1 on contacts; selected by a SELECT.
    assert_eq!(send(&mut card, "8010000000"), "0101009000");
    assert_eq!(send(&mut card, "80120000021234"), "12349000");
    // The longest short command, case 4: jCardSim's own buffer is too small for it.
    let longest = case4("80120000", &"A5".repeat(255));
    assert_eq!(send(&mut card, &longest), "A5".repeat(255) + "9000");
    assert_eq!(send(&mut card, "80146A80"), "6A80");
    assert_eq!(send(&mut card, "80160000"), "6F00");
    assert_eq!(send(&mut card, "80FF0000"), "6D00");
    // Another AID goes to the selected applet.
    assert_eq!(send(&mut card, "00A4040005F000000000"), "6A82");
    assert_eq!(send(&mut card, "80120000021234"), "12349000");
}

fn malformed_commands_answer_6700_and_leave_the_applet_alone(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    for command in
        ["", "80", "801200", "8012000005AA", "80120000000001", "801200000000020A", "8012000002AABBCCDD"]
    {
        assert_eq!(send(&mut card, command), "6700", "{command}");
    }
    // Well formed but extended, which this applet does not take.
    assert_eq!(send(&mut card, "801200000000021234"), "6700");
    assert_eq!(send(&mut card, "80120000021234"), "12349000");
}

fn a_failed_installation_leaves_nothing_behind(bench: &Bench) {
    let mut card = bench.card();
    for (fault, answer) in [("01", "6A84"), ("02", "6A84"), ("03", "6F00"), ("06", "6F00")] {
        assert_eq!(install(&mut card, PROBE, ONE, fault), answer, "{fault}");
        assert_eq!(select(&mut card, ONE), "6A82", "{fault}");
    }
    // The AID is still free.
    assert_eq!(install(&mut card, PROBE, ONE, ""), "009000");
    assert_eq!(select(&mut card, ONE), "9000");
    assert_eq!(install(&mut card, PROBE, ONE, ""), "6985");
}

fn an_applet_may_decline_to_be_selected(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    for fault in ["04", "05"] {
        assert_eq!(install(&mut card, PROBE, TWO, fault), "009000");
        assert_eq!(select(&mut card, ONE), "9000");
        assert_eq!(select(&mut card, TWO), "6999");
        // Nothing is selected now, not even what was selected before.
        assert_eq!(send(&mut card, "8010000000"), "6999");
        assert_eq!(delete(&mut card, TWO), "009000");
    }
    assert_eq!(select(&mut card, ONE), "9000");
}

fn deleted_instances_can_be_installed_again(bench: &Bench) {
    let mut card = bench.card();
    for _ in 0..3 {
        assert_eq!(install(&mut card, PROBE, ONE, ""), "009000");
        assert_eq!(install(&mut card, PROBE, TWO, ""), "009000");
        assert_eq!(select(&mut card, TWO), "9000");
        assert_eq!(delete(&mut card, ONE), "009000");
        assert_eq!(select(&mut card, ONE), "6A82");
        assert_eq!(delete(&mut card, TWO), "009000");
    }
}

fn transient_memory_follows_selection_and_reset(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    for (command, answer) in
        [("8022010000", "01"), ("8022010000", "02"), ("8022020000", "01"), ("8022020000", "02")]
    {
        assert_eq!(send(&mut card, command), format!("{answer}9000"));
    }
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "8022010000"), "039000");
    assert_eq!(send(&mut card, "8022020000"), "019000");
    assert_eq!(send(&mut card, "8010000000"), "0101019000", "one deselection");
    card.reset().unwrap();
    assert_eq!(send(&mut card, "8022010000"), "6D00", "the issuer's domain is selected again");
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "8022010000"), "019000");
}

fn the_interface_shows_in_the_protocol_byte(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    card.set_interface(Interface::Contactless);
    card.reset().unwrap();
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "8010000000"), "0181009000");
}

fn the_secure_channel_of_an_applet_works_at_every_level(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    let keys = StaticKeys::same(&unhex(common::TEST_KEY)).unwrap();
    for level in [0x00u8, 0x01, 0x03, 0x11, 0x13, 0x33] {
        select(&mut card, ONE);
        let mut host = Host::open(&mut card, &keys, 0x30, level);
        let shown = format!("{:02X}", 0x80 | level);
        for data in ["", "0102030405", &"5A".repeat(215)] {
            let answer = host.send(&mut card, &case4("80300000", data));
            assert_eq!(answer, format!("{shown}{data}9000"), "level {level:02X}");
        }
        if level != 0 {
            // In clear unwrap passes it on; it is the applet's to refuse, and the MAC chain does not move.
            assert_eq!(send(&mut card, "8034000000"), format!("{shown}9000"));
            let secret = Host::encipher(&keys, &[0x77; 32]);
            let answer = host.send(&mut card, &case4("80320000", &hex::encode(secret)));
            assert_eq!(answer, format!("{shown}{}9000", "77".repeat(32)));
        }
        assert_eq!(send(&mut card, "80360000"), "9000");
        assert_eq!(send(&mut card, "8034000000"), "009000");
    }
}

fn a_wrong_mac_aborts_the_session_of_an_applet(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    let mut host = Host::default(&mut card, 0x33);
    assert_eq!(send(&mut card, "843000000A01020102030405060708"), "6982");
    assert_eq!(host.send(&mut card, &case4("80300000", "01")), "6985", "aborted is not ended");
    assert_eq!(send(&mut card, "8034000000"), "009000");
    let mut host = Host::default(&mut card, 0x33);
    assert_eq!(host.send(&mut card, &case4("80300000", "01")), "B3019000");
    // The channel is gone with the selection.
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "8034000000"), "009000");
}

fn gpsystem_reaches_the_registry(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "801C000000"), "07019000");
    // Own states have the low three bits set; another byte is refused.
    assert_eq!(send(&mut card, "801E2F0000"), "019000");
    assert_eq!(send(&mut card, "801C000000"), "2F019000");
    assert_eq!(send(&mut card, "801E030000"), "009000");
    // Without the privileges the card cannot be locked or terminated, nor the ATR changed.
    for operation in ["01", "02", "03"] {
        assert_eq!(send(&mut card, &format!("8020{operation}0000")), "009000");
    }
    // An applet may lock itself, and is then not to be selected.
    assert_eq!(send(&mut card, "801E800000"), "019000");
    assert_eq!(select(&mut card, ONE), "6A82");
    // With Card Lock it works; a holder of Card Reset sets the historical bytes.
    assert_eq!(install_with(&mut card, PROBE, TWO, "14", ""), "009000");
    let atr = card.reset().unwrap();
    assert_eq!(send(&mut card, "8020030000"), "019000", "selected by default");
    assert_eq!(card.reset().unwrap().len(), atr.len() - 11, "one historical byte of twelve");
}

fn store_data_reaches_the_applet_through_its_domain(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    install(&mut card, MANY, TWO, "");
    send(&mut card, "00A4040000");
    let mut host = Host::default(&mut card, 0x33);
    let begin = |aid: &str| case4("80E62000", &lv(&["", "", aid, "", "", ""]));
    assert_eq!(host.send(&mut card, &begin(TWO)), "6985", "no interface for it");
    assert_eq!(host.send(&mut card, &begin(ONE)), "009000");
    assert_eq!(host.send(&mut card, "80E2000002CAFE"), "9000");
    assert_eq!(host.send(&mut card, "80E28001020102"), "9000");
    // The last block ended it: another goes to the domain itself, which knows no such object.
    assert_eq!(host.send(&mut card, "80E2900003C30101"), "6A88");
    host.send(&mut card, &begin(ONE));
    assert_eq!(host.send(&mut card, "80E2900001EE"), "6A80", "the applet's own refusal");
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "8026000000"), "80E280010201029000");
}

fn one_applet_at_a_time_but_a_multiselectable_one_on_several_channels(bench: &Bench) {
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    install(&mut card, MANY, TWO, "");
    assert_eq!(send(&mut card, "0070000001"), "019000");
    let select_on_1 = |aid: &str| format!("01A4040C{:02X}{aid}", aid.len() / 2);
    select(&mut card, ONE);
    assert_eq!(send(&mut card, &select_on_1(ONE)), "6985", "not multiselectable");
    if bench.is_jcvm() {
        assert_eq!(send(&mut card, &select_on_1(TWO)), "9000");
        assert_eq!(send(&mut card, "8112000001AA"), "01AA9000");
        assert_eq!(send(&mut card, "8012000001BB"), "BB9000", "each on its own channel");
    } else {
        assert_eq!(send(&mut card, &select_on_1(TWO)), "6881", "jCardSim has one applet at a time");
    }
    assert_eq!(select(&mut card, TWO), "9000");
    assert_eq!(send(&mut card, &select_on_1(TWO)), "9000");
    assert_eq!(send(&mut card, "8112000001AA"), "02AA9000");
    assert_eq!(send(&mut card, "8012000001AA"), "02AA9000");
    assert_eq!(send(&mut card, "00708001"), "9000");
    assert_eq!(send(&mut card, "8012000001AA"), "01AA9000");
    // This one takes extended APDUs.
    let long = "77".repeat(300);
    assert_eq!(send(&mut card, &format!("8012000000012C{long}0000")), format!("01{long}9000"));
}

fn every_card_makes_keys_of_its_own(bench: &Bench) {
    let mut moduli = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let mut card = bench.card();
        install(&mut card, PROBE, ONE, "");
        select(&mut card, ONE);
        for _ in 0..2 {
            let modulus = send(&mut card, "8024000000");
            assert_eq!(modulus.len(), 2 * 128 + 4);
            assert!(moduli.insert(modulus));
        }
    }
}

fn the_jpki_applet_in_rom_makes_keys_in_its_own_secure_channel(bench: &Bench) {
    const DOMAIN: &str = "A00000015153504A504B49";
    let mut card = bench.card();
    send(&mut card, "00A4040000");
    let mut host = Host::default(&mut card, 0x33);
    let domain =
        lv(&["A0000001515350", "A000000151535041", DOMAIN, "800000", "C90C810203708202202087022020", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60C00", &domain)), "009000");
    let applet = lv(&[JPKI_PACKAGE, JPKI_MODULE, JPKI, "00", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60C00", &applet)), "009000");
    let extradition = lv(&[DOMAIN, "", JPKI, "", "", ""]);
    assert_eq!(host.send(&mut card, &case4("80E61000", &extradition)), "009000");
    send(&mut card, &format!("00A404000B{DOMAIN}00"));
    let mut host = Host::default(&mut card, 0x33);
    let own = StaticKeys::same(&[0x21; 16]).unwrap();
    let session = StaticKeys::same(&unhex(common::TEST_KEY)).unwrap();
    let keys = hex::encode(common::put_key_data(&session, &own, 0x30, true));
    assert!(host.send(&mut card, &case4("80D80081", &keys)).ends_with("9000"));
    // The applet's channel rests on its domain's keys now.
    assert_eq!(select(&mut card, JPKI), "9000");
    assert_eq!(Host::open_on(&mut card, &session, 0, 0x33, 0, 8).err().as_deref(), Some("6982"));
    let mut host = Host::open(&mut card, &own, 0x30, 0x33);
    assert_eq!(host.send(&mut card, "80460100"), "9000");
    let page = host.send(&mut card, "80CA7F4902010000");
    assert!(page.starts_with("7F49") && page.ends_with("9000"), "{page}");
    // The same command in clear inside the open session, and one at too low a level, are refused.
    assert_eq!(send(&mut card, "80460200"), "6982");
    select(&mut card, JPKI);
    let mut low = Host::open(&mut card, &own, 0x30, 0x03);
    assert_eq!(low.send(&mut card, "80460200"), "6982");
}
