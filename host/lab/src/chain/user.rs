//! The user and the relying party: certificates read under their conditions, a message signed, everything checked.

use jpkise_card::{Card, Transport};
use jpkise_jpki::certificate::Cert;
use jpkise_jpki::client::JpkiClient;
use jpkise_jpki::edge::{KeyRef, TokenProfile};
use jpkise_jpki::{cms, verify};
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use sha2::{Digest, Sha256};

use super::error::{ChainError, FailedCheck};
use super::sp_tsm::Issued;
use super::{Fact, Options, Run, Step};
use crate::files::OutDir;
use crate::openssl::{self, Opinion};

/// Both keys, in the order in which the chain uses them.
const KEYS: [KeyRef; 2] = [KeyRef::Auth, KeyRef::Sign];

/// A certificate and the one above it, as read from the card.
pub(super) struct Pair {
    pub(super) key: KeyRef,
    pub(super) certificate: Cert,
    pub(super) ca: Cert,
}

/// A message and what the card made of it.
pub(super) struct Signed {
    message: Vec<u8>,
    /// Raw signatures, in the order of the keys.
    signatures: Vec<(KeyRef, Vec<u8>)>,
    cms: Vec<u8>,
}

/// Reads all four certificates and holds them against what was issued.
pub(super) fn read_certificates<T: Transport>(
    run: &mut Run<'_, T>,
    options: &Options,
    issued: &Issued,
) -> Result<Vec<Pair>, ChainError> {
    run.step(Step::ReadCertificates, |run, facts| {
        let mut client = JpkiClient::select(run.card)?;
        let mut pairs = Vec::new();
        for key in KEYS {
            let ca = Cert::from_der(&client.ca_certificate(key)?)?;
            match (key, options.profile) {
                // Free on the plastic card.
                (KeyRef::Auth, TokenProfile::Card) => {}
                (KeyRef::Auth, _) => client.verify(&options.pin)?,
                (KeyRef::Sign, _) => client.verify(&options.password)?,
            }
            let certificate = Cert::from_der(&client.certificate(key)?)?;
            if !issued.is(key, &certificate, &ca) {
                return Err(FailedCheck::CertificateReadBack(key).into());
            }
            facts.push(Fact::new(size_name(key), certificate.as_der().len()));
            pairs.push(Pair { key, certificate, ca });
        }
        Ok(pairs)
    })
}

const fn size_name(key: KeyRef) -> &'static str {
    match key {
        KeyRef::Auth => "auth-certificate-bytes",
        KeyRef::Sign => "sign-certificate-bytes",
    }
}

/// Signs a message with each key, and once more as CMS; writes message and signatures.
pub(super) fn sign<T: Transport>(
    run: &mut Run<'_, T>,
    options: &Options,
    pairs: &[Pair],
    out: &OutDir,
) -> Result<Signed, ChainError> {
    run.step(Step::Sign, |run, _| {
        let message = format!("jpkise demo, {}\n電子署名の対象となる文書\n", options.now).into_bytes();
        out.write("message.bin", &message)?;
        let mut client = JpkiClient::select(run.card)?;
        client.verify(&options.pin)?;
        client.verify(&options.password)?;
        let mut signatures = Vec::new();
        for key in KEYS {
            let signature = client.sign_message(key, &message)?;
            out.write(signature_file(key), &signature)?;
            signatures.push((key, signature.to_vec()));
        }
        let cms = sign_cms(&mut client, options, pairs, &message)?;
        out.write("message.p7s", &cms)?;
        Ok(Signed { message, signatures, cms })
    })
}

fn sign_cms<T: Transport>(
    client: &mut JpkiClient<'_, Card<T>>,
    options: &Options,
    pairs: &[Pair],
    message: &[u8],
) -> Result<Vec<u8>, ChainError> {
    let pair = pairs.iter().find(|p| p.key == KeyRef::Sign).ok_or(FailedCheck::Missing("sign-cert.der"))?;
    let digest: [u8; 32] = Sha256::digest(message).into();
    let cms =
        cms::sign(cms::Content::Detached(&digest), &pair.certificate, &pair.ca, options.now, |digest| {
            client.sign_digest(KeyRef::Sign, digest)
        })?;
    Ok(cms)
}

const fn signature_file(key: KeyRef) -> &'static str {
    match key {
        KeyRef::Auth => "auth.sig",
        KeyRef::Sign => "sign.sig",
    }
}

/// Checks signatures, chains and CMS with our own libraries.
pub(super) fn verify<T: Transport>(
    run: &mut Run<'_, T>,
    options: &Options,
    pairs: &[Pair],
    signed: &Signed,
) -> Result<(), ChainError> {
    run.step(Step::Verify, |_, facts| {
        for pair in pairs {
            verify::verify_chain(&pair.certificate, &pair.ca, pair.key, options.now)
                .map_err(|e| FailedCheck::Chain(pair.key, e))?;
            let key = pair.certificate.public_key()?;
            let (_, signature) = signed
                .signatures
                .iter()
                .find(|(k, _)| *k == pair.key)
                .ok_or(FailedCheck::Missing(signature_file(pair.key)))?;
            verify::verify_message(&key, &signed.message, signature)
                .map_err(|_| FailedCheck::Signature(pair.key))?;
        }
        let message = cms::verify(&signed.cms, Some(&signed.message)).map_err(FailedCheck::Cms)?;
        if !pairs.iter().any(|p| p.key == KeyRef::Sign && p.certificate == message.signer) {
            return Err(FailedCheck::CmsSigner.into());
        }
        facts.push(Fact::new("signatures-verified", signed.signatures.len() + 1));
        Ok(())
    })
}

/// Checks the files with the `openssl` program: requests, signatures, chains, CMS.
pub(super) fn verify_with_openssl<T: Transport>(
    run: &mut Run<'_, T>,
    pairs: &[Pair],
    out: &OutDir,
) -> Result<&'static str, ChainError> {
    run.step(Step::VerifyOpenssl, |_, facts| {
        for pair in pairs {
            let name = pair.key;
            out.write(&format!("{name}-cert.pem"), pair.certificate.to_pem()?.as_bytes())?;
            out.write(&format!("{name}-ca.pem"), pair.ca.to_pem()?.as_bytes())?;
            out.write(&format!("{name}-pub.pem"), public_key_pem(&pair.certificate)?.as_bytes())?;
        }
        let mut checks = 0;
        for arguments in OPENSSL_CHECKS {
            let words: Vec<&str> = arguments.split(' ').collect();
            match openssl::check(out.path(), &words).map_err(ChainError::Openssl)? {
                Opinion::Accepted => checks += 1,
                Opinion::Refused(words) => {
                    return Err(FailedCheck::Openssl { arguments: arguments.to_owned(), words }.into());
                }
                Opinion::NotInstalled => {
                    facts.push(Fact::new("openssl", "not-installed"));
                    return Ok("not-installed");
                }
            }
        }
        facts.push(Fact::new("openssl-checks", checks));
        Ok("accepted")
    })
}

fn public_key_pem(certificate: &Cert) -> Result<String, ChainError> {
    let key = certificate.public_key()?;
    key.to_public_key_pem(LineEnding::LF).map_err(|_| FailedCheck::Missing("public key").into())
}

/// Each is one run of `openssl` in the output folder; exit 0 is acceptance. They can be repeated by hand.
const OPENSSL_CHECKS: [&str; 7] = [
    "req -inform DER -in auth.csr -verify -noout",
    "req -inform DER -in sign.csr -verify -noout",
    "verify -CAfile auth-ca.pem auth-cert.pem",
    "verify -CAfile sign-ca.pem sign-cert.pem",
    "dgst -sha256 -verify auth-pub.pem -signature auth.sig message.bin",
    "dgst -sha256 -verify sign-pub.pem -signature sign.sig message.bin",
    "cms -verify -binary -inform DER -in message.p7s -content message.bin -CAfile sign-ca.pem -purpose any \
     -out /dev/null",
];
