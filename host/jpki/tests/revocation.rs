//! Revocation lists made by the openssl program: what they say of a certificate, and when they say nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{certificate, hierarchy, openssl, Openssl, NOW};
use jpkise_jpki::crl::{CrlError, Reason, RevocationList, Revoked};
use jpkise_jpki::edge::{KeyRef, TokenProfile};
use jpkise_jpki::Cert;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const CONFIGURATION: &str = "[ca]\ndefault_ca = lists\n[lists]\ndatabase = index\ncrlnumber = number\ndefault_md = sha256\n\
    [whole]\nauthorityKeyIdentifier = keyid\n[delta]\n2.5.29.27 = critical,DER:020101\n[odd]\n1.2.3.4 = critical,DER:0500\n\
    [others]\nissuingDistributionPoint = critical,@elsewhere\n[elsewhere]\nfullname = URI:http://example.invalid/crl\n\
    [cas]\nissuingDistributionPoint = critical,@cas-only\n[cas-only]\nonlyCA = TRUE\n\
    [indirect]\nissuingDistributionPoint = critical,@by-others\n[by-others]\nindirectCRL = TRUE\n\
    [partition]\nissuingDistributionPoint = critical,@here\n[here]\nfullname = dirName:point\nonlyuser = TRUE\n\
    [point]\nC = JP\nO = JPKISE-TEST\n1.OU = JPKI for digital signature\n2.OU = CRL Distribution Points\n3.OU = Tokyo-to\n\
    CN = Chiyoda-ku CRLDP\n";

/// A list of the signature CA: `entries` are revocation date, reason and serial number as openssl's index has them.
fn list(openssl: &Openssl, extensions: &str, entries: &[(&str, &str, &str)], key: KeyRef) -> RevocationList {
    let line = |(date, reason, serial): &(&str, &str, &str)| {
        format!("R\t310402145959Z\t{date}{reason}\t{serial}\tunknown\t/CN=x\n")
    };
    let lines = entries.iter().map(line).collect::<Vec<_>>().concat();
    openssl.file("index", lines);
    openssl.file("number", "01\n");
    openssl.file("conf", CONFIGURATION);
    openssl.file("ca", hierarchy().of(key).to_pem().unwrap().as_bytes());
    openssl.file("ca.pem", hierarchy().of(key).certificate().to_pem().unwrap());
    openssl.expect(&[
        "ca",
        "-config",
        "conf",
        "-gencrl",
        "-keyfile",
        "ca",
        "-cert",
        "ca.pem",
        "-crlexts",
        extensions,
        "-crl_lastupdate",
        "20261120000000Z",
        "-crl_nextupdate",
        "20261130000000Z",
        "-out",
        "list",
    ]);
    RevocationList::from_bytes(&openssl.read("list")).unwrap()
}

fn serial(certificate: &Cert) -> String {
    hex::encode_upper(certificate.serial())
}

#[test]
fn a_list_says_who_is_revoked_since_when_and_why() {
    let Some(openssl) = openssl("revocation lists") else { return };
    let leaf = certificate(KeyRef::Sign, TokenProfile::Phone);
    let ca = hierarchy().sign.certificate();
    let own = serial(&leaf);
    let other = "0123456789ABCDEF";
    let since = datetime!(2026-11-19 10:20:30 UTC);
    let revoked = |reason| Some(Revoked { since, reason });
    for (entries, expected) in [
        (vec![], None),
        (vec![("261119102030Z", ",keyCompromise", other)], None),
        (vec![("261119102030Z", "", own.as_str())], revoked(Reason::Unspecified)),
        (vec![("261119102030Z", ",certificateHold", own.as_str())], revoked(Reason::CertificateHold)),
        (vec![("261119102030Z", ",affiliationChanged", own.as_str())], revoked(Reason::AffiliationChanged)),
        (vec![("261119102030Z", ",superseded", own.as_str())], revoked(Reason::Superseded)),
        (
            vec![("261119102030Z", ",cessationOfOperation", own.as_str())],
            revoked(Reason::CessationOfOperation),
        ),
        (
            vec![("261101000000Z", ",superseded", other), ("261119102030Z", ",keyCompromise", own.as_str())],
            revoked(Reason::KeyCompromise),
        ),
    ] {
        for extensions in ["whole", "partition"] {
            let list = list(&openssl, extensions, &entries, KeyRef::Sign);
            assert_eq!(list.status(&leaf, ca, NOW), Ok(expected), "{extensions}: {entries:?}");
        }
    }
}

#[test]
fn a_list_that_is_not_good_for_the_question_says_nothing() {
    let Some(openssl) = openssl("revocation lists") else { return };
    let leaf = certificate(KeyRef::Sign, TokenProfile::Phone);
    let ca = hierarchy().sign.certificate();
    let ask = |list: &RevocationList, at: OffsetDateTime| list.status(&leaf, ca, at);
    for (extensions, is_about_others) in
        [("delta", false), ("odd", false), ("indirect", false), ("others", true), ("cas", true)]
    {
        let error = ask(&list(&openssl, extensions, &[], KeyRef::Sign), NOW).unwrap_err();
        assert_eq!(error.is_about_others(), is_about_others, "{extensions}: {error}");
        assert_eq!(matches!(error, CrlError::Critical(_)), !is_about_others, "{extensions}: {error}");
    }
    let good = list(&openssl, "whole", &[], KeyRef::Sign);
    let due = datetime!(2026-11-30 00:00:00 UTC);
    assert_eq!(ask(&good, due), Ok(None));
    assert_eq!(ask(&good, due + Duration::SECOND), Err(CrlError::Stale(Some(due))));
    // A list of today tells of a signature of last year too.
    assert_eq!(ask(&good, NOW - Duration::days(365)), Ok(None));

    let of_the_other = list(&openssl, "whole", &[], KeyRef::Auth);
    assert_eq!(ask(&of_the_other, NOW), Err(CrlError::OtherIssuer));

    let changed = list(&openssl, "whole", &[("261119102030Z", "", &serial(&leaf))], KeyRef::Sign);
    openssl.expect(&["crl", "-in", "list", "-outform", "DER", "-out", "list.der"]);
    let mut bytes = openssl.read("list.der");
    assert!(RevocationList::from_bytes(&bytes).unwrap().status(&leaf, ca, NOW).unwrap().is_some());
    let at = bytes.windows(leaf.serial().len()).position(|w| w == leaf.serial()).unwrap();
    bytes[at + 3] ^= 1;
    assert!(changed.status(&leaf, ca, NOW).unwrap().is_some());
    let freed = RevocationList::from_der(&bytes).unwrap();
    assert_eq!(freed.status(&leaf, ca, NOW), Err(CrlError::Signature));

    // Whatever else is changed, nobody falls off the list, and nothing panics.
    openssl.expect(&["crl", "-in", "list", "-outform", "DER", "-out", "list.der"]);
    let sound = openssl.read("list.der");
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        let said = RevocationList::from_der(&bytes).and_then(|list| list.status(&leaf, ca, NOW));
        assert!(!matches!(said, Ok(None)), "byte {at}");
    }
    for length in 0..sound.len() {
        assert!(RevocationList::from_bytes(&sound[..length]).is_err(), "{length} bytes");
    }
}
