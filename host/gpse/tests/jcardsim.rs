//! What is jCardSim's own: a process that ends, hangs, prints or is not there. Needs the built runtime, else skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::bench::{
    install, jcardsim_options, jpki_cap, probe_caps, select, Bench, MANY_PACKAGE, ONE, PROBE, PROBE_PACKAGE,
};
use common::load::{announce, importing, load, load_blocks, load_file};
use common::{send, unhex, Host};
use jpkise_card::{Transport, TransportError};
use jpkise_gpse::runtime::jcardsim::{LaunchError, Options};
use jpkise_gpse::{GpSe, JCardSim, Profile, RuntimeError};

#[test]
fn what_an_applet_prints_stays_out_of_the_protocol() {
    let Some(bench) = Bench::jcardsim() else { return };
    let mut card = bench.card();
    assert_eq!(install(&mut card, "F04A504B495052494E01", ONE, ""), "009000");
    assert_eq!(select(&mut card, ONE), "9000");
    assert_eq!(send(&mut card, "80120000015A"), "5A9000");
}

#[test]
fn a_killed_process_is_an_error_and_a_second_card_works() {
    let Some(options) = jcardsim_options() else { return };
    let runtime = JCardSim::launch(&options).unwrap();
    let process = runtime.process_id();
    let mut card = GpSe::in_memory(Profile::default(), Box::new(runtime)).unwrap();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    assert!(std::process::Command::new("kill")
        .args(["-9", &process.to_string()])
        .status()
        .unwrap()
        .success());
    let started = Instant::now();
    let error = card.transmit(&unhex("8010000000")).unwrap_err();
    assert!(matches!(&error, TransportError::ProcessEnded(why) if why.contains("signal")), "{error}");
    assert!(matches!(card.transmit(&unhex("8010000000")), Err(TransportError::ProcessEnded(_))));
    assert!(matches!(card.reset(), Err(TransportError::ProcessEnded(_))));
    assert!(started.elapsed() < Duration::from_secs(5));
    let mut second = Bench::JCardSim(Box::new(options)).card();
    assert_eq!(install(&mut second, PROBE, ONE, ""), "009000");
}

#[test]
fn an_applet_that_never_ends_is_given_up() {
    let Some(mut options) = jcardsim_options() else { return };
    options.timeout = Duration::from_secs(3);
    let runtime = JCardSim::launch(&options).unwrap();
    let process = runtime.process_id();
    let mut card = GpSe::in_memory(Profile::default(), Box::new(runtime)).unwrap();
    install(&mut card, PROBE, ONE, "");
    select(&mut card, ONE);
    let started = Instant::now();
    let error = card.transmit(&unhex("80180000")).unwrap_err();
    assert!(matches!(error, TransportError::Timeout(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!PathBuf::from(format!("/proc/{process}")).exists(), "an orphan");
    assert!(matches!(card.transmit(&unhex("80180000")), Err(TransportError::ProcessEnded(_))));
}

#[test]
fn the_last_words_of_a_process_are_in_the_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("java");
    std::fs::write(&script, "#!/bin/sh\necho some words >&2\necho last words >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let jar = folder.path().join("some.jar");
    std::fs::write(&jar, "").unwrap();
    let mut options = Options::new(jar);
    options.java = script;
    for _ in 0..40 {
        let error = JCardSim::launch(&options).unwrap_err().to_string();
        assert!(error.contains("some words") && error.contains("last words"), "{error}");
    }
}

#[test]
fn a_load_file_is_taken_when_the_classes_give_it() {
    let (Some(mut options), Some([probe, many])) = (jcardsim_options(), probe_caps()) else { return };
    options.loadable = [PROBE_PACKAGE, MANY_PACKAGE].map(|aid| aid.parse().unwrap()).to_vec();
    let runtime = JCardSim::launch(&options).unwrap();
    let mut card = GpSe::in_memory(Profile::default(), Box::new(runtime)).unwrap();
    let load_on = |card: &mut GpSe, cap: &[u8]| {
        send(card, "00A4040000");
        let mut host = Host::default(card, 0x01);
        load(&mut host, card, cap)
    };
    assert_eq!(install(&mut card, PROBE, ONE, ""), "6A88", "not in ROM");
    // Another constant in the code, another method body, another export: whatever differs is another load file.
    let original = load_file(&probe);
    let mut refused = 0;
    for at in (0..original.len()).step_by(41) {
        let mut changed = original.clone();
        changed[at] ^= 0x01;
        send(&mut card, "00A4040000");
        let mut host = Host::default(&mut card, 0x01);
        host.send(&mut card, &announce(PROBE_PACKAGE, "", ""));
        assert_eq!(load_blocks(&mut host, &mut card, &changed), "6A80", "byte {at}");
        refused += 1;
    }
    println!("{refused} changed files refused");
    // A package on nobody's class path, one in ROM, one that imports what is not loaded.
    let mut unknown = jpkise_cap::Cap::read(&probe).unwrap();
    unknown.header.package.aid = "F04A504B49FFFFFF".parse().unwrap();
    assert_eq!(load_on(&mut card, &unknown.to_jar().unwrap()), "6A81");
    assert_eq!(load_on(&mut card, &jpki_cap()), "6985");
    assert_eq!(load_on(&mut card, &importing(&probe, MANY_PACKAGE, (1, 0))), "6438");
    for cap in [&probe, &many] {
        assert_eq!(load_on(&mut card, cap), "009000");
    }
    assert_eq!(install(&mut card, PROBE, ONE, ""), "009000");
    assert_eq!(select(&mut card, ONE), "9000");
    assert_eq!(send(&mut card, "80120000021234"), "12349000");
    send(&mut card, "00A4040000");
    let mut host = Host::default(&mut card, 0x01);
    let delete = |aid: &str| format!("80E400800A4F{:02X}{aid}00", aid.len() / 2);
    assert_eq!(host.send(&mut card, &delete(PROBE_PACKAGE)), "009000");
    assert_eq!(select(&mut card, ONE), "6A82");
    assert_eq!(load_on(&mut card, &probe), "009000");
}

#[test]
fn the_process_ends_with_the_card() {
    let Some(options) = jcardsim_options() else { return };
    let runtime = JCardSim::launch(&options).unwrap();
    let process = PathBuf::from(format!("/proc/{}", runtime.process_id()));
    if !PathBuf::from("/proc/self").exists() {
        println!("skipped: no /proc on this system");
        return;
    }
    assert!(process.exists());
    drop(runtime);
    assert!(!process.exists());
}

#[test]
fn what_is_missing_is_named_with_the_command_that_helps() {
    let error = JCardSim::launch(&Options::new("/nonexistent/jcardsim-runtime.jar")).unwrap_err();
    assert!(matches!(error, LaunchError::NotBuilt { .. }));
    assert!(error.to_string().contains("mvn "), "{error}");
    let Some(mut options) = jcardsim_options() else { return };
    options.java = PathBuf::from("/nonexistent/java");
    assert!(matches!(JCardSim::launch(&options).unwrap_err(), LaunchError::Java { .. }));
    // A program that starts and says nothing sensible.
    options.java = PathBuf::from("/bin/false");
    let error = JCardSim::launch(&options).unwrap_err();
    assert!(matches!(&error, LaunchError::Transport(TransportError::ProcessEnded(_))), "{error}");
    // The seam's own error keeps the transport's.
    assert!(matches!(
        RuntimeError::from(TransportError::Removed),
        RuntimeError::Failed(TransportError::Removed)
    ));
}
