//! Profile files: what they say, what is refused, and that each switch makes the same script answer differently.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::bench::{self, jpki_cap, JPKI};
use common::{case4, put_key_data, send, status, unhex, Host, TEST_KEY};
use jpkise_card::Transport;
use jpkise_gpse::faults::Part;
use jpkise_gpse::profile::{Problem, ProfileError};
use jpkise_gpse::registry::{Key, KeyData};
use jpkise_gpse::{Fault, GpSe, Jcvm, NoApplets, Profile};
use jpkise_wire::scp03::{diversify_set, Diversification, StaticKeys};
use subtle::ConstantTimeEq;

const DEFAULT: &str = include_str!("../profiles/default.toml");
const STRICT: &str = include_str!("../profiles/strict.toml");

fn profile(text: &str) -> Profile {
    Profile::from_toml(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn with(lines: &str) -> Profile {
    profile(&format!("format = 1\n{lines}"))
}

fn card(profile: Profile) -> GpSe {
    GpSe::in_memory(profile, Box::new(NoApplets)).unwrap()
}

fn same_key(a: &Key, b: &Key) -> bool {
    match (&a.data, &b.data) {
        (KeyData::Aes(a), KeyData::Aes(b)) => bool::from(a.ct_eq(b)),
        _ => false,
    }
}

fn same_keys(a: &Profile, b: &Profile) -> bool {
    let pairs = a.keys.iter().zip(&b.keys);
    a.keys.len() == b.keys.len()
        && pairs.into_iter().all(|(a, b)| {
            a.keys.len() == b.keys.len()
                && a.keys.iter().zip(&b.keys).all(|((i, a), (j, b))| i == j && same_key(a, b))
        })
}

#[test]
fn the_default_file_is_the_default_profile() {
    let read = profile(DEFAULT);
    assert_eq!(format!("{read:#?}"), format!("{:#?}", Profile::default()));
    assert!(same_keys(&read, &Profile::default()));
    // Nothing but the format is needed.
    assert_eq!(format!("{:?}", with("")), format!("{:?}", Profile::default()));
}

const DOCUMENT: &str = include_str!("../../../docs/profiles.md");

/// Every key there is, dotted: an unknown key is answered with the known ones.
fn all_keys() -> Vec<String> {
    let known = |text: &str| match Profile::from_toml(text) {
        Err(ProfileError::UnknownKey { known, .. }) => known,
        other => panic!("{text}: {other:?}"),
    };
    let key = "11".repeat(16);
    let mut all = Vec::new();
    for top in known("format = 1\nnonsense = 1") {
        let text = match top {
            "format" => String::new(),
            "keys" => format!("[[keys]]\nkvn = \"30\"\nkey = \"{key}\"\nnonsense = 1"),
            "applets" => {
                let aid = "A000000151";
                format!("[[applets]]\npackage = \"{aid}\"\nmodule = \"{aid}\"\ninstance = \"{aid}\"\nnonsense = 1")
            }
            _ => format!("[{top}]\nnonsense = 1"),
        };
        let table = ["format", "keys", "applets", "faults"].contains(&top);
        all.extend(table.then(|| top.to_owned()));
        if !["format", "faults"].contains(&top) {
            all.extend(known(&format!("format = 1\n{text}")).iter().map(|key| format!("{top}.{key}")));
        }
    }
    all
}

#[test]
fn the_default_file_writes_out_every_key() {
    for key in all_keys() {
        let name = key.rsplit('.').next().unwrap();
        let written = DEFAULT.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{name} =")) || line.contains(&format!("[{name}]"))
        });
        assert!(written, "{key}");
    }
}

/// First and second column of the tables below a heading.
fn rows(from: &str) -> Vec<(String, String)> {
    let section = DOCUMENT.split(&format!("{from}\n")).nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    let cells = |line: &str| {
        let mut cells =
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        Some((cells.next()?, cells.next()?))
    };
    section.lines().filter(|line| line.starts_with("| `")).filter_map(cells).collect()
}

#[test]
fn the_document_lists_every_key_and_no_other() {
    let mut documented: Vec<String> = rows("## Keys").into_iter().map(|(key, _)| key).collect();
    let mut keys = all_keys();
    documented.sort();
    keys.sort();
    assert_eq!(documented, keys);
}

#[test]
fn the_document_lists_every_fault_and_what_it_breaks() {
    let headings = [
        (Part::SecureChannel, "### Secure channel"),
        (Part::CardManager, "### Card manager"),
        (Part::Jpki, "### JPKI applet"),
        (Part::Ara, "### ARA-M"),
    ];
    for (part, heading) in headings {
        let there = Fault::ALL.iter().filter(|fault| fault.part() == part);
        let there: Vec<_> = there.map(|fault| (fault.name().to_owned(), fault.what().to_owned())).collect();
        assert_eq!(rows(heading), there, "{heading}");
    }
}

#[test]
fn errors_name_line_and_key() {
    let rows: &[(&str, usize, Option<&str>)] = &[
        ("format = 1\n[card\n", 2, None),
        ("", 1, Some("format")),
        ("format = 2", 1, Some("format")),
        ("format = \"1\"", 1, Some("format")),
        ("format = 1\ncolour = 1", 2, Some("colour")),
        ("format = 1\n[card]\n\nchanels = 4", 4, Some("card.chanels")),
        ("format = 1\n[card]\nchannels = 0", 3, Some("card.channels")),
        ("format = 1\n[card]\nchannels = 5", 3, Some("card.channels")),
        ("format = 1\n[card]\nchannels = -1", 3, Some("card.channels")),
        ("format = 1\n[card]\nchannels = 2.0", 3, Some("card.channels")),
        ("format = 1\n[card]\nlife_cycle = \"secured\"", 3, Some("card.life_cycle")),
        ("format = 1\n[card]\ninterface = \"usb\"", 3, Some("card.interface")),
        ("format = 1\n[card]\nara = \"yes\"", 3, Some("card.ara")),
        ("format = 1\ncard = 1", 2, Some("card")),
        ("format = 1\n[identity]\nissuer = \"A0000001\"", 3, Some("identity.issuer")),
        ("format = 1\n[identity]\nissuer = \"A00000015\"", 3, Some("identity.issuer")),
        ("format = 1\n[identity]\ncplc = \"00\"", 3, Some("identity.cplc")),
        ("format = 1\n[identity]\nhistorical_bytes = \"80 73\"", 3, Some("identity.historical_bytes")),
        ("format = 1\n[identity]\ndiversification_data = \"\"", 3, Some("identity.diversification_data")),
        ("format = 1\n[scp03]\ni = \"40\"", 3, Some("scp03.i")),
        ("format = 1\n[scp03]\ni = \"70\"\ns16 = true", 4, Some("scp03.s16")),
        ("format = 1\n[scp03]\nr_mac = false", 3, Some("scp03.r_mac")),
        ("format = 1\n[scp03]\nminimum_level = \"02\"", 3, Some("scp03.minimum_level")),
        ("format = 1\n[scp03]\ni = \"10\"\nminimum_level = \"13\"", 4, Some("scp03.minimum_level")),
        ("format = 1\n[authentication]\ntries = 0", 3, Some("authentication.tries")),
        ("format = 1\n[authentication]\ntries = 3\nunlimited = true", 3, Some("authentication.tries")),
        ("format = 1\n[authentication]\nthen = \"delay\"", 2, Some("authentication.delay_ms")),
        ("format = 1\n[authentication]\ndelay_ms = 5", 3, Some("authentication.delay_ms")),
        ("format = 1\n[contactless]\nuid = \"0102030405\"", 3, Some("contactless.uid")),
        ("format = 1\n[memory]\npersistent = 1", 3, Some("memory.persistent")),
        ("format = 1\n[buffers]\napdu = 100", 3, Some("buffers.apdu")),
        ("format = 1\n[machine]\nplatform = \"2.2.1\"", 3, Some("machine.platform")),
        ("format = 1\n[[keys]]\nkey = \"00\"", 2, Some("keys[0].kvn")),
        ("format = 1\n[[keys]]\nkvn = \"30\"", 2, Some("keys[0].enc")),
        ("format = 1\n[[keys]]\nkvn = \"80\"\nkey = \"00\"", 3, Some("keys[0].kvn")),
        ("format = 1\n[[keys]]\nkvn = \"30\"\nkey = \"00\"", 4, Some("keys[0].key")),
        ("format = 1\nkeys = 1", 2, Some("keys")),
        ("format = 1\n[[applets]]\npackage = \"A000000151\"", 2, Some("applets[0].module")),
        (
            "format = 1\n[[applets]]\npackage = \"A000000151\"\nmodule = \"A000000151\"\ninstance = \"A000000151\"\nprivileges = \"80\"",
            6,
            Some("applets[0].privileges"),
        ),
    ];
    for (text, line, key) in rows {
        let error = Profile::from_toml(text).expect_err(text);
        assert_eq!((error.line(), error.key()), (*line, *key), "{text}\n{error}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
    }
    let key = "11".repeat(16);
    let twice = format!(
        "format = 1\n[[keys]]\nkvn = \"30\"\nkey = \"{key}\"\n[[keys]]\nkvn = \"30\"\nkey = \"{key}\""
    );
    let error = Profile::from_toml(&twice).unwrap_err();
    assert_eq!((error.line(), error.key()), (6, Some("keys[1].kvn")));
    let mixed =
        format!("format = 1\n[[keys]]\nkvn = \"30\"\nenc = \"{key}\"\nmac = \"{key}\"\ndek = \"{key}{key}\"");
    let error = Profile::from_toml(&mixed).unwrap_err();
    assert!(matches!(error, ProfileError::Value { problem: Problem::MixedLengths, .. }), "{error}");
    let long = format!("format = 1\n[[keys]]\nkvn = \"30\"\nkey = \"{key}{key}\"\ndiversification = \"emv\"");
    let error = Profile::from_toml(&long).unwrap_err();
    assert_eq!((error.line(), error.key()), (5, Some("keys[0].diversification")));
}

#[test]
fn no_key_shows_in_an_error_or_in_debug_output() {
    let secret = "0badc0de0badc0de0badc0de0badc0de";
    let shown = format!("{:?}", with(&format!("[[keys]]\nkvn = \"30\"\nkey = \"{secret}\"")));
    assert!(shown.contains("KCV") && !shown.to_lowercase().contains("badc0de"), "{shown}");
    for bad in [
        format!("[[keys]]\nkvn = \"30\"\nkey = \"{secret}0bad\""),
        format!("[[keys]]\nkvn = \"30\"\nkey = \"{secret}xy\""),
        format!("[[keys]]\nkvn = \"30\"\nkey = \"{secret}"),
        format!("[[keys]]\nkvn = \"30\"\nkey = {secret}"),
        format!("[[keys]]\nkvn = \"{secret}\""),
        format!("[card]\nlife_cycle = \"{secret}\""),
    ] {
        let error = Profile::from_toml(&format!("format = 1\n{bad}")).unwrap_err();
        let shown = format!("{error} {error:?}").to_lowercase();
        assert!(!shown.contains("badc0de"), "{shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_or_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("se.toml");
    assert!(Profile::read(&path).unwrap_err().to_string().contains("se.toml"));
    std::fs::write(&path, "format = 1\n[card]\ncolour = 1").unwrap();
    let shown = Profile::read(&path).unwrap_err().to_string();
    assert!(shown.contains("se.toml: line 3: unknown key card.colour"), "{shown}");
    std::fs::write(&path, STRICT).unwrap();
    assert_eq!(Profile::read(&path).unwrap().card_state, 0x0F);
}

fn default_keys() -> StaticKeys {
    StaticKeys::same(&unhex(TEST_KEY)).unwrap()
}

/// The host's own derivation, from the text of the file.
fn strict_keys() -> StaticKeys {
    let value = |key: &str| {
        let line = STRICT.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        unhex(line.split('"').nth(1).unwrap())
    };
    let aes = |key| jpkise_wire::scp03::AesKey::new(&value(key)).unwrap();
    let masters = StaticKeys::new(aes("enc"), aes("mac"), aes("dek")).unwrap();
    let kdd = value("diversification_data").try_into().unwrap();
    diversify_set(Diversification::Kdf3, &masters, &kdd).unwrap()
}

#[test]
fn the_strict_card_opens_to_its_own_keys_only_and_offers_no_r_encryption() {
    let mut card = card(profile(STRICT));
    let open = |card: &mut GpSe, keys: &StaticKeys, level| {
        send(card, "00A4040000");
        Host::open_on(card, keys, 0, level, 0, 8).err()
    };
    assert_eq!(open(&mut card, &strict_keys(), 0x33).as_deref(), Some("6A86"));
    assert_eq!(open(&mut card, &strict_keys(), 0x01).as_deref(), Some("6A86"));
    assert_eq!(open(&mut card, &strict_keys(), 0x13), None);
    for _ in 0..3 {
        assert_eq!(open(&mut card, &default_keys(), 0x13).as_deref(), Some("6982"));
    }
    assert_eq!(open(&mut card, &strict_keys(), 0x13).as_deref(), Some("6983"));
}

/// What a script is answered on a card of the profile.
fn answers(profile: Profile, script: &[&str]) -> Vec<String> {
    let mut card = card(profile);
    script.iter().map(|command| send(&mut card, command)).collect()
}

const SELECT: &str = "00A4040000";
const INITIALIZE: &str = "8050000008555555555555555500";

/// A switch, a script that shows it, and what the card says with and without it at the last command.
struct Switch {
    key: &'static str,
    lines: String,
    script: Vec<String>,
}

fn switch(key: &'static str, lines: &str, script: &[&str]) -> Switch {
    Switch { key, lines: lines.to_owned(), script: script.iter().map(|s| (*s).to_owned()).collect() }
}

fn wire_switches() -> Vec<Switch> {
    let session = |level: u8| format!("open {level:02X}");
    let opened = |level: u8, then: &[&str]| {
        let mut script = vec![SELECT.to_owned(), session(level)];
        script.extend(then.iter().map(|s| (*s).to_owned()));
        script
    };
    let with_script = |key, lines: &str, script| Switch { key, lines: lines.to_owned(), script };
    let key = "11".repeat(16);
    vec![
        switch("identity.historical_bytes", "[identity]\nhistorical_bytes = \"80\"", &["reset"]),
        switch(
            "identity.issuer",
            "[identity]\nissuer = \"A000000003000000\"",
            &["00A4040008A000000003000000"],
        ),
        switch("identity.iin", "[identity]\niin = \"AABB\"", &[SELECT, "80CA004200"]),
        switch("identity.iin", "[identity]\niin = \"\"", &[SELECT, "80CA004200"]),
        switch("identity.cin", "[identity]\ncin = \"AABB\"", &[SELECT, "80CA004500"]),
        switch(
            "identity.cplc",
            &format!("[identity]\ncplc = \"{}\"", "77".repeat(42)),
            &[SELECT, "80CA9F7F00"],
        ),
        switch(
            "identity.diversification_data",
            "[identity]\ndiversification_data = \"00112233445566778899\"",
            &[SELECT, INITIALIZE],
        ),
        with_script(
            "card.life_cycle",
            "[card]\nlife_cycle = \"SECURED\"",
            // On from INITIALIZED there is no way back to it.
            opened(0x01, &["80F0800700"]),
        ),
        switch("card.channels", "[card]\nchannels = 2", &["0070000001", "0070000001"]),
        switch("card.interface", "[card]\ninterface = \"contactless\"", &["FFCA000000"]),
        switch("card.seed", "[card]\nseed = 7\n[scp03]\ni = \"60\"", &[SELECT, INITIALIZE]),
        switch("scp03.i", "[scp03]\ni = \"30\"", &["8050000008555555555555555500"]),
        switch("scp03.s16", "[scp03]\ns16 = true", &[SELECT, INITIALIZE]),
        switch("scp03.pseudo_random", "[scp03]\npseudo_random = false", &[SELECT, "80CA00C100"]),
        with_script("scp03.r_encryption", "[scp03]\nr_encryption = false", opened(0x33, &[])),
        with_script("scp03.r_mac", "[scp03]\nr_encryption = false\nr_mac = false", opened(0x13, &[])),
        with_script("scp03.minimum_level", "[scp03]\nminimum_level = \"03\"", opened(0x01, &[])),
        switch(
            "authentication.tries",
            "[authentication]\ntries = 1",
            &[SELECT, INITIALIZE, "84820100100000000000000000000000000000000000", INITIALIZE],
        ),
        switch("keys.kvn", &format!("[[keys]]\nkvn = \"31\"\nkey = \"{key}\""), &[SELECT, "80CA00E000"]),
        switch("keys.key", &format!("[[keys]]\nkvn = \"30\"\nkey = \"{key}{key}\""), &[SELECT, "80CA00E000"]),
        with_script(
            "keys.enc",
            &format!("[[keys]]\nkvn = \"30\"\nenc = \"{key}\"\nmac = \"{TEST_KEY}\"\ndek = \"{TEST_KEY}\""),
            vec![SELECT.to_owned(), INITIALIZE.to_owned()],
        ),
        with_script(
            "keys.mac",
            &format!("[[keys]]\nkvn = \"30\"\nenc = \"{TEST_KEY}\"\nmac = \"{key}\"\ndek = \"{TEST_KEY}\""),
            opened(0x01, &[]),
        ),
        with_script(
            "keys.dek",
            &format!("[[keys]]\nkvn = \"30\"\nenc = \"{TEST_KEY}\"\nmac = \"{TEST_KEY}\"\ndek = \"{key}\""),
            opened(0x01, &["putkey"]),
        ),
        with_script(
            "keys.diversification",
            &format!("[[keys]]\nkvn = \"30\"\nkey = \"{TEST_KEY}\"\ndiversification = \"visa2\""),
            opened(0x01, &[]),
        ),
        switch(
            "keys.sequence_counter",
            &format!("[[keys]]\nkvn = \"30\"\nkey = \"{TEST_KEY}\"\nsequence_counter = 9"),
            &[SELECT, "80CA00C100"],
        ),
        switch(
            "contactless.uid",
            "[card]\ninterface = \"contactless\"\n[contactless]\nuid = \"01020304\"",
            &["FFCA000000"],
        ),
        switch(
            "contactless.historical_bytes",
            "[card]\ninterface = \"contactless\"\n[contactless]\nhistorical_bytes = \"80\"",
            &["reset"],
        ),
        switch("memory.told_persistent", "[memory]\ntold_persistent = 1", &[SELECT, "80CAFF2100"]),
        switch("memory.told_transient", "[memory]\ntold_transient = 1", &[SELECT, "80CAFF2100"]),
        with_script(
            "buffers.chaining",
            "[buffers]\nchaining = 20",
            opened(
                0x00,
                &["80E68000100102030405060708090A0B0C0D0E0F10", "80E68000100102030405060708090A0B0C0D0E0F10"],
            ),
        ),
        switch("buffers.extended_length", "[buffers]\nextended_length = false", &[SELECT, "80CA9F7F000000"]),
    ]
}

/// Runs a script in a small language: hexadecimal, `reset`, `open LL` with the default keys, `putkey`.
fn run(card: &mut GpSe, script: &[String]) -> String {
    let mut host: Option<Host> = None;
    let mut last = String::new();
    for step in script {
        last = match step.split_once(' ') {
            _ if step == "reset" => hex::encode_upper(card.reset().unwrap()),
            _ if step == "putkey" => {
                let new = StaticKeys::same(&[0x22; 16]).unwrap();
                let data = hex::encode(put_key_data(&default_keys(), &new, 0x31, true));
                host.as_mut().unwrap().send(card, &case4("80D80081", &data))
            }
            Some(("open", level)) => {
                let level = u8::from_str_radix(level, 16).unwrap();
                match Host::open_on(card, &default_keys(), 0, level, 0, 8) {
                    Ok(opened) => {
                        host = Some(opened);
                        "opened".into()
                    }
                    Err(sw) => sw,
                }
            }
            _ => match &mut host {
                Some(host) => host.send(card, step),
                None => send(card, step),
            },
        };
    }
    last
}

#[test]
fn each_switch_makes_the_same_script_answer_differently() {
    for Switch { key, lines, script } in wire_switches() {
        // Compared with what the file says without the key under test: the other lines stay.
        let without = with(&lines_without(&lines, key));
        let plain = run(&mut card(without), &script);
        let switched = run(&mut card(with(&lines)), &script);
        assert_ne!(plain, switched, "{key}: {script:?}");
    }
}

/// Keys whose effect another test here shows, and which.
const ELSEWHERE: &[(&str, &str)] = &[
    ("format", "errors_name_line_and_key"),
    ("keys", "the_strict_card_opens_to_its_own_keys_only_and_offers_no_r_encryption"),
    ("faults", "a_profile_names_faults_and_knows_no_others (tests/faults.rs)"),
    ("card.ara", "the_ara_m_is_there_unless_the_profile_says_otherwise"),
    ("card.jpki_in_rom", "the_jpki_package_is_in_rom_or_to_be_loaded (host/lab, which fills the ROM)"),
    ("authentication.unlimited", "unlimited_tries_never_block"),
    ("authentication.then", "used_up_tries_make_a_delaying_card_slow_and_not_dead"),
    ("authentication.delay_ms", "used_up_tries_make_a_delaying_card_slow_and_not_dead"),
    ("memory.persistent", "memory_and_machine_switches_show_on_the_virtual_machine"),
    ("memory.transient", "memory_and_machine_switches_show_on_the_virtual_machine"),
    ("memory.commit_buffer", "a_commit_buffer_that_is_too_small_shows_in_transactions"),
    ("memory.registry", "a_registry_region_sets_how_many_applets_the_card_can_remember"),
    ("buffers.apdu", "a_small_apdu_buffer_keeps_the_jpki_applet_from_opening_a_channel"),
    ("buffers.incoming_block", "an_incoming_block_cuts_what_an_applet_receives_at_a_time"),
    ("machine.platform", "memory_and_machine_switches_show_on_the_virtual_machine"),
    ("machine.int", "a_card_without_int_refuses_caps_that_use_it"),
    ("machine.instruction_budget", "memory_and_machine_switches_show_on_the_virtual_machine"),
    ("applets", "applets_of_the_profile_are_there_from_the_start"),
    ("applets.package", "applets_of_the_profile_are_there_from_the_start"),
    ("applets.module", "applets_of_the_profile_are_there_from_the_start"),
    ("applets.instance", "applets_of_the_profile_are_there_from_the_start"),
    ("applets.privileges", "applets_of_the_profile_get_their_privileges_and_parameters"),
    ("applets.parameters", "applets_of_the_profile_get_their_privileges_and_parameters"),
];

#[test]
fn every_key_has_a_test_of_its_effect() {
    let switches = wire_switches();
    let mut shown: Vec<&str> = switches.iter().map(|switch| switch.key).collect();
    shown.extend(ELSEWHERE.iter().map(|(key, _)| *key));
    shown.sort_unstable();
    shown.dedup();
    let mut keys = all_keys();
    keys.sort();
    assert_eq!(shown, keys);
    let here = include_str!("profiles.rs");
    for (key, test) in ELSEWHERE.iter().filter(|(_, test)| !test.contains(' ')) {
        assert!(here.contains(&format!("fn {test}()")), "{key}");
    }
}

#[test]
fn the_ara_m_is_there_unless_the_profile_says_otherwise() {
    let selects = |lines| {
        let profile = with(lines);
        let runtime = Jcvm::new(&profile.jcvm_options(), &[&bench::ara_cap()]).unwrap();
        bench::select(&mut GpSe::on_jcvm(profile, runtime).unwrap(), bench::ARA)
    };
    assert_eq!((selects("").as_str(), selects("[card]\nara = false").as_str()), ("9000", "6A82"));
    // A card of another maker has no such package in its ROM, and starts all the same.
    assert!(on_jcvm(Profile::default()).is_some());
}

#[test]
fn applets_of_the_profile_get_their_privileges_and_parameters() {
    let applet = |more: &str| {
        let [package, module] = [bench::JPKI_PACKAGE, bench::JPKI_MODULE];
        let lines = format!(
            "[[applets]]\npackage = \"{package}\"\nmodule = \"{module}\"\ninstance = \"{JPKI}\"\n{more}"
        );
        on_jcvm(with(&lines)).unwrap()
    };
    // Card Reset: selected without SELECT.
    let version = |card: &mut GpSe| status(card, "80CADF3000");
    let (mut plain, mut default) = (applet(""), applet("privileges = \"04\""));
    assert_eq!((version(&mut plain).as_str(), version(&mut default).as_str()), ("6A88", "9000"));
    // Tries 2 and 4 in place of 3 and 5.
    let tries = |mut card: GpSe| {
        bench::select(&mut card, JPKI);
        send(&mut card, "80CADF3100")
    };
    assert_ne!(tries(plain), tries(applet("parameters = \"81020204\"")));
}

fn lines_without(lines: &str, key: &str) -> String {
    // Key sets go as a whole: what is left is the default one.
    if key.starts_with("keys.") {
        return String::new();
    }
    let name = key.split_once('.').unwrap().1;
    lines.lines().filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\n")
}

#[test]
fn unlimited_tries_never_block() {
    let wrong = [INITIALIZE, "84820100100000000000000000000000000000000000"];
    let script: Vec<&str> = [SELECT].into_iter().chain(wrong.repeat(12)).chain([INITIALIZE]).collect();
    let last = |profile| answers(profile, &script).pop().unwrap();
    assert_eq!(last(Profile::default()), "6983");
    assert!(last(with("[authentication]\nunlimited = true")).ends_with("9000"));
}

#[test]
fn used_up_tries_make_a_delaying_card_slow_and_not_dead() {
    let mut card = card(with("[authentication]\ntries = 1\nthen = \"delay\"\ndelay_ms = 60"));
    send(&mut card, SELECT);
    send(&mut card, INITIALIZE);
    assert_eq!(status(&mut card, "84820100100000000000000000000000000000000000"), "6982");
    let started = Instant::now();
    assert_eq!(status(&mut card, INITIALIZE), "9000");
    assert!(started.elapsed() >= Duration::from_millis(60));
    // Neither a reset nor patience gives the tries back, the right keys do.
    card.reset().unwrap();
    let started = Instant::now();
    assert!(Host::open_on(&mut card, &default_keys(), 0, 0x33, 0, 8).is_ok());
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_delay_of_another_length_takes_another_time() {
    let slow = with("[authentication]\ntries = 1\nthen = \"delay\"\ndelay_ms = 1");
    let mut card = card(slow);
    for _ in 0..5 {
        send(&mut card, SELECT);
        send(&mut card, INITIALIZE);
        assert_eq!(status(&mut card, "84820100100000000000000000000000000000000000"), "6982");
    }
    assert!(Host::open_on(&mut card, &default_keys(), 0, 0x33, 0, 8).is_ok());
}

fn on_jcvm(profile: Profile) -> Option<GpSe> {
    let runtime = Jcvm::new(&profile.jcvm_options(), &[&jpki_cap()]).ok()?;
    GpSe::on_jcvm(profile, runtime).ok()
}

/// Status word of INSTALL of the JPKI applet, and free memory after it.
fn installs(profile: Profile) -> (String, String) {
    let mut card = on_jcvm(profile).unwrap();
    let installed = bench::install(&mut card, bench::JPKI_MODULE, JPKI, "");
    send(&mut card, SELECT);
    (installed, send(&mut card, "80CAFF2100"))
}

#[test]
fn memory_and_machine_switches_show_on_the_virtual_machine() {
    let (installed, free) = installs(Profile::default());
    assert_eq!(installed, "009000");
    assert_ne!(free, installs(with("[memory]\npersistent = 100000")).1);
    assert_ne!(free, installs(with("[memory]\ntransient = 4096")).1);
    assert!(on_jcvm(with("[memory]\npersistent = 8192")).is_none(), "no room for the package itself");
    assert!(on_jcvm(with("[machine]\nplatform = \"3.0.1\"")).is_none(), "imports newer packages");
    let mute = with("[card]\nara = false\n[machine]\ninstruction_budget = 100");
    let mut card = on_jcvm(mute).unwrap();
    let installed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bench::install(&mut card, bench::JPKI_MODULE, JPKI, "")
    }));
    assert!(installed.is_err(), "the card is mute");
    assert!(card.transmit(&unhex(SELECT)).is_ok(), "the card manager is not the virtual machine");
}

#[test]
fn a_registry_region_sets_how_many_applets_the_card_can_remember() {
    let room = |profile: Profile| {
        let mut card = on_jcvm(profile).unwrap();
        (0..8u8)
            .take_while(|number| {
                let instance = format!("D392F0002601000000{number:02X}");
                bench::install(&mut card, bench::JPKI_MODULE, &instance, "") == "009000"
            })
            .count()
    };
    assert!(room(with("[memory]\nregistry = 640")) < room(Profile::default()));
}

#[test]
fn a_commit_buffer_that_is_too_small_shows_in_transactions() {
    let free = |lines| installs(with(lines)).0;
    assert_eq!(free("[memory]\ncommit_buffer = 256"), "009000");
    let runtime = |lines| Jcvm::new(&with(lines).jcvm_options(), &[]).unwrap();
    let capacity = |lines| runtime(lines).memory().card().store().layout().journal;
    assert_ne!(capacity("[memory]\ncommit_buffer = 256"), capacity(""));
}

#[test]
fn a_small_apdu_buffer_keeps_the_jpki_applet_from_opening_a_channel() {
    let opened = |lines| {
        let mut card = on_jcvm(with(lines)).unwrap();
        assert_eq!(bench::install(&mut card, bench::JPKI_MODULE, JPKI, ""), "009000");
        assert_eq!(bench::select(&mut card, JPKI), "9000");
        status(&mut card, INITIALIZE)
    };
    assert_eq!((opened("").as_str(), opened("[buffers]\napdu = 200").as_str()), ("9000", "6A81"));
}

#[test]
fn an_incoming_block_cuts_what_an_applet_receives_at_a_time() {
    let Some([probe, _]) = bench::probe_caps() else { return };
    let echo = |lines| {
        let profile = with(lines);
        let runtime = Jcvm::new(&profile.jcvm_options(), &[&probe]).unwrap();
        let mut card = GpSe::on_jcvm(profile, runtime).unwrap();
        assert_eq!(bench::install(&mut card, bench::PROBE, bench::ONE, ""), "009000");
        assert_eq!(bench::select(&mut card, bench::ONE), "9000");
        // The applet echoes what the first reception brings.
        send(&mut card, "8012000004AABBCCDD")
    };
    assert_eq!(echo(""), "AABBCCDD9000");
    assert_eq!(echo("[buffers]\nincoming_block = 3"), "AABBCC9000");
}

#[test]
fn a_card_without_int_refuses_caps_that_use_it() {
    let mut cap = jpkise_cap::Cap::read(&jpki_cap()).unwrap();
    cap.header.flags |= jpkise_cap::model::FLAG_INT;
    let with_int = cap.to_jar().unwrap();
    let loads = |lines| Jcvm::new(&with(lines).jcvm_options(), &[&with_int]).is_ok();
    assert!(loads("") && !loads("[machine]\nint = false"));
}

#[test]
fn applets_of_the_profile_are_there_from_the_start() {
    let lines = format!(
        "[[applets]]\npackage = \"{}\"\nmodule = \"{}\"\ninstance = \"{JPKI}\"",
        bench::JPKI_PACKAGE,
        bench::JPKI_MODULE
    );
    let mut card = on_jcvm(with(&lines)).unwrap();
    assert_eq!(bench::select(&mut card, JPKI), "9000");
    let mut bare = on_jcvm(Profile::default()).unwrap();
    assert_eq!(bench::select(&mut bare, JPKI), "6A82");
}
