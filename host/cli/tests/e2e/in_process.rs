//! The demo in one process, and what a user's mistakes end in. openssl judges the files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{children, commands, finish, jpkise, ok, require, run, text};

const FILES: [&str; 12] = [
    "sign-cert.der",
    "sign-ca.der",
    "auth-cert.der",
    "auth-ca.der",
    "sign.csr",
    "auth.csr",
    "message.bin",
    "sign.sig",
    "auth.sig",
    "message.p7s",
    "trace.jsonl",
    "summary.json",
];

/// The CAP that travels with the project.
const JPKI_CAP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../applet/dist/jpki.cap");

/// What makes a run fail.
type Prepare<'a> = &'a dyn Fn(&mut Command);

fn openssl(arguments: &[&str], directory: &Path) -> String {
    ok(Command::new("openssl").args(arguments).current_dir(directory))
}

#[test]
fn the_demo_leaves_files_that_openssl_accepts() {
    let Some(()) = require(&[("openssl", "version")]) else { return };
    for runtime in ["jcvm", "jcardsim"] {
        demo_files(runtime);
    }
}

fn demo_files(runtime: &str) {
    let out = tempfile::tempdir().unwrap();
    let directory = out.path();
    let printed = ok(&mut jpkise(&["demo", "--runtime", runtime, "--out", directory.to_str().unwrap()]));
    assert!(printed.contains("APDU"), "{printed}");
    for file in FILES {
        assert!(fs::metadata(directory.join(file)).is_ok_and(|m| m.len() > 0), "{file} is missing or empty");
    }
    for key in ["sign", "auth"] {
        let request = format!("{key}.csr");
        openssl(&["req", "-inform", "DER", "-in", &request, "-verify", "-noout"], directory);
        let requested = openssl(&["req", "-inform", "DER", "-in", &request, "-noout", "-pubkey"], directory);
        let certificate = format!("{key}-cert.der");
        let issued =
            openssl(&["x509", "-inform", "DER", "-in", &certificate, "-noout", "-pubkey"], directory);
        let block = |t: &str| t[t.find("-----BEGIN").unwrap()..t.find("-----END").unwrap()].to_owned();
        assert_eq!(block(&requested), block(&issued), "{key}: request and certificate have different keys");

        let ca = format!("{key}-ca.der");
        let ca_pem = format!("{key}-ca.pem");
        openssl(&["x509", "-inform", "DER", "-in", &ca, "-out", &ca_pem], directory);
        let cert_pem = format!("{key}-cert.pem");
        openssl(&["x509", "-inform", "DER", "-in", &certificate, "-out", &cert_pem], directory);
        openssl(&["verify", "-CAfile", &ca_pem, &cert_pem], directory);
        let key_pem = format!("{key}-key.pem");
        fs::write(directory.join(&key_pem), &issued[issued.find("-----BEGIN").unwrap()..]).unwrap();
        let signature = format!("{key}.sig");
        openssl(
            &["dgst", "-sha256", "-verify", &key_pem, "-signature", &signature, "message.bin"],
            directory,
        );
    }
    let cms =
        ["cms", "-verify", "-binary", "-inform", "DER", "-in", "message.p7s", "-content", "message.bin"];
    openssl(
        &[&cms[..], &["-CAfile", "sign-ca.pem", "-purpose", "any", "-out", "/dev/null"]].concat(),
        directory,
    );
}

#[test]
fn the_trace_and_the_summary_hold_no_secret() {
    let out = tempfile::tempdir().unwrap();
    ok(&mut jpkise(&["demo", "--out", out.path().to_str().unwrap()]));
    let trace = fs::read_to_string(out.path().join("trace.jsonl")).unwrap();
    let summary = fs::read_to_string(out.path().join("summary.json")).unwrap();
    let sent = commands(&trace);
    assert!(sent.len() > 1000, "{sent}");
    for (name, secret) in
        [("PIN", "31323334"), ("password", "414243313233"), ("test key", "404142434445464748494A4B4C4D4E4F")]
    {
        assert!(!sent.contains(secret), "the trace holds the {name}");
        assert!(!summary.to_uppercase().contains(secret), "the summary holds the {name}");
        // A time of issue in a certificate can read like the PIN ("12:34"), nothing reads like the others.
        assert!(name == "PIN" || !trace.to_uppercase().contains(secret), "the trace holds the {name}");
    }
    assert!(trace.contains(r#"{"secret":"#), "no secret was ever named");
    let shown = ok(&mut jpkise(&["trace", "show", out.path().join("trace.jsonl").to_str().unwrap()]));
    assert!(shown.contains("EXTERNAL AUTHENTICATE"), "{shown}");
}

#[test]
fn every_run_makes_new_keys() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for out in [&one, &two] {
        ok(&mut jpkise(&["demo", "--out", out.path().to_str().unwrap()]));
    }
    for file in ["sign.csr", "auth.csr"] {
        assert_ne!(
            fs::read(one.path().join(file)).unwrap(),
            fs::read(two.path().join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn both_languages_and_json_tell_the_same_story() {
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().to_str().unwrap();
    let japanese = ok(&mut jpkise(&["demo", "--out", directory, "--lang", "ja"]));
    assert!(japanese.contains("署名"), "{japanese}");
    let output = run(&mut jpkise(&["demo", "--out", directory, "--json"]));
    assert!(output.status.success(), "{}", text(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        summary,
        serde_json::from_slice::<serde_json::Value>(&fs::read(out.path().join("summary.json")).unwrap())
            .unwrap()
    );
}

#[test]
fn mistakes_end_in_the_exit_status_of_the_manual() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("a-file");
    fs::write(&file, b"x").unwrap();
    for (arguments, exit, says) in [
        (vec!["dmeo"], 2, "demo"),
        (vec!["demo", "--token", "plastic"], 2, "phone"),
        (vec!["trace", "show", "/nonexistent/trace"], 2, "/nonexistent/trace"),
        (vec!["trace", "show", file.to_str().unwrap()], 2, "1"),
        (vec!["demo", "--out", file.to_str().unwrap()], 1, "a-file"),
        (vec!["sim", "--state", "/dev/zero"], 1, "--state"),
        (vec!["sim", "--state", "/nonexistent/card"], 1, "--state"),
        (vec!["sim", "--vpcd", "localhost:1"], 3, "localhost:1"),
        (vec!["sim", "--vpcd", "nonsense"], 2, "nonsense"),
        (vec!["sim", "--runtime", "jcardsim", "--state", "/nonexistent/card"], 2, "jCardSim"),
        (vec!["sim", "--state", file.to_str().unwrap()], 2, "a-file"),
        (vec!["cap", "run", file.to_str().unwrap()], 2, "a-file"),
        (vec!["cap", "run", JPKI_CAP, "--script", "/nonexistent/script"], 2, "/nonexistent/script"),
        (vec!["cap", "run", JPKI_CAP, "--script", file.to_str().unwrap()], 2, "1"),
        (vec!["cap", "run", JPKI_CAP, "--module", "F04A504B4900"], 2, "--module"),
        (vec!["cap", "run", JPKI_CAP, "--parameters", "0"], 2, "--parameters"),
        (vec!["cap", "run", JPKI_CAP, "--parameters", "FF"], 5, "6A80"),
    ] {
        for language in ["en", "ja"] {
            let output = run(jpkise(&arguments).args(["--lang", language]));
            assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", text(&output));
            assert!(text(&output).contains(says), "{arguments:?}: {}", text(&output));
        }
    }
}

#[test]
fn the_card_s_process_dying_ends_in_exit_3() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--runtime", "jcardsim", "--out", out.path().to_str().unwrap()];
    let trace = out.path().join("trace");
    let mut demo = jpkise(&arguments);
    let child =
        demo.arg("--trace").arg(&trace).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = std::time::Instant::now();
    while fs::read_to_string(&trace).map_or(0, |t| t.lines().count()) < 5 {
        assert!(started.elapsed() < Duration::from_secs(30), "the demo sends nothing to its card");
        std::thread::sleep(Duration::from_millis(2));
    }
    // The demo sleeps while its card dies, so that it cannot be done by then.
    let signal = |name: &str, pid: u32| {
        let status = Command::new("kill").args([name, &pid.to_string()]).status();
        assert!(status.unwrap().success(), "kill {name}");
    };
    signal("-STOP", child.id());
    let victims = children(child.id());
    assert_eq!(victims.len(), 1, "one process runs the applets");
    signal("-KILL", victims[0]);
    signal("-CONT", child.id());
    let output = finish(child, "demo without its card");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    ok(&mut jpkise(&arguments));
}

#[cfg(unix)]
#[test]
fn a_file_name_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let out = tempfile::tempdir().unwrap();
    let named = out.path().join(std::ffi::OsStr::from_bytes(b"folder-\xFF\xFE"));
    ok(jpkise(&["demo"]).arg("--out").arg(&named));
    assert!(named.join("summary.json").exists());
}

#[test]
fn json_is_one_object_whatever_comes_of_the_run() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("a-file");
    fs::write(&file, b"x").unwrap();
    for (arguments, exit) in [
        (vec!["doctor"], 3),
        (vec!["readers"], 3),
        (vec!["demo", "--out", file.to_str().unwrap()], 1),
        (vec!["trace", "show", file.to_str().unwrap()], 2),
        (vec!["demo", "--token", "plastic"], 2),
        (vec!["demo", "--out"], 2),
        (vec!["dmeo"], 2),
    ] {
        for language in ["en", "ja"] {
            let service = "/nonexistent/pcscd.comm";
            let all = [&["--json", "--lang", language], &arguments[..]].concat();
            let output = run(jpkise(&all).env("PCSCLITE_CSOCK_NAME", service));
            assert_eq!(output.status.code(), Some(exit), "{all:?}: {}", text(&output));
            let object: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
            assert!(object.is_ok_and(|o| o.is_object()), "{all:?}: {}", text(&output));
        }
    }
}

#[test]
fn an_error_says_what_is_missing_and_what_to_do() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("files");
    let demo = ["demo", "--out", folder.to_str().unwrap()];
    let without_java = |command: &mut Command| {
        command.args(["--runtime", "jcardsim"]).env("PATH", out.path()).env_remove("JAVA_HOME");
    };
    let bad_trace = |command: &mut Command| {
        command.arg("--trace").arg(out.path());
    };
    let no_service = |command: &mut Command| {
        command.args(["--reader", "0", "--lab"]).env("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm");
    };
    let no_runtime = |command: &mut Command| {
        command.args(["--runtime", "jcardsim"]).env("JPKISE_JCARDSIM", "/nonexistent/runtime.jar");
    };
    let cases: [(&str, Prepare, i32, &[&str]); 4] = [
        ("no Java", &without_java, 3, &["java", "JAVA_HOME"]),
        ("the trace cannot be written", &bad_trace, 1, &["--trace"]),
        ("no service", &no_service, 3, &["pcscd"]),
        ("the runtime is not where it was said to be", &no_runtime, 3, &["/nonexistent/runtime.jar", "mvn"]),
    ];
    for (name, prepare, exit, says) in cases {
        for language in ["en", "ja"] {
            let mut command = jpkise(&[&demo[..], &["--lang", language]].concat());
            prepare(&mut command);
            let output = run(&mut command);
            assert_eq!(output.status.code(), Some(exit), "{name}: {}", text(&output));
            let printed = text(&output);
            assert!(says.iter().all(|word| printed.contains(word)), "{name}: {printed}");
            let last: Vec<&str> = printed.lines().rev().take(3).map(str::trim).collect();
            let lines: std::collections::BTreeSet<&str> = last.iter().copied().collect();
            assert_eq!(lines.len(), last.len(), "{name}: said twice: {printed}");
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_the_simulator_starts_is_an_orderly_end() {
    use std::os::unix::process::CommandExt;
    for after in [20, 200, 600] {
        // A terminal sends Ctrl-C to the whole group: to the process that runs the applets too.
        let child = jpkise(&["sim", "--personalized", "--vpcd", "localhost:1"])
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let group = format!("-{}", child.id());
        // Before the handler is in place Ctrl-C is the system's own, which is as orderly.
        std::thread::sleep(Duration::from_millis(after));
        let _ = Command::new("kill").args(["-INT", "--", &group]).status();
        let output = finish(child, "interrupted sim");
        let signalled = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert!(output.status.success() || signalled == Some(2), "{after} ms: {}", text(&output));
    }
}

#[test]
fn the_demo_needs_the_binary_alone() {
    let out = tempfile::tempdir().unwrap();
    let nothing = tempfile::tempdir().unwrap();
    let directory = out.path().join("files");
    let printed = ok(jpkise(&["demo", "--out", directory.to_str().unwrap()])
        .current_dir(nothing.path())
        .env("PATH", nothing.path())
        .env_remove("JAVA_HOME")
        .env_remove("JPKISE_JCARDSIM"));
    assert!(printed.contains("openssl"), "it says that the second opinion is missing: {printed}");
    assert!(directory.join("summary.json").exists());
}

#[test]
fn a_cap_runs_without_a_card_manager() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "80CA DF30 00 # version\nreset\n0084000010\n00200098\n").unwrap();
    let arguments = ["cap", "run", JPKI_CAP, "--aid", "D392F000260100000001", "--script"];
    let arguments = [&arguments[..], &[script.to_str().unwrap()]].concat();
    let printed = ok(&mut jpkise(&arguments));
    assert!(printed.contains("> 80CADF3000\n< ") && printed.contains("\nreset\n"), "{printed}");
    assert!(printed.contains("grown by 0 bytes"), "{printed}");
    let output = run(jpkise(&arguments).arg("--json"));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["instance"], "D392F000260100000001");
    // SELECT, two lines, SELECT again after the reset, two lines.
    let answers: Vec<_> = report["exchanges"].as_array().unwrap().iter().collect();
    assert_eq!(answers.len(), 5);
    assert_eq!((&answers[4]["line"], &answers[4]["answer"]), (&4.into(), &"63C3".into()));
    let traced = ok(jpkise(&arguments).arg("--trace-bytecode"));
    assert!(traced.contains("invokevirtual") && !traced.contains(" ? "), "{traced}");
}

#[test]
fn the_caps_that_travel_with_the_program_are_built_from_these_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dist = root.join("applet/dist");
    let built_with = fs::read_to_string(dist.join("BUILD")).unwrap();
    let named = built_with.lines().find_map(|l| l.strip_prefix("javac ")).expect("BUILD names a JDK");
    let javac = Command::new("javac").arg("-version").output();
    let Ok(version) = javac.map(|o| text(&o)) else {
        println!("skipped: no javac to rebuild applet/dist with");
        return;
    };
    if !version.starts_with(&format!("javac {named}.")) {
        println!("skipped: applet/dist was built with javac {named}, here is {}", version.trim());
        return;
    }
    if Command::new("mvn").arg("-v").output().is_err() {
        println!("skipped: no Maven to rebuild applet/dist with");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let child = Command::new(root.join("scripts/dist"))
        .args(["--out", out.path().to_str().unwrap()])
        .env("JPKISE", env!("CARGO_BIN_EXE_jpkise"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = finish(child, "scripts/dist");
    assert!(output.status.success(), "{}", text(&output));
    for file in ["jpki.cap", "jpki.exp", "ara.cap", "ara.exp", "BUILD"] {
        let same = fs::read(out.path().join(file)).unwrap() == fs::read(dist.join(file)).unwrap();
        assert!(same, "applet/dist/{file} is out of date: run scripts/dist");
    }
}
