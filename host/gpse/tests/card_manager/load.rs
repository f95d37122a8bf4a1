//! INSTALL [for load] and LOAD as the manager judges them, over a runtime that takes every package.

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::object;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::common::bench::{ara_cap, jpki_cap, JPKI_MODULE, JPKI_PACKAGE};
use crate::common::load::{announce, blocks, importing, load, load_blocks, load_file, package_of};
use crate::common::{case4, lv, send, Host, ISD};
use crate::support::{
    aid_object, card_with_applets, install_domain, issuer, listed, select, Log, ONE, PACKAGE, SP,
};
use jpkise_gpse::GpSe;

fn exchange(host: &mut Host, card: &mut GpSe, command: &CommandApdu) -> String {
    hex::encode_upper(host.exchange(card, command).to_bytes())
}

/// AIDs of the load files besides those in ROM.
fn loaded(host: &mut Host, card: &mut GpSe) -> Vec<String> {
    let all = listed(&host.send(card, "80F22002024F0000"));
    all.into_iter().filter(|aid| aid != PACKAGE && aid != crate::support::SD_PACKAGE).collect()
}

fn was_told_to_load(log: &Log) -> bool {
    log.lock().unwrap().iter().any(|line| line.starts_with("load "))
}

#[test]
fn a_load_file_is_announced_loaded_listed_and_installed_from() {
    for level in [0x00, 0x01, 0x03, 0x33] {
        let (mut card, log) = card_with_applets();
        let mut host = issuer(&mut card, level);
        assert_eq!(load(&mut host, &mut card, &jpki_cap()), "009000", "level {level:02X}");
        assert_eq!(loaded(&mut host, &mut card), [JPKI_PACKAGE]);
        let entry = host.send(&mut card, &case4("80F21002", &aid_object(JPKI_PACKAGE)));
        let shown = format!("E3294F09{JPKI_PACKAGE}9F700101CE020100840A{JPKI_MODULE}CC08{ISD}9000");
        assert_eq!(entry, shown);
        let fields = lv(&[JPKI_PACKAGE, JPKI_MODULE, ONE, "00", "C900", ""]);
        assert_eq!(host.send(&mut card, &case4("80E60C00", &fields)), "009000");
        assert!(was_told_to_load(&log));
        // In use, then deleted with its instance; the name is free again.
        assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(JPKI_PACKAGE))), "6985");
        assert_eq!(host.send(&mut card, &case4("80E40080", &aid_object(JPKI_PACKAGE))), "009000");
        assert_eq!(host.send(&mut card, "80F24002024F0000"), "6A88");
        assert!(loaded(&mut host, &mut card).is_empty());
        assert_eq!(load(&mut host, &mut card, &jpki_cap()), "009000");
        assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(JPKI_PACKAGE))), "009000");
    }
}

#[test]
fn what_install_for_load_announces_is_checked() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x03);
    let package = JPKI_PACKAGE;
    let hash = "00".repeat(32);
    let cases = [
        (lv(&[package, "", "", "", ""]), "009000"),
        (lv(&[package, ISD, &hash, "", ""]), "009000"),
        // As gpshell and as gp send it.
        (lv(&[package, ISD, "", "EF04C6020160", ""]), "009000"),
        (lv(&[package, "", "", "EF10C60400001000C7020100C80400001000", ""]), "009000"),
        (lv(&[package, "", "", "EF06C60400060001", ""]), "6A84"),
        (lv(&[package, "", "", "EF0CC60400040000C80400040000", ""]), "6A84"),
        (lv(&[package, "", "", "EF04C7022000", ""]), "6A84"),
        (lv(&[package, "", "", "EF05C603000160", ""]), "6A80"),
        (lv(&[package, "", "", "EF04C9020160", ""]), "6A80"),
        (lv(&[package, "", "", "B60342010A", ""]), "6A80"),
        (lv(&[package, "", "", "EF05", ""]), "6A80"),
        (lv(&[package, "", "0102", "", ""]), "6A80"),
        (lv(&[package, "", "", "", "0102"]), "6A80"),
        (lv(&[package, "", "", ""]), "6A80"),
        (lv(&[package, "", "", "", "", ""]), "6A80"),
        (lv(&["01020304", "", "", "", ""]), "6A80"),
        (lv(&["", "", "", "", ""]), "6A80"),
        (lv(&[package, SP, "", "", ""]), "6A88"),
        (lv(&[package, PACKAGE, "", "", ""]), "6A88"),
        (lv(&[PACKAGE, "", "", "", ""]), "6985"),
        (lv(&[ISD, "", "", "", ""]), "6985"),
    ];
    for (data, sw) in cases {
        assert_eq!(host.send(&mut card, &case4("80E60200", &data)), sw, "{data}");
    }
    assert_eq!(host.send(&mut card, "80E60201010000"), "6A86");
    // A domain of its own hierarchy, and one without the right to manage content.
    assert_eq!(install_domain(&mut host, &mut card, SP, ""), "009000");
    assert_eq!(host.send(&mut card, &case4("80E60200", &lv(&[package, SP, "", "", ""]))), "009000");
    assert_eq!(load_blocks(&mut host, &mut card, &load_file(&jpki_cap())), "009000");
    assert!(host.send(&mut card, &case4("80F22002", &aid_object(package))).contains(&format!("CC0B{SP}")));
    select(&mut card, SP);
    let mut domain = Host::default(&mut card, 0x03);
    assert_eq!(domain.send(&mut card, &announce("0102030405", "", "")), "6985");
}

#[test]
fn blocks_come_in_order_or_the_loading_is_over() {
    let commands = blocks(&load_file(&jpki_cap()), 200);
    let header = |p1, p2, from: &CommandApdu| {
        CommandApdu::new(0x80, 0xE8, p1, p2).with_data(from.data()).expecting_all()
    };
    let wrong: [(&str, CommandApdu, &str); 7] = [
        ("the second one again", header(0x00, 1, &commands[1]), "6985"),
        ("one left out", header(0x00, 3, &commands[3]), "6985"),
        ("last too early", header(0x80, 2, &commands[2]), "6A80"),
        ("P1", header(0x01, 2, &commands[2]), "6A86"),
        ("no data", CommandApdu::new(0x80, 0xE8, 0x00, 2).expecting_all(), "6A80"),
        (
            "class",
            {
                let mut command = commands[2].clone();
                command.cla = 0x00;
                command
            },
            "6E00",
        ),
        ("another command", CommandApdu::new(0x80, 0xCA, 0x00, 0x42).expecting_all(), "42044A504B499000"),
    ];
    for (what, command, answer) in wrong {
        let (mut card, log) = card_with_applets();
        let mut host = issuer(&mut card, 0x03);
        assert_eq!(exchange(&mut host, &mut card, &commands[0]), "6985", "nothing announced");
        host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
        for block in &commands[..2] {
            assert_eq!(exchange(&mut host, &mut card, block), "009000");
        }
        assert_eq!(exchange(&mut host, &mut card, &command), answer, "{what}");
        if what != "class" {
            // What would have come next finds no loading; a wrong class is not for LOAD at all.
            assert_eq!(exchange(&mut host, &mut card, &commands[2]), "6985", "{what}");
        }
        assert!(!was_told_to_load(&log) && loaded(&mut host, &mut card).is_empty(), "{what}");
        // Announced again it goes from the start.
        assert_eq!(load(&mut host, &mut card, &jpki_cap()), "009000", "{what}");
    }
}

#[test]
fn a_loading_ends_with_its_session_and_stays_on_its_channel() {
    let commands = blocks(&load_file(&jpki_cap()), 230);
    let begun = |card: &mut GpSe| {
        let mut host = issuer(card, 0x01);
        host.send(card, &announce(JPKI_PACKAGE, "", ""));
        assert_eq!(exchange(&mut host, card, &commands[0]), "009000");
        host
    };
    let (mut card, _) = card_with_applets();
    begun(&mut card);
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(exchange(&mut host, &mut card, &commands[1]), "6985", "selected again");
    begun(&mut card);
    let mut host = Host::default(&mut card, 0x01);
    assert_eq!(exchange(&mut host, &mut card, &commands[1]), "6985", "another session");
    let mut host = begun(&mut card);
    assert_eq!(send(&mut card, "84E80001080102030405060708"), "6982");
    assert_eq!(exchange(&mut host, &mut card, &commands[1]), "6982", "aborted");
    // What happens on another channel does not matter, but for the name that it may take.
    let mut host = begun(&mut card);
    assert_eq!(send(&mut card, "0070000001"), "019000");
    let keys = crate::support::test_keys();
    let mut other = Host::open_on(&mut card, &keys, 0, 0x33, 1, 8).unwrap();
    assert_eq!(exchange(&mut other, &mut card, &commands[1]), "6985");
    for block in &commands[1..commands.len() - 1] {
        assert_eq!(exchange(&mut host, &mut card, block), "009000");
    }
    assert_eq!(load(&mut other, &mut card, &jpki_cap()), "009000");
    assert_eq!(exchange(&mut host, &mut card, commands.last().unwrap()), "6985");
    assert_eq!(loaded(&mut host, &mut card), [JPKI_PACKAGE]);
}

#[test]
fn the_load_file_must_be_the_one_announced() {
    let file = load_file(&jpki_cap());
    let mut changed = file.clone();
    *changed.last_mut().unwrap() ^= 1;
    let digests = [
        hex::encode(sha1::Sha1::digest(&file)),
        hex::encode(Sha256::digest(&file)),
        hex::encode(Sha384::digest(&file)),
        hex::encode(Sha512::digest(&file)),
    ];
    for hash in &digests {
        let (mut card, log) = card_with_applets();
        let mut host = issuer(&mut card, 0x01);
        host.send(&mut card, &announce(JPKI_PACKAGE, hash, ""));
        assert_eq!(load_blocks(&mut host, &mut card, &changed), "6A80", "{hash}");
        assert!(!was_told_to_load(&log) && loaded(&mut host, &mut card).is_empty());
        host.send(&mut card, &announce(JPKI_PACKAGE, hash, ""));
        assert_eq!(load_blocks(&mut host, &mut card, &file), "009000", "{hash}");
    }
    // Another package than the announced one, no components, components cut off, a file in JAR form.
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    for (package, file) in [
        (ONE, file.clone()),
        (JPKI_PACKAGE, vec![0; 300]),
        (JPKI_PACKAGE, file[..file.len() - 1].to_vec()),
        (JPKI_PACKAGE, jpki_cap()),
        (JPKI_PACKAGE, [&file[..], &file].concat()),
        (JPKI_PACKAGE, Vec::new()),
    ] {
        host.send(&mut card, &announce(package, "", ""));
        assert_eq!(load_blocks(&mut host, &mut card, &file), "6A80", "{} bytes", file.len());
    }
    assert!(!was_told_to_load(&log) && loaded(&mut host, &mut card).is_empty());
}

#[test]
fn what_surrounds_the_load_file_is_c4_alone() {
    let file = load_file(&jpki_cap());
    let dap = object(0xE2, &[object(0x4F, &[0xA0; 8]), object(0xC3, &[0x55; 16])].concat());
    let long_length = {
        // A length in four bytes is as good as one in two.
        let length = u32::try_from(file.len()).unwrap().to_be_bytes();
        [&[0xC4, 0x84][..], &length, &file].concat()
    };
    for (what, content, answer) in [
        ("DAP block", [dap, object(0xC4, &file)].concat(), "6A80"),
        ("ciphered", object(0xD4, &file), "6A80"),
        ("ICV", object(0xD3, &[0; 16]), "6A80"),
        ("no tag", file.clone(), "6A80"),
        ("something behind", [object(0xC4, &file), vec![0]].concat(), "6A80"),
        ("too long for the card", [&[0xC4, 0x83, 0x06, 0x00, 0x01][..], &file].concat(), "6A84"),
        ("four bytes of length", long_length, "009000"),
    ] {
        let (mut card, _) = card_with_applets();
        let mut host = issuer(&mut card, 0x01);
        host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
        let pieces: Vec<&[u8]> = content.chunks(247).collect();
        let answers = pieces.iter().enumerate().map(|(number, piece)| {
            let p1 = if number + 1 == pieces.len() { 0x80 } else { 0 };
            let p2 = u8::try_from(number).unwrap();
            let command = CommandApdu::new(0x80, 0xE8, p1, p2).with_data(*piece).expecting_all();
            exchange(&mut host, &mut card, &command)
        });
        let refused = answers.fold(None, |first, answer| match first {
            None if answer != "009000" => Some(answer),
            first => first,
        });
        assert_eq!(refused.as_deref().unwrap_or("009000"), answer, "{what}");
    }
}

#[test]
fn an_extended_block_is_a_block_and_the_length_must_stand_in_the_first() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x33);
    let file = load_file(&jpki_cap());
    host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
    for block in blocks(&file, 4000) {
        assert_eq!(exchange(&mut host, &mut card, &block), "009000");
    }
    host.send(&mut card, &case4("80E40000", &aid_object(JPKI_PACKAGE)));
    host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
    let content = object(0xC4, &file);
    let first = CommandApdu::new(0x80, 0xE8, 0, 0).with_data(&content[..3]).expecting_all();
    assert_eq!(exchange(&mut host, &mut card, &first), "6A80");
    // 256 blocks and no more.
    host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
    for number in 0..=255u8 {
        let at = 20 * usize::from(number);
        let piece = &content[at..at + 20];
        let command = CommandApdu::new(0x80, 0xE8, 0, number).with_data(piece).expecting_all();
        assert_eq!(exchange(&mut host, &mut card, &command), "009000", "{number}");
    }
    let command = CommandApdu::new(0x80, 0xE8, 0, 0).with_data(&content[5120..5140]).expecting_all();
    assert_eq!(exchange(&mut host, &mut card, &command), "6985");
}

#[test]
fn a_package_that_another_imports_stays() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    let library = package_of(&ara_cap());
    assert_eq!(load(&mut host, &mut card, &ara_cap()), "009000");
    assert_eq!(load(&mut host, &mut card, &importing(&jpki_cap(), &library, (1, 0))), "009000");
    for p2 in ["00", "80"] {
        assert_eq!(host.send(&mut card, &case4(&format!("80E400{p2}"), &aid_object(&library))), "6985");
    }
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(JPKI_PACKAGE))), "009000");
    assert_eq!(host.send(&mut card, &case4("80E40000", &aid_object(&library))), "009000");
}

#[test]
fn a_locked_card_loads_nothing() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    host.send(&mut card, "80F0800F");
    host.send(&mut card, "80F0807F");
    assert_eq!(host.send(&mut card, &announce(JPKI_PACKAGE, "", "")), "6985");
    assert_eq!(exchange(&mut host, &mut card, &blocks(&load_file(&jpki_cap()), 200)[0]), "6985");
}
