//! `jpkise jpki personalize` over plan files, on a simulated card that is kept in a file and on one behind pcscd.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::jpki::{code, openssl, Lab};
use crate::support::{commands, finish, jpkise, ok, require, run, text, Reader, Sim, PASSWORD};

/// A plan for an empty card.
pub const PLAN: &str = r#"
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
const PACKAGE: &str = "D392F000264A504B01";

const RULES: &str = r#"format = 1
[[rule]]
aid = "D392F000260100000001"
app = "sha256:A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0"
apdu = "always"
"#;

/// Key-ENC, Key-MAC and Key-DEK of the service provider.
pub const OWN: [&str; 3] = [
    "A0A1A2A3A4A5A6A7A0A1A2A3A4A5A6A7",
    "B0B1B2B3B4B5B6B7B0B1B2B3B4B5B6B7",
    "C0C1C2C3C4C5C6C7C0C1C2C3C4C5C6C7",
];

/// An empty card and everything a plan names.
pub fn plan_lab() -> Lab {
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    fs::write(lab.path("plan"), PLAN).unwrap();
    fs::write(lab.path("rules"), RULES).unwrap();
    let [enc, mac, dek] = OWN;
    fs::write(lab.path("own.keys"), format!("enc = {enc}\nmac = {mac}\ndek = {dek}\n")).unwrap();
    fs::write(lab.path("pins"), "8642\nUSER99\n").unwrap();
    lab
}

/// `jpkise jpki personalize` over the plan in the folder.
pub fn personalize(lab: &Lab, extra: &[&str]) -> Output {
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
fn a_plan_loads_the_package_and_puts_the_own_keys_in_the_place_of_the_first() {
    let lab = plan_lab();
    let gp = |arguments: &[&str]| {
        let mut command = jpkise(&[&["gp", "--state", &lab.name("card")], arguments].concat());
        command.current_dir(lab.folder.path());
        command
    };
    fs::write(lab.path("profile"), "format = 1\n[card]\njpki_in_rom = false\n").unwrap();
    let empty = ok(&mut gp(&["list", "--profile", "profile"]));
    assert!(!empty.contains(PACKAGE), "{empty}");
    let without = personalize(&lab, &["--pin-file", "pins"]);
    assert_eq!(code(&without), 5, "no package, and no CAP to load: {}", text(&without));
    assert!(text(&without).contains("[applet] cap"), "{}", text(&without));

    let cap = concat!(env!("CARGO_MANIFEST_DIR"), "/../../applet/dist/jpki.cap");
    fs::copy(cap, lab.path("jpki.cap")).unwrap();
    let plan = PLAN
        .replace("[ca]", "rotation = \"replace\"\n[ca]")
        .replace("[keys]", "[applet]\ncap = \"jpki.cap\"\n[keys]");
    fs::write(lab.path("plan"), plan).unwrap();
    let done = personalize(&lab, &["--pin-file", "pins", "--json"]);
    assert!(done.status.success(), "{}", text(&done));
    let object: Value = serde_json::from_slice(&done.stdout).unwrap();
    let loaded = &object["record"]["applet"]["cap"];
    assert_eq!(loaded["loaded"], true, "{object}");
    let status = lab.json(&["status"], &[]);
    assert_eq!((&status["test_keys"], &status["key_version"]), (&false.into(), &"30".into()));

    // The first set is gone, and not beside the own: only these open the domain.
    let domain = ["keys", "list", "--sd", "A00000015153504A504B49"];
    let own = ["--key-file", "own.keys", "--kvn", "30"];
    let keys = ok(gp(&[&domain[..], &own].concat()).arg("--json"));
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let versions: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|k| &k["kvn"]).collect();
    assert!(!versions.is_empty() && versions.iter().all(|v| **v == "30"), "{keys}");
    let first = ["--key", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", "--kvn", "20"];
    let refused = run(&mut gp(&[&["list", "--sd", "A00000015153504A504B49"][..], &first].concat()));
    assert!(!refused.status.success(), "{}", text(&refused));
    assert!(text(&personalize(&lab, &[])).contains("Nothing was changed"));
}

#[test]
fn a_signer_whom_the_ca_holds_or_revokes_is_refused_by_its_list() {
    let Some(()) = require(&[("openssl", "version")]) else { return };
    let lab = plan_lab();
    let folder = lab.folder.path();
    assert!(personalize(&lab, &["--pin-file", "pins"]).status.success());
    fs::write(lab.path("m"), "m").unwrap();
    ok(lab.jpki(&["sign", "m", "-o", "m.p7s"]).env("JPKISE_PASSWORD", "USER99"));
    ok(lab.jpki(&["cert", "sign", "-o", "sign.pem"]).env("JPKISE_PASSWORD", "USER99"));
    let serial = openssl(&["x509", "-in", "sign.pem", "-noout", "-serial"], folder);
    let serial = serial.trim().trim_start_matches("serial=").to_owned();
    fs::write(
        lab.path("conf"),
        "[ca]\ndefault_ca = l\n[l]\ndatabase = index\ncrlnumber = n\ndefault_md = sha256\n",
    )
    .unwrap();
    let list = |ca: &str, entry: &str| {
        fs::write(lab.path("index"), entry).unwrap();
        fs::write(lab.path("n"), "01\n").unwrap();
        let (key, certificate) = (format!("ca/{ca}-ca.pem"), format!("ca/{ca}-ca.crt"));
        let make = ["ca", "-config", "conf", "-gencrl", "-crldays", "7", "-out", "list"];
        openssl(&[&make[..], &["-keyfile", &key, "-cert", &certificate]].concat(), folder);
    };
    let verify = |extra: &[&str]| {
        let arguments = ["jpki", "verify", "m", "--cms", "m.p7s", "--ca", "ca/sign-ca.crt", "--crl", "list"];
        run(jpkise(&[&arguments[..], extra].concat()).current_dir(folder))
    };
    let entry =
        |date: &str, reason: &str| format!("R\t400402145959Z\t{date},{reason}\t{serial}\tunknown\t/CN=x\n");
    for (ca, entry, extra, exit, says) in [
        ("sign", String::new(), &["--json"][..], 0, "\"revocation\": \"good\""),
        ("sign", entry("260101000000Z", "certificateHold"), &[], 5, "on hold"),
        ("sign", entry("260101000000Z", "certificateHold"), &["--lang", "ja"], 5, "一時保留"),
        ("sign", entry("260101000000Z", "keyCompromise"), &["--json"], 5, "err-revoked"),
        ("sign", entry("390101000000Z", "superseded"), &[], 0, "superseded"),
        ("sign", String::new(), &["--at", "2030-01-01T00:00:00Z"], 5, "too old"),
        ("auth", String::new(), &[], 5, "about this certificate"),
    ] {
        list(ca, &entry);
        let output = verify(extra);
        assert_eq!(code(&output), exit, "{entry}: {}", text(&output));
        assert!(text(&output).contains(says), "{says}: {}", text(&output));
    }
    fs::write(lab.path("list"), "no list").unwrap();
    assert_eq!(code(&verify(&[])), 2);
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
    let pulled = finish(child, "personalize with the card pulled");
    assert_eq!(code(&pulled), 6, "{}", text(&pulled));
    Reader::wait_until_empty();
    let _sim = Sim::start(&reader, &["--state", &state]);
    let done = run(&mut start());
    assert!(done.status.success(), "{}", text(&done));
    let status = ok(jpkise(&["jpki", "status", "--reader", "0"]).current_dir(lab.folder.path()));
    assert!(status.matches("ACTIVE").count() == 2, "{status}");
}
