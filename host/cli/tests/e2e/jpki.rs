//! `jpkise jpki` on a simulated card that is kept in a file. openssl judges what is signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{children, commands, finish, jpkise, ok, require, run, text, PASSWORD, PIN};

/// A personalised card in a file, and a folder for what comes of it.
pub struct Lab {
    /// Where everything of it lies.
    pub folder: TempDir,
}

impl Lab {
    /// One whose applet is personalised.
    pub fn new(token: &str) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        ok(lab.jpki(&["status", "--personalized", "--token", token]).env_remove("JPKISE_PIN"));
        lab
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its name.
    pub fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `jpkise jpki …` on the card; relative file names are in the folder.
    pub fn jpki(&self, arguments: &[&str]) -> Command {
        let mut command = jpkise(&[&["jpki"], arguments].concat());
        command.args(["--state", &self.name("card")]).current_dir(self.folder.path());
        command
    }

    /// What it prints with `--json`.
    pub fn json(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
        let output = run(self.jpki(arguments).arg("--json").envs(environment.iter().copied()));
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", text(&output)))
    }

    fn tries(&self) -> [u64; 2] {
        let status = self.json(&["pin", "status"], &[]);
        [0, 1].map(|n| status["keys"][n]["tries_left"].as_u64().unwrap())
    }

    fn states(&self) -> [String; 2] {
        let status = self.json(&["status"], &[]);
        [0, 1].map(|n| status["keys"][n]["state"].as_str().unwrap().to_owned())
    }
}

/// openssl in the folder; it must be content.
pub fn openssl(arguments: &[&str], folder: &Path) -> String {
    ok(Command::new("openssl").args(arguments).current_dir(folder))
}

/// The exit status.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn what_the_card_signs_is_accepted_by_openssl_in_every_form() {
    let Some(()) = require(&[("openssl", "version")]) else { return };
    for token in ["phone", "card"] {
        let lab = Lab::new(token);
        let folder = lab.folder.path();
        fs::write(lab.path("message"), "a message\n電子署名\n").unwrap();
        for (key, variable, secret) in [("auth", "JPKISE_PIN", PIN), ("sign", "JPKISE_PASSWORD", "abc123")] {
            let ca = format!("{key}-ca.pem");
            ok(&mut lab.jpki(&["cert", &format!("{key}-ca"), "-o", &ca]));
            ok(lab.jpki(&["cert", key, "-o", "cert.pem"]).env(variable, secret));
            ok(lab.jpki(&["cert", key, "-o", "cert.der"]).env(variable, secret));
            openssl(&["verify", "-CAfile", &ca, "cert.pem"], folder);
            openssl(&["x509", "-inform", "DER", "-in", "cert.der", "-noout"], folder);
            let public = openssl(&["x509", "-in", "cert.pem", "-noout", "-pubkey"], folder);
            fs::write(lab.path("pub.pem"), &public).unwrap();

            for form in ["detached", "attached"] {
                let sign = ["sign", "message", "--with", key, "--form", form, "-o", "m.p7s"];
                ok(lab.jpki(&sign).env(variable, secret));
                let openssl_check =
                    ["cms", "-verify", "-binary", "-inform", "DER", "-in", "m.p7s", "-CAfile", &ca];
                let rest = ["-purpose", "any", "-out", "content"];
                let content: &[&str] = if form == "detached" { &["-content", "message"] } else { &[] };
                openssl(&[&openssl_check, &rest[..], content].concat(), folder);
                assert_eq!(fs::read(lab.path("content")).unwrap(), fs::read(lab.path("message")).unwrap());
                let given: &[&str] = if form == "detached" { &["message"] } else { &[] };
                let verify = [&["jpki", "verify", "--cms", "m.p7s", "--ca", &ca], given].concat();
                ok(jpkise(&verify).current_dir(folder));
            }
            let raw = |scheme: &str, input: &str| {
                let sign = ["sign", input, "--with", key, "--form", "raw", "--scheme", scheme, "-o", "m.sig"];
                ok(lab.jpki(&sign).env(variable, secret));
                let verify =
                    ["jpki", "verify", input, "--signature", "m.sig", "--cert", "cert.pem", "--ca", &ca];
                ok(jpkise(&verify).args(["--scheme", scheme]).current_dir(folder));
            };
            for scheme in ["sha256", "pkcs1-message"] {
                raw(scheme, "message");
                openssl(&["dgst", "-sha256", "-verify", "pub.pem", "-signature", "m.sig", "message"], folder);
            }
            raw("pss-message", "message");
            let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"];
            let dgst = ["dgst", "-sha256", "-verify", "pub.pem", "-signature", "m.sig"];
            openssl(&[&dgst[..], &pss, &["message"]].concat(), folder);
            raw("verbatim", "message");
            let recovered = ["pkeyutl", "-verifyrecover", "-pubin", "-inkey", "pub.pem", "-in", "m.sig"];
            assert_eq!(openssl(&recovered, folder).into_bytes(), fs::read(lab.path("message")).unwrap());
            let digest = openssl(&["dgst", "-sha256", "-binary", "-out", "digest", "message"], folder);
            assert!(digest.is_empty());
            for scheme in ["pkcs1-digest", "pss-digest"] {
                raw(scheme, "digest");
            }
        }
        let object = lab.json(&["auth", "--ca", "auth-ca.pem"], &[("JPKISE_PIN", PIN)]);
        assert_eq!((&object["authenticated"], &object["ca_trusted"]), (&true.into(), &true.into()));
        fs::write(lab.path("challenge"), hex(&object["challenge"])).unwrap();
        fs::write(lab.path("answer"), hex(&object["signature"])).unwrap();
        fs::write(lab.path("who.pem"), object["certificate_pem"].as_str().unwrap()).unwrap();
        let public = openssl(&["x509", "-in", "who.pem", "-noout", "-pubkey"], folder);
        fs::write(lab.path("pub.pem"), public).unwrap();
        openssl(&["dgst", "-sha256", "-verify", "pub.pem", "-signature", "answer", "challenge"], folder);
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_signature_that_does_not_hold_is_said_to_be_wrong() {
    let lab = Lab::new("phone");
    let folder = lab.folder.path();
    fs::write(lab.path("message"), "a message").unwrap();
    fs::write(lab.path("other"), "another").unwrap();
    for name in ["auth-ca", "sign-ca"] {
        ok(&mut lab.jpki(&["cert", name, "-o", &format!("{name}.pem")]));
    }
    let sign = |form: &str, file: &str| {
        ok(lab.jpki(&["sign", "message", "--form", form, "-o", file]).env("JPKISE_PASSWORD", PASSWORD));
    };
    sign("detached", "m.p7s");
    sign("attached", "a.p7s");
    let mut flipped = fs::read(lab.path("a.p7s")).unwrap();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    fs::write(lab.path("flipped.p7s"), flipped).unwrap();
    for (arguments, exit, says) in [
        (vec!["--cms", "m.p7s", "other", "--ca", "sign-ca.pem"], 5, "not the one that was signed"),
        (vec!["--cms", "flipped.p7s", "--ca", "sign-ca.pem"], 5, "signature is wrong"),
        (vec!["--cms", "m.p7s", "message", "--ca", "auth-ca.pem"], 5, "has issued"),
        (
            vec!["--cms", "m.p7s", "message", "--ca", "sign-ca.pem", "--at", "2020-01-01T00:00:00Z"],
            5,
            "not valid",
        ),
        (vec!["--cms", "m.p7s", "--ca", "sign-ca.pem"], 2, "not in the message"),
        (vec!["--cms", "a.p7s", "message", "--ca", "sign-ca.pem"], 2, "holds its content"),
        (vec!["--cms", "message", "--ca", "sign-ca.pem"], 2, "no CMS"),
        (vec!["message", "--ca", "sign-ca.pem"], 2, "--cms"),
        (vec!["--cms", "m.p7s", "message", "--ca", "message"], 2, "message"),
    ] {
        let output = run(jpkise(&[&["jpki", "verify"], &arguments[..]].concat()).current_dir(folder));
        assert_eq!(code(&output), exit, "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{arguments:?}: {}", text(&output));
    }
    let verify = ["jpki", "verify", "--cms", "a.p7s", "--ca", "sign-ca.pem", "-o", "out", "--json"];
    let output = run(jpkise(&verify).current_dir(folder));
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(fs::read(lab.path("out")).unwrap(), b"a message");
}

#[test]
fn a_mistyped_pin_costs_one_try_and_a_malformed_one_none() {
    let lab = Lab::new("phone");
    fs::write(lab.path("m"), "m").unwrap();
    let sign = |password: &str| run(lab.jpki(&["sign", "m", "-o", "s"]).env("JPKISE_PASSWORD", password));
    for (password, says) in
        [("ABC12", "6 to 16"), ("ABCDEFGHIJKLMNO12", "6 to 16"), ("ABC-123", "A-Z"), ("ABCDEF", "one digit")]
    {
        let output = sign(password);
        assert_eq!(code(&output), 2, "{}", text(&output));
        assert!(text(&output).contains(says), "{}", text(&output));
    }
    assert_eq!(lab.tries(), [3, 5]);
    for pin in ["123", "12345", "12a4", ""] {
        let output = run(lab.jpki(&["auth"]).env("JPKISE_PIN", pin));
        assert_eq!(code(&output), 2, "{pin}: {}", text(&output));
    }
    assert_eq!(lab.tries(), [3, 5]);

    let output = sign("WRONG1");
    assert_eq!(code(&output), 4);
    let said = text(&output);
    assert!(said.contains("5 tries left") && said.contains("tries left: 4"), "{said}");
    assert!(!lab.path("s").exists());
    let output = run(lab.jpki(&["sign", "m", "-o", "s", "--json"]).env("JPKISE_PASSWORD", "WRONG1"));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["tries_left"], &object["exit"]), (&3.into(), &4.into()));
    // The right one gives them all back.
    assert!(text(&sign(PASSWORD)).contains("5 tries left"));
    assert_eq!(lab.tries(), [3, 5]);
}

#[test]
fn a_blocked_pin_is_reset_by_the_service_provider_and_the_user_sets_a_new_one() {
    let lab = Lab::new("phone");
    let auth = |pin: &str, yes: &[&str]| run(lab.jpki(&["auth"]).args(yes).env("JPKISE_PIN", pin));
    assert_eq!(code(&auth("9999", &[])), 4);
    assert_eq!(code(&auth("9999", &[])), 4);
    // The last try needs a yes of its own.
    let asked = auth(PIN, &[]);
    assert_eq!(code(&asked), 7, "{}", text(&asked));
    assert_eq!(lab.tries()[0], 1);
    assert_eq!(code(&auth("9999", &["--yes"])), 4);
    assert_eq!(lab.tries()[0], 0);
    let blocked = auth(PIN, &["--yes"]);
    assert_eq!(code(&blocked), 4);
    assert!(text(&blocked).contains("pin reset auth"), "{}", text(&blocked));

    let reset = |extra: &[&str], pin: &str| {
        run(lab.jpki(&["pin", "reset", "auth"]).args(extra).env("JPKISE_NEW_PIN", pin))
    };
    assert_eq!(code(&reset(&[], "5678")), 7, "no consent");
    assert_eq!(
        code(&reset(&["--yes"], "567")),
        2,
        "a malformed PIN is refused before the old one is given up"
    );
    assert_eq!(
        code(&reset(&["--yes", "--key", "000102030405060708090A0B0C0D0E0F"], "5678")),
        4,
        "wrong keys"
    );
    assert_eq!(lab.tries()[0], 0);
    let trace = lab.name("trace");
    let done = reset(&["--yes", "--trace", &trace], "5678");
    assert!(done.status.success(), "{}", text(&done));
    let trace = fs::read_to_string(trace).unwrap();
    assert!(!commands(&trace).contains("35363738"), "the new PIN is in the trace");
    assert!(trace.contains("RESET RETRY COUNTER") && trace.contains("CHANGE REFERENCE DATA"), "{trace}");
    assert_eq!(lab.tries(), [3, 5]);
    assert_eq!(code(&auth(PIN, &[])), 4, "the old PIN is gone");
    assert_eq!(code(&auth("5678", &[])), 0);
    let status = lab.json(&["status", "--attest"], &[]);
    assert_eq!((&status["keys"][0]["resets"], &status["keys"][1]["resets"]), (&2.into(), &1.into()));
}

#[test]
fn the_user_changes_pin_and_password_from_a_file_or_a_pipe() {
    use std::io::Write;
    let lab = Lab::new("card");
    fs::write(lab.path("pins"), "1234\r\n4321\r\n").unwrap();
    ok(&mut lab.jpki(&["pin", "change", "auth", "--pin-file", "pins"]));
    let mut child = lab
        .jpki(&["pin", "change", "sign", "--pin-stdin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"abc123\nnew456\n").unwrap();
    let output = finish(child, "pin change");
    assert!(output.status.success(), "{}", text(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["changed"], &object["tries_left"]), (&"sign".into(), &5.into()));
    ok(lab.jpki(&["auth"]).env("JPKISE_PIN", "4321"));
    fs::write(lab.path("m"), "m").unwrap();
    ok(lab.jpki(&["sign", "m", "-o", "s"]).env("JPKISE_PASSWORD", "NEW456"));
    // A malformed new value costs no try of the old one.
    fs::write(lab.path("pins"), "9999\n123\n").unwrap();
    let output = run(&mut lab.jpki(&["pin", "change", "auth", "--pin-file", "pins"]));
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert_eq!(lab.tries(), [3, 5]);
    // Without any source and without a terminal nothing is guessed.
    let output = run(&mut lab.jpki(&["auth"]));
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(text(&output).contains("JPKISE_PIN"), "{}", text(&output));
}

/// Waits until the terminal that `script` made for its child repeats nothing: asked and silent are two moments.
fn wait_until_nothing_is_shown(script: u32) {
    let started = Instant::now();
    loop {
        let pids = children(script).into_iter().flat_map(|pid| [vec![pid], children(pid)].concat());
        let terminals = pids
            .map(|pid| format!("/proc/{pid}/fd/0"))
            .filter(|link| fs::read_link(link).is_ok_and(|target| target.starts_with("/dev/pts")));
        for terminal in terminals {
            let settings = Command::new("stty").args(["-a", "-F", &terminal]).output().unwrap();
            if String::from_utf8_lossy(&settings.stdout).split_whitespace().any(|word| word == "-echo") {
                return;
            }
        }
        assert!(started.elapsed() < Duration::from_secs(20), "what is typed would be shown");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_typed_on_a_terminal_is_asked_for_twice_and_not_shown() {
    use std::io::{Read, Write};
    let Some(()) = require(&[("script", "--version")]) else { return };
    let lab = Lab::new("phone");
    let line =
        format!("'{}' jpki pin change auth --state '{}'", env!("CARGO_BIN_EXE_jpkise"), lab.name("card"));
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("JPKISE_LANG", "en")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut byte = [0];
    // Each line is typed when its question is there: before that the terminal itself would show it.
    for (question, typed) in [("left\r\nPIN: ", "1234"), ("New PIN: ", "8642"), ("Once more: ", "8642")] {
        while !seen.ends_with(question) {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "no {question:?} in {seen}");
            seen.push(char::from(byte[0]));
        }
        wait_until_nothing_is_shown(child.id());
        keyboard.write_all(format!("{typed}\n").as_bytes()).unwrap();
    }
    let mut rest = String::new();
    screen.read_to_string(&mut rest).unwrap();
    seen.push_str(&rest);
    assert!(child.wait().unwrap().success(), "{seen}");
    for secret in ["1234", "8642"] {
        assert!(!seen.contains(secret), "{secret} is on the screen: {seen}");
    }
    ok(lab.jpki(&["auth"]).env("JPKISE_PIN", "8642"));
}

#[test]
fn hold_release_revocation_and_deletion_are_attested_and_need_consent() {
    let lab = Lab::new("phone");
    fs::write(lab.path("m"), "m").unwrap();
    let change = |verb: &str, which: &str| lab.json(&[verb, which, "--yes"], &[]);
    let sign = || run(lab.jpki(&["sign", "m", "-o", "s"]).env("JPKISE_PASSWORD", PASSWORD));
    assert_eq!(code(&run(&mut lab.jpki(&["hold", "sign"]))), 7, "no consent");
    assert_eq!(lab.states(), ["ACTIVE", "ACTIVE"]);

    let held = change("hold", "sign");
    assert_eq!((&held["attested"], &held["keys"][0]["state"]), (&true.into(), &"HELD".into()));
    let refused = sign();
    assert_eq!(code(&refused), 5);
    assert!(text(&refused).contains("resume sign"), "{}", text(&refused));
    assert_eq!(lab.tries(), [3, 5], "no PIN was asked for in vain");
    // Again changes nothing; both together change what is missing.
    change("hold", "sign");
    change("hold", "all");
    assert_eq!(lab.states(), ["HELD", "HELD"]);
    change("resume", "all");
    assert!(sign().status.success());

    let refused = run(&mut lab.jpki(&["resume", "auth", "--yes"]));
    assert_eq!(code(&refused), 0, "it is so already: {}", text(&refused));
    change("revoke", "auth");
    assert_eq!(lab.states(), ["REVOKED", "ACTIVE"]);
    let refused = run(&mut lab.jpki(&["hold", "all", "--yes"]));
    assert_eq!(code(&refused), 5, "{}", text(&refused));
    assert_eq!(lab.states(), ["REVOKED", "ACTIVE"], "nothing is done when one of them cannot be");
    assert_eq!(code(&run(lab.jpki(&["auth"]).env("JPKISE_PIN", PIN))), 5);

    let planned = ok(&mut lab.jpki(&["wipe", "all", "--dry-run"]));
    assert!(planned.contains("80E4FF00"), "{planned}");
    assert_eq!(lab.states(), ["REVOKED", "ACTIVE"]);
    change("wipe", "sign");
    assert_eq!(lab.states(), ["REVOKED", "EMPTY"]);
    let wiped = change("wipe", "all");
    assert_eq!(wiped["keys"][0]["before"], "REVOKED");
    assert_eq!(lab.states(), ["EMPTY", "EMPTY"]);
}

#[test]
fn status_marks_published_keys_and_shows_what_a_secret_opens() {
    let lab = Lab::new("phone");
    let status = lab.json(&["status", "--unlock", "auth", "--attest"], &[("JPKISE_PIN", PIN)]);
    assert_eq!((&status["test_keys"], &status["key_version"]), (&true.into(), &"30".into()));
    assert_eq!(status["token"]["label"], "JPKIAPGPSETOKEN");
    let [auth, sign] = [0, 1].map(|n| &status["keys"][n]);
    assert_eq!((&auth["certificate"]["test"], &sign["certificate"]["locked"]), (&true.into(), &true.into()));
    assert!(auth["certificate"]["not_after"].as_str().unwrap().ends_with("14:59:59Z"));
    assert_eq!((&auth["generation"], &sign["signatures"]), (&1.into(), &0.into()));
    for (language, words) in [("en", "TEST KEYS"), ("ja", "テスト鍵")] {
        let shown = ok(&mut lab.jpki(&["status", "--lang", language]));
        assert!(shown.contains(words), "{shown}");
    }
    let empty = run(&mut jpkise(&["jpki", "status", "--sim"]));
    assert_eq!(code(&empty), 5, "no applet: {}", text(&empty));
    assert!(text(&empty).contains("personalize"), "{}", text(&empty));
}
