//! Certificates of APKs: the vectors, APKs signed here by apksigner in every scheme it has, and broken ones.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use jpkise_gp::ara::DeviceApp;
use jpkise_omapi::apk::{ApkError, ApkSignatures, Certificate, Role, Scheme, Verification};
use proptest::prelude::*;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn apk(name: &str) -> Vec<u8> {
    std::fs::read(data("apk").join(name)).unwrap()
}

fn read(bytes: &[u8]) -> Result<ApkSignatures, ApkError> {
    ApkSignatures::read(bytes, Verification::Full)
}

#[test]
fn a_rotated_app_s_rule_names_the_oldest_certificate() {
    let candidates = read(&apk("rotated-v2v3.apk")).unwrap().candidates();
    let roles: Vec<Role> = candidates.iter().map(|c| c.role).collect();
    assert_eq!(roles, [Role::OldestOfLineage, Role::NewestOfLineage]);
    assert_eq!(read(&apk("unsigned.apk")).unwrap_err(), ApkError::Unsigned);
}

#[test]
fn a_certificate_file_in_der_or_pem_gives_the_same_hash() {
    let signatures = read(&apk("ec-v2only.apk")).unwrap();
    let certificate = &signatures.signers(Scheme::V2)[0].certificate;
    assert_eq!(Certificate::from_file(certificate.der()).unwrap(), *certificate);
    for bad in [
        &b""[..],
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        b"\x30\x00",
    ] {
        assert!(Certificate::from_file(bad).is_err());
    }
}

/// Offset of the signing block's first size field.
fn block_start(apk: &[u8]) -> usize {
    let magic = apk.windows(16).position(|w| w == b"APK Sig Block 42").unwrap();
    let size = u64::from_le_bytes(apk[magic - 8..magic].try_into().unwrap());
    magic + 16 - 8 - usize::try_from(size).unwrap()
}

#[test]
fn a_block_that_lies_about_its_size_is_refused() {
    let good = apk("ec-v2only.apk");
    let start = block_start(&good);
    let magic = good.windows(16).position(|w| w == b"APK Sig Block 42").unwrap();
    for (what, at, value) in [
        ("footer size 0", magic - 8, 0u64),
        ("footer size beyond the file", magic - 8, 1 << 40),
        ("footer size all ones", magic - 8, u64::MAX),
        ("footer size one too large", magic - 8, (magic + 16 - start - 8 + 1) as u64),
        ("header size differs", start, 1),
        ("pair of zero bytes", start + 8, 0),
        ("pair beyond the block", start + 8, 1 << 20),
        ("pair of all ones", start + 8, u64::MAX),
    ] {
        let mut bad = good.clone();
        bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
        assert!(matches!(read(&bad), Err(ApkError::Block(_))), "{what}: {:?}", read(&bad));
        assert!(ApkSignatures::read(&bad, Verification::Skip).is_err(), "{what}");
    }
    // The list of signers, then the signer, then the signed data, one byte longer than what holds them.
    for depth in 0..3 {
        let mut bad = good.clone();
        bad[start + 20 + 4 * depth] = bad[start + 20 + 4 * depth].wrapping_add(1);
        assert!(matches!(read(&bad), Err(ApkError::Malformed { scheme: Scheme::V2, .. })), "{depth}");
    }
}

#[test]
fn truncated_files_and_other_files_are_refused() {
    let good = apk("rsa-v1v2v3.apk");
    for length in (0..good.len()).step_by(37).chain(good.len() - 30..good.len()) {
        assert!(read(&good[..length]).is_err(), "{length} bytes");
    }
    for other in
        [&b""[..], b"PK", b"PK\x05\x06", &[0x50, 0x4B, 3, 4], b"not a ZIP at all, whatever its name says"]
    {
        assert!(matches!(read(other), Err(ApkError::NotAnApk(_))));
    }
    let before = [b"\x7fELF".as_slice(), &good].concat();
    assert!(matches!(read(&before), Err(ApkError::NotAnApk(_))));
    let behind = [good.as_slice(), b"x"].concat();
    assert!(matches!(read(&behind), Err(ApkError::NotAnApk(_))));
}

#[test]
fn a_signature_taken_away_is_noticed() {
    // Without its signing block the APK still has its v1 signature, which says that v2 and v3 belong to it.
    let good = apk("rsa-v1v2v3.apk");
    let start = block_start(&good);
    let magic = good.windows(16).position(|w| w == b"APK Sig Block 42").unwrap();
    let mut stripped = [&good[..start], &good[magic + 16..]].concat();
    let end = stripped.len() - 22;
    stripped[end + 16..end + 20].copy_from_slice(&u32::try_from(start).unwrap().to_le_bytes());
    assert_eq!(read(&stripped).unwrap_err(), ApkError::Stripped { missing: Scheme::V2 });
    let unverified = ApkSignatures::read(&stripped, Verification::Skip).unwrap();
    assert_eq!(unverified.schemes.len(), 1);
    // v3 renamed to something unknown: v2 says that it must be there.
    let mut hidden = good.clone();
    let id = hidden.windows(4).position(|w| w == 0xF053_68C0u32.to_le_bytes()).unwrap();
    hidden[id] ^= 1;
    assert_eq!(read(&hidden).unwrap_err(), ApkError::Stripped { missing: Scheme::V3 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Every byte is under a signature or under the structure; the bytes of the padding pair alone are free.
    #[test]
    fn a_changed_byte_never_yields_other_hashes(at in any::<prop::sample::Index>(), flip in 1u8..) {
        for name in ["ec-v2only.apk", "rotated-v2v3.apk", "rsa-v1v2v3.apk"] {
            let good = apk(name);
            let mut bad = good.clone();
            let at = at.index(bad.len());
            bad[at] ^= flip;
            if let Ok(signatures) = read(&bad) {
                prop_assert_eq!(signatures.hashes(), read(&good).unwrap().hashes());
            }
            let _ = ApkSignatures::read(&bad, Verification::Skip);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
        let zip = [b"PK\x03\x04".as_slice(), &bytes].concat();
        let _ = read(&zip);
        let _ = Certificate::from_file(&bytes);
    }
}

/// Keys and APKs made by keytool and apksigner; `None`, with one line, when they are not installed.
struct Workshop(tempfile::TempDir);

const PASSWORD: &str = "testing";

impl Workshop {
    fn open() -> Option<Self> {
        let there = |tool: &str| Command::new(tool).arg("--help").output().is_ok();
        if !there("apksigner") || !there("keytool") {
            println!("skipped: apksigner (Debian package apksigner) or keytool is not installed");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(tool: &str, args: &[&str]) {
        let output = Command::new(tool).args(args).output().unwrap();
        assert!(output.status.success(), "{tool} {args:?}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    fn key(&self, name: &str, algorithm: &[&str]) -> Vec<u8> {
        let store = self.path(&format!("{name}.p12"));
        let common = ["-keystore", &store, "-storepass", PASSWORD, "-alias", name];
        let subject = format!("CN={name}, O=JPKISE-TEST");
        let generate = ["-genkeypair", "-storetype", "PKCS12", "-dname", &subject, "-validity", "3650"];
        Self::run("keytool", &[&generate[..], &common, algorithm].concat());
        let der = self.path(&format!("{name}.der"));
        Self::run("keytool", &[&["-exportcert", "-file", &der][..], &common].concat());
        std::fs::read(der).unwrap()
    }

    fn signer(&self, name: &str) -> Vec<String> {
        let store = self.path(&format!("{name}.p12"));
        ["--ks", &store, "--ks-pass", "pass:testing", "--ks-key-alias", name].map(ToOwned::to_owned).to_vec()
    }

    /// Signs the unsigned APK of the vectors.
    fn sign(&self, signers: &[&str], options: &[&str]) -> Vec<u8> {
        let out = self.path("signed.apk");
        let unsigned = data("apk/unsigned.apk");
        let mut args: Vec<String> = vec!["sign".into()];
        for (index, name) in signers.iter().enumerate() {
            if index > 0 {
                args.push("--next-signer".into());
            }
            args.extend(self.signer(name));
        }
        args.extend(options.iter().map(|o| (*o).to_owned()));
        args.extend(["--in".into(), unsigned.to_str().unwrap().to_owned(), "--out".into(), out.clone()]);
        Self::run("apksigner", &args.iter().map(String::as_str).collect::<Vec<_>>());
        std::fs::read(out).unwrap()
    }

    fn rotate(&self, old: &str, new: &str, lineage_in: Option<&str>, lineage_out: &str) {
        let (input, out) = (lineage_in.map(|l| self.path(l)), self.path(lineage_out));
        let mut args = vec!["rotate".to_owned(), "--out".into(), out];
        args.extend(input.into_iter().flat_map(|l| ["--in".to_owned(), l]));
        args.push("--old-signer".into());
        args.extend(self.signer(old));
        args.push("--new-signer".into());
        args.extend(self.signer(new));
        Self::run("apksigner", &args.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

const EC: &[&str] = &["-keyalg", "EC", "-groupname", "secp256r1"];

#[test]
fn apks_signed_here_in_every_scheme_and_with_every_key_give_their_certificates() {
    let Some(workshop) = Workshop::open() else { return };
    let v1 = [
        "--v1-signing-enabled",
        "true",
        "--v2-signing-enabled",
        "false",
        "--v3-signing-enabled",
        "false",
        "--min-sdk-version",
        "18",
    ];
    let v2 = [
        "--v1-signing-enabled",
        "false",
        "--v2-signing-enabled",
        "true",
        "--v3-signing-enabled",
        "false",
        "--min-sdk-version",
        "24",
    ];
    let v3 = [
        "--v1-signing-enabled",
        "false",
        "--v2-signing-enabled",
        "false",
        "--v3-signing-enabled",
        "true",
        "--min-sdk-version",
        "28",
    ];
    let keys: [(&str, &[&str]); 6] = [
        ("rsa2048", &["-keyalg", "RSA", "-keysize", "2048"]),
        ("rsa3072", &["-keyalg", "RSA", "-keysize", "3072"]),
        ("p256", EC),
        ("p384", &["-keyalg", "EC", "-groupname", "secp384r1"]),
        ("p521", &["-keyalg", "EC", "-groupname", "secp521r1"]),
        ("dsa", &["-keyalg", "DSA", "-keysize", "2048"]),
    ];
    for (name, algorithm) in keys {
        let der = workshop.key(name, algorithm);
        let certificate = Certificate::from_der(&der).unwrap();
        let schemes: &[(Scheme, &[&str])] = match name {
            "rsa2048" | "p256" => &[(Scheme::V1, &v1), (Scheme::V2, &v2), (Scheme::V3, &v3)],
            "dsa" => &[(Scheme::V2, &v2)],
            _ => &[(Scheme::V1, &v1), (Scheme::V2, &v2)],
        };
        for (scheme, options) in schemes {
            let bytes = workshop.sign(&[name], options);
            let signatures = read(&bytes).unwrap_or_else(|e| panic!("{name} {scheme}: {e}"));
            let found: Vec<Scheme> = signatures.schemes.iter().map(|(s, _)| *s).collect();
            assert_eq!(found, [*scheme], "{name}");
            assert_eq!(signatures.hashes(), [certificate.sha1(), certificate.sha256()], "{name} {scheme}");
            // The first byte of the first entry's data changed: every scheme must notice.
            let mut changed = bytes.clone();
            let length = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            changed[30 + length(26) + length(28)] ^= 0x01;
            assert!(read(&changed).is_err(), "{name} {scheme}");
        }
    }
}

#[test]
fn several_signers_are_all_compared_with() {
    let Some(workshop) = Workshop::open() else { return };
    let first = Certificate::from_der(&workshop.key("first", EC)).unwrap();
    let second = Certificate::from_der(&workshop.key("second", EC)).unwrap();
    let bytes =
        workshop.sign(&["first", "second"], &["--v3-signing-enabled", "false", "--min-sdk-version", "18"]);
    let signatures = read(&bytes).unwrap();
    let roles: Vec<Role> = signatures.candidates().iter().map(|c| c.role).collect();
    assert_eq!(roles, [Role::OneOfSigners, Role::OneOfSigners]);
    let expected: Vec<DeviceApp> = vec![first.sha256(), second.sha256()];
    assert_eq!(signatures.rule_apps(), expected);
    assert_eq!(signatures.signers(Scheme::V1).len(), 2);
}

/// apksigner of Debian does not know v3.1: its v3 block for the rotated key is put beside the v3 block of the first key.
fn as_v31(first_only: &[u8], rotated: &[u8]) -> Vec<u8> {
    let value_of = |apk: &[u8]| {
        let start = block_start(apk);
        let mut at = start + 8;
        loop {
            let length = usize::try_from(u64::from_le_bytes(apk[at..at + 8].try_into().unwrap())).unwrap();
            let id = u32::from_le_bytes(apk[at + 8..at + 12].try_into().unwrap());
            if id == 0xF053_68C0 {
                return apk[at + 12..at + 8 + length].to_vec();
            }
            at += 8 + length;
        }
    };
    let start = block_start(first_only);
    assert_eq!(start, block_start(rotated), "the content before the block must be the same");
    let mut pairs = Vec::new();
    for (id, value) in [(0xF053_68C0u32, value_of(first_only)), (0x1B93_AD61, value_of(rotated))] {
        pairs.extend(((value.len() + 4) as u64).to_le_bytes());
        pairs.extend(id.to_le_bytes());
        pairs.extend(value);
    }
    let size = (pairs.len() + 24) as u64;
    let magic = first_only.windows(16).position(|w| w == b"APK Sig Block 42").unwrap();
    let block = [&size.to_le_bytes()[..], &pairs, &size.to_le_bytes(), b"APK Sig Block 42"].concat();
    let mut apk = [&first_only[..start], &block, &first_only[magic + 16..]].concat();
    let end = apk.len() - 22;
    apk[end + 16..end + 20].copy_from_slice(&u32::try_from(start + block.len()).unwrap().to_le_bytes());
    apk
}

#[test]
fn a_rotated_key_keeps_the_oldest_certificate_in_v3_and_v31() {
    let Some(workshop) = Workshop::open() else { return };
    let [a, b, c] = ["a", "b", "c"].map(|name| Certificate::from_der(&workshop.key(name, EC)).unwrap());
    workshop.rotate("a", "b", None, "ab");
    workshop.rotate("b", "c", Some("ab"), "abc");
    let lineage = workshop.path("abc");
    let only_v3 =
        ["--v1-signing-enabled", "false", "--v2-signing-enabled", "false", "--min-sdk-version", "28"];
    let rotated = workshop.sign(&["a", "b", "c"], &[&only_v3[..], &["--lineage", &lineage]].concat());
    let signatures = read(&rotated).unwrap();
    assert_eq!(signatures.signers(Scheme::V3)[0].lineage, [a.clone(), b.clone(), c.clone()]);
    let roles = |signatures: &ApkSignatures| -> Vec<(Certificate, Role)> {
        signatures.candidates().into_iter().map(|found| (found.certificate, found.role)).collect()
    };
    assert_eq!(
        roles(&signatures),
        [
            (a.clone(), Role::OldestOfLineage),
            (b.clone(), Role::MiddleOfLineage),
            (c.clone(), Role::NewestOfLineage)
        ]
    );
    assert_eq!(signatures.rule_apps(), [a.sha256()]);

    let first_only = workshop.sign(&["a"], &only_v3);
    let signatures = read(&as_v31(&first_only, &rotated)).unwrap();
    let schemes: Vec<Scheme> = signatures.schemes.iter().map(|(s, _)| *s).collect();
    assert_eq!(schemes, [Scheme::V3, Scheme::V31]);
    assert_eq!(
        roles(&signatures),
        [(a.clone(), Role::Signer), (b.clone(), Role::MiddleOfLineage), (c.clone(), Role::NewestOfLineage)]
    );
    assert_eq!(signatures.rule_apps(), [a.sha256()]);

    // A v3.1 block of strangers beside it has no lineage that joins them.
    workshop.key("stranger", EC);
    let strange = workshop.sign(&["stranger"], &only_v3);
    let error = read(&as_v31(&first_only, &strange)).unwrap_err();
    assert_eq!(error, ApkError::SchemesDisagree { older: Scheme::V3, newer: Scheme::V31 });
}
