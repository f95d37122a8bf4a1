//! `jpkise jpki cert`, and certificates in words.

use std::fs;
use std::path::Path;

use jpkise_jpki::ca::{BasicAttributes, Sex};
use jpkise_jpki::edge::KeyRef;
use jpkise_jpki::{Cert, CertificateError, ClientError, JpkiClient};
use jpkise_lab::files::write_whole;
use serde_json::{json, Value};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::card::{aid, demand_own_secret, select};
use super::dry::Dry;
use super::secret::Secrets;
use crate::app::App;
use crate::args::{CertArgs, JpkiArgs, Which};
use crate::connect::{with_card, AnyCard};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Reads one certificate and shows it in words, or gives it as PEM or DER.
pub fn run(app: &App, arguments: &JpkiArgs, own: &CertArgs) -> Result<(), CliError> {
    let (key, ca) = own.which.parts();
    if app.global.dry_run {
        let mut dry = Dry::new(app);
        dry.select(&aid(arguments));
        if own.which == Which::Sign {
            dry.verify(key);
        }
        dry.read(if ca { key.ca_certificate_ef() } else { key.certificate_ef() });
        return dry.show();
    }
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    let certificate = with_card(app, &arguments.card, |target| {
        let mut client = select(&mut target.card, &aid(arguments))?;
        let der = if ca { client.ca_certificate(key)? } else { read(&mut client, &mut secrets, key)? };
        Ok(Cert::from_der(&der)?)
    })?;
    if let Some(path) = &own.output {
        let is_der = own.der || path.extension().is_some_and(|e| e == "der" || e == "cer");
        if is_der && !own.pem {
            write_whole(path, certificate.as_der())?;
        } else {
            write_whole(path, certificate.to_pem()?.as_bytes())?;
        }
        app.talk(&Text::new("jpki-written").with("path", path.display()));
    }
    let mut object = to_json(&certificate, true);
    object["pem"] = json!(certificate.to_pem()?);
    app.json(&object)?;
    if own.pem && own.output.is_none() {
        return app.result(certificate.to_pem()?.trim_end());
    }
    for line in words(app, &certificate, true)? {
        app.result(&line)?;
    }
    Ok(())
}

/// A key's certificate. Where it is not free, the PIN or password is asked for.
pub fn read(
    client: &mut JpkiClient<'_, AnyCard>,
    secrets: &mut Secrets<'_>,
    key: KeyRef,
) -> Result<Vec<u8>, CliError> {
    match client.certificate(key) {
        Err(ClientError::NotVerified { .. }) => {
            demand_own_secret(client, key)?;
            secrets.unlock(client, key)?;
            Ok(client.certificate(key)?)
        }
        other => Ok(other?),
    }
}

/// All certificates of a PEM file, or the one of a DER file.
pub fn from_file(path: &Path) -> Result<Vec<Cert>, CliError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let bytes = fs::read(path).map_err(|e| file_not_read(path, &e))?;
    let bad = |error: CertificateError| {
        CliError::new(Exit::Usage, Text::new("err-certificate-file").with("path", path.display()))
            .detail(error.to_string())
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut rest = text.as_ref();
    let mut all = Vec::new();
    while let Some(start) = rest.find(BEGIN) {
        let block = &rest[start..];
        let Some(end) = block.find(END) else { break };
        let end = end + END.len();
        all.push(Cert::from_pem(&block[..end]).map_err(bad)?);
        rest = &block[end..];
    }
    if all.is_empty() {
        all.push(Cert::from_der(&bytes).map_err(bad)?);
    }
    Ok(all)
}

/// RFC 3339, in UTC.
pub fn time_text(moment: Result<OffsetDateTime, CertificateError>) -> String {
    moment.ok().and_then(|t| t.format(&Rfc3339).ok()).unwrap_or_default()
}

/// What a certificate says. `personal` adds the basic four attributes, which only the password opens.
pub fn to_json(certificate: &Cert, personal: bool) -> Value {
    let tbs = &certificate.parsed().tbs_certificate;
    let mut object = json!({
        "subject": tbs.subject.to_string(),
        "issuer": tbs.issuer.to_string(),
        "serial": hex::encode_upper(certificate.serial()),
        "not_before": time_text(certificate.not_before()),
        "not_after": time_text(certificate.not_after()),
        "key_usage": certificate.key_usage_names(),
        "policies": certificate.policies(),
        "sha256": hex::encode_upper(certificate.fingerprint()),
        "length": certificate.as_der().len(),
        "test": certificate.is_test(),
    });
    if let (true, Ok(Some(person))) = (personal, BasicAttributes::from_certificate(certificate)) {
        object["attributes"] = json!({
            "name": person.name,
            "birth": person.birth.to_string(),
            "sex": person.sex,
            "address": person.address,
        });
    }
    object
}

/// The same in words, a line each.
pub fn words(app: &App, certificate: &Cert, personal: bool) -> Result<Vec<String>, CliError> {
    let tbs = &certificate.parsed().tbs_certificate;
    let mut facts = vec![
        ("cert-subject", tbs.subject.to_string()),
        ("cert-issuer", tbs.issuer.to_string()),
        ("cert-serial", hex::encode_upper(certificate.serial())),
        ("cert-from", time_text(certificate.not_before())),
        ("cert-to", time_text(certificate.not_after())),
        ("cert-usage", certificate.key_usage_names().join(", ")),
        ("cert-policy", certificate.policies().join(", ")),
        ("cert-sha256", hex::encode_upper(certificate.fingerprint())),
        ("cert-bytes", certificate.as_der().len().to_string()),
    ];
    if let (true, Some(person)) = (personal, BasicAttributes::from_certificate(certificate)?) {
        let sex = match person.sex {
            Sex::Male => "sex-male",
            Sex::Female => "sex-female",
            Sex::Unknown => "sex-unknown",
        };
        facts.extend([
            ("cert-name", person.name),
            ("cert-birth", person.birth.to_string()),
            ("cert-sex", app.messages.get(sex)),
            ("cert-address", person.address),
        ]);
    }
    let mut lines: Vec<String> =
        facts.into_iter().map(|(name, value)| format!("{}: {value}", app.messages.get(name))).collect();
    if certificate.is_test() {
        lines.push(app.messages.get("cert-test"));
    }
    Ok(lines)
}

impl From<CertificateError> for CliError {
    fn from(error: CertificateError) -> Self {
        Self::new(Exit::Refused, Text::new("err-certificate")).detail(error.to_string())
    }
}
