//! `jpkise gp` as a user runs it: what it prints, what it refuses, and what becomes of mistakes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::gp_script::{other_cap, DOMAIN, INSTANCE, LOAD_FILE};
use crate::support::{commands, finish, have, jpkise, ok, run, text, Reader, Sim};

const TEST_KEY: &str = "404142434445464748494a4b4c4d4e4f";
const WRONG_KEY: &str = "00112233445566778899AABBCCDDEEFF";
const ROM_PACKAGE: &str = "D392F000264A504B01";

/// `jpkise gp` on a card kept in `directory`.
fn gp(directory: &Path, arguments: &[&str]) -> Command {
    let state = directory.join("card");
    jpkise(&[&["gp", "--state", state.to_str().unwrap()], arguments].concat())
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

#[test]
fn reading_tells_who_the_card_is_in_words_and_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let info = ok(&mut gp(directory.path(), &["info"]));
    for words in ["card id", "4A504B49000100000001", "SCP03, i = 70", "version 30", "free memory"] {
        assert!(info.contains(words), "no {words} in {info}");
    }
    assert!(!info.contains("test keys"), "nobody asked for the test keys: {info}");
    let tried = json(&run(&mut gp(directory.path(), &["info", "--try-test-keys", "--json"])));
    assert_eq!(tried["test_keys"], true);
    assert_eq!(tried["keys"].as_array().unwrap().len(), 3);
    let untried = json(&run(&mut gp(directory.path(), &["info", "--json"])));
    assert_eq!(untried["test_keys"], Value::Null);

    let list = ok(&mut gp(directory.path(), &["list"]));
    assert!(list.contains("└─") && list.contains("SELECTABLE") && list.contains("The public test keys open"));
    let japanese = ok(gp(directory.path(), &["list"]).args(["--lang", "ja"]));
    assert!(japanese.contains("ロードファイル"), "{japanese}");
    let status = ok(&mut gp(directory.path(), &["status", ROM_PACKAGE]));
    assert!(status.contains("LOADED"), "{status}");
}

#[test]
fn reading_opens_one_channel_and_sends_no_more_than_it_must() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace.jsonl");
    for (verb, channels, most) in [("info", 0, 9), ("list", 1, 6)] {
        ok(gp(directory.path(), &[verb]).args(["--trace", trace.to_str().unwrap()]));
        let sent = commands(&fs::read_to_string(&trace).unwrap());
        let opened = sent.lines().filter(|c| c.starts_with("8050")).count();
        assert_eq!(opened, channels, "{verb}: {sent}");
        assert!(sent.lines().count() <= most, "{verb}: {sent}");
    }
}

#[test]
fn loading_takes_the_largest_blocks_and_no_more_commands_than_it_must() {
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    let trace = directory.path().join("trace.jsonl");
    let loaded = run(gp(directory.path(), &["load", cap.to_str().unwrap(), "--json"])
        .args(["--trace", trace.to_str().unwrap()]));
    let report = json(&loaded);
    let (bytes, blocks) = (report["bytes"].as_u64().unwrap(), report["blocks"].as_u64().unwrap());
    // C4 and its length stand in front; 247 bytes go into a block whose command carries nothing but its MAC.
    assert_eq!(blocks, (bytes + 4).div_ceil(247));
    let sent = commands(&fs::read_to_string(&trace).unwrap());
    // SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE, the load files, the free memory, INSTALL [for load].
    assert_eq!(sent.lines().count() as u64, blocks + 6, "{sent}");
    // Piped: no bar.
    assert!(!text(&loaded).contains("B/s"), "{}", text(&loaded));
}

#[test]
fn a_dry_run_shows_plan_and_commands_and_leaves_the_card_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    let cap = cap.to_str().unwrap();
    ok(&mut gp(directory.path(), &["install", cap, "--aid", INSTANCE]));
    ok(&mut gp(directory.path(), &["domain", "create", DOMAIN]));
    let before = json(&run(&mut gp(directory.path(), &["list", "--json"])));
    let keys = directory.path().join("keys");
    let keys = keys.to_str().unwrap();
    for (arguments, command) in [
        (vec!["install", cap, "--aid", INSTANCE, "--replace"], "80E60C00"),
        (vec!["load", cap, "--replace"], "80E88"),
        (vec!["delete", LOAD_FILE, "--related"], "80E40080"),
        (vec!["domain", "create", "A0000001515353"], "80E60C00"),
        (vec!["domain", "delete", DOMAIN], "80E40000"),
        (vec!["domain", "extradite", INSTANCE, "--to", DOMAIN], "80E61000"),
        (vec!["keys", "put", "--new-kvn", "31", "--generate", keys], "80D80081 (key)"),
        (vec!["keys", "replace", "--new-kvn", "31", "--generate", keys], "80E4000003D20130"),
        (vec!["lock", INSTANCE], "80F04080"),
        (vec!["lock"], "80F0807F"),
        (vec!["terminate"], "80F080FF"),
        (vec!["status", "set", "card", "initialized"], "80F08007"),
        (vec!["store-data", "42=11223344"], "80E29000"),
        (vec!["send", "80E4000007", "--secure"], "80E40000"),
    ] {
        let output = run(gp(directory.path(), &arguments).args(["--dry-run", "--json"]));
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        let report = json(&output);
        let commands = report["commands"].to_string();
        assert!(commands.contains(command), "{arguments:?}: {report:#}");
        let shown = ok(gp(directory.path(), &arguments).arg("--dry-run"));
        assert!(shown.contains(command) && shown.contains("Dry run"), "{arguments:?}: {shown}");
    }
    assert!(!Path::new(keys).exists(), "a dry run wrote keys");
    let after = json(&run(&mut gp(directory.path(), &["list", "--json"])));
    for part in ["issuer_domain", "applications", "load_files"] {
        assert_eq!(before[part], after[part], "{part}");
    }
}

#[test]
fn what_destroys_needs_consent_and_what_ends_a_card_needs_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    ok(&mut gp(directory.path(), &["install", cap.to_str().unwrap(), "--aid", INSTANCE]));
    let id = "4A504B49000100000001";
    for (arguments, exit) in [
        (vec!["delete", INSTANCE], 7),
        (vec!["install", cap.to_str().unwrap(), "--aid", INSTANCE, "--replace"], 7),
        (vec!["keys", "put", "--new-kvn", "31", "--new-key", WRONG_KEY], 7),
        (vec!["terminate"], 7),
        (vec!["terminate", "--yes"], 7),
        (vec!["terminate", "--card-id", id], 7),
        (vec!["terminate", "--yes", "--card-id", "4A504B49000100000002"], 7),
        (vec!["list", "--card-id", id], 0),
        (vec!["terminate", "--yes", "--card-id", id], 0),
        // It is final.
        (vec!["list"], 5),
    ] {
        let output = run(&mut gp(directory.path(), &arguments));
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", text(&output));
    }
    let dead = text(&run(&mut gp(directory.path(), &["unlock"])));
    assert!(dead.contains("terminated"), "{dead}");
}

#[test]
fn mistakes_end_in_the_exit_status_of_the_manual_and_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    let cap = cap.to_str().unwrap();
    ok(&mut gp(directory.path(), &["install", cap, "--aid", INSTANCE]));
    let broken = directory.path().join("broken.cap");
    fs::write(&broken, b"PK no cap").unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "80CA006600\nnot hex\n").unwrap();
    for (arguments, exit, says) in [
        (vec!["lsit"], 2, "list"),
        (vec!["load", "/nonexistent.cap"], 2, "/nonexistent.cap"),
        (vec!["load", broken.to_str().unwrap()], 2, "broken.cap"),
        (vec!["load", cap], 5, "--replace"),
        (vec!["install", cap, "--module", "A0000000620001"], 2, "D392F000264A504B0201"),
        (vec!["install", "--package", "A00000009901"], 5, "gp list"),
        (vec!["install", "--package", ROM_PACKAGE, "--aid", INSTANCE], 5, "--aid"),
        (vec!["install", "--package", ROM_PACKAGE, "--param", "FF", "--aid", "A000000099"], 5, "6A80"),
        (vec!["install", cap, "--param", "8001=00"], 2, "--param"),
        (vec!["delete", "A000000099"], 5, "gp list"),
        (vec!["delete", LOAD_FILE, "--yes"], 5, "--related"),
        (vec!["delete", "A000000151000000", "--yes"], 5, "A000000151000000"),
        (vec!["delete", "A0"], 2, "A0"),
        (vec!["domain", "delete", INSTANCE], 2, INSTANCE),
        (vec!["domain", "extradite", INSTANCE, "--to", "A000000099"], 5, "A000000099"),
        (vec!["keys", "put", "--new-kvn", "30", "--new-key", WRONG_KEY], 2, "--new-kvn"),
        (vec!["keys", "put", "--new-kvn", "31"], 2, "--generate"),
        (vec!["keys", "put", "--new-kvn", "80", "--new-key", WRONG_KEY], 2, "80"),
        (vec!["keys", "replace", "--new-kvn", "31", "--old", "32", "--new-key", WRONG_KEY], 2, "32"),
        (vec!["keys", "delete", "30"], 7, "--kvn"),
        (vec!["keys", "delete", "31"], 5, "keys list"),
        (vec!["unlock", INSTANCE], 5, "6985"),
        (vec!["lock", "A000000099"], 5, "6A88"),
        (vec!["status", "A000000099"], 5, "A000000099"),
        (vec!["status", "set", "card", "selectable"], 2, "secured"),
        (vec!["status", "set", "card", "op-ready"], 5, "6985"),
        (vec!["list", "--key", WRONG_KEY], 4, "--kdf"),
        (vec!["list", "--kvn", "31"], 4, "31"),
        (vec!["list", "--key", "00"], 2, "--key"),
        (vec!["list", "--level", "12"], 2, "--level"),
        (vec!["list", "--sd", "A000000099"], 5, "6A82"),
        (vec!["store-data", "FF=00"], 2, "FF"),
        (vec!["send", "80CA00"], 2, "80CA00"),
        (vec!["send", "--file", script.to_str().unwrap()], 2, "2"),
        (vec!["send", "80CA00EE00"], 5, "6A88"),
        (vec!["send", "80CA006600=6A88"], 5, "6A88"),
        (vec!["send", "reset", "--secure"], 2, "reset"),
    ] {
        for language in ["en", "ja"] {
            let output = run(gp(directory.path(), &arguments).args(["--lang", language]));
            assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", text(&output));
            assert!(text(&output).contains(says), "{arguments:?}: {}", text(&output));
            let object = json(&run(gp(directory.path(), &arguments).args(["--lang", language, "--json"])));
            assert!(object.is_object());
        }
    }
}

#[test]
fn a_refusal_comes_with_its_causes_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    ok(&mut gp(directory.path(), &["install", cap.to_str().unwrap(), "--aid", INSTANCE]));
    let refused = run(&mut gp(directory.path(), &["unlock", INSTANCE, "--json"]));
    let error = json(&refused);
    let causes: Vec<&str> =
        error["causes"].as_array().unwrap().iter().map(|c| c["cause"].as_str().unwrap()).collect();
    assert_eq!(causes[0], "cause-same-state", "{error:#}");
    assert!(causes.len() > 1 && error["status_word"] == "6985");
    let said = text(&run(&mut gp(directory.path(), &["unlock", INSTANCE])));
    let places: Vec<_> = ["1. ", "→ ", "2. "].iter().map(|part| said.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{said}");
}

#[test]
fn a_production_card_with_diversified_keys_and_a_least_level_is_managed_alike() {
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../gpse/profiles/strict.toml");
    let keys = directory.path().join("masters");
    // The masters stand in the profile, as lines of a key file would.
    let text_of = fs::read_to_string(profile).unwrap();
    let names = ["enc = ", "mac = ", "dek = ", "diversification = "];
    let masters: Vec<&str> =
        text_of.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
    let masters = masters.join("\n");
    fs::write(&keys, masters).unwrap();
    let keys = keys.to_str().unwrap();
    let strict = |arguments: &[&str]| {
        let mut command = gp(directory.path(), arguments);
        command.args(["--profile", profile, "--key-file", keys]);
        command
    };
    let list = ok(&mut strict(&["list"]));
    assert!(list.contains("SECURED") && !list.contains("test keys"), "{list}");
    // Integrity alone is refused there: the load goes at the level that is taken.
    ok(&mut strict(&["install", cap.to_str().unwrap(), "--aid", INSTANCE]));
    let refused = run(&mut strict(&["list", "--level", "11"]));
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    // New masters, and so new keys of this card, proven before the old ones go.
    let new = ["keys", "replace", "--yes", "--new-kvn", "02", "--new-key-file", keys];
    ok(&mut strict(&new));
    ok(&mut strict(&["delete", LOAD_FILE, "--related", "--yes"]));
}

#[test]
fn new_keys_are_proven_before_the_old_ones_go() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("issuer.keys");
    let keys = file.to_str().unwrap();
    let replaced = run(&mut gp(
        directory.path(),
        &["keys", "replace", "--new-kvn", "31", "--generate", keys, "--bits", "256", "--yes", "--json"],
    ));
    let report = json(&replaced);
    assert_eq!((&report["removed"], &report["proven"]), (&"30".into(), &true.into()), "{report:#}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(
        run(&mut gp(directory.path(), &["list"])).status.code(),
        Some(4),
        "the test keys still open it"
    );
    let opened = ok(&mut gp(directory.path(), &["list", "--key-file", keys]));
    assert!(!opened.contains("test keys"), "{opened}");
    let listed = json(&run(&mut gp(directory.path(), &["keys", "list", "--json"])));
    assert_eq!(listed["scp03_sets"].to_string(), r#"[{"kvn":"31","bits":256}]"#);

    // A file that is there already is never written over: the keys of some card may be in it.
    let again = ["keys", "put", "--new-kvn", "32", "--generate", keys, "--yes", "--key-file", keys];
    assert_eq!(run(&mut gp(directory.path(), &again)).status.code(), Some(1));
    // Added beside, then deleted from the other's channel; in place for the same version.
    for arguments in [
        vec!["keys", "put", "--new-kvn", "32", "--new-key", WRONG_KEY],
        vec!["keys", "delete", "32"],
        vec!["keys", "replace", "--new-kvn", "31", "--new-key", &[TEST_KEY, TEST_KEY].concat()],
    ] {
        ok(gp(directory.path(), &arguments).args(["--yes", "--key-file", keys]));
    }
    ok(&mut gp(directory.path(), &["list", "--key", &[TEST_KEY, TEST_KEY].concat()]));
}

#[test]
fn keys_come_from_file_environment_and_prompt_and_from_one_place_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    fs::write(&file, format!("key = {TEST_KEY}\nkvn = 30\n")).unwrap();
    let file = file.to_str().unwrap();
    ok(&mut gp(directory.path(), &["list", "--key-file", file]));
    ok(gp(directory.path(), &["list"]).env("JPKISE_KEY", TEST_KEY));
    let wrong = run(gp(directory.path(), &["list"]).env("JPKISE_KEY", WRONG_KEY));
    assert_eq!(wrong.status.code(), Some(4), "{}", text(&wrong));
    // Options go before the environment; two options are one too many.
    ok(gp(directory.path(), &["list", "--key", TEST_KEY]).env("JPKISE_KEY", WRONG_KEY));
    let both = run(&mut gp(directory.path(), &["list", "--key", TEST_KEY, "--enc", TEST_KEY]));
    assert_eq!(both.status.code(), Some(2), "{}", text(&both));
    assert!(!text(&both).contains(TEST_KEY), "a key was printed");

    if !have("script", "--version") {
        eprintln!("SKIP the key prompt: no program \"script\" that makes a terminal");
        return;
    }
    // The question needs a terminal.
    let state = directory.path().join("card");
    let line =
        format!("'{}' gp list --state '{}' --key-prompt", env!("CARGO_BIN_EXE_jpkise"), state.display());
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("JPKISE_LANG", "en")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{TEST_KEY}\n").as_bytes()).unwrap();
    let asked = finish(child, "the key prompt");
    let said = text(&asked);
    assert!(asked.status.success() && said.contains("Key (hexadecimal)"), "{said}");
    assert!(said.contains("issuer security domain"), "{said}");
    // script itself may echo what is typed before the program has turned echo off; the program never prints it.
    assert!(said.matches(TEST_KEY).count() <= 1, "{said}");
}

#[test]
fn a_recording_verifies_with_its_keys_and_only_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace.jsonl");
    let trace = trace.to_str().unwrap();
    ok(&mut gp(directory.path(), &["list", "--trace", trace]));
    let good = ok(&mut jpkise(&["trace", "decode", trace, "--key", TEST_KEY]));
    assert!(good.contains("R-MAC good") && good.contains("80F24002024F0000"), "{good}");
    for (key, exit) in [(TEST_KEY, 0), (WRONG_KEY, 5)] {
        let output = run(&mut jpkise(&["trace", "decode", trace, "--key", key, "--json"]));
        assert_eq!(output.status.code(), Some(exit), "{}", text(&output));
        assert_eq!(json(&output)["first_fault_line"].is_null(), exit == 0);
    }
    assert_eq!(run(&mut jpkise(&["trace", "decode", trace])).status.code(), Some(2), "no key was given");

    // One bit of one answer, and it is that line.
    let text_of = fs::read_to_string(trace).unwrap();
    let mut lines: Vec<String> = text_of.lines().map(str::to_owned).collect();
    let mut changed: Value = serde_json::from_str(&lines[5]).unwrap();
    let mut bytes = hex::decode(changed["response"].as_str().unwrap()).unwrap();
    bytes[0] ^= 1;
    changed["response"] = hex::encode_upper(bytes).into();
    lines[5] = changed.to_string();
    fs::write(trace, lines.join("\n")).unwrap();
    let output = run(&mut jpkise(&["trace", "decode", trace, "--key", TEST_KEY, "--json"]));
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert_eq!(json(&output)["first_fault_line"], 6);

    // The same as bare lines of hexadecimal.
    let bare: String = text_of
        .lines()
        .filter_map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let (command, sw) = (record.get("command")?.as_str()?, record.get("sw")?.as_str()?);
            let data = record.get("response").and_then(Value::as_str).unwrap_or_default();
            Some(format!("> {command}\n< {data}{sw}\n"))
        })
        .collect();
    let hex_file = directory.path().join("lines.txt");
    fs::write(&hex_file, bare).unwrap();
    ok(&mut jpkise(&["trace", "decode", hex_file.to_str().unwrap(), "--key", TEST_KEY]));
    fs::write(&hex_file, "> 80CA006600\nnonsense\n").unwrap();
    let output = run(&mut jpkise(&["trace", "decode", hex_file.to_str().unwrap(), "--key", TEST_KEY]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

#[test]
fn the_scheme_that_makes_masters_fit_is_named_from_the_recording_alone() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace.jsonl");
    let trace = trace.to_str().unwrap();
    let put = ["keys", "put", "--yes", "--new-kvn", "31", "--new-key", WRONG_KEY, "--new-kdf", "kdf3"];
    ok(&mut gp(directory.path(), &put));
    let wrong = ["list", "--kvn", "31", "--key", WRONG_KEY, "--trace", trace];
    assert_eq!(run(&mut gp(directory.path(), &wrong)).status.code(), Some(4));
    let decoded = text(&run(&mut jpkise(&["trace", "decode", trace, "--key", WRONG_KEY])));
    assert!(decoded.contains("--kdf kdf3"), "{decoded}");
    ok(gp(directory.path(), &wrong[..5]).args(["--kdf", "kdf3"]));
}

#[test]
fn vector_files_run_and_a_changed_one_fails_by_name() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/tests/data/transcripts-own.json");
    let passed = ok(&mut jpkise(&["lab", "vectors", own]));
    assert!(passed.contains("11 passed, 0 failed"), "{passed}");
    let directory = tempfile::tempdir().unwrap();
    let changed = directory.path().join("changed.json");
    let text_of = fs::read_to_string(own).unwrap();
    let mut file: Value = serde_json::from_str(&text_of).unwrap();
    let id = file["vectors"][3]["id"].as_str().unwrap().to_owned();
    file["vectors"][3]["session"]["s_mac"] = "00".repeat(16).into();
    fs::write(&changed, file.to_string()).unwrap();
    let failed = run(&mut jpkise(&["lab", "vectors", own, changed.to_str().unwrap()]));
    assert_eq!(failed.status.code(), Some(5), "{}", text(&failed));
    assert!(text(&failed).contains(&format!("FAILED {id}")), "{}", text(&failed));
    assert!(text(&failed).contains("21 passed, 1 failed"), "{}", text(&failed));
    for (content, exit) in [("{}", 2), (r#"{"format":"gp-se vectors 1","vectors":[]}"#, 2)] {
        fs::write(&changed, content).unwrap();
        let output = run(&mut jpkise(&["lab", "vectors", changed.to_str().unwrap()]));
        assert_eq!(output.status.code(), Some(exit), "{}", text(&output));
    }
}

/// `jpkise gp` on the card in the reader.
fn at_reader(home: &Path, arguments: &[&str]) -> Command {
    let mut command = jpkise(&[&["gp", "--reader", "0"], arguments].concat());
    command.env("XDG_STATE_HOME", home);
    command
}

#[test]
fn a_real_card_is_never_tried_with_test_keys_nor_too_often() {
    let Some(reader) = Reader::take() else { return };
    let home = tempfile::tempdir().unwrap();
    let _sim = Sim::start(&reader, &[]);
    for (arguments, exit) in [
        // Reading needs no key.
        (vec!["info"], 0),
        (vec!["keys", "list"], 0),
        (vec!["list"], 2),
        (vec!["list", "--key", TEST_KEY], 7),
        (vec!["info", "--try-test-keys"], 7),
        (vec!["info", "--try-test-keys", "--lab"], 0),
        (vec!["list", "--lab"], 0),
        (vec!["keys", "put", "--lab", "--yes", "--new-kvn", "31", "--new-key", WRONG_KEY], 0),
        // Three wrong keys, and no fourth; the right one only after somebody has thought about it.
        (vec!["list", "--key", "00000000000000000000000000000000"], 4),
        (vec!["list", "--key", "00000000000000000000000000000000"], 4),
        (vec!["list", "--key", "00000000000000000000000000000000"], 4),
        (vec!["list", "--key", "00000000000000000000000000000000"], 7),
        (vec!["list", "--lab", "--key", TEST_KEY], 7),
        (vec!["list", "--lab", "--key", TEST_KEY, "--max-failures", "4"], 0),
        (vec!["list", "--kvn", "31", "--key", WRONG_KEY], 0),
    ] {
        let output = run(&mut at_reader(home.path(), &arguments));
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn a_card_pulled_in_the_middle_ends_in_exit_3() {
    let Some(reader) = Reader::take() else { return };
    let home = tempfile::tempdir().unwrap();
    let sim = Sim::start(&reader, &["--leave-after", "500"]);
    let script = home.path().join("script");
    fs::write(&script, "80CA006600\n".repeat(1000)).unwrap();
    let pulled = run(&mut at_reader(home.path(), &["send", "--file", script.to_str().unwrap(), "--json"]));
    assert_eq!(pulled.status.code(), Some(3), "{}", String::from_utf8_lossy(&pulled.stderr));
    assert!(sim.finish().success());
    Reader::wait_until_empty();
}
