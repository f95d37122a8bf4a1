//! `jpkise jpki sign` and `auth`: what the card signs is checked with its certificate before anybody gets it.

use std::fs;

use jpkise_jpki::edge::signature::SchemeError;
use jpkise_jpki::edge::{KeyRef, Scheme, SIGNATURE_LENGTH};
use jpkise_jpki::verify::{verify_chain, verify_message, verify_scheme, SignatureError};
use jpkise_jpki::{cms, Cert, ClientError, JpkiClient};
use jpkise_lab::files::write_whole;
use rand::rngs::OsRng;
use rand::RngCore;
use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::card::{aid, demand_active, select};
use super::certificate::{from_file, to_json, words};
use super::dry::Dry;
use super::secret::Secrets;
use super::verify::{chain_failed, find_ca};
use crate::app::App;
use crate::args::{AuthArgs, Form, JpkiArgs, SchemeName, SignArgs};
use crate::connect::{with_card, AnyCard};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Bytes of a challenge made here.
const CHALLENGE: usize = 32;
/// Fewest and most bytes of a challenge from elsewhere: short ones can be foreseen, long ones are no challenges.
const CHALLENGE_LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;

/// Signs a file.
pub fn run(app: &App, arguments: &JpkiArgs, own: &SignArgs) -> Result<(), CliError> {
    let key: KeyRef = own.with.into();
    if own.scheme.is_some() && own.form != Form::Raw {
        return Err(CliError::new(Exit::Usage, Text::new("err-scheme-form")));
    }
    let content = fs::read(&own.input).map_err(|e| file_not_read(&own.input, &e))?;
    let name = own.scheme.unwrap_or(SchemeName::Sha256);
    let scheme = name.scheme().unwrap_or(Scheme::Verbatim);
    if app.global.dry_run {
        let mut dry = Dry::new(app);
        dry.select(&aid(arguments));
        dry.verify(key);
        dry.read(key.certificate_ef());
        match name.scheme().filter(|_| own.form == Form::Raw) {
            Some(scheme) => dry.sign(key, scheme, &content)?,
            None => dry.sign(key, Scheme::Verbatim, &[0; 51])?,
        }
        return dry.show();
    }
    // What the card would refuse is refused before a try is risked.
    if own.form == Form::Raw && name.scheme().is_some() {
        jpkise_jpki::edge::signature::compute(scheme, jpkise_jpki::edge::Target::Current, &content)
            .map_err(wrong_input)?;
    }
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    let (signature, certificate) = with_card(app, &arguments.card, |target| {
        let mut client = select(&mut target.card, &aid(arguments))?;
        demand_active(&mut client, key)?;
        secrets.unlock(&mut client, key)?;
        let certificate = Cert::from_der(&client.certificate(key)?)?;
        let signature = match own.form {
            Form::Raw => raw(&mut client, key, &certificate, name, &content)?.to_vec(),
            form => message(&mut client, key, &certificate, form, &content)?,
        };
        Ok((signature, certificate))
    })?;
    write_whole(&own.output, &signature)?;
    app.talk(&Text::new("jpki-written").with("path", own.output.display()));
    app.result(&app.messages.say(&Text::new("jpki-signed").with("subject", subject(&certificate))))?;
    app.json(&json!({
        "signed": own.output.display().to_string(),
        "key": key,
        "form": form_id(own.form),
        "scheme": (own.form == Form::Raw).then(|| scheme_id(name)),
        "bytes": signature.len(),
        "sha256": hex::encode_upper(Sha256::digest(&signature)),
        "certificate": to_json(&certificate, false),
    }))
}

fn raw(
    client: &mut JpkiClient<'_, AnyCard>,
    key: KeyRef,
    certificate: &Cert,
    name: SchemeName,
    content: &[u8],
) -> Result<[u8; SIGNATURE_LENGTH], CliError> {
    let public = certificate.public_key()?;
    if let Some(scheme) = name.scheme() {
        let signature = client.sign(key, scheme, content)?;
        verify_scheme(&public, scheme, content, &signature).map_err(does_not_fit)?;
        Ok(signature)
    } else {
        let signature = client.sign_message(key, content)?;
        verify_message(&public, content, &signature).map_err(does_not_fit)?;
        Ok(signature)
    }
}

/// CMS; [`cms::sign`] checks the card's signature itself.
fn message(
    client: &mut JpkiClient<'_, AnyCard>,
    key: KeyRef,
    certificate: &Cert,
    form: Form,
    content: &[u8],
) -> Result<Vec<u8>, CliError> {
    let ca = Cert::from_der(&client.ca_certificate(key)?)?;
    let digest: [u8; 32] = Sha256::digest(content).into();
    let covered = if form == Form::Attached {
        cms::Content::Attached(content)
    } else {
        cms::Content::Detached(&digest)
    };
    let now = OffsetDateTime::now_utc();
    cms::sign(covered, certificate, &ca, now, |digest| client.sign_digest(key, digest)).map_err(
        |error: cms::CmsError<ClientError>| match error {
            cms::CmsError::Signer(error) => error.into(),
            cms::CmsError::Signature(error) => does_not_fit(error),
            other => CliError::new(Exit::Refused, Text::new("err-cms")).detail(other.to_string()),
        },
    )
}

fn does_not_fit(_: SignatureError) -> CliError {
    CliError::new(Exit::Refused, Text::new("err-signature-own"))
}

/// The input has a length that the scheme does not take.
pub fn wrong_input(error: SchemeError) -> CliError {
    CliError::new(Exit::Usage, Text::new("err-scheme-input").with("length", error.length))
        .detail(error.to_string())
        .next(Text::new("rec-scheme-input"))
}

fn subject(certificate: &Cert) -> String {
    certificate.parsed().tbs_certificate.subject.to_string()
}

const fn form_id(form: Form) -> &'static str {
    match form {
        Form::Detached => "detached",
        Form::Attached => "attached",
        Form::Raw => "raw",
    }
}

fn scheme_id(name: SchemeName) -> String {
    use clap::ValueEnum;
    name.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

/// Challenge and response with the authentication key: what a server does to know who is there.
pub fn authenticate(app: &App, arguments: &JpkiArgs, own: &AuthArgs) -> Result<(), CliError> {
    let challenge = own.challenge.as_ref().map_or_else(
        || {
            let mut random = vec![0; CHALLENGE];
            OsRng.fill_bytes(&mut random);
            random
        },
        |given| given.0.clone(),
    );
    if !CHALLENGE_LENGTHS.contains(&challenge.len()) {
        return Err(CliError::new(Exit::Usage, Text::new("err-challenge")));
    }
    if app.global.dry_run {
        let mut dry = Dry::new(app);
        dry.select(&aid(arguments));
        dry.verify(KeyRef::Auth);
        dry.read(KeyRef::Auth.certificate_ef());
        dry.sign(KeyRef::Auth, Scheme::Verbatim, &[0; 51])?;
        return dry.show();
    }
    let mut trusted = Vec::new();
    for path in &own.ca {
        trusted.extend(from_file(path)?);
    }
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    let (certificate, card_ca, signature) = with_card(app, &arguments.card, |target| {
        let mut client = select(&mut target.card, &aid(arguments))?;
        demand_active(&mut client, KeyRef::Auth)?;
        secrets.unlock(&mut client, KeyRef::Auth)?;
        let certificate = Cert::from_der(&client.certificate(KeyRef::Auth)?)?;
        let ca = Cert::from_der(&client.ca_certificate(KeyRef::Auth)?)?;
        let signature = client.sign_message(KeyRef::Auth, &challenge)?;
        Ok((certificate, ca, signature))
    })?;
    verify_message(&certificate.public_key()?, &challenge, &signature).map_err(does_not_fit)?;
    let is_trusted = !trusted.is_empty();
    if !is_trusted {
        trusted.push(card_ca);
    }
    let ca = find_ca(&certificate, &trusted)?;
    verify_chain(&certificate, ca, KeyRef::Auth, OffsetDateTime::now_utc())
        .map_err(|e| chain_failed(app, &e))?;
    app.json(&json!({
        "authenticated": true,
        "challenge": hex::encode_upper(&challenge),
        "signature": hex::encode_upper(signature),
        "certificate": to_json(&certificate, false),
        "certificate_pem": certificate.to_pem()?,
        "ca_trusted": is_trusted,
        "revocation": "not-checked",
    }))?;
    app.result(&app.messages.say(&Text::new("jpki-authenticated").with("subject", subject(&certificate))))?;
    for line in words(app, &certificate, false)? {
        app.result(&format!("  {line}"))?;
    }
    if !is_trusted {
        app.talk(&Text::new("jpki-ca-from-card"));
    }
    app.talk(&Text::new("jpki-no-revocation"));
    Ok(())
}
