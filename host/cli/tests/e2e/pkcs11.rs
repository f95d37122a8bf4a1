//! Keys that stay in a token: SoftHSM holds them, derives and enciphers, and the card opens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::jpki_plan::{plan_lab, OWN, PLAN};
use crate::support::{jpkise, ok, require, run, text};

const PIN: &str = "1234";
const WRONG: &str = "00112233445566778899AABBCCDDEEFF";

/// A token of its own, with its configuration.
struct Token {
    directory: tempfile::TempDir,
    module: PathBuf,
}

impl Token {
    /// `None`, after one clear line, where SoftHSM or OpenSC's tool is missing.
    fn new() -> Option<Self> {
        let places = [
            "/usr/lib/softhsm",
            "/usr/lib/x86_64-linux-gnu/softhsm",
            "/usr/lib/aarch64-linux-gnu/softhsm",
            "/usr/lib64/pkcs11",
        ];
        let module = places.iter().map(|p| Path::new(p).join("libsofthsm2.so")).find(|p| p.exists());
        require(&[("softhsm2-util", "--version"), ("pkcs11-tool", "--version")])?;
        let module = module.expect("softhsm2's module is beside its tool");
        let directory = tempfile::tempdir().unwrap();
        let tokens = directory.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let configuration =
            format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        fs::write(directory.path().join("conf"), configuration).unwrap();
        fs::write(directory.path().join("pin"), format!("{PIN}\n")).unwrap();
        let token = Self { directory, module };
        let init = ["--init-token", "--free", "--label", "JPKISE", "--so-pin", "5678", "--pin", PIN];
        ok(token.with_configuration(Command::new("softhsm2-util").args(init)));
        Some(token)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn with_configuration<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("SOFTHSM2_CONF", self.path("conf"))
    }

    /// Puts a key in that never comes out again.
    fn import(&self, label: &str, key: &str) {
        let file = self.path("key");
        let bytes = hex::decode(key).unwrap();
        fs::write(&file, &bytes).unwrap();
        let kind = format!("AES:{}", bytes.len());
        ok(self.with_configuration(
            Command::new("pkcs11-tool")
                .args(["--module", self.module.to_str().unwrap(), "--token-label", "JPKISE", "--login"])
                .args(["--pin", PIN, "--write-object", &file, "--type", "secrkey", "--key-type", &kind])
                .args(["--label", label, "--usage-sign", "--sensitive"]),
        ));
        fs::remove_file(file).unwrap();
    }

    fn uri(&self, object: &str) -> String {
        let module = self.module.display();
        format!(
            "pkcs11:token=JPKISE;object={object}?module-path={module}&pin-source=file:{}",
            self.path("pin")
        )
    }

    fn gp(&self, arguments: &[&str]) -> Command {
        let state = self.path("card");
        let mut command = jpkise(&[&["gp", "--state", &state], arguments].concat());
        self.with_configuration(&mut command);
        command
    }
}

#[test]
fn a_card_opens_and_takes_new_keys_with_keys_that_stay_in_a_token() {
    let Some(token) = Token::new() else { return };
    let (enc, mac, dek) = (
        "505152535455565758595a5b5c5d5e5f",
        "606162636465666768696a6b6c6d6e6f",
        "707172737475767778797a7b7c7d7e7f",
    );
    for (name, key) in [("enc", enc), ("mac", mac), ("dek", dek)] {
        token.import(&format!("issuer-{name}"), key);
    }
    let put =
        ["keys", "put", "--yes", "--new-kvn", "31", "--new-enc", enc, "--new-mac", mac, "--new-dek", dek];
    ok(&mut token.gp(&put));
    let uri = token.uri("issuer");
    // Every level: session keys for both directions come out of the token.
    for level in ["01", "03", "11", "13", "33"] {
        let listed = ok(&mut token.gp(&["list", "--key", &uri, "--kvn", "31", "--level", level]));
        assert!(!listed.contains("test keys"), "{listed}");
    }
    // The new keys travel under the token's Key-DEK, and the card's check values prove that it deciphered them.
    let replace =
        ["keys", "put", "--yes", "--new-kvn", "32", "--new-key", WRONG, "--key", &uri, "--kvn", "31"];
    let report = ok(token.gp(&replace).arg("--json"));
    assert!(report.contains("\"check_values_compared\": true"), "{report}");

    // A key file and the environment name tokens too.
    let file = token.path("keys");
    fs::write(&file, format!("key = {uri}\nkvn = 31\n")).unwrap();
    ok(&mut token.gp(&["list", "--key-file", &file]));
    ok(token.gp(&["list", "--kvn", "31"]).env("JPKISE_KEY", &uri));
}

#[test]
fn masters_in_a_token_give_each_card_its_keys() {
    let Some(token) = Token::new() else { return };
    let master = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    token.import("master", master);
    let put = ["keys", "put", "--yes", "--new-kvn", "31", "--new-key", master, "--new-kdf", "kdf3"];
    ok(&mut token.gp(&put));
    let uri = token.uri("master");
    ok(&mut token.gp(&["list", "--key", &uri, "--kvn", "31", "--kdf", "kdf3"]));
    let plain = run(&mut token.gp(&["list", "--key", &uri, "--kvn", "31"]));
    assert_eq!(plain.status.code(), Some(4), "the masters themselves open nothing: {}", text(&plain));
}

#[test]
fn a_plan_takes_keys_from_a_token_but_not_those_that_it_would_have_to_put_onto_the_card() {
    let Some(token) = Token::new() else { return };
    token.import("issuer", "404142434445464748494a4b4c4d4e4f");
    for (name, key) in [("enc", OWN[0]), ("mac", OWN[1]), ("dek", OWN[2])] {
        token.import(&format!("own-{name}"), key);
    }
    let lab = plan_lab();
    let plan = |own: &str| {
        let issuer = format!("issuer = \"{}\"", token.uri("issuer"));
        fs::write(lab.path("plan"), PLAN.replace("issuer = \"test\"", &issuer).replace("file:own.keys", own))
            .unwrap();
    };
    let personalize = || {
        let mut command = lab.jpki(&["personalize", "--plan", "plan", "--pin-file", "pins"]);
        run(token.with_configuration(&mut command).env("FIRST_KEYS", "0F1E2D3C4B5A69788796A5B4C3D2E1F0"))
    };
    plan(&token.uri("own"));
    let kept = personalize();
    assert_eq!(kept.status.code(), Some(2), "{}", text(&kept));
    assert!(text(&kept).contains("own keys") && !lab.path("records").exists(), "{}", text(&kept));

    plan("file:own.keys");
    let done = personalize();
    assert!(done.status.success(), "{}", text(&done));
    // From now on the token's open the domain, and the same plan has nothing left to put there.
    plan(&token.uri("own"));
    let again = personalize();
    assert!(again.status.success() && text(&again).contains("Nothing was changed"), "{}", text(&again));
}

#[test]
fn what_is_wrong_with_a_token_is_told_apart() {
    let Some(token) = Token::new() else { return };
    token.import("test", "404142434445464748494a4b4c4d4e4f");
    ok(&mut token.gp(&["list", "--key", &token.uri("test")]));
    let good = token.uri("test");
    let bad_pin = token.path("bad-pin");
    fs::write(&bad_pin, "0000").unwrap();
    for (uri, exit, says) in [
        (token.uri("nothing"), 2, "nothing-enc"),
        (good.replace("token=JPKISE", "token=OTHER"), 3, "JPKISE"),
        (good.replace(&token.path("pin"), &bad_pin), 4, "PIN"),
        (good.replace("libsofthsm2.so", "none.so"), 3, "none.so"),
        (format!("{good}&pin-value=1234"), 2, "pin-source"),
        (good.replace("object=test", "id=%01"), 2, "id"),
        ("pkcs11:object=test".to_owned(), 2, "module-path"),
    ] {
        let output = run(&mut token.gp(&["list", "--key", &uri]));
        assert_eq!(output.status.code(), Some(exit), "{uri}: {}", text(&output));
        assert!(text(&output).contains(says), "{uri}: {}", text(&output));
    }
    let twice = run(&mut token.gp(&["list", "--key", &good, "--enc", WRONG]));
    assert_eq!(twice.status.code(), Some(2), "{}", text(&twice));
    let scheme = run(&mut token.gp(&["list", "--key", &good, "--kdf", "visa2"]));
    assert_eq!(scheme.status.code(), Some(2), "{}", text(&scheme));
}
