//! What is jcvm's own: one memory for manager and applets, power cuts anywhere, files, muteness. Needs the probe's class
//! files, else skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::bench::{
    delete, install, install_with, jpki_cap, probe_caps, select, Bench, JPKI, JPKI_MODULE, MANY, ONE, PROBE,
    PROBE_PACKAGE, TWO,
};
use common::power::{cut, secured, twin};
use common::{case4, send, status};
use jpkise_card::{Transport, TransportError};
use jpkise_gpse::registry::Registry;
use jpkise_gpse::runtime::jcvm::Options;
use jpkise_gpse::runtime::{Registered, Runtime, RuntimeError};
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_wire::{Aid, StatusWord};

fn aid(text: &str) -> Aid {
    text.parse().unwrap()
}

fn with(change: impl FnOnce(&mut jpkise_jcvm::Profile)) -> Options {
    let mut options = Options::default();
    change(&mut options.profile);
    options
}

fn instances(registry: &Registry) -> Vec<Aid> {
    registry.applications.iter().skip(1).map(|a| a.aid).collect()
}

#[test]
fn a_command_without_end_makes_the_card_mute_until_the_next_reset() {
    let options = with(|profile| profile.instruction_budget = 300_000);
    let Some(bench) = Bench::jcvm_after(&options) else { return };
    let mut card = bench.card();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    for command in [&[0x80, 0x18, 0, 0][..], &[0x80, 0x12, 0, 0, 1, 1], &[0x00, 0xA4, 0x04, 0x00, 0x00]] {
        let result = card.transmit(command);
        // The issuer's domain needs no applet code, but leaving the applet does.
        assert!(matches!(result, Err(TransportError::Timeout(_))), "{command:02X?}: {result:?}");
    }
    card.reset().unwrap();
    assert_eq!(select(&mut card, ONE), "9000");
    assert_eq!(send(&mut card, "80120000021234"), "12349000");
}

#[test]
fn what_no_verified_bytecode_does_ends_in_6f00() {
    let options = with(|profile| profile.call_depth = 1);
    let Some(bench) = Bench::jcvm_after(&options) else { return };
    let (mut card, _) = bench.jcvm_card();
    assert_eq!(install(&mut card, PROBE, ONE, ""), "6F00");
    assert_eq!(select(&mut card, ONE), "6A82");
    assert!(status(&mut card, "00A4040000").starts_with("90"), "the manager is well");
}

#[test]
fn a_card_comes_back_from_its_file_as_it_was() {
    let Some(bench) = Bench::jcvm() else { return };
    let (mut card, memory) = bench.jcvm_card();
    install(&mut card, PROBE, ONE, "");
    install(&mut card, MANY, TWO, "");
    select(&mut card, ONE);
    assert_eq!(send(&mut card, "801E2F0000"), "019000");
    assert_eq!(send(&mut card, "8022010000"), "019000");
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("card");
    memory.save(&path).unwrap();

    let runtime = Jcvm::restore(&Options::default(), &path).unwrap();
    let mut again = GpSe::on_jcvm(Profile::default(), runtime).unwrap();
    assert_eq!(instances(again.registry()), [aid(ONE), aid(TWO)]);
    assert_eq!(again.registry().load_files, card.registry().load_files);
    assert_eq!(select(&mut again, ONE), "9000");
    assert_eq!(send(&mut again, "801C000000"), "2F019000", "the life cycle that the applet had set");
    assert_eq!(send(&mut again, "8022010000"), "019000", "transient memory is new");
    assert_eq!(delete(&mut again, TWO), "009000");
    // The first card knows nothing of it.
    assert_eq!(select(&mut card, TWO), "9000");

    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(Jcvm::restore(&Options::default(), &path).is_err());
}

#[test]
fn used_up_tries_stay_used_up_over_power_and_in_the_file() {
    let runtime = Jcvm::new(&Options::default(), &[]).unwrap();
    let memory = runtime.memory();
    let profile = || Profile { authentication_tries: Some(3), ..Profile::default() };
    let mut card = GpSe::on_jcvm(profile(), runtime).unwrap();
    let wrong = |card: &mut GpSe| {
        send(card, "8050300008010203040506070800");
        send(card, "848201001000000000000000000000000000000000")
    };
    for _ in 0..3 {
        assert_eq!(wrong(&mut card), "6982");
        card.reset().unwrap();
    }
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("card");
    memory.save(&path).unwrap();
    let runtime = Jcvm::restore(&Options::default(), &path).unwrap();
    let mut again = GpSe::on_jcvm(profile(), runtime).unwrap();
    for card in [&mut card, &mut again] {
        assert_eq!(send(card, "8050300008010203040506070800"), "6983");
        assert_eq!(card.registry().issuer().as_domain().unwrap().key_versions[0].failures, 3);
    }
}

#[test]
fn a_registry_that_outgrows_its_region_changes_nothing() {
    let options = with(|profile| profile.regions = vec![("gp".into(), 640)]);
    let Some(bench) = Bench::jcvm_after(&options) else { return };
    let (mut card, _) = bench.jcvm_card();
    let free = free_memory(&mut card);
    let mut installed = 0;
    let refused = loop {
        let instance = format!("F04A504B49000001{installed:02X}");
        match install(&mut card, PROBE, &instance, "").as_str() {
            "009000" => installed += 1,
            other => break other.to_owned(),
        }
        assert!(installed < 40);
    };
    assert_eq!((refused.as_str(), instances(card.registry()).len()), ("6A84", installed));
    for number in 0..installed {
        assert_eq!(delete(&mut card, &format!("F04A504B49000001{number:02X}")), "009000");
    }
    assert_eq!(free_memory(&mut card), free, "nothing is left behind");
}

/// GET DATA FF21: free persistent and transient memory, as the card tells it.
fn free_memory(card: &mut GpSe) -> String {
    send(card, "00A4040000");
    send(card, "80CAFF2100")
}

#[test]
fn an_installation_cut_at_any_write_is_done_or_never_was() {
    let Some(bench) = Bench::jcvm() else { return };
    let (mut base, memory) = bench.jcvm_card();
    let free = free_memory(&mut base);
    for (module, instance) in [(PROBE, ONE), (JPKI_MODULE, JPKI)] {
        let package = &module[..module.len() - 2];
        let data = common::lv(&[package, module, instance, "00", "C900", ""]);
        let command = case4("80E60C00", &data);
        let cuts = cut(
            &memory,
            |card| secured(card, &command),
            |card, _, answered| {
                let there = instances(card.registry()).contains(&aid(instance));
                let selected = select(card, instance);
                assert_eq!(selected, if there { "9000" } else { "6A82" });
                assert!(there || !answered, "an answer was given");
                if !there {
                    assert_eq!(free_memory(card), free, "swept");
                    assert_eq!(install(card, module, instance, ""), "009000");
                    assert_eq!(select(card, instance), "9000");
                }
            },
        );
        println!("INSTALL of {module}: {cuts} writes");
        assert!(cuts > 20, "{cuts} writes only");
    }
}

#[test]
fn a_deletion_cut_at_any_write_is_done_or_never_was() {
    let Some(bench) = Bench::jcvm() else { return };
    let (mut base, memory) = bench.jcvm_card();
    let free = free_memory(&mut base);
    install(&mut base, PROBE, ONE, "");
    base.reset().unwrap();
    let command = case4("80E40000", &format!("4F{:02X}{ONE}", ONE.len() / 2));
    let cuts = cut(
        &memory,
        |card| secured(card, &command),
        |card, _, answered| {
            let there = instances(card.registry()).contains(&aid(ONE));
            assert!(!there || !answered, "an answer was given");
            assert_eq!(select(card, ONE), if there { "9000" } else { "6A82" });
            if there {
                card.reset().unwrap();
                assert_eq!(delete(card, ONE), "009000");
            }
            assert_eq!(free_memory(card), free, "nothing is left behind");
        },
    );
    println!("{cuts} writes");
}

#[test]
fn a_failed_authentication_to_an_applet_costs_a_try_wherever_the_power_is_cut() {
    let Some(bench) = Bench::jcvm() else { return };
    let (mut base, memory) = bench.jcvm_card();
    install(&mut base, PROBE, ONE, "");
    let failures = |card: &GpSe| card.registry().issuer().as_domain().unwrap().key_versions[0].failures;
    let counter = |card: &GpSe| card.registry().issuer().as_domain().unwrap().key_versions[0].counter;
    let before = counter(&base);
    for n in 0.. {
        let (mut card, memory) = twin(&memory);
        select(&mut card, ONE);
        memory.cut_power_after(Some(n));
        let opened = card.transmit(&common::unhex("8050000008010203040506070800"));
        let cut = opened.is_err();
        let tried =
            opened.and_then(|_| card.transmit(&common::unhex("848201001000000000000000000000000000000000")));
        memory.cut_power_after(None);
        card.reset().unwrap();
        assert!(
            cut || counter(&card) != before,
            "write {n}: a sequence counter was given out and will be again"
        );
        match tried {
            Ok(answer) => {
                // The C-MAC is checked before the cryptogram.
                assert_eq!((&answer[..], failures(&card)), (&[0x69, 0x82][..], 1), "write {n}");
                assert!(n > 2, "the cut never came");
                return;
            }
            Err(TransportError::Removed) => {}
            Err(error) => panic!("write {n}: {error}"),
        }
    }
}

#[test]
fn packages_are_loaded_tentatively_and_refused_with_a_reason() {
    let Some([probe, _]) = probe_caps() else { return };
    let mut runtime = Jcvm::new(&Options::default(), &[]).unwrap();
    let registered = |packages: &[&str]| Registered {
        packages: packages.iter().map(|p| aid(p)).collect(),
        instances: Vec::new(),
    };
    let package = runtime.load(aid(PROBE_PACKAGE), &probe).unwrap();
    assert_eq!((package.version, package.modules), ((2, 1), vec![aid(PROBE)]));
    let refused = |result: Result<_, RuntimeError>| match result {
        Err(RuntimeError::Refused(sw)) => sw,
        other => panic!("{other:?}"),
    };
    let again = runtime.load(aid(PROBE_PACKAGE), &probe).map(|_| ());
    assert_eq!(refused(again), StatusWord::CONDITIONS_NOT_SATISFIED);
    // The registry never heard of it: a reset takes it away.
    runtime.reset().unwrap();
    runtime.settle(&registered(&[])).unwrap();
    assert!(runtime.packages().is_empty());
    runtime.load(aid(PROBE_PACKAGE), &probe).unwrap();
    runtime.settle(&registered(&[PROBE_PACKAGE])).unwrap();
    runtime.reset().unwrap();
    runtime.settle(&registered(&[PROBE_PACKAGE])).unwrap();
    assert_eq!(runtime.packages().len(), 1);

    // Announced as another package; no CAP at all; one that needs what is not there.
    for (announced, file) in
        [(ONE, jpki_cap()), (ONE, b"no CAP".to_vec()), (ONE, probe[..probe.len() / 2].to_vec())]
    {
        let result = runtime.load(aid(announced), &file).map(|_| ());
        assert_eq!(refused(result), StatusWord::WRONG_DATA);
        runtime.settle(&registered(&[PROBE_PACKAGE])).unwrap();
        assert_eq!(runtime.packages().len(), 1);
    }
}

#[test]
fn privileges_and_parameters_reach_install_like_on_jcardsim() {
    let Some(bench) = Bench::jcvm() else { return };
    let mut card = bench.card();
    // 01 in C9 makes the probe refuse: the parameters arrive where an applet looks for them.
    assert_eq!(install_with(&mut card, PROBE, ONE, "04", "01"), "6A84");
    assert_eq!(install_with(&mut card, PROBE, ONE, "04", ""), "009000");
    card.reset().unwrap();
    assert_eq!(send(&mut card, "8010000000"), "0001009000", "selected by default, without a SELECT");
}
