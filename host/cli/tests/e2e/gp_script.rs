//! One script of card management, carried out by three: our host in one process, our host through pcscd, and
//! GlobalPlatformPro through pcscd. After every step the card's registry must be the same, whoever took the step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jpkise_cap::Cap;
use serde_json::Value;

use crate::support::{jpkise, ok, run, text, Reader, Sim};

const JPKI_CAP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../applet/dist/jpki.cap");
/// Load file, module and instance of the CAP that the script loads: the card's ROM has the applet under its own AIDs.
pub const LOAD_FILE: &str = "D392F000264A504B02";
pub const MODULE: &str = "D392F000264A504B0201";
pub const INSTANCE: &str = "D392F000260100000002";
pub const DOMAIN: &str = "A00000015153504A504B49";
const DOMAIN_KEY: &str = "505152535455565758595A5B5C5D5E5F";
const TEST_KEY: &str = "404142434445464748494A4B4C4D4E4F";

/// The JPKI applet's CAP under other AIDs.
pub fn other_cap(directory: &Path) -> PathBuf {
    let mut cap = Cap::read(&fs::read(JPKI_CAP).unwrap()).unwrap();
    cap.header.package.aid = LOAD_FILE.parse().unwrap();
    cap.applet.as_mut().unwrap().applets[0].aid = MODULE.parse().unwrap();
    let path = directory.join("other.cap");
    fs::write(&path, cap.to_jar().unwrap()).unwrap();
    path
}

/// A step, in the order of the script.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Nothing,
    Install,
    CreateDomain,
    PutKeys,
    Extradite,
    Lock,
    Unlock,
    Initialize,
    Secure,
    LockCard,
    UnlockCard,
    Delete,
    DeleteDomain,
}

const SCRIPT: [Step; 13] = [
    Step::Nothing,
    Step::Install,
    Step::CreateDomain,
    Step::PutKeys,
    Step::Extradite,
    Step::Lock,
    Step::Unlock,
    Step::Initialize,
    Step::Secure,
    Step::LockCard,
    Step::UnlockCard,
    Step::Delete,
    Step::DeleteDomain,
];

impl Step {
    fn ours(self, cap: &str) -> Vec<&str> {
        match self {
            Self::Nothing => vec!["info"],
            Self::Install => vec!["install", cap, "--aid", INSTANCE],
            Self::CreateDomain => vec!["domain", "create", DOMAIN],
            Self::PutKeys => vec!["keys", "put", "--sd", DOMAIN, "--new-kvn", "30", "--new-key", DOMAIN_KEY],
            Self::Extradite => vec!["domain", "extradite", INSTANCE, "--to", DOMAIN],
            Self::Lock => vec!["lock", INSTANCE],
            Self::Unlock => vec!["unlock", INSTANCE],
            Self::Initialize => vec!["status", "set", "card", "initialized"],
            Self::Secure => vec!["status", "set", "card", "secured"],
            Self::LockCard => vec!["lock"],
            Self::UnlockCard => vec!["unlock"],
            Self::Delete => vec!["delete", LOAD_FILE, "--related"],
            Self::DeleteDomain => vec!["domain", "delete", DOMAIN],
        }
    }

    fn gp(self, cap: &str) -> Vec<&str> {
        match self {
            Self::Nothing => vec!["--info"],
            Self::Install => vec!["--install", cap, "--create", INSTANCE],
            Self::CreateDomain => vec!["--domain", DOMAIN],
            // Its key versions are decimal.
            Self::PutKeys => vec!["--connect", DOMAIN, "--lock", DOMAIN_KEY, "--new-keyver", "48"],
            Self::Extradite => vec!["--move", INSTANCE, "--to", DOMAIN],
            Self::Lock => vec!["--lock-applet", INSTANCE],
            Self::Unlock => vec!["--unlock-applet", INSTANCE],
            Self::Initialize => vec!["--initialize-card"],
            Self::Secure => vec!["--secure-card"],
            Self::LockCard => vec!["--lock-card"],
            Self::UnlockCard => vec!["--unlock-card"],
            Self::Delete => vec!["--delete", LOAD_FILE, "--force"],
            Self::DeleteDomain => vec!["--delete", DOMAIN],
        }
    }
}

/// The card's registry and its domain's keys, without what differs from run to run.
fn registry(ours: &dyn Fn(&[&str]) -> Command) -> Value {
    let mut list: Value = serde_json::from_slice(&run(&mut ours(&["list"])).stdout).unwrap();
    list.as_object_mut().unwrap().remove("session");
    let keys = run(&mut ours(&["keys", "list", "--sd", DOMAIN]));
    let keys: Value = serde_json::from_slice(&keys.stdout).unwrap();
    // Without the domain the object is an error, which is part of what is compared.
    serde_json::json!({ "list": list, "keys": keys.get("scp03_sets").cloned() })
}

/// Takes every step with `act` and reads the registry with our host.
fn carry_out(act: &dyn Fn(Step), ours: &dyn Fn(&[&str]) -> Command) -> Vec<Value> {
    SCRIPT
        .iter()
        .map(|step| {
            act(*step);
            registry(ours)
        })
        .collect()
}

fn with_ours(command: impl Fn(&[&str]) -> Command, cap: &Path) -> Vec<Value> {
    let cap = cap.to_str().unwrap();
    let act = |step: Step| {
        ok(&mut command(&step.ours(cap)));
    };
    carry_out(&act, &command)
}

fn in_process(directory: &Path, cap: &Path) -> Vec<Value> {
    let state = directory.join("card");
    let command = |arguments: &[&str]| {
        let fixed = ["gp", "--state", state.to_str().unwrap(), "--json", "--yes"];
        jpkise(&[&fixed, arguments].concat())
    };
    with_ours(command, cap)
}

fn compare(expected: &[Value], found: &[Value], who: &str) {
    for ((step, expected), found) in SCRIPT.iter().zip(expected).zip(found) {
        assert_eq!(expected, found, "{who}: after {step:?} the registry is another one");
    }
}

fn aids(registry: &Value, list: &str) -> Vec<String> {
    let entries = registry["list"][list].as_array().unwrap();
    entries.iter().map(|e| e["aid"].as_str().unwrap().to_owned()).collect()
}

fn entry<'a>(registry: &'a Value, aid: &str) -> &'a Value {
    let entries = registry["list"]["applications"].as_array().unwrap();
    entries.iter().find(|e| e["aid"] == aid).unwrap_or_else(|| panic!("no {aid} in {registry:#}"))
}

#[test]
fn the_script_does_to_the_registry_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let after = in_process(directory.path(), &other_cap(directory.path()));
    let at = |step| &after[SCRIPT.iter().position(|s| *s == step).unwrap()];

    assert!(aids(at(Step::Install), "load_files").contains(&LOAD_FILE.to_owned()));
    assert_eq!(entry(at(Step::Install), INSTANCE)["life_cycle"], "SELECTABLE");
    assert_eq!(entry(at(Step::CreateDomain), DOMAIN)["life_cycle"], "SELECTABLE");
    assert_eq!(entry(at(Step::PutKeys), DOMAIN)["life_cycle"], "PERSONALIZED");
    assert_eq!(at(Step::PutKeys)["keys"][0]["kvn"], "30");
    assert_eq!(entry(at(Step::Extradite), INSTANCE)["domain"], DOMAIN);
    assert_eq!(entry(at(Step::Lock), INSTANCE)["life_cycle"], "LOCKED");
    assert_eq!(entry(at(Step::Unlock), INSTANCE)["life_cycle"], "SELECTABLE");
    let card = |step| at(step)["list"]["issuer_domain"]["life_cycle"].as_str().unwrap().to_owned();
    for (step, state) in [
        (Step::Initialize, "INITIALIZED"),
        (Step::Secure, "SECURED"),
        (Step::LockCard, "CARD_LOCKED"),
        (Step::UnlockCard, "SECURED"),
    ] {
        assert_eq!(card(step), state);
    }
    assert!(!aids(at(Step::Delete), "load_files").contains(&LOAD_FILE.to_owned()));
    for (list, same) in [("applications", true), ("load_files", true)] {
        let same_as_new = aids(at(Step::DeleteDomain), list) == aids(at(Step::Nothing), list);
        assert_eq!(same_as_new, same, "{list}");
    }
}

#[test]
fn through_pcscd_every_step_ends_in_the_same_registry() {
    let Some(reader) = Reader::take() else { return };
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    let expected = in_process(directory.path(), &cap);
    let _sim = Sim::start(&reader, &[]);
    let home = directory.path().to_path_buf();
    let command = |arguments: &[&str]| {
        let mut command = jpkise(&[&["gp", "--reader", "0", "--lab", "--json", "--yes"], arguments].concat());
        command.env("XDG_STATE_HOME", &home);
        command
    };
    compare(&expected, &with_ours(command, &cap), "through pcscd");
}

#[test]
fn globalplatformpro_takes_every_step_to_the_same_registry() {
    let Some(jar) = std::env::var_os("GP_JAR") else {
        eprintln!("SKIP GlobalPlatformPro: GP_JAR does not name its jar");
        return;
    };
    let Some(reader) = Reader::take() else { return };
    let directory = tempfile::tempdir().unwrap();
    let cap = other_cap(directory.path());
    let expected = in_process(directory.path(), &cap);
    let trace = directory.path().join("sim.jsonl");
    let sim = Sim::start(&reader, &["--trace", trace.to_str().unwrap()]);
    let ours = |arguments: &[&str]| {
        let mut command = jpkise(&[&["gp", "--reader", "0", "--lab", "--json"], arguments].concat());
        command.env("XDG_STATE_HOME", directory.path());
        command
    };
    let gp = |step: Step| {
        let mut command = Command::new("java");
        command.arg(library()).arg("-jar").arg(&jar).args(step.gp(cap.to_str().unwrap()));
        let output = run(&mut command);
        // It ends with 0 after some refusals: the registry judges.
        assert!(output.status.success(), "{step:?}: {}", text(&output));
        if step == Step::Nothing {
            let info = text(&output);
            for known in ["4A504B49", "SCP03", "Version:  48 (0x30)"] {
                assert!(info.contains(known), "no {known} in {info}");
            }
        }
    };
    compare(&expected, &carry_out(&gp, &ours), "GlobalPlatformPro");
    assert!(sim.interrupt().success());

    // What the foreign host sent verifies offline, each MAC of it.
    let decoded =
        run(&mut jpkise(&["trace", "decode", trace.to_str().unwrap(), "--key", TEST_KEY, "--json"]));
    let report: Value = serde_json::from_slice(&decoded.stdout).unwrap();
    let secured = report["exchanges"].as_array().unwrap().iter().filter(|e| e["finding"] == "secured");
    let (good, open): (Vec<_>, Vec<_>) = secured.partition(|e| e["c_mac"] == "good");
    assert!(good.len() > 100, "{} commands verified", good.len());
    assert!(open.is_empty(), "{open:#?}");
}

/// Java's own smart card library does not find the distribution's without help.
fn library() -> String {
    let directories = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let paths = directories.map(|d| format!("{d}/libpcsclite.so.1"));
    let found = paths.iter().find(|p| Path::new(p).exists()).cloned().unwrap_or_default();
    format!("-Dsun.security.smartcardio.library={found}")
}
