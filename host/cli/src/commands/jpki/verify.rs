//! `jpkise jpki verify`: a signature or CMS message, the signer's certificate, and the CA that the caller trusts.

use std::fs;
use std::path::PathBuf;

use jpkise_jpki::cms::{self, VerifyError};
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
        "revocation": "not-checked",
    }))?;
    app.result(&app.messages.get("jpki-valid"))?;
    if let Some(time) = checked.signing_time {
        app.result(&app.messages.say(&Text::new("jpki-signing-time").with("time", time_text(Ok(time)))))?;
    }
    for line in words(app, &checked.signer, true)? {
        app.result(&format!("  {line}"))?;
    }
    app.talk(&Text::new("jpki-no-revocation"));
    Ok(())
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
