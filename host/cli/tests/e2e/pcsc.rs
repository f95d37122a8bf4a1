//! Through pcscd and vpcd: programs we did not write use the simulated GP-SE as a card in a reader.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{children, commands, jpkise, ok, pkcs11_module, run, text, Reader, Sim, PASSWORD, PIN};

/// The two tokens OpenSC shows for one JPKI card: label, secret, object id, PKCS#15 certificate id.
const TOKENS: [(&str, &str, &str); 2] =
    [("JPKI (User Authentication PIN)", PIN, "01"), ("JPKI (Digital Signature PIN)", PASSWORD, "02")];

fn sign_and_verify(token: &str, secret: &str, id: &str, directory: &Path, public_key: &Path) {
    let message = directory.join("message.txt");
    let signature = directory.join(format!("signature-{id}"));
    fs::write(&message, b"signed through PKCS#11").unwrap();
    let module = pkcs11_module();
    ok(Command::new("pkcs11-tool")
        .args(["--module", module.to_str().unwrap(), "--token-label", token, "--login", "--pin", secret])
        .args(["--sign", "--mechanism", "SHA256-RSA-PKCS", "--id", id])
        .args(["--input-file", message.to_str().unwrap(), "--output-file", signature.to_str().unwrap()]));
    let verified = ok(Command::new("openssl")
        .args(["dgst", "-sha256", "-verify", public_key.to_str().unwrap()])
        .args(["-signature", signature.to_str().unwrap(), message.to_str().unwrap()]));
    assert!(verified.contains("Verified OK"), "{verified}");
}

fn public_key_of(certificate_pem: &str, path: &Path) {
    let input = path.with_extension("crt");
    fs::write(&input, certificate_pem).unwrap();
    let key = ok(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in", input.to_str().unwrap()]));
    fs::write(path, key).unwrap();
}

/// The PEM block in what a tool printed.
fn pem(printed: &str) -> String {
    let start =
        printed.find("-----BEGIN CERTIFICATE-----").unwrap_or_else(|| panic!("no certificate in {printed}"));
    printed[start..].to_owned()
}

#[test]
fn opensc_reads_and_signs_with_both_keys_on_both_token_profiles() {
    let Some(reader) = Reader::take() else { return };
    for (token, runtime) in [("phone", "jcvm"), ("card", "jcvm"), ("phone", "jcardsim")] {
        let sim = Sim::start(&reader, &["--personalized", "--token", token, "--runtime", runtime]);
        let directory = tempfile::tempdir().unwrap();

        let readers = ok(Command::new("opensc-tool").arg("-l"));
        assert!(readers.contains("Yes"), "{readers}");
        let dump = ok(Command::new("pkcs15-tool").arg("--dump"));
        for expected in ["JPKI", "User Authentication", "Digital Signature", "Tries left"] {
            assert!(dump.contains(expected), "{token}: no {expected} in {dump}");
        }

        // The certificates, under the conditions of the profile.
        let auth_read = ok(Command::new("pkcs15-tool").args([
            "--read-certificate",
            "01",
            "--verify-pin",
            "--auth-id",
            "01",
            "--pin",
            PIN,
        ]));
        let sign_read = ok(Command::new("pkcs15-tool").args([
            "--read-certificate",
            "02",
            "--verify-pin",
            "--auth-id",
            "02",
            "--pin",
            PASSWORD,
        ]));
        let bare = run(Command::new("pkcs15-tool").args(["--read-certificate", "01"]));
        assert_eq!(bare.status.success(), token == "card", "{token}: {}", text(&bare));
        let refused = run(Command::new("pkcs15-tool").args(["--read-certificate", "02"]));
        assert!(!refused.status.success(), "the signature certificate was read without its password");

        for ((label, secret, id), printed) in TOKENS.into_iter().zip([auth_read, sign_read]) {
            let key = directory.path().join(format!("key-{id}.pem"));
            public_key_of(&pem(&printed), &key);
            sign_and_verify(label, secret, id, directory.path(), &key);
        }
        assert!(sim.interrupt().success(), "jpkise sim did not end with exit 0 at Ctrl-C");
        Reader::wait_until_empty();
    }
}

#[test]
fn a_wrong_pin_costs_one_try_and_opensc_shows_it() {
    let Some(reader) = Reader::take() else { return };
    let _sim = Sim::start(&reader, &["--personalized"]);
    let wrong = run(Command::new("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", "9999"]));
    assert!(!wrong.status.success(), "{}", text(&wrong));
    let pins = ok(Command::new("pkcs15-tool").arg("--list-pins"));
    assert!(pins.contains("Tries left     : 2"), "{pins}");
    ok(Command::new("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", PIN]));
    let pins = ok(Command::new("pkcs15-tool").arg("--list-pins"));
    assert!(pins.contains("Tries left     : 3"), "{pins}");
}

#[test]
fn the_demo_runs_against_a_reader_only_with_lab_and_consent() {
    let Some(reader) = Reader::take() else { return };
    let _sim = Sim::start(&reader, &[]);
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().join("files");
    let demo = |extra: &[&str]| {
        let arguments = ["demo", "--reader", "0", "--out", directory.to_str().unwrap()];
        run(&mut jpkise(&[&arguments, extra].concat()))
    };
    let refused = demo(&[]);
    assert_eq!(refused.status.code(), Some(7), "{}", text(&refused));
    assert!(!directory.exists(), "files were written before consent");
    let unasked = demo(&["--lab"]);
    assert_eq!(unasked.status.code(), Some(7), "no terminal, no --yes: {}", text(&unasked));

    let done = demo(&["--lab", "--yes"]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(directory.join("summary.json").exists());

    // The same card again: the applet is there already, so the card refuses and the advice says what to do.
    let again = demo(&["--lab", "--yes"]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
}

#[test]
fn a_pulled_card_ends_in_exit_3_and_a_second_run_works() {
    let Some(reader) = Reader::take() else { return };
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().join("files");
    let arguments = ["demo", "--reader", "0", "--lab", "--yes", "--out", directory.to_str().unwrap()];
    // In the first step, within the load file, at a key's generation, near the end.
    for after in ["1", "30", "100", "175"] {
        let sim = Sim::start(&reader, &["--leave-after", after]);
        let pulled = run(&mut jpkise(&arguments));
        assert_eq!(pulled.status.code(), Some(3), "after {after} commands: {}", text(&pulled));
        assert!(sim.finish().success(), "a card that has left is an orderly end of jpkise sim");
        Reader::wait_until_empty();
    }
    let _sim = Sim::start(&reader, &[]);
    let done = run(&mut jpkise(&arguments));
    assert!(done.status.success(), "{}", text(&done));
}

#[test]
fn doctor_names_the_service_that_is_not_running_and_is_content_with_a_personalised_card() {
    let Some(reader) = Reader::take() else { return };
    let stopped = run(jpkise(&["doctor"]).env("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm"));
    assert_eq!(stopped.status.code(), Some(3), "no service: {}", text(&stopped));
    assert!(text(&stopped).contains("pcscd"), "{}", text(&stopped));
    let empty = run(&mut jpkise(&["doctor"]));
    assert_eq!(empty.status.code(), Some(3), "no card: {}", text(&empty));
    // vpcd brings two readers: it is the card that is missing, not a reader.
    assert!(text(&empty).contains("OK   reader"), "{}", text(&empty));
    assert!(text(&empty).contains("NG   card"), "{}", text(&empty));
    let nobody = run(&mut jpkise(&["doctor", "--reader", "no such reader"]));
    assert!(text(&nobody).contains("NG   reader: no such reader"), "{}", text(&nobody));
    assert!(text(&nobody).contains("--reader"), "{}", text(&nobody));

    let _sim = Sim::start(&reader, &["--personalized"]);
    let traces = tempfile::tempdir().unwrap();
    let trace = traces.path().join("doctor.jsonl");
    let content = ok(&mut jpkise(&["doctor", "-v", "--trace", trace.to_str().unwrap()]));
    assert!(!content.contains("NG"), "{content}");
    assert!(content.contains("VERIFY"), "-v shows the exchanged APDUs: {content}");
    let recorded = fs::read_to_string(&trace).unwrap();
    assert!(recorded.contains("VERIFY") && recorded.contains("63C3"), "{recorded}");
    let japanese = ok(&mut jpkise(&["doctor", "--lang", "ja"]));
    assert!(japanese.contains("PIN 残り 3 回"), "{japanese}");

    for _ in 0..3 {
        run(Command::new("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", "9999"]));
    }
    let blocked = run(&mut jpkise(&["doctor"]));
    assert_eq!(blocked.status.code(), Some(5), "{}", text(&blocked));
    assert!(text(&blocked).contains("blocked"), "{}", text(&blocked));
}

#[test]
fn killing_the_simulator_leaves_no_child_behind() {
    let Some(reader) = Reader::take() else { return };
    let sim = Sim::start(&reader, &["--personalized", "--runtime", "jcardsim"]);
    let offspring = children(sim.pid());
    drop(sim);
    let started = Instant::now();
    let alive = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
    while offspring.iter().any(alive) {
        assert!(started.elapsed() < Duration::from_secs(30), "still running: {offspring:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_simulator_s_trace_shows_what_programs_send_and_no_secret() {
    let Some(reader) = Reader::take() else { return };
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("sim.jsonl");
    let sim = Sim::start(&reader, &["--personalized", "--trace", trace.to_str().unwrap()]);
    let before = fs::read_to_string(&trace).unwrap().lines().count();
    ok(Command::new("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", PIN]));
    assert!(sim.interrupt().success());
    let recorded = fs::read_to_string(&trace).unwrap();
    let served: Vec<&str> = recorded.lines().skip(before).collect();
    let verify = r#""name":"VERIFY","header":"00200080","command":{"secret":"reference-data"}"#;
    assert!(served.iter().any(|line| line.contains(verify)), "{served:#?}");
    assert!(!commands(&recorded).contains("31323334"), "the PIN is in the trace");
    ok(&mut jpkise(&["trace", "show", trace.to_str().unwrap()]));
}

#[test]
fn a_kept_card_remembers_a_wrong_pin() {
    let Some(reader) = Reader::take() else { return };
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("card");
    let arguments = ["--personalized", "--state", state.to_str().unwrap()];
    let sim = Sim::start(&reader, &arguments);
    let wrong = run(Command::new("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", "9999"]));
    assert!(!wrong.status.success(), "{}", text(&wrong));
    assert!(sim.interrupt().success());
    Reader::wait_until_empty();

    let _sim = Sim::start(&reader, &arguments);
    let pins = ok(Command::new("pkcs15-tool").arg("--list-pins"));
    assert!(pins.contains("Tries left     : 2"), "{pins}");
    ok(Command::new("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", PIN]));
}
