//! Load files that arrive by LOAD, on jcvm: linked, kept, refused, cut at every write. The applets' own CAPs are the load
//! files, so nothing need be built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::bench::{ara_cap, jpki_cap, select, ARA, ARA_MODULE, JPKI, JPKI_MODULE, JPKI_PACKAGE};
use common::load::{announce, blocks, importing, load, load_blocks, load_file, package_of};
use common::power::{cut, secured};
use common::{case4, lv, send, Host, ISD};
use jpkise_cap::Cap;
use jpkise_card::Transport;
use jpkise_gpse::runtime::jcvm::{Memory, Options};
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_wire::Aid;

/// A card with nothing in its ROM.
fn empty_card(options: &Options) -> (GpSe, Memory) {
    let runtime = Jcvm::new(options, &[]).unwrap();
    let memory = runtime.memory();
    (GpSe::on_jcvm(Profile::default(), runtime).unwrap(), memory)
}

fn issuer(card: &mut GpSe) -> Host {
    send(card, "00A4040000");
    Host::default(card, 0x01)
}

fn load_on(card: &mut GpSe, cap: &[u8]) -> String {
    let mut host = issuer(card);
    load(&mut host, card, cap)
}

fn install_on(card: &mut GpSe, module: &str, instance: &str) -> String {
    common::bench::install(card, module, instance, "")
}

fn delete(card: &mut GpSe, aid: &str, p2: &str) -> String {
    let mut host = issuer(card);
    host.send(card, &case4(&format!("80E400{p2}"), &format!("4F{:02X}{aid}", aid.len() / 2)))
}

fn packages(card: &GpSe) -> Vec<Aid> {
    card.registry().load_files.iter().skip(1).map(|l| l.aid).collect()
}

fn free_memory(card: &mut GpSe) -> String {
    send(card, "00A4040000");
    send(card, "80CAFF2100")
}

#[test]
fn a_foreign_package_is_loaded_installed_saved_restored_and_deleted() {
    let (mut card, memory) = empty_card(&Options::default());
    let free = free_memory(&mut card);
    assert_eq!(load_on(&mut card, &jpki_cap()), "009000");
    assert_eq!(load_on(&mut card, &jpki_cap()), "6985", "it is there");
    assert_eq!(install_on(&mut card, JPKI_MODULE, JPKI), "009000");
    assert_eq!(select(&mut card, JPKI), "9000");
    let state = send(&mut card, "80CADF3000");
    assert!(state.ends_with("9000"), "{state}");

    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("card");
    memory.save(&path).unwrap();
    let runtime = Jcvm::restore(&Options::default(), &path).unwrap();
    let mut again = GpSe::on_jcvm(Profile::default(), runtime).unwrap();
    assert_eq!(again.registry().load_files, card.registry().load_files);
    assert_eq!(select(&mut again, JPKI), "9000");
    assert_eq!(send(&mut again, "80CADF3000"), state);
    // What was loaded can still go, as on the first card.
    for card in [&mut card, &mut again] {
        assert_eq!(delete(card, JPKI_PACKAGE, "00"), "6985", "in use");
        assert_eq!(delete(card, JPKI_PACKAGE, "80"), "009000");
        assert_eq!(select(card, JPKI), "6A82");
        assert!(packages(card).is_empty());
        assert_eq!(free_memory(card), free, "nothing is left behind");
        assert_eq!(load_on(card, &jpki_cap()), "009000");
    }
}

#[test]
fn an_import_that_is_missing_or_too_old_is_named_by_its_own_word() {
    let (mut card, _) = empty_card(&Options::default());
    let free = free_memory(&mut card);
    let library = package_of(&ara_cap());
    let user = importing(&jpki_cap(), &library, (1, 0));
    assert_eq!(load_on(&mut card, &user), "6438", "missing");
    assert_eq!(free_memory(&mut card), free);
    assert_eq!(load_on(&mut card, &ara_cap()), "009000");
    for version in [(1, 1), (2, 0), (0, 0)] {
        assert_eq!(load_on(&mut card, &importing(&jpki_cap(), &library, version)), "6438", "{version:?}");
    }
    // A platform package newer than the card's.
    let mut newer = Cap::read(&jpki_cap()).unwrap();
    newer.import.packages[0].version.minor = 99;
    assert_eq!(load_on(&mut card, &newer.to_jar().unwrap()), "6438");
    assert_eq!(load_on(&mut card, &user), "009000");
    for p2 in ["00", "80"] {
        assert_eq!(delete(&mut card, &library, p2), "6985", "imported");
    }
    // The importer's imports are remembered over a reset.
    card.reset().unwrap();
    assert_eq!(delete(&mut card, &library, "80"), "6985");
    assert_eq!(delete(&mut card, JPKI_PACKAGE, "00"), "009000");
    assert_eq!(delete(&mut card, &library, "00"), "009000");
    assert_eq!(free_memory(&mut card), free);
}

#[test]
fn what_does_not_link_is_wrong_data_and_leaves_nothing() {
    let (mut card, _) = empty_card(&Options::default());
    let free = free_memory(&mut card);
    let file = load_file(&jpki_cap());
    // Every byte of the file is changed once, in a sample; what loads all the same must be deleted without a trace.
    let mut refused = 0;
    for at in (0..file.len()).step_by(97) {
        let mut changed = file.clone();
        changed[at] ^= 0xFF;
        let mut host = issuer(&mut card);
        assert_eq!(host.send(&mut card, &announce(JPKI_PACKAGE, "", "")), "009000");
        match load_blocks(&mut host, &mut card, &changed).as_str() {
            "009000" => assert_eq!(delete(&mut card, JPKI_PACKAGE, "00"), "009000", "byte {at}"),
            "6A80" | "6438" | "6A84" => refused += 1,
            other => panic!("byte {at}: {other}"),
        }
        assert!(packages(&card).is_empty(), "byte {at}");
        assert_eq!(free_memory(&mut card), free, "byte {at}");
    }
    println!("{refused} of {} changed files refused", file.len().div_ceil(97));
    assert!(refused > 20);
    // A package of the platform itself.
    let mut host = issuer(&mut card);
    let mut own = Cap::read(&jpki_cap()).unwrap();
    own.header.package.aid = "A0000000620101".parse().unwrap();
    own.applet = None;
    assert_ne!(load(&mut host, &mut card, &own.to_jar().unwrap()), "009000");
    assert_eq!(free_memory(&mut card), free);
}

#[test]
fn what_does_not_fit_is_refused_with_6a84_at_once_or_at_the_end() {
    let mut options = Options::default();
    options.profile.persistent = 12 * 1024;
    let (mut card, _) = empty_card(&options);
    let free = free_memory(&mut card);
    assert_eq!(load_on(&mut card, &jpki_cap()), "009000");
    assert_eq!(load_on(&mut card, &ara_cap()), "6A84", "shown by its length");
    assert_eq!(delete(&mut card, JPKI_PACKAGE, "00"), "009000");
    assert_eq!(free_memory(&mut card), free);
    // The length fits, what the package is on the card does not.
    let length = load_file(&jpki_cap()).len();
    let mut found = false;
    for room in (length..length + 2048).step_by(64) {
        options.profile.persistent = u32::try_from(room).unwrap();
        let Ok(runtime) = Jcvm::new(&options, &[]) else { continue };
        let mut card = GpSe::on_jcvm(Profile::default(), runtime).unwrap();
        let free = free_memory(&mut card);
        let mut host = issuer(&mut card);
        host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
        let blocks = blocks(&load_file(&jpki_cap()), 239);
        let first = hex::encode_upper(host.exchange(&mut card, &blocks[0]).to_bytes());
        if first == "6A84" {
            continue;
        }
        let answers: Vec<String> = blocks[1..]
            .iter()
            .map(|block| hex::encode_upper(host.exchange(&mut card, block).to_bytes()))
            .collect();
        let (last, before) = answers.split_last().unwrap();
        assert!(before.iter().all(|answer| answer == "009000"));
        if last == "6A84" {
            found = true;
            assert_eq!(free_memory(&mut card), free, "nothing is left behind");
        } else {
            assert_eq!(last, "009000");
        }
    }
    assert!(found, "no card was full at the last block only");
}

#[test]
fn an_aborted_loading_leaves_nothing_and_writes_nothing() {
    let (mut card, memory) = empty_card(&Options::default());
    let blocks = blocks(&load_file(&jpki_cap()), 239);
    let free = free_memory(&mut card);
    for sent in [0, 1, 20, blocks.len() - 1] {
        let mut host = issuer(&mut card);
        host.send(&mut card, &announce(JPKI_PACKAGE, "", ""));
        let writes = memory.writes();
        for block in &blocks[..sent] {
            assert!(host.exchange(&mut card, block).sw.is_success());
        }
        assert_eq!(memory.writes(), writes, "{sent} blocks");
        card.reset().unwrap();
        assert_eq!(free_memory(&mut card), free, "{sent} blocks");
        assert!(packages(&card).is_empty());
    }
}

#[test]
fn a_loading_cut_at_any_write_is_done_or_never_was() {
    let (mut base, memory) = empty_card(&Options::default());
    let free = free_memory(&mut base);
    let file = load_file(&ara_cap());
    let package = package_of(&ara_cap());
    let last_block = |card: &mut GpSe| {
        let mut host = issuer(card);
        host.send(card, &announce(&package, "", ""));
        let mut blocks = blocks(&file, 239);
        let last = blocks.pop().unwrap();
        for block in &blocks {
            assert!(host.exchange(card, block).sw.is_success());
        }
        host.wrap(&last).to_bytes().unwrap().to_vec()
    };
    let cuts = cut(&memory, last_block, |card, _, answered| {
        let there = packages(card).len() == 1;
        assert!(there || !answered, "an answer was given");
        if there {
            assert_eq!(install_on(card, ARA_MODULE, ARA), "009000");
            assert_eq!(delete(card, &package, "80"), "009000");
        }
        assert_eq!(free_memory(card), free, "nothing is left behind");
    });
    println!("LOAD: {cuts} writes");
    assert!(cuts > 500);
}

#[test]
fn a_package_deleted_with_its_instances_and_cut_at_any_write_is_gone_or_whole() {
    let (mut base, memory) = empty_card(&Options::default());
    let free = free_memory(&mut base);
    let package = package_of(&ara_cap());
    assert_eq!(load_on(&mut base, &ara_cap()), "009000");
    assert_eq!(install_on(&mut base, ARA_MODULE, ARA), "009000");
    base.reset().unwrap();
    let delete_all = case4("80E40080", &format!("4F{:02X}{package}", package.len() / 2));
    let command = |card: &mut GpSe| secured(card, &delete_all);
    let cuts = cut(&memory, command, |card, _, answered| {
        let there = packages(card).len() == 1;
        assert!(!there || !answered, "an answer was given");
        assert_eq!(select(card, ARA), if there { "9000" } else { "6A82" });
        if there {
            card.reset().unwrap();
            assert_eq!(delete(card, &package, "80"), "009000");
        }
        assert_eq!(free_memory(card), free, "nothing is left behind");
    });
    println!("DELETE of a package: {cuts} writes");
    assert!(cuts > 5);
}

#[test]
fn load_install_and_make_selectable_go_as_one() {
    let (mut base, memory) = empty_card(&Options::default());
    let free = free_memory(&mut base);
    let package = package_of(&ara_cap());
    let begin = case4("80E60E01", &lv(&[&package, "", "", "", ""]));
    let end = |package: &str, instance: &str| {
        case4("80E60E03", &lv(&[package, ARA_MODULE, instance, "00", "C900", ""]))
    };
    let file = load_file(&ara_cap());
    let loaded = |card: &mut GpSe| {
        let mut host = issuer(card);
        assert_eq!(host.send(card, &begin), "009000");
        assert_eq!(load_blocks(&mut host, card, &file), "009000");
        assert!(packages(card).is_empty(), "not before the end");
        host
    };
    // An end without a beginning, before the last block, for another package, behind another command.
    let mut host = issuer(&mut base);
    assert_eq!(host.send(&mut base, &end(&package, ARA)), "6985");
    host.send(&mut base, &begin);
    assert!(host.exchange(&mut base, &blocks(&file, 239)[0]).sw.is_success());
    assert_eq!(host.send(&mut base, &end(&package, ARA)), "6985");
    let mut host = loaded(&mut base);
    assert_eq!(host.send(&mut base, &end(JPKI_PACKAGE, ARA)), "6985");
    let mut host = loaded(&mut base);
    host.send(&mut base, "80CA006600");
    assert_eq!(host.send(&mut base, &end(&package, ARA)), "6985");
    // One block too many, and an installation that fails, take the load file with them.
    let mut host = loaded(&mut base);
    assert_eq!(hex::encode(host.exchange(&mut base, &blocks(&file, 239)[0]).to_bytes()), "6985");
    assert_eq!(host.send(&mut base, &end(&package, ARA)), "6985");
    let mut host = loaded(&mut base);
    assert_eq!(
        host.send(&mut base, &end(&package, "F0F1F2F3F4")),
        "6F00",
        "the applet takes its own AID only"
    );
    assert!(packages(&base).is_empty());
    // What does not link shows at the last block.
    let mut host = issuer(&mut base);
    let missing = importing(&ara_cap(), "0102030405", (1, 0));
    host.send(&mut base, &begin);
    assert_eq!(load_blocks(&mut host, &mut base, &load_file(&missing)), "6438");
    base.reset().unwrap();
    assert_eq!(free_memory(&mut base), free);
    let cuts = cut(
        &memory,
        |card| {
            let mut host = loaded(card);
            let end = jpkise_card::CommandApdu::parse(&common::unhex(&end(&package, ARA))).unwrap();
            host.wrap(&end).to_bytes().unwrap().to_vec()
        },
        |card, _, answered| {
            let there = packages(card).len() == 1;
            assert!(there || !answered);
            assert_eq!(select(card, ARA), if there { "9000" } else { "6A82" });
            if there {
                card.reset().unwrap();
                assert_eq!(delete(card, &package, "80"), "009000");
            }
            assert_eq!(free_memory(card), free, "nothing is left behind");
        },
    );
    println!("combined: {cuts} writes");
}

#[test]
fn a_domain_with_authorised_management_loads_into_itself_and_others_do_not() {
    let (mut card, _) = empty_card(&Options::default());
    let domain = "A00000015153504A504B49";
    let mut host = issuer(&mut card);
    let fields = lv(&["A0000001515350", "A000000151535041", domain, "804000", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60C00", &fields)), "009000");
    select(&mut card, domain);
    let mut host = Host::default(&mut card, 0x33);
    assert_eq!(load(&mut host, &mut card, &ara_cap()), "009000");
    let install = lv(&[&package_of(&ara_cap()), ARA_MODULE, ARA, "00", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60C00", &install)), "009000");
    let shown = host.send(&mut card, "80F22002024F0000");
    assert!(shown.contains(&format!("CC0B{domain}")) && !shown.contains(&format!("CC08{ISD}")), "{shown}");
    // Into the issuer's domain, which is above it, it loads nothing.
    assert_eq!(host.send(&mut card, &case4("80E60200", &lv(&[JPKI_PACKAGE, ISD, "", "", ""]))), "6985");
    assert_eq!(
        host.send(&mut card, &case4("80E40080", &format!("4F08{}", package_of(&ara_cap())))),
        "009000"
    );
}
