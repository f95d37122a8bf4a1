//! `jpkise jpki verify`: a signature or CMS message, the signer's certificate, and the CA that the caller trusts.

use std::fs;
use std::path::PathBuf;

use jpkise_jpki::cms::{self, VerifyError};
use jpkise_jpki::crl::{RevocationList, Revoked};
use jpkise_jpki::verify::{verify_chain, verify_message, verify_scheme, verify_signed_by, ChainError};
use jpkise_jpki::Cert;
use jpkise_lab::files::write_whole;
use serde_json::json;
use time::OffsetDateTime;

use super::certificate::{from_file, time_text, to_json, words};
use crate::app::App;
use crate::args::{SchemeName, VerifyArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// What was found out about a signature that holds.
struct Checked {
    signer: Cert,
    signing_time: Option<OffsetDateTime>,
    content: Option<Vec<u8>>,
    what: &'static str,
}

/// Checks, and says who signed.
pub fn run(app: &App, own: &VerifyArgs) -> Result<(), CliError> {
    let read = |path: &PathBuf| fs::read(path).map_err(|e| file_not_read(path, &e));
    let mut trusted = Vec::new();
    for path in &own.ca {
        trusted.extend(from_file(path)?);
    }
    let input = own.input.as_ref().map(read).transpose()?;
    let checked = match (&own.cms, &own.signature, &own.cert) {
        (Some(path), None, _) => message(&read(path)?, input.as_deref())?,
        (None, Some(signature), Some(certificate)) => {
            let input = input.ok_or_else(|| CliError::new(Exit::Usage, Text::new("err-verify-input")))?;
            let certificates = from_file(certificate)?;
            let signer = certificates
                .into_iter()
                .next()
                .ok_or_else(|| CliError::new(Exit::Usage, Text::new("err-certificate")))?;
            raw(own.scheme, signer, &input, &read(signature)?)?
        }
        _ => return Err(CliError::new(Exit::Usage, Text::new("err-verify-what"))),
    };
    let at = own.at.unwrap_or_else(OffsetDateTime::now_utc);
    let ca = find_ca(&checked.signer, &trusted)?;
    let kind = checked.signer.key_ref();
    verify_chain(&checked.signer, ca, kind, at).map_err(|e| chain_failed(app, &e))?;
    let revocation = not_revoked(app, &own.crl, &checked.signer, ca, at)?;
    if let Some(path) = &own.output {
        let content = checked
            .content
            .as_deref()
            .ok_or_else(|| CliError::new(Exit::Usage, Text::new("err-nothing-attached")))?;
        write_whole(path, content)?;
        app.talk(&Text::new("jpki-written").with("path", path.display()));
    }
    app.json(&json!({
        "valid": true,
        "what": checked.what,
        "key": kind,
        "signer": to_json(&checked.signer, true),
        "signing_time": checked.signing_time.map(|t| time_text(Ok(t))),
        "checked_at": time_text(Ok(at)),
        "revocation": revocation.name(),
    }))?;
    app.result(&app.messages.get("jpki-valid"))?;
    if let Some(time) = checked.signing_time {
        app.result(&app.messages.say(&Text::new("jpki-signing-time").with("time", time_text(Ok(time)))))?;
    }
    for line in words(app, &checked.signer, true)? {
        app.result(&format!("  {line}"))?;
    }
    match revocation {
        Revocation::NotChecked => app.talk(&Text::new("jpki-no-revocation")),
        Revocation::Good => app.result(&app.messages.get("jpki-not-revoked"))?,
        Revocation::Later(revoked) => {
            let text = Text::new("jpki-revoked-later").with("since", time_text(Ok(revoked.since)));
            app.result(&app.messages.say(&text.with("reason", reason(app, revoked))))?;
        }
    }
    Ok(())
}

/// What the CA's lists say of a signer who was not revoked at the time in question.
enum Revocation {
    NotChecked,
    Good,
    /// Revoked since, after that time.
    Later(Revoked),
}

impl Revocation {
    /// By which JSON names it.
    fn name(&self) -> &'static str {
        match self {
            Self::NotChecked => "not-checked",
            Self::Good => "good",
            Self::Later(_) => "revoked-later",
        }
    }
}

/// Asks the lists in turn; those of other CAs, or about other certificates, say nothing. One must.
fn not_revoked(
    app: &App,
    paths: &[PathBuf],
    signer: &Cert,
    ca: &Cert,
    at: OffsetDateTime,
) -> Result<Revocation, CliError> {
    if paths.is_empty() {
        return Ok(Revocation::NotChecked);
    }
    let mut silent = Vec::new();
    for path in paths {
        let bytes = fs::read(path).map_err(|e| file_not_read(path, &e))?;
        let list = RevocationList::from_bytes(&bytes).map_err(|error| {
            CliError::new(Exit::Usage, Text::new("err-crl-file").with("path", path.display()))
                .detail(error.to_string())
        })?;
        match list.status(signer, ca, at) {
            Err(error) if error.is_about_others() => silent.push(format!("{}: {error}", path.display())),
            Err(error) => {
                let text = Text::new("err-crl").with("path", path.display());
                return Err(CliError::new(Exit::Refused, text)
                    .detail(error.to_string())
                    .next(Text::new("rec-crl")));
            }
            Ok(None) => return Ok(Revocation::Good),
            Ok(Some(revoked)) if revoked.since > at => return Ok(Revocation::Later(revoked)),
            Ok(Some(revoked)) => {
                let text = Text::new("err-revoked").with("since", time_text(Ok(revoked.since)));
                return Err(CliError::new(Exit::Refused, text.with("reason", reason(app, revoked))));
            }
        }
    }
    Err(CliError::new(Exit::Refused, Text::new("err-crl-none"))
        .detail(silent.join("; "))
        .next(Text::new("rec-crl")))
}

fn reason(app: &App, revoked: Revoked) -> String {
    let name = serde_json::to_value(revoked.reason).unwrap_or_default();
    app.messages.get(&format!("crl-reason-{}", name.as_str().unwrap_or("unspecified")))
}

fn message(message: &[u8], content: Option<&[u8]>) -> Result<Checked, CliError> {
    let signed = cms::verify(message, content).map_err(|error| {
        let (exit, key) = match &error {
            VerifyError::Content { attached: false, .. } => (Exit::Usage, "err-content-missing"),
            VerifyError::Content { .. } => (Exit::Usage, "err-content-twice"),
            VerifyError::Der(_) | VerifyError::NotSigned => (Exit::Usage, "err-no-cms"),
            VerifyError::Digest => (Exit::Refused, "err-content-differs"),
            VerifyError::Signature(_) => (Exit::Refused, "err-signature-wrong"),
            _ => (Exit::Refused, "err-cms"),
        };
        CliError::new(exit, Text::new(key)).detail(error.to_string())
    })?;
    Ok(Checked {
        signer: signed.signer,
        signing_time: signed.signing_time,
        content: signed.content,
        what: "cms",
    })
}

fn raw(
    scheme: Option<SchemeName>,
    signer: Cert,
    input: &[u8],
    signature: &[u8],
) -> Result<Checked, CliError> {
    let key = signer.public_key()?;
    match scheme.and_then(SchemeName::scheme) {
        Some(scheme) => verify_scheme(&key, scheme, input, signature),
        None => verify_message(&key, input, signature),
    }
    .map_err(|_| CliError::new(Exit::Refused, Text::new("err-signature-wrong")))?;
    Ok(Checked { signer, signing_time: None, content: None, what: "raw" })
}

/// The one of the trusted CAs that signed: several generations share a name, so names do not tell.
pub fn find_ca<'c>(certificate: &Cert, trusted: &'c [Cert]) -> Result<&'c Cert, CliError> {
    trusted
        .iter()
        .find(|ca| ca.public_key().is_ok_and(|key| verify_signed_by(certificate, &key).is_ok()))
        .ok_or_else(|| {
            CliError::new(Exit::Refused, Text::new("err-untrusted")).next(Text::new("rec-untrusted"))
        })
}

/// Every check that failed, in words.
pub fn chain_failed(app: &App, error: &ChainError) -> CliError {
    let failed: Vec<String> = error
        .failed
        .iter()
        .filter_map(|check| serde_json::to_value(check).ok())
        .filter_map(|name| Some(app.messages.get(&format!("check-{}", name.as_str()?))))
        .collect();
    CliError::new(Exit::Refused, Text::new("err-chain").with("failed", failed.join("; ")))
        .detail(error.to_string())
}
