//! `jpkise jpki` on a simulated card that is kept in a file, and on one behind pcscd. openssl judges what is signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{commands, finish, jpkise, ok, require, run, text, Reader, Sim, PASSWORD, PIN};

/// A personalised card in a file, and a folder for what comes of it.
struct Lab {
    folder: TempDir,
}

impl Lab {
    fn new(token: &str) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        ok(lab.jpki(&["status", "--personalized", "--token", token]).env_remove("JPKISE_PIN"));
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `jpkise jpki …` on the card; relative file names are in the folder.
    fn jpki(&self, arguments: &[&str]) -> Command {
        let mut command = jpkise(&[&["jpki"], arguments].concat());
        command.args(["--state", &self.name("card")]).current_dir(self.folder.path());
        command
    }

    fn json(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
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

fn openssl(arguments: &[&str], folder: &Path) -> String {
    ok(Command::new("openssl").args(arguments).current_dir(folder))
}

fn code(output: &Output) -> i32 {
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
    let output = finish(child, "pin change", Duration::from_secs(30));
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
        std::thread::sleep(Duration::from_millis(200));
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

const PLAN: &str = r#"
format = "jpkise-plan/1"
[keys]
issuer = "test"
first = "env:FIRST_KEYS"
own = "file:own.keys"
[ca]
kind = "test"
folder = "ca"
[access-rules]
file = "rules"
"#;

const JPKI: &str = "D392F000260100000001";

const RULES: &str = r#"format = 1
[[rule]]
aid = "D392F000260100000001"
app = "sha256:A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0"
apdu = "always"
"#;

/// An empty card and everything a plan names.
fn plan_lab() -> Lab {
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    fs::write(lab.path("plan"), PLAN).unwrap();
    fs::write(lab.path("rules"), RULES).unwrap();
    let key =
        |first: &str| format!("{first}0{first}1{first}2{first}3{first}4{first}5{first}6{first}7").repeat(2);
    fs::write(lab.path("own.keys"), format!("enc = {}\nmac = {}\ndek = {}\n", key("A"), key("B"), key("C")))
        .unwrap();
    fs::write(lab.path("pins"), "8642\nUSER99\n").unwrap();
    lab
}

fn personalize(lab: &Lab, extra: &[&str]) -> Output {
    let mut command = lab.jpki(&["personalize", "--plan", "plan"]);
    run(command.args(extra).env("FIRST_KEYS", "0F1E2D3C4B5A69788796A5B4C3D2E1F0"))
}

#[test]
fn a_plan_makes_a_card_that_its_user_signs_with_and_a_second_run_changes_nothing() {
    let Some(()) = require(&[("openssl", "version")]) else { return };
    let lab = plan_lab();
    let dry = personalize(&lab, &["--dry-run", "--json"]);
    assert!(dry.status.success(), "{}", text(&dry));
    let dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert!(dry["commands"].as_array().unwrap().iter().any(|c| c["name"] == "GENERATE ASYMMETRIC KEY PAIR"));
    assert!(!lab.path("records").exists() && !lab.path("ca").exists(), "a dry run wrote files");
    let refused = personalize(&lab, &[]);
    assert_eq!(code(&refused), 2, "no secrets were given: {}", text(&refused));
    assert!(!lab.path("records").exists(), "something was begun");

    let done = personalize(&lab, &["--pin-file", "pins", "--json", "--trace", "trace"]);
    assert!(done.status.success(), "{}", text(&done));
    let object: Value = serde_json::from_slice(&done.stdout).unwrap();
    let record = &object["record"];
    assert_eq!((&object["changed"], &record["status"]), (&true.into(), &"complete".into()));
    assert!(record["personalization_apdus"].as_u64().unwrap() <= 45);
    assert_eq!(
        (&record["domain"]["test_keys"], &record["access_rules"][0]["apdu"]),
        (&false.into(), &"always".into())
    );
    let file = lab.path(object["record_file"].as_str().unwrap());
    let kept = fs::read_to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), *record);
    let trace = fs::read_to_string(lab.path("trace")).unwrap();
    for secret in
        ["38363432", "555345523939", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", "A0A1A2A3A4A5A6A7", "C0C1C2C3"]
    {
        assert!(!commands(&trace).contains(secret), "{secret} is in the trace");
        assert!(!kept.to_uppercase().contains(secret), "{secret} is in the record");
    }

    let again = personalize(&lab, &[]);
    assert_eq!(code(&again), 0, "{}", text(&again));
    assert!(text(&again).contains("Nothing was changed"), "{}", text(&again));
    assert_eq!(fs::read_to_string(&file).unwrap(), kept, "the record was touched");

    fs::write(lab.path("m"), "m").unwrap();
    ok(lab.jpki(&["sign", "m", "-o", "m.p7s"]).env("JPKISE_PASSWORD", "USER99"));
    let check = ["cms", "-verify", "-binary", "-inform", "DER", "-in", "m.p7s", "-content", "m"];
    let rest = ["-CAfile", "ca/sign-ca.crt", "-purpose", "any", "-out", "/dev/null"];
    openssl(&[&check[..], &rest].concat(), lab.folder.path());
    // The domain is on the plan's own keys: the laboratory's open nothing, the status has no mark.
    let status = lab.json(&["status"], &[]);
    assert_eq!((&status["test_keys"], &status["key_version"]), (&false.into(), &"30".into()));
    assert_eq!(code(&run(&mut lab.jpki(&["hold", "sign", "--yes"]))), 4);
    let held = ["hold", "sign", "--yes", "--key-file", "own.keys", "--kvn", "30"];
    assert_eq!(lab.json(&held, &[])["keys"][0]["state"], "HELD");
    // A key on hold is not what the plan says, and nothing a plan changes.
    let refused = personalize(&lab, &[]);
    assert_eq!(code(&refused), 5, "{}", text(&refused));
}

#[test]
fn another_ca_gets_requests_as_files_and_the_next_run_takes_its_certificates() {
    let Some(()) = require(&[("openssl", "version")]) else { return };
    let lab = plan_lab();
    let folder = lab.folder.path();
    for ca in ["auth", "sign"] {
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout"];
        let rest =
            [&format!("{ca}.key"), "-out", &format!("{ca}-ca.crt"), "-subj", &format!("/C=JP/CN={ca} CA")];
        openssl(&[&new[..], &rest.map(|s| s as &str)].concat(), folder);
    }
    let files =
        "kind = \"files\"\nfolder = \"exchange\"\nauth-ca = \"auth-ca.crt\"\nsign-ca = \"sign-ca.crt\"\n\
                 sign-subject = \"CN=Somebody,C=JP\"";
    fs::write(lab.path("plan"), PLAN.replace("kind = \"test\"\nfolder = \"ca\"", files)).unwrap();
    let waiting = personalize(&lab, &["--pin-file", "pins"]);
    assert_eq!(code(&waiting), 6, "{}", text(&waiting));
    let requests: Vec<PathBuf> =
        fs::read_dir(lab.path("exchange")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(requests.len(), 2, "{requests:?}");
    for request in &requests {
        let ca = if request.to_str().unwrap().ends_with("auth.csr") { "auth" } else { "sign" };
        let request = request.to_str().unwrap();
        let issued = request.replace(".csr", ".crt");
        let issue = ["x509", "-req", "-sha256", "-days", "10", "-in", request, "-out", &issued];
        let by = ["-CA", &format!("{ca}-ca.crt"), "-CAkey", &format!("{ca}.key"), "-CAcreateserial"];
        openssl(&[&issue[..], &by].concat(), folder);
    }
    let done = personalize(&lab, &["--pin-file", "pins", "--json"]);
    assert_eq!(code(&done), 0, "{}", text(&done));
    let object: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(object["record"]["runs"], 2);
    assert_eq!(
        object["record"]["keys"][1]["generation"], 1,
        "the key that the CA certified is the first one"
    );
    let read = ok(lab.jpki(&["cert", "sign"]).env("JPKISE_PASSWORD", "USER99"));
    assert!(read.contains("CN=Somebody"), "{read}");
    assert!(!read.contains("TEST CERTIFICATE"), "{read}");
}

/// The listed app and no other reaches the applet, from the first moment on; a list that changed is mended.
#[test]
fn a_plan_writes_the_rules_of_its_applet_and_only_the_listed_app_gets_through() {
    let lab = plan_lab();
    let card = |arguments: &[&str]| {
        let mut command = jpkise(arguments);
        command.args(["--state", "card"]).current_dir(lab.folder.path());
        run(&mut command)
    };
    let apk = |name: &str| format!("{}/../omapi/tests/data/apk/{name}", env!("CARGO_MANIFEST_DIR"));
    let (listed, other) = (apk("rsa-v1v2v3.apk"), apk("ec-v2only.apk"));
    let check = |apk: &str| code(&card(&["ara", "check", "--aid", JPKI, "--apk", apk, "--apdu", "00200080"]));
    let hash_of = |apk: &str| {
        let hashes = text(&card(&["ara", "hashes", "--apk", apk]));
        let start = hashes.find("sha256:").unwrap() + 7;
        hashes[start..start + 64].to_owned()
    };
    let write = |hashes: &[String]| {
        let rule = |hash: &String| {
            format!("[[rule]]\naid = \"{JPKI}\"\napp = \"sha256:{hash}\"\napdu = \"jpki-user\"\n")
        };
        let rules: String = hashes.iter().map(rule).collect();
        fs::write(lab.path("rules"), format!("format = 1\n{rules}")).unwrap();
    };
    let (listed_hash, other_hash) = (hash_of(&listed), hash_of(&other));
    write(std::slice::from_ref(&listed_hash));

    let dry = personalize(&lab, &["--dry-run"]);
    assert!(dry.status.success(), "{}", text(&dry));
    for part in ["1 to write, 0 to delete", "jpki-user", &listed_hash, "INSTALL [for make selectable]"] {
        assert!(text(&dry).contains(part), "{part}: {}", text(&dry));
    }
    assert!(text(&card(&["ara", "list"])).contains("No rules"));

    let done = personalize(&lab, &["--pin-file", "pins"]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains(&format!("{JPKI} sha256:{listed_hash}")), "{}", text(&done));
    assert_eq!((check(&listed), check(&other)), (0, 5));

    write(&[other_hash]);
    let mended = personalize(&lab, &["--json"]);
    assert!(mended.status.success(), "{}", text(&mended));
    assert!(text(&mended).contains("1 to write, 1 to delete"), "{}", text(&mended));
    assert_eq!((check(&listed), check(&other)), (5, 0));
    let again = personalize(&lab, &[]);
    assert!(text(&again).contains("Nothing was changed"), "{}", text(&again));
}

#[test]
fn a_plan_with_rules_is_refused_by_a_card_without_ara_m() {
    let lab = plan_lab();
    fs::write(lab.path("profile"), "format = 1\n[card]\nara = false\n").unwrap();
    for extra in [&["--dry-run"][..], &["--pin-file", "pins"]] {
        let refused = personalize(&lab, &[extra, &["--profile", "profile"]].concat());
        assert_eq!(code(&refused), 5, "{}", text(&refused));
        assert!(text(&refused).contains("ARA-M"), "{}", text(&refused));
        assert!(!lab.path("records").exists(), "something was begun");
    }
}

#[test]
fn plans_that_cannot_be_carried_out_are_refused_before_anything_is_sent() {
    let lab = plan_lab();
    fs::write(lab.path("others"), RULES.replace(JPKI, "all")).unwrap();
    fs::write(lab.path("empty"), "format = 1\n").unwrap();
    for (from, to, exit, says) in [
        ("own = ", "onw = ", 2, "line 6"),
        ("first = \"env:FIRST_KEYS\"", "first = \"0F1E2D3C4B5A69788796A5B4C3D2E1F0\"", 2, "line 5"),
        ("file:own.keys", "file:no-such-file", 2, "no-such-file"),
        ("env:FIRST_KEYS", "env:NO_SUCH_VARIABLE", 2, "NO_SUCH_VARIABLE"),
        ("file = \"rules\"", "file = \"plan\"", 2, "rules"),
        ("file = \"rules\"", "file = \"none\"", 2, "none"),
        ("file = \"rules\"", "fail = \"rules\"", 2, "line 11"),
        ("file = \"rules\"", "file = \"others\"", 2, "rule in line 2: it names all"),
        ("file = \"rules\"", "file = \"empty\"", 2, "no rule"),
        ("issuer = \"test\"", "", 2, "keys.issuer"),
        ("[ca]", "[applet]\ncap = \"plan\"\n[ca]", 2, "plan"),
    ] {
        fs::write(lab.path("plan"), PLAN.replace(from, to)).unwrap();
        let output = personalize(&lab, &["--pin-file", "pins"]);
        assert_eq!(code(&output), exit, "{to}: {}", text(&output));
        assert!(text(&output).contains(says), "{to}: {}", text(&output));
        assert!(!lab.path("records").exists(), "{to}");
    }
}

#[test]
fn a_card_behind_a_reader_is_used_and_personalised_like_the_simulated_one() {
    let Some(reader) = Reader::take() else { return };
    let lab = plan_lab();
    let sim = Sim::start(&reader, &[]);
    let at_reader = |arguments: &[&str]| {
        let mut command = jpkise(&[&["jpki"], arguments].concat());
        command.args(["--reader", "0"]).current_dir(lab.folder.path());
        command
    };
    let personalize = |extra: &[&str]| {
        let mut command = at_reader(&["personalize", "--plan", "plan", "--pin-file", "pins"]);
        run(command.args(extra).env("FIRST_KEYS", "0F1E2D3C4B5A69788796A5B4C3D2E1F0"))
    };
    assert_eq!(code(&personalize(&[])), 7, "test keys and the test CA need --lab on a real card");
    assert_eq!(code(&personalize(&["--lab"])), 7, "and consent");
    let done = personalize(&["--lab", "--yes"]);
    assert!(done.status.success(), "{}", text(&done));
    let status = ok(&mut at_reader(&["status"]));
    assert!(status.contains("ACTIVE"), "{status}");
    ok(at_reader(&["auth"]).env("JPKISE_PIN", "8642"));
    let wrong = run(at_reader(&["auth"]).env("JPKISE_PIN", "8643"));
    assert_eq!(code(&wrong), 4);
    assert!(text(&wrong).contains("tries left: 2"), "{}", text(&wrong));
    let again = personalize(&["--lab", "--yes"]);
    assert!(text(&again).contains("Nothing was changed"), "{}", text(&again));
    drop(sim);
    Reader::wait_until_empty();
    let gone = run(&mut at_reader(&["pin", "status"]));
    assert_eq!(code(&gone), 3, "{}", text(&gone));

    // The plastic card's profile: its authentication certificate needs no PIN.
    let _sim = Sim::start(&reader, &["--personalized", "--token", "card"]);
    let read = ok(&mut at_reader(&["cert", "auth"]));
    assert!(read.contains("digitalSignature"), "{read}");
    fs::write(lab.path("m"), "m").unwrap();
    ok(at_reader(&["sign", "m", "-o", "m.p7s"]).env("JPKISE_PASSWORD", PASSWORD));
    let held = run(&mut at_reader(&["hold", "sign", "--yes"]));
    assert_eq!(code(&held), 2, "a real card's keys are never guessed: {}", text(&held));
    ok(&mut at_reader(&["hold", "sign", "--yes", "--lab"]));
}

#[test]
fn a_card_pulled_in_the_middle_ends_in_exit_6_and_the_same_command_goes_on() {
    let Some(reader) = Reader::take() else { return };
    let lab = plan_lab();
    let state = lab.name("card");
    let sim = Sim::start(&reader, &["--state", &state]);
    let arguments =
        ["jpki", "personalize", "--plan", "plan", "--pin-file", "pins", "--lab", "--yes", "--reader", "0"];
    let start = || {
        let mut command = jpkise(&arguments);
        command.current_dir(lab.folder.path()).env("FIRST_KEYS", "0F1E2D3C4B5A69788796A5B4C3D2E1F0");
        command
    };
    let child = start().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The record appears with the first change.
    let records = lab.path("records");
    while !fs::read_dir(&records).is_ok_and(|mut files| files.next().is_some()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The program sleeps while the card leaves, so that it cannot be done by then.
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(status.unwrap().success(), "kill {name}");
    };
    signal("-STOP");
    // Ctrl-C takes the card from the reader and keeps it in its file.
    let _ = sim.interrupt();
    Reader::wait_until_empty();
    signal("-CONT");
    let pulled = finish(child, "personalize with the card pulled", Duration::from_secs(30));
    assert_eq!(code(&pulled), 6, "{}", text(&pulled));
    Reader::wait_until_empty();
    let _sim = Sim::start(&reader, &["--state", &state]);
    let done = run(&mut start());
    assert!(done.status.success(), "{}", text(&done));
    let status = ok(jpkise(&["jpki", "status", "--reader", "0"]).current_dir(lab.folder.path()));
    assert!(status.matches("ACTIVE").count() == 2, "{status}");
}
