//! Requests, certificates and the CA, as the openssl program and our own checks see them.

mod common;

use common::{card_key, certificate, csr, hierarchy, openssl, rng, sign_digest, NOW};
use jpkise_jpki::ca::{BasicAttributes, Issuance, LoadError, Subscriber, TestCa, ORGANIZATION};
use jpkise_jpki::csr::{Csr, CsrError, CsrInfo};
use jpkise_jpki::edge::{KeyRef, TokenProfile};
use jpkise_jpki::verify::{verify_chain, ChainError, Check};
use jpkise_jpki::Cert;
use time::macros::datetime;

/// The lines of `openssl x509 -text` that hold the extensions, trimmed.
fn extension_lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != "X509v3 extensions:")
        .skip(1)
        .take_while(|line| !line.starts_with("Signature Algorithm"))
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Headings of extensions, in order, with their criticality.
fn headings(lines: &[String]) -> Vec<&str> {
    let is_heading =
        |line: &&str| line.starts_with("X509v3") || line.starts_with("Authority Information Access");
    lines
        .iter()
        .map(String::as_str)
        .filter(is_heading)
        .map(|l| l.trim_end_matches(": ").trim_end_matches(':'))
        .collect()
}

#[test]
fn the_signature_certificate_has_the_extensions_of_the_reference_in_order() {
    let Some(openssl) = openssl("x509 -text of the signature certificate") else { return };
    let certificate = certificate(KeyRef::Sign, TokenProfile::Phone);
    openssl.file("c.der", certificate.as_der());
    let text = openssl.expect(&[
        "x509",
        "-inform",
        "DER",
        "-in",
        "c.der",
        "-noout",
        "-text",
        "-nameopt",
        "utf8,sep_comma_plus",
    ]);
    let lines = extension_lines(&text);
    assert_eq!(
        headings(&lines),
        [
            "X509v3 Key Usage: critical",
            "X509v3 Certificate Policies: critical",
            "X509v3 Subject Alternative Name",
            "X509v3 Issuer Alternative Name",
            "X509v3 CRL Distribution Points",
            "X509v3 Authority Key Identifier",
            "X509v3 Subject Key Identifier",
        ]
    );
    let all = lines.join("\n");
    for expected in [
        "Digital Signature, Non Repudiation",
        "Policy: 1.2.392.200149.8.5.1.1.40",
        "CPS: http://www.jpki.go.jp/cps.html",
        "DirName:C = JP, O = JPKISE-TEST, OU = JPKI for digital signature, OU = CRL Distribution Points, OU = Tokyo-to, CN = Chiyoda-ku CRLDP",
        "serial:",
    ] {
        assert!(all.contains(expected), "{expected} is missing in\n{all}");
    }
    let issuer = "Issuer: C=JP,O=JPKISE-TEST,OU=JPKI for digital signature,OU=Japan Agency for Local Authority Information Systems";
    assert!(text.contains(issuer), "{text}");
    assert!(text.contains("Subject: C=JP,L=Tokyo-to,L=Chiyoda-ku,CN=20261123100203"), "{text}");
    assert!(text.contains("Not After : Apr  2 14:59:59 2031 GMT"), "{text}");
    assert!(text.contains("Public-Key: (2048 bit)") && text.contains("sha256WithRSAEncryption"));
}

#[test]
fn the_user_authentication_certificate_has_the_extensions_of_the_reference_in_order() {
    let Some(openssl) = openssl("x509 -text of the user-authentication certificate") else { return };
    let certificate = certificate(KeyRef::Auth, TokenProfile::Card);
    openssl.file("c.der", certificate.as_der());
    let text = openssl.expect(&["x509", "-inform", "DER", "-in", "c.der", "-noout", "-text"]);
    let lines = extension_lines(&text);
    assert_eq!(
        headings(&lines),
        [
            "X509v3 Key Usage: critical",
            "X509v3 Extended Key Usage",
            "X509v3 Certificate Policies: critical",
            "X509v3 Issuer Alternative Name",
            "X509v3 CRL Distribution Points",
            "Authority Information Access",
            "X509v3 Authority Key Identifier",
            "X509v3 Subject Key Identifier",
        ]
    );
    let all = lines.join("\n");
    for expected in [
        "Digital Signature\n",
        "TLS Web Client Authentication",
        "Policy: 1.2.392.200149.8.5.1.0.30",
        "OCSP - URI:http://ocspauthnorm.jpkise.invalid",
        "OU = JPKI for user authentication, OU = CRL Distribution Points",
    ] {
        assert!(all.contains(expected), "{expected} is missing in\n{all}");
    }
    assert!(!text.contains("試験") && !text.contains("Subject Alternative Name"), "nothing personal in it");
    let subject = text.lines().find(|l| l.trim().starts_with("Subject: C = JP, CN = 2026")).unwrap();
    assert_eq!(subject.rsplit(' ').next().unwrap().len(), 23);
}

#[test]
fn the_ca_certificates_have_the_extensions_of_the_reference() {
    let Some(openssl) = openssl("x509 -text of the CA certificates") else { return };
    for key in KeyRef::ALL {
        openssl.file("ca.der", hierarchy().of(key).certificate().as_der());
        let text = openssl.expect(&["x509", "-inform", "DER", "-in", "ca.der", "-noout", "-text"]);
        let lines = extension_lines(&text);
        assert_eq!(
            headings(&lines),
            [
                "X509v3 Key Usage: critical",
                "X509v3 Basic Constraints: critical",
                "X509v3 Subject Alternative Name",
                "X509v3 CRL Distribution Points",
                "X509v3 Subject Key Identifier",
            ]
        );
        assert!(lines.contains(&"Certificate Sign, CRL Sign".to_owned()));
        assert!(lines.contains(&"CA:TRUE".to_owned()), "no path length");
    }
}

#[test]
fn the_basic_four_attributes_are_utf8_strings_in_the_order_of_the_deployed_certificates() {
    let certificate = certificate(KeyRef::Sign, TokenProfile::Phone);
    let read = BasicAttributes::from_certificate(&certificate).unwrap().unwrap();
    let sample = Subscriber::sample().attributes;
    assert_eq!((read.name, read.address, read.birth), (sample.name, sample.address, sample.birth));
    assert_eq!(read.name_substitutes, "00000");
    assert!(BasicAttributes::from_certificate(hierarchy().sign.certificate()).unwrap().is_none());

    let Some(openssl) = openssl("asn1parse of the subjectAltName") else { return };
    openssl.file("c.der", certificate.as_der());
    let outline = openssl.expect(&["asn1parse", "-inform", "DER", "-in", "c.der"]);
    let line = outline.lines().skip_while(|l| !l.contains("Subject Alternative Name")).nth(1).unwrap();
    let offset = line.split(':').next().unwrap().trim();
    let inside = openssl.expect(&["asn1parse", "-inform", "DER", "-in", "c.der", "-strparse", offset]);
    let values: Vec<&str> = inside
        .lines()
        .filter(|l| l.contains("OBJECT") || l.contains("UTF8STRING"))
        .map(|l| l.split_once(if l.contains("OBJECT") { "OBJECT" } else { "UTF8STRING" }).unwrap().1)
        .map(|l| l.split_once(':').unwrap().1)
        .collect();
    assert_eq!(
        values,
        [
            "1.2.392.200149.8.5.5.1",
            "試験\u{3000}花子",
            "1.2.392.200149.8.5.5.4",
            "419900402",
            "1.2.392.200149.8.5.5.3",
            "2",
            "1.2.392.200149.8.5.5.5",
            "東京都千代田区霞が関二丁目１番２号２階",
            "1.2.392.200149.8.5.5.2",
            "00000",
            "1.2.392.200149.8.5.5.6",
            "0000000000000000000",
        ]
    );
}

#[test]
fn sizes_are_close_to_the_deployed_certificates() {
    let sizes = [
        ("sign", 1758, certificate(KeyRef::Sign, TokenProfile::Phone)),
        ("auth", 1590, certificate(KeyRef::Auth, TokenProfile::Phone)),
        ("sign CA", 1330, hierarchy().sign.certificate().clone()),
        ("auth CA", 1330, hierarchy().auth.certificate().clone()),
    ];
    for (what, deployed, certificate) in sizes {
        let ours = certificate.as_der().len();
        println!("{what}: {ours} bytes, deployed {deployed}");
        assert!(ours.abs_diff(deployed) * 10 <= deployed, "{what}: {ours} bytes, deployed {deployed}");
    }
}

#[test]
fn openssl_verifies_both_chains() {
    let Some(openssl) = openssl("verify") else { return };
    for (key, purpose) in [(KeyRef::Auth, "sslclient"), (KeyRef::Sign, "any")] {
        openssl.file("ca.pem", hierarchy().of(key).certificate().to_pem().unwrap());
        openssl.file("c.pem", certificate(key, TokenProfile::Phone).to_pem().unwrap());
        let at = NOW.unix_timestamp().to_string();
        let arguments = [
            "verify",
            "-x509_strict",
            "-check_ss_sig",
            "-attime",
            &at,
            "-purpose",
            purpose,
            "-CAfile",
            "ca.pem",
            "c.pem",
        ];
        assert!(openssl.expect(&arguments).contains("c.pem: OK"));
        openssl.file("ca.pem", hierarchy().of(other(key)).certificate().to_pem().unwrap());
        assert!(!openssl.run(&arguments).0, "the other CA must not do");
    }
}

fn other(key: KeyRef) -> KeyRef {
    match key {
        KeyRef::Auth => KeyRef::Sign,
        KeyRef::Sign => KeyRef::Auth,
    }
}

#[test]
fn openssl_verifies_the_requests_and_their_keys_are_the_certificates_keys() {
    let Some(openssl) = openssl("req -verify") else { return };
    for key in KeyRef::ALL {
        let request = csr(key, &Subscriber::sample());
        openssl.file("r.pem", request.to_pem().unwrap());
        openssl.file("c.pem", certificate(key, TokenProfile::Phone).to_pem().unwrap());
        let said = openssl.expect(&["req", "-in", "r.pem", "-noout", "-verify"]);
        assert!(said.contains("verify OK"), "{said}");
        let of_request = openssl.expect(&["req", "-in", "r.pem", "-noout", "-pubkey"]);
        assert_eq!(openssl.expect(&["x509", "-in", "c.pem", "-noout", "-pubkey"]), of_request);
        assert_eq!(certificate(key, TokenProfile::Phone).public_key_pem().unwrap(), of_request);
        assert_eq!(Csr::from_der(request.as_der()).unwrap(), request);
    }
}

#[test]
fn a_request_signed_by_another_key_or_changed_proves_nothing() {
    let subscriber = Subscriber::sample();
    let subject = hierarchy().auth.subject(&subscriber, NOW, &mut rng(7)).unwrap();
    let info = CsrInfo::new(&card_key(KeyRef::Auth).to_public_key(), subject).unwrap();
    let wrong = sign_digest(card_key(KeyRef::Sign), &info.hash());
    assert!(matches!(info.prove(&wrong), Err(CsrError::Signature(_))));

    let mut bytes = csr(KeyRef::Auth, &subscriber).as_der().to_vec();
    let year = bytes.windows(4).position(|w| w == b"2026").unwrap();
    bytes[year + 3] = b'7';
    assert!(matches!(Csr::from_der(&bytes), Err(CsrError::Signature(_))));
}

#[test]
fn equal_seeds_make_equal_certificates() {
    let one = certificate(KeyRef::Sign, TokenProfile::Phone);
    assert_eq!(one, certificate(KeyRef::Sign, TokenProfile::Phone));
    assert_eq!(one.serial().len(), 8);
}

#[test]
fn our_own_check_accepts_what_we_issue_for_both_profiles() {
    for profile in [TokenProfile::Phone, TokenProfile::Card] {
        for key in KeyRef::ALL {
            let ca = hierarchy().of(key).certificate();
            assert_eq!(verify_chain(&certificate(key, profile), ca, key, NOW), Ok(()));
        }
    }
}

#[test]
fn each_defect_of_a_chain_is_named() {
    let (sign, auth) = (&hierarchy().sign, &hierarchy().auth);
    let certificate = certificate(KeyRef::Sign, TokenProfile::Phone);
    let failed = |certificate: &Cert, ca: &Cert, key, at| match verify_chain(certificate, ca, key, at) {
        Ok(()) => Vec::new(),
        Err(ChainError { failed }) => failed,
    };
    let (own, ca) = (&certificate, sign.certificate());
    assert_eq!(
        failed(own, ca, KeyRef::Sign, datetime!(2026-11-23 01:02:02 UTC)),
        [Check::Validity, Check::CaValidity]
    );
    assert_eq!(failed(own, ca, KeyRef::Sign, datetime!(2031-04-02 14:59:59 UTC)), []);
    assert_eq!(failed(own, ca, KeyRef::Sign, datetime!(2031-04-02 15:00 UTC)), [Check::Validity]);
    assert_eq!(
        failed(own, ca, KeyRef::Auth, NOW),
        [Check::KeyUsage, Check::ExtendedKeyUsage, Check::Policy],
        "a signature certificate is none for user authentication"
    );
    assert_eq!(
        failed(own, auth.certificate(), KeyRef::Sign, NOW),
        [Check::Signature, Check::IssuerName, Check::AuthorityKeyIdentifier]
    );
    let reissued = TestCa::generate(KeyRef::Sign, NOW, &mut rng(9)).unwrap();
    assert_eq!(
        failed(own, reissued.certificate(), KeyRef::Sign, NOW),
        [Check::Signature, Check::AuthorityKeyIdentifier],
        "another generation of the CA under the same name"
    );
    let as_leaf = failed(ca, ca, KeyRef::Sign, NOW);
    assert!(as_leaf.contains(&Check::EndEntity), "{as_leaf:?}");
    let under_leaf = failed(own, own, KeyRef::Sign, NOW);
    assert!(under_leaf.contains(&Check::CaBasicConstraints) && under_leaf.contains(&Check::CaKeyUsage));
}

#[test]
fn no_flipped_bit_of_a_certificate_survives() {
    let ca = hierarchy().sign.certificate();
    let certificate = certificate(KeyRef::Sign, TokenProfile::Phone);
    for at in (0..certificate.as_der().len()).step_by(7) {
        let mut bytes = certificate.as_der().to_vec();
        bytes[at] ^= 0x01;
        if let Ok(changed) = Cert::from_der(&bytes) {
            assert!(verify_chain(&changed, ca, KeyRef::Sign, NOW).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_ca_is_kept_as_pem_marked_as_a_test_and_read_back() {
    for key in KeyRef::ALL {
        let ca = hierarchy().of(key);
        let text = ca.to_pem().unwrap();
        assert!(text.starts_with("TEST certification authority of jpkise"));
        let loaded = TestCa::from_pem(&text).unwrap();
        assert_eq!((loaded.key_ref(), loaded.certificate()), (key, ca.certificate()));
        assert_eq!(loaded.to_pem().unwrap(), text);
        if let Some(openssl) = openssl("reading the CA file") {
            openssl.file("ca.pem", text.as_str());
            assert!(openssl.expect(&["x509", "-in", "ca.pem", "-noout", "-subject"]).contains(ORGANIZATION));
            openssl.expect(&["pkey", "-in", "ca.pem", "-noout", "-check"]);
        }
    }
}

#[test]
fn a_ca_file_that_is_not_whole_or_not_ours_is_refused() {
    let text = hierarchy().sign.to_pem().unwrap();
    let other = hierarchy().auth.to_pem().unwrap();
    let split = text.find("-----BEGIN PRIVATE KEY").unwrap();
    let split_other = other.find("-----BEGIN PRIVATE KEY").unwrap();
    let refused = |text: &str| TestCa::from_pem(text).unwrap_err();
    assert_eq!(refused(&text[..split]), LoadError::Missing("PRIVATE KEY"));
    assert_eq!(refused(&text[split..]), LoadError::Missing("CERTIFICATE"));
    assert_eq!(refused(""), LoadError::Missing("CERTIFICATE"));
    assert_eq!(refused(&format!("{}{}", &text[..split], &other[split_other..])), LoadError::Mismatch);
    let leaf = certificate(KeyRef::Sign, TokenProfile::Phone).to_pem().unwrap();
    assert_eq!(refused(&format!("{leaf}{}", &text[split..])), LoadError::NotOurs);
}

#[test]
fn a_certificate_is_never_issued_for_no_time() {
    let subscriber = Subscriber::sample();
    let issuance = Issuance {
        subscriber: &subscriber,
        profile: TokenProfile::Phone,
        now: NOW,
        not_after_limit: Some(datetime!(2026-11-23 01:02:03 UTC)),
    };
    let error = hierarchy().sign.issue(&csr(KeyRef::Sign, &subscriber), &issuance, &mut rng(5)).unwrap_err();
    assert_eq!(error.to_string(), "the certificate would have no time of validity");
}
