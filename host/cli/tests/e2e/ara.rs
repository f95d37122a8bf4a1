//! Access rules on the command line, on a card kept in a file; the apps are APKs signed with throw-away keys.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{jpkise, ok, run, text, Reader, Sim};

const JPKI: &str = "D392F000260100000001";

/// An APK of the access control vectors.
fn apk(name: &str) -> String {
    format!("{}/../omapi/tests/data/apk/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a card in a file.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The command on this card, run in its folder.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let card = self.path("card");
        let mut command = jpkise(arguments);
        command.args(["--state", card.to_str().unwrap()]).current_dir(self.0.path());
        command
    }

    fn ok(&self, arguments: &[&str]) -> String {
        ok(&mut self.command(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = run(&mut self.command(&[arguments, &["--json"]].concat()));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output)))
    }

    /// Exit status and what was said.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = run(&mut self.command(arguments));
        (output.status.code().unwrap(), text(&output))
    }

    fn rollbacks(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().path());
        let mut found: Vec<PathBuf> = entries
            .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("ara-rollback-"))
            .collect();
        found.sort();
        found
    }
}

#[test]
fn a_rule_is_added_listed_explained_and_taken_back() {
    let bench = Bench::new();
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
    let app = apk("rsa-v1v2v3.apk");
    let other = apk("ec-v2only.apk");
    let said = bench.ok(&["ara", "add", "--aid", JPKI, "--apk", &app, "--apdu", "jpki-user"]);
    for part in [
        "signatures verified",
        "Android compares rules with this certificate",
        "sha1:efddfdcb201b777fbc1f7ed06a6757210da51cd1",
        "sha256:d3a5bdefbef3dfd2b31df4a82bd33859f85d6b5f41aa39a400a7e0d5b729b125 ←",
        "Written, and read back",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let listed = bench.json(&["ara", "list"]);
    let rule = &listed["rules"][0];
    assert_eq!(rule["app"], "sha256:d3a5bdefbef3dfd2b31df4a82bd33859f85d6b5f41aa39a400a7e0d5b729b125");
    assert_eq!((&rule["preset"], &rule["form"]), (&"jpki-user".into(), &"a".into()));

    assert!(bench.ok(&["ara", "check", "--aid", JPKI, "--apk", &app]).contains("ALLOWED"));
    let allowed = bench.ok(&["ara", "check", "--aid", JPKI, "--apk", &app, "--apdu", "00200080"]);
    assert!(allowed.contains("passes by the filter 00200000/FCFBFF00"), "{allowed}");
    for (apdu, part) in [
        ("80E40000", "no filter lets"),
        ("84CADF3210", "no filter lets"),
        ("00A4040005D392F00026", "the phone refuses it"),
        ("0020009804AA", "the phone refuses it"),
    ] {
        let (exit, said) = bench.fails(&["ara", "check", "--aid", JPKI, "--apk", &app, "--apdu", apdu]);
        assert!(exit == 5 && said.contains(part), "{exit} {said}");
    }
    let (exit, said) = bench.fails(&["ara", "explain", "--aid", JPKI, "--apk", &other]);
    assert_eq!(exit, 5, "{said}");
    for part in [
        "A-conflict  this applet, another app: rule 1 ←",
        "shuts out every app",
        "DENIED (search A-conflict)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The first bytes of the AID select the applet all the same, and no rule for the whole AID is found.
    let (exit, said) = bench.fails(&["ara", "explain", "--aid", &JPKI[..10], "--apk", &app]);
    assert!(exit == 5 && said.contains("AIDs are compared whole") && said.contains("search none"), "{said}");
    let denied = bench.json(&["ara", "check", "--aid", JPKI, "--apk", &other]);
    assert_eq!((&denied["opens"], &denied["search"]), (&false.into(), &"A-conflict".into()));
    assert_eq!(denied["rules"][0]["verdict"], "shut-out");

    let first = bench.rollbacks();
    assert_eq!(first.len(), 1);
    bench.ok(&["ara", "apply", first[0].to_str().unwrap()]);
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
    let (exit, said) = bench.fails(&["ara", "remove", "--aid", JPKI]);
    assert!(exit == 5 && said.contains("no rule on the card is meant"), "{exit} {said}");
}

#[test]
fn apply_makes_the_rules_those_of_the_file_and_writes_only_what_differs() {
    let bench = Bench::new();
    let rules = |second: &str| {
        format!(
            "format = 1\n[[rule]]\naid = \"{JPKI}\"\napp = \"{}\"\napdu = \"always\"\n\
             [[rule]]\naid = \"{JPKI}\"\napp = \"{}\"\napdu = \"{second}\"\n\
             [[rule]]\naid = \"all\"\napp = \"all\"\napdu = \"never\"\nnfc = \"never\"\n",
            "11".repeat(20),
            "22".repeat(32)
        )
    };
    let file = bench.file("rules.toml", &rules("always"));
    let tag = |bench: &Bench| bench.json(&["ara", "list"])["refresh_tag"].clone();
    let before = tag(&bench);
    let planned = bench.json(&["ara", "apply", &file, "--dry-run"]);
    assert_eq!(
        planned["apdus"].as_array().unwrap().len(),
        6,
        "INSTALL [for personalization] and STORE DATA, three times"
    );
    assert_eq!((tag(&bench), bench.rollbacks().len()), (before.clone(), 0), "a dry run writes nothing");
    let diff = bench.json(&["ara", "diff", &file]);
    assert_eq!(diff["added"].as_array().unwrap().len(), 3);
    bench.ok(&["ara", "apply", &file]);
    let written = tag(&bench);
    assert_ne!(written, before);
    assert!(bench.ok(&["ara", "apply", &file]).contains("nothing to write"));
    assert_eq!((tag(&bench), bench.rollbacks().len()), (written, 1), "nothing differs, nothing is written");

    let file = bench.file("rules.toml", &rules("never"));
    let shown = bench.ok(&["ara", "diff", &file]);
    let marks: Vec<&str> =
        shown.lines().filter(|l| l.contains("D392")).map(|l| l.get(..1).unwrap()).collect();
    assert_eq!(marks, [" ", "-", "+"], "{shown}");
    let done = bench.json(&["ara", "apply", &file, "--rollback", "back.toml"]);
    assert_eq!((done["added"].as_array().unwrap().len(), done["removed"].as_array().unwrap().len()), (1, 1));
    // Changed by its domain, now by the ARA-M's own channel: the way back.
    let said = bench.ok(&["ara", "apply", "back.toml", "--direct"]);
    assert!(said.contains("read back as wished"), "{said}");
    assert_eq!(bench.json(&["ara", "diff", &file])["removed"][0]["apdu"], "always");

    let refreshed = bench.json(&["ara", "refresh"]);
    assert_ne!(refreshed["refresh_tag"], refreshed["refresh_tag_before"]);
    bench.ok(&["ara", "remove", "--hash", &"22".repeat(32)]);
    assert_eq!(bench.json(&["ara", "list"])["rules"].as_array().unwrap().len(), 2);
    bench.ok(&["ara", "clear"]);
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
}

#[test]
fn a_rotated_app_gets_a_rule_for_its_first_and_its_newest_key() {
    let bench = Bench::new();
    let app = apk("rotated-v2v3.apk");
    let shown = bench.ok(&["ara", "hashes", "--apk", &app]);
    assert!(shown.contains("first key of a rotated app") && shown.contains("key of today"), "{shown}");
    bench.ok(&["ara", "add", "--aid", JPKI, "--apk", &app, "--apdu", "always"]);
    let rules = bench.json(&["ara", "list"])["rules"].as_array().unwrap().clone();
    assert_eq!(rules.len(), 2);
    let explained = bench.json(&["ara", "explain", "--aid", JPKI, "--apk", &app]);
    assert_eq!((&explained["opens"], &explained["search"]), (&true.into(), &"A".into()));
    bench.ok(&["ara", "remove", "--apk", &app]);
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
}

#[test]
fn bad_input_is_named_and_nothing_is_written() {
    let bench = Bench::new();
    let whole = fs::read(apk("ec-v2only.apk")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(bench.path(name), bytes).unwrap();
        bench.path(name).to_str().unwrap().to_owned()
    };
    let truncated = write("truncated.apk", &whole[..whole.len() - 100]);
    let magic = whole.windows(16).position(|w| w == b"APK Sig Block 42").unwrap();
    let mut lying = whole.clone();
    lying[magic - 8..magic].copy_from_slice(&u64::MAX.to_le_bytes());
    let lying = write("lying.apk", &lying);
    let mut changed = whole.clone();
    changed[40] ^= 1;
    let changed = write("changed.apk", &changed);
    let no_certificate = write("no.pem", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    let unknown = bench.file("unknown.toml", "format = 1\n[[rule]]\naid = \"all\"\nap = \"all\"\n");
    let short = bench.file(
        "short.toml",
        &format!("format = 1\n[[rule]]\naid = \"all\"\napp = \"{}\"\napdu = \"always\"\n", "ab".repeat(31)),
    );
    let add = |rest: &[&str]| {
        [&["ara", "add", "--aid", JPKI, "--apdu", "always"], rest]
            .concat()
            .iter()
            .map(|s| (*s).to_owned())
            .collect::<Vec<_>>()
    };
    let cases: Vec<(Vec<String>, &str)> = vec![
        (add(&["--apk", &truncated]), "is no APK"),
        (add(&["--apk", &lying]), "signature block of"),
        (add(&["--apk", &changed]), "do not hold"),
        (add(&["--apk", &apk("unsigned.apk")]), "is not signed"),
        (add(&["--apk", "no-such.apk"]), "no-such.apk"),
        (add(&["--cert", &no_certificate]), "is no certificate"),
        (add(&["--hash", &"ab".repeat(31)]), "a hash of 31 bytes"),
        (add(&["--hash", "hello"]), "is no hash"),
        (add(&[]), "which app?"),
        (add(&["--every-app", "--hash", "aa"]), "cannot be used"),
        (
            vec!["ara".into(), "add".into(), "--aid".into(), JPKI.into(), "--every-app".into()],
            "states no access",
        ),
        (
            vec![
                "ara".into(),
                "add".into(),
                "--aid".into(),
                JPKI.into(),
                "--every-app".into(),
                "--apdu".into(),
                "sometimes".into(),
            ],
            "neither always nor never",
        ),
        (
            vec![
                "ara".into(),
                "add".into(),
                "--aid".into(),
                JPKI.into(),
                "--every-app".into(),
                "--apdu".into(),
                "00A40400/F0FF0000".into(),
            ],
            "no command can pass",
        ),
        (
            ["ara", "add", "--aid", "carrier", "--every-app", "--apdu", "always"].map(String::from).to_vec(),
            "carrier privileges are no access",
        ),
        (vec!["ara".into(), "remove".into()], "which rules?"),
        (vec!["ara".into(), "apply".into(), unknown], "unknown field `ap`"),
        (vec!["ara".into(), "apply".into(), short], "20 or 32 bytes, not 31"),
        (vec!["ara".into(), "preset".into(), "nobody".into()], "no preset \"nobody\""),
    ];
    for (arguments, part) in &cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (exit, said) = bench.fails(&arguments);
        assert!(exit == 2 && said.contains(part), "{arguments:?}: {exit}\n{said}");
        let japanese = text(&run(bench.command(&arguments).env("JPKISE_LANG", "ja")));
        assert!(!japanese.is_ascii(), "{arguments:?}: {japanese}");
    }
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
    assert!(bench.rollbacks().is_empty());
    // Unverified, the changed one is taken, and says so.
    let said = bench.ok(&["ara", "hashes", "--apk", &changed, "--unverified"]);
    assert!(said.contains("NOT verified"), "{said}");
    // The opposite of a rule that is there.
    bench.ok(&["ara", "add", "--aid", JPKI, "--every-app", "--apdu", "always"]);
    let (exit, said) = bench.fails(&["ara", "add", "--aid", JPKI, "--every-app", "--apdu", "never"]);
    assert!(exit == 2 && said.contains("opposite"), "{exit} {said}");
}

#[test]
fn an_app_sees_of_the_card_what_the_rules_let_it_see() {
    let bench = Bench::new();
    ok(bench
        .command(&["ara", "add", "--aid", JPKI, "--apk", &apk("rsa-v1v2v3.apk"), "--apdu", "jpki-user"])
        .args(["--personalized"]));
    let script = bench.file(
        "script",
        &format!(
            "# what a user's app does\nopen {JPKI} as jpki -> 9000\n80CADF3000 -> 9000\n00200098 -> 63C3\n\
             00A4040005D392F00026 -> SecurityException\n00700000 -> SecurityException\n80E40000 -> java.lang.SecurityException\n\
             response -> 9000\nclose\n80CADF3000 -> IllegalStateException\nopen A00000000101 -> SecurityException\nbasic -> SecurityException\n"
        ),
    );
    let listed = ["omapi", "run", "--apk", &apk("rsa-v1v2v3.apk"), "--script", &script];
    let said = bench.ok(&listed);
    assert!(
        said.contains("java.lang.SecurityException: no filter of the access rules lets 80E40000 pass"),
        "{said}"
    );
    let steps = bench.json(&listed);
    assert_eq!((&steps["reader"], &steps["unexpected"]), (&"eSE1".into(), &0.into()));
    assert_eq!(steps["steps"].as_array().unwrap().len(), 11);
    let (exit, said) = bench.fails(&["omapi", "run", "--apk", &apk("ec-v2only.apk"), "--script", &script]);
    assert!(exit == 5 && said.contains("refused by the access rules (search A-conflict)"), "{exit} {said}");
    assert!(said.contains("java.lang.NullPointerException"), "{said}");
    let one = bench.file("one", &format!("open {JPKI}\n"));
    let (exit, _) = bench.fails(&["omapi", "run", "--apk", &apk("ec-v2only.apk"), "--script", &one]);
    assert_eq!(exit, 5, "a call that throws and was not expected to");
    bench.ok(&["omapi", "run", "--privileged", "--script", &one]);
    let (exit, said) =
        bench.fails(&["omapi", "run", "--hash", &"ab".repeat(32), "--script", &bench.file("bad", "open\n")]);
    assert!(exit == 2 && said.contains("line 1 of the script"), "{exit} {said}");
}

#[test]
fn presets_are_printed_so_that_a_rule_file_takes_them() {
    let bench = Bench::new();
    let printed = bench.ok(&["ara", "preset", "jpki-user"]);
    let filters = printed.split("apdu = [").nth(1).unwrap();
    let filters = filters.split(']').next().unwrap();
    let rule = |apdu: &str| format!("format = 1\n[[rule]]\naid = \"{JPKI}\"\napp = \"all\"\napdu = {apdu}\n");
    bench.ok(&["ara", "apply", &bench.file("by-name.toml", &rule("\"jpki-user\""))]);
    let said = bench.ok(&["ara", "diff", &bench.file("by-bytes.toml", &rule(&format!("[{filters}]")))]);
    assert!(said.contains("nothing to write"), "{said}");
}

#[test]
fn a_card_without_ara_m_is_said_and_nothing_is_written() {
    let bench = Bench::new();
    let profile = bench.file("profile.toml", "format = 1\n[card]\nara = false\n");
    let hash = "ab".repeat(32);
    let file = bench.file("rules.toml", "format = 1\n");
    for arguments in [
        &["ara", "list"][..],
        &["ara", "add", "--aid", JPKI, "--hash", &hash, "--apdu", "always"],
        &["ara", "apply", &file],
        &["ara", "clear"],
        &["ara", "refresh"],
        &["ara", "check", "--aid", JPKI, "--hash", &hash],
    ] {
        let (exit, said) = bench.fails(&[arguments, &["--profile", &profile]].concat());
        assert!(exit == 5 && said.contains("the card has no ARA-M"), "{arguments:?}: {exit} {said}");
    }
    assert!(bench.rollbacks().is_empty());
    // As Android has it: an embedded element without ARA-M lets everybody through.
    let script = bench.file("script", "basic -> null\nopen default\n");
    let run = ["omapi", "run", "--hash", &hash, "--script", &script, "--profile", &profile];
    let (exit, said) = bench.fails(&run);
    assert!(exit == 5 && said.contains("channel 0") && said.contains("channel 1"), "{exit} {said}");
    let script = bench.file("script", "basic -> SecurityException\n");
    let run = ["omapi", "run", "--strict", "--hash", &hash, "--script", &script, "--profile", &profile];
    bench.ok(&run);
}

#[test]
fn the_demo_lets_the_listed_app_through_and_nobody_else() {
    let bench = Bench::new();
    let printed = ok(jpkise(&["demo", "--out", "out"]).current_dir(bench.0.path()));
    for part in [
        "the listed app: opens a channel",
        "signed again with another key: java.lang.SecurityException (search A-conflict",
        "an app nobody has listed: java.lang.SecurityException",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let summary: Value = serde_json::from_slice(&fs::read(bench.path("out/summary.json")).unwrap()).unwrap();
    let opened: Vec<_> = summary["access"].as_array().unwrap().iter().map(|a| a["opened"] == true).collect();
    assert_eq!(opened, [true, false, false]);
}

#[test]
fn an_applet_comes_and_goes_with_its_rules() {
    const PACKAGE: &str = "D392F000264A504B01";
    let bench = Bench::new();
    let rule = |app: &str| {
        format!("format = 1\n[[rule]]\naid = \"{JPKI}\"\napp = \"{app}\"\napdu = \"jpki-user\"\n")
    };
    let file = bench.file("rules.toml", &rule(&"11".repeat(32)));
    // The package is in the card's ROM.
    let install = ["gp", "install", "--package", PACKAGE, "--aid", JPKI, "--ara-rules", &file];
    let planned = bench.json(&[&install[..], &["--dry-run"]].concat());
    let actions: Vec<_> =
        planned["plan"].as_array().unwrap().iter().map(|s| s["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["install", "write-rules"]);
    let instructions: Vec<&str> = planned["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_str().unwrap().get(..6).unwrap())
        .collect();
    assert_eq!(
        instructions,
        ["80E604", "80E620", "80E290", "80E608"],
        "not selectable before its rules are there"
    );
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
    bench.ok(&install);
    assert_eq!(bench.json(&["ara", "list"])["rules"].as_array().unwrap().len(), 1);
    let (exit, said) = bench.fails(&install);
    assert!(exit == 5 && said.contains(JPKI), "it is there already: {exit} {said}");

    // A new one in its place brings other rules; a file about something else changes nothing.
    let other = bench.file("other.toml", &rule(&"22".repeat(32)));
    bench.ok(&[
        "gp",
        "install",
        "--package",
        PACKAGE,
        "--aid",
        JPKI,
        "--ara-rules",
        &other,
        "--replace",
        "--yes",
    ]);
    let rules = bench.json(&["ara", "list"])["rules"].as_array().unwrap().clone();
    assert_eq!((rules.len(), &rules[0]["app"]), (1, &format!("sha256:{}", "22".repeat(32)).into()));
    let foreign =
        bench.file("foreign.toml", "format = 1\n[[rule]]\naid = \"all\"\napp = \"all\"\napdu = \"always\"\n");
    let empty = bench.file("empty.toml", "format = 1\n");
    for (file, part) in [(&foreign, "names all, not"), (&empty, "no rule names")] {
        let arguments =
            ["gp", "install", "--package", PACKAGE, "--aid", JPKI, "--ara-rules", file, "--replace", "--yes"];
        let (exit, said) = bench.fails(&arguments);
        assert!(exit == 2 && said.contains(part), "{exit} {said}");
    }
    let planned = bench.json(&["gp", "delete", JPKI, "--with-rules", "--dry-run"]);
    assert_eq!(planned["plan"][0]["action"], "delete-rules");
    bench.ok(&["gp", "delete", JPKI, "--with-rules", "--yes"]);
    assert!(bench.ok(&["ara", "list"]).contains("No rules"));
    assert!(!bench.ok(&["gp", "list"]).contains(JPKI));
}

#[test]
fn in_a_reader_rules_are_written_with_keys_and_consent_only() {
    let Some(reader) = Reader::take() else { return };
    let _sim = Sim::start(&reader, &["--personalized"]);
    let folder = Bench::new();
    let ara = |arguments: &[&str]| {
        let mut command = jpkise(&[&["ara"], arguments, &["--reader", "0"]].concat());
        let command = command.current_dir(folder.0.path()).env("XDG_STATE_HOME", folder.path("state"));
        let output = run(command);
        (output.status.code().unwrap(), text(&output))
    };
    let app = apk("rsa-v1v2v3.apk");
    let add = ["add", "--aid", JPKI, "--apk", &app, "--apdu", "jpki-user"];
    let (exit, said) = ara(&add);
    assert!(exit == 2 && said.contains("no key was given"), "{exit} {said}");
    let (exit, said) = ara(&[&add[..], &["--lab"]].concat());
    assert!(exit == 7 && folder.rollbacks().is_empty(), "no terminal, no --yes: {exit} {said}");
    assert!(ara(&["list"]).1.contains("No rules"));
    let (exit, said) = ara(&[&add[..], &["--lab", "--yes"]].concat());
    assert!(exit == 0 && folder.rollbacks().len() == 1, "{exit} {said}");
    assert_eq!(ara(&["check", "--aid", JPKI, "--apk", &app]).0, 0);
    let script = folder.file("script", &format!("open {JPKI} -> 9000\n80CADF3000 -> 9000\n"));
    let called = run(&mut jpkise(&["omapi", "run", "--reader", "0", "--apk", &app, "--script", &script]));
    assert!(called.status.success(), "{}", text(&called));
}
