//! OpenSC, unmodified, with everything its tools offer for this card, on both token profiles; judged by openssl.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{ok, pkcs11_module, run, text, Reader, Sim, PASSWORD, PIN};

/// One of the two tokens OpenSC shows for a JPKI card.
struct Token {
    label: &'static str,
    secret: &'static str,
    /// Of key and certificate, in PKCS#11 and PKCS#15.
    id: &'static str,
    certificate: &'static str,
}

const TOKENS: [Token; 2] = [
    Token {
        label: "JPKI (User Authentication PIN)",
        secret: PIN,
        id: "01",
        certificate: "User Authentication Certificate",
    },
    Token {
        label: "JPKI (Digital Signature PIN)",
        secret: PASSWORD,
        id: "02",
        certificate: "Digital Signature Certificate",
    },
];

impl Token {
    fn pkcs11(&self) -> Command {
        let mut command = Command::new("pkcs11-tool");
        command.args(["--module", pkcs11_module().to_str().unwrap(), "--token-label", self.label]);
        command
    }

    fn logged_in(&self) -> Command {
        let mut command = self.pkcs11();
        command.args(["--login", "--pin", self.secret]);
        command
    }

    /// The public key of its certificate, by PKCS#15, as a PEM file.
    fn public_key(&self, directory: &Path) -> String {
        let printed = ok(Command::new("pkcs15-tool").args([
            "--read-certificate",
            self.id,
            "--verify-pin",
            "--auth-id",
            self.id,
            "--pin",
            self.secret,
        ]));
        let certificate = directory.join(format!("{}.crt", self.id));
        let start = printed.find("-----BEGIN CERTIFICATE-----").unwrap();
        fs::write(&certificate, &printed[start..]).unwrap();
        let key = directory.join(format!("{}.pem", self.id)).to_str().unwrap().to_owned();
        let certificate = certificate.to_str().unwrap();
        ok(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in", certificate, "-out", &key]));
        key
    }
}

/// The mechanisms that OpenSC offers to sign with: name and, unless the caller hashes, the digest's name for openssl.
fn mechanisms(token: &Token) -> Vec<(String, Option<String>)> {
    let listed = ok(token.pkcs11().arg("-M"));
    listed
        .lines()
        .filter(|line| line.contains("sign"))
        .filter_map(|line| line.trim().split(',').next())
        .map(|name| (name.to_owned(), name.strip_suffix("-RSA-PKCS").map(str::to_lowercase)))
        .collect()
}

fn signs_with_every_mechanism(token: &Token, directory: &Path) {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let key = token.public_key(directory);
    let message = path("message");
    fs::write(&message, b"signed by OpenSC's own programs").unwrap();
    // What RSA-PKCS is given: the DigestInfo, made by openssl.
    let hash = path("hash");
    ok(Command::new("openssl").args(["dgst", "-sha256", "-binary", "-out", &hash, &message]));
    let info = path("digest-info");
    let prefix = b"\x30\x31\x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    fs::write(&info, [&prefix[..], &fs::read(&hash).unwrap()].concat()).unwrap();

    let mechanisms = mechanisms(token);
    let names: Vec<&str> = mechanisms.iter().map(|(name, _)| name.as_str()).collect();
    for expected in ["RSA-PKCS", "SHA1-RSA-PKCS", "SHA256-RSA-PKCS", "SHA384-RSA-PKCS", "SHA512-RSA-PKCS"] {
        assert!(names.contains(&expected), "OpenSC offers {names:?}");
    }
    for (mechanism, digest) in &mechanisms {
        let signature = path("signature");
        let input = if digest.is_some() { &message } else { &info };
        ok(token.logged_in().args(["--sign", "--mechanism", mechanism, "--id", token.id]).args([
            "--input-file",
            input,
            "--output-file",
            &signature,
        ]));
        let digest = digest.as_deref().unwrap_or("sha256");
        let verified = ok(Command::new("openssl").args([
            "dgst",
            &format!("-{digest}"),
            "-verify",
            &key,
            "-signature",
            &signature,
            &message,
        ]));
        assert!(verified.contains("Verified OK"), "{} {mechanism}: {verified}", token.label);
    }
    println!("{}: {}", token.label, names.join(", "));

    // The PKCS#15 side: the hash, and nothing hashed by the tool.
    let signature = path("signature15");
    ok(Command::new("pkcs15-crypt")
        .args(["--sign", "--key", token.id, "--pkcs1", "--sha-256", "--raw"])
        .args(["--pin", token.secret, "--input", &hash, "--output", &signature]));
    let verified = ok(Command::new("openssl").args(["dgst", "-sha256", "-verify", &key]).args([
        "-signature",
        &signature,
        &message,
    ]));
    assert!(verified.contains("Verified OK"), "{}: {verified}", token.label);
}

#[test]
fn opensc_signs_with_both_keys_and_every_digest_it_offers_on_both_profiles() {
    let Some(reader) = Reader::take() else { return };
    for profile in ["phone", "card"] {
        let sim = Sim::start(&reader, &["--personalized", "--token", profile]);
        let name = ok(Command::new("opensc-tool").arg("--name"));
        assert!(name.contains("jpki"), "OpenSC takes it for {name}");
        let directory = tempfile::tempdir().unwrap();
        for token in &TOKENS {
            signs_with_every_mechanism(token, directory.path());
        }
        assert!(sim.interrupt().success());
        Reader::wait_until_empty();
    }
}

/// What it costs that the phone's user-authentication certificate is behind the PIN: OpenSC's PKCS#11 module reads
/// certificates before it logs in, and forgets them when that is refused.
#[test]
fn opensc_lists_objects_by_profile_and_its_own_test_finds_no_error() {
    let Some(reader) = Reader::take() else { return };
    for profile in ["phone", "card"] {
        let sim = Sim::start(&reader, &["--personalized", "--token", profile]);
        for token in &TOKENS {
            let objects = ok(token.logged_in().arg("--list-objects"));
            assert!(objects.contains("Private Key Object"), "{profile}, {}: {objects}", token.label);
            let listed = objects.contains("Certificate Object");
            assert_eq!(listed, profile == "card", "{profile}, {}: {objects}", token.label);
            if profile == "card" {
                assert!(objects.contains(token.certificate), "{objects}");
            }
            let tested = run(token.logged_in().arg("--test"));
            let printed = text(&tested);
            assert!(tested.status.success() && printed.contains("No errors"), "{profile}: {printed}");
            // Where it sees no certificate it knows no modulus, and leaves the signatures out.
            let signed = printed.contains("all 4 signature functions seem to work");
            assert_eq!(signed, profile == "card", "{profile}, {}: {printed}", token.label);
        }
        assert!(sim.interrupt().success());
        Reader::wait_until_empty();
    }
}
