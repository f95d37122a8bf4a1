//! Commands that change what the manager remembers, cut at every write: the card is as before or as after. On jcvm, where
//! registry, keys and counters lie in the journalled memory that also holds the applets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::bench::{ara_cap, ARA, ARA_MODULE};
use common::load::{load, package_of};
use common::power::{cut, registry, secured, twin};
use common::{case4, lv, put_key_data, send, Host, ISD, TEST_KEY};
use jpkise_card::Transport;
use jpkise_gpse::runtime::jcvm::{Memory, Options};
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_wire::scp03::StaticKeys;

const SP: &str = "A00000015153504A504B49";
const OTHER: &str = "A00000015153504A504B50";

fn test_keys() -> StaticKeys {
    StaticKeys::same(&common::unhex(TEST_KEY)).unwrap()
}

fn keys(byte: u8) -> StaticKeys {
    StaticKeys::same(&[byte; 16]).unwrap()
}

fn put_key(p1: u8, new: &StaticKeys, kvn: u8) -> String {
    let data = hex::encode(put_key_data(&test_keys(), new, kvn, true));
    case4(&format!("80D8{p1:02X}81"), &data)
}

fn install_domain(aid: &str) -> String {
    case4("80E60C00", &lv(&["A0000001515350", "A000000151535041", aid, "800000", "C900", ""]))
}

/// A card with two domains, a second key version, and an applet in the first domain.
fn card() -> (GpSe, Memory) {
    let runtime = Jcvm::new(&Options::default(), &[]).unwrap();
    let memory = runtime.memory();
    let mut card = GpSe::on_jcvm(Profile::default(), runtime).unwrap();
    send(&mut card, "00A4040000");
    let mut host = Host::default(&mut card, 0x01);
    assert_eq!(load(&mut host, &mut card, &ara_cap()), "009000");
    let install = lv(&[&package_of(&ara_cap()), ARA_MODULE, ARA, "00", "C900", ""]);
    for command in [
        case4("80E60400", &install),
        install_domain(SP),
        install_domain(OTHER),
        case4("80E61000", &lv(&[SP, "", ARA, "", "", ""])),
        put_key(0, &keys(0x22), 0x31),
    ] {
        assert!(host.send(&mut card, &command).ends_with("9000"), "{command}");
    }
    card.reset().unwrap();
    (card, memory)
}

/// The sequence counters move with every session that `check` opens, so a state is a registry as it is stored.
fn states(base: &Memory, command: &str) -> [Vec<u8>; 2] {
    let (mut card, memory) = twin(base);
    let bytes = secured(&mut card, command);
    let before = registry(&memory);
    assert!(card.transmit(&bytes).unwrap().ends_with(&[0x90, 0x00]), "{command}");
    [before, registry(&memory)]
}

#[test]
fn every_change_of_the_registry_is_made_or_was_never_begun() {
    let (_, memory) = card();
    let aid = |aid: &str| format!("{:02X}{aid}", aid.len() / 2);
    let object = |aid: &str| format!("4F{:02X}{aid}", aid.len() / 2);
    let renamed = "A000000003000000";
    let commands = [
        ("PUT KEY, added", put_key(0, &keys(0x33), 0x32)),
        ("PUT KEY, replaced", put_key(0x31, &keys(0x33), 0x31)),
        ("PUT KEY, replaced under another version", put_key(0x31, &keys(0x33), 0x33)),
        ("PUT KEY, the keys in use", put_key(0x30, &keys(0x33), 0x30)),
        ("PUT KEY, public", case4("80D80001", &format!("73B04104{}F0010000", "11".repeat(64)))),
        ("DELETE, key version", case4("80E40000", "D20131")),
        ("DELETE, one key", case4("80E40000", "D00102D20131")),
        ("DELETE, domain", case4("80E40000", &object(OTHER))),
        ("STORE DATA, objects", "80E290000D 4203010203 4506010203040506".replace(' ', "")),
        ("STORE DATA, another name of the issuer", format!("80E290000A4F08{renamed}")),
        ("SET STATUS, card", "80F0800F00".to_owned()),
        ("SET STATUS, application", format!("80F04080{}", aid(ARA))),
        ("SET STATUS, domain with applications", format!("80F06080{}", aid(SP))),
        ("SET STATUS, terminated", "80F080FF00".to_owned()),
        ("INSTALL, domain", install_domain("A00000015153504A504B51")),
        ("INSTALL, selectable", case4("80E60800", &lv(&["", "", ARA, "04", "", ""]))),
        ("INSTALL, extradition of an application", case4("80E61000", &lv(&[OTHER, "", ARA, "", "", ""]))),
        (
            "INSTALL, extradition of a load file",
            case4("80E61000", &lv(&[OTHER, "", &package_of(&ara_cap()), "", "", ""])),
        ),
        ("INSTALL, extradition of a domain", case4("80E61000", &lv(&[OTHER, "", SP, "", "", ""]))),
        ("INSTALL, registry update", case4("80E64000", &lv(&[ISD, "", ARA, "04", "", ""]))),
    ];
    for (what, command) in commands {
        let [before, after] = states(&memory, &command);
        assert_ne!(before, after, "{what}");
        let writes = cut(
            &memory,
            |card| secured(card, &command),
            |card, memory, answered| {
                let found = registry(memory);
                assert!(found == after || found == before && !answered, "{what}");
                // It works as what it is: everything but a terminated card opens a session with some key.
                let terminated = what.contains("terminated") && found == after;
                let selected = send(card, "00A4040000");
                assert!(terminated || selected.ends_with("9000"), "{what}: {selected}");
                let in_use = what.contains("in use") && found == after;
                let keys = if in_use { keys(0x33) } else { test_keys() };
                let opened = Host::open_on(card, &keys, 0x30, 0x33, 0, 8);
                assert_eq!(opened.is_ok(), !terminated, "{what}");
            },
        );
        println!("{what}: {writes} writes");
        assert!(writes >= 2, "{what}: {writes} writes only");
    }
}

#[test]
fn keys_by_store_data_are_all_there_or_none() {
    let (_, memory) = card();
    let new = keys(0x44);
    let kcv = hex::encode(new.enc.check_value().0);
    let described: String = [1, 2, 3]
        .map(|id| format!("B911800188 810110 8201{id:02X} 830134 8403{kcv}").replace(' ', ""))
        .concat();
    let block = hex::encode(Host::encipher(&test_keys(), new.enc.expose()));
    let ciphered = format!("811310{block}").repeat(3);
    let data = format!("00B9{:02X}{described}{ciphered}", described.len() / 2);
    let command = format!("80E28800{:02X}{data}", data.len() / 2);
    let [before, after] = states(&memory, &command);
    let writes = cut(
        &memory,
        |card| secured(card, &command),
        |card, memory, answered| {
            let found = registry(memory);
            assert!(found == after || found == before && !answered);
            assert_eq!(Host::open_on(card, &new, 0x34, 0x33, 0, 8).is_ok(), found == after);
            assert!(Host::open_on(card, &test_keys(), 0x30, 0x33, 0, 8).is_ok());
        },
    );
    println!("{writes} writes");
}

/// All access rules, as an access control enforcer reads them.
fn rules(card: &mut GpSe) -> String {
    assert_eq!(send(card, &format!("00A4040C{:02X}{ARA}", ARA.len() / 2)), "9000");
    send(card, "80CAFF4000")
}

#[test]
fn data_stored_through_a_domain_is_in_the_applet_or_not() {
    let (mut base, memory) = card();
    send(&mut base, "00A4040000");
    let mut host = Host::default(&mut base, 0x01);
    for command in [
        case4("80E60800", &lv(&["", "", ARA, "00", "", ""])),
        case4("80E61000", &lv(&[ISD, "", ARA, "", "", ""])),
    ] {
        // SP has no keys, so its parent still manages it.
        assert_eq!(host.send(&mut base, &command), "009000");
    }
    base.reset().unwrap();
    // STORE-REF-AR-DO: any application for this hash may use any APDU.
    let hash = "5A".repeat(20);
    let rule = format!("F021E21FE1184F00C114{hash}E303D00101");
    let begin = case4("80E62000", &lv(&["", "", ARA, "", "", ""]));
    let prepare = |card: &mut GpSe| {
        send(card, "00A4040000");
        let mut host = Host::default(card, 0x01);
        assert_eq!(host.send(card, &begin), "009000");
        let store = format!("80E29000{:02X}{rule}", rule.len() / 2);
        let store = jpkise_card::CommandApdu::parse(&common::unhex(&store)).unwrap();
        host.wrap(&store).to_bytes().unwrap().to_vec()
    };
    let before = rules(&mut base);
    let (mut done, _) = twin(&memory);
    let command = prepare(&mut done);
    assert_eq!(hex::encode(done.transmit(&command).unwrap()), "9000");
    let after = rules(&mut done);
    assert_ne!(before, after);
    let writes = cut(&memory, prepare, |card, _, answered| {
        let found = rules(card);
        assert!(found == after || found == before && !answered, "{found}");
    });
    println!("{writes} writes");
    assert!(writes > 10);
}

#[test]
fn failures_and_counters_outlive_the_power_wherever_it_is_cut() {
    let (_, memory) = card();
    let failures = |card: &GpSe| card.registry().issuer().as_domain().unwrap().key_versions[0].failures;
    let prepare = |card: &mut GpSe| {
        send(card, "00A4040000");
        assert!(send(card, "8050300008010203040506070800").ends_with("9000"));
        common::unhex("848201001000000000000000000000000000000000")
    };
    for n in 0.. {
        let (mut card, memory) = twin(&memory);
        let command = prepare(&mut card);
        let before = failures(&card);
        memory.cut_power_after(Some(n));
        let answer = card.transmit(&command);
        memory.cut_power_after(None);
        card.reset().unwrap();
        match answer {
            Ok(answer) => {
                assert_eq!((&answer[..], failures(&card)), (&[0x69, 0x82][..], before + 1), "write {n}");
                return;
            }
            // Without an answer nothing was learnt; counted or not, both are a card's state.
            Err(_) => assert!(failures(&card) <= before + 1, "write {n}"),
        }
    }
}
