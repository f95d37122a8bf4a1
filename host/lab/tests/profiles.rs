//! Cards started by what the command line says: profile, state, runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use jpkise_gp::keys::{Diversification, SoftwareKeys};
use jpkise_gpse::profile::ProfileFileError;
use jpkise_jpki::edge::{Password, Pin, TokenProfile};
use jpkise_lab::chain::{self, Options};
use jpkise_lab::simulator::{test_keys, ProfileSource, RuntimeKind, SimulatorOptions, StartError};
use jpkise_wire::scp03::{AesKey, StaticKeys};
use time::OffsetDateTime;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../gpse/profiles").join(name)
}

fn of(profile: impl Into<ProfileSource>) -> SimulatorOptions {
    SimulatorOptions { profile: profile.into(), ..SimulatorOptions::default() }
}

fn chain_with(issuer_keys: SoftwareKeys) -> Options {
    Options {
        profile: TokenProfile::Phone,
        issuer_keys,
        pin: Pin::new("1234").unwrap(),
        password: Password::new("ABC123").unwrap(),
        now: OffsetDateTime::now_utc(),
    }
}

/// The masters that strict.toml names, diversified by the host.
fn strict_keys() -> SoftwareKeys {
    let text = std::fs::read_to_string(file("strict.toml")).unwrap();
    let key = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        AesKey::new(&hex::decode(line.split('"').nth(1).unwrap()).unwrap()).unwrap()
    };
    let masters = StaticKeys::new(key("enc"), key("mac"), key("dek")).unwrap();
    SoftwareKeys::diversified(masters, Diversification::Kdf3)
}

#[test]
fn the_chain_runs_on_the_strict_card_with_the_host_s_diversified_keys_and_on_no_other() {
    let (mut card, kept) = of(Some(file("strict.toml"))).start().unwrap();
    assert!(kept.is_none());
    chain::provision(&mut card, &chain_with(strict_keys()), &mut |_| {}).unwrap();
    let (mut card, _) = of(Some(file("strict.toml"))).start().unwrap();
    assert!(chain::provision(&mut card, &chain_with(test_keys().unwrap()), &mut |_| {}).is_err());
    let (mut card, _) = of(Some(file("default.toml"))).start().unwrap();
    chain::provision(&mut card, &chain_with(test_keys().unwrap()), &mut |_| {}).unwrap();
}

#[test]
fn a_kept_card_goes_on_with_its_keys_whatever_profile_is_named_later() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card");
    let options = |profile: Option<PathBuf>| SimulatorOptions { state: Some(state.clone()), ..of(profile) };
    let (mut card, kept) = options(Some(file("strict.toml"))).start().unwrap();
    chain::provision(&mut card, &chain_with(strict_keys()), &mut |_| {}).unwrap();
    kept.unwrap().save().unwrap();
    drop(card);
    let (mut card, _) = options(Some(file("strict.toml"))).start().unwrap();
    assert_eq!(card.transport_mut().registry().card_state(), 0x0F);
    let instances = card.transport_mut().registry().applications.len();
    drop(card);
    // What the card remembers stays: keys, life cycle, applets. The ARA-M is not installed again.
    let (mut card, _) = options(None).start().unwrap();
    let registry = card.transport_mut().registry();
    assert_eq!((registry.card_state(), registry.applications.len()), (0x0F, instances));
    assert_eq!(registry.issuer().as_domain().unwrap().key_versions[0].kvn, 0x01);
}

#[test]
fn what_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "format = 1\n[card]\nchannels = 9\n").unwrap();
    let error = of(Some(bad)).start().err().unwrap();
    let StartError::Profile(ProfileFileError::Profile { source, .. }) = &error else { panic!("{error}") };
    assert_eq!((source.line(), source.key()), (3, Some("card.channels")));
    assert!(error.to_string().contains("bad.toml: line 3: card.channels"), "{error}");
    let error = of(Some(folder.path().join("none.toml"))).start().err().unwrap();
    assert!(matches!(error, StartError::Profile(ProfileFileError::Read { .. })), "{error}");
    let options = SimulatorOptions {
        runtime: RuntimeKind::JCardSim,
        state: Some(folder.path().join("card")),
        ..SimulatorOptions::default()
    };
    assert!(matches!(options.start().err().unwrap(), StartError::NoState));
    // An applet whose package is not in ROM.
    let text = "format = 1\n[[applets]]\npackage = \"F000000001\"\nmodule = \"F00000000101\"\ninstance = \"F00000000101\"";
    let profile = jpkise_gpse::Profile::from_toml(text).unwrap();
    assert!(of(profile).start().err().unwrap().to_string().contains("F00000000101"));
}
