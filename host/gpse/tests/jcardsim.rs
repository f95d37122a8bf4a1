//! What is jCardSim's own: a process that ends, hangs, prints or is not there. Needs the built runtime, else skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::bench::{install, jcardsim_options, select, Bench, ONE, PROBE};
use common::{send, unhex};
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
